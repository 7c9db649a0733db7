/* Slots at replicas, and who waits for one. Time is what the test says it is. */
#include "base/clock.h"
#include "cmocka_all.h"
#include "slots.h"
#include "torture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S FH_NS_PER_S

typedef struct guest {
    fh_slot *slot;
    unsigned moves;
    struct room *room;
} guest;
typedef struct room {
    fh_loop *loop;
    fh_slots *slots;
    int64_t now;
    guest guests[64];
} room;

static const fh_slot_at one = {1, 1}, two_slots = {2, 2}, unknown = {3, 0};

static int setup(void **state)
{
    room *r = calloc(1, sizeof *r);
    assert_int_equal(fh_loop_new(&r->loop, NULL), 0);
    r->slots = fh_slots_new();
    r->now = S;
    *state = r;
    return r->slots ? 0 : -1;
}

static int teardown(void **state)
{
    room *r = *state;
    for (size_t i = 0; i < FH_COUNT(r->guests); i++) fh_slot_leave(r->guests[i].slot, 0, r->now);
    fh_loop_free(r->loop);
    fh_slots_free(r->slots);
    free(r);
    return 0;
}

static void moved(void *arg)
{
    ((guest *)arg)->moves++;
}

static void stop(void *arg)
{
    fh_loop_stop(arg);
}

/* Lets the loop tell who is to be told; false where it could not be run. */
static bool tell(room *r)
{
    if (!fh_loop_post(r->loop, stop, r->loop)) return false;
    assert_int_equal(fh_loop_run(r->loop, NULL), 0);
    return true;
}

static fh_slot_spec spec_of(room *r, unsigned i, const char *key, const fh_slot_at *at, size_t count)
{
    r->guests[i] = (guest){.room = r};
    return (fh_slot_spec){.pool = "m",
                          .key_id = key,
                          .cost_tok = 100,
                          .at = at,
                          .count = count,
                          .may_wait = true,
                          .loop = r->loop,
                          .moved = moved,
                          .arg = &r->guests[i]};
}

static int ask_as(room *r, unsigned i, const fh_slot_spec *spec)
{
    bool waits = false;
    int rc = fh_slots_ask(r->slots, spec, r->now, &r->guests[i].slot, &waits, NULL);
    return rc ? rc : waits;
}

static int ask(room *r, unsigned i, const char *key, fh_slot_at at)
{
    fh_slot_spec spec = spec_of(r, i, key, &at, 1);
    return ask_as(r, i, &spec);
}

static void leave(room *r, unsigned i)
{
    fh_slot_leave(r->guests[i].slot, 0, r->now);
    r->guests[i].slot = NULL;
}

static fh_slot_state look(room *r, unsigned i, uint64_t *replica)
{
    return fh_slot_look(r->guests[i].slot, replica);
}

static bool holds(room *r, unsigned i)
{
    uint64_t replica;
    return look(r, i, &replica) == FH_SLOT_HELD;
}

static void who_finds_no_room_waits_for_who_leaves(void **state)
{
    room *r = *state;
    assert_true(fh_slots_room(r->slots, one, r->now));
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_false(fh_slots_room(r->slots, one, r->now));
    assert_int_equal(ask(r, 1, "a", one), 1);
    tell(r);
    assert_int_equal(r->guests[1].moves, 0);
    leave(r, 0);
    assert_false(holds(r, 1)); /* until it was told */
    tell(r);
    assert_int_equal(r->guests[1].moves, 1);
    assert_true(holds(r, 1));
    assert_false(fh_slots_room(r->slots, one, r->now));
    leave(r, 1);
    assert_true(fh_slots_room(r->slots, one, r->now));
}

static void one_key_does_not_crowd_out_another(void **state)
{
    room *r = *state;
    assert_int_equal(ask(r, 0, "a", one), 0);
    for (unsigned i = 1; i < 20; i++) assert_int_equal(ask(r, i, "a", one), 1);
    assert_int_equal(ask(r, 20, "b", one), 1);
    leave(r, 0);
    tell(r);
    unsigned served = 20;
    if (!holds(r, served)) { /* a's first is as old as b's */
        served = 1;
        assert_true(holds(r, served));
        leave(r, served);
        tell(r);
        served = 20;
    }
    assert_true(holds(r, served));
}

