/* Threads that resolve names (see resolver.h).
 *
 * What holds: a lookup has two owners, the asker and the threads' side, and goes with the second; `cancelled` and the callback are the
 * loop's alone; host, list and count are the thread's until it posts. */
#include "net/resolver.h"

#include "base/limits.h"
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESSES_MAX = 8, TRY_S = 2, TRIES = 2 };

struct fh_lookup {
    fh_lookup *next, *prev; /* of those that wait (next alone), or of those that are answered */
    atomic_uint owners;
    fh_resolver *resolver;
    fh_loop *loop;
    char host[256];
    fh_address list[ADDRESSES_MAX];
    size_t count;
    bool cancelled;
    void (*on_done)(void *arg, const fh_address *list, size_t count);
    void *arg;
};

struct fh_resolver {
    fh_resolve *fn;
    void *ctx;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t work;
    fh_lookup *first, **last; /* that wait */
    fh_lookup *answered;      /* on their way to their loops */
    size_t waiting, idle, thread_count;
    bool closing;
    pthread_t threads[FH_LIMIT_RESOLVER_THREADS];
};

static void disown(fh_lookup *l)
{
    if (atomic_fetch_sub(&l->owners, 1) == 1) fh_free(l);
}

/* ---- the system's resolver ---- */

/* AAAA records that hold an IPv4 address are no addresses of hosts. */
static bool take_address(const struct addrinfo *ai, fh_address *ret)
{
    *ret = (fh_address){.bytes = {[10] = 0xff, [11] = 0xff}};
    if (ai->ai_family == AF_INET) {
        memcpy(ret->bytes + 12, &((const struct sockaddr_in *)(const void *)ai->ai_addr)->sin_addr, 4);
        return true;
    }
    if (ai->ai_family != AF_INET6) return false;
    memcpy(ret->bytes, &((const struct sockaddr_in6 *)(const void *)ai->ai_addr)->sin6_addr, sizeof ret->bytes);
    return !fh_address_is_v4(ret);
}

static size_t ask_system(void *ctx, const char *host, fh_address *ret, size_t max)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    size_t n = 0;
    if (getaddrinfo(host, NULL, &hints, &list)) return 0;
    for (const struct addrinfo *ai = list; ai && n < max; ai = ai->ai_next) n += take_address(ai, &ret[n]);
    freeaddrinfo(list);
    return n;
}

/* ---- threads ---- */

static void set_off(fh_lookup *l)
{
    fh_resolver *r = l->resolver;
    pthread_mutex_lock(&r->lock);
    l->prev = NULL;
    l->next = r->answered;
    if (l->next) l->next->prev = l;
    r->answered = l;
    pthread_mutex_unlock(&r->lock);
}

static void arrive(fh_lookup *l)
{
    fh_resolver *r = l->resolver;
    pthread_mutex_lock(&r->lock);
    if (l->prev)
        l->prev->next = l->next;
    else
        r->answered = l->next;
    if (l->next) l->next->prev = l->prev;
    pthread_mutex_unlock(&r->lock);
}

static void deliver(void *arg)
{
    fh_lookup *l = arg;
    arrive(l);
    if (!l->cancelled) {
        l->on_done(l->arg, l->list, l->count);
        disown(l); /* the asker's part ends with the answer */
    }
    disown(l);
}

/* NULL: the resolver is closing. */
static fh_lookup *next_lookup(fh_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    r->idle++;
    while (!r->first && !r->closing) pthread_cond_wait(&r->work, &r->lock);
    r->idle--;
    fh_lookup *l = r->first;
    if (l) {
        r->first = l->next;
        if (!r->first) r->last = &r->first;
        r->waiting--;
    }
    pthread_mutex_unlock(&r->lock);
    return l;
}

/* Name servers that do not answer hold a thread for seconds, not for the half minute that is usual. A thread's settings are its own, but
 * one after another reads them: the C library's lock around that is none that a thread sanitizer sees. */
static void be_impatient(fh_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    bool known = res_init() == 0;
    pthread_mutex_unlock(&r->lock);
    if (!known) return;
    _res.retrans = TRY_S;
    _res.retry = TRIES;
}

static void *run(void *arg)
{
    fh_resolver *r = arg;
    if (r->fn == ask_system) be_impatient(r);
    for (fh_lookup *l; (l = next_lookup(r));) {
        l->count = r->fn(r->ctx, l->host, l->list, ADDRESSES_MAX);
        set_off(l);
        if (fh_loop_post(l->loop, deliver, l)) continue;
        arrive(l); /* who asked has a deadline */
        disown(l);
    }
    return NULL;
}

int fh_resolver_new(fh_resolver **ret, fh_resolve *fn, void *ctx, fh_err **err)
{
    fh_resolver *r = fh_calloc(1, sizeof *r);
    if (!r) return fh_err_nomem(err);
    r->fn = fn ? fn : ask_system;
    r->ctx = ctx;
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    *ret = r;
    return 0;
}

static void disown_all(fh_lookup *first)
{
    for (fh_lookup *next; first; first = next) {
        next = first->next;
        disown(first);
    }
}

void fh_resolver_free(fh_resolver *r)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    disown_all(r->first);
    r->first = NULL;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < r->thread_count; i++) pthread_join(r->threads[i], NULL);
    disown_all(r->answered); /* their loops run no more */
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    fh_free(r);
}

/* ---- asking ---- */

/* Under the lock. Threads are made when they are wanted: a server that resolves nothing has none. */
static bool enqueue(fh_resolver *r, fh_lookup *l)
{
    if (r->waiting == FH_LIMIT_RESOLVER_WAITING) return false;
    if (r->idle <= r->waiting && r->thread_count < FH_LIMIT_RESOLVER_THREADS)
        r->thread_count += pthread_create(&r->threads[r->thread_count], NULL, run, r) == 0;
    if (!r->thread_count) return false;
    *r->last = l;
    r->last = &l->next;
    r->waiting++;
    pthread_cond_signal(&r->work);
    return true;
}

int fh_resolver_ask(fh_lookup **ret, fh_resolver *r, fh_loop *loop, const char *host,
                    void (*on_done)(void *arg, const fh_address *list, size_t count), void *arg, fh_err **err)
{
    fh_lookup *l = fh_calloc(1, sizeof *l);
    if (!l) return fh_err_nomem(err);
    l->resolver = r;
    l->loop = loop;
    l->on_done = on_done;
    l->arg = arg;
    atomic_init(&l->owners, 2);
    snprintf(l->host, sizeof l->host, "%s", host);
    pthread_mutex_lock(&r->lock);
    bool ok = enqueue(r, l);
    pthread_mutex_unlock(&r->lock);
    if (!ok) {
        fh_free(l);
        return fh_err_set(err, FH_E_BUSY, "too many names of hosts wait to be resolved");
    }
    *ret = l;
    return 0;
}

void fh_lookup_cancel(fh_lookup *l)
{
    l->cancelled = true;
    disown(l);
}
