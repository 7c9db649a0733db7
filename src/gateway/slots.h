/* Slots at replicas, and who waits for one. A replica computes so many requests at once; one that it does not say this of shows it by
 * refusing (429). What is beyond that waits here and not in the replica's own queue, where first come is first served: here it is fair
 * between keys (fair.h), bounded, and whoever waits may go to whichever replica is free first.
 *
 * One table for all loops. A queue is shared by those who ask for the same: a pool, by name. What holds: while a replica has room, nobody
 * who would take it waits. Threads: any, but one slot is used by the loop that asked for it alone, which is told there what became of it;
 * a lock is held for a look-up, and for going through those who wait when somebody leaves. */
#ifndef FH_GATEWAY_SLOTS_H
#define FH_GATEWAY_SLOTS_H

#include "base/limits.h"
#include "gateway/keys.h"
#include "net/loop.h"

typedef struct fh_slots fh_slots;
typedef struct fh_slot fh_slot;

fh_slots *fh_slots_new(void);    /* NULL when memory is out */
void fh_slots_free(fh_slots *s); /* once no loop runs and every slot was left */
FH_DEFINE_AUTO(fh_slots, fh_slots_free);

typedef struct fh_slot_at {
    uint64_t replica; /* any number that names it; not 0 */
    uint32_t at_once; /* requests that it computes at once; 0: not known */
} fh_slot_at;
bool fh_slots_room(fh_slots *s, fh_slot_at at, int64_t now_ns);

typedef struct fh_slot_spec { /* all of it copied */
    const char *pool, *key_id;
    fh_priority priority;
    uint64_t cost_tok;    /* as expected */
    const fh_slot_at *at; /* the first is preferred, the others would do; SLOT_PLACES at most are looked at */
    size_t count;         /* > 0 */
    bool may_wait;        /* else it is refused when there is no room */
    bool goes_ahead;      /* gets one whatever the room: an answer that has begun */
    fh_loop *loop;
    void (*moved)(void *arg); /* on the loop, once what waited has one or is refused; not after it left */
    void *arg;
} fh_slot_spec;
typedef enum fh_slot_state { FH_SLOT_HELD, FH_SLOT_WAITS, FH_SLOT_REFUSED } fh_slot_state;

/* A slot, or a place in the queue (*ret_waits: moved will be called). FH_E_BUSY when there is no room and it may not wait, or too many do.
 * Ends with fh_slot_leave. */
int fh_slots_ask(fh_slots *s, const fh_slot_spec *spec, int64_t now_ns, fh_slot **ret, bool *ret_waits, fh_err **err);
/* ret_replica: whose slot it has. It waits as long as moved is still to be called. */
fh_slot_state fh_slot_look(fh_slot *slot, uint64_t *ret_replica);
/* What would do now, of one that waits. */
void fh_slot_update(fh_slot *slot, const fh_slot_at *at, size_t count, int64_t now_ns);
bool fh_slot_alone(fh_slot *slot); /* nobody else has one there */
/* The replica refused who has it, for being busy: it gets nobody for pause_ns, and then fewer at once than it had. */
void fh_slot_turned_away(fh_slot *slot, int64_t pause_ns, int64_t now_ns);
/* The end of it, in whatever state; used_tok: 0 when that is not known. NULL is fine. */
void fh_slot_leave(fh_slot *slot, uint64_t used_tok, int64_t now_ns);
/* After how long asking again makes sense, by how fast the queue of the pool of that name moves; from 1 s to 60 s. */
int64_t fh_slots_retry_ns(fh_slots *s, const char *name);
void fh_slots_tick(fh_slots *s, int64_t now_ns); /* every second or so: pauses that are over */

#endif
