/* What the files of the Slurm adapter share: pure parts, then the adapter itself. */
#ifndef FH_SUPPLY_SLURM_PRIVATE_H
#define FH_SUPPLY_SLURM_PRIVATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "supply/command.h"
#include "supply/slurm.h"
#include "supply/slurm_rest_says.h"
#include "supply/slurm_says.h"

/* ---- settings (slurm_settings.c): pure ---- */

#define SLURM_TEXT 256

typedef struct slurm_settings { /* "" where the operator gave none */
    char partition[SLURM_TEXT], account[SLURM_TEXT], qos[SLURM_TEXT], time[SLURM_TEXT], gres[SLURM_TEXT], constraint[SLURM_TEXT];
    char cpus[SLURM_TEXT], mem[SLURM_TEXT], nodes[SLURM_TEXT];
    char folder[SLURM_TEXT], program[SLURM_TEXT], scratch[SLURM_TEXT];
    char user[SLURM_TEXT], api[SLURM_TEXT], plain_http[SLURM_TEXT]; /* of slurmrestd */
    int64_t time_s;                                                 /* 0: the cluster's own limit */
    uint64_t mem_mib, cpus_number, nodes_number;                    /* of mem, cpus and nodes; 0: not said */
} slurm_settings;

/* FH_E_INVALID with param "settings.KEY". */
int fh_slurm_settings_read(const fh_json *o, slurm_settings *ret, fh_err **err);
uint64_t fh_slurm_mem_mib(uint64_t need_bytes); /* what a job is given for an engine that takes so much, and for its node */

typedef struct slurm_need { /* of a model's engine */
    uint64_t bytes;         /* on one node */
    uint64_t each_bytes;    /* of that what every node takes, where several share the rest */
    uint32_t nodes_most;    /* that it can be spread over */
} slurm_need;
uint64_t fh_slurm_need_mib(const slurm_need *need, uint32_t nodes); /* of each node */
/* Over how many nodes: as the operator says, else over as few as have the memory, by what is known of the partition. 1 where none do:
 * Slurm says what it thinks of that. */
uint32_t fh_slurm_nodes_for(const slurm_need *need, const slurm_settings *set, const fh_slurm_kinds *kinds);

typedef struct slurm_shape { /* what a job asks for, beside the words of the settings */
    int64_t minutes;         /* 0: the partition's limit */
    uint64_t mem_mib, cpus;  /* mem_mib 0: all that the node has; cpus 0: the cluster's default */
    uint32_t nodes;
} slurm_shape;
/* limit_s: what the deployment may take; 0: no limit. */
slurm_shape fh_slurm_shape_of(const slurm_need *need, int64_t limit_s, const slurm_settings *set, const fh_slurm_kinds *kinds);

/* ---- scripts (slurm_scripts.c) ---- */

extern const char fh_slurm_prepare[];          /* FOLDER SUM PROGRAM */
extern const char fh_slurm_upload[];           /* FOLDER SUM, the program as input */
extern const char fh_slurm_submit[];           /* FOLDER JOBNAME PROGRAM URL NODE SCRATCH OPTION..., the job's script as input */
extern const char fh_slurm_hand[];             /* FOLDER JOBNAME, the token as input */
extern const char fh_slurm_cancel[];           /* FOLDER JOBNAME */
extern const char fh_slurm_last[];             /* FOLDER JOBNAME */
extern const char fh_slurm_remove[];           /* FOLDER JOBNAME */
extern const char fh_slurm_job[];              /* what runs on the node: FOLDER PROGRAM URL NODE SCRATCH [CERTIFICATE] */
enum { SLURM_REFUSED = 65, SLURM_LATER = 75 }; /* statuses of them: Slurm said no; it may be tried again */

/* ---- the adapter (slurm.c, slurm_order.c, slurm_cluster.c): the loop's thread ---- */

typedef struct slurm slurm;
typedef struct slurm_order slurm_order;

typedef struct slurm_answer { /* borrowed for the call */
    int code;                 /* 0, or that of why */
    bool refused;             /* Slurm said no: another try would end in the same way */
    bool unsure;              /* it may have been done nevertheless */
    int64_t job;              /* 0: none */
    const char *words;        /* Slurm's, or the last that the job said; "" */
    const fh_err *why;        /* NULL when code is 0 */
} slurm_answer;
typedef void slurm_answered_fn(slurm_order *o, const slurm_answer *a);

