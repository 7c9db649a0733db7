/* Grammars of tool calls: what is generated under them, at random, is read back as calls of the right tools with arguments that fit. */
#include "model/grammar.h"
#include "model/toolfmt.h"
#include "vocab_maker.h"

enum { TEXT_BYTES = 1 << 20, BUDGET = 600 };

static const char tools_text[] = "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":{\"type\":\"object\","
                                 "\"properties\":{\"city\":{\"type\":\"string\","
                                 "\"maxLength\":5},\"days\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}},\"required\":[\"city\","
                                 "\"days\"],\"additionalProperties\":false}}},"
                                 "{\"type\":\"function\",\"function\":{\"name\":\"now\",\"parameters\":{\"type\":\"object\",\"properties\":"
                                 "{},\"additionalProperties\":false}}}]";

static vocab_file vocab;
static fh_grammars *grammars;
static fh_json *tools;

static int open_all(void **state)
{
    if (scratch_init(state)) return -1;
    open_bpe(&vocab, "gpt-2");
    assert_int_equal(fh_grammars_new(&grammars, vocab.vocab, fh_vocab_size(vocab.vocab), NULL), 0);
    assert_int_equal(fh_json_parse(&tools, FH_STR(tools_text), sizeof tools_text, NULL), 0);
    return 0;
}

static int close_all(void **state)
{
    fh_json_unref(tools);
    fh_grammars_free(grammars);
    close_vocab(&vocab);
    return scratch_fini(state);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static fh_token choose(const uint64_t *mask, uint32_t *seed)
{
    size_t tokens = fh_vocab_size(vocab.vocab), count = 0;
    fh_token chosen = FH_TOKEN_NONE;
    for (size_t i = 0; i < tokens; i++) {
        if (!(mask[i / 64] >> (i % 64) & 1) || fh_vocab_is_end(vocab.vocab, (fh_token)i)) continue;
        if (next_random(seed) % ++count == 0) chosen = (fh_token)i;
    }
    return chosen;
}

/* Some text of the grammar, behind its trigger if it has one. */
static void generate(const fh_toolfmt_grammar *g, uint32_t seed, fh_buf *out)
{
    FH_AUTO(fh_grammar) fh_grammar *compiled = NULL;
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = NULL;
    uint64_t mask[64];
    fh_err *err = NULL;
    fh_grammar_source source = {.kind = FH_GRAMMAR_GBNF,
                                .text = {g->text.data, g->text.len},
                                .start = g->start,
                                .param = "tools",
                                .triggers = &g->trigger,
                                .trigger_count = g->trigger.len > 0,
                                .trigger_required = g->required};
    if (fh_grammars_get(grammars, &source, &compiled, &err)) fail_msg("%s\n%s", fh_err_message(err), fh_buf_cstr(&g->text));
    assert_int_equal(fh_grammar_state_new(&s, compiled, NULL), 0);
    if (g->trigger.len) assert_true(fh_grammar_state_accept_text(s, g->trigger));
    fh_buf_add(out, g->trigger.ptr, g->trigger.len);
    for (uint64_t left = BUDGET; left > 0 && !(fh_grammar_state_may_end(s) && (fh_grammar_state_must_end(s) || next_random(&seed) % 2));
         left--) {
        assert_int_equal(fh_grammar_state_mask(s, left, mask, NULL), 0);
        fh_token t = choose(mask, &seed);
        if (t == FH_TOKEN_NONE) break;
        assert_true(fh_grammar_state_accept(s, t));
        assert_int_equal(fh_vocab_decode(vocab.vocab, t, true, out, NULL), 0);
    }
    assert_true(fh_grammar_state_may_end(s));
}

typedef struct heard {
    fh_buf args;
    bool weather;
    unsigned calls, bad;
} heard;

static void check_call(heard *h, bool complete)
{
    FH_AUTO(json) fh_json *v = NULL;
    bool object =
        fh_json_parse(&v, (fh_str){fh_buf_cstr(&h->args), h->args.len}, TEXT_BYTES, NULL) == 0 && fh_json_kind_of(v) == FH_JSON_OBJECT;
    bool fits = !h->weather ||
                (fh_json_kind_of(fh_json_get(v, "city")) == FH_JSON_STRING && fh_json_kind_of(fh_json_get(v, "days")) == FH_JSON_INT);
    h->bad += !complete || !object || !fits;
}

static int hear(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    heard *h = ctx;
    if (e->kind == FH_TOOLFMT_CALL_BEGIN) {
        h->weather = fh_str_eqs(e->name, "get_weather");
        h->calls++;
        h->bad += !h->weather && !fh_str_eqs(e->name, "now");
        fh_buf_clear(&h->args);
    } else if (e->kind == FH_TOOLFMT_CALL_ARGS) {
        fh_buf_add(&h->args, e->text.ptr, e->text.len);
    } else if (e->kind == FH_TOOLFMT_CALL_END) {
        check_call(h, e->complete);
    } else if (e->kind == FH_TOOLFMT_CONTENT) {
        h->bad += fh_str_trim(e->text).len > 0;
    }
    return 0;
}

static heard read_text(const fh_toolfmt *f, const char *prompt, const fh_buf *text)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    heard h = {.args = FH_BUF(TEXT_BYTES)};
    fh_toolfmt_options o = {.tools = tools, .prompt = fh_str_of(prompt)};
    assert_int_equal(fh_toolfmt_parser_new(&p, f, &o, hear, &h, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, (fh_str){fh_buf_cstr(text), text->len}, NULL), 0);
    assert_int_equal(fh_toolfmt_finish(p, NULL), 0);
    fh_buf_fini(&h.args);
    return h;
}

static const char *prompt_of(const char *family)
{
    if (strcmp(family, "harmony") == 0 || strcmp(family, "atem") == 0) return "<|start|>assistant";
    if (strcmp(family, "solar") == 0) return "<|begin|>assistant";
    return strcmp(family, "functionary-names") == 0 ? ">>>" : "";
}

static void check_family(const char *family, const char *prompt, const char *only, bool one)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    fh_toolfmt_grammar g;
    fh_err *err = NULL;
    assert_int_equal(fh_toolfmt_named(&f, fh_str_of(family), NULL), 0);
    fh_toolfmt_want w = {.tools = tools, .only = fh_str_of(only), .required = true, .one = one, .prompt = fh_str_of(prompt)};
    int rc = fh_toolfmt_grammar_make(&g, f, vocab.vocab, &w, &err);
    if (rc && rc != FH_E_UNSUPPORTED) fail_msg("%s: %s", family, fh_err_message(err));
    fh_err_free(err);
    for (uint32_t seed = 1; rc == 0 && seed < 12; seed++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
        generate(&g, seed * 7919, &text);
        heard h = read_text(f, prompt, &text);
        if (!h.calls || h.bad || (one && h.calls != 1))
            fail_msg("%s: %u calls, %u bad in %s\n%s", family, h.calls, h.bad, fh_buf_cstr(&text), fh_buf_cstr(&g.text));
    }
    fh_buf_fini(&g.text);
}

