/* Writing events as Chat Completions or Completions, streamed and whole. Used where the upstream speaks another API, and behind a seam,
 * where a second upstream goes on with what the first began; else the gateway passes the upstream's own bytes. */
#include "private.h"

enum { CHOICES = 128, TEXT_MAX = 64 << 20 };

typedef struct tool_call {
    fh_buf arguments;
    char *id, *name; /* owned */
} tool_call;

typedef struct choice { /* of a plain reply: what came so far */
    fh_buf text, reasoning, refusal;
    fh_json *logprobs; /* owned */
    tool_call *calls;  /* owned */
    uint32_t call_count;
    fh_wire_finish finish;
} choice;

typedef struct chat_writer {
    fh_wire_writer base;
    bool role_sent[CHOICES];
    choice *choices; /* owned; of a plain reply */
    uint32_t choice_count;
    fh_wire_usage usage;
    bool has_usage;
} chat_writer;

static bool is_chat(const fh_wire_writer *w)
{
    return w->ops == &fh_wire_chat_writer;
}

static void add_text(fh_buf *out, fh_str s)
{
    fh_buf_add_json_string(out, s.ptr ? s.ptr : "", s.len);
}

static void add_head(fh_buf *out, const fh_wire_writer *w, const char *object)
{
    fh_buf_adds(out, "{\"id\":");
    add_text(out, fh_str_of(w->id));
    fh_buf_addf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object, (long long)w->created_s);
    add_text(out, fh_str_of(w->model));
}

static void add_usage(fh_buf *out, const fh_wire_usage *u)
{
    fh_buf_addf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu",
                (unsigned long long)u->prompt_tok, (unsigned long long)u->completion_tok,
                (unsigned long long)u->prompt_tok + u->completion_tok);
    fh_buf_addf(out, ",\"prompt_tokens_details\":{\"cached_tokens\":%llu},\"completion_tokens_details\":{\"reasoning_tokens\":%llu}}",
                (unsigned long long)u->cached_tok, (unsigned long long)u->reasoning_tok);
}

static void add_json(fh_buf *out, const fh_json *v)
{
    if (!v)
        fh_buf_adds(out, "null");
    else if (fh_json_write(v, out, NULL))
        out->failed = true;
}

/* Streams. */

static void add_call_delta(fh_buf *out, const fh_wire_event *e)
{
    fh_buf_addf(out, "\"tool_calls\":[{\"index\":%u", e->call);
    if (e->kind == FH_EVENT_CALL) {
        fh_buf_adds(out, ",\"id\":");
        add_text(out, e->id);
        fh_buf_adds(out, ",\"type\":\"function\",\"function\":{\"name\":");
        add_text(out, e->name);
        fh_buf_adds(out, ",\"arguments\":\"\"}}]");
    } else {
        fh_buf_adds(out, ",\"function\":{\"arguments\":");
        add_text(out, e->text);
        fh_buf_adds(out, "}}]");
    }
}

static void add_delta(fh_buf *out, const fh_wire_event *e, bool role)
{
    fh_buf_adds(out, "\"delta\":{");
    if (role) fh_buf_adds(out, e->kind == FH_EVENT_FINISH ? "\"role\":\"assistant\"" : "\"role\":\"assistant\",");
    const char *member = e->kind == FH_EVENT_TEXT        ? "\"content\":"
                         : e->kind == FH_EVENT_REASONING ? "\"reasoning_content\":"
                         : e->kind == FH_EVENT_REFUSAL   ? "\"refusal\":"
                                                         : NULL;
    if (member) {
        fh_buf_adds(out, member);
        add_text(out, e->text);
    } else if (e->kind != FH_EVENT_FINISH)
        add_call_delta(out, e);
    fh_buf_addc(out, '}');
}

