/* One connection of the server: reading, parsing, sending, closing. What becomes of a request is in http_conn_request.c.
 *
 *   READING -> HANDLING -> READING ...      one request at a time; what a pipelining client sends meanwhile waits in `pending`
 *      \-> CLOSING -> LINGERING -> freed    after a refusal, "Connection: close", or draining
 *
 * What holds: the socket is watched edge-triggered once and for all, `readable` and `writable` are what it last said. Only conn_run and
 * timers free a connection, never a reply function: those set `broken` or `close_after` and kick. While a request is with its handler,
 * reading goes on (bounded) so that a client that leaves is seen. */
#include "private.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { PENDING_BYTES = FH_LIMIT_HTTP_PIPELINED_BYTES, READS_PER_RUN = 16, BYTES_PER_RUN = FH_HTTP_SCRATCH_BYTES, KEEP_BYTES = 16384 };

/* Time. */

/* Of two times, 0 for none. */
static int64_t earlier(int64_t a, int64_t b)
{
    if (!a || !b) return a ? a : b;
    return FH_MIN(a, b);
}

static int64_t next_deadline(const fh_http_conn *c)
{
    int64_t at = earlier(c->deadline_ns, c->write_deadline_ns);
    return earlier(earlier(at, c->held_until_ns), c->rests_until_ns);
}

/* The timer may fire too early (deadlines mostly move away), never too late. */
static void arm(fh_http_conn *c)
{
    int64_t at = next_deadline(c);
    if (!at || (c->timer_at_ns && c->timer_at_ns <= at)) return;
    c->timer_at_ns = at;
    fh_timer_start(&c->timer, at - fh_clock_mono_ns());
}

void fh_http_conn_deadline(fh_http_conn *c, int64_t deadline_ns)
{
    c->deadline_ns = deadline_ns;
    arm(c);
}

static void deadline_in(fh_http_conn *c, int64_t timeout_ns)
{
    fh_http_conn_deadline(c, fh_clock_mono_ns() + timeout_ns);
}

/* Until when the next byte must pass: the time for one step, and no later than the whole may have taken by now at the least rate. */
static int64_t pace(const fh_http_conn *c, int64_t timeout_ns, int64_t began_ns, uint64_t bytes)
{
    size_t rate = c->server->limits.rate_bytes;
    int64_t step = fh_clock_mono_ns() + timeout_ns;
    if (rate == 0) return step;
    return FH_MIN(step, began_ns + timeout_ns + (int64_t)(bytes / rate) * FH_NS_PER_S);
}

/* Sending. */

void fh_http_conn_kick(fh_http_conn *c)
{
    if (!c->busy) event_active(&c->kick, EV_TIMEOUT, 0);
}

void fh_http_conn_break(fh_http_conn *c)
{
    c->broken = true;
    fh_http_conn_kick(c);
}

void fh_http_conn_queue(fh_http_conn *c, const void *data, size_t bytes)
{
    if (c->broken) return;
    if (c->sent > KEEP_BYTES && c->sent > c->out.len / 2) {
        fh_buf_consume(&c->out, c->sent);
        c->sent = 0;
    }
    if (!c->write_deadline_ns) {
        c->write_began_ns = fh_clock_mono_ns();
        c->written_bytes = 0;
        c->write_deadline_ns = c->write_began_ns + c->server->limits.write_timeout_ns;
        arm(c);
    }
    if (!fh_buf_add(&c->out, data, bytes)) fh_http_conn_break(c);
}

void fh_http_conn_count_out(fh_http_conn *c, atomic_size_t *sum, size_t bytes)
{
    if (c->out_sum && c->out_sum != sum) {
        atomic_fetch_sub(c->out_sum, c->out_bytes);
        c->out_bytes = 0;
    }
    c->out_sum = sum;
    c->out_bytes += bytes;
}

static void all_sent(fh_http_conn *c)
{
    fh_http_conn_count_out(c, NULL, 0);
    c->sent = 0;
    c->write_deadline_ns = 0;
    if (c->out.cap > KEEP_BYTES) {
        size_t max = c->out.max;
        fh_buf_fini(&c->out);
        fh_buf_init(&c->out, max);
    }
    fh_buf_clear(&c->out);
}

static ssize_t send_some(const fh_http_conn *c)
{
    const char *data = c->out.data + c->sent;
    if (!fh_fault_strikes(FH_FAULT_WRITE))
        return c->tls ? fh_tls_send(c->tls, data, fh_http_conn_unsent(c)) : send(c->fd, data, fh_http_conn_unsent(c), MSG_NOSIGNAL);
    errno = ECONNRESET;
    return -1;
}

void fh_http_conn_hold(fh_http_conn *c, int64_t until_ns)
{
    c->held_until_ns = until_ns;
    arm(c);
}

