/* Calls written as a name and a tag for each argument: <function=NAME><parameter=KEY>VALUE</parameter></function> and its relatives.
 * Strings pass on as they come; other values wait for their end, since only then it is known what they are. */
#include "toolfmt.h"

enum { NAME = 1, BETWEEN, VALUE_OPEN, VALUE }; /* phases; NAME is also 0 */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* ---- names and keys ---- */

/* How many bytes a name that ends at white space, '<' or the end marker takes; SIZE_MAX while it goes on. */
static size_t name_end(const fh_toolfmt_parser *p, fh_str s, size_t *ret_tail)
{
    const char *end = p->f->f.name_end;
    bool found;
    size_t len = 0;
    if (end) {
        len = tf_find(p, s, end, &found);
        *ret_tail = found ? strlen(end) : 0;
        return found ? len : SIZE_MAX;
    }
    while (len < s.len && !is_space(s.ptr[len]) && s.ptr[len] != '<') len++;
    *ret_tail = 0;
    return len < s.len || p->final ? len : SIZE_MAX;
}

static void unescape(const fh_toolfmt_parser *p, fh_str s, fh_buf *out)
{
    static const struct {
        fh_str entity;
        char c;
    } entities[] = {{{"&amp;", 5}, '&'}, {{"&quot;", 6}, '"'}};
    fh_buf_clear(out);
    while (s.len) {
        size_t skip = 1, k = p->f->f.flags & TF_ENTITIES ? 0 : FH_COUNT(entities);
        while (k < FH_COUNT(entities) && !fh_str_starts(s, entities[k].entity)) k++;
        if (k < FH_COUNT(entities)) skip = entities[k].entity.len;
        fh_buf_addc(out, k < FH_COUNT(entities) ? entities[k].c : *s.ptr);
        s.ptr += skip;
        s.len -= skip;
    }
}

/* Splits NAME" attributes at the quote; without quotes all is the name. */
static fh_str take_quoted(const fh_toolfmt_parser *p, fh_str s, fh_buf *out)
{
    size_t end = p->f->f.quote ? fh_str_find(s, fh_str_of(p->f->f.quote)) : s.len;
    fh_str name = {s.ptr, end};
    unescape(p, p->f->f.quote ? name : fh_str_trim(name), out);
    return (fh_str){s.ptr + end, s.len - end};
}

static int name(fh_toolfmt_parser *p)
{
    size_t tail;
    if (!p->f->f.name_end) tf_skip_space(p);
    fh_str s = tf_rest(p);
    size_t len = name_end(p, s, &tail);
    if (len == SIZE_MAX && s.len <= TF_HEADER_BYTES) return tf_grown(p);
    if (len > TF_HEADER_BYTES) return tf_no_call(p);
    take_quoted(p, (fh_str){s.ptr, len}, &p->name);
    p->at += len + tail;
    int rc = tf_begin(p);
    if (rc < 0 || !p->open) return rc;
    tf_eat(p);
    p->first_arg = true;
    p->stray = false;
    p->phase = BETWEEN;
    return TF_GO;
}

/* The attributes that some families give with a key say the type better than any schema. */
static tf_value type_of(fh_toolfmt_parser *p, fh_str attributes)
{
    fh_str as = FH_STR("string=\""), type = FH_STR("type=\"");
    size_t at = fh_str_find(attributes, as), t = fh_str_find(attributes, type);
    if (at < attributes.len)
        return fh_str_starts((fh_str){attributes.ptr + at + as.len, attributes.len - at - as.len}, FH_STR("true\"")) ? TF_STRING
                                                                                                                     : TF_JSON_VALUE;
    if (t < attributes.len)
        return fh_str_starts((fh_str){attributes.ptr + t + type.len, attributes.len - t - type.len}, FH_STR("string\"")) ? TF_STRING
                                                                                                                         : TF_JSON_VALUE;
    return tf_value_type(tf_schema(p, (fh_str){fh_buf_cstr(&p->key), p->key.len}));
}

/* ---- between arguments ---- */

