/* Series of counters: who is counted where, how many there may be, and the text that comes of them. */
#include "cmocka_all.h"
#include "base/err.h"
#include "base/str.h"
#include "metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct world {
    fh_series_table *table;
    fh_series_set *lanes[2];
    fh_buf out;
} world;

static int setup(void **state)
{
    world *w = fh_calloc(1, sizeof *w);
    w->table = fh_series_table_new();
    for (size_t i = 0; i < 2; i++) w->lanes[i] = fh_calloc(1, sizeof *w->lanes[i]);
    w->out = FH_BUF(64 << 20);
    assert_non_null(w->table);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < 2; i++) {
        fh_series_set_fini(w->lanes[i]);
        fh_free(w->lanes[i]);
    }
    fh_series_table_free(w->table);
    fh_buf_fini(&w->out);
    fh_free(w);
    return 0;
}

static fh_series_labels labels(const char *model, int code)
{
    fh_series_labels l = {.operation = FH_OP_CHAT, .code = code, .provider = "freehold", .key_class = "normal"};
    snprintf(l.model, sizeof l.model, "%s", model);
    return l;
}

static fh_series *find(world *w, size_t lane, const char *model, int code)
{
    fh_series_labels l = labels(model, code);
    return fh_series_find(w->table, w->lanes[lane], &l);
}

static const char *text(world *w)
{
    const fh_series_set *const sets[] = {w->lanes[0], w->lanes[1]};
    fh_buf_clear(&w->out);
    fh_series_write(w->table, sets, 2, &w->out);
    assert_true(fh_buf_ok(&w->out));
    return fh_buf_cstr(&w->out);
}

static void has(world *w, const char *line)
{
    if (!strstr(text(w), line)) fail_msg("'%s' is not in\n%s", line, text(w));
}

#define M "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"freehold\",gen_ai_request_model=\"m\",freehold_key_class=\"normal\""

static void measure(fh_series *s, fh_measure m, int64_t value)
{
    fh_histogram_add(&s->measures[m], m, value);
}

static void lanes_are_summed(void **state)
{
    world *w = *state;
    fh_counter_add(&find(w, 0, "m", 0)->tallies[FH_TALLY_FINISHED], 2);
    fh_counter_add(&find(w, 1, "m", 0)->tallies[FH_TALLY_FINISHED], 3);
    fh_counter_add(&find(w, 1, "m", FH_E_NOT_FOUND)->tallies[FH_TALLY_FAILED], 1);
    has(w, "\nfreehold_gateway_requests_total{" M "} 5\n");
    has(w, "\nfreehold_gateway_failures_total{" M ",error_type=\"not_found\"} 1\n");
}

static void the_same_labels_are_the_same_series(void **state)
{
    world *w = *state;
    assert_ptr_equal(find(w, 0, "m", 0), find(w, 0, "m", 0));
    assert_ptr_not_equal(find(w, 0, "m", 0), find(w, 0, "n", 0));
    assert_ptr_not_equal(find(w, 0, "m", 0), find(w, 0, "m", FH_E_BUSY));
    assert_ptr_not_equal(find(w, 0, "m", 0), find(w, 1, "m", 0));
}

static void a_histogram_has_the_bounds_of_the_convention(void **state)
{
    world *w = *state;
    fh_series *s = find(w, 0, "m", 0);
    measure(s, FH_MEASURE_DURATION, 10000000); /* on a bound: below or equal */
    measure(s, FH_MEASURE_DURATION, 5000000000);
    measure(s, FH_MEASURE_DURATION, 100000000000);
    measure(s, FH_MEASURE_TOKENS_IN, 17);
    has(w, "gen_ai_server_request_duration_seconds_bucket{" M ",le=\"0.01\"} 1\n");
    has(w, "gen_ai_server_request_duration_seconds_bucket{" M ",le=\"2.56\"} 1\n");
    has(w, "gen_ai_server_request_duration_seconds_bucket{" M ",le=\"5.12\"} 2\n");
    has(w, "gen_ai_server_request_duration_seconds_bucket{" M ",le=\"81.92\"} 2\n");
    has(w, "gen_ai_server_request_duration_seconds_bucket{" M ",le=\"+Inf\"} 3\n");
    has(w, "gen_ai_server_request_duration_seconds_sum{" M "} 105.01\n");
    has(w, "gen_ai_server_request_duration_seconds_count{" M "} 3\n");
    has(w, "gen_ai_client_token_usage_bucket{" M ",gen_ai_token_type=\"input\",le=\"16\"} 0\n");
    has(w, "gen_ai_client_token_usage_bucket{" M ",gen_ai_token_type=\"input\",le=\"64\"} 1\n");
    has(w, "gen_ai_client_token_usage_sum{" M ",gen_ai_token_type=\"input\"} 17\n");
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text++) n++;
    return n;
}

