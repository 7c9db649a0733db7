/* What a terminal is shown: text without anything that would command the terminal. */
#include "cli_private.h"
#include "cmocka_all.h"

#include <string.h>

static void shows(const char *given, const char *wanted)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 10);
    assert_true(fh_cli_clean(&out, fh_str_of(given)));
    assert_string_equal(fh_buf_cstr(&out), wanted);
}

static void control_characters_are_dropped_but_line_ends_and_tabs(void **state)
{
    (void)state;
    shows("a\tb\nc", "a\tb\nc");
    shows("\x1b[2Jx\x1b]0;title\x07y\r\b\x7fz", "[2Jx]0;titleyz");
    shows("", "");
}

static void c1_is_dropped_as_a_character_and_as_a_byte(void **state)
{
    (void)state;
    shows("a\xc2\x9b"
          "2Jb",
          "a2Jb");
    shows("a\x9b"
          "2Jb",
          "a2Jb");
    shows("\xc2\x1b\x9bz", "\xc2z");
    shows("\xc2\xc2\x9b\x9bz", "\xc2z");
}

static void characters_that_hold_such_bytes_stay(void **state)
{
    (void)state;
    shows("\xc3\x9bx \xe2\x80\x9cquoted\xe2\x80\x9d \xf0\x9f\x98\x80 \xc2\xa0",
          "\xc3\x9bx \xe2\x80\x9cquoted\xe2\x80\x9d \xf0\x9f\x98\x80 \xc2\xa0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_dropped_but_line_ends_and_tabs),
        cmocka_unit_test(c1_is_dropped_as_a_character_and_as_a_byte),
        cmocka_unit_test(characters_that_hold_such_bytes_stay),
    };
    return cmocka_run_group_tests_name("cli/output", tests, NULL, NULL);
}
