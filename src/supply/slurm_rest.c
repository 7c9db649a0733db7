/* A cluster by its slurmrestd. It submits, lists and cancels, and has no way to a file there: so the program has to be there already, and
 * a job's machine is let in by the key whose SHA-256 its job publishes (slurm_scripts.c).
 *
 * No lock holds while a job of an order's name is looked for and submitted. What takes its place: an answer that did not come is followed
 * by looks for SLURM_LATE_MS, and one that slips through nevertheless waits behind the first (`singleton`), is seen in a list, and
 * cancelled. slurmrestd lists the jobs of all users: only those of ours count, whatever the others' names are. */
#include "slurm_rest.h"

#include "net/address.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static int ask(slurm *s, const char *method, fh_json *body, void (*done)(void *arg, const rest_reply *r), void *arg, fh_err **err,
               const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* A path of the API. Takes body. */
static int ask(slurm *s, const char *method, fh_json *body, void (*done)(void *arg, const rest_reply *r), void *arg, fh_err **err,
               const char *fmt, ...)
{
    char path[128];
    int n = snprintf(path, sizeof path, "/slurm/%s/", s->rest->api);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path + n, sizeof path - (size_t)n, fmt, ap);
    va_end(ap);
    return fh_slurm_rest_ask(s->rest, &(rest_question){.method = method, .path = path, .body = body, .done = done, .arg = arg}, err);
}

/* The jobs of that name, or whose names begin so. */
static int ask_jobs(slurm *s, const char *name, void (*done)(void *arg, const rest_reply *r), void *arg, fh_err **err)
{
    char path[64];
    snprintf(path, sizeof path, "/slurm/%s/jobs", s->rest->api);
    return fh_slurm_rest_ask(s->rest, &(rest_question){.method = "GET", .path = path, .mention = name, .done = done, .arg = arg}, err);
}

static void nobody(void *arg, const rest_reply *r)
{
    (void)arg;
    (void)r;
}

/* ---- that it can be used ---- */

static void unprepared(slurm *s, const fh_err *why)
{
    const char *hint = fh_err_hint_get(why);
    fh_json_unref(fh_take(s->rest->partitions));
    fh_slurm_unprepared(s, false, hint ? hint : "it is tried again", fh_err_message(why));
}

/* Asks, and says so where that cannot be begun. */
static void look_at(slurm *s, const char *what, void (*done)(void *arg, const rest_reply *r))
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (ask(s, "GET", NULL, done, s, &err, "%s", what) != 0) unprepared(s, err);
}

static void nodes_came(void *arg, const rest_reply *r)
{
    slurm *s = arg;
    if (r->why) {
        unprepared(s, r->why);
        return;
    }
    fh_slurm_rest_kinds(s->rest->partitions, r->doc, &s->kinds);
    fh_json_unref(fh_take(s->rest->partitions));
    fh_slurm_prepared(s);
}

static void partitions_came(void *arg, const rest_reply *r)
{
    slurm *s = arg;
    if (r->why) {
        unprepared(s, r->why);
        return;
    }
    fh_json_unref(s->rest->partitions);
    s->rest->partitions = fh_json_ref((fh_json *)(uintptr_t)r->doc);
    look_at(s, "nodes", nodes_came);
}

/* It does not know our version of its API. */
static void offers_came(void *arg, const rest_reply *r)
{
    slurm *s = arg;
    char offered[160] = "", problem[300];
    fh_slurm_rest_apis(r->doc, offered, sizeof offered);
    snprintf(problem, sizeof problem, "slurmrestd does not offer %s of its API%s%s", s->rest->api, offered[0] ? "; it offers " : "",
             offered);
    fh_slurm_unprepared(s, true, "--set api=VERSION of the provider names one that it offers", problem);
}

static void ping_came(void *arg, const rest_reply *r)
{
    slurm *s = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    const rest_question offers = {.method = "GET", .path = "/openapi/v3", .done = offers_came, .arg = s};
    if (r->status == 404) {
        if (fh_slurm_rest_ask(s->rest, &offers, &err) != 0) unprepared(s, err);
    } else if (r->why) {
        unprepared(s, r->why);
    } else {
        look_at(s, "partitions", partitions_came);
    }
}

static void prepare(slurm *s)
{
    look_at(s, "ping", ping_came);
}

/* ---- lists ---- */

static int rows_of(const slurm *s, const rest_reply *r, const char *prefix, fh_slurm_row **ret, size_t *ret_count, fh_err **err)
{
    if (!r->why) return fh_slurm_rest_jobs(r->doc, s->rest->user, prefix, ret, ret_count, err);
    fh_err_set(err, fh_err_code(r->why), "%s", fh_err_message(r->why));
    if (fh_err_hint_get(r->why)) fh_err_hint(err, "%s", fh_err_hint_get(r->why));
    return fh_err_code(r->why);
}

static void name_of_all(const slurm *s, char out[64])
{
    snprintf(out, 64, "freehold-%s-", s->installation);
}

