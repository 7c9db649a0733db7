/* What a chat reply says, told apart as it is generated, in the pieces that go to the client. Belongs to the batch thread once its request
 * is submitted. */
#ifndef FH_ENGINE_PARTS_H
#define FH_ENGINE_PARTS_H

#include "model/toolfmt.h"
#include "wire/openai.h"

typedef struct parts parts;
/* A piece of a reply: text, reasoning or one call is set. False: it could not be sent, and the reply is given up. */
typedef bool parts_sink(void *arg, const fh_wire_piece *piece);

typedef struct parts_options {
    const fh_toolfmt *format;
    const fh_wire_request *request; /* borrowed while the parts live */
    fh_str prompt;                  /* the end of the rendered prompt */
    const char *reply_id;           /* ids of calls are made from it; borrowed */
    parts_sink *sink;               /* of a stream; NULL: the parts are collected */
    void *arg;
} parts_options;

/* Would a reply to this request have parts to tell apart? */
bool parts_needed(const fh_toolfmt *f, const fh_wire_request *r);
int parts_new(parts **ret, const parts_options *o, fh_err **err);
void parts_free(parts *p);
/* What another engine has said already: read, but not said again. Before any other text. */
int parts_skip(parts *p, fh_str text, fh_err **err);
bool parts_push(parts *p, fh_str text); /* false: given up */
bool parts_finish(parts *p);
bool parts_enough(const parts *p); /* the one call that may be made is there: the reply can end */
bool parts_has_calls(const parts *p);
/* What was collected: text, reasoning and calls of the piece are set, borrowed from the parts. */
bool parts_take(parts *p, fh_wire_piece *ret);

#endif
