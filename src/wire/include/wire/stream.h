/* What a reply is made of, whatever API it comes from or goes out in.
 *
 * An upstream's reply is read into events (reader), and events are written in the API of the client (writer). Each API has one reader and
 * one writer, so that every client works over every upstream; where both speak the same API the gateway passes bytes on and reads along.
 * The request's common form is the JSON document of a Chat Completions request: the other APIs translate into it and out of it.
 *
 * Order of events: BEGIN, then TEXT, REASONING, REFUSAL, CALL and ARGUMENTS as they come, FINISH once a choice, USAGE at most once, END.
 * An ERROR is the last event. Pure; a reader or writer belongs to one thread at a time. */
#ifndef FH_WIRE_STREAM_H
#define FH_WIRE_STREAM_H

#include "base/buf.h"
#include "json/json.h"
#include "wire/openai.h"

typedef enum fh_wire_dialect {
    FH_DIALECT_CHAT,       /* OpenAI Chat Completions */
    FH_DIALECT_COMPLETION, /* OpenAI Completions */
    FH_DIALECT_MESSAGES,   /* Anthropic Messages */
    FH_DIALECT_RESPONSES,  /* OpenAI Responses, in the Open Responses form; clients only, no upstream is spoken to in it */
    FH_DIALECTS
} fh_wire_dialect;

typedef enum fh_wire_event_kind {
    FH_EVENT_BEGIN,     /* the upstream accepted the request; id and name (its name of the model) when it says them */
    FH_EVENT_TEXT,      /* text: a piece of the answer, whole characters; logprobs when asked for */
    FH_EVENT_REASONING, /* text: a piece of the thought before it */
    FH_EVENT_REFUSAL,   /* text: a piece of a refusal */
    FH_EVENT_CALL,      /* a tool call begins: call, id, name */
    FH_EVENT_ARGUMENTS, /* text: a fragment of the JSON arguments of call */
    FH_EVENT_FINISH,    /* the choice ended: finish; text: the stop string that ended it, when known */
    FH_EVENT_USAGE,     /* usage */
    FH_EVENT_END,       /* the reply is whole */
    FH_EVENT_ERROR      /* err: the reply broke off */
} fh_wire_event_kind;

typedef enum fh_wire_finish {
    FH_FINISH_STOP,
    FH_FINISH_LENGTH,
    FH_FINISH_TOOL_CALLS,
    FH_FINISH_CONTENT_FILTER,
    FH_FINISHES
} fh_wire_finish;

typedef struct fh_wire_event { /* everything in it is borrowed until the call returns */
    fh_wire_event_kind kind;
    uint32_t choice; /* 0 unless more than one was asked for */
    uint32_t call;   /* index among the calls of the choice */
    fh_str text, id, name;
    fh_wire_finish finish;
    const fh_json *logprobs; /* TEXT: OpenAI's object {"content":[...]} (completions: its parallel arrays), or NULL */
    fh_wire_usage usage;
    const fh_err *err;
} fh_wire_event;

/* An error that it returns stops the reader, which returns it. */
typedef int fh_wire_sink(void *ctx, const fh_wire_event *e, fh_err **err);

/* Reading an upstream. FH_E_UPSTREAM for what is not a reply of that dialect; an error object that the upstream sent is an ERROR event. */
typedef struct fh_wire_reader fh_wire_reader;
int fh_wire_reader_new(fh_wire_reader **ret, fh_wire_dialect d, fh_wire_sink *sink, void *ctx, fh_err **err);
void fh_wire_reader_free(fh_wire_reader *r);
FH_DEFINE_AUTO(fh_wire_reader, fh_wire_reader_free);
int fh_wire_reader_push(fh_wire_reader *r, fh_str event, fh_str data, fh_err **err); /* one server-sent event; event is its name or empty */
int fh_wire_reader_whole(fh_wire_reader *r, fh_str body, fh_err **err);              /* a reply that was not streamed: all its events */
bool fh_wire_reader_ended(const fh_wire_reader *r);                                  /* END or ERROR was seen */

/* Writing to a client. */
typedef struct fh_wire_writer_spec {
    fh_wire_dialect dialect;
    bool stream, include_usage;
    const fh_json *request; /* of the client, in its dialect; borrowed while the writer lives */
    const char *request_id; /* copied; what errors say in APIs that have a place for it; NULL: not said */
    const char *id, *model; /* copied; id without a prefix: the writer puts its API's (chatcmpl-, msg_, resp_) before it */
    int64_t created_s;
} fh_wire_writer_spec;
typedef struct fh_wire_writer fh_wire_writer;
int fh_wire_writer_new(fh_wire_writer **ret, const fh_wire_writer_spec *s, fh_err **err);
void fh_wire_writer_free(fh_wire_writer *w);
FH_DEFINE_AUTO(fh_wire_writer, fh_wire_writer_free);
/* Appends what the client gets for e. A stream: server-sent events. A plain reply: nothing before END, which appends the whole body. ERROR
 * in a stream: the API's error event and nothing behind it; in a plain reply: the API's error object. */
int fh_wire_writer_event(fh_wire_writer *w, const fh_wire_event *e, fh_buf *out, fh_err **err);
const char *fh_wire_content_type(bool stream);

const char *fh_wire_finish_name(fh_wire_finish f); /* "stop", "length", "tool_calls", "content_filter" */

/* Appends a JSON object's text with members changed (put at the end) or, with value NULL, removed; the other members keep their bytes. body
 * must hold a valid object without duplicate keys (fh_json_parse took it); keys of edits are plain ASCII. FH_E_INVALID when a key of the
 * body is written with escapes. */
typedef struct fh_wire_edit {
    const char *key;
    const char *value; /* JSON text */
} fh_wire_edit;
int fh_wire_body_edit(fh_str body, const fh_wire_edit *edits, size_t count, fh_buf *out, fh_err **err);
/* The text of one member's value; the others are passed over, not read. Any bytes may be given; of what is no JSON object it says something
 * or nothing. */
bool fh_wire_body_member(fh_str body, const char *key, fh_str *ret_value);
/* Appends a reply, or the data of one event of a stream, with null in the place of each choice's "logprobs"; all other bytes are as they
 * were. Any bytes may be given; what is no such reply comes out as it is. */
void fh_wire_body_hide_logprobs(fh_str body, fh_buf *out);

#endif
