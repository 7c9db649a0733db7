/* What Slurm prints, and what is made of it. */
#include "supply/slurm_says.h"

#include "base/mem.h"
#include "cmocka_all.h"

static void a_list_of_jobs_is_read_line_by_line(void **state)
{
    fh_str text = FH_STR("17|RUNNING|None|1:00:00|1795963832|1795963532|n1|1|freehold-ab-1\n"
                         "18|PENDING|Priority|UNLIMITED|NONE|1795970000||2|freehold-ab-2\n"
                         "19|COMPLETED|None|30:00|1795963900|1795963532|n[1-2]|2|a|b c\n");
    fh_slurm_row r;
    assert_true(fh_slurm_row_next(&text, &r));
    assert_int_equal(r.job, 17);
    assert_int_equal(r.state->class, FH_SLURM_RUNS);
    assert_int_equal(r.ends_s, 1795963832);
    assert_true(fh_str_eqs(r.node, "n1") && fh_str_eqs(r.name, "freehold-ab-1"));
    assert_true(fh_slurm_row_next(&text, &r));
    assert_int_equal(r.state->class, FH_SLURM_WAITS);
    assert_true(fh_str_eqs(r.reason, "Priority"));
    assert_int_equal(r.ends_s, 0);
    assert_int_equal(r.starts_s, 1795970000);
    assert_true(fh_slurm_row_next(&text, &r));
    assert_true(fh_str_eqs(r.name, "a|b c"));
    assert_int_equal(r.nodes, 2);
    assert_false(fh_slurm_row_next(&text, &r));
}

static void a_job_without_a_limit_has_no_end(void **state)
{
    fh_str text =
        FH_STR("17|RUNNING|None|UNLIMITED|1827499532|1795963532|n1|1|x\n17|RUNNING|None|365-00:00:00|1827499532|1795963532|n1|1|x\n");
    fh_slurm_row r;
    for (int i = 0; i < 2; i++) { /* as the main scheduler and the backfill scheduler leave it */
        assert_true(fh_slurm_row_next(&text, &r));
        assert_int_equal(r.ends_s, 0);
    }
}

static void a_job_without_a_limit_that_must_go_has_an_end(void **state)
{
    fh_str text = FH_STR("17|RUNNING|None|365-00:00:00|1795963592|1795963532|n1|1|x\n");
    fh_slurm_row r;
    assert_true(fh_slurm_row_next(&text, &r));
    assert_int_equal(r.ends_s, 1795963592);
}

static void lines_that_are_no_jobs_are_passed_over(void **state)
{
    fh_str text = FH_STR(
        "slurm_load_jobs error: Unable to contact slurm controller\n\n|||||||\n0|RUNNING|None|1|1|1|n1|1|x\n-3|RUNNING|None|1|1|1|n1|1|x\n"
        "99999999999999999999|RUNNING|None|1|1|1|n1|1|x\n17|RUNNING\n17_4|PENDING|None|1|1|1|n1|1|x\n5||None|1|1|1|n1|1|x\n6|TIMEOUT|x|1:"
        "00|N/"
        "A|-|n1|1|y");
    fh_slurm_row r;
    assert_true(fh_slurm_row_next(&text, &r));
    assert_int_equal(r.job, 6);
    assert_string_equal(r.state->name, "TIMEOUT");
    assert_int_equal(r.ends_s, 0);
    assert_int_equal(r.starts_s, 0);
    assert_false(fh_slurm_row_next(&text, &r));
    assert_int_equal(text.len, 0);
}

static void every_state_has_a_class_and_words(void **state)
{
    static const struct {
        const char *name;
        fh_slurm_class class;
        bool again;
    } rows[] = {{"PENDING", FH_SLURM_WAITS, false},   {"CONFIGURING", FH_SLURM_WAITS, false},  {"RUNNING", FH_SLURM_RUNS, false},
                {"SUSPENDED", FH_SLURM_HALTS, false}, {"COMPLETING", FH_SLURM_ENDS, true},     {"COMPLETED", FH_SLURM_ENDED, true},
                {"CANCELLED", FH_SLURM_ENDED, true},  {"TIMEOUT", FH_SLURM_ENDED, true},       {"NODE_FAIL", FH_SLURM_ENDED, true},
                {"PREEMPTED", FH_SLURM_ENDED, true},  {"OUT_OF_MEMORY", FH_SLURM_ENDED, false}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        const fh_slurm_state *s = fh_slurm_state_find(fh_str_of(rows[i].name));
        assert_string_equal(s->name, rows[i].name);
        assert_int_equal(s->class, rows[i].class);
        assert_int_equal(s->again, rows[i].again);
        assert_true(s->words[0] != '\0');
    }
}

