/* Messages as a template takes them. A template that shows no tools is helped: they are explained in a system message, in the family's own
 * words for a call; calls and results of the conversation so far become text of the assistant and the user. */
#include "toolfmt.h"

enum { TEXT_BYTES = 64 << 20 };

/* ---- a call as the model writes it ---- */

static void add(fh_buf *out, const char *marker)
{
    if (marker) fh_buf_adds(out, marker);
}

static void add_str(fh_buf *out, fh_str s)
{
    fh_buf_add(out, s.ptr ? s.ptr : "", s.len);
}

static void write_json(fh_buf *out, fh_str name, fh_str args)
{
    fh_buf_adds(out, "\n{\"name\": ");
    fh_buf_add_json_string(out, name.ptr, name.len);
    fh_buf_adds(out, ", \"arguments\": ");
    add_str(out, args);
    fh_buf_adds(out, "}\n");
}

/* Families with another style than these take JSON too, or their templates show tools themselves. */
static void write_call(const tf_family *f, fh_str name, fh_str args, fh_buf *out)
{
    add(out, f->call_open);
    if (f->style == TF_NAMED) {
        add_str(out, name);
        add(out, f->name_end);
        add_str(out, args);
    } else
        write_json(out, name, args);
    add(out, f->call_close);
}

static bool call_text(const fh_toolfmt *f, const fh_json *call, fh_buf *out)
{
    FH_AUTO(buf) fh_buf dump = FH_BUF(TEXT_BYTES);
    const fh_json *function = fh_json_get(call, "function"), *args = fh_json_get(function, "arguments");
    fh_str text = fh_json_str(args);
    if (!text.ptr && args && !fh_json_write(args, &dump, NULL)) text = (fh_str){fh_buf_cstr(&dump), dump.len};
    write_call(&f->f, fh_json_str(fh_json_get(function, "name")), text.len ? text : FH_STR("{}"), out);
    return fh_buf_addc(out, '\n');
}

/* ---- explaining the tools ---- */

static bool explain(const fh_toolfmt *f, const fh_json *tools, fh_buf *out)
{
    fh_buf_adds(out,
                "You may call functions to help with the user's request. They are described inside <tools></tools>, one a line, with JSON "
                "Schemas for their arguments:\n<tools>\n");
    for (size_t i = 0; i < fh_json_count(tools); i++)
        if (fh_json_write(fh_json_at(tools, i), out, NULL) || !fh_buf_addc(out, '\n')) return false;
    fh_buf_adds(
        out,
        "</tools>\nTo call a function, answer with nothing but this, the function's name and its arguments as a JSON object put in:\n");
    add(out, f->f.section_open);
    write_call(&f->f, FH_STR("<function-name>"), FH_STR("<args-json-object>"), out);
    add(out, f->f.section_close);
    return fh_buf_adds(out, "\nCall a function only if it is needed; otherwise answer in plain text.");
}

/* ---- single messages ---- */

static fh_json *copy_but(const fh_json *message, const char *skip1, const char *skip2)
{
    FH_AUTO(json) fh_json *copy = fh_json_new_object();
    const fh_json *value;
    fh_str key;
    bool ok = copy != NULL;
    for (void *it = NULL; ok && fh_json_next(message, &it, &key, &value);) {
        if (fh_str_eqs(key, skip1) || fh_str_eqs(key, skip2)) continue;
        char *name = fh_strndup(key.ptr, key.len);
        ok = name && fh_json_set(copy, name, fh_json_ref((fh_json *)(uintptr_t)value));
        fh_free(name);
    }
    return ok ? fh_take(copy) : NULL;
}

static fh_json *with_content(const fh_json *message, const char *role, const fh_buf *content)
{
    FH_AUTO(json) fh_json *copy = copy_but(message, "content", "tool_calls");
    bool ok = copy && fh_buf_ok(content) && fh_json_set(copy, "content", fh_json_new_str((fh_str){fh_buf_cstr(content), content->len}));
    if (ok && role) ok = fh_json_set(copy, "role", fh_json_new_cstr(role));
    return ok ? fh_take(copy) : NULL;
}

static fh_json *calls_as_text(const fh_toolfmt *f, const fh_json *message)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    const fh_json *calls = fh_json_get(message, "tool_calls");
    add_str(&text, fh_json_str(fh_json_get(message, "content")));
    if (text.len) fh_buf_addc(&text, '\n');
    add(&text, f->f.section_open);
    for (size_t i = 0; i < fh_json_count(calls); i++)
        if (!call_text(f, fh_json_at(calls, i), &text)) return NULL;
    if (f->f.section_close)
        add(&text, f->f.section_close);
    else if (text.len)
        text.data[--text.len] = '\0'; /* the line feed behind the last call */
    return with_content(message, NULL, &text);
}

