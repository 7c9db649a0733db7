/* What of the addresses that strangers name may be opened. */
#include "net/outside_rule.h"

#include "base/limits.h"
#include "base/mem.h"
#include "cmocka_all.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static fh_address address(const char *text)
{
    fh_address a;
    if (!fh_address_parse(fh_str_of(text), &a)) fail_msg("%s", text);
    return a;
}

/* ---- addresses ---- */

/* The same said another way: by numbers. */
static bool v4_is_public(uint32_t a)
{
    uint32_t top = a >> 24, two = a >> 16, three = a >> 8;
    if (top == 0 || top == 10 || top == 127 || top >= 224) return false;
    if (two >= 0xac10 && two <= 0xac1f) return false;
    if (two == 0xc0a8 || two == 0xa9fe || two == 0xc612 || two == 0xc613) return false;
    if (two >= 0x6440 && two <= 0x647f) return false;
    if (three == 0xc00000 || three == 0xc00002 || three == 0xc05863 || three == 0xc63364 || three == 0xcb0071) return false;
    return a != 0xa83f8110;
}

static fh_address v4(uint32_t n)
{
    fh_address a = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = n >> 24, [13] = n >> 16 & 255, [14] = n >> 8 & 255, [15] = n & 255}};
    return a;
}

static void judge_third(uint32_t three)
{
    static const uint32_t last[] = {0, 1, 15, 16, 17, 254, 255};
    for (size_t i = 0; i < FH_COUNT(last); i++) {
        uint32_t n = three << 8 | last[i];
        fh_address a = v4(n);
        if (!fh_address_special(&a) != v4_is_public(n)) fail_msg("%08x", n);
    }
}

static void every_network_of_ipv4_is_judged_as_its_registry_has_it(void **state)
{
    static const uint32_t split[] = {0xc000, 0xc058, 0xc633, 0xcb00, 0xa83f}; /* of which only a part is special */
    for (uint32_t two = 0; two < 65536; two++) {
        judge_third(two << 8);
        judge_third(two << 8 | 255);
    }
    for (size_t i = 0; i < FH_COUNT(split); i++)
        for (uint32_t third = 0; third < 256; third++) judge_third(split[i] << 8 | third);
}

static void names_are_given_to_what_is_refused(void **state)
{
    static const struct {
        const char *address, *what;
    } rows[] = {{"10.1.2.3", "a private address"},
                {"172.31.255.255", "a private address"},
                {"192.168.0.1", "a private address"},
                {"127.0.0.1", "a loopback address"},
                {"::1", "a loopback address"},
                {"::ffff:127.0.0.1", "a loopback address"},
                {"::ffff:a9fe:a9fe", "a link-local address"},
                {"169.254.169.254", "a link-local address"},
                {"fe80::1", "a link-local address"},
                {"168.63.129.16", "a metadata service"},
                {"192.0.0.192", "an address of protocols"},
                {"100.100.100.200", "an address shared behind a carrier's NAT"},
                {"fd00:ec2::254", "a private address"},
                {"fec0::1", "a private address"},
                {"224.0.0.1", "a multicast address"},
                {"ff02::1", "a multicast address"},
                {"255.255.255.255", "a reserved address"},
                {"0.0.0.0", "an address of this network"},
                {"::", "a reserved address"},
                {"::7f00:1", "a reserved address"},
                {"::ffff:0:7f00:1", "a reserved address"},
                {"64:ff9b::7f00:1", "a NAT64 address"},
                {"64:ff9b:1::a00:1", "a NAT64 address"},
                {"2002:7f00:1::", "a 6to4 address"},
                {"2001::1", "an address of protocols"},
                {"2001:db8::1", "an address of documentation"},
                {"3fff::1", "an address of documentation"},
                {"2606:4700::5efe:7f00:1", "an ISATAP address"},
                {"2606:4700::200:5efe:a00:1", "an ISATAP address"},
                {"100::1", "a reserved address"},
                {"4000::1", "a reserved address"},
                {"5f00::1", "a reserved address"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_address a = address(rows[i].address);
        const char *what = fh_address_special(&a);
        if (!what || strcmp(what, rows[i].what) != 0) fail_msg("%s: %s", rows[i].address, what ? what : "public");
    }
}

static void what_is_public_has_no_name(void **state)
{
    static const char *const rows[] = {
        "8.8.8.8",       "1.1.1.1",     "9.255.255.255",        "11.0.0.0",       "100.63.255.255", "100.128.0.0", "172.15.0.1",
        "172.32.0.1",    "192.0.1.1",   "192.167.1.1",          "198.17.255.255", "198.20.0.0",     "223.255.0.1", "192.52.193.1",
        "168.63.129.17", "2606:4700::", "2001:4860:4860::8888", "2001:200::1",    "2003::1",        "2a00::1",     "2620:4f:8000::1"};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_address a = address(rows[i]);
        if (fh_address_special(&a)) fail_msg("%s: %s", rows[i], fh_address_special(&a));
    }
}

