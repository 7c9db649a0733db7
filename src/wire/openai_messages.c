/* Messages and tools of a chat: checked for what templates rely on, and made uniform for them. */
#include "private.h"

#include "base/limits.h"
#include <stdio.h>

enum { TEXT_MAX = FH_LIMIT_JSON_BODY_BYTES, TOOLS = 1024 };

typedef enum role { SYSTEM, DEVELOPER, USER, ASSISTANT, TOOL, FUNCTION, ROLES } role;
static const char *const role_names[ROLES] = {"system", "developer", "user", "assistant", "tool", "function"};

static int read_role(const fh_json *m, size_t i, role *ret, fh_err **err)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].role", i);
    fh_str name = fh_json_str(fh_json_get(m, "role"));
    for (role r = 0; r < ROLES; r++) {
        if (!fh_str_eqs(name, role_names[r])) continue;
        *ret = r;
        return 0;
    }
    if (!name.ptr) return fh_wire_bad(err, param, "message %zu has no role", i);
    return fh_wire_bad(err, param, "the role of message %zu is none of system, developer, user, assistant, tool, function", i);
}

/* Content. */

/* Media: what a part of that type needs, and the member that holds it. */
static const struct {
    const char *type;
    fh_wire_need need;
} media[] = {{"image_url", FH_NEED_IMAGES}, {"input_audio", FH_NEED_AUDIO}, {"file", FH_NEED_FILES}};

static int check_media(fh_wire_request *r, const fh_json *part, fh_str type, const char *param, fh_err **err)
{
    for (size_t i = 0; i < FH_COUNT(media); i++) {
        if (!fh_str_eqs(type, media[i].type)) continue;
        if (fh_json_kind_of(fh_json_get(part, media[i].type)) != FH_JSON_OBJECT)
            return fh_wire_bad(err, param, "a part of type '%s' needs an object '%s'", media[i].type, media[i].type);
        fh_wire_need_add(r, media[i].need, param);
        return 0;
    }
    int len = (int)FH_MIN(type.len, (size_t)32);
    return fh_wire_bad(err, param, "there is no content of type '%.*s'", len, type.ptr);
}

static int check_part(fh_wire_request *q, const fh_json *part, role r, size_t i, size_t k, fh_err **err)
{
    char param[48];
    snprintf(param, sizeof param, "messages[%zu].content[%zu]", i, k);
    fh_str type = fh_json_str(fh_json_get(part, "type"));
    if (!type.ptr) return fh_wire_bad(err, param, "a part of the content of message %zu has no type", i);
    bool refusal = r == ASSISTANT && fh_str_eqs(type, "refusal");
    if (!refusal && !fh_str_eqs(type, "text")) return check_media(q, part, type, param, err);
    if (fh_json_kind_of(fh_json_get(part, refusal ? "refusal" : "text")) == FH_JSON_STRING) return 0;
    return fh_wire_bad(err, param, "a part of the content of message %zu has no text", i);
}

/* An assistant that said nothing in words did something else: called, refused, or only reasoned. */
static bool acted_otherwise(const fh_json *m)
{
    static const char *const members[] = {"function_call", "refusal", "reasoning_content", "reasoning"};
    for (size_t i = 0; i < FH_COUNT(members); i++) {
        if (!fh_wire_absent(fh_json_get(m, members[i]))) return true;
    }
    return fh_json_count(fh_json_get(m, "tool_calls")) > 0;
}

static int check_content(fh_wire_request *q, const fh_json *m, role r, size_t i, fh_err **err)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].content", i);
    const fh_json *v = fh_json_get(m, "content");
    fh_json_kind kind = fh_json_kind_of(v);
    if (kind == FH_JSON_STRING || (kind == FH_JSON_NULL && (r == FUNCTION || (r == ASSISTANT && acted_otherwise(m))))) return 0;
    if (kind != FH_JSON_ARRAY) return fh_wire_bad(err, param, "the content of message %zu must be a string or an array of text parts", i);
    int rc = fh_json_count(v) ? 0 : fh_wire_bad(err, param, "the content of message %zu is an empty array", i);
    for (size_t k = 0; rc == 0 && k < fh_json_count(v); k++) rc = check_part(q, fh_json_at(v, k), r, i, k, err);
    return rc;
}

