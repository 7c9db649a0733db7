/* A Messages request as a chat request: the fields of the request itself. Turns are in messages_turns.c, tools in messages_tools.c.
 * docs/MESSAGES.md is the same table for people. */
#include "messages_private.h"

#include "base/limits.h"

enum { MAX_COUNT_OF_TOKENS = 1 << 30, LEAST_BUDGET = 1024, LOW_BUDGET = 2048, MEDIUM_BUDGET = 8192 };

int fh_msg_native(fh_msg *m, const char *path, const char *what, fh_err **err)
{
    fh_err *e = NULL;
    int rc = fh_wire_bad(&e, path, "%s is not supported by this model's engine", what);
    fh_err_hint(&e, "leave '%s' out", path);
    if (!m->may_native || fh_err_code(e) != rc) {
        rc = fh_err_code(e);
        fh_err_move(err, &e);
        return rc;
    }
    if (m->native)
        fh_err_free(e);
    else
        m->native = e;
    return 0;
}

int fh_msg_cache_control(const fh_json *o, const char *path, fh_err **err)
{
    static const char *const members[] = {"type", "ttl", "scope", NULL}, *const ttls[] = {"5m", "1h", NULL};
    const fh_json *v = fh_json_get(o, "cache_control");
    fh_msg_path at = fh_msg_member(path, "cache_control");
    fh_str type = {NULL, 0}, ttl = {NULL, 0}, scope = {NULL, 0};
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, at.at, err);
    if (rc == 0) rc = fh_msg_members(v, at.at, members, err);
    if (rc == 0) rc = fh_msg_read_str(v, at.at, "type", true, &type, err);
    if (rc == 0) rc = fh_msg_read_str(v, at.at, "ttl", false, &ttl, err);
    if (rc == 0) rc = fh_msg_read_str(v, at.at, "scope", false, &scope, err);
    if (rc < 0) return rc;
    if (!fh_str_eqs(type, "ephemeral")) return fh_wire_bad(err, fh_msg_member(at.at, "type").at, "the only type there is is 'ephemeral'");
    if (!ttl.ptr || fh_msg_is_one_of(ttl, ttls)) return 0;
    return fh_wire_bad(err, fh_msg_member(at.at, "ttl").at, "'ttl' is 5m or 1h");
}

/* Length and sampling. */

static int take_max_tokens(fh_msg *m, fh_err **err)
{
    int64_t count = 1;
    int rc = fh_json_read_i64(m->doc, "max_tokens", !m->counting, 0, MAX_COUNT_OF_TOKENS, &count, err);
    if (rc < 0 || m->counting) return rc;
    if (!count) return fh_msg_native(m, "max_tokens", "filling the cache without an answer", err);
    return fh_json_set(m->chat, "max_tokens", fh_json_new_int(count)) ? 0 : fh_err_nomem(err);
}

static int take_sampling(fh_msg *m, fh_err **err)
{
    static const char *const keys[] = {"temperature", "top_p", "top_k"};
    double temperature = 0, top_p = 0;
    int64_t top_k = 0;
    int rc = fh_json_read_f64(m->doc, "temperature", false, 0, 1, &temperature, err);
    if (rc == 0) rc = fh_json_read_f64(m->doc, "top_p", false, 0, 1, &top_p, err);
    if (rc == 0) rc = fh_json_read_i64(m->doc, "top_k", false, 0, INT32_MAX, &top_k, err);
    for (size_t i = 0; rc == 0 && !m->counting && i < FH_COUNT(keys); i++)
        if (!fh_msg_copy(m->chat, m->doc, keys[i], keys[i])) rc = fh_err_nomem(err);
    return rc;
}

