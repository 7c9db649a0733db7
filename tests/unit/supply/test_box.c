/* What a box says is read whatever it says, what is done next follows from it, and a whole life goes by on this machine: ssh is a program
 * here that runs the command at once, the agent one that waits. */
#include "box_private.h"

#include "base/clock.h"
#include "cmocka_all.h"
#include "supply/box.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "torture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what it says ---- */

static const char seen[] =
    "arch x86_64\nsystem Linux\nlibc glibc 2.36\ndisk_kb 1000000\nmemory_kb 2000000\nprogram \npart 0\nkept_kb \nroot sudo\n"
    "held 0\nagent none\ntoken no\ntunnel down\nend look\n";

static box_facts facts_of(const char *text)
{
    box_facts f = {.tried = true};
    fh_box_facts_read(&f, BOX_LOOK, fh_str_of(text));
    return f;
}

static void what_a_box_says_is_read(void **state)
{
    box_facts f = facts_of(seen);
    assert_true(f.whole);
    assert_string_equal(f.arch, "x86_64");
    assert_string_equal(f.libc, "glibc 2.36");
    assert_string_equal(f.root, "sudo");
    assert_int_equal(f.disk_bytes, 1024000000);
    assert_int_equal(f.memory_bytes, 2048000000);
    assert_false(f.tried || f.token || f.tunnel || f.held);
    fh_box_facts_read(&f, BOX_TRY, fh_str_of("library libhwloc.so.15\nlibrary libssl.so.3\nruns no\nwords it is missing\nend try\n"));
    assert_true(f.tried && !f.runs);
    assert_string_equal(f.libraries, "libhwloc.so.15 libssl.so.3");
    assert_string_equal(f.words, "it is missing");
}

static void what_is_cut_off_odd_or_endless_is_no_harm(void **state)
{
    box_facts f = facts_of("arch x86_64\nheld 99999999999999999999999\nport 70000\nsaid a\x1b[31m b\xff\nfoo bar\n\nagent");
    assert_false(f.whole);
    assert_int_equal(f.held, 0);
    assert_int_equal(f.port, 0);
    assert_string_equal(f.said, "a?[31m b?");
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    for (int i = 0; i < 1000; i++)
        fh_buf_adds(&text, "lacks something-with-a-name\nsaid \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\n");
    f = facts_of(fh_buf_cstr(&text));
    assert_true(strlen(f.lacks) < sizeof f.lacks && strlen(f.lacks) > 150);
}

static void packages_of_libraries_are_known(void **state)
{
    char out[256], small[16];
    fh_box_packages("libhwloc.so.15 libssl.so.3 libcrypto.so.3 libunknown.so.1", out, sizeof out);
    assert_string_equal(out, "libhwloc15 libssl3");
    fh_box_packages("libhwloc.so.15 libevent-2.1.so.7", small, sizeof small);
    assert_string_equal(small, "libhwloc15");
    fh_box_packages("", out, sizeof out);
    assert_string_equal(out, "");
}

/* ---- what follows ---- */

