/* Calls written as JSON: {"name": ..., "arguments": {...}}, alone, in an array, one behind the other, or inside an outer object
 * ({"tool_calls": [...]}, {"function": {...}}). Arguments pass on byte by byte once the name is known. */
#include "toolfmt.h"

enum { ITEM = 1, MEMBER, NAME, ID, ARGS, SKIP }; /* phases; ITEM is also 0 */

static int enter(fh_toolfmt_parser *p, char c)
{
    p->levels[p->level] = (uint8_t)c;
    p->calls_at[p->level++] = p->calls;
    p->phase = c == '{' ? MEMBER : ITEM;
    return TF_GO;
}

/* Behind a value. */
static int next(fh_toolfmt_parser *p)
{
    p->phase = p->level && p->levels[p->level - 1] == '{' ? MEMBER : ITEM;
    if (p->open) tf_eat(p);
    return TF_GO;
}

static int refuse(fh_toolfmt_parser *p)
{
    return p->open ? tf_cut(p) : tf_no_call(p);
}

/* ---- objects and arrays ---- */

static int item(fh_toolfmt_parser *p)
{
    const char *close = p->bare ? NULL : p->f->f.call_close;
    tf_skip_space(p);
    fh_str s = tf_rest(p);
    if (p->committed) tf_eat(p);
    if (!s.len) return p->final && p->committed ? tf_leave(p) : tf_grown(p);
    tf_match closes = p->level == 0 && close ? tf_starts(p, s, close) : TF_NO;
    if (closes == TF_PARTLY) return tf_grown(p);
    if (closes == TF_YES && !p->committed) return tf_no_call(p);
    if (closes == TF_YES) {
        p->at += strlen(close);
        return tf_leave(p);
    }
    char c = *s.ptr;
    bool separator = (c == ',' || (c == ';' && p->level == 0)) && p->committed;
    if ((c != '{' && c != '[' && c != ']' && !separator) || p->level == TF_LEVELS || (c == ']' && p->level == 0)) return refuse(p);
    p->at++;
    if (separator) return TF_GO;
    if (c != ']') return enter(p, c);
    p->level--;
    return next(p);
}

static int object_end(fh_toolfmt_parser *p)
{
    int rc = TF_GO;
    p->at++;
    p->level--;
    if (p->open && p->name_level == p->level) {
        rc = p->have_args ? 0 : tf_args(p, FH_STR("{}"));
        if (!rc) rc = tf_end(p, true);
        tf_eat(p);
        tf_next_name(p);
    } else if (p->calls == p->calls_at[p->level])
        return refuse(p);
    if (rc < 0) return rc;
    return next(p);
}

/* ---- members ---- */

static bool one_of(fh_str key, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fh_str_eqs(key, list[i])) return true;
    return false;
}

/* What to do with the value that begins with c; 0 when a reply without markers that has such a key is no call. */
static unsigned phase_of(fh_toolfmt_parser *p, fh_str key, char c)
{
    static const char *const names[] = {"name", "tool_name", "function"}, *const args[] = {"arguments", "parameters"},
                             *const outer[] = {"tool_calls", "tool_call", "function", "function_call"},
                             *const other[] = {"id", "type", "tool_call_id", "index"};
    if (p->f->f.style == TF_KEYED && !p->open) return NAME;
    if (one_of(key, names, FH_COUNT(names)) && c == '"') return p->have_name ? SKIP : NAME;
    if (one_of(key, args, FH_COUNT(args)) && (c == '{' || c == '"') && !p->have_args) return ARGS;
    if (one_of(key, outer, FH_COUNT(outer)) && (c == '{' || c == '[') && p->level < TF_LEVELS && !p->have_name) return ITEM;
    if (fh_str_eqs(key, "id") && c == '"' && !p->have_name) return ID;
    return p->bare && !p->committed && !one_of(key, other, FH_COUNT(other)) && !one_of(key, args, FH_COUNT(args)) ? 0 : SKIP;
}

/* Length of the quoted string that s begins with; 0: it goes on; SIZE_MAX: it is too long. */
static size_t quoted_len(fh_str s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (i > TF_HEADER_BYTES) return SIZE_MAX;
        if (s.ptr[i] == '"') return i + 1;
        if (s.ptr[i] == '\\') i++;
    }
    return 0;
}

