/* What kind of request it is (see kinds.h). */
#include "kinds.h"

#include "base/limits.h"
#include <math.h>

enum { CONTEXT_BITS = 20, TURNS_MOST = 16, TOOLS_MOST = 16, DIGITS_MOST = 12, SCHEMA_LEAST = 96, SCHEMA_DEPTH_MOST = 8 };

static uint8_t scaled(double share)
{
    return (uint8_t)(FH_MIN(FH_MAX(share, 0.0), 1.0) * 255 + 0.5);
}

static uint8_t by_logarithm(double n)
{
    return scaled(log2(n + 1) / CONTEXT_BITS);
}

/* ---- texts ---- */

typedef void text_fn(void *arg, fh_str text);

static void each_text(const fh_json *content, text_fn *fn, void *arg)
{
    if (fh_json_kind_of(content) == FH_JSON_STRING) fn(arg, fh_json_str(content));
    if (fh_json_kind_of(content) != FH_JSON_ARRAY) return;
    for (size_t i = 0; i < fh_json_count(content); i++) {
        fh_str text = fh_json_str(fh_json_get(fh_json_at(content, i), "text"));
        if (text.ptr) fn(arg, text);
    }
}

static void add_length(void *arg, fh_str text)
{
    *(size_t *)arg += text.len;
}

typedef struct reading { /* of the newest message of the user */
    size_t bytes, seen;
    size_t letters, cjk, other, accents; /* letters */
    size_t code, maths, digits, run;     /* bytes; run: the longest number so far */
    size_t now;                          /* digits of the number that is being read */
    unsigned maths_words, reason_words;
    bool question;
} reading;

static bool is_letter(uint8_t c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static void take_byte(reading *r, uint8_t c)
{
    bool digit = c >= '0' && c <= '9';
    r->digits += digit;
    r->now = digit ? r->now + 1 : 0;
    r->run = FH_MAX(r->run, r->now);
    r->letters += is_letter(c);
    r->maths += c && strchr("+-*/=^<>%", c) != NULL;
    r->code += c && strchr("{}[]();=<>_#\\`", c) != NULL;
    r->question |= c == '?';
}

/* Ranges of Unicode's blocks. */
static void take_letter(reading *r, uint32_t cp)
{
    r->now = 0;
    if (cp >= 0xC0 && cp < 0x250) {
        r->letters++;
        r->accents++;
    } else if ((cp >= 0x2E80 && cp < 0xA000) || (cp >= 0xAC00 && cp < 0xD7B0) || (cp >= 0x20000 && cp < 0x32000)) {
        r->letters++;
        r->cjk++;
    } else if ((cp >= 0x370 && cp < 0x2000) || (cp >= 0xA000 && cp < 0xFB00)) {
        r->letters++;
        r->other++;
    }
}

/* Words are compared by their beginnings: "prov" is prove, proves, proven. */
static bool begins_one_of(fh_str text, const char *const *list)
{
    for (; *list; list++) {
        size_t n = strlen(*list), i = 0;
        while (i < n && i < text.len && (text.ptr[i] | 32) == (*list)[i]) i++;
        if (i == n) return true;
    }
    return false;
}

static void take_word(reading *r, fh_str from)
{
    static const char *const maths[] = {"sum",        "integra", "equation", "solve",   "calculat", "comput",
                                        "derivative", "multipl", "divid",    "percent", NULL};
    static const char *const reason[] = {"prov", "why", "explain", "step", "plan", "compar", "analy", "design", "deriv", "justif", NULL};
    r->maths_words += begins_one_of(from, maths);
    r->reason_words += begins_one_of(from, reason);
}

static void read_text(void *arg, fh_str text)
{
    reading *r = arg;
    bool inside = false; /* of a word */
    r->bytes += text.len;
    for (size_t i = 0; i < text.len && r->seen < FH_LIMIT_FEATURE_BYTES;) {
        uint8_t c = (uint8_t)text.ptr[i];
        uint32_t cp = 0;
        size_t n = c < 0x80 ? 1 : fh_utf8_decode(text.ptr + i, text.len - i, &cp);
        if (c < 0x80) {
            if (is_letter(c) && !inside) take_word(r, (fh_str){text.ptr + i, text.len - i});
            take_byte(r, c);
        } else if (n)
            take_letter(r, cp);
        inside = c >= 0x80 || is_letter(c);
        n += n == 0;
        r->seen += n;
        i += n;
    }
}

static const fh_json *newest_of_user(const fh_json *messages)
{
    for (size_t i = fh_json_count(messages); i-- > 0;)
        if (fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(messages, i), "role")), "user")) return fh_json_at(messages, i);
    return NULL;
}

