/* Guesses from what a sequence has said, against a search of all of it; and how many of them a step takes. */
#include "cmocka_all.h"
#include "costs.h"
#include "torture.h"

#include <string.h>

enum { MOST = 4096 };

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static draft *new_draft(size_t most_tok)
{
    draft *d = NULL;
    const draft_source source = {.most_tok = most_tok};
    assert_int_equal(draft_new(&d, &source, NULL), 0);
    return d;
}

/* ---- against all of it ---- */

static size_t match_at(const fh_token *ids, size_t count, size_t last)
{
    size_t n = 0;
    while (n < DRAFT_MATCH_MAX && n <= last && ids[last - n] == ids[count - 1 - n]) n++;
    return n;
}

static bool continues(const fh_token *ids, size_t count, size_t from, const draft_ahead *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->ids[i] != (from + i < count ? ids[from + i] : a->ids[from + i - count])) return false;
    return true;
}

/* The guess goes on from one of the longest matches that begin no further back than the window; where there is none there is no guess. */
static void check_guess(const fh_token *ids, size_t count, size_t window, const draft_ahead *a)
{
    size_t longest = 0, oldest = count > window ? count - window : 0;
    bool found = false;
    for (size_t last = oldest; last + 1 < count; last++) longest = FH_MAX(longest, match_at(ids, count, last));
    if (longest < DRAFT_MATCH_MIN) {
        assert_int_equal(a->count, 0);
        return;
    }
    assert_int_equal(a->count, FH_LIMIT_DRAFT_TOK);
    for (size_t last = oldest; last + 1 < count && !found; last++)
        found = match_at(ids, count, last) == longest && continues(ids, count, last + 1, a);
    assert_true(found);
}

static void check_odds(const draft_ahead *a)
{
    for (size_t i = 0; i < a->count; i++) assert_true(a->odds[i] > 0 && a->odds[i] <= (i ? a->odds[i - 1] : 1));
}

/* Few kinds of tokens, and now and then a piece of what was there. */
static size_t add_tokens(fh_token *ids, size_t count, uint64_t *seed, uint32_t kinds)
{
    size_t n = 1 + draw(seed, 9), from = count ? draw(seed, (uint32_t)count) : 0;
    bool copy = count > 20 && draw(seed, 2);
    for (size_t i = 0; i < n; i++) ids[count + i] = copy ? ids[from + i] : (fh_token)draw(seed, kinds);
    return count + n;
}

static void a_guess_goes_on_from_one_of_the_longest_matches(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        fh_token ids[MOST];
        uint64_t seed = round;
        uint32_t kinds = (const uint32_t[]){12, 30, 1000}[round % 3];
        draft *d = new_draft(MOST);
        for (size_t count = 0; count < 600;) {
            draft_ahead a;
            count = add_tokens(ids, count, &seed, kinds);
            draft_guess(d, ids, count, &a);
            check_guess(ids, count, MOST, &a);
            check_odds(&a);
        }
        draft_free(d);
    }
}

/* A draft made for 64 tokens looks back over as many. */
static void what_lies_before_the_window_is_not_looked_at(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 40; round++) {
        fh_token ids[MOST];
        uint64_t seed = round;
        draft *d = new_draft(64);
        for (size_t count = 0; count < 1000;) {
            draft_ahead a;
            count = add_tokens(ids, count, &seed, 8);
            draft_guess(d, ids, count, &a);
            check_guess(ids, count, 64, &a);
        }
        draft_free(d);
    }
}

static void text_that_repeats_at_its_end_goes_on_repeating(void **state)
{
    (void)state;
    const fh_token ids[] = {9, 1, 2, 3, 1, 2, 3}, want[] = {1, 2, 3, 1, 2, 3, 1};
    draft_ahead a;
    draft *d = new_draft(MOST);
    draft_guess(d, ids, FH_COUNT(ids), &a);
    assert_memory_equal(a.ids, want, sizeof want);
    draft_free(d);
}

