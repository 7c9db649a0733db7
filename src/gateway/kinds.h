/* What kind of request it is, in sixteen small numbers: enough to find requests like it, and nothing of what it says.
 *
 * Each is scaled to 0..255, so that distances are reckoned in integers. Read from the common form alone: of the newest message of the user
 * at most FEATURE_BYTES are looked at. Pure. */
#ifndef FH_GATEWAY_KINDS_H
#define FH_GATEWAY_KINDS_H

#include "wire/openai.h"

/* name; how much a difference in it counts (squared distances are multiplied by it) */
#define FH_FEATURE_LIST(X)                                                                                                                 \
    X(LENGTH, 1)       /* of all messages, logarithm */                                                                                    \
    X(ASKED, 1)        /* of the newest message of the user, logarithm */                                                                  \
    X(TURNS, 1)        /* messages */                                                                                                      \
    X(SYSTEM, 1)       /* there is a system message */                                                                                     \
    X(CODE, 2)         /* share of what code is made of */                                                                                 \
    X(MATHS, 2)        /* share of digits and operators, and words of mathematics */                                                       \
    X(NUMBERS, 3)      /* digits of the longest number */                                                                                  \
    X(REASONING, 2)    /* words that ask for a proof, a plan, a comparison */                                                              \
    X(TOOLS, 4)        /* how many */                                                                                                      \
    X(MUST_CALL, 4)    /* one of them has to be called */                                                                                  \
    X(SCHEMA, 6)       /* the answer is held to a form, and how large it is */                                                             \
    X(CJK, 4)          /* share of Chinese, Japanese and Korean letters */                                                                 \
    X(OTHER_SCRIPT, 4) /* share of letters that are neither those nor Latin */                                                             \
    X(ACCENTS, 2)      /* share of Latin letters beyond ASCII: hardly English */                                                           \
    X(ANSWER, 1)       /* the longest answer that is allowed, logarithm */                                                                 \
    X(QUESTION, 1)     /* a question mark near its end */

typedef enum fh_feature {
#define FH_FEATURE_ENUM(name, weight) FH_FEATURE_##name,
    FH_FEATURE_LIST(FH_FEATURE_ENUM)
#undef FH_FEATURE_ENUM
        FH_FEATURES
} fh_feature;

typedef struct fh_features {
    uint8_t v[FH_FEATURES];
} fh_features;

size_t fh_request_text_bytes(const fh_wire_request *r); /* of the prompt or all messages */
void fh_features_of(fh_features *ret, const fh_wire_request *r);
uint32_t fh_features_distance(const fh_features *a, const fh_features *b); /* squared and weighed; 0: alike */

#endif
