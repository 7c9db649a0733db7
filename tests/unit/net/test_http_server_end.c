/* What whoever asks for it is told of the end of each request. */
#include "server_fixture.h"

#define H "Host: a.example\r\n"

enum { TOLD_MAX = 8 };
typedef struct told {
    char line[256];
    int64_t took_ns;
} told;
static told list[TOLD_MAX];
static atomic_int count;

static void on_end(fh_http_req *req, const fh_http_end *end, void *ctx)
{
    fh_str method = fh_http_req_method(req), path = fh_http_req_path(req);
    const char *note = fh_http_req_note(req);
    told *t = &list[atomic_load(&count) % TOLD_MAX];
    assert_ptr_equal(ctx, list);
    snprintf(t->line, sizeof t->line, "%.*s %.*s %d%s in=%llu out=%llu who=%s note=%s", (int)method.len, method.ptr, (int)path.len,
             path.ptr, end->status, end->gone ? " gone" : "", (unsigned long long)end->in_bytes, (unsigned long long)end->out_bytes,
             fh_http_req_who(req), note ? note : "-");
    t->took_ns = end->ended_ns - end->began_ns;
    atomic_fetch_add(&count, 1);
}

static void gone(void *arg)
{
    fixture *f = arg;
    atomic_store(&f->gone, atomic_load(&count)); /* the end was told before */
}

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    fh_str path = fh_http_req_path(req);
    atomic_fetch_add(&f->handled, 1);
    if (fh_str_eqs(path, "/known")) {
        fh_http_req_who_set(req, "somebody with a long name");
        fh_http_req_note_set(req, "noted");
    }
    if (fh_str_eqs(path, "/never")) {
        fh_http_req_on_gone(req, gone, f);
        atomic_fetch_add(&f->waiting, 1);
        return;
    }
    if (!fh_str_eqs(path, "/stream") && !fh_str_eqs(path, "/cut")) {
        fh_http_reply(req, 200, "text/plain", "12345", 5);
        return;
    }
    fh_http_reply_start(req, 200, "text/plain");
    fh_http_reply_write(req, "123", 3);
    fh_http_reply_write(req, "4567", 4);
    if (fh_str_eqs(path, "/cut"))
        fh_http_reply_abort(req);
    else
        fh_http_reply_end(req);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fixture_start(f, handle, NULL, "127.0.0.1:0");
    atomic_store(&count, 0);
    memset(list, 0, sizeof list);
    *state = f;
    return 0;
}

static void listen_for_ends(fixture *f)
{
    fh_http_server_on_end(f->server, on_end, list);
}

static int set_up_and_listen(void **state)
{
    int rc = set_up(state);
    fixture_call(*state, listen_for_ends);
    return rc;
}

static int tear_down(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static void ask_and_wait(fixture *f, fh_str text, int ends)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ask(f->port, text, &out);
    assert_true(wait_for(&count, ends));
}

static void each_request_of_a_connection_is_told_once(void **state)
{
    ask_and_wait(*state,
                 FH_STR("POST /a HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\nbodyGET /known HTTP/1.1\r\n" H "\r\nHEAD /b HTTP/1.1\r\n" H
                        "Connection: close\r\n\r\n"),
                 3);
    assert_string_equal(list[0].line, "POST /a 200 in=4 out=5 who= note=-");
    assert_string_equal(list[1].line, "GET /known 200 in=0 out=5 who=somebody with a note=noted");
    assert_string_equal(list[2].line, "GET /b 200 in=0 out=0 who= note=-");
    for (size_t i = 0; i < 3; i++) assert_in_range(list[i].took_ns, 0, 20 * FH_NS_PER_S);
    assert_int_equal(count, 3);
}

static void a_stream_is_told_with_all_its_bytes(void **state)
{
    ask_and_wait(*state, FH_STR("GET /stream HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), 1);
    assert_string_equal(list[0].line, "GET /stream 200 in=0 out=7 who= note=-");
}

static void a_reply_that_was_cut_says_so(void **state)
{
    ask_and_wait(*state, FH_STR("GET /cut HTTP/1.1\r\n" H "\r\n"), 1);
    assert_string_equal(list[0].line, "GET /cut 200 gone in=0 out=7 who= note=-");
    ask_and_wait(*state, FH_STR("GET /cut HTTP/1.0\r\n" H "\r\n"), 2);
    assert_string_equal(list[1].line, "GET /cut 200 gone in=0 out=7 who= note=-");
}

static void a_client_that_leaves_is_told_before_its_handler_knows(void **state)
{
    fixture *f = *state;
    int fd = dial(f->port);
    say(fd, "GET /never HTTP/1.1\r\n" H "\r\n");
    assert_true(wait_for(&f->waiting, 1));
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    assert_true(wait_for(&f->gone, 1));
    assert_string_equal(list[0].line, "GET /never 0 gone in=0 out=0 who= note=-");
}

static void what_was_no_request_is_counted_and_not_told(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ask(f->port, FH_STR("GET /\r\n\r\n"), &out);
    assert_int_equal(fh_http_server_refused(f->server), 1);
    assert_int_equal(count, 0);
}

static void nobody_needs_to_listen(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ask(f->port, FH_STR("GET /known HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), &out);
    assert_int_equal(f->handled, 1);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_request_of_a_connection_is_told_once, set_up_and_listen, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_is_told_with_all_its_bytes, set_up_and_listen, tear_down),
        cmocka_unit_test_setup_teardown(a_reply_that_was_cut_says_so, set_up_and_listen, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_is_told_before_its_handler_knows, set_up_and_listen, tear_down),
        cmocka_unit_test_setup_teardown(what_was_no_request_is_counted_and_not_told, set_up_and_listen, tear_down),
        cmocka_unit_test_setup_teardown(nobody_needs_to_listen, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
