/* Whether each page of an engine is accounted for: free once, or used by so many tables as it says, or kept by the tree, and nothing else.
 */
#ifndef FH_TEST_ENGINE_PAGES_H
#define FH_TEST_ENGINE_PAGES_H

#include "prefix.h"

#include <stdlib.h>

/* NULL, or what is wrong. tables: those of all sequences. */
static inline const char *pages_wrong(const fh_kv *kv, const fh_prefix *prefix, const fh_kv_seq *const *tables, size_t table_count)
{
    uint32_t *seen = calloc(kv->page_count, sizeof *seen);
    size_t used = 0, kept = 0, idle = 0;
    const char *wrong = fh_prefix_whole(prefix) ? NULL : "the tree is none";
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) seen[tables[t]->pages[i]]++;
    for (size_t i = 0; i < kv->page_count; i++) {
        if (seen[i] != kv->pages[i].users) wrong = "a page is used by others than it says";
        used += kv->pages[i].users > 0;
        kept += kv->pages[i].kept;
        idle += kv->pages[i].users == 0 && !kv->pages[i].kept;
    }
    for (size_t i = 0; i < kv->free_count; i++) {
        const fh_kv_page *page = &kv->pages[kv->free[i]];
        if (page->users || page->kept) wrong = "a free page is in use";
        if (seen[kv->free[i]]++) wrong = "a page is free twice";
    }
    if (used != kv->used_count || kept != fh_prefix_count(prefix) || idle != kv->free_count) wrong = "pages are lost";
    free(seen);
    return wrong;
}

#endif
