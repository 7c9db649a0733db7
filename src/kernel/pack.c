/* Packing: from rows of GGUF blocks to groups of 16 interleaved rows (kernels.h draws the planes), and one row back. */
#include "kernels.h"

#include <assert.h>
#include <string.h>

/* One block of 32 columns of one row, whatever its type: quants from 0 on, and what scales them. */
typedef struct block {
    uint8_t q[FH_PACK_COLS];
    uint16_t d, m;        /* half floats */
    uint8_t scale, min;   /* of K types; Q6_K: signed scales of columns 0-15 and 16-31 */
} block;

static bool is_k(fh_type t)
{
    return t == FH_TYPE_Q4_K || t == FH_TYPE_Q5_K || t == FH_TYPE_Q6_K;
}

static bool has_min(fh_type t)
{
    return t == FH_TYPE_Q4_1 || t == FH_TYPE_Q5_1 || t == FH_TYPE_Q4_K || t == FH_TYPE_Q5_K;
}

/* Bits of a quant; 0 for types that are not packed. */
static unsigned bits_of(fh_type t)
{
    switch (t) {
    case FH_TYPE_Q4_0:
    case FH_TYPE_Q4_1:
    case FH_TYPE_Q4_K: return 4;
    case FH_TYPE_Q5_0:
    case FH_TYPE_Q5_1:
    case FH_TYPE_Q5_K: return 5;
    case FH_TYPE_Q6_K: return 6;
    case FH_TYPE_Q8_0: return 8;
    case FH_TYPE_F32:
    case FH_TYPE_F16:
    case FH_TYPE_BF16: break;
    }
    return 0;
}

bool fh_pack_supports(fh_type type)
{
    return bits_of(type) != 0;
}

static fh_pack_layout layout_of(fh_type t)
{
    unsigned bits = bits_of(t);
    fh_pack_layout l = {.low = bits == 8 ? 512 : 256, .high = bits == 5 ? 64 : bits == 6 ? 128 : 0, .scale = 32};
    if (has_min(t) && !is_k(t)) l.scale = 64;
    if (is_k(t)) l.super = has_min(t) ? 64 : 32;
    return l;
}

/* ---- reading GGUF blocks ---- */

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static void read_nibbles(const uint8_t *p, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        q[i] = p[i] & 15;
        q[i + 16] = p[i] >> 4;
    }
}

static void read_fifths(const uint8_t *p, uint8_t *q)
{
    for (int i = 0; i < 32; i++) q[i] |= (uint8_t)((p[i / 8] >> i % 8 & 1) << 4);
}

static void read_scale_min(const uint8_t *s, size_t j, block *b)
{
    b->scale = j < 4 ? s[j] & 63 : (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    b->min = j < 4 ? s[j + 4] & 63 : (uint8_t)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
}

static void read_q45_k(const uint8_t *p, size_t j, bool five, block *b)
{
    const uint8_t *low = p + (five ? 48 : 16) + 32 * (j / 2);
    b->d = read_u16(p);
    b->m = read_u16(p + 2);
    read_scale_min(p + 4, j, b);
    for (size_t i = 0; i < 32; i++) {
        b->q[i] = low[i] >> j % 2 * 4 & 15;
        if (five) b->q[i] |= (uint8_t)((p[16 + i] >> j & 1) << 4);
    }
}

static void read_q6_k(const uint8_t *p, size_t j, block *b)
{
    const uint8_t *low = p + 64 * (j / 4) + 32 * (j % 2), *high = p + 128 + 32 * (j / 4);
    b->d = read_u16(p + 208);
    b->scale = p[192 + 2 * j];
    b->min = p[192 + 2 * j + 1];
    for (size_t i = 0; i < 32; i++) b->q[i] = (uint8_t)((low[i] >> j % 4 / 2 * 4 & 15) | (high[i] >> j % 4 * 2 & 3) << 4);
}

/* Block j of a row. */
static void read_block(fh_type type, const uint8_t *row, size_t j, block *b)
{
    const uint8_t *p = is_k(type) ? row + j / 8 * fh_type_block_bytes(type) : row + j * fh_type_block_bytes(type);
    switch (type) {
    case FH_TYPE_Q4_0: b->d = read_u16(p), read_nibbles(p + 2, b->q); return;
    case FH_TYPE_Q4_1: b->d = read_u16(p), b->m = read_u16(p + 2), read_nibbles(p + 4, b->q); return;
    case FH_TYPE_Q5_0: b->d = read_u16(p), read_nibbles(p + 6, b->q), read_fifths(p + 2, b->q); return;
    case FH_TYPE_Q5_1: b->d = read_u16(p), b->m = read_u16(p + 2), read_nibbles(p + 8, b->q), read_fifths(p + 4, b->q); return;
    case FH_TYPE_Q8_0:
        b->d = read_u16(p);
        for (int i = 0; i < 32; i++) b->q[i] = p[2 + i] ^ 0x80;
        return;
    case FH_TYPE_Q4_K: read_q45_k(p, j % 8, false, b); return;
    case FH_TYPE_Q5_K: read_q45_k(p, j % 8, true, b); return;
    case FH_TYPE_Q6_K: read_q6_k(p, j % 8, b); return;
    case FH_TYPE_F32:
    case FH_TYPE_F16:
    case FH_TYPE_BF16: break;
    }
    assert(!"a type that is not packed");
}

/* ---- planes ---- */

typedef struct planes {
    uint8_t *low, *high, *scale, *super; /* of one block of one group */
} planes;

static planes planes_at(const fh_weight *w, size_t group, size_t j)
{
    fh_pack_layout l = layout_of(w->type);
    uint8_t *p = w->packed + group * w->group_bytes;
    return (planes){p + j * l.low, p + w->high_at + j * l.high, p + w->scale_at + j * l.scale, p + w->super_at + j / 8 * l.super};
}

static void write_quants(const planes *p, unsigned bits, size_t r, const uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) {
        size_t v = i / 4, k = i % 4, byte = r * 4 + k; /* vector, byte of the row's dword */
        if (bits == 8) p->low[v * 64 + byte] = q[i];
        if (bits < 8 && i < 16) p->low[v * 64 + byte] = (uint8_t)((q[i] & 15) | q[i + 16] << 4);
        if (bits == 5) p->high[byte] |= (uint8_t)(q[i] >> 4 << v);
        if (bits == 6) p->high[i / 16 * 64 + byte] |= (uint8_t)(q[i] >> 4 << v % 4 * 2);
    }
}

