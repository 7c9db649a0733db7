/* Guesses change no answer: an engine that guesses whatever it can, right or wrong, against one that never does. */
#include "fixture.h"

enum { PROMPTS = 40, MOST_PROMPT = 400, TOKENS = 60 };

typedef struct case_of { /* a request, and its answer without guesses */
    fh_token ids[MOST_PROMPT];
    fh_gen_request q;
    fh_token biased[2];
    float biases[2];
    asked want;
} case_of;

static case_of *cases;
static const fh_str stops[] = {FH_STR("ab"), FH_STR("\x01\x02")};

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

/* Pieces that come again, so that there is something to guess; some longer than what attention splits. */
static void make_case(case_of *c, uint64_t seed)
{
    size_t count = 4 + draw(&seed, MOST_PROMPT - 4), piece = 3 + draw(&seed, 20);
    for (size_t i = 0; i < count; i++) c->ids[i] = i >= piece && draw(&seed, 30) ? c->ids[i - piece] : (fh_token)draw(&seed, 256);
    c->q = request_of(c->ids, count);
    c->q.max_tok = 1 + draw(&seed, TOKENS);
    fh_sample_params *s = &c->q.sample;
    s->seed = seed;
    if (seed & 1 << 8) s->temperature = 0.2 + 0.2 * draw(&seed, 5);
    if (seed & 1 << 9) s->repetition_penalty = 1.2;
    if (seed & 1 << 10) s->frequency_penalty = 0.4;
    if (seed & 1 << 11) s->top_k = 5;
    if (seed & 1 << 12) s->top_p = 0.8;
    if (seed & 1 << 13) c->q.logprobs = false;
    if (seed & 1 << 14) {
        c->q.stops = stops;
        c->q.stop_count = FH_COUNT(stops);
    }
    c->biased[0] = 7;
    c->biases[0] = 5;
    s->bias_tokens = c->biased;
    s->bias_values = c->biases;
    s->bias_count = seed >> 15 & 1;
    c->q.ignore_eos = seed & 1 << 16;
}

static void check_same(const asked *want, const asked *got, bool in_batch)
{
    assert_int_equal(want->end.finish, got->end.finish);
    assert_int_equal(want->end.generated_tok, got->end.generated_tok);
    assert_int_equal(want->tokens, got->tokens);
    assert_memory_equal(want->ids, got->ids, want->tokens * sizeof *want->ids);
    assert_memory_equal(want->logprobs, got->logprobs, want->tokens * sizeof *want->logprobs);
    assert_string_equal(want->text, got->text);
    if (!in_batch) assert_int_equal(want->pieces, got->pieces);
    assert_true(got->end.accepted_tok <= got->end.drafted_tok && got->end.accepted_tok <= got->end.generated_tok);
    assert_int_equal(want->end.drafted_tok, 0);
}

static void ask_all_without(bool deterministic)
{
    running r;
    start_tiny(&r, (fh_engine_options){.drafts = FH_DRAFTS_NEVER, .deterministic = deterministic}, 2048);
    for (size_t i = 0; i < PROMPTS; i++) {
        make_case(&cases[i], i * 7919 + 1);
        answer(&r, &cases[i].want, &cases[i].q);
    }
    stop_engine(&r);
}

static void check_stats(const running *r)
{
    fh_engine_stats s;
    fh_engine_stats_get(r->engine, &s);
    print_message("# %llu tokens guessed, %llu of them came\n", (unsigned long long)s.drafted_tok, (unsigned long long)s.accepted_tok);
    assert_true(s.accepted_tok > 0 && s.drafted_tok > s.accepted_tok);
}

static void alone_each_answer_is_the_same(void **state)
{
    (void)state;
    running r;
    static asked got;
    ask_all_without(false);
    start_tiny(&r, (fh_engine_options){.drafts = FH_DRAFTS_ALWAYS}, 2048);
    for (size_t i = 0; i < PROMPTS; i++) {
        answer(&r, &got, &cases[i].q);
        check_same(&cases[i].want, &got, false);
    }
    check_stats(&r);
    stop_engine(&r);
}

/* All at once, in a cache too small for them, and with the pages of those before. */
static void in_a_batch_of_others_each_answer_is_the_same(void **state)
{
    (void)state;
    running r;
    static asked got[PROMPTS];
    fh_engine_stats stats;
    ask_all_without(true);
    start_tiny(&r,
               (fh_engine_options){.drafts = FH_DRAFTS_ALWAYS, .deterministic = true, .parallel = 6, .context_tok = 512, .kv_tok = 1024},
               2048);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < PROMPTS; i++) {
            fh_gen_request q = cases[i].q;
            no_error(ask(&r, &got[i], &q, NULL), NULL);
        }
        for (size_t i = 0; i < PROMPTS; i++) {
            wait_end(&got[i]);
            check_same(&cases[i].want, &got[i], true);
        }
    }
    check_stats(&r);
    fh_engine_stats_get(r.engine, &stats);
    assert_true(stats.preempted > 0);
    stop_engine(&r);
}

/* ---- grammars ---- */

