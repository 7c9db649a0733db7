/* The port of places: where engines run. `here` (here.c) is one; a place elsewhere is another, and the rest of the fleet does not know the
 * difference. All of it on the fleet's thread.
 *
 * An engine is reached over a Unix socket of this machine, wherever it runs. It is known by its act, the number of its start, which is
 * written down before it is started and which its place can find it by again. */
#ifndef FH_FLEET_PLACE_H
#define FH_FLEET_PLACE_H

#include "base/buf.h"
#include "base/err.h"
#include "catalog/engines.h"
#include "fleet/fleet.h"
#include "net/loop.h"
#include "plan/plan.h"
#include "sys/sandbox.h"
#include "weights/weights.h"

typedef struct fh_engine_spec {
    const fh_catalog_engine *kind;
    const char *deployment, *model;
    const char *digest, *file, *folder; /* of the weights */
    const char *socket_path;            /* its folder is the engine's own */
    int64_t context_tok, streams;
    const char *kv_type; /* NULL, "": as the engine does by itself */
    uint64_t memory_bytes, kv_bytes;
    const fh_catalog_run *run; /* what the catalogue of whoever starts it says of the model; NULL: nothing. Its words are the last */
} fh_engine_spec;

/* One start of an engine, from its start (or from being found again) to its end. Callbacks: never from inside a call of its place. */
typedef struct fh_engine {
    bool runs;                                  /* its place answers for it: on_end will come */
    bool away;                                  /* its place cannot be reached for now; it may run on there */
    void (*on_away)(void *arg);                 /* away has changed */
    void (*on_end)(void *arg, const char *why); /* it has ended; why NULL: by itself */
    void *arg;
    fh_process process;     /* at a place with processes of ours; kept in the database */
    char ranks_folder[108]; /* of one that runs on several nodes: what marks its processes here; "": it is one alone */
    fh_watch *watch;
    int watch_fd;
} fh_engine;

typedef struct fh_place_terms {
    bool there;        /* it can be reached, and takes engines */
    const char *why;   /* it is not there although it is connected: its owner's words; NULL: it is not connected. Borrowed for now */
    int64_t ask_micro; /* what an hour of it costs, in millionths of the currency; 0: nothing */
    char currency[4];
    int64_t mtok_micro; /* what a million tokens costs besides, prompts and answers alike; 0: nothing */
    char mtok_currency[4];
    char owner[64]; /* whose it is, for base/trust.h; "": nobody was named */
} fh_place_terms;

typedef struct fh_place fh_place;
struct fh_place {
    const char *name; /* "here", "node/NAME" */
    void *ctx;
    fh_place *next;
    uint64_t promised_bytes, promised_round; /* planning's own: what those who run there may still take, and when that was reckoned */
    int64_t order;                           /* it was got for that order (fleet/supplies.h) and is for nobody else; 0: for anybody */
    fh_place_terms (*terms)(void *ctx);
    fh_plan_machine (*machine)(void *ctx);
    /* Is that engine there? Its version is not looked at. NULL: our own is, and no other. */
    int (*has)(void *ctx, const fh_catalog_engine *kind, fh_err **err);
    /* Is it lent for that model, and those weights ("": not known yet)? FH_E_FORBIDDEN, FH_E_TOO_LARGE. NULL: for all. */
    int (*takes)(void *ctx, const char *model, const char *digest, fh_err **err);
    /* Can it be started at all, and is it of a version that we know, from `least` on ("": any)? what holds engines in is written to
     * sandbox. */
    int (*ready)(void *ctx, const fh_catalog_engine *kind, const char *least, char *sandbox, size_t sandbox_size, fh_err **err);
    /* Brings the weights to where its engines read them, a piece at each call: *ret_whole once all of them are there, else how far it is in
     * bytes. NULL: they are read from our own disk. */
    int (*fetch)(void *ctx, const fh_weights_item *item, bool *ret_whole, int64_t *ret_done, int64_t *ret_total, fh_err **err);
    int (*socket_path)(void *ctx, const char *deployment, int64_t act, char *out, size_t out_size, fh_err **err);
    int (*start)(void *ctx, const fh_engine_spec *spec, fh_engine *e, fh_err **err);
    /* One that an earlier server started: FH_E_NOT_FOUND when it has ended; where that cannot be known yet it is away. */
    int (*adopt)(void *ctx, int64_t act, const char *socket_path, fh_engine *e, fh_err **err);
    void (*stop)(void *ctx, fh_engine *e, bool force);
    void (*let_go)(void *ctx, fh_engine *e); /* nobody hears of it any more; it goes on */
    void (*up)(void *ctx, const char *deployment, int64_t act,
               const char *socket_path); /* the engine answers: all of its processes are there */
    int (*usage)(void *ctx, const fh_engine *e, fh_process_use *ret);
    /* Ends and removes all that carries our mark, but what spare says to let live (its argument: the folder of a socket). */
    void (*sweep)(void *ctx, bool (*spare)(void *arg, const char *folder), void *arg);
    void (*tidy)(void *ctx, const char *deployment, const char *socket_path); /* after an engine has ended */
    void (*rotate)(void *ctx, const char *deployment);                        /* its log, when it has grown */
    int (*log_tail)(void *ctx, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err);
};

/* The last line of an engine's log that says something, for those who will not look; "" when there is none. */
void fh_place_last_words(const fh_place *p, const char *deployment, char *out, size_t out_size);

typedef struct fh_here fh_here; /* this machine */
int fh_here_new(fh_here **ret, fh_loop *loop, const fh_fleet_config *c, fh_err **err);
void fh_here_free(fh_here *h);
void fh_here_place(fh_here *h, fh_place *ret);
const char *fh_here_logs(const fh_here *h); /* the folder of logs */
/* Adds what a log has from that byte on, as far as out has room (from its beginning when it is shorter): where it ends. */
int64_t fh_here_log_from(const fh_here *h, const char *deployment, int64_t from, size_t max_bytes, fh_buf *out);
void fh_here_own_scope(const char *deployment, int64_t act, const char *socket_path);

#endif
