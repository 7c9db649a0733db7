/* Grammars as others see them: compiled once for a source, counted, and where a sequence stands in one. */
#include "grammar_private.h"

#include "base/map.h"

#include <math.h>
#include <stdatomic.h>

/* ---- one grammar ---- */

static void grammar_free(fh_grammar *g)
{
    if (!g) return;
    grammar_automaton_fini(&g->automaton);
    grammar_program_fini(&g->program);
    if (g->lock_made) pthread_mutex_destroy(&g->lock);
    fh_free(g->walk);
    fh_free(g->chain);
    fh_free(g);
}

fh_grammar *fh_grammar_ref(fh_grammar *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void fh_grammar_unref(fh_grammar *g)
{
    if (g && atomic_fetch_sub(&g->refs, 1) == 1) grammar_free(g);
}

/* The GBNF of a source; borrowed from it, or from made. */
static int text_of(const fh_grammar_source *s, fh_buf *made, fh_str *ret, fh_err **err)
{
    int rc = 0;
    *ret = s->text;
    if (s->kind == FH_GRAMMAR_GBNF) return 0;
    rc = s->kind == FH_GRAMMAR_SCHEMA ? fh_gbnf_add_schema(made, "root", s->schema, s->param, err) : fh_gbnf_add_object(made, "root", err);
    *ret = (fh_str){fh_buf_cstr(made), made->len};
    return rc;
}

static int compile_program(fh_grammar *g, const fh_vocab *v, const fh_grammar_source *s, fh_err **err)
{
    FH_AUTO(buf) fh_buf made = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    fh_str text;
    int rc = text_of(s, &made, &text, err);
    if (!rc) rc = grammar_read_gbnf(&g->program, v, text, s->start, s->param, err);
    if (!rc && s->trigger_count) rc = grammar_add_triggers(&g->program, s, err);
    if (!rc) rc = grammar_check(&g->program, s->param, err);
    return rc;
}

static int make_room(fh_grammar *g, fh_err **err)
{
    g->walk = fh_calloc(g->tokens->all.deepest + 1, sizeof *g->walk);
    g->chain = fh_calloc(GRAMMAR_FAR_BYTES + 1, sizeof *g->chain);
    if (!g->walk || !g->chain || pthread_mutex_init(&g->lock, NULL) != 0) return fh_err_nomem(err);
    g->lock_made = true;
    return grammar_automaton_init(&g->automaton, &g->program, &g->start, err);
}

static int compile(fh_grammar **ret, const grammar_tokens *t, const fh_vocab *v, const fh_grammar_source *s, fh_err **err)
{
    FH_AUTO(fh_grammar) fh_grammar *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    atomic_init(&g->refs, 1);
    g->tokens = t;
    int rc = compile_program(g, v, s, err);
    if (!rc) rc = make_room(g, err);
    if (!rc) *ret = fh_take(g);
    return rc;
}

/* ---- those of a vocabulary ---- */

typedef struct kept {
    fh_grammar *grammar;
    uint64_t used;
    size_t bytes; /* of the key */
} kept;

struct fh_grammars {
    const fh_vocab *vocab;
    grammar_tokens tokens;
    pthread_mutex_t lock; /* over what follows */
    bool lock_made;
    fh_map *kept; /* by source */
    uint64_t uses;
    size_t bytes;
};

static void kept_free(void *value)
{
    kept *k = value;
    if (!k) return;
    fh_grammar_unref(k->grammar);
    fh_free(k);
}

void fh_grammars_free(fh_grammars *c)
{
    if (!c) return;
    fh_map_free(c->kept);
    if (c->lock_made) pthread_mutex_destroy(&c->lock);
    grammar_tokens_fini(&c->tokens);
    fh_free(c);
}

int fh_grammars_new(fh_grammars **ret, const fh_vocab *v, size_t logit_count, fh_err **err)
{
    FH_AUTO(fh_grammars) fh_grammars *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    c->vocab = v;
    c->kept = fh_map_new(kept_free);
    if (!c->kept || pthread_mutex_init(&c->lock, NULL) != 0) return fh_err_nomem(err);
    c->lock_made = true;
    int rc = grammar_tokens_init(&c->tokens, v, logit_count, err);
    if (!rc) *ret = fh_take(c);
    return rc;
}

/* All that a grammar is made from, in one text. */
static int key_of(const fh_grammar_source *s, fh_buf *key, fh_err **err)
{
    fh_buf_addf(key, "%d %d %zu %zu ", (int)s->kind, s->trigger_required, s->trigger_count, s->start.len);
    fh_buf_add(key, s->start.ptr ? s->start.ptr : "", s->start.len);
    for (size_t i = 0; i < s->trigger_count; i++) {
        fh_buf_addf(key, "%zu ", s->triggers[i].len);
        fh_buf_add(key, s->triggers[i].ptr, s->triggers[i].len);
    }
    if (s->kind == FH_GRAMMAR_GBNF) fh_buf_add(key, s->text.ptr, s->text.len);
    int rc = s->kind == FH_GRAMMAR_SCHEMA ? fh_json_write(s->schema, key, err) : 0;
    if (!rc) rc = fh_buf_check(key, err, "the grammar");
    if (rc) fh_err_param(err, "%s", s->param);
    return rc;
}

static fh_grammar *find(fh_grammars *c, fh_str key)
{
    pthread_mutex_lock(&c->lock);
    kept *k = fh_map_find(c->kept, key);
    fh_grammar *g = k ? fh_grammar_ref(k->grammar) : NULL;
    if (k) k->used = ++c->uses;
    pthread_mutex_unlock(&c->lock);
    return g;
}

/* Under the lock. */
static void drop_oldest(fh_grammars *c)
{
    fh_str key, oldest = {NULL, 0};
    void *value;
    uint64_t used = UINT64_MAX;
    for (size_t i = 0; fh_map_next(c->kept, &i, &key, &value);) {
        const kept *k = value;
        if (k->used >= used) continue;
        used = k->used;
        oldest = key;
    }
    kept *k = fh_map_remove(c->kept, oldest);
    c->bytes -= k->bytes;
    kept_free(k);
}

/* A grammar that cannot be kept is used all the same. */
static void keep(fh_grammars *c, fh_str key, fh_grammar *g)
{
    kept *k = key.len > FH_LIMIT_GRAMMAR_CACHE_BYTES / 4 ? NULL : fh_alloc(sizeof *k);
    if (!k) return;
    pthread_mutex_lock(&c->lock);
    while (fh_map_count(c->kept) && (fh_map_count(c->kept) >= FH_LIMIT_GRAMMAR_CACHE || c->bytes + key.len > FH_LIMIT_GRAMMAR_CACHE_BYTES))
        drop_oldest(c);
    *k = (kept){fh_grammar_ref(g), ++c->uses, key.len};
    bool twice = fh_map_find(c->kept, key) != NULL; /* another thread was faster */
    if (!twice && fh_map_put(c->kept, key, k))
        c->bytes += key.len;
    else
        kept_free(k);
    pthread_mutex_unlock(&c->lock);
}

int fh_grammars_get(fh_grammars *c, const fh_grammar_source *s, fh_grammar **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(2ul * FH_LIMIT_GRAMMAR_BYTES);
    int rc = key_of(s, &text, err);
    if (rc) return rc;
    fh_str key = {fh_buf_cstr(&text), text.len};
    fh_grammar *g = find(c, key);
    if (!g) {
        rc = compile(&g, &c->tokens, c->vocab, s, err);
        if (rc) return rc;
        keep(c, key, g);
    }
    *ret = g;
    return 0;
}

/* ---- where a sequence stands ---- */

static int state_at(fh_grammar_state **ret, fh_grammar *g, uint32_t at, fh_err **err)
{
    fh_grammar_state *s = fh_alloc(sizeof *s);
    if (!s) return fh_err_nomem(err);
    pthread_mutex_lock(&g->lock);
    *s = (fh_grammar_state){fh_grammar_ref(g), at};
    g->automaton.sets[at].pins++;
    pthread_mutex_unlock(&g->lock);
    *ret = s;
    return 0;
}

int fh_grammar_state_new(fh_grammar_state **ret, fh_grammar *g, fh_err **err)
{
    return state_at(ret, g, g->start, err);
}

int fh_grammar_state_dup(fh_grammar_state **ret, const fh_grammar_state *s, fh_err **err)
{
    return state_at(ret, s->grammar, s->at, err);
}

void fh_grammar_state_free(fh_grammar_state *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->grammar->lock);
    s->grammar->automaton.sets[s->at].pins--;
    pthread_mutex_unlock(&s->grammar->lock);
    fh_grammar_unref(s->grammar);
    fh_free(s);
}

