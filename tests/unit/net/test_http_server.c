/* The server over real sockets: what it answers, to whom, and what a handler is told. */
#include "server_fixture.h"

#define H "Host: a.example\r\n"

static void reply_parked(void *arg)
{
    fixture *f = arg;
    fh_http_reply(f->parked, 200, "text/plain", "late", 4);
}

static void note_gone(void *arg)
{
    fixture *f = arg;
    atomic_fetch_add(&f->gone, 1);
}

static void park(fixture *f, fh_http_req *req)
{
    f->parked = req;
    fh_http_req_on_gone(req, note_gone, f);
    atomic_fetch_add(&f->waiting, 1);
}

static void describe(fh_http_req *req)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(65536);
    char q[32];
    fh_str method = fh_http_req_method(req), path = fh_http_req_path(req), host = fh_http_req_host(req), body = fh_http_req_body(req),
           x = fh_http_req_header(req, "x-a");
    size_t headers;
    fh_http_req_headers(req, &headers);
    fh_buf_addf(&b, "%.*s %.*s %.*s [%s] x=%.*s n=%zu body=", (int)method.len, method.ptr, (int)path.len, path.ptr, (int)host.len, host.ptr,
                fh_http_req_query_get(req, "q", q, sizeof q) ? q : "-", (int)x.len, x.ptr ? x.ptr : "", headers);
    fh_buf_add(&b, body.ptr, body.len);
    fh_http_reply(req, 200, "text/plain", b.data, b.len);
}

static void stream(fh_http_req *req, bool cut)
{
    fh_http_reply_start(req, 200, "text/event-stream");
    fh_http_reply_write(req, "data: 1\n\n", 9);
    fh_http_reply_write(req, "", 0);
    fh_http_reply_write(req, "data: 2\n\n", 9);
    if (cut)
        fh_http_reply_abort(req);
    else
        fh_http_reply_end(req);
}

