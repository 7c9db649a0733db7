/* What a client asks, read from its API and written for an upstream (see ask.h). */
#include "ask.h"

#include "base/limits.h"
#include "wire/forced.h"
#include "wire/messages.h"
#include <inttypes.h>
#include <stdio.h>

enum { DEFAULT_MAX_TOK = 8192 }; /* of an answer by an upstream that wants a limit, when the client gave none */

/* Fields at fault and needs are named as the client knows them. */
static void rename_params(fh_ask *a, fh_err **err)
{
    fh_wire_messages_err(err);
    for (int i = 0; i < FH_NEEDS; i++) {
        char name[sizeof a->common.need_params[i]];
        fh_wire_messages_param(a->common.need_params[i], name, sizeof name);
        memcpy(a->common.need_params[i], name, sizeof name);
    }
}

static int read_messages(fh_ask *a, bool counting, fh_err **err)
{
    fh_json *chat = NULL;
    int rc = fh_json_parse(&a->original, a->body, FH_LIMIT_JSON_BODY_BYTES, err);
    if (rc) return fh_err_add(err, "the request body");
    rc = counting ? fh_wire_messages_count_to_chat(a->original, &chat, &a->native, err)
                  : fh_wire_messages_to_chat(a->original, &chat, &a->native, err);
    if (rc) return rc;
    rc = fh_wire_chat_take(&a->common, chat, err);
    rename_params(a, err);
    return rc;
}

int fh_ask_read(fh_ask *ret, fh_wire_dialect d, bool counting, fh_str body, fh_err **err)
{
    fh_ask a = {.dialect = d, .body = body};
    int rc = d == FH_DIALECT_MESSAGES     ? read_messages(&a, counting, err)
             : d == FH_DIALECT_COMPLETION ? fh_wire_completion_parse(&a.common, body, err)
                                          : fh_wire_chat_parse(&a.common, body, err);
    if (rc == 0)
        *ret = a;
    else
        fh_ask_fini(&a);
    return rc;
}

void fh_ask_fini(fh_ask *a)
{
    fh_wire_request_fini(&a->common);
    fh_json_unref(a->original);
    fh_err_free(a->native);
    *a = (fh_ask){0};
}

bool fh_ask_fits(fh_wire_dialect client, fh_wire_dialect upstream)
{
    return client != FH_DIALECT_COMPLETION || upstream == FH_DIALECT_CHAT;
}

const char *fh_ask_path(fh_wire_dialect client, const fh_route *r, bool counting)
{
    if (r->dialect == FH_DIALECT_MESSAGES) return counting ? "/v1/messages/count_tokens" : "/v1/messages";
    if (counting) return r->counts_at_tokenize ? "/tokenize" : "/v1/chat/completions/input_tokens";
    return client == FH_DIALECT_COMPLETION ? "/v1/completions" : "/v1/chat/completions";
}

bool fh_ask_forces(const fh_ask *a, const fh_route *r)
{
    bool cannot = a->common.needs & ~r->can & FH_NEED_BIT(TOOL_CHOICE);
    return r->dialect == FH_DIALECT_CHAT && cannot && fh_wire_forced_needs(&a->common);
}

bool fh_ask_watches(const fh_ask *a, const fh_route *r)
{
    const fh_wire_request *c = &a->common;
    bool tools = fh_json_count(c->tools) > 0;
    return r->watched && r->dialect == FH_DIALECT_CHAT && !c->sampling.logprobs && !tools && !c->echo;
}

bool fh_ask_passes(fh_wire_dialect client, fh_wire_dialect upstream)
{
    if (upstream == FH_DIALECT_MESSAGES) return client == FH_DIALECT_MESSAGES;
    return client == FH_DIALECT_CHAT || client == FH_DIALECT_COMPLETION;
}

/* Edits of the request's text: at most these. */
typedef struct edits {
    fh_wire_edit list[14];
    size_t count;
    char numbers[2][24], top[8];
    fh_buf model, seam, prompt, form;
} edits;

static void add(edits *e, const char *key, const char *value)
{
    e->list[e->count++] = (fh_wire_edit){key, value};
}