void fh_http_conn_flush(fh_http_conn *c)
{
    if (c->held_until_ns) return;
    while (!c->broken && c->writable && fh_http_conn_unsent(c)) {
        ssize_t n = send_some(c);
        if (n > 0) {
            c->sent += (size_t)n;
            c->written_bytes += (uint64_t)n;
            c->write_deadline_ns = pace(c, c->server->limits.write_timeout_ns, c->write_began_ns, c->written_bytes);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            c->writable = false;
        } else if (errno != EINTR) {
            fh_http_conn_break(c);
        }
    }
    if (!c->broken && c->sent && c->sent == c->out.len) all_sent(c);
}

/* What this connection's request body holds, in the sum of all; false when that is too much. */
bool fh_http_conn_count_body(fh_http_conn *c, size_t bytes)
{
    size_t more = bytes - c->body_bytes; /* modulo 2^64: may be less */
    if (more == 0) return true;
    c->body_bytes = bytes;
    size_t all = atomic_fetch_add(&c->group->bodies_bytes, more) + more;
    return bytes == 0 || all <= c->server->limits.bodies_bytes;
}

/* Closing. */

static void start_closing(fh_http_conn *c)
{
    c->phase = FH_CONN_CLOSING;
    fh_buf_fini(&c->pending);
    fh_http_reader_next(c->reader);
    fh_http_conn_count_body(c, 0);
    fh_http_conn_deadline(c, 0);
}

/* Once the last byte is out: closing at once would make the kernel answer late bytes of the client with a reset, which may overtake our
 * reply. */
static void start_lingering(fh_http_conn *c)
{
    c->phase = FH_CONN_LINGERING;
    if (c->tls) fh_tls_goodbye(c->tls);
    if (c->eof || shutdown(c->fd, SHUT_WR) != 0) c->broken = true;
    deadline_in(c, c->server->limits.linger_ns);
}

/* Requests. */

void fh_http_conn_refuse(fh_http_conn *c, int status, fh_err *err)
{
    fh_http_reply_refusal(c, status, err);
    fh_err_free(err);
    start_closing(c);
}

static void refuse_body(fh_http_conn *c)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_UNAVAILABLE, "other requests hold all the memory that this server has for request bodies");
    fh_http_conn_refuse(c, 503, err);
}

/* After each piece of an unfinished request: how long may the next one take. The head has one deadline in all, so that trickling does not
 * help. */
static void wait_for_more(fh_http_conn *c, bool was_started, bool in_body)
{
    if (in_body)
        fh_http_conn_deadline(c, pace(c, c->server->limits.body_timeout_ns, c->body_began_ns, fh_http_reader_body_bytes(c->reader)));
    else if (!was_started && fh_http_reader_started(c->reader))
        deadline_in(c, c->server->limits.header_timeout_ns);
}

/* Too much unsent, or a reply that is held back: no further requests are parsed, so that a client that pipelines and does not read costs
 * bounded memory, and one that guesses keys gains nothing by pipelining. */
static bool congested(fh_http_conn *c)
{
    size_t max = c->server->limits.out_buffer_bytes;
    if (fh_http_conn_unsent(c) > max) fh_http_conn_flush(c);
    return c->held_until_ns || fh_http_conn_unsent(c) > max;
}

static size_t parse(fh_http_conn *c, const char *data, size_t bytes)
{
    size_t used = 0;
    while (used < bytes && c->phase == FH_CONN_READING && !c->broken && !c->close_after && !congested(c)) {
        size_t n = bytes - used;
        fh_http_read state = FH_HTTP_MORE;
        int status = 400;
        fh_err *err = NULL;
        bool started = fh_http_reader_started(c->reader);
        int rc = fh_http_reader_push(c->reader, data + used, &n, &state, &status, &err);
        used += n;
        if (rc < 0)
            fh_http_conn_refuse(c, status, err);
        else if (!fh_http_conn_count_body(c, fh_http_reader_body_bytes(c->reader)))
            refuse_body(c);
        else if (state == FH_HTTP_DONE)
            fh_http_conn_request_came(c);
        else if (state == FH_HTTP_HEADERS)
            fh_http_conn_head_came(c, used < bytes);
        else
            wait_for_more(c, started, fh_http_reader_msg(c->reader)->headers != NULL);
    }
    if (used == bytes && c->phase == FH_CONN_READING && !c->broken) fh_http_conn_body_waits(c);
    return used;
}

/* A reply has ended: the next request, or the end of the connection. */
void fh_http_conn_reply_done(fh_http_conn *c)
{
    const fh_http_server *s = c->server;
    if (!c->req.keep || (s->draining && s->grace_ns == 0)) c->close_after = true;
    fh_http_req_over(&c->req);
    fh_http_reader_next(c->reader);
    fh_http_conn_count_body(c, 0);
    c->phase = FH_CONN_READING;
    deadline_in(c, s->draining ? s->grace_ns : s->limits.idle_timeout_ns);
    if (c->busy) return;
    fh_http_conn_flush(c);
    if (c->close_after || c->pending.len || c->readable || c->eof) fh_http_conn_kick(c);
}

