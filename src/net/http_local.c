/* Calls to programs on this machine, over unix sockets and loopback, in plain HTTP/1.1: the engines. A request costs a third of what it
 * costs through libcurl, which does all the rest (TLS, names, proxies, bounds on the whole time).
 *
 *   a connection: fresh or taken from the idle ones -> the request is sent -> HEAD -> body -> idle again, or closed
 *
 * What holds: a connection has one call or is idle; idle ones are watched, and closed when they say anything. The chunks of what one read
 * brings are joined in place and handed over at once, so that a paused call keeps nothing back. A request on a connection that was idle and
 * ends before a byte of reply came is sent once more on a fresh one: the engine may have closed it just then. */
#include "private.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

enum { SCRATCH_BYTES = 65536, ADDRESS_BYTES = 128, LINE_BYTES = FH_LIMIT_HTTP_HEADER_BYTES, READS_PER_RUN = 16 };

typedef enum reply_state { STATUS, HEADERS, COUNTED, TO_END, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, COMPLETE } reply_state;

struct fh_local_conn {
    fh_http_client *client;
    struct fh_local_conn *prev, *next; /* of the idle ones; the latest first */
    char address[ADDRESS_BYTES];       /* "unix:PATH" or "127.0.0.1:80" */
    int fd;
    struct event readable, writable;
    fh_http_call *call; /* NULL: idle */
    bool reused, heard, keep, reading;
    fh_buf line; /* of the reply's head or of a chunk's, while it is not whole */
    reply_state state;
    uint64_t left;
    bool has_length, chunked;
    size_t sent; /* of the call's request text */
};

/* Which calls are ours. */

static bool split_url(const char *url, fh_str *ret_authority, fh_str *ret_target)
{
    fh_str scheme = FH_STR("http://"), all = fh_str_of(url);
    if (!fh_str_starts(all, scheme)) return false;
    size_t n = strcspn(url + scheme.len, "/?#");
    *ret_authority = (fh_str){url + scheme.len, n};
    *ret_target = (fh_str){url + scheme.len + n, all.len - scheme.len - n};
    return fh_str_find(*ret_authority, FH_STR("@")) == n && ret_target->len > 0 && ret_target->ptr[0] == '/' &&
           !strchr(ret_target->ptr, '#');
}

/* "127.0.0.1:80" of an authority on loopback, written with a number. */
static bool loopback_address(fh_str authority, char *out, size_t size)
{
    struct in_addr a;
    char host[32];
    uint64_t port = 80;
    size_t colon = fh_str_find(authority, FH_STR(":"));
    fh_str text = {authority.ptr + colon + 1, colon < authority.len ? authority.len - colon - 1 : 0};
    if (colon >= sizeof host || (colon < authority.len && !fh_str_u64(text, 65535, &port))) return false;
    snprintf(host, sizeof host, "%.*s", (int)colon, authority.ptr);
    if (inet_pton(AF_INET, host, &a) != 1 || ntohl(a.s_addr) >> 24 != 127) return false;
    return snprintf(out, size, "%s:%u", host, (unsigned)port) < (int)size;
}

static bool find_address(const fh_http_call_spec *s, char *out, size_t size)
{
    fh_str authority = {NULL, 0}, target = {NULL, 0};
    if (s->total_timeout_ns || !split_url(s->url, &authority, &target)) return false;
    return s->unix_path ? snprintf(out, size, "unix:%s", s->unix_path) < (int)size : loopback_address(authority, out, size);
}

bool fh_local_serves(const fh_http_call_spec *s)
{
    char address[ADDRESS_BYTES];
    return find_address(s, address, sizeof address);
}

/* The request. */

