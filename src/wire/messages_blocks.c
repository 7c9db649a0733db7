/* Content blocks of a Messages request: which may stand where, with which members, and what each becomes in a chat message. Blocks that
 * only an upstream of the same API understands are known by name, so that their refusal can say so. */
#include "messages_private.h"

#include <stdio.h>

enum { ID_MAX = 256 };

int fh_msg_add_part(fh_msg_turn *t, fh_json *part, fh_err **err)
{
    return fh_json_append(t->parts, part) ? 0 : fh_err_nomem(err);
}

/* Ids and names of tools. Wider than Anthropic's letters, digits, '_' and '-': models that put dots and colons into them get them back. */
static bool is_name(fh_str s)
{
    return s.len > 0 && s.len <= ID_MAX && !memchr(s.ptr, 0, s.len);
}

static int read_name(const fh_json *block, const char *path, const char *key, fh_str *ret, fh_err **err)
{
    int rc = fh_msg_read_str(block, path, key, true, ret, err);
    if (rc < 0 || is_name(*ret)) return rc;
    return fh_wire_bad(err, fh_msg_member(path, key).at, "'%s' has 1 to %d characters", key, ID_MAX);
}

/* Text. */

/* Claude Code's first system block: a line for Anthropic's books, another in each request, so that no prefix would ever be found again. */
static bool is_billing_header(fh_str text)
{
    return fh_str_starts(text, FH_STR("x-anthropic-billing-header:")) && !memchr(text.ptr, '\n', text.len);
}

static int take_text(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    fh_str text = {NULL, 0};
    int rc = fh_msg_read_str(block, path, "text", true, &text, err);
    if (rc < 0) return rc;
    if (!text.len && t->place != FH_MSG_RESULT)
        return fh_wire_bad(err, fh_msg_member(path, "text").at, "text content blocks must be non-empty");
    if (fh_json_count(fh_json_get(block, "citations"))) {
        rc = fh_msg_native(t->m, fh_msg_member(path, "citations").at, "text with citations", err);
        if (rc < 0) return rc;
    }
    if (t->place == FH_MSG_SYSTEM && is_billing_header(text)) return 0;
    return fh_msg_add_part(t, fh_msg_text(text), err);
}

/* Thoughts of earlier turns. */

static int take_thinking(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    fh_str text = {NULL, 0}, signature = {NULL, 0};
    int rc = fh_msg_read_str(block, path, "thinking", true, &text, err);
    if (rc == 0) rc = fh_msg_read_str(block, path, "signature", true, &signature, err);
    if (rc < 0 || !text.len || t->m->thoughtful_turns <= t->m->forgotten_turns) return rc;
    if (t->thoughts.len) fh_buf_addc(&t->thoughts, '\n');
    fh_buf_add(&t->thoughts, text.ptr, text.len);
    return fh_buf_check(&t->thoughts, err, "the thoughts of a turn");
}

/* Tool calls of the assistant. */

static fh_json *new_call(fh_str id, fh_str name, const fh_json *input)
{
    FH_AUTO(json) fh_json *call = fh_json_new_object(), *function = fh_json_new_object();
    bool ok = call && function && fh_json_set(function, "name", fh_json_new_str(name)) &&
              fh_json_set(function, "arguments", fh_msg_json_text(input)) && fh_json_set(call, "id", fh_json_new_str(id)) &&
              fh_json_set(call, "type", fh_json_new_cstr("function"));
    if (!ok || !fh_json_set(call, "function", fh_take(function))) return NULL;
    return fh_take(call);
}

/* Only what code executed at Anthropic calls, and members of its toolsets, are not plain calls. */
static int check_caller(fh_msg *m, const fh_json *block, const char *path, fh_err **err)
{
    const fh_json *caller = fh_json_get(block, "caller");
    int rc = 0;
    if (!fh_wire_absent(caller) && !fh_str_eqs(fh_json_str(fh_json_get(caller, "type")), "direct"))
        rc = fh_msg_native(m, fh_msg_member(path, "caller").at, "a tool call by other tools", err);
    if (rc == 0 && !fh_wire_absent(fh_json_get(block, "toolset_name")))
        rc = fh_msg_native(m, fh_msg_member(path, "toolset_name").at, "a toolset", err);
    return rc;
}

static int take_tool_use(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    fh_msg *m = t->m;
    fh_str id = {NULL, 0}, name = {NULL, 0};
    const fh_json *input = fh_json_get(block, "input");
    int rc = read_name(block, path, "id", &id, err);
    if (rc == 0) rc = read_name(block, path, "name", &name, err);
    if (rc == 0) rc = fh_msg_object(input, fh_msg_member(path, "input").at, err);
    if (rc == 0) rc = check_caller(m, block, path, err);
    if (rc < 0) return rc;
    if (fh_json_get(m->ids, id.ptr)) return fh_wire_bad(err, fh_msg_member(path, "id").at, "ids of tool_use blocks must be unique");
    if (!t->calls && !(t->calls = fh_json_new_array())) return fh_err_nomem(err);
    if (!fh_json_append(t->calls, new_call(id, name, input)) || !fh_json_set(m->ids, id.ptr, fh_json_new_bool(false)))
        return fh_err_nomem(err);
    m->open++;
    return 0;
}

