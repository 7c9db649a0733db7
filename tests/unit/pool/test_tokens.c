/* Join tokens: one machine, one hour, kept only as digests; and the words that people write of a machine. */
#include "cmocka_all.h"
#include "nodes_fixture.h"

static const fh_link_digest server = {{1, 2, 3}};

static void new_token(int64_t now, char text[FH_JOIN_TOKEN_LEN + 1])
{
    int64_t expires;
    assert_int_equal(fh_nodes_token_new(nodes, &server, "", now, text, &expires, NULL), 0);
    assert_true(expires == now + HOUR);
}

static int join(const char *token, const char *name, uint8_t key, int64_t now, int64_t *ret_id, fh_err **err)
{
    fh_node_join j = {.token = fh_str_of(token), .name = fh_str_of(name), .ask = {.currency = "USD"}, .key = {{key}}};
    return fh_nodes_join(nodes, &j, now, ret_id, err);
}

static void assert_refused(const char *token, uint8_t key, int64_t now, const char *why)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t id;
    assert_int_equal(join(token, "late", key, now, &id, &err), FH_E_UNAUTHENTICATED);
    if (!strstr(fh_err_message(err), why)) fail_msg("%s", fh_err_message(err));
    assert_non_null(strstr(fh_err_hint_get(err), "freehold node token"));
    assert_string_equal(fh_err_param_get(err), "token");
    assert_null(strstr(fh_err_message(err), token));
}

static void a_token_is_one_line_that_is_read_as_it_was_written(void **state)
{
    fh_join_token t = {.server = server}, read;
    char text[FH_JOIN_TOKEN_LEN + 1], line[FH_JOIN_TOKEN_LEN + 8];
    memset(t.secret, 0xa5, sizeof t.secret);
    fh_join_token_write(&t, text);
    assert_int_equal(strlen(text), FH_JOIN_TOKEN_LEN);
    assert_true(FH_JOIN_TOKEN_LEN < 100);
    snprintf(line, sizeof line, " %s\r\n", text);
    assert_int_equal(fh_join_token_parse(fh_str_of(line), &read, NULL), 0);
    assert_memory_equal(&read, &t, sizeof t);
}

static void what_is_no_token_is_refused_without_being_repeated(void **state)
{
    fh_join_token t = {.server = server}, read;
    char text[FH_JOIN_TOKEN_LEN + 2];
    for (size_t at = 0; at <= FH_JOIN_TOKEN_LEN; at++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        fh_join_token_write(&t, text);
        text[at] = at == FH_JOIN_TOKEN_LEN ? 'A' : '*'; /* longer, or with a character that is none */
        text[FH_JOIN_TOKEN_LEN + 1] = '\0';
        assert_int_equal(fh_join_token_parse(fh_str_of(text), &read, &err), FH_E_INVALID);
        assert_null(strstr(fh_err_message(err), text));
    }
    assert_int_equal(fh_join_token_parse(FH_STR(""), &read, NULL), FH_E_INVALID);
    assert_int_equal(fh_join_token_parse(FH_STR("fh_join_"), &read, NULL), FH_E_INVALID);
}

static void a_token_opens_for_one_machine(void **state)
{
    char text[FH_JOIN_TOKEN_LEN + 1];
    int64_t id = 0;
    new_token(NOW, text);
    assert_int_equal(join(text, "first", 1, NOW + 1, &id, NULL), 0);
    assert_int_equal(id, 1);
    assert_refused(text, 2, NOW + 2, "used already");
    assert_refused(text, 2, NOW + 2 * HOUR, "used already");
}

static void a_machine_may_say_its_token_again_while_the_hour_lasts(void **state)
{
    char text[FH_JOIN_TOKEN_LEN + 1];
    int64_t id = 0, again = 0;
    new_token(NOW, text);
    assert_int_equal(join(text, "first", 1, NOW, &id, NULL), 0);
    assert_int_equal(join(text, "first", 1, NOW + HOUR - 1, &again, NULL), 0);
    assert_int_equal(again, id);
    assert_int_equal(fh_nodes_count(nodes), 1);
    assert_refused(text, 1, NOW + HOUR, "hour is over");
    assert_int_equal(fh_nodes_remove(nodes, "first", NULL, NULL), 0);
    assert_int_equal(join(text, "first", 1, NOW + 1, &again, NULL), FH_E_FORBIDDEN); /* but not once it was removed */
}

