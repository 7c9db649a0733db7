/* JSON Schema to GBNF: rules and how they are remembered, branches, and which types a value may have. */
#include "json_schema_private.h"

#include <stdio.h>

/* ---- names, errors ---- */

const char *schema_new_rule(schema_build *b)
{
    return fh_arena_printf(b->arena, "%s-%u", b->rule, ++b->rule_count);
}

const char *schema_pointer(schema_build *b, const char *at, fh_str key)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_SCHEMA_POINTER_BYTES);
    fh_buf_adds(&text, at);
    fh_buf_addc(&text, '/');
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '~' || key.ptr[i] == '/')
            fh_buf_adds(&text, key.ptr[i] == '~' ? "~0" : "~1");
        else
            fh_buf_addc(&text, key.ptr[i]);
    }
    return fh_buf_ok(&text) ? fh_arena_strndup(b->arena, text.data, text.len) : at; /* too long: names what is around it */
}

const char *schema_pointer_index(schema_build *b, const char *at, const char *key, size_t i)
{
    char index[24];
    snprintf(index, sizeof index, "%zu", i);
    const char *list = schema_pointer(b, at, fh_str_of(key));
    return list ? schema_pointer(b, list, fh_str_of(index)) : NULL;
}

int schema_impossible(schema_build *b, const char *at, const char *keyword, const char *why)
{
    if (!b->why) {
        b->why = why;
        b->why_at = keyword ? schema_pointer(b, at, fh_str_of(keyword)) : at;
    }
    return SCHEMA_IMPOSSIBLE;
}

int schema_refuse(schema_build *b, const char *at, const char *keyword, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(b->err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    if (*keyword)
        fh_err_add(b->err, "'%s' of the schema", keyword);
    else
        fh_err_add(b->err, "the schema");
    const char *where = *keyword ? schema_pointer(b, at, fh_str_of(keyword)) : at;
    fh_err_param(b->err, "%s%s", b->param, where ? where : at);
    return FH_E_INVALID;
}

int schema_memory(schema_build *b, const fh_buf *body)
{
    int rc = body ? fh_buf_check(body, b->err, "the schema's grammar") : 0;
    if (!rc && b->arena && fh_arena_used(b->arena) > FH_LIMIT_SCHEMA_ARENA_BYTES / 2)
        return fh_err_set(b->err, FH_E_TOO_LARGE, "the schema is too large: reading it takes more than %d bytes",
                          FH_LIMIT_SCHEMA_ARENA_BYTES);
    if (!rc) rc = fh_buf_check(b->out, b->err, "the schema's grammar");
    return rc ? rc : fh_err_nomem(b->err);
}

int schema_add_rule(schema_build *b, const char *name, const fh_buf *body)
{
    fh_buf_addf(b->out, "%s ::= ", name);
    fh_buf_add(b->out, fh_buf_cstr(body), body->len);
    fh_buf_addc(b->out, '\n');
    return schema_failed(b, body) ? schema_memory(b, body) : SCHEMA_POSSIBLE;
}

/* ---- rules that every schema may use ---- */

static int add_basics(schema_build *b)
{
    const char *r = b->rule;
    if (b->has_basics) return 0;
    b->has_basics = true;
    fh_buf_addf(b->out, "%s-none ::= \"-\" %s-none\n", r, r); /* what never ends: nothing */
    fh_buf_addf(b->out, "%s-hex ::= [0-9a-fA-F]\n", r);
    /* no halves of surrogate pairs: every reader takes what is left */
    fh_buf_addf(b->out, "%s-esc ::= \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9a-cA-CefEF] %s-hex{3} | [dD] [0-7] %s-hex{2}))\n", r, r, r);
    fh_buf_addf(b->out, "%s-plain ::= [^\"\\\\\\x00-\\x1F]\n", r);
    fh_buf_addf(b->out, "%s-char ::= [^\"\\\\\\x00-\\x1F] | %s-esc\n", r, r);
    fh_buf_addf(b->out, "%s-string ::= \"\\\"\" %s-char* \"\\\"\"\n", r, r);
    fh_buf_addf(b->out, "%s-integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,17})\n", r);
    fh_buf_addf(b->out, "%s-number ::= %s-integer (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n", r, r);
    fh_buf_addf(b->out, "%s-array ::= \"[\" (\" \"? %s-value (\",\" \" \"? %s-value)* \" \"?)? \"]\"\n", r, r, r);
    fh_buf_addf(b->out, "%s-member ::= %s-string \":\" \" \"? %s-value\n", r, r, r);
    fh_buf_addf(b->out, "%s-object ::= \"{\" (\" \"? %s-member (\",\" \" \"? %s-member)* \" \"?)? \"}\"\n", r, r, r);
    fh_buf_addf(b->out, "%s-value ::= %s-object | %s-array | %s-string | %s-number | \"true\" | \"false\" | \"null\"\n", r, r, r, r, r);
    return fh_buf_ok(b->out) ? 0 : schema_memory(b, NULL);
}

/* ---- branches ---- */

/* The conjunction with one more alternative in it. */
static int branch(schema_build *b, const schema_all *all, size_t part, unsigned skip, const fh_json *alternative, const char *at,
                  schema_all *ret)
{
    *ret = *all;
    ret->parts[part].skip |= skip;
    return schema_add_part(b, ret, alternative, at);
}

static int check_disjoint(schema_build *b, const schema_part *p, const schema_all *branches, const size_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++)
            if (!schema_disjoint(b, &branches[i], &branches[k]))
                return schema_refuse(b, p->at, "oneOf",
                                     "cannot be enforced: nothing shows that alternatives %zu and %zu exclude each other (use anyOf, or a "
                                     "required property with a different const in each)",
                                     numbers[i], numbers[k]);
    return SCHEMA_POSSIBLE;
}

