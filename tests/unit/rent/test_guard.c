/* The cost guard's judgement: what is not surely of its own server is never ended, and what is goes when its time has come. */
#include "cmocka_all.h"
#include "db/schema.h"
#include "rent/guard.h"
#include "rent/guard_told.h"
#include "rent_private.h"
#include "torture.h"

#include <stdio.h>

#define S      FH_NS_PER_S
#define T0     (1800000000 * S)
#define OURS   "freehold:00000000000000a1:00000000000000e1."
#define FORMER "freehold:00000000000000a1:00000000000000e0."
#define OTHERS "freehold:00000000000000b1:00000000000000e1."

static const fh_guard_rules rules = {.silence_ns = 900 * S, .grace_ns = 120 * S, .lag_ns = 60 * S};
static fh_guard_memory m;
static char why[FH_GUARD_WHY];

static int hear(const char *text, int64_t at)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(text), 4096, NULL), 0);
    return fh_guard_heard(&m, doc, at, &err);
}

#define TOLD(epochs, machines) "{\"installation\":\"00000000000000a1\",\"epochs\":[" epochs "],\"machines\":[" machines "]}"
#define OWN                    "\"00000000000000e1\""

static int fresh(void **state)
{
    (void)state;
    m = (fh_guard_memory){.held_count = 0};
    return 0;
}

static fh_guard_verdict judge(const char *tag, int64_t at)
{
    fh_rent_machine x = {.id = "4003", .status = FH_RENT_RUNNING};
    snprintf(x.tag, sizeof x.tag, "%s", tag);
    return fh_guard_judge(&m, &x, &rules, at, why);
}

static void unheard(int64_t from, int64_t to)
{
    for (int64_t t = from; t <= to; t += 60 * S) fh_guard_unheard(&m, t, rules.silence_ns);
}

static void a_server_that_was_never_heard_has_no_machines(void **state)
{
    (void)state;
    unheard(T0, T0 + 86400 * S);
    assert_int_equal(judge(OURS "1", T0 + 86400 * S), FH_GUARD_FOREIGN);
}

static void a_machine_is_ended_behind_its_limit_and_not_before(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"machine\":null,\"left_s\":100}"), T0), 0);
    assert_int_equal(judge(OURS "1", T0), FH_GUARD_KEEP);
    assert_string_equal(why, "its limit is reached in 100 s");
    assert_int_equal(judge(OURS "1", T0 + 219 * S), FH_GUARD_KEEP); /* its server ends it itself */
    assert_int_equal(judge(OURS "1", T0 + 220 * S), FH_GUARD_END);
    assert_int_equal(judge(OURS "2", T0 + 220 * S), FH_GUARD_KEEP); /* the server looks after it: nothing was told of it */
}

static void all_of_a_server_that_is_not_heard_are_ended(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":100000}"), T0), 0);
    unheard(T0 + 60 * S, T0 + 900 * S);
    assert_int_equal(judge(OURS "1", T0 + 959 * S), FH_GUARD_KEEP);
    assert_int_equal(judge(OURS "1", T0 + 960 * S), FH_GUARD_END);
    assert_string_equal(why, "its server was not heard for 900 s");
    assert_int_equal(judge(OURS "2", T0 + 960 * S), FH_GUARD_END); /* rented after it was heard last */
    assert_int_equal(hear(TOLD(OWN, ""), T0 + 960 * S), 0);
    assert_int_equal(judge(OURS "1", T0 + 960 * S), FH_GUARD_KEEP);
}

static void machines_of_others_are_never_ended(void **state)
{
    static const char *const tags[] = {OTHERS "1",  "training", "", "freehold:00000000000000a1:00000000000000e1.01",
                                       "freehold:", FORMER "1"};
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":-5}"), T0), 0);
    unheard(T0 + 60 * S, T0 + 86400 * S);
    for (size_t i = 0; i < FH_COUNT(tags); i++) assert_int_equal(judge(tags[i], T0 + 86400 * S), FH_GUARD_FOREIGN);
    fh_rent_machine gone = {.id = "1", .tag = OURS "1", .status = FH_RENT_ENDED};
    assert_int_equal(fh_guard_judge(&m, &gone, &rules, T0 + 86400 * S, why), FH_GUARD_FOREIGN);
}