static void who_waits_takes_whichever_is_free_first(void **state)
{
    room *r = *state;
    const fh_slot_at both[] = {one, two_slots};
    uint64_t replica = 0;
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_int_equal(ask(r, 1, "a", two_slots), 0);
    assert_int_equal(ask(r, 2, "a", two_slots), 0);
    fh_slot_spec spec = spec_of(r, 3, "b", both, 2);
    assert_int_equal(ask_as(r, 3, &spec), 1);
    leave(r, 2);
    tell(r);
    assert_int_equal(look(r, 3, &replica), FH_SLOT_HELD);
    assert_int_equal(replica, 2);
}

static void who_would_do_elsewhere_goes_there_at_once(void **state)
{
    room *r = *state;
    const fh_slot_at both[] = {one, two_slots};
    assert_int_equal(ask(r, 0, "a", one), 0);
    fh_slot_spec spec = spec_of(r, 1, "a", both, 2); /* room was lost between looking and asking */
    assert_int_equal(ask_as(r, 1, &spec), 1);
    tell(r);
    assert_int_equal(r->guests[1].moves, 1);
    assert_true(holds(r, 1));
}

static void a_replica_that_comes_later_is_taken(void **state)
{
    room *r = *state;
    uint64_t replica = 0;
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_int_equal(ask(r, 1, "a", one), 1);
    fh_slot_update(r->guests[1].slot, &two_slots, 1, r->now);
    tell(r);
    assert_int_equal(look(r, 1, &replica), FH_SLOT_HELD);
    assert_int_equal(replica, 2);
}

static void who_leaves_the_queue_frees_the_place(void **state)
{
    room *r = *state;
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_int_equal(ask(r, 1, "a", one), 1);
    assert_int_equal(ask(r, 2, "a", one), 1);
    leave(r, 1);
    leave(r, 0);
    tell(r);
    assert_true(holds(r, 2));
}

static void who_leaves_before_it_was_told_gives_the_slot_on(void **state)
{
    room *r = *state;
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_int_equal(ask(r, 1, "a", one), 1);
    assert_int_equal(ask(r, 2, "a", one), 1);
    leave(r, 0);
    leave(r, 1); /* it has one, and does not know */
    tell(r);
    assert_int_equal(r->guests[1].moves, 0);
    assert_true(holds(r, 2));
    leave(r, 2); /* the loop never comes to tell those who are left: freed with the table */
    assert_int_equal(ask(r, 0, "a", one), 0);
    assert_int_equal(ask(r, 1, "a", one), 1);
    leave(r, 0);
    leave(r, 1);
}

static void who_may_not_wait_is_refused_and_what_has_begun_goes_ahead(void **state)
{
    room *r = *state;
    assert_int_equal(ask(r, 0, "a", one), 0);
    fh_slot_spec spec = spec_of(r, 1, "a", &one, 1);
    spec.may_wait = false;
    assert_int_equal(ask_as(r, 1, &spec), FH_E_BUSY);
    spec.goes_ahead = true;
    assert_int_equal(ask_as(r, 1, &spec), 0);
    leave(r, 0);
    assert_false(fh_slots_room(r->slots, one, r->now)); /* the one that went ahead counts */
}

static void high_goes_before_low_and_low_goes_too(void **state)
{
    room *r = *state;
    unsigned first_low = 0, last_high = 0;
    assert_int_equal(ask(r, 0, "a", one), 0);
    for (unsigned i = 1; i <= 40; i++) {
        fh_slot_spec spec = spec_of(r, i, "b", &one, 1);
        spec.priority = i <= 4 ? FH_PRIORITY_LOW : FH_PRIORITY_HIGH;
        assert_int_equal(ask_as(r, i, &spec), 1);
    }
    for (unsigned served = 1; served <= 40; served++) {
        unsigned i = 0;
        while (!r->guests[i].slot || !holds(r, i)) i++;
        leave(r, i);
        tell(r);
        for (i = 1; i <= 40 && (!r->guests[i].slot || !holds(r, i)); i++) continue;
        if (i <= 4 && !first_low) first_low = served;
        if (i > 4) last_high = served;
    }
    assert_in_range(first_low, 2, 18); /* one of 17 */
    assert_true(last_high > first_low);
}

