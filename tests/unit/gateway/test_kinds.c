/* What kind of request it is. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "kinds.h"

#include <stdio.h>
#include <stdlib.h>

static fh_features of(const char *body)
{
    fh_wire_request r;
    fh_features f;
    assert_int_equal(fh_wire_chat_parse(&r, fh_str_of(body), NULL), 0);
    fh_features_of(&f, &r);
    fh_wire_request_fini(&r);
    return f;
}

static fh_features of_text(const char *text)
{
    char body[2048];
    snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", text);
    return of(body);
}

static void alike_requests_are_near_and_others_far(void **state)
{
    fh_features sum = of_text("What is 17 + 25?"), other_sum = of_text("What is 93 + 41?");
    fh_features code = of_text("def f(x): return [i for i in x if i > 0] # what does it do;"),
                poem = of_text("Write a poem of the sea at night");
    assert_true(fh_features_distance(&sum, &other_sum) < fh_features_distance(&sum, &code));
    assert_true(fh_features_distance(&sum, &other_sum) < fh_features_distance(&sum, &poem));
    assert_true(fh_features_distance(&sum, &sum) == 0);
    assert_true(sum.v[FH_FEATURE_MATHS] > poem.v[FH_FEATURE_MATHS] && code.v[FH_FEATURE_CODE] > poem.v[FH_FEATURE_CODE]);
}

static void longer_numbers_are_another_kind(void **state)
{
    fh_features small = of_text("What is 17 * 25?"), large = of_text("What is 17391 * 25774?");
    assert_true(large.v[FH_FEATURE_NUMBERS] > small.v[FH_FEATURE_NUMBERS]);
}

static void scripts_are_told_apart(void **state)
{
    fh_features english = of_text("the weather is fine"), german = of_text("Köln schläft"), chinese = of_text("天气很好"),
                russian = of_text("погода");
    assert_int_equal(english.v[FH_FEATURE_ACCENTS], 0);
    assert_true(german.v[FH_FEATURE_ACCENTS] > 100);
    assert_int_equal(chinese.v[FH_FEATURE_CJK], 255);
    assert_int_equal(russian.v[FH_FEATURE_OTHER_SCRIPT], 255);
    assert_int_equal(russian.v[FH_FEATURE_CJK], 0);
}

static void tools_and_forms_are_seen(void **state)
{
    static const char with[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{"
                               "\"type\":\"text\",\"text\":\"x?\"}]}],"
                               "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],"
                               "\"tool_choice\":\"required\","
                               "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":"
                               "\"object\",\"properties\":{\"a\":{\"type\":"
                               "\"integer\"}}}}}}";
    fh_features f = of(with), plain = of_text("x?");
    assert_true(f.v[FH_FEATURE_TOOLS] > 0 && f.v[FH_FEATURE_MUST_CALL] == 255 && f.v[FH_FEATURE_SCHEMA] > 96);
    assert_true(f.v[FH_FEATURE_SYSTEM] == 255 && f.v[FH_FEATURE_QUESTION] == 255);
    assert_true(plain.v[FH_FEATURE_TOOLS] == 0 && plain.v[FH_FEATURE_SCHEMA] == 0 && plain.v[FH_FEATURE_SYSTEM] == 0);
}

static void long_texts_are_read_from_their_beginning_and_measured_whole(void **state)
{
    size_t bytes = 4u * FH_LIMIT_FEATURE_BYTES;
    char *body = malloc(bytes + 200);
    int n = sprintf(body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    memset(body + n, 'a', bytes);
    strcpy(body + n + bytes, "123456789012\"}]}");
    fh_features f = of(body), little = of_text("a");
    assert_int_equal(f.v[FH_FEATURE_NUMBERS], 0);
    assert_true(f.v[FH_FEATURE_LENGTH] > little.v[FH_FEATURE_LENGTH] + 100);
    free(body);
}

static void broken_text_and_empty_requests_have_features_too(void **state)
{
    fh_wire_request r = {.prompt = {"\xff\xc3 7", 4}};
    fh_features f;
    fh_features_of(&f, &r);
    assert_true(f.v[FH_FEATURE_NUMBERS] > 0);
    r = (fh_wire_request){0};
    fh_features_of(&f, &r);
    assert_int_equal(f.v[FH_FEATURE_LENGTH], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alike_requests_are_near_and_others_far),
        cmocka_unit_test(longer_numbers_are_another_kind),
        cmocka_unit_test(scripts_are_told_apart),
        cmocka_unit_test(tools_and_forms_are_seen),
        cmocka_unit_test(long_texts_are_read_from_their_beginning_and_measured_whole),
        cmocka_unit_test(broken_text_and_empty_requests_have_features_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
