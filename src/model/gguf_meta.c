/* Metadata of a GGUF file: reading the keys, and the typed reads on them. Values stay in the mapping; only string arrays get an index, one
 * offset for every sixteenth element, so that any element is found in constant time. Arrays of arrays exist on paper only and are refused.
 */
#include "gguf_private.h"
#include <assert.h>
#include <stdlib.h>

/* Bytes of one element; 0 for strings and arrays. */
static unsigned kind_bytes(uint32_t kind)
{
    static const uint8_t bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kind < FH_COUNT(bytes) ? bytes[kind] : 0;
}

static const char *kind_name(fh_gguf_kind kind)
{
    static const char *const names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
    return names[kind];
}

static int take_kind(fh_gguf_cursor *c, const char *field, fh_gguf_kind *ret)
{
    uint64_t at = c->pos;
    uint32_t kind = 0;
    int rc = fh_gguf_take_u32(c, field, &kind);
    if (rc) return rc;
    if (kind > FH_GGUF_F64) return fh_gguf_fault(c, at, field, "is %u, which is no value type", kind);
    *ret = (fh_gguf_kind)kind;
    return 0;
}

static int take_string_array(fh_gguf_cursor *c, fh_gguf_value *v)
{
    if (v->count > c->strings_left)
        return fh_gguf_fault(c, c->pos - 8, "array length", "the string arrays of the file have more than %d elements",
                             FH_LIMIT_GGUF_ARRAY_LEN);
    c->strings_left -= v->count;
    if (v->count > (c->size - c->pos) / 8)
        return fh_gguf_fault(c, c->pos - 8, "array length", "is %llu, but the file ends before", (unsigned long long)v->count);
    v->stops = fh_alloc((v->count / FH_GGUF_STRIDE + 1) * sizeof *v->stops);
    if (!v->stops) return fh_err_nomem(c->err);
    for (uint64_t i = 0; i < v->count; i++) {
        if (i % FH_GGUF_STRIDE == 0) v->stops[i / FH_GGUF_STRIDE] = (uint64_t)(c->base + c->pos - v->data);
        fh_str s;
        int rc = fh_gguf_take_str(c, "string of the array", FH_LIMIT_GGUF_STRING_BYTES, &s);
        if (rc) return rc;
    }
    return 0;
}

static int take_numbers(fh_gguf_cursor *c, fh_gguf_value *v)
{
    unsigned bytes = kind_bytes(v->elem);
    assert(bytes); /* strings and arrays are read elsewhere */
    if (v->count > (c->size - c->pos) / bytes)
        return fh_gguf_fault(c, c->pos, "value", "%llu elements of %u bytes, but %llu bytes are left in the file",
                             (unsigned long long)v->count, bytes, (unsigned long long)(c->size - c->pos));
    for (uint64_t i = 0; v->elem == FH_GGUF_BOOL && i < v->count; i++) {
        if (v->data[i] > 1) return fh_gguf_fault(c, c->pos + i, "value", "is %u, which is no bool", v->data[i]);
    }
    c->pos += v->count * bytes;
    return 0;
}

static int take_array(fh_gguf_cursor *c, fh_gguf_value *v)
{
    uint64_t at = c->pos;
    int rc = take_kind(c, "array type", &v->elem);
    if (rc) return rc;
    if (v->elem == FH_GGUF_ARRAY) return fh_gguf_fault(c, at, "array type", "is array: arrays of arrays are not supported");
    rc = fh_gguf_take_u64(c, "array length", &v->count);
    if (rc) return rc;
    if (v->count > FH_LIMIT_GGUF_ARRAY_LEN)
        return fh_gguf_fault(c, at + 4, "array length", "is %llu; at most %d elements are read", (unsigned long long)v->count,
                             FH_LIMIT_GGUF_ARRAY_LEN);
    v->data = c->base + c->pos;
    return v->elem == FH_GGUF_STRING ? take_string_array(c, v) : take_numbers(c, v);
}

static int take_value(fh_gguf_cursor *c, fh_gguf_value *v)
{
    int rc = take_kind(c, "value type", &v->kind);
    if (rc) return rc;
    if (v->kind == FH_GGUF_ARRAY) return take_array(c, v);
    v->elem = v->kind;
    v->count = 1;
    v->data = c->base + c->pos;
    fh_str s;
    return v->kind == FH_GGUF_STRING ? fh_gguf_take_str(c, "value", FH_LIMIT_GGUF_STRING_BYTES, &s) : take_numbers(c, v);
}

