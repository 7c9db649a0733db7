/* What a model's layers remember of its sequences, in pages.
 *
 * A page is what all layers remember of FH_KV_PAGE_TOK tokens in a row: one run of bytes. Only a family and its kernels look into it. All
 * others count pages, share them, copy them, and write them out and back. What layers of other kinds will remember (a window, a compressed
 * latent, a recurrent state as of the page's last token) is another layout of the page's bytes, and nothing above changes.
 *
 * All pages are there from the start. A page is free, or used by sequences (counted), or kept for later requests (prefix.h), or both. A
 * page that is kept or that two sequences use is never written.
 *
 * Threads: the batch thread; the workers of a step read. */
#ifndef FH_ENGINE_KV_H
#define FH_ENGINE_KV_H

#include "kernel/kernel.h"

#define FH_KV_NONE UINT32_MAX

typedef struct fh_kv_page {
    uint32_t users; /* sequences whose table has it */
    bool kept;
} fh_kv_page;

/* Today's layout of a page: [layer][keys, values][FH_KV_PAGE_TOK] rows of row_bytes. */
typedef struct fh_kv {
    fh_type type;
    size_t layers, row_bytes, page_count; /* the shape: set by the caller */
    size_t page_bytes;
    char *data;        /* owned, [page_count][page_bytes]; memory that was never written costs nothing */
    fh_kv_page *pages; /* owned, [page_count] */
    uint32_t *free;    /* owned: a stack, so that memory that was used is used again */
    size_t free_count, used_count;
} fh_kv;

/* Bytes of all pages of such a shape; false on overflow, or when there are more pages than numbers for them. */
bool fh_kv_bytes(const fh_kv *shape, size_t *ret);
int fh_kv_init(fh_kv *kv, fh_err **err);
void fh_kv_fini(fh_kv *kv);

static inline size_t fh_kv_pages_of(size_t tok)
{
    return (tok + FH_KV_PAGE_TOK - 1) / FH_KV_PAGE_TOK;
}

/* The rows of a layer's keys or values in a page. */
static inline char *fh_kv_rows(const fh_kv *kv, size_t layer, bool value, uint32_t page)
{
    return kv->data + page * kv->page_bytes + (layer * 2 + value) * FH_KV_PAGE_TOK * kv->row_bytes;
}

uint32_t fh_kv_take(fh_kv *kv); /* a free page, used by one sequence; FH_KV_NONE: there is none */
void fh_kv_use(fh_kv *kv, uint32_t page);
void fh_kv_drop(fh_kv *kv, uint32_t page);
void fh_kv_keep(fh_kv *kv, uint32_t page);
void fh_kv_forget(fh_kv *kv, uint32_t page);
/* What both remember of the first tok tokens of the page becomes the same. */
void fh_kv_copy(const fh_kv *kv, uint32_t to, uint32_t from, size_t tok);

/* ---- a sequence's pages ---- */

typedef struct fh_kv_seq {
    uint32_t *pages; /* owned, [most] */
    size_t count, most;
} fh_kv_seq;

int fh_kv_seq_init(fh_kv_seq *s, size_t most_tok, fh_err **err);
void fh_kv_seq_fini(fh_kv_seq *s);
void fh_kv_seq_push(fh_kv_seq *s, uint32_t page);             /* takes over a use */
bool fh_kv_seq_grow(fh_kv_seq *s, fh_kv *kv, size_t tok);     /* until there is room for so many; false: no page is free, some were taken */
void fh_kv_seq_truncate(fh_kv_seq *s, fh_kv *kv, size_t tok); /* what lies behind them is forgotten */

#endif
