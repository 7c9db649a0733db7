/* The messages of a Messages request, made into those of a chat. Neighbours of one role are one turn; the results of tools become messages
 * of their own before the rest of the turn that brings them; every call has its result in the turn behind it, and nowhere else. A turn of
 * the assistant at the end is one that the answer goes on with. */
#include "messages_private.h"

#include "base/limits.h"
#include <ctype.h>

int fh_msg_turn_init(fh_msg_turn *t, fh_msg *m, fh_msg_place place, fh_err **err)
{
    *t = (fh_msg_turn){.m = m, .place = place, .parts = fh_json_new_array(), .thoughts = FH_BUF(FH_LIMIT_JSON_BODY_BYTES)};
    return t->parts ? 0 : fh_err_nomem(err);
}

void fh_msg_turn_fini(fh_msg_turn *t)
{
    fh_json_unref(t->parts);
    fh_json_unref(t->calls);
    fh_buf_fini(&t->thoughts);
    *t = (fh_msg_turn){0};
}

fh_json *fh_msg_content(const fh_json *parts)
{
    fh_str only = fh_json_str(fh_json_get(fh_json_at(parts, 0), "text"));
    if (!fh_json_count(parts)) return fh_json_new_null();
    return fh_json_count(parts) == 1 && only.ptr ? fh_json_new_str(only) : fh_msg_share(parts);
}

static bool turn_is_empty(const fh_msg_turn *t)
{
    return !fh_json_count(t->parts) && !t->calls && !t->thoughts.len;
}

/* The turn as a chat message. */
static fh_json *turn_message(const fh_msg_turn *t)
{
    static const char *const roles[] = {[FH_MSG_SYSTEM] = "system", [FH_MSG_USER] = "user", [FH_MSG_ASSISTANT] = "assistant"};
    FH_AUTO(json) fh_json *m = fh_json_new_object();
    bool ok = m && fh_json_set(m, "role", fh_json_new_cstr(roles[t->place])) && fh_json_set(m, "content", fh_msg_content(t->parts));
    if (ok && t->thoughts.len) {
        fh_str thoughts = {fh_buf_cstr(&t->thoughts), t->thoughts.len};
        ok = fh_json_set(m, "reasoning_content", fh_json_new_str(thoughts));
    }
    if (ok && t->calls) ok = fh_json_set(m, "tool_calls", fh_json_ref(t->calls));
    return ok ? fh_take(m) : NULL;
}

static int missing_results(const fh_msg *m, const char *path, fh_err **err)
{
    fh_str id;
    const fh_json *answered;
    void *it = NULL;
    while (fh_json_next(m->ids, &it, &id, &answered) && fh_json_is_true(answered)) continue;
    return fh_wire_bad(err, path, "the tool_use '%.*s' has no tool_result in the message behind it", (int)id.len, id.ptr);
}

/* The turn is over: its message is one of the chat's. path: of the message that ended it. */
static int turn_close(fh_msg_turn *t, const char *path, fh_err **err)
{
    fh_msg *m = t->m;
    if (m->open && t->place != FH_MSG_ASSISTANT) return missing_results(m, path, err);
    if (turn_is_empty(t)) return 0;
    return fh_json_append(m->list, turn_message(t)) ? 0 : fh_err_nomem(err);
}

static int turn_change(fh_msg_turn *t, fh_msg_place place, const char *path, fh_err **err)
{
    fh_msg *m = t->m;
    if (t->place == place) return 0;
    int rc = turn_close(t, path, err);
    if (rc < 0) return rc;
    fh_msg_turn_fini(t);
    return fh_msg_turn_init(t, m, place, err);
}

/* One message. */

static int read_role(const fh_json *message, const char *path, fh_msg_place *ret, fh_err **err)
{
    fh_str role = {NULL, 0};
    int rc = fh_msg_read_str(message, path, "role", true, &role, err);
    if (rc < 0) return rc;
    if (fh_str_eqs(role, "user"))
        *ret = FH_MSG_USER;
    else if (fh_str_eqs(role, "assistant"))
        *ret = FH_MSG_ASSISTANT;
    else if (fh_str_eqs(role, "system"))
        *ret = FH_MSG_SYSTEM;
    else
        return fh_wire_bad(err, fh_msg_member(path, "role").at, "the role of a message is user, assistant or system");
    return 0;
}

/* What system messages may say beyond their text. */
static int check_system(fh_msg *m, const fh_json *message, const char *path, fh_err **err)
{
    fh_str clear = fh_json_str(fh_json_get(message, "clear_at"));
    int rc = 0;
    if (!fh_wire_absent(fh_json_get(message, "clear_at")) && !fh_str_eqs(clear, "never"))
        rc = fh_msg_native(m, fh_msg_member(path, "clear_at").at, "a message that vanishes", err);
    if (rc == 0 && fh_json_count(fh_json_get(message, "output_config")))
        rc = fh_msg_native(m, fh_msg_member(path, "output_config").at, "an output_config of one message", err);
    return rc;
}