static int take_stops(fh_msg *m, fh_err **err)
{
    const fh_json *v = fh_json_get(m->doc, "stop_sequences");
    size_t count = fh_json_count(v);
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "stop_sequences", "'stop_sequences' must be an array of strings");
    if (count > FH_LIMIT_STOP_STRINGS)
        return fh_wire_bad(err, "stop_sequences", "'stop_sequences' holds %zu strings; at most %d are taken", count, FH_LIMIT_STOP_STRINGS);
    for (size_t i = 0; i < count; i++) {
        fh_str s = fh_json_str(fh_json_at(v, i));
        if (!s.len || s.len > FH_LIMIT_STOP_STRING_BYTES)
            return fh_wire_bad(err, fh_msg_item("stop_sequences", i).at, "a stop sequence is a string of 1 to %d bytes",
                               FH_LIMIT_STOP_STRING_BYTES);
    }
    if (m->counting || !count) return 0;
    return fh_json_set(m->chat, "stop", fh_msg_share(v)) ? 0 : fh_err_nomem(err);
}

/* A stream always ends with what was used. */
static int take_stream(fh_msg *m, fh_err **err)
{
    bool stream = false;
    int rc = fh_json_read_bool(m->doc, "stream", false, &stream, err);
    if (rc < 0 || !stream || m->counting) return rc;
    FH_AUTO(json) fh_json *options = fh_json_new_object();
    bool ok = options && fh_json_set(options, "include_usage", fh_json_new_bool(true)) &&
              fh_json_set(m->chat, "stream", fh_json_new_bool(true)) && fh_json_set(m->chat, "stream_options", fh_take(options));
    return ok ? 0 : fh_err_nomem(err);
}

/* Thinking: templates know it by two names; how much of it, by reasoning_effort. */

static int set_template_switch(fh_msg *m, bool think, fh_err **err)
{
    const fh_json *given = fh_json_get(m->doc, "chat_template_kwargs");
    FH_AUTO(json) fh_json *variables = fh_json_new_object();
    if (!fh_wire_absent(given) && fh_json_kind_of(given) != FH_JSON_OBJECT)
        return fh_wire_bad(err, "chat_template_kwargs", "'chat_template_kwargs' must be an object");
    bool ok = variables && fh_json_set(variables, "enable_thinking", fh_json_new_bool(think)) &&
              fh_json_set(variables, "thinking", fh_json_new_bool(think)) && fh_msg_merge(variables, given);
    return ok && fh_json_set(m->chat, "chat_template_kwargs", fh_take(variables)) ? 0 : fh_err_nomem(err);
}

static int set_effort(fh_msg *m, const char *effort, fh_err **err)
{
    return fh_json_set(m->chat, "reasoning_effort", fh_json_new_cstr(effort)) ? 0 : fh_err_nomem(err);
}

const char *fh_msg_effort_of(int64_t budget_tok)
{
    return budget_tok <= LOW_BUDGET ? "low" : budget_tok <= MEDIUM_BUDGET ? "medium" : "high";
}

static int think_within(fh_msg *m, const fh_json *v, fh_err **err)
{
    int64_t budget = 0, most = fh_json_int(fh_json_get(m->chat, "max_tokens"), MAX_COUNT_OF_TOKENS);
    int rc = fh_json_read_i64(v, "budget_tokens", true, LEAST_BUDGET, MAX_COUNT_OF_TOKENS, &budget, err);
    if (rc < 0) {
        fh_err_param(err, "thinking.budget_tokens");
        return rc;
    }
    if (budget >= most) return fh_wire_bad(err, "thinking.budget_tokens", "'budget_tokens' must be less than 'max_tokens'");
    if (!fh_json_set(m->chat, "thinking_budget_tokens", fh_json_new_int(budget))) return fh_err_nomem(err);
    rc = set_effort(m, fh_msg_effort_of(budget), err);
    return rc == 0 ? set_template_switch(m, true, err) : rc;
}

static int take_thinking_type(fh_msg *m, const fh_json *v, fh_str type, fh_err **err)
{
    if (fh_str_eqs(type, "enabled")) return think_within(m, v, err);
    if (fh_json_get(v, "budget_tokens")) return fh_wire_bad(err, "thinking.budget_tokens", "a budget goes with the type 'enabled' alone");
    if (fh_str_eqs(type, "adaptive")) return set_template_switch(m, true, err);
    if (fh_str_eqs(type, "between_tools")) return fh_msg_native(m, "thinking.type", "thinking between tool calls alone", err);
    if (!fh_str_eqs(type, "disabled"))
        return fh_wire_bad(err, "thinking.type", "the type of 'thinking' is enabled, disabled, adaptive or between_tools");
    int rc = set_effort(m, "none", err);
    return rc == 0 ? set_template_switch(m, false, err) : rc;
}

