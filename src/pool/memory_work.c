/* Work on memory (see memory_work.h). */
#include "memory_work.h"

enum { LANES = 8, ROUNDS = 8 };

/* The constants are those of SplitMix64 (Steele, Lea, Flood 2014) and of Fibonacci hashing. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

void pool_chunk_make(uint64_t seed, size_t index, uint64_t *words)
{
    uint64_t lane[LANES];
    for (size_t i = 0; i < LANES; i++) lane[i] = mix(seed ^ mix(index * LANES + i + 1));
    for (size_t w = 0; w < POOL_CHUNK_WORDS; w += LANES) {
        for (int round = 0; round < ROUNDS; round++)
            for (size_t i = 0; i < LANES; i++) lane[i] = (lane[i] ^ (lane[i] >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
        for (size_t i = 0; i < LANES; i++) words[w + i] = lane[i] += w;
    }
}

uint64_t pool_chunk_digest(const uint64_t *words, uint64_t key)
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    uint64_t sums[LANES] = {0}, all = 0;
    for (size_t w = 0; w < POOL_CHUNK_WORDS; w += LANES)
        for (size_t i = 0; i < LANES; i++) sums[i] ^= (uint64_t)((uint32_t)words[w + i] + low) * ((uint32_t)(words[w + i] >> 32) + high);
    for (size_t i = 0; i < LANES; i++) all = mix(all + sums[i]);
    return all;
}

uint64_t pool_next_key(uint64_t key, const uint64_t *digests, size_t count)
{
    for (size_t i = 0; i < count; i++) key = mix(key + digests[i]);
    return key;
}