/* Reading. */

/* What the kernel knows beyond "no more bytes": for a unix socket whether the peer is gone, for TCP whether it has answered with a reset.
 */
static bool peer_gone(const fh_http_conn *c)
{
    struct pollfd p = {.fd = c->fd};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

/* The client has shut its side. It may still wait for the reply, or be gone; over TCP only a byte from us tells which: a dead one answers
 * with a reset. An interim reply is that byte (RFC 9110, 15.2: every HTTP/1.1 client takes it). */
static void probe_half_closed(fh_http_conn *c)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (peer_gone(c)) {
        c->broken = true;
    } else if (c->tcp && !c->probed && c->req.state == FH_REPLY_AWAITED && fh_http_reader_msg(c->reader)->minor == 1) {
        c->probed = true;
        fh_http_conn_queue(c, interim, sizeof interim - 1);
    }
}

static void input_ended(fh_http_conn *c)
{
    c->eof = true;
    c->readable = false;
    if (c->phase == FH_CONN_HANDLING)
        probe_half_closed(c);
    else if (c->phase == FH_CONN_LINGERING)
        c->broken = true;
}

/* What still comes is dropped. */
static bool is_over(const fh_http_conn *c)
{
    return c->phase == FH_CONN_CLOSING || c->phase == FH_CONN_LINGERING || c->unread;
}

static void drop_input(fh_http_conn *c, size_t bytes)
{
    c->dropped_bytes += bytes;
    if (c->dropped_bytes > FH_LIMIT_HTTP_LINGER_BYTES) c->broken = true;
}

static void take_input(fh_http_conn *c, const char *data, size_t bytes)
{
    size_t used = 0;
    if (c->phase == FH_CONN_READING && !c->pending.len) used = parse(c, data, bytes);
    if (is_over(c))
        drop_input(c, bytes - used);
    else if (used < bytes && !fh_buf_add(&c->pending, data + used, bytes - used))
        c->broken = true;
}

/* What is to be dropped waits at the client as long as the answer to it waits here. */
static bool wants_input(const fh_http_conn *c)
{
    if (!c->readable || c->broken || c->rests_until_ns) return false;
    return is_over(c) ? c->phase != FH_CONN_HANDLING && !c->held_until_ns : c->pending.len < PENDING_BYTES;
}

static bool at_door(const fh_http_conn *c)
{
    return c->server->home_count > 0;
}

/* What is dropped is not even copied, where the system can do that (tcp(7), MSG_TRUNC), and not decrypted once nothing is to be said. */
static ssize_t receive_some(const fh_http_conn *c, size_t most)
{
    char *out = c->server->scratch;
    bool plain = !c->tls || c->phase == FH_CONN_LINGERING;
    if (!fh_fault_strikes(FH_FAULT_READ))
        return plain ? recv(c->fd, out, most, is_over(c) && c->tcp ? MSG_TRUNC : 0) : fh_tls_recv(c->tls, out, most);
    errno = ECONNRESET;
    return -1;
}

/* What strangers send is read at a bounded rate, and so is what is dropped, and what of a body is beyond its beginning: by that meter, or
 * NULL. Who is on the way from the door has just been let in. */
static fh_http_meter *pace_of(fh_http_conn *c)
{
    bool large = c->tcp && fh_http_reader_body_bytes(c->reader) > FH_LIMIT_HTTP_LARGE_BODY_BYTES;
    if (is_over(c) || (at_door(c) && !c->move_to)) return &c->group->strangers;
    return large ? &c->group->large_bodies : NULL;
}

static void rest(fh_http_conn *c, size_t bytes)
{
    fh_http_meter *m = pace_of(c);
    const fh_address *a = c->tcp && !c->trusted ? &c->address : NULL;
    if (m) c->rests_until_ns = fh_http_meter_take(m, a, (int64_t)bytes, fh_clock_mono_ns());
}

/* Told in the language that it speaks. */
static void refuse_plain(fh_http_conn *c)
{
    fh_err *err = NULL;
    fh_tls_stream_free(c->tls);
    c->tls = NULL;
    c->eof = c->readable = false;
    fh_err_set(&err, FH_E_INVALID, "this server speaks HTTPS here, and this was plain HTTP");
    fh_err_hint(&err, "write https:// instead of http://");
    fh_http_conn_refuse(c, 400, err);
}

