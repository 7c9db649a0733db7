/* JSON on both sides: variables come in as fh_json, and tojson goes out as Python's json.dumps writes. */
#include "jinja.h"

static int from_array(jrun *r, const fh_json *v, jval *ret)
{
    jbuilder b = {.cap = fh_json_count(v)};
    b.items = jinja_array(r, FH_MAX(b.cap, (size_t)1), sizeof(*b.items));
    int rc = b.items ? jinja_deeper(r) : jinja_failed(r);
    if (rc) return rc;
    for (; b.count < b.cap && !rc; b.count++) rc = jinja_from_json(r, fh_json_at(v, b.count), &b.items[b.count]);
    jinja_shallower(r);
    return rc ? rc : jinja_built(r, &b, J_LIST, ret);
}

static int from_object(jrun *r, const fh_json *v, jval *ret)
{
    jval dict, item;
    void *it = NULL;
    fh_str key;
    const fh_json *member;
    int rc = jinja_dict(r, fh_json_count(v), &dict);
    if (!rc) rc = jinja_deeper(r);
    if (rc) return rc;
    while (!rc && fh_json_next(v, &it, &key, &member)) {
        rc = jinja_from_json(r, member, &item);
        if (!rc) rc = jinja_dict_put(r, dict.u.dict, jinja_str(key), item);
    }
    jinja_shallower(r);
    *ret = dict;
    return rc;
}

/* Strings are borrowed from the document. */
int jinja_from_json(jrun *r, const fh_json *v, jval *ret)
{
    switch (fh_json_kind_of(v)) {
    case FH_JSON_NULL: *ret = jinja_none(); break;
    case FH_JSON_BOOL: *ret = jinja_bool(fh_json_is_true(v)); break;
    case FH_JSON_INT: *ret = jinja_int(fh_json_int(v, 0)); break;
    case FH_JSON_REAL: *ret = jinja_float(fh_json_num(v, 0)); break;
    case FH_JSON_STRING: *ret = jinja_str(fh_json_str(v)); break;
    case FH_JSON_ARRAY: return from_array(r, v, ret);
    case FH_JSON_OBJECT: return from_object(r, v, ret);
    }
    return jinja_steps(r, 0);
}

/* ---- out ---- */

typedef struct writer {
    jrun *r;
    const jjson_style *style;
    size_t level;
} writer;

static int write_json(writer *w, jval v);

static void write_code_unit(fh_buf *out, uint32_t unit)
{
    fh_buf_addf(out, "\\u%04x", unit);
}

static void write_special(fh_buf *out, uint32_t cp)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *found = cp < 128 && cp ? strchr(from, (int)cp) : NULL;
    if (found) {
        fh_buf_addc(out, '\\');
        fh_buf_addc(out, to[found - from]);
    } else if (cp < 0x10000) {
        write_code_unit(out, cp);
    } else {
        write_code_unit(out, 0xd800 + ((cp - 0x10000) >> 10));
        write_code_unit(out, 0xdc00 + ((cp - 0x10000) & 0x3ff));
    }
}

static int write_string(writer *w, fh_str s)
{
    fh_buf *out = &w->r->out;
    size_t from = 0, n;
    uint32_t cp;
    fh_buf_addc(out, '"');
    for (size_t i = 0; i < s.len && (n = fh_utf8_decode(s.ptr + i, s.len - i, &cp)); i += n) {
        bool special = cp < 32 || cp == '"' || cp == '\\' || (w->style->ascii && cp > 126);
        if (!special) continue;
        fh_buf_add(out, s.ptr + from, i - from);
        write_special(out, cp);
        from = i + n;
    }
    fh_buf_add(out, s.ptr + from, s.len - from);
    fh_buf_addc(out, '"');
    int rc = jinja_steps(w->r, s.len);
    return rc ? rc : jinja_out_check(w->r);
}

static int write_number(writer *w, double f)
{
    char text[40];
    jinja_float_repr(f, text);
    const char *word = text[0] == 'n' ? "NaN" : text[0] == 'i' ? "Infinity" : text[1] == 'i' ? "-Infinity" : text;
    fh_buf_adds(&w->r->out, word);
    return 0;
}

