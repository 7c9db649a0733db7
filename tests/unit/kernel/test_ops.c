/* Vector operations and attention of every table against the reference, and the 16-bit floats exhaustively. */
#include "kernel_test.h"

#include <stdlib.h>

static void the_machine_runs_the_tables_that_its_processor_has(void **state)
{
    unsigned count = 0;
    FOR_EACH_TABLE(k) count++;
    assert_true(count >= 1);
    assert_non_null(fh_kernels_get(fh_isa_best()));
    for (unsigned i = 0; i < FH_ISA_COUNT; i++)
        print_message("# %s: %s\n", fh_isa_name((fh_isa)i), fh_isa_available((fh_isa)i) ? "tested" : "not here");
}

static void the_environment_chooses_the_table(void **state)
{
    const char *before = getenv("FREEHOLD_ISA");
    FH_AUTO(ptr) char *saved = fh_strdup(before);
    fh_isa chosen, best = fh_isa_best();
    fh_err *err = NULL;
    unsetenv("FREEHOLD_ISA");
    assert_int_equal(fh_isa_choose(&chosen, &err), 0);
    assert_int_equal(chosen, best);
    for (unsigned i = 0; i < FH_ISA_COUNT; i++) {
        setenv("FREEHOLD_ISA", fh_isa_name((fh_isa)i), 1);
        assert_int_equal(fh_isa_choose(&chosen, &err), fh_isa_available((fh_isa)i) ? 0 : FH_E_USAGE);
        if (fh_isa_available((fh_isa)i)) assert_int_equal(chosen, i);
    }
    setenv("FREEHOLD_ISA", "mmx", 1);
    assert_int_equal(fh_isa_choose(&chosen, &err), FH_E_USAGE);
    assert_non_null(strstr(fh_err_message(err), "mmx"));
    fh_err_free(err);
    saved ? setenv("FREEHOLD_ISA", saved, 1) : unsetenv("FREEHOLD_ISA");
}

static void half_floats_round_to_nearest_even(void **state)
{
    for (unsigned h = 0; h < 65536; h++) {
        float f = fh_f16_to_f32((uint16_t)h), up = fh_f16_to_f32((uint16_t)(h + 1));
        if (isnan(f)) {
            assert_true(isnan(fh_f16_to_f32(fh_f32_to_f16(f))));
            continue;
        }
        assert_int_equal(fh_f32_to_f16(f), h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        float middle = (f + up) / 2; /* exact in float */
        assert_int_equal(fh_f32_to_f16(middle), h + (h & 1));
        assert_int_equal(fh_f32_to_f16(nextafterf(middle, f)), h);
        assert_int_equal(fh_f32_to_f16(nextafterf(middle, up)), h + 1);
    }
    assert_int_equal(fh_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(fh_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(fh_f32_to_f16(-1e9f), 0xfc00);
}

static void brain_floats_round_to_nearest_even(void **state)
{
    for (unsigned h = 0; h < 65536; h++) {
        float f = fh_bf16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(fh_bf16_to_f32(fh_f32_to_bf16(f))));
        else
            assert_int_equal(fh_f32_to_bf16(f), h);
    }
    assert_int_equal(fh_f32_to_bf16(1.00390625f), 0x3f80); /* a tie: down to even */
    assert_int_equal(fh_f32_to_bf16(1.01171875f), 0x3f82); /* a tie: up to even */
}

static void types_have_names_and_sizes(void **state)
{
    size_t bytes;
    assert_true(fh_type_known(FH_TYPE_Q6_K) && !fh_type_known(4) && !fh_type_known(99));
    assert_string_equal(fh_type_name(2), "Q4_0");
    assert_string_equal(fh_type_name(16), "IQ2_XXS");
    assert_string_equal(fh_type_name(1u << 31), "?");
    assert_true(fh_type_row_bytes(FH_TYPE_Q4_K, 512, &bytes));
    assert_int_equal(bytes, 288);
    assert_false(fh_type_row_bytes(FH_TYPE_Q4_K, 511, &bytes));
    assert_false(fh_type_row_bytes(FH_TYPE_F32, UINT64_MAX / 2, &bytes));
}

static void near(const float *got, const float *want, size_t n, float relative, float absolute, const char *what)
{
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(got[i] - want[i]) <= fabsf(want[i]) * relative + absolute))
            fail_msg("%s: element %zu of %zu is %.9g, should be %.9g", what, i, n, (double)got[i], (double)want[i]);
    }
}

