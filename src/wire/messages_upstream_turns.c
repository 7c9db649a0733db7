/* The messages of a chat as turns of the Messages API: system messages at the start are the system prompt, neighbours of one role are one
 * turn, and the results of tools are blocks of the user's. */
#include "messages_upstream.h"

#include "base/limits.h"
#include <ctype.h>
#include <stdio.h>

int fh_up_refuse(fh_err **err, const char *param, const char *what)
{
    int rc = fh_wire_bad(err, param, "%s cannot be said to this model's place, which speaks the Messages API", what);
    fh_err_hint(err, "leave '%s' out", param);
    return rc;
}

typedef struct turns {
    fh_json *list;    /* borrowed; of the request */
    fh_json *blocks;  /* owned; of the turn being gathered */
    const char *role; /* of it; NULL before the first */
} turns;

/* Ids there have letters, digits, '_' and '-' only. Call and result change alike. */
static fh_json *call_id(fh_str id)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    for (size_t i = 0; i < id.len && i < 1024; i++) {
        unsigned char c = (unsigned char)id.ptr[i];
        fh_buf_addc(&text, isalnum(c) || c == '-' ? (char)c : '_');
    }
    return fh_buf_ok(&text) ? fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len}) : NULL;
}

/* Arguments are text in a chat and an object there. What a model wrote wrongly stays to be seen. */
static int read_input(const fh_json *arguments, fh_json **ret, fh_err **err)
{
    fh_str text = fh_json_str(arguments);
    FH_AUTO(json) fh_json *input = NULL;
    if (fh_json_kind_of(arguments) == FH_JSON_OBJECT) {
        *ret = fh_msg_share(arguments);
        return 0;
    }
    if (text.len && fh_json_parse(&input, text, FH_LIMIT_JSON_BODY_BYTES, NULL) == FH_E_NOMEM) return fh_err_nomem(err);
    if (fh_json_kind_of(input) != FH_JSON_OBJECT) {
        fh_json_unref(input);
        input = fh_json_new_object();
        if (!input || (text.len && !fh_json_set(input, FH_MSG_BROKEN_INPUT, fh_json_new_str(text)))) return fh_err_nomem(err);
    }
    *ret = fh_take(input);
    return 0;
}

static int add_call(turns *t, const fh_json *call, const char *path, fh_err **err)
{
    const fh_json *function = fh_json_get(call, "function");
    fh_str id = {NULL, 0}, name = {NULL, 0};
    FH_AUTO(json) fh_json *input = NULL, *block = fh_json_new_object();
    int rc = fh_msg_read_str(call, path, "id", true, &id, err);
    if (rc == 0) rc = fh_msg_read_str(function, fh_msg_member(path, "function").at, "name", true, &name, err);
    if (rc == 0) rc = read_input(fh_json_get(function, "arguments"), &input, err);
    if (rc < 0) return rc;
    bool ok = block && fh_json_set(block, "type", fh_json_new_cstr("tool_use")) && fh_json_set(block, "id", call_id(id)) &&
              fh_json_set(block, "name", fh_json_new_str(name)) && fh_json_set(block, "input", fh_take(input));
    return ok && fh_json_append(t->blocks, fh_take(block)) ? 0 : fh_err_nomem(err);
}

static int add_calls(turns *t, const fh_json *message, const char *path, fh_err **err)
{
    const fh_json *calls = fh_json_get(message, "tool_calls");
    fh_msg_path at = fh_msg_member(path, "tool_calls");
    int rc = 0;
    if (!fh_wire_absent(fh_json_get(message, "function_call")))
        return fh_up_refuse(err, fh_msg_member(path, "function_call").at, "a call of the functions API that tools replaced");
    for (size_t i = 0; rc == 0 && i < fh_json_count(calls); i++) rc = add_call(t, fh_json_at(calls, i), fh_msg_item(at.at, i).at, err);
    return rc;
}

static int add_assistant(turns *t, const fh_json *message, const char *path, fh_err **err)
{
    int rc = fh_up_blocks(t->blocks, fh_json_get(message, "content"), fh_msg_member(path, "content").at, err);
    if (rc == 0) rc = fh_up_blocks(t->blocks, fh_json_get(message, "refusal"), fh_msg_member(path, "refusal").at, err);
    return rc == 0 ? add_calls(t, message, path, err) : rc;
}

