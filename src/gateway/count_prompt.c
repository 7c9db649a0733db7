/* Tokens of texts by one tokenizer (see count_prompt.h). */
#include "count_prompt.h"

#include "base/clock.h"

/* ---- the tokenizer ---- */

static int read_template(fh_tokenizer *t, fh_err **err)
{
    fh_str source;
    int rc = fh_vocab_chat_template(t->vocab, &source, err);
    return rc || !source.ptr ? rc : fh_template_compile(&t->chat_template, source, err);
}

int fh_tokenizer_open(fh_tokenizer *ret, const char *path, const char *name, fh_err **err)
{
    fh_tokenizer t = {.vocab = NULL};
    int rc = fh_vocab_open_as(&t.vocab, path, name, err);
    if (rc == 0) rc = read_template(&t, err);
    if (rc)
        fh_tokenizer_fini(&t);
    else
        *ret = t;
    return rc;
}

void fh_tokenizer_fini(fh_tokenizer *t)
{
    if (t->chat_template) fh_template_free(t->chat_template);
    fh_vocab_free(t->vocab);
    *t = (fh_tokenizer){.vocab = NULL};
}

/* ---- texts ---- */

typedef struct counting {
    const fh_tokenizer *t;
    fh_tokens tokens; /* of one text at a time */
    uint64_t tok;
} counting;

static int count_text(counting *c, fh_str text, unsigned flags, fh_err **err)
{
    c->tokens.count = 0;
    int rc = fh_vocab_encode(c->t->vocab, text, flags, &c->tokens, err);
    if (rc == 0) c->tok += c->tokens.count;
    return rc;
}

static int count_part(void *arg, fh_str part, fh_err **err)
{
    return count_text(arg, part, 0, err);
}

int fh_count_heard(const fh_tokenizer *t, const fh_heard *h, uint64_t *ret_tok, fh_err **err)
{
    counting c = {.t = t};
    int rc = fh_heard_each(h, count_part, &c, err);
    fh_tokens_fini(&c.tokens);
    if (rc == 0) *ret_tok = c.tok;
    return rc;
}

/* ---- prompts whose template is not known ---- */

static int count_member(counting *c, const fh_json *o, const char *name, fh_err **err)
{
    fh_str text = fh_json_str(fh_json_get(o, name));
    return text.len ? count_text(c, text, 0, err) : 0;
}

static int count_content(counting *c, const fh_json *content, fh_err **err)
{
    fh_str text = fh_json_str(content);
    int rc = text.len ? count_text(c, text, 0, err) : 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(content); i++) rc = count_member(c, fh_json_at(content, i), "text", err);
    return rc;
}

static int count_calls(counting *c, const fh_json *calls, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(calls); i++) {
        const fh_json *function = fh_json_get(fh_json_at(calls, i), "function");
        rc = count_member(c, function, "name", err);
        if (rc == 0) rc = count_member(c, function, "arguments", err);
    }
    return rc;
}

static int count_message(counting *c, const fh_json *m, fh_err **err)
{
    int rc = count_content(c, fh_json_get(m, "content"), err);
    return rc ? rc : count_calls(c, fh_json_get(m, "tool_calls"), err);
}

/* Templates show tools as JSON. */
static int count_tools(counting *c, const fh_json *tools, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    if (!tools) return 0;
    int rc = fh_json_write(tools, &text, err);
    return rc ? rc : count_text(c, (fh_str){text.data, text.len}, 0, err);
}

static int count_texts(counting *c, const fh_wire_request *r, fh_err **err)
{
    int rc = count_tools(c, r->tools, err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(r->messages); i++) rc = count_message(c, fh_json_at(r->messages, i), err);
    return rc;
}

/* ---- prompts whose template is known ---- */

static fh_json *token_text(const fh_vocab *v, fh_token id)
{
    return id == FH_TOKEN_NONE ? fh_json_new_cstr("") : fh_json_new_str(fh_vocab_piece(v, id));
}

