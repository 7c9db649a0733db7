/* The events of a stream in a buffer (see sse_events.h). */
#include "sse_events.h"

#include <string.h>

/* The next line of text without its end; false when its end is not there. */
static bool next_line(fh_str *text, fh_str *ret)
{
    const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    if (!end) return false;
    size_t len = (size_t)(end - text->ptr);
    *ret = (fh_str){text->ptr, len && end[-1] == '\r' ? len - 1 : len};
    *text = (fh_str){end + 1, text->len - len - 1};
    return true;
}

static fh_str value_of(fh_str line, size_t field)
{
    fh_str v = {line.ptr + field + 1, line.len - field - 1};
    return v.len && v.ptr[0] == ' ' ? (fh_str){v.ptr + 1, v.len - 1} : v;
}

static void take_data(fh_sse_event *e, fh_str value, fh_buf *joined)
{
    if (!e->has_data) {
        e->data = value;
        e->has_data = true;
        return;
    }
    if (joined->len == 0) fh_buf_add(joined, e->data.ptr, e->data.len);
    fh_buf_addc(joined, '\n');
    fh_buf_add(joined, value.ptr, value.len);
    e->data = (fh_str){fh_buf_cstr(joined), joined->len};
}

static void take_line(fh_sse_event *e, fh_str line, fh_buf *joined)
{
    if (line.ptr[0] == ':') {
        if (!e->comment.ptr) e->comment = value_of(line, 0);
    } else if (fh_str_starts(line, FH_STR("data:")))
        take_data(e, value_of(line, 4), joined);
    else if (fh_str_starts(line, FH_STR("event:")))
        e->name = value_of(line, 5);
}

bool fh_sse_event_next(fh_str *text, fh_sse_event *ret, fh_buf *joined)
{
    fh_str rest = *text, line;
    fh_sse_event e = {.name = {"", 0}, .data = {"", 0}};
    fh_buf_clear(joined);
    while (next_line(&rest, &line)) {
        if (line.len) {
            take_line(&e, line, joined);
            continue;
        }
        e.raw = (fh_str){text->ptr, text->len - rest.len};
        *text = rest;
        *ret = e;
        return true;
    }
    return false;
}
