/* Requests of the Messages API from arbitrary bytes, and chat requests on their way to an upstream of it. What is taken must be a document
 * that can be written and read; a refusal must be an error that can be written. What goes to chat and back must be taken again, unless an
 * id had to change on the way. */
#include "wire/messages.h"
#include "wire/openai.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 26 };

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_error(fh_err *err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    check(err != NULL && fh_wire_messages_error_write(&text, err, "id"));
    check(fh_json_parse(&doc, (fh_str){text.data, text.len}, 1 << 20, NULL) == 0);
    check(fh_wire_messages_status(err) >= 400);
    fh_err_free(err);
}

/* The document as text, and what a chat parser makes of it: fields that pass on unseen may be wrong for it, and then it says so. */
static void check_chat(const fh_json *chat)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(MAX);
    fh_wire_request r = {0};
    fh_err *err = NULL;
    check(fh_json_write(chat, &text, NULL) == 0);
    if (fh_wire_chat_parse(&r, (fh_str){text.data, text.len}, &err) == 0)
        fh_wire_request_fini(&r);
    else
        check_error(err);
}

static bool is_plain(fh_str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

static bool has_plain_ids(const fh_json *chat)
{
    const fh_json *messages = fh_json_get(chat, "messages");
    for (size_t i = 0; i < fh_json_count(messages); i++) {
        const fh_json *calls = fh_json_get(fh_json_at(messages, i), "tool_calls");
        for (size_t k = 0; k < fh_json_count(calls); k++)
            if (!is_plain(fh_json_str(fh_json_get(fh_json_at(calls, k), "id")))) return false;
    }
    return true;
}

static void check_way_back(const fh_json *chat)
{
    FH_AUTO(json) fh_json *back = NULL, *again = NULL;
    fh_err *err = NULL;
    if (fh_wire_chat_to_messages(chat, 16, &back, &err) < 0) {
        check_error(err);
        return;
    }
    if (!has_plain_ids(chat)) return;
    check(fh_wire_messages_to_chat(back, &again, NULL, NULL) == 0);
    check_chat(again);
}

static void try_native(const fh_json *doc, int (*way)(const fh_json *, fh_json **, fh_err **, fh_err **))
{
    FH_AUTO(json) fh_json *chat = NULL;
    fh_err *err = NULL, *native = NULL;
    if (way(doc, &chat, &native, &err) < 0) {
        check(!chat && !native);
        check_error(err);
        return;
    }
    check_chat(chat);
    if (native) check_error(native);
}

static void try_upstream(const fh_json *doc)
{
    FH_AUTO(json) fh_json *made = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(MAX);
    fh_err *err = NULL;
    if (fh_wire_chat_to_messages(doc, 16, &made, &err) < 0)
        check_error(err);
    else
        check(fh_json_write(made, &text, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(json) fh_json *doc = NULL, *chat = NULL;
    fh_err *err = NULL;
    if (!size || fh_json_parse(&doc, (fh_str){(const char *)data, size}, MAX, NULL) < 0) return 0;
    try_native(doc, fh_wire_messages_to_chat);
    try_native(doc, fh_wire_messages_count_to_chat);
    try_upstream(doc);
    if (fh_wire_messages_to_chat(doc, &chat, NULL, &err) < 0)
        check_error(err);
    else
        check_way_back(chat);
    return 0;
}
