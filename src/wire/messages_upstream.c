/* A chat request for an upstream that speaks the Messages API: the fields of the request itself. Each field of a chat is said there, left
 * out because it changes no answer, or refused by name; one that is documented nowhere passes on. */
#include "messages_upstream.h"

#include "base/limits.h"

enum { MAX_COUNT_OF_TOKENS = 1 << 30 };

static int set(fh_json *o, const char *key, fh_json *value, fh_err **err)
{
    return fh_json_set(o, key, value) ? 0 : fh_err_nomem(err);
}

/* Length and sampling. */

static int set_max_tokens(fh_up *u, int64_t otherwise, fh_err **err)
{
    int64_t count = -1; /* as n_predict says that there is no bound */
    int rc = fh_json_read_i64(u->chat, "n_predict", false, -1, MAX_COUNT_OF_TOKENS, &count, err);
    if (count < 1) count = otherwise;
    if (rc == 0) rc = fh_json_read_i64(u->chat, "max_tokens", false, 1, MAX_COUNT_OF_TOKENS, &count, err);
    if (rc == 0) rc = fh_json_read_i64(u->chat, "max_completion_tokens", false, 1, MAX_COUNT_OF_TOKENS, &count, err);
    return rc == 0 ? set(u->out, "max_tokens", fh_json_new_int(count), err) : rc;
}

static int set_sampling(fh_up *u, fh_err **err)
{
    double temperature = 0;
    int64_t top_k = 0;
    int rc = fh_json_read_f64(u->chat, "temperature", false, 0, 2, &temperature, err);
    if (rc == 0 && temperature > 1) return fh_up_refuse(err, "temperature", "a temperature above 1");
    if (rc == 0) rc = fh_json_read_i64(u->chat, "top_k", false, -1, INT32_MAX, &top_k, err);
    if (rc < 0) return rc;
    bool ok = fh_msg_copy(u->out, u->chat, "temperature", "temperature") && fh_msg_copy(u->out, u->chat, "top_p", "top_p");
    if (ok && top_k > 0) ok = fh_json_set(u->out, "top_k", fh_json_new_int(top_k));
    return ok ? 0 : fh_err_nomem(err);
}

static int set_stops(fh_up *u, fh_err **err)
{
    const fh_json *v = fh_json_get(u->chat, "stop");
    if (fh_wire_absent(v) || (fh_json_kind_of(v) == FH_JSON_ARRAY && !fh_json_count(v))) return 0;
    if (fh_json_kind_of(v) == FH_JSON_ARRAY) return set(u->out, "stop_sequences", fh_msg_share(v), err);
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    if (!list || !fh_json_append(list, fh_msg_share(v))) return fh_err_nomem(err);
    return set(u->out, "stop_sequences", fh_take(list), err);
}

/* Output. */

static fh_json *output_format(const fh_json *schema)
{
    FH_AUTO(json) fh_json *format = fh_json_new_object();
    bool ok = format && fh_json_set(format, "type", fh_json_new_cstr("json_schema")) && fh_json_set(format, "schema", fh_msg_share(schema));
    return ok ? fh_take(format) : NULL;
}

static int set_format(fh_up *u, fh_json *config, fh_err **err)
{
    const fh_json *format = fh_json_get(u->chat, "response_format"), *schema = fh_json_get(fh_json_get(format, "json_schema"), "schema");
    fh_str type = fh_json_str(fh_json_get(format, "type"));
    if (fh_wire_absent(format) || fh_str_eqs(type, "text")) return 0;
    if (!fh_str_eqs(type, "json_schema")) return fh_up_refuse(err, "response_format", "a format other than json_schema");
    int rc = fh_msg_object(schema, "response_format.json_schema.schema", err);
    return rc == 0 ? set(config, "format", output_format(schema), err) : rc;
}

static int set_thinking(fh_up *u, const char *type, fh_err **err)
{
    FH_AUTO(json) fh_json *thinking = fh_json_new_object();
    if (!thinking || !fh_json_set(thinking, "type", fh_json_new_cstr(type))) return fh_err_nomem(err);
    return set(u->out, "thinking", fh_take(thinking), err);
}

