/* What a data folder adds to the program's own catalogue:
 *
 *   DATA/catalog.json         an update of our entries; used while it is newer than the program's
 *   DATA/catalog.before.json  the update before it, for whoever takes it back
 *   DATA/catalog.d/NAME.json  entries of the user's own
 *
 * Each is written whole or not at all, so that a crash leaves what was there or what is new. An update is what its operator gives: it bears
 * no signature yet. Used by the control plane, and by the command line on a data folder alone. Threads: one at a time. */
#ifndef FH_SERVER_CATALOG_FOLDER_H
#define FH_SERVER_CATALOG_FOLDER_H

#include "base/err.h"
#include "json/json.h"

/* At a start: all that is good is used; what is not is left out and said in the log. */
int fh_catalog_folder_open(const char *data_dir, fh_err **err);
/* Later: all or nothing. FH_E_INVALID, FH_E_EXISTS, FH_E_IO name the file, and then everything stays as it was. */
int fh_catalog_folder_reload(const char *data_dir, bool *ret_changed, fh_err **err);

/* What there is: the shape Catalog of GET /api/openapi.json. *ret is owned. */
int fh_catalog_folder_view(const char *data_dir, fh_json **ret, fh_err **err);
/* entries: {"models": [...], "machines": [...]}, borrowed. A file of that name is replaced. In use at once. FH_E_INVALID names the field.
 */
int fh_catalog_folder_add(const char *data_dir, fh_str name, const fh_json *entries, fh_err **err);
int fh_catalog_folder_remove(const char *data_dir, fh_str name, fh_err **err); /* FH_E_NOT_FOUND */
/* doc: {"version", "models", "machines"}. FH_E_CONFLICT: it is not newer than what is there. */
int fh_catalog_folder_update(const char *data_dir, const fh_json *doc, fh_err **err);
/* Back to the update before, else to the program's own. FH_E_NOT_FOUND: there is no update. */
int fh_catalog_folder_revert(const char *data_dir, fh_err **err);

#endif
