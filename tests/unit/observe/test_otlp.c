/* Spans for a collector: what they say, and that nobody waits for it. The collector is an HTTP server on the same loop. */
#include "cmocka_all.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/http_server.h"
#include "observe/otlp.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct world {
    fh_loop *loop;
    fh_http_server *collector;
    fh_timer *deadline;
    fh_otlp *otlp;
    char url[64], path[64], auth[64], type[64];
    int plan[4]; /* statuses of the replies, in order; 0: 200 */
    unsigned asked, wanted;
    fh_buf body; /* of the last request */
} world;

static void take(char out[64], fh_str s)
{
    snprintf(out, 64, "%.*s", (int)s.len, s.ptr ? s.ptr : "");
}

static void stop(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static void collect(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    int status = w->plan[w->asked] ? w->plan[w->asked] : 200;
    take(w->path, fh_http_req_path(req));
    take(w->auth, fh_http_req_header(req, "authorization"));
    take(w->type, fh_http_req_header(req, "content-type"));
    fh_buf_clear(&w->body);
    fh_buf_add(&w->body, fh_http_req_body(req).ptr, fh_http_req_body(req).len);
    fh_http_reply(req, status, "application/json", "{}", 2);
    if (++w->asked >= w->wanted) fh_timer_start(w->deadline, 100 * FH_NS_PER_MS); /* the reply reaches who asked */
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->collector, w->loop, collect, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->collector, "127.0.0.1:0", false, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, stop, w, NULL), 0);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/", fh_http_server_port(w->collector));
    w->body = FH_BUF(64 << 20);
    fh_otlp_config c = {.loop = w->loop, .url = w->url, .key = "the-key", .instance = "i"};
    assert_int_equal(fh_otlp_open(&w->otlp, &c, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_server_free(w->collector);
    fh_timer_free(w->deadline);
    fh_otlp_close(w->otlp);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
    free(w);
    return 0;
}

static void run_until(world *w, unsigned wanted)
{
    w->wanted = wanted;
    fh_timer_start(w->deadline, 30 * FH_NS_PER_S);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_int_equal(w->asked, wanted);
}

static const fh_attempt attempts[] = {
    {.deployment = "a", .place = "here", .span = {1}, .began_ns = 1100, .ended_ns = 1500, .sent_tok = 3, .code = FH_E_UPSTREAM},
    {.deployment = "b", .place = "here", .span = {2}, .began_ns = 1600, .ended_ns = 2900, .from_tok = 3, .sent_tok = 9, .status = 200},
};

static fh_record record(void)
{
    return (fh_record){.request_id = "req_1",
                       .key_id = "abcdefgh",
                       .client = "10.0.0.7",
                       .method = FH_STR("POST"),
                       .path = FH_STR("/v1/messages"),
                       .status = 200,
                       .began_ns = 1000,
                       .ended_ns = 3000,
                       .ended_utc_ns = 1790000000000003000,
                       .operation = "chat",
                       .model = "m",
                       .provider = "freehold",
                       .key_class = "normal",
                       .cache = "off",
                       .finish = "stop",
                       .prompt_tok = 4,
                       .completion_tok = 9,
                       .trace = {.id = {0xab}, .parent = {0xee}, .flags = FH_TRACE_SAMPLED},
                       .span = {0xcd},
                       .attempt_count = 2,
                       .attempts = attempts};
}

static void a_record_is_a_span_and_one_below_it_for_each_attempt(void **state)
{
    (void)state;
    fh_record r = record();
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    static const char *const parts[] = {
        ("{\"traceId\":\"ab000000000000000000000000000000\",\"spanId\":\"cd00000000000000\",\"parentSpanId\":\"ee00000000000000\",\"name\":"
         "\"chat m\","
         "\"kind\":2,\"startTimeUnixNano\":\"1790000000000001000\",\"endTimeUnixNano\":\"1790000000000003000\",\"attributes\":[{\"key\":"
         "\"gen_ai.operation.name\",\"value\":{\"stringValue\":\"chat\"}},"),
        "{\"key\":\"gen_ai.usage.output_tokens\",\"value\":{\"intValue\":\"9\"}}",
        "{\"key\":\"gen_ai.response.finish_reasons\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"stop\"}]}}}",
        "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"200\"}}",
        ("\"spanId\":\"0100000000000000\",\"parentSpanId\":\"cd00000000000000\",\"name\":\"chat m\",\"kind\":3,\"startTimeUnixNano\":"
         "\"1790000000000001100\",\"endTimeUnixNano\":\"1790000000000001500\""),
        "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"upstream\"}}],\"status\":{\"code\":2}},{",
        "\"spanId\":\"0200000000000000\",\"parentSpanId\":\"cd00000000000000\"",
    };
    assert_int_equal(fh_otlp_spans(&r, &out), 3);
    for (size_t i = 0; i < FH_COUNT(parts); i++)
        if (!strstr(fh_buf_cstr(&out), parts[i])) fail_msg("'%s' is not in %s", parts[i], fh_buf_cstr(&out));
}

static void a_trace_that_begins_here_has_no_parent(void **state)
{
    (void)state;
    fh_record r = record();
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    memset(r.trace.parent, 0, sizeof r.trace.parent);
    r.attempt_count = 0;
    assert_int_equal(fh_otlp_spans(&r, &out), 1);
    assert_null(strstr(fh_buf_cstr(&out), "parentSpanId"));
}

static void what_came_within_a_second_is_one_batch(void **state)
{
    world *w = *state;
    fh_record r = record();
    fh_otlp_counts c;
    fh_otlp_add(w->otlp, &r);
    fh_otlp_add(w->otlp, &r);
    run_until(w, 1);
    assert_string_equal(w->path, "/v1/traces");
    assert_string_equal(w->auth, "Bearer the-key");
    assert_string_equal(w->type, "application/json");
    assert_true(fh_str_starts(fh_str_of(fh_buf_cstr(&w->body)),
                              FH_STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\"")));
    fh_otlp_counts_get(w->otlp, &c);
    assert_int_equal(c.sent, 6);
    assert_int_equal(c.dropped, 0);
}

