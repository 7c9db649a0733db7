/* Which replica has seen the beginning of a prompt (see prefix.h). */
#include "prefix.h"

#include <pthread.h>

enum { SETS = FH_LIMIT_PREFIX_SETS, WAYS = 4 };
_Static_assert((SETS & (SETS - 1)) == 0, "a set is found by a mask");

typedef struct way {
    uint64_t hash, replica;
    uint64_t used;
} way;

struct fh_prefixes {
    pthread_mutex_t lock;
    uint64_t clock;
    way sets[SETS][WAYS];
};

fh_prefixes *fh_prefixes_new(void)
{
    fh_prefixes *p = fh_calloc(1, sizeof *p);
    if (p) pthread_mutex_init(&p->lock, NULL);
    return p;
}

void fh_prefixes_free(fh_prefixes *p)
{
    if (!p) return;
    pthread_mutex_destroy(&p->lock);
    fh_free(p);
}

/* ---- hashing ---- */

typedef struct hashing {
    fh_prefix *to;
    uint64_t hash;
    size_t in_block;
} hashing;

static void add_byte(hashing *h, uint8_t byte)
{
    h->hash = (h->hash ^ byte) * 1099511628211u; /* FNV-1a */
    if (++h->in_block < FH_LIMIT_PREFIX_BLOCK_BYTES) return;
    h->in_block = 0;
    h->to->blocks[h->to->count++] = h->hash;
}

static void add_text(hashing *h, fh_str s)
{
    for (size_t i = 0; s.ptr && i < s.len && h->to->count < FH_LIMIT_PREFIX_BLOCKS; i++) add_byte(h, (uint8_t)s.ptr[i]);
}

static void add_value(hashing *h, const fh_json *v)
{
    fh_str s = fh_json_str(v);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    if (!v) return;
    if (!s.ptr && fh_json_write(v, &text, NULL) == 0) s = (fh_str){fh_buf_cstr(&text), text.len};
    add_text(h, s);
    add_text(h, (fh_str){"\0", 1});
}

void fh_prefix_of(fh_prefix *ret, const char *salt, const fh_wire_request *r)
{
    hashing h = {.to = ret, .hash = 1469598103934665603u};
    ret->count = 0;
    for (; *salt; salt++) h.hash = (h.hash ^ (uint8_t)*salt) * 1099511628211u;
    add_value(&h, r->tools);
    for (size_t i = 0; i < fh_json_count(r->messages) && ret->count < FH_LIMIT_PREFIX_BLOCKS; i++) {
        const fh_json *m = fh_json_at(r->messages, i);
        add_value(&h, fh_json_get(m, "role"));
        add_value(&h, fh_json_get(m, "content"));
        add_value(&h, fh_json_get(m, "tool_calls"));
    }
    add_text(&h, r->prompt);
}

/* ---- remembering ---- */

static way *find(fh_prefixes *p, uint64_t hash, uint64_t replica)
{
    way *set = p->sets[hash & (SETS - 1)];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].hash == hash && set[i].replica == replica) return &set[i];
    return NULL;
}

double fh_prefixes_match(fh_prefixes *p, const fh_prefix *prompt, uint64_t replica)
{
    size_t n = 0;
    pthread_mutex_lock(&p->lock);
    while (n < prompt->count && find(p, prompt->blocks[n], replica)) n++;
    pthread_mutex_unlock(&p->lock);
    return prompt->count ? (double)n / (double)prompt->count : 0;
}

static void note(fh_prefixes *p, uint64_t hash, uint64_t replica)
{
    way *w = find(p, hash, replica), *set = p->sets[hash & (SETS - 1)];
    if (!w) {
        w = set;
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].used < w->used) w = &set[i];
    }
    *w = (way){.hash = hash, .replica = replica, .used = ++p->clock};
}

void fh_prefixes_note(fh_prefixes *p, const fh_prefix *prompt, uint64_t replica)
{
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < prompt->count; i++) note(p, prompt->blocks[i], replica);
    pthread_mutex_unlock(&p->lock);
}