static void read_quants(const planes *p, unsigned bits, size_t r, uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) {
        size_t v = i / 4, byte = r * 4 + i % 4;
        q[i] = bits == 8 ? p->low[v * 64 + byte] : p->low[v % 4 * 64 + byte] >> v / 4 * 4 & 15;
        if (bits == 5) q[i] |= (uint8_t)((p->high[byte] >> v & 1) << 4);
        if (bits == 6) q[i] |= (uint8_t)((p->high[i / 16 * 64 + byte] >> v % 4 * 2 & 3) << 4);
    }
}

static void write_half(uint8_t *p, size_t index, uint16_t half)
{
    memcpy(p + 2 * index, &half, sizeof half);
}

static uint16_t read_half(const uint8_t *p, size_t index)
{
    uint16_t half;
    memcpy(&half, p + 2 * index, sizeof half);
    return half;
}

static void write_block(const planes *p, fh_type type, size_t r, const block *b)
{
    write_quants(p, bits_of(type), r, b->q);
    uint8_t *floats = is_k(type) ? p->super : p->scale;
    write_half(floats, r, b->d);
    if (has_min(type)) write_half(floats, 16 + r, b->m);
    if (!is_k(type)) return;
    p->scale[r] = b->scale;
    p->scale[16 + r] = b->min;
}

static block unpack_block(const planes *p, fh_type type, size_t r)
{
    block b = {.scale = 1, .min = 1};
    read_quants(p, bits_of(type), r, b.q);
    const uint8_t *floats = is_k(type) ? p->super : p->scale;
    b.d = read_half(floats, r);
    if (has_min(type)) b.m = read_half(floats, 16 + r);
    if (!is_k(type)) return b;
    b.scale = p->scale[r];
    b.min = p->scale[16 + r];
    return b;
}

/* The same arithmetic in the same order as ref/dequant.c. */
static void dequant_block(fh_type type, const block *b, float *y)
{
    float d = fh_f16_to_f32(b->d), m = fh_f16_to_f32(b->m);
    int bias = has_min(type) ? 0 : 1 << (bits_of(type) - 1);
    for (int i = 0; i < 32; i++) {
        float q = (float)(b->q[i] - bias);
        if (type == FH_TYPE_Q6_K)
            y[i] = d * (float)(int8_t)(i < 16 ? b->scale : b->min) * q;
        else if (is_k(type))
            y[i] = d * (float)b->scale * q - m * (float)b->min;
        else
            y[i] = has_min(type) ? q * d + m : q * d;
    }
}

/* ---- whole matrices ---- */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

bool fh_pack_place(fh_weight *w, size_t *ret_bytes)
{
    fh_pack_layout l = layout_of(w->type);
    size_t blocks = w->cols / FH_PACK_COLS, groups = w->rows / FH_PACK_ROWS + (w->rows % FH_PACK_ROWS != 0);
    w->high_at = aligned(blocks * l.low);
    w->scale_at = w->high_at + aligned(blocks * l.high);
    w->super_at = w->scale_at + aligned(blocks * l.scale);
    w->group_bytes = w->super_at + aligned(blocks / 8 * l.super);
    return !fh_mul_overflows(groups, w->group_bytes, ret_bytes);
}

static void pack_row(const fh_weight *w, const uint8_t *row, size_t r)
{
    for (size_t j = 0; j < w->cols / FH_PACK_COLS; j++) {
        block b = {.d = 0};
        planes p = planes_at(w, r / FH_PACK_ROWS, j);
        read_block(w->type, row, j, &b);
        write_block(&p, w->type, r % FH_PACK_ROWS, &b);
    }
}

void fh_pack_rows(fh_weight *w, const uint8_t *data)
{
    for (size_t r = 0; r < w->rows; r++) {
        size_t group = r / FH_PACK_ROWS;
        /* fifth and sixth bits are gathered into zeros, and the rows that fill up the last group are zero */
        if (r % FH_PACK_ROWS == 0) memset(w->packed + group * w->group_bytes, 0, w->group_bytes);
        pack_row(w, data + r * w->row_bytes, r);
    }
}

void fh_pack_row(const fh_weight *w, size_t row, float *dst)
{
    for (size_t j = 0; j < w->cols / FH_PACK_COLS; j++) {
        planes p = planes_at(w, row / FH_PACK_ROWS, j);
        block b = unpack_block(&p, w->type, row % FH_PACK_ROWS);
        dequant_block(w->type, &b, dst + j * FH_PACK_COLS);
    }
}
