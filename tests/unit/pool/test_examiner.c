/* Measuring a machine over a real link, whose other end does what it is asked, is not lent, has something else to do, or cheats. */
#include "examined.h"
#include "examiner.h"

#include "base/clock.h"
#include "base/limits.h"
#include "cmocka_all.h"
#include "memory_work.h"
#include "pool/ca.h"
#include "run_until.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { FREE_BYTES = 16 * 2 * POOL_CHUNK_BYTES }; /* so that the array has two chunks */

typedef enum cheat { NONE, WRONG_DIGESTS, WRONG_KEY, SHORT } cheat;

static char folder[64], authority[96];
static fh_loop *loop;
static fh_timer *deadline;
static fh_pool_ca *ca;
static fh_link_listener *listener;
static fh_link_dial *dial;
static pool_examiner *examiner;
static pool_exam *exam;
static pool_examined *examined;
static fh_json *facts;
static cheat cheats;
static bool lent;
static fh_node_measured known, seen;
static unsigned told, readings;
static int64_t first_passes, last_passes;
static fh_link *server_link;

static void too_late(void *arg)
{
    fail_msg("it takes too long: told %u", told);
}

static void on_measured(void *arg, int64_t node, const fh_node_measured *m)
{
    assert_int_equal(node, 5);
    seen = *m;
    told++;
}

static bool is_lent(void *arg)
{
    return lent;
}

static void on_up(void *arg, fh_link *l)
{
    server_link = l;
    exam = pool_exam_begin(examiner, l, 5, facts, &known);
    assert_non_null(exam);
}

static void on_gone(void *arg, fh_link *l, const fh_err *why)
{
    pool_exam_end(fh_take(exam));
}

static void on_head(void *arg, fh_link_req *r)
{
    if (pool_examined_is(r)) pool_examined_head(r);
}

static int64_t passes_of(const fh_link_req *r)
{
    FH_AUTO(json) fh_json *o = NULL;
    assert_int_equal(fh_json_parse(&o, fh_link_req_body(r), 1024, NULL), 0);
    return fh_json_int(fh_json_get(o, "passes"), 0);
}

/* The numbers of digests that it was asked for, without the work. */
static void lie(fh_link_req *r)
{
    FH_AUTO(json) fh_json *o = NULL;
    static uint64_t digests[2 * FH_LIMIT_MEASURE_PASSES];
    char text[24];
    assert_int_equal(fh_json_parse(&o, fh_link_req_body(r), 1024, NULL), 0);
    size_t count = 2 * (size_t)passes_of(r);
    uint64_t key = (uint64_t)fh_json_int(fh_json_get(o, "key"), 0);
    for (size_t i = 0; i < count; i += 2) key = pool_next_key(key, digests + i, 2);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(cheats == WRONG_KEY ? key + 1 : key));
    fh_link_reply_header(r, "x-last-key", text);
    fh_link_reply(r, 200, "application/octet-stream", digests, (cheats == SHORT ? 1 : count) * sizeof *digests);
}

static void on_request(void *arg, fh_link_req *r)
{
    bool reads = fh_str_eqs(fh_link_req_path(r), "/v1/measure/memory") && fh_str_eqs(fh_link_req_method(r), "POST");
    if (reads) last_passes = passes_of(r);
    if (reads && !readings++) first_passes = last_passes;
    if (reads && cheats != NONE)
        lie(r);
    else
        pool_examined_answer(examined, r);
}

static void on_tunnel(void *arg, fh_link_req *r)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fh_link_join(r, ends[0]); /* the other end stays open while the program runs */
}

static int64_t now(void)
{
    return fh_clock_utc_ns();
}

