/* What is generated becomes chunks of a stream or one reply (see serve_call.h). Everything here is the batch thread's. */
#include "serve_call.h"
#include "base/clock.h"
#include "base/limits.h"
#include "net/sse.h"

#include <stdio.h>
#include <string.h>

enum { LOGPROBS_KEPT = 65536 };

/* ---- logprobs own their bytes: one block per token, its alternatives behind it ---- */

static fh_str token_bytes(const fh_vocab *v, fh_token id)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(FH_LIMIT_VOCAB_PIECE_BYTES * 2);
    size_t len = 0;
    if (fh_vocab_decode(v, id, true, &b, NULL) != 0) return (fh_str){0};
    char *bytes = fh_buf_take(&b, &len);
    return (fh_str){bytes, bytes ? len : 0};
}

static void free_logprob(fh_wire_logprob *p)
{
    for (size_t i = 0; i < p->top_count; i++) fh_free((void *)(uintptr_t)p->top[i].token.ptr);
    fh_free((void *)(uintptr_t)p->token.ptr);
    fh_free((void *)(uintptr_t)p->top);
}

static void forget_logprobs(choice *ch)
{
    for (size_t i = 0; i < ch->logprob_count; i++) free_logprob(&ch->logprobs[i]);
    ch->logprob_count = 0;
}

static bool add_logprob(choice *ch, const fh_gen_token *t)
{
    if (ch->logprob_count == ch->logprob_cap) {
        size_t cap = ch->logprob_cap ? ch->logprob_cap * 2 : 64;
        fh_wire_logprob *grown = cap > LOGPROBS_KEPT ? NULL : fh_realloc_array(ch->logprobs, cap, sizeof *grown);
        if (!grown) return false;
        ch->logprobs = grown;
        ch->logprob_cap = cap;
    }
    fh_wire_logprob *top = fh_calloc(t->top_count, sizeof *top);
    if (!top) return false;
    for (size_t i = 0; i < t->top_count; i++)
        top[i] = (fh_wire_logprob){.token = token_bytes(ch->c->vocab, t->top[i].id), .logprob = t->top[i].logprob};
    ch->logprobs[ch->logprob_count++] =
        (fh_wire_logprob){.token = token_bytes(ch->c->vocab, t->id), .logprob = t->logprob, .top = top, .top_count = t->top_count};
    return true;
}

void choice_fini(choice *ch)
{
    forget_logprobs(ch);
    fh_free(ch->logprobs);
    parts_free(ch->parts);
    fh_buf_fini(&ch->text);
    fh_buf_fini(&ch->stop);
    fh_gen_release(ch->gen);
}

/* ---- notes ---- */

static call_note *note_new(call *c)
{
    call_note *n = fh_calloc(1, sizeof *n);
    if (!n) return NULL;
    n->c = c;
    fh_buf_init(&n->data, c->wire.stream ? CALL_CHUNK_MAX : CALL_REPLY_MAX);
    return n;
}

/* The end must arrive, or the call would never be freed; memory comes back, since other requests end too. */
static call_note *note_new_surely(call *c)
{
    call_note *n;
    while (!(n = note_new(c))) fh_sleep_ns(FH_NS_PER_MS);
    return n;
}

/* ---- pieces ---- */

static void event(fh_buf *out, const fh_buf *json)
{
    fh_sse_write(out, NULL, (fh_str){fh_buf_cstr(json), json->len});
}

static fh_wire_piece piece_of(choice *ch, fh_str text)
{
    const call *c = ch->c;
    fh_wire_piece p = {.choice = ch->index,
                       .role = c->reply.chat && !ch->role_sent,
                       .text = text,
                       .logprobs = ch->logprobs,
                       .logprob_count = ch->logprob_count,
                       .want_logprobs = c->wire.sampling.logprobs,
                       .null_usage = c->wire.include_usage,
                       .text_offset = ch->characters};
    ch->role_sent = true;
    return p;
}

