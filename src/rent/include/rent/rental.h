/* The port behind which a provider of machines stands: what can be rented, rent, list, end, and what was charged. Each adapter (RunPod,
 * Vast.ai, Lambda) fills it in; tests fill it in with a provider on a virtual clock.
 *
 * Money: millionths of the currency's unit, an hour. Times: UTC nanoseconds. Sizes: bytes. All operations are asynchronous and belong to
 * one thread. An operation that returns 0 answers exactly once, never before it returned; one that returns an error has asked nothing and
 * never answers. What callbacks are given is borrowed for the call. Freeing a port cancels what is under way: nothing answers then. */
#ifndef FH_RENT_RENTAL_H
#define FH_RENT_RENTAL_H

#include "base/err.h"
#include "base/str.h"

#define FH_RENT_ID_CHARS   64
#define FH_RENT_TAG_CHARS  96
#define FH_RENT_KIND_CHARS 80

typedef struct fh_rent_offer {
    char id[FH_RENT_ID_CHARS]; /* the provider's own word for it, or ours made of its words */
    char gpu[48];              /* as the provider calls it */
    char device[32];           /* the same in the catalogue (data/catalog/hardware.json); "": not known there */
    uint32_t gpus;
    uint64_t gpu_memory_bytes, ram_bytes, disk_bytes; /* of one GPU; of the host; 0: not said */
    uint32_t cpus, down_mbit_s;                       /* 0: not said */
    char region[32];                                  /* "": not said */
    int64_t hour_micro;                               /* of all its GPUs together */
    char currency[4];
    bool spot;                     /* may be taken away again */
    uint16_t reliability_permille; /* 0: not said */
} fh_rent_offer;

typedef struct fh_rent_filter { /* all zero: anything that is no spot offer */
    const char *device;         /* of the catalogue; NULL: any */
    uint32_t gpus;              /* exactly as many; 0: any */
    const char *region;         /* NULL: any */
    int64_t max_hour_micro;     /* 0: no limit */
    bool spot;                  /* spot offers too */
    uint64_t gpu_bytes;         /* of devices that are known, in all its GPUs together; 0: any */
    uint64_t ram_bytes;         /* of the host; where that is not said, it is taken to have as much as its GPUs. 0: any */
} fh_rent_filter;
bool fh_rent_offer_fits(const fh_rent_offer *o, const fh_rent_filter *f);
/* What may stand for it: "8 x h200 in EU-RO-1". */
void fh_rent_offer_kind(const fh_rent_offer *o, char out[FH_RENT_KIND_CHARS]);
/* Cheaper, then more reliable, then faster to fetch weights to; of equals the provider's order decides. */
bool fh_rent_offer_is_better(const fh_rent_offer *a, const fh_rent_offer *b);

typedef struct fh_rent_env {
    const char *name, *value;
} fh_rent_env;

typedef struct fh_rent_spec {
    const fh_rent_offer *offer;
    const char *tag;        /* what the machine is called, so that it is known again */
    const char *image;      /* a container's, or the provider's own word for a system */
    const fh_rent_env *env; /* never an account's key: an adapter refuses to send its own */
    size_t env_count;
    const char *onstart; /* a shell script that the machine runs when it starts (fh_rent_onstart) */
} fh_rent_spec;

typedef enum fh_rent_status {
    FH_RENT_PROVISIONING,
    FH_RENT_RUNNING,
    FH_RENT_BROKEN, /* there, and no use; may still cost */
    FH_RENT_ENDED,  /* shown still, and costs nothing */
} fh_rent_status;

typedef struct fh_rent_machine {
    char id[FH_RENT_ID_CHARS], tag[FH_RENT_TAG_CHARS], address[64];
    fh_rent_status status;
    int64_t hour_micro;     /* 0: not said */
    int64_t started_utc_ns; /* since when it is charged; 0: not said */
} fh_rent_machine;

/* What became of a rent or an end. */
typedef enum fh_rent_reply {
    FH_RENT_DONE,
    FH_RENT_REFUSED, /* nothing was done, and asking for the same again will not help: no capacity, offer gone, price changed */
    FH_RENT_BUSY,    /* nothing was done: ask later */
    FH_RENT_UNSURE,  /* it may have been done: no reply, or one that does not say */
    FH_RENT_GONE,    /* end: there is no such machine, says the provider */
} fh_rent_reply;

typedef void fh_rent_offers_fn(void *arg, const fh_rent_offer *offers, size_t count, const fh_err *err);
typedef void fh_rent_list_fn(void *arg, const fh_rent_machine *machines, size_t count, const fh_err *err);         /* err: none are known */
typedef void fh_rent_rented_fn(void *arg, fh_rent_reply reply, const fh_rent_machine *machine, const fh_err *err); /* machine: when done */
typedef void fh_rent_ended_fn(void *arg, fh_rent_reply reply, const fh_err *err);
typedef void fh_rent_billed_fn(void *arg, int64_t charged_micro, const fh_err *err);

/* How a provider behaves, as far as renting must know it. Sources: docs/RENTING.md. */
typedef struct fh_rent_profile {
    const char *kind;       /* "runpod" */
    const char *url;        /* of its API */
    int64_t lag_ns;         /* by which its list may be behind the truth */
    int64_t settle_ns;      /* by which a request may take effect after its connection was cut */
    int64_t start_ns;       /* from rented to running; beyond, the machine is given back and another is looked for */
    int64_t rent_gap_ns;    /* between two rents */
    uint32_t start_s;       /* that a start usually takes, for plans */
    const char *end_itself; /* shell words by which a machine ends itself without an account's key; NULL: it cannot */
    bool bills;             /* it says what was charged */
    bool commands;          /* it is reached by a program on this machine, with credentials of its own, and by no account's key */
    int64_t bill_ns;        /* after a machine's end, until what it says is final */
} fh_rent_profile;
const fh_rent_profile *fh_rent_profile_find(fh_str kind); /* NULL: there is none */
const fh_rent_profile *fh_rent_profile_at(size_t i);      /* NULL behind the last */

typedef struct fh_rental {
    const fh_rent_profile *profile;
    void *ctx;
    int (*offers)(void *ctx, const fh_rent_filter *f, fh_rent_offers_fn *done, void *arg, fh_err **err);
    int (*rent)(void *ctx, const fh_rent_spec *s, fh_rent_rented_fn *done, void *arg, fh_err **err);
    int (*list)(void *ctx, fh_rent_list_fn *done, void *arg, fh_err **err); /* every machine of the account, ours or not */
    int (*end)(void *ctx, const char *machine, fh_rent_ended_fn *done, void *arg, fh_err **err);
    /* What was charged for a machine; NULL where the provider does not say. */
    int (*bill)(void *ctx, const char *machine, int64_t from_utc_ns, int64_t to_utc_ns, fh_rent_billed_fn *done, void *arg, fh_err **err);
    void (*free)(void *ctx);
} fh_rental;

/* The script that a machine starts with: one that ends it by itself after so long, where it can, and then what is to run. Owned; NULL when
 * memory is out. */
char *fh_rent_onstart(const fh_rent_profile *p, int64_t limit_s, const char *run);

#endif
