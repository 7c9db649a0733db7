/* How fast something goes, of all together and of each address: one after another at a rate, but for a first few at once. The generic cell
 * rate algorithm (ITU-T I.371), which needs no more than the time when the next is due.
 *
 * What holds: it takes before it says how long to wait, so who waits has been counted. Nobody waits longer than HTTP_STRANGER_WAIT_MS:
 * whoever takes and hangs up, again and again, would else make the others wait for what nobody takes. A table of addresses that never
 * grows: those that fall on one slot wait together, and who falls where nobody can know. */
#include "private.h"

#include "base/clock.h"
#include <sys/random.h>

bool fh_http_meter_init(fh_http_meter *m, fh_http_rate all, fh_http_rate each)
{
    m->all = all;
    m->each = each;
    return getrandom(m->slot_key, sizeof m->slot_key, 0) == (ssize_t)sizeof m->slot_key;
}

static int64_t take(atomic_int_fast64_t *due_ns, fh_http_rate rate, int64_t amount, int64_t now_ns)
{
    int64_t cost_ns = amount * FH_NS_PER_S / rate.per_s, free_ns = rate.at_once * FH_NS_PER_S / rate.per_s;
    int64_t last_ns = now_ns + free_ns + FH_LIMIT_HTTP_STRANGER_WAIT_MS * FH_NS_PER_MS;
    int_fast64_t due = atomic_load_explicit(due_ns, memory_order_relaxed), mine;
    do mine = FH_MIN(FH_MAX(due, now_ns), last_ns);
    while (!atomic_compare_exchange_weak_explicit(due_ns, &due, mine + cost_ns, memory_order_relaxed, memory_order_relaxed));
    return mine - free_ns > now_ns ? mine - free_ns : 0;
}

static int64_t take_alone(fh_http_meter *m, const fh_address *a, int64_t amount, int64_t now_ns)
{
    fh_str key = fh_http_address_key(a);
    return take(&m->each_due_ns[fh_siphash(m->slot_key, key.ptr, key.len) % FH_LIMIT_HTTP_STRANGER_SLOTS], m->each, amount, now_ns);
}

/* What one address takes beyond its own rate takes nothing of the rate of all. */
int64_t fh_http_meter_take(fh_http_meter *m, const fh_address *a, int64_t amount, int64_t now_ns)
{
    int64_t alone = a ? take_alone(m, a, amount, now_ns) : 0;
    if (alone >= now_ns + FH_LIMIT_HTTP_STRANGER_WAIT_MS * FH_NS_PER_MS) return alone;
    int64_t all = take(&m->due_ns, m->all, amount, now_ns);
    return FH_MAX(all, alone);
}
