/* What is known of how good models are, from the answers that they gave: one record a model, and the answers of late whose fate may still
 * tell something.
 *
 * Bounded: LEARN_MODELS records (the one not used for the longest gives way), ANSWERED answers. Kept in a store where there is one.
 * Threads: any; a lock held for a look-up, some tens of microseconds. A thread of its own reads the store at the start: until it has, some
 * tens of milliseconds at most, whoever asks waits. */
#ifndef FH_GATEWAY_OUTCOMES_H
#define FH_GATEWAY_OUTCOMES_H

#include "gateway/keys.h"
#include "gateway/outcome_store.h"
#include "gateway/ports.h"
#include "learn.h"

typedef struct fh_outcomes fh_outcomes;
/* store: borrowed, may be NULL: nothing is kept. What it holds is read meanwhile; where it cannot be, that is logged. */
int fh_outcomes_new(fh_outcomes **ret, fh_outcome_store *store, fh_err **err);
void fh_outcomes_free(fh_outcomes *o);
FH_DEFINE_AUTO(fh_outcomes, fh_outcomes_free);

fh_belief fh_outcomes_belief(fh_outcomes *o, const char *arm, const fh_features *f, double prior);
void fh_outcomes_note(fh_outcomes *o, const char *arm, const fh_outcome_seen *seen);

typedef struct fh_given { /* by a model that we chose */
    uint64_t prompt;      /* hash of it and of the key's salt; not 0 */
    char request[40], key[FH_KEY_ID_LEN + 1], arm[FH_ARM_CHARS];
    int64_t active_params;
    fh_features features;
    int64_t mono_ns;
} fh_given;
void fh_outcomes_answered(fh_outcomes *o, const fh_given *a);
/* The same prompt is asked of a model by its name: if we had another, no larger one answer it a short while ago, that answer did not do. */
void fh_outcomes_asked_again(fh_outcomes *o, uint64_t prompt, const char *arm, int64_t active_params, int64_t mono_ns);
bool fh_outcomes_any_answer(const fh_outcomes *o); /* no lock */
/* Its client says how good the answer was. FH_E_NOT_FOUND: not one of late, or another key's. */
int fh_outcomes_tell(fh_outcomes *o, fh_str key, fh_str request, bool good, fh_err **err);

#endif
