/* Calls: arguments to parameters, macros, and what jinja2 and `transformers` put into every template (range, namespace, raise_exception,
 * ...). */
#include "jinja.h"

void jinja_set_type_error(jrun *r, const char *want, jval v)
{
    if (v.kind == J_UNDEF)
        jinja_set_undef_fail(r, v);
    else
        jinja_set_fail(r, FH_E_INVALID, "expected %s, got '%s'", want, jinja_type(v));
}

int jinja_arg_int(jrun *r, jval v, int64_t *ret)
{
    if (!jinja_is_int(v)) return jinja_type_error(r, "an integer", v);
    *ret = jinja_as_int(v);
    return 0;
}

int jinja_arg_str(jrun *r, jval v, fh_str *ret)
{
    if (v.kind != J_STR) return jinja_type_error(r, "a string", v);
    *ret = jinja_text_of(v);
    return 0;
}

static int take_named(jrun *r, const char *function, const jargs *args, size_t i, const char *const *names, size_t count, jval *ret)
{
    int n = (int)FH_MIN(args->names[i].len, (size_t)60);
    for (size_t k = 0; k < count; k++) {
        if (!fh_str_eqs(args->names[i], names[k])) continue;
        if (ret[k].kind != J_MISSING) return jinja_fail(r, FH_E_INVALID, "%s() got multiple values for argument '%s'", function, names[k]);
        ret[k] = args->values[i];
        return 0;
    }
    return jinja_fail(r, FH_E_INVALID, "%s() got an unexpected keyword argument '%.*s'", function, n, args->names[i].ptr);
}

int jinja_args(jrun *r, const char *function, const jargs *args, const char *const *names, size_t count, size_t required, jval *ret)
{
    if (args->count > count)
        return jinja_fail(r, FH_E_INVALID, "%s() takes at most %zu arguments (%zu given)", function, count, args->count);
    for (size_t i = 0; i < count; i++) ret[i] = i < args->count ? args->pos[i] : (jval){.kind = J_MISSING};
    for (size_t i = 0; i < args->named; i++) {
        int rc = take_named(r, function, args, i, names, count, ret);
        if (rc) return rc;
    }
    for (size_t i = 0; i < required; i++)
        if (ret[i].kind == J_MISSING) return jinja_fail(r, FH_E_INVALID, "%s() misses the argument '%s'", function, names[i]);
    return 0;
}

const jfunction *jinja_lookup(const jfunction *table, size_t count, fh_str name)
{
    for (size_t i = 0; i < count; i++)
        if (fh_str_eqs(name, table[i].name)) return &table[i];
    return NULL;
}

/* ---- macros ---- */

static const jval *named_arg(const jargs *args, fh_str name, bool *used)
{
    for (size_t i = 0; i < args->named; i++) {
        if (!fh_str_eq(args->names[i], name)) continue;
        used[i] = true;
        return &args->values[i];
    }
    return NULL;
}

static int set_kwargs(jrun *r, const jargs *args, const bool *used, jval *slot)
{
    jval d;
    int rc = jinja_dict(r, args->named, &d);
    for (size_t i = 0; args->values && i < args->named && !rc; i++)
        if (!used[i]) rc = jinja_dict_put(r, d.u.dict, jinja_str(args->names[i]), args->values[i]);
    *slot = d;
    return rc;
}

static fh_str shown(const jbody *b)
{
    return b->name.ptr ? b->name : FH_STR("caller");
}

static int check_leftovers(jrun *r, const jbody *b, const jargs *args, const bool *used)
{
    fh_str name = shown(b);
    for (size_t i = 0; i < args->named && b->kwargs_slot < 0; i++)
        if (!used[i])
            return jinja_fail(r, FH_E_INVALID, "macro '%.*s' takes no keyword argument '%.*s'", (int)name.len, name.ptr,
                              (int)args->names[i].len, args->names[i].ptr);
    if (b->varargs_slot < 0 && args->count > b->params.count)
        return jinja_fail(r, FH_E_INVALID, "macro '%.*s' takes not more than %zu argument(s)", (int)name.len, name.ptr, b->params.count);
    return 0;
}

