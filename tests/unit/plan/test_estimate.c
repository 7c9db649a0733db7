/* Speed and energy of a host against what was measured on such hosts, and which hosts hold the ten nearest the frontier. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "estimate.h"
#include <math.h>
#include <stdio.h>

#define G UINT64_C(1000000000)

static const fh_plan_host h100 = {.name = "H100",
                                  .devices = 1,
                                  .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF,
                                  .memory_bytes = 80 * G,
                                  .bandwidth_bytes = 3350 * G,
                                  .ops_16bit = 989000 * G,
                                  .ops_8bit = 1979000 * G,
                                  .watts = 700};
static const fh_plan_host b200 = {.name = "B200",
                                  .devices = 1,
                                  .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF,
                                  .memory_bytes = 180 * G,
                                  .bandwidth_bytes = 8000 * G,
                                  .ops_16bit = 2250000 * G,
                                  .ops_8bit = 4500000 * G,
                                  .ops_4bit = 9000000 * G,
                                  .watts = 1000};
static const fh_plan_host h200 = {.name = "H200",
                                  .devices = 1,
                                  .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF,
                                  .memory_bytes = 141 * G,
                                  .bandwidth_bytes = 4800 * G,
                                  .ops_16bit = 989000 * G,
                                  .ops_8bit = 1979000 * G,
                                  .watts = 700};
static const fh_plan_host b300 = {.name = "B300",
                                  .devices = 1,
                                  .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF,
                                  .memory_bytes = 268 * G,
                                  .bandwidth_bytes = 8000 * G,
                                  .ops_16bit = 2250000 * G,
                                  .ops_8bit = 4500000 * G,
                                  .ops_4bit = 13500000 * G,
                                  .watts = 1400};

static fh_plan_host several(const fh_plan_host *of, uint32_t devices)
{
    fh_plan_host h = *of;
    h.devices = devices;
    return h;
}

typedef struct measured {
    const char *model;
    double total_b, active_b;
    uint64_t bytes;
    uint32_t layers, kv_heads, head; /* kv_heads 0: MLA */
    const fh_plan_host *device;
    uint32_t devices;
    int64_t batch, tok_s, mj_tok; /* thousandths of a joule a token, accelerators alone */
} measured;

#define LLAMA_8B    "Llama 3.1 8B", 8.03, 8.03, 16 * G, 32, 8, 128
#define LLAMA_70B   "Llama 3.3 70B", 70.6, 70.6, 141 * G, 80, 8, 128
#define LLAMA_405B  "Llama 3.1 405B FP8", 405, 405, 405 * G, 126, 8, 128
#define QWEN_235B   "Qwen3 235B-A22B FP8", 235, 22, 235 * G, 94, 4, 128
#define DEEPSEEK_V3 "DeepSeek V3.1", 671, 37, 671 * G, 61, 0, 0
#define GPT_OSS     "gpt-oss-120b", 117, 5.1, 63 * G, 36, 8, 64

/* ML.ENERGY Leaderboard v3 (2026-02-16), vLLM in steady state. */
static const measured rows[] = {
    {LLAMA_8B, &h100, 1, 8, 1070, 455},       {LLAMA_8B, &h100, 1, 32, 3391, 165},   {LLAMA_8B, &b200, 1, 8, 1637, 391},
    {LLAMA_8B, &b200, 1, 32, 3810, 151},      {LLAMA_70B, &h100, 4, 8, 465, 3850},   {LLAMA_70B, &h100, 4, 32, 1518, 1250},
    {LLAMA_70B, &h100, 4, 128, 3895, 604},    {LLAMA_70B, &b200, 2, 8, 470, 3620},   {LLAMA_70B, &b200, 2, 32, 1600, 1100},
    {LLAMA_70B, &b200, 2, 128, 3973, 481},    {LLAMA_405B, &h100, 8, 8, 233, 14000}, {LLAMA_405B, &h100, 8, 32, 786, 4770},
    {LLAMA_405B, &h100, 8, 128, 1896, 2430},  {LLAMA_405B, &b200, 4, 8, 266, 13000}, {LLAMA_405B, &b200, 4, 32, 865, 4100},
    {LLAMA_405B, &b200, 4, 128, 2170, 1770},  {QWEN_235B, &h100, 8, 8, 316, 11400},  {QWEN_235B, &h100, 8, 32, 1017, 3640},
    {QWEN_235B, &h100, 8, 128, 2840, 1360},   {QWEN_235B, &b200, 2, 8, 214, 8420},   {QWEN_235B, &b200, 2, 32, 721, 2630},
    {QWEN_235B, &b200, 2, 128, 2255, 822},    {DEEPSEEK_V3, &b200, 8, 8, 450, 8570}, {DEEPSEEK_V3, &b200, 8, 32, 1091, 4390},
    {DEEPSEEK_V3, &b200, 8, 128, 2907, 1940}, {GPT_OSS, &h100, 1, 8, 804, 684},      {GPT_OSS, &h100, 1, 32, 1745, 376},
    {GPT_OSS, &b200, 1, 8, 1358, 486},        {GPT_OSS, &b200, 1, 32, 2781, 258},    {GPT_OSS, &b200, 1, 128, 7347, 116},
};

