/* Events of a stream, taken one after another. */
#include "cmocka_all.h"
#include "sse_events.h"

static void expect(fh_str *text, const char *raw, const char *name, const char *data, const char *comment)
{
    FH_AUTO(buf) fh_buf joined = FH_BUF(4096);
    fh_sse_event e;
    assert_true(fh_sse_event_next(text, &e, &joined));
    assert_true(fh_str_eqs(e.raw, raw));
    assert_true(fh_str_eqs(e.name, name));
    assert_int_equal(e.has_data, data != NULL);
    if (data) assert_true(fh_str_eqs(e.data, data));
    assert_true(fh_str_eqs(e.comment, comment));
}

static void whole_events_are_taken_and_half_ones_are_left(void **state)
{
    fh_str text = FH_STR("data: a\n\nevent: x\r\ndata:b\r\n\r\n: hello\ndata: c\ndata:  d\n\n: only\n\ndata: half\n");
    FH_AUTO(buf) fh_buf joined = FH_BUF(4096);
    fh_sse_event e;
    expect(&text, "data: a\n\n", "", "a", "");
    expect(&text, "event: x\r\ndata:b\r\n\r\n", "x", "b", "");
    expect(&text, ": hello\ndata: c\ndata:  d\n\n", "", "c\n d", "hello");
    expect(&text, ": only\n\n", "", NULL, "only");
    assert_false(fh_sse_event_next(&text, &e, &joined));
    assert_true(fh_str_eqs(text, "data: half\n"));
}

static void other_fields_and_empty_text_are_nothing(void **state)
{
    fh_str text = FH_STR("id: 7\nretry: 5\ndatax: 1\ndata\n\n"), empty = {NULL, 0};
    FH_AUTO(buf) fh_buf joined = FH_BUF(4096);
    fh_sse_event e;
    expect(&text, "id: 7\nretry: 5\ndatax: 1\ndata\n\n", "", NULL, "");
    assert_false(fh_sse_event_next(&empty, &e, &joined));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_events_are_taken_and_half_ones_are_left),
                                       cmocka_unit_test(other_fields_and_empty_text_are_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