/* A rule for each alternative that can be satisfied. */
static int branches_of(schema_build *b, const schema_all *all, size_t part, const char *keyword, unsigned skip, fh_buf *body)
{
    const schema_part *p = &all->parts[part];
    const fh_json *list = schema_get(p, keyword);
    size_t n = fh_json_count(list), kept = 0;
    if (fh_json_kind_of(list) != FH_JSON_ARRAY || n == 0) return schema_refuse(b, p->at, keyword, "must be a list that is not empty");
    if (n > FH_LIMIT_SCHEMA_ALTERNATIVES)
        return schema_refuse(b, p->at, keyword, "has %zu alternatives; at most %d", n, FH_LIMIT_SCHEMA_ALTERNATIVES);
    schema_all *branches = fh_arena_array(b->arena, n, sizeof *branches);
    size_t *numbers = fh_arena_array(b->arena, n, sizeof *numbers);
    if (!branches || !numbers) return schema_memory(b, NULL);
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL, *at = schema_pointer_index(b, p->at, keyword, i);
        int rc = at ? branch(b, all, part, skip, fh_json_at(list, i), at, &branches[kept]) : schema_memory(b, NULL);
        if (rc == SCHEMA_POSSIBLE) rc = schema_rule(b, &branches[kept], &name);
        if (rc < 0) return rc;
        if (rc == SCHEMA_IMPOSSIBLE) continue;
        fh_buf_addf(body, kept ? " | %s" : "%s", name);
        numbers[kept++] = i;
    }
    if (!kept) return schema_impossible(b, p->at, keyword, "none of its alternatives can be satisfied");
    return skip == SKIP_ONE_OF ? check_disjoint(b, p, branches, numbers, kept) : SCHEMA_POSSIBLE;
}

/* ---- one value ---- */

