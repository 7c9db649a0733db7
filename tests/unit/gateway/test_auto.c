/* A request that leaves the model open, between a client and engines of several sizes that answer as they are told: all on one loop. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "gateway/gateway.h"
#include "net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENGINES = 3 };
#define ANSWER(text)                                                                                                                       \
    "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":"          \
    "\"assistant\",\"content\":" text "},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,"            \
    "\"total_tokens\":15}}"
static const char good[] = ANSWER("\"{\\\"x\\\":1}\""), bad[] = ANSWER("\"no\"");
static const char good_stream[] =
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"{\\\"x\\\":1}\"}}]}\n\n"
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

typedef struct engine {
    struct world *world;
    fh_http_server *http;
    char model[32], arm[32], socket[100];
    const char *reply;
    int status;
    bool repeats_beginning;
    fh_candidate candidate;
    unsigned asked;
} engine;

typedef struct world {
    fh_loop *loop;
    fh_http_server *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *deadline;
    char folder[64];
    engine engines[ENGINES];            /* the smallest first */
    bool named;                         /* the request names the largest */
    const char *header, *value, *begun; /* begun: by the client, of the answer; NULL: nothing */
    /* what the client got */
    int status;
    bool done;
    fh_buf body;
    char model[32], reason[256], others[256], id[48];
} world;

static void engine_handles(fh_http_req *req, void *ctx)
{
    engine *e = ctx;
    e->asked++;
    if (e->status == 500)
        fh_http_reply_abort(req);
    else if (fh_str_find(fh_http_req_body(req), FH_STR("\"stream\":true")) < fh_http_req_body(req).len)
        fh_http_reply(req, e->status, "text/event-stream", good_stream, sizeof good_stream - 1);
    else
        fh_http_reply(req, e->status, "application/json", e->reply, strlen(e->reply));
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    fh_candidate list[ENGINES];
    (void)model;
    size_t first = w->named ? ENGINES - 1 : 0, count = ENGINES - first;
    for (size_t i = 0; i < count; i++) {
        list[i] = w->engines[first + i].candidate;
        list[i].open = !w->named;
    }
    size_t i = pick(arg, list, count);
    if (i >= count) return fh_err_set(err, FH_E_UNAVAILABLE, "none will do");
    engine *e = &w->engines[first + i];
    *ret = (fh_route){.repeats_beginning = e->repeats_beginning,
                      .place = "here",
                      .reason = "auto",
                      .base_url = "http://localhost",
                      .instance = 1,
                      .active_params = e->candidate.active_params};
    snprintf(ret->deployment, sizeof ret->deployment, "%s", e->model);
    snprintf(ret->model, sizeof ret->model, "%s", e->model);
    snprintf(ret->arm, sizeof ret->arm, "%s", e->arm);
    snprintf(ret->unix_path, sizeof ret->unix_path, "%s", e->socket);
    return 0;
}

static void report(void *ctx, const char *deployment, int code)
{
}

static size_t list(void *ctx, fh_route_model *ret, size_t max)
{
    return 0;
}

static void door_handles(fh_http_req *req, void *ctx)
{
    fh_key key = {.id = "aaaaaaaa", .scopes = FH_SCOPES_USE};
    fh_gateway_handle(((world *)ctx)->gateway, req, &key);
}

static void too_late(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static void make_engine(world *w, size_t i)
{
    static const char *const names[ENGINES] = {"small", "medium", "large"};
    static const int64_t sizes[ENGINES] = {1000000000, 50000000000, 100000000000};
    engine *e = &w->engines[i];
    char address[128];
    *e = (engine){.world = w, .reply = good, .status = 200};
    snprintf(e->model, sizeof e->model, "%s", names[i]);
    snprintf(e->arm, sizeof e->arm, "%s:q4", names[i]);
    snprintf(e->socket, sizeof e->socket, "%s/%s", w->folder, names[i]);
    snprintf(address, sizeof address, "unix:%s", e->socket);
    e->candidate = (fh_candidate){.deployment = e->model,
                                  .model = e->model,
                                  .place = "here",
                                  .arm = e->arm,
                                  .instance = 1,
                                  .can = ~0u,
                                  .dialect = FH_DIALECT_CHAT,
                                  .priced = true,
                                  .out_nusd = sizes[i],
                                  .active_params = sizes[i],
                                  .context_tok = 1000};
    assert_int_equal(fh_http_server_new(&e->http, w->loop, engine_handles, e, NULL), 0);
    assert_int_equal(fh_http_server_listen(e->http, address, false, NULL), 0);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/fh-auto-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    for (size_t i = 0; i < ENGINES; i++) make_engine(w, i);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {
        .loops = &w->loop, .loop_count = 1, .seed = 1, .routes = {.ctx = w, .choose = choose, .report = report, .list = list}};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, too_late, w, NULL), 0);
    w->body = FH_BUF(1 << 20);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    for (size_t i = 0; i < ENGINES; i++) fh_http_server_free(w->engines[i].http);
    fh_timer_free(w->deadline);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
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
    keep(w->model, sizeof w->model, h, count, "x-freehold-model");
    keep(w->reason, sizeof w->reason, h, count, "x-freehold-reason");
    keep(w->others, sizeof w->others, h, count, "x-freehold-alternatives");
    keep(w->id, sizeof w->id, h, count, "x-request-id");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    world *w = arg;
    w->done = true;
    fh_loop_stop(w->loop);
}

