/* What slurmrestd answers, in both shapes of its API, and what it is asked; tests/supply/rest.py speaks to a real one. */
#include "slurm_rest.h"

#include "cmocka_all.h"

#include <stdio.h>

static fh_json *parse(const char *text)
{
    fh_json *doc = NULL;
    fh_err *err = NULL;
    if (fh_json_parse(&doc, fh_str_of(text), 1 << 20, &err)) fail_msg("%s", fh_err_message(err));
    return doc;
}

/* ---- jobs ---- */

static const char *const shapes[] = {
    "{\"jobs\":[{\"job_id\":17,\"name\":\"freehold-ab-1\",\"user_name\":\"me\",\"job_state\":\"RUNNING\",\"state_reason\":\"None\",\"time_"
    "limit\":60,"
    "\"start_time\":1795963532,\"end_time\":1795967132,\"nodes\":\"n1\",\"node_count\":1,\"comment\":\"hello\"}]}",
    "{\"jobs\":[{\"job_id\":17,\"name\":\"freehold-ab-1\",\"user_name\":\"me\",\"job_state\":[\"RUNNING\"],\"state_reason\":\"None\","
    "\"time_limit\":{\"set\":true,\"infinite\":false,\"number\":60},\"start_time\":{\"set\":true,\"infinite\":false,\"number\":1795963532},"
    "\"end_time\":{\"set\":true,\"infinite\":false,\"number\":1795967132},\"nodes\":\"n1\","
    "\"node_count\":{\"set\":true,\"infinite\":false,\"number\":1},\"comment\":\"hello\"}]}",
};

static void both_shapes_of_a_job_are_the_same_job(void **state)
{
    for (size_t i = 0; i < FH_COUNT(shapes); i++) {
        FH_AUTO(json) fh_json *doc = parse(shapes[i]);
        FH_AUTO(ptr) fh_slurm_row *rows = NULL;
        size_t count = 0;
        assert_int_equal(fh_slurm_rest_jobs(doc, "me", "freehold-ab-", &rows, &count, NULL), 0);
        assert_int_equal(count, 1);
        assert_int_equal(rows[0].job, 17);
        assert_int_equal(rows[0].state->class, FH_SLURM_RUNS);
        assert_true(fh_str_eqs(rows[0].node, "n1") && fh_str_eqs(rows[0].name, "freehold-ab-1") && fh_str_eqs(rows[0].comment, "hello"));
        assert_int_equal(rows[0].starts_s, 1795963532);
        assert_int_equal(rows[0].ends_s, 1795967132);
        assert_int_equal(rows[0].nodes, 1);
    }
}

static fh_slurm_row only_row(fh_json **doc, const char *fields)
{
    char text[1024];
    FH_AUTO(ptr) fh_slurm_row *rows = NULL;
    size_t count = 0;
    snprintf(text, sizeof text, "{\"jobs\":[{\"job_id\":1,\"name\":\"n\",\"user_name\":\"me\",%s}]}", fields);
    fh_json_unref(*doc);
    *doc = parse(text);
    assert_int_equal(fh_slurm_rest_jobs(*doc, "me", "", &rows, &count, NULL), 0);
    assert_int_equal(count, 1);
    return rows[0];
}

static void flags_behind_a_state_count_as_squeue_shows_them(void **state)
{
    static const struct {
        const char *states, *name;
    } rows[] = {{"[\"RUNNING\",\"COMPLETING\"]", "COMPLETING"},
                {"[\"RUNNING\",\"CONFIGURING\"]", "CONFIGURING"},
                {"[\"PENDING\",\"POWER_UP_NODE\"]", "PENDING"},
                {"[\"CANCELLED\"]", "CANCELLED"},
                {"\"COMPLETING\"", "COMPLETING"},
                {"[\"LATER\"]", "RUNNING"},
                {"[]", "RUNNING"},
                {"null", "RUNNING"}};
    FH_AUTO(json) fh_json *doc = NULL;
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        char field[128];
        snprintf(field, sizeof field, "\"job_state\":%s", rows[i].states);
        assert_string_equal(only_row(&doc, field).state->name, rows[i].name);
    }
}

