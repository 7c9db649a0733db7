/* One host: which variant, whether it fits, how fast, how much energy. The constants are fits to published measurements (docs/PLANNING.md,
 * "Speed"); tests/unit/plan/test_estimate.c holds the formulas against those measurements. Double is used for rates: none of it is a
 * ledger, and money and energy leave as integers. */
#include "estimate.h"
#include "plan_private.h"

#include "base/mem.h"
#include <math.h>

/* Decoding: fitted to 32 rows of ML.ENERGY v3 (2026-02), batch 8 to 128, 1 to 8 devices, dense and experts: mean error 17 percent,
 * largest 50. */
#define BANDWIDTH_SHARE     0.8
#define BANDWIDTH_SHARE_CPU 0.6
#define LAYER_S             30e-6  /* a layer's launches */
#define LAYER_DENSE_S       60e-6  /* and its exchange between devices */
#define LAYER_EXPERTS_S     150e-6 /* the same with experts */
#define SEQUENCE_S          100e-6 /* a sequence's sampling and scheduling */
/* Prefill: share of the device's arithmetic (Uptime update 362: 0.35 to 0.45); with experts less, whose matrices are small. */
#define ARITHMETIC_SHARE         0.4
#define ARITHMETIC_SHARE_EXPERTS 0.15
/* Energy: rows of ML.ENERGY v3 draw 0.48 to 0.86 of the rated power; hosts 25 / 58 of the accelerators' (Elsworth 2025); an idle server a
 * quarter of what it draws at work (Lenovo, MLPerf v5.1). */
#define POWER_SHARE 0.65
#define HOST_POWER  (1 + 25.0 / 58)
#define IDLE_SHARE  0.25
/* Where nothing is known of a place: IDC 2025 (public clouds), industry average 2025, WRI 2020 (world). */
const fh_plan_region estimate_anywhere = {1250, 840, 3910};

#define GPU_MEMORY_PER_MILLE 950u /* gpu-memory-utilization of the makers' recipes */
#define LOAD_BYTES           UINT64_C(1000000000)
#define WORKSPACE_MILLE      1075.0
#define ENDLESS_S            1e6

fh_plan_wishes estimate_wishes(const fh_plan_wishes *w)
{
    fh_plan_wishes all = *w;
    if (all.streams <= 0) all.streams = FH_PLAN_STREAMS_DEFAULT;
    if (all.context_tok <= 0) all.context_tok = FH_PLAN_CONTEXT_DEFAULT;
    if (all.prompt_tok == 0) all.prompt_tok = 1000;
    if (all.answer_tok == 0) all.answer_tok = 500;
    return all;
}

uint64_t fh_plan_gpu_bytes_for(uint64_t need_bytes)
{
    return fh_plan_mul(need_bytes / GPU_MEMORY_PER_MILLE + 1, 1000);
}

/* ---- what many hosts share ---- */

enum { RANKS = 64, MACHINES = 64, BATCHES = 1024 }; /* that are kept; others are reckoned each time */

typedef struct memory { /* of a variant over so many ranks */
    bool known;
    fh_plan_model rule;
    fh_plan_need need;
} memory;

typedef struct taken { /* a variant that may be taken */
    const fh_catalog_variant *v;
    bool nvfp4, scored;
    double bits;                                  /* a parameter */
    memory memories[FH_PLAN_KV_TYPES][RANKS + 1]; /* by ranks */
} taken;

struct estimator {
    const fh_catalog_model *m;
    const fh_plan_wishes *w;
    memory other;                 /* of the last that is not kept */
    uint32_t ranks[RANKS + 1];    /* by devices; 0: not reckoned yet */
    double batches[MACHINES + 1]; /* by machines; 0: likewise */
    double parts[BATCHES + 1];    /* of the weights, that a step of so many sequences reads; 0: not reckoned yet */
    size_t count;
    taken variants[]; /* in the model's order */
};

