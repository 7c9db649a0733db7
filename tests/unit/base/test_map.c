#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "torture.h"

#include <stdio.h>

static void agrees_with_a_plain_table_over_many_changes(void **state)
{
    FH_AUTO(fh_map) fh_map *m = fh_map_new(NULL);
    static int values[200];
    bool there[200] = {false};
    uint64_t x = 88172645463325252ULL;
    for (int step = 0; step < 20000; step++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        int k = (int)(x % 200);
        char key[16];
        fh_str name = {key, (size_t)snprintf(key, sizeof key, "k%d", k)};
        assert_true(fh_map_find(m, name) == (there[k] ? &values[k] : NULL));
        if (x >> 32 & 1) {
            assert_true(fh_map_put(m, name, &values[k]));
            there[k] = true;
        } else {
            assert_true(fh_map_remove(m, name) == (there[k] ? &values[k] : NULL));
            there[k] = false;
        }
    }
    size_t n = 0, i = 0;
    for (int k = 0; k < 200; k++) n += there[k];
    assert_int_equal(fh_map_count(m), n);
    fh_str key;
    void *value;
    while (fh_map_next(m, &i, &key, &value)) n--;
    assert_int_equal(n, 0);
}

static void siphash_gives_the_authors_vectors(void **state)
{
    uint8_t key[16], in[64];
    for (int i = 0; i < 64; i++) in[i] = (uint8_t)i;
    for (int i = 0; i < 16; i++) key[i] = (uint8_t)i;
    assert_true(fh_siphash(key, in, 0) == 0x726fdb47dd0e0e31ULL);
    assert_true(fh_siphash(key, in, 15) == 0xa129ca6149be45e5ULL);
}

static int fill(void *arg)
{
    FH_AUTO(fh_map) fh_map *m = fh_map_new(fh_free);
    if (!m) return FH_E_NOMEM;
    for (int i = 0; i < 40; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        char *value = fh_strdup("v");
        if (!value) return FH_E_NOMEM;
        if (!fh_map_put(m, fh_str_of(key), value)) {
            fh_free(value);
            return FH_E_NOMEM;
        }
    }
    return 0;
}

static void every_failed_allocation_leaves_a_map_that_can_be_freed(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, fill, NULL, 500) > 80);
}

static void an_arena_bounds_and_zeroes(void **state)
{
    FH_AUTO(fh_arena) fh_arena *a = fh_arena_new(100000);
    for (int i = 0; i < 100; i++) {
        unsigned char *p = fh_arena_alloc(a, 500);
        for (int j = 0; j < 500; j++) assert_int_equal(p[j], 0);
        memset(p, 0xff, 500);
    }
    assert_null(fh_arena_alloc(a, 60000));
    assert_null(fh_arena_array(a, SIZE_MAX / 2, 4));
    assert_string_equal(fh_arena_printf(a, "%d-%s", 7, "x"), "7-x");
    fh_arena_reset(a);
    assert_int_equal(fh_arena_used(a), 0);
    assert_non_null(fh_arena_alloc(a, 60000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_plain_table_over_many_changes),
        cmocka_unit_test(siphash_gives_the_authors_vectors),
        cmocka_unit_test(every_failed_allocation_leaves_a_map_that_can_be_freed),
        cmocka_unit_test(an_arena_bounds_and_zeroes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
