/* Asks: whole and streamed, both ways, held back and let go, cut off by either end, by the link, by time, and beyond their bounds. */
#include "link_fixture.h"

/* ---- the asking end ---- */

typedef struct asked {
    world *w;
    fh_link_ask_spec spec;
    fh_link_ask *ask;
    fh_timer *timer; /* resumes */
    int start_code;
    bool pause, cancel_in_data;
    atomic_int done, status, code, headers;
    atomic_size_t bytes, made;
    uint64_t sum;
    char body[256], kind[64];
    size_t made_max;
    bool made_later;
} asked;

static uint64_t mix(uint64_t sum, const unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) sum = sum * 31 + data[i];
    return sum;
}

static void take_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    asked *a = arg;
    atomic_fetch_add(&a->headers, 1);
    fh_str kind = fh_headers_find(headers, count, "content-type");
    snprintf(a->kind, sizeof a->kind, "%.*s", (int)kind.len, kind.len ? kind.ptr : "");
}

static bool take_data(void *arg, const void *data, size_t bytes)
{
    asked *a = arg;
    a->sum = mix(a->sum, data, bytes);
    atomic_fetch_add(&a->bytes, bytes);
    if (a->cancel_in_data) {
        fh_link_ask_cancel(a->ask);
        atomic_store(&a->done, 100);
        return false;
    }
    if (a->pause && a->timer) fh_timer_start(a->timer, FH_NS_PER_MS);
    return !a->pause;
}

static void take_done(void *arg, int status, fh_str body, const fh_err *err)
{
    asked *a = arg;
    snprintf(a->body, sizeof a->body, "%.*s", (int)FH_MIN(body.len, (size_t)200), body.ptr);
    if (!a->spec.on_data) atomic_store(&a->bytes, body.len);
    a->ask = NULL;
    atomic_store(&a->status, status);
    atomic_store(&a->code, fh_err_code(err));
    if (!err) atomic_store(&a->code, 0);
    atomic_fetch_add(&a->done, 1);
}

static void resume_it(void *arg)
{
    asked *a = arg;
    if (a->ask) fh_link_ask_resume(a->ask);
}

static void start_it(world *w, void *arg)
{
    asked *a = arg;
    fh_err *err = NULL;
    a->spec.on_done = take_done;
    a->spec.arg = a;
    a->start_code = fh_link_ask_start(&a->ask, atomic_load(&w->link), &a->spec, &err);
    fh_err_free(err);
}

static void free_timer(world *w, void *arg)
{
    asked *a = arg;
    fh_timer_free(a->timer);
}

static void make_timer(world *w, void *arg)
{
    asked *a = arg;
    assert_int_equal(fh_timer_new(&a->timer, w->loop, resume_it, a, NULL), 0);
}

static void ask_and_wait(world *w, asked *a)
{
    on_loop(w, start_it, a);
    assert_int_equal(a->start_code, 0);
    reach(&a->done, 1);
}

/* ---- the answering end ---- */

typedef struct source {
    fh_link_req *req;
    size_t left;
} source;
static source sources[64];
static atomic_size_t written, gone_sources;

static void source_gone(void *arg)
{
    ((source *)arg)->req = NULL;
    atomic_fetch_add(&gone_sources, 1);
}

static void pump(void *arg)
{
    source *s = arg;
    static const char piece[10000] = "0123456789";
    while (s->req && s->left) {
        size_t n = FH_MIN(s->left, sizeof piece);
        s->left -= n;
        atomic_fetch_add(&written, n);
        bool more = fh_link_reply_write(s->req, piece, n);
        if (!more && s->left) return;
    }
    if (s->req) fh_link_reply_end(s->req);
    s->req = NULL;
}

static void stream_out(fh_link_req *r, size_t bytes)
{
    for (size_t i = 0; i < FH_COUNT(sources); i++) {
        source *s = &sources[i];
        if (s->req) continue;
        *s = (source){r, bytes};
        fh_link_req_on_gone(r, source_gone, s);
        fh_link_reply_on_drain(r, pump, s);
        fh_link_reply_start(r, 200, "application/octet-stream");
        pump(s);
        return;
    }
    fh_link_reply(r, 503, NULL, NULL, 0);
}

