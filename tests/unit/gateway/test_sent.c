/* What a client has of an answer, and how another replica can go on from there. */
#include "cmocka_all.h"
#include "sent.h"

static void say(fh_sent *s, fh_wire_event_kind kind, const char *text, const char *comment)
{
    fh_wire_event e = {.kind = kind, .text = fh_str_of(text)};
    fh_sent_event(s, &e);
    fh_sent_comment(s, fh_str_of(comment), kind != FH_EVENT_FINISH);
}

static void tokens_that_were_told_are_gone_on_from(void **state)
{
    fh_sent s;
    fh_sent_init(&s);
    assert_false(fh_sent_any(&s));
    say(&s, FH_EVENT_REASONING, "hm", "tok 1 22");
    say(&s, FH_EVENT_CALL, "", "tok 333");
    assert_string_equal(fh_buf_cstr(&s.tokens), "1,22,333");
    assert_int_equal(fh_sent_count(&s), 3);
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TOKENS), FH_RESUME_TOKENS);
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TEXT), FH_RESUME_NEVER); /* a call has begun */
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_NEVER), FH_RESUME_NEVER);
    fh_sent_fini(&s);
}

static void a_piece_whose_tokens_were_not_told_leaves_the_text(void **state)
{
    fh_sent s;
    fh_sent_init(&s);
    say(&s, FH_EVENT_TEXT, "a", "tok 1");
    say(&s, FH_EVENT_TEXT, "b", "");
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TOKENS), FH_RESUME_TEXT);
    assert_int_equal(fh_sent_count(&s), 2);
    fh_sent_fini(&s);
}

static void a_thought_alone_cannot_be_gone_on_from_as_text(void **state)
{
    fh_sent s;
    fh_sent_init(&s);
    say(&s, FH_EVENT_REASONING, "hm", "");
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TEXT), FH_RESUME_NEVER);
    say(&s, FH_EVENT_TEXT, "so", "");
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TEXT), FH_RESUME_TEXT);
    fh_sent_fini(&s);
}

static void several_choices_cannot_be_gone_on_from_and_end_together(void **state)
{
    fh_sent s;
    fh_sent_init(&s);
    s.choices = 2;
    say(&s, FH_EVENT_TEXT, "a", "tok 1");
    assert_int_equal(fh_sent_resume(&s, FH_RESUME_TOKENS), FH_RESUME_NEVER);
    say(&s, FH_EVENT_FINISH, "", "");
    assert_false(s.finished);
    say(&s, FH_EVENT_FINISH, "", "");
    assert_true(s.finished);
    fh_sent_fini(&s);
}

static void expect_prompt(const char *comment, uint64_t prompt, uint64_t cached)
{
    fh_wire_usage u = {0};
    fh_sent_prompt(fh_str_of(comment), &u);
    assert_int_equal(u.prompt_tok, prompt);
    assert_int_equal(u.cached_tok, cached);
}

static void the_first_comment_says_what_the_prompt_has(void **state)
{
    fh_sent s;
    expect_prompt("tok 1 2 prompt 57 9", 57, 9);
    expect_prompt("tok prompt 57 0", 57, 0);
    expect_prompt("tok 1 2", 0, 0);
    expect_prompt("tok 1 prompt 57", 0, 0);
    expect_prompt("tok 1 prompt -57 9", 0, 0);
    expect_prompt("tik prompt 57 9", 0, 0);
    expect_prompt("", 0, 0);
    fh_sent_init(&s);
    say(&s, FH_EVENT_TEXT, "a", "tok 1 22 prompt 57 9");
    assert_string_equal(fh_buf_cstr(&s.tokens), "1,22");
    fh_sent_fini(&s);
}

/* sent, then a continuation that says `next`, in pieces of any size; all that the client has then. */
static void expect_seam(const char *sent, const char *next, const char *want)
{
    for (size_t piece = 1; piece <= strlen(next) + 1; piece++) {
        fh_sent s;
        fh_sent_init(&s);
        say(&s, FH_EVENT_TEXT, sent, "");
        fh_sent_expect_blanks(&s);
        for (size_t at = 0; at < strlen(next); at += piece) {
            fh_str text = {next + at, FH_MIN(piece, strlen(next) - at)};
            fh_sent_seam(&s, &text);
            fh_sent_event(&s, &(fh_wire_event){.kind = FH_EVENT_TEXT, .text = text});
        }
        assert_string_equal(fh_buf_cstr(&s.text), want);
        fh_sent_fini(&s);
    }
}

static void blanks_at_the_seam_are_not_doubled(void **state)
{
    expect_seam("one ", " two", "one two");
    expect_seam("one ", "  two", "one  two");
    expect_seam("one ", "two", "one two");
    expect_seam("one", " two", "one two");
    expect_seam("one\n\n", "\n\ntwo", "one\n\ntwo");
    expect_seam("one\n\n", "\ntwo", "one\n\ntwo");
    expect_seam("one \n", " two", "one \ntwo");
    expect_seam("one \n", " \n \ntwo ", "one \n \ntwo ");
    expect_seam("  ", "  ", "  ");
    expect_seam("  ", "  x", "  x");
    expect_seam("", " x", " x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_that_were_told_are_gone_on_from),
        cmocka_unit_test(a_piece_whose_tokens_were_not_told_leaves_the_text),
        cmocka_unit_test(a_thought_alone_cannot_be_gone_on_from_as_text),
        cmocka_unit_test(several_choices_cannot_be_gone_on_from_and_end_together),
        cmocka_unit_test(the_first_comment_says_what_the_prompt_has),
        cmocka_unit_test(blanks_at_the_seam_are_not_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
