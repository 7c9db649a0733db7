/* What the fleet says to an engine over its socket: is it up, does it really answer (one short generation, by the path that users take),
 * how busy it is. Where and how it is asked says its row of the table. At most one call of a deployment is open; its answer is bounded. */
#include "fleet_private.h"

#include "base/clock.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

#define REPLY_BYTES  (1 << 20) /* metrics of others are long */
#define PROOF_TOKENS "4"
#define CONNECT_NS   (2 * FH_NS_PER_S)

fh_health fh_talk_parse_health(const fh_catalog_engine *e, int status, fh_str body, int64_t *ret_done, int64_t *ret_total)
{
    *ret_done = *ret_total = 0;
    if (status != 200 && status != 503) return FH_HEALTH_NONE;
    if (e->health_says == FH_ENGINE_SAYS_STATUS) return status == 200 ? FH_HEALTH_READY : FH_HEALTH_LOADING;
    FH_AUTO(json) fh_json *o = NULL;
    if (fh_json_parse(&o, body, REPLY_BYTES, NULL) != 0) return FH_HEALTH_NONE;
    fh_str said = fh_json_str(fh_json_get(o, "status"));
    *ret_done = fh_json_int(fh_json_get(o, "bytes_done"), 0);
    *ret_total = fh_json_int(fh_json_get(o, "bytes_total"), 0);
    if (fh_str_eqs(said, "ready")) return FH_HEALTH_READY;
    return fh_str_eqs(said, "loading") ? FH_HEALTH_LOADING : FH_HEALTH_NONE;
}

static bool take_data(void *arg, const void *data, size_t bytes)
{
    fh_deployment *d = arg;
    fh_buf_add(&d->reply, data, bytes); /* beyond the bound it is marked failed, and seen when the call is done */
    return true;
}

static void health_done(fh_deployment *d, int status)
{
    int64_t done = 0, total = 0;
    fh_str body = {fh_buf_cstr(&d->reply), d->reply.len};
    fh_health h = fh_talk_parse_health(d->kind, fh_buf_ok(&d->reply) ? status : 0, body, &done, &total);
    d->on_health(d, h, done, total);
}

/* A real token came back: the engine counted it, or text is there. */
static bool has_token(fh_str body)
{
    FH_AUTO(json) fh_json *o = NULL;
    if (fh_json_parse(&o, body, REPLY_BYTES, NULL) != 0) return false;
    const fh_json *choice = fh_json_at(fh_json_get(o, "choices"), 0);
    bool text =
        fh_json_str(fh_json_get(fh_json_get(choice, "message"), "content")).len > 0 || fh_json_str(fh_json_get(choice, "text")).len > 0;
    return text || fh_json_int(fh_json_get(fh_json_get(o, "usage"), "completion_tokens"), 0) > 0;
}

static void error_text(fh_str body, int status, const fh_err *err, char *out, size_t out_size)
{
    FH_AUTO(json) fh_json *o = NULL;
    fh_str message = {0};
    if (err)
        message = fh_str_of(fh_err_message(err));
    else if (fh_json_parse(&o, body, REPLY_BYTES, NULL) == 0)
        message = fh_json_str(fh_json_get(fh_json_get(o, "error"), "message"));
    if (message.len)
        snprintf(out, out_size, "%.*s", (int)FH_MIN(message.len, 160), message.ptr);
    else
        snprintf(out, out_size, "it answered with status %d and no token", status);
}

static void proof_done(fh_deployment *d, int status, const fh_err *err)
{
    fh_str body = {fh_buf_cstr(&d->reply), d->reply.len};
    char why[200] = "";
    bool proven = status == 200 && fh_buf_ok(&d->reply) && has_token(body);
    if (!proven) error_text(body, status, err, why, sizeof(why));
    if (!proven && !d->prove_plain && status >= 400 && status < 500) {
        d->prove_plain = true; /* no chat template, it seems: ask for plain text */
        if (fh_talk_prove(d, d->on_proof, NULL) == 0) return;
    }
    d->on_proof(d, proven, why);
}

