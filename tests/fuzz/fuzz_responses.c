/* Requests of the Responses API from arbitrary bytes. What is taken must be JSON that the chat parser takes or refuses by itself, its input
 * must be kept as whole items that mean the same again, and a reply to it, of whatever events, must be JSON that says what was said. */
#include "base/limits.h"
#include "wire/responses.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 26 };

static void check(bool holds)
{
    if (!holds) abort();
}

static fh_json *again(const fh_json *v)
{
    fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(MAX);
    check(fh_json_write(v, &text, NULL) == 0);
    check(fh_json_parse(&doc, (fh_str){text.data, text.len}, MAX, NULL) == 0);
    return doc;
}

static void check_refusal(fh_err *err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    check(err != NULL);
    fh_wire_responses_err(&err);
    check(fh_wire_error_write(&text, err));
    fh_err_free(err);
}

static void check_chat(const fh_json *chat)
{
    fh_wire_request r = {0};
    fh_err *err = NULL;
    check(fh_json_count(fh_json_get(chat, "messages")) > 0);
    if (fh_wire_chat_take(&r, again(chat), &err) == 0)
        fh_wire_request_fini(&r);
    else
        check_refusal(err);
}

/* The kept input in the place of the input gives the same messages. */
static void check_kept(const fh_json *doc, const fh_json *chat)
{
    FH_AUTO(json) fh_json *items = NULL, *copy = again(doc), *second = NULL;
    FH_AUTO(buf) fh_buf a = FH_BUF(MAX), b = FH_BUF(MAX);
    check(fh_wire_responses_input(doc, "resp_1", NULL, NULL, &items, NULL) == 0);
    for (size_t i = 0; i < fh_json_count(items); i++) check(fh_json_str(fh_json_get(fh_json_at(items, i), "type")).ptr != NULL);
    check(fh_json_set(copy, "input", again(items)));
    check(fh_wire_responses_to_chat(copy, NULL, &second, NULL) == 0);
    check(fh_json_write(fh_json_get(chat, "messages"), &a, NULL) == 0 && fh_json_write(fh_json_get(second, "messages"), &b, NULL) == 0);
    check(fh_str_eq((fh_str){a.data, a.len}, (fh_str){b.data, b.len}));
}

/* Events by the bytes of the request. */
static void check_reply(const fh_json *doc, fh_str seed, bool stream)
{
    FH_AUTO(fh_wire_writer) fh_wire_writer *w = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(MAX);
    fh_wire_writer_spec s = {.dialect = FH_DIALECT_RESPONSES, .stream = stream, .request = doc, .id = "1", .model = "m"};
    size_t said = 0;
    check(fh_wire_writer_new(&w, &s, NULL) == 0);
    for (size_t i = 0; i < seed.len && i < 300; i++) {
        fh_wire_event_kind k = FH_EVENT_TEXT + (unsigned char)seed.ptr[i] % 5;
        fh_wire_event e = {.kind = k, .text = {seed.ptr + i, 1}, .call = (unsigned char)seed.ptr[i] % 3, .id = {seed.ptr, i % 4}};
        if (fh_wire_writer_event(w, &e, &out, NULL) == 0 && k == FH_EVENT_TEXT) said++;
    }
    check(fh_wire_writer_event(w, &(fh_wire_event){.kind = FH_EVENT_FINISH, .finish = seed.len % FH_FINISHES}, &out, NULL) == 0);
    check(fh_wire_writer_event(w, &(fh_wire_event){.kind = FH_EVENT_END}, &out, NULL) == 0);
    FH_AUTO(json) fh_json *final = again(fh_wire_responses_final(w));
    check(fh_json_count(fh_json_get(final, "output")) > 0 && (said == 0 || out.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str body = {(const char *)data, size};
    FH_AUTO(json) fh_json *doc = NULL, *chat = NULL, *past = NULL;
    fh_err *err = NULL;
    if (fh_json_parse(&doc, body, FH_LIMIT_JSON_BODY_BYTES, NULL) != 0) return 0;
    check(fh_json_parse(&past, FH_STR("[{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"user\",\"content\":\"x\"}]"), 100, NULL) == 0);
    bool chained = fh_json_get(doc, "previous_response_id") != NULL;
    if (fh_wire_responses_to_chat(doc, chained ? past : NULL, &chat, &err) != 0) {
        check_refusal(err);
        return 0;
    }
    check_chat(chat);
    if (!chained) check_kept(doc, chat);
    check_reply(doc, body, true);
    check_reply(doc, body, false);
    return 0;
}
