/* A check of a place's honesty (see honesty.h). */
#include "honesty.h"

#include "base/clock.h"
#include "base/log.h"
#include "canary_line.h"
#include "net/secret.h"
#include "honesty/draw.h"
#include "honesty/reply.h"
#include "honesty_target.h"

#include <stdio.h>
#include <string.h>

#define PAUSE_NS (200 * FH_NS_PER_MS) /* after the first that is not answered, twice that after the second, and so on */
enum { SAME_LEAST = 8 };              /* tokens of an answer whose coming again says something */

typedef struct kept_canary { /* may be asked again */
    char *prompt, *answer;   /* owned */
} kept_canary;

struct fh_honesty_check {
    fh_server *server;
    canary_line line;
    fh_honesty_target to;
    char salt[33]; /* for our own engine */
    fh_standing standing;
    fh_honesty_record measured; /* of this check alone, when it measures */
    bool measures;
    double bound;
    uint64_t wanted, done, random;
    unsigned failures; /* in a row */
    fh_timer *pause;   /* owned */
    bool running;
    char error[400];
    kept_canary kept[FH_LIMIT_HONESTY_KEPT];
    size_t kept_count, kept_next;
    /* The canary that is under way: */
    fh_honesty_canary canary;
    char *prompt;                                /* owned */
    const kept_canary *again;                    /* NULL: a new one */
    fh_json *answer, *prompt_split, *both_split; /* owned: the endpoint's reply; the tokens of the prompt, and with the answer */
    fh_honesty_reply reply;                      /* of answer */
    fh_honesty_reply ours;
    size_t shared, at;
    double deviation_sum, chance;
};
typedef fh_honesty_check check;

static void next_canary(void *arg);

/* ---- the end ---- */

static void forget_canary(check *c)
{
    fh_free(c->prompt);
    fh_json_unref(c->answer);
    fh_json_unref(c->prompt_split);
    fh_json_unref(c->both_split);
    c->prompt = NULL;
    c->answer = c->prompt_split = c->both_split = NULL;
}

static void end(check *c, const fh_err *why)
{
    const fh_standing *s = &c->standing;
    c->running = false;
    if (why) snprintf(c->error, sizeof c->error, "%s", fh_err_message(why));
    fh_log(FH_LOG_INFO, "server", "checked provider=%s model=%s canaries=%llu verdict=%s", s->provider, s->model,
           (unsigned long long)c->done, fh_honesty_verdict_name(fh_honesty_judge(&s->record)));
    forget_canary(c);
}

static void check_free(check *c)
{
    if (!c) return;
    canary_line_fini(&c->line);
    fh_timer_free(c->pause);
    forget_canary(c);
    for (size_t i = 0; i < c->kept_count; i++) {
        fh_free(c->kept[i].prompt);
        fh_free(c->kept[i].answer);
    }
    explicit_bzero(c->to.secret, sizeof c->to.secret);
    fh_free(c);
}
FH_DEFINE_AUTO(check, check_free);

/* Not answered, by the endpoint or by us: no evidence of anything. */
static void missed(check *c, const fh_err *why)
{
    bool last = fh_err_code(why) == FH_E_CANCELLED || ++c->failures >= FH_LIMIT_HONESTY_FAILURES;
    forget_canary(c);
    if (last)
        end(c, why);
    else
        fh_timer_start(c->pause, PAUSE_NS * c->failures);
}

static void ask(check *c, bool here, const char *path, fh_json *body, void (*then)(void *arg, fh_json *doc, const fh_err *err))
{
    fh_err *err = NULL;
    const char *theirs = c->to.salted ? c->server->canary_salt : NULL, *there = c->to.there[0] ? c->to.there : NULL;
    canary_target to = {.url = here ? "http://localhost" : c->to.url,
                        .unix_path = here ? c->to.here : there,
                        .secret = here ? NULL : c->to.secret,
                        .salt = here ? c->salt : theirs,
                        .ours = here};
    c->line.done = then;
    if (canary_line_ask(&c->line, &to, path, body, &err)) end(c, err);
    fh_err_free(err);
}

static bool answered(check *c, const fh_json *doc, const fh_err *why)
{
    if (!doc) missed(c, why);
    return doc != NULL;
}

