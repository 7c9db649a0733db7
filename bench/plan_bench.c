/* How long ranking takes: plan_bench [OFFERS [MODEL [HOSTS]]]. Offers over 4,000 hosts (or so many: as many as offers is a host each) at
 * drawn prices (a fixed seed), the best of several rounds; then the memory of the process. */
#include "base/clock.h"
#include "base/mem.h"
#include "plan/rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define KEPT   50
#define ROUNDS 7

static uint64_t draw(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void fill(fh_plan_host *hosts, size_t host_count, fh_plan_offer *offers, size_t count)
{
    static const uint32_t gb[] = {24, 48, 80, 96, 141, 180, 192, 268};
    uint64_t seed = 1;
    for (size_t i = 0; i < host_count; i++) {
        uint64_t r = draw(&seed);
        hosts[i] = (fh_plan_host){.name = "drawn",
                                  .devices = 1u << (r >> 8) % 4,
                                  .machines = 1 + (r >> 16) % 2,
                                  .opens = FH_PLAN_TENSORS | FH_PLAN_NVFP4 | FH_PLAN_GGUF,
                                  .memory_bytes = gb[r % 8] * UINT64_C(1000000000),
                                  .bandwidth_bytes = (r >> 24) % 7000000000000 + 900000000000,
                                  .ops_16bit = UINT64_C(989000000000000),
                                  .ops_8bit = UINT64_C(1979000000000000),
                                  .watts = 700};
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t r = draw(&seed);
        offers[i] = (fh_plan_offer){.host = (uint32_t)(r % host_count),
                                    .start_s = (r >> 16) % 900,
                                    .fetch_mb_s = (r >> 32) % 2000,
                                    .hour_nusd = (int64_t)(draw(&seed) % 100000000000)};
    }
}

static int64_t processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * FH_NS_PER_S + t.tv_nsec;
}

/* The best of the rounds, by the clock and of the processor: on a busy machine they differ. */
static void rank_ms(const fh_catalog_model *m, const fh_plan_market *on, const fh_plan_wishes *w, fh_plan_ranking *r, double ret[2])
{
    int64_t best[2] = {INT64_MAX, INT64_MAX};
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begin = fh_clock_mono_ns(), worked = processor_ns();
        if (fh_plan_rank(m, w, on, r, NULL)) abort();
        best[0] = FH_MIN(best[0], fh_clock_mono_ns() - begin);
        best[1] = FH_MIN(best[1], processor_ns() - worked);
    }
    for (int i = 0; i < 2; i++) ret[i] = (double)best[i] / 1e6;
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(argc > 2 ? argv[2] : "kimi-k3.1-pro"));
    size_t host_count = argc > 3 ? strtoull(argv[3], NULL, 10) : 4000;
    fh_plan_host *hosts = fh_calloc(host_count, sizeof(*hosts));
    fh_plan_offer *offers = fh_calloc(count, sizeof(*offers));
    static fh_plan plans[KEPT];
    if (!m || !hosts || !offers || !host_count) return 1;
    fill(hosts, host_count, offers, count);
    fh_plan_market on = {hosts, offers, NULL, host_count, count, 0};
    for (int prefer = FH_PLAN_PRICE; prefer <= FH_PLAN_START; prefer++) {
        static const char *const names[] = {"price", "speed", "energy", "start"};
        fh_plan_wishes w = {.context_tok = 131072, .prefer = (fh_plan_prefer)prefer, .max_hour_nusd = 90000000000};
        fh_plan_ranking r = {.plans = plans, .max = KEPT};
        double ms[2];
        rank_ms(m, &on, &w, &r, ms);
        printf("%-7s %zu offers, %zu hosts, %s: %.1f ms (%.1f of the processor), %zu fit, %zu kept\n", names[prefer], count, host_count,
               m->id, ms[0], ms[1], r.fit, r.count);
    }
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("memory  %.1f MB at most, the offers included\n", (double)use.ru_maxrss * 1024 / 1e6);
    fh_free(offers);
    fh_free(hosts);
    return 0;
}
