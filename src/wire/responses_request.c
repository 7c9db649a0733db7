/* A request of the Responses API as a chat request, and its input as items that can be kept. The parts: flat fields, tools and format,
 * items. */
#include "responses_private.h"

#include "base/limits.h"
#include <stdio.h>

static int check_past(const fh_json *doc, const fh_json *history, fh_err **err)
{
    fh_str previous = {NULL, 0};
    int rc = fh_json_read_str(doc, "previous_response_id", false, &previous, err);
    if (rc < 0 || !previous.ptr || history) return rc;
    rc = fh_wire_bad(err, "previous_response_id", "no response of that id is kept here");
    fh_err_hint(err, "send the whole conversation as 'input'");
    return rc;
}

int fh_wire_responses_to_chat(const fh_json *doc, const fh_json *history_items, fh_json **ret_chat, fh_err **err)
{
    if (fh_json_kind_of(doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_INVALID, "the request body must be a JSON object");
    FH_AUTO(json) fh_json *chat = fh_json_new_object();
    int rc = chat ? check_past(doc, history_items, err) : fh_err_nomem(err);
    if (rc == 0) rc = fh_wire_responses_fields(doc, chat, err);
    if (rc == 0) rc = fh_wire_responses_messages(doc, history_items, chat, err);
    if (rc == 0) rc = fh_wire_responses_tools(doc, chat, err);
    if (rc == 0) rc = fh_wire_responses_text(doc, chat, err);
    if (rc == 0) *ret_chat = fh_take(chat);
    return rc;
}

static const fh_wire_name names[] = {{"messages", "input"},
                                     {"prompt", "input"},
                                     {"response_format.json_schema.schema", "text.format.schema"},
                                     {"response_format", "text.format"},
                                     {"verbosity", "text.verbosity"},
                                     {"reasoning_effort", "reasoning.effort"},
                                     {"max_completion_tokens", "max_output_tokens"},
                                     {"max_tokens", "max_output_tokens"},
                                     {"logprobs", "include"}};

void fh_wire_responses_param(const char *chat_param, char *ret, size_t size)
{
    fh_wire_name_find(names, FH_COUNT(names), chat_param, ret, size);
}

void fh_wire_responses_err(fh_err **err)
{
    fh_wire_name_err(names, FH_COUNT(names), err);
}

/* Input that is kept. */

typedef struct keeper {
    const char *core; /* of the response's id */
    fh_wire_item_find *find;
    void *ctx;
    fh_json *items; /* owned */
    size_t references;
} keeper;

static fh_json *new_id(const keeper *k, const char *prefix)
{
    char id[128];
    snprintf(id, sizeof id, "%s_%s_i%zu", prefix, k->core, fh_json_count(k->items));
    return fh_json_new_cstr(id);
}

/* Content as an array of parts, which is how it is listed. */
static fh_json *listed_content(const fh_json *v, bool assistant)
{
    if (fh_json_kind_of(v) != FH_JSON_STRING) return share(v);
    FH_AUTO(json) fh_json *parts = fh_json_new_array(), *part = fh_json_new_object();
    bool ok = parts && part && fh_json_set(part, "type", fh_json_new_cstr(assistant ? "output_text" : "input_text"));
    ok = ok && fh_json_set(part, "text", share(v));
    if (ok && assistant) ok = fh_json_set(part, "annotations", fh_json_new_array());
    ok = ok && fh_json_append(parts, fh_take(part));
    return ok ? fh_take(parts) : NULL;
}

static bool copy_members(fh_json *to, const fh_json *from)
{
    fh_str key;
    const fh_json *value;
    for (void *it = NULL; fh_json_next(from, &it, &key, &value);)
        if (!fh_wire_absent(value) && !fh_wire_set_str(to, key, share(value))) return false;
    return true;
}

static fh_json *whole_item(const keeper *k, const fh_json *item, const char *type)
{
    static const char *const prefixes[][2] = {
        {"message", "msg"}, {"function_call", "fc"}, {"function_call_output", "fco"}, {"reasoning", "rs"}};
    const char *prefix = "item";
    for (size_t i = 0; i < FH_COUNT(prefixes); i++)
        if (strcmp(type, prefixes[i][0]) == 0) prefix = prefixes[i][1];
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool message = strcmp(type, "message") == 0;
    bool ok = o && fh_json_set(o, "type", fh_json_new_cstr(type)) && copy_members(o, item); /* type stands first */
    ok = ok && fh_json_set(o, "type", fh_json_new_cstr(type));
    if (ok && !fh_json_str(fh_json_get(o, "id")).len) ok = fh_json_set(o, "id", new_id(k, prefix));
    if (ok && !fh_json_str(fh_json_get(o, "status")).len) ok = fh_json_set(o, "status", fh_json_new_cstr("completed"));
    bool assistant = fh_str_eqs(fh_json_str(fh_json_get(o, "role")), "assistant");
    const fh_json *said = fh_json_get(o, "content"); /* one without is refused when the chat is made */
    if (ok && message && said) ok = fh_json_set(o, "content", listed_content(said, assistant));
    return ok ? fh_take(o) : NULL;
}

static int keep_item(keeper *k, const fh_json *item, size_t i, fh_err **err)
{
    char where[48];
    const char *type = fh_wire_responses_item_type(item);
    snprintf(where, sizeof where, "input[%zu]", i);
    if (type && strcmp(type, "item_reference") == 0) {
        if (++k->references > FH_LIMIT_RESPONSES_REFERENCES)
            return fh_wire_bad(err, where, "the input refers to more than %d items", FH_LIMIT_RESPONSES_REFERENCES);
        item = k->find ? k->find(k->ctx, fh_json_str(fh_json_get(item, "id"))) : NULL;
        type = fh_wire_responses_item_type(item);
        if (!type) return fh_wire_below(fh_wire_bad(err, "id", "no item with the id that the input refers to is kept here"), err, where);
    }
    if (!type) return fh_wire_responses_bad_type(item, where, err);
    return fh_json_append(k->items, whole_item(k, item, type)) ? 0 : fh_err_nomem(err);
}

static int keep_text(keeper *k, const fh_json *text, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "role", fh_json_new_cstr("user")) && fh_json_set(o, "content", share(text));
    ok = ok && fh_json_append(k->items, whole_item(k, o, "message"));
    return ok ? 0 : fh_err_nomem(err);
}

int fh_wire_responses_input(const fh_json *doc, const char *id, fh_wire_item_find *find, void *ctx, fh_json **ret_items, fh_err **err)
{
    const fh_json *input = fh_json_get(doc, "input");
    FH_AUTO(json) fh_json *items = fh_json_new_array();
    keeper k = {strncmp(id, "resp_", 5) == 0 ? id + 5 : id, find, ctx, items, 0};
    int rc = items ? 0 : fh_err_nomem(err);
    if (rc == 0 && fh_json_kind_of(input) == FH_JSON_STRING) rc = keep_text(&k, input, err);
    bool list = fh_json_kind_of(input) == FH_JSON_ARRAY;
    if (rc == 0 && list && fh_json_count(input) > FH_LIMIT_RESPONSES_ITEMS)
        rc = fh_wire_bad(err, "input", "'input' holds more than %d items", FH_LIMIT_RESPONSES_ITEMS);
    for (size_t i = 0; rc == 0 && list && i < fh_json_count(input); i++) rc = keep_item(&k, fh_json_at(input, i), i, err);
    if (rc == 0) *ret_items = fh_take(items);
    return rc;
}
