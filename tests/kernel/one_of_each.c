/* Each operation of one table of kernels (FREEHOLD_ISA), once over SHORT blocks of 32 columns or keys and once over LONG, in `counted`:
 * instructions.py runs this under callgrind, which counts what is executed there. Says which operation each of these calls was: its name,
 * and the blocks. */
#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 8, LONG = 16, BLOCK = 32, ROWS = 16, MOST = 8, HEAD = 64 };

typedef struct task {
    const fh_kernels *k;
    fh_pool *pool;
    fh_type type;
    size_t n, cols; /* rows of activations, or queries; columns, or keys */
    float *x, *y;   /* [MOST][LONG * BLOCK] and more */
    uint8_t *data;  /* as many floats; of a type's blocks, or of a cache */
    fh_weight *weight;
    fh_act *act;
} task;

static void *must(void *p)
{
    if (p) return p;
    fprintf(stderr, "one_of_each: out of memory\n");
    exit(1);
}

static void must_do(int code)
{
    if (code == 0) return;
    fprintf(stderr, "one_of_each: %s\n", fh_code_title(code));
    exit(1);
}

typedef void operation(fh_worker *w, void *arg);

/* Callgrind knows it by its name. */
void counted(task *t, operation *run);
__attribute__((noinline)) void counted(task *t, operation *run)
{
    fh_pool_run(t->pool, run, t);
    __asm__ volatile("" ::: "memory"); /* a call that came last would be a jump, and this function's end before it */
}

static void count(const task *t, const char *name, operation *prepare, operation *run)
{
    for (size_t blocks = SHORT; blocks <= LONG; blocks += LONG - SHORT) {
        task one = *t;
        one.cols = blocks * BLOCK;
        if (prepare) prepare(NULL, &one);
        printf("%s\t%zu\n", name, blocks);
        fflush(stdout);
        counted(&one, run);
        fh_weight_free(one.weight);
    }
}

/* ---- products ---- */

static void set(fh_worker *w, void *arg)
{
    task *t = arg;
    fh_act_set(t->act, t->x, t->n, t->cols, t->cols, w);
}

static void prepare_product(fh_worker *w, void *arg)
{
    task *t = arg;
    (void)w;
    fh_weight_spec spec = {.type = t->type, .rows = ROWS, .cols = t->cols, .data = t->data, .name = "counted"};
    must_do(fh_weight_new(&t->weight, t->k, &spec, NULL));
    fh_pool_run(t->pool, set, t);
}

static void product(fh_worker *w, void *arg)
{
    task *t = arg;
    fh_matmul(t->weight, t->act, t->y, ROWS, false, w);
}

/* A block: 32 columns of 16 rows. */
static void count_products(task *t, bool fast)
{
    static const size_t batches[] = {1, 2, 4};
#define TYPE_ENTRY(name, ...) FH_TYPE_##name,
    static const fh_type types[] = {FH_TYPE_LIST(TYPE_ENTRY)};
    char name[64];
    for (size_t i = 0; i < FH_COUNT(types) * FH_COUNT(batches); i++) {
        t->type = types[i / FH_COUNT(batches)];
        t->n = batches[i % FH_COUNT(batches)];
        snprintf(name, sizeof name, "product %s x%zu", fh_type_name((uint32_t)t->type), t->n);
        if (t->n == 1 || fast) count(t, name, prepare_product, product);
    }
    t->n = 1;
}

/* ---- rows ---- */

static void norm(fh_worker *w, void *arg)
{
    task *t = arg;
    fh_rms_norm(t->k, t->x, t->x, 1e-5f, 1, t->cols, t->y, w);
}

static void silu(fh_worker *w, void *arg)
{
    task *t = arg;
    fh_silu_mul(t->k, t->x, t->x, 1, t->cols, t->y, w);
}