/* Whatever the C library's macros know to be special must not pass, over every first 16 bits. */
static void the_systems_macros_agree_on_ipv6(void **state)
{
    for (uint32_t first = 0; first < 65536; first++) {
        struct in6_addr in = {.s6_addr = {first >> 8, first & 255, [15] = 1}};
        fh_address a;
        memcpy(a.bytes, &in, sizeof a.bytes);
        bool special = IN6_IS_ADDR_LINKLOCAL(&in) || IN6_IS_ADDR_SITELOCAL(&in) || IN6_IS_ADDR_MULTICAST(&in) ||
                       IN6_IS_ADDR_LOOPBACK(&in) || IN6_IS_ADDR_V4COMPAT(&in) || (first & 0xfe00) == 0xfc00 || (first & 0xe000) != 0x2000;
        if (special && !fh_address_special(&a)) fail_msg("%04x::1", first);
    }
}

static void addresses_are_written_as_they_are_read(void **state)
{
    static const char *const rows[] = {"192.0.2.7", "2001:db8::7", "::1", "255.255.255.255"};
    char text[FH_ADDRESS_TEXT];
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_address a = address(rows[i]);
        fh_address_write(&a, text);
        assert_string_equal(text, rows[i]);
    }
}

/* ---- URLs ---- */

static void a_url_is_written_anew_from_what_was_read(void **state)
{
    static const char *const rows[][2] = {
        {"https://example.org", "https://example.org:443/"},
        {"HTTPS://EXAMPLE.org/A%20b?c=D#e", "https://example.org:443/A%20b?c=D"},
        {"https://example.org?x", "https://example.org:443/?x"},
        {"https://example.org#x", "https://example.org:443/"},
        {"https://example.org:8443/x", "https://example.org:8443/x"},
        {"https://xn--bcher-kva.example/", "https://xn--bcher-kva.example:443/"},
        {"https://192.0.2.7/", "https://192.0.2.7:443/"},
        {"https://[2001:DB8::7]:444/x", "https://[2001:db8::7]:444/x"},
        {"https://a_b.example/@/x:y", "https://a_b.example:443/@/x:y"},
        {"https://1.example/", "https://1.example:443/"},
        {"https://0xa.b/", "https://0xa.b:443/"},
        {"https://example.org/../x//y", "https://example.org:443/../x//y"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1000);
        fh_outside_url u;
        fh_err *err = NULL;
        if (fh_outside_url_parse(&u, fh_str_of(rows[i][0]), &err)) fail_msg("%s: %s", rows[i][0], fh_err_message(err));
        assert_true(fh_outside_url_write(&u, &out));
        assert_string_equal(fh_buf_cstr(&out), rows[i][1]);
    }
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "https",
        "https://",
        "https:///x",
        "http://example.org/",
        "ftp://example.org/",
        "//example.org/",
        "file:///etc/passwd",
        "https:/example.org",
        "https:example.org",
        " https://example.org/",
        "https://example.org/ ",
        "https://exa mple.org/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org/\\x",
        "https://example.org/\t",
        "https://b\303\274cher.example/",
        /* users */
        "https://me@example.org/",
        "https://me:pw@example.org/",
        "https://example.org@127.0.0.1/",
        "https://@example.org/",
        "https://example.org:443@127.0.0.1/",
        /* other forms of 127.0.0.1 */
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://127.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.01/",
        "https://127.0.0.0x1/",
        "https://0/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://4294967296/",
        "https://a.0x/",
        "https://%31%32%37.0.0.1/",
        "https://127%2e0.0.1/",
        "https://\xe2\x91\xa0.0.0.1/",
        /* IPv6 */
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::ffff:7f00:1]/",
        "https://[::1",
        "https://::1/",
        "https://[]/",
        "https://[127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1]x/",
        "https://[::1]]/",
        "https://[[::1]]/",
        "https://[v1.x]/",
        /* names */
        "https://example.org./",
        "https://./",
        "https://../",
        "https://example..org/",
        "https://.example.org/",
        "https://-x.example/",
        "https://x-.example/",
        "https://exa*mple.org/",
        "https://example.org,127.0.0.1/",
        "https://example.org;x/",
        "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/",
        /* ports */
        "https://example.org:/",
        "https://example.org:0/",
        "https://example.org:0443/",
        "https://example.org:65536/",
        "https://example.org:+443/",
        "https://example.org:443:443/",
        "https://example.org:x/",
        "https://[::1]:/",
        "https://example.org: 443/",
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_outside_url u;
        fh_err *err = NULL;
        if (fh_outside_url_parse(&u, fh_str_of(rows[i]), &err) != FH_E_INVALID) fail_msg("taken: %s", rows[i]);
        assert_null(strlen(rows[i]) > 10 ? strstr(fh_err_message(err), rows[i]) : NULL);
        fh_err_free(err);
    }
    fh_outside_url u;
    assert_int_equal(fh_outside_url_parse(&u, (fh_str){"https://example.org\0.evil/", 26}, NULL), FH_E_INVALID);
}

