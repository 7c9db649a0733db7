/* Places of the batch: who gets one, and who gives pages back when there are none left.
 *
 * A request is admitted when there are pages for all that it has to compute and for what those before it still need. So pages run out only
 * as answers grow: then whoever comes last by rank (queue_before) leaves the batch, one that is paused before all others. Who is paused
 * leaves it for one that waits, too. They lose nothing: their tokens stay, their pages are kept as long as nobody needs them, and the rest
 * is computed again when their turn comes. */
#include "engine_private.h"
#include "base/clock.h"

#include <string.h>

static fh_prefix_key key_of(const fh_gen *g, size_t tok)
{
    return (fh_prefix_key){.salt = g->salt, .tokens = g->tokens.ids, .count = tok, .spill = !g->off_disk};
}

/* What is in the cache and certain is there for others; vectors leave nothing. */
void place_keep(fh_engine *e, const slot *s, bool last)
{
    if (s->gen->sum) return;
    fh_prefix_key key = key_of(s->gen, FH_MIN(s->gen->done, s->gen->tokens.count));
    fh_prefix_keep(e->prefix, &key, &s->kv, last);
}

void place_match(fh_engine *e, slot *s)
{
    fh_gen *g = s->gen;
    if (g->sum || g->done % FH_KV_PAGE_TOK) return;
    fh_prefix_key key = key_of(g, g->tokens.count - 1); /* the last token is computed: its logits are wanted */
    size_t done = key.count > g->done ? fh_prefix_match(e->prefix, &key, &s->kv, g->done) : g->done;
    if (!g->preempted) g->cached += done - g->done;
    g->done = done;
}

static fh_gen *vacate(fh_engine *e, slot *s)
{
    fh_gen *g = s->gen;
    place_keep(e, s, true);
    fh_kv_seq_truncate(&s->kv, &e->model.kv, 0);
    s->gen = NULL;
    return g;
}

void place_end(fh_engine *e, slot *s, fh_gen_finish how, const fh_err *err)
{
    fh_gen *g = vacate(e, s);
    pthread_mutex_lock(&e->lock);
    e->stats.running--;
    e->stats.cached_tok += g->cached;
    pthread_mutex_unlock(&e->lock);
    gen_end(g, how, err);
}

static void preempt(fh_engine *e, slot *s)
{
    fh_gen *g = vacate(e, s);
    draft_free(fh_take(g->draft)); /* only those who have a place guess */
    g->done = 0;
    g->preempted = true;
    if (g->sum) memset(g->sum, 0, e->model.shape.embd * sizeof *g->sum);
    pthread_mutex_lock(&e->lock);
    e->stats.running--;
    e->stats.preempted++;
    queue_append(e, g);
    pthread_mutex_unlock(&e->lock);
}

/* ---- pages ---- */

static bool yields_to(const fh_gen *a, const fh_gen *b)
{
    bool idle_a = atomic_load(&a->paused), idle_b = atomic_load(&b->paused);
    return idle_a != idle_b ? idle_a : queue_before(b, a);
}

static slot *last_place(fh_engine *e)
{
    slot *last = NULL;
    for (size_t i = 0; i < e->info.parallel; i++) {
        slot *s = &e->slots[i];
        if (s->gen && s->kv.count > 0 && (!last || yields_to(s->gen, last->gen))) last = s;
    }
    return last;
}

bool place_grow(fh_engine *e, slot *s, size_t tok)
{
    while (s->gen && !fh_prefix_grow(e->prefix, &s->kv, tok)) {
        slot *last = last_place(e);
        preempt(e, last && yields_to(last->gen, s->gen) ? last : s);
    }
    return s->gen != NULL;
}

static size_t pages_wanted(const fh_gen *g)
{
    return fh_kv_pages_of(FH_MIN(g->tokens.count + 1, (size_t)g->engine->info.context_tok));
}

/* Pages that nobody uses and nobody in the batch will need for what it has to compute. */
static size_t pages_to_spare(const fh_engine *e)
{
    size_t spare = e->model.kv.page_count - e->model.kv.used_count;
    for (size_t i = 0; i < e->info.parallel; i++) {
        const slot *s = &e->slots[i];
        size_t wanted = s->gen ? pages_wanted(s->gen) : 0;
        spare -= FH_MIN(spare, wanted > s->kv.count ? wanted - s->kv.count : 0);
    }
    return spare;
}

/* ---- admission ---- */

static slot *free_slot(const fh_engine *e, bool *ret_alone)
{
    slot *found = NULL;
    *ret_alone = true;
    for (size_t i = e->info.parallel; i-- > 0;) {
        if (e->slots[i].gen)
            *ret_alone = false;
        else
            found = &e->slots[i];
    }
    return found;
}

/* Under the lock. */
static fh_gen *admissible(const fh_engine *e, slot **ret_slot)
{
    bool alone;
    slot *s = free_slot(e, &alone);
    fh_gen *g = s ? queue_first(e) : NULL;
    *ret_slot = s;
    return g && (alone || pages_wanted(g) <= pages_to_spare(e)) ? g : NULL;
}

/* Whose client does not read, the last by rank. */
static slot *idle_place(const fh_engine *e)
{
    slot *last = NULL;
    for (size_t i = 0; i < e->info.parallel; i++) {
        slot *s = &e->slots[i];
        if (s->gen && atomic_load(&s->gen->paused) && (!last || queue_before(last->gen, s->gen))) last = s;
    }
    return last;
}

bool place_wanted(const fh_engine *e)
{
    slot *s;
    return admissible(e, &s) || (queue_first(e) && idle_place(e));
}

static void seat(slot *s, fh_gen *g)
{
    s->gen = g;
    if (!g->admitted_ns) g->admitted_ns = fh_clock_mono_ns();
}

void place_admit(fh_engine *e)
{
    for (;;) {
        slot *s, *idle;
        pthread_mutex_lock(&e->lock);
        fh_gen *g = admissible(e, &s);
        idle = !g && queue_first(e) ? idle_place(e) : NULL;
        if (g) queue_take(e, g);
        if (g) e->stats.running++;
        pthread_mutex_unlock(&e->lock);
        if (!g && !idle) return;
        g ? seat(s, g) : preempt(e, idle);
    }
}
