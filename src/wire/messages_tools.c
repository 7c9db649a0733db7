/* Tools of a Messages request, and the choice among them. Tools that have a type are Anthropic's own, at the server's side or the client's:
 * only an upstream of the same API knows what they are. */
#include "messages_private.h"

#include <stdio.h>

enum { TOOLS = 1024, NAME_MAX_BYTES = 128 };

/* One tool. */

static int check_callers(fh_msg *m, const fh_json *tool, const char *path, fh_err **err)
{
    const fh_json *callers = fh_json_get(tool, "allowed_callers");
    bool later = false;
    int rc = fh_msg_read_bool(tool, path, "defer_loading", &later, err);
    if (rc == 0 && later) rc = fh_msg_native(m, fh_msg_member(path, "defer_loading").at, "a tool that is loaded later", err);
    if (rc < 0 || fh_wire_absent(callers)) return rc;
    if (fh_json_kind_of(callers) != FH_JSON_ARRAY)
        return fh_wire_bad(err, fh_msg_member(path, "allowed_callers").at, "'allowed_callers' must be an array");
    for (size_t i = 0; rc == 0 && i < fh_json_count(callers); i++) {
        if (fh_str_eqs(fh_json_str(fh_json_at(callers, i)), "direct")) continue;
        rc = fh_msg_native(m, fh_msg_member(path, "allowed_callers").at, "a tool that other tools call", err);
    }
    return rc;
}

/* The schema, with the examples in its own member for them. */
static int read_schema(const fh_json *tool, const char *path, fh_json **ret, fh_err **err)
{
    const fh_json *schema = fh_json_get(tool, "input_schema"), *examples = fh_json_get(tool, "input_examples");
    fh_msg_path at = fh_msg_member(path, "input_schema");
    int rc = fh_msg_object(schema, at.at, err);
    if (rc < 0) return rc;
    if (!fh_str_eqs(fh_json_str(fh_json_get(schema, "type")), "object"))
        return fh_wire_bad(err, fh_msg_member(at.at, "type").at, "the input of a tool is of type object");
    if (!fh_wire_absent(examples) && fh_json_kind_of(examples) != FH_JSON_ARRAY)
        return fh_wire_bad(err, fh_msg_member(path, "input_examples").at, "'input_examples' must be an array");
    if (!fh_json_count(examples)) {
        *ret = fh_msg_share(schema);
        return 0;
    }
    FH_AUTO(json) fh_json *copy = fh_json_new_object();
    if (!fh_msg_merge(copy, schema) || !fh_msg_copy(copy, tool, "input_examples", "examples")) return fh_err_nomem(err);
    *ret = fh_take(copy);
    return 0;
}

static int read_tool_name(const fh_json *tool, const char *path, fh_str *ret, fh_err **err)
{
    int rc = fh_msg_read_str(tool, path, "name", true, ret, err);
    if (rc < 0 || (ret->len && ret->len <= NAME_MAX_BYTES && !memchr(ret->ptr, 0, ret->len))) return rc;
    return fh_wire_bad(err, fh_msg_member(path, "name").at, "the name of a tool has 1 to %d characters", NAME_MAX_BYTES);
}

static int check_tool(fh_msg *m, const fh_json *tool, const char *path, fh_err **err)
{
    static const char *const members[] = {
        "type",          "name",          "description",           "input_schema",    "strict", "input_examples",
        "cache_control", "defer_loading", "eager_input_streaming", "allowed_callers", NULL};
    bool ignored = false;
    fh_str description = {NULL, 0};
    int rc = fh_msg_members(tool, path, members, err);
    if (rc == 0) rc = fh_msg_cache_control(tool, path, err);
    if (rc == 0) rc = fh_msg_read_str(tool, path, "description", false, &description, err);
    if (rc == 0) rc = fh_msg_read_bool(tool, path, "strict", &ignored, err);
    if (rc == 0) rc = fh_msg_read_bool(tool, path, "eager_input_streaming", &ignored, err);
    return rc == 0 ? check_callers(m, tool, path, err) : rc;
}

static fh_json *new_tool(const fh_json *tool, fh_str name, fh_json *schema)
{
    FH_AUTO(json) fh_json *made = fh_json_new_object(), *function = fh_json_new_object();
    bool ok = made && function && fh_json_set(function, "name", fh_json_new_str(name)) &&
              fh_msg_copy(function, tool, "description", "description") && fh_json_set(function, "parameters", fh_json_ref(schema)) &&
              fh_msg_copy(function, tool, "strict", "strict") && fh_json_set(made, "type", fh_json_new_cstr("function"));
    return ok && fh_json_set(made, "function", fh_take(function)) ? fh_take(made) : NULL;
}

static int native_tool(fh_msg *m, fh_str type, const char *path, fh_err **err)
{
    char what[80];
    snprintf(what, sizeof what, "a tool of type '%.*s'", (int)FH_MIN(type.len, (size_t)48), type.ptr);
    return fh_msg_native(m, path, what, err);
}

