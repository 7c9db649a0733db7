/* The engine's HTTP server over a unix socket: health, OpenAI's API, streams, errors, a client that goes away, an end on SIGTERM. */
#include "fixture.h"
#include "base/clock.h"
#include "engine/serve.h"
#include "net/http_client.h"

#include <math.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

static char socket_path[100], listen_at[120];
static pthread_t server;
static fh_serve_options options;

static void *serve_main(void *arg)
{
    (void)arg;
    fh_err *err = NULL;
    int rc = fh_engine_serve(&options, &err);
    if (rc) fprintf(stderr, "serve: %s\n", fh_err_message(err));
    fh_err_free(err);
    return (void *)(intptr_t)rc;
}

/* ---- asking ---- */

static int fetch(const char *method, const char *path, const char *type, const char *body, fh_buf *out)
{
    fh_header header = {FH_STR("content-type"), fh_str_of(type ? type : "application/json")};
    char url[256];
    int status = 0;
    fh_err *err = NULL;
    snprintf(url, sizeof url, "http://localhost%s", path);
    fh_http_call_spec spec = {.method = method,
                              .url = url,
                              .unix_path = socket_path,
                              .headers = &header,
                              .header_count = body ? 1 : 0,
                              .body = fh_str_of(body ? body : ""),
                              .total_timeout_ns = 60 * FH_NS_PER_S};
    *out = FH_BUF(8 << 20);
    no_error(fh_http_fetch(&spec, 8 << 20, &status, out, &err), err);
    return status;
}

static void answers(const char *method, const char *path, const char *body, int want, const char *word)
{
    FH_AUTO(buf) fh_buf out;
    int status = fetch(method, path, NULL, body, &out);
    if (status != want || (word && !strstr(fh_buf_cstr(&out), word)))
        fail_msg("%s %s: %d, wanted %d and '%s': %s", method, path, status, want, word ? word : "", fh_buf_cstr(&out));
}

static const fh_json *member(const fh_json *v, const char *a, const char *b)
{
    return fh_json_get(fh_json_get(v, a), b);
}

static fh_json *post(const char *path, const char *body)
{
    FH_AUTO(buf) fh_buf out;
    fh_json *doc = NULL;
    fh_err *err = NULL;
    int status = fetch("POST", path, NULL, body, &out);
    if (status != 200) fail_msg("%s: %d %s", path, status, fh_buf_cstr(&out));
    no_error(fh_json_parse(&doc, (fh_str){fh_buf_cstr(&out), out.len}, 8 << 20, &err), err);
    return doc;
}

static void wait_ready(void)
{
    for (int i = 0; i < 600; i++) {
        if (access(socket_path, F_OK) == 0) {
            FH_AUTO(buf) fh_buf out;
            if (fetch("GET", "/healthz", NULL, NULL, &out) == 200) return;
        }
        fh_sleep_ns(50 * FH_NS_PER_MS);
    }
    fail_msg("the engine did not become ready");
}

static int start_server(void **state)
{
    static char model[600];
    if (make_folder(state)) return -1;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.context = 4096;
    snprintf(model, sizeof model, "%s", write_tiny(&t, "tiny"));
    if (strlen(folder) + sizeof "/engine.sock" > sizeof socket_path) return -1;
    snprintf(socket_path, sizeof socket_path, "%.80s/engine.sock", folder);
    snprintf(listen_at, sizeof listen_at, "unix:%s", socket_path);
    options = (fh_serve_options){.engine = {.model_path = model, .threads = 2, .parallel = 2}, .listen = listen_at, .name = "tiny"};
    return pthread_create(&server, NULL, serve_main, NULL);
}

static int stop_server(void **state)
{
    void *rc;
    kill(getpid(), SIGTERM);
    pthread_join(server, &rc);
    int left = access(socket_path, F_OK) == 0;
    return remove_folder(state) || rc || left;
}

/* ---- the tests ---- */

static void it_says_when_it_is_ready_and_what_it_is(void **state)
{
    (void)state;
    wait_ready();
    answers("GET", "/healthz", NULL, 200, "\"status\":\"ready\"");
    answers("GET", "/props", NULL, 200, "\"context\":4096");
    answers("GET", "/v1/models", NULL, 200, "\"id\":\"tiny\"");
    answers("GET", "/v1/models/tiny", NULL, 200, "\"id\":\"tiny\"");
    answers("GET", "/v1/models/other", NULL, 404, "tiny");
    answers("GET", "/v1/models/other", NULL, 404, "\"model_not_found\"");
    answers("GET", "/metrics", NULL, 200, "freehold_engine_ready 1");
}

