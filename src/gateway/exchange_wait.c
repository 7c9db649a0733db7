/* An exchange waits until a replica has room for it (see exchange.h, slots.h).
 *
 * Nothing is sent to the client meanwhile: its reply has not begun, so that it can still be refused with a status. An answer that has begun
 * and is moved to another replica does not wait. How long is the client's to say (x-freehold-max-wait), within QUEUE_WAIT_MS. */
#include "exchange.h"

#include <stdio.h>

#define LOOK_NS    (FH_LIMIT_QUEUE_LOOK_MS * FH_NS_PER_MS)
#define PAUSE_NS   FH_NS_PER_S
#define PAUSE_MOST (60 * FH_NS_PER_S)
enum { TURNED_AWAY_MOST = 4 };

/* ---- what the client says of waiting ---- */

static int refuse_priority(const fh_exchange *x, fh_priority asked, fh_err **err)
{
    fh_err_set(err, FH_E_FORBIDDEN, "the key %s may not ask for the priority '%s'", x->key.id, fh_priority_name(asked));
    fh_err_hint(err, "it may ask for '%s' at most", fh_priority_name(x->key.priority_most));
    fh_err_param(err, "x-freehold-priority");
    return FH_E_FORBIDDEN;
}

static int read_priority(fh_exchange *x, fh_err **err)
{
    fh_str word = fh_http_req_header(x->req, "x-freehold-priority");
    x->priority = x->key.priority;
    if (!word.ptr) return 0;
    if (fh_priority_parse(word, &x->priority)) return x->priority > x->key.priority_most ? refuse_priority(x, x->priority, err) : 0;
    fh_err_set(err, FH_E_INVALID, "x-freehold-priority must be low, normal or high");
    fh_err_param(err, "x-freehold-priority");
    return FH_E_INVALID;
}

int fh_exchange_read_patience(fh_exchange *x, fh_err **err)
{
    uint64_t s = FH_LIMIT_QUEUE_WAIT_MS / 1000;
    fh_str word = fh_http_req_header(x->req, "x-freehold-max-wait");
    int rc = read_priority(x, err);
    if (rc) return rc;
    if (word.ptr && !fh_str_u64(word, FH_LIMIT_QUEUE_WAIT_MS / 1000, &s)) {
        fh_err_set(err, FH_E_INVALID, "x-freehold-max-wait must be whole seconds up to %d", FH_LIMIT_QUEUE_WAIT_MS / 1000);
        fh_err_param(err, "x-freehold-max-wait");
        return FH_E_INVALID;
    }
    x->max_wait_ns = (int64_t)s * FH_NS_PER_S;
    x->patience_said = word.ptr != NULL;
    return 0;
}

/* ---- waiting ---- */

static fh_metrics *metrics(const fh_exchange *x)
{
    return &x->lane->metrics;
}

static size_t class_of(const fh_exchange *x)
{
    return (size_t)(x->priority - FH_PRIORITY_LOW);
}

static void end_wait(fh_exchange *x, int64_t now_ns)
{
    if (!x->wait_ns) return;
    metrics(x)->waiting[class_of(x)]--;
    fh_upstreams_wait(x->gateway->upstreams, x->route.deployment, x->route.instance, false);
    fh_histogram_add(&metrics(x)->queued[class_of(x)], FH_MEASURE_QUEUE, now_ns - x->wait_ns);
    x->seen.queued_ns += now_ns - x->wait_ns;
    x->wait_ns = 0;
}

void fh_exchange_give_slot(fh_exchange *x, uint64_t used_tok)
{
    int64_t now = fh_clock_mono_ns();
    end_wait(x, now);
    fh_slot_leave(x->slot, used_tok, now);
    x->slot = NULL;
}

