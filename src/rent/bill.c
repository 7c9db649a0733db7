/* What an act costs: seconds that are surely charged, seconds that may be, and the price. Pure. What is not known exactly is counted
 * against us, so that a limit holds whatever the provider says later. */
#include "rent_private.h"

#include <inttypes.h>
#include <stdio.h>

#define MICRO       1000000
#define HOUR_S      3600
#define BILL_STEP_S 60 /* by which a provider may round up */

static int64_t seconds(int64_t from_ns, int64_t to_ns)
{
    return to_ns > from_ns ? (to_ns - from_ns + FH_NS_PER_S - 1) / FH_NS_PER_S : 0;
}

static int64_t money(int64_t s, int64_t hour_micro)
{
    return (int64_t)(((__int128)s * hour_micro + HOUR_S - 1) / HOUR_S);
}

fh_rent_bill fh_rent_bill_of(const fh_rent_act *a, int64_t now_utc_ns)
{
    fh_rent_bill b = {0};
    int64_t first = a->started_utc_ns ? a->started_utc_ns : a->asked_utc_ns;
    int64_t surely = a->started_utc_ns ? a->started_utc_ns : a->held_utc_ns;
    int64_t end = a->gone_utc_ns ? a->gone_utc_ns : now_utc_ns;
    b.most_s = seconds(first, end);
    b.least_s = a->held_utc_ns && a->alive_utc_ns > surely ? (a->alive_utc_ns - surely) / FH_NS_PER_S : 0;
    b.start_s = seconds(first, a->running_utc_ns ? FH_MIN(a->running_utc_ns, end) : end);
    b.amount_micro = money(b.most_s, a->hour_micro);
    b.least_micro = money(b.least_s, a->hour_micro);
    b.start_micro = money(b.start_s, a->hour_micro);
    b.charged = a->charged_micro >= 0;
    b.explained = b.charged && a->charged_micro >= b.least_micro && a->charged_micro <= money(b.most_s + BILL_STEP_S, a->hour_micro);
    return b;
}

static void amount(int64_t micro, char out[32])
{
    snprintf(out, 32, "%" PRId64 ".%06" PRId64, micro / MICRO, micro % MICRO);
}

void fh_rent_bill_text(const fh_rent_act *a, const fh_rent_bill *b, char *out, size_t out_size)
{
    char price[32], sum[32], start[32], charged[32] = "";
    amount(a->hour_micro, price);
    amount(b->amount_micro, sum);
    amount(b->start_micro, start);
    if (b->charged) amount(a->charged_micro, charged);
    snprintf(out, out_size, "rented %" PRId64 " s (at least %" PRId64 ") at %s an hour = %s; %" PRId64 " s of it before it ran = %s%s%s%s",
             b->most_s, b->least_s, price, sum, b->start_s, start, b->charged ? "; charged " : "", charged,
             !b->charged    ? ""
             : b->explained ? ", which is between"
                            : ", which these seconds do not explain");
}
