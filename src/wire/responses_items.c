/* Items of a conversation as chat messages. What the assistant did in one turn (thought, spoke, called functions) is several items here and
 * one message there, so an assistant's message stays open for what follows until somebody else speaks. */
#include "responses_private.h"

#include "base/limits.h"
#include <stdio.h>

enum { PARAM = 64, REASONING_MAX = FH_LIMIT_JSON_BODY_BYTES };

typedef struct chat {
    const fh_json *history;
    fh_json *messages; /* owned */
    fh_json *turn;     /* the assistant's last message, borrowed from messages; NULL when others spoke since */
    size_t references;
} chat;

static int add_item(chat *c, const fh_json *item, const char *where, bool past, fh_err **err);

const char *fh_wire_responses_item_type(const fh_json *item)
{
    static const char *const types[] = {"message", "function_call", "function_call_output", "reasoning", "item_reference"};
    fh_str type = fh_json_str(fh_json_get(item, "type"));
    if (!type.ptr) return fh_json_get(item, "role") ? "message" : fh_json_get(item, "id") ? "item_reference" : NULL;
    for (size_t i = 0; i < FH_COUNT(types); i++)
        if (fh_str_eqs(type, types[i])) return types[i];
    return NULL;
}

int fh_wire_responses_bad_type(const fh_json *item, const char *where, fh_err **err)
{
    fh_str name = fh_json_str(fh_json_get(item, "type"));
    int rc = fh_wire_bad(err, where, "items of type '%.*s' are not supported", (int)FH_MIN(name.len, (size_t)40), name.ptr ? name.ptr : "");
    fh_err_hint(err, "message, function_call, function_call_output, reasoning and item_reference are");
    return rc;
}

/* Messages. */

/* Appends a message of that role without content; borrowed, NULL when memory is out. */
static fh_json *add_message(chat *c, fh_str role)
{
    fh_json *m = fh_json_new_object();
    bool ok = m && fh_json_set(m, "role", fh_json_new_str(role)) && fh_json_set(m, "content", fh_json_new_null());
    if (!ok) fh_json_unref(m);
    ok = ok && fh_json_append(c->messages, m);
    c->turn = ok && fh_str_eqs(role, "assistant") ? m : NULL;
    return ok ? m : NULL;
}

/* The message that the assistant's next words or thought go into: its open one, unless that has spoken or called already. */
static fh_json *turn_for_words(chat *c)
{
    bool silent = c->turn && !fh_json_get(c->turn, "tool_calls") && fh_wire_absent(fh_json_get(c->turn, "content"));
    return silent ? c->turn : add_message(c, FH_STR("assistant"));
}

static int read_role(const fh_json *item, const char *where, fh_str *ret, fh_err **err)
{
    static const char *const roles[] = {"user", "assistant", "system", "developer"};
    int rc = fh_json_read_str(item, "role", true, ret, err);
    if (rc < 0) return fh_wire_below(rc, err, where);
    for (size_t i = 0; i < FH_COUNT(roles); i++)
        if (fh_str_eqs(*ret, roles[i])) return 0;
    rc = fh_wire_bad(err, "role", "the role of a message is none of user, assistant, system, developer");
    return fh_wire_below(rc, err, where);
}

static int take_message(chat *c, const fh_json *item, const char *where, fh_err **err)
{
    char param[PARAM + 16];
    fh_json *content = NULL;
    fh_str role = {NULL, 0};
    int rc = read_role(item, where, &role, err);
    if (rc < 0) return rc;
    bool assistant = fh_str_eqs(role, "assistant");
    snprintf(param, sizeof param, "%s.content", where);
    rc = fh_wire_responses_content(fh_json_get(item, "content"), assistant, param, &content, err);
    if (rc < 0) return rc;
    fh_json *m = assistant ? turn_for_words(c) : add_message(c, role);
    if (!m) fh_json_unref(content);
    return m && fh_json_set(m, "content", content) && pass_on(m, item, "phase") ? 0 : fh_err_nomem(err);
}

/* Functions. */

static const char *const not_ours[] = {"namespace", NULL}; /* belong to tools that the provider runs */

