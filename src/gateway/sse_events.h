/* The events of a stream in a buffer, one after another, with their bytes as they came. Pure.
 *
 * An event is whole when the blank line behind it is there (LF or CRLF; a lone CR ends no line here: no engine writes it). */
#ifndef FH_GATEWAY_SSE_EVENTS_H
#define FH_GATEWAY_SSE_EVENTS_H

#include "base/buf.h"
#include "base/str.h"

typedef struct fh_sse_event {
    fh_str raw;     /* with its blank line */
    fh_str name;    /* of "event:"; empty without one */
    fh_str data;    /* of the "data:" lines, joined with LF; borrowed from raw, or from joined */
    fh_str comment; /* of the first line that begins with a colon; empty without one */
    bool has_data;
} fh_sse_event;

/* Takes the next whole event off text; false when there is none. joined holds data of several lines until the next call. */
bool fh_sse_event_next(fh_str *text, fh_sse_event *ret, fh_buf *joined);

#endif
