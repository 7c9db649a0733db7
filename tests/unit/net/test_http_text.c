/* HTTP syntax: hosts, targets, paths, lists, escapes. */
#include "cmocka_all.h"
#include "private.h"

static bool host(const char *s)
{
    return fh_http_host_valid(fh_str_of(s));
}

static void hosts_are_names_and_addresses_with_an_optional_port(void **state)
{
    static const char *const good[] = {"a",  "localhost", "LocalHost:80", "127.0.0.1:8470",    "a-b.c_d.example",
                                       "a.", "[::1]",     "[::1]:0",      "[fe80::1:2]:65535", "xn--4ca.example"};
    static const char *const bad[] = {"",       ":80",    "a:",          "a:b",   "a:65536", "a:000080", "a:-1", "a b", "a/b",
                                      "a?b",    "a@b",    "a,b",         "a..b",  ".a",      "[::1",     "::1",  "[]",  "[a]",
                                      "[::1]x", "[::1]:", "[127.0.0.1]", "a%20b", "a\\b",    "\xc3\xa4", "a\x7f"};
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        if (!host(good[i])) fail_msg("%s", good[i]);
    }
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        if (host(bad[i])) fail_msg("%s", bad[i]);
    }
    assert_false(fh_http_host_valid((fh_str){"a\0b", 3}));
    char longest[257];
    memset(longest, 'a', sizeof longest);
    assert_true(fh_http_host_valid((fh_str){longest, 255}));
    assert_false(fh_http_host_valid((fh_str){longest, 256}));
}

static void tokens_and_values_hold_only_their_characters(void **state)
{
    assert_true(fh_http_token_valid(FH_STR("X-a!#$%&'*+.^_`|~9")));
    assert_false(fh_http_token_valid(FH_STR("")));
    assert_false(fh_http_token_valid(FH_STR("a b")));
    assert_false(fh_http_token_valid(FH_STR("a\0b")));
    assert_false(fh_http_token_valid(FH_STR("a(b)")));
    assert_true(fh_http_value_valid(FH_STR("")));
    assert_true(fh_http_value_valid(FH_STR("a\tb \xff")));
    assert_false(fh_http_value_valid(FH_STR("a\r\nX: b")));
    assert_false(fh_http_value_valid(FH_STR("a\0")));
}

static void a_target_has_an_authority_a_path_and_a_query(void **state)
{
    fh_str a, p, q;
    assert_int_equal(fh_http_target_split(FH_STR("/a?b?c"), &a, &p, &q, NULL), 0);
    assert_true(a.len == 0 && fh_str_eqs(p, "/a") && fh_str_eqs(q, "b?c"));
    assert_int_equal(fh_http_target_split(FH_STR("https://h:1?x"), &a, &p, &q, NULL), 0);
    assert_true(fh_str_eqs(a, "h:1") && fh_str_eqs(p, "/") && fh_str_eqs(q, "x"));
    assert_int_equal(fh_http_target_split(FH_STR("*"), &a, &p, &q, NULL), 0);
    assert_true(fh_str_eqs(p, "*"));
    assert_true(fh_http_target_split(FH_STR("http:/"), &a, &p, &q, NULL) < 0);
    assert_true(fh_http_target_split(FH_STR(""), &a, &p, &q, NULL) < 0);
}

static void lists_are_searched_by_whole_words(void **state)
{
    assert_true(fh_http_list_has(FH_STR("close"), "close"));
    assert_true(fh_http_list_has(FH_STR("a ,\tCLOSE , b"), "close"));
    assert_true(fh_http_list_has(FH_STR(",,close"), "close"));
    assert_false(fh_http_list_has(FH_STR("closed"), "close"));
    assert_false(fh_http_list_has(FH_STR("x close"), "close"));
    assert_false(fh_http_list_has((fh_str){NULL, 0}, "close"));
}

static void escapes_are_decoded_whole_or_not_at_all(void **state)
{
    char out[8];
    assert_true(fh_http_percent_decode(FH_STR("a+%41%7e"), true, out, sizeof out));
    assert_string_equal(out, "a A~");
    assert_true(fh_http_percent_decode(FH_STR("a+b"), false, out, sizeof out));
    assert_string_equal(out, "a+b");
    assert_true(fh_http_percent_decode(FH_STR("1234567"), false, out, sizeof out));
    assert_false(fh_http_percent_decode(FH_STR("12345678"), false, out, sizeof out));
    assert_false(fh_http_percent_decode(FH_STR("%0"), false, out, sizeof out));
    assert_false(fh_http_percent_decode(FH_STR("%00"), false, out, sizeof out));
    assert_true(fh_http_percent_decode((fh_str){NULL, 0}, false, out, sizeof out));
    assert_false(fh_http_percent_decode((fh_str){NULL, 0}, false, out, 0));
}

static void headers_are_found_in_any_case(void **state)
{
    fh_header h[] = {{FH_STR("Content-Type"), FH_STR("a")}, {FH_STR("content-type"), FH_STR("b")}};
    assert_true(fh_str_eqs(fh_headers_find(h, 2, "CONTENT-TYPE"), "a"));
    assert_null(fh_headers_find(h, 2, "content").ptr);
    assert_string_equal(fh_http_reason(404), "Not Found");
    assert_string_equal(fh_http_reason(299), "Status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_names_and_addresses_with_an_optional_port),
        cmocka_unit_test(tokens_and_values_hold_only_their_characters),
        cmocka_unit_test(a_target_has_an_authority_a_path_and_a_query),
        cmocka_unit_test(lists_are_searched_by_whole_words),
        cmocka_unit_test(escapes_are_decoded_whole_or_not_at_all),
        cmocka_unit_test(headers_are_found_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
