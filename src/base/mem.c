/* Allocation through one door, so that a test can make any one of them fail. */
#include "base/mem.h"
#include "base/fault.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *fh_alloc(size_t bytes)
{
    return fh_fault_strikes(FH_FAULT_ALLOC) ? NULL : malloc(bytes ? bytes : 1);
}

void *fh_calloc(size_t count, size_t bytes)
{
    if (count == 0 || bytes == 0) count = bytes = 1;
    return fh_fault_strikes(FH_FAULT_ALLOC) ? NULL : calloc(count, bytes);
}

void *fh_realloc(void *p, size_t bytes)
{
    return fh_fault_strikes(FH_FAULT_ALLOC) ? NULL : realloc(p, bytes ? bytes : 1);
}

void *fh_realloc_array(void *p, size_t count, size_t bytes)
{
    size_t total;
    return fh_mul_overflows(count, bytes, &total) ? NULL : fh_realloc(p, total);
}

void *fh_alloc_aligned(size_t alignment, size_t bytes)
{
    size_t whole;
    if (fh_add_overflows(bytes, alignment - 1, &whole)) return NULL;
    whole &= ~(alignment - 1);
    return fh_fault_strikes(FH_FAULT_ALLOC) ? NULL : aligned_alloc(alignment, whole ? whole : alignment);
}

void fh_mem_map_large(void)
{
#ifdef __GLIBC__
    enum { LARGE_BYTES = 256 << 10 };
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

void fh_free(void *p)
{
    free(p);
}

char *fh_strndup(const char *s, size_t bytes)
{
    size_t total;
    char *copy = fh_add_overflows(bytes, 1, &total) ? NULL : fh_alloc(total);
    if (!copy) return NULL;
    if (bytes) memcpy(copy, s, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *fh_strdup(const char *s)
{
    return s ? fh_strndup(s, strlen(s)) : NULL;
}

char *fh_asprintf(const char *fmt, ...)
{
    if (fh_fault_strikes(FH_FAULT_ALLOC)) return NULL;
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

void fh_auto_fd(const int *fd)
{
    if (*fd >= 0) close(*fd);
}
