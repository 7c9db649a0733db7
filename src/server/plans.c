/* Plans as JSON (see server/plans.h). */
#include "plans.h"

#include "base/mem.h"
#include <stdio.h>

enum { SHOWN = 50, HERE = 0 }; /* plans; the first offer */

static fh_json *known(int64_t n, bool is)
{
    return is ? fh_json_new_int(n) : fh_json_new_null();
}

static fh_json *rate(int64_t millitok_s)
{
    return millitok_s > 0 ? fh_json_new_real((double)millitok_s / 1000) : fh_json_new_null();
}

static fh_json *host_name(const fh_plan_host *h)
{
    char name[160];
    if (h->machines > 1)
        snprintf(name, sizeof name, "%u x %u x %s", h->machines, h->devices, h->name);
    else if (h->devices > 1 || h->bandwidth_bytes)
        snprintf(name, sizeof name, "%u x %s", h->devices, h->name);
    else
        snprintf(name, sizeof name, "%s", h->name);
    return fh_json_new_cstr(name);
}

/* What is said of a host whatever its price. */
static void set_host(fh_json *o, const fh_catalog_model *m, const fh_plan_host *h, const fh_plan *p)
{
    fh_json_set(o, "host", h ? host_name(h) : fh_json_new_null());
    fh_json_set(o, "variant", fh_json_new_cstr(p->variant ? p->variant->name : NULL));
    fh_json_set(o, "format", fh_json_new_cstr(p->variant ? p->variant->format : NULL));
    fh_json_set(o, "scored", m->score_count ? fh_json_new_bool(p->scored) : fh_json_new_null());
    fh_json_set(o, "weights_bytes", known((int64_t)p->need.weights_bytes, h));
    fh_json_set(o, "needs_bytes", known((int64_t)p->need.total_bytes, h));
    fh_json_set(o, "cache_bytes", known((int64_t)(p->need.kv_bytes + p->need.fixed_bytes), h));
    fh_json_set(o, "kv_type", fh_json_new_cstr(h ? fh_plan_kv_name(p->kv) : NULL));
    fh_json_set(o, "ranks", known(p->ranks, h));
    fh_json_set(o, "streams_max", known(p->streams_max, h));
    fh_json_set(o, "tokens_per_second", rate(p->decode_millitok_s));
    fh_json_set(o, "total_tokens_per_second", rate(p->total_millitok_s));
    fh_json_set(o, "most_tokens_per_second", rate(p->most_millitok_s));
    fh_json_set(o, "prefill_tokens_per_second", known(p->prefill_tok_s, p->prefill_tok_s > 0));
    fh_json_set(o, "first_token_ms", known(p->first_token_ms, p->first_token_ms > 0));
    fh_json_set(o, "uj_per_million", known(p->mtok_uj, p->mtok_uj >= 0));
}

static fh_json *known_text(const char *s)
{
    return fh_json_new_cstr(s[0] ? s : NULL);
}

/* "lambda.csv:12": the row that a price was read from. */
static fh_json *source_json(const fh_plan_label *l)
{
    char source[200];
    if (!l->source[0]) return fh_json_new_null();
    snprintf(source, sizeof source, "%.160s:%u", l->source, l->row);
    return fh_json_new_cstr(source);
}

/* From how many runs its speed is, and between which it would be by the slowest and the fastest of them. */
static void set_measured(fh_json *o, const fh_speeds *s, int64_t millitok_s)
{
    bool is = s && s->runs && millitok_s > 0;
    double one = is ? (double)millitok_s / s->per_mille : 0;
    fh_json_set(o, "measured_runs", fh_json_new_int(is ? (int64_t)s->runs : 0));
    fh_json_set(o, "tokens_per_second_low", is ? rate((int64_t)(one * s->low)) : fh_json_new_null());
    fh_json_set(o, "tokens_per_second_high", is ? rate((int64_t)(one * s->high)) : fh_json_new_null());
}

static fh_json *plan_json(const plan_ask *a, const fh_plan *p)
{
    fh_plan_market on = fh_plan_book_market(a->book);
    const fh_plan_offer *of = &on.offers[p->offer];
    const fh_plan_label *label = fh_plan_book_label(a->book, p->offer);
    bool owned = of->host != FH_PLAN_HOSTED;
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "place", fh_json_new_cstr(label->place));
    fh_json_set(o, "name", known_text(label->name));
    fh_json_set(o, "source", source_json(label));
    fh_json_set(o, "region", known_text(fh_plan_book_region_name(a->book, of->region)));
    fh_json_set(o, "read_by", fh_json_new_cstr(fh_trust_name(label->trust)));
    fh_json_set(o, "owned_by", known_text(label->owner));
    fh_json_set(o, "spot", fh_json_new_bool(of->spot));
    fh_json_set(o, "standing", known(label->standing, label->judged));
    fh_json_set(o, "failing", fh_json_new_real(of->failing_percent / 100.0));
    set_host(o, a->model, owned ? &on.hosts[of->host] : NULL, p);
    set_measured(o, p->offer == HERE ? &a->here : NULL, p->decode_millitok_s);
    fh_json_set(o, "ul_per_million", known(p->mtok_ul, p->mtok_ul >= 0));
    fh_json_set(o, "hour_nusd", known(p->hour_nusd, owned));
    fh_json_set(o, "nusd_per_million", known(p->mtok_nusd, p->mtok_nusd >= 0));
    fh_json_set(o, "ready_s", fh_json_new_int(p->ready_s));
    fh_json_set(o, "start_nusd", fh_json_new_int(p->start_nusd));
    return o;
}

