/* The Slurm adapter where there is no Slurm: settings, orders that end with a reason, and what happens when a step fails. tests/supply runs
 * it against a real cluster. */
#include "slurm_private.h"

#include "sys/file.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64], bin[80], path[512];

/* A machine with the usual programs, and none of Slurm's. */
static int make_folder(void **state)
{
    static const char *const usual[] = {"sh", "sha256sum", "mkdir"};
    snprintf(folder, sizeof folder, "/tmp/fh-slurm-unit-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(bin, sizeof bin, "%s/bin", folder);
    snprintf(path, sizeof path, "%s", getenv("PATH"));
    if (fh_dir_make(bin, 0700, NULL) != 0) return -1;
    for (size_t i = 0; i < FH_COUNT(usual); i++) {
        char from[64], to[160];
        snprintf(from, sizeof from, "/bin/%s", usual[i]);
        snprintf(to, sizeof to, "%s/%s", bin, usual[i]);
        if (symlink(from, to) != 0) return -1;
    }
    return setenv("PATH", bin, 1);
}

static int remove_folder(void **state)
{
    setenv("PATH", path, 1);
    return fh_dir_remove(folder, NULL);
}

static int make_token(void *arg, char *out, size_t out_size, fh_err **err)
{
    snprintf(out, out_size, "token");
    return 0;
}

static int open_set(fh_supply **ret, fh_loop *loop, const fh_json *settings, const char *door, fh_err **err)
{
    const fh_supply_config c = {.name = "provider/hpc",
                                .url = "",
                                .key_file = "",
                                .settings = settings,
                                .store_url = "",
                                .data_dir = folder,
                                .program = "/bin/true",
                                .door = {.url = door, .certificate = door[0] ? "c0" : "", .token = make_token}};
    return fh_supply_slurm_open(ret, loop, &c, err);
}

static int open_with(fh_supply **ret, fh_loop *loop, const char *settings, const char *door, fh_err **err)
{
    FH_AUTO(json) fh_json *o = NULL;
    assert_int_equal(fh_json_parse(&o, fh_str_of(settings), 4096, NULL), 0);
    return open_set(ret, loop, o, door, err);
}

typedef struct bench {
    fh_loop *loop;
    fh_supply *supply;
    int64_t awaited;
} bench;

static void on_changed(void *arg, int64_t order)
{
    bench *b = arg;
    fh_supply_view v;
    b->supply->look(b->supply->ctx, order, &v);
    if (order == b->awaited && v.state == FH_SUPPLY_OVER) fh_loop_stop(b->loop);
}

static int setup(void **state)
{
    bench *b = fh_calloc(1, sizeof *b);
    assert_int_equal(fh_loop_new(&b->loop, NULL), 0);
    assert_int_equal(open_with(&b->supply, b->loop, "{}", "https://pool:8471", NULL), 0);
    b->supply->changed = on_changed;
    b->supply->changed_arg = b;
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    b->supply->close(b->supply->ctx);
    fh_loop_free(b->loop);
    fh_free(b);
    return 0;
}

static fh_supply_want want(int64_t order)
{
    return (fh_supply_want){.order = order, .node = "hpc-1", .model = "m", .engine = "freehold", .bytes = 1 << 20};
}

static void where_there_is_no_slurm_an_order_ends_with_that_reason(void **state)
{
    bench *b = *state;
    fh_supply_want w = want(1);
    fh_supply_view v;
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(b->supply->order(b->supply->ctx, &w, NULL), 0);
    assert_int_equal(b->supply->order(b->supply->ctx, &w, NULL), 0);
    b->awaited = 1;
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    b->supply->look(b->supply->ctx, 1, &v);
    assert_int_equal(v.state, FH_SUPPLY_OVER);
    assert_false(v.again);
    assert_string_equal(v.says, "there is no sbatch");
    assert_int_equal(b->supply->check(b->supply->ctx, &w, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_message(err), "there is no sbatch"));
    b->supply->forget(b->supply->ctx, 1);
}

static void what_was_not_asked_for_yet_is_over_once_it_is_released(void **state)
{
    bench *b = *state;
    fh_supply_want w = want(2);
    fh_supply_view v;
    assert_int_equal(b->supply->order(b->supply->ctx, &w, NULL), 0);
    b->supply->release(b->supply->ctx, 2, "changed my mind");
    b->awaited = 2;
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    b->supply->look(b->supply->ctx, 2, &v);
    assert_int_equal(v.state, FH_SUPPLY_OVER);
}

static void what_may_have_a_job_is_not_over_before_that_is_known(void **state)
{
    bench *b = *state;
    char mark[128];
    fh_supply_view v;
    snprintf(mark, sizeof mark, "%s/supply/jobs", folder);
    assert_int_equal(fh_dir_make(mark, 0700, NULL), 0);
    snprintf(mark, sizeof mark, "%s/supply/jobs/3", folder);
    assert_int_equal(fh_file_write_atomic(mark, "", 0, 0600, NULL), 0);
    fh_supply_want w = want(4);
    b->supply->release(b->supply->ctx, 3, "it was released before");
    assert_int_equal(b->supply->order(b->supply->ctx, &w, NULL), 0);
    b->awaited = 4;
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    b->supply->look(b->supply->ctx, 3, &v);
    assert_int_not_equal(v.state, FH_SUPPLY_OVER);
}

static void an_order_that_is_not_known_is_over(void **state)
{
    bench *b = *state;
    fh_supply_view v;
    b->supply->look(b->supply->ctx, 77, &v);
    assert_int_equal(v.state, FH_SUPPLY_OVER);
    assert_true(v.again);
    b->supply->forget(b->supply->ctx, 77);
}

static void so_many_orders_and_no_more(void **state)
{
    bench *b = *state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    for (int64_t i = 1; i <= FH_LIMIT_SLURM_ORDERS; i++) {
        fh_supply_want w = want(100 + i);
        assert_int_equal(b->supply->order(b->supply->ctx, &w, NULL), 0);
    }
    fh_supply_want w = want(1000);
    assert_int_equal(b->supply->order(b->supply->ctx, &w, &err), FH_E_CONFLICT);
}

static void without_a_pool_there_is_nothing_to_join(void **state)
{
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_supply *s = NULL;
    fh_supply_want w = want(1);
    assert_int_equal(fh_loop_new(&loop, NULL), 0);
    assert_int_equal(open_with(&s, loop, "{}", "", NULL), 0);
    assert_int_equal(s->check(s->ctx, &w, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_hint_get(err), "--pool"));
    assert_int_equal(s->order(s->ctx, &w, NULL), FH_E_UNAVAILABLE);
    s->close(s->ctx);
}

static void settings_that_slurm_cannot_mean_are_refused_by_their_name(void **state)
{
    static const char *const bad[][2] = {{"{\"tiem\": \"1\"}", "settings.tiem"},        {"{\"time\": \"soon\"}", "settings.time"},
                                         {"{\"cpus\": \"0\"}", "settings.cpus"},        {"{\"mem\": \"1.5G\"}", "settings.mem"},
                                         {"{\"folder\": \"~/x\"}", "settings.folder"},  {"{\"program\": \"freehold\"}", "settings.program"},
                                         {"{\"qos\": \"a b\"}", "settings.qos"},        {"{\"account\": \"\"}", "settings.account"},
                                         {"{\"gres\": \"gpu:1\\n\"}", "settings.gres"}, {"{\"partition\": 5}", "settings.partition"},
                                         {"{\"nodes\": \"0\"}", "settings.nodes"},      {"{\"nodes\": \"65\"}", "settings.nodes"}};
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    assert_int_equal(fh_loop_new(&loop, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        fh_supply *s = NULL;
        assert_int_equal(open_with(&s, loop, bad[i][0], "https://pool:8471", &err), FH_E_INVALID);
        assert_string_equal(fh_err_param_get(err), bad[i][1]);
        assert_null(s);
    }
}

static void settings_are_kept_as_they_are_said(void **state)
{
    FH_AUTO(json) fh_json *o = NULL;
    slurm_settings s;
    const char *text = "{\"partition\": \"a,b\", \"time\": \"1-0\", \"gres\": \"gpu:a100:2\", \"mem\": \"64G\", \"cpus\": \"16\", "
                       "\"server\": \"https://x:1\"}";
    assert_int_equal(fh_json_parse(&o, fh_str_of(text), 4096, NULL), 0);
    assert_int_equal(fh_slurm_settings_read(o, &s, NULL), 0);
    assert_string_equal(s.partition, "a,b");
    assert_string_equal(s.gres, "gpu:a100:2");
    assert_int_equal(s.time_s, 86400);
    assert_string_equal(s.account, "");
    assert_int_equal(s.mem_mib, 64 * 1024);
    assert_int_equal(s.nodes_number, 0);
}

static void a_job_is_given_more_than_its_engine_takes(void **state)
{
    assert_int_equal(fh_slurm_mem_mib(0), 512);
    assert_int_equal(fh_slurm_mem_mib(UINT64_C(8) << 30), 9 * 1024 + 512);
}

#define GIB (UINT64_C(1) << 30)

static uint32_t nodes_for(uint64_t gib, uint64_t each_gib, uint32_t most, const char *mem, const char *nodes)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    slurm_settings s;
    slurm_need need = {gib * GIB, each_gib * GIB, most};
    fh_slurm_kinds kinds;
    fh_slurm_kinds_read(&kinds, FH_STR("partition main*|64|256000|10\npartition main*|64|1031000|1\n"));
    if (mem) fh_json_set(o, "mem", fh_json_new_cstr(mem));
    if (nodes) fh_json_set(o, "nodes", fh_json_new_cstr(nodes));
    assert_int_equal(fh_slurm_settings_read(o, &s, NULL), 0);
    return fh_slurm_nodes_for(&need, &s, &kinds);
}

/* 256,000 MiB hold 221 GiB of an engine, and the node's own half. */
static void a_model_gets_as_few_nodes_as_hold_it(void **state)
{
    assert_int_equal(nodes_for(200, 6, 64, NULL, NULL), 1);
    assert_int_equal(nodes_for(800, 6, 64, NULL, NULL), 1); /* the one that has more memory */
    assert_int_equal(nodes_for(1000, 6, 64, NULL, NULL), 5);
    assert_int_equal(nodes_for(1000, 6, 4, NULL, NULL), 1); /* it has four layers: no number does, and Slurm says so */
    assert_int_equal(nodes_for(1000, 6, 0, NULL, NULL), 1);
    assert_int_equal(nodes_for(5000, 6, 64, NULL, NULL), 1); /* more than the partition has */
    assert_int_equal(nodes_for(1000, 6, 64, "400G", NULL), 3);
    assert_int_equal(nodes_for(10, 6, 64, NULL, "3"), 3);
    assert_int_equal(nodes_for(10, 6, 2, NULL, "3"), 2);
    assert_int_equal(nodes_for(10, 6, 1, NULL, "3"), 1);
}

static void an_installation_keeps_its_name(void **state)
{
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    FH_AUTO(buf) fh_buf before = FH_BUF(64), after = FH_BUF(64);
    FH_AUTO(fh_err) fh_err *err = NULL;
    char file[128];
    fh_supply *s = NULL;
    snprintf(file, sizeof file, "%s/supply/installation", folder);
    assert_int_equal(fh_file_read(file, 64, &before, NULL), 0);
    assert_int_equal(fh_loop_new(&loop, NULL), 0);
    assert_int_equal(open_with(&s, loop, "{}", "https://pool:8471", NULL), 0);
    s->close(s->ctx);
    assert_int_equal(fh_file_read(file, 64, &after, NULL), 0);
    assert_string_equal(before.data, after.data);
    assert_int_equal(fh_file_write_atomic(file, "no name", 7, 0600, NULL), 0);
    assert_int_equal(open_with(&s, loop, "{}", "https://pool:8471", &err), FH_E_CORRUPT);
    assert_int_equal(fh_file_write_atomic(file, before.data, before.len, 0600, NULL), 0);
}

static int whole(void *arg)
{
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    fh_supply *s = NULL;
    fh_supply_want w = want(1);
    int rc = fh_loop_new(&loop, NULL);
    if (!rc) rc = open_set(&s, loop, arg, "https://pool:8471", NULL);
    if (!rc) rc = s->order(s->ctx, &w, NULL);
    if (s) s->close(s->ctx);
    return rc;
}

static void nothing_stays_when_a_step_fails(void **state)
{
    FH_AUTO(json) fh_json *settings = NULL;
    assert_int_equal(fh_json_parse(&settings, FH_STR("{\"time\": \"5\"}"), 4096, NULL), 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, whole, settings, 60) > 0);
    assert_true(fh_torture(FH_FAULT_READ, whole, settings, 10) > 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(where_there_is_no_slurm_an_order_ends_with_that_reason),
        TEST(what_was_not_asked_for_yet_is_over_once_it_is_released),
        TEST(what_may_have_a_job_is_not_over_before_that_is_known),
        TEST(an_order_that_is_not_known_is_over),
        TEST(so_many_orders_and_no_more),
        cmocka_unit_test(without_a_pool_there_is_nothing_to_join),
        cmocka_unit_test(settings_that_slurm_cannot_mean_are_refused_by_their_name),
        cmocka_unit_test(settings_are_kept_as_they_are_said),
        cmocka_unit_test(a_job_is_given_more_than_its_engine_takes),
        cmocka_unit_test(a_model_gets_as_few_nodes_as_hold_it),
        cmocka_unit_test(an_installation_keeps_its_name),
        cmocka_unit_test(nothing_stays_when_a_step_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
