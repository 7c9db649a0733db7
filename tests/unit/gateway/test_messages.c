/* The Messages API between a client and an engine that says what it is told: our own HTTP server on a unix socket, all on one loop. The
 * engine speaks Chat Completions or the Messages API itself. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "gateway/gateway.h"
#include "net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct world {
    fh_loop *loop;
    fh_http_server *engine, *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *deadline;
    char folder[64], socket[100];
    fh_wire_dialect dialect; /* of the engine */
    uint32_t can;
    bool not_ready, foreign, counts_at_tokenize, repeats_beginning; /* foreign: the engine is not our own */
    int says_status;
    const char *says; /* a JSON reply, or a stream's text */
    char heard_path[64], heard_key[32], heard_version[32];
    fh_buf heard; /* the last request's body */
    /* what the client got */
    int status;
    char id[80], request_id[80];
    fh_buf body;
} world;

static void keep(char *out, size_t size, fh_str v)
{
    snprintf(out, size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void engine_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_buf_clear(&w->heard);
    fh_buf_add(&w->heard, fh_http_req_body(req).ptr, fh_http_req_body(req).len);
    keep(w->heard_path, sizeof w->heard_path, fh_http_req_path(req));
    keep(w->heard_key, sizeof w->heard_key, fh_http_req_header(req, "x-api-key"));
    keep(w->heard_version, sizeof w->heard_version, fh_http_req_header(req, "anthropic-version"));
    bool json = w->says[0] == '{';
    fh_http_reply(req, w->says_status, json ? "application/json" : "text/event-stream", w->says, strlen(w->says));
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    (void)model;
    fh_candidate one = {
        .deployment = "d", .model = "m", .place = "here", .instance = 1, .can = w->can, .own_engine = !w->foreign, .dialect = w->dialect};
    if (w->not_ready || pick(arg, &one, 1) > 0) return fh_err_set(err, FH_E_UNAVAILABLE, "being replaced");
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .base_url = "http://localhost",
                      .secret = "sk",
                      .instance = 1,
                      .can = w->can,
                      .own_engine = !w->foreign,
                      .repeats_beginning = w->repeats_beginning,
                      .counts_at_tokenize = w->counts_at_tokenize,
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

static void too_late(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    char address[128];
    strcpy(w->folder, "/tmp/fh-messages-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->engine, w->loop, engine_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->engine, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {.loops = &w->loop, .loop_count = 1, .routes = {.ctx = w, .choose = choose, .report = report, .list = list}};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, too_late, w, NULL), 0);
    w->body = FH_BUF(1 << 20);
    w->heard = FH_BUF(1 << 20);
    w->dialect = FH_DIALECT_CHAT;
    w->says_status = 200;
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
    fh_timer_free(w->deadline);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
    fh_buf_fini(&w->heard);
    rmdir(w->folder);
    free(w);
    return 0;
}

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    world *w = arg;
    w->status = status;
    keep(w->id, sizeof w->id, fh_headers_find(h, count, "x-request-id"));
    keep(w->request_id, sizeof w->request_id, fh_headers_find(h, count, "request-id"));
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    (void)status;
    assert_null(err);
    fh_loop_stop(((world *)arg)->loop);
}

static void send(world *w, const char *path, const char *body)
{
    char url[128];
    fh_http_call *call = NULL;
    const fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")}};
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", fh_http_server_port(w->door), path);
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = headers,
                              .header_count = FH_COUNT(headers),
                              .body = fh_str_of(body),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    fh_buf_clear(&w->body);
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    fh_timer_start(w->deadline, 20 * 1000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
}

/* The reply has what the official clients look for: its id under both names. */
static void post(world *w, const char *path, const char *body)
{
    send(w, path, body);
    assert_true(w->id[0] != '\0');
    assert_string_equal(w->id, w->request_id);
}

#define ASK "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void holds(const world *w, const char *text)
{
    if (!strstr(fh_buf_cstr(&w->body), text)) fail_msg("%s\nlacks %s", fh_buf_cstr(&w->body), text);
}

static void a_chat_engine_answers_messages(void **state)
{
    world *w = *state;
    w->says = "{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"yes\",\"reasoning_content\":"
              "\"hm\",\"tool_calls\":["
              "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},\"finish_reason\":"
              "\"tool_calls\"}],"
              "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}}";
    post(w, "/v1/messages", ASK "}");
    assert_int_equal(w->status, 200);
    assert_string_equal(w->heard_path, "/v1/chat/completions");
    holds(w, "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"unsigned\"},{\"type\":\"text\",\"text\":\"yes\"},{"
             "\"type\":"
             "\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\"");
    holds(w, "\"input_tokens\":1,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":4,\"output_tokens\":3");
}

static void a_stream_of_a_chat_engine_is_events_of_messages(void **state)
{
    world *w = *state;
    w->says = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"ye\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"s\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":\"END\"}]}\n\n"
              "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
    post(w, "/v1/messages", ASK ",\"stream\":true}");
    assert_int_equal(w->status, 200);
    holds(w, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_");
    holds(w, "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"s\"}}");
    holds(w, "\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"},\"usage\":{\"input_tokens\":5,");
    holds(w, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

static void our_engine_says_at_the_beginning_how_long_the_prompt_is(void **state)
{
    world *w = *state;
    w->says = ": tok 7 prompt 57 9\ndata: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"yes\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    post(w, "/v1/messages", ASK ",\"stream\":true}");
    holds(w, "\"stop_sequence\":null,\"usage\":{\"input_tokens\":48,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":9,");
    w->foreign = true;
    post(w, "/v1/messages", ASK ",\"stream\":true}");
    holds(w, "\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,");
}

static void a_stream_that_breaks_ends_with_an_error_event(void **state)
{
    world *w = *state;
    w->says = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"ye\"}}]}\n\n";
    post(w, "/v1/messages", ASK ",\"stream\":true}");
    holds(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"");
    holds(w, w->id);
    assert_null(strstr(fh_buf_cstr(&w->body), "message_stop"));
}

static void an_upstream_of_the_same_api_gets_and_gives_the_bytes(void **state)
{
    world *w = *state;
    w->dialect = FH_DIALECT_MESSAGES;
    w->says = "{\"id\":\"msg_9\", "
              "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"u\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{}}";
    post(w, "/v1/messages", ASK ",\"container\": \"c\"}");
    assert_string_equal(w->heard_path, "/v1/messages");
    assert_string_equal(w->heard_key, "sk");
    assert_string_equal(w->heard_version, "2023-06-01");
    assert_string_equal(fh_buf_cstr(&w->heard), ASK ",\"container\": \"c\"}");
    assert_string_equal(fh_buf_cstr(&w->body), w->says);
}

static void a_chat_is_answered_by_an_upstream_of_messages(void **state)
{
    world *w = *state;
    w->dialect = FH_DIALECT_MESSAGES;
    w->says =
        "{\"id\":\"msg_9\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"u\",\"content\":[{\"type\":\"text\",\"text\":\"yes\"}],"
        "\"stop_reason\":\"max_tokens\",\"usage\":{\"input_tokens\":5,\"output_tokens\":3}}";
    send(w, "/v1/chat/completions",
         "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_int_equal(w->status, 200);
    assert_string_equal(fh_buf_cstr(&w->heard),
                        "{\"model\":\"m\",\"max_tokens\":8192,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                        "\"text\":\"hi\"}]}],\"system\":\"be\"}");
    holds(w, "\"message\":{\"role\":\"assistant\",\"content\":\"yes\"");
    holds(w, "\"finish_reason\":\"length\"");
    holds(w, "\"prompt_tokens\":5,\"completion_tokens\":3");
}

static void what_no_engine_can_do_is_refused_in_this_apis_words(void **state)
{
    static const struct {
        const char *more, *says;
    } rows[] = {
        {",\"container\":\"c\"}", "\"message\":\"container: a container is not supported by this model's engine; leave 'container' out\""},
        {",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}",
         "\"message\":\"output_config.format: "},
        {",\"temperature\":2}", "\"message\":\"temperature: "},
    };
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf body = FH_BUF(4096);
        fh_buf_addf(&body, "%s%s", ASK, rows[i].more);
        post(w, "/v1/messages", fh_buf_cstr(&body));
        assert_int_equal(w->status, 400);
        holds(w, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",");
        holds(w, rows[i].says);
    }
    assert_int_equal(w->heard.len, 0);
}

static void a_block_at_fault_is_named_as_the_client_counts_it(void **state)
{
    world *w = *state;
    post(w, "/v1/messages",
         "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\"}]"
         "}]}");
    assert_int_equal(w->status, 400);
    holds(w, "\"message\":\"messages[0].content[0].tool_use_id: ");
    assert_int_equal(w->heard.len, 0);
}

static void refusals_and_absence_of_engines_are_said_in_them_too(void **state)
{
    world *w = *state;
    w->says = "{\"error\":{\"message\":\"the prompt is too long\",\"type\":\"invalid_request_error\"}}";
    w->says_status = 400;
    post(w, "/v1/messages", ASK "}");
    assert_int_equal(w->status, 400);
    holds(w, "\"type\":\"invalid_request_error\",\"message\":\"the prompt is too long\"");
    w->not_ready = true;
    post(w, "/v1/messages", ASK "}");
    assert_int_equal(w->status, 529);
    holds(w, "\"type\":\"overloaded_error\"");
    post(w, "/v1/messages/nothing", ASK "}");
    assert_int_equal(w->status, 404);
    holds(w, "\"type\":\"not_found_error\"");
}

static void tokens_are_counted_by_whoever_can(void **state)
{
    static const char ask[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    world *w = *state;
    w->says = "{\"object\":\"response.input_tokens\",\"input_tokens\":14}";
    post(w, "/v1/messages/count_tokens", ask);
    assert_string_equal(w->heard_path, "/v1/chat/completions/input_tokens");
    assert_string_equal(fh_buf_cstr(&w->body), "{\"input_tokens\":14}");
    w->dialect = FH_DIALECT_MESSAGES;
    post(w, "/v1/messages/count_tokens", ask);
    assert_string_equal(w->heard_path, "/v1/messages/count_tokens");
    assert_string_equal(fh_buf_cstr(&w->body), "{\"input_tokens\":14}");
    w->says = "{\"tokens\":14}";
    post(w, "/v1/messages/count_tokens", ask);
    assert_int_equal(w->status, 502);
    holds(w, "did not say how many tokens");
}

static void an_engine_of_others_is_asked_where_it_counts_and_one_that_does_not_is_said_so(void **state)
{
    static const char ask[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    world *w = *state;
    w->foreign = w->counts_at_tokenize = true;
    w->says = "{\"count\":14,\"tokens\":[1,2]}";
    post(w, "/v1/messages/count_tokens", ask);
    assert_string_equal(w->heard_path, "/tokenize");
    assert_string_equal(fh_buf_cstr(&w->body), "{\"input_tokens\":14}");
    w->counts_at_tokenize = false;
    w->says = "{\"input_tokens\":14}";
    send(w, "/v1/chat/completions/input_tokens", ask);
    assert_string_equal(w->heard_path, "/v1/chat/completions/input_tokens");
    assert_string_equal(fh_buf_cstr(&w->body), "{\"input_tokens\":14}");
    w->says = "{\"error\":{\"message\":\"File Not Found\",\"type\":\"not_found_error\",\"code\":404}}";
    w->says_status = 404;
    post(w, "/v1/messages/count_tokens", ask);
    assert_int_equal(w->status, 501);
    holds(w, "does not count tokens");
}

#define TOOLS  ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"any\"}}"
#define ANSWER "{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"a\\\":1}}"

static void a_call_is_forced_by_the_form_of_the_answer_where_the_engine_has_no_other_way(void **state)
{
    world *w = *state;
    w->foreign = true;
    post(w, "/v1/messages", ASK TOOLS);
    assert_int_equal(w->status, 400);
    holds(w, "\"message\":\"tool_choice: forcing the model to call a tool is not supported");
    w->can = FH_NEED_BIT(FORMAT);
    w->says = "{\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" ANSWER
              "\"},\"finish_reason\":\"stop\"}]}";
    post(w, "/v1/messages", ASK TOOLS);
    assert_int_equal(w->status, 200);
    holds(w, "\"content\":[{\"type\":\"tool_use\",\"id\":\"call_7\",\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\"");
    assert_non_null(strstr(fh_buf_cstr(&w->heard), "\"response_format\":{\"type\":\"json_schema\""));
    assert_non_null(strstr(fh_buf_cstr(&w->heard), "\"tool_choice\":\"none\""));
    w->can |= FH_NEED_BIT(TOOL_CHOICE);
    post(w, "/v1/messages", ASK TOOLS);
    assert_null(strstr(fh_buf_cstr(&w->heard), "response_format"));
}

static void what_an_engine_repeats_of_the_beginning_is_left_out(void **state)
{
    static const char begun[] = "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
                                "\"assistant\",\"content\":\"It is\"}]";
    world *w = *state;
    w->foreign = w->repeats_beginning = true;
    w->can = FH_NEED_BIT(PREFILL);
    w->says = "{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"It is "
              "so.\"},\"finish_reason\":\"stop\"}]}";
    FH_AUTO(buf) fh_buf chat = FH_BUF(4096);
    fh_buf_addf(&chat, "%s,\"continue_final_message\":true}", begun);
    send(w, "/v1/chat/completions", fh_buf_cstr(&chat));
    holds(w, "\"content\":\" so.\"");
    fh_buf_clear(&chat);
    fh_buf_addf(&chat, "%s}", begun);
    post(w, "/v1/messages", fh_buf_cstr(&chat));
    holds(w, "\"text\":\" so.\"");
    w->repeats_beginning = false;
    post(w, "/v1/messages", fh_buf_cstr(&chat));
    holds(w, "\"text\":\"It is so.\"");
}

static void a_forced_call_streams_to_clients_of_the_engines_api_too(void **state)
{
    world *w = *state;
    w->foreign = true;
    w->can = FH_NEED_BIT(FORMAT);
    w->says = "data: {\"id\":\"chatcmpl-7\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"{\\\"name\\\":\\\"f\\\"\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\",\\\"arguments\\\":{\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"}}\"}}]}\n\n"
              "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    send(w, "/v1/chat/completions",
         ASK ",\"stream\":true,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"required\"}");
    assert_int_equal(w->status, 200);
    holds(w, "\"tool_calls\":[{\"index\":0,\"id\":\"call_7\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]");
    holds(w, "\"function\":{\"arguments\":\"{\"}}");
    holds(w, "\"finish_reason\":\"tool_calls\"");
    holds(w, "data: [DONE]");
    assert_null(strstr(fh_buf_cstr(&w->body), "\"content\""));
}

static void errors_of_other_engines_have_the_shape_and_the_codes_that_clients_compare(void **state)
{
    static const char whole[] =
        "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null},\"more\":1}";
    static const char *const too_long[] = {"{\"error\":{\"code\":400,\"message\":\"request (9 tokens) exceeds the available context size "
                                           "(8 tokens)\",\"type\":\"exceed_context_size_error\",\"n_ctx\":8}}",
                                           "{\"error\":{\"message\":\"This model's maximum context length is 8 "
                                           "tokens.\",\"type\":\"BadRequestError\",\"param\":\"input_tokens\",\"code\":400}}"};
    world *w = *state;
    w->foreign = true;
    w->says_status = 400;
    for (size_t i = 0; i < FH_COUNT(too_long); i++) {
        w->says = too_long[i];
        send(w, "/v1/chat/completions", ASK "}");
        assert_int_equal(w->status, 400);
        holds(w, "\"type\":\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}");
        send(w, "/v1/completions", "{\"model\":\"m\",\"prompt\":\"hi\"}");
        holds(w, "\"param\":\"prompt\",\"code\":\"context_length_exceeded\"}}");
        post(w, "/v1/messages", ASK "}");
        holds(w, "\"type\":\"invalid_request_error\",\"message\":\"messages: ");
    }
    w->says = whole;
    send(w, "/v1/chat/completions", ASK "}");
    assert_string_equal(fh_buf_cstr(&w->body), whole);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_chat_engine_answers_messages),
        TEST(a_stream_of_a_chat_engine_is_events_of_messages),
        TEST(our_engine_says_at_the_beginning_how_long_the_prompt_is),
        TEST(a_stream_that_breaks_ends_with_an_error_event),
        TEST(an_upstream_of_the_same_api_gets_and_gives_the_bytes),
        TEST(a_chat_is_answered_by_an_upstream_of_messages),
        TEST(what_no_engine_can_do_is_refused_in_this_apis_words),
        TEST(a_block_at_fault_is_named_as_the_client_counts_it),
        TEST(refusals_and_absence_of_engines_are_said_in_them_too),
        TEST(tokens_are_counted_by_whoever_can),
        TEST(an_engine_of_others_is_asked_where_it_counts_and_one_that_does_not_is_said_so),
        TEST(a_call_is_forced_by_the_form_of_the_answer_where_the_engine_has_no_other_way),
        TEST(what_an_engine_repeats_of_the_beginning_is_left_out),
        TEST(a_forced_call_streams_to_clients_of_the_engines_api_too),
        TEST(errors_of_other_engines_have_the_shape_and_the_codes_that_clients_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
