/* What a client asks in its API, and what an upstream of each API gets of it. */
#include "cmocka_all.h"
#include "ask.h"
#include "wire/messages.h"

#define CHAT     "{\"model\":\"m\", \"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define MESSAGES "{\"model\":\"m\", \"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* sent: text that the client has already, or NULL. */
static int try_write(fh_wire_dialect client, const char *body, fh_wire_dialect upstream, const char *sent, fh_buf *out, fh_err **err)
{
    fh_ask a = {0};
    fh_sent s;
    fh_route r = {.dialect = upstream, .resume = FH_RESUME_TEXT, .upstream_model = "theirs"};
    fh_sent_init(&s);
    if (sent) {
        fh_sent_event(&s, &(fh_wire_event){.kind = FH_EVENT_TEXT, .text = fh_str_of(sent)});
        fh_sent_comment(&s, (fh_str){0}, true);
    }
    int rc = fh_ask_read(&a, client, false, fh_str_of(body), err);
    if (rc == 0) rc = fh_ask_write(&a, &r, 0, &s, out, err);
    fh_ask_fini(&a);
    fh_sent_fini(&s);
    return rc;
}

static void expect(fh_wire_dialect client, const char *body, fh_wire_dialect upstream, const char *sent, const char *want)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_err *err = NULL;
    if (try_write(client, body, upstream, sent, &out, &err)) fail_msg("%s: %s", body, fh_err_message(err));
    assert_string_equal(fh_buf_cstr(&out), want);
}

static void watch(fh_wire_dialect client, const char *body, fh_wire_dialect upstream, const char *want)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_ask a = {0};
    fh_route r = {.dialect = upstream, .upstream_model = "theirs", .watched = true};
    assert_int_equal(fh_ask_read(&a, client, false, fh_str_of(body), NULL), 0);
    assert_int_equal(fh_ask_write(&a, &r, 0, NULL, &out, NULL), 0);
    if (!strstr(fh_buf_cstr(&out), want)) fail_msg("'%s' is not in %s", want, fh_buf_cstr(&out));
    assert_int_equal(fh_ask_watches(&a, &r), strstr(want, "logprobs\":20") != NULL);
    fh_ask_fini(&a);
}

static void a_watched_upstream_is_asked_for_log_probabilities(void **state)
{
    watch(FH_DIALECT_CHAT, CHAT "}", FH_DIALECT_CHAT, ",\"model\":\"theirs\",\"logprobs\":true,\"top_logprobs\":20}");
    watch(FH_DIALECT_CHAT, CHAT ",\"logprobs\":false}", FH_DIALECT_CHAT, "}],\"model\":\"theirs\",\"logprobs\":true,\"top_logprobs\":20}");
    watch(FH_DIALECT_COMPLETION, "{\"model\":\"m\",\"prompt\":\"a\"}", FH_DIALECT_CHAT, ",\"model\":\"theirs\",\"logprobs\":20}");
    watch(FH_DIALECT_MESSAGES, MESSAGES "}", FH_DIALECT_CHAT, ",\"logprobs\":true,\"top_logprobs\":20}");
}

static void nothing_is_asked_for_where_it_is_wanted_anyway_or_would_not_be_taken(void **state)
{
    watch(FH_DIALECT_CHAT, CHAT ",\"logprobs\":true}", FH_DIALECT_CHAT, "\"logprobs\":true,\"model\":\"theirs\"}");
    watch(FH_DIALECT_COMPLETION, "{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":0}", FH_DIALECT_CHAT,
          "\"logprobs\":0,\"model\":\"theirs\"}");
    watch(FH_DIALECT_COMPLETION, "{\"model\":\"m\",\"prompt\":\"a\",\"echo\":true}", FH_DIALECT_CHAT,
          "\"echo\":true,\"model\":\"theirs\"}");
    watch(FH_DIALECT_CHAT, CHAT ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}", FH_DIALECT_CHAT,
          "}}],\"model\":\"theirs\"}");
    watch(FH_DIALECT_MESSAGES, MESSAGES "}", FH_DIALECT_MESSAGES, "}],\"model\":\"theirs\"}");
}

static void what_an_upstream_of_the_same_api_gets_is_what_came(void **state)
{
    expect(FH_DIALECT_CHAT, CHAT ",\"x\": 1}", FH_DIALECT_CHAT, NULL,
           "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"x\": 1,\"model\":\"theirs\"}");
    expect(FH_DIALECT_MESSAGES, MESSAGES ",\"container\": \"c\",\"stream\":true}", FH_DIALECT_MESSAGES, NULL,
           "{\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"container\": "
           "\"c\",\"stream\":true,\"model\":\"theirs\"}");
}

static void each_api_is_said_in_the_words_of_the_other(void **state)
{
    expect(FH_DIALECT_MESSAGES, MESSAGES ",\"stream\":true}", FH_DIALECT_CHAT, NULL,
           "{\"max_tokens\":9,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"theirs\","
           "\"stream_options\":{\"include_usage\":true}}");
    expect(FH_DIALECT_CHAT, CHAT ",\"stream\":true}", FH_DIALECT_MESSAGES, NULL,
           "{\"model\":\"theirs\",\"max_tokens\":8192,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
           "\"text\":"
           "\"hi\"}]}]}");
}

static void an_answer_goes_on_where_the_other_api_can_say_so(void **state)
{
    static const char want[] =
        "{\"model\":\"theirs\",\"max_tokens\":8,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"so far\"}]}]}";
    expect(FH_DIALECT_CHAT, CHAT ",\"max_tokens\":9}", FH_DIALECT_MESSAGES, "so far", want);
    expect(FH_DIALECT_MESSAGES, MESSAGES "}", FH_DIALECT_MESSAGES, "so far", want);
}

