#include "ask_key.h"

#include "base/limits.h"
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct key {
    bool fixed, known;
    uint8_t bytes[FH_ANSWER_KEY_BYTES];
} key;

static const fh_asker own = {.salt = "s", .identity = "w", .trust = "rented", .key_trust = "", .regions = "", .own_engine = true},
                      hosted = {.salt = "s", .identity = "w", .trust = "rented", .key_trust = "", .regions = ""};

static key key_in(fh_wire_dialect d, const char *body, const fh_asker *who)
{
    key k = {0};
    fh_ask a = {0};
    assert_int_equal(fh_ask_read(&a, d, false, fh_str_of(body), NULL), 0);
    k.fixed = fh_ask_fixed(&a);
    k.known = fh_ask_key(&a, who, k.bytes);
    fh_ask_fini(&a);
    return k;
}

static key chat(const char *body)
{
    return key_in(FH_DIALECT_CHAT, body, &own);
}

static void check_same(const char *a, const char *b)
{
    key x = chat(a), y = chat(b);
    assert_true(x.known && y.known);
    assert_memory_equal(x.bytes, y.bytes, sizeof x.bytes);
}

static void check_other(key x, key y)
{
    assert_true(x.known && y.known);
    assert_memory_not_equal(x.bytes, y.bytes, sizeof x.bytes);
}

#define ASK  "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"
#define COLD "{" ASK ",\"temperature\":0"

static void without_temperature_nought_or_a_seed_an_answer_is_drawn(void **state)
{
    (void)state;
    assert_false(chat("{" ASK "}").fixed);
    assert_false(chat("{" ASK ",\"temperature\":0.1}").fixed);
    assert_true(chat("{" ASK ",\"temperature\":0}").fixed);
    assert_true(chat("{" ASK ",\"temperature\":0.0}").fixed);
    assert_true(chat("{" ASK ",\"temperature\":1,\"seed\":7}").fixed);
    assert_true(chat("{" ASK ",\"seed\":0}").fixed);
    assert_false(chat("{" ASK ",\"seed\":null}").fixed);
}

static void order_blanks_escapes_and_spellings_of_a_number_do_not_count(void **state)
{
    (void)state;
    check_same(COLD "}", "{ \"temperature\" : 0.0,\n" ASK " }");
    check_same(COLD ",\"top_p\":1}", COLD ",\"top_p\":1.0}");
    check_same(COLD ",\"stop\":\"\\u0041\"}", COLD ",\"stop\":\"A\"}");
}

static void labels_do_not_count(void **state)
{
    (void)state;
    static const char *const labels[] = {"\"user\":\"u\"", "\"metadata\":{\"a\":\"b\"}", "\"safety_identifier\":\"s\"",
                                         "\"prompt_cache_key\":\"k\"", "\"prompt_cache_retention\":\"24h\""};
    for (size_t i = 0; i < FH_COUNT(labels); i++) {
        char body[512];
        snprintf(body, sizeof body, COLD ",%s}", labels[i]);
        check_same(COLD "}", body);
    }
}

static void what_may_change_the_answer_counts(void **state)
{
    (void)state;
    static const char *const members[] = {"\"top_p\":0.5",
                                          "\"seed\":1",
                                          "\"max_tokens\":5",
                                          "\"stream\":true",
                                          "\"stop\":\"a\"",
                                          "\"logprobs\":true",
                                          "\"service_tier\":\"auto\"",
                                          "\"reasoning_effort\":\"low\"",
                                          "\"something_new\":1",
                                          "\"response_format\":{\"type\":\"json_object\"}"};
    for (size_t i = 0; i < FH_COUNT(members); i++) {
        char body[512];
        snprintf(body, sizeof body, COLD ",%s}", members[i]);
        check_other(chat(COLD "}"), chat(body));
    }
    check_other(chat(COLD "}"), chat("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"y\"}],\"temperature\":0}"));
    check_other(chat(COLD ",\"seed\":1}"), chat(COLD ",\"seed\":2}"));
}

