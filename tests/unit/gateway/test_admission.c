#include "cmocka_all.h"
#include "gateway/admission.h"
#include "gateway/signin.h"

#include <string.h>

static int host(const fh_hosts *h, const char *name)
{
    return fh_admit_host(h, fh_str_of(name), NULL);
}

static void a_host_is_ours_with_any_port_and_foreign_names_are_not(void **state)
{
    (void)state;
    const char *names[] = {"models.example", "192.168.1.7", NULL};
    fh_hosts h = {.names = names};
    const char *ours[] = {"localhost",  "localhost:1",        "LOCALHOST:8470", "127.0.0.1:9",   "[::1]",
                          "[::1]:8470", "models.example:443", "Models.Example", "192.168.1.7:80"};
    const char *foreign[] = {
        "",     ":",        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.8", "[::2]:1", "[",
        "[::1", "10.0.0.1", "0x7f.1"};
    for (size_t i = 0; i < FH_COUNT(ours); i++) assert_int_equal(host(&h, ours[i]), 0);
    for (size_t i = 0; i < FH_COUNT(foreign); i++) assert_int_equal(host(&h, foreign[i]), FH_E_MISDIRECTED);
}

static void listening_on_all_addresses_takes_addresses_but_no_rebound_name(void **state)
{
    (void)state;
    fh_hosts h = {.any_address = true};
    assert_int_equal(host(&h, "10.1.2.3:8470"), 0);
    assert_int_equal(host(&h, "[fe80::1]:8470"), 0);
    assert_int_equal(host(&h, "evil.example:8470"), FH_E_MISDIRECTED);
    assert_int_equal(host(&h, "10.1.2.3.evil.example"), FH_E_MISDIRECTED);
}

static int origin(const char *o, const char *site)
{
    return fh_admit_origin(FH_STR("127.0.0.1:8470"), fh_str_of(o), fh_str_of(site), NULL);
}

static void only_our_own_page_may_speak(void **state)
{
    (void)state;
    assert_int_equal(origin(NULL, NULL), 0);
    assert_int_equal(origin("http://127.0.0.1:8470", "same-origin"), 0);
    assert_int_equal(origin("https://127.0.0.1:8470", NULL), 0);
    assert_int_equal(origin(NULL, "none"), 0);
    const char *foreign[] = {
        "null", "http://127.0.0.1:8471", "http://localhost:8470", "https://evil.example", "http://127.0.0.1:8470.evil.example",
        "",     "127.0.0.1:8470"};
    for (size_t i = 0; i < FH_COUNT(foreign); i++) assert_int_equal(origin(foreign[i], NULL), FH_E_FORBIDDEN);
    assert_int_equal(origin(NULL, "cross-site"), FH_E_FORBIDDEN);
    assert_int_equal(origin("http://127.0.0.1:8470", "same-site"), FH_E_FORBIDDEN);
}

static void a_body_must_say_that_it_is_json(void **state)
{
    (void)state;
    assert_int_equal(fh_admit_body(FH_STR("application/json"), 2, NULL), 0);
    assert_int_equal(fh_admit_body(FH_STR("Application/JSON ; charset=utf-8"), 2, NULL), 0);
    assert_int_equal(fh_admit_body((fh_str){NULL, 0}, 0, NULL), 0);
    assert_int_equal(fh_admit_body((fh_str){NULL, 0}, 1, NULL), FH_E_MEDIA_TYPE);
    assert_int_equal(fh_admit_body(FH_STR("text/plain"), 0, NULL), FH_E_MEDIA_TYPE);
    assert_int_equal(fh_admit_body(FH_STR("application/jsonp"), 2, NULL), FH_E_MEDIA_TYPE);
    assert_int_equal(fh_admit_body(FH_STR("text/plain; application/json"), 2, NULL), FH_E_MEDIA_TYPE);
}

static void a_sign_in_code_works_once_and_for_a_while(void **state)
{
    (void)state;
    FH_AUTO(fh_signin) fh_signin *s = fh_signin_new();
    char a[FH_SIGNIN_CODE_LEN + 1], b[FH_SIGNIN_CODE_LEN + 1];
    int64_t minute = 60LL * 1000000000;
    assert_int_equal(fh_signin_issue(s, 1, a, NULL), 0);
    assert_int_equal(fh_signin_issue(s, 1, b, NULL), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(fh_signin_redeem(s, FH_STR(""), 2, NULL), FH_E_UNAUTHENTICATED);
    assert_int_equal(fh_signin_redeem(s, fh_str_of(a), 14 * minute, NULL), 0);
    assert_int_equal(fh_signin_redeem(s, fh_str_of(a), 14 * minute, NULL), FH_E_UNAUTHENTICATED);
    assert_int_equal(fh_signin_redeem(s, fh_str_of(b), 16 * minute, NULL), FH_E_UNAUTHENTICATED);
}

static void the_oldest_code_gives_way(void **state)
{
    (void)state;
    FH_AUTO(fh_signin) fh_signin *s = fh_signin_new();
    char first[FH_SIGNIN_CODE_LEN + 1], last[FH_SIGNIN_CODE_LEN + 1];
    fh_signin_issue(s, 1, first, NULL);
    for (int i = 0; i < FH_SIGNIN_WAITING; i++) fh_signin_issue(s, 1, last, NULL);
    assert_int_equal(fh_signin_redeem(s, fh_str_of(first), 2, NULL), FH_E_UNAUTHENTICATED);
    assert_int_equal(fh_signin_redeem(s, fh_str_of(last), 2, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_ours_with_any_port_and_foreign_names_are_not),
        cmocka_unit_test(listening_on_all_addresses_takes_addresses_but_no_rebound_name),
        cmocka_unit_test(only_our_own_page_may_speak),
        cmocka_unit_test(a_body_must_say_that_it_is_json),
        cmocka_unit_test(a_sign_in_code_works_once_and_for_a_while),
        cmocka_unit_test(the_oldest_code_gives_way),
    };
    return cmocka_run_group_tests_name("gateway/admission", tests, NULL, NULL);
}
