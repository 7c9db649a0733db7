/* Addresses and ranges. */
#include "base/mem.h"
#include "cmocka_all.h"
#include "net/address.h"

static bool holds(const char *range, const char *address)
{
    fh_range r;
    fh_address a;
    assert_int_equal(fh_range_parse(fh_str_of(range), &r, NULL), 0);
    assert_true(fh_address_parse(fh_str_of(address), &a));
    return fh_range_holds(&r, &a);
}

static void test_a_range_holds_what_shares_its_first_bits(void **state)
{
    assert_true(holds("10.0.0.0/8", "10.255.0.1"));
    assert_false(holds("10.0.0.0/8", "11.0.0.1"));
    assert_true(holds("192.0.2.7", "192.0.2.7"));
    assert_false(holds("192.0.2.7", "192.0.2.6"));
    assert_true(holds("0.0.0.0/0", "203.0.113.9"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_true(holds("::/0", "203.0.113.9"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
    assert_true(holds("10.0.0.0/31", "10.0.0.1"));
}

static void test_what_is_no_range_is_refused(void **state)
{
    static const char *const bad[] = {
        "",       "/8",          "10.0.0.0/",      "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",  "10.0.0.0/8 ", "10.0.0/8",  "10.1.2.3/8",
        "::/129", "example.org", "2001:db8::1/64", "1.2.3.4.5",   "[::1]",       "10.0.0.0/8/8", "0x7f.1",      "2130706433"};
    fh_range r;
    for (size_t i = 0; i < FH_COUNT(bad); i++)
        if (fh_range_parse(fh_str_of(bad[i]), &r, NULL) != FH_E_USAGE) fail_msg("%s", bad[i]);
}

static void test_loopback_is_known_in_both_families(void **state)
{
    static const char *const ours[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}, *const others[] = {"128.0.0.1", "::2",
                                                                                                                "::", "10.0.0.1"};
    fh_address a;
    for (size_t i = 0; i < FH_COUNT(ours); i++) {
        assert_true(fh_address_parse(fh_str_of(ours[i]), &a));
        assert_true(fh_address_is_loopback(&a));
    }
    for (size_t i = 0; i < FH_COUNT(others); i++) {
        assert_true(fh_address_parse(fh_str_of(others[i]), &a));
        assert_false(fh_address_is_loopback(&a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_holds_what_shares_its_first_bits),
        cmocka_unit_test(test_what_is_no_range_is_refused),
        cmocka_unit_test(test_loopback_is_known_in_both_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
