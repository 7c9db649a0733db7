/* Embeddings through the gateway: to whom they go and as what, what is counted, what is refused before anybody is asked. The upstream is
 * our own HTTP server, which does as it is told. */
#include "cmocka_all.h"
#include "gateway/gateway.h"
#include "net/http_client.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char vectors[] = "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[1.0]}],\"model\":\"up\","
                              "\"usage\":{\"prompt_tokens\":41}}";

enum { LARGE_BYTES = 16 << 20 }; /* more than sockets hold */

typedef struct world {
    fh_loop *loop;
    fh_http_server *upstream, *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *deadline;
    char folder[64], socket[100];
    unsigned asked, deaths; /* deaths: so many requests die before they are answered */
    fh_buf asked_for;       /* path and body of the last one */
    fh_str answer;
    fh_candidate candidate;
    const char *upstream_model;
    fh_limit_set limits;
    int status;
    fh_buf body;
    char left[16], reason[128], retry_after[16];
} world;

static void upstream_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_str path = fh_http_req_path(req), body = fh_http_req_body(req);
    fh_buf_clear(&w->asked_for);
    fh_buf_add(&w->asked_for, path.ptr, path.len);
    fh_buf_addc(&w->asked_for, ' ');
    fh_buf_add(&w->asked_for, body.ptr, body.len);
    if (w->asked++ < w->deaths)
        fh_http_reply_abort(req);
    else
        fh_http_reply(req, 200, "application/json", w->answer.ptr, w->answer.len);
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    assert_true(fh_str_eqs(model, "m"));
    if (pick(arg, &w->candidate, 1) > 0) return fh_err_set(err, FH_E_UNAVAILABLE, "none will do");
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .reason = "asked for",
                      .base_url = "http://localhost",
                      .dialect = w->candidate.dialect};
    ret->instance = w->candidate.instance++; /* replaced when it breaks */
    snprintf(ret->upstream_model, sizeof ret->upstream_model, "%s", w->upstream_model);
    snprintf(ret->unix_path, sizeof ret->unix_path, "%s", w->socket);
    return 0;
}

static void report(void *ctx, const char *deployment, int code)
{
    (void)ctx, (void)deployment, (void)code;
}

static size_t list(void *ctx, fh_route_model *ret, size_t max)
{
    (void)ctx, (void)ret, (void)max;
    return 0;
}

static void door_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_key key = {.id = "aaaaaaaa", .scopes = FH_SCOPES_USE, .limits = w->limits};
    fh_gateway_handle(w->gateway, req, &key);
}

static void stop(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static int open_world(void **state, size_t replies_bytes)
{
    world *w = calloc(1, sizeof *w);
    char address[128];
    strcpy(w->folder, "/tmp/fh-embed-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->upstream, w->loop, upstream_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->upstream, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {.loops = &w->loop,
                           .loop_count = 1,
                           .routes = {.ctx = w, .choose = choose, .report = report, .list = list},
                           .replies_bytes = replies_bytes};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, stop, w, NULL), 0);
    w->answer = fh_str_of(vectors);
    w->body = FH_BUF(LARGE_BYTES);
    w->asked_for = FH_BUF(1 << 20);
    w->upstream_model = "";
    w->candidate = (fh_candidate){.deployment = "d", .model = "m", .place = "here", .dialect = FH_DIALECT_CHAT};
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return open_world(state, 0);
}

/* One large reply fits, two do not. */
static int setup_with_little_room(void **state)
{
    return open_world(state, 3 * (size_t)LARGE_BYTES / 2);
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    fh_http_server_free(w->upstream);
    fh_timer_free(w->deadline);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
    fh_buf_fini(&w->asked_for);
    rmdir(w->folder);
    free(w);
    return 0;
}

