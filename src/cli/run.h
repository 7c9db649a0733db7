/* What the files behind freehold run share: getting a deployment ready, and asking it. */
#ifndef FH_CLI_RUN_H
#define FH_CLI_RUN_H

#include "client.h"

int fh_run_read_replicas(const fh_cli *c, int64_t *ret_min, int64_t *ret_max, fh_err **err); /* --replicas, 1 without it */
/* A ready deployment of what was asked for; starts one when there is none. Shows its states on a terminal while they pass. name gets its
 * name, or that of the set that it is a replica of. */
int fh_run_deploy(const fh_cli *c, const fh_cli_client *s, const char *model, char *name, size_t name_size, fh_err **err);

/* Of a place that rents: what it would cost is said on stderr, --yes or somebody agrees to it, and the limits go into body, which is that
 * of the deployment. Other places: nothing. FH_E_FORBIDDEN: nobody agreed. */
int fh_run_rent(const fh_cli *c, const fh_cli_client *s, fh_json *body, fh_err **err);

typedef struct fh_run_answer {
    fh_buf text;
    fh_json *usage; /* owned; NULL when none came */
    bool stopped;   /* by Ctrl-C */
} fh_run_answer;
void fh_run_answer_fini(fh_run_answer *a);
bool fh_run_is_hosted(const char *model); /* provider/NAME/MODEL: an endpoint that answers already, and is asked by that name */
/* Asks a deployment, or an endpoint, with the conversation so far; prints pieces as they come when print is set. Ctrl-C ends the answer,
 * not the program. */
int fh_run_ask(const fh_cli *c, const fh_cli_client *s, const char *deployment, const fh_json *messages, bool print, fh_run_answer *ret,
               fh_err **err);
fh_json *fh_run_message(const char *role, fh_str text);
/* A conversation on a terminal until its end (Ctrl-D or /bye); what fails in it is printed and does not end it. */
void fh_run_chat(const fh_cli *c, const fh_cli_client *s, const char *deployment);

#endif