static void a_name_is_described_once(void **state)
{
    world *w = *state;
    measure(find(w, 0, "m", 0), FH_MEASURE_TOKENS_IN, 1);
    measure(find(w, 0, "m", 0), FH_MEASURE_TOKENS_OUT, 1);
    assert_int_equal(count_of(text(w), "# TYPE gen_ai_client_token_usage histogram\n"), 1);
}

static void models_beyond_the_bound_are_counted_together(void **state)
{
    world *w = *state;
    char name[32];
    for (int i = 0; i < 3 * FH_LIMIT_METRIC_SERIES; i++) {
        snprintf(name, sizeof name, "model-%d", i);
        fh_counter_add(&find(w, (size_t)i % 2, name, 0)->tallies[FH_TALLY_FINISHED], 1);
    }
    char other[256];
    snprintf(
        other, sizeof other,
        "freehold_gateway_requests_total{gen_ai_operation_name=\"other\",gen_ai_provider_name=\"other\",gen_ai_request_model=\"other\","
        "freehold_key_class=\"other\"} %d\n",
        2 * FH_LIMIT_METRIC_SERIES + 1);
    has(w, other);
    assert_int_equal(count_of(text(w), "\nfreehold_gateway_requests_total{"), FH_LIMIT_METRIC_SERIES);
}

static void a_name_cannot_break_the_text(void **state)
{
    world *w = *state;
    fh_counter_add(&find(w, 0, "a\"b\\c\nd", 0)->tallies[FH_TALLY_CUT], 1);
    has(w, "gen_ai_request_model=\"a\\\"b\\\\c\\nd\"");
    char cut[128];
    memset(cut, 'x', sizeof cut);
    memcpy(cut + 126, "\xc3", 2); /* half a character */
    fh_counter_add(&find(w, 0, cut, 0)->tallies[FH_TALLY_CUT], 1);
    assert_true(fh_utf8_valid(text(w), strlen(text(w))));
}

typedef struct adding {
    world *w;
    size_t lane;
} adding;

static void *add_many(void *arg)
{
    const adding *a = arg;
    char name[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "model-%d", i % 50);
        fh_counter_add(&find(a->w, a->lane, name, 0)->tallies[FH_TALLY_FINISHED], 1);
    }
    return NULL;
}

static void lanes_add_while_somebody_reads(void **state)
{
    world *w = *state;
    adding list[2] = {{w, 0}, {w, 1}};
    pthread_t threads[2];
    uint64_t sums[FH_TALLIES];
    const fh_series_set *const sets[] = {w->lanes[0], w->lanes[1]};
    for (size_t i = 0; i < 2; i++) pthread_create(&threads[i], NULL, add_many, &list[i]);
    for (int i = 0; i < 20; i++) text(w);
    for (size_t i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    fh_series_sum(w->table, sets, 2, sums);
    assert_int_equal(sums[FH_TALLY_FINISHED], 40000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lanes_are_summed),
        TEST(the_same_labels_are_the_same_series),
        TEST(a_histogram_has_the_bounds_of_the_convention),
        TEST(a_name_is_described_once),
        TEST(models_beyond_the_bound_are_counted_together),
        TEST(a_name_cannot_break_the_text),
        TEST(lanes_add_while_somebody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