static int write_request(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    fh_str authority = {NULL, 0}, target = {NULL, 0};
    const char *method = s->method ? s->method : "GET";
    fh_buf *b = &call->request;
    split_url(s->url, &authority, &target);
    if (!fh_http_value_valid(target) || !fh_http_token_valid(fh_str_of(method)) || !fh_http_value_valid(authority))
        return fh_err_set(err, FH_E_INVALID, "the request %s cannot be sent: its method or address is malformed", call->where);
    fh_buf_init(b, s->body.len + 4 * (size_t)FH_LIMIT_HTTP_HEADER_BYTES);
    fh_buf_addf(b, "%s %.*s HTTP/1.1\r\nHost: %.*s\r\n", method, (int)target.len, target.ptr, (int)authority.len, authority.ptr);
    for (size_t i = 0; i < s->header_count; i++) {
        const fh_header *h = &s->headers[i];
        if (!fh_http_token_valid(h->name) || !fh_http_value_valid(h->value))
            return fh_err_set(err, FH_E_INVALID, "header %zu of a request to be sent is malformed", i);
        fh_buf_add(b, h->name.ptr, h->name.len);
        fh_buf_add(b, ": ", 2);
        fh_buf_add(b, h->value.ptr, h->value.len);
        fh_buf_add(b, "\r\n", 2);
    }
    if (s->body.len || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) fh_buf_addf(b, "Content-Length: %zu\r\n", s->body.len);
    fh_buf_add(b, "\r\n", 2);
    fh_buf_add(b, s->body.ptr, s->body.len);
    call->head_only = strcmp(method, "HEAD") == 0;
    return fh_buf_check(b, err, "a request");
}

int fh_local_prepare(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    find_address(s, call->address, sizeof call->address);
    return write_request(call, s, err);
}

/* Connections. */

static void unlink_idle(fh_local_conn *c)
{
    fh_http_client *client = c->client;
    if (c->prev)
        c->prev->next = c->next;
    else
        client->idle = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        client->idle_last = c->prev;
    c->prev = c->next = NULL;
    client->idle_count--;
}

static void conn_free(fh_local_conn *c)
{
    if (!c->call) unlink_idle(c);
    event_del(&c->readable);
    event_del(&c->writable);
    close(c->fd);
    fh_buf_fini(&c->line);
    fh_free(c);
}

static void keep_idle(fh_local_conn *c)
{
    fh_http_client *client = c->client;
    c->call = NULL;
    fh_buf_fini(&c->line);
    c->prev = NULL;
    c->next = client->idle;
    if (c->next)
        c->next->prev = c;
    else
        client->idle_last = c;
    client->idle = c;
    if (++client->idle_count > FH_LIMIT_HTTP_UPSTREAM_CONNECTIONS) conn_free(client->idle_last);
}

static fh_local_conn *take_idle(fh_http_client *client, const char *address)
{
    for (fh_local_conn *c = client->idle; c; c = c->next) {
        if (strcmp(c->address, address) != 0) continue;
        unlink_idle(c);
        return c;
    }
    return NULL;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) return errno = ENAMETOOLONG, -1;
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    return errno = error, -1;
}

