/* Chat and completion requests: what is read, what is refused, and which field is named. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/openai.h"
#include <stdio.h>

#define M    "\"model\":\"m\","
#define U    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CHAT "{" M U

static void chat(const char *text, fh_wire_request *r)
{
    fh_err *err = NULL;
    if (fh_wire_chat_parse(r, fh_str_of(text), &err) < 0) fail_msg("%s: %s", text, fh_err_message(err));
}

static void completion(const char *text, fh_wire_request *r)
{
    fh_err *err = NULL;
    if (fh_wire_completion_parse(r, fh_str_of(text), &err) < 0) fail_msg("%s: %s", text, fh_err_message(err));
}

static void absent_fields_hold_the_defaults_of_the_api(void **state)
{
    static const char *const texts[] = {
        CHAT "}",
        CHAT ",\"temperature\":null,\"top_p\":null,\"stop\":null,\"seed\":null,\"n\":null,\"max_tokens\":null,\"logprobs\":null,"
             "\"top_logprobs\":null,\"logit_bias\":null,\"stream\":null,\"stream_options\":null,\"tools\":null,\"tool_choice\":null,"
             "\"response_format\":null,\"modalities\":null,\"audio\":null,\"store\":null,\"metadata\":null,\"user\":null}"};
    for (size_t i = 0; i < FH_COUNT(texts); i++) {
        fh_wire_request r;
        chat(texts[i], &r);
        const fh_wire_sampling *s = &r.sampling;
        assert_int_equal(r.kind, FH_WIRE_CHAT);
        assert_true(fh_str_eqs(r.model, "m"));
        assert_int_equal(fh_json_count(r.messages), 1);
        assert_true(s->temperature == 1 && s->top_p == 1 && s->min_p == 0 && s->repetition_penalty == 1 && s->presence_penalty == 0 &&
                    s->frequency_penalty == 0);
        assert_true(!s->has_temperature && !s->has_seed && !s->logprobs && !s->ignore_eos && !r.stream && !r.include_usage);
        assert_true(s->top_k == 0 && s->max_tokens == -1 && s->stop_count == 0 && s->bias_count == 0);
        assert_int_equal(r.choices, 1);
        assert_false(r.no_generation_prompt);
        assert_null(r.tools);
        assert_null(r.template_variables);
        fh_wire_request_fini(&r);
    }
}

static void given_fields_are_read(void **state)
{
    fh_wire_request r;
    chat(CHAT ",\"temperature\":0,\"top_p\":0.5,\"min_p\":0.1,\"top_k\":40,\"repetition_penalty\":1.1,\"presence_penalty\":-2,\"frequency_"
              "penalty\":2,\"seed\":-1,"
              "\"max_tokens\":5,\"max_completion_tokens\":7,\"stop\":[\"a\",\"\\u00e4\"],\"logit_bias\":{\"50256\":-100,\"7\":0.5},"
              "\"logprobs\":true,\"top_logprobs\":20,"
              "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"ignore_eos\":true,\"chat_template_kwargs\":{\"x\":1},"
              "\"unknown\":[1,{}]}",
         &r);
    const fh_wire_sampling *s = &r.sampling;
    assert_true(s->has_temperature && s->temperature == 0 && s->top_p == 0.5 && s->min_p == 0.1 && s->top_k == 40 &&
                s->repetition_penalty == 1.1);
    assert_true(s->presence_penalty == -2 && s->frequency_penalty == 2 && s->has_seed && s->seed == UINT64_MAX && s->max_tokens == 7);
    assert_int_equal(s->stop_count, 2);
    assert_true(fh_str_eqs(s->stops[1], "\xc3\xa4"));
    assert_int_equal(s->bias_count, 2);
    assert_true(s->bias[0].token == 50256 && s->bias[0].value == -100 && s->bias[1].token == 7 && s->bias[1].value == 0.5f);
    assert_true(s->logprobs && s->top_logprobs == 20 && r.stream && r.include_usage && s->ignore_eos);
    assert_int_equal(fh_json_count(r.template_variables), 1);
    fh_wire_request_fini(&r);
    fh_wire_request_fini(&r);
}

static void llama_servers_names_are_taken_where_ours_are_not_there(void **state)
{
    static const struct {
        const char *more;
        int64_t max_tokens;
        double penalty;
    } rows[] = {
        {"\"n_predict\":5,\"repeat_penalty\":1.5", 5, 1.5},
        {"\"n_predict\":-1", -1, 1},
        {"\"n_predict\":5,\"max_tokens\":6,\"repeat_penalty\":1.5,\"repetition_penalty\":2", 6, 2},
        {"\"max_completion_tokens\":7,\"n_predict\":5", 7, 1},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char text[512];
        fh_wire_request r;
        snprintf(text, sizeof text, "%s,%s}", CHAT, rows[i].more);
        chat(text, &r);
        assert_int_equal(r.sampling.max_tokens, rows[i].max_tokens);
        assert_true(r.sampling.repetition_penalty == rows[i].penalty);
        fh_wire_request_fini(&r);
    }
}

static void a_prompt_may_end_without_the_beginning_of_an_answer(void **state)
{
    fh_wire_request r;
    chat(CHAT ",\"add_generation_prompt\":false}", &r);
    assert_true(r.no_generation_prompt && !r.continue_final && !r.needs);
    fh_wire_request_fini(&r);
}

static void a_single_stop_string_and_odd_but_harmless_values_are_taken(void **state)
{
    static const char *const texts[] = {
        CHAT ",\"stop\":\"x\"}",
        CHAT ",\"stop\":[]}",
        CHAT ",\"top_k\":-1,\"n\":1,\"logit_bias\":{},\"tools\":[],\"functions\":[],\"function_call\":\"none\",\"modalities\":[\"text\"],"
             "\"response_format\":{\"type\":\"text\"}}",
        CHAT ",\"store\":false,\"metadata\":{\"a\":\"b\"},\"service_tier\":\"auto\",\"reasoning_effort\":\"low\",\"verbosity\":\"medium\","
             "\"user\":\"u\","
             "\"prompt_cache_key\":\"k\",\"safety_identifier\":\"s\",\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"parallel_"
             "tool_calls\":false}",
    };
    for (size_t i = 0; i < FH_COUNT(texts); i++) {
        fh_wire_request r;
        chat(texts[i], &r);
        fh_wire_request_fini(&r);
    }
}

static void every_role_and_form_of_content_is_taken(void **state)
{
    fh_wire_request r;
    fh_json *list = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    chat("{" M
         "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":\"d\"}]},"
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],\"name\":\"n\"},"
         "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}]},"
         "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"},{\"role\":\"assistant\",\"reasoning_content\":\"t\",\"content\":"
         "null},"
         "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
         "{\"role\":\"function\",\"name\":\"f\",\"content\":null},{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":"
         "\"no\"}]}]}",
         &r);
    assert_int_equal(fh_wire_template_messages(&r, &list, NULL), 0);
    assert_int_equal(fh_json_write(list, &out, NULL), 0);
    assert_string_equal(
        fh_buf_cstr(&out),
        "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"a\\nb\","
        "\"name\":\"n\"},"
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"},{\"role\":\"assistant\",\"reasoning_content\":\"t\",\"content\":"
        "\"\"},"
        "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c2\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}],\"content\":\"\"},"
        "{\"role\":\"function\",\"name\":\"f\",\"content\":\"\"},{\"role\":\"assistant\",\"content\":\"no\"}]");
    fh_json_unref(list);
    fh_wire_request_fini(&r);
}

static void tools_are_passed_on_unless_none_is_to_be_called(void **state)
{
#define TOOL "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}"
    fh_wire_request r;
    chat(CHAT ",\"tools\":[" TOOL "],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true}", &r);
    assert_int_equal(fh_json_count(r.tools), 1);
    fh_wire_request_fini(&r);
    chat(CHAT ",\"tools\":[" TOOL "],\"tool_choice\":\"none\",\"parallel_tool_calls\":false}", &r);
    assert_null(r.tools);
    fh_wire_request_fini(&r);
}

static void completions_take_text_and_tokens(void **state)
{
    fh_wire_request r;
    completion("{" M "\"prompt\":\"p\",\"echo\":true,\"max_tokens\":0,\"logprobs\":0,\"best_of\":1,\"suffix\":\"\"}", &r);
    assert_true(r.kind == FH_WIRE_COMPLETION && fh_str_eqs(r.prompt, "p") && r.echo && r.sampling.logprobs &&
                r.sampling.top_logprobs == 0 && r.sampling.max_tokens == 0);
    fh_wire_request_fini(&r);
    completion("{" M "\"prompt\":[\"p\"],\"logprobs\":5}", &r);
    assert_true(fh_str_eqs(r.prompt, "p") && r.sampling.top_logprobs == 5);
    fh_wire_request_fini(&r);
    completion("{" M "\"prompt\":\"\"}", &r);
    assert_true(r.prompt.ptr && r.prompt.len == 0 && !r.sampling.logprobs);
    fh_wire_request_fini(&r);
    static const char *const tokens[] = {"{" M "\"prompt\":[1,2,3]}", "{" M "\"prompt\":[[1,2,3]]}"};
    for (size_t i = 0; i < FH_COUNT(tokens); i++) {
        completion(tokens[i], &r);
        assert_null(r.prompt.ptr);
        assert_int_equal(r.prompt_token_count, 3);
        assert_int_equal(r.prompt_tokens[2], 3);
        fh_wire_request_fini(&r);
    }
}

/* As an upstream that can do no more than everyone. */
static int plain_chat(fh_wire_request *r, fh_str body, fh_err **err)
{
    int rc = fh_wire_chat_parse(r, body, err);
    if (rc == 0 && (rc = fh_wire_needs_check(r, 0, err))) fh_wire_request_fini(r);
    return rc;
}

