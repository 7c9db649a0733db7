/* The pass over the offers. Of each host it is seen once whether the model fits, and what its speed is at most; an offer then costs some
 * comparisons, and only one that may be among the best is reckoned. What comes out is what reckoning all of them would give. */
#include "base/mem.h"
#include "estimate.h"
#include "plan_private.h"

#define LOAD_MAX_TOK_S INT64_C(1000000000000) /* so that no product leaves 128 bits */

#define NONE UINT32_MAX

#define AHEAD 16 /* offers, whose hosts are fetched from memory before they are asked for */

typedef struct pass {
    const fh_catalog_model *m;
    const fh_plan_wishes *w;
    const fh_plan_market *on;
    const glance *hosts;
    estimator *by;
    fh_plan_ranking *ret;
    struct scored {
        int64_t first, second; /* smaller is better */
        uint32_t offer;
    } * best;                /* in order */
    uint32_t rented, hosted; /* the cheapest of each, NONE at first */
    int64_t rented_nusd, hosted_nusd;
} pass;

/* "wanted" and "had" of a refusal, and what is still lacking. */
static void refuse(pass *p, fh_plan_reason why, uint32_t offer, int64_t wanted, int64_t had)
{
    fh_plan_refused *r = &p->ret->refused[why];
    int64_t lacks = wanted > had ? wanted - had : had - wanted;
    int64_t least = r->wanted > r->had ? r->wanted - r->had : r->had - r->wanted;
    if (r->count++ == 0 || lacks < least) {
        r->nearest = offer;
        r->wanted = wanted;
        r->had = had;
    }
}

