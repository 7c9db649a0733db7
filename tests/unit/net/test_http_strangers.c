/* What those may cost who have shown no key: they wait for their refusals, what they still send is read slowly, and they stay at the door.
 */
#include "base/limits.h"
#include "server_fixture.h"
#include "net/listen.h"
#include "private.h"

#define H "Host: a.example\r\n"
enum { AT_ONCE = FH_LIMIT_HTTP_STRANGER_AT_ONCE, LATER = FH_LIMIT_HTTP_STRANGER_PER_S, MANY = AT_ONCE + LATER };

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    bool known = fh_str_eqs(fh_http_req_path(req), "/known");
    atomic_fetch_add(&f->handled, 1);
    fh_http_reply(req, known ? 200 : 401, "text/plain", known ? "ok" : "who?", known ? 2 : 4);
}

static int dial_from(const char *address, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, address, &from.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void ask_in_a_row(int fd, int count)
{
    FH_AUTO(buf) fh_buf asked = FH_BUF(1 << 20);
    for (int i = 0; i < count; i++) fh_buf_addf(&asked, "GET / HTTP/1.1\r\n" H "%s\r\n", i == count - 1 ? "Connection: close\r\n" : "");
    say_bytes(fd, (fh_str){asked.data, asked.len});
}

static void strangers_in_number_wait_for_their_answers_and_others_do_not(void **state)
{
    fixture f = {0};
    FH_AUTO(buf) fh_buf heard = FH_BUF(4 << 20), other = FH_BUF(1 << 20);
    fixture_start(&f, handle, NULL, "127.0.0.1:0");
    int stranger = dial(f.port), known = dial(f.port);
    int64_t began = fh_clock_mono_ns();
    ask_in_a_row(stranger, MANY);
    assert_true(wait_for(&f.handled, AT_ONCE));
    say(known, "GET /known HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(known, &other, "ok")); /* of the same address */
    assert_true(hear_all(stranger, &heard));
    int64_t least = (LATER - 1) * (FH_NS_PER_S / FH_LIMIT_HTTP_STRANGER_PER_S); /* the first is due at once */
    assert_true(fh_clock_mono_ns() - began >= least);
    assert_int_equal(count_of(fh_buf_cstr(&heard), "HTTP/1.1 401"), MANY);
    close(stranger);
    close(known);
    fixture_stop(&f);
}

/* Of several others, since two addresses may fall on one slot. */
static void a_stranger_does_not_wait_for_those_of_another_address(void **state)
{
    static const char *const others[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};
    fixture f = {0};
    FH_AUTO(buf) fh_buf heard = FH_BUF(4 << 20);
    fixture_start(&f, handle, NULL, "127.0.0.1:0");
    int stranger = dial(f.port), early = 0;
    ask_in_a_row(stranger, MANY);
    assert_true(wait_for(&f.handled, AT_ONCE));
    for (int i = 0; i < 3; i++) {
        FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
        int fd = dial_from(others[i], f.port);
        ask_in_a_row(fd, 1);
        assert_true(hear_all(fd, &got));
        early += atomic_load(&f.handled) < MANY;
        close(fd);
    }
    assert_true(early > 0);
    assert_true(hear_all(stranger, &heard));
    close(stranger);
    fixture_stop(&f);
}

static void what_comes_behind_a_refusal_is_read_slowly(void **state)
{
    enum { PIECE = 65536, BUFFERED = 256 }; /* what the kernel may hold of it */
    static char piece[PIECE];
    fixture f = {0};
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    fixture_start(&f, handle, NULL, "127.0.0.1:0");
    int fd = dial(f.port), pieces = 0;
    int64_t began = fh_clock_mono_ns();
    say(fd, "GET / HTTP/0.9\r\n\r\n");
    memset(piece, 'a', sizeof piece);
    for (; pieces < 600 && send(fd, piece, sizeof piece, MSG_NOSIGNAL) == PIECE; pieces++) {
    }
    int64_t took = fh_clock_mono_ns() - began;
    assert_int_equal(pieces, 600);
    int64_t read = (600 - BUFFERED) * PIECE - FH_LIMIT_HTTP_STRANGER_BURST_BYTES;
    assert_true(took >= read * FH_NS_PER_S / FH_LIMIT_HTTP_STRANGER_RATE_BYTES);
    assert_true(hear_until(fd, &got, "HTTP/1.1 505"));
    close(fd);
    fixture_stop(&f);
}

/* ---- the door ---- */

typedef struct house {
    fixture door, home;
    fh_http_server *homes[1];
    atomic_int at_door, at_home, judged_at_door, judged_at_home;
} house;

static house h;

static void at_the_door(fh_http_req *req, void *ctx)
{
    bool known = fh_str_eqs(fh_http_req_path(req), "/known");
    if (known && !fh_http_req_run_on(req, NULL)) return;
    bool home = fh_http_req_loop(req) == h.home.loop;
    atomic_fetch_add(home ? &h.at_home : &h.at_door, 1);
    fh_http_reply(req, known ? 200 : 403, "text/plain", "ok", 2);
}

static void open_house(fh_http_judge *judge)
{
    h = (house){0};
    assert_int_equal(fh_loop_new(&h.home.loop, NULL), 0);
    assert_int_equal(fh_loop_new(&h.door.loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&h.home.server, h.home.loop, at_the_door, NULL, NULL), 0);
    fh_http_server_judge(h.home.server, judge);
    assert_int_equal(fh_http_server_new_beside(&h.door.server, h.home.server, h.door.loop, NULL), 0);
    h.homes[0] = h.home.server;
    fh_http_server_homes(h.door.server, h.homes, 1);
    assert_int_equal(fh_http_server_listen(h.door.server, "127.0.0.1:0", false, NULL), 0);
    h.door.port = fh_http_server_port(h.door.server);
    pthread_create(&h.home.thread, NULL, run_fixture, &h.home);
    pthread_create(&h.door.thread, NULL, run_fixture, &h.door);
}

static void close_house(void)
{
    fh_loop_stop(h.door.loop);
    fh_loop_stop(h.home.loop);
    pthread_join(h.door.thread, NULL);
    pthread_join(h.home.thread, NULL);
    fh_http_server_free(h.door.server);
    fh_http_server_free(h.home.server);
    fh_loop_free(h.door.loop);
    fh_loop_free(h.home.loop);
}

static void who_has_shown_no_key_stays_at_the_door(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    open_house(NULL);
    ask(h.door.port,
        FH_STR("GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\nGET /known HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H
               "Connection: close\r\n\r\n"),
        &got);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 403"), 3);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 200"), 1);
    assert_int_equal(atomic_load(&h.at_door), 2);
    assert_int_equal(atomic_load(&h.at_home), 2); /* once known it stays */
    close_house();
}