static const char program[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const box_wish wanted = {
    .order = 7, .program = program, .program_bytes = 1000, .memory_bytes = 1000, .weights_bytes = 1000, .arch = "x86_64"};

static void assert_next(const box_wish *w, const box_facts *f, box_step step)
{
    assert_string_equal(fh_box_step_name(fh_box_next(w, f)), fh_box_step_name(step));
}

static void steps_follow_from_what_is_there(void **state)
{
    box_wish w = wanted;
    box_facts f = facts_of(seen);
    assert_next(&w, &f, BOX_LOOK);
    w.looked = true;
    assert_next(&w, &f, BOX_CLAIM);
    f.held = 7;
    assert_next(&w, &f, BOX_COPY);
    f.part_bytes = 1000;
    assert_next(&w, &f, BOX_KEEP);
    memcpy(f.program, program, sizeof program);
    assert_next(&w, &f, BOX_TRY);
    f.tried = true;
    assert_next(&w, &f, BOX_INSTALL);
    f.runs = true;
    assert_next(&w, &f, BOX_START);
    w.tunnel = true;
    assert_next(&w, &f, BOX_PORT);
    f.port = 20000;
    assert_next(&w, &f, BOX_HOLD);
    w.holds = true;
    assert_next(&w, &f, BOX_WATCH);
    f.tunnel = true;
    assert_next(&w, &f, BOX_START);
    memcpy(f.agent, "runs", 5);
    assert_next(&w, &f, BOX_WATCH);
    w.holds = false;
    f.port = 0;
    assert_next(&w, &f, BOX_PORT);
    w.ending = true;
    assert_next(&w, &f, BOX_END);
}

static void what_another_order_left_is_ended_first(void **state)
{
    box_wish w = wanted;
    box_facts f = facts_of(seen);
    w.looked = true;
    f.held = 6;
    assert_int_equal(fh_box_next(&w, &f), BOX_END_OTHER);
}

static void assert_refused(const box_wish *w, const box_facts *f, const char *text, const char *hint)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_box_check(w, f, "me@box", &err), FH_E_UNAVAILABLE);
    if (!strstr(fh_err_message(err), text) || !strstr(fh_err_hint_get(err), hint))
        fail_msg("%s [%s]", fh_err_message(err), fh_err_hint_get(err));
}

static void what_speaks_against_a_box_is_said(void **state)
{
    box_facts f = facts_of(seen), bad = f;
    assert_int_equal(fh_box_check(&wanted, &f, "me@box", NULL), 0);
    assert_int_equal(fh_box_check(&wanted, &(box_facts){.held = 0}, "me@box", NULL), 0);
    memcpy(bad.arch, "riscv64", 8);
    assert_refused(&wanted, &bad, "riscv64", "docs/POOL.md");
    bad = f;
    memcpy(bad.libc, "other", 6);
    assert_refused(&wanted, &bad, "glibc", "Debian");
    bad = f;
    memcpy(bad.lacks, "flock setsid", 13);
    assert_refused(&wanted, &bad, "flock setsid", "util-linux");
    bad = f;
    bad.disk_bytes = 1000000;
    assert_refused(&wanted, &bad, "1 MB of disk", "folder=DIR");
    bad = f;
    bad.memory_bytes = 999;
    assert_refused(&wanted, &bad, "memory", "smaller");
}

static void a_program_that_does_not_run_is_explained(void **state)
{
    box_wish w = wanted;
    box_facts f = facts_of(seen), bad;
    f.tried = true;
    bad = f;
    memcpy(bad.words, "Permission denied", 18);
    assert_refused(&w, &bad, "Permission denied", "folder=DIR");
    bad = f;
    memcpy(bad.version, "GLIBC_2.99 not found", 21);
    assert_refused(&w, &bad, "GLIBC_2.99", "Ubuntu 24.04");
    bad = f;
    memcpy(bad.libraries, "libhwloc.so.15", 15);
    assert_refused(&w, &bad, "lacks libhwloc.so.15", "libhwloc15; or here: provider add ... --set install=yes");
    w.install = true;
    assert_int_equal(fh_box_check(&w, &bad, "me@box", NULL), 0);
    bad.installed = true;
    assert_refused(&w, &bad, "lacks libhwloc.so.15", "apt-get install libhwloc15");
}

/* ---- a life ---- */

typedef struct world {
    char folder[64], home[80], data[80], key[80], program[80], path[4096];
    fh_loop *loop;
    fh_supply *supply;
    fh_json *settings;
    fh_timer *timer;
    fh_supply_view view;
    int64_t until_ns;
    fh_supply_state awaited;
    unsigned tokens;
} world;

static void write_program(const char *folder, const char *name, const char *text)
{
    char file[128];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    assert_int_equal(fh_file_write_atomic(file, text, strlen(text), 0700, NULL), 0);
}

