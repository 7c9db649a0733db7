/* The two clocks. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * FH_NS_PER_S + t.tv_nsec;
}

int64_t fh_clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t fh_clock_utc_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}

void fh_sleep_ns(int64_t ns)
{
    struct timespec t = {ns / FH_NS_PER_S, ns % FH_NS_PER_S};
    while (ns > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR) {
    }
}

void fh_clock_format_utc(int64_t utc_ns, char *out, size_t out_size)
{
    time_t s = (time_t)(utc_ns / FH_NS_PER_S);
    struct tm tm;
    gmtime_r(&s, &tm);
    snprintf(out, out_size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec, (int)(utc_ns % FH_NS_PER_S / FH_NS_PER_MS));
}