static void test_a_forced_call_is_read_back_in_every_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < fh_toolfmt_families(); i++) {
        check_family(fh_toolfmt_family_at(i), prompt_of(fh_toolfmt_family_at(i)), "", false);
        check_family(fh_toolfmt_family_at(i), prompt_of(fh_toolfmt_family_at(i)), "get_weather", true);
    }
}

/* A vocabulary that has the markers of two families as control tokens. */
static void open_with_markers(vocab_file *ret)
{
    static const char *const markers[] = {"[TOOL_CALLS]", "[ARGS]",    "[/THINK]",    "<|call:begin|>", "<|tool_calls|>",
                                          "<|calls|>",    "<|think|>", "<|content|>", "<|begin|>",      "<|end|>"};
    words *w = test_malloc(sizeof *w);
    maker m;
    words_bpe(w);
    for (size_t i = 0; i < FH_COUNT(markers); i++) add_word(w, markers[i], FH_PIECE_CONTROL, 0);
    make_bpe(&m, w, "gpt-2");
    assert_int_equal(open_vocab(&m, ret, NULL), 0);
    test_free(w);
}

static void test_markers_that_are_control_tokens_are_generated_as_such(void **state)
{
    (void)state;
    vocab_file plain = vocab;
    fh_grammars *of_plain = grammars;
    open_with_markers(&vocab);
    assert_int_equal(fh_grammars_new(&grammars, vocab.vocab, fh_vocab_size(vocab.vocab), NULL), 0);
    check_family("mistral", "", "", false);
    check_family("mistral", "[THINK]", "get_weather", true);
    check_family("mistral-list", "", "", false);
    check_family("solar", "<|begin|>assistant", "", true);
    fh_grammars_free(grammars);
    close_vocab(&vocab);
    vocab = plain;
    grammars = of_plain;
}

static void test_a_thought_that_the_prompt_opened_comes_first(void **state)
{
    (void)state;
    check_family("hermes", "<think>\n", "", false);
    check_family("function-tags", "<think>\n", "get_weather", true);
    check_family("arg-tags", "<think>", "", true);
}

/* ---- answers of a form ---- */

static int hear_answer(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    if (e->kind == FH_TOOLFMT_CONTENT) fh_buf_add(ctx, e->text.ptr, e->text.len);
    return 0;
}

/* What the reader of the family takes for the answer. */
static void read_answer(const fh_toolfmt *f, const char *prompt, const fh_json *list, const fh_buf *text, fh_buf *out)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    fh_toolfmt_options o = {.tools = list, .prompt = fh_str_of(prompt)};
    assert_int_equal(fh_toolfmt_parser_new(&p, f, &o, hear_answer, out, NULL), 0);
    assert_int_equal(fh_toolfmt_push(p, (fh_str){fh_buf_cstr(text), text->len}, NULL), 0);
    assert_int_equal(fh_toolfmt_finish(p, NULL), 0);
}

