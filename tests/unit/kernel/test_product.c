/* Matrix products of every type and table against the reference.
 *
 * Two bounds. The arithmetic: against the reference on activations that were quantised here by the definition, a result may be off by float
 * rounding only; of large batches on AMX, weights and activations are brain floats instead. The quantisation: against the reference on the
 * float activations, the root mean square error of random data stays below the row of the type in the table. */
#include "kernel_test.h"

#include <float.h>

#define ROUNDING 3e-6 /* of the sum of magnitudes */

typedef struct bound {
    fh_type type;
    double rms; /* relative to the root mean square of the results */
} bound;

static const bound bounds[] = {
    {FH_TYPE_F32, 1e-6},    {FH_TYPE_F16, 1e-6},     {FH_TYPE_BF16, 1e-6},  {FH_TYPE_Q4_0, 6e-3},    {FH_TYPE_Q4_1, 6e-3},
    {FH_TYPE_Q5_0, 6e-3},   {FH_TYPE_Q5_1, 6e-3},    {FH_TYPE_Q8_0, 6e-3},  {FH_TYPE_Q4_K, 6e-3},    {FH_TYPE_Q5_K, 6e-3},
    {FH_TYPE_Q6_K, 6e-3},   {FH_TYPE_Q2_K, 6e-3},    {FH_TYPE_Q3_K, 6e-3},  {FH_TYPE_MXFP4, 6e-3},   {FH_TYPE_IQ4_NL, 6e-3},
    {FH_TYPE_IQ4_XS, 6e-3}, {FH_TYPE_TQ1_0, 6e-3},   {FH_TYPE_TQ2_0, 6e-3}, {FH_TYPE_IQ2_XXS, 6e-3}, {FH_TYPE_IQ2_XS, 6e-3},
    {FH_TYPE_IQ2_S, 6e-3},  {FH_TYPE_IQ3_XXS, 6e-3}, {FH_TYPE_IQ3_S, 6e-3}, {FH_TYPE_IQ1_S, 6e-3},   {FH_TYPE_IQ1_M, 6e-3},
};

static bool is_float(fh_type t)
{
    return t == FH_TYPE_F32 || t == FH_TYPE_F16 || t == FH_TYPE_BF16;
}

typedef struct problem {
    const fh_kernels *k;
    fh_type type;
    size_t rows, cols, n;
    bool exact, add;
    unsigned workers;
    uint8_t *data;
    size_t row_bytes;
    float *x, *y;
    size_t x_stride, y_stride;
} problem;

#define UNTOUCHED 12345.0f

static problem problem_make(const fh_kernels *k, fh_type type, size_t rows, size_t cols, size_t n)
{
    problem p = {.k = k, .type = type, .rows = rows, .cols = cols, .n = n, .workers = 1, .x_stride = cols + 5, .y_stride = rows + 3};
    assert_true(fh_type_row_bytes(type, cols, &p.row_bytes));
    p.data = fh_alloc(rows * p.row_bytes);
    p.x = fh_alloc(n * p.x_stride * sizeof *p.x);
    p.y = fh_alloc(n * p.y_stride * sizeof *p.y);
    random_blocks(type, p.data, rows * p.row_bytes, 0.01f);
    random_floats(p.x, n * p.x_stride, 1.0f);
    return p;
}

static void problem_free(problem *p)
{
    fh_free(p->data);
    fh_free(p->x);
    fh_free(p->y);
}

typedef struct run {
    const problem *p;
    fh_weight *w;
    fh_act *a;
} run;

static void multiply(fh_worker *w, void *arg)
{
    run *r = arg;
    fh_act_set(r->a, r->p->x, r->p->n, r->p->cols, r->p->x_stride, w);
    fh_matmul(r->w, r->a, r->p->y, r->p->y_stride, r->p->add, w);
}

