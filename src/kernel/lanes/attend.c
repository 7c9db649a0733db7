/* Attention over one part: up to 48 query rows that share a head of keys and values, online softmax over blocks of 32 keys. Compiled for
 * each instruction set.
 *
 * A block of keys is converted to float and transposed, so that a score needs no sum across lanes; values are converted as they lie. Both
 * serve all rows of the part. Blocks begin at multiples of 32 keys and rows do not mix, so a row's result does not depend on its
 * neighbours. */
#include "lanes.h"

#include <assert.h>
#include <math.h>

#define INLINE static inline __attribute__((always_inline))
#define KEYS   32
#define QUAD   4 /* rows that go together */
#if LANES == 16
#define WIDE 4 /* vectors of values that go together */
#define MANY 8 /* rows whose scores go together */
#else
#define WIDE 2
#define MANY 4
#endif
#define Q8_0_BYTES 34
#define Q4_0_BYTES 18
#define SMALL_DIM  256 /* larger heads take fewer rows at a time */
#define LARGE_ROWS 8
_Static_assert(FH_ATTN_ROWS % LANES == 0, "rows are whole vectors");
_Static_assert(FH_KV_PAGE_TOK % KEYS == 0, "a block lies in one page");
#define WORK_FLOATS (2 * KEYS * FH_HEAD_DIM_MAX + LARGE_ROWS * (2 * FH_HEAD_DIM_MAX + KEYS))
_Static_assert(2 * KEYS * SMALL_DIM + FH_ATTN_ROWS * (2 * SMALL_DIM + KEYS) <= WORK_FLOATS, "both cases fit");

typedef struct state {
    const fh_attn_part *part;
    size_t first, rows, padded; /* rows of the part that are worked on; padded to a quad with zero queries */
    size_t dim, dims;           /* of a head; rounded up to whole vectors, the rest zero */
    float *keys, *values;       /* [dims][KEYS], [KEYS][dims] */
    float *q, *sums, *scores;   /* [padded][dims], [padded][dims], [padded][KEYS] */
    float max[FH_ATTN_ROWS], total[FH_ATTN_ROWS], decay[FH_ATTN_ROWS];
} state;

typedef struct place {
    size_t query, head;
} place;

static place place_of(const fh_attn_part *p, size_t row)
{
    size_t group = p->job->heads / p->job->kv_heads;
    return (place){row / group, p->kv_head * group + row % group};
}

/* Keys that a row sees. */
static size_t key_limit(const fh_attn_part *p, size_t row)
{
    size_t limit = p->seq->kv_len - p->seq->q_count + place_of(p, row).query + 1;
    return FH_MIN(limit, p->key_end);
}

static void load_row(float *dst, size_t dims, const float *src, size_t n, float scale)
{
    vf s = vf_set1(scale);
    for (size_t i = 0; i < dims; i += LANES) {
        vf v = i + LANES <= n ? vf_load(src + i) : vf_load_part(src + i, i < n ? n - i : 0);
        vf_store(dst + i, vf_mul(v, s));
    }
}

static void begin(state *s, float *work)
{
    const fh_attn *job = s->part->job;
    s->keys = work;
    s->values = s->keys + s->dims * KEYS;
    s->q = s->values + s->dims * KEYS;
    s->sums = s->q + s->padded * s->dims;
    s->scores = s->sums + s->padded * s->dims;
    memset(s->q, 0, 2 * s->padded * s->dims * sizeof *s->q);
    for (size_t r = 0; r < s->rows; r++) {
        place at = place_of(s->part, s->first + r);
        const float *q = job->q + (s->part->seq->q_first + at.query) * job->q_stride + at.head * job->head_dim;
        load_row(s->q + r * s->dims, s->dims, q, s->dim, job->scale);
    }
    for (size_t r = 0; r < FH_ATTN_ROWS; r++) {
        s->max[r] = -INFINITY;
        s->total[r] = s->decay[r] = 0;
    }
}

/* Of a block of 32: the scale, then bytes, or nibbles: the first half of the columns low, the second high. */
INLINE vf load_block_dims(fh_type type, const void *row, size_t d)
{
    size_t at = d % FH_PACK_COLS, half = FH_PACK_COLS / 2;
    const uint8_t *block = (const uint8_t *)row + d / FH_PACK_COLS * (type == FH_TYPE_Q8_0 ? Q8_0_BYTES : Q4_0_BYTES);
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    const uint8_t *quants = block + sizeof scale;
    vf v = type == FH_TYPE_Q8_0 ? vf_load_i8((const int8_t *)quants + at) : vf_load_nibbles(quants + at % half, at >= half);
    return vf_mul(v, vf_set1_f16(scale));
}

