/* Every family, whatever is beside a request: the same tokens alone or in a batch, computed or from the cache, with 1, 2 or 4 threads. */
#include "fixture.h"

enum { MANY = 5, PROMPT = 30, TOKENS = 16 };

static const struct family {
    const char *architecture;
    tiny_type type;
    uint32_t head_dim;
} families[] = {{"llama", TINY_Q4_0, 0}, {"qwen2", TINY_Q8_0, 0}, {"qwen3", TINY_Q4_0, 32}, {"qwen3moe", TINY_Q8_0, 32}};

static void prompt(fh_token *ids, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) ids[i] = (fh_token)((i * 29 + seed * 13 + i * i) % 256);
}

static const char *write_family(const struct family *f)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = f->type;
    t.head_dim = f->head_dim;
    t.architecture = f->architecture;
    return write_tiny(&t, f->architecture);
}

static void start_family(running *r, const struct family *f, unsigned threads)
{
    fh_engine_options o = {.model_path = write_family(f), .threads = threads, .parallel = 4, .batch_tok = 64, .deterministic = true};
    start_engine(r, &o);
}

static void same(const asked *a, const asked *b, const char *what, const struct family *f)
{
    if (memcmp(a->ids, b->ids, TOKENS * sizeof *a->ids) != 0 || memcmp(a->logprobs, b->logprobs, TOKENS * sizeof *a->logprobs) != 0)
        fail_msg("%s: other tokens %s", f->architecture, what);
}

static void hold(const struct family *f, unsigned threads, asked want[MANY])
{
    static asked alone, again, together[MANY];
    running r;
    fh_token ids[MANY][PROMPT * MANY];
    start_family(&r, f, threads);
    for (unsigned i = 0; i < MANY; i++) {
        prompt(ids[i], PROMPT * (i + 1), i);
        fh_gen_request q = request_of(ids[i], PROMPT * (i + 1));
        no_error(ask(&r, &alone, &q, NULL), NULL);
        wait_end(&alone);
        if (threads == 1) memcpy(&want[i], &alone, sizeof alone);
        same(&want[i], &alone, "with more threads", f);
        no_error(ask(&r, &again, &q, NULL), NULL);
        wait_end(&again);
        assert_true(again.end.cached_tok > 0);
        same(&want[i], &again, "from the cache", f);
    }
    for (unsigned i = 0; i < MANY; i++) {
        fh_gen_request q = request_of(ids[i], PROMPT * (i + 1));
        q.cache_salt = FH_STR("other");
        no_error(ask(&r, &together[i], &q, NULL), NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        wait_end(&together[i]);
        same(&want[i], &together[i], "beside others", f);
    }
    stop_engine(&r);
}

static void every_family_answers_the_same_whatever_is_beside(void **state)
{
    static asked want[MANY];
    (void)state;
    for (size_t i = 0; i < FH_COUNT(families); i++)
        for (unsigned threads = 1; threads <= 4; threads *= 2) hold(&families[i], threads, want);
}

/* Nothing but the hidden state goes from one stage to the next. */
static void a_model_in_stages_gives_what_it_gives_in_one(void **state)
{
    static float whole[PROMPT * TINY_VOCAB], parts[PROMPT * TINY_VOCAB];
    static const fh_stage stages[] = {{0, 1}, {1, 2}};
    (void)state;
    for (size_t i = 0; i < FH_COUNT(families); i++) {
        fh_token ids[PROMPT];
        FH_AUTO(fh_engine) fh_engine *e = NULL;
        fh_engine_options o = {.model_path = write_family(&families[i]), .threads = 2, .parallel = 1};
        no_error(fh_engine_open(&e, &o, NULL), NULL);
        prompt(ids, PROMPT, 1);
        no_error(fh_engine_eval(e, ids, PROMPT, 7, keep_row, whole, NULL), NULL);
        e->model.stages = stages;
        e->model.stage_count = FH_COUNT(stages);
        no_error(fh_engine_eval(e, ids, PROMPT, 7, keep_row, parts, NULL), NULL);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_family_answers_the_same_whatever_is_beside),
                                       cmocka_unit_test(a_model_in_stages_gives_what_it_gives_in_one)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
