/* Numbers: bounds and multiples. Integers have at most 18 digits. */
#include "json_schema_private.h"

#include <math.h>

#define INTEGER_MAX 999999999999999999LL

/* Multiples have at most MULTIPLE_DIGITS digits, less where the rules for them would be many. */
enum { REMAINDERS_MAX = 1000, MULTIPLE_DIGITS = 15, MULTIPLE_RULES = 5000 };

typedef struct range { /* of whole numbers */
    int64_t low, high;
    bool has_low, has_high;
} range;

/* ---- bounds ---- */

static int note_bound(schema_build *b, const schema_part *p, const char *keyword, bool lower, bool exclusive, schema_bound *bound)
{
    const fh_json *v = schema_get(p, keyword);
    fh_json_kind k = fh_json_kind_of(v);
    if (!v) return SCHEMA_POSSIBLE;
    if (k != FH_JSON_INT && k != FH_JSON_REAL) return schema_refuse(b, p->at, keyword, "must be a number");
    double x = fh_json_num(v, 0);
    if (fabs(x) > 9e15) return schema_refuse(b, p->at, keyword, "cannot be enforced beyond 9e15");
    bool tighter = !bound->given || (lower ? x > bound->value : x < bound->value) ||
                   (exclusive && !bound->exclusive && !(x < bound->value) && !(x > bound->value));
    if (tighter) *bound = (schema_bound){true, exclusive, x, p->at, keyword};
    return SCHEMA_POSSIBLE;
}

static int read_bounds(schema_build *b, const schema_all *all, schema_bound *low, schema_bound *high)
{
    int rc = SCHEMA_POSSIBLE;
    *low = *high = (schema_bound){.given = false};
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < all->count; i++) {
        const schema_part *p = &all->parts[i];
        rc = note_bound(b, p, "minimum", true, false, low);
        if (rc == SCHEMA_POSSIBLE) rc = note_bound(b, p, "exclusiveMinimum", true, true, low);
        if (rc == SCHEMA_POSSIBLE) rc = note_bound(b, p, "maximum", false, false, high);
        if (rc == SCHEMA_POSSIBLE) rc = note_bound(b, p, "exclusiveMaximum", false, true, high);
    }
    return rc;
}

static range whole_range(const schema_bound *low, const schema_bound *high)
{
    range r = {-INTEGER_MAX, INTEGER_MAX, low->given, high->given};
    if (low->given) r.low = (int64_t)(low->exclusive ? floor(low->value) + 1 : ceil(low->value));
    if (high->given) r.high = (int64_t)(high->exclusive ? ceil(high->value) - 1 : floor(high->value));
    return r;
}

/* ---- multiples ---- */

static int64_t gcd(int64_t x, int64_t y)
{
    while (y) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x;
}

/* One number that all parts want a multiple of; 1 when none does. */
static int read_multiple(schema_build *b, const schema_all *all, int64_t *ret, const char **ret_at)
{
    *ret = 1;
    *ret_at = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const schema_part *p = &all->parts[i];
        const fh_json *v = schema_get(p, "multipleOf");
        double x = fh_json_num(v, 0);
        if (!v) continue;
        if (!(x > 0)) return schema_refuse(b, p->at, "multipleOf", "must be a number above 0");
        if (floor(x) < x || x > 1e9) return schema_refuse(b, p->at, "multipleOf", "is enforced for whole numbers up to 1000000000");
        int64_t n = (int64_t)x;
        *ret = *ret / gcd(*ret, n) * n;
        *ret_at = p->at;
        if (*ret > 1000000000) return schema_refuse(b, p->at, "multipleOf", "the smallest common multiple is above 1000000000");
    }
    return SCHEMA_POSSIBLE;
}

static int64_t floor_to(int64_t x, int64_t by)
{
    int64_t rest = x % by;
    return x - (rest < 0 ? rest + by : rest);
}

static int list_multiples(schema_build *b, const char *at, range r, int64_t by, fh_buf *body)
{
    int64_t first = floor_to(r.low + by - 1, by), last = floor_to(r.high, by);
    if (first > last) return schema_impossible(b, at, "multipleOf", "no multiple lies between the bounds");
    if ((last - first) / by >= FH_LIMIT_SCHEMA_VALUES)
        return schema_refuse(b, at, "multipleOf", "more than %d multiples lie between the bounds", FH_LIMIT_SCHEMA_VALUES);
    for (int64_t x = first; x <= last; x += by) fh_buf_addf(body, "%s\"%lld\"", x > first ? " | " : "", (long long)x);
    return SCHEMA_POSSIBLE;
}

/* Digits that lead from a remainder to 0, at most `digits`: a rule for each remainder and number of digits that may still come, where there
 * is such a way. */