/* Takes err, or says that it took too long. */
static void turn_away(fh_exchange *x, fh_err *err)
{
    double waited_s = (double)(fh_clock_mono_ns() - x->wait_ns) / 1e9;
    if (!err) fh_err_set(&err, FH_E_BUSY, "all that could answer this were busy for %.0f s", waited_s);
    x->retry_ns = fh_slots_retry_ns(x->gateway->slots, x->pool);
    fh_err_hint(&err, "ask again in %lld s", (long long)((x->retry_ns + FH_NS_PER_S - 1) / FH_NS_PER_S));
    fh_err_reason(&err, "engine_overloaded");
    metrics(x)->turned_away++;
    fh_exchange_give_slot(x, 0);
    fh_exchange_fail(x, err);
}

static void gave_way(fh_exchange *x)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_BUSY, "too many requests of this key wait, and others had to be let in");
    turn_away(x, err);
}

static void moved(void *arg)
{
    fh_exchange *x = arg;
    uint64_t replica;
    end_wait(x, fh_clock_mono_ns());
    if (fh_slot_look(x->slot, &replica) == FH_SLOT_REFUSED)
        gave_way(x);
    else
        fh_exchange_choose(x);
}

static int64_t patience_ns(const fh_exchange *x)
{
    return x->max_wait_ns - x->seen.queued_ns;
}

bool fh_exchange_take_slot(fh_exchange *x, const fh_slot_at *at, size_t count)
{
    fh_err *err = NULL;
    bool waits = false;
    int64_t now = fh_clock_mono_ns();
    if (x->slot || x->counting || x->op == FH_OP_TOKENIZE) return true; /* what is only counted takes no time */
    fh_slot_spec spec = {.pool = x->pool,
                         .key_id = x->key.id,
                         .priority = x->priority,
                         .cost_tok = x->expect_tok,
                         .at = at,
                         .count = count,
                         .may_wait = patience_ns(x) > 0,
                         .goes_ahead = x->streaming,
                         .loop = x->lane->loop,
                         .moved = moved,
                         .arg = x};
    if (fh_slots_ask(x->gateway->slots, &spec, now, &x->slot, &waits, &err)) {
        turn_away(x, err);
        return false;
    }
    if (!waits) return true;
    metrics(x)->waiting[class_of(x)]++;
    fh_upstreams_wait(x->gateway->upstreams, x->route.deployment, x->route.instance, true);
    x->wait_ns = x->look_ns = now;
    x->wait_until_ns = now + patience_ns(x);
    return false;
}

/* Replicas come and go while it waits; and nobody may have told it that it has a slot. */
static void look_again(fh_exchange *x, int64_t now_ns)
{
    fh_slot_at at[FH_LIMIT_SLOT_PLACES];
    uint64_t replica;
    x->look_ns = now_ns;
    if (fh_slot_look(x->slot, &replica) != FH_SLOT_WAITS) {
        moved(x);
        return;
    }
    size_t count = fh_exchange_places(x, at, FH_COUNT(at));
    if (count) {
        fh_slot_update(x->slot, at, count, now_ns);
        return;
    }
    fh_exchange_give_slot(x, 0);
    fh_exchange_choose(x);
}

void fh_exchange_watch_wait(fh_exchange *x, int64_t now_ns)
{
    if (now_ns >= x->wait_until_ns)
        turn_away(x, NULL);
    else if (now_ns - x->look_ns >= LOOK_NS)
        look_again(x, now_ns);
}

/* ---- a replica that is busier than was known ---- */

static int64_t pause_of(const fh_exchange *x)
{
    uint64_t s;
    return x->retry_after[0] && fh_str_u64(fh_str_of(x->retry_after), INT32_MAX, &s) ? (int64_t)s * FH_NS_PER_S : 0;
}

/* Somebody's quota that is used up is refused in the same words: who is alone there and is not told when to come again does not wait. */
bool fh_exchange_wait_for_room(fh_exchange *x)
{
    int64_t pause = pause_of(x), now = fh_clock_mono_ns();
    if (!x->slot || ++x->turned_away > TURNED_AWAY_MOST || pause > PAUSE_MOST || pause >= patience_ns(x)) return false;
    if (!pause && fh_slot_alone(x->slot)) return false;
    fh_slot_turned_away(x->slot, pause ? pause : PAUSE_NS, now);
    fh_exchange_leave(x, FH_OUTCOME_LEFT);
    fh_exchange_choose(x);
    return true;
}