static void a_token_is_over_after_an_hour(void **state)
{
    char text[FH_JOIN_TOKEN_LEN + 1], other[FH_JOIN_TOKEN_LEN + 1];
    new_token(NOW, text);
    assert_true(fh_nodes_expect(nodes, NOW + HOUR - 1));
    assert_false(fh_nodes_expect(nodes, NOW + HOUR));
    assert_refused(text, 1, NOW + HOUR, "hour is over");
    new_token(NOW + 30 * HOUR, other); /* forgets what is long over */
    assert_refused(text, 1, NOW + 30 * HOUR, "does not know it");
}

static void a_name_that_is_taken_leaves_the_token_good(void **state)
{
    char first[FH_JOIN_TOKEN_LEN + 1], second[FH_JOIN_TOKEN_LEN + 1];
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t id;
    new_token(NOW, first);
    new_token(NOW, second);
    assert_int_equal(join(first, "den", 1, NOW, &id, NULL), 0);
    assert_int_equal(join(second, "den", 2, NOW, &id, &err), FH_E_EXISTS);
    assert_non_null(strstr(fh_err_hint_get(err), "--name"));
    assert_int_equal(join(second, "Den", 2, NOW, &id, &err), FH_E_INVALID);
    assert_int_equal(join(second, "token", 2, NOW, &id, &err), FH_E_INVALID);
    assert_int_equal(join(second, "den-2", 2, NOW, &id, NULL), 0);
}

static void only_so_many_tokens_wait_to_be_used(void **state)
{
    char text[FH_JOIN_TOKEN_LEN + 1], last[FH_JOIN_TOKEN_LEN + 1];
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t expires, id;
    for (int i = 0; i < FH_LIMIT_JOIN_TOKENS; i++) new_token(NOW, last);
    assert_int_equal(fh_nodes_token_new(nodes, &server, "", NOW, text, &expires, &err), FH_E_CONFLICT);
    assert_int_equal(join(last, "one", 1, NOW, &id, NULL), 0);
    new_token(NOW, text); /* the used one made room */
    new_token(NOW + HOUR, text);
}

static void the_database_holds_no_secret(void **state)
{
    char text[FH_JOIN_TOKEN_LEN + 1];
    new_token(NOW, text);
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    fh_join_token t;
    assert_int_equal(fh_join_token_parse(fh_str_of(text), &t, NULL), 0);
    assert_int_equal(fh_db_query(db, &s, NULL, "SELECT secret_sha256 FROM join_tokens", ""), 0);
    assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
    assert_true(row && fh_stmt_str(s, 0).len == 32);
    assert_memory_not_equal(fh_stmt_str(s, 0).ptr, t.secret, 32);
}

static void prices_are_whole_millionths(void **state)
{
    static const struct {
        const char *text, *currency;
        int64_t micro;
    } good[] = {{"0", "USD", 0},           {"0.35", "USD", 350000},           {"0.35EUR", "EUR", 350000}, {"12", "USD", 12000000},
                {"0.000001CHF", "CHF", 1}, {"1000000", "USD", 1000000000000}, {"1.5JPY", "JPY", 1500000}, {"007.10", "USD", 7100000}};
    static const char *const bad[] = {
        "", "EUR", "-1", "1,5", "1.", ".5", "1.1234567", "1.2.3", "1eur", "1EU", "1EURO", "1 EUR", "1000001", "1000000.000001", "1e3"};
    fh_node_ask ask;
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        if (fh_node_ask_parse(fh_str_of(good[i].text), &ask, NULL)) fail_msg("%s", good[i].text);
        assert_true(ask.micro == good[i].micro);
        assert_string_equal(ask.currency, good[i].currency);
    }
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (!fh_node_ask_parse(fh_str_of(bad[i]), &ask, &err)) fail_msg("%s", bad[i]);
        assert_string_equal(fh_err_param_get(err), "ask");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_one_line_that_is_read_as_it_was_written),
        TEST(what_is_no_token_is_refused_without_being_repeated),
        TEST(a_token_opens_for_one_machine),
        TEST(a_machine_may_say_its_token_again_while_the_hour_lasts),
        TEST(a_token_is_over_after_an_hour),
        TEST(a_name_that_is_taken_leaves_the_token_good),
        TEST(only_so_many_tokens_wait_to_be_used),
        TEST(the_database_holds_no_secret),
        TEST(prices_are_whole_millionths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