static void list_came(void *arg, const rest_reply *r)
{
    slurm *s = arg;
    char prefix[64];
    size_t count = 0;
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(ptr) fh_slurm_row *rows = NULL;
    name_of_all(s, prefix);
    (void)rows_of(s, r, prefix, &rows, &count, &err);
    fh_slurm_listed(s, rows, count, err);
}

static int list(slurm *s, fh_err **err)
{
    char prefix[64];
    name_of_all(s, prefix);
    return ask_jobs(s, prefix, list_came, s, err);
}

/* ---- looking for an order's jobs ---- */

static bool is_live(const fh_slurm_row *r)
{
    return r->state->class != FH_SLURM_ENDS && r->state->class != FH_SLURM_ENDED;
}

typedef struct found { /* jobs of its name */
    int64_t any, live; /* the first of them; 0: none */
} found;

static int64_t first_of(int64_t a, int64_t b)
{
    return !a || b < a ? b : a;
}

static int find_jobs(slurm_order *o, const rest_reply *r, found *ret, void (*each)(slurm *s, const fh_slurm_row *row), fh_err **err)
{
    size_t count = 0;
    FH_AUTO(ptr) fh_slurm_row *rows = NULL;
    int rc = rows_of(o->of, r, o->job_name, &rows, &count, err);
    *ret = (found){.any = 0};
    for (size_t i = 0; i < count; i++) {
        if (!fh_str_eqs(rows[i].name, o->job_name)) continue;
        ret->any = first_of(ret->any, rows[i].job);
        if (is_live(&rows[i])) ret->live = first_of(ret->live, rows[i].job);
        if (each && is_live(&rows[i])) each(o->of, &rows[i]);
    }
    return rc;
}

/* A submission whose answer did not come may still be on its way. */
static bool may_come(const slurm_order *o)
{
    return o->unsure_mono && fh_slurm_now_ms() - o->unsure_mono < FH_LIMIT_SLURM_LATE_MS;
}

static void answer_failed(slurm_order *o, int code, const fh_err *why)
{
    fh_slurm_order_answered(o, &(slurm_answer){.code = code, .words = "", .why = why});
}

/* ---- submitting ---- */

static void submit_came(void *arg, const rest_reply *r)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t job = r->why ? 0 : fh_slurm_rest_job_id(r->doc);
    const fh_err *why = r->why;
    if (!why && !job) {
        fh_err_set(&err, FH_E_UPSTREAM, "slurmrestd does not say the job's number");
        why = err;
    }
    fh_slurm_order_answered(arg, &(slurm_answer){.code = why ? fh_err_code(why) : 0,
                                                 .refused = why && r->refused,
                                                 .unsure = why && !r->refused && (r->status < 300 || r->status >= 500),
                                                 .job = job,
                                                 .words = r->words,
                                                 .why = why});
}

static int post(slurm_order *o, fh_err **err)
{
    fh_json *doc = fh_slurm_rest_job(o);
    return doc ? ask(o->of, "POST", doc, submit_came, o, err, "job/submit") : fh_err_nomem(err);
}

static void submit_looked(void *arg, const rest_reply *r)
{
    slurm_order *o = arg;
    found f;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = find_jobs(o, r, &f, NULL, &err);
    if (!rc && f.any) {
        fh_slurm_order_answered(o, &(slurm_answer){.job = f.any, .words = ""});
        return;
    }
    if (!rc && (!o->wanted || o->forgotten)) rc = fh_err_set(&err, FH_E_CANCELLED, "it is wanted no more");
    if (!rc && may_come(o)) rc = fh_err_set(&err, FH_E_UNAVAILABLE, "it is not in the list of jobs yet");
    if (!rc) rc = post(o, &err);
    if (rc) answer_failed(o, rc, err);
}

static int check_folder(const slurm_order *o, fh_err **err)
{
    const slurm_settings *set = &o->of->set;
    if (o->shape.nodes < 2 || set->scratch[0] || set->folder[0]) return 0;
    fh_err_set(err, FH_E_TOO_LARGE, "the model needs %" PRIu32 " nodes, which must share a folder for its weights", o->shape.nodes);
    fh_err_hint(err, "--set scratch=PATH of the provider names one");
    return FH_E_TOO_LARGE;
}

static int submit(slurm_order *o, fh_err **err)
{
    int rc = check_folder(o, err);
    return rc ? rc : ask_jobs(o->of, o->job_name, submit_looked, o, err);
}

/* ---- letting its machine in ---- */

static void let_in(slurm_order *o)
{
    char key[65];
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_supply_door *door = &o->of->door;
    if (!fh_slurm_comment_key(o->comment, key)) return;
    int rc = door->grant(door->arg, o->node, key, &err);
    fh_slurm_order_let_in(o, &(slurm_answer){.code = rc, .words = "", .why = err});
}

/* ---- cancelling ---- */

