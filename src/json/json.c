/* JSON values: looking at them and building them. Everything here is a thin, checked layer over jansson, whose memory is ours (fh_alloc),
 * so that allocation faults reach it too. A value has no lock: its reference count is atomic, its content must not change once it is
 * shared. */
#include "json_private.h"

static _Thread_local bool alloc_failed, parsing;

/* jansson's reader of strings does not look whether its buffer could grow, and goes on with what fitted: past its end, in the end. So once
 * it got no memory it gets none until it gives up, which it does at the next piece. */
static void *json_alloc(size_t bytes)
{
    void *p = parsing && alloc_failed ? NULL : fh_alloc(bytes);
    if (!p) alloc_failed = true;
    return p;
}

/* Before main, because jansson wants it before the first value is made and offers no lock. */
__attribute__((constructor)) static void json_use_our_memory(void)
{
    json_set_alloc_funcs(json_alloc, fh_free);
}

void json_parse_begin(void)
{
    alloc_failed = false;
    parsing = true;
}

bool json_parse_end(void)
{
    parsing = false;
    return alloc_failed;
}

fh_json *fh_json_ref(fh_json *v)
{
    return json_incref(v);
}

void fh_json_unref(fh_json *v)
{
    json_decref(v);
}

fh_json_kind fh_json_kind_of(const fh_json *v)
{
    if (!v) return FH_JSON_NULL;
    switch (json_typeof(v)) {
    case JSON_OBJECT: return FH_JSON_OBJECT;
    case JSON_ARRAY: return FH_JSON_ARRAY;
    case JSON_STRING: return FH_JSON_STRING;
    case JSON_INTEGER: return FH_JSON_INT;
    case JSON_REAL: return FH_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return FH_JSON_BOOL;
    case JSON_NULL: break;
    }
    return FH_JSON_NULL;
}

const fh_json *fh_json_get(const fh_json *object, const char *key)
{
    return json_object_get(object, key);
}

size_t fh_json_count(const fh_json *v)
{
    return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

const fh_json *fh_json_at(const fh_json *array, size_t i)
{
    return json_array_get(array, i);
}

/* jansson's iterator calls want a changeable object though they only read. */
static fh_json *readable(const fh_json *v)
{
    return (fh_json *)(uintptr_t)v;
}

bool fh_json_next(const fh_json *object, void **it, fh_str *ret_key, const fh_json **ret_value)
{
    if (!json_is_object(object)) return false;
    void *next = *it ? json_object_iter_next(readable(object), *it) : json_object_iter(readable(object));
    if (!next) return false;
    *it = next;
    if (ret_key) *ret_key = (fh_str){json_object_iter_key(next), json_object_iter_key_len(next)};
    if (ret_value) *ret_value = json_object_iter_value(next);
    return true;
}

fh_str fh_json_str(const fh_json *v)
{
    if (!json_is_string(v)) return (fh_str){NULL, 0};
    return (fh_str){json_string_value(v), json_string_length(v)};
}

bool fh_json_is_true(const fh_json *v)
{
    return json_is_true(v);
}

int64_t fh_json_int(const fh_json *v, int64_t otherwise)
{
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

double fh_json_num(const fh_json *v, double otherwise)
{
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

fh_json *fh_json_new_object(void)
{
    return json_object();
}

fh_json *fh_json_new_array(void)
{
    return json_array();
}

/* Copies s with each byte that is no part of a well-formed character replaced. */
static fh_json *mended_string(fh_str s)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(SIZE_MAX / 4);
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        size_t n = fh_utf8_decode(s.ptr + i, s.len - i, &cp);
        if (n)
            fh_buf_add(&b, s.ptr + i, n);
        else
            fh_buf_add(&b, "\xef\xbf\xbd", 3);
        i += n ? n : 1;
    }
    return fh_buf_ok(&b) ? json_stringn_nocheck(b.data, b.len) : NULL;
}

fh_json *fh_json_new_str(fh_str s)
{
    if (!s.len) return json_stringn_nocheck("", 0);
    return fh_utf8_valid(s.ptr, s.len) ? json_stringn_nocheck(s.ptr, s.len) : mended_string(s);
}

fh_json *fh_json_new_cstr(const char *s)
{
    return s ? fh_json_new_str(fh_str_of(s)) : json_null();
}

fh_json *fh_json_new_int(int64_t v)
{
    return json_integer(v);
}

fh_json *fh_json_new_real(double v)
{
    return json_real(v);
}

fh_json *fh_json_new_bool(bool v)
{
    return json_boolean(v);
}

fh_json *fh_json_new_null(void)
{
    return json_null();
}

bool fh_json_set(fh_json *object, const char *key, fh_json *value)
{
    return json_object_set_new(object, key, value) == 0;
}

bool fh_json_append(fh_json *array, fh_json *value)
{
    return json_array_append_new(array, value) == 0;
}
