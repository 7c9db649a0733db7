/* Each allocation in turn fails while a link comes up, is asked and tunnelled through, those of libevent and libnghttp2 included; then each
 * read and each write. Whatever happens, whoever waits is told, once, and nothing is left behind. */
#include "base/clock.h"
#include "base/limits.h"
#include "link/link.h"
#include "link_certs.h"
#include "torture.h"

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static link_certs certs;
static fh_link_digest pin;

typedef struct played {
    fh_loop *loop;
    fh_link_listener *listener;
    fh_link_dial *dial;
    fh_timer *patience;
    int near_fd, far_fd; /* what the test holds of a tunnel */
    fh_watch *near_watch;
    int asked, asks_done, tunnels_done, ups, gones;
    bool replied, heard, failed, gave_up;
    fh_buf reply;
} played;

static void stop(played *p)
{
    fh_loop_stop(p->loop);
}

static void broken(played *p)
{
    p->failed = true;
    stop(p);
}

static void look(played *p)
{
    if (p->replied && p->heard) stop(p);
}

/* ---- the asking end ---- */

static bool take(void *arg, const void *data, size_t bytes)
{
    played *p = arg;
    fh_buf_add(&p->reply, data, bytes);
    return true;
}

static void done(void *arg, int status, fh_str body, const fh_err *err)
{
    played *p = arg;
    p->asks_done++;
    p->replied = status == 200;
    if (status == 0) assert_non_null(err);
    if (p->replied)
        look(p);
    else
        broken(p);
}

static void tunnel_done(void *arg, const fh_link_tunnel_end *end)
{
    played *p = arg;
    p->tunnels_done++;
    if (!p->heard) broken(p);
}

static void hear(void *arg)
{
    played *p = arg;
    char got[16];
    ssize_t n = recv(p->near_fd, got, sizeof got, MSG_DONTWAIT);
    fh_watch_free(p->near_watch);
    p->near_watch = NULL;
    if (n != 4 || memcmp(got, "echo", 4) != 0) {
        broken(p);
        return;
    }
    p->heard = true;
    look(p);
}

static void up(void *arg, fh_link *l)
{
    played *p = arg;
    int fds[2];
    const fh_header header = {FH_STR("x-a"), FH_STR("1")};
    fh_link_ask_spec spec = {.method = "POST",
                             .path = "/stream",
                             .headers = &header,
                             .header_count = 1,
                             .body = FH_STR("hello"),
                             .on_data = take,
                             .on_done = done,
                             .arg = p};
    p->ups++;
    int rc = fh_link_ask_start(NULL, l, &spec, NULL);
    if (rc == 0) p->asked++;
    if (rc == 0 && p->near_fd < 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0) {
        p->near_fd = fds[1];
        rc = fh_watch_new(&p->near_watch, p->loop, fds[1], hear, p, NULL);
        if (rc == 0)
            rc = fh_link_tunnel(l, "pair", fds[0], tunnel_done, p, NULL);
        else
            close(fds[0]);
    }
    if (rc < 0) broken(p);
}

static void gone(void *arg, fh_link *l, const fh_err *why)
{
    played *p = arg;
    assert_non_null(why);
    p->gones++;
    broken(p);
}

/* ---- the answering end ---- */

static void answer(void *arg, fh_link_req *r)
{
    assert_true(fh_str_eqs(fh_link_req_body(r), "hello"));
    fh_link_reply_header(r, "x-b", "2");
    fh_link_reply_start(r, 200, "text/plain");
    fh_link_reply_write(r, "one", 3);
    fh_link_reply_write(r, "two", 3);
    fh_link_reply_end(r);
}

static void join(void *arg, fh_link_req *r)
{
    played *p = arg;
    int fds[2];
    if (p->far_fd >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        fh_link_reply(r, 503, NULL, NULL, 0);
        return;
    }
    p->far_fd = fds[1];
    assert_int_equal(send(fds[1], "echo", 4, MSG_NOSIGNAL), 4);
    fh_link_join(r, fds[0]);
}

static void far_gone(void *arg, fh_link *l, const fh_err *why)
{
    broken(arg);
}

static void far_failed(void *arg, const fh_err *why, int64_t again_ns)
{
    broken(arg);
}

static void give_up(void *arg)
{
    played *p = arg;
    p->gave_up = true;
    broken(p);
}

/* ---- the scenario ---- */

static int open_ends(played *p)
{
    const fh_link_times times = {.handshake_ns = 2 * FH_NS_PER_S};
    fh_link_listen_config c = {.address = "127.0.0.1:0",
                               .cert_file = certs.server.cert,
                               .key_file = certs.server.key,
                               .ca_file = certs.ca,
                               .on_up = up,
                               .on_gone = gone,
                               .arg = p,
                               .times = times};
    int rc = fh_loop_new(&p->loop, NULL);
    if (rc == 0) rc = fh_timer_new(&p->patience, p->loop, give_up, p, NULL);
    if (rc == 0) rc = fh_link_listen(&p->listener, p->loop, &c, NULL);
    if (rc < 0) return rc;
    fh_link_dial_config d = {.host = "127.0.0.1",
                             .port = fh_link_listener_port(p->listener),
                             .pins = &pin,
                             .pin_count = 1,
                             .cert_file = certs.node,
                             .key_file = certs.node_key,
                             .on_gone = far_gone,
                             .on_failed = far_failed,
                             .on_request = answer,
                             .on_tunnel = join,
                             .arg = p,
                             .times = times};
    return fh_link_dial_new(&p->dial, p->loop, &d, NULL);
}

static void close_ends(played *p)
{
    fh_link_dial_free(p->dial);
    fh_link_listener_free(p->listener);
    fh_watch_free(p->near_watch);
    fh_timer_free(p->patience);
    fh_loop_free(p->loop);
    if (p->near_fd >= 0) close(p->near_fd);
    if (p->far_fd >= 0) close(p->far_fd);
    fh_buf_fini(&p->reply);
}

static int scenario(void *arg)
{
    played p = {.near_fd = -1, .far_fd = -1, .reply = FH_BUF(1000)};
    int rc = open_ends(&p);
    if (rc == 0) {
        fh_timer_start(p.patience, 20 * FH_NS_PER_S);
        rc = fh_loop_run(p.loop, NULL);
    }
    assert_false(p.gave_up);
    if (rc == 0 && p.failed) rc = FH_E_NOMEM;
    if (rc == 0 && !fh_fault_struck()) assert_int_equal(p.reply.len, 6);
    close_ends(&p);
    assert_int_equal(p.asks_done, p.asked);
    assert_int_equal(p.ups, p.gones);
    return rc;
}

static void a_link_without_memory_tells_whoever_waits_and_leaves_nothing(void **state)
{
    assert_int_equal(scenario(NULL), 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 2000) > 100);
}

static void a_link_whose_sockets_break_tells_whoever_waits(void **state)
{
    assert_true(fh_torture(FH_FAULT_READ, scenario, NULL, 200) > 4);
    assert_true(fh_torture(FH_FAULT_WRITE, scenario, NULL, 200) > 4);
}

static void *realloc_any(void *p, size_t bytes)
{
    return fh_realloc(p, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_without_memory_tells_whoever_waits_and_leaves_nothing),
        cmocka_unit_test(a_link_whose_sockets_break_tells_whoever_waits),
    };
    event_set_mem_functions(fh_alloc, realloc_any, fh_free);
    link_certs_new(&certs);
    if (fh_link_digest_of_file(&pin, certs.server.cert, NULL) < 0) abort();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    link_certs_remove(&certs);
    return failed;
}
