/* Work that shows how fast a machine reads its memory, and that it was done. Pure; threads: any.
 *
 * An array is made of a seed that nobody knows before, in chunks each of which can be made alone. A pass reads all of it: with a key it has
 * a digest of each chunk, and the next pass's key is made of those, so that no pass can be done before the one before, and none without the
 * array. Who has the digests checks some that nobody can foresee by making those chunks again. A digest is the exclusive or of products of
 * the halves of each word, after the key's halves were added (after NH of UMAC, RFC 4418, 5.2.2, whose sum has a short cut that this has
 * not). A word takes eight multiplications that follow each other, so that making it again is dearer than reading it. */
#ifndef FH_POOL_MEMORY_WORK_H
#define FH_POOL_MEMORY_WORK_H

#include <stddef.h>
#include <stdint.h>

enum { POOL_CHUNK_BYTES = 512 << 10, POOL_CHUNK_WORDS = POOL_CHUNK_BYTES / 8 };

void pool_chunk_make(uint64_t seed, size_t index, uint64_t *words); /* POOL_CHUNK_WORDS of them */
uint64_t pool_chunk_digest(const uint64_t *words, uint64_t key);
uint64_t pool_next_key(uint64_t key, const uint64_t *digests, size_t count);

#endif
