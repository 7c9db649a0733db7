/* Files and folders: what is written is whole or absent, names cannot escape, locks exclude, and no failing call leaves a temporary file.
 */
#include "cmocka_all.h"
#include "torture.h"

#include "base/mem.h"
#include "sys/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static const char *at(const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    return p;
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/fh-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fh_dir_remove(folder, NULL);
}

static int count_entry(void *arg, const char *name, fh_err **err)
{
    (void)name;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static unsigned entries(const char *path)
{
    unsigned n = 0;
    assert_int_equal(fh_dir_each(path, count_entry, &n, NULL), 0);
    return n;
}

static void a_file_is_written_whole_and_read_back(void **state)
{
    (void)state;
    assert_int_equal(fh_file_write_atomic(at("a"), "hello", 5, 0640, NULL), 0);
    FH_AUTO(buf) fh_buf b = FH_BUF(100);
    assert_int_equal(fh_file_read(at("a"), 100, &b, NULL), 0);
    assert_string_equal(b.data, "hello");
    struct stat st;
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_file_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    assert_int_equal(fh_file_write_atomic(at("big"), "0123456789", 10, 0600, NULL), 0);
    FH_AUTO(buf) fh_buf b = FH_BUF(100);
    fh_err *err = NULL;
    assert_int_equal(fh_file_read(at("big"), 9, &b, &err), FH_E_TOO_LARGE);
    fh_err_free(err);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    fh_mapping m;
    fh_err *err = NULL;
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(fh_file_map(at("pipe"), &m, &err), FH_E_INVALID);
    assert_int_equal(fh_file_map(folder, &m, &err), FH_E_INVALID);
    assert_int_equal(fh_file_map(at("absent"), &m, &err), FH_E_NOT_FOUND);
    fh_err_free(err);
}

static void a_mapping_shows_the_file(void **state)
{
    (void)state;
    fh_mapping m;
    assert_int_equal(fh_file_write_atomic(at("m"), "mapped", 6, 0600, NULL), 0);
    assert_int_equal(fh_file_map(at("m"), &m, NULL), 0);
    assert_memory_equal(m.data, "mapped", 6);
    assert_int_equal(m.bytes, 6);
    fh_file_unmap(&m);
    assert_int_equal(fh_file_write_atomic(at("empty"), "", 0, 0600, NULL), 0);
    assert_int_equal(fh_file_map(at("empty"), &m, NULL), 0);
    assert_int_equal(m.bytes, 0);
    fh_file_unmap(&m);
}

static void the_tail_of_a_file_begins_with_a_line(void **state)
{
    (void)state;
    assert_int_equal(fh_file_write_atomic(at("log"), "first\nsecond\nthird\n", 19, 0600, NULL), 0);
    FH_AUTO(buf) fh_buf b = FH_BUF(100);
    assert_int_equal(fh_file_read_tail(at("log"), 9, &b, NULL), 0);
    assert_string_equal(b.data, "third\n");
    fh_buf_clear(&b);
    assert_int_equal(fh_file_read_tail(at("log"), 100, &b, NULL), 0);
    assert_string_equal(b.data, "first\nsecond\nthird\n");
}

static void a_file_that_ends_within_a_line_is_torn(void **state)
{
    (void)state;
    FH_AUTO(fd) int fd = -1, pipe = -1;
    assert_int_equal(fh_file_open_append(at("lines"), 0600, &fd, NULL), 0);
    assert_false(fh_file_is_torn(fd));
    assert_int_equal(fh_file_append(fd, "whole\nhalf", 10, "lines", NULL), 0);
    assert_true(fh_file_is_torn(fd));
    assert_int_equal(fh_file_append(fd, "\n", 1, "lines", NULL), 0);
    assert_false(fh_file_is_torn(fd));
    assert_int_equal(mkfifo(at("lines-pipe"), 0600), 0);
    pipe = open(at("lines-pipe"), O_RDWR | O_CLOEXEC);
    assert_int_equal(write(pipe, "half", 4), 4);
    assert_false(fh_file_is_torn(pipe));
}

static void names_that_would_leave_their_folder_are_refused(void **state)
{
    (void)state;
    char out[64];
    const char *bad[] = {"", ".", "..", "a/b", "/etc/passwd", "../x"};
    fh_err *err = NULL;
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(fh_path_join(out, sizeof(out), "/d", bad[i], &err), FH_E_INVALID);
    fh_err_free(err);
    assert_int_equal(fh_path_join(out, sizeof(out), "/d", "...x", NULL), 0);
    assert_string_equal(out, "/d/...x");
    char small[4];
    assert_int_equal(fh_path_join(small, sizeof(small), "/d", "ab", NULL), FH_E_INVALID);
}

static void folders_are_made_with_parents_and_removed_with_children(void **state)
{
    (void)state;
    assert_int_equal(fh_dir_make(at("x/y/z"), 0700, NULL), 0);
    assert_int_equal(fh_dir_make(at("x/y/z"), 0700, NULL), 0);
    assert_int_equal(fh_file_write_atomic(at("x/y/z/f"), "f", 1, 0600, NULL), 0);
    assert_int_equal(fh_file_write_atomic(at("keep"), "k", 1, 0600, NULL), 0);
    assert_int_equal(symlink(at("keep"), at("x/link")), 0);
    assert_int_equal(fh_dir_remove(at("x"), NULL), 0);
    assert_false(fh_file_exists(at("x")));
    assert_true(fh_file_exists(at("keep")));
    assert_int_equal(fh_dir_make(at("keep/sub"), 0700, NULL), FH_E_IO);
}

static void a_lock_keeps_others_out_and_falls_with_its_process(void **state)
{
    (void)state;
    int pipes[2], fd;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        int held;
        char ok = fh_dir_lock(folder, &held, NULL) == 0;
        (void)!write(pipes[1], &ok, 1);
        pause();
        _exit(0);
    }
    char ok = 0;
    assert_int_equal(read(pipes[0], &ok, 1), 1);
    assert_true(ok);
    fh_err *err = NULL;
    assert_int_equal(fh_dir_lock(folder, &fd, &err), FH_E_BUSY);
    assert_non_null(fh_err_hint_get(err));
    fh_err_free(err);
    kill(child, SIGKILL);
    assert_int_equal(fh_dir_lock(folder, &fd, NULL), 0);
    waitpid(child, NULL, 0);
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}