static fh_json *variables(const fh_tokenizer *t, const fh_wire_request *r, fh_json *messages)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    bool ok = o && fh_json_set(o, "add_generation_prompt", fh_json_new_bool(!r->continue_final)) &&
              fh_json_set(o, "bos_token", token_text(t->vocab, fh_vocab_bos(t->vocab))) &&
              fh_json_set(o, "eos_token", token_text(t->vocab, fh_vocab_eos(t->vocab))) &&
              fh_json_set(o, "messages", fh_json_ref(messages));
    while (ok && r->template_variables && fh_json_next(r->template_variables, &it, &key, &value))
        ok = fh_json_set(o, key.ptr, fh_json_ref((fh_json *)(uintptr_t)value));
    if (ok && r->tools) ok = fh_json_set(o, "tools", fh_json_ref((fh_json *)(uintptr_t)r->tools));
    return ok ? fh_take(o) : NULL;
}

/* A template that says the date has the same number of tokens on any. */
static const fh_template_time some_day = {.year = 2026, .month = 1, .day = 1, .weekday = 3, .yearday = 1};

static int render(const fh_tokenizer *t, const fh_wire_request *r, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *messages = NULL;
    int rc = fh_wire_template_messages(r, &messages, err);
    FH_AUTO(json) fh_json *vars = rc ? NULL : variables(t, r, messages);
    if (rc || !vars) return rc ? rc : fh_err_nomem(err);
    rc = fh_template_render(t->chat_template, vars, &some_day, out, err);
    return rc ? rc : fh_buf_check(out, err, "the rendered chat");
}

/* What the template writes itself is not put before it once more. */
static unsigned bos_flag(const fh_vocab *v, fh_str text)
{
    fh_token bos = fh_vocab_bos(v);
    bool there = bos != FH_TOKEN_NONE && fh_str_starts(text, fh_vocab_piece(v, bos));
    return there ? 0 : FH_ENCODE_BOS;
}

static int count_rendered(counting *c, const fh_wire_request *r, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    int rc = render(c->t, r, &text, err);
    if (rc) return rc;
    fh_str rendered = {fh_buf_cstr(&text), text.len};
    return count_text(c, rendered, FH_ENCODE_SPECIAL | bos_flag(c->t->vocab, rendered), err);
}

/* ---- requests ---- */

static int count_completion(counting *c, const fh_wire_request *r, fh_err **err)
{
    c->tok += r->prompt_token_count;
    return r->prompt.len ? count_text(c, r->prompt, FH_ENCODE_BOS, err) : 0;
}

/* A template that will not do for these messages is taken for one that is not known. */
static int count_request(counting *c, const fh_wire_request *r, fh_covers *ret_covers, fh_err **err)
{
    *ret_covers = FH_COVERS_PROMPT;
    if (r->kind == FH_WIRE_COMPLETION) return count_completion(c, r, err);
    if (c->t->chat_template && count_rendered(c, r, NULL) == 0) return 0;
    *ret_covers = FH_COVERS_TEXT;
    return count_texts(c, r, err);
}

int fh_count_prompt(const fh_tokenizer *t, bool chat, fh_str request, fh_count_result *ret, fh_err **err)
{
    fh_wire_request r = {.kind = FH_WIRE_CHAT};
    counting c = {.t = t};
    fh_covers covers = FH_COVERS_TEXT;
    int rc = chat ? fh_wire_chat_parse(&r, request, err) : fh_wire_completion_parse(&r, request, err);
    if (rc) return rc;
    rc = count_request(&c, &r, &covers, err);
    if (rc == 0) {
        ret->prompt_tok = c.tok;
        ret->messages = fh_json_count(r.messages);
        ret->covers = covers;
    }
    fh_tokens_fini(&c.tokens);
    fh_wire_request_fini(&r);
    return rc;
}

bool fh_count_differs(const fh_count_result *ours, const fh_used *theirs)
{
    uint64_t share = FH_MAX(ours->completion_tok, ours->prompt_tok) * FH_LIMIT_COUNT_TOLERANCE_PERMILLE / 1000;
    uint64_t few = FH_LIMIT_COUNT_TOLERANCE_TOK + share, hidden = theirs->reasoning_tok;
    uint64_t words = ours->covers == FH_COVERS_TEXT ? FH_LIMIT_COUNT_TEMPLATE_TOK * (ours->messages + 1) : 0;
    bool more = theirs->upstream_completion_tok > ours->completion_tok + few + hidden ||
                theirs->upstream_prompt_tok > ours->prompt_tok + few + words;
    bool less = theirs->upstream_completion_tok + few < ours->completion_tok || theirs->upstream_prompt_tok + few < ours->prompt_tok;
    return more || less;
}
