/* The choice of a model for one exchange whose request leaves it open: what is known of the request, which models there were, how the
 * answer is judged, and the one time that a better model is asked instead. */
#ifndef FH_GATEWAY_EXCHANGE_MODEL_H
#define FH_GATEWAY_EXCHANGE_MODEL_H

#include "choose_model.h"
#include "exchange.h"
#include "judge.h"

/* The arm of the model that is to answer, of the candidates of list at index; makes x->choice on the first call. NULL: memory is out, and
 * any of them may. */
const char *fh_exchange_model(fh_exchange *x, const fh_candidate *list, const size_t *index, const fh_option *options, size_t count);
const char *fh_exchange_model_now(const fh_exchange *x); /* as it was chosen; NULL: it was not */
void fh_exchange_choice_free(fh_model_choice *c);
/* What was chosen and why, behind the reason of the route. */
void fh_exchange_choice_say(fh_exchange *x);
/* Answers that may call tools are judged too, for the record of the replica. */
void fh_exchange_judge(fh_exchange *x);
void fh_exchange_judge_event(fh_exchange *x, const fh_wire_event *e);
/* A whole reply came, and nothing of it was sent: true when it will not do and another model is asked instead. */
bool fh_exchange_escalates(fh_exchange *x);
/* Asking again came to nothing: the first answer is what the client gets. False when there is none. */
bool fh_exchange_falls_back(fh_exchange *x);
/* What the answer tells of the model, which its client may judge: once, before the client has the end of it. */
void fh_exchange_learn(fh_exchange *x);
size_t fh_exchange_kept_bytes(const fh_exchange *x);   /* of an answer that another model's is to replace */
bool fh_exchange_escalated(const fh_exchange *x);      /* another model was asked */
uint64_t fh_exchange_wasted_tok(const fh_exchange *x); /* of an answer that was not sent */
/* A request that names its model: it may be one that auto answered badly. */
void fh_exchange_look_back(fh_exchange *x);

#endif
