/* What Slurm's commands print, and its words in ours. Pure; whatever the text is, it is read without error: what is not understood is
 * passed over. Formats of squeue(1) and sinfo(1), 22.05 to 25.11. */
#ifndef FH_SUPPLY_SLURM_SAYS_H
#define FH_SUPPLY_SLURM_SAYS_H

#include "base/limits.h"
#include "base/str.h"

typedef enum fh_slurm_class {
    FH_SLURM_WAITS,
    FH_SLURM_RUNS,
    FH_SLURM_HALTS, /* it has its node, and does nothing there */
    FH_SLURM_ENDS,  /* it is being cleared away */
    FH_SLURM_ENDED,
} fh_slurm_class;

typedef struct fh_slurm_state {
    const char *name;
    fh_slurm_class class;
    bool again;        /* ended: another job may fare better */
    const char *words; /* "job 17 WORDS" */
    const char *hint;
} fh_slurm_state;
const fh_slurm_state *fh_slurm_state_find(fh_str name);  /* one that is not known: it runs */
const fh_slurm_state *fh_slurm_state_known(fh_str name); /* NULL for one that is not known */

typedef struct fh_slurm_reason { /* why a job waits */
    const char *name, *words;
    bool never; /* it will not start as it is */
} fh_slurm_reason;
const fh_slurm_reason *fh_slurm_reason_find(fh_str name); /* NULL: there are no words for it */

#define FH_SLURM_LIST_FORMAT "%i|%T|%r|%l|%e|%S|%N|%D|%j" /* squeue's; a job's name comes last, since it may hold anything */
typedef struct fh_slurm_row {
    int64_t job;
    const fh_slurm_state *state;
    fh_str reason, node, name; /* borrowed from what was read */
    fh_str comment;            /* likewise; "" where the list does not say it */
    int64_t ends_s, starts_s;  /* since 1970; 0: not known */
    uint64_t nodes;            /* how many; 0: not known */
} fh_slurm_row;
/* The next line that is a job's; others are passed over. */
bool fh_slurm_row_next(fh_str *text, fh_slurm_row *ret);

/* Words of a failed submission after which another try may go better: the controller was not reached, or its answer was lost. */
bool fh_slurm_is_passing(const char *words);

/* "key value" lines that our scripts print: the value of key, "" when there is none. */
fh_str fh_slurm_said(fh_str out, const char *key);

typedef struct fh_slurm_kind { /* nodes of one kind in a partition */
    char partition[64];
    bool standard; /* the cluster's default one */
    uint64_t cpus, mib, nodes;
} fh_slurm_kind;
typedef struct fh_slurm_kinds {
    fh_slurm_kind rows[FH_LIMIT_SLURM_KINDS];
    size_t count;
} fh_slurm_kinds;
void fh_slurm_kinds_add(fh_slurm_kinds *k, fh_str partition, bool standard, uint64_t cpus, uint64_t mib, uint64_t nodes);
void fh_slurm_kinds_read(fh_slurm_kinds *ret,
                         fh_str out); /* of sinfo's lines "partition NAME|CPUS|MIB|NODES"; a star is behind the default */
/* Of the partition, of the default one for an empty name. Processors of a node of it; 0: not known. */
uint64_t fh_slurm_kinds_cpus(const fh_slurm_kinds *k, const char *partition);
/* How many nodes of it have so much memory. */
uint64_t fh_slurm_kinds_nodes(const fh_slurm_kinds *k, const char *partition, uint64_t mib);

/* Slurm's forms: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds. */
bool fh_slurm_time_parse(fh_str s, int64_t *ret_s);

#endif
