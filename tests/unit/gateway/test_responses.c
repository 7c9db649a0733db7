/* The Responses API between a client and an engine that says what it is told: our own HTTP server on a unix socket, all on one loop. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "db/schema.h"
#include "gateway/gateway.h"
#include "net/http_client.h"
#include "responses.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct world {
    fh_loop *loop;
    fh_http_server *engine, *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_response_store *store;
    fh_timer *deadline;
    char folder[64], socket[100], url[300];
    const char *say[4]; /* by request: a JSON reply, or events without "data: " and blank lines; a last line CUT breaks off */
    unsigned asked;
    fh_buf heard; /* the last request's body */
    const char *key;
    /* what the client got */
    int status;
    fh_buf body;
    fh_json *doc;
} world;

static void stream(fh_http_req *req, const char *lines)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    const char *at = lines;
    bool cut = false;
    fh_http_reply_start(req, 200, "text/event-stream");
    for (; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        int len = (int)strcspn(at, "\n");
        cut = strncmp(at, "CUT", 3) == 0;
        if (!cut) fh_buf_addf(&out, "data: %.*s\n\n", len, at);
    }
    fh_http_reply_write(req, out.data, out.len);
    if (cut)
        fh_http_reply_abort(req);
    else
        fh_http_reply_end(req);
}

static void engine_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    const char *say = w->say[w->asked++];
    fh_buf_clear(&w->heard);
    fh_buf_add(&w->heard, fh_http_req_body(req).ptr, fh_http_req_body(req).len);
    if (strstr(fh_buf_cstr(&w->heard), "\"stream\":true"))
        stream(req, say);
    else
        fh_http_reply(req, strstr(say, "\"error\"") ? 400 : 200, "application/json", say, strlen(say));
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    (void)model;
    fh_candidate one = {.deployment = "d",
                        .model = "m",
                        .place = "here",
                        .instance = (int64_t)w->asked,
                        .resume = FH_RESUME_TEXT,
                        .dialect = FH_DIALECT_CHAT};
    if (pick(arg, &one, 1) > 0) return fh_err_set(err, FH_E_UNAVAILABLE, "being replaced");
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .base_url = "http://localhost",
                      .instance = (int64_t)w->asked,
                      .resume = FH_RESUME_TEXT,
                      .dialect = FH_DIALECT_CHAT};
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
    fh_key key = {.scopes = FH_SCOPES_USE};
    snprintf(key.id, sizeof key.id, "%s", w->key);
    fh_gateway_handle(w->gateway, req, &key);
}

static void too_late(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static void open_store(world *w)
{
    fh_db *db = NULL;
    char url[100];
    snprintf(url, sizeof url, "sqlite:%s/r.db", w->folder);
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    fh_db_close(db);
    fh_response_store_config c = {.store_url = url};
    fh_response_store_defaults(&c);
    assert_int_equal(fh_response_store_open(&w->store, &c, NULL), 0);
}

static int setup_with(void **state, bool keeps)
{
    world *w = calloc(1, sizeof *w);
    char address[128];
    strcpy(w->folder, "/tmp/fh-turns-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    if (keeps) open_store(w);
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->engine, w->loop, engine_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->engine, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {
        .loops = &w->loop, .loop_count = 1, .routes = {.ctx = w, .choose = choose, .report = report, .list = list}, .responses = w->store};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, too_late, w, NULL), 0);
    w->body = FH_BUF(1 << 20);
    w->heard = FH_BUF(1 << 20);
    w->key = "aaaaaaaa";
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, true);
}

static int setup_without_store(void **state)
{
    return setup_with(state, false);
}

static int teardown(void **state)
{
    world *w = *state;
    char command[128];
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    fh_http_server_free(w->engine);
    fh_response_store_close(w->store);
    fh_timer_free(w->deadline);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
    fh_buf_fini(&w->heard);
    fh_json_unref(w->doc);
    snprintf(command, sizeof command, "rm -rf %s", w->folder);
    int rc = system(command);
    free(w);
    return rc;
}

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    (void)h, (void)count;
    ((world *)arg)->status = status;
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    (void)status, (void)err;
    fh_loop_stop(((world *)arg)->loop);
}