static void keep(char *out, size_t size, const fh_header *h, size_t count, const char *name)
{
    fh_str v = fh_headers_find(h, count, name);
    snprintf(out, size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    world *w = arg;
    w->status = status;
    keep(w->left, sizeof w->left, h, count, "x-ratelimit-remaining-tokens");
    keep(w->reason, sizeof w->reason, h, count, "x-freehold-reason");
    keep(w->retry_after, sizeof w->retry_after, h, count, "retry-after");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    (void)status;
    assert_null(err);
    stop(arg);
}

static void ask(world *w, const char *body)
{
    char url[128];
    fh_http_call *call = NULL;
    const fh_header type = {FH_STR("Content-Type"), FH_STR("application/json")};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/embeddings", fh_http_server_port(w->door));
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = &type,
                              .header_count = 1,
                              .body = fh_str_of(body),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    w->status = 0;
    fh_buf_clear(&w->body);
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    fh_timer_start(w->deadline, 20000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
}

#define BODY " { \"input\" : [\"a\",[1,2]],\"unknown\":1.50, \"model\":\"m\"}"

static void the_body_passes_as_it_came(void **state)
{
    world *w = *state;
    ask(w, BODY);
    assert_int_equal(w->status, 200);
    assert_string_equal(fh_buf_cstr(&w->asked_for), "/v1/embeddings " BODY);
    assert_string_equal(fh_buf_cstr(&w->body), vectors);
    assert_string_equal(w->reason, "asked for; the only one that can");
}

static void only_the_models_name_is_changed_for_a_hosted_endpoint(void **state)
{
    world *w = *state;
    w->upstream_model = "up\"";
    ask(w, BODY);
    assert_int_equal(w->status, 200);
    assert_string_equal(fh_buf_cstr(&w->asked_for), "/v1/embeddings {\"input\" : [\"a\",[1,2]],\"unknown\":1.50,\"model\":\"up\\\"\"}");
}

static void an_endpoint_of_the_messages_api_has_no_embeddings(void **state)
{
    world *w = *state;
    w->candidate.dialect = FH_DIALECT_MESSAGES;
    ask(w, BODY);
    assert_int_equal(w->status, 400);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "no embeddings"));
}

static void nothing_goes_beyond_the_trust_of_the_request(void **state)
{
    world *w = *state;
    w->candidate.trust = FH_TRUST_NAMED;
    ask(w, BODY);
    assert_int_equal(w->status, 403);
    assert_int_equal(w->asked, 0);
}

static void another_replica_is_asked_when_one_dies(void **state)
{
    world *w = *state;
    w->deaths = 1;
    ask(w, BODY);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->asked, 2);
}

static void a_wrong_request_never_reaches_an_upstream(void **state)
{
    world *w = *state;
    ask(w, "{\"model\":\"m\",\"input\":[\"a\",\"\"]}");
    assert_int_equal(w->status, 400);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "\"param\":\"input[1]\""));
}

static void tokens_are_counted_by_what_the_upstream_says(void **state)
{
    world *w = *state;
    FH_AUTO(buf) fh_buf metrics = FH_BUF(1 << 20);
    w->limits.tok_per_min = 1000;
    ask(w, BODY);
    ask(w, BODY);
    int left = atoi(w->left), guess = (int)strlen(BODY) / 4;
    if (left < 1000 - 41 - guess || left > 1000 - 41 - guess + 2) fail_msg("%d are left", left); /* a little comes back meanwhile */
    fh_gateway_metrics(w->gateway, &metrics);
    assert_non_null(strstr(fh_buf_cstr(&metrics), "freehold_gateway_prompt_tokens_total 82\n"));
    const char *row = strstr(fh_buf_cstr(&metrics), "freehold_gateway_requests_total{gen_ai_operation_name=\"embeddings\",");
    assert_non_null(row);
    assert_int_equal(atoi(strchr(row, '}') + 1), 2);
}

/* ---- replies that are too large together ---- */

