/* What server and machine tell each other while one joins, as JSON. Pure; what comes from outside is checked field by field. */
#ifndef FH_POOL_ANSWERS_H
#define FH_POOL_ANSWERS_H

#include "json/json.h"
#include "pool/nodes.h"

#define POOL_JSON "application/json"

/* The answer to GET /v1/join, and that to GET /v1/certificate-request. j: its slices are borrowed from doc; key is set. */
fh_json *pool_join_json(fh_str token, const char *name, const fh_node_ask *ask, const char *request); /* owned; NULL when memory is out */
int pool_join_read(const fh_json *doc, fh_node_join *ret, fh_str *ret_request, fh_err **err);
fh_json *pool_request_json(const char *request);
int pool_request_read(const fh_json *doc, fh_str *ret_request, fh_err **err);

/* The answer to GET /v1/facts. */
fh_json *pool_facts_json(const fh_json *facts, const fh_node_ask *ask);
int pool_facts_read(const fh_json *doc, const fh_json **ret_facts, fh_node_ask *ret_ask, fh_err **err);

/* The body of PUT /v1/certificate. */
fh_json *pool_certificate_json(const char *certificate, const char *name);
int pool_certificate_read(const fh_json *doc, fh_str *ret_certificate, fh_str *ret_name, fh_err **err);

#endif