static int take_message(fh_msg_turn *t, const fh_json *message, const char *path, bool last, fh_err **err)
{
    static const char *const plain[] = {"role", "content", NULL};
    static const char *const system[] = {"role", "content", "clear_at", "output_config", NULL};
    fh_msg_place place = FH_MSG_USER;
    const fh_json *content = fh_json_get(message, "content");
    fh_msg_path at = fh_msg_member(path, "content");
    int rc = fh_msg_object(message, path, err);
    if (rc == 0) rc = read_role(message, path, &place, err);
    if (rc == 0) rc = fh_msg_members(message, path, place == FH_MSG_SYSTEM ? system : plain, err);
    if (rc == 0 && place == FH_MSG_SYSTEM) rc = check_system(t->m, message, path, err);
    if (rc == 0) rc = turn_change(t, place, path, err);
    fh_msg_context_turn(t->m, message);
    if (rc == 0) rc = fh_msg_blocks(t, content, at.at, err);
    if (rc < 0) return rc;
    bool empty = fh_json_kind_of(content) == FH_JSON_STRING ? !fh_json_str(content).len : !fh_json_count(content);
    if (!empty || (last && place == FH_MSG_ASSISTANT)) return 0;
    return fh_wire_bad(err, at.at, "all messages must have non-empty content, but for an optional final one of the assistant");
}

/* The end: an answer that goes on from the last turn goes on behind a character that shows. */
static int end_with_assistant(fh_msg *m, const fh_msg_turn *t, const char *path, fh_err **err)
{
    size_t count = fh_json_count(t->parts);
    if (!count && t->thoughts.len)
        return fh_wire_bad(err, fh_msg_member(path, "content").at, "the final content of the assistant cannot end with a thought");
    if (!count) return 0;
    fh_str text = fh_json_str(fh_json_get(fh_json_at(t->parts, count - 1), "text"));
    if (text.len && isspace((unsigned char)text.ptr[text.len - 1]))
        return fh_wire_bad(err, fh_msg_member(path, "content").at, "the final content of the assistant cannot end with white space");
    bool ok = m->counting || (fh_json_set(m->chat, "continue_final_message", fh_json_new_bool(true)) &&
                              fh_json_set(m->chat, "add_generation_prompt", fh_json_new_bool(false)));
    return ok ? 0 : fh_err_nomem(err);
}

static int take_all(fh_msg_turn *t, const fh_json *messages, fh_err **err)
{
    fh_msg *m = t->m;
    size_t count = fh_json_count(messages);
    fh_msg_path path = fh_msg_item("messages", 0);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        path = fh_msg_item("messages", i);
        rc = take_message(t, fh_json_at(messages, i), path.at, i + 1 == count, err);
    }
    if (rc == 0 && t->place == FH_MSG_ASSISTANT && m->open) return missing_results(m, path.at, err);
    if (rc == 0 && t->place == FH_MSG_ASSISTANT) rc = end_with_assistant(m, t, path.at, err);
    return rc == 0 ? turn_close(t, path.at, err) : rc;
}

/* The system prompt stands first, and a system message behind it joins it. */
static int take_system(fh_msg_turn *t, fh_err **err)
{
    const fh_json *system = fh_json_get(t->m->doc, "system");
    return fh_wire_absent(system) ? 0 : fh_msg_blocks(t, system, "system", err);
}

int fh_msg_turns(fh_msg *m, fh_err **err)
{
    const fh_json *messages = fh_json_get(m->doc, "messages");
    size_t count = fh_json_count(messages);
    if (fh_wire_absent(messages)) return fh_wire_bad(err, "messages", "'messages' is missing");
    if (fh_json_kind_of(messages) != FH_JSON_ARRAY || !count)
        return fh_wire_bad(err, "messages", "'messages' must be an array of at least one message");
    if (count > FH_LIMIT_CHAT_MESSAGES)
        return fh_wire_bad(err, "messages", "'messages' holds %zu messages; at most %d are taken", count, FH_LIMIT_CHAT_MESSAGES);
    fh_msg_turn t;
    int rc = fh_msg_turn_init(&t, m, FH_MSG_SYSTEM, err);
    if (rc < 0) return rc;
    rc = take_system(&t, err);
    if (rc == 0) rc = take_all(&t, messages, err);
    fh_msg_turn_fini(&t);
    if (rc == 0 && !fh_json_count(m->list)) rc = fh_wire_bad(err, "messages", "there is nothing in 'messages'");
    return rc;
}
