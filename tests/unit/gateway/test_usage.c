/* What a request used: reckoned in whole numbers, said as JSON, packed and unpacked. */
#include "cmocka_all.h"
#include "base/clock.h"
#include "base/err.h"
#include "gateway/usage.h"
#include "json/json.h"

static fh_usage some_usage(void)
{
    fh_usage u = {.request = FH_STR("req_1"),
                  .key = FH_STR("abcdefgh"),
                  .began_utc_ns = 1764380000000000000,
                  .duration_ns = 1500000000,
                  .operation = FH_STR("chat"),
                  .model = FH_STR("m"),
                  .deployment = FH_STR("d2"),
                  .place = FH_STR("here"),
                  .reason = FH_STR("it was \"asked\" for"),
                  .others = FH_STR("n 0.50"),
                  .cache = FH_STR("off"),
                  .finish = FH_STR("stop"),
                  .stream = true,
                  .complete = true,
                  .used = {.prompt_tok = 1000,
                           .completion_tok = 300,
                           .counted = FH_COUNTED_FREEHOLD,
                           .covers = FH_COVERS_TEXT,
                           .has_upstream = true,
                           .upstream_prompt_tok = 1100,
                           .upstream_completion_tok = 301,
                           .differs = true},
                  .failover_count = 1};
    u.failovers[0] = (fh_usage_failover){FH_STR("d1"), FH_E_UPSTREAM, 12};
    fh_usage_reckon(&u, &(fh_price){.known = true, .in_nusd = 250000000, .out_nusd = 1250000001, .token_uj = 165000});
    return u;
}

