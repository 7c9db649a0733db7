/* The flat fields of a request of the Responses API. One table says of each what becomes of it; what it does not know goes on as it is,
 * because engines have fields of their own (seed, top_k, ...). docs/RESPONSES.md is the same table for people. */
#include "responses_private.h"

#include <stdio.h>

enum { MAX_COUNT_OF_TOKENS = 1 << 30, METADATA = 16, METADATA_KEY = 64, METADATA_VALUE = 512 };

typedef enum fate {
    HERE,  /* read below, or in another file, or by who keeps responses */
    GO_ON, /* the chat request has it under the same name */
    REFUSE,
    OF_CHAT /* is not of this API but of Chat Completions, where it would take effect unchecked */
} fate;

static const struct field {
    const char *name;
    fate fate;
    const char *hint;
} fields[] = {
    {"input", HERE, NULL},
    {"instructions", HERE, NULL},
    {"previous_response_id", HERE, NULL},
    {"tools", HERE, NULL},
    {"tool_choice", HERE, NULL},
    {"text", HERE, NULL},
    {"reasoning", HERE, NULL},
    {"max_output_tokens", HERE, NULL},
    {"max_tool_calls", HERE, NULL},
    {"top_logprobs", HERE, NULL},
    {"include", HERE, NULL},
    {"stream", HERE, NULL},
    {"stream_options", HERE, NULL},
    {"store", HERE, NULL},
    {"background", HERE, NULL},
    {"metadata", HERE, NULL},
    {"truncation", HERE, NULL},
    {"prompt_cache_options", HERE, NULL},
    {"model", GO_ON, NULL},
    {"temperature", GO_ON, NULL},
    {"top_p", GO_ON, NULL},
    {"presence_penalty", GO_ON, NULL},
    {"frequency_penalty", GO_ON, NULL},
    {"parallel_tool_calls", GO_ON, NULL},
    {"service_tier", GO_ON, NULL},
    {"safety_identifier", GO_ON, NULL},
    {"prompt_cache_key", GO_ON, NULL},
    {"prompt_cache_retention", GO_ON, NULL},
    {"user", GO_ON, NULL},
    {"conversation", REFUSE, "use 'previous_response_id', or send the whole conversation as 'input'"},
    {"prompt", REFUSE, "send the text itself as 'instructions' and 'input'"},
    {"background_options", REFUSE, "leave it out"},
    {"context_management", REFUSE, "leave it out"},
    {"moderation", REFUSE, "leave it out"},
    {"access_programs", REFUSE, "leave it out"},
    {"image", REFUSE, "leave it out"},
    {"personality", REFUSE, "say it in 'instructions'"},
    {"messages", OF_CHAT, "use 'input'"},
    {"n", OF_CHAT, "send the request several times"},
    {"max_tokens", OF_CHAT, "use 'max_output_tokens'"},
    {"max_completion_tokens", OF_CHAT, "use 'max_output_tokens'"},
    {"response_format", OF_CHAT, "use 'text.format'"},
    {"verbosity", OF_CHAT, "use 'text.verbosity'"},
    {"reasoning_effort", OF_CHAT, "use 'reasoning.effort'"},
    {"logprobs", OF_CHAT, "use 'include' with 'message.output_text.logprobs'"},
    {"functions", OF_CHAT, "use 'tools'"},
    {"function_call", OF_CHAT, "use 'tool_choice'"},
    {"modalities", OF_CHAT, "leave it out"},
    {"audio", OF_CHAT, "leave it out"},
    {"web_search_options", OF_CHAT, "leave it out"},
};

bool fh_wire_set_str(fh_json *o, fh_str key, fh_json *value)
{
    char *name = fh_strndup(key.ptr, key.len);
    if (!name) fh_json_unref(value);
    bool ok = name && fh_json_set(o, name, value);
    fh_free(name);
    return ok;
}

int fh_wire_refuse_members(const fh_json *o, const char *where, const char *const *members, fh_err **err)
{
    for (; *members; members++) {
        if (fh_wire_absent(fh_json_get(o, *members))) continue;
        return fh_wire_below(fh_wire_bad(err, *members, "'%s' is not supported here", *members), err, where);
    }
    return 0;
}

/* The table. */

static const struct field *find_field(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(fields); i++)
        if (fh_str_eqs(name, fields[i].name)) return &fields[i];
    return NULL;
}

static int refuse(const struct field *f, fh_err **err)
{
    int rc = f->fate == OF_CHAT ? fh_wire_bad(err, f->name, "'%s' is a field of chat completions, not of responses", f->name)
                                : fh_wire_bad(err, f->name, "'%s' is not supported here", f->name);
    fh_err_hint(err, "%s", f->hint);
    return rc;
}

