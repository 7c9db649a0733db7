/* Packing: from rows of GGUF blocks to groups of 16 interleaved rows (kernels.h draws them), and one row back. */
#include "kernels.h"

#include <assert.h>
#include <string.h>

/* One block of 32 columns of one row, whatever its type: quants from 0 on, and what scales them. */
typedef struct block {
    uint8_t q[FH_PACK_COLS];
    uint16_t d, m;    /* half floats; d may be an exponent */
    uint8_t scale[2]; /* the bytes of the block's scale, whatever they are */
} block;

fh_pack_kind fh_pack_kind_of(fh_type type)
{
#define KIND_CASE(name, ...)                                                                                                               \
    case FH_TYPE_##name: return FH_PACK_KIND(__VA_ARGS__);
    switch ((unsigned)type) {
        FH_PACK_LIST(KIND_CASE)
    }
#undef KIND_CASE
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
    b->scale[0] = j < 4 ? s[j] & 63 : (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
    b->scale[1] = j < 4 ? s[j + 4] & 63 : (uint8_t)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
}

static void read_q2_k(const uint8_t *p, size_t j, block *b)
{
    b->d = read_u16(p + 80);
    b->m = read_u16(p + 82);
    b->scale[0] = p[2 * j];
    b->scale[1] = p[2 * j + 1];
    for (size_t i = 0; i < 32; i++) b->q[i] = p[16 + j / 4 * 32 + i] >> j % 4 * 2 & 3;
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
    b->scale[0] = p[192 + 2 * j];
    b->scale[1] = p[192 + 2 * j + 1];
    for (size_t i = 0; i < 32; i++) b->q[i] = (uint8_t)((low[i] >> j % 4 / 2 * 4 & 15) | (high[i] >> j % 4 * 2 & 3) << 4);
}

static void read_codes(fh_type type, const uint8_t *p, size_t j, block *b)
{
    fh_codes c;
    fh_ref_codes(type, p, j, &c);
    memcpy(b->q, c.q, sizeof b->q);
    memcpy(b->scale, c.scale, sizeof b->scale);
    b->d = c.d;
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
    case FH_TYPE_Q2_K: read_q2_k(p, j % 8, b); return;
    default: read_codes(type, p, j % 8, b);
    }
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

static void write_quants(const parts *p, fh_pack_kind t, size_t r, const uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) {
        size_t v = i / 4, k = i % 4, byte = r * 4 + k; /* vector, byte of the row's dword */
        if (t.bits == 8) p->low[v * 64 + byte] = q[i];
        if (t.bits >= 4 && t.bits < 8 && i < 16) p->low[v * 64 + byte] = (uint8_t)((q[i] & 15) | q[i + 16] << 4);
        if (t.bits < 4) p->low[i / 16 * 64 + byte] |= (uint8_t)((q[i] & 3) << v % 4 * 2);
        if (t.bits == 3) p->high[byte] |= (uint8_t)(q[i] >> 2 << v);
        if (t.bits == 5) p->high[byte] |= (uint8_t)(q[i] >> 4 << v);
        if (t.bits == 6) p->high[i / 16 * 64 + byte] |= (uint8_t)(q[i] >> 4 << v % 4 * 2);
        if (t.book == FH_BOOK_IQ1) p->high[i / 8 * 2 + r / 8] |= (uint8_t)(q[i] >> 2 << r % 8);
    }
}

static void read_quants(const parts *p, fh_pack_kind t, size_t r, uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) {
        size_t v = i / 4, byte = r * 4 + i % 4;
        if (t.bits == 8)
            q[i] = p->low[v * 64 + byte];
        else if (t.bits >= 4)
            q[i] = p->low[v % 4 * 64 + byte] >> v / 4 * 4 & 15;
        else
            q[i] = p->low[i / 16 * 64 + byte] >> v % 4 * 2 & 3;
        if (t.bits == 3) q[i] |= (uint8_t)((p->high[byte] >> v & 1) << 2);
        if (t.bits == 5) q[i] |= (uint8_t)((p->high[byte] >> v & 1) << 4);
        if (t.bits == 6) q[i] |= (uint8_t)((p->high[i / 16 * 64 + byte] >> v % 4 * 2 & 3) << 4);
        if (t.book == FH_BOOK_IQ1) q[i] |= (uint8_t)((p->high[i / 8 * 2 + r / 8] >> r % 8 & 1) << 2);
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
    write_quants(p, t, r, b->q);
    if (t.scale == FH_SCALE_POWER) {
        p->scale[r] = (uint8_t)b->d;
        return;
    }
    uint8_t *floats = t.scale == FH_SCALE_HALF ? p->scale : p->super;
    write_half(floats, r, b->d);
    if (t.min) write_half(floats, 16 + r, b->m);
    if (t.scale >= FH_SCALE_BYTE) p->scale[r] = b->scale[0];
    if (t.scale >= FH_SCALE_BYTES) p->scale[16 + r] = b->scale[1];
}

static block unpack_block(const parts *p, fh_pack_kind t, size_t r)
{
    block b = {.scale = {1, 1}};
    read_quants(p, t, r, b.q);
    const uint8_t *floats = t.scale == FH_SCALE_HALF ? p->scale : p->super;
    b.d = t.scale == FH_SCALE_POWER ? p->scale[r] : read_half(floats, r);
    if (t.min) b.m = read_half(floats, 16 + r);
    if (t.scale >= FH_SCALE_BYTE) b.scale[0] = b.scale[1] = p->scale[r];
    if (t.scale >= FH_SCALE_BYTES) b.scale[1] = p->scale[16 + r];
    return b;
}

/* The same arithmetic in the same order as ref/dequant.c and ref/codes.c. */
static float dequant(fh_pack_kind t, const block *b, float d, float m, int i)
{
    int scale = b->scale[i / 16], q = b->q[i];
    if (t.scale == FH_SCALE_PAIR) return d * (float)b->scale[0] * (float)q - m * (float)b->scale[1];
    if (t.scale == FH_SCALE_NIBBLES) return d * (float)(scale & 15) * (float)q - m * (float)(scale >> 4);
    if (t.min) return (float)q * d + m;
    int value = t.book == FH_BOOK_NONE ? q - fh_pack_bias(t) : fh_books[t.book][q];
    return d * (float)(int8_t)scale * t.unit * (float)value;
}

static void dequant_block(fh_type type, const block *b, float *y)
{
    float d = fh_ref_code_scale(type, b->d), m = fh_f16_to_f32(b->m);
    for (int i = 0; i < 32; i++) y[i] = dequant(fh_pack_kind_of(type), b, d, m, i);
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
        /* bits are gathered into zeros, and the rows that fill up the last group are zero */
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
        dequant_block(w->type, &b, dst + j * FH_PACK_COLS);
    }
}
