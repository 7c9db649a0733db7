/* Fetching what strangers name: a server of our own with TLS, and a resolver that answers what the test says, each time something else. */
#include "net/outside.h"

#include "base/limits.h"
#include "net/outside_rule.h"
#include "server_fixture.h"
#include "tls_files.h"
#include "torture.h"

enum { MAX_BYTES = 100000, NAMES_MAX = 8 };

typedef struct world {
    fixture f; /* first: the server's handler gets it */
    tls_files files;
    fh_loop *loop;
    fh_outside *outside;
    fh_timer *timer;
    char allow[64];
    _Atomic(const char *) answers[NAMES_MAX]; /* addresses that the resolver gives, one name after another; " " between those of one */
    atomic_uint lookups;
    char headers[512]; /* of the last request */
    atomic_size_t streamed;
    /* what came of it */
    fh_fetch *fetch;
    int done, code;
    char message[256], hint[128];
    fh_buf body;
} world;

/* ---- the server ---- */

static void redirect(fh_http_req *req, const char *to)
{
    fh_http_reply_header(req, "Location", to);
    fh_http_reply(req, 302, "text/html", "moved", 5);
}

/* "/hops/3" leads to "/hops/2", and so on. */
static void hop(fh_http_req *req, int left)
{
    char to[64];
    snprintf(to, sizeof to, left % 2 ? "/hops/%d" : "../hops/%d", left - 1);
    if (left > 0)
        redirect(req, to);
    else
        fh_http_reply(req, 200, "image/png", "arrived", 7);
}

static void pump(void *arg)
{
    static char piece[65536];
    world *w = arg;
    do atomic_fetch_add(&w->streamed, sizeof piece);
    while (fh_http_reply_write(w->f.parked, piece, sizeof piece));
}

static void pump_gone(void *arg)
{
    atomic_fetch_add(&((world *)arg)->f.gone, 1);
}

static void endless(world *w, fh_http_req *req, int status)
{
    w->f.parked = req;
    if (status == 302) fh_http_reply_header(req, "Location", "/image");
    fh_http_req_on_gone(req, pump_gone, w);
    fh_http_reply_on_drain(req, pump, w);
    fh_http_reply_start(req, status, "image/png");
    pump(w);
}

static void note_headers(world *w, fh_http_req *req)
{
    size_t count;
    FH_AUTO(buf) fh_buf text = FH_BUF(sizeof w->headers - 1);
    const fh_header *h = fh_http_req_headers(req, &count);
    for (size_t i = 0; i < count; i++) fh_buf_addf(&text, "%.*s ", (int)h[i].name.len, h[i].name.ptr);
    snprintf(w->headers, sizeof w->headers, "%s", fh_buf_cstr(&text));
}

static void handle(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_str path = fh_http_req_path(req), hops = FH_STR("/hops/");
    char where[200];
    atomic_fetch_add(&w->f.handled, 1);
    note_headers(w, req);
    fh_http_reply_header(req, "Set-Cookie", "a=b; Path=/");
    if (fh_str_starts(path, hops)) {
        hop(req, atoi(path.ptr + hops.len));
    } else if (fh_http_req_query_get(req, "to", where, sizeof where)) {
        redirect(req, where);
    } else if (fh_str_eqs(path, "/image")) {
        fh_http_reply(req, 200, "image/png", "an image", 8);
    } else if (fh_str_eqs(path, "/page")) {
        fh_http_reply(req, 200, "text/html", "a page", 6);
    } else if (fh_str_eqs(path, "/large")) {
        static char large[MAX_BYTES + 1];
        fh_http_reply(req, 200, "image/png", large, sizeof large);
    } else if (fh_str_eqs(path, "/most")) {
        static char most[MAX_BYTES];
        fh_http_reply(req, 200, "image/png", most, sizeof most);
    } else if (fh_str_eqs(path, "/endless")) {
        endless(w, req, 200);
    } else if (fh_str_eqs(path, "/endless-redirect")) {
        endless(w, req, 302);
    } else if (fh_str_eqs(path, "/nowhere")) {
        fh_http_reply(req, 302, "text/html", "", 0);
    } else if (!fh_str_eqs(path, "/never")) {
        fh_http_reply(req, 404, "text/plain", "no", 2);
    }
}

/* ---- the client ---- */

static size_t resolve(void *ctx, const char *host, fh_address *ret, size_t max)
{
    world *w = ctx;
    unsigned nth = atomic_fetch_add(&w->lookups, 1);
    const char *text = nth < NAMES_MAX ? w->answers[nth] : NULL;
    size_t n = 0;
    while (text && *text && n < max) {
        size_t len = strcspn(text, " ");
        if (!fh_address_parse((fh_str){text, len}, &ret[n++])) abort();
        text += len + strspn(text + len, " ");
    }
    return n;
}

