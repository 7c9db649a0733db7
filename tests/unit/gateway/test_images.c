/* Images that requests name by URL: fetched from a server with TLS, for an engine that remembers what it got. Server, engine and gateway
 * are on one loop. */
#include "base/limits.h"
#include "base/mem.h"
#include "cmocka_all.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "tls_files.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PNG      "\x89PNG\r\n\x1a\nx"
#define PNG64    "iVBORw0KGgp4"
#define JPEG     "\xff\xd8\xff\xe0more"
#define JPEG64   "/9j/4G1vcmU="
#define DATA_PNG "data:image/png;base64," PNG64

typedef struct world {
    fh_loop *loop;
    fh_http_server *engine, *images, *door;
    fh_outside *outside;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *timer;
    tls_files files;
    char socket[100], base[64]; /* "https://localhost:PORT" */
    fh_wire_dialect dialect;    /* of the engine */
    uint32_t can;
    unsigned engine_dies; /* so many times before it answers */
    int64_t instance;
    bool die_for_good; /* replicas that broke come back as others otherwise */
    unsigned asked, fetched, at_once, most_at_once, waiting_gone;
    struct slow *house;
    fh_buf heard; /* the last request's body */
    /* what the client got */
    int status;
    fh_buf body;
} world;

/* ---- the server of images ---- */

typedef struct slow {
    struct slow *next; /* of the full house that waits */
    world *w;
    fh_http_req *req;
    fh_timer *timer;
} slow;

static void slow_over(slow *s)
{
    s->w->at_once--;
    fh_timer_free(s->timer);
    free(s);
}

static void slow_replies(void *arg)
{
    slow *s = arg;
    fh_http_reply(s->req, 200, "image/png", PNG, sizeof PNG - 1);
    slow_over(s);
}

static void slow_gone(void *arg)
{
    slow *s = arg;
    s->w->waiting_gone++;
    slow_over(s);
}

static slow *reply_slowly(world *w, fh_http_req *req, int64_t after_ns)
{
    slow *s = calloc(1, sizeof *s);
    *s = (slow){.w = w, .req = req};
    if (++w->at_once > w->most_at_once) w->most_at_once = w->at_once;
    assert_int_equal(fh_timer_new(&s->timer, w->loop, slow_replies, s, NULL), 0);
    fh_http_req_on_gone(req, slow_gone, s);
    fh_timer_start(s->timer, after_ns);
    return s;
}

/* None is answered before as many are there as may be, and a moment later, in which one more would show. */
static void reply_to_a_full_house(world *w, fh_http_req *req)
{
    slow *s = reply_slowly(w, req, 60 * 1000000000LL);
    s->next = w->house;
    w->house = s;
    if (w->at_once < FH_LIMIT_IMAGES_AT_ONCE) return;
    for (; w->house; w->house = w->house->next) fh_timer_start(w->house->timer, 5000000);
}

static void images_handle(fh_http_req *req, void *ctx)
{
    static char large[FH_LIMIT_IMAGE_BYTES] = PNG;
    world *w = ctx;
    fh_str path = fh_http_req_path(req);
    w->fetched++;
    if (fh_str_eqs(path, "/a.png")) {
        fh_http_reply(req, 200, "image/png", PNG, sizeof PNG - 1);
    } else if (fh_str_eqs(path, "/b.jpg")) {
        fh_http_reply(req, 200, "application/octet-stream", JPEG, sizeof JPEG - 1);
    } else if (fh_str_eqs(path, "/page")) {
        fh_http_reply(req, 200, "image/png", "<html>", 6);
    } else if (fh_str_eqs(path, "/inside")) {
        fh_http_reply_header(req, "Location", "https://169.254.169.254/latest/");
        fh_http_reply(req, 302, "text/plain", "", 0);
    } else if (fh_str_eqs(path, "/never")) {
        reply_slowly(w, req, 60 * 1000000000LL);
    } else if (fh_str_starts(path, FH_STR("/slow/"))) {
        reply_to_a_full_house(w, req);
    } else if (fh_str_starts(path, FH_STR("/large/"))) {
        fh_http_reply(req, 200, "image/png", large, sizeof large);
    } else {
        fh_http_reply(req, 404, "text/plain", "no", 2);
    }
}

