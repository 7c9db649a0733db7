/* Grammars: which texts belong to them, which tokens may come, and that a text ends in time. Masks are held against trying every token. */
#include "model/grammar.h"
#include "grammar_private.h"
#include "torture.h"
#include "vocab_maker.h"

#include <math.h>
#include <pthread.h>

static vocab_file vocab;
static fh_grammars *grammars;
static size_t tokens;

static int open_all(void **state)
{
    if (scratch_init(state)) return -1;
    open_bpe(&vocab, "gpt-2");
    tokens = fh_vocab_size(vocab.vocab);
    return fh_grammars_new(&grammars, vocab.vocab, tokens, NULL);
}

static int close_all(void **state)
{
    fh_grammars_free(grammars);
    close_vocab(&vocab);
    return scratch_fini(state);
}

static fh_grammar_source source_of(const char *text)
{
    return (fh_grammar_source){.kind = FH_GRAMMAR_GBNF, .text = fh_str_of(text), .param = "grammar"};
}

static fh_grammar *compile_source(const fh_grammar_source *s)
{
    fh_grammar *g = NULL;
    fh_err *err = NULL;
    if (fh_grammars_get(grammars, s, &g, &err)) fail_msg("%s: %.*s", fh_err_message(err), (int)s->text.len, s->text.ptr);
    return g;
}

static fh_grammar_state *begin(const char *text)
{
    fh_grammar_source s = source_of(text);
    FH_AUTO(fh_grammar) fh_grammar *g = compile_source(&s);
    fh_grammar_state *state = NULL;
    assert_int_equal(fh_grammar_state_new(&state, g, NULL), 0);
    return state;
}

static bool whole(const char *grammar, fh_str text)
{
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin(grammar);
    return fh_grammar_state_accept_text(s, text) && fh_grammar_state_may_end(s);
}

/* ---- texts ---- */

static const struct language {
    const char *grammar, *good[6], *bad[6];
} languages[] = {
    {"root ::= \"yes\" | \"no\"", {"yes", "no"}, {"", "y", "yesno", "Yes"}},
    {"root ::= \"a\"* \"b\"+ \"c\"?", {"b", "aab", "bbc", "abc"}, {"", "a", "cc", "ba"}},
    {"root ::= \"x\"{2} | \"y\"{1,3} | \"z\"{3,}", {"xx", "y", "yyy", "zzz", "zzzzzz"}, {"x", "xxx", "yyyy", "zz", ""}},
    {"root ::= [a-c]+ [^a-c\\n]", {"ab.", "c\xc3\xa9"}, {"ab", "abc", "a\n", "."}},
    {"root ::= [\\x41\\u00e9\\U0001F642\\]\\-\\\\]+", {"A\xc3\xa9\xf0\x9f\x99\x82]-\\"}, {"B", "\xc3", ""}},
    {"root ::= \"\\\"\\n\\t\\\\\\x41\"", {"\"\n\t\\A"}, {"\"", "A"}},
    {"root ::= . . .", {"abc", "a\xc3\xa9\xf0\x9f\x99\x82", "\n\n\n"}, {"ab", "abcd"}},
    {"# a comment\nroot ::= ( # another\n  \"(\" root \")\" |\n  \"\"\n) # the end\n", {"", "()", "((()))"}, {"(", "())", ")("}},
    {"root ::= item (\",\" item)*\r\nitem ::= [0-9]+\r\n\r\n", {"1", "12,3,456"}, {"", ",", "1,"}},
    {"root ::= list\nlist ::= item | item list\nitem ::= \"a\" | \"aa\"", {"a", "aaa", "aaaaaaaa"}, {"", "ab"}},
    {"root ::= (\"\" | \"a\") (\"b\" | \"\") \"\"", {"", "a", "b", "ab"}, {"ba", "aa"}},
    {"root ::= [^\\x00-\\x7f]+", {"\xc3\xa9\xe2\x82\xac"}, {"e", "\xc3"}},
    {"root ::= \"a\"{0,3} \"b\"{0}", {"", "aaa"}, {"aaaa", "b"}},
    {"root_2 ::= \"a\"\nroot ::= root_2", {"a"}, {"", "b"}},
};