static void a_chat_answers_with_usage_and_timings(void **state)
{
    (void)state;
    FH_AUTO(json)
    fh_json *r =
        post("/v1/chat/completions",
             "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":8,\"seed\":1,\"ignore_eos\":true}");
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(r, "model")), "tiny"));
    assert_int_equal(fh_json_int(member(r, "usage", "completion_tokens"), 0), 8);
    assert_int_equal(fh_json_int(member(r, "timings", "predicted_n"), 0), 8);
    const fh_json *choice = fh_json_at(fh_json_get(r, "choices"), 0);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(choice, "finish_reason")), "length"));
    assert_int_equal(fh_json_kind_of(member(choice, "message", "content")), FH_JSON_STRING);
}

#define PREDICTED                                                                                                                          \
    "\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":40,\"temperature\":0,\"ignore_eos\":true,"    \
    "\"logit_bias\":{\"97\":100}"

static void a_prediction_changes_nothing_but_the_time(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *plain = post("/v1/chat/completions", "{" PREDICTED "}");
    FH_AUTO(json)
    fh_json *r =
        post("/v1/chat/completions",
             "{" PREDICTED ",\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"aaaaaaaaaaaaaaaa\"}]}}");
    const fh_json *a = member(fh_json_at(fh_json_get(plain, "choices"), 0), "message", "content"),
                  *b = member(fh_json_at(fh_json_get(r, "choices"), 0), "message", "content");
    assert_true(fh_str_eq(fh_json_str(a), fh_json_str(b)));
    assert_int_equal(fh_json_int(member(r, "usage", "completion_tokens"), 0), 40);
    answers("POST", "/v1/chat/completions", "{" PREDICTED ",\"prediction\":{\"type\":\"content\",\"content\":7}}", 400,
            "\"prediction.content\"");
}

static void the_same_seed_gives_the_same_text_and_logprobs_are_there(void **state)
{
    (void)state;
    const char *body =
        "{\"model\":\"x\",\"prompt\":\"the inn\",\"max_tokens\":12,\"seed\":5,\"temperature\":0.9,\"logprobs\":3,\"ignore_eos\":true}";
    FH_AUTO(json) fh_json *a = post("/v1/completions", body);
    FH_AUTO(json) fh_json *b = post("/v1/completions", body);
    const fh_json *x = fh_json_at(fh_json_get(a, "choices"), 0), *y = fh_json_at(fh_json_get(b, "choices"), 0);
    assert_true(fh_str_eq(fh_json_str(fh_json_get(x, "text")), fh_json_str(fh_json_get(y, "text"))));
    assert_int_equal(fh_json_count(member(x, "logprobs", "tokens")), 12);
    assert_int_equal(fh_json_count(fh_json_at(member(x, "logprobs", "top_logprobs"), 0)), 3);
}

static void a_prompt_beyond_the_context_has_the_code_that_clients_know(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 16);
    fh_buf_adds(&body, "{\"model\":\"x\",\"prompt\":[0");
    for (int i = 0; i < 4096; i++) fh_buf_adds(&body, ",0");
    fh_buf_adds(&body, "]}");
    answers("POST", "/v1/completions", fh_buf_cstr(&body), 400, "\"context_length_exceeded\"");
}

#define GO                                                                                                                                 \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"go\",\"parameters\":{\"type\":\"object\",\"properties\":{\"to\":"          \
    "{\"enum\":[\"Rome\",\"Oslo\"]}},\"required\":[\"to\"],\"additionalProperties\":false}}}],\"tool_choice\":\"required\","               \
    "\"parallel_tool_calls\":false"
#define ASK "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"go\"}],\"max_tokens\":200,\"seed\":3," GO

