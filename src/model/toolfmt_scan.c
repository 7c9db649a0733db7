/* JSON that arrives byte by byte: where a value ends, and whether it still can be one. Strict (RFC 8259), nested no deeper than JSON_DEPTH.
 */
#include "toolfmt.h"

enum {
    VALUE,
    FIRST_VALUE,
    FIRST_KEY,
    KEY,
    COLON,
    STRING,
    ESCAPE,
    HEX,
    LITERAL,
    MINUS,
    ZERO,
    DIGITS,
    POINT,
    FRACTION,
    E,
    E_SIGN,
    EXPONENT,
    AFTER
};

void tf_scanner_init(tf_scanner *s)
{
    s->state = VALUE;
    s->depth = 0;
    s->digits = 0;
    s->key = false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static tf_scan go(tf_scanner *s, uint8_t state)
{
    s->state = state;
    return TF_SCAN_MORE;
}

static tf_scan ended(tf_scanner *s)
{
    s->state = AFTER;
    return s->depth ? TF_SCAN_MORE : TF_SCAN_DONE;
}

static tf_scan enter(tf_scanner *s, char c)
{
    if (s->depth == FH_COUNT(s->stack)) return TF_SCAN_BAD;
    s->stack[s->depth++] = (uint8_t)c;
    return go(s, c == '{' ? FIRST_KEY : FIRST_VALUE);
}

static tf_scan leave(tf_scanner *s, char c)
{
    if (!s->depth || s->stack[s->depth - 1] != (c == '}' ? '{' : '[')) return TF_SCAN_BAD;
    s->depth--;
    return ended(s);
}

static tf_scan literal(tf_scanner *s, const char *rest)
{
    s->literal = rest;
    return go(s, LITERAL);
}

static tf_scan value(tf_scanner *s, char c)
{
    s->key = false;
    switch (c) {
    case '{':
    case '[': return enter(s, c);
    case '"': return go(s, STRING);
    case 't': return literal(s, "rue");
    case 'f': return literal(s, "alse");
    case 'n': return literal(s, "ull");
    case '-': return go(s, MINUS);
    case '0': return go(s, ZERO);
    default: return is_digit(c) ? go(s, DIGITS) : TF_SCAN_BAD;
    }
}

static tf_scan key(tf_scanner *s, char c)
{
    s->key = true;
    return c == '"' ? go(s, STRING) : TF_SCAN_BAD;
}

static tf_scan string(tf_scanner *s, char c)
{
    if ((uint8_t)c < 0x20) return TF_SCAN_BAD;
    if (c == '\\') return go(s, ESCAPE);
    if (c != '"') return TF_SCAN_MORE;
    return s->key ? go(s, COLON) : ended(s);
}

static tf_scan escape(tf_scanner *s, char c)
{
    s->digits = 0;
    if (c == 'u') return go(s, HEX);
    return c && strchr("\"\\/bfnrt", c) ? go(s, STRING) : TF_SCAN_BAD;
}

static tf_scan hex(tf_scanner *s, char c)
{
    if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F')) return TF_SCAN_BAD;
    return ++s->digits == 4 ? go(s, STRING) : TF_SCAN_MORE;
}

static tf_scan after(tf_scanner *s, char c)
{
    if (is_space(c)) return TF_SCAN_MORE;
    if (c == ',' && s->depth) return go(s, s->stack[s->depth - 1] == '{' ? KEY : VALUE);
    return c == '}' || c == ']' ? leave(s, c) : TF_SCAN_BAD;
}

/* A number ends where something else begins, which then is looked at again. */
static tf_scan number_ended(tf_scanner *s, char c)
{
    if (ended(s) == TF_SCAN_DONE) return TF_SCAN_DONE_BEFORE;
    return after(s, c);
}

static tf_scan number(tf_scanner *s, char c)
{
    switch (s->state) {
    case MINUS: return c == '0' ? go(s, ZERO) : is_digit(c) ? go(s, DIGITS) : TF_SCAN_BAD;
    case POINT: return is_digit(c) ? go(s, FRACTION) : TF_SCAN_BAD;
    case E:
        if (c == '+' || c == '-') return go(s, E_SIGN);
        return is_digit(c) ? go(s, EXPONENT) : TF_SCAN_BAD;
    case E_SIGN: return is_digit(c) ? go(s, EXPONENT) : TF_SCAN_BAD;
    default: break;
    }
    if (s->state != ZERO && is_digit(c)) return TF_SCAN_MORE;
    if (c == '.' && (s->state == ZERO || s->state == DIGITS)) return go(s, POINT);
    if ((c == 'e' || c == 'E') && s->state != EXPONENT) return go(s, E);
    return number_ended(s, c);
}

tf_scan tf_scanner_step(tf_scanner *s, char c)
{
    bool space = is_space(c);
    switch (s->state) {
    case VALUE: return space ? TF_SCAN_MORE : value(s, c);
    case FIRST_VALUE: return space ? TF_SCAN_MORE : c == ']' ? leave(s, c) : value(s, c);
    case FIRST_KEY: return space ? TF_SCAN_MORE : c == '}' ? leave(s, c) : key(s, c);
    case KEY: return space ? TF_SCAN_MORE : key(s, c);
    case COLON: return space ? TF_SCAN_MORE : c == ':' ? go(s, VALUE) : TF_SCAN_BAD;
    case STRING: return string(s, c);
    case ESCAPE: return escape(s, c);
    case HEX: return hex(s, c);
    case LITERAL:
        if (*s->literal != c) return TF_SCAN_BAD;
        return *++s->literal ? TF_SCAN_MORE : ended(s);
    case AFTER: return after(s, c);
    default: return number(s, c);
    }
}

size_t tf_scan_some(fh_toolfmt_parser *p, fh_str s, tf_scan *ret)
{
    size_t i = 0;
    for (*ret = TF_SCAN_MORE; i < s.len && *ret == TF_SCAN_MORE; i++) *ret = tf_scanner_step(&p->scan, s.ptr[i]);
    return i - (*ret == TF_SCAN_DONE_BEFORE || *ret == TF_SCAN_BAD);
}

bool tf_scanner_end(const tf_scanner *s)
{
    bool number = s->state == ZERO || s->state == DIGITS || s->state == FRACTION || s->state == EXPONENT;
    return s->depth == 0 && (s->state == AFTER || number);
}

bool tf_unquote(fh_str quoted, fh_buf *out)
{
    FH_AUTO(json) fh_json *v = NULL;
    FH_AUTO(buf) fh_buf list = FH_BUF(quoted.len + 3); /* only documents that are arrays or objects are taken everywhere */
    fh_buf_addc(&list, '[');
    fh_buf_add(&list, quoted.ptr, quoted.len);
    fh_buf_addc(&list, ']');
    if (!fh_buf_ok(&list) || fh_json_parse(&v, (fh_str){list.data, list.len}, list.len, NULL)) return false;
    const fh_json *s = fh_json_at(v, 0);
    fh_str text = fh_json_str(s);
    return fh_json_count(v) == 1 && fh_json_kind_of(s) == FH_JSON_STRING && fh_buf_add(out, text.ptr, text.len);
}
