/* Classes of trust, and lists of who may read. */
#include "base/trust.h"
#include "torture.h"

#include <stdio.h>

static const fh_reader here = {.trust = FH_TRUST_OWN, .place = "here"},
                       den = {.trust = FH_TRUST_RENTED, .place = "node/den", .owner = "alice"},
                       cloud = {.trust = FH_TRUST_RENTED, .place = "node/runpod-7", .via = "provider/runpod"},
                       lab = {.trust = FH_TRUST_NAMED, .place = "provider/lab", .owner = ""}, nobody = {.trust = FH_TRUST_ANY};

static void check_kept(const char *text, const char *as)
{
    char list[FH_LIMIT_TRUST_BYTES] = "before";
    assert_int_equal(fh_trusts_parse(fh_str_of(text), list, NULL), 0);
    assert_string_equal(list, as);
}

static void a_list_is_kept_in_its_shortest_form(void **state)
{
    check_kept("own", "own");
    check_kept("node/den", "own,node/den");
    check_kept(" provider/lab ,rented, node/den,provider/lab,own", "rented,provider/lab,node/den");
    check_kept("owner/alice,any", "any");
}

static void what_names_nobody_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {"",        ",",    "own,",         "den",     "node/",      "node/DEN",     "node/a b",
                                      "own;any", "here", "provider/a/b", "owner/ö", "x-node/den", "node/den,,own"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        char list[FH_LIMIT_TRUST_BYTES] = "own";
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_trusts_parse(fh_str_of(bad[i]), list, &err), FH_E_INVALID);
        assert_string_equal(list, "own");
        assert_non_null(fh_err_hint_get(err));
    }
}

static void no_list_is_longer_than_its_room(void **state)
{
    char text[2 * FH_LIMIT_TRUST_BYTES] = "", list[FH_LIMIT_TRUST_BYTES] = "";
    int rc = 0, names = 0;
    for (; rc == 0 && names < 40; names++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%snode/machine-%02d", names ? "," : "", names);
        rc = fh_trusts_parse(fh_str_of(text), list, NULL);
    }
    assert_int_equal(rc, FH_E_INVALID);
    assert_int_equal(strlen(list), strlen("own") + (size_t)(names - 1) * strlen(",node/machine-00"));
    assert_true(strlen(list) + strlen(",node/machine-00") >= FH_LIMIT_TRUST_BYTES);
}

static void a_class_holds_those_before_it(void **state)
{
    static const char *const lists[] = {"own", "rented", "named", "any"};
    const fh_reader *const readers[] = {&here, &den, &lab, &nobody};
    for (size_t list = 0; list < FH_TRUSTS; list++)
        for (size_t i = 0; i < FH_TRUSTS; i++) assert_int_equal(fh_trusts_hold(lists[list], readers[i]), i <= list);
}

static void a_name_holds_what_it_names_and_ones_own(void **state)
{
    static const struct {
        const char *list;
        bool here, den, cloud, lab;
    } rows[] = {{"own,node/den", true, true, false, false},
                {"own,owner/alice", true, true, false, false},
                {"own,provider/lab", true, false, false, true},
                {"own,provider/runpod", true, false, true, false},
                {"rented,provider/lab", true, true, true, true},
                {"own,node/de", true, false, false, false},
                {"own,node/den-2", true, false, false, false},
                {"own,owner/alic", true, false, false, false},
                {"own,owner/den,node/alice", true, false, false, false}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        assert_int_equal(fh_trusts_hold(rows[i].list, &here), rows[i].here);
        assert_int_equal(fh_trusts_hold(rows[i].list, &den), rows[i].den);
        assert_int_equal(fh_trusts_hold(rows[i].list, &cloud), rows[i].cloud);
        assert_int_equal(fh_trusts_hold(rows[i].list, &lab), rows[i].lab);
    }
}

static void an_empty_list_holds_nobody_but_oneself(void **state)
{
    assert_true(fh_trusts_hold("", &here));
    assert_false(fh_trusts_hold("", &den));
    assert_false(fh_trusts_hold("", &nobody));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_kept_in_its_shortest_form),     cmocka_unit_test(what_names_nobody_is_refused_and_changes_nothing),
        cmocka_unit_test(no_list_is_longer_than_its_room),         cmocka_unit_test(a_class_holds_those_before_it),
        cmocka_unit_test(a_name_holds_what_it_names_and_ones_own), cmocka_unit_test(an_empty_list_holds_nobody_but_oneself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
