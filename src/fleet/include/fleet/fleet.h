/* Deployments: what should run, where, and what state it is in. Shape: DESIGN of the project, "The life of a deployment".
 *
 *   requested → planning → provisioning → fetching → loading → proving → ready → draining → stopped
 *                    └──────────── any of them ────────────┘ → failed(reason, what to do)
 *
 * One function (set_state in deployment.c) changes a state; each change is a row (when, from, to, reason). The fleet has a thread of its
 * own with a loop and a database connection: it owns all deployments. Others send commands (posted to its loop; answered on the caller's
 * loop) and read a snapshot that is replaced, never changed. Survives kill -9 at any instant: engines go on and are adopted by the next
 * start, by socket and process start time. */
#ifndef FH_FLEET_FLEET_H
#define FH_FLEET_FLEET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/trust.h"
#include "json/json.h"
#include "net/loop.h"

#define FH_DEPLOYMENT_STATES(X)                                                                                                            \
    X(REQUESTED, "requested")                                                                                                              \
    X(PLANNING, "planning")                                                                                                                \
    X(PROVISIONING, "provisioning")                                                                                                        \
    X(FETCHING, "fetching")                                                                                                                \
    X(LOADING, "loading") X(PROVING, "proving") X(READY, "ready") X(DRAINING, "draining") X(STOPPED, "stopped") X(FAILED, "failed")
typedef enum fh_deployment_state {
#define FH_STATE_ENUM(name, text) FH_DEPLOYMENT_##name,
    FH_DEPLOYMENT_STATES(FH_STATE_ENUM)
#undef FH_STATE_ENUM
        FH_DEPLOYMENT_STATE_COUNT
} fh_deployment_state;
const char *fh_deployment_state_name(fh_deployment_state s);
#define FH_DEPLOYMENT_NAME_CHARS 40 /* so that a socket's path has room for it */
bool fh_deployment_name_good(const char *name);

typedef struct fh_order_terms { /* of the machine that was got for a deployment (supply/supply.h) */
    int64_t id;                 /* 0: it runs on no such machine, and wants none */
    char supply[80], currency[4];
    int64_t hour_micro, spent_micro; /* what an hour of it costs, and what it has cost at most; millionths */
    int64_t ends_utc_ns;             /* when it will be taken away; 0: not known */
    bool leaving;                    /* it is about to be taken away before that */
    char note[128];                  /* it is another one than was picked, and why; "": it is not */
} fh_order_terms;

typedef struct fh_deploy_limit { /* of a machine that is got for a deployment. 0: none */
    int64_t max_hour_micro;      /* millionths of the currency */
    int64_t seconds, micro;      /* of all of them together */
    char currency[4];
    char offer[64], offer_kind[80];   /* picked of what its provider offers (supply/supply.h); "": none was */
    char trust[FH_LIMIT_TRUST_BYTES]; /* not of machines alone: who may read what it is asked, by base/trust.h; "": anybody */
} fh_deploy_limit;

/* What an engine says of its load, by its own metrics; below 0: it does not say. */
typedef struct fh_engine_load {
    int64_t measured_utc_ns;  /* 0: nothing was read yet */
    int64_t running, waiting; /* requests */
    int64_t kv_used_ppm;      /* of its cache, in millionths */
    int64_t generated_mtok_s; /* thousandths of a token a second, over all requests, since the reading before */
    int64_t prompt_mtok_s;    /* the same of prompts */
} fh_engine_load;

enum { FH_KV_TYPE_CHARS = 8 };

typedef struct fh_deployment_view { /* one deployment in a snapshot */
    char name[64], model[128], variant[64], place[64];
    char set[64];    /* name of the set that it is a replica of; "": of none */
    char engine[32]; /* id of a row of catalog/engines.h */
    char digest[65]; /* of the weights, SHA-256 in hex; "" before they are chosen */
    fh_deployment_state state;
    char reason[256], hint[256]; /* of the last change; what to do when failed */
    int64_t created_utc_ns, changed_utc_ns;
    int64_t progress_done, progress_total; /* bytes while fetching and loading; 0 when unknown */
    int64_t context_tok, streams;
    char kv_type[FH_KV_TYPE_CHARS]; /* what its cache is kept as (plan/plan.h); "": as its engine does by itself */
    int64_t pid;                    /* 0: none, or not on this machine */
    int64_t act;                    /* number of its engine's start, 0: none runs */
    uint64_t rss_bytes;
    fh_engine_load load; /* while it is ready */
    char sandbox[16];
    char socket_path[108];
    unsigned restarts;
    fh_order_terms order;
    fh_deploy_limit limit;
} fh_deployment_view;

