/* The Responses API in the gateway: what a request of it asks, with the past that it names, and what is kept of its answer. */
#ifndef FH_GATEWAY_RESPONSES_H
#define FH_GATEWAY_RESPONSES_H

#include "ask.h"
#include "gateway/responses_store.h"
#include "gateway_private.h"

/* A turn: one request while it is answered. */
typedef struct fh_turn fh_turn;
/* store: NULL when nothing is kept here; the answer is kept in it if keep says so and the request does not say otherwise. request_id: of
 * the HTTP request, from which the response's id is made. ask is the caller's, and borrows body. */
int fh_turn_new(fh_turn **ret, fh_ask *ret_ask, fh_response_store *store, bool keep, const char *request_id, fh_str key_id, fh_str body,
                fh_err **err);
void fh_turn_free(fh_turn *t);
bool fh_turn_keeps(const fh_turn *t);     /* the answer will be kept */
const char *fh_turn_id(const fh_turn *t); /* of the response, without prefix */
/* The writer has written the end of the answer: it is kept, when that was asked for. Before the client has the end. */
void fh_turn_keep(const fh_turn *t, const fh_wire_writer *w);

/* /v1/responses/{id} and what is below it. rest: behind "/v1/responses/". */
void fh_responses_handle(fh_response_store *store, fh_http_req *req, fh_str key_id, fh_str rest);

#endif
