/* How places have worked, and what that is worth. */
#include "cmocka_all.h"

#include "base/clock.h"
#include "base/limits.h"
#include "honesty/work.h"
#include <math.h>

#define DAY_NS (86400 * FH_NS_PER_S)
#define NOW    (INT64_C(1790000000) * FH_NS_PER_S)

static fh_honesty_work worked(double good, double failed)
{
    fh_honesty_work w = {.good = 0}, more = {.good = good, .failed = failed};
    fh_honesty_work_add(&w, &more, NOW);
    return w;
}

static void who_is_not_known_stands_low(void **state)
{
    fh_honesty_work none = {.good = 0};
    assert_int_equal(fh_honesty_standing(&none, FH_HONESTY_UNKNOWN), 42);
    assert_true(fabs(fh_honesty_work_failing(&none) - 0.25) < 1e-9 && fabs(fh_honesty_work_up(&none) - 0.75) < 1e-9);
    assert_true(fh_honesty_work_tok_per_s(&none) <= 0);
}

static void work_and_time_and_honesty_raise_it(void **state)
{
    fh_honesty_work w = worked(200, 0), up = {.up_s = 7 * 86400};
    int by_work = fh_honesty_standing(&w, FH_HONESTY_UNKNOWN);
    fh_honesty_work_add(&w, &up, NOW);
    int by_time = fh_honesty_standing(&w, FH_HONESTY_UNKNOWN), all = fh_honesty_standing(&w, FH_HONESTY_HONEST);
    assert_true(42 < by_work && by_work < by_time && by_time < all && all >= 97);
}

static void failures_and_absence_lower_it_and_cheating_ends_it(void **state)
{
    fh_honesty_work good = worked(100, 0), bad = worked(100, 100), away = worked(100, 0), down = {.down_s = 86400};
    fh_honesty_work_add(&away, &down, NOW);
    assert_true(fh_honesty_standing(&bad, FH_HONESTY_HONEST) < fh_honesty_standing(&good, FH_HONESTY_HONEST) * 6 / 10);
    assert_true(fh_honesty_standing(&away, FH_HONESTY_HONEST) < fh_honesty_standing(&good, FH_HONESTY_HONEST) / 3);
    assert_true(fh_honesty_standing(&good, FH_HONESTY_DOUBTED) < fh_honesty_standing(&good, FH_HONESTY_UNKNOWN) / 2);
    assert_int_equal(fh_honesty_standing(&good, FH_HONESTY_CHEATS), 0);
}

static void what_was_is_forgotten_by_halves(void **state)
{
    fh_honesty_work w = worked(64, 32), none = {.good = 0};
    fh_honesty_work_add(&w, &none, NOW + FH_LIMIT_WORK_HALF_DAYS * DAY_NS);
    assert_true(fabs(w.good - 32) < 1e-6 && fabs(w.failed - 16) < 1e-6);
    fh_honesty_work_add(&w, &none, NOW); /* a clock that was set back */
    assert_true(fabs(w.good - 32) < 1e-6 && w.at_utc_ns == NOW + FH_LIMIT_WORK_HALF_DAYS * DAY_NS);
}

static void speed_is_known_from_enough_tokens_on(void **state)
{
    fh_honesty_work w = {.answer_tok = FH_LIMIT_WORK_SPEED_TOK - 1, .busy_s = 10};
    assert_true(fh_honesty_work_tok_per_s(&w) <= 0);
    w.answer_tok = 300;
    assert_true(fabs(fh_honesty_work_tok_per_s(&w) - 30) < 1e-9);
}

static void it_is_kept_as_it_is(void **state)
{
    fh_honesty_work w = {.good = 1.5, .failed = 2, .answer_tok = 300, .busy_s = 0.25, .up_s = 7, .down_s = 9, .at_utc_ns = NOW}, again;
    FH_AUTO(json) fh_json *doc = fh_honesty_work_write(&w);
    assert_non_null(doc);
    assert_int_equal(fh_honesty_work_read(&again, doc, NULL), 0);
    assert_memory_equal(&w, &again, sizeof w);
}

static void how_fast_it_reads_and_computes_is_known_of_enough_tokens(void **state)
{
    fh_honesty_work w = {
        .decode_tok = FH_LIMIT_WORK_SPEED_TOK - 1, .decode_s = 4, .read_bytes = 8e9, .prompt_tok = 1000, .prompt_s = 5, .prompt_ops = 3e11};
    assert_true(fh_honesty_work_decode_tok_s(&w) <= 0 && fh_honesty_work_read_bytes_s(&w) <= 0);
    assert_true(fabs(fh_honesty_work_prompt_tok_s(&w) - 200) < 1e-9 && fabs(fh_honesty_work_prompt_ops_s(&w) - 6e10) < 1);
    w.decode_tok = 400;
    assert_true(fabs(fh_honesty_work_decode_tok_s(&w) - 100) < 1e-9 && fabs(fh_honesty_work_read_bytes_s(&w) - 2e9) < 1);
    w.prompt_tok = FH_LIMIT_WORK_SPEED_TOK - 1;
    assert_true(fh_honesty_work_prompt_tok_s(&w) <= 0 && fh_honesty_work_prompt_ops_s(&w) <= 0);
}

static void what_is_no_work_is_refused(void **state)
{
    static const char *const bad[] = {"[]", "7", "{\"good\":-1}", "{\"up_s\":1e300}", "{\"at_utc_ns\":-5}"};
    fh_honesty_work w;
    FH_AUTO(json) fh_json *empty = fh_json_new_object();
    assert_int_equal(fh_honesty_work_read(&w, empty, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(json) fh_json *doc = NULL;
        assert_int_equal(fh_json_parse(&doc, fh_str_of(bad[i]), 4096, NULL), 0);
        assert_int_equal(fh_honesty_work_read(&w, doc, NULL), FH_E_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_not_known_stands_low),
                                       cmocka_unit_test(work_and_time_and_honesty_raise_it),
                                       cmocka_unit_test(failures_and_absence_lower_it_and_cheating_ends_it),
                                       cmocka_unit_test(what_was_is_forgotten_by_halves),
                                       cmocka_unit_test(speed_is_known_from_enough_tokens_on),
                                       cmocka_unit_test(how_fast_it_reads_and_computes_is_known_of_enough_tokens),
                                       cmocka_unit_test(it_is_kept_as_it_is),
                                       cmocka_unit_test(what_is_no_work_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
