/* Tool calls that are forced by a form of the answer: what is asked for, and what is read as a call. */
#include "cmocka_all.h"
#include "torture.h"
#include "wire/forced.h"

#define ASK "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define F                                                                                                                                  \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/"   \
    "x\"}}}}}"
#define G "{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"
#define FORM(alternatives)                                                                                                                 \
    "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"tool_call\",\"strict\":true,\"schema\":{\"anyOf\":[" alternatives "]}}}"
#define ALTERNATIVE(name, arguments)                                                                                                       \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"" name "\"},\"arguments\":" arguments                                      \
    "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}"
#define NOTHING "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"

static uint32_t needs_of(const char *body)
{
    fh_wire_request r;
    assert_int_equal(fh_wire_chat_parse(&r, fh_str_of(body), NULL), 0);
    uint32_t needs = fh_wire_forced_needs(&r);
    fh_wire_request_fini(&r);
    return needs;
}

static void only_a_call_that_must_be_is_forced(void **state)
{
    const uint32_t forced = FH_NEED_BIT(TOOL_CHOICE) | FH_NEED_BIT(ONE_CALL);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "],\"tool_choice\":\"required\"}"), forced);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}"), forced);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "]}"), 0);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "],\"tool_choice\":{\"type\":\"allowed_tools\"}}"), 0);
    assert_int_equal(needs_of(ASK ",\"tool_choice\":\"required\"}"), 0);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "],\"tool_choice\":\"required\",\"n\":2}"), 0);
    assert_int_equal(needs_of(ASK ",\"tools\":[" F "],\"tool_choice\":\"required\",\"response_format\":{\"type\":\"json_object\"}}"), 0);
}

static int write_form(const char *body, fh_buf *out, fh_err **err)
{
    fh_wire_request r;
    int rc = fh_wire_chat_parse(&r, fh_str_of(body), err);
    if (rc) return rc;
    rc = fh_wire_forced_format(&r, out, err);
    fh_wire_request_fini(&r);
    return rc;
}

static void expect_form(const char *body, const char *want)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    assert_int_equal(write_form(body, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), want);
}

static void the_form_has_an_alternative_for_each_tool_and_its_references_lead_where_they_led(void **state)
{
    expect_form(ASK ",\"tools\":[" G "," F "],\"tool_choice\":\"required\"}",
                FORM(ALTERNATIVE("g", NOTHING) "," ALTERNATIVE(
                    "f", "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/anyOf/1/properties/arguments/$defs/x\"}}}")));
    expect_form(ASK ",\"tools\":[" F "," G "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}",
                FORM(ALTERNATIVE("g", NOTHING)));
}

static void a_choice_that_is_no_tool_is_named(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    FH_AUTO(fh_err) fh_err *err = NULL;
    const char *body = ASK ",\"tools\":[" F "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"h\"}}}";
    assert_int_equal(write_form(body, &out, &err), FH_E_INVALID);
    assert_string_equal(fh_err_param_get(err), "tool_choice");
}

/* ---- reading ---- */

static int note(void *ctx, const fh_wire_event *e, fh_err **err)
{
    fh_buf *seen = ctx;
    if (e->kind == FH_EVENT_CALL)
        fh_buf_addf(seen, "<%.*s %.*s>", (int)e->id.len, e->id.ptr, (int)e->name.len, e->name.ptr);
    else if (e->kind == FH_EVENT_FINISH)
        fh_buf_addf(seen, "<%s>", fh_wire_finish_name(e->finish));
    else if (e->text.len)
        fh_buf_add(seen, e->text.ptr, e->text.len);
    return fh_buf_check(seen, err, "what was seen");
}

/* piece: bytes that come at once. */
static int read_answer(const char *text, size_t piece, fh_wire_finish finish, fh_buf *seen, fh_err **err)
{
    FH_AUTO(fh_wire_forced) fh_wire_forced *f = NULL;
    int rc = fh_wire_forced_new(&f, note, seen, err);
    fh_wire_event begin = {.kind = FH_EVENT_BEGIN, .id = FH_STR("chatcmpl-7")},
                  thought = {.kind = FH_EVENT_REASONING, .text = FH_STR("hm")};
    if (rc == 0) rc = fh_wire_forced_event(f, &begin, err);
    if (rc == 0) rc = fh_wire_forced_event(f, &thought, err);
    for (size_t at = 0, len = strlen(text); rc == 0 && at < len; at += piece) {
        fh_wire_event e = {.kind = FH_EVENT_TEXT, .text = {text + at, FH_MIN(piece, len - at)}};
        rc = fh_wire_forced_event(f, &e, err);
    }
    fh_wire_event end = {.kind = FH_EVENT_FINISH, .finish = finish};
    return rc ? rc : fh_wire_forced_event(f, &end, err);
}

