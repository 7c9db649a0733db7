/* What the pass over many offers says is what each offer alone says, put in order: drawn markets, all wishes, seeds printed. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "plan/rank.h"
#include <stdio.h>
#include <stdlib.h>

enum { HOSTS = 60, OFFERS = 400, KEPT = 9, SEEDS = 60 };

typedef struct drawn {
    fh_plan_host hosts[HOSTS];
    fh_plan_offer offers[OFFERS];
    fh_plan_region regions[2];
} drawn;

static uint64_t draw(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
    return draw(seed) % n;
}

/* One in so many is 0: not known, or none. */
static uint64_t some(uint64_t *seed, uint64_t one_in, uint64_t least, uint64_t most)
{
    return below(seed, one_in) ? least + below(seed, most - least + 1) : 0;
}

static fh_plan_host draw_host(uint64_t *seed)
{
    static const uint32_t opens[] = {FH_PLAN_GGUF, FH_PLAN_TENSORS, FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF, FH_PLAN_OURS, 0};
    uint64_t tera = UINT64_C(1000000000000);
    return (fh_plan_host){.name = "drawn",
                          .devices = (uint32_t)below(seed, 10),
                          .machines = (uint32_t)below(seed, 4),
                          .opens = opens[below(seed, FH_COUNT(opens))],
                          .cpu = below(seed, 5) == 0,
                          .memory_bytes = some(seed, 20, 1, 400) * UINT64_C(1000000000),
                          .bandwidth_bytes = some(seed, 8, 1, 8000) * UINT64_C(1000000000),
                          .ops_16bit = some(seed, 8, 1, 2000) * tera,
                          .ops_8bit = some(seed, 3, 1, 4000) * tera,
                          .ops_4bit = some(seed, 2, 1, 8000) * tera,
                          .load_bytes = some(seed, 2, 1000, 5000000000),
                          .watts = (uint32_t)some(seed, 5, 50, 1200),
                          .prefill_ops = some(seed, 2, 1, 900) * tera,
                          .cache_per_mille = (uint32_t)some(seed, 2, 100, 3000),
                          .speed_per_mille = (uint32_t)some(seed, 2, 100, 3000)};
}

static fh_plan_offer draw_offer(uint64_t *seed)
{
    bool hosted = below(seed, 12) == 0;
    int64_t coarse = (int64_t)below(seed, 6) * 1000000000; /* so that some are equal */
    return (fh_plan_offer){.host = hosted ? FH_PLAN_HOSTED : (uint32_t)below(seed, HOSTS),
                           .start_s = (uint32_t)some(seed, 3, 1, 900),
                           .fetch_mb_s = (uint32_t)some(seed, 3, 1, 2000),
                           .region = (uint16_t)below(seed, 3),
                           .spot = below(seed, 6) == 0,
                           .barred = below(seed, 9) == 0,
                           .failing_percent = (uint8_t)some(seed, 2, 1, 99),
                           .hour_nusd = hosted           ? 0
                                        : below(seed, 2) ? coarse
                                                         : (int64_t)below(seed, 100000000000),
                           .in_nusd = hosted || below(seed, 8) == 0 ? (int64_t)below(seed, 5000000000) : 0,
                           .out_nusd = hosted || below(seed, 8) == 0 ? (int64_t)below(seed, 9000000000) : 0};
}

static void fill(drawn *d, uint64_t *seed)
{
    d->regions[0] = (fh_plan_region){1100, 200, 3000};
    d->regions[1] = (fh_plan_region){1500, 0, 500};
    for (size_t i = 0; i < HOSTS; i++) d->hosts[i] = draw_host(seed);
    for (size_t i = 0; i < OFFERS; i++) d->offers[i] = draw_offer(seed);
}

static fh_plan_wishes draw_wishes(uint64_t *seed)
{
    return (fh_plan_wishes){.context_tok = (int64_t)some(seed, 4, 512, 131072),
                            .streams = (int64_t)some(seed, 4, 1, 64),
                            .prompt_tok = (uint32_t)some(seed, 2, 1, 4000),
                            .answer_tok = (uint32_t)some(seed, 2, 1, 2000),
                            .load_tok_s = (int64_t)some(seed, 2, 1, 5000),
                            .max_hour_nusd = (int64_t)some(seed, 2, 1, 90000000000),
                            .region = (uint16_t)(below(seed, 5) ? 0 : 1),
                            .lasting = below(seed, 2) == 0,
                            .max_ready_s = (uint32_t)some(seed, 2, 1, 3000),
                            .min_decode_tok_s = (uint32_t)(below(seed, 3) ? 0 : below(seed, 60)),
                            .prefer = (fh_plan_prefer)below(seed, 4)};
}

/* ---- the plain way ---- */

