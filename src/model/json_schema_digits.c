/* Bounds of numbers, digit by digit. Numbers with bounds have no exponent and at most fifteen digits, so that no two of them are the same
 * double and comparing digits is comparing values. */
#include "json_schema_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- whole numbers ---- */

static void add_class(fh_buf *out, char low, char high)
{
    if (low == high)
        fh_buf_addf(out, "\"%c\"", low);
    else
        fh_buf_addf(out, "[%c-%c]", low, high);
}

static void add_any_digits(fh_buf *out, size_t n)
{
    if (n) fh_buf_addf(out, " [0-9]{%zu}", n);
}

static bool all_are(const char *digits, size_t n, char c)
{
    for (size_t i = 0; i < n; i++)
        if (digits[i] != c) return false;
    return true;
}

/* Numbers of n digits from low to high. Beyond the digits that both share, at most one side stays tight, so the depth is n and the text
 * grows by a few alternatives a digit. */
static void add_same_length(fh_buf *out, const char *low, const char *high, size_t n)
{
    static const char nines[] = "999999999999999999", zeros[] = "000000000000000000";
    if (n == 0) return;
    if (all_are(low, n, '0') && all_are(high, n, '9')) {
        add_any_digits(out, n);
        return;
    }
    if (*low == *high) {
        fh_buf_addf(out, " \"%c\"", *low);
        add_same_length(out, low + 1, high + 1, n - 1);
        return;
    }
    bool low_loose = all_are(low + 1, n - 1, '0'), high_loose = all_are(high + 1, n - 1, '9'), any = false;
    char from = (char)(*low + !low_loose), to = (char)(*high - !high_loose);
    fh_buf_adds(out, " (");
    if (!low_loose) {
        fh_buf_addf(out, "\"%c\"", *low);
        add_same_length(out, low + 1, nines, n - 1);
        any = true;
    }
    if (from <= to) {
        fh_buf_adds(out, any ? " | " : "");
        add_class(out, from, to);
        add_any_digits(out, n - 1);
        any = true;
    }
    if (!high_loose) {
        fh_buf_addf(out, "%s\"%c\"", any ? " | " : "", *high);
        add_same_length(out, zeros, high + 1, n - 1);
    }
    fh_buf_adds(out, ")");
}

static int64_t power(unsigned n)
{
    int64_t p = 1;
    while (n--) p *= 10;
    return p;
}

static void add_not_negative(fh_buf *out, int64_t low, int64_t high)
{
    bool any = false;
    for (unsigned n = 1; n <= 18; n++) {
        int64_t from = n == 1 ? 0 : power(n - 1), to = power(n) - 1;
        if (high < from || low > to) continue;
        char a[24], z[24];
        snprintf(a, sizeof a, "%lld", (long long)FH_MAX(low, from));
        snprintf(z, sizeof z, "%lld", (long long)FH_MIN(high, to));
        fh_buf_adds(out, any ? " |" : "");
        add_same_length(out, a, z, n);
        any = true;
    }
}

void schema_digits_integer(fh_buf *body, int64_t low, int64_t high)
{
    bool any = false;
    if (low < 0) {
        fh_buf_adds(body, "\"-\" (");
        add_not_negative(body, high < 0 ? -high : 1, -low);
        fh_buf_adds(body, ")");
        any = true;
    }
    if (high >= 0) {
        fh_buf_adds(body, any ? " |" : "");
        add_not_negative(body, FH_MAX(low, 0), high);
    }
}

/* ---- decimal numbers ---- */

enum { FRACTION_DIGITS = 6 };

typedef struct decimal { /* not negative */
    int64_t whole;
    char fraction[FRACTION_DIGITS + 1]; /* digits, padded with zeros */
    bool exclusive;
} decimal;

/* Rounded towards the inside: up for a lower bound. What was rounded is no longer exclusive. */
static decimal decimal_of(double value, bool exclusive, bool up)
{
    decimal d = {.exclusive = exclusive};
    char text[40];
    snprintf(text, sizeof text, "%.6f", value);
    double back = strtod(text, NULL), scaled = value * 1e6;
    bool exact = !(back < value) && !(back > value);
    if (!exact) d.exclusive = false;
    int64_t units = (int64_t)(exact ? nearbyint(scaled) : up ? ceil(scaled) : floor(scaled));
    d.whole = units / 1000000;
    int64_t rest = units % 1000000;
    for (size_t i = FRACTION_DIGITS; i-- > 0; rest /= 10) d.fraction[i] = (char)('0' + rest % 10);
    return d;
}

typedef struct edge { /* what the rest of a fraction must be compared with; digits NULL: nothing */
    const char *digits;
    bool exclusive;
} edge;

static bool zeros_fit(edge low, edge high, size_t n)
{
    bool low_zero = !low.digits || all_are(low.digits, n, '0'), high_zero = high.digits && all_are(high.digits, n, '0');
    if (low.digits && (!low_zero || low.exclusive)) return false;
    return !high_zero || !high.exclusive;
}