static void a_forced_call_of_a_tool_fits_its_schema(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *r = post("/v1/chat/completions", ASK "}");
    FH_AUTO(json) fh_json *args = NULL;
    const fh_json *choice = fh_json_at(fh_json_get(r, "choices"), 0), *calls = member(choice, "message", "tool_calls");
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(choice, "finish_reason")), "tool_calls"));
    assert_int_equal(fh_json_count(calls), 1);
    assert_int_equal(fh_json_str(fh_json_get(fh_json_at(calls, 0), "id")).len, 9);
    const fh_json *function = fh_json_get(fh_json_at(calls, 0), "function");
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(function, "name")), "go"));
    assert_int_equal(fh_json_parse(&args, fh_json_str(fh_json_get(function, "arguments")), 65536, NULL), 0);
    assert_int_equal(fh_json_str(fh_json_get(args, "to")).len, 4);
    answers("POST", "/v1/chat/completions", ASK ",\"stream\":true}", 200,
            "\"type\":\"function\",\"function\":{\"name\":\"go\",\"arguments\":\"\"}");
    answers("POST", "/v1/chat/completions", ASK ",\"stream\":true}", 200, "\"finish_reason\":\"tool_calls\"");
}

#define NUMBERS                                                                                                                            \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\",\"properties\":{\"n\":" \
    "{"                                                                                                                                    \
    "\"type\":\"array\",\"items\":{\"type\":\"integer\"}}},\"required\":[\"n\"],\"additionalProperties\":false}}}"
#define HI "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":60,\"temperature\":1.5,"

static fh_str content_of(const fh_json *reply, bool chat)
{
    const fh_json *choice = fh_json_at(fh_json_get(reply, "choices"), 0);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(choice, "finish_reason")), "stop"));
    return fh_json_str(chat ? member(choice, "message", "content") : fh_json_get(choice, "text"));
}

static void an_answer_is_held_to_its_format(void **state)
{
    (void)state;
    static const char *const bodies[] = {HI NUMBERS "}", HI NUMBERS ",\"ignore_eos\":true}",
                                         HI "\"response_format\":{\"type\":\"json_object\"}}",
                                         "{\"model\":\"x\",\"prompt\":\"hi\",\"max_tokens\":60,\"temperature\":1.5," NUMBERS "}"};
    for (size_t i = 0; i < FH_COUNT(bodies); i++) {
        bool chat = strstr(bodies[i], "messages") != NULL, numbers = strstr(bodies[i], "json_schema") != NULL;
        FH_AUTO(json) fh_json *r = post(chat ? "/v1/chat/completions" : "/v1/completions", bodies[i]);
        FH_AUTO(json) fh_json *v = NULL;
        fh_str text = content_of(r, chat);
        if (fh_json_parse(&v, text, 65536, NULL) && numbers) fail_msg("%.*s", (int)text.len, text.ptr);
        assert_true(!numbers || fh_json_kind_of(fh_json_get(v, "n")) == FH_JSON_ARRAY);
        assert_true(text.ptr[0] == '{' && text.ptr[text.len - 1] == '}');
    }
    FH_AUTO(json) fh_json *r = post("/v1/chat/completions", HI "\"grammar\":\"root ::= [a-f]{8}\"}");
    assert_int_equal(content_of(r, true).len, 8);
    answers("POST", "/v1/chat/completions", HI NUMBERS ",\"stream\":true}", 200, "\"finish_reason\":\"stop\"");
}

static void beside_tools_an_answer_or_a_call_comes(void **state)
{
    (void)state;
#define TOOL "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"go\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}}],"
    unsigned calls = 0, texts = 0;
    for (int seed = 0; seed < 12; seed++) {
        char body[1024];
        snprintf(body, sizeof body, "%s%s%s,\"seed\":%d}", HI, TOOL, NUMBERS, seed);
        FH_AUTO(json) fh_json *r = post("/v1/chat/completions", body);
        FH_AUTO(json) fh_json *v = NULL;
        const fh_json *choice = fh_json_at(fh_json_get(r, "choices"), 0);
        fh_str text = fh_json_str(member(choice, "message", "content"));
        bool called = fh_json_count(member(choice, "message", "tool_calls")) > 0;
        calls += called;
        texts += !called;
        assert_true(called ? !text.len : fh_json_parse(&v, text, 65536, NULL) == 0 && fh_json_get(v, "n"));
    }
    assert_true(calls + texts == 12 && texts > 0);
    answers("POST", "/v1/chat/completions", HI TOOL "\"grammar\":\"root ::= \\\"a\\\"\"}", 400, "\"param\":\"grammar\"");
}