static void a_job_without_a_limit_has_no_end(void **state)
{
    static const char *const limits[] = {"null",
                                         "-1",
                                         "4294967295",
                                         "525600",
                                         "{\"set\":true,\"infinite\":true,\"number\":0}",
                                         "{\"set\":false,\"infinite\":false,\"number\":60}",
                                         "\"60\""};
    FH_AUTO(json) fh_json *doc = NULL;
    for (size_t i = 0; i < FH_COUNT(limits); i++) {
        char field[256];
        snprintf(field, sizeof field, "\"time_limit\":%s,\"start_time\":1795963532,\"end_time\":1827499532", limits[i]);
        assert_int_equal(only_row(&doc, field).ends_s, 0);
    }
}

static void jobs_of_other_users_and_names_are_not_ours(void **state)
{
    FH_AUTO(json)
    fh_json *doc = parse("{\"jobs\":[{\"job_id\":1,\"name\":\"freehold-ab-1\",\"user_name\":\"you\"},"
                         "{\"job_id\":2,\"name\":\"other\",\"user_name\":\"me\"},{\"job_id\":3,\"name\":\"freehold-ab-1\"},"
                         "{\"job_id\":0,\"name\":\"freehold-ab-1\",\"user_name\":\"me\"},7,"
                         "{\"job_id\":5,\"name\":\"freehold-ab-2\",\"user_name\":\"me\"}]}");
    FH_AUTO(ptr) fh_slurm_row *rows = NULL;
    size_t count = 0;
    assert_int_equal(fh_slurm_rest_jobs(doc, "me", "freehold-ab-", &rows, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].job, 5);
}

static void what_is_no_list_of_jobs_is_no_empty_one(void **state)
{
    static const char *const texts[] = {"{}", "{\"jobs\":{}}", "[]", "{\"jobs\":null}"};
    for (size_t i = 0; i < FH_COUNT(texts); i++) {
        FH_AUTO(json) fh_json *doc = parse(texts[i]);
        fh_slurm_row *rows = NULL;
        size_t count = 0;
        assert_int_equal(fh_slurm_rest_jobs(doc, "me", "", &rows, &count, NULL), FH_E_UPSTREAM);
    }
}

static void assert_thin(const char *text, const char *expected)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1024);
    fh_slurm_rest_thin(fh_str_of(text), "ours-", &out);
    assert_string_equal(fh_buf_cstr(&out), expected);
}

static void of_a_long_list_only_what_mentions_us_is_read(void **state)
{
    assert_thin("{\"meta\":{\"a\":[{}]},\"errors\":[{\"error\":\"x\"}],\"jobs\":[{\"name\":\"a\",\"r\":{\"n\":[1]}}, "
                "{\"name\":\"ours-1\"},{}],\"z\":[{}]}",
                "{\"meta\":{\"a\":[{}]},\"errors\":[{\"error\":\"x\"}],\"jobs\":[0, {\"name\":\"ours-1\"},0],\"z\":[{}]}");
    assert_thin("{\"jobs\":[{\"name\":\"}\\\"]{\"},{\"comment\":\"\\\\\",\"name\":\"ours-2\"}]}",
                "{\"jobs\":[0,{\"comment\":\"\\\\\",\"name\":\"ours-2\"}]}");
    static const char *const same[] = {
        "", "{", "}", "[]]", "{\"jobs", "{\"jobs\":[{", "[{\"jobs\":[{}]}]", "{\"jobs\":{\"a\":{}}}", "\"\\", "{\"jobs\":[\"\\"};
    for (size_t i = 0; i < FH_COUNT(same); i++) assert_thin(same[i], same[i]);
}

/* ---- nodes, errors, versions ---- */

static void nodes_are_counted_by_partition_and_kind(void **state)
{
    FH_AUTO(json)
    fh_json *partitions = parse("{\"partitions\":[{\"name\":\"main\",\"flags\":[\"default\"]},{\"name\":\"gpu\",\"flags\":[]}]}");
    FH_AUTO(json)
    fh_json *nodes =
        parse("{\"nodes\":[{\"cpus\":64,\"real_memory\":256000,\"partitions\":[\"main\"]},"
              "{\"cpus\":64,\"real_memory\":256000,\"partitions\":[\"main\",\"gpu\"]},"
              "{\"cpus\":{\"set\":true,\"number\":8},\"real_memory\":{\"set\":true,\"number\":1000},\"partitions\":[\"gpu\"]},{}]}");
    fh_slurm_kinds k;
    fh_slurm_rest_kinds(partitions, nodes, &k);
    assert_int_equal(k.count, 3);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "", 256000), 2);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "gpu", 1), 2);
    assert_int_equal(fh_slurm_kinds_nodes(&k, "gpu", 2000), 1);
    assert_int_equal(fh_slurm_kinds_cpus(&k, ""), 64);
}

