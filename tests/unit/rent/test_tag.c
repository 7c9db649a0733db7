/* Tags: what carries one may be ended, so nothing else may be taken for one. */
#include "cmocka_all.h"
#include "rent_private.h"

static void what_is_written_is_read_again(void **state)
{
    char tag[FH_RENT_TAG_CHARS], installation[17], epoch[17];
    int64_t act = 0;
    (void)state;
    fh_rent_tag_write("0123456789abcdef", "fedcba9876543210", INT64_MAX, tag);
    assert_string_equal(tag, "freehold:0123456789abcdef:fedcba9876543210.9223372036854775807");
    assert_true(fh_rent_tag_read(tag, installation, epoch, &act));
    assert_string_equal(installation, "0123456789abcdef");
    assert_string_equal(epoch, "fedcba9876543210");
    assert_true(act == INT64_MAX);
}

static void nothing_else_is_a_tag(void **state)
{
    static const char *const others[] = {"",
                                         "training",
                                         "freehold:",
                                         "freehold:0123456789abcdef:fedcba9876543210",
                                         "freehold:0123456789abcdef:fedcba9876543210.",
                                         "freehold:0123456789abcdef:fedcba9876543210.0",
                                         "freehold:0123456789abcdef:fedcba9876543210.01",
                                         "freehold:0123456789abcdef:fedcba9876543210.1 ",
                                         "freehold:0123456789abcdef:fedcba9876543210.-1",
                                         "freehold:0123456789abcdef:fedcba9876543210.9223372036854775808",
                                         "freehold:0123456789ABCDEF:fedcba9876543210.1",
                                         "freehold:0123456789abcdef0:fedcba9876543210.1",
                                         "freehold:0123456789abcde:fedcba9876543210.1",
                                         " freehold:0123456789abcdef:fedcba9876543210.1",
                                         "Freehold:0123456789abcdef:fedcba9876543210.1"};
    char installation[17], epoch[17];
    int64_t act;
    (void)state;
    for (size_t i = 0; i < FH_COUNT(others); i++) assert_false(fh_rent_tag_read(others[i], installation, epoch, &act));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(nothing_else_is_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
