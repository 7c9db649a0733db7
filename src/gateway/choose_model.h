/* Which model, when a request leaves that open (`auto`, a group): pure.
 *
 * The smallest that is adequate. Smallest: what the request asks for decides what is small: parameters, or money, energy, time. Adequate:
 * as likely to do as the best one, but for CHOOSE_TOLERANCE. Where the answer can be checked before it is sent, one that does not do is
 * replaced by a better one's, which costs both: then what is expected to be spent in all decides, and a small model may be tried that is
 * right less often. A bounded share of requests goes to a smaller one of which little is known, so that it can be learned. */
#ifndef FH_GATEWAY_CHOOSE_MODEL_H
#define FH_GATEWAY_CHOOSE_MODEL_H

#include "choose.h"
#include "learn.h"

typedef struct fh_model_option {
    fh_belief belief;
    double size;                    /* parameters that a token goes through, or what stands for them; 0: not known */
    double price, energy, duration; /* of this request there; negative: not known */
} fh_model_option;

typedef enum fh_model_reason {
    FH_MODEL_ONLY,     /* no other can */
    FH_MODEL_ADEQUATE, /* the smallest (cheapest, ...) that is good enough */
    FH_MODEL_CHECKED,  /* the smallest to be tried, because its answer is checked */
    FH_MODEL_BEST,     /* no smaller one is good enough */
    FH_MODEL_EXPLORED  /* to learn how good it is */
} fh_model_reason;

typedef struct fh_model_wish {
    fh_prefer prefer; /* FH_PREFER_BALANCE: by size */
    bool checked;     /* the answer can be checked, and another be asked for */
    uint32_t random;  /* a draw */
} fh_model_wish;

/* How likely a model is to do as long as nothing is known of it: more with its size, from 0.5 to 0.9. largest: of those that there are. */
double fh_model_prior(double size, double largest);
size_t fh_choose_model(const fh_model_option *list, size_t count, const fh_model_wish *w, fh_model_reason *ret_reason); /* count > 0 */
const char *fh_model_reason_text(fh_model_reason r, fh_prefer prefer);

#endif
