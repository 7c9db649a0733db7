/* What one request used: tokens and who counted them, money and energy, what was chosen and why. Times, counts and names; never anything
 * of a prompt or an answer.
 *
 * Strings are borrowed. Money is in billionths of a dollar, reckoned from prices a million tokens, rounded up; energy in millionths of a
 * joule. Pure. */
#ifndef FH_GATEWAY_USAGE_H
#define FH_GATEWAY_USAGE_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/str.h"

/* By whom tokens were counted. */
typedef enum fh_counted {
    FH_COUNTED_NOT,       /* nothing was sent, or nothing was made */
    FH_COUNTED_FREEHOLD,  /* our engine, or the model's own tokenizer here */
    FH_COUNTED_UPSTREAM,  /* the replica: what it says is taken */
    FH_COUNTED_ESTIMATED, /* nobody: by the length of the text (fh_usage_estimate) */
    FH_COUNTED
} fh_counted;
const char *fh_counted_name(fh_counted c); /* "", "freehold", "upstream", "estimated" */

/* What of a prompt the count is of. */
typedef enum fh_covers {
    FH_COVERS_PROMPT, /* all that the model reads, its template's words too */
    FH_COVERS_TEXT,   /* the texts that the client sent: the template is not known here */
    FH_COVERS
} fh_covers;
const char *fh_covers_name(fh_covers c); /* "prompt", "text" */

typedef struct fh_used {
    uint64_t prompt_tok, completion_tok; /* what is recorded, limited and billed */
    uint64_t cached_tok, reasoning_tok;  /* of those, as the replica says */
    uint64_t unsent_tok;                 /* beside those: of an answer that did not do, and was not sent */
    fh_counted counted;
    fh_covers covers;
    bool has_upstream; /* the replica said how many it counted: */
    uint64_t upstream_prompt_tok, upstream_completion_tok;
    bool differs; /* from ours, by more than a few */
} fh_used;
static inline uint64_t fh_used_tok(const fh_used *u)
{
    return u->prompt_tok + u->completion_tok + u->unsent_tok;
}

typedef struct fh_usage_failover { /* a replica that broke */
    fh_str deployment;
    int code;        /* class of error */
    uint64_t at_tok; /* tokens that the client had then */
} fh_usage_failover;

typedef struct fh_usage {
    fh_str request, key; /* ids */
    int64_t began_utc_ns, duration_ns, queued_ns;
    fh_str operation;                /* "chat", ... */
    fh_str model, deployment, place; /* what answered */
    fh_str reason, others;           /* why; models that could have answered too, "" for none */
    fh_str cache, finish;            /* "hit", "miss", "off"; "stop", ..., "" for none */
    bool stream, complete;           /* complete: the client has all of the reply */
    int code;                        /* class of error that it ended with; 0: none */
    fh_used used;
    bool priced, has_energy; /* the figures below are known: modelled from the catalogue */
    int64_t cost_nusd, energy_uj;
    size_t failover_count;
    fh_usage_failover failovers[FH_LIMIT_RECORD_ATTEMPTS];
} fh_usage;

enum { FH_USAGE_BYTES_PER_TOK = 4 };
/* Tokens of a text that nobody counts: four bytes each, rounded up. */
static inline uint64_t fh_usage_estimate(uint64_t bytes)
{
    return (bytes + FH_USAGE_BYTES_PER_TOK - 1) / FH_USAGE_BYTES_PER_TOK;
}
typedef struct fh_price { /* of a replica */
    bool known;
    int64_t in_nusd, out_nusd; /* per million tokens */
    int64_t token_uj;          /* energy of a token of an answer; 0: unknown */
} fh_price;
void fh_usage_reckon(fh_usage *u, const fh_price *p); /* money and energy from the tokens */
int64_t fh_usage_times(uint64_t tok, int64_t each);   /* no more than can be said */
int64_t fh_usage_cost(uint64_t prompt_tok, uint64_t completion_tok, int64_t in_nusd, int64_t out_nusd); /* prices a million tokens */
const char *fh_usage_basis(const fh_usage *u); /* of money and energy: "modelled" or "unknown" */

/* Billionths as a decimal number, exactly, with two digits at least: "0.000012". */
enum { FH_MONEY_CHARS = 24 };
void fh_money_write(int64_t nano, char out[FH_MONEY_CHARS]);

/* The object "freehold" of a stream's last usage event: what was chosen and what it cost. */
void fh_usage_write_brief(const fh_usage *u, fh_buf *out);
/* All of it, as GET /api/v1/usage gives it. */
void fh_usage_write(const fh_usage *u, fh_buf *out);

/* Packed for keeping, many in a row; a text that is that of the record before takes a byte. before: the record that was packed there
 * last, its texts still alive; NULL for the first. */
void fh_usage_pack(const fh_usage *u, const fh_usage *before, fh_buf *out);
/* Takes one off the front. ret: that of the last call, or zeros; its texts lie in the memory that *packed points into. False when there is
 * none, or what is there is broken. */
bool fh_usage_unpack(fh_str *packed, fh_usage *ret);

#endif
