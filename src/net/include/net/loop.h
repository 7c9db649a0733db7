/* An event loop (libevent): one thread runs it; everything registered on it is used by that thread only. fh_loop_post is the one door for
 * others. Time is monotonic nanoseconds. */
#ifndef FH_NET_LOOP_H
#define FH_NET_LOOP_H

#include "base/err.h"
#include "base/mem.h"
#include <stdint.h>

typedef struct fh_loop fh_loop;
typedef struct fh_timer fh_timer;
typedef struct fh_watch fh_watch;
struct event_base;

int fh_loop_new(fh_loop **ret, fh_err **err);
void fh_loop_free(fh_loop *l);
int fh_loop_run(fh_loop *l, fh_err **err); /* until fh_loop_stop */
void fh_loop_stop(fh_loop *l);             /* any thread; signal-safe it is not: use fh_loop_on_signal */
/* Runs fn(arg) on the loop's thread soon, in order. Any thread. False when memory is out or the loop is being freed: then fn never runs. */
bool fh_loop_post(fh_loop *l, void (*fn)(void *arg), void *arg);
/* The same for what must not fail for want of memory: fn and arg are set by the caller, whose p is its own again when fn is called. */
typedef struct fh_post {
    void (*fn)(void *arg);
    void *arg;
    struct fh_post *next; /* the loop's */
    bool made;            /* by fh_loop_post */
} fh_post;
bool fh_loop_post_own(fh_loop *l, fh_post *p); /* false when the loop is being freed */
/* Runs fn(arg) on the loop's thread and waits until it has. From another thread, while the loop runs; false when it is being freed. */
bool fh_loop_call(fh_loop *l, void (*fn)(void *arg), void *arg);
struct event_base *fh_loop_base(fh_loop *l); /* for net/ and link/ themselves */
FH_DEFINE_AUTO(fh_loop, fh_loop_free);

/* Timers fire once; start again to repeat. */
int fh_timer_new(fh_timer **ret, fh_loop *l, void (*fn)(void *arg), void *arg, fh_err **err);
void fh_timer_start(fh_timer *t, int64_t delay_ns); /* replaces a running one */
void fh_timer_stop(fh_timer *t);
void fh_timer_free(fh_timer *t);

/* Readability of a descriptor (a pidfd, a pipe), until freed. */
int fh_watch_new(fh_watch **ret, fh_loop *l, int fd, void (*fn)(void *arg), void *arg, fh_err **err);
void fh_watch_free(fh_watch *w);                                                              /* does not close fd */
int fh_loop_on_signal(fh_loop *l, int signo, void (*fn)(void *arg), void *arg, fh_err **err); /* until the loop is freed */

#endif
