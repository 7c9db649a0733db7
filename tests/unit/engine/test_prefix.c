/* Pages kept for later requests: what is found is what was kept, of the same salt; each page is accounted for; the oldest goes first. */
#include "cmocka_all.h"
#include "pages.h"

#include <string.h>

enum { ROW = 8, PAGES = 24, PAGE = FH_KV_PAGE_TOK };

typedef struct cache {
    fh_kv kv;
    fh_prefix *prefix;
    uint64_t seed;
} cache;

static void cache_open(cache *c, size_t pages, uint64_t seed)
{
    *c = (cache){.kv = {.type = FH_TYPE_F16, .layers = 2, .row_bytes = ROW, .page_count = pages}, .seed = seed};
    assert_int_equal(fh_kv_init(&c->kv, NULL), 0);
    assert_int_equal(fh_prefix_new(&c->prefix, &c->kv, NULL, NULL), 0);
}

static void cache_close(cache *c)
{
    fh_prefix_free(c->prefix);
    fh_kv_fini(&c->kv);
}

static uint32_t draw(cache *c, uint32_t below)
{
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(c->seed >> 33) % below;
}

/* What a row remembers: all that came before it. */
static uint64_t mark(uint64_t before, fh_token id)
{
    return (before ^ (uint64_t)id) * 0x9e3779b97f4a7c15u + 1;
}

static uint64_t mark_of_salt(const char *salt)
{
    uint64_t m = 7;
    for (; *salt; salt++) m = mark(m, *salt);
    return m;
}

static uint64_t *row(const cache *c, const fh_kv_seq *s, size_t layer, bool value, size_t tok)
{
    return (uint64_t *)(void *)(fh_kv_rows(&c->kv, layer, value, s->pages[tok / PAGE]) + tok % PAGE * ROW);
}

/* As a model does: rows from `done` on are written, those before read. */
static void compute(const cache *c, const fh_prefix_key *key, const fh_kv_seq *s, size_t done)
{
    uint64_t m = mark_of_salt(key->salt);
    for (size_t i = 0; i < key->count; i++) {
        m = mark(m, key->tokens[i]);
        for (size_t j = 0; j < 4; j++) {
            if (i >= done) {
                assert_false(c->kv.pages[s->pages[i / PAGE]].kept);
                assert_int_equal(c->kv.pages[s->pages[i / PAGE]].users, 1);
                *row(c, s, j / 2, j % 2, i) = m + j;
            }
            assert_true(*row(c, s, j / 2, j % 2, i) == m + j);
        }
    }
}

/* A whole life of a sequence of those tokens; how many were found. */
static size_t live(cache *c, const char *salt, const fh_token *tokens, size_t count)
{
    fh_kv_seq s;
    fh_prefix_key key = {salt, tokens, count, false};
    assert_int_equal(fh_kv_seq_init(&s, count, NULL), 0);
    size_t done = fh_prefix_match(c->prefix, &key, &s, 0);
    assert_true(fh_prefix_grow(c->prefix, &s, count));
    compute(c, &key, &s, done);
    fh_prefix_keep(c->prefix, &key, &s, true);
    fh_kv_seq_truncate(&s, &c->kv, 0);
    fh_kv_seq_fini(&s);
    assert_null(pages_wrong(&c->kv, c->prefix, NULL, 0));
    return done;
}

static void fill(fh_token *ids, size_t count, fh_token first)
{
    for (size_t i = 0; i < count; i++) ids[i] = first + (fh_token)i;
}

static void what_was_kept_is_found_to_the_token(void **state)
{
    (void)state;
    cache c;
    fh_token ids[3 * PAGE];
    cache_open(&c, PAGES, 1);
    fill(ids, 3 * PAGE, 0);
    assert_int_equal(live(&c, "a", ids, 2 * PAGE + 20), 0);
    assert_int_equal(live(&c, "a", ids, 2 * PAGE + 20), 2 * PAGE + 20);
    assert_int_equal(live(&c, "a", ids, PAGE + 30), PAGE + 30);
    assert_int_equal(live(&c, "a", ids, 3 * PAGE), 2 * PAGE + 20);
    ids[PAGE + 40] = 9999;
    assert_int_equal(live(&c, "a", ids, 3 * PAGE), PAGE + 40);
    ids[3] = 9999; /* fewer than are worth copying */
    assert_int_equal(live(&c, "a", ids, PAGE), 0);
    cache_close(&c);
}

static void salts_share_nothing(void **state)
{
    (void)state;
    cache c;
    fh_token ids[2 * PAGE];
    cache_open(&c, PAGES, 1);
    fill(ids, 2 * PAGE, 0);
    const char *salts[] = {"", "a", "b", "ab", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < FH_COUNT(salts); i++) assert_int_equal(live(&c, salts[i], ids, 2 * PAGE), 0);
    for (size_t i = 0; i < FH_COUNT(salts); i++) assert_int_equal(live(&c, salts[i], ids, 2 * PAGE), 2 * PAGE);
    cache_close(&c);
}

