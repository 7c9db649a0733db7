/* Holds: what a request may use at most is held before it waits or is sent, and settled by what it used. Whoever bounds requests fills in
 * this port: a key's limits are one, the budgets of a ledger are to be another. Called on the loop that the request is on, so from several
 * threads at once; must not block, and so holds come from what is leased in memory.
 *
 * A hold of an answer without bound, or with more than is left, may grant less: the answer then ends there, with finish_reason length. It
 * is refused only when the prompt and HOLD_ANSWER_TOK of an answer do not fit. */
#ifndef FH_GATEWAY_HOLDS_H
#define FH_GATEWAY_HOLDS_H

#include "gateway/keys.h"

typedef struct fh_hold {       /* what is asked for */
    const fh_key *key;         /* borrowed until it is settled */
    uint64_t prompt_tok;       /* as guessed from its length */
    uint64_t answer_tok;       /* at most, as the client bounds it; 0: it does not */
    bool no_answer;            /* it has none: tokens are counted, or vectors made */
    int64_t in_nusd, out_nusd; /* per million tokens, of the dearest replica that would do; 0: free */
} fh_hold;
uint64_t fh_hold_guess_tok(const fh_hold *h); /* that it will use, for limits and turns */

typedef struct fh_limit_state { /* for the x-ratelimit headers */
    fh_limit_set limits;
    uint64_t requests_left, tok_left;
    int64_t requests_full_ns, tok_full_ns; /* until the bucket is full again */
} fh_limit_state;

typedef struct fh_lease {  /* what is held, or why it is not */
    uint64_t id;           /* the port's own */
    uint64_t answer_tok;   /* that the answer may have; 0: as it was asked for */
    fh_limit_state limits; /* held or not; zeros for a port that has none */
    int64_t retry_ns;      /* refused: after how long asking again makes sense; 0: waiting alone does not help */
    int64_t left_nano;     /* refused with FH_E_BUDGET: what is left, in nano-units of the currency, */
    char currency[4];      /* "USD"; */
    int64_t renews_utc_ns; /* and when it renews; 0: it does not */
} fh_lease;

typedef struct fh_spent {
    uint64_t prompt_tok, answer_tok; /* as well as is known; zeros: nothing was sent */
    int64_t in_nusd, out_nusd;       /* per million tokens, of the replica that answered */
} fh_spent;

typedef struct fh_hold_port {
    void *ctx;
    /* 0, FH_E_BUSY, or FH_E_BUDGET (for that the gateway writes the error). ret is zeroed before. */
    int (*hold)(void *ctx, const fh_hold *h, fh_lease *ret, fh_err **err);
    void (*settle)(void *ctx, const fh_hold *h, const fh_lease *l, const fh_spent *spent); /* once for each lease */
} fh_hold_port;

#endif
