/* What is measured of machine and kernels: only what is here, and of the shape that was asked for. How fast it is, no test says. */
#include "kernel/speed.h"
#include "kernel_test.h"

/* That they do as many operations as they say is asserted where they run. */
static void each_peak_is_measured_where_its_instructions_are(void **state)
{
    fh_pool *pool = NULL;
    assert_int_equal(fh_pool_new(&pool, 2, NULL), 0);
    for (int p = 0; p < FH_PEAK_COUNT; p++) {
        double ops_per_s = 0;
        bool here = fh_peak_measure((fh_peak)p, pool, &ops_per_s);
        print_message("# %s: %s\n", fh_peak_name((fh_peak)p), here ? "measured" : "not here");
        assert_true(here == (ops_per_s > 0));
    }
    for (unsigned i = 0; i < FH_ISA_COUNT; i++) {
        fh_peak p = fh_peak_of((fh_isa)i);
        double ops_per_s = 0;
        if (p < FH_PEAK_COUNT && fh_isa_available((fh_isa)i)) assert_true(fh_peak_measure(p, pool, &ops_per_s));
    }
    assert_null(fh_peak_name(FH_PEAK_COUNT));
    fh_pool_free(pool);
}

static void products_are_measured_of_every_type(void **state)
{
    fh_pool *pool = NULL;
    assert_int_equal(fh_pool_new(&pool, 2, NULL), 0);
    FOR_EACH_TABLE(k)
    for (size_t i = 0; i < FH_COUNT(all_types); i++) {
        fh_products_shape shape = {.type = all_types[i], .rows = 48, .cols = 256, .bytes = 100000, .max_n = 3};
        fh_products *p = NULL;
        assert_int_equal(fh_products_new(&p, k, pool, &shape, NULL), 0);
        for (size_t n = 1; n <= 3; n++) {
            fh_product_speed s = fh_products_measure(p, n, n - 1);
            assert_true(s.seconds > 0 && s.weight_bytes >= 48 * 256 / 8 && s.ops == 2.0 * 48 * 256 * (double)n);
            if (all_types[i] == FH_TYPE_F32) assert_false(s.integers);
        }
        fh_products_free(p);
    }
    fh_pool_free(pool);
}

static void columns_that_are_no_whole_blocks_are_refused(void **state)
{
    fh_pool *pool = NULL;
    fh_err *err = NULL;
    fh_products *p = NULL;
    fh_products_shape shape = {.type = FH_TYPE_Q4_K, .rows = 16, .cols = 100, .max_n = 1};
    assert_int_equal(fh_pool_new(&pool, 1, NULL), 0);
    assert_int_equal(fh_products_new(&p, fh_kernels_get(FH_ISA_REF), pool, &shape, &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "100"));
    assert_null(p);
    fh_err_free(err);
    fh_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_peak_is_measured_where_its_instructions_are),
        cmocka_unit_test(products_are_measured_of_every_type),
        cmocka_unit_test(columns_that_are_no_whole_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
