/* The order's life: one step after another, each the one that box_next.c finds. Whatever is cut off is done again; whatever was begun for
 * an order is undone before the order is over. */
#include "box_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { NOW_MS = 1, SOON_MS = 500, COPIES = 3 };

box_order *fh_box_now(const box *b)
{
    box_order *asked = NULL;
    for (box_order *o = b->orders; o; o = o->next) {
        if (o->ending && !o->over) return o;
        if (o->asked && !o->over) asked = o;
    }
    return asked;
}

box_wish fh_box_wish(const box *b, const box_order *o)
{
    return (box_wish){.order = o ? o->id : 0,
                      .program = b->program_sha,
                      .program_bytes = b->program_bytes,
                      .memory_bytes = o ? o->memory_bytes : 0,
                      .weights_bytes = o ? o->weights_bytes : 0,
                      .arch = b->arch,
                      .install = b->install,
                      .tunnel = fh_box_tunnels(b),
                      .looked = b->looked,
                      .holds = b->tunnel_fd >= 0,
                      .ending = o && o->ending};
}

void fh_box_soon(box *b, int64_t delay_ms)
{
    fh_timer_start(b->timer, delay_ms * FH_NS_PER_MS);
}

static void tell(box *b, const box_order *o)
{
    if (o && b->port.changed) b->port.changed(b->port.changed_arg, o->id);
}

/* Takes why. */
static void set_trouble(box *b, fh_err *why)
{
    fh_err_free(b->trouble);
    b->trouble = why;
}

/* ---- the end of an order ---- */

static void be_over(box *b, box_order *o)
{
    if (unlink(b->mark) != 0 && errno != ENOENT) fh_log(FH_LOG_WARN, "ssh", "%s cannot be removed", b->mark);
    o->over = true;
    b->looked = !fh_box_now(b); /* who comes next begins with a look of his own */
    b->looked_ns = 0;
    set_trouble(b, NULL);
    fh_box_let_go(b);
}

void fh_box_release(box_order *o, bool again, const char *says, const char *hint)
{
    if (o->ending || o->over) return;
    o->ending = true;
    o->again = again;
    snprintf(o->says, sizeof o->says, "%s", says);
    snprintf(o->hint, sizeof o->hint, "%s", hint ? hint : "");
}

static void fail(box *b, box_order *o, bool again, const fh_err *why)
{
    fh_log_err(FH_LOG_WARN, "ssh", why, "order %" PRId64 " at %s ends", o->id, fh_supply_host_name(b->host));
    fh_box_release(o, again, fh_err_message(why), fh_err_hint_get(why));
}

/* ---- what a step came to ---- */

/* One that reached nothing is tried again; what is not on the box yet need not be waited for for ever. */
static void not_reached(box *b, box_order *o)
{
    int64_t now = fh_clock_mono_ns();
    if (!b->lost_ns) b->lost_ns = now;
    bool refused = fh_err_code(b->trouble) == FH_E_FORBIDDEN, long_ago = now - b->lost_ns > FH_LIMIT_SSH_REACH_MS * FH_NS_PER_MS;
    if (o && !o->touched && (refused || long_ago)) fail(b, o, !refused, b->trouble);
    b->pause_ms = b->pause_ms ? FH_MIN(2 * b->pause_ms, (int64_t)FH_LIMIT_SSH_BACKOFF_MAX_MS) : FH_LIMIT_SSH_BACKOFF_MIN_MS;
    b->facts.tunnel = false;
}

static void judge_agent(box *b, box_order *o)
{
    char says[200];
    if (b->facts.held != o->id) return;
    if (strcmp(b->facts.agent, "runs") == 0) o->held = true;
    if (strcmp(b->facts.agent, "ended") != 0) return;
    snprintf(says, sizeof says, "freehold's node on %.60s ended%s%.110s", fh_supply_host_name(b->host), b->facts.said[0] ? ": " : "",
             b->facts.said);
    fh_box_release(o, true, says, NULL);
}