static void a_form_that_cannot_be_held_is_refused_at_its_place(void **state)
{
    (void)state;
#define BAD "{\"type\":\"object\",\"properties\":{\"a\":{\"not\":{}}}}"
    answers("POST", "/v1/chat/completions", HI "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":" BAD "}}}", 400,
            "\"param\":\"response_format.json_schema.schema/properties/a/not\"");
    answers("POST", "/v1/chat/completions", HI "\"guided_json\":" BAD "}", 400, "\"param\":\"guided_json/properties/a/not\"");
    answers("POST", "/v1/chat/completions",
            HI "\"guided_json\":{\"$ref\":\"#/a\",\"a\":{\"required\":[\"b\"],\"additionalProperties\":{\"$ref\":\"#/a\"}}}}", 400, "'a'");
    answers("POST", "/v1/chat/completions", HI "\"grammar\":\"root ::= \\\"a\\\"\\n\\nx ::= )\"}", 400, "line 3 of the grammar");
    answers("POST", "/v1/chat/completions", HI "\"guided_regex\":\"a\"}", 400, "\"param\":\"guided_regex\"");
    answers("POST", "/v1/chat/completions",
            "{\"model\":\"x\",\"messages\":[{\"role\":\"assistant\",\"content\":\"{\"}],\"continue_final_message\":true," NUMBERS "}", 400,
            "\"param\":\"continue_final_message\"");
}

static void a_completion_can_echo_its_prompt(void **state)
{
    (void)state;
    FH_AUTO(json)
    fh_json *r = post("/v1/completions", "{\"model\":\"x\",\"prompt\":\"an echo\",\"echo\":true,\"max_tokens\":2,\"ignore_eos\":true}");
    fh_str text = fh_json_str(fh_json_get(fh_json_at(fh_json_get(r, "choices"), 0), "text"));
    assert_true(fh_str_starts(text, FH_STR("an echo")));
}

static size_t count_words(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) n++;
    return n;
}

static void a_stream_is_chunks_then_usage_then_done(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf out;
    const char *body = "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":8,\"seed\":3,\"stream\":"
                       "true,\"stream_options\":{\"include_usage\":true},"
                       "\"ignore_eos\":true}";
    assert_int_equal(fetch("POST", "/v1/chat/completions", NULL, body, &out), 200);
    const char *text = fh_buf_cstr(&out);
    assert_int_equal(count_words(text, "\"role\":\"assistant\""), 1);
    assert_int_equal(count_words(text, "\"finish_reason\":\"length\""), 1);
    assert_int_equal(count_words(text, "\"completion_tokens\":8"), 1);
    assert_int_equal(count_words(text, "\"timings\""), 1);
    assert_string_equal(text + strlen(text) - strlen("data: [DONE]\n\n"), "data: [DONE]\n\n");
}

static void text_and_tokens_go_both_ways(void **state)
{
    (void)state;
    answers("POST", "/tokenize", "{\"content\":\"the <|im_end|>\"}", 200, ",258]");
    answers("POST", "/tokenize", "{\"content\":\"<|im_end|>\",\"parse_special\":false}", 200, "[60,");
    answers("POST", "/detokenize", "{\"tokens\":[116,104,101]}", 200, "{\"content\":\"the\"}");
    answers("POST", "/detokenize", "{\"tokens\":[99999]}", 400, "tokens[0]");
    answers("POST", "/tokenize", "{\"content\":\"the\",\"with_pieces\":true}", 200, "{\"id\":260,\"piece\":\"the\"}");
    answers("POST", "/tokenize", "{\"content\":\"\u00e9\",\"with_pieces\":true}", 200, "\"piece\":[195]},");
    answers("POST", "/tokenize", "{\"content\":\"the\",\"with_pieces\":1}", 400, "with_pieces");
    answers("POST", "/tokenize", "{\"prompt\":\"the\"}", 400, "\"param\":\"prompt\"");
    answers("POST", "/detokenize", "{\"tokens\":[],\"skip\":1}", 400, "\"param\":\"skip\"");
    answers("POST", "/v1/chat/completions/input_tokens", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"the\"}]}", 200,
            "\"input_tokens\":");
    answers("POST", "/v1/chat/completions/input_tokens",
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
            "\"image_url\":{}}]}]}",
            400, "messages[0].content[0]");
}

static void a_chat_shows_the_prompt_that_it_becomes(void **state)
{
    (void)state;
#define ASKED "{\"messages\":[{\"role\":\"user\",\"content\":\"the\"}]"
    answers("POST", "/apply-template", ASKED "}", 200, "{\"prompt\":\"<|im_start|>user\\nthe<|im_end|>\\n<|im_start|>assistant\\n\"}");
    answers("POST", "/apply-template", ASKED ",\"add_generation_prompt\":false}", 200, "the<|im_end|>\\n\"}");
    answers("POST", "/apply-template", "{\"messages\":1}", 400, "\"param\":\"messages\"");
    answers("POST", "/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]}", 400,
            "messages[0].content[0]");
}

