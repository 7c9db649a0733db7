/* An arena: many small allocations with one life, freed together. Has a maximum; NULL when memory is out or the maximum would be passed.
 * Threads: one owner. */
#ifndef FH_BASE_ARENA_H
#define FH_BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

typedef struct fh_arena fh_arena;

fh_arena *fh_arena_new(size_t max_bytes);
void fh_arena_free(fh_arena *a);                 /* NULL is fine */
void fh_arena_reset(fh_arena *a);                /* frees all that was allocated, keeps the first block */
void *fh_arena_alloc(fh_arena *a, size_t bytes); /* aligned to 16; zeroed */
void *fh_arena_array(fh_arena *a, size_t count, size_t bytes);
char *fh_arena_strndup(fh_arena *a, const char *s, size_t bytes); /* adds a NUL */
char *fh_arena_printf(fh_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t fh_arena_used(const fh_arena *a);
FH_DEFINE_AUTO(fh_arena, fh_arena_free); /* FH_AUTO(fh_arena) fh_arena *a = fh_arena_new(...) */

#endif
