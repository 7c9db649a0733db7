/* Weights that you own: a content-addressed store of model files under DATA/weights.
 *
 *   DATA/weights/<sha256>/<file>.gguf      the file, read-only, as it came; or the files of a folder of safetensors
 *   DATA/weights/<sha256>/weights.json     what it is: id, variant, bytes, when and whence it came
 *   DATA/weights/.tmp-*                    an import that has not ended; swept by the next open
 *   DATA/packed/<sha256>                   what our engine packed of these weights, for its next start; goes with them, as does
 *   DATA/pages/<sha256>                    what it computed of prompts, for later requests
 *
 * The folders are the one truth; there is no index beside them. A folder appears by rename once everything in it is on the disk, so that
 * kill -9 at any instant leaves either nothing or all of it. The caller holds the data folder's lock (fh_dir_lock). A split model's digest
 * is that of the list of its parts' digests; a folder's, of the list of its files' digests and names. Threads: any; imports and removals
 * one at a time. */
#ifndef FH_WEIGHTS_WEIGHTS_H
#define FH_WEIGHTS_WEIGHTS_H

#include "base/err.h"
#include "base/mem.h"
#include "json/json.h"

typedef struct fh_weights fh_weights;

typedef enum fh_weights_kept {
    FH_WEIGHTS_PACKED,
    FH_WEIGHTS_PAGES,
    FH_WEIGHTS_KEPT
} fh_weights_kept; /* what our engine keeps beside them */

typedef struct fh_weights_item {
    char digest[65];   /* SHA-256, lower-case hex; the folder's name */
    char id[128];      /* catalog id when the digest is known there, else made from the file's name */
    char variant[64];  /* of the catalog; "" when unknown there */
    char format[16];   /* "gguf": a file, or "safetensors": a folder */
    char path[1024];   /* the file to open (the first of a split), or the folder */
    char folder[1024]; /* what an engine must be able to read */
    uint64_t bytes;
    unsigned files;
    int64_t imported_utc_ns;
    bool in_catalog;
    /* Memory rule, from the file's own metadata (16-bit elements); 0 when the family is not known. */
    uint64_t kv_bytes_per_tok;
    int64_t context_tok;
    uint64_t memory_bytes; /* that our own engine takes for them at most: some types grow when they are packed; 0: not known */
    char architecture[64];
} fh_weights_item;

/* Opens (and makes) DATA/weights; sweep: removes what unfinished imports left, which needs the lock. */
int fh_weights_open(fh_weights **ret, const char *data_dir, bool sweep, fh_err **err);
void fh_weights_close(fh_weights *w);
FH_DEFINE_AUTO(fh_weights, fh_weights_close);

/* Called now and then; false cancels. */
typedef bool fh_weights_progress(void *arg, uint64_t done, uint64_t total);

/* What is to be imported, opened once: what was looked at is what is copied, whatever becomes of its name. folder NULL: any path; else path
 * must lie below it, and no link leads out of it (nor for the later parts of a split). A folder is one of a model: config.json, safetensors
 * and a tokenizer; no link leads out of it. FH_E_NOT_FOUND when it does not lie there, FH_E_INVALID when it is neither file nor folder. */
typedef struct fh_weights_source fh_weights_source;
int fh_weights_source_open(fh_weights_source **ret, const char *folder, const char *path, fh_err **err);
int fh_weights_source_fd(const fh_weights_source *s); /* borrowed */
bool fh_weights_source_is_folder(const fh_weights_source *s);
void fh_weights_source_close(fh_weights_source *s);
FH_DEFINE_AUTO(fh_weights_source, fh_weights_source_close);

/* Copies a GGUF or the files of a folder in, hashing while it copies, and checks that it is one. Already there: returns that item. id: a
 * name of the caller's choice for a file that the catalog does not know; NULL or "" makes one from the file's name. */
int fh_weights_import(fh_weights *w, const fh_weights_source *from, const char *id, fh_weights_progress *progress, void *arg,
                      fh_weights_item *ret, fh_err **err);
/* Newest first. An owned array (fh_free). Folders that cannot be read are left out; ret_broken (may be NULL) counts them. */
int fh_weights_list(fh_weights *w, fh_weights_item **ret, size_t *ret_count, size_t *ret_broken, fh_err **err);
/* What is kept beside them now: looks at each file, of which pages may have thousands. */
uint64_t fh_weights_kept_bytes(const fh_weights *w, fh_weights_kept what, const char *digest);
/* By id, catalog alias, "id:variant", or a digest of which at least 8 digits are given. FH_E_NOT_FOUND with what to do as hint. */
int fh_weights_find(fh_weights *w, const char *name, fh_weights_item *ret, fh_err **err);
/* Reads all of it again; FH_E_CORRUPT when a byte differs. */
int fh_weights_verify(fh_weights *w, const char *digest, fh_weights_progress *progress, void *arg, fh_err **err);
int fh_weights_remove(fh_weights *w, const char *digest, fh_err **err);

/* Where an engine may keep that. Nobody needs it: it may be removed at any time. */
int fh_weights_kept_folder(const char *data_dir, fh_weights_kept what, const char *digest, char *out, size_t out_size, fh_err **err);

#endif
