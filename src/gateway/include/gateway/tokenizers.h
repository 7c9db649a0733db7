/* Tokenizers of models that others run, so that we count their tokens ourselves: a GGUF, a tokenizer.json or a tiktoken file each
 * (model/vocab.h), loaded once however many name it.
 *
 * A thread of its own loads and counts; nobody waits for it but who asks to be told. Bounded: TOKENIZERS files, COUNTS_WAITING counts and
 * COUNTS_WAITING_BYTES of their texts; what is beyond is not counted here. Threads: any. */
#ifndef FH_GATEWAY_TOKENIZERS_H
#define FH_GATEWAY_TOKENIZERS_H

#include "base/err.h"
#include "base/mem.h"
#include "net/loop.h"
#include <stdint.h>

typedef struct fh_tokenizers fh_tokenizers;
int fh_tokenizers_new(fh_tokenizers **ret, fh_err **err);
void fh_tokenizers_free(fh_tokenizers *t); /* what waits is done first, and nobody is told any more; while the loops still exist */
FH_DEFINE_AUTO(fh_tokenizers, fh_tokenizers_free);
void fh_tokenizers_settle(fh_tokenizers *t); /* returns once what waits now is done */
/* Once no loop runs: a load that has begun is waited for, none begins any more, and whoever was not told of a load's end is told here that
 * it did not come to be (FH_E_UNAVAILABLE). t may be NULL. */
void fh_tokenizers_stop_loading(fh_tokenizers *t);

/* id: for fh_tokenizers_leave; why: it cannot be used, NULL when it can. On the loop, once. */
typedef void fh_tokenizer_loaded(void *arg, uint64_t id, const fh_err *why);
/* Takes fd, a regular file that is open for reading; name: its name without the folder, by which tiktoken files are known. FH_E_CONFLICT
 * when there are too many. */
int fh_tokenizers_load(fh_tokenizers *t, int fd, const char *name, fh_loop *loop, fh_tokenizer_loaded *done, void *arg, fh_err **err);
void fh_tokenizers_join(fh_tokenizers *t, uint64_t id);  /* somebody else counts by it too */
void fh_tokenizers_leave(fh_tokenizers *t, uint64_t id); /* who loaded it has no use for it any more; 0: nothing */

#endif