static void a_state_of_a_later_slurm_does_not_end_a_job(void **state)
{
    assert_int_equal(fh_slurm_state_find(FH_STR("SOMETHING_NEW"))->class, FH_SLURM_RUNS);
    assert_int_equal(fh_slurm_state_find(FH_STR(""))->class, FH_SLURM_RUNS);
}

static void reasons_say_whether_a_job_can_ever_start(void **state)
{
    assert_false(fh_slurm_reason_find(FH_STR("Priority"))->never);
    assert_true(fh_slurm_reason_find(FH_STR("PartitionTimeLimit"))->never);
    assert_null(fh_slurm_reason_find(FH_STR("None")));
    assert_null(fh_slurm_reason_find(FH_STR("")));
}

static void a_lost_answer_is_told_from_a_refusal(void **state)
{
    assert_true(fh_slurm_is_passing("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"));
    assert_true(fh_slurm_is_passing("sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"));
    assert_false(fh_slurm_is_passing("sbatch: error: Batch job submission failed: Invalid partition name specified"));
    assert_false(
        fh_slurm_is_passing("sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)"));
    assert_false(fh_slurm_is_passing(""));
}

static void what_our_scripts_print_is_found_by_its_word(void **state)
{
    fh_str out = FH_STR("Welcome to the cluster\nfolder /home/me/.freehold\nmachine x86_64 \npartition main*|64\nprogram /opt/a b\n");
    assert_true(fh_str_eqs(fh_slurm_said(out, "folder"), "/home/me/.freehold"));
    assert_true(fh_str_eqs(fh_slurm_said(out, "machine"), "x86_64"));
    assert_true(fh_str_eqs(fh_slurm_said(out, "program"), "/opt/a b"));
    assert_int_equal(fh_slurm_said(out, "job").len, 0);
    assert_int_equal(fh_slurm_said(FH_STR(""), "job").len, 0);
}

static void a_partition_has_processors(void **state)
{
    fh_str out = FH_STR("partition gpu|128+\npartition main*|64\npartition odd|many\npartition\n");
    fh_slurm_kinds k;
    fh_slurm_kinds_read(&k, out);
    assert_int_equal(fh_slurm_kinds_cpus(&k, "gpu"), 128);
    assert_int_equal(fh_slurm_kinds_cpus(&k, "main"), 64);
    assert_int_equal(fh_slurm_kinds_cpus(&k, ""), 64);
    assert_int_equal(fh_slurm_kinds_cpus(&k, "odd"), 0);
    assert_int_equal(fh_slurm_kinds_cpus(&k, "none"), 0);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "main", 1), 0); /* its memory is not said */
}

static void nodes_of_a_partition_are_counted_by_their_memory(void **state)
{
    fh_str out =
        FH_STR("partition main*|64|256000|10\npartition gpu|128|515000|4\npartition main*|64|1031000+|2\npartition main*|8|lots|many\n");
    fh_slurm_kinds k;
    fh_slurm_kinds_read(&k, out);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "main", 256000), 12);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "", 256001), 2);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "", 1031001), 0);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "gpu", 1), 4);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "none", 0), 0);
    assert_int_equal(fh_slurm_kinds_cpus(&k, ""), 64);
}

static void times_are_read_as_slurm_reads_them(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"90", 5400}, {"1:30", 90}, {"2:00:00", 7200}, {"1-2", 93600}, {"1-2:30", 95400}, {"1-02:30:15", 95415}, {"0:01", 1}};
    static const char *const bad[] = {"",   "soon", "0",  "1:2:3:4",   "-5",          "1-",    "-1-2", "1 ",
                                      " 1", "1:",   ":1", "UNLIMITED", "99999999999", "1-1-1", "1.5"};
    int64_t seconds = 0;
    for (size_t i = 0; i < FH_COUNT(good); i++) {
        assert_true(fh_slurm_time_parse(fh_str_of(good[i].text), &seconds));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_false(fh_slurm_time_parse(fh_str_of(bad[i]), &seconds));
    assert_int_equal(seconds, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_of_a_partition_are_counted_by_their_memory),
        cmocka_unit_test(a_list_of_jobs_is_read_line_by_line),
        cmocka_unit_test(a_job_without_a_limit_has_no_end),
        cmocka_unit_test(a_job_without_a_limit_that_must_go_has_an_end),
        cmocka_unit_test(lines_that_are_no_jobs_are_passed_over),
        cmocka_unit_test(every_state_has_a_class_and_words),
        cmocka_unit_test(a_state_of_a_later_slurm_does_not_end_a_job),
        cmocka_unit_test(reasons_say_whether_a_job_can_ever_start),
        cmocka_unit_test(a_lost_answer_is_told_from_a_refusal),
        cmocka_unit_test(what_our_scripts_print_is_found_by_its_word),
        cmocka_unit_test(a_partition_has_processors),
        cmocka_unit_test(times_are_read_as_slurm_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