/* ---- the engine ---- */

static void engine_handles(fh_http_req *req, void *ctx)
{
    static const char chat[] = "{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"seen\"},"
                               "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}";
    static const char messages[] =
        "{\"id\":\"msg_x\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"seen\"}],"
        "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":3}}";
    world *w = ctx;
    w->asked++;
    fh_buf_clear(&w->heard);
    fh_buf_add(&w->heard, fh_http_req_body(req).ptr, fh_http_req_body(req).len);
    const char *says = w->dialect == FH_DIALECT_MESSAGES ? messages : chat;
    if (w->engine_dies && w->engine_dies--)
        fh_http_reply_abort(req);
    else
        fh_http_reply(req, 200, "application/json", says, strlen(says));
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    (void)model;
    fh_candidate one = {.deployment = "d", .model = "m", .place = "here", .instance = w->instance, .can = w->can, .dialect = w->dialect};
    if (pick(arg, &one, 1) > 0) {
        if (!w->die_for_good) w->instance++;
        return fh_err_set(err, FH_E_UNAVAILABLE, "being replaced");
    }
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .base_url = "http://localhost",
                      .instance = w->instance,
                      .can = w->can,
                      .dialect = w->dialect};
    strcpy(ret->unix_path, w->socket);
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
    fh_key key = {.id = "aaaaaaaa", .scopes = FH_SCOPES_USE};
    fh_gateway_handle(w->gateway, req, &key);
}

/* ---- the world ---- */

static size_t resolve(void *ctx, const char *host, fh_address *ret, size_t max)
{
    (void)ctx, (void)max;
    if (strcmp(host, "localhost") != 0) return 0;
    return fh_address_parse(FH_STR("127.0.0.1"), ret);
}

static void stop_loop(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static void start_servers(world *w)
{
    char address[128];
    fh_tls *tls = NULL;
    tls_files_make(&w->files);
    snprintf(w->socket, sizeof w->socket, "%s/s", w->files.folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->engine, w->loop, engine_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->engine, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->images, w->loop, images_handle, w, NULL), 0);
    assert_int_equal(fh_tls_new(&tls, w->files.cert, w->files.key, NULL), 0);
    fh_http_server_tls(w->images, tls);
    assert_int_equal(fh_http_server_listen(w->images, "127.0.0.1:0", false, NULL), 0);
    snprintf(w->base, sizeof w->base, "https://localhost:%d", fh_http_server_port(w->images));
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    char allow[32];
    start_servers(w);
    snprintf(allow, sizeof allow, "localhost:%d", fh_http_server_port(w->images));
    fh_outside_config o = {.allow = (const char *const[]){allow, NULL}, .ca_file = w->files.cert, .resolve = resolve};
    assert_int_equal(fh_outside_new(&w->outside, &o, NULL), 0);
    fh_gateway_config c = {
        .loops = &w->loop, .loop_count = 1, .routes = {.ctx = w, .choose = choose, .report = report, .list = list}, .outside = w->outside};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->timer, w->loop, stop_loop, w, NULL), 0);
    w->body = FH_BUF(1 << 20);
    w->heard = FH_BUF(64 << 20);
    w->can = ~0u;
    w->instance = 1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    fh_http_server_free(w->engine);
    fh_http_server_free(w->images);
    fh_outside_free(w->outside);
    fh_timer_free(w->timer);
    fh_loop_free(w->loop);
    tls_files_remove(&w->files);
    fh_buf_fini(&w->body);
    fh_buf_fini(&w->heard);
    free(w);
    return 0;
}

/* ---- the client ---- */

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    ((world *)arg)->status = status;
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    fh_loop_stop(((world *)arg)->loop);
}

