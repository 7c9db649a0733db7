/* Replies byte by byte: what a program on this machine may say, and what is no HTTP. A server of raw bytes, on a thread of its own, answers
 * each connection as the test says. */
#include "net/http_client.h"
#include "server_fixture.h"

enum { TURNS_MAX = 4 };

typedef struct turn { /* one connection: for each request on it, what is said; then it is closed */
    const char *replies[TURNS_MAX];
    size_t piece; /* bytes at a time; 0: all at once */
} turn;

typedef struct script {
    const turn *turns;
    int count, listener, port;
    atomic_int requests, connections;
    pthread_t thread;
} script;

static bool hear_request(int fd)
{
    char text[65536];
    size_t len = 0;
    do {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0) return false;
        len += (size_t)n;
        text[len] = '\0';
    } while (!strstr(text, "\r\n\r\n"));
    return true;
}

static void say_pieces(int fd, const char *text, size_t piece)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += piece ? piece : len) {
        say_bytes(fd, (fh_str){text + at, FH_MIN(piece ? piece : len, len - at)});
        if (piece) fh_sleep_ns(FH_NS_PER_MS / 10);
    }
}

static void *play(void *arg)
{
    script *s = arg;
    for (int i = 0; i < s->count; i++) {
        int fd = accept(s->listener, NULL, NULL), on = 1;
        atomic_fetch_add(&s->connections, 1);
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
        for (int r = 0; r < TURNS_MAX && s->turns[i].replies[r] && hear_request(fd); r++) {
            atomic_fetch_add(&s->requests, 1);
            say_pieces(fd, s->turns[i].replies[r], s->turns[i].piece);
        }
        close(fd);
    }
    return NULL;
}

static void script_start(script *s, const turn *turns, int count)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    *s = (script){.turns = turns, .count = count, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 10), 0);
    getsockname(s->listener, (struct sockaddr *)&a, &len);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->thread, NULL, play, s);
}

static void script_stop(script *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
}

/* The client. */

typedef struct talk {
    fh_loop *loop;
    fh_http_client *client;
    int status, code, headers;
    char body[256], message[256];
    size_t bytes;
} talk;

static void on_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    ((talk *)arg)->headers++;
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    talk *t = arg;
    size_t n = FH_MIN(bytes, sizeof t->body - 1 - FH_MIN(t->bytes, sizeof t->body - 1));
    memcpy(t->body + FH_MIN(t->bytes, sizeof t->body - 1), data, n);
    t->bytes += bytes;
    return true;
}

static void on_done(void *arg, int status, const fh_err *err)
{
    talk *t = arg;
    t->status = status;
    t->code = fh_err_code(err);
    snprintf(t->message, sizeof t->message, "%s", err ? fh_err_message(err) : "");
    fh_loop_stop(t->loop);
}

static void call(talk *t, int port, const char *method)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", port);
    fh_http_call_spec spec = {.method = method, .url = url, .on_headers = on_headers, .on_data = on_data, .on_done = on_done, .arg = t};
    t->bytes = 0;
    t->headers = 0;
    memset(t->body, 0, sizeof t->body);
    assert_int_equal(fh_http_call_start(NULL, t->client, &spec, NULL), 0);
    assert_int_equal(fh_loop_run(t->loop, NULL), 0);
}

static void begin(talk *t)
{
    *t = (talk){0};
    assert_int_equal(fh_loop_new(&t->loop, NULL), 0);
    assert_int_equal(fh_http_client_new(&t->client, t->loop, NULL), 0);
}

static void finish(talk *t)
{
    fh_http_client_free(t->client);
    fh_loop_free(t->loop);
}

#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static void good_replies_are_read_however_they_are_cut(void **state)
{
    static const struct {
        const char *reply, *body;
        int status;
    } rows[] = {
        {OK "Content-Length: 5\r\n\r\nhello", "hello", 200},
        {OK "Content-Length: 0\r\n\r\n", "", 200},
        {OK "Content-Length:5\r\nConnection: close\r\n\r\nhello", "hello", 200},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "ok", 200},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", 200},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" OK "Content-Length: 2\r\n\r\nok", "ok", 200},
        {"HTTP/1.1 204 No Content\r\n\r\n", "", 204},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "no", 404},
        {CHUNKED "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world", 200},
        {CHUNKED "A\r\n0123456789\r\n000\r\nX-Trailer: t\r\n\r\n", "0123456789", 200},
        {CHUNKED "0\r\n\r\n", "", 200},
    };
    static const size_t pieces[] = {0, 1, 3, 7};
    for (size_t i = 0; i < FH_COUNT(rows) * FH_COUNT(pieces); i++) {
        const turn t = {{rows[i / FH_COUNT(pieces)].reply}, pieces[i % FH_COUNT(pieces)]};
        script s;
        talk k;
        script_start(&s, &t, 1);
        begin(&k);
        call(&k, s.port, "GET");
        finish(&k);
        script_stop(&s);
        if (k.status != rows[i / FH_COUNT(pieces)].status || strcmp(k.body, rows[i / FH_COUNT(pieces)].body) != 0 || k.headers != 1)
            fail_msg("%s: %d '%s' %s", t.replies[0], k.status, k.body, k.message);
    }
}