static void load_done(fh_deployment *d, bool answered)
{
    fh_load_reading r;
    if (answered) fh_load_read(d->kind, (fh_str){fh_buf_cstr(&d->reply), d->reply.len}, &r);
    d->on_load(d, answered ? &r : NULL);
}

static void call_done(void *arg, int status, const fh_err *err)
{
    fh_deployment *d = arg;
    d->call = NULL;
    if (d->on_health)
        health_done(d, err ? 0 : status);
    else if (d->on_load)
        load_done(d, !err && status == 200 && fh_buf_ok(&d->reply));
    else
        proof_done(d, err ? 0 : status, err);
}

static int start_call(fh_deployment *d, const char *method, const char *path, fh_str body, int64_t timeout_ns, fh_err **err)
{
    static const fh_header json[] = {{{"content-type", 12}, {"application/json", 16}}};
    char url[64];
    if (d->call) return fh_err_set(err, FH_E_CONFLICT, "the engine is being asked already");
    d->reply.max = REPLY_BYTES;
    fh_buf_clear(&d->reply);
    snprintf(url, sizeof(url), "http://localhost%s", path);
    fh_http_call_spec spec = {.method = method,
                              .url = url,
                              .unix_path = d->view.socket_path,
                              .headers = json,
                              .header_count = body.len ? 1 : 0,
                              .body = body,
                              .connect_timeout_ns = CONNECT_NS,
                              .total_timeout_ns = timeout_ns,
                              .on_data = take_data,
                              .on_done = call_done,
                              .arg = d};
    return fh_http_call_start(&d->call, d->fleet->client, &spec, err);
}

static void hear(fh_deployment *d, fh_health_fn *on_health, fh_proof_fn *on_proof, fh_load_fn *on_load)
{
    d->on_health = on_health;
    d->on_proof = on_proof;
    d->on_load = on_load;
}

int fh_talk_load(fh_deployment *d, fh_load_fn *fn, fh_err **err)
{
    if (!d->call) hear(d, NULL, NULL, fn);
    return start_call(d, "GET", d->kind->metrics_path, (fh_str){0}, d->fleet->timing.health_timeout_ns, err);
}

int fh_talk_health(fh_deployment *d, fh_health_fn *fn, fh_err **err)
{
    if (!d->call) hear(d, fn, NULL, NULL);
    return start_call(d, "GET", d->kind->health_path, (fh_str){0}, d->fleet->timing.health_timeout_ns, err);
}

int fh_talk_prove(fh_deployment *d, fh_proof_fn *fn, fh_err **err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(4096);
    fh_buf_adds(&body, "{\"model\":");
    fh_buf_add_json_string(&body, d->view.model, strlen(d->view.model));
    fh_buf_adds(&body, d->prove_plain ? ",\"prompt\":\"Hello\"" : ",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]");
    fh_buf_adds(&body, ",\"max_tokens\":" PROOF_TOKENS ",\"temperature\":0}");
    int rc = fh_buf_check(&body, err, "the proof's request");
    if (rc != 0) return rc;
    const char *path = d->prove_plain ? "/v1/completions" : "/v1/chat/completions";
    if (!d->call) hear(d, NULL, fn, NULL);
    return start_call(d, "POST", path, (fh_str){body.data, body.len}, d->fleet->timing.prove_ns, err);
}

fh_health fh_talk_health_now(const fh_catalog_engine *e, const char *socket_path, int64_t timeout_ns)
{
    char url[64];
    FH_AUTO(buf) fh_buf body = FH_BUF(REPLY_BYTES);
    int status = 0;
    int64_t done, total;
    snprintf(url, sizeof(url), "http://localhost%s", e->health_path);
    fh_http_call_spec spec = {
        .method = "GET", .url = url, .unix_path = socket_path, .connect_timeout_ns = timeout_ns, .total_timeout_ns = timeout_ns};
    if (fh_http_fetch(&spec, REPLY_BYTES, &status, &body, NULL) != 0) return FH_HEALTH_NONE;
    return fh_talk_parse_health(e, status, (fh_str){fh_buf_cstr(&body), body.len}, &done, &total);
}
