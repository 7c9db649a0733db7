/* Reading command lines as a verb's table declares them. */
#include "cli_private.h"
#include "cmocka_all.h"

#include <string.h>

static const fh_cli_flag flags[] = {
    {"name", 'n', FH_CLI_TEXT, "TEXT", "a name", 0, 0},
    {"count", 'c', FH_CLI_INT, "N", "a count", -2, 10},
    {"all", 'a', FH_CLI_BOOL, NULL, "all", 0, 0},
    {"heat", 0, FH_CLI_REAL, "X", "a decimal", 0, 2},
    {"server", 0, FH_CLI_TEXT, "X", "hides the common one", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const fh_cli_verb verb = {
    .name = "test", .summary = "a test", .operands = "A [B]", .min_operands = 1, .max_operands = 2, .flags = flags};

static int parse(fh_cli *c, const char *line, char *store[16])
{
    static char text[512];
    size_t n = 0;
    strcpy(text, line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) store[n++] = word;
    return fh_cli_parse(c, &verb, store, n, NULL);
}

static void flags_and_operands_mix(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    assert_int_equal(parse(&c, "one --name=x -c 5 two --all --json", words), 0);
    assert_int_equal(c.operand_count, 2);
    assert_string_equal(fh_cli_operand(&c, 0), "one");
    assert_string_equal(fh_cli_operand(&c, 1), "two");
    assert_null(fh_cli_operand(&c, 2));
    assert_string_equal(fh_cli_text(&c, "name", ""), "x");
    assert_int_equal(fh_cli_int(&c, "count", 0), 5);
    assert_true(fh_cli_has(&c, "all") && c.json);
    assert_false(fh_cli_has(&c, "help"));
}

static void two_dashes_end_the_flags_and_one_is_an_operand(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    assert_int_equal(parse(&c, "- -- --all", words), 0);
    assert_string_equal(fh_cli_operand(&c, 0), "-");
    assert_string_equal(fh_cli_operand(&c, 1), "--all");
    assert_false(fh_cli_has(&c, "all"));
}

static void the_last_value_counts_and_all_can_be_read(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    assert_int_equal(parse(&c, "x --name a -n b --name=", words), 0);
    assert_string_equal(fh_cli_text(&c, "name", NULL), "");
    assert_string_equal(fh_cli_nth(&c, "name", 0), "a");
    assert_string_equal(fh_cli_nth(&c, "name", 1), "b");
    assert_null(fh_cli_nth(&c, "name", 3));
}

static void numbers_are_whole_and_in_their_range(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    assert_int_equal(parse(&c, "x --count -2", words), 0);
    assert_int_equal(fh_cli_int(&c, "count", 7), -2);
    const char *bad[] = {"x --count -3", "x --count 11", "x --count 1.5", "x --count +1", "x --count 0x1", "x --count 99999999999999999999",
                         "x --count=",   "x -c"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(parse(&c, bad[i], words), FH_E_USAGE);
}

static void decimals_are_in_their_range(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    assert_int_equal(parse(&c, "x --heat 0.25", words), 0);
    assert_float_equal(fh_cli_real(&c, "heat", 1), 0.25, 0);
    const char *bad[] = {"x --heat abc", "x --heat 2.01", "x --heat -1", "x --heat nan", "x --heat inf", "x --heat="};
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(parse(&c, bad[i], words), FH_E_USAGE);
}

static void what_is_not_declared_is_wrong_usage(void **state)
{
    (void)state;
    fh_cli c;
    char *words[16];
    const char *bad[] = {"x --nam y", "x -z", "x -ca", "x --all=yes", "x y z", "", "--all", "x ---all", "x --=", "x --name"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) assert_int_equal(parse(&c, bad[i], words), FH_E_USAGE);
}

static void too_many_flags_are_refused(void **state)
{
    (void)state;
    fh_cli c;
    char *words[FH_CLI_GIVEN_MAX + 2];
    for (size_t i = 0; i < FH_COUNT(words); i++) words[i] = (char[]){"-a"};
    assert_int_equal(fh_cli_parse(&c, &verb, words, FH_COUNT(words), NULL), FH_E_USAGE);
}

static void times_have_a_unit_and_an_end(void **state)
{
    static const char *const bad[] = {
        "a --name 5", "a --name s", "a --name 3d", "a --name 172801s", "a --name -1s", "a --name 1w", "a --name 99999999999999999999s"};
    fh_cli c;
    char *words[16];
    int64_t s = 7;
    (void)state;
    parse(&c, "a", words);
    assert_int_equal(fh_cli_duration(&c, "name", 2 * 86400, &s, NULL), 0);
    assert_int_equal(s, 7);
    parse(&c, "a --name 90s --name 48h", words);
    assert_int_equal(fh_cli_duration(&c, "name", 2 * 86400, &s, NULL), 0);
    assert_int_equal(s, 2 * 86400);
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        parse(&c, bad[i], words);
        assert_int_equal(fh_cli_duration(&c, "name", 2 * 86400, &s, &err), FH_E_USAGE);
        assert_string_equal(fh_err_param_get(err), "--name");
    }
    assert_int_equal(s, 2 * 86400);
}

static void every_verb_is_complete_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        const fh_cli_verb *v = fh_cli_verbs[i];
        char page[FH_CLI_PAGE_NAME];
        assert_non_null(v->run);
        assert_true(v->summary && v->summary[0] && v->operands && v->max_operands >= v->min_operands);
        assert_true((v->operands[0] != 0) == (v->max_operands > 0));
        fh_cli_page_name(v, page);
        assert_ptr_equal(fh_cli_verb_page(page), v);
        for (const fh_cli_flag *f = v->flags; f && f->name; f++) {
            assert_true(f->help && f->help[0]);
            assert_int_equal(f->kind == FH_CLI_BOOL, f->value == NULL);
            assert_true((f->kind != FH_CLI_INT && f->kind != FH_CLI_REAL) || f->max > f->min);
        }
    }
}

static void help_fits_its_columns(void **state)
{
    (void)state;
    for (size_t i = 0; fh_cli_verbs[i]; i++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
        fh_cli_help_verb(fh_cli_verbs[i], &text);
        assert_true(fh_buf_ok(&text));
        for (const char *line = fh_buf_cstr(&text); *line;) {
            size_t len = strcspn(line, "\n");
            if (strncmp(line, "  freehold ", 11) != 0) assert_true(len <= FH_CLI_COLUMNS);
            line += len + (line[len] == '\n');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_operands_mix),
        cmocka_unit_test(two_dashes_end_the_flags_and_one_is_an_operand),
        cmocka_unit_test(the_last_value_counts_and_all_can_be_read),
        cmocka_unit_test(numbers_are_whole_and_in_their_range),
        cmocka_unit_test(decimals_are_in_their_range),
        cmocka_unit_test(what_is_not_declared_is_wrong_usage),
        cmocka_unit_test(too_many_flags_are_refused),
        cmocka_unit_test(times_have_a_unit_and_an_end),
        cmocka_unit_test(every_verb_is_complete_and_found),
        cmocka_unit_test(help_fits_its_columns),
    };
    return cmocka_run_group_tests_name("cli/flags", tests, NULL, NULL);
}