enum { MAX = 600 };

static void norms_agree(void **state)
{
    static float x[MAX], w[MAX], got[MAX], want[MAX];
    fh_worker alone = {NULL, 0, 1};
    FOR_EACH_TABLE(k)
    {
        for (size_t n = 1; n < MAX; n += 1 + n / 7) {
            random_floats(x, n, 3);
            random_floats(w, n, 2);
            fh_rms_norm(k, x, w, 1e-5f, 1, n, got, &alone);
            fh_ref_rms_norm(x, w, 1e-5f, n, want);
            near(got, want, n, 2e-6f, 1e-30f, "norm");
        }
        memset(x, 0, sizeof x);
        fh_rms_norm(k, x, w, 1e-5f, 1, 576, got, &alone);
        for (size_t i = 0; i < 576; i++) assert_true(got[i] == 0);
    }
}

static void activations_agree_over_their_whole_range(void **state)
{
    static float gate[MAX], up[MAX], got[MAX], want[MAX];
    fh_worker alone = {NULL, 0, 1};
    FOR_EACH_TABLE(k)
    {
        for (float scale = 1e-6f; scale < 1e5f; scale *= 10) {
            for (size_t n = 1; n < MAX; n += 1 + n / 3) {
                random_floats(gate, n, scale);
                random_floats(up, n, 2);
                fh_silu_mul(k, gate, up, 1, n, got, &alone);
                fh_ref_silu_mul(gate, up, n, want);
                near(got, want, n, 1e-6f, 1e-30f, "silu");
            }
        }
        gate[0] = NAN, gate[1] = INFINITY, gate[2] = -INFINITY;
        fh_silu_mul(k, gate, up, 1, 3, got, &alone);
        assert_true(isnan(got[0]) && isinf(got[1]));
    }
}

static void rotations_and_stores_agree(void **state)
{
    enum { N = 3, HEADS = 4, KV = 2, DIM = 72, TURNED = 64 };
    static float q[N * HEADS * DIM], k_in[N * KV * DIM], v_in[N * KV * DIM], turned[N * HEADS * DIM], cs[N * TURNED], freq[TURNED / 2];
    static uint16_t keys[N][KV * DIM], values[N][KV * DIM], want[KV * DIM];
    const int32_t pos[N] = {0, 7, 100000};
    fh_worker alone = {NULL, 0, 1};
    for (size_t i = 0; i < TURNED / 2; i++) freq[i] = powf(10000, -(float)i / 32);
    fh_rope_table(freq, TURNED, 1.5f, pos, N, cs, &alone);
    FOR_EACH_TABLE(k)
    {
        for (unsigned t = 0; t < 2; t++) {
            void *k_rows[N] = {keys[0], keys[1], keys[2]}, *v_rows[N] = {values[0], values[1], values[2]};
            fh_type type = t ? FH_TYPE_BF16 : FH_TYPE_F16;
            random_floats(q, FH_COUNT(q), 1), random_floats(k_in, FH_COUNT(k_in), 1), random_floats(v_in, FH_COUNT(v_in), 1);
            memcpy(turned, q, sizeof q);
            fh_rope_pairs(k, turned, N, HEADS, DIM, TURNED, HEADS * DIM, freq, 1.5f, pos, &alone);
            fh_rope_job job = {.n = N,
                               .heads = HEADS,
                               .kv_heads = KV,
                               .head_dim = DIM,
                               .rope_dims = TURNED,
                               .q = q,
                               .k = k_in,
                               .v = v_in,
                               .q_stride = HEADS * DIM,
                               .k_stride = KV * DIM,
                               .v_stride = KV * DIM,
                               .cs = cs,
                               .kv_type = type,
                               .k_rows = k_rows,
                               .v_rows = v_rows};
            float before[HEADS * DIM], row[KV * DIM];
            memcpy(before, q + HEADS * DIM, sizeof before);
            fh_rope_store(k, &job, &alone);
            assert_memory_equal(turned, q, sizeof q);
            fh_ref_rope(before, cs + TURNED, TURNED / 2, before);
            near(q + HEADS * DIM, before, TURNED, 1e-6f, 1e-6f, "rope");
            assert_memory_equal(q + HEADS * DIM + TURNED, before + TURNED, (DIM - TURNED) * sizeof *q);
            fh_kv_store(k, type, v_in + KV * DIM, 1, KV * DIM, KV * DIM, &(void *){want}, &alone);
            assert_memory_equal(values[1], want, sizeof want);
            for (size_t i = 0; i < KV * DIM; i++)
                assert_int_equal(want[i], t ? fh_f32_to_bf16(v_in[KV * DIM + i]) : fh_f32_to_f16(v_in[KV * DIM + i]));
            fh_ref_dequant(type, keys[2], row, KV * DIM);
            for (size_t h = 0; h < KV; h++) {
                float *x = k_in + 2 * KV * DIM + h * DIM;
                fh_ref_rope(x, cs + 2 * TURNED, TURNED / 2, x);
                near(row + h * DIM, x, DIM, 8e-3f, 1e-3f, "stored key");
            }
        }
    }
}

