/* Traces for a collector: spans of requests for a model and of the replicas that they asked, sent as OTLP/HTTP in its JSON encoding.
 *
 * Nobody waits for the collector: spans are written on the request's loop into a queue of OTLP_BYTES, and sent from the loop that was
 * given, each second and when the queue is half full, one call at a time. What does not fit is dropped and counted. A collector that is
 * away or busy (429, 502, 503, 504, or no answer) is asked again with the same batch, OTLP_TRIES times, each after twice the pause; any
 * other refusal drops the batch. A span holds times, counts and names, never anything of a prompt or an answer (record.h). Source:
 * OpenTelemetry Protocol 1.x, opentelemetry/proto/trace/v1; attributes: semantic conventions for generative AI. */
#ifndef FH_OBSERVE_OTLP_H
#define FH_OBSERVE_OTLP_H

#include "base/buf.h"
#include "net/loop.h"
#include "observe/record.h"

typedef struct fh_otlp fh_otlp;
typedef struct fh_otlp_config { /* strings are borrowed until it is closed */
    fh_loop *loop;
    const char *url;      /* http://HOST:PORT or https://...; /v1/traces is added where it does not end with that */
    const char *key;      /* sent as Authorization: Bearer; NULL: none */
    const char *instance; /* service.instance.id */
} fh_otlp_config;
int fh_otlp_open(fh_otlp **ret, const fh_otlp_config *c, fh_err **err); /* on the loop's thread, as close, or before it runs */
/* Sends what waits, in one last try that may take OTLP_LAST_MS. The loop no longer runs. */
void fh_otlp_close(fh_otlp *o);
FH_DEFINE_AUTO(fh_otlp, fh_otlp_close);
/* Any thread. Only of a request that has an operation, and whose trace is sampled. */
void fh_otlp_add(fh_otlp *o, const fh_record *r);

typedef struct fh_otlp_counts {
    uint64_t sent, dropped; /* spans */
} fh_otlp_counts;
void fh_otlp_counts_get(fh_otlp *o, fh_otlp_counts *ret); /* any thread */

/* The spans of a record as JSON objects with commas between them, and their number. Pure. */
size_t fh_otlp_spans(const fh_record *r, fh_buf *out);

#endif
