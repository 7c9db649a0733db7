/* What the bytes of types with codebooks mean (ggml's layouts). Blocks of 256 columns are eight of 32, block j of which is read here: its
 * codes lie in the low bits, its scales elsewhere; fields are named as the format's own reader names them. */
#include "../kernels.h"

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

/* ---- two, three and four bits ---- */

static void read_nibbles(const uint8_t *qs, uint8_t *q)
{
    for (int i = 0; i < 16; i++) {
        q[i] = qs[i] & 15;
        q[i + 16] = qs[i] >> 4;
    }
}

/* Four blocks share 32 bytes, two bits each. */
static void read_pairs(const uint8_t *qs, size_t j, uint8_t *q)
{
    for (size_t i = 0; i < 32; i++) q[i] = qs[j / 4 * 32 + i] >> j % 4 * 2 & 3;
}

static void read_iq4_xs(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *scales_l = b + 4;
    int scale = (scales_l[j / 2] >> j % 2 * 4 & 15) | (read_u16(b + 2) >> 2 * j & 3) << 4;
    c->d = read_u16(b);
    c->scale[0] = c->scale[1] = (int8_t)(scale - 32);
    read_nibbles(b + 8 + 16 * j, c->q);
}

/* The high bit of a quant is clear where four is to be subtracted. */
static void read_q3_k(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *hmask = b, *scales = b + 96;
    c->d = read_u16(b + 108);
    read_pairs(b + 32, j, c->q);
    for (int i = 0; i < 32; i++) c->q[i] |= (uint8_t)((hmask[i] >> j & 1) << 2);
    for (size_t h = 0; h < 2; h++) {
        size_t k = 2 * j + h;
        int low = scales[k % 8] >> k / 8 * 4 & 15, high = scales[8 + k % 4] >> k / 4 * 2 & 3;
        c->scale[h] = (int8_t)((low | high << 4) - 32);
    }
}

/* ---- ternary ---- */

/* Five values a byte, in base 3 from the top: byte times 3^place, and the carry out of its eight bits after one more 3. */
static uint8_t ternary_digit(uint8_t byte, size_t place)
{
    static const uint8_t powers[] = {1, 3, 9, 27, 81};
    return (uint8_t)((uint8_t)(byte * powers[place]) * 3 >> 8);
}

/* Columns 0-159 lie in 32 bytes, 160-239 in 16, the last 16 in 4 with four values each. */
static void read_tq1_0(const uint8_t *b, size_t j, fh_codes *c)
{
    c->d = read_u16(b + 52);
    for (size_t i = 0; i < 32; i++) {
        size_t col = 32 * j + i;
        if (col < 160)
            c->q[i] = ternary_digit(b[col % 32], col / 32);
        else if (col < 240)
            c->q[i] = ternary_digit(b[32 + (col - 160) % 16], (col - 160) / 16);
        else
            c->q[i] = ternary_digit(b[48 + col % 4], (col - 240) / 4);
    }
}

/* ---- grids ---- */

static int8_t odd_scale(uint32_t s)
{
    return (int8_t)(2 * s + 1);
}

/* Seven signs; the eighth makes their number even. */
static uint8_t even_signs(uint32_t seven)
{
    return (uint8_t)(seven | (uint32_t)__builtin_parity(seven) << 7);
}

/* Eight columns: a row of a grid of eight places, then the signs (one bit each). */
static void put_eight(uint8_t *q, uint16_t row, uint8_t signs)
{
    for (int i = 0; i < 8; i++) q[i] = (uint8_t)((row >> 2 * i & 3) | (signs >> i & 1) << 2);
}

/* Eight columns: two rows of a grid of four places, then the signs. */
static void put_four_and_four(uint8_t *q, uint16_t first, uint16_t second, uint8_t signs)
{
    for (int i = 0; i < 8; i++) q[i] = (uint8_t)(((i < 4 ? first : second) >> i % 4 * 3 & 7) | (signs >> i & 1) << 3);
}

static void read_iq2_xxs(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 2 + 8 * j;
    uint32_t rest = read_u32(qs + 4);
    c->d = read_u16(b);
    c->scale[0] = c->scale[1] = odd_scale(rest >> 28);
    for (int g = 0; g < 4; g++) put_eight(c->q + 8 * g, fh_grid_iq2_xxs[qs[g]], even_signs(rest >> 7 * g & 127));
}

static void read_iq2_xs(const uint8_t *b, size_t j, fh_codes *c)
{
    uint8_t scales = b[66 + j];
    c->d = read_u16(b);
    c->scale[0] = odd_scale(scales & 15);
    c->scale[1] = odd_scale(scales >> 4);
    for (size_t g = 0; g < 4; g++) {
        uint16_t qs = read_u16(b + 2 + 8 * j + 2 * g);
        put_eight(c->q + 8 * g, fh_grid_iq2_xs[qs & 511], even_signs(qs >> 9));
    }
}

static void read_iq2_s(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 2 + 4 * j, *signs = b + 34 + 4 * j;
    uint8_t qh = b[66 + j], scales = b[74 + j];
    c->d = read_u16(b);
    c->scale[0] = odd_scale(scales & 15);
    c->scale[1] = odd_scale(scales >> 4);
    for (int g = 0; g < 4; g++) put_eight(c->q + 8 * g, fh_grid_iq2_s[qs[g] | (qh >> 2 * g & 3) << 8], signs[g]);
}