static fh_json *refused_json(const plan_ask *a, const fh_plan_ranking *r)
{
    fh_json *list = fh_json_new_array();
    for (int i = 0; i < FH_PLAN_REASONS; i++) {
        const fh_plan_refused *f = &r->refused[i];
        char why[256];
        if (f->count == 0) continue;
        fh_plan_why_not(r, (fh_plan_reason)i, why, sizeof why);
        fh_json *o = fh_json_new_object();
        fh_json_set(o, "reason", fh_json_new_cstr(fh_plan_reason_name((fh_plan_reason)i)));
        fh_json_set(o, "count", fh_json_new_int((int64_t)f->count));
        fh_json_set(o, "nearest", fh_json_new_cstr(fh_plan_book_label(a->book, f->nearest)->place));
        fh_json_set(o, "wanted", fh_json_new_int(f->wanted));
        fh_json_set(o, "had", fh_json_new_int(f->had));
        fh_json_set(o, "kv_type", fh_json_new_cstr(f->fits_as == FH_PLAN_KV_16BIT ? NULL : fh_plan_kv_name(f->fits_as)));
        fh_json_set(o, "why", fh_json_new_cstr(why));
        fh_json_append(list, o);
    }
    return list;
}

/* The smallest host that would do, of one to eight of each device that the catalogue knows; null: none. Its licence is not asked for. */
static fh_json *smallest_json(const plan_ask *a, fh_err **err)
{
    const fh_catalog *c = fh_catalog_now();
    size_t count = 0, at = 0;
    fh_plan p;
    FH_AUTO(ptr) fh_plan_host *hosts = fh_calloc(c->machine_count * 4, sizeof *hosts);
    if (!hosts) {
        fh_err_nomem(err);
        return NULL;
    }
    for (size_t i = 0; i < c->machine_count; i++) {
        const fh_catalog_machine *m = c->machines[i];
        for (uint32_t n = 1; fh_plan_host_can(m) && n <= (fh_plan_host_joins(m) ? 8 : 1); n *= 2) hosts[count++] = fh_plan_host_of(m, n, 1);
    }
    if (fh_plan_smallest_host(a->model, &a->wishes, hosts, count, &at, &p, NULL)) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    set_host(o, a->model, &hosts[at], &p);
    return o;
}

/* The cheapest machine by the hour beside the cheapest endpoint by the token; null where one of them is none. */
static fh_json *break_even_json(const plan_ask *a, const fh_plan_ranking *r)
{
    char why[400], rented[128];
    if (!r->has_rented || !r->has_hosted) return fh_json_new_null();
    fh_plan_market on = fh_plan_book_market(a->book);
    const char *hosted = fh_plan_book_label(a->book, r->hosted.offer)->place;
    FH_AUTO(json) fh_json *host = host_name(&on.hosts[on.offers[r->rented.offer].host]);
    snprintf(rented, sizeof rented, "%.60s's %.60s", fh_plan_book_label(a->book, r->rented.offer)->place, fh_json_str(host).ptr);
    fh_plan_why_rent(r, rented, hosted, why, sizeof why);
    int64_t even = fh_plan_break_even_tok_s(r->rented.hour_nusd, r->hosted.mtok_nusd);
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "tokens_per_second", known(even, even > 0));
    fh_json_set(o, "why", fh_json_new_cstr(why));
    fh_json_set(o, "rented", plan_json(a, &r->rented));
    fh_json_set(o, "hosted", plan_json(a, &r->hosted));
    return o;
}

static fh_json *ranking_json(const plan_ask *a, const fh_plan_known *known, const fh_plan_ranking *r, fh_err **err)
{
    char why[256];
    fh_plan_model rule = {.context_max_tok = a->model->context_tok};
    fh_plan_need asked = fh_plan_need_of(&rule, a->wishes.context_tok, a->wishes.streams);
    fh_json *o = fh_json_new_object(), *plans = fh_json_new_array();
    fh_plan_why(r, &a->wishes, why, sizeof why);
    for (size_t i = 0; i < r->count; i++) fh_json_append(plans, plan_json(a, &r->plans[i]));
    fh_json_set(o, "model", fh_json_new_cstr(a->model->id));
    fh_json_set(o, "context_tok", fh_json_new_int(asked.context_tok));
    fh_json_set(o, "streams", fh_json_new_int(asked.streams));
    fh_json_set(o, "fit", fh_json_new_int((int64_t)r->fit));
    fh_json_set(o, "why", fh_json_new_cstr(why));
    fh_json_set(o, "plans", plans);
    fh_json_set(o, "providers", fh_json_new_array());
    fh_json_set(o, "refused", refused_json(a, r));
    fh_json_set(o, "unpriced", known && known->unpriced ? fh_json_ref((fh_json *)known->unpriced) : fh_json_new_array());
    fh_json_set(o, "break_even", break_even_json(a, r));
    if (fh_json_set(o, "smallest", smallest_json(a, err))) return o;
    fh_json_unref(o);
    return NULL;
}

int fh_plans_make(const fh_json *ask, const fh_plan_known *known, fh_json **ret, fh_err **err)
{
    FH_AUTO(plan_ask) plan_ask *a = NULL;
    int rc = plan_ask_read(ask, known, &a, err);
    if (rc) return rc;
    FH_AUTO(ptr) fh_plan *plans = fh_calloc(SHOWN, sizeof *plans);
    if (!plans) return fh_err_nomem(err);
    fh_plan_ranking r = {.plans = plans, .max = SHOWN};
    fh_plan_market on = fh_plan_book_market(a->book);
    rc = fh_plan_rank(a->model, &a->wishes, &on, &r, err);
    if (rc) return rc;
    fh_json *doc = ranking_json(a, known, &r, err);
    if (!doc) return FH_E_NOMEM;
    *ret = doc;
    return 0;
}
