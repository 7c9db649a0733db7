/* Forcing a tool call at an upstream that cannot, but that holds its answers to schemas: it is asked for an answer of the form
 * {"name":TOOL,"arguments":{...}}, and that answer is read as the call. Pure.
 *
 * llama-server is such a one: it takes tool_choice "required" only where the model's template has tool calls, and reads a choice by name as
 * auto, both without a word. */
#ifndef FH_WIRE_FORCED_H
#define FH_WIRE_FORCED_H

#include "wire/stream.h"

/* The needs of the request that this fills; 0 where no call is forced, or where the answer has a form of its own or several choices. */
uint32_t fh_wire_forced_needs(const fh_wire_request *r);
/* The value of response_format that asks for the call, appended. FH_E_INVALID when tool_choice names none of the tools. */
int fh_wire_forced_format(const fh_wire_request *r, fh_buf *out, fh_err **err);

/* Between a reader and its sink: the text of such an answer becomes CALL and ARGUMENTS, all else goes on as it is. FH_E_UPSTREAM for an
 * answer that is not of that form. */
typedef struct fh_wire_forced fh_wire_forced;
int fh_wire_forced_new(fh_wire_forced **ret, fh_wire_sink *sink, void *ctx, fh_err **err);
void fh_wire_forced_free(fh_wire_forced *f);
FH_DEFINE_AUTO(fh_wire_forced, fh_wire_forced_free);
fh_wire_sink fh_wire_forced_event; /* the reader's sink; its ctx is the fh_wire_forced */

#endif