static int add_result(turns *t, const fh_json *message, const char *path, fh_err **err)
{
    fh_str id = {NULL, 0};
    FH_AUTO(json) fh_json *content = fh_json_new_array(), *block = fh_json_new_object();
    if (!content || !block) return fh_err_nomem(err);
    int rc = fh_msg_read_str(message, path, "tool_call_id", true, &id, err);
    if (rc == 0) rc = fh_up_blocks(content, fh_json_get(message, "content"), fh_msg_member(path, "content").at, err);
    if (rc < 0) return rc;
    bool ok = fh_json_set(block, "type", fh_json_new_cstr("tool_result")) && fh_json_set(block, "tool_use_id", call_id(id));
    if (ok && fh_json_count(content)) ok = fh_json_set(block, "content", fh_take(content));
    return ok && fh_json_append(t->blocks, fh_take(block)) ? 0 : fh_err_nomem(err);
}

/* The turn so far, into the list. One that says nothing is left out. */
static int close_turn(turns *t, fh_err **err)
{
    if (!t->role || !fh_json_count(t->blocks)) return 0;
    FH_AUTO(json) fh_json *message = fh_json_new_object(), *blocks = fh_take(t->blocks);
    t->blocks = fh_json_new_array();
    bool ok =
        message && t->blocks && fh_json_set(message, "role", fh_json_new_cstr(t->role)) && fh_json_set(message, "content", fh_take(blocks));
    return ok && fh_json_append(t->list, fh_take(message)) ? 0 : fh_err_nomem(err);
}

static int turn_to(turns *t, const char *role, fh_err **err)
{
    if (t->role && strcmp(t->role, role) == 0) return 0;
    int rc = close_turn(t, err);
    t->role = role;
    return rc;
}

static int add_message(turns *t, const fh_json *message, const char *path, fh_err **err)
{
    fh_str role = fh_json_str(fh_json_get(message, "role"));
    fh_msg_path content = fh_msg_member(path, "content");
    bool assistant = fh_str_eqs(role, "assistant"), tool = fh_str_eqs(role, "tool"), user = fh_str_eqs(role, "user");
    bool system = fh_str_eqs(role, "system") || fh_str_eqs(role, "developer");
    if (!fh_wire_absent(fh_json_get(message, "name"))) return fh_up_refuse(err, fh_msg_member(path, "name").at, "the name of who speaks");
    if (!assistant && !tool && !user && !system) return fh_up_refuse(err, fh_msg_member(path, "role").at, "a message of this role");
    int rc = turn_to(t, assistant ? "assistant" : system ? "system" : "user", err);
    if (rc < 0) return rc;
    if (assistant) return add_assistant(t, message, path, err);
    return tool ? add_result(t, message, path, err) : fh_up_blocks(t->blocks, fh_json_get(message, "content"), content.at, err);
}

/* System messages before all others are the system prompt. */
static int set_system(fh_up *u, turns *t, fh_err **err)
{
    const fh_json *first = fh_json_at(t->list, 0);
    FH_AUTO(json) fh_json *rest = fh_json_new_array();
    if (!fh_str_eqs(fh_json_str(fh_json_get(first, "role")), "system")) return 0;
    bool ok = rest && fh_json_set(u->out, "system", fh_msg_content(fh_json_get(first, "content")));
    for (size_t i = 1; ok && i < fh_json_count(t->list); i++) ok = fh_json_append(rest, fh_msg_share(fh_json_at(t->list, i)));
    return ok && fh_json_set(u->out, "messages", fh_take(rest)) ? 0 : fh_err_nomem(err);
}

/* There, an assistant at the end is what the answer goes on with; in a chat, only if the request says so. */
static int check_end(const fh_up *u, fh_err **err)
{
    const fh_json *messages = fh_json_get(u->out, "messages"), *last = fh_json_at(messages, fh_json_count(messages) - 1);
    if (!last) return fh_wire_bad(err, "messages", "'messages' has nothing that an answer could follow");
    if (!fh_str_eqs(fh_json_str(fh_json_get(last, "role")), "assistant")) return 0;
    if (fh_json_is_true(fh_json_get(u->chat, "continue_final_message"))) return 0;
    return fh_up_refuse(err, "messages", "a second message of the assistant behind the first");
}

int fh_up_turns(fh_up *u, fh_err **err)
{
    const fh_json *messages = fh_json_get(u->chat, "messages");
    turns t = {.list = fh_json_new_array(), .blocks = fh_json_new_array()};
    int rc = t.list && t.blocks ? 0 : fh_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(messages); i++)
        rc = add_message(&t, fh_json_at(messages, i), fh_msg_item("messages", i).at, err);
    if (rc == 0) rc = close_turn(&t, err);
    if (rc == 0 && !fh_json_set(u->out, "messages", fh_json_ref(t.list))) rc = fh_err_nomem(err);
    if (rc == 0) rc = set_system(u, &t, err);
    if (rc == 0) rc = check_end(u, err);
    fh_json_unref(t.list);
    fh_json_unref(t.blocks);
    return rc;
}
