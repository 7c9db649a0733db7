/* What a request allows of where it may be answered. */
#include "cmocka_all.h"
#include "rules.h"

static const fh_candidate own = {
    .deployment = "small-2", .model = "small", .place = "here", .region = "de", .arm = "small:q4", .priced = true, .context_tok = 1000};
static const fh_candidate hosted = {.deployment = "provider/lab",
                                    .model = "large",
                                    .place = "provider/lab",
                                    .arm = "provider/lab/large",
                                    .trust = FH_TRUST_NAMED,
                                    .priced = true,
                                    .in_nusd = 1000000000,
                                    .out_nusd = 5000000000,
                                    .licence = FH_TERMS_ASK};

static fh_rules all(void)
{
    return (fh_rules){.trust = "any", .licence = FH_TERMS_RESTRICTED, .max_nusd = -1, .prompt_tok = 100, .answer_tok = 200};
}

static void everything_may_answer_what_allows_everything(void **state)
{
    fh_rules r = all();
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULES_KEPT);
}

static void trust_and_licence_are_bounds(void **state)
{
    fh_rules r = all();
    strcpy(r.trust, "rented");
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_TRUST);
    r = all();
    r.licence = FH_TERMS_FREE;
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_LICENCE);
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
}

static void what_names_its_readers_is_read_by_no_other(void **state)
{
    fh_candidate den = hosted;
    den.place = "node/den";
    den.owner = "alice";
    den.trust = FH_TRUST_RENTED;
    fh_rules r = all();
    strcpy(r.trust, "own,node/den");
    assert_int_equal(fh_rules_broken(&r, &den), FH_RULES_KEPT);
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_TRUST);
    strcpy(r.trust, "own,owner/bob");
    assert_int_equal(fh_rules_broken(&r, &den), FH_RULE_TRUST);
}

static void what_a_key_does_not_trust_no_request_does(void **state)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_rules r = all();
    strcpy(r.key_trust, "own,node/den");
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_TRUST);
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    assert_int_equal(fh_rules_refuse(&r, FH_RULE_TRUST, &err), FH_E_FORBIDDEN);
    assert_non_null(strstr(fh_err_message(err), "'any'"));
    assert_non_null(strstr(fh_err_message(err), "'own,node/den' of its key"));
}

static void what_may_be_answered_in_some_regions_is_answered_nowhere_else(void **state)
{
    fh_rules r = all();
    strcpy(r.regions, "fr,de");
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_REGION); /* nobody said where it stands */
    strcpy(r.regions, "de-2");
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULE_REGION);
}

static void models_can_be_named_and_excluded_by_any_of_their_names(void **state)
{
    static const char *const names[] = {"small", "x, small-2", "deployment/small-2 ,y", "small:q4", "here"};
    fh_rules r = all();
    for (size_t i = 0; i < FH_COUNT(names); i++) {
        strcpy(r.models, names[i]);
        assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
        assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_MODELS);
    }
    r = all();
    strcpy(r.exclude, "provider/lab/large,nothing");
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_MODELS);
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    strcpy(r.exclude, "smal");
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
}

static void a_prompt_must_fit_where_the_model_is_open(void **state)
{
    fh_rules r = all();
    fh_candidate c = own;
    r.prompt_tok = 1001;
    assert_int_equal(fh_rules_broken(&r, &c), FH_RULES_KEPT); /* asked for by name: the engine knows better */
    c.open = true;
    assert_int_equal(fh_rules_broken(&r, &c), FH_RULE_CONTEXT);
}

static void what_may_be_spent_is_not_exceeded_or_guessed(void **state)
{
    fh_rules r = all();
    fh_candidate unknown = hosted;
    assert_int_equal(fh_rules_cost(&r, &hosted), 1100000); /* 100 in at 1 $ a million, 200 out at 5 */
    r.max_nusd = 1100000;
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULES_KEPT);
    r.max_nusd--;
    assert_int_equal(fh_rules_broken(&r, &hosted), FH_RULE_COST);
    assert_int_equal(fh_rules_broken(&r, &own), FH_RULES_KEPT);
    unknown.priced = false;
    r.max_nusd = INT64_MAX;
    assert_int_equal(fh_rules_broken(&r, &unknown), FH_RULE_COST);
}

static void amounts_are_read_exactly(void **state)
{
    static const struct {
        const char *text;
        int64_t nusd; /* -1: refused */
    } rows[] = {{"0", 0},
                {"0.02", 20000000},
                {"0.02USD", 20000000},
                {"1 USD", 1000000000},
                {"0.000000001", 1},
                {"1000000000", 1000000000000000000},
                {"1e3", -1},
                {"", -1},
                {"-1", -1},
                {"0.0000000001", -1},
                {"2EUR", -1},
                {"1.", -1},
                {".5", -1},
                {"1.2.3", -1},
                {"2000000000", -1}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        int64_t got = -1;
        assert_int_equal(fh_cost_parse(fh_str_of(rows[i].text), &got), rows[i].nusd >= 0);
        assert_int_equal(got, rows[i].nusd);
    }
}

static void each_rule_that_leaves_nothing_says_so(void **state)
{
    static const int codes[FH_RULES] = {
        [FH_RULE_TRUST] = FH_E_FORBIDDEN,   [FH_RULE_REGION] = FH_E_FORBIDDEN, [FH_RULE_MODELS] = FH_E_UNAVAILABLE,
        [FH_RULE_LICENCE] = FH_E_FORBIDDEN, [FH_RULE_CONTEXT] = FH_E_INVALID,  [FH_RULE_COST] = FH_E_BUDGET};
    fh_rules r = all();
    for (fh_rule rule = FH_RULES_KEPT; rule < FH_RULES; rule++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_rules_refuse(&r, rule, &err), codes[rule]);
        assert_int_equal(err != NULL, codes[rule] != 0);
        if (err) assert_non_null(fh_err_hint_get(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_may_answer_what_allows_everything),
        cmocka_unit_test(trust_and_licence_are_bounds),
        cmocka_unit_test(what_names_its_readers_is_read_by_no_other),
        cmocka_unit_test(what_a_key_does_not_trust_no_request_does),
        cmocka_unit_test(what_may_be_answered_in_some_regions_is_answered_nowhere_else),
        cmocka_unit_test(models_can_be_named_and_excluded_by_any_of_their_names),
        cmocka_unit_test(a_prompt_must_fit_where_the_model_is_open),
        cmocka_unit_test(what_may_be_spent_is_not_exceeded_or_guessed),
        cmocka_unit_test(amounts_are_read_exactly),
        cmocka_unit_test(each_rule_that_leaves_nothing_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