static void a_text_belongs_to_a_grammar_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < FH_COUNT(languages); i++) {
        const struct language *l = &languages[i];
        for (size_t k = 0; k < FH_COUNT(l->good) && l->good[k]; k++)
            if (!whole(l->grammar, fh_str_of(l->good[k]))) fail_msg("%s: refuses %s", l->grammar, l->good[k]);
        for (size_t k = 0; k < FH_COUNT(l->bad) && l->bad[k]; k++)
            if (whole(l->grammar, fh_str_of(l->bad[k]))) fail_msg("%s: takes %s", l->grammar, l->bad[k]);
    }
}

static void a_bad_grammar_names_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words[2];
    } rows[] = {
        {"", {"line 1", "root"}},
        {"x ::= \"a\"", {"", "no rule 'root'"}},
        {"root ::= \"a\"\nroot ::= \"b\"", {"line 2", "there already"}},
        {"root ::= x\n", {"line 1", "'x' is not defined"}},
        {"root = \"a\"", {"line 1", "::="}},
        {"root ::= \"a\"\n\n::= \"b\"", {"line 3", "name"}},
        {"root ::= [a", {"line 1", ""}},
        {"root ::= (\"a\"", {"line 1", "bracket"}},
        {"root ::= \"a\" )", {"line 1", ""}},
        {"root ::= \"\\q\"", {"line 1", ""}},
        {"root ::= \"\\x4\"", {"line 1", "hexadecimal"}},
        {"root ::= [b-a]", {"line 1", ""}},
        {"root ::= *", {"line 1", ""}},
        {"root ::= \"a\"{3,2}", {"line 1", ""}},
        {"root ::= \"a\"{99999999999}", {"line 1", ""}},
        {"root ::= !<tool>", {"line 1", "not supported"}},
        {"root ::= <nobody>", {"line 1", ""}},
        {"root ::= root \"a\" | \"b\"", {"line 1", "recurs"}},
        {"root ::= x\nx ::= y \"a\"\ny ::= \"\" x | \"b\"", {"line", "recurs"}},
        {"root ::= \"a\" root", {"line 1", "end"}},
        {"root ::= \"\xff\"", {"line 1", "UTF-8"}},
    };
    for (size_t i = 0; i < FH_COUNT(rows); i++) {
        fh_grammar *g = NULL;
        fh_err *err = NULL;
        fh_grammar_source s = source_of(rows[i].text);
        int rc = fh_grammars_get(grammars, &s, &g, &err);
        if (rc != FH_E_INVALID || g) fail_msg("%s: %d", rows[i].text, rc);
        if (!strstr(fh_err_message(err), rows[i].words[0]) || !strstr(fh_err_message(err), rows[i].words[1]))
            fail_msg("%s: %s", rows[i].text, fh_err_message(err));
        assert_string_equal(fh_err_param_get(err), "grammar");
        fh_err_free(err);
    }
}

