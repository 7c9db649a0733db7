/* Commands beside a loop: what they print, how they end, and what is known of those that did not. */
#include "supply/command.h"

#include "base/clock.h"
#include "sys/file.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const supply_host_config here = {.url = "", .key_file = "", .folder = "/nowhere"};

typedef struct heard {
    fh_loop *loop;
    unsigned wanted, count;
    int code, status;
    bool unsure;
    char out[256], words[600], why[900];
    size_t out_len;
} heard;

static void on_done(void *arg, const supply_result *r)
{
    heard *h = arg;
    h->code = r->code;
    h->status = r->status;
    h->unsure = r->unsure;
    h->out_len = r->out.len;
    snprintf(h->out, sizeof h->out, "%.*s", (int)FH_MIN(r->out.len, sizeof h->out - 1), r->out.ptr);
    snprintf(h->words, sizeof h->words, "%s", r->words);
    snprintf(h->why, sizeof h->why, "%s", r->why ? fh_err_message(r->why) : "");
    if (++h->count == h->wanted) fh_loop_stop(h->loop);
}

typedef struct bench {
    fh_loop *loop;
    supply_host *host;
    heard heard;
} bench;

static int setup(void **state)
{
    bench *b = fh_calloc(1, sizeof *b);
    assert_int_equal(fh_loop_new(&b->loop, NULL), 0);
    assert_int_equal(fh_supply_host_open(&b->host, b->loop, &here, NULL), 0);
    b->heard = (heard){.loop = b->loop, .wanted = 1};
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    bench *b = *state;
    fh_supply_host_close(b->host);
    fh_loop_free(b->loop);
    fh_free(b);
    return 0;
}

static int begin(bench *b, const char *script, fh_str input, int64_t timeout_ms, fh_err **err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const supply_command c = {.argv = argv, .input = input, .timeout_ms = timeout_ms, .done = on_done, .arg = &b->heard};
    return fh_supply_run(b->host, &c, err);
}

static const heard *run(bench *b, const char *script, fh_str input, int64_t timeout_ms)
{
    assert_int_equal(begin(b, script, input, timeout_ms, NULL), 0);
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    return &b->heard;
}

static void a_command_gets_its_input_and_is_heard_whole(void **state)
{
    const heard *h = run(*state, "cat; echo ' to  you' >&2", FH_STR("hello"), 60000);
    assert_int_equal(h->code, 0);
    assert_int_equal(h->status, 0);
    assert_false(h->unsure);
    assert_string_equal(h->out, "hello");
    assert_string_equal(h->words, "to you");
}

static void a_command_may_read_a_file(void **state)
{
    bench *b = *state;
    char path[] = "/tmp/fh-command-XXXXXX";
    FH_AUTO(fd) int fd = mkstemp(path);
    assert_int_equal(write(fd, "of a file", 9), 9);
    const char *const argv[] = {"cat", NULL};
    supply_command c = {.argv = argv, .input_file = path, .timeout_ms = 60000, .done = on_done, .arg = &b->heard};
    assert_int_equal(fh_supply_run(b->host, &c, NULL), 0);
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    assert_string_equal(b->heard.out, "of a file");
    unlink(path);
    assert_int_equal(fh_supply_run(b->host, &c, NULL), FH_E_IO);
}

static void what_a_command_says_of_its_failure_is_one_plain_line(void **state)
{
    const heard *h = run(*state, "printf 'no\\nsuch\\033[1m part\\377\\n' >&2; exit 3", FH_STR(""), 60000);
    assert_int_equal(h->code, FH_E_UNAVAILABLE);
    assert_int_equal(h->status, 3);
    assert_false(h->unsure);
    assert_string_equal(h->words, "no such [1m part?");
    assert_string_equal(h->why, "sh on this machine failed with status 3: no such [1m part?");
}

static void of_much_that_it_says_the_last_is_kept(void **state)
{
    const heard *h =
        run(*state, "i=0; while [ $i -lt 2000 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo the end >&2; exit 1", FH_STR(""), 60000);
    assert_int_equal(h->status, 1);
    assert_non_null(strstr(h->words, "the end"));
}

