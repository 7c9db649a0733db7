/* The inside of the fleet. Everything here but the snapshot, the feeds and the counters belongs to the fleet's thread (and, before it is
 * started, to the thread that starts it). */
#ifndef FH_FLEET_PRIVATE_H
#define FH_FLEET_PRIVATE_H

#include "base/limits.h"
#include "base/map.h"
#include "catalog/engines.h"
#include "db/db.h"
#include "fleet/fleet.h"
#include "net/http_client.h"
#include "fleet/place.h"
#include "fleet/supplies.h"
#include "weights/weights.h"
#include <pthread.h>
#include <stdatomic.h>

#define FH_FLEET_BACKOFFS 5

typedef struct fh_fleet_timing { /* tests shorten these */
    int64_t poll_ns;             /* between two looks at an engine that loads */
    int64_t health_ns;           /* between two looks at one that is ready */
    int64_t health_timeout_ns;   /* for one answer */
    unsigned health_misses;      /* answers missed in a row until it counts as hung */
    int64_t load_stall_ns;       /* loading without progress */
    int64_t prove_ns;            /* for the proof */
    int64_t drain_ns;            /* draining for at least so long: routes have gone elsewhere by then */
    int64_t drain_max_ns;        /* and for at most so long while requests run */
    int64_t term_ns;             /* from SIGTERM to SIGKILL */
    int64_t restart_window_ns;   /* in which DEPLOYMENT_RESTARTS are counted */
    int64_t backoff_ns[FH_FLEET_BACKOFFS];
    int64_t retry_ns; /* after a database that did not take a change */
    int64_t sets_ns;  /* between two looks at the sets */
    int64_t scale_up_ns, scale_down_ns;
    int64_t replace_lead_ns, replace_drain_ns;
    int64_t set_retry_ns, set_retry_most_ns; /* until another replica is tried for one that failed */
    size_t deployments;                      /* that are not stopped, at most */
} fh_fleet_timing;
extern const fh_fleet_timing fh_fleet_timing_default;

/* ---- one deployment ---- */

typedef struct fh_deployment fh_deployment;
typedef enum fh_health { FH_HEALTH_NONE, FH_HEALTH_LOADING, FH_HEALTH_READY } fh_health;
typedef void fh_health_fn(fh_deployment *d, fh_health health, int64_t done, int64_t total);
typedef void fh_proof_fn(fh_deployment *d, bool proven, const char *why);
typedef struct fh_load_reading { /* sums over all series of a metric; below 0: it is not there */
    double running, waiting, kv_used, kv_total, generated, prompt;
} fh_load_reading;
typedef void fh_load_fn(fh_deployment *d, const fh_load_reading *r); /* r NULL: no answer */

/* A machine that a deployment wants of a supply, or is about to give back (orders.c). */
typedef struct fh_order {
    fh_fleet *fleet;
    struct fh_order *next;
    int64_t id, deployment;                      /* rows */
    int64_t limit_s, limit_micro, opened_utc_ns; /* it may have so much of its set's limits; 0: there is none */
    char supply_name[80], node[64];
    fh_supply *supply; /* NULL: it is not there (yet) */
    bool wanted;
    int64_t held_ns; /* since when its machine is there */
    fh_supply_view view;
} fh_order;

struct fh_deployment {
    fh_fleet *fleet;
    fh_deployment *next; /* newest first */
    int64_t id;
    struct fh_set *set;         /* that it is a replica of, or NULL (sets.h) */
    fh_deployment *next_member; /* of it */
    int64_t generation;         /* of the set's shape that it has */
    bool was_ready;             /* the set knows how long its start took, or cannot */
    int64_t leaves_ns;          /* since when its machine has to be left; 0: it need not be */
    fh_deployment_view view;
    const fh_catalog_engine *kind; /* of its engine */
    fh_weights_item item;          /* of the weights, once chosen */
    char why[256];                 /* why we ended the engine ourselves; "" when it ended by itself */
    bool wanted;                   /* its owner wants it running */
    bool idle;                     /* draining, and nothing runs any more */
    bool prove_plain;              /* the model has no chat template */
    uint64_t memory_bytes;         /* its engine may have at most so much */
    uint64_t need_bytes;           /* what planning reckoned with */
    uint64_t kv_bytes;             /* of it the cache of all its streams */
    uint64_t own_bytes;            /* what its engine has of that */
    int64_t cpu_ns;                /* what its engine has computed */