static bool is_scored(const fh_catalog_model *m, const fh_catalog_variant *v)
{
    return m->score_count > 0 && fh_catalog_variant_find(m, m->scores[0].variant) == v;
}

int estimator_new(estimator **ret, const fh_catalog_model *m, const fh_plan_wishes *w, fh_err **err)
{
    estimator *by = fh_calloc(1, sizeof *by + m->variant_count * sizeof by->variants[0]);
    if (!by) return fh_err_nomem(err);
    by->m = m;
    by->w = w;
    for (size_t i = 0; i < m->variant_count; i++) {
        const fh_catalog_variant *v = &m->variants[i];
        if (w->variant && fh_catalog_variant_find(m, w->variant) != v) continue;
        taken *t = &by->variants[by->count++];
        t->v = v;
        t->nvfp4 = fh_str_starts(fh_str_of(v->format), FH_STR("NVFP4"));
        t->scored = is_scored(m, v);
        t->bits = m->params_total_b > 0 ? (double)v->bytes * 8 / (m->params_total_b * 1e9) : 16;
    }
    *ret = by;
    return 0;
}

void estimator_free(estimator *by)
{
    fh_free(by);
}

static const memory *memory_of(estimator *by, taken *t, fh_plan_kv kv, uint32_t ranks)
{
    memory *m = ranks <= RANKS ? &t->memories[kv][ranks] : &by->other;
    if (m->known && m != &by->other) return m;
    m->rule = fh_plan_model_with(by->m, t->v, kv, ranks);
    m->need = fh_plan_need_of(&m->rule, by->w->context_tok, by->w->streams);
    m->known = true;
    return m;
}

typedef struct setting { /* a variant on a host: all that the formulas ask */
    estimator *by;
    const fh_catalog_model *m;
    const fh_plan_wishes *w;
    const fh_plan_host *h;
    const taken *t;
    const fh_catalog_variant *v;
    const memory *memory;
    fh_plan_kv kv;
    uint32_t ranks, machines;
    uint64_t usable_bytes;
} setting;

/* Engines of safetensors keep their cache in a form of their own. */
static bool opens(const fh_plan_host *h, const estimator *by, const taken *t)
{
    if (!t->v->gguf && by->w->kv_said) return false;
    if (!t->v->gguf) return (h->opens & FH_PLAN_TENSORS) && (!t->nvfp4 || (h->opens & FH_PLAN_NVFP4));
    return h->machines <= 1 && ((h->opens & FH_PLAN_GGUF) || ((h->opens & FH_PLAN_OURS) && by->m->runs_here));
}

/* Ranks must divide the heads: the most devices that do. */
static uint32_t ranks_of(estimator *by, uint32_t devices)
{
    uint32_t *kept = devices <= RANKS ? &by->ranks[devices] : NULL, r = FH_MAX(devices, 1u);
    if (kept && *kept) return *kept;
    while (by->m->heads && by->m->heads % r) r--;
    if (kept) *kept = r;
    return r;
}

/* Sequences of each machine, of which each works on its own part. */
static double batch_of(estimator *by, uint32_t machines)
{
    double *kept = machines <= MACHINES ? &by->batches[machines] : NULL;
    if (kept && *kept > 0) return *kept;
    double batch = ceil((double)by->w->streams / machines);
    if (kept) *kept = batch;
    return batch;
}

static setting set(estimator *by, const fh_plan_host *h, taken *t)
{
    const fh_catalog_model *m = by->m;
    const fh_catalog_variant *v = t->v;
    setting s = {.by = by, .m = m, .w = by->w, .h = h, .t = t, .v = v, .machines = FH_MAX(h->machines, 1u)};
    s.machines = FH_MIN(s.machines, fh_plan_machines_most(m));
    s.ranks = v->gguf ? 1 : ranks_of(by, h->devices);
    s.kv = !v->gguf && h->ops_8bit ? FH_PLAN_KV_8BIT : by->w->kv_said ? by->w->kv : FH_PLAN_KV_16BIT;
    s.memory = memory_of(by, t, s.kv, s.ranks);
    uint64_t devices = v->gguf ? FH_MAX(h->devices, 1u) : (uint64_t)s.ranks * s.machines;
    s.usable_bytes = fh_plan_mul(devices, h->memory_bytes) / 1000 * (h->cpu ? 1000 : GPU_MEMORY_PER_MILLE);
    return s;
}

