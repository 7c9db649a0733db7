/* Small programs of the system, run to their end within a deadline. */
#include "sys/sandbox.h"

#include "base/clock.h"
#include "torture.h"

#include <string.h>

static const char *const env[] = {"LC_ALL=C", NULL};

static int run_shell(const char *script, int64_t timeout_ns, fh_buf *out, fh_err **err)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    return out ? fh_command_read(argv, env, timeout_ns, out, err) : fh_command_run(argv, env, timeout_ns, err);
}

static void what_a_program_prints_is_read_whole(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    assert_int_equal(
        run_shell("i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i+1)); done; echo >&2 no", 60 * FH_NS_PER_S, &out, NULL), 0);
    assert_int_equal(out.len, 9000 * 11);
    assert_null(strstr(out.data, "no"));
}

static void a_program_that_fails_says_so_by_its_status(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64);
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(run_shell("echo half; exit 7", 60 * FH_NS_PER_S, &out, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_message(err), "status 7"));
    assert_int_equal(run_shell("exit 7", 60 * FH_NS_PER_S, NULL, &err), FH_E_UNAVAILABLE);
    const char *const absent[] = {"/nowhere/program", NULL};
    assert_int_equal(fh_command_read(absent, env, FH_NS_PER_S, &out, &err), FH_E_UNAVAILABLE);
}

static void a_program_that_does_not_end_is_ended(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64);
    assert_int_equal(run_shell("echo begun; exec sleep 1000", 100 * FH_NS_PER_MS, &out, NULL), FH_E_TIMEOUT);
    assert_int_equal(run_shell("exec sleep 1000", 100 * FH_NS_PER_MS, NULL, NULL), FH_E_TIMEOUT);
}

static void more_than_there_is_room_for_is_refused(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64);
    int rc = run_shell("while :; do echo 0123456789; done", 60 * FH_NS_PER_S, &out, NULL);
    assert_int_equal(rc, FH_E_TOO_LARGE);
}

static int echo(void *arg)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64);
    FH_AUTO(fh_err) fh_err *err = NULL;
    return run_shell("echo hi", 60 * FH_NS_PER_S, &out, &err);
}

static void a_program_that_cannot_be_started_is_an_error(void **state)
{
    assert_true(fh_torture(FH_FAULT_SPAWN, echo, NULL, 10) > 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, echo, NULL, 10) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_program_prints_is_read_whole),          cmocka_unit_test(a_program_that_fails_says_so_by_its_status),
        cmocka_unit_test(a_program_that_does_not_end_is_ended),         cmocka_unit_test(more_than_there_is_room_for_is_refused),
        cmocka_unit_test(a_program_that_cannot_be_started_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
