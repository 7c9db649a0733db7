/* The batch: several at once, cancelling, a full queue, stop strings, seeds, prefix reuse, pausing, stopping. */
#include "fixture.h"
#include "base/clock.h"
#include "base/limits.h"

enum { PROMPT = 40 };

static void prompt(fh_token *ids, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) ids[i] = (fh_token)((i * 31 + seed * 17 + i * i) % 256);
}

static void a_request_ends_with_its_tokens_and_usage(void **state)
{
    (void)state;
    running r;
    asked a;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){0}, 2048);
    prompt(ids, PROMPT, 1);
    fh_gen_request q = request_of(ids, PROMPT);
    answer(&r, &a, &q);
    assert_int_equal(a.end.finish, FH_GEN_LENGTH);
    assert_int_equal(a.end.generated_tok, 16);
    assert_int_equal(a.end.prompt_tok, PROMPT);
    assert_int_equal(a.tokens, 16);
    assert_true(a.end.prompt_ns > 0 && a.end.generate_ns > 0);
    stop_engine(&r);
}

/* Greedy tokens of several sequences at once are those of each alone, bit for bit when asked for. */
static void many_at_once_give_what_each_gives_alone(void **state)
{
    (void)state;
    enum { MANY = 6 };
    running r;
    static asked alone[MANY], together[MANY];
    fh_token ids[MANY][PROMPT * MANY];
    start_tiny(&r, (fh_engine_options){.parallel = 4, .batch_tok = 64, .deterministic = true}, 2048);
    for (unsigned i = 0; i < MANY; i++) {
        prompt(ids[i], PROMPT * (i + 1), i);
        fh_gen_request q = request_of(ids[i], PROMPT * (i + 1));
        answer(&r, &alone[i], &q);
    }
    for (unsigned i = 0; i < MANY; i++) {
        fh_gen_request q = request_of(ids[i], PROMPT * (i + 1));
        q.cache_salt = FH_STR("other"); /* nothing is reused */
        no_error(ask(&r, &together[i], &q, NULL), NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        wait_end(&together[i]);
        assert_memory_equal(alone[i].ids, together[i].ids, 16 * sizeof(fh_token));
        assert_memory_equal(alone[i].logprobs, together[i].logprobs, 16 * sizeof(float));
    }
    stop_engine(&r);
}

/* Cut after any piece, told to another request as what was begun, the answer goes on as it would have: text, tokens, usage. */
static void what_another_engine_began_goes_on_as_it_would_have(void **state)
{
    (void)state;
    running r;
    static asked whole, rest;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.deterministic = true}, 2048);
    prompt(ids, PROMPT, 1);
    fh_gen_request q = request_of(ids, PROMPT);
    const fh_str stops[] = {FH_STR("no such text")}; /* holds text back now and then */
    q.sample.temperature = 0.9;
    q.sample.seed = 7;
    q.sample.repetition_penalty = 1.3;
    q.stops = stops;
    q.stop_count = 1;
    q.max_tok = 48;
    q.logprobs = false;
    answer(&r, &whole, &q);
    size_t cuts = 0;
    for (size_t k = 1; k < whole.tokens; k++) {
        if (!whole.length_at[k]) continue;
        q.begun = whole.ids;
        q.begun_count = k;
        q.cache_salt = k % 2 ? FH_STR("other") : FH_STR("");
        answer(&r, &rest, &q);
        assert_string_equal(rest.text, whole.text + whole.length_at[k]);
        assert_memory_equal(rest.ids, whole.ids + k, (whole.tokens - k) * sizeof(fh_token));
        assert_int_equal(rest.end.generated_tok, whole.end.generated_tok);
        assert_int_equal(rest.end.prompt_tok, PROMPT);
        cuts++;
    }
    assert_true(cuts > 10);
    stop_engine(&r);
}

/* The grammar too stands where the answer was. */
static void what_another_engine_began_under_a_grammar_goes_on_under_it(void **state)
{
    (void)state;
    running r;
    static asked whole, rest;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.deterministic = true}, 2048);
    prompt(ids, PROMPT, 1);
    fh_grammar_source s = {.kind = FH_GRAMMAR_GBNF, .text = FH_STR("root ::= \"{\" ([0-9]{1,3} \",\"){2,20} \"}\""), .param = "grammar"};
    fh_grammar *g = NULL;
    assert_int_equal(fh_grammars_get(fh_engine_grammars(r.engine), &s, &g, NULL), 0);
    fh_gen_request q = request_of(ids, PROMPT);
    q.grammar = g;
    q.sample.temperature = 1.5;
    q.sample.seed = 11;
    q.max_tok = 60;
    answer(&r, &whole, &q);
    assert_int_equal(whole.end.finish, FH_GEN_STOP);
    assert_true(whole.text[0] == '{' && whole.text[whole.length - 1] == '}');
    for (size_t k = 1; k + 1 < whole.tokens; k++) {
        if (!whole.length_at[k]) continue;
        q.begun = whole.ids;
        q.begun_count = k;
        answer(&r, &rest, &q);
        assert_string_equal(rest.text, whole.text + whole.length_at[k]);
    }
    fh_grammar_unref(g); /* before the vocabulary that it is made for */
    stop_engine(&r);
}