static edge next_edge(edge e, char digit)
{
    if (!e.digits || *e.digits != digit) return (edge){NULL, false};
    return (edge){e.digits + 1, e.exclusive};
}

static bool is_tight(edge e, char digit)
{
    return e.digits && *e.digits == digit;
}

/* Whether n digits can be found between the edges. */
static bool some_fit(edge low, edge high, size_t n)
{
    if (!low.digits && !high.digits) return true;
    if (n == 0) return zeros_fit(low, high, 0);
    char first = low.digits ? *low.digits : '0', last = high.digits ? *high.digits : '9';
    for (char c = first; c <= last; c++)
        if (some_fit(next_edge(low, c), next_edge(high, c), n - 1)) return true;
    return false;
}

/* Up to n digits between the edges, at least one when `some`. Appends "(...)"; the caller knows that there are such. */
static void add_fraction(fh_buf *out, edge low, edge high, size_t n, bool some)
{
    char from = low.digits ? *low.digits : '0', to = high.digits ? *high.digits : '9';
    bool any = false, loose = false;
    if (!low.digits && !high.digits) {
        fh_buf_addf(out, n ? "[0-9]{%d,%zu}" : "\"\"", some, n);
        return;
    }
    fh_buf_adds(out, "(");
    if (!some && zeros_fit(low, high, n)) {
        fh_buf_adds(out, "\"\"");
        any = true;
    }
    for (char c = from; n && c <= to; c++) {
        edge l = next_edge(low, c), h = next_edge(high, c);
        bool tight = is_tight(low, c) || is_tight(high, c);
        if (tight && !some_fit(l, h, n - 1)) continue;
        if (!tight && loose) continue; /* one class holds all the loose digits */
        char last = tight ? c : (char)(to - (is_tight(high, to) ? 1 : 0));
        fh_buf_adds(out, any ? " | " : "");
        add_class(out, c, last);
        fh_buf_addc(out, ' ');
        add_fraction(out, l, h, n - 1, false);
        any = true;
        loose = loose || !tight;
    }
    fh_buf_adds(out, ")");
}

/* Numbers with one whole part and a fraction between edges; false when there is none. */
static bool add_with_whole(fh_buf *out, int64_t whole, edge low, edge high, bool first)
{
    bool bare = zeros_fit(low, high, FRACTION_DIGITS);
    if (!bare && !some_fit(low, high, FRACTION_DIGITS)) return false;
    fh_buf_addf(out, "%s\"%lld\" (\".\" ", first ? "" : " | ", (long long)whole);
    add_fraction(out, low, high, FRACTION_DIGITS, true);
    fh_buf_adds(out, bare ? ")?" : ")");
    return true;
}

static bool add_between(fh_buf *out, const decimal *low, const decimal *high)
{
    edge from = {low->fraction, low->exclusive}, to = {high->fraction, high->exclusive}, none = {NULL, false};
    bool any = false;
    if (low->whole > high->whole) return false;
    if (low->whole == high->whole) return add_with_whole(out, low->whole, from, to, true);
    any = add_with_whole(out, low->whole, from, none, true);
    if (high->whole - low->whole > 1) {
        fh_buf_adds(out, any ? " | (" : "(");
        add_not_negative(out, low->whole + 1, high->whole - 1);
        fh_buf_addf(out, ") (\".\" [0-9]{1,%d})?", FRACTION_DIGITS);
        any = true;
    }
    return add_with_whole(out, high->whole, none, to, !any) || any;
}

/* Within what is written here; the caller has looked that the bounds leave something of it. */
static schema_bound clamp(const schema_bound *b, double otherwise)
{
    double most = SCHEMA_WHOLE_MAX;
    schema_bound c = b->given ? *b : (schema_bound){.value = otherwise};
    if (c.value > most || c.value < -most) c = (schema_bound){.value = c.value > 0 ? most : -most};
    return c;
}

static double below_zero(const schema_bound *b)
{
    return b->value < 0 ? -b->value : 0;
}

void schema_digits_number(fh_buf *body, const schema_bound *low, const schema_bound *high, bool *ret_any)
{
    schema_bound l = clamp(low, -1e12), h = clamp(high, 1e12);
    FH_AUTO(buf) fh_buf part = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    *ret_any = false;
    if (l.value < 0) {
        bool to_zero = h.value >= 0; /* the negative side ends before zero: -0 is not written */
        decimal near = decimal_of(below_zero(&h), to_zero || h.exclusive, true), far = decimal_of(-l.value, l.exclusive, false);
        if (add_between(&part, &near, &far)) {
            fh_buf_addf(body, "\"-\" (%s)", fh_buf_cstr(&part));
            *ret_any = true;
        }
        fh_buf_clear(&part);
    }
    if (h.value >= 0) {
        decimal from = decimal_of(l.value > 0 ? l.value : 0, l.value >= 0 && l.exclusive, true),
                to = decimal_of(h.value, h.exclusive, false);
        if (add_between(&part, &from, &to)) {
            fh_buf_addf(body, "%s%s", *ret_any ? " | " : "", fh_buf_cstr(&part));
            *ret_any = true;
        }
    }
}