static int take_fields(const fh_json *doc, fh_json *chat, fh_err **err)
{
    fh_str key;
    const fh_json *value;
    for (void *it = NULL; fh_json_next(doc, &it, &key, &value);) {
        const struct field *f = find_field(key);
        if (fh_wire_absent(value) || (f && f->fate == HERE)) continue;
        if (f && f->fate != GO_ON) return refuse(f, err);
        if (!fh_wire_set_str(chat, key, share(value))) return fh_err_nomem(err);
    }
    return 0;
}

/* One by one. */

static int want_word(const fh_json *o, const char *key, const char *const *words, const char *hint, fh_err **err)
{
    fh_str s = {NULL, 0};
    int rc = fh_json_read_str(o, key, false, &s, err);
    if (rc < 0 || !s.ptr) return rc;
    for (; *words; words++)
        if (fh_str_eqs(s, *words)) return 0;
    rc = fh_wire_bad(err, key, "'%s' is not supported for '%s'", s.len <= 32 ? s.ptr : "that", key);
    fh_err_hint(err, "%s", hint);
    return rc;
}

static int take_lengths(const fh_json *doc, fh_json *chat, fh_err **err)
{
    int64_t n = 0;
    int rc = fh_json_read_i64(doc, "max_output_tokens", false, 1, MAX_COUNT_OF_TOKENS, &n, err);
    if (rc < 0) return rc;
    if (n && !fh_json_set(chat, "max_completion_tokens", fh_json_new_int(n))) return fh_err_nomem(err);
    return fh_json_read_i64(doc, "max_tool_calls", false, 1, INT32_MAX, &n, err); /* of tools that a provider runs: there are none */
}

/* What a reply may hold beside the usual. Most of it belongs to tools that are refused; images of the input are kept always; reasoning is
 * given openly, so that there is nothing to seal. */
static int read_include(const fh_json *doc, bool *ret_logprobs, fh_err **err)
{
    static const char *const known[] = {"message.output_text.logprobs",
                                        "reasoning.encrypted_content",
                                        "message.input_image.image_url",
                                        "file_search_call.results",
                                        "web_search_call.results",
                                        "web_search_call.action.sources",
                                        "computer_call_output.output.image_url",
                                        "code_interpreter_call.outputs"};
    char where[48];
    const fh_json *v = fh_json_get(doc, "include");
    if (!fh_wire_absent(v) && fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "include", "'include' must be an array");
    for (size_t i = 0; i < fh_json_count(v); i++) {
        size_t k = 0;
        while (k < FH_COUNT(known) && !fh_str_eqs(fh_json_str(fh_json_at(v, i)), known[k])) k++;
        snprintf(where, sizeof where, "include[%zu]", i);
        if (k == FH_COUNT(known)) return fh_wire_bad(err, where, "'include' names what no reply holds");
        if (k == 0) *ret_logprobs = true;
    }
    return 0;
}

static int take_logprobs(const fh_json *doc, fh_json *chat, fh_err **err)
{
    bool wanted = false;
    int64_t top = 0;
    int rc = read_include(doc, &wanted, err);
    if (rc == 0) rc = fh_json_read_i64(doc, "top_logprobs", false, 0, 20, &top, err);
    if (rc < 0 || (!wanted && !top)) return rc;
    bool ok = fh_json_set(chat, "logprobs", fh_json_new_bool(true)) && fh_json_set(chat, "top_logprobs", fh_json_new_int(top));
    return ok ? 0 : fh_err_nomem(err);
}

/* summary: the thought itself is given as its summary (auto, detailed); nobody here writes a shorter one. */
static int take_reasoning(const fh_json *doc, fh_json *chat, fh_err **err)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL};
    static const char *const summaries[] = {"auto", "detailed", NULL}, *const contexts[] = {"auto", NULL},
                             *const modes[] = {"standard", NULL};
    const fh_json *r = fh_json_get(doc, "reasoning");
    if (fh_wire_absent(r)) return 0;
    if (fh_json_kind_of(r) != FH_JSON_OBJECT) return fh_wire_bad(err, "reasoning", "'reasoning' must be an object");
    int rc = want_word(r, "effort", efforts, "use one of none, minimal, low, medium, high, xhigh, max", err);
    if (rc == 0) rc = want_word(r, "summary", summaries, "use 'auto', or leave it out", err);
    if (rc == 0) rc = want_word(r, "generate_summary", summaries, "use 'auto', or leave it out", err);
    if (rc == 0) rc = want_word(r, "context", contexts, "leave it out", err);
    if (rc == 0) rc = want_word(r, "mode", modes, "leave it out", err);
    if (rc < 0) return fh_wire_below(rc, err, "reasoning");
    const fh_json *effort = fh_json_get(r, "effort");
    return fh_wire_absent(effort) || fh_json_set(chat, "reasoning_effort", share(effort)) ? 0 : fh_err_nomem(err);
}

