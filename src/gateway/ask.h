/* What a client asks, whatever API it speaks: the body as it came, and the common form, a Chat Completions (or Completions) request. */
#ifndef FH_GATEWAY_ASK_H
#define FH_GATEWAY_ASK_H

#include "gateway/ports.h"
#include "sent.h"
#include "wire/openai.h"

typedef struct fh_ask {
    fh_wire_dialect dialect; /* of the client */
    fh_str body;             /* borrowed: as it came */
    fh_wire_request common;
    fh_json *original; /* owned: the client's document where its API is not OpenAI's Chat Completions or Completions; else NULL */
    int64_t most_tok;  /* of the answer, less than the client asked for; 0: as it asked */
    fh_err *native;    /* owned: the first thing in it that only an upstream of the same API can do; NULL when there is none */
    bool edited;       /* the messages of the documents are no longer those of the body: images were put in */
} fh_ask;

/* counting: the request is for the number of its prompt's tokens, not for an answer. */
int fh_ask_read(fh_ask *ret, fh_wire_dialect d, bool counting, fh_str body, fh_err **err);
void fh_ask_fini(fh_ask *a);

/* Can a replica of that dialect be asked this? Plain completions have no words in Anthropic's API. */
bool fh_ask_fits(fh_wire_dialect client, fh_wire_dialect upstream);
const char *fh_ask_path(fh_wire_dialect client, const fh_route *r, bool counting); /* at the upstream */
/* Must the upstream be made to call a tool by the form of its answer (wire/forced.h)? */
bool fh_ask_forces(const fh_ask *a, const fh_route *r);
/* Are log-probabilities asked for though the client did not? Of a watched replica, unless the answer is such as those of canaries never
 * are: one that may call tools, or that begins with the prompt. */
bool fh_ask_watches(const fh_ask *a, const fh_route *r);
/* Do the upstream's bytes reach the client as they came? */
bool fh_ask_passes(fh_wire_dialect client, fh_wire_dialect upstream);

/* The body for the upstream, appended. seed: added when the client gave none, so that another replica can go on; 0: not. sent: what the
 * client has already, to go on from; NULL at the beginning. */
int fh_ask_write(const fh_ask *a, const fh_route *r, uint64_t seed, const fh_sent *sent, fh_buf *out, fh_err **err);

#endif
