/* Tools, the choice among them, and the format of the answer. Functions are the client's own and go on; tools that a provider would run
 * (search, code, computers) are refused by name, because nobody here would run them. */
#include "responses_private.h"

#include <stdio.h>

enum { TOOLS = 1024, ALLOWED = 128, PARAM = 64 };

/* Tools. */

static int check_callers(const fh_json *tool, const char *where, fh_err **err)
{
    const fh_json *callers = fh_json_get(tool, "allowed_callers");
    for (size_t i = 0; i < fh_json_count(callers); i++)
        if (fh_str_eqs(fh_json_str(fh_json_at(callers, i)), "direct")) return 0;
    if (!fh_json_count(callers)) return 0;
    return fh_wire_below(fh_wire_bad(err, "allowed_callers", "functions are called by the model alone here"), err, where);
}

/* A switch that may only be off. */
static int want_off(const fh_json *tool, const char *key, fh_err **err)
{
    bool on = false;
    int rc = fh_json_read_bool(tool, key, false, &on, err);
    return rc == 0 && on ? fh_wire_bad(err, key, "'%s' of a function is not supported", key) : rc;
}

static int check_function(const fh_json *tool, const char *where, fh_err **err)
{
    static const char *const refused[] = {"output_schema", NULL};
    bool strict;
    fh_str text = {NULL, 0};
    const fh_json *p = fh_json_get(tool, "parameters");
    int rc = fh_wire_refuse_members(tool, where, refused, err);
    if (rc == 0) rc = check_callers(tool, where, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(tool, "description", false, &text, err);
    if (rc == 0) rc = fh_json_read_bool(tool, "strict", false, &strict, err);
    if (rc == 0) rc = want_off(tool, "defer_loading", err);
    if (rc == 0) rc = want_off(tool, "async", err);
    if (rc == 0) rc = fh_json_read_str(tool, "name", true, &text, err);
    if (rc == 0 && !text.len) rc = fh_wire_bad(err, "name", "a function has an empty name");
    if (rc == 0 && !fh_wire_absent(p) && fh_json_kind_of(p) != FH_JSON_OBJECT)
        rc = fh_wire_bad(err, "parameters", "'parameters' of a function must be an object");
    return fh_wire_below(rc, err, where);
}

static fh_json *chat_tool(const fh_json *tool)
{
    FH_AUTO(json) fh_json *t = fh_json_new_object(), *f = fh_json_new_object();
    bool ok = t && f && pass_on(f, tool, "name") && pass_on(f, tool, "description") && pass_on(f, tool, "parameters");
    ok = ok && pass_on(f, tool, "strict") && fh_json_set(t, "type", fh_json_new_cstr("function"));
    ok = ok && fh_json_set(t, "function", fh_take(f));
    return ok ? fh_take(t) : NULL;
}

static int take_tool(const fh_json *tool, size_t i, fh_json *list, fh_err **err)
{
    char where[PARAM];
    snprintf(where, sizeof where, "tools[%zu]", i);
    fh_str type = fh_json_str(fh_json_get(tool, "type"));
    if (!type.ptr) return fh_wire_bad(err, where, "tool %zu has no type", i);
    if (!fh_str_eqs(type, "function")) {
        int rc = fh_wire_bad(err, where, "the tool '%.*s' is not offered here", (int)FH_MIN(type.len, (size_t)40), type.ptr);
        fh_err_hint(err, "tools of type 'function' are, which you run yourself");
        return rc;
    }
    int rc = check_function(tool, where, err);
    if (rc < 0) return rc;
    return fh_json_append(list, chat_tool(tool)) ? 0 : fh_err_nomem(err);
}

/* The choice. */

static bool has_tool(const fh_json *list, fh_str name)
{
    for (size_t i = 0; i < fh_json_count(list); i++)
        if (fh_str_eq(fh_json_str(fh_json_get(fh_json_get(fh_json_at(list, i), "function"), "name")), name)) return true;
    return false;
}

/* {"type":"function","name":...}: the name, which must be one of the request's tools. */
static int read_named(const fh_json *v, const fh_json *list, const char *where, fh_str *ret, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(v, "type"));
    *ret = fh_json_str(fh_json_get(v, "name"));
    if (!fh_str_eqs(type, "function"))
        return fh_wire_bad(err, where, "only functions can be chosen; '%.*s' is none", (int)FH_MIN(type.len, (size_t)40),
                           type.ptr ? type.ptr : "");
    if (has_tool(list, *ret)) return 0;
    return fh_wire_bad(err, where, "'tools' has no function of the name that is chosen");
}

