/* What a machine says of itself. */
#include "pool/facts.h"

#include "base/clock.h"
#include "cmocka_all.h"

static int64_t number(const fh_json *o, const char *name)
{
    return fh_json_int(fh_json_get(o, name), -1);
}

static void a_machine_says_what_it_has_and_how_it_was_measured(void **state)
{
    FH_AUTO(json) fh_json *facts = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(32768); /* NODE_FACTS_BYTES: what a server takes */
    assert_int_equal(fh_facts_read(&facts, "/tmp", NULL), 0);
    assert_true(number(facts, "cores") >= 1 && number(facts, "threads") >= number(facts, "cores"));
    assert_true(number(facts, "memory_bytes") > 1 << 20 && number(facts, "disk_free_bytes") > 0);
    assert_true(number(facts, "memory_read_bytes_per_s") > 10000000);
    fh_str how = fh_json_str(fh_json_get(facts, "memory_read_how"));
    assert_true(fh_str_find(how, FH_STR("12 times")) < how.len);
    assert_int_equal(fh_json_kind_of(fh_json_get(facts, "gpus")), FH_JSON_ARRAY);
    assert_int_equal(fh_json_write(facts, &text, NULL), 0);
}

static void gpus_are_read_as_nvidia_smi_prints_them(void **state)
{
    FH_AUTO(json) fh_json *gpus = fh_json_new_array();
    fh_facts_nvidia(gpus, FH_STR("NVIDIA H200, 143771, 143160\nNVIDIA GeForce RTX 4090, 24564, 23000\n"));
    assert_int_equal(fh_json_count(gpus), 2);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(gpus, 0), "name")), "NVIDIA H200"));
    assert_true(number(fh_json_at(gpus, 0), "memory_bytes") == 143771LL << 20);
    assert_true(number(fh_json_at(gpus, 1), "memory_free_bytes") == 23000LL << 20);
}

static void what_is_not_understood_of_gpus_is_passed_over(void **state)
{
    FH_AUTO(json) fh_json *gpus = fh_json_new_array();
    fh_facts_nvidia(gpus, FH_STR(""));
    fh_facts_nvidia(gpus, FH_STR("No devices were found\n\n,,\nGPU, [N/A], [N/A]\nGPU, 1\n, 100, 50\nGPU, -1, 2\n"));
    fh_facts_rocm(gpus, FH_STR("WARNING: no card"));
    fh_facts_rocm(gpus, FH_STR("{\"card0\":{\"Card Series\":\"X\"},\"system\":{},\"card1\":7}"));
    assert_int_equal(fh_json_count(gpus), 0);
}

static void gpus_are_read_as_rocm_smi_prints_them(void **state)
{
    FH_AUTO(json) fh_json *gpus = fh_json_new_array();
    fh_facts_rocm(gpus, FH_STR("{\"card0\": {\"VRAM Total Memory (B)\": \"206141652992\", \"VRAM Total Used Memory (B)\": \"297279488\", "
                               "\"Card Series\": \"AMD Instinct MI300X\", \"GFX Version\": \"gfx942\"}}"));
    assert_int_equal(fh_json_count(gpus), 1);
    assert_true(number(fh_json_at(gpus, 0), "memory_bytes") == 206141652992LL);
    assert_true(number(fh_json_at(gpus, 0), "memory_free_bytes") == 206141652992LL - 297279488);
}

static void no_more_gpus_are_told_of_than_a_node_may_have(void **state)
{
    FH_AUTO(json) fh_json *gpus = fh_json_new_array();
    for (int i = 0; i < 100; i++) fh_facts_nvidia(gpus, FH_STR("GPU, 100, 100\n"));
    assert_int_equal(fh_json_count(gpus), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_says_what_it_has_and_how_it_was_measured), cmocka_unit_test(gpus_are_read_as_nvidia_smi_prints_them),
        cmocka_unit_test(what_is_not_understood_of_gpus_is_passed_over),      cmocka_unit_test(gpus_are_read_as_rocm_smi_prints_them),
        cmocka_unit_test(no_more_gpus_are_told_of_than_a_node_may_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
