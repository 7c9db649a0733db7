/* Arena: a chain of blocks, the newest first. A request larger than a block gets one of its own. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 4096, LAST_BLOCK_BYTES = 1 << 20, ALIGN = 16 };

typedef struct block {
    struct block *next;
    size_t cap, used;
    _Alignas(ALIGN) char data[];
} block;

struct fh_arena {
    size_t max, used;
    block *blocks;
};

fh_arena *fh_arena_new(size_t max_bytes)
{
    fh_arena *a = fh_calloc(1, sizeof *a);
    if (a) a->max = max_bytes;
    return a;
}

void fh_arena_reset(fh_arena *a)
{
    while (a->blocks && a->blocks->next) {
        block *next = a->blocks->next;
        fh_free(a->blocks);
        a->blocks = next;
    }
    if (a->blocks) a->blocks->used = 0;
    a->used = 0;
}

void fh_arena_free(fh_arena *a)
{
    if (!a) return;
    fh_arena_reset(a);
    fh_free(a->blocks);
    fh_free(a);
}

static block *block_add(fh_arena *a, size_t bytes)
{
    size_t cap = a->blocks ? FH_MIN(a->blocks->cap * 2, (size_t)LAST_BLOCK_BYTES) : (size_t)FIRST_BLOCK_BYTES;
    cap = FH_MAX(cap, bytes);
    size_t total;
    block *b = fh_add_overflows(sizeof *b, cap, &total) ? NULL : fh_alloc(total);
    if (!b) return NULL;
    *b = (block){.next = a->blocks, .cap = cap};
    a->blocks = b;
    return b;
}

void *fh_arena_alloc(fh_arena *a, size_t bytes)
{
    size_t whole;
    if (fh_add_overflows(bytes, ALIGN - 1, &whole)) return NULL;
    whole = FH_MAX(whole & ~(size_t)(ALIGN - 1), (size_t)ALIGN);
    if (whole > a->max || a->used > a->max - whole) return NULL;
    block *b = a->blocks;
    if (!b || b->cap - b->used < whole) b = block_add(a, whole);
    if (!b) return NULL;
    void *p = memset(b->data + b->used, 0, whole);
    b->used += whole;
    a->used += whole;
    return p;
}

void *fh_arena_array(fh_arena *a, size_t count, size_t bytes)
{
    size_t total;
    return fh_mul_overflows(count, bytes, &total) ? NULL : fh_arena_alloc(a, total);
}

char *fh_arena_strndup(fh_arena *a, const char *s, size_t bytes)
{
    size_t total;
    char *copy = fh_add_overflows(bytes, 1, &total) ? NULL : fh_arena_alloc(a, total);
    if (copy && bytes) memcpy(copy, s, bytes);
    return copy;
}

char *fh_arena_printf(fh_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *text = n < 0 ? NULL : fh_arena_alloc(a, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return text;
}

size_t fh_arena_used(const fh_arena *a)
{
    return a->used;
}