/* What a head goes through, written out in double: bias, norm, and dimension i turned with i + TURNED / 2. */
static void dress_plainly(const float *x, const float *bias, const float *norm, const float *cs, size_t dim, size_t dims, float *out)
{
    double y[128], sum = 0;
    for (size_t i = 0; i < dim; i++) y[i] = (double)x[i] + (double)bias[i];
    for (size_t i = 0; i < dim; i++) sum += y[i] * y[i];
    for (size_t i = 0; i < dim; i++) y[i] *= (double)norm[i] / sqrt(sum / (double)dim + 1e-6);
    for (size_t i = 0; i < dim; i++) out[i] = (float)y[i];
    for (size_t i = 0; i < dims / 2; i++) {
        double c = (double)cs[2 * i], s = (double)cs[2 * i + 1], a = y[i], b = y[i + dims / 2];
        out[2 * i] = (float)(a * c - b * s);
        out[2 * i + 1] = (float)(b * c + a * s);
    }
}

static void heads_take_biases_norms_and_turn_by_halves(void **state)
{
    enum { HEADS = 3, KV = 1, DIM = 72, TURNED = 40 };
    float q[HEADS * DIM], before[HEADS * DIM], k_in[DIM], v_in[DIM], want[DIM], key[DIM], value[DIM], cs[TURNED], freq[TURNED / 2];
    float q_bias[HEADS * DIM], k_bias[DIM], v_bias[DIM], q_norm[DIM], k_norm[DIM];
    const int32_t pos = 77;
    fh_worker alone = {NULL, 0, 1};
    for (size_t i = 0; i < TURNED / 2; i++) freq[i] = powf(10000, -(float)i / 20);
    fh_rope_table(freq, TURNED, 1, &pos, 1, cs, &alone);
    float *all[] = {before, k_in, v_in, q_bias, k_bias, v_bias, q_norm, k_norm};
    for (size_t i = 0; i < FH_COUNT(all); i++) random_floats(all[i], all[i] == before || all[i] == q_bias ? HEADS * DIM : DIM, 1);
    FOR_EACH_TABLE(k)
    {
        memcpy(q, before, sizeof q);
        fh_rope_job job = {.n = 1,
                           .heads = HEADS,
                           .kv_heads = KV,
                           .head_dim = DIM,
                           .rope_dims = TURNED,
                           .halves = true,
                           .q = q,
                           .k = k_in,
                           .v = v_in,
                           .q_bias = q_bias,
                           .k_bias = k_bias,
                           .v_bias = v_bias,
                           .q_norm = q_norm,
                           .k_norm = k_norm,
                           .norm_eps = 1e-6f,
                           .cs = cs,
                           .kv_type = FH_TYPE_F32,
                           .k_rows = &(void *){key},
                           .v_rows = &(void *){value}};
        fh_rope_store(k, &job, &alone);
        for (size_t h = 0; h < HEADS; h++) {
            dress_plainly(before + h * DIM, q_bias + h * DIM, q_norm, cs, DIM, TURNED, want);
            near(q + h * DIM, want, DIM, 1e-5f, 1e-6f, "query");
        }
        dress_plainly(k_in, k_bias, k_norm, cs, DIM, TURNED, want);
        near(key, want, DIM, 1e-5f, 1e-6f, "key");
        for (size_t i = 0; i < DIM; i++) want[i] = v_in[i] + v_bias[i];
        assert_memory_equal(value, want, sizeof want);
    }
}