/* "@" in the body stands for the server of the images. */
static fh_http_call *start(world *w, const char *path, const char *body)
{
    char url[128];
    fh_http_call *call = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(8 << 20);
    const fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")}};
    for (const char *p = body; *p; p++) {
        if (*p == '@')
            fh_buf_adds(&text, w->base);
        else
            fh_buf_addc(&text, *p);
    }
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fh_http_server_port(w->door), path);
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = headers,
                              .header_count = FH_COUNT(headers),
                              .body = {fh_buf_cstr(&text), text.len},
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    fh_buf_clear(&w->body);
    w->status = 0;
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    return call;
}

static void post(world *w, const char *path, const char *body)
{
    start(w, path, body);
    fh_timer_start(w->timer, 60 * 1000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_true(w->status > 0);
}

static void expect(const world *w, const fh_buf *in, const char *text)
{
    FH_AUTO(buf) fh_buf want = FH_BUF(1 << 20);
    for (const char *p = text; *p; p++) *p == '@' ? fh_buf_adds(&want, w->base) : fh_buf_addc(&want, *p);
    if (!strstr(fh_buf_cstr(in), fh_buf_cstr(&want))) fail_msg("%s\nlacks %s", fh_buf_cstr(in), fh_buf_cstr(&want));
}

#define CHAT(parts)     "{\"model\":\"m\",\"x\": 1.50,\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]}"
#define URL(url)        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"" url "\"}}"
#define TEXT            "{\"type\":\"text\",\"text\":\"what?\"}"
#define MESSAGES(parts) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[" parts "]}]}"
#define SOURCE(url)     "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"" url "\"}}"

/* ---- tests ---- */

static void images_go_to_an_engine_as_data_in_their_places(void **state)
{
    world *w = *state;
    post(w, "/v1/chat/completions",
         CHAT(TEXT ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"@/a.png\",\"detail\":\"high\"}}," URL("@/b.jpg") "," URL(
             DATA_PNG) "," URL("@/a.png")));
    assert_int_equal(w->status, 200);
    expect(w, &w->body, "seen");
    expect(w, &w->heard, "\"x\": 1.50");
    expect(w, &w->heard,
           "\"content\":[" TEXT ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"" DATA_PNG
           "\",\"detail\":\"high\"}}," URL("data:image/jpeg;base64," JPEG64) "," URL(DATA_PNG) "," URL(DATA_PNG) "]");
    assert_int_equal(w->fetched, 2); /* the same URL once */
    assert_int_equal(w->asked, 1);
}

static void all_apis_bring_images_to_all_upstreams(void **state)
{
    static const struct {
        const char *path, *body;
    } asks[] = {
        {"/v1/chat/completions", CHAT(URL("@/a.png"))},
        {"/v1/responses",
         "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"@/a.png\"}]}]}"},
        {"/v1/messages", MESSAGES(SOURCE("@/a.png"))},
        {"/v1/messages",
         "{\"model\":\"m\",\"max_tokens\":9,\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"messages\":[{\"role\":"
         "\"user\",\"content\":\"look\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
         "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[" SOURCE(
             "@/a.png") "]}]}]}"},
        {"/v1/messages/count_tokens", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[" SOURCE("@/a.png") "]}]}"},
    };
    static const char base64[] =
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"" PNG64 "\"}}";
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(asks); i++) {
        for (int messages = 0; messages < 2; messages++) {
            if (i == 4 && !messages) continue; /* chat engines of others do not count */
            w->dialect = messages ? FH_DIALECT_MESSAGES : FH_DIALECT_CHAT;
            w->fetched = w->asked = 0;
            post(w, asks[i].path, asks[i].body);
            if (w->status != 200 && i != 4) fail_msg("%s: %s", asks[i].path, fh_buf_cstr(&w->body));
            assert_int_equal(w->fetched, 1);
            assert_int_equal(w->asked, 1);
            expect(w, &w->heard, messages ? base64 : URL(DATA_PNG));
            assert_null(strstr(fh_buf_cstr(&w->heard), "https://"));
        }
    }
}

