/* Source to tokens, one at a time: text, tags, and what stands inside tags. White space around tags goes here, by the rules of trim_blocks,
 * lstrip_blocks and the signs '-' and '+', exactly as jinja2's regular expressions take it. */
#include "jinja.h"

#include <stdio.h>

void jinja_set_lex_fail(jlexer *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(l->err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    fh_err_add(l->err, "chat template, line %u", l->line);
}

/* All line ends become \n; one at the very end goes. */
static int copy_source(jlexer *l, fh_str source)
{
    char *to = fh_arena_alloc(l->arena, source.len + 1);
    if (!to) return jinja_nomem(l->err);
    size_t n = 0;
    for (size_t i = 0; i < source.len; i++) {
        if (source.ptr[i] == '\r') {
            to[n++] = '\n';
            if (i + 1 < source.len && source.ptr[i + 1] == '\n') i++;
        } else {
            to[n++] = source.ptr[i];
        }
    }
    if (n && to[n - 1] == '\n') n--;
    l->src = to;
    l->len = n;
    return 0;
}

int jinja_lexer_init(jlexer *l, fh_arena *arena, fh_str source, fh_err **err)
{
    *l = (jlexer){.arena = arena, .err = err, .line = 1, .line_starting = true};
    if (source.len > FH_LIMIT_TEMPLATE_BYTES)
        return fh_err_set(err, FH_E_TOO_LARGE, "chat template of %zu bytes; at most %d are taken", source.len, FH_LIMIT_TEMPLATE_BYTES);
    if (!fh_utf8_valid(source.ptr, source.len)) return fh_err_set(err, FH_E_INVALID, "chat template is not UTF-8");
    return copy_source(l, source);
}

static void move_to(jlexer *l, size_t pos)
{
    for (; l->pos < pos; l->pos++)
        if (l->src[l->pos] == '\n') l->line++;
}

/* Ends a match: line_starting tells whether it ended a line. */
static void match_to(jlexer *l, size_t pos)
{
    if (pos > l->pos) l->line_starting = l->src[pos - 1] == '\n';
    move_to(l, pos);
}

static char at(const jlexer *l, size_t pos)
{
    return pos < l->len ? l->src[pos] : '\0';
}

static bool starts(const jlexer *l, size_t pos, const char *s)
{
    size_t n = strlen(s);
    return l->len - FH_MIN(pos, l->len) >= n && memcmp(l->src + pos, s, n) == 0;
}

static size_t skip_space(const jlexer *l, size_t pos)
{
    uint32_t cp;
    for (size_t n; pos < l->len && (n = fh_utf8_decode(l->src + pos, l->len - pos, &cp)) && jinja_is_space(cp);) pos += n;
    return pos;
}

/* The end of a tag at pos: "-%}" takes white space behind it, "%}" one line end, "+%}" (where it may be) nothing. 0: no end here. */
static size_t tag_end(const jlexer *l, size_t pos, const char *end, bool plus, bool trim)
{
    if (at(l, pos) == '-' && starts(l, pos + 1, end)) return skip_space(l, pos + 3);
    if (plus && at(l, pos) == '+' && starts(l, pos + 1, end)) return pos + 3;
    if (!starts(l, pos, end)) return 0;
    return pos + 2 + (trim && at(l, pos + 2) == '\n');
}

/* Where "{% raw %}" ends, when it is one that begins at pos; else 0. */
static size_t raw_begin(const jlexer *l, size_t pos)
{
    size_t p = pos + 2;
    if (at(l, p) == '-' || at(l, p) == '+') p++;
    p = skip_space(l, p);
    if (!starts(l, p, "raw")) return 0;
    return tag_end(l, skip_space(l, p + 3), "%}", false, false);
}

static size_t raw_end(const jlexer *l, size_t pos)
{
    size_t p = pos + 2;
    if (at(l, p) == '-' || at(l, p) == '+') p++;
    p = skip_space(l, p);
    if (!starts(l, p, "endraw")) return 0;
    return tag_end(l, skip_space(l, p + 6), "%}", true, true);
}

/* The text before a tag, as much of it as the tag's sign and lstrip_blocks leave. */
static fh_str strip_before(const jlexer *l, size_t end, char sign, bool variable)
{
    fh_str text = {l->src + l->pos, end - l->pos};
    if (sign == '-') return jinja_strip(text, false, true);
    if (sign == '+' || variable) return text;
    size_t line = text.len;
    while (line && text.ptr[line - 1] != '\n') line--;
    if (!line && !l->line_starting) return text;
    fh_str rest = {text.ptr + line, text.len - line};
    if (rest.len && !jinja_strip(rest, true, true).len) text.len = line;
    return text;
}

static void data_token(jlexer *l, fh_str text, jtoken *ret)
{
    *ret = (jtoken){.type = T_DATA, .line = l->line, .text = text};
}

static int skip_comment(jlexer *l)
{
    size_t p = l->pos + 2;
    if (at(l, p) == '-' || at(l, p) == '+') p++;
    for (; p < l->len; p++) {
        size_t end = tag_end(l, p, "#}", true, true);
        if (end) {
            match_to(l, end);
            return 0;
        }
    }
    return jinja_lex_fail(l, "the comment that begins here has no end");
}

/* The next "{%", "{{" or "{#" from pos on, or the end. */
static size_t find_tag(const jlexer *l, size_t pos)
{
    for (; pos + 1 < l->len; pos++) {
        const char *brace = memchr(l->src + pos, '{', l->len - pos - 1);
        if (!brace) return l->len;
        pos = (size_t)(brace - l->src);
        if (jinja_one_of(l->src[pos + 1], "%{#")) return pos;
    }
    return l->len;
}

static void begin_token(jlexer *l, jtoken *ret)
{
    bool variable = l->src[l->pos + 1] == '{';
    *ret = (jtoken){.type = variable ? T_VAR_BEGIN : T_BLOCK_BEGIN, .line = l->line};
    char sign = at(l, l->pos + 2);
    match_to(l, l->pos + 2 + (sign == '-' || sign == '+'));
    l->state = variable ? LEX_VAR : LEX_BLOCK;
    l->open = 0;
}

/* At a tag (or at the end): sets *ret when that made a token. */
static int enter_tag(jlexer *l, jtoken *ret, bool *ret_made)
{
    *ret_made = true;
    if (l->pos >= l->len) {
        *ret = (jtoken){.type = T_EOF, .line = l->line};
        return 0;
    }
    size_t raw = l->src[l->pos + 1] == '%' ? raw_begin(l, l->pos) : 0;
    *ret_made = false;
    if (l->src[l->pos + 1] == '#') return skip_comment(l);
    if (raw) {
        match_to(l, raw);
        l->state = LEX_RAW;
        return 0;
    }
    *ret_made = true;
    begin_token(l, ret);
    return 0;
}

static int lex_root(jlexer *l, jtoken *ret, bool *ret_made)
{
    if (l->begin_pending) {
        l->begin_pending = false;
        return enter_tag(l, ret, ret_made);
    }
    size_t tag = find_tag(l, l->pos);
    fh_str text = {l->src + l->pos, tag - l->pos};
    if (tag < l->len) text = strip_before(l, tag, at(l, tag + 2), l->src[tag + 1] == '{');
    data_token(l, text, ret);
    *ret_made = text.len > 0;
    move_to(l, tag);
    l->begin_pending = true;
    return 0;
}

static int lex_raw(jlexer *l, jtoken *ret, bool *ret_made)
{
    for (size_t p = l->pos; p + 1 < l->len; p++) {
        size_t end = starts(l, p, "{%") ? raw_end(l, p) : 0;
        if (!end) continue;
        fh_str text = strip_before(l, p, at(l, p + 2), false);
        data_token(l, text, ret);
        *ret_made = text.len > 0;
        match_to(l, end);
        l->state = LEX_ROOT;
        return 0;
    }
    return jinja_lex_fail(l, "{%% raw %%} has no {%% endraw %%}");
}

static const struct {
    char text[3];
    uint8_t type;
} operators[] = {
    {"//", T_FLOORDIV}, {"**", T_POW},   {"==", T_EQ},    {"!=", T_NE},    {">=", T_GE},       {"<=", T_LE},      {"+", T_ADD},
    {"-", T_SUB},       {"/", T_DIV},    {"*", T_MUL},    {"%", T_MOD},    {"~", T_TILDE},     {"[", T_LBRACKET}, {"]", T_RBRACKET},
    {"(", T_LPAREN},    {")", T_RPAREN}, {"{", T_LBRACE}, {"}", T_RBRACE}, {">", T_GT},        {"<", T_LT},       {"=", T_ASSIGN},
    {".", T_DOT},       {":", T_COLON},  {"|", T_PIPE},   {",", T_COMMA},  {";", T_SEMICOLON},
};

const char *jinja_token_name(jtoken_type type)
{
    static const char *const names[] = {"end of template", "text", "'{{'", "'}}'", "'{%'", "'%}'", "name", "string", "integer", "float"};
    if (type < FH_COUNT(names)) return names[type];
    for (size_t i = 0; i < FH_COUNT(operators); i++)
        if (operators[i].type == type) return operators[i].text;
    return "?";
}

static int balance(jlexer *l, char c)
{
    const char *opens = "([{", *closes = ")]}";
    const char *open = strchr(opens, c);
    if (open) {
        if (l->open == sizeof(l->closers)) return jinja_lex_fail(l, "brackets nest deeper than %zu", sizeof(l->closers));
        l->closers[l->open++] = closes[open - opens];
        return 0;
    }
    if (!strchr(closes, c)) return 0;
    if (!l->open) return jinja_lex_fail(l, "unexpected '%c'", c);
    char want = l->closers[--l->open];
    return want == c ? 0 : jinja_lex_fail(l, "unexpected '%c', expected '%c'", c, want);
}

static int lex_operator(jlexer *l, jtoken *ret)
{
    for (size_t i = 0; i < FH_COUNT(operators); i++) {
        if (!starts(l, l->pos, operators[i].text)) continue;
        *ret = (jtoken){.type = operators[i].type, .line = l->line, .text = fh_str_of(operators[i].text)};
        l->pos += ret->text.len;
        return ret->text.len == 1 ? balance(l, ret->text.ptr[0]) : 0;
    }
    uint32_t cp = 0;
    fh_utf8_decode(l->src + l->pos, l->len - l->pos, &cp);
    return jinja_lex_fail(l, "unexpected character U+%04X", cp);
}

static size_t name_end(const jlexer *l)
{
    size_t p = l->pos, n;
    uint32_t cp;
    while (p < l->len && (n = fh_utf8_decode(l->src + p, l->len - p, &cp)) &&
           (p == l->pos ? jinja_is_name_start(cp) : jinja_is_name_part(cp)))
        p += n;
    return p;
}

static int lex_inside(jlexer *l, jtoken *ret)
{
    bool variable = l->state == LEX_VAR;
    if (!l->open) {
        size_t end = variable ? tag_end(l, l->pos, "}}", false, false) : tag_end(l, l->pos, "%}", true, true);
        if (end) {
            *ret = (jtoken){.type = variable ? T_VAR_END : T_BLOCK_END, .line = l->line};
            match_to(l, end);
            l->state = LEX_ROOT;
            return 0;
        }
    }
    bool number = false;
    int rc = jinja_lex_number(l, ret, &number);
    if (rc || number) return rc;
    size_t end = name_end(l);
    if (end > l->pos) {
        *ret = (jtoken){.type = T_NAME, .line = l->line, .text = {l->src + l->pos, end - l->pos}};
        l->pos = end;
        return 0;
    }
    char c = at(l, l->pos);
    return c == '"' || c == '\'' ? jinja_lex_string(l, ret) : lex_operator(l, ret);
}

int jinja_lexer_next(jlexer *l, jtoken *ret)
{
    bool made = false;
    int rc = 0;
    while (!made && !rc) {
        if (l->state == LEX_ROOT) {
            rc = lex_root(l, ret, &made);
        } else if (l->state == LEX_RAW) {
            rc = lex_raw(l, ret, &made);
        } else {
            move_to(l, skip_space(l, l->pos));
            made = true;
            if (l->pos < l->len) return lex_inside(l, ret);
            *ret = (jtoken){.type = T_EOF, .line = l->line};
        }
    }
    return rc;
}
