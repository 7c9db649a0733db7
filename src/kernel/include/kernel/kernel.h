/* The operations of a model's forward pass.
 *
 * ref/ is the specification in plain C; x86/, arm/ and lanes/ hold the fast ones; the table fh_kernels of one instruction set is chosen at
 * run time. Each fast kernel is tested against its reference at a bound kept per type.
 *
 * Every operation is called by all workers of a pool run together (SPMD) and does this worker's share; the caller puts fh_barrier between
 * an operation that writes and one that reads what another worker wrote. Matrices are row-major; a batch is n rows of activations. Shapes:
 * weights [rows, cols] (GGUF ne[0] = cols, the contraction length); x [n, cols]; y [n, rows]. All activations are float32. A row's result
 * does not depend on the other rows of its batch nor on the number of workers, bit for bit, with two exceptions, both the caller's choice:
 * attention split along keys, and FH_ISA_AMX, whose products of batches from FH_WIDE_ROWS rows on are others (nearer to exact ones) than
 * those of smaller batches. Memory is the caller's unless said. Errors only where memory is made; kernels assert their
 * preconditions. */
#ifndef FH_KERNEL_KERNEL_H
#define FH_KERNEL_KERNEL_H

#include "base/err.h"
#include "base/mem.h"
#include "kernel/type.h"
#include "sys/pool.h"

typedef enum fh_isa { FH_ISA_REF, FH_ISA_AVX2, FH_ISA_AVX512_VNNI, FH_ISA_AMX, FH_ISA_NEON_DOT, FH_ISA_COUNT } fh_isa;

/* Rows of a batch from which on FH_ISA_AMX multiplies by tiles of brain floats. From 32 on they take less time, but short prompts take
 * little anyhow, and steps of many sequences, with and without a prompt that is in the cache, stay the same products as one alone. */
enum { FH_WIDE_ROWS = 128 };

typedef struct fh_kernels fh_kernels;

bool fh_isa_available(fh_isa isa);
const char *fh_isa_name(fh_isa isa);
fh_isa fh_isa_best(void); /* the widest that this processor has */
/* The best, or what the environment's FREEHOLD_ISA=ref|avx2|avx512_vnni|amx|neon_dot names: FH_E_USAGE when that is not to be had. */
int fh_isa_choose(fh_isa *ret, fh_err **err);
/* isa, or the widest below it whose results do not depend on the size of a batch. */
fh_isa fh_isa_uniform(fh_isa isa);
const fh_kernels *fh_kernels_get(fh_isa isa); /* NULL when not available on this machine */

/* ---- weights ---- */

/* A weight matrix as the kernels of one table want it: repacked (interleaved rows), or borrowed from the mapped file as it is. */
typedef struct fh_weight fh_weight;

/* Memory for packed weights, in huge pages where the system grants them: decoding reads all of it for each token, and small pages cost a
 * fifth of the speed. Not written. Owned: fh_free. NULL when there is none. */
void *fh_weight_memory_new(size_t bytes);
/* How the table lays packed weights out, with a number that grows with each change: what was packed by one table is good for all of the
 * same name, and for no other. NULL: it packs none. */
const char *fh_weight_layout(const fh_kernels *k);

/* data: rows * row_bytes in GGUF layout; borrowed until fh_weight_free when fh_weight_borrows says so, else not read after fh_weight_new.
 * exact: keep full float arithmetic: y = dequantised W times x in float32, no quantised activations. Different weights may be made by
 * different threads at the same time. */
typedef struct fh_weight_spec {
    fh_type type;
    size_t rows, cols;
    const void *data;
    bool exact;
    const char *name; /* for errors; borrowed during the call */
    void *place;      /* NULL, or where packed rows go, aligned to 64 bytes and borrowed until fh_weight_free; else memory of their own */
    bool filled;      /* they lie there already, as an earlier fh_weight_new put them there: nothing is written */
} fh_weight_spec;
/* What fh_weight_new needs at a place, a multiple of 64; 0 when it would borrow, or when the spec is wrong. */
size_t fh_weight_packed_bytes(const fh_kernels *k, const fh_weight_spec *spec);
/* What such a weight takes of memory on any path, packed or in the mapped file; 0 when there can be none. */
size_t fh_weight_most_bytes(fh_type type, size_t rows, size_t cols);
int fh_weight_new(fh_weight **ret, const fh_kernels *k, const fh_weight_spec *spec, fh_err **err);
void fh_weight_free(fh_weight *w);
size_t fh_weight_rows(const fh_weight *w);
size_t fh_weight_cols(const fh_weight *w);
size_t fh_weight_bytes(const fh_weight *w); /* bytes that a matrix-vector product reads */
bool fh_weight_borrows(const fh_weight *w); /* data must stay mapped */
/* One dequantised row (an embedding), exact to the reference whatever the packing. */
void fh_weight_row(const fh_weight *w, size_t row, float *dst);
FH_DEFINE_AUTO(fh_weight, fh_weight_free);

