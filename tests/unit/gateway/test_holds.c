/* What a request may use at most, held before and settled behind, by several ports one after another. */
#include "cmocka_all.h"
#include "holds.h"

#include <stdio.h>
#include <string.h>

typedef struct purse { /* a port that has so many tokens, and says so */
    uint64_t left, answer_tok;
    unsigned held, settled;
    int rc;
    fh_lease refusal;
    fh_spent spent;
} purse;

static int hold(void *ctx, const fh_hold *h, fh_lease *ret, fh_err **err)
{
    purse *p = ctx;
    (void)h;
    if (p->rc) *ret = p->refusal;
    if (p->rc == FH_E_BUSY) return fh_err_set(err, p->rc, "busy");
    if (p->rc) return p->rc;
    ret->id = 7;
    ret->answer_tok = p->answer_tok;
    p->held++;
    return 0;
}

static void settle(void *ctx, const fh_hold *h, const fh_lease *l, const fh_spent *spent)
{
    purse *p = ctx;
    (void)h;
    assert_int_equal(l->id, 7);
    p->settled++;
    p->spent = *spent;
}

static const fh_key key = {.id = "aaaaaaaa"};
static const fh_hold some = {.key = &key, .prompt_tok = 10, .answer_tok = 100};

static int take(purse *a, purse *b, fh_leases *leases, fh_err **err)
{
    const fh_hold_port ports[] = {{a, hold, settle}, {b, hold, settle}};
    return fh_holds_take(ports, 2, &some, leases, err);
}

static void all_ports_hold_and_all_are_settled_once(void **state)
{
    (void)state;
    purse a = {0}, b = {0};
    const fh_hold_port ports[] = {{&a, hold, settle}, {&b, hold, settle}};
    fh_leases leases;
    const fh_spent spent = {.prompt_tok = 9, .answer_tok = 3};
    assert_int_equal(take(&a, &b, &leases, NULL), 0);
    assert_int_equal(leases.held, 2);
    for (int again = 0; again < 2; again++) fh_holds_settle(ports, &some, &leases, &spent);
    assert_int_equal(a.settled, 1);
    assert_int_equal(b.settled, 1);
    assert_int_equal(b.spent.answer_tok, 3);
}

static void when_one_refuses_the_others_get_theirs_back(void **state)
{
    (void)state;
    purse a = {0}, b = {.rc = FH_E_BUSY, .refusal = {.retry_ns = 5}};
    fh_leases leases;
    assert_int_equal(take(&a, &b, &leases, NULL), FH_E_BUSY);
    assert_int_equal(leases.held, 0);
    assert_int_equal(a.settled, 1);
    assert_int_equal(a.spent.prompt_tok + a.spent.answer_tok, 0);
    assert_int_equal(b.settled, 0);
    assert_int_equal(fh_holds_retry_ns(&leases), 5);
}

static void a_budget_that_is_used_up_says_what_is_left_and_when_it_renews(void **state)
{
    (void)state;
    const struct {
        int64_t left;
        const char *text;
    } rows[] = {{0, "0.00 EUR"}, {12000, "0.000012 EUR"}, {1500000000, "1.50 EUR"}, {-1, "-0.000000001 EUR"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        purse a = {0},
              b = {.rc = FH_E_BUDGET, .refusal = {.left_nano = rows[i].left, .currency = "EUR", .renews_utc_ns = 1767225600000000000}};
        FH_AUTO(fh_err) fh_err *err = NULL;
        fh_leases leases;
        assert_int_equal(take(&a, &b, &leases, &err), FH_E_BUDGET);
        assert_non_null(strstr(fh_err_message(err), rows[i].text));
        assert_non_null(strstr(fh_err_hint_get(err), "2026-01-01T00:00Z"));
        assert_int_equal(fh_holds_retry_ns(&leases), 0);
    }
}

static void the_least_that_is_granted_bounds_the_answer(void **state)
{
    (void)state;
    purse a = {.answer_tok = 0}, b = {.answer_tok = 50};
    fh_leases leases;
    assert_int_equal(take(&a, &b, &leases, NULL), 0);
    assert_int_equal(fh_holds_answer_tok(&leases), 50);
    a.answer_tok = 20;
    assert_int_equal(take(&a, &b, &leases, NULL), 0);
    assert_int_equal(fh_holds_answer_tok(&leases), 20);
    a.answer_tok = b.answer_tok = 0;
    assert_int_equal(take(&a, &b, &leases, NULL), 0);
    assert_int_equal(fh_holds_answer_tok(&leases), 0);
}

static void what_is_expected_is_the_prompt_and_the_answer(void **state)
{
    (void)state;
    fh_hold h = some;
    assert_int_equal(fh_hold_guess_tok(&h), 110);
    h.answer_tok = 0;
    assert_int_equal(fh_hold_guess_tok(&h), 266);
    h.no_answer = true;
    assert_int_equal(fh_hold_guess_tok(&h), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ports_hold_and_all_are_settled_once),
        cmocka_unit_test(when_one_refuses_the_others_get_theirs_back),
        cmocka_unit_test(a_budget_that_is_used_up_says_what_is_left_and_when_it_renews),
        cmocka_unit_test(the_least_that_is_granted_bounds_the_answer),
        cmocka_unit_test(what_is_expected_is_the_prompt_and_the_answer),
    };
    return cmocka_run_group_tests_name("gateway/holds", tests, NULL, NULL);
}
