/* The rule of each attention class against the worked figures of its makers, and the ten nearest the frontier against what is published of
 * them. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/plan.h"

static const fh_catalog_model *model(const char *id)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(id));
    assert_non_null(m);
    return m;
}

static fh_plan_model rule(const char *id, fh_plan_kv kv, unsigned ranks)
{
    return fh_plan_model_with(model(id), NULL, kv, ranks);
}

/* Bytes a token in 16 and 8 bits, and a sequence: worked by hand from the published shapes. */
static void each_class_of_attention_gives_the_worked_figures(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint64_t per_tok, per_tok_8bit, fixed;
    } rows[] = {
        {"qwen3-8b", 147456, 73728, 0},                      /* GQA: 36 x 2 x 8 x 128 */
        {"mimo-v2.6-pro", 51200, 25600, 39321600},           /* window, keys wider than values */
        {"gpt-oss-120b", 36864, 18432, 4718592},             /* window of 128 in half of the layers */
        {"kimi-k2.6", 70272, 35136, 0},                      /* MLA */
        {"deepseek-v3.2", 61 * (1152 + 132), 48068, 0},      /* MLA with an index: 656 + 132 in 8 bits */
        {"glm-5.3", 89856 + 78 * 132, 51168 + 78 * 132, 0},  /* the same, index counted for every layer */
        {"glm-5.3-flash", 14080, 7084, 142606336 + 5013504}, /* KDA state, and the columns of its convolution */
        {"kimi-k3", 27648, 13824, 434110464 + 15261696},     /* the same, 96 heads */
        {"qwen3.8-2.4t", 47104, 23552, 289406976 + 5087232}, /* gated DeltaNet */
        {"deepseek-v4-pro-0813", 4970, 4970, 4497408},       /* compressed rows have a width of their own */
        {"deepseek-v4-flash-0731", 3381 + 90, 3471, 3170304},
        {"minimax-m3", 137472, 68736, 0},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_plan_model wide = rule(rows[i].id, FH_PLAN_KV_16BIT, 1), narrow = rule(rows[i].id, FH_PLAN_KV_8BIT, 1);
        assert_int_equal(wide.kv_bytes_per_tok, rows[i].per_tok);
        assert_int_equal(narrow.kv_bytes_per_tok, rows[i].per_tok_8bit);
        assert_int_equal(wide.kv_fixed_bytes, rows[i].fixed);
        assert_int_equal(narrow.kv_fixed_bytes, rows[i].fixed);
    }
}

/* 34 and 18 bytes for 32 elements; windows, indexes, states and rows of a width of their own stay. */
static void a_cache_in_blocks_takes_the_bytes_of_its_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint64_t q8_0, q4_0, fixed;
    } rows[] = {
        {"qwen3-8b", 36 * 2 * 8 * 128 / 32 * 34, 36 * 2 * 8 * 128 / 32 * 18, 0},
        {"mimo-v2.6-pro", 51200 / 64 * 34, 51200 / 64 * 18, 39321600},
        {"kimi-k2.6", 61 * 576 / 32 * 34, 61 * 576 / 32 * 18, 0},
        {"deepseek-v3.2", 61 * (576 / 32 * 34 + 132), 61 * (576 / 32 * 18 + 132), 0},
        {"deepseek-v4-pro-0813", 4970, 4970, 4497408},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_plan_model eight = rule(rows[i].id, FH_PLAN_KV_Q8_0, 1), four = rule(rows[i].id, FH_PLAN_KV_Q4_0, 1);
        assert_int_equal(eight.kv_bytes_per_tok, rows[i].q8_0);
        assert_int_equal(four.kv_bytes_per_tok, rows[i].q4_0);
        assert_int_equal(eight.kv_fixed_bytes, rows[i].fixed);
    }
    assert_int_equal(fh_plan_kv_bytes(FH_PLAN_KV_16BIT, UINT64_MAX), UINT64_MAX);
    assert_int_equal(fh_plan_kv_bytes(FH_PLAN_KV_Q8_0, 1), 1); /* never under */
}