static void errors_have_slurms_words(void **state)
{
    FH_AUTO(json) fh_json *plain = parse("{\"errors\":[{\"error_code\":2000,\"error\":\"Invalid partition name specified\"}]}");
    FH_AUTO(json)
    fh_json *told =
        parse("{\"errors\":[{\"description\":\"unable to kill JobId=9\",\"error_number\":2017,\"error\":\"x\"},{\"error_number\":-1}]}");
    FH_AUTO(json) fh_json *none = parse("{\"errors\":[]}"), *mute = parse("{\"errors\":[3]}");
    fh_slurm_rest_error e;
    fh_slurm_rest_error_read(plain, &e);
    assert_string_equal(e.words, "Invalid partition name specified");
    assert_int_equal(e.number, 2000);
    fh_slurm_rest_error_read(told, &e);
    assert_string_equal(e.words, "unable to kill JobId=9");
    assert_int_equal(e.number, -1);
    fh_slurm_rest_error_read(none, &e);
    assert_string_equal(e.words, "");
    fh_slurm_rest_error_read(mute, &e);
    assert_string_not_equal(e.words, "");
}

static void errors_are_one_plain_line(void **state)
{
    FH_AUTO(json) fh_json *doc = parse("{\"errors\":[{\"description\":\"\\u001b]0;mine\\u0007 no\\nsuch  job\"}]}");
    fh_slurm_rest_error e;
    fh_slurm_rest_error_read(doc, &e);
    assert_string_equal(e.words, "]0;mine no such job");
}

static void what_is_offered_is_listed(void **state)
{
    FH_AUTO(json)
    fh_json *doc = parse(
        "{\"paths\":{\"/slurm/v0.0.37/ping\":{},\"/slurm/v0.0.38/ping/\":{},\"/slurm/v0.0.38/jobs\":{},\"/slurm/ping\":{},\"/ping\":{}}}");
    char out[64];
    fh_slurm_rest_apis(doc, out, sizeof out);
    assert_string_equal(out, "v0.0.37, v0.0.38");
    fh_slurm_rest_apis(NULL, out, sizeof out);
    assert_string_equal(out, "");
}

/* ---- tokens and comments ---- */

static void a_token_says_when_it_is_over(void **state)
{
    /* {"exp":1796010693,"iat":1796007093,"sun":"root"} */
    assert_int_equal(
        fh_slurm_token_ends_s(FH_STR("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTYwMTA2OTMsImlhdCI6MTc5NjAwNzA5Mywic3VuIjoicm9vdCJ9.c2ln")),
        1796010693);
    static const char *const none[] = {"", "word", ".", "..", "a.b.c", "a.eyJ9.c", "a.e30.c", "a.bm90IEpTT04.c"};
    for (size_t i = 0; i < FH_COUNT(none); i++) assert_int_equal(fh_slurm_token_ends_s(fh_str_of(none[i])), 0);
}

static void no_other_secret_is_a_token(void **state)
{
    static const char *const none[] = {"",
                                       "sk-1234567890",
                                       "rpa_ABC.DEF.GHI",
                                       "eyJhbGciOiJIUzI1NiJ9",
                                       "eyJhbGciOiJIUzI1NiJ9.e30",
                                       "e30.e30.c2ln",
                                       "..",
                                       "eyJhbGciOiJIUzI1NiJ9.bm90IEpTT04.c"};
    assert_true(fh_slurm_token_is(FH_STR("eyJhbGciOiJIUzI1NiJ9.e30.c2ln")));
    for (size_t i = 0; i < FH_COUNT(none); i++) assert_false(fh_slurm_token_is(fh_str_of(none[i])));
}

