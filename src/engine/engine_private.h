/* The engine inside: slots, the list of waiting requests, and one request's life. See engine.h for what holds outside.
 *
 * Owned by the batch thread alone: model, slots, step buffers, and each fh_gen between admission and its end. Under the lock: the waiting
 * list, `stopping` and the statistics. Flags of a request (cancelled, paused) are atomic; who sets one wakes the batch thread. */
#ifndef FH_ENGINE_PRIVATE_H
#define FH_ENGINE_PRIVATE_H

#include "costs.h"
#include "model.h"
#include "packed.h"
#include "prefix.h"
#include "prompt.h"

#include <pthread.h>

enum { PREFILL_BESIDE_DECODE_TOK = 128, PREFILL_LEAST_TOK = 32, EVAL_ROWS = 64, PENDING_MAX = 64, TOP_MAX = 20 };
#define PRIORITY_NS (10 * (int64_t)1000000000)

/* ---- one request (gen.c) ---- */

typedef struct gen_sampled { /* what sampling one row gave */
    bool failed;             /* no token may come: the generation's grammar_err says why */
    fh_token id;
    float logprob;
    fh_logprob top[TOP_MAX];
} gen_sampled;

struct fh_gen {
    fh_engine *engine;
    atomic_uint refs;
    atomic_bool cancelled, paused;
    fh_gen *next;    /* in the waiting list */
    int64_t rank_ns; /* when it came, or what counts as that: who comes first is admitted first and gives its pages back last */
    uint64_t order;  /* among those that came at once */
    bool off_disk;
    bool preempted; /* it gave its pages back once */

    fh_tokens tokens;    /* the prompt, then what was generated */
    size_t prompt_count; /* of tokens: what is computed before the first one is sampled, so with what was begun elsewhere */
    size_t begun;        /* of them: generated elsewhere */
    size_t done;         /* of tokens: in the cache */
    size_t cached;       /* of the prompt: was in the cache already */
    double *sum;         /* owned, [embd]: of the hidden states so far; NULL: it generates */
    float *vector;       /* owned, [embd]: their mean, of unit length, once all are in */
    draft *draft;        /* owned; NULL until something was to be guessed */
    fh_tokens prediction;
    uint64_t drafted_tok, accepted_tok, predicted_tok, mispredicted_tok;
    uint64_t generated, max_tok;
    bool ignore_eos, logprobs;
    uint32_t top_count;
    char salt[FH_PREFIX_SALT_MAX + 1];

    fh_sampler *sampler;
    fh_detok *detok;
    fh_grammar_state *grammar; /* NULL: anything may come */
    uint64_t *mask;            /* owned: which tokens may come now */
    fh_err *grammar_err;       /* why no token may */
    fh_token *bias_tokens;
    float *bias_values;
    fh_buf text; /* the piece that is being made */
    fh_token pending_ids[PENDING_MAX];
    gen_sampled *pending; /* [PENDING_MAX] when logprobs are wanted, of the same tokens */
    size_t pending_count;

    int64_t submitted_ns, admitted_ns, first_ns, last_ns;
    void (*on_piece)(void *arg, const fh_gen_piece *piece);
    void (*on_end)(void *arg, const fh_gen_end *end);
    void *arg;
};

int gen_new(fh_gen **ret, fh_engine *e, const fh_gen_request *r, fh_err **err);
/* Takes the sampled token; true when the request is finished, *ret_finish then says how (FH_GEN_FAILED: *err). */
bool gen_accept(fh_gen *g, const gen_sampled *s, fh_gen_finish *ret_finish, fh_err **err);
/* Takes hidden states of the next tokens; true when those of all are in and the vector is made. */
bool gen_pool(fh_gen *g, const float *states, size_t count);
/* Samples the token behind those accepted and `ahead` more that were sampled already. Any thread, one at a time. */
void gen_sample(fh_gen *g, size_t ahead, float *logits, gen_sampled *ret);
/* Calls on_end and drops the engine's reference. */
void gen_end(fh_gen *g, fh_gen_finish how, const fh_err *err);

/* ---- the engine ---- */

typedef struct slot { /* a place in the batch */
    fh_gen *gen;      /* NULL: free */
    fh_kv_seq kv;
} slot;

typedef struct step_share {           /* what a sequence gets of the next step */
    size_t slot, count, ahead;        /* ahead: rows for guesses, behind those of its own tokens */
    fh_token ids[FH_LIMIT_DRAFT_TOK]; /* the guesses */
    bool predicted;
} step_share;