/* ---- matrix products ---- */

/* Activations of up to max_rows rows of up to max_cols, quantised once and used by several weights (q, k, v share their input). */
typedef struct fh_act fh_act;
int fh_act_new(fh_act **ret, const fh_kernels *k, size_t max_rows, size_t max_cols, fh_err **err);
void fh_act_free(fh_act *a);
/* Fills a from x [n, cols] (x_stride floats between rows); all workers. It ends with a barrier where one is needed (small batches are
 * quantised by each worker for itself), so fh_matmul may follow at once; a barrier must stand between the last product that read a and this
 * call. The float rows are remembered as borrowed: weights that want floats (F32, F16, BF16, exact) read x itself. */
void fh_act_set(fh_act *a, const float *x, size_t n, size_t cols, size_t x_stride, fh_worker *w);
/* As fh_act_set, in 8 bits whatever the number of rows: for rows that the caller has split into parts for that. */
void fh_act_set_bytes(fh_act *a, const float *x, size_t n, size_t cols, size_t x_stride, fh_worker *w);
/* As fh_rms_norm followed by fh_act_set, in one pass; the normalised rows live in a. */
void fh_act_set_norm(fh_act *a, const float *x, size_t x_stride, const float *norm, float eps, size_t n, size_t cols, fh_worker *w);
/* y[i][r] (+)= sum_c W[r][c] x[i][c] for the n rows in a; y_stride floats between rows of y. add: accumulate onto y (a residual). */
void fh_matmul(const fh_weight *weight, const fh_act *a, float *y, size_t y_stride, bool add, fh_worker *w);
/* Several products of the same activations (q, k, v), shared out between the workers as one. */
typedef struct fh_matmul_job {
    const fh_weight *weight;
    float *y;
    size_t y_stride;
    bool add;
} fh_matmul_job;
void fh_matmul_many(const fh_matmul_job *jobs, size_t count, const fh_act *a, fh_worker *w);
/* y = silu(gate x) * (up x), [n, rows]; gate and up have the same shape. */
void fh_matmul_glu(const fh_weight *gate, const fh_weight *up, const fh_act *a, float *y, size_t y_stride, fh_worker *w);
FH_DEFINE_AUTO(fh_act, fh_act_free);

/* ---- mixtures of experts ----
 *
 * The matrices of all experts are one weight: expert e has its rows [e * rows, (e + 1) * rows), rows a multiple of FH_EXPERT_ROWS.
 * Activations are gathered so that those of one expert lie together: a part. So each expert's matrix is read once a batch. */

#define FH_EXPERT_ROWS 16

typedef struct fh_expert_part { /* rows [first, first + count) of the activations go through that expert; count > 0 */
    uint32_t expert, first, count;
} fh_expert_part;
typedef struct fh_expert_parts { /* one behind the other, from row 0 on */
    const fh_expert_part *part;
    size_t count;
} fh_expert_parts;

/* As fh_act_set; row i is row rows[i] of x, or row i where rows is NULL. floats: a weight that it is for wants floats (fh_weight_borrows).
 */
void fh_act_set_parts(fh_act *a, const float *x, size_t cols, const uint32_t *rows, fh_expert_parts parts, bool floats, fh_worker *w);
/* y[i][r] = row r of row i's expert times row i; y has `rows` floats a row. */
void fh_matmul_parts(const fh_weight *weight, size_t rows, const fh_act *a, fh_expert_parts parts, float *y, fh_worker *w);
/* y = silu(gate x) * (up x), of each row's expert. */
void fh_matmul_glu_parts(const fh_weight *gate, const fh_weight *up, size_t rows, const fh_act *a, fh_expert_parts parts, float *y,
                         fh_worker *w);

/* ---- vector operations (this worker's rows of n) ---- */

