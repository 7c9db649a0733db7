/* Chat and completion requests: the fields that we act on. Messages are in openai_messages.c, what not every upstream does in
 * openai_fields.c.
 */
#include "private.h"

#include "base/limits.h"
#include <stdio.h>

enum { MAX_COUNT_OF_TOKENS = 1 << 30 };

int fh_wire_bad(fh_err **err, const char *param, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = fh_err_vset(err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    fh_err_param(err, "%s", param);
    return rc;
}

int fh_wire_below(int rc, fh_err **err, const char *where)
{
    char param[160];
    const char *inner = rc < 0 && err && *err ? fh_err_param_get(*err) : NULL;
    if (!inner) return rc;
    snprintf(param, sizeof param, "%s.%s", where, inner);
    fh_err_param(err, "%s", param);
    return rc;
}

bool fh_wire_absent(const fh_json *v)
{
    return fh_json_kind_of(v) == FH_JSON_NULL;
}

/* Sampling. */

/* n_predict is llama-server's name; -1 says that there is no bound. */
static int read_max_tokens(const fh_json *doc, bool chat, int64_t *ret, fh_err **err)
{
    int64_t least = chat ? 1 : 0; /* 0: a completion with echo, which scores its prompt */
    int rc = fh_json_read_i64(doc, "n_predict", false, -1, MAX_COUNT_OF_TOKENS, ret, err);
    if (rc == 0 && *ret == 0 && chat) rc = fh_wire_bad(err, "n_predict", "'n_predict' must be at least 1, or -1 for no bound");
    if (rc == 0) rc = fh_json_read_i64(doc, "max_tokens", false, least, MAX_COUNT_OF_TOKENS, ret, err);
    if (rc == 0 && chat) rc = fh_json_read_i64(doc, "max_completion_tokens", false, least, MAX_COUNT_OF_TOKENS, ret, err);
    return rc;
}

static int read_seed(const fh_json *doc, fh_wire_sampling *s, fh_err **err)
{
    int64_t seed = 0;
    if (fh_wire_absent(fh_json_get(doc, "seed"))) return 0;
    int rc = fh_json_read_i64(doc, "seed", false, INT64_MIN, INT64_MAX, &seed, err);
    s->seed = (uint64_t)seed;
    s->has_seed = rc == 0;
    return rc;
}

static int read_top_k(const fh_json *doc, fh_wire_sampling *s, fh_err **err)
{
    int64_t k = 0; /* -1 and 0 both say "off" in the engines that have the field */
    int rc = fh_json_read_i64(doc, "top_k", false, -1, INT32_MAX, &k, err);
    if (rc == 0) s->top_k = k > 0 ? (uint32_t)k : 0;
    return rc;
}

static int read_numbers(const fh_json *doc, bool chat, fh_wire_sampling *s, fh_err **err)
{
    s->has_temperature = !fh_wire_absent(fh_json_get(doc, "temperature"));
    int rc = fh_json_read_f64(doc, "temperature", false, 0, 2, &s->temperature, err);
    if (rc == 0) rc = fh_json_read_f64(doc, "top_p", false, 0, 1, &s->top_p, err);
    if (rc == 0) rc = fh_json_read_f64(doc, "min_p", false, 0, 1, &s->min_p, err);
    if (rc == 0) rc = fh_json_read_f64(doc, "repeat_penalty", false, 0.01, 10, &s->repetition_penalty, err); /* llama-server's name */
    if (rc == 0) rc = fh_json_read_f64(doc, "repetition_penalty", false, 0.01, 10, &s->repetition_penalty, err);
    if (rc == 0) rc = fh_json_read_f64(doc, "presence_penalty", false, -2, 2, &s->presence_penalty, err);
    if (rc == 0) rc = fh_json_read_f64(doc, "frequency_penalty", false, -2, 2, &s->frequency_penalty, err);
    if (rc == 0) rc = fh_json_read_bool(doc, "ignore_eos", false, &s->ignore_eos, err);
    if (rc == 0) rc = read_top_k(doc, s, err);
    if (rc == 0) rc = read_seed(doc, s, err);
    return rc == 0 ? read_max_tokens(doc, chat, &s->max_tokens, err) : rc;
}

/* Stop strings. */

static int take_stop(fh_wire_sampling *s, const fh_json *v, fh_err **err)
{
    fh_str stop = fh_json_str(v);
    if (fh_json_kind_of(v) != FH_JSON_STRING) return fh_wire_bad(err, "stop", "'stop' must be a string or an array of strings");
    if (stop.len == 0) return fh_wire_bad(err, "stop", "a stop string is empty");
    if (stop.len > FH_LIMIT_STOP_STRING_BYTES)
        return fh_wire_bad(err, "stop", "a stop string is longer than %d bytes", FH_LIMIT_STOP_STRING_BYTES);
    s->stops[s->stop_count++] = stop;
    return 0;
}

static int read_stop(const fh_json *doc, fh_wire_sampling *s, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "stop");
    if (fh_wire_absent(v)) return 0;
    bool array = fh_json_kind_of(v) == FH_JSON_ARRAY;
    size_t count = array ? fh_json_count(v) : 1;
    if (count > FH_LIMIT_STOP_STRINGS)
        return fh_wire_bad(err, "stop", "'stop' holds %zu strings; at most %d are taken", count, FH_LIMIT_STOP_STRINGS);
    s->stops = fh_calloc(count, sizeof *s->stops);
    if (!s->stops) return fh_err_nomem(err);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = take_stop(s, array ? fh_json_at(v, i) : v, err);
    return rc;
}