static void solve(problem *p)
{
    FH_AUTO(fh_weight) fh_weight *w = NULL;
    FH_AUTO(fh_act) fh_act *a = NULL;
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    fh_weight_spec spec = {.type = p->type, .rows = p->rows, .cols = p->cols, .data = p->data, .exact = p->exact, .name = "test"};
    assert_int_equal(fh_weight_new(&w, p->k, &spec, NULL), 0);
    assert_int_equal(fh_act_new(&a, p->k, p->n, p->cols, NULL), 0);
    assert_int_equal(fh_pool_new(&pool, p->workers, NULL), 0);
    for (size_t i = 0; i < p->n * p->y_stride; i++) p->y[i] = UNTOUCHED;
    for (size_t i = 0; p->add && i < p->n; i++) memset(p->y + i * p->y_stride, 0, p->rows * sizeof *p->y);
    run r = {p, w, a};
    fh_pool_run(pool, multiply, &r);
}

/* Batches that are multiplied by tiles of brain floats. */
static bool is_wide(const problem *p)
{
    return p->k == fh_kernels_get(FH_ISA_AMX) && p->n >= FH_WIDE_ROWS && !p->exact && !is_float(p->type) && p->cols % 32 == 0;
}

static void round_plainly(const float *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = fh_bf16_to_f32(fh_f32_to_bf16(x[i]));
}

/* All rows of the weights, as the reference has them. */
static float *weights_plainly(const problem *p)
{
    float *w = fh_alloc(p->rows * p->cols * sizeof *w);
    for (size_t r = 0; r < p->rows; r++) fh_ref_dequant(p->type, p->data + r * p->row_bytes, w + r * p->cols, p->cols);
    return w;
}

/* As fh_ref_dot sums it. */
static double dot(const float *w, const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)w[i] * (double)x[i];
    return sum;
}

static double magnitude(const float *w, const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabs((double)w[i] * (double)x[i]);
    return sum;
}

/* Activations as the quantised paths see them. */
static void quantise_plainly(const float *x, size_t n, float *out)
{
    for (size_t b = 0; b < n; b += 32) {
        float max = 0;
        for (size_t i = 0; i < 32; i++) max = fmaxf(max, fabsf(x[b + i]));
        for (size_t i = 0; i < 32; i++) out[b + i] = max < 1e-36f ? 0 : max / 127.0f * rintf(x[b + i] * (127.0f / max));
    }
}

/* Checks all results; returns the relative root mean square error against float activations. */
static double check(const problem *p)
{
    double error = 0, power = 0;
    float *x = fh_alloc(p->cols * sizeof *x), *weights = weights_plainly(p), *used = weights_plainly(p);
    if (is_wide(p)) round_plainly(used, p->rows * p->cols, used);
    bool quantised = !p->exact && !is_float(p->type) && fh_kernels_get(FH_ISA_REF) != p->k;
    for (size_t i = 0; i < p->n; i++) {
        const float *xi = p->x + i * p->x_stride, *y = p->y + i * p->y_stride;
        if (is_wide(p))
            round_plainly(xi, p->cols, x);
        else if (quantised)
            quantise_plainly(xi, p->cols, x);
        else
            memcpy(x, xi, p->cols * sizeof *x);
        for (size_t r = 0; r < p->rows; r++) {
            const float *w = weights + r * p->cols;
            double want = dot(used + r * p->cols, x, p->cols), ideal = dot(w, xi, p->cols);
            if (!(fabs(want) < (double)FLT_MAX)) {
                if (isfinite(y[r])) fail_msg("%s: row %zu is %g, should be %g", fh_type_name(p->type), r, (double)y[r], want);
                continue;
            }
            double slack = ROUNDING * magnitude(w, x, p->cols) * (has_min(p->type) ? 2 : 1) + 1e-30;
            if (!(fabs((double)y[r] - want) <= slack))
                fail_msg("%s [%zu x %zu] n %zu: row %zu of %zu is %.9g, should be %.9g +- %.3g", fh_type_name(p->type), p->rows, p->cols,
                         p->n, r, i, (double)y[r], want, slack);
            error += ((double)y[r] - ideal) * ((double)y[r] - ideal);
            power += ideal * ideal;
        }
        for (size_t r = p->rows; r < p->y_stride; r++) assert_true(y[r] == UNTOUCHED);
    }
    fh_free(x);
    fh_free(weights);
    fh_free(used);
    return power > 0 ? sqrt(error / power) : 0;
}

