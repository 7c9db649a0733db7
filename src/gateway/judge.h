/* Whether an answer does what its request asked for, as far as that can be seen from the answer: it is JSON where JSON was asked for and
 * keeps to the schema; its tool calls name tools that there are, with arguments that keep to their parameters; a call is there when one had
 * to be. Takes the events of a reply as they come; holds the answer up to JUDGE_BYTES while it does, and nothing of it afterwards. Pure. */
#ifndef FH_GATEWAY_JUDGE_H
#define FH_GATEWAY_JUDGE_H

#include "base/mem.h"
#include "wire/stream.h"

typedef enum fh_verdict {
    FH_VERDICT_NONE,  /* nothing could be checked, or the answer was cut by its limit */
    FH_VERDICT_PLAIN, /* it came to its end, and no more can be said */
    FH_VERDICT_GOOD,
    FH_VERDICT_EMPTY,  /* nothing was said at all */
    FH_VERDICT_FORM,   /* not the form that was asked for */
    FH_VERDICT_CALL,   /* a tool call that cannot be made */
    FH_VERDICT_NO_CALL /* a call was asked for and none came */
} fh_verdict;
bool fh_verdict_bad(fh_verdict v);
const char *fh_verdict_text(fh_verdict v); /* of a bad one: "its answer did not ..." */

typedef struct fh_judge fh_judge;
fh_judge *fh_judge_new(const fh_wire_request *r); /* keeps what it needs of the request; NULL when memory is out */
void fh_judge_free(fh_judge *j);
FH_DEFINE_AUTO(fh_judge, fh_judge_free);
bool fh_judge_can(const fh_judge *j);                                  /* is there more to check than that an answer came? */
void fh_judge_again(fh_judge *j);                                      /* forgets the answer so far: another one comes */
int fh_judge_event(void *judge, const fh_wire_event *e, fh_err **err); /* a fh_wire_sink; never fails */
fh_verdict fh_judge_verdict(const fh_judge *j);
bool fh_judge_called(const fh_judge *j); /* it called a tool */

#endif
