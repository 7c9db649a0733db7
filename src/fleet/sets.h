/* Sets: what somebody wants running of one model (fleet/fleet.h). All of it on the fleet's thread (and, before that is started, on the
 * thread that starts it).
 *
 * Level-triggered: a look at a set counts its replicas and does what is missing; it may come once too often. A deployment is alone until
 * something is wanted of it that one cannot do; then a set of its name is made of it. */
#ifndef FH_FLEET_SETS_H
#define FH_FLEET_SETS_H

#include "fleet_private.h"
#include "scale.h"

typedef struct fh_set {
    fh_fleet *fleet;
    struct fh_set *next;
    fh_deployment *members; /* newest first; those that have stopped too, while they are known */
    int64_t id, generation;
    fh_deploy_spec shape; /* of a replica; name: the set's */
    char model[128], variant[64];
    char digest[65]; /* of the weights; "" while they are not known */
    fh_scale_rule rule;
    fh_scale scale;
    fh_scale_load load;
    char why[200]; /* so many are wanted */
    bool kept;     /* else it is gone once its last replica is */
    int64_t created_utc_ns, changed_utc_ns;
    int64_t retry_at_ns; /* for what failed; 0: nothing has */
    unsigned failed_in_row;
    bool too_early;             /* it failed while another one gave its memory back */
    uint64_t ups, downs;        /* of the number that is wanted, since this program's start */
    int64_t start_ns;           /* how long the last start took; 0: not known */
    int64_t waking_ns, woke_ns; /* since when it wakes, 0: it does not; how long it took last */
} fh_set;

int64_t fh_set_id(const fh_set *s); /* 0 for NULL */
fh_set *fh_set_find(const fh_fleet *f, const char *name);
void fh_set_join(fh_deployment *d, fh_set *s); /* it leaves the one that it was in; s NULL: it is alone */
fh_deployment *fh_set_best(const fh_set *s);   /* a replica that is ready, else one on its way; NULL: none */
/* The set that d is a replica of; made of it when it is alone. */
int fh_set_of(fh_deployment *d, fh_set **ret, fh_err **err);
int fh_set_change(fh_set *s, const fh_replicas *r, fh_err **err);   /* how many; FH_E_INVALID names the field */
int fh_set_wake(fh_set *s, fh_deployment **ret, fh_err **err);      /* a replica that runs or is on its way now */
int fh_set_roll(fh_set *s, const fh_deploy_spec *to, fh_err **err); /* another shape; what is left out stays */
int fh_set_stop(fh_set *s, fh_err **err);
/* What the spec asks for sleeps: that set; else NULL. */
fh_set *fh_sets_asleep(fh_fleet *f, const fh_deploy_spec *s);
void fh_set_view_fill(const fh_set *s, fh_set_view *ret);

/* Steps of a set, in sets.c. */
void fh_set_look(fh_set *s);       /* does what is missing; not from inside a replica's own step */
bool fh_set_write_down(fh_set *s); /* false: logged, and tried again by the next look */
void fh_set_took_effect(fh_set *s, int64_t from);
void fh_set_clear_failed(fh_set *s, int64_t count, const char *why);
void fh_set_name_model(fh_set *s); /* what its replicas ask for: the digest once that is known */
void fh_sets_link(fh_fleet *f, fh_set *s);
void fh_sets_look(fh_fleet *f);               /* soon: something has changed */
int fh_sets_load(fh_fleet *f, fh_err **err);  /* after the deployments */
int fh_sets_start(fh_fleet *f, fh_err **err); /* from now on they are looked at */
void fh_sets_free(fh_fleet *f);

/* ---- machines that have to be left, in sets_leave.c ---- */

bool fh_set_must_leave(fh_deployment *d);     /* its machine is drained, or about to be taken away, and it may run elsewhere */
bool fh_set_may_wait(const fh_deployment *d); /* for its successor, of one that must leave */
/* Deployments that are alone become sets: those that must leave, and those that cost something while nobody asks them. */
void fh_sets_adopt_lone(fh_fleet *f);

/* ---- the database, in sets_store.c ---- */

int fh_sets_store_insert(fh_db *db, const fh_set *s, const fh_deployment *first, int64_t *ret_id,
                         fh_err **err); /* with its first replica */
int fh_sets_store_update(fh_db *db, const fh_set *s, fh_err **err);
int fh_sets_store_delete(fh_db *db, int64_t id, fh_err **err);
int fh_sets_store_load(fh_fleet *f, int (*fn)(fh_fleet *f, fh_set *s, fh_err **err), fh_err **err); /* oldest first; fn takes s */
int fh_sets_store_members(fh_fleet *f, void (*fn)(fh_fleet *f, int64_t deployment, int64_t set, int64_t generation), fh_err **err);

#endif