static void solve_and_check(problem *p)
{
    solve(p);
    check(p);
}

static void each_type_agrees_with_the_reference_on_odd_shapes(void **state)
{
    static const size_t row_counts[] = {1, 15, 16, 17, 33, 50};
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(all_types); t++) {
            size_t step = fh_type_block_elems(all_types[t]) == 1 ? 7 : fh_type_block_elems(all_types[t]);
            for (size_t i = 0; i < FH_COUNT(row_counts); i++) {
                problem p = problem_make(k, all_types[t], row_counts[i], step * (1 + i % 3 * 2), 1 + i * 3);
                solve_and_check(&p);
                problem_free(&p);
            }
        }
    }
}

static void every_batch_size_up_to_67_agrees(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t n = 1; n <= 67; n++) {
            problem p = problem_make(k, all_types[n % FH_COUNT(all_types)], 19, 256, n);
            p.add = n % 2;
            p.workers = 1 + n % 3;
            solve_and_check(&p);
            problem_free(&p);
        }
    }
}

static void errors_stay_within_the_bound_of_each_type(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t i = 0; i < FH_COUNT(bounds); i++) {
            problem p = problem_make(k, bounds[i].type, 64, fh_type_block_elems(bounds[i].type) == 256 ? 1536 : 576, 40);
            solve(&p);
            double rms = check(&p);
            if (rms > bounds[i].rms) fail_msg("%s: relative error %.3g, bound %.3g", fh_type_name(p.type), rms, bounds[i].rms);
            problem_free(&p);
        }
    }
}

/* Large batches are rounded to brain floats instead of 8 bits: their errors are less than half as large. */
static void large_batches_lose_less(void **state)
{
    const fh_kernels *k = fh_kernels_get(FH_ISA_AMX);
    if (!k) skip();
    for (size_t i = 3; i < FH_COUNT(bounds); i++) {
        problem p = problem_make(k, bounds[i].type, 64, 1536, FH_WIDE_ROWS);
        solve(&p);
        double rms = check(&p);
        if (rms > 2.5e-3) fail_msg("%s: relative error %.3g", fh_type_name(p.type), rms);
        problem_free(&p);
    }
}

/* All edges of the blocking by tiles: rows of weights, columns, rows of the batch, workers. */
static void large_batches_agree_on_odd_shapes(void **state)
{
    static const size_t rows[] = {1, 17, 128, 150, 16, 300}, blocks[] = {1, 17, 3, 40},
                        batch[] = {FH_WIDE_ROWS, FH_WIDE_ROWS + 1, FH_WIDE_ROWS + 15, FH_WIDE_ROWS + 32, 200, 530};
    const fh_kernels *k = fh_kernels_get(FH_ISA_AMX);
    if (!k) skip();
    for (size_t t = 3; t < FH_COUNT(all_types); t++) {
        for (size_t i = 0; i < FH_COUNT(rows); i++) {
            size_t elems = fh_type_block_elems(all_types[t]), at = (t + i) % FH_COUNT(batch);
            if (batch[at] * rows[i] > 60000) continue;
            problem p =
                problem_make(k, all_types[t], rows[i], elems * (elems == 256 ? 1 + i % 3 : blocks[(t + i) % FH_COUNT(blocks)]), batch[at]);
            p.add = (t + i) % 2;
            p.workers = 1 + i % 3;
            solve_and_check(&p);
            problem_free(&p);
        }
    }
}

