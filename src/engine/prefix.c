/* The tree of kept pages. A node is a page; children are found by a hash of their parent (or salt) and first token.
 *
 * What holds: a node is never used later than its parent was, in the list of use, so the oldest node that no sequence uses has no children
 * but such as no sequence uses, and those stand behind it. Nodes of a half full page have no children. */
#include "prefix.h"

#include <assert.h>
#include <string.h>

#define NONE UINT32_MAX

typedef struct node {
    uint32_t parent, next; /* next: of the bucket; of a free node, the next free one */
    uint32_t newer, older; /* in the list of use */
    uint32_t children, page;
    uint32_t count; /* tokens; 0: the node is free */
    bool written;   /* on disk, or on the way */
    fh_spill_key key;
    fh_token tokens[FH_KV_PAGE_TOK];
    char salt[FH_PREFIX_SALT_MAX + 1]; /* of nodes without parent */
} node;

struct fh_prefix {
    fh_kv *kv;
    fh_spill *spill;
    node *nodes; /* owned, [kv->page_count] */
    uint32_t *buckets;
    size_t bucket_mask, count;
    uint32_t free, newest, oldest;
};

int fh_prefix_new(fh_prefix **ret, fh_kv *kv, fh_spill *spill, fh_err **err)
{
    FH_AUTO(fh_prefix) fh_prefix *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    size_t buckets = 16;
    while (buckets < kv->page_count) buckets *= 2;
    *p = (fh_prefix){.kv = kv, .spill = spill, .bucket_mask = buckets - 1, .free = 0, .newest = NONE, .oldest = NONE};
    p->nodes = fh_calloc(kv->page_count, sizeof *p->nodes);
    p->buckets = fh_calloc(buckets, sizeof *p->buckets);
    if (!p->nodes || !p->buckets) return fh_err_nomem(err);
    memset(p->buckets, 0xff, buckets * sizeof *p->buckets);
    for (size_t i = 0; i < kv->page_count; i++) p->nodes[i].next = i + 1 < kv->page_count ? (uint32_t)(i + 1) : NONE;
    *ret = fh_take(p);
    return 0;
}

void fh_prefix_free(fh_prefix *p)
{
    if (!p) return;
    fh_free(p->nodes);
    fh_free(p->buckets);
    fh_free(p);
}

size_t fh_prefix_count(const fh_prefix *p)
{
    return p->count;
}

/* ---- finding ---- */

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
}

static uint32_t *bucket_of(const fh_prefix *p, uint32_t parent, const char *salt, fh_token first)
{
    uint64_t hash = mix(parent, (uint64_t)first);
    for (const char *c = salt; parent == NONE && *c; c++) hash = mix(hash, (unsigned char)*c);
    return &p->buckets[hash & p->bucket_mask];
}

static bool is_child(const node *n, uint32_t parent, const char *salt)
{
    return n->parent == parent && (parent != NONE || strcmp(n->salt, salt) == 0);
}

static size_t common(const fh_token *a, const fh_token *b, size_t most)
{
    size_t n = 0;
    while (n < most && a[n] == b[n]) n++;
    return n;
}

/* The child that shares most of the tokens, at most a page of them; NONE when none begins with the first. */
static uint32_t best_child(const fh_prefix *p, uint32_t parent, const char *salt, const fh_token *tokens, size_t count, size_t *ret_shared)
{
    uint32_t best = NONE;
    *ret_shared = 0;
    if (count == 0) return NONE;
    for (uint32_t i = *bucket_of(p, parent, salt, tokens[0]); i != NONE; i = p->nodes[i].next) {
        const node *n = &p->nodes[i];
        size_t shared = is_child(n, parent, salt) ? common(n->tokens, tokens, FH_MIN(count, (size_t)n->count)) : 0;
        if (shared <= *ret_shared) continue;
        *ret_shared = shared;
        best = i;
    }
    return best;
}

static uint32_t full_child(const fh_prefix *p, uint32_t parent, const char *salt, const fh_token *tokens, size_t count)
{
    size_t shared;
    uint32_t i = count >= FH_KV_PAGE_TOK ? best_child(p, parent, salt, tokens, FH_KV_PAGE_TOK, &shared) : NONE;
    return i != NONE && shared == FH_KV_PAGE_TOK ? i : NONE;
}

/* ---- the list of use ---- */

static void unlist(fh_prefix *p, uint32_t i)
{
    const node *n = &p->nodes[i];
    *(n->newer == NONE ? &p->newest : &p->nodes[n->newer].older) = n->older;
    *(n->older == NONE ? &p->oldest : &p->nodes[n->older].newer) = n->newer;
}

