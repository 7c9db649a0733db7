/* Each allocation of parse, build and write fails in turn: always "out of memory", never a leak, never another error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/fault.h"
#include "json/json.h"

static int parse_and_write(void)
{
    FH_AUTO(json) fh_json *v = NULL;
    int rc = fh_json_parse(&v, FH_STR("{\"a\":[1,2.5,\"text\",null,true],\"b\":{\"c\":\"d\"},\"e\":[[[]]]}"), 1000, NULL);
    if (rc) return rc;
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    rc = fh_json_write(v, &out, NULL);
    if (rc) return rc;
    return fh_json_write_pretty(v, &out, NULL);
}

/* Longer than what jansson's reader begins with, so that its buffer grows. */
static int parse_long_strings(void)
{
    FH_AUTO(json) fh_json *v = NULL;
    return fh_json_parse(
        &v,
        FH_STR("{\"a key that is longer than that\":\"a text, \\u00e9\\n\\\"quoted\\\", that is a good deal longer than that\","
               "\"n\":12345678901234567}"),
        1000, NULL);
}

static int build(void)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = fh_json_set(o, "s", fh_json_new_str(FH_STR("a\xff")));
    ok = fh_json_set(o, "n", fh_json_new_cstr("text")) && ok;
    fh_json *a = fh_json_new_array();
    ok = fh_json_append(a, fh_json_new_int(1)) && ok;
    ok = fh_json_append(a, fh_json_new_real(1.5)) && ok;
    ok = fh_json_set(o, "a", a) && ok;
    return ok ? 0 : FH_E_NOMEM;
}

static void torture(int (*scenario)(void))
{
    for (uint64_t nth = 1;; nth++) {
        fh_fault_arm(FH_FAULT_ALLOC, nth, false);
        int rc = scenario();
        bool struck = fh_fault_struck();
        fh_fault_disarm();
        assert_int_equal(rc, struck ? FH_E_NOMEM : 0);
        if (!struck) {
            assert_true(nth > 5);
            return;
        }
    }
}

static void every_allocation_may_fail_while_parsing_and_writing(void **state)
{
    torture(parse_and_write);
    torture(parse_long_strings);
}

static void every_allocation_may_fail_while_building(void **state)
{
    torture(build);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail_while_parsing_and_writing),
        cmocka_unit_test(every_allocation_may_fail_while_building),
    };
    return cmocka_run_group_tests_name("json_torture", tests, NULL, NULL);
}
