/* Flights with their leader and followers on one loop, and on several with a thread each. */
#include "flight.h"

#include "base/clock.h"
#include "cmocka_all.h"
#include "torture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENT "data: 0123456789\n\n"
enum { EVENT_BYTES = sizeof EVENT - 1 };

typedef struct world {
    fh_loop *loop;
    fh_flights *flights;
    fh_flights_config config;
    unsigned leader_woken, follower_woken;
} world;

static void note_leader(void *arg)
{
    ((world *)arg)->leader_woken++;
}

static void note_follower(void *arg)
{
    ((world *)arg)->follower_woken++;
}

static int open_with(world *w, size_t answer_bytes, size_t flights, fh_err **err)
{
    w->config = (fh_flights_config){.loops = &w->loop,
                                    .loop_count = 1,
                                    .cache = {.bytes = 1 << 20, .entries = 100, .kept_ns = 3600 * FH_NS_PER_S},
                                    .answer_bytes = answer_bytes,
                                    .flights = flights,
                                    .bytes = 1 << 20,
                                    .lead_bytes = 4 * EVENT_BYTES};
    int rc = fh_loop_new(&w->loop, err);
    return rc ? rc : fh_flights_new(&w->flights, &w->config, err);
}

static void close_world(world *w)
{
    fh_flights_free(w->flights);
    fh_loop_free(w->loop);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    *state = w;
    return open_with(w, 20 * EVENT_BYTES, 10, NULL);
}

static int teardown(void **state)
{
    close_world(*state);
    free(*state);
    return 0;
}

static void stop(void *arg)
{
    fh_loop_stop(arg);
}

/* All that was posted. */
static void run_posts(world *w)
{
    for (int i = 0; i < 3; i++) {
        assert_true(fh_loop_post(w->loop, stop, w->loop));
        assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    }
}

static const uint8_t *key(unsigned n)
{
    static uint8_t bytes[FH_ANSWER_KEY_BYTES];
    memcpy(bytes, &n, sizeof n);
    return bytes;
}

static fh_boarding board_as(world *w, unsigned n, const char *owner, bool fresh, fh_seat *s, fh_answer **kept)
{
    *s = (fh_seat){.loop = w->loop, .wake = note_follower, .arg = w};
    return fh_flights_board(w->flights, key(n), owner, fresh, s, kept);
}

static fh_boarding board(world *w, unsigned n, fh_seat *s)
{
    fh_answer *kept = NULL;
    fh_boarding b = board_as(w, n, "a", false, s, &kept);
    fh_answer_leave(kept);
    return b;
}

static void lead(world *w, fh_seat *leader, const fh_seat *first)
{
    static const fh_answer_head head = {.stream = true, .model = "m"};
    *leader = (fh_seat){.loop = w->loop, .wake = note_leader, .arg = w};
    fh_flight_seat_leader(leader, first->flight);
    fh_flight_start(leader, &head);
}

static bool write_events(fh_seat *leader, unsigned count)
{
    bool go_on = true;
    for (unsigned i = 0; i < count; i++) go_on = fh_flight_write(leader, EVENT, EVENT_BYTES, &(fh_used){.completion_tok = i + 1});
    return go_on;
}

static void land(fh_seat *leader, bool keep, uint64_t used)
{
    fh_flight_end e = {.status = 200, .keep = keep, .used = {.prompt_tok = used}};
    fh_flight_land(leader, &e);
}

/* Events that are read; each reading takes whole ones. */
static unsigned read_events(fh_seat *s)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    while (fh_seat_read(s, 2 * EVENT_BYTES + 3, &out)) assert_int_equal(out.len % EVENT_BYTES, 0);
    return (unsigned)(out.len / EVENT_BYTES);
}

static fh_flight_view look(const fh_seat *s)
{
    fh_flight_view v;
    fh_seat_look(s, &v);
    return v;
}

static void who_joins_late_gets_all_from_the_beginning(void **state)
{
    world *w = *state;
    fh_seat one, two, leader;
    assert_int_equal(board(w, 1, &one), FH_BOARDING_LEADS);
    lead(w, &leader, &one);
    write_events(&leader, 3);
    assert_int_equal(read_events(&one), 3);
    assert_int_equal(board(w, 1, &two), FH_BOARDING_JOINED);
    assert_int_equal(read_events(&two), 3);
    write_events(&leader, 2);
    land(&leader, true, 9);
    assert_int_equal(read_events(&one), 2);
    assert_int_equal(read_events(&two), 2);
    assert_true(look(&one).end && look(&two).end);
    fh_seat_leave(&two);
    fh_seat_leave(&one);
}

