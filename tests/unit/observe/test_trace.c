/* W3C trace context: what is taken, what is not, and what is written again. */
#include "cmocka_all.h"
#include "base/limits.h"
#include "base/mem.h"
#include "observe/trace.h"

#include <stdio.h>

#define ID   "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static bool reads(const char *text)
{
    fh_trace t;
    return fh_traceparent_read(fh_str_of(text), &t);
}

static void a_traceparent_is_read_and_written_again(void **state)
{
    (void)state;
    fh_trace t;
    char text[FH_TRACEPARENT_LEN + 1];
    static const uint8_t span[FH_SPAN_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 0xff};
    assert_true(fh_traceparent_read(FH_STR("00-" ID "-" SPAN "-01"), &t));
    assert_int_equal(t.id[0], 0x0a);
    assert_int_equal(t.parent[7], 0x31);
    assert_int_equal(t.flags, FH_TRACE_SAMPLED);
    fh_traceparent_write(&t, span, text);
    assert_string_equal(text, "00-" ID "-01020304050607ff-01");
}

static void a_broken_traceparent_is_none(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "00",
        "00-" ID "-" SPAN,
        "00-" ID "-" SPAN "-1",
        "00-" ID "-" SPAN "-01-",
        "00-" ID "-" SPAN "-01-more",
        "00-" ID "-" SPAN "-0g",
        "00-" ID "-" SPAN "-0A",
        "ff-" ID "-" SPAN "-01",
        "FE-" ID "-" SPAN "-01",
        "cc-" ID "-" SPAN "-01more",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" ID "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00_" ID "-" SPAN "-01",
        "00-" ID "_" SPAN "-01",
        "00-" ID "-" SPAN "_01",
        " 00-" ID "-" SPAN "-01",
    };
    for (size_t i = 0; i < FH_COUNT(broken); i++)
        if (reads(broken[i])) fail_msg("'%s' was taken", broken[i]);
}

static void a_later_version_is_read_as_far_as_it_is_known(void **state)
{
    (void)state;
    assert_true(reads("01-" ID "-" SPAN "-01"));
    assert_true(reads("cc-" ID "-" SPAN "-01-what-the-future-will-be-like"));
}

static void unknown_flags_are_dropped(void **state)
{
    (void)state;
    fh_trace t;
    assert_true(fh_traceparent_read(FH_STR("00-" ID "-" SPAN "-ff"), &t));
    assert_int_equal(t.flags, FH_TRACE_SAMPLED | FH_TRACE_RANDOM);
}

static void a_good_tracestate_may_be_passed_on(void **state)
{
    (void)state;
    static const char *const good[] = {"foo=1", "foo=1,bar=2", "foo=1 , bar=2\t,\tbaz=3", "foo=1,,bar=2", "tenant@system=x", "a-_*/b=!~: ;",
                                       "0a=1",  "foo= 1"};
    for (size_t i = 0; i < FH_COUNT(good); i++)
        if (!fh_tracestate_valid(fh_str_of(good[i]))) fail_msg("'%s' was not taken", good[i]);
}

static void a_broken_tracestate_is_dropped(void **state)
{
    (void)state;
    static const char *const broken[] = {"",         " ",       ",",       "foo",         "foo=",   "=1",      "foo=1,foo=2",
                                         "FOO=1",    "foo =1",  "foo=1=2", "foo@=1",      "@foo=1", "a@b@c=1", "foo.bar=1",
                                         "foo=\x7f", "foo=1\r", "\rfoo=1", "foo=\xc3\xa9"};
    for (size_t i = 0; i < FH_COUNT(broken); i++)
        if (fh_tracestate_valid(fh_str_of(broken[i]))) fail_msg("'%s' was taken", broken[i]);
}

static void a_tracestate_has_its_bounds(void **state)
{
    (void)state;
    char text[2048] = "";
    size_t used = 0;
    for (int i = 0; i < FH_LIMIT_TRACESTATE_MEMBERS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%sk%d=v", i ? "," : "", i);
    assert_true(fh_tracestate_valid((fh_str){text, used}));
    used += (size_t)snprintf(text + used, sizeof text - used, ",one=more");
    assert_false(fh_tracestate_valid((fh_str){text, used}));
    used = (size_t)snprintf(text, sizeof text, "a=%0256d,b=%0252d", 1, 1);
    assert_int_equal(used, FH_LIMIT_TRACESTATE_BYTES + 1);
    assert_false(fh_tracestate_valid((fh_str){text, used}));
    assert_true(fh_tracestate_valid((fh_str){text, used - 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_read_and_written_again),
        cmocka_unit_test(a_broken_traceparent_is_none),
        cmocka_unit_test(a_later_version_is_read_as_far_as_it_is_known),
        cmocka_unit_test(unknown_flags_are_dropped),
        cmocka_unit_test(a_good_tracestate_may_be_passed_on),
        cmocka_unit_test(a_broken_tracestate_is_dropped),
        cmocka_unit_test(a_tracestate_has_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
