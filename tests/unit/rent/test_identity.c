/* Who we are: one installation, and a new epoch whenever the database was copied or put back. */
#include "cmocka_all.h"
#include "db/schema.h"
#include "rent_private.h"
#include "sys/file.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64], witness[96];
static fh_db *db;
static uint64_t fresh[2];

static fh_rent_identity identity(const char *place)
{
    fh_rent_identity id;
    fresh[0]++;
    fresh[1]++;
    assert_int_equal(fh_rent_identity_open(db, place, witness, fresh, 1, &id, NULL), 0);
    return id;
}

static bool is_ours(const char *epoch)
{
    bool ours = false;
    assert_int_equal(fh_rent_epoch_is_ours(db, epoch, &ours, NULL, NULL), 0);
    return ours;
}

static void the_same_place_has_the_same_epoch(void **state)
{
    (void)state;
    fh_rent_identity a = identity("here"), b = identity("here");
    assert_string_equal(a.installation, b.installation);
    assert_string_equal(a.epoch, b.epoch);
    assert_false(b.doubtful);
    assert_true(is_ours(b.epoch));
    assert_false(is_ours("ffffffffffffffff"));
}

static void a_copy_has_a_new_one_and_ends_nothing_of_the_old(void **state)
{
    (void)state;
    fh_rent_identity a = identity("here"), b = identity("there");
    assert_string_equal(a.installation, b.installation);
    assert_string_not_equal(a.epoch, b.epoch);
    assert_true(b.doubtful && !is_ours(a.epoch) && is_ours(b.epoch));
    assert_true(identity("there").doubtful);
    assert_int_equal(fh_rent_take_over(db, NULL), 0);
    assert_true(is_ours(a.epoch) && is_ours(b.epoch));
    assert_false(identity("there").doubtful);
}

static void an_older_database_at_the_same_place_is_noticed(void **state)
{
    (void)state;
    fh_rent_identity a = identity("here");
    assert_int_equal(fh_rent_witness_write(witness, 7, NULL), 0); /* acts that this database does not know */
    fh_rent_identity b = identity("here");
    assert_string_not_equal(a.epoch, b.epoch);
    assert_true(b.doubtful);
    assert_string_equal(identity("here").epoch, b.epoch);
}

static int open_once(void *arg)
{
    fh_rent_identity id;
    (void)arg;
    return fh_rent_identity_open(db, "here", witness, fresh, 1, &id, NULL);
}

static void it_is_opened_whole_or_not_at_all(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, open_once, NULL, 1000) > 0);
    fh_rent_identity id = identity("here");
    assert_false(id.doubtful);
}

static int make(void **state)
{
    char url[96];
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fh-rent-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(witness, sizeof witness, "%s/witness", folder);
    snprintf(url, sizeof url, "sqlite:%s/db", folder);
    fresh[0] = fresh[1] = 1;
    return fh_db_open(&db, url, NULL) || fh_db_migrate_schema(db, NULL);
}

static int unmake(void **state)
{
    (void)state;
    fh_db_close(db);
    return fh_dir_remove(folder, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_same_place_has_the_same_epoch, make, unmake),
        cmocka_unit_test_setup_teardown(a_copy_has_a_new_one_and_ends_nothing_of_the_old, make, unmake),
        cmocka_unit_test_setup_teardown(an_older_database_at_the_same_place_is_noticed, make, unmake),
        cmocka_unit_test_setup_teardown(it_is_opened_whole_or_not_at_all, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