static bool has_experts(const setting *s)
{
    return s->m->params_active_b > 0 && s->m->params_active_b < s->m->params_total_b;
}

static double active_params(const setting *s)
{
    return (s->m->params_active_b > 0 ? s->m->params_active_b : s->m->params_total_b) * 1e9;
}

/* The part of the weights that a step of so many sequences reads: each draws its experts. */
static double weights_read(const setting *s, double batch)
{
    double *kept = batch <= BATCHES ? &s->by->parts[(size_t)batch] : NULL, part = kept ? *kept : 0; /* batches are whole */
    if (part == 0) part = 1 - pow(has_experts(s) ? 1 - s->m->params_active_b / s->m->params_total_b : 0, batch);
    if (kept) *kept = part;
    return (double)s->v->bytes * part;
}

/* Operations a second of all devices that share a layer, at the width of the weights. */
static double arithmetic(const setting *s)
{
    double bits = s->t->bits;
    uint64_t ops = s->h->ops_16bit;
    if (bits < 10 && s->h->ops_8bit) ops = s->h->ops_8bit;
    if (bits < 6) ops = s->h->ops_4bit ? s->h->ops_4bit : s->h->ops_16bit; /* without arithmetic of its own a narrow format is widened */
    return (double)ops * s->ranks * (has_experts(s) && !s->h->cpu ? ARITHMETIC_SHARE_EXPERTS : ARITHMETIC_SHARE);
}

static double overhead_s(const setting *s, double batch)
{
    if (s->h->cpu) return 0;
    double exchange = s->ranks == 1 ? 0 : has_experts(s) ? LAYER_EXPERTS_S : LAYER_DENSE_S;
    return s->m->layers * (LAYER_S + exchange) + batch * SEQUENCE_S;
}

/* Seconds in which what a step of so many sequences asks of memory is read. */
static double reading_s(const setting *s, double batch)
{
    double tokens = (double)FH_MIN(s->w->context_tok, (int64_t)s->w->prompt_tok + s->w->answer_tok / 2);
    double cache = batch * ((double)s->memory->rule.kv_bytes_per_tok * tokens + (double)s->memory->rule.kv_fixed_bytes);
    double speed = s->h->speed_per_mille ? s->h->speed_per_mille / 1000.0 : 1;
    double cache_speed = s->h->cache_per_mille ? s->h->cache_per_mille / 1000.0 : speed;
    double bandwidth = (double)s->h->bandwidth_bytes * s->ranks * (s->h->cpu ? BANDWIDTH_SHARE_CPU : BANDWIDTH_SHARE);
    return (weights_read(s, batch) / speed + cache / cache_speed) / bandwidth;
}

/* Seconds in which each of a machine's sequences gets a token. */
static double step_s(const setting *s, double batch)
{
    double reading = reading_s(s, batch);
    double computing = arithmetic(s) > 0 ? batch * 2 * active_params(s) / arithmetic(s) : 0;
    return FH_MAX(reading, computing) + overhead_s(s, batch);
}

static double prefill_tok_s(const setting *s)
{
    double ops = s->h->prefill_ops ? (double)s->h->prefill_ops : arithmetic(s) * s->machines;
    return active_params(s) > 0 ? ops / (2 * active_params(s)) : 0;
}

/* Answered tokens a second over all streams, each of which brings its prompt, with steps of so many seconds. */
static double total_tok_s(const setting *s, double streams, double step, double prefill)
{
    double prompt_s = prefill > 0 ? s->w->prompt_tok / (prefill * s->w->answer_tok) : 0;
    return 1 / (step / streams + prompt_s);
}

