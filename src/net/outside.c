/* Fetching what others name, on a thread of its own (see outside.h): making keys, checking certificates and reading bodies take
 * milliseconds that the loops of clients do not have.
 *
 * What holds: a fetch is in the list until it is freed. It is freed by its home, once its end was posted there; by the thread, when it is
 * given up before; and with the fh_outside, when neither loop runs any more. Which of the two it is, is decided with the lock. */
#include "base/limits.h"
#include "base/log.h"
#include "outside_private.h"

#include <sys/resource.h>

enum { NICE = 10 };

/* ---- what there is ---- */

static void enlist(fh_fetch *f)
{
    fh_outside *o = f->outside;
    pthread_mutex_lock(&o->lock);
    f->next = o->first;
    if (f->next) f->next->prev = f;
    o->first = f;
    pthread_mutex_unlock(&o->lock);
}

/* With the lock. */
static void unlist(fh_fetch *f)
{
    if (f->prev)
        f->prev->next = f->next;
    else
        f->outside->first = f->next;
    if (f->next) f->next->prev = f->prev;
}

/* Its course has ended, or never began. */
static void fetch_free(fh_fetch *f)
{
    fh_outside *o = f->outside;
    pthread_mutex_lock(&o->lock);
    unlist(f);
    pthread_mutex_unlock(&o->lock);
    atomic_fetch_sub(&o->bytes, f->counted);
    fh_buf_fini(&f->text);
    fh_buf_fini(&f->body);
    fh_err_free(f->err);
    fh_free(f);
}

/* ---- to its home ---- */

static void deliver(void *arg)
{
    fh_fetch *f = arg;
    if (!f->cancelled) {
        atomic_fetch_sub(&f->outside->fetches, 1);
        f->spec.on_done(f->spec.arg, &f->body, f->err);
    }
    fetch_free(f);
}

/* What was given up meanwhile waits for abandon. */
void outside_finish(fh_fetch *f, fh_err *err)
{
    fh_outside *o = f->outside;
    outside_fetch_end(f);
    fh_err_free(f->err);
    f->err = err;
    pthread_mutex_lock(&o->lock);
    f->ended = true;
    if (!f->cancelled) fh_loop_post_own(f->home, &f->deliver);
    pthread_mutex_unlock(&o->lock);
}

/* ---- from its home ---- */

static void begin(void *arg)
{
    outside_fetch_begin(arg);
}

static void abandon(void *arg)
{
    fh_fetch *f = arg;
    outside_fetch_end(f);
    fetch_free(f);
}

void fh_fetch_cancel(fh_fetch *f)
{
    fh_outside *o = f->outside;
    atomic_fetch_sub(&o->fetches, 1);
    pthread_mutex_lock(&o->lock);
    f->cancelled = true;
    if (!f->ended) fh_loop_post_own(o->loop, &f->abandon);
    pthread_mutex_unlock(&o->lock);
}

static int fetch_new(fh_fetch **ret, fh_outside *o, fh_loop *home, const fh_fetch_spec *s, fh_err **err)
{
    fh_fetch *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    *f = (fh_fetch){.outside = o, .home = home, .spec = *s, .text = FH_BUF(FH_LIMIT_OUTSIDE_URL_BYTES + 1), .body = FH_BUF(s->max_bytes)};
    f->begin = (fh_post){.fn = begin, .arg = f};
    f->abandon = (fh_post){.fn = abandon, .arg = f};
    f->deliver = (fh_post){.fn = deliver, .arg = f};
    enlist(f);
    fh_buf_add(&f->text, s->url.ptr, FH_MIN(s->url.len, (size_t)FH_LIMIT_OUTSIDE_URL_BYTES + 1)); /* more is refused as too long */
    int rc = fh_buf_check(&f->text, err, "the URL");
    if (rc) {
        fetch_free(f);
        return rc;
    }
    fh_loop_post_own(o->loop, &f->begin);
    *ret = f;
    return 0;
}

int fh_fetch_start(fh_fetch **ret, fh_outside *o, fh_loop *home, const fh_fetch_spec *s, fh_err **err)
{
    int rc = atomic_fetch_add(&o->fetches, 1) < FH_LIMIT_OUTSIDE_FETCHES ? fetch_new(ret, o, home, s, err)
                                                                         : fh_err_set(err, FH_E_BUSY, "too much is being fetched at once");
    if (rc) atomic_fetch_sub(&o->fetches, 1);
    return rc;
}

/* ---- the thread ---- */

/* It stands back behind the threads that serve. */
static void *run(void *arg)
{
    fh_outside *o = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone, on Linux */
    if (fh_loop_run(o->loop, &err)) fh_log_err(FH_LOG_ERROR, "net", err, "nothing is fetched any more");
    return NULL;
}

static int start_thread(fh_outside *o, fh_err **err)
{
    int rc = fh_loop_new(&o->loop, err);
    if (rc == 0) rc = fh_http_client_new(&o->client, o->loop, err);
    if (rc) return rc;
    int e = pthread_create(&o->thread, NULL, run, o);
    o->has_thread = e == 0;
    return e ? fh_err_errno(err, FH_E_IO, e, "cannot start the thread that fetches what requests name") : 0;
}

int fh_outside_new(fh_outside **ret, const fh_outside_config *c, fh_err **err)
{
    FH_AUTO(fh_outside) fh_outside *o = fh_calloc(1, sizeof *o);
    if (!o) return fh_err_nomem(err);
    pthread_mutex_init(&o->lock, NULL);
    o->ca_file = c->ca_file;
    int rc = fh_outside_rule_new(&o->rule, c->allow, err);
    if (rc == 0) rc = fh_resolver_new(&o->resolver, c->resolve, c->resolve_ctx, err);
    if (rc == 0) rc = start_thread(o, err);
    if (rc == 0) *ret = fh_take(o);
    return rc;
}

static void stop_thread(fh_outside *o)
{
    if (!o->has_thread) return;
    fh_loop_stop(o->loop);
    pthread_join(o->thread, NULL);
}

void fh_outside_free(fh_outside *o)
{
    if (!o) return;
    stop_thread(o);
    while (o->first) abandon(o->first);
    fh_http_client_free(o->client);
    fh_resolver_free(o->resolver); /* its threads post to the loop */
    fh_loop_free(o->loop);
    fh_outside_rule_free(o->rule);
    pthread_mutex_destroy(&o->lock);
    fh_free(o);
}