static void wherever_it_is_cut_the_answer_is_the_same_call(void **state)
{
    static const struct {
        const char *text;
        fh_wire_finish finish;
        const char *want;
    } rows[] = {
        {"{\"name\":\"f\",\"arguments\":{\"a\":[1,{}]}}", FH_FINISH_STOP, "hm<call_7 f>{\"a\":[1,{}]}<tool_calls>"},
        {" { \"name\" : \"f\" ,\n \"arguments\" :\t{ } } ", FH_FINISH_STOP, "hm<call_7 f>{ }<tool_calls>"},
        {"{\"name\":\"arguments\",\"arguments\":{\"x\":\"}\\\"{\\\\\"}}", FH_FINISH_STOP,
         "hm<call_7 arguments>{\"x\":\"}\\\"{\\\\\"}<tool_calls>"},
        {"{\"name\":\"f\",\"arguments\":{\"a\":[1", FH_FINISH_LENGTH, "hm<call_7 f>{\"a\":[1<length>"},
        {"{\"name\":\"f", FH_FINISH_LENGTH, "hm<length>"},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
            FH_AUTO(buf) fh_buf seen = FH_BUF(1 << 16);
            assert_int_equal(read_answer(rows[i].text, piece, rows[i].finish, &seen, NULL), 0);
            assert_string_equal(fh_buf_cstr(&seen), rows[i].want);
        }
    }
}

static void long_arguments_come_whole(void **state)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20), seen = FH_BUF(1 << 20);
    fh_buf_adds(&text, "{\"name\":\"f\",\"arguments\":{\"a\":\"");
    for (int i = 0; i < 100000; i++) fh_buf_addc(&text, 'x');
    fh_buf_adds(&text, "\"}}");
    assert_int_equal(read_answer(fh_buf_cstr(&text), text.len, FH_FINISH_STOP, &seen, NULL), 0);
    assert_int_equal(seen.len, strlen("hm<call_7 f>{\"a\":\"\"}<tool_calls>") + 100000);
}

static void what_is_no_call_is_the_upstreams_failure(void **state)
{
    FH_AUTO(buf) fh_buf prose = FH_BUF(1 << 16);
    for (int i = 0; i < 1000; i++) fh_buf_adds(&prose, "no call ");
    const char *const bad[] = {"Paris.",
                               "{\"name\":\"f\"}",
                               "{\"name\":7,\"arguments\":{}}",
                               "{\"arguments\":{}}",
                               "{\"name\":\"f\" \"arguments\":{}}",
                               "{\"name\":\"f\",\"arguments\":[]}",
                               "{\"name\":\"f\",\"arguments\":{\"a\":1",
                               fh_buf_cstr(&prose)};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(buf) fh_buf seen = FH_BUF(1 << 16);
        assert_int_equal(read_answer(bad[i], strlen(bad[i]), FH_FINISH_STOP, &seen, NULL), FH_E_UPSTREAM);
    }
}

static int scenario(void *arg)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16), seen = FH_BUF(1 << 16);
    (void)arg;
    int rc = write_form(ASK ",\"tools\":[" F "," G "],\"tool_choice\":\"required\"}", &out, NULL);
    return rc ? rc : read_answer("{\"name\":\"f\",\"arguments\":{\"a\":1}}", 3, FH_FINISH_STOP, &seen, NULL);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 4000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_call_that_must_be_is_forced),
        cmocka_unit_test(the_form_has_an_alternative_for_each_tool_and_its_references_lead_where_they_led),
        cmocka_unit_test(a_choice_that_is_no_tool_is_named),
        cmocka_unit_test(wherever_it_is_cut_the_answer_is_the_same_call),
        cmocka_unit_test(long_arguments_come_whole),
        cmocka_unit_test(what_is_no_call_is_the_upstreams_failure),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
