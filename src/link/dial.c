/* The dialling end: keeps one link up.
 *
 *   resting -> resolving -> connecting (address by address) -> link -> resting
 *
 * What holds: in each state one thing is under way and is stopped by leaving it: the timer, the lookup, the socket, the link. */
#include "private.h"

#include "base/clock.h"
#include <errno.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ADDRESSES = 8 };

struct fh_link_dial {
    fh_loop *loop;
    fh_link_dial_config config; /* its strings are not kept but for host */
    char *host;
    fh_link_digest pins[FH_LIMIT_LINK_PINS];
    size_t pin_count;
    SSL_CTX *context;
    fh_timer *timer; /* the end of the pause, or of the patience with an address */
    fh_lookup *lookup;
    fh_address addresses[ADDRESSES];
    size_t address_count, address_next;
    int fd; /* that connects; -1 */
    struct event io;
    fh_link *link;
    int64_t backoff_ns;
    bool at_once; /* no pause after the link that is ending */
    bool over;
};

/* ---- pauses ---- */

/* Between half of it and all of it, so that many that were lost at once do not come back at once. */
static int64_t jittered(int64_t ns)
{
    uint32_t random = UINT32_MAX;
    RAND_bytes((unsigned char *)&random, sizeof random);
    return ns - ns / 2 / 65536 * (int64_t)(random % 65536);
}

static int64_t rest(fh_link_dial *d)
{
    int64_t pause = d->at_once ? 0 : jittered(d->backoff_ns);
    d->at_once = false;
    d->backoff_ns = FH_MIN(d->backoff_ns * 2, d->config.times.backoff_max_ns);
    fh_timer_start(d->timer, pause);
    return pause;
}

static void failed(fh_link_dial *d, const fh_err *why)
{
    int64_t pause = rest(d);
    if (d->config.on_failed) d->config.on_failed(d->config.arg, why, pause);
}

/* ---- what becomes of the link ---- */

static bool secured(fh_link *l, fh_err **why)
{
    return true; /* the certificate was judged in the handshake */
}

static void up(fh_link *l)
{
    fh_link_dial *d = l->end;
    if (d->config.on_up) d->config.on_up(d->config.arg, l);
}

static void gone(fh_link *l, const fh_err *why)
{
    fh_link_dial *d = l->end;
    d->link = NULL;
    if (d->over) {
        if (l->up && d->config.on_gone) d->config.on_gone(d->config.arg, l, why);
        return;
    }
    if (!l->up) {
        failed(d, why);
        return;
    }
    if (fh_clock_mono_ns() - l->began_ns > d->config.times.backoff_max_ns) d->backoff_ns = d->config.times.backoff_min_ns;
    rest(d);
    if (d->config.on_gone) d->config.on_gone(d->config.arg, l, why);
}

static const fh_link_owner owner = {secured, up, gone};

static int judge(X509_STORE_CTX *store, void *arg)
{
    const fh_link_dial *d = arg;
    const X509 *x = X509_STORE_CTX_get0_cert(store);
    fh_link_digest digest;
    bool pinned = false;
    if (!x || !fh_link_digest_of(x, &digest)) return 0;
    for (size_t i = 0; i < d->pin_count; i++) pinned |= memcmp(&digest, &d->pins[i], sizeof digest) == 0;
    if (!pinned) X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return pinned;
}

/* ---- connecting ---- */

static void leave_socket(fh_link_dial *d)
{
    if (d->fd < 0) return;
    event_del(&d->io);
    close(d->fd);
    d->fd = -1;
}

static void try_next(fh_link_dial *d, int code, int error);

static void connected(fh_link_dial *d)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int fd = fh_take_fd(&d->fd);
    event_del(&d->io);
    fh_timer_stop(d->timer);
    if (fh_link_new(&d->link, d->loop, fd, d->context, &owner, d, &d->config.times, &d->config, &err) < 0) failed(d, err);
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    fh_link_dial *d = arg;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
        connected(d);
    else
        try_next(d, FH_E_UNAVAILABLE, error ? error : errno);
}