/* Effort goes with thinking as the model sees fit; none turns it off. */
static int set_effort(fh_up *u, fh_json *config, fh_err **err)
{
    static const char *const efforts[] = {"low", "medium", "high", "xhigh", "max", NULL};
    int64_t budget = fh_json_int(fh_json_get(u->chat, "thinking_budget_tokens"), 0);
    fh_str effort = {NULL, 0};
    int rc = fh_json_read_str(u->chat, "reasoning_effort", false, &effort, err);
    if (rc < 0 || !effort.ptr) return rc;
    if (fh_str_eqs(effort, "none")) return set_thinking(u, "disabled", err);
    if (fh_str_eqs(effort, "minimal")) effort = FH_STR("low");
    if (!fh_msg_is_one_of(effort, efforts)) return fh_up_refuse(err, "reasoning_effort", "this effort");
    if (budget && fh_str_eqs(effort, fh_msg_effort_of(budget))) return 0; /* the budget says it already */
    rc = set(config, "effort", fh_json_new_str(effort), err);
    return rc == 0 ? set_thinking(u, "adaptive", err) : rc;
}

/* Of the variables of templates only the switches of thinking mean something there. */
static int set_switch(fh_up *u, fh_err **err)
{
    static const char *const switches[] = {"enable_thinking", "thinking", NULL};
    const fh_json *v = fh_json_get(u->chat, "chat_template_kwargs"), *value;
    fh_str key;
    int rc = 0;
    for (void *it = NULL; rc == 0 && fh_json_next(v, &it, &key, &value);) {
        if (!fh_msg_is_one_of(key, switches) || fh_json_kind_of(value) != FH_JSON_BOOL)
            return fh_up_refuse(err, "chat_template_kwargs", "a variable of a chat template");
        rc = set_thinking(u, fh_json_is_true(value) ? "adaptive" : "disabled", err);
    }
    return rc;
}

static int set_output(fh_up *u, fh_err **err)
{
    FH_AUTO(json) fh_json *config = fh_json_new_object();
    if (!config) return fh_err_nomem(err);
    int rc = set_switch(u, err);
    if (rc == 0) rc = set_effort(u, config, err);
    if (rc == 0) rc = set_format(u, config, err);
    if (rc < 0 || !fh_json_count(config)) return rc;
    return set(u->out, "output_config", fh_take(config), err);
}

/* A budget of our own name for it, which Messages requests of clients become, is said as one. */
static int set_budget(fh_up *u, fh_err **err)
{
    int64_t budget = 0;
    int rc = fh_json_read_i64(u->chat, "thinking_budget_tokens", false, 1, MAX_COUNT_OF_TOKENS, &budget, err);
    if (rc < 0 || !budget) return rc;
    rc = set_thinking(u, "enabled", err);
    if (rc < 0) return rc;
    FH_AUTO(json) fh_json *thinking = fh_msg_share(fh_json_get(u->out, "thinking"));
    return set(thinking, "budget_tokens", fh_json_new_int(budget), err);
}

/* Labels and tiers. */

static int set_user(fh_up *u, fh_err **err)
{
    fh_str user = {NULL, 0};
    int rc = fh_json_read_str(u->chat, "user", false, &user, err);
    if (rc == 0) rc = fh_json_read_str(u->chat, "safety_identifier", false, &user, err);
    if (rc < 0 || !user.ptr) return rc;
    FH_AUTO(json) fh_json *metadata = fh_json_new_object();
    if (!metadata || !fh_json_set(metadata, "user_id", fh_json_new_str(user))) return fh_err_nomem(err);
    return set(u->out, "metadata", fh_take(metadata), err);
}

static int set_tier(fh_up *u, fh_err **err)
{
    fh_str tier = {NULL, 0};
    int rc = fh_json_read_str(u->chat, "service_tier", false, &tier, err);
    if (rc < 0 || !tier.ptr) return rc;
    if (fh_str_eqs(tier, "auto")) return set(u->out, "service_tier", fh_json_new_cstr("auto"), err);
    if (fh_str_eqs(tier, "default")) return set(u->out, "service_tier", fh_json_new_cstr("standard_only"), err);
    return fh_up_refuse(err, "service_tier", "a service tier other than auto and default");
}

/* What cannot be said there, unless it has the value by which it asks for nothing. */

typedef enum nothing { NEVER, ZERO, ONE, OFF, EMPTY, MEDIUM, TEXT_ONLY } nothing;

static bool asks(const fh_json *v, nothing neutral)
{
    if (fh_wire_absent(v)) return false;
    switch (neutral) {
    case ZERO: return fh_json_num(v, 1) != 0;
    case ONE: return fh_json_num(v, 0) != 1;
    case OFF: return fh_json_kind_of(v) != FH_JSON_BOOL || fh_json_is_true(v);
    case EMPTY: return fh_json_count(v) > 0 || fh_json_str(v).ptr;
    case MEDIUM: return !fh_str_eqs(fh_json_str(v), "medium");
    case TEXT_ONLY: return fh_json_count(v) != 1 || !fh_str_eqs(fh_json_str(fh_json_at(v, 0)), "text");
    case NEVER: break;
    }
    return true;
}