/* The step was done there; what it found is known. */
static void judge(box *b, box_order *o)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    box_wish w = fh_box_wish(b, o);
    if (b->step == BOX_LOOK) b->looked = true;
    if (!o || o->over) return;
    if (b->step == BOX_END) {
        if (!b->facts.error[0]) be_over(b, o);
        return;
    }
    if (b->step == BOX_END_OTHER) b->looked = false;
    if (b->step == BOX_KEEP && strcmp(b->facts.program, b->program_sha) != 0 && ++o->broken == COPIES)
        fh_err_set(&why, FH_E_CORRUPT, "what arrives on %s is not what was sent, %d times in turn", fh_supply_host_name(b->host), COPIES);
    else if (b->facts.error[0])
        fh_err_set(&why, FH_E_UNAVAILABLE, "%s: %s", fh_supply_host_name(b->host), b->facts.error);
    else if (!o->ending)
        (void)fh_box_check(&w, &b->facts, fh_supply_host_name(b->host), &why);
    if (why && !o->ending) fail(b, o, false, why);
    if (!o->ending && b->looked) judge_agent(b, o);
}

/* What is left of an order there is asked for again, not at once. */
static int64_t delay(const box *b, const box_order *o)
{
    box_wish w = fh_box_wish(b, o);
    if (b->trouble) return b->pause_ms;
    if (o->ending && b->step == BOX_END) return FH_LIMIT_SSH_WATCH_MS;
    bool waits = fh_box_next(&w, &b->facts) == BOX_WATCH;
    bool settled = strcmp(b->facts.agent, "runs") == 0 && (!w.tunnel || b->facts.tunnel);
    return !waits ? NOW_MS : settled ? FH_LIMIT_SSH_WATCH_MS : SOON_MS;
}

static void after(box *b, fh_err *why)
{
    box_order *o = fh_box_now(b);
    b->busy = false;
    set_trouble(b, why);
    if (b->step == BOX_LOOK) b->looked_ns = fh_clock_mono_ns();
    if (b->trouble) {
        not_reached(b, o);
    } else {
        b->pause_ms = b->lost_ns = 0;
        judge(b, o);
    }
    if (fh_box_now(b)) fh_box_soon(b, fh_box_now(b) == o ? delay(b, o) : NOW_MS);
    tell(b, o);
}

static void on_step_end(void *arg, const supply_result *r)
{
    box *b = arg;
    fh_err *why = NULL;
    if (r->code) {
        (void)fh_box_why(b, r, &why);
    } else {
        fh_box_facts_read(&b->facts, b->step, r->out);
        if (!b->facts.whole) fh_err_set(&why, FH_E_UNAVAILABLE, "%s broke off", fh_supply_host_name(b->host));
    }
    after(b, why);
}

/* ---- the next step ---- */

/* Before the first step that leaves something there: after kill -9 the order is not given up before it is undone. */
static int touch(box *b, box_order *o, fh_err **err)
{
    char text[24];
    if (o->touched) return 0;
    int n = snprintf(text, sizeof text, "%" PRId64 "\n", o->id);
    int rc = fh_file_write_atomic(b->mark, text, (size_t)n, 0600, err);
    if (!rc) o->touched = true;
    return rc;
}

static int begin(box *b, box_order *o, box_step step, fh_err **err)
{
    int rc = !o || step == BOX_LOOK || step == BOX_END ? 0 : touch(b, o, err);
    if (!rc) rc = fh_box_read_program(b, err);
    if (rc) return rc;
    b->step = step;
    rc = step == BOX_HOLD ? fh_box_hold(b, err) : fh_box_call(b, step, on_step_end, err);
    b->busy = !rc && step != BOX_HOLD;
    return rc;
}