static void store_rounds_as_the_scalar_conversion_does(void **state)
{
    static float x[MAX];
    static uint16_t got[MAX + 1];
    fh_worker alone = {NULL, 0, 1};
    FOR_EACH_TABLE(k)
    {
        for (unsigned round = 0; round < 200; round++) {
            for (size_t i = 0; i < MAX; i++) {
                uint32_t bits = (uint32_t)(random_u64() >> 16) & (round % 2 ? 0xbfffffffu : ~0u);
                memcpy(&x[i], &bits, sizeof bits);
                if (isnan(x[i])) x[i] = 0;
            }
            size_t n = MAX - round;
            got[n] = 0x1234;
            fh_kv_store(k, FH_TYPE_F16, x, 1, n, n, &(void *){got}, &alone);
            for (size_t i = 0; i < n; i++) assert_int_equal(got[i], fh_f32_to_f16(x[i]));
            assert_int_equal(got[n], 0x1234);
        }
    }
}

/* ---- quantised caches ---- */

static const fh_type quantised[] = {FH_TYPE_Q8_0, FH_TYPE_Q4_0};

/* Some of all magnitudes; blocks of zeros, of ties between quants, of opposites. */
static void hard_floats(float *x, size_t n, unsigned round)
{
    random_floats(x, n, powf(10, (float)(round % 76) - 37));
    for (size_t i = 0; i < n; i++) {
        if (round % 7 == 1) x[i] = 0;
        if (round % 7 == 2) x[i] = (float)(random_u64() % 255) / 2 - 63.5f; /* the largest is 63.5: steps of a half */
        if (round % 7 == 3) x[i] = i % 2 ? 4 : -4;
        if (round % 7 == 4 && i % 32) x[i] *= 1e-4f;
        if (round % 7 == 5) x[i] = fabsf(x[i]);
    }
}

static void quantised_stores_are_the_reference_to_the_bit(void **state)
{
    enum { BLOCKS = 6, N = BLOCKS * 32 };
    float x[N];
    uint8_t got[BLOCKS * 34 + 1], want[BLOCKS * 34];
    fh_worker alone = {NULL, 0, 1};
    FOR_EACH_TABLE(k)
    {
        for (unsigned round = 0; round < 1500; round++) {
            fh_type type = quantised[round % 2];
            size_t n = 32 * (1 + round % BLOCKS), bytes = fh_type_bytes(type, n);
            hard_floats(x, n, round / 2);
            got[bytes] = 0x5a;
            fh_kv_store(k, type, x, 1, n, n, &(void *){got}, &alone);
            fh_ref_store(type, x, n, want);
            assert_memory_equal(got, want, bytes);
            assert_int_equal(got[bytes], 0x5a);
        }
    }
}

/* No further from the floats than the steps allow: half of one, and with four bits, where there is one quant less above zero, one. */
static void quantised_stores_stay_within_a_step(void **state)
{
    float x[32], back[32];
    uint8_t block[34];
    for (unsigned round = 0; round < 4000; round++) {
        fh_type type = quantised[round % 2];
        float most = 0;
        random_floats(x, 32, powf(10, (float)(round % 6) - 2));
        for (size_t i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
        float step = most / (type == FH_TYPE_Q8_0 ? 127 : 8);
        fh_ref_store(type, x, 32, block);
        fh_ref_dequant(type, block, back, 32);
        near(back, x, 32, 1e-3f, step * (type == FH_TYPE_Q8_0 ? 0.5f : 1.0f), "stored");
    }
}

static void what_is_not_finite_stays_visible_in_a_quantised_cache(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f};
    fh_worker alone = {NULL, 0, 1};
    FOR_EACH_TABLE(k)
    {
        for (size_t i = 0; i < 2 * FH_COUNT(odd); i++) {
            float x[64], back[64];
            uint8_t row[68];
            fh_type type = quantised[i % 2];
            random_floats(x, 64, 1);
            x[5 + i] = odd[i / 2];
            fh_kv_store(k, type, x, 1, 64, 64, &(void *){row}, &alone);
            fh_ref_dequant(type, row, back, 64);
            assert_false(isfinite(back[5 + i]));
            for (size_t j = 32; j < 64; j++) assert_true(isfinite(back[j]));
        }
    }
}

