/* Floats to what a cache is kept as. */
#include "kernel/ref.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 32 };
#define TINIEST 1e-36f /* a block without a larger element counts as zero: what is divided by it must stay finite */

/* What lies furthest from 0; of two the positive one. What is not finite comes before all numbers. */
static float furthest(const float *x)
{
    float high = 0, low = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        if (!isfinite(x[i])) return x[i];
        high = fmaxf(high, x[i]);
        low = fminf(low, x[i]);
    }
    return high >= -low ? high : low;
}

static int nearest(float x)
{
    return isfinite(x) ? (int)nearbyintf(x) : 0;
}

static void put_half(uint8_t *dst, float x)
{
    uint16_t half = fh_f32_to_f16(x);
    memcpy(dst, &half, sizeof half);
}

static void store_q8_0(const float *x, uint8_t *dst)
{
    float most = fabsf(furthest(x)), inverse = most < TINIEST ? 0 : 127.0f / most;
    put_half(dst, most < TINIEST ? 0 : most / 127.0f);
    for (size_t i = 0; i < BLOCK; i++) dst[2 + i] = (uint8_t)(int8_t)nearest(x[i] * inverse);
}

static void store_q4_0(const float *x, uint8_t *dst)
{
    float most = furthest(x), inverse = fabsf(most) < TINIEST ? 0 : -8.0f / most;
    put_half(dst, fabsf(most) < TINIEST ? 0 : most / -8.0f);
    for (size_t i = 0; i < BLOCK / 2; i++) {
        int low = FH_MIN(nearest(x[i] * inverse) + 8, 15), high = FH_MIN(nearest(x[BLOCK / 2 + i] * inverse) + 8, 15);
        dst[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void store_halves(fh_type type, const float *x, size_t n, uint16_t *dst)
{
    for (size_t i = 0; i < n; i++) dst[i] = type == FH_TYPE_F16 ? fh_f32_to_f16(x[i]) : fh_f32_to_bf16(x[i]);
}

void fh_ref_store(fh_type type, const float *x, size_t n, void *dst)
{
    size_t bytes = fh_type_block_bytes(type);
    switch ((unsigned)type) {
    case FH_TYPE_F32: memcpy(dst, x, n * sizeof *x); return;
    case FH_TYPE_F16:
    case FH_TYPE_BF16: store_halves(type, x, n, dst); return;
    case FH_TYPE_Q8_0:
        for (size_t b = 0; b < n / BLOCK; b++) store_q8_0(x + b * BLOCK, (uint8_t *)dst + b * bytes);
        return;
    case FH_TYPE_Q4_0:
        for (size_t b = 0; b < n / BLOCK; b++) store_q4_0(x + b * BLOCK, (uint8_t *)dst + b * bytes);
        return;
    }
    assert(!"a type that a cache cannot have");
}
