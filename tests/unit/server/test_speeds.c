/* Measured speeds: what is kept of them, for which families they hold, and what plans make of them. */
#include "cmocka_all.h"

#include "base/limits.h"
#include "base/mem.h"
#include "folder.h"
#include "server/plans.h"
#include "server/speeds.h"
#include "sys/cpu.h"
#include "sys/file.h"
#include "torture.h"
#include <string.h>

#define LLAMA "LlamaForCausalLM"

static void add(const char *folder, const char *device, const char *family, double decode)
{
    fh_speed_run run = {"freehold", device, family, 10e9, decode, 2e9};
    assert_int_equal(fh_speeds_add(folder, &run, NULL), 0);
}

static fh_speeds of(const char *folder, const char *device, const char *family)
{
    fh_speeds s;
    fh_speeds_of(folder, "freehold", device, family, &s);
    return s;
}

static void the_median_of_the_runs_of_a_family_is_taken_and_their_spread_is_said(void **state)
{
    add(*state, "this", "llama", 6e9);
    add(*state, "this", "llama", 3e9);
    add(*state, "this", "llama", 60e9); /* an outlier */
    add(*state, "this", "qwen3moe", 1e9);
    add(*state, "other", "llama", 1e9);
    fh_speeds s = of(*state, "this", LLAMA);
    assert_int_equal(s.runs, 3);
    assert_int_equal(s.bandwidth_bytes, 10000000000);
    assert_int_equal(s.per_mille, 1000); /* 6 of 10 GB/s is the share that is assumed of a processor */
    assert_int_equal(s.low, 500);
    assert_int_equal(s.high, 10000);
    assert_int_equal(s.cache_per_mille, 333);
    assert_int_equal(of(*state, "this", "Qwen3MoeForCausalLM").runs, 1);
}

/* Memory is measured in a moment of its own: what decoding was seen to read is predicted all the same. */
static void what_was_seen_is_predicted_whatever_the_bandwidth_was_then(void **state)
{
    static const double bandwidths[] = {10e9, 40e9, 20e9};
    for (size_t i = 0; i < FH_COUNT(bandwidths); i++) {
        fh_speed_run run = {"freehold", "this", "llama", bandwidths[i], 6e9, 3e9};
        assert_int_equal(fh_speeds_add(*state, &run, NULL), 0);
    }
    fh_speeds s = of(*state, "this", LLAMA);
    assert_int_equal(s.bandwidth_bytes, 20000000000);
    assert_true(s.per_mille == 500 && s.low == 500 && s.high == 500 && s.cache_per_mille == 250); /* of 12 GB/s */
}

static void of_a_family_without_runs_the_bandwidth_is_known_alone(void **state)
{
    add(*state, "this", "llama", 6e9);
    fh_speeds s = of(*state, "this", "Qwen3ForCausalLM");
    assert_true(s.runs == 0 && s.per_mille == 0 && s.bandwidth_bytes == 10000000000);
    assert_int_equal(of(*state, "none", LLAMA).bandwidth_bytes, 0);
}

static void the_oldest_are_forgotten(void **state)
{
    for (int i = 0; i < FH_LIMIT_SPEED_RUNS + 3; i++) add(*state, "this", "llama", i < 3 ? 1e9 : 6e9);
    fh_speeds s = of(*state, "this", LLAMA);
    assert_int_equal(s.runs, FH_LIMIT_SPEED_RUNS);
    assert_int_equal(s.low, 1000);
}

static void a_damaged_file_says_nothing_and_is_not_written_over(void **state)
{
    char path[600];
    fh_err *err = NULL;
    fh_speed_run run = {"freehold", "this", "llama", 10e9, 6e9, 0};
    snprintf(path, sizeof path, "%s/speeds.json", (char *)*state);
    assert_int_equal(fh_file_write_atomic(path, "{}", 2, 0600, NULL), 0);
    assert_int_equal(of(*state, "this", LLAMA).bandwidth_bytes, 0);
    assert_true(fh_speeds_add(*state, &run, &err) != 0);
    assert_non_null(strstr(fh_err_message(err), "speeds.json"));
    fh_err_free(err);
    static const char odd[] =
        "[7,{\"engine\":\"freehold\",\"device\":\"this\",\"family\":\"llama\",\"bandwidth_bytes\":-1},"
        "{\"engine\":\"freehold\",\"device\":\"this\",\"family\":\"llama\",\"bandwidth_bytes\":10e9,\"decode_bytes\":\"x\"}]";
    assert_int_equal(fh_file_write_atomic(path, odd, sizeof odd - 1, 0600, NULL), 0);
    fh_speeds s = of(*state, "this", LLAMA);
    assert_true(s.runs == 0 && s.bandwidth_bytes == 10000000000);
}

static double predicted(const char *folder, const char *model, int64_t *ret_runs)
{
    FH_AUTO(json) fh_json *ask = fh_json_new_object(), *r = NULL;
    fh_plan_known known = {.data_dir = folder};
    fh_json_set(ask, "model", fh_json_new_cstr(model));
    fh_json_set(ask, "streams", fh_json_new_int(1));
    assert_int_equal(fh_plans_make(ask, &known, &r, NULL), 0);
    const fh_json *here = fh_json_at(fh_json_get(r, "plans"), 0);
    *ret_runs = fh_json_int(fh_json_get(here, "measured_runs"), -1);
    assert_true(fh_json_num(fh_json_get(here, "tokens_per_second_low"), 0) <=
                fh_json_num(fh_json_get(here, "tokens_per_second"), 0) + 0.01);
    return fh_json_num(fh_json_get(here, "tokens_per_second"), 0);
}

static void plans_of_this_machine_go_by_them(void **state)
{
    int64_t runs;
    assert_true(predicted(*state, "smollm2-135m", &runs) == 0);
    add(*state, fh_cpu_get()->model, "llama", 6e9);
    double slow = predicted(*state, "smollm2-135m", &runs);
    assert_int_equal(runs, 1);
    assert_true(slow > 0);
    for (int i = 0; i < 2; i++) add(*state, fh_cpu_get()->model, "llama", 9e9);
    assert_true(predicted(*state, "smollm2-135m", &runs) > slow);
    assert_int_equal(runs, 3);
    assert_true(predicted(*state, "smollm2-1.7b", &runs) < slow); /* of the same family, and larger */
}

static int add_once(void *folder)
{
    fh_speed_run run = {"freehold", "this", "llama", 10e9, 6e9, 0};
    fh_err *err = NULL;
    int rc = fh_speeds_add(folder, &run, &err);
    assert_true((rc == 0) == (err == NULL));
    fh_err_free(err);
    return rc;
}

static void adding_survives_every_failed_allocation(void **state)
{
    add(*state, "this", "llama", 6e9);
    assert_true(fh_torture(FH_FAULT_ALLOC, add_once, *state, 2000) > 5);
    assert_true(of(*state, "this", LLAMA).runs >= 2);
}

static int make_folder(void **state)
{
    static char folder[64];
    *state = folder;
    return folder_make(folder, sizeof folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    return folder_remove(*state);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_median_of_the_runs_of_a_family_is_taken_and_their_spread_is_said),
        IN_FOLDER(what_was_seen_is_predicted_whatever_the_bandwidth_was_then),
        IN_FOLDER(of_a_family_without_runs_the_bandwidth_is_known_alone),
        IN_FOLDER(the_oldest_are_forgotten),
        IN_FOLDER(a_damaged_file_says_nothing_and_is_not_written_over),
        IN_FOLDER(plans_of_this_machine_go_by_them),
        IN_FOLDER(adding_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