#define THREE                                                                                                                              \
    "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":6,\"seed\":1,\"ignore_eos\":true,\"n\":3"

static void choices_draw_for_themselves_and_share_a_prompt(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *r = post("/v1/chat/completions", THREE ",\"temperature\":1.5}");
    FH_AUTO(json) fh_json *same = post("/v1/chat/completions", THREE ",\"temperature\":0}");
    FH_AUTO(json) fh_json *again = post("/v1/chat/completions", THREE ",\"temperature\":1.5}");
    const fh_json *choices = fh_json_get(r, "choices");
    assert_int_equal(fh_json_count(choices), 3);
    assert_int_equal(fh_json_int(member(r, "usage", "completion_tokens"), 0), 18);
    assert_int_equal(fh_json_int(member(r, "usage", "prompt_tokens"), 0), fh_json_int(member(same, "usage", "prompt_tokens"), 1));
    for (size_t i = 0; i < 3; i++) {
        const fh_json *c = fh_json_at(choices, i), *d = fh_json_at(fh_json_get(same, "choices"), i),
                      *e = fh_json_at(fh_json_get(again, "choices"), i);
        fh_str text = fh_json_str(member(c, "message", "content")), greedy = fh_json_str(member(d, "message", "content"));
        assert_int_equal(fh_json_int(fh_json_get(c, "index"), -1), (int64_t)i);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(c, "finish_reason")), "length"));
        assert_true(fh_str_eq(text, fh_json_str(member(e, "message", "content"))));
        assert_true(fh_str_eq(greedy, fh_json_str(member(fh_json_at(fh_json_get(same, "choices"), 0), "message", "content"))));
        assert_true(i == 0 || !fh_str_eq(text, fh_json_str(member(fh_json_at(choices, 0), "message", "content"))));
    }
}

static void a_stream_of_choices_ends_each_and_is_done_once(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf out;
    assert_int_equal(
        fetch("POST", "/v1/chat/completions", NULL, THREE ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", &out), 200);
    const char *text = fh_buf_cstr(&out);
    assert_int_equal(count_words(text, "\"role\":\"assistant\""), 3);
    assert_int_equal(count_words(text, "\"finish_reason\":\"length\""), 3);
    assert_true(count_words(text, "\"index\":2,") >= 2);
    assert_int_equal(count_words(text, "\"completion_tokens\":18"), 1);
    assert_int_equal(count_words(text, "[DONE]"), 1);
}

static void as_many_choices_as_are_bounded(void **state)
{
    (void)state;
    FH_AUTO(json)
    fh_json *echoed = post("/v1/completions", "{\"model\":\"x\",\"prompt\":\"an echo\",\"echo\":true,\"max_tokens\":1,\"n\":16}");
    assert_int_equal(fh_json_count(fh_json_get(echoed, "choices")), 16);
    fh_str last = fh_json_str(fh_json_get(fh_json_at(fh_json_get(echoed, "choices"), 15), "text"));
    assert_true(fh_str_starts(last, FH_STR("an echo")));
    answers("POST", "/v1/completions", "{\"model\":\"x\",\"prompt\":\"a\",\"n\":17}", 400, "\"param\":\"n\"");
}

static size_t decode_base64(fh_str text, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t held = 0, n = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, text.ptr[i]) - digits);
        if ((held += 6) < 8) continue;
        held -= 8;
        out[n++] = (uint8_t)(bits >> held);
    }
    return n;
}

static size_t count_tokens(const char *text)
{
    char body[256];
    snprintf(body, sizeof body, "{\"content\":\"%s\"}", text);
    FH_AUTO(json) fh_json *doc = post("/tokenize", body);
    return fh_json_count(fh_json_get(doc, "tokens"));
}

