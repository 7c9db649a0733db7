/* Arrays: items by their place (prefixItems), then a counted run of the others. As validators read it, prefixItems alone asks for no
 * length: minItems does. Items beyond the prefix are made only where the schema speaks of them. */
#include "json_schema_private.h"

enum { PREFIX_MAX = 128 };

typedef struct array {
    schema_build *b;
    const schema_all *all;
    const char **prefix; /* rules of the first items; [prefix_count] */
    size_t prefix_count;
    const char *rest; /* the rule of the others; NULL: none come */
    schema_count least, most;
} array;

static bool has_keyword(const schema_all *all, const char *keyword)
{
    for (size_t i = 0; i < all->count; i++)
        if (schema_get(&all->parts[i], keyword)) return true;
    return false;
}

static int prefix_length(array *a)
{
    size_t longest = 0;
    for (size_t i = 0; i < a->all->count; i++) {
        const schema_part *p = &a->all->parts[i];
        const fh_json *list = schema_get(p, "prefixItems");
        if (!list) continue;
        if (fh_json_kind_of(list) != FH_JSON_ARRAY) return schema_refuse(a->b, p->at, "prefixItems", "must be a list of schemas");
        longest = FH_MAX(longest, fh_json_count(list));
        if (longest > PREFIX_MAX) return schema_refuse(a->b, p->at, "prefixItems", "has more than %d items", PREFIX_MAX);
    }
    a->prefix = fh_arena_array(a->b->arena, longest + 1, sizeof *a->prefix);
    a->prefix_count = longest;
    return a->prefix ? SCHEMA_POSSIBLE : schema_memory(a->b, NULL);
}

/* What every part says of the item at one place; beyond the longest prefix all are the same. */
static int item(array *a, size_t place, const char **ret_name)
{
    schema_all value = {.count = 0};
    int rc = SCHEMA_POSSIBLE;
    for (size_t i = 0; rc == SCHEMA_POSSIBLE && i < a->all->count; i++) {
        const schema_part *p = &a->all->parts[i];
        const fh_json *own = fh_json_at(schema_get(p, "prefixItems"), place), *items = schema_get(p, "items");
        if (fh_json_kind_of(items) == FH_JSON_ARRAY)
            return schema_refuse(a->b, p->at, "items", "must be a schema; a list of them is 'prefixItems'");
        if (!own && !items) continue;
        const char *at = own ? schema_pointer_index(a->b, p->at, "prefixItems", place) : schema_pointer(a->b, p->at, fh_str_of("items"));
        rc = at ? schema_add_part(a->b, &value, own ? own : items, at) : schema_memory(a->b, NULL);
    }
    return rc == SCHEMA_POSSIBLE ? schema_rule(a->b, &value, ret_name) : rc;
}

/* An item that can have no value ends what an array may hold. */
static int make_items(array *a)
{
    for (size_t i = 0; i < a->prefix_count; i++) {
        int rc = item(a, i, &a->prefix[i]);
        if (rc < 0) return rc;
        if (rc == SCHEMA_IMPOSSIBLE) {
            a->prefix_count = i;
            return SCHEMA_POSSIBLE;
        }
    }
    if (!has_keyword(a->all, "items") && a->prefix_count && a->least.value <= a->prefix_count) return SCHEMA_POSSIBLE;
    int rc = item(a, a->prefix_count, &a->rest);
    if (rc == SCHEMA_IMPOSSIBLE) a->rest = NULL;
    return rc < 0 ? rc : SCHEMA_POSSIBLE;
}

/* The items from one place on, with something before them: ("," item (...)?)?, optional from the least length on. */
static void add_run(const array *a, size_t from, fh_buf *out)
{
    size_t open = 0;
    bool optional;
    for (size_t i = from; i < a->prefix_count && i < a->most.value; i++) {
        optional = i >= a->least.value;
        fh_buf_addf(out, " %s\",\" \" \"? %s", optional ? "(" : "", a->prefix[i]);
        open += optional;
    }
    if (a->rest && a->most.value > FH_MAX(from, a->prefix_count)) {
        uint64_t before = FH_MAX(from, a->prefix_count), least = a->least.value > before ? a->least.value - before : 0;
        fh_buf_addf(out, " (\",\" \" \"? %s){%llu,", a->rest, (unsigned long long)least);
        if (a->most.value != UINT64_MAX) fh_buf_addf(out, "%llu", (unsigned long long)(a->most.value - before));
        fh_buf_adds(out, "}");
    }
    while (open--) fh_buf_adds(out, ")?");
}

static int add_array(const array *a, fh_buf *out)
{
    const char *first = a->prefix_count ? a->prefix[0] : a->rest;
    if (a->least.value > a->most.value) return schema_impossible(a->b, a->least.at, "minItems", "it is more than maxItems");
    if (a->least.value > a->prefix_count && !a->rest)
        return schema_impossible(a->b, a->least.at, "minItems", "the array cannot have so many items");
    if (!first || a->most.value == 0) {
        fh_buf_adds(out, "\"[]\"");
        return SCHEMA_POSSIBLE;
    }
    fh_buf_addf(out, "\"[\" (\" \"? %s", first);
    add_run(a, 1, out);
    fh_buf_addf(out, " \" \"?)%s \"]\"", a->least.value ? "" : "?");
    return fh_buf_ok(out) ? SCHEMA_POSSIBLE : schema_memory(a->b, out);
}

int schema_array(schema_build *b, const schema_all *all, fh_buf *body)
{
    array a = {.b = b, .all = all};
    if (!has_keyword(all, "items") && !has_keyword(all, "prefixItems") && !has_keyword(all, "minItems") && !has_keyword(all, "maxItems")) {
        fh_buf_addf(body, "%s-array", b->rule);
        return SCHEMA_POSSIBLE;
    }
    int rc = schema_count_read(b, all, "minItems", true, &a.least);
    if (!rc) rc = schema_count_read(b, all, "maxItems", false, &a.most);
    if (!rc) rc = prefix_length(&a);
    if (rc == SCHEMA_POSSIBLE) rc = make_items(&a);
    return rc == SCHEMA_POSSIBLE ? add_array(&a, body) : rc;
}
