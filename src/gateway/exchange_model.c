/* The choice of a model for one exchange (see exchange_model.h). */
#include "exchange_model.h"

#include <stdio.h>
#include <string.h>

enum { PLAIN_WEIGHT = 24, CHECKED_WEIGHT = 255, OTHERS_CHARS = 256 };

struct fh_model_choice {
    fh_features features;
    uint64_t prompt;
    size_t models; /* that could answer */
    fh_model_reason reason;
    fh_belief belief;
    char arm[FH_ARM_CHARS], others[OTHERS_CHARS];
    bool escalated;
    fh_verdict why; /* the first answer was not sent; NONE: it was an error */
    /* of the answer that was not sent */
    fh_route first;
    char first_type[128];
    bool first_forces;
    char *first_repeated; /* owned */
    fh_buf first_in;
    fh_wire_usage first_usage;
};

/* ---- the request ---- */

static void hash_text(uint64_t *h, fh_str s)
{
    for (size_t i = 0; s.ptr && i < s.len; i++) *h = (*h ^ (uint8_t)s.ptr[i]) * 1099511628211u; /* FNV-1a */
}

/* Of what is asked, by this key: the same for another model, sampled otherwise. */
static uint64_t hash_prompt(const fh_exchange *x)
{
    uint64_t h = 1469598103934665603u;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    const fh_wire_request *r = &x->ask.common;
    if (r->messages && fh_json_write(r->messages, &text, NULL)) return 1;
    hash_text(&h, fh_str_of(x->salt));
    hash_text(&h, (fh_str){fh_buf_cstr(&text), text.len});
    hash_text(&h, r->prompt);
    return h ? h : 1;
}

static fh_model_choice *choice_new(const fh_exchange *x)
{
    fh_model_choice *c = fh_calloc(1, sizeof *c);
    if (!c) return NULL;
    c->first_in = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    fh_features_of(&c->features, &x->ask.common);
    c->prompt = hash_prompt(x);
    return c;
}

void fh_exchange_choice_free(fh_model_choice *c)
{
    if (!c) return;
    fh_buf_fini(&c->first_in);
    fh_free(c->first_repeated);
    explicit_bzero(c->first.secret, sizeof c->first.secret);
    fh_free(c);
}

/* ---- which model ---- */

typedef struct models { /* that could answer, each once */
    const char *arms[FH_LIMIT_CHOOSE_MODELS];
    const char *names[FH_LIMIT_CHOOSE_MODELS];
    fh_model_option options[FH_LIMIT_CHOOSE_MODELS];
    size_t count;
} models;