static int add_type(schema_build *b, const schema_all *all, unsigned type, fh_buf *body)
{
    switch (type) {
    case TYPE_NULL: fh_buf_adds(body, "\"null\""); return SCHEMA_POSSIBLE;
    case TYPE_BOOLEAN: fh_buf_adds(body, "\"true\" | \"false\""); return SCHEMA_POSSIBLE;
    case TYPE_INTEGER: return schema_number(b, all, false, body);
    case TYPE_NUMBER: return schema_number(b, all, true, body);
    case TYPE_STRING: return schema_string(b, all, body);
    case TYPE_ARRAY: return schema_array(b, all, body);
    default: return schema_object(b, all, body);
    }
}

static int add_types(schema_build *b, const schema_all *all, unsigned types, fh_buf *body)
{
    static const unsigned order[] = {TYPE_OBJECT, TYPE_ARRAY, TYPE_STRING, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_NULL};
    bool any = false;
    for (size_t i = 0; i < FH_COUNT(order); i++) {
        unsigned type = types & order[i];
        if (!type) continue;
        FH_AUTO(buf) fh_buf one = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
        int rc = add_type(b, all, type, &one);
        if (rc < 0) return rc;
        if (rc == SCHEMA_IMPOSSIBLE) continue;
        fh_buf_adds(body, any ? " | " : "");
        fh_buf_add(body, fh_buf_cstr(&one), one.len);
        if (!fh_buf_ok(&one)) return schema_memory(b, &one);
        any = true;
    }
    return any ? SCHEMA_POSSIBLE : SCHEMA_IMPOSSIBLE;
}

static int add_body(schema_build *b, const schema_all *all, fh_buf *body)
{
    for (size_t i = 0; i < all->count; i++) {
        const schema_part *p = &all->parts[i];
        if (schema_get(p, "anyOf") && !(p->skip & SKIP_ANY_OF)) return branches_of(b, all, i, "anyOf", SKIP_ANY_OF, body);
        if (schema_get(p, "oneOf") && !(p->skip & SKIP_ONE_OF)) return branches_of(b, all, i, "oneOf", SKIP_ONE_OF, body);
    }
    bool found = false;
    unsigned types;
    int rc = schema_values(b, all, body, &found);
    if (rc < 0 || found) return rc;
    rc = schema_types(b, all, &types);
    return rc == SCHEMA_POSSIBLE ? add_types(b, all, types, body) : rc;
}

/* ---- rules of conjunctions ---- */

typedef struct remembered {
    const char *name;
    bool impossible;
} remembered;

/* What only annotates leaves no trace in the key: `true`, and schemas that were merged already, are not members. */
static fh_str key_of(schema_build *b, const schema_all *all)
{
    size_t bytes = sizeof(uintptr_t) + sizeof(unsigned);
    char *key = fh_arena_alloc(b->arena, all->count * bytes + 1);
    for (size_t i = 0; key && i < all->count; i++) {
        uintptr_t schema = (uintptr_t)all->parts[i].schema;
        memcpy(key + i * bytes, &schema, sizeof schema);
        memcpy(key + i * bytes + sizeof schema, &all->parts[i].skip, sizeof(unsigned));
    }
    return (fh_str){key, key ? all->count * bytes : 0};
}

/* What refers to it while it is made cannot know that it is impossible: then the rule is there, and never ends. */
static int finish_rule(schema_build *b, remembered *r, int rc, fh_buf *body)
{
    if (rc < 0) return rc;
    r->impossible = rc == SCHEMA_IMPOSSIBLE;
    if (r->impossible) {
        fh_buf_clear(body);
        fh_buf_addf(body, "\"-\" %s", r->name);
    }
    int added = schema_add_rule(b, r->name, body);
    return added < 0 ? added : rc;
}

static int make_rule(schema_build *b, const schema_all *all, fh_str key, const char *name)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    remembered *r = fh_arena_alloc(b->arena, sizeof *r);
    if (!name || !r) return schema_memory(b, NULL);
    r->name = name;
    if (!fh_map_put(b->rules, key, r)) return schema_memory(b, NULL);
    b->depth++;
    int rc = add_body(b, all, &body);
    b->depth--;
    return finish_rule(b, r, rc, &body);
}