static void a_grammar_begins_at_the_rule_that_is_named(void **state)
{
    (void)state;
    fh_grammar_source s = source_of("root ::= \"a\"\nother ::= \"b\" root");
    FH_AUTO(fh_grammar) fh_grammar *g = compile_source(&s);
    s.start = FH_STR("other");
    FH_AUTO(fh_grammar) fh_grammar *other = compile_source(&s);
    FH_AUTO(fh_grammar_state) fh_grammar_state *at = NULL;
    assert_ptr_not_equal(g, other);
    assert_int_equal(fh_grammar_state_new(&at, other, NULL), 0);
    assert_false(fh_grammar_state_accept_text(at, FH_STR("a")));
    assert_true(fh_grammar_state_accept_text(at, FH_STR("ba")) && fh_grammar_state_must_end(at));
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(64 << 20);
    fh_grammar *g = NULL;
    fh_buf_adds(&text, "root ::= ");
    for (size_t i = 0; i < FH_LIMIT_GRAMMAR_NESTING + 1; i++) fh_buf_addc(&text, '(');
    fh_grammar_source s = source_of(fh_buf_cstr(&text));
    assert_int_equal(fh_grammars_get(grammars, &s, &g, NULL), FH_E_INVALID);
    fh_buf_clear(&text);
    fh_buf_adds(&text, "root ::= \"");
    while (text.len <= FH_LIMIT_GRAMMAR_BYTES) fh_buf_adds(&text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    fh_buf_addc(&text, '"');
    s = source_of(fh_buf_cstr(&text));
    assert_int_equal(fh_grammars_get(grammars, &s, &g, NULL), FH_E_TOO_LARGE);
    s.text.len = 2 << 20;
    assert_int_equal(fh_grammars_get(grammars, &s, &g, NULL), FH_E_INVALID); /* states */
}

/* ---- tokens ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    return *seed ^= *seed << 5;
}

static bool in_mask(const uint64_t *mask, size_t i)
{
    return mask[i / 64] >> (i % 64) & 1;
}

static fh_token choose(const uint64_t *mask, uint32_t *seed)
{
    fh_token chosen = FH_TOKEN_NONE;
    for (size_t i = 0, n = 0; i < tokens; i++)
        if (in_mask(mask, i) && next_random(seed) % (uint32_t)++n == 0) chosen = (fh_token)i;
    return chosen;
}

static void check_mask(const fh_grammar_state *s, const uint64_t *mask, const char *grammar)
{
    for (size_t i = 0; i < tokens; i++) {
        FH_AUTO(fh_grammar_state) fh_grammar_state *copy = NULL;
        assert_int_equal(fh_grammar_state_dup(&copy, s, NULL), 0);
        bool may = fh_grammar_state_accept(copy, (fh_token)i);
        if (may != in_mask(mask, i)) fail_msg("%s: token %zu %s", grammar, i, may ? "is missing" : "may not come");
    }
}

#define JSON_TEXT                                                                                                                          \
    "root ::= object\nobject ::= \"{\" (pair (\",\" pair)*)? \"}\"\npair ::= string \":\" value\n"                                         \
    "value ::= object | string | \"[\" (value (\",\" value)*)? \"]\" | [0-9]+ | \"true\"\n"                                                \
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\n])* \"\\\"\"\n"

static void a_mask_allows_exactly_what_may_come(void **state)
{
    (void)state;
    static const char *const grammars_tried[] = {
        JSON_TEXT,
        "root ::= \"hello\" | \"hell\" | \"he\" [a-z]{0,5} \"aaaa\"?",
        "root ::= [^\"]{3,5} \"\\\"\" .{2}",
        "root ::= (\"a\"{2,6} | \"aa\" <tool>)+",
        "root ::= <[256]>? [\\U0001F600-\\U0001F64F]{2}",
    };
    for (size_t i = 0; i < FH_COUNT(grammars_tried); i++)
        for (uint32_t seed = 1; seed < 6; seed++) {
            FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin(grammars_tried[i]);
            uint64_t mask[64];
            uint32_t random = seed * 7919;
            for (int n = 0; n < 12 && !fh_grammar_state_must_end(s); n++) {
                assert_int_equal(fh_grammar_state_mask(s, UINT64_MAX, mask, NULL), 0);
                check_mask(s, mask, grammars_tried[i]);
                fh_grammar_state_accept(s, choose(mask, &random));
            }
        }
}

static void the_end_may_come_exactly_where_a_text_is_whole(void **state)
{
    (void)state;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin("root ::= \"he\" \"llo\"?");
    uint64_t mask[64];
    const size_t end = 256;
    assert_true(fh_vocab_is_end(vocab.vocab, (fh_token)end));
    assert_int_equal(fh_grammar_state_mask(s, 100, mask, NULL), 0);
    assert_false(in_mask(mask, end) || fh_grammar_state_may_end(s) || fh_grammar_state_accept(s, (fh_token)end));
    assert_true(fh_grammar_state_accept_text(s, FH_STR("he")));
    assert_int_equal(fh_grammar_state_mask(s, 100, mask, NULL), 0);
    assert_true(in_mask(mask, end) && fh_grammar_state_may_end(s) && !fh_grammar_state_must_end(s));
    assert_true(fh_grammar_state_accept(s, (fh_token)end) && fh_grammar_state_accept_text(s, FH_STR("llo")));
    assert_int_equal(fh_grammar_state_mask(s, 100, mask, NULL), 0);
    assert_true(in_mask(mask, end) && fh_grammar_state_must_end(s));
    for (size_t i = 0; i < tokens; i++) assert_true(i == end || !in_mask(mask, i));
    assert_false(fh_grammar_state_accept(s, FH_TOKEN_NONE) || fh_grammar_state_accept(s, (fh_token)tokens));
}

static void what_may_not_come_has_no_chance(void **state)
{
    (void)state;
    enum { LOGITS = 214 }; /* the last word of the mask is not whole */
    const uint64_t mask[4] = {UINT64_MAX, 0, 0x0123456789abcdef, 1ull << 5};
    float logits[LOGITS];
    for (size_t i = 0; i < LOGITS; i++) logits[i] = (float)i;
    fh_grammar_forbid(mask, logits, LOGITS);
    for (size_t i = 0; i < LOGITS; i++) {
        bool may = mask[i / 64] >> (i % 64) & 1;
        assert_true(logits[i] == (may ? (float)i : -INFINITY));
    }
}

