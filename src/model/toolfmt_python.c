/* Python's notation: lists of calls, [name(key=value, ...), ...], and literals, which become JSON. */
#include "toolfmt_whole.h"

static bool python_value(tf_cursor *c, unsigned depth);

static int hex(fh_str s)
{
    uint8_t bytes[4] = {0};
    char digits[9] = "00000000";
    memcpy(digits + 8 - s.len, s.ptr, s.len);
    if (!fh_hex_decode((fh_str){digits, 8}, bytes, 4) || bytes[0]) return -1;
    return bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static bool python_escape(tf_cursor *c, fh_buf *to)
{
    static const char from[] = "ntrbf\\'\"", into[] = "\n\t\r\b\f\\'\"";
    if (!c->s.len) return false;
    char e = *c->s.ptr++;
    c->s.len--;
    const char *at = e ? strchr(from, e) : NULL;
    if (at) return fh_buf_addc(to, into[at - from]);
    size_t digits = e == 'x' ? 2 : e == 'u' ? 4 : e == 'U' ? 8 : 0;
    if (!digits || c->s.len < digits) return fh_buf_addc(to, '\\') && fh_buf_addc(to, e);
    int code = hex((fh_str){c->s.ptr, digits});
    char utf8[4];
    size_t len = code < 0 ? 0 : fh_utf8_encode((uint32_t)code, utf8);
    c->s.ptr += digits;
    c->s.len -= digits;
    return len && fh_buf_add(to, utf8, len);
}

static bool python_string(tf_cursor *c)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TF_WHOLE_BYTES);
    char quote = *c->s.ptr;
    c->s.ptr++, c->s.len--;
    while (c->s.len && *c->s.ptr != quote) {
        char b = *c->s.ptr++;
        c->s.len--;
        if (b == '\\' ? !python_escape(c, &text) : !fh_buf_addc(&text, b)) return false;
    }
    if (!c->s.len) return false;
    c->s.ptr++, c->s.len--;
    return fh_buf_add_json_string(&c->out, fh_buf_cstr(&text), text.len);
}

/* Items up to the closing bracket; an object's have a key before them. */
static bool python_items(tf_cursor *c, const char *close, bool keys, unsigned depth)
{
    fh_buf_addc(&c->out, keys ? '{' : '[');
    for (bool first = true; !tf_cursor_take_after_space(c, close); first = false) {
        if (!first && (!tf_cursor_take(c, ",") || tf_cursor_take_after_space(c, close)))
            return !first && c->s.ptr[-1] == *close && fh_buf_addc(&c->out, keys ? '}' : ']');
        if (!first) fh_buf_addc(&c->out, ',');
        tf_cursor_skip(c);
        if (keys && (!c->s.len || (*c->s.ptr != '"' && *c->s.ptr != '\'') || !python_string(c) || !tf_cursor_take_after_space(c, ":") ||
                     !fh_buf_addc(&c->out, ':')))
            return false;
        if (!python_value(c, depth + 1)) return false;
        tf_cursor_skip(c);
    }
    return fh_buf_addc(&c->out, keys ? '}' : ']');
}

static bool python_value(tf_cursor *c, unsigned depth)
{
    tf_cursor_skip(c);
    if (!c->s.len || depth > TF_WHOLE_DEPTH) return false;
    if (*c->s.ptr == '"' || *c->s.ptr == '\'') return python_string(c);
    if (tf_cursor_take(c, "[")) return python_items(c, "]", false, depth);
    if (tf_cursor_take(c, "(")) return python_items(c, ")", false, depth);
    if (tf_cursor_take(c, "{")) return python_items(c, "}", true, depth);
    return tf_cursor_put_bare(c, tf_cursor_word(c, "+-._"));
}

static bool python_call(tf_cursor *c)
{
    tf_cursor_skip(c);
    fh_str name = tf_cursor_word(c, "_-.:/");
    if (c->p->f->f.flags & TF_OR_PYTHON && fh_str_ends(name, FH_STR(".call"))) name.len -= strlen(".call");
    if (!tf_cursor_take_after_space(c, "(")) return false;
    fh_buf_addc(&c->out, '{');
    for (bool first = true; !tf_cursor_take_after_space(c, ")"); first = false) {
        if (!first && !tf_cursor_take(c, ",")) return false;
        if (!first) fh_buf_addc(&c->out, ',');
        tf_cursor_skip(c);
        fh_str key = tf_cursor_word(c, "_-");
        if (!key.len || !tf_cursor_take_after_space(c, "=")) return false;
        fh_buf_add_json_string(&c->out, key.ptr, key.len);
        fh_buf_addc(&c->out, ':');
        if (!python_value(c, 0)) return false;
        tf_cursor_skip(c);
    }
    fh_buf_addc(&c->out, '}');
    return tf_cursor_add_call(c, name);
}

bool tf_python_calls(tf_cursor *c)
{
    bool list = tf_cursor_take_after_space(c, "[");
    do
        if (!python_call(c)) return false;
    while (tf_cursor_take_after_space(c, ",") || (!list && tf_cursor_take(c, ";")));
    if (list && !tf_cursor_take(c, "]")) return false;
    tf_cursor_skip(c);
    return !c->s.len;
}

bool tf_python_literal(fh_str text, fh_buf *out)
{
    tf_cursor c = {.s = text, .out = FH_BUF(TF_WHOLE_BYTES)};
    bool ok = python_value(&c, 0);
    tf_cursor_skip(&c);
    ok = ok && !c.s.len && fh_buf_ok(&c.out) && fh_buf_add(out, c.out.data, c.out.len);
    fh_buf_fini(&c.out);
    return ok;
}
