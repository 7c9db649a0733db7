/* Patterns: the regular part of ECMA-262's expressions, as GBNF over the characters of a JSON string.
 *
 * As validators search, a pattern that has no ^ or $ may have anything around it. Where dialects differ (what \w, \s or a full stop match
 * beyond ASCII) only what all of them take is written. Lengths beside a pattern: where the pattern itself does not keep them, each length
 * that is wanted (up to 63) gets rules of its own. */
#include "json_schema_private.h"

enum { REGEX_DEPTH = 48, EXACT_LENGTH_MAX = 63, EXACT_LENGTHS = 24, REPEAT_MAX = 100000 };
#define ENDLESS UINT32_MAX

typedef enum node_kind { NODE_EMPTY, NODE_CLASS, NODE_ANY, NODE_BOTH, NODE_EITHER, NODE_REPEAT } node_kind;

typedef struct span {
    uint32_t low, high;
} span;

typedef struct node {
    node_kind kind;
    unsigned number; /* for rules of exact length */
    span *spans;     /* NODE_CLASS: sorted, apart */
    size_t span_count;
    struct node *a, *b;   /* NODE_BOTH: a, then b; NODE_EITHER; NODE_REPEAT: a */
    uint32_t min, max;    /* NODE_REPEAT */
    uint64_t least, most; /* characters; most UINT64_MAX: no bound */
    uint64_t lengths;     /* bit n: n characters are possible */
} node;

typedef struct reader {
    schema_build *b;
    const char *at, *keyword;
    fh_str text;
    size_t i;
    unsigned depth, nodes;
    int rc; /* once negative, what failed */
} reader;

/* ---- nodes ---- */

static node *refuse(reader *r, const char *what)
{
    if (r->rc >= 0) r->rc = schema_refuse(r->b, r->at, r->keyword, "the pattern's character %zu: %s", r->i, what);
    return NULL;
}

static node *new_node(reader *r, node_kind kind)
{
    node *n = fh_arena_alloc(r->b->arena, sizeof *n);
    if (!n) {
        if (r->rc >= 0) r->rc = schema_memory(r->b, NULL);
        return NULL;
    }
    n->kind = kind;
    n->number = r->nodes++;
    n->lengths = kind == NODE_EMPTY ? 1 : 2;
    n->least = n->most = kind == NODE_EMPTY ? 0 : 1;
    return n;
}

static uint64_t plus(uint64_t x, uint64_t y)
{
    return x == UINT64_MAX || y == UINT64_MAX || x + y < x ? UINT64_MAX : x + y;
}

static uint64_t times(uint64_t x, uint32_t n)
{
    if (x == 0 || n == 0) return 0;
    uint64_t product;
    return x == UINT64_MAX || n == ENDLESS || __builtin_mul_overflow(x, (uint64_t)n, &product) ? UINT64_MAX : product;
}

/* Lengths of one after the other. */
static uint64_t join(uint64_t x, uint64_t y)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= EXACT_LENGTH_MAX; i++)
        if (x >> i & 1) sum |= y << i;
    return sum;
}

static uint64_t lengths_of_repeat(uint64_t x, uint32_t min, uint32_t max)
{
    uint64_t now = 1, all = min == 0;
    for (uint32_t n = 1; n <= max && n <= min + EXACT_LENGTH_MAX + 1 && now; n++) {
        uint64_t next = join(now, x);
        if (n >= min) all |= next;
        if (next == now && n >= min) break;
        if (n > EXACT_LENGTH_MAX && !(x & 1)) break; /* nothing so short is left */
        if (n > EXACT_LENGTH_MAX && next == now) return next;
        now = next;
    }
    return all;
}

static node *both(reader *r, node *a, node *b)
{
    if (!a || !b) return NULL;
    if (a->kind == NODE_EMPTY) return b;
    if (b->kind == NODE_EMPTY) return a;
    node *n = new_node(r, NODE_BOTH);
    if (!n) return NULL;
    n->a = a;
    n->b = b;
    n->least = plus(a->least, b->least);
    n->most = plus(a->most, b->most);
    n->lengths = join(a->lengths, b->lengths);
    return n;
}

