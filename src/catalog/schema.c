/* Values against the part of JSON Schema that our schemas use. Patterns are POSIX extended regular expressions; tests/catalog/check.py
 * reads the same schemas and refuses keywords that are not known here. */
#include "schema.h"

#include "base/limits.h"
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "models[3].licence.class", while the value there is looked at. */
typedef struct place {
    char text[256];
    size_t len;
} place;

typedef struct checker {
    place at;
    bool whole;
    fh_err **err;
} checker;

static int check(checker *c, const fh_json *schema, const fh_json *value);

static __attribute__((format(printf, 2, 3))) int bad(checker *c, const char *fmt, ...)
{
    char why[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    fh_err_set(c->err, FH_E_INVALID, "%s %s", c->at.len ? c->at.text : "the file", why);
    fh_err_param(c->err, "%s", c->at.text);
    fh_err_hint(c->err, "docs/CATALOG.md says what an entry is made of");
    return FH_E_INVALID;
}

static __attribute__((format(printf, 2, 3))) size_t enter(checker *c, const char *fmt, ...)
{
    size_t before = c->at.len;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(c->at.text + c->at.len, sizeof c->at.text - c->at.len, fmt, ap);
    va_end(ap);
    c->at.len = FH_MIN(c->at.len + (size_t)FH_MAX(n, 0), sizeof c->at.text - 1);
    return before;
}

static void leave(checker *c, size_t before)
{
    c->at.len = before;
    c->at.text[before] = '\0';
}

static bool has_word(const fh_json *list, fh_str word)
{
    for (size_t i = 0; i < fh_json_count(list); i++)
        if (fh_str_eq(fh_json_str(fh_json_at(list, i)), word)) return true;
    return false;
}

/* ---- strings ---- */

static int check_pattern(checker *c, const char *pattern, const char *s)
{
    regex_t re;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB)) return bad(c, "cannot be checked: %s is no pattern", pattern);
    bool fits = regexec(&re, s, 0, NULL, 0) == 0;
    regfree(&re);
    return fits ? 0 : bad(c, "is \"%.64s\", which does not fit %s", s, pattern);
}

static int check_enum(checker *c, const fh_json *words, fh_str s)
{
    FH_AUTO(buf) fh_buf all = FH_BUF(512);
    if (has_word(words, s)) return 0;
    for (size_t i = 0; i < fh_json_count(words); i++) fh_buf_addf(&all, "%s%s", i ? ", " : "", fh_json_str(fh_json_at(words, i)).ptr);
    return bad(c, "is \"%.*s\": it must be one of %s", (int)FH_MIN(s.len, (size_t)64), s.ptr, fh_buf_cstr(&all));
}

static int check_string(checker *c, const fh_json *schema, fh_str s)
{
    fh_str pattern = fh_json_str(fh_json_get(schema, "pattern"));
    int64_t least = fh_json_int(fh_json_get(schema, "minLength"), 0);
    int64_t most = fh_json_int(fh_json_get(schema, "maxLength"), FH_LIMIT_CATALOG_STRING_BYTES);
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 32 || s.ptr[i] == 127) return bad(c, "holds a control character");
    if ((int64_t)s.len < least || (int64_t)s.len > most)
        return bad(c, "has %zu characters: %lld to %lld are allowed", s.len, (long long)least, (long long)most);
    return pattern.len ? check_pattern(c, pattern.ptr, s.ptr) : 0;
}

/* ---- the rest ---- */

static int check_number(checker *c, const fh_json *schema, const fh_json *value)
{
    double v = fh_json_num(value, 0), least = fh_json_num(fh_json_get(schema, "minimum"), v);
    double most = fh_json_num(fh_json_get(schema, "maximum"), v);
    return v >= least && v <= most ? 0 : bad(c, "is %g: it must be %g to %g", v, least, most);
}

static int check_needed(checker *c, const fh_json *schema, const fh_json *value)
{
    const fh_json *required = fh_json_get(schema, "required"), *optional = fh_json_get(schema, "optional"), *unused;
    fh_str key;
    void *it = NULL;
    while (fh_json_next(fh_json_get(schema, "properties"), &it, &key, &unused)) {
        bool needed = c->whole ? !has_word(optional, key) : has_word(required, key);
        if (!needed || fh_json_get(value, key.ptr)) continue;
        enter(c, "%s%s", c->at.len ? "." : "", key.ptr);
        return bad(c, "is missing");
    }
    return 0;
}

static int check_object(checker *c, const fh_json *schema, const fh_json *value)
{
    const fh_json *properties = fh_json_get(schema, "properties"), *member;
    fh_str key;
    void *it = NULL;
    int rc = check_needed(c, schema, value);
    while (!rc && fh_json_next(value, &it, &key, &member)) {
        const fh_json *its = fh_json_get(properties, key.ptr);
        size_t before = enter(c, "%s%.*s", c->at.len ? "." : "", (int)FH_MIN(key.len, (size_t)64), key.ptr);
        rc = its ? check(c, its, member) : bad(c, "is not known here");
        leave(c, before);
    }
    return rc;
}

static int check_array(checker *c, const fh_json *schema, const fh_json *value)
{
    int rc = 0;
    if ((int64_t)fh_json_count(value) < fh_json_int(fh_json_get(schema, "minItems"), 0)) return bad(c, "is empty");
    for (size_t i = 0; !rc && i < fh_json_count(value); i++) {
        size_t before = enter(c, "[%zu]", i);
        rc = check(c, fh_json_get(schema, "items"), fh_json_at(value, i));
        leave(c, before);
    }
    return rc;
}

static bool is_of(const fh_json *value, fh_str type)
{
    static const struct {
        const char *name;
        fh_json_kind kind, or ;
    } types[] = {{"object", FH_JSON_OBJECT, FH_JSON_OBJECT}, {"array", FH_JSON_ARRAY, FH_JSON_ARRAY},
                 {"string", FH_JSON_STRING, FH_JSON_STRING}, {"boolean", FH_JSON_BOOL, FH_JSON_BOOL},
                 {"integer", FH_JSON_INT, FH_JSON_INT},      {"number", FH_JSON_REAL, FH_JSON_INT}};
    fh_json_kind is = fh_json_kind_of(value);
    for (size_t i = 0; i < FH_COUNT(types); i++)
        if (fh_str_eqs(type, types[i].name)) return is == types[i].kind || is == types[i].or ;
    return false;
}

static int check(checker *c, const fh_json *schema, const fh_json *value)
{
    const fh_json *words = fh_json_get(schema, "enum");
    fh_str type = words ? FH_STR("string") : fh_json_str(fh_json_get(schema, "type"));
    if (!is_of(value, type)) return bad(c, "must be of type %.*s", (int)type.len, type.ptr);
    switch (fh_json_kind_of(value)) {
    case FH_JSON_OBJECT: return check_object(c, schema, value);
    case FH_JSON_ARRAY: return check_array(c, schema, value);
    case FH_JSON_STRING: return words ? check_enum(c, words, fh_json_str(value)) : check_string(c, schema, fh_json_str(value));
    case FH_JSON_INT:
    case FH_JSON_REAL: return check_number(c, schema, value);
    case FH_JSON_NULL:
    case FH_JSON_BOOL: break;
    }
    return 0;
}

int fh_schema_check(const char *schema, const fh_json *value, const char *where, bool whole, fh_err **err)
{
    checker c = {.whole = whole, .err = err};
    FH_AUTO(json) fh_json *s = NULL;
    int rc = fh_json_parse(&s, fh_str_of(schema), strlen(schema), err);
    enter(&c, "%s", where);
    return rc ? rc : check(&c, s, value);
}