/* Arguments into slots; defaults are left to the macro itself. */
static int place_args(jrun *r, const jbody *b, const jargs *args, jval *slots)
{
    bool *used = jinja_array(r, args->named + 1, sizeof(*used));
    int rc = used ? 0 : jinja_failed(r);
    for (size_t i = 0; i < b->params.count && !rc; i++) {
        const jnode *param = b->params.items[i];
        const jval *named = i < args->count ? NULL : named_arg(args, jinja_text_of(param->value), used);
        slots[param->slot] = i < args->count ? args->pos[i] : named ? *named : (jval){.kind = J_MISSING};
    }
    if (!rc && b->caller_slot >= 0) {
        const jval *caller = named_arg(args, FH_STR("caller"), used);
        if (caller)
            slots[b->caller_slot] = *caller;
        else
            rc = jinja_undef(r, J_UNDEF_HINT, NULL, FH_STR("No caller defined"), &slots[b->caller_slot]);
    }
    if (!rc && b->kwargs_slot >= 0) rc = set_kwargs(r, args, used, &slots[b->kwargs_slot]);
    if (!rc) rc = check_leftovers(r, b, args, used);
    size_t extra = args->count > b->params.count ? args->count - b->params.count : 0;
    if (!rc && b->varargs_slot >= 0) rc = jinja_list(r, J_TUPLE, args->pos + (args->count - extra), extra, &slots[b->varargs_slot]);
    return rc;
}

static int set_defaults(jrun *r, const jbody *b, jval *slots)
{
    int rc = 0;
    size_t without = b->params.count - b->defaults.count;
    for (size_t i = 0; i < b->params.count && !rc; i++) {
        jval *slot = &slots[b->params.items[i]->slot];
        if (slot->kind != J_MISSING) continue;
        if (i >= without)
            rc = jinja_eval(r, b->defaults.items[i - without], slot);
        else
            rc = jinja_undef(r, J_UNDEF_NAME, NULL, jinja_text_of(b->params.items[i]->value), slot);
    }
    return rc;
}

static int run_body(jrun *r, const jbody *b, jframe *frame)
{
    jflow flow;
    jframe *caller = r->frame;
    int rc = ++r->calls > FH_LIMIT_TEMPLATE_DEPTH
                 ? jinja_fail(r, FH_E_TOO_LARGE, "macros call each other deeper than %d levels", FH_LIMIT_TEMPLATE_DEPTH)
                 : 0;
    r->frame = frame;
    if (!rc) rc = jinja_scope_enter(r, &b->scope);
    if (!rc) rc = set_defaults(r, b, frame->slots);
    if (!rc) rc = jinja_exec(r, &b->body, &flow);
    r->frame = caller;
    r->calls--;
    return rc;
}

