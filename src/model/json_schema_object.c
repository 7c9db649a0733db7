/* Objects: the members that the schema names, in its order, then free ones where it speaks of them.
 *
 * Members that are optional make no product of choices: with something before it, a member is `("," member)?`; the rules of "nothing before
 * it yet" are one for each member up to the first that is required. Free members have keys without escapes, other than the named ones: then
 * no key comes twice under two spellings. */
#include "json_schema_private.h"

#include <stdlib.h>

enum { NAME_BYTES = 256 };

typedef struct member {
    fh_str name;
    const char *at;
    const char *value; /* its rule */
    bool required, possible;
} member;

typedef struct object {
    schema_build *b;
    const schema_all *all;
    member *members;
    size_t count, cap;
    fh_map *index;   /* name to member number + 1 */
    bool extra;      /* free members are made */
    const char *key; /* the rule of their keys (quoted), and of their values */
    const char *value;
    schema_count least, most;
} object;

/* ---- the named members ---- */

static int add_member(object *o, fh_str name, const char *at)
{
    if (fh_map_find(o->index, name)) return SCHEMA_POSSIBLE;
    if (o->count >= FH_LIMIT_SCHEMA_PROPERTIES)
        return schema_refuse(o->b, at, "properties", "more than %d properties", FH_LIMIT_SCHEMA_PROPERTIES);
    if (o->count == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 16;
        member *grown = fh_realloc_array(o->members, cap, sizeof *grown);
        if (!grown) return schema_memory(o->b, NULL);
        o->members = grown;
        o->cap = cap;
    }
    o->members[o->count++] = (member){.name = name, .at = at};
    return fh_map_put(o->index, name, (void *)(uintptr_t)o->count) ? SCHEMA_POSSIBLE : schema_memory(o->b, NULL);
}

static int collect_properties(object *o, const schema_part *p)
{
    const fh_json *list = schema_get(p, "properties"), *value;
    fh_str key;
    int rc = SCHEMA_POSSIBLE;
    if (!list) return rc;
    if (fh_json_kind_of(list) != FH_JSON_OBJECT) return schema_refuse(o->b, p->at, "properties", "must be an object");
    for (void *it = NULL; rc == SCHEMA_POSSIBLE && fh_json_next(list, &it, &key, &value);) rc = add_member(o, key, p->at);
    return rc;
}

static int collect_required(object *o, const schema_part *p)
{
    const fh_json *list = schema_get(p, "required");
    int rc = SCHEMA_POSSIBLE;
    if (!list) return rc;
    if (fh_json_kind_of(list) != FH_JSON_ARRAY) return schema_refuse(o->b, p->at, "required", "must be a list of names");
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < fh_json_count(list); i++) {
        fh_str name = fh_json_str(fh_json_at(list, i));
        if (!name.ptr) return schema_refuse(o->b, p->at, "required", "must be a list of names");
        rc = add_member(o, name, p->at);
        if (rc == SCHEMA_POSSIBLE) o->members[(uintptr_t)fh_map_find(o->index, name) - 1].required = true;
    }
    return rc;
}

static int add_under(object *o, schema_all *value, const schema_part *p, const char *keyword, const fh_json *schema, fh_str key)
{
    const char *at = schema_pointer(o->b, p->at, fh_str_of(keyword));
    if (at && key.ptr) at = schema_pointer(o->b, at, key);
    return at ? schema_add_part(o->b, value, schema, at) : schema_memory(o->b, NULL);
}

/* What every part says of a named member. */
static int member_value(object *o, fh_str name, schema_all *ret)
{
    int rc = SCHEMA_POSSIBLE;
    *ret = (schema_all){.count = 0};
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < o->all->count; i++) {
        const schema_part *p = &o->all->parts[i];
        const fh_json *named = fh_json_get(schema_get(p, "properties"), name.ptr), *other = schema_get(p, "additionalProperties");
        if (named)
            rc = add_under(o, ret, p, "properties", named, name);
        else if (other)
            rc = add_under(o, ret, p, "additionalProperties", other, (fh_str){NULL, 0});
    }
    return rc;
}

static int make_members(object *o)
{
    for (size_t i = 0; i < o->count; i++) {
        member *m = &o->members[i];
        schema_all value;
        int rc = member_value(o, m->name, &value);
        if (rc == SCHEMA_POSSIBLE) rc = schema_rule(o->b, &value, &m->value);
        if (rc < 0) return rc;
        m->possible = rc == SCHEMA_POSSIBLE;
        if (!m->possible && m->required) return schema_impossible(o->b, m->at, "required", "a required property can have no value");
    }
    return SCHEMA_POSSIBLE;
}

/* ---- free members ---- */