INLINE vf load_dims(fh_type type, const void *row, size_t d, size_t dim)
{
    if (type == FH_TYPE_Q8_0 || type == FH_TYPE_Q4_0) return load_block_dims(type, row, d);
    return d + LANES <= dim ? vf_load_typed(type, row, d) : vf_load_typed_part(type, row, d, dim - d);
}

INLINE void load_keys(const state *s, fh_type type, size_t key, size_t count)
{
    const uint8_t *rows = fh_attn_rows(s->part, s->part->job->k, key);
    size_t stride = s->part->job->kv_stride_bytes;
    for (size_t k = 0; k < KEYS; k += LANES) {
        for (size_t d = 0; d < s->dims; d += LANES) {
            vf square[LANES];
            for (size_t i = 0; i < LANES; i++) square[i] = k + i < count ? load_dims(type, rows + (k + i) * stride, d, s->dim) : vf_zero();
            vf_transpose(square);
            for (size_t i = 0; i < LANES; i++) vf_store(s->keys + (d + i) * KEYS + k, square[i]);
        }
    }
}

INLINE void load_values(const state *s, fh_type type, size_t key, size_t count)
{
    const uint8_t *row = fh_attn_rows(s->part, s->part->job->v, key);
    for (size_t k = 0; k < count; k++, row += s->part->job->kv_stride_bytes) {
        for (size_t d = 0; d < s->dims; d += LANES) vf_store(s->values + k * s->dims + d, load_dims(type, row, d, s->dim));
    }
}

