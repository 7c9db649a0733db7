/* The key of a request (see ask_key.h). */
#include "ask_key.h"

#include "base/limits.h"
#include "net/secret.h"
#include <math.h>
#include <stdlib.h>

enum { MEMBERS_MAX = 256 };
#define EXACT_MAX 9007199254740992.0 /* integers up to here are doubles without loss */
#define OUTSIDE                                                                                                                            \
    (FH_NEED_BIT(STORE) | FH_NEED_BIT(SEARCH) | FH_NEED_BIT(IMAGES) | FH_NEED_BIT(AUDIO) | FH_NEED_BIT(FILES) | FH_NEED_BIT(MODALITIES) |  \
     FH_NEED_BIT(AUDIO_OUT))

typedef enum weight {
    COUNTS,
    LABEL, /* says who asks, or how the upstream should keep its books: no answer changes */
} weight;

/* Members of all APIs that may ask for nothing but an answer. Sorted. */
static const struct {
    const char *name;
    weight weight;
} members[] = {
    {"add_generation_prompt", COUNTS},
    {"best_of", COUNTS},
    {"cache_control", LABEL},
    {"chat_template_kwargs", COUNTS},
    {"context_management", COUNTS},
    {"continue_final_message", COUNTS},
    {"echo", COUNTS},
    {"frequency_penalty", COUNTS},
    {"function_call", COUNTS},
    {"functions", COUNTS},
    {"ignore_eos", COUNTS},
    {"include", COUNTS},
    {"input", COUNTS},
    {"instructions", COUNTS},
    {"logit_bias", COUNTS},
    {"logprobs", COUNTS},
    {"max_completion_tokens", COUNTS},
    {"max_output_tokens", COUNTS},
    {"max_tokens", COUNTS},
    {"max_tool_calls", COUNTS},
    {"messages", COUNTS},
    {"metadata", LABEL},
    {"min_p", COUNTS},
    {"model", COUNTS},
    {"n", COUNTS},
    {"n_predict", COUNTS},
    {"output_config", COUNTS},
    {"output_format", COUNTS},
    {"parallel_tool_calls", COUNTS},
    {"prediction", COUNTS},
    {"presence_penalty", COUNTS},
    {"previous_response_id", COUNTS},
    {"prompt", COUNTS},
    {"prompt_cache_key", LABEL},
    {"prompt_cache_options", LABEL},
    {"prompt_cache_retention", LABEL},
    {"reasoning", COUNTS},
    {"reasoning_effort", COUNTS},
    {"repeat_penalty", COUNTS},
    {"repetition_penalty", COUNTS},
    {"response_format", COUNTS},
    {"safety_identifier", LABEL},
    {"seed", COUNTS},
    {"service_tier", COUNTS},
    {"stop", COUNTS},
    {"stop_sequences", COUNTS},
    {"store", COUNTS},
    {"stream", COUNTS},
    {"stream_options", COUNTS},
    {"suffix", COUNTS},
    {"system", COUNTS},
    {"temperature", COUNTS},
    {"text", COUNTS},
    {"thinking", COUNTS},
    {"tool_choice", COUNTS},
    {"tools", COUNTS},
    {"top_k", COUNTS},
    {"top_logprobs", COUNTS},
    {"top_p", COUNTS},
    {"truncation", COUNTS},
    {"user", LABEL},
    {"verbosity", COUNTS},
};

typedef struct member {
    fh_str name;
    const fh_json *value;
} member;

/* ---- fixed ---- */

/* Functions are the client's to run; any other tool may be run at the upstream, and say another thing each time. */
static bool has_only_functions(const fh_json *tools)
{
    for (size_t i = 0; i < fh_json_count(tools); i++)
        if (!fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(tools, i), "type")), "function")) return false;
    return true;
}

bool fh_ask_fixed(const fh_ask *a)
{
    const fh_wire_request *r = &a->common;
    if (a->dialect == FH_DIALECTS || !r->doc || a->native || (r->needs & OUTSIDE)) return false;
    bool drawn = !r->sampling.has_seed && !(r->sampling.has_temperature && r->sampling.temperature == 0);
    return !drawn && has_only_functions(fh_json_get(r->doc, "tools"));
}

/* ---- canonical ---- */

static int compare_names(fh_str a, fh_str b)
{
    int order = memcmp(a.ptr, b.ptr, FH_MIN(a.len, b.len));
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_members(const void *a, const void *b)
{
    return compare_names(((const member *)a)->name, ((const member *)b)->name);
}

/* What the member does; false when it is not known. */
static bool weigh(fh_str name, weight *ret)
{
    size_t from = 0, to = FH_COUNT(members);
    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = compare_names(name, fh_str_of(members[middle].name));
        if (order == 0) {
            *ret = members[middle].weight;
            return true;
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}

/* The Responses API says the request again in its reply: there even a label is part of the answer. */
static bool collect(const fh_ask *a, bool own_engine, member *list, size_t *ret_count)
{
    const fh_json *doc = a->original ? a->original : a->common.doc, *value;
    fh_str name;
    *ret_count = 0;
    for (void *it = NULL; fh_json_next(doc, &it, &name, &value);) {
        weight w = COUNTS;
        if (!weigh(name, &w) && !own_engine) return false;
        if (w == LABEL && a->dialect != FH_DIALECT_RESPONSES) continue;
        if (*ret_count == MEMBERS_MAX) return false;
        list[(*ret_count)++] = (member){name, value};
    }
    return true;
}

/* 0, 0.0 and 0e3 are one number. */
static bool write_value(const fh_json *v, fh_buf *out)
{
    double real = fh_json_num(v, 0);
    bool whole = fh_json_kind_of(v) == FH_JSON_REAL && real == floor(real) && fabs(real) <= EXACT_MAX;
    return whole ? fh_buf_addf(out, "%.0f", real + 0.0) : fh_json_write(v, out, NULL) == 0;
}

static bool write_members(const member *list, size_t count, fh_buf *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = fh_buf_add_json_string(out, list[i].name.ptr, list[i].name.len) && fh_buf_addc(out, ':') && write_value(list[i].value, out);
        ok = ok && fh_buf_addc(out, '\n');
    }
    return ok;
}

bool fh_ask_key(const fh_ask *a, const fh_asker *who, uint8_t ret[FH_ANSWER_KEY_BYTES])
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CACHE_REQUEST_BYTES);
    member list[MEMBERS_MAX];
    size_t count;
    if (!collect(a, who->own_engine, list, &count)) return false;
    qsort(list, count, sizeof *list, compare_members);
    fh_buf_addf(&text, "%s\n%s\n%s %s %d %s\n", who->salt, who->identity, who->trust, who->key_trust, (int)a->dialect, who->regions);
    return write_members(list, count, &text) && fh_sha256((fh_str){text.data, text.len}, ret);
}