static int fresh(void **state)
{
    fh_err *err = NULL;
    cheats = NONE;
    lent = true;
    told = readings = 0;
    known = seen = (fh_node_measured){.at_utc_ns = 0};
    strcpy(folder, "/tmp/fh-exam-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(authority, sizeof authority, "%s/authority.pem", folder);
    facts = fh_json_new_object();
    fh_json_set(facts, "memory_free_bytes", fh_json_new_int(FREE_BYTES));
    fh_json_set(facts, "memory_read_bytes_per_s", fh_json_new_int(40000000));
    int rc = fh_pool_ca_open(&ca, authority, fh_clock_utc_ns(), NULL, &err);
    if (!rc) rc = fh_loop_new(&loop, &err);
    if (!rc) rc = fh_timer_new(&deadline, loop, too_late, NULL, &err);
    if (!rc) rc = pool_examiner_new(&examiner, loop, now, on_measured, NULL, &err);
    if (!rc) rc = pool_examined_new(&examined, loop, is_lent, NULL, &err);
    if (rc) fail_msg("%s", fh_err_message(err));
    return rc;
}

static int clean(void **state)
{
    fh_link_dial_free(fh_take(dial));
    fh_link_listener_free(fh_take(listener));
    pool_examined_free(fh_take(examined));
    pool_examiner_free(fh_take(examiner));
    fh_timer_free(deadline);
    fh_loop_free(fh_take(loop));
    fh_pool_ca_close(fh_take(ca));
    fh_json_unref(fh_take(facts));
    return fh_dir_remove(folder, NULL);
}

static void connect_both(void)
{
    fh_link_listen_config l = {.address = "127.0.0.1:0", .cert_file = authority, .key_file = authority, .on_up = on_up, .on_gone = on_gone};
    assert_int_equal(fh_link_listen(&listener, loop, &l, NULL), 0);
    fh_link_dial_config d = {.host = "127.0.0.1",
                             .port = fh_link_listener_port(listener),
                             .pins = fh_pool_ca_fingerprint(ca),
                             .pin_count = 1,
                             .on_head = on_head,
                             .on_request = on_request,
                             .on_tunnel = on_tunnel};
    assert_int_equal(fh_link_dial_new(&dial, loop, &d, NULL), 0);
}

static bool link_is_known(void)
{
    return told == 1;
}

static bool all_is_known(void)
{
    return told == 2;
}

static bool more_is_known(void)
{
    return told == 3;
}

static int64_t waits_until_ns;
static bool has_waited(void)
{
    return fh_clock_mono_ns() > waits_until_ns;
}

static void await_nothing(void)
{
    waits_until_ns = fh_clock_mono_ns() + 3 * FH_LIMIT_MEASURE_SETTLE_MS * FH_NS_PER_MS;
    run_until(loop, deadline, has_waited);
}

static void a_machine_that_has_come_is_measured(void **state)
{
    connect_both();
    run_until(loop, deadline, all_is_known);
    assert_true(seen.round_trip_us > 0 && seen.to_bytes_s > 0 && seen.from_bytes_s > 0 && seen.memory_bytes_s > 0);
    assert_false(seen.wrong);
    assert_true(seen.at_utc_ns > 0 && seen.claimed_bytes_s == 40000000);
}

static void what_it_claims_makes_no_more_work(void **state)
{
    fh_json_set(facts, "memory_read_bytes_per_s", fh_json_new_int(INT64_MAX));
    connect_both();
    run_until(loop, deadline, all_is_known);
    assert_int_equal(first_passes, 4);
    assert_true(seen.memory_bytes_s > 0 && seen.claimed_bytes_s == INT64_MAX);
}

static void one_that_is_fast_is_measured_by_more(void **state)
{
    connect_both();
    run_until(loop, deadline, more_is_known);
    assert_int_equal(readings, 2);
    assert_true(first_passes == 4 && last_passes > 4);
    assert_true(seen.memory_bytes_s > 0 && !seen.wrong);
}

static void one_that_was_measured_a_moment_ago_is_not_measured_again(void **state)
{
    known = (fh_node_measured){.at_utc_ns = now(), .memory_bytes_s = 3, .claimed_bytes_s = 40000000};
    connect_both();
    await_nothing();
    assert_int_equal(told, 0);
}

static void one_that_says_something_else_than_then_is_measured_again(void **state)
{
    known = (fh_node_measured){.at_utc_ns = now(), .memory_bytes_s = 3, .claimed_bytes_s = 10000000};
    connect_both();
    run_until(loop, deadline, all_is_known);
    assert_true(seen.memory_bytes_s > 3);
}

static void of_one_that_is_not_lent_the_link_is_measured_alone(void **state)
{
    lent = false;
    connect_both();
    run_until(loop, deadline, link_is_known);
    await_nothing();
    assert_int_equal(told, 1);
    assert_true(seen.to_bytes_s > 0 && seen.memory_bytes_s == 0 && !seen.wrong);
}

static void open_tunnels(void)
{
    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        assert_int_equal(fh_link_tunnel(server_link, "engine:1", ends[0], NULL, NULL, NULL), 0);
    }
}

