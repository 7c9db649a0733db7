/* Sums that saturate: what is beyond 64 bits is too large for any machine. */
#ifndef FH_PLAN_PRIVATE_H
#define FH_PLAN_PRIVATE_H

#include "plan/plan.h"

static inline uint64_t fh_plan_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static inline uint64_t fh_plan_mul(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

#endif
