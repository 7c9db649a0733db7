/* Products of packed weights, a function for each type and one that chooses: the last include of a file that has multiplied one group of
 * rows by one tile of activations, `group_by_tile`, for a type that is constant. */
#ifndef FH_LANES_PRODUCT_TYPES_H
#define FH_LANES_PRODUCT_TYPES_H

#include "lanes.h"

#include <assert.h>

INLINE void product(fh_pack_kind t, const fh_product *p)
{
    for (size_t row = p->row; row < p->row_end; row += FH_PACK_ROWS) {
        for (size_t act = p->act_row; act < p->act_end; act += FH_TILE_ROWS) group_by_tile(t, p, row, act);
    }
}

/* A function each: all of them in one take compilers minutes. */
#define PRODUCT_OF(name, ...)                                                                                                              \
    static __attribute__((noinline)) void product_##name(const fh_product *p)                                                              \
    {                                                                                                                                      \
        product(FH_PACK_KIND(__VA_ARGS__), p);                                                                                             \
    }
FH_PACK_LIST(PRODUCT_OF)
#undef PRODUCT_OF

void ISA(product_packed)(const fh_product *p)
{
#define PRODUCT_CASE(name, ...)                                                                                                            \
    case FH_TYPE_##name: product_##name(p); return;
    switch ((unsigned)p->weight->type) {
        FH_PACK_LIST(PRODUCT_CASE)
    }
#undef PRODUCT_CASE
    assert(!"a type that is not packed");
}

#endif
