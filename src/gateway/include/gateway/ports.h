/* What the gateway needs from others, filled in by the wiring: it never includes fleet. Called on the loop that the request is on, so from
 * several threads at once; must not block. */
#ifndef FH_GATEWAY_PORTS_H
#define FH_GATEWAY_PORTS_H

#include "base/err.h"
#include "base/str.h"
#include "base/trust.h"
#include "gateway/region.h"
#include "wire/stream.h"
#include <stddef.h>
#include <stdint.h>

/* What a model's licence asks of whoever uses it; each class is freer than those behind it. */
typedef enum fh_terms { FH_TERMS_FREE, FH_TERMS_ASK, FH_TERMS_RESTRICTED, FH_TERMS } fh_terms;
const char *fh_terms_name(fh_terms t); /* "free", "ask", "restricted" */
bool fh_terms_parse(fh_str name, fh_terms *ret);

/* How an upstream goes on with an answer that another one began. */
typedef enum fh_resume {
    FH_RESUME_NEVER,
    FH_RESUME_TEXT,  /* from the text that was sent, as a last message of the assistant (chat) or behind the prompt (completions) */
    FH_RESUME_TOKENS /* from the very tokens, with the sampler's state: our own engine */
} fh_resume;

typedef struct fh_candidate { /* one ready replica; strings are borrowed until the choice is made */
    const char *deployment, *model, *place;
    const char *region; /* where it stands (gateway/region.h); NULL or "": not known */
    const char *arm;    /* what is learned from its answers is learned about: the same weights behind the same kind of engine share one */
    int64_t instance;   /* changes when the engine behind the deployment was replaced */
    bool asleep;        /* of fh_route_port.rise: it must be woken first, which may cost somebody */
    bool open;          /* the request leaves the model open: it asks for auto, or for a group */
    uint32_t can;       /* FH_NEED_BITs */
    fh_trust trust;
    const char *via, *owner; /* of base/trust.h: of whom its machine was got, and whose it is; NULL or "": nobody's */
    fh_resume resume;
    bool own_engine;         /* ours: takes a salt, says its tokens, has /tokenize and the like */
    bool watched;            /* its honesty is checked: log-probabilities are asked of every request, so that canaries do not show */
    bool doubted;            /* it may not be what it says: chosen when no other will do */
    bool paid;               /* somebody is paid for what it computes: wants a key that may spend */
    fh_wire_dialect dialect; /* FH_DIALECT_CHAT: the OpenAI family; FH_DIALECT_MESSAGES */
    int64_t context_tok;
    uint32_t at_once;          /* requests that it computes at once; 0: not known */
    bool priced;               /* the prices are known */
    int64_t in_nusd, out_nusd; /* per million tokens; 0: free */
    int64_t token_uj;          /* energy of a generated token; 0: unknown */
    int64_t active_params;     /* parameters that a token goes through; 0: unknown */
    fh_terms licence;
} fh_candidate;

enum { FH_ARM_CHARS = 208 }; /* "provider/NAME/MODEL", "MODEL:VARIANT" */
enum { FH_ROUTE_IDENTITY_BYTES = 192 };

typedef struct fh_route { /* the replica that was chosen; copied out, so that it outlives changes of the fleet */
    char deployment[64], model[128], place[64], reason[256], arm[FH_ARM_CHARS];
    char region[FH_REGION_CHARS];           /* where it stands; "": not known */
    char others[256];                       /* the gateway's: models that could have answered too, and how likely they would have done */
    char base_url[256];                     /* "http://localhost" for a unix socket; without the API's path */
    char unix_path[108];                    /* "" for TCP */
    char upstream_model[128];               /* what the upstream calls the model; "": as the client said */
    char secret[256];                       /* key for the upstream, "" for none */
    char identity[FH_ROUTE_IDENTITY_BYTES]; /* of what answers: the same for replicas that give the same answer to a request that draws
                           nothing at random, another once it was replaced by something else; "": not known, so no answer is kept */
    int64_t instance, active_params;
    uint64_t tokenizer; /* of the model, by gateway/tokenizers.h; 0: not known, or the engine is ours and counts itself */
    uint32_t can;
    fh_resume resume;
    bool own_engine;
    bool watched;            /* as the candidate was */
    bool repeats_beginning;  /* a whole answer that goes on from the assistant's last message has that before it, as llama-server's */
    bool counts_at_tokenize; /* how many tokens a chat's prompt has it says at /tokenize, as vLLM does */
    fh_wire_dialect dialect;
} fh_route;

typedef struct fh_route_model {
    char id[128], owned_by[64];
    int64_t created_s, context_tok;
} fh_route_model;

enum { FH_CANDIDATES_MAX = 256 };
/* Index into list, or count when none of them will do. */
typedef size_t fh_pick(void *arg, const fh_candidate *list, size_t count);

typedef bool fh_suits(void *arg, const fh_candidate *c);
typedef struct fh_rising { /* what none is ready of, but will be */
    char name[64], says[256];
} fh_rising;

typedef struct fh_route_port {
    void *ctx;
    /* model: a catalog id, an alias, "deployment/NAME", a group or "auto". Calls pick once with the ready ones and fills ret with its
     * choice. FH_E_NOT_FOUND with the nearest names; FH_E_UNAVAILABLE when it is known but none is ready, or pick wanted none. */
    int (*choose)(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err);
    /* Choose found none that is ready: what would serve the model and is on its way, or sleeps. suits is asked of each as of the replica
     * that it will be; the first that does is woken if it sleeps, and told of. False: there is none. NULL: nothing ever sleeps. */
    bool (*rise)(void *ctx, fh_str model, fh_suits *suits, void *arg, fh_rising *ret);
    /* The id that a model's alias stands for, other names as they are. NULL: there are no aliases. */
    void (*name)(void *ctx, fh_str model, char *out, size_t out_size);
    /* Says that the replica refused or broke: the fleet looks at it at once. */
    void (*report)(void *ctx, const char *deployment, int code);
    /* Models that are ready now; returns the count, fills at most max. */
    size_t (*list)(void *ctx, fh_route_model *ret, size_t max);
} fh_route_port;

#endif