/* Logit bias: {"50256": -100}. */

static int take_bias(fh_wire_sampling *s, fh_str key, const fh_json *value, fh_err **err)
{
    uint64_t token;
    fh_json_kind kind = fh_json_kind_of(value);
    double bias = fh_json_num(value, 0);
    if (!fh_str_u64(key, INT32_MAX, &token)) return fh_wire_bad(err, "logit_bias", "a key of 'logit_bias' is not a token id");
    if ((kind != FH_JSON_INT && kind != FH_JSON_REAL) || !(bias >= -100 && bias <= 100))
        return fh_wire_bad(err, "logit_bias", "the bias of token %llu is not a number between -100 and 100", (unsigned long long)token);
    s->bias[s->bias_count++] = (fh_wire_bias){(int32_t)token, (float)bias};
    return 0;
}

static int read_bias(const fh_json *doc, fh_wire_sampling *s, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "logit_bias"), *value;
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT)
        return fh_wire_bad(err, "logit_bias", "'logit_bias' must be an object of token ids and numbers");
    size_t count = fh_json_count(v);
    if (count > FH_LIMIT_LOGIT_BIAS_TOKENS)
        return fh_wire_bad(err, "logit_bias", "'logit_bias' holds %zu tokens; at most %d are taken", count, FH_LIMIT_LOGIT_BIAS_TOKENS);
    s->bias = fh_calloc(count, sizeof *s->bias);
    if (!s->bias) return fh_err_nomem(err);
    int rc = 0;
    fh_str key;
    for (void *it = NULL; rc == 0 && fh_json_next(v, &it, &key, &value);) rc = take_bias(s, key, value, err);
    return rc;
}

/* Log probabilities: chat has a flag and a count, completions one integer. */
static int read_logprobs(const fh_json *doc, bool chat, fh_wire_sampling *s, fh_err **err)
{
    int64_t count = 0;
    bool given = !fh_wire_absent(fh_json_get(doc, chat ? "top_logprobs" : "logprobs"));
    int rc = fh_json_read_i64(doc, chat ? "top_logprobs" : "logprobs", false, 0, FH_LIMIT_TOP_LOGPROBS, &count, err);
    if (rc < 0) return rc;
    s->logprobs = !chat && given;
    if (chat) rc = fh_json_read_bool(doc, "logprobs", false, &s->logprobs, err);
    if (rc < 0) return rc;
    if (given && !s->logprobs) return fh_wire_bad(err, "top_logprobs", "'top_logprobs' needs 'logprobs': true");
    s->top_logprobs = (uint32_t)count;
    return 0;
}