static void read_once(fh_http_conn *c, size_t *io_read)
{
    size_t most = pace_of(c) && !is_over(c) ? FH_LIMIT_HTTP_PACED_READ_BYTES : FH_HTTP_SCRATCH_BYTES;
    ssize_t n = receive_some(c, most);
    if (n > 0) {
        *io_read += (size_t)n;
        take_input(c, c->server->scratch, (size_t)n);
        rest(c, (size_t)n);
        /* A short read emptied the socket; what comes later makes a new edge. Only an end that was announced with the bytes would not. */
        if ((size_t)n < most && !c->end_seen && !c->tls) c->readable = false;
    } else if (n == 0) {
        input_ended(c);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        c->readable = false;
    } else if (errno == EPROTOTYPE && c->tls) {
        refuse_plain(c);
    } else if (errno != EINTR) {
        c->broken = true;
    }
}

static void parse_pending(fh_http_conn *c)
{
    size_t used = parse(c, c->pending.data, c->pending.len);
    if (c->pending.len) fh_buf_consume(&c->pending, used); /* a refusal has emptied it */
    if (c->pending.len == 0 && c->pending.cap > KEEP_BYTES) fh_buf_fini(&c->pending);
}

/* One bounded slice of input; what was read is added to *io_read. False when there is nothing to do now. */
static bool input_step(fh_http_conn *c, size_t *io_read)
{
    bool parsing = c->phase == FH_CONN_READING && !c->close_after && !c->broken;
    if (parsing && c->pending.len && !congested(c))
        parse_pending(c);
    else if (wants_input(c))
        read_once(c, io_read);
    else
        return false;
    return true;
}

/* Sends what can be sent and wakes a source that was paused. */
static void output_step(fh_http_conn *c)
{
    fh_http_conn_flush(c);
    for (int i = 0; i < READS_PER_RUN && c->req.paused && !c->broken; i++) {
        if (fh_http_conn_unsent(c) > c->server->limits.out_buffer_bytes / 2) break;
        c->req.paused = false;
        if (c->req.on_drain) c->req.on_drain(c->req.drain_arg);
        fh_http_conn_flush(c);
    }
}

/* What the phases owe each other once nothing more can be done now. */
static void settle(fh_http_conn *c)
{
    bool input_over = c->eof && !c->pending.len;
    if (c->phase == FH_CONN_READING && (c->close_after || input_over)) start_closing(c);
    if (c->phase == FH_CONN_CLOSING && !fh_http_conn_unsent(c)) start_lingering(c);
    if (c->broken)
        fh_http_conn_close(c);
    else if (c->move_to)
        fh_http_conn_move(c);
    else
        arm(c);
}

void fh_http_conn_run(fh_http_conn *c)
{
    c->busy = true;
    bool more = true;
    size_t read = 0;
    output_step(c);
    for (int i = 0; i < READS_PER_RUN && more && read < BYTES_PER_RUN; i++) more = input_step(c, &read);
    output_step(c);
    c->busy = false;
    if (more || (c->req.paused && fh_http_conn_unsent(c) == 0)) { /* its turn is over: go on after the others */
        c->timer_at_ns = 1;
        fh_timer_start(&c->timer, 0);
    }
    settle(c);
}

void fh_http_conn_on_io(evutil_socket_t fd, short what, void *arg)
{
    fh_http_conn *c = arg;
    if (what & (EV_READ | EV_CLOSED)) c->readable = true;
    if (what & EV_CLOSED) c->end_seen = true;
    if (what & EV_WRITE) c->writable = true;
    if (c->tls) c->readable = c->writable = true; /* TLS may have to write in order to read, and the other way about */
    fh_http_conn_run(c);
}

void fh_http_conn_on_kick(evutil_socket_t fd, short what, void *arg)
{
    fh_http_conn_run(arg);
}

static void deadline_passed(fh_http_conn *c)
{
    c->deadline_ns = 0;
    if (c->phase == FH_CONN_LINGERING) {
        c->broken = true;
    } else if (c->phase == FH_CONN_READING && fh_http_reader_started(c->reader)) {
        fh_err *err = NULL;
        fh_err_set(&err, FH_E_TIMEOUT, "the request did not come in time");
        fh_http_conn_refuse(c, 408, err);
    } else if (c->phase == FH_CONN_READING && fh_http_conn_unsent(c)) {
        deadline_in(c, c->server->limits.idle_timeout_ns);
    } else if (c->phase == FH_CONN_READING) {
        start_closing(c);
    }
}

void fh_http_conn_on_timer(void *arg)
{
    fh_http_conn *c = arg;
    int64_t now = fh_clock_mono_ns();
    c->timer_at_ns = 0;
    if (now >= c->held_until_ns) c->held_until_ns = 0;
    if (now >= c->rests_until_ns) c->rests_until_ns = 0;
    if (c->write_deadline_ns && now >= c->write_deadline_ns)
        c->broken = true;
    else if (c->deadline_ns && now >= c->deadline_ns)
        deadline_passed(c);
    fh_http_conn_run(c);
}
