/* Files of packed weights are kept, so what a layout holds must not change under the same name. */
#include "kernel_test.h"
#include "base/map.h"

enum { ROWS = 18, COLS = 256, ELEMENT_BYTES_MAX = 4 };

/* What given bytes become. A row that does not hold any more: FH_PACK_VERSION grows, and all rows are made anew. */
static const struct {
    const char *layout;
    fh_type type;
    uint64_t hash;
} layouts[] = {
    {"rows16-2", FH_TYPE_IQ1_M, 0x0198d9dcfebb1e12},   {"rows16-2", FH_TYPE_IQ1_S, 0x9e20bfc090f17a2f},
    {"rows16-2", FH_TYPE_IQ2_S, 0x612e49348e8b7d5f},   {"rows16-2", FH_TYPE_IQ2_XS, 0xf268f34b9ba3210b},
    {"rows16-2", FH_TYPE_IQ2_XXS, 0xf0e564763b22f331}, {"rows16-2", FH_TYPE_IQ3_S, 0xb684dd49f323cc85},
    {"rows16-2", FH_TYPE_IQ3_XXS, 0xa977e027162db39c}, {"rows16-2", FH_TYPE_IQ4_NL, 0xbfae4d551f71862b},
    {"rows16-2", FH_TYPE_IQ4_XS, 0x9b85efca33adf2eb},  {"rows16-2", FH_TYPE_MXFP4, 0xce8b2208d06814f4},
    {"rows16-2", FH_TYPE_Q2_K, 0x5406399ba2f19b94},    {"rows16-2", FH_TYPE_Q3_K, 0x739af1e32335bcd9},
    {"rows16-2", FH_TYPE_Q4_0, 0xbfae4d551f71862b},    {"rows16-2", FH_TYPE_Q4_1, 0x7d32cd51303bd1d1},
    {"rows16-2", FH_TYPE_Q4_K, 0xcd94caa3c2b7e0fc},    {"rows16-2", FH_TYPE_Q5_0, 0x9b11d76d9fa1e9e3},
    {"rows16-2", FH_TYPE_Q5_1, 0xd1c1fbf9c69c7fe4},    {"rows16-2", FH_TYPE_Q5_K, 0xb31fbfc97005fe44},
    {"rows16-2", FH_TYPE_Q6_K, 0x108c820c72cfa9fa},    {"rows16-2", FH_TYPE_Q8_0, 0xfc14155760802edb},
    {"rows16-2", FH_TYPE_TQ1_0, 0x05565dbd07f88ab9},   {"rows16-2", FH_TYPE_TQ2_0, 0x508e1c8588688e47},
};

static uint64_t packed_hash(const fh_kernels *k, fh_type type)
{
    static const uint8_t key[16] = "freehold layouts";
    uint8_t data[ROWS * COLS * ELEMENT_BYTES_MAX];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 2654435761u >> 13);
    fh_weight_spec spec = {.type = type, .rows = ROWS, .cols = COLS, .data = data, .name = "test"};
    size_t bytes = fh_weight_packed_bytes(k, &spec);
    if (!bytes) return 0;
    FH_AUTO(ptr) void *place = fh_weight_memory_new(bytes);
    FH_AUTO(fh_weight) fh_weight *w = NULL;
    assert_non_null(place);
    spec.place = place;
    assert_int_equal(fh_weight_new(&w, k, &spec, NULL), 0);
    return fh_siphash(key, place, bytes);
}

static uint64_t hash_wanted(const char *layout, fh_type type)
{
    for (size_t i = 0; i < FH_COUNT(layouts); i++)
        if (layouts[i].type == type && strcmp(layouts[i].layout, layout) == 0) return layouts[i].hash;
    return 0;
}

static void a_layout_that_changes_gets_another_name(void **state)
{
    (void)state;
    unsigned wrong = 0;
    FOR_EACH_TABLE(k)
    for (size_t t = 0; t < FH_COUNT(all_types); t++) {
        uint64_t hash = packed_hash(k, all_types[t]);
        if (!hash || hash == hash_wanted(fh_weight_layout(k), all_types[t])) continue;
        print_message("# {\"%s\", FH_TYPE_%s, 0x%016llx},\n", fh_weight_layout(k), fh_type_name((uint32_t)all_types[t]),
                      (unsigned long long)hash);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_layout_that_changes_gets_another_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