/* y = x * w / sqrt(mean(x^2) + eps); the sum in float32 pairs or double. */
void fh_rms_norm(const fh_kernels *k, const float *x, const float *w, float eps, size_t n, size_t cols, float *y, fh_worker *wk);
/* y = silu(gate) * up, elementwise [n, cols]. */
void fh_silu_mul(const fh_kernels *k, const float *gate, const float *up, size_t n, size_t cols, float *y, fh_worker *wk);
/* Rotates pairs (2i, 2i+1) of the first rope_dims of each head in place. inv_freq [rope_dims / 2] has all scaling in it; pos [n]. */
void fh_rope_pairs(const fh_kernels *k, float *x, size_t n, size_t heads, size_t head_dim, size_t rope_dims, size_t x_stride,
                   const float *inv_freq, float mscale, const int32_t *pos, fh_worker *wk);

/* cos and sin of every pair's angle, times mscale: cs [n][rope_dims] as (cos, sin) pairs. Made once a batch, used by all its layers. */
void fh_rope_table(const float *inv_freq, size_t rope_dims, float mscale, const int32_t *pos, size_t n, float *cs, fh_worker *wk);
/* The step between the products q, k, v and attention, as one pass without barriers inside: adds biases, norms each head of q and k,
 * rotates q in place by cs, rotates k and stores it and v as kv_type into the cache rows k_rows[i] and v_rows[i]. */
typedef struct fh_rope_job {
    size_t n, heads, kv_heads, head_dim, rope_dims;
    bool halves; /* dimension i turns with i + rope_dims / 2; they come out side by side, of q and k alike: their products are the same */
    float *q;
    const float *k, *v; /* are left as they are */
    size_t q_stride, k_stride, v_stride;
    const float *q_bias, *k_bias, *v_bias; /* NULL, or a bias for each dimension of each head */
    const float *q_norm, *k_norm;          /* NULL, or weights [head_dim] of the norm of each head */
    float norm_eps;
    const float *cs;                     /* of fh_rope_table; n rows */
    fh_type kv_type;                     /* of FH_KV_TYPES; heads are whole blocks of it */
    void *const *k_rows, *const *v_rows; /* n addresses each; not overlapping */
} fh_rope_job;
void fh_rope_store(const fh_kernels *k, const fh_rope_job *job, fh_worker *wk);

/* ---- attention ---- */

#define FH_HEAD_DIM_MAX       1024
#define FH_ATTN_SPLIT_QUERIES 8
/* What keys and values may be kept as. */
#define FH_KV_TYPES(X) X(F32) X(F16) X(BF16) X(Q8_0) X(Q4_0)
#define FH_KV_PAGE_TOK 64 /* tokens of a page of the cache; whole blocks of keys, so that a block never lies in two pages */

/* One sequence's part of a batch: queries q_first .. q_first + q_count of the batch, positions kv_len - q_count .. kv_len - 1, over the
 * first kv_len rows of its cache (its own new rows already written). Causal. Row r is row r % FH_KV_PAGE_TOK of page
 * pages[r / FH_KV_PAGE_TOK]. */
typedef struct fh_attn_seq {
    size_t q_first, q_count, kv_len;
    const uint32_t *pages;
} fh_attn_seq;
typedef struct fh_attn {
    size_t heads, kv_heads, head_dim; /* heads a multiple of kv_heads, head_dim at most FH_HEAD_DIM_MAX */
    float scale;
    fh_type kv_type; /* of FH_KV_TYPES; heads are whole blocks of it */
    size_t kv_stride_bytes, page_bytes;
    const void *k, *v; /* of page 0: rows [FH_KV_PAGE_TOK][kv_heads * head_dim] of kv_type, row stride kv_stride_bytes */
    const fh_attn_seq *seqs;
    size_t seq_count;
    const float *q;
    size_t q_stride;
    float *out;
    size_t out_stride;
    /* NULL, or fh_attn_scratch_floats(...) floats: with it, up to FH_ATTN_SPLIT_QUERIES queries of a single sequence over a long cache are
     * split along its keys, to the same bits as each of them alone, and fh_attention then has a barrier inside. */
    float *scratch;
} fh_attn;
size_t fh_attn_scratch_floats(size_t heads, size_t head_dim, unsigned workers);
/* Softmax in float32, online over blocks of keys; work is split over sequences, heads and queries. */
void fh_attention(const fh_kernels *k, const fh_attn *job, fh_worker *wk);
/* Writes n rows of floats as kv_type into cache rows (dst[i] are row addresses). */
void fh_kv_store(const fh_kernels *k, fh_type kv_type, const float *x, size_t n, size_t cols, size_t x_stride, void *const *dst,
                 fh_worker *wk);

#endif
