/* Kept records of what requests used: found at once and after a restart, by their owner alone, a page at a time, bounded. */
#include "base/clock.h"
#include "cmocka_all.h"
#include "folder.h"
#include "db/db.h"
#include "db/schema.h"
#include "gateway/usage_store.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct place {
    char path[64], url[80];
    fh_usage_store *store;
} place;

static void reopen(place *p)
{
    fh_usage_store_close(p->store);
    p->store = NULL;
    assert_int_equal(fh_usage_store_open(&p->store, p->url, NULL), 0);
}

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    fh_db *db = NULL;
    if (!folder_make(p->path, sizeof p->path)) return -1;
    snprintf(p->url, sizeof p->url, "sqlite:%s/u.db", p->path);
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    fh_db_close(db);
    reopen(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    fh_usage_store_close(p->store);
    int rc = folder_remove(p->path);
    free(p);
    return rc;
}

static void put(fh_usage_store *s, unsigned n, const char *key)
{
    char id[32];
    snprintf(id, sizeof id, "req_%u", n);
    fh_usage u = {.request = fh_str_of(id),
                  .key = fh_str_of(key),
                  .began_utc_ns = fh_clock_utc_ns(),
                  .operation = FH_STR("chat"),
                  .model = n % 2 ? FH_STR("odd") : FH_STR("even"),
                  .cache = FH_STR("off"),
                  .used = {.completion_tok = n, .counted = FH_COUNTED_FREEHOLD}};
    fh_usage_store_put(s, &u);
}

static void take_tok(void *arg, const fh_usage *u)
{
    *(uint64_t *)arg = u->used.completion_tok;
}

static int64_t found(place *p, const char *request, const char *key)
{
    uint64_t tok = 0;
    int rc = fh_usage_store_find(p->store, fh_str_of(request), fh_str_of(key), take_tok, &tok, NULL);
    return rc ? rc : (int64_t)tok;
}

static void a_record_is_found_at_once_and_after_a_restart(void **state)
{
    place *p = *state;
    for (unsigned i = 1; i <= 300; i++) put(p->store, i, "a");
    assert_int_equal(found(p, "req_7", "a"), 7);
    assert_int_equal(found(p, "req_300", "a"), 300);
    reopen(p);
    assert_int_equal(found(p, "req_7", "a"), 7);
    assert_int_equal(found(p, "req_300", "a"), 300);
    assert_int_equal(found(p, "req_301", "a"), FH_E_NOT_FOUND);
    put(p->store, 301, "a");
    assert_int_equal(found(p, "req_301", "a"), 301);
}

static void a_block_that_grows_is_written_again(void **state)
{
    place *p = *state;
    for (unsigned i = 1; i <= 5; i++) {
        put(p->store, i, "a");
        fh_usage_store_settle(p->store);
    }
    fh_usage_counts c;
    fh_usage_store_counts(p->store, &c);
    assert_int_equal(c.written, 5);
    reopen(p);
    for (unsigned i = 1; i <= 5; i++) {
        char id[32];
        snprintf(id, sizeof id, "req_%u", i);
        assert_int_equal(found(p, id, ""), i);
    }
}

static void the_requests_of_another_key_are_not_there(void **state)
{
    place *p = *state;
    put(p->store, 1, "a");
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_int_equal(found(p, "req_1", "b"), FH_E_NOT_FOUND);
        assert_int_equal(found(p, "req_1", ""), 1);
        reopen(p);
    }
}

typedef struct page {
    uint64_t tok[600];
    size_t count;
} page;

static void take_page(void *arg, const fh_usage *u)
{
    page *p = arg;
    p->tok[p->count++] = u->used.completion_tok;
}

static size_t pages(place *p, const char *key, size_t size, page *all)
{
    uint64_t cursor = 0;
    size_t n = 0;
    all->count = 0;
    do {
        assert_int_equal(fh_usage_store_list(p->store, fh_str_of(key), size, &cursor, take_page, all, NULL), 0);
        n++;
    } while (cursor && n < 600);
    return n;
}

