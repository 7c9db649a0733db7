/* Numbers: bounds and multiples. Integers have at most 18 digits. */
#include "json_schema_private.h"

#include <math.h>

#define INTEGER_MAX 999999999999999999LL

enum { REMAINDERS_MAX = 1000 };

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

/* Digits that lead from a remainder to 0: a rule for each remainder, digit by digit. */
static int add_remainders(schema_build *b, int64_t by, const char **ret_prefix)
{
    const char *prefix = schema_new_rule(b);
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    for (int64_t r = 0; prefix && r < by; r++) {
        fh_buf_clear(&body);
        for (int digit = 0; digit < 10; digit++)
            fh_buf_addf(&body, "%s\"%d\" %s-%lld", digit ? " | " : "", digit, prefix, (long long)((r * 10 + digit) % by));
        if (r == 0) fh_buf_adds(&body, " | \"\"");
        fh_buf_addf(b->out, "%s-%lld ::= ", prefix, (long long)r);
        fh_buf_add(b->out, fh_buf_cstr(&body), body.len);
        fh_buf_addc(b->out, '\n');
    }
    *ret_prefix = prefix;
    return prefix && !schema_failed(b, &body) ? SCHEMA_POSSIBLE : schema_memory(b, &body);
}

static int add_multiples(schema_build *b, const char *at, range r, int64_t by, fh_buf *body)
{
    const char *prefix;
    if (r.has_low && r.has_high) return list_multiples(b, at, r, by, body);
    if (r.has_high || (r.has_low && r.low != 0))
        return schema_refuse(b, at, "multipleOf", "is enforced without bounds, from 0 on, or between two bounds");
    if (by > REMAINDERS_MAX) return schema_refuse(b, at, "multipleOf", "is enforced up to %d without two bounds", REMAINDERS_MAX);
    int rc = add_remainders(b, by, &prefix);
    if (rc != SCHEMA_POSSIBLE) return rc;
    fh_buf_addf(body, "\"0\" | %s(", r.has_low ? "" : "\"-\"? ");
    for (int digit = 1; digit < 10; digit++)
        fh_buf_addf(body, "%s\"%d\" %s-%lld", digit > 1 ? " | " : "", digit, prefix, (long long)(digit % by));
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