static int end(fh_toolfmt_parser *p, bool complete)
{
    int rc = tf_args(p, p->first_arg ? FH_STR("{}") : FH_STR("}"));
    return rc ? rc : tf_end(p, complete);
}

static int put_key(fh_toolfmt_parser *p)
{
    fh_buf_clear(&p->scratch);
    fh_buf_addc(&p->scratch, p->first_arg ? '{' : ',');
    fh_buf_add_json_string(&p->scratch, fh_buf_cstr(&p->key), p->key.len);
    fh_buf_addc(&p->scratch, ':');
    p->first_arg = false;
    int rc = fh_buf_check(&p->scratch, p->err, "an argument");
    return rc ? rc : tf_args(p, (fh_str){p->scratch.data, p->scratch.len});
}

static int key(fh_toolfmt_parser *p)
{
    const tf_family *f = &p->f->f;
    size_t open = strlen(f->arg_open);
    fh_str s = tf_rest(p);
    s = (fh_str){s.ptr + open, s.len - open};
    bool found;
    size_t len = tf_find(p, s, f->arg_key_end, &found);
    if (len > TF_HEADER_BYTES || (!found && p->final)) {
        int rc = end(p, false);
        return rc < 0 ? rc : tf_leave(p);
    }
    if (!found) return TF_NEED;
    fh_str attributes = take_quoted(p, (fh_str){s.ptr, len}, &p->key);
    int rc = fh_buf_check(&p->key, p->err, "an argument");
    if (rc) return rc;
    p->value = type_of(p, attributes);
    p->at += open + len + strlen(f->arg_key_end);
    tf_eat(p);
    p->phase = f->arg_value_open ? VALUE_OPEN : VALUE;
    p->value_begun = p->value_streams = p->cdata = false;
    rc = put_key(p);
    return rc ? rc : TF_GO;
}

/* What does not belong between arguments is answer, but for the white space around it. */
static int stray(fh_toolfmt_parser *p, fh_str s, size_t blank)
{
    const tf_family *f = &p->f->f;
    const char *const marks[] = {f->arg_open, f->call_close, f->section_close, f->call_open};
    size_t first = s.len, skip = p->stray ? 0 : blank;
    for (size_t i = 0; i < FH_COUNT(marks); i++) {
        bool found;
        size_t at = tf_find(p, s, marks[i], &found);
        if (at < first) first = at;
    }
    while (first > skip && is_space(s.ptr[first - 1])) first--;
    p->stray = true;
    p->at += first;
    int rc = tf_emit(p, FH_TOOLFMT_CONTENT, (fh_str){s.ptr + skip, first - skip});
    tf_eat(p);
    return rc ? rc : TF_GO;
}

static int call_end(fh_toolfmt_parser *p, bool closed)
{
    int rc = end(p, closed);
    p->at += closed ? strlen(p->f->f.call_close) : 0;
    return rc < 0 ? rc : tf_leave(p);
}

/* Without its closing marker a call ends where the section, another call or the text does. */
static int between(fh_toolfmt_parser *p)
{
    const tf_family *f = &p->f->f;
    fh_str s = tf_rest(p), t = s;
    while (t.len && is_space(*t.ptr)) t.ptr++, t.len--;
    if (!t.len && !p->final) return TF_NEED;
    tf_match arg = tf_starts(p, t, f->arg_open), close = tf_starts(p, t, f->call_close), over = tf_starts(p, t, f->section_close),
             again = tf_starts(p, t, f->call_open);
    if (arg == TF_PARTLY || close == TF_PARTLY || over == TF_PARTLY || again == TF_PARTLY) return TF_NEED;
    bool ends = close == TF_YES || over == TF_YES || again == TF_YES || !t.len;
    if (arg != TF_YES && !ends) return stray(p, s, s.len - t.len);
    p->stray = false;
    p->at += s.len - t.len;
    tf_eat(p);
    return arg == TF_YES ? key(p) : call_end(p, close == TF_YES);
}

static int value_open(fh_toolfmt_parser *p)
{
    tf_skip_space(p);
    tf_match m = tf_starts(p, tf_rest(p), p->f->f.arg_value_open);
    if (m == TF_PARTLY) return TF_NEED;
    p->at += m == TF_YES ? strlen(p->f->f.arg_value_open) : 0;
    tf_eat(p);
    p->phase = VALUE;
    return TF_GO;
}

