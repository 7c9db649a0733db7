/* Open addressing over an insertion-ordered array of entries. Removal swaps the last entry into the hole. */
#include "base/map.h"

#include <sys/random.h>

typedef struct entry {
    char *key; /* owned */
    size_t len;
    uint64_t hash;
    void *value;
} entry;

struct fh_map {
    entry *entries;
    uint32_t *slots; /* index of the entry + 1; 0 = free */
    size_t count, entry_cap, slot_count;
    uint8_t seed[16];
    void (*free_value)(void *);
};

static inline uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

/* SipHash-2-4, Aumasson and Bernstein 2012. */
uint64_t fh_siphash(const uint8_t key[16], const void *data, size_t bytes)
{
    uint64_t k[2], m;
    memcpy(k, key, sizeof k);
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575ULL, k[1] ^ 0x646f72616e646f6dULL, k[0] ^ 0x6c7967656e657261ULL,
                     k[1] ^ 0x7465646279746573ULL};
    const uint8_t *p = data;
    size_t whole = bytes & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&m, p + i, 8);
        sip_word(v, m);
    }
    m = (uint64_t)bytes << 56;
    for (size_t i = whole; i < bytes; i++) m |= (uint64_t)p[i] << (8 * (i - whole));
    sip_word(v, m);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

fh_map *fh_map_new(void (*free_value)(void *))
{
    fh_map *m = fh_calloc(1, sizeof *m);
    if (!m) return NULL;
    m->free_value = free_value;
    uintptr_t address = (uintptr_t)m;
    if (getrandom(m->seed, sizeof m->seed, GRND_NONBLOCK) != (ssize_t)sizeof m->seed) memcpy(m->seed, &address, sizeof address);
    return m;
}

void fh_map_free(fh_map *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->count; i++) {
        if (m->free_value) m->free_value(m->entries[i].value);
        fh_free(m->entries[i].key);
    }
    fh_free(m->entries);
    fh_free(m->slots);
    fh_free(m);
}

size_t fh_map_count(const fh_map *m)
{
    return m->count;
}

/* The slot of the key, or the free slot where it would go. The table is never full. */
static size_t slot_of(const fh_map *m, fh_str key, uint64_t hash)
{
    size_t i = hash & (m->slot_count - 1);
    for (;; i = (i + 1) & (m->slot_count - 1)) {
        if (!m->slots[i]) return i;
        const entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == hash && fh_str_eq((fh_str){e->key, e->len}, key)) return i;
    }
}

void *fh_map_find(const fh_map *m, fh_str key)
{
    if (m->count == 0) return NULL;
    size_t slot = slot_of(m, key, fh_siphash(m->seed, key.ptr, key.len));
    return m->slots[slot] ? m->entries[m->slots[slot] - 1].value : NULL;
}

static bool slots_grow(fh_map *m)
{
    size_t count = m->slot_count ? m->slot_count * 2 : 16;
    uint32_t *slots = fh_calloc(count, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < m->count; i++) {
        size_t at = m->entries[i].hash & (count - 1);
        while (slots[at]) at = (at + 1) & (count - 1);
        slots[at] = (uint32_t)(i + 1);
    }
    fh_free(m->slots);
    m->slots = slots;
    m->slot_count = count;
    return true;
}

static bool room_make(fh_map *m)
{
    if (m->count >= UINT32_MAX - 1) return false;
    if ((m->count + 1) * 4 > m->slot_count * 3 && !slots_grow(m)) return false;
    if (m->count < m->entry_cap) return true;
    size_t cap = m->entry_cap ? m->entry_cap * 2 : 8;
    entry *entries = fh_realloc_array(m->entries, cap, sizeof *entries);
    if (!entries) return false;
    m->entries = entries;
    m->entry_cap = cap;
    return true;
}

bool fh_map_put(fh_map *m, fh_str key, void *value)
{
    if (!room_make(m)) return false;
    uint64_t hash = fh_siphash(m->seed, key.ptr, key.len);
    size_t slot = slot_of(m, key, hash);
    if (m->slots[slot]) {
        entry *e = &m->entries[m->slots[slot] - 1];
        if (m->free_value && e->value != value) m->free_value(e->value);
        e->value = value;
        return true;
    }
    char *copy = fh_strndup(key.ptr, key.len);
    if (!copy) return false;
    m->entries[m->count] = (entry){copy, key.len, hash, value};
    m->slots[slot] = (uint32_t)++m->count;
    return true;
}

/* Closes the gap at slot so that probing never meets a hole before its key (Knuth 6.4, algorithm R). */
static void slot_clear(fh_map *m, size_t slot)
{
    size_t mask = m->slot_count - 1, hole = slot;
    m->slots[hole] = 0;
    for (size_t i = (hole + 1) & mask; m->slots[i]; i = (i + 1) & mask) {
        size_t home = m->entries[m->slots[i] - 1].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        m->slots[hole] = m->slots[i];
        m->slots[i] = 0;
        hole = i;
    }
}

void *fh_map_remove(fh_map *m, fh_str key)
{
    if (m->count == 0) return NULL;
    size_t slot = slot_of(m, key, fh_siphash(m->seed, key.ptr, key.len));
    if (!m->slots[slot]) return NULL;
    size_t index = m->slots[slot] - 1;
    void *value = m->entries[index].value;
    slot_clear(m, slot);
    fh_free(m->entries[index].key);
    size_t last = --m->count;
    if (index != last) {
        entry moved = m->entries[last];
        m->slots[slot_of(m, (fh_str){moved.key, moved.len}, moved.hash)] = (uint32_t)(index + 1);
        m->entries[index] = moved;
    }
    return value;
}

bool fh_map_next(const fh_map *m, size_t *i, fh_str *ret_key, void **ret_value)
{
    if (*i >= m->count) return false;
    const entry *e = &m->entries[(*i)++];
    *ret_key = (fh_str){e->key, e->len};
    *ret_value = e->value;
    return true;
}