int jinja_call_macro(jrun *r, const jmacro *m, const jargs *args, jval *ret)
{
    jframe *frame = jinja_alloc(r, sizeof(*frame));
    jval *slots = frame ? jinja_array(r, m->body->slots + 1, sizeof(*slots)) : NULL;
    if (!slots) return jinja_failed(r);
    *frame = (jframe){m->closure, slots};
    int rc = place_args(r, m->body, args, slots);
    size_t mark = jinja_mark(r);
    if (!rc) rc = run_body(r, m->body, frame);
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int call_loop(jrun *r, struct jloop *l, const jargs *args, jval *ret)
{
    jval over;
    if (!l->node->x.loop->recursive)
        return jinja_fail(r, FH_E_INVALID, "The loop must have the 'recursive' marker to be called recursively.");
    int rc = jinja_args(r, "loop", args, (const char *const[]){"iterable"}, 1, 1, &over);
    size_t mark = jinja_mark(r);
    if (!rc) rc = jinja_exec_recursive(r, l->node, l->outer, over, l->depth0 + 1);
    return rc ? rc : jinja_cut(r, mark, ret);
}

static int call_joiner(jrun *r, struct jjoiner *j, jval *ret)
{
    *ret = j->used ? j->separator : jinja_cstr("");
    j->used = true;
    return 0;
}

int jinja_call(jrun *r, jval callee, const jargs *args, jval *ret)
{
    int rc = jinja_deeper(r);
    if (rc) return rc;
    if (callee.kind == J_METHOD)
        rc = callee.u.method->function->call(r, callee.u.method->self, args, ret);
    else if (callee.kind == J_FUNCTION)
        rc = callee.u.function->call(r, callee, args, ret);
    else if (callee.kind == J_MACRO)
        rc = jinja_call_macro(r, callee.u.macro, args, ret);
    else if (callee.kind == J_LOOP)
        rc = call_loop(r, callee.u.loop, args, ret);
    else if (callee.kind == J_JOINER)
        rc = call_joiner(r, callee.u.joiner, ret);
    else if (callee.kind == J_UNDEF)
        rc = jinja_undef_fail(r, callee);
    else
        rc = jinja_fail(r, FH_E_INVALID, "'%s' object is not callable", jinja_type(callee));
    jinja_shallower(r);
    return rc;
}

/* ---- globals ---- */

static int range_count(int64_t start, int64_t stop, int64_t step, int64_t *ret)
{
    uint64_t span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    bool any = step > 0 ? stop > start : start > stop;
    uint64_t count = any ? (span - 1) / by + 1 : 0;
    *ret = (int64_t)count;
    return count <= JINJA_RANGE_MAX;
}

static int global_range(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval v[3];
    int64_t n[3] = {0, 0, 1};
    int rc = jinja_args(r, "range", args, (const char *const[]){"start", "stop", "step"}, 3, 1, v);
    if (!rc && args->named) rc = jinja_fail(r, FH_E_INVALID, "range() takes no keyword arguments");
    for (size_t i = 0; i < args->count && !rc; i++) rc = jinja_arg_int(r, v[i], &n[i]);
    if (!rc && args->count == 1) n[1] = n[0], n[0] = 0;
    if (!rc && !n[2]) rc = jinja_fail(r, FH_E_INVALID, "range() arg 3 must not be zero");
    jrange *g = rc ? NULL : jinja_alloc(r, sizeof(*g));
    if (!g) return rc ? rc : jinja_failed(r);
    *g = (jrange){n[0], n[1], n[2], 0};
    if (!range_count(n[0], n[1], n[2], &g->count))
        return jinja_fail(r, FH_E_INVALID, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", JINJA_RANGE_MAX);
    *ret = (jval){.kind = J_RANGE, .u.range = g};
    return 0;
}

static int put_pair(jrun *r, jdict *d, jval pair)
{
    jbuilder b = {0};
    int rc = jinja_collect(r, pair, &b);
    if (!rc && b.count != 2) rc = jinja_fail(r, FH_E_INVALID, "dictionary update sequence element has length %zu; 2 is required", b.count);
    return rc ? rc : jinja_dict_put(r, d, b.items[0], b.items[1]);
}

static int put_pairs(jrun *r, jdict *d, jval pairs)
{
    jiter it;
    jval item;
    int rc = jinja_iter(r, pairs, &it), failed = 0;
    if (rc) return rc;
    while (!failed && (rc = it.next(r, &it, &item)) > 0) failed = put_pair(r, d, item);
    return failed ? failed : rc;
}

static int put_all(jrun *r, jdict *d, const jdict *from)
{
    int rc = 0;
    for (size_t i = 0; i < from->count && !rc; i++) rc = jinja_dict_put(r, d, from->entries[i].key, from->entries[i].value);
    return rc;
}

/* dict(mapping or pairs, name=value, ...) */
static int make_dict(jrun *r, const jargs *args, jval *ret)
{
    jval d;
    if (args->count > 1) return jinja_fail(r, FH_E_INVALID, "dict expected at most 1 argument, got %zu", args->count);
    int rc = jinja_dict(r, args->named, &d);
    if (!rc && args->count)
        rc = args->pos[0].kind == J_DICT ? put_all(r, d.u.dict, args->pos[0].u.dict) : put_pairs(r, d.u.dict, args->pos[0]);
    for (size_t i = 0; i < args->named && !rc; i++) rc = jinja_dict_put(r, d.u.dict, jinja_str(args->names[i]), args->values[i]);
    *ret = d;
    return rc;
}

static int global_dict(jrun *r, jval self, const jargs *args, jval *ret)
{
    return make_dict(r, args, ret);
}

static int global_namespace(jrun *r, jval self, const jargs *args, jval *ret)
{
    int rc = make_dict(r, args, ret);
    if (rc) return rc;
    const jdict *d = ret->u.dict;
    for (size_t i = 0; i < d->count; i++) {
        jval key = d->entries[i].key;
        if (key.kind == J_STR && key.len && key.u.s[0] == '_')
            return jinja_fail(
                r, FH_E_INVALID,
                "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '%.*s'. Please rename the attribute.",
                (int)FH_MIN(key.len, 60u), key.u.s);
    }
    ret->kind = J_NAMESPACE;
    return 0;
}

static int global_raise(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval message, text;
    int rc = jinja_args(r, "raise_exception", args, (const char *const[]){"message"}, 1, 1, &message);
    if (!rc) rc = jinja_to_str(r, message, &text);
    return rc ? rc : fh_err_set(r->err, FH_E_INVALID, "%.*s", (int)FH_MIN(text.len, 4096u), text.u.s);
}

static int global_strftime(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval format;
    fh_str text;
    int rc = jinja_args(r, "strftime_now", args, (const char *const[]){"format"}, 1, 1, &format);
    if (!rc) rc = jinja_arg_str(r, format, &text);
    return rc ? rc : jinja_strftime(r, text, ret);
}

static int global_cycler(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval items;
    if (!args->count || args->named) return jinja_fail(r, FH_E_INVALID, "at least one item has to be provided");
    int rc = jinja_list(r, J_TUPLE, args->pos, args->count, &items);
    jcycler *c = rc ? NULL : jinja_alloc(r, sizeof(*c));
    if (!c) return rc ? rc : jinja_failed(r);
    c->items = items.u.list;
    *ret = (jval){.kind = J_CYCLER, .u.cycler = c};
    return 0;
}

static int global_joiner(jrun *r, jval self, const jargs *args, jval *ret)
{
    jval separator;
    int rc = jinja_args(r, "joiner", args, (const char *const[]){"sep"}, 1, 0, &separator);
    jjoiner *j = rc ? NULL : jinja_alloc(r, sizeof(*j));
    if (!j) return rc ? rc : jinja_failed(r);
    j->separator = separator.kind == J_MISSING ? jinja_cstr(", ") : separator;
    *ret = (jval){.kind = J_JOINER, .u.joiner = j};
    return 0;
}

static int global_lipsum(jrun *r, jval self, const jargs *args, jval *ret)
{
    return jinja_unsupported(r, "lipsum() (random text)");
}

const jfunction *jinja_find_global(fh_str name)
{
    static const jfunction globals[] = {
        {"range", global_range},           {"dict", global_dict},     {"namespace", global_namespace}, {"raise_exception", global_raise},
        {"strftime_now", global_strftime}, {"cycler", global_cycler}, {"joiner", global_joiner},       {"lipsum", global_lipsum},
    };
    return jinja_lookup(globals, FH_COUNT(globals), name);
}
