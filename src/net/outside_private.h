/* What fetching what others name is made of: a thread with a loop of its own (outside.c), and the course of one fetch on it
 * (outside_fetch.c). */
#ifndef FH_NET_OUTSIDE_PRIVATE_H
#define FH_NET_OUTSIDE_PRIVATE_H

#include "base/clock.h"
#include "net/outside.h"
#include "net/outside_rule.h"
#include "private.h"

enum { OUTSIDE_ADDRESSES_MAX = 4 };

struct fh_outside {
    fh_outside_rule *rule;
    fh_resolver *resolver;
    const char *ca_file;
    fh_loop *loop; /* the thread's, as the client */
    fh_http_client *client;
    pthread_t thread;
    bool has_thread;
    atomic_size_t fetches, bytes; /* that are wanted; of all that there are */
    pthread_mutex_t lock;         /* of the list, and of the state of each in it */
    fh_fetch *first;
};

struct fh_fetch {
    fh_fetch *next, *prev;
    fh_outside *outside;
    fh_loop *home; /* whose it is: there it is started, given up, and told of */
    fh_fetch_spec spec;
    fh_post begin, abandon, deliver;
    bool ended, cancelled; /* with the lock: by the thread, and not again; by its home */
    /* The thread's, until it has ended. */
    fh_err *err; /* owned */
    fh_buf text, body;
    fh_outside_url url; /* of the hop; points into text */
    fh_lookup *lookup;
    fh_http_call *call;
    fh_timer deadline;
    fh_address addresses[OUTSIDE_ADDRESSES_MAX];
    size_t count, at, counted; /* addresses, the next of them, and bytes in o->bytes */
    unsigned redirects;
};

/* On the thread of outside.c. The course of a fetch ends with one call of outside_finish, which takes err: f may be gone after it. */
void outside_fetch_begin(fh_fetch *f);
void outside_fetch_end(fh_fetch *f); /* whatever it waits for, it waits no longer */
void outside_finish(fh_fetch *f, fh_err *err);

#endif
