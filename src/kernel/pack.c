/* Packing: from rows of GGUF blocks to groups of 16 interleaved rows (kernels.h draws them), and one row back. */
#include "kernels.h"

#include <assert.h>
#include <string.h>

/* One block of 32 columns of one row, whatever its type: quants from 0 on, and what scales them. */
typedef struct block {
    uint8_t q[FH_PACK_COLS];
    uint16_t d, m;      /* half floats */
    uint8_t scale, min; /* of K types; Q6_K: signed scales of columns 0-15 and 16-31 */
} block;

fh_pack_kind fh_pack_kind_of(fh_type type)
{
    switch ((unsigned)type) {
    case FH_TYPE_Q4_0: return (fh_pack_kind){4, false, false};
    case FH_TYPE_Q4_1: return (fh_pack_kind){4, false, true};
    case FH_TYPE_Q5_0: return (fh_pack_kind){5, false, false};
    case FH_TYPE_Q5_1: return (fh_pack_kind){5, false, true};
    case FH_TYPE_Q8_0: return (fh_pack_kind){8, false, false};
    case FH_TYPE_Q4_K: return (fh_pack_kind){4, true, true};
    case FH_TYPE_Q5_K: return (fh_pack_kind){5, true, true};
    case FH_TYPE_Q6_K: return (fh_pack_kind){6, true, false};
    }
    return (fh_pack_kind){0};
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
    const uint8_t *p = row + j * FH_PACK_COLS / fh_type_block_elems(type) * fh_type_block_bytes(type);
    switch ((unsigned)type) {
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
    }
    assert(!"a type that is not packed");
}

/* ---- parts of a chunk ---- */

typedef struct parts {
    uint8_t *low, *high, *scale, *super;
} parts;

static parts parts_at(const fh_weight *w, size_t row, size_t j)
{
    fh_pack_layout l = fh_pack_layout_of(fh_pack_kind_of(w->type));
    size_t chunk = row / FH_PACK_ROWS * w->group_bytes + j / l.blocks * l.chunk;
    fh_pack_block b = fh_pack_block_at(l, w->packed + chunk, j % l.blocks);
    return (parts){(uint8_t *)b.low, (uint8_t *)b.high, (uint8_t *)b.scale, (uint8_t *)b.super};
}

static void write_quants(const parts *p, int bits, size_t r, const uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) {
        size_t v = i / 4, k = i % 4, byte = r * 4 + k; /* vector, byte of the row's dword */
        if (bits == 8) p->low[v * 64 + byte] = q[i];
        if (bits < 8 && i < 16) p->low[v * 64 + byte] = (uint8_t)((q[i] & 15) | q[i + 16] << 4);
        if (bits == 5) p->high[byte] |= (uint8_t)(q[i] >> 4 << v);
        if (bits == 6) p->high[i / 16 * 64 + byte] |= (uint8_t)(q[i] >> 4 << v % 4 * 2);
    }
}

static void read_quants(const parts *p, int bits, size_t r, uint8_t *q)
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

static void write_block(const parts *p, fh_pack_kind t, size_t r, const block *b)
{
    write_quants(p, t.bits, r, b->q);
    uint8_t *floats = t.k ? p->super : p->scale;
    write_half(floats, r, b->d);
    if (t.min) write_half(floats, 16 + r, b->m);
    if (!t.k) return;
    p->scale[r] = b->scale;
    p->scale[16 + r] = b->min;
}

static block unpack_block(const parts *p, fh_pack_kind t, size_t r)
{
    block b = {.scale = 1, .min = 1};
    read_quants(p, t.bits, r, b.q);
    const uint8_t *floats = t.k ? p->super : p->scale;
    b.d = read_half(floats, r);
    if (t.min) b.m = read_half(floats, 16 + r);
    if (!t.k) return b;
    b.scale = p->scale[r];
    b.min = p->scale[16 + r];
    return b;
}

/* The same arithmetic in the same order as ref/dequant.c. */
static void dequant_block(fh_pack_kind t, const block *b, float *y)
{
    float d = fh_f16_to_f32(b->d), m = fh_f16_to_f32(b->m);
    assert(t.bits > 0);
    int bias = t.min ? 0 : 1 << (t.bits - 1);
    for (int i = 0; i < 32; i++) {
        float q = (float)(b->q[i] - bias);
        if (t.k && !t.min)
            y[i] = d * (float)(int8_t)(i < 16 ? b->scale : b->min) * q;
        else if (t.k)
            y[i] = d * (float)b->scale * q - m * (float)b->min;
        else
            y[i] = t.min ? q * d + m : q * d;
    }
}

/* ---- whole matrices ---- */

bool fh_pack_place(fh_weight *w, size_t *ret_bytes)
{
    fh_pack_layout l = fh_pack_layout_of(fh_pack_kind_of(w->type));
    size_t blocks = w->cols / FH_PACK_COLS, groups = w->rows / FH_PACK_ROWS + (w->rows % FH_PACK_ROWS != 0);
    return !fh_mul_overflows((blocks + l.blocks - 1) / l.blocks, l.chunk, &w->group_bytes) &&
           !fh_mul_overflows(groups, w->group_bytes, ret_bytes);
}

static void pack_row(const fh_weight *w, const uint8_t *row, size_t r)
{
    fh_pack_kind t = fh_pack_kind_of(w->type);
    for (size_t j = 0; j < w->cols / FH_PACK_COLS; j++) {
        block b = {.d = 0};
        parts p = parts_at(w, r, j);
        read_block(w->type, row, j, &b);
        write_block(&p, t, r % FH_PACK_ROWS, &b);
    }
}

void fh_pack_rows(fh_weight *w, const uint8_t *data)
{
    for (size_t r = 0; r < w->rows; r++) {
        /* fifth and sixth bits are gathered into zeros, and the rows that fill up the last group are zero */
        if (r % FH_PACK_ROWS == 0) memset(w->packed + r / FH_PACK_ROWS * w->group_bytes, 0, w->group_bytes);
        pack_row(w, data + r * w->row_bytes, r);
    }
}

void fh_pack_row(const fh_weight *w, size_t row, float *dst)
{
    fh_pack_kind t = fh_pack_kind_of(w->type);
    for (size_t j = 0; j < w->cols / FH_PACK_COLS; j++) {
        parts p = parts_at(w, row, j);
        block b = unpack_block(&p, t, row % FH_PACK_ROWS);
        dequant_block(t, &b, dst + j * FH_PACK_COLS);
    }
}
