/* Replies of an upstream of the Messages API from arbitrary bytes, into the writer of each API. The first byte says which: bits 0 and 1 the
 * writer, bit 2 whether it streams, bit 3 whether the reply is one message; else each line is the data of an event. Events must keep their
 * order, and what a Messages writer made must be JSON and read back. */
#include "wire/messages.h"
#include "wire/stream.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct relay {
    fh_wire_writer *writer;
    fh_buf out;
    uint32_t calls;
    bool begun, finished, ended;
} relay;

static void check(bool holds)
{
    if (!holds) abort();
}

static int sink(void *ctx, const fh_wire_event *e, fh_err **err)
{
    relay *r = ctx;
    check(!r->ended && (r->begun || e->kind == FH_EVENT_BEGIN || e->kind == FH_EVENT_ERROR));
    check(e->kind != FH_EVENT_BEGIN || !r->begun);
    check(e->kind != FH_EVENT_CALL || e->call == r->calls);
    check(e->kind != FH_EVENT_ARGUMENTS || (r->calls && e->call == r->calls - 1 && e->text.len));
    check(e->kind != FH_EVENT_END || r->finished);
    check(e->kind != FH_EVENT_ERROR || e->err);
    r->begun |= e->kind == FH_EVENT_BEGIN;
    r->finished |= e->kind == FH_EVENT_FINISH;
    r->ended |= e->kind == FH_EVENT_END || e->kind == FH_EVENT_ERROR;
    r->calls += e->kind == FH_EVENT_CALL;
    return fh_wire_writer_event(r->writer, e, &r->out, err);
}

static int read_lines(fh_wire_reader *reader, fh_str text)
{
    int rc = 0;
    while (rc == 0 && text.len) {
        size_t end = fh_str_find(text, FH_STR("\n"));
        rc = fh_wire_reader_push(reader, FH_STR("message_start"), (fh_str){text.ptr, end}, NULL);
        size_t used = end + (end < text.len);
        text = (fh_str){text.ptr + used, text.len - used};
    }
    return rc;
}

static int ignore(void *ctx, const fh_wire_event *e, fh_err **err)
{
    return 0;
}

static void check_whole(fh_str body)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    check(fh_json_parse(&doc, body, 1 << 27, NULL) == 0);
    check(fh_wire_reader_new(&reader, FH_DIALECT_MESSAGES, ignore, NULL, NULL) == 0);
    check(fh_wire_reader_whole(reader, body, NULL) == 0);
}

static void check_events(fh_str text)
{
    while (text.len) {
        size_t data = fh_str_find(text, FH_STR("\ndata: ")) + 7, end = fh_str_find(text, FH_STR("\n\n"));
        FH_AUTO(json) fh_json *doc = NULL;
        check(fh_str_starts(text, FH_STR("event: ")) && data < end && end < text.len);
        check(fh_json_parse(&doc, (fh_str){text.ptr + data, end - data}, 1 << 27, NULL) == 0);
        text = (fh_str){text.ptr + end + 2, text.len - end - 2};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    FH_AUTO(json) fh_json *request = fh_json_new_object();
    FH_AUTO(fh_wire_reader) fh_wire_reader *reader = NULL;
    relay r = {.out = FH_BUF(1 << 27)};
    fh_wire_writer_spec spec = {
        .dialect = data[0] & 3, .stream = data[0] & 4, .include_usage = true, .request = request, .id = "1", .model = "m"};
    fh_str text = {(const char *)data + 1, size - 1};
    check(fh_wire_writer_new(&r.writer, &spec, NULL) == 0);
    check(fh_wire_reader_new(&reader, FH_DIALECT_MESSAGES, sink, &r, NULL) == 0);
    int rc = data[0] & 8 ? fh_wire_reader_whole(reader, text, NULL) : read_lines(reader, text);
    check(fh_wire_reader_ended(reader) == r.ended || rc < 0);
    fh_str out = {fh_buf_cstr(&r.out), r.out.len};
    if (spec.dialect == FH_DIALECT_MESSAGES && spec.stream) check_events(out);
    if (spec.dialect == FH_DIALECT_MESSAGES && !spec.stream && rc == 0 && r.ended) check_whole(out);
    fh_wire_writer_free(r.writer);
    fh_buf_fini(&r.out);
    return 0;
}
