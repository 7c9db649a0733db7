/* Commands on the machine that a supply is reached by: this one, or another by ssh. They run beside the loop, several at once.
 *
 * A command is words, never a line: what ssh's other end parses is quoted here, so that no word can become anything else. Secrets go in by
 * `input`, which is a file without a name. ssh asks nothing: it logs in with a key, and takes the key of a machine that it sees for the
 * first time (kept in the folder), never a changed one. One connection to a machine serves its commands and stays for a minute after them.
 *
 * Threads: the loop's. Fails with FH_E_UNAVAILABLE (not reached, status), FH_E_TIMEOUT, FH_E_TOO_LARGE. */
#ifndef FH_SUPPLY_COMMAND_H
#define FH_SUPPLY_COMMAND_H

#include "base/err.h"
#include "base/limits.h"
#include "base/str.h"
#include "net/loop.h"

typedef struct supply_host supply_host;

typedef struct supply_host_config { /* borrowed for the call */
    const char *url;                /* "": this machine; ssh://[USER@]HOST[:PORT] */
    const char *key_file;           /* "": ssh finds one by itself */
    const char *folder;             /* for known hosts and connections; made when it is needed */
} supply_host_config;

/* FH_E_INVALID with param "url" or "key_file". */
int fh_supply_host_open(supply_host **ret, fh_loop *loop, const supply_host_config *c, fh_err **err);
void fh_supply_host_close(supply_host *h); /* ends what runs; nobody is told. NULL is fine */
bool fh_supply_host_is_remote(const supply_host *h);
const char *fh_supply_host_name(const supply_host *h); /* for people: "this machine", "user@host" */

typedef struct supply_result { /* borrowed for the call */
    int code;                  /* 0: it ended with status 0; else that of why */
    int status;                /* of the command; -1: none is known */
    bool unsure;               /* it may have run nevertheless, wholly or in part, and may run still */
    fh_str out;                /* what it printed */
    const char *words;         /* the last that it said on standard error, in one line for people */
    const fh_err *why;         /* NULL when code is 0 */
} supply_result;
/* May start other commands; does not close the host. */
typedef void supply_done_fn(void *arg, const supply_result *r);

typedef struct supply_command {
    const char *const *argv; /* argv[0] is found by PATH there */
    fh_str input;            /* for its standard input */
    const char *input_file;  /* or a file for that */
    const char *forward;     /* of a remote machine: a tunnel from there for as long as it runs, on a connection of its own; ssh's -R */
    int64_t timeout_ms;      /* 0: it may run for ever */
    supply_done_fn *done;
    void *arg;
} supply_command;

/* Everything of c is borrowed for the call. done comes later, once. FH_E_BUSY when FH_LIMIT_SUPPLY_COMMANDS run there. */
int fh_supply_run(supply_host *h, const supply_command *c, fh_err **err);

#endif
