/* The programs that serve models, as data: what each is started with, where it answers, what it can, what it may. Rows are files of
 * data/catalog/engines.json; the first is freehold's own engine, and nothing is started but by a row.
 *
 * Arguments and environment are templates: "{name}" stands for a typed value, "{{" and "}}" for a brace. What they become is handed to
 * exec as it is: no shell ever reads it. Everything returned is constant and lives for ever, but for what is said to be owned; pure;
 * threads: any. */
#ifndef FH_CATALOG_ENGINES_H
#define FH_CATALOG_ENGINES_H

#include "base/err.h"
#include "base/str.h"
#include <stdint.h>

typedef enum fh_engine_ask {                        /* how its version is asked for */
                             FH_ENGINE_ASK_NONE,    /* it is this very program */
                             FH_ENGINE_ASK_PROGRAM, /* the program itself, with version_arguments */
                             FH_ENGINE_ASK_PYTHON,  /* the interpreter that the program names in its first line, with version_arguments */
} fh_engine_ask;
typedef enum fh_engine_listens { FH_ENGINE_LISTENS_UNIX, FH_ENGINE_LISTENS_PORT } fh_engine_listens;
typedef enum fh_engine_says {                          /* what its health tells */
                              FH_ENGINE_SAYS_PROGRESS, /* status, bytes_done, bytes_total */
                              FH_ENGINE_SAYS_STATUS,   /* 200: ready; 503: it loads; before that nothing answers */
} fh_engine_says;
typedef enum fh_engine_resumes { FH_ENGINE_RESUMES_NEVER, FH_ENGINE_RESUMES_TEXT, FH_ENGINE_RESUMES_TOKENS } fh_engine_resumes;

typedef struct fh_catalog_engine {
    const char *id, *name, *licence, *notes;
    const char *program; /* "": this very program */
    fh_engine_ask ask;
    const char *const *version_arguments, *const *version_after; /* the number stands behind the first of these that is there */
    const char *version_least, *version_below, *version_tested;
    const char *const *formats;       /* "gguf": a file; "safetensors": a folder. These lists end with NULL */
    const char *const *architectures; /* of GGUF files that it computes; none: whatever they are */
    const char *const *arguments, *const *environment;
    const char *const *kv_types, *const
                                     *kv_arguments; /* what its cache can be kept as, and what it is told then; none: as it does itself */
    const char *const *rank_arguments, *const *rank_others; /* on several machines: of each rank, of all but the first; none: it cannot */
    fh_engine_listens listens;
    const char *health_path;
    fh_engine_says health_says;
    int64_t start_s; /* the longest that it may take until it answers */
    const char *metrics_path;
    const char *metric_running, *metric_waiting;  /* gauges */
    const char *metric_kv_used, *metric_kv_total; /* gauges; total "": used is a share of 1; both "": not told */
    const char *metric_generated, *metric_prompt; /* counters of tokens; "": not told */
    const char *const *can;                       /* names of the wire's needs, in small letters */
    const char *owned_by;                         /* what it says of itself in its list of models; "": nothing */
    fh_engine_resumes resumes;
    bool repeats_beginning, counts_at_tokenize; /* see fh_route */
    unsigned threads;                           /* threads and processes that it may have */
    bool processes, loopback;                   /* it starts processes; they speak over a loopback of their own */
    const char *const *tools;                   /* programs of the system that it calls, where they are there */
    uint64_t memory_bytes;                      /* beyond weights and cache: what its runtime takes */
    bool wide;                                  /* it keeps 16-bit weights and cache in 32 bits */
    uint64_t tmp_bytes;                         /* of /tmp */
} fh_catalog_engine;

size_t fh_catalog_engine_count(void);
const fh_catalog_engine *fh_catalog_engine_at(size_t i); /* 0: our own */
const fh_catalog_engine *fh_catalog_engine_find(fh_str id);
/* As find; "" is our own. FH_E_NOT_FOUND with all ids as hint. */
int fh_catalog_engine_get(fh_str id, const fh_catalog_engine **ret, fh_err **err);
bool fh_catalog_engine_takes(const fh_catalog_engine *e, const char *format);
/* architecture: as the weights say it; "": they do not. FH_E_UNSUPPORTED says what it computes, and which engine does. */
int fh_catalog_engine_computes(const fh_catalog_engine *e, const char *architecture, fh_err **err);
/* kv_type: what a cache is kept as; "": as the engine does by itself. FH_E_UNSUPPORTED says what it can, or which engine can. */
int fh_catalog_engine_keeps(const fh_catalog_engine *e, const char *kv_type, fh_err **err);
bool fh_catalog_engine_is_own(const fh_catalog_engine *e);
bool fh_catalog_engine_spreads(const fh_catalog_engine *e); /* it can run over several machines, a rank on each */

/* What templates may name. */
typedef struct fh_engine_values {
    const char *weights;      /* {weights}: the file, or the folder of several */
    const char *socket;       /* {socket} */
    const char *model;        /* {model} */
    const char *weight_cache; /* {weight_cache}: a folder of the weights' own, for what is made of them once */
    const char *page_cache;   /* {page_cache}: likewise, for what is computed of prompts */
    const char *kv_type;      /* {kv_type}: what the cache is kept as; NULL, "": as the engine does by itself, and it is told nothing */
    int64_t port;             /* {port} */
    int64_t context_tok;      /* {context_tok}: of one stream */
    int64_t streams;          /* {streams}; {all_context_tok}: of all streams together */
    uint64_t kv_bytes;        /* {kv_gib}: of the cache of all streams, in whole GiB, at least 1 */
    int64_t ranks, rank;      /* {ranks}, {rank}: over how many machines, and which of them from 0 on; ranks 0 or 1: one alone */
    const char *head;         /* {head}: address of the first one, as the others reach it; with {head_port} */
    int64_t head_port;
} fh_engine_values;

enum { FH_ENGINE_WORDS = 64 };
typedef struct fh_engine_words { /* NULL-terminated, as exec takes them */
    const char *list[FH_ENGINE_WORDS + 1];
    char *text; /* owned; the words lie in it */
} fh_engine_words;
void fh_engine_words_fini(fh_engine_words *w);
static inline void fh_auto_engine_words(fh_engine_words *w)
{
    fh_engine_words_fini(w);
}
/* FH_E_INVALID: a brace that nothing closes, a value that is not known, or one that would be read as an option. first: the word before
 * all, or NULL. more: words that follow as they are, as the catalogue's of a model; NULL: none. */
int fh_engine_words_make(const char *first, const char *const *templates, const char *const *more, const fh_engine_values *v,
                         fh_engine_words *ret, fh_err **err);

/* The command line of an engine: what its row says, what its cache is kept as, of a rank what that adds, then more. */
int fh_engine_words_start(const char *program, const fh_catalog_engine *e, const char *const *more, const fh_engine_values *v,
                          fh_engine_words *ret, fh_err **err);

/* said: what the program answered. least: the first version that knows the model, "" or NULL: any that the row takes. FH_E_UNSUPPORTED when
 * its version is another than wanted, and says both; ret_version (of 32 bytes) is filled in then too. */
int fh_engine_version_check(const fh_catalog_engine *e, const char *least, fh_str said, char ret_version[32], fh_err **err);

#endif