/* A set: what somebody wants running of one model. Its replicas are deployments, each with a name of its own: what happens to one does not
 * happen to the others. The fleet keeps as many as are wanted (docs/SCALING.md), and one that has to go is left once its successor is
 * ready.
 */
typedef struct fh_set_view {
    char name[64], model[128], variant[64];
    char place[64]; /* as it was asked for: "" is any */
    char engine[32];
    char trust[FH_LIMIT_TRUST_BYTES]; /* as fh_deploy_limit has it */
    char why[200];                    /* so many are wanted */
    int64_t min, max, idle_s;         /* idle_s: without a request until none is wanted, where min is 0 */
    int64_t wanted, ready;            /* replicas now; wanted 0: it sleeps until it is woken */
    int64_t count;                    /* replicas that run or are on their way */
    int64_t leaving;                  /* of these, that go once their successors are ready */
    int64_t context_tok, streams;
    char kv_type[FH_KV_TYPE_CHARS];
    int64_t created_utc_ns, changed_utc_ns; /* the second: wanted */
    int64_t woke_ns;                        /* how long it took from its last waking to the first ready one; 0: not yet */
    uint64_t ups, downs;                    /* of the number that is wanted, since the fleet's start */
    bool failing;                           /* none runs or is on its way; another is tried after a pause */
    bool stopping;                          /* gone once its last replica is */
    bool only_here;                         /* it can run on this machine alone, by what was asked for */
} fh_set_view;

/* A set that sleeps, as the deployment that it would be: stopped. */
void fh_set_view_asleep(const fh_set_view *s, fh_deployment_view *ret);

typedef struct fh_fleet_snapshot { /* reference counted, immutable */
    size_t count;
    fh_deployment_view *deployments; /* newest first; stopped ones are kept for a while */
    size_t set_count;
    fh_set_view *sets; /* oldest first */
    uint64_t serial;
} fh_fleet_snapshot;

typedef struct fh_fleet fh_fleet;

typedef struct fh_place_quality { /* what was measured of a place that others have; zeros: nothing speaks against it */
    bool cheats;                  /* it gets nothing new */
    uint32_t standing;            /* 0 to 100 */
    uint32_t failing_per_mille;   /* requests that are expected to fail there */
    int64_t millitok_s;           /* of one stream of the model; 0: not measured */
} fh_place_quality;

typedef struct fh_fleet_config {
    /* Asked of each place but this machine when one is chosen; on the fleet's thread. NULL: all are as good. */
    void (*quality)(void *ctx, const char *place, const char *model, fh_place_quality *ret);
    void *quality_ctx;
    const char *data_dir;           /* owned data folder, locked by the caller */
    const char *store_url;          /* sqlite:PATH */
    const char *program;            /* absolute path of this binary, to start engines */
    const char *const *engines;     /* where engines of others are: "ENGINE=PROGRAM[:PART...]", NULL-terminated; NULL: in PATH or nowhere.
                                       Borrowed while the fleet runs */
    const struct fh_spread *spread; /* the nodes that this machine stands for (fleet/spread.h); NULL: it is one. Borrowed likewise */
    bool keep_engines_on_stop;      /* under systemd: engines live on and are adopted */
    const struct fh_fleet_node *nodes; /* of the pool (fleet/nodes.h), known before; used during the call */
    size_t node_count;
} fh_fleet_config;

/* Can that engine (catalog/engines.h) be started on this machine, but for its version? Reads c's program and engines alone; any thread. */
struct fh_catalog_engine;
int fh_fleet_engine_here(const fh_fleet_config *c, const struct fh_catalog_engine *e, fh_err **err);

int fh_fleet_start(fh_fleet **ret, const fh_fleet_config *c,
                   fh_err **err); /* adopts what still runs, sweeps what is left over, then returns */
void fh_fleet_stop(fh_fleet *f);  /* drains and stops engines unless keep_engines_on_stop, ends the thread, frees */

/* For a server that hands over to another: ends the thread and lets go of the database; engines go on. The snapshot can still be read, and
 * nothing else be done but stop, which frees. */
void fh_fleet_leave(fh_fleet *f);

uint64_t fh_fleet_entered(const fh_fleet *f,
                          fh_deployment_state s);            /* how often a deployment came into that state since the start; any thread */
