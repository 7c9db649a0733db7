/* Strings and numbers inside tags, as jinja2 reads them: Python's escapes, underscores between digits, bases 2, 8 and 16. */
#include "jinja.h"

#include <stdlib.h>

static char at(const jlexer *l, size_t pos)
{
    return pos < l->len ? l->src[pos] : '\0';
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* Digits of a base from pos on, with single underscores between them. */
static size_t digits(const jlexer *l, size_t pos, int base)
{
    size_t p = pos;
    while (digit_of(at(l, p)) < base || (p > pos && at(l, p) == '_' && digit_of(at(l, p + 1)) < base)) p++;
    return p;
}

static size_t exponent(const jlexer *l, size_t pos)
{
    if (at(l, pos) != 'e' && at(l, pos) != 'E') return pos;
    size_t p = pos + 1;
    if (at(l, p) == '+' || at(l, p) == '-') p++;
    size_t end = digits(l, p, 10);
    return end > p ? end : pos;
}

/* Where the float that begins here ends; 0 when it is none. */
static size_t float_end(const jlexer *l)
{
    if (l->pos && l->src[l->pos - 1] == '.') return 0; /* a.1.2 is two subscripts */
    size_t whole = digits(l, l->pos, 10), end = whole;
    if (at(l, whole) == '.') {
        size_t frac = digits(l, whole + 1, 10);
        if (frac > whole + 1) end = frac;
    }
    end = exponent(l, end);
    return end > whole ? end : 0;
}

static int float_token(jlexer *l, size_t end, jtoken *ret)
{
    char *text = fh_arena_alloc(l->arena, end - l->pos + 1), *to = text;
    if (!text) return jinja_nomem(l->err);
    for (size_t p = l->pos; p < end; p++)
        if (l->src[p] != '_') *to++ = l->src[p];
    double v = strtod(text, NULL);
    if (v > 1.7976931348623157e308) return jinja_lex_fail(l, "a number is too large");
    *ret = (jtoken){.type = T_FLOAT, .line = l->line, .text = {l->src + l->pos, end - l->pos}, .value = jinja_float(v)};
    l->pos = end;
    return 0;
}

static int int_base(const jlexer *l)
{
    if (at(l, l->pos) != '0') return 10;
    char c = at(l, l->pos + 1);
    size_t digit = l->pos + 2 + (at(l, l->pos + 2) == '_');
    int base = c == 'x' || c == 'X' ? 16 : c == 'o' || c == 'O' ? 8 : c == 'b' || c == 'B' ? 2 : 10;
    return base != 10 && digit_of(at(l, digit)) < base ? base : 10;
}

static size_t int_end(const jlexer *l, int base, size_t from)
{
    if (base != 10) return digits(l, from + (at(l, from) == '_'), base);
    if (at(l, from) != '0') return digits(l, from, 10);
    size_t p = from + 1; /* a zero is followed by zeros only */
    while (at(l, p) == '0' || (at(l, p) == '_' && at(l, p + 1) == '0')) p++;
    return p;
}

int jinja_lex_number(jlexer *l, jtoken *ret, bool *ret_is_number)
{
    if (digit_of(at(l, l->pos)) > 9) return 0;
    *ret_is_number = true;
    size_t end = float_end(l);
    if (end) return float_token(l, end, ret);
    int base = int_base(l);
    size_t from = l->pos + (base != 10 ? 2 : 0);
    end = int_end(l, base, from);
    int64_t v = 0;
    for (size_t p = from; p < end; p++) {
        if (l->src[p] == '_') continue;
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit_of(l->src[p]), &v))
            return jinja_lex_fail(l, "an integer does not fit into 64 bits");
    }
    *ret = (jtoken){.type = T_INT, .line = l->line, .text = {l->src + l->pos, end - l->pos}, .value = jinja_int(v)};
    l->pos = end;
    return 0;
}

/* \xhh, \uhhhh, \Uhhhhhhhh: count hexadecimal digits after pos. */
static int hex_escape(jlexer *l, size_t pos, size_t end, size_t count, uint32_t *ret)
{
    uint32_t cp = 0;
    for (size_t i = 0; i < count; i++) {
        int d = pos + i < end ? digit_of(l->src[pos + i]) : 99;
        if (d > 15) return jinja_lex_fail(l, "a string has a truncated \\x, \\u or \\U escape");
        cp = cp * 16 + (uint32_t)d;
    }
    *ret = cp;
    return 0;
}

static int put(jlexer *l, char **to, uint32_t cp)
{
    char utf8[4];
    size_t n = fh_utf8_encode(cp, utf8);
    if (!n) return jinja_lex_fail(l, "a string has the escape of a surrogate or of no character (U+%X)", cp);
    memcpy(*to, utf8, n);
    *to += n;
    return 0;
}

static size_t octal(const jlexer *l, size_t pos, size_t end, uint32_t *ret)
{
    size_t n = 0;
    *ret = 0;
    for (; n < 3 && pos + n < end && digit_of(l->src[pos + n]) < 8; n++) *ret = *ret * 8 + (uint32_t)digit_of(l->src[pos + n]);
    return n;
}

/* One escape behind the backslash at pos - 1; moves *pos behind it. */
static int unescape(jlexer *l, size_t *pos, size_t end, char **to)
{
    static const char plain[] = "\\'\"abfnrtv", meaning[] = "\\'\"\a\b\f\n\r\t\v";
    char c = l->src[*pos];
    uint32_t cp;
    size_t n = octal(l, *pos, end, &cp);
    if (n) {
        *pos += n;
        return put(l, to, cp);
    }
    ++*pos;
    if (c == '\n') return 0;
    const char *found = strchr(plain, c);
    if (found && c) {
        *(*to)++ = meaning[found - plain];
        return 0;
    }
    if (c == 'N') return jinja_lex_fail(l, "the escape \\N{...} is not supported");
    n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (!n) {
        *(*to)++ = '\\';
        --*pos;
        return 0;
    }
    int rc = hex_escape(l, *pos, end, n, &cp);
    if (rc) return rc;
    *pos += n;
    return put(l, to, cp);
}

static int string_value(jlexer *l, size_t from, size_t end, fh_str *ret)
{
    char *text = fh_arena_alloc(l->arena, end - from + 1), *to = text; /* an escape is never longer than what it means */
    if (!text) return jinja_nomem(l->err);
    for (size_t p = from; p < end;) {
        char c = l->src[p++];
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        int rc = unescape(l, &p, end, &to);
        if (rc) return rc;
    }
    *ret = (fh_str){text, (size_t)(to - text)};
    return 0;
}

int jinja_lex_string(jlexer *l, jtoken *ret)
{
    size_t from = l->pos + 1, end = from;
    char quote = l->src[l->pos];
    while (end < l->len && l->src[end] != quote) end += l->src[end] == '\\' ? 2 : 1;
    if (end >= l->len) return jinja_lex_fail(l, "a string has no end");
    *ret = (jtoken){.type = T_STRING, .line = l->line, .text = {l->src + from, end - from}};
    int rc = memchr(ret->text.ptr, '\\', ret->text.len) ? string_value(l, from, end, &ret->text) : 0;
    for (; l->pos <= end; l->pos++)
        if (l->src[l->pos] == '\n') l->line++;
    return rc;
}