static socklen_t write_address(const fh_address *a, int port, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    if (fh_address_is_v4(a)) {
        struct sockaddr_in *v4 = (void *)ret;
        v4->sin_family = AF_INET;
        v4->sin_port = htons((in_port_t)port);
        memcpy(&v4->sin_addr, a->bytes + 12, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (void *)ret;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((in_port_t)port);
    memcpy(&v6->sin6_addr, a->bytes, 16);
    return sizeof *v6;
}

/* 0, or an errno. */
static int begin_connect(fh_link_dial *d, const fh_address *a)
{
    struct sockaddr_storage to;
    socklen_t len = write_address(a, d->config.port, &to);
    d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) return errno;
    event_assign(&d->io, fh_loop_base(d->loop), d->fd, EV_WRITE, on_connect, d);
    if (connect(d->fd, (const struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS) return errno;
    return event_add(&d->io, NULL) == 0 ? 0 : ENOMEM;
}

/* The one before failed so, if there was one. */
static void try_next(fh_link_dial *d, int code, int error)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    leave_socket(d);
    while (d->address_next < d->address_count) {
        error = begin_connect(d, &d->addresses[d->address_next++]);
        if (error == 0) {
            fh_timer_start(d->timer, d->config.times.connect_ns);
            return;
        }
        code = FH_E_UNAVAILABLE;
        leave_socket(d);
    }
    fh_err_errno(&err, code, error, "cannot connect to %s port %d", d->host, d->config.port);
    failed(d, err);
}

static void resolved(void *arg, const fh_address *list, size_t count)
{
    fh_link_dial *d = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    d->lookup = NULL;
    d->address_next = 0;
    d->address_count = FH_MIN(count, (size_t)ADDRESSES);
    if (d->address_count == 0) {
        fh_err_set(&err, FH_E_UNAVAILABLE, "%s has no address", d->host);
        failed(d, err);
        return;
    }
    memcpy(d->addresses, list, d->address_count * sizeof *list);
    try_next(d, 0, 0);
}

static void dial(fh_link_dial *d)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_address number;
    if (fh_address_parse(fh_str_of(d->host), &number)) {
        resolved(d, &number, 1);
    } else if (fh_resolver_ask(&d->lookup, d->config.resolver, d->loop, d->host, resolved, d, &err) < 0) {
        d->lookup = NULL;
        failed(d, err);
    }
}

static void on_timer(void *arg)
{
    fh_link_dial *d = arg;
    if (d->fd >= 0)
        try_next(d, FH_E_TIMEOUT, ETIMEDOUT);
    else if (!d->link && !d->lookup)
        dial(d);
}

/* ---- its beginning and its end ---- */

int fh_link_dial_pins(fh_link_dial *d, const fh_link_digest *pins, size_t count, fh_err **err)
{
    if (count == 0 || count > FH_LIMIT_LINK_PINS)
        return fh_err_set(err, FH_E_INVALID, "1 to %d certificates of the server must be pinned, not %zu", FH_LIMIT_LINK_PINS, count);
    memcpy(d->pins, pins, count * sizeof *pins);
    d->pin_count = count;
    return 0;
}

int fh_link_dial_files(fh_link_dial *d, const char *cert_file, const char *key_file, fh_err **err)
{
    SSL_CTX *context = fh_link_context_dialling(cert_file, key_file, judge, d, err);
    if (!context) return FH_E_INVALID;
    SSL_CTX_free(d->context);
    d->context = context;
    return 0;
}

static int check(const fh_link_dial_config *c, fh_err **err)
{
    fh_address number;
    if (c->port < 1 || c->port > 65535) return fh_err_set(err, FH_E_INVALID, "the server's port is no number from 1 to 65535");
    if (!c->resolver && !fh_address_parse(fh_str_of(c->host), &number))
        return fh_err_set(err, FH_E_INVALID, "the server %s is no address, and names are not looked up", c->host);
    return 0;
}

int fh_link_dial_new(fh_link_dial **ret, fh_loop *l, const fh_link_dial_config *c, fh_err **err)
{
    int rc = check(c, err);
    if (rc < 0) return rc;
    FH_AUTO(fh_link_dial) fh_link_dial *d = fh_calloc(1, sizeof *d);
    if (!d) return fh_err_nomem(err);
    d->loop = l;
    d->config = *c;
    d->fd = -1;
    fh_link_times_fill(&d->config.times);
    d->backoff_ns = d->config.times.backoff_min_ns;
    d->host = fh_strdup(c->host);
    if (!d->host) return fh_err_nomem(err);
    rc = fh_link_dial_pins(d, c->pins, c->pin_count, err);
    if (rc == 0) rc = fh_link_dial_files(d, c->cert_file, c->key_file, err);
    if (rc == 0) rc = fh_timer_new(&d->timer, l, on_timer, d, err);
    if (rc < 0) return rc;
    fh_timer_start(d->timer, 0);
    *ret = fh_take(d);
    return 0;
}

void fh_link_dial_now(fh_link_dial *d)
{
    d->at_once = d->link && d->link->lost;
    if (d->link || d->lookup || d->fd >= 0) return;
    d->backoff_ns = d->config.times.backoff_min_ns;
    fh_timer_start(d->timer, 0);
}

fh_link *fh_link_dial_link(fh_link_dial *d)
{
    return d->link && d->link->up && !d->link->lost ? d->link : NULL;
}

void fh_link_dial_free(fh_link_dial *d)
{
    if (!d) return;
    d->over = true;
    fh_timer_free(d->timer);
    if (d->lookup) fh_lookup_cancel(d->lookup);
    leave_socket(d);
    if (d->link) {
        fh_link_close(d->link, FH_E_UNAVAILABLE, "the machine leaves");
        fh_link_end(d->link);
    }
    SSL_CTX_free(d->context);
    fh_free(d->host);
    fh_free(d);
}
