/* Dictionaries that keep the order of insertion. Small ones are searched from the front; larger ones have a table. Hostile keys can make a
 * search long but not free: every probe is charged as a step. */
#include "jinja.h"

#include <math.h>

enum { SMALL = 8 };

int jinja_dict(jrun *r, size_t room, jval *ret)
{
    jdict *d = jinja_alloc(r, sizeof(*d));
    if (!d) return jinja_failed(r);
    d->cap = FH_MAX(room, (size_t)4);
    d->entries = jinja_array(r, d->cap, sizeof(*d->entries));
    if (!d->entries) return jinja_failed(r);
    *ret = (jval){.kind = J_DICT, .u.dict = d};
    return 0;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)p[i]) * 0x100000001b3u;
    return mix(h);
}

static uint64_t hash_float(double f)
{
    if (f >= -9e18 && f <= 9e18 && f == floor(f)) return mix((uint64_t)(int64_t)f);
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return mix(bits);
}

static int hash_tuple(jrun *r, const jlist *l, uint64_t *ret)
{
    uint64_t h = 7 + l->count, one = 0;
    int rc = jinja_deeper(r);
    for (size_t i = 0; i < l->count && !rc; i++) {
        rc = jinja_hash(r, l->items[i], &one);
        h = mix(h * 31 + one);
    }
    jinja_shallower(r);
    *ret = h;
    return rc;
}

int jinja_hash(jrun *r, jval v, uint64_t *ret)
{
    int rc = jinja_steps(r, v.kind == J_STR ? v.len : 0);
    if (rc) return rc;
    switch ((jkind)v.kind) {
    case J_STR: *ret = hash_bytes(v.u.s, v.len); return 0;
    case J_BOOL:
    case J_INT: *ret = mix((uint64_t)jinja_as_int(v)); return 0;
    case J_FLOAT: *ret = hash_float(v.u.f); return 0;
    case J_TUPLE: return hash_tuple(r, v.u.list, ret);
    case J_NONE:
    case J_UNDEF: *ret = v.kind; return 0;
    case J_LIST:
    case J_DICT:
    case J_SLICE: return jinja_fail(r, FH_E_INVALID, "unhashable type: '%s'", jinja_type(v));
    case J_MISSING:
    case J_VIEW:
    case J_RANGE:
    case J_ITER:
    case J_NAMESPACE:
    case J_LOOP:
    case J_MACRO:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER: break;
    }
    *ret = mix((uint64_t)(uintptr_t)v.u.s);
    return 0;
}

static int same_key(jrun *r, jval a, jval b, bool *ret)
{
    if (a.kind == J_STR && b.kind == J_STR) {
        *ret = a.len == b.len && (a.u.s == b.u.s || memcmp(a.u.s, b.u.s, a.len) == 0);
        return 0;
    }
    return jinja_equal(r, a, b, ret);
}

/* *ret_at: where it is, or SIZE_MAX. */
static int find_small(jrun *r, const jdict *d, jval key, size_t *ret_at)
{
    bool same = false;
    for (size_t i = 0; i < d->count; i++) {
        int rc = same_key(r, d->entries[i].key, key, &same);
        if (rc) return rc;
        if (!same) continue;
        *ret_at = i;
        return 0;
    }
    *ret_at = SIZE_MAX;
    return 0;
}

static int find_table(jrun *r, const jdict *d, jval key, uint64_t hash, size_t *ret_at, size_t *ret_cell)
{
    size_t mask = d->table_size - 1;
    for (size_t cell = hash & mask;; cell = (cell + 1) & mask) {
        uint32_t at = d->table[cell];
        bool same = false;
        int rc = at ? same_key(r, d->entries[at - 1].key, key, &same) : 0;
        if (!rc) rc = jinja_steps(r, 0);
        if (rc) return rc;
        if (at && !same) continue;
        *ret_at = at ? at - 1 : SIZE_MAX;
        *ret_cell = cell;
        return 0;
    }
}

static int rehash(jrun *r, jdict *d)
{
    size_t size = 32;
    while (size < d->cap * 2) size *= 2;
    d->table = jinja_array(r, size, sizeof(*d->table));
    if (!d->table) return jinja_failed(r);
    d->table_size = size;
    for (size_t i = 0; i < d->count; i++) {
        uint64_t hash;
        int rc = jinja_hash(r, d->entries[i].key, &hash);
        if (rc) return rc;
        size_t cell = hash & (size - 1);
        while (d->table[cell]) cell = (cell + 1) & (size - 1);
        d->table[cell] = (uint32_t)i + 1;
    }
    return 0;
}

static int grow(jrun *r, jdict *d)
{
    if (d->count < d->cap) return 0;
    jentry *entries = jinja_array(r, d->cap * 2, sizeof(*entries));
    if (!entries) return jinja_failed(r);
    memcpy(entries, d->entries, d->count * sizeof(*entries));
    d->entries = entries;
    d->cap *= 2;
    return d->table ? rehash(r, d) : 0;
}

int jinja_dict_put(jrun *r, jdict *d, jval key, jval value)
{
    size_t at = SIZE_MAX, cell = 0;
    uint64_t hash = 0;
    int rc = grow(r, d);
    if (!rc && !d->table && d->count >= SMALL) rc = rehash(r, d);
    if (!rc && (d->table || key.kind != J_STR)) rc = jinja_hash(r, key, &hash); /* also tells what cannot be a key */
    if (!rc) rc = d->table ? find_table(r, d, key, hash, &at, &cell) : find_small(r, d, key, &at);
    if (rc) return rc;
    if (at != SIZE_MAX) {
        d->entries[at].value = value;
        return 0;
    }
    d->entries[d->count++] = (jentry){key, value};
    if (d->table) d->table[cell] = (uint32_t)d->count;
    return 0;
}

int jinja_dict_find(jrun *r, const jdict *d, jval key, const jval **ret)
{
    size_t at, cell;
    uint64_t hash = 0;
    int rc = d->table || key.kind != J_STR ? jinja_hash(r, key, &hash) : 0;
    if (!rc) rc = d->table ? find_table(r, d, key, hash, &at, &cell) : find_small(r, d, key, &at);
    if (rc) return rc;
    *ret = at == SIZE_MAX ? NULL : &d->entries[at].value;
    return 0;
}

const jval *jinja_dict_get(const jdict *d, fh_str key)
{
    size_t mask = d->table_size - 1;
    if (!d->table) {
        for (size_t i = 0; i < d->count; i++)
            if (d->entries[i].key.kind == J_STR && fh_str_eq(jinja_text_of(d->entries[i].key), key)) return &d->entries[i].value;
        return NULL;
    }
    for (size_t cell = hash_bytes(key.ptr, key.len) & mask; d->table[cell]; cell = (cell + 1) & mask) {
        const jentry *e = &d->entries[d->table[cell] - 1];
        if (e->key.kind == J_STR && fh_str_eq(jinja_text_of(e->key), key)) return &e->value;
    }
    return NULL;
}
