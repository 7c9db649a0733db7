/* Strings: a counted run of characters, a pattern, or a format (which is a pattern of ours). */
#include "json_schema_private.h"

typedef struct text_rule { /* the pattern or format that holds; keyword NULL: none */
    const char *keyword, *at;
    fh_str text;
} text_rule;

static int note_rule(schema_build *b, const schema_part *p, const char *keyword, text_rule *rule)
{
    const fh_json *v = schema_get(p, keyword);
    fh_str text = fh_json_str(v);
    if (!v) return SCHEMA_POSSIBLE;
    if (!text.ptr) return schema_refuse(b, p->at, keyword, "must be a string");
    if (rule->keyword && (strcmp(rule->keyword, keyword) != 0 || !fh_str_eq(rule->text, text)))
        return schema_refuse(b, p->at, keyword, "cannot be enforced together with another pattern or format of the same string");
    *rule = (text_rule){keyword, p->at, text};
    return SCHEMA_POSSIBLE;
}

static int find_rule(schema_build *b, const schema_all *all, text_rule *ret)
{
    int rc = SCHEMA_POSSIBLE;
    *ret = (text_rule){NULL, NULL, {NULL, 0}};
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < all->count; i++) {
        rc = note_rule(b, &all->parts[i], "pattern", ret);
        if (rc == SCHEMA_POSSIBLE) rc = note_rule(b, &all->parts[i], "format", ret);
    }
    return rc;
}

static int add_rule_text(schema_build *b, const text_rule *rule, uint64_t least, uint64_t most, fh_buf *body)
{
    fh_str pattern = rule->text;
    if (strcmp(rule->keyword, "format") == 0) {
        pattern = fh_str_of(schema_format_pattern(rule->text));
        if (!pattern.ptr) return schema_refuse(b, rule->at, "format", "is not one of those that can be enforced");
    }
    fh_buf_adds(body, "\"\\\"\" (");
    int rc = schema_regex(b, rule->at, rule->keyword, pattern, least, most, body);
    fh_buf_adds(body, ") \"\\\"\"");
    return rc;
}

static void add_characters(const schema_build *b, uint64_t least, uint64_t most, fh_buf *body)
{
    fh_buf_addf(body, "\"\\\"\" %s-char", b->rule);
    if (least == 0 && most == UINT64_MAX)
        fh_buf_addc(body, '*');
    else if (most == UINT64_MAX)
        fh_buf_addf(body, "{%llu,}", (unsigned long long)least);
    else
        fh_buf_addf(body, "{%llu,%llu}", (unsigned long long)least, (unsigned long long)most);
    fh_buf_adds(body, " \"\\\"\"");
}

int schema_string(schema_build *b, const schema_all *all, fh_buf *body)
{
    schema_count least = {0}, most = {0};
    text_rule rule = {0};
    int rc = schema_count_read(b, all, "minLength", true, &least);
    if (!rc) rc = schema_count_read(b, all, "maxLength", false, &most);
    if (!rc) rc = find_rule(b, all, &rule);
    if (rc != SCHEMA_POSSIBLE) return rc;
    if (least.value > most.value) return schema_impossible(b, least.at, "minLength", "it is more than maxLength");
    if (rule.keyword)
        rc = add_rule_text(b, &rule, least.value, most.value, body);
    else
        add_characters(b, least.value, most.value, body);
    return fh_buf_ok(body) ? rc : schema_memory(b, body);
}
