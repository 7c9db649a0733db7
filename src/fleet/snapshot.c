/* What others see: snapshots that are replaced, never changed, and feeds of changes. Any thread; the lock is held for moments only. */
#include "fleet_private.h"
#include "sets.h"

#include "base/clock.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

#define PUBLISH_NS (20 * FH_NS_PER_MS) /* between two snapshots: each is a copy of all that there is */

typedef struct snapshot {
    fh_fleet_snapshot public; /* first: its address is the snapshot's */
    _Atomic unsigned references;
} snapshot;

static void snapshot_free(snapshot *s)
{
    fh_free(s->public.deployments);
    fh_free(s->public.sets);
    fh_free(s);
}

static snapshot *snapshot_new(size_t count, size_t set_count)
{
    snapshot *s = fh_calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->public.deployments = fh_calloc(count, sizeof(*s->public.deployments));
    s->public.sets = fh_calloc(set_count, sizeof(*s->public.sets));
    atomic_init(&s->references, 1);
    if (s->public.deployments && s->public.sets) return s;
    snapshot_free(s);
    return NULL;
}

void fh_fleet_snapshot_release(const fh_fleet_snapshot *s)
{
    snapshot *whole = (snapshot *)(uintptr_t)s;
    if (!whole || atomic_fetch_sub(&whole->references, 1) != 1) return;
    snapshot_free(whole);
}

const fh_fleet_snapshot *fh_fleet_snapshot_get(fh_fleet *f)
{
    pthread_mutex_lock(&f->lock);
    fh_fleet_snapshot *s = f->snapshot;
    if (s) atomic_fetch_add(&((snapshot *)(void *)s)->references, 1);
    pthread_mutex_unlock(&f->lock);
    return s;
}

static void publish(void *arg)
{
    fh_fleet *f = arg;
    size_t count = 0, sets = 0;
    f->published_ns = fh_clock_mono_ns();
    f->changed = false;
    for (fh_deployment *d = f->first; d; d = d->next) count++;
    for (fh_set *set = f->sets; set; set = set->next) sets++;
    snapshot *s = snapshot_new(count, sets);
    if (!s) {
        fh_log(FH_LOG_WARN, "fleet", "no memory for a snapshot: the one before stays until the next change");
        return;
    }
    for (fh_deployment *d = f->first; d; d = d->next) s->public.deployments[s->public.count++] = d->view;
    for (fh_set *set = f->sets; set; set = set->next) fh_set_view_fill(set, &s->public.sets[s->public.set_count++]);
    pthread_mutex_lock(&f->lock);
    fh_fleet_snapshot *old = f->snapshot;
    s->public.serial = ++f->serial;
    f->snapshot = &s->public;
    pthread_mutex_unlock(&f->lock);
    fh_fleet_snapshot_release(old);
}

void fh_fleet_publish_now(fh_fleet *f)
{
    if (f->changed) publish(f);
}

/* The first of many changes at once, and where they have come to. */
void fh_fleet_publish(fh_fleet *f)
{
    int64_t wait = f->published_ns + PUBLISH_NS - fh_clock_mono_ns();
    if (f->changed) return; /* the timer runs */
    f->changed = true;
    if (wait <= 0 || !f->looping)
        publish(f);
    else
        fh_timer_start(f->publish_timer, wait);
}

int fh_fleet_publisher(fh_fleet *f, fh_err **err)
{
    return fh_timer_new(&f->publish_timer, f->loop, publish, f, err);
}

uint64_t fh_fleet_entered(const fh_fleet *f, fh_deployment_state s)
{
    return atomic_load_explicit(&f->entered[s], memory_order_relaxed);
}

/* ---- feeds ---- */

struct fh_fleet_feed {
    fh_fleet_feed *next;
    fh_fleet *fleet; /* must outlive the subscription */
    fh_loop *loop;
    void (*fn)(void *arg, const fh_json *event);
    void *arg;
    bool closed;                 /* its loop's thread alone */
    _Atomic unsigned references; /* the subscriber's, the fleet's list's, one for each event on its way */
};

typedef struct delivery {
    fh_fleet_feed *feed;
    fh_json *event;
} delivery;

static void feed_release(fh_fleet_feed *feed)
{
    if (atomic_fetch_sub(&feed->references, 1) == 1) fh_free(feed);
}