static int make_world(void **state)
{
    world *w = calloc(1, sizeof *w);
    char ssh[256];
    *state = w;
    signal(SIGPIPE, SIG_IGN);
    snprintf(w->folder, sizeof w->folder, "/tmp/fh-box-XXXXXX");
    if (!w || !mkdtemp(w->folder)) return -1;
    snprintf(w->home, sizeof w->home, "%s/home", w->folder);
    snprintf(w->data, sizeof w->data, "%s/data", w->folder);
    snprintf(w->key, sizeof w->key, "%s/key", w->folder);
    snprintf(w->program, sizeof w->program, "%s/freehold", w->folder);
    if (fh_dir_make(w->home, 0700, NULL) || fh_file_write_atomic(w->key, "key\n", 4, 0600, NULL)) return -1;
    snprintf(ssh, sizeof ssh, "#!/bin/sh\nfor last do :; done\nHOME=%s exec sh -c \"$last\"\n", w->home);
    write_program(w->folder, "ssh", ssh);
    write_program(w->folder, "freehold",
                  "#!/bin/sh\n[ $1 = version ] && exit 0\n[ -s \"$7\" ] || exit 1\n"
                  "echo \"$5 is in the pool of $3\"\ntrap exit TERM\nwhile :; do sleep 0.1; done\n");
    snprintf(w->path, sizeof w->path, "%s", getenv("PATH"));
    FH_AUTO(ptr) char *path = fh_asprintf("%s:%s", w->folder, w->path);
    setenv("PATH", path, 1);
    w->settings = fh_json_new_object();
    return fh_loop_new(&w->loop, NULL);
}

static int free_world(void **state)
{
    world *w = *state;
    if (w->supply) w->supply->close(w->supply->ctx);
    fh_timer_free(w->timer);
    fh_loop_free(w->loop);
    fh_json_unref(w->settings);
    setenv("PATH", w->path, 1);
    (void)fh_dir_remove(w->folder, NULL);
    free(w);
    return 0;
}

static int make_token(void *arg, char *out, size_t out_size, fh_err **err)
{
    ((world *)arg)->tokens++;
    snprintf(out, out_size, "a-token");
    return 0;
}

static int open_supply(world *w, fh_err **err)
{
    fh_supply_config c = {.name = "provider/box",
                          .url = "ssh://me@box",
                          .key_file = w->key,
                          .settings = w->settings,
                          .store_url = "",
                          .data_dir = w->data,
                          .program = w->program,
                          .door = {.url = "https://pool.example.org:8471", .token = make_token, .arg = w}};
    return fh_supply_box_open(&w->supply, w->loop, &c, err);
}

static void set(world *w, const char *key, const char *value)
{
    fh_json_set(w->settings, key, fh_json_new_cstr(value));
}

static fh_supply_want want(int64_t order)
{
    return (fh_supply_want){
        .order = order, .node = "box-1", .model = "a model", .engine = "freehold", .bytes = 1000, .weights_bytes = 1000};
}

static int64_t awaited_order = 7;

static void poll_view(void *arg)
{
    world *w = arg;
    w->supply->look(w->supply->ctx, awaited_order, &w->view);
    if (w->view.state == w->awaited || fh_clock_mono_ns() > w->until_ns)
        fh_loop_stop(w->loop);
    else
        fh_timer_start(w->timer, 20 * FH_NS_PER_MS);
}

static void await(world *w, fh_supply_state s)
{
    w->awaited = s;
    w->until_ns = fh_clock_mono_ns() + 120 * FH_NS_PER_S;
    if (!w->timer) assert_int_equal(fh_timer_new(&w->timer, w->loop, poll_view, w, NULL), 0);
    fh_timer_start(w->timer, 0);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    if (w->view.state != s) fail_msg("state %d: %s", w->view.state, w->view.says);
}