/* ---- ending in time ---- */

static bool ends_within(const char *grammar, uint64_t budget, uint32_t seed)
{
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin(grammar);
    uint64_t mask[64];
    for (; budget > 0; budget--) {
        assert_int_equal(fh_grammar_state_mask(s, budget, mask, NULL), 0);
        fh_token t = choose(mask, &seed);
        assert_true(fh_grammar_state_accept(s, t));
        if (fh_vocab_is_end(vocab.vocab, t)) return true;
    }
    return false;
}

static void what_can_end_within_its_budget_ends(void **state)
{
    (void)state;
    static const struct {
        const char *grammar;
        uint64_t least; /* tokens of a shortest text, its end too */
    } rows[] = {{JSON_TEXT, 3},
                {"root ::= \"hello\" [^x]* \"aaaa\"", 3},
                {"root ::= [a-z]{4} root? \"\\\"\"", 6},
                {"root ::= \"{\" [^}]* \"}\" | \"[\" root \"]\"", 3}};
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        for (uint64_t budget = rows[i].least; budget < 40; budget++)
            for (uint32_t seed = 1; seed < 20; seed++)
                if (!ends_within(rows[i].grammar, budget, seed * 104729))
                    fail_msg("%s: does not end within %llu", rows[i].grammar, (unsigned long long)budget);
}

static void what_cannot_end_in_time_goes_on_as_a_beginning(void **state)
{
    (void)state;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin("root ::= [xyz]{30} \"hello\"");
    uint64_t mask[64];
    uint32_t seed = 5;
    for (uint64_t left = 10; left > 0; left--) {
        assert_int_equal(fh_grammar_state_mask(s, left, mask, NULL), 0);
        assert_true(fh_grammar_state_accept(s, choose(mask, &seed)));
    }
}

static void a_grammar_that_no_token_can_spell_is_an_error(void **state)
{
    (void)state;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = begin("root ::= \"a\" <[256]> \"b\"");
    uint64_t mask[64];
    fh_err *err = NULL;
    assert_true(fh_grammar_state_accept_text(s, FH_STR("a"))); /* token 256 ends a turn: it stands for no text */
    assert_int_equal(fh_grammar_state_mask(s, UINT64_MAX, mask, &err), FH_E_INTERNAL);
    assert_non_null(strstr(fh_err_message(err), "no token"));
    fh_err_free(err);
}

/* ---- lazy ones ---- */

static void a_lazy_grammar_begins_behind_its_trigger_however_it_is_cut(void **state)
{
    (void)state;
    const fh_str triggers[] = {FH_STR("<tool>"), FH_STR("aab")};
    for (int required = 0; required < 2; required++)
        for (size_t cut = 0; cut < 12; cut++) {
            fh_grammar_source s = source_of("root ::= \"(\" [0-9]+ \")\"");
            s.triggers = triggers;
            s.trigger_count = 2;
            s.trigger_required = required;
            FH_AUTO(fh_grammar) fh_grammar *g = compile_source(&s);
            FH_AUTO(fh_grammar_state) fh_grammar_state *at = NULL;
            assert_int_equal(fh_grammar_state_new(&at, g, NULL), 0);
            assert_int_equal(fh_grammar_state_may_end(at), !required);
            fh_str text = FH_STR("xx<too aaab(12)"), rest = {text.ptr + cut, text.len - cut};
            assert_true(fh_grammar_state_accept_text(at, (fh_str){text.ptr, cut}));
            assert_true(fh_grammar_state_accept_text(at, rest));
            assert_true(fh_grammar_state_must_end(at));
            assert_false(fh_grammar_state_accept_text(at, FH_STR("x")));
        }
}