static int64_t streams_max(const setting *s, const fh_plan_need *n)
{
    double left = (double)s->usable_bytes * 1000 / WORKSPACE_MILLE - (double)n->weights_bytes;
    double one = (double)(n->kv_bytes + n->fixed_bytes) / (double)n->streams;
    return left <= 0 || one <= 0 ? n->streams : FH_MAX((int64_t)FH_MIN(left / one, 1e9), n->streams);
}

static int64_t whole(double v)
{
    return v >= 9e18 ? INT64_MAX : (int64_t)(v + 0.5);
}

/* Of all devices, at work. */
static double watts_of(const setting *s)
{
    return (double)s->h->watts * FH_MAX(s->h->devices, 1u) * s->machines * (s->h->cpu ? 1 : POWER_SHARE * HOST_POWER);
}

/* At the load: a machine that has less to do draws less, but not in proportion. */
static void set_load(const setting *s, estimate *e, double able, double most)
{
    double rate = s->w->load_tok_s > 0 ? FH_MIN((double)s->w->load_tok_s, most) : able;
    double busy = rate / FH_MAX(FH_MAX(able, rate), 1e-9);
    double watts = watts_of(s);
    e->mtok_known = true;
    e->mtok_share = (uint64_t)whole(FH_MIN(1e6 / 3600 / rate * 4294967296.0, 9e18));
    e->mtok_uj = watts > 0 ? whole(watts * (IDLE_SHARE + (1 - IDLE_SHARE) * busy) / rate * 1e12) : -1;
}

/* Answered tokens a second with as many streams as fit. */
static double most_tok_s(const setting *s, double able, double prefill)
{
    double most = (double)streams_max(s, &s->memory->need);
    return FH_MAX(able, total_tok_s(s, most, step_s(s, ceil(most / s->machines)), prefill));
}

static void set_speed(const setting *s, bool with_plan, estimate *e)
{
    double streams = (double)s->w->streams, step = step_s(s, batch_of(s->by, s->machines)), prefill = prefill_tok_s(s);
    double able = total_tok_s(s, streams, step, prefill);
    double most = with_plan || s->w->load_tok_s > 0 ? most_tok_s(s, able, prefill) : able;
    e->decode_millitok_s = whole(1000 / step);
    set_load(s, e, able, most);
    if (!with_plan) return;
    e->plan.total_millitok_s = whole(1000 * able);
    e->plan.most_millitok_s = whole(1000 * most);
    e->plan.prefill_tok_s = whole(prefill);
    e->plan.first_token_ms = prefill > 0 ? whole(1000 * (s->w->prompt_tok / prefill + step)) : 0;
}

static void refuse(estimate *e, fh_plan_reason why, uint64_t wanted, uint64_t had)
{
    e->fits = false;
    e->why = why;
    e->wanted = (int64_t)FH_MIN(wanted, (uint64_t)INT64_MAX);
    e->had = (int64_t)FH_MIN(had, (uint64_t)INT64_MAX);
}

static void refuse_for_memory(const setting *s, estimate *e)
{
    uint64_t total = s->memory->need.total_bytes;
    bool nearer = e->why != FH_PLAN_BY_MEMORY || (int64_t)total < e->wanted;
    if (e->why <= FH_PLAN_BY_MEMORY && nearer) refuse(e, FH_PLAN_BY_MEMORY, total, s->usable_bytes);
}

static int64_t load_s(const setting *s)
{
    return (int64_t)(s->v->bytes / (s->h->load_bytes ? s->h->load_bytes : LOAD_BYTES));
}

