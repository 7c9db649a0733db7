/* What slurmrestd answers, as JSON. Pure; whatever the document is, it is read without error: what is not understood is passed over. Its
 * API v0.0.38 (Slurm 22.05) says numbers plainly and a state as a text; from v0.0.39 on a number is {"set", "infinite", "number"}, a state
 * a list with flags behind it. Both are read, whatever the version. */
#ifndef FH_SUPPLY_SLURM_REST_SAYS_H
#define FH_SUPPLY_SLURM_REST_SAYS_H

#include "json/json.h"
#include "supply/slurm_says.h"

/* A list of a large cluster's jobs holds a few of ours, and reading all of it as JSON takes seconds: appends text, with a 0 instead of each
 * job in it that does not mention that. What is no such document stays as it is. */
void fh_slurm_rest_thin(fh_str text, const char *mention, fh_buf *out);
/* The jobs of a user whose names begin so: other users' may have any name. Rows are owned (fh_free), their texts are borrowed from doc.
 * FH_E_UPSTREAM when there is no list, FH_E_NOMEM. */
int fh_slurm_rest_jobs(const fh_json *doc, const char *user, const char *prefix, fh_slurm_row **ret, size_t *ret_count, fh_err **err);
void fh_slurm_rest_kinds(const fh_json *partitions, const fh_json *nodes, fh_slurm_kinds *ret);
int64_t fh_slurm_rest_job_id(const fh_json *submitted); /* 0: it does not say one */

typedef struct fh_slurm_rest_error {
    char words[200]; /* Slurm's; "": there is none */
    int64_t number;  /* of the last that has one, -1 where Slurm does not know what it was */
} fh_slurm_rest_error;
void fh_slurm_rest_error_read(const fh_json *doc, fh_slurm_rest_error *ret);
void fh_slurm_rest_apis(const fh_json *openapi, char *out, size_t out_size); /* "v0.0.37, v0.0.38", of what it describes */

bool fh_slurm_token_is(fh_str text);         /* whether it is a JSON Web Token, as slurmrestd's are: no other secret is */
int64_t fh_slurm_token_ends_s(fh_str token); /* since 1970; 0: it does not say when */

/* What a job's comment says that its script has published. */
bool fh_slurm_comment_key(const char *comment, char ret[65]); /* SHA-256 of its machine's key, in hexadecimal */
const char *fh_slurm_comment_said(const char *comment);       /* the last that it said; "" */

#endif
