/* /v1/embeddings: each input is a request of its own to the batch, some of them at once; the reply is whole when all are in.
 *
 * A call takes half of the engine's places at most, so that somebody who generates finds one. The batch thread copies a vector into its
 * item and posts the item; the loop's thread writes it as JSON, submits the next input, and replies behind the last. The call lives until
 * everything that it submitted has ended, also when the client went away before. */
#include "serve_private.h"
#include "base/clock.h"
#include "base/limits.h"
#include "wire/embeddings.h"

#include <string.h>

typedef struct call call;
typedef struct item {
    call *c;
    fh_tokens tokens; /* until they are submitted */
    fh_gen *gen;      /* while it is in the batch, as is the next */
    float *vector;    /* owned; the batch thread's */
    fh_gen_finish finish;
    fh_buf text; /* the reply's member */
} item;

struct call {
    serve *s;
    fh_http_req *req; /* NULL once the client has gone */
    item *items;      /* owned, one an input */
    size_t count, next, running, running_max, embd;
    uint64_t tokens;
    bool base64;
    size_t bytes; /* that the reply may have, held of serve's embed_bytes */
    fh_err *err;  /* owned: why there will be no reply */
};

static void item_release(item *it)
{
    fh_gen_release(it->gen);
    fh_free(it->vector);
    it->gen = NULL;
    it->vector = NULL;
}

static void call_free(call *c)
{
    if (!c) return;
    for (size_t i = 0; c->items && i < c->count; i++) {
        fh_tokens_fini(&c->items[i].tokens);
        fh_buf_fini(&c->items[i].text);
    }
    c->s->embed_bytes -= c->bytes;
    fh_free(c->items);
    fh_err_free(c->err);
    fh_free(c);
}

/* ---- the batch thread's half ---- */

static void on_note(void *arg);

static void on_end(void *arg, const fh_gen_end *e)
{
    item *it = arg;
    it->finish = e->finish;
    if (e->vector) memcpy(it->vector, e->vector, it->c->embd * sizeof *it->vector);
    while (!fh_loop_post(it->c->s->loop, on_note, it)) fh_sleep_ns(FH_NS_PER_MS); /* only memory can be missing, and it comes back */
}

/* ---- the loop's half ---- */

/* What still runs ends without a vector; an engine that stops ends it by itself. */
static void cancel_running(call *c)
{
    for (size_t i = 0; c->s->state == SERVE_READY && i < c->next; i++)
        if (c->items[i].gen) fh_gen_cancel(c->items[i].gen);
}

static void on_gone(void *arg)
{
    call *c = arg;
    c->req = NULL;
    cancel_running(c);
}

static int submit(call *c, item *it, fh_err **err)
{
    if (c->s->state != SERVE_READY) return fh_err_set(err, FH_E_UNAVAILABLE, "the engine is stopping");
    fh_gen_request r = {.tokens = it->tokens.ids, .token_count = it->tokens.count, .embed = true, .on_end = on_end, .arg = it};
    it->vector = fh_calloc(c->embd, sizeof *it->vector);
    int rc = it->vector ? fh_engine_submit(c->s->engine, &r, &it->gen, err) : fh_err_nomem(err);
    if (rc) {
        item_release(it);
        return rc;
    }
    fh_tokens_fini(&it->tokens);
    it->tokens = (fh_tokens){0};
    c->next++;
    c->running++;
    return 0;
}

/* A full queue is an error only for who has nothing in it. */
static void submit_some(call *c)
{
    while (!c->err && c->req && c->next < c->count && c->running < c->running_max) {
        fh_err *err = NULL;
        int rc = submit(c, &c->items[c->next], &err);
        if (rc == FH_E_BUSY && c->running) {
            fh_err_free(err);
            return;
        }
        if (rc) fh_err_move(&c->err, &err);
    }
    if (c->err) cancel_running(c);
}

static void take_vector(call *c, item *it)
{
    if (it->finish == FH_GEN_STOP) {
        it->text = FH_BUF(c->bytes);
        fh_wire_embed_vector_write(&it->text, (size_t)(it - c->items), it->vector, c->embd, c->base64);
        if (!c->err) fh_buf_check(&it->text, &c->err, "the vector");
    } else if (!c->err)
        fh_err_set(&c->err, FH_E_UNAVAILABLE, it->finish == FH_GEN_SHUTDOWN ? "the engine is stopping" : "the input was not computed");
    item_release(it);
}

static void reply(call *c)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_EMBED_REPLY_BYTES);
    fh_wire_embed_head_write(&body);
    for (size_t i = 0; i < c->count; i++) {
        if (i) fh_buf_addc(&body, ',');
        fh_buf_add(&body, c->items[i].text.data, c->items[i].text.len);
        fh_buf_fini(&c->items[i].text);
    }
    fh_wire_embed_end_write(&body, c->s->name, c->tokens);
    serve_json(c->req, 200, &body);
    c->s->replies_ok++;
}

static void finish(call *c)
{
    if (!c->req)
        c->s->replies_cancelled++;
    else if (c->err)
        serve_error(c->s, c->req, fh_take(c->err));
    else
        reply(c);
    call_free(c);
}

static void on_note(void *arg)
{
    item *it = arg;
    call *c = it->c;
    c->running--;
    take_vector(c, it);
    submit_some(c);
    if (c->running == 0) finish(c);
}

