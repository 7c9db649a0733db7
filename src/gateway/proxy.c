/* One request on its way through an engine and back.
 *
 *   PICKING -> CALLING -> (headers) -> PLAIN      the reply is collected and sent whole
 *      ^          |            \-----> STREAMING  whole events are passed on as they come
 *      \- waiting for a replica, once, when the first one broke before a byte of the answer was sent
 *
 * What holds: p->call is the one open call or NULL; the client's request is alive as long as the proxy is; ends exactly once, by finish()
 * or by the client's leaving, which cancels the call. What was sent to the client is never sent twice: once STREAMING has begun there is no
 * second try. */
#include "base/clock.h"
#include "base/limits.h"
#include "gateway_private.h"
#include "wire/openai.h"

#include <stdio.h>
#include <string.h>

#define REPLACE_WAIT_NS (FH_LIMIT_REPLACE_WAIT_MS * FH_NS_PER_MS)
#define REPLACE_POLL_NS (50 * FH_NS_PER_MS)

typedef struct proxy {
    fh_gateway *gateway;
    fh_lane *lane; /* of the request's loop */
    fh_http_req *req;
    fh_http_call *call;
    fh_timer *timer; /* while a replacement is waited for */
    fh_operation op;
    bool wants_stream, streaming, second_try, done_seen;
    bool failed; /* the reply is an error, ours or the engine's */
    char model[256];
    char salt[33];  /* of the client's key */
    fh_route route; /* the replica in use, or the one that broke */
    int64_t start_ns, replace_until_ns;
    int status; /* of the engine's reply; 0 before its headers */
    char type[128], retry_after[32];
    fh_buf data;    /* PLAIN: the reply so far; STREAMING: an event that is not whole yet */
    fh_err *broken; /* why the first try broke; owned */
} proxy;

static void pick(proxy *p);

static void proxy_free(proxy *p)
{
    p->lane->metrics.in_flight--;
    fh_timer_free(p->timer);
    fh_buf_fini(&p->data);
    fh_err_free(p->broken);
    fh_free(p);
}

/* The reply has ended. */
static void finish(proxy *p)
{
    fh_metrics *m = &p->lane->metrics;
    fh_histogram_add(&m->duration[p->op], fh_clock_mono_ns() - p->start_ns);
    (p->failed ? m->failed : m->finished)[p->op]++;
    proxy_free(p);
}

static void first_byte(proxy *p)
{
    fh_histogram_add(&p->lane->metrics.first_byte[p->op], fh_clock_mono_ns() - p->start_ns);
}

static void add_choice_headers(proxy *p)
{
    fh_http_reply_header(p->req, "x-freehold-model", p->route.model);
    fh_http_reply_header(p->req, "x-freehold-place", p->route.place);
    fh_http_reply_header(p->req, "x-freehold-reason", p->route.reason);
    fh_http_reply_header(p->req, "x-freehold-cache", "off");
}

/* Takes err. */
static void fail(proxy *p, fh_err *err)
{
    p->failed = true;
    if (p->second_try) fh_http_reply_header(p->req, "x-should-retry", "false");
    fh_gateway_reply_error(p->req, err);
    fh_err_free(err);
    finish(p);
}

static void client_gone(void *arg)
{
    proxy *p = arg;
    p->lane->metrics.cancelled++;
    if (p->call) fh_http_call_cancel(p->call);
    proxy_free(p);
}

static void client_drained(void *arg)
{
    proxy *p = arg;
    if (p->call) fh_http_call_resume(p->call);
}

/* The stream cannot go on: an error event says so, and there is no [DONE]. Takes err. */
static void cut(proxy *p, fh_err *err)
{
    FH_AUTO(buf) fh_buf event = FH_BUF(1 << 16);
    fh_buf_adds(&event, "data: ");
    fh_wire_error_write(&event, err);
    fh_buf_adds(&event, "\n\n");
    fh_err_free(err);
    if (fh_buf_ok(&event)) fh_http_reply_write(p->req, event.data, event.len);
    fh_http_reply_end(p->req);
    p->lane->metrics.cut++;
    p->failed = true;
    finish(p);
}