static void a_command_that_does_not_end_is_ended_with_its_children(void **state)
{
    const heard *h = run(*state, "sleep 1000 & echo $!; wait", FH_STR(""), 300);
    char path[64];
    assert_int_equal(h->code, FH_E_TIMEOUT);
    assert_int_equal(h->status, -1);
    assert_true(h->unsure);
    snprintf(path, sizeof path, "/proc/%d/cmdline", atoi(h->out));
    for (int i = 0; i < 1000; i++) {
        FH_AUTO(buf) fh_buf line = FH_BUF(100);
        if (fh_file_read(path, 100, &line, NULL) != 0 || !line.len) return;
        fh_sleep_ns(10 * FH_NS_PER_MS);
    }
    fail_msg("what it started goes on");
}

static void a_command_that_prints_without_end_is_ended(void **state)
{
    const heard *h = run(*state, "while :; do echo 0123456789012345678901234567890123456789; done", FH_STR(""), 600000);
    assert_int_equal(h->code, FH_E_TOO_LARGE);
    assert_true(h->unsure);
}

static void what_it_leaves_running_is_not_waited_for(void **state)
{
    const heard *h = run(*state, "setsid sleep 3 & echo there", FH_STR(""), 60000);
    assert_int_equal(h->code, 0);
    assert_string_equal(h->out, "there\n");
}

static void commands_run_at_once_and_no_more_than_so_many(void **state)
{
    bench *b = *state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    b->heard.wanted = FH_LIMIT_SUPPLY_COMMANDS;
    for (unsigned i = 0; i < FH_LIMIT_SUPPLY_COMMANDS; i++) assert_int_equal(begin(b, "sleep 0.2", FH_STR(""), 60000, NULL), 0);
    assert_int_equal(begin(b, "true", FH_STR(""), 60000, &err), FH_E_BUSY);
    assert_int_equal(fh_loop_run(b->loop, NULL), 0);
    assert_int_equal(b->heard.count, FH_LIMIT_SUPPLY_COMMANDS);
    assert_int_equal(begin(b, "true", FH_STR(""), 60000, NULL), 0);
}

static void who_closes_a_host_is_told_nothing_more(void **state)
{
    bench *b = *state;
    assert_int_equal(begin(b, "echo soon", FH_STR(""), 60000, NULL), 0);
    assert_int_equal(begin(b, "sleep 1000", FH_STR(""), 60000, NULL), 0);
    fh_supply_host_close(fh_take(b->host));
    assert_int_equal(b->heard.count, 0);
}

static void a_program_that_is_not_there_is_an_error_at_once(void **state)
{
    bench *b = *state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    const char *const argv[] = {"freehold-has-no-such-program", NULL};
    const supply_command c = {.argv = argv, .timeout_ms = 1000, .done = on_done, .arg = &b->heard};
    assert_int_equal(fh_supply_run(b->host, &c, &err), FH_E_UNAVAILABLE);
    assert_non_null(strstr(fh_err_message(err), "freehold-has-no-such-program"));
}

static int whole(void *arg)
{
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    supply_host *host = NULL;
    heard h = {.wanted = 1};
    int rc = fh_loop_new(&loop, NULL);
    if (!rc) rc = fh_supply_host_open(&host, loop, &here, NULL);
    h.loop = loop;
    const char *const argv[] = {"sh", "-c", "cat; exit 0", NULL};
    const supply_command c = {.argv = argv, .input = FH_STR("in"), .timeout_ms = 60000, .done = on_done, .arg = &h};
    if (!rc) rc = fh_supply_run(host, &c, NULL);
    if (!rc) rc = fh_loop_run(loop, NULL);
    if (!rc) rc = h.code ? h.code : (h.out_len == 2 ? 0 : FH_E_INTERNAL);
    fh_supply_host_close(host);
    return rc;
}

static void nothing_stays_when_a_step_fails(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, whole, NULL, 60) > 0);
    assert_true(fh_torture(FH_FAULT_SPAWN, whole, NULL, 10) > 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_command_gets_its_input_and_is_heard_whole),
        TEST(a_command_may_read_a_file),
        TEST(what_a_command_says_of_its_failure_is_one_plain_line),
        TEST(of_much_that_it_says_the_last_is_kept),
        TEST(a_command_that_does_not_end_is_ended_with_its_children),
        TEST(a_command_that_prints_without_end_is_ended),
        TEST(what_it_leaves_running_is_not_waited_for),
        TEST(commands_run_at_once_and_no_more_than_so_many),
        TEST(who_closes_a_host_is_told_nothing_more),
        TEST(a_program_that_is_not_there_is_an_error_at_once),
        cmocka_unit_test(nothing_stays_when_a_step_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