static uint64_t count_characters(fh_str s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((uint8_t)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Which tokens the event holds, as a comment: with them another engine can go on with the answer. The first one says the prompt's count. */
static void tell_tokens(call *c)
{
    if (!c->tells_tokens) return;
    fh_buf_adds(c->events, ": tok");
    for (size_t i = 0; i < c->untold.count; i++) fh_buf_addf(c->events, " %d", c->untold.ids[i]);
    if (!c->prompt_told)
        fh_buf_addf(c->events, " prompt %llu %llu", (unsigned long long)c->total.prompt_tok, (unsigned long long)c->total.cached_tok);
    fh_buf_addc(c->events, '\n');
    c->prompt_told = true;
    c->untold.count = 0;
}

/* One event of a stream; the tokens and logprobs that have gathered go with it. */
bool choice_on_part(void *arg, const fh_wire_piece *part)
{
    choice *ch = arg;
    call *c = ch->c;
    FH_AUTO(buf) fh_buf json = FH_BUF(CALL_CHUNK_MAX);
    fh_wire_piece p = piece_of(ch, part->text);
    p.reasoning = part->reasoning;
    p.calls = part->calls;
    p.call_count = part->call_count;
    tell_tokens(c);
    if (fh_wire_chunk_write(&json, &c->reply, &p)) event(c->events, &json);
    ch->characters += count_characters(part->text);
    forget_logprobs(ch);
    return fh_buf_ok(&json) && fh_buf_ok(c->events);
}

static bool add_events(choice *ch, const fh_gen_piece *piece)
{
    for (size_t i = 0; ch->c->tells_tokens && i < piece->count; i++)
        if (!fh_tokens_push(&ch->c->untold, piece->ids[i])) return false;
    fh_wire_piece p = {.text = piece->text};
    return ch->parts ? parts_push(ch->parts, piece->text) : choice_on_part(ch, &p);
}

static void send_piece(choice *ch, const fh_gen_piece *piece)
{
    call_note *n = note_new(ch->c);
    ch->c->events = n ? &n->data : NULL;
    bool good = n && add_events(ch, piece), silent = good && !n->data.len;
    ch->failed = !good || (!silent && !fh_loop_post(ch->c->s->loop, call_on_note, n));
    if ((ch->failed || silent) && n) {
        fh_buf_fini(&n->data);
        fh_free(n);
    }
}

static bool keep_piece(choice *ch, fh_str text)
{
    return ch->parts ? parts_push(ch->parts, text) : fh_buf_add(&ch->text, text.ptr, text.len);
}

void choice_on_begun(void *arg, fh_str text)
{
    choice *ch = arg;
    if (ch->parts && parts_skip(ch->parts, text, NULL)) ch->failed = true;
}

static bool has_enough(const choice *ch)
{
    return ch->parts && parts_enough(ch->parts);
}

void choice_on_piece(void *arg, const fh_gen_piece *p)
{
    choice *ch = arg;
    if (ch->failed || has_enough(ch)) return;
    ch->c->total.prompt_tok = p->prompt_tok;
    ch->c->total.cached_tok = p->cached_tok;
    for (size_t i = 0; p->tokens && i < p->count && !ch->failed; i++) ch->failed = !add_logprob(ch, &p->tokens[i]);
    if (!ch->failed && ch->c->wire.stream)
        send_piece(ch, p);
    else if (!ch->c->wire.stream && !keep_piece(ch, p->text))
        ch->failed = true;
    if (ch->failed || has_enough(ch)) fh_gen_cancel(ch->gen);
}

int choice_echo(choice *ch, fh_str prompt, fh_err **err)
{
    const call *c = ch->c;
    FH_AUTO(buf) fh_buf json = FH_BUF(CALL_REPLY_MAX);
    fh_wire_piece p = piece_of(ch, prompt);
    if (!c->wire.stream) {
        fh_buf_add(&ch->text, prompt.ptr, prompt.len);
        return fh_buf_check(&ch->text, err, "the echoed prompt");
    }
    if (fh_wire_chunk_write(&json, &c->reply, &p)) event(&ch->c->echo, &json);
    ch->characters += count_characters(prompt);
    return fh_buf_check(&c->echo, err, "the echoed prompt");
}

/* ---- ends ---- */

static double per_second(uint64_t count, int64_t ns)
{
    return ns > 0 ? (double)count * FH_NS_PER_S / (double)ns : 0;
}

/* As llama-server's: prompt_n is what was computed, not what the cache had; draft_n where something was guessed ahead. The first token
 * belongs to the prompt's time. */
static void timings(const fh_gen_end *e, char *out, size_t out_size)
{
    uint64_t prompt = e->prompt_tok - e->cached_tok, later = e->generated_tok ? e->generated_tok - 1 : 0;
    snprintf(out, out_size,
             ",\"timings\":{\"cache_n\":%llu,\"prompt_n\":%llu,\"prompt_ms\":%.3f,\"prompt_per_second\":%.2f,\"predicted_n\":%llu,"
             "\"predicted_ms\":%.3f,"
             "\"predicted_per_second\":%.2f,\"queued_ms\":%.3f",
             (unsigned long long)e->cached_tok, (unsigned long long)prompt, (double)e->prompt_ns / FH_NS_PER_MS,
             per_second(prompt, e->prompt_ns), (unsigned long long)e->generated_tok, (double)e->generate_ns / FH_NS_PER_MS,
             per_second(later, e->generate_ns), (double)e->queued_ns / FH_NS_PER_MS);
    size_t n = strlen(out);
    if (e->drafted_tok)
        n += (size_t)snprintf(out + n, out_size - n, ",\"draft_n\":%llu,\"draft_n_accepted\":%llu", (unsigned long long)e->drafted_tok,
                              (unsigned long long)e->accepted_tok);
    snprintf(out + n, out_size - n, "}");
}

static fh_wire_usage usage_of(const fh_gen_end *e)
{
    return (fh_wire_usage){.prompt_tok = e->prompt_tok,
                           .completion_tok = e->generated_tok,
                           .cached_tok = e->cached_tok,
                           .predicted_tok = e->predicted_tok,
                           .mispredicted_tok = e->mispredicted_tok};
}

/* Of a prompt that all choices have, and what each of them got. */
static void add_to_total(call *c, const fh_gen_end *e)
{
    fh_gen_end *t = &c->total;
    if (c->ended == 1) {
        t->queued_ns = e->queued_ns;
        t->prompt_ns = e->prompt_ns;
        t->cached_tok = e->cached_tok;
    }
    t->prompt_tok = e->prompt_tok;
    t->generated_tok += e->generated_tok;
    t->drafted_tok += e->drafted_tok;
    t->accepted_tok += e->accepted_tok;
    t->predicted_tok += e->predicted_tok;
    t->mispredicted_tok += e->mispredicted_tok;
    t->generate_ns = FH_MAX(t->generate_ns, e->generate_ns);
}

static void add_extra(fh_buf *json, const call *c)
{
    char extra[512];
    timings(&c->total, extra, sizeof extra);
    json->data[--json->len] = '\0';
    fh_buf_adds(json, extra);
    fh_buf_addc(json, '}');
}

/* The chunk that says why the last choice ended carries the timings when no usage chunk follows. */
static void end_choice_of_stream(choice *ch, bool last)
{
    call *c = ch->c;
    FH_AUTO(buf) fh_buf json = FH_BUF(CALL_CHUNK_MAX);
    if (c->tells_tokens && c->untold.count) tell_tokens(c);
    fh_wire_piece p = piece_of(ch, (fh_str){"", 0});
    p.finish = ch->finish;
    p.stop = (fh_str){fh_buf_cstr(&ch->stop), ch->stop.len};
    fh_wire_chunk_write(&json, &c->reply, &p);
    if (last && !c->wire.include_usage && json.len) add_extra(&json, c);
    event(c->events, &json);
}

static void end_stream(call *c, fh_buf *out)
{
    FH_AUTO(buf) fh_buf json = FH_BUF(CALL_CHUNK_MAX);
    fh_wire_usage u = usage_of(&c->total);
    char extra[512];
    if (c->wire.include_usage) {
        timings(&c->total, extra, sizeof extra);
        fh_wire_usage_chunk_write(&json, &c->reply, &u, extra);
        event(out, &json);
    }
    fh_buf_adds(out, "data: [DONE]\n\n");
}

static void write_reply(call *c, fh_buf *out)
{
    fh_wire_piece pieces[FH_LIMIT_CHOICES];
    fh_wire_usage u = usage_of(&c->total);
    char extra[512];
    timings(&c->total, extra, sizeof extra);
    for (size_t i = 0; i < c->count; i++) {
        choice *ch = &c->choices[i];
        pieces[i] = piece_of(ch, (fh_str){fh_buf_cstr(&ch->text), ch->text.len});
        if (ch->parts && !parts_take(ch->parts, &pieces[i])) out->failed = true;
        pieces[i].finish = ch->finish;
        pieces[i].stop = (fh_str){fh_buf_cstr(&ch->stop), ch->stop.len};
    }
    fh_wire_reply_write(out, &c->reply, pieces, c->count, &u, extra);
}

/* The first failure is what the client is told; the other choices are of no use then. */
static void note_failure(call *c, const fh_gen_end *e)
{
    fh_err *err = NULL;
    if (c->error.len) return;
    if (!e->err)
        fh_err_set(&err, FH_E_UNAVAILABLE,
                   e->finish == FH_GEN_SHUTDOWN ? "the engine is stopping" : "the engine could not go on: out of memory");
    c->status = fh_code_http(fh_err_code(e->err ? e->err : err));
    fh_wire_error_write(&c->error, e->err ? e->err : err);
    fh_err_free(err);
    for (size_t i = 0; i < c->count; i++) fh_gen_cancel(c->choices[i].gen);
}

static void end_call(call *c, call_note *n)
{
    n->last = true;
    n->cut = c->error.len > 0;
    if (n->cut && c->wire.stream)
        event(&n->data, &c->error);
    else if (n->cut)
        fh_buf_add(&n->data, c->error.data, c->error.len);
    else if (c->wire.stream)
        end_stream(c, &n->data);
    else
        write_reply(c, &n->data);
}

void choice_on_end(void *arg, const fh_gen_end *e)
{
    choice *ch = arg;
    call *c = ch->c;
    call_note *n = note_new_surely(c);
    bool enough = has_enough(ch); /* then it was us who cancelled */
    bool good = !ch->failed && (e->finish == FH_GEN_STOP || e->finish == FH_GEN_LENGTH || enough), last = ++c->ended == c->count;
    c->events = &n->data;
    if (good && ch->parts) good = parts_finish(ch->parts);
    ch->finish = e->finish == FH_GEN_LENGTH ? "length" : ch->parts && parts_has_calls(ch->parts) ? "tool_calls" : "stop";
    if (e->stop.len && !fh_buf_add(&ch->stop, e->stop.ptr, e->stop.len)) good = false;
    c->cancelled |= e->finish == FH_GEN_CANCELLED && !enough && !c->error.len;
    add_to_total(c, e);
    if (!good)
        note_failure(c, e);
    else if (c->wire.stream && !c->error.len)
        end_choice_of_stream(ch, last);
    if (last) end_call(c, n);
    while (!fh_loop_post(c->s->loop, call_on_note, n)) fh_sleep_ns(FH_NS_PER_MS);
}
