/* The tokenizer and the chat template over HTTP, in llama-server's shapes: text to ids and back, a chat's prompt as text, and its length.
 * Only the fields that are listed here are taken by what has no other API: one that was ignored would be a wrong answer. */
#include "serve_private.h"
#include "base/limits.h"

typedef int answering(serve *s, fh_json *body, fh_buf *out, fh_err **err);

static bool is_one_of(fh_str s, const char *const *words)
{
    while (*words && !fh_str_eqs(s, *words)) words++;
    return *words != NULL;
}

/* known ends with NULL; hint says them. */
static int check_fields(const fh_json *body, const char *const *known, const char *hint, fh_err **err)
{
    fh_str key;
    const fh_json *value;
    for (void *it = NULL; fh_json_next(body, &it, &key, &value);) {
        if (is_one_of(key, known)) continue;
        fh_err_set(err, FH_E_INVALID, "there is no field '%.*s' here", (int)FH_MIN(key.len, (size_t)64), key.ptr);
        fh_err_param(err, "%.*s", (int)FH_MIN(key.len, (size_t)64), key.ptr);
        fh_err_hint(err, "%s", hint);
        return FH_E_INVALID;
    }
    return 0;
}

/* ---- text to ids ---- */

/* A token that is no UTF-8 of its own comes as its bytes. */
static int add_piece(fh_buf *out, const fh_vocab *v, fh_token id, fh_err **err)
{
    FH_AUTO(buf) fh_buf piece = FH_BUF(FH_LIMIT_VOCAB_PIECE_BYTES * 2);
    int rc = fh_vocab_decode(v, id, true, &piece, err);
    fh_buf_addf(out, "{\"id\":%d,\"piece\":", id);
    if (fh_utf8_valid(fh_buf_cstr(&piece), piece.len))
        fh_buf_add_json_string(out, fh_buf_cstr(&piece), piece.len);
    else {
        for (size_t i = 0; i < piece.len; i++) fh_buf_addf(out, i ? ",%u" : "[%u", (uint8_t)piece.data[i]);
        fh_buf_addc(out, ']');
    }
    fh_buf_addc(out, '}');
    return rc;
}

static int add_tokens(fh_buf *out, const fh_vocab *v, const fh_tokens *t, bool with_pieces, fh_err **err)
{
    int rc = 0;
    fh_buf_adds(out, "{\"tokens\":[");
    for (size_t i = 0; i < t->count && !rc; i++) {
        if (i) fh_buf_addc(out, ',');
        if (with_pieces)
            rc = add_piece(out, v, t->ids[i], err);
        else
            fh_buf_addf(out, "%d", t->ids[i]);
    }
    fh_buf_adds(out, "]}");
    return rc;
}

static int tokenize(serve *s, fh_json *body, fh_buf *out, fh_err **err)
{
    static const char *const fields[] = {"model", "content", "add_special", "parse_special", "with_pieces", NULL};
    const fh_vocab *v = fh_engine_vocab(s->engine);
    fh_str content = {0};
    bool add_special = false, parse_special = true, with_pieces = false;
    fh_tokens tokens = {0};
    int rc = check_fields(body, fields, "the text is 'content'; beside it: add_special, parse_special, with_pieces", err);
    if (!rc) rc = fh_json_read_str(body, "content", true, &content, err);
    if (!rc) rc = fh_json_read_bool(body, "add_special", false, &add_special, err);
    if (!rc) rc = fh_json_read_bool(body, "parse_special", false, &parse_special, err);
    if (!rc) rc = fh_json_read_bool(body, "with_pieces", false, &with_pieces, err);
    if (!rc) rc = fh_vocab_encode(v, content, (parse_special ? FH_ENCODE_SPECIAL : 0u) | (add_special ? FH_ENCODE_BOS : 0u), &tokens, err);
    if (!rc) rc = add_tokens(out, v, &tokens, with_pieces, err);
    fh_tokens_fini(&tokens);
    return rc;
}

/* ---- ids to text ---- */

static int take_token(const fh_vocab *v, const fh_json *tokens, size_t i, fh_buf *text, fh_err **err)
{
    int64_t id = fh_json_int(fh_json_at(tokens, i), -1);
    if (id >= 0 && (uint64_t)id < fh_vocab_size(v)) return fh_vocab_decode(v, (fh_token)id, true, text, err);
    fh_err_set(err, FH_E_INVALID, "tokens[%zu] is no id of this vocabulary", i);
    fh_err_param(err, "tokens[%zu]", i);
    return FH_E_INVALID;
}

