/* What an answer said, in the parts that a model wrote it in. */
#include "cmocka_all.h"
#include "heard.h"

#include <stdio.h>

static void hear(fh_heard *h, fh_wire_event_kind kind, uint32_t choice, uint32_t call, const char *text)
{
    fh_wire_event e = {.kind = kind, .choice = choice, .call = call};
    *(kind == FH_EVENT_CALL ? &e.name : &e.text) = fh_str_of(text);
    fh_heard_event(h, &e);
}

static int add_part(void *arg, fh_str part, fh_err **err)
{
    fh_buf_addf(arg, "[%.*s]", (int)part.len, part.ptr);
    return 0;
}

static void is_heard(const fh_heard *h, const char *want)
{
    FH_AUTO(buf) fh_buf got = FH_BUF(4096);
    assert_int_equal(fh_heard_each(h, add_part, &got, NULL), 0);
    assert_string_equal(fh_buf_cstr(&got), want);
}

static void pieces_of_one_kind_are_one_part(void **state)
{
    fh_heard h = {.bytes = 0};
    hear(&h, FH_EVENT_BEGIN, 0, 0, "no part");
    hear(&h, FH_EVENT_REASONING, 0, 0, "hm");
    hear(&h, FH_EVENT_REASONING, 0, 0, "m");
    hear(&h, FH_EVENT_TEXT, 0, 0, "a");
    hear(&h, FH_EVENT_TEXT, 0, 0, "");
    hear(&h, FH_EVENT_TEXT, 0, 0, "b");
    hear(&h, FH_EVENT_CALL, 0, 0, "look");
    hear(&h, FH_EVENT_ARGUMENTS, 0, 0, "{\"x\"");
    hear(&h, FH_EVENT_ARGUMENTS, 0, 0, ":1}");
    hear(&h, FH_EVENT_CALL, 0, 1, "look");
    hear(&h, FH_EVENT_ARGUMENTS, 0, 1, "{}");
    hear(&h, FH_EVENT_FINISH, 0, 0, "stop");
    is_heard(&h, "[hmm][ab][look][{\"x\":1}][look][{}]");
    fh_heard_fini(&h);
    is_heard(&h, "");
}

static void choices_that_come_mixed_are_kept_apart(void **state)
{
    fh_heard h = {.bytes = 0};
    for (int i = 0; i < 3; i++) {
        hear(&h, FH_EVENT_TEXT, 0, 0, "a");
        hear(&h, FH_EVENT_TEXT, 1, 0, "b");
    }
    is_heard(&h, "[aaa][bbb]");
    fh_heard_fini(&h);
}

static void what_is_too_much_is_lost_and_said(void **state)
{
    fh_heard h = {.bytes = 0};
    hear(&h, FH_EVENT_TEXT, FH_LIMIT_HEARD_CHOICES, 0, "a");
    assert_true(h.lost);
    fh_heard_fini(&h);
    char *text = fh_calloc(1, (1 << 20) + 1);
    memset(text, 'x', 1 << 20);
    for (int i = 0; i < FH_LIMIT_HEARD_BYTES >> 20; i++) hear(&h, FH_EVENT_TEXT, 0, 0, text);
    assert_false(h.lost);
    hear(&h, FH_EVENT_TEXT, 1, 0, "x");
    assert_true(h.lost);
    fh_heard_fini(&h);
    fh_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_one_kind_are_one_part),
        cmocka_unit_test(choices_that_come_mixed_are_kept_apart),
        cmocka_unit_test(what_is_too_much_is_lost_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