static int end_job(slurm *s, int64_t job, void (*done)(void *arg, const rest_reply *r), void *arg, fh_err **err)
{
    return ask(s, "DELETE", NULL, done, arg, err, "job/%" PRId64, job);
}

static int cancel_twin(slurm *s, int64_t job, fh_err **err)
{
    return end_job(s, job, nobody, NULL, err);
}

static void cancel_live(slurm *s, const fh_slurm_row *row)
{
    (void)cancel_twin(s, row->job, NULL);
}

/* What is over already needs no end. Whether the job ends is seen in lists. */
static void cancel_came(void *arg, const rest_reply *r)
{
    bool over = strstr(r->words, "Invalid job id") || strstr(r->words, "already complet");
    const fh_err *why = over ? NULL : r->why;
    fh_slurm_order_answered(arg, &(slurm_answer){.code = why ? fh_err_code(why) : 0, .words = r->words, .why = why});
}

/* All that live are ended, and the first once more: that one's answer is waited for. */
static void cancel_looked(void *arg, const rest_reply *r)
{
    slurm_order *o = arg;
    found f;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = find_jobs(o, r, &f, cancel_live, &err);
    if (!rc && !f.any && !o->job && may_come(o)) rc = fh_err_set(&err, FH_E_UNAVAILABLE, "it is not in the list of jobs yet");
    if (!o->job) o->job = f.live ? f.live : f.any;
    if (!rc && f.live) rc = end_job(o->of, f.live, cancel_came, o, &err);
    if (rc)
        answer_failed(o, rc, err);
    else if (!f.live)
        fh_slurm_order_answered(o, &(slurm_answer){.job = f.any, .words = ""});
}

static int cancel(slurm_order *o, fh_err **err)
{
    return ask_jobs(o->of, o->job_name, cancel_looked, o, err);
}

static void forget(slurm_order *o)
{
    o->of->door.revoke(o->of->door.arg, o->node);
}

/* ---- opening ---- */

static void close_rest(slurm *s)
{
    slurm_rest *r = s->rest;
    if (!r) return;
    fh_slurm_rest_cancel_all(r);
    fh_http_client_free(r->client);
    fh_json_unref(r->partitions);
    fh_free(r);
}

static const slurm_way by_rest = {.prepare = prepare,
                                  .list = list,
                                  .submit = submit,
                                  .let_in = let_in,
                                  .cancel = cancel,
                                  .cancel_twin = cancel_twin,
                                  .forget = forget,
                                  .close = close_rest};

static int refuse(const char *param, const char *what, const char *hint, fh_err **err)
{
    fh_err_set(err, FH_E_INVALID, "%s", what);
    fh_err_param(err, "%s", param);
    fh_err_hint(err, "%s", hint);
    return FH_E_INVALID;
}

static int check(const slurm_settings *set, const fh_supply_config *c, fh_err **err)
{
    fh_str url = fh_str_of(c->url);
    bool plain = fh_str_starts(url, FH_STR("http://")) && !fh_url_is_own(url);
    if (strchr(c->url, '@') || strlen(c->url) >= sizeof((slurm_rest *)0)->url)
        return refuse("url", "'url' is no address of a slurmrestd", "for example https://slurm.example.org:6820", err);
    if (plain && !set->plain_http[0])
        return refuse("url", "the token would be readable on the network",
                      "use https, or --set plain-http=yes where the network is trusted", err);
    if (!c->key_file[0])
        return refuse("key_file", "slurmrestd wants a token of its user", "--key-file FILE: what `scontrol token lifespan=SECONDS` prints",
                      err);
    if (!set->user[0]) return refuse("settings.user", "slurmrestd wants to know whose token it is", "--set user=NAME", err);
    if (!set->program[0])
        return refuse("settings.program", "slurmrestd cannot copy freehold to the cluster", "--set program=PATH: where it is on the nodes",
                      err);
    return 0;
}

int fh_slurm_rest_open(slurm *s, const fh_supply_config *c, fh_err **err)
{
    char token[FH_LIMIT_SLURM_TOKEN_BYTES];
    int rc = check(&s->set, c, err);
    if (!rc) rc = fh_slurm_rest_token(c->key_file, token, err);
    explicit_bzero(token, sizeof token);
    if (rc) return rc;
    s->rest = fh_calloc(1, sizeof *s->rest);
    if (!s->rest) return fh_err_nomem(err);
    s->way = &by_rest;
    if (!s->set.api[0]) snprintf(s->set.api, sizeof s->set.api, "v0.0.38");
    s->rest->user = s->set.user;
    s->rest->api = s->set.api;
    size_t len = strlen(c->url);
    while (len && c->url[len - 1] == '/') len--;
    snprintf(s->rest->url, sizeof s->rest->url, "%.*s", (int)len, c->url);
    snprintf(s->rest->key_file, sizeof s->rest->key_file, "%s", c->key_file);
    return fh_http_client_new(&s->rest->client, s->loop, err);
}
