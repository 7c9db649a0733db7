/* How fast the kernels run here: barriers, matrix-vector products from memory, matrix products, attention, vector operations.
 *
 * kernel_bench [THREADS [MATCH]]: lines whose name contains MATCH. Each line is the best of several repeats. Weights of the vector products
 * are many matrices in turn, 256 MiB in all, so that they come from memory as they do in decoding. */
#include "base/clock.h"
#include "kernel/speed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BYTES (256u << 20)
#define REPEATS    5

typedef struct bench {
    const fh_kernels *k;
    fh_pool *pool;
    const char *match;
} bench;

typedef struct task {
    const fh_kernels *k;
    size_t n, cols, rows, count; /* count: matrices, or times */
    fh_act *a;
    float *x, *y;
    fh_attn attn;
} task;

static void *must(void *p)
{
    if (p) return p;
    fprintf(stderr, "kernel_bench: out of memory\n");
    exit(1);
}

static void must_do(int code)
{
    if (code == 0) return;
    fprintf(stderr, "kernel_bench: %s\n", fh_code_title(code));
    exit(1);
}

static float *floats(size_t n)
{
    float *x = must(fh_alloc_aligned(64, n * sizeof *x));
    for (size_t i = 0; i < n; i++) x[i] = (float)((i * 2654435761u >> 7) % 2048) / 1024.0f - 1.0f;
    return x;
}

static double best_ns(const bench *b, void (*fn)(fh_worker *, void *), task *t)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < REPEATS; i++) {
        int64_t began = fh_clock_mono_ns();
        fh_pool_run(b->pool, fn, t);
        best = FH_MIN(best, fh_clock_mono_ns() - began);
    }
    return (double)best;
}

static bool wanted(const bench *b, const char *name)
{
    return !b->match || strstr(name, b->match);
}

static void barriers(fh_worker *w, void *arg)
{
    for (size_t i = 0; i < ((task *)arg)->count; i++) fh_barrier(w);
}

static void bench_barrier(const bench *b)
{
    task t = {.count = 20000};
    if (wanted(b, "barrier")) printf("%-32s %10.1f ns\n", "barrier", best_ns(b, barriers, &t) / (double)t.count);
}

/* ---- products ---- */

static void bench_product(const bench *b, fh_type type, size_t rows, size_t cols, size_t n)
{
    char name[64];
    snprintf(name, sizeof name, "%s %s [%zu x %zu] n %zu", n == 1 ? "vector" : "matrix", fh_type_name((uint32_t)type), rows, cols, n);
    if (!wanted(b, name)) return;
    fh_products_shape shape = {.type = type, .rows = rows, .cols = cols, .bytes = n == 1 ? POOL_BYTES : 0, .max_n = n};
    fh_products *p = NULL;
    must_do(fh_products_new(&p, b->k, b->pool, &shape, NULL));
    fh_product_speed s = fh_products_measure(p, n, 0);
    fh_products_free(p);
    printf("%-32s %10.2f us %8.2f GB/s %9.1f Gop/s\n", name, s.seconds * 1e6, s.weight_bytes / s.seconds / 1e9, s.ops / s.seconds / 1e9);
}

/* ---- the rest ---- */

static void attention(fh_worker *w, void *arg)
{
    task *t = arg;
    for (size_t i = 0; i < t->count; i++) {
        fh_attention(t->k, &t->attn, w);
        fh_barrier(w);
    }
}

