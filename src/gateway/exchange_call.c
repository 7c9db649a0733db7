/* The call of one exchange: what goes to the replica, and what its reply means for the exchange's life (see exchange.h). */
#include "exchange.h"
#include "exchange_model.h"

#include <stdio.h>
#include <string.h>

static void keep_header(char *out, size_t out_size, const fh_header *headers, size_t count, const char *name)
{
    fh_str v = fh_headers_find(headers, count, name);
    if (v.len < out_size) snprintf(out, out_size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    fh_exchange *x = arg;
    x->status = status;
    keep_header(x->type, sizeof x->type, headers, count, "content-type");
    keep_header(x->retry_after, sizeof x->retry_after, headers, count, "retry-after");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    fh_exchange *x = arg;
    if (x->upstream_error || x->crowded || !fh_buf_add(&x->in, data, bytes)) return true; /* judged at the end: the buffer remembers */
    if (!fh_exchange_is_stream(x)) {
        if (!fh_exchange_hold_reply(x)) fh_exchange_crowd(x);
        return true;
    }
    x->paused = !fh_exchange_take_events(x);
    return !x->paused;
}

/* A refusal of our own key for the upstream is not the client's affair. */
static bool upstream_broke(const fh_exchange *x, int status)
{
    bool our_key = x->route.secret[0] && (status == 401 || status == 403);
    return status == 0 || our_key || (status >= 500 && status != 501);
}

static void end_stream(fh_exchange *x)
{
    fh_exchange_end_stream(x);
    fh_exchange_finish(x);
}

static void stream_done(fh_exchange *x, const fh_err *why)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (x->upstream_error)
        why = x->upstream_error;
    else if (x->end_seen)
        why = NULL;
    else if (!why && fh_buf_check(&x->in, &err, "one event of the stream"))
        why = err;
    else if (!why) {
        fh_err_set(&err, FH_E_UPSTREAM, "it ended too early");
        why = err;
    }
    if (why) {
        fh_exchange_broke(x, why);
        return;
    }
    fh_exchange_leave(x, FH_OUTCOME_GOOD);
    if (!fh_exchange_counts(x, end_stream)) end_stream(x);
}

static void give_plain(fh_exchange *x)
{
    fh_exchange_give_plain(x);
    fh_exchange_finish(x);
}

static void plain_done(fh_exchange *x)
{
    fh_err *err = NULL;
    fh_outcome outcome = x->status == 429 ? FH_OUTCOME_FAILED : FH_OUTCOME_GOOD;
    if (x->status == 429 && fh_exchange_wait_for_room(x)) return;
    if (fh_buf_check(&x->in, &err, "the engine's reply")) {
        fh_exchange_leave(x, outcome);
        fh_exchange_fail(x, err);
        return;
    }
    if (fh_exchange_escalates(x)) {
        fh_exchange_leave(x, outcome);
        fh_exchange_again(x);
        return;
    }
    if (fh_exchange_held(x)) {
        fh_exchange_leave(x, outcome);
        fh_exchange_fail_held(x);
        return;
    }
    x->failed = x->status >= 400;
    fh_exchange_read_plain(x);
    bool fits = fh_exchange_hold_reply(x);
    fh_exchange_leave(x, outcome); /* what was used is known now */
    if (!fits) {
        fh_exchange_no_room(&err);
        fh_exchange_fail(x, err);
        return;
    }
    if (x->failed || !fh_exchange_counts(x, give_plain)) give_plain(x);
}

static void call_done(void *arg, int status, const fh_err *why)
{
    fh_exchange *x = arg;
    x->call = NULL;
    if (x->crowded)
        fh_exchange_crowded(x);
    else if (fh_exchange_is_stream(x))
        stream_done(x, why);
    else if (upstream_broke(x, status) || (x->streaming && status != 200))
        fh_exchange_broke(x, why);
    else
        plain_done(x);
}

static int add_auth(const fh_exchange *x, fh_header *headers, size_t *count, fh_buf *text, fh_err **err)
{
    bool anthropic = x->route.dialect == FH_DIALECT_MESSAGES;
    if (anthropic) headers[(*count)++] = (fh_header){FH_STR("anthropic-version"), FH_STR("2023-06-01")};
    if (!x->route.secret[0]) return 0;
    if (!anthropic) fh_buf_adds(text, "Bearer ");
    fh_buf_adds(text, x->route.secret);
    headers[(*count)++] = (fh_header){anthropic ? FH_STR("x-api-key") : FH_STR("Authorization"), {fh_buf_cstr(text), text->len}};
    return fh_buf_check(text, err, "the upstream's key");
}

/* Computed pages of a prompt may lie on this machine's disk, if nobody says otherwise, and never on another's. */
static bool keeps_pages(const fh_exchange *x)
{
    bool here = strcmp(x->route.place, "here") == 0;
    return here && !x->gateway->config.no_pages && !x->key.no_pages && x->cache_wish != FH_CACHE_NEVER;
}

/* Own engines also get the salt and the priority, and say which tokens an event holds. */
static size_t add_own(const fh_exchange *x, fh_header *headers, size_t count)
{
    if (!x->route.own_engine) return count;
    headers[count++] = (fh_header){FH_STR("x-freehold-salt"), fh_str_of(x->salt)};
    headers[count++] = (fh_header){FH_STR("x-freehold-priority"), fh_str_of(fh_priority_name(x->priority))};
    if (!keeps_pages(x)) headers[count++] = (fh_header){FH_STR("x-freehold-page-cache"), FH_STR("off")};
    if (x->wants_stream) headers[count++] = (fh_header){FH_STR("x-freehold-tokens"), FH_STR("1")};
    return count;
}