static void a_trace_that_is_not_sampled_is_not_sent(void **state)
{
    world *w = *state;
    fh_record r = record();
    r.trace.flags = 0;
    fh_otlp_add(w->otlp, &r);
    r = record();
    r.operation = NULL; /* no request for a model */
    fh_otlp_add(w->otlp, &r);
    r = record();
    r.attempt_count = 0;
    fh_otlp_add(w->otlp, &r);
    run_until(w, 1);
    fh_otlp_counts c;
    fh_otlp_counts_get(w->otlp, &c);
    assert_int_equal(c.sent, 1);
}

static void a_busy_collector_is_asked_again(void **state)
{
    world *w = *state;
    fh_record r = record();
    fh_otlp_counts c;
    w->plan[0] = 503;
    fh_otlp_add(w->otlp, &r);
    run_until(w, 2);
    fh_otlp_counts_get(w->otlp, &c);
    assert_int_equal(c.sent, 3);
    assert_int_equal(c.dropped, 0);
}

static void what_a_collector_refuses_is_dropped_and_counted(void **state)
{
    world *w = *state;
    fh_record r = record();
    fh_otlp_counts c;
    w->plan[0] = 400;
    fh_otlp_add(w->otlp, &r);
    run_until(w, 1);
    fh_otlp_counts_get(w->otlp, &c);
    assert_int_equal(c.sent, 0);
    assert_int_equal(c.dropped, 3);
}

static void the_queue_has_an_end(void **state)
{
    world *w = *state;
    fh_record r = record();
    fh_otlp_counts c;
    for (size_t i = 0; i < FH_LIMIT_OTLP_BYTES / 1000; i++) fh_otlp_add(w->otlp, &r);
    fh_otlp_counts_get(w->otlp, &c);
    assert_true(c.dropped > 0);
    run_until(w, 1);
    assert_in_range(w->body.len, FH_LIMIT_OTLP_BYTES / 2, FH_LIMIT_OTLP_BYTES + 2048);
}

static void an_address_that_will_not_do_is_an_error(void **state)
{
    world *w = *state;
    static const char *const bad[] = {"",         "collector:4318", "ftp://a",       "http://",
                                      "https://", "http://a?b",     "http://user@a", "http://192.0.2.1:4318"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_otlp *o = NULL;
        fh_otlp_config c = {.loop = w->loop, .url = bad[i], .key = "k", .instance = ""};
        if (fh_otlp_open(&o, &c, NULL) != FH_E_USAGE) fail_msg("'%s' was taken", bad[i]);
        assert_null(o);
    }
}

/* Nobody is at the address: what waits is lost at the end, and all is given back. */
static int whole_life(void *arg)
{
    fh_otlp *o = NULL;
    fh_record r = record();
    fh_otlp_config c = {.loop = arg, .url = "http://127.0.0.1:1", .key = "k", .instance = "i"};
    int rc = fh_otlp_open(&o, &c, NULL);
    if (rc) return rc;
    fh_otlp_add(o, &r);
    fh_otlp_close(o);
    return 0;
}

static void an_exporter_survives_what_fails(void **state)
{
    world *w = *state;
    assert_true(fh_torture(FH_FAULT_ALLOC, whole_life, w->loop, 500) > 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_a_span_and_one_below_it_for_each_attempt),
        TEST(a_trace_that_begins_here_has_no_parent),
        TEST(what_came_within_a_second_is_one_batch),
        TEST(a_trace_that_is_not_sampled_is_not_sent),
        TEST(a_busy_collector_is_asked_again),
        TEST(what_a_collector_refuses_is_dropped_and_counted),
        TEST(the_queue_has_an_end),
        TEST(an_exporter_survives_what_fails),
        TEST(an_address_that_will_not_do_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