static void set_estimate(const setting *s, bool with_plan, estimate *e)
{
    if (with_plan)
        e->plan = (fh_plan){.variant = s->v,
                            .scored = s->t->scored,
                            .kv = s->kv,
                            .ranks = s->ranks,
                            .machines = s->machines,
                            .need = s->memory->need,
                            .streams_max = streams_max(s, &s->memory->need)};
    e->mtok_known = false;
    e->decode_millitok_s = 0;
    e->mtok_uj = -1;
    if (s->h->bandwidth_bytes) set_speed(s, with_plan, e);
    e->weights_bytes = s->v->bytes;
    e->load_s = load_s(s);
    if (!with_plan) return;
    e->plan.decode_millitok_s = e->decode_millitok_s;
    e->plan.mtok_uj = e->mtok_uj;
}

/* Its weights have a size, and its memory holds them; else why not, which a later variant may better. */
static bool is_held(const setting *s, estimate *e)
{
    if (s->v->bytes == 0) {
        if (e->why < FH_PLAN_BY_SIZE) refuse(e, FH_PLAN_BY_SIZE, 0, 0);
        return false;
    }
    if (s->memory->need.total_bytes > s->usable_bytes) {
        refuse_for_memory(s, e);
        return false;
    }
    return true;
}

static bool try_variant(const setting *s, bool with_plan, estimate *e)
{
    if (!is_held(s, e)) return false;
    set_estimate(s, with_plan, e);
    int64_t least = (int64_t)s->w->min_decode_tok_s * 1000;
    e->fits = e->decode_millitok_s >= least;
    if (!e->fits) refuse(e, FH_PLAN_BY_SPEED, (uint64_t)least, (uint64_t)e->decode_millitok_s);
    return e->fits;
}

void estimate_host(estimator *by, const fh_plan_host *h, bool with_plan, estimate *ret)
{
    if (with_plan) *ret = (estimate){0};
    refuse(ret, FH_PLAN_BY_FORMAT, 0, 0);
    for (size_t i = 0; i < by->count && !ret->fits; i++) {
        taken *t = &by->variants[i];
        if (!opens(h, by, t)) continue;
        setting s = set(by, h, t);
        if (try_variant(&s, with_plan, ret)) break;
    }
}

static void set_glance(const setting *s, glance *ret)
{
    double streams = (double)s->w->streams, least = s->h->bandwidth_bytes ? step_s(s, batch_of(s->by, s->machines)) : 0;
    if (least > ENDLESS_S * streams) least = 0; /* where other figures meet their bounds */
    *ret = (glance){.fits = true,
                    .load_s = (uint32_t)FH_MIN(load_s(s), (int64_t)UINT32_MAX),
                    .weights_bytes = s->v->bytes,
                    .least_s = least,
                    .least_uj = watts_of(s) * least / streams * 1e12};
}

void estimate_glance(estimator *by, const fh_plan_host *h, glance *ret)
{
    estimate e;
    refuse(&e, FH_PLAN_BY_FORMAT, 0, 0);
    for (size_t i = 0; i < by->count; i++) {
        taken *t = &by->variants[i];
        if (!opens(h, by, t)) continue;
        setting s = set(by, h, t);
        if (!(by->w->min_decode_tok_s ? try_variant(&s, false, &e) : is_held(&s, &e))) continue;
        set_glance(&s, ret);
        return;
    }
    *ret = (glance){.why = (uint8_t)e.why, .wanted = e.wanted, .had = e.had};
}

double fh_plan_speed_per_mille(double decode_bytes, double bandwidth_bytes)
{
    double ratio = 1000 * decode_bytes / (bandwidth_bytes * BANDWIDTH_SHARE_CPU);
    return FH_MIN(FH_MAX(ratio, 1), 1e6);
}

int64_t estimate_mtok_ul(int64_t mtok_uj, const fh_plan_region *r)
{
    if (mtok_uj < 0) return -1;
    if (!r) r = &estimate_anywhere;
    double ml_kwh = r->wue_ml_kwh + r->pue_milli / 1000.0 * r->grid_ml_kwh;
    return whole((double)mtok_uj / 3.6e12 * ml_kwh * 1000);
}
