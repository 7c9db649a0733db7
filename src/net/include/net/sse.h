/* Server-sent events: reading a stream of bytes into events, and writing one. Rules: WHATWG HTML, "Server-sent events"; CR, LF and CRLF all
 * end a line; several data lines join with LF; an event without its closing blank line is dropped. Pure. */
#ifndef FH_NET_SSE_H
#define FH_NET_SSE_H

#include "base/buf.h"
#include "base/str.h"

typedef struct fh_sse_reader fh_sse_reader;
/* max_event_bytes bounds one event. */
fh_sse_reader *fh_sse_reader_new(size_t max_event_bytes, void (*on_event)(void *arg, fh_str event, fh_str data), void *arg);
void fh_sse_reader_free(fh_sse_reader *r);
int fh_sse_reader_push(fh_sse_reader *r, const void *data, size_t bytes, fh_err **err);
bool fh_sse_write(fh_buf *out, const char *event, fh_str data); /* event may be NULL */

#endif
