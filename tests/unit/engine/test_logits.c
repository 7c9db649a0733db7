/* The makers' numbers: logits held against transformers (fixtures of tests/engine), the fast path against the exact one, decoding against
 * the full pass. */
#include "fixture.h"
#include "sys/file.h"

#include <math.h>

static const double EXACT_BOUND = 2e-3;

/* ---- fixtures ---- */

typedef struct fixture {
    fh_buf file;
    uint32_t positions, fixed_count, top_count;
    const int32_t *tokens, *fixed;
    const char *records;
    double worst;
    size_t vocab, checked;
} fixture;

static size_t record_bytes(const fixture *f)
{
    return sizeof(float) * (1 + 2 * (size_t)f->top_count + f->fixed_count);
}

static void read_fixture(fixture *f, const char *name)
{
    char path[1024];
    fh_err *err = NULL;
    const char *source = getenv("FH_SOURCE");
    *f = (fixture){.file = FH_BUF(16 << 20)};
    snprintf(path, sizeof path, "%s/tests/engine/fixtures/%s.bin", source ? source : ".", name);
    no_error(fh_file_read(path, 16 << 20, &f->file, &err), err);
    const uint32_t *head = (const void *)f->file.data;
    assert_int_equal(head[0], 0x474C4846);
    f->positions = head[1];
    f->fixed_count = head[2];
    f->top_count = head[3];
    f->tokens = (const void *)(head + 4);
    f->fixed = f->tokens + f->positions;
    f->records = (const char *)(f->fixed + f->fixed_count);
    assert_int_equal(f->file.len, (size_t)(f->records - f->file.data) + f->positions * record_bytes(f));
}

static double log_sum_exp(const float *x, size_t n)
{
    double most = (double)x[0], sum = 0;
    for (size_t i = 1; i < n; i++) most = fmax(most, (double)x[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

static int compare_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    fixture *f = arg;
    (void)err;
    const float *want = (const void *)(f->records + position * record_bytes(f));
    const int32_t *top = (const void *)(want + 1);
    const float *top_logits = want + 1 + f->top_count, *fixed = top_logits + f->top_count;
    f->worst = fmax(f->worst, fabs(log_sum_exp(logits, f->vocab) - (double)want[0]));
    for (uint32_t i = 0; i < f->top_count; i++) f->worst = fmax(f->worst, fabs((double)logits[top[i]] - (double)top_logits[i]));
    for (uint32_t i = 0; i < f->fixed_count; i++) f->worst = fmax(f->worst, fabs((double)logits[f->fixed[i]] - (double)fixed[i]));
    f->checked++;
    return 0;
}

static void hold_against_fixture(const char *name, const char *path, uint32_t step, double bound)
{
    fixture f;
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    fh_err *err = NULL;
    read_fixture(&f, name);
    fh_engine_options o = {.model_path = path, .exact = true, .no_vocab = true, .parallel = 1};
    no_error(fh_engine_open(&e, &o, &err), err);
    f.vocab = fh_engine_info_get(e)->vocab_size;
    no_error(fh_engine_eval(e, f.tokens, f.positions, step, compare_row, &f, &err), err);
    print_message("# %s, %u at a time: %zu positions, largest difference %.2e\n", name, step ? step : 64, f.checked, f.worst);
    assert_int_equal(f.checked, f.positions);
    assert_true(f.worst < bound);
    fh_buf_fini(&f.file);
}

static void tiny_models_agree_with_transformers(void **state)
{
    (void)state;
    const char *name, *path;
    for (size_t i = 0; (path = write_tiny_case(i, &name)); i++) {
        hold_against_fixture(name, path, 0, 2e-4);
        hold_against_fixture(name, path, 1, 2e-4);
    }
}

/* ---- the starter model ---- */

static void the_starter_agrees_with_transformers(void **state)
{
    (void)state;
    need_starter();
    hold_against_fixture("smollm2", starter(), 0, EXACT_BOUND);
}

typedef struct divergence {
    FILE *exact; /* rows of the exact path, in order */
    size_t vocab, rows, same;
    double kl, worst_kl;
    float *row;
} divergence;

static int save_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    divergence *d = arg;
    (void)position;
    (void)err;
    return fwrite(logits, sizeof *logits, d->vocab, d->exact) == d->vocab ? 0 : FH_E_IO;
}

static size_t best(const float *x, size_t n)
{
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[at]) at = i;
    return at;
}

static int diverge_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    divergence *d = arg;
    (void)position;
    (void)err;
    if (fread(d->row, sizeof *d->row, d->vocab, d->exact) != d->vocab) return FH_E_IO;
    double p_sum = log_sum_exp(d->row, d->vocab), q_sum = log_sum_exp(logits, d->vocab), kl = 0;
    for (size_t i = 0; i < d->vocab; i++) {
        double p = (double)d->row[i] - p_sum;
        kl += exp(p) * (p - ((double)logits[i] - q_sum));
    }
    d->kl += kl;
    d->worst_kl = fmax(d->worst_kl, kl);
    d->same += best(d->row, d->vocab) == best(logits, d->vocab);
    d->rows++;
    return 0;
}