static int choose_function(const fh_json *v, const fh_json *list, fh_json *chat, fh_err **err)
{
    fh_str name;
    int rc = read_named(v, list, "tool_choice", &name, err);
    if (rc < 0) return rc;
    FH_AUTO(json) fh_json *choice = fh_json_new_object(), *f = fh_json_new_object();
    bool ok = choice && f && pass_on(f, v, "name") && fh_json_set(choice, "type", fh_json_new_cstr("function"));
    ok = ok && fh_json_set(choice, "function", fh_take(f)) && fh_json_set(chat, "tool_choice", fh_take(choice));
    return ok ? 0 : fh_err_nomem(err);
}

static bool is_allowed(const fh_json *allowed, fh_str name)
{
    for (size_t i = 0; i < fh_json_count(allowed); i++)
        if (fh_str_eq(fh_json_str(fh_json_get(fh_json_at(allowed, i), "name")), name)) return true;
    return false;
}

static int check_allowed(const fh_json *allowed, const fh_json *list, fh_err **err)
{
    char where[PARAM];
    fh_str name;
    size_t count = fh_json_count(allowed);
    if (fh_json_kind_of(allowed) != FH_JSON_ARRAY || !count || count > ALLOWED)
        return fh_wire_bad(err, "tool_choice.tools", "'tools' of 'tool_choice' must be an array of 1 to %d tools", ALLOWED);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        snprintf(where, sizeof where, "tool_choice.tools[%zu]", i);
        rc = read_named(fh_json_at(allowed, i), list, where, &name, err);
    }
    return rc;
}

/* Tools that may not be called are not shown: no model can call what it was not told of, whatever serves it. */
static int choose_allowed(const fh_json *v, const fh_json *list, fh_json *chat, fh_err **err)
{
    const fh_json *allowed = fh_json_get(v, "tools");
    fh_str mode = FH_STR("auto");
    int rc = fh_wire_below(fh_json_read_str(v, "mode", false, &mode, err), err, "tool_choice");
    if (rc == 0 && !fh_str_eqs(mode, "auto") && !fh_str_eqs(mode, "required") && !fh_str_eqs(mode, "none"))
        rc = fh_wire_bad(err, "tool_choice.mode", "'mode' of 'tool_choice' is none of auto, required, none");
    if (rc == 0) rc = check_allowed(allowed, list, err);
    if (rc < 0) return rc;
    FH_AUTO(json) fh_json *kept = fh_json_new_array();
    bool ok = kept && fh_json_set(chat, "tool_choice", fh_json_new_str(mode));
    for (size_t i = 0; ok && i < fh_json_count(list); i++) {
        const fh_json *tool = fh_json_at(list, i);
        if (is_allowed(allowed, fh_json_str(fh_json_get(fh_json_get(tool, "function"), "name")))) ok = fh_json_append(kept, share(tool));
    }
    return ok && fh_json_set(chat, "tools", fh_take(kept)) ? 0 : fh_err_nomem(err);
}

static int choose(const fh_json *v, const fh_json *list, fh_json *chat, fh_err **err)
{
    fh_str word = fh_json_str(v);
    if (fh_wire_absent(v)) return 0;
    if (word.ptr && !fh_str_eqs(word, "auto") && !fh_str_eqs(word, "none") && !fh_str_eqs(word, "required"))
        return fh_wire_bad(err, "tool_choice", "'tool_choice' is none of auto, none, required");
    if (word.ptr) return fh_json_set(chat, "tool_choice", share(v)) ? 0 : fh_err_nomem(err);
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return fh_wire_bad(err, "tool_choice", "'tool_choice' must be a string or an object");
    if (fh_str_eqs(fh_json_str(fh_json_get(v, "type")), "allowed_tools")) return choose_allowed(v, list, chat, err);
    return choose_function(v, list, chat, err);
}