typedef struct remainders {
    int64_t by;
    int64_t digits;
    const char *prefix;
    uint8_t *reach; /* [digits + 1][by] */
} remainders;

static bool reaches(const remainders *m, int64_t left, int64_t r)
{
    return left >= 0 && m->reach[left * m->by + r];
}

static void find_reach(remainders *m)
{
    for (int64_t left = 0; left <= m->digits; left++)
        for (int64_t r = 0; r < m->by; r++) {
            bool can = r == 0;
            for (int digit = 0; digit < 10 && !can; digit++) can = reaches(m, left - 1, (r * 10 + digit) % m->by);
            m->reach[left * m->by + r] = can;
        }
}

/* The digits from `first` on, and what may follow each. */
static void add_digits(const remainders *m, int64_t left, int64_t r, int first, fh_buf *body)
{
    bool any = false;
    for (int digit = first; digit < 10; digit++) {
        int64_t next = (r * 10 + digit) % m->by;
        if (!reaches(m, left - 1, next)) continue;
        fh_buf_addf(body, "%s\"%d\" %s-%lld-%lld", any ? " | " : "", digit, m->prefix, (long long)(left - 1), (long long)next);
        any = true;
    }
    if (r == 0 && first == 0) fh_buf_adds(body, any ? " | \"\"" : "\"\"");
}

static int add_remainders(schema_build *b, remainders *m)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    m->digits = FH_MIN(MULTIPLE_DIGITS, MULTIPLE_RULES / m->by);
    m->prefix = schema_new_rule(b);
    m->reach = fh_arena_alloc(b->arena, (size_t)((m->digits + 1) * m->by));
    if (!m->prefix || !m->reach) return schema_memory(b, NULL);
    find_reach(m);
    for (int64_t left = 0; left < m->digits; left++)
        for (int64_t r = 0; r < m->by; r++) {
            if (!reaches(m, left, r)) continue;
            fh_buf_clear(&body);
            add_digits(m, left, r, 0, &body);
            fh_buf_addf(b->out, "%s-%lld-%lld ::= ", m->prefix, (long long)left, (long long)r);
            fh_buf_add(b->out, fh_buf_cstr(&body), body.len);
            fh_buf_addc(b->out, '\n');
        }
    return schema_failed(b, &body) ? schema_memory(b, &body) : SCHEMA_POSSIBLE;
}

static int add_multiples(schema_build *b, const char *at, range r, int64_t by, fh_buf *body)
{
    remainders m = {.by = by};
    if (r.has_low && r.has_high) return list_multiples(b, at, r, by, body);
    if (r.has_high || (r.has_low && r.low != 0))
        return schema_refuse(b, at, "multipleOf", "is enforced without bounds, from 0 on, or between two bounds");
    if (by > REMAINDERS_MAX) return schema_refuse(b, at, "multipleOf", "is enforced up to %d without two bounds", REMAINDERS_MAX);
    int rc = add_remainders(b, &m);
    if (rc != SCHEMA_POSSIBLE) return rc;
    fh_buf_addf(body, "\"0\" | %s(", r.has_low ? "" : "\"-\"? ");
    add_digits(&m, m.digits, 0, 1, body);
    fh_buf_adds(body, ")");
    return SCHEMA_POSSIBLE;
}

/* ---- numbers ---- */

static int nothing_between(schema_build *b, const schema_bound *low, const schema_bound *high)
{
    const schema_bound *blame = low->given ? low : high;
    return schema_impossible(b, blame->at, blame->keyword, "no number lies between the bounds");
}

static int add_bounded(schema_build *b, const schema_bound *low, const schema_bound *high, bool fractions, fh_buf *body)
{
    range r = whole_range(low, high);
    bool any = r.low <= r.high, far = r.low > SCHEMA_WHOLE_MAX || r.high < -SCHEMA_WHOLE_MAX;
    if (fractions && !far)
        schema_digits_number(body, low, high, &any);
    else if (any)
        schema_digits_integer(body, r.low, r.high);
    return any ? SCHEMA_POSSIBLE : nothing_between(b, low, high);
}

int schema_number(schema_build *b, const schema_all *all, bool fractions, fh_buf *body)
{
    schema_bound low, high;
    int64_t by;
    const char *by_at;
    int rc = read_bounds(b, all, &low, &high);
    if (rc == SCHEMA_POSSIBLE) rc = read_multiple(b, all, &by, &by_at);
    if (rc != SCHEMA_POSSIBLE) return rc;
    if (by > 1)
        rc = add_multiples(b, by_at, whole_range(&low, &high), by, body);
    else if (low.given || high.given)
        rc = add_bounded(b, &low, &high, fractions && !by_at, body);
    else
        fh_buf_addf(body, "%s-%s", b->rule, fractions && !by_at ? "number" : "integer");
    return fh_buf_ok(body) ? rc : schema_memory(b, body);
}
