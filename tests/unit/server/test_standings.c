/* What is known of places is forgotten with those that do not come again. */
#include "standings.h"

#include "cmocka_all.h"
#include "db/schema.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64], url[128];
static fh_db *db;
static fh_standings *all;

static int fresh(void **state)
{
    strcpy(folder, "/tmp/fh-standings-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(url, sizeof url, "sqlite:%s/db", folder);
    int rc = fh_db_open(&db, url, NULL);
    if (!rc) rc = fh_db_migrate_schema(db, NULL);
    return rc ? rc : fh_standings_open(&all, db, NULL);
}

static int clean(void **state)
{
    fh_standings_close(fh_take(all));
    fh_db_close(fh_take(db));
    return fh_dir_remove(folder, NULL);
}

static void works(const char *place, const char *model)
{
    fh_honesty_work w = {.good = 1};
    fh_standings_worked(all, place, model, &w, 1);
}

static bool is_rented(void *arg, const char *place)
{
    return strncmp(place, "node/cloud-", strlen("node/cloud-")) == 0;
}

static bool is_known(const char *place, const char *model)
{
    fh_standing s;
    return fh_standings_find(all, place, model, &s);
}

static void machines_that_are_gone_leave_no_rows(void **state)
{
    char name[80];
    works("node/den", "m");
    for (int i = 0; i < FH_LIMIT_HONESTY_STANDINGS; i++) { /* until there is no room for another */
        snprintf(name, sizeof name, "node/cloud-%d", i);
        works(name, i % 2 ? "m" : "");
    }
    works("hosted", "m");
    assert_false(is_known("hosted", "m"));
    assert_int_equal(fh_standings_write(all, NULL), 0);
    assert_int_equal(fh_standings_forget_stale(all, is_rented, NULL, NULL), 0);
    works("hosted", "m");
    assert_true(is_known("hosted", "m") && is_known("node/den", "m"));
    assert_false(is_known("node/cloud-0", "") || is_known("node/cloud-1", "m"));
    assert_int_equal(fh_standings_write(all, NULL), 0);
    fh_standings_close(fh_take(all));
    assert_int_equal(fh_standings_open(&all, db, NULL), 0);
    assert_true(is_known("hosted", "m") && is_known("node/den", "m"));
    assert_false(is_known("node/cloud-0", "") || is_known("node/cloud-4000", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(machines_that_are_gone_leave_no_rows, fresh, clean)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