int schema_rule(schema_build *b, const schema_all *all, const char **ret_name)
{
    fh_str key = key_of(b, all);
    if (!key.ptr) return schema_memory(b, NULL);
    remembered *r = fh_map_find(b->rules, key);
    int rc = SCHEMA_POSSIBLE;
    const char *at = all->count ? all->parts[all->count - 1].at : "";
    if (all->count == 0) {
        *ret_name = fh_arena_printf(b->arena, "%s-value", b->rule);
        return *ret_name ? SCHEMA_POSSIBLE : schema_memory(b, NULL);
    }
    if (!r && b->rule_count >= FH_LIMIT_SCHEMA_RULES) return schema_refuse(b, at, "", "has more than %d parts", FH_LIMIT_SCHEMA_RULES);
    if (!r && b->depth >= FH_LIMIT_SCHEMA_DEPTH) return schema_refuse(b, at, "", "is nested deeper than %d", FH_LIMIT_SCHEMA_DEPTH);
    if (!r) rc = make_rule(b, all, key, schema_new_rule(b));
    if (rc < 0) return rc;
    if (!r) r = fh_map_find(b->rules, key);
    *ret_name = r->name;
    return r->impossible ? SCHEMA_IMPOSSIBLE : SCHEMA_POSSIBLE;
}

/* ---- whole schemas ---- */

static int no_way(schema_build *b)
{
    fh_err_set(b->err, FH_E_INVALID, "the schema cannot be satisfied: %s", b->why ? b->why : "nothing matches it");
    fh_err_param(b->err, "%s%s", b->param, b->why_at ? b->why_at : "");
    return FH_E_INVALID;
}

static int build(schema_build *b)
{
    schema_all all = {.count = 0};
    const char *name = NULL;
    int rc = add_basics(b);
    if (rc == 0) rc = schema_add_part(b, &all, b->root, "");
    if (rc == SCHEMA_POSSIBLE) rc = schema_rule(b, &all, &name);
    if (rc < 0) return rc;
    if (rc == SCHEMA_IMPOSSIBLE) return no_way(b);
    fh_buf_addf(b->out, "%s ::= %s\n", b->rule, name);
    return fh_buf_ok(b->out) ? 0 : schema_memory(b, NULL);
}

int fh_gbnf_add_schema(fh_buf *out, const char *rule, const fh_json *schema, const char *param, fh_err **err)
{
    fh_err *none = NULL;
    schema_build b = {.root = schema, .rule = rule, .param = param, .out = out, .err = err ? err : &none};
    b.arena = fh_arena_new(FH_LIMIT_SCHEMA_ARENA_BYTES);
    b.rules = fh_map_new(NULL);
    FH_AUTO(json) fh_json *string = fh_json_new_object();
    bool ok = b.arena && b.rules && string && fh_json_set(string, "type", fh_json_new_cstr("string"));
    b.string = string;
    int rc = ok ? build(&b) : fh_err_nomem(b.err);
    fh_map_free(b.rules);
    fh_arena_free(b.arena);
    fh_err_free(none);
    return rc;
}

int fh_gbnf_add_object(fh_buf *out, const char *rule, fh_err **err)
{
    schema_build b = {.rule = rule, .out = out, .err = err};
    int rc = add_basics(&b);
    fh_buf_addf(out, "%s ::= %s-object\n", rule, rule);
    return rc ? rc : fh_buf_check(out, err, "the grammar");
}

bool fh_gbnf_add_literal(fh_buf *out, fh_str text)
{
    fh_buf_addc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\')
            fh_buf_addf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fh_buf_addf(out, "\\x%02X", c);
        else
            fh_buf_addc(out, (char)c);
    }
    return fh_buf_addc(out, '"');
}