/* ---- values ---- */

static int put_string(fh_toolfmt_parser *p, fh_str s, bool last)
{
    fh_buf_clear(&p->scratch);
    if (!s.len && !last && p->value_streams) return 0;
    fh_buf_add_json_string(&p->scratch, s.ptr, s.len);
    int rc = fh_buf_check(&p->scratch, p->err, "an argument");
    if (rc) return rc;
    size_t from = p->value_streams ? 1 : 0,
           to = p->scratch.len - (last ? 0 : 1); /* only the first has the opening quote, the last the other */
    p->value_streams = true;
    return tf_args(p, (fh_str){p->scratch.data + from, to - from});
}

static int put_typed(fh_toolfmt_parser *p, fh_str s)
{
    fh_buf_clear(&p->scratch);
    tf_value_json(p->value, tf_schema(p, (fh_str){fh_buf_cstr(&p->key), p->key.len}), s, &p->scratch);
    int rc = fh_buf_check(&p->scratch, p->err, "an argument");
    return rc ? rc : tf_args(p, (fh_str){p->scratch.data, p->scratch.len});
}

static const char cdata_open[] = "<![CDATA[";

/* What stands between the tag and the value. Does more have to come before it is known? */
static bool begin_value(fh_toolfmt_parser *p)
{
    fh_str s = tf_rest(p);
    p->value_begun = true;
    if ((p->f->f.flags & TF_NEWLINES) && s.len && *s.ptr == '\n') p->at++;
    if (p->f->f.cdata_close) {
        tf_match m = tf_starts(p, s, cdata_open);
        p->value_begun = m != TF_PARTLY;
        p->cdata = m == TF_YES;
        p->at += m == TF_YES ? strlen(cdata_open) : 0;
    }
    if (!s.len && !p->final) p->value_begun = false;
    tf_eat(p);
    return p->value_begun;
}

static int value_done(fh_toolfmt_parser *p, fh_str s, size_t marker)
{
    bool newline = (p->f->f.flags & TF_NEWLINES) && s.len && s.ptr[s.len - 1] == '\n';
    fh_str text = {s.ptr, s.len - newline};
    int rc =
        p->value == TF_STRING || p->value_streams || text.len > FH_LIMIT_TOOL_VALUE_BYTES ? put_string(p, text, true) : put_typed(p, text);
    p->at += s.len + marker;
    tf_eat(p);
    p->phase = BETWEEN;
    return rc ? rc : TF_GO;
}

/* The reply ended inside a value: it is closed, so that the arguments are JSON. */
static int value_cut(fh_toolfmt_parser *p, fh_str s)
{
    int rc = value_done(p, s, 0);
    if (rc < 0) return rc;
    rc = end(p, false);
    return rc < 0 ? rc : tf_leave(p);
}

static int value(fh_toolfmt_parser *p)
{
    bool found;
    if (!p->value_begun && !begin_value(p)) return TF_NEED;
    fh_str s = tf_rest(p);
    const char *close = p->cdata ? p->f->f.cdata_close : p->f->f.arg_close;
    size_t safe = tf_find(p, s, close, &found);
    if (found) return value_done(p, (fh_str){s.ptr, safe}, strlen(close));
    if (p->final) return value_cut(p, s);
    if ((p->f->f.flags & TF_NEWLINES) && safe && s.ptr[safe - 1] == '\n') safe--;
    if (p->value != TF_STRING && !p->value_streams && safe <= FH_LIMIT_TOOL_VALUE_BYTES) return TF_NEED;
    int rc = put_string(p, (fh_str){s.ptr, safe}, false);
    p->at += safe;
    tf_eat(p);
    return rc;
}

int tf_tags(fh_toolfmt_parser *p)
{
    switch (p->phase) {
    case BETWEEN: return between(p);
    case VALUE_OPEN: return value_open(p);
    case VALUE: return value(p);
    default: return name(p);
    }
}
