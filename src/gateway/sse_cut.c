/* Where whole server-sent events end, so that a stream that breaks never shows half an event. Pure. */
#include "gateway_private.h"

/* Engines end lines with LF (the reader of a foreign engine's CRLF is not needed: "\r\n\r\n" holds "\n\r\n"). */
size_t fh_sse_whole(fh_str data)
{
    for (size_t i = data.len; i-- > 1;) {
        if (data.ptr[i] != '\n') continue;
        if (data.ptr[i - 1] == '\n') return i + 1;
        if (i >= 2 && data.ptr[i - 1] == '\r' && data.ptr[i - 2] == '\n') return i + 1;
    }
    return 0;
}

bool fh_sse_ends_done(fh_str whole_events)
{
    fh_str s = fh_str_trim(whole_events), last = FH_STR("data: [DONE]");
    if (!fh_str_ends(s, last)) return false;
    return s.len == last.len || s.ptr[s.len - last.len - 1] == '\n';
}
