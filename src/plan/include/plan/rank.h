/* Where a model can run, best first: one model and many offers in, ranked plans out, with why each other was refused.
 *
 * Pure and deterministic: the same numbers give the same plans. Offers share hosts (a kind of machine with its devices), and what follows
 * from a host is reckoned once, so that an offer costs a few comparisons. Money: nano-units of one currency. Threads: any. Formulas and
 * their sources: docs/PLANNING.md. */
#ifndef FH_PLAN_RANK_H
#define FH_PLAN_RANK_H

#include "plan/plan.h"

/* What a host's engines open. */
enum {
    FH_PLAN_GGUF = 1,    /* llama.cpp: devices hold ranges of layers and work one after another */
    FH_PLAN_TENSORS = 2, /* vLLM, SGLang: devices of a machine share each layer, machines hold ranges of layers */
    FH_PLAN_OURS = 4,    /* freehold's own engine: GGUF of the families that it knows */
    FH_PLAN_NVFP4 = 8,   /* beside FH_PLAN_TENSORS: also weights in NVIDIA's own 4-bit format, which other makers' devices do not read */
};

typedef struct fh_plan_host {               /* a kind of machine, or of several that work as one */
    const char *name;                       /* borrowed */
    uint32_t devices;                       /* in a machine; a computer without accelerators is one device */
    uint32_t machines;                      /* 0 = 1 */
    uint32_t opens;                         /* FH_PLAN_GGUF... */
    bool cpu;                               /* no accelerator: all memory may be used, and watts are the whole machine's */
    uint64_t memory_bytes;                  /* of a device */
    uint64_t bandwidth_bytes;               /* of a device, a second; 0: unknown, and so are its speed and energy */
    uint64_t ops_16bit, ops_8bit, ops_4bit; /* of a device, multiplications and additions a second, dense; 0: it has none of that width */
    uint64_t load_bytes;                    /* from disk into the devices, a second; 0: 1 GB */
    uint32_t watts;                         /* rated, of a device; 0: unknown */
    uint64_t prefill_ops;                   /* that prompts were measured to be computed with, of all of it; 0: reckoned from the others */
    uint32_t cache_per_mille;               /* the same of reading the cache; 0: as speed_per_mille */
    uint32_t speed_per_mille; /* measured over predicted decoding of this engine, device and family; 0 = 1000, nothing measured */
} fh_plan_host;

#define FH_PLAN_HOSTED UINT32_MAX

typedef struct fh_plan_offer {
    uint32_t host;             /* index into hosts; FH_PLAN_HOSTED: an endpoint of somebody else's, priced by the token */
    uint32_t start_s;          /* until the machine answers with its image */
    uint32_t fetch_mb_s;       /* at which weights come there, in 1,000,000 bytes; 0: they are there */
    uint16_t region;           /* index into regions + 1; 0: unknown */
    bool spot : 1;             /* may be taken away */
    bool barred : 1;           /* whoever has it is not to read what is asked there */
    uint8_t failing_percent;   /* of requests are expected to fail there, and are paid for; below 100 */
    int64_t hour_nusd;         /* of all its machines together; 0: free */
    int64_t in_nusd, out_nusd; /* a million tokens; of a host besides the hour */
} fh_plan_offer;

typedef struct fh_plan_region { /* litres a kWh are millilitres a Wh; sources: the factors' own rows */
    uint32_t pue_milli;         /* power usage effectiveness, thousandths */
    uint32_t wue_ml_kwh;        /* water on the site, per kWh of IT energy */
    uint32_t grid_ml_kwh;       /* water of the electricity, per kWh from the grid */
} fh_plan_region;

typedef struct fh_plan_market { /* all borrowed for the call */
    const fh_plan_host *hosts;
    const fh_plan_offer *offers;
    const fh_plan_region *regions;
    size_t host_count, offer_count, region_count;
} fh_plan_market;

typedef enum fh_plan_prefer { FH_PLAN_PRICE, FH_PLAN_SPEED, FH_PLAN_ENERGY, FH_PLAN_START } fh_plan_prefer;

typedef struct fh_plan_wishes { /* all zero: anything, the cheapest first */
    bool kv_said;               /* the cache is to be kept as kv; else as the engine of each place does by itself */
    fh_plan_kv kv;
    const char *variant;             /* NULL: the first of the model's that fits */
    int64_t context_tok, streams;    /* 0: as fh_plan_need_of */
    uint32_t prompt_tok, answer_tok; /* of a usual request; 0: 1000 and 500 */
    int64_t load_tok_s;              /* answered tokens that are wanted a second, over all; 0: all streams are always busy */
    int64_t max_hour_nusd;           /* 0: no limit; of a hosted endpoint what the load costs in an hour */
    bool licence_bound;              /* only models whose licence is at most as strict as this: */
    fh_licence licence;
    uint16_t region;           /* as in offers; 0: any */
    bool lasting;              /* only offers that are not taken away */
    uint32_t max_ready_s;      /* 0: no limit */
    uint32_t min_decode_tok_s; /* of a stream; 0: no limit */
    fh_plan_prefer prefer;
} fh_plan_wishes;