/* One exchange; the reply, when it is a JSON document, is in doc. */
static int ask(world *w, const char *method, const char *path, const char *body)
{
    fh_http_call *call = NULL;
    const fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")}};
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d%.200s", fh_http_server_port(w->door), path);
    fh_http_call_spec spec = {.method = method,
                              .url = w->url,
                              .headers = headers,
                              .header_count = body ? 1 : 0,
                              .body = fh_str_of(body ? body : ""),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    fh_buf_clear(&w->body);
    w->status = 0;
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    fh_timer_start(w->deadline, 20000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    fh_json_unref(w->doc);
    w->doc = NULL;
    fh_json_parse(&w->doc, (fh_str){fh_buf_cstr(&w->body), w->body.len}, 1 << 20, NULL);
    return w->status;
}

/* The member at a path like "output.0.name" of the reply, as a string; "" when there is none. */
static const char *at(world *w, const char *path)
{
    static char out[512];
    char copy[128];
    const fh_json *v = w->doc;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *word = strtok(copy, "."); word; word = strtok(NULL, "."))
        v = word[0] >= '0' && word[0] <= '9' ? fh_json_at(v, (size_t)atoi(word)) : fh_json_get(v, word);
    fh_str s = fh_json_str(v);
    snprintf(out, sizeof out, "%.*s", (int)s.len, s.ptr ? s.ptr : "");
    return out;
}

#define REPLY(message, finish)                                                                                                             \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message                  \
    "},\"finish_reason\":\"" finish "\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}"
#define PIECE(delta, finish)                                                                                                               \
    "{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":" finish "}]}\n"
#define USAGE "{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n"
#define CALLED                                                                                                                             \
    "\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"w\","     \
    "\"arguments\":\"{}\"}}]"
#define TOOLS "\"tools\":[{\"type\":\"function\",\"name\":\"w\",\"parameters\":{\"type\":\"object\"}}]"

static void a_conversation_with_a_tool_goes_on_by_its_id(void **state)
{
    world *w = *state;
    char second[512];
    w->say[0] = REPLY(CALLED, "tool_calls");
    w->say[1] = REPLY("\"content\":\"Sun.\"", "stop");
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"Weather?\"," TOOLS "}"), 200);
    assert_string_equal(at(w, "output.0.type"), "reasoning");
    assert_string_equal(at(w, "output.1.call_id"), "c1");
    assert_string_equal(at(w, "status"), "completed");
    snprintf(second, sizeof second,
             "{\"model\":\"m\",\"previous_response_id\":\"%s\",\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":"
             "\"sun\"}]}",
             at(w, "id"));
    assert_int_equal(ask(w, "POST", "/v1/responses", second), 200);
    assert_string_equal(at(w, "output.0.content.0.text"), "Sun.");
    assert_string_equal(
        fh_buf_cstr(&w->heard),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Weather?\"},{\"role\":\"assistant\",\"content\":null,"
        "\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"w\","
        "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"content\":\"sun\",\"tool_call_id\":\"c1\"}]}");
}

static void calls_are_streamed_as_items(void **state)
{
    world *w = *state;
    w->say[0] = PIECE("\"role\":\"assistant\",\"content\":\"\"", "null")
        PIECE("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"w\",\"arguments\":\"\"}}]", "null")
            PIECE("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]", "null") PIECE("", "\"tool_calls\"") USAGE
        "[DONE]\n";
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"stream\":true," TOOLS "}"), 200);
    const char *text = fh_buf_cstr(&w->body);
    static const char *const order[] = {"event: response.created\n",
                                        "event: response.in_progress\n",
                                        "event: response.output_item.added\n",
                                        "event: response.function_call_arguments.delta\n",
                                        "event: response.function_call_arguments.done\n",
                                        "event: response.output_item.done\n",
                                        "event: response.completed\n",
                                        "\"input_tokens\":3",
                                        "data: [DONE]\n\n"};
    for (size_t i = 0; i < FH_COUNT(order); i++) {
        const char *next = strstr(text, order[i]);
        if (!next) fail_msg("no %s in %s", order[i], text);
        text = next;
    }
}