/* ---- heads that are judged ---- */

enum { MOST = 10 };

static void refuse_parked(fixture *door)
{
    fh_http_reply(door->parked, 401, "text/plain", "who?", 4);
}

static size_t by_the_head(fh_http_req *req, void *ctx)
{
    bool door = fh_http_req_loop(req) == h.door.loop;
    atomic_fetch_add(door ? &h.judged_at_door : &h.judged_at_home, 1);
    if (fh_http_req_body(req).len) abort();
    fh_http_reply_header(req, "X-Judged", "1");
    if (fh_str_eqs(fh_http_req_path(req), "/known")) return fh_http_req_run_on(req, NULL) ? MOST : 0;
    if (fh_str_eqs(fh_http_req_path(req), "/later")) {
        h.door.parked = req;
        atomic_fetch_add(&h.door.waiting, 1);
    } else {
        fh_http_reply(req, 401, "text/plain", "who?", 4);
    }
    return 0;
}

static void expect_refusal(const char *head, const char *status)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    ask(h.door.port, fh_str_of(head), &got); /* none of the body is sent */
    assert_true(fh_str_starts(fh_str_of(fh_buf_cstr(&got)), fh_str_of(status)));
    assert_non_null(strstr(fh_buf_cstr(&got), "Connection: close"));
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1"), 1);
}

