/* The record of one request: what may be told of it, to the access log and to traces. Times, counts and names; never anything of a prompt
 * or an answer, a key's secret, a query or a header that the client chose. Filled in along the way, read once at the end.
 *
 * Strings are borrowed until the call that got the record returns. Times are monotonic nanoseconds, 0 for what never came. */
#ifndef FH_OBSERVE_RECORD_H
#define FH_OBSERVE_RECORD_H

#include "base/limits.h"
#include "observe/trace.h"

typedef struct fh_attempt { /* one replica that was asked */
    char deployment[64], place[64];
    uint8_t span[FH_SPAN_ID_BYTES];
    int64_t began_ns, first_ns, ended_ns; /* asked; its first token; over */
    uint64_t from_tok, sent_tok;          /* tokens that the client had when it began, and when it was over */
    int status;                           /* of its reply; 0: none came */
    int code;                             /* class of error it ended with; 0: none */
} fh_attempt;

typedef struct fh_record {
    /* of every request */
    const char *request_id, *key_id, *client; /* key_id "": none was given, or none that is valid. client: an address */
    fh_str method, path;
    int status;                   /* 0: no reply was begun */
    bool gone;                    /* the client left, or the reply was cut */
    uint64_t in_bytes, out_bytes; /* of the bodies */
    int64_t began_ns, ended_ns, ended_utc_ns;
    /* of one for a model alone; operation NULL: it was none */
    const char *operation;                  /* "chat", ... */
    const char *model, *provider;           /* "": it got to no replica */
    const char *owner;                      /* of the key; "": nobody was named */
    const char *key_class, *cache, *finish; /* finish "": it has none */
    bool stream;
    int code;          /* class of error that the client was told; 0: none */
    int64_t first_ns;  /* the first byte of a streamed answer */
    int64_t queued_ns; /* how long it waited for its turn */
    uint64_t prompt_tok, completion_tok;
    fh_trace trace;
    uint8_t span[FH_SPAN_ID_BYTES];
    unsigned attempt_count;     /* of all; those told are the first ones, and the last as the last one told */
    const fh_attempt *attempts; /* FH_MIN(attempt_count, RECORD_ATTEMPTS) */
} fh_record;

/* "not_found" of FH_E_NOT_FOUND, "" of 0. */
enum { FH_ERROR_TYPE_BYTES = 32 };
void fh_record_error_type(int code, char out[FH_ERROR_TYPE_BYTES]);

#endif
