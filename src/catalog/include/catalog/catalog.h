/* The catalogue: which models exist, who made them, under what terms, what they need, how near the frontier they were measured; and which
 * machines exist.
 *
 * The data are files in data/catalog, checked by tests/catalog and compiled into the binary, so that no path is needed at run time. An
 * update, and entries of the user's own, come beside them or in their place (catalog/files.h): then there is another whole catalogue, and
 * the one before stays as it was. Everything returned is constant and lives for ever; threads: any. Two calls may see two catalogues:
 * whoever goes through all of it takes fh_catalog_now once. Strings are never NULL unless said ("" when the data say
 * nothing); numbers are 0 when unknown. */
#ifndef FH_CATALOG_CATALOG_H
#define FH_CATALOG_CATALOG_H

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

typedef enum fh_licence { FH_LICENCE_FREE, FH_LICENCE_ASK, FH_LICENCE_RESTRICTED } fh_licence;
const char *fh_licence_name(fh_licence l); /* "free", "ask", "restricted": the one word on a card */

typedef struct fh_catalog_variant { /* one set of weights of a model */
    const char *name;               /* "native", "nvfp4", "q4_1"; unique in its model */
    const char *format;             /* "MXFP4", "GGUF Q4_1" */
    const char *repo;               /* where it is published, "" if nowhere known */
    uint64_t bytes;                 /* 0: unknown */
    bool bytes_exact;
    bool gguf;          /* a file that freehold's own engine could open, if it knows the family */
    const char *sha256; /* of the file, lower-case hex; "" unless we know it */
    const char *file;   /* name of the file as published; "" unless we know it */
    const char *source; /* how to get it or where the size was read */
} fh_catalog_variant;

/* One way to run a model: an engine with what must be pinned together with it. Lists end with NULL. */
typedef struct fh_catalog_run {
    const char *engine;                     /* a row of catalog/engines.h */
    const char *variant;                    /* the only one that it is known for; "": any of a format that the engine takes */
    const char *least;                      /* the first version of the engine that knows the model; "": not recorded */
    const char *image, *package, *revision; /* a container's image, a package, the commit of the weights; "": not recorded */
    const char *const *arguments;           /* the model's own, wherever it runs: parsers of tools and reasoning */
    const char *const *host_arguments;      /* beside those, on `devices` of `device` */
    const char *const *environment;
    unsigned devices;   /* 0: any number */
    const char *device; /* a machine's id; "": any */
    const char *state;  /* "tested": by our tests; "documented": by the engine; "expected": a source says so, nobody confirmed it */
    const char *source, *notes;
} fh_catalog_run;

typedef struct fh_catalog_score { /* percent of the frontier: valid for `variant` alone, other variants are not measured */
    const char *benchmark, *harness, *date, *source;
    const char *best_model, *best_date; /* the best closed model at that time */
    double score, best_score, percent;
    const char *variant;
} fh_catalog_score;

/* What a group of layers keeps of the tokens that it saw. A row is what one layer keeps of one token: heads x (key + value) elements of the
 * cache's width, or row_bytes whatever that width. Rules: "Memory rules" of docs/PLANNING.md. */
typedef enum fh_cache_kind {
    FH_CACHE_GQA,        /* a row a token */
    FH_CACHE_WINDOW,     /* a row for each of the last `window` tokens */
    FH_CACHE_MLA,        /* a row a token; one latent for all heads, so that each tensor-parallel rank keeps all of it */
    FH_CACHE_INDEX,      /* a key a token by which a sparse attention chooses; each rank keeps all of it */
    FH_CACHE_COMPRESSED, /* a row for `ratio` tokens; each rank keeps all of it */
    FH_CACHE_STATE, /* a matrix of key x value floats a head and sequence, and 3 columns of `conv` channels in 16 bits: KDA, DeltaNet */
} fh_cache_kind;
const char *fh_cache_kind_name(fh_cache_kind k); /* "gqa", as in the data */

typedef struct fh_catalog_cache {
    fh_cache_kind kind;
    uint32_t layers, heads, key, value;
    uint32_t window, ratio, conv;
    uint32_t row_bytes;      /* of a row, whatever the width; 0: by its elements */
    uint32_t row_bytes_8bit; /* of a row in an 8-bit cache, with its scales; 0: a byte an element */
} fh_catalog_cache;

