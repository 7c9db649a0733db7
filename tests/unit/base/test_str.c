#include "base/mem.h"
#include "base/str.h"
#include "cmocka_all.h"

static void numbers_are_whole_slices_or_nothing(void **state)
{
    uint64_t u;
    double d;
    assert_true(fh_str_u64(FH_STR("18446744073709551615"), UINT64_MAX, &u) && u == UINT64_MAX);
    const char *bad[] = {"", "+5", "-1", " 5", "5 ", "0x5", "18446744073709551616", "5a"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_false(fh_str_u64(fh_str_of(bad[i]), UINT64_MAX, &u));
    assert_false(fh_str_u64(FH_STR("11"), 10, &u));
    assert_true(fh_str_f64(FH_STR("-1.5e3"), &d) && d > -1500.5 && d < -1499.5);
    const char *no[] = {"", "nan", "inf", "1e999", "0x1p3", "1.5x", "--1"};
    for (size_t i = 0; i < FH_COUNT(no); i++) assert_false(fh_str_f64(fh_str_of(no[i]), &d));
}

static void slices_compare_trim_and_find(void **state)
{
    assert_true(fh_str_ieq(FH_STR("Host"), FH_STR("hOST")));
    assert_true(fh_str_starts(FH_STR("abc"), FH_STR("ab")) && !fh_str_starts(FH_STR("a"), FH_STR("ab")));
    assert_true(fh_str_ends(FH_STR("abc"), FH_STR("bc")) && !fh_str_ends(FH_STR("c"), FH_STR("bc")));
    assert_true(fh_str_eqs(fh_str_trim(FH_STR(" \t x y\r\n")), "x y"));
    assert_int_equal(fh_str_find(FH_STR("hello"), FH_STR("ll")), 2);
    assert_int_equal(fh_str_find(FH_STR("hello"), FH_STR("z")), 5);
}

static void utf8_round_trips_every_scalar_value(void **state)
{
    for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
        char text[4];
        size_t n = fh_utf8_encode(cp, text);
        if (cp >= 0xd800 && cp <= 0xdfff) {
            assert_int_equal(n, 0);
            continue;
        }
        uint32_t back = 0;
        assert_int_equal(fh_utf8_decode(text, n, &back), n);
        assert_int_equal(back, cp);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(fh_utf8_decode(text, cut, &back), 0);
            assert_int_equal(fh_utf8_whole(text, cut), 0);
        }
        assert_int_equal(fh_utf8_whole(text, n), n);
    }
    assert_int_equal(fh_utf8_encode(0x110000, (char[4]){0}), 0);
}

static void utf8_refuses_overlong_surrogates_and_stray_bytes(void **state)
{
    const char *bad[] = {"\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                         "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80",         "\xff"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        assert_false(fh_utf8_valid(bad[i], strlen(bad[i])));
        assert_int_equal(fh_utf8_whole(bad[i], strlen(bad[i])), strlen(bad[i]));
    }
    assert_int_equal(fh_utf8_whole("a\xf0\x9f\x98", 4), 1);
}

static void names_that_are_near_have_a_small_distance(void **state)
{
    assert_int_equal(fh_str_distance(FH_STR("smollm2"), FH_STR("SmolLM2")), 0);
    assert_int_equal(fh_str_distance(FH_STR("smolm2"), FH_STR("smollm2")), 1);
    assert_int_equal(fh_str_distance(FH_STR(""), FH_STR("abc")), 3);
}

static void hex_and_base64url_are_exact(void **state)
{
    char out[64];
    unsigned char raw[4];
    assert_true(fh_hex_encode("\x00\xff\x10", 3, out, sizeof out));
    assert_string_equal(out, "00ff10");
    assert_true(fh_hex_decode(FH_STR("00fF10a1"), raw, 4) && raw[1] == 0xff && raw[3] == 0xa1);
    assert_false(fh_hex_decode(FH_STR("00f"), raw, 2));
    assert_false(fh_hex_decode(FH_STR("0g"), raw, 1));
    assert_false(fh_hex_encode("abc", 3, out, 6));
    assert_int_equal(fh_base64url_encode("\xfb\xff", 2, out, sizeof out), 3);
    assert_string_equal(out, "-_8");
    assert_int_equal(fh_base64url_encode("foobar", 6, out, sizeof out), 8);
    assert_string_equal(out, "Zm9vYmFy");
    assert_true(fh_base64url_decode(FH_STR("-_8"), raw, 2) && raw[0] == 0xfb && raw[1] == 0xff);
    static const char *const bad[] = {"-_9", "-_", "-_88", "+_8", "-/8", "-_="}; /* bits that mean nothing, lengths, the other alphabet */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (fh_base64url_decode(fh_str_of(bad[i]), raw, 2)) fail_msg("%s", bad[i]);
    assert_true(fh_equal_secret("abc", "abc", 3) && !fh_equal_secret("abc", "abd", 3));
}

static void base64_is_that_of_the_rfc(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xff\xfe\xfb", "//77"}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Z===", "Zm9v\n", "Zm9-", "Zm_v", "=Zg=", "Zg==Zg==", "Zm 9"};
    char text[16], raw[16];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_str plain = fh_str_of(rows[i][0]), coded = fh_str_of(rows[i][1]);
        assert_int_equal(fh_base64_len(plain.len), coded.len);
        fh_base64_encode(plain.ptr, plain.len, text);
        assert_memory_equal(text, coded.ptr, coded.len);
        assert_true(fh_base64_valid(coded));
        assert_int_equal(fh_base64_decode(coded, raw, sizeof raw), plain.len);
        assert_memory_equal(raw, plain.ptr, plain.len);
    }
    assert_int_equal(fh_base64_decode(FH_STR("Zm9vYmFy"), raw, 4), 4);
    assert_memory_equal(raw, "foob", 4);
    for (size_t i = 0; i < FH_COUNT(bad); i++)
        if (fh_base64_valid(fh_str_of(bad[i]))) fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_whole_slices_or_nothing),
        cmocka_unit_test(slices_compare_trim_and_find),
        cmocka_unit_test(utf8_round_trips_every_scalar_value),
        cmocka_unit_test(utf8_refuses_overlong_surrogates_and_stray_bytes),
        cmocka_unit_test(names_that_are_near_have_a_small_distance),
        cmocka_unit_test(hex_and_base64url_are_exact),
        cmocka_unit_test(base64_is_that_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
