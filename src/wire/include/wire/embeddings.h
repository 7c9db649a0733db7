/* OpenAI's Embeddings API: texts or token ids in, a vector for each out. Pure.
 *
 * Every documented field is read: input, model, encoding_format, dimensions and user; a wrong type or range is FH_E_INVALID with the field
 * as param, an input by its index ("input[3]"). Unknown fields stay in the body that is passed on. Strings are borrowed from the parsed
 * document, which the request holds. Source: OpenAI's public specification 2.3.0. */
#ifndef FH_WIRE_EMBEDDINGS_H
#define FH_WIRE_EMBEDDINGS_H

#include "base/buf.h"
#include "json/json.h"

typedef struct fh_wire_embed_input {
    fh_str text;           /* not empty; ptr NULL: ids were given */
    const int32_t *tokens; /* borrowed from the request */
    size_t token_count;
} fh_wire_embed_input;

typedef struct fh_wire_embed_request {
    fh_json *doc; /* owned: the whole parsed body */
    fh_str model;
    fh_wire_embed_input *inputs; /* owned */
    size_t input_count;          /* 1 to EMBED_INPUTS */
    bool one;                    /* 'input' is a text or ids, not an array of such */
    int32_t *tokens;             /* owned: the ids of all inputs, not negative */
    size_t token_count;          /* at most EMBED_TOK */
    bool base64;                 /* little-endian float32; else numbers */
    uint32_t dimensions;         /* 0: as many as the model has */
} fh_wire_embed_request;

int fh_wire_embed_parse(fh_wire_embed_request *ret, fh_str body, fh_err **err);
void fh_wire_embed_request_fini(fh_wire_embed_request *r);
/* An input's name in errors. */
enum { FH_WIRE_EMBED_NAME_MAX = 32 };
void fh_wire_embed_input_name(const fh_wire_embed_request *r, size_t index, char ret[FH_WIRE_EMBED_NAME_MAX]);

/* One member of a reply's data: {"object":"embedding","index","embedding"}. */
bool fh_wire_embed_vector_write(fh_buf *out, size_t index, const float *vector, size_t count, bool base64);
/* No more than that many bytes for a vector of count numbers. */
size_t fh_wire_embed_vector_bytes(size_t count, bool base64);
/* What stands before the members of data, and behind them. */
bool fh_wire_embed_head_write(fh_buf *out);
bool fh_wire_embed_end_write(fh_buf *out, const char *model, uint64_t prompt_tok);
/* usage.prompt_tokens of an upstream's reply, without reading its vectors; false when it does not say. */
bool fh_wire_embed_usage_read(fh_str reply, uint64_t *ret_prompt_tok);

#endif
