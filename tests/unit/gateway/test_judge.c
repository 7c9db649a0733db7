/* Whether an answer does what was asked for. */
#include "cmocka_all.h"
#include "judge.h"
#include "torture.h"

#include <stdio.h>

#define TOOLS                                                                                                                              \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{"         \
    "\"type\":\"integer\"}},\"required\":[\"a\"]}}},{\"type\":\"function\",\"function\":{\"name\":\"now\"}}],"
#define FORM                                                                                                                               \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\",\"required\":[\"x\"],"  \
    "\"properties\":{\"x\":{\"type\":\"integer\"}}}}},"

typedef struct told {
    const char *text, *tool, *arguments;
    fh_wire_finish finish;
} told;

static fh_judge *judge(const char *members)
{
    char body[2048];
    fh_wire_request r;
    snprintf(body, sizeof body, "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", members);
    assert_int_equal(fh_wire_chat_parse(&r, fh_str_of(body), NULL), 0);
    fh_judge *j = fh_judge_new(&r);
    fh_wire_request_fini(&r); /* what it needs it has */
    assert_non_null(j);
    return j;
}

static void tell(fh_judge *j, const told *t)
{
    fh_wire_event begin = {.kind = FH_EVENT_BEGIN}, end = {.kind = FH_EVENT_FINISH, .finish = t->finish};
    fh_judge_event(j, &begin, NULL);
    if (t->text) fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_TEXT, .text = fh_str_of(t->text)}, NULL);
    if (t->tool) fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_CALL, .name = fh_str_of(t->tool)}, NULL);
    if (t->arguments) fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_ARGUMENTS, .text = fh_str_of(t->arguments)}, NULL);
    fh_judge_event(j, &end, NULL);
}

static fh_verdict verdict(const char *members, told t)
{
    FH_AUTO(fh_judge) fh_judge *j = judge(members);
    tell(j, &t);
    return fh_judge_verdict(j);
}

static void a_plain_answer_is_only_known_to_have_come(void **state)
{
    assert_int_equal(verdict("", (told){.text = "hello"}), FH_VERDICT_PLAIN);
    assert_int_equal(verdict("", (told){.text = NULL}), FH_VERDICT_EMPTY);
    FH_AUTO(fh_judge) fh_judge *j = judge("");
    assert_false(fh_judge_can(j));
    assert_int_equal(fh_judge_verdict(j), FH_VERDICT_NONE);
}

static void the_form_that_was_asked_for_is_checked(void **state)
{
    assert_int_equal(verdict(FORM, (told){.text = "{\"x\":1}"}), FH_VERDICT_GOOD);
    assert_int_equal(verdict(FORM, (told){.text = "{\"x\":\"1\"}"}), FH_VERDICT_FORM);
    assert_int_equal(verdict(FORM, (told){.text = "Sure! {\"x\":1}"}), FH_VERDICT_FORM);
    assert_int_equal(verdict("\"response_format\":{\"type\":\"json_object\"},", (told){.text = "[1]"}), FH_VERDICT_FORM);
    assert_int_equal(verdict("\"response_format\":{\"type\":\"json_object\"},", (told){.text = "{}"}), FH_VERDICT_GOOD);
    assert_int_equal(verdict("\"response_format\":{\"type\":\"text\"},", (told){.text = "x"}), FH_VERDICT_PLAIN);
}