static int64_t clamp(__int128 v)
{
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t mtok_of(const fh_plan_offer *o, const estimate *e, const fh_plan_wishes *w)
{
    __int128 tokens = o->in_nusd | o->out_nusd ? (__int128)o->out_nusd + (__int128)o->in_nusd * w->prompt_tok / w->answer_tok : 0;
    if (e && !e->mtok_known && o->hour_nusd) return -1;
    __int128 sum = e && e->mtok_known ? tokens + (((__int128)o->hour_nusd * e->mtok_share) >> 32) : tokens;
    return clamp(sum);
}

/* What an hour costs: of a hosted endpoint, what is asked of it. */
static int64_t hour_of(const fh_plan_offer *o, bool hosted, const fh_plan_wishes *w, int64_t mtok)
{
    return hosted ? clamp((__int128)mtok * w->load_tok_s * 3600 / 1000000) : o->hour_nusd;
}

static int64_t ready_of(const fh_plan_offer *o, const glance *e)
{
    if (!e) return o->start_s;
    uint64_t fetch = o->fetch_mb_s ? e->weights_bytes / (o->fetch_mb_s * UINT64_C(1000000)) : 0;
    return o->start_s + (int64_t)fetch + e->load_s;
}

static int64_t ul_of(const pass *p, const fh_plan_offer *o, const estimate *e)
{
    return e ? estimate_mtok_ul(e->mtok_uj, o->region ? &p->on->regions[o->region - 1] : NULL) : -1;
}

/* What fails is paid for too: by this places are compared, the price that is said of them is what they ask for. */
static int64_t expected_of(const fh_plan_offer *o, int64_t mtok)
{
    return mtok < 0 ? INT64_MAX : clamp((__int128)mtok * 100 / (100 - o->failing_percent));
}

/* First what was asked for, then price (or speed, where price was asked for). Unknown is worst. */
static struct scored score(const pass *p, uint32_t i, const glance *g, const estimate *e, int64_t mtok)
{
    const fh_plan_offer *o = &p->on->offers[i];
    int64_t slow = e ? -e->decode_millitok_s : 0;
    mtok = expected_of(o, mtok);
    switch (p->w->prefer) {
    case FH_PLAN_SPEED: return (struct scored){slow, mtok, i};
    case FH_PLAN_ENERGY: return (struct scored){e && e->mtok_uj >= 0 ? e->mtok_uj : INT64_MAX, mtok, i};
    case FH_PLAN_START: return (struct scored){ready_of(o, g), mtok, i};
    case FH_PLAN_PRICE: break;
    }
    return (struct scored){mtok, slow, i};
}

#define ENDLESS INT64_C(9000000000000000000)
#define SURELY  1.001 /* what bounds that were reckoned in doubles may be off, and much more */

/* The least that its first figure can be is above that of the last that is kept: it need not be reckoned. */
static bool is_beyond(const pass *p, const fh_plan_offer *o, const glance *g)
{
    const fh_plan_ranking *r = p->ret;
    if (r->max == 0) return true;
    if (r->count < r->max || p->best[r->max - 1].first >= ENDLESS) return false;
    double last = (double)p->best[r->max - 1].first;
    switch (p->w->prefer) {
    case FH_PLAN_SPEED: return 1000 * SURELY < (-last - 1) * g->least_s;
    case FH_PLAN_ENERGY: return !p->w->load_tok_s && g->least_uj > last * SURELY + 1;
    case FH_PLAN_START: return (double)o->start_s + g->load_s > last;
    case FH_PLAN_PRICE: break;
    }
    bool free = !(o->hour_nusd | o->in_nusd | o->out_nusd); /* among those the fastest come first */
    if (free && last == 0) return 1000 * SURELY < (-(double)p->best[r->max - 1].second - 1) * g->least_s;
    return (double)o->hour_nusd * (p->w->load_tok_s ? 1 / (double)p->w->load_tok_s : g->least_s / (double)p->w->streams) * (1e6 / 3600) >
           last * SURELY + 2;
}

static bool before(const struct scored *a, const struct scored *b)
{
    if (a->first != b->first) return a->first < b->first;
    return a->second != b->second ? a->second < b->second : a->offer < b->offer;
}

static void keep(pass *p, struct scored s)
{
    fh_plan_ranking *r = p->ret;
    if (r->max == 0 || (r->count == r->max && !before(&s, &p->best[r->max - 1]))) return;
    size_t i = r->count < r->max ? r->count++ : r->max - 1;
    for (; i > 0 && before(&s, &p->best[i - 1]); i--) p->best[i] = p->best[i - 1];
    p->best[i] = s;
}

/* The cheapest machine that costs something and the cheapest endpoint, whatever is preferred. */
static void compare(pass *p, uint32_t i, bool hosted, int64_t hour, int64_t mtok)
{
    if (!hosted && hour > 0 && (p->rented == NONE || hour < p->rented_nusd)) {
        p->rented = i;
        p->rented_nusd = hour;
    }
    if (hosted && (p->hosted == NONE || mtok < p->hosted_nusd)) {
        p->hosted = i;
        p->hosted_nusd = mtok;
    }
}

/* One that would do. */
static void take(pass *p, uint32_t i, const glance *g, int64_t mtok)
{
    const fh_plan_offer *o = &p->on->offers[i];
    estimate e;
    p->ret->fit++;
    if (g && is_beyond(p, o, g)) return;
    if (g) {
        estimate_host(p->by, &p->on->hosts[o->host], false, &e);
        mtok = mtok_of(o, &e, p->w);
    }
    keep(p, score(p, i, g, g ? &e : NULL, mtok));
}

static void weigh(pass *p, uint32_t i)
{
    const fh_plan_offer *o = &p->on->offers[i];
    const fh_plan_wishes *w = p->w;
    const glance *g = o->host == FH_PLAN_HOSTED ? NULL : &p->hosts[o->host];
    if (w->licence_bound && p->m->licence_class > w->licence) {
        refuse(p, FH_PLAN_BY_LICENCE, i, w->licence, p->m->licence_class);
        return;
    }
    if (o->barred) {
        refuse(p, FH_PLAN_BY_TRUST, i, 0, 0);
        return;
    }
    if (w->region && o->region != w->region) {
        refuse(p, FH_PLAN_BY_REGION, i, 0, 0);
        return;
    }
    if (w->lasting && o->spot) {
        refuse(p, FH_PLAN_BY_SPOT, i, 0, 0);
        return;
    }
    if (g && !g->fits) {
        refuse(p, (fh_plan_reason)g->why, i, g->wanted, g->had);
        return;
    }
    int64_t mtok = g ? -1 : mtok_of(o, NULL, w), hour = hour_of(o, !g, w, mtok);
    int64_t ready = w->max_ready_s ? ready_of(o, g) : 0;
    if (w->max_hour_nusd && hour > w->max_hour_nusd)
        refuse(p, FH_PLAN_BY_BUDGET, i, w->max_hour_nusd, hour);
    else if (w->max_ready_s && ready > w->max_ready_s)
        refuse(p, FH_PLAN_BY_TIME, i, w->max_ready_s, ready);
    else {
        compare(p, i, !g, hour, mtok);
        take(p, i, g, mtok);
    }
}

static fh_plan plan_of(const pass *p, uint32_t i)
{
    const fh_plan_offer *o = &p->on->offers[i];
    const glance *g = o->host == FH_PLAN_HOSTED ? NULL : &p->hosts[o->host];
    estimate whole = {.plan = {.mtok_uj = -1}}, *e = g ? &whole : NULL;
    if (g) estimate_host(p->by, &p->on->hosts[o->host], true, &whole);
    fh_plan plan = whole.plan;
    plan.offer = i;
    plan.mtok_nusd = mtok_of(o, e, p->w);
    plan.hour_nusd = hour_of(o, !g, p->w, plan.mtok_nusd);
    plan.ready_s = ready_of(o, g);
    plan.start_nusd = g ? clamp((__int128)plan.hour_nusd * plan.ready_s / 3600) : 0;
    plan.mtok_ul = ul_of(p, o, e);
    return plan;
}

static void set_plans(pass *p)
{
    fh_plan_ranking *r = p->ret;
    for (size_t i = 0; i < r->count; i++) r->plans[i] = plan_of(p, p->best[i].offer);
    r->has_rented = p->rented != NONE;
    r->has_hosted = p->hosted != NONE;
    if (r->has_rented) r->rented = plan_of(p, p->rented);
    if (r->has_hosted) r->hosted = plan_of(p, p->hosted);
}

static int fits_as(const pass *p, const fh_plan_host *h, fh_plan_kv kv, bool *ret, fh_err **err)
{
    FH_AUTO(estimator) estimator *by = NULL;
    fh_plan_wishes wishes = *p->w;
    glance g;
    wishes.kv_said = true;
    wishes.kv = kv;
    int rc = estimator_new(&by, p->m, &wishes, err);
    if (rc) return rc;
    estimate_glance(by, h, &g);
    *ret = g.fits;
    return 0;
}

/* Would the model fit on the nearest that has too little memory, if its cache were smaller? */
static int set_fits_as(const pass *p, fh_err **err)
{
    fh_plan_refused *f = &p->ret->refused[FH_PLAN_BY_MEMORY];
    static const fh_plan_kv smaller[] = {FH_PLAN_KV_Q8_0, FH_PLAN_KV_Q4_0};
    int rc = 0;
    bool fits = f->count == 0;
    for (size_t i = 0; !rc && !fits && i < FH_COUNT(smaller); i++) {
        if (p->w->kv_said && p->w->kv >= smaller[i]) continue;
        rc = fits_as(p, &p->on->hosts[p->on->offers[f->nearest].host], smaller[i], &fits, err);
        if (fits) f->fits_as = smaller[i];
    }
    return rc;
}

static int check(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_market *on, fh_err **err)
{
    if (w->variant && !fh_catalog_variant_find(m, w->variant))
        return fh_err_set(err, FH_E_NOT_FOUND, "%s has no variant \"%.64s\"", m->id, w->variant);
    if (w->load_tok_s > LOAD_MAX_TOK_S) return fh_err_set(err, FH_E_INVALID, "a load of %lld tokens a second", (long long)w->load_tok_s);
    if (on->offer_count >= UINT32_MAX) return fh_err_set(err, FH_E_INVALID, "%zu offers are too many", on->offer_count);
    return 0;
}

static bool is_good(const fh_plan_market *on, const fh_plan_offer *o)
{
    bool there = (o->host < on->host_count || o->host == FH_PLAN_HOSTED) && o->region <= on->region_count;
    return there && (o->hour_nusd | o->in_nusd | o->out_nusd) >= 0; /* the sign of any */
}

static int bad_offer(const fh_plan_market *on, uint32_t i, fh_err **err)
{
    const fh_plan_offer *o = &on->offers[i];
    if (o->hour_nusd < 0 || o->in_nusd < 0 || o->out_nusd < 0) return fh_err_set(err, FH_E_INVALID, "offer %u has a price below 0", i);
    return fh_err_set(err, FH_E_INVALID, "offer %u names a host or a region that is not there", i);
}

static void fetch_ahead(const pass *p, size_t i)
{
    if (i >= p->on->offer_count) return;
    uint32_t host = p->on->offers[i].host;
    if (host < p->on->host_count) __builtin_prefetch(&p->hosts[host]);
}

/* All offers; an error as soon as one makes no sense. */
static int weigh_all(pass *p, fh_err **err)
{
    for (uint32_t i = 0; i < p->on->offer_count; i++) {
        fetch_ahead(p, (size_t)i + AHEAD);
        if (!is_good(p->on, &p->on->offers[i])) return bad_offer(p->on, i, err);
        weigh(p, i);
    }
    return 0;
}

int fh_plan_rank(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_market *on, fh_plan_ranking *ret, fh_err **err)
{
    int rc = check(m, w, on, err);
    if (rc) return rc;
    fh_plan_wishes wishes = estimate_wishes(w);
    fh_plan_ranking r = {.plans = ret->plans, .max = ret->max};
    FH_AUTO(ptr) glance *hosts = fh_realloc_array(NULL, FH_MAX(on->host_count, (size_t)1), sizeof(*hosts));
    FH_AUTO(ptr) struct scored *best = fh_calloc(FH_MAX(ret->max, (size_t)1), sizeof(*best));
    FH_AUTO(estimator) estimator *by = NULL;
    if (!hosts || !best) return fh_err_nomem(err);
    rc = estimator_new(&by, m, &wishes, err);
    if (rc) return rc;
    pass p = {.m = m, .w = &wishes, .on = on, .hosts = hosts, .by = by, .ret = &r, .best = best, .rented = NONE, .hosted = NONE};
    for (size_t i = 0; i < on->host_count; i++) estimate_glance(by, &on->hosts[i], &hosts[i]);
    rc = weigh_all(&p, err);
    if (!rc) rc = set_fits_as(&p, err);
    if (rc) return rc;
    set_plans(&p);
    *ret = r;
    return 0;
}

static uint64_t memory_of(const fh_plan_host *h)
{
    return fh_plan_mul((uint64_t)FH_MAX(h->devices, 1u) * FH_MAX(h->machines, 1u), h->memory_bytes);
}

int fh_plan_smallest_host(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_host *hosts, size_t count, size_t *ret_host,
                          fh_plan *ret, fh_err **err)
{
    fh_plan_wishes wishes = estimate_wishes(w);
    estimate e, best = {0};
    FH_AUTO(estimator) estimator *by = NULL;
    size_t at = 0;
    int rc = estimator_new(&by, m, &wishes, err);
    if (rc) return rc;
    for (size_t i = 0; i < count; i++) {
        estimate_host(by, &hosts[i], true, &e);
        if (!e.fits || (best.fits && memory_of(&hosts[at]) <= memory_of(&hosts[i]))) continue;
        best = e;
        at = i;
    }
    if (!best.fits) return fh_err_set(err, FH_E_NOT_FOUND, "no host of these would do for %s", m->id);
    *ret_host = at;
    *ret = best.plan;
    return 0;
}

int64_t fh_plan_break_even_tok_s(int64_t hour_nusd, int64_t mtok_nusd)
{
    return mtok_nusd > 0 ? clamp((__int128)hour_nusd * 1000000 / 3600 / mtok_nusd) : 0;
}
