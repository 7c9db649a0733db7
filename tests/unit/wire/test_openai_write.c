/* Replies, chunks, models and errors, byte for byte. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/openai.h"
#include <math.h>

static const fh_wire_reply chat = {true, "chatcmpl-1", "m\"1", 1700000000, "fp"};
static const fh_wire_reply completion = {false, "cmpl-1", "m", 1700000000, NULL};

static const fh_wire_logprob tops[] = {{FH_STR("Hi"), -0.5f, NULL, 0}, {FH_STR("\xe2\x82"), -INFINITY, NULL, 0}};
static const fh_wire_logprob tokens[] = {
    {FH_STR("Hi"), -0.5f, tops, 2}, {FH_STR("\xe2\x82"), -1.25f, NULL, 0}, {FH_STR("\xac"), 0.0f, NULL, 0}};

#define HEAD                                                                                                                               \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\\\"1\",\"system_fingerprint\":"      \
    "\"fp\","
#define TEXT_HEAD "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":null,"

static void expect_chunk(const fh_wire_reply *r, const fh_wire_piece *p, const char *text)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    FH_AUTO(json) fh_json *doc = NULL;
    assert_true(fh_wire_chunk_write(&out, r, p));
    assert_string_equal(fh_buf_cstr(&out), text);
    assert_int_equal(fh_json_parse(&doc, (fh_str){out.data, out.len}, 65536, NULL), 0);
}

static void chat_chunks_have_a_role_then_text_then_a_reason(void **state)
{
    expect_chunk(&chat, &(fh_wire_piece){.role = true},
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"refusal\":null,\"content\":\"\"},\"logprobs\":null,"
                      "\"finish_reason\":null}]}");
    expect_chunk(&chat, &(fh_wire_piece){.text = FH_STR("a\n\"\xff"), .null_usage = true},
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\n\\\"\xef\xbf\xbd\"},\"logprobs\":null,\"finish_reason\":null}"
                      "],\"usage\":null}");
    expect_chunk(&chat, &(fh_wire_piece){.finish = "stop"},
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    expect_chunk(&chat, &(fh_wire_piece){.finish = "stop", .stop = FH_STR("END")},
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\",\"stop_reason\":\"END\"}]}");
    expect_chunk(&chat, &(fh_wire_piece){.text = FH_STR("z"), .finish = "length"},
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"z\"},\"logprobs\":null,\"finish_reason\":\"length\"}]}");
}

static void chat_logprobs_hold_each_token_with_its_bytes(void **state)
{
    fh_wire_piece p = {.text = FH_STR("Hi\xe2\x82\xac"), .logprobs = tokens, .logprob_count = 3, .want_logprobs = true};
    expect_chunk(
        &chat, &p,
        HEAD
        "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\xe2\x82\xac\"},\"logprobs\":{\"content\":["
        "{\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105],\"top_logprobs\":[{\"token\":\"Hi\",\"logprob\":-0.5,\"bytes\":[72,105]},"
        "{\"token\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"logprob\":-9999,\"bytes\":[226,130]}]},"
        "{\"token\":\"\xef\xbf\xbd\xef\xbf\xbd\",\"logprob\":-1.25,\"bytes\":[226,130],\"top_logprobs\":[]},"
        "{\"token\":\"\xef\xbf\xbd\",\"logprob\":0,\"bytes\":[172],\"top_logprobs\":[]}],\"refusal\":null},\"finish_reason\":null}]}");
    p.want_logprobs = false;
    expect_chunk(&chat, &p,
                 HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\xe2\x82\xac\"},\"logprobs\":null,\"finish_reason\":null}]}");
}

static void completion_logprobs_are_parallel_arrays(void **state)
{
    fh_wire_logprob echoed[] = {{FH_STR("<s>"), NAN, NULL, 0}, tokens[0], tokens[1], tokens[2]};
    fh_wire_piece p = {.text = FH_STR("<s>Hi\xe2\x82\xac"),
                       .logprobs = echoed,
                       .logprob_count = 4,
                       .want_logprobs = true,
                       .text_offset = 7,
                       .finish = "stop"};
    expect_chunk(&completion, &p,
                 TEXT_HEAD "\"choices\":[{\"index\":0,\"text\":\"<s>Hi\xe2\x82\xac\",\"logprobs\":{\"text_offset\":[7,10,12,13],\"token_"
                           "logprobs\":[null,-0.5,-1.25,0],"
                           "\"tokens\":[\"<s>\",\"Hi\",\"bytes:\\\\xe2\\\\x82\",\"bytes:\\\\xac\"],"
                           "\"top_logprobs\":[null,{\"Hi\":-0.5,\"bytes:\\\\xe2\\\\x82\":-9999},{},{}]},\"finish_reason\":\"stop\"}]}");
}

static void usage_comes_in_a_chunk_without_choices(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    fh_wire_usage u = {.prompt_tok = 10, .completion_tok = 5, .cached_tok = 3};
    assert_true(fh_wire_usage_chunk_write(&out, &chat, &u, ",\"timings\":{}"));
    assert_string_equal(fh_buf_cstr(&out),
                        HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
                             "\"prompt_tokens_details\":{\"cached_tokens\":3}},\"timings\":{}}");
}

static void usage_of_a_prediction_says_how_much_of_it_came(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    fh_wire_usage u = {.prompt_tok = 10, .completion_tok = 5, .predicted_tok = 4, .mispredicted_tok = 1};
    assert_true(fh_wire_usage_chunk_write(&out, &chat, &u, NULL));
    assert_string_equal(fh_buf_cstr(&out),
                        HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
                             "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{"
                             "\"accepted_prediction_tokens\":4,\"rejected_prediction_tokens\":1}}}");
}

static void whole_replies_hold_the_message_and_the_usage(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536), text = FH_BUF(65536);
    fh_wire_usage u = {.prompt_tok = 1, .completion_tok = 2};
    fh_wire_piece p = {.text = FH_STR("hello"), .finish = "stop"};
    assert_true(fh_wire_reply_write(&out, &chat, &p, 1, &u, NULL));
    assert_string_equal(
        fh_buf_cstr(&out),
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\\\"1\",\"system_fingerprint\":\"fp\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\",\"refusal\":null},\"logprobs\":null,"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0}}}");
    assert_true(fh_wire_reply_write(&text, &completion, &p, 1, &u, NULL));
    assert_string_equal(fh_buf_cstr(&text),
                        TEXT_HEAD "\"choices\":[{\"index\":0,\"text\":\"hello\",\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                                  "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3,"
                                  "\"prompt_tokens_details\":{\"cached_tokens\":0}}}");
}

static void choices_are_told_apart_by_their_index(void **state)
{
    FH_AUTO(buf) fh_buf whole = FH_BUF(65536), chunk = FH_BUF(65536);
    fh_wire_usage u = {0};
    fh_wire_piece p[] = {{.text = FH_STR("a"), .finish = "stop"}, {.choice = 1, .text = FH_STR("b"), .finish = "length"}};
    assert_true(fh_wire_reply_write(&whole, &completion, p, 2, &u, NULL));
    assert_non_null(strstr(fh_buf_cstr(&whole), "\"choices\":[{\"index\":0,\"text\":\"a\",\"logprobs\":null,\"finish_reason\":\"stop\"},"
                                                "{\"index\":1,\"text\":\"b\",\"logprobs\":null,\"finish_reason\":\"length\"}],"));
    assert_true(fh_wire_chunk_write(&chunk, &chat, &p[1]));
    assert_non_null(strstr(fh_buf_cstr(&chunk), "\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}"));
    (void)state;
}

static void models_are_listed(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536), none = FH_BUF(65536);
    fh_wire_model list[] = {{"a/b", "x", 5, 4096}, {"c", NULL, 6, 0}};
    assert_true(fh_wire_models_write(&out, list, 2));
    assert_string_equal(
        fh_buf_cstr(&out),
        "{\"object\":\"list\",\"data\":[{\"id\":\"a/b\",\"object\":\"model\",\"created\":5,\"owned_by\":\"x\",\"context_length\":4096},"
        "{\"id\":\"c\",\"object\":\"model\",\"created\":6,\"owned_by\":\"freehold\"}]}");
    assert_true(fh_wire_models_write(&none, NULL, 0));
    assert_string_equal(fh_buf_cstr(&none), "{\"object\":\"list\",\"data\":[]}");
}

static void expect_error(int code, const char *param, const char *hint, const char *text)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    fh_err *err = NULL;
    fh_err_set(&err, code, "it \"broke\"");
    if (param) fh_err_param(&err, "%s", param);
    if (hint) fh_err_hint(&err, "%s", hint);
    assert_true(fh_wire_error_write(&out, err));
    assert_string_equal(fh_buf_cstr(&out), text);
    fh_err_free(err);
}

static void the_reason_of_an_error_is_its_code(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1000);
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_INVALID, "too long");
    fh_err_reason(&err, "context_length_exceeded");
    assert_true(fh_wire_error_write(&out, err));
    assert_string_equal(fh_buf_cstr(&out), "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\",\"param\":null,"
                                           "\"code\":\"context_length_exceeded\"}}");
    fh_err_free(err);
}

static void errors_have_all_four_members(void **state)
{
    expect_error(
        FH_E_INVALID, "stop", "do that",
        "{\"error\":{\"message\":\"it \\\"broke\\\"; do that\",\"type\":\"invalid_request_error\",\"param\":\"stop\",\"code\":null}}");
    expect_error(FH_E_NOT_FOUND, NULL, NULL,
                 "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"not_found\"}}");
    expect_error(
        FH_E_UNAUTHENTICATED, NULL, NULL,
        "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"authentication_error\",\"param\":null,\"code\":\"invalid_api_key\"}}");
    expect_error(FH_E_FORBIDDEN, NULL, NULL,
                 "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"permission_error\",\"param\":null,\"code\":\"forbidden\"}}");
    expect_error(
        FH_E_BUSY, NULL, NULL,
        "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
    expect_error(
        FH_E_BUDGET, NULL, NULL,
        "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}");
    expect_error(FH_E_CONFLICT, NULL, NULL,
                 "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"conflict_error\",\"param\":null,\"code\":\"conflict\"}}");
    expect_error(FH_E_UNAVAILABLE, NULL, NULL,
                 "{\"error\":{\"message\":\"it \\\"broke\\\"\",\"type\":\"server_error\",\"param\":null,\"code\":\"unavailable\"}}");
}

static void problems_are_as_rfc_9457_has_them(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536), bare = FH_BUF(65536);
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_NOT_FOUND, "no deployment of that name");
    assert_true(fh_wire_problem_write(&bare, err, 404, NULL));
    assert_string_equal(fh_buf_cstr(&bare), "{\"type\":\"about:blank\",\"status\":404,\"retryable\":false,\"title\":\"not "
                                            "found\",\"detail\":\"no deployment of that name\",\"code\":\"not_found\"}");
    fh_err_hint(&err, "list them");
    fh_err_param(&err, "name");
    assert_true(fh_wire_problem_write(&out, err, 404, "req_1"));
    assert_non_null(strstr(fh_buf_cstr(&out), ",\"hint\":\"list them\",\"param\":\"name\",\"instance\":\"req_1\"}"));
    fh_err_free(err);
}

static int scenario(void *arg)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    fh_wire_piece p = {.text = FH_STR("Hi"), .logprobs = tokens, .logprob_count = 3, .want_logprobs = true};
    fh_wire_usage u = {0};
    bool ok =
        fh_wire_reply_write(&out, &chat, &p, 1, &u, NULL) && fh_wire_chunk_write(&out, &completion, &p) && fh_wire_error_write(&out, NULL);
    return ok ? 0 : FH_E_NOMEM;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 100) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_chunks_have_a_role_then_text_then_a_reason),
        cmocka_unit_test(chat_logprobs_hold_each_token_with_its_bytes),
        cmocka_unit_test(completion_logprobs_are_parallel_arrays),
        cmocka_unit_test(usage_comes_in_a_chunk_without_choices),
        cmocka_unit_test(usage_of_a_prediction_says_how_much_of_it_came),
        cmocka_unit_test(whole_replies_hold_the_message_and_the_usage),
        cmocka_unit_test(choices_are_told_apart_by_their_index),
        cmocka_unit_test(models_are_listed),
        cmocka_unit_test(errors_have_all_four_members),
        cmocka_unit_test(the_reason_of_an_error_is_its_code),
        cmocka_unit_test(problems_are_as_rfc_9457_has_them),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
