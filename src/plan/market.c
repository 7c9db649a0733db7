/* A market that grows (plan/market.h). Strings that come again and again (places, instance types, regions) are kept once. */
#include "plan/market.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "estimate.h"
#include <string.h>

#define GIGA       1e9
#define TERA       1e12
#define TEXT_BYTES ((size_t)256 << 20)

struct fh_plan_book {
    fh_arena *text;
    fh_map *known;         /* strings, of text */
    fh_map *region_number; /* region -> its number, as a pointer */
    const fh_catalog *of;  /* whose devices have slots */
    uint32_t *slots;       /* the host of each device and count, 0: not yet, else its number from 1 */
    fh_plan_host *hosts;
    fh_plan_offer *offers;
    fh_plan_label *labels;
    fh_plan_region *regions;
    const char **region_names;
    size_t host_count, host_cap, offer_count, offer_cap, region_count, region_cap;
};

/* ---- hosts of the catalogue ---- */

bool fh_plan_host_can(const fh_catalog_machine *m)
{
    static const char *const kinds[] = {"gpu", "superchip", "apu", "workstation"};
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        if (strcmp(m->kind, kinds[i]) == 0) return m->memory_bandwidth_gbs > 0;
    return false;
}

bool fh_plan_host_joins(const fh_catalog_machine *m)
{
    return strcmp(m->kind, "gpu") == 0 || strcmp(m->kind, "superchip") == 0;
}

fh_plan_host fh_plan_host_of(const fh_catalog_machine *m, uint32_t devices, uint32_t machines)
{
    bool shared = strcmp(m->kind, "apu") == 0; /* memory of the computer's own, and no engine that shares layers */
    uint32_t own = strcmp(m->vendor, "NVIDIA") == 0 ? FH_PLAN_NVFP4 : 0;
    return (fh_plan_host){.name = m->name,
                          .devices = devices,
                          .machines = machines,
                          .opens = shared ? FH_PLAN_GGUF : FH_PLAN_GGUF | FH_PLAN_TENSORS | own,
                          .cpu = shared,
                          .memory_bytes = (uint64_t)((m->memory_usable_gb > 0 ? m->memory_usable_gb : m->memory_gb) * GIGA),
                          .bandwidth_bytes = (uint64_t)(m->memory_bandwidth_gbs * GIGA),
                          .ops_16bit = (uint64_t)(m->bf16_tflops * TERA),
                          .ops_8bit = (uint64_t)(m->fp8_tflops * TERA),
                          .ops_4bit = (uint64_t)(m->fp4_tflops * TERA),
                          .watts = (uint32_t)m->tdp_w};
}

/* ---- the lists ---- */

int fh_plan_book_new(fh_plan_book **ret, fh_err **err)
{
    FH_AUTO(fh_plan_book) fh_plan_book *b = fh_calloc(1, sizeof *b);
    if (!b) return fh_err_nomem(err);
    b->text = fh_arena_new(TEXT_BYTES);
    b->known = fh_map_new(NULL);
    b->region_number = fh_map_new(NULL);
    b->of = fh_catalog_now();
    b->slots = fh_calloc(b->of->machine_count * FH_PLAN_MOST * FH_PLAN_MOST, sizeof *b->slots);
    if (!b->text || !b->known || !b->region_number || !b->slots) return fh_err_nomem(err);
    *ret = fh_take(b);
    return 0;
}

void fh_plan_book_free(fh_plan_book *b)
{
    if (!b) return;
    fh_arena_free(b->text);
    fh_map_free(b->known);
    fh_map_free(b->region_number);
    fh_free(b->slots);
    fh_free(b->hosts);
    fh_free(b->offers);
    fh_free(b->labels);
    fh_free(b->regions);
    fh_free(b->region_names);
    fh_free(b);
}

/* The list with room for one more; NULL when memory is out, and then the list stays as it is. */
static void *grown(void *list, size_t count, size_t *cap, size_t bytes)
{
    if (count < *cap) return list;
    size_t more = FH_MAX(*cap * 2, (size_t)16);
    void *moved = fh_realloc_array(list, more, bytes);
    if (moved) *cap = more;
    return moved;
}