static void vectors_come_in_the_order_of_their_inputs(void **state)
{
    (void)state;
    const char *rest = "\"input\":[\"the inn\",\"a much longer text than the first one\",[116,104,101],\"x\",\"the inn\"]}";
    char numbers[512], base64[512];
    snprintf(numbers, sizeof numbers, "{\"model\":\"x\",\"dimensions\":64,%s", rest);
    snprintf(base64, sizeof base64, "{\"model\":\"x\",\"encoding_format\":\"base64\",%s", rest);
    FH_AUTO(json) fh_json *a = post("/v1/embeddings", numbers);
    FH_AUTO(json) fh_json *b = post("/v1/embeddings", base64);
    const fh_json *x = fh_json_get(a, "data"), *y = fh_json_get(b, "data");
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(a, "model")), "tiny"));
    assert_int_equal(fh_json_int(member(a, "usage", "prompt_tokens"), 0),
                     2 * count_tokens("the inn") + count_tokens("a much longer text than the first one") + 3 + 1);
    assert_int_equal(fh_json_count(x), 5);
    for (size_t i = 0; i < 5; i++) {
        float bits[64];
        const fh_json *v = fh_json_get(fh_json_at(x, i), "embedding");
        assert_int_equal(fh_json_int(fh_json_get(fh_json_at(x, i), "index"), -1), i);
        assert_int_equal(fh_json_count(v), 64);
        assert_int_equal(decode_base64(fh_json_str(fh_json_get(fh_json_at(y, i), "embedding")), (uint8_t *)bits), sizeof bits);
        for (size_t j = 0; j < 64; j++) assert_true(fabs(fh_json_num(fh_json_at(v, j), 9) - (double)bits[j]) < 1e-5);
        for (size_t j = 0; i == 4 && j < 64; j++)
            assert_true(fabs(fh_json_num(fh_json_at(v, j), 9) - fh_json_num(fh_json_at(fh_json_get(fh_json_at(x, 0), "embedding"), j), 9)) <
                        1e-5);
    }
}

static void the_input_that_is_wrong_is_named(void **state)
{
    (void)state;
    static char long_body[40000];
    answers("POST", "/v1/embeddings", "{\"model\":\"x\",\"input\":[\"a\",\"\"]}", 400, "\"param\":\"input[1]\"");
    answers("POST", "/v1/embeddings", "{\"model\":\"x\",\"input\":[[1],[320]]}", 400, "\"param\":\"input[1]\"");
    answers("POST", "/v1/embeddings", "{\"model\":\"x\",\"input\":[320]}", 400, "\"param\":\"input\"");
    answers("POST", "/v1/embeddings", "{\"model\":\"x\",\"input\":\"a\",\"dimensions\":32}", 400, "\"param\":\"dimensions\"");
    int n = snprintf(long_body, sizeof long_body, "{\"model\":\"x\",\"input\":[\"a\",\"b\",\"");
    memset(long_body + n, 'x', 30000);
    snprintf(long_body + n + 30000, sizeof long_body - (size_t)n - 30000, "\"]}");
    answers("POST", "/v1/embeddings", long_body, 400, "'input[2]' has 30000 tokens");
    answers("POST", "/v1/embeddings", long_body, 400, "context_length_exceeded");
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf out;
    static char long_body[40000];
    answers("GET", "/nothing", NULL, 404, "no such path");
    answers("GET", "/v1/completions", NULL, 405, "POST");
    answers("POST", "/v1/completions", "{\"model\":\"x\",\"prompt\":\"a\",\"best_of\":2}", 400, "\"param\":\"best_of\"");
    answers("POST", "/v1/completions", "{\"model\":\"x\",\"prompt\":\"\"}", 400, "prompt");
    answers("POST", "/v1/completions", "{", 400, "error");
    assert_int_equal(fetch("POST", "/v1/completions", "text/plain", "{}", &out), 415);
    int n = snprintf(long_body, sizeof long_body, "{\"model\":\"x\",\"prompt\":\"");
    memset(long_body + n, 'x', 30000);
    snprintf(long_body + n + 30000, sizeof long_body - (size_t)n - 30000, "\"}");
    answers("POST", "/v1/completions", long_body, 400, "30000");
}

/* ---- a client that goes away ---- */