static const struct {
    const char *key;
    nothing neutral;
    const char *what;
} unsayable[] = {{"n", ONE, "more than one choice"},
                 {"seed", NEVER, "a seed"},
                 {"logprobs", OFF, "asking for log probabilities"},
                 {"top_logprobs", ZERO, "asking for log probabilities"},
                 {"logit_bias", EMPTY, "a bias of tokens"},
                 {"presence_penalty", ZERO, "a penalty"},
                 {"frequency_penalty", ZERO, "a penalty"},
                 {"repetition_penalty", ONE, "a penalty"},
                 {"repeat_penalty", ONE, "a penalty"},
                 {"min_p", ZERO, "sampling by min_p"},
                 {"ignore_eos", OFF, "going on behind the end"},
                 {"functions", EMPTY, "the functions API that tools replaced"},
                 {"function_call", EMPTY, "the functions API that tools replaced"},
                 {"modalities", TEXT_ONLY, "output other than text"},
                 {"audio", NEVER, "audio output"},
                 {"web_search_options", NEVER, "searching the web"},
                 {"store", OFF, "keeping the answer"},
                 {"verbosity", MEDIUM, "a verbosity other than medium"}};

static int refuse_unsayable(const fh_up *u, fh_err **err)
{
    for (size_t i = 0; i < FH_COUNT(unsayable); i++)
        if (asks(fh_json_get(u->chat, unsayable[i].key), unsayable[i].neutral))
            return fh_up_refuse(err, unsayable[i].key, unsayable[i].what);
    return 0;
}

static bool is_unsayable(fh_str key)
{
    for (size_t i = 0; i < FH_COUNT(unsayable); i++)
        if (fh_str_eqs(key, unsayable[i].key)) return true;
    return false;
}

static int pass_unknown(fh_up *u, fh_err **err)
{
    static const char *const known[] = {"model",
                                        "messages",
                                        "max_tokens",
                                        "max_completion_tokens",
                                        "n_predict",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "stop",
                                        "stream",
                                        "stream_options",
                                        "tools",
                                        "tool_choice",
                                        "parallel_tool_calls",
                                        "response_format",
                                        "reasoning_effort",
                                        "thinking_budget_tokens",
                                        "chat_template_kwargs",
                                        "user",
                                        "safety_identifier",
                                        "service_tier",
                                        "metadata",
                                        "prediction",
                                        "prompt_cache_key",
                                        "prompt_cache_retention",
                                        "continue_final_message",
                                        "add_generation_prompt",
                                        NULL};
    fh_str key;
    const fh_json *v;
    for (void *it = NULL; fh_json_next(u->chat, &it, &key, &v);) {
        if (fh_msg_is_one_of(key, known) || is_unsayable(key)) continue;
        int rc = set(u->out, key.ptr, fh_msg_share(v), err);
        if (rc < 0) return rc;
    }
    return 0;
}

static int translate(fh_up *u, int64_t default_max_tok, fh_err **err)
{
    bool stream = false;
    int rc = fh_json_read_bool(u->chat, "stream", false, &stream, err);
    if (rc == 0 && !fh_msg_copy(u->out, u->chat, "model", "model")) rc = fh_err_nomem(err);
    if (rc == 0) rc = pass_unknown(u, err); /* before ours, so that none of them is overwritten */
    if (rc == 0) rc = refuse_unsayable(u, err);
    if (rc == 0) rc = set_max_tokens(u, default_max_tok, err);
    if (rc == 0) rc = set_sampling(u, err);
    if (rc == 0) rc = set_stops(u, err);
    if (rc == 0) rc = set_output(u, err);
    if (rc == 0) rc = set_budget(u, err);
    if (rc == 0) rc = set_user(u, err);
    if (rc == 0) rc = set_tier(u, err);
    if (rc == 0 && stream) rc = set(u->out, "stream", fh_json_new_bool(true), err);
    if (rc == 0) rc = fh_up_tools(u, err);
    return rc == 0 ? fh_up_turns(u, err) : rc;
}

int fh_wire_chat_to_messages(const fh_json *chat, int64_t default_max_tok, fh_json **ret, fh_err **err)
{
    fh_up u = {.chat = chat, .out = fh_json_new_object()};
    int rc = u.out ? translate(&u, default_max_tok, err) : fh_err_nomem(err);
    if (rc == 0) *ret = fh_take(u.out);
    fh_json_unref(u.out);
    return rc;
}