static int connect_loopback(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    char host[32];
    int on = 1;
    const char *colon = strchr(address, ':');
    uint64_t port = 0;
    fh_str_u64(fh_str_of(colon + 1), 65535, &port);
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    inet_pton(AF_INET, host, &a.sin_addr);
    a.sin_port = htons((in_port_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS)) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    return errno = error, -1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static int open_conn(fh_local_conn **ret, fh_http_call *call, fh_err **err)
{
    const char *address = call->address;
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    fh_local_conn *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    c->fd = is_unix ? connect_unix(address + 5) : connect_loopback(address);
    if (c->fd < 0) {
        int error = errno;
        fh_free(c);
        return fh_err_errno(err, FH_E_UNAVAILABLE, error, "%s: cannot connect", call->where);
    }
    c->client = call->client;
    c->call = call;
    snprintf(c->address, sizeof c->address, "%s", address);
    event_assign(&c->readable, fh_loop_base(c->client->loop), c->fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, fh_loop_base(c->client->loop), c->fd, EV_WRITE, on_writable, c);
    c->reading = event_add(&c->readable, NULL) == 0;
    if (!c->reading) {
        conn_free(c);
        return fh_err_nomem(err);
    }
    *ret = c;
    return 0;
}

/* A call's beginning and end. */

static void give_to(fh_local_conn *c, fh_http_call *call, bool reused)
{
    c->call = call;
    call->conn = c;
    c->reused = reused;
    c->heard = c->has_length = c->chunked = false;
    c->state = STATUS;
    c->sent = 0;
    fh_buf_init(&c->line, LINE_BYTES);
}

void fh_local_drop(fh_http_call *call)
{
    fh_local_conn *c = call->conn;
    call->conn = NULL;
    if (c) conn_free(c);
}

/* Takes err. The caller hears of it from the loop, as of everything. */
static void fail(fh_http_call *call, fh_err *err)
{
    fh_local_drop(call);
    fh_err_free(call->local_err);
    call->local_err = err;
    fh_http_call_fail(call, FH_E_UPSTREAM);
}

static void send_request(fh_local_conn *c);

static void begin(fh_http_call *call, bool fresh)
{
    fh_err *err = NULL;
    fh_local_conn *c = fresh ? NULL : take_idle(call->client, call->address);
    bool reused = c != NULL;
    int rc = c ? 0 : open_conn(&c, call, &err);
    if (rc || !c) {
        fail(call, err);
        return;
    }
    give_to(c, call, reused);
    send_request(c);
}

void fh_local_begin(fh_http_call *call)
{
    begin(call, false);
}

/* The connection has ended, or its bytes make no sense. why may be NULL: it ended. */
static void broke(fh_local_conn *c, int error, const char *why)
{
    fh_http_call *call = c->call;
    fh_err *err = NULL;
    bool again = c->reused && !c->heard && !call->cancelled;
    if (again) {
        fh_local_drop(call);
        begin(call, true);
        return;
    }
    if (why)
        fh_err_set(&err, FH_E_UPSTREAM, "%s: the reply is no HTTP: %s", call->where, why);
    else if (error)
        fh_err_errno(&err, error == ECONNREFUSED ? FH_E_UNAVAILABLE : FH_E_UPSTREAM, error, "%s", call->where);
    else
        fh_err_set(&err, FH_E_UPSTREAM, "%s: the connection was closed before the reply was whole", call->where);
    fail(call, err);
}

static void complete(fh_local_conn *c)
{
    fh_http_call *call = c->call;
    bool whole = c->sent == call->request.len; /* a reply before the request's end: what is left of it cannot be taken back */
    call->conn = NULL;
    if (c->keep && whole)
        keep_idle(c);
    else
        conn_free(c);
    fh_http_call_finished(call);
}

/* Sending. */

static void connect_timed_out(fh_local_conn *c)
{
    fh_http_call *call = c->call;
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_TIMEOUT, "%s: no connection after %g s", call->where, (double)call->connect_ns / (double)FH_NS_PER_S);
    fail(call, err);
}

/* Until the first byte is out, it is the connection that is waited for. */
static bool wait_writable(fh_local_conn *c)
{
    int64_t ns = c->call->connect_ns;
    struct timeval limit = {.tv_sec = (time_t)(ns / FH_NS_PER_S), .tv_usec = (suseconds_t)(ns % FH_NS_PER_S / 1000)};
    return event_add(&c->writable, c->sent == 0 && !c->reused ? &limit : NULL) == 0;
}

static ssize_t send_some(const fh_local_conn *c)
{
    const fh_buf *b = &c->call->request;
    if (!fh_fault_strikes(FH_FAULT_WRITE)) return send(c->fd, b->data + c->sent, b->len - c->sent, MSG_NOSIGNAL);
    return errno = ECONNRESET, -1;
}

