/* The door for clients: the OpenAI API, in front of engines.
 *
 * A request is parsed strictly here (what is wrong with it is said before an engine sees it), routed through a port, and its bytes passed
 * on; the reply's bytes are passed back, a stream event by event, with back-pressure. A client that leaves cancels the engine's work. A
 * replica that breaks before the first byte is replaced once; one that breaks in the middle of a stream ends it with an error event and
 * without [DONE]. Nothing of a prompt or an answer is logged, or kept but as a stored response or in the cache. Threads: any number of
 * loops, each with requests, a client and counters of its own (a lane); a request stays on the loop that it came on. */
#ifndef FH_GATEWAY_GATEWAY_H
#define FH_GATEWAY_GATEWAY_H

#include "base/buf.h"
#include "gateway/holds.h"
#include "gateway/keys.h"
#include "gateway/outcome_store.h"
#include "gateway/ports.h"
#include "gateway/responses_store.h"
#include "gateway/tokenizers.h"
#include "gateway/usage_store.h"
#include "net/http_server.h"
#include "net/outside.h"
#include "observe/record.h"

typedef struct fh_gateway fh_gateway;
typedef struct fh_gateway_config {
    fh_loop *const *loops; /* those that requests come on; the loops are borrowed and outlive the gateway */
    size_t loop_count;
    fh_route_port routes;         /* copied */
    fh_hold_port holds;           /* copied; zeros: nothing is bounded but by the limits of keys */
    fh_response_store *responses; /* borrowed: outlives the gateway; NULL: no response is kept */
    fh_outside *outside;          /* borrowed: outlives the gateway; NULL: no image is fetched */
    fh_outcome_store *outcomes;   /* likewise; NULL: what is learned of models is forgotten with the gateway */
    fh_tokenizers *tokenizers;    /* likewise; NULL: what other engines count is taken */
    fh_usage_store *usage;        /* likewise; NULL: no record of what requests use is kept */
    const char *region;           /* borrowed: where this server stands (gateway/region.h); NULL: not known */
    size_t replies_bytes;         /* that whole replies of all requests may hold together; 0: REPLIES_BYTES */
    const char *secret;           /* borrowed: what nobody else can name, made into the salts of keys: engines find what they kept for a key
                                     as long as it is the same; NULL: random text of this gateway */
    uint64_t seed;                /* of the draws that decide which requests try a model to learn of it; any number */
    bool traced;                  /* traces that begin here are recorded by somebody */
    bool keep_answers;            /* the same request is answered once (docs/CACHE.md) */
    bool share_answers;           /* among all keys; else each key has its own */
    bool no_pages;                /* nothing that engines of ours compute of prompts lies on a disk */
} fh_gateway_config;

int fh_gateway_new(fh_gateway **ret, const fh_gateway_config *c, fh_err **err); /* before the loops run */
void fh_gateway_free(fh_gateway *g); /* once no loop runs, after the HTTP servers were freed, which ends all requests */
FH_DEFINE_AUTO(fh_gateway, fh_gateway_free);

/* Answers GET /v1/models, GET /v1/models/{id}, POST /v1/chat/completions, POST /v1/completions, POST /v1/responses and what is below it,
 * POST /tokenize, /detokenize and /apply-template, now or later. The caller has admitted the request, with that key: engines reuse computed
 * prompts among requests of one key only. Unknown paths get 404, other methods 405. */
void fh_gateway_handle(fh_gateway *g, fh_http_req *req, const fh_key *key);
/* For whoever is told of the end of a request (net/http_server.h): the members of its record that a request for a model has. False, and
 * nothing set, when it was none. */
bool fh_gateway_record(const fh_http_req *req, fh_record *ret);
bool fh_gateway_owns(fh_str path); /* the paths whose errors have OpenAI's shape: /v1, /tokenize, /detokenize, /apply-template */

/* Replies with err in the shape of the request's path: OpenAI's, or RFC 9457 elsewhere. Adds WWW-Authenticate, Retry-After and
 * x-should-retry as the code wants them. */
void fh_gateway_reply_error(fh_http_req *req, const fh_err *err);
/* A client says whether an answer did, whose model was chosen here: FH_E_NOT_FOUND when it is not one of late. Any thread. */
int fh_gateway_tell(fh_gateway *g, fh_str key_id, fh_str request_id, bool good, fh_err **err);
/* Prometheus text; request metrics are named after OpenTelemetry's GenAI conventions. */
void fh_gateway_metrics(const fh_gateway *g, fh_buf *out); /* any thread */
void fh_gateway_forget(fh_gateway *g, const char *key_id); /* answers that were kept for that key; any thread */
size_t fh_gateway_in_flight(const fh_gateway *g);          /* any thread */

#endif
