/* Tunnels: bytes both ways, each direction's end for itself, resets, and readers that are slow: they hold back who sends to them, and
 * nobody else. */
#include "link_fixture.h"
#include "private.h"

typedef struct tunnelled {
    int near_fd; /* the test's end */
    const char *authority;
    int code;
    atomic_int ended, status, end_code;
    atomic_size_t in_bytes, out_bytes;
} tunnelled;

static void tunnel_ended(void *arg, const fh_link_tunnel_end *end)
{
    tunnelled *t = arg;
    atomic_store(&t->status, end->status);
    atomic_store(&t->in_bytes, end->in_bytes);
    atomic_store(&t->out_bytes, end->out_bytes);
    atomic_store(&t->end_code, end->err ? fh_err_code(end->err) : 0);
    atomic_fetch_add(&t->ended, 1);
}

static void open_it(world *w, void *arg)
{
    tunnelled *t = arg;
    int fds[2];
    fh_err *err = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    t->near_fd = fds[1];
    t->code = fh_link_tunnel(atomic_load(&w->link), t->authority ? t->authority : "pair", fds[0], tunnel_ended, t, &err);
    fh_err_free(err);
}

static int patient(int fd)
{
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

/* Opens one; answers the far end's index. */
static int tunnel(world *w, tunnelled *t)
{
    int at = atomic_load(&w->far_count);
    *t = (tunnelled){0};
    on_loop(w, open_it, t);
    assert_int_equal(t->code, 0);
    reach(&w->far_count, at + 1);
    patient(t->near_fd);
    patient(w->far[at]);
    return at;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect(int fd, const char *text)
{
    char got[256] = "";
    size_t len = strlen(text);
    assert_int_equal(recv(fd, got, len, MSG_WAITALL), len);
    assert_memory_equal(got, text, len);
}

static void expect_end(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* ---- a thread that sends or receives much ---- */

typedef struct mover {
    pthread_t thread;
    int fd;
    size_t bytes;
    bool sends;
    atomic_size_t moved;
    uint64_t sum;
} mover;

static void *move_bytes(void *arg)
{
    mover *m = arg;
    char piece[30000];
    while (atomic_load(&m->moved) < m->bytes) {
        size_t at = atomic_load(&m->moved), n = FH_MIN(sizeof piece, m->bytes - at);
        for (size_t i = 0; m->sends && i < n; i++) piece[i] = (char)((at + i) % 251);
        ssize_t done = m->sends ? send(m->fd, piece, n, MSG_NOSIGNAL) : recv(m->fd, piece, n, 0);
        if (done <= 0) break;
        for (ssize_t i = 0; !m->sends && i < done; i++) m->sum += (unsigned char)piece[i] != (at + (size_t)i) % 251; /* wrong ones */
        atomic_fetch_add(&m->moved, (size_t)done);
    }
    return NULL;
}

static void move_start(mover *m, int fd, size_t bytes, bool sends)
{
    *m = (mover){.fd = fd, .bytes = bytes, .sends = sends};
    pthread_create(&m->thread, NULL, move_bytes, m);
}

static void move_whole(mover *m)
{
    pthread_join(m->thread, NULL);
    assert_int_equal(atomic_load(&m->moved), m->bytes);
    assert_int_equal(m->sum, 0);
}

/* ---- tests ---- */

static void test_bytes_go_both_ways_and_each_end_for_itself(void **state)
{
    world w = {0};
    tunnelled t;
    begin_linked(&w, false);
    int far = w.far[tunnel(&w, &t)];
    say(t.near_fd, "question");
    expect(far, "question");
    say(far, "answer");
    expect(t.near_fd, "answer");
    shutdown(t.near_fd, SHUT_WR);
    expect_end(far);
    say(far, "more");
    expect(t.near_fd, "more");
    shutdown(far, SHUT_WR);
    expect_end(t.near_fd);
    reach(&t.ended, 1);
    assert_int_equal(atomic_load(&t.status), 200);
    assert_int_equal(atomic_load(&t.end_code), 0);
    assert_int_equal(atomic_load(&t.out_bytes), 8);
    assert_int_equal(atomic_load(&t.in_bytes), 10);
    close(t.near_fd);
    finish(&w);
}

static void test_the_far_end_may_end_first(void **state)
{
    world w = {0};
    tunnelled t;
    begin_linked(&w, false);
    int far = w.far[tunnel(&w, &t)];
    say(far, "banner");
    shutdown(far, SHUT_WR);
    expect(t.near_fd, "banner");
    expect_end(t.near_fd);
    say(t.near_fd, "late");
    shutdown(t.near_fd, SHUT_WR);
    expect(far, "late");
    expect_end(far);
    reach(&t.ended, 1);
    assert_int_equal(atomic_load(&t.end_code), 0);
    close(t.near_fd);
    finish(&w);
}

static bool hung_up(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < PATIENCE_MS && !(p.revents & POLLHUP); i++) {
        poll(&p, 1, 1);
        fh_sleep_ns(FH_NS_PER_MS);
    }
    return p.revents & POLLHUP;
}

/* As a gateway whose client went away: the engine sees it without writing a byte. */
static void test_who_closes_whole_is_gone_for_the_other_end(void **state)
{
    world w = {0};
    tunnelled t;
    begin_linked(&w, false);
    int far = w.far[tunnel(&w, &t)];
    say(t.near_fd, "question");
    expect(far, "question");
    close(t.near_fd);
    assert_true(hung_up(far));
    reach(&t.ended, 1);
    finish(&w);
}

static void test_an_engine_that_answers_and_closes_is_heard_whole(void **state)
{
    world w = {0};
    tunnelled t;
    mover out, in;
    begin_linked(&w, false);
    int at = tunnel(&w, &t), far = w.far[at];
    move_start(&out, far, 300000, true);
    fh_sleep_ns(20 * FH_NS_PER_MS);
    move_start(&in, t.near_fd, 300000, false);
    move_whole(&out);
    close(far);
    w.far[at] = dup(t.near_fd);
    move_whole(&in);
    expect_end(t.near_fd);
    assert_true(hung_up(t.near_fd));
    reach(&t.ended, 1);
    close(t.near_fd);
    finish(&w);
}

static void test_an_engine_that_refuses_early_is_heard_though_it_reads_nothing(void **state)
{
    world w = {0};
    tunnelled t;
    begin_linked(&w, false);
    int at = tunnel(&w, &t), far = w.far[at];
    say(t.near_fd, "a request that nobody reads");
    fh_sleep_ns(50 * FH_NS_PER_MS);
    say(far, "413");
    close(far); /* with bytes unread: the tunnel's side sees a reset */
    w.far[at] = dup(t.near_fd);
    expect(t.near_fd, "413");
    reach(&t.ended, 1);
    close(t.near_fd);
    finish(&w);
}

static void test_a_tunnel_that_is_refused_closes_and_says_so(void **state)
{
    world w = {0};
    tunnelled t = {.authority = "nobody"};
    char byte;
    begin_linked(&w, false);
    on_loop(&w, open_it, &t);
    assert_int_equal(t.code, 0);
    send(t.near_fd, "early", 5, MSG_NOSIGNAL);
    reach(&t.ended, 1);
    assert_int_equal(atomic_load(&t.status), 404);
    assert_int_equal(atomic_load(&t.end_code), FH_E_UPSTREAM);
    assert_true(recv(patient(t.near_fd), &byte, 1, 0) <= 0);
    close(t.near_fd);
    finish(&w);
}

static void test_names_that_are_none_are_refused_at_once(void **state)
{
    static char longer[FH_LIMIT_LINK_AUTHORITY_BYTES + 2];
    memset(longer, 'x', sizeof longer - 1);
    const char *names[] = {"", "a b", "a\n", "engine/7", "\xc3\xa4", longer};
    world w = {0};
    char byte;
    begin_linked(&w, false);
    for (size_t i = 0; i < FH_COUNT(names); i++) {
        tunnelled t = {.authority = names[i]};
        on_loop(&w, open_it, &t);
        assert_int_equal(t.code, FH_E_INVALID);
        assert_int_equal(recv(patient(t.near_fd), &byte, 1, 0), 0); /* the socket was taken all the same */
        close(t.near_fd);
    }
    assert_int_equal(atomic_load(&w.tunnels), 0);
    finish(&w);
}

static void park_tunnel(world *w, fh_link_req *r)
{
    w->parked = r;
}

static void join_parked(world *w, void *arg)
{
    join_pair(w, w->parked);
}

static void test_a_tunnel_may_be_joined_later_and_what_came_first_is_kept(void **state)
{
    world w = {.on_tunnel = park_tunnel};
    tunnelled t = {0};
    begin_linked(&w, false);
    on_loop(&w, open_it, &t);
    say(t.near_fd, "early");
    shutdown(t.near_fd, SHUT_WR);
    reach(&w.tunnels, 1);
    fh_sleep_ns(50 * FH_NS_PER_MS);
    on_loop(&w, join_parked, NULL);
    expect(patient(w.far[0]), "early");
    expect_end(w.far[0]);
    say(w.far[0], "late");
    expect(patient(t.near_fd), "late");
    close(t.near_fd);
    finish(&w);
}

static void tunnel_forgotten(void *arg)
{
    world *w = arg;
    w->parked = NULL;
    atomic_fetch_add(&w->reqs_gone, 1);
}

static void park_and_watch(world *w, fh_link_req *r)
{
    park_tunnel(w, r);
    fh_link_req_on_gone(r, tunnel_forgotten, w);
}

static void test_a_tunnel_that_nobody_wants_any_more_is_not_joined(void **state)
{
    world w = {.on_tunnel = park_and_watch};
    tunnelled t = {0};
    begin_linked(&w, false);
    on_loop(&w, open_it, &t);
    say(t.near_fd, "early");
    reach(&w.tunnels, 1);
    close(t.near_fd);
    reach(&w.reqs_gone, 1);
    reach(&t.ended, 1);
    finish(&w);
}

static void test_much_passes_whole_both_ways_at_once(void **state)
{
    enum { BYTES = 20000000 };
    world w = {0};
    tunnelled t;
    mover m[4];
    begin_linked(&w, false);
    int far = w.far[tunnel(&w, &t)];
    move_start(&m[0], t.near_fd, BYTES, true);
    move_start(&m[1], far, BYTES, true);
    move_start(&m[2], t.near_fd, BYTES, false);
    move_start(&m[3], far, BYTES, false);
    for (int i = 0; i < 4; i++) move_whole(&m[i]);
    close(t.near_fd);
    finish(&w);
}

/* Bytes that both ends hold. */
static void count_held(world *w, void *arg)
{
    size_t *sum = arg;
    const fh_link *ends[] = {atomic_load(&w->link), atomic_load(&w->far_link)};
    for (size_t i = 0; i < 2; i++) {
        *sum += ends[i]->out.cap;
        for (const fh_link_stream *s = ends[i]->streams; s; s = s->next) *sum += fh_link_bytes_len(&s->in);
    }
}

/* A hundred readers that do not read, and senders who send all they can: what is in between stays bounded, a tunnel beside them runs at
 * its speed, and when they read after all nothing is missing. */
static void test_a_hundred_slow_readers_hold_back_nobody_but_their_senders(void **state)
{
    enum { MANY = 100, EACH = 4000000 };
    static tunnelled t[MANY];
    static mover out[MANY], in[MANY];
    world w = {0};
    tunnelled fast;
    mover fast_out, fast_in;
    begin_linked(&w, false);
    for (int i = 0; i < MANY; i++) move_start(&out[i], w.far[tunnel(&w, &t[i])], EACH, true);
    int far = w.far[tunnel(&w, &fast)];
    move_start(&fast_out, far, 5000000, true);
    move_start(&fast_in, fast.near_fd, 5000000, false);
    move_whole(&fast_out);
    move_whole(&fast_in);
    for (int i = 0; i < MANY; i++) {
        size_t moved = atomic_load(&out[i].moved); /* two socket buffers, and a window of which nothing was taken back */
        assert_true(moved < EACH / 2);
    }
    size_t held = 0;
    on_loop(&w, count_held, &held);
    assert_true(held > 0);
    assert_true(held <= (size_t)MANY * FH_LIMIT_LINK_STREAM_BYTES + FH_LIMIT_LINK_GROWN_BYTES);
    for (int i = 0; i < MANY; i++) move_start(&in[i], t[i].near_fd, EACH, false);
    for (int i = 0; i < MANY; i++) {
        move_whole(&out[i]);
        move_whole(&in[i]);
    }
    for (int i = 0; i < MANY; i++) close(t[i].near_fd);
    close(fast.near_fd);
    finish(&w);
}

static void test_tunnels_of_a_link_that_is_lost_are_closed_on_both_ends(void **state)
{
    world w = {0};
    tunnelled t;
    char byte;
    begin_linked(&w, true);
    int far = w.far[tunnel(&w, &t)];
    say(t.near_fd, "question");
    expect(far, "question");
    atomic_store(&w.wire.cut, true);
    reach(&t.ended, 1);
    assert_int_equal(atomic_load(&t.end_code), FH_E_UNAVAILABLE);
    assert_true(recv(t.near_fd, &byte, 1, 0) <= 0);
    assert_true(recv(far, &byte, 1, 0) <= 0);
    close(t.near_fd);
    reach(&w.ups, 2);
    finish(&w);
}

static void test_tunnels_come_and_go_by_the_thousand_and_leave_nothing(void **state)
{
    world w = {0};
    begin_linked(&w, false);
    for (int i = 0; i < 2000; i++) {
        tunnelled t;
        atomic_store(&w.far_count, 0);
        int far = w.far[tunnel(&w, &t)];
        say(t.near_fd, "x");
        if (i % 2) expect(far, "x");
        close(i % 3 ? t.near_fd : far);
        reach(&t.ended, 1);
        close(i % 3 ? far : t.near_fd);
    }
    atomic_store(&w.far_count, 0);
    no_streams(&w);
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_go_both_ways_and_each_end_for_itself),
        cmocka_unit_test(test_the_far_end_may_end_first),
        cmocka_unit_test(test_who_closes_whole_is_gone_for_the_other_end),
        cmocka_unit_test(test_an_engine_that_answers_and_closes_is_heard_whole),
        cmocka_unit_test(test_an_engine_that_refuses_early_is_heard_though_it_reads_nothing),
        cmocka_unit_test(test_a_tunnel_that_is_refused_closes_and_says_so),
        cmocka_unit_test(test_names_that_are_none_are_refused_at_once),
        cmocka_unit_test(test_a_tunnel_may_be_joined_later_and_what_came_first_is_kept),
        cmocka_unit_test(test_a_tunnel_that_nobody_wants_any_more_is_not_joined),
        cmocka_unit_test(test_much_passes_whole_both_ways_at_once),
        cmocka_unit_test(test_tunnels_of_a_link_that_is_lost_are_closed_on_both_ends),
        cmocka_unit_test(test_tunnels_come_and_go_by_the_thousand_and_leave_nothing),
        cmocka_unit_test(test_a_hundred_slow_readers_hold_back_nobody_but_their_senders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
