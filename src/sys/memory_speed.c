/* How fast this machine reads its memory: all workers of a pool go over one large array, and the best of several passes counts, which is
 * the one that nothing else disturbed. */
#include "sys/memory_speed.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, AHEAD_WORDS = 1024 };

typedef struct reading {
    const uint64_t *words;
    size_t count;
    _Atomic uint64_t sum; /* so that the reads are not left out */
} reading;

static void read_share(fh_worker *w, void *arg)
{
    reading *r = arg;
    size_t first, last;
    fh_worker_range(w, r->count, 64, &first, &last);
    uint64_t sums[16] = {0};
    for (size_t i = first; i + 16 <= last; i += 16) {
        __builtin_prefetch(r->words + i + AHEAD_WORDS);
        __builtin_prefetch(r->words + i + AHEAD_WORDS + 8);
        for (size_t j = 0; j < 16; j++) sums[j] ^= r->words[i + j];
    }
    for (size_t j = 1; j < 16; j++) sums[0] ^= sums[j];
    atomic_fetch_add(&r->sum, sums[0]);
}

int fh_memory_read_speed(fh_pool *p, size_t bytes, double *ret_bytes_per_s, fh_err **err)
{
    FH_AUTO(ptr) uint64_t *words = fh_alloc_aligned(HUGE_PAGE, FH_MAX(bytes, (size_t)HUGE_PAGE));
    if (!words) return fh_err_nomem(err);
    madvise(words, bytes, MADV_HUGEPAGE); /* weights lie in huge pages too where the system grants them */
    reading r = {.words = words, .count = bytes / sizeof *words};
    for (size_t i = 0; i < r.count; i++) words[i] = i;
    int64_t best_ns = INT64_MAX;
    for (int pass = 0; pass < 12; pass++) {
        int64_t began_ns = fh_clock_mono_ns();
        fh_pool_run(p, read_share, &r);
        best_ns = FH_MIN(best_ns, fh_clock_mono_ns() - began_ns);
    }
    *ret_bytes_per_s = (double)bytes * FH_NS_PER_S / (double)FH_MAX(best_ns, (int64_t)1);
    return 0;
}
