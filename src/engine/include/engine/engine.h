/* One loaded model that serves several requests at once.
 *
 * Threads: one thread, the batch thread, owns the model. It calls fh_engine_open, then either fh_engine_run (serves until fh_engine_stop)
 * or fh_engine_eval / fh_engine_bench (bench.h), and last fh_engine_close: the pinned computing threads belong to it. fh_engine_submit,
 * fh_gen_*, fh_engine_stop, fh_engine_stats and the readers of what never changes (info, vocab, template) may be called from any thread
 * while the engine is open.
 *
 * What holds: each submitted request ends with exactly one on_end; a sequence never holds more than info.context_tok tokens; at most
 * info.parallel sequences are in the batch, with info.kv_tok tokens together, and ENGINE_QUEUE wait; all memory that grows is made in open.
 * After open no file is opened but those of the page cache, and no thread started but the one that keeps packed weights (weight_cache),
 * which open starts. */
#ifndef FH_ENGINE_ENGINE_H
#define FH_ENGINE_ENGINE_H

#include "model/grammar.h"
#include "model/sampler.h"
#include "model/template.h"
#include "model/toolfmt.h"
#include "model/vocab.h"
#include <stdatomic.h>

typedef struct fh_engine fh_engine;

/* ---- loading ---- */

/* Whether tokens are guessed ahead where a sequence repeats itself, and computed in the same step. Answers are the same. */
typedef enum fh_drafts {
    FH_DRAFTS_PAYING, /* where it makes the step's tokens come sooner */
    FH_DRAFTS_NEVER,
    FH_DRAFTS_ALWAYS /* whatever can be guessed, for tests and measurements */
} fh_drafts;

/* What keys and values are kept as. In blocks of 8 or 4 bits the cache takes 0.53 or 0.28 of the memory, and attention reads that much
 * less; answers are a little further from the exact ones (docs/BENCHMARKS.md). */
typedef enum fh_engine_kv {
    FH_ENGINE_KV_DEFAULT, /* F16; F32 when exact */
    FH_ENGINE_KV_F16,
    FH_ENGINE_KV_Q8_0,
    FH_ENGINE_KV_Q4_0
} fh_engine_kv;
/* By name: f16, q8_0, q4_0; NULL is the default. FH_E_USAGE when there is no such one. */
int fh_engine_kv_parse(const char *name, fh_engine_kv *ret, fh_err **err);