static const char *stream_id(world *w)
{
    static char id[96];
    const char *from = strstr(fh_buf_cstr(&w->body), "\"id\":\"resp_");
    snprintf(id, sizeof id, "%.*s", (int)strcspn(from + 6, "\""), from + 6);
    return id;
}

static void a_stream_that_breaks_is_said_and_kept_as_failed(void **state)
{
    world *w = *state;
    char path[128];
    for (size_t i = 0; i < 4; i++)
        w->say[i] = PIECE("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"w\",\"arguments\":\"{\"}}]", "null") "CUT";
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"stream\":true," TOOLS "}"), 200);
    const char *error = strstr(fh_buf_cstr(&w->body), "event: error\n");
    assert_non_null(error);
    assert_non_null(strstr(error, "event: response.failed\n"));
    assert_int_equal(w->asked, 1); /* half a call cannot be gone on with */
    snprintf(path, sizeof path, "/v1/responses/%s", stream_id(w));
    assert_int_equal(ask(w, "GET", path, NULL), 200);
    assert_string_equal(at(w, "status"), "failed");
    assert_string_equal(at(w, "error.code"), "server_error");
    assert_string_equal(at(w, "output.0.status"), "incomplete");
}

static void another_engine_goes_on_in_the_same_response(void **state)
{
    world *w = *state;
    char path[128];
    w->say[0] = PIECE("\"role\":\"assistant\",\"content\":\"One \"", "null") "CUT";
    w->say[1] = PIECE("\"content\":\"two\"", "null") PIECE("", "\"stop\"") USAGE "[DONE]\n";
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"stream\":true}"), 200);
    assert_int_equal(w->asked, 2);
    assert_non_null(strstr(fh_buf_cstr(&w->heard), "{\"role\":\"assistant\",\"content\":\"One\"}]"));
    assert_null(strstr(strstr(fh_buf_cstr(&w->body), "event: response.created") + 1, "event: response.created"));
    snprintf(path, sizeof path, "/v1/responses/%s", stream_id(w));
    assert_int_equal(ask(w, "GET", path, NULL), 200);
    assert_string_equal(at(w, "output.0.content.0.text"), "One two");
    assert_string_equal(at(w, "status"), "completed");
}

static void an_engines_refusal_names_the_clients_field(void **state)
{
    world *w = *state;
    w->say[0] = "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":"
                "\"context_length_exceeded\"}}";
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\"}"), 400);
    assert_string_equal(at(w, "error.message"), "too long");
    assert_string_equal(at(w, "error.param"), "input");
    assert_string_equal(at(w, "error.code"), "context_length_exceeded");
}

static void what_an_upstream_cannot_do_is_refused_by_the_clients_name(void **state)
{
    world *w = *state;
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_object\"}}}"),
                     400);
    assert_string_equal(at(w, "error.param"), "text.format");
    assert_non_null(strstr(at(w, "error.message"), "'text.format'"));
    assert_int_equal(w->asked, 0);
}

static void make(world *w, const char *input)
{
    char body[512];
    w->asked = 0;
    w->say[0] = REPLY("\"content\":\"Yes.\"", "stop");
    snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":%s}", input);
    assert_int_equal(ask(w, "POST", "/v1/responses", body), 200);
}

