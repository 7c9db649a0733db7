/* Embeddings requests read and replies written (see wire/embeddings.h). */
#include "private.h"
#include "wire/embeddings.h"

#include "base/limits.h"
#include <stdio.h>
#include <string.h>

enum { DIMENSIONS_MAX = 1 << 20, USAGE_BYTES = 65536 };

void fh_wire_embed_input_name(const fh_wire_embed_request *r, size_t index, char ret[FH_WIRE_EMBED_NAME_MAX])
{
    if (r->one)
        snprintf(ret, FH_WIRE_EMBED_NAME_MAX, "input");
    else
        snprintf(ret, FH_WIRE_EMBED_NAME_MAX, "input[%zu]", index);
}

/* ---- inputs ---- */

static int bad_input(const fh_wire_embed_request *r, const char *what, fh_err **err)
{
    char name[FH_WIRE_EMBED_NAME_MAX];
    fh_wire_embed_input_name(r, r->input_count, name);
    return fh_wire_bad(err, name, "'%s' %s", name, what);
}

static int take_text(fh_wire_embed_request *r, const fh_json *v, fh_err **err)
{
    fh_str text = fh_json_str(v);
    if (text.len == 0) return bad_input(r, "is empty: there is nothing to embed", err);
    r->inputs[r->input_count++] = (fh_wire_embed_input){.text = text};
    return 0;
}

static int take_ids(fh_wire_embed_request *r, const fh_json *ids, fh_err **err)
{
    size_t count = fh_json_count(ids);
    int32_t *first = r->tokens + r->token_count;
    if (count == 0) return bad_input(r, "is empty: there is nothing to embed", err);
    for (size_t i = 0; i < count; i++) {
        int64_t id = fh_json_int(fh_json_at(ids, i), -1);
        if (id < 0 || id > INT32_MAX) return bad_input(r, "holds something that is not a token id", err);
        r->tokens[r->token_count++] = (int32_t)id;
    }
    r->inputs[r->input_count++] = (fh_wire_embed_input){.tokens = first, .token_count = count};
    return 0;
}

static int take_input(fh_wire_embed_request *r, const fh_json *v, fh_err **err)
{
    fh_json_kind kind = fh_json_kind_of(v);
    if (kind == FH_JSON_STRING) return take_text(r, v, err);
    if (kind == FH_JSON_ARRAY) return take_ids(r, v, err);
    return bad_input(r, "must be a string or an array of token ids", err);
}

static size_t count_ids(const fh_json *v, bool one)
{
    size_t n = one && fh_json_kind_of(v) == FH_JSON_ARRAY ? fh_json_count(v) : 0;
    for (size_t i = 0; !one && i < fh_json_count(v); i++) {
        const fh_json *input = fh_json_at(v, i);
        n += fh_json_kind_of(input) == FH_JSON_ARRAY ? fh_json_count(input) : 0;
    }
    return n;
}

static int read_inputs(fh_wire_embed_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "input");
    fh_json_kind kind = fh_json_kind_of(v);
    if (fh_wire_absent(v)) return fh_wire_bad(err, "input", "'input' is missing");
    if (kind != FH_JSON_STRING && kind != FH_JSON_ARRAY)
        return fh_wire_bad(err, "input", "'input' must be a string, an array of strings, or token ids");
    r->one = kind == FH_JSON_STRING || fh_json_kind_of(fh_json_at(v, 0)) == FH_JSON_INT || fh_json_count(v) == 0;
    size_t inputs = r->one ? 1 : fh_json_count(v), ids = count_ids(v, r->one);
    if (inputs > FH_LIMIT_EMBED_INPUTS)
        return fh_wire_bad(err, "input", "'input' holds %zu inputs; at most %d are taken", inputs, FH_LIMIT_EMBED_INPUTS);
    if (ids > FH_LIMIT_EMBED_TOK)
        return fh_wire_bad(err, "input", "'input' holds %zu tokens; at most %d are taken", ids, FH_LIMIT_EMBED_TOK);
    r->inputs = fh_calloc(inputs, sizeof *r->inputs);
    r->tokens = fh_calloc(ids + 1, sizeof *r->tokens);
    if (!r->inputs || !r->tokens) return fh_err_nomem(err);
    int rc = 0;
    for (size_t i = 0; i < inputs && rc == 0; i++) rc = take_input(r, r->one ? v : fh_json_at(v, i), err);
    return rc;
}

