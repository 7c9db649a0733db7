/* The Responses API in the form of Open Responses (specification of 2026-04-24; members of OpenAI's own that clients rely on are there
 * too).
 *
 * A request becomes the common form, a Chat Completions request; a reply is written by the writer of FH_DIALECT_RESPONSES. Every
 * documented field is honoured, passed on or refused by name: the table is docs/RESPONSES.md. Items are what a conversation is made of:
 * messages, function calls, their outputs, reasoning. Who keeps responses (a port of the gateway) gives the items of the past in.
 * Pure; borrowed and owned as for all of wire; FH_E_INVALID with the field as param. */
#ifndef FH_WIRE_RESPONSES_H
#define FH_WIRE_RESPONSES_H

#include "wire/stream.h"

/* doc: the request. history_items: what came before by previous_response_id, oldest first, input and output of each response; NULL when
 * the request names none. ret_chat shares values with both: neither may change while it lives. New reference. */
int fh_wire_responses_to_chat(const fh_json *doc, const fh_json *history_items, fh_json **ret_chat, fh_err **err);
/* The name that a field of the chat request has here; the same when it has no other. ret [size]: cut when it is longer. */
void fh_wire_responses_param(const char *chat_param, char *ret, size_t size);
/* An error about the chat request above, said in the words of the Responses API: its param becomes the field that the client sent. */
void fh_wire_responses_err(fh_err **err);

/* Finds an item that an earlier request or reply of the same owner held; NULL when there is none. Borrowed until the next call. */
typedef const fh_json *fh_wire_item_find(void *ctx, fh_str item_id);
/* The request's input as it is kept and listed: an array of whole items, each with type, id and status; a string is a message of the user,
 * a reference is what it names. id: of the response, with or without its prefix; new ids are made from it. New reference. */
int fh_wire_responses_input(const fh_json *doc, const char *id, fh_wire_item_find *find, void *ctx, fh_json **ret_items, fh_err **err);

bool fh_wire_responses_count_write(fh_buf *out, uint64_t prompt_tok); /* the reply of /v1/responses/input_tokens */

/* For writers of FH_DIALECT_RESPONSES. now: what completed_at will say; said once before END. final: the finished response object, to be
 * kept; borrowed, NULL before it is finished and when there is none (an error of a plain reply). */
void fh_wire_responses_now(fh_wire_writer *w, int64_t now_s);
const fh_json *fh_wire_responses_final(const fh_wire_writer *w);

#endif