static void a_second_replica_gets_them_without_a_second_fetch(void **state)
{
    world *w = *state;
    for (int messages = 0; messages < 2; messages++) {
        w->dialect = messages ? FH_DIALECT_MESSAGES : FH_DIALECT_CHAT;
        w->fetched = w->asked = 0;
        w->engine_dies = 1;
        post(w, "/v1/chat/completions", CHAT(URL("@/a.png")));
        assert_int_equal(w->status, 200);
        assert_int_equal(w->asked, 2);
        assert_int_equal(w->fetched, 1);
        expect(w, &w->heard, PNG64);
        w->engine_dies = 1;
        post(w, "/v1/messages", MESSAGES(SOURCE("@/b.jpg")));
        assert_int_equal(w->status, 200);
        assert_int_equal(w->asked, 4);
        assert_int_equal(w->fetched, 2);
        expect(w, &w->heard, JPEG64);
    }
}

static void an_image_that_cannot_be_had_is_named_and_nothing_is_asked(void **state)
{
    static const struct {
        const char *path, *body, *param, *says;
    } rows[] = {
        {"/v1/chat/completions", CHAT(TEXT "," URL("@/missing")), "\"param\":\"messages[0].content[1]\"", "answered with status 404"},
        {"/v1/chat/completions", CHAT(TEXT "," URL("@/page")), "\"param\":\"messages[0].content[1]\"", "no PNG, JPEG, GIF or WebP"},
        {"/v1/chat/completions", CHAT(URL("@/a.png") "," URL("@/inside")), "\"param\":\"messages[0].content[1]\"",
         "redirected to is not opened: the URL names a link-local address"},
        {"/v1/chat/completions", CHAT(URL("https://169.254.169.254/")), "messages[0].content[0]", "it is not opened"},
        {"/v1/chat/completions", CHAT(URL("https://2130706433/")), "messages[0].content[0]", "four decimal numbers"},
        {"/v1/chat/completions", CHAT(URL("http://localhost/a.png")), "messages[0].content[0]", "does not begin with https://"},
        {"/v1/chat/completions", CHAT(URL("https://inside.test/")), "messages[0].content[0]", "no public address"},
        {"/v1/chat/completions", CHAT(URL("")), "messages[0].content[0]", "does not begin with https://"},
        {"/v1/chat/completions", CHAT(URL("data:image/png;base64,AAAA")), "messages[0].content[0]", "no PNG, JPEG"},
        {"/v1/chat/completions", CHAT(URL("data:image/png;base64,!!!!")), "messages[0].content[0]", "not base64"},
        {"/v1/chat/completions", CHAT(URL("data:image/png,x")), "messages[0].content[0]", "data:image/TYPE;base64,DATA"},
        {"/v1/chat/completions", CHAT(URL("data:text/html;base64,AAAA")), "messages[0].content[0]", "another type"},
        {"/v1/messages", MESSAGES(TEXT "," SOURCE("@/missing")),
         "\"message\":\"messages[0].content[1]: the image cannot be fetched: ", "status 404"},
        {"/v1/responses",
         "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":[{\"type\":\"input_image\","
         "\"image_url\":\"@/missing\"}]}]}",
         "\"param\":\"input[1].content[0]\"", "status 404"},
    };
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        post(w, rows[i].path, rows[i].body);
        if (w->status != 400) fail_msg("%s: %d %s", rows[i].body, w->status, fh_buf_cstr(&w->body));
        expect(w, &w->body, rows[i].param);
        expect(w, &w->body, rows[i].says);
        assert_null(strstr(fh_buf_cstr(&w->body), "localhost"));
        assert_int_equal(w->asked, 0);
    }
}

static void what_takes_no_images_refuses_them_and_nothing_is_fetched(void **state)
{
    world *w = *state;
    w->can = FH_WIRE_ENGINE_CAN;
    post(w, "/v1/chat/completions", CHAT(TEXT "," URL("@/a.png")));
    assert_int_equal(w->status, 400);
    expect(w, &w->body, "an image in a message is not supported by this model's engine");
    expect(w, &w->body, "\"param\":\"messages[0].content[1]\"");
    assert_int_equal(w->fetched + w->asked, 0);
}

static void many_are_fetched_a_few_at_a_time(void **state)
{
    world *w = *state;
    FH_AUTO(buf) fh_buf parts = FH_BUF(1 << 20), body = FH_BUF(1 << 20);
    for (int i = 0; i < FH_LIMIT_IMAGES; i++)
        fh_buf_addf(&parts, "%s{\"type\":\"image_url\",\"image_url\":{\"url\":\"@/slow/%d\"}}", i ? "," : "", i);
    fh_buf_addf(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}", fh_buf_cstr(&parts));
    post(w, "/v1/chat/completions", fh_buf_cstr(&body));
    assert_int_equal(w->status, 200);
    assert_int_equal(w->fetched, FH_LIMIT_IMAGES);
    assert_int_equal(w->most_at_once, FH_LIMIT_IMAGES_AT_ONCE);
    fh_buf_clear(&body);
    fh_buf_addf(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[%s," URL("@/one/more") "]}]}", fh_buf_cstr(&parts));
    post(w, "/v1/chat/completions", fh_buf_cstr(&body));
    assert_int_equal(w->status, 400);
    expect(w, &w->body, "\"param\":\"messages[0].content[100]\"");
    assert_int_equal(w->fetched, FH_LIMIT_IMAGES);
}

