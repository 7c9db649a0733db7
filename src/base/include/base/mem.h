/* Memory: checked sizes, allocation that can be made to fail, scope cleanup.
 *
 * Every allocation of ours goes through fh_alloc and friends. They return NULL when memory is out (or when a test's fault point says so);
 * the caller turns that into FH_E_NOMEM. A size of 0 gives a valid pointer. Threads: any. */
#ifndef FH_BASE_MEM_H
#define FH_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *fh_alloc(size_t bytes);
void *fh_calloc(size_t count, size_t bytes); /* zeroed; checked multiplication */
void *fh_realloc(void *p, size_t bytes);
void *fh_realloc_array(void *p, size_t count, size_t bytes);
void fh_free(void *p);
char *fh_strdup(const char *s);                /* NULL stays NULL */
char *fh_strndup(const char *s, size_t bytes); /* copies exactly bytes, adds a NUL */
char *fh_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Aligned, for kernels; alignment is a power of two. Free with fh_free. */
void *fh_alloc_aligned(size_t alignment, size_t bytes);
/* For a process that serves: from now on large blocks are mapped each for itself. They grow by moving pages instead of bytes, and what is
 * freed goes back to the system; left alone, glibc stops doing so once the first large block was freed. Before other threads start. */
void fh_mem_map_large(void);

static inline bool fh_mul_overflows(size_t a, size_t b, size_t *ret_product)
{
    return __builtin_mul_overflow(a, b, ret_product);
}
static inline bool fh_add_overflows(size_t a, size_t b, size_t *ret_sum)
{
    return __builtin_add_overflow(a, b, ret_sum);
}

/* FH_AUTO(fn) T *x = ...; calls fn(x) when x leaves the scope; fh_take(x) moves the pointer out and leaves NULL.
 * A type T gets its cleanup by FH_DEFINE_AUTO(T, fh_t_free) in its header. */
#define FH_AUTO(name) __attribute__((cleanup(fh_auto_##name)))
#define FH_DEFINE_AUTO(type, free_fn)                                                                                                      \
    static inline void fh_auto_##type(type **p)                                                                                            \
    {                                                                                                                                      \
        if (*p) free_fn(*p);                                                                                                               \
    }                                                                                                                                      \
    struct fh_auto_##type##_takes_semicolon
#define fh_take(p)                                                                                                                         \
    ({                                                                                                                                     \
        __typeof__(p) taken_ = (p);                                                                                                        \
        (p) = NULL;                                                                                                                        \
        taken_;                                                                                                                            \
    })
static inline void fh_auto_ptr(void *p) /* FH_AUTO(ptr) char *s = ...: fh_free at the end of the scope */
{
    fh_free(*(void **)p);
}
void fh_auto_fd(const int *fd);       /* FH_AUTO(fd) int fd = -1; closes when >= 0 */
static inline int fh_take_fd(int *fd) /* moves it out and leaves -1 */
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define FH_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FH_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define FH_MAX(a, b)    ((a) > (b) ? (a) : (b))

#endif
