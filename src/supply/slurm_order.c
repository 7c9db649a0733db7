/* One order: submitted once, looked at, let in, cancelled, over. How the cluster is spoken to is its way's.
 *
 *     asked for ─submit─> job known ─list─> waits ─> runs ─let in─> held ─list─> ended ─> over
 *                   │                          └── cancel, once it is wanted no more ──┘
 *                   └── refused by Slurm ─> over
 *
 * What holds: before the first submission a mark is written on this side, so that a server that was killed knows of which orders there may
 * be a job. An order that has one is over only when lists show that its job has ended, or no longer show it. */
#include "slurm_private.h"
#include "words.h"

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char settings_hint[] = "the settings of the provider say what is asked for";
enum { EARLIER_S = 15, MISSED = 2 };

/* ---- what is said of it ---- */

static bool is_same(const fh_supply_view *a, const fh_supply_view *b)
{
    return a->state == b->state && a->again == b->again && a->leaving == b->leaving && a->ends_utc_ns == b->ends_utc_ns &&
           strcmp(a->says, b->says) == 0 && strcmp(a->note, b->note) == 0 && strcmp(a->hint, b->hint) == 0;
}

/* Slurm's words, and those of a job's comment, are among its own. */
static void set_view(slurm_order *o, const fh_supply_view *v)
{
    fh_supply_view plain = *v;
    fh_supply_words(fh_str_of(v->says), plain.says, sizeof plain.says);
    if (is_same(&plain, &o->view)) return;
    o->view = plain;
    o->news = true;
    fh_slurm_stir(o->of);
}

static __attribute__((format(printf, 4, 0))) void say(slurm_order *o, fh_supply_view *v, const char *hint, const char *fmt, va_list ap)
{
    vsnprintf(v->says, sizeof v->says, fmt, ap);
    snprintf(v->hint, sizeof v->hint, "%s", hint);
    set_view(o, v);
}

void fh_slurm_order_say(slurm_order *o, fh_supply_state state, const char *hint, const char *fmt, ...)
{
    fh_supply_view v = o->view;
    va_list ap;
    v.state = state;
    va_start(ap, fmt);
    say(o, &v, hint, fmt, ap);
    va_end(ap);
}

void fh_slurm_order_over(slurm_order *o, bool again, const char *hint, const char *fmt, ...)
{
    fh_supply_view v = {.state = FH_SUPPLY_OVER, .again = again};
    va_list ap;
    va_start(ap, fmt);
    say(o, &v, hint, fmt, ap);
    va_end(ap);
}

bool fh_slurm_order_is_open(const slurm_order *o)
{
    return o->view.state != FH_SUPPLY_OVER && !o->forgotten;
}

static void later(slurm_order *o)
{
    int64_t pause = fh_slurm_pause_ms(o->failures++);
    o->not_before_mono = fh_slurm_now_ms() + pause;
    fh_slurm_tick_soon(o->of, pause);
}

/* One question about it at a time. What cannot be asked is answered so. */
static void ask(slurm_order *o, int (*begin)(slurm_order *o, fh_err **err), slurm_answered_fn *answered)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    o->answered = answered;
    o->calling = true;
    int rc = begin(o, &err);
    if (!rc) return;
    o->calling = false;
    answered(o, &(slurm_answer){.code = rc, .words = "", .why = err});
}

void fh_slurm_order_answered(slurm_order *o, const slurm_answer *a)
{
    slurm *s = o->of;
    o->calling = false;
    fh_slurm_tick_soon(s, 0);
    if (o->forgotten) {
        fh_slurm_order_drop(o);
        return;
    }
    o->answered(o, a);
    fh_slurm_tell_news(s);
}

static const char *hint_of(const slurm_answer *a, const char *otherwise)
{
    const char *hint = a->why ? fh_err_hint_get(a->why) : NULL;
    return hint ? hint : otherwise;
}

/* ---- submitting ---- */

static int write_mark(slurm_order *o, fh_err **err)
{
    char name[32], path[sizeof o->of->marks + 32];
    if (o->asked) return 0;
    snprintf(name, sizeof name, "%" PRId64, o->order);
    int rc = fh_dir_make(o->of->marks, 0700, err);
    if (!rc) rc = fh_path_join(path, sizeof path, o->of->marks, name, err);
    if (!rc) rc = fh_file_write_atomic(path, "", 0, 0600, err);
    o->asked = !rc;
    return rc;
}

static void submitted_job(slurm_order *o, int64_t job)
{
    o->job = job;
    o->unsure_mono = 0;
    o->failures = 0;
    o->of->list_mono = 0;
    fh_slurm_order_say(o, FH_SUPPLY_WAITING, "", "job %" PRId64 " is submitted", job);
    fh_log(FH_LOG_INFO, "slurm", "supply=%s order=%" PRId64 " is job %" PRId64 " (%s)", o->of->name, o->order, job, o->job_name);
}

static void refused(slurm_order *o, const char *words)
{
    const char *hint = strstr(words, "configuration is not available")
                           ? "no node of the partition has that much: see the settings mem, cpus, gres of the provider"
                           : settings_hint;
    fh_slurm_order_over(o, false, hint, "Slurm refuses the job: %s", words);
}

