/* One machine of the pool, as a place (see fleet/nodes.h). The fleet's thread. */
#ifndef FH_FLEET_NODE_PLACE_H
#define FH_FLEET_NODE_PLACE_H

#include "fleet/nodes.h"
#include "fleet/place.h"

typedef struct fh_node_place fh_node_place;
typedef struct fh_node_engine fh_node_engine;

typedef enum fh_node_fetch_state { FH_FETCH_NONE, FH_FETCH_GOES, FH_FETCH_WHOLE, FH_FETCH_FAILED } fh_node_fetch_state;

/* Bringing weights there: one file after the other, from where the node has it. */
typedef struct fh_node_fetch {
    fh_node_fetch_state state;
    fh_weights_item item;
    char **names; /* files of the item, in order */
    int64_t *sizes, *have;
    size_t count, at;
    int fd;           /* of the file that is sent, -1: none */
    int64_t from;     /* in it */
    int64_t ended_ns; /* when it was whole, or failed */
    fh_link_ask *ask;
    fh_err *err;
} fh_node_fetch;

struct fh_node_engine { /* one that runs there */
    fh_node_engine *next;
    fh_node_place *node;
    fh_engine *e;
    char deployment[64], id[96], socket_path[108]; /* id: "NAME.ACT" */
    int listen_fd;
    fh_watch *watch;
    fh_link_ask *start, *log;
    bool taken; /* the node has said yes, or may have */
    bool ended; /* to be told from the timer */
    char why[200];
    uint64_t rss_bytes, own_bytes;
    int64_t cpu_ns;
    int64_t log_at;
};

struct fh_node_place {
    fh_place place;
    fh_node_place *next; /* of the fleet's */
    char name[80];       /* "node/NAME" */
    fh_place *home;      /* this machine: folders of sockets lie where its own do */
    const char *logs;    /* the folder of logs */
    fh_loop *loop;
    fh_link *link; /* NULL: not connected */
    fh_link_ask *report;
    fh_buf line; /* of the report, until it is whole */
    bool reported, draining, removed;
    fh_json *owner;      /* of the last report: what its owner allows; NULL: nothing was said of it */
    size_t running;      /* engines, by the last report */
    char closed[200];    /* why its owner does not lend it now; "": it is lent */
    char no_room[4][65]; /* weights that its disk has no room for, by their digests */
    size_t no_room_count;
    void (*on_closed)(void *arg, fh_node_place *n); /* it is not lent any more: what runs there is to go elsewhere */
    void *on_closed_arg;
    fh_place_terms terms;
    fh_plan_machine machine;
    char sandbox[16];
    const fh_catalog_engine *kinds[16]; /* that are there */
    size_t kind_count;
    fh_node_engine *engines;
    fh_node_fetch fetch;
    fh_timer *timer;
    int64_t away_until_ns; /* what is away then has ended; 0: nothing is */
};

int fh_node_place_new(fh_node_place **ret, fh_loop *loop, fh_place *home, const char *logs, const fh_fleet_node *n, fh_err **err);
void fh_node_place_free(fh_node_place *n);
void fh_node_place_set(fh_node_place *n, const fh_fleet_node *to);
void fh_node_place_up(fh_node_place *n, fh_link *l);
void fh_node_place_down(fh_node_place *n);
void fh_node_place_remove(fh_node_place *n, const char *why);

fh_node_engine *fh_node_engine_find(fh_node_place *n, fh_str id);
void fh_node_engine_end_soon(fh_node_engine *ne, const char *why); /* told from the timer: never from inside a call */
void fh_node_engine_set_away(fh_node_engine *ne, bool away);
void fh_node_dismiss(fh_node_place *n, const char *id, bool force); /* asks it to end that engine */

/* node_report.c */
void fh_node_report_ask(fh_node_place *n);
int fh_node_report_takes(void *ctx, const char *model, const char *digest, fh_err **err); /* as the port's takes */
bool fh_node_report_full(const fh_node_place *n);                                         /* as many engines as its owner lets run */

/* node_fetch.c. As the port's fetch. */
int fh_node_fetch_step(fh_node_place *n, const fh_weights_item *item, bool *ret_whole, int64_t *ret_done, int64_t *ret_total, fh_err **err);
void fh_node_fetch_drop(fh_node_place *n); /* nothing comes of it any more; what has been sent stays there */

/* What a reply that is not as it should be says: the node's own words, or the link's. An error of that code. */
int fh_node_refusal(const char *what, int status, fh_str body, const fh_err *link_err, fh_err **err);

#endif