const fh_fleet_snapshot *fh_fleet_snapshot_get(fh_fleet *f); /* any thread, never blocks for long; release it */
void fh_fleet_snapshot_release(const fh_fleet_snapshot *s);

typedef enum fh_deploy_mode {
    FH_DEPLOY_NEW,    /* another one, whatever runs */
    FH_DEPLOY_REUSE,  /* one of that model (and name, if given) that runs or is on its way, else a new one */
    FH_DEPLOY_ATTACH, /* as reuse, but never a new one: FH_E_FORBIDDEN */
} fh_deploy_mode;

typedef struct fh_replicas { /* what is not said stays as it is, or is what one deployment has: 1 to 1 */
    bool min_said, max_said, idle_said;
    int64_t min, max; /* 0 <= min <= max, 1 <= max <= REPLICAS */
    int64_t idle_s;   /* 1 or more */
} fh_replicas;

typedef struct fh_deploy_spec {
    fh_deploy_mode mode;
    char model[256]; /* catalog id or alias ("id:variant" too), or the id or digest of imported weights; a path is refused: import it first.
                        With reuse and attach also a deployment that runs, NAME or "deployment/NAME" */
    char name[64];   /* "" = made from the model's id */
    char place[64];  /* "here", "pool", "node/NAME", "provider/NAME", or the kind of a provider; "": the best of here and the pool */
    char engine[32]; /* "" = our own, or where that does not take such weights the first that is installed and does */
    int64_t context_tok, streams;   /* 0 = default */
    char kv_type[FH_KV_TYPE_CHARS]; /* "" = as the engine does by itself */
    fh_deploy_limit limit;
    fh_replicas replicas; /* any said: the deployment becomes a set of that name, or its set is changed */
} fh_deploy_spec;

/* Commands. undeploy of the name of a set stops all of it. Posted to the fleet; done(arg, view, err) is called on `reply_loop`'s thread
 * exactly once (view and err borrowed; one of them NULL). */
typedef void fh_fleet_done(void *arg, const fh_deployment_view *view, const fh_err *err);
int fh_fleet_deploy(fh_fleet *f, const fh_deploy_spec *spec, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err);
int fh_fleet_undeploy(fh_fleet *f, const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err);
void fh_fleet_report(fh_fleet *f, const char *name, int code); /* a request failed on it: look at once */
/* A set is wanted now: view is that of a replica. FH_E_NOT_FOUND when there is no set of that name. done NULL: nobody waits for the answer.
 */
int fh_fleet_wake(fh_fleet *f, const char *name, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err);

/* Another shape of what runs as spec->name, without a pause: a successor of each replica is started, and once it is ready the one before is
 * drained. What spec leaves out ("", 0) stays as it is; the model's weights are looked for anew. mode and replicas are not looked at. A
 * deployment that is alone becomes a set. */
int fh_fleet_roll(fh_fleet *f, const fh_deploy_spec *spec, fh_loop *reply_loop, fh_fleet_done *done, void *arg, fh_err **err);

/* What requests make of each replica, told every second or so: sets grow and shrink by it. One that is not in the list has nothing to do.
 * Any thread, one at a time. */
typedef struct fh_replica_load {
    char deployment[64];
    int64_t waiting, in_flight; /* requests */
    double first_token_s;       /* median of late; 0: there was none of late */
    uint64_t requests;          /* ever */
} fh_replica_load;
void fh_fleet_tell_load(fh_fleet *f, const fh_replica_load *list, size_t count);

/* Changes as they happen, for /api/v1/events: fn is called on `loop`'s thread with
 * {"serial","time","deployment","from","to","reason","hint","progress"}. */
typedef struct fh_fleet_feed fh_fleet_feed;
int fh_fleet_subscribe(fh_fleet *f, fh_loop *loop, void (*fn)(void *arg, const fh_json *event), void *arg, fh_fleet_feed **ret,
                       fh_err **err);
void fh_fleet_unsubscribe(fh_fleet_feed *feed);
/* History of one deployment, oldest first, as a JSON array; reads the database on the caller's thread with a connection of its own. */
int fh_fleet_history(fh_fleet *f, const char *name, int64_t after_id, size_t max, fh_json **ret, fh_err **err);
int fh_fleet_log_tail(fh_fleet *f, const char *name, size_t max_bytes, fh_buf *out, fh_err **err); /* the engine's own log */

#endif