static int take_thinking(fh_msg *m, fh_err **err)
{
    static const char *const members[] = {"type", "budget_tokens", "display", "block_binding", NULL};
    static const char *const displays[] = {"summarized", "omitted", "updates", NULL};
    const fh_json *v = fh_json_get(m->doc, "thinking");
    fh_str type = {NULL, 0}, display = {NULL, 0};
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, "thinking", err);
    if (rc == 0) rc = fh_msg_members(v, "thinking", members, err);
    if (rc == 0) rc = fh_msg_read_str(v, "thinking", "type", true, &type, err);
    if (rc == 0) rc = fh_msg_read_str(v, "thinking", "display", false, &display, err);
    if (rc == 0 && display.ptr && !fh_msg_is_one_of(display, displays))
        rc = fh_wire_bad(err, "thinking.display", "'display' is summarized or omitted");
    if (rc == 0 && fh_str_eqs(display, "updates")) rc = fh_msg_native(m, "thinking.display", "a summary of thoughts as they come", err);
    if (rc == 0 && !fh_wire_absent(fh_json_get(v, "block_binding")))
        rc = fh_msg_native(m, "thinking.block_binding", "checking whose thoughts they are", err);
    return rc == 0 ? take_thinking_type(m, v, type, err) : rc;
}

/* Output. */

static fh_json *schema_format(const fh_json *schema)
{
    FH_AUTO(json) fh_json *format = fh_json_new_object(), *inner = fh_json_new_object();
    bool ok = format && inner && fh_json_set(inner, "name", fh_json_new_cstr("output")) &&
              fh_json_set(inner, "strict", fh_json_new_bool(true)) && fh_json_set(inner, "schema", fh_msg_share(schema)) &&
              fh_json_set(format, "type", fh_json_new_cstr("json_schema"));
    return ok && fh_json_set(format, "json_schema", fh_take(inner)) ? fh_take(format) : NULL;
}

static int take_format(fh_msg *m, const fh_json *format, const char *path, fh_err **err)
{
    static const char *const members[] = {"type", "schema", NULL};
    const fh_json *schema = fh_json_get(format, "schema");
    fh_str type = {NULL, 0};
    if (fh_wire_absent(format)) return 0;
    int rc = fh_msg_object(format, path, err);
    if (rc == 0) rc = fh_msg_members(format, path, members, err);
    if (rc == 0) rc = fh_msg_read_str(format, path, "type", true, &type, err);
    if (rc < 0) return rc;
    if (!fh_str_eqs(type, "json_schema"))
        return fh_wire_bad(err, fh_msg_member(path, "type").at, "the only type there is is 'json_schema'");
    rc = fh_msg_object(schema, fh_msg_member(path, "schema").at, err);
    if (rc < 0 || m->counting) return rc;
    return fh_json_set(m->chat, "response_format", schema_format(schema)) ? 0 : fh_err_nomem(err);
}

static int take_effort(fh_msg *m, const fh_json *config, fh_err **err)
{
    static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max", NULL};
    bool off = fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(m->doc, "thinking"), "type")), "disabled");
    fh_str effort = {NULL, 0};
    int rc = fh_msg_read_str(config, "output_config", "effort", false, &effort, err);
    if (rc < 0 || !effort.ptr) return rc;
    if (!fh_msg_is_one_of(effort, efforts)) return fh_wire_bad(err, "output_config.effort", "'effort' is low, medium, high, xhigh or max");
    return off ? 0 : set_effort(m, effort.ptr, err); /* thinking that is off has no effort */
}

