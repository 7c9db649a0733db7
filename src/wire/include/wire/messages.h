/* Anthropic's Messages API, as it is in late 2026: requests of clients into chat requests, chat requests into those of an upstream that
 * speaks it, and errors. Replies are events (wire/stream.h). Pure. Sources: Anthropic's API reference and the types of its SDK 2.12.
 *
 * Requests of clients. Honoured: it is in the chat request. Hint: checked, and has no effect on an answer. Native: only an upstream of this
 * API can do it; for others it is refused by name. A member of a block, tool or setting that is not listed is refused; an unknown field of
 * the request itself passes on, unless Chat Completions means something else by its name.
 *
 * | field | |
 * | --- | --- |
 * | model, max_tokens, stream, temperature, top_p, top_k | honoured; max_tokens 0 (fill the cache only) is native |
 * | stop_sequences | honoured as stop |
 * | system: text or text blocks | honoured; a block that is Claude Code's billing header is for Anthropic's books and left out |
 * | messages: user, assistant, system | honoured; neighbours of one role become one turn; an assistant at the end is continued |
 * | text, image (base64, url), document (text, content, base64 PDF), search_result | honoured; documents and results as text and files |
 * | image (file), document (url, file), citations, container_upload, redacted_thinking, blocks of server tools | native |
 * | tool_use, tool_result (text, image, document, search_result) | honoured; is_error says "Error: " before the result |
 * | thinking | honoured as reasoning_content; signatures are not looked at |
 * | tools: name, description, input_schema, strict, input_examples | honoured; examples become the schema's |
 * | tools: eager_input_streaming, cache_control | hint: arguments always stream, prefixes are always cached |
 * | tools: defer_loading, allowed_callers other than direct, typed tools (bash, web_search, ...) | native |
 * | tool_choice, disable_parallel_tool_use | honoured |
 * | thinking: enabled, disabled, adaptive, display | honoured: reasoning_effort, thinking_budget_tokens, template variables; display by the
 * writer | | thinking: between_tools | native | | output_config: effort, format (and output_format, its older name) | honoured as
 * reasoning_effort and response_format | | output_config.task_budget, container, mcp_servers, context_management, compaction, thread,
 * fallbacks, diagnostics, inference_geo, ... | native | | metadata.user_id | passed on as user | | service_tier | honoured: standard_only
 * as default | | speed | standard; fast is native | | cache_control | hint |
 *
 * Chat requests for an upstream of this API: what cannot be said there is refused by name, and these are left out, for they change no
 * answer: user labels beyond one, metadata, prediction, prompt_cache_key, prompt_cache_retention, an image's detail, a schema's name, and
 * thoughts of earlier turns (they are taken there only with their maker's signature, which chat requests do not carry). */
#ifndef FH_WIRE_MESSAGES_H
#define FH_WIRE_MESSAGES_H

#include "base/buf.h"
#include "json/json.h"

/* A client's request as a chat request. FH_E_INVALID with the field at fault as param. The first thing that only an upstream of this API
 * can do: *ret_native gets an error that names it (owned by the caller; untouched when there is none) and the chat request holds the rest,
 * so that a way can be found to such an upstream; with ret_native NULL it is refused. */
int fh_wire_messages_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err);
/* As above for count_tokens: there is no max_tokens, and nothing that is about the answer alone is carried over. */
int fh_wire_messages_count_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err);
bool fh_wire_messages_count_write(fh_buf *out, uint64_t prompt_tok);

/* A chat request for an upstream of this API. default_max_tok: where the request does not limit itself, which it must there. */
int fh_wire_chat_to_messages(const fh_json *chat, int64_t default_max_tok, fh_json **ret, fh_err **err);

/* {"type":"error","error":{"type","message"},"request_id"}; the field at fault stands before the message. request_id may be NULL. */
bool fh_wire_messages_error_write(fh_buf *out, const fh_err *err, const char *request_id);
/* The HTTP status that goes with it: as everywhere, but 529 where we are overloaded, which this API's clients know as that. */
int fh_wire_messages_status(const fh_err *err);

#endif