static void stream_choice(chat_writer *w, const fh_wire_event *e, fh_buf *out)
{
    bool chat = is_chat(&w->base);
    fh_buf_adds(out, "data: ");
    add_head(out, &w->base, chat ? "chat.completion.chunk" : "text_completion");
    fh_buf_addf(out, ",\"choices\":[{\"index\":%u,", e->choice);
    if (chat)
        add_delta(out, e, !w->role_sent[e->choice]);
    else {
        fh_buf_adds(out, "\"text\":");
        add_text(out, e->kind == FH_EVENT_TEXT ? e->text : (fh_str){"", 0});
    }
    w->role_sent[e->choice] = true;
    fh_buf_adds(out, ",\"logprobs\":");
    add_json(out, e->kind == FH_EVENT_TEXT ? e->logprobs : NULL);
    fh_buf_addf(out, e->kind == FH_EVENT_FINISH ? ",\"finish_reason\":\"%s\"}]" : ",\"finish_reason\":null}]",
                fh_wire_finish_name(e->finish));
    fh_buf_adds(out, w->base.include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void stream_usage(chat_writer *w, fh_buf *out)
{
    fh_buf_adds(out, "data: ");
    add_head(out, &w->base, is_chat(&w->base) ? "chat.completion.chunk" : "text_completion");
    fh_buf_adds(out, ",\"choices\":[]");
    add_usage(out, &w->usage);
    fh_buf_adds(out, "}\n\n");
}

static void stream_error(const fh_err *why, fh_buf *out)
{
    fh_buf_adds(out, "data: ");
    fh_wire_error_write(out, why);
    fh_buf_adds(out, "\n\n");
}

static void stream_end(chat_writer *w, fh_buf *out)
{
    if (w->base.include_usage && w->has_usage) stream_usage(w, out);
    fh_buf_adds(out, "data: [DONE]\n\n");
}

static void stream_event(chat_writer *w, const fh_wire_event *e, fh_buf *out)
{
    if (e->kind == FH_EVENT_END)
        stream_end(w, out);
    else if (e->kind == FH_EVENT_ERROR)
        stream_error(e->err, out);
    else if (e->kind != FH_EVENT_BEGIN && e->kind != FH_EVENT_USAGE)
        stream_choice(w, e, out);
}

/* Plain replies. */

static int make_choices(chat_writer *w, uint32_t count, fh_err **err)
{
    if (count <= w->choice_count) return 0;
    choice *grown = fh_realloc_array(w->choices, count, sizeof *grown);
    if (!grown) return fh_err_nomem(err);
    w->choices = grown;
    for (; w->choice_count < count; w->choice_count++) {
        choice *c = &grown[w->choice_count];
        *c = (choice){.text = FH_BUF(TEXT_MAX), .reasoning = FH_BUF(TEXT_MAX), .refusal = FH_BUF(TEXT_MAX)};
    }
    return 0;
}

static int keep_call(choice *c, const fh_wire_event *e, fh_err **err)
{
    tool_call *grown = fh_realloc_array(c->calls, c->call_count + 1, sizeof *grown);
    if (!grown) return fh_err_nomem(err);
    c->calls = grown;
    tool_call *call = &grown[c->call_count];
    *call = (tool_call){.arguments = FH_BUF(TEXT_MAX),
                        .id = fh_strndup(e->id.ptr ? e->id.ptr : "", e->id.len),
                        .name = fh_strndup(e->name.ptr, e->name.len)};
    c->call_count++;
    return call->id && call->name ? 0 : fh_err_nomem(err);
}

static bool append_all(fh_json *list, const fh_json *items)
{
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < fh_json_count(items); i++)
        ok = fh_json_append(list, fh_json_ref((fh_json *)(uintptr_t)fh_json_at(items, i)));
    return ok;
}

/* Logprobs of pieces are objects of arrays: each array goes on where the last piece's ended. */
static int keep_logprobs(choice *c, const fh_json *v, fh_err **err)
{
    fh_str key;
    const fh_json *items;
    if (!c->logprobs && !(c->logprobs = fh_json_new_object())) return fh_err_nomem(err);
    for (void *it = NULL; fh_json_next(v, &it, &key, &items);) {
        bool array = fh_json_kind_of(items) == FH_JSON_ARRAY;
        fh_json *list = (fh_json *)(uintptr_t)fh_json_get(c->logprobs, key.ptr); /* ours: we made it */
        if (!list && !fh_json_set(c->logprobs, key.ptr, array ? fh_json_new_array() : fh_json_new_null())) return fh_err_nomem(err);
        list = (fh_json *)(uintptr_t)fh_json_get(c->logprobs, key.ptr);
        if (array && !append_all(list, items)) return fh_err_nomem(err);
    }
    return 0;
}

static int keep_text(fh_buf *out, fh_str text, fh_err **err)
{
    fh_buf_add(out, text.ptr, text.len);
    return fh_buf_check(out, err, "the answer");
}

static int keep(choice *c, const fh_wire_event *e, fh_err **err)
{
    int rc = 0;
    if (e->kind == FH_EVENT_TEXT) {
        rc = keep_text(&c->text, e->text, err);
        return rc == 0 && e->logprobs ? keep_logprobs(c, e->logprobs, err) : rc;
    }
    if (e->kind == FH_EVENT_REASONING) return keep_text(&c->reasoning, e->text, err);
    if (e->kind == FH_EVENT_REFUSAL) return keep_text(&c->refusal, e->text, err);
    if (e->kind == FH_EVENT_CALL) return keep_call(c, e, err);
    if (e->kind == FH_EVENT_ARGUMENTS) {
        if (e->call >= c->call_count) return fh_err_set(err, FH_E_INTERNAL, "arguments came before their tool call");
        return keep_text(&c->calls[e->call].arguments, e->text, err);
    }
    c->finish = e->finish;
    return 0;
}

static void add_calls(fh_buf *out, const choice *c)
{
    fh_buf_adds(out, ",\"tool_calls\":[");
    for (uint32_t i = 0; i < c->call_count; i++) {
        const tool_call *call = &c->calls[i];
        fh_buf_adds(out, i ? ",{\"id\":" : "{\"id\":");
        add_text(out, fh_str_of(call->id));
        fh_buf_adds(out, ",\"type\":\"function\",\"function\":{\"name\":");
        add_text(out, fh_str_of(call->name));
        fh_buf_adds(out, ",\"arguments\":");
        add_text(out, (fh_str){fh_buf_cstr(&call->arguments), call->arguments.len});
        fh_buf_adds(out, "}}");
    }
    fh_buf_addc(out, ']');
}

static void add_message(fh_buf *out, const choice *c)
{
    fh_buf_adds(out, "\"message\":{\"role\":\"assistant\",\"content\":");
    if (c->text.len || !(c->call_count || c->refusal.len))
        add_text(out, (fh_str){fh_buf_cstr(&c->text), c->text.len});
    else
        fh_buf_adds(out, "null");
    fh_buf_adds(out, ",\"refusal\":");
    if (c->refusal.len)
        add_text(out, (fh_str){fh_buf_cstr(&c->refusal), c->refusal.len});
    else
        fh_buf_adds(out, "null");
    if (c->reasoning.len) {
        fh_buf_adds(out, ",\"reasoning_content\":");
        add_text(out, (fh_str){fh_buf_cstr(&c->reasoning), c->reasoning.len});
    }
    if (c->call_count) add_calls(out, c);
    fh_buf_addc(out, '}');
}

static void add_choice(fh_buf *out, const chat_writer *w, uint32_t i)
{
    const choice *c = &w->choices[i];
    fh_buf_addf(out, "%s{\"index\":%u,", i ? "," : "", i);
    if (is_chat(&w->base))
        add_message(out, c);
    else {
        fh_buf_adds(out, "\"text\":");
        add_text(out, (fh_str){fh_buf_cstr(&c->text), c->text.len});
    }
    fh_buf_adds(out, ",\"logprobs\":");
    add_json(out, c->logprobs);
    fh_buf_addf(out, ",\"finish_reason\":\"%s\"}", fh_wire_finish_name(c->finish));
}

static void add_whole(chat_writer *w, fh_buf *out)
{
    add_head(out, &w->base, is_chat(&w->base) ? "chat.completion" : "text_completion");
    fh_buf_adds(out, ",\"choices\":[");
    for (uint32_t i = 0; i < w->choice_count; i++) add_choice(out, w, i);
    fh_buf_addc(out, ']');
    if (w->has_usage) add_usage(out, &w->usage);
    fh_buf_addc(out, '}');
}

static int plain_event(chat_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    if (e->kind == FH_EVENT_BEGIN || e->kind == FH_EVENT_USAGE) return 0;
    if (e->kind == FH_EVENT_END) {
        add_whole(w, out);
        return 0;
    }
    if (e->kind == FH_EVENT_ERROR) {
        fh_wire_error_write(out, e->err);
        return 0;
    }
    int rc = make_choices(w, e->choice + 1, err);
    return rc ? rc : keep(&w->choices[e->choice], e, err);
}

static int event(fh_wire_writer *base, const fh_wire_event *e, fh_buf *out, fh_err **err)
{
    chat_writer *w = (chat_writer *)base;
    if (e->choice >= CHOICES) return fh_err_set(err, FH_E_INTERNAL, "a reply has more than %d choices", CHOICES);
    if (e->kind == FH_EVENT_USAGE) {
        w->usage = e->usage;
        w->has_usage = true;
    }
    if (!base->stream) return plain_event(w, e, out, err);
    stream_event(w, e, out);
    return 0;
}

static void choice_fini(choice *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        fh_buf_fini(&c->calls[i].arguments);
        fh_free(c->calls[i].id);
        fh_free(c->calls[i].name);
    }
    fh_free(c->calls);
    fh_buf_fini(&c->text);
    fh_buf_fini(&c->reasoning);
    fh_buf_fini(&c->refusal);
    fh_json_unref(c->logprobs);
}

static void fini(fh_wire_writer *base)
{
    chat_writer *w = (chat_writer *)base;
    for (uint32_t i = 0; i < w->choice_count; i++) choice_fini(&w->choices[i]);
    fh_free(w->choices);
}

const fh_wire_writer_ops fh_wire_chat_writer = {.size = sizeof(chat_writer), .id_prefix = "chatcmpl-", .event = event, .fini = fini};
const fh_wire_writer_ops fh_wire_completion_writer = {.size = sizeof(chat_writer), .id_prefix = "cmpl-", .event = event, .fini = fini};