static void parked_gone(void *arg)
{
    world *w = arg;
    w->parked = NULL;
    atomic_fetch_add(&w->reqs_gone, 1);
}

static void answer(world *w, fh_link_req *r)
{
    fh_str path = fh_link_req_path(r), body = fh_link_req_body(r);
    if (fh_str_eqs(path, "/echo")) {
        assert_true(fh_link_reply_header(r, "x-method", "seen"));
        assert_false(fh_link_reply_header(r, "X-Upper", "no"));
        assert_false(fh_link_reply_header(r, "x-line", "a\nb"));
        fh_link_reply(r, 200, "text/plain", body.ptr, body.len);
    } else if (fh_str_starts(path, FH_STR("/stream"))) {
        stream_out(r, 3000000);
    } else if (fh_str_eqs(path, "/header")) {
        fh_str v = fh_link_req_header(r, "x-a");
        fh_link_reply(r, 200, "text/plain", v.ptr, v.len);
    } else if (fh_str_eqs(path, "/cut")) {
        fh_link_reply_start(r, 200, NULL);
        fh_link_reply_write(r, "half", 4);
        fh_link_reply_abort(r);
    } else if (fh_str_eqs(path, "/flood")) {
        static char much[1 << 20];
        fh_link_req_on_gone(r, parked_gone, w);
        fh_link_reply_start(r, 200, NULL);
        for (int i = 0; i < 64; i++) fh_link_reply_write(r, much, sizeof much);
    } else if (fh_str_eqs(path, "/last")) {
        fh_link_reply(r, 200, "text/plain", "last words", 10);
        fh_link_close(fh_link_req_link(r), FH_E_UNAVAILABLE, "it comes again");
        fh_link_dial_now(w->dial);
    } else if (fh_str_eqs(path, "/park")) {
        w->parked = r;
        fh_link_req_on_gone(r, parked_gone, w);
    } else {
        fh_link_reply(r, 404, "text/plain", "no such thing", 13);
    }
}

static uint64_t counted_sum;
static atomic_size_t counted;
static fh_timer *counting_timer;
static fh_link_req *counting;

static bool count_piece(void *arg, const void *data, size_t bytes)
{
    counted_sum = mix(counted_sum, data, bytes);
    atomic_fetch_add(&counted, bytes);
    if (!counting_timer) return true;
    fh_timer_start(counting_timer, FH_NS_PER_MS);
    return false;
}

static void count_on(void *arg)
{
    if (counting) fh_link_req_resume(counting);
}

static void head(world *w, fh_link_req *r)
{
    if (fh_str_eqs(fh_link_req_path(r), "/too-early")) fh_link_reply(r, 403, NULL, NULL, 0);
    if (!fh_str_eqs(fh_link_req_path(r), "/count")) return;
    counting = r;
    fh_link_req_on_data(r, count_piece, NULL);
}

static void answer_or_count(world *w, fh_link_req *r)
{
    char text[32];
    if (!fh_str_eqs(fh_link_req_path(r), "/count")) {
        answer(w, r);
        return;
    }
    counting = NULL;
    int n = snprintf(text, sizeof text, "%zu", atomic_load(&counted));
    fh_link_reply(r, 200, NULL, text, (size_t)n);
}

static void begin_asking(world *w)
{
    *w = (world){.on_request = answer_or_count, .on_head = head, .times = w->times};
    memset(sources, 0, sizeof sources);
    atomic_store(&written, 0);
    atomic_store(&counted, 0);
    counted_sum = 0;
    begin_linked(w, false);
}

/* ---- tests ---- */

