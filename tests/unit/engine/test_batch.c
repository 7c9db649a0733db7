/* The batch under load: long prompts beside streams, short ones beside long, full caches, and answers that are the same whatever happens.
 */
#include "fixture.h"
#include "base/clock.h"

enum { LONG = 4000, SHORT = 40 };

static void prompt(fh_token *ids, size_t count, unsigned seed)
{
    uint64_t x = seed;
    for (size_t i = 0; i < count; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (fh_token)((x >> 33) % 256);
    }
}

static void start_alike(running *r, fh_engine_options o, uint32_t context)
{
    o.deterministic = true;
    start_tiny(r, o, context);
}

/* ---- fairness ---- */

enum { STREAMS = 8 };

typedef struct watch { /* how far the streams were when something else began to answer */
    asked *streams;
    size_t at[STREAMS];
    bool began;
} watch;

static void note_streams(void *arg, const fh_gen_piece *p)
{
    watch *w = arg;
    (void)p;
    if (w->began) return;
    w->began = true;
    for (size_t i = 0; i < STREAMS; i++) w->at[i] = w->streams[i].tokens; /* of the batch thread, as we are */
}

static void a_long_prompt_does_not_stop_the_others(void **state)
{
    (void)state;
    running r;
    static asked streams[STREAMS];
    static watch w;
    fh_token ids[LONG];
    fh_gen *gen = NULL;
    size_t before[STREAMS];
    start_alike(&r, (fh_engine_options){.parallel = STREAMS + 1, .context_tok = 8192, .kv_tok = 8192 * 4}, 8192);
    for (unsigned i = 0; i < STREAMS; i++) {
        prompt(ids, SHORT, i);
        fh_gen_request q = request_of(ids, SHORT);
        q.max_tok = 4000;
        no_error(ask(&r, &streams[i], &q, NULL), NULL);
    }
    for (size_t i = 0; i < STREAMS; i++) wait_pieces(&streams[i], 4);
    prompt(ids, LONG, 99);
    w = (watch){.streams = streams};
    fh_gen_request q = request_of(ids, LONG);
    q.on_piece = note_streams;
    q.arg = &w;
    for (size_t i = 0; i < STREAMS; i++) {
        pthread_mutex_lock(&streams[i].lock);
        before[i] = streams[i].tokens;
        pthread_mutex_unlock(&streams[i].lock);
    }
    no_error(fh_engine_submit(r.engine, &q, &gen, NULL), NULL);
    for (size_t i = 0; i < STREAMS; i++) {
        fh_gen *stream = streams[i].gen;
        wait_pieces(&streams[i], before[i] + 1200);
        fh_gen_cancel(stream);
        wait_end(&streams[i]);
    }
    fh_gen_release(gen);
    stop_engine(&r);
    assert_true(w.began);
    for (size_t i = 0; i < STREAMS; i++) assert_true(w.at[i] >= before[i] + LONG / PREFILL_BESIDE_DECODE_TOK - 1);
}

static void note_order(void *arg, const fh_gen_end *end)
{
    asked *a = arg;
    static atomic_uint turn;
    a->pieces = 1000000 + atomic_fetch_add(&turn, 1);
    asked_end(a, end);
}

/* Of both at once the long one comes first by rank. */
static void a_short_prompt_overtakes_a_long_one(void **state)
{
    (void)state;
    running r;
    static asked both[2];
    static fh_token ids[2][LONG];
    fh_gen_request q[2];
    fh_gen **gens[2] = {&both[0].gen, &both[1].gen};
    start_alike(&r, (fh_engine_options){.parallel = 2, .batch_tok = 64}, 8192);
    for (unsigned i = 0; i < 2; i++) {
        size_t count = i == 0 ? LONG : SHORT;
        prompt(ids[i], count, i);
        q[i] = request_of(ids[i], count);
        q[i].max_tok = 1;
        memset(&both[i], 0, sizeof both[i]);
        pthread_mutex_init(&both[i].lock, NULL);
        pthread_cond_init(&both[i].changed, NULL);
        q[i].on_piece = asked_piece;
        q[i].on_end = note_order;
        q[i].arg = &both[i];
    }
    no_error(fh_engine_submit_all(r.engine, q, 2, gens, NULL), NULL);
    wait_end(&both[0]);
    wait_end(&both[1]);
    assert_true(both[1].pieces < both[0].pieces);
    stop_engine(&r);
}