static void list_newest(fh_prefix *p, uint32_t i)
{
    p->nodes[i].newer = NONE;
    p->nodes[i].older = p->newest;
    *(p->newest == NONE ? &p->oldest : &p->nodes[p->newest].newer) = i;
    p->newest = i;
}

/* The node, then all above it, so that each stands before its children. */
static void touch(fh_prefix *p, uint32_t i)
{
    for (; i != NONE; i = p->nodes[i].parent) {
        unlist(p, i);
        list_newest(p, i);
    }
}

/* ---- nodes ---- */

static fh_spill_key spill_key(const fh_prefix *p, uint32_t parent, const fh_prefix_key *key, size_t at)
{
    fh_spill_key before = parent == NONE ? fh_spill_root(p->spill, key->salt) : p->nodes[parent].key;
    return fh_spill_next(&before, key->tokens + at);
}

static uint32_t add(fh_prefix *p, uint32_t parent, const fh_prefix_key *key, size_t at, size_t count, uint32_t page)
{
    uint32_t i = p->free, *bucket = bucket_of(p, parent, key->salt, key->tokens[at]);
    assert(i != NONE && count > 0);
    node *n = &p->nodes[i];
    p->free = n->next;
    *n = (node){.parent = parent, .next = *bucket, .page = page, .count = (uint32_t)count};
    memcpy(n->tokens, key->tokens + at, count * sizeof *n->tokens);
    if (parent == NONE) memcpy(n->salt, key->salt, strlen(key->salt));
    if (parent != NONE) p->nodes[parent].children++;
    if (p->spill && count == FH_KV_PAGE_TOK) n->key = spill_key(p, parent, key, at);
    *bucket = i;
    p->count++;
    list_newest(p, i);
    fh_kv_keep(p->kv, page);
    return i;
}

static void drop(fh_prefix *p, uint32_t i)
{
    node *n = &p->nodes[i];
    assert(n->children == 0);
    uint32_t *link = bucket_of(p, n->parent, n->salt, n->tokens[0]);
    while (*link != i) link = &p->nodes[*link].next;
    *link = n->next;
    unlist(p, i);
    if (n->parent != NONE) p->nodes[n->parent].children--;
    fh_kv_forget(p->kv, n->page);
    n->count = 0;
    n->next = p->free;
    p->free = i;
    p->count--;
}

static bool evict(fh_prefix *p)
{
    for (uint32_t i = p->oldest; i != NONE; i = p->nodes[i].newer) {
        if (p->kv->pages[p->nodes[i].page].users > 0 || p->nodes[i].children > 0) continue;
        drop(p, i);
        return true;
    }
    return false;
}

/* ---- the disk ---- */

/* Pages that are being written count as used. wait: until one is free again; false: none is being written. */
static bool reap(fh_prefix *p, bool wait)
{
    uint32_t page;
    bool any = false;
    while (p->spill && fh_spill_done(p->spill, wait && !any, &page)) {
        fh_kv_drop(p->kv, page);
        any = true;
    }
    return any;
}

static void write_out(fh_prefix *p, uint32_t i)
{
    node *n = &p->nodes[i];
    reap(p, false); /* only so many may wait or be written and not taken back */
    n->written = n->written || fh_spill_write(p->spill, &n->key, fh_kv_rows(p->kv, 0, false, n->page), n->page);
    if (n->written) fh_kv_use(p->kv, n->page);
}

static uint32_t take(fh_prefix *p)
{
    uint32_t page = fh_kv_take(p->kv);
    while (page == FH_KV_NONE && (reap(p, false) || evict(p))) page = fh_kv_take(p->kv);
    return page;
}

/* The child that is on disk, read; NONE: it is not. */
static uint32_t load_child(fh_prefix *p, uint32_t parent, const fh_prefix_key *key, size_t at)
{
    if (!p->spill || !key->spill || key->count - at < FH_KV_PAGE_TOK) return NONE;
    fh_spill_key name = spill_key(p, parent, key, at);
    uint32_t page = fh_spill_has(p->spill, &name) ? take(p) : FH_KV_NONE, child = NONE;
    if (page == FH_KV_NONE) return NONE;
    if (fh_spill_read(p->spill, &name, fh_kv_rows(p->kv, 0, false, page))) {
        child = add(p, parent, key, at, FH_KV_PAGE_TOK, page);
        p->nodes[child].written = true;
    }
    fh_kv_drop(p->kv, page);
    return child;
}

void fh_prefix_settle(fh_prefix *p)
{
    while (reap(p, true)) {
    }
}

/* ---- what others call ---- */