/* A head is turned in part and then stored as whole blocks, behind the head before it. */
static void keys_go_into_a_quantised_cache_turned(void **state)
{
    enum { HEADS = 2, KV = 2, DIM = 64, TURNED = 40 };
    float q[HEADS * DIM], key[KV * DIM], value[KV * DIM], cs[TURNED], freq[TURNED / 2], turned[KV * DIM];
    uint8_t keys[KV * 68], values[KV * 68], want[KV * 68];
    const int32_t pos = 1234;
    fh_worker alone = {NULL, 0, 1};
    for (size_t i = 0; i < TURNED / 2; i++) freq[i] = powf(10000, -(float)i / 20);
    fh_rope_table(freq, TURNED, 1, &pos, 1, cs, &alone);
    random_floats(q, FH_COUNT(q), 1), random_floats(key, FH_COUNT(key), 3), random_floats(value, FH_COUNT(value), 3);
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(quantised); t++) {
            fh_type type = quantised[t];
            fh_rope_job job = {.n = 1,
                               .heads = HEADS,
                               .kv_heads = KV,
                               .head_dim = DIM,
                               .rope_dims = TURNED,
                               .q = q,
                               .k = key,
                               .v = value,
                               .cs = cs,
                               .kv_type = type,
                               .k_rows = &(void *){keys},
                               .v_rows = &(void *){values}};
            fh_rope_store(k, &job, &alone);
            memcpy(turned, key, sizeof key);
            fh_rope_pairs(k, turned, 1, KV, DIM, TURNED, KV * DIM, freq, 1, &pos, &alone);
            fh_ref_store(type, turned, KV * DIM, want);
            assert_memory_equal(keys, want, fh_type_bytes(type, KV * DIM));
            fh_ref_store(type, value, KV * DIM, want);
            assert_memory_equal(values, want, fh_type_bytes(type, KV * DIM));
        }
    }
}

/* ---- attention ---- */

typedef struct attention {
    fh_attn job;
    fh_attn_seq seqs[3];
    float *q, *out;
    uint8_t *cache;
    uint32_t *pages;
    size_t rows; /* queries in all */
    const fh_kernels *k;
} attention;

static attention attention_make(size_t heads, size_t kv_heads, size_t dim, fh_type type, size_t seq_count, const size_t (*shape)[2])
{
    attention a = {.job = {.heads = heads, .kv_heads = kv_heads, .head_dim = dim, .scale = 1 / sqrtf((float)dim), .kv_type = type}};
    size_t pages = 0, row = kv_heads * dim;
    float largest = type == FH_TYPE_Q8_0 ? 2.0f / 256 : type == FH_TYPE_Q4_0 ? 2.0f / 16 : 2; /* numbers of -2 .. 2, whatever the type */
    a.job.kv_stride_bytes = fh_type_bytes(type, row) + 64;
    a.job.page_bytes = 2 * FH_KV_PAGE_TOK * a.job.kv_stride_bytes + 128;
    for (size_t i = 0; i < seq_count; i++) pages += shape[i][1] / FH_KV_PAGE_TOK + 1;
    a.cache = fh_alloc(pages * a.job.page_bytes);
    a.pages = fh_calloc(pages, sizeof *a.pages);
    a.job.k = a.cache;
    a.job.v = a.cache + FH_KV_PAGE_TOK * a.job.kv_stride_bytes;
    for (size_t i = 0; i < pages; i++) {
        for (size_t r = 0; r < 2 * (size_t)FH_KV_PAGE_TOK; r++)
            random_blocks(type, a.cache + i * a.job.page_bytes + r * a.job.kv_stride_bytes, fh_type_bytes(type, row), largest);
    }
    for (size_t i = 0, first = 0; i < seq_count; i++) { /* the last page comes first */
        a.seqs[i] = (fh_attn_seq){a.rows, shape[i][0], shape[i][1], a.pages + first};
        for (size_t end = first + shape[i][1] / FH_KV_PAGE_TOK + 1; first < end; first++) a.pages[first] = (uint32_t)(pages - 1 - first);
        a.rows += shape[i][0];
    }
    a.job.seq_count = seq_count;
    a.job.q_stride = a.job.out_stride = heads * dim + 3;
    a.q = fh_alloc(a.rows * a.job.q_stride * sizeof *a.q);
    a.out = fh_alloc(a.rows * a.job.q_stride * sizeof *a.out);
    random_floats(a.q, a.rows * a.job.q_stride, 3);
    return a;
}

static void attention_free(attention *a)
{
    fh_free(a->q);
    fh_free(a->out);
    fh_free(a->pages);
    fh_free(a->cache);
}

