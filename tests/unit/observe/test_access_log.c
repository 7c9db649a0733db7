/* The access log: what a line holds, and that lines are lost only where they are counted. */
#include "cmocka_all.h"
#include "base/clock.h"
#include "base/fault.h"
#include "observe/access_log.h"
#include "sys/file.h"
#include "torture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const fh_attempt attempts[] = {{.deployment = "a", .place = "here"}, {.deployment = "b", .place = "provider/p"}};

static fh_record for_a_model(void)
{
    return (fh_record){.request_id = "req_1",
                       .key_id = "abcdefgh",
                       .client = "10.0.0.7",
                       .method = FH_STR("POST"),
                       .path = FH_STR("/v1/chat/completions"),
                       .status = 200,
                       .in_bytes = 20,
                       .out_bytes = 300,
                       .began_ns = 5000000,
                       .ended_ns = 25500000,
                       .ended_utc_ns = 1790000000000000000,
                       .operation = "chat",
                       .model = "m\"\n",
                       .provider = "openai",
                       .key_class = "normal",
                       .cache = "off",
                       .finish = "stop",
                       .stream = true,
                       .code = FH_E_UPSTREAM,
                       .first_ns = 7000000,
                       .queued_ns = 1000000,
                       .prompt_tok = 11,
                       .completion_tok = 22,
                       .trace = {.id = {0xab}},
                       .span = {0xcd},
                       .attempt_count = 2,
                       .attempts = attempts};
}

static void a_line_has_all_that_is_told(void **state)
{
    (void)state;
    fh_record r = for_a_model();
    FH_AUTO(buf) fh_buf out = FH_BUF(8192);
    fh_access_log_line(&r, &out);
    assert_string_equal(
        fh_buf_cstr(&out),
        "{\"time\":\"2026-09-21T14:13:20.000Z\",\"request_id\":\"req_1\",\"key\":\"abcdefgh\",\"client\":\"10.0.0.7\",\"method\":\"POST\","
        "\"path\":\"/v1/chat/completions\",\"status\":200,\"complete\":true,\"in_bytes\":20,\"out_bytes\":300,\"total_ms\":20.500,"
        "\"operation\":\"chat\",\"model\":\"m\\\"\\n\",\"deployment\":\"b\",\"place\":\"provider/p\",\"attempts\":2,\"stream\":true,"
        "\"cache\":\"off\",\"prompt_tokens\":11,\"completion_tokens\":22,\"finish_reason\":\"stop\",\"error\":\"upstream\","
        "\"queued_ms\":1.000,\"first_token_ms\":2.000,\"trace_id\":\"ab000000000000000000000000000000\","
        "\"span_id\":\"cd00000000000000\"}\n");
}

static void what_a_request_has_not_got_is_null(void **state)
{
    (void)state;
    fh_record r = {.request_id = "req_2", .key_id = "", .client = "unix", .method = FH_STR("GET"), .path = FH_STR("/"), .gone = true};
    FH_AUTO(buf) fh_buf out = FH_BUF(8192);
    fh_access_log_line(&r, &out);
    assert_string_equal(fh_buf_cstr(&out),
                        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"request_id\":\"req_2\",\"key\":null,\"client\":\"unix\","
                        "\"method\":\"GET\",\"path\":\"/\",\"status\":null,\"complete\":false,\"in_bytes\":0,\"out_bytes\":0,"
                        "\"total_ms\":0.000}\n");
}

static void a_path_is_cut_off_at_its_bound(void **state)
{
    (void)state;
    static char path[8000];
    memset(path, 'x', sizeof path);
    fh_record r = {.request_id = "r", .key_id = "", .client = "unix", .method = FH_STR("GET"), .path = {path, sizeof path}};
    FH_AUTO(buf) fh_buf out = FH_BUF(8192);
    fh_access_log_line(&r, &out);
    assert_true(fh_buf_ok(&out));
    assert_in_range(out.len, FH_LIMIT_ACCESS_LOG_PATH_BYTES, FH_LIMIT_ACCESS_LOG_PATH_BYTES + 256);
}

/* ---- the file ---- */

typedef struct world {
    char folder[64], file[128], moved[128];
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    strcpy(w->folder, "/tmp/fh-access-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->file, sizeof w->file, "%s/log", w->folder);
    snprintf(w->moved, sizeof w->moved, "%s/log.1", w->folder);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_fault_disarm();
    unlink(w->file);
    unlink(w->moved);
    rmdir(w->folder);
    free(w);
    return 0;
}

static size_t lines_of(const char *path)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(64 << 20);
    assert_int_equal(fh_file_read(path, 64 << 20, &text, NULL), 0);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) n += text.data[i] == '\n';
    return n;
}