static node *either(reader *r, node *a, node *b)
{
    node *n = a && b ? new_node(r, NODE_EITHER) : NULL;
    if (!n) return NULL;
    n->a = a;
    n->b = b;
    n->least = FH_MIN(a->least, b->least);
    n->most = FH_MAX(a->most, b->most);
    n->lengths = a->lengths | b->lengths;
    return n;
}

static node *repeat(reader *r, node *a, uint32_t min, uint32_t max)
{
    node *n = a ? new_node(r, NODE_REPEAT) : NULL;
    if (!n) return NULL;
    n->a = a;
    n->min = min;
    n->max = max;
    n->least = times(a->least, min);
    n->most = times(a->most, max);
    n->lengths = lengths_of_repeat(a->lengths, min, max);
    return n;
}

/* ---- classes ---- */

typedef struct set { /* of characters in the making */
    span spans[256];
    size_t count;
    bool ascii; /* what dialects see differently beyond ASCII is in it */
} set;

static bool add_span(reader *r, set *s, uint32_t low, uint32_t high)
{
    if (s->count == FH_COUNT(s->spans)) return refuse(r, "a class of more than 256 ranges") != NULL;
    s->spans[s->count++] = (span){low, high};
    return true;
}

static const span digits[] = {{'0', '9'}}, not_digits[] = {{0, '/'}, {':', 0x7f}};
static const span words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                  not_words[] = {{0, '/'}, {':', '@'}, {'[', '^'}, {'`', '`'}, {'{', 0x7f}};
static const span spaces[] = {{'\t', '\r'}, {' ', ' '}}, not_spaces[] = {{0x21, 0x7f}};

/* \d and its like; false when c is none of them. */
static bool add_shorthand(reader *r, set *s, char c)
{
    static const struct shorthand {
        char letter;
        const span *spans;
        size_t count;
    } all[] = {{'d', digits, FH_COUNT(digits)},       {'D', not_digits, FH_COUNT(not_digits)}, {'w', words, FH_COUNT(words)},
               {'W', not_words, FH_COUNT(not_words)}, {'s', spaces, FH_COUNT(spaces)},         {'S', not_spaces, FH_COUNT(not_spaces)}};
    for (size_t i = 0; i < FH_COUNT(all); i++) {
        if (all[i].letter != c) continue;
        for (size_t k = 0; k < all[i].count; k++) add_span(r, s, all[i].spans[k].low, all[i].spans[k].high);
        s->ascii = true;
        return true;
    }
    return false;
}

static int by_low(const span *x, const span *y)
{
    return (x->low > y->low) - (x->low < y->low);
}

static void sort_spans(set *s)
{
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) /* few: by insertion */
        for (size_t k = i; k > 0 && by_low(&s->spans[k - 1], &s->spans[k]) > 0; k--) {
            span other = s->spans[k];
            s->spans[k] = s->spans[k - 1];
            s->spans[k - 1] = other;
        }
    for (size_t i = 0; i < s->count; i++) {
        if (kept && s->spans[i].low <= s->spans[kept - 1].high + 1)
            s->spans[kept - 1].high = FH_MAX(s->spans[kept - 1].high, s->spans[i].high);
        else
            s->spans[kept++] = s->spans[i];
    }
    s->count = kept;
}

static void negate(set *s)
{
    set rest = {.count = 0};
    uint32_t from = 0, end = s->ascii ? 0x7f : 0x10ffff;
    for (size_t i = 0; i < s->count && from <= end; i++) {
        if (s->spans[i].low > from) rest.spans[rest.count++] = (span){from, FH_MIN(s->spans[i].low - 1, end)};
        from = s->spans[i].high + 1;
    }
    if (from <= end && rest.count < FH_COUNT(rest.spans)) rest.spans[rest.count++] = (span){from, end};
    *s = rest;
}

static node *class_of(reader *r, set *s, bool negated)
{
    node *n = new_node(r, NODE_CLASS);
    if (!n) return NULL;
    sort_spans(s);
    if (negated) negate(s);
    n->spans = fh_arena_array(r->b->arena, s->count + 1, sizeof *n->spans);
    if (!n->spans) {
        r->rc = schema_memory(r->b, NULL);
        return NULL;
    }
    if (s->count) memcpy(n->spans, s->spans, s->count * sizeof *n->spans);
    n->span_count = s->count;
    return n;
}