typedef struct alone { /* an offer, ranked with no other */
    fh_plan plan;
    uint32_t offer;
    bool fits;
    int64_t first, second;
} alone;

static int64_t expected(const fh_plan_offer *o, int64_t mtok)
{
    return mtok < 0 ? INT64_MAX : (int64_t)FH_MIN((__int128)mtok * 100 / (100 - o->failing_percent), (__int128)INT64_MAX);
}

static void set_figures(alone *a, const fh_plan_offer *o, fh_plan_prefer prefer)
{
    int64_t slow = -a->plan.decode_millitok_s, mtok = expected(o, a->plan.mtok_nusd);
    int64_t joules = a->plan.mtok_uj < 0 ? INT64_MAX : a->plan.mtok_uj;
    const int64_t first[] = {[FH_PLAN_PRICE] = mtok, [FH_PLAN_SPEED] = slow, [FH_PLAN_ENERGY] = joules, [FH_PLAN_START] = a->plan.ready_s};
    a->first = first[prefer];
    a->second = prefer == FH_PLAN_PRICE ? slow : mtok;
}

static int by_figures(const void *x, const void *y)
{
    const alone *a = x, *b = y;
    if (a->fits != b->fits) return a->fits ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    if (a->second != b->second) return a->second < b->second ? -1 : 1;
    return (a->offer > b->offer) - (a->offer < b->offer);
}

static void rank_alone(const fh_catalog_model *m, const fh_plan_wishes *w, const drawn *d, uint32_t i, alone *ret, fh_plan_ranking *sums)
{
    fh_plan_ranking r = {.plans = &ret->plan, .max = 1};
    fh_plan_market on = {
        .hosts = d->hosts, .offers = &d->offers[i], .regions = d->regions, .host_count = HOSTS, .offer_count = 1, .region_count = 2};
    assert_int_equal(fh_plan_rank(m, w, &on, &r, NULL), 0);
    ret->offer = i;
    ret->fits = r.fit == 1;
    ret->plan.offer = i;
    if (ret->fits) set_figures(ret, &d->offers[i], w->prefer);
    sums->fit += r.fit;
    for (int why = 0; why < FH_PLAN_REASONS; why++) sums->refused[why].count += r.refused[why].count;
}

static bool is_same(const fh_plan *a, const fh_plan *b)
{
    return a->offer == b->offer && a->variant == b->variant && a->decode_millitok_s == b->decode_millitok_s &&
           a->mtok_nusd == b->mtok_nusd && a->mtok_uj == b->mtok_uj && a->ready_s == b->ready_s && a->hour_nusd == b->hour_nusd &&
           a->start_nusd == b->start_nusd;
}

static void check(const fh_catalog_model *m, const fh_plan_wishes *w, const drawn *d, unsigned long seed)
{
    static alone all[OFFERS];
    fh_plan kept[KEPT];
    fh_plan_ranking r = {.plans = kept, .max = KEPT}, sums = {.plans = NULL};
    fh_plan_market on = {
        .hosts = d->hosts, .offers = d->offers, .regions = d->regions, .host_count = HOSTS, .offer_count = OFFERS, .region_count = 2};
    assert_int_equal(fh_plan_rank(m, w, &on, &r, NULL), 0);
    for (uint32_t i = 0; i < OFFERS; i++) rank_alone(m, w, d, i, &all[i], &sums);
    qsort(all, OFFERS, sizeof *all, by_figures);
    if (r.fit != sums.fit || r.count != FH_MIN(sums.fit, (size_t)KEPT)) fail_msg("seed %lu: %zu fit, alone %zu", seed, r.fit, sums.fit);
    for (size_t i = 0; i < r.count; i++)
        if (!is_same(&kept[i], &all[i].plan))
            fail_msg("seed %lu, prefer %d, %zu: offer %u, alone %u", seed, (int)w->prefer, i, kept[i].offer, all[i].offer);
    for (int why = 0; why < FH_PLAN_REASONS; why++) assert_int_equal(r.refused[why].count, sums.refused[why].count);
}

static void many_offers_are_ranked_as_each_alone_is(void **state)
{
    (void)state;
    static drawn d;
    static const char *const models[] = {"kimi-k3.1-pro", "smollm2-135m", "qwen3-8b"};
    for (unsigned long seed = 1; seed <= SEEDS; seed++) {
        uint64_t s = seed;
        fill(&d, &s);
        fh_plan_wishes w = draw_wishes(&s);
        check(fh_catalog_find(fh_str_of(models[seed % FH_COUNT(models)])), &w, &d, seed);
    }
    printf("# %d drawn markets of %d offers, seeds 1 to %d\n", SEEDS, OFFERS, SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(many_offers_are_ranked_as_each_alone_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