static void an_answer_that_the_client_began_goes_on_as_one(void **state)
{
    static const char begun[] = "{\"model\":\"m\",\"continue_final_message\":true,\"add_generation_prompt\":false,"
                                "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"I \"}]}";
    expect(FH_DIALECT_CHAT, begun, FH_DIALECT_CHAT, "say so \n",
           "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"I say so\"}],"
           "\"continue_final_message\":true,\"add_generation_prompt\":false,\"model\":\"theirs\"}");
}

static void an_answer_of_nothing_but_blanks_is_asked_for_anew(void **state)
{
    expect(FH_DIALECT_CHAT, CHAT "}", FH_DIALECT_CHAT, " \n",
           "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"theirs\"}");
}

static void what_cannot_be_said_is_an_error(void **state)
{
    static const struct {
        fh_wire_dialect client, upstream;
        const char *body, *sent;
        int code;
        const char *param;
    } rows[] = {
        {FH_DIALECT_CHAT, FH_DIALECT_MESSAGES, CHAT ",\"seed\":1}", NULL, FH_E_INVALID, "seed"},
        {FH_DIALECT_CHAT, FH_DIALECT_CHAT,
         "{\"model\":\"m\",\"continue_final_message\":true,\"add_generation_prompt\":false,\"messages\":[{\"role\":\"user\",\"content\":"
         "\"hi\"},"
         "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"I\"},{\"type\":\"text\",\"text\":\"say\"}]}]}",
         "so far", FH_E_UNAVAILABLE, ""},
        {FH_DIALECT_MESSAGES, FH_DIALECT_MESSAGES, MESSAGES ",\"container\":\"c\"}", "so far", FH_E_UNAVAILABLE, ""},
        {FH_DIALECT_MESSAGES, FH_DIALECT_CHAT, MESSAGES ",\"seed\":\"x\"}", NULL, FH_E_INVALID, "seed"},
        {FH_DIALECT_MESSAGES, FH_DIALECT_CHAT, MESSAGES ",\"n\":1}", NULL, FH_E_INVALID, "n"},
        {FH_DIALECT_MESSAGES, FH_DIALECT_CHAT, "[]", NULL, FH_E_INVALID, ""},
        {FH_DIALECT_MESSAGES, FH_DIALECT_CHAT, "{", NULL, FH_E_INVALID, ""},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        fh_err *err = NULL;
        assert_int_equal(try_write(rows[i].client, rows[i].body, rows[i].upstream, rows[i].sent, &out, &err), rows[i].code);
        assert_string_equal(fh_err_param_get(err) ? fh_err_param_get(err) : "", rows[i].param);
        fh_err_free(err);
    }
}

/* What only an upstream of the same API can do, and needs that no engine has, keep the client's name. */
static void needs_are_named_as_the_client_knows_them(void **state)
{
    fh_ask a = {0};
    fh_err *err = NULL;
    static const char body[] =
        "{\"model\":\"m\",\"max_tokens\":9,\"container\":\"c\",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":"
        "{\"type\":\"object\"}}},\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\","
        "\"url\":\"https://e/\"}}]},{\"role\":\"assistant\",\"content\":\"so\"}]}";
    assert_int_equal(fh_ask_read(&a, FH_DIALECT_MESSAGES, false, fh_str_of(body), NULL), 0);
    assert_string_equal(fh_err_param_get(a.native), "container");
    assert_int_equal(a.common.needs, FH_NEED_BIT(FORMAT) | FH_NEED_BIT(IMAGES) | FH_NEED_BIT(PREFILL));
    assert_int_equal(fh_wire_needs_check(&a.common, FH_NEED_BIT(IMAGES) | FH_NEED_BIT(PREFILL), &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "output_config.format");
    assert_int_equal(fh_wire_needs_check(&a.common, FH_NEED_BIT(FORMAT) | FH_NEED_BIT(PREFILL), &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "messages");
    fh_err_free(err);
    fh_ask_fini(&a);
}

static void counting_goes_to_the_paths_that_count(void **state)
{
    fh_ask a = {0};
    assert_int_equal(
        fh_ask_read(&a, FH_DIALECT_MESSAGES, true, FH_STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"), NULL),
        0);
    assert_int_equal(a.common.sampling.max_tokens, -1);
    fh_ask_fini(&a);
    const fh_route messages = {.dialect = FH_DIALECT_MESSAGES}, chat = {0}, vllm = {.counts_at_tokenize = true};
    assert_string_equal(fh_ask_path(FH_DIALECT_MESSAGES, &messages, true), "/v1/messages/count_tokens");
    assert_string_equal(fh_ask_path(FH_DIALECT_MESSAGES, &chat, true), "/v1/chat/completions/input_tokens");
    assert_string_equal(fh_ask_path(FH_DIALECT_MESSAGES, &vllm, true), "/tokenize");
    assert_string_equal(fh_ask_path(FH_DIALECT_MESSAGES, &vllm, false), "/v1/chat/completions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watched_upstream_is_asked_for_log_probabilities),
        cmocka_unit_test(nothing_is_asked_for_where_it_is_wanted_anyway_or_would_not_be_taken),
        cmocka_unit_test(what_an_upstream_of_the_same_api_gets_is_what_came),
        cmocka_unit_test(each_api_is_said_in_the_words_of_the_other),
        cmocka_unit_test(an_answer_goes_on_where_the_other_api_can_say_so),
        cmocka_unit_test(what_cannot_be_said_is_an_error),
        cmocka_unit_test(an_answer_that_the_client_began_goes_on_as_one),
        cmocka_unit_test(an_answer_of_nothing_but_blanks_is_asked_for_anew),
        cmocka_unit_test(needs_are_named_as_the_client_knows_them),
        cmocka_unit_test(counting_goes_to_the_paths_that_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