static void a_replica_that_says_nothing_takes_all_until_it_refuses(void **state)
{
    room *r = *state;
    for (unsigned i = 0; i < 5; i++) assert_int_equal(ask(r, i, "a", unknown), 0);
    assert_false(fh_slot_alone(r->guests[4].slot));
    fh_slot_turned_away(r->guests[4].slot, 3 * S, r->now);
    leave(r, 4);
    assert_int_equal(ask(r, 4, "a", unknown), 1); /* four are what it bore; and it is left alone for 3 s */
    leave(r, 0);
    tell(r);
    assert_false(holds(r, 4));
    r->now += 3 * S;
    fh_slots_tick(r->slots, r->now);
    tell(r);
    assert_true(holds(r, 4));
    assert_int_equal(ask(r, 0, "a", unknown), 1);
}

static void what_ends_well_at_the_bound_raises_it(void **state)
{
    room *r = *state;
    assert_int_equal(ask(r, 0, "a", unknown), 0);
    assert_int_equal(ask(r, 1, "a", unknown), 0);
    fh_slot_turned_away(r->guests[1].slot, S, r->now);
    leave(r, 1);
    r->now += S;
    fh_slots_tick(r->slots, r->now);
    assert_int_equal(ask(r, 1, "a", unknown), 1); /* one at once, it seems */
    leave(r, 0);
    tell(r);
    assert_true(holds(r, 1));
    assert_int_equal(ask(r, 0, "a", unknown), 0); /* two: one has ended well */
    assert_int_equal(ask(r, 2, "a", unknown), 1);
}

static void too_many_of_a_key_give_way_to_others(void **state)
{
    room *r = *state;
    FH_AUTO(ptr) fh_slot **many = fh_calloc(FH_LIMIT_QUEUE_WAITING, sizeof *many);
    guest g = {.room = r};
    fh_slot_spec spec = {.pool = "m",
                         .key_id = "flood",
                         .cost_tok = 1,
                         .at = &one,
                         .count = 1,
                         .may_wait = true,
                         .loop = r->loop,
                         .moved = moved,
                         .arg = &g};
    bool waits;
    assert_int_equal(ask(r, 0, "a", one), 0);
    for (unsigned i = 0; i < FH_LIMIT_QUEUE_WAITING; i++)
        assert_int_equal(fh_slots_ask(r->slots, &spec, r->now, &many[i], &waits, NULL), 0);
    assert_int_equal(ask(r, 1, "flood", one), FH_E_BUSY);
    assert_int_equal(ask(r, 1, "b", one), 1);
    tell(r);
    uint64_t replica;
    assert_int_equal(g.moves, 1);
    assert_int_equal(fh_slot_look(many[FH_LIMIT_QUEUE_WAITING - 1], &replica), FH_SLOT_REFUSED);
    for (unsigned i = 0; i < FH_LIMIT_QUEUE_WAITING; i++) fh_slot_leave(many[i], 0, r->now);
}

static void how_long_to_stay_away_follows_the_pace_of_the_queue(void **state)
{
    room *r = *state;
    assert_int_equal(fh_slots_retry_ns(r->slots, "m"), S);
    assert_int_equal(ask(r, 0, "a", one), 0);
    for (unsigned i = 1; i <= 10; i++) assert_int_equal(ask(r, i, "a", one), 1);
    for (unsigned i = 0; i < 5; i++) {
        r->now += 2 * S;
        leave(r, i);
        tell(r);
    }
    assert_in_range(fh_slots_retry_ns(r->slots, "m"), 11 * S, 13 * S); /* five wait, two seconds each */
}

/* One has a slot, two wait, the first leaves, then all. */
static int visit_on(room *r, fh_slots *slots, fh_err **err)
{
    bool waits, told = false;
    uint64_t replica;
    int rc = slots ? 0 : fh_err_nomem(err);
    for (unsigned i = 0; i < 3 && !rc; i++) {
        fh_slot_spec spec = spec_of(r, i, "a", &one, 1);
        rc = fh_slots_ask(slots, &spec, r->now, &r->guests[i].slot, &waits, err);
    }
    assert_true(rc == 0 || rc == FH_E_NOMEM);
    leave(r, 0);
    bool ran = tell(r);
    for (unsigned i = 1; i < 3 && !rc; i++)
        told |= fh_slot_look(r->guests[i].slot, &replica) == FH_SLOT_HELD; /* also when the post failed */
    assert_true(rc || told || !ran);
    leave(r, 1);
    leave(r, 2);
    return rc;
}

