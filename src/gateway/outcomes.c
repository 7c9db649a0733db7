/* What is known of how good models are (see outcomes.h).
 *
 * What was kept is read by a thread, so that a start does not wait for it; whoever needs it before then waits. */
#include "outcomes.h"

#include "base/clock.h"
#include "base/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { MODELS = FH_LIMIT_LEARN_MODELS, ANSWERS = FH_LIMIT_ANSWERED };
#define AGAIN_NS (FH_LIMIT_ASKED_AGAIN_MS * FH_NS_PER_MS)

typedef struct record {
    uint64_t hash; /* of the arm: most others differ in it */
    char arm[FH_ARM_CHARS];
    uint64_t used;
    fh_learned learned;
} record;

struct fh_outcomes {
    fh_outcome_store *store; /* borrowed; NULL */
    pthread_t reader;
    bool has_reader;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t was_read;
    bool reading; /* the reader has it all, without the lock */
    uint64_t clock;
    record *records[MODELS];
    fh_given answers[ANSWERS];
    uint64_t prompts[ANSWERS]; /* of the answers, for a quick look; 0: nothing to learn from it any more */
    size_t next_answer;
    _Atomic bool any_answer;
};

/* Takes the lock, once all that was kept is there. */
static void enter(fh_outcomes *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->reading) pthread_cond_wait(&o->was_read, &o->lock);
}

static uint64_t hash_of(const char *arm)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *arm; arm++) h = (h ^ (uint8_t)*arm) * 1099511628211u;
    return h;
}

static record *find(fh_outcomes *o, const char *arm)
{
    uint64_t hash = hash_of(arm);
    for (size_t i = 0; i < MODELS && o->records[i]; i++) {
        if (o->records[i]->hash != hash || strcmp(o->records[i]->arm, arm) != 0) continue;
        o->records[i]->used = ++o->clock;
        return o->records[i];
    }
    return NULL;
}

/* Records stand without gaps: a free place, or that of the one not used for the longest. */
static record **place(fh_outcomes *o)
{
    record **oldest = &o->records[0];
    for (size_t i = 0; i < MODELS; i++) {
        if (!o->records[i]) return &o->records[i];
        if (o->records[i]->used < (*oldest)->used) oldest = &o->records[i];
    }
    return oldest;
}

static record *find_or_make(fh_outcomes *o, const char *arm)
{
    record *r = find(o, arm);
    if (r) return r;
    record *made = fh_calloc(1, sizeof *made), **at = place(o);
    if (!made) return NULL;
    snprintf(made->arm, sizeof made->arm, "%s", arm);
    made->hash = hash_of(arm);
    made->used = ++o->clock;
    fh_free(*at);
    *at = made;
    return made;
}

static void take_row(void *arg, const fh_outcome_row *row)
{
    fh_outcomes *o = arg;
    fh_outcome_seen seen = {.good = row->good, .weight = row->weight};
    char arm[FH_ARM_CHARS];
    if (row->features.len != sizeof seen.features.v || row->arm.len >= sizeof arm) return; /* of another version: learned anew */
    memcpy(seen.features.v, row->features.ptr, sizeof seen.features.v);
    memcpy(arm, row->arm.ptr, row->arm.len);
    arm[row->arm.len] = '\0';
    record *r = find_or_make(o, arm);
    if (r) fh_learned_add(&r->learned, &seen);
}

static void *read_kept(void *arg)
{
    fh_outcomes *o = arg;
    fh_err *err = NULL;
    if (fh_outcome_store_read(o->store, take_row, o, &err))
        fh_log_err(FH_LOG_WARN, "gateway", err, "cannot read what was learned of models");
    fh_err_free(err);
    pthread_mutex_lock(&o->lock);
    o->reading = false;
    pthread_cond_broadcast(&o->was_read);
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

int fh_outcomes_new(fh_outcomes **ret, fh_outcome_store *store, fh_err **err)
{
    FH_AUTO(fh_outcomes) fh_outcomes *o = fh_calloc(1, sizeof *o);
    if (!o) return fh_err_nomem(err);
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->was_read, NULL);
    o->store = store;
    o->reading = store != NULL;
    o->has_reader = store && pthread_create(&o->reader, NULL, read_kept, o) == 0;
    if (store && !o->has_reader) return fh_err_set(err, FH_E_BUSY, "cannot start the thread that reads what was learned of models");
    *ret = fh_take(o);
    return 0;
}

