/* What the verbs of a machine that is lent share: its folder, its process, and what its owner says. */
#ifndef FH_CLI_NODE_HERE_H
#define FH_CLI_NODE_HERE_H

#include "cli_private.h"
#include "node/owner.h"

int fh_node_folder(const fh_cli *c, char *out, size_t out_size, fh_err **err); /* --data, or where it is without */
int fh_node_flag_wrong(const char *flag, const fh_err *why, fh_err **err);     /* what is wrong with a flag is wrong usage */
/* --hours and the like; this process is bound to --max-threads. */
int fh_node_owner_read(const fh_cli *c, fh_node_owner *o, fh_err **err);
/* The process that holds the folder's lock is this one. */
int fh_node_pid_write(const char *folder, fh_err **err);
int fh_node_pid_read(const char *folder, int *ret_pid, fh_err **err);

#endif