static void read_text_tokens(fh_engine *e, fh_tokens *ids)
{
    char path[1024];
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    const char *source = getenv("FH_SOURCE");
    snprintf(path, sizeof path, "%s/tests/engine/text.txt", source ? source : ".");
    no_error(fh_file_read(path, 1 << 20, &text, NULL), NULL);
    no_error(fh_vocab_encode(fh_engine_vocab(e), (fh_str){fh_buf_cstr(&text), text.len}, 0, ids, NULL), NULL);
    assert_true(ids->count >= 2048);
    ids->count = 2048;
}

static void eval_starter(fh_engine_options o, fh_tokens *ids, fh_eval_row *row, divergence *d)
{
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    fh_err *err = NULL;
    o.model_path = starter();
    o.parallel = 1;
    no_error(fh_engine_open(&e, &o, &err), err);
    if (ids->count == 0) read_text_tokens(e, ids);
    d->vocab = fh_engine_info_get(e)->vocab_size;
    if (!d->row) d->row = malloc(d->vocab * sizeof *d->row);
    no_error(fh_engine_eval(e, ids->ids, ids->count, 0, row, d, &err), err);
}

/* The bounds are what llama.cpp 0.3.36 showed on these tokens against the same exact logits: mean KL 0.00310 and 96.14 % with a float32
 * cache, 0.00309 and 95.61 % with a float16 one. */
static void the_fast_path_is_near_the_exact_one(void **state)
{
    (void)state;
    need_starter();
    fh_tokens ids = {0};
    divergence d = {.exact = tmpfile()};
    assert_non_null(d.exact);
    eval_starter((fh_engine_options){.exact = true}, &ids, save_row, &d);
    rewind(d.exact);
    eval_starter((fh_engine_options){0}, &ids, diverge_row, &d);
    double mean = d.kl / (double)d.rows, same = (double)d.same / (double)d.rows;
    print_message("# fast against exact: %zu positions, mean KL %.5f nats, worst %.4f, same top token %.2f %%\n", d.rows, mean, d.worst_kl,
                  same * 100);
    assert_true(d.rows >= 2000);
    assert_true(mean < 0.00309);
    assert_true(same > 0.9614);
    fclose(d.exact);
    free(d.row);
    fh_tokens_fini(&ids);
}

/* What the cache's type alone does: all other arithmetic is exact. The bounds are of this model, whose heads are small. */
static void a_cache_of_fewer_bits_stays_within_its_bound(void **state)
{
    static const struct {
        fh_engine_kv kv;
        const char *name;
        double kl, same;
    } bounds[] = {{FH_ENGINE_KV_Q8_0, "q8_0", 0.0008, 0.98}, {FH_ENGINE_KV_Q4_0, "q4_0", 0.18, 0.75}};
    (void)state;
    need_starter();
    fh_tokens ids = {0};
    divergence d = {.exact = tmpfile()};
    assert_non_null(d.exact);
    eval_starter((fh_engine_options){.exact = true, .kv = FH_ENGINE_KV_F16}, &ids, save_row, &d);
    for (size_t i = 0; i < FH_COUNT(bounds); i++) {
        rewind(d.exact);
        d.kl = d.worst_kl = 0;
        d.rows = d.same = 0;
        eval_starter((fh_engine_options){.exact = true, .kv = bounds[i].kv}, &ids, diverge_row, &d);
        double mean = d.kl / (double)d.rows, same = (double)d.same / (double)d.rows;
        print_message("# %s against f16: %zu positions, mean KL %.5f nats, worst %.4f, same top token %.2f %%\n", bounds[i].name, d.rows,
                      mean, d.worst_kl, same * 100);
        assert_true(mean < bounds[i].kl);
        assert_true(same > bounds[i].same);
    }
    fclose(d.exact);
    free(d.row);
    fh_tokens_fini(&ids);
}

/* ---- decoding through the cache ---- */

static void decoding_equals_the_full_pass(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        bool exact = round % 2;
        tiny_gguf t;
        tiny_gguf_default(&t);
        t.type = TINY_Q4_0;
        t.head_dim = 32;
        FH_AUTO(fh_engine) fh_engine *e = NULL;
        fh_err *err = NULL;
        fh_engine_options o = {
            .model_path = write_tiny(&t, "decode"), .exact = exact, .no_vocab = true, .parallel = 1, .threads = 2, .deterministic = true};
        o.kv = (const fh_engine_kv[]){FH_ENGINE_KV_DEFAULT, FH_ENGINE_KV_DEFAULT, FH_ENGINE_KV_Q8_0, FH_ENGINE_KV_Q8_0,
                                      FH_ENGINE_KV_Q4_0}[round];
        no_error(fh_engine_open(&e, &o, &err), err);
        fh_token ids[200];
        for (int i = 0; i < 200; i++) ids[i] = (i * 7 + i * i) % 256;
        divergence d = {.exact = tmpfile(), .vocab = TINY_VOCAB, .row = malloc(TINY_VOCAB * sizeof(float))};
        no_error(fh_engine_eval(e, ids, 200, 64, save_row, &d, &err), err);
        rewind(d.exact);
        no_error(fh_engine_eval(e, ids, 200, 1, diverge_row, &d, &err), err);
        assert_int_equal(d.same, 200);
        assert_true(fabs(d.kl) < 1e-9);
        fclose(d.exact);
        free(d.row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_models_agree_with_transformers),          cmocka_unit_test(decoding_equals_the_full_pass),
        cmocka_unit_test(the_starter_agrees_with_transformers),         cmocka_unit_test(the_fast_path_is_near_the_exact_one),
        cmocka_unit_test(a_cache_of_fewer_bits_stays_within_its_bound),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