#define FORM "\"response_format\":{\"type\":\"json_object\"},"

static void ask(world *w, const char *members)
{
    char url[128], body[4096];
    fh_http_call *call = NULL;
    fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")}, {fh_str_of(w->header), fh_str_of(w->value)}};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", fh_http_server_port(w->door));
    FH_AUTO(buf) fh_buf begun = FH_BUF(1024);
    if (w->begun) fh_buf_addf(&begun, ",{\"role\":\"assistant\",\"content\":\"%s\"}],\"continue_final_message\":true", w->begun);
    snprintf(body, sizeof body, "{\"model\":\"auto\",%s\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}%s}", members,
             w->begun ? fh_buf_cstr(&begun) : "]");
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = headers,
                              .header_count = w->header ? 2 : 1,
                              .body = fh_str_of(body),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    w->done = false;
    fh_buf_clear(&w->body);
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    fh_timer_start(w->deadline, 20 * 1000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_true(w->done);
}

static bool says(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static uint64_t metric(world *w, const char *name)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    char line[96];
    fh_gateway_metrics(w->gateway, &out);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(fh_buf_cstr(&out), line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

static void an_answer_that_can_be_checked_comes_from_the_smallest(void **state)
{
    world *w = *state;
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "small");
    assert_true(says(w->reason, "auto; the smallest to try") && says(w->reason, "of 3 models"));
    assert_true(says(w->others, "medium 0.") && says(w->others, "large 0.") && !says(w->others, "small"));
}

static void one_that_does_not_do_is_replaced_once_by_a_better_ones(void **state)
{
    world *w = *state;
    w->engines[0].reply = bad;
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "large");
    assert_true(says(w->reason, "asked instead of small: its answer did not have the form"));
    assert_true(says(fh_buf_cstr(&w->body), "{\\\"x\\\":1}"));
    assert_int_equal(metric(w, "freehold_gateway_escalations_total"), 1);
    assert_int_equal(metric(w, "freehold_gateway_unsent_tokens_total"), 15);
    assert_int_equal(metric(w, "freehold_gateway_completion_tokens_total"), 5); /* of what was sent; the others are counted above */
    for (size_t i = 0; i < ENGINES; i++) w->engines[i].reply = bad;
    unsigned before = w->engines[0].asked + w->engines[1].asked + w->engines[2].asked;
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_true(w->engines[0].asked + w->engines[1].asked + w->engines[2].asked <= before + 2);
}

static void it_is_learned_which_are_worth_asking(void **state)
{
    world *w = *state;
    w->engines[0].reply = bad;
    for (int i = 0; i < 20; i++) ask(w, FORM);
    unsigned asked = w->engines[0].asked;
    for (int i = 0; i < 50; i++) ask(w, FORM);
    assert_true(asked >= 1 && asked < 20);
    assert_true(w->engines[0].asked - asked <= 20); /* hardly any more, though some are tried */
    assert_true(w->engines[1].asked > w->engines[2].asked);
}

static void when_the_better_one_breaks_the_first_answer_is_what_there_is(void **state)
{
    world *w = *state;
    w->engines[0].reply = bad;
    w->engines[1].status = w->engines[2].status = 500;
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "small");
    assert_string_equal(fh_buf_cstr(&w->body), bad);
}

static void the_first_answer_does_not_say_again_what_the_client_began(void **state)
{
    world *w = *state;
    w->begun = "Well, ";
    w->engines[0].reply = ANSWER("\"Well, no\"");
    w->engines[0].repeats_beginning = true;
    w->engines[1].status = w->engines[2].status = 500;
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "small");
    assert_true(w->engines[1].asked + w->engines[2].asked > 0);
    assert_true(says(fh_buf_cstr(&w->body), "\"content\":\"no\""));
}

static void no_other_model_is_asked_beyond_the_regions_of_the_request(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < ENGINES; i++) w->engines[i].candidate.region = i ? "fr" : "de";
    w->header = "x-freehold-region";
    w->value = "de";
    w->engines[0].status = 400;
    w->engines[0].reply = "{\"error\":{\"message\":\"too long\"}}";
    ask(w, FORM);
    assert_int_equal(w->status, 400);
    assert_int_equal(w->engines[1].asked + w->engines[2].asked, 0);
    w->value = "de, fr";
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_true(w->engines[1].asked + w->engines[2].asked > 0);
}

