/* Answers that stand for a forced tool call, from arbitrary bytes: the first byte says how many come at once, and whatever it says, the
 * events are the same. */
#include "wire/forced.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct told {
    fh_buf arguments;
    unsigned calls;
    bool finished;
} told;

static void check(bool holds)
{
    if (!holds) abort();
}

static int note(void *ctx, const fh_wire_event *e, fh_err **err)
{
    told *t = ctx;
    (void)err;
    check(e->kind == FH_EVENT_BEGIN || e->kind == FH_EVENT_CALL || e->kind == FH_EVENT_ARGUMENTS || e->kind == FH_EVENT_FINISH);
    check(!t->finished);
    t->calls += e->kind == FH_EVENT_CALL;
    t->finished |= e->kind == FH_EVENT_FINISH;
    check(e->kind != FH_EVENT_CALL || (t->calls == 1 && e->name.len && e->id.len));
    check(e->kind != FH_EVENT_ARGUMENTS || (t->calls == 1 && e->text.len));
    if (e->kind == FH_EVENT_ARGUMENTS) fh_buf_add(&t->arguments, e->text.ptr, e->text.len);
    return 0;
}

static int read_in_pieces(fh_str text, size_t piece, told *t)
{
    FH_AUTO(fh_wire_forced) fh_wire_forced *f = NULL;
    fh_wire_event begin = {.kind = FH_EVENT_BEGIN, .id = FH_STR("chatcmpl-1")}, end = {.kind = FH_EVENT_FINISH, .finish = FH_FINISH_STOP};
    check(fh_wire_forced_new(&f, note, t, NULL) == 0);
    int rc = fh_wire_forced_event(f, &begin, NULL);
    for (size_t at = 0; rc == 0 && at < text.len; at += piece) {
        fh_wire_event e = {.kind = FH_EVENT_TEXT, .text = {text.ptr + at, FH_MIN(piece, text.len - at)}};
        rc = fh_wire_forced_event(f, &e, NULL);
    }
    if (rc == 0) rc = fh_wire_forced_event(f, &end, NULL);
    check(rc != 0 || (t->calls && t->arguments.data[0] == '{'));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    fh_str text = {(const char *)data + 1, size - 1};
    told whole = {.arguments = FH_BUF(1 << 24)}, pieces = {.arguments = FH_BUF(1 << 24)};
    int rc = read_in_pieces(text, text.len, &whole);
    check(read_in_pieces(text, data[0] ? data[0] : 1, &pieces) == rc);
    check(rc != 0 || fh_str_eq((fh_str){whole.arguments.data, whole.arguments.len}, (fh_str){pieces.arguments.data, pieces.arguments.len}));
    fh_buf_fini(&whole.arguments);
    fh_buf_fini(&pieces.arguments);
    return 0;
}
