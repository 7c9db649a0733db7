/* One engine behind HTTP: `freehold engine`. OpenAI's API on an address or a unix socket, health that tells loading from ready, metrics.
 *
 * Paths: GET /healthz /props /metrics /v1/models; POST /v1/chat/completions /v1/completions /v1/embeddings /tokenize /detokenize
 * /apply-template. There are no keys here: the socket's folder, or loopback, is the fence; the gateway stands in front of it. Blocks until
 * SIGTERM or SIGINT; removes its socket. */
#ifndef FH_ENGINE_SERVE_H
#define FH_ENGINE_SERVE_H

#include "engine/engine.h"

typedef struct fh_serve_options {
    fh_engine_options engine;                  /* progress and cancel are the server's own */
    const char *listen;                        /* "ADDR:PORT" or "unix:PATH" */
    const char *name;                          /* model id that replies carry; NULL: the file's name without .gguf */
    void (*on_listening)(void *arg, int port); /* once connections are accepted, before the weights are loaded; may be NULL */
    void *arg;
} fh_serve_options;

int fh_engine_serve(const fh_serve_options *o, fh_err **err);

#endif
