/* The words in which it is told what a key may. */
#include "cmocka_all.h"
#include "gateway/keys.h"
#include "reach.h"

#include <stdio.h>
#include <string.h>

static void same(const char *text, const char *again)
{
    char out[FH_SCOPES_TEXT];
    uint32_t scopes = 0;
    fh_str bad;
    assert_true(fh_scopes_parse(fh_str_of(text), &scopes, &bad));
    fh_scopes_write(scopes, out);
    assert_string_equal(out, again);
}

static void scopes_are_read_and_written(void **state)
{
    (void)state;
    same("use", "use");
    same("admin", "admin");
    same("admin,chat", "admin");
    same("use,wake", "use,wake");
    same(" read , chat,chat", "chat,read");
    same("chat,completions,embeddings,responses,messages,tokenize,read,spend", "use");
    same("wake,tokenize,spend,responses,read,messages,embeddings,completions",
         "completions,embeddings,responses,messages,tokenize,read,spend,wake");
}

static void a_scope_that_is_none_is_named(void **state)
{
    (void)state;
    const struct {
        const char *text, *bad;
    } rows[] = {{"", ""}, {"chat,", ""}, {"all", "all"}, {"chat,Chat", "Chat"}, {"use chat", "use chat"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        uint32_t scopes = 77;
        fh_str bad;
        assert_false(fh_scopes_parse(fh_str_of(rows[i].text), &scopes, &bad));
        assert_true(fh_str_eqs(bad, rows[i].bad));
        assert_int_equal(scopes, 77);
    }
}

static void a_key_may_what_its_scopes_say_and_an_admin_all(void **state)
{
    (void)state;
    fh_key none = {.scopes = 0}, use = {.scopes = FH_SCOPES_USE}, admin = {.scopes = FH_SCOPES_ADMIN};
    for (int s = 0; s < FH_SCOPES; s++) {
        assert_false(fh_key_may(&none, (fh_scope)s));
        assert_true(fh_key_may(&use, (fh_scope)s) == (s < FH_SCOPE_WAKE));
        assert_true(fh_key_may(&admin, (fh_scope)s));
    }
    assert_true(fh_key_may(&none, FH_SCOPES));
}

static void priorities_have_names(void **state)
{
    (void)state;
    fh_priority p = FH_PRIORITY_NORMAL;
    assert_true(fh_priority_parse(FH_STR("low"), &p));
    assert_int_equal(p, FH_PRIORITY_LOW);
    assert_string_equal(fh_priority_name(FH_PRIORITY_HIGH), "high");
    assert_false(fh_priority_parse(FH_STR("urgent"), &p));
    assert_true(FH_PRIORITY_LOW < FH_PRIORITY_NORMAL && FH_PRIORITY_NORMAL < FH_PRIORITY_HIGH);
}

static void a_list_of_models_takes_names_and_no_others(void **state)
{
    (void)state;
    fh_key k = {0};
    const char *bad[] = {"", "a,b", "a b", "\n", "\xc3\xa4"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(fh_key_add_model(&k, fh_str_of(bad[i]), NULL), FH_E_INVALID);
    assert_string_equal(k.models, "");
    assert_true(fh_key_lists_model(&k, FH_STR("anything")));
    assert_int_equal(fh_key_add_model(&k, FH_STR("one"), NULL), 0);
    assert_int_equal(fh_key_add_model(&k, FH_STR("owner/name:variant"), NULL), 0);
    assert_int_equal(fh_key_add_model(&k, FH_STR("one"), NULL), 0);
    assert_string_equal(k.models, "one,owner/name:variant");
    assert_true(fh_key_lists_model(&k, FH_STR("one")));
    assert_false(fh_key_lists_model(&k, FH_STR("on")));
    assert_false(fh_key_lists_model(&k, FH_STR("one,owner/name:variant")));
    assert_true(fh_str_eqs(fh_key_model(&k, 1), "owner/name:variant"));
    assert_int_equal(fh_key_model(&k, 2).len, 0);
}

static void a_list_of_models_is_bounded(void **state)
{
    (void)state;
    fh_key k = {0};
    char name[32];
    int rc = 0, n = 0;
    for (; rc == 0 && n < 1000; n++) {
        snprintf(name, sizeof name, "model-number-%d", n);
        rc = fh_key_add_model(&k, fh_str_of(name), NULL);
    }
    assert_int_equal(rc, FH_E_INVALID);
    assert_true(strlen(k.models) < sizeof k.models && strlen(k.models) > sizeof k.models - 32);
}

static void a_key_reaches_what_its_list_names(void **state)
{
    (void)state;
    fh_candidate here = {.deployment = "small.1", .model = "small"}, hosted = {.deployment = "provider/there", .model = "large"};
    const struct {
        const char *list, *asked;
        bool here, hosted;
    } rows[] = {
        {"", "auto", true, true},
        {"small", "small", true, true}, /* what answers to a name is the route's to say */
        {"small", "auto", true, false},
        {"small", "deployment/small.1", true, false},
        {"deployment/small.1", "small", true, false},
        {"deployment/small.2", "small", false, false},
        {"provider/there", "large", false, true},
        {"provider/there/large", "large", false, true},
        {"provider/there/larger", "large", false, false},
        {"auto", "auto", true, true},
        {"auto", "small", false, false},
        {"group", "group", true, true},
        {"smal", "small", false, false},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_key k = {0};
        strcpy(k.models, rows[i].list);
        assert_true(fh_reach_model(&k, fh_str_of(rows[i].asked), &here) == rows[i].here);
        assert_true(fh_reach_model(&k, fh_str_of(rows[i].asked), &hosted) == rows[i].hosted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_are_read_and_written),
        cmocka_unit_test(a_scope_that_is_none_is_named),
        cmocka_unit_test(a_key_may_what_its_scopes_say_and_an_admin_all),
        cmocka_unit_test(priorities_have_names),
        cmocka_unit_test(a_list_of_models_takes_names_and_no_others),
        cmocka_unit_test(a_list_of_models_is_bounded),
        cmocka_unit_test(a_key_reaches_what_its_list_names),
    };
    return cmocka_run_group_tests_name("gateway/key_words", tests, NULL, NULL);
}