typedef struct fh_plan {
    uint32_t offer;                    /* index into offers */
    const fh_catalog_variant *variant; /* NULL: hosted, whose variant nobody here knows */
    bool scored;                       /* the model's score was measured on this variant */
    fh_plan_kv kv;
    uint32_t ranks, machines;  /* devices that share a layer; machines that share the layers */
    fh_plan_need need;         /* over all devices */
    int64_t streams_max;       /* that fit at this context */
    int64_t prefill_tok_s;     /* 0: unknown */
    int64_t decode_millitok_s; /* thousandths of a token a second, of one stream among those asked for; 0: unknown */
    int64_t total_millitok_s;  /* the same over all streams, prompts included; 0: unknown */
    int64_t most_millitok_s;   /* the same over streams_max; 0: unknown */
    int64_t first_token_ms;    /* after the usual prompt; 0: unknown */
    int64_t ready_s;           /* image, weights, load */
    int64_t start_nusd;        /* what that time costs */
    int64_t hour_nusd;
    int64_t mtok_nusd;        /* a million answered tokens with their prompts, at the load, failures paid for; -1: unknown */
    int64_t mtok_uj, mtok_ul; /* the same in micro-joules and micro-litres, modelled; -1: unknown */
} fh_plan;

/* Why an offer is none, in the order in which it is asked. */
typedef enum fh_plan_reason {
    FH_PLAN_BY_LICENCE, /* wanted: the class asked for, had: the model's */
    FH_PLAN_BY_TRUST,   /* it is barred; numbers are 0 */
    FH_PLAN_BY_REGION,  /* numbers are 0 */
    FH_PLAN_BY_SPOT,    /* it may be taken away; numbers are 0 */
    FH_PLAN_BY_FORMAT,  /* no variant that its engines open; numbers are 0 */
    FH_PLAN_BY_SIZE,    /* those that they open have no known size */
    FH_PLAN_BY_MEMORY,  /* bytes */
    FH_PLAN_BY_SPEED,   /* thousandths of a token a second */
    FH_PLAN_BY_BUDGET,  /* nano-units an hour: wanted is the limit */
    FH_PLAN_BY_TIME,    /* seconds until ready: wanted is the limit */
    FH_PLAN_REASONS,
} fh_plan_reason;

typedef struct fh_plan_refused {
    size_t count;     /* offers that this was the first reason for */
    uint32_t nearest; /* the offer that lacks least; undefined when count is 0 */
    int64_t wanted, had;
    fh_plan_kv fits_as; /* by memory: with a cache of this type the model fits on the nearest; 16BIT: with none */
} fh_plan_refused;

typedef struct fh_plan_ranking {
    fh_plan *plans; /* the caller's, room for `max` */
    size_t max, count;
    size_t fit; /* offers that would do, ranked or not */
    bool has_rented, has_hosted;
    fh_plan rented,
        hosted; /* of those the machine with the least price an hour above 0, and the endpoint with the least a million tokens */
    fh_plan_refused refused[FH_PLAN_REASONS];
} fh_plan_ranking;

/* Sets all of ret but max and where plans are (best first; equals in the order of the offers). FH_E_INVALID: an offer names a host or
 * region that is not there, or a price is negative, or the load is beyond 10^12; FH_E_NOT_FOUND: the model has no such variant; FH_E_NOMEM.
 */
int fh_plan_rank(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_market *on, fh_plan_ranking *ret, fh_err **err);

/* The host of those with the least memory in all that would do, prices and places aside: what to look for. FH_E_NOT_FOUND: none would. */
int fh_plan_smallest_host(const fh_catalog_model *m, const fh_plan_wishes *w, const fh_plan_host *hosts, size_t count, size_t *ret_host,
                          fh_plan *ret, fh_err **err);

/* speed_per_mille of a computer without accelerators on which decoding was seen to read so many bytes of weights a second. */
double fh_plan_speed_per_mille(double decode_bytes, double bandwidth_bytes);

/* Answered tokens a second above which a machine at this price an hour is cheaper than an endpoint at that price a million; 0: never. */
int64_t fh_plan_break_even_tok_s(int64_t hour_nusd, int64_t mtok_nusd);

/* "renting wins above 1,555 tokens/s: NAME at 56.00 an hour against NAME at 10.00 a million; it makes up to 4,210"; "" unless there is a
 * machine and an endpoint that would do. */
void fh_plan_why_rent(const fh_plan_ranking *r, const char *rented, const char *hosted, char *out, size_t out_size);
/* "cheapest of 12 that would do: 29.00 an hour, 1.20 a million tokens", and what the next one would be. */
void fh_plan_why(const fh_plan_ranking *r, const fh_plan_wishes *w, char *out, size_t out_size);
/* "3 offers have too little memory: the nearest has 564 GB of the 869 GB needed"; "" when none was refused for this reason. */
void fh_plan_why_not(const fh_plan_ranking *r, fh_plan_reason why, char *out, size_t out_size);
const char *fh_plan_reason_name(fh_plan_reason why); /* "licence", "memory"...: stable, for programs */

#endif