static void people_name_the_types_that_engines_know(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        fh_plan_kv kv;
    } good[] = {{"", FH_PLAN_KV_16BIT}, {"f16", FH_PLAN_KV_16BIT}, {"q8_0", FH_PLAN_KV_Q8_0}, {"q4_0", FH_PLAN_KV_Q4_0}};
    static const char *const bad[] = {"fp8", "Q8_0", "q8_00", "q8", "f16 "};
    fh_plan_kv kv;
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        assert_int_equal(fh_plan_kv_parse(fh_str_of(good[i].name), &kv, NULL), 0);
        assert_int_equal(kv, good[i].kv);
        if (*good[i].name) assert_string_equal(fh_plan_kv_name(kv), good[i].name);
    }
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_plan_kv_parse(fh_str_of(bad[i]), &kv, &err), FH_E_INVALID);
        assert_string_equal(fh_err_hint_get(err), "it can as f16, q8_0 or q4_0");
        assert_string_equal(fh_err_param_get(err), "kv_type");
    }
    assert_true(fh_plan_kv_same("", "f16") && fh_plan_kv_same("q8_0", "q8_0"));
    assert_false(fh_plan_kv_same("", "q8_0") || fh_plan_kv_same("fp8", "fp8"));
}

static void the_catalogues_figures_are_those_of_its_caches(void **state)
{
    (void)state;
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->model_count; i++) {
        const fh_catalog_model *m = c->models[i];
        fh_plan_model p = fh_plan_model_of(m, m->variants);
        assert_int_equal(p.kv_bytes_per_tok, m->kv_bytes_per_tok);
        assert_int_equal(p.kv_fixed_bytes, m->kv_fixed_bytes);
        if (m->rank && m->rank <= 10) assert_true(m->cache_count > 0 && m->layers > 0);
    }
}

static void ranks_share_heads_and_copy_what_has_none(void **state)
{
    (void)state;
    uint64_t one = rule("qwen3-8b", FH_PLAN_KV_16BIT, 1).kv_bytes_per_tok; /* 8 KV heads */
    assert_int_equal(rule("qwen3-8b", FH_PLAN_KV_16BIT, 0).kv_bytes_per_tok, one);
    assert_int_equal(rule("qwen3-8b", FH_PLAN_KV_16BIT, 8).kv_bytes_per_tok, one);
    assert_int_equal(rule("qwen3-8b", FH_PLAN_KV_16BIT, 16).kv_bytes_per_tok, 2 * one);
    assert_int_equal(rule("qwen3-8b", FH_PLAN_KV_16BIT, 3).kv_bytes_per_tok, one / 8 * 9);
    assert_int_equal(rule("kimi-k3", FH_PLAN_KV_8BIT, 8).kv_bytes_per_tok, 8 * 13824); /* a latent on every rank */
    assert_int_equal(rule("kimi-k3", FH_PLAN_KV_8BIT, 8).kv_fixed_bytes, rule("kimi-k3", FH_PLAN_KV_8BIT, 1).kv_fixed_bytes);
    assert_int_equal(rule("deepseek-v4-pro-0813", FH_PLAN_KV_8BIT, 4).kv_fixed_bytes, 4 * 4497408);
}

static void unknown_caches_are_reckoned_by_the_figure_on_each_rank(void **state)
{
    (void)state;
    fh_catalog_model m = {.kv_bytes_per_tok = 100, .kv_fixed_bytes = 7};
    fh_plan_model p = fh_plan_model_with(&m, NULL, FH_PLAN_KV_8BIT, 4);
    assert_int_equal(p.kv_bytes_per_tok, 400);
    assert_int_equal(p.kv_fixed_bytes, 28);
    assert_int_equal(p.weights_bytes, 0);
}

/* What is published of the ten (2026-11): weights, and what one sequence keeps at 128K and at 1M tokens, in tenths of GB. The cache is in 8
 * bits but where the maker's engines keep 16 (Mistral Large 4).
 *
 * Where ours is more in the last columns: GLM-5.3 and Hy4 count the index that chooses keys (132 B a layer that owns one; which of GLM's 78
 * do is not published, so all are counted); Qwen3.8 counts the state of its 69 linear layers, whose size the table leaves out; Mistral
 * Large 4 its index keys, which the table names but does not count. Against weights of hundreds of GB each is under half a percent. */
typedef struct published {
    const char *id, *variant;
    uint64_t weights, at_128k, at_1m; /* tenths of GB */
    fh_plan_kv kv;
    bool more; /* of the kinds above */
} published;

