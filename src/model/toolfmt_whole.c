/* Calls whose arguments nest in ways of their own: they are read when they are whole. What does not read is answer. */
#include "toolfmt_whole.h"

void tf_cursor_skip(tf_cursor *c)
{
    while (c->s.len && strchr(" \n\t\r", *c->s.ptr)) c->s.ptr++, c->s.len--;
}

bool tf_cursor_take(tf_cursor *c, const char *text)
{
    size_t len = strlen(text);
    if (c->s.len < len || memcmp(c->s.ptr, text, len) != 0) return false;
    c->s.ptr += len;
    c->s.len -= len;
    return true;
}

bool tf_cursor_take_after_space(tf_cursor *c, const char *text)
{
    tf_cursor_skip(c);
    return tf_cursor_take(c, text);
}

/* Up to the marker, which is taken too. */
static bool take_until(tf_cursor *c, const char *marker, fh_str *ret)
{
    size_t at = fh_str_find(c->s, fh_str_of(marker));
    if (at == c->s.len) return false;
    *ret = (fh_str){c->s.ptr, at};
    c->s.ptr += at;
    c->s.len -= at;
    return tf_cursor_take(c, marker);
}

fh_str tf_cursor_word(tf_cursor *c, const char *more)
{
    size_t n = 0;
    while (n < c->s.len && ((c->s.ptr[n] >= 'a' && c->s.ptr[n] <= 'z') || (c->s.ptr[n] >= 'A' && c->s.ptr[n] <= 'Z') ||
                            (c->s.ptr[n] >= '0' && c->s.ptr[n] <= '9') || (c->s.ptr[n] && strchr(more, c->s.ptr[n]))))
        n++;
    fh_str word = {c->s.ptr, n};
    c->s.ptr += n;
    c->s.len -= n;
    return word;
}

bool tf_cursor_put_bare(tf_cursor *c, fh_str word)
{
    size_t before = c->out.len;
    if (!word.len || !tf_value_json(TF_JSON_VALUE, NULL, word, &c->out)) return false;
    return c->out.data[before] != '"';
}

bool tf_cursor_add_call(tf_cursor *c, fh_str name)
{
    FH_AUTO(json) fh_json *pair = fh_json_new_array();
    fh_json *args = fh_json_new_str((fh_str){fh_buf_cstr(&c->out), c->out.len});
    bool ok = pair && fh_json_append(pair, fh_json_new_str(name));
    if (!pair) fh_json_unref(args);
    ok = pair && fh_json_append(pair, args) && ok && fh_buf_ok(&c->out);
    fh_buf_clear(&c->out);
    return ok && fh_json_append(c->calls, fh_take(pair));
}

/* ---- Gemma: name{key:value, ...} ---- */

static bool braces_value(tf_cursor *c, unsigned depth);

static bool braces_string(tf_cursor *c)
{
    fh_str text;
    return take_until(c, c->p->f->f.quote, &text) && fh_buf_add_json_string(&c->out, text.ptr, text.len);
}

static bool braces_key(tf_cursor *c)
{
    tf_cursor_skip(c);
    if (tf_cursor_take(c, c->p->f->f.quote)) return braces_string(c) && tf_cursor_take_after_space(c, ":") && fh_buf_addc(&c->out, ':');
    fh_str key;
    return take_until(c, ":", &key) && fh_buf_add_json_string(&c->out, key.ptr, key.len) && fh_buf_addc(&c->out, ':');
}

static bool braces_items(tf_cursor *c, const char *close, bool keys, unsigned depth)
{
    fh_buf_addc(&c->out, keys ? '{' : '[');
    for (bool first = true; !tf_cursor_take_after_space(c, close); first = false) {
        if (!first && (!tf_cursor_take(c, ",") || !fh_buf_addc(&c->out, ','))) return false;
        if (keys && !braces_key(c)) return false;
        if (!braces_value(c, depth + 1)) return false;
    }
    return fh_buf_addc(&c->out, keys ? '}' : ']');
}

