#include "cmocka_all.h"
#include "base/mem.h"
#include "net/origin.h"

static void a_name_is_without_its_port(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"a.example:80", "a.example"},
                                           {"a.example", "a.example"},
                                           {"[::1]:80", "[::1]"},
                                           {"[::1]", "[::1]"},
                                           {"[::1", "[::1"},
                                           {":80", ""},
                                           {"", ""}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) assert_true(fh_str_eqs(fh_host_name(fh_str_of(cases[i][0])), cases[i][1]));
}

static void only_the_machine_itself_is_local(void **state)
{
    (void)state;
    static const char *const local[] = {"localhost", "LocalHost:8470", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8470"};
    static const char *const foreign[] = {"",      "localhost.evil.com", "localhost.", "1.evil.com", "127.0.0.1.evil.com", "127.0.0.2",
                                          "[::2]", "[::1].evil.com:80",  "[::1]evil"};
    for (size_t i = 0; i < FH_COUNT(local); i++) assert_true(fh_host_is_local(fh_str_of(local[i])));
    for (size_t i = 0; i < FH_COUNT(foreign); i++) assert_false(fh_host_is_local(fh_str_of(foreign[i])));
}

static void an_address_is_no_name_that_begins_like_one(void **state)
{
    (void)state;
    static const char *const yes[] = {"10.1.2.3", "10.1.2.3:80", "[fe80::1]", "[fe80::1]:80", "0.0.0.0"};
    static const char *const no[] = {"",       "1.evil.com", "1.evil.com:80", "10.1.2.3.evil.com", "10.1.2",
                                     "0x7f.1", "fe80::1",    "[fe80::1",      "[10.1.2.3]",        "[]",
                                     "[",      "1234567890", "10.1.2.3 ",     "[1.evil.com]",      "[::ffff:1.2.3.4.evil]"};
    for (size_t i = 0; i < FH_COUNT(yes); i++) assert_true(fh_host_is_address(fh_str_of(yes[i])));
    for (size_t i = 0; i < FH_COUNT(no); i++) assert_false(fh_host_is_address(fh_str_of(no[i])));
}

static void an_origin_is_ours_only_with_the_whole_host(void **state)
{
    (void)state;
    fh_str host = FH_STR("127.0.0.1:8470");
    assert_true(fh_origin_is(FH_STR("http://127.0.0.1:8470"), host));
    assert_true(fh_origin_is(FH_STR("https://127.0.0.1:8470"), host));
    static const char *const no[] = {
        "", "null", "127.0.0.1:8470", "http://127.0.0.1", "http://127.0.0.1:8471", "http://127.0.0.1:8470.evil.com"};
    for (size_t i = 0; i < FH_COUNT(no); i++) assert_false(fh_origin_is(fh_str_of(no[i]), host));
}

static bool foreign(const char *origin, const char *site)
{
    return fh_origin_is_foreign(FH_STR("localhost:1"), fh_str_of(origin), fh_str_of(site));
}

static void a_page_of_another_origin_is_foreign_and_a_program_is_not(void **state)
{
    (void)state;
    assert_false(foreign(NULL, NULL));
    assert_false(foreign("http://localhost:1", "same-origin"));
    assert_false(foreign(NULL, "none"));
    assert_true(foreign("http://evil.com", NULL));
    assert_true(foreign("null", NULL));
    assert_true(foreign("", NULL));
    assert_true(foreign("http://localhost:1", "same-site"));
    assert_true(foreign(NULL, "cross-site"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_without_its_port),
        cmocka_unit_test(only_the_machine_itself_is_local),
        cmocka_unit_test(an_address_is_no_name_that_begins_like_one),
        cmocka_unit_test(an_origin_is_ours_only_with_the_whole_host),
        cmocka_unit_test(a_page_of_another_origin_is_foreign_and_a_program_is_not),
    };
    return cmocka_run_group_tests_name("net/origin", tests, NULL, NULL);
}
