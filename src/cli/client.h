/* Talking to a server, and working on a data folder without one. */
#ifndef FH_CLI_CLIENT_H
#define FH_CLI_CLIENT_H

#include "cli_private.h"
#include "weights/weights.h"

typedef struct fh_cli_client {
    char url[512];
    char authorization[256]; /* "Bearer KEY", "" without a key */
    const char *ca_file;     /* who may vouch for an https server; NULL: the system's list; borrowed from flags or environment */
} fh_cli_client;

#define FH_CLI_LISTEN "127.0.0.1:8470" /* where a server listens when nobody says otherwise */

const char *fh_cli_env(const char *name); /* of the environment; NULL when unset or empty */

/* Where the server is and which key to use: flags, then environment, then defaults. A key file that was named must be there. */
int fh_client_open(const fh_cli *c, fh_cli_client *ret, fh_err **err);
bool fh_client_is_private(const char *url); /* https, or this machine by name or address: the default key may go there */
bool fh_client_named(const fh_cli *c);      /* a server was named by flag or environment */
/* One request; body may be NULL. A reply beyond 299 is an error in the server's own words. ret may be NULL; *ret is owned, NULL without a
 * body. */
int fh_client_call(const fh_cli_client *s, const char *method, const char *path, const fh_json *body, fh_json **ret, fh_err **err);
int fh_client_get_text(const fh_cli_client *s, const char *path, fh_buf *ret, fh_err **err);
/* A stream of server-sent events; on_event returns false to end it. A reply that is no stream is an error. */
int fh_client_stream(const fh_cli_client *s, const char *method, const char *path, const fh_json *body,
                     bool (*on_event)(void *arg, fh_str event, fh_str data), void *arg, fh_err **err);
bool fh_client_path(char *out, size_t out_size, const char *before, const char *name, const char *after); /* name percent-encoded */

/* Data folder: --data, then FREEHOLD_DATA, then $XDG_DATA_HOME/freehold. */
int fh_cli_data_dir(const fh_cli *c, char *out, size_t out_size, fh_err **err);
typedef struct fh_cli_folder {
    int lock_fd;
    fh_weights *weights;
} fh_cli_folder;
int fh_cli_folder_open(const fh_cli *c, fh_cli_folder *ret, fh_err **err); /* takes the lock */
void fh_cli_folder_close(fh_cli_folder *f);
/* True when the verb should work on the folder: --data was given, or no server was named and none answers. */
int fh_cli_wants_folder(const fh_cli *c, bool *ret, fh_err **err);
extern const fh_cli_flag fh_cli_data_flags[]; /* --data alone */

/* Deployments as the server shows them. Now: without what is past, a new document. */
fh_json *fh_cli_deployments_now(const fh_json *reply);
const char *fh_cli_str_of(const fh_json *object, const char *name); /* "" when absent; borrowed */
int64_t fh_cli_since(const fh_json *object, const char *name);      /* nanoseconds since an RFC 3339 time; 0 when absent */

#endif
