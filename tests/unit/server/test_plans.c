/* Requests for plans: what they answer, and what is said of those that make no sense. */
#include "cmocka_all.h"

#include "base/limits.h"
#include "base/mem.h"
#include "server/plans.h"
#include "torture.h"
#include <string.h>

static const char glm[] =
    "{\"model\":\"glm-5.3\",\"variant\":\"native\",\"context_tok\":131072,\"streams\":1,\"offers\":["
    "{\"place\":\"a\",\"device\":\"H200\",\"devices\":8,\"hour_nusd\":29000000000,\"start_s\":60,\"fetch_mb_s\":1000},"
    "{\"place\":\"b\",\"device\":\"h200\",\"devices\":4,\"hour_nusd\":14000000000},"
    "{\"place\":\"c\",\"device\":\"h200\",\"devices\":8,\"machines\":2,\"hour_nusd\":58000000000},"
    "{\"place\":\"d\",\"input_nusd_per_million\":1000000000,\"output_nusd_per_million\":2000000000}]}";

static int make(const char *text, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *ask = NULL;
    int rc = fh_json_parse(&ask, fh_str_of(text), 1 << 20, err);
    return rc ? rc : fh_plans_make(ask, NULL, ret, err);
}

static const char *word(const fh_json *o, const char *name)
{
    fh_str s = fh_json_str(fh_json_get(o, name));
    return s.ptr ? s.ptr : "";
}

static void offers_are_ranked_beside_this_machine(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *r = NULL;
    assert_int_equal(make(glm, &r, NULL), 0);
    const fh_json *plans = fh_json_get(r, "plans"), *refused = fh_json_get(r, "refused");
    assert_int_equal(fh_json_count(plans), 3);
    assert_string_equal(word(fh_json_at(plans, 0), "place"), "d");
    assert_int_equal(fh_json_int(fh_json_get(fh_json_at(plans, 0), "nusd_per_million"), 0), 4000000000);
    assert_int_equal(fh_json_kind_of(fh_json_get(fh_json_at(plans, 0), "needs_bytes")), FH_JSON_NULL);
    const fh_json *a = fh_json_at(plans, 1);
    assert_string_equal(word(a, "place"), "a");
    assert_string_equal(word(a, "variant"), "native");
    assert_true(fh_json_is_true(fh_json_get(a, "scored")));
    assert_int_equal(fh_json_int(fh_json_get(a, "ready_s"), 0), 60 + 744 + 744);
    assert_int_equal(fh_json_int(fh_json_get(a, "ranks"), 0), 8);
    assert_non_null(strstr(word(fh_json_at(plans, 2), "host"), "2 x 8 x "));
    assert_int_equal(fh_json_count(refused), 2);
    assert_string_equal(word(fh_json_at(refused, 0), "nearest"), "here"); /* a family that our engine does not know */
    assert_string_equal(word(fh_json_at(refused, 1), "reason"), "memory");
    assert_string_equal(word(fh_json_at(refused, 1), "nearest"), "b");
    assert_non_null(strstr(word(fh_json_get(r, "smallest"), "host"), " x "));
}

static void the_starter_runs_here_for_nothing(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *r = NULL;
    assert_int_equal(make("{\"model\":\"smollm2\",\"context_tok\":512,\"streams\":1}", &r, NULL), 0);
    const fh_json *here = fh_json_at(fh_json_get(r, "plans"), 0);
    assert_string_equal(word(here, "place"), "here");
    assert_int_equal(fh_json_kind_of(fh_json_get(here, "scored")), FH_JSON_NULL); /* no variant of it was */
    assert_int_equal(fh_json_int(fh_json_get(here, "hour_nusd"), -1), 0);
    assert_int_equal(fh_json_kind_of(fh_json_get(here, "tokens_per_second")), FH_JSON_NULL); /* not measured */
    assert_int_equal(fh_json_int(fh_json_get(r, "context_tok"), 0), 512);
}

static void a_licence_that_is_too_strict_leaves_nothing(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *r = NULL;
    assert_int_equal(make("{\"model\":\"kimi\",\"licence\":\"ask\"}", &r, NULL), 0);
    assert_int_equal(fh_json_count(fh_json_get(r, "plans")), 0);
    assert_string_equal(word(fh_json_at(fh_json_get(r, "refused"), 0), "reason"), "licence");
}

