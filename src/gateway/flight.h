/* Requests that get the same answer, and get it once: from the answers that are kept, or from one call that all who ask meanwhile follow.
 *
 * A flight is a reply on its way: one leader writes it, followers read it from its beginning, each at its own pace and on its own loop. It
 * can be joined until it has ended, or has become too large to be kept. From then on it holds only what some follower has still to read:
 * the leader waits for the fastest of them, and one that falls behind by more than an answer may have is cut loose. Nobody else waits for
 * anybody. A flight that nobody follows any more is for its leader to cancel.
 *
 * Threads: any. One lock guards flights and answers; it is held for a look, a copy of a piece of text, never across I/O. A seat belongs to
 * the thread of its loop, where wake is called when there is something to see; posts to a loop are one at a time. */
#ifndef FH_GATEWAY_FLIGHT_H
#define FH_GATEWAY_FLIGHT_H

#include "base/buf.h"
#include "cache.h"
#include "net/loop.h"
#include "observe/record.h"

typedef struct fh_flights fh_flights;
typedef struct fh_flight fh_flight;

typedef struct fh_flights_config {
    fh_loop *const *loops; /* that seats are on; borrowed, the array only while it is read */
    size_t loop_count;
    fh_cache_bounds cache; /* bytes 0: nothing is kept */
    size_t answer_bytes;   /* one that is larger is not kept */
    size_t flights, bytes; /* at once; bytes: of them together, beyond which they hold no more than they must */
    size_t lead_bytes;     /* that a leader may be before the fastest follower of a flight that is not kept */
} fh_flights_config;
void fh_flights_defaults(fh_flights_config *c);

/* One who takes part, as leader or as follower. Caller's storage: zeroed, then loop, wake and arg set; gone from the flight by
 * fh_seat_leave. */
typedef struct fh_seat fh_seat;
struct fh_seat {
    fh_loop *loop;
    void (*wake)(void *arg);
    void *arg;
    /* the rest is the flight's */
    fh_flight *flight; /* NULL: takes no part */
    struct fh_seat_port *port;
    fh_seat *next, *previous;             /* followers of the flight, the longest there first */
    fh_seat *ready_next, *ready_previous; /* of the port, to be woken */
    size_t at;
    bool ready, lost;
};

typedef enum fh_boarding {
    FH_BOARDING_KEPT,   /* an answer was kept: ret_answer */
    FH_BOARDING_JOINED, /* the seat follows a flight that is under way */
    FH_BOARDING_LEADS,  /* the seat follows a new flight, whose leader is to be seated */
    FH_BOARDING_ALONE   /* no more flights, or no memory */
} fh_boarding;

int fh_flights_new(fh_flights **ret, const fh_flights_config *c, fh_err **err);
void fh_flights_free(fh_flights *t); /* when no seat is taken */
/* fresh: neither a kept answer nor a flight that has begun will do. owner: id of the key. */
fh_boarding fh_flights_board(fh_flights *t, const uint8_t key[FH_ANSWER_KEY_BYTES], const char *owner, bool fresh, fh_seat *follower,
                             fh_answer **ret_answer);
void fh_flights_sweep(fh_flights *t);                       /* now and then: answers whose time is over, posts that failed */
size_t fh_flights_forget(fh_flights *t, const char *owner); /* kept answers of that key; those that are on their way are not kept */
typedef struct fh_flights_figures {
    fh_cache_figures cache;
    uint64_t flights, bytes, cut_loose;
} fh_flights_figures;
void fh_flights_look(fh_flights *t, fh_flights_figures *ret);

/* The leader. Woken when it may go on, or when nobody follows any more. */
void fh_flight_seat_leader(fh_seat *leader, fh_flight *f);
bool fh_flight_wanted(const fh_seat *leader); /* somebody follows */
void fh_flight_start(fh_seat *leader, const fh_answer_head *head);
/* Whole events. False: the leader should wait until it is woken. used: by the call so far; with what tells the usage, all of it. */
bool fh_flight_write(fh_seat *leader, const void *data, size_t bytes, const fh_used *used);

typedef struct fh_flight_end {
    int status; /* of a reply that is not streamed */
    char retry_after[32];
    bool no_retry, failed;
    bool keep;     /* it is good and whole, and would be the same another time */
    fh_err *err;   /* taken: an error of ours instead of a reply; NULL */
    int code;      /* class of error that it ended with; 0: none, or the upstream's own */
    bool finished; /* as finish says */
    fh_wire_finish finish;
    fh_used used;
    unsigned attempt_count; /* of replicas */
    fh_attempt attempts[FH_LIMIT_RECORD_ATTEMPTS];
} fh_flight_end;
/* The end of a stream that was started, of a reply (whose head and body were given to start and write), or an error. Leaves the seat. */
void fh_flight_land(fh_seat *leader, const fh_flight_end *end);

/* Followers. */
typedef struct fh_flight_view {
    bool started, lost;
    fh_answer_head head;      /* once started */
    fh_used used;             /* as it was written last */
    const fh_flight_end *end; /* NULL before; borrowed until the seat is left */
} fh_flight_view;
void fh_seat_look(const fh_seat *s, fh_flight_view *ret);
/* Appends the next whole events, about so many bytes of them and at least one; false when there is nothing more for now. */
bool fh_seat_read(fh_seat *s, size_t about, fh_buf *out);
/* The body of a reply that is no stream and has ended; borrowed until the seat is left. */
fh_str fh_seat_body(const fh_seat *s);
/* What of the call is charged to this one: what was used and not yet charged to the one that asked before it. Those that follow behind pay
 * nothing. Fine for who has no seat. */
uint64_t fh_seat_leave(fh_seat *s);

#endif