/* Of 100 tokens one is another than was predicted, and two are new: its guesses are right but there and at the two tokens behind it. */
static void a_prediction_is_followed_and_found_again(void **state)
{
    (void)state;
    enum { COUNT = 100, PROMPT = 5, CHANGED = 50 };
    fh_token prediction[COUNT], ids[PROMPT + COUNT + 2] = {900, 901, 902, 903, 904};
    for (int i = 0; i < COUNT; i++) prediction[i] = i;
    for (int i = 0; i < COUNT + 2; i++) ids[PROMPT + i] = i < CHANGED ? i : i < CHANGED + 3 ? 1000 + i : i - 2;
    const draft_source source = {.most_tok = MOST, .prediction = prediction, .prediction_count = COUNT, .from = PROMPT};
    draft *d = NULL;
    assert_int_equal(draft_new(&d, &source, NULL), 0);
    size_t wrong = 0;
    for (size_t count = PROMPT + 1; count + 1 < FH_COUNT(ids); count++) {
        draft_ahead a;
        draft_guess(d, ids, count, &a);
        bool right = a.count && a.ids[0] == ids[count];
        assert_true(!right || a.predicted);
        wrong += !right;
    }
    assert_in_range(wrong, 3, 6);
    draft_free(d);
}

/* ---- odds ---- */

static float odds_after(size_t good, size_t bad)
{
    fh_token ids[MOST];
    draft_ahead a = {.count = 0};
    size_t count = 0;
    draft *d = new_draft(MOST);
    for (size_t i = 0; i < good + bad; i++) { /* pairs 1 2 that 3 follows, or something new */
        ids[count++] = 1;
        ids[count++] = 2;
        draft_guess(d, ids, count, &a);
        ids[count++] = i < bad ? (fh_token)(100 + i) : a.count ? a.ids[0] : 3;
        ids[count++] = (fh_token)(1000 + i);
        draft_guess(d, ids, count, &a);
    }
    ids[count++] = 1;
    ids[count++] = 2;
    draft_guess(d, ids, count, &a);
    draft_free(d);
    return a.odds[0];
}

static void odds_are_learned_though_nobody_uses_the_guesses(void **state)
{
    (void)state;
    assert_true(odds_after(20, 0) > 0.8f);
    assert_true(odds_after(0, 20) < 0.1f);
    assert_true(odds_after(20, 20) > 0.4f); /* what was long ago counts less */
}

static int make_one(void *arg)
{
    (void)arg;
    draft *d = NULL;
    const draft_source source = {.most_tok = MOST};
    int rc = draft_new(&d, &source, NULL);
    draft_free(d);
    return rc;
}

static void without_memory_there_is_no_draft(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, make_one, NULL, 10) >= 3);
}

/* ---- costs ---- */

static costs learned(size_t most, double first, double more)
{
    costs c = {.steps = 0};
    for (int round = 0; round < 30; round++)
        for (size_t n = 1; n <= most; n++) costs_learn(&c, n, first + more * (double)(n - 1));
    return c;
}

static cost_wish wish_of(float each)
{
    cost_wish w = {.ahead.count = FH_LIMIT_DRAFT_TOK};
    float odds = 1;
    for (size_t i = 0; i < FH_LIMIT_DRAFT_TOK; i++) w.ahead.odds[i] = odds *= each;
    return w;
}

static void rows_that_cost_nothing_are_all_taken_and_dear_ones_are_not(void **state)
{
    (void)state;
    const struct {
        double more;
        float odds;
        size_t least, most;
    } cases[] = {{0, 0.9f, 7, 7}, {10, 0.9f, 2, 7}, {50, 0.9f, 0, 7}, {100, 1, 0, 0}, {10, 0.05f, 0, 0}, {2, 0.3f, 1, 3}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        costs c = learned(8, 100, cases[i].more);
        cost_wish w = wish_of(cases[i].odds);
        costs_share(&c, &w, 1, 60);
        assert_in_range(w.given, cases[i].least, cases[i].most);
        double tokens = 1, best = 1 / 100.0;
        for (size_t n = 0; n < w.given; n++) tokens += (double)w.ahead.odds[n];
        assert_true(tokens / (100 + cases[i].more * (double)w.given) >= best);
    }
}