static bool braces_value(tf_cursor *c, unsigned depth)
{
    tf_cursor_skip(c);
    if (depth > TF_WHOLE_DEPTH) return false;
    if (tf_cursor_take(c, c->p->f->f.quote)) return braces_string(c);
    if (tf_cursor_take(c, "[")) return braces_items(c, "]", false, depth);
    if (tf_cursor_take(c, "{")) return braces_items(c, "}", true, depth);
    return tf_cursor_put_bare(c, tf_cursor_word(c, "+-._"));
}

static bool braces_calls(tf_cursor *c)
{
    fh_str name = tf_cursor_word(c, "_-.:/");
    if (!tf_cursor_take_after_space(c, "{") || !braces_items(c, "}", true, 0) || !tf_cursor_add_call(c, name)) return false;
    tf_cursor_skip(c);
    return !c->s.len;
}

/* ---- MiniMax M3: <invoke name="..."><key>value</key></invoke>, each tag behind the namespace's marker ---- */

static bool nested_value(tf_cursor *c, fh_str tag, const fh_json *schema, unsigned depth);

static bool nested_tag(tf_cursor *c, fh_str *ret)
{
    return tf_cursor_take(c, c->p->f->f.quote) && tf_cursor_take(c, "<") && take_until(c, ">", ret) && ret->len && *ret->ptr != '/';
}

static bool nested_end(tf_cursor *c, fh_str tag)
{
    tf_cursor before = *c;
    if (tf_cursor_take(c, c->p->f->f.quote) && tf_cursor_take(c, "</") && c->s.len > tag.len && memcmp(c->s.ptr, tag.ptr, tag.len) == 0) {
        c->s.ptr += tag.len;
        c->s.len -= tag.len;
        if (tf_cursor_take(c, ">")) return true;
    }
    c->s = before.s;
    return false;
}

static const fh_json *member_schema(const fh_json *schema, fh_str key)
{
    FH_AUTO(buf) fh_buf name = FH_BUF(FH_LIMIT_TOOL_NAME_BYTES + 1);
    const fh_json *properties = fh_json_get(schema, "properties");
    return fh_buf_add(&name, key.ptr, key.len) ? fh_json_get(properties, fh_buf_cstr(&name)) : NULL;
}

static bool is_list(fh_str first, const fh_json *schema)
{
    fh_str type = fh_json_str(fh_json_get(schema, "type"));
    return type.len ? fh_str_eqs(type, "array") : fh_str_eqs(first, "item");
}

static bool nested_members(tf_cursor *c, fh_str tag, const fh_json *schema, unsigned depth)
{
    fh_str key, first = {"", 0};
    bool list = false;
    for (size_t n = 0; !nested_end(c, tag); n++) {
        if (!nested_tag(c, &key)) return false;
        if (n == 0) first = key;
        if (n == 0) list = is_list(first, schema);
        fh_buf_addc(&c->out, n ? ',' : list ? '[' : '{');
        if (!list) fh_buf_add_json_string(&c->out, key.ptr, key.len);
        if (!list) fh_buf_addc(&c->out, ':');
        if (!nested_value(c, key, list ? fh_json_get(schema, "items") : member_schema(schema, key), depth + 1)) return false;
        tf_cursor_skip(c);
    }
    return first.len ? fh_buf_addc(&c->out, list ? ']' : '}') : fh_buf_adds(&c->out, "{}");
}