static void handle(fh_http_req *req, void *ctx)
{
    fixture *f = ctx;
    fh_str path = fh_http_req_path(req);
    atomic_fetch_add(&f->handled, 1);
    if (fh_str_eqs(path, "/late")) {
        f->parked = req;
        if (!f->timer) fh_timer_new(&f->timer, fh_http_req_loop(req), reply_parked, f, NULL);
        fh_timer_start(f->timer, 50 * FH_NS_PER_MS);
    } else if (fh_str_eqs(path, "/never")) {
        park(f, req);
    } else if (fh_str_eqs(path, "/never-ends")) {
        park(f, req);
        fh_http_reply_start(req, 200, "text/event-stream");
        fh_http_reply_write(req, "data: 1\n\n", 9);
    } else if (fh_str_eqs(path, "/stream") || fh_str_eqs(path, "/cut")) {
        fh_http_req_on_gone(req, note_gone, f);
        stream(req, fh_str_eqs(path, "/cut"));
    } else if (fh_str_eqs(path, "/nothing")) {
        fh_http_reply_header(req, "X-Extra", "1");
        if (fh_http_reply_header(req, "X-Evil", "a\r\nSet-Cookie: b") || fh_http_reply_header(req, "a b", "c")) abort();
        fh_http_reply(req, 204, NULL, NULL, 0);
    } else if (fh_str_eqs(path, "/abort")) {
        fh_http_reply_abort(req);
    } else {
        describe(req);
    }
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fixture_start(f, handle, NULL, "127.0.0.1:0");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

#define ASK(out, text) ask(f->port, FH_STR(text), out)

static void a_request_reaches_its_handler_and_the_reply_its_client(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ASK(&out, "POST /a%20b%2Fc?q=x%2By+z&r HTTP/1.1\r\n" H "X-A: 7\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
    const char *text = fh_buf_cstr(&out);
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\nDate: "));
    assert_non_null(strstr(text, " GMT\r\nContent-Type: text/plain\r\nContent-Length: "));
    assert_non_null(strstr(text, "\r\nx-request-id: req_"));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nPOST /a b/c a.example [x+y z] x=7 n=4 body=body"));
}

static void the_eleven_malformed_requests_get_400_and_a_closed_connection(void **state)
{
    static const fh_str malformed[] = {
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello"),
        FH_STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        FH_STR("GET / HTTP/1.1\r\n" H "X: a\r\n folded\r\n\r\n"),
        FH_STR("GET / HTTP/1.1\nHost: a.example\n\n"),
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello"),
        FH_STR("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"),
        FH_STR("GET / HTTP/1.1\r\n\r\n"),
        FH_STR("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
        FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\nhello"),
    };
    fixture *f = *state;
    for (size_t i = 0; i < FH_COUNT(malformed); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        ask(f->port, malformed[i], &out);
        const char *text = fh_buf_cstr(&out);
        assert_true(fh_str_starts(fh_str_of(text), FH_STR("HTTP/1.1 400 Bad Request\r\n")));
        assert_non_null(strstr(text, "\r\nConnection: close\r\n\r\n{\"error\":{\"message\":\""));
        assert_null(strstr(text, "<reset>"));
        assert_int_equal(count_of(text, "HTTP/1.1 "), 1);
    }
    assert_int_equal(f->handled, 0);
}

static void other_refusals_have_their_own_status(void **state)
{
    fixture *f = *state;
    static const struct {
        fh_str request;
        const char *status;
    } rows[] = {
        {FH_STR("POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n"), "HTTP/1.1 413 "},
        {FH_STR("POST / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n"), "HTTP/1.1 417 "},
        {FH_STR("CONNECT a:1 HTTP/1.1\r\n" H "\r\n"), "HTTP/1.1 501 "},
        {FH_STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP/1.1 505 "},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        ask(f->port, rows[i].request, &out);
        assert_true(fh_str_starts(fh_str_of(fh_buf_cstr(&out)), fh_str_of(rows[i].status)));
    }
}

static void refusals_for_the_control_plane_are_problems(void **state)
{
    static const fh_str rows[] = {FH_STR("GET /api/v1/models/%07 HTTP/1.1\r\n" H "\r\n"),
                                  FH_STR("POST /api/v1/keys HTTP/1.1\r\n" H "Expect: tea\r\n\r\n"),
                                  FH_STR("GET /v1/models/%07 HTTP/1.1\r\n" H "\r\n")};
    static const char *const says[] = {"application/problem+json\r\n", "\"status\":417,", "application/json\r\n"};
    fixture *f = *state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        ask(f->port, rows[i], &out);
        assert_non_null(strstr(fh_buf_cstr(&out), says[i]));
    }
}

static void a_refusal_is_readable_even_while_the_client_still_sends(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    char *body = calloc(1, 1 << 20);
    int fd = dial(f->port);
    say(fd, "POST / HTTP/1.1\r\n" H "Content-Length: 99999999\r\n\r\n");
    for (int i = 0; i < 16; i++) say_bytes(fd, (fh_str){body, 1 << 20});
    shutdown(fd, SHUT_WR);
    assert_true(hear_all(fd, &out));
    assert_true(fh_str_starts(fh_str_of(fh_buf_cstr(&out)), FH_STR("HTTP/1.1 413 ")));
    close(fd);
    free(body);
}

static void a_connection_is_kept_and_pipelined_requests_are_answered_in_order(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ASK(&out, "GET /1 HTTP/1.1\r\n" H "\r\nGET /late HTTP/1.1\r\n" H "\r\nPOST /3 HTTP/1.1\r\n" H
              "Content-Length: 2\r\n\r\nokGET /stream HTTP/1.1\r\n" H "\r\nGET /5 HTTP/1.1\r\n" H
              "Connection: close\r\n\r\nGET /6 HTTP/1.1\r\n" H "\r\n");
    const char *a = strstr(fh_buf_cstr(&out), "GET /1 "), *b = a ? strstr(a, "late") : NULL, *c = b ? strstr(b, "POST /3 ") : NULL,
               *d = c ? strstr(c, "data: 2") : NULL, *e = d ? strstr(d, "GET /5") : NULL;
    assert_non_null(e);
    assert_null(strstr(e, "GET /6"));
    assert_int_equal(count_of(fh_buf_cstr(&out), "HTTP/1.1 200 OK"), 5);
    assert_int_equal(count_of(fh_buf_cstr(&out), "Connection: close"), 1);
}

static void a_request_in_single_bytes_is_answered(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    static const char request[] = "POST /x HTTP/1.1\r\n" H "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    int fd = dial(f->port);
    for (const char *p = request; *p; p++) {
        say_bytes(fd, (fh_str){p, 1});
        if ((p - request) % 8 == 0) fh_sleep_ns(FH_NS_PER_MS);
    }
    assert_true(hear_all(fd, &out));
    assert_non_null(strstr(fh_buf_cstr(&out), "body=abc"));
    close(fd);
}

static void a_streamed_reply_is_chunked_and_for_old_clients_ends_with_the_connection(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), old = FH_BUF(1 << 20);
    ASK(&out, "GET /stream HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_non_null(strstr(fh_buf_cstr(&out), "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(fh_buf_cstr(&out), "\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
    ASK(&old, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_null(strstr(fh_buf_cstr(&old), "chunked"));
    assert_non_null(strstr(fh_buf_cstr(&old), "Connection: close\r\n\r\ndata: 1\n\ndata: 2\n\n"));
    assert_int_equal(f->gone, 0);
}

static void a_reply_that_is_aborted_looks_cut(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), old = FH_BUF(1 << 20), none = FH_BUF(1 << 20);
    ASK(&out, "GET /cut HTTP/1.1\r\n" H "\r\n");
    assert_non_null(strstr(fh_buf_cstr(&out), "data: 2\n\n\r\n"));
    assert_null(strstr(fh_buf_cstr(&out), "\r\n0\r\n"));
    ASK(&old, "GET /cut HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(fh_buf_cstr(&old), "<reset>"));
    ASK(&none, "GET /abort HTTP/1.1\r\n" H "\r\n");
    assert_string_equal(fh_buf_cstr(&none), "");
    assert_int_equal(f->gone, 0);
}

static void an_old_client_may_keep_its_connection(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ASK(&out, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
    assert_int_equal(count_of(fh_buf_cstr(&out), "HTTP/1.1 200 OK"), 2);
    assert_int_equal(count_of(fh_buf_cstr(&out), "Connection: keep-alive"), 1);
}

static void head_is_get_without_the_body(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), streamed = FH_BUF(1 << 20);
    ASK(&out, "HEAD /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_int_equal(count_of(fh_buf_cstr(&out), "Content-Length: "), 2);
    assert_null(strstr(fh_buf_cstr(&out), "GET /1 "));
    assert_non_null(strstr(fh_buf_cstr(&out), "GET /2 "));
    ASK(&streamed, "HEAD /never-ends HTTP/1.1\r\n" H "\r\n");
    assert_non_null(strstr(fh_buf_cstr(&streamed), "HTTP/1.1 200 OK"));
    assert_null(strstr(fh_buf_cstr(&streamed), "data:"));
    assert_true(wait_for(&f->gone, 1));
}

static void options_of_the_server_and_replies_without_a_body(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ASK(&out, "OPTIONS * HTTP/1.1\r\n" H "\r\nGET /nothing HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_int_equal(count_of(fh_buf_cstr(&out), "HTTP/1.1 204 No Content"), 2);
    assert_int_equal(count_of(fh_buf_cstr(&out), "Content-Length"), 0);
    assert_int_equal(count_of(fh_buf_cstr(&out), "Allow: GET"), 1);
    assert_int_equal(count_of(fh_buf_cstr(&out), "X-Extra: 1"), 1);
    assert_null(strstr(fh_buf_cstr(&out), "Set-Cookie"));
    assert_int_equal(f->handled, 1);
}

static void a_body_is_asked_for_when_the_client_waits(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), at_once = FH_BUF(1 << 20);
    int fd = dial(f->port);
    say(fd, "POST /x HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
    assert_true(hear_until(fd, &out, "HTTP/1.1 100 Continue\r\n\r\n"));
    say(fd, "abc");
    assert_true(hear_all(fd, &out));
    assert_non_null(strstr(fh_buf_cstr(&out), "body=abc"));
    close(fd);
    ASK(&at_once, "POST /x HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    assert_null(strstr(fh_buf_cstr(&at_once), "100 Continue"));
}

static void a_client_that_leaves_is_noticed_while_it_waits_and_while_it_is_streamed_to(void **state)
{
    static const char *const paths[] = {"/never", "/never-ends"};
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(1024);
        fh_buf_addf(&text, "GET %s HTTP/1.1\r\n" H "\r\n", paths[i]);
        int fd = dial(f->port);
        say(fd, fh_buf_cstr(&text));
        assert_true(wait_for(&f->waiting, i + 1));
        fh_sleep_ns(5 * FH_NS_PER_MS);
        assert_int_equal(f->gone, i);
        close(fd);
        assert_true(wait_for(&f->gone, i + 1));
    }
}

static void a_client_that_resets_is_noticed(void **state)
{
    fixture *f = *state;
    struct linger hard = {.l_onoff = 1};
    int fd = dial(f->port);
    say(fd, "GET /never HTTP/1.1\r\n" H "\r\n");
    assert_true(wait_for(&f->waiting, 1));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    assert_true(wait_for(&f->gone, 1));
}

static void a_client_that_only_closes_its_side_still_gets_its_replies(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), old = FH_BUF(1 << 20);
    int fd = dial(f->port);
    say(fd, "GET /late HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n");
    shutdown(fd, SHUT_WR);
    assert_true(hear_all(fd, &out));
    assert_non_null(strstr(fh_buf_cstr(&out), "\r\n\r\nlate"));
    assert_non_null(strstr(fh_buf_cstr(&out), "GET /2 "));
    close(fd);
    fd = dial(f->port);
    say(fd, "GET /late HTTP/1.0\r\n\r\n");
    shutdown(fd, SHUT_WR);
    assert_true(hear_all(fd, &old));
    assert_non_null(strstr(fh_buf_cstr(&old), "\r\n\r\nlate"));
    assert_null(strstr(fh_buf_cstr(&old), "100 Continue"));
    close(fd);
}

static void request_ids_differ(void **state)
{
    fixture *f = *state;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    ASK(&out, "GET /1 HTTP/1.1\r\n" H "\r\nGET /1 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    const char *a = strstr(fh_buf_cstr(&out), "req_"), *b = strstr(a + 1, "req_");
    assert_non_null(b);
    assert_memory_not_equal(a, b, 36);
}

static int dial_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void a_unix_socket_serves_its_owner_only_and_is_removed_at_the_end(void **state)
{
    fixture f = {0};
    char folder[] = "/tmp/fh-net-XXXXXX", path[64], address[80];
    struct stat st;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(address, sizeof address, "unix:%s", path);
    fixture_start(&f, handle, NULL, address);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    int fd = dial_unix(path);
    say(fd, "GET /1 HTTP/1.1\r\n" H "\r\nGET /never HTTP/1.1\r\n" H "\r\n");
    assert_true(hear_until(fd, &out, "GET /1"));
    assert_true(wait_for(&f.waiting, 1));
    close(fd);
    assert_true(wait_for(&f.gone, 1));
    fixture_stop(&f);
    assert_int_not_equal(stat(path, &st), 0);
    rmdir(folder);
}

static void a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not(void **state)
{
    fixture f = {0};
    fh_http_server *other;
    char folder[] = "/tmp/fh-net-XXXXXX", path[64], address[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(address, sizeof address, "unix:%s", path);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&a, sizeof a), 0);
    close(stale);
    fixture_start(&f, handle, NULL, address);
    fh_loop *l;
    fh_err *err = NULL;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_int_equal(fh_http_server_new(&other, l, handle, NULL, NULL), 0);
    assert_int_equal(fh_http_server_listen(other, address, false, &err), FH_E_CONFLICT);
    fixture_stop(&f);
    fclose(fopen(path, "w"));
    assert_int_equal(fh_http_server_listen(other, address, false, &err), FH_E_EXISTS);
    fh_err_free(err);
    fh_http_server_free(other);
    fh_loop_free(l);
    unlink(path);
    rmdir(folder);
}

static void bad_addresses_are_named(void **state)
{
    static const char *const bad[] = {"",      "127.0.0.1",      "127.0.0.1:", "127.0.0.1:99999", "::1:80",
                                      "[::1]", "example.com:80", "unix:",      "127.0.0.1:80x",   "[127.0.0.1]:80"};
    fh_loop *l;
    fh_http_server *s;
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_int_equal(fh_http_server_new(&s, l, handle, NULL, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_err *err = NULL;
        if (fh_http_server_listen(s, bad[i], false, &err) != FH_E_USAGE) fail_msg("%s", bad[i]);
        assert_non_null(strstr(fh_err_message(err), "cannot listen on "));
        fh_err_free(err);
    }
    fh_http_server_free(s);
    fh_loop_free(l);
}

static void servers_share_a_port_only_when_told_to(void **state)
{
    fh_loop *l;
    fh_http_server *a, *b, *c;
    fh_err *err = NULL;
    char address[32];
    assert_int_equal(fh_loop_new(&l, NULL), 0);
    assert_int_equal(fh_http_server_new(&a, l, handle, NULL, NULL), 0);
    assert_int_equal(fh_http_server_new(&b, l, handle, NULL, NULL), 0);
    assert_int_equal(fh_http_server_new(&c, l, handle, NULL, NULL), 0);
    assert_int_equal(fh_http_server_listen(a, "localhost:0", true, NULL), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", fh_http_server_port(a));
    assert_int_equal(fh_http_server_listen(b, address, true, NULL), 0);
    assert_int_equal(fh_http_server_listen(c, address, false, &err), FH_E_CONFLICT);
    assert_non_null(fh_err_hint_get(err));
    fh_err_free(err);
    fh_http_server_free(a);
    fh_http_server_free(b);
    fh_http_server_free(c);
    fh_loop_free(l);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(a_request_reaches_its_handler_and_the_reply_its_client),
        SERVED(the_eleven_malformed_requests_get_400_and_a_closed_connection),
        SERVED(other_refusals_have_their_own_status),
        SERVED(refusals_for_the_control_plane_are_problems),
        SERVED(a_refusal_is_readable_even_while_the_client_still_sends),
        SERVED(a_connection_is_kept_and_pipelined_requests_are_answered_in_order),
        SERVED(a_request_in_single_bytes_is_answered),
        SERVED(a_streamed_reply_is_chunked_and_for_old_clients_ends_with_the_connection),
        SERVED(a_reply_that_is_aborted_looks_cut),
        SERVED(an_old_client_may_keep_its_connection),
        SERVED(head_is_get_without_the_body),
        SERVED(options_of_the_server_and_replies_without_a_body),
        SERVED(a_body_is_asked_for_when_the_client_waits),
        SERVED(a_client_that_leaves_is_noticed_while_it_waits_and_while_it_is_streamed_to),
        SERVED(a_client_that_resets_is_noticed),
        SERVED(a_client_that_only_closes_its_side_still_gets_its_replies),
        SERVED(request_ids_differ),
        cmocka_unit_test(a_unix_socket_serves_its_owner_only_and_is_removed_at_the_end),
        cmocka_unit_test(a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not),
        cmocka_unit_test(bad_addresses_are_named),
        cmocka_unit_test(servers_share_a_port_only_when_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