static void what_landed_good_is_kept_and_what_did_not_is_not(void **state)
{
    world *w = *state;
    fh_seat one, leader;
    fh_answer *kept = NULL;
    for (unsigned good = 0; good < 2; good++) {
        assert_int_equal(board(w, 1, &one), FH_BOARDING_LEADS);
        lead(w, &leader, &one);
        write_events(&leader, 2);
        land(&leader, good, 9);
        fh_seat_leave(&one);
    }
    assert_int_equal(board_as(w, 1, "a", false, &one, &kept), FH_BOARDING_KEPT);
    assert_int_equal(kept->len, 2 * EVENT_BYTES);
    assert_string_equal(kept->head.model, "m");
    assert_int_equal(kept->used.prompt_tok, 9);
    fh_answer_leave(kept);
}

static void a_fresh_answer_takes_the_place_of_a_kept_one_and_of_one_on_its_way(void **state)
{
    world *w = *state;
    fh_seat old, fresh, late, old_leader, leader;
    fh_answer *kept = NULL;
    board(w, 1, &old);
    lead(w, &old_leader, &old);
    assert_int_equal(board_as(w, 1, "a", true, &fresh, &kept), FH_BOARDING_LEADS);
    lead(w, &leader, &fresh);
    assert_int_equal(board(w, 1, &late), FH_BOARDING_JOINED);
    assert_ptr_equal(late.flight, fresh.flight);
    write_events(&leader, 1);
    land(&leader, true, 1);
    write_events(&old_leader, 2);
    land(&old_leader, true, 1); /* it began before: not kept */
    fh_seat_leave(&old);
    fh_seat_leave(&fresh);
    fh_seat_leave(&late);
    assert_int_equal(board_as(w, 1, "a", false, &late, &kept), FH_BOARDING_KEPT);
    assert_int_equal(kept->len, EVENT_BYTES);
    fh_answer_leave(kept);
    kept = NULL;
    assert_int_equal(board_as(w, 1, "a", true, &fresh, &kept), FH_BOARDING_LEADS);
    assert_null(kept);
    lead(w, &leader, &fresh);
    land(&leader, false, 0);
    fh_seat_leave(&fresh);
}

static void the_leader_is_wanted_until_the_last_follower_leaves(void **state)
{
    world *w = *state;
    fh_seat one, two, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    board(w, 1, &two);
    fh_seat_leave(&one);
    run_posts(w);
    assert_int_equal(w->leader_woken, 0);
    assert_true(fh_flight_wanted(&leader));
    fh_seat_leave(&two);
    run_posts(w);
    assert_int_equal(w->leader_woken, 1);
    assert_false(fh_flight_wanted(&leader));
    assert_int_equal(board(w, 1, &two), FH_BOARDING_LEADS); /* nobody joins what is being given up */
    land(&leader, false, 0);
    lead(w, &leader, &two);
    land(&leader, false, 0);
    fh_seat_leave(&two);
}

static void the_one_that_asked_first_pays_and_then_the_next(void **state)
{
    world *w = *state;
    fh_seat one, two, three, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    board(w, 1, &two);
    board(w, 1, &three);
    write_events(&leader, 4);
    assert_int_equal(fh_seat_leave(&one), 4);
    write_events(&leader, 4);
    land(&leader, true, 10);
    assert_int_equal(fh_seat_leave(&three), 0);
    assert_int_equal(fh_seat_leave(&two), 6);
    assert_int_equal(fh_seat_leave(&two), 0); /* it has no seat any more */
}

static void followers_are_woken_by_what_is_new_and_once_for_all_of_it(void **state)
{
    world *w = *state;
    fh_seat one, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    write_events(&leader, 5);
    run_posts(w);
    assert_int_equal(w->follower_woken, 1);
    land(&leader, false, 0);
    run_posts(w);
    assert_int_equal(w->follower_woken, 2);
    fh_seat_leave(&one);
}

static void who_has_left_is_not_woken(void **state)
{
    world *w = *state;
    fh_seat one, two, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    board(w, 1, &two);
    write_events(&leader, 1);
    fh_seat_leave(&one);
    run_posts(w);
    assert_int_equal(w->follower_woken, 1);
    fh_seat_leave(&two);
    land(&leader, false, 0);
    run_posts(w);
    assert_int_equal(w->leader_woken, 0);
}