static void replies_that_are_no_http_are_errors(void **state)
{
    static const char *const rows[] = {
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        OK "Content-Length: -5\r\n\r\nhello",
        OK "Content-Length: 99999999999999999999\r\n\r\n",
        OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK "Transfer-Encoding: gzip\r\n\r\n",
        OK "X y: z\r\n\r\n",
        OK " folded: z\r\n\r\n",
        OK "no colon\r\n\r\n",
        OK "Content-Length: 10\r\n\r\nhalf",
        OK "Content-Le",
        "",
        CHUNKED "5\r\nhello\r\n",
        CHUNKED "5\r\nhello!\r\n0\r\n\r\n",
        CHUNKED "g\r\nhello\r\n0\r\n\r\n",
        CHUNKED "\r\n0\r\n\r\n",
        CHUNKED "5x\r\nhello\r\n0\r\n\r\n",
        CHUNKED "fffffffffffffffff\r\n",
        CHUNKED "0\r\n",
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        const turn t = {{rows[i]}, 0};
        script s;
        talk k;
        script_start(&s, &t, 1);
        begin(&k);
        call(&k, s.port, "GET");
        finish(&k);
        script_stop(&s);
        if (k.status != 0 || k.code != FH_E_UPSTREAM) fail_msg("%s: %d %d %s", rows[i], k.status, k.code, k.message);
    }
}

static void a_head_without_end_is_bounded(void **state)
{
    static char large[300000];
    const turn t = {{large}, 0};
    script s;
    talk k;
    memset(large, 'a', sizeof large - 1);
    memcpy(large, OK "X-A: ", strlen(OK "X-A: "));
    script_start(&s, &t, 1);
    begin(&k);
    call(&k, s.port, "GET");
    finish(&k);
    script_stop(&s);
    assert_int_equal(k.code, FH_E_UPSTREAM);
}

static void the_reply_to_head_has_no_body(void **state)
{
    static const turn t = {{OK "Content-Length: 500\r\n\r\n", OK "Content-Length: 2\r\n\r\nok"}, 0};
    script s;
    talk k;
    script_start(&s, &t, 1);
    begin(&k);
    call(&k, s.port, "HEAD");
    assert_int_equal(k.status, 200);
    assert_int_equal(k.bytes, 0);
    call(&k, s.port, "GET");
    assert_string_equal(k.body, "ok");
    finish(&k);
    script_stop(&s);
}

static void a_kept_connection_that_was_closed_meanwhile_costs_nothing(void **state)
{
    /* The second request reaches a connection that closes without a word, and is sent again on a fresh one, once. */
    static const turn turns[] = {{{OK "Content-Length: 1\r\n\r\na", ""}, 0}, {{OK "Content-Length: 1\r\n\r\nb"}, 0}};
    script s;
    talk k;
    script_start(&s, turns, 2);
    begin(&k);
    call(&k, s.port, "POST");
    assert_string_equal(k.body, "a");
    call(&k, s.port, "POST");
    assert_string_equal(k.body, "b");
    finish(&k);
    script_stop(&s);
    assert_int_equal(atomic_load(&s.connections), 2);
}

static void half_a_reply_is_never_asked_for_again(void **state)
{
    static const turn turns[] = {{{OK "Content-Length: 1\r\n\r\na", OK "Content-Le"}, 0}};
    script s;
    talk k;
    script_start(&s, turns, 1);
    begin(&k);
    call(&k, s.port, "POST");
    call(&k, s.port, "POST");
    assert_int_equal(k.code, FH_E_UPSTREAM);
    finish(&k);
    script_stop(&s);
    assert_int_equal(atomic_load(&s.requests), 2);
}

static void a_connection_that_says_more_than_it_was_asked_is_not_kept(void **state)
{
    static const turn turns[] = {{{OK "Content-Length: 1\r\n\r\na" OK "Content-Length: 4\r\n\r\nevil"}, 0},
                                 {{OK "Content-Length: 1\r\n\r\nb"}, 0}};
    script s;
    talk k;
    script_start(&s, turns, 2);
    begin(&k);
    call(&k, s.port, "GET");
    assert_string_equal(k.body, "a");
    call(&k, s.port, "GET");
    assert_string_equal(k.body, "b");
    finish(&k);
    script_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_replies_are_read_however_they_are_cut),
        cmocka_unit_test(replies_that_are_no_http_are_errors),
        cmocka_unit_test(a_head_without_end_is_bounded),
        cmocka_unit_test(the_reply_to_head_has_no_body),
        cmocka_unit_test(a_kept_connection_that_was_closed_meanwhile_costs_nothing),
        cmocka_unit_test(half_a_reply_is_never_asked_for_again),
        cmocka_unit_test(a_connection_that_says_more_than_it_was_asked_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