static void exact_weights_have_float_accuracy(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t i = 0; i < FH_COUNT(all_types); i++) {
            problem p = problem_make(k, all_types[i], 21, 2304, 6);
            p.exact = true;
            p.add = i % 2;
            solve_and_check(&p);
            problem_free(&p);
        }
    }
}

/* A row in a large batch is the same bits in any other large batch, in any place, whatever the workers. */
static void a_row_of_a_large_batch_does_not_depend_on_its_neighbours(void **state)
{
    const fh_kernels *k = fh_kernels_get(FH_ISA_AMX);
    if (!k) skip();
    for (size_t t = 3; t < FH_COUNT(all_types); t++) {
        problem p = problem_make(k, all_types[t], 150, 768, FH_WIDE_ROWS + 51),
                other = problem_make(k, all_types[t], 150, 768, FH_WIDE_ROWS);
        memcpy(other.data, p.data, p.rows * p.row_bytes);
        solve(&p);
        for (size_t i = 0; i < 3; i++) {
            size_t from[] = {5, 51, FH_WIDE_ROWS + 48}, to[] = {31, 0, 17};
            memcpy(other.x + to[i] * p.x_stride, p.x + from[i] * p.x_stride, p.cols * sizeof *p.x);
            other.workers = 1 + (unsigned)i;
            solve(&other);
            assert_memory_equal(other.y + to[i] * p.y_stride, p.y + from[i] * p.y_stride, p.rows * sizeof *p.y);
        }
        problem_free(&p);
        problem_free(&other);
    }
}

/* Results of the same rows alone, and by three workers, are the same bits. */
static void a_row_does_not_depend_on_its_neighbours_or_the_workers(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 70, 768, 23);
            solve(&p);
            problem one = p;
            one.n = 1;
            one.y = fh_alloc(one.y_stride * sizeof *one.y);
            for (size_t i = 0; i < p.n; i++) {
                one.x = p.x + i * p.x_stride;
                one.workers = 1 + (unsigned)i % 3;
                solve(&one);
                assert_memory_equal(one.y, p.y + i * p.y_stride, p.rows * sizeof *p.y);
            }
            fh_free(one.y);
            problem_free(&p);
        }
    }
}

static void fill(problem *p, float value)
{
    for (size_t i = 0; i < p->n * p->x_stride; i++) p->x[i] = value;
}

static void zeros_and_tiny_and_huge_activations_agree(void **state)
{
    static const float values[] = {0, 1e-45f, 1e-40f, 1e-37f, 1e-30f, 1e30f, -0.0f};
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 18, 256, 3);
            for (size_t i = 0; i < FH_COUNT(values); i++) {
                fill(&p, values[i]);
                p.x[3] *= -0.5f;
                solve_and_check(&p);
            }
            problem_free(&p);
        }
    }
}

static void extreme_quants_do_not_overflow(void **state)
{
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 3; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 16, 512, 5);
            for (int byte = 0; byte < 2; byte++) { /* all bits of the quants set, or none; then the scales again */
                memset(p.data, byte ? 0xff : 0, p.rows * p.row_bytes);
                if (p.type == FH_TYPE_Q8_0) memset(p.data, byte ? 0x80 : 0x7f, p.rows * p.row_bytes);
                for (size_t at = 0; at < p.rows * p.row_bytes; at += fh_type_block_bytes(p.type)) {
                    put_scales(p.type, p.data + at, 1.0f, -1.0f);
                }
                fill(&p, 1.0f);
                solve_and_check(&p);
                fill(&p, -1.0f);
                solve_and_check(&p);
            }
            problem_free(&p);
        }
    }
}

