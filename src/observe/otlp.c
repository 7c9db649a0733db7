/* The queue of spans, and the calls that take them to the collector (see otlp.h). */
#include "observe/otlp.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/http_client.h"
#include "net/origin.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { FRAME_BYTES = 2048 }; /* what stands around the spans */
#define EVERY_NS    FH_NS_PER_S
#define COMPLAIN_NS (60 * FH_NS_PER_S)
#define TIMEOUT_NS  (10 * FH_NS_PER_S)
#define SCOPE       "{\"scope\":{\"name\":\"freehold\",\"version\":\"" FH_VERSION "\"},\"spans\":["

struct fh_otlp {
    pthread_mutex_t lock; /* guards the queue and the counts; never held across I/O */
    fh_buf waiting;       /* spans, with commas between them */
    uint64_t spans;       /* in waiting */
    uint64_t sent, dropped;
    bool woken; /* the loop has been told that there is much */

    /* the loop's alone */
    fh_loop *loop;
    fh_http_client *client;
    fh_timer *timer;
    fh_http_call *call;
    fh_buf body; /* of the batch that is sent; empty: none is */
    uint64_t batch_spans;
    unsigned tries;
    int64_t complained_ns;
    char url[1024], auth[600], instance[64]; /* auth "": none */
};

static void send_batch(fh_otlp *o);

/* ---- adding ---- */

static void wake(void *arg)
{
    fh_otlp *o = arg;
    pthread_mutex_lock(&o->lock);
    o->woken = false;
    pthread_mutex_unlock(&o->lock);
    if (!o->call && !o->body.len) fh_timer_start(o->timer, 0);
}

void fh_otlp_add(fh_otlp *o, const fh_record *r)
{
    if (!r->operation || !(r->trace.flags & FH_TRACE_SAMPLED)) return;
    FH_AUTO(buf) fh_buf text = FH_BUF(65536);
    uint64_t spans = fh_otlp_spans(r, &text);
    bool much = false;
    pthread_mutex_lock(&o->lock);
    if (fh_buf_ok(&text) && o->waiting.len + text.len + 1 <= FH_LIMIT_OTLP_BYTES && fh_buf_reserve(&o->waiting, text.len + 1)) {
        if (o->waiting.len) fh_buf_addc(&o->waiting, ',');
        fh_buf_add(&o->waiting, text.data, text.len);
        o->spans += spans;
        much = !o->woken && o->waiting.len > FH_LIMIT_OTLP_BYTES / 2;
        o->woken |= much;
    } else {
        o->dropped += spans;
    }
    pthread_mutex_unlock(&o->lock);
    if (much) fh_loop_post(o->loop, wake, o);
}

void fh_otlp_counts_get(fh_otlp *o, fh_otlp_counts *ret)
{
    pthread_mutex_lock(&o->lock);
    *ret = (fh_otlp_counts){.sent = o->sent, .dropped = o->dropped};
    pthread_mutex_unlock(&o->lock);
}

/* ---- sending ---- */

