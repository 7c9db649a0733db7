/* Machines of the pool as places where engines run. The pool knows who they are (module pool); here is what runs on them.
 *
 * The server asks a node over its link (link/link.h); everything is level-triggered: a node's report is the truth of what runs there, and
 * both ends may be started again, or lose each other, at any moment. Paths, all under /v1:
 *
 *   GET    report                       a line of JSON at each change, and now and then: memory, what its owner allows, engines that run,
 *                                       ones that have ended
 *   PUT    engines/NAME.ACT             start it; a second time does nothing. 404: its weights are not there
 *   DELETE engines/NAME.ACT[?force=1]   end it
 *   GET    engines/NAME.ACT/log?from=N  what its log has from there on, up to NODE_LOG_BYTES
 *   GET    weights/DIGEST               whole or not, and how much of which file came so far
 *   PUT    weights/DIGEST/FILE?from=N   a piece of one
 *   POST   weights/DIGEST               all of them are there: check and keep ("file": the one to open; absent: a folder)
 *   CONNECT engine:NAME.ACT             a connection to the engine's socket
 *
 * A node that cannot be reached is waited for NODE_AWAY_MS; then what ran there counts as ended, and what it still runs when it comes back
 * and nobody accounts for is ended there. Threads: the fleet's, which fh_fleet_loop is the loop of. */
#ifndef FH_FLEET_NODES_H
#define FH_FLEET_NODES_H

#include "fleet/fleet.h"
#include "json/json.h"
#include "link/link.h"

typedef struct fh_fleet_node {
    char name[64];
    int64_t ask_micro; /* for an hour, in millionths of the currency */
    char currency[4];
    int64_t mtok_micro; /* for a million tokens besides */
    char mtok_currency[4];
    char owner[64]; /* whose it is; "": nobody was named */
    bool draining;  /* takes no more engines */
} fh_fleet_node;

fh_loop *fh_fleet_loop(fh_fleet *f); /* any thread */
/* As fh_loop_call on that loop; false when the fleet was left. From the thread that leaves it. */
bool fh_fleet_call(fh_fleet *f, void (*fn)(void *arg), void *arg);
/* fn(arg) is called once, on the fleet's thread, when its loop has ended (stop or leave): the last moment for what is on it. */
void fh_fleet_at_end(fh_fleet *f, void (*fn)(void *arg), void *arg);
/* A node that is known, or other terms of one. Before the fleet starts: fh_fleet_config. */
int fh_fleet_node_set(fh_fleet *f, const fh_fleet_node *n, fh_err **err);
void fh_fleet_node_up(fh_fleet *f, const char *name, fh_link *l);
void fh_fleet_node_down(fh_fleet *f, const char *name); /* l is gone, or about to */
/* What runs there goes elsewhere, as far as it may; what may not waits. */
void fh_fleet_node_drain(fh_fleet *f, const char *name);
void fh_fleet_node_undrain(fh_fleet *f, const char *name); /* it takes engines again */
/* It was found to cheat: what runs there goes elsewhere likewise. Nothing new goes there while fh_fleet_config's quality says so. */
void fh_fleet_node_distrust(fh_fleet *f, const char *name);
/* It was removed from the pool: what ran there counts as ended now. */
void fh_fleet_node_remove(fh_fleet *f, const char *name);

typedef struct fh_fleet_node_report { /* what it said last, a few seconds ago at most */
    uint64_t memory_bytes, memory_free_bytes;
    char sandbox[16], engines[256]; /* ids of those that its owner installed, with spaces between them */
    fh_json *owner;                 /* what its owner allows, as docs/POOL.md has it; borrowed until the fleet's loop goes on; NULL */
} fh_fleet_node_report;
/* False: it is not connected, or has not reported yet. */
bool fh_fleet_node_last_report(fh_fleet *f, const char *name, fh_fleet_node_report *ret);

#endif
