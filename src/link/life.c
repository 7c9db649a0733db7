/* A link's life: it comes with a socket, shakes hands, is up, and goes for one reason.
 *
 *   handshake -> HTTP/2's SETTINGS both ways -> up -> gone
 *
 * What holds: the socket is watched edge-triggered, once. What is heard is taken as it comes, since HTTP/2's windows bound it; what is said
 * is made when the socket takes it. The clock looks at silence, at bytes that nobody takes, and at a link that does not come up. */
#include "private.h"

#include "base/clock.h"
#include "base/fault.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READS_PER_RUN = 32, WRITES_PER_RUN = 16, UNSENT_BYTES = 131072 };

/* ---- small things ---- */

void fh_link_times_fill(fh_link_times *t)
{
    const struct {
        int64_t *ns;
        int64_t ms;
    } all[] = {
        {&t->handshake_ns, FH_LIMIT_LINK_HANDSHAKE_MS},
        {&t->connect_ns, FH_LIMIT_LINK_CONNECT_MS},
        {&t->ping_ns, FH_LIMIT_LINK_PING_MS},
        {&t->silence_ns, FH_LIMIT_LINK_SILENCE_MS},
        {&t->backoff_min_ns, FH_LIMIT_LINK_BACKOFF_MIN_MS},
        {&t->backoff_max_ns, FH_LIMIT_LINK_BACKOFF_MAX_MS},
        {&t->uncertified_ns, FH_LIMIT_LINK_UNCERTIFIED_MS},
    };
    for (size_t i = 0; i < FH_COUNT(all); i++) {
        if (*all[i].ns <= 0) *all[i].ns = all[i].ms * FH_NS_PER_MS;
    }
}

const fh_link_peer *fh_link_peer_get(const fh_link *l)
{
    return &l->peer;
}

void fh_link_ctx_set(fh_link *l, void *ctx)
{
    l->ctx = ctx;
}

void *fh_link_ctx(const fh_link *l)
{
    return l->ctx;
}

size_t fh_link_streams(const fh_link *l)
{
    return l->stream_count;
}

int64_t fh_link_rtt_ns(const fh_link *l)
{
    return l->rtt_ns;
}

void fh_link_kick(fh_link *l)
{
    event_active(&l->kick, EV_TIMEOUT, 0);
}

/* The first reason counts. */
void fh_link_lose(fh_link *l, int code, const char *fmt, ...)
{
    va_list ap;
    if (l->lost) return;
    va_start(ap, fmt);
    fh_err_vset(&l->lost, code, fmt, ap);
    va_end(ap);
    fh_link_kick(l);
}

void fh_link_close(fh_link *l, int code, const char *why)
{
    if (l->lost) return;
    l->parting = true;
    fh_link_lose(l, code, "%s", why);
}

/* ---- hearing ---- */

static void broke(fh_link *l, int error)
{
    const char *why = NULL;
    int code = fh_link_tls_fault(l, error, &why);
    fh_link_lose(l, code, "%s: the connection broke: %s", l->peer.address, why);
}

static ssize_t recv_some(fh_link *l)
{
    if (fh_fault_strikes(FH_FAULT_READ)) return errno = ECONNRESET, -1;
    return fh_tls_recv(l->tls, l->scratch, FH_LINK_SCRATCH_BYTES);
}

static void hear(fh_link *l)
{
    for (int i = 0; i < READS_PER_RUN && l->readable && !l->lost; i++) {
        ssize_t n = recv_some(l);
        if (n > 0) {
            l->heard_ns = fh_clock_mono_ns();
            fh_link_session_hear(l, l->scratch, (size_t)n);
        } else if (n == 0) {
            fh_link_lose(l, FH_E_UNAVAILABLE, "%s: the other end closed the connection", l->peer.address);
        } else if (errno == EAGAIN) {
            l->readable = false;
        } else {
            broke(l, errno);
        }
    }
    if (l->readable && !l->lost) fh_link_kick(l);
}

/* ---- saying ---- */

