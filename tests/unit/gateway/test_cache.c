#include "cache.h"

#include "base/clock.h"
#include "cmocka_all.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>

static const fh_cache_bounds roomy = {.bytes = 1 << 20, .entries = 100, .kept_ns = 1000};

typedef struct key {
    uint8_t bytes[FH_ANSWER_KEY_BYTES];
} key;

static key key_of(unsigned n)
{
    key k = {{0}};
    memcpy(k.bytes, &n, sizeof n);
    return k;
}

static bool put(fh_cache *c, unsigned n, const char *owner, size_t bytes, int64_t now)
{
    key k = key_of(n);
    fh_answer_head head = {.type = "text/plain"};
    fh_used used = {.prompt_tok = n};
    char *body = calloc(1, bytes + 1);
    memset(body, 'a' + (int)(n % 26), bytes);
    fh_answer *a = fh_answer_new(&head, owner, FH_FINISH_STOP, &used, (fh_str){body, bytes});
    free(body);
    if (a) fh_cache_put(c, k.bytes, a, now);
    fh_answer_leave(a);
    return a != NULL;
}

static bool has(fh_cache *c, unsigned n, int64_t now)
{
    key k = key_of(n);
    fh_answer *a = fh_cache_find(c, k.bytes, now);
    if (a) assert_int_equal(a->used.prompt_tok, n);
    fh_answer_leave(a);
    return a != NULL;
}

static fh_cache_figures figures(const fh_cache *c)
{
    fh_cache_figures f;
    fh_cache_look(c, &f);
    return f;
}

static void what_was_kept_is_found_by_its_key_alone(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&roomy);
    put(c, 1, "a", 10, 0);
    assert_true(has(c, 1, 1));
    assert_false(has(c, 2, 1));
    fh_cache_free(c);
}

static void an_answer_lives_as_long_as_somebody_reads_it(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&roomy);
    put(c, 1, "a", 10, 0);
    key k = key_of(1);
    fh_answer *a = fh_cache_find(c, k.bytes, 1);
    put(c, 1, "a", 20, 1); /* another in its place */
    fh_cache_free(c);
    assert_int_equal(a->len, 10);
    assert_memory_equal(a->body, "bbbbbbbbbb", 10);
    fh_answer_leave(a);
}

static void the_one_not_used_for_the_longest_goes_first(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&(fh_cache_bounds){.bytes = 1 << 20, .entries = 3, .kept_ns = 1000});
    for (unsigned n = 1; n <= 3; n++) put(c, n, "a", 10, 0);
    assert_true(has(c, 1, 1));
    put(c, 4, "a", 10, 1);
    assert_true(has(c, 1, 1));
    assert_false(has(c, 2, 1));
    assert_true(has(c, 3, 1));
    assert_true(has(c, 4, 1));
    assert_int_equal(figures(c).evicted, 1);
    fh_cache_free(c);
}

static void bytes_and_entries_are_bounded_under_ten_thousand_answers(void **state)
{
    (void)state;
    fh_cache_bounds b = {.bytes = 100000, .entries = 200, .kept_ns = 1000};
    fh_cache *c = fh_cache_new(&b);
    for (unsigned n = 0; n < 10000; n++) {
        put(c, n, "a", n % 3000, 0);
        fh_cache_figures f = figures(c);
        assert_true(f.bytes <= b.bytes);
        assert_true(f.entries <= b.entries);
    }
    assert_true(figures(c).entries > 30);
    assert_true(has(c, 9999, 1));
    fh_cache_free(c);
}

static void one_that_is_too_large_pushes_no_other_out(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&(fh_cache_bounds){.bytes = 10000, .entries = 10, .kept_ns = 1000});
    put(c, 1, "a", 10, 0);
    put(c, 2, "a", 10000, 0);
    assert_true(has(c, 1, 1));
    assert_false(has(c, 2, 1));
    fh_cache_free(c);
}

static void each_goes_after_its_time_though_it_is_used(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&roomy);
    put(c, 1, "a", 10, 0);
    put(c, 2, "a", 10, 500);
    for (int64_t now = 0; now < 1000; now += 100) assert_true(has(c, 1, now));
    assert_false(has(c, 1, 1000));
    assert_true(has(c, 2, 1000));
    fh_cache_expire(c, 1500);
    assert_int_equal(figures(c).entries, 0);
    assert_int_equal(figures(c).bytes, 0);
    assert_int_equal(figures(c).expired, 2);
    fh_cache_free(c);
}

static void an_answer_that_is_put_again_lives_anew(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&roomy);
    put(c, 1, "a", 10, 0);
    put(c, 1, "a", 10, 900);
    assert_true(has(c, 1, 1500));
    assert_int_equal(figures(c).entries, 1);
    fh_cache_free(c);
}

static void all_of_one_key_are_forgotten_and_no_others(void **state)
{
    (void)state;
    fh_cache *c = fh_cache_new(&roomy);
    for (unsigned n = 0; n < 10; n++) put(c, n, n % 2 ? "odd" : "even", 10, 0);
    assert_int_equal(fh_cache_forget(c, "odd"), 5);
    for (unsigned n = 0; n < 10; n++) assert_int_equal(has(c, n, 1), n % 2 == 0);
    assert_int_equal(fh_cache_forget(c, "odd"), 0);
    fh_cache_free(c);
}

/* Without memory an answer is not kept, and nothing else happens: the error is absorbed. */
static int keep_some(void *arg)
{
    (void)arg;
    fh_cache *c = fh_cache_new(&roomy);
    if (!c) return FH_E_NOMEM;
    for (unsigned n = 0; n < 40; n++) put(c, n % 30, "a", 10, n);
    for (unsigned n = 0; n < 30; n++) has(c, n, 50);
    fh_cache_free(c);
    return 0;
}

static void no_memory_is_borne_everywhere(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, keep_some, NULL, 1000) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_found_by_its_key_alone),
        cmocka_unit_test(an_answer_lives_as_long_as_somebody_reads_it),
        cmocka_unit_test(the_one_not_used_for_the_longest_goes_first),
        cmocka_unit_test(bytes_and_entries_are_bounded_under_ten_thousand_answers),
        cmocka_unit_test(one_that_is_too_large_pushes_no_other_out),
        cmocka_unit_test(each_goes_after_its_time_though_it_is_used),
        cmocka_unit_test(an_answer_that_is_put_again_lives_anew),
        cmocka_unit_test(all_of_one_key_are_forgotten_and_no_others),
        cmocka_unit_test(no_memory_is_borne_everywhere),
    };
    return cmocka_run_group_tests_name("gateway/cache", tests, NULL, NULL);
}