static void open_outside(world *w, const char *const *allow, const char *ca)
{
    fh_outside_free(w->outside);
    w->outside = NULL;
    fh_outside_config c = {.allow = allow, .ca_file = ca, .resolve = resolve, .resolve_ctx = w};
    assert_int_equal(fh_outside_new(&w->outside, &c, NULL), 0);
}

static void stop_loop(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    fh_tls *tls = NULL;
    tls_files_make(&w->files);
    assert_int_equal(fh_tls_new(&tls, w->files.cert, w->files.key, NULL), 0);
    fixture_start(&w->f, handle, NULL, "127.0.0.1:0");
    fh_http_server_tls(w->f.server, tls);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->timer, w->loop, stop_loop, w, NULL), 0);
    snprintf(w->allow, sizeof w->allow, "127.0.0.0/8:%d", w->f.port);
    open_outside(w, (const char *const[]){w->allow, NULL}, w->files.cert);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_timer_free(w->timer);
    fh_outside_free(w->outside);
    fh_loop_free(w->loop);
    fixture_stop(&w->f);
    tls_files_remove(&w->files);
    fh_buf_fini(&w->body);
    free(w);
    return 0;
}

static void fetched(void *arg, fh_buf *body, const fh_err *err)
{
    world *w = arg;
    w->done++;
    w->fetch = NULL;
    w->code = err ? fh_err_code(err) : 0;
    snprintf(w->message, sizeof w->message, "%s", err ? fh_err_message(err) : "");
    snprintf(w->hint, sizeof w->hint, "%s", err && fh_err_hint_get(err) ? fh_err_hint_get(err) : "");
    fh_buf_fini(&w->body);
    w->body = *body;
    *body = (fh_buf){0};
    fh_loop_stop(w->loop);
}

static int begin(world *w, const char *url, fh_err **err)
{
    static const char *const types[] = {"image/", NULL};
    fh_fetch_spec s = {.url = fh_str_of(url), .max_bytes = MAX_BYTES, .accept = "image/png", .types = types, .on_done = fetched, .arg = w};
    return fh_fetch_start(&w->fetch, w->outside, w->loop, &s, err);
}

static void fetch_url(world *w, const char *url)
{
    int before = w->done;
    if (begin(w, url, NULL)) fail_msg("%s", url);
    assert_int_equal(w->done, before);
    fh_timer_start(w->timer, 30 * FH_NS_PER_S);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_int_equal(w->done, before + 1);
}

/* Of the test's server, by a name that only the resolver of the test knows. */
static void fetch(world *w, const char *path)
{
    char url[512];
    snprintf(url, sizeof url, "https://localhost:%d%s", w->f.port, path);
    fetch_url(w, url);
}

static void fetch_by_address(world *w, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%d%s", w->f.port, path);
    fetch_url(w, url);
}

static void expect_refused(world *w, const char *said)
{
    assert_int_equal(w->code, FH_E_INVALID);
    if (!strstr(w->message, said)) fail_msg("%s", w->message);
    assert_null(strstr(w->message, "localhost"));
    assert_null(strstr(w->message, "127.0.0.1"));
}

/* ---- tests ---- */

static void what_is_listed_is_fetched_and_nothing_of_ours_goes_with_it(void **state)
{
    world *w = *state;
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    w->answers[0] = w->answers[1] = "127.0.0.1";
    fetch(w, "/image?x=1#y");
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
    assert_string_equal(w->message, "");
    assert_string_equal(fh_buf_cstr(&w->body), "an image");
    fetch(w, "/image"); /* with the cookie, if there were cookies */
    assert_string_equal(w->headers, "Host User-Agent Accept ");
    fetch(w, "/most");
    assert_int_equal(w->code, FH_E_INVALID); /* a third answer there is none */
    assert_int_equal(w->lookups, 3);
}

static void who_may_vouch_for_servers_is_read_once(void **state)
{
    world *w = *state;
    fetch_by_address(w, "/image");
    assert_string_equal(w->message, "");
    assert_int_equal(remove(w->files.cert), 0);
    fetch_by_address(w, "/image");
    assert_string_equal(w->message, "");
}

static void addresses_need_no_resolver(void **state)
{
    world *w = *state;
    fetch_by_address(w, "/most");
    assert_string_equal(w->message, "");
    assert_int_equal(w->body.len, MAX_BYTES);
    assert_int_equal(w->lookups, 0);
}