static void deliver(void *arg)
{
    delivery *v = arg;
    if (!v->feed->closed) v->feed->fn(v->feed->arg, v->event);
    fh_json_unref(v->event);
    feed_release(v->feed);
    fh_free(v);
}

static fh_json *progress_json(const fh_deployment_view *v)
{
    if (v->progress_total <= 0) return fh_json_new_null();
    fh_json *o = fh_json_new_object();
    if (fh_json_set(o, "done", fh_json_new_int(v->progress_done)) && fh_json_set(o, "total", fh_json_new_int(v->progress_total))) return o;
    fh_json_unref(o);
    return NULL;
}

static fh_json *event_json(const fh_deployment_view *v, fh_deployment_state from, uint64_t serial, int64_t now_utc_ns)
{
    char when[32];
    fh_clock_format_utc(now_utc_ns, when, sizeof(when));
    fh_json *o = fh_json_new_object();
    bool good = fh_json_set(o, "serial", fh_json_new_int((int64_t)serial)) && fh_json_set(o, "time", fh_json_new_cstr(when));
    good = good && fh_json_set(o, "deployment", fh_json_new_cstr(v->name)) &&
           fh_json_set(o, "from", fh_json_new_cstr(fh_deployment_state_name(from)));
    good = good && fh_json_set(o, "to", fh_json_new_cstr(fh_deployment_state_name(v->state))) &&
           fh_json_set(o, "reason", fh_json_new_cstr(v->reason));
    good = good && fh_json_set(o, "hint", *v->hint ? fh_json_new_cstr(v->hint) : fh_json_new_null()) &&
           fh_json_set(o, "progress", progress_json(v));
    if (good) return o;
    fh_json_unref(o);
    return NULL;
}

/* Each feed gets an object of its own: it goes to another thread. One that cannot be made is left out; the serial shows the gap. */
static void send_event(fh_fleet_feed *feed, fh_json *event)
{
    delivery *v = fh_alloc(sizeof(*v));
    if (v && event) {
        *v = (delivery){feed, event};
        atomic_fetch_add(&feed->references, 1);
        if (fh_loop_post(feed->loop, deliver, v)) return;
        atomic_fetch_sub(&feed->references, 1);
    }
    fh_free(v);
    fh_json_unref(event);
}

void fh_fleet_tell(fh_fleet *f, const fh_deployment *d, fh_deployment_state from, int64_t now_utc_ns)
{
    pthread_mutex_lock(&f->lock);
    for (fh_fleet_feed *feed = f->feeds; feed; feed = feed->next) send_event(feed, event_json(&d->view, from, f->serial, now_utc_ns));
    pthread_mutex_unlock(&f->lock);
}

int fh_fleet_subscribe(fh_fleet *f, fh_loop *loop, void (*fn)(void *arg, const fh_json *event), void *arg, fh_fleet_feed **ret,
                       fh_err **err)
{
    fh_fleet_feed *feed = fh_calloc(1, sizeof(*feed));
    if (!feed) return fh_err_nomem(err);
    *feed = (fh_fleet_feed){.fleet = f, .loop = loop, .fn = fn, .arg = arg};
    atomic_init(&feed->references, 2);
    unsigned count = 0;
    pthread_mutex_lock(&f->lock);
    for (fh_fleet_feed *x = f->feeds; x; x = x->next) count++;
    if (count < FH_LIMIT_SSE_SUBSCRIBERS) {
        feed->next = f->feeds;
        f->feeds = feed;
    }
    pthread_mutex_unlock(&f->lock);
    if (count < FH_LIMIT_SSE_SUBSCRIBERS) {
        *ret = feed;
        return 0;
    }
    fh_free(feed);
    return fh_err_set(err, FH_E_UNAVAILABLE, "too many open streams of events (%d)", FH_LIMIT_SSE_SUBSCRIBERS);
}

void fh_fleet_unsubscribe(fh_fleet_feed *feed)
{
    if (!feed) return;
    fh_fleet *f = feed->fleet;
    feed->closed = true;
    pthread_mutex_lock(&f->lock);
    for (fh_fleet_feed **p = &f->feeds; *p; p = &(*p)->next) {
        if (*p != feed) continue;
        *p = feed->next;
        feed_release(feed);
        break;
    }
    pthread_mutex_unlock(&f->lock);
    feed_release(feed);
}