static int take_output(fh_msg *m, fh_err **err)
{
    static const char *const members[] = {"effort", "format", "task_budget", NULL};
    const fh_json *config = fh_json_get(m->doc, "output_config"), *older = fh_json_get(m->doc, "output_format");
    const fh_json *format = fh_json_get(config, "format");
    if (!fh_wire_absent(format) && !fh_wire_absent(older))
        return fh_wire_bad(err, "output_format", "'output_format' is the older name of 'output_config.format': give one of them");
    int rc = take_format(m, older, "output_format", err);
    if (rc < 0 || fh_wire_absent(config)) return rc;
    rc = fh_msg_object(config, "output_config", err);
    if (rc == 0) rc = fh_msg_members(config, "output_config", members, err);
    if (rc == 0) rc = take_format(m, format, "output_config.format", err);
    if (rc == 0) rc = take_effort(m, config, err);
    if (rc == 0 && !fh_wire_absent(fh_json_get(config, "task_budget")))
        rc = fh_msg_native(m, "output_config.task_budget", "a budget of tokens for a task", err);
    return rc;
}

/* Labels and tiers. */

static int take_metadata(fh_msg *m, fh_err **err)
{
    static const char *const members[] = {"user_id", NULL};
    const fh_json *v = fh_json_get(m->doc, "metadata");
    fh_str user = {NULL, 0};
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, "metadata", err);
    if (rc == 0) rc = fh_msg_members(v, "metadata", members, err);
    if (rc == 0) rc = fh_msg_read_str(v, "metadata", "user_id", false, &user, err);
    if (rc < 0 || !user.ptr) return rc;
    return fh_json_set(m->chat, "user", fh_json_new_str(user)) ? 0 : fh_err_nomem(err);
}

static int take_tier(fh_msg *m, fh_err **err)
{
    fh_str tier = {NULL, 0}, speed = {NULL, 0};
    int rc = fh_json_read_str(m->doc, "service_tier", false, &tier, err);
    if (rc == 0) rc = fh_json_read_str(m->doc, "speed", false, &speed, err);
    if (rc < 0) return rc;
    if (tier.ptr && !fh_str_eqs(tier, "auto") && !fh_str_eqs(tier, "standard_only"))
        return fh_wire_bad(err, "service_tier", "'service_tier' is auto or standard_only");
    if (speed.ptr && !fh_str_eqs(speed, "standard") && !fh_str_eqs(speed, "fast"))
        return fh_wire_bad(err, "speed", "'speed' is standard or fast");
    if (fh_str_eqs(speed, "fast")) rc = fh_msg_native(m, "speed", "a speed other than standard", err);
    if (rc < 0 || !tier.ptr || m->counting) return rc;
    const char *name = fh_str_eqs(tier, "auto") ? "auto" : "default";
    return fh_json_set(m->chat, "service_tier", fh_json_new_cstr(name)) ? 0 : fh_err_nomem(err);
}

/* Fields that only an upstream of this API can do; an empty value asks for nothing. */
static int take_native_fields(fh_msg *m, fh_err **err)
{
    static const struct {
        const char *key, *what;
    } rows[] = {{"container", "a container"},
                {"mcp_servers", "calling MCP servers"},
                {"compaction", "compacting the context"},
                {"thread", "a thread kept by the server"},
                {"fallbacks", "falling back to other models"},
                {"fallback_credit_token", "falling back to other models"},
                {"billing_policy", "a billing policy"},
                {"diagnostics", "a report on the prompt cache"},
                {"inference_geo", "choosing a region"}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < FH_COUNT(rows); i++) {
        const fh_json *v = fh_json_get(m->doc, rows[i].key);
        fh_json_kind kind = fh_json_kind_of(v);
        bool empty = kind == FH_JSON_NULL || ((kind == FH_JSON_ARRAY || kind == FH_JSON_OBJECT) && !fh_json_count(v));
        if (!empty) rc = fh_msg_native(m, rows[i].key, rows[i].what, err);
    }
    return rc;
}

