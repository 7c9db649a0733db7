/* The accepting end: a socket that listens, and the links that came of it.
 *
 * What holds: connections that are not links yet are bounded in number and time. With too many of them none is accepted, unless the oldest
 * has had its time: then it gives way, so that nobody who only connects keeps others out for long. */
#include "private.h"

#include "base/clock.h"
#include "net/listen.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_RUN = 64 };

struct fh_link_listener {
    fh_loop *loop;
    fh_link_listen_config config; /* its strings are not kept */
    SSL_CTX *context;
    int fd;
    struct event io;
    bool watched;
    fh_timer *again; /* accepting rests until then */
    fh_link *links;  /* the newest first */
    size_t count, shaking, uncertified;
};

static void unlist(fh_link_listener *n, fh_link *l)
{
    if (l->prev)
        l->prev->next = l->next;
    else
        n->links = l->next;
    if (l->next) l->next->prev = l->prev;
    n->count--;
}

/* ---- what becomes of a link ---- */

static bool secured(fh_link *l, fh_err **why)
{
    fh_link_listener *n = l->end;
    if (!l->peer.certified && n->uncertified >= FH_LIMIT_LINK_UNCERTIFIED)
        return fh_err_set(why, FH_E_BUSY, "too many machines ask to join"), false;
    return !n->config.admit || n->config.admit(n->config.arg, &l->peer, why);
}

static void up(fh_link *l)
{
    fh_link_listener *n = l->end;
    n->shaking--;
    if (!l->peer.certified) n->uncertified++;
    n->config.on_up(n->config.arg, l);
}

static void gone(fh_link *l, const fh_err *why)
{
    fh_link_listener *n = l->end;
    unlist(n, l);
    if (!l->up) {
        n->shaking--;
        return;
    }
    if (!l->peer.certified) n->uncertified--;
    n->config.on_gone(n->config.arg, l, why);
}

static const fh_link_owner owner = {secured, up, gone};

/* ---- accepting ---- */

static void rest(fh_link_listener *n)
{
    event_del(&n->io);
    fh_timer_start(n->again, FH_LIMIT_HTTP_ACCEPT_PAUSE_MS * FH_NS_PER_MS);
}

static void go_on(void *arg)
{
    fh_link_listener *n = arg;
    if (event_add(&n->io, NULL) != 0) fh_timer_start(n->again, FH_LIMIT_HTTP_ACCEPT_PAUSE_MS * FH_NS_PER_MS);
}

/* False: there is no room for one more that shakes hands. */
static bool make_room(fh_link_listener *n)
{
    fh_link *oldest = NULL;
    if (n->shaking < FH_LIMIT_LINK_HANDSHAKES) return true;
    for (fh_link *l = n->links; l; l = l->next) {
        if (!l->up && !l->lost) oldest = l;
    }
    if (oldest && fh_clock_mono_ns() - oldest->began_ns > FH_LIMIT_LINK_CROWDED_MS * FH_NS_PER_MS)
        fh_link_lose(oldest, FH_E_BUSY, "others wait for longer than it shakes hands");
    return false;
}

static void add(fh_link_listener *n, int fd)
{
    fh_link *l = NULL;
    if (n->count >= FH_LIMIT_LINKS) {
        close(fd);
        return;
    }
    if (fh_link_new(&l, n->loop, fd, n->context, &owner, n, &n->config.times, NULL, NULL) < 0) return;
    l->next = n->links;
    if (l->next) l->next->prev = l;
    n->links = l;
    n->count++;
    n->shaking++;
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
    fh_link_listener *n = arg;
    for (int i = 0; i < ACCEPTS_PER_RUN; i++) {
        if (!make_room(n)) {
            rest(n);
            return;
        }
        int fd = accept4(n->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            add(n, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            rest(n);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED) return;
    }
}

/* ---- its beginning and its end ---- */

static int open_listener(fh_link_listener *n, const fh_link_listen_config *c, fh_err **err)
{
    n->context = fh_link_context_accepting(c->cert_file, c->key_file, c->ca_file, err);
    if (!n->context) return FH_E_INVALID;
    n->fd = fh_listen_open(c->address, FH_LISTEN_BOTH, err);
    if (n->fd < 0) return n->fd;
    int rc = fh_timer_new(&n->again, n->loop, go_on, n, err);
    if (rc < 0) return rc;
    event_assign(&n->io, fh_loop_base(n->loop), n->fd, EV_READ | EV_PERSIST, on_accept, n);
    n->watched = event_add(&n->io, NULL) == 0;
    return n->watched ? 0 : fh_err_nomem(err);
}

int fh_link_listen(fh_link_listener **ret, fh_loop *l, const fh_link_listen_config *c, fh_err **err)
{
    FH_AUTO(fh_link_listener) fh_link_listener *n = fh_calloc(1, sizeof *n);
    if (!n) return fh_err_nomem(err);
    n->loop = l;
    n->config = *c;
    n->fd = -1;
    fh_link_times_fill(&n->config.times);
    int rc = open_listener(n, c, err);
    if (rc < 0) return rc;
    *ret = fh_take(n);
    return 0;
}

int fh_link_listener_port(const fh_link_listener *n)
{
    return fh_listen_port(n->fd);
}

int fh_link_listener_files(fh_link_listener *n, const char *cert_file, const char *key_file, const char *ca_file, fh_err **err)
{
    SSL_CTX *context = fh_link_context_accepting(cert_file, key_file, ca_file, err);
    if (!context) return FH_E_INVALID;
    SSL_CTX_free(n->context); /* links that are up hold it */
    n->context = context;
    return 0;
}

void fh_link_listener_free(fh_link_listener *n)
{
    if (!n) return;
    while (n->links) {
        fh_link_close(n->links, FH_E_UNAVAILABLE, "the server stops");
        fh_link_end(n->links);
    }
    if (n->watched) event_del(&n->io);
    fh_timer_free(n->again);
    SSL_CTX_free(n->context);
    if (n->fd >= 0) close(n->fd);
    fh_free(n);
}