static void read_iq3_xxs(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 2 + 8 * j;
    uint32_t rest = read_u32(b + 66 + 4 * j);
    c->d = read_u16(b);
    c->scale[0] = c->scale[1] = odd_scale(rest >> 28);
    for (int g = 0; g < 4; g++)
        put_four_and_four(c->q + 8 * g, fh_grid_iq3_xxs[qs[2 * g]], fh_grid_iq3_xxs[qs[2 * g + 1]], even_signs(rest >> 7 * g & 127));
}

static void read_iq3_s(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 2 + 8 * j, *signs = b + 74 + 4 * j;
    uint8_t qh = b[66 + j], scales = b[106 + j / 2];
    c->d = read_u16(b);
    c->scale[0] = c->scale[1] = odd_scale(scales >> j % 2 * 4 & 15);
    for (int g = 0; g < 4; g++) {
        int first = qs[2 * g] | (qh >> 2 * g & 1) << 8, second = qs[2 * g + 1] | (qh >> (2 * g + 1) & 1) << 8;
        put_four_and_four(c->q + 8 * g, fh_grid_iq3_s[first], fh_grid_iq3_s[second], signs[g]);
    }
}

static void read_iq1_s(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 2 + 4 * j;
    uint16_t qh = read_u16(b + 34 + 2 * j);
    c->d = read_u16(b);
    c->scale[0] = c->scale[1] = odd_scale(qh >> 12 & 7);
    for (int g = 0; g < 4; g++) put_eight(c->q + 8 * g, fh_grid_iq1[qs[g] | (qh >> 3 * g & 7) << 8], qh & 0x8000 ? 0xff : 0);
}

/* The float scale is in the top four bits of the words of scales. */
static void read_iq1_m(const uint8_t *b, size_t j, fh_codes *c)
{
    const uint8_t *qs = b + 4 * j, *scales = b + 48;
    c->d = 0;
    for (size_t k = 0; k < 4; k++) c->d |= (uint16_t)(read_u16(scales + 2 * k) >> 12 << 4 * k);
    for (size_t h = 0; h < 2; h++) c->scale[h] = odd_scale(read_u16(scales + j / 2 * 2) >> (j % 2 * 2 + h) * 3 & 7);
    for (size_t g = 0; g < 4; g++) {
        int qh = b[32 + 2 * j + g / 2] >> g % 2 * 4;
        put_eight(c->q + 8 * g, fh_grid_iq1[qs[g] | (qh & 7) << 8], qh & 8 ? 0xff : 0);
    }
}

/* ---- by type ---- */

float fh_ref_code_scale(fh_type type, uint16_t d)
{
    if (type != FH_TYPE_MXFP4) return fh_f16_to_f32(d);
    uint32_t bits = d < 2 ? 0x00200000u << d : (uint32_t)(d - 1) << 23; /* half of 2^(d - 127), because the book's numbers are doubled */
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

void fh_ref_codes(fh_type type, const uint8_t *b, size_t j, fh_codes *c)
{
    c->scale[0] = c->scale[1] = 1;
    switch ((unsigned)type) {
    case FH_TYPE_Q3_K: read_q3_k(b, j, c); return;
    case FH_TYPE_IQ4_NL: c->d = read_u16(b), read_nibbles(b + 2, c->q); return;
    case FH_TYPE_IQ4_XS: read_iq4_xs(b, j, c); return;
    case FH_TYPE_MXFP4: c->d = b[0], read_nibbles(b + 1, c->q); return;
    case FH_TYPE_TQ1_0: read_tq1_0(b, j, c); return;
    case FH_TYPE_TQ2_0: c->d = read_u16(b + 64), read_pairs(b, j, c->q); return;
    case FH_TYPE_IQ2_XXS: read_iq2_xxs(b, j, c); return;
    case FH_TYPE_IQ2_XS: read_iq2_xs(b, j, c); return;
    case FH_TYPE_IQ2_S: read_iq2_s(b, j, c); return;
    case FH_TYPE_IQ3_XXS: read_iq3_xxs(b, j, c); return;
    case FH_TYPE_IQ3_S: read_iq3_s(b, j, c); return;
    case FH_TYPE_IQ1_S: read_iq1_s(b, j, c); return;
    case FH_TYPE_IQ1_M: read_iq1_m(b, j, c); return;
    }
    assert(!"a type without codes");
}

void fh_ref_codes_block(fh_type type, const uint8_t *b, float *y)
{
    const fh_pack_kind t = fh_pack_kind_of(type);
    fh_codes c;
    for (size_t j = 0; j < fh_type_block_elems(type) / 32; j++) {
        fh_ref_codes(type, b, j, &c);
        float d = fh_ref_code_scale(type, c.d);
        for (size_t i = 0; i < 32; i++) {
            int value = t.book == FH_BOOK_NONE ? c.q[i] - fh_pack_bias(t) : fh_books[t.book][c.q[i]];
            y[32 * j + i] = d * (float)c.scale[i >= 16] * t.unit * (float)value;
        }
    }
}
