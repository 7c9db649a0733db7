/* Attention: cuts the batch into parts (a sequence, the heads that share keys, some query rows) and deals them out in turn, so that the
 * late queries of a causal prompt, which see more keys, do not all fall to one worker.
 *
 * A single query over a long cache has few parts; with scratch each worker then takes a stretch of the keys for all heads, and the partial
 * sums are merged behind a barrier. */
#include "kernels.h"

#include <assert.h>
#include <math.h>

#define SPLIT_KEYS 256 /* from this length on a barrier costs less than the imbalance */
#define KEY_GRAIN  32  /* a block of keys */

static void walk_sequence(const fh_kernels *k, const fh_attn *job, const fh_attn_seq *seq, const fh_worker *w, size_t *turn)
{
    size_t rows = seq->q_count * (job->heads / job->kv_heads);
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

/* Where the partial result of one worker for one head lies. */
static float *partial_at(const fh_attn *job, size_t worker, size_t head)
{
    return job->scratch + (worker * job->heads + head) * FH_ATTN_PARTIAL_FLOATS(job->head_dim);
}

static void attend_stretch(const fh_kernels *k, const fh_attn *job, const fh_worker *w)
{
    size_t group = job->heads / job->kv_heads;
    fh_attn_part part = {.job = job, .seq = &job->seqs[0]};
    fh_worker_range(w, part.seq->kv_len, KEY_GRAIN, &part.key, &part.key_end);
    for (part.kv_head = 0; part.kv_head < job->kv_heads; part.kv_head++) {
        for (part.row = 0; part.row < group; part.row = part.row_end) {
            part.row_end = FH_MIN(part.row + FH_ATTN_ROWS, group);
            part.partial = partial_at(job, w->index, part.kv_head * group + part.row);
            k->attend(&part);
        }
    }
}

static void merge_head(const fh_attn *job, unsigned workers, size_t head, float *out)
{
    float max = -INFINITY, total = 0;
    for (unsigned i = 0; i < workers; i++) max = fmaxf(max, partial_at(job, i, head)[job->head_dim]);
    for (size_t d = 0; d < job->head_dim; d++) out[d] = 0;
    for (unsigned i = 0; i < workers; i++) {
        const float *partial = partial_at(job, i, head);
        if (partial[job->head_dim + 1] == 0) continue; /* had no keys */
        float weight = expf(partial[job->head_dim] - max);
        total += weight * partial[job->head_dim + 1];
        for (size_t d = 0; d < job->head_dim; d++) out[d] += weight * partial[d];
    }
    for (size_t d = 0; d < job->head_dim; d++) out[d] /= total;
}

static void merge_heads(const fh_attn *job, const fh_worker *w)
{
    size_t first, last;
    fh_worker_range(w, job->heads, 1, &first, &last);
    for (size_t head = first; head < last; head++)
        merge_head(job, w->count, head, job->out + job->seqs[0].q_first * job->out_stride + head * job->head_dim);
}

static bool splits_keys(const fh_kernels *k, const fh_attn *job, const fh_worker *w)
{
    return k->packs && job->scratch && w->count > 1 && job->seq_count == 1 && job->seqs[0].q_count == 1 &&
           job->seqs[0].kv_len >= SPLIT_KEYS;
}

size_t fh_attn_scratch_floats(size_t heads, size_t head_dim, unsigned workers)
{
    return workers * heads * FH_ATTN_PARTIAL_FLOATS(head_dim);
}

void fh_attention(const fh_kernels *k, const fh_attn *job, fh_worker *w)
{
    assert(job->head_dim <= FH_HEAD_DIM_MAX && job->kv_heads > 0 && job->heads % job->kv_heads == 0);
    if (splits_keys(k, job, w)) {
        attend_stretch(k, job, w);
        fh_barrier(w);
        merge_heads(job, w);
        return;
    }
    size_t turn = 0;
    for (size_t i = 0; i < job->seq_count; i++) walk_sequence(k, job, &job->seqs[i], w, &turn);
}
