/* A file of entries that was read, and the names that entries have. */
#ifndef FH_CATALOG_SETS_H
#define FH_CATALOG_SETS_H

#include "base/arena.h"
#include "base/map.h"
#include "catalog/files.h"

struct fh_catalog_file {
    fh_arena *arena; /* owned; all below lies in it */
    fh_catalog_file_kind kind;
    const char *name, *version;
    fh_catalog_model *models;
    size_t model_count;
    fh_catalog_machine *machines;
    size_t machine_count;
    uint64_t digest; /* of its text: whether it is another */
};

/* Adds the names of the file's entries. FH_E_EXISTS: one is there already. names may be NULL: memory is out. */
int fh_catalog_names_add(fh_map *names, const fh_catalog_file *f, fh_err **err);

#endif
