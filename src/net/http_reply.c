/* What a handler sees of a request, and the replies it makes: heads, whole bodies, chunked streams. */
#include "private.h"

#include "base/clock.h"
#include "base/map.h"
#include "wire/openai.h"
#include <stdio.h>
#include <time.h>

/* Requests. */

static const fh_http_msg *msg(const fh_http_req *r)
{
    return fh_http_reader_msg(r->conn->reader);
}

/* Unique and not to be guessed from others: a keyed hash of a counter. */
static void make_id(fh_http_server *s, char *out, size_t out_size)
{
    uint64_t n[2] = {++s->id_next, 0};
    uint64_t a = fh_siphash(s->id_key, n, sizeof n);
    n[1] = 1;
    snprintf(out, out_size, "req_%016llx%016llx", (unsigned long long)a, (unsigned long long)fh_siphash(s->id_key, n, sizeof n));
}

/* From the right: each proxy writes behind the others whom it heard, and only those that we trust are believed. False at the first that
 * is none. */
static bool walk_forwarded(fh_http_req *r, fh_str list)
{
    while (list.len) {
        const char *comma = memrchr(list.ptr, ',', list.len);
        size_t before = comma ? (size_t)(comma - list.ptr) : 0;
        fh_str one = fh_str_trim((fh_str){comma ? comma + 1 : list.ptr, list.len - before - (comma ? 1 : 0)});
        fh_address a;
        if (!fh_address_parse(one, &a)) return false;
        snprintf(r->client, sizeof r->client, "%.*s", (int)one.len, one.ptr);
        if (!fh_http_group_trusts(r->conn->group, &a)) return false;
        list.len = before;
    }
    return true;
}

static void learn_client(fh_http_req *r)
{
    const fh_http_msg *m = msg(r);
    bool go_on = r->conn->trusted;
    r->client[0] = '\0';
    for (size_t i = m->header_count; go_on && i-- > 0;)
        if (fh_str_ieq(m->headers[i].name, FH_STR("x-forwarded-for"))) go_on = walk_forwarded(r, m->headers[i].value);
}

void fh_http_req_begin(fh_http_conn *c)
{
    fh_http_req *r = &c->req;
    const fh_http_msg *m = msg(r);
    make_id(c->server, r->id, sizeof r->id);
    learn_client(r);
    r->state = FH_REPLY_AWAITED;
    r->began_ns = fh_clock_mono_ns();
    r->who[0] = '\0';
    r->head = fh_str_eqs(m->method, "HEAD");
    r->keep = m->keep_alive;
}

static void tell_end(fh_http_req *r)
{
    const fh_http_group *g = r->conn->group;
    fh_http_end end = {.status = r->status,
                       .gone = r->cut,
                       .in_bytes = msg(r)->body.len,
                       .out_bytes = r->out_bytes,
                       .began_ns = r->began_ns,
                       .ended_ns = fh_clock_mono_ns()};
    g->on_end(r, &end, g->end_ctx);
}

void fh_http_req_over(fh_http_req *r)
{
    if (r->state != FH_REPLY_NONE && r->conn->group->on_end) tell_end(r);
    r->state = FH_REPLY_NONE;
    r->on_gone = r->on_drain = NULL;
    r->paused = r->chunked = r->head = r->cut = false;
    r->note = NULL;
    r->status = 0;
    r->out_bytes = 0;
    fh_buf_clear(&r->extra);
}

fh_str fh_http_req_method(const fh_http_req *r)
{
    return r->head ? FH_STR("GET") : msg(r)->method;
}

fh_str fh_http_req_path(const fh_http_req *r)
{
    return msg(r)->path;
}

fh_str fh_http_req_query(const fh_http_req *r)
{
    return msg(r)->query;
}

/* The next pair of what is left of a query; what stands behind it stays. */
static void take_pair(fh_str *rest, fh_str *ret_name, fh_str *ret_value)
{
    size_t end = fh_str_find(*rest, FH_STR("&")), used = FH_MIN(end + 1, rest->len);
    fh_str pair = {rest->ptr, end};
    size_t name = fh_str_find(pair, FH_STR("=")), value = FH_MIN(name + 1, end);
    *ret_name = (fh_str){pair.ptr, name};
    *ret_value = (fh_str){pair.ptr + value, end - value};
    *rest = (fh_str){rest->ptr + used, rest->len - used};
}