static void a_large_answer_is_not_kept_and_not_joined(void **state)
{
    world *w = *state;
    fh_seat one, two, leader, other;
    board(w, 1, &one);
    lead(w, &leader, &one);
    for (unsigned i = 0; i < 40; i++) {
        assert_true(write_events(&leader, 1));
        assert_int_equal(read_events(&one), 1);
    }
    assert_int_equal(board(w, 1, &two), FH_BOARDING_LEADS);
    lead(w, &other, &two);
    land(&other, false, 0);
    fh_seat_leave(&two);
    land(&leader, true, 1);
    fh_seat_leave(&one);
    assert_int_equal(board(w, 1, &one), FH_BOARDING_LEADS);
    lead(w, &leader, &one);
    land(&leader, false, 0);
    fh_seat_leave(&one);
}

static fh_flights_figures figures(world *w)
{
    fh_flights_figures f;
    fh_flights_look(w->flights, &f);
    return f;
}

static void a_large_answer_waits_for_its_only_reader_and_holds_what_is_unread(void **state)
{
    world *w = *state;
    fh_seat one, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    unsigned written = 0;
    while (write_events(&leader, 1)) assert_in_range(++written, 1, 30);
    assert_int_equal(written, 20); /* all of what may be kept, then it is too far ahead */
    run_posts(w);
    assert_int_equal(w->leader_woken, 0);
    assert_int_equal(read_events(&one), 21);
    run_posts(w);
    assert_int_equal(w->leader_woken, 1);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(write_events(&leader, 1));
        assert_int_equal(read_events(&one), 1);
        assert_true(figures(w).bytes < 40 * EVENT_BYTES);
    }
    assert_false(look(&one).lost);
    land(&leader, true, 1);
    fh_seat_leave(&one);
    assert_int_equal(figures(w).bytes, 0);
    assert_int_equal(figures(w).flights, 0);
}

static void a_leader_that_waits_may_land_and_the_reader_gets_all(void **state)
{
    world *w = *state;
    fh_seat one, leader;
    board(w, 1, &one);
    lead(w, &leader, &one);
    unsigned written = 1;
    while (write_events(&leader, 1)) written++;
    land(&leader, true, 1);
    assert_int_equal(read_events(&one), written);
    assert_non_null(look(&one).end);
    fh_seat_leave(&one);
    assert_int_equal(figures(w).bytes, 0);
    assert_int_equal(figures(w).flights, 0);
}

static void a_slow_reader_holds_nobody_up_and_is_cut_loose_in_the_end(void **state)
{
    world *w = *state;
    fh_seat fast, slow, leader;
    board(w, 1, &slow);
    lead(w, &leader, &slow);
    board(w, 1, &fast);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(write_events(&leader, 1));
        assert_int_equal(read_events(&fast), 1);
    }
    assert_false(look(&slow).lost);
    assert_true(write_events(&leader, 1)); /* one more than an answer may have */
    assert_true(look(&slow).lost);
    assert_false(look(&fast).lost);
    assert_int_equal(read_events(&slow), 0);
    assert_int_equal(figures(w).cut_loose, 1);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(read_events(&fast), 1);
        assert_true(write_events(&leader, 1));
        assert_true(figures(w).bytes < 40 * EVENT_BYTES);
    }
    land(&leader, true, 1);
    assert_int_equal(read_events(&fast), 1);
    assert_non_null(look(&fast).end);
    fh_seat_leave(&slow);
    fh_seat_leave(&fast);
}

static void there_are_no_more_flights_than_may_be(void **state)
{
    world *w = *state;
    fh_seat seats[11], leaders[10];
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(board(w, i, &seats[i]), FH_BOARDING_LEADS);
        lead(w, &leaders[i], &seats[i]);
    }
    assert_int_equal(board(w, 10, &seats[10]), FH_BOARDING_ALONE);
    assert_null(seats[10].flight);
    land(&leaders[3], false, 0);
    fh_seat_leave(&seats[3]);
    assert_int_equal(board(w, 10, &seats[3]), FH_BOARDING_LEADS);
    lead(w, &leaders[3], &seats[3]);
    for (unsigned i = 0; i < 10; i++) {
        land(&leaders[i], false, 0);
        fh_seat_leave(&seats[i]);
    }
}

