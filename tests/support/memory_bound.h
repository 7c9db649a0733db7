/* Holds a piece of work to a bound of memory. Without a sanitizer: anonymous pages of the process, and a limit that makes an allocation
 * fail at a peak beyond the bound. With one: the bytes that malloc gave out, at their peak, counted by the sanitizer's hooks; its own
 * shadow and quarantine, which are many times that, are left aside. Pages of mapped files count in neither. One thread at a time. */
#ifndef FH_TEST_MEMORY_BOUND_H
#define FH_TEST_MEMORY_BOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

/* From here on the program may hold so many bytes more than now. False: it cannot be bounded. */
static inline bool memory_bound(uint64_t bytes);

/* Bytes held more than at memory_bound: at the peak with a sanitizer; now without, the limit saw the peak. */
static inline uint64_t memory_used(void);

#if FH_SANITIZED

/* <sanitizer/allocator_interface.h>, which gcc does not bring along */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

static int64_t memory_live, memory_most, memory_begin;

static inline void memory_on_malloc(const volatile void *p, size_t bytes)
{
    if (p) memory_live += (int64_t)bytes;
    if (memory_live > memory_most) memory_most = memory_live;
}
static inline void memory_on_free(const volatile void *p)
{
    if (p) memory_live -= (int64_t)__sanitizer_get_allocated_size(p);
}
static inline bool memory_bound(uint64_t bytes)
{
    static bool installed;
    if (!installed) installed = __sanitizer_install_malloc_and_free_hooks(memory_on_malloc, memory_on_free) > 0;
    memory_begin = memory_most = memory_live;
    return installed;
}
static inline uint64_t memory_used(void)
{
    return (uint64_t)(memory_most - memory_begin);
}

#else

static uint64_t memory_begin;

static inline uint64_t memory_anonymous(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Anonymous: %lu kB", &kib) == 1) break;
    }
    if (f) fclose(f);
    return kib * UINT64_C(1024);
}
static inline bool memory_bound(uint64_t bytes)
{
    memory_begin = memory_anonymous();
    struct rlimit data = {memory_begin + bytes, RLIM_INFINITY};
    return memory_begin > 0 && setrlimit(RLIMIT_DATA, &data) == 0;
}
static inline uint64_t memory_used(void)
{
    uint64_t now = memory_anonymous();
    return now > memory_begin ? now - memory_begin : 0;
}

#endif

#endif