typedef struct trie { /* the names that a free key must not be */
    const member *sorted;
    schema_build *b;
    int rc;
} trie;

static int by_name(const void *a, const void *b)
{
    const member *x = a, *y = b;
    size_t n = FH_MIN(x->name.len, y->name.len);
    int order = n ? memcmp(x->name.ptr, y->name.ptr, n) : 0;
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* Texts of plain characters that are none of the names [from, to), which share their first `depth` bytes: a rule for each place where the
 * names part. Names with characters that a free key cannot have drop out where these stand. */
static const char *other_keys(trie *t, size_t from, size_t to, size_t depth)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES), seen = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    const char *name = schema_new_rule(t->b);
    bool may_end = true;
    if (!name) return NULL;
    for (; from < to && t->sorted[from].name.len == depth; from++) may_end = false;
    for (size_t i = from; i < to;) {
        uint32_t cp, other;
        const fh_str key = t->sorted[i].name;
        size_t n = fh_utf8_decode(key.ptr + depth, key.len - depth, &cp), k = i;
        while (k < to && fh_utf8_decode(t->sorted[k].name.ptr + depth, t->sorted[k].name.len - depth, &other) && other == cp) k++;
        const char *rest = cp < 0x20 || cp == '"' || cp == '\\' ? "" : other_keys(t, i, k, depth + n);
        if (!rest) return NULL;
        if (*rest) fh_buf_addf(&body, "[\\U%08X] %s | ", cp, rest);
        fh_buf_addf(&seen, "\\U%08X", cp);
        i = k;
    }
    fh_buf_addf(&body, "[^\"\\\\\\x00-\\x1F%s] %s-plain*", fh_buf_cstr(&seen), t->b->rule);
    if (may_end) fh_buf_adds(&body, " | \"\"");
    t->rc = fh_buf_ok(&seen) ? schema_add_rule(t->b, name, &body) : schema_memory(t->b, &seen);
    return t->rc < 0 ? NULL : name;
}

static int free_key(object *o)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    FH_AUTO(ptr) member *sorted = fh_alloc((o->count + 1) * sizeof *sorted);
    trie t = {sorted, o->b, 0};
    if (!sorted) return schema_memory(o->b, NULL);
    for (size_t i = 0; i < o->count; i++)
        if (o->members[i].name.len > NAME_BYTES)
            return schema_refuse(o->b, o->members[i].at, "properties", "a name is longer than %d bytes, beside free properties",
                                 NAME_BYTES);
    if (o->count) memcpy(sorted, o->members, o->count * sizeof *sorted);
    qsort(sorted, o->count, sizeof *sorted, by_name);
    const char *other = other_keys(&t, 0, o->count, 0);
    o->key = schema_new_rule(o->b);
    if (!other || !o->key) return t.rc < 0 ? t.rc : schema_memory(o->b, NULL);
    fh_buf_addf(&body, "\"\\\"\" %s \"\\\"\"", other);
    return schema_add_rule(o->b, o->key, &body);
}

/* Keys that must match a schema of their own, or a pattern: only where no property is named, or a key could be one of these. */
static int key_of_schema(object *o, const schema_part *p, const char *keyword)
{
    schema_all key = {.count = 1, .parts = {{.schema = o->b->string, .at = p->at}}};
    if (o->count) return schema_refuse(o->b, p->at, keyword, "cannot be enforced beside 'properties' or 'required'");
    if (o->key) return schema_refuse(o->b, p->at, keyword, "cannot be enforced together with another rule for names");
    const char *at = schema_pointer(o->b, p->at, fh_str_of(keyword));
    int rc = at ? schema_add_part(o->b, &key, schema_get(p, keyword), at) : schema_memory(o->b, NULL);
    if (rc != SCHEMA_POSSIBLE) return rc;
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    bool values = false;
    rc = schema_values(o->b, &key, &body, &values);
    if (rc == SCHEMA_POSSIBLE && !values) rc = schema_string(o->b, &key, &body);
    o->key = schema_new_rule(o->b);
    if (rc != SCHEMA_POSSIBLE) return rc;
    return o->key ? schema_add_rule(o->b, o->key, &body) : schema_memory(o->b, NULL);
}

static int key_of_pattern(object *o, const schema_part *p, fh_str *ret_pattern, const fh_json **ret_value)
{
    const fh_json *patterns = schema_get(p, "patternProperties");
    void *it = NULL;
    if (fh_json_kind_of(patterns) != FH_JSON_OBJECT || fh_json_count(patterns) != 1 || o->count)
        return schema_refuse(o->b, p->at, "patternProperties", "is enforced for one pattern, without 'properties' or 'required'");
    if (o->key) return schema_refuse(o->b, p->at, "patternProperties", "cannot be enforced together with another rule for names");
    fh_json_next(patterns, &it, ret_pattern, ret_value);
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    fh_buf_adds(&body, "\"\\\"\" (");
    int rc = schema_regex(o->b, p->at, "patternProperties", *ret_pattern, 0, UINT64_MAX, &body);
    fh_buf_adds(&body, ") \"\\\"\"");
    o->key = schema_new_rule(o->b);
    if (rc != SCHEMA_POSSIBLE) return rc;
    return o->key ? schema_add_rule(o->b, o->key, &body) : schema_memory(o->b, NULL);
}

