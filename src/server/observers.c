/* Who is told of the end of each request: the access log, the collector of traces, and the standing of places. */
#include "pool_offers.h"
#include "server_private.h"
#include "standings.h"

#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "observe/access_log.h"
#include "observe/otlp.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 512 };

struct fh_observers {
    fh_server *server;  /* borrowed */
    fh_access_log *log; /* NULL: none is written */
    fh_otlp *otlp;      /* likewise */
};

/* A peer without its port; whom a trusted proxy speaks for has none. */
static void address_of(const char *peer, char *out, size_t out_size)
{
    const char *colon = strrchr(peer, ':'), *bracket = strrchr(peer, ']');
    bool port = colon && (bracket ? bracket < colon : strchr(peer, ':') == colon);
    size_t skip = port && bracket ? 1 : 0, len = port ? (size_t)(colon - peer) - 2 * skip : strlen(peer);
    snprintf(out, out_size, "%.*s", (int)len, peer + skip);
}

/* ---- how places work ---- */

/* A client's mistake, or its leaving, is not the place's failure; nor is that it has enough to do. */
static bool has_failed(const fh_attempt *a)
{
    return a->code && a->code != FH_E_CANCELLED && (a->status < 400 || a->status >= 500);
}

static bool is_counted(const fh_attempt *a)
{
    return a->ended_ns && strcmp(a->place, "here") != 0 && (!a->code || has_failed(a));
}

/* Whoever pays has the machine too: work that is bought from oneself earns nothing. */
static bool is_of_its_own(const fh_observers *o, const fh_record *r, const fh_attempt *a)
{
    fh_pool_offer offer;
    return r->owner[0] && fh_pool_offers_find(o->server->pool_offers, a->place, &offer) && strcmp(offer.owner, r->owner) == 0;
}

/* Standings know hosted endpoints by their names alone. */
static const char *place_of(const fh_attempt *a)
{
    static const char provider[] = "provider/";
    return strncmp(a->place, provider, strlen(provider)) == 0 ? a->place + strlen(provider) : a->place;
}

/* The variant that a deployment has; false: it is not known here, or no more. */
static bool variant_of(const fh_observers *o, const char *deployment, char *out, size_t out_size)
{
    const fh_fleet_snapshot *all = fh_fleet_snapshot_get(o->server->fleet);
    bool found = false;
    for (size_t i = 0; all && i < all->count && !found; i++) {
        found = strcmp(all->deployments[i].name, deployment) == 0;
        if (found) snprintf(out, out_size, "%s", all->deployments[i].variant);
    }
    fh_fleet_snapshot_release(all);
    return found;
}

/* The time of the tokens after the first. Of an answer that came in one burst at its end nothing is learned, 0: whoever holds tokens back
 * would look fast. One that was not streamed came after its prompt was computed too, which is little where the answer is longer. */
static int64_t decoding_ns(const fh_record *r, const fh_attempt *a)
{
    int64_t first = a->first_ns - a->began_ns, rest = a->ended_ns - a->first_ns;
    if (r->completion_tok < 2) return 0;
    if (!a->first_ns) return r->prompt_tok <= r->completion_tok ? a->ended_ns - a->began_ns : 0;
    return rest >= first ? rest : 0;
}

/* How fast a machine of the pool computes, in bytes and operations, so that it is known of other models too. */
static void note_speed(const fh_observers *o, const fh_record *r, const fh_attempt *a, fh_honesty_work *w)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(r->model));
    char name[64];
    if (!m || m->params_total_b <= 0 || !fh_str_starts(fh_str_of(a->place), FH_STR("node/"))) return;
    double active = m->params_active_b > 0 ? m->params_active_b : m->params_total_b;
    if (a->first_ns && r->prompt_tok >= FH_LIMIT_WORK_PROMPT_TOK) {
        w->prompt_tok = (double)r->prompt_tok;
        w->prompt_s = (double)(a->first_ns - a->began_ns) / 1e9;
        w->prompt_ops = 2 * active * 1e9 * w->prompt_tok;
    }
    int64_t ns = decoding_ns(r, a);
    const fh_catalog_variant *v = ns && variant_of(o, a->deployment, name, sizeof name) ? fh_catalog_variant_find(m, name) : NULL;
    if (!v) return;
    w->decode_tok = (double)(r->completion_tok - 1);
    w->decode_s = (double)ns / 1e9;
    w->read_bytes = w->decode_tok * (double)v->bytes * active / m->params_total_b;
}

/* One that was the only one asked made all of the answer. */
static void note_work(const fh_observers *o, const fh_record *r)
{
    unsigned told = FH_MIN(r->attempt_count, (unsigned)FH_LIMIT_RECORD_ATTEMPTS);
    for (unsigned i = 0; i < told; i++) {
        const fh_attempt *a = &r->attempts[i];
        fh_honesty_work w = {.good = !a->code, .failed = a->code != 0};
        if (!is_counted(a) || is_of_its_own(o, r, a)) continue;
        if (w.good > 0 && r->attempt_count == 1 && r->completion_tok) {
            w.answer_tok = (double)r->completion_tok;
            w.busy_s = (double)(a->ended_ns - a->began_ns) / 1e9;
            note_speed(o, r, a, &w);
        }
        fh_standings_worked(o->server->standings, place_of(a), r->model, &w, r->ended_utc_ns);
    }
}