/* A long prompt ends although short ones never stop coming. */
static void short_prompts_do_not_starve_a_long_one(void **state)
{
    (void)state;
    running r;
    static asked long_one, many[3];
    fh_token ids[LONG];
    bool ended = false;
    start_alike(&r, (fh_engine_options){.parallel = 4, .batch_tok = 64}, 8192);
    prompt(ids, LONG, 1);
    fh_gen_request q = request_of(ids, LONG);
    no_error(ask(&r, &long_one, &q, NULL), NULL);
    for (unsigned i = 0; !ended; i++) {
        asked *a = &many[i % 3];
        if (i >= 3) wait_end(a);
        prompt(ids, SHORT, 1000 + i);
        q = request_of(ids, SHORT);
        q.max_tok = 1;
        no_error(ask(&r, a, &q, NULL), NULL);
        pthread_mutex_lock(&long_one.lock);
        ended = long_one.ended;
        pthread_mutex_unlock(&long_one.lock);
    }
    for (size_t i = 0; i < 3; i++)
        if (many[i].gen) wait_end(&many[i]);
    wait_end(&long_one);
    assert_int_equal(long_one.end.finish, FH_GEN_LENGTH);
    stop_engine(&r);
}

/* ---- pages ---- */

static void requests_that_begin_alike_compute_it_once(void **state)
{
    (void)state;
    enum { MANY = 4, COUNT = 3 * FH_KV_PAGE_TOK + 10 };
    running r;
    static asked all[MANY];
    fh_token ids[COUNT];
    fh_gen_request q[MANY];
    fh_gen **gens[MANY];
    fh_engine_stats stats;
    start_alike(&r, (fh_engine_options){.parallel = MANY}, 2048);
    prompt(ids, COUNT, 1);
    memset(all, 0, sizeof all);
    for (unsigned i = 0; i < MANY; i++) {
        q[i] = request_of(ids, COUNT);
        pthread_mutex_init(&all[i].lock, NULL);
        pthread_cond_init(&all[i].changed, NULL);
        q[i].on_piece = asked_piece;
        q[i].on_end = asked_end;
        q[i].arg = &all[i];
        gens[i] = &all[i].gen;
    }
    no_error(fh_engine_submit_all(r.engine, q, MANY, gens, NULL), NULL);
    for (unsigned i = 0; i < MANY; i++) {
        wait_end(&all[i]);
        assert_memory_equal(all[i].ids, all[0].ids, 16 * sizeof(fh_token));
        assert_memory_equal(all[i].logprobs, all[0].logprobs, 16 * sizeof(float));
        assert_int_equal(all[i].end.cached_tok, i == 0 ? 0 : 3 * FH_KV_PAGE_TOK);
    }
    fh_engine_stats_get(r.engine, &stats);
    assert_int_equal(stats.prompt_tok, COUNT + (MANY - 1) * 10);
    stop_engine(&r);
}

/* Also where the rows of a large batch have other products than those of a small one. */
static void a_prompt_is_answered_alike_when_its_pages_were_kept(void **state)
{
    (void)state;
    enum { COUNT = 3 * FH_KV_PAGE_TOK + 10 };
    running r;
    static asked first, again;
    fh_token ids[COUNT];
    start_tiny(&r, (fh_engine_options){.parallel = 1}, 2048);
    prompt(ids, COUNT, 1);
    fh_gen_request q = request_of(ids, COUNT), q2 = request_of(ids, COUNT);
    answer(&r, &first, &q);
    answer(&r, &again, &q2);
    assert_int_equal(first.end.cached_tok, 0);
    assert_true(again.end.cached_tok >= 3 * FH_KV_PAGE_TOK);
    assert_memory_equal(again.ids, first.ids, 16 * sizeof(fh_token));
    assert_memory_equal(again.logprobs, first.logprobs, 16 * sizeof(float));
    stop_engine(&r);
}