static void attend(fh_worker *w, void *arg)
{
    attention *a = arg;
    fh_attention(a->k, &a->job, w);
}

static void attention_solve(attention *a, const fh_kernels *k, unsigned workers)
{
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    assert_int_equal(fh_pool_new(&pool, workers, NULL), 0);
    a->k = k;
    a->job.seqs = a->seqs;
    a->job.q = a->q;
    a->job.out = a->out;
    fh_pool_run(pool, attend, a);
}

static void attention_check(const attention *a)
{
    float want[FH_HEAD_DIM_MAX];
    const fh_attn *j = &a->job;
    for (size_t s = 0; s < j->seq_count; s++) {
        const fh_attn_seq *seq = &a->seqs[s];
        for (size_t q = 0; q < seq->q_count; q++) {
            for (size_t h = 0; h < j->heads; h++) {
                size_t row = seq->q_first + q;
                fh_ref_attend(j, seq, h / (j->heads / j->kv_heads), a->q + row * j->q_stride + h * j->head_dim,
                              seq->kv_len - seq->q_count + q + 1, want);
                near(a->out + row * j->out_stride + h * j->head_dim, want, j->head_dim, 1e-5f, 1e-5f, "attention");
            }
        }
    }
}

static void attention_agrees_on_many_shapes(void **state)
{
    static const size_t heads[][3] = {{9, 3, 64}, {1, 1, 16}, {4, 4, 80}, {8, 1, 40}, {6, 2, 100}, {2, 1, 256}, {60, 1, 32}, {2, 2, 576}};
    static const size_t shapes[][3][2] = {{{1, 1}, {1, 33}, {1, 300}}, {{70, 70}, {1, 5}, {3, 40}}, {{5, 64}, {33, 65}, {1, 31}}};
    FOR_EACH_TABLE(k)
    {
        for (size_t h = 0; h < FH_COUNT(heads); h++) {
            for (size_t s = SLOWLY ? h % 3 : 0; s < FH_COUNT(shapes); s += SLOWLY ? 3 : 1) {
                fh_type type = (const fh_type[]){FH_TYPE_F16, FH_TYPE_F32, FH_TYPE_BF16}[(h + s) % 3];
                attention a = attention_make(heads[h][0], heads[h][1], heads[h][2], type, 3, shapes[s]);
                attention_solve(&a, k, 1 + (unsigned)(h % 3));
                attention_check(&a);
                attention_free(&a);
            }
        }
    }
}

static void attention_agrees_on_quantised_caches(void **state)
{
    static const size_t heads[][3] = {{9, 3, 64}, {1, 1, 32}, {4, 2, 96}, {2, 1, 256}, {60, 1, 32}, {2, 2, 576}};
    static const size_t shapes[][3][2] = {{{1, 1}, {1, 33}, {1, 300}}, {{70, 70}, {1, 5}, {3, 40}}, {{5, 64}, {33, 65}, {1, 31}}};
    FOR_EACH_TABLE(k)
    {
        for (size_t h = 0; h < 2 * FH_COUNT(heads); h++) {
            for (size_t s = SLOWLY ? h % 3 : 0; s < FH_COUNT(shapes); s += SLOWLY ? 3 : 1) {
                const size_t *shape = heads[h / 2];
                attention a = attention_make(shape[0], shape[1], shape[2], quantised[h % 2], 3, shapes[s]);
                attention_solve(&a, k, 1 + (unsigned)(h % 3));
                attention_check(&a);
                attention_free(&a);
            }
        }
    }
}

static void a_long_cache_split_along_its_keys_agrees(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (unsigned workers = 1; workers <= 4; workers++) {
            for (size_t keys = 250; keys < 1500; keys = keys * 2 + 3) {
                fh_type type = (const fh_type[]){FH_TYPE_F16, FH_TYPE_Q8_0, FH_TYPE_Q4_0}[keys % 3];
                attention a = attention_make(9, 3, 64, type, 1, (const size_t[][2]){{1, keys}});
                a.job.scratch = fh_alloc(fh_attn_scratch_floats(9, 64, workers) * sizeof(float));
                attention_solve(&a, k, workers);
                attention_check(&a);
                fh_free(a.job.scratch);
                attention_free(&a);
            }
        }
    }
}