static void on_end(fh_http_req *req, const fh_http_end *end, void *ctx)
{
    fh_observers *o = ctx;
    char client[64];
    fh_record r = {.request_id = fh_http_req_id(req),
                   .key_id = fh_http_req_who(req),
                   .client = client,
                   .method = fh_http_req_method(req),
                   .path = fh_http_req_path(req),
                   .status = end->status,
                   .gone = end->gone,
                   .in_bytes = end->in_bytes,
                   .out_bytes = end->out_bytes,
                   .began_ns = end->began_ns,
                   .ended_ns = end->ended_ns,
                   .ended_utc_ns = fh_clock_utc_ns()};
    address_of(fh_http_req_peer(req), client, sizeof client);
    bool for_a_model = fh_gateway_record(req, &r);
    if (for_a_model) note_work(o, &r);
    if (o->log) fh_access_log_add(o->log, &r);
    if (o->otlp && for_a_model) fh_otlp_add(o->otlp, &r);
}

static int read_key(const char *path, fh_buf *out, fh_err **err)
{
    int rc = fh_file_read(path, KEY_BYTES, out, err);
    if (rc) return rc;
    fh_str key = fh_str_trim((fh_str){fh_buf_cstr(out), out->len});
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return fh_err_set(err, FH_E_USAGE, "%s does not hold one key for the collector: it has blanks or other characters", path);
    if (!key.len) return fh_err_set(err, FH_E_USAGE, "%s is empty: it should hold the key for the collector", path);
    fh_buf_consume(out, (size_t)(key.ptr - out->data));
    out->len = key.len;
    out->data[key.len] = '\0';
    return 0;
}

static int open_otlp(fh_observers *o, const fh_server *s, fh_err **err)
{
    FH_AUTO(buf) fh_buf key = FH_BUF(KEY_BYTES);
    const char *file = s->config->otlp_key_file;
    int rc = file ? read_key(file, &key, err) : 0;
    fh_otlp_config c = {.loop = s->loop, .url = s->config->otlp_url, .key = file ? fh_buf_cstr(&key) : NULL, .instance = s->address};
    if (!rc) rc = fh_otlp_open(&o->otlp, &c, err);
    if (key.data) explicit_bzero(key.data, key.cap);
    return rc;
}

int fh_observers_open(fh_observers **ret, fh_server *s, fh_err **err)
{
    FH_AUTO(fh_observers) fh_observers *o = fh_calloc(1, sizeof *o);
    if (!o) return fh_err_nomem(err);
    const char *log = s->config->access_log;
    int rc = log ? fh_access_log_open(&o->log, log, FH_LIMIT_ACCESS_LOG_FILE_BYTES, err) : 0;
    if (!rc && s->config->otlp_url) rc = open_otlp(o, s, err);
    if (rc) return rc;
    o->server = s;
    fh_http_server_on_end(s->http, on_end, o);
    *ret = fh_take(o);
    return 0;
}

void fh_observers_close(fh_observers *o)
{
    if (!o) return;
    fh_access_log_close(o->log);
    fh_otlp_close(o->otlp);
    fh_free(o);
}

bool fh_observers_reopen(fh_observers *o)
{
    fh_err *err = NULL;
    if (!o || !o->log) return false;
    if (fh_access_log_reopen(o->log, &err))
        fh_log_err(FH_LOG_ERROR, "server", err, "the access log goes on in the file that it has");
    else
        fh_log(FH_LOG_INFO, "server", "access log opened anew");
    fh_err_free(err);
    return true;
}

static void write_pair(fh_buf *out, const char *done, const char *done_help, uint64_t n, const char *dropped, const char *dropped_help,
                       uint64_t lost)
{
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s counter\n%s %llu\n", done, done_help, done, done, (unsigned long long)n);
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s counter\n%s %llu\n", dropped, dropped_help, dropped, dropped, (unsigned long long)lost);
}

void fh_observers_metrics(const fh_observers *o, fh_buf *out)
{
    fh_access_log_counts log;
    fh_otlp_counts otlp;
    if (o->log) {
        fh_access_log_counts_get(o->log, &log);
        write_pair(out, "freehold_access_log_lines_total", "Lines of the access log that were written.", log.written,
                   "freehold_access_log_dropped_total", "Lines of the access log that were lost: the disk did not keep up, or is full.",
                   log.dropped);
    }
    if (o->otlp) {
        fh_otlp_counts_get(o->otlp, &otlp);
        write_pair(out, "freehold_otlp_spans_total", "Spans that the collector took.", otlp.sent, "freehold_otlp_dropped_total",
                   "Spans that were lost: the collector did not keep up, refused them, or was away.", otlp.dropped);
    }
}
