/* The inside of node/. */
#ifndef FH_NODE_PRIVATE_H
#define FH_NODE_PRIVATE_H

#include "base/limits.h"
#include "fleet/place.h"
#include "json/json.h"
#include "node/agent.h"
#include "node/owner.h"
#include "weights/weights.h"

typedef struct node_engine node_engine;
typedef struct node_reporter node_reporter;

enum { NODE_ENDED_KEPT = 32, NODE_ID = 96 };

typedef struct node_ended { /* an engine that has ended, until it is forgotten */
    char id[NODE_ID], why[256];
} node_ended;

struct fh_node_agent {
    fh_loop *loop;
    fh_weights *weights;
    fh_here *here;
    fh_place place;
    const fh_node_owner *owner;
    char *data_dir;
    char sandbox[16];
    char closed[FH_NODE_HOURS_TEXT + 64]; /* why the machine is not lent now; "": it is */
    bool server;                          /* it is there */
    fh_timer *hours;                      /* when to look at the clock again */
    fh_timer *leaving;                    /* what still runs then is ended */
    fh_timer *alone;                      /* so too, for want of a server */
    node_engine *engines;
    node_ended ended[NODE_ENDED_KEPT]; /* a ring */
    size_t ended_count;
    node_reporter *reporters;
    fh_timer *timer;   /* of the next report */
    int64_t disk_left; /* for weights: all that are on their way share it */
    bool keeping;      /* weights are checked on a thread */
    void (*stopped)(void *arg);
    void *stopped_arg;
    bool stopping;
};

/* A reply of an error: {"error": message}. Takes err. */
void node_refuse(fh_link_req *r, fh_err *err);
void node_reply_json(fh_link_req *r, int status, fh_json *o); /* takes o */

/* engines.c */
void node_engine_put(fh_node_agent *a, fh_link_req *r, fh_str id);
void node_engine_delete(fh_node_agent *a, fh_link_req *r, fh_str id, bool force);
void node_engine_log(fh_node_agent *a, fh_link_req *r, fh_str id, int64_t from);
int node_engine_connect(fh_node_agent *a, fh_str id, int *ret_fd, fh_err **err);
void node_engines_end(fh_node_agent *a); /* all of them */
size_t node_engines_count(const fh_node_agent *a);
bool node_engines_json(const fh_node_agent *a, fh_json *into);
void node_engines_free(fh_node_agent *a);
void node_agent_settle(fh_node_agent *a); /* agent.c: something has ended that a stop waits for */

fh_plan_machine node_machine(const fh_node_agent *a); /* as far as its owner lends it */

int64_t node_disk_left(const fh_node_agent *a); /* disk.c: bytes of weights that may still come */

/* lending.c */
int node_lending_open(fh_node_agent *a, fh_err **err);
void node_lending_free(fh_node_agent *a);

/* reports.c */
void node_report_begin(fh_node_agent *a, fh_link_req *r);
void node_report_soon(fh_node_agent *a); /* something has changed */
void node_reports_free(fh_node_agent *a);

/* uploads.c: weights on their way here, in DATA/incoming/DIGEST/ */
void node_weights_get(fh_node_agent *a, fh_link_req *r, fh_str digest);
void node_weights_head(fh_node_agent *a, fh_link_req *r, fh_str digest, fh_str file, int64_t from);
void node_weights_put(fh_link_req *r);
void node_weights_keep(fh_node_agent *a, fh_link_req *r, fh_str digest);
bool node_digest_good(fh_str digest);

#endif
