/* The tokens of one request, counted by its model's own tokenizer: of its prompt while it runs, of its answer once that is there.
 *
 * What is counted of a prompt: all that the model reads where the file has the model's chat template (a GGUF), and for plain completions;
 * else the texts of messages and tools alone. What of an answer: its text, thought, refusal, and the names and arguments of its calls;
 * neither tags around them nor the token that ends it. Threads: a count belongs to the loop that began it, but for what its tokenizers'
 * thread does. */
#ifndef FH_GATEWAY_COUNT_H
#define FH_GATEWAY_COUNT_H

#include "gateway/tokenizers.h"
#include "gateway/usage.h"
#include "heard.h"
#include "wire/openai.h"

typedef struct fh_count fh_count;
typedef struct fh_count_result {
    uint64_t prompt_tok, completion_tok, messages;
    fh_covers covers;
} fh_count_result;

/* The prompt is counted from now on. request: the chat or completion request; copied as text. NULL: it cannot be counted. */
fh_count *fh_count_begin(fh_tokenizers *t, uint64_t tokenizer, const fh_wire_request *request);
bool fh_count_uses(const fh_count *c, uint64_t tokenizer);
/* The answer is counted; takes what was heard. False: it cannot be. */
bool fh_count_answer(fh_count *c, fh_heard *heard);
/* fn(arg, count) once all is counted, or cannot be: on the loop, or with loop NULL at once or on the tokenizers' thread. Replaces the one
 * that was to be called before. Behind fh_count_answer. */
typedef void fh_count_done(void *arg, fh_count *c);
void fh_count_then(fh_count *c, fh_loop *loop, fh_count_done *fn, void *arg);
bool fh_count_get(const fh_count *c, fh_count_result *ret); /* once it is done; false: it could not be */
/* Who began it is done with it: what was to be called on a loop is not any more; what was to be called elsewhere is. NULL is fine. */
void fh_count_leave(fh_count *c);

/* Pure: theirs differ from ours by more than a few tokens. */
bool fh_count_differs(const fh_count_result *ours, const fh_used *theirs);

#endif
