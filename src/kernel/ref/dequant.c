/* What the bytes of each type mean. Layouts are ggml's: a block mostly begins with its scale (and minimum) as half floats, then the high
 * bits, then the low ones. In blocks of 32, element i < 16 is the low nibble of byte i and element i + 16 the high one. Blocks of 256 hold
 * eight sub-blocks of 32 with 6-bit scales and minima (Q4_K, Q5_K) or sixteen of 16 with 8-bit scales (Q6_K) or 4-bit scales and minima
 * (Q2_K). Types whose quants are places in a codebook are read by codes.c. */
#include "codes.h"
#include "kernel/ref.h"

#include <assert.h>
#include <string.h>

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)read_u16(p) | (uint32_t)read_u16(p + 2) << 16;
}

static float read_f16(const uint8_t *p)
{
    return fh_f16_to_f32(read_u16(p));
}

static void f32_block(const uint8_t *b, float *y)
{
    memcpy(y, b, sizeof *y);
}

static void f16_block(const uint8_t *b, float *y)
{
    *y = read_f16(b);
}

static void bf16_block(const uint8_t *b, float *y)
{
    *y = fh_bf16_to_f32(read_u16(b));
}

static void q4_0_block(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((b[2 + i] & 15) - 8) * d;
        y[i + 16] = (float)((b[2 + i] >> 4) - 8) * d;
    }
}

static void q4_1_block(const uint8_t *b, float *y)
{
    float d = read_f16(b), m = read_f16(b + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(b[4 + i] & 15) * d + m;
        y[i + 16] = (float)(b[4 + i] >> 4) * d + m;
    }
}

static void q5_0_block(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    uint32_t high = read_u32(b + 2);
    for (int i = 0; i < 16; i++) {
        int low = (b[6 + i] & 15) | (int)(high >> i & 1) << 4, top = (b[6 + i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
        y[i] = (float)(low - 16) * d;
        y[i + 16] = (float)(top - 16) * d;
    }
}

static void q5_1_block(const uint8_t *b, float *y)
{
    float d = read_f16(b), m = read_f16(b + 2);
    uint32_t high = read_u32(b + 4);
    for (int i = 0; i < 16; i++) {
        int low = (b[8 + i] & 15) | (int)(high >> i & 1) << 4, top = (b[8 + i] >> 4) | (int)(high >> (i + 16) & 1) << 4;
        y[i] = (float)low * d + m;
        y[i + 16] = (float)top * d + m;
    }
}

static void q8_0_block(const uint8_t *b, float *y)
{
    float d = read_f16(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(int8_t)b[2 + i] * d;
}

/* Four sub-blocks of 32 columns share 32 bytes, two bits each; a byte for each 16 columns has their scale and minimum. */
static void q2_k_block(const uint8_t *b, float *y)
{
    float d = read_f16(b + 80), dmin = read_f16(b + 82);
    for (int e = 0; e < 256; e++) {
        int q = b[16 + e / 128 * 32 + e % 32] >> e % 128 / 32 * 2 & 3, pair = b[e / 16];
        y[e] = d * (float)(pair & 15) * (float)q - dmin * (float)(pair >> 4);
    }
}

/* The 6-bit scale and minimum of sub-block j: twelve bytes hold eight pairs, the last four's top two bits in the first eight's. */
static void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
        return;
    }
    *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
    *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
}

static void q4_k_block(const uint8_t *b, float *y)
{
    float d = read_f16(b), dmin = read_f16(b + 2);
    for (int j = 0; j < 8; j++) {
        const uint8_t *q = b + 16 + 32 * (j / 2);
        int scale, min, shift = j % 2 * 4;
        scale_min(b + 4, j, &scale, &min);
        float step = d * (float)scale, low = dmin * (float)min;
        for (int i = 0; i < 32; i++) y[32 * j + i] = step * (float)(q[i] >> shift & 15) - low;
    }
}

static void q5_k_block(const uint8_t *b, float *y)
{
    float d = read_f16(b), dmin = read_f16(b + 2);
    const uint8_t *high = b + 16;
    for (int j = 0; j < 8; j++) {
        const uint8_t *q = b + 48 + 32 * (j / 2);
        int scale, min, shift = j % 2 * 4;
        scale_min(b + 4, j, &scale, &min);
        float step = d * (float)scale, low = dmin * (float)min;
        for (int i = 0; i < 32; i++) y[32 * j + i] = step * (float)((q[i] >> shift & 15) | (high[i] >> j & 1) << 4) - low;
    }
}

/* Element e of a half (128): low nibble from byte e % 64, its half by e / 64; two high bits from byte e % 32, their place by e / 32. */
static void q6_k_block(const uint8_t *b, float *y)
{
    float d = read_f16(b + 208);
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = b + 64 * half, *high = b + 128 + 32 * half;
        const int8_t *scales = (const int8_t *)b + 192 + 8 * half;
        for (int e = 0; e < 128; e++) {
            int q = (low[e % 64] >> e / 64 * 4 & 15) | (high[e % 32] >> e / 32 * 2 & 3) << 4;
            int part = e / 16;
            y[128 * half + e] = d * (float)scales[part] * (float)(q - 32);
        }
    }
}

typedef void block_fn(const uint8_t *b, float *y);

static block_fn *block_of(fh_type type)
{
    switch ((unsigned)type) {
    case FH_TYPE_F32: return f32_block;
    case FH_TYPE_F16: return f16_block;
    case FH_TYPE_BF16: return bf16_block;
    case FH_TYPE_Q4_0: return q4_0_block;
    case FH_TYPE_Q4_1: return q4_1_block;
    case FH_TYPE_Q5_0: return q5_0_block;
    case FH_TYPE_Q5_1: return q5_1_block;
    case FH_TYPE_Q8_0: return q8_0_block;
    case FH_TYPE_Q2_K: return q2_k_block;
    case FH_TYPE_Q4_K: return q4_k_block;
    case FH_TYPE_Q5_K: return q5_k_block;
    case FH_TYPE_Q6_K: return q6_k_block;
    }
    return NULL;
}

static void dequant_block(fh_type type, block_fn *block, const uint8_t *b, float *y)
{
    if (block)
        block(b, y);
    else
        fh_ref_codes_block(type, b, y);
}

void fh_ref_dequant(fh_type type, const void *src, float *dst, size_t n)
{
    block_fn *block = block_of(type);
    size_t elems = fh_type_block_elems(type), bytes = fh_type_block_bytes(type);
    assert(n % elems == 0);
    for (size_t i = 0; i < n / elems; i++) dequant_block(type, block, (const uint8_t *)src + i * bytes, dst + i * elems);
}

double fh_ref_dot(fh_type type, const void *row, const float *x, size_t n)
{
    block_fn *block = block_of(type);
    size_t elems = fh_type_block_elems(type), bytes = fh_type_block_bytes(type);
    assert(n % elems == 0);
    double sum = 0;
    float w[256] = {0};
    for (size_t i = 0; i < n; i += elems) {
        dequant_block(type, block, (const uint8_t *)row + i / elems * bytes, w);
        for (size_t j = 0; j < elems; j++) sum += (double)w[j] * (double)x[i + j];
    }
    return sum;
}
