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
    atomic_int at_door, at_home;
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

static void who_has_shown_no_key_stays_at_the_door(void **state)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(1 << 20);
    h = (house){0};
    assert_int_equal(fh_loop_new(&h.home.loop, NULL), 0);
    assert_int_equal(fh_loop_new(&h.door.loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&h.home.server, h.home.loop, at_the_door, NULL, NULL), 0);
    assert_int_equal(fh_http_server_new_beside(&h.door.server, h.home.server, h.door.loop, NULL), 0);
    h.homes[0] = h.home.server;
    fh_http_server_homes(h.door.server, h.homes, 1);
    assert_int_equal(fh_http_server_listen(h.door.server, "127.0.0.1:0", false, NULL), 0);
    h.door.port = fh_http_server_port(h.door.server);
    pthread_create(&h.home.thread, NULL, run_fixture, &h.home);
    pthread_create(&h.door.thread, NULL, run_fixture, &h.door);
    ask(h.door.port,
        FH_STR("GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\nGET /known HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H
               "Connection: close\r\n\r\n"),
        &got);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 403"), 3);
    assert_int_equal(count_of(fh_buf_cstr(&got), "HTTP/1.1 200"), 1);
    assert_int_equal(atomic_load(&h.at_door), 2);
    assert_int_equal(atomic_load(&h.at_home), 2); /* once known it stays */
    fh_loop_stop(h.door.loop);
    fh_loop_stop(h.home.loop);
    pthread_join(h.door.thread, NULL);
    pthread_join(h.home.thread, NULL);
    fh_http_server_free(h.door.server);
    fh_http_server_free(h.home.server);
    fh_loop_free(h.door.loop);
    fh_loop_free(h.home.loop);
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
        cmocka_unit_test(a_rate_is_kept_by_each_and_by_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