typedef struct step_group { /* the rows of a sequence whose logits are wanted */
    fh_gen *gen;
    size_t first, count; /* of the step's outputs: its last token, then the guesses */
    size_t sampled;      /* of them, in order: the guesses before the last were right */
    bool predicted;      /* the guesses are out of the prediction */
} step_group;

struct fh_engine {
    fh_gguf *gguf;
    fh_vocab *vocab;
    fh_template *chat_template;
    fh_specials *specials;
    fh_toolfmt *toolfmt;
    fh_grammars *grammars;
    uint64_t *shown; /* owned: a bit for each control token that is part of a marker of toolfmt */
    fh_pool *pool;
    fh_packed packed;
    fh_model model;
    bool has_wide; /* its large batches have other products than small ones (FH_WIDE_ROWS) */
    fh_engine_info info;
    fh_type kv_type;
    char name[128];

    fh_spill *spill;   /* NULL: nothing goes to disk */
    fh_err *spill_err; /* owned: why not, where it should */
    fh_prefix *prefix;
    slot *slots;
    step_share *shares; /* [parallel] */
    size_t share_count;
    fh_drafts drafts;
    costs costs;       /* of steps without prompts */
    cost_wish *wishes; /* [parallel] */
    double row_ns;     /* of a prompt's row: a running mean, 0 until there was one */
    /* buffers of one step, [batch_tok] or [parallel] or, out and logits, [logit_rows] */
    fh_token *ids;
    int32_t *pos;
    fh_step_seq *seqs;
    uint32_t *out;
    float *logits;
    size_t logit_rows;
    uint32_t *state_rows; /* [batch_tok] */
    float *states;        /* [batch_tok][embd] */
    float *hidden;        /* [batch_tok][embd]: what one stage hands to the next */
    fh_stage whole;       /* all layers in one */
    gen_sampled *sampled; /* [logit_rows] */
    step_group *groups;   /* [parallel] */
    size_t group_count;
    fh_step step; /* points into the buffers */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool lock_made;
    fh_gen *waiting_first, *waiting_last;
    uint64_t order; /* requests so far */
    bool stopping;
    fh_engine_stats stats;
};

/* ---- sizes (sizes.c) ---- */

int engine_check_options(const fh_engine *e, const fh_engine_options *o, fh_err **err);
/* Of cache and buffers, into info; refused where the memory does not hold them. */
int engine_choose_sizes(fh_engine *e, const fh_engine_options *o, const fh_load *l, fh_err **err);
fh_kv engine_kv_shape(const fh_engine *e);

/* ---- who waits (queue.c): under the lock ---- */

void queue_append(fh_engine *e, fh_gen *g);
void queue_take(fh_engine *e, const fh_gen *wanted);
fh_gen *queue_take_cancelled(fh_engine *e);          /* NULL: none of them is */
fh_gen *queue_first(const fh_engine *e);             /* by rank, of those that are not paused; NULL: there is none */
bool queue_before(const fh_gen *a, const fh_gen *b); /* by rank; any thread */

/* ---- places and pages (places.c): the batch thread ---- */

bool place_wanted(const fh_engine *e); /* under the lock: someone who waits can be admitted */
void place_admit(fh_engine *e);
void place_match(fh_engine *e, slot *s); /* takes what is kept of the tokens that are to be computed next */
void place_keep(fh_engine *e, const slot *s, bool last);
/* Room for so many tokens, at the cost of kept pages and then of those that come after it; false: there was none, it waits again. */
bool place_grow(fh_engine *e, slot *s, size_t tok);
void place_end(fh_engine *e, slot *s, fh_gen_finish how, const fh_err *err);

/* ---- guesses (ahead.c): the batch thread ---- */

void ahead_plan(fh_engine *e); /* the shares are those of all sequences that generate */
void ahead_grow(fh_engine *e, step_share *share);

/* ---- a step (step.c) ---- */

/* Runs the step through all stages, then sample(e, group) for each group (NULL: none) on all workers. */
void engine_step(fh_engine *e, void (*sample)(fh_engine *e, step_group *group));
void engine_step_clear(fh_engine *e);
/* Adds count tokens of one slot, on top of past cached ones; wanted: rows at the end whose logits are needed. */
void engine_step_add(fh_engine *e, size_t slot_index, const fh_token *ids, size_t count, size_t past, size_t wanted);
/* The same; of all of them the hidden state is wanted. */
void engine_step_add_states(fh_engine *e, size_t slot_index, const fh_token *ids, size_t count, size_t past);
void engine_wake(fh_engine *e);

#endif