static void submitted(slurm_order *o, const slurm_answer *a)
{
    const char *why = a->why ? fh_err_message(a->why) : "its number was not said";
    if (!a->code && a->job) {
        submitted_job(o, a->job);
    } else if (a->refused) {
        refused(o, a->words);
    } else if (a->code == FH_E_TOO_LARGE && !a->unsure && !o->unsure_mono) { /* it was not asked for, and never can be */
        fh_slurm_order_over(o, false, hint_of(a, settings_hint), "%s", why);
    } else {
        if (a->unsure) o->unsure_mono = fh_slurm_now_ms();
        bool unsure = o->unsure_mono != 0;
        later(o);
        fh_slurm_order_say(o, FH_SUPPLY_WAITING, hint_of(a, unsure ? "it is looked for and tried again" : "it is tried again"), "%s: %s",
                           unsure ? "it is not known whether the job was submitted" : "the job is not submitted yet", why);
    }
}

static void submit(slurm_order *o)
{
    slurm *s = o->of;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (write_mark(o, &err) != 0) {
        fh_log_err(FH_LOG_WARN, "slurm", err, "order %" PRId64 " waits", o->order);
        later(o);
        return;
    }
    o->shape = fh_slurm_shape_of(&o->need, o->limit_s, &s->set, &s->kinds);
    if (!o->unsure_mono) fh_slurm_order_say(o, FH_SUPPLY_WAITING, "", "the job is being submitted");
    ask(o, s->way->submit, submitted);
}

/* ---- its machine is let in ---- */

void fh_slurm_order_let_in(slurm_order *o, const slurm_answer *a)
{
    o->handed = a->code == 0;
    if (o->handed) {
        o->failures = 0;
        return;
    }
    fh_log_err(FH_LOG_WARN, "slurm", a->why, "the machine of order %" PRId64 " is not let in yet", o->order);
    later(o);
}

/* ---- cancelling ---- */

static void was_cancelled(slurm_order *o, const slurm_answer *a)
{
    if (a->job && !o->job) o->job = a->job;
    if (a->code) {
        later(o);
        fh_slurm_order_say(o, o->view.state, hint_of(a, "it is tried again"), "the job cannot be cancelled: %s", fh_err_message(a->why));
    } else if (!o->job) {
        fh_slurm_order_over(o, true, "", "it was cancelled before it had a job");
    } else {
        o->cancelled = true;
        o->of->list_mono = 0;
    }
}

/* ---- what lists show ---- */

/* Whether an end, as it is said now, is one that was brought forward: Slurm does so when it is about to preempt. */
static bool comes_earlier(slurm_order *o, int64_t ends_s)
{
    if (!ends_s) return false;
    if (!o->first_end_s) o->first_end_s = ends_s;
    return ends_s + EARLIER_S < o->first_end_s;
}

static void runs(slurm_order *o, const fh_slurm_row *r)
{
    fh_supply_view v = o->view;
    if (!o->ran_mono) o->ran_mono = fh_slurm_now_ms();
    v.state = FH_SUPPLY_HELD;
    v.ends_utc_ns = r->ends_s * FH_NS_PER_S;
    v.leaving = comes_earlier(o, r->ends_s) || r->state->class == FH_SLURM_HALTS || r->state->class == FH_SLURM_ENDS;
    v.hint[0] = '\0';
    if (r->nodes > 1) snprintf(v.note, sizeof v.note, "%" PRIu64 " nodes for one model, which srun starts it on", r->nodes);
    snprintf(v.says, sizeof v.says, "job %" PRId64 " %s on %.*s%s", r->job, r->state->words, (int)FH_MIN(r->node.len, (size_t)60),
             r->node.ptr, comes_earlier(o, r->ends_s) ? ", and is to make room for another" : "");
    set_view(o, &v);
}

static void queue_words(const fh_slurm_row *r, char *out, size_t out_size)
{
    const fh_slurm_reason *why = fh_slurm_reason_find(r->reason);
    char when[48] = "";
    time_t t = (time_t)r->starts_s;
    struct tm at;
    if (r->starts_s * FH_NS_PER_S > fh_clock_utc_ns() && gmtime_r(&t, &at))
        strftime(when, sizeof when, "; Slurm expects to start it %Y-%m-%d %H:%M UTC", &at);
    snprintf(out, out_size, "%s%s(%.*s)%s", why ? why->words : "", why ? " " : "", (int)FH_MIN(r->reason.len, (size_t)60), r->reason.ptr,
             when);
}

static void queued(slurm_order *o, const fh_slurm_row *r)
{
    const fh_slurm_reason *why = fh_slurm_reason_find(r->reason);
    char words[160];
    if (o->ran_mono) { /* an administrator put it back: its node has joined and left, and does not join twice */
        o->lost = true;
        o->wanted = false;
        return;
    }
    if (why && why->never && o->wanted) {
        o->wanted = false;
        o->never = why;
        fh_slurm_order_say(o, FH_SUPPLY_WAITING, "", "job %" PRId64 " cannot start: %s", o->job, why->words);
    }
    if (!o->wanted) return;
    queue_words(r, words, sizeof words);
    fh_slurm_order_say(o, FH_SUPPLY_WAITING, "", "job %" PRId64 " %s: %s", o->job, r->state->words, words);
}

