/* The published figures, each with the formula that gives it. */
#include "meter/published.h"

#include "base/mem.h"
#include <math.h>

#define S_PER_DAY 86400.0

static fh_range factor(const char *key)
{
    return fh_range_of(fh_catalog_factor_find(fh_str_of(key)));
}

/* ---- formulas ---- */

static fh_range unknown(void)
{
    return fh_range_exactly((double)NAN);
}

static fh_range gemini_water(void)
{
    fh_range ml_per_wh = factor("wue.google.gemini"), machines = fh_range_div(fh_range_exactly(0.24), factor("pue.google.fleet"));
    return fh_range_mul(machines, ml_per_wh);
}

static fh_range step_share(const char *fixed, const char *marginal, double batch)
{
    return fh_range_add(fh_range_scale(factor(fixed), 1 / batch), factor(marginal));
}

#define LLAMA_8B   "llama_3_1_8b_instruct.bfloat16.1xh100"
#define LLAMA_405B "llama_3_1_405b_instruct_fp8.fp8.4xb200"

static fh_range llama_8b_at_8(void)
{
    return step_share("step_fixed." LLAMA_8B, "step_marginal." LLAMA_8B, 8);
}

static fh_range llama_8b_at_511(void)
{
    return step_share("step_fixed." LLAMA_8B, "step_marginal." LLAMA_8B, 511);
}

static fh_range llama_405b_at_8(void)
{
    return step_share("step_fixed." LLAMA_405B, "step_marginal." LLAMA_405B, 8);
}

static fh_range llama_405b_at_510(void)
{
    return step_share("step_fixed." LLAMA_405B, "step_marginal." LLAMA_405B, 510);
}

static fh_range deepseek_day(void)
{
    fh_range joules = fh_range_scale(fh_range_mul(factor("deepseek.day.nodes"), factor("power.8x_h800.node")), S_PER_DAY);
    return fh_range_div(joules, factor("deepseek.day.output"));
}

static fh_range mlperf_8b_server(void)
{
    return fh_range_div(factor("server.8x_b200.llm_load"), factor("rate.llama3_1_8b.mlperf.8xb200.server"));
}

static fh_range mlperf_8b_offline(void)
{
    return fh_range_div(factor("server.8x_b200.llm_load"), factor("rate.llama3_1_8b.mlperf.8xb200.offline"));
}

static fh_range m1_pro(void)
{
    return fh_range_div(factor("power.m1_pro.llama3_1_8b_q8"), factor("rate.m1_pro.llama3_1_8b_q8"));
}

static fh_range rtx_5060_ti(void)
{
    return fh_range_div(factor("power.rtx5060ti.qwen2_5_coder_7b"), factor("rate.rtx5060ti.qwen2_5_coder_7b"));
}

/* In percent: WUE of WUE + PUE x water of the grid. */
static fh_range site_share(const char *wue, const char *pue, const char *grid)
{
    double site = factor(wue).mid, elsewhere = factor(pue).mid * factor(grid).mid;
    return fh_range_exactly(100 * site / (site + elsewhere));
}

static fh_range share_aws(void)
{
    return site_share("wue.aws.fleet", "pue.aws.fleet", "water_kwh.region.US.li_ren");
}

static fh_range share_gemini(void)
{
    return site_share("wue.google.gemini", "pue.google.fleet", "water_kwh.region.US.li_ren");
}

static fh_range share_jakarta(void)
{
    return site_share("wue.aws.ap-southeast-3", "pue.aws.ap-southeast-3", "water_kwh.region.IDN");
}

/* ---- the table ---- */

