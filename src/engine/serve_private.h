/* The engine's HTTP server inside. Everything here belongs to the loop's thread, but what `call` says of the batch thread. */
#ifndef FH_ENGINE_SERVE_PRIVATE_H
#define FH_ENGINE_SERVE_PRIVATE_H

#include "engine/serve.h"
#include "net/http_server.h"
#include "prompt.h"
#include "sys/file.h"

typedef enum serve_state { SERVE_LOADING, SERVE_READY, SERVE_STOPPING } serve_state;

typedef struct serve {
    const fh_serve_options *options;
    char name[256];
    bool sandboxed, tcp; /* sandboxed: a system call filter or no way to new privileges holds */
    fh_loop *loop;
    fh_http_server *http;
    serve_state state;
    fh_engine *engine; /* borrowed from the engine's thread; NULL unless SERVE_READY */
    fh_err *load_err;  /* why loading ended without an engine */
    uint64_t replies_ok, replies_refused, replies_cancelled;
    size_t embed_bytes; /* that the replies of all open embeddings requests may have */

    _Atomic uint64_t done_bytes, total_bytes; /* written by the thread that loads */
    _Atomic bool cancel_load;
} serve;

/* serve_generate.c */
void serve_generate(serve *s, fh_http_req *req, bool chat);
int serve_chat_tokens(serve *s, const fh_wire_request *r, fh_tokens *out, fh_buf *tail,
                      fh_err **err); /* the prompt of a chat; tail: gets the end of its text, may be NULL */
/* reply_form.c: the grammar that the reply to this request is held to; prompt: the end of the prompt's text. *ret stays NULL when anything
 * may come; else a reference. */
int serve_reply_form(fh_engine *e, const fh_wire_request *r, fh_str prompt, fh_grammar **ret, fh_err **err);
/* serve_embed.c */
void serve_embeddings(serve *s, fh_http_req *req);
/* serve_info.c */
void serve_health(serve *s, fh_http_req *req);
void serve_props(serve *s, fh_http_req *req);
void serve_metrics(serve *s, fh_http_req *req);
void serve_models(serve *s, fh_http_req *req, fh_str id); /* id: empty for the list */
/* serve_tokens.c */
void serve_tokenize(serve *s, fh_http_req *req);
void serve_detokenize(serve *s, fh_http_req *req);
void serve_apply_template(serve *s, fh_http_req *req); /* a chat request's prompt, */
void serve_count(serve *s, fh_http_req *req);          /* and how many tokens it has */

/* serve.c. The error in OpenAI's shape; a busy engine's carries Retry-After. Takes err. */
void serve_error(serve *s, fh_http_req *req, fh_err *err);
void serve_json(fh_http_req *req, int status, const fh_buf *body);

#endif