int fh_wire_responses_tools(const fh_json *doc, fh_json *chat, fh_err **err)
{
    const fh_json *tools = fh_json_get(doc, "tools");
    size_t count = fh_json_count(tools);
    if (!fh_wire_absent(tools) && fh_json_kind_of(tools) != FH_JSON_ARRAY) return fh_wire_bad(err, "tools", "'tools' must be an array");
    if (count > TOOLS) return fh_wire_bad(err, "tools", "'tools' holds %zu tools; at most %d are taken", count, TOOLS);
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    int rc = list ? 0 : fh_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < count; i++) rc = take_tool(fh_json_at(tools, i), i, list, err);
    if (rc == 0 && count && !fh_json_set(chat, "tools", share(list))) rc = fh_err_nomem(err);
    return rc == 0 ? choose(fh_json_get(doc, "tool_choice"), list, chat, err) : rc;
}

/* The format of the answer. */

static int set_schema(const fh_json *format, fh_json *chat, fh_err **err)
{
    fh_str text;
    bool strict;
    int rc = fh_json_read_str(format, "name", false, &text, err);
    if (rc == 0) rc = fh_json_read_str(format, "description", false, &text, err);
    if (rc == 0) rc = fh_json_read_bool(format, "strict", false, &strict, err);
    if (rc == 0 && fh_json_kind_of(fh_json_get(format, "schema")) != FH_JSON_OBJECT)
        rc = fh_wire_bad(err, "schema", "the format json_schema needs an object 'schema'");
    if (rc < 0) return fh_wire_below(rc, err, "text.format");
    FH_AUTO(json) fh_json *f = fh_json_new_object(), *s = fh_json_new_object();
    bool ok = f && s && fh_json_set(s, "name", fh_json_new_cstr("response")) && pass_on(s, format, "name");
    ok = ok && pass_on(s, format, "description") && pass_on(s, format, "schema") && pass_on(s, format, "strict");
    ok = ok && fh_json_set(f, "type", fh_json_new_cstr("json_schema")) && fh_json_set(f, "json_schema", fh_take(s));
    return ok && fh_json_set(chat, "response_format", fh_take(f)) ? 0 : fh_err_nomem(err);
}

static int set_format(const fh_json *format, fh_json *chat, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(format, "type"));
    if (fh_wire_absent(format) || fh_str_eqs(type, "text")) return 0;
    if (fh_str_eqs(type, "json_schema")) return set_schema(format, chat, err);
    if (!fh_str_eqs(type, "json_object"))
        return fh_wire_bad(err, "text.format", "the type of 'text.format' is none of text, json_object, json_schema");
    FH_AUTO(json) fh_json *f = fh_json_new_object();
    bool ok = f && fh_json_set(f, "type", fh_json_new_cstr("json_object")) && fh_json_set(chat, "response_format", fh_take(f));
    return ok ? 0 : fh_err_nomem(err);
}

int fh_wire_responses_text(const fh_json *doc, fh_json *chat, fh_err **err)
{
    const fh_json *text = fh_json_get(doc, "text");
    fh_str verbosity;
    if (fh_wire_absent(text)) return 0;
    if (fh_json_kind_of(text) != FH_JSON_OBJECT) return fh_wire_bad(err, "text", "'text' must be an object");
    int rc = fh_wire_below(fh_json_read_str(text, "verbosity", false, &verbosity, err), err, "text");
    if (rc == 0) rc = set_format(fh_json_get(text, "format"), chat, err);
    if (rc < 0) return rc;
    return pass_on(chat, text, "verbosity") ? 0 : fh_err_nomem(err);
}