static void test_a_request_and_its_reply_come_whole(void **state)
{
    world w = {0};
    const fh_header headers[] = {{FH_STR("content-type"), FH_STR("application/json")}};
    asked a = {.spec = {.method = "POST",
                        .path = "/echo?x=1",
                        .headers = headers,
                        .header_count = 1,
                        .body = FH_STR("hello"),
                        .on_headers = take_headers}};
    begin_asking(&w);
    a.spec.path = "/echo";
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 200);
    assert_int_equal(atomic_load(&a.code), 0);
    assert_string_equal(a.body, "hello");
    assert_string_equal(a.kind, "text/plain");
    asked b = {.spec = {.method = "GET", .path = "/nothing"}};
    ask_and_wait(&w, &b);
    assert_int_equal(atomic_load(&b.status), 404);
    assert_string_equal(b.body, "no such thing");
    asked c = {.spec = {.method = "HEAD", .path = "/echo", .body = FH_STR("x")}};
    ask_and_wait(&w, &c);
    assert_int_equal(atomic_load(&c.status), 200);
    assert_string_equal(c.body, "");
    finish(&w);
}

static void test_a_large_body_and_a_large_reply_pass_whole(void **state)
{
    static char large[4000000];
    world w = {0};
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)('a' + i % 23);
    begin_asking(&w);
    asked a = {.spec = {.method = "POST", .path = "/echo", .body = {large, sizeof large}}};
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 200);
    assert_int_equal(atomic_load(&a.bytes), sizeof large);
    finish(&w);
}

static void test_what_is_no_http_is_not_sent(void **state)
{
    world w = {0};
    static char long_value[20000];
    memset(long_value, 'x', sizeof long_value);
    const fh_header upper[] = {{FH_STR("X-Upper"), FH_STR("1")}}, line[] = {{FH_STR("x"), FH_STR("a\r\nb")}},
                    large[] = {{FH_STR("x"), {long_value, sizeof long_value}}};
    fh_header many[FH_LIMIT_LINK_HEADERS + 10];
    for (size_t i = 0; i < FH_COUNT(many); i++) many[i] = (fh_header){FH_STR("x"), FH_STR("1")};
    asked bad[] = {
        {.spec = {.method = "GET", .path = "nothing"}},
        {.spec = {.method = "GET", .path = ""}},
        {.spec = {.method = "GET", .path = "/a b"}},
        {.spec = {.method = "G T", .path = "/"}},
        {.spec = {.method = "", .path = "/"}},
        {.spec = {.method = "CONNECT", .path = "/"}},
        {.spec = {.method = "GET", .path = "/", .headers = upper, .header_count = 1}},
        {.spec = {.method = "GET", .path = "/", .headers = line, .header_count = 1}},
        {.spec = {.method = "GET", .path = "/", .headers = many, .header_count = FH_COUNT(many)}},
        {.spec = {.method = "GET", .path = "/", .headers = large, .header_count = 1}},
    };
    begin_asking(&w);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        on_loop(&w, start_it, &bad[i]);
        assert_int_equal(bad[i].start_code, i == FH_COUNT(bad) - 1 ? FH_E_TOO_LARGE : FH_E_INVALID);
    }
    assert_int_equal(atomic_load(&w.requests), 0);
    finish(&w);
}