/* What is no field of this API passes on, but for names by which chat requests mean something that this API says otherwise. */
static int take_unknown(fh_msg *m, fh_err **err)
{
    static const char *const own[] = {"model",
                                      "messages",
                                      "max_tokens",
                                      "system",
                                      "stream",
                                      "temperature",
                                      "top_p",
                                      "top_k",
                                      "tools",
                                      "tool_choice",
                                      "stop_sequences",
                                      "thinking",
                                      "output_config",
                                      "output_format",
                                      "metadata",
                                      "service_tier",
                                      "speed",
                                      "cache_control",
                                      "container",
                                      "mcp_servers",
                                      "context_management",
                                      "compaction",
                                      "thread",
                                      "fallbacks",
                                      "fallback_credit_token",
                                      "billing_policy",
                                      "diagnostics",
                                      "inference_geo",
                                      NULL};
    static const char *const others[] = {"n",
                                         "stop",
                                         "max_completion_tokens",
                                         "stream_options",
                                         "response_format",
                                         "functions",
                                         "function_call",
                                         "parallel_tool_calls",
                                         "logprobs",
                                         "top_logprobs",
                                         "modalities",
                                         "audio",
                                         "web_search_options",
                                         "store",
                                         "verbosity",
                                         "reasoning_effort",
                                         "thinking_budget_tokens",
                                         "user",
                                         "prediction",
                                         "continue_final_message",
                                         "add_generation_prompt",
                                         NULL};
    fh_str key;
    const fh_json *v;
    for (void *it = NULL; fh_json_next(m->doc, &it, &key, &v);) {
        if (fh_msg_is_one_of(key, own)) continue;
        if (fh_msg_is_one_of(key, others)) return fh_wire_bad(err, key.ptr, "the Messages API has no field '%s'", key.ptr);
        bool merged = fh_str_eqs(key, "chat_template_kwargs") && fh_json_get(m->chat, key.ptr);
        if (!merged && !fh_json_set(m->chat, key.ptr, fh_msg_share(v))) return fh_err_nomem(err);
    }
    return 0;
}

static int take_model(fh_msg *m, fh_err **err)
{
    fh_str model = {NULL, 0};
    int rc = fh_json_read_str(m->doc, "model", true, &model, err);
    if (rc < 0) return rc;
    if (!model.len) return fh_wire_bad(err, "model", "'model' is empty");
    return fh_json_set(m->chat, "model", fh_json_new_str(model)) ? 0 : fh_err_nomem(err);
}

static int take_fields(fh_msg *m, fh_err **err)
{
    int rc = take_model(m, err);
    if (rc == 0) rc = take_max_tokens(m, err);
    if (rc == 0) rc = take_sampling(m, err);
    if (rc == 0) rc = take_stops(m, err);
    if (rc == 0) rc = take_stream(m, err);
    if (rc == 0) rc = take_thinking(m, err);
    if (rc == 0) rc = take_output(m, err);
    if (rc == 0) rc = take_metadata(m, err);
    if (rc == 0) rc = take_tier(m, err);
    if (rc == 0) rc = fh_msg_cache_control(m->doc, "", err);
    return rc == 0 ? take_native_fields(m, err) : rc;
}

static int take_request(fh_msg *m, fh_err **err)
{
    if (fh_json_kind_of(m->doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_INVALID, "the request body must be a JSON object");
    if (!m->chat || !m->list || !m->ids) return fh_err_nomem(err);
    int rc = take_fields(m, err);
    if (rc == 0) rc = fh_msg_tools(m, err);
    if (rc == 0) rc = fh_msg_context(m, err);
    if (rc == 0) rc = fh_msg_turns(m, err);
    if (rc == 0 && !fh_json_set(m->chat, "messages", fh_json_ref(m->list))) rc = fh_err_nomem(err);
    return rc == 0 ? take_unknown(m, err) : rc;
}

static int translate(const fh_json *doc, bool counting, fh_json **ret, fh_err **ret_native, fh_err **err)
{
    fh_msg m = {.doc = doc,
                .counting = counting,
                .may_native = ret_native != NULL,
                .chat = fh_json_new_object(),
                .list = fh_json_new_array(),
                .ids = fh_json_new_object()};
    int rc = take_request(&m, err);
    if (rc == 0) *ret = fh_take(m.chat);
    if (rc == 0 && m.native) fh_err_move(ret_native, &m.native);
    fh_err_free(m.native);
    fh_json_unref(m.chat);
    fh_json_unref(m.list);
    fh_json_unref(m.ids);
    return rc;
}

int fh_wire_messages_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err)
{
    return translate(doc, false, ret_chat, ret_native, err);
}

int fh_wire_messages_count_to_chat(const fh_json *doc, fh_json **ret_chat, fh_err **ret_native, fh_err **err)
{
    return translate(doc, true, ret_chat, ret_native, err);
}
