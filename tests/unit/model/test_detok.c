/* Text from tokens: stop strings across tokens, characters never cut, and the same as doing it the plain way at the end. */
#include "model/sampler.h"
#include "torture.h"
#include "vocab_maker.h"

static vocab_file bytes; /* token 0 to 255: that byte */

static int prepare(void **state)
{
    if (scratch_init(state)) return -1;
    open_bpe(&bytes, "gpt-2");
    return 0;
}
static int tidy_up(void **state)
{
    close_vocab(&bytes);
    return scratch_fini(state);
}

static char ended_by[64]; /* the stop string that did */

/* What comes out for each byte of text alone as a token, pieces separated by '|'. */
static bool stream(const char *text, const fh_str *stops, size_t stop_count, fh_buf *out, bool mark)
{
    fh_detok *d = NULL;
    bool stopped = false;
    assert_int_equal(fh_detok_new(&d, bytes.vocab, stops, stop_count, NULL), 0);
    for (const char *p = text; *p; p++) {
        bool before = stopped;
        assert_int_equal(fh_detok_push(d, (uint8_t)*p, out, &stopped, NULL), 0);
        assert_true(stopped || !before);
        if (mark) fh_buf_addc(out, '|');
    }
    assert_int_equal(fh_detok_finish(d, out, NULL), 0);
    fh_str stop = fh_detok_stop(d);
    assert_int_equal(stop.len > 0, stopped);
    snprintf(ended_by, sizeof ended_by, "%.*s", (int)stop.len, stop.ptr ? stop.ptr : "");
    fh_detok_free(d);
    return stopped;
}

static void expect(const char *text, const char *stop, const char *pieces, bool stopped)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(10000);
    fh_str s = fh_str_of(stop);
    assert_int_equal(stream(text, &s, 1, &out, true), stopped);
    assert_string_equal(fh_buf_cstr(&out), pieces);
}

static void a_stop_string_is_found_across_tokens(void **state)
{
    expect("abSTOPcd", "STOP", "a|b|||||||", true);
    expect("abSTcd", "STOP", "a|b|||STc|d|", false);
    expect("abSTO", "STOP", "a|b||||STO", false);
    expect("ababac", "abac", "|||ab|||", true); /* its beginning inside itself */
    expect("aab", "ab", "|a||", true);
    expect("abc", "", "a|b|c|", false); /* an empty one stops nothing */
    expect("x\xc3\xa9y", "\xc3\xa9", "x||||", true);
}

static void the_first_that_is_complete_counts(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(10000);
    const fh_str stops[] = {FH_STR("abcde"), FH_STR("bc"), FH_STR("abc")};
    assert_true(stream("xabcde", stops, 3, &out, false));
    assert_string_equal(fh_buf_cstr(&out), "x"); /* "bc" and "abc" are complete at the same byte: the longer one */
    assert_string_equal(ended_by, "abc");
    fh_buf_clear(&out);
    assert_true(stream("xabd bc", stops, 3, &out, false));
    assert_string_equal(fh_buf_cstr(&out), "xabd ");
    assert_string_equal(ended_by, "bc");
}

static void characters_are_never_cut(void **state)
{
    expect("a\xf0\x9f\x98\x80"
           "b",
           "STOP", "a||||\xf0\x9f\x98\x80|b|", false);
    expect("\xe2\x82", "STOP", "||\xef\xbf\xbd", false);    /* half a character at the end */
    expect("\xe2\x82z", "STOP", "||\xef\xbf\xbdz|", false); /* or before another */
    expect("\xffz\xc0", "STOP", "\xef\xbf\xbd|z|\xef\xbf\xbd|", false);
    expect("\xed\xa0\x80", "STOP", "|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|", false); /* a surrogate: three bytes that start nothing */
    expect("\xf0\x9f\x98S", "STOP", "||||\xef\xbf\xbdS", false);
}

/* Plain: all bytes, cut at the first stop string to be complete, then made well-formed. */
static size_t plain_stop(const char *text, size_t n, const fh_str *stops, size_t count)
{
    for (size_t end = 1; end <= n; end++) {
        size_t longest = 0;
        for (size_t k = 0; k < count; k++)
            if (stops[k].len <= end && !memcmp(text + end - stops[k].len, stops[k].ptr, stops[k].len))
                longest = FH_MAX(longest, stops[k].len);
        if (longest) return end - longest;
    }
    return n;
}