static void images_are_bounded_together(void **state)
{
    world *w = *state;
    post(w, "/v1/chat/completions", CHAT(URL("@/large/1") "," URL("@/large/2")));
    assert_int_equal(w->status, 200);
    post(w, "/v1/chat/completions", CHAT(URL("@/large/1") "," URL("@/large/2") "," URL("@/large/3")));
    assert_int_equal(w->status, 400);
    expect(w, &w->body, "larger than 20971520 bytes together");
    assert_int_equal(w->asked, 1);
}

static void a_client_that_leaves_ends_what_is_fetched_for_it(void **state)
{
    world *w = *state;
    for (int64_t after_us = 500; after_us <= 128000 || (!w->waiting_gone && after_us < 16000000); after_us *= 2) {
        fh_http_call *call = start(w, "/v1/chat/completions", CHAT(URL("@/never") "," URL("@/a.png") "," URL("@/never?2")));
        fh_timer_start(w->timer, after_us * 1000);
        fh_loop_run(w->loop, NULL);
        fh_http_call_cancel(call);
    }
    for (int i = 0; i < 150 && (i == 0 || w->at_once); i++) {
        fh_timer_start(w->timer, 200000000);
        fh_loop_run(w->loop, NULL);
    }
    assert_int_equal(w->at_once, 0);
    assert_true(w->waiting_gone > 0);
    assert_int_equal(w->asked, 0);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
    post(w, "/v1/chat/completions", CHAT(URL("@/a.png")));
    assert_int_equal(w->status, 200);
}

static void failing_allocations_lose_one_request_at_most(void **state)
{
    world *w = *state;
    for (unsigned nth = 1; nth < 400; nth++) {
        fh_http_call *call = start(w, "/v1/chat/completions", CHAT(URL("@/a.png") "," URL("@/b.jpg")));
        fh_fault_arm(FH_FAULT_ALLOC, nth, false);
        fh_timer_start(w->timer, 30 * 1000000000LL);
        fh_loop_run(w->loop, NULL);
        fh_fault_disarm();
        (void)call;
    }
    post(w, "/v1/chat/completions", CHAT(URL("@/a.png")));
    assert_int_equal(w->status, 200);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(images_go_to_an_engine_as_data_in_their_places, setup, teardown),
        cmocka_unit_test_setup_teardown(all_apis_bring_images_to_all_upstreams, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_replica_gets_them_without_a_second_fetch, setup, teardown),
        cmocka_unit_test_setup_teardown(an_image_that_cannot_be_had_is_named_and_nothing_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_no_images_refuses_them_and_nothing_is_fetched, setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_fetched_a_few_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(images_are_bounded_together, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_ends_what_is_fetched_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(failing_allocations_lose_one_request_at_most, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