static size_t left_in(const char *folder)
{
    size_t n = 0;
    char command[128];
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    snprintf(command, sizeof command, "ls -A %s", folder);
    const char *const argv[] = {"/bin/sh", "-c", command, NULL}, *const env[] = {"PATH=/usr/bin:/bin", NULL};
    assert_int_equal(fh_command_read(argv, env, 60 * FH_NS_PER_S, &out, NULL), 0);
    for (size_t i = 0; i < out.len; i++) n += out.data[i] == '\n';
    return n;
}

static void order(world *w)
{
    fh_supply_want o = want(7);
    assert_int_equal(w->supply->check(w->supply->ctx, &o, NULL), 0);
    assert_int_equal(w->supply->order(w->supply->ctx, &o, NULL), 0);
    assert_int_equal(w->supply->order(w->supply->ctx, &o, NULL), 0);
}

static void a_box_is_held_and_given_back_clean(void **state)
{
    world *w = *state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_supply_want second = want(8);
    assert_int_equal(open_supply(w, NULL), 0);
    order(w);
    await(w, FH_SUPPLY_HELD);
    assert_non_null(strstr(w->view.says, "box-1 is in the pool of https://pool.example.org:8471"));
    assert_int_equal(w->supply->check(w->supply->ctx, &second, &err), FH_E_BUSY);
    assert_int_equal(w->supply->order(w->supply->ctx, &second, NULL), FH_E_BUSY);
    assert_int_equal(left_in(w->home), 1);
    w->supply->release(w->supply->ctx, 7, "it was stopped");
    await(w, FH_SUPPLY_OVER);
    assert_string_equal(w->view.says, "it was stopped");
    assert_int_equal(left_in(w->home), 0);
    w->supply->forget(w->supply->ctx, 7);
    assert_int_equal(w->tokens, 1);
}

static void a_box_that_is_being_cleaned_is_waited_for(void **state)
{
    world *w = *state;
    fh_supply_want o = want(6), third = want(8);
    assert_int_equal(open_supply(w, NULL), 0);
    assert_int_equal(w->supply->order(w->supply->ctx, &o, NULL), 0);
    awaited_order = 6;
    await(w, FH_SUPPLY_HELD);
    w->supply->release(w->supply->ctx, 6, "it was stopped");
    awaited_order = 7;
    order(w);
    w->supply->look(w->supply->ctx, 7, &w->view);
    assert_non_null(strstr(w->view.says, "is being cleaned"));
    assert_int_equal(w->supply->order(w->supply->ctx, &third, NULL), FH_E_BUSY);
    await(w, FH_SUPPLY_HELD);
    assert_int_equal(w->tokens, 2);
    w->supply->look(w->supply->ctx, 6, &w->view);
    assert_int_equal(w->view.state, FH_SUPPLY_OVER);
    w->supply->release(w->supply->ctx, 7, "it was stopped");
    await(w, FH_SUPPLY_OVER);
    assert_int_equal(left_in(w->home), 0);
}

/* As after kill -9: nothing is known but what stands in the data folder and on the box. */
static void who_comes_back_finds_what_runs(void **state)
{
    world *w = *state;
    assert_int_equal(open_supply(w, NULL), 0);
    order(w);
    await(w, FH_SUPPLY_HELD);
    w->supply->close(w->supply->ctx);
    assert_int_equal(open_supply(w, NULL), 0);
    order(w);
    await(w, FH_SUPPLY_HELD);
    assert_int_equal(w->tokens, 1);
    w->supply->close(w->supply->ctx);
    assert_int_equal(open_supply(w, NULL), 0);
    await(w, FH_SUPPLY_WAITING);
    w->supply->release(w->supply->ctx, 7, "it was stopped");
    await(w, FH_SUPPLY_OVER);
    assert_int_equal(left_in(w->home), 0);
}

