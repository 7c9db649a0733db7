/* What a request allows of where it may be answered, beyond what it needs: the hard rules, before anything is weighed. Pure. */
#ifndef FH_GATEWAY_RULES_H
#define FH_GATEWAY_RULES_H

#include "base/limits.h"
#include "gateway/ports.h"

typedef struct fh_rules {
    char models[FH_LIMIT_NAMES_BYTES], exclude[FH_LIMIT_NAMES_BYTES];  /* x-freehold-models, -exclude; "": all, none */
    char regions[FH_LIMIT_REGIONS_BYTES];                              /* x-freehold-region, or the key's; "": any */
    char trust[FH_LIMIT_TRUST_BYTES], key_trust[FH_LIMIT_TRUST_BYTES]; /* x-freehold-trust, and the key's: both hold; "": all may read */
    fh_terms licence;                                                  /* x-freehold-licence: no more restricted than that */
    int64_t max_nusd;                                                  /* x-freehold-max-cost; -1: any */
    uint64_t prompt_tok, answer_tok;                                   /* as well as can be guessed before */
} fh_rules;

typedef enum fh_rule {
    FH_RULES_KEPT,
    FH_RULE_TRUST,
    FH_RULE_REGION,
    FH_RULE_MODELS,
    FH_RULE_LICENCE,
    FH_RULE_CONTEXT,
    FH_RULE_COST,
    FH_RULES
} fh_rule;
fh_rule fh_rules_broken(const fh_rules *r, const fh_candidate *c); /* the first that is */
/* Why nothing is left, by the last rule that a candidate broke. */
int fh_rules_refuse(const fh_rules *r, fh_rule broken, fh_err **err);

bool fh_rules_bound(const fh_rules *r); /* it names models, a licence or a price */
/* What the request costs there, in nano-dollars; -1 when the price is not known. */
int64_t fh_rules_cost(const fh_rules *r, const fh_candidate *c);
/* "0.02", "0.02USD": nano-dollars. */
bool fh_cost_parse(fh_str text, int64_t *ret_nusd);
/* Names with commas between, each a model, a deployment or a place. */
bool fh_names_hold(fh_str names, const fh_candidate *c);

#endif