/* As the messages are, and the answer so far as the assistant's last one, behind what the client had begun of it. */
static int add_messages(edits *e, const fh_ask *a, fh_str text, fh_err **err)
{
    FH_AUTO(buf) fh_buf answer = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    const fh_json *messages = a->common.messages;
    size_t kept = fh_json_count(messages) - a->common.continue_final;
    fh_str begun = fh_wire_beginning(&a->common);
    if (!begun.ptr) return fh_err_set(err, FH_E_UNAVAILABLE, "an answer that was begun in parts cannot be continued with text");
    fh_buf_add(&answer, begun.ptr, begun.len);
    fh_buf_add(&answer, text.ptr, text.len);
    int rc = 0;
    fh_buf_addc(&e->prompt, '[');
    for (size_t i = 0; i < kept && rc == 0; i++) {
        rc = fh_json_write(fh_json_at(messages, i), &e->prompt, err);
        fh_buf_addc(&e->prompt, ',');
    }
    fh_buf_adds(&e->prompt, "{\"role\":\"assistant\",\"content\":");
    fh_buf_add_json_string(&e->prompt, fh_buf_cstr(&answer), answer.len);
    fh_buf_adds(&e->prompt, "}]");
    add(e, "messages", fh_buf_cstr(&e->prompt));
    add(e, "continue_final_message", "true");
    add(e, "add_generation_prompt", "false");
    return rc ? rc : fh_buf_check(&answer, err, "the answer so far");
}

/* Messages that were edited, unless they were added already. */
static int add_edited(edits *e, const fh_json *messages, fh_err **err)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->list[i].key, "messages") == 0) return 0;
    int rc = fh_json_write(messages, &e->prompt, err);
    add(e, "messages", fh_buf_cstr(&e->prompt));
    return rc;
}

static int add_prompt(edits *e, const fh_ask *a, fh_str text, fh_err **err)
{
    FH_AUTO(buf) fh_buf whole = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    if (a->common.prompt_tokens) return fh_err_set(err, FH_E_UNAVAILABLE, "a prompt of token ids cannot be continued with text");
    fh_buf_add(&whole, a->common.prompt.ptr, a->common.prompt.len);
    fh_buf_add(&whole, text.ptr, text.len);
    fh_buf_add_json_string(&e->prompt, fh_buf_cstr(&whole), whole.len);
    add(e, "prompt", fh_buf_cstr(&e->prompt));
    return fh_buf_check(&whole, err, "the prompt with the answer so far");
}

static int64_t most_tok(const fh_ask *a)
{
    return a->most_tok ? a->most_tok : a->common.sampling.max_tokens;
}

static void add_most(edits *e, const fh_ask *a, int64_t most)
{
    snprintf(e->numbers[0], sizeof e->numbers[0], "%" PRId64, most);
    add(e, "max_tokens", e->numbers[0]);
    if (a->dialect != FH_DIALECT_COMPLETION) add(e, "max_completion_tokens", NULL);
}

static int add_text_seam(edits *e, const fh_ask *a, const fh_sent *sent, fh_err **err)
{
    fh_str text = fh_sent_text(sent);
    int64_t max = most_tok(a);
    if (max > 0) add_most(e, a, FH_MAX(max - (int64_t)fh_sent_count(sent), (int64_t)1));
    if (a->dialect == FH_DIALECT_COMPLETION) return add_prompt(e, a, text, err);
    return text.len ? add_messages(e, a, text, err) : 0; /* nothing but blanks: from the beginning */
}

static int add_seam(edits *e, const fh_ask *a, const fh_route *r, const fh_sent *sent, fh_err **err)
{
    if (!sent || !fh_sent_any(sent)) {
        add(e, "freehold_continue", NULL); /* ours to say, never the client's */
        if (a->most_tok) add_most(e, a, a->most_tok);
        return 0;
    }
    if (fh_sent_resume(sent, r->resume) == FH_RESUME_TEXT) return add_text_seam(e, a, sent, err);
    if (a->most_tok) add_most(e, a, a->most_tok);
    fh_buf_addf(&e->seam, "{\"tokens\":[%s]}", fh_buf_cstr(&sent->tokens));
    add(e, "freehold_continue", fh_buf_cstr(&e->seam));
    return 0;
}

/* Usage is always asked for: what the client did not ask for is taken out of the reply again. */
static void add_usage(edits *e, const fh_ask *a)
{
    if (a->common.stream) add(e, "stream_options", "{\"include_usage\":true}");
}

