/* Pages on disk, so that another start of the same model finds what an earlier one computed.
 *
 *   FOLDER/<key>.page   a head, then the page's bytes; 0600, in a folder of 0700
 *
 * A key is a SHA-256 over what the bytes depend on (model, version, layout), the salt, and all tokens up to the page's end: who does not
 * know them finds nothing, and nobody learns them from it. A file has its name only once all of it is on the disk, and one whose head or
 * bytes are not what they should be is not used. Files go when they are PAGE_CACHE_MS old, the oldest first when they are more than
 * PAGE_CACHE_MIB together. Nothing is written while less than a tenth of the disk is free. Where it fails, the engine runs on without.
 *
 * Threads: one writes; all else is the batch thread's. */
#ifndef FH_ENGINE_SPILL_H
#define FH_ENGINE_SPILL_H

#include "kernel/kernel.h"
#include "model/vocab.h"

typedef struct fh_spill fh_spill;
typedef struct fh_spill_key {
    uint8_t bytes[32];
} fh_spill_key;

typedef struct fh_spill_options {
    const char *folder; /* made when it is not there; other models may share it */
    fh_str made_by;     /* what the bytes of a page depend on besides its tokens */
    size_t page_bytes;
    size_t most_waiting; /* pages that wait to be written, at most PAGE_CACHE_QUEUE */
} fh_spill_options;
int fh_spill_open(fh_spill **ret, const fh_spill_options *o, fh_err **err);
void fh_spill_close(fh_spill *s); /* what waits is written before */
FH_DEFINE_AUTO(fh_spill, fh_spill_close);

fh_spill_key fh_spill_root(const fh_spill *s, const char *salt);
fh_spill_key fh_spill_next(const fh_spill_key *before, const fh_token tokens[FH_KV_PAGE_TOK]);

bool fh_spill_has(const fh_spill *s, const fh_spill_key *key); /* there is a file, be it good or not */
/* Fills the page; false when there is none, or none that is whole and as young as it must be. */
bool fh_spill_read(fh_spill *s, const fh_spill_key *key, void *page);
/* The bytes are read until fh_spill_done says the number; false: too many wait. */
bool fh_spill_write(fh_spill *s, const fh_spill_key *key, const void *page, uint32_t number);
/* One that is not read any more; wait: until there is one. False: none, with wait none at all. */
bool fh_spill_done(fh_spill *s, bool wait, uint32_t *ret_number);

#endif