static bool is_up(void)
{
    return exam != NULL;
}

static void one_that_has_something_to_do_is_left_alone(void **state)
{
    connect_both();
    run_until(loop, deadline, is_up);
    open_tunnels();
    await_nothing();
    assert_int_equal(told, 0);
}

static void it_cheats(cheat how)
{
    cheats = how;
    connect_both();
    run_until(loop, deadline, all_is_known);
    assert_true(seen.wrong);
    assert_true(seen.memory_bytes_s == 0 && seen.to_bytes_s > 0);
    assert_true(fh_node_measured_memory(&seen, 1000) == 0);
}

static void digests_of_work_that_was_not_done_are_found_out(void **state)
{
    it_cheats(WRONG_DIGESTS);
}

static void a_head_that_names_other_digests_is_found_out(void **state)
{
    it_cheats(WRONG_KEY);
}

static void digests_that_are_missing_are_found_out(void **state)
{
    it_cheats(SHORT);
}

static void one_that_goes_while_it_works_is_measured_no_more(void **state)
{
    connect_both();
    run_until(loop, deadline, link_is_known); /* and its work has begun */
    fh_link_dial_free(fh_take(dial));
    await_nothing();
    assert_int_equal(told, 1);
}

static void what_was_measured_counts_more_than_what_is_claimed(void **state)
{
    fh_node_measured m = {.memory_bytes_s = 10};
    assert_int_equal(fh_node_measured_memory(&m, 40), 10);
    m.memory_bytes_s = 0;
    assert_int_equal(fh_node_measured_memory(&m, 40), 40);
}

static void what_was_measured_is_kept_as_it_was(void **state)
{
    fh_node_measured m = {1, 2, 3, 4, 5, 6, true}, back;
    FH_AUTO(json) fh_json *doc = fh_node_measured_json(&m), *bad = fh_json_new_object();
    assert_int_equal(fh_node_measured_read(&back, doc, NULL), 0);
    assert_true(back.at_utc_ns == 1 && back.round_trip_us == 2 && back.to_bytes_s == 3 && back.from_bytes_s == 4);
    assert_true(back.memory_bytes_s == 5 && back.claimed_bytes_s == 6 && back.wrong);
    fh_json_set(bad, "round_trip_us", fh_json_new_int(-1));
    assert_int_equal(fh_node_measured_read(&back, bad, NULL), FH_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_that_has_come_is_measured, fresh, clean),
        cmocka_unit_test_setup_teardown(one_that_is_fast_is_measured_by_more, fresh, clean),
        cmocka_unit_test_setup_teardown(what_it_claims_makes_no_more_work, fresh, clean),
        cmocka_unit_test_setup_teardown(one_that_was_measured_a_moment_ago_is_not_measured_again, fresh, clean),
        cmocka_unit_test_setup_teardown(one_that_says_something_else_than_then_is_measured_again, fresh, clean),
        cmocka_unit_test_setup_teardown(of_one_that_is_not_lent_the_link_is_measured_alone, fresh, clean),
        cmocka_unit_test_setup_teardown(one_that_has_something_to_do_is_left_alone, fresh, clean),
        cmocka_unit_test_setup_teardown(digests_of_work_that_was_not_done_are_found_out, fresh, clean),
        cmocka_unit_test_setup_teardown(a_head_that_names_other_digests_is_found_out, fresh, clean),
        cmocka_unit_test_setup_teardown(digests_that_are_missing_are_found_out, fresh, clean),
        cmocka_unit_test_setup_teardown(one_that_goes_while_it_works_is_measured_no_more, fresh, clean),
        cmocka_unit_test(what_was_measured_counts_more_than_what_is_claimed),
        cmocka_unit_test(what_was_measured_is_kept_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