static int take_entry(fh_gguf_cursor *c, fh_gguf_entry *e)
{
    uint64_t at = c->pos;
    c->name = (fh_str){0};
    int rc = fh_gguf_take_str(c, "key", FH_GGUF_KEY_BYTES, &e->key);
    if (rc) return rc;
    if (!e->key.len || memchr(e->key.ptr, 0, e->key.len)) return fh_gguf_fault(c, at, "key", "is empty or holds a NUL");
    c->name = e->key;
    return take_value(c, &e->value);
}

static int compare_entries(const void *a, const void *b, void *arg)
{
    const fh_gguf_entry *entries = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int order = fh_gguf_compare_str(entries[i].key, entries[j].key);
    return order ? order : i < j ? -1 : i > j;
}

static int sort_entries(fh_gguf_cursor *c, fh_gguf_meta *m)
{
    for (uint32_t i = 0; i < m->count; i++) m->by_key[i] = i;
    qsort_r(m->by_key, m->count, sizeof *m->by_key, compare_entries, m->entries);
    for (size_t i = 1; i < m->count; i++) {
        c->item = m->by_key[i];
        c->name = m->entries[c->item].key;
        if (fh_str_eq(m->entries[m->by_key[i - 1]].key, c->name))
            return fh_gguf_fault(c, (uint64_t)((const uint8_t *)c->name.ptr - c->base), "key", "is there twice, first as metadata[%u]",
                                 m->by_key[i - 1]);
    }
    return 0;
}

int fh_gguf_meta_read(fh_gguf_cursor *c, uint64_t count, fh_gguf_meta *ret)
{
    if (count > (c->size - c->pos) / 14) /* the smallest entry: length, a byte of key, type, a byte of value */
        return fh_gguf_fault(c, 16, "metadata_kv_count", "is %llu, but the file ends before", (unsigned long long)count);
    ret->entries = fh_calloc(count, sizeof *ret->entries);
    ret->by_key = fh_calloc(count, sizeof *ret->by_key);
    if (!ret->entries || !ret->by_key) return fh_err_nomem(c->err);
    c->group = "metadata";
    for (c->item = 0; c->item < count; c->item++) {
        ret->count = c->item + 1;
        int rc = take_entry(c, &ret->entries[c->item]);
        if (rc) return rc;
    }
    int rc = sort_entries(c, ret);
    c->group = NULL;
    return rc;
}

void fh_gguf_meta_free(fh_gguf_meta *m)
{
    for (size_t i = 0; i < m->count; i++) fh_free(m->entries[i].value.stops);
    fh_free(m->entries);
    fh_free(m->by_key);
    *m = (fh_gguf_meta){0};
}

const fh_gguf_value *fh_gguf_meta_find(const fh_gguf_meta *m, fh_str key)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const fh_gguf_entry *e = &m->entries[m->by_key[mid]];
        int order = fh_gguf_compare_str(e->key, key);
        if (!order) return &e->value;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const fh_gguf_value *fh_gguf_find(const fh_gguf *g, const char *key)
{
    return fh_gguf_meta_find(&g->meta, fh_str_of(key));
}

size_t fh_gguf_key_count(const fh_gguf *g)
{
    return g->meta.count;
}

fh_str fh_gguf_key_at(const fh_gguf *g, size_t i, const fh_gguf_value **ret_value)
{
    if (ret_value) *ret_value = &g->meta.entries[i].value;
    return g->meta.entries[i].key;
}

fh_gguf_kind fh_gguf_kind_of(const fh_gguf_value *v)
{
    return v->kind;
}

/* Element i of a number array (or 0 of a scalar) as its bits, sign-extended. */
static uint64_t load_element(const fh_gguf_value *v, size_t i)
{
    unsigned bytes = kind_bytes(v->elem);
    uint64_t bits = fh_gguf_load(v->data + i * bytes, bytes);
    bool is_signed = v->elem == FH_GGUF_I8 || v->elem == FH_GGUF_I16 || v->elem == FH_GGUF_I32;
    if (is_signed && bits >> (8 * bytes - 1)) bits |= UINT64_MAX << (8 * bytes);
    return bits;
}