/* ---- what it showed ---- */

static void keep(check *c)
{
    kept_canary *k = &c->kept[c->kept_next];
    char *answer = fh_strndup(c->reply.text.ptr, c->reply.text.len);
    if (!answer) return;
    fh_free(k->prompt);
    fh_free(k->answer);
    k->prompt = fh_take(c->prompt);
    k->answer = answer;
    c->kept_next = (c->kept_next + 1) % FH_COUNT(c->kept);
    c->kept_count = FH_MIN(c->kept_count + 1, FH_COUNT(c->kept));
}

static const fh_json *tokens_of(const fh_json *split)
{
    return fh_json_get(split, "tokens");
}

static void observe(check *c)
{
    const fh_honesty_reply *r = &c->reply;
    size_t prompt_tok = fh_json_count(tokens_of(c->prompt_split)), both_tok = fh_json_count(tokens_of(c->both_split));
    fh_honesty_observation o = {.positions = c->at,
                                .deviation = c->at ? c->deviation_sum / (double)c->at : 0,
                                .bound = c->bound,
                                .repeated = c->again && r->count >= SAME_LEAST,
                                .same = c->again && fh_str_eqs(r->text, c->again->answer),
                                .chance = c->chance,
                                .counted = r->prompt_tok >= 0 && r->completion_tok >= 0,
                                .prompt_tok = (int64_t)prompt_tok,
                                .completion_tok = fh_honesty_reply_tok(r, (int64_t)both_tok - (int64_t)prompt_tok),
                                .said_prompt_tok = r->prompt_tok,
                                .said_completion_tok = r->completion_tok};
    fh_honesty_observe(&c->standing.record, &o);
    fh_honesty_observe(&c->measured, &o);
    c->standing.checked_utc_ns = fh_clock_utc_ns();
}

/* The largest measure stays: honest ones may be as far apart as that. */
static int keep_measure(check *c, fh_err **err)
{
    fh_standing before, now = c->standing;
    if (!fh_honesty_measures(&c->measured))
        return fh_err_set(err, FH_E_CONFLICT,
                          "it is no measure for others: it computes exactly as the engine here does, or answered too few canaries");
    now.provider[0] = '\0';
    now.record = c->measured;
    fh_standings_find(c->server->standings, "", now.model, &before);
    return fh_honesty_mean(&before.record) < fh_honesty_mean(&now.record) ? fh_standings_put(c->server->standings, &now, err) : 0;
}

static void finish_canary(check *c)
{
    fh_err *err = NULL;
    observe(c);
    if (!c->again) keep(c);
    c->failures = 0;
    c->done++;
    bool found = !c->measures && fh_honesty_judge(&c->standing.record) == FH_HONESTY_CHEATS;
    bool over = c->done >= c->wanted || found || c->server->handed_over;
    int rc = c->measures ? 0 : fh_standings_put(c->server->standings, &c->standing, &err);
    if (!rc && over && c->measures) rc = keep_measure(c, &err);
    if (!rc && found) fh_server_distrust(c->server, c->standing.provider);
    if (rc || over)
        end(c, err);
    else
        next_canary(c);
    fh_err_free(err);
}

/* ---- our own word for it: what follows the first tokens, a place at a time ---- */

static void score(check *c);

static void scored(void *arg, fh_json *doc, const fh_err *why)
{
    check *c = arg;
    FH_AUTO(json) fh_json *held = doc;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (!answered(c, held, why)) return;
    if (fh_honesty_reply_read(&c->ours, held, &err)) {
        missed(c, err);
        return;
    }
    c->deviation_sum += fh_honesty_deviation(&c->reply.positions[c->at], &c->ours.positions[0]);
    c->chance += fh_honesty_logprob(&c->ours.positions[0], c->reply.positions[c->at].chosen.text);
    c->at++;
    score(c);
}

static void add_ids(fh_json *ids, const fh_json *tokens, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) fh_json_append(ids, fh_json_new_int(fh_json_int(fh_json_get(fh_json_at(tokens, i), "id"), 0)));
}