/* A template shows a schema to the model as it came. */
static void order_inside_of_a_member_counts(void **state)
{
    (void)state;
    static const char form[] = COLD ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{%s}}}]}";
    char a[512], b[512];
    snprintf(a, sizeof a, form, "\"a\":{},\"b\":{}");
    snprintf(b, sizeof b, form, "\"b\":{},\"a\":{}");
    check_other(chat(a), chat(b));
}

static void whoever_and_whatever_else_is_asked_counts(void **state)
{
    (void)state;
    fh_asker salt = own, identity = own, trust = own, key_trust = own, regions = own;
    salt.salt = "t";
    identity.identity = "v";
    trust.trust = "own,node/den";
    key_trust.key_trust = "own,node/den";
    regions.regions = "de";
    key first = chat(COLD "}");
    check_other(first, key_in(FH_DIALECT_CHAT, COLD "}", &salt));
    check_other(first, key_in(FH_DIALECT_CHAT, COLD "}", &identity));
    check_other(first, key_in(FH_DIALECT_CHAT, COLD "}", &trust));
    check_other(first, key_in(FH_DIALECT_CHAT, COLD "}", &key_trust));
    check_other(key_in(FH_DIALECT_CHAT, COLD "}", &trust), key_in(FH_DIALECT_CHAT, COLD "}", &key_trust));
    check_other(first, key_in(FH_DIALECT_CHAT, COLD "}", &regions));
    check_other(first, key_in(FH_DIALECT_MESSAGES, COLD ",\"max_tokens\":9}", &own));
}

static void a_member_that_is_not_known_may_ask_a_hosted_endpoint_for_anything(void **state)
{
    (void)state;
    assert_true(key_in(FH_DIALECT_CHAT, COLD "}", &hosted).known);
    assert_true(key_in(FH_DIALECT_CHAT, COLD ",\"plugins\":[]}", &own).known);
    assert_false(key_in(FH_DIALECT_CHAT, COLD ",\"plugins\":[]}", &hosted).known);
}

static void what_lies_outside_of_the_request_is_never_fixed(void **state)
{
    (void)state;
    assert_false(chat(COLD ",\"store\":true}").fixed);
    assert_false(chat(COLD ",\"web_search_options\":{}}").fixed);
    assert_false(chat(COLD ",\"modalities\":[\"audio\"]}").fixed);
    assert_false(chat("{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
                      "\"image_url\":{\"url\":\"https://a/b.png\"}}]}]}")
                     .fixed);
    assert_false(key_in(FH_DIALECT_MESSAGES, COLD ",\"max_tokens\":9,\"container\":\"c\"}", &own).fixed);
    assert_true(key_in(FH_DIALECT_MESSAGES, COLD ",\"max_tokens\":9}", &own).fixed);
}

static void a_request_beyond_its_bound_has_no_key(void **state)
{
    (void)state;
    size_t bytes = FH_LIMIT_CACHE_REQUEST_BYTES;
    char *body = malloc(bytes + 256);
    int n = sprintf(body, "{\"model\":\"m\",\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"");
    memset(body + n, 'x', bytes);
    strcpy(body + n + bytes, "\"}]}");
    assert_false(chat(body).known);
    memset(body + n + bytes / 2, ' ', bytes / 2); /* blanks inside of a text do count */
    assert_false(chat(body).known);
    strcpy(body + n + bytes / 2, "\"}]}");
    assert_true(chat(body).known);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_temperature_nought_or_a_seed_an_answer_is_drawn),
        cmocka_unit_test(order_blanks_escapes_and_spellings_of_a_number_do_not_count),
        cmocka_unit_test(labels_do_not_count),
        cmocka_unit_test(what_may_change_the_answer_counts),
        cmocka_unit_test(order_inside_of_a_member_counts),
        cmocka_unit_test(whoever_and_whatever_else_is_asked_counts),
        cmocka_unit_test(a_member_that_is_not_known_may_ask_a_hosted_endpoint_for_anything),
        cmocka_unit_test(what_lies_outside_of_the_request_is_never_fixed),
        cmocka_unit_test(a_request_beyond_its_bound_has_no_key),
    };
    return cmocka_run_group_tests_name("gateway/ask_key", tests, NULL, NULL);
}
