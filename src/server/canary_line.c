/* A check's calls (see canary_line.h). A hosted endpoint, or a machine of the pool, gets the headers that it gets with every request of a
 * client (gateway's exchange_call.c): a canary must look like one. */
#include "canary_line.h"

#include "base/clock.h"
#include "base/limits.h"
#include "net/secret.h"
#include "observe/trace.h"
#include <stdio.h>
#include <string.h>

enum { REPLY_BYTES = 1 << 20 };

static bool got_data(void *arg, const void *data, size_t bytes)
{
    fh_buf_add(&((canary_line *)arg)->reply, data, bytes);
    return true;
}

static int read_reply(canary_line *l, int status, fh_json **ret, fh_err **err)
{
    if (status != 200) return fh_err_set(err, FH_E_UPSTREAM, "it answers with %d", status);
    int rc = fh_buf_check(&l->reply, err, "the answer to a canary");
    return rc ? rc : fh_json_parse(ret, (fh_str){fh_buf_cstr(&l->reply), l->reply.len}, REPLY_BYTES, err);
}

static void call_done(void *arg, int status, const fh_err *why)
{
    canary_line *l = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_json *doc = NULL;
    l->call = NULL;
    fh_timer_stop(l->deadline);
    if (!why && read_reply(l, status, &doc, &err)) why = err;
    l->done(l->arg, doc, why);
}

/* A request id, and the trace that the gateway would begin for it. */
static int name_request(const canary_line *l, char id[40], char trace[FH_TRACEPARENT_LEN + 1], fh_err **err)
{
    uint8_t span[FH_SPAN_ID_BYTES];
    char digits[2 * FH_TRACE_ID_BYTES + 1];
    fh_trace t = {.flags = FH_TRACE_RANDOM | (l->traced ? FH_TRACE_SAMPLED : 0)};
    int rc = fh_random_bytes(t.id, sizeof t.id, err);
    if (!rc) rc = fh_random_bytes(span, sizeof span, err);
    if (rc) return rc;
    fh_traceparent_write(&t, span, trace);
    fh_hex_encode(t.id, sizeof t.id, digits, sizeof digits);
    snprintf(id, 40, "req_%s", digits);
    return 0;
}

static int call(canary_line *l, const canary_target *to, const char *path, fh_str body, fh_err **err)
{
    char url[400], bearer[300], id[40], trace[FH_TRACEPARENT_LEN + 1];
    int rc = name_request(l, id, trace, err);
    if (rc) return rc;
    snprintf(url, sizeof url, "%s%s", to->url, path);
    snprintf(bearer, sizeof bearer, "Bearer %s", to->secret ? to->secret : "");
    fh_header headers[5] = {{FH_STR("Content-Type"), FH_STR("application/json")}, {FH_STR("x-request-id"), fh_str_of(id)}};
    size_t count = 2;
    if (to->salt) headers[count++] = (fh_header){FH_STR("x-freehold-salt"), fh_str_of(to->salt)};
    if (!to->ours) headers[count++] = (fh_header){FH_STR("traceparent"), fh_str_of(trace)};
    if (to->secret && to->secret[0]) headers[count++] = (fh_header){FH_STR("Authorization"), fh_str_of(bearer)};
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .unix_path = to->unix_path,
                              .headers = headers,
                              .header_count = count,
                              .body = body,
                              .on_data = got_data,
                              .on_done = call_done,
                              .arg = l};
    rc = fh_http_call_start(&l->call, l->client, &spec, err);
    if (!rc) fh_timer_start(l->deadline, FH_LIMIT_HONESTY_CALL_MS * FH_NS_PER_MS);
    explicit_bzero(bearer, sizeof bearer);
    return rc;
}

/* Not the call's own: one with a total time would take another way to this machine, and show. */
static void on_deadline(void *arg)
{
    canary_line *l = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_http_call_cancel(l->call);
    l->call = NULL;
    fh_err_set(&err, FH_E_TIMEOUT, "it does not answer within %d s", FH_LIMIT_HONESTY_CALL_MS / 1000);
    l->done(l->arg, NULL, err);
}

int canary_line_init(canary_line *l, fh_loop *loop, fh_err **err)
{
    return fh_timer_new(&l->deadline, loop, on_deadline, l, err);
}

int canary_line_ask(canary_line *l, const canary_target *to, const char *path, fh_json *body, fh_err **err)
{
    FH_AUTO(json) fh_json *held = body;
    FH_AUTO(buf) fh_buf text = FH_BUF(REPLY_BYTES);
    fh_buf_clear(&l->reply);
    l->reply.max = REPLY_BYTES;
    int rc = held ? fh_json_write(held, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_buf_check(&text, err, "a canary");
    return rc ? rc : call(l, to, path, (fh_str){fh_buf_cstr(&text), text.len}, err);
}

void canary_line_fini(canary_line *l)
{
    if (l->call) fh_http_call_cancel(l->call);
    l->call = NULL;
    fh_timer_free(l->deadline);
    fh_buf_fini(&l->reply);
}
