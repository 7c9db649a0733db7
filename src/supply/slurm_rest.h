/* What the files of slurmrestd's way share: a question over HTTP, and the document that submits a job. */
#ifndef FH_SUPPLY_SLURM_REST_H
#define FH_SUPPLY_SLURM_REST_H

#include "net/http_client.h"
#include "slurm_private.h"

typedef struct rest_call rest_call;
typedef struct slurm_rest {
    fh_http_client *client;
    char url[256], key_file[1024];
    const char *user, *api; /* of the settings */
    rest_call *open;
    fh_json *partitions; /* while the cluster is looked at */
} slurm_rest;

typedef struct rest_reply { /* borrowed for the call */
    int status;             /* 0: no complete answer came */
    const fh_json *doc;     /* NULL: none */
    const char *words;      /* Slurm's, when it has any against it; "" */
    bool refused;           /* Slurm understood, and said no */
    const fh_err *why;      /* NULL when it was done: 2xx, a document, and no error in it */
} rest_reply;

typedef struct rest_question {
    const char *method, *path; /* path: from the root */
    fh_json *body;             /* taken; NULL: none */
    const char *mention;       /* of a list of jobs only those that mention this are read; NULL: all. Copied */
    void (*done)(void *arg, const rest_reply *r);
    void *arg;
} rest_question;

int fh_slurm_rest_token(const char *file, char out[FH_LIMIT_SLURM_TOKEN_BYTES], fh_err **err); /* also one that is over */
/* The token is read anew. One that is over, or cannot be read, is an error that names its file: FH_E_UNAUTHENTICATED, FH_E_FORBIDDEN. */
int fh_slurm_rest_ask(slurm_rest *r, const rest_question *q, fh_err **err);
void fh_slurm_rest_cancel_all(slurm_rest *r); /* nobody is told */

/* {"job"} and its script, of the order's shape, as the API's version wants it. Owned; NULL when memory is out. */
fh_json *fh_slurm_rest_job(const slurm_order *o);

#endif