/* Each type's loops are compiled for it. */
static void load_block(const state *s, size_t key, size_t count)
{
    switch ((unsigned)s->part->job->kv_type) {
#define LOAD(type)                                                                                                                         \
    case FH_TYPE_##type:                                                                                                                   \
        load_keys(s, FH_TYPE_##type, key, count);                                                                                          \
        load_values(s, FH_TYPE_##type, key, count);                                                                                        \
        return;
        FH_KV_TYPES(LOAD)
#undef LOAD
    }
    assert(!"a type that a cache cannot have");
}

/* Scores of `rows` rows with all keys of the block. */
INLINE void score_rows(const state *s, size_t r, const size_t rows)
{
    const float *q = s->q + r * s->dims;
    for (size_t k = 0; k < KEYS; k += 2 * LANES) {
        vf acc[MANY][2];
        for (size_t i = 0; i < rows; i++) acc[i][0] = acc[i][1] = vf_zero();
        for (size_t d = 0; d < s->dim; d++) {
            vf a = vf_load(s->keys + d * KEYS + k), b = vf_load(s->keys + d * KEYS + k + LANES);
            for (size_t i = 0; i < rows; i++) {
                vf x = vf_set1(q[i * s->dims + d]);
                acc[i][0] = vf_fma(x, a, acc[i][0]);
                acc[i][1] = vf_fma(x, b, acc[i][1]);
            }
        }
        for (size_t i = 0; i < rows; i++) {
            vf_store(s->scores + (r + i) * KEYS + k, acc[i][0]);
            vf_store(s->scores + (r + i) * KEYS + k + LANES, acc[i][1]);
        }
    }
}

static void score_block(const state *s)
{
    size_t r = 0;
    for (; r + MANY <= s->padded; r += MANY) score_rows(s, r, MANY);
    for (; r < s->padded; r += QUAD) score_rows(s, r, QUAD);
}

/* Keys of the block at `key` that row r sees. */
static size_t seen(const state *s, size_t r, size_t key)
{
    if (r >= s->rows) return 0;
    size_t limit = key_limit(s->part, s->first + r);
    return limit <= key ? 0 : FH_MIN(limit - key, KEYS);
}

INLINE vf keep_seen(vf v, size_t count, size_t from, vf others)
{
    return count >= from + LANES ? v : vf_keep_first(v, count > from ? count - from : 0, others);
}

/* Raises the maxima to those of the block; decay = e^(old - new). */
static void raise_maxima(state *s, size_t key)
{
    const vf none = vf_set1(-INFINITY);
    float before[FH_ATTN_ROWS];
    memcpy(before, s->max, sizeof before);
    for (size_t r = 0; r < s->rows; r++) {
        size_t count = seen(s, r, key);
        vf max = none;
        for (size_t k = 0; k < count; k += LANES) max = vf_max(max, keep_seen(vf_load(s->scores + r * KEYS + k), count, k, none));
        s->max[r] = fmaxf(before[r], vf_hmax(max));
    }
    for (size_t r = 0; r < s->padded; r += LANES) /* beyond the last row -inf less -inf: NaN that nobody reads */
        vf_store(s->decay + r, vf_exp(vf_sub(vf_load(before + r), vf_load(s->max + r))));
}

/* Scores become weights e^(score - max), 0 for keys that a row does not see. */
static void weigh(state *s, size_t key)
{
    for (size_t r = 0; r < s->padded; r++) {
        size_t count = seen(s, r, key);
        vf max = vf_set1(s->max[r]), total = vf_zero();
        for (size_t k = 0; k < KEYS; k += LANES) {
            float *at = s->scores + r * KEYS + k;
            vf w = k < count ? keep_seen(vf_exp(vf_sub(vf_load(at), max)), count, k, vf_zero()) : vf_zero();
            vf_store(at, w);
            total = vf_add(total, w);
        }
        if (r >= s->rows) s->decay[r] = 0;
        s->total[r] = s->total[r] * s->decay[r] + vf_sum(total);
    }
}

/* sums = sums * decay + weights * values, four rows, `wide` vectors from dimension d on. */
INLINE void add_values(const state *s, size_t r, size_t d, const size_t wide, size_t count)
{
    vf acc[QUAD][WIDE];
    for (size_t i = 0; i < QUAD; i++) {
        for (size_t j = 0; j < wide; j++)
            acc[i][j] = vf_mul(vf_load(s->sums + (r + i) * s->dims + d + j * LANES), vf_set1(s->decay[r + i]));
    }
    for (size_t k = 0; k < count; k++) {
        vf v[WIDE];
        for (size_t j = 0; j < wide; j++) v[j] = vf_load(s->values + k * s->dims + d + j * LANES);
        for (size_t i = 0; i < QUAD; i++) {
            vf w = vf_set1(s->scores[(r + i) * KEYS + k]);
            for (size_t j = 0; j < wide; j++) acc[i][j] = vf_fma(w, v[j], acc[i][j]);
        }
    }
    for (size_t i = 0; i < QUAD; i++) {
        for (size_t j = 0; j < wide; j++) vf_store(s->sums + (r + i) * s->dims + d + j * LANES, acc[i][j]);
    }
}

static void add_block(const state *s, size_t r, size_t count)
{
    size_t d = 0;
    for (; d + WIDE * LANES <= s->dims; d += WIDE * LANES) add_values(s, r, d, WIDE, count);
    for (; d < s->dims; d += LANES) add_values(s, r, d, 1, count);
}

static void do_block(state *s, size_t key, size_t count)
{
    load_block(s, key, count);
    score_block(s);
    raise_maxima(s, key);
    weigh(s, key);
    for (size_t r = 0; r < s->padded; r += QUAD) add_block(s, r, count);
}

static void store_partial(const state *s, size_t r)
{
    float *out = s->part->partial + (s->first + r - s->part->row) * FH_ATTN_PARTIAL_FLOATS(s->dim);
    memcpy(out, s->sums + r * s->dims, s->dim * sizeof *out);
    out[s->dim] = s->max[r];
    out[s->dim + 1] = s->total[r];
}

static void store_row(const state *s, size_t r)
{
    const fh_attn *job = s->part->job;
    place at = place_of(s->part, s->first + r);
    float *out = job->out + (s->part->seq->q_first + at.query) * job->out_stride + at.head * job->head_dim;
    const float *sums = s->sums + r * s->dims;
    vf inverse = vf_set1(1.0f / s->total[r]);
    size_t d = 0;
    for (; d + LANES <= s->dim; d += LANES) vf_store(out + d, vf_mul(vf_load(sums + d), inverse));
    if (d < s->dim) vf_store_part(out + d, vf_mul(vf_load(sums + d), inverse), s->dim - d);
}

static void attend_rows(const fh_attn_part *part, size_t first, size_t rows, float *work)
{
    state s = {.part = part, .first = first, .rows = rows, .dim = part->job->head_dim};
    s.padded = (rows + QUAD - 1) / QUAD * QUAD;
    s.dims = (s.dim + LANES - 1) / LANES * LANES;
    begin(&s, work);
    size_t end = key_limit(part, first + rows - 1);
    for (size_t key = part->key; key < end; key += KEYS) do_block(&s, key, FH_MIN(end - key, KEYS));
    for (size_t r = 0; r < rows; r++) part->partial ? store_partial(&s, r) : store_row(&s, r);
}

void ISA(attend)(const fh_attn_part *part)
{
    _Alignas(64) float work[WORK_FLOATS];
    size_t most = part->job->head_dim <= SMALL_DIM ? FH_ATTN_ROWS : LARGE_ROWS;
    for (size_t row = part->row; row < part->row_end; row += most) attend_rows(part, row, FH_MIN(part->row_end - row, most), work);
}