/* ---- reading ---- */

static char peek(const reader *r)
{
    return r->i < r->text.len ? r->text.ptr[r->i] : '\0';
}

static bool at_end(const reader *r)
{
    return r->i >= r->text.len;
}

static bool take(reader *r, char c)
{
    if (at_end(r) || r->text.ptr[r->i] != c) return false;
    r->i++;
    return true;
}

static bool read_hex(reader *r, unsigned count, uint32_t *ret)
{
    uint32_t v = 0;
    for (unsigned k = 0; k < count; k++, r->i++) {
        char c = peek(r), small = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v * 16 + (uint32_t)(c - '0');
        else if (small >= 'a' && small <= 'f')
            v = v * 16 + (uint32_t)(small - 'a' + 10);
        else
            return refuse(r, "hexadecimal digits are missing") != NULL;
    }
    if (v >= 0xd800 && v <= 0xdfff) return refuse(r, "a half of a surrogate pair") != NULL;
    *ret = v;
    return true;
}

/* Behind a backslash: one character. */
static bool read_escaped(reader *r, uint32_t *ret)
{
    static const char letters[] = "nrtfv0", values[] = "\n\r\t\f\v\0";
    char c = peek(r);
    const char *known = c ? strchr(letters, c) : NULL;
    if (at_end(r)) return refuse(r, "a backslash at the end") != NULL;
    r->i++;
    if (known) {
        *ret = (unsigned char)values[known - letters];
        return true;
    }
    if (c == 'x') return read_hex(r, 2, ret);
    if (c == 'u') return read_hex(r, 4, ret);
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
    if (letter) return refuse(r, "this escape is not supported (\\b, \\p, back references)") != NULL;
    *ret = (unsigned char)c;
    return true;
}

static bool read_char(reader *r, uint32_t *ret)
{
    size_t n = fh_utf8_decode(r->text.ptr + r->i, r->text.len - r->i, ret);
    if (!n) return refuse(r, "broken text") != NULL;
    r->i += n;
    return true;
}

/* One item of a class; *ret_single: it is a character, not a shorthand. */
static bool read_item(reader *r, set *s, uint32_t *ret, bool *ret_single)
{
    *ret_single = true;
    if (!take(r, '\\')) return read_char(r, ret);
    if (add_shorthand(r, s, peek(r))) {
        r->i++;
        *ret_single = false;
        return r->rc >= 0;
    }
    if (peek(r) == 'b' && r->i++ < r->text.len) {
        *ret = '\b';
        return true;
    }
    return read_escaped(r, ret);
}

static node *read_class(reader *r)
{
    set s = {.count = 0};
    bool negated = take(r, '^'), single, high_single;
    if (peek(r) == ']') return refuse(r, "an empty class");
    while (!take(r, ']')) {
        uint32_t low = 0, high = 0;
        if (at_end(r)) return refuse(r, "a class without its end");
        if (!read_item(r, &s, &low, &single)) return NULL;
        if (!single) continue;
        high = low;
        if (peek(r) == '-' && r->i + 1 < r->text.len && r->text.ptr[r->i + 1] != ']') {
            r->i++;
            if (!read_item(r, &s, &high, &high_single)) return NULL;
            if (!high_single || high < low) return refuse(r, "a range that is none");
        }
        if (!add_span(r, &s, low, high)) return NULL;
    }
    return class_of(r, &s, negated);
}

static node *read_either(reader *r);

static node *read_group(reader *r)
{
    if (take(r, '?') && !take(r, ':')) return refuse(r, "groups other than (...) and (?:...) are not supported");
    if (++r->depth > REGEX_DEPTH) return refuse(r, "groups are nested too deep");
    node *n = read_either(r);
    r->depth--;
    if (n && !take(r, ')')) return refuse(r, "a group without its end");
    return n;
}