/* What the parts say of names and values of free members; *ret_named: a rule for names was given. */
static int collect_extra(object *o, schema_all *value, bool *ret_named)
{
    int rc = SCHEMA_POSSIBLE;
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < o->all->count; i++) {
        const schema_part *p = &o->all->parts[i];
        fh_str text = {NULL, 0};
        const fh_json *schema = NULL, *other = schema_get(p, "additionalProperties");
        if (schema_get(p, "propertyNames")) rc = key_of_schema(o, p, "propertyNames");
        if (rc == SCHEMA_POSSIBLE && schema_get(p, "patternProperties")) {
            rc = key_of_pattern(o, p, &text, &schema);
            if (rc == SCHEMA_POSSIBLE) rc = add_under(o, value, p, "patternProperties", schema, text);
        }
        if (rc == SCHEMA_POSSIBLE && other && !schema) rc = add_under(o, value, p, "additionalProperties", other, (fh_str){NULL, 0});
    }
    *ret_named = o->key != NULL;
    return rc;
}

/* Free members are made where the schema speaks of them, or says nothing of members at all. */
static bool wants_extra(const object *o)
{
    bool spoken = o->count > 0;
    for (size_t i = 0; i < o->all->count; i++) {
        const fh_json *other = schema_get(&o->all->parts[i], "additionalProperties");
        if (other) return true;
        spoken = spoken || schema_get(&o->all->parts[i], "properties");
    }
    return !spoken || o->key;
}

static int make_extra(object *o)
{
    schema_all value = {.count = 0};
    bool named = false;
    int rc = collect_extra(o, &value, &named);
    if (rc < 0) return rc;
    if (rc == SCHEMA_IMPOSSIBLE || !wants_extra(o)) return SCHEMA_POSSIBLE;
    rc = schema_rule(o->b, &value, &o->value);
    if (rc != SCHEMA_POSSIBLE) return rc < 0 ? rc : SCHEMA_POSSIBLE;
    o->extra = true;
    return named ? SCHEMA_POSSIBLE : free_key(o);
}

/* ---- how many ---- */

static int check_counts(object *o)
{
    size_t required = 0, possible = 0;
    int rc = schema_count_read(o->b, o->all, "minProperties", true, &o->least);
    if (!rc) rc = schema_count_read(o->b, o->all, "maxProperties", false, &o->most);
    if (rc) return rc;
    for (size_t i = 0; i < o->count; i++) {
        required += o->members[i].required;
        possible += o->members[i].possible;
    }
    if (o->least.value > o->most.value) return schema_impossible(o->b, o->least.at, "minProperties", "it is more than maxProperties");
    if (required > o->most.value) return schema_impossible(o->b, o->most.at, "maxProperties", "more properties are required");
    if (possible < o->least.value && !o->extra)
        return schema_impossible(o->b, o->least.at, "minProperties", "there are not so many properties");
    if (o->least.value > required && !(possible == 0 && o->least.value == 1))
        return schema_refuse(o->b, o->least.at, "minProperties",
                             "cannot be enforced beyond the required properties; list them in 'required'");
    if (o->count && (o->extra ? o->most.at != NULL : o->most.value < possible))
        return schema_refuse(o->b, o->most.at, "maxProperties", "cannot be enforced where optional properties would pass it");
    return SCHEMA_POSSIBLE;
}

/* ---- text ---- */

static void add_pair(const member *m, fh_buf *out)
{
    FH_AUTO(buf) fh_buf quoted = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    fh_buf_add_json_string(&quoted, m->name.ptr, m->name.len);
    fh_buf_adds(&quoted, ":");
    fh_gbnf_add_literal(out, (fh_str){fh_buf_cstr(&quoted), quoted.len});
    fh_buf_addf(out, " \" \"? %s", m->value);
    if (!fh_buf_ok(&quoted)) out->failed = true;
}