static fh_json *tool_call(const fh_json *item)
{
    FH_AUTO(json) fh_json *call = fh_json_new_object(), *f = fh_json_new_object();
    bool ok = call && f && pass_on(f, item, "name") && pass_on(f, item, "arguments");
    ok = ok && fh_json_set(call, "id", share(fh_json_get(item, "call_id"))) && fh_json_set(call, "type", fh_json_new_cstr("function"));
    ok = ok && fh_json_set(call, "function", fh_take(f));
    return ok ? fh_take(call) : NULL;
}

static int take_call(chat *c, const fh_json *item, const char *where, fh_err **err)
{
    fh_str text = {NULL, 0};
    int rc = fh_wire_refuse_members(item, where, not_ours, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(item, "call_id", true, &text, err);
    if (rc == 0) rc = fh_json_read_str(item, "arguments", true, &text, err);
    if (rc == 0) rc = fh_json_read_str(item, "name", true, &text, err);
    if (rc == 0 && !text.len) rc = fh_wire_bad(err, "name", "a function call has an empty name");
    if (rc < 0) return fh_wire_below(rc, err, where);
    fh_json *m = c->turn ? c->turn : add_message(c, FH_STR("assistant"));
    if (!m) return fh_err_nomem(err);
    if (!fh_json_get(m, "tool_calls") && !fh_json_set(m, "tool_calls", fh_json_new_array())) return fh_err_nomem(err);
    fh_json *calls = (fh_json *)(uintptr_t)fh_json_get(m, "tool_calls"); /* ours: made above */
    return fh_json_append(calls, tool_call(item)) ? 0 : fh_err_nomem(err);
}

static int take_output(chat *c, const fh_json *item, const char *where, fh_err **err)
{
    char param[PARAM + 16];
    fh_json *content = NULL;
    fh_str call_id = {NULL, 0};
    int rc = fh_wire_refuse_members(item, where, not_ours, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(item, "call_id", true, &call_id, err);
    if (rc < 0) return fh_wire_below(rc, err, where);
    snprintf(param, sizeof param, "%s.output", where);
    rc = fh_wire_responses_content(fh_json_get(item, "output"), false, param, &content, err);
    if (rc < 0) return rc;
    fh_json *m = add_message(c, FH_STR("tool"));
    if (!m) fh_json_unref(content);
    bool ok = m && fh_json_set(m, "content", content) && fh_json_set(m, "tool_call_id", share(fh_json_get(item, "call_id")));
    return ok ? 0 : fh_err_nomem(err);
}

/* Reasoning. */

static int add_texts(const fh_json *parts, const char *member, const char *where, fh_buf *text, fh_err **err)
{
    if (!fh_wire_absent(parts) && fh_json_kind_of(parts) != FH_JSON_ARRAY)
        return fh_wire_below(fh_wire_bad(err, member, "'%s' of a reasoning item must be an array", member), err, where);
    for (size_t i = 0; i < fh_json_count(parts); i++) {
        fh_str s = fh_json_str(fh_json_get(fh_json_at(parts, i), "text"));
        if (!s.ptr) return fh_wire_below(fh_wire_bad(err, member, "a part of '%s' has no string 'text'", member), err, where);
        if (text->len) fh_buf_adds(text, "\n");
        fh_buf_add(text, s.ptr, s.len);
    }
    return 0;
}

/* The thought itself where there is one, else its summary. */
static int take_reasoning(chat *c, const fh_json *item, const char *where, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(REASONING_MAX);
    fh_str sealed = {NULL, 0};
    int rc = add_texts(fh_json_get(item, "content"), "content", where, &text, err);
    if (rc == 0 && !text.len) rc = add_texts(fh_json_get(item, "summary"), "summary", where, &text, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(item, "encrypted_content", false, &sealed, err);
    if (rc == 0 && !text.len && sealed.len) {
        rc = fh_wire_bad(err, "encrypted_content", "this reasoning was sealed by another provider and cannot be read here");
        fh_err_hint(err, "leave the reasoning item out");
    }
    if (rc < 0) return fh_wire_below(rc, err, where);
    if (!text.len) return 0;
    rc = fh_buf_check(&text, err, "a reasoning item");
    if (rc < 0) return rc;
    fh_json *m = turn_for_words(c);
    return m && fh_json_set(m, "reasoning_content", fh_json_new_str((fh_str){text.data, text.len})) ? 0 : fh_err_nomem(err);
}

/* References. */

static const fh_json *find_past(const fh_json *history, fh_str id)
{
    for (size_t i = 0; i < fh_json_count(history); i++) {
        const fh_json *item = fh_json_at(history, i);
        if (fh_str_eq(fh_json_str(fh_json_get(item, "id")), id)) return item;
    }
    return NULL;
}

static int take_reference(chat *c, const fh_json *item, const char *where, fh_err **err)
{
    fh_str id = {NULL, 0};
    int rc = fh_json_read_str(item, "id", true, &id, err);
    if (rc == 0 && ++c->references > FH_LIMIT_RESPONSES_REFERENCES)
        rc = fh_wire_bad(err, "id", "the input refers to more than %d items", FH_LIMIT_RESPONSES_REFERENCES);
    if (rc < 0) return fh_wire_below(rc, err, where);
    const fh_json *named = find_past(c->history, id);
    if (named) return add_item(c, named, where, true, err);
    rc = fh_wire_bad(err, "id", "no item with the id that the input refers to is kept here");
    fh_err_hint(err, "send the item itself");
    return fh_wire_below(rc, err, where);
}

/* past: an item of the history, which holds no references. */
static int add_item(chat *c, const fh_json *item, const char *where, bool past, fh_err **err)
{
    const char *type = fh_wire_responses_item_type(item);
    if (type && strcmp(type, "message") == 0) return take_message(c, item, where, err);
    if (type && strcmp(type, "function_call") == 0) return take_call(c, item, where, err);
    if (type && strcmp(type, "function_call_output") == 0) return take_output(c, item, where, err);
    if (type && strcmp(type, "reasoning") == 0) return take_reasoning(c, item, where, err);
    if (type && !past) return take_reference(c, item, where, err);
    return fh_wire_responses_bad_type(item, where, err);
}

/* Whole requests. */

static int add_items(chat *c, const fh_json *items, const char *name, bool past, fh_err **err)
{
    char where[PARAM];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(items); i++) {
        snprintf(where, sizeof where, "%s[%zu]", name, i);
        rc = add_item(c, fh_json_at(items, i), where, past, err);
    }
    return rc;
}

static int add_input(chat *c, const fh_json *input, fh_err **err)
{
    if (fh_json_kind_of(input) == FH_JSON_ARRAY) return add_items(c, input, "input", false, err);
    if (fh_wire_absent(input) && c->history) return 0;
    if (fh_wire_absent(input)) return fh_wire_bad(err, "input", "'input' is missing");
    if (fh_json_kind_of(input) != FH_JSON_STRING) return fh_wire_bad(err, "input", "'input' must be a string or an array of items");
    fh_json *m = add_message(c, FH_STR("user"));
    return m && fh_json_set(m, "content", share(input)) ? 0 : fh_err_nomem(err);
}

static int add_instructions(chat *c, const fh_json *doc, fh_err **err)
{
    fh_str text = {NULL, 0};
    int rc = fh_json_read_str(doc, "instructions", false, &text, err);
    if (rc < 0 || !text.ptr) return rc;
    fh_json *m = add_message(c, FH_STR("system"));
    return m && fh_json_set(m, "content", share(fh_json_get(doc, "instructions"))) ? 0 : fh_err_nomem(err);
}

static int add_all(chat *c, const fh_json *doc, fh_err **err)
{
    const fh_json *input = fh_json_get(doc, "input");
    size_t count = fh_json_count(c->history) + fh_json_count(input);
    if (count > FH_LIMIT_RESPONSES_ITEMS)
        return fh_wire_bad(err, "input", "the conversation holds %zu items; at most %d are taken", count, FH_LIMIT_RESPONSES_ITEMS);
    int rc = add_instructions(c, doc, err);
    if (rc == 0) rc = add_items(c, c->history, "previous_response_id", true, err);
    if (rc == 0) rc = add_input(c, input, err);
    if (rc == 0 && !fh_json_count(c->messages)) rc = fh_wire_bad(err, "input", "'input' holds nothing to answer");
    return rc;
}

int fh_wire_responses_messages(const fh_json *doc, const fh_json *history, fh_json *ret_chat, fh_err **err)
{
    chat c = {.history = history, .messages = fh_json_new_array()};
    int rc = c.messages ? add_all(&c, doc, err) : fh_err_nomem(err);
    if (rc == 0 && !fh_json_set(ret_chat, "messages", share(c.messages))) rc = fh_err_nomem(err);
    fh_json_unref(c.messages);
    return rc;
}
