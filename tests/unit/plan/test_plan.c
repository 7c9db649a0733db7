/* The memory rule against numbers that were worked out by hand, its edges, and the sentences that people read. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/plan.h"

static const fh_plan_machine small = {UINT64_C(24000000000), UINT64_C(20000000000), 0};

static void the_rule_gives_the_worked_example(void **state)
{
    (void)state;
    /* GLM-5.3: 89,856 bytes a token, 1000 tokens, 2 streams; no fixed state */
    fh_plan_model m = {UINT64_C(744000000000), 89856, 0, 1048576};
    fh_plan_need n = fh_plan_need_of(&m, 1000, 2);
    assert_int_equal(n.kv_bytes, 179712000);
    assert_int_equal(n.fixed_bytes, 0);
    assert_int_equal(n.workspace_bytes, (744000000000ull + 179712000) / 1000 * 75);
    assert_int_equal(n.total_bytes, n.weights_bytes + n.kv_bytes + n.workspace_bytes);
    m = (fh_plan_model){1560000000000ull, 27648, 434110464, 0}; /* Kimi K3: a state per stream */
    assert_int_equal(fh_plan_need_of(&m, 100, 3).fixed_bytes, 3ull * 434110464);
}

static void defaults_and_the_models_own_context_bound_the_request(void **state)
{
    (void)state;
    fh_plan_model m = {1000, 10, 0, 2048};
    fh_plan_need n = fh_plan_need_of(&m, 0, 0);
    assert_int_equal(n.context_tok, 2048);
    assert_int_equal(n.streams, FH_PLAN_STREAMS_DEFAULT);
    m.context_max_tok = 0;
    assert_int_equal(fh_plan_need_of(&m, 0, 0).context_tok, FH_PLAN_CONTEXT_DEFAULT);
    assert_int_equal(fh_plan_need_of(&m, 1, 1).workspace_bytes, 64 << 20);
}

static void verdicts_stand_on_both_sides_of_their_edges(void **state)
{
    (void)state;
    fh_plan_model m = {1000, 0, 0, 0};
    uint64_t total = fh_plan_need_of(&m, 1, 1).total_bytes;
    fh_plan_machine on = {total, 0, 0};
    assert_int_equal(fh_plan_fit_of(&m, &on, 1, 1).verdict, FH_PLAN_FITS);
    on.memory_available_bytes = total - 1;
    fh_plan_fit f = fh_plan_fit_of(&m, &on, 1, 1);
    assert_int_equal(f.verdict, FH_PLAN_TIGHT);
    assert_int_equal(f.missing_bytes, 1);
    on.memory_bytes = total - 1;
    f = fh_plan_fit_of(&m, &on, 1, 1);
    assert_int_equal(f.verdict, FH_PLAN_TOO_LARGE);
    assert_int_equal(f.missing_bytes, 1);
    on = (fh_plan_machine){2 * total, 0, total};
    assert_int_equal(fh_plan_fit_of(&m, &on, 1, 1).verdict, FH_PLAN_FITS);
    on.promised_bytes++;
    f = fh_plan_fit_of(&m, &on, 1, 1);
    assert_int_equal(f.verdict, FH_PLAN_TIGHT);
    assert_int_equal(f.missing_bytes, 1);
    on.promised_bytes = UINT64_MAX;
    assert_int_equal(fh_plan_fit_of(&m, &on, 1, 1).missing_bytes, total);
    m.weights_bytes = 0;
    assert_int_equal(fh_plan_fit_of(&m, &on, 1, 1).verdict, FH_PLAN_UNKNOWN);
}

static void sums_saturate(void **state)
{
    (void)state;
    fh_plan_model m = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 0};
    assert_true(fh_plan_need_of(&m, INT64_MAX, INT64_MAX).total_bytes == UINT64_MAX);
    assert_int_equal(fh_plan_fit_of(&m, &small, INT64_MAX, INT64_MAX).verdict, FH_PLAN_TOO_LARGE);
}

static bool is_starter(void *arg, const fh_catalog_model *m)
{
    (void)arg;
    return m->starter;
}

static void the_nearest_that_would_fit_is_offered(void **state)
{
    (void)state;
    const fh_catalog_model *kimi = fh_catalog_find(FH_STR("kimi-k3.1-pro"));
    const fh_catalog_model *here = fh_plan_nearest(kimi, &small, NULL, NULL);
    assert_non_null(here);
    assert_true(here->runs_here);
    assert_ptr_not_equal(fh_plan_nearest(here, &small, NULL, NULL), here);
    assert_ptr_not_equal(here, fh_catalog_starter());
    assert_ptr_equal(fh_plan_nearest(kimi, &small, is_starter, NULL), fh_catalog_starter());
    assert_null(fh_plan_nearest(fh_catalog_starter(), &small, is_starter, NULL));
    fh_plan_machine tiny = {UINT64_C(300000000), 0, 0};
    assert_ptr_equal(fh_plan_nearest(kimi, &tiny, NULL, NULL), fh_catalog_starter());
}

static void sentences_are_what_people_read(void **state)
{
    (void)state;
    char text[160];
    const fh_catalog_model *kimi = fh_catalog_find(FH_STR("kimi-k3.1-pro"));
    fh_plan_model m = fh_plan_model_of(kimi, kimi->variants);
    fh_plan_fit f = fh_plan_fit_of(&m, &small, 0, 0);
    fh_plan_sentence(&f, &small, NULL, text, sizeof(text));
    assert_string_equal(text, "needs 1,680 GB, this machine has 24 GB");
    const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 MB"},
                {512000000, "512 MB"},
                {98700000, "98.7 MB"},
                {1000000000, "1 GB"},
                {1250000000, "1.3 GB"},
                {25324000000, "25.3 GB"},
                {999600000000, "1,000 GB"},
                {1681000000000, "1,680 GB"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_plan_bytes(rows[i].bytes, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_gives_the_worked_example),
        cmocka_unit_test(defaults_and_the_models_own_context_bound_the_request),
        cmocka_unit_test(verdicts_stand_on_both_sides_of_their_edges),
        cmocka_unit_test(sums_saturate),
        cmocka_unit_test(the_nearest_that_would_fit_is_offered),
        cmocka_unit_test(sentences_are_what_people_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
