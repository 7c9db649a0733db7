/* What a request allows (see rules.h). */
#include "rules.h"

#include "base/mem.h"
#include <math.h>
#include <string.h>

#define PER_MILLION 1000000.0
enum { DECIMALS = 9 };

bool fh_names_hold(fh_str names, const fh_candidate *c)
{
    fh_str comma = FH_STR(",");
    while (names.len) {
        size_t n = fh_str_find(names, comma), rest = n + (n < names.len);
        fh_str name = fh_str_trim((fh_str){names.ptr, n}), deployment = FH_STR("deployment/");
        if (fh_str_eqs(name, c->model) || fh_str_eqs(name, c->place) || fh_str_eqs(name, c->arm ? c->arm : "")) return true;
        if (fh_str_starts(name, deployment)) name = (fh_str){name.ptr + deployment.len, name.len - deployment.len};
        if (fh_str_eqs(name, c->deployment)) return true;
        names = (fh_str){names.ptr + rest, names.len - rest};
    }
    return false;
}

int64_t fh_rules_cost(const fh_rules *r, const fh_candidate *c)
{
    if (!c->priced) return -1;
    double nusd = ((double)c->in_nusd * (double)r->prompt_tok + (double)c->out_nusd * (double)r->answer_tok) / PER_MILLION;
    return (int64_t)FH_MIN(ceil(nusd), 9e18);
}

static bool may_read(const char *trust, const fh_candidate *c)
{
    fh_reader reader = {.trust = c->trust, .place = c->place, .via = c->via, .owner = c->owner};
    return !trust[0] || fh_trusts_hold(trust, &reader);
}

fh_rule fh_rules_broken(const fh_rules *r, const fh_candidate *c)
{
    int64_t cost = r->max_nusd < 0 ? 0 : fh_rules_cost(r, c);
    if (!may_read(r->trust, c) || !may_read(r->key_trust, c)) return FH_RULE_TRUST;
    if (r->regions[0] && !fh_regions_hold(r->regions, c->region)) return FH_RULE_REGION;
    if (r->models[0] && !fh_names_hold(fh_str_of(r->models), c)) return FH_RULE_MODELS;
    if (fh_names_hold(fh_str_of(r->exclude), c)) return FH_RULE_MODELS;
    if (c->licence > r->licence) return FH_RULE_LICENCE;
    if (c->open && c->context_tok > 0 && r->prompt_tok > (uint64_t)c->context_tok) return FH_RULE_CONTEXT;
    if (r->max_nusd >= 0 && (cost < 0 || cost > r->max_nusd)) return FH_RULE_COST;
    return FH_RULES_KEPT;
}

bool fh_rules_bound(const fh_rules *r)
{
    return r->models[0] || r->exclude[0] || r->licence != FH_TERMS_RESTRICTED || r->max_nusd >= 0;
}

static int refuse(fh_err **err, int code, const char *param, const char *message, const char *hint)
{
    fh_err_set(err, code, "%s", message);
    fh_err_hint(err, "%s", hint);
    if (param) fh_err_param(err, "%s", param);
    return code;
}

static int refuse_trust(const fh_rules *r, fh_err **err)
{
    bool both = r->key_trust[0] && strcmp(r->key_trust, r->trust) != 0;
    fh_err_set(err, FH_E_FORBIDDEN, "every replica of the model is beyond the trust '%s' that this request allows%s%s%s", r->trust,
               both ? ", or beyond '" : "", both ? r->key_trust : "", both ? "' of its key" : "");
    fh_err_hint(err, "run the model on a place of your own, or allow more with x-freehold-trust%s",
                r->key_trust[0] ? ", as far as the key does" : "");
    fh_err_param(err, "x-freehold-trust");
    return FH_E_FORBIDDEN;
}

int fh_rules_refuse(const fh_rules *r, fh_rule broken, fh_err **err)
{
    switch (broken) {
    case FH_RULE_TRUST: return refuse_trust(r, err);
    case FH_RULE_REGION:
        fh_err_set(err, FH_E_FORBIDDEN, "nothing that is ready stands in %s, and this request may be answered nowhere else", r->regions);
        fh_err_hint(
            err, "run the model there, or name more regions with x-freehold-region; `freehold provider list` shows where endpoints stand");
        fh_err_param(err, "x-freehold-region");
        return FH_E_FORBIDDEN;
    case FH_RULE_MODELS:
        return refuse(err, FH_E_UNAVAILABLE, r->models[0] ? "x-freehold-models" : "x-freehold-exclude",
                      "nothing that is ready is among the models that this request allows",
                      "GET /v1/models lists what is ready; name more with x-freehold-models, or exclude less with x-freehold-exclude");
    case FH_RULE_LICENCE:
        fh_err_set(err, FH_E_FORBIDDEN, "the licence of every model that could answer is more restricted than '%s'",
                   fh_terms_name(r->licence));
        fh_err_hint(err, "allow more with x-freehold-licence, or run a model with a freer licence");
        fh_err_param(err, "x-freehold-licence");
        return FH_E_FORBIDDEN;
    case FH_RULE_CONTEXT:
        refuse(err, FH_E_INVALID, "messages", "the prompt is longer than the context of every model that could answer",
               "shorten it, or run a model with more context");
        fh_err_reason(err, "context_length_exceeded");
        return FH_E_INVALID;
    case FH_RULE_COST:
        return refuse(err, FH_E_BUDGET, "x-freehold-max-cost", "nothing that is ready is known to answer this for so little",
                      "allow more with x-freehold-max-cost, ask for a shorter answer, or run a model here");
    case FH_RULES_KEPT:
    case FH_RULES: break;
    }
    return 0;
}

bool fh_cost_parse(fh_str text, int64_t *ret_nusd)
{
    fh_str usd = FH_STR("USD");
    uint64_t whole, part = 0;
    if (fh_str_ends(text, usd)) text = fh_str_trim((fh_str){text.ptr, text.len - usd.len});
    size_t dot = fh_str_find(text, FH_STR("."));
    fh_str decimals = dot < text.len ? (fh_str){text.ptr + dot + 1, text.len - dot - 1} : (fh_str){"0", 1};
    if (!fh_str_u64((fh_str){text.ptr, dot}, 1000000000, &whole)) return false;
    if (decimals.len > DECIMALS || !fh_str_u64(decimals, UINT64_MAX, &part)) return false;
    for (size_t i = decimals.len; i < DECIMALS; i++) part *= 10;
    *ret_nusd = (int64_t)(whole * 1000000000u + part);
    return true;
}