static double less(double a, double b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Of one replica: what is not known is negative. */
static fh_model_option option_of(const fh_exchange *x, const fh_candidate *c, const fh_option *o)
{
    double tok = (double)x->rules.answer_tok;
    return (fh_model_option){.size = (double)c->active_params,
                             .price = (double)fh_rules_cost(&x->rules, c),
                             .energy = c->token_uj > 0 ? (double)c->token_uj * tok : -1,
                             .duration = o->tok_per_s > 0 ? o->first_token_s + (o->in_flight_tok + tok) / o->tok_per_s : -1};
}

static void add_replica(models *m, const fh_candidate *c, const fh_model_option *o)
{
    size_t i = 0;
    while (i < m->count && strcmp(m->arms[i], c->arm) != 0) i++;
    if (i == FH_LIMIT_CHOOSE_MODELS) return;
    if (i == m->count) {
        m->arms[i] = c->arm;
        m->names[i] = c->model;
        m->options[m->count++] = *o;
        return;
    }
    fh_model_option *had = &m->options[i];
    had->price = less(had->price, o->price);
    had->energy = less(had->energy, o->energy);
    had->duration = less(had->duration, o->duration);
}

/* Replicas that failed a moment ago count only when there are no others; an answer that did not do is not asked for again. */
static void gather_models(const fh_exchange *x, const fh_candidate *list, const size_t *index, const fh_option *options, size_t count,
                          models *ret)
{
    *ret = (models){.count = 0};
    for (int any = 0; any < 2 && ret->count == 0; any++)
        for (size_t i = 0; i < count; i++) {
            const fh_candidate *c = &list[index[i]];
            fh_model_option o = option_of(x, c, &options[i]);
            bool again = x->choice->escalated && strcmp(c->arm, x->choice->first.arm) == 0;
            if (!again && (any || !options[i].open)) add_replica(ret, c, &o);
        }
}

static void believe(fh_exchange *x, models *m)
{
    double largest = 0;
    for (size_t i = 0; i < m->count; i++) largest = FH_MAX(largest, m->options[i].size);
    for (size_t i = 0; i < m->count; i++)
        m->options[i].belief =
            fh_outcomes_belief(x->gateway->outcomes, m->arms[i], &x->choice->features, fh_model_prior(m->options[i].size, largest));
}

static void note_others(fh_model_choice *c, const models *m, size_t chosen)
{
    size_t used = 0;
    c->others[0] = '\0';
    for (size_t i = 0; i < m->count && used < sizeof c->others; i++)
        if (i != chosen)
            used += (size_t)snprintf(c->others + used, sizeof c->others - used, "%s%s %.2f", used ? ", " : "", m->names[i],
                                     m->options[i].belief.success);
}

/* SplitMix64 (Steele, Lea, Flood 2014): the seed and how many draws came before tell the draw. */
static uint32_t draw(fh_gateway *g)
{
    uint64_t z = g->config.seed + (atomic_fetch_add(&g->draws, 1) + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static size_t choose_one(fh_exchange *x, models *m)
{
    fh_model_choice *c = x->choice;
    fh_model_wish wish = {.prefer = x->prefer, .checked = !c->escalated && !x->wants_stream && fh_judge_can(x->judge)};
    wish.random = draw(x->gateway);
    if (c->escalated) wish = (fh_model_wish){.prefer = FH_PREFER_BALANCE, .random = 1}; /* what is best, and nothing is tried */
    believe(x, m);
    size_t chosen = fh_choose_model(m->options, m->count, &wish, &c->reason);
    c->models = m->count;
    c->belief = m->options[chosen].belief;
    snprintf(c->arm, sizeof c->arm, "%s", m->arms[chosen]);
    note_others(c, m, chosen);
    return chosen;
}

const char *fh_exchange_model(fh_exchange *x, const fh_candidate *list, const size_t *index, const fh_option *options, size_t count)
{
    models m;
    if (!x->choice) x->choice = choice_new(x);
    if (!x->judge) x->judge = fh_judge_new(&x->ask.common);
    if (!x->choice || !x->judge) return NULL;
    gather_models(x, list, index, options, count, &m);
    if (m.count) choose_one(x, &m);
    return x->choice->arm;
}

const char *fh_exchange_model_now(const fh_exchange *x)
{
    return x->choice ? x->choice->arm : NULL;
}

/* ---- what is said of it ---- */

void fh_exchange_choice_say(fh_exchange *x)
{
    const fh_model_choice *c = x->choice;
    char *reason = x->route.reason;
    size_t used = strlen(reason), size = sizeof x->route.reason;
    memcpy(x->route.others, c->others, sizeof x->route.others);
    if (c->escalated)
        snprintf(reason + used, size - used, "; asked instead of %s: %s", c->first.model,
                 c->why ? fh_verdict_text(c->why) : "it refused the request");
    else
        snprintf(reason + used, size - used, "; %s (%.2f of %zu models)", fh_model_reason_text(c->reason, x->prefer), c->belief.success,
                 c->models);
}

/* ---- judging ---- */

void fh_exchange_judge(fh_exchange *x)
{
    if (!x->judge && x->ask.common.tools && !x->counting) x->judge = fh_judge_new(&x->ask.common); /* NULL: it is not judged */
}

/* A whole answer of a model that was chosen was judged before it is read for the client. */
void fh_exchange_judge_event(fh_exchange *x, const fh_wire_event *e)
{
    if (x->judge && (x->wants_stream || !x->choice)) fh_judge_event(x->judge, e, NULL);
}

static int judge_event(void *arg, const fh_wire_event *e, fh_err **err)
{
    fh_exchange *x = arg;
    if (e->kind == FH_EVENT_USAGE && !x->choice->escalated) x->choice->first_usage = e->usage;
    return fh_judge_event(x->judge, e, err);
}

static fh_verdict judge_whole(fh_exchange *x)
{
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    FH_AUTO(fh_wire_forced) fh_wire_forced *forced = NULL;
    fh_judge_again(x->judge);
    int rc = fh_exchange_reader(x, judge_event, &reader, &forced, NULL);
    if (rc == 0) rc = fh_wire_reader_whole(reader, (fh_str){fh_buf_cstr(&x->in), x->in.len}, NULL);
    return rc ? FH_VERDICT_NONE : fh_judge_verdict(x->judge);
}

static void learn(fh_exchange *x, const char *arm, fh_verdict v)
{
    fh_outcome_seen seen = {.features = x->choice->features,
                            .good = fh_verdict_bad(v) ? 0 : 255,
                            .weight = v == FH_VERDICT_PLAIN ? PLAIN_WEIGHT : CHECKED_WEIGHT};
    if (v != FH_VERDICT_NONE) fh_outcomes_note(x->gateway->outcomes, arm, &seen);
}

/* The record of the replica, whoever chose it. */
static void note_calls(const fh_exchange *x)
{
    bool bad = fh_judge_verdict(x->judge) == FH_VERDICT_CALL;
    if (bad || fh_judge_called(x->judge)) fh_upstreams_called(x->gateway->upstreams, x->route.deployment, x->route.instance, !bad);
}

/* What one model refuses another may be able to do. */
static bool is_refusal(int status)
{
    return status == 400 || status == 404 || status == 413 || status == 422 || status == 501;
}

static void swap_replies(fh_exchange *x)
{
    fh_buf other = x->choice->first_in;
    x->choice->first_in = x->in;
    x->in = other;
}

bool fh_exchange_escalates(fh_exchange *x)
{
    fh_model_choice *c = x->choice;
    if (!c || x->streaming || x->counting) return false;
    fh_verdict v = x->status == 200 ? judge_whole(x) : FH_VERDICT_NONE;
    bool better = x->status == 200 ? fh_verdict_bad(v) : is_refusal(x->status);
    if (c->escalated || !better || c->models < 2) return false;
    if (x->status == 200) {
        learn(x, x->route.arm, v);
        note_calls(x);
    }
    c->escalated = true;
    c->why = v;
    c->first = x->route;
    c->first_forces = x->forces;
    c->first_repeated = fh_take(x->repeated);
    memcpy(c->first_type, x->type, sizeof c->first_type);
    swap_replies(x);
    return true;
}

bool fh_exchange_falls_back(fh_exchange *x)
{
    fh_model_choice *c = x->choice;
    if (!c || !c->escalated || !c->first_in.len || c->why == FH_VERDICT_NONE) return false;
    swap_replies(x);
    c->first_usage = (fh_wire_usage){0}; /* it is the client's */
    x->route = c->first;
    x->forces = c->first_forces;
    fh_free(x->repeated);
    x->repeated = fh_take(c->first_repeated);
    x->status = 200;
    memcpy(x->type, c->first_type, sizeof x->type);
    return fh_exchange_listen(x, NULL) == 0;
}

static void remember(fh_exchange *x)
{
    fh_given a = {.prompt = x->choice->prompt,
                  .features = x->choice->features,
                  .active_params = x->route.active_params,
                  .mono_ns = fh_clock_mono_ns()};
    snprintf(a.request, sizeof a.request, "%s", x->request_id);
    snprintf(a.key, sizeof a.key, "%s", x->key.id);
    snprintf(a.arm, sizeof a.arm, "%s", x->route.arm);
    fh_outcomes_answered(x->gateway->outcomes, &a);
}

void fh_exchange_learn(fh_exchange *x)
{
    const fh_model_choice *c = x->choice;
    if (x->learned || !x->judge || x->failed || x->counting) return;
    x->learned = true;
    note_calls(x);
    if (!c) return;
    bool before = c->escalated && strcmp(c->first.arm, x->route.arm) == 0; /* when it was not sent */
    if (!before) learn(x, x->route.arm, fh_judge_verdict(x->judge));
    remember(x);
}

size_t fh_exchange_kept_bytes(const fh_exchange *x)
{
    return x->choice ? x->choice->first_in.len : 0;
}

bool fh_exchange_escalated(const fh_exchange *x)
{
    return x->choice && x->choice->escalated;
}

uint64_t fh_exchange_wasted_tok(const fh_exchange *x)
{
    const fh_wire_usage *u = x->choice && x->choice->escalated ? &x->choice->first_usage : NULL;
    return u ? u->prompt_tok + u->completion_tok : 0;
}

void fh_exchange_look_back(fh_exchange *x)
{
    fh_outcomes *o = x->gateway->outcomes;
    if (x->choice || x->tries || !x->ask.common.doc || !fh_outcomes_any_answer(o)) return;
    fh_outcomes_asked_again(o, hash_prompt(x), x->route.arm, x->route.active_params, fh_clock_mono_ns());
}