static void a_full_cache_costs_the_last_their_places_and_nobody_an_answer(void **state)
{
    (void)state;
    enum { MANY = 6, TOKENS = 300 };
    running r;
    static asked alone[MANY], together[MANY];
    fh_token ids[MANY][SHORT];
    fh_engine_stats stats;
    start_alike(&r, (fh_engine_options){.parallel = 4, .context_tok = 512, .kv_tok = 600}, 2048);
    for (int salt = 0; salt < 2; salt++) {
        for (unsigned i = 0; i < MANY; i++) {
            prompt(ids[i], SHORT, i);
            fh_gen_request q = request_of(ids[i], SHORT);
            q.max_tok = TOKENS;
            q.cache_salt = salt ? FH_STR("other") : FH_STR("");
            q.priority = i == 0 ? FH_GEN_LOW : i == MANY - 1 ? FH_GEN_HIGH : FH_GEN_NORMAL;
            if (salt)
                no_error(ask(&r, &together[i], &q, NULL), NULL);
            else
                answer(&r, &alone[i], &q);
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        wait_end(&together[i]);
        assert_int_equal(together[i].end.finish, FH_GEN_LENGTH);
        assert_int_equal(together[i].end.generated_tok, TOKENS);
        assert_memory_equal(alone[i].ids, together[i].ids, TOKENS * sizeof(fh_token));
        assert_memory_equal(alone[i].logprobs, together[i].logprobs, TOKENS * sizeof(float));
    }
    fh_engine_stats_get(r.engine, &stats);
    assert_true(stats.preempted > 0);
    stop_engine(&r);
}

static void a_cache_smaller_than_a_context_is_refused(void **state)
{
    (void)state;
    tiny_gguf t;
    fh_engine *e = NULL;
    fh_err *err = NULL;
    tiny_gguf_default(&t);
    fh_engine_options o = {.model_path = write_tiny(&t, "small"), .threads = 1, .context_tok = 200, .kv_tok = 100};
    assert_int_equal(fh_engine_open(&e, &o, &err), FH_E_USAGE);
    assert_non_null(strstr(fh_err_message(err), "128"));
    assert_non_null(strstr(fh_err_message(err), "200"));
    fh_err_free(err);
}

/* ---- soak: arrivals, cancels, lengths and priorities at random, at twice the capacity ---- */

enum { PROMPTS = 24, LINES = 12, MOST_TOK = 100 };

typedef struct life { /* one request at a time */
    asked a;
    size_t prompt;
    uint64_t max_tok;
    fh_gen_priority priority;
    int64_t submitted_ns; /* by the soak's clock */
    bool leaves, pauses, cancelled, runs;
} life;

typedef struct soak {
    running r;
    fh_token ids[PROMPTS][512];
    size_t counts[PROMPTS];
    fh_token want[PROMPTS][MOST_TOK];
    uint64_t seed, ended, cancelled;
    int64_t seen_ns, still_ns; /* last, and how long the machine stood still (suspended, stopped), which passes nobody over */
    int64_t longest_ns[3];     /* low, normal, high: from coming to the end, of those that neither paused nor left */
} soak;

static uint32_t draw(soak *s, uint32_t below)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(s->seed >> 33) % below;
}

/* A third of the prompts go on from another one. Their answers are those of an engine that guesses nothing. */
static void make_prompts(soak *s)
{
    static asked a;
    start_alike(&s->r, (fh_engine_options){.context_tok = 512, .drafts = FH_DRAFTS_NEVER}, 2048);
    for (size_t i = 0; i < PROMPTS; i++) {
        s->counts[i] = 1 + draw(s, 400);
        prompt(s->ids[i], s->counts[i], (unsigned)i);
        if (i % 3 == 2) memcpy(s->ids[i], s->ids[i - 1], FH_MIN(s->counts[i], s->counts[i - 1]) * sizeof(fh_token));
        fh_gen_request q = request_of(s->ids[i], s->counts[i]);
        q.max_tok = MOST_TOK;
        q.cache_salt = FH_STR("alone");
        answer(&s->r, &a, &q);
        memcpy(s->want[i], a.ids, sizeof s->want[i]);
    }
    stop_engine(&s->r);
}

static void check_end(void *arg, const fh_gen_end *end)
{
    life *l = arg;
    const char *wrong = engine_pages_wrong(l->a.gen->engine);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    asked_end(&l->a, end);
}

static void take_pieces(void *arg, const fh_gen_piece *p)
{
    asked_piece(&((life *)arg)->a, p);
}

/* It is asked for every fraction of a millisecond. */
static int64_t soak_ns(soak *s)
{
    int64_t now = fh_clock_mono_ns(), since = s->seen_ns ? now - s->seen_ns : 0;
    if (since > FH_NS_PER_S) s->still_ns += since;
    s->seen_ns = now;
    return now - s->still_ns;
}

static void begin(soak *s, life *l)
{
    memset(&l->a, 0, sizeof l->a);
    pthread_mutex_init(&l->a.lock, NULL);
    pthread_cond_init(&l->a.changed, NULL);
    l->prompt = draw(s, PROMPTS);
    l->max_tok = 1 + draw(s, MOST_TOK);
    fh_gen_request q = request_of(s->ids[l->prompt], s->counts[l->prompt]);
    q.max_tok = l->max_tok;
    q.priority = l->priority = (fh_gen_priority)((int)draw(s, 3) - 1);
    q.cache_salt = draw(s, 2) ? FH_STR("one") : FH_STR("two");
    q.on_piece = take_pieces;
    q.on_end = check_end;
    q.arg = l;
    l->submitted_ns = soak_ns(s);
    no_error(fh_engine_submit(s->r.engine, &q, &l->a.gen, NULL), NULL);
    l->leaves = draw(s, 5) == 0;
    l->pauses = draw(s, 6) == 0;
    l->cancelled = false;
    l->runs = true;
    if (l->pauses) fh_gen_pause(l->a.gen, true);
}

static bool has_ended(life *l)
{
    pthread_mutex_lock(&l->a.lock);
    bool ended = l->a.ended;
    pthread_mutex_unlock(&l->a.lock);
    return ended;
}