static void what_is_not_finite_crashes_nothing_and_does_not_vanish(void **state)
{
    static const float values[] = {INFINITY, -INFINITY, NAN, 3e38f};
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 17, 256, 9);
            for (size_t i = 0; i < FH_COUNT(values); i++) {
                p.x[2 * p.x_stride + 7] = values[i];
                solve(&p);
                if (i < 3) assert_false(isfinite(p.y[2 * p.y_stride]));
                assert_true(isfinite(p.y[0]) && isfinite(p.y[3 * p.y_stride]));
            }
            memset(p.data, 0xff, p.rows * p.row_bytes); /* scales that are NaN */
            solve(&p);
            problem_free(&p);
        }
    }
}

/* Of one row's first block; MXFP4 has exponents only: the least ones, and one that is large but leaves room for the sums. */
static void scale_first_block(const problem *p, size_t row, float d)
{
    uint8_t *block = p->data + row * p->row_bytes;
    if (p->type == FH_TYPE_MXFP4)
        block[0] = !(fabsf(d) <= 1) ? 240 : d > 0 ? 1 : 0;
    else
        put_scales(p->type, block, d, d);
}

/* Infinite or no number, the largest, the smallest, none: the row is what the reference says, the others do not see it. */
static void extreme_scales_agree(void **state)
{
    static const float scales[] = {INFINITY, -INFINITY, NAN, 65504, -65504, 0x1p-24f, 0, -0.0f};
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 3; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 18, 512, 3);
            for (size_t i = 0; i < FH_COUNT(scales); i++) {
                for (size_t row = 2; row < 18; row += 15) scale_first_block(&p, row, scales[i]);
                solve(&p);
                check(&p);
            }
            problem_free(&p);
        }
    }
}

static void a_row_of_a_weight_is_the_references_bit_for_bit(void **state)
{
    float got[768], want[768];
    FOR_EACH_TABLE(k)
    {
        for (size_t t = 0; t < FH_COUNT(all_types); t++) {
            problem p = problem_make(k, all_types[t], 37, 768, 1);
            FH_AUTO(fh_weight) fh_weight *w = NULL;
            fh_weight_spec spec = {.type = p.type, .rows = p.rows, .cols = p.cols, .data = p.data, .name = "test"};
            assert_int_equal(fh_weight_new(&w, k, &spec, NULL), 0);
            assert_int_equal(fh_weight_borrows(w), is_float(p.type) || k == fh_kernels_get(FH_ISA_REF));
            assert_true(fh_weight_bytes(w) >= p.rows * p.row_bytes);
            for (size_t r = 0; r < p.rows; r++) {
                fh_weight_row(w, r, got);
                fh_ref_dequant(p.type, p.data + r * p.row_bytes, want, p.cols);
                assert_memory_equal(got, want, sizeof want);
            }
            problem_free(&p);
        }
    }
}

typedef struct fused {
    fh_weight *w[3];
    fh_act *a;
    size_t n, rows[3];
    const float *x, *norm;
    float *y[3], *apart[3], *normed;
    const fh_kernels *k;
} fused;

#define FUSED_COLS 576

static void multiply_together_and_apart(fh_worker *w, void *arg)
{
    fused *f = arg;
    fh_matmul_job jobs[3];
    for (size_t i = 0; i < 3; i++) jobs[i] = (fh_matmul_job){f->w[i], f->y[i], f->rows[i], false};
    fh_act_set_norm(f->a, f->x, FUSED_COLS, f->norm, 1e-5f, f->n, FUSED_COLS, w);
    fh_matmul_many(jobs, 3, f->a, w);
    fh_rms_norm(f->k, f->x, f->norm, 1e-5f, f->n, FUSED_COLS, f->normed, w);
    fh_barrier(w);
    fh_act_set(f->a, f->normed, f->n, FUSED_COLS, FUSED_COLS, w);
    for (size_t i = 0; i < 3; i++) fh_matmul(f->w[i], f->a, f->apart[i], f->rows[i], false, w);
    fh_barrier(w);
    fh_matmul_glu(f->w[0], f->w[1], f->a, f->y[0], f->rows[0], w);
    fh_barrier(w);
    if (w->index == 0) fh_silu_mul(f->k, f->apart[0], f->apart[1], f->n, f->rows[0], f->apart[0], &(fh_worker){w->pool, 0, 1});
}