static double element_f64(const fh_gguf_value *v, size_t i)
{
    uint64_t bits = load_element(v, i);
    if (v->elem == FH_GGUF_F32) {
        uint32_t half = (uint32_t)bits;
        float f;
        memcpy(&f, &half, sizeof f);
        return (double)f;
    }
    if (v->elem == FH_GGUF_F64) {
        double d;
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    return v->elem == FH_GGUF_U64 ? (double)bits : (double)(int64_t)bits;
}

bool fh_gguf_as_u64(const fh_gguf_value *v, size_t i, fh_gguf_kind kind, uint64_t *ret)
{
    if (v->kind != kind || !kind_bytes(v->elem) || v->elem == FH_GGUF_F32 || v->elem == FH_GGUF_F64 || v->elem == FH_GGUF_BOOL)
        return false;
    uint64_t bits = load_element(v, i);
    if (v->elem != FH_GGUF_U64 && (int64_t)bits < 0) return false;
    *ret = bits;
    return true;
}

static int absent(const fh_gguf *g, const char *key, fh_err **err)
{
    return fh_err_set(err, FH_E_NOT_FOUND, "%s: has no key %s", g->files[0].path, key);
}

int fh_gguf_needed(int rc, fh_err **err)
{
    if (rc != FH_E_NOT_FOUND) return rc;
    fh_err_set(err, FH_E_CORRUPT, "%s", fh_err_message(err ? *err : NULL));
    fh_err_hint(err, "whoever made this file left out what the model needs: take it from another source, or convert it again");
    return FH_E_CORRUPT;
}

static int wrong(const fh_gguf *g, const char *key, const fh_gguf_value *v, fh_err **err, const char *what)
{
    return fh_err_set(err, FH_E_CORRUPT, "%s: byte %llu, field %s: is %s%s, not %s", g->files[0].path,
                      (unsigned long long)(v->data - (const uint8_t *)g->files[0].map.data), key,
                      v->kind == FH_GGUF_ARRAY ? "array of " : "", kind_name(v->elem), what);
}

int fh_gguf_get_u64(const fh_gguf *g, const char *key, uint64_t min, uint64_t max, uint64_t *ret, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_find(g, key);
    if (!v) return absent(g, key, err);
    uint64_t value = 0;
    if (v->kind == FH_GGUF_ARRAY || !fh_gguf_as_u64(v, 0, v->kind, &value)) return wrong(g, key, v, err, "a whole number of 0 or more");
    if (value < min || value > max)
        return fh_err_set(err, FH_E_CORRUPT, "%s: byte %llu, field %s: is %llu, not within %llu and %llu", g->files[0].path,
                          (unsigned long long)(v->data - (const uint8_t *)g->files[0].map.data), key, (unsigned long long)value,
                          (unsigned long long)min, (unsigned long long)max);
    *ret = value;
    return 0;
}

int fh_gguf_get_f64(const fh_gguf *g, const char *key, double *ret, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_find(g, key);
    if (!v) return absent(g, key, err);
    if (v->kind == FH_GGUF_ARRAY || !kind_bytes(v->kind) || v->kind == FH_GGUF_BOOL) return wrong(g, key, v, err, "a number");
    double value = element_f64(v, 0);
    if (!(value - value == 0)) return wrong(g, key, v, err, "a finite number");
    *ret = value;
    return 0;
}

int fh_gguf_get_bool(const fh_gguf *g, const char *key, bool *ret, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_find(g, key);
    if (!v) return absent(g, key, err);
    if (v->kind != FH_GGUF_BOOL) return wrong(g, key, v, err, "a bool");
    *ret = v->data[0];
    return 0;
}

static fh_str string_at(const uint8_t *p)
{
    return (fh_str){(const char *)p + 8, (size_t)fh_gguf_load(p, 8)};
}

int fh_gguf_get_str(const fh_gguf *g, const char *key, fh_str *ret, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_find(g, key);
    if (!v) return absent(g, key, err);
    if (v->kind != FH_GGUF_STRING) return wrong(g, key, v, err, "a string");
    *ret = string_at(v->data);
    return 0;
}

int fh_gguf_get_array(const fh_gguf *g, const char *key, fh_gguf_kind elem_kind, const fh_gguf_value **ret, size_t *ret_count, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_find(g, key);
    if (!v) return absent(g, key, err);
    char what[32] = "an array of ";
    strncat(what, kind_name(elem_kind), sizeof what - strlen(what) - 1);
    if (v->kind != FH_GGUF_ARRAY || v->elem != elem_kind) return wrong(g, key, v, err, what);
    *ret = v;
    *ret_count = (size_t)v->count;
    return 0;
}

fh_str fh_gguf_array_str(const fh_gguf_value *array, size_t i)
{
    assert(array->elem == FH_GGUF_STRING && i < array->count);
    const uint8_t *p = array->data + array->stops[i / FH_GGUF_STRIDE];
    for (size_t left = i % FH_GGUF_STRIDE; left; left--) p += 8 + fh_gguf_load(p, 8);
    return string_at(p);
}

double fh_gguf_array_f64(const fh_gguf_value *array, size_t i)
{
    assert(array->elem != FH_GGUF_STRING && i < array->count);
    return element_f64(array, i);
}

int64_t fh_gguf_array_i64(const fh_gguf_value *array, size_t i)
{
    assert(array->elem != FH_GGUF_STRING && i < array->count);
    return (int64_t)load_element(array, i);
}
