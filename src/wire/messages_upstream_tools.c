/* Tools of a chat request, and the choice among them, for the Messages API. */
#include "messages_upstream.h"

static fh_json *any_object(void)
{
    FH_AUTO(json) fh_json *schema = fh_json_new_object();
    return schema && fh_json_set(schema, "type", fh_json_new_cstr("object")) ? fh_take(schema) : NULL;
}

static int add_tool(fh_json *list, const fh_json *tool, const char *path, fh_err **err)
{
    const fh_json *function = fh_json_get(tool, "function"), *parameters = fh_json_get(function, "parameters");
    fh_str type = {NULL, 0}, name = {NULL, 0};
    int rc = fh_msg_read_str(tool, path, "type", true, &type, err);
    if (rc == 0 && !fh_str_eqs(type, "function")) rc = fh_up_refuse(err, fh_msg_member(path, "type").at, "a tool that is no function");
    if (rc == 0) rc = fh_msg_read_str(function, fh_msg_member(path, "function").at, "name", true, &name, err);
    if (rc < 0) return rc;
    FH_AUTO(json) fh_json *made = fh_json_new_object();
    bool ok = made && fh_json_set(made, "name", fh_json_new_str(name)) && fh_msg_copy(made, function, "description", "description") &&
              fh_json_set(made, "input_schema", fh_wire_absent(parameters) ? any_object() : fh_msg_share(parameters)) &&
              fh_msg_copy(made, function, "strict", "strict");
    return ok && fh_json_append(list, fh_take(made)) ? 0 : fh_err_nomem(err);
}

static int read_choice(const fh_json *v, fh_json *choice, fh_err **err)
{
    fh_str word = fh_json_str(v), name = fh_json_str(fh_json_get(fh_json_get(v, "function"), "name"));
    const char *type = fh_wire_absent(v) || fh_str_eqs(word, "auto") ? "auto"
                       : fh_str_eqs(word, "none")                    ? "none"
                       : fh_str_eqs(word, "required")                ? "any"
                       : name.len                                    ? "tool"
                                                                     : NULL;
    if (!type) return fh_up_refuse(err, "tool_choice", "a choice of tools other than auto, none, required or one function");
    bool ok = fh_json_set(choice, "type", fh_json_new_cstr(type));
    if (ok && name.len) ok = fh_json_set(choice, "name", fh_json_new_str(name));
    return ok ? 0 : fh_err_nomem(err);
}

static int set_choice(fh_up *u, fh_err **err)
{
    const fh_json *v = fh_json_get(u->chat, "tool_choice");
    bool parallel = true, none = fh_str_eqs(fh_json_str(v), "none");
    int rc = fh_json_read_bool(u->chat, "parallel_tool_calls", false, &parallel, err);
    if (rc < 0 || (fh_wire_absent(v) && parallel)) return rc;
    FH_AUTO(json) fh_json *choice = fh_json_new_object();
    if (!choice) return fh_err_nomem(err);
    rc = read_choice(v, choice, err);
    if (rc < 0) return rc;
    bool ok = parallel || none || fh_json_set(choice, "disable_parallel_tool_use", fh_json_new_bool(true));
    return ok && fh_json_set(u->out, "tool_choice", fh_take(choice)) ? 0 : fh_err_nomem(err);
}

int fh_up_tools(fh_up *u, fh_err **err)
{
    const fh_json *tools = fh_json_get(u->chat, "tools");
    if (!fh_json_count(tools)) return 0;
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    int rc = list ? 0 : fh_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(tools); i++) rc = add_tool(list, fh_json_at(tools, i), fh_msg_item("tools", i).at, err);
    if (rc == 0 && !fh_json_set(u->out, "tools", fh_take(list))) rc = fh_err_nomem(err);
    return rc == 0 ? set_choice(u, err) : rc;
}
