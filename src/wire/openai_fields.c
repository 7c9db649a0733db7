/* Documented fields that the parser does not act on. Each is checked for its type; one that asks for something that not every upstream does
 * is written down as a need, because an answer that quietly ignores it would be a wrong answer. What is left (hints, labels, unknown
 * fields) stays in the body that is passed on. */
#include "private.h"

#include <stdio.h>

void fh_wire_need_add(fh_wire_request *r, fh_wire_need need, const char *param)
{
    static const char *const params[FH_NEEDS] = {
#define FH_WIRE_NEED(name, param, what) param,
        FH_WIRE_NEED_LIST(FH_WIRE_NEED)
#undef FH_WIRE_NEED
    };
    if (r->needs & 1u << need) return;
    r->needs |= 1u << need;
    snprintf(r->need_params[need], sizeof r->need_params[need], "%s", param ? param : params[need]);
}

int fh_wire_needs_check(const fh_wire_request *r, uint32_t can, fh_err **err)
{
    static const char *const what[FH_NEEDS] = {
#define FH_WIRE_NEED(name, param, text) text,
        FH_WIRE_NEED_LIST(FH_WIRE_NEED)
#undef FH_WIRE_NEED
    };
    uint32_t missing = r->needs & ~can;
    if (!missing) return 0;
    int need = __builtin_ctz(missing);
    int rc = fh_wire_bad(err, r->need_params[need], "%s is not supported by this model's engine", what[need]);
    fh_err_hint(err, "leave '%s' out", r->need_params[need]);
    return rc;
}

static int want_one(fh_wire_request *r, const char *key, fh_wire_need need, int64_t *ret, fh_err **err)
{
    int rc = fh_json_read_i64(r->doc, key, false, 1, 128, ret, err);
    if (rc == 0 && *ret != 1) fh_wire_need_add(r, need, NULL);
    return rc;
}

static bool is_one_of(fh_str s, const char *const *words)
{
    for (; *words; words++)
        if (fh_str_eqs(s, *words)) return true;
    return false;
}

/* A string that must be one of the listed ones, when it is there; the list ends with NULL. */
static int want_word(const fh_json *doc, const char *key, const char *const *words, fh_err **err)
{
    fh_str s = {NULL, 0};
    int rc = fh_json_read_str(doc, key, false, &s, err);
    if (rc < 0 || !s.ptr || is_one_of(s, words)) return rc;
    rc = fh_wire_bad(err, key, "'%s' has no such value", key);
    fh_err_hint(err, "leave '%s' out", key);
    return rc;
}

/* A string of which every upstream takes the listed ones; any other is a need. */
static int need_word(fh_wire_request *r, const char *key, const char *const *words, fh_wire_need need, fh_err **err)
{
    fh_str s = {NULL, 0};
    int rc = fh_json_read_str(r->doc, key, false, &s, err);
    if (rc == 0 && s.ptr && !is_one_of(s, words)) fh_wire_need_add(r, need, NULL);
    return rc;
}

static int want_strings(const fh_json *doc, const char *const *keys, fh_err **err)
{
    int rc = 0;
    fh_str ignored;
    for (; rc == 0 && *keys; keys++) rc = fh_json_read_str(doc, *keys, false, &ignored, err);
    return rc;
}

/* An object that is a need when it is there. */
static int need_object(fh_wire_request *r, const char *key, fh_wire_need need, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, key);
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return fh_wire_bad(err, key, "'%s' must be an object", key);
    fh_wire_need_add(r, need, NULL);
    return 0;
}

static int check_modalities(fh_wire_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "modalities");
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "modalities", "'modalities' must be an array");
    for (size_t i = 0; i < fh_json_count(v); i++) {
        if (!fh_str_eqs(fh_json_str(fh_json_at(v, i)), "text")) fh_wire_need_add(r, FH_NEED_MODALITIES, NULL);
    }
    return 0;
}

static int check_metadata(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "metadata"), *value;
    fh_str key;
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT || fh_json_count(v) > 16)
        return fh_wire_bad(err, "metadata", "'metadata' must be an object of at most 16 strings");
    for (void *it = NULL; fh_json_next(v, &it, &key, &value);) {
        if (fh_json_kind_of(value) != FH_JSON_STRING) return fh_wire_bad(err, "metadata", "the values of 'metadata' must be strings");
    }
    return 0;
}

static int check_store(fh_wire_request *r, fh_err **err)
{
    bool store = false;
    int rc = fh_json_read_bool(r->doc, "store", false, &store, err);
    if (rc == 0 && store) fh_wire_need_add(r, FH_NEED_STORE, NULL);
    return rc;
}

/* The functions API that tools replaced. */
static int check_functions(fh_wire_request *r, fh_err **err)
{
    const fh_json *v = fh_json_get(r->doc, "functions"), *call = fh_json_get(r->doc, "function_call");
    fh_str word = fh_json_str(call);
    if (!fh_wire_absent(call) && !fh_str_eqs(word, "none") && !fh_str_eqs(word, "auto"))
        fh_wire_need_add(r, FH_NEED_FUNCTIONS, "function_call");
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "functions", "'functions' must be an array");
    if (fh_json_count(v)) fh_wire_need_add(r, FH_NEED_FUNCTIONS, NULL);
    return 0;
}

static int check_prediction(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "prediction"); /* a hint for speed: the answer is the same without it */
    if (fh_wire_absent(v) || fh_json_kind_of(v) == FH_JSON_OBJECT) return 0;
    return fh_wire_bad(err, "prediction", "'prediction' must be an object");
}

static int check_chat(fh_wire_request *r, fh_err **err)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL},
                             *const verbosities[] = {"medium", NULL}, *const tiers[] = {"auto", "default", NULL};
    static const char *const labels[] = {"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user", NULL};
    int rc = check_modalities(r, err);
    if (rc == 0) rc = need_object(r, "audio", FH_NEED_AUDIO_OUT, err);
    if (rc == 0) rc = need_object(r, "web_search_options", FH_NEED_SEARCH, err);
    if (rc == 0) rc = check_functions(r, err);
    if (rc == 0) rc = check_metadata(r->doc, err);
    if (rc == 0) rc = check_prediction(r->doc, err);
    if (rc == 0) rc = check_store(r, err);
    if (rc == 0) rc = want_word(r->doc, "reasoning_effort", efforts, err);
    if (rc == 0) rc = need_word(r, "verbosity", verbosities, FH_NEED_VERBOSITY, err);
    if (rc == 0) rc = need_word(r, "service_tier", tiers, FH_NEED_TIER, err);
    return rc == 0 ? want_strings(r->doc, labels, err) : rc;
}

static int check_completion(fh_wire_request *r, fh_err **err)
{
    static const char *const labels[] = {"user", NULL};
    fh_str suffix = {NULL, 0};
    int64_t tries = 1;
    int rc = want_one(r, "best_of", FH_NEED_BEST_OF, &tries, err);
    if (rc == 0) rc = fh_json_read_str(r->doc, "suffix", false, &suffix, err);
    if (rc == 0 && suffix.len) fh_wire_need_add(r, FH_NEED_SUFFIX, NULL);
    return rc == 0 ? want_strings(r->doc, labels, err) : rc;
}

int fh_wire_fields_check(fh_wire_request *r, fh_err **err)
{
    int64_t choices = 1;
    int rc = want_one(r, "n", FH_NEED_CHOICES, &choices, err);
    r->choices = (uint32_t)choices;
    if (rc == 0) rc = fh_wire_format_check(r, err);
    if (rc < 0) return rc;
    return r->kind == FH_WIRE_CHAT ? check_chat(r, err) : check_completion(r, err);
}