static fh_json *result_as_text(const fh_json *message)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    fh_buf_adds(&text, "<tool_response>\n");
    add_str(&text, fh_json_str(fh_json_get(message, "content")));
    fh_buf_adds(&text, "\n</tool_response>");
    return with_content(message, "user", &text);
}

static fh_json *new_arguments(const fh_toolfmt *f, const fh_json *args)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    fh_json *parsed = NULL;
    fh_str s = fh_json_str(args);
    if (f->text_arguments == (s.ptr != NULL)) return fh_json_ref((fh_json *)(uintptr_t)args);
    if (f->text_arguments) return fh_json_write(args, &text, NULL) ? NULL : fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len});
    int rc = fh_json_parse(&parsed, fh_str_trim(s).len ? s : FH_STR("{}"), FH_LIMIT_JSON_BODY_BYTES, NULL);
    if (rc == FH_E_NOMEM) return NULL;
    return rc ? fh_json_ref((fh_json *)(uintptr_t)args) : parsed;
}

static fh_json *call_with_arguments(const fh_toolfmt *f, const fh_json *call)
{
    const fh_json *function = fh_json_get(call, "function"), *args = fh_json_get(function, "arguments");
    FH_AUTO(json) fh_json *copy = copy_but(call, "function", "");
    FH_AUTO(json) fh_json *inner = copy_but(function, "arguments", "");
    bool ok = copy && inner && (!args || fh_json_set(inner, "arguments", new_arguments(f, args)));
    if (ok) ok = fh_json_set(copy, "function", fh_take(inner));
    return ok ? fh_take(copy) : NULL;
}

static fh_json *calls_for_template(const fh_toolfmt *f, const fh_json *message)
{
    FH_AUTO(json) fh_json *copy = copy_but(message, "tool_calls", "");
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    const fh_json *calls = fh_json_get(message, "tool_calls");
    bool ok = copy && list;
    for (size_t i = 0; ok && i < fh_json_count(calls); i++) {
        const fh_json *call = fh_json_at(calls, i);
        bool function = fh_json_get(call, "function") != NULL;
        ok = fh_json_append(list, function ? call_with_arguments(f, call) : fh_json_ref((fh_json *)(uintptr_t)call));
    }
    if (ok) ok = fh_json_set(copy, "tool_calls", fh_take(list));
    return ok ? fh_take(copy) : NULL;
}

static fh_json *message_for(const fh_toolfmt *f, const fh_json *m)
{
    fh_str role = fh_json_str(fh_json_get(m, "role"));
    bool calls = fh_json_count(fh_json_get(m, "tool_calls")) > 0;
    if (calls) return f->shows_calls ? calls_for_template(f, m) : calls_as_text(f, m);
    if (!f->shows_calls && fh_str_eqs(role, "tool")) return result_as_text(m);
    return fh_json_ref((fh_json *)(uintptr_t)m);
}

/* ---- all of them ---- */

static fh_json *first_with(const fh_json *first, bool merge, const char *role, const fh_buf *text)
{
    FH_AUTO(buf) fh_buf whole = FH_BUF(TEXT_BYTES);
    fh_str before = merge ? fh_json_str(fh_json_get(first, "content")) : (fh_str){"", 0};
    bool system = strcmp(role, "system") == 0;
    if (system) add_str(&whole, before);
    if (system && before.len) fh_buf_adds(&whole, "\n\n");
    fh_buf_add(&whole, text->data, text->len);
    if (!system && before.len) fh_buf_adds(&whole, "\n\n");
    if (!system) add_str(&whole, before);
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    if (!o || !fh_json_set(o, "role", fh_json_new_cstr(role))) return NULL;
    return with_content(o, NULL, &whole);
}

/* Into the system message, or into the first question where the template knows none; *ret_used: messages that it took the place of. */
static fh_json *explanation(const fh_toolfmt *f, const fh_json *messages, const fh_json *tools, size_t *ret_used)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    const fh_json *first = fh_json_at(messages, 0);
    fh_str role = fh_json_str(fh_json_get(first, "role"));
    bool system = fh_str_eqs(role, "system") || fh_str_eqs(role, "developer"),
         merge = system || (!f->shows_system && fh_str_eqs(role, "user"));
    if (!explain(f, tools, &text)) return NULL;
    *ret_used = merge;
    return first_with(first, merge, system || f->shows_system ? "system" : "user", &text);
}

int fh_toolfmt_messages(const fh_toolfmt *f, const fh_json *messages, const fh_json *tools, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    size_t i = 0;
    bool ok = list != NULL;
    if (ok && fh_json_count(tools) && !f->shows_tools) ok = fh_json_append(list, explanation(f, messages, tools, &i));
    for (; ok && i < fh_json_count(messages); i++) ok = fh_json_append(list, message_for(f, fh_json_at(messages, i)));
    if (!ok) return fh_err_nomem(err);
    *ret = fh_take(list);
    return 0;
}