static estimate estimated(const measured *r, uint32_t speed_per_mille)
{
    fh_catalog_cache cache = {FH_CACHE_GQA, r->layers, r->kv_heads, r->head, r->head, 0, 0, 0, 0, 0};
    if (r->kv_heads == 0) cache = (fh_catalog_cache){FH_CACHE_MLA, r->layers, 1, 512, 64, 0, 0, 0, 0, 0};
    fh_catalog_variant v = {.name = "measured", .format = "", .bytes = r->bytes};
    fh_catalog_model m = {.id = r->model,
                          .params_total_b = r->total_b,
                          .params_active_b = r->active_b,
                          .layers = r->layers,
                          .context_tok = 131072,
                          .caches = &cache,
                          .cache_count = 1,
                          .variants = &v,
                          .variant_count = 1};
    fh_plan_wishes asked = {.context_tok = 2048, .streams = r->batch, .prompt_tok = 500, .answer_tok = 1000};
    fh_plan_wishes w = estimate_wishes(&asked);
    fh_plan_host h = several(r->device, r->devices);
    h.speed_per_mille = speed_per_mille;
    estimate e;
    FH_AUTO(estimator) estimator *by = NULL;
    assert_int_equal(estimator_new(&by, &m, &w, NULL), 0);
    estimate_host(by, &h, true, &e);
    assert_true(e.fits);
    return e;
}

/* Without any calibration: the worst is off by half, the average by less than a fifth. */
static void decoding_is_predicted_as_it_was_measured(void **state)
{
    (void)state;
    double off = 0;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        estimate e = estimated(&rows[i], 0);
        double share = (double)e.plan.decode_millitok_s * (double)rows[i].batch / 1000 / (double)rows[i].tok_s;
        if (share < 0.65 || share > 1.55)
            fail_msg("%s, %u, batch %lld: %.2f of what was measured", rows[i].model, rows[i].devices, (long long)rows[i].batch, share);
        off += share > 1 ? share - 1 : 1 - share;
    }
    size_t count = FH_COUNT(rows);
    assert_true(off / (double)count < 0.2);
}

/* The accelerators' part: a host's own draw is not in the measurements. */
static void energy_is_predicted_as_it_was_measured(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        estimate e = estimated(&rows[i], 0);
        double mj = (double)e.plan.mtok_uj / 1e9 / (1 + 25.0 / 58);
        double share = mj / (double)rows[i].mj_tok;
        if (share < 0.5 || share > 2.2)
            fail_msg("%s, %u, batch %lld: %.2f of what was measured", rows[i].model, rows[i].devices, (long long)rows[i].batch, share);
    }
}

static void a_measured_host_is_faster_or_slower_by_its_measure(void **state)
{
    (void)state;
    estimate plain = estimated(&rows[4], 0), same = estimated(&rows[4], 1000), slow = estimated(&rows[4], 500);
    assert_int_equal(plain.plan.decode_millitok_s, same.plan.decode_millitok_s);
    assert_true(slow.plan.decode_millitok_s < plain.plan.decode_millitok_s * 3 / 4);
}

static estimate on(const char *id, const char *variant, const fh_plan_host *h, int64_t streams, int64_t context_tok)
{
    fh_plan_wishes asked = {.variant = variant, .context_tok = context_tok, .streams = streams};
    fh_plan_wishes w = estimate_wishes(&asked);
    estimate e;
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(id));
    assert_non_null(m);
    FH_AUTO(estimator) estimator *by = NULL;
    assert_int_equal(estimator_new(&by, m, &w, NULL), 0);
    estimate_host(by, h, true, &e);
    return e;
}

