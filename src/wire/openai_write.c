/* Replies and chunks in OpenAI's shapes, member for member, so that the official clients take them. */
#include "private.h"

#include <math.h>

static void add_string(fh_buf *out, const char *s)
{
    if (s)
        fh_buf_add_json_string(out, s, strlen(s));
    else
        fh_buf_adds(out, "null");
}

static void add_text(fh_buf *out, fh_str s)
{
    fh_buf_add_json_string(out, s.ptr ? s.ptr : "", s.len);
}

/* What is too unlikely for a float is -9999, as OpenAI writes it. NaN: there is none (the first token of an echoed prompt). */
static void add_logprob(fh_buf *out, float v)
{
    if (isnan(v))
        fh_buf_adds(out, "null");
    else
        fh_buf_addf(out, "%.9g", v > -9999.0f ? (double)FH_MIN(v, 0.0f) : -9999.0);
}

static void add_head(fh_buf *out, const fh_wire_reply *r, const char *object)
{
    fh_buf_adds(out, "{\"id\":");
    add_string(out, r->id);
    fh_buf_addf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object, (long long)r->created_s);
    add_string(out, r->model);
    fh_buf_adds(out, ",\"system_fingerprint\":");
    add_string(out, r->fingerprint);
}

/* Log probabilities of chats: an object a token. */

static void add_token(fh_buf *out, const fh_wire_logprob *t)
{
    fh_buf_adds(out, "{\"token\":");
    add_text(out, t->token);
    fh_buf_adds(out, ",\"logprob\":");
    add_logprob(out, isnan(t->logprob) ? 0.0f : t->logprob);
    fh_buf_adds(out, ",\"bytes\":[");
    for (size_t i = 0; i < t->token.len; i++) fh_buf_addf(out, i ? ",%u" : "%u", (unsigned char)t->token.ptr[i]);
    fh_buf_addc(out, ']');
}

static void add_token_and_top(fh_buf *out, const fh_wire_logprob *t)
{
    add_token(out, t);
    fh_buf_adds(out, ",\"top_logprobs\":[");
    for (size_t i = 0; i < t->top_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_token(out, &t->top[i]);
        fh_buf_addc(out, '}');
    }
    fh_buf_adds(out, "]}");
}

static void add_chat_logprobs(fh_buf *out, const fh_wire_piece *p)
{
    fh_buf_adds(out, "{\"content\":[");
    for (size_t i = 0; i < p->logprob_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_token_and_top(out, &p->logprobs[i]);
    }
    fh_buf_adds(out, "],\"refusal\":null}");
}

/* Log probabilities of completions: parallel arrays. A token that is not UTF-8 on its own is written as "bytes:\xNN". */

static void add_token_name(fh_buf *out, fh_str token)
{
    if (fh_utf8_valid(token.ptr, token.len)) {
        add_text(out, token);
        return;
    }
    fh_buf_adds(out, "\"bytes:");
    for (size_t i = 0; i < token.len; i++) fh_buf_addf(out, "\\\\x%02x", (unsigned char)token.ptr[i]);
    fh_buf_addc(out, '"');
}

static void add_top_object(fh_buf *out, const fh_wire_logprob *t)
{
    if (isnan(t->logprob)) {
        fh_buf_adds(out, "null");
        return;
    }
    fh_buf_addc(out, '{');
    for (size_t i = 0; i < t->top_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_token_name(out, t->top[i].token);
        fh_buf_addc(out, ':');
        add_logprob(out, t->top[i].logprob);
    }
    fh_buf_addc(out, '}');
}

