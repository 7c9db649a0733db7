/* Lists of offers that are kept: they are there after a restart, a bad one changes nothing, and whatever fails leaves the one before. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "folder.h"
#include "price_lists.h"
#include "sys/file.h"
#include "torture.h"
#include <stdio.h>
#include <string.h>

static const char good[] =
    "[{\"place\":\"a\",\"device\":\"h200\",\"devices\":8,\"hour_nusd\":29000000000},{\"place\":\"b\",\"input_nusd_per_million\":1,"
    "\"output_nusd_per_million\":2}]";

static fh_json *parsed(const char *text)
{
    fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(text), 1 << 20, NULL), 0);
    return v;
}

static fh_price_lists *opened(const char *folder)
{
    fh_price_lists *all = NULL;
    assert_int_equal(fh_price_lists_open(&all, folder, NULL), 0);
    return all;
}

static int put(fh_price_lists *all, const char *name, const char *text, fh_err **err)
{
    const fh_price_list *l = NULL;
    FH_AUTO(json) fh_json *offers = parsed(text);
    int rc = fh_price_lists_put(all, fh_str_of(name), offers, &l, err);
    if (!rc) assert_string_equal(l->name, name);
    return rc;
}

static void a_list_is_there_after_a_restart_until_it_is_removed(void **state)
{
    fh_price_lists *all = opened(*state);
    assert_int_equal(fh_price_lists_count(all), 0);
    assert_int_equal(put(all, "today", good, NULL), 0);
    assert_int_equal(put(all, "today", good, NULL), 0);
    int64_t when = fh_price_lists_at(all, 0)->imported_utc_ns;
    fh_price_lists_close(all);
    all = opened(*state);
    assert_int_equal(fh_price_lists_count(all), 1);
    assert_int_equal(fh_price_lists_at(all, 0)->offers, 2);
    assert_true(fh_price_lists_at(all, 0)->imported_utc_ns == when);
    assert_string_equal(fh_plan_book_label(fh_price_lists_at(all, 0)->book, 1)->place, "b");
    assert_int_equal(fh_price_lists_remove(all, FH_STR("today"), NULL), 0);
    assert_int_equal(fh_price_lists_remove(all, FH_STR("today"), NULL), FH_E_NOT_FOUND);
    fh_price_lists_close(all);
    all = opened(*state);
    assert_int_equal(fh_price_lists_count(all), 0);
    fh_price_lists_close(all);
}

static void a_bad_one_changes_nothing(void **state)
{
    static const char *const names[] = {"", "A", "..", "a/b", "a.b", "0123456789012345678901234567890123456789012345678901234567890123"};
    fh_price_lists *all = opened(*state);
    fh_err *err = NULL;
    assert_int_equal(put(all, "today", good, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(names); i++) assert_int_equal(put(all, names[i], good, &err), FH_E_INVALID);
    assert_int_equal(put(all, "today", "[{\"place\":\"a\",\"device\":\"h200\"}]", &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "offers[0]"));
    assert_int_equal(fh_price_lists_at(all, 0)->offers, 2);
    for (int i = 1; i < FH_LIMIT_PRICE_LISTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(put(all, name, "[]", NULL), 0);
    }
    assert_int_equal(put(all, "more", good, &err), FH_E_CONFLICT);
    fh_err_free(err);
    fh_price_lists_close(all);
}

static void a_file_that_is_damaged_is_left_and_the_others_are_read(void **state)
{
    char path[600];
    fh_price_lists *all = opened(*state);
    assert_int_equal(put(all, "a", good, NULL), 0);
    assert_int_equal(put(all, "b", good, NULL), 0);
    fh_price_lists_close(all);
    snprintf(path, sizeof path, "%s/offers/a.json", (char *)*state);
    assert_int_equal(fh_file_write_atomic(path, "{\"offers\":", 10, 0600, NULL), 0);
    all = opened(*state);
    assert_int_equal(fh_price_lists_count(all), 1);
    assert_string_equal(fh_price_lists_at(all, 0)->name, "b");
    assert_true(fh_file_exists(path));
    fh_price_lists_close(all);
}

static fh_json *none; /* an empty list */

static int put_once(void *folder)
{
    fh_err *err = NULL;
    fh_price_lists *all = NULL;
    const fh_price_list *l = NULL;
    int rc = fh_price_lists_open(&all, folder, &err);
    if (!rc) rc = fh_price_lists_put(all, FH_STR("today"), none, &l, &err);
    assert_true((rc == 0) == (err == NULL));
    fh_price_lists_close(all);
    fh_err_free(err);
    return rc;
}

static void whatever_fails_leaves_the_list_before(void **state)
{
    none = parsed("[]");
    static const fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_WRITE};
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        fh_price_lists *all = opened(*state);
        assert_int_equal(put(all, "today", good, NULL), 0);
        fh_price_lists_close(all);
        assert_true(fh_torture(kinds[i], put_once, *state, 1000) > 0);
        all = opened(*state);
        assert_int_equal(fh_price_lists_count(all), 1);
        fh_price_lists_close(all);
    }
    fh_json_unref(none);
}

static int make_folder(void **state)
{
    static char folder[64];
    *state = folder;
    return folder_make(folder, sizeof folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return folder_remove(*state);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_list_is_there_after_a_restart_until_it_is_removed),
        IN_FOLDER(a_bad_one_changes_nothing),
        IN_FOLDER(a_file_that_is_damaged_is_left_and_the_others_are_read),
        IN_FOLDER(whatever_fails_leaves_the_list_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