static void a_response_is_read_listed_and_deleted_by_its_key_alone(void **state)
{
    world *w = *state;
    char path[128], below[160];
    make(w, "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]");
    snprintf(path, sizeof path, "/v1/responses/%s", at(w, "id"));
    snprintf(below, sizeof below, "%s/input_items?limit=1&order=asc", path);
    assert_int_equal(ask(w, "GET", below, NULL), 200);
    assert_string_equal(at(w, "data.0.content.0.text"), "a");
    assert_true(fh_json_is_true(fh_json_get(w->doc, "has_more")));
    snprintf(below, sizeof below, "%s/cancel", path);
    assert_int_equal(ask(w, "POST", below, "{}"), 400);
    assert_int_equal(ask(w, "PUT", path, "{}"), 405);
    snprintf(below, sizeof below, "%s?stream=true", path);
    assert_int_equal(ask(w, "GET", below, NULL), 400);
    w->key = "bbbbbbbb";
    assert_int_equal(ask(w, "GET", path, NULL), 404);
    assert_int_equal(ask(w, "DELETE", path, NULL), 404);
    w->key = "aaaaaaaa";
    assert_int_equal(ask(w, "DELETE", path, NULL), 200);
    assert_true(fh_json_is_true(fh_json_get(w->doc, "deleted")));
    assert_int_equal(ask(w, "GET", path, NULL), 404);
    snprintf(below, sizeof below, "%s/else", path);
    assert_int_equal(ask(w, "GET", below, NULL), 404);
}

static void items_are_found_by_their_ids_alone(void **state)
{
    world *w = *state;
    char input[256], id[128];
    make(w, "\"x\"");
    snprintf(id, sizeof id, "%s", at(w, "output.0.id"));
    snprintf(input, sizeof input, "[{\"type\":\"item_reference\",\"id\":\"%s\"},{\"role\":\"user\",\"content\":\"y\"}]", id);
    make(w, input);
    assert_non_null(strstr(fh_buf_cstr(&w->heard), "{\"role\":\"assistant\",\"content\":\"Yes.\"}"));
    w->key = "bbbbbbbb";
    char body[512];
    snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":%s}", input);
    assert_int_equal(ask(w, "POST", "/v1/responses", body), 400);
    assert_string_equal(at(w, "error.param"), "input[0].id");
}

static void without_a_store_nothing_is_kept_and_that_is_said(void **state)
{
    world *w = *state;
    char path[128];
    make(w, "\"x\"");
    assert_false(fh_json_is_true(fh_json_get(w->doc, "store")));
    snprintf(path, sizeof path, "/v1/responses/%s", at(w, "id"));
    assert_int_equal(ask(w, "GET", path, NULL), 404);
    assert_int_equal(ask(w, "POST", "/v1/responses", "{\"model\":\"m\",\"input\":\"x\",\"previous_response_id\":\"resp_1\"}"), 400);
    assert_string_equal(at(w, "error.param"), "previous_response_id");
}

static int begin_turn(void *arg)
{
    static const char body[] = "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"type\":\"function_call\",\"call_id\":"
                               "\"c\",\"name\":\"f\",\"arguments\":\"{}\"}]," TOOLS "}";
    fh_turn *t = NULL;
    fh_ask a = {0};
    fh_err *err = NULL;
    int rc = fh_turn_new(&t, &a, arg, true, "req_1", FH_STR("aaaaaaaa"), FH_STR(body), &err);
    assert_true(rc == 0 || (rc == FH_E_NOMEM && err && !t));
    if (rc == 0) assert_string_equal(fh_turn_id(t), "1");
    fh_ask_fini(&a);
    fh_turn_free(t);
    fh_err_free(err);
    return rc;
}

static void beginning_a_turn_survives_any_failed_allocation(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, begin_turn, NULL, 2000) > 50);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_conversation_with_a_tool_goes_on_by_its_id),
        TEST(calls_are_streamed_as_items),
        TEST(a_stream_that_breaks_is_said_and_kept_as_failed),
        TEST(another_engine_goes_on_in_the_same_response),
        TEST(an_engines_refusal_names_the_clients_field),
        TEST(what_an_upstream_cannot_do_is_refused_by_the_clients_name),
        TEST(a_response_is_read_listed_and_deleted_by_its_key_alone),
        TEST(items_are_found_by_their_ids_alone),
        cmocka_unit_test(beginning_a_turn_survives_any_failed_allocation),
        cmocka_unit_test_setup_teardown(without_a_store_nothing_is_kept_and_that_is_said, setup_without_store, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