/* The prompt's own, and as many of the answer's as are shared. */
static fh_json *first_ids(const check *c, size_t of_answer)
{
    const fh_json *prompt = tokens_of(c->prompt_split);
    size_t count = fh_json_count(prompt);
    fh_json *ids = fh_json_new_array();
    if (!ids) return NULL;
    add_ids(ids, prompt, 0, count);
    add_ids(ids, tokens_of(c->both_split), count, count + of_answer);
    return ids;
}

static void score(check *c)
{
    if (c->at > c->shared || c->at >= c->reply.count || !fh_honesty_reply_whole(&c->reply)) {
        finish_canary(c);
        return;
    }
    fh_json *body = fh_json_new_object();
    fh_json_set(body, "model", fh_json_new_cstr(c->standing.model));
    fh_json_set(body, "prompt", first_ids(c, c->at));
    fh_json_set(body, "max_tokens", fh_json_new_int(1));
    fh_json_set(body, "temperature", fh_json_new_int(0));
    fh_json_set(body, "logprobs", fh_json_new_int(FH_LIMIT_TOP_LOGPROBS));
    ask(c, true, "/v1/completions", body, scored);
}

/* ---- the same tokens ---- */

static void tokenize(check *c, fh_str answer, void (*then)(void *arg, fh_json *doc, const fh_err *err))
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    fh_buf_adds(&text, c->prompt);
    fh_buf_add(&text, answer.ptr, answer.len);
    fh_json *body = fh_json_new_object();
    fh_json_set(body, "content", fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len}));
    fh_json_set(body, "add_special", fh_json_new_bool(true));
    fh_json_set(body, "with_pieces", fh_json_new_bool(true));
    ask(c, true, "/tokenize", body, then);
}

static void split(void *arg, fh_json *doc, const fh_err *why)
{
    check *c = arg;
    if (!answered(c, doc, why)) return;
    c->both_split = doc;
    c->shared = fh_honesty_shared(&c->reply, tokens_of(c->prompt_split), tokens_of(doc));
    c->at = 0;
    c->deviation_sum = c->chance = 0;
    score(c);
}

static void counted(void *arg, fh_json *doc, const fh_err *why)
{
    check *c = arg;
    if (!answered(c, doc, why)) return;
    c->prompt_split = doc;
    tokenize(c, c->reply.text, split);
}

/* ---- the canary ---- */

static void asked(void *arg, fh_json *doc, const fh_err *why)
{
    check *c = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (!answered(c, doc, why)) return;
    c->answer = doc;
    if (fh_honesty_reply_read(&c->reply, doc, &err))
        missed(c, err);
    else
        tokenize(c, FH_STR(""), counted);
}

static fh_json *sampled(const check *c, const char *prompt, uint32_t max_tokens, uint32_t seed, bool logprobs)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "prompt", fh_json_new_cstr(prompt));
    fh_json_set(o, "max_tokens", fh_json_new_int(max_tokens));
    fh_json_set(o, "temperature", fh_json_new_int(1));
    fh_json_set(o, "top_p", fh_json_new_int(1));
    fh_json_set(o, "seed", fh_json_new_int(seed));
    fh_json_set(o, "model", fh_json_new_cstr(c->standing.model)); /* where the gateway puts what it says to a watched endpoint: last */
    if (logprobs) fh_json_set(o, "logprobs", fh_json_new_int(FH_LIMIT_TOP_LOGPROBS));
    return o;
}

static void ask_provider(check *c)
{
    ask(c, false, "/v1/completions", sampled(c, c->prompt, c->canary.answer_tok, c->canary.ask_seed, true), asked);
}

static void written(void *arg, fh_json *doc, const fh_err *why)
{
    check *c = arg;
    FH_AUTO(json) fh_json *held = doc;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (!answered(c, held, why)) return;
    fh_str text = fh_json_str(fh_json_get(fh_json_at(fh_json_get(held, "choices"), 0), "text"));
    c->prompt = fh_asprintf("%s%.*s", c->canary.opening, (int)text.len, text.ptr ? text.ptr : "");
    if (c->prompt)
        ask_provider(c);
    else {
        fh_err_nomem(&err);
        end(c, err);
    }
}