static void test_headers_of_a_request_are_seen(void **state)
{
    world w = {0};
    const fh_header headers[] = {{FH_STR("x-a"), FH_STR("value of a")}};
    asked a = {.spec = {.method = "GET", .path = "/header", .headers = headers, .header_count = 1}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_string_equal(a.body, "value of a");
    finish(&w);
}

static void test_a_streamed_reply_that_is_held_back_holds_its_source_back(void **state)
{
    world w = {0};
    asked a = {.w = &w, .pause = true, .spec = {.method = "GET", .path = "/stream", .on_data = take_data, .on_headers = take_headers}};
    begin_asking(&w);
    on_loop(&w, start_it, &a);
    assert_int_equal(a.start_code, 0);
    reach(&a.headers, 1);
    fh_sleep_ns(300 * FH_NS_PER_MS); /* nobody resumes */
    size_t held = atomic_load(&written);
    assert_true(held < (size_t)3 * FH_LIMIT_LINK_STREAM_BYTES + 20000);
    assert_int_equal(atomic_load(&a.done), 0);
    on_loop(&w, make_timer, &a);
    fh_loop_post(w.loop, resume_it, &a);
    reach(&a.done, 1);
    assert_int_equal(atomic_load(&a.status), 200);
    assert_int_equal(atomic_load(&a.bytes), 3000000);
    on_loop(&w, free_timer, &a);
    finish(&w);
}

static void test_many_streams_at_once_come_whole(void **state)
{
    enum { MANY = 60 };
    static asked a[MANY];
    world w = {0};
    begin_asking(&w);
    for (int i = 0; i < MANY; i++) {
        a[i] = (asked){.spec = {.method = "GET", .path = "/stream", .on_data = take_data}};
        on_loop(&w, start_it, &a[i]);
        assert_int_equal(a[i].start_code, 0);
    }
    for (int i = 0; i < MANY; i++) {
        reach(&a[i].done, 1);
        assert_int_equal(atomic_load(&a[i].bytes), 3000000);
        assert_int_equal(a[i].sum, a[0].sum);
    }
    finish(&w);
}

static ssize_t make_body(void *arg, void *out, size_t size)
{
    asked *a = arg;
    size_t n = FH_MIN(size, a->made_max - atomic_load(&a->made));
    if (a->made_later) {
        a->made_later = false;
        return FH_LINK_READ_LATER;
    }
    memset(out, 'm', n);
    atomic_fetch_add(&a->made, n);
    return (ssize_t)n;
}

static void resume_body(void *arg)
{
    asked *a = arg;
    fh_link_ask_resume_body(a->ask);
}

static void make_counting_timer(world *w, void *arg)
{
    assert_int_equal(fh_timer_new(&counting_timer, w->loop, count_on, NULL, NULL), 0);
}

static void free_counting_timer(world *w, void *arg)
{
    fh_timer_free(counting_timer);
    counting_timer = NULL;
}

static void test_a_body_is_made_as_the_other_end_takes_it(void **state)
{
    world w = {0};
    asked a = {.made_max = 20000000, .made_later = true, .spec = {.method = "PUT", .path = "/count", .read = make_body}};
    begin_asking(&w);
    on_loop(&w, start_it, &a);
    fh_sleep_ns(50 * FH_NS_PER_MS);
    assert_int_equal(atomic_load(&a.made), 0);
    fh_loop_post(w.loop, resume_body, &a);
    reach(&a.done, 1);
    assert_int_equal(atomic_load(&a.status), 200);
    assert_string_equal(a.body, "20000000");
    finish(&w);
}

static void test_who_takes_a_body_slowly_holds_its_source_back(void **state)
{
    world w = {0};
    asked a = {.made_max = 20000000, .spec = {.method = "PUT", .path = "/count", .read = make_body}};
    begin_asking(&w);
    on_loop(&w, make_counting_timer, NULL);
    on_loop(&w, start_it, &a);
    for (int i = 0; i < 200 && atomic_load(&a.done) == 0; i++) {
        size_t made = atomic_load(&a.made), taken = atomic_load(&counted);
        assert_true(made < taken + 2 * (size_t)FH_LIMIT_LINK_STREAM_MOST_BYTES);
        fh_sleep_ns(FH_NS_PER_MS);
    }
    reach(&a.done, 1);
    assert_string_equal(a.body, "20000000");
    on_loop(&w, free_counting_timer, NULL);
    finish(&w);
}

static ssize_t fail_body(void *arg, void *out, size_t size)
{
    return FH_LINK_READ_FAILED;
}

static void test_a_body_that_cannot_be_read_ends_its_ask(void **state)
{
    world w = {0};
    asked a = {.spec = {.method = "PUT", .path = "/park", .read = fail_body}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 0);
    assert_int_equal(atomic_load(&a.code), FH_E_CANCELLED);
    finish(&w);
}

static void test_a_reply_before_the_end_of_the_body_stops_the_body(void **state)
{
    world w = {0};
    asked a = {.made_max = SIZE_MAX / 2, .spec = {.method = "PUT", .path = "/too-early", .read = make_body}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 403);
    asked b = {.spec = {.method = "POST", .path = "/echo", .body = FH_STR("x")}};
    ask_and_wait(&w, &b);
    assert_int_equal(atomic_load(&b.status), 200);
    finish(&w);
}

static void test_bodies_and_replies_beyond_their_bounds_are_refused(void **state)
{
    world w = {0};
    asked a = {.made_max = (size_t)FH_LIMIT_LINK_BODY_BYTES + 1, .spec = {.method = "PUT", .path = "/echo", .read = make_body}};
    asked b = {.spec = {.method = "GET", .path = "/stream", .max_reply_bytes = 100000}};
    asked c = {.spec = {.method = "GET", .path = "/flood", .on_data = take_data}, .pause = true};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 413);
    ask_and_wait(&w, &b);
    assert_int_equal(atomic_load(&b.status), 0);
    assert_int_equal(atomic_load(&b.code), FH_E_TOO_LARGE);
    on_loop(&w, start_it, &c);
    reach(&w.reqs_gone, 1);
    fh_loop_post(w.loop, resume_it, &c);
    for (int i = 0; i < 1000 && !atomic_load(&c.done); i++) {
        fh_loop_post(w.loop, resume_it, &c);
        fh_sleep_ns(FH_NS_PER_MS);
    }
    reach(&c.done, 1);
    assert_int_equal(atomic_load(&c.code), FH_E_UPSTREAM);
    finish(&w);
}