static int read_sampling(const fh_json *doc, bool chat, fh_wire_sampling *s, fh_err **err)
{
    *s = (fh_wire_sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1, .max_tokens = -1};
    int rc = read_numbers(doc, chat, s, err);
    if (rc == 0) rc = read_stop(doc, s, err);
    if (rc == 0) rc = read_bias(doc, s, err);
    return rc == 0 ? read_logprobs(doc, chat, s, err) : rc;
}

/* Streaming. */
static int read_stream(fh_wire_request *r, fh_err **err)
{
    const fh_json *options = fh_json_get(r->doc, "stream_options");
    bool ignored = false;
    int rc = fh_json_read_bool(r->doc, "stream", false, &r->stream, err);
    if (rc < 0 || fh_wire_absent(options)) return rc;
    if (fh_json_kind_of(options) != FH_JSON_OBJECT) return fh_wire_bad(err, "stream_options", "'stream_options' must be an object");
    if (!r->stream) return fh_wire_bad(err, "stream_options", "'stream_options' is only allowed with 'stream': true");
    rc = fh_json_read_bool(options, "include_usage", false, &r->include_usage, err);
    if (rc == 0) rc = fh_json_read_bool(options, "include_obfuscation", false, &ignored, err);
    if (rc < 0) fh_err_param(err, "stream_options");
    return rc;
}

/* Prompts of completions: a text, an array of token ids, or an array that holds one of these. */

static int take_prompt_tokens(fh_wire_request *r, const fh_json *array, fh_err **err)
{
    size_t count = fh_json_count(array);
    r->prompt_tokens = fh_calloc(count, sizeof *r->prompt_tokens);
    if (!r->prompt_tokens) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        const fh_json *v = fh_json_at(array, i);
        int64_t id = fh_json_int(v, -1);
        if (fh_json_kind_of(v) != FH_JSON_INT || id < 0 || id > INT32_MAX)
            return fh_wire_bad(err, "prompt", "item %zu of 'prompt' is not a token id", i);
        r->prompt_tokens[r->prompt_token_count++] = (int32_t)id;
    }
    return 0;
}

static int take_prompt(fh_wire_request *r, const fh_json *v, bool nested, fh_err **err)
{
    fh_json_kind kind = fh_json_kind_of(v), inner = fh_json_kind_of(fh_json_at(v, 0));
    if (kind == FH_JSON_STRING) {
        r->prompt = fh_json_str(v);
        return 0;
    }
    if (kind != FH_JSON_ARRAY || fh_json_count(v) == 0)
        return fh_wire_bad(err, "prompt", "'prompt' must be a string or an array of token ids");
    if (inner == FH_JSON_INT) return take_prompt_tokens(r, v, err);
    if (nested || (inner != FH_JSON_STRING && inner != FH_JSON_ARRAY))
        return fh_wire_bad(err, "prompt", "'prompt' must be a string or an array of token ids");
    if (fh_json_count(v) > 1) fh_wire_need_add(r, FH_NEED_PROMPTS, NULL);
    return take_prompt(r, fh_json_at(v, 0), true, err);
}

/* Whole requests. */

static int read_common(fh_wire_request *r, fh_err **err)
{
    bool chat = r->kind == FH_WIRE_CHAT;
    if (fh_json_kind_of(r->doc) != FH_JSON_OBJECT) return fh_err_set(err, FH_E_INVALID, "the request body must be a JSON object");
    int rc = fh_json_read_str(r->doc, "model", true, &r->model, err);
    if (rc == 0 && r->model.len == 0) rc = fh_wire_bad(err, "model", "'model' is empty");
    if (rc == 0) rc = read_sampling(r->doc, chat, &r->sampling, err);
    if (rc == 0) rc = read_stream(r, err);
    return rc == 0 ? fh_wire_fields_check(r, err) : rc;
}