static void bad_requests_name_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } rows[] = {
        {"{}", FH_E_INVALID, "model"},
        {"{\"model\":\"glm-9\"}", FH_E_NOT_FOUND, "glm-9"},
        {"{\"model\":\"glm-5.3\",\"variant\":\"q9\"}", FH_E_NOT_FOUND, "q9"},
        {"{\"model\":\"glm-5.3\",\"variant\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}", FH_E_NOT_FOUND,
         "variant"},
        {"{\"model\":\"glm-5.3\",\"prefer\":\"fun\"}", FH_E_INVALID, "prefer"},
        {"{\"model\":\"glm-5.3\",\"licence\":\"\"}", FH_E_INVALID, "licence"},
        {"{\"model\":\"glm-5.3\",\"streams\":0}", FH_E_INVALID, "streams"},
        {"{\"model\":\"glm-5.3\",\"max_hour_nusd\":-1}", FH_E_INVALID, "max_hour_nusd"},
        {"{\"model\":\"glm-5.3\",\"offers\":7}", FH_E_INVALID, "offers"},
        {"{\"model\":\"glm-5.3\",\"offers\":[7]}", FH_E_INVALID, "offers[0]"},
        {"{\"model\":\"glm-5.3\",\"offers\":[{\"place\":\"a\",\"device\":\"h200\",\"hour_nusd\":1},{\"place\":\"a\"}]}", FH_E_INVALID,
         "offers[1]"},
        {"{\"model\":\"glm-5.3\",\"offers\":[{\"place\":\"a\",\"device\":\"hgx-h200-8\",\"hour_nusd\":1}]}", FH_E_INVALID, "device"},
        {"{\"model\":\"glm-5.3\",\"offers\":[{\"place\":\"a\",\"device\":\"h200\",\"devices\":65,\"hour_nusd\":1}]}", FH_E_INVALID,
         "devices"},
        {"{\"model\":\"glm-5.3\",\"offers\":[{\"place\":\"a\",\"device\":\"h200\",\"hour_nusd\":-1}]}", FH_E_INVALID, "hour_nusd"},
        {"{\"model\":\"glm-5.3\",\"offers\":[{\"place\":\"a\",\"device\":\"h200\",\"hour_nusd\":1,\"start_s\":-1}]}", FH_E_INVALID,
         "start_s"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_json *r = NULL;
        fh_err *err = NULL;
        assert_int_equal(make(rows[i].text, &r, &err), rows[i].code);
        assert_null(r);
        if (!strstr(fh_err_message(err), rows[i].says)) fail_msg("%s: %s", rows[i].text, fh_err_message(err));
        fh_err_free(err);
    }
}

static void too_many_offers_are_refused(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *ask = fh_json_new_object();
    fh_json *list = fh_json_new_array(), *r = NULL;
    fh_err *err = NULL;
    for (int i = 0; i <= FH_LIMIT_PLAN_OFFERS; i++) assert_true(fh_json_append(list, fh_json_new_int(i)));
    assert_true(fh_json_set(ask, "model", fh_json_new_cstr("glm-5.3")) && fh_json_set(ask, "offers", list));
    assert_int_equal(fh_plans_make(ask, NULL, &r, &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "at most 100000"));
    fh_err_free(err);
}

static int plan_once(void *arg)
{
    (void)arg;
    FH_AUTO(json) fh_json *r = NULL;
    fh_err *err = NULL;
    int rc = make(glm, &r, &err);
    assert_true(rc != 0 || r != NULL);
    fh_err_free(err);
    return rc;
}

static void memory_that_is_out_is_an_error(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, plan_once, NULL, 50) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_ranked_beside_this_machine),
        cmocka_unit_test(the_starter_runs_here_for_nothing),
        cmocka_unit_test(a_licence_that_is_too_strict_leaves_nothing),
        cmocka_unit_test(bad_requests_name_what_is_wrong),
        cmocka_unit_test(too_many_offers_are_refused),
        cmocka_unit_test(memory_that_is_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