/* Results of tools: messages of their own in a chat, before what the user says. */

static fh_json *new_result(fh_str id, const fh_json *parts)
{
    FH_AUTO(json) fh_json *message = fh_json_new_object();
    bool ok = message && fh_json_set(message, "role", fh_json_new_cstr("tool")) &&
              fh_json_set(message, "tool_call_id", fh_json_new_str(id)) &&
              fh_json_set(message, "content", fh_json_count(parts) ? fh_msg_content(parts) : fh_json_new_cstr(""));
    return ok ? fh_take(message) : NULL;
}

/* The result is this one call's, of the turn just before, and the first. */
static int answer_call(fh_msg *m, fh_str id, const char *path, fh_err **err)
{
    const fh_json *answered = fh_json_get(m->ids, id.ptr);
    if (answered && !fh_json_is_true(answered)) {
        m->open--;
        return fh_json_set(m->ids, id.ptr, fh_json_new_bool(true)) ? 0 : fh_err_nomem(err);
    }
    return fh_wire_bad(err, fh_msg_member(path, "tool_use_id").at,
                       answered ? "each tool_use takes one tool_result, and there are two for '%s'"
                                : "'%s' is no tool_use of the message before: each tool_result answers one there",
                       id.ptr);
}

static int result_parts(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    const fh_json *content = fh_json_get(block, "content");
    bool is_error = false;
    int rc = fh_msg_read_bool(block, path, "is_error", &is_error, err);
    if (rc == 0 && is_error) rc = fh_msg_add_part(t, fh_msg_text(FH_STR("Error: ")), err);
    if (rc == 0 && !fh_wire_absent(content)) rc = fh_msg_blocks(t, content, fh_msg_member(path, "content").at, err);
    return rc;
}

/* "Error: " and a first text behind it are one. */
static int join_error(fh_json **parts, const fh_json *block, fh_err **err)
{
    fh_str first = fh_json_str(fh_json_get(fh_json_at(*parts, 1), "text"));
    if (!fh_json_is_true(fh_json_get(block, "is_error")) || !first.ptr) return 0;
    FH_AUTO(json) fh_json *joined = fh_json_new_array(), *text = fh_json_new_object();
    bool ok = joined && text && fh_json_set(text, "type", fh_json_new_cstr("text")) &&
              fh_json_set(text, "text", fh_msg_joined(FH_STR("Error: "), first, FH_STR(""))) && fh_json_append(joined, fh_take(text));
    for (size_t i = 2; ok && i < fh_json_count(*parts); i++) ok = fh_json_append(joined, fh_msg_share(fh_json_at(*parts, i)));
    if (!ok) return fh_err_nomem(err);
    fh_json_unref(*parts);
    *parts = fh_take(joined);
    return 0;
}

static int take_tool_result(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    fh_msg_turn inner = {0};
    fh_str id = {NULL, 0};
    int rc = read_name(block, path, "tool_use_id", &id, err);
    if (rc == 0) rc = answer_call(t->m, id, path, err);
    if (rc == 0 && !fh_wire_absent(fh_json_get(block, "toolset_name")))
        rc = fh_msg_native(t->m, fh_msg_member(path, "toolset_name").at, "a toolset", err);
    if (rc == 0) rc = fh_msg_turn_init(&inner, t->m, FH_MSG_RESULT, err);
    if (rc < 0) return rc;
    rc = result_parts(&inner, block, path, err);
    if (rc == 0) rc = join_error(&inner.parts, block, err);
    if (rc == 0 && !fh_json_append(t->m->list, new_result(id, inner.parts))) rc = fh_err_nomem(err);
    fh_msg_turn_fini(&inner);
    return rc;
}

/* All kinds. take NULL: only an upstream of this API understands it. */
static const struct {
    const char *type;
    unsigned places;
    int (*take)(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err);
    const char *members[6];
} kinds[] = {
    {"text", FH_MSG_SYSTEM | FH_MSG_USER | FH_MSG_ASSISTANT | FH_MSG_RESULT | FH_MSG_SOURCE, take_text, {"text", "citations"}},
    {"image", FH_MSG_USER | FH_MSG_RESULT | FH_MSG_SOURCE, fh_msg_image, {"source", "transformations"}},
    {"document", FH_MSG_USER | FH_MSG_RESULT, fh_msg_document, {"source", "citations", "context", "title"}},
    {"search_result", FH_MSG_USER | FH_MSG_RESULT, fh_msg_search_result, {"source", "title", "content", "citations"}},
    {"thinking", FH_MSG_ASSISTANT, take_thinking, {"thinking", "signature"}},
    {"tool_use", FH_MSG_ASSISTANT, take_tool_use, {"id", "name", "input", "caller", "toolset_name"}},
    {"tool_result", FH_MSG_USER, take_tool_result, {"tool_use_id", "content", "is_error", "toolset_name"}},
    {"redacted_thinking", FH_MSG_ASSISTANT, NULL, {0}},
    {"container_upload", FH_MSG_USER, NULL, {0}},
    {"tool_reference", FH_MSG_RESULT, NULL, {0}},
    {"browser_state", FH_MSG_RESULT, NULL, {0}},
    {"tool_addition", FH_MSG_SYSTEM, NULL, {0}},
    {"tool_removal", FH_MSG_SYSTEM, NULL, {0}},
};

