/* Which replica has seen the beginning of a prompt. */
#include "cmocka_all.h"
#include "prefix.h"
#include <stdlib.h>
#include <string.h>

static fh_prefix prompt(const char *salt, char fill, size_t bytes, const char *end)
{
    static fh_prefix p;
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 20);
    fh_wire_request r = {0};
    fh_buf_adds(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (size_t i = 0; i < bytes; i++) fh_buf_addc(&body, fill);
    fh_buf_addf(&body, "%s\"}]}", end);
    assert_int_equal(fh_wire_chat_parse(&r, (fh_str){body.data, body.len}, NULL), 0);
    fh_prefix_of(&p, salt, &r);
    fh_wire_request_fini(&r);
    return p;
}

static void a_shared_beginning_is_known_again(void **state)
{
    FH_AUTO(fh_prefixes) fh_prefixes *t = fh_prefixes_new();
    fh_prefix first = prompt("s", 'a', 4096, ""), longer = prompt("s", 'a', 8192, "and more"), other = prompt("s", 'b', 4096, "");
    assert_in_range(first.count, 7, 8);
    assert_true(fh_prefixes_match(t, &first, 1) <= 0);
    fh_prefixes_note(t, &first, 1);
    assert_true(fh_prefixes_match(t, &first, 1) >= 1);
    assert_true(fh_prefixes_match(t, &first, 2) <= 0);
    double half = fh_prefixes_match(t, &longer, 1);
    assert_true(half > 0.4 && half < 0.6);
    assert_true(fh_prefixes_match(t, &other, 1) <= 0);
}

static void another_account_shares_nothing(void **state)
{
    FH_AUTO(fh_prefixes) fh_prefixes *t = fh_prefixes_new();
    fh_prefix mine = prompt("mine", 'a', 4096, ""), yours = prompt("yours", 'a', 4096, "");
    fh_prefixes_note(t, &mine, 1);
    assert_true(fh_prefixes_match(t, &yours, 1) <= 0);
}

static void short_prompts_are_nothing_to_remember(void **state)
{
    fh_prefix p = prompt("s", 'a', 100, "");
    assert_int_equal(p.count, 0);
}

static void the_oldest_of_too_many_is_forgotten(void **state)
{
    FH_AUTO(fh_prefixes) fh_prefixes *t = fh_prefixes_new();
    fh_prefix p = prompt("s", 'a', 1024, "");
    for (uint64_t replica = 1; replica <= 5; replica++) fh_prefixes_note(t, &p, replica);
    assert_true(fh_prefixes_match(t, &p, 1) <= 0);
    for (uint64_t replica = 2; replica <= 5; replica++) assert_true(fh_prefixes_match(t, &p, replica) >= 1);
}

static void a_prompt_of_any_length_is_bounded(void **state)
{
    fh_prefix p = prompt("s", 'a', 900000, "");
    assert_int_equal(p.count, FH_LIMIT_PREFIX_BLOCKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_beginning_is_known_again),     cmocka_unit_test(another_account_shares_nothing),
        cmocka_unit_test(short_prompts_are_nothing_to_remember), cmocka_unit_test(the_oldest_of_too_many_is_forgotten),
        cmocka_unit_test(a_prompt_of_any_length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
