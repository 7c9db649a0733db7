/* What the files of wire/ share among themselves. */
#ifndef FH_WIRE_PRIVATE_H
#define FH_WIRE_PRIVATE_H

#include "wire/openai.h"
#include "wire/stream.h"

/* FH_E_INVALID with the field at fault; param must be a plain field path, not a format. */
int fh_wire_bad(fh_err **err, const char *param, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Writes down that the request asks for it; param: where, or NULL for the field of the list. */
void fh_wire_need_add(fh_wire_request *r, fh_wire_need need, const char *param);
bool fh_wire_absent(const fh_json *v); /* not there, or null */
/* Puts "where." before the param of the error that rc stands for; returns rc. */
int fh_wire_below(int rc, fh_err **err, const char *where);

/* openai_messages.c */
int fh_wire_messages_check(fh_wire_request *r, fh_err **err);
int fh_wire_tools_check(fh_wire_request *r, fh_err **err);
/* openai_fields.c: every documented field that the parser does not act on but that may not be passed over in silence. */
int fh_wire_fields_check(fh_wire_request *r, fh_err **err);
/* openai_format.c: what the answer is held to. */
int fh_wire_format_check(fh_wire_request *r, fh_err **err);

/* param_names.c: the name that a field of a chat request has in another API. A name stands for itself and for what lies below it ('.' or
 * '['); behind a '/' there is a JSON pointer into a schema, which stays. A param that no row names stays too. */
typedef struct fh_wire_name {
    const char *chat, *here;
} fh_wire_name;
void fh_wire_name_find(const fh_wire_name *rows, size_t count, const char *param, char *ret, size_t size);
void fh_wire_name_err(const fh_wire_name *rows, size_t count, fh_err **err); /* of the error's param; nothing when there is none */

/* Readers and writers (stream.c holds what they share). Each API's object begins with these. */
typedef struct fh_wire_reader_ops {
    size_t size; /* of the whole object; it comes zeroed */
    int (*push)(fh_wire_reader *r, fh_str event, fh_str data, fh_err **err);
    int (*whole)(fh_wire_reader *r, fh_str body, fh_err **err);
    void (*fini)(fh_wire_reader *r); /* may be NULL */
} fh_wire_reader_ops;
struct fh_wire_reader {
    const fh_wire_reader_ops *ops;
    fh_wire_sink *sink;
    void *ctx;
    bool ended;
};
/* Hands an event on; nothing goes out behind END or ERROR. */
int fh_wire_emit(fh_wire_reader *r, const fh_wire_event *e, fh_err **err);
/* Parses what an upstream sent: FH_E_UPSTREAM when it is no JSON object. */
int fh_wire_upstream_json(fh_json **ret, fh_str text, fh_err **err);
/* The error object of an upstream as an ERROR event; status 0: in a stream, where there is none. */
int fh_wire_emit_error(fh_wire_reader *r, const fh_json *error, fh_err **err);

typedef struct fh_wire_writer_ops {
    size_t size;
    const char *id_prefix;
    int (*init)(fh_wire_writer *w, fh_err **err); /* may be NULL */
    int (*event)(fh_wire_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err);
    void (*fini)(fh_wire_writer *w); /* may be NULL */
} fh_wire_writer_ops;
struct fh_wire_writer {
    const fh_wire_writer_ops *ops;
    bool stream, include_usage;
    const fh_json *request;
    char id[96], model[128], request_id[96];
    int64_t created_s;
};

extern const fh_wire_reader_ops fh_wire_chat_reader, fh_wire_completion_reader;
extern const fh_wire_writer_ops fh_wire_chat_writer, fh_wire_completion_writer;
extern const fh_wire_reader_ops fh_wire_messages_reader;
extern const fh_wire_writer_ops fh_wire_messages_writer;
extern const fh_wire_writer_ops fh_wire_responses_writer;

#endif
