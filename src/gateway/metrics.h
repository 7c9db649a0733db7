/* The gateway's figures: series of counters and histograms, one a set of labels.
 *
 * A set of labels is registered once, in a table that all lanes share (a lock, taken when one is first seen); its counters are a lane's
 * own, which only its loop adds to and any thread reads: no lock and no atomic read-modify-write on the way of a token. The table is
 * bounded: whatever comes when METRIC_SERIES sets are known is counted in the series `other`, the first one. No label is a client's text:
 * models are those that were found, classes are ours.
 *
 * Names, labels and bounds are those of OpenTelemetry's semantic conventions for generative AI, written as Prometheus writes them. */
#ifndef FH_GATEWAY_METRICS_H
#define FH_GATEWAY_METRICS_H

#include "base/buf.h"
#include "base/limits.h"
#include <stdatomic.h>
#include <stdint.h>

typedef enum fh_operation { FH_OP_CHAT, FH_OP_COMPLETION, FH_OP_TOKENIZE, FH_OP_COUNT_TOKENS, FH_OP_EMBED, FH_OP_COUNT } fh_operation;
const char *fh_operation_name(fh_operation op); /* as OpenTelemetry calls it */

/* What has a histogram; times in nanoseconds, tokens as they are. */
typedef enum fh_measure {
    FH_MEASURE_DURATION,
    FH_MEASURE_FIRST_TOKEN,
    FH_MEASURE_OUTPUT_TOKEN,
    FH_MEASURE_CHUNK,
    FH_MEASURE_TOKENS_IN,
    FH_MEASURE_TOKENS_OUT,
    FH_MEASURES_OF_SERIES,
    FH_MEASURE_QUEUE = FH_MEASURES_OF_SERIES, /* of no series: by priority alone */
    FH_MEASURES
} fh_measure;

/* What is counted. */
typedef enum fh_tally {
    FH_TALLY_FINISHED,
    FH_TALLY_FAILED,
    FH_TALLY_CANCELLED,
    FH_TALLY_RETRIED,
    FH_TALLY_RESUMED,
    FH_TALLY_STALLED,
    FH_TALLY_CUT,
    FH_TALLY_DIFFERS,
    FH_TALLIES
} fh_tally;

enum { FH_BOUNDS_MOST = 16 };
typedef struct fh_histogram {
    _Atomic uint64_t buckets[FH_BOUNDS_MOST + 1], sum;
} fh_histogram;
void fh_histogram_add(fh_histogram *h, fh_measure m, int64_t value); /* by its one writer */

typedef struct fh_histogram_sums { /* over several; zeroed first */
    uint64_t buckets[FH_BOUNDS_MOST + 1], sum, count;
} fh_histogram_sums;
void fh_histogram_collect(const fh_histogram *h, fh_histogram_sums *sums);
/* HELP and TYPE; then a row each. labels: as they are written, without braces. */
void fh_histogram_head(fh_buf *out, fh_measure m);
void fh_histogram_write(fh_buf *out, fh_measure m, const char *labels, const fh_histogram_sums *sums);

typedef struct fh_series {
    fh_histogram measures[FH_MEASURES_OF_SERIES];
    _Atomic uint64_t tallies[FH_TALLIES];
} fh_series;

typedef struct fh_series_labels {
    fh_operation operation;
    int code; /* class of error; 0: none */
    char provider[16], model[128], key_class[16];
} fh_series_labels;

typedef struct fh_series_table fh_series_table;
fh_series_table *fh_series_table_new(void); /* NULL when memory is out */
void fh_series_table_free(fh_series_table *t);

/* The counters of one lane; zeroed before its first use. */
typedef struct fh_series_set {
    fh_series other; /* row 0, and what there was no memory for */
    _Atomic(fh_series *) rows[FH_LIMIT_METRIC_SERIES];
} fh_series_set;
void fh_series_set_fini(fh_series_set *s);
/* The lane's counters for these labels; never NULL. On its loop. */
fh_series *fh_series_find(fh_series_table *t, fh_series_set *s, const fh_series_labels *l);

static inline void fh_counter_add(_Atomic uint64_t *c, uint64_t n) /* by its one writer */
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* sets: one a lane. Appends Prometheus text. */
void fh_series_write(fh_series_table *t, const fh_series_set *const *sets, size_t count, fh_buf *out);
void fh_series_sum(fh_series_table *t, const fh_series_set *const *sets, size_t count, uint64_t ret[FH_TALLIES]);

#endif
