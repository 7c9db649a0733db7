/* What work at a place is expected to cost (see cost.h). */
#include "cost.h"

#include "base/mem.h"
#include <string.h>

#define MILLION 1e6

bool fh_cost_is_nothing(const fh_cost *c)
{
    return !c->terms.ask_micro && !c->terms.mtok_micro;
}

static double with_failures(const fh_cost *c, double micro)
{
    return micro * 1000 / (1000 - (double)FH_MIN(c->failing_per_mille, 999u));
}

double fh_cost_hour_micro(const fh_cost *c, double tok_h)
{
    return with_failures(c, (double)c->terms.ask_micro + (double)c->terms.mtok_micro * tok_h / MILLION);
}

/* Of a slower one more hours are needed for the same work. */
static double hours_micro(const fh_cost *c)
{
    double micro = with_failures(c, (double)c->terms.ask_micro);
    return c->millitok_s ? micro / (double)c->millitok_s : micro;
}

/* NULL: it asks in two of them. */
static const char *currency_of(const fh_place_terms *t)
{
    if (t->ask_micro && t->mtok_micro && strcmp(t->currency, t->mtok_currency) != 0) return NULL;
    return t->ask_micro ? t->currency : t->mtok_currency;
}

static bool same_currency(const fh_cost *a, const fh_cost *b)
{
    const char *x = currency_of(&a->terms), *y = currency_of(&b->terms);
    return x && y && strcmp(x, y) == 0;
}

static fh_cost_order order_of(double a, double b)
{
    return a < b ? FH_COST_LESS : a > b ? FH_COST_MORE : FH_COST_SAME;
}

static fh_cost_order within_one_kind(const fh_cost *a, const fh_cost *b)
{
    bool hours = !a->terms.ask_micro == !b->terms.ask_micro, tokens = !a->terms.mtok_micro == !b->terms.mtok_micro;
    if (!hours || !tokens) return FH_COST_OTHER;
    fh_cost_order by_hour = order_of(hours_micro(a), hours_micro(b)),
                  by_tok = order_of(with_failures(a, (double)a->terms.mtok_micro), with_failures(b, (double)b->terms.mtok_micro));
    if (by_hour == by_tok || by_tok == FH_COST_SAME) return by_hour;
    return by_hour == FH_COST_SAME ? by_tok : FH_COST_OTHER;
}

fh_cost_order fh_cost_compare(const fh_cost *a, const fh_cost *b, double tok_h)
{
    bool nothing = fh_cost_is_nothing(a);
    if (nothing || fh_cost_is_nothing(b)) return nothing == fh_cost_is_nothing(b) ? FH_COST_SAME : nothing ? FH_COST_LESS : FH_COST_MORE;
    if (!same_currency(a, b)) return FH_COST_OTHER;
    if (tok_h > 0) return order_of(fh_cost_hour_micro(a, tok_h), fh_cost_hour_micro(b, tok_h));
    return within_one_kind(a, b);
}
