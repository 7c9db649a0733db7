/* The response object: it says again what was asked for, with the defaults that took effect, so that a response explains itself. What the
 * reply adds (output, usage, status) is set later, in the places made here. */
#include "responses_private.h"

/* The request's value, or otherwise what it defaults to (taken). */
static bool echo(fh_json *to, const fh_json *from, const char *key, fh_json *otherwise)
{
    const fh_json *v = fh_json_get(from, key);
    if (fh_wire_absent(v)) return fh_json_set(to, key, otherwise);
    fh_json_unref(otherwise);
    return fh_json_set(to, key, share(v));
}

static fh_json *echo_tool(const fh_json *tool)
{
    static const char *const members[] = {"type", "name", "description", "parameters", "strict"};
    FH_AUTO(json) fh_json *t = fh_json_new_object();
    bool ok = t != NULL;
    for (size_t i = 0; ok && i < FH_COUNT(members); i++) ok = echo(t, tool, members[i], fh_json_new_null());
    return ok ? fh_take(t) : NULL;
}

static fh_json *echo_tools(const fh_json *request)
{
    const fh_json *v = fh_json_get(request, "tools");
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < fh_json_count(v); i++) ok = fh_json_append(list, echo_tool(fh_json_at(v, i)));
    return ok ? fh_take(list) : NULL;
}

static fh_json *echo_choice(const fh_json *request)
{
    const fh_json *v = fh_json_get(request, "tool_choice");
    if (fh_wire_absent(v)) return fh_json_new_cstr("auto");
    if (!fh_str_eqs(fh_json_str(fh_json_get(v, "type")), "allowed_tools")) return share(v);
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && pass_on(o, v, "type") && echo(o, v, "mode", fh_json_new_cstr("auto")) && pass_on(o, v, "tools");
    return ok ? fh_take(o) : NULL;
}

static fh_json *echo_format(const fh_json *format)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && echo(o, format, "type", fh_json_new_cstr("text"));
    if (ok && fh_str_eqs(fh_json_str(fh_json_get(format, "type")), "json_schema")) {
        ok = echo(o, format, "name", fh_json_new_cstr("response")) && echo(o, format, "description", fh_json_new_null());
        ok = ok && echo(o, format, "schema", fh_json_new_null()) && echo(o, format, "strict", fh_json_new_bool(false));
    }
    return ok ? fh_take(o) : NULL;
}

static fh_json *echo_text(const fh_json *request)
{
    const fh_json *text = fh_json_get(request, "text");
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "format", echo_format(fh_json_get(text, "format")));
    ok = ok && echo(o, text, "verbosity", fh_json_new_cstr("medium"));
    return ok ? fh_take(o) : NULL;
}

static const char *const summary_names[] = {"summary", "generate_summary"}; /* the second is the older name */

bool fh_wire_responses_summary_asked(const fh_json *request)
{
    const fh_json *r = fh_json_get(request, "reasoning");
    for (size_t i = 0; i < FH_COUNT(summary_names); i++)
        if (!fh_wire_absent(fh_json_get(r, summary_names[i]))) return true;
    return false;
}

static fh_json *echo_reasoning(const fh_json *request)
{
    const fh_json *r = fh_json_get(request, "reasoning"), *summary = fh_json_get(r, summary_names[0]);
    if (fh_wire_absent(summary)) summary = fh_json_get(r, summary_names[1]);
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && echo(o, r, "effort", fh_json_new_null());
    ok = ok && fh_json_set(o, "summary", fh_wire_absent(summary) ? fh_json_new_null() : share(summary));
    return ok ? fh_take(o) : NULL;
}

static bool add_head(fh_json *o, const fh_wire_writer *w)
{
    return fh_json_set(o, "id", fh_json_new_cstr(w->id)) && fh_json_set(o, "object", fh_json_new_cstr("response")) &&
           fh_json_set(o, "created_at", fh_json_new_int(w->created_s)) && fh_json_set(o, "completed_at", fh_json_new_null()) &&
           fh_json_set(o, "status", fh_json_new_cstr("in_progress")) && fh_json_set(o, "incomplete_details", fh_json_new_null()) &&
           fh_json_set(o, "model", fh_json_new_cstr(w->model));
}

static bool add_conversation(fh_json *o, const fh_json *r)
{
    return echo(o, r, "previous_response_id", fh_json_new_null()) && echo(o, r, "instructions", fh_json_new_null()) &&
           fh_json_set(o, "output", fh_json_new_array()) && fh_json_set(o, "error", fh_json_new_null()) &&
           fh_json_set(o, "tools", echo_tools(r)) && fh_json_set(o, "tool_choice", echo_choice(r)) &&
           echo(o, r, "truncation", fh_json_new_cstr("disabled")) && echo(o, r, "parallel_tool_calls", fh_json_new_bool(true));
}

static bool add_settings(fh_json *o, const fh_json *r)
{
    return fh_json_set(o, "text", echo_text(r)) && echo(o, r, "top_p", fh_json_new_int(1)) &&
           echo(o, r, "presence_penalty", fh_json_new_int(0)) && echo(o, r, "frequency_penalty", fh_json_new_int(0)) &&
           echo(o, r, "top_logprobs", fh_json_new_int(0)) && echo(o, r, "temperature", fh_json_new_int(1)) &&
           fh_json_set(o, "reasoning", echo_reasoning(r)) && echo(o, r, "max_output_tokens", fh_json_new_null()) &&
           echo(o, r, "max_tool_calls", fh_json_new_null());
}

static bool add_labels(fh_json *o, const fh_json *r)
{
    return fh_json_set(o, "usage", fh_json_new_null()) && echo(o, r, "store", fh_json_new_bool(true)) &&
           echo(o, r, "background", fh_json_new_bool(false)) && echo(o, r, "service_tier", fh_json_new_cstr("default")) &&
           echo(o, r, "metadata", fh_json_new_object()) && echo(o, r, "safety_identifier", fh_json_new_null()) &&
           echo(o, r, "prompt_cache_key", fh_json_new_null()) && pass_on(o, r, "prompt_cache_retention") &&
           echo(o, r, "user", fh_json_new_null());
}

fh_json *fh_wire_responses_object(const fh_wire_writer *w)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && add_head(o, w) && add_conversation(o, w->request) && add_settings(o, w->request) && add_labels(o, w->request);
    return ok ? fh_take(o) : NULL;
}