static void a_former_epochs_machines_end_at_their_limit_alone(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD("\"00000000000000e0\"", "{\"tag\":\"" FORMER "1\",\"left_s\":5000}"), T0), 0);
    assert_int_equal(hear(TOLD(OWN, ""), T0 + 60 * S), 0); /* a copy of the database answers in its place */
    unheard(T0 + 120 * S, T0 + 3600 * S);
    assert_int_equal(judge(FORMER "1", T0 + 3600 * S), FH_GUARD_KEEP);
    assert_int_equal(judge(FORMER "2", T0 + 3600 * S), FH_GUARD_FOREIGN);
    assert_int_equal(judge(FORMER "1", T0 + 5120 * S), FH_GUARD_END);
    assert_int_equal(hear(TOLD("\"00000000000000e0\"," OWN, ""), T0 + 5120 * S), 0); /* it goes on, and is done with that machine */
    assert_int_equal(judge(FORMER "1", T0 + 5120 * S), FH_GUARD_KEEP);
}

static void a_guard_that_slept_says_nothing_of_the_time_between(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD(OWN, ""), T0), 0);
    fh_guard_unheard(&m, T0 + 60 * S, rules.silence_ns);
    fh_guard_unheard(&m, T0 + 40000 * S, rules.silence_ns); /* the network is not up again yet */
    assert_int_equal(judge(OURS "1", T0 + 40000 * S), FH_GUARD_KEEP);
    fh_guard_unheard(&m, T0 + 100 * S, rules.silence_ns); /* the clock was set back */
    assert_int_equal(judge(OURS "1", T0 + 999 * S), FH_GUARD_KEEP);
    unheard(T0 + 160 * S, T0 + 1000 * S);
    assert_int_equal(judge(OURS "1", T0 + 1000 * S), FH_GUARD_END);
}

static void a_server_that_refuses_is_there(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":100}"), T0), 0);
    unheard(T0 + 60 * S, T0 + 840 * S);
    fh_guard_alive(&m, T0 + 900 * S);
    assert_int_equal(judge(OURS "2", T0 + 960 * S), FH_GUARD_KEEP);
    assert_int_equal(judge(OURS "1", T0 + 960 * S), FH_GUARD_END); /* its limit was told before */
}

static void what_was_ended_is_not_ended_again_while_lists_may_show_it(void **state)
{
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":-500}"), T0), 0);
    fh_guard_note_ended(&m, "4003", T0);
    assert_int_equal(judge(OURS "1", T0 + 59 * S), FH_GUARD_KEEP);
    assert_int_equal(judge(OURS "1", T0 + 60 * S), FH_GUARD_END); /* it was said that it had ended */
    for (int i = 0; i < 2 * FH_LIMIT_GUARD_MACHINES; i++) {
        char id[24];
        snprintf(id, sizeof id, "%d", i);
        fh_guard_note_ended(&m, id, T0 + 60 * S);
    }
    assert_int_equal(m.ended_count, FH_LIMIT_GUARD_MACHINES);
    fh_guard_note_ended(&m, "last", T0 + 2 * 86400 * S);
    assert_int_equal(m.ended_count, 1);
}

