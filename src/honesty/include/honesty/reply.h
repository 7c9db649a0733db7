/* What an engine says of a completion's tokens, and how far that is from what ours says of the same ones.
 *
 * Two shapes are read: OpenAI's of completions (arrays tokens, token_logprobs, top_logprobs) and that of chats (content: one object a
 * token), which llama-server gives for both. Replies come from outside: whatever they say is bounded. Pure; any thread. */
#ifndef FH_HONESTY_REPLY_H
#define FH_HONESTY_REPLY_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "json/json.h"

typedef struct fh_honesty_token {
    fh_str text;
    double logprob; /* natural; at most 0 */
} fh_honesty_token;

typedef struct fh_honesty_position { /* texts are borrowed from the document */
    fh_honesty_token chosen;
    fh_honesty_token top[FH_LIMIT_TOP_LOGPROBS + 1]; /* likely ones; the chosen one may be among them, likely or not */
    size_t top_count;
} fh_honesty_position;

typedef struct fh_honesty_reply { /* borrows from the document */
    fh_str text;
    bool ended;                         /* by itself, so there may be a token that says so */
    int64_t prompt_tok, completion_tok; /* as it says; -1: it does not */
    fh_honesty_position positions[FH_LIMIT_HONESTY_ANSWER_TOK];
    size_t count;
} fh_honesty_reply;

/* The first choice of a completion. FH_E_UPSTREAM when there is none, or no log-probabilities, or more tokens than were asked for. */
int fh_honesty_reply_read(fh_honesty_reply *ret, const fh_json *doc, fh_err **err);

/* Whether what it tells is about each of its tokens, in order. llama-server leaves out those that are a part of a character: all behind one
 * are then about another place than they seem to be. */
bool fh_honesty_reply_whole(const fh_honesty_reply *r);
/* The tokens of the answer, as far as it can be told from their texts; fallback when those are not the answer. */
int64_t fh_honesty_reply_tok(const fh_honesty_reply *r, int64_t fallback);

/* How many of the reply's tokens our tokenizer finds behind the prompt's, in the prompt and the answer as one text: those that both mean by
 * the same ids. prompt, both: arrays that /tokenize gives with pieces. None when the answer's beginning changes how the prompt is split. */
size_t fh_honesty_shared(const fh_honesty_reply *r, const fh_json *prompt, const fh_json *both);

/* The mean distance of the two logarithms over the tokens that ours finds likely, each weighted by how likely ours finds it; in nats, 0 to
 * FH_HONESTY_FAR. What is missing there though it would have been among the likely ones counts with what it lacks at least. */
#define FH_HONESTY_FAR 1.0
double fh_honesty_deviation(const fh_honesty_position *said, const fh_honesty_position *ours);
double fh_honesty_logprob(const fh_honesty_position *ours,
                          fh_str token); /* of that token, at most: the least likely we know of when it is not among them */

#endif