static void over_as(slurm_order *o, const fh_slurm_state *state, const char *last)
{
    bool failed = strcmp(state->name, "FAILED") == 0;
    bool early = failed && (!o->ran_mono || fh_slurm_now_ms() - o->ran_mono < FH_LIMIT_SLURM_EARLY_MS);
    const char *log = o->of->way->last ? "its log lies in the shared folder until it is forgotten" : "";
    const char *hint = early && !state->hint[0] ? log : state->hint;
    if (o->lost)
        fh_slurm_order_over(o, true, "", "job %" PRId64 " was put back into the queue by Slurm", o->job);
    else if (o->never)
        fh_slurm_order_over(o, false, settings_hint, "job %" PRId64 " cannot start: %s", o->job, o->never->words);
    else
        fh_slurm_order_over(o, state->again && !early, hint, "job %" PRId64 " %s%s%s", o->job, state->words, last[0] ? ": " : "", last);
}

static void last_heard(slurm_order *o, const slurm_answer *a)
{
    size_t len = strlen(a->words);
    if (fh_slurm_order_is_open(o)) over_as(o, fh_slurm_state_find(FH_STR("FAILED")), a->words + (len > 120 ? len - 120 : 0));
}

static void ended(slurm_order *o, const fh_slurm_row *r)
{
    const fh_slurm_reason *why = fh_slurm_reason_find(r->reason);
    if (why && why->never && !o->ran_mono && !o->never) o->never = why;
    bool failed = strcmp(r->state->name, "FAILED") == 0 && o->wanted && !o->never;
    if (failed && o->of->way->last)
        ask(o, o->of->way->last, last_heard);
    else
        over_as(o, r->state, failed ? fh_slurm_comment_said(o->comment) : "");
}

/* Slurm may take long to clear away after a node that is gone. */
static void ends(slurm_order *o, const fh_slurm_row *r)
{
    if (!o->ending_mono) o->ending_mono = fh_slurm_now_ms();
    if (fh_slurm_now_ms() - o->ending_mono > FH_LIMIT_SLURM_CLEAR_MS)
        over_as(o, r->state, "");
    else if (o->ran_mono)
        runs(o, r);
    fh_slurm_stir(o->of);
}

/* A submission whose answer was lost came through after another was made. While it is listed it is cancelled again. */
static void cancel_twin(const slurm_order *o, int64_t job)
{
    slurm *s = o->of;
    if (s->way->cancel_twin(s, job, NULL) == 0)
        fh_log(FH_LOG_WARN, "slurm", "supply=%s job %" PRId64 " has the name of job %" PRId64 " and is cancelled", s->name, job, o->job);
}

void fh_slurm_order_seen(slurm_order *o, const fh_slurm_row *r)
{
    if (!fh_slurm_order_is_open(o)) return;
    if (r->job != o->job) {
        if (r->state->class != FH_SLURM_ENDS && r->state->class != FH_SLURM_ENDED) cancel_twin(o, r->job);
        return;
    }
    o->missed = 0;
    snprintf(o->comment, sizeof o->comment, "%.*s", (int)FH_MIN(r->comment.len, sizeof o->comment - 1),
             r->comment.len ? r->comment.ptr : "");
    switch (r->state->class) {
    case FH_SLURM_WAITS: queued(o, r); break;
    case FH_SLURM_RUNS:
    case FH_SLURM_HALTS: runs(o, r); break;
    case FH_SLURM_ENDS: ends(o, r); break;
    case FH_SLURM_ENDED:
        if (!o->calling) ended(o, r);
        break;
    }
}

void fh_slurm_order_missed(slurm_order *o)
{
    if (++o->missed < MISSED || o->calling) return;
    fh_slurm_order_over(o, true, "", "job %" PRId64 " has ended, and Slurm no longer knows how", o->job);
}

/* ---- steps ---- */

void fh_slurm_order_step(slurm_order *o)
{
    if (o->calling || !fh_slurm_order_is_open(o)) return;
    if (!o->wanted && !o->asked) {
        fh_slurm_order_over(o, true, "", "it was not asked for yet");
        return;
    }
    if (o->of->ready != SLURM_READY && !o->job) return;
    if (o->not_before_mono > fh_slurm_now_ms()) {
        fh_slurm_tick_soon(o->of, o->not_before_mono - fh_slurm_now_ms());
        return;
    }
    if (!o->wanted && !o->cancelled)
        ask(o, o->of->way->cancel, was_cancelled);
    else if (o->wanted && !o->job)
        submit(o);
    else if (o->wanted && o->ran_mono && !o->handed)
        o->of->way->let_in(o);
}

void fh_slurm_order_drop(slurm_order *o)
{
    slurm_order **at = &o->of->first;
    while (*at != o) at = &(*at)->next;
    *at = o->next;
    o->of->count--;
    fh_free(o);
}
