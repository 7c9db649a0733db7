/* Documented fields that the parser does not act on. Each is checked for its type; one that asks for something that is not done here is
 * refused by name, because an answer that quietly ignores it would be a wrong answer. What is left (hints, labels, unknown fields) stays in
 * the body that is passed on. */
#include "private.h"

int fh_wire_refuse(fh_err **err, const char *param, const char *what)
{
    int rc = fh_wire_bad(err, param, "%s is not supported", what);
    fh_err_hint(err, "leave '%s' out", param);
    return rc;
}

static int want_one(const fh_json *doc, const char *key, fh_err **err)
{
    int64_t n = 1;
    int rc = fh_json_read_i64(doc, key, false, 1, 128, &n, err);
    if (rc < 0 || n == 1) return rc;
    return fh_wire_refuse(err, key, "more than one choice in a reply");
}

/* A string that must be one of the listed ones, when it is there; the list ends with NULL. */
static int want_word(const fh_json *doc, const char *key, const char *const *words, fh_err **err)
{
    fh_str s = {NULL, 0};
    int rc = fh_json_read_str(doc, key, false, &s, err);
    if (rc < 0 || !s.ptr) return rc;
    for (; *words; words++) {
        if (fh_str_eqs(s, *words)) return 0;
    }
    rc = fh_wire_bad(err, key, "this value of '%s' is not supported", key);
    fh_err_hint(err, "leave '%s' out", key);
    return rc;
}

static int want_strings(const fh_json *doc, const char *const *keys, fh_err **err)
{
    int rc = 0;
    fh_str ignored;
    for (; rc == 0 && *keys; keys++) rc = fh_json_read_str(doc, *keys, false, &ignored, err);
    return rc;
}

static int want_absent(const fh_json *doc, const char *key, const char *what, fh_err **err)
{
    return fh_wire_absent(fh_json_get(doc, key)) ? 0 : fh_wire_refuse(err, key, what);
}

static int check_modalities(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "modalities");
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_ARRAY) return fh_wire_bad(err, "modalities", "'modalities' must be an array");
    for (size_t i = 0; i < fh_json_count(v); i++) {
        if (!fh_str_eqs(fh_json_str(fh_json_at(v, i)), "text")) return fh_wire_refuse(err, "modalities", "output other than text");
    }
    return 0;
}

static int check_format(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "response_format");
    fh_str type = {NULL, 0};
    if (fh_wire_absent(v)) return 0;
    if (fh_json_kind_of(v) != FH_JSON_OBJECT) return fh_wire_bad(err, "response_format", "'response_format' must be an object");
    int rc = fh_json_read_str(v, "type", true, &type, err);
    if (rc < 0) {
        fh_err_param(err, "response_format.type");
        return rc;
    }
    return fh_str_eqs(type, "text") ? 0 : fh_wire_refuse(err, "response_format", "output that is held to a format");
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

static int check_flags(const fh_json *doc, fh_err **err)
{
    bool store = false;
    int rc = fh_json_read_bool(doc, "store", false, &store, err);
    return rc == 0 && store ? fh_wire_refuse(err, "store", "keeping the answer") : rc;
}

/* The functions API that tools replaced. */
static int check_functions(const fh_json *doc, fh_err **err)
{
    static const char *const calls[] = {"none", "auto", NULL};
    const fh_json *v = fh_json_get(doc, "functions");
    if (!fh_wire_absent(v) && (fh_json_kind_of(v) != FH_JSON_ARRAY || fh_json_count(v))) {
        int rc = fh_wire_bad(err, "functions", "'functions' is not supported");
        fh_err_hint(err, "use 'tools'");
        return rc;
    }
    return want_word(doc, "function_call", calls, err);
}

static int check_prediction(const fh_json *doc, fh_err **err)
{
    const fh_json *v = fh_json_get(doc, "prediction"); /* a hint for speed: the answer is the same without it */
    if (fh_wire_absent(v) || fh_json_kind_of(v) == FH_JSON_OBJECT) return 0;
    return fh_wire_bad(err, "prediction", "'prediction' must be an object");
}

static int check_chat(const fh_json *doc, fh_err **err)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max", NULL},
                             *const verbosities[] = {"medium", NULL}, *const tiers[] = {"auto", "default", NULL};
    static const char *const labels[] = {"prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user", NULL};
    int rc = check_modalities(doc, err);
    if (rc == 0) rc = want_absent(doc, "audio", "audio output", err);
    if (rc == 0) rc = want_absent(doc, "web_search_options", "searching the web", err);
    if (rc == 0) rc = check_functions(doc, err);
    if (rc == 0) rc = check_format(doc, err);
    if (rc == 0) rc = check_metadata(doc, err);
    if (rc == 0) rc = check_prediction(doc, err);
    if (rc == 0) rc = check_flags(doc, err);
    if (rc == 0) rc = want_word(doc, "reasoning_effort", efforts, err);
    if (rc == 0) rc = want_word(doc, "verbosity", verbosities, err);
    if (rc == 0) rc = want_word(doc, "service_tier", tiers, err);
    return rc == 0 ? want_strings(doc, labels, err) : rc;
}

static int check_completion(const fh_json *doc, fh_err **err)
{
    static const char *const labels[] = {"user", NULL};
    fh_str suffix = {NULL, 0};
    int rc = want_one(doc, "best_of", err);
    if (rc == 0) rc = fh_json_read_str(doc, "suffix", false, &suffix, err);
    if (rc == 0 && suffix.len) rc = fh_wire_refuse(err, "suffix", "filling in before a suffix");
    return rc == 0 ? want_strings(doc, labels, err) : rc;
}

int fh_wire_fields_check(const fh_json *doc, bool chat, fh_err **err)
{
    int rc = want_one(doc, "n", err);
    if (rc < 0) return rc;
    return chat ? check_chat(doc, err) : check_completion(doc, err);
}
