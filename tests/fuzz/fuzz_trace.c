/* traceparent and tracestate on arbitrary bytes, cut at the first line feed: what is taken must come out again as it went in. */
#include "base/limits.h"
#include "observe/trace.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str all = {(const char *)data, size};
    size_t line = fh_str_find(all, FH_STR("\n"));
    fh_str parent = {all.ptr, line}, state = {all.ptr + line, size - line};
    fh_trace t, again;
    char text[FH_TRACEPARENT_LEN + 1];
    if (state.len) state = (fh_str){state.ptr + 1, state.len - 1};
    if (fh_traceparent_read(parent, &t)) {
        fh_traceparent_write(&t, t.parent, text);
        if (!fh_traceparent_read(fh_str_of(text), &again) || memcmp(&t, &again, sizeof t) != 0) abort();
        if (memcmp(text + 3, parent.ptr + 3, 49) != 0) abort();
    }
    if (fh_tracestate_valid(state) && (state.len > FH_LIMIT_TRACESTATE_BYTES || memchr(state.ptr, '\r', state.len))) abort();
    return 0;
}