static void what_nobody_asks_for_any_more_gives_way(void **state)
{
    world *w = *state;
    fh_supply_want o = want(6);
    assert_int_equal(open_supply(w, NULL), 0);
    assert_int_equal(w->supply->order(w->supply->ctx, &o, NULL), 0);
    awaited_order = 6;
    await(w, FH_SUPPLY_HELD);
    w->supply->close(w->supply->ctx);
    assert_int_equal(open_supply(w, NULL), 0);
    awaited_order = 7;
    order(w);
    await(w, FH_SUPPLY_HELD);
    assert_int_equal(left_in(w->home), 1);
    assert_int_equal(w->tokens, 2);
    w->supply->release(w->supply->ctx, 7, "it was stopped");
    await(w, FH_SUPPLY_OVER);
    assert_int_equal(left_in(w->home), 0);
}

static void an_agent_that_ends_at_once_is_told_of(void **state)
{
    world *w = *state;
    assert_int_equal(open_supply(w, NULL), 0);
    write_program(w->folder, "freehold", "#!/bin/sh\n[ $1 = version ] || { echo it will not; exit 1; }\n");
    order(w);
    await(w, FH_SUPPLY_OVER);
    assert_non_null(strstr(w->view.says, "it will not"));
    assert_int_equal(left_in(w->home), 0);
}

static void a_program_that_arrives_broken_is_given_up(void **state)
{
    world *w = *state;
    write_program(w->folder, "sha256sum", "#!/bin/sh\necho 0000 -\n");
    assert_int_equal(open_supply(w, NULL), 0);
    order(w);
    await(w, FH_SUPPLY_OVER);
    assert_non_null(strstr(w->view.says, "is not what was sent"));
    assert_int_equal(left_in(w->home), 0);
}

static void settings_that_are_none_are_named(void **state)
{
    static const char *const bad[][2] = {{"tunnel", "maybe"}, {"folder", "data"}, {"folder", "/with blank"}, {"colour", "red"}};
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        fh_json_unref(w->settings);
        w->settings = fh_json_new_object();
        set(w, bad[i][0], bad[i][1]);
        assert_int_equal(open_supply(w, &err), FH_E_INVALID);
        assert_non_null(strstr(fh_err_param_get(err), bad[i][0]));
    }
}

static int open_and_order(void *arg)
{
    world *w = arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_supply_want o = want(7);
    int rc = open_supply(w, &err);
    if (rc) return rc;
    rc = w->supply->order(w->supply->ctx, &o, &err);
    w->supply->close(w->supply->ctx);
    w->supply = NULL;
    return rc;
}

static void whatever_fails_while_it_is_opened_leaves_nothing(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, open_and_order, *state, 400) > 10);
    assert_true(fh_torture(FH_FAULT_OPEN, open_and_order, *state, 100) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_box_says_is_read),
        cmocka_unit_test(what_is_cut_off_odd_or_endless_is_no_harm),
        cmocka_unit_test(packages_of_libraries_are_known),
        cmocka_unit_test(steps_follow_from_what_is_there),
        cmocka_unit_test(what_another_order_left_is_ended_first),
        cmocka_unit_test(what_speaks_against_a_box_is_said),
        cmocka_unit_test(a_program_that_does_not_run_is_explained),
        cmocka_unit_test_setup_teardown(a_box_is_held_and_given_back_clean, make_world, free_world),
        cmocka_unit_test_setup_teardown(a_box_that_is_being_cleaned_is_waited_for, make_world, free_world),
        cmocka_unit_test_setup_teardown(who_comes_back_finds_what_runs, make_world, free_world),
        cmocka_unit_test_setup_teardown(what_nobody_asks_for_any_more_gives_way, make_world, free_world),
        cmocka_unit_test_setup_teardown(an_agent_that_ends_at_once_is_told_of, make_world, free_world),
        cmocka_unit_test_setup_teardown(a_program_that_arrives_broken_is_given_up, make_world, free_world),
        cmocka_unit_test_setup_teardown(settings_that_are_none_are_named, make_world, free_world),
        cmocka_unit_test_setup_teardown(whatever_fails_while_it_is_opened_leaves_nothing, make_world, free_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