static void bench_attention(const bench *b, size_t queries, size_t keys)
{
    enum { HEADS = 9, KV = 3, DIM = 64 };
    char name[64];
    snprintf(name, sizeof name, "attention %zu x %zu", queries, keys);
    if (!wanted(b, name)) return;
    size_t pages = keys / FH_KV_PAGE_TOK + 1, half = (size_t)FH_KV_PAGE_TOK * KV * DIM;
    uint16_t *cache = must(fh_calloc(pages, 2 * half * sizeof *cache));
    uint32_t *table = must(fh_calloc(pages, sizeof *table));
    for (size_t i = 0; i < pages; i++) table[i] = (uint32_t)i;
    fh_attn_seq seq = {0, queries, keys, table};
    task t = {.k = b->k, .count = queries == 1 ? 200 : 2, .x = floats(queries * HEADS * DIM), .y = floats(queries * HEADS * DIM)};
    float *scratch = floats(fh_attn_scratch_floats(HEADS, DIM, fh_pool_count(b->pool)));
    t.attn = (fh_attn){.heads = HEADS,
                       .kv_heads = KV,
                       .head_dim = DIM,
                       .scale = 0.125f,
                       .kv_type = FH_TYPE_F16,
                       .kv_stride_bytes = KV * DIM * 2,
                       .page_bytes = 2 * half * sizeof *cache,
                       .k = cache,
                       .v = cache + half,
                       .seqs = &seq,
                       .seq_count = 1,
                       .q = t.x,
                       .q_stride = HEADS * DIM,
                       .out = t.y,
                       .out_stride = HEADS * DIM,
                       .scratch = scratch};
    printf("%-32s %10.2f us\n", name, best_ns(b, attention, &t) / (double)t.count / 1000);
    fh_free(cache);
    fh_free(table);
    fh_free(scratch);
    fh_free(t.x);
    fh_free(t.y);
}

static void quantise(fh_worker *w, void *arg)
{
    task *t = arg;
    for (size_t i = 0; i < t->count; i++) fh_act_set_norm(t->a, t->x, t->cols, t->x, 1e-5f, t->n, t->cols, w);
}

static void activate(fh_worker *w, void *arg)
{
    task *t = arg;
    for (size_t i = 0; i < t->count; i++) fh_silu_mul(t->k, t->x, t->x, t->n, t->cols, t->y, w);
}

static void bench_rows(const bench *b, const char *what, void (*fn)(fh_worker *, void *), size_t n, size_t cols)
{
    char name[64];
    snprintf(name, sizeof name, "%s %zu x %zu", what, n, cols);
    if (!wanted(b, name)) return;
    task t = {.k = b->k, .count = n == 1 ? 1000 : 10, .n = n, .cols = cols, .x = floats(n * cols), .y = floats(n * cols)};
    must_do(fh_act_new(&t.a, b->k, n, cols, NULL));
    printf("%-32s %10.3f us\n", name, best_ns(b, fn, &t) / (double)t.count / 1000);
    fh_act_free(t.a);
    fh_free(t.x);
    fh_free(t.y);
}

int main(int argc, char **argv)
{
    fh_isa isa;
    fh_err *err = NULL;
    if (fh_isa_choose(&isa, &err)) {
        fprintf(stderr, "%s\n", fh_err_message(err));
        return 1;
    }
    bench b = {.k = fh_kernels_get(isa), .match = argc > 2 ? argv[2] : NULL};
#define TYPE_ENTRY(name, ...) FH_TYPE_##name,
    static const fh_type types[] = {FH_TYPE_LIST(TYPE_ENTRY)};
    must_do(fh_pool_new(&b.pool, argc > 1 ? (unsigned)atoi(argv[1]) : 0, NULL));
    printf("%s, %u threads\n", fh_isa_name(isa), fh_pool_count(b.pool));
    bench_barrier(&b);
    bench_product(&b, FH_TYPE_Q4_1, 576, 576, 1);
    bench_product(&b, FH_TYPE_Q4_1, 1536, 576, 1);
    bench_product(&b, FH_TYPE_Q4_1, 576, 1536, 1);
    bench_product(&b, FH_TYPE_Q8_0, 49152, 576, 1);
    for (size_t i = 0; i < FH_COUNT(types); i++) bench_product(&b, types[i], 2048, 2048, 1);
    for (size_t i = 0; i < FH_COUNT(types); i++) bench_product(&b, types[i], 1536, 512, 512);
    bench_product(&b, FH_TYPE_Q4_1, 576, 1536, 512);
    for (size_t keys = 32; keys <= 8192; keys *= 4) bench_attention(&b, 1, keys);
    bench_attention(&b, 512, 512);
    bench_rows(&b, "norm and quantise", quantise, 1, 576);
    bench_rows(&b, "norm and quantise", quantise, 512, 576);
    bench_rows(&b, "silu", activate, 512, 1536);
    fh_pool_free(b.pool);
    return 0;
}