static void keep_header(char *out, size_t out_size, const fh_header *headers, size_t count, const char *name)
{
    fh_str v = fh_headers_find(headers, count, name);
    if (v.len < out_size) snprintf(out, out_size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    proxy *p = arg;
    p->status = status;
    keep_header(p->type, sizeof p->type, headers, count, "content-type");
    keep_header(p->retry_after, sizeof p->retry_after, headers, count, "retry-after");
}

static bool is_event_stream(const proxy *p)
{
    return p->status == 200 && p->wants_stream && fh_str_starts(fh_str_of(p->type), FH_STR("text/event-stream"));
}

static void start_stream(proxy *p)
{
    p->streaming = true;
    first_byte(p);
    add_choice_headers(p);
    fh_http_reply_header(p->req, "Cache-Control", "no-cache");
    fh_http_reply_header(p->req, "X-Accel-Buffering", "no");
    fh_http_reply_on_drain(p->req, client_drained, p);
    fh_http_reply_start(p->req, 200, "text/event-stream; charset=utf-8");
}

/* Sends the whole events; false when the client reads too slowly. */
static bool pass_events(proxy *p)
{
    fh_str events = {fh_buf_cstr(&p->data), fh_sse_whole((fh_str){fh_buf_cstr(&p->data), p->data.len})};
    if (events.len == 0) return true;
    if (!p->streaming) start_stream(p);
    p->done_seen = fh_sse_ends_done(events);
    bool go_on = fh_http_reply_write(p->req, events.ptr, events.len);
    fh_buf_consume(&p->data, events.len);
    return go_on;
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    proxy *p = arg;
    if (!fh_buf_add(&p->data, data, bytes)) return true; /* judged at the end: the buffer remembers */
    return is_event_stream(p) ? pass_events(p) : true;
}

static bool engine_broke(const proxy *p, int status)
{
    return status == 0 || (status >= 500 && status != 501);
}

/* Asks again until the broken replica was replaced, or another one is there, or time is up. */
static void replace(proxy *p, const fh_err *why)
{
    fh_err_free(p->broken);
    p->broken = NULL;
    fh_err_set(&p->broken, FH_E_UPSTREAM, "the engine broke before it answered: %s",
               why ? fh_err_message(why) : "it replied with an error");
    fh_err_hint(&p->broken, "`freehold events %s` tells what happened to it", p->route.deployment);
    p->second_try = true;
    p->replace_until_ns = fh_clock_mono_ns() + REPLACE_WAIT_NS;
    p->lane->metrics.retried++;
    pick(p);
}

static void end_stream(proxy *p, const fh_err *why)
{
    fh_err *err = NULL;
    if (why)
        fh_err_set(&err, FH_E_UPSTREAM, "the engine broke in the middle of the answer: %s", fh_err_message(why));
    else if (fh_buf_check(&p->data, &err, "one event of the stream"))
        fh_err_add(&err, "the answer cannot be passed on");
    else if (!p->done_seen)
        fh_err_set(&err, FH_E_UPSTREAM, "the engine ended the answer too early");
    if (err) {
        fh_err_hint(&err, "what was sent so far is all there is; ask again for a whole answer");
        cut(p, err);
        return;
    }
    fh_http_reply_end(p->req);
    finish(p);
}

static void send_plain(proxy *p)
{
    fh_err *err = NULL;
    if (fh_buf_check(&p->data, &err, "the engine's reply")) {
        fail(p, err);
        return;
    }
    p->failed = p->status >= 400;
    first_byte(p);
    add_choice_headers(p);
    if (p->retry_after[0]) fh_http_reply_header(p->req, "Retry-After", p->retry_after);
    if (p->second_try && p->failed) fh_http_reply_header(p->req, "x-should-retry", "false");
    fh_http_reply(p->req, p->status, p->type[0] ? p->type : "application/json", fh_buf_cstr(&p->data), p->data.len);
    finish(p);
}

static void engine_failed_twice(proxy *p, const fh_err *why)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_UPSTREAM, "the engine broke twice before it answered%s%s", why ? ": " : "", why ? fh_err_message(why) : "");
    fh_err_hint(&err, "`freehold events %s` tells what happened to it", p->route.deployment);
    fail(p, err);
}

static void call_done(void *arg, int status, const fh_err *why)
{
    proxy *p = arg;
    p->call = NULL;
    if (p->streaming) {
        end_stream(p, why);
        return;
    }
    if (!engine_broke(p, status)) {
        send_plain(p);
        return;
    }
    p->gateway->config.routes.report(p->gateway->config.routes.ctx, p->route.deployment, FH_E_UPSTREAM);
    if (p->second_try)
        engine_failed_twice(p, why);
    else
        replace(p, why);
}

