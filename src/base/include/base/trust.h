/* Who may read what is sent: whoever has a machine in hand can read what runs on it.
 *
 * Each place is of a class, by how far from its user's hands it is. Who sends says how far that may be: a list of classes and of names,
 * with commas and no blanks between, as "own", "rented", "own,node/den-2" or "rented,provider/lab,owner/alice". A place may read when one
 * of them is its class or a farther one, or names it; what is the user's own may always. A request, a key and a deployment say such lists
 * (docs/KEYS.md), and what is under several is read by nobody whom one of them leaves out. Pure; threads: any. */
#ifndef FH_BASE_TRUST_H
#define FH_BASE_TRUST_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"

typedef enum fh_trust { FH_TRUST_OWN, FH_TRUST_RENTED, FH_TRUST_NAMED, FH_TRUST_ANY, FH_TRUSTS } fh_trust; /* each holds those before it */
const char *fh_trust_name(fh_trust t); /* "own", "rented", "named", "any" */
bool fh_trust_parse(fh_str name, fh_trust *ret);

typedef struct fh_reader { /* a place; texts are borrowed, NULL or "": there is none */
    fh_trust trust;
    const char *place; /* "here", "node/NAME", "provider/NAME" */
    const char *via;   /* "provider/NAME" that its machine was got of */
    const char *owner; /* NAME of whom it belongs to */
} fh_reader;

enum { FH_OWNER_CHARS = FH_LABEL_CHARS }; /* room for a name */

/* ret gets the list in its shortest form, each word once; touched only on success. FH_E_INVALID says which word is wrong. */
int fh_trusts_parse(fh_str text, char ret[FH_LIMIT_TRUST_BYTES], fh_err **err);
bool fh_trusts_hold(const char *list, const fh_reader *r); /* list: as fh_trusts_parse made it */

#endif
