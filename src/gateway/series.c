/* Sets of labels, and a lane's counters for each (see metrics.h). */
#include "base/err.h"
#include "metrics.h"
#include "observe/record.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = FH_LIMIT_METRIC_SERIES };

typedef struct entry {
    uint64_t hash;
    fh_series_labels labels; /* padding is zero: compared as bytes */
} entry;

struct fh_series_table {
    pthread_mutex_t lock;
    _Atomic size_t count; /* entries below it never change again */
    entry entries[ROWS];
};

fh_series_table *fh_series_table_new(void)
{
    fh_series_table *t = fh_calloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    atomic_init(&t->count, 1); /* `other` */
    return t;
}

void fh_series_table_free(fh_series_table *t)
{
    if (!t) return;
    pthread_mutex_destroy(&t->lock);
    fh_free(t);
}

void fh_series_set_fini(fh_series_set *s)
{
    for (size_t i = 0; i < ROWS; i++) fh_free(atomic_load(&s->rows[i]));
}

static uint64_t hash_of(const fh_series_labels *l)
{
    const char *const texts[] = {l->provider, l->model, l->key_class};
    uint64_t h = 1469598103934665603u ^ ((uint64_t)l->operation << 32) ^ (uint32_t)l->code; /* FNV-1a */
    for (size_t i = 0; i < FH_COUNT(texts); i++)
        for (const char *p = texts[i];; p++) {
            h = (h ^ (uint8_t)*p) * 1099511628211u;
            if (!*p) break;
        }
    return h;
}

static bool same(const fh_series_labels *a, const fh_series_labels *b)
{
    return a->operation == b->operation && a->code == b->code && strcmp(a->provider, b->provider) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->key_class, b->key_class) == 0;
}

/* Index of what is known, 0 when it is not. */
static size_t look_up(const fh_series_table *t, uint64_t hash, const fh_series_labels *l)
{
    size_t count = atomic_load_explicit(&t->count, memory_order_acquire);
    for (size_t i = 1; i < count; i++)
        if (t->entries[i].hash == hash && same(&t->entries[i].labels, l)) return i;
    return 0;
}

