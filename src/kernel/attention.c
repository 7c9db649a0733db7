/* Attention: cuts the batch into parts (a sequence, the heads that share keys, some query rows) and deals them out in turn, so that the
 * late queries of a causal prompt, which see more keys, do not all fall to one worker.
 *
 * A few queries of one sequence over a long cache have few parts; with scratch each worker then takes a stretch of the keys for all heads,
 * and the partial sums are merged behind a barrier. A query's stretches are those that it would have alone, so its result is the same bits:
 * queries go together only where their stretches begin and end at the same blocks. */
#include "kernels.h"

#include <assert.h>
#include <math.h>

#define SPLIT_KEYS 256 /* from this length on a barrier costs less than the imbalance */
#define KEY_GRAIN  32  /* a block of keys */

static size_t group_of(const fh_attn *job)
{
    return job->heads / job->kv_heads;
}

/* Keys that a query of the sequence sees. */
static size_t keys_of(const fh_attn_seq *seq, size_t query)
{
    return seq->kv_len - seq->q_count + query + 1;
}

/* The first `queries` of a sequence. */
static void walk_sequence(const fh_kernels *k, const fh_attn *job, const fh_attn_seq *seq, size_t queries, const fh_worker *w, size_t *turn)
{
    size_t rows = queries * group_of(job);
    fh_attn_part part = {.job = job, .seq = seq, .key_end = seq->kv_len};
    for (size_t row = 0; row < rows; row += FH_ATTN_ROWS) {
        for (size_t head = 0; head < job->kv_heads; head++) {
            if ((*turn)++ % w->count != w->index) continue;
            part.kv_head = head;
            part.row = row;
            part.row_end = FH_MIN(row + FH_ATTN_ROWS, rows);
            k->attend(&part);
        }
    }
}

/* ---- a sequence whose keys are split ---- */

/* Where the partial result of one worker for a row lies: a row is a query and one of the heads that share keys. */
static float *partial_at(const fh_attn *job, size_t worker, size_t kv_head, size_t row)
{
    size_t rows = FH_ATTN_SPLIT_QUERIES * group_of(job);
    return job->scratch + ((worker * job->kv_heads + kv_head) * rows + row) * FH_ATTN_PARTIAL_FLOATS(job->head_dim);
}

/* Queries from the given one on that have as many blocks of keys. */
static size_t alike(const fh_attn_seq *seq, size_t query)
{
    size_t keys = keys_of(seq, query), more = (KEY_GRAIN - keys % KEY_GRAIN) % KEY_GRAIN;
    return FH_MIN(seq->q_count - query, more + 1);
}

static void attend_stretch(const fh_kernels *k, const fh_attn *job, size_t query, size_t count, const fh_worker *w)
{
    size_t group = group_of(job), last = (query + count) * group;
    fh_attn_part part = {.job = job, .seq = &job->seqs[0]};
    fh_worker_range(w, keys_of(part.seq, query + count - 1), KEY_GRAIN, &part.key, &part.key_end);
    for (part.kv_head = 0; part.kv_head < job->kv_heads; part.kv_head++) {
        for (part.row = query * group; part.row < last; part.row = part.row_end) {
            part.row_end = FH_MIN(part.row + FH_ATTN_ROWS, last);
            part.partial = partial_at(job, w->index, part.kv_head, part.row);
            k->attend(&part);
        }
    }
}

static void merge_row(const fh_attn *job, unsigned workers, size_t kv_head, size_t row, float *out)
{
    float max = -INFINITY, total = 0;
    for (unsigned i = 0; i < workers; i++) max = fmaxf(max, partial_at(job, i, kv_head, row)[job->head_dim]);
    for (size_t d = 0; d < job->head_dim; d++) out[d] = 0;
    for (unsigned i = 0; i < workers; i++) {
        const float *partial = partial_at(job, i, kv_head, row);
        if (partial[job->head_dim + 1] == 0) continue; /* had no keys */
        float weight = expf(partial[job->head_dim] - max);
        total += weight * partial[job->head_dim + 1];
        for (size_t d = 0; d < job->head_dim; d++) out[d] += weight * partial[d];
    }
    for (size_t d = 0; d < job->head_dim; d++) out[d] /= total;
}

static void merge_rows(const fh_attn *job, size_t query, const fh_worker *w)
{
    size_t first, last, group = group_of(job);
    fh_worker_range(w, (job->seqs[0].q_count - query) * job->heads, 1, &first, &last);
    for (size_t i = first; i < last; i++) {
        size_t at = query + i / job->heads, head = i % job->heads;
        float *out = job->out + (job->seqs[0].q_first + at) * job->out_stride + head * job->head_dim;
        merge_row(job, w->count, head / group, at * group + head % group, out);
    }
}

static bool splits_keys(const fh_kernels *k, const fh_attn *job, const fh_worker *w)
{
    return k->packs && job->scratch && w->count > 1 && job->seq_count == 1 && job->seqs[0].q_count <= FH_ATTN_SPLIT_QUERIES &&
           job->seqs[0].kv_len >= SPLIT_KEYS;
}

/* The first queries may see too few keys yet. */
static void attend_split(const fh_kernels *k, const fh_attn *job, fh_worker *w)
{
    const fh_attn_seq *seq = &job->seqs[0];
    size_t turn = 0, keys = keys_of(seq, 0), whole = keys < SPLIT_KEYS ? SPLIT_KEYS - keys : 0;
    walk_sequence(k, job, seq, whole, w, &turn);
    for (size_t query = whole, count; query < seq->q_count; query += count) {
        count = alike(seq, query);
        attend_stretch(k, job, query, count, w);
    }
    fh_barrier(w);
    merge_rows(job, whole, w);
}

size_t fh_attn_scratch_floats(size_t heads, size_t head_dim, unsigned workers)
{
    return workers * heads * FH_ATTN_SPLIT_QUERIES * FH_ATTN_PARTIAL_FLOATS(head_dim);
}

void fh_attention(const fh_kernels *k, const fh_attn *job, fh_worker *w)
{
    assert(job->head_dim <= FH_HEAD_DIM_MAX && job->kv_heads > 0 && job->heads % job->kv_heads == 0);
    if (splits_keys(k, job, w)) {
        attend_split(k, job, w);
        return;
    }
    size_t turn = 0;
    for (size_t i = 0; i < job->seq_count; i++) walk_sequence(k, job, &job->seqs[i], job->seqs[i].q_count, w, &turn);
}
