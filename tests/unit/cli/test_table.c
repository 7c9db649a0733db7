/* Tables for people: aligned, cut where they may be, never wider than a terminal. */
#include "cli_private.h"
#include "cmocka_all.h"

#include <string.h>

static const fh_cli_column columns[] = {{"NAME", FH_CLI_LEFT}, {"SIZE", FH_CLI_RIGHT}, {"WHY", FH_CLI_SHRINK}, {NULL, FH_CLI_LEFT}};

static void columns_are_aligned_and_lines_have_no_blanks_at_their_end(void **state)
{
    (void)state;
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    assert_true(fh_cli_table_add(t, (const char *[]){"a", "1", ""}));
    assert_true(fh_cli_table_add(t, (const char *[]){"longer", "1000 MB", "b\tc\n"}));
    assert_true(fh_cli_table_write(t, &out));
    assert_string_equal(fh_buf_cstr(&out), "NAME       SIZE  WHY\na             1\nlonger  1000 MB  b c\n");
}

static void a_wide_cell_is_cut_by_characters_not_bytes(void **state)
{
    (void)state;
    char wide[601] = "";
    for (int i = 0; i < 200; i++) strcat(wide, "\xc3\xa4");
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    assert_true(fh_cli_table_add(t, (const char *[]){"n", "1", wide}));
    assert_true(fh_cli_table_write(t, &out));
    const char *line = strchr(fh_buf_cstr(&out), '\n') + 1;
    size_t characters = 0;
    for (const char *p = line; *p != '\n'; p++) characters += ((unsigned char)*p & 0xc0) != 0x80;
    assert_int_equal(characters, FH_CLI_COLUMNS);
    assert_true(fh_utf8_valid(line, strlen(line)));
    assert_non_null(strstr(line, "\xe2\x80\xa6"));
}

static void wrapped_text_stays_whole_and_names_are_never_cut(void **state)
{
    (void)state;
    static const fh_cli_column wrapping[] = {{"NAME", FH_CLI_LEFT}, {"WHO", FH_CLI_SHRINK}, {"WHY", FH_CLI_WRAP}, {NULL, FH_CLI_LEFT}};
    char name[71] = "", words[301] = "";
    memset(name, 'n', 70);
    for (int i = 0; i < 30; i++) strcat(words, "word word ");
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(wrapping);
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16);
    assert_true(fh_cli_table_add(t, (const char *[]){name, "somebody with a long name", words}));
    assert_true(fh_cli_table_add(t, (const char *[]){"n", "x", "short"}));
    assert_true(fh_cli_table_write(t, &out));
    assert_non_null(strstr(fh_buf_cstr(&out), name));
    size_t count = 0;
    for (const char *p = fh_buf_cstr(&out); (p = strstr(p, "word")); p++) count++;
    assert_int_equal(count, 60);
    for (const char *line = strchr(fh_buf_cstr(&out), '\n') + 1; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 70 + 2 + 8 + 2 + FH_CLI_WRAP_COLUMNS + 2);
}

static void sizes_and_ages_read_well(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 kB"},
                 {98400000, "98.4 MB"},
                 {999400000, "999 MB"},
                 {999600000, "1.0 GB"},
                 {1680000000000, "1.7 TB"}};
    static const struct {
        int64_t s;
        const char *text;
    } ages[] = {{-1, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {7200, "2h"}, {86400, "24h"}, {172800, "2d"}};
    char text[32];
    for (size_t i = 0; i < FH_COUNT(sizes); i++) {
        fh_cli_bytes(sizes[i].bytes, text, sizeof text);
        assert_string_equal(text, sizes[i].text);
    }
    for (size_t i = 0; i < FH_COUNT(ages); i++) {
        fh_cli_age(ages[i].s * 1000000000, text, sizeof text);
        assert_string_equal(text, ages[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned_and_lines_have_no_blanks_at_their_end),
        cmocka_unit_test(a_wide_cell_is_cut_by_characters_not_bytes),
        cmocka_unit_test(wrapped_text_stays_whole_and_names_are_never_cut),
        cmocka_unit_test(sizes_and_ages_read_well),
    };
    return cmocka_run_group_tests_name("cli/table", tests, NULL, NULL);
}