static void a_body_of_a_stranger_is_refused_by_its_head(void **state)
{
    open_house(by_the_head);
    expect_refusal("POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\n", "HTTP/1.1 401");
    expect_refusal("POST / HTTP/1.1\r\n" H "Content-Length: 100000\r\n\r\nthe beginning", "HTTP/1.1 401");
    expect_refusal("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 401");
    expect_refusal("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", "HTTP/1.1 401");
    expect_refusal("POST /known HTTP/1.1\r\n" H "Content-Length: 4294967296\r\n\r\n", "HTTP/1.1 413");
    assert_int_equal(atomic_load(&h.judged_at_door), 4);
    assert_int_equal(atomic_load(&h.at_door) + atomic_load(&h.at_home), 0);
    close_house();
}

static void a_body_that_is_wanted_is_read_at_home(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    open_house(by_the_head);
    int fd = dial(h.door.port);
    say(fd, "POST /known HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_true(hear_until(fd, &got, "100 Continue\r\n\r\n"));
    assert_int_equal(atomic_load(&h.judged_at_door), 1);
    assert_int_equal(atomic_load(&h.judged_at_home), 1);
    say(fd, "helloPOST /known HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhel");
    assert_true(hear_until(fd, &got, "200 OK"));
    say(fd, "lo\r\n0\r\n\r\nPOST /known HTTP/1.1\r\n" H "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(hear_all(fd, &got));
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 200"), 3);
    assert_null(strstr(fh_buf_cstr(&got), "X-Judged")); /* what was set while it was judged is forgotten */
    assert_int_equal(atomic_load(&h.at_home), 3);
    assert_int_equal(atomic_load(&h.judged_at_home), 2); /* the third came whole */
    close(fd);
    close_house();
}

static void what_came_with_its_head_is_not_judged_by_it(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    open_house(by_the_head);
    ask(h.door.port,
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}POST / HTTP/1.1\r\n" H
               "Connection: close\r\nContent-Length: 2\r\n\r\n{}"),
        &got);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 403"), 2);
    expect_refusal("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x5\r\n", "HTTP/1.1 400");
    assert_int_equal(atomic_load(&h.judged_at_door), 0);
    close_house();
}

static void a_body_is_as_long_as_the_judge_says_and_no_longer(void **state)
{
    open_house(by_the_head);
    expect_refusal("POST /known HTTP/1.1\r\n" H "Content-Length: 11\r\n\r\n", "HTTP/1.1 413");
    expect_refusal("POST /known HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n", "HTTP/1.1 413");
    expect_refusal("OPTIONS * HTTP/1.1\r\n" H "Content-Length: 4097\r\n\r\n", "HTTP/1.1 413");
    assert_int_equal(atomic_load(&h.at_home), 0);
    close_house();
}