static void call(proxy *p)
{
    fh_err *err = NULL;
    char url[512];
    fh_str path = fh_http_req_path(p->req);
    snprintf(url, sizeof url, "%s%.*s", p->route.base_url, (int)FH_MIN(path.len, (size_t)200), path.ptr);
    const fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")},
                                 {FH_STR("x-request-id"), fh_str_of(fh_http_req_id(p->req))},
                                 {FH_STR("x-freehold-salt"), fh_str_of(p->salt)}};
    fh_http_call_spec spec = {
        .method = "POST",
        .url = url,
        .unix_path = p->route.unix_path[0] ? p->route.unix_path : NULL,
        .headers = headers,
        .header_count = FH_COUNT(headers),
        .body = fh_http_req_body(p->req),
        .on_headers = got_headers,
        .on_data = got_data,
        .on_done = call_done,
        .arg = p,
    };
    p->status = 0;
    p->type[0] = p->retry_after[0] = '\0';
    fh_buf_clear(&p->data);
    p->data.max = p->wants_stream ? (size_t)FH_LIMIT_SSE_EVENT_BYTES : (size_t)FH_LIMIT_JSON_BODY_BYTES;
    int rc = fh_http_call_start(&p->call, p->lane->client, &spec, &err);
    if (rc) fail(p, err);
}

static void pick_again(void *arg)
{
    pick(arg);
}

static void wait_for_replacement(proxy *p)
{
    fh_err *err = NULL;
    if (!p->timer && fh_timer_new(&p->timer, p->lane->loop, pick_again, p, &err)) {
        fail(p, err);
        return;
    }
    fh_timer_start(p->timer, REPLACE_POLL_NS);
}

static void pick(proxy *p)
{
    fh_err *err = NULL;
    const fh_route_port *routes = &p->gateway->config.routes;
    fh_route broken = p->route;
    int rc = routes->pick(routes->ctx, fh_str_of(p->model), p->second_try ? &broken : NULL, &p->route, &err);
    if (!rc) {
        call(p);
        return;
    }
    p->route = broken;
    if (!p->second_try) {
        fail(p, err);
        return;
    }
    fh_err_free(err);
    if (fh_clock_mono_ns() < p->replace_until_ns)
        wait_for_replacement(p);
    else
        fail(p, fh_take(p->broken));
}

/* How long a prompt takes tells whether somebody sent its beginning before: so engines reuse what they computed only among requests of
 * one salt, which is made here from the key and a secret, and never taken from the client. */
static int make_salt(const fh_gateway *g, fh_str key_id, char out[33], fh_err **err)
{
    uint8_t digest[32];
    FH_AUTO(buf) fh_buf text = FH_BUF(1024);
    fh_buf_addf(&text, "%s %.*s", g->secret, (int)FH_MIN(key_id.len, (size_t)256), key_id.ptr ? key_id.ptr : "");
    int rc = fh_buf_check(&text, err, "the salt");
    if (rc) return rc;
    if (!fh_sha256((fh_str){text.data, text.len}, digest)) return fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    for (size_t i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int prepare(proxy *p, fh_str key_id, fh_str model, fh_err **err)
{
    if (!p) return fh_err_nomem(err);
    if (model.len >= sizeof p->model) return fh_err_set(err, FH_E_NOT_FOUND, "there is no model with a name of %zu bytes", model.len);
    memcpy(p->model, model.ptr, model.len);
    return make_salt(p->gateway, key_id, p->salt, err);
}

void fh_proxy_start(fh_gateway *g, fh_http_req *req, fh_str key_id, fh_operation op, fh_str model, bool stream)
{
    fh_err *err = NULL;
    proxy *p = fh_calloc(1, sizeof *p);
    if (p)
        *p = (proxy){
            .gateway = g, .lane = fh_gateway_lane(g, req), .req = req, .op = op, .wants_stream = stream, .start_ns = fh_clock_mono_ns()};
    if (prepare(p, key_id, model, &err)) {
        fh_free(p);
        fh_gateway_reply_error(req, err);
        fh_err_free(err);
        return;
    }
    p->lane->metrics.in_flight++;
    fh_http_req_on_gone(req, client_gone, p);
    pick(p);
}
