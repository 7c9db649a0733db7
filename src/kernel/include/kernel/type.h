/* Tensor element types, numbered as GGUF numbers them, and their block sizes (gguf-py/gguf/constants.py). Pure; threads: any. */
#ifndef FH_KERNEL_TYPE_H
#define FH_KERNEL_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, GGUF id, elements a block, bytes a block. Rows are whole blocks. */
#define FH_TYPE_LIST(X)                                                                                                                    \
    X(F32, 0, 1, 4)                                                                                                                        \
    X(F16, 1, 1, 2)                                                                                                                        \
    X(Q4_0, 2, 32, 18)                                                                                                                     \
    X(Q4_1, 3, 32, 20)                                                                                                                     \
    X(Q5_0, 6, 32, 22)                                                                                                                     \
    X(Q5_1, 7, 32, 24)                                                                                                                     \
    X(Q8_0, 8, 32, 34)                                                                                                                     \
    X(Q2_K, 10, 256, 84)                                                                                                                   \
    X(Q3_K, 11, 256, 110)                                                                                                                  \
    X(Q4_K, 12, 256, 144)                                                                                                                  \
    X(Q5_K, 13, 256, 176)                                                                                                                  \
    X(Q6_K, 14, 256, 210)                                                                                                                  \
    X(IQ2_XXS, 16, 256, 66)                                                                                                                \
    X(IQ2_XS, 17, 256, 74)                                                                                                                 \
    X(IQ3_XXS, 18, 256, 98)                                                                                                                \
    X(IQ1_S, 19, 256, 50)                                                                                                                  \
    X(IQ4_NL, 20, 32, 18)                                                                                                                  \
    X(IQ3_S, 21, 256, 110)                                                                                                                 \
    X(IQ2_S, 22, 256, 82)                                                                                                                  \
    X(IQ4_XS, 23, 256, 136)                                                                                                                \
    X(IQ1_M, 29, 256, 56)                                                                                                                  \
    X(BF16, 30, 1, 2)                                                                                                                      \
    X(TQ1_0, 34, 256, 54)                                                                                                                  \
    X(TQ2_0, 35, 256, 66)                                                                                                                  \
    X(MXFP4, 39, 32, 17)

typedef enum fh_type {
#define FH_TYPE_ENUM(name, id, elems, bytes) FH_TYPE_##name = id,
    FH_TYPE_LIST(FH_TYPE_ENUM)
#undef FH_TYPE_ENUM
} fh_type;

bool fh_type_known(uint32_t gguf_id);
const char *fh_type_name(uint32_t gguf_id); /* also names types that are not supported (NVFP4 ...); "?" for unheard of */
size_t fh_type_block_elems(fh_type t);
size_t fh_type_block_bytes(fh_type t);
size_t fh_type_bytes(fh_type t, size_t elems); /* of whole blocks */
/* Bytes of a row of `cols` elements; false when cols is no multiple of the block or the product overflows. */
bool fh_type_row_bytes(fh_type t, uint64_t cols, size_t *ret);

float fh_f16_to_f32(uint16_t h);
uint16_t fh_f32_to_f16(float f); /* round to nearest even */
float fh_bf16_to_f32(uint16_t h);
uint16_t fh_f32_to_bf16(float f);

#endif