static node *read_atom(reader *r)
{
    set s = {.count = 0};
    uint32_t c = 0;
    char first = peek(r);
    if (take(r, '(')) return read_group(r);
    if (take(r, '[')) return read_class(r);
    if (first && strchr("*+?", first)) return refuse(r, "nothing to repeat");
    if (first == '^' || first == '$') return refuse(r, "^ and $ are supported at the ends of the whole pattern");
    if (take(r, '.')) {
        add_span(r, &s, '\n', '\n');
        add_span(r, &s, '\r', '\r');
        add_span(r, &s, 0x2028, 0x2029);
        return class_of(r, &s, true);
    }
    if (take(r, '\\')) {
        if (add_shorthand(r, &s, peek(r))) {
            r->i++;
            return class_of(r, &s, false);
        }
        if (!read_escaped(r, &c)) return NULL;
    } else if (!read_char(r, &c))
        return NULL;
    add_span(r, &s, c, c);
    return class_of(r, &s, false);
}

static bool read_number(reader *r, uint32_t *ret)
{
    size_t from = r->i;
    uint64_t n;
    while (peek(r) >= '0' && peek(r) <= '9') r->i++;
    if (from == r->i) return false;
    if (!fh_str_u64((fh_str){r->text.ptr + from, r->i - from}, REPEAT_MAX, &n))
        return refuse(r, "a repetition of more than 100000") != NULL;
    *ret = (uint32_t)n;
    return true;
}

/* {m}, {m,} or {m,n}; what is none of them is a brace. */
static bool read_braces(reader *r, uint32_t *min, uint32_t *max)
{
    size_t from = r->i;
    bool good = take(r, '{') && read_number(r, min);
    *max = *min;
    if (good && take(r, ',')) {
        *max = ENDLESS;
        read_number(r, max);
    }
    if (good && take(r, '}')) return true;
    r->i = from;
    return false;
}

static node *read_repeated(reader *r)
{
    node *n = read_atom(r);
    uint32_t min = 0, max = ENDLESS;
    if (!n) return NULL;
    if (take(r, '*'))
        ;
    else if (take(r, '+'))
        min = 1;
    else if (take(r, '?'))
        max = 1;
    else if (peek(r) != '{' || !read_braces(r, &min, &max))
        return r->rc < 0 ? NULL : n;
    if (max < min) return refuse(r, "a repetition from more to fewer");
    take(r, '?'); /* lazy: the same texts */
    if (peek(r) == '+' || peek(r) == '*') return refuse(r, "a repetition of a repetition");
    return repeat(r, n, min, max);
}

static bool ends_branch(const reader *r)
{
    return at_end(r) || peek(r) == '|' || peek(r) == ')' || (peek(r) == '$' && r->depth == 0);
}

static node *read_both(reader *r)
{
    node *all = new_node(r, NODE_EMPTY);
    while (all && !ends_branch(r)) all = both(r, all, read_repeated(r));
    return all;
}

static node *read_either(reader *r)
{
    node *n = read_both(r);
    while (n && take(r, '|')) n = either(r, n, read_both(r));
    return n;
}

static node *anything(reader *r)
{
    node *any = new_node(r, NODE_ANY);
    return repeat(r, any, 0, ENDLESS);
}

/* A branch of the whole pattern, with what may stand around it. */
static node *read_branch(reader *r)
{
    bool from_start = take(r, '^');
    node *n = read_both(r);
    bool to_end = n && take(r, '$');
    if (n && !at_end(r) && peek(r) != '|') return refuse(r, peek(r) == ')' ? "a bracket that nothing opened" : "text behind $");
    if (n && !from_start) n = both(r, anything(r), n);
    return n && !to_end ? both(r, n, anything(r)) : n;
}

static node *read_pattern(reader *r)
{
    node *n = read_branch(r);
    while (n && take(r, '|')) n = either(r, n, read_branch(r));
    return n;
}

/* ---- writing ---- */

