/* What a client has of a streamed answer already: enough for another replica to go on with it, and no more than SENT_BYTES.
 *
 * Going on is possible from the very tokens (our own engine says them in a comment of each event, and computes none of them again) or from
 * the text. From tokens everything can go on; from text what has a beginning that cannot be said there cannot: a tool call, a thought
 * without an answer yet, several choices, log probabilities. Pure. */
#ifndef FH_GATEWAY_SENT_H
#define FH_GATEWAY_SENT_H

#include "gateway/ports.h"
#include "wire/stream.h"

typedef struct fh_sent {
    fh_buf text;                  /* of the answer */
    fh_buf tokens;                /* "1,2,3" */
    size_t again;                 /* bytes at the end of text that the continuation is expected to say once more */
    uint64_t token_count, pieces; /* pieces: events with something of the answer, about a token each where tokens are not said */
    bool untold;                  /* a piece came without its tokens */
    uint32_t choices, ended;      /* of the answer: that it has, 0 as 1; whose end came */
    bool reasoning, calls, finished, logprobs; /* finished: all choices have ended */
    fh_wire_finish finish;
} fh_sent;

void fh_sent_init(fh_sent *s);
void fh_sent_fini(fh_sent *s);
void fh_sent_event(fh_sent *s, const fh_wire_event *e);
/* The comment of an event of our own engine: "tok 12 345"; the first one goes on with how many tokens its prompt has, and how many of these
 * were in the cache: " prompt 57 9". piece: the event held something of the answer. */
void fh_sent_comment(fh_sent *s, fh_str comment, bool piece);
void fh_sent_prompt(fh_str comment, fh_wire_usage *ret); /* of such a first one; any other leaves ret as it is */
uint64_t fh_sent_count(const fh_sent *s);                /* tokens, as well as is known */
bool fh_sent_any(const fh_sent *s);
/* How a replica that goes on as `how` at best would; FH_RESUME_NEVER when it cannot. */
fh_resume fh_sent_resume(const fh_sent *s, fh_resume how);
/* The text that another replica goes on from: without the blanks at its end. A template may cut them off, and a model goes on badly behind
 * them; without them every upstream says them again. */
fh_str fh_sent_text(const fh_sent *s);
/* A call is begun that goes on from fh_sent_text: those blanks are expected once more. */
void fh_sent_expect_blanks(fh_sent *s);
/* Removes from the next text of the continuation the blanks that the client has already. Changes *text. */
void fh_sent_seam(fh_sent *s, fh_str *text);

#endif