static void only_a_whole_digest_is_a_key(void **state)
{
    char key[65], text[128];
    snprintf(text, sizeof text, "freehold key %064d", 7);
    assert_true(fh_slurm_comment_key(text, key));
    assert_string_equal(key, text + 13);
    static const char *const none[] = {"", "freehold key ", "freehold key 12", "key", "freehold said hello"};
    for (size_t i = 0; i < FH_COUNT(none); i++) assert_false(fh_slurm_comment_key(none[i], key));
    text[20] = 'x';
    assert_false(fh_slurm_comment_key(text, key));
    assert_string_equal(fh_slurm_comment_said("freehold said it broke"), "it broke");
    assert_string_equal(fh_slurm_comment_said("freehold key 12"), "");
}

/* ---- what is asked ---- */

static fh_json *job(const char *api, const char *gres)
{
    slurm s = {.door = {.url = "https://pool:8471", .certificate = "c0"}};
    snprintf(s.set.api, sizeof s.set.api, "%s", api);
    snprintf(s.set.gres, sizeof s.set.gres, "%s", gres);
    snprintf(s.set.program, sizeof s.set.program, "/opt/it's/freehold");
    const slurm_order o = {
        .of = &s, .node = "hpc-1", .job_name = "freehold-ab-1", .shape = {.minutes = 90, .mem_mib = 700, .cpus = 8, .nodes = 2}};
    return fh_slurm_rest_job(&o);
}

static void a_job_is_asked_for_as_each_version_wants_it(void **state)
{
    FH_AUTO(json) fh_json *old = job("v0.0.38", "gpu:1,shard:2"), *mid = job("v0.0.39", "gpu:1"), *new = job("v0.0.41", "gpu:1,shard:2");
    const fh_json *a = fh_json_get(old, "job"), *b = fh_json_get(new, "job");
    assert_int_equal(fh_json_int(fh_json_get(a, "time_limit"), 0), 90);
    assert_int_equal(fh_json_int(fh_json_get(a, "memory_per_node"), 0), 700);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(a, "gres")), "gpu:1,shard:2"));
    assert_int_equal(fh_json_kind_of(fh_json_get(a, "environment")), FH_JSON_OBJECT);
    assert_int_equal(fh_json_int(fh_json_get(fh_json_get(b, "time_limit"), "number"), 0), 90);
    assert_true(fh_json_is_true(fh_json_get(fh_json_get(b, "memory_per_node"), "set")));
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(b, "tres_per_node")), "gres/gpu:1,gres/shard:2"));
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(mid, "job"), "tres_per_node")), "gres:gpu:1"));
    assert_int_equal(fh_json_kind_of(fh_json_get(b, "environment")), FH_JSON_ARRAY);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(b, "dependency")), "singleton") &&
                fh_str_eqs(fh_json_str(fh_json_get(b, "nodes")), "2"));
}

static void words_in_the_script_are_quoted(void **state)
{
    FH_AUTO(json) fh_json *doc = job("v0.0.38", ""), *later = job("v0.0.40", "");
    fh_str script = fh_json_str(fh_json_get(doc, "script")), moved = fh_json_str(fh_json_get(fh_json_get(later, "job"), "script"));
    fh_str begins = FH_STR("#!/bin/sh\nset -- '' '/opt/it'\\''s/freehold' 'https://pool:8471' 'hpc-1' '' 'c0'\n");
    assert_true(fh_str_starts(script, begins) && fh_str_starts(moved, begins));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_shapes_of_a_job_are_the_same_job),
        cmocka_unit_test(flags_behind_a_state_count_as_squeue_shows_them),
        cmocka_unit_test(a_job_without_a_limit_has_no_end),
        cmocka_unit_test(jobs_of_other_users_and_names_are_not_ours),
        cmocka_unit_test(what_is_no_list_of_jobs_is_no_empty_one),
        cmocka_unit_test(of_a_long_list_only_what_mentions_us_is_read),
        cmocka_unit_test(nodes_are_counted_by_partition_and_kind),
        cmocka_unit_test(errors_have_slurms_words),
        cmocka_unit_test(errors_are_one_plain_line),
        cmocka_unit_test(what_is_offered_is_listed),
        cmocka_unit_test(a_token_says_when_it_is_over),
        cmocka_unit_test(no_other_secret_is_a_token),
        cmocka_unit_test(only_a_whole_digest_is_a_key),
        cmocka_unit_test(a_job_is_asked_for_as_each_version_wants_it),
        cmocka_unit_test(words_in_the_script_are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