/* Each of some queries over a long cache is what it is alone. */
static void check_alone(attention *together, const fh_kernels *k, unsigned workers)
{
    const fh_attn_seq all = together->seqs[0];
    size_t floats = together->job.heads * together->job.head_dim;
    float *want = fh_alloc(all.q_count * floats * sizeof *want);
    for (size_t q = 0; q < all.q_count; q++) memcpy(want + q * floats, together->out + q * together->job.out_stride, floats * sizeof *want);
    for (size_t q = 0; q < all.q_count; q++) {
        together->seqs[0] = (fh_attn_seq){q, 1, all.kv_len - all.q_count + q + 1, all.pages};
        attention_solve(together, k, workers);
        assert_memory_equal(want + q * floats, together->out + q * together->job.out_stride, floats * sizeof *want);
    }
    fh_free(want);
}

static void queries_that_are_split_together_are_those_alone_bit_for_bit(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t keys = 250; keys < 600; keys += SLOWLY ? 41 : 7) {
            for (size_t queries = 1; queries <= FH_ATTN_SPLIT_QUERIES; queries += 1 + keys % 3) {
                attention a = attention_make(6, 2, 40, FH_TYPE_F16, 1, (const size_t[][2]){{queries, keys}});
                a.job.scratch = fh_alloc(fh_attn_scratch_floats(6, 40, 3) * sizeof(float));
                attention_solve(&a, k, 3);
                attention_check(&a);
                check_alone(&a, k, 3);
                fh_free(a.job.scratch);
                attention_free(&a);
            }
        }
    }
}

static void scores_far_apart_do_not_overflow(void **state)
{
    FOR_EACH_TABLE(k)
    {
        attention a = attention_make(4, 2, 64, FH_TYPE_F16, 1, (const size_t[][2]){{40, 90}});
        a.job.scale = 50;
        attention_solve(&a, k, 2);
        for (size_t i = 0; i < a.rows; i++) {
            for (size_t d = 0; d < 256; d++) assert_true(fabsf(a.out[i * a.job.out_stride + d]) <= 4);
        }
        a.q[5] = NAN, a.q[a.job.q_stride + 9] = INFINITY;
        attention_solve(&a, k, 2);
        assert_true(isnan(a.out[0]) && isfinite(a.out[2 * a.job.out_stride]));
        attention_free(&a);
    }
}

static void a_query_does_not_depend_on_its_batch(void **state)
{
    FOR_EACH_TABLE(k)
    {
        attention a = attention_make(9, 3, 64, FH_TYPE_F16, 1, (const size_t[][2]){{50, 120}});
        attention_solve(&a, k, 2);
        float *all = a.out;
        a.out = fh_alloc(a.rows * a.job.out_stride * sizeof *a.out);
        a.seqs[0].q_first = 20, a.seqs[0].q_count = 1, a.seqs[0].kv_len = 91; /* the 21st of the 50 queries alone */
        attention_solve(&a, k, 1);
        assert_memory_equal(all + 20 * a.job.out_stride, a.out + 20 * a.job.out_stride, 9 * 64 * sizeof *all);
        fh_free(all);
        attention_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_runs_the_tables_that_its_processor_has),
        cmocka_unit_test(the_environment_chooses_the_table),
        cmocka_unit_test(half_floats_round_to_nearest_even),
        cmocka_unit_test(brain_floats_round_to_nearest_even),
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(norms_agree),
        cmocka_unit_test(activations_agree_over_their_whole_range),
        cmocka_unit_test(rotations_and_stores_agree),
        cmocka_unit_test(heads_take_biases_norms_and_turn_by_halves),
        cmocka_unit_test(store_rounds_as_the_scalar_conversion_does),
        cmocka_unit_test(quantised_stores_are_the_reference_to_the_bit),
        cmocka_unit_test(quantised_stores_stay_within_a_step),
        cmocka_unit_test(what_is_not_finite_stays_visible_in_a_quantised_cache),
        cmocka_unit_test(keys_go_into_a_quantised_cache_turned),
        cmocka_unit_test(attention_agrees_on_many_shapes),
        cmocka_unit_test(attention_agrees_on_quantised_caches),
        cmocka_unit_test(a_long_cache_split_along_its_keys_agrees),
        cmocka_unit_test(queries_that_are_split_together_are_those_alone_bit_for_bit),
        cmocka_unit_test(scores_far_apart_do_not_overflow),
        cmocka_unit_test(a_query_does_not_depend_on_its_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