struct slurm_order {
    slurm_order *next;
    slurm *of;
    int64_t order;
    char node[64], job_name[64];
    slurm_need need;
    slurm_shape shape; /* of its job, as it was asked for */
    int64_t limit_s;
    bool asked;                   /* a submission has begun once, by this process or one before: there may be a job */
    bool calling;                 /* a question about it is open */
    slurm_answered_fn *answered;  /* who wants to know its answer */
    bool wanted;                  /* else it is to be cancelled */
    bool lost;                    /* it is cancelled because Slurm put it back into its queue: another may follow */
    bool cancelled;               /* that was asked for with success */
    bool handed;                  /* what lets its machine in is there */
    bool forgotten;               /* by the fleet, while a question is open: kept until that is answered */
    const fh_slurm_reason *never; /* it is cancelled because it would never start */
    int64_t job;                  /* 0: not known to be submitted */
    int64_t ran_mono, ending_mono, begun_mono, not_before_mono;
    int64_t unsure_mono;      /* since when there may be a job that is not known; 0: there is none */
    int64_t first_end_s;      /* when it was to end, as it was said first */
    char comment[SLURM_TEXT]; /* of its job, as it was listed last */
    unsigned missed, failures;
    fh_supply_view view;
    bool news;
};

/* How a cluster is spoken to. What is asked for is begun, and answered later, once: an order's questions by fh_slurm_order_answered, the
 * others as they say. A question that cannot be begun is an error, and was not asked. */
typedef struct slurm_way {
    void (*prepare)(slurm *s);                   /* ends with fh_slurm_prepared or fh_slurm_unprepared */
    int (*list)(slurm *s, fh_err **err);         /* ends with fh_slurm_listed */
    int (*submit)(slurm_order *o, fh_err **err); /* unless there is a job of its name; answers with its number */
    void (*let_in)(slurm_order *o);              /* its machine, into the pool; ends with fh_slurm_order_let_in, or does nothing yet */
    int (*cancel)(slurm_order *o, fh_err **err); /* all jobs of its name; answers with the number of one that there was */
    int (*cancel_twin)(slurm *s, int64_t job, fh_err **err); /* its end is seen in lists */
    int (*last)(slurm_order *o, fh_err **err);               /* what its job said last; NULL: the order's comment holds it */
    void (*forget)(slurm_order *o);                          /* what it left there */
    void (*close)(slurm *s); /* nothing that is open is answered any more; also of one that was opened half */
} slurm_way;

struct slurm_commands;
struct slurm_rest;
int fh_slurm_commands_open(slurm *s, const fh_supply_config *c, const char *folder, fh_err **err); /* slurm_commands.c: sets way */
int fh_slurm_rest_open(slurm *s, const fh_supply_config *c, fh_err **err);                         /* slurm_rest.c: likewise */

typedef enum slurm_ready { SLURM_NOT_READY, SLURM_PREPARING, SLURM_READY } slurm_ready;

struct slurm {
    fh_supply port;
    char name[80], installation[17];
    char door_url[300], door_certificate[65], marks[1100]; /* marks: a folder of ours, with a file for each order that was submitted */
    slurm_settings set;
    fh_supply_door door;
    fh_loop *loop;
    const slurm_way *way; /* NULL: not opened */
    struct slurm_commands *commands;
    struct slurm_rest *rest;
    fh_timer *tick;
    int64_t tick_mono; /* when it fires; 0: it does not */
    slurm_ready ready;
    fh_slurm_kinds kinds;         /* as they were said last */
    char problem[400], hint[200]; /* why it is not ready; "": it is, or that is not known yet */
    bool refused;                 /* it was said there, so trying again does not help */
    unsigned failures;
    int64_t prepare_mono, prepared_mono; /* not before; when it last was */
    bool listing;
    unsigned list_failures;
    int64_t list_mono, list_begun_mono, list_took_ms, stirred_mono;
    slurm_order *first;
    unsigned count;
};

static inline int64_t fh_slurm_now_ms(void)
{
    return fh_clock_mono_ns() / FH_NS_PER_MS;
}
void fh_slurm_tick_soon(slurm *s, int64_t delay_ms);
void fh_slurm_stir(slurm *s);      /* something goes on: look often */
void fh_slurm_tell_news(slurm *s); /* calls the fleet for each order whose view changed; last thing of a turn */
int64_t fh_slurm_pause_ms(unsigned failures);

void fh_slurm_prepare_step(slurm *s); /* slurm_cluster.c */
void fh_slurm_list_step(slurm *s);
int fh_slurm_cluster_check(slurm *s, fh_err **err);
void fh_slurm_prepared(slurm *s); /* the ways' answers */
void fh_slurm_unprepared(slurm *s, bool refused, const char *hint, const char *problem);
void fh_slurm_listed(slurm *s, const fh_slurm_row *rows, size_t count, const fh_err *why); /* why: there is no list */

void fh_slurm_order_step(slurm_order *o); /* slurm_order.c */
void fh_slurm_order_answered(slurm_order *o, const slurm_answer *a);
void fh_slurm_order_let_in(slurm_order *o, const slurm_answer *a);
void fh_slurm_order_seen(slurm_order *o, const fh_slurm_row *r);
void fh_slurm_order_missed(slurm_order *o);
void fh_slurm_order_say(slurm_order *o, fh_supply_state state, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void fh_slurm_order_over(slurm_order *o, bool again, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void fh_slurm_order_drop(slurm_order *o); /* it is no more */
bool fh_slurm_order_is_open(const slurm_order *o);

#endif
