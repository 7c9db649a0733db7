/* What an answer said, kept so that its tokens can be counted: text, thought, refusal, and the names and arguments of tool calls.
 *
 * A part is what a model wrote in one go: the text, then a call, then another. Parts of one choice follow one another; choices may come
 * mixed, and each has its own. Bounded: HEARD_BYTES in all and HEARD_CHOICES; beyond, nothing is counted. Pure. */
#ifndef FH_GATEWAY_HEARD_H
#define FH_GATEWAY_HEARD_H

#include "base/limits.h"
#include "wire/stream.h"

typedef struct fh_heard_choice {
    fh_buf text;             /* parts, with a NUL between */
    fh_wire_event_kind kind; /* of the part that grows */
    uint32_t call;
} fh_heard_choice;

typedef struct fh_heard {
    fh_heard_choice choices[FH_LIMIT_HEARD_CHOICES];
    size_t bytes;
    bool lost; /* it was too much, or memory was out */
} fh_heard;

void fh_heard_fini(fh_heard *h); /* zeros are a good one, and what stays */
void fh_heard_event(fh_heard *h, const fh_wire_event *e);
/* Each part, in the order of its choice; an error that it returns ends it. */
typedef int fh_heard_part(void *arg, fh_str part, fh_err **err);
int fh_heard_each(const fh_heard *h, fh_heard_part *fn, void *arg, fh_err **err);

#endif