static void prompts_are_as_fast_as_they_were_measured_and_answers_no_slower(void **state)
{
    (void)state;
    fh_plan_host h = several(&h200, 1);
    h.ops_16bit = h.ops_8bit = h.ops_4bit = 0;
    h.prefill_ops = 2000000000000;
    estimate e = on("smollm2-135m", "q4_1", &h, 1, 2048);
    double params = fh_catalog_find(FH_STR("smollm2-135m"))->params_total_b * 1e9;
    assert_true(e.plan.prefill_tok_s > 0 && fabs((double)e.plan.prefill_tok_s / (1e12 / params) - 1) < 0.01);
    h.prefill_ops = 0;
    assert_int_equal(on("smollm2-135m", "q4_1", &h, 1, 2048).plan.decode_millitok_s, e.plan.decode_millitok_s);
}

/* The hosts that are published as the smallest sane ones, at 128K tokens and one stream, and a class below that does not do. Where none is
 * given the class below does hold it here too: V4.1 Flash and MiMo are published for eight H200, with room for many streams. */
static void the_ten_fit_the_hosts_that_are_published_for_them(void **state)
{
    (void)state;
    const struct {
        const char *id, *variant;
        const fh_plan_host *device;
        uint32_t devices;
        const fh_plan_host *below;
        uint32_t below_devices;
    } ten[] = {
        {"kimi-k3.1-pro", "native", &b300, 8, &b200, 8},
        {"kimi-k3", "native", &b300, 8, &h200, 8},
        {"deepseek-v4.1-flash", "native", &h200, 8, &h200, 4},
        {"glm-5.3", "native", &h200, 8, &h200, 4},
        {"glm-5.3", "nvfp4", &b300, 4, &b300, 2},
        {"qwen3.8-2.4t", "nvfp4", &b300, 8, &b200, 8},
        {"hy4-preview", "fp8", &h200, 8, &b200, 4},
        {"mimo-v2.6-pro", "native", &h200, 8, &h200, 4},
        {"glm-5.3-flash", "native", &h200, 4, &h200, 2},
        {"mistral-large-4", "fp8", &b200, 8, &h200, 8},
        {"muse-spark-open", "nvfp4", &h200, 8, &h200, 2},
    };
    for (size_t i = 0; i < FH_COUNT(ten); i++) {
        fh_plan_host host = several(ten[i].device, ten[i].devices), below = several(ten[i].below, ten[i].below_devices);
        estimate e = on(ten[i].id, ten[i].variant, &host, 1, 128 << 10), no = on(ten[i].id, ten[i].variant, &below, 1, 128 << 10);
        if (!e.fits)
            fail_msg("%s does not fit %u x %s: %lld of %lld", ten[i].id, host.devices, host.name, (long long)e.had, (long long)e.wanted);
        if (no.fits || no.why != FH_PLAN_BY_MEMORY) fail_msg("%s fits %u x %s", ten[i].id, below.devices, below.name);
        assert_true(no.wanted > no.had);
    }
}

static void latents_on_every_rank_bound_the_streams(void **state)
{
    (void)state;
    fh_plan_host eight = several(&h200, 8);
    estimate e = on("glm-5.3", "native", &eight, 1, 128 << 10);
    assert_int_equal(e.plan.ranks, 8);
    assert_in_range(e.plan.streams_max, 3, 5);
    e = on("mimo-v2.6-pro", "native", &eight, 1, 128 << 10); /* GQA of 8 heads: none is a copy */
    assert_in_range(e.plan.streams_max, 100, 150);
    assert_true(e.plan.need.kv_bytes < 4 * G);
}

static void several_machines_hold_ranges_of_layers(void **state)
{
    (void)state;
    fh_plan_host pair = several(&h200, 8);
    pair.machines = 2;
    estimate e = on("kimi-k3", "native", &pair, 1, 32 << 10); /* published: two of eight H200, 32K */
    assert_true(e.fits);
    assert_int_equal(e.plan.machines, 2);
    fh_plan_host one = several(&b300, 8);
    estimate whole = on("kimi-k3", "native", &one, 1, 32 << 10);
    assert_true(whole.plan.decode_millitok_s > e.plan.decode_millitok_s);
}