static void they_are_listed_newest_first_each_once(void **state)
{
    place *p = *state;
    page all;
    for (unsigned i = 1; i <= 300; i++) put(p->store, i, i % 3 ? "a" : "b");
    const size_t sizes[] = {1, 7, 128, 500};
    for (size_t s = 0; s < FH_COUNT(sizes); s++) {
        pages(p, "", sizes[s], &all);
        assert_int_equal(all.count, 300);
        for (size_t i = 0; i < 300; i++) assert_int_equal(all.tok[i], 300 - i);
    }
    pages(p, "b", 10, &all);
    assert_int_equal(all.count, 100);
    for (size_t i = 0; i < 100; i++) assert_int_equal(all.tok[i], 300 - 3 * i);
}

static void what_comes_while_one_pages_is_not_given_twice(void **state)
{
    place *p = *state;
    page all = {.count = 0};
    uint64_t cursor = 0;
    for (unsigned i = 1; i <= 20; i++) put(p->store, i, "a");
    assert_int_equal(fh_usage_store_list(p->store, FH_STR(""), 5, &cursor, take_page, &all, NULL), 0);
    for (unsigned i = 21; i <= 30; i++) put(p->store, i, "a");
    assert_int_equal(fh_usage_store_list(p->store, FH_STR(""), 100, &cursor, take_page, &all, NULL), 0);
    assert_int_equal(all.count, 20);
    for (size_t i = 0; i < 20; i++) assert_int_equal(all.tok[i], 20 - i);
}

static void what_is_broken_in_the_database_is_passed_over(void **state)
{
    place *p = *state;
    fh_db *db = NULL;
    page all;
    for (unsigned i = 1; i <= 10; i++) put(p->store, i, "a");
    reopen(p);
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_exec(db, NULL, "UPDATE usage SET records = substr(records, 1, length(records) / 2)", ""), 0);
    fh_db_close(db);
    pages(p, "", 100, &all);
    assert_true(all.count > 0 && all.count < 10);
    assert_int_equal(found(p, "req_1", ""), 1);
    assert_int_equal(found(p, "req_10", ""), FH_E_NOT_FOUND);
}

static void old_blocks_go(void **state)
{
    place *p = *state;
    fh_db *db = NULL;
    put(p->store, 1, "a");
    reopen(p);
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_exec(db, NULL, "UPDATE usage SET to_utc_ns = 1", ""), 0);
    fh_db_close(db);
    put(p->store, 2, "a");
    reopen(p);
    assert_int_equal(found(p, "req_1", ""), FH_E_NOT_FOUND);
    assert_int_equal(found(p, "req_2", ""), 2);
}

/* Faults strike the thread too; what was not written waits, and is written when the next try can. */
static int keep_some(void *arg)
{
    place *p = arg;
    fh_usage_store *s = NULL;
    int rc = fh_usage_store_open(&s, p->url, NULL);
    if (rc) return rc;
    for (unsigned i = 0; i < 130; i++) put(s, i, "a");
    fh_usage_store_settle(s);
    fh_usage_store_close(s);
    return 0;
}

static void a_disk_or_memory_that_fails_breaks_nothing(void **state)
{
    const fh_fault faults[] = {FH_FAULT_ALLOC, FH_FAULT_WRITE, FH_FAULT_FSYNC};
    for (size_t i = 0; i < FH_COUNT(faults); i++) assert_true(fh_torture(faults[i], keep_some, *state, 60) > 0);
    place *p = *state;
    put(p->store, 999, "a");
    reopen(p);
    assert_int_equal(found(p, "req_999", ""), 999);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_found_at_once_and_after_a_restart),
        TEST(a_block_that_grows_is_written_again),
        TEST(the_requests_of_another_key_are_not_there),
        TEST(they_are_listed_newest_first_each_once),
        TEST(what_comes_while_one_pages_is_not_given_twice),
        TEST(what_is_broken_in_the_database_is_passed_over),
        TEST(old_blocks_go),
        TEST(a_disk_or_memory_that_fails_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