static void what_is_no_answer_changes_nothing(void **state)
{
    static const char *const bad[] = {"{}",
                                      TOLD("\"x\"", ""),
                                      "{\"installation\":\"00000000000000a1\",\"epochs\":[]}",
                                      TOLD(OWN, "{\"tag\":\"" OTHERS "1\",\"left_s\":-1}"), /* of another installation */
                                      TOLD(OWN, "{\"tag\":\"training\",\"left_s\":-1}"),
                                      TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":\"1\"}"),
                                      TOLD(OWN, "7")};
    (void)state;
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":1000}"), T0), 0);
    fh_guard_memory before = m;
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(hear(bad[i], T0 + 60 * S), FH_E_UPSTREAM);
    assert_int_equal(hear("{\"installation\":\"00000000000000b1\",\"epochs\":[],\"machines\":[]}", T0 + 60 * S), FH_E_CONFLICT);
    assert_memory_equal(&before, &m, sizeof m);
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":9223372036854775807}"), T0), 0);
    assert_int_equal(judge(OURS "1", T0 + 86400 * S), FH_GUARD_KEEP);
}

static void what_is_remembered_is_read_again(void **state)
{
    static const char *const bad[] = {
        "{}", "{\"installation\":\"\",\"epochs\":[],\"machines\":[],\"ended\":[]}",
        "{\"installation\":\"zz\",\"epochs\":[],\"machines\":[],\"ended\":[],\"heard_utc_ns\":0,\"asked_utc_ns\":0,\"silent_utc_ns\":0}"};
    FH_AUTO(json) fh_json *doc = NULL, *empty = NULL;
    (void)state;
    empty = fh_guard_memory_json(&m);
    assert_int_equal(hear(TOLD(OWN, "{\"tag\":\"" OURS "1\",\"left_s\":1000}"), T0), 0);
    fh_guard_note_ended(&m, "4003", T0);
    fh_guard_unheard(&m, T0 + 60 * S, rules.silence_ns);
    fh_guard_memory again = {.held_count = 0}, nothing = {.held_count = 0}, zero = {.held_count = 0};
    doc = fh_guard_memory_json(&m);
    assert_int_equal(fh_guard_memory_read(doc, &again, NULL), 0);
    assert_memory_equal(&again, &m, sizeof m);
    assert_int_equal(fh_guard_memory_read(empty, &nothing, NULL), 0);
    assert_memory_equal(&nothing, &zero, sizeof zero);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(json) fh_json *wrong = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_json_parse(&wrong, fh_str_of(bad[i]), 4096, NULL), 0);
        assert_int_equal(fh_guard_memory_read(wrong, &again, &err), FH_E_CORRUPT);
    }
    assert_memory_equal(&again, &m, sizeof m);
}

/* ---- what a server tells ---- */

static fh_guard_told told[4];
static size_t told_count;

static void note(void *arg, const fh_guard_told *t)
{
    (void)arg;
    told[told_count++] = *t;
}

#define ACT                                                                                                                                \
    "INSERT INTO rent_acts(id, provider, rental, epoch, phase, offer, machine, address, reason, hour_micro, asked_utc_ns, held_utc_ns, "   \
    "started_utc_ns, running_utc_ns, alive_utc_ns, gone_utc_ns, charged_micro) VALUES(?1, 'p', ?2, ?3, ?4, 'o', ?5, '', '', 3600000, ?6, " \
    "0, 0, 0, 0, ?7, -1)"

static void add_rental(fh_db *db, const char *provider, int64_t limit_s, int64_t limit_micro, const char *epoch)
{
    fh_rental_row r = {.wanted = true, .want = {.limit_s = limit_s, .limit_micro = limit_micro, .image = (char *)"i", .run = (char *)"r"}};
    snprintf(r.epoch, sizeof r.epoch, "%s", epoch);
    assert_int_equal(fh_rent_store_rental(db, provider, &r, NULL), 0);
}