static int begin(fh_toolfmt_parser *p)
{
    p->name_level = p->level - 1;
    int rc = tf_begin(p);
    if (rc < 0 || !p->open || !p->have_args) {
        if (rc > 0 && p->open) tf_eat(p);
        return rc;
    }
    fh_str args = {p->hold.data + p->from + p->args_from, p->args_to - p->args_from};
    fh_buf_clear(&p->scratch);
    if (*args.ptr == '"' && tf_unquote(args, &p->scratch)) args = fh_str_trim((fh_str){fh_buf_cstr(&p->scratch), p->scratch.len});
    rc = tf_args(p, args.len ? args : FH_STR("{}"));
    tf_eat(p);
    return rc ? rc : TF_GO;
}

static int dispatch(fh_toolfmt_parser *p, fh_str key, char c)
{
    p->phase = phase_of(p, key, c);
    tf_scanner_init(&p->scan);
    if (p->phase == 0) return refuse(p);
    if (p->phase == ARGS) p->args_from = p->at, p->text_args = c == '"';
    if (p->phase == ITEM) {
        p->at++;
        return enter(p, c);
    }
    if (p->f->f.style != TF_KEYED || p->phase != NAME) {
        if (p->open) tf_eat(p);
        return TF_GO;
    }
    if (c != '{') return refuse(p);
    p->phase = ARGS;
    p->text_args = false;
    p->have_name = fh_buf_add(&p->name, key.ptr, key.len);
    return begin(p);
}

static int member(fh_toolfmt_parser *p)
{
    tf_skip_space(p);
    fh_str s = tf_rest(p);
    if (!s.len) return tf_grown(p);
    if (*s.ptr == '}') return object_end(p);
    if (*s.ptr == ',') {
        p->at++;
        return TF_GO;
    }
    size_t len = *s.ptr == '"' ? quoted_len(s) : SIZE_MAX, value = len;
    if (len == 0) return tf_grown(p);
    while (value < s.len && strchr(" \n\t\r", s.ptr[value])) value++;
    if (value == s.len) return tf_grown(p);
    fh_buf_clear(&p->key);
    if (len == SIZE_MAX || s.ptr[value] != ':' || !tf_unquote((fh_str){s.ptr, len}, &p->key)) return refuse(p);
    for (value++; value < s.len && strchr(" \n\t\r", s.ptr[value]);) value++;
    if (value == s.len) return tf_grown(p);
    p->at += value;
    return dispatch(p, (fh_str){fh_buf_cstr(&p->key), p->key.len}, s.ptr[value]);
}

/* A name or an id, whole. */
static int label(fh_toolfmt_parser *p)
{
    fh_buf *out = p->phase == NAME ? &p->name : &p->id;
    fh_str s = tf_rest(p);
    size_t len = quoted_len(s);
    if (len == 0) return tf_grown(p);
    fh_buf_clear(out);
    if (len == SIZE_MAX || !tf_unquote((fh_str){s.ptr, len}, out)) return refuse(p);
    p->at += len;
    if (p->phase == ID) return next(p);
    p->have_name = true;
    p->phase = MEMBER;
    return begin(p);
}

/* ---- values ---- */

static int broken(fh_toolfmt_parser *p)
{
    if (!p->open || p->phase == SKIP) return refuse(p);
    p->at = 0;
    p->mode = TF_IN_RAW;
    return TF_GO;
}

static int text_args_end(fh_toolfmt_parser *p)
{
    fh_str args = {p->hold.data + p->from, p->at};
    fh_buf_clear(&p->scratch);
    if (tf_unquote(args, &p->scratch)) args = fh_str_trim((fh_str){fh_buf_cstr(&p->scratch), p->scratch.len});
    int rc = tf_args(p, args.len ? args : FH_STR("{}"));
    return rc ? rc : next(p);
}

static int value(fh_toolfmt_parser *p)
{
    tf_scan how;
    fh_str s = tf_rest(p);
    bool args = p->phase == ARGS, text = args && p->open && p->text_args;
    size_t n = tf_scan_some(p, s, &how);
    if (args && p->open && !text) {
        int rc = tf_args(p, (fh_str){s.ptr, n});
        if (rc) return rc;
    }
    p->at += n;
    if (p->open && !text) tf_eat(p);
    if (how == TF_SCAN_BAD || (text && p->at > FH_LIMIT_TOOL_VALUE_BYTES)) return broken(p);
    if (how == TF_SCAN_MORE) return tf_grown(p);
    if (args) p->have_args = true, p->args_to = p->at;
    return text ? text_args_end(p) : next(p);
}

int tf_json(fh_toolfmt_parser *p)
{
    switch (p->phase) {
    case MEMBER: return member(p);
    case NAME:
    case ID: return label(p);
    case ARGS:
    case SKIP: return value(p);
    default: return item(p);
    }
}