static void compare_fused(const fh_kernels *k, size_t n, unsigned workers)
{
    fused f = {.n = n, .rows = {50, 50, 21}, .k = k};
    uint8_t *data[3];
    float *floats = fh_alloc((n * FUSED_COLS * 2 + FUSED_COLS + n * 242) * sizeof *floats), *at = floats;
    static const fh_type types[] = {FH_TYPE_Q4_1, FH_TYPE_Q8_0, FH_TYPE_F16};
    FH_AUTO(fh_pool) fh_pool *pool = NULL;
    f.x = at, random_floats(at, n * FUSED_COLS, 1), at += n * FUSED_COLS;
    f.normed = at, at += n * FUSED_COLS;
    f.norm = at, random_floats(at, FUSED_COLS, 1), at += FUSED_COLS;
    for (size_t i = 0; i < 3; i++) {
        size_t row_bytes;
        fh_weight_spec spec = {.type = types[i], .rows = f.rows[i], .cols = FUSED_COLS, .name = "test"};
        assert_true(fh_type_row_bytes(types[i], FUSED_COLS, &row_bytes));
        spec.data = data[i] = fh_alloc(f.rows[i] * row_bytes);
        random_blocks(types[i], data[i], f.rows[i] * row_bytes, 0.05f);
        assert_int_equal(fh_weight_new(&f.w[i], k, &spec, NULL), 0);
        f.y[i] = at, at += n * f.rows[i];
        f.apart[i] = at, at += n * f.rows[i];
    }
    assert_int_equal(fh_act_new(&f.a, k, n, FUSED_COLS, NULL), 0);
    assert_int_equal(fh_pool_new(&pool, workers, NULL), 0);
    fh_pool_run(pool, multiply_together_and_apart, &f);
    assert_memory_equal(f.y[0], f.apart[0], n * f.rows[0] * sizeof(float));
    assert_memory_equal(f.y[1], f.apart[1], n * f.rows[1] * sizeof(float));
    assert_memory_equal(f.y[2], f.apart[2], n * f.rows[2] * sizeof(float));
    for (size_t i = 0; i < 3; i++) {
        fh_weight_free(f.w[i]);
        fh_free(data[i]);
    }
    fh_act_free(f.a);
    fh_free(floats);
}

static void fused_steps_give_the_same_bits_as_single_ones(void **state)
{
    FOR_EACH_TABLE(k)
    {
        compare_fused(k, 1, 1);
        compare_fused(k, 1, 3);
        compare_fused(k, 13, 2);
        compare_fused(k, 70, 3);
    }
}

static void packed_rows_lie_where_they_were_placed_and_serve_again(void **state)
{
    FOR_EACH_TABLE(k)
    {
        problem p = problem_make(k, FH_TYPE_Q4_1, 40, 64, 1);
        fh_weight_spec spec = {.type = p.type, .rows = p.rows, .cols = p.cols, .data = p.data, .name = "test"};
        size_t bytes = fh_weight_packed_bytes(k, &spec);
        assert_true((bytes > 0) == (fh_weight_layout(k) != NULL) && bytes % 64 == 0);
        FH_AUTO(ptr) void *place = bytes ? fh_weight_memory_new(bytes) : NULL;
        spec.place = place;
        float got[64], want[64];
        fh_ref_dequant(p.type, p.data + 39 * p.row_bytes, want, 64);
        for (size_t i = 0; i < 3; i++) {
            fh_weight *w = NULL;
            assert_int_equal(fh_weight_new(&w, k, &spec, NULL), 0);
            assert_true(fh_weight_borrows(w) == (place == NULL));
            fh_weight_row(w, 39, got);
            assert_memory_equal(got, want, sizeof want);
            fh_weight_free(w);
            spec.filled = place != NULL;
            if (place) spec.data = NULL; /* is not read any more */
        }
        problem_free(&p);
    }
}

