/* Clocks. Durations are measured on the monotonic clock; stored times are UTC. Everything pure takes a time as an argument instead. */
#ifndef FH_BASE_CLOCK_H
#define FH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define FH_NS_PER_S  1000000000LL
#define FH_NS_PER_MS 1000000LL

int64_t fh_clock_mono_ns(void);
int64_t fh_clock_utc_ns(void); /* since 1970 */
void fh_sleep_ns(int64_t ns);
/* "2026-11-24T00:31:07.123Z"; out_size >= 25 */
void fh_clock_format_utc(int64_t utc_ns, char *out, size_t out_size);

#endif
