/* Pages kept for later requests: a radix tree over tokens, an edge a page, below a salt; and on disk for later starts, where that is
 * wanted.
 *
 * Requests of the same salt that begin with the same tokens use the same pages, at the same time too. Only the last page of a sequence that
 * has ended may be kept half full; who begins with its tokens gets a copy of those rows. What no sequence uses goes when a page is needed,
 * what was not used for the longest first, and never a page before those that follow it.
 *
 * Threads: the batch thread. All memory is made at the start. */
#ifndef FH_ENGINE_PREFIX_H
#define FH_ENGINE_PREFIX_H

#include "kv.h"
#include "spill.h"
#include "model/vocab.h"

enum { FH_PREFIX_SALT_MAX = 64, FH_PREFIX_COPY_MIN_TOK = 8 };

typedef struct fh_prefix fh_prefix;
/* kv and spill (NULL: nothing goes to disk) are borrowed until fh_prefix_free. */
int fh_prefix_new(fh_prefix **ret, fh_kv *kv, fh_spill *spill, fh_err **err);
void fh_prefix_free(fh_prefix *p);
FH_DEFINE_AUTO(fh_prefix, fh_prefix_free);

/* What a sequence is to be found by. */
typedef struct fh_prefix_key {
    const char *salt; /* at most FH_PREFIX_SALT_MAX characters */
    const fh_token *tokens;
    size_t count;
    bool spill; /* the disk is looked at and written too */
} fh_prefix_key;

/* seq holds the first `done` tokens of the key, whole pages: appends what else of them is kept, and returns how many tokens it then holds.
 */
size_t fh_prefix_match(fh_prefix *p, const fh_prefix_key *key, fh_kv_seq *seq, size_t done);
/* Keeps the pages of seq, which holds the key's tokens. last: the half full one too, nobody may write it any more; full ones begin to go to
 * disk. */
void fh_prefix_keep(fh_prefix *p, const fh_prefix_key *key, const fh_kv_seq *seq, bool last);
/* As fh_kv_seq_grow, at the cost of kept pages. */
bool fh_prefix_grow(fh_prefix *p, fh_kv_seq *seq, size_t tok);
void fh_prefix_settle(fh_prefix *p);        /* waits until all that goes to disk is there */
size_t fh_prefix_count(const fh_prefix *p); /* pages that are kept */
/* Whether the tree is one: each node's page kept, no node before its parent in the order of use, each counted. For tests. */
bool fh_prefix_whole(const fh_prefix *p);

#endif