static void under_a_grammar_each_answer_is_the_same(void **state)
{
    (void)state;
    static asked without[12], with;
    fh_grammar_source source = {
        .kind = FH_GRAMMAR_GBNF, .text = FH_STR("root ::= (\"[\" [0-9]{1,3} \",\" [a-c]+ \"]\"){2,12}"), .param = "grammar"};
    fh_token ids[30];
    for (int drafts = FH_DRAFTS_NEVER; drafts <= FH_DRAFTS_ALWAYS; drafts++) {
        running r;
        fh_grammar *g = NULL;
        start_tiny(&r, (fh_engine_options){.drafts = (fh_drafts)drafts}, 2048);
        assert_int_equal(fh_grammars_get(fh_engine_grammars(r.engine), &source, &g, NULL), 0);
        for (size_t i = 0; i < FH_COUNT(without); i++) {
            for (size_t k = 0; k < FH_COUNT(ids); k++) ids[k] = (fh_token)((k * 31 + i) % 256);
            fh_gen_request q = request_of(ids, FH_COUNT(ids));
            q.grammar = g;
            q.max_tok = 10 + 7 * i;
            q.sample.temperature = i % 2 ? 1 : 0;
            q.sample.seed = i;
            answer(&r, drafts == FH_DRAFTS_NEVER ? &without[i] : &with, &q);
            if (drafts == FH_DRAFTS_ALWAYS) check_same(&without[i], &with, false);
        }
        if (drafts == FH_DRAFTS_ALWAYS) check_stats(&r);
        fh_grammar_unref(g);
        stop_engine(&r);
    }
}

/* ---- ends ---- */

/* One token again and again. */
static fh_gen_request of_one_token(const fh_token *ids, size_t count)
{
    static const fh_token token = 97;
    static const float likes = 100;
    fh_gen_request q = request_of(ids, count);
    q.sample.bias_tokens = &token;
    q.sample.bias_values = &likes;
    q.sample.bias_count = 1;
    return q;
}

/* The last tokens of a full context are guessed no further. */
static void a_context_that_fills_ends_with_the_same_token(void **state)
{
    (void)state;
    static asked without, with;
    fh_token ids[40];
    for (size_t i = 0; i < FH_COUNT(ids); i++) ids[i] = (fh_token)(i % 4);
    for (int drafts = FH_DRAFTS_NEVER; drafts <= FH_DRAFTS_ALWAYS; drafts++) {
        running r;
        start_tiny(&r, (fh_engine_options){.drafts = (fh_drafts)drafts, .context_tok = 130, .kv_tok = 192}, 2048);
        fh_gen_request q = of_one_token(ids, FH_COUNT(ids));
        q.max_tok = 0;
        answer(&r, drafts == FH_DRAFTS_NEVER ? &without : &with, &q);
        stop_engine(&r);
    }
    check_same(&without, &with, false);
    assert_int_equal(with.end.generated_tok, 130 - FH_COUNT(ids) + 1);
    assert_true(with.end.accepted_tok > 0);
}

static void cancel_at_the_tenth(void *arg, const fh_gen_piece *p)
{
    asked *a = arg;
    asked_piece(a, p);
    if (a->pieces == 10) fh_gen_cancel(a->gen);
}

static void who_cancels_gets_no_guess_more(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token ids[40];
    for (size_t i = 0; i < FH_COUNT(ids); i++) ids[i] = (fh_token)(i % 4);
    start_tiny(&r, (fh_engine_options){.drafts = FH_DRAFTS_ALWAYS}, 2048);
    fh_gen_request q = of_one_token(ids, FH_COUNT(ids));
    q.max_tok = 1000;
    q.on_piece = cancel_at_the_tenth;
    answer(&r, &a, &q);
    assert_int_equal(a.end.finish, FH_GEN_CANCELLED);
    assert_int_equal(a.pieces, 10);
    assert_int_equal(a.end.generated_tok, a.tokens);
    assert_true(a.end.accepted_tok > 0);
    stop_engine(&r);
}

/* ---- predictions ---- */

static void a_prediction_changes_no_answer_and_is_counted(void **state)
{
    (void)state;
    running r;
    static asked got;
    size_t right = 0;
    ask_all_without(false);
    start_tiny(&r, (fh_engine_options){.drafts = FH_DRAFTS_ALWAYS}, 2048);
    for (size_t i = 0; i < PROMPTS; i++) {
        case_of *c = &cases[i];
        fh_gen_request q = c->q;
        q.prediction = i % 4 ? c->want.ids : cases[(i + 1) % PROMPTS].ids;
        q.prediction_count = i % 4 ? c->want.tokens : MOST_PROMPT;
        answer(&r, &got, &q);
        check_same(&c->want, &got, false);
        assert_true(got.end.predicted_tok <= got.end.accepted_tok);
        assert_true(got.end.predicted_tok + got.end.mispredicted_tok <= got.end.drafted_tok);
        right += i % 4 ? got.end.predicted_tok : 0;
    }
    assert_true(right > PROMPTS);
    stop_engine(&r);
}

static int make_all(void **state)
{
    cases = calloc(PROMPTS, sizeof *cases);
    return cases ? make_folder(state) : -1;
}

static int free_all(void **state)
{
    free(cases);
    return remove_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_each_answer_is_the_same),           cmocka_unit_test(in_a_batch_of_others_each_answer_is_the_same),
        cmocka_unit_test(under_a_grammar_each_answer_is_the_same), cmocka_unit_test(a_context_that_fills_ends_with_the_same_token),
        cmocka_unit_test(who_cancels_gets_no_guess_more),          cmocka_unit_test(a_prediction_changes_no_answer_and_is_counted),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