/* Calls of tools in earlier answers. */

static int check_call(const fh_json *call, size_t i, size_t k, fh_err **err)
{
    char param[96];
    snprintf(param, sizeof param, "messages[%zu].tool_calls[%zu]", i, k);
    const fh_json *f = fh_json_get(call, "function");
    if (fh_json_kind_of(fh_json_get(call, "id")) != FH_JSON_STRING)
        return fh_wire_bad(err, param, "a tool call of message %zu has no id", i);
    if (fh_json_kind_of(fh_json_get(f, "name")) != FH_JSON_STRING)
        return fh_wire_bad(err, param, "a tool call of message %zu names no function", i);
    fh_json_kind kind = fh_json_kind_of(fh_json_get(f, "arguments"));
    if (kind == FH_JSON_STRING || kind == FH_JSON_OBJECT) return 0;
    return fh_wire_bad(err, param, "the arguments of a tool call of message %zu are not a string", i);
}

static int check_calls(const fh_json *m, size_t i, fh_err **err)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].tool_calls", i);
    const fh_json *v = fh_json_get(m, "tool_calls");
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, param, "the tool_calls of message %zu are not an array", i);
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < fh_json_count(v); k++) rc = check_call(fh_json_at(v, k), i, k, err);
    return rc;
}

static int need_string(const fh_json *m, const char *key, bool required, size_t i, fh_err **err)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].%s", i, key);
    fh_json_kind kind = fh_json_kind_of(fh_json_get(m, key));
    if (kind == FH_JSON_STRING || (kind == FH_JSON_NULL && !required)) return 0;
    return fh_wire_bad(err, param, "message %zu needs '%s' to be a string", i, key);
}

static int check_message(fh_wire_request *q, const fh_json *m, size_t i, fh_err **err)
{
    char param[32];
    role r = USER;
    snprintf(param, sizeof param, "messages[%zu]", i);
    if (fh_json_kind_of(m) != FH_JSON_OBJECT) return fh_wire_bad(err, param, "message %zu is not an object", i);
    int rc = read_role(m, i, &r, err);
    if (rc == 0) rc = check_content(q, m, r, i, err);
    if (rc == 0) rc = need_string(m, "name", r == FUNCTION, i, err);
    if (rc == 0 && r == TOOL) rc = need_string(m, "tool_call_id", true, i, err);
    return rc == 0 && r == ASSISTANT ? check_calls(m, i, err) : rc;
}

int fh_wire_messages_check(fh_wire_request *r, fh_err **err)
{
    const fh_json *messages = r->messages;
    size_t count = fh_json_count(messages);
    if (fh_wire_absent(messages)) return fh_wire_bad(err, "messages", "'messages' is missing");
    if (fh_json_kind_of(messages) != FH_JSON_ARRAY || count == 0)
        return fh_wire_bad(err, "messages", "'messages' must be an array of at least one message");
    if (count > FH_LIMIT_CHAT_MESSAGES)
        return fh_wire_bad(err, "messages", "'messages' holds %zu messages; at most %d are taken", count, FH_LIMIT_CHAT_MESSAGES);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = check_message(r, fh_json_at(messages, i), i, err);
    return rc;
}

/* Tools. */

static int check_tool(const fh_json *tool, size_t i, fh_err **err)
{
    char param[64];
    snprintf(param, sizeof param, "tools[%zu]", i);
    const fh_json *f = fh_json_get(tool, "function"), *p = fh_json_get(f, "parameters");
    if (!fh_str_eqs(fh_json_str(fh_json_get(tool, "type")), "function"))
        return fh_wire_bad(err, param, "the type of tool %zu is not 'function', the only one supported", i);
    if (fh_json_str(fh_json_get(f, "name")).len == 0) return fh_wire_bad(err, param, "the function of tool %zu has no name", i);
    if (!fh_wire_absent(p) && fh_json_kind_of(p) != FH_JSON_OBJECT)
        return fh_wire_bad(err, param, "the parameters of tool %zu are not an object", i);
    return 0;
}