static int call(fh_exchange *x, fh_str body, fh_err **err)
{
    char url[512];
    fh_str path = x->dialect == FH_DIALECTS ? fh_http_req_path(x->req) : fh_str_of(fh_ask_path(x->dialect, &x->route, x->counting));
    snprintf(url, sizeof url, "%s%.*s", x->route.base_url, (int)FH_MIN(path.len, (size_t)200), path.ptr);
    char trace[FH_TRACEPARENT_LEN + 1];
    FH_AUTO(buf) fh_buf auth = FH_BUF(1024);
    fh_header headers[10] = {{FH_STR("Content-Type"), FH_STR("application/json")}, {FH_STR("x-request-id"), fh_str_of(x->request_id)}};
    size_t count = fh_seen_headers(x, trace, headers, add_own(x, headers, 2));
    int rc = add_auth(x, headers, &count, &auth, err);
    fh_http_call_spec spec = {
        .method = "POST",
        .url = url,
        .unix_path = x->route.unix_path[0] ? x->route.unix_path : NULL,
        .headers = headers,
        .header_count = count,
        .body = body,
        .on_headers = got_headers,
        .on_data = got_data,
        .on_done = call_done,
        .arg = x,
    };
    if (rc == 0) rc = fh_http_call_start(&x->call, x->lane->client, &spec, err);
    if (auth.data) explicit_bzero(auth.data, auth.len);
    return rc;
}

static void forget_reply(fh_exchange *x)
{
    x->status = 0;
    x->type[0] = x->retry_after[0] = '\0';
    x->begun = x->end_seen = x->stalled = x->crowded = false;
    if (x->resumed && fh_sent_resume(&x->sent, x->route.resume) == FH_RESUME_TEXT) fh_sent_expect_blanks(&x->sent);
    x->finishes = 0;
    fh_buf_clear(&x->held);
    x->held.max = FH_LIMIT_SSE_EVENT_BYTES;
    x->held_end = false;
    fh_buf_clear(&x->in);
    fh_exchange_hold_reply(x);
    x->in.max = x->wants_stream        ? (size_t)FH_LIMIT_SSE_EVENT_BYTES
                : x->op == FH_OP_EMBED ? (size_t)FH_LIMIT_EMBED_REPLY_BYTES
                                       : (size_t)FH_LIMIT_JSON_BODY_BYTES;
    fh_err_free(x->upstream_error);
    x->upstream_error = NULL;
}

static int read_again(fh_exchange *x, fh_err **err)
{
    return x->ask.common.doc ? 0 : fh_ask_read(&x->ask, x->dialect, x->counting, x->body, err);
}

/* As the client sent it, but for the model's name where the upstream has another. */
static int send_raw(fh_exchange *x, fh_err **err)
{
    const char *model = x->route.upstream_model;
    FH_AUTO(buf) fh_buf text = FH_BUF(2u * FH_LIMIT_JSON_BODY_BYTES);
    FH_AUTO(buf) fh_buf name = FH_BUF(4096);
    if (!model[0]) return call(x, x->body, err);
    fh_buf_add_json_string(&name, model, strlen(model));
    fh_wire_edit edit = {"model", fh_buf_cstr(&name)};
    int rc = fh_buf_check(&name, err, "the model's name");
    if (rc == 0) rc = fh_wire_body_edit(x->body, &edit, 1, &text, err);
    return rc == 0 ? call(x, (fh_str){fh_buf_cstr(&text), text.len}, err) : rc;
}

/* What of the reply will not be as the client's API has it. */
static int expect_reply(fh_exchange *x, fh_err **err)
{
    fh_str beginning = x->route.repeats_beginning && !x->wants_stream ? fh_wire_beginning(&x->ask.common) : FH_STR("");
    fh_free(x->repeated);
    x->repeated = beginning.len ? fh_strndup(beginning.ptr, beginning.len) : NULL;
    x->forces = fh_ask_forces(&x->ask, &x->route);
    x->hides = !x->counting && fh_ask_watches(&x->ask, &x->route);
    return beginning.len && !x->repeated ? fh_err_nomem(err) : 0;
}

int fh_exchange_send(fh_exchange *x, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(3u * FH_LIMIT_JSON_BODY_BYTES);
    forget_reply(x);
    if (x->dialect == FH_DIALECTS) return send_raw(x, err);
    int rc = read_again(x, err);
    if (rc == 0 && x->images) rc = fh_images_put(x->images, &x->ask, err);
    uint64_t seed = x->route.resume == FH_RESUME_TOKENS ? x->seed : 0;
    uint32_t choices = FH_MAX(x->ask.common.choices, 1u);
    x->ask.most_tok = x->most_tok ? FH_MAX(x->most_tok / choices, (int64_t)1) : 0;
    x->sent.choices = choices;
    if (rc == 0) rc = fh_ask_write(&x->ask, &x->route, seed, x->streaming ? &x->sent : NULL, &text, err);
    if (rc == 0) rc = expect_reply(x, err);
    if (rc == 0) rc = fh_exchange_listen(x, err);
    if (rc == 0) fh_exchange_count_begin(x);
    if (rc == 0) rc = call(x, (fh_str){fh_buf_cstr(&text), text.len}, err);
    if (rc == 0 && !x->ask.original) fh_ask_fini(&x->ask);
    return rc;
}