/* Under the lock. */
static uint32_t follow(grammar_automaton *a, uint32_t state, fh_str text)
{
    for (size_t i = 0; i < text.len && state != STATE_DEAD; i++) {
        uint32_t to = grammar_step(a, state, (uint8_t)text.ptr[i]);
        if (to == STATE_FULL) {
            grammar_forget(a, &state, 1);
            to = grammar_step(a, state, (uint8_t)text.ptr[i]);
        }
        state = to == STATE_FULL ? STATE_DEAD : to;
    }
    return state;
}

bool fh_grammar_state_accept_text(fh_grammar_state *s, fh_str text)
{
    grammar_automaton *a = &s->grammar->automaton;
    pthread_mutex_lock(&s->grammar->lock);
    uint32_t to = follow(a, s->at, text);
    if (to != STATE_DEAD) {
        a->sets[s->at].pins--;
        a->sets[to].pins++;
        s->at = to;
    }
    pthread_mutex_unlock(&s->grammar->lock);
    return to != STATE_DEAD;
}

bool fh_grammar_state_accept(fh_grammar_state *s, fh_token id)
{
    const grammar_tokens *t = s->grammar->tokens;
    if (id < 0 || (size_t)id >= t->logit_count) return false;
    if (t->ends[(size_t)id / 64] >> ((size_t)id % 64) & 1) return fh_grammar_state_may_end(s);
    fh_str text = {t->bytes + t->offsets[id], t->offsets[id + 1] - t->offsets[id]};
    return text.len && fh_grammar_state_accept_text(s, text);
}