/* auto is what a model does by itself, none is done by not showing the tools; more than that needs constrained output. */
static int check_choice(fh_wire_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "tool_choice");
    fh_str choice = fh_json_str(v);
    bool parallel = true;
    if (!fh_wire_absent(v) && !choice.ptr && fh_json_kind_of(v) != FH_JSON_OBJECT)
        return fh_wire_bad(err, "tool_choice", "'tool_choice' must be a string or an object");
    if (!fh_wire_absent(v) && !fh_str_eqs(choice, "auto") && !fh_str_eqs(choice, "none")) fh_wire_need_add(r, FH_NEED_TOOL_CHOICE, NULL);
    if (fh_str_eqs(choice, "none")) r->tools = NULL;
    r->must_name = fh_json_str(fh_json_get(fh_json_get(v, "function"), "name"));
    r->must_call = fh_str_eqs(choice, "required") || (r->must_name.len && fh_str_eqs(fh_json_str(fh_json_get(v, "type")), "function"));
    int rc = fh_json_read_bool(r->doc, "parallel_tool_calls", false, &parallel, err);
    r->one_call = !parallel;
    if (rc == 0 && !parallel && r->tools) fh_wire_need_add(r, FH_NEED_ONE_CALL, NULL);
    return rc;
}

int fh_wire_tools_check(fh_wire_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "tools");
    size_t count = fh_json_count(v);
    if (!fh_wire_absent(v) && fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "tools", "'tools' must be an array");
    if (count > TOOLS) return fh_wire_bad(err, "tools", "'tools' holds %zu tools; at most %d are taken", count, TOOLS);
    r->tools = count ? v : NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = check_tool(fh_json_at(v, i), i, err);
    return rc == 0 ? check_choice(r, err) : rc;
}

fh_str fh_wire_beginning(const fh_wire_request *r)
{
    if (!r->continue_final) return FH_STR("");
    const fh_json *content = fh_json_get(fh_json_at(r->messages, fh_json_count(r->messages) - 1), "content");
    if (fh_json_kind_of(content) == FH_JSON_ARRAY && fh_json_count(content) == 1) content = fh_json_get(fh_json_at(content, 0), "text");
    return fh_json_str(content);
}

/* For templates. */

/* A string as it is, parts joined with line feeds, null as the empty string. */
static fh_json *content_string(const fh_json *v)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_MAX);
    if (fh_json_kind_of(v) == FH_JSON_STRING) return fh_json_new_str(fh_json_str(v));
    for (size_t k = 0; k < fh_json_count(v); k++) {
        const fh_json *part = fh_json_at(v, k);
        fh_str s = fh_json_str(fh_json_get(part, "text"));
        if (!s.ptr) s = fh_json_str(fh_json_get(part, "refusal"));
        if (k) fh_buf_addc(&text, '\n');
        fh_buf_add(&text, s.ptr, s.len);
    }
    return fh_buf_ok(&text) ? fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len}) : NULL;
}

static bool set_member(fh_json *o, fh_str key, fh_json *value)
{
    char *name = fh_strndup(key.ptr, key.len);
    if (!name) fh_json_unref(value);
    bool ok = name && fh_json_set(o, name, value);
    fh_free(name);
    return ok;
}

static fh_json *template_message(const fh_json *m)
{
    FH_AUTO(json) fh_json *copy = fh_json_new_object();
    const fh_json *value;
    fh_str key;
    bool ok = copy != NULL;
    for (void *it = NULL; ok && fh_json_next(m, &it, &key, &value);) {
        bool content = fh_str_eqs(key, "content");
        ok = set_member(copy, key, content ? content_string(value) : fh_json_ref((fh_json *)(uintptr_t)value));
    }
    if (ok && !fh_json_get(copy, "content")) ok = fh_json_set(copy, "content", fh_json_new_cstr(""));
    return ok ? fh_take(copy) : NULL;
}

int fh_wire_template_messages(const fh_wire_request *r, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < fh_json_count(r->messages); i++) ok = fh_json_append(list, template_message(fh_json_at(r->messages, i)));
    if (!ok) return fh_err_nomem(err);
    *ret = fh_take(list);
    return 0;
}
