/* Keys without a server: the way back in for whoever has lost them all. */
#ifndef FH_SERVER_KEYS_H
#define FH_SERVER_KEYS_H

#include "json/json.h"

/* Makes a key in the database of a data folder on which no server runs, under the folder's lock: FH_E_BUSY with what to do when one does,
 * FH_E_NOT_FOUND when there is no database, FH_E_FORBIDDEN when the folder is another user's. store_url NULL: sqlite:DATA/freehold.db.
 * *ret is owned: the shape NewKey, which holds the key's text. */
int fh_keys_create_offline(const char *data_dir, const char *store_url, const char *name, const char *scope, fh_json **ret, fh_err **err);

#endif