static void check_answer(const char *family, const char *prompt, const fh_json *list)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    FH_AUTO(buf) fh_buf form = FH_BUF(TEXT_BYTES);
    fh_toolfmt_grammar g;
    fh_err *err = NULL;
    fh_buf_adds(&form, "answer ::= \"[\" [0-9]{2} \"]\"");
    assert_int_equal(fh_toolfmt_named(&f, fh_str_of(family), NULL), 0);
    fh_toolfmt_want w = {.tools = list, .prompt = fh_str_of(prompt), .answer = &form, .answer_rule = "answer"};
    int rc = fh_toolfmt_grammar_make(&g, f, vocab.vocab, &w, &err);
    if (rc && (rc != FH_E_UNSUPPORTED || !list)) fail_msg("%s: %s", family, fh_err_message(err));
    fh_err_free(err);
    for (uint32_t seed = 1; rc == 0 && seed < 8; seed++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES), said = FH_BUF(TEXT_BYTES);
        generate(&g, seed * 7919, &text);
        heard h = list ? read_text(f, prompt, &text) : (heard){0};
        read_answer(f, prompt, list, &text, &said);
        fh_str answer = fh_str_trim((fh_str){fh_buf_cstr(&said), said.len});
        bool fits = h.calls ? !answer.len : answer.len == 4 && answer.ptr[0] == '[' && answer.ptr[3] == ']';
        if (!fits) fail_msg("%s: '%s' is read from '%s'\n%s", family, fh_buf_cstr(&said), fh_buf_cstr(&text), fh_buf_cstr(&g.text));
    }
    fh_buf_fini(&g.text);
}

static void test_an_answer_of_a_form_is_read_back_in_every_family(void **state)
{
    (void)state;
    for (size_t i = 0; i < fh_toolfmt_families(); i++) {
        const char *family = fh_toolfmt_family_at(i);
        check_answer(family, prompt_of(family), NULL);
        check_answer(family, prompt_of(family), tools);
    }
    check_answer("hermes", "<think>\n", NULL);
    check_answer("hermes", "<think>\n", tools);
    check_answer("granite", "", NULL);
}

static int make(const char *family, const char *list, const char *only, bool required, fh_toolfmt_grammar *ret, fh_err **err)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    FH_AUTO(json) fh_json *t = NULL;
    assert_int_equal(fh_toolfmt_named(&f, fh_str_of(family), NULL), 0);
    assert_int_equal(fh_json_parse(&t, fh_str_of(list), 65536, NULL), 0);
    fh_toolfmt_want w = {.tools = t, .only = fh_str_of(only), .required = required};
    return fh_toolfmt_grammar_make(ret, f, vocab.vocab, &w, err);
}

static void test_schemas_that_cannot_be_enforced_are_refused_if_they_are_strict(void **state)
{
    (void)state;
    fh_toolfmt_grammar g;
    fh_err *err = NULL;
    assert_int_equal(
        make("hermes", "[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"not\":{}}}}]", "", true, &g, NULL), 0);
    fh_buf_fini(&g.text);
    assert_int_not_equal(make("hermes", "[{\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\",\"not\":{}}}}]",
                              "", true, &g, &err),
                         0);
    assert_non_null(fh_err_param_get(err));
    fh_err_free(err);
    fh_buf_fini(&g.text);
}

static void test_a_tool_that_is_not_there_cannot_be_forced(void **state)
{
    (void)state;
    fh_toolfmt_grammar g;
    assert_int_equal(make("hermes", tools_text, "nobody", true, &g, NULL), FH_E_INVALID);
    fh_buf_fini(&g.text);
    assert_int_equal(make("gemma", tools_text, "", true, &g, NULL), FH_E_UNSUPPORTED);
    fh_buf_fini(&g.text);
}

static void test_a_call_that_may_come_is_held_to_its_form_behind_its_marker(void **state)
{
    (void)state;
    fh_toolfmt_grammar g;
    assert_int_equal(make("phi", tools_text, "", false, &g, NULL), 0);
    assert_true(fh_str_eqs(g.trigger, "<|tool_call|>"));
    assert_false(g.required);
    fh_buf_fini(&g.text);
    assert_int_equal(make("hermes", tools_text, "", false, &g, NULL), 0);
    assert_int_equal(g.text.len, 0); /* the marker may stand in a thought */
    fh_buf_fini(&g.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forced_call_is_read_back_in_every_family),
        cmocka_unit_test(test_markers_that_are_control_tokens_are_generated_as_such),
        cmocka_unit_test(test_a_thought_that_the_prompt_opened_comes_first),
        cmocka_unit_test(test_an_answer_of_a_form_is_read_back_in_every_family),
        cmocka_unit_test(test_schemas_that_cannot_be_enforced_are_refused_if_they_are_strict),
        cmocka_unit_test(test_a_tool_that_is_not_there_cannot_be_forced),
        cmocka_unit_test(test_a_call_that_may_come_is_held_to_its_form_behind_its_marker),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
