/* What the owner of a machine said at an earlier `freehold node join`, kept in its folder: settings.json, by the names of the flags. */
#ifndef FH_CLI_NODE_SETTINGS_H
#define FH_CLI_NODE_SETTINGS_H

#include "cli_private.h"

/* Flags that are kept and not given now count as if they were; those of --reset do not. *ret is owned, and what c has been given is
 * borrowed of it. FH_E_CORRUPT names the file; one that is not there says nothing. */
int fh_node_settings_read(fh_cli *c, const char *folder, fh_json **ret, fh_err **err);
/* Keeps what counts now, at once or not at all. The folder is locked by the caller. */
int fh_node_settings_write(const fh_cli *c, const char *folder, fh_err **err);

#endif
