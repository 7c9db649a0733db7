/* The meaning of every type's bytes, as the format's own reader sees it; and what happens when memory runs out. */
#include "kernel_test.h"
#include "dequant_fixture.h"
#include "torture.h"

static void every_type_means_what_the_formats_own_reader_says(void **state)
{
    for (size_t i = 0; i < FH_COUNT(dequant_fixture); i++) {
        float got[256];
        fh_ref_dequant(dequant_fixture[i].type, dequant_fixture[i].bytes, got, dequant_fixture[i].elems);
        if (memcmp(got, dequant_fixture[i].floats, dequant_fixture[i].elems * sizeof *got) != 0)
            fail_msg("%s differs", fh_type_name(dequant_fixture[i].type));
    }
    assert_int_equal(FH_COUNT(dequant_fixture), FH_COUNT(all_types) - 1); /* all but F32 */
}

/* Random bytes all through: scales that are infinite or no number at all, of any size, and every row of every grid. */
static void any_bytes_mean_what_the_formats_own_reader_says(void **state)
{
    static uint8_t data[HASHED_BLOCKS * 210];
    static float got[HASHED_BLOCKS * 256];
    for (size_t t = 0; t < FH_COUNT(dequant_hashes); t++) {
        fh_type type = dequant_hashes[t].type;
        size_t elems = HASHED_BLOCKS * fh_type_block_elems(type), bytes = HASHED_BLOCKS * fh_type_block_bytes(type);
        uint64_t hash = 0xcbf29ce484222325;
        test_seed = 88172645463325252;
        random_bytes(data, bytes);
        fh_ref_dequant(type, data, got, elems);
        for (size_t i = 0; i < elems; i++) {
            uint32_t bits = 0x7fc00000;
            if (!isnan(got[i])) memcpy(&bits, &got[i], sizeof bits);
            hash = (hash ^ bits) * 0x100000001b3;
        }
        if (hash != dequant_hashes[t].hash) fail_msg("%s differs", fh_type_name(type));
    }
    assert_int_equal(FH_COUNT(dequant_hashes), FH_COUNT(all_types) - 1);
}

static void blocks_need_no_alignment(void **state)
{
    uint8_t shifted[1 + 4 * 256];
    for (size_t t = 0; t < FH_COUNT(all_types); t++) {
        float got[256], want[256];
        size_t elems = fh_type_block_elems(all_types[t]), bytes = fh_type_block_bytes(all_types[t]);
        uint8_t data[210];
        random_blocks(all_types[t], data, bytes, 1);
        memcpy(shifted + 1, data, bytes);
        fh_ref_dequant(all_types[t], data, want, elems);
        fh_ref_dequant(all_types[t], shifted + 1, got, elems);
        assert_memory_equal(got, want, elems * sizeof *got);
    }
}

static int make_everything(void *arg)
{
    static uint8_t data[64 * 20 * 2];
    FH_AUTO(fh_weight) fh_weight *packed = NULL, *other = NULL;
    FH_AUTO(fh_act) fh_act *act = NULL;
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    const fh_kernels *k = fh_kernels_get(fh_isa_best());
    fh_weight_spec spec = {.type = FH_TYPE_Q4_1, .rows = 64, .cols = 64, .data = data, .name = "w"};
    fh_err *err = NULL;
    int rc = fh_weight_new(&packed, k, &spec, &err);
    if (rc == 0) rc = fh_weight_new(&other, k, &spec, &err);
    if (rc == 0) rc = fh_act_new(&act, k, 4, 64, &err);
    if (rc == 0) rc = fh_pool_new(&pool, 2, &err);
    if (rc != 0) assert_int_equal(fh_err_code(err), FH_E_NOMEM);
    fh_err_free(err);
    return rc;
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, make_everything, NULL, 100) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_means_what_the_formats_own_reader_says),
        cmocka_unit_test(any_bytes_mean_what_the_formats_own_reader_says),
        cmocka_unit_test(blocks_need_no_alignment),
        cmocka_unit_test(running_out_of_memory_is_an_error_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