/* As vLLM and llama-server have it: the answer goes on from the last message instead of beginning one. */
static int read_continue(fh_wire_request *r, fh_err **err)
{
    bool prompt = true, given = !fh_wire_absent(fh_json_get(r->doc, "add_generation_prompt"));
    const fh_json *last = fh_json_at(r->messages, fh_json_count(r->messages) - 1);
    int rc = fh_json_read_bool(r->doc, "continue_final_message", false, &r->continue_final, err);
    if (rc == 0) rc = fh_json_read_bool(r->doc, "add_generation_prompt", false, &prompt, err);
    r->no_generation_prompt = !prompt;
    if (rc < 0 || !r->continue_final) return rc;
    if (given && prompt)
        return fh_wire_bad(err, "add_generation_prompt", "'add_generation_prompt' and 'continue_final_message' exclude each other");
    if (!fh_str_eqs(fh_json_str(fh_json_get(last, "role")), "assistant"))
        return fh_wire_bad(err, "continue_final_message", "the last message is not the assistant's: there is nothing to go on from");
    fh_wire_need_add(r, FH_NEED_PREFILL, NULL);
    return 0;
}

static int read_chat(fh_wire_request *r, fh_err **err)
{
    r->messages = fh_json_get(r->doc, "messages");
    r->template_variables = fh_json_get(r->doc, "chat_template_kwargs");
    if (fh_wire_absent(r->template_variables))
        r->template_variables = NULL;
    else if (fh_json_kind_of(r->template_variables) != FH_JSON_OBJECT)
        return fh_wire_bad(err, "chat_template_kwargs", "'chat_template_kwargs' must be an object");
    int rc = fh_wire_messages_check(r, err);
    if (rc == 0) rc = read_continue(r, err);
    return rc == 0 ? fh_wire_tools_check(r, err) : rc;
}

static int read_completion(fh_wire_request *r, fh_err **err)
{
    const fh_json *prompt = fh_json_get(r->doc, "prompt");
    if (fh_wire_absent(prompt)) return fh_wire_bad(err, "prompt", "'prompt' is missing");
    int rc = fh_json_read_bool(r->doc, "echo", false, &r->echo, err);
    return rc == 0 ? take_prompt(r, prompt, false, err) : rc;
}

/* Field by field, into a request that the caller gets only when it is whole. Takes doc. */
static int take(fh_wire_request *ret, bool chat, fh_json *doc, fh_err **err)
{
    fh_wire_request r = {.kind = chat ? FH_WIRE_CHAT : FH_WIRE_COMPLETION, .doc = doc};
    int rc = read_common(&r, err);
    if (rc == 0) rc = chat ? read_chat(&r, err) : read_completion(&r, err);
    if (rc < 0)
        fh_wire_request_fini(&r);
    else
        *ret = r;
    return rc;
}

static int parse(fh_wire_request *ret, bool chat, fh_str body, fh_err **err)
{
    fh_json *doc = NULL;
    int rc = fh_json_parse(&doc, body, FH_LIMIT_JSON_BODY_BYTES, err);
    return rc < 0 ? fh_err_add(err, "the request body") : take(ret, chat, doc, err);
}

int fh_wire_chat_take(fh_wire_request *ret, fh_json *doc, fh_err **err)
{
    return take(ret, true, doc, err);
}

int fh_wire_chat_parse(fh_wire_request *ret, fh_str body, fh_err **err)
{
    return parse(ret, true, body, err);
}

int fh_wire_completion_parse(fh_wire_request *ret, fh_str body, fh_err **err)
{
    return parse(ret, false, body, err);
}

void fh_wire_request_fini(fh_wire_request *r)
{
    fh_free(r->sampling.stops);
    fh_free(r->sampling.bias);
    fh_free(r->prompt_tokens);
    fh_json_unref(r->doc);
    *r = (fh_wire_request){0};
}