/* A head of a query, one of a key and one of a value, all as long as the row. */
static void rope(fh_worker *w, void *arg)
{
    task *t = arg;
    void *key = t->data, *value = t->data + t->cols * sizeof(float);
    fh_rope_job job = {.n = 1,
                       .heads = 1,
                       .kv_heads = 1,
                       .head_dim = t->cols,
                       .rope_dims = t->cols,
                       .q = t->y,
                       .k = t->x,
                       .v = t->x,
                       .q_stride = t->cols,
                       .k_stride = t->cols,
                       .v_stride = t->cols,
                       .cs = t->x,
                       .kv_type = FH_TYPE_F32,
                       .k_rows = &key,
                       .v_rows = &value};
    fh_rope_store(t->k, &job, w);
}

static void store(fh_worker *w, void *arg)
{
    task *t = arg;
    fh_kv_store(t->k, t->type, t->x, 1, t->cols, t->cols, &(void *){t->data}, w);
}

/* ---- attention: a block is 32 keys ---- */

static void attend(fh_worker *w, void *arg)
{
    task *t = arg;
    uint32_t pages[LONG * BLOCK / FH_KV_PAGE_TOK] = {0};
    fh_attn_seq seq = {0, t->n, t->cols, pages};
    size_t row = fh_type_bytes(t->type, HEAD);
    fh_attn job = {.heads = 1,
                   .kv_heads = 1,
                   .head_dim = HEAD,
                   .scale = 0.125f,
                   .kv_type = t->type,
                   .kv_stride_bytes = row,
                   .page_bytes = FH_KV_PAGE_TOK * row,
                   .k = t->data,
                   .v = t->data,
                   .seqs = &seq,
                   .seq_count = 1,
                   .q = t->x,
                   .q_stride = HEAD,
                   .out = t->y,
                   .out_stride = HEAD};
    fh_attention(t->k, &job, w);
}

static void count_caches(task *t)
{
    static const fh_type types[] = {FH_TYPE_F32, FH_TYPE_F16, FH_TYPE_BF16, FH_TYPE_Q8_0, FH_TYPE_Q4_0};
    char name[64];
    for (size_t i = 0; i < FH_COUNT(types); i++) {
        t->type = types[i];
        snprintf(name, sizeof name, "store %s", fh_type_name((uint32_t)types[i]));
        count(t, name, NULL, store);
        for (t->n = 1; t->n <= MOST; t->n += MOST - 1) {
            snprintf(name, sizeof name, "attend %s x%zu", fh_type_name((uint32_t)types[i]), t->n);
            count(t, name, NULL, attend);
        }
        t->n = 1;
    }
}

int main(void)
{
    enum { FLOATS = ROWS * LONG * BLOCK, BYTES = FLOATS * sizeof(float) };
    fh_isa isa;
    fh_err *err = NULL;
    if (fh_isa_choose(&isa, &err)) {
        fprintf(stderr, "%s\n", fh_err_message(err));
        return 1;
    }
    task t = {.k = fh_kernels_get(isa), .n = 1};
    t.x = must(fh_alloc_aligned(64, BYTES));
    t.y = must(fh_alloc_aligned(64, BYTES));
    t.data = must(fh_alloc_aligned(64, BYTES));
    for (size_t i = 0; i < FLOATS; i++) t.x[i] = t.y[i] = (float)(i % 127) / 64.0f - 1.0f;
    memset(t.data, 0x31, BYTES); /* normal floats of each kind */
    must_do(fh_pool_new(&t.pool, 1, NULL));
    must_do(fh_act_new(&t.act, t.k, MOST, LONG * BLOCK, NULL));
    count_products(&t, isa != FH_ISA_REF);
    if (isa != FH_ISA_REF) count(&t, "quantise", NULL, set);
    count(&t, "norm", NULL, norm);
    count(&t, "silu", NULL, silu);
    count(&t, "rope", NULL, rope);
    count_caches(&t);
    fh_act_free(t.act);
    fh_pool_free(t.pool);
    fh_free(t.x);
    fh_free(t.y);
    fh_free(t.data);
    return 0;
}