void fh_outcomes_free(fh_outcomes *o)
{
    if (!o) return;
    if (o->has_reader) pthread_join(o->reader, NULL);
    for (size_t i = 0; i < MODELS; i++) fh_free(o->records[i]);
    pthread_cond_destroy(&o->was_read);
    pthread_mutex_destroy(&o->lock);
    fh_free(o);
}

fh_belief fh_outcomes_belief(fh_outcomes *o, const char *arm, const fh_features *f, double prior)
{
    enter(o);
    const record *r = find(o, arm);
    fh_belief b = fh_learned_belief(r ? &r->learned : NULL, f, prior);
    pthread_mutex_unlock(&o->lock);
    return b;
}

void fh_outcomes_note(fh_outcomes *o, const char *arm, const fh_outcome_seen *seen)
{
    fh_outcome_row row = {fh_str_of(arm), {(const char *)seen->features.v, sizeof seen->features.v}, seen->good, seen->weight};
    enter(o);
    record *r = find_or_make(o, arm);
    if (r) fh_learned_add(&r->learned, seen);
    pthread_mutex_unlock(&o->lock);
    if (o->store) fh_outcome_store_put(o->store, &row);
}

/* ---- what becomes of answers ---- */

void fh_outcomes_answered(fh_outcomes *o, const fh_given *a)
{
    enter(o);
    o->answers[o->next_answer] = *a;
    o->prompts[o->next_answer] = a->prompt;
    o->next_answer = (o->next_answer + 1) % ANSWERS;
    atomic_store(&o->any_answer, true);
    pthread_mutex_unlock(&o->lock);
}

bool fh_outcomes_any_answer(const fh_outcomes *o)
{
    return atomic_load(&o->any_answer);
}

static void learn(fh_outcomes *o, const fh_given *a, bool good)
{
    fh_outcome_seen seen = {.features = a->features, .good = good ? 255 : 0, .weight = 255};
    fh_outcomes_note(o, a->arm, &seen);
}

static bool did_not_do(const fh_given *a, const char *arm, int64_t active_params, int64_t mono_ns)
{
    return strcmp(a->arm, arm) != 0 && mono_ns - a->mono_ns < AGAIN_NS && a->active_params <= active_params;
}

void fh_outcomes_asked_again(fh_outcomes *o, uint64_t prompt, const char *arm, int64_t active_params, int64_t mono_ns)
{
    fh_given found = {0};
    enter(o);
    for (size_t i = 0; i < ANSWERS && !found.arm[0]; i++) {
        if (o->prompts[i] != prompt || !did_not_do(&o->answers[i], arm, active_params, mono_ns)) continue;
        found = o->answers[i];
        o->prompts[i] = 0; /* once */
    }
    pthread_mutex_unlock(&o->lock);
    if (found.arm[0]) learn(o, &found, false);
}

int fh_outcomes_tell(fh_outcomes *o, fh_str key, fh_str request, bool good, fh_err **err)
{
    fh_given found = {0};
    enter(o);
    for (size_t i = 0; i < ANSWERS && !found.arm[0]; i++) {
        const fh_given *a = &o->answers[i];
        if (!o->prompts[i] || !fh_str_eqs(request, a->request) || !fh_str_eqs(key, a->key)) continue;
        found = *a;
        o->prompts[i] = 0;
    }
    pthread_mutex_unlock(&o->lock);
    if (found.arm[0]) {
        learn(o, &found, good);
        return 0;
    }
    fh_err_set(err, FH_E_NOT_FOUND, "no answer of late to a request of that id waits to be judged");
    fh_err_hint(err, "the id is the reply's x-request-id; only requests that left the model open, of this key, and each once");
    fh_err_param(err, "request");
    return FH_E_NOT_FOUND;
}