static void what_one_model_refuses_another_is_asked(void **state)
{
    world *w = *state;
    w->engines[0].status = 400;
    w->engines[0].reply = "{\"error\":{\"message\":\"too long\"}}";
    ask(w, FORM);
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "large");
    assert_true(says(w->reason, "it refused the request"));
    for (size_t i = 0; i < ENGINES; i++) w->engines[i].status = 400;
    ask(w, FORM);
    assert_int_equal(w->status, 400);
}

static void a_plain_question_goes_to_the_one_most_likely_to_do_until_more_is_known(void **state)
{
    world *w = *state;
    ask(w, "");
    assert_string_equal(w->model, "large");
}

static void a_client_tells_that_small_answers_do(void **state)
{
    world *w = *state;
    w->header = "x-freehold-exclude";
    w->value = "medium,large";
    for (int i = 0; i < 12; i++) {
        ask(w, "");
        assert_string_equal(w->model, "small");
        assert_int_equal(fh_gateway_tell(w->gateway, FH_STR("aaaaaaaa"), fh_str_of(w->id), true, NULL), 0);
    }
    w->header = NULL;
    ask(w, "");
    assert_string_equal(w->model, "small");
    assert_true(says(w->reason, "the smallest that is good enough"));
}

static void the_same_prompt_asked_of_the_largest_by_name_is_learned_from(void **state)
{
    world *w = *state;
    w->header = "x-freehold-exclude";
    w->value = "medium,large";
    for (int i = 0; i < 12; i++) {
        w->named = false;
        ask(w, "");
        assert_string_equal(w->model, "small");
        w->named = true;
        w->header = NULL;
        ask(w, "");
        assert_string_equal(w->model, "large");
        w->header = "x-freehold-exclude";
    }
    w->named = false;
    w->header = NULL;
    ask(w, FORM);
    ask(w, "");
    assert_string_equal(w->model, "large");
    assert_true(says(w->others, "small 0.0") || says(w->others, "small 0.1"));
}

static void wishes_are_kept(void **state)
{
    static const struct {
        const char *header, *value, *model; /* model NULL: refused with: */
        int status;
    } rows[] = {
        {"x-freehold-licence", "free", "large", 200},
        {"x-freehold-models", "medium", "medium", 200},
        {"x-freehold-models", "nothing", NULL, 503},
        {"x-freehold-exclude", "large", "medium", 200},
        {"x-freehold-max-cost", "0.013", "medium", 200}, /* 256 tokens at 50 $ a million are 0.0128 $ */
        {"x-freehold-max-cost", "0.0000001USD", NULL, 402},
        {"x-freehold-max-cost", "much", NULL, 400},
        {"x-freehold-region", "de", NULL, 403},
        {"x-freehold-licence", "gratis", NULL, 400},
        {"x-freehold-prefer", "cheap", NULL, 400},
    };
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        w->header = rows[i].header;
        w->value = rows[i].value;
        ask(w, "");
        if (w->status != rows[i].status) fail_msg("%s: %s gives %d: %s", w->header, w->value, w->status, fh_buf_cstr(&w->body));
        if (rows[i].model) assert_string_equal(w->model, rows[i].model);
        if (!rows[i].model) assert_true(says(fh_buf_cstr(&w->body), rows[i].header));
    }
}

static void a_stream_is_judged_at_its_end_and_never_asked_again(void **state)
{
    world *w = *state;
    for (int i = 0; i < 40 && (i == 0 || strcmp(w->model, "large") == 0); i++) ask(w, FORM "\"stream\":true,");
    assert_int_equal(w->status, 200);
    assert_int_equal(metric(w, "freehold_gateway_escalations_total"), 0);
    for (int i = 0; i < 6; i++) ask(w, FORM "\"stream\":true,");
    assert_true(says(fh_buf_cstr(&w->body), "[DONE]"));
}

static void what_breaks_is_replaced_by_another_model_before_anything_is_sent(void **state)
{
    world *w = *state;
    w->engines[2].status = 500;
    ask(w, "");
    assert_int_equal(w->status, 200);
    assert_string_equal(w->model, "medium");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_that_can_be_checked_comes_from_the_smallest, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_does_not_do_is_replaced_once_by_a_better_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_learned_which_are_worth_asking, setup, teardown),
        cmocka_unit_test_setup_teardown(when_the_better_one_breaks_the_first_answer_is_what_there_is, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_answer_does_not_say_again_what_the_client_began, setup, teardown),
        cmocka_unit_test_setup_teardown(no_other_model_is_asked_beyond_the_regions_of_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(what_one_model_refuses_another_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plain_question_goes_to_the_one_most_likely_to_do_until_more_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_tells_that_small_answers_do, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_prompt_asked_of_the_largest_by_name_is_learned_from, setup, teardown),
        cmocka_unit_test_setup_teardown(wishes_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_is_judged_at_its_end_and_never_asked_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_breaks_is_replaced_by_another_model_before_anything_is_sent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
