/* What the ranks of an engine over several nodes are told, and which of them a log says ended first. tests/supply/nodes.py runs them. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "spread_private.h"
#include "torture.h"
#include <stdlib.h>

static const char *const more[] = {"--parser", "kimi {x} \"y\"", NULL}, *const env[] = {"A=b c", NULL};
static const fh_catalog_run run = {.least = "0.32", .arguments = more, .environment = env};
static const fh_spread spread = {.ranks = 4, .head = "10.0.0.1"};

static fh_engine_spec spec(void)
{
    return (fh_engine_spec){.kind = fh_catalog_engine_find(FH_STR("vllm")),
                            .model = "m; rm -rf $HOME",
                            .file = "/w",
                            .folder = "/w",
                            .socket_path = "/run/m.1/e.sock",
                            .context_tok = 4096,
                            .streams = 2,
                            .memory_bytes = 1 << 30,
                            .kv_bytes = 1 << 20,
                            .run = &run};
}

static void a_rank_reads_what_was_written(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    fh_engine_spec s = spec();
    fh_rank_order o;
    assert_int_equal(fh_rank_order_write(&spread, 29500, &s, &text, NULL), 0);
    assert_int_equal(fh_rank_order_read((fh_str){text.data, text.len}, &o, NULL), 0);
    assert_ptr_equal(o.spec.kind, s.kind);
    assert_string_equal(o.spec.model, s.model);
    assert_string_equal(o.spec.socket_path, s.socket_path);
    assert_string_equal(o.spec.kv_type, "");
    assert_string_equal(o.head, "10.0.0.1");
    assert_string_equal(o.spec.run->least, "0.32");
    assert_string_equal(o.spec.run->arguments[1], more[1]);
    assert_null(o.spec.run->arguments[2]);
    assert_string_equal(o.spec.run->environment[0], env[0]);
    assert_true(o.ranks == 4 && o.head_port == 29500 && o.spec.context_tok == 4096 && o.spec.streams == 2);
    assert_true(o.spec.memory_bytes == 1 << 30 && o.spec.kv_bytes == 1 << 20);
    fh_rank_order_fini(&o);
}

static void an_order_that_lacks_something_is_refused(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    fh_engine_spec s = spec();
    fh_rank_order o;
    s.run = NULL;
    assert_int_equal(fh_rank_order_write(&spread, 29500, &s, &text, NULL), 0);
    fh_rank_order_read((fh_str){text.data, text.len}, &o, NULL);
    assert_string_equal(o.spec.run->least, "");
    FH_AUTO(json) fh_json *whole = fh_json_ref(o.json);
    fh_rank_order_fini(&o);
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    while (fh_json_next(whole, &it, &key, &value)) { /* each member once with what it cannot be */
        FH_AUTO(json) fh_json *copy = NULL;
        FH_AUTO(buf) fh_buf bad = FH_BUF(4096);
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_json_parse(&copy, (fh_str){text.data, text.len}, 4096, NULL), 0);
        fh_json *odd = fh_json_new_array();
        fh_json_append(odd, fh_json_new_int(1));
        fh_json_set(copy, key.ptr, odd);
        assert_int_equal(fh_json_write(copy, &bad, NULL), 0);
        if (fh_rank_order_read((fh_str){bad.data, bad.len}, &o, &err) == 0) fail_msg("%s was taken", key.ptr);
        assert_null(o.json);
    }
    assert_int_not_equal(fh_rank_order_read(FH_STR("no json"), &o, NULL), 0);
}

static void the_first_that_ended_is_told_of(void **state)
{
    (void)state;
    static const struct {
        const char *log, *first;
    } rows[] = {
        {"n1: hello\nn2: rank 1 of 2 has ended with status 137, and the others end with it\nn1: rank 0 of 2 has ended with status 1\n",
         "n2: rank 1 of 2 has ended with status 137, and the others end with it"},
        {"n2: rank 1 of 2 cannot start: no sandbox\nsrun: error: n2: task 1: Exited with exit code 1\n",
         "n2: rank 1 of 2 cannot start: no sandbox"},
        {"n1: x\nsrun: error: n2: task 1: Killed\nsrun: launch/slurm: _step_signal: Terminating\nsrun: error: n1: task 0: Killed",
         "srun: error: n2: task 1: Killed"},
        {"srun: error: n2: task 1: Killed\n---- 2026-11-29T23:01:55Z an engine is started\nn1: rank 0 of 2 is on this node\nbye\n", ""},
        {"", ""}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_str first = fh_spread_first_end(fh_str_of(rows[i].log));
        if (!fh_str_eqs(first, rows[i].first)) fail_msg("%s: got \"%.*s\"", rows[i].log, (int)first.len, first.ptr);
    }
}

static void only_a_job_has_nodes(void **state)
{
    (void)state;
    fh_spread s;
    unsetenv("SLURM_JOB_ID");
    assert_int_equal(fh_spread_read("10.0.0.1", &s, NULL), FH_E_UNAVAILABLE);
    setenv("SLURM_JOB_ID", "7", 1);
    setenv("SLURM_JOB_NUM_NODES", "3", 1);
    assert_int_equal(fh_spread_read("10.0.0.1", &s, NULL), 0);
    assert_int_equal(s.ranks, 3);
    assert_int_equal(fh_spread_read("", &s, NULL), FH_E_INVALID);
    setenv("SLURM_JOB_NUM_NODES", "65", 1);
    assert_int_equal(fh_spread_read("10.0.0.1", &s, NULL), FH_E_UNAVAILABLE);
    unsetenv("SLURM_JOB_ID");
}

static int whole(void *arg)
{
    (void)arg;
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    fh_engine_spec s = spec();
    fh_rank_order o = {.json = NULL};
    int rc = fh_rank_order_write(&spread, 1, &s, &text, NULL);
    if (rc == 0) rc = fh_buf_check(&text, NULL, "it");
    if (rc == 0) rc = fh_rank_order_read((fh_str){text.data, text.len}, &o, NULL);
    if (rc == 0) fh_rank_order_fini(&o);
    return rc;
}

static void nothing_stays_when_memory_is_out(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, whole, NULL, 200) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_reads_what_was_written),    cmocka_unit_test(an_order_that_lacks_something_is_refused),
        cmocka_unit_test(the_first_that_ended_is_told_of),  cmocka_unit_test(only_a_job_has_nodes),
        cmocka_unit_test(nothing_stays_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
