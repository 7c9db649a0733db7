/* Which replica has seen the beginning of a prompt: a bounded memory of block hashes, so that requests that share a long beginning go where
 * it was computed already.
 *
 * A prompt is cut into blocks of PREFIX_BLOCK_BYTES of its text; the hash of a block covers all before it and the salt of the key, so equal
 * hashes mean equal beginnings of one account's prompts: the set of hashes is a radix tree, laid flat. Each hash remembers up to four
 * replicas; the oldest gives way. It is a guess about what the replica still holds, never more than that. Threads: any; a lock held for a
 * lookup only. */
#ifndef FH_GATEWAY_PREFIX_H
#define FH_GATEWAY_PREFIX_H

#include "base/limits.h"
#include "base/mem.h"
#include "wire/openai.h"

typedef struct fh_prefix { /* of one prompt; memory behind blocks[count] may have been given back */
    size_t count;
    uint64_t blocks[FH_LIMIT_PREFIX_BLOCKS];
} fh_prefix;
/* salt: of the key. Pure. */
void fh_prefix_of(fh_prefix *ret, const char *salt, const fh_wire_request *r);

typedef struct fh_prefixes fh_prefixes;
fh_prefixes *fh_prefixes_new(void); /* NULL when memory is out */
void fh_prefixes_free(fh_prefixes *p);
FH_DEFINE_AUTO(fh_prefixes, fh_prefixes_free);
/* The share of the prompt, 0 to 1, that the replica has seen. replica: any number that names it; not 0. */
double fh_prefixes_match(fh_prefixes *p, const fh_prefix *prompt, uint64_t replica);
void fh_prefixes_note(fh_prefixes *p, const fh_prefix *prompt, uint64_t replica); /* it computes the prompt now */

#endif
