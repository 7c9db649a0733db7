/* Element types by table, and the 16-bit floats in plain C: the conversions that every fast one must agree with bit for bit. */
#include "kernel/type.h"

#include <assert.h>
#include <string.h>

typedef struct type_row {
    const char *name;
    uint32_t id;
    size_t elems, bytes;
} type_row;

static const type_row types[] = {
#define TYPE_ROW(name, id, elems, bytes) {#name, id, elems, bytes},
    FH_TYPE_LIST(TYPE_ROW)
#undef TYPE_ROW
};

/* Types that GGUF knows and we do not compute with, for messages. */
static const struct {
    uint32_t id;
    const char *name;
} other_types[] = {
    {9, "Q8_1"}, {15, "Q8_K"}, {24, "I8"}, {25, "I16"}, {26, "I32"}, {27, "I64"}, {28, "F64"}, {40, "NVFP4"}, {41, "Q1_0"}, {42, "Q2_0"},
};

static const type_row *find_type(uint32_t id)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].id == id) return &types[i];
    }
    return NULL;
}

bool fh_type_known(uint32_t gguf_id)
{
    return find_type(gguf_id) != NULL;
}

const char *fh_type_name(uint32_t gguf_id)
{
    const type_row *t = find_type(gguf_id);
    if (t) return t->name;
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++) {
        if (other_types[i].id == gguf_id) return other_types[i].name;
    }
    return "?";
}

size_t fh_type_block_elems(fh_type t)
{
    const type_row *row = find_type((uint32_t)t);
    assert(row);
    return row->elems;
}

size_t fh_type_block_bytes(fh_type t)
{
    const type_row *row = find_type((uint32_t)t);
    assert(row);
    return row->bytes;
}

size_t fh_type_bytes(fh_type t, size_t elems)
{
    return elems / fh_type_block_elems(t) * fh_type_block_bytes(t);
}

bool fh_type_row_bytes(fh_type t, uint64_t cols, size_t *ret)
{
    const type_row *row = find_type((uint32_t)t);
    size_t bytes;
    if (!row || cols % row->elems != 0 || __builtin_mul_overflow(cols / row->elems, row->bytes, &bytes)) return false;
    *ret = bytes;
    return true;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float fh_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1f, mantissa = h & 0x3ff;
    if (exponent == 0) { /* zero and subnormals: a multiple of 2^-24 */
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 0x1f) return float_of(sign | 0x7f800000 | (mantissa ? 0x400000 | mantissa << 13 : 0));
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

/* Below 2^-14 a half is a multiple of 2^-24; ties go to even. */
static uint32_t subnormal_half(uint32_t magnitude)
{
    uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return 0; /* less than half of the smallest */
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000, shift = 126 - exponent;
    uint32_t whole = mantissa >> shift, rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
    return whole + (rest > half || (rest == half && (whole & 1)));
}

uint16_t fh_f32_to_f16(float f)
{
    uint32_t bits = bits_of(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff)); /* quiet NaN, payload's top */
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);                            /* 65520 and above round to infinity */
    if (magnitude < 0x38800000) return (uint16_t)(sign | subnormal_half(magnitude));
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

float fh_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t fh_f32_to_bf16(float f)
{
    uint32_t bits = bits_of(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