bool fh_grammar_state_may_end(const fh_grammar_state *s)
{
    pthread_mutex_lock(&s->grammar->lock);
    bool may = s->grammar->automaton.sets[s->at].accepts;
    pthread_mutex_unlock(&s->grammar->lock);
    return may;
}

bool fh_grammar_state_must_end(const fh_grammar_state *s)
{
    pthread_mutex_lock(&s->grammar->lock);
    const grammar_set *at = &s->grammar->automaton.sets[s->at];
    bool must = at->accepts && at->count == 0;
    pthread_mutex_unlock(&s->grammar->lock);
    return must;
}

int fh_grammar_state_mask(fh_grammar_state *s, uint64_t tokens_left, uint64_t *mask, fh_err **err)
{
    pthread_mutex_lock(&s->grammar->lock);
    int rc = grammar_mask_fill(s->grammar, s->at, tokens_left, mask, err);
    pthread_mutex_unlock(&s->grammar->lock);
    return rc;
}

/* Without a branch: what a mask allows is no pattern that a processor learns. */
static void forbid_four(uint64_t allowed, float *logits)
{
#define ALL UINT32_MAX
    static const uint32_t lanes[16][4] = {{0, 0, 0, 0},     {ALL, 0, 0, 0},     {0, ALL, 0, 0},     {ALL, ALL, 0, 0},
                                          {0, 0, ALL, 0},   {ALL, 0, ALL, 0},   {0, ALL, ALL, 0},   {ALL, ALL, ALL, 0},
                                          {0, 0, 0, ALL},   {ALL, 0, 0, ALL},   {0, ALL, 0, ALL},   {ALL, ALL, 0, ALL},
                                          {0, 0, ALL, ALL}, {ALL, 0, ALL, ALL}, {0, ALL, ALL, ALL}, {ALL, ALL, ALL, ALL}};
#undef ALL
    const uint32_t minus_infinity = 0xff800000u;
    uint32_t bits[4];
    memcpy(bits, logits, sizeof bits);
    for (size_t i = 0; i < FH_COUNT(bits); i++) bits[i] = (bits[i] & lanes[allowed][i]) | (minus_infinity & ~lanes[allowed][i]);
    memcpy(logits, bits, sizeof bits);
}

void fh_grammar_forbid(const uint64_t *mask, float *logits, size_t count)
{
    size_t i = 0;
    for (; i + 64 <= count; i += 64)
        for (unsigned k = 0; k < 64 && mask[i / 64] != UINT64_MAX; k += 4) forbid_four(mask[i / 64] >> k & 15, logits + i + k);
    for (; i < count; i++)
        if (!(mask[i / 64] >> (i % 64) & 1)) logits[i] = -INFINITY;
}