static bool nested_value(tf_cursor *c, fh_str tag, const fh_json *schema, unsigned depth)
{
    tf_cursor before = *c;
    fh_str inner, text, type = fh_json_str(fh_json_get(schema, "type"));
    if (depth > TF_WHOLE_DEPTH) return false;
    bool deeper = nested_tag(c, &inner);
    c->s = before.s;
    if (deeper) return nested_members(c, tag, schema, depth);
    size_t at = fh_str_find(c->s, fh_str_of(c->p->f->f.quote));
    text = (fh_str){c->s.ptr, at};
    c->s.ptr += at;
    c->s.len -= at;
    if (!nested_end(c, tag)) return false;
    if (!text.len && fh_str_eqs(type, "array")) return fh_buf_adds(&c->out, "[]");
    if (!text.len && fh_str_eqs(type, "object")) return fh_buf_adds(&c->out, "{}");
    return tf_value_json(tf_value_type(schema), schema, text, &c->out);
}

static const fh_json *tool_schema(const fh_toolfmt_parser *p, fh_str name)
{
    for (size_t i = 0; i < fh_json_count(p->tools); i++) {
        const fh_json *function = fh_json_get(fh_json_at(p->tools, i), "function");
        if (fh_str_eq(name, fh_json_str(fh_json_get(function, "name")))) return fh_json_get(function, "parameters");
    }
    return NULL;
}

static bool nested_calls(tf_cursor *c)
{
    fh_str name;
    for (tf_cursor_skip(c); c->s.len; tf_cursor_skip(c)) {
        if (!tf_cursor_take(c, c->p->f->f.quote) || !tf_cursor_take(c, "<invoke name=\"") || !take_until(c, "\">", &name)) return false;
        tf_cursor_skip(c);
        if (!nested_members(c, FH_STR("invoke"), tool_schema(c->p, name), 0) || !tf_cursor_add_call(c, name)) return false;
    }
    return fh_json_count(c->calls) > 0;
}

/* ---- all of them ---- */

static bool read_calls(tf_cursor *c)
{
    const fh_toolfmt_parser *p = c->p;
    bool ok = p->f->f.style == TF_BRACES ? braces_calls(c) : p->f->f.style == TF_NESTED ? nested_calls(c) : tf_python_calls(c);
    if (!ok || p->calls + fh_json_count(c->calls) > p->max_calls) return false;
    for (size_t i = 0; i < fh_json_count(c->calls); i++)
        if (!tf_is_name(p, fh_json_str(fh_json_at(fh_json_at(c->calls, i), 0)))) return false;
    return true;
}

static int emit_call(fh_toolfmt_parser *p, const fh_json *pair)
{
    fh_str name = fh_json_str(fh_json_at(pair, 0));
    fh_buf_clear(&p->name);
    if (!fh_buf_add(&p->name, name.ptr, name.len)) return fh_err_nomem(p->err);
    int rc = tf_begin(p);
    if (rc > 0) rc = tf_args(p, fh_json_str(fh_json_at(pair, 1)));
    return rc ? rc : tf_end(p, true);
}

static int emit_calls(fh_toolfmt_parser *p, const tf_cursor *c)
{
    int rc = TF_GO;
    for (size_t i = 0; rc >= 0 && i < fh_json_count(c->calls); i++) rc = emit_call(p, fh_json_at(c->calls, i));
    return rc < 0 ? rc : tf_leave(p);
}

int tf_whole(fh_toolfmt_parser *p)
{
    bool found = false;
    const char *marker = p->bare ? NULL : p->f->f.style == TF_JSON ? NULL : p->f->f.call_close;
    fh_str s = tf_rest(p);
    size_t len = marker ? tf_find(p, s, marker, &found) : s.len;
    if (!found && !p->final && p->end - p->from < FH_LIMIT_TOOL_HOLD_BYTES) return TF_NEED;
    tf_cursor c = {.p = p, .s = {s.ptr, len}, .calls = fh_json_new_array()};
    fh_buf_init(&c.out, TF_WHOLE_BYTES);
    p->at += len + (found ? strlen(marker) : 0);
    int rc = c.calls ? 0 : fh_err_nomem(p->err);
    if (!rc) rc = read_calls(&c) ? emit_calls(p, &c) : tf_no_call(p);
    fh_buf_fini(&c.out);
    fh_json_unref(c.calls);
    return rc;
}
