/* Embeddings requests, and replies of upstreams, from arbitrary bytes. What is taken must hold what its type promises; a request that an
 * edit has gone over still says the same. */
#include "base/limits.h"
#include "wire/embeddings.h"
#include "wire/openai.h"
#include "wire/stream.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_inputs(const fh_wire_embed_request *r)
{
    size_t ids = 0;
    check(r->input_count > 0 && r->input_count <= FH_LIMIT_EMBED_INPUTS && (!r->one || r->input_count == 1));
    for (size_t i = 0; i < r->input_count; i++) {
        const fh_wire_embed_input *in = &r->inputs[i];
        check((in->text.ptr != NULL) != (in->tokens != NULL) && (in->text.len > 0) != (in->token_count > 0));
        for (size_t j = 0; j < in->token_count; j++) check(in->tokens[j] >= 0);
        ids += in->token_count;
    }
    check(ids == r->token_count && ids <= FH_LIMIT_EMBED_TOK);
}

static void check_edit(fh_str body, const fh_wire_embed_request *r)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 26);
    fh_wire_edit edit = {"model", "\"other\""};
    fh_wire_embed_request again = {0};
    if (fh_wire_body_edit(body, &edit, 1, &text, NULL)) return; /* a key with escapes */
    check(fh_wire_embed_parse(&again, (fh_str){text.data, text.len}, NULL) == 0);
    check(fh_str_eqs(again.model, "other") && again.input_count == r->input_count && again.token_count == r->token_count);
    check(again.base64 == r->base64 && again.dimensions == r->dimensions);
    fh_wire_embed_request_fini(&again);
}

/* A refusal can always be written as a body that is JSON. */
static void check_error(fh_err *err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    check(err != NULL && fh_wire_error_write(&text, err));
    check(fh_json_parse(&doc, (fh_str){text.data, text.len}, 1 << 20, NULL) == 0);
    fh_err_free(err);
}

/* What is found without reading the rest is what the whole document says. */
static void check_usage(fh_str reply)
{
    FH_AUTO(json) fh_json *doc = NULL;
    uint64_t tokens = 0;
    if (!fh_wire_embed_usage_read(reply, &tokens) || fh_json_parse(&doc, reply, 1 << 26, NULL)) return;
    check((int64_t)tokens == fh_json_int(fh_json_get(fh_json_get(doc, "usage"), "prompt_tokens"), -1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str body = {(const char *)data, size};
    fh_wire_embed_request r = {0};
    fh_err *err = NULL;
    if (fh_wire_embed_parse(&r, body, &err))
        check_error(err);
    else {
        check_inputs(&r);
        check_edit(body, &r);
    }
    fh_wire_embed_request_fini(&r);
    check_usage(body);
    return 0;
}