/* Nothing of it is read meanwhile: what the client sends fills the kernel's buffers and then waits there. */
static void a_body_waits_at_the_client_while_its_refusal_does(void **state)
{
    enum { PIECE = 65536, PIECES = 400 };
    static char piece[PIECE];
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    open_house(by_the_head);
    int fd = dial(h.door.port), sent = 0;
    say(fd, "POST /later HTTP/1.1\r\n" H "Content-Length: 30000000\r\n\r\n");
    assert_true(wait_for(&h.door.waiting, 1));
    for (int quiet = 0; sent < PIECES && quiet < 50;) {
        if (send(fd, piece, PIECE, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            sent++, quiet = 0;
        else
            quiet++, fh_sleep_ns(FH_NS_PER_MS);
    }
    assert_in_range(sent, 1, PIECES - 1);
    fixture_call(&h.door, refuse_parked);
    for (; sent < PIECES && send(fd, piece, PIECE, MSG_NOSIGNAL) > 0; sent++) {
    }
    assert_int_equal(sent, PIECES); /* an honest client gets rid of it, and sees why it was refused */
    assert_true(hear_until(fd, &got, "HTTP/1.1 401"));
    close(fd);
    close_house();
}

static void who_leaves_while_it_is_judged_does_no_harm(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    open_house(by_the_head);
    for (int i = 1; i <= 20; i++) {
        int fd = dial(h.door.port);
        say(fd, i % 2 ? "POST /later HTTP/1.1\r\n" H "Content-Length: 30000000\r\n\r\nhel"
                      : "POST /known HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel");
        if (i % 2) {
            assert_true(wait_for(&h.door.waiting, i / 2 + 1));
            fixture_call(&h.door, refuse_parked);
        }
        close(fd);
    }
    ask(h.door.port, FH_STR("GET /known HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), &got);
    assert_non_null(strstr(fh_buf_cstr(&got), "HTTP/1.1 200"));
    for (int i = 0; i < 8000 && fh_http_server_connections(h.home.server); i++) fh_sleep_ns(FH_NS_PER_MS);
    assert_int_equal(fh_http_server_connections(h.home.server), 0);
    close_house();
}

/* ---- rates ---- */

static void a_rate_is_kept_by_each_and_by_all(void **state)
{
    enum { PIECE = 1000, ROUNDS = 4000 };
    fh_http_meter *m = fh_calloc(1, sizeof *m);
    fh_address a[2];
    int64_t now = 1000 * FH_NS_PER_S, until = 0;
    assert_true(m && fh_http_meter_init(m, (fh_http_rate){3000000, 1000}, (fh_http_rate){2000000, 1000}));
    assert_true(fh_address_parse(FH_STR("192.0.2.1"), &a[0]) && fh_address_parse(FH_STR("192.0.2.2"), &a[1]));
    for (int i = 0; i < ROUNDS; i++) until = fh_http_meter_take(m, &a[0], PIECE, now);
    assert_in_range(until - now, 1990 * FH_NS_PER_MS, 2000 * FH_NS_PER_MS); /* 4 MB at 2 MB a second */
    for (int i = 0; i < ROUNDS; i++) until = fh_http_meter_take(m, &a[1], PIECE, now);
    assert_in_range(until - now, 2660 * FH_NS_PER_MS, 4000 * FH_NS_PER_MS); /* 8 MB at 3 MB a second; more where both fall on one slot */
    assert_int_equal(fh_http_meter_take(m, NULL, PIECE, now + 10 * FH_NS_PER_S), 0);
    fh_free(m);
}

/* Those who hang up without their answers: what is beyond an address's own rate takes nothing from the others, and nobody waits for long.
 */
static void one_address_does_not_make_all_wait(void **state)
{
    (void)state;
    enum { ASKED = 100000 };
    fh_http_group *g = fh_http_group_new();
    fh_address one, other;
    assert_true(g && fh_address_parse(FH_STR("192.0.2.1"), &one) && fh_address_parse(FH_STR("192.0.2.2"), &other));
    const int64_t now = 1000 * FH_NS_PER_S, most = FH_LIMIT_HTTP_STRANGER_WAIT_MS * FH_NS_PER_MS;
    for (int i = 0; i < ASKED; i++) assert_true(fh_http_meter_take(&g->refusals, &one, 1, now) <= now + most);
    int64_t taken = AT_ONCE + (int64_t)FH_LIMIT_HTTP_STRANGER_PER_S * FH_LIMIT_HTTP_STRANGER_WAIT_MS / 1000;
    int64_t wait = fh_http_meter_take(&g->refusals, &other, 1, now) - now;
    assert_true(wait <= (taken + 1) * (FH_NS_PER_S / FH_LIMIT_HTTP_STRANGERS_PER_S));
    fh_http_group_unref(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_in_number_wait_for_their_answers_and_others_do_not),
        cmocka_unit_test(a_stranger_does_not_wait_for_those_of_another_address),
        cmocka_unit_test(one_address_does_not_make_all_wait),
        cmocka_unit_test(what_comes_behind_a_refusal_is_read_slowly),
        cmocka_unit_test(who_has_shown_no_key_stays_at_the_door),
        cmocka_unit_test(a_body_of_a_stranger_is_refused_by_its_head),
        cmocka_unit_test(a_body_that_is_wanted_is_read_at_home),
        cmocka_unit_test(what_came_with_its_head_is_not_judged_by_it),
        cmocka_unit_test(a_body_is_as_long_as_the_judge_says_and_no_longer),
        cmocka_unit_test(a_body_waits_at_the_client_while_its_refusal_does),
        cmocka_unit_test(who_leaves_while_it_is_judged_does_no_harm),
        cmocka_unit_test(a_rate_is_kept_by_each_and_by_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