static int sum_chunk(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    (void)data;
    (void)done;
    (void)total;
    (void)err;
    *(uint64_t *)arg += bytes;
    return 0;
}

static int stop_chunk(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    (void)arg;
    (void)data;
    (void)bytes;
    (void)done;
    (void)total;
    return fh_err_set(err, FH_E_CANCELLED, "stopped");
}

static void a_copy_is_whole_and_a_cancelled_one_leaves_nothing(void **state)
{
    (void)state;
    size_t bytes = 3u << 20;
    char *data = calloc(1, bytes);
    assert_int_equal(fh_file_write_atomic(at("from"), data, bytes, 0600, NULL), 0);
    free(data);
    uint64_t seen = 0;
    assert_int_equal(fh_file_copy_durable(at("from"), at("to"), sum_chunk, &seen, NULL), 0);
    assert_int_equal(seen, bytes);
    fh_err *err = NULL;
    assert_int_equal(fh_file_copy_durable(at("from"), at("to"), NULL, NULL, &err), FH_E_EXISTS);
    assert_int_equal(fh_file_copy_durable(at("from"), at("to2"), stop_chunk, NULL, &err), FH_E_CANCELLED);
    assert_false(fh_file_exists(at("to2")));
    fh_err_free(err);
}

static int write_and_check(void *arg)
{
    (void)arg;
    fh_err *err = NULL;
    int rc = fh_file_write_atomic(at("t/f"), "new", 3, 0600, &err);
    fh_err_free(err);
    bool struck = fh_fault_struck();
    fh_fault_disarm();
    FH_AUTO(buf) fh_buf b = FH_BUF(16);
    assert_int_equal(fh_file_read(at("t/f"), 16, &b, NULL), 0);
    assert_true(strcmp(b.data, "old") == 0 || strcmp(b.data, "new") == 0);
    assert_int_equal(entries(at("t")), 1); /* no temporary file stays */
    if (struck) assert_int_not_equal(rc, 0);
    assert_int_equal(fh_file_write_atomic(at("t/f"), "old", 3, 0600, NULL), 0);
    if (struck) fh_fault_arm(FH_FAULT_WRITE, 1, false), (void)fh_fault_strikes(FH_FAULT_WRITE); /* says to the helper that it was struck */
    return rc;
}

static void whatever_call_fails_a_file_is_old_or_new(void **state)
{
    (void)state;
    assert_int_equal(fh_dir_make(at("t"), 0700, NULL), 0);
    assert_int_equal(fh_file_write_atomic(at("t/f"), "old", 3, 0600, NULL), 0);
    fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_OPEN, FH_FAULT_WRITE, FH_FAULT_FSYNC, FH_FAULT_RENAME};
    unsigned struck = 0;
    for (size_t i = 0; i < FH_COUNT(kinds); i++) struck += fh_torture(kinds[i], write_and_check, NULL, 50);
    assert_true(struck >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_written_whole_and_read_back),
        cmocka_unit_test(a_file_beyond_the_bound_is_refused),
        cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(a_mapping_shows_the_file),
        cmocka_unit_test(the_tail_of_a_file_begins_with_a_line),
        cmocka_unit_test(a_file_that_ends_within_a_line_is_torn),
        cmocka_unit_test(names_that_would_leave_their_folder_are_refused),
        cmocka_unit_test(folders_are_made_with_parents_and_removed_with_children),
        cmocka_unit_test(a_lock_keeps_others_out_and_falls_with_its_process),
        cmocka_unit_test(a_copy_is_whole_and_a_cancelled_one_leaves_nothing),
        cmocka_unit_test(whatever_call_fails_a_file_is_old_or_new),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