static void what_is_on_its_way_for_a_forgotten_key_is_not_kept(void **state)
{
    world *w = *state;
    fh_seat one, leader;
    fh_answer *kept = NULL;
    board_as(w, 1, "gone", false, &one, &kept);
    lead(w, &leader, &one);
    write_events(&leader, 1);
    fh_flights_forget(w->flights, "gone");
    land(&leader, true, 1);
    fh_seat_leave(&one);
    assert_int_equal(figures(w).cache.entries, 0);
}

static int fly(void *arg)
{
    (void)arg;
    world w = {0};
    fh_err *err = NULL;
    int rc = open_with(&w, 20 * EVENT_BYTES, 10, &err);
    fh_err_free(err);
    for (unsigned n = 0; rc == 0 && n < 4; n++) {
        fh_seat one, two, leader;
        fh_answer *kept = NULL;
        fh_boarding b = board_as(&w, n / 2, "a", false, &one, &kept);
        if (b == FH_BOARDING_LEADS) {
            lead(&w, &leader, &one);
            if (board(&w, n / 2, &two) != FH_BOARDING_JOINED) two.flight = NULL;
            write_events(&leader, n * 15);
            land(&leader, true, 1);
            fh_seat_leave(&two);
        } else if (b == FH_BOARDING_ALONE)
            rc = FH_E_NOMEM;
        fh_seat_leave(&one);
        fh_answer_leave(kept);
    }
    close_world(&w);
    return rc;
}

static void no_memory_is_borne_everywhere(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, fly, NULL, 1000) > 20);
}

/* ---- threads ---- */

enum { LANES = 4, ROUNDS = 300, KEYS = 7, EVENTS = 5 };

typedef struct lane lane;
typedef struct asker { /* of one request at a time: follows, and leads where it is the first */
    lane *lane;
    fh_seat seat, leader;
    fh_timer *next;
    unsigned round, written, patience;
    size_t got;
} asker;

struct lane {
    fh_loop *loop;
    pthread_t thread;
    fh_flights *flights;
    asker askers[3];
    _Atomic unsigned *running;
    unsigned seed, calls, answered, left;
};

static unsigned draw(lane *l, unsigned below)
{
    l->seed = l->seed * 1664525u + 1013904223u;
    return (l->seed >> 16) % below;
}

static void begin(asker *a);

static void go_on_later(asker *a)
{
    fh_timer_start(a->next, 0);
}

static void step_leader(void *arg)
{
    asker *a = arg;
    if (!a->leader.flight) return;
    if (!fh_flight_wanted(&a->leader)) {
        land(&a->leader, false, a->written);
        return;
    }
    if (a->written == 0) fh_flight_start(&a->leader, &(fh_answer_head){.stream = true});
    if (a->written++ < EVENTS)
        fh_flight_write(&a->leader, EVENT, EVENT_BYTES, &(fh_used){.completion_tok = a->written});
    else
        land(&a->leader, draw(a->lane, 3) > 0, EVENTS);
}

static void done(asker *a)
{
    fh_seat_leave(&a->seat);
    a->round++;
    go_on_later(a);
}

static void follower_woken(void *arg)
{
    asker *a = arg;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_flight_view v = look(&a->seat);
    while (fh_seat_read(&a->seat, EVENT_BYTES, &out)) continue;
    a->got += out.len;
    if (a->patience && a->got >= a->patience * EVENT_BYTES) {
        a->lane->left++;
        done(a);
    } else if (v.end) {
        assert_int_equal(a->got, v.end->failed ? a->got : EVENTS * EVENT_BYTES);
        a->lane->answered++;
        done(a);
    }
}

static void next_step(void *arg)
{
    asker *a = arg;
    if (a->leader.flight) {
        step_leader(a);
        go_on_later(a);
    } else if (!a->seat.flight)
        begin(a);
}

static void begin(asker *a)
{
    lane *l = a->lane;
    fh_answer *kept = NULL;
    if (a->round >= ROUNDS) {
        if (--*l->running == 0) fh_flights_sweep(l->flights);
        return;
    }
    uint8_t name[FH_ANSWER_KEY_BYTES] = {(uint8_t)draw(l, KEYS)};
    a->seat = (fh_seat){.loop = l->loop, .wake = follower_woken, .arg = a};
    a->got = 0;
    a->written = 0;
    a->patience = draw(l, 4);
    switch (fh_flights_board(l->flights, name, "a", draw(l, 2), &a->seat, &kept)) {
    case FH_BOARDING_KEPT:
        assert_int_equal(kept->len, EVENTS * EVENT_BYTES);
        fh_answer_leave(kept);
        l->answered++;
        a->round++;
        break;
    case FH_BOARDING_LEADS:
        l->calls++;
        a->leader = (fh_seat){.loop = l->loop, .wake = step_leader, .arg = a};
        fh_flight_seat_leader(&a->leader, a->seat.flight);
        break;
    case FH_BOARDING_JOINED:
    case FH_BOARDING_ALONE: break;
    }
    go_on_later(a);
}

