/* Entries from files: the user's own beside ours, and an update in the place of ours.
 *
 * A file is {"version": ..., "models": [...], "machines": [...]}. What may stand in it says data/catalog/model.schema.json and
 * hardware.schema.json, which the program carries: those of the user need what is "required" there, an update says everything but what is
 * "optional". Both are read from outside and checked as such. Reading: any thread; publishing: one at a time. */
#ifndef FH_CATALOG_FILES_H
#define FH_CATALOG_FILES_H

#include "catalog/catalog.h"

typedef enum fh_catalog_file_kind {
    FH_CATALOG_OWN,    /* the user's: no rank, tier or starter; no version */
    FH_CATALOG_UPDATE, /* ours: all models and machines anew, with a version */
} fh_catalog_file_kind;

typedef struct fh_catalog_file fh_catalog_file;
/* name is what messages and entries call it; copied. FH_E_INVALID with the field as param ("models[2].licence.class"), and FH_E_TOO_LARGE.
 */
int fh_catalog_file_read(fh_str text, const char *name, fh_catalog_file_kind kind, fh_catalog_file **ret, fh_err **err);
void fh_catalog_file_free(fh_catalog_file *f); /* NULL is fine; not once it is published */
static inline void fh_auto_fh_catalog_file(fh_catalog_file **f)
{
    fh_catalog_file_free(*f);
}
const char *fh_catalog_file_name(const fh_catalog_file *f);
const char *fh_catalog_file_version(const fh_catalog_file *f); /* "" of the user's */
size_t fh_catalog_file_models(const fh_catalog_file *f);
size_t fh_catalog_file_machines(const fh_catalog_file *f);
const fh_catalog_model *fh_catalog_file_model(const fh_catalog_file *f, size_t i);
const fh_catalog_machine *fh_catalog_file_machine(const fh_catalog_file *f, size_t i);

/* FH_E_EXISTS: an id or alias of the file is that of another entry: of ours (update's, or NULL: the program's) or of the others. */
int fh_catalog_file_clashes(const fh_catalog_file *f, const fh_catalog_file *update, fh_catalog_file *const *others, size_t count,
                            fh_err **err);
/* From now on this is the catalogue: update (NULL: the program's own entries) and then those of the user. Takes the files when it succeeds:
 * they live for ever, as what was read of them may be held by anybody. What holds already is not published again, and its files are freed.
 * FH_E_EXISTS as above, FH_E_CONFLICT after FH_LIMIT_CATALOG_CHANGES changes; then all stays as it is. */
int fh_catalog_publish(fh_catalog_file *update, fh_catalog_file *const *own, size_t count, bool *ret_changed, fh_err **err);

const char *fh_catalog_program_version(void); /* of the entries that the program carries */
/* "2026-11-29.2" against another; below 0: a is older. */
int fh_catalog_version_compare(const char *a, const char *b);

#endif
