/* Regions and lists of them. */
#include "cmocka_all.h"
#include "gateway/region.h"

#include <stdio.h>
#include <string.h>

static void a_label_is_short_and_plain(void **state)
{
    static const char *const good[] = {"de", "eu-west-1", "0"}, *const bad[] = {"", "DE", "a b", "a,b", "ö", "a.b", "a_b"};
    char longest[FH_REGION_CHARS + 1];
    for (size_t i = 0; i < FH_COUNT(good); i++) assert_true(fh_region_is(fh_str_of(good[i])));
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_false(fh_region_is(fh_str_of(bad[i])));
    assert_false(fh_region_is((fh_str){"a\0b", 3}));
    memset(longest, 'a', sizeof longest);
    assert_true(fh_region_is((fh_str){longest, FH_REGION_CHARS - 1}));
    assert_false(fh_region_is((fh_str){longest, FH_REGION_CHARS}));
}

static void a_list_is_read_with_blanks_and_kept_without(void **state)
{
    char list[FH_LIMIT_REGIONS_BYTES] = "";
    assert_int_equal(fh_regions_parse(FH_STR(" de,\tfr , de"), list, NULL), 0);
    assert_string_equal(list, "de,fr");
    assert_true(fh_str_eqs(fh_regions_at(list, 1), "fr"));
    assert_int_equal(fh_regions_at(list, 2).len, 0);
    assert_int_equal(fh_regions_at("", 0).len, 0);
}

static void a_list_holds_its_labels_and_nothing_else(void **state)
{
    assert_true(fh_regions_hold("de,eu-west-1", "eu-west-1"));
    static const char *const others[] = {"eu-west", "eu-west-11", "d", "", "de,eu-west-1", NULL};
    for (size_t i = 0; i < FH_COUNT(others); i++) assert_false(fh_regions_hold("de,eu-west-1", others[i]));
    assert_false(fh_regions_hold("", ""));
    assert_false(fh_regions_hold("", "de"));
}

static void what_is_no_list_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {"", ",", "de,", ",de", "de,,fr", "de;fr", "De"};
    char list[FH_LIMIT_REGIONS_BYTES] = "nl";
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_regions_parse(fh_str_of(bad[i]), list, &err), FH_E_INVALID);
        assert_non_null(fh_err_hint_get(err));
        assert_string_equal(list, "nl");
    }
}

static void there_is_room_for_so_many(void **state)
{
    char list[FH_LIMIT_REGIONS_BYTES] = "", name[8];
    int rc = 0;
    size_t taken = 0;
    for (; rc == 0; taken++) {
        snprintf(name, sizeof name, "r%zu", 100 + taken);
        rc = fh_regions_add(list, fh_str_of(name), NULL);
    }
    assert_int_equal(rc, FH_E_INVALID);
    assert_int_equal(taken - 1, FH_LIMIT_REGIONS_BYTES / 5); /* four letters and a comma, the last without */
    assert_true(fh_regions_hold(list, "r100"));
    assert_false(fh_regions_hold(list, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_is_short_and_plain),
        cmocka_unit_test(a_list_is_read_with_blanks_and_kept_without),
        cmocka_unit_test(a_list_holds_its_labels_and_nothing_else),
        cmocka_unit_test(what_is_no_list_is_refused_and_changes_nothing),
        cmocka_unit_test(there_is_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
