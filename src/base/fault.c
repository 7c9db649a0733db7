/* The armed fault: one kind and a count that each point of that kind lowers. */
#include "base/fault.h"

#include <stdatomic.h>

static _Atomic int armed_kind = -1;
static _Atomic int64_t points_left;
static atomic_bool every_later, struck;

bool fh_fault_strikes(fh_fault kind)
{
    if (atomic_load_explicit(&armed_kind, memory_order_relaxed) != (int)kind) return false;
    int64_t before = atomic_fetch_sub(&points_left, 1);
    bool hit = before == 1 || (before < 1 && atomic_load(&every_later));
    if (hit) atomic_store(&struck, true);
    return hit;
}

void fh_fault_arm(fh_fault kind, uint64_t nth, bool all_after)
{
    atomic_store(&struck, false);
    atomic_store(&every_later, all_after);
    atomic_store(&points_left, (int64_t)nth);
    atomic_store(&armed_kind, (int)kind);
}

void fh_fault_disarm(void)
{
    atomic_store(&armed_kind, -1);
}

bool fh_fault_struck(void)
{
    return atomic_load(&struck);
}