static void send_request(fh_local_conn *c)
{
    fh_http_call *call = c->call;
    while (c->sent < call->request.len) {
        ssize_t n = send_some(c);
        if (n >= 0) {
            c->sent += (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS || errno == ENOTCONN) {
            if (!wait_writable(c)) broke(c, ENOMEM, NULL);
            return;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            if (c->reused && !c->heard) broke(c, errno, NULL);
            return; /* what it said before it closed is read first */
        } else if (errno != EINTR) {
            broke(c, errno, NULL);
            return;
        }
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    fh_local_conn *c = arg;
    if (c->call && (what & EV_TIMEOUT))
        connect_timed_out(c);
    else if (c->call)
        send_request(c);
}

/* Receiving. */

static const char *read_status(fh_local_conn *c, fh_str line)
{
    uint64_t status = 0;
    bool shape = line.len >= 12 && fh_str_starts(line, FH_STR("HTTP/1.")) && (line.ptr[7] == '0' || line.ptr[7] == '1') &&
                 line.ptr[8] == ' ' && fh_str_u64((fh_str){line.ptr + 9, 3}, 999, &status) && status >= 100 &&
                 (line.len == 12 || line.ptr[12] == ' ');
    if (!shape) return "its first line";
    c->keep = line.ptr[7] == '1';
    c->has_length = c->chunked = false;
    c->left = 0;
    fh_http_call_reply_begin(c->call, (int)status);
    c->state = HEADERS;
    return NULL;
}

static const char *read_framing(fh_local_conn *c, fh_str name, fh_str value)
{
    if (fh_str_ieq(name, FH_STR("content-length"))) {
        if (c->has_length || !fh_str_u64(value, INT64_MAX, &c->left)) return "Content-Length";
        c->has_length = true;
    } else if (fh_str_ieq(name, FH_STR("transfer-encoding"))) {
        if (c->chunked || !fh_str_ieq(value, FH_STR("chunked"))) return "Transfer-Encoding";
        c->chunked = true;
    } else if (fh_str_ieq(name, FH_STR("connection"))) {
        c->keep = !fh_http_list_has(value, "close") && (c->keep || fh_http_list_has(value, "keep-alive"));
    }
    return NULL;
}

/* All of the head is there: what follows it? */
static const char *end_head(fh_local_conn *c)
{
    fh_http_call *call = c->call;
    int status = call->reply_status;
    if (status < 200) {
        c->state = STATUS;
        return status == 101 ? "it changes the protocol" : NULL;
    }
    if (c->chunked && c->has_length) return "both Content-Length and Transfer-Encoding";
    bool bare = call->head_only || status == 204 || status == 304;
    if (bare || (c->has_length && c->left == 0))
        c->state = COMPLETE;
    else
        c->state = c->chunked ? CHUNK_SIZE : c->has_length ? COUNTED : TO_END;
    if (c->state == TO_END) c->keep = false;
    fh_http_call_headers_done(call);
    return NULL;
}

static const char *read_header(fh_local_conn *c, fh_str line)
{
    size_t colon = fh_str_find(line, FH_STR(":"));
    fh_str name = {line.ptr, colon};
    if (colon == line.len || !fh_http_token_valid(name)) return "a header line";
    fh_str value = fh_str_trim((fh_str){line.ptr + colon + 1, line.len - colon - 1});
    if (!fh_http_value_valid(value)) return "the value of a header";
    const char *why = read_framing(c, name, value);
    if (why) return why;
    return fh_http_call_header(c->call, name, value) ? NULL : "its headers are larger than is accepted";
}

static const char *read_chunk_size(fh_local_conn *c, fh_str line)
{
    size_t digits = 0;
    c->left = 0;
    for (; digits < line.len && fh_http_hex_value((unsigned char)line.ptr[digits]) >= 0; digits++) {
        if (c->left >> 58) return "the size of a chunk";
        c->left = c->left * 16 + (uint64_t)fh_http_hex_value((unsigned char)line.ptr[digits]);
    }
    char after = digits < line.len ? line.ptr[digits] : ';';
    if (digits == 0 || (after != ';' && after != ' ' && after != '\t')) return "the size of a chunk";
    c->state = c->left ? CHUNK_DATA : TRAILER;
    return NULL;
}

static const char *take_line(fh_local_conn *c, fh_str line)
{
    switch (c->state) {
    case STATUS: return read_status(c, line);
    case HEADERS: return line.len ? read_header(c, line) : end_head(c);
    case CHUNK_SIZE: return read_chunk_size(c, line);
    case CHUNK_END: c->state = CHUNK_SIZE; return line.len ? "the end of a chunk" : NULL;
    case TRAILER:
        if (line.len == 0) c->state = COMPLETE;
        return NULL;
    case COUNTED:
    case TO_END:
    case CHUNK_DATA:
    case COMPLETE: break;
    }
    return "its state";
}

/* One line, when its end is there; what is not whole is kept. */
static const char *read_line(fh_local_conn *c, const char *data, size_t bytes, size_t *ret_used)
{
    const char *lf = memchr(data, '\n', bytes), *why = NULL;
    size_t n = lf ? (size_t)(lf + 1 - data) : bytes;
    *ret_used = n;
    fh_str line = {data, n};
    if (!lf || c->line.len) {
        if (!fh_buf_add(&c->line, data, n)) return "a line of its head is too long";
        line = (fh_str){c->line.data, c->line.len};
    }
    if (!lf) return NULL;
    if (line.len < 2 || line.ptr[line.len - 2] != '\r') return "a line that does not end in CR LF";
    why = take_line(c, (fh_str){line.ptr, line.len - 2});
    fh_buf_clear(&c->line);
    return why;
}

static bool in_body(reply_state s)
{
    return s == COUNTED || s == TO_END || s == CHUNK_DATA;
}

/* Moves what is body to the front of data. */
static const char *decode(fh_local_conn *c, char *data, size_t bytes, size_t *ret_body)
{
    size_t at = 0, body = 0;
    const char *why = NULL;
    while (!why && at < bytes && c->state != COMPLETE && !c->call->cancelled) {
        size_t n = bytes - at;
        if (in_body(c->state)) {
            if (c->state != TO_END && n > c->left) n = (size_t)c->left;
            if (at != body) memmove(data + body, data + at, n);
            body += n;
            if (c->state != TO_END) c->left -= n;
            if (c->state != TO_END && c->left == 0) c->state = c->state == COUNTED ? COMPLETE : CHUNK_END;
        } else {
            why = read_line(c, data + at, n, &n);
        }
        at += n;
    }
    if (at < bytes) c->keep = false; /* more than was asked for */
    *ret_body = body;
    return why;
}

/* False when the connection has no call any more. */
static bool take_bytes(fh_local_conn *c, size_t bytes)
{
    fh_http_call *call = c->call;
    char *data = call->client->scratch;
    size_t body = 0;
    c->heard = true;
    call->client->depth++;
    const char *why = decode(c, data, bytes, &body);
    bool go_on = !body || call->cancelled || fh_http_call_data(call, data, body);
    call->client->depth--;
    if (call->cancelled) return false; /* the kick frees it, and its connection with it */
    if (why) {
        broke(c, 0, why);
        return false;
    }
    if (c->state == COMPLETE) {
        complete(c);
        return false;
    }
    if (!go_on) {
        event_del(&c->readable);
        c->reading = false;
    }
    return go_on;
}

static ssize_t receive_some(const fh_local_conn *c)
{
    if (!fh_fault_strikes(FH_FAULT_READ)) return recv(c->fd, c->client->scratch, SCRATCH_BYTES, 0);
    return errno = ECONNRESET, -1;
}

static void on_end(fh_local_conn *c)
{
    if (c->state == TO_END)
        complete(c);
    else
        broke(c, 0, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    fh_local_conn *c = arg;
    if (!c->call) {
        conn_free(c);
        return;
    }
    if (c->call->cancelled) return;
    for (int i = 0; i < READS_PER_RUN; i++) {
        ssize_t n = receive_some(c);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n < 0) {
            broke(c, errno, NULL);
            return;
        }
        if (n == 0) {
            on_end(c);
            return;
        }
        if (!take_bytes(c, (size_t)n) || n < SCRATCH_BYTES) return;
    }
}

void fh_local_resume(fh_http_call *call)
{
    fh_local_conn *c = call->conn;
    if (!c || c->reading) return;
    c->reading = event_add(&c->readable, NULL) == 0;
    if (!c->reading) broke(c, ENOMEM, NULL);
}

void fh_local_close_idle(fh_http_client *client)
{
    while (client->idle) conn_free(client->idle);
}