static size_t register_labels(fh_series_table *t, uint64_t hash, const fh_series_labels *l)
{
    pthread_mutex_lock(&t->lock);
    size_t at = look_up(t, hash, l), count = atomic_load(&t->count);
    if (!at && count < ROWS) {
        at = count;
        t->entries[at] = (entry){.hash = hash, .labels = *l};
        atomic_store_explicit(&t->count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&t->lock);
    return at;
}

fh_series *fh_series_find(fh_series_table *t, fh_series_set *s, const fh_series_labels *l)
{
    uint64_t hash = hash_of(l);
    size_t at = look_up(t, hash, l);
    if (!at) at = register_labels(t, hash, l);
    if (!at) return &s->other;
    fh_series *row = atomic_load_explicit(&s->rows[at], memory_order_relaxed);
    if (row) return row;
    row = fh_calloc(1, sizeof *row);
    if (!row) return &s->other;
    atomic_store_explicit(&s->rows[at], row, memory_order_release);
    return row;
}

/* ---- as Prometheus text ---- */

#define SECONDS 1e-9
typedef struct measure_row {
    const char *name, *help, *more; /* more: labels of it alone */
    double unit;
    double bounds[FH_BOUNDS_MOST]; /* 0 ends them */
} measure_row;
#define DOUBLING                                                                                                                           \
    {                                                                                                                                      \
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92                                             \
    }
#define TOKENS                                                                                                                             \
    {                                                                                                                                      \
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864                                          \
    }
#define USAGE "gen_ai_client_token_usage", "Tokens that a request used, its prompt and its answer."
static const measure_row measures[FH_MEASURES] = {
    [FH_MEASURE_DURATION] = {"gen_ai_server_request_duration_seconds", "Time from a request to the end of its reply.", "", SECONDS,
                             DOUBLING},
    [FH_MEASURE_FIRST_TOKEN] = {"gen_ai_server_time_to_first_token_seconds",
                                "Time from a streamed request to the first byte of its answer.",
                                "",
                                SECONDS,
                                {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}},
    [FH_MEASURE_OUTPUT_TOKEN] = {"gen_ai_server_time_per_output_token_seconds",
                                 "Time for a token behind the first, over a whole stream.",
                                 "",
                                 SECONDS,
                                 {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}},
    [FH_MEASURE_CHUNK] = {"gen_ai_client_operation_time_per_output_chunk_seconds", "Time between two events of a replica's stream.", "",
                          SECONDS, DOUBLING},
    [FH_MEASURE_QUEUE] = {"freehold_gateway_queue_wait_seconds", "Time that requests waited for a replica with room.", "", SECONDS,
                          DOUBLING},
    [FH_MEASURE_TOKENS_IN] = {USAGE, ",gen_ai_token_type=\"input\"", 1, TOKENS},
    [FH_MEASURE_TOKENS_OUT] = {USAGE, ",gen_ai_token_type=\"output\"", 1, TOKENS},
};

static const struct {
    const char *name, *help;
} tallies[FH_TALLIES] = {
    [FH_TALLY_FINISHED] = {"freehold_gateway_requests_total", "Requests that ended with a reply of a replica."},
    [FH_TALLY_FAILED] = {"freehold_gateway_failures_total", "Requests that ended with an error of ours or of a replica."},
    [FH_TALLY_CANCELLED] = {"freehold_gateway_cancelled_total", "Requests whose client left."},
    [FH_TALLY_RETRIED] = {"freehold_gateway_retries_total", "Requests that were sent to another replica."},
    [FH_TALLY_RESUMED] = {"freehold_gateway_streams_resumed_total", "Streams that another replica went on with."},
    [FH_TALLY_STALLED] = {"freehold_gateway_stalls_total", "Replicas that fell silent in the middle of a stream."},
    [FH_TALLY_CUT] = {"freehold_gateway_streams_cut_total", "Streams that broke in the middle."},
    [FH_TALLY_DIFFERS] = {"freehold_gateway_count_differences_total", "Requests whose tokens their replica counted otherwise than we."},
};

void fh_histogram_add(fh_histogram *h, fh_measure m, int64_t value)
{
    const measure_row *row = &measures[m];
    double v = (double)value * row->unit;
    size_t i = 0;
    while (i < FH_BOUNDS_MOST && row->bounds[i] > 0 && v > row->bounds[i]) i++;
    fh_counter_add(&h->buckets[i], 1);
    fh_counter_add(&h->sum, (uint64_t)FH_MAX(value, (int64_t)0));
}

void fh_histogram_collect(const fh_histogram *h, fh_histogram_sums *sums)
{
    for (size_t i = 0; i <= FH_BOUNDS_MOST; i++) {
        uint64_t n = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        sums->buckets[i] += n;
        sums->count += n;
    }
    sums->sum += atomic_load_explicit(&h->sum, memory_order_relaxed);
}

void fh_histogram_head(fh_buf *out, fh_measure m)
{
    const measure_row *r = &measures[m];
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s histogram\n", r->name, r->help, r->name);
}

void fh_histogram_write(fh_buf *out, fh_measure m, const char *labels, const fh_histogram_sums *sums)
{
    const measure_row *r = &measures[m];
    uint64_t below = 0;
    for (size_t i = 0; i < FH_BOUNDS_MOST && r->bounds[i] > 0; i++) {
        below += sums->buckets[i];
        fh_buf_addf(out, "%s_bucket{%s%s,le=\"%.10g\"} %llu\n", r->name, labels, r->more, r->bounds[i], (unsigned long long)below);
    }
    fh_buf_addf(out, "%s_bucket{%s%s,le=\"+Inf\"} %llu\n", r->name, labels, r->more, (unsigned long long)sums->count);
    fh_buf_addf(out, "%s_sum{%s%s} %.10g\n", r->name, labels, r->more, (double)sums->sum * r->unit);
    fh_buf_addf(out, "%s_count{%s%s} %llu\n", r->name, labels, r->more, (unsigned long long)sums->count);
}

/* A label's value may hold anything but these three as they are; a name that was cut off inside a character is cut off before it. */
static void add_label(fh_buf *out, const char *name, const char *value)
{
    size_t len = fh_utf8_whole(value, strlen(value));
    fh_buf_addf(out, "%s%s=\"", out->len ? "," : "", name);
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\n')
            fh_buf_adds(out, "\\n");
        else if (value[i] == '"' || value[i] == '\\')
            fh_buf_addf(out, "\\%c", value[i]);
        else
            fh_buf_addc(out, value[i]);
    }
    fh_buf_addc(out, '"');
}