static bool room_for_offer(fh_plan_book *b)
{
    size_t cap = b->offer_cap;
    fh_plan_label *labels = grown(b->labels, b->offer_count, &cap, sizeof *labels);
    if (labels) b->labels = labels;
    fh_plan_offer *offers = labels ? grown(b->offers, b->offer_count, &b->offer_cap, sizeof *offers) : NULL;
    if (offers) b->offers = offers;
    return offers;
}

static bool room_for_region(fh_plan_book *b)
{
    size_t cap = b->region_cap;
    const char **names = grown(b->region_names, b->region_count, &cap, sizeof *names);
    if (names) b->region_names = names;
    fh_plan_region *regions = names ? grown(b->regions, b->region_count, &b->region_cap, sizeof *regions) : NULL;
    if (regions) b->regions = regions;
    return regions;
}

static const char *keep(fh_plan_book *b, fh_str s)
{
    if (!s.len) return "";
    const char *is = fh_map_find(b->known, s);
    if (is) return is;
    char *copy = fh_arena_strndup(b->text, s.ptr, s.len);
    return copy && fh_map_put(b->known, (fh_str){copy, s.len}, copy) ? copy : NULL;
}

/* ---- regions ---- */

uint16_t fh_plan_book_region(const fh_plan_book *b, fh_str name)
{
    return (uint16_t)(uintptr_t)fh_map_find(b->region_number, name);
}

/* What industry averages say stands for a place of which nothing is known. */
static int region_of(fh_plan_book *b, fh_str name, uint16_t *ret, fh_err **err)
{
    *ret = name.len ? fh_plan_book_region(b, name) : 0;
    if (*ret || !name.len) return 0;
    const char *kept = keep(b, name);
    if (b->region_count >= UINT16_MAX) return fh_err_set(err, FH_E_TOO_LARGE, "more than %d regions", UINT16_MAX);
    if (!kept || !room_for_region(b) || !fh_map_put(b->region_number, name, (void *)(uintptr_t)(b->region_count + 1)))
        return fh_err_nomem(err);
    b->regions[b->region_count] = estimate_anywhere;
    b->region_names[b->region_count++] = kept;
    *ret = (uint16_t)b->region_count;
    return 0;
}

int fh_plan_book_set_region(fh_plan_book *b, fh_str name, const fh_plan_region *r, fh_err **err)
{
    uint16_t number;
    int rc = region_of(b, name, &number, err);
    if (!rc && number) b->regions[number - 1] = *r;
    return rc;
}

const char *fh_plan_book_region_name(const fh_plan_book *b, uint16_t region)
{
    return region ? b->region_names[region - 1] : "";
}

/* ---- offers ---- */

static int add_host(fh_plan_book *b, const fh_plan_host *h, uint32_t *ret, fh_err **err)
{
    fh_plan_host *hosts = grown(b->hosts, b->host_count, &b->host_cap, sizeof *hosts);
    if (!hosts) return fh_err_nomem(err);
    b->hosts = hosts;
    hosts[b->host_count] = *h;
    *ret = (uint32_t)b->host_count++;
    return 0;
}

static int host_of(fh_plan_book *b, const fh_plan_listing *l, uint32_t *ret, fh_err **err)
{
    size_t kind = 0;
    uint32_t none = 0; /* for a device that the catalogue got since */
    while (kind < b->of->machine_count && b->of->machines[kind] != l->device) kind++;
    if (!fh_plan_host_can(l->device)) return fh_err_set(err, FH_E_INVALID, "machines are not made of %s", l->device->id);
    if (l->devices < 1 || l->devices > FH_PLAN_MOST || l->machines < 1 || l->machines > FH_PLAN_MOST)
        return fh_err_set(err, FH_E_INVALID, "%u machines of %u devices: 1 to %d of each can be planned for", l->machines, l->devices,
                          FH_PLAN_MOST);
    size_t at = (kind * FH_PLAN_MOST + l->devices - 1) * FH_PLAN_MOST + l->machines - 1;
    uint32_t *slot = kind < b->of->machine_count ? &b->slots[at] : &none;
    if (*slot == 0) {
        fh_plan_host h = fh_plan_host_of(l->device, l->devices, l->machines);
        int rc = add_host(b, &h, ret, err);
        if (rc) return rc;
        *slot = *ret + 1;
    }
    *ret = *slot - 1;
    return 0;
}