static int visit(void *arg)
{
    room *outer = arg, r = {.now = outer->now};
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(fh_slots) fh_slots *slots = fh_slots_new();
    int rc = fh_loop_new(&r.loop, &err);
    if (rc == 0) rc = visit_on(&r, slots, &err);
    fh_loop_free(r.loop); /* with what it has not told */
    return rc;
}

static void visits_survive_any_failed_allocation(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, visit, *state, 100) > 5);
}

/* Guests on several loops, who have a slot for a turn of their loop each time. */
enum { LOOPS = 3, WORKERS = 6, ROUNDS = 500 };
static atomic_uint held, most, at_work;

typedef struct worker {
    fh_loop *loop;
    fh_slots *slots;
    fh_slot *slot;
    unsigned rounds;
    char key[9];
} worker;

static void work(void *arg);

static void give_back(void *arg)
{
    worker *w = arg;
    held--;
    fh_slot_leave(w->slot, 50, fh_clock_mono_ns());
    w->slot = NULL;
    work(w);
}

static void got_slot(void *arg)
{
    worker *w = arg;
    unsigned now = ++held;
    if (now > most) most = now;
    if (!fh_loop_post(w->loop, give_back, w)) abort();
}

static void work(void *arg)
{
    worker *w = arg;
    bool waits = true;
    if (w->rounds++ == ROUNDS) {
        at_work--;
        return;
    }
    fh_slot_spec spec = {.pool = "m",
                         .key_id = w->key,
                         .cost_tok = 50,
                         .at = &two_slots,
                         .count = 1,
                         .may_wait = true,
                         .loop = w->loop,
                         .moved = got_slot,
                         .arg = w};
    if (fh_slots_ask(w->slots, &spec, fh_clock_mono_ns(), &w->slot, &waits, NULL)) abort();
    if (!waits) got_slot(w);
}

static void *run_loop(void *arg)
{
    fh_loop_run(arg, NULL);
    return NULL;
}

static void slots_pass_between_loops_and_are_never_too_many(void **state)
{
    room *r = *state;
    fh_loop *loops[LOOPS];
    pthread_t threads[LOOPS];
    worker workers[WORKERS] = {{.rounds = 0}};
    at_work = WORKERS;
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(fh_loop_new(&loops[i], NULL), 0);
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, loops[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.loop = loops[i % LOOPS], .slots = r->slots};
        snprintf(workers[i].key, sizeof workers[i].key, "%u", i);
        assert_true(fh_loop_post(workers[i].loop, work, &workers[i]));
    }
    while (at_work) fh_sleep_ns(FH_NS_PER_MS);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_true(fh_loop_post(loops[i], stop, loops[i]));
        pthread_join(threads[i], NULL);
        fh_loop_free(loops[i]);
    }
    assert_int_equal(held, 0);
    assert_in_range(most, 1, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_finds_no_room_waits_for_who_leaves),
        TEST(one_key_does_not_crowd_out_another),
        TEST(who_waits_takes_whichever_is_free_first),
        TEST(who_would_do_elsewhere_goes_there_at_once),
        TEST(a_replica_that_comes_later_is_taken),
        TEST(who_leaves_the_queue_frees_the_place),
        TEST(who_leaves_before_it_was_told_gives_the_slot_on),
        TEST(who_may_not_wait_is_refused_and_what_has_begun_goes_ahead),
        TEST(high_goes_before_low_and_low_goes_too),
        TEST(a_replica_that_says_nothing_takes_all_until_it_refuses),
        TEST(what_ends_well_at_the_bound_raises_it),
        TEST(too_many_of_a_key_give_way_to_others),
        TEST(how_long_to_stay_away_follows_the_pace_of_the_queue),
        TEST(visits_survive_any_failed_allocation),
        TEST(slots_pass_between_loops_and_are_never_too_many),
    };
    return cmocka_run_group_tests_name("gateway/slots", tests, NULL, NULL);
}