/* The characters of a class that a JSON string holds as they are, and those that it escapes (only with a short escape). */
static void add_class(const schema_build *b, const node *n, fh_buf *out)
{
    static const char escaped[] = "\"\\\b\f\n\r\t", spelled[] = "\"\\bfnrt";
    static const span plain[] = {{0x20, 0x21}, {0x23, 0x5b}, {0x5d, 0xd7ff}, {0xe000, 0x10ffff}};
    bool any = false, in_class = false;
    fh_buf_addc(out, '(');
    for (size_t i = 0; i < n->span_count; i++)
        for (size_t k = 0; k < FH_COUNT(plain); k++) {
            uint32_t low = FH_MAX(n->spans[i].low, plain[k].low), high = FH_MIN(n->spans[i].high, plain[k].high);
            if (low > high) continue;
            fh_buf_addf(out, "%s\\U%08X-\\U%08X", in_class ? "" : "[", low, high);
            any = in_class = true;
        }
    if (in_class) fh_buf_addc(out, ']');
    for (size_t e = 0; escaped[e]; e++)
        for (size_t i = 0; i < n->span_count; i++) {
            if ((unsigned char)escaped[e] < n->spans[i].low || (unsigned char)escaped[e] > n->spans[i].high) continue;
            const char text[] = {'\\', spelled[e]};
            fh_buf_adds(out, any ? " | " : "");
            fh_gbnf_add_literal(out, (fh_str){text, 2});
            any = true;
        }
    if (!any) fh_buf_addf(out, "%s-none", b->rule);
    fh_buf_addc(out, ')');
}

/* As deep as groups are nested, and as long as the pattern. */
static void add_node(const schema_build *b, const node *n, fh_buf *out)
{
    for (; n->kind == NODE_BOTH; n = n->b) {
        add_node(b, n->a, out);
        fh_buf_addc(out, ' ');
    }
    switch (n->kind) {
    case NODE_CLASS: add_class(b, n, out); break;
    case NODE_ANY: fh_buf_addf(out, "%s-char", b->rule); break;
    case NODE_REPEAT:
        fh_buf_addc(out, '(');
        add_node(b, n->a, out);
        fh_buf_addf(out, "){%u,", n->min);
        if (n->max != ENDLESS) fh_buf_addf(out, "%u", n->max);
        fh_buf_addc(out, '}');
        break;
    case NODE_EITHER:
        fh_buf_addc(out, '(');
        for (; n->kind == NODE_EITHER; n = n->a) {
            add_node(b, n->b, out);
            fh_buf_adds(out, " | ");
        }
        add_node(b, n, out);
        fh_buf_addc(out, ')');
        break;
    case NODE_BOTH:
    case NODE_EMPTY: fh_buf_adds(out, "\"\""); break;
    }
}

/* ---- texts of one length ---- */

typedef struct exact {
    reader *r;
    fh_map *names;
    const char *prefix;
} exact;

static const char *exact_rule(exact *x, const node *n, unsigned length);

static void or_more(fh_buf *body)
{
    if (body->len) fh_buf_adds(body, " | ");
}

static bool exact_both(exact *x, const node *n, unsigned length, fh_buf *body)
{
    for (unsigned i = 0; i <= length; i++) {
        if (!(n->a->lengths >> i & 1) || !(n->b->lengths >> (length - i) & 1)) continue;
        const char *a = exact_rule(x, n->a, i), *b = a ? exact_rule(x, n->b, length - i) : NULL;
        if (!b) return false;
        or_more(body);
        fh_buf_addf(body, "%s %s", a, b);
    }
    return true;
}

static bool exact_either(exact *x, const node *n, unsigned length, fh_buf *body)
{
    const node *sides[] = {n->a, n->b};
    for (size_t i = 0; i < 2; i++) {
        if (!(sides[i]->lengths >> length & 1)) continue;
        const char *name = exact_rule(x, sides[i], length);
        if (!name) return false;
        or_more(body);
        fh_buf_adds(body, name);
    }
    return true;
}