static void what_is_whole_or_nonsense_does_not_go_on(void **state)
{
    (void)state;
    running r;
    asked a;
    fh_token ids[PROMPT], begun[16] = {1, 2, 3};
    start_tiny(&r, (fh_engine_options){0}, 2048);
    prompt(ids, PROMPT, 1);
    fh_gen_request q = request_of(ids, PROMPT);
    q.begun = begun;
    q.begun_count = 16; /* as many as were asked for */
    assert_int_equal(ask(&r, &a, &q, NULL), FH_E_INVALID);
    begun[1] = -1;
    q.begun_count = 2;
    assert_int_equal(ask(&r, &a, &q, NULL), FH_E_INVALID);
    stop_engine(&r);
}

static void the_same_seed_gives_the_same_tokens(void **state)
{
    (void)state;
    running r;
    static asked a, b, c;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.deterministic = true}, 2048); /* the second finds most of its prompt computed */
    prompt(ids, PROMPT, 2);
    fh_gen_request q = request_of(ids, PROMPT);
    q.sample.temperature = 1.5;
    q.sample.seed = 42;
    answer(&r, &a, &q);
    answer(&r, &b, &q);
    q.sample.seed = 43;
    answer(&r, &c, &q);
    assert_memory_equal(a.ids, b.ids, 16 * sizeof(fh_token));
    assert_memory_not_equal(a.ids, c.ids, 16 * sizeof(fh_token));
    stop_engine(&r);
}

static void tokens_that_a_slot_holds_are_not_computed_again(void **state)
{
    (void)state;
    running r;
    static asked a, b, c;
    fh_token ids[PROMPT * 2];
    start_tiny(&r, (fh_engine_options){.deterministic = true}, 2048);
    prompt(ids, PROMPT * 2, 3);
    fh_gen_request q = request_of(ids, PROMPT * 2);
    answer(&r, &a, &q);
    assert_int_equal(a.end.cached_tok, 0);
    answer(&r, &b, &q);
    assert_int_equal(b.end.cached_tok, PROMPT * 2 - 1);
    assert_memory_equal(a.ids, b.ids, 16 * sizeof(fh_token));
    assert_memory_equal(a.logprobs, b.logprobs, 16 * sizeof(float));
    q.cache_salt = FH_STR("someone else");
    answer(&r, &c, &q);
    assert_int_equal(c.end.cached_tok, 0);
    stop_engine(&r);
}

static void a_stop_string_ends_it_and_is_not_shown(void **state)
{
    (void)state;
    running r;
    static asked a, b;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.deterministic = true}, 2048); /* the second finds most of its prompt computed */
    prompt(ids, PROMPT, 4);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 64;
    q.sample.temperature = 1;
    q.sample.seed = 7;
    fh_token letters[128];
    float likes[128];
    for (int i = 0; i < 96; i++) { /* printable bytes only, so that the text is the tokens */
        letters[i] = 32 + i;
        likes[i] = 100;
    }
    q.sample.bias_tokens = letters;
    q.sample.bias_values = likes;
    q.sample.bias_count = 94;
    answer(&r, &a, &q);
    assert_int_equal(a.length, 64);
    char stop[4] = {a.text[20], a.text[21], a.text[22], 0};
    fh_str stops[] = {{stop, 3}};
    q.stops = stops;
    q.stop_count = 1;
    answer(&r, &b, &q);
    const char *at = strstr(a.text, stop);
    assert_int_equal(b.end.finish, FH_GEN_STOP);
    assert_int_equal(b.length, at - a.text);
    assert_memory_equal(a.text, b.text, b.length);
    stop_engine(&r);
}

static void a_cancelled_request_ends_at_once(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){0}, 2048);
    prompt(ids, PROMPT, 5);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 0;
    no_error(ask(&r, &a, &q, NULL), NULL);
    wait_pieces(&a, 3);
    fh_gen_cancel(a.gen);
    wait_end(&a);
    assert_int_equal(a.end.finish, FH_GEN_CANCELLED);
    assert_true(a.end.generated_tok < 1900);
    stop_engine(&r);
}

static void a_request_that_waits_can_be_cancelled(void **state)
{
    (void)state;
    running r;
    static gate first;
    static asked second;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.parallel = 1}, 2048);
    prompt(ids, PROMPT, 5);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 0;
    q.on_piece = wait_at_gate;
    no_error(ask(&r, &first.a, &q, NULL), NULL);
    wait_pieces(&first.a, 1);
    q.on_piece = NULL;
    no_error(ask(&r, &second, &q, NULL), NULL);
    fh_gen_cancel(second.gen);
    atomic_store(&first.beyond, SIZE_MAX);
    wait_end(&second);
    assert_int_equal(second.end.finish, FH_GEN_CANCELLED);
    assert_int_equal(second.end.generated_tok, 0);
    fh_gen_cancel(first.a.gen);
    wait_end(&first.a);
    stop_engine(&r);
}