bool fh_http_req_query_get(const fh_http_req *r, const char *name, char *out, size_t out_size)
{
    fh_str rest = msg(r)->query, key, value;
    char decoded[64];
    while (rest.len) {
        take_pair(&rest, &key, &value);
        if (fh_http_percent_decode(key, true, decoded, sizeof decoded) && strcmp(decoded, name) == 0)
            return fh_http_percent_decode(value, true, out, out_size);
    }
    return false;
}

bool fh_http_req_query_name(const fh_http_req *r, size_t i, char *out, size_t out_size)
{
    fh_str rest = msg(r)->query, key, value;
    for (size_t n = 0; rest.len;) {
        take_pair(&rest, &key, &value);
        if (!key.len || n++ != i) continue;
        if (!fh_http_percent_decode(key, true, out, out_size)) snprintf(out, out_size, "?");
        return true;
    }
    return false;
}

fh_str fh_http_req_header(const fh_http_req *r, const char *name)
{
    return fh_headers_find(msg(r)->headers, msg(r)->header_count, name);
}

const fh_header *fh_http_req_headers(const fh_http_req *r, size_t *ret_count)
{
    *ret_count = msg(r)->header_count;
    return msg(r)->headers;
}

fh_str fh_http_req_body(const fh_http_req *r)
{
    return msg(r)->body;
}

fh_str fh_http_req_host(const fh_http_req *r)
{
    return msg(r)->host;
}

const char *fh_http_req_peer(const fh_http_req *r)
{
    return r->client[0] ? r->client : r->conn->peer;
}

const char *fh_http_req_id(const fh_http_req *r)
{
    return r->id;
}

void fh_http_req_who_set(fh_http_req *r, const char *who)
{
    snprintf(r->who, sizeof r->who, "%s", who);
}

const char *fh_http_req_who(const fh_http_req *r)
{
    return r->who;
}

void fh_http_req_note_set(fh_http_req *r, const void *note)
{
    r->note = note;
}

const void *fh_http_req_note(const fh_http_req *r)
{
    return r->note;
}

fh_loop *fh_http_req_loop(const fh_http_req *r)
{
    return r->conn->server->loop;
}

void fh_http_req_on_gone(fh_http_req *r, void (*fn)(void *arg), void *arg)
{
    r->on_gone = fn;
    r->gone_arg = arg;
}

/* Heads. */