static void tool_calls_are_checked(void **state)
{
    assert_int_equal(verdict(TOOLS, (told){.tool = "add", .arguments = "{\"a\":1}", .finish = FH_FINISH_TOOL_CALLS}), FH_VERDICT_GOOD);
    assert_int_equal(verdict(TOOLS, (told){.tool = "add", .arguments = "{\"a\":", .finish = FH_FINISH_TOOL_CALLS}), FH_VERDICT_CALL);
    assert_int_equal(verdict(TOOLS, (told){.tool = "add", .arguments = "{}", .finish = FH_FINISH_TOOL_CALLS}), FH_VERDICT_CALL);
    assert_int_equal(verdict(TOOLS, (told){.tool = "sub", .arguments = "{}", .finish = FH_FINISH_TOOL_CALLS}), FH_VERDICT_CALL);
    assert_int_equal(verdict(TOOLS, (told){.tool = "now", .finish = FH_FINISH_TOOL_CALLS}), FH_VERDICT_GOOD);
    assert_int_equal(verdict(TOOLS, (told){.text = "no need"}), FH_VERDICT_PLAIN);
    assert_int_equal(verdict(TOOLS "\"tool_choice\":\"required\",", (told){.text = "no need"}), FH_VERDICT_NO_CALL);
    assert_int_equal(verdict(TOOLS "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"now\"}},",
                             (told){.tool = "add", .arguments = "{\"a\":1}"}),
                     FH_VERDICT_NO_CALL);
}

static void what_was_cut_or_filtered_is_not_judged(void **state)
{
    assert_int_equal(verdict(FORM, (told){.text = "{\"x\"", .finish = FH_FINISH_LENGTH}), FH_VERDICT_NONE);
    assert_int_equal(verdict(FORM, (told){.text = "no", .finish = FH_FINISH_CONTENT_FILTER}), FH_VERDICT_NONE);
}

static void a_second_answer_is_judged_afresh(void **state)
{
    FH_AUTO(fh_judge) fh_judge *j = judge(FORM);
    assert_true(fh_judge_can(j));
    tell(j, &(told){.text = "nonsense"});
    assert_true(fh_verdict_bad(fh_judge_verdict(j)) && fh_verdict_text(fh_judge_verdict(j))[0]);
    fh_judge_again(j);
    tell(j, &(told){.text = "{\"x\":2}"});
    assert_int_equal(fh_judge_verdict(j), FH_VERDICT_GOOD);
}

static void more_than_it_looks_at_is_not_judged(void **state)
{
    FH_AUTO(fh_judge) fh_judge *j = judge(TOOLS), *several = judge("");
    for (uint32_t i = 0; i < 200; i++) fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_CALL, .call = i, .name = FH_STR("now")}, NULL);
    tell(j, &(told){.text = "x"});
    assert_int_equal(fh_judge_verdict(j), FH_VERDICT_NONE);
    fh_judge_event(several, &(fh_wire_event){.kind = FH_EVENT_TEXT, .choice = 1, .text = FH_STR("x")}, NULL);
    tell(several, &(told){.text = "x"});
    assert_int_equal(fh_judge_verdict(several), FH_VERDICT_NONE);
}

/* Out of memory an answer is not judged, or judged right: never called bad for it. */
static int tortured(void *arg)
{
    fh_wire_request *r = arg;
    FH_AUTO(fh_judge) fh_judge *j = fh_judge_new(r);
    if (!j) return FH_E_NOMEM;
    tell(j, &(told){.text = "{\"x\":1}"});
    fh_verdict v = fh_judge_verdict(j);
    assert_true(v == FH_VERDICT_GOOD || v == FH_VERDICT_NONE || fh_fault_struck());
    return v == FH_VERDICT_GOOD ? 0 : FH_E_NOMEM;
}

static void failing_allocations_leave_it_whole(void **state)
{
    fh_wire_request r;
    assert_int_equal(fh_wire_chat_parse(&r, FH_STR("{\"model\":\"m\"," FORM "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), NULL),
                     0);
    assert_true(fh_torture(FH_FAULT_ALLOC, tortured, &r, 100) > 0);
    fh_wire_request_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_answer_is_only_known_to_have_come),
        cmocka_unit_test(the_form_that_was_asked_for_is_checked),
        cmocka_unit_test(tool_calls_are_checked),
        cmocka_unit_test(what_was_cut_or_filtered_is_not_judged),
        cmocka_unit_test(a_second_answer_is_judged_afresh),
        cmocka_unit_test(more_than_it_looks_at_is_not_judged),
        cmocka_unit_test(failing_allocations_leave_it_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
