/* Iteration. A jiter is pulled one item at a time; generators (what map, select and their like give) are jiters that others share, so that,
 * as in Python, they run late and only once. */
#include "jinja.h"

static int next_list(jrun *r, jiter *it, jval *ret)
{
    const jlist *l = it->over.u.list;
    if (it->at >= l->count) return 0;
    *ret = l->items[it->at++];
    return 1;
}

static int next_char(jrun *r, jiter *it, jval *ret)
{
    fh_str s = jinja_text_of(it->over);
    uint32_t cp;
    if (it->at >= s.len) return 0;
    size_t n = fh_utf8_decode(s.ptr + it->at, s.len - it->at, &cp);
    *ret = jinja_str((fh_str){s.ptr + it->at, n ? n : 1});
    it->at += n ? n : 1;
    return 1;
}

static int entry_value(jrun *r, const jentry *e, jview_kind what, jval *ret)
{
    if (what == J_ITEMS) return jinja_list(r, J_TUPLE, (const jval[]){e->key, e->value}, 2, ret);
    *ret = what == J_KEYS ? e->key : e->value;
    return 0;
}

static int next_dict(jrun *r, jiter *it, jval *ret)
{
    const jdict *d = it->over.u.dict;
    if (it->at >= d->count) return 0;
    *ret = d->entries[it->at++].key;
    return 1;
}

static int next_view(jrun *r, jiter *it, jval *ret)
{
    const jview *v = it->over.u.view;
    if (it->at >= v->dict->count) return 0;
    int rc = entry_value(r, &v->dict->entries[it->at++], v->what, ret);
    return rc ? rc : 1;
}

static int next_range(jrun *r, jiter *it, jval *ret)
{
    const jrange *g = it->over.u.range;
    if ((int64_t)it->at >= g->count) return 0;
    *ret = jinja_int(g->start + (int64_t)it->at++ * g->step);
    return 1;
}

static int next_nothing(jrun *r, jiter *it, jval *ret)
{
    return 0;
}

static int next_shared(jrun *r, jiter *it, jval *ret)
{
    jiter *shared = it->over.u.iter;
    return shared->next(r, shared, ret);
}

static jnext next_of(jval v)
{
    switch ((jkind)v.kind) {
    case J_LIST:
    case J_TUPLE: return next_list;
    case J_STR: return next_char;
    case J_DICT: return next_dict;
    case J_VIEW: return next_view;
    case J_RANGE: return next_range;
    case J_UNDEF: return next_nothing;
    case J_ITER: return next_shared;
    case J_MISSING:
    case J_NONE:
    case J_BOOL:
    case J_INT:
    case J_FLOAT:
    case J_NAMESPACE:
    case J_LOOP:
    case J_MACRO:
    case J_METHOD:
    case J_FUNCTION:
    case J_CYCLER:
    case J_JOINER:
    case J_SLICE: break;
    }
    return NULL;
}

bool jinja_is_iterable(jval v)
{
    return next_of(v) != NULL || v.kind == J_LOOP;
}

int jinja_iter(jrun *r, jval v, jiter *ret)
{
    jnext next = next_of(v);
    if (v.kind == J_LOOP) return jinja_unsupported(r, "iterating over 'loop'");
    if (!next) return jinja_fail(r, FH_E_INVALID, "'%s' object is not iterable", jinja_type(v));
    *ret = (jiter){.next = next, .type = "iterator", .over = v};
    return 0;
}

/* ---- from behind ---- */

static int next_list_back(jrun *r, jiter *it, jval *ret)
{
    if (!it->at) return 0;
    *ret = it->over.u.list->items[--it->at];
    return 1;
}

static int next_dict_back(jrun *r, jiter *it, jval *ret)
{
    if (!it->at) return 0;
    *ret = it->over.u.dict->entries[--it->at].key;
    return 1;
}

static int next_view_back(jrun *r, jiter *it, jval *ret)
{
    const jview *v = it->over.u.view;
    if (!it->at) return 0;
    int rc = entry_value(r, &v->dict->entries[--it->at], v->what, ret);
    return rc ? rc : 1;
}

static int next_range_back(jrun *r, jiter *it, jval *ret)
{
    if (!it->at) return 0;
    *ret = jinja_int(it->over.u.range->start + (int64_t)--it->at * it->over.u.range->step);
    return 1;
}

static int next_char_back(jrun *r, jiter *it, jval *ret)
{
    if (!it->at) return 0;
    size_t end = it->at--;
    while (it->at && ((uint8_t)it->over.u.s[it->at] & 0xc0) == 0x80) it->at--;
    *ret = jinja_str((fh_str){it->over.u.s + it->at, end - it->at});
    return 1;
}

int jinja_iter_reversed(jrun *r, jval v, jiter *ret, bool *ret_can)
{
    jiter it = {.over = v, .type = "reversed"};
    *ret_can = true;
    if (v.kind == J_LIST || v.kind == J_TUPLE) {
        it.next = next_list_back;
        it.at = v.u.list->count;
    } else if (v.kind == J_DICT) {
        it.next = next_dict_back;
        it.at = v.u.dict->count;
    } else if (v.kind == J_VIEW) {
        it.next = next_view_back;
        it.at = v.u.view->dict->count;
    } else if (v.kind == J_RANGE) {
        it.next = next_range_back;
        it.at = (size_t)v.u.range->count;
    } else if (v.kind == J_STR) {
        it.next = next_char_back;
        it.at = v.len;
    } else if (v.kind == J_UNDEF) {
        it.next = next_nothing;
    } else {
        *ret_can = false;
    }
    *ret = it;
    return 0;
}

/* ---- generators ---- */

int jinja_iter_value(jrun *r, const jiter *it, jval *ret)
{
    jiter *own = jinja_alloc(r, sizeof(*own));
    if (!own) return jinja_failed(r);
    *own = *it;
    *ret = (jval){.kind = J_ITER, .u.iter = own};
    return 0;
}

int jinja_lazy(jrun *r, jnext next, jval over, void *state, jval *ret)
{
    return jinja_iter_value(r, &(jiter){.next = next, .type = "generator", .over = over, .state = state}, ret);
}

int jinja_collect(jrun *r, jval v, jbuilder *b)
{
    jiter it;
    jval item;
    int rc = jinja_iter(r, v, &it);
    if (rc) return rc;
    while ((rc = it.next(r, &it, &item)) > 0) {
        int failed = jinja_add(r, b, item);
        if (failed) return failed;
    }
    return rc;
}

bool jinja_has_length(jval v)
{
    return next_of(v) != NULL ? v.kind != J_ITER : v.kind == J_LOOP;
}

int jinja_length(jrun *r, jval v, int64_t *ret)
{
    if (!jinja_has_length(v)) return jinja_fail(r, FH_E_INVALID, "object of type '%s' has no len()", jinja_type(v));
    if (v.kind == J_STR) {
        *ret = (int64_t)jinja_chars(jinja_text_of(v));
        return jinja_steps(r, v.len);
    }
    if (v.kind == J_LOOP) {
        jval length;
        int rc = jinja_attr(r, v, FH_STR("length"), &length);
        if (!rc) *ret = length.u.i;
        return rc;
    }
    *ret = v.kind == J_DICT    ? (int64_t)v.u.dict->count
           : v.kind == J_VIEW  ? (int64_t)v.u.view->dict->count
           : v.kind == J_RANGE ? v.u.range->count
                               : 0;
    if (v.kind == J_LIST || v.kind == J_TUPLE) *ret = (int64_t)v.u.list->count;
    return 0;
}
