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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
    assert_int_equal(fh_dir_remove(w->folder, NULL), 0);
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
    assert_int_equal(fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL), 0);
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
    assert_int_equal(fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL), 0);
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
    assert_int_equal(fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL), 0);
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
    assert_int_equal(fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL), 0);
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
    assert_int_equal(fh_access_log_open(&l, path, FH_LIMIT_ACCESS_LOG_FILE_BYTES, &err), FH_E_NOT_FOUND);
    assert_null(l);
    assert_non_null(strstr(fh_err_message(err), path));
    fh_err_free(err);
}

/* ---- a file that is full ---- */

enum { FULL_BYTES = 20000, LINE_BYTES = 700 /* at least one of the lines below */ };

/* The lines have numbers; each is written before the next comes, so that none is written together with others. */
static void add_numbered(fh_access_log *l, int from, int count)
{
    fh_record r = for_a_model();
    fh_access_log_counts c;
    char id[32];
    fh_access_log_counts_get(l, &c);
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "req_%d", from + i);
        r.request_id = id;
        fh_access_log_add(l, &r);
        wait_for_lines(l, c.written + c.dropped + (uint64_t)i + 1);
    }
}

static const char *numbered(const world *w, unsigned n, char out[160])
{
    snprintf(out, 160, n ? "%s.%u" : "%s", w->file, n);
    return out;
}

/* Adds the numbers of a file's lines to those before, which must be the ones below; a line without an end is left out. */
static void read_numbers(const char *path, int *next)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(64 << 20);
    assert_int_equal(fh_file_read(path, 64 << 20, &text, NULL), 0);
    const char *line = fh_buf_cstr(&text);
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        const char *id = strstr(line, "\"request_id\":\"req_");
        if (!id || id > end || end[-1] != '}') continue; /* cut off by a kill */
        int number = atoi(id + strlen("\"request_id\":\"req_"));
        assert_int_equal(number, *next < 0 ? number : *next);
        *next = number + 1;
    }
}

/* All files, the oldest first: no line lacks between the first that is kept and the last. */
static int read_all_numbers(const world *w, int next)
{
    char path[160];
    for (unsigned n = FH_LIMIT_ACCESS_LOG_FILES + 1; n-- > 0;)
        if (fh_file_exists(numbered(w, n, path))) read_numbers(path, &next);
    return next;
}