static void reap(soak *s, life *l)
{
    int64_t *longest = &s->longest_ns[l->priority + 1];
    wait_end(&l->a);
    l->runs = false;
    s->ended++;
    s->cancelled += l->a.end.finish == FH_GEN_CANCELLED;
    assert_true(l->a.end.finish == FH_GEN_LENGTH || (l->cancelled && l->a.end.finish == FH_GEN_CANCELLED));
    assert_memory_equal(l->a.ids, s->want[l->prompt], l->a.tokens * sizeof(fh_token));
    if (l->a.end.finish == FH_GEN_LENGTH) assert_int_equal(l->a.end.generated_tok, l->max_tok);
    if (!l->pauses && !l->cancelled) *longest = FH_MAX(*longest, soak_ns(s) - l->submitted_ns);
}

/* Its reader comes back, or it leaves. */
static void stir(life *l)
{
    fh_gen_pause(l->a.gen, false);
    l->cancelled = l->leaves;
    if (l->leaves) fh_gen_cancel(l->a.gen);
}

/* Nothing here waits for one request, so that others come for as long as one is passed over. */
static void soak_step(soak *s, life *l)
{
    soak_ns(s);
    if (!l->runs)
        begin(s, l);
    else if (has_ended(l))
        reap(s, l);
    else if ((l->leaves || l->pauses) && draw(s, 4) == 0)
        stir(l);
    else
        usleep(100);
}

static size_t resident_pages(void)
{
    size_t all = 0, here = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &all, &here), 2);
    fclose(f);
    return here;
}

static double mib(size_t pages)
{
    return (double)(pages * (size_t)sysconf(_SC_PAGESIZE)) / (1 << 20);
}

static void every_answer_is_the_same_and_every_page_is_accounted_for(void **state)
{
    (void)state;
    static soak s;
    static life lives[LINES];
    const char *given = getenv("FH_BATCH_SOAK_SECONDS");
    int64_t end_ns = given ? fh_clock_mono_ns() + atoi(given) * FH_NS_PER_S : 0;
    size_t least = FH_SANITIZED ? 150 : 600, warm = 0;
    fh_engine_stats stats;
    s.seed = 5;
    make_prompts(&s);
    start_alike(&s.r,
                (fh_engine_options){.parallel = LINES / 2, .context_tok = 512, .kv_tok = 768, .batch_tok = 96, .drafts = FH_DRAFTS_ALWAYS},
                2048);
    while (s.ended < least || fh_clock_mono_ns() < end_ns) {
        soak_step(&s, &lives[draw(&s, LINES)]);
        if (!warm && s.ended >= least / 2) warm = resident_pages();
    }
    size_t last = resident_pages();
    for (size_t i = 0; i < LINES; i++) {
        if (!lives[i].runs) continue;
        stir(&lives[i]);
        reap(&s, &lives[i]);
    }
    fh_engine_stats_get(s.r.engine, &stats);
    print_message(
        "# %llu requests, %llu cancelled, %llu times preempted, %llu of %llu prompt tokens were there, %llu of %llu guesses came\n",
        (unsigned long long)s.ended, (unsigned long long)s.cancelled, (unsigned long long)stats.preempted,
        (unsigned long long)stats.cached_tok, (unsigned long long)(stats.cached_tok + stats.prompt_tok),
        (unsigned long long)stats.accepted_tok, (unsigned long long)stats.drafted_tok);
    print_message(
        "# resident %.1f MiB after %zu requests, %.1f at the end; the longest of low, normal, high priority took %.2f, %.2f, %.2f s\n",
        mib(warm), least / 2, mib(last), (double)s.longest_ns[0] / 1e9, (double)s.longest_ns[1] / 1e9, (double)s.longest_ns[2] / 1e9);
    for (size_t i = 0; i < 3 && !FH_SANITIZED; i++) assert_true(s.longest_ns[i] < 3 * PRIORITY_NS);
    if (!FH_SANITIZED) assert_true(last < warm + 1024); /* 4 MiB: what allocators keep */
    assert_true(stats.preempted > 0 && s.cancelled > 0 && stats.cached_tok > 0 && stats.accepted_tok > 0);
    stop_engine(&s.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_prompt_does_not_stop_the_others),
        cmocka_unit_test(a_short_prompt_overtakes_a_long_one),
        cmocka_unit_test(short_prompts_do_not_starve_a_long_one),
        cmocka_unit_test(requests_that_begin_alike_compute_it_once),
        cmocka_unit_test(a_prompt_is_answered_alike_when_its_pages_were_kept),
        cmocka_unit_test(a_full_cache_costs_the_last_their_places_and_nobody_an_answer),
        cmocka_unit_test(a_cache_smaller_than_a_context_is_refused),
        cmocka_unit_test(every_answer_is_the_same_and_every_page_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
