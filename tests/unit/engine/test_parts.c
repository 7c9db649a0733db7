/* Replies with thoughts and calls, as a stream and as a whole, in OpenAI's shapes. */
#include "cmocka_all.h"
#include "parts.h"

#include <stdio.h>

static const char request[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":\"function\","
                              "\"function\":{\"name\":\"f\"}}]%s}";
static const char answer[] = "<think>\nT\n</think>\n\nA.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
                             "1}}\n</tool_call>\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";

typedef struct setup {
    fh_toolfmt *format;
    fh_wire_request request;
    fh_wire_reply reply;
    fh_buf stream;
    bool refuse;
} setup;

static bool take(void *arg, const fh_wire_piece *piece)
{
    setup *s = arg;
    fh_buf_addc(&s->stream, '\n');
    return !s->refuse && fh_wire_chunk_write(&s->stream, &s->reply, piece);
}

static void set_up(setup *s, const char *more)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(65536);
    *s = (setup){.reply = {.chat = true, .id = "i", .model = "m"}, .stream = FH_BUF(65536)};
    fh_buf_addf(&body, request, more);
    assert_int_equal(fh_toolfmt_named(&s->format, FH_STR("hermes"), NULL), 0);
    assert_int_equal(fh_wire_chat_parse(&s->request, (fh_str){body.data, body.len}, NULL), 0);
}

static void tear_down(setup *s)
{
    fh_toolfmt_free(s->format);
    fh_wire_request_fini(&s->request);
    fh_buf_fini(&s->stream);
}

static parts *start(setup *s, bool stream)
{
    parts *p = NULL;
    parts_options o = {.format = s->format, .request = &s->request, .reply_id = "chatcmpl-1", .sink = stream ? take : NULL, .arg = s};
    assert_true(parts_needed(s->format, &s->request));
    assert_int_equal(parts_new(&p, &o, NULL), 0);
    return p;
}

static void push_bytes(parts *p, const char *text)
{
    for (; *text; text++) assert_true(parts_push(p, (fh_str){text, 1}));
}

static void assert_holds(const fh_buf *b, const char *text)
{
    if (fh_str_find((fh_str){fh_buf_cstr(b), b->len}, fh_str_of(text)) == b->len) fail_msg("%s is not in %s", text, fh_buf_cstr(b));
}

static void test_a_stream_names_each_call_once(void **state)
{
    (void)state;
    setup s;
    set_up(&s, "");
    parts *p = start(&s, true);
    assert_true(parts_push(p, fh_str_of(answer)));
    assert_true(parts_finish(p));
    assert_true(parts_has_calls(p));
    assert_holds(&s.stream, "\"delta\":{\"reasoning_content\":\"T\"}");
    assert_holds(&s.stream, "\"delta\":{\"content\":\"A.\"}");
    assert_holds(&s.stream, "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"");
    assert_holds(&s.stream, "\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}");
    assert_holds(&s.stream, "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\": 1}\"}}]}");
    assert_holds(&s.stream, "{\"index\":1,\"id\":\"");
    parts_free(p);
    tear_down(&s);
}

static void test_a_whole_reply_has_all_calls_with_ids_of_their_own(void **state)
{
    (void)state;
    setup s;
    set_up(&s, "");
    parts *p = start(&s, false);
    push_bytes(p, answer);
    assert_true(parts_finish(p));
    fh_wire_piece whole = {.finish = "tool_calls"};
    fh_wire_usage usage = {0};
    assert_true(parts_take(p, &whole));
    assert_int_equal(whole.call_count, 2);
    assert_int_equal(whole.calls[0].id.len, 9);
    assert_false(fh_str_eq(whole.calls[0].id, whole.calls[1].id));
    assert_true(fh_wire_reply_write(&s.stream, &s.reply, &whole, 1, &usage, NULL));
    assert_holds(&s.stream, "\"content\":\"A.\",\"refusal\":null,\"reasoning_content\":\"T\",\"tool_calls\":[{\"id\":\"");
    assert_holds(&s.stream, "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}},{\"id\":\"");
    assert_holds(&s.stream, "\"finish_reason\":\"tool_calls\"");
    parts_free(p);
    tear_down(&s);
}

static void test_one_call_is_enough_if_one_was_asked_for(void **state)
{
    (void)state;
    setup s;
    set_up(&s, ",\"parallel_tool_calls\":false");
    parts *p = start(&s, true);
    assert_false(parts_enough(p));
    assert_true(parts_push(p, fh_str_of(answer)));
    assert_true(parts_enough(p));
    parts_free(p);
    tear_down(&s);
}

static void test_what_was_said_elsewhere_is_not_said_again(void **state)
{
    (void)state;
    setup s;
    set_up(&s, "");
    parts *p = start(&s, true);
    assert_int_equal(parts_skip(p, FH_STR("<think>\nT\n</think>\n\nA. <tool"), NULL), 0);
    assert_int_equal(s.stream.len, 0);
    assert_true(parts_push(p, FH_STR("_box>")));
    assert_true(parts_finish(p));
    assert_holds(&s.stream, "\"delta\":{\"content\":\" <tool_box>\"}");
    parts_free(p);
    tear_down(&s);
}

static void test_a_sink_that_refuses_ends_the_reply(void **state)
{
    (void)state;
    setup s;
    set_up(&s, "");
    parts *p = start(&s, true);
    s.refuse = true;
    assert_false(parts_push(p, fh_str_of(answer)));
    assert_false(parts_finish(p));
    parts_free(p);
    tear_down(&s);
}

static void test_plain_replies_of_plain_models_have_no_parts(void **state)
{
    (void)state;
    fh_toolfmt *f = NULL;
    fh_toolfmt_source source = {0};
    fh_wire_request plain = {.kind = FH_WIRE_CHAT};
    assert_int_equal(fh_toolfmt_detect(&f, &source, NULL), 0);
    assert_false(parts_needed(f, &plain));
    fh_toolfmt_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_names_each_call_once),
        cmocka_unit_test(test_a_whole_reply_has_all_calls_with_ids_of_their_own),
        cmocka_unit_test(test_one_call_is_enough_if_one_was_asked_for),
        cmocka_unit_test(test_what_was_said_elsewhere_is_not_said_again),
        cmocka_unit_test(test_a_sink_that_refuses_ends_the_reply),
        cmocka_unit_test(test_plain_replies_of_plain_models_have_no_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