static void test_a_reply_that_is_cut_is_an_error(void **state)
{
    world w = {0};
    asked a = {.spec = {.method = "GET", .path = "/cut"}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 0);
    assert_int_equal(atomic_load(&a.code), FH_E_UPSTREAM);
    finish(&w);
}

static void test_an_ask_ends_when_nothing_moves_and_when_it_takes_too_long(void **state)
{
    world w = {0};
    asked a = {.spec = {.method = "GET", .path = "/park", .idle_timeout_ns = 50 * FH_NS_PER_MS}};
    asked b = {.spec = {.method = "GET", .path = "/park", .total_timeout_ns = 50 * FH_NS_PER_MS}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.code), FH_E_TIMEOUT);
    reach(&w.reqs_gone, 1); /* the other end is told */
    ask_and_wait(&w, &b);
    assert_int_equal(atomic_load(&b.code), FH_E_TIMEOUT);
    finish(&w);
}

static void cancel_it(world *w, void *arg)
{
    asked *a = arg;
    fh_link_ask_cancel(a->ask);
}

static void start_and_cancel(world *w, void *arg)
{
    start_it(w, arg);
    cancel_it(w, arg);
}

static void test_an_ask_can_be_cancelled_at_any_time(void **state)
{
    world w = {0};
    asked at_once = {.spec = {.method = "GET", .path = "/park"}}, later = at_once,
          inside = {.cancel_in_data = true, .spec = {.method = "GET", .path = "/stream", .on_data = take_data}};
    begin_asking(&w);
    on_loop(&w, start_and_cancel, &at_once);
    on_loop(&w, start_it, &later);
    reach(&w.requests, 1);
    on_loop(&w, cancel_it, &later);
    reach(&w.reqs_gone, 1);
    on_loop(&w, start_it, &inside);
    reach(&inside.done, 100);
    asked after = {.spec = {.method = "POST", .path = "/echo", .body = FH_STR("x")}};
    ask_and_wait(&w, &after);
    assert_int_equal(atomic_load(&after.status), 200);
    assert_int_equal(atomic_load(&at_once.done), 0);
    assert_int_equal(atomic_load(&later.done), 0);
    no_streams(&w);
    finish(&w);
}

