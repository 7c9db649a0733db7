#include "base/buf.h"
#include "torture.h"

#include <string.h>

static void grows_up_to_its_maximum_and_then_fails_for_good(void **state)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(8);
    assert_true(fh_buf_adds(&b, "1234567"));
    assert_true(fh_buf_addc(&b, '8'));
    assert_false(fh_buf_addc(&b, '9'));
    assert_false(fh_buf_add(&b, NULL, 0));
    assert_string_equal(fh_buf_cstr(&b), "12345678");
    fh_err *err = NULL;
    assert_int_equal(fh_buf_check(&b, &err, "the text"), FH_E_TOO_LARGE);
    assert_string_equal(fh_err_message(err), "the text is larger than 8 bytes");
    fh_err_free(err);
    fh_buf_clear(&b);
    assert_true(fh_buf_addf(&b, "%d", 42));
    assert_string_equal(fh_buf_cstr(&b), "42");
}

static void formats_text_longer_than_what_is_there(void **state)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(1000);
    char longer[301];
    memset(longer, 'x', 300);
    longer[300] = '\0';
    assert_true(fh_buf_addf(&b, "%s", ""));
    assert_true(fh_buf_addf(&b, "<%s>", longer));
    assert_int_equal(b.len, 302);
    assert_int_equal(strlen(b.data), 302);
}

static void a_formatted_piece_beyond_the_maximum_leaves_what_was_there(void **state)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(70);
    fh_buf_adds(&b, "kept");
    assert_false(fh_buf_addf(&b, "%80d", 1));
    assert_string_equal(fh_buf_cstr(&b), "kept");
}

static void json_strings_are_escaped_and_broken_utf8_is_replaced(void **state)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(1000);
    const char text[] = "a\"\\\n\t\x01\xc3\xa9\xff\xe2\x82z\x7f";
    fh_buf_add_json_string(&b, text, sizeof text - 1);
    assert_string_equal(fh_buf_cstr(&b), "\"a\\\"\\\\\\n\\t\\u0001\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\\u007f\"");
    fh_buf_clear(&b);
    fh_buf_add_json_string(&b, NULL, 0);
    assert_string_equal(fh_buf_cstr(&b), "\"\"");
}

static void base64_is_padded(void **state)
{
    static const char *const cases[][2] = {{"", ""},        {"f", "Zg=="},          {"fo", "Zm8="},
                                           {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "+//+"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FH_AUTO(buf) fh_buf b = FH_BUF(100);
        assert_true(fh_buf_add_base64(&b, cases[i][0], strlen(cases[i][0])));
        assert_string_equal(fh_buf_cstr(&b), cases[i][1]);
    }
}

static void consuming_and_taking_move_the_bytes(void **state)
{
    fh_buf b = FH_BUF(100);
    fh_buf_adds(&b, "abcdef");
    fh_buf_consume(&b, 2);
    assert_string_equal(fh_buf_cstr(&b), "cdef");
    fh_buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    size_t len;
    FH_AUTO(ptr) char *taken = fh_buf_take(&b, &len);
    assert_non_null(taken);
    assert_int_equal(len, 0);
    assert_null(b.data);
    fh_buf_fini(&b);
}

static int build(void *arg)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(1 << 20);
    for (int i = 0; i < 200; i++) fh_buf_addf(&b, "%d,", i);
    FH_AUTO(ptr) char *copy = fh_buf_ok(&b) ? fh_strndup(b.data, b.len) : NULL;
    return copy ? 0 : FH_E_NOMEM;
}

static void every_failed_allocation_is_reported(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, build, NULL, 100) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_maximum_and_then_fails_for_good),
        cmocka_unit_test(formats_text_longer_than_what_is_there),
        cmocka_unit_test(a_formatted_piece_beyond_the_maximum_leaves_what_was_there),
        cmocka_unit_test(json_strings_are_escaped_and_broken_utf8_is_replaced),
        cmocka_unit_test(base64_is_padded),
        cmocka_unit_test(consuming_and_taking_move_the_bytes),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