/* ---- the request ---- */

static int read_format(fh_wire_embed_request *r, fh_err **err)
{
    fh_str format = FH_STR("float");
    int rc = fh_json_read_str(r->doc, "encoding_format", false, &format, err);
    if (rc) return rc;
    r->base64 = fh_str_eqs(format, "base64");
    if (r->base64 || fh_str_eqs(format, "float")) return 0;
    return fh_wire_bad(err, "encoding_format", "'encoding_format' must be float or base64");
}

static int read_all(fh_wire_embed_request *r, fh_err **err)
{
    int64_t dimensions = 0;
    fh_str user = {0};
    if (fh_json_kind_of(r->doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_INVALID, "the request body must be a JSON object");
    int rc = fh_json_read_str(r->doc, "model", true, &r->model, err);
    if (rc == 0 && r->model.len == 0) rc = fh_wire_bad(err, "model", "'model' is empty");
    if (rc == 0) rc = read_format(r, err);
    if (rc == 0) rc = fh_json_read_i64(r->doc, "dimensions", false, 1, DIMENSIONS_MAX, &dimensions, err);
    if (rc == 0) rc = fh_json_read_str(r->doc, "user", false, &user, err);
    r->dimensions = (uint32_t)dimensions;
    return rc == 0 ? read_inputs(r, err) : rc;
}

int fh_wire_embed_parse(fh_wire_embed_request *ret, fh_str body, fh_err **err)
{
    fh_wire_embed_request r = {0};
    int rc = fh_json_parse(&r.doc, body, FH_LIMIT_JSON_BODY_BYTES, err);
    if (rc) return fh_err_add(err, "the request body");
    rc = read_all(&r, err);
    if (rc)
        fh_wire_embed_request_fini(&r);
    else
        *ret = r;
    return rc;
}

void fh_wire_embed_request_fini(fh_wire_embed_request *r)
{
    fh_free(r->inputs);
    fh_free(r->tokens);
    fh_json_unref(r->doc);
    *r = (fh_wire_embed_request){0};
}

/* ---- the reply ---- */

static void add_numbers(fh_buf *out, const float *vector, size_t count)
{
    fh_buf_addc(out, '[');
    for (size_t i = 0; i < count; i++) fh_buf_addf(out, i ? ",%.9g" : "%.9g", (double)vector[i]);
    fh_buf_addc(out, ']');
}

static void add_bytes(fh_buf *out, const float *vector, size_t count)
{
    fh_buf_addc(out, '"');
    fh_buf_add_base64(out, vector, count * sizeof *vector); /* every machine that we build for is little-endian */
    fh_buf_addc(out, '"');
}

bool fh_wire_embed_vector_write(fh_buf *out, size_t index, const float *vector, size_t count, bool base64)
{
    fh_buf_addf(out, "{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", index);
    if (base64)
        add_bytes(out, vector, count);
    else
        add_numbers(out, vector, count);
    return fh_buf_addc(out, '}');
}

size_t fh_wire_embed_vector_bytes(size_t count, bool base64)
{
    enum { FRAME = 80, NUMBER = sizeof "-1.23456789e-38," };
    return FRAME + (base64 ? (count * sizeof(float) + 2) / 3 * 4 : count * NUMBER);
}

bool fh_wire_embed_head_write(fh_buf *out)
{
    return fh_buf_adds(out, "{\"object\":\"list\",\"data\":[");
}

bool fh_wire_embed_end_write(fh_buf *out, const char *model, uint64_t prompt_tok)
{
    unsigned long long n = prompt_tok;
    fh_buf_adds(out, "],\"model\":");
    fh_buf_add_json_string(out, model, strlen(model));
    return fh_buf_addf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}", n, n);
}

bool fh_wire_embed_usage_read(fh_str reply, uint64_t *ret_prompt_tok)
{
    FH_AUTO(json) fh_json *usage = NULL;
    fh_str text;
    int64_t n = -1;
    if (!fh_wire_body_member(reply, "usage", &text) || fh_json_parse(&usage, text, USAGE_BYTES, NULL)) return false;
    if (fh_json_read_i64(usage, "prompt_tokens", true, 0, INT64_MAX, &n, NULL)) return false;
    *ret_prompt_tok = (uint64_t)n;
    return true;
}