/* One time, of at least one character, then the rest as a repetition of its own. */
static bool exact_repeat(exact *x, const node *n, unsigned length, fh_buf *body)
{
    uint32_t min = n->a->lengths & 1 ? 0 : n->min;
    if (min == 0 && length == 0) fh_buf_adds(body, "\"\"");
    for (unsigned i = 1; i <= length && n->max > 0; i++) {
        if (!(n->a->lengths >> i & 1)) continue;
        uint32_t max = n->max == ENDLESS ? ENDLESS : n->max - 1;
        node *rest = length > i ? repeat(x->r, n->a, min ? min - 1 : 0, max) : NULL;
        if (length > i && (!rest || !(rest->lengths >> (length - i) & 1))) {
            if (!rest) return false;
            continue;
        }
        if (length == i && min > 1) continue;
        const char *a = exact_rule(x, n->a, i), *b = !rest ? "\"\"" : a ? exact_rule(x, rest, length - i) : NULL;
        if (!a || !b) return false;
        or_more(body);
        fh_buf_addf(body, "%s %s", a, b);
    }
    return true;
}

/* Repetitions of the same that are left with the same counts are one rule, however they came about. */
static fh_str exact_key(exact *x, const node *n, unsigned length)
{
    bool again = n->kind == NODE_REPEAT;
    const char *key = fh_arena_printf(x->r->b->arena, "%u %u %u %u %u", again, again ? n->a->number : n->number, n->min, n->max, length);
    return fh_str_of(key);
}

static const char *exact_rule(exact *x, const node *n, unsigned length)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    schema_build *b = x->r->b;
    fh_str key = exact_key(x, n, length);
    const char *name = key.ptr ? fh_map_find(x->names, key) : NULL;
    if (name || !key.ptr) return name;
    if (b->rule_count >= FH_LIMIT_SCHEMA_RULES) {
        refuse(x->r, "with these lengths it needs too many rules");
        return NULL;
    }
    name = schema_new_rule(b);
    if (!name || !fh_map_put(x->names, key, (void *)(uintptr_t)name)) return NULL;
    bool good = true;
    if (n->kind == NODE_BOTH)
        good = exact_both(x, n, length, &body);
    else if (n->kind == NODE_EITHER)
        good = exact_either(x, n, length, &body);
    else if (n->kind == NODE_REPEAT)
        good = exact_repeat(x, n, length, &body);
    else
        add_node(b, n, &body);
    return good && schema_add_rule(b, name, &body) == SCHEMA_POSSIBLE ? name : NULL;
}

/* The lengths from min on that are possible, a few of them. */
static int add_lengths(reader *r, const node *n, uint64_t min, uint64_t max, fh_buf *body)
{
    exact x = {.r = r, .names = fh_map_new(NULL)};
    unsigned kept = 0;
    int rc = x.names ? SCHEMA_POSSIBLE : schema_memory(r->b, NULL);
    for (uint64_t length = min; rc >= 0 && length <= FH_MIN(max, (uint64_t)EXACT_LENGTH_MAX) && kept < EXACT_LENGTHS; length++) {
        if (!(n->lengths >> length & 1)) continue;
        const char *name = exact_rule(&x, n, (unsigned)length);
        if (name)
            fh_buf_addf(body, "%s%s", kept++ ? " | " : "", name);
        else
            rc = r->rc < 0 ? r->rc : schema_memory(r->b, body);
    }
    fh_map_free(x.names);
    if (rc < 0 || kept) return rc;
    if (max > EXACT_LENGTH_MAX)
        return schema_refuse(r->b, r->at, r->keyword, "cannot be enforced together with a minLength above %d", EXACT_LENGTH_MAX);
    return schema_impossible(r->b, r->at, r->keyword, "no text that matches has a length that is allowed");
}

int schema_regex(schema_build *b, const char *at, const char *keyword, fh_str pattern, uint64_t min, uint64_t max, fh_buf *body)
{
    reader r = {.b = b, .at = at, .keyword = keyword, .text = pattern};
    node *n = pattern.len > FH_LIMIT_SCHEMA_PATTERN_BYTES ? refuse(&r, "the pattern is too long") : read_pattern(&r);
    if (!n) return r.rc < 0 ? r.rc : schema_memory(b, NULL);
    if (n->least < min || n->most > max) return add_lengths(&r, n, FH_MAX(min, n->least), max, body);
    add_node(b, n, body);
    return fh_buf_ok(body) ? SCHEMA_POSSIBLE : schema_memory(b, body);
}