static void hosts_inside_are_not_reached_and_not_told_from_hosts_that_are_none(void **state)
{
    static const char *const inside[] = {"127.0.0.1",    "10.0.0.1",  "169.254.169.254", "100.64.0.1",     "::1",           "fd00:ec2::254",
                                         "fe80::1",      "224.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "168.63.129.16", "0.0.0.0",
                                         "10.0.0.1 ::1", ""};
    world *w = *state;
    open_outside(w, NULL, w->files.cert);
    for (size_t i = 0; i < FH_COUNT(inside); i++) {
        w->lookups = 0;
        w->answers[0] = inside[i];
        fetch_url(w, "https://inside.test/image");
        expect_refused(w, "its host has no public address");
        assert_string_equal(w->hint, "the operator of this server can allow it with --fetch-allow");
        assert_int_equal(w->lookups, 1);
    }
    assert_int_equal(w->f.handled, 0);
}

static void addresses_inside_are_refused_by_name(void **state)
{
    static const char *const rows[][2] = {{"https://169.254.169.254/latest/meta-data/", "link-local"},
                                          {"https://[fd00:ec2::254]/", "private"},
                                          {"https://10.0.0.1/", "private"},
                                          {"https://[::1]/", "loopback"},
                                          {"https://[64:ff9b::a9fe:a9fe]/", "NAT64"},
                                          {"https://127.0.0.1/", "loopback"},
                                          {"https://2130706433/", "four decimal numbers"},
                                          {"https://0x7f.1/", "four decimal numbers"},
                                          {"https://[::ffff:127.0.0.1]/", "not written as IPv6"},
                                          {"http://example.org/", "does not begin with https://"},
                                          {"file:///etc/passwd", "does not begin with https://"},
                                          {"https://me:pw@example.org/", "a user or a password"},
                                          {"https://example.org./", "no name and no address"},
                                          {"https://8.8.8.8:22/", "another port than 443"}};
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fetch_url(w, rows[i][0]);
        expect_refused(w, rows[i][1]);
    }
    assert_int_equal(w->lookups, 0);
    w->answers[0] = "8.8.8.8";
    fetch_url(w, "https://name.test:22/");
    expect_refused(w, "another port than 443");
}

/* The name has another address by the time that it is connected to: the one that was judged is used. */
static void a_name_is_resolved_once_and_the_address_that_was_judged_is_used(void **state)
{
    world *w = *state;
    w->answers[0] = "127.0.0.1";
    w->answers[1] = "169.254.169.254";
    fetch(w, "/image");
    assert_string_equal(w->message, "");
    assert_int_equal(w->lookups, 1);
    assert_int_equal(w->f.handled, 1);
}

static void each_redirect_is_judged_anew(void **state)
{
    world *w = *state;
    w->answers[0] = "127.0.0.1";
    w->answers[1] = "169.254.169.254"; /* of the same name, a moment later */
    fetch(w, "/hops/1");
    expect_refused(w, "its host has no public address");
    assert_int_equal(w->lookups, 2);
    assert_int_equal(w->f.handled, 1);
}

static void redirects_to_what_may_not_be_opened_end_there(void **state)
{
    static const char *const rows[][2] = {{"https://169.254.169.254/latest/", "redirected to is not opened"},
                                          {"https://2852039166/", "redirected to is not opened"}, /* libcurl makes it 169.254.169.254 */
                                          {"https://0xa9fea9fe/", "redirected to is not opened"},
                                          {"https://[::ffff:a9fe:a9fe]/", "it is redirected, and"},
                                          {"//169.254.169.254/", "redirected to is not opened"},
                                          {"http://localhost/image", "does not begin with https://"},
                                          {"file:///etc/passwd", "redirected"},
                                          {"gopher://127.0.0.1/", "redirected"},
                                          {"https://me@localhost/", "a user or a password"},
                                          {"https://localhost:99999/", "no URL"}};
    world *w = *state;
    char path[200];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        w->lookups = 0;
        w->answers[0] = "127.0.0.1";
        int before = w->f.handled;
        snprintf(path, sizeof path, "/?to=%s", rows[i][0]);
        fetch(w, path);
        expect_refused(w, rows[i][1]);
        assert_int_equal(w->f.handled, before + 1);
        assert_int_equal(w->lookups, 1);
    }
    w->lookups = 0;
    fetch(w, "/nowhere");
    expect_refused(w, "redirected to what is no URL");
}

static void five_redirects_are_followed_and_a_sixth_is_not(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < NAMES_MAX; i++) w->answers[i] = "127.0.0.1";
    fetch(w, "/hops/5");
    assert_string_equal(fh_buf_cstr(&w->body), "arrived");
    assert_int_equal(w->lookups, 6);
    w->lookups = 0;
    fetch(w, "/hops/6");
    expect_refused(w, "redirected too often");
}

static void bodies_of_another_size_or_type_are_refused(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < NAMES_MAX; i++) w->answers[i] = "127.0.0.1";
    fetch(w, "/large");
    expect_refused(w, "too large");
    fetch(w, "/page");
    expect_refused(w, "of another type");
    fetch(w, "/missing");
    expect_refused(w, "status 404");
    fetch(w, "/endless");
    expect_refused(w, "too large");
    assert_true(wait_for(&w->f.gone, 1));
    assert_true(w->streamed < 64 << 20);
    fetch(w, "/endless-redirect"); /* its body is nobody's */
    assert_string_equal(w->message, "");
    assert_true(wait_for(&w->f.gone, 2));
}