static void add_resource(fh_buf *out, const char *key, const char *value)
{
    fh_buf_addf(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    fh_buf_add_json_string(out, value, strlen(value));
    fh_buf_adds(out, "}}");
}

static void write_body(const fh_otlp *o, const fh_buf *spans, fh_buf *out)
{
    fh_buf_adds(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_resource(out, "service.name", "freehold");
    fh_buf_addc(out, ',');
    add_resource(out, "service.version", FH_VERSION);
    fh_buf_addc(out, ',');
    add_resource(out, "service.instance.id", o->instance);
    fh_buf_adds(out, "]},\"scopeSpans\":[" SCOPE);
    fh_buf_add(out, spans->data, spans->len);
    fh_buf_adds(out, "]}]}]}");
}

/* What waits becomes the batch that is sent; false when nothing does. */
static bool take_batch(fh_otlp *o)
{
    pthread_mutex_lock(&o->lock);
    fh_buf spans = o->waiting;
    o->batch_spans = o->spans;
    o->waiting = FH_BUF(FH_LIMIT_OTLP_BYTES);
    o->spans = 0;
    pthread_mutex_unlock(&o->lock);
    fh_buf_clear(&o->body);
    o->tries = 0;
    if (spans.len) write_body(o, &spans, &o->body);
    fh_buf_fini(&spans);
    return o->body.len > 0;
}

static void batch_over(fh_otlp *o, bool good)
{
    pthread_mutex_lock(&o->lock);
    *(good ? &o->sent : &o->dropped) += o->batch_spans;
    pthread_mutex_unlock(&o->lock);
    o->batch_spans = 0;
    fh_buf_fini(&o->body);
    o->body = FH_BUF(FH_LIMIT_OTLP_BYTES + FRAME_BYTES);
}

/* Once a minute. */
static void complain(fh_otlp *o, int status, const fh_err *why)
{
    int64_t now = fh_clock_mono_ns();
    if (o->complained_ns && now - o->complained_ns < COMPLAIN_NS) return;
    o->complained_ns = now;
    if (status)
        fh_log(FH_LOG_WARN, "observe", "the collector of traces refused spans with status %d", status);
    else
        fh_log_err(FH_LOG_WARN, "observe", why, "the collector of traces cannot be reached");
}

static bool is_worth_another_try(int status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void on_done(void *arg, int status, const fh_err *why)
{
    fh_otlp *o = arg;
    bool good = status >= 200 && status < 300;
    o->call = NULL;
    if (!good) complain(o, status, why);
    if (!good && is_worth_another_try(status) && ++o->tries < FH_LIMIT_OTLP_TRIES) {
        fh_timer_start(o->timer, EVERY_NS << o->tries);
        return;
    }
    batch_over(o, good);
    fh_timer_start(o->timer, EVERY_NS);
}

static fh_http_call_spec spec_of(fh_otlp *o, fh_header headers[2])
{
    headers[0] = (fh_header){FH_STR("Content-Type"), FH_STR("application/json")};
    headers[1] = (fh_header){FH_STR("Authorization"), fh_str_of(o->auth)};
    return (fh_http_call_spec){.method = "POST",
                               .url = o->url,
                               .headers = headers,
                               .header_count = o->auth[0] ? 2 : 1,
                               .body = {o->body.data, o->body.len},
                               .total_timeout_ns = TIMEOUT_NS,
                               .on_done = on_done,
                               .arg = o};
}

static void send_batch(fh_otlp *o)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_header headers[2];
    fh_http_call_spec spec = spec_of(o, headers);
    if (!fh_buf_ok(&o->body))
        batch_over(o, false);
    else if (fh_http_call_start(&o->call, o->client, &spec, &err))
        on_done(o, 0, err);
}

static void tick(void *arg)
{
    fh_otlp *o = arg;
    if (o->call) return; /* its end starts the timer again */
    if (o->body.len || take_batch(o)) send_batch(o);
    if (!o->call) fh_timer_start(o->timer, EVERY_NS << o->tries);
}

/* ---- opening, closing ---- */

static int read_url(fh_otlp *o, const fh_otlp_config *c, fh_err **err)
{
    static const char path[] = "/v1/traces";
    fh_str url = fh_str_of(c->url), http = FH_STR("http://"), https = FH_STR("https://");
    bool plain = fh_str_starts(url, http), secure = fh_str_starts(url, https);
    fh_str host = {url.ptr + http.len, url.len - FH_MIN(http.len, url.len)};
    host.len = FH_MIN(fh_str_find(host, FH_STR("/")), host.len);
    if ((!plain && !secure) || url.len + sizeof path > sizeof o->url || url.len == (plain ? http : https).len ||
        memchr(url.ptr, '?', url.len) || memchr(url.ptr, '@', url.len)) {
        fh_err_set(err, FH_E_USAGE, "--otlp wants the address of a collector, http://HOST:PORT or https://HOST, not '%.128s'", c->url);
        fh_err_hint(err, "4318 is the usual port: http://127.0.0.1:4318");
        return FH_E_USAGE;
    }
    if (plain && c->key && !fh_host_is_local(host)) {
        fh_err_set(err, FH_E_USAGE, "the key for the collector would be readable on the network");
        fh_err_hint(err, "give --otlp an https address, or leave out --otlp-key-file");
        return FH_E_USAGE;
    }
    while (url.len && url.ptr[url.len - 1] == '/') url.len--;
    snprintf(o->url, sizeof o->url, "%.*s%s", (int)url.len, url.ptr, fh_str_ends(url, fh_str_of(path)) ? "" : path);
    return 0;
}

static int prepare(fh_otlp *o, const fh_otlp_config *c, fh_err **err)
{
    int rc = read_url(o, c, err);
    if (!rc && c->key && strlen(c->key) + sizeof "Bearer " > sizeof o->auth)
        rc = fh_err_set(err, FH_E_USAGE, "the key for the collector is longer than %zu characters", sizeof o->auth - sizeof "Bearer ");
    if (!rc && c->key) snprintf(o->auth, sizeof o->auth, "Bearer %s", c->key);
    snprintf(o->instance, sizeof o->instance, "%s", c->instance);
    if (!rc) rc = fh_http_client_new(&o->client, o->loop, err);
    if (!rc) rc = fh_timer_new(&o->timer, o->loop, tick, o, err);
    if (!rc) fh_timer_start(o->timer, EVERY_NS);
    return rc;
}

static void release(fh_otlp *o)
{
    fh_timer_free(o->timer);
    fh_buf_fini(&o->waiting);
    fh_buf_fini(&o->body);
    pthread_mutex_destroy(&o->lock);
    explicit_bzero(o->auth, sizeof o->auth);
    fh_free(o);
}

int fh_otlp_open(fh_otlp **ret, const fh_otlp_config *c, fh_err **err)
{
    fh_otlp *o = fh_calloc(1, sizeof *o);
    if (!o) return fh_err_nomem(err);
    *o = (fh_otlp){.loop = c->loop, .waiting = FH_BUF(FH_LIMIT_OTLP_BYTES), .body = FH_BUF(FH_LIMIT_OTLP_BYTES + FRAME_BYTES)};
    pthread_mutex_init(&o->lock, NULL);
    int rc = prepare(o, c, err);
    if (rc) {
        fh_http_client_free(o->client);
        release(o);
    } else
        *ret = o;
    return rc;
}

/* The batch that was under way, if there is one, then what waits. */
static void send_last(fh_otlp *o)
{
    fh_header headers[2];
    fh_http_call_spec spec = spec_of(o, headers);
    FH_AUTO(buf) fh_buf reply = FH_BUF(65536);
    int status = 0;
    spec.on_done = NULL;
    spec.arg = NULL;
    spec.total_timeout_ns = spec.connect_timeout_ns = FH_LIMIT_OTLP_LAST_MS * FH_NS_PER_MS;
    int rc = fh_http_fetch(&spec, reply.max, &status, &reply, NULL);
    batch_over(o, rc == 0 && status >= 200 && status < 300);
}

void fh_otlp_close(fh_otlp *o)
{
    if (!o) return;
    if (o->call) fh_http_call_cancel(o->call);
    o->call = NULL;
    fh_http_client_free(o->client);
    if ((o->body.len || take_batch(o)) && o->tries == 0) send_last(o);
    release(o);
}