typedef struct fh_catalog_model {
    const char *id, *name, *maker, *repo, *released;
    const char *from;           /* the file of the user's own entries that it stands in; "": ours */
    const char *const *aliases; /* NULL-terminated */
    const char *tier;           /* "top10", "contender", "superseded", "small"; "own": the user's */
    unsigned rank;              /* 1 is best; 0: not ranked */
    bool starter;               /* the one of "Try now, free, on this machine" */
    bool runs_here;             /* freehold's own engine knows its family */
    const char *licence;        /* the name of the text */
    fh_licence licence_class;
    const char *licence_summary;
    /* What it allows: "yes", "conditions" (see the summary), "no", "unknown" (the text was not read). Use for money; change and pass on;
     * sell what was changed; serve to others for money. */
    const char *allows_use, *allows_change, *allows_sell, *allows_serve;
    double params_total_b, params_active_b; /* thousands of millions; 0: unknown */
    const char *attention, *architecture, *modalities;
    unsigned layers, heads;         /* heads: of queries; 0: unknown */
    int64_t context_tok;            /* 0: unknown */
    uint64_t kv_bytes_per_tok;      /* with 16-bit elements, per sequence; 0: unknown */
    uint64_t kv_fixed_bytes;        /* once per sequence, whatever its length */
    const char *kv_rule;            /* how the two were reckoned */
    const fh_catalog_cache *caches; /* the same by groups of layers; none: unknown */
    size_t cache_count;
    const char *hardware; /* hosts that its makers name, "; " between them */
    const char *notes;
    const fh_catalog_variant *variants; /* the first is the one to run by default */
    size_t variant_count;
    const fh_catalog_run *runs; /* the best known first, of each engine */
    size_t run_count;
    const fh_catalog_score *scores; /* the first is the one to show */
    size_t score_count;
} fh_catalog_model;

typedef struct fh_catalog_machine {
    const char *id, *name, *vendor, *kind; /* kind: "gpu", "cpu", "apu", "superchip", "node", "workstation", "memory" */
    const char *const *sold_as;            /* NULL-terminated: its names in price lists, beside its maker's and whatever the spelling */
    double memory_gb, memory_usable_gb, memory_bandwidth_gbs, bf16_tflops, fp8_tflops, fp4_tflops, int8_tops, tdp_w;
    const char *memory_type, *interconnect, *notes;
    const char *from; /* as a model's */
} fh_catalog_machine;

typedef struct fh_catalog { /* all that there is at one time */
    const char *version;    /* "2026-11-29", "2026-11-29.2": of our entries */
    bool updated;           /* they are those of an update, not the program's */
    /* The top ten first, in their order; then the other ranked ones, then the starter and small models, then the rest; last the user's. */
    const fh_catalog_model *const *models;
    size_t model_count;
    const fh_catalog_machine *const *machines;
    size_t machine_count;
} fh_catalog;
const fh_catalog *fh_catalog_now(void);

/* By id or alias, ASCII case folded. NULL when there is none. */
const fh_catalog_model *fh_catalog_find(fh_str id_or_alias);
/* As find; FH_E_NOT_FOUND with the nearest names as hint. */
int fh_catalog_get(fh_str id_or_alias, const fh_catalog_model **ret, fh_err **err);
/* At most max ids nearest to what was typed, best first; returns how many. */
size_t fh_catalog_nearest(fh_str typed, const char **ret, size_t max);
const fh_catalog_model *fh_catalog_starter(void);
/* Which model and variant a file is, by its SHA-256; NULL when unknown. ret_variant may be NULL. */
const fh_catalog_model *fh_catalog_by_sha256(const char *sha256, const fh_catalog_variant **ret_variant);
/* NULL or "" gives the first variant; NULL when the model has none of that name. */
const fh_catalog_variant *fh_catalog_variant_find(const fh_catalog_model *m, const char *name);
/* How the engine runs that variant of the model ("" or NULL: any): the first that is known. NULL: not recorded; m may be NULL. */
const fh_catalog_run *fh_catalog_run_find(const fh_catalog_model *m, const char *engine, const char *variant);
/* Parts of an entry as the API shows them; what is unknown is null. Owned; NULL when memory is out. */
fh_json *fh_catalog_licence_json(const fh_catalog_model *m);
fh_json *fh_catalog_variants_json(const fh_catalog_model *m);
fh_json *fh_catalog_runs_json(const fh_catalog_model *m);
fh_json *fh_catalog_score_json(const fh_catalog_score *s);
fh_json *fh_catalog_scores_json(const fh_catalog_model *m);

const fh_catalog_machine *fh_catalog_machine_find(fh_str id);
/* As a price list names it, case, blanks, dashes and the maker's name aside. memory_gb: as the list says, 0 when it does not; of several
 * devices of that name the one with that memory, else the one with the least. NULL: none, or none within a sixth of that memory. */
const fh_catalog_machine *fh_catalog_machine_sold(fh_str name, double memory_gb);

#endif