static void new_line(writer *w)
{
    if (!w->style->pretty) return;
    fh_buf_addc(&w->r->out, '\n');
    for (size_t i = 0; i < w->level; i++) fh_buf_add(&w->r->out, w->style->indent.ptr, w->style->indent.len);
}

static void separate(writer *w, size_t i)
{
    if (i) fh_buf_add(&w->r->out, w->style->item.ptr, w->style->item.len);
    new_line(w);
}

static int write_key(writer *w, jval key)
{
    fh_buf *out = &w->r->out;
    if (key.kind == J_STR) return write_string(w, jinja_text_of(key));
    if (key.kind != J_INT && key.kind != J_FLOAT && key.kind != J_BOOL && key.kind != J_NONE)
        return jinja_fail(w->r, FH_E_INVALID, "keys must be str, int, float, bool or None, not %s", jinja_type(key));
    fh_buf_addc(out, '"');
    int rc = write_json(w, key);
    fh_buf_addc(out, '"');
    return rc;
}

static int write_list(writer *w, const jlist *l)
{
    int rc = 0;
    for (size_t i = 0; i < l->count && !rc; i++) {
        separate(w, i);
        rc = write_json(w, l->items[i]);
    }
    return rc;
}

static int sorted_entries(writer *w, const jdict *d, const jdict *ret)
{
    jval *keys = jinja_array(w->r, d->count, sizeof(*keys)), *values = keys ? jinja_array(w->r, d->count, sizeof(*values)) : NULL;
    if (!values) return jinja_failed(w->r);
    for (size_t i = 0; i < d->count; i++) {
        keys[i] = d->entries[i].key;
        values[i] = d->entries[i].value;
    }
    int rc = jinja_sorted(w->r, keys, values, d->count, false);
    for (size_t i = 0; i < d->count; i++) ret->entries[i] = (jentry){keys[i], values[i]};
    return rc;
}

static int write_dict(writer *w, const jdict *d)
{
    jdict sorted = *d;
    int rc = 0;
    if (w->style->sort && d->count) {
        sorted.entries = jinja_array(w->r, d->count, sizeof(*sorted.entries));
        rc = sorted.entries ? sorted_entries(w, d, &sorted) : jinja_failed(w->r);
    }
    for (size_t i = 0; i < sorted.count && !rc; i++) {
        separate(w, i);
        rc = write_key(w, sorted.entries[i].key);
        fh_buf_add(&w->r->out, w->style->key.ptr, w->style->key.len);
        if (!rc) rc = write_json(w, sorted.entries[i].value);
    }
    return rc;
}

static int write_container(writer *w, jval v)
{
    bool dict = v.kind == J_DICT;
    size_t count = dict ? v.u.dict->count : v.u.list->count;
    int rc = jinja_deeper(w->r);
    if (rc) return rc;
    fh_buf_addc(&w->r->out, dict ? '{' : '[');
    w->level++;
    rc = dict ? write_dict(w, v.u.dict) : write_list(w, v.u.list);
    w->level--;
    if (count) new_line(w);
    fh_buf_addc(&w->r->out, dict ? '}' : ']');
    jinja_shallower(w->r);
    return rc ? rc : jinja_out_check(w->r);
}

static int write_json(writer *w, jval v)
{
    fh_buf *out = &w->r->out;
    int rc = jinja_steps(w->r, 0);
    if (rc) return rc;
    switch ((jkind)v.kind) {
    case J_NONE: fh_buf_adds(out, "null"); return 0;
    case J_BOOL: fh_buf_adds(out, v.u.b ? "true" : "false"); return 0;
    case J_INT: fh_buf_addf(out, "%lld", (long long)v.u.i); return 0;
    case J_FLOAT: return write_number(w, v.u.f);
    case J_STR: return write_string(w, jinja_text_of(v));
    case J_LIST:
    case J_TUPLE:
    case J_DICT: return write_container(w, v);
    case J_MISSING:
    case J_UNDEF:
    case J_VIEW:
    case J_RANGE:
    case J_ITER:
    case J_NAMESPACE:
    case J_LOOP:
    case J_MACRO:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER:
    case J_SLICE: break;
    }
    return jinja_fail(w->r, FH_E_INVALID, "Object of type %s is not JSON serializable", jinja_type(v));
}

int jinja_write_json(jrun *r, jval v, const jjson_style *style)
{
    return write_json(&(writer){r, style, 0}, v);
}
