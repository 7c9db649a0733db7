/* Offers against wishes. */
#include "rent/rental.h"

#include "base/mem.h"
#include <stdio.h>

bool fh_rent_offer_fits(const fh_rent_offer *o, const fh_rent_filter *f)
{
    if (f->device && strcmp(f->device, o->device) != 0) return false;
    if (f->gpus && f->gpus != o->gpus) return false;
    if (f->region && strcmp(f->region, o->region) != 0) return false;
    if (f->max_hour_micro && o->hour_micro > f->max_hour_micro) return false;
    uint64_t gpus = o->gpus * o->gpu_memory_bytes, ram = o->ram_bytes ? o->ram_bytes : gpus;
    if (f->gpu_bytes && (gpus < f->gpu_bytes || !o->device[0])) return false;
    if (ram < f->ram_bytes) return false;
    return f->spot || !o->spot;
}

void fh_rent_offer_kind(const fh_rent_offer *o, char out[FH_RENT_KIND_CHARS])
{
    snprintf(out, FH_RENT_KIND_CHARS, "%u x %.31s%s%.31s", o->gpus, o->device[0] ? o->device : o->gpu, o->region[0] ? " in " : "",
             o->region);
}

bool fh_rent_offer_is_better(const fh_rent_offer *a, const fh_rent_offer *b)
{
    if (a->hour_micro != b->hour_micro) return a->hour_micro < b->hour_micro;
    if (a->reliability_permille != b->reliability_permille) return a->reliability_permille > b->reliability_permille;
    return a->down_mbit_s > b->down_mbit_s;
}

/* In the background, so that the machine's own start goes on; what it runs cannot hold it up. */
char *fh_rent_onstart(const fh_rent_profile *p, int64_t limit_s, const char *run)
{
    if (!p->end_itself) return fh_strdup(run);
    return fh_asprintf("(sleep %lld; while :; do %s; sleep 60; done) >/dev/null 2>&1 &\n%s", (long long)limit_s, p->end_itself, run);
}
