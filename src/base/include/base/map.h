/* A hash map from byte strings to pointers, seeded per map (SipHash-2-4) so that hostile keys cannot make it slow. Keys are copied;
 * values are borrowed unless free_value is given. Insertion order is kept for iteration as long as nothing is removed. Threads: one owner.
 */
#ifndef FH_BASE_MAP_H
#define FH_BASE_MAP_H

#include "base/mem.h"
#include "base/str.h"

typedef struct fh_map fh_map;

fh_map *fh_map_new(void (*free_value)(void *)); /* free_value may be NULL */
void fh_map_free(fh_map *m);
size_t fh_map_count(const fh_map *m);
void *fh_map_find(const fh_map *m, fh_str key); /* NULL when absent */
bool fh_map_put(
    fh_map *m, fh_str key,
    void *value); /* replaces (and frees) an earlier value; false when memory is out: nothing changed, value still the caller's */
void *fh_map_remove(fh_map *m, fh_str key); /* hands the value to the caller; NULL when absent */
/* Iteration: size_t i = 0; while (fh_map_next(m, &i, &key, &value)) ...; do not change the map meanwhile. */
bool fh_map_next(const fh_map *m, size_t *i, fh_str *ret_key, void **ret_value);
uint64_t fh_siphash(const uint8_t key[16], const void *data, size_t bytes);
FH_DEFINE_AUTO(fh_map, fh_map_free);

#endif