static int plain_completion(fh_wire_request *r, fh_str body, fh_err **err)
{
    int rc = fh_wire_completion_parse(r, body, err);
    if (rc == 0 && (rc = fh_wire_needs_check(r, 0, err))) fh_wire_request_fini(r);
    return rc;
}

typedef struct bad {
    const char *text, *param, *says; /* param NULL: the body as a whole */
} bad;

static void expect_bad(const bad *rows, size_t count, int (*parse)(fh_wire_request *, fh_str, fh_err **))
{
    for (size_t i = 0; i < count; i++) {
        fh_wire_request r = {0};
        fh_err *err = NULL;
        int rc = parse(&r, fh_str_of(rows[i].text), &err);
        if (rc != FH_E_INVALID) fail_msg("%s: %d", rows[i].text, rc);
        const char *param = fh_err_param_get(err);
        if ((param == NULL) != (rows[i].param == NULL) || (param && strcmp(param, rows[i].param) != 0))
            fail_msg("%s: param %s", rows[i].text, param ? param : "none");
        if (!strstr(fh_err_message(err), rows[i].says)) fail_msg("%s: %s", rows[i].text, fh_err_message(err));
        assert_null(r.doc);
        fh_err_free(err);
    }
}

static void a_bad_chat_request_names_its_field(void **state)
{
#define MSG(m) "{" M "\"messages\":[" m "]}"
    static const bad rows[] = {
        {"", NULL, "request body"},
        {"[]", NULL, "must be a JSON object"},
        {"{\"model\":", NULL, "request body"},
        {"{" U "}", "model", "missing"},
        {"{\"model\":7," U "}", "model", "string"},
        {"{\"model\":\"\"," U "}", "model", "empty"},
        {"{" M "\"x\":1}", "messages", "missing"},
        {"{" M "\"messages\":[]}", "messages", "at least one"},
        {"{" M "\"messages\":\"hi\"}", "messages", "array"},
        {MSG("7"), "messages[0]", "not an object"},
        {MSG("{\"content\":\"x\"}"), "messages[0].role", "no role"},
        {MSG("{\"role\":\"robot\",\"content\":\"x\"}"), "messages[0].role", "none of"},
        {MSG("{\"role\":\"user\"}"), "messages[0].content", "must be a string"},
        {MSG("{\"role\":\"user\",\"content\":null}"), "messages[0].content", "must be a string"},
        {MSG("{\"role\":\"assistant\",\"content\":null}"), "messages[0].content", "must be a string"},
        {MSG("{\"role\":\"user\",\"content\":[]}"), "messages[0].content", "empty"},
        {MSG("{\"role\":\"user\",\"content\":7}"), "messages[0].content", "must be a string"},
        {MSG("{\"role\":\"user\",\"content\":[\"x\"]}"), "messages[0].content[0]", "no type"},
        {MSG("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}"),
         "messages[0].content[1]", "an image in a message is not supported"},
        {MSG("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}"), "messages[0].content[0]", "needs an object"},
        {MSG("{\"role\":\"user\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"x\"}]}"), "messages[0].content[0]",
         "there is no content of type 'refusal'"},
        {MSG("{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"), "messages[0].content[0]", "no text"},
        {MSG("{\"role\":\"user\",\"content\":\"x\",\"name\":7}"), "messages[0].name", "'name'"},
        {MSG("{\"role\":\"tool\",\"content\":\"x\"}"), "messages[0].tool_call_id", "'tool_call_id'"},
        {MSG("{\"role\":\"function\",\"content\":\"x\"}"), "messages[0].name", "'name'"},
        {MSG("{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":{}}"), "messages[0].tool_calls", "not an array"},
        {MSG("{\"role\":\"assistant\",\"tool_calls\":[{}]}"), "messages[0].tool_calls[0]", "no id"},
        {MSG("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\"}]}"), "messages[0].tool_calls[0]", "names no function"},
        {MSG("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}}]}"), "messages[0].tool_calls[0]",
         "arguments"},
        {CHAT ",\"temperature\":2.1}", "temperature", "between 0 and 2"},
        {CHAT ",\"temperature\":\"hot\"}", "temperature", "number"},
        {CHAT ",\"top_p\":1.5}", "top_p", "between"},
        {CHAT ",\"min_p\":-1}", "min_p", "between"},
        {CHAT ",\"top_k\":-2}", "top_k", "between"},
        {CHAT ",\"repetition_penalty\":0}", "repetition_penalty", "between"},
        {CHAT ",\"presence_penalty\":3}", "presence_penalty", "between"},
        {CHAT ",\"frequency_penalty\":-3}", "frequency_penalty", "between"},
        {CHAT ",\"seed\":1.5}", "seed", "integer"},
        {CHAT ",\"max_tokens\":0}", "max_tokens", "between"},
        {CHAT ",\"n_predict\":0}", "n_predict", "at least 1"},
        {CHAT ",\"n_predict\":-2}", "n_predict", "between"},
        {CHAT ",\"repeat_penalty\":0}", "repeat_penalty", "between"},
        {CHAT ",\"add_generation_prompt\":1}", "add_generation_prompt", "true or false"},
        {CHAT ",\"max_completion_tokens\":-1}", "max_completion_tokens", "between"},
        {CHAT ",\"stop\":7}", "stop", "string or an array"},
        {CHAT ",\"stop\":[\"a\",7]}", "stop", "string or an array"},
        {CHAT ",\"stop\":\"\"}", "stop", "empty"},
        {CHAT ",\"stop\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}", "stop", "at most 16"},
        {CHAT ",\"logit_bias\":[]}", "logit_bias", "object"},
        {CHAT ",\"logit_bias\":{\"a\":1}}", "logit_bias", "not a token id"},
        {CHAT ",\"logit_bias\":{\"-1\":1}}", "logit_bias", "not a token id"},
        {CHAT ",\"logit_bias\":{\"1\":101}}", "logit_bias", "between"},
        {CHAT ",\"logit_bias\":{\"1\":\"x\"}}", "logit_bias", "number"},
        {CHAT ",\"logprobs\":5}", "logprobs", "true or false"},
        {CHAT ",\"top_logprobs\":5}", "top_logprobs", "needs 'logprobs'"},
        {CHAT ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs", "between"},
        {CHAT ",\"stream\":\"yes\"}", "stream", "true or false"},
        {CHAT ",\"stream_options\":{\"include_usage\":true}}", "stream_options", "only allowed"},
        {CHAT ",\"stream\":true,\"stream_options\":7}", "stream_options", "object"},
        {CHAT ",\"stream\":true,\"stream_options\":{\"include_usage\":7}}", "stream_options", "true or false"},
        {CHAT ",\"n\":2}", "n", "not supported"},
        {CHAT ",\"n\":0}", "n", "between"},
        {CHAT ",\"continue_final_message\":true}", "continue_final_message", "not the assistant's"},
        {CHAT ",\"continue_final_message\":1}", "continue_final_message", "true or false"},
        {"{" M "\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}],\"continue_final_message\":true}", "continue_final_message",
         "not supported"},
        {"{" M "\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}],\"continue_final_message\":true,\"add_generation_prompt\":true}",
         "add_generation_prompt", "exclude"},
        {CHAT ",\"tools\":{}}", "tools", "array"},
        {CHAT ",\"tools\":[{\"type\":\"web_search\"}]}", "tools[0]", "only one supported"},
        {CHAT ",\"tools\":[{\"type\":\"function\"}]}", "tools[0]", "no name"},
        {CHAT ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":7}}]}", "tools[0]", "parameters"},
        {CHAT ",\"tools\":[" TOOL "],\"tool_choice\":\"required\"}", "tool_choice", "not supported"},
        {CHAT ",\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}", "tool_choice",
         "not supported"},
        {CHAT ",\"tools\":[" TOOL "],\"parallel_tool_calls\":false}", "parallel_tool_calls", "not supported"},
        {CHAT ",\"functions\":[{\"name\":\"f\"}]}", "functions", "replaced"},
        {CHAT ",\"function_call\":{\"name\":\"f\"}}", "function_call", "replaced"},
        {CHAT ",\"response_format\":{\"type\":\"json_object\"}}", "response_format", "not supported"},
        {CHAT ",\"response_format\":{}}", "response_format.type", "missing"},
        {CHAT ",\"response_format\":\"json\"}", "response_format", "object"},
        {CHAT ",\"modalities\":[\"text\",\"audio\"]}", "modalities", "not supported"},
        {CHAT ",\"audio\":{\"voice\":\"x\"}}", "audio", "not supported"},
        {CHAT ",\"web_search_options\":{}}", "web_search_options", "not supported"},
        {CHAT ",\"store\":true}", "store", "not supported"},
        {CHAT ",\"metadata\":{\"a\":7}}", "metadata", "strings"},
        {CHAT ",\"service_tier\":\"priority\"}", "service_tier", "not supported"},
        {CHAT ",\"verbosity\":\"high\"}", "verbosity", "not supported"},
        {CHAT ",\"reasoning_effort\":\"enormous\"}", "reasoning_effort", "no such value"},
        {CHAT ",\"prediction\":7}", "prediction", "object"},
        {CHAT ",\"user\":7}", "user", "string"},
        {CHAT ",\"chat_template_kwargs\":7}", "chat_template_kwargs", "object"},
    };
    expect_bad(rows, FH_COUNT(rows), plain_chat);
}

static void a_bad_completion_request_names_its_field(void **state)
{
#define P "{" M "\"prompt\":\"p\""
    static const bad rows[] = {
        {"{" M "\"x\":1}", "prompt", "missing"},
        {"{" M "\"prompt\":7}", "prompt", "string or an array"},
        {"{" M "\"prompt\":[]}", "prompt", "string or an array"},
        {"{" M "\"prompt\":[[]]}", "prompt", "string or an array"},
        {"{" M "\"prompt\":[[[1]]]}", "prompt", "string or an array"},
        {"{" M "\"prompt\":[null]}", "prompt", "string or an array"},
        {"{" M "\"prompt\":[\"a\",\"b\"]}", "prompt", "more than one prompt"},
        {"{" M "\"prompt\":[1,\"b\"]}", "prompt", "item 1"},
        {"{" M "\"prompt\":[1,-1]}", "prompt", "item 1"},
        {"{" M "\"prompt\":[1,4294967296]}", "prompt", "item 1"},
        {P ",\"logprobs\":true}", "logprobs", "integer"},
        {P ",\"logprobs\":21}", "logprobs", "between"},
        {P ",\"best_of\":2}", "best_of", "not supported"},
        {P ",\"suffix\":\"x\"}", "suffix", "not supported"},
        {P ",\"echo\":1}", "echo", "true or false"},
        {P ",\"n\":3}", "n", "not supported"},
        {P ",\"max_tokens\":-1}", "max_tokens", "between"},
    };
    expect_bad(rows, FH_COUNT(rows), plain_completion);
}

static void what_a_request_needs_is_said_with_its_place(void **state)
{
    fh_wire_request r = {0};
    fh_err *err = NULL;
    chat("{" M "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:\"}}]}],\"n\":2}",
         &r);
    assert_int_equal(r.needs, FH_NEED_BIT(CHOICES) | FH_NEED_BIT(IMAGES));
    assert_string_equal(r.need_params[FH_NEED_IMAGES], "messages[0].content[1]");
    assert_int_equal(fh_wire_needs_check(&r, FH_NEED_BIT(CHOICES) | FH_NEED_BIT(IMAGES) | FH_NEED_BIT(TIER), &err), 0);
    assert_int_equal(fh_wire_needs_check(&r, FH_NEED_BIT(CHOICES), &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "messages[0].content[1]");
    fh_err_free(err);
    fh_wire_request_fini(&r);
}

static void limits_are_kept(void **state)
{
    FH_AUTO(buf) fh_buf many = FH_BUF(1 << 20), bias = FH_BUF(1 << 20), stop = FH_BUF(1 << 20);
    fh_buf_adds(&many, "{" M "\"messages\":[");
    for (int i = 0; i <= 4096; i++) fh_buf_addf(&many, "%s{\"role\":\"user\",\"content\":\"\"}", i ? "," : "");
    fh_buf_adds(&many, "]}");
    fh_buf_adds(&bias, CHAT ",\"logit_bias\":{");
    for (int i = 0; i <= 1024; i++) fh_buf_addf(&bias, "%s\"%d\":1", i ? "," : "", i);
    fh_buf_adds(&bias, "}}");
    fh_buf_adds(&stop, CHAT ",\"stop\":\"");
    for (int i = 0; i <= 1024; i++) fh_buf_addc(&stop, 'x');
    fh_buf_adds(&stop, "\"}");
    bad rows[] = {
        {many.data, "messages", "at most 4096"}, {bias.data, "logit_bias", "at most 1024"}, {stop.data, "stop", "longer than 1024"}};
    expect_bad(rows, FH_COUNT(rows), plain_chat);
}

static int scenario(void *arg)
{
    fh_wire_request r = {0};
    fh_json *list = NULL;
    fh_err *err = NULL;
    int rc = fh_wire_chat_parse(&r, FH_STR(CHAT ",\"stop\":[\"a\"],\"logit_bias\":{\"1\":2},\"tools\":[" TOOL "]}"), &err);
    if (rc == 0) rc = fh_wire_template_messages(&r, &list, &err);
    fh_json_unref(list);
    fh_wire_request_fini(&r);
    if (rc == 0) rc = fh_wire_completion_parse(&r, FH_STR("{" M "\"prompt\":[1,2]}"), &err);
    fh_wire_request_fini(&r);
    fh_err_free(err);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 1000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_fields_hold_the_defaults_of_the_api),
        cmocka_unit_test(given_fields_are_read),
        cmocka_unit_test(llama_servers_names_are_taken_where_ours_are_not_there),
        cmocka_unit_test(a_prompt_may_end_without_the_beginning_of_an_answer),
        cmocka_unit_test(a_single_stop_string_and_odd_but_harmless_values_are_taken),
        cmocka_unit_test(every_role_and_form_of_content_is_taken),
        cmocka_unit_test(tools_are_passed_on_unless_none_is_to_be_called),
        cmocka_unit_test(completions_take_text_and_tokens),
        cmocka_unit_test(a_bad_chat_request_names_its_field),
        cmocka_unit_test(a_bad_completion_request_names_its_field),
        cmocka_unit_test(what_a_request_needs_is_said_with_its_place),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