static void nothing_is_given_before_a_step_was_seen_nor_without_room(void **state)
{
    (void)state;
    costs none = {.steps = 0}, c = learned(8, 100, 0);
    cost_wish w = wish_of(1);
    costs_share(&none, &w, 1, 60);
    assert_int_equal(w.given, 0);
    costs_share(&c, &w, 1, 0);
    assert_int_equal(w.given, 0);
    costs_share(&c, &w, 1, 3);
    assert_int_equal(w.given, 3);
}

/* A row more costs a tenth of a step: beside others there are at most five of them. */
static void others_wait_for_guesses_no_longer_than_half_a_step(void **state)
{
    (void)state;
    costs c = learned(40, 100, 10);
    cost_wish w[3] = {wish_of(1), wish_of(0.01f), wish_of(1)};
    costs_share(&c, w, 3, 60);
    double alone = costs_of(&c, 3), together = costs_of(&c, 3 + w[0].given + w[1].given + w[2].given);
    assert_true(w[0].given > 0 && w[1].given == 0 && w[2].given > 0);
    assert_true(together <= COST_BESIDE * alone);
}

static void the_likelier_guess_gets_the_row(void **state)
{
    (void)state;
    costs c = learned(16, 100, 1);
    cost_wish w[2] = {wish_of(0.5f), wish_of(0.99f)};
    costs_share(&c, w, 2, 4);
    assert_int_equal(w[1].given, 4);
    assert_int_equal(w[0].given, 0);
}

static void a_step_that_was_held_up_is_forgiven_and_an_old_one_forgotten(void **state)
{
    (void)state;
    costs c = learned(8, 100, 0);
    costs_learn(&c, 8, 100000);
    assert_true(costs_of(&c, 8) < 150);
    for (int i = 0; i < 40; i++) costs_learn(&c, 8, 1000);
    assert_true(costs_of(&c, 8) > 900);
    for (int i = 0; i < COST_KEPT; i++) costs_learn(&c, 1, 100);
    assert_true(costs_of(&c, 8) < 200); /* so it is tried again */
}

static void what_lies_between_known_steps_is_between_them(void **state)
{
    (void)state;
    costs c = {.steps = 0};
    assert_true(costs_of(&c, 3) <= 0);
    costs_learn(&c, 4, 100);
    costs_learn(&c, 8, 140);
    assert_true(costs_of(&c, 6) > 119 && costs_of(&c, 6) < 121);
    assert_true(costs_of(&c, 1) <= 100 && costs_of(&c, 1) > 0);
    assert_true(costs_of(&c, 12) >= 140);
    assert_true(costs_of(&c, 1000) >= costs_of(&c, 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guess_goes_on_from_one_of_the_longest_matches),
        cmocka_unit_test(what_lies_before_the_window_is_not_looked_at),
        cmocka_unit_test(text_that_repeats_at_its_end_goes_on_repeating),
        cmocka_unit_test(a_prediction_is_followed_and_found_again),
        cmocka_unit_test(odds_are_learned_though_nobody_uses_the_guesses),
        cmocka_unit_test(without_memory_there_is_no_draft),
        cmocka_unit_test(rows_that_cost_nothing_are_all_taken_and_dear_ones_are_not),
        cmocka_unit_test(nothing_is_given_before_a_step_was_seen_nor_without_room),
        cmocka_unit_test(others_wait_for_guesses_no_longer_than_half_a_step),
        cmocka_unit_test(the_likelier_guess_gets_the_row),
        cmocka_unit_test(a_step_that_was_held_up_is_forgiven_and_an_old_one_forgotten),
        cmocka_unit_test(what_lies_between_known_steps_is_between_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