/* The rules "what may follow when members came before", from the last member to the first; names [count + 1]. */
static int add_tails(object *o, const char **names)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    names[o->count] = schema_new_rule(o->b);
    if (o->extra)
        fh_buf_addf(&body, "(\",\" \" \"? %s \":\" \" \"? %s)*", o->key, o->value);
    else
        fh_buf_adds(&body, "\"\"");
    int rc = names[o->count] ? schema_add_rule(o->b, names[o->count], &body) : schema_memory(o->b, NULL);
    for (size_t i = o->count; rc >= 0 && i-- > 0;) {
        const member *m = &o->members[i];
        names[i] = m->possible ? schema_new_rule(o->b) : names[i + 1];
        if (!names[i]) return schema_memory(o->b, NULL);
        if (!m->possible) continue;
        fh_buf_clear(&body);
        fh_buf_adds(&body, "(\",\" \" \"? ");
        add_pair(m, &body);
        fh_buf_addf(&body, "%s %s", m->required ? ")" : ")?", names[i + 1]);
        rc = schema_add_rule(o->b, names[i], &body);
    }
    return rc;
}

/* The alternatives of the first member; *ret_may_be_empty: none of them must come. */
static void add_heads(const object *o, const char *const *tails, fh_buf *out, bool *ret_may_be_empty)
{
    bool any = false;
    *ret_may_be_empty = false;
    for (size_t i = 0; i < o->count; i++) {
        const member *m = &o->members[i];
        if (!m->possible) continue;
        fh_buf_adds(out, any ? " | " : "");
        add_pair(m, out);
        fh_buf_addf(out, " %s", tails[i + 1]);
        any = true;
        if (m->required) return;
    }
    *ret_may_be_empty = o->least.value == 0;
    if (o->extra) fh_buf_addf(out, "%s%s \":\" \" \"? %s %s", any ? " | " : "", o->key, o->value, tails[o->count]);
}

/* Only free members: they are counted. */
static void add_free(const object *o, fh_buf *out)
{
    uint64_t most = o->most.value;
    if (most == 0) {
        fh_buf_adds(out, "\"{}\"");
        return;
    }
    fh_buf_addf(out, "\"{\" (\" \"? %s \":\" \" \"? %s (\",\" \" \"? %s \":\" \" \"? %s)", o->key, o->value, o->key, o->value);
    if (most == UINT64_MAX)
        fh_buf_adds(out, "*");
    else
        fh_buf_addf(out, "{0,%llu}", (unsigned long long)(most - 1));
    fh_buf_addf(out, " \" \"?)%s \"}\"", o->least.value ? "" : "?");
}

static int add_object(object *o, fh_buf *out)
{
    FH_AUTO(ptr) const char **tails = fh_calloc(o->count + 1, sizeof *tails);
    FH_AUTO(buf) fh_buf heads = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    bool may_be_empty;
    if (!tails) return schema_memory(o->b, NULL);
    int rc = add_tails(o, tails);
    if (rc < 0) return rc;
    add_heads(o, tails, &heads, &may_be_empty);
    if (heads.len == 0)
        fh_buf_adds(out, "\"{}\"");
    else
        fh_buf_addf(out, "\"{\" (\" \"? (%s) \" \"?)%s \"}\"", fh_buf_cstr(&heads), may_be_empty ? "?" : "");
    return schema_failed(o->b, &heads) || !fh_buf_ok(out) ? schema_memory(o->b, &heads) : SCHEMA_POSSIBLE;
}

static bool says_nothing(const schema_all *all)
{
    static const char *const keywords[] = {"properties",        "required",      "additionalProperties", "propertyNames",
                                           "patternProperties", "minProperties", "maxProperties"};
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < FH_COUNT(keywords); k++)
            if (schema_get(&all->parts[i], keywords[k])) return false;
    return true;
}

static int build_object(object *o, fh_buf *body)
{
    int rc = SCHEMA_POSSIBLE;
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < o->all->count; i++) rc = collect_properties(o, &o->all->parts[i]);
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < o->all->count; i++) rc = collect_required(o, &o->all->parts[i]);
    if (rc == SCHEMA_POSSIBLE) rc = make_members(o);
    if (rc == SCHEMA_POSSIBLE) rc = make_extra(o);
    if (rc == SCHEMA_POSSIBLE) rc = check_counts(o);
    if (rc != SCHEMA_POSSIBLE) return rc;
    if (o->count || !o->extra) return add_object(o, body);
    add_free(o, body);
    return fh_buf_ok(body) ? SCHEMA_POSSIBLE : schema_memory(o->b, body);
}

int schema_object(schema_build *b, const schema_all *all, fh_buf *body)
{
    object o = {.b = b, .all = all, .index = fh_map_new(NULL)};
    int rc;
    if (says_nothing(all)) {
        fh_buf_addf(body, "%s-object", b->rule);
        rc = SCHEMA_POSSIBLE;
    } else
        rc = o.index ? build_object(&o, body) : schema_memory(b, NULL);
    fh_map_free(o.index);
    fh_free(o.members);
    return rc;
}