typedef struct fh_engine_options {
    const char *model_path;
    unsigned threads;     /* 0: one a physical core */
    uint32_t context_tok; /* a sequence's most tokens; 0: the model's own, at most ENGINE_CONTEXT_DEFAULT */
    unsigned parallel;    /* sequences in the batch at once; 0: 4 */
    uint64_t kv_tok;      /* tokens that the cache holds, of all sequences and for later ones; 0: parallel times context_tok */
    uint32_t batch_tok;   /* tokens of one step; 0: 512 */
    bool deterministic;   /* a request's tokens do not depend on what else is in the batch, bit for bit */
    bool exact;           /* float arithmetic: no quantised activations, and by default a float32 cache */
    fh_engine_kv kv;
    fh_drafts drafts;
    bool no_vocab;               /* do without tokenizer and chat template (measurements on token ids) */
    uint64_t memory_limit_bytes; /* 0: what the machine has */
    const char *page_cache;      /* folder where pages of prompts are kept for later starts; NULL: nowhere. Without one that can be made
                                    the engine serves all the same: info.page_cache_failed */
    const char *weight_cache;    /* folder where packed weights are kept for the next start, of this model alone; NULL: nowhere */
    /* Called by the thread that loads, now and then; may be NULL. */
    void (*progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *progress_arg;
    const _Atomic bool *cancel; /* set: give up loading with FH_E_CANCELLED; may be NULL */
} fh_engine_options;
enum { FH_ENGINE_CONTEXT_DEFAULT = 8192, FH_ENGINE_PARALLEL_DEFAULT = 4, FH_ENGINE_BATCH_DEFAULT = 512, FH_ENGINE_BATCH_MAX = 4096 };

int fh_engine_open(fh_engine **ret, const fh_engine_options *o, fh_err **err);
void fh_engine_close(fh_engine *e); /* what still waits or runs ends with FH_GEN_SHUTDOWN */
FH_DEFINE_AUTO(fh_engine, fh_engine_close);

typedef struct fh_engine_info {
    const char *architecture, *name; /* borrowed from the engine; name "" when the file says none */
    const char *kv_type;             /* "f16", ... */
    const char *page_cache_failed;   /* why no pages are kept, borrowed; NULL: they are, or need not be */
    const char *isa, *peak;          /* peak: of bench.h, what its products are held against; NULL: none */
    uint64_t kv_tok;                 /* whole pages */
    uint32_t context_tok, trained_context_tok, vocab_size, layers, embd, batch_tok;
    unsigned parallel, threads;
    uint64_t file_bytes, weight_bytes, owned_bytes, kv_bytes; /* owned: anonymous memory made for weights; kv: of the whole arena */
    uint64_t token_bytes;                                     /* weights that one decoded token reads */
    uint64_t token_ops, output_ops;                           /* of products: of a token in all layers; of one whose logits are wanted */
    bool deterministic, exact;
} fh_engine_info;
const fh_engine_info *fh_engine_info_get(const fh_engine *e);
const fh_vocab *fh_engine_vocab(const fh_engine *e);
fh_grammars *fh_engine_grammars(const fh_engine *e);       /* grammars of its vocabulary; threads: any */
const fh_toolfmt *fh_engine_toolfmt(const fh_engine *e);   /* how replies to its template are read */
const fh_template *fh_engine_template(const fh_engine *e); /* NULL when the file has no chat template */

/* ---- requests ---- */

typedef struct fh_gen fh_gen;

typedef struct fh_gen_token {
    fh_token id;
    float logprob;
    const fh_logprob *top; /* best first */
    size_t top_count;
} fh_gen_token;

typedef enum fh_gen_finish { FH_GEN_STOP, FH_GEN_LENGTH, FH_GEN_CANCELLED, FH_GEN_SHUTDOWN, FH_GEN_FAILED } fh_gen_finish;

typedef struct fh_gen_end {
    fh_gen_finish finish;
    const fh_err *err;                              /* FH_GEN_FAILED: why; borrowed */
    fh_str stop;                                    /* FH_GEN_STOP: the stop string that ended it, borrowed; empty: the model itself did */
    const float *vector;                            /* FH_GEN_STOP of an embed request: [info.embd], of unit length; borrowed; else NULL */
    uint64_t prompt_tok, cached_tok, generated_tok; /* cached: prompt tokens that an earlier request had left in the cache */
    uint64_t drafted_tok, accepted_tok;             /* guessed ahead and computed; of them, those that came */
    uint64_t predicted_tok, mispredicted_tok;       /* of those guessed out of the request's prediction: that came, that did not */
    int64_t queued_ns, prompt_ns, generate_ns;      /* waiting; from then to the first token; from the first to the last */
} fh_gen_end;

typedef struct fh_gen_piece {
    fh_str text;                /* what became certain; may be empty */
    const fh_token *ids;        /* the tokens since the last piece; some text of the last ones may still be held back */
    const fh_gen_token *tokens; /* the same with their logprobs, if asked for; else NULL */
    size_t count;
    uint64_t prompt_tok, cached_tok; /* as of fh_gen_end */
} fh_gen_piece;

/* Who is admitted first, and gives its place back last when the cache is full. A step counts like having come 10 seconds earlier, so that
 * nobody waits for ever. */
typedef enum fh_gen_priority { FH_GEN_LOW = -1, FH_GEN_NORMAL, FH_GEN_HIGH } fh_gen_priority;

typedef struct fh_gen_request {
    const fh_token *tokens; /* copied; at least one */
    size_t token_count;
    const fh_token *begun; /* copied: the beginning of the answer, which another engine gave with the same parameters; nothing of it is said
                              again, and what follows is what would have followed there */
    size_t begun_count;
    const fh_token *prediction; /* copied, as many as the context holds: what the answer may look like. It saves time where it does */
    size_t prediction_count;
    fh_sample_params sample; /* biases copied */
    fh_grammar *grammar;     /* NULL: anything may come; a reference is taken. Log probabilities then are among what it allows */
    const fh_str *stops;     /* copied */
    size_t stop_count;
    uint64_t max_tok; /* 0: until the context is full */
    bool ignore_eos;
    bool logprobs;
    uint32_t top_logprobs;
    /* No answer: the mean of the last hidden states (after the output norm) of all tokens, which on_end has. Of the rest only on_end and
     * arg count; the tokens may fill the context, and nothing of the cache is reused or left. */
    bool embed;
    fh_str cache_salt; /* copied, at most 64 bytes without zeros: tokens are reused only between requests of the same salt */
    fh_gen_priority priority;
    bool off_disk; /* nothing of it is looked for in the page cache nor written there */
    bool markers;  /* control tokens that are part of the markers of fh_engine_toolfmt come as text */
    /* What was begun, as text, while the request is submitted; NULL: not wanted. */
    void (*on_begun)(void *arg, fh_str text);
    /* On the batch thread, borrowed during the call. */
    void (*on_piece)(void *arg, const fh_gen_piece *piece);
    void (*on_end)(void *arg, const fh_gen_end *end); /* once, last */
    void *arg;
} fh_gen_request;

/* FH_E_INVALID: the prompt does not fit the context (param "prompt", "input" of an embed request). FH_E_BUSY: the queue is full. On success
 * *ret is a reference of the caller's. */
int fh_engine_submit(fh_engine *e, const fh_gen_request *r, fh_gen **ret, fh_err **err);
/* All of them, one behind the other, or none; at most CHOICES. ret: where each one's reference goes, before any of them runs. */
int fh_engine_submit_all(fh_engine *e, const fh_gen_request *r, size_t count, fh_gen **const *ret, fh_err **err);
void fh_gen_cancel(fh_gen *g);             /* it ends within a step, unless it has ended; on_end is still called */
void fh_gen_pause(fh_gen *g, bool paused); /* a paused sequence computes nothing, and keeps its place until others want it */
void fh_gen_release(fh_gen *g);

void fh_engine_run(fh_engine *e);  /* until fh_engine_stop; what still waits or runs then ends with FH_GEN_SHUTDOWN */
void fh_engine_stop(fh_engine *e); /* any thread */

typedef struct fh_engine_stats {
    uint64_t requests, refused, prompt_tok, cached_tok, generated_tok, steps, step_rows;
    uint64_t drafted_tok, accepted_tok; /* guessed ahead and computed; of them, those that came */
    int64_t busy_ns;
    size_t waiting, running;
    uint64_t preempted;                              /* times that a request gave its pages back and waited again */
    uint64_t kv_used_tok, kv_kept_tok, kv_total_tok; /* room in pages: of running requests, kept for later ones (both: in both), in all */
} fh_engine_stats;
void fh_engine_stats_get(fh_engine *e, fh_engine_stats *ret);

/* ---- measuring ---- */

/* Called for each position in order with the logits [vocab_size] after it (borrowed). A negative answer ends the run with that code. */
typedef int fh_eval_row(void *arg, size_t position, const float *logits, fh_err **err);
/* One sequence from an empty cache, step_tok tokens at a time (0: as many as suit; 1: through the decoding path). */
int fh_engine_eval(fh_engine *e, const fh_token *ids, size_t count, uint32_t step_tok, fh_eval_row *row, void *arg, fh_err **err);

#endif
