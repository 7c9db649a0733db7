/* Norm, activation, rotation, conversion and quantisation of rows; compiled for each instruction set. */
#include "lanes.h"

#include <assert.h>
#include <math.h>

float ISA(rms_scale)(const float *x, size_t n, float eps)
{
    vf s[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t j = 0; j < 4; j++) {
            vf v = vf_load(x + i + j * LANES);
            s[j] = vf_fma(v, v, s[j]);
        }
    }
    for (; i + LANES <= n; i += LANES) s[0] = vf_fma(vf_load(x + i), vf_load(x + i), s[0]);
    vf tail = vf_load_part(x + i, n - i);
    s[1] = vf_fma(tail, tail, s[1]);
    float sum = vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
    return 1.0f / sqrtf(sum / (float)n + eps);
}

void ISA(norm_row)(const float *x, const float *w, float scale, size_t n, float *y)
{
    vf s = vf_set1(scale);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) vf_store(y + i, vf_mul(vf_mul(vf_load(x + i), s), vf_load(w + i)));
    vf_store_part(y + i, vf_mul(vf_mul(vf_load_part(x + i, n - i), s), vf_load_part(w + i, n - i)), n - i);
}

static inline vf silu_mul(vf gate, vf up)
{
    vf e = vf_exp(vf_sub(vf_zero(), gate));
    return vf_mul(vf_div(gate, vf_add(vf_set1(1.0f), e)), up);
}

void ISA(silu_mul)(const float *gate, const float *up, size_t n, float *y)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) vf_store(y + i, silu_mul(vf_load(gate + i), vf_load(up + i)));
    if (i < n) vf_store_part(y + i, silu_mul(vf_load_part(gate + i, n - i), vf_load_part(up + i, n - i)), n - i);
}

static inline vf turn(vf x, vf cs)
{
    return vf_fmaddsub(x, vf_even(cs), vf_mul(vf_swap_pairs(x), vf_odd(cs)));
}

void ISA(rope)(const float *x, const float *cs, size_t pairs, float *y)
{
    size_t i = 0, n = 2 * pairs;
    for (; i + LANES <= n; i += LANES) vf_store(y + i, turn(vf_load(x + i), vf_load(cs + i)));
    if (i < n) vf_store_part(y + i, turn(vf_load_part(x + i, n - i), vf_load_part(cs + i, n - i)), n - i);
}

static void store_f16(const float *x, size_t n, uint16_t *dst)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) vf_store_f16(dst + i, vf_load(x + i));
    if (i == n) return;
    uint16_t halves[LANES];
    vf_store_f16(halves, vf_load_part(x + i, n - i));
    memcpy(dst + i, halves, (n - i) * sizeof *halves);
}

/* ---- quantisation: d = max|x| / 127, q = round(x / d) ----
 *
 * The largest magnitude is sought among the bits as integers, where infinity and then NaN stand above all numbers: a block with one of them
 * gets a d that is not finite, and so do the products. */

#define TINIEST 1e-36f /* a block without a larger element counts as zero: 127 / max must stay finite */

static inline void write_int(float *p, int32_t value)
{
    memcpy(p, &value, sizeof value);
}

void ISA(quantise)(const float *x, size_t blocks, size_t m, int8_t *q, float *figures)
{
    for (size_t b = 0; b < blocks; b++) {
        float max = block_largest(x + b * FH_PACK_COLS), d = max < TINIEST ? 0 : max / 127.0f;
        float inverse = max < TINIEST ? 0 : 127.0f / max;
        float *f = figures + b * m * FH_FIGS;
        block_sums s = block_quantise(x + b * FH_PACK_COLS, inverse, q + b * m * FH_PACK_COLS);
        f[FH_FIG_D * m] = d;
        f[FH_FIG_D_SUM * m] = d * (float)(s.first + s.second);
        write_int(f + FH_FIG_SUM * m, -(s.first + s.second));
        write_int(f + FH_FIG_SUM0 * m, -s.first);
        write_int(f + FH_FIG_SUM1 * m, -s.second);
    }
}

/* ---- what a cache is kept as: fh_ref_store, to the bit where all is finite ---- */

static void store_q8_0(const float *x, uint8_t *dst)
{
    float most = block_largest(x), inverse = most < TINIEST ? 0 : 127.0f / most;
    uint16_t d = fh_f32_to_f16(most < TINIEST ? 0 : most / 127.0f);
    memcpy(dst, &d, sizeof d);
    block_quantise(x, inverse, (int8_t *)dst + sizeof d);
}

/* What lies furthest from 0, the positive one of two; `most` is how far. */
static float furthest(const float *x, float most)
{
    vf high = vf_load(x);
    for (size_t i = LANES; i < FH_PACK_COLS; i += LANES) high = vf_max(high, vf_load(x + i));
    return vf_hmax(high) >= most ? most : -most;
}

static void store_q4_0(const float *x, uint8_t *dst)
{
    float most = block_largest(x), m = isfinite(most) ? furthest(x, most) : most, inverse = most < TINIEST ? 0 : -8.0f / m;
    uint16_t d = fh_f32_to_f16(most < TINIEST ? 0 : m / -8.0f);
    memcpy(dst, &d, sizeof d);
    for (size_t i = 0; i < FH_PACK_COLS / 2; i += LANES) vf_store_nibbles(dst + sizeof d + i, x + i, x + FH_PACK_COLS / 2 + i, inverse);
}

static void store_blocks(fh_type type, const float *x, size_t n, uint8_t *dst)
{
    size_t bytes = fh_type_block_bytes(type);
    for (size_t b = 0; b < n / FH_PACK_COLS; b++)
        type == FH_TYPE_Q8_0 ? store_q8_0(x + b * FH_PACK_COLS, dst + b * bytes) : store_q4_0(x + b * FH_PACK_COLS, dst + b * bytes);
}

void ISA(store)(fh_type type, const float *x, size_t n, void *dst)
{
    uint16_t *halves = dst;
    switch ((unsigned)type) {
    case FH_TYPE_F32: memcpy(dst, x, n * sizeof *x); return;
    case FH_TYPE_F16: store_f16(x, n, halves); return;
    case FH_TYPE_BF16:
        for (size_t i = 0; i < n; i++) halves[i] = fh_f32_to_bf16(x[i]);
        return;
    case FH_TYPE_Q8_0:
    case FH_TYPE_Q4_0: store_blocks(type, x, n, dst); return;
    }
    assert(!"a type that a cache cannot have");
}