static void a_url_has_a_longest(void **state)
{
    static char text[FH_LIMIT_OUTSIDE_URL_BYTES + 2] = "https://example.org/";
    fh_outside_url u;
    memset(text + 20, 'a', sizeof text - 20);
    assert_int_equal(fh_outside_url_parse(&u, (fh_str){text, FH_LIMIT_OUTSIDE_URL_BYTES}, NULL), 0);
    assert_int_equal(fh_outside_url_parse(&u, (fh_str){text, FH_LIMIT_OUTSIDE_URL_BYTES + 1}, NULL), FH_E_INVALID);
    char name[300] = "https://";
    for (int i = 0; i < 127; i++) strcat(name, "a.");
    strcat(name, "b"); /* 255 characters */
    assert_int_equal(fh_outside_url_parse(&u, fh_str_of(name), NULL), FH_E_INVALID);
}

/* ---- the operator's list ---- */

static bool allows(const char *const *list, const char *url, const char *at)
{
    FH_AUTO(fh_outside_rule) fh_outside_rule *r = NULL;
    fh_outside_url u;
    fh_address a = address(at);
    const char *why = NULL;
    assert_int_equal(fh_outside_rule_new(&r, list, NULL), 0);
    assert_int_equal(fh_outside_url_parse(&u, fh_str_of(url), NULL), 0);
    bool yes = fh_outside_rule_allows(r, &u, &a, &why);
    assert_true(yes == (why == NULL));
    return yes;
}

static void without_a_list_only_what_is_public_at_443_is_allowed(void **state)
{
    assert_true(allows(NULL, "https://example.org/", "8.8.8.8"));
    assert_true(allows(NULL, "https://example.org:443/", "2606:4700::1"));
    assert_false(allows(NULL, "https://example.org:8443/", "8.8.8.8"));
    assert_false(allows(NULL, "https://example.org:80/", "8.8.8.8"));
    assert_false(allows(NULL, "https://example.org/", "127.0.0.1"));
    assert_false(allows(NULL, "https://localhost/", "::1"));
}

static void what_is_listed_is_allowed_and_nothing_beside_it(void **state)
{
    static const char *const names[] = {"Images.example.org", "other.example:8443", NULL};
    assert_true(allows(names, "https://images.example.org/", "10.0.0.1"));
    assert_false(allows(names, "https://images.example.org:8443/", "10.0.0.1"));
    assert_false(allows(names, "https://x.images.example.org/", "10.0.0.1"));
    assert_true(allows(names, "https://other.example:8443/", "8.8.8.8"));
    assert_true(allows(names, "https://other.example/", "8.8.8.8"));
    assert_false(allows(names, "https://other.example/", "10.0.0.1"));
    static const char *const ranges[] = {"10.1.0.0/16", "192.168.1.7:8443", "[fd00::/8]:8443", "[::1]", NULL};
    assert_true(allows(ranges, "https://any.example/", "10.1.2.3"));
    assert_false(allows(ranges, "https://any.example/", "10.2.0.1"));
    assert_true(allows(ranges, "https://192.168.1.7:8443/", "192.168.1.7"));
    assert_false(allows(ranges, "https://192.168.1.7/", "192.168.1.7"));
    assert_true(allows(ranges, "https://any.example:8443/", "fd00::1"));
    assert_true(allows(ranges, "https://[::1]/", "::1"));
    assert_false(allows(ranges, "https://any.example:8443/", "10.1.2.3"));
}

static void what_cannot_be_listed_is_wrong_usage(void **state)
{
    static const char *const rows[] = {
        "",           ":443",     "10.0.0.0/33",   "10.1.2.3/8",    "::1",   "fd00::/8",     "[fd00::/8",
        "[10.0.0.1]", "a b",      "example.org:0", "example.org:x", "127.1", "example.org.", "https://example.org",
        "*",          "[::1]443", "2130706433",    "*.example.org"};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        const char *const list[] = {"good.example", rows[i], NULL};
        fh_outside_rule *r = NULL;
        if (fh_outside_rule_new(&r, list, NULL) != FH_E_USAGE) fail_msg("%s", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_network_of_ipv4_is_judged_as_its_registry_has_it),
        cmocka_unit_test(names_are_given_to_what_is_refused),
        cmocka_unit_test(what_is_public_has_no_name),
        cmocka_unit_test(the_systems_macros_agree_on_ipv6),
        cmocka_unit_test(addresses_are_written_as_they_are_read),
        cmocka_unit_test(a_url_is_written_anew_from_what_was_read),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_url_has_a_longest),
        cmocka_unit_test(without_a_list_only_what_is_public_at_443_is_allowed),
        cmocka_unit_test(what_is_listed_is_allowed_and_nothing_beside_it),
        cmocka_unit_test(what_cannot_be_listed_is_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
