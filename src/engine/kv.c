/* The arena of pages: who uses which, and copying between them. */
#include "kv.h"

#include <assert.h>
#include <string.h>

static bool page_bytes(const fh_kv *s, size_t *ret)
{
    size_t bytes = (size_t)2 * FH_KV_PAGE_TOK;
    return !fh_mul_overflows(bytes, s->layers, &bytes) && !fh_mul_overflows(bytes, s->row_bytes, ret);
}

bool fh_kv_bytes(const fh_kv *s, size_t *ret)
{
    size_t bytes;
    return s->page_count < FH_KV_NONE && page_bytes(s, &bytes) && !fh_mul_overflows(bytes, s->page_count, ret);
}

int fh_kv_init(fh_kv *kv, fh_err **err)
{
    size_t bytes;
    if (!fh_kv_bytes(kv, &bytes) || !page_bytes(kv, &kv->page_bytes)) return fh_err_nomem(err);
    kv->data = fh_alloc_aligned(4096, bytes);
    kv->pages = fh_calloc(kv->page_count, sizeof *kv->pages);
    kv->free = fh_calloc(kv->page_count, sizeof *kv->free);
    if (!kv->data || !kv->pages || !kv->free) return fh_err_nomem(err);
    for (size_t i = 0; i < kv->page_count; i++) kv->free[i] = (uint32_t)(kv->page_count - 1 - i);
    kv->free_count = kv->page_count;
    return 0;
}

void fh_kv_fini(fh_kv *kv)
{
    fh_free(kv->data);
    fh_free(kv->pages);
    fh_free(kv->free);
    *kv = (fh_kv){.type = kv->type};
}

static void free_if_idle(fh_kv *kv, uint32_t page)
{
    if (kv->pages[page].users == 0 && !kv->pages[page].kept) kv->free[kv->free_count++] = page;
}

uint32_t fh_kv_take(fh_kv *kv)
{
    if (kv->free_count == 0) return FH_KV_NONE;
    uint32_t page = kv->free[--kv->free_count];
    fh_kv_use(kv, page);
    return page;
}

void fh_kv_use(fh_kv *kv, uint32_t page)
{
    if (kv->pages[page].users++ == 0) kv->used_count++;
}

void fh_kv_drop(fh_kv *kv, uint32_t page)
{
    assert(kv->pages[page].users > 0);
    if (--kv->pages[page].users > 0) return;
    kv->used_count--;
    free_if_idle(kv, page);
}

void fh_kv_keep(fh_kv *kv, uint32_t page)
{
    assert(!kv->pages[page].kept && kv->pages[page].users > 0);
    kv->pages[page].kept = true;
}

void fh_kv_forget(fh_kv *kv, uint32_t page)
{
    assert(kv->pages[page].kept);
    kv->pages[page].kept = false;
    free_if_idle(kv, page);
}

void fh_kv_copy(const fh_kv *kv, uint32_t to, uint32_t from, size_t tok)
{
    for (size_t i = 0; i < 2 * kv->layers; i++)
        memcpy(fh_kv_rows(kv, i / 2, i % 2, to), fh_kv_rows(kv, i / 2, i % 2, from), tok * kv->row_bytes);
}

/* ---- a sequence's pages ---- */

int fh_kv_seq_init(fh_kv_seq *s, size_t most_tok, fh_err **err)
{
    *s = (fh_kv_seq){.most = fh_kv_pages_of(most_tok)};
    s->pages = fh_calloc(s->most, sizeof *s->pages);
    return s->pages ? 0 : fh_err_nomem(err);
}

void fh_kv_seq_fini(fh_kv_seq *s)
{
    fh_free(s->pages);
    *s = (fh_kv_seq){0};
}

void fh_kv_seq_push(fh_kv_seq *s, uint32_t page)
{
    assert(s->count < s->most);
    s->pages[s->count++] = page;
}

bool fh_kv_seq_grow(fh_kv_seq *s, fh_kv *kv, size_t tok)
{
    while (s->count < fh_kv_pages_of(tok)) {
        uint32_t page = fh_kv_take(kv);
        if (page == FH_KV_NONE) return false;
        fh_kv_seq_push(s, page);
    }
    return true;
}

void fh_kv_seq_truncate(fh_kv_seq *s, fh_kv *kv, size_t tok)
{
    while (s->count > fh_kv_pages_of(tok)) fh_kv_drop(kv, s->pages[--s->count]);
}