static void tell(void)
{
    FH_AUTO(fh_db) fh_db *db = NULL;
    const uint64_t fresh_ids[2] = {0xa1, 0xe1};
    fh_rent_identity id;
    FH_AUTO(fh_err) fh_err *none = NULL;
    told_count = 0;
    assert_int_equal(fh_db_open(&db, "sqlite::memory:", NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    assert_int_equal(fh_guard_each(db, "p", T0, note, NULL, &none), FH_E_NOT_FOUND);
    assert_int_equal(fh_rent_identity_open(db, "here", NULL, fresh_ids, 1, &id, NULL), 0);
    add_rental(db, "p", 1000, 100000000, id.epoch);
    add_rental(db, "p", 100000, 2000000, id.epoch);
    add_rental(db, "p", 1000, 1000000, "00000000000000e0"); /* of a database that this is a copy of */
    add_rental(db, "q", 1000, 1000000, id.epoch);
    assert_int_equal(fh_db_exec(db, NULL, ACT, "iisssii", (int64_t)1, (int64_t)1, id.epoch, "over", "m1", T0 - 500 * S, T0 - 400 * S), 0);
    assert_int_equal(fh_db_exec(db, NULL, ACT, "iisssii", (int64_t)2, (int64_t)1, id.epoch, "held", "m2", T0 - 300 * S, (int64_t)0), 0);
    assert_int_equal(fh_db_exec(db, NULL, ACT, "iisssii", (int64_t)3, (int64_t)2, id.epoch, "begun", "", T0 - 1500 * S, (int64_t)0), 0);
    assert_int_equal(fh_db_exec(db, NULL, ACT, "iisssii", (int64_t)4, (int64_t)3, "00000000000000e0", "held", "m4", T0, (int64_t)0), 0);
    assert_int_equal(fh_guard_each(db, "p", T0, note, NULL, NULL), 0);
}

static void a_server_tells_what_is_left_of_each_limit(void **state)
{
    (void)state;
    tell();
    assert_int_equal(told_count, 2);
    assert_string_equal(told[0].tag, OURS "2");
    assert_string_equal(told[0].machine, "m2");
    assert_int_equal(told[0].left_s, 1000 - 100 - 300); /* the machine before it counts */
    assert_string_equal(told[1].tag, OURS "3");
    assert_string_equal(told[1].machine, "");
    assert_int_equal(told[1].left_s, 500); /* two dollars at 3.60 an hour are 2,000 s */
}

static int hear_and_keep(void *arg)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_guard_memory before = m, again;
    int rc = fh_guard_heard(&m, arg, T0, &err);
    if (rc) assert_memory_equal(&before, &m, sizeof m);
    FH_AUTO(json) fh_json *kept = rc ? NULL : fh_guard_memory_json(&m);
    if (!rc) rc = kept ? fh_guard_memory_read(kept, &again, &err) : FH_E_NOMEM;
    return rc;
}

static void want_of_memory_changes_nothing(void **state)
{
    FH_AUTO(json) fh_json *doc = NULL;
    (void)state;
    assert_int_equal(fh_json_parse(&doc, fh_str_of(TOLD(OWN, "")), 4096, NULL), 0);
    assert_true(fh_torture(FH_FAULT_ALLOC, hear_and_keep, doc, 100) > 0);
    assert_int_equal(m.epoch_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_server_that_was_never_heard_has_no_machines, fresh),
        cmocka_unit_test_setup(a_machine_is_ended_behind_its_limit_and_not_before, fresh),
        cmocka_unit_test_setup(all_of_a_server_that_is_not_heard_are_ended, fresh),
        cmocka_unit_test_setup(machines_of_others_are_never_ended, fresh),
        cmocka_unit_test_setup(a_former_epochs_machines_end_at_their_limit_alone, fresh),
        cmocka_unit_test_setup(a_guard_that_slept_says_nothing_of_the_time_between, fresh),
        cmocka_unit_test_setup(a_server_that_refuses_is_there, fresh),
        cmocka_unit_test_setup(what_was_ended_is_not_ended_again_while_lists_may_show_it, fresh),
        cmocka_unit_test_setup(what_is_no_answer_changes_nothing, fresh),
        cmocka_unit_test_setup(what_is_remembered_is_read_again, fresh),
        cmocka_unit_test_setup(want_of_memory_changes_nothing, fresh),
        cmocka_unit_test(a_server_tells_what_is_left_of_each_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