static void money_is_reckoned_in_whole_numbers_and_rounded_up(void **state)
{
    char text[FH_MONEY_CHARS];
    assert_int_equal(fh_usage_cost(1000, 300, 250000000, 1250000000), 625000);
    assert_int_equal(fh_usage_cost(1, 0, 1, 1), 1);
    assert_int_equal(fh_usage_cost(0, 0, 5, 5), 0);
    assert_int_equal(fh_usage_cost(UINT64_MAX, UINT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX / 1000000 + 1);
    const struct {
        int64_t nano;
        const char *text;
    } rows[] = {{0, "0.00"},
                {12000, "0.000012"},
                {1500000000, "1.50"},
                {-1, "-0.000000001"},
                {INT64_MAX, "9223372036.854775807"},
                {INT64_MIN, "-9223372036.854775808"}};
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_money_write(rows[i].nano, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void what_nobody_counted_is_four_bytes_a_token(void **state)
{
    assert_int_equal(fh_usage_estimate(0), 0);
    assert_int_equal(fh_usage_estimate(1), 1);
    assert_int_equal(fh_usage_estimate(4), 1);
    assert_int_equal(fh_usage_estimate(5), 2);
}

static fh_json *parsed(void (*write)(const fh_usage *u, fh_buf *out), const fh_usage *u)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 16);
    fh_json *doc = NULL;
    write(u, &text);
    assert_int_equal(fh_json_parse(&doc, (fh_str){fh_buf_cstr(&text), text.len}, 1 << 16, NULL), 0);
    return doc;
}

static const char *text_of(const fh_json *doc, const char *name)
{
    return fh_json_str(fh_json_get(doc, name)).ptr;
}

static void a_record_says_who_counted_and_what_it_cost(void **state)
{
    fh_usage u = some_usage();
    FH_AUTO(json) fh_json *doc = parsed(fh_usage_write, &u), *brief = parsed(fh_usage_write_brief, &u);
    for (int i = 0; i < 2; i++) {
        const fh_json *o = i ? brief : doc;
        assert_string_equal(text_of(o, "request"), "req_1");
        assert_string_equal(text_of(o, "reason"), "it was \"asked\" for");
        assert_string_equal(text_of(o, "counted"), "freehold");
        assert_string_equal(text_of(o, "covers"), "text");
        assert_string_equal(text_of(o, "cost"), "0.000625001");
        assert_string_equal(text_of(o, "currency"), "USD");
        assert_string_equal(text_of(o, "basis"), "modelled");
        assert_int_equal(fh_json_int(fh_json_get(o, "energy_uj"), 0), 300 * 165000);
        assert_int_equal(fh_json_int(fh_json_get(o, "upstream_prompt_tokens"), 0), 1100);
        const fh_json *moved = fh_json_at(fh_json_get(o, "failovers"), 0);
        assert_string_equal(text_of(moved, "deployment"), "d1");
        assert_int_equal(fh_json_int(fh_json_get(moved, "at_token"), 0), 12);
    }
    assert_int_equal(fh_json_int(fh_json_get(doc, "duration_ms"), 0), 1500);
    assert_string_equal(text_of(doc, "time"), "2025-11-29T01:33:20.000Z");
}

static void what_is_not_known_is_null(void **state)
{
    fh_usage u = {.request = FH_STR("req_2"), .operation = FH_STR("chat"), .cache = FH_STR("off")};
    fh_usage_reckon(&u, &(fh_price){.known = false});
    FH_AUTO(json) fh_json *doc = parsed(fh_usage_write, &u);
    const char *const names[] = {"cost", "energy_uj", "water_ul", "counted", "upstream_prompt_tokens", "model", "error", "finish_reason"};
    for (size_t i = 0; i < FH_COUNT(names); i++) assert_int_equal(fh_json_kind_of(fh_json_get(doc, names[i])), FH_JSON_NULL);
    assert_string_equal(text_of(doc, "basis"), "unknown");
}

static void same(const fh_usage *a, const fh_usage *b)
{
    FH_AUTO(buf) fh_buf x = FH_BUF(1 << 16);
    FH_AUTO(buf) fh_buf y = FH_BUF(1 << 16);
    fh_usage_write(a, &x);
    fh_usage_write(b, &y);
    assert_string_equal(fh_buf_cstr(&x), fh_buf_cstr(&y));
}

static void what_is_packed_comes_out_as_it_was(void **state)
{
    FH_AUTO(buf) fh_buf packed = FH_BUF(1 << 16);
    fh_usage in[3] = {some_usage(), some_usage(), {.request = FH_STR("req_3"), .code = FH_E_UPSTREAM, .duration_ns = -1}},
             out = {.code = 0};
    in[1].request = FH_STR("req_2");
    size_t first = 0;
    for (size_t i = 0; i < 3; i++) {
        fh_usage_pack(&in[i], i ? &in[i - 1] : NULL, &packed);
        if (i == 0) first = packed.len;
    }
    fh_str rest = {packed.data, packed.len};
    for (size_t i = 0; i < 3; i++) {
        assert_true(fh_usage_unpack(&rest, &out));
        same(&in[i], &out);
    }
    assert_false(fh_usage_unpack(&rest, &out));
    assert_true(packed.len < 2 * first); /* the second shares its texts with the first */
}

static void what_is_cut_or_broken_is_no_record(void **state)
{
    FH_AUTO(buf) fh_buf packed = FH_BUF(1 << 16);
    fh_usage u = some_usage(), out;
    fh_usage_pack(&u, NULL, &packed);
    for (size_t n = 0; n < packed.len; n++) {
        char *cut = fh_strndup(packed.data, n);
        fh_str rest = {cut, n};
        out = (fh_usage){.code = 0};
        assert_false(fh_usage_unpack(&rest, &out));
        assert_int_equal(rest.len, n);
        fh_free(cut);
    }
    for (size_t i = 0; i < packed.len; i++) {
        char kept = packed.data[i];
        packed.data[i] = (char)0xff;
        fh_str rest = {packed.data, packed.len};
        out = (fh_usage){.code = 0};
        if (fh_usage_unpack(&rest, &out)) assert_true(out.failover_count <= FH_LIMIT_RECORD_ATTEMPTS);
        packed.data[i] = kept;
    }
}

static void what_no_request_can_have_used_is_no_record(void **state)
{
    FH_AUTO(buf) fh_buf packed = FH_BUF(1 << 16);
    fh_usage u = some_usage(), out = {.code = 0};
    u.used.reasoning_tok = (uint64_t)INT64_MAX + 1;
    fh_usage_pack(&u, NULL, &packed);
    fh_str rest = {packed.data, packed.len};
    assert_false(fh_usage_unpack(&rest, &out));
}

static void a_clock_that_was_set_back_makes_no_time_negative(void **state)
{
    fh_usage u = {
        .request = FH_STR("req_2"), .duration_ns = -5 * FH_NS_PER_S, .queued_ns = -FH_NS_PER_S, .has_energy = true, .energy_uj = -1};
    FH_AUTO(json) fh_json *doc = parsed(fh_usage_write, &u);
    assert_int_equal(fh_json_int(fh_json_get(doc, "duration_ms"), -1), 0);
    assert_int_equal(fh_json_int(fh_json_get(doc, "queued_ms"), -1), 0);
    assert_int_equal(fh_json_kind_of(fh_json_get(doc, "energy_uj")), FH_JSON_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money_is_reckoned_in_whole_numbers_and_rounded_up),
        cmocka_unit_test(what_nobody_counted_is_four_bytes_a_token),
        cmocka_unit_test(a_record_says_who_counted_and_what_it_cost),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(what_is_packed_comes_out_as_it_was),
        cmocka_unit_test(what_is_cut_or_broken_is_no_record),
        cmocka_unit_test(what_no_request_can_have_used_is_no_record),
        cmocka_unit_test(a_clock_that_was_set_back_makes_no_time_negative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