static void test_asks_of_a_link_that_is_lost_end_and_the_other_end_is_told(void **state)
{
    world w = {.times = {.ping_ns = 50 * FH_NS_PER_MS, .silence_ns = 400 * FH_NS_PER_MS}};
    asked a = {.spec = {.method = "GET", .path = "/park"}}, b = a;
    w.on_request = answer_or_count;
    begin_linked(&w, true);
    on_loop(&w, start_it, &a);
    reach(&w.requests, 1);
    atomic_store(&w.wire.cut, true);
    reach(&a.done, 1);
    assert_int_equal(atomic_load(&a.code), FH_E_UNAVAILABLE);
    reach(&w.reqs_gone, 1);
    reach(&w.ups, 2);
    on_loop(&w, start_it, &b);
    reach(&w.requests, 2);
    atomic_store(&w.wire.frozen, true);
    reach(&b.done, 1);
    assert_int_equal(atomic_load(&b.code), FH_E_UNAVAILABLE);
    atomic_store(&w.wire.frozen, false);
    reach(&w.reqs_gone, 2);
    finish(&w);
}

/* The pause would be longer than the test has patience: whoever closes to come again at once does not make it. */
static void test_a_reply_before_the_other_end_closes_the_link_is_heard_and_it_comes_again_at_once(void **state)
{
    world w = {.times = {.backoff_min_ns = 1000 * FH_NS_PER_S, .backoff_max_ns = 1000 * FH_NS_PER_S}};
    asked a = {.spec = {.method = "GET", .path = "/last"}};
    begin_asking(&w);
    ask_and_wait(&w, &a);
    assert_int_equal(atomic_load(&a.status), 200);
    assert_string_equal(a.body, "last words");
    reach(&w.ups, 2);
    finish(&w);
}

static void close_and_ask(world *w, void *arg)
{
    fh_link_close(atomic_load(&w->link), FH_E_UNAVAILABLE, "bye");
    start_it(w, arg);
}

static void test_a_link_that_ends_and_one_that_is_full_take_no_ask(void **state)
{
    static asked many[FH_LIMIT_LINK_STREAMS + 1];
    world w = {0};
    begin_asking(&w);
    for (size_t i = 0; i < FH_COUNT(many); i++) {
        many[i] = (asked){.spec = {.method = "GET", .path = "/park"}};
        on_loop(&w, start_it, &many[i]);
        assert_int_equal(many[i].start_code, i < FH_LIMIT_LINK_STREAMS ? 0 : FH_E_BUSY);
    }
    reach(&w.requests, FH_LIMIT_LINK_STREAMS);
    asked a = {.spec = {.method = "GET", .path = "/park"}};
    on_loop(&w, close_and_ask, &a);
    assert_int_equal(a.start_code, FH_E_UNAVAILABLE);
    for (size_t i = 0; i < FH_LIMIT_LINK_STREAMS; i++) {
        reach(&many[i].done, 1);
        assert_int_equal(atomic_load(&many[i].code), FH_E_UNAVAILABLE);
    }
    finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_and_its_reply_come_whole),
        cmocka_unit_test(test_a_large_body_and_a_large_reply_pass_whole),
        cmocka_unit_test(test_what_is_no_http_is_not_sent),
        cmocka_unit_test(test_headers_of_a_request_are_seen),
        cmocka_unit_test(test_a_streamed_reply_that_is_held_back_holds_its_source_back),
        cmocka_unit_test(test_many_streams_at_once_come_whole),
        cmocka_unit_test(test_a_body_is_made_as_the_other_end_takes_it),
        cmocka_unit_test(test_who_takes_a_body_slowly_holds_its_source_back),
        cmocka_unit_test(test_a_body_that_cannot_be_read_ends_its_ask),
        cmocka_unit_test(test_a_reply_before_the_end_of_the_body_stops_the_body),
        cmocka_unit_test(test_bodies_and_replies_beyond_their_bounds_are_refused),
        cmocka_unit_test(test_a_reply_that_is_cut_is_an_error),
        cmocka_unit_test(test_an_ask_ends_when_nothing_moves_and_when_it_takes_too_long),
        cmocka_unit_test(test_an_ask_can_be_cancelled_at_any_time),
        cmocka_unit_test(test_asks_of_a_link_that_is_lost_end_and_the_other_end_is_told),
        cmocka_unit_test(test_a_reply_before_the_other_end_closes_the_link_is_heard_and_it_comes_again_at_once),
        cmocka_unit_test(test_a_link_that_ends_and_one_that_is_full_take_no_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