/* Copies the rows of a page that the sequence shares only in part. */
static size_t copy_part(fh_prefix *p, uint32_t from, fh_kv_seq *seq, size_t done, size_t shared)
{
    if (shared < FH_PREFIX_COPY_MIN_TOK) return done;
    uint32_t page = p->nodes[from].page;
    fh_kv_use(p->kv, page); /* so that making room spares it */
    bool room = fh_prefix_grow(p, seq, done + shared);
    if (room) fh_kv_copy(p->kv, seq->pages[seq->count - 1], page, shared);
    fh_kv_drop(p->kv, page);
    return room ? done + shared : done;
}

size_t fh_prefix_match(fh_prefix *p, const fh_prefix_key *key, fh_kv_seq *seq, size_t done)
{
    assert(done % FH_KV_PAGE_TOK == 0 && seq->count == done / FH_KV_PAGE_TOK);
    uint32_t at = NONE, next;
    for (size_t tok = 0;; tok += FH_KV_PAGE_TOK) {
        next = full_child(p, at, key->salt, key->tokens + tok, key->count - tok);
        if (next == NONE && tok < done) return done; /* its own pages are not the tree's any more */
        if (next == NONE) next = load_child(p, at, key, tok);
        if (next == NONE) break;
        at = next;
        if (tok < done) continue;
        fh_kv_use(p->kv, p->nodes[at].page);
        fh_kv_seq_push(seq, p->nodes[at].page);
        done += FH_KV_PAGE_TOK;
    }
    touch(p, at);
    size_t shared;
    next = best_child(p, at, key->salt, key->tokens + done, FH_MIN(key->count - done, (size_t)FH_KV_PAGE_TOK), &shared);
    if (next == NONE) return done;
    touch(p, next);
    return copy_part(p, next, seq, done, shared);
}

/* A half full page whose tokens another one has too. */
static void drop_covered(fh_prefix *p, uint32_t parent, const fh_prefix_key *key, size_t at, size_t count)
{
    uint32_t i = *bucket_of(p, parent, key->salt, key->tokens[at]);
    while (i != NONE) {
        const node *n = &p->nodes[i];
        uint32_t next = n->next;
        bool covered = n->count < count && is_child(n, parent, key->salt) && common(n->tokens, key->tokens + at, n->count) == n->count;
        if (covered) drop(p, i);
        i = next;
    }
}

static void keep_part(fh_prefix *p, uint32_t parent, const fh_prefix_key *key, const fh_kv_seq *seq, size_t at)
{
    size_t count = key->count - at, shared;
    uint32_t there = best_child(p, parent, key->salt, key->tokens + at, count, &shared);
    if (count < FH_PREFIX_COPY_MIN_TOK || (there != NONE && shared == count)) return;
    drop_covered(p, parent, key, at, count);
    touch(p, add(p, parent, key, at, count, seq->pages[at / FH_KV_PAGE_TOK]));
}

void fh_prefix_keep(fh_prefix *p, const fh_prefix_key *key, const fh_kv_seq *seq, bool last)
{
    uint32_t at = NONE;
    size_t tok = 0;
    for (; tok + FH_KV_PAGE_TOK <= key->count; tok += FH_KV_PAGE_TOK) {
        uint32_t next = full_child(p, at, key->salt, key->tokens + tok, FH_KV_PAGE_TOK);
        if (next == NONE) {
            drop_covered(p, at, key, tok, FH_KV_PAGE_TOK);
            next = add(p, at, key, tok, FH_KV_PAGE_TOK, seq->pages[tok / FH_KV_PAGE_TOK]);
        }
        at = next;
        if (p->spill && key->spill && last && !p->nodes[at].written) write_out(p, at);
    }
    touch(p, at);
    if (last && tok < key->count) keep_part(p, at, key, seq, tok);
}

bool fh_prefix_grow(fh_prefix *p, fh_kv_seq *seq, size_t tok)
{
    while (!fh_kv_seq_grow(seq, p->kv, tok))
        if (!reap(p, false) && !evict(p) && !reap(p, true)) return false;
    return true;
}

bool fh_prefix_whole(const fh_prefix *p)
{
    size_t seen = 0, children = 0, claimed = 0;
    for (uint32_t i = p->newest; i != NONE; i = p->nodes[i].older, seen++) {
        const node *n = &p->nodes[i];
        bool half_parent = n->parent != NONE && p->nodes[n->parent].count != FH_KV_PAGE_TOK;
        if (n->count == 0 || half_parent || !p->kv->pages[n->page].kept || seen > p->count) return false;
        children += n->parent != NONE;
        claimed += n->children;
        for (uint32_t above = n->newer; n->parent != NONE && above != n->parent; above = p->nodes[above].newer)
            if (above == NONE) return false;
    }
    return seen == p->count && children == claimed;
}