static ssize_t send_some(fh_link *l)
{
    if (fh_fault_strikes(FH_FAULT_WRITE)) return errno = ECONNRESET, -1;
    return fh_tls_send(l->tls, l->out.data + l->sent, l->out.len - l->sent);
}

/* False when the socket takes no more for now, or never will. */
static bool flush(fh_link *l)
{
    while (l->sent < l->out.len) {
        ssize_t n = send_some(l);
        if (n <= 0) {
            l->writable = false;
            if (n < 0 && errno == EAGAIN) {
                if (!l->stuck_ns) l->stuck_ns = fh_clock_mono_ns();
                return false;
            }
            l->readable = true; /* what it said before it went says more than that it went */
            hear(l);
            broke(l, n < 0 ? errno : EPIPE);
            return false;
        }
        l->stuck_ns = 0;
        l->sent += (size_t)n;
    }
    fh_buf_clear(&l->out);
    l->sent = 0;
    return true;
}

static void say(fh_link *l)
{
    for (int i = 0; i < WRITES_PER_RUN && l->writable && !l->lost; i++) {
        if (!flush(l) || !fh_link_session_fill(l)) return;
    }
    if (l->writable && !l->lost) fh_link_kick(l);
}

/* ---- the handshake ---- */

static void shake(fh_link *l)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    ssize_t n = fh_tls_shake(l->tls);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) broke(l, n < 0 ? errno : ECONNRESET);
        return;
    }
    fh_link_peer_read(l);
    int rc = fh_link_session_open(l, &err);
    if (rc < 0) {
        fh_link_lose(l, rc, "%s", fh_err_message(err));
        return;
    }
    l->heard_ns = fh_clock_mono_ns();
    l->readable = l->writable = true;
    if (l->owner->secured(l, &err)) return;
    fh_link_close(l, err ? fh_err_code(err) : FH_E_FORBIDDEN, err ? fh_err_message(err) : "not admitted");
}

/* ---- the clock ---- */

static void wake_at(fh_link *l, int64_t due_ns, int64_t now_ns)
{
    fh_timer_start(l->clock, FH_MAX(due_ns - now_ns, FH_NS_PER_MS));
}

static void look_at_silence(fh_link *l, int64_t now)
{
    int64_t quiet = l->heard_ns + l->times.silence_ns;
    int64_t stuck = l->stuck_ns ? l->stuck_ns + l->times.silence_ns : INT64_MAX;
    if (now >= quiet || now >= stuck) {
        fh_link_lose(l, FH_E_UNAVAILABLE, "%s: the other end %s for %g s", l->peer.address, now >= quiet ? "was silent" : "took nothing",
                     (double)l->times.silence_ns / (double)FH_NS_PER_S);
        return;
    }
    int64_t ping = FH_MAX(l->heard_ns, l->pinged_ns) + l->times.ping_ns;
    if (now >= ping) {
        l->pinged_ns = now;
        fh_link_session_ping(l);
        ping = now + l->times.ping_ns;
    }
    wake_at(l, FH_MIN(ping, FH_MIN(quiet, stuck)), now);
}

static void look_at_clock(fh_link *l)
{
    int64_t now = fh_clock_mono_ns(), coming = l->began_ns + l->times.handshake_ns;
    l->ticked = false;
    if (l->up)
        look_at_silence(l, now);
    else if (now >= coming)
        fh_link_lose(l, FH_E_TIMEOUT, "%s: no link after %g s", l->peer.address, (double)l->times.handshake_ns / (double)FH_NS_PER_S);
    else
        wake_at(l, coming, now);
    if (l->up && !l->peer.certified && now >= l->began_ns + l->times.uncertified_ns)
        fh_link_close(l, FH_E_FORBIDDEN, "a link without a certificate lasts no longer");
}

/* ---- all together ---- */

static void come_up(fh_link *l)
{
    l->up = true;
    l->ticked = true; /* from now on the clock looks at silence */
    l->owner->up(l);
}

/* Also when the link is lost: what came whole before is heard. */
static void run_streams(fh_link *l)
{
    while (l->todo) {
        fh_link_stream *s = l->todo;
        l->todo = s->todo_next;
        if (!l->todo) l->todo_last = &l->todo;
        s->todo = false;
        fh_link_stream_run(s);
    }
}