/* The usage is part of every response, so the upstream is asked for it. */
static int take_stream(const fh_json *doc, fh_json *chat, fh_err **err)
{
    const fh_json *options = fh_json_get(doc, "stream_options");
    bool stream = false, obfuscate = false;
    int rc = fh_json_read_bool(doc, "stream", false, &stream, err);
    if (rc == 0 && !fh_wire_absent(options) && fh_json_kind_of(options) != FH_JSON_OBJECT)
        rc = fh_wire_bad(err, "stream_options", "'stream_options' must be an object");
    if (rc == 0 && !fh_wire_absent(options) && !stream)
        rc = fh_wire_bad(err, "stream_options", "'stream_options' is only allowed with 'stream': true");
    if (rc == 0) rc = fh_wire_below(fh_json_read_bool(options, "include_obfuscation", false, &obfuscate, err), err, "stream_options");
    if (rc == 0 && obfuscate) {
        rc = fh_wire_bad(err, "stream_options.include_obfuscation", "padding of stream events is not supported");
        fh_err_hint(err, "leave it out");
    }
    if (rc < 0 || !stream) return rc;
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "include_usage", fh_json_new_bool(true)) && fh_json_set(chat, "stream", fh_json_new_bool(true));
    return ok && fh_json_set(chat, "stream_options", fh_take(o)) ? 0 : fh_err_nomem(err);
}

static int check_metadata(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "metadata"), *value;
    fh_str key;
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT || fh_json_count(v) > METADATA)
        return fh_wire_bad(err, "metadata", "'metadata' must be an object of at most %d strings", METADATA);
    for (void *it = NULL; fh_json_next(v, &it, &key, &value);) {
        if (key.len > METADATA_KEY || fh_json_kind_of(value) != FH_JSON_STRING || fh_json_str(value).len > METADATA_VALUE)
            return fh_wire_bad(err, "metadata", "a key of 'metadata' has at most %d bytes, its value is a string of at most %d",
                               METADATA_KEY, METADATA_VALUE);
    }
    return 0;
}

/* A hint how to keep computed prompts; but to compute one without an answer is another request. */
static int take_cache_options(const fh_json *doc, fh_json *chat, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "prompt_cache_options");
    bool prewarm = false;
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return fh_wire_bad(err, "prompt_cache_options", "'prompt_cache_options' must be an object");
    int rc = fh_wire_below(fh_json_read_bool(v, "prewarm", false, &prewarm, err), err, "prompt_cache_options");
    if (rc == 0 && prewarm) rc = fh_wire_bad(err, "prompt_cache_options.prewarm", "'prewarm' is not supported here");
    return rc < 0 || pass_on(chat, doc, "prompt_cache_options") ? rc : fh_err_nomem(err);
}

static int check_flags(const fh_json *doc, fh_err **err)
{
    static const char *const truncations[] = {"disabled", NULL};
    bool store, background = false;
    int rc = fh_json_read_bool(doc, "store", false, &store, err);
    if (rc == 0) rc = fh_json_read_bool(doc, "background", false, &background, err);
    if (rc == 0 && background) {
        rc = fh_wire_bad(err, "background", "answering in the background is not supported");
        fh_err_hint(err, "use 'stream': true");
    }
    return rc == 0 ? want_word(doc, "truncation", truncations, "shorten the input, nothing of it is dropped here", err) : rc;
}

int fh_wire_responses_fields(const fh_json *doc, fh_json *chat, fh_err **err)
{
    fh_str model = {NULL, 0};
    int rc = fh_json_read_str(doc, "model", true, &model, err);
    if (rc == 0) rc = take_fields(doc, chat, err);
    if (rc == 0) rc = check_flags(doc, err);
    if (rc == 0) rc = check_metadata(doc, err);
    if (rc == 0) rc = take_lengths(doc, chat, err);
    if (rc == 0) rc = take_logprobs(doc, chat, err);
    if (rc == 0) rc = take_reasoning(doc, chat, err);
    if (rc == 0) rc = take_stream(doc, chat, err);
    return rc == 0 ? take_cache_options(doc, chat, err) : rc;
}
