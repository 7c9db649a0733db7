/* Types whose quants are codes: places in a codebook of signed numbers (IQ types, MXFP4, ternary ones; and Q3_K, four above its numbers). A
 * block of 32 columns of any of them is 32 codes, an integer scale for each half, and the float scale of the whole; the reference and the
 * packer read it here. Pure.
 */
#ifndef FH_KERNEL_REF_CODES_H
#define FH_KERNEL_REF_CODES_H

#include "kernel/type.h"

typedef enum fh_book {
    FH_BOOK_NONE,
    FH_BOOK_IQ4,
    FH_BOOK_MXFP4,
    FH_BOOK_TERNARY,
    FH_BOOK_IQ2, /* from here on the upper half of a book has the signs */
    FH_BOOK_IQ3_XXS,
    FH_BOOK_IQ3_S,
    FH_BOOK_IQ1, /* eighths; the upper half is shifted down, the lower up */
    FH_BOOK_COUNT
} fh_book;

/* books.c, made by make-books.py. */
extern const int8_t fh_books[FH_BOOK_COUNT][16];
/* Grids: a row is eight places in a map of three values, 2 bits each, or four in a map of eight, 3 bits each. */
extern const uint16_t fh_grid_iq2_xxs[256], fh_grid_iq2_xs[512], fh_grid_iq2_s[1024], fh_grid_iq1[2048];
extern const uint16_t fh_grid_iq3_xxs[256], fh_grid_iq3_s[512];

/* Element i is d * scale[i / 16] * unit * book[q[i]]; book and unit are those of the type's fh_pack_kind. */
typedef struct fh_codes {
    uint8_t q[32];
    int8_t scale[2];
    uint16_t d; /* a half float; MXFP4: the exponent's byte */
} fh_codes;

float fh_ref_code_scale(fh_type type, uint16_t d); /* d as a float */
/* Block j of 32 columns within the type's block at b. */
void fh_ref_codes(fh_type type, const uint8_t *b, size_t j, fh_codes *c);
/* All of the type's block. */
void fh_ref_codes_block(fh_type type, const uint8_t *b, float *y);

#endif