static void what_a_weight_takes_at_most_is_what_it_takes_on_some_path(void **state)
{
    static const size_t shapes[][2] = {{16, 256}, {40, 512}, {1, 256}, {70, 2048}};
    for (uint32_t type = 0; type < 64; type++) {
        if (!fh_type_known(type)) continue;
        for (size_t i = 0; i < FH_COUNT(shapes); i++) {
            size_t rows = shapes[i][0], cols = shapes[i][1], row_bytes = 0, most = fh_weight_most_bytes((fh_type)type, rows, cols);
            fh_weight_spec spec = {.type = (fh_type)type, .rows = rows, .cols = cols, .name = "test"};
            assert_true(fh_type_row_bytes((fh_type)type, cols, &row_bytes));
            bool met = most == rows * row_bytes, here = false;
            FOR_EACH_TABLE(k)
            {
                size_t bytes = fh_weight_packed_bytes(k, &spec);
                assert_true(bytes <= most);
                met |= bytes == most;
                here |= bytes > 0;
            }
            if (here) assert_true(met);
            assert_true(most >= rows * row_bytes);
        }
    }
    assert_int_equal(fh_weight_most_bytes(FH_TYPE_Q4_1, 4, 33), 0);
    assert_int_equal(fh_weight_most_bytes(FH_TYPE_Q4_1, 0, 32), 0);
}

static void weights_that_make_no_sense_are_errors(void **state)
{
    fh_weight *w = NULL;
    fh_err *err = NULL;
    fh_weight_spec odd = {.type = FH_TYPE_Q4_1, .rows = 4, .cols = 33, .data = "", .name = "blk.0.attn_q.weight"};
    assert_int_equal(fh_weight_new(&w, fh_kernels_get(FH_ISA_REF), &odd, &err), FH_E_CORRUPT);
    assert_non_null(strstr(fh_err_message(err), "blk.0.attn_q.weight"));
    fh_weight_spec empty = {.type = FH_TYPE_F32, .rows = 0, .cols = 32, .data = "", .name = "x"};
    assert_int_equal(fh_weight_new(&w, fh_kernels_get(FH_ISA_REF), &empty, &err), FH_E_CORRUPT);
    fh_weight_spec large = {.type = FH_TYPE_F32, .rows = SIZE_MAX / 2, .cols = 32, .data = "", .name = "x"};
    assert_int_equal(fh_weight_new(&w, fh_kernels_get(FH_ISA_REF), &large, &err), FH_E_TOO_LARGE);
    assert_null(w);
    fh_err_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_agrees_with_the_reference_on_odd_shapes),
        cmocka_unit_test(every_batch_size_up_to_67_agrees),
        cmocka_unit_test(errors_stay_within_the_bound_of_each_type),
        cmocka_unit_test(large_batches_lose_less),
        cmocka_unit_test(large_batches_agree_on_odd_shapes),
        cmocka_unit_test(exact_weights_have_float_accuracy),
        cmocka_unit_test(a_row_does_not_depend_on_its_neighbours_or_the_workers),
        cmocka_unit_test(a_row_of_a_large_batch_does_not_depend_on_its_neighbours),
        cmocka_unit_test(zeros_and_tiny_and_huge_activations_agree),
        cmocka_unit_test(extreme_quants_do_not_overflow),
        cmocka_unit_test(what_is_not_finite_crashes_nothing_and_does_not_vanish),
        cmocka_unit_test(extreme_scales_agree),
        cmocka_unit_test(a_row_of_a_weight_is_the_references_bit_for_bit),
        cmocka_unit_test(fused_steps_give_the_same_bits_as_single_ones),
        cmocka_unit_test(packed_rows_lie_where_they_were_placed_and_serve_again),
        cmocka_unit_test(what_a_weight_takes_at_most_is_what_it_takes_on_some_path),
        cmocka_unit_test(weights_that_make_no_sense_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