/* ---- what is shared ---- */

static void the_same_source_is_compiled_once_and_few_are_kept(void **state)
{
    (void)state;
    fh_grammar_source s = source_of("root ::= \"once\"");
    FH_AUTO(fh_grammar) fh_grammar *a = compile_source(&s);
    FH_AUTO(fh_grammar) fh_grammar *b = compile_source(&s);
    assert_ptr_equal(a, b);
    for (int i = 0; i <= FH_LIMIT_GRAMMAR_CACHE; i++) {
        char text[32];
        snprintf(text, sizeof text, "root ::= \"%d\"", i);
        fh_grammar_source other = source_of(text);
        fh_grammar_unref(compile_source(&other));
    }
    FH_AUTO(fh_grammar) fh_grammar *c = compile_source(&s);
    assert_ptr_not_equal(a, c);
}

static void *generate_some(void *arg)
{
    uint32_t seed = (uint32_t)(uintptr_t)arg;
    for (int i = 0; i < 20; i++)
        if (!ends_within(JSON_TEXT, 60, seed += 77)) return (void *)"it did not end";
    return NULL;
}

static void sequences_of_several_threads_share_a_grammar(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, generate_some, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

static void what_a_grammar_remembers_is_bounded(void **state)
{
    (void)state;
    fh_grammar_source source = source_of("root ::= \"a\"{0,400000}");
    FH_AUTO(fh_grammar) fh_grammar *g = compile_source(&source);
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = NULL;
    uint64_t mask[64];
    assert_int_equal(fh_grammar_state_new(&s, g, NULL), 0);
    for (int i = 0; i < 100000; i++) {
        assert_true(fh_grammar_state_accept_text(s, FH_STR("aaaa")));
        if (i % 1000 == 0) assert_int_equal(fh_grammar_state_mask(s, UINT64_MAX, mask, NULL), 0);
        assert_true(g->automaton.bytes <= FH_LIMIT_GRAMMAR_STATE_BYTES + (1 << 20));
    }
    assert_true(fh_grammar_state_must_end(s));
}

/* ---- failing ---- */

static int use_one(void *arg)
{
    const fh_grammar_source *source = arg;
    FH_AUTO(fh_grammars) fh_grammars *c = NULL;
    FH_AUTO(fh_grammar) fh_grammar *g = NULL;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = NULL;
    uint64_t mask[64];
    int rc = fh_grammars_new(&c, vocab.vocab, tokens, NULL);
    if (!rc) rc = fh_grammars_get(c, source, &g, NULL);
    if (!rc) rc = fh_grammar_state_new(&s, g, NULL);
    if (!rc && !fh_grammar_state_accept_text(s, FH_STR("x<tool>{"))) rc = FH_E_NOMEM;
    return rc ? rc : fh_grammar_state_mask(s, 50, mask, NULL);
}

static void no_memory_is_an_error_and_nothing_worse(void **state)
{
    (void)state;
    const fh_str trigger = FH_STR("<tool>");
    fh_grammar_source s = {.kind = FH_GRAMMAR_OBJECT, .triggers = &trigger, .trigger_count = 1};
    assert_true(fh_torture(FH_FAULT_ALLOC, use_one, &s, 100000) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_belongs_to_a_grammar_or_not),
        cmocka_unit_test(a_bad_grammar_names_its_line),
        cmocka_unit_test(a_grammar_begins_at_the_rule_that_is_named),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(a_mask_allows_exactly_what_may_come),
        cmocka_unit_test(the_end_may_come_exactly_where_a_text_is_whole),
        cmocka_unit_test(what_may_not_come_has_no_chance),
        cmocka_unit_test(what_can_end_within_its_budget_ends),
        cmocka_unit_test(what_cannot_end_in_time_goes_on_as_a_beginning),
        cmocka_unit_test(a_grammar_that_no_token_can_spell_is_an_error),
        cmocka_unit_test(a_lazy_grammar_begins_behind_its_trigger_however_it_is_cut),
        cmocka_unit_test(the_same_source_is_compiled_once_and_few_are_kept),
        cmocka_unit_test(sequences_of_several_threads_share_a_grammar),
        cmocka_unit_test(what_a_grammar_remembers_is_bounded),
        cmocka_unit_test(no_memory_is_an_error_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