static uint64_t count_characters(fh_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static void add_completion_logprobs(fh_buf *out, const fh_wire_piece *p)
{
    uint64_t offset = p->text_offset;
    fh_buf_adds(out, "{\"text_offset\":[");
    for (size_t i = 0; i < p->logprob_count; i++) {
        fh_buf_addf(out, i ? ",%llu" : "%llu", (unsigned long long)offset);
        offset += count_characters(p->logprobs[i].token);
    }
    fh_buf_adds(out, "],\"token_logprobs\":[");
    for (size_t i = 0; i < p->logprob_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_logprob(out, p->logprobs[i].logprob);
    }
    fh_buf_adds(out, "],\"tokens\":[");
    for (size_t i = 0; i < p->logprob_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_token_name(out, p->logprobs[i].token);
    }
    fh_buf_adds(out, "],\"top_logprobs\":[");
    for (size_t i = 0; i < p->logprob_count; i++) {
        if (i) fh_buf_addc(out, ',');
        add_top_object(out, &p->logprobs[i]);
    }
    fh_buf_adds(out, "]}");
}

/* Choices. */

static void add_choice_end(fh_buf *out, bool chat, const fh_wire_piece *p)
{
    fh_buf_adds(out, ",\"logprobs\":");
    if (!p->want_logprobs || !p->logprob_count)
        fh_buf_adds(out, "null");
    else if (chat)
        add_chat_logprobs(out, p);
    else
        add_completion_logprobs(out, p);
    fh_buf_adds(out, ",\"finish_reason\":");
    add_string(out, p->finish);
    if (p->stop.len) {
        fh_buf_adds(out, ",\"stop_reason\":");
        add_text(out, p->stop);
    }
    fh_buf_addc(out, '}');
}

static void add_call(fh_buf *out, const fh_wire_call *c)
{
    if (c->name.len) {
        fh_buf_adds(out, "\"id\":");
        add_text(out, c->id);
        fh_buf_adds(out, ",\"type\":\"function\",\"function\":{\"name\":");
        add_text(out, c->name);
        fh_buf_addc(out, ',');
    } else
        fh_buf_adds(out, "\"function\":{");
    fh_buf_adds(out, "\"arguments\":");
    add_text(out, c->arguments);
    fh_buf_adds(out, "}}");
}

/* Calls of a message, or with their index pieces of calls. */
static void add_calls(fh_buf *out, const fh_wire_piece *p, bool pieces)
{
    fh_buf_adds(out, "\"tool_calls\":[");
    for (size_t i = 0; i < p->call_count; i++) {
        fh_buf_adds(out, i ? ",{" : "{");
        if (pieces) fh_buf_addf(out, "\"index\":%u,", p->calls[i].index);
        add_call(out, &p->calls[i]);
    }
    fh_buf_addc(out, ']');
}

static void add_reasoning(fh_buf *out, fh_str reasoning)
{
    fh_buf_adds(out, "\"reasoning_content\":");
    add_text(out, reasoning);
}

static void add_delta(fh_buf *out, const fh_wire_piece *p)
{
    bool other = p->reasoning.len || p->call_count;
    fh_buf_addf(out, "{\"index\":%u,\"delta\":{", p->choice);
    if (p->role) fh_buf_adds(out, "\"role\":\"assistant\",\"refusal\":null,");
    if (other && p->role) fh_buf_adds(out, "\"content\":null,");
    if (p->reasoning.len) add_reasoning(out, p->reasoning);
    if (p->call_count) add_calls(out, p, true);
    if (!other && (p->role || p->text.len || !p->finish)) {
        fh_buf_adds(out, "\"content\":");
        add_text(out, p->text);
    }
    fh_buf_addc(out, '}');
}

static void add_message(fh_buf *out, const fh_wire_piece *p)
{
    fh_buf_addf(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", p->choice);
    if (p->text.len || !p->call_count)
        add_text(out, p->text);
    else
        fh_buf_adds(out, "null");
    fh_buf_adds(out, ",\"refusal\":null");
    if (p->reasoning.len) fh_buf_addc(out, ',');
    if (p->reasoning.len) add_reasoning(out, p->reasoning);
    if (p->call_count) fh_buf_addc(out, ',');
    if (p->call_count) add_calls(out, p, false);
    fh_buf_addc(out, '}');
}

static void add_completion(fh_buf *out, const fh_wire_piece *p)
{
    fh_buf_addf(out, "{\"index\":%u,\"text\":", p->choice);
    add_text(out, p->text);
}

static void add_usage(fh_buf *out, const fh_wire_usage *u)
{
    unsigned long long prompt = u->prompt_tok, completion = u->completion_tok, cached = u->cached_tok;
    fh_buf_addf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu", prompt, completion,
                prompt + completion);
    fh_buf_addf(out, ",\"prompt_tokens_details\":{\"cached_tokens\":%llu}", cached);
    if (u->predicted_tok || u->mispredicted_tok)
        fh_buf_addf(out, ",\"completion_tokens_details\":{\"accepted_prediction_tokens\":%llu,\"rejected_prediction_tokens\":%llu}",
                    (unsigned long long)u->predicted_tok, (unsigned long long)u->mispredicted_tok);
    fh_buf_addc(out, '}');
}

static const char *chunk_object(const fh_wire_reply *r)
{
    return r->chat ? "chat.completion.chunk" : "text_completion";
}

bool fh_wire_chunk_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_piece *p)
{
    add_head(out, r, chunk_object(r));
    fh_buf_adds(out, ",\"choices\":[");
    if (r->chat)
        add_delta(out, p);
    else
        add_completion(out, p);
    add_choice_end(out, r->chat, p);
    fh_buf_addc(out, ']');
    if (p->null_usage) fh_buf_adds(out, ",\"usage\":null");
    return fh_buf_addc(out, '}');
}

bool fh_wire_usage_chunk_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_usage *u, const char *extra_members)
{
    add_head(out, r, chunk_object(r));
    fh_buf_adds(out, ",\"choices\":[]");
    add_usage(out, u);
    if (extra_members) fh_buf_adds(out, extra_members);
    return fh_buf_addc(out, '}');
}

bool fh_wire_reply_write(fh_buf *out, const fh_wire_reply *r, const fh_wire_piece *choices, size_t count, const fh_wire_usage *u,
                         const char *extra_members)
{
    add_head(out, r, r->chat ? "chat.completion" : "text_completion");
    fh_buf_adds(out, ",\"choices\":[");
    for (size_t i = 0; i < count; i++) {
        if (i) fh_buf_addc(out, ',');
        if (r->chat)
            add_message(out, &choices[i]);
        else
            add_completion(out, &choices[i]);
        add_choice_end(out, r->chat, &choices[i]);
    }
    fh_buf_addc(out, ']');
    add_usage(out, u);
    if (extra_members) fh_buf_adds(out, extra_members);
    return fh_buf_addc(out, '}');
}

/* Models. */

bool fh_wire_model_write(fh_buf *out, const fh_wire_model *m)
{
    fh_buf_adds(out, "{\"id\":");
    add_string(out, m->id);
    fh_buf_addf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":", (long long)m->created_s);
    add_string(out, m->owned_by ? m->owned_by : "freehold");
    if (m->context_tok > 0) fh_buf_addf(out, ",\"context_length\":%lld", (long long)m->context_tok);
    return fh_buf_addc(out, '}');
}

bool fh_wire_models_write(fh_buf *out, const fh_wire_model *list, size_t count)
{
    fh_buf_adds(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < count; i++) {
        if (i) fh_buf_addc(out, ',');
        fh_wire_model_write(out, &list[i]);
    }
    return fh_buf_adds(out, "]}");
}
