/* What the files of the Responses API share. */
#ifndef FH_WIRE_RESPONSES_PRIVATE_H
#define FH_WIRE_RESPONSES_PRIVATE_H

#include "private.h"
#include "wire/responses.h"

/* A value of one document in another: documents do not change once they are parsed. */
static inline fh_json *share(const fh_json *v)
{
    return fh_json_ref((fh_json *)(uintptr_t)v);
}
/* Sets key to the same value as in from, when it is there. */
static inline bool pass_on(fh_json *to, const fh_json *from, const char *key)
{
    const fh_json *v = fh_json_get(from, key);
    return fh_wire_absent(v) || fh_json_set(to, key, share(v));
}
bool fh_wire_set_str(fh_json *o, fh_str key, fh_json *value); /* fh_json_set with a key that is a slice */

/* Refuses the first of the members (ends with NULL) that is there, as "where.member". */
int fh_wire_refuse_members(const fh_json *o, const char *where, const char *const *members, fh_err **err);

/* responses_fields.c: what lies flat in the request. */
int fh_wire_responses_fields(const fh_json *doc, fh_json *chat, fh_err **err);
/* responses_items.c */
int fh_wire_responses_messages(const fh_json *doc, const fh_json *history, fh_json *chat, fh_err **err);
const char *fh_wire_responses_item_type(const fh_json *item); /* of those that we take; NULL otherwise. Without type: by its members */
int fh_wire_responses_bad_type(const fh_json *item, const char *where, fh_err **err); /* FH_E_INVALID: an item that we do not take */
/* responses_content.c: the content of a message or the output of a function as a chat message has it: a string, or an array of parts. */
int fh_wire_responses_content(const fh_json *v, bool assistant, const char *where, fh_json **ret, fh_err **err);
/* responses_tools.c */
int fh_wire_responses_tools(const fh_json *doc, fh_json *chat, fh_err **err);
int fh_wire_responses_text(const fh_json *doc, fh_json *chat, fh_err **err);
/* responses_object.c: a response object that echoes the request, in progress; NULL when memory is out. */
fh_json *fh_wire_responses_object(const fh_wire_writer *w);
bool fh_wire_responses_summary_asked(const fh_json *request);

#endif