static int put(fh_plan_book *b, const fh_plan_offer *o, const fh_plan_label *l, fh_err **err)
{
    if (b->offer_count >= FH_LIMIT_PLAN_MARKET_OFFERS)
        return fh_err_set(err, FH_E_TOO_LARGE, "more than %d offers", FH_LIMIT_PLAN_MARKET_OFFERS);
    if (!room_for_offer(b)) return fh_err_nomem(err);
    b->offers[b->offer_count] = *o;
    b->labels[b->offer_count++] = *l;
    return 0;
}

static int add_on(fh_plan_book *b, uint32_t host, const fh_plan_listing *l, fh_err **err)
{
    if (l->hour_nusd < 0 || l->in_nusd < 0 || l->out_nusd < 0) return fh_err_set(err, FH_E_INVALID, "a price below 0");
    fh_plan_offer o = {.host = host,
                       .start_s = l->start_s,
                       .fetch_mb_s = l->fetch_mb_s,
                       .spot = l->spot,
                       .failing_percent = (uint8_t)FH_MIN(l->failing_percent, (uint8_t)99),
                       .hour_nusd = l->hour_nusd,
                       .in_nusd = l->in_nusd,
                       .out_nusd = l->out_nusd};
    fh_plan_label label = {keep(b, l->place), keep(b, l->name), keep(b, l->source), l->row,
                           l->judged,         l->standing,      l->trust,           keep(b, l->owner)};
    if (!label.place || !label.name || !label.source || !label.owner) return fh_err_nomem(err);
    int rc = region_of(b, l->region, &o.region, err);
    return rc ? rc : put(b, &o, &label, err);
}

int fh_plan_book_add(fh_plan_book *b, const fh_plan_listing *l, fh_err **err)
{
    uint32_t host = FH_PLAN_HOSTED;
    int rc = l->device ? host_of(b, l, &host, err) : 0;
    return rc ? rc : add_on(b, host, l, err);
}

int fh_plan_book_add_host(fh_plan_book *b, const fh_plan_host *h, const fh_plan_listing *l, fh_err **err)
{
    uint32_t host = 0;
    int rc = add_host(b, h, &host, err);
    return rc ? rc : add_on(b, host, l, err);
}

int fh_plan_book_add_all(fh_plan_book *b, const fh_plan_book *other, fh_err **err)
{
    uint32_t first = (uint32_t)b->host_count;
    int rc = 0;
    for (size_t i = 0; i < other->host_count && !rc; i++) rc = add_host(b, &other->hosts[i], &(uint32_t){0}, err);
    FH_AUTO(ptr) uint16_t *regions = fh_calloc(other->region_count + 1, sizeof *regions);
    if (!regions) return fh_err_nomem(err);
    for (size_t i = 0; i < other->region_count && !rc; i++) {
        fh_str name = fh_str_of(other->region_names[i]);
        if (!fh_plan_book_region(b, name)) rc = fh_plan_book_set_region(b, name, &other->regions[i], err);
        regions[i + 1] = fh_plan_book_region(b, name);
    }
    for (size_t i = 0; i < other->offer_count && !rc; i++) {
        fh_plan_offer o = other->offers[i];
        if (o.host != FH_PLAN_HOSTED) o.host += first;
        o.region = regions[o.region];
        rc = put(b, &o, &other->labels[i], err);
    }
    return rc;
}

void fh_plan_book_bar(fh_plan_book *b, const char *trust)
{
    for (size_t i = 0; i < b->offer_count; i++) {
        const fh_plan_label *l = &b->labels[i];
        b->offers[i].barred = !fh_trusts_hold(trust, &(fh_reader){.trust = l->trust, .place = l->place, .owner = l->owner});
    }
}

fh_plan_market fh_plan_book_market(const fh_plan_book *b)
{
    return (fh_plan_market){.hosts = b->hosts,
                            .offers = b->offers,
                            .regions = b->regions,
                            .host_count = b->host_count,
                            .offer_count = b->offer_count,
                            .region_count = b->region_count};
}

const fh_plan_label *fh_plan_book_label(const fh_plan_book *b, uint32_t offer)
{
    return &b->labels[offer];
}
