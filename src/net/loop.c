/* The event loop: libevent's base without its locks, because one thread owns it. Other threads reach it through a list of posts under a
 * mutex and an eventfd; that is the only shared state. */
#include "private.h"

#include "base/clock.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct signal_watch {
    struct signal_watch *next;
    struct event ev;
    void (*fn)(void *arg);
    void *arg;
} signal_watch;

struct fh_loop {
    struct event_base *base;
    struct event wake;
    int wake_fd;
    pthread_mutex_t lock; /* guards posts, last, closing */
    fh_post *posts, **last;
    bool closing;
    atomic_bool stop;
    signal_watch *signals;
};

struct fh_watch {
    struct event ev;
    void (*fn)(void *arg);
    void *arg;
};

enum { PARKED_S = 100000000 };

static fh_post *take_posts(fh_loop *l)
{
    pthread_mutex_lock(&l->lock);
    fh_post *list = l->posts;
    l->posts = NULL;
    l->last = &l->posts;
    pthread_mutex_unlock(&l->lock);
    return list;
}

static void run_posts(fh_loop *l)
{
    for (fh_post *p = take_posts(l), *next; p; p = next) {
        fh_post now = *p;
        next = now.next;
        if (now.made) fh_free(p);
        now.fn(now.arg);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    fh_loop *l = arg;
    uint64_t count;
    while (read(l->wake_fd, &count, sizeof count) < 0 && errno == EINTR) {
    }
    run_posts(l);
    if (atomic_load(&l->stop)) event_base_loopbreak(l->base);
}

static void wake(fh_loop *l)
{
    uint64_t one = 1;
    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    if (!config) return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_require_features(config, EV_FEATURE_ET);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int fh_loop_new(fh_loop **ret, fh_err **err)
{
    FH_AUTO(fh_loop) fh_loop *l = fh_calloc(1, sizeof *l);
    if (!l) return fh_err_nomem(err);
    l->last = &l->posts;
    pthread_mutex_init(&l->lock, NULL);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot make the wake-up descriptor of an event loop");
    l->base = new_base();
    if (!l->base) return fh_err_set(err, FH_E_NOMEM, "cannot make an event loop");
    event_assign(&l->wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    if (event_add(&l->wake, NULL)) return fh_err_set(err, FH_E_NOMEM, "cannot watch the wake-up descriptor of an event loop");
    *ret = fh_take(l);
    return 0;
}

static void drop_posts(fh_loop *l)
{
    for (fh_post *p = take_posts(l), *next; p; p = next) {
        next = p->next;
        if (p->made) fh_free(p);
    }
}

void fh_loop_free(fh_loop *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_mutex_unlock(&l->lock);
    drop_posts(l);
    while (l->signals) {
        signal_watch *s = l->signals;
        l->signals = s->next;
        event_del(&s->ev);
        fh_free(s);
    }
    if (l->base) {
        if (event_initialized(&l->wake)) event_del(&l->wake);
        event_base_free(l->base);
    }
    if (l->wake_fd >= 0) close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    fh_free(l);
}

int fh_loop_run(fh_loop *l, fh_err **err)
{
    int rc = 0;
    while (rc == 0 && !atomic_load(&l->stop)) rc = event_base_dispatch(l->base);
    atomic_store(&l->stop, false);
    run_posts(l);
    return rc == 0 ? 0 : fh_err_set(err, FH_E_INTERNAL, "the event loop failed");
}

void fh_loop_stop(fh_loop *l)
{
    atomic_store(&l->stop, true);
    wake(l);
}

bool fh_loop_post_own(fh_loop *l, fh_post *p)
{
    p->next = NULL;
    pthread_mutex_lock(&l->lock);
    bool closing = l->closing, first = !l->posts;
    if (!closing) {
        *l->last = p;
        l->last = &p->next;
    }
    pthread_mutex_unlock(&l->lock);
    if (!closing && first) wake(l);
    return !closing;
}

bool fh_loop_post(fh_loop *l, void (*fn)(void *arg), void *arg)
{
    fh_post *p = fh_alloc(sizeof *p);
    if (!p) return false;
    *p = (fh_post){.fn = fn, .arg = arg, .made = true};
    bool taken = fh_loop_post_own(l, p);
    if (!taken) fh_free(p);
    return taken;
}

struct event_base *fh_loop_base(fh_loop *l)
{
    return l->base;
}

/* Timers. The event persists and is re-armed by libevent before the callback, so its place in the heap is never given up. */
static void park(fh_timer *t)
{
    t->armed = false;
    event_add(&t->ev, &(struct timeval){.tv_sec = PARKED_S});
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    fh_timer *t = arg;
    bool armed = t->armed;
    park(t);
    if (armed) t->fn(t->arg);
}

int fh_timer_init(fh_timer *t, fh_loop *l, void (*fn)(void *arg), void *arg, fh_err **err)
{
    t->fn = fn;
    t->arg = arg;
    t->armed = false;
    event_assign(&t->ev, l->base, -1, EV_PERSIST, on_timer, t);
    if (event_add(&t->ev, &(struct timeval){.tv_sec = PARKED_S})) return fh_err_nomem(err);
    return 0;
}

void fh_timer_fini(fh_timer *t)
{
    if (event_initialized(&t->ev)) event_del(&t->ev);
}

int fh_timer_new(fh_timer **ret, fh_loop *l, void (*fn)(void *arg), void *arg, fh_err **err)
{
    fh_timer *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    int rc = fh_timer_init(t, l, fn, arg, err);
    if (rc < 0)
        fh_timer_free(t);
    else
        *ret = t;
    return rc;
}

void fh_timer_start(fh_timer *t, int64_t delay_ns)
{
    int64_t us = delay_ns <= 0 ? 0 : (delay_ns - 1) / 1000 + 1;
    if (us > (int64_t)PARKED_S * 1000000) us = (int64_t)PARKED_S * 1000000;
    t->armed = true;
    event_add(&t->ev, &(struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000});
}

void fh_timer_stop(fh_timer *t)
{
    if (t->armed) park(t);
}

void fh_timer_free(fh_timer *t)
{
    if (!t) return;
    fh_timer_fini(t);
    fh_free(t);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    fh_watch *w = arg;
    w->fn(w->arg);
}

int fh_watch_new(fh_watch **ret, fh_loop *l, int fd, void (*fn)(void *arg), void *arg, fh_err **err)
{
    fh_watch *w = fh_calloc(1, sizeof *w);
    if (!w) return fh_err_nomem(err);
    w->fn = fn;
    w->arg = arg;
    event_assign(&w->ev, l->base, fd, EV_READ | EV_PERSIST, on_readable, w);
    if (event_add(&w->ev, NULL)) {
        fh_free(w);
        return fh_err_set(err, FH_E_IO, "cannot watch descriptor %d", fd);
    }
    *ret = w;
    return 0;
}

void fh_watch_free(fh_watch *w)
{
    if (!w) return;
    event_del(&w->ev);
    fh_free(w);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
    signal_watch *s = arg;
    s->fn(s->arg);
}

int fh_loop_on_signal(fh_loop *l, int signo, void (*fn)(void *arg), void *arg, fh_err **err)
{
    signal_watch *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->fn = fn;
    s->arg = arg;
    event_assign(&s->ev, l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s);
    if (event_add(&s->ev, NULL)) {
        fh_free(s);
        return fh_err_set(err, FH_E_IO, "cannot handle signal %d on the event loop", signo);
    }
    s->next = l->signals;
    l->signals = s;
    return 0;
}

/* ---- calling ---- */

typedef struct loop_call {
    fh_post post;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
} loop_call;

static void run_call(void *arg)
{
    loop_call *c = arg;
    c->fn(c->arg);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->over);
    pthread_mutex_unlock(&c->lock);
}

bool fh_loop_call(fh_loop *l, void (*fn)(void *arg), void *arg)
{
    loop_call c = {.fn = fn, .arg = arg, .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    c.post = (fh_post){.fn = run_call, .arg = &c};
    bool posted = fh_loop_post_own(l, &c.post);
    pthread_mutex_lock(&c.lock);
    while (posted && !c.done) pthread_cond_wait(&c.over, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_cond_destroy(&c.over);
    pthread_mutex_destroy(&c.lock);
    return posted;
}
