/* A request that generates, shared by serve_generate.c (how it begins and ends, on the loop) and serve_reply.c (what is generated becomes
 * chunks or one reply, on the batch thread).
 *
 * It has as many choices as it asks for, each a generation of its own: all are submitted together or none. The batch thread writes the JSON
 * of each piece and posts it; the loop's thread owns the connection and sends it. The call lives until the message that carries the end of
 * the last choice has been handled, also when the client went away before. A client that reads slowly pauses its sequences. */
#ifndef FH_ENGINE_SERVE_CALL_H
#define FH_ENGINE_SERVE_CALL_H

#include "parts.h"
#include "serve_private.h"

enum { CALL_CHUNK_MAX = 1 << 20, CALL_REPLY_MAX = 64 << 20 };

typedef struct call call;

typedef struct choice {
    call *c;
    fh_gen *gen;  /* ours to release */
    parts *parts; /* owned; NULL: the text is the answer as it is */
    uint32_t index;
    char id[64]; /* of the reply, and of the choice behind the first one: what ids of tool calls are made from */
    /* The batch thread's, once it is submitted: */
    fh_buf text;               /* a plain reply's whole text; a stream's piece is written at once */
    fh_wire_logprob *logprobs; /* owned, with their bytes: a plain reply's */
    size_t logprob_count, logprob_cap;
    uint64_t characters; /* sent so far: the offset of completions' logprobs */
    bool role_sent, failed;
    const char *finish; /* of a plain reply that has ended */
    fh_buf stop;        /* the stop string that ended it */
} choice;

struct call {
    serve *s;
    fh_http_req *req; /* NULL once the client has gone */
    const fh_vocab *vocab;
    fh_wire_request wire;
    fh_wire_reply reply;
    char id[48];
    fh_gen_priority priority;
    bool tells_tokens;   /* to a gateway, which can go on with them elsewhere */
    fh_grammar *grammar; /* NULL: anything may come */
    fh_buf echo;         /* the first chunks of a stream that echoes its prompt */
    choice *choices;     /* owned */
    size_t count;
    /* The batch thread's: */
    fh_buf *events;   /* of the piece that is being sent */
    fh_tokens untold; /* tokens that no event has told yet */
    bool prompt_told, cancelled;
    size_t ended;     /* choices */
    fh_gen_end total; /* of those: prompt and waiting of the first, tokens of all, time of the longest */
    fh_buf error;     /* JSON of the first that failed; empty: none has */
    int status;       /* of the reply */
};

typedef struct call_note { /* from the batch thread to the loop */
    call *c;
    fh_buf data;
    bool last, cut;
} call_note;

/* serve_reply.c: for the engine's callbacks; arg is a choice. */
void choice_on_begun(void *arg, fh_str text);
void choice_on_piece(void *arg, const fh_gen_piece *p);
void choice_on_end(void *arg, const fh_gen_end *e);
/* The sink of a choice's parts. */
bool choice_on_part(void *arg, const fh_wire_piece *part);
/* Before it is submitted: the prompt as the beginning of its answer. */
int choice_echo(choice *ch, fh_str prompt, fh_err **err);
void choice_fini(choice *ch);
/* serve_generate.c: handles a note on the loop, and frees it; with the last one the call goes. */
void call_on_note(void *arg);

#endif