static void write_labels(fh_buf *out, const fh_series_labels *l, bool other)
{
    char type[FH_ERROR_TYPE_BYTES];
    add_label(out, "gen_ai_operation_name", other ? "other" : fh_operation_name(l->operation));
    add_label(out, "gen_ai_provider_name", other ? "other" : l->provider);
    add_label(out, "gen_ai_request_model", other ? "other" : l->model);
    add_label(out, "freehold_key_class", other ? "other" : l->key_class);
    if (!l->code) return;
    fh_record_error_type(l->code, type);
    add_label(out, "error_type", type);
}

typedef struct page {
    const fh_series_table *table;
    const fh_series_set *const *sets;
    size_t set_count, row_count;
    char *labels[ROWS]; /* owned, as they are written */
    fh_buf *out;
} page;

static const fh_series *row_of(const fh_series_set *s, size_t i)
{
    return i == 0 ? &s->other : atomic_load_explicit(&s->rows[i], memory_order_acquire);
}

static void write_measure_of(const page *p, size_t row, fh_measure m)
{
    fh_histogram_sums sums = {0};
    for (size_t s = 0; s < p->set_count; s++) {
        const fh_series *from = row_of(p->sets[s], row);
        if (from) fh_histogram_collect(&from->measures[m], &sums);
    }
    if (sums.count) fh_histogram_write(p->out, m, p->labels[row], &sums);
}

static void write_measure(const page *p, fh_measure m)
{
    if (m == 0 || strcmp(measures[m].name, measures[m - 1].name) != 0) fh_histogram_head(p->out, m);
    for (size_t i = 0; i < p->row_count; i++) write_measure_of(p, i, m);
}

static uint64_t sum_tally(const page *p, size_t row, fh_tally t)
{
    uint64_t sum = 0;
    for (size_t s = 0; s < p->set_count; s++) {
        const fh_series *from = row_of(p->sets[s], row);
        if (from) sum += atomic_load_explicit(&from->tallies[t], memory_order_relaxed);
    }
    return sum;
}

static void write_tally(const page *p, fh_tally t)
{
    fh_buf_addf(p->out, "# HELP %s %s\n# TYPE %s counter\n", tallies[t].name, tallies[t].help, tallies[t].name);
    for (size_t i = 0; i < p->row_count; i++) {
        uint64_t n = sum_tally(p, i, t);
        if (n) fh_buf_addf(p->out, "%s{%s} %llu\n", tallies[t].name, p->labels[i], (unsigned long long)n);
    }
}

static page begin_page(const fh_series_table *t, const fh_series_set *const *sets, size_t count, fh_buf *out)
{
    return (page){
        .table = t, .sets = sets, .set_count = count, .row_count = atomic_load_explicit(&t->count, memory_order_acquire), .out = out};
}

static bool make_labels(page *p)
{
    for (size_t i = 0; i < p->row_count; i++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(4096);
        write_labels(&text, &p->table->entries[i].labels, i == 0);
        p->labels[i] = fh_buf_take(&text, NULL);
        if (!p->labels[i]) return false;
    }
    return true;
}

void fh_series_write(fh_series_table *t, const fh_series_set *const *sets, size_t count, fh_buf *out)
{
    page p = begin_page(t, sets, count, out);
    if (make_labels(&p)) {
        for (size_t m = 0; m < FH_MEASURES_OF_SERIES; m++) write_measure(&p, (fh_measure)m);
        for (size_t i = 0; i < FH_TALLIES; i++) write_tally(&p, (fh_tally)i);
    } else {
        out->failed = true;
    }
    for (size_t i = 0; i < p.row_count; i++) fh_free(p.labels[i]);
}

void fh_series_sum(fh_series_table *t, const fh_series_set *const *sets, size_t count, uint64_t ret[FH_TALLIES])
{
    page p = begin_page(t, sets, count, NULL);
    for (size_t i = 0; i < FH_TALLIES; i++) {
        ret[i] = 0;
        for (size_t row = 0; row < p.row_count; row++) ret[i] += sum_tally(&p, row, (fh_tally)i);
    }
}
