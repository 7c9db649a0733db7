/* Replies of engines, in both shapes, whole and not. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "honesty/reply.h"
#include <stdio.h>
#include <string.h>

#define ARRAYS                                                                                                                             \
    "{\"choices\":[{\"text\":\" a b\",\"finish_reason\":\"length\",\"logprobs\":{\"tokens\":[\" a\",\" "                                   \
    "b\"],\"token_logprobs\":[-0.5,null],"                                                                                                 \
    "\"top_logprobs\":[{\" a\":-0.5,\" c\":-1.5,\"\":-2},null]}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}"
#define OBJECTS                                                                                                                            \
    "{\"choices\":[{\"text\":\" a b\",\"logprobs\":{\"content\":[{\"token\":\" a\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\" "      \
    "a\",\"logprob\":-0.5},{\"token\":\" c\",\"logprob\":-1.5}]},{\"token\":\" b\",\"logprob\":3}]}}]}"

static fh_honesty_reply r;

static fh_json *parse(const char *text)
{
    fh_json *doc = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(text), 1 << 20, NULL), 0);
    return doc;
}

static void test_openais_arrays_are_read(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(ARRAYS);
    assert_int_equal(fh_honesty_reply_read(&r, doc, NULL), 0);
    assert_true(fh_str_eqs(r.text, " a b") && r.count == 2 && r.prompt_tok == 7 && r.completion_tok == 2 && !r.ended);
    assert_int_equal(r.positions[0].top_count, 2); /* the one without text is none */
    assert_true(r.positions[0].top[1].logprob > -1.6 && r.positions[0].top[1].logprob < -1.4);
    assert_int_equal(r.positions[1].top_count, 0);
    assert_true(r.positions[1].chosen.logprob < -9998);
}

static void test_the_objects_of_chats_are_read(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(OBJECTS);
    assert_int_equal(fh_honesty_reply_read(&r, doc, NULL), 0);
    assert_true(r.count == 2 && r.prompt_tok == -1 && r.completion_tok == -1 && r.positions[0].top_count == 2);
    assert_true(!(r.positions[1].chosen.logprob < 0)); /* nothing is likelier than sure */
}

static void test_replies_that_say_nothing_are_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "7",
                                      "{\"choices\":[]}",
                                      "{\"choices\":[{\"text\":\"a\"}]}",
                                      "{\"choices\":[{\"text\":\"a\",\"logprobs\":{\"tokens\":[]}}]}",
                                      "{\"choices\":[{\"logprobs\":{\"tokens\":[\"a\"]}}]}",
                                      "{\"choices\":{\"text\":\"a\"}}"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(json) fh_json *doc = parse(bad[i]);
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_honesty_reply_read(&r, doc, &err), FH_E_UPSTREAM);
    }
}

static void test_more_tokens_than_were_asked_for_are_an_error(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(65536);
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_buf_adds(&text, "{\"choices\":[{\"text\":\"a\",\"logprobs\":{\"tokens\":[\"a\"");
    for (unsigned i = 0; i < FH_LIMIT_HONESTY_ANSWER_TOK; i++) fh_buf_adds(&text, ",\"a\"");
    fh_buf_adds(&text, "]}}]}");
    FH_AUTO(json) fh_json *doc = parse(fh_buf_cstr(&text));
    assert_int_equal(fh_honesty_reply_read(&r, doc, &err), FH_E_UPSTREAM);
}

static void test_a_reply_is_whole_when_it_tells_of_each_token(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(ARRAYS);
    fh_honesty_reply_read(&r, doc, NULL);
    assert_true(fh_honesty_reply_whole(&r));
    r.completion_tok = 3;
    assert_false(fh_honesty_reply_whole(&r)); /* one was a part of a character */
    r.ended = true;
    assert_true(fh_honesty_reply_whole(&r)); /* one said that it ends */
    r.text = FH_STR("\xe2\x80\x94");
    assert_false(fh_honesty_reply_whole(&r)); /* it may have been either */
}

static void test_tokens_are_counted_by_their_texts(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(ARRAYS);
    fh_honesty_reply_read(&r, doc, NULL);
    assert_int_equal(fh_honesty_reply_tok(&r, 9), 2);
    r.text = FH_STR(" a b c");
    assert_int_equal(fh_honesty_reply_tok(&r, 9), 9);
    r.text = FH_STR(" x");
    assert_int_equal(fh_honesty_reply_tok(&r, 9), 9);
    r.text = FH_STR(" a");
    assert_int_equal(fh_honesty_reply_tok(&r, 9), 1); /* what has no text is nobody's token */
}

static void test_tokens_are_shared_up_to_the_first_that_differs(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(ARRAYS), *prompt = parse("[{\"id\":1,\"piece\":\"x\"}]"), *none = parse("[]");
    FH_AUTO(json) fh_json *same = parse("[{\"id\":1,\"piece\":\"x\"},{\"id\":2,\"piece\":\" a\"},{\"id\":3,\"piece\":\" b\"}]");
    FH_AUTO(json) fh_json *other = parse("[{\"id\":1,\"piece\":\"x\"},{\"id\":2,\"piece\":\" a\"},{\"id\":3,\"piece\":[226]}]");
    fh_honesty_reply_read(&r, doc, NULL);
    assert_int_equal(fh_honesty_shared(&r, prompt, same), 2);
    assert_int_equal(fh_honesty_shared(&r, prompt, other), 1);
    assert_int_equal(fh_honesty_shared(&r, none, same), 0);
    assert_int_equal(fh_honesty_shared(&r, same, prompt), 0);
    assert_int_equal(fh_honesty_shared(&r, NULL, NULL), 0);
}

/* "walk" and "ing" become "walking", one token, so that nothing of the answer stands where it seems to. */
static void test_nothing_is_shared_when_the_answer_changes_the_prompt(void **state)
{
    (void)state;
    FH_AUTO(json) fh_json *doc = parse(ARRAYS), *prompt = parse("[{\"id\":9,\"piece\":\"walk\"}]");
    FH_AUTO(json) fh_json *both = parse("[{\"id\":7,\"piece\":\"walking\"},{\"id\":2,\"piece\":\" a\"},{\"id\":3,\"piece\":\" b\"}]");
    fh_honesty_reply_read(&r, doc, NULL);
    assert_int_equal(fh_honesty_shared(&r, prompt, both), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openais_arrays_are_read),
        cmocka_unit_test(test_the_objects_of_chats_are_read),
        cmocka_unit_test(test_replies_that_say_nothing_are_errors),
        cmocka_unit_test(test_more_tokens_than_were_asked_for_are_an_error),
        cmocka_unit_test(test_a_reply_is_whole_when_it_tells_of_each_token),
        cmocka_unit_test(test_tokens_are_counted_by_their_texts),
        cmocka_unit_test(test_tokens_are_shared_up_to_the_first_that_differs),
        cmocka_unit_test(test_nothing_is_shared_when_the_answer_changes_the_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