/* Blocks that servers of Anthropic make and take back, wherever they stand. */
static const char *const native_blocks[] = {"server_tool_use",
                                            "web_search_tool_result",
                                            "web_fetch_tool_result",
                                            "code_execution_tool_result",
                                            "bash_code_execution_tool_result",
                                            "text_editor_code_execution_tool_result",
                                            "tool_search_tool_result",
                                            "advisor_tool_result",
                                            "mcp_tool_use",
                                            "mcp_tool_result",
                                            "mcp_tool_listing",
                                            "compaction",
                                            "fallback",
                                            "connector_text",
                                            NULL};

static int take_native(fh_msg_turn *t, fh_str type, const char *path, fh_err **err)
{
    char what[64];
    snprintf(what, sizeof what, "a block of type '%.*s'", (int)FH_MIN(type.len, (size_t)40), type.ptr);
    return fh_msg_native(t->m, path, what, err);
}

static int unknown_block(const fh_msg_turn *t, fh_str type, const char *path, fh_err **err)
{
    static const char *const names[] = {[FH_MSG_SYSTEM] = "system prompts",
                                        [FH_MSG_USER] = "messages of the user",
                                        [FH_MSG_ASSISTANT] = "messages of the assistant",
                                        [FH_MSG_RESULT] = "tool results",
                                        [FH_MSG_SOURCE] = "sources"};
    if (!type.ptr) return fh_wire_bad(err, fh_msg_member(path, "type").at, "a block of content needs a 'type'");
    return fh_wire_bad(err, fh_msg_member(path, "type").at, "there is no block of type '%.*s' in %s", (int)FH_MIN(type.len, (size_t)40),
                       type.ptr, names[t->place]);
}

static int check_members(const fh_json *block, const char *const *own, size_t count, const char *path, fh_err **err)
{
    const char *known[10] = {"type", "cache_control"};
    for (size_t i = 0; i < count; i++) known[i + 2] = own[i];
    int rc = fh_msg_members(block, path, known, err);
    return rc == 0 ? fh_msg_cache_control(block, path, err) : rc;
}

/* Results come first: a chat has them before what the user says, and so has the model seen it. */
static int check_order(const fh_msg_turn *t, fh_str type, const char *path, fh_err **err)
{
    if (t->place != FH_MSG_USER || !t->m->open || fh_str_eqs(type, "tool_result")) return 0;
    return fh_wire_bad(
        err, path, "the message behind tool_use blocks begins with their tool_result blocks; %zu are missing before this one", t->m->open);
}

static int take_block(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    int rc = fh_msg_object(block, path, err);
    if (rc < 0) return rc;
    fh_str type = fh_json_str(fh_json_get(block, "type"));
    if (fh_msg_is_one_of(type, native_blocks)) return take_native(t, type, path, err);
    for (size_t i = 0; i < FH_COUNT(kinds); i++) {
        if (!fh_str_eqs(type, kinds[i].type) || !(kinds[i].places & t->place)) continue;
        if (!kinds[i].take) return take_native(t, type, path, err);
        rc = check_members(block, kinds[i].members, FH_COUNT(kinds[i].members), path, err);
        if (rc == 0) rc = check_order(t, type, path, err);
        return rc == 0 ? kinds[i].take(t, block, path, err) : rc;
    }
    return unknown_block(t, type, path, err);
}

static int take_string(fh_msg_turn *t, fh_str text, const char *path, fh_err **err)
{
    int rc = check_order(t, FH_STR("text"), path, err);
    if (rc < 0 || !text.len) return rc;
    return fh_msg_add_part(t, fh_msg_text(text), err);
}

int fh_msg_blocks(fh_msg_turn *t, const fh_json *content, const char *path, fh_err **err)
{
    fh_json_kind kind = fh_json_kind_of(content);
    if (kind == FH_JSON_STRING) return take_string(t, fh_json_str(content), path, err);
    if (kind != FH_JSON_ARRAY) return fh_wire_bad(err, path, "content must be a string or an array of blocks");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(content); i++) rc = take_block(t, fh_json_at(content, i), fh_msg_item(path, i).at, err);
    return rc;
}
