/* Anthropic's Messages API, as it is in late 2026: requests of clients into chat requests, chat requests into those of an upstream that
 * speaks it, and errors. Replies are events (wire/stream.h). Pure. What becomes of each field is the table of docs/MESSAGES.md. Sources:
 * Anthropic's API reference and the types of its SDK 2.12. */
#ifndef FH_WIRE_MESSAGES_H
#define FH_WIRE_MESSAGES_H

#include "base/buf.h"
#include "json/json.h"

/* What an upstream of that API can do of what a chat request may need. */
#define FH_WIRE_MESSAGES_CAN                                                                                                               \
    (FH_NEED_BIT(FORMAT) | FH_NEED_BIT(TOOL_CHOICE) | FH_NEED_BIT(ONE_CALL) | FH_NEED_BIT(IMAGES) | FH_NEED_BIT(FILES) |                   \
     FH_NEED_BIT(PREFILL))

/* A client's request as a chat request. FH_E_INVALID with the field at fault as param. The first thing that only an upstream of this API
 * can do: *ret_native gets an error that names it (owned by the caller; untouched when there is none) and the chat request holds the rest,
 * so that a way can be found to such an upstream; with ret_native NULL it is refused. */
int fh_wire_messages_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err);
/* As above for count_tokens: there is no max_tokens, and nothing that is about the answer alone is carried over. */
int fh_wire_messages_count_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err);
bool fh_wire_messages_count_write(fh_buf *out, uint64_t prompt_tok);

/* What a chat request's field is called here: "tool_choice.disable_parallel_tool_use" for "parallel_tool_calls"; the same when it has no
 * other name. Messages are counted another way, so that of their paths only "messages" stays. ret [size]: cut when it is longer. */
void fh_wire_messages_param(const char *chat_param, char *ret, size_t size);
/* An error about the chat request, said in the words of this API: its param becomes the field that the client sent. */
void fh_wire_messages_err(fh_err **err);

/* A chat request for an upstream of this API. default_max_tok: where the request does not limit itself, which it must there. */
int fh_wire_chat_to_messages(const fh_json *chat, int64_t default_max_tok, fh_json **ret, fh_err **err);

/* {"type":"error","error":{"type","message"},"request_id"}; the field at fault stands before the message. request_id may be NULL. */
bool fh_wire_messages_error_write(fh_buf *out, const fh_err *err, const char *request_id);
/* The HTTP status that goes with it: as everywhere, but 529 where we are overloaded, which this API's clients know as that. */
int fh_wire_messages_status(const fh_err *err);

#endif