static void wait_for_lines(fh_access_log *l, uint64_t wanted)
{
    fh_access_log_counts c = {0};
    for (int i = 0; i < 20000 && c.written + c.dropped < wanted; i++) {
        fh_access_log_counts_get(l, &c);
        fh_sleep_ns(FH_NS_PER_MS);
    }
    assert_int_equal(c.written + c.dropped, wanted);
}

static void every_line_is_written_and_the_file_is_ours_alone(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    struct stat st;
    assert_int_equal(fh_access_log_open(&l, w->file, NULL), 0);
    for (int i = 0; i < 1000; i++) fh_access_log_add(l, &r);
    fh_access_log_close(l);
    assert_int_equal(lines_of(w->file), 1000);
    assert_int_equal(stat(w->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_file_that_was_moved_away_is_opened_anew(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    assert_int_equal(fh_access_log_open(&l, w->file, NULL), 0);
    fh_access_log_add(l, &r);
    wait_for_lines(l, 1);
    assert_int_equal(rename(w->file, w->moved), 0);
    assert_int_equal(fh_access_log_reopen(l, NULL), 0);
    fh_access_log_add(l, &r);
    fh_access_log_add(l, &r);
    fh_access_log_close(l);
    assert_int_equal(lines_of(w->moved), 1);
    assert_int_equal(lines_of(w->file), 2);
}

static void lines_that_are_lost_are_counted_and_told(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    assert_int_equal(fh_access_log_open(&l, w->file, NULL), 0);
    fh_fault_arm(FH_FAULT_WRITE, 1, true); /* the disk is full */
    fh_access_log_add(l, &r);
    wait_for_lines(l, 1);
    fh_fault_disarm();
    fh_access_log_add(l, &r);
    wait_for_lines(l, 2);
    fh_access_log_counts c;
    fh_access_log_counts_get(l, &c);
    assert_int_equal(c.dropped, 1);
    fh_access_log_close(l);
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    assert_int_equal(fh_file_read(w->file, 1 << 20, &text, NULL), 0);
    assert_non_null(strstr(fh_buf_cstr(&text), ",\"dropped\":1}\n"));
}

/* Nobody reads the pipe that the log goes to: whoever adds must not wait, and memory is bounded. */
static void who_adds_never_waits_for_who_writes(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    fh_access_log_counts c;
    assert_int_equal(mkfifo(w->file, 0600), 0);
    int reader = open(w->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(fh_access_log_open(&l, w->file, NULL), 0);
    size_t many = 3u * FH_LIMIT_ACCESS_LOG_BYTES / 500;
    for (size_t i = 0; i < many; i++) fh_access_log_add(l, &r);
    fh_access_log_counts_get(l, &c);
    assert_true(c.dropped > 0);
    close(reader); /* the writer's next piece fails, and it ends */
    fh_access_log_close(l);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    fh_err *err = NULL;
    char path[160];
    snprintf(path, sizeof path, "%s/none/log", w->folder);
    assert_int_equal(fh_access_log_open(&l, path, &err), FH_E_NOT_FOUND);
    assert_null(l);
    assert_non_null(strstr(fh_err_message(err), path));
    fh_err_free(err);
}

static int whole_life(void *arg)
{
    world *w = arg;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    fh_access_log_counts c;
    int rc = fh_access_log_open(&l, w->file, NULL);
    if (rc) return rc;
    fh_access_log_add(l, &r);
    fh_access_log_add(l, &r);
    wait_for_lines(l, 2); /* written, or lost and counted */
    rc = fh_access_log_reopen(l, NULL);
    fh_access_log_counts_get(l, &c);
    fh_access_log_close(l);
    return rc ? rc : c.dropped ? FH_E_IO : 0;
}

static void a_log_survives_what_fails(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, whole_life, *state, 200) > 3);
    assert_true(fh_torture(FH_FAULT_OPEN, whole_life, *state, 20) >= 2);
    assert_true(fh_torture(FH_FAULT_WRITE, whole_life, *state, 20) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_all_that_is_told),
        cmocka_unit_test(what_a_request_has_not_got_is_null),
        cmocka_unit_test(a_path_is_cut_off_at_its_bound),
        cmocka_unit_test_setup_teardown(every_line_is_written_and_the_file_is_ours_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_was_moved_away_is_opened_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_are_lost_are_counted_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(who_adds_never_waits_for_who_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_survives_what_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_an_error, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