static int detokenize(serve *s, fh_json *body, fh_buf *out, fh_err **err)
{
    static const char *const fields[] = {"model", "tokens", NULL};
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    const fh_json *tokens = fh_json_get(body, "tokens");
    int rc = check_fields(body, fields, "the ids are 'tokens'", err);
    if (!rc && fh_json_kind_of(tokens) != FH_JSON_ARRAY) {
        rc = fh_err_set(err, FH_E_INVALID, "tokens must be an array of ids");
        fh_err_param(err, "tokens");
    }
    for (size_t i = 0; !rc && i < fh_json_count(tokens); i++) rc = take_token(fh_engine_vocab(s->engine), tokens, i, &text, err);
    fh_buf_adds(out, "{\"content\":");
    fh_buf_add_json_string(out, fh_buf_cstr(&text), text.len);
    fh_buf_adds(out, "}");
    return rc ? rc : fh_buf_check(&text, err, "the text");
}

/* ---- a chat's prompt ---- */

/* What only the answer needs (formats, forced calls) does not change the prompt; media would. */
static int prompt_of(serve *s, fh_json *chat, fh_tokens *out, fh_err **err)
{
    static const uint32_t media = FH_NEED_BIT(IMAGES) | FH_NEED_BIT(AUDIO) | FH_NEED_BIT(FILES);
    fh_wire_request r = {0};
    int rc = fh_wire_chat_take(&r, fh_json_ref(chat), err);
    if (!rc) rc = fh_wire_needs_check(&r, FH_WIRE_ENGINE_CAN | ~media, err);
    if (!rc) rc = serve_chat_tokens(s, &r, out, NULL, err);
    fh_wire_request_fini(&r);
    return rc;
}

static int count(serve *s, fh_json *body, fh_buf *out, fh_err **err)
{
    fh_tokens tokens = {0};
    int rc = prompt_of(s, body, &tokens, err);
    fh_buf_addf(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":%zu}", tokens.count);
    fh_tokens_fini(&tokens);
    return rc;
}

/* A chat request, which need not name the model: there is one here. What a client's words disarm is shown as the model sees it. */
static int apply_template(serve *s, fh_json *body, fh_buf *out, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    fh_tokens tokens = {0};
    int rc = 0;
    if (!fh_json_get(body, "model") && !fh_json_set(body, "model", fh_json_new_cstr(s->name))) rc = fh_err_nomem(err);
    if (!rc) rc = prompt_of(s, body, &tokens, err);
    if (!rc) rc = fh_vocab_decode_all(fh_engine_vocab(s->engine), tokens.ids, tokens.count, true, &text, err);
    fh_buf_adds(out, "{\"prompt\":");
    fh_buf_add_json_string(out, fh_buf_cstr(&text), text.len);
    fh_buf_adds(out, "}");
    fh_tokens_fini(&tokens);
    return rc ? rc : fh_buf_check(&text, err, "the prompt");
}

/* ---- paths ---- */

static int read_body(fh_http_req *req, fh_json **ret, fh_err **err)
{
    int rc = fh_json_parse(ret, fh_http_req_body(req), FH_LIMIT_JSON_BODY_BYTES, err);
    if (!rc && fh_json_kind_of(*ret) != FH_JSON_OBJECT) rc = fh_err_set(err, FH_E_INVALID, "the body must be a JSON object");
    return rc;
}

static void answer(serve *s, fh_http_req *req, answering *fn)
{
    FH_AUTO(json) fh_json *body = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF((size_t)FH_LIMIT_JSON_BODY_BYTES * 8);
    fh_err *err = NULL;
    int rc = read_body(req, &body, &err);
    if (!rc) rc = fn(s, body, &out, &err);
    if (!rc) rc = fh_buf_check(&out, &err, "the reply");
    if (rc)
        serve_error(s, req, err);
    else
        serve_json(req, 200, &out);
}

void serve_tokenize(serve *s, fh_http_req *req)
{
    answer(s, req, tokenize);
}

void serve_detokenize(serve *s, fh_http_req *req)
{
    answer(s, req, detokenize);
}

void serve_apply_template(serve *s, fh_http_req *req)
{
    answer(s, req, apply_template);
}

void serve_count(serve *s, fh_http_req *req)
{
    answer(s, req, count);
}