static void pause_at_the_first(void *arg, const fh_gen_piece *p)
{
    asked *a = arg;
    if (a->pieces == 0) fh_gen_pause(a->gen, true);
    asked_piece(a, p);
}

static void a_paused_request_waits_and_goes_on(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){0}, 2048);
    prompt(ids, PROMPT, 6);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 1500;
    q.on_piece = pause_at_the_first;
    no_error(ask(&r, &a, &q, NULL), NULL);
    wait_pieces(&a, 1);
    fh_sleep_ns(40 * FH_NS_PER_MS);
    pthread_mutex_lock(&a.lock);
    assert_int_equal(a.pieces, 1);
    assert_false(a.ended);
    pthread_mutex_unlock(&a.lock);
    fh_gen_pause(a.gen, false);
    wait_end(&a);
    assert_int_equal(a.end.generated_tok, 1500);
    stop_engine(&r);
}

static void a_full_queue_refuses_and_says_busy(void **state)
{
    (void)state;
    running r;
    static gate first;
    asked *many = calloc(FH_LIMIT_ENGINE_QUEUE + 2, sizeof *many);
    fh_token ids[PROMPT];
    fh_err *err = NULL;
    start_tiny(&r, (fh_engine_options){.parallel = 1}, 2048);
    prompt(ids, PROMPT, 8);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 0;
    q.on_piece = wait_at_gate;
    no_error(ask(&r, &first.a, &q, NULL), NULL);
    wait_pieces(&first.a, 1);
    q.on_piece = NULL;
    for (size_t i = 1; i <= FH_LIMIT_ENGINE_QUEUE; i++) no_error(ask(&r, &many[i], &q, NULL), NULL);
    assert_int_equal(ask(&r, &many[FH_LIMIT_ENGINE_QUEUE + 1], &q, &err), FH_E_BUSY);
    fh_err_free(err);
    fh_engine_stats stats;
    fh_engine_stats_get(r.engine, &stats);
    assert_int_equal(stats.waiting, FH_LIMIT_ENGINE_QUEUE);
    assert_int_equal(stats.refused, 1);
    fh_engine_stop(r.engine);
    atomic_store(&first.beyond, SIZE_MAX);
    stop_engine(&r);
    wait_end(&first.a);
    for (size_t i = 1; i <= FH_LIMIT_ENGINE_QUEUE; i++) {
        wait_end(&many[i]);
        assert_int_equal(many[i].end.finish, FH_GEN_SHUTDOWN);
    }
    free(many);
}

static void a_prompt_that_does_not_fit_is_refused_with_numbers(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token *ids = calloc(5000, sizeof *ids);
    fh_err *err = NULL;
    start_tiny(&r, (fh_engine_options){0}, 2048);
    fh_gen_request q = request_of(ids, 5000);
    assert_int_equal(ask(&r, &a, &q, &err), FH_E_INVALID);
    assert_non_null(strstr(fh_err_message(err), "5000"));
    assert_non_null(strstr(fh_err_message(err), "2048"));
    fh_err_free(err);
    err = NULL;
    q.token_count = 0;
    assert_int_equal(ask(&r, &a, &q, &err), FH_E_INVALID);
    fh_err_free(err);
    err = NULL;
    ids[1] = TINY_VOCAB;
    q.token_count = 3;
    assert_int_equal(ask(&r, &a, &q, &err), FH_E_INVALID);
    fh_err_free(err);
    stop_engine(&r);
    free(ids);
}

static void the_context_ends_a_generation(void **state)
{
    (void)state;
    running r;
    static asked a;
    fh_token ids[PROMPT];
    start_tiny(&r, (fh_engine_options){.context_tok = 64}, 2048);
    prompt(ids, PROMPT, 9);
    fh_gen_request q = request_of(ids, PROMPT);
    q.max_tok = 0;
    answer(&r, &a, &q);
    assert_int_equal(a.end.finish, FH_GEN_LENGTH);
    assert_int_equal(a.end.generated_tok, 64 - PROMPT + 1);
    stop_engine(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_ends_with_its_tokens_and_usage),
        cmocka_unit_test(many_at_once_give_what_each_gives_alone),
        cmocka_unit_test(what_another_engine_began_goes_on_as_it_would_have),
        cmocka_unit_test(what_another_engine_began_under_a_grammar_goes_on_under_it),
        cmocka_unit_test(what_is_whole_or_nonsense_does_not_go_on),
        cmocka_unit_test(the_same_seed_gives_the_same_tokens),
        cmocka_unit_test(tokens_that_a_slot_holds_are_not_computed_again),
        cmocka_unit_test(a_stop_string_ends_it_and_is_not_shown),
        cmocka_unit_test(a_cancelled_request_ends_at_once),
        cmocka_unit_test(a_request_that_waits_can_be_cancelled),
        cmocka_unit_test(a_paused_request_waits_and_goes_on),
        cmocka_unit_test(a_full_queue_refuses_and_says_busy),
        cmocka_unit_test(a_prompt_that_does_not_fit_is_refused_with_numbers),
        cmocka_unit_test(the_context_ends_a_generation),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