static const char *date(fh_http_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(fh_clock_utc_ns() / FH_NS_PER_S);
    if (now == s->date_s) return s->date;
    struct tm t;
    gmtime_r(&now, &t);
    s->date_s = now;
    snprintf(s->date, sizeof s->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon,
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    return s->date;
}

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

/* length < 0: the body is streamed. */
static void queue_head(fh_http_conn *c, int status, const char *content_type, int64_t length, bool keep)
{
    fh_http_req *r = &c->req;
    bool old = r->state != FH_REPLY_NONE && msg(r)->minor == 0;
    r->status = status;
    fh_buf head = FH_BUF(4096 + r->extra.len);
    fh_buf_addf(&head, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, fh_http_reason(status), date(c->server));
    if (content_type && !has_no_body(status)) fh_buf_addf(&head, "Content-Type: %s\r\n", content_type);
    if (length >= 0 && !has_no_body(status))
        fh_buf_addf(&head, "Content-Length: %lld\r\n", (long long)length);
    else if (length < 0 && !old)
        fh_buf_adds(&head, "Transfer-Encoding: chunked\r\n");
    fh_buf_addf(&head, "x-request-id: %s\r\n", r->id);
    fh_buf_add(&head, fh_buf_cstr(&r->extra), r->extra.len);
    if (!keep)
        fh_buf_adds(&head, "Connection: close\r\n");
    else if (old)
        fh_buf_adds(&head, "Connection: keep-alive\r\n");
    fh_buf_adds(&head, "\r\n");
    if (fh_buf_ok(&head) && fh_buf_ok(&r->extra))
        fh_http_conn_queue(c, head.data, head.len);
    else
        fh_http_conn_break(c); /* rather no reply than one that lacks a header */
    fh_buf_fini(&head);
}

void fh_http_reply_last(fh_http_req *r)
{
    r->keep = false;
}

bool fh_http_reply_header(fh_http_req *r, const char *name, const char *value)
{
    if (!fh_http_token_valid(fh_str_of(name)) || !fh_http_value_valid(fh_str_of(value))) return false;
    return fh_buf_addf(&r->extra, "%s: %s\r\n", name, value);
}

/* Replies. */

/* Whether another request can follow on the connection. */
static bool may_go_on(const fh_http_conn *c)
{
    return !c->server->draining && (!c->eof || c->pending.len);
}

/* Whoever guesses keys by the thousand waits for each answer, and takes no time from those who have one; those who come through the same
 * router, or the same proxy, with a key that is valid do not wait. */
static void slow_strangers(fh_http_conn *c)
{
    fh_address spoken_for;
    bool proxied = c->req.client[0] && fh_address_parse(fh_str_of(c->req.client), &spoken_for);
    const fh_address *a = proxied ? &spoken_for : c->tcp ? &c->address : NULL;
    int64_t until = fh_http_meter_take(&c->group->refusals, a, 1, fh_clock_mono_ns());
    if (until) fh_http_conn_hold(c, until);
}

void fh_http_reply_holds(fh_http_req *r, atomic_size_t *sum, size_t bytes)
{
    fh_http_conn_count_out(r->conn, sum, bytes);
}

void fh_http_reply(fh_http_req *r, int status, const char *content_type, const void *body, size_t bytes)
{
    fh_http_conn *c = r->conn;
    r->keep = r->keep && may_go_on(c);
    if (status == 401 && !*r->who) slow_strangers(c); /* with a key of ours it is somebody else's 401 that is passed on */
    queue_head(c, status, content_type, (int64_t)bytes, r->keep);
    if (bytes && !r->head && !has_no_body(status)) {
        fh_http_conn_queue(c, body, bytes);
        r->out_bytes += bytes;
    }
    fh_http_conn_reply_done(c);
}

/* The reply to what never became a request: in the control plane's shape where it was meant, as far as can be told, else in OpenAI's. */
void fh_http_reply_refusal(fh_http_conn *c, int status, const fh_err *err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(8192);
    bool problem = fh_str_starts(fh_http_reader_target(c->reader), FH_STR("/api/"));
    make_id(c->server, c->req.id, sizeof c->req.id);
    atomic_fetch_add_explicit(&c->group->refused, 1, memory_order_relaxed);
    bool ok = problem ? fh_wire_problem_write(&body, err, status, c->req.id) : fh_wire_error_write(&body, err);
    if (!ok) fh_buf_clear(&body);
    queue_head(c, status, problem ? "application/problem+json" : "application/json", (int64_t)body.len, false);
    fh_http_conn_queue(c, fh_buf_cstr(&body), body.len);
}

void fh_http_reply_start(fh_http_req *r, int status, const char *content_type)
{
    fh_http_conn *c = r->conn;
    r->chunked = msg(r)->minor == 1;
    r->keep = r->keep && r->chunked && !r->head && may_go_on(c);
    queue_head(c, status, content_type, -1, r->keep);
    r->state = FH_REPLY_STREAMED;
    if (!c->busy) fh_http_conn_flush(c);
    if (!r->head) return;
    fh_http_conn_flush(c); /* HEAD: the head is the reply; a source that may be endless is told that its reader has gone */
    fh_http_conn_break(c);
}

bool fh_http_reply_write(fh_http_req *r, const void *data, size_t bytes)
{
    fh_http_conn *c = r->conn;
    size_t max = c->server->limits.out_buffer_bytes;
    char size[24];
    if (bytes && !c->broken) {
        if (r->chunked) fh_http_conn_queue(c, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", bytes));
        fh_http_conn_queue(c, data, bytes);
        r->out_bytes += bytes;
        if (r->chunked) fh_http_conn_queue(c, "\r\n", 2);
    }
    if (!c->busy || fh_http_conn_unsent(c) > max) fh_http_conn_flush(c);
    r->paused = c->broken || fh_http_conn_unsent(c) > max;
    return !r->paused;
}

void fh_http_reply_on_drain(fh_http_req *r, void (*fn)(void *arg), void *arg)
{
    r->on_drain = fn;
    r->drain_arg = arg;
}

void fh_http_reply_end(fh_http_req *r)
{
    if (r->chunked) fh_http_conn_queue(r->conn, "0\r\n\r\n", 5);
    fh_http_conn_reply_done(r->conn);
}

void fh_http_reply_abort(fh_http_req *r)
{
    fh_http_conn *c = r->conn;
    r->cut = true;
    if (r->state == FH_REPLY_STREAMED && !r->chunked) { /* its end is the end of the connection: only a reset says that it was cut */
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        fh_http_conn_flush(c);
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        fh_http_req_over(r);
        fh_http_conn_break(c);
        return;
    }
    r->keep = false;
    fh_http_conn_reply_done(c);
}