void fh_link_run(fh_link *l)
{
    if (!l->lost && !l->session) shake(l);
    if (!l->lost && l->session) {
        hear(l);
        if (l->acked && !l->up && !l->lost) come_up(l);
        if (l->up) run_streams(l);
        if (!l->lost && l->ticked) look_at_clock(l);
        say(l);
    } else if (!l->lost && l->ticked) {
        look_at_clock(l);
    }
    if (l->lost) fh_link_end(l);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    fh_link *l = arg;
    l->readable = l->writable = true; /* TLS may want either for either */
    fh_link_run(l);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    fh_link_run(arg);
}

static void on_clock(void *arg)
{
    fh_link *l = arg;
    l->ticked = true;
    l->readable = l->writable = true; /* a loop that stood still itself looks before it judges */
    fh_link_run(l);
}

/* ---- its beginning and its end ---- */

static void set_socket(int fd)
{
    int on = 1, unsent = UNSENT_BYTES;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent); /* a PING does not wait behind much */
}

static void link_free(fh_link *l)
{
    if (event_initialized(&l->kick)) event_del(&l->kick);
    if (l->watched) event_del(&l->io);
    fh_timer_free(l->clock);
    nghttp2_session_del(l->session);
    if (l->tls) fh_tls_goodbye(l->tls);
    fh_tls_stream_free(l->tls);
    close(l->fd);
    fh_buf_fini(&l->out);
    fh_free(l->scratch);
    fh_err_free(l->lost);
    fh_free(l);
}

static int watch(fh_link *l)
{
    event_assign(&l->kick, fh_loop_base(l->loop), -1, 0, on_kick, l);
    event_assign(&l->io, fh_loop_base(l->loop), l->fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_io, l);
    l->watched = event_add(&l->io, NULL) == 0;
    return l->watched ? 0 : FH_E_NOMEM;
}

int fh_link_new(fh_link **ret, fh_loop *loop, int fd, SSL_CTX *context, const fh_link_owner *owner, void *end, const fh_link_times *times,
                const fh_link_dial_config *answers, fh_err **err)
{
    fh_link *l = fh_calloc(1, sizeof *l);
    if (!l) {
        close(fd);
        return fh_err_nomem(err);
    }
    *l = (fh_link){.loop = loop, .fd = fd, .owner = owner, .end = end, .times = *times, .answers = answers, .began_ns = fh_clock_mono_ns()};
    l->todo_last = &l->todo;
    fh_buf_init(&l->out, FH_LINK_OUT_BYTES * 2);
    set_socket(fd);
    l->scratch = fh_alloc(FH_LINK_SCRATCH_BYTES);
    l->tls = fh_tls_stream_of(context, fd, answers != NULL);
    int rc = l->scratch && l->tls ? fh_timer_new(&l->clock, loop, on_clock, l, NULL) : FH_E_NOMEM;
    if (rc == 0) rc = watch(l);
    if (rc < 0) {
        link_free(l);
        return fh_err_nomem(err);
    }
    fh_timer_start(l->clock, l->times.handshake_ns);
    *ret = l;
    return 0;
}

/* What was said before goes first, then why we part, as far as the socket takes it at once; then what it still said is read, so that
 * closing does not reset what it has yet to read. */
static void part(fh_link *l)
{
    bool flows = flush(l);
    for (int i = 0; i < WRITES_PER_RUN && flows && fh_link_session_fill(l); i++) flows = flush(l);
    if (!flows) return;
    fh_link_session_goodbye(l);
    fh_link_session_fill(l);
    if (!flush(l)) return;
    for (int i = 0; i < READS_PER_RUN && recv_some(l) > 0; i++) {
    }
}

void fh_link_end(fh_link *l)
{
    if (l->parting && l->session) part(l);
    while (l->streams) l->streams->kind->closed(l->streams, l->lost);
    l->owner->gone(l, l->lost);
    link_free(l);
}