static size_t held_bytes(const world *w)
{
    FH_AUTO(buf) fh_buf metrics = FH_BUF(1 << 20);
    fh_gateway_metrics(w->gateway, &metrics);
    const char *row = strstr(fh_buf_cstr(&metrics), "\nfreehold_gateway_reply_bytes ");
    assert_non_null(row);
    return strtoull(strchr(row, ' ') + 1, NULL, 10);
}

typedef struct waiting {
    world *world;
    size_t least, most;
    fh_timer *timer;
} waiting;

static void look(void *arg)
{
    waiting *s = arg;
    size_t bytes = held_bytes(s->world);
    if (bytes >= s->least && bytes <= s->most)
        stop(s->world);
    else
        fh_timer_start(s->timer, 1000000);
}

static void run_until_held(world *w, size_t least, size_t most)
{
    waiting s = {.world = w, .least = least, .most = most};
    assert_int_equal(fh_timer_new(&s.timer, w->loop, look, &s, NULL), 0);
    fh_timer_start(s.timer, 1000000);
    fh_timer_start(w->deadline, 60000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    fh_timer_free(s.timer);
    assert_in_range(held_bytes(w), least, most);
}

/* A client that asks and reads nothing. */
static int ask_and_look_away(const world *w)
{
    char text[512];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    to.sin_port = htons((uint16_t)fh_http_server_port(w->door));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int n = snprintf(text, sizeof text,
                     "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(BODY), BODY);
    assert_int_equal(write(fd, text, (size_t)n), n);
    return fd;
}

static char *large_answer(size_t bytes)
{
    char *text = malloc(bytes);
    memset(text, ' ', bytes);
    memcpy(text, vectors, strlen(vectors));
    return text;
}

static void a_reply_that_does_not_fit_beside_others_is_refused(void **state)
{
    world *w = *state;
    size_t bytes = LARGE_BYTES - 1000;
    char *large = large_answer(bytes);
    w->answer = (fh_str){large, bytes};
    int reader = ask_and_look_away(w);
    run_until_held(w, bytes, bytes);
    ask(w, BODY);
    assert_int_equal(w->status, 429);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "too large together"));
    assert_string_equal(w->retry_after, "2");
    assert_int_equal(w->asked, 2); /* no other replica is asked: it did nothing wrong */
    assert_int_equal(held_bytes(w), bytes);
    w->answer = fh_str_of(vectors);
    ask(w, BODY);
    assert_int_equal(w->status, 200); /* small ones fit */
    close(reader);
    run_until_held(w, 0, 0);
    w->answer = (fh_str){large, bytes};
    ask(w, BODY);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->body.len, bytes);
    run_until_held(w, 0, 0);
    free(large);
}

static void a_reply_that_never_fits_is_refused_and_leaves_nothing(void **state)
{
    world *w = *state;
    size_t bytes = 2 * (size_t)LARGE_BYTES;
    char *large = large_answer(bytes);
    w->answer = (fh_str){large, bytes};
    ask(w, BODY);
    assert_int_equal(w->status, 429);
    assert_int_equal(w->asked, 1);
    assert_int_equal(held_bytes(w), 0);
    free(large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_body_passes_as_it_came),
        TEST(only_the_models_name_is_changed_for_a_hosted_endpoint),
        TEST(an_endpoint_of_the_messages_api_has_no_embeddings),
        TEST(nothing_goes_beyond_the_trust_of_the_request),
        TEST(another_replica_is_asked_when_one_dies),
        TEST(a_wrong_request_never_reaches_an_upstream),
        TEST(tokens_are_counted_by_what_the_upstream_says),
        cmocka_unit_test_setup_teardown(a_reply_that_does_not_fit_beside_others_is_refused, setup_with_little_room, teardown),
        cmocka_unit_test_setup_teardown(a_reply_that_never_fits_is_refused_and_leaves_nothing, setup_with_little_room, teardown),
    };
    return cmocka_run_group_tests_name("gateway/embed", tests, NULL, NULL);
}