static void ranks_divide_the_heads(void **state)
{
    (void)state;
    fh_plan_host seven = several(&b300, 7);
    assert_int_equal(on("glm-5.3", "nvfp4", &seven, 1, 4096).plan.ranks, 4);           /* 64 heads */
    assert_int_equal(on("kimi-k3", "native", &seven, 1, 4096).why, FH_PLAN_BY_MEMORY); /* 6 of 96 heads, not 7 */
}

static void engines_open_what_they_say(void **state)
{
    (void)state;
    fh_plan_host cpu = {.name = "here",
                        .devices = 1,
                        .opens = FH_PLAN_OURS,
                        .cpu = true,
                        .memory_bytes = 24 * G,
                        .bandwidth_bytes = 50 * G,
                        .ops_16bit = 1000 * G,
                        .watts = 100};
    estimate e = on("smollm2-135m", NULL, &cpu, 1, 4096);
    assert_true(e.fits);
    assert_true(e.plan.decode_millitok_s > 100000);
    assert_int_equal(e.plan.kv, FH_PLAN_KV_16BIT);
    assert_int_equal(on("kimi-k3", NULL, &cpu, 1, 4096).why, FH_PLAN_BY_FORMAT); /* not a family of ours */
    cpu.opens = FH_PLAN_GGUF;
    e = on("kimi-k3", NULL, &cpu, 1, 4096);
    assert_int_equal(e.why, FH_PLAN_BY_MEMORY);
    assert_true(e.wanted < (int64_t)(700 * G)); /* the smallest of its files is the nearest */
    assert_int_equal(on("kimi-k3", "nvfp4", &cpu, 1, 4096).why, FH_PLAN_BY_FORMAT);
    cpu.opens = FH_PLAN_TENSORS; /* another maker's device */
    assert_int_equal(on("kimi-k3", "nvfp4", &cpu, 1, 4096).why, FH_PLAN_BY_FORMAT);
    cpu.opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4;
    assert_int_equal(on("kimi-k3", "nvfp4", &cpu, 1, 4096).why, FH_PLAN_BY_SIZE);
}

static void what_nobody_measured_is_unknown_and_not_zero_cost(void **state)
{
    (void)state;
    fh_plan_host h = several(&h200, 4);
    h.watts = 0;
    h.ops_16bit = h.ops_8bit = h.ops_4bit = 0;
    estimate e = on("glm-5.3-flash", "native", &h, 1, 4096);
    assert_true(e.fits);
    assert_int_equal(e.plan.mtok_uj, -1);
    assert_int_equal(e.plan.prefill_tok_s, 0);
    assert_int_equal(e.plan.first_token_ms, 0);
    assert_true(e.plan.decode_millitok_s > 0);
    h.bandwidth_bytes = 0;
    e = on("glm-5.3-flash", "native", &h, 1, 4096);
    assert_true(e.fits && !e.mtok_known);
    assert_int_equal(e.plan.decode_millitok_s, 0);
    assert_true(e.plan.streams_max > 1);
}

static void water_is_on_site_and_of_the_electricity_with_pue_once(void **state)
{
    (void)state;
    const fh_plan_region r = {1500, 1000, 2000};
    assert_int_equal(estimate_mtok_ul(INT64_C(3600000000000), &r), 1000000 + 1500 * 2000); /* one kWh: 1 L and 1.5 x 2 L */
    assert_int_equal(estimate_mtok_ul(-1, &r), -1);
    assert_true(estimate_mtok_ul(INT64_C(3600000000000), NULL) > 4000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_is_predicted_as_it_was_measured),
        cmocka_unit_test(energy_is_predicted_as_it_was_measured),
        cmocka_unit_test(a_measured_host_is_faster_or_slower_by_its_measure),
        cmocka_unit_test(prompts_are_as_fast_as_they_were_measured_and_answers_no_slower),
        cmocka_unit_test(the_ten_fit_the_hosts_that_are_published_for_them),
        cmocka_unit_test(latents_on_every_rank_bound_the_streams),
        cmocka_unit_test(several_machines_hold_ranges_of_layers),
        cmocka_unit_test(ranks_divide_the_heads),
        cmocka_unit_test(engines_open_what_they_say),
        cmocka_unit_test(what_nobody_measured_is_unknown_and_not_zero_cost),
        cmocka_unit_test(water_is_on_site_and_of_the_electricity_with_pue_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