static void servers_that_are_silent_are_given_up(void **state)
{
    world *w = *state;
    w->answers[0] = "127.0.0.1";
    int64_t begun = fh_clock_mono_ns();
    fetch(w, "/never");
    expect_refused(w, "too slow");
    assert_true(fh_clock_mono_ns() - begun >= FH_LIMIT_OUTSIDE_SILENCE_MS * FH_NS_PER_MS / 2);
}

static void servers_that_nobody_vouches_for_are_not_believed(void **state)
{
    world *w = *state;
    const char *const list[] = {w->allow, NULL};
    char url[64];
    w->answers[0] = w->answers[1] = "127.0.0.1";
    snprintf(url, sizeof url, "https://other.test:%d/image", w->f.port); /* the certificate is of another name */
    fetch_url(w, url);
    expect_refused(w, "nobody whom we trust vouches");
    open_outside(w, list, NULL);
    fetch(w, "/image");
    expect_refused(w, "nobody whom we trust vouches");
    assert_int_equal(w->f.handled, 0);
}

static void the_next_address_is_tried_when_one_cannot_be_reached(void **state)
{
    world *w = *state;
    w->answers[0] = "10.0.0.1 127.0.0.2 127.0.0.1"; /* not allowed; nobody there; there */
    fetch(w, "/image");
    assert_string_equal(w->message, "");
    w->answers[1] = "127.0.0.2";
    fetch(w, "/image");
    expect_refused(w, "cannot be reached");
}

static void a_fetch_can_be_given_up_at_any_time(void **state)
{
    world *w = *state;
    for (int64_t after_us = 0; after_us < 20000; after_us += 250) {
        w->lookups = 0;
        w->answers[0] = w->answers[1] = "127.0.0.1";
        char url[128];
        snprintf(url, sizeof url, "https://localhost:%d/hops/1", w->f.port);
        assert_int_equal(begin(w, url, NULL), 0);
        fh_timer_start(w->timer, after_us * 1000);
        fh_loop_run(w->loop, NULL);
        if (w->fetch) fh_fetch_cancel(w->fetch);
    }
    fetch_by_address(w, "/hops/1"); /* names may still be resolved for those that were given up */
    assert_string_equal(fh_buf_cstr(&w->body), "arrived");
}

static void so_many_are_fetched_at_once_and_no_more(void **state)
{
    world *w = *state;
    fh_fetch *open[FH_LIMIT_OUTSIDE_FETCHES];
    fh_err *err = NULL;
    for (size_t i = 0; i < FH_COUNT(open); i++) {
        assert_int_equal(begin(w, "https://localhost/", NULL), 0);
        open[i] = w->fetch;
    }
    assert_int_equal(begin(w, "https://localhost/", &err), FH_E_BUSY);
    fh_err_free(err);
    for (size_t i = 0; i < FH_COUNT(open); i++) fh_fetch_cancel(open[i]);
    fetch_by_address(w, "/image");
    assert_string_equal(w->message, "");
}

static int fetch_under_torture(void *arg)
{
    world *w = arg;
    char url[128];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/?to=/image", w->f.port);
    int before = w->done, rc = begin(w, url, NULL);
    if (rc) return rc;
    fh_timer_start(w->timer, 30 * FH_NS_PER_S);
    fh_loop_run(w->loop, NULL);
    assert_int_equal(w->done, before + 1);
    return w->code;
}

static void failing_allocations_end_the_fetch_and_nothing_else(void **state)
{
    world *w = *state;
    assert_true(fh_torture(FH_FAULT_ALLOC, fetch_under_torture, w, 200) > 10);
    assert_int_equal(fetch_under_torture(w), 0);
    assert_string_equal(fh_buf_cstr(&w->body), "an image");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_listed_is_fetched_and_nothing_of_ours_goes_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_vouch_for_servers_is_read_once, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_need_no_resolver, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_inside_are_not_reached_and_not_told_from_hosts_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_inside_are_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_is_resolved_once_and_the_address_that_was_judged_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(each_redirect_is_judged_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_to_what_may_not_be_opened_end_there, setup, teardown),
        cmocka_unit_test_setup_teardown(five_redirects_are_followed_and_a_sixth_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_of_another_size_or_type_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(servers_that_are_silent_are_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(servers_that_nobody_vouches_for_are_not_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_address_is_tried_when_one_cannot_be_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fetch_can_be_given_up_at_any_time, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_are_fetched_at_once_and_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_end_the_fetch_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