static void a_full_file_is_rotated_and_no_line_is_lost(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    char path[160];
    struct stat st;
    assert_int_equal(fh_access_log_open(&l, w->file, FULL_BYTES, NULL), 0);
    add_numbered(l, 0, 3 * FULL_BYTES / LINE_BYTES);
    fh_access_log_close(l);
    assert_int_equal(read_all_numbers(w, 0), 3 * FULL_BYTES / LINE_BYTES);
    assert_true(fh_file_exists(numbered(w, 2, path)));
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(stat(numbered(w, n, path), &st), 0);
        assert_in_range(st.st_size, 1, FULL_BYTES);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void the_oldest_of_many_files_goes(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    char path[160];
    assert_int_equal(fh_access_log_open(&l, w->file, LINE_BYTES, NULL), 0); /* a line fills it */
    add_numbered(l, 0, FH_LIMIT_ACCESS_LOG_FILES + 6);
    fh_access_log_close(l);
    assert_int_equal(read_all_numbers(w, -1), FH_LIMIT_ACCESS_LOG_FILES + 6);
    assert_int_equal(lines_of(numbered(w, FH_LIMIT_ACCESS_LOG_FILES, path)), 1);
    assert_false(fh_file_exists(numbered(w, FH_LIMIT_ACCESS_LOG_FILES + 1, path)));
}

/* As a kill between two renames leaves it. */
static void a_number_that_is_free_is_filled_and_nothing_behind_it_moves(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    char path[160];
    assert_int_equal(fh_access_log_open(&l, w->file, LINE_BYTES, NULL), 0);
    add_numbered(l, 0, 4);
    assert_int_equal(unlink(numbered(w, 2, path)), 0); /* line 1; line 0 is in NAME.3 */
    add_numbered(l, 4, 1);
    fh_access_log_close(l);
    int zero = 0, two = 2;
    read_numbers(numbered(w, 3, path), &zero);
    assert_int_equal(zero, 1);
    for (unsigned n = 3; n-- > 0;) read_numbers(numbered(w, n, path), &two);
    assert_int_equal(two, 5);
}

static void a_full_file_that_others_moved_away_is_left_alone(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    char path[160], away[160];
    snprintf(away, sizeof away, "%s/away", w->folder);
    assert_int_equal(fh_access_log_open(&l, w->file, FULL_BYTES, NULL), 0);
    add_numbered(l, 0, 1);
    assert_int_equal(rename(w->file, away), 0);
    add_numbered(l, 1, FULL_BYTES / LINE_BYTES + 20);
    fh_access_log_close(l);
    int next = 0;
    read_numbers(away, &next);
    assert_in_range(next, 2, FULL_BYTES / LINE_BYTES + 20);
    read_numbers(w->file, &next);
    assert_int_equal(next, FULL_BYTES / LINE_BYTES + 21);
    assert_false(fh_file_exists(numbered(w, 1, path)));
}

static void what_a_link_leads_to_is_rotated_and_the_link_stays(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    char real[160], older[160];
    struct stat st;
    snprintf(real, sizeof real, "%s/real", w->folder);
    snprintf(older, sizeof older, "%s/real.1", w->folder);
    assert_int_equal(symlink("real", w->file), 0);
    assert_int_equal(fh_access_log_open(&l, w->file, LINE_BYTES, NULL), 0);
    add_numbered(l, 0, 2);
    fh_access_log_close(l);
    assert_int_equal(lstat(w->file, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lines_of(older), 1);
    assert_int_equal(lines_of(real), 1);
}

/* A server that ends its streams and a newer one, both with much to tell. */
static void two_servers_rotate_one_file_and_no_line_is_lost(void **state)
{
    world *w = *state;
    fh_access_log *both[2] = {NULL, NULL};
    fh_record r = for_a_model();
    char path[160];
    size_t lines = 0;
    for (int i = 0; i < 2; i++) assert_int_equal(fh_access_log_open(&both[i], w->file, FULL_BYTES, NULL), 0);
    for (int i = 0; i < 80; i++) {
        fh_access_log_add(both[i % 2], &r);
        if (i % 4 == 3) wait_for_lines(both[1], (uint64_t)i / 2 + 1);
    }
    for (int i = 0; i < 2; i++) fh_access_log_close(both[i]);
    for (unsigned n = 0; n <= FH_LIMIT_ACCESS_LOG_FILES; n++)
        if (fh_file_exists(numbered(w, n, path))) lines += lines_of(path);
    assert_int_equal(lines, 80);
    assert_true(fh_file_exists(numbered(w, 1, path)));
}

static void a_file_that_cannot_be_rotated_is_written_to(void **state)
{
    static const fh_fault kinds[] = {FH_FAULT_RENAME, FH_FAULT_OPEN};
    world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        fh_access_log *l = NULL;
        assert_int_equal(fh_access_log_open(&l, w->file, LINE_BYTES, NULL), 0);
        add_numbered(l, 0, 1);
        fh_fault_arm(kinds[i], 1, true);
        add_numbered(l, 1, 3);
        fh_fault_disarm();
        add_numbered(l, 4, 1);
        fh_access_log_counts c;
        fh_access_log_counts_get(l, &c);
        assert_int_equal(c.written, 5);
        fh_access_log_close(l);
        assert_int_equal(read_all_numbers(w, 0), 5);
        assert_int_equal(lines_of(w->moved), 4);
        assert_int_equal(lines_of(w->file), 1);
        unlink(w->file);
        unlink(w->moved);
    }
}

/* The disk is full in the middle of a line: the next one that fits begins on a line of its own. */
static void a_line_that_was_cut_off_is_ended(void **state)
{
    world *w = *state;
    fh_access_log *l = NULL;
    struct rlimit before, little;
    assert_int_equal(fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    add_numbered(l, 0, 3);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    fh_access_log_counts c;
    fh_access_log_counts_get(l, &c);
    assert_int_equal(c.dropped, 2);
    add_numbered(l, 3, 1);
    fh_access_log_close(l);
    assert_int_equal(lines_of(w->file), 4); /* the first, the beginning of the second, how many were lost, the last */
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    assert_int_equal(fh_file_read(w->file, 1 << 20, &text, NULL), 0);
    assert_non_null(strstr(fh_buf_cstr(&text), ",\"dropped\":2}\n{\"time\":"));
}

/* A process of its own writes and rotates without end. */
static pid_t start_writer(const world *w)
{
    pid_t pid = fork();
    if (pid) return pid;
    fh_access_log *l = NULL;
    if (fh_access_log_open(&l, w->file, 3000, NULL)) _exit(1);
    for (int i = 0; i < 1000000; i += 10) add_numbered(l, i, 10);
    _exit(0);
}

static void a_kill_leaves_whole_lines_and_the_next_start_goes_on(void **state)
{
    world *w = *state;
    for (int round = 0; round < 5; round++) {
        char oldest[160];
        pid_t pid = start_writer(w);
        assert_true(pid > 0);
        numbered(w, FH_LIMIT_ACCESS_LOG_FILES, oldest);
        for (int i = 0; i < 30000 && !fh_file_exists(oldest); i++) fh_sleep_ns(FH_NS_PER_MS);
        fh_sleep_ns(round * FH_NS_PER_MS / 3);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        int next = read_all_numbers(w, -1);
        assert_true(next > FH_LIMIT_ACCESS_LOG_FILES);
        fh_access_log *l = NULL;
        assert_int_equal(fh_access_log_open(&l, w->file, 3000, NULL), 0);
        add_numbered(l, next, 1);
        fh_access_log_close(l);
        assert_int_equal(read_all_numbers(w, -1), next + 1);
        assert_int_equal(fh_dir_remove(w->folder, NULL), 0);
        assert_int_equal(fh_dir_make(w->folder, 0700, NULL), 0);
    }
}

static int whole_life(void *arg)
{
    world *w = arg;
    fh_access_log *l = NULL;
    fh_record r = for_a_model();
    fh_access_log_counts c;
    int rc = fh_access_log_open(&l, w->file, FH_LIMIT_ACCESS_LOG_FILE_BYTES, NULL);
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
        cmocka_unit_test_setup_teardown(a_full_file_is_rotated_and_no_line_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_of_many_files_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_that_is_free_is_filled_and_nothing_behind_it_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_file_that_others_moved_away_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_link_leads_to_is_rotated_and_the_link_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(two_servers_rotate_one_file_and_no_line_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_rotated_is_written_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_that_was_cut_off_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kill_leaves_whole_lines_and_the_next_start_goes_on, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
