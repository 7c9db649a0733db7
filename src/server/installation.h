/* Whose data this is: the installation and epoch of the server's database (rent/renter.h), which has a new epoch once it was copied to
 * another machine or folder, or put back from a backup. */
#ifndef FH_SERVER_INSTALLATION_H
#define FH_SERVER_INSTALLATION_H

#include "db/db.h"
#include "rent/renter.h"

#define FH_INSTALLATION_WITNESS "rent-acts" /* file in the data folder that counts acts of renting */

/* Any thread, with a connection of its own. */
int fh_installation_open(fh_db *db, const char *data_dir, fh_rent_identity *ret, fh_err **err);

enum { FH_INSTALLATION_SECRET_CHARS = 44 };
/* Text that nobody else can name, the same at each start: DATA/secret, 0600, made when it is not there. With the data folder's lock. */
int fh_installation_secret(const char *data_dir, char out[FH_INSTALLATION_SECRET_CHARS], fh_err **err);

#endif
