/* How ssh is called: the words of its command line. */
#ifndef FH_SUPPLY_SSH_H
#define FH_SUPPLY_SSH_H

#include "base/buf.h"
#include "supply/command.h"

enum { SUPPLY_SSH_WORDS = 48 };

typedef struct supply_ssh supply_ssh;

int fh_supply_ssh_new(supply_ssh **ret, const supply_host_config *c, fh_err **err); /* c->url is not empty */
void fh_supply_ssh_free(supply_ssh *s);
const char *fh_supply_ssh_name(const supply_ssh *s);
/* The words that run argv there, NULL-terminated; borrowed from s, forward (a tunnel that is opened with it; NULL: none) and line, which
 * holds the quoted command. */
int fh_supply_ssh_words(supply_ssh *s, const char *const *argv, const char *forward, fh_buf *line, const char *ret[SUPPLY_SSH_WORDS],
                        fh_err **err);

#endif
