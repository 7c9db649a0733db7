/* The work by which a machine's memory is measured: what it depends on. */
#include "memory_work.h"

#include "base/mem.h"
#include "cmocka_all.h"

static uint64_t words[POOL_CHUNK_WORDS], others[POOL_CHUNK_WORDS];

static void a_chunk_is_made_of_its_seed_and_number_alone(void **state)
{
    pool_chunk_make(7, 3, words);
    pool_chunk_make(7, 3, others);
    assert_memory_equal(words, others, sizeof words);
    pool_chunk_make(7, 4, others);
    assert_memory_not_equal(words, others, sizeof words);
    pool_chunk_make(8, 3, others);
    assert_memory_not_equal(words, others, sizeof words);
}

static void a_digest_depends_on_every_word_and_on_the_key(void **state)
{
    pool_chunk_make(7, 0, words);
    uint64_t whole = pool_chunk_digest(words, 11);
    assert_true(pool_chunk_digest(words, 12) != whole);
    for (size_t i = 0; i < POOL_CHUNK_WORDS; i += POOL_CHUNK_WORDS / 64 + 1) {
        words[i] ^= 1;
        assert_true(pool_chunk_digest(words, 11) != whole);
        words[i] ^= 1;
    }
    assert_true(pool_chunk_digest(words, 11) == whole);
}

static void the_next_key_is_made_of_all_digests_in_their_order(void **state)
{
    const uint64_t digests[] = {1, 2, 3}, swapped[] = {2, 1, 3};
    uint64_t next = pool_next_key(5, digests, FH_COUNT(digests));
    assert_true(pool_next_key(5, digests, 2) != next);
    assert_true(pool_next_key(5, swapped, FH_COUNT(swapped)) != next);
    assert_true(pool_next_key(6, digests, FH_COUNT(digests)) != next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_is_made_of_its_seed_and_number_alone),
        cmocka_unit_test(a_digest_depends_on_every_word_and_on_the_key),
        cmocka_unit_test(the_next_key_is_made_of_all_digests_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
