/* Server-sent events, read and written. */
#include "cmocka_all.h"
#include "net/sse.h"
#include "torture.h"

static void note_event(void *arg, fh_str event, fh_str data)
{
    fh_buf *out = arg;
    fh_buf_addf(out, "(%.*s|", (int)event.len, event.ptr);
    fh_buf_add(out, data.ptr, data.len);
    fh_buf_addc(out, ')');
}

static int read_events(fh_str stream, size_t max, size_t each, fh_buf *out)
{
    fh_sse_reader *r = fh_sse_reader_new(max, note_event, out);
    if (!r) return FH_E_NOMEM;
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < stream.len; at += each)
        rc = fh_sse_reader_push(r, stream.ptr + at, FH_MIN(each, stream.len - at), NULL);
    fh_sse_reader_free(r);
    return rc;
}

static void expect(fh_str stream, const char *events)
{
    for (size_t each = 1; each <= stream.len; each++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(4096);
        assert_int_equal(read_events(stream, 1024, each, &out), 0);
        assert_string_equal(fh_buf_cstr(&out), events);
    }
}

static void all_three_line_ends_end_a_line(void **state)
{
    expect(FH_STR("data: a\n\ndata: b\r\rdata: c\r\n\r\n"), "(|a)(|b)(|c)");
    expect(FH_STR("data: a\r\ndata: b\rdata: c\n\r\n"), "(|a\nb\nc)");
    expect(FH_STR("data: a\n\r\ndata: b\r\n\n"), "(|a)(|b)");
}

static void fields_are_read_as_the_standard_says(void **state)
{
    expect(FH_STR("data:a\n\n"), "(|a)");
    expect(FH_STR("data:  a\n\n"), "(| a)");
    expect(FH_STR("data\n\n"), "(|)");
    expect(FH_STR("data\ndata\n\n"), "(|\n)");
    expect(FH_STR("data:a:b\n\n"), "(|a:b)");
    expect(FH_STR(": a comment\ndata: a\n:\n\n"), "(|a)");
    expect(FH_STR("event: x\nevent: y\ndata: a\nid: 7\nretry: 9\nother: 1\nDATA: no\n\ndata: b\n\n"), "(y|a)(|b)");
    expect(FH_STR("event: x\n\ndata: a\n\n"), "(|a)");
    expect(FH_STR("\n\n\n"), "");
}

static void an_event_without_its_blank_line_is_dropped(void **state)
{
    expect(FH_STR("data: a\n\ndata: b\n"), "(|a)");
    expect(FH_STR("data: a"), "");
}

static void a_byte_order_mark_in_front_is_dropped(void **state)
{
    expect(FH_STR("\xef\xbb\xbf"
                  "data: a\n\n\xef\xbb\xbf"
                  "data: b\n\n"),
           "(|a)");
    expect(FH_STR("\xef\xbb"
                  "data: a\n\ndata: b\n\n"),
           "(|b)");
}

static void an_event_beyond_its_maximum_is_an_error(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    assert_int_equal(read_events(FH_STR("data: 0123456789\n\n"), 16, 1, &out), 0);
    assert_int_equal(read_events(FH_STR("data: 0123456789\n"), 15, 1, &out), FH_E_TOO_LARGE);
    assert_int_equal(read_events(FH_STR("data: 012345\ndata: 012345\ndata: 012345\n"), 16, 1, &out), FH_E_TOO_LARGE);
}

static void what_is_written_is_read_back(void **state)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(4096), out = FH_BUF(4096);
    fh_sse_write(&text, NULL, FH_STR("one"));
    fh_sse_write(&text, "kind", FH_STR("two\nthree\r\nfour\rfive\n"));
    fh_sse_write(&text, NULL, (fh_str){NULL, 0});
    fh_sse_write(&text, NULL, FH_STR("[DONE]"));
    assert_int_equal(read_events((fh_str){text.data, text.len}, 1024, 1, &out), 0);
    assert_string_equal(fh_buf_cstr(&out), "(|one)(kind|two\nthree\nfour\nfive\n)(|)(|[DONE])");
}

static int scenario(void *arg)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    int rc = read_events(
        FH_STR("event: a\ndata: b\ndata: c\n\ndata: 0123456789012345678901234567890123456789012345678901234567890123456789\n\n"), 1024, 5,
        &out);
    return rc ? rc : fh_buf_check(&out, NULL, "events");
}

static void memory_that_runs_out_is_an_error(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 100) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_three_line_ends_end_a_line),
        cmocka_unit_test(fields_are_read_as_the_standard_says),
        cmocka_unit_test(an_event_without_its_blank_line_is_dropped),
        cmocka_unit_test(a_byte_order_mark_in_front_is_dropped),
        cmocka_unit_test(an_event_beyond_its_maximum_is_an_error),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