    fh_place *place;       /* where it runs, or ran last; NULL until that is planned */
    char wanted_place[64]; /* "": any; "pool": any machine of it; else that one */
    fh_order *order;       /* its machine, where it has one for itself */
    fh_deploy_limit limit;
    fh_engine engine;
    unsigned misses;
    fh_timer *timer; /* the next step */

    fh_http_call *call; /* at most one, with its reply and who hears of it: one of the three */
    fh_health_fn *on_health;
    fh_proof_fn *on_proof;
    fh_load_fn *on_load;
    fh_buf reply;

    int64_t entered_ns, entered_first_ns, progress_ns, told_ns, begun_ns, measured_ns, not_before_ns, signalled_ns, health_ns;
    int64_t restarts_ns[FH_LIMIT_DEPLOYMENT_RESTARTS];
    fh_load_reading reading; /* the last, while it is ready */
    int64_t reading_ns;      /* when; 0: none since it was started */
};

/* Changes the state: the one place where that happens. Writes it down, replaces the snapshot, tells the feeds. On an error nothing has
 * changed. */
int fh_deployment_set_state(fh_deployment *d, fh_deployment_state to, const char *hint, const char *reason_fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool fh_deployment_may_change(fh_deployment_state from, fh_deployment_state to);
void fh_deployment_step_soon(fh_deployment *d, int64_t delay_ns);
void fh_deployment_measure(fh_deployment *d); /* what its engine has of memory */
void fh_deployment_look(fh_deployment *d);    /* at once: a request failed on it */
void fh_deployment_drop_call(fh_deployment *d);
void fh_deployment_engine_gone(fh_deployment *d); /* or it could not be started */
void fh_deployment_kill(fh_deployment *d, const char *why);
fh_deployment *fh_deployment_new(fh_fleet *f, fh_err **err); /* linked into nothing yet */
void fh_deployment_free(fh_deployment *d);

/* Steps of the states, in steps.c. Each does a bounded piece of work, and changes the state or asks to be called again. */
void fh_step_planning(fh_deployment *d);
void fh_step_provisioning(fh_deployment *d);
void fh_step_fetching(fh_deployment *d);
void fh_step_loading(fh_deployment *d);
void fh_step_proving(fh_deployment *d);
void fh_step_ready(fh_deployment *d);
void fh_step_draining(fh_deployment *d);
void fh_step_fail(fh_deployment *d, const fh_err *err);
void fh_step_heal(fh_deployment *d);
/* From the beginning, after a while; failed when that was so too often of late. */
void fh_step_again(fh_deployment *d, const char *why);

/* ---- what it needs, and where it fits, in planning.c ---- */

fh_plan_need fh_planning_need(fh_deployment *d, int64_t context_tok, int64_t streams); /* what it would be given of what is asked for */
uint32_t fh_planning_machines_most(const fh_deployment *d); /* over which its engine can be spread; 1: it cannot */
void fh_planning_reckon(fh_deployment *d);                  /* at its place: sets item, context, streams and memory_bytes */
/* Is it where that says, or wanted there? */
bool fh_planning_is_at(const fh_deployment *d, const char *wanted);
/* The name of the one place that it can get; "" while there are several. */
void fh_planning_only_place(const fh_deployment *d, char *out, size_t out_size);
/* Is there a place that the words "", "here", "pool" or "node/NAME" mean? FH_E_UNSUPPORTED says what there is. */
int fh_planning_check_place(const fh_fleet *f, const char *wanted, fh_err **err);
/* FH_E_UNSUPPORTED: no place that it may run on has that engine. */
/* Could whoever has each of the places that it may get read what it is asked, against its trust? FH_E_FORBIDDEN with the first of them. */
int fh_planning_check_trust(const fh_deployment *d, fh_err **err);
int fh_planning_untrusted(const fh_deployment *d, const char *place, bool others, fh_err **err); /* says so */
int fh_planning_check_engine(const fh_deployment *d, const fh_catalog_engine *kind, fh_err **err);

/* Is there another place that it may run at? */
bool fh_planning_elsewhere(const fh_deployment *d);
/* The machine that it waited for is there: it is its place from now on. False: it has failed. */
bool fh_planning_settle_at(fh_deployment *d, fh_place *p);

/* ---- machines that are got for it, in orders.c ---- */

int fh_orders_load(fh_fleet *f, fh_err **err);
void fh_orders_close(fh_fleet *f); /* its supplies; machines go on */
void fh_orders_free(fh_fleet *f);
void fh_orders_attach(fh_deployment *d); /* one that was loaded gets its order back */
void fh_orders_look_soon(fh_fleet *f);
bool fh_orders_can_supply(const fh_fleet *f, const char *wanted);
bool fh_orders_are_for(const fh_deployment *d);                  /* it gets a machine for itself */
int fh_orders_check_trust(const fh_deployment *d, fh_err **err); /* of those that could get it one; as fh_planning_check_trust */
fh_order_node fh_orders_of_node(const fh_fleet *f, const char *node, int64_t *ret_order);
void fh_step_order(fh_deployment *d);
bool fh_step_await_machine(fh_deployment *d); /* true: there is nothing else to do now */

/* ---- talking to the engine, in talk.c ---- */

int fh_talk_health(fh_deployment *d, fh_health_fn *fn, fh_err **err);
int fh_talk_prove(fh_deployment *d, fh_proof_fn *fn, fh_err **err);
int fh_talk_load(fh_deployment *d, fh_load_fn *fn, fh_err **err);
/* Waits for the answer, at most timeout_ns: for adopting, before the loop runs. */
fh_health fh_talk_health_now(const fh_catalog_engine *e, const char *socket_path, int64_t timeout_ns);
/* status: of its answer; 0: there was none. */
fh_health fh_talk_parse_health(const fh_catalog_engine *e, int status, fh_str body, int64_t *ret_done, int64_t *ret_total);

/* ---- what its metrics say, in load.c ---- */

void fh_load_read(const fh_catalog_engine *e, fh_str metrics, fh_load_reading *ret);
bool fh_load_busy(const fh_load_reading *r); /* requests run or wait in it; NULL counts as no */
/* What a reading makes known, with the one before for the rates; before may be NULL. A counter that fell began anew: no rate. */
void fh_load_take(fh_engine_load *load, const fh_load_reading *before, const fh_load_reading *r, int64_t elapsed_ns, int64_t now_utc_ns);

/* ---- the database, in store.c ---- */

int fh_store_insert(fh_db *db, const fh_deployment *d, int64_t *ret_id, fh_err **err);
int fh_store_state(fh_db *db, const fh_deployment *d, fh_deployment_state to, const char *reason, const char *hint, int64_t now_utc_ns,
                   fh_err **err);
int fh_store_wanted(fh_db *db, int64_t id, bool wanted, fh_err **err);
int fh_store_place(fh_db *db, int64_t id, const char *place, fh_err **err);
int fh_store_digest(fh_db *db, int64_t id, const char *digest, fh_err **err);
int fh_store_restarts(fh_db *db, int64_t id, unsigned restarts, fh_err **err);
int fh_store_order_begin(fh_db *db, fh_order *o, fh_err **err); /* sets its id and the name of its node */
int fh_store_order_unwanted(fh_db *db, int64_t id, fh_err **err);
int fh_store_order_over(fh_db *db, int64_t id, const char *reason, int64_t spent_micro, const char *currency, fh_err **err);
int fh_store_orders_load(fh_db *db, int (*fn)(void *arg, const fh_order *row, fh_err **err), void *arg, fh_err **err); /* those open */
int fh_store_orders_used(fh_db *db, int64_t deployment, int64_t *ret_micro, int64_t *ret_ns,
                         fh_err **err); /* by those over, of it and of its set */
bool fh_store_order_had(fh_db *db, const char *node);
int fh_store_act_begin(fh_db *db, int64_t deployment, int64_t *ret_act, fh_err **err);
int fh_store_act_socket(fh_db *db, int64_t act, const char *socket_path, fh_err **err);
int fh_store_act_process(fh_db *db, int64_t act, const fh_process *p, fh_err **err);
int fh_store_act_end(fh_db *db, int64_t act, fh_err **err);
/* Calls fn for each that is not stopped, oldest first, with its open act filled in (act 0 if none; pid 0 if it did not get so far). */
int fh_store_load(fh_fleet *f, int (*fn)(fh_fleet *f, fh_deployment *d, fh_err **err), fh_err **err);

/* ---- the fleet ---- */

/* nodes.c: the machines of the pool */
void fh_fleet_nodes_free(fh_fleet *f);
struct fh_node_place *fh_fleet_node_find(fh_fleet *f, const char *name);
void fh_fleet_node_gone(fh_fleet *f, const char *name, const char *why); /* what ran there has ended; unknown: nothing */

struct fh_fleet {
    fh_fleet_timing timing;
    char *store_url;
    bool keep_engines_on_stop;
    fh_loop *loop;
    fh_db *db;
    fh_http_client *client;
    fh_weights *weights;
    fh_here *here;
    fh_place place_here;
    fh_place *places;                                                                        /* here first */
    void (*quality)(void *ctx, const char *place, const char *model, fh_place_quality *ret); /* NULL: nothing is known */
    void *quality_ctx;
    struct fh_node_place *nodes;
    fh_map *node_names; /* of them */
    uint64_t planning_round;
    fh_supply *supplies;
    fh_order *orders;
    fh_timer *orders_timer;
    fh_deployment *first; /* newest */
    struct fh_set *sets;  /* oldest first */
    fh_timer *sets_timer;
    bool stopping;
    int64_t published_ns;
    bool changed; /* since the snapshot */
    bool looping; /* timers fire: before that a snapshot cannot wait */
    fh_timer *publish_timer;
    fh_timer *stop_timer;

    void (*at_end)(void *arg);
    void *at_end_arg;
    void (*node_done)(void *arg, const char *name);
    void *node_done_arg;
    pthread_t thread;
    bool thread_runs;
    _Atomic bool left; /* handed over: nothing is commanded any more */

    pthread_mutex_t lock; /* of what follows */
    fh_fleet_snapshot *snapshot;
    fh_fleet_feed *feeds;
    uint64_t serial;
    _Atomic uint64_t entered[FH_DEPLOYMENT_STATE_COUNT];
};

int fh_fleet_start_timed(fh_fleet **ret, const fh_fleet_config *c, const fh_fleet_timing *t, fh_err **err);
fh_place *fh_fleet_place(const fh_fleet *f, const char *name); /* NULL: there is none of that name */
void fh_fleet_link(fh_fleet *f, fh_deployment *d);
fh_deployment *fh_fleet_find(fh_fleet *f, const char *name); /* not a stopped one */
void fh_fleet_publish(fh_fleet *f);                          /* a new snapshot, now or in a moment; when memory is out the old one stays */
void fh_fleet_publish_now(fh_fleet *f);                      /* whoever hears of it is to see it */
int fh_fleet_publisher(fh_fleet *f, fh_err **err);
void fh_fleet_tell(fh_fleet *f, const fh_deployment *d, fh_deployment_state from, int64_t now_utc_ns);
void fh_fleet_settle(fh_fleet *f); /* forgets old stopped ones; ends a stop that is through */
int fh_fleet_adopt_all(fh_fleet *f, fh_err **err);
/* What runs or is on its way of what the spec asks for; *ret is NULL when nothing does. FH_E_CONFLICT when its shape is another. */
int fh_fleet_reuse(fh_fleet *f, const fh_deploy_spec *s, fh_deployment **ret, fh_err **err);
bool fh_deployment_is_live(const fh_deployment *d); /* runs, or is on its way */
/* A new deployment by what was asked for, with a name that is free; of a set when it is not NULL. Whoever failed under that name, or stands
 * in the way of too many, is cleared away. */
int fh_fleet_start_one(fh_fleet *f, const fh_deploy_spec *s, struct fh_set *set, const char *why, fh_deployment **ret, fh_err **err);
int fh_fleet_drain(fh_fleet *f, fh_deployment *d, const char *why, fh_err **err);       /* nobody wants it any more */
int fh_fleet_retire(fh_fleet *f, fh_deployment *failed, const char *why, fh_err **err); /* of one that failed: cleared away */
int fh_fleet_resolve(fh_fleet *f, const char *model, fh_deployment *d, fh_err **err);
/* The engine that was asked for, or one that takes the weights; it is installed. Behind fh_fleet_resolve. */
int fh_fleet_resolve_engine(fh_fleet *f, const char *engine, fh_deployment *d, fh_err **err);

#endif