/* As many as canaries ask for; taken out of the reply again. */
static void add_watching(edits *e, const fh_ask *a, const fh_route *r)
{
    if (!fh_ask_watches(a, r)) return;
    snprintf(e->top, sizeof e->top, "%d", FH_LIMIT_TOP_LOGPROBS);
    if (a->dialect == FH_DIALECT_COMPLETION) {
        add(e, "logprobs", e->top);
        return;
    }
    add(e, "logprobs", "true");
    add(e, "top_logprobs", e->top);
}

static void add_model(edits *e, const fh_route *r)
{
    if (!r->upstream_model[0]) return;
    fh_buf_add_json_string(&e->model, r->upstream_model, strlen(r->upstream_model));
    add(e, "model", fh_buf_cstr(&e->model));
}

/* The tools stay for the template to show; none is to be called in the template's way. */
static int add_form(edits *e, const fh_ask *a, const fh_route *r, fh_err **err)
{
    if (!fh_ask_forces(a, r)) return 0;
    int rc = fh_wire_forced_format(&a->common, &e->form, err);
    add(e, "response_format", fh_buf_cstr(&e->form));
    add(e, "tool_choice", "\"none\"");
    return rc;
}

/* The chat request with its edits, as text. */
static int write_chat(const fh_ask *a, const edits *e, fh_buf *out, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    fh_str body = a->body;
    if (a->original) { /* the common form has no text of its own */
        int rc = fh_json_write(a->common.doc, &text, err);
        if (rc) return rc;
        body = (fh_str){fh_buf_cstr(&text), text.len};
    }
    if (e->count) return fh_wire_body_edit(body, e->list, e->count, out, err);
    fh_buf_add(out, body.ptr, body.len);
    return fh_buf_check(out, err, "the request");
}

/* For an upstream of the Messages API the chat request is said in its words; its own clients' requests go as they came, from the beginning.
 */
static int write_messages(const fh_ask *a, const edits *e, bool seam, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *chat = NULL, *made = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    if (a->dialect == FH_DIALECT_MESSAGES && !seam) return fh_wire_body_edit(a->body, e->list, e->count, out, err);
    if (a->native) return fh_err_set(err, FH_E_UNAVAILABLE, "%s: so it cannot be continued", fh_err_message(a->native));
    int rc = write_chat(a, e, &text, err);
    if (rc == 0) rc = fh_json_parse(&chat, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_JSON_BODY_BYTES * 2u, err);
    if (rc == 0) rc = fh_wire_chat_to_messages(chat, DEFAULT_MAX_TOK, &made, err);
    return rc == 0 ? fh_json_write(made, out, err) : rc;
}

int fh_ask_write(const fh_ask *a, const fh_route *r, uint64_t seed, const fh_sent *sent, fh_buf *out, fh_err **err)
{
    edits e = {.model = FH_BUF(4096),
               .seam = FH_BUF(2u * FH_LIMIT_SENT_BYTES),
               .prompt = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u),
               .form = FH_BUF(FH_LIMIT_JSON_BODY_BYTES)};
    bool messages = r->dialect == FH_DIALECT_MESSAGES, seam = sent && fh_sent_any(sent);
    int rc = add_seam(&e, a, r, sent, err);
    if (rc == 0 && a->edited && !a->original) rc = add_edited(&e, a->common.messages, err);
    if (rc == 0 && a->edited && messages && a->dialect == FH_DIALECT_MESSAGES && !seam)
        rc = add_edited(&e, fh_json_get(a->original, "messages"), err);
    add_model(&e, r);
    if (!messages) add_usage(&e, a);
    if (rc == 0) rc = add_form(&e, a, r, err);
    if (seed && !a->common.sampling.has_seed) {
        snprintf(e.numbers[1], sizeof e.numbers[1], "%" PRIu64, seed);
        add(&e, "seed", e.numbers[1]);
    }
    add_watching(&e, a, r);
    if (rc == 0) rc = fh_buf_check(&e.model, err, "the model's name");
    if (rc == 0) rc = fh_buf_check(&e.seam, err, "the tokens so far");
    if (rc == 0) rc = fh_buf_check(&e.prompt, err, "the answer so far");
    if (rc == 0) rc = messages ? write_messages(a, &e, seam, out, err) : write_chat(a, &e, out, err);
    fh_buf_fini(&e.model);
    fh_buf_fini(&e.seam);
    fh_buf_fini(&e.prompt);
    fh_buf_fini(&e.form);
    return rc;
}