static const published ten[] = {
    {"kimi-k3.1-pro", "native", 15600, 23, 150, FH_PLAN_KV_8BIT, false},
    {"kimi-k3", "native", 15600, 23, 150, FH_PLAN_KV_8BIT, false},
    {"deepseek-v4.1-flash", "1017", 5110, 1, 9, FH_PLAN_KV_8BIT, false},
    {"glm-5.3", "native", 7440, 67, 540, FH_PLAN_KV_8BIT, true},
    {"glm-5.3", "nvfp4", 4650, 67, 540, FH_PLAN_KV_8BIT, true},
    {"qwen3.8-2.4t", "fp8", 24960, 31, 250, FH_PLAN_KV_8BIT, true},
    {"qwen3.8-2.4t", "nvfp4", 14510, 31, 250, FH_PLAN_KV_8BIT, true},
    {"hy4-preview", "fp8", 7700, 67, 540, FH_PLAN_KV_8BIT, true},
    {"mimo-v2.6-pro", "native", 5700, 34, 270, FH_PLAN_KV_8BIT, false},
    {"glm-5.3-flash", "native", 3280, 11, 76, FH_PLAN_KV_8BIT, false},
    {"mistral-large-4", "fp8", 11000, 94, 750, FH_PLAN_KV_16BIT, true},
    {"mistral-large-4", "ud-iq1-s", 2330, 94, 750, FH_PLAN_KV_16BIT, true},
    {"muse-spark-open", "nvfp4", 4700, 47, 350, FH_PLAN_KV_8BIT, false},
};

#define TENTH UINT64_C(100000000)

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + TENTH / 2) / TENTH;
}

static fh_plan_need need_of(const published *t, int64_t context_tok)
{
    const fh_catalog_model *m = model(t->id);
    const fh_catalog_variant *v = fh_catalog_variant_find(m, t->variant);
    assert_non_null(v);
    fh_plan_model p = fh_plan_model_with(m, v, t->kv, 1);
    p.context_max_tok = 0; /* the table reckons Qwen3.8 beyond its own 256K too */
    return fh_plan_need_of(&p, context_tok, 1);
}

/* Weights and cache: never under, and with the workspace that engines take at most 8 percent over. */
static void the_ten_need_what_is_published_and_at_most_eight_percent_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(ten); i++) {
        fh_plan_need n = need_of(&ten[i], 128 << 10);
        uint64_t said = ten[i].weights + ten[i].at_128k;
        assert_true(rounded(n.weights_bytes + n.kv_bytes + n.fixed_bytes) >= said);
        assert_true(n.total_bytes <= said * TENTH / 100 * 108);
    }
}

static void the_caches_of_the_ten_are_those_published_or_differ_for_a_known_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(ten); i++) {
        fh_plan_need at_128k = need_of(&ten[i], 128 << 10), at_1m = need_of(&ten[i], 1 << 20);
        uint64_t small = rounded(at_128k.kv_bytes + at_128k.fixed_bytes), large = rounded(at_1m.kv_bytes + at_1m.fixed_bytes);
        if (ten[i].more) {
            assert_in_range(small, ten[i].at_128k, ten[i].at_128k * 122 / 100);
            assert_in_range(large, ten[i].at_1m - 5, ten[i].at_1m * 122 / 100);
        } else {
            assert_int_equal(small, ten[i].at_128k);
            assert_in_range(large, ten[i].at_1m - 5, ten[i].at_1m + 5); /* the table rounds to whole GB */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_of_attention_gives_the_worked_figures),
        cmocka_unit_test(a_cache_in_blocks_takes_the_bytes_of_its_blocks),
        cmocka_unit_test(people_name_the_types_that_engines_know),
        cmocka_unit_test(the_catalogues_figures_are_those_of_its_caches),
        cmocka_unit_test(ranks_share_heads_and_copy_what_has_none),
        cmocka_unit_test(unknown_caches_are_reckoned_by_the_figure_on_each_rank),
        cmocka_unit_test(the_ten_need_what_is_published_and_at_most_eight_percent_more),
        cmocka_unit_test(the_caches_of_the_ten_are_those_published_or_differ_for_a_known_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