void fh_box_go_on(void *arg)
{
    box *b = arg;
    fh_err *why = NULL;
    box_order *o = fh_box_now(b);
    if (b->busy || (!o && b->looked)) return;
    if (o && o->ending && !o->touched) {
        be_over(b, o);
        if (fh_box_now(b)) fh_box_soon(b, NOW_MS);
        tell(b, o);
        return;
    }
    box_wish w = fh_box_wish(b, o);
    box_step step = o ? fh_box_next(&w, &b->facts) : BOX_LOOK;
    if (begin(b, o, step, &why) != 0)
        after(b, why);
    else if (step == BOX_HOLD)
        fh_box_soon(b, SOON_MS);
}

/* ---- for people ---- */

static const char *step_words(box_step s)
{
    static const char *const words[BOX_STEPS] = {
        [BOX_LOOK] = "looking at",
        [BOX_CLAIM] = "making a folder on",
        [BOX_COPY] = "copying freehold to",
        [BOX_KEEP] = "checking the copy of freehold on",
        [BOX_TRY] = "trying freehold on",
        [BOX_INSTALL] = "installing the libraries that freehold needs on",
        [BOX_PORT] = "opening a tunnel from",
        [BOX_HOLD] = "opening a tunnel from",
        [BOX_START] = "starting freehold's node on",
        [BOX_WATCH] = "waiting for",
        [BOX_END] = "ending and removing what is on",
        [BOX_END_OTHER] = "ending what an earlier order left on",
    };
    return words[s];
}

static void describe_way(const box *b, const box_order *o, char *out, size_t out_size)
{
    const char *host = fh_supply_host_name(b->host);
    box_wish w = fh_box_wish(b, o);
    box_step step = b->busy ? b->step : fh_box_next(&w, &b->facts);
    if (step == BOX_COPY)
        snprintf(out, out_size, "copying freehold to %s: %.1f of %.1f MB", host, (double)b->facts.part_bytes / 1e6,
                 (double)b->program_bytes / 1e6);
    else
        snprintf(out, out_size, "%s %s", step_words(step), host);
}

static void describe_held(const box *b, char *out, size_t out_size)
{
    const char *said = b->facts.said[0] ? b->facts.said : "it starts";
    int n = snprintf(out, out_size, "on %s freehold's node runs: %s", fh_supply_host_name(b->host), said);
    if (b->tunnel_words[0] && !b->facts.tunnel && n > 0 && (size_t)n < out_size)
        snprintf(out, out_size, "the tunnel to %.60s is down: %.110s", fh_supply_host_name(b->host), b->tunnel_words);
}

void fh_box_describe(const box *b, const box_order *o, fh_supply_view *ret)
{
    ret->state = o->over ? FH_SUPPLY_OVER : o->held ? FH_SUPPLY_HELD : FH_SUPPLY_WAITING;
    ret->again = o->again;
    if (!o->asked && !o->ending) {
        snprintf(ret->says, sizeof ret->says, "it was begun on %s before this server was started", fh_supply_host_name(b->host));
    } else if (o->over) {
        snprintf(ret->says, sizeof ret->says, "%s", o->says);
        snprintf(ret->hint, sizeof ret->hint, "%s", o->hint);
    } else if (o != fh_box_now(b)) {
        snprintf(ret->says, sizeof ret->says, "%s is being cleaned for it", fh_supply_host_name(b->host));
    } else if (b->trouble) {
        snprintf(ret->says, sizeof ret->says, "%s; trying again", fh_err_message(b->trouble));
        snprintf(ret->hint, sizeof ret->hint, "%s", fh_err_hint_get(b->trouble) ? fh_err_hint_get(b->trouble) : "");
    } else if (o->ending && b->facts.error[0]) {
        snprintf(ret->says, sizeof ret->says, "not all could be ended on %.60s: %.110s", fh_supply_host_name(b->host), b->facts.error);
    } else if (o->held && !o->ending) {
        describe_held(b, ret->says, sizeof ret->says);
    } else {
        describe_way(b, o, ret->says, sizeof ret->says);
    }
}