/* ---- starting ---- */

static int bad(fh_err **err, const char *param)
{
    fh_err_param(err, "%s", param);
    return FH_E_INVALID;
}

static int take_ids(const fh_vocab *v, const fh_wire_embed_input *in, const char *name, fh_tokens *out, fh_err **err)
{
    for (size_t i = 0; i < in->token_count; i++) {
        if ((size_t)in->tokens[i] >= fh_vocab_size(v)) {
            fh_err_set(err, FH_E_INVALID, "token %d of '%s' is outside the vocabulary of %zu", in->tokens[i], name, fh_vocab_size(v));
            return bad(err, name);
        }
        if (!fh_tokens_push(out, in->tokens[i])) return fh_err_nomem(err);
    }
    return 0;
}

/* A text is text: the spelling of a special token in it is not that token. */
static int take_input(call *c, const fh_wire_embed_request *r, size_t i, fh_err **err)
{
    const fh_wire_embed_input *in = &r->inputs[i];
    const fh_vocab *v = fh_engine_vocab(c->s->engine);
    uint32_t context = fh_engine_info_get(c->s->engine)->context_tok;
    fh_tokens *tokens = &c->items[i].tokens;
    char name[FH_WIRE_EMBED_NAME_MAX];
    fh_wire_embed_input_name(r, i, name);
    int rc = in->tokens ? take_ids(v, in, name, tokens, err) : fh_vocab_encode(v, in->text, FH_ENCODE_BOS, tokens, err);
    if (rc) return rc;
    if (tokens->count == 0) {
        fh_err_set(err, FH_E_INVALID, "'%s' has no tokens: there is nothing to embed", name);
        return bad(err, name);
    }
    if (tokens->count <= context) {
        c->tokens += tokens->count;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "'%s' has %zu tokens, but the context is %u tokens", name, tokens->count, context);
    fh_err_hint(err, "split it, or start the model with a larger --context");
    fh_err_reason(err, "context_length_exceeded");
    return bad(err, name);
}

static int take_inputs(call *c, const fh_wire_embed_request *r, fh_err **err)
{
    c->items = fh_calloc(r->input_count, sizeof *c->items);
    if (!c->items) return fh_err_nomem(err);
    c->count = r->input_count;
    int rc = 0;
    for (size_t i = 0; i < c->count && !rc; i++) {
        c->items[i].c = c;
        rc = take_input(c, r, i, err);
        if (rc || c->tokens <= FH_LIMIT_EMBED_TOK) continue;
        fh_err_set(err, FH_E_INVALID, "the inputs have more than %d tokens together", FH_LIMIT_EMBED_TOK);
        fh_err_hint(err, "ask for fewer in one request");
        rc = bad(err, "input");
    }
    return rc;
}

static int check_dimensions(const call *c, const fh_wire_embed_request *r, fh_err **err)
{
    if (!r->dimensions || r->dimensions == c->embd) return 0;
    fh_err_set(err, FH_E_INVALID, "the vectors of this model have %zu dimensions, and no others can be asked for", c->embd);
    fh_err_hint(err, "leave 'dimensions' out");
    return bad(err, "dimensions");
}

/* Replies that wait for their last vector are memory: of each, and of all together. */
static int hold_bytes(call *c, const fh_wire_embed_request *r, fh_err **err)
{
    size_t bytes;
    if (fh_mul_overflows(fh_wire_embed_vector_bytes(c->embd, r->base64), r->input_count, &bytes) || bytes > FH_LIMIT_EMBED_REPLY_BYTES) {
        fh_err_set(err, FH_E_INVALID, "%zu vectors of %zu dimensions are too much for one reply", r->input_count, c->embd);
        fh_err_hint(err, r->base64 ? "ask for fewer in one request" : "ask for fewer in one request, or for encoding_format base64");
        return bad(err, "input");
    }
    if (c->s->embed_bytes + bytes > FH_LIMIT_EMBED_OPEN_BYTES) {
        fh_err_set(err, FH_E_BUSY, "the requests for vectors that run already take all memory set aside for them");
        fh_err_hint(err, "try again in a moment");
        return FH_E_BUSY;
    }
    c->bytes = bytes;
    c->s->embed_bytes += bytes;
    return 0;
}

static int read_request(call *c, fh_err **err)
{
    fh_wire_embed_request r = {0};
    int rc = fh_wire_embed_parse(&r, fh_http_req_body(c->req), err);
    if (!rc) rc = check_dimensions(c, &r, err);
    if (!rc) rc = hold_bytes(c, &r, err);
    if (!rc) rc = take_inputs(c, &r, err);
    c->base64 = r.base64;
    fh_wire_embed_request_fini(&r);
    return rc;
}

void serve_embeddings(serve *s, fh_http_req *req)
{
    fh_err *err = NULL;
    const fh_engine_info *info = fh_engine_info_get(s->engine);
    call *c = fh_calloc(1, sizeof *c);
    if (!c) {
        fh_err_nomem(&err);
        serve_error(s, req, err);
        return;
    }
    *c = (call){.s = s, .req = req, .embd = info->embd, .running_max = FH_MAX(info->parallel / 2, 1u)};
    if (read_request(c, &c->err) == 0) submit_some(c);
    if (c->running == 0)
        finish(c);
    else
        fh_http_req_on_gone(req, on_gone, c);
}