static int connect_raw(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static bool running_is(const char *number)
{
    char want[64];
    FH_AUTO(buf) fh_buf out;
    snprintf(want, sizeof want, "\nfreehold_engine_requests_running %s\n", number);
    fetch("GET", "/metrics", NULL, NULL, &out);
    return strstr(fh_buf_cstr(&out), want) != NULL;
}

static void wait_running(const char *number)
{
    bool seen = false; /* once is enough: the next moment it may be another number */
    for (int i = 0; i < 2000 && !(seen = running_is(number)); i++) fh_sleep_ns(2 * FH_NS_PER_MS);
    assert_true(seen);
}

static void a_client_that_goes_away_frees_its_place(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bool stream = i % 2, both = i / 2;
        char request[512], body[256];
        snprintf(body, sizeof body, "{\"model\":\"x\",\"prompt\":\"go\",\"ignore_eos\":true,\"max_tokens\":4000,\"stream\":%s,\"n\":%d}",
                 stream ? "true" : "false", both ? 2 : 1);
        snprintf(request, sizeof request,
                 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        int fd = connect_raw();
        assert_int_equal(write(fd, request, strlen(request)), strlen(request));
        wait_running(both ? "2" : "1");
        close(fd);
        wait_running("0");
    }
}

static void a_client_that_leaves_its_vectors_frees_its_places(void **state)
{
    (void)state;
    static char body[1 << 18], request[(1 << 18) + 256];
    size_t n = (size_t)snprintf(body, sizeof body, "{\"model\":\"x\",\"input\":[\"a\"");
    for (int i = 0; i < 60; i++) {
        n += (size_t)snprintf(body + n, sizeof body - n, ",\"");
        memset(body + n, 'x', 4000);
        n += 4000;
        body[n++] = '"';
    }
    snprintf(body + n, sizeof body - n, "]}");
    snprintf(request, sizeof request,
             "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    int fd = connect_raw();
    for (size_t sent = 0; sent < strlen(request);) sent += (size_t)write(fd, request + sent, strlen(request) - sent);
    wait_running("1"); /* of two places one stays free */
    answers("POST", "/v1/completions", "{\"model\":\"x\",\"prompt\":\"go\",\"max_tokens\":2,\"ignore_eos\":true}", 200,
            "\"completion_tokens\":2");
    close(fd);
    wait_running("0");
    answers("POST", "/v1/embeddings", "{\"model\":\"x\",\"input\":\"a\"}", 200, "\"total_tokens\":1");
}

static void many_clients_are_served_at_once(void **state)
{
    (void)state;
    enum { MANY = 8 };
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        char request[512], body[256];
        snprintf(body, sizeof body, "{\"model\":\"x\",\"prompt\":\"client %d\",\"ignore_eos\":true,\"max_tokens\":20}", i);
        snprintf(request, sizeof request,
                 "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
                 "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        fds[i] = connect_raw();
        assert_int_equal(write(fds[i], request, strlen(request)), strlen(request));
    }
    for (int i = 0; i < MANY; i++) {
        char reply[16384];
        size_t n = 0;
        for (ssize_t got; (got = read(fds[i], reply + n, sizeof reply - 1 - n)) > 0;) n += (size_t)got;
        reply[n] = '\0';
        assert_non_null(strstr(reply, "\"completion_tokens\":20"));
        close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_when_it_is_ready_and_what_it_is),
        cmocka_unit_test(a_chat_answers_with_usage_and_timings),
        cmocka_unit_test(a_prediction_changes_nothing_but_the_time),
        cmocka_unit_test(the_same_seed_gives_the_same_text_and_logprobs_are_there),
        cmocka_unit_test(a_prompt_beyond_the_context_has_the_code_that_clients_know),
        cmocka_unit_test(a_forced_call_of_a_tool_fits_its_schema),
        cmocka_unit_test(an_answer_is_held_to_its_format),
        cmocka_unit_test(beside_tools_an_answer_or_a_call_comes),
        cmocka_unit_test(a_form_that_cannot_be_held_is_refused_at_its_place),
        cmocka_unit_test(a_completion_can_echo_its_prompt),
        cmocka_unit_test(a_stream_is_chunks_then_usage_then_done),
        cmocka_unit_test(choices_draw_for_themselves_and_share_a_prompt),
        cmocka_unit_test(a_stream_of_choices_ends_each_and_is_done_once),
        cmocka_unit_test(as_many_choices_as_are_bounded),
        cmocka_unit_test(text_and_tokens_go_both_ways),
        cmocka_unit_test(a_chat_shows_the_prompt_that_it_becomes),
        cmocka_unit_test(vectors_come_in_the_order_of_their_inputs),
        cmocka_unit_test(the_input_that_is_wrong_is_named),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_client_that_goes_away_frees_its_place),
        cmocka_unit_test(a_client_that_leaves_its_vectors_frees_its_places),
        cmocka_unit_test(many_clients_are_served_at_once),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