static const struct row {
    const char *what, *unit, *source;
    fh_range published;
    const char *how;
    fh_range (*reckon)(void);
} rows[] = {
    {"Gemini Apps, median text prompt",
     "Wh",
     "Elsworth et al. arXiv:2508.15734",
     {0.24, 0.24, 0.24},
     "neither the model nor how many tokens a median prompt has were published",
     unknown},
    {"the same, water on site",
     "mL",
     "Elsworth et al. arXiv:2508.15734",
     {0.255, 0.26, 0.265},
     "0.24 Wh / PUE x WUE of its sites",
     gemini_water},
    {"Llama-3.1-8B, one H100, batch 8",
     "J/token",
     "ML.ENERGY Leaderboard v3",
     {0.4368, 0.455, 0.4732},
     "E0 / B + e1; the fit's worst error is 4 %",
     llama_8b_at_8},
    {"Llama-3.1-8B, one H100, batch 511",
     "J/token",
     "ML.ENERGY Leaderboard v3",
     {0.0674, 0.0702, 0.0730},
     "E0 / B + e1; the fit's worst error is 4 %",
     llama_8b_at_511},
    {"Llama-3.1-405B FP8, 4 B200, batch 8",
     "J/token",
     "ML.ENERGY Leaderboard v3",
     {12.74, 13.0, 13.26},
     "E0 / B + e1; the fit's worst error is 2 %",
     llama_405b_at_8},
    {"Llama-3.1-405B FP8, 4 B200, batch 510",
     "J/token",
     "ML.ENERGY Leaderboard v3",
     {1.127, 1.15, 1.173},
     "E0 / B + e1; the fit's worst error is 2 %",
     llama_405b_at_510},
    {"DeepSeek V3/R1, a day of production",
     "J/token",
     "DeepSeek open-infra-index, 2025-02",
     {0.58, 0.82, 1.19},
     "226.75 nodes x a node's power x a day / output tokens; the power is not published, 5 to 10.2 kW",
     deepseek_day},
    {"Llama-3.1-8B, 8 B200, MLPerf Server",
     "J/token",
     "MLPerf Inference v5.1, Lenovo",
     {0.0695, 0.070, 0.0705},
     "what such a server draws under a language model / tokens a second",
     mlperf_8b_server},
    {"Llama-3.1-8B, 8 B200, MLPerf Offline",
     "J/token",
     "MLPerf Inference v5.1, Lenovo",
     {0.06415, 0.0642, 0.06425},
     "what such a server draws under a language model / tokens a second",
     mlperf_8b_offline},
    {"Llama-3.1-8B Q8, an M1 Pro",
     "J/token",
     "dilberx telemetry suite, 2026",
     {1.585, 1.59, 1.595},
     "watts of its chip / tokens a second",
     m1_pro},
    {"Qwen2.5-Coder-7B, an RTX 5060 Ti",
     "J/token",
     "InventiveHQ, 2026",
     {2.125, 2.13, 2.135},
     "watts of its board / tokens a second",
     rtx_5060_ti},
    {"water on site of all: AWS on the US grid",
     "%",
     "facts of AWS and Li, Ren et al.",
     {2.5, 3, 3.5},
     "WUE / (WUE + PUE x water of the grid)",
     share_aws},
    {"the same: sites of Gemini on the US grid",
     "%",
     "facts of Google and Li, Ren et al.",
     {24.5, 25, 25.5},
     "WUE / (WUE + PUE x water of the grid)",
     share_gemini},
    {"the same: AWS in Jakarta",
     "%",
     "facts of AWS and WRI",
     {46.45, 47, 47.5},
     "WUE / (WUE + PUE x water of the grid), 46.5 by factors of three digits",
     share_jakarta},
};

size_t fh_published_count(void)
{
    return FH_COUNT(rows);
}

fh_published fh_published_at(size_t i)
{
    const struct row *r = &rows[i];
    return (fh_published){
        .what = r->what, .unit = r->unit, .source = r->source, .published = r->published, .ours = r->reckon(), .how = r->how};
}

bool fh_published_agrees(const fh_published *p)
{
    return p->ours.low <= p->published.high && p->ours.high >= p->published.low;
}