static void what_was_not_used_for_the_longest_goes_first(void **state)
{
    (void)state;
    cache c;
    fh_token ids[4][2 * PAGE];
    cache_open(&c, 6, 1);
    for (fh_token i = 0; i < 4; i++) fill(ids[i], 2 * PAGE, i * 1000);
    for (size_t i = 0; i < 3; i++) assert_int_equal(live(&c, "", ids[i], 2 * PAGE), 0);
    assert_int_equal(live(&c, "", ids[0], 2 * PAGE), 2 * PAGE);
    assert_int_equal(live(&c, "", ids[3], 2 * PAGE), 0); /* at the cost of 1 */
    assert_int_equal(live(&c, "", ids[0], 2 * PAGE), 2 * PAGE);
    assert_int_equal(live(&c, "", ids[2], 2 * PAGE), 2 * PAGE);
    assert_int_equal(live(&c, "", ids[1], 2 * PAGE), 0); /* at the cost of 3 */
    assert_int_equal(live(&c, "", ids[0], 2 * PAGE), 2 * PAGE);
    cache_close(&c);
}

static void pages_in_use_are_not_taken(void **state)
{
    (void)state;
    cache c;
    fh_kv_seq s, other;
    fh_token ids[4 * PAGE];
    cache_open(&c, 4, 1);
    fill(ids, 4 * PAGE, 0);
    fh_prefix_key key = {"", ids, 3 * PAGE, false};
    assert_int_equal(fh_kv_seq_init(&s, 4 * PAGE, NULL) | fh_kv_seq_init(&other, 4 * PAGE, NULL), 0);
    assert_true(fh_prefix_grow(c.prefix, &s, 3 * PAGE));
    compute(&c, &key, &s, 0);
    fh_prefix_keep(c.prefix, &key, &s, false);
    assert_true(fh_prefix_grow(c.prefix, &other, PAGE));
    assert_false(fh_prefix_grow(c.prefix, &other, 2 * PAGE));
    compute(&c, &key, &s, 3 * PAGE);
    fh_kv_seq_truncate(&s, &c.kv, PAGE); /* now two pages are only kept */
    assert_true(fh_prefix_grow(c.prefix, &other, 3 * PAGE));
    assert_false(fh_prefix_grow(c.prefix, &other, 4 * PAGE));
    const fh_kv_seq *tables[] = {&s, &other};
    assert_null(pages_wrong(&c.kv, c.prefix, tables, 2));
    fh_kv_seq_truncate(&s, &c.kv, 0);
    fh_kv_seq_truncate(&other, &c.kv, 0);
    fh_kv_seq_fini(&s);
    fh_kv_seq_fini(&other);
    cache_close(&c);
}

/* ---- many sequences at once, at random ---- */

enum { SEQS = 4, MOST = 5 * PAGE };

typedef struct life {
    fh_kv_seq seq;
    fh_token tokens[MOST];
    size_t count, done; /* done: computed */
    const char *salt;
} life;

/* Tokens of a small tree, so that beginnings meet. */
static void begin(cache *c, life *l)
{
    static const char *const salts[] = {"x", "y"};
    l->salt = salts[draw(c, 2)];
    l->count = 1 + draw(c, MOST - 1);
    fh_token branch = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (i % 48 == 0) branch = (fh_token)draw(c, 2);
        l->tokens[i] = branch * 500 + (fh_token)(i % 48);
    }
    fh_prefix_key key = {l->salt, l->tokens, l->count, false};
    l->done = fh_prefix_match(c->prefix, &key, &l->seq, 0);
}

static void go_on(cache *c, life *l)
{
    size_t to = l->done + 1 + draw(c, 100);
    fh_prefix_key key = {l->salt, l->tokens, FH_MIN(l->count, to), false};
    if (l->done % PAGE == 0) l->done = fh_prefix_match(c->prefix, &key, &l->seq, l->done);
    if (!fh_prefix_grow(c->prefix, &l->seq, key.count)) {
        fh_kv_seq_truncate(&l->seq, &c->kv, l->done);
        return;
    }
    compute(c, &key, &l->seq, l->done);
    l->done = key.count;
    fh_prefix_keep(c->prefix, &key, &l->seq, false);
}

static void end(cache *c, life *l)
{
    fh_prefix_key key = {l->salt, l->tokens, l->done, false};
    if (l->done && draw(c, 4)) fh_prefix_keep(c->prefix, &key, &l->seq, true);
    fh_kv_seq_truncate(&l->seq, &c->kv, 0);
    l->count = l->done = 0;
}

static void every_page_is_accounted_for(void **state)
{
    (void)state;
    static life lives[SEQS];
    const fh_kv_seq *tables[SEQS];
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        cache c;
        cache_open(&c, PAGES - 10 + seed, seed);
        for (size_t i = 0; i < SEQS; i++) {
            assert_int_equal(fh_kv_seq_init(&lives[i].seq, MOST, NULL), 0);
            tables[i] = &lives[i].seq;
        }
        for (size_t i = 0; i < (FH_SANITIZED ? 500 : 3000); i++) {
            life *l = &lives[draw(&c, SEQS)];
            if (l->count == 0) {
                begin(&c, l);
                found += l->done;
            } else if (draw(&c, 5))
                go_on(&c, l);
            else
                end(&c, l);
            const char *wrong = pages_wrong(&c.kv, c.prefix, tables, SEQS);
            if (wrong) fail_msg("seed %d, step %zu: %s", (int)seed, i, wrong);
        }
        for (size_t i = 0; i < SEQS; i++) {
            end(&c, &lives[i]);
            fh_kv_seq_fini(&lives[i].seq);
        }
        cache_close(&c);
    }
    assert_true(found > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_found_to_the_token),
        cmocka_unit_test(salts_share_nothing),
        cmocka_unit_test(what_was_not_used_for_the_longest_goes_first),
        cmocka_unit_test(pages_in_use_are_not_taken),
        cmocka_unit_test(every_page_is_accounted_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