static int take_tool(fh_msg *m, const fh_json *tool, const char *path, fh_json *list, fh_json *names, fh_err **err)
{
    FH_AUTO(json) fh_json *schema = NULL;
    fh_str type = {NULL, 0}, name = {NULL, 0};
    int rc = fh_msg_object(tool, path, err);
    if (rc == 0) rc = fh_msg_read_str(tool, path, "type", false, &type, err);
    if (rc == 0 && type.ptr && !fh_str_eqs(type, "custom")) return native_tool(m, type, path, err);
    if (rc == 0) rc = read_tool_name(tool, path, &name, err);
    if (rc == 0) rc = check_tool(m, tool, path, err);
    if (rc == 0) rc = read_schema(tool, path, &schema, err);
    if (rc < 0) return rc;
    if (fh_json_get(names, name.ptr)) return fh_wire_bad(err, fh_msg_member(path, "name").at, "names of tools must be unique");
    bool ok = fh_json_set(names, name.ptr, fh_json_new_bool(true)) && fh_json_append(list, new_tool(tool, name, schema));
    return ok ? 0 : fh_err_nomem(err);
}

/* The choice. */

static fh_json *named_choice(fh_str name)
{
    FH_AUTO(json) fh_json *choice = fh_json_new_object(), *function = fh_json_new_object();
    bool ok = choice && function && fh_json_set(choice, "type", fh_json_new_cstr("function")) &&
              fh_json_set(function, "name", fh_json_new_str(name));
    return ok && fh_json_set(choice, "function", fh_take(function)) ? fh_take(choice) : NULL;
}

static int read_choice(const fh_json *choice, const fh_json *names, fh_json **ret, fh_err **err)
{
    fh_str type = {NULL, 0}, name = {NULL, 0};
    int rc = fh_msg_read_str(choice, "tool_choice", "type", true, &type, err);
    if (rc == 0) rc = fh_msg_read_str(choice, "tool_choice", "name", fh_str_eqs(type, "tool"), &name, err);
    if (rc < 0) return rc;
    if (fh_str_eqs(type, "tool")) {
        if (!name.ptr || strlen(name.ptr) != name.len || !fh_json_get(names, name.ptr))
            return fh_wire_bad(err, "tool_choice.name", "'tools' has no tool of this name");
        *ret = named_choice(name);
    } else if (name.ptr)
        return fh_wire_bad(err, "tool_choice.name", "a name goes with the type 'tool' alone");
    else if (fh_str_eqs(type, "auto") || fh_str_eqs(type, "none"))
        *ret = fh_json_new_str(type);
    else if (fh_str_eqs(type, "any"))
        *ret = fh_json_new_cstr("required");
    else
        return fh_wire_bad(err, "tool_choice.type", "the type of 'tool_choice' is auto, any, tool or none");
    return *ret ? 0 : fh_err_nomem(err);
}

static int take_choice(fh_msg *m, const fh_json *names, fh_err **err)
{
    static const char *const members[] = {"type", "name", "disable_parallel_tool_use", NULL};
    const fh_json *v = fh_json_get(m->doc, "tool_choice");
    fh_json *choice = NULL;
    bool one = false;
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, "tool_choice", err);
    if (rc == 0) rc = fh_msg_members(v, "tool_choice", members, err);
    if (rc == 0) rc = fh_msg_read_bool(v, "tool_choice", "disable_parallel_tool_use", &one, err);
    if (rc == 0) rc = read_choice(v, names, &choice, err);
    if (rc < 0) return rc;
    if (!fh_json_count(fh_json_get(m->doc, "tools"))) {
        bool forced = !fh_json_str(choice).ptr || fh_str_eqs(fh_json_str(choice), "required");
        fh_json_unref(choice);
        return forced ? fh_wire_bad(err, "tool_choice", "'tool_choice' may only be given with 'tools'") : 0;
    }
    bool ok = fh_json_set(m->chat, "tool_choice", choice);
    if (ok && one) ok = fh_json_set(m->chat, "parallel_tool_calls", fh_json_new_bool(false));
    return ok ? 0 : fh_err_nomem(err);
}

int fh_msg_tools(fh_msg *m, fh_err **err)
{
    const fh_json *tools = fh_json_get(m->doc, "tools");
    size_t count = fh_json_count(tools);
    FH_AUTO(json) fh_json *list = fh_json_new_array(), *names = fh_json_new_object();
    if (!list || !names) return fh_err_nomem(err);
    if (!fh_wire_absent(tools) && fh_json_kind_of(tools) != FH_JSON_ARRAY) return fh_wire_bad(err, "tools", "'tools' must be an array");
    if (count > TOOLS) return fh_wire_bad(err, "tools", "'tools' holds %zu tools; at most %d are taken", count, TOOLS);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = take_tool(m, fh_json_at(tools, i), fh_msg_item("tools", i).at, list, names, err);
    if (rc == 0 && fh_json_count(list) && !fh_json_set(m->chat, "tools", fh_take(list))) rc = fh_err_nomem(err);
    return rc == 0 ? take_choice(m, names, err) : rc;
}