static bool has_system(const fh_json *messages)
{
    fh_str role = fh_json_str(fh_json_get(fh_json_at(messages, 0), "role"));
    return fh_str_eqs(role, "system") || fh_str_eqs(role, "developer");
}

static void set_text(fh_features *f, const reading *r)
{
    double seen = (double)FH_MAX(r->seen, (size_t)1), letters = (double)FH_MAX(r->letters, (size_t)1);
    f->v[FH_FEATURE_ASKED] = by_logarithm((double)r->bytes);
    f->v[FH_FEATURE_CODE] = scaled((double)r->code / seen * 5);
    f->v[FH_FEATURE_MATHS] = scaled((double)(r->maths + r->digits) / seen + 0.25 * r->maths_words);
    f->v[FH_FEATURE_NUMBERS] = scaled((double)r->run / DIGITS_MOST);
    f->v[FH_FEATURE_REASONING] = scaled(0.34 * r->reason_words);
    f->v[FH_FEATURE_CJK] = scaled((double)r->cjk / letters);
    f->v[FH_FEATURE_OTHER_SCRIPT] = scaled((double)r->other / letters);
    f->v[FH_FEATURE_ACCENTS] = scaled((double)r->accents / letters * 5);
    f->v[FH_FEATURE_QUESTION] = r->question ? 255 : 0;
}

/* ---- forms ---- */

static size_t depth_of(const fh_json *v, size_t most)
{
    size_t deepest = 0;
    void *it = NULL;
    fh_str key;
    const fh_json *child;
    if (most == 0) return 0;
    for (size_t i = 0; fh_json_kind_of(v) == FH_JSON_ARRAY && i < fh_json_count(v); i++)
        deepest = FH_MAX(deepest, depth_of(fh_json_at(v, i), most - 1));
    while (fh_json_kind_of(v) == FH_JSON_OBJECT && fh_json_next(v, &it, &key, &child)) deepest = FH_MAX(deepest, depth_of(child, most - 1));
    return deepest + 1;
}

static uint8_t form_of(const fh_json *format)
{
    fh_str type = fh_json_str(fh_json_get(format, "type"));
    if (!type.ptr || fh_str_eqs(type, "text")) return 0;
    const fh_json *schema = fh_json_get(fh_json_get(format, "json_schema"), "schema");
    double depth = (double)depth_of(schema, SCHEMA_DEPTH_MOST) / SCHEMA_DEPTH_MOST;
    return (uint8_t)(SCHEMA_LEAST + (schema ? 32 : 0) + (uint8_t)(depth * (255 - SCHEMA_LEAST - 32)));
}

size_t fh_request_text_bytes(const fh_wire_request *r)
{
    size_t length = r->prompt.len;
    for (size_t i = 0; i < fh_json_count(r->messages); i++)
        each_text(fh_json_get(fh_json_at(r->messages, i), "content"), add_length, &length);
    return length;
}

void fh_features_of(fh_features *ret, const fh_wire_request *r)
{
    reading newest = {0};
    fh_features f = {0};
    if (r->messages)
        each_text(fh_json_get(newest_of_user(r->messages), "content"), read_text, &newest);
    else
        read_text(&newest, r->prompt);
    f.v[FH_FEATURE_LENGTH] = by_logarithm((double)fh_request_text_bytes(r));
    f.v[FH_FEATURE_TURNS] = scaled((double)fh_json_count(r->messages) / TURNS_MOST);
    f.v[FH_FEATURE_SYSTEM] = has_system(r->messages) ? 255 : 0;
    f.v[FH_FEATURE_TOOLS] = r->tools ? scaled(0.5 + (double)fh_json_count(r->tools) / TOOLS_MOST) : 0;
    f.v[FH_FEATURE_MUST_CALL] = r->must_call ? 255 : 0;
    f.v[FH_FEATURE_SCHEMA] = form_of(fh_json_get(r->doc, "response_format"));
    f.v[FH_FEATURE_ANSWER] = by_logarithm((double)FH_MAX(r->sampling.max_tokens, (int64_t)0));
    set_text(&f, &newest);
    *ret = f;
}

uint32_t fh_features_distance(const fh_features *a, const fh_features *b)
{
    static const int32_t weights[FH_FEATURES] = {
#define FH_FEATURE_WEIGHT(name, weight) [FH_FEATURE_##name] = (weight),
        FH_FEATURE_LIST(FH_FEATURE_WEIGHT)
#undef FH_FEATURE_WEIGHT
    };
    int32_t sum = 0;
    for (size_t i = 0; i < FH_FEATURES; i++) {
        int32_t d = (int32_t)a->v[i] - (int32_t)b->v[i];
        sum += weights[i] * d * d;
    }
    return (uint32_t)sum; /* at most 36 * 255 * 255 */
}