static void any_cut_into_tokens_gives_the_same_text(void **state)
{
    static const char alphabet[] = "ab<|>\xf0\x9f\x98\x80\xc3\xa9\xffhelo ";
    uint32_t r = 3;
    for (int round = 0; round < 20000; round++) {
        char text[40], stop_text[3][5];
        fh_str stops[3];
        size_t n = 0;
        for (; n < sizeof text - 1; n++) {
            r = r * 1664525 + 1013904223;
            text[n] = round % 2 ? "abab"[r >> 30] : alphabet[(r >> 16) % (sizeof alphabet - 1)];
        }
        text[n] = 0;
        for (size_t k = 0; k < 3; k++) {
            size_t len = 1 + (r >> (8 + k)) % 4, at = (r >> (12 + k)) % (n - 4);
            memcpy(stop_text[k], text + at, len);
            stops[k] = (fh_str){stop_text[k], len};
            if (round % 3 == 0) stop_text[k][len - 1] = 'z';
        }
        size_t end = plain_stop(text, n, stops, 3);
        FH_AUTO(buf) fh_buf by_byte = FH_BUF(1000), by_token = FH_BUF(1000), whole = FH_BUF(1000);
        bool stopped = stream(text, stops, 3, &by_byte, false), ended = false;
        assert_int_equal(stopped, end < n);
        char kept = text[end];
        text[end] = 0;
        stream(text, NULL, 0, &whole, false);
        text[end] = kept;
        fh_tokens ids = {0};
        fh_detok *d = NULL;
        assert_int_equal(fh_vocab_encode(bytes.vocab, (fh_str){text, n}, 0, &ids, NULL), 0);
        assert_int_equal(fh_detok_new(&d, bytes.vocab, stops, 3, NULL), 0);
        for (size_t i = 0; i < ids.count; i++) {
            assert_int_equal(fh_detok_push(d, ids.ids[i], &by_token, &ended, NULL), 0);
            assert_true(fh_utf8_valid(fh_buf_cstr(&by_token), by_token.len));
        }
        assert_int_equal(fh_detok_finish(d, &by_token, NULL), 0);
        assert_int_equal(ended, stopped);
        assert_string_equal(fh_buf_cstr(&by_byte), fh_buf_cstr(&by_token));
        assert_string_equal(fh_buf_cstr(&by_byte), fh_buf_cstr(&whole));
        fh_detok_free(d);
        fh_tokens_fini(&ids);
    }
}

static void control_tokens_are_not_text(void **state)
{
    fh_detok *d = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(100);
    bool stopped = false;
    const fh_str stop = FH_STR("<|a|>");
    assert_int_equal(fh_detok_new(&d, bytes.vocab, &stop, 1, NULL), 0);
    assert_int_equal(fh_detok_push(d, 256, &out, &stopped, NULL), 0);
    assert_int_equal(fh_detok_push(d, 263, &out, &stopped, NULL), 0);
    assert_int_equal(fh_detok_push(d, 99999, &out, &stopped, NULL), FH_E_INVALID);
    assert_false(stopped);
    assert_string_equal(fh_buf_cstr(&out), "hello");
    fh_detok_free(d);
}

static int stream_some(void *arg)
{
    fh_detok *d = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(100);
    bool stopped = false;
    const fh_str stops[] = {FH_STR("lo"), FH_STR("x")};
    int rc = fh_detok_new(&d, bytes.vocab, stops, 2, NULL);
    for (const char *p = "hello"; !rc && *p; p++) rc = fh_detok_push(d, *p, &out, &stopped, NULL);
    if (!rc) rc = fh_detok_finish(d, &out, NULL);
    if (!rc) assert_string_equal(fh_buf_cstr(&out), "hel");
    fh_detok_free(d);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, stream_some, NULL, 100) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_string_is_found_across_tokens),
        cmocka_unit_test(the_first_that_is_complete_counts),
        cmocka_unit_test(characters_are_never_cut),
        cmocka_unit_test(any_cut_into_tokens_gives_the_same_text),
        cmocka_unit_test(control_tokens_are_not_text),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, prepare, tidy_up);
}