static void stop_when_all_are_done(void *arg)
{
    lane *l = arg;
    if (*l->running == 0)
        fh_loop_stop(l->loop);
    else if (!fh_loop_post(l->loop, stop_when_all_are_done, l))
        abort();
}

static void *run_lane(void *arg)
{
    lane *l = arg;
    for (size_t i = 0; i < FH_COUNT(l->askers); i++) go_on_later(&l->askers[i]);
    stop_when_all_are_done(l);
    fh_loop_run(l->loop, NULL);
    return NULL;
}

static void open_lane(lane *l, unsigned i, fh_flights *flights, _Atomic unsigned *running)
{
    l->flights = flights;
    l->running = running;
    l->seed = i + 1;
    for (size_t k = 0; k < FH_COUNT(l->askers); k++) {
        l->askers[k] = (asker){.lane = l};
        assert_int_equal(fh_timer_new(&l->askers[k].next, l->loop, next_step, &l->askers[k], NULL), 0);
    }
}

/* Every request is answered in full or was left by its own will, whoever led it, wherever. */
static void several_lanes_share_flights(void **state)
{
    world *w = *state;
    static lane lanes[LANES];
    fh_loop *loops[LANES];
    fh_flights *flights;
    _Atomic unsigned running = LANES * FH_COUNT(lanes[0].askers);
    unsigned answered = 0, left = 0, calls = 0;
    for (unsigned i = 0; i < LANES; i++) {
        assert_int_equal(fh_loop_new(&lanes[i].loop, NULL), 0);
        loops[i] = lanes[i].loop;
    }
    w->config.loops = loops;
    w->config.loop_count = LANES;
    w->config.flights = 100;
    assert_int_equal(fh_flights_new(&flights, &w->config, NULL), 0);
    for (unsigned i = 0; i < LANES; i++) open_lane(&lanes[i], i, flights, &running);
    for (unsigned i = 0; i < LANES; i++) assert_int_equal(pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]), 0);
    for (unsigned i = 0; i < LANES; i++) pthread_join(lanes[i].thread, NULL);
    for (unsigned i = 0; i < LANES; i++) {
        answered += lanes[i].answered;
        left += lanes[i].left;
        calls += lanes[i].calls;
        for (size_t k = 0; k < FH_COUNT(lanes[i].askers); k++) {
            if (lanes[i].askers[k].leader.flight) land(&lanes[i].askers[k].leader, false, 0);
            fh_timer_free(lanes[i].askers[k].next);
        }
    }
    assert_int_equal(answered + left, LANES * FH_COUNT(lanes[0].askers) * ROUNDS);
    assert_in_range(calls, 1, answered + left);
    fh_flights_figures f;
    fh_flights_look(flights, &f);
    assert_int_equal(f.flights, 0);
    assert_int_equal(f.bytes, 0);
    fh_flights_free(flights);
    for (unsigned i = 0; i < LANES; i++) fh_loop_free(lanes[i].loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_joins_late_gets_all_from_the_beginning),
        TEST(what_landed_good_is_kept_and_what_did_not_is_not),
        TEST(a_fresh_answer_takes_the_place_of_a_kept_one_and_of_one_on_its_way),
        TEST(the_leader_is_wanted_until_the_last_follower_leaves),
        TEST(the_one_that_asked_first_pays_and_then_the_next),
        TEST(followers_are_woken_by_what_is_new_and_once_for_all_of_it),
        TEST(who_has_left_is_not_woken),
        TEST(a_large_answer_is_not_kept_and_not_joined),
        TEST(a_large_answer_waits_for_its_only_reader_and_holds_what_is_unread),
        TEST(a_leader_that_waits_may_land_and_the_reader_gets_all),
        TEST(a_slow_reader_holds_nobody_up_and_is_cut_loose_in_the_end),
        TEST(there_are_no_more_flights_than_may_be),
        TEST(what_is_on_its_way_for_a_forgotten_key_is_not_kept),
        TEST(no_memory_is_borne_everywhere),
        TEST(several_lanes_share_flights),
    };
    return cmocka_run_group_tests_name("gateway/flight", tests, NULL, NULL);
}
