/* How long this thread has computed: a bound on that holds on a busy machine too. */
#ifndef FH_TEST_CPU_TIME_H
#define FH_TEST_CPU_TIME_H

#include "base/clock.h"
#include <time.h>

static inline int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * FH_NS_PER_S + t.tv_nsec;
}

#endif
