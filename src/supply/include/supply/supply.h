/* The port of what machines are got from on request: a cluster's scheduler, a box with a login, a provider that rents. An order is one
 * machine that one deployment wants. Whoever supplies it starts freehold's node there (`freehold node join`), under the name that the order
 * has; it joins the pool by itself and is then a place like any other, kept for that deployment.
 *
 * The fleet writes an order down before it asks, and asks again for each order that is open when it starts: order() of one that is known
 * does nothing. What it is asked for is idempotent, so that no machine is had twice where one was asked for; what a supplier did before
 * this program was killed it finds again by the order's number (a job's name, a rental's row, a folder on the box).
 *
 * All of it on the fleet's thread, none of it waits: what takes time is begun, and `changed` is called when there is something new to see.
 * Money: millionths of the currency's unit. Times: UTC nanoseconds. */
#ifndef FH_SUPPLY_SUPPLY_H
#define FH_SUPPLY_SUPPLY_H

#include "base/err.h"
#include "json/json.h"
#include "net/loop.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct fh_supply_want { /* borrowed for the call */
    int64_t order;
    const char *node;       /* the name that its machine joins by */
    const char *model;      /* for people */
    const char *engine;     /* id of a row of catalog/engines.h */
    uint64_t bytes;         /* of memory that its engine takes, where it computes */
    uint64_t weights_bytes; /* of that */
    uint64_t each_bytes;    /* of that what every machine takes, where several share the rest */
    uint32_t machines_most; /* that its engine may be spread over; 0, 1: none but one */
    int64_t context_tok, streams;
    int64_t max_hour_micro;         /* 0: no limit */
    int64_t limit_s;                /* that it may be had for, 0: no limit. Rented machines have one */
    int64_t limit_micro;            /* that it may cost in all, likewise */
    char currency[4];               /* of both; "" when neither is set */
    const char *offer, *offer_kind; /* picked of what its provider offers, and what may stand for it; NULL or "": none was */
} fh_supply_want;

typedef enum fh_supply_state {
    FH_SUPPLY_WAITING, /* it is on its way: `says` */
    FH_SUPPLY_HELD,    /* its machine is there, and its node joins or has joined */
    FH_SUPPLY_OVER,    /* there is no machine of it (any more), and none will come: `says` why */
} fh_supply_state;

typedef struct fh_supply_view {
    fh_supply_state state;
    char says[200], hint[200]; /* "job 17 waits in the queue: Priority"; what to do when it is over */
    char note[128];            /* on what it is, as long as it is had: another one than was picked; "": nothing */
    bool again;                /* over: another order may go better (it was taken away, it ended); else it would end in the same way */
    bool leaving;              /* it is about to be taken away, before ends_utc_ns */
    int64_t ends_utc_ns;       /* when it will be taken away; 0: that is not known */
    int64_t hour_micro;        /* what an hour of it costs; 0: nothing, or not known yet */
    int64_t spent_micro;       /* so far, at most */
    char currency[4];
} fh_supply_view;

typedef struct fh_supply fh_supply;
struct fh_supply {
    const char *name; /* "provider/NAME" */
    const char *kind; /* "slurm", "ssh", "runpod": a word that means any supply of the kind, where it is a place's name */
    void *ctx;
    fh_supply *next; /* the fleet's */
    /* Could it be had, as far as that is known now? Its error says why not, and what to do. */
    int (*check)(void *ctx, const fh_supply_want *w, fh_err **err);
    int (*order)(void *ctx, const fh_supply_want *w, fh_err **err);
    void (*look)(void *ctx, int64_t order, fh_supply_view *ret); /* an order that it does not know is over */
    void (*release)(void *ctx, int64_t order, const char *why);  /* its machine is wanted no more: soon over */
    void (*forget)(void *ctx, int64_t order);                    /* it is over, and the fleet has written that down */
    void (*close)(void *ctx);                                    /* ends nothing: machines go on, and are found again */
    /* Set by the fleet; never called from inside a call of this port. */
    void (*changed)(void *arg, int64_t order);
    void *changed_arg;
};

/* How a machine is let into the pool. */
typedef struct fh_supply_door {
    const char *url; /* that nodes dial; "" when the server has no pool: then nothing can be supplied */
    int (*token)(void *arg, char *out, size_t out_size, fh_err **err); /* single use, one hour; made when it can be handed over */
    /* Where nothing can be handed over: whoever has the key of this SHA-256 (64 hexadecimal digits) may join once, under the order's name,
     * within an hour. A second time does nothing. */
    int (*grant)(void *arg, const char *node, const char *key, fh_err **err);
    void (*revoke)(void *arg, const char *node); /* what was granted for that name is over */
    const char *certificate;                     /* SHA-256 of the one that nodes are shown, in hexadecimal; "" or NULL: no pool */
    void *arg;
} fh_supply_door;

typedef struct fh_supply_config { /* copied, but for the door's arg */
    const char *name;             /* "provider/NAME" */
    const char *kind;             /* "slurm" */
    const char *url, *key_file;   /* "" where the operator gave none */
    const fh_json *settings;      /* an object of strings: provider add --set KEY=VALUE */
    const char *store_url;        /* the database, for a connection of its own */
    const char *data_dir;         /* the server's */
    const char *program;          /* this binary, for machines of the same kind */
    fh_supply_door door;
} fh_supply_config;
/* Adapters are opened so; FH_E_INVALID names the setting at fault. Supplies are closed by close(ctx), which frees them. */
typedef int fh_supply_open_fn(fh_supply **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err);

#endif