static void next_canary(void *arg)
{
    check *c = arg;
    forget_canary(c);
    size_t again = fh_honesty_draw_again(&c->random, c->kept_count);
    c->again = again < c->kept_count ? &c->kept[again] : NULL;
    fh_honesty_draw(&c->random, &c->canary);
    if (c->again && (c->prompt = fh_strdup(c->again->prompt)))
        ask_provider(c);
    else {
        c->again = NULL;
        ask(c, true, "/v1/completions", sampled(c, c->canary.opening, c->canary.prompt_tok, c->canary.write_seed, false), written);
    }
}

/* ---- the beginning ---- */

/* One of the server's own for all canaries, as a client's key has one for all of its requests. */
static int client_salt(fh_server *s, fh_err **err)
{
    uint8_t salt[16];
    int rc = s->canary_salt[0] ? 0 : fh_random_bytes(salt, sizeof salt, err);
    if (!rc && !s->canary_salt[0]) fh_hex_encode(salt, sizeof salt, s->canary_salt, sizeof s->canary_salt);
    return rc;
}

static int prepare(check *c, const fh_honesty_wish *wish, fh_err **err)
{
    uint8_t salt[16];
    int rc = fh_honesty_target_find(c->server, wish->provider, wish->model, &c->to, err);
    if (!rc) rc = fh_random_bytes(&c->random, sizeof c->random, err);
    if (!rc) rc = fh_random_bytes(salt, sizeof salt, err);
    if (!rc) rc = client_salt(c->server, err);
    if (rc) return rc;
    fh_hex_encode(salt, sizeof salt, c->salt, sizeof c->salt);
    fh_standings_find(c->server->standings, "", c->to.model, &c->standing);
    c->bound = fh_honesty_bound(&c->standing.record);
    fh_standings_find(c->server->standings, wish->provider, c->to.model, &c->standing);
    return 0;
}

/* What was asked in the last check of the same may be asked again in this one: checks of one canary each find a cache too. */
static void inherit(check *c, check *before)
{
    bool same = strcmp(c->standing.provider, before->standing.provider) == 0 && strcmp(c->standing.model, before->standing.model) == 0;
    if (!same) return;
    memcpy(c->kept, before->kept, sizeof c->kept);
    c->kept_count = before->kept_count;
    c->kept_next = before->kept_next;
    before->kept_count = 0;
}

int fh_honesty_check_start(fh_server *s, const fh_honesty_wish *wish, char ret_model[128], fh_err **err)
{
    if (s->check && s->check->running) {
        fh_err_set(err, FH_E_CONFLICT, "provider %s is being checked", s->check->standing.provider);
        fh_err_hint(err, "one is checked at a time: wait until that is done");
        return FH_E_CONFLICT;
    }
    FH_AUTO(check) check *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    c->server = s;
    c->wanted = wish->canaries;
    c->measures = wish->measure;
    c->line = (canary_line){.client = s->outbound, .traced = s->config->otlp_url != NULL, .arg = c};
    int rc = prepare(c, wish, err);
    if (!rc) rc = canary_line_init(&c->line, s->loop, err);
    if (!rc) rc = fh_timer_new(&c->pause, s->loop, next_canary, c, err);
    if (rc) return rc;
    snprintf(ret_model, 128, "%s", c->standing.model);
    if (s->check) inherit(c, s->check);
    check_free(s->check);
    s->check = fh_take(c);
    s->check->running = true;
    next_canary(s->check);
    return 0;
}

void fh_honesty_check_leave(fh_server *s, const char *provider)
{
    if (s->check && strcmp(s->check->standing.provider, provider) == 0) fh_honesty_check_end(s);
}

void fh_honesty_check_end(fh_server *s)
{
    check_free(s->check);
    s->check = NULL;
}

fh_honesty_progress fh_honesty_check_progress(const fh_server *s, const char *provider, const char *model)
{
    const check *c = s->check;
    if (!c || strcmp(c->standing.provider, provider) != 0 || strcmp(c->standing.model, model) != 0)
        return (fh_honesty_progress){.running = false};
    return (fh_honesty_progress){.running = c->running, .done = c->done, .wanted = c->wanted, .error = c->error[0] ? c->error : NULL};
}

const char *fh_honesty_check_model(const fh_server *s, const char *provider)
{
    return s->check && strcmp(s->check->standing.provider, provider) == 0 ? s->check->standing.model : NULL;
}
