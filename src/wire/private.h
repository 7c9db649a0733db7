/* What the files of wire/ share among themselves. */
#ifndef FH_WIRE_PRIVATE_H
#define FH_WIRE_PRIVATE_H

#include "wire/openai.h"

/* FH_E_INVALID with the field at fault; param must be a plain field path, not a format. */
int fh_wire_bad(fh_err **err, const char *param, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A documented field that asks for what is not done here. */
int fh_wire_refuse(fh_err **err, const char *param, const char *what);
bool fh_wire_absent(const fh_json *v); /* not there, or null */

/* openai_messages.c */
int fh_wire_messages_check(const fh_json *messages, fh_err **err);
int fh_wire_tools_check(fh_wire_request *r, fh_err **err);
/* openai_fields.c: every documented field that is neither honoured by the parser nor may be passed over in silence. */
int fh_wire_fields_check(const fh_json *doc, bool chat, fh_err **err);

#endif
