/* Tokens to a tree: tags and the text between them. The grammar and its quirks are jinja2's (3.1.6), with the loop controls and the
 * generation tag of `transformers`. Recursion is counted against TEMPLATE_DEPTH, both while parsing and in the tree that comes out. */
#include "jinja.h"

#include "base/map.h"

void jinja_set_parser_fail(jparser *p, uint32_t line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(p->err, FH_E_INVALID, fmt, ap);
    va_end(ap);
    fh_err_add(p->err, "chat template, line %u", line);
}

int jinja_advance(jparser *p)
{
    p->cur = p->ahead;
    if (p->cur.type == T_EOF) return 0;
    return jinja_lexer_next(&p->lexer, &p->ahead);
}

bool jinja_at_name(const jparser *p, const char *name)
{
    return p->cur.type == T_NAME && fh_str_eqs(p->cur.text, name);
}

int jinja_skip_name(jparser *p, const char *name, bool *ret_skipped)
{
    *ret_skipped = jinja_at_name(p, name);
    return *ret_skipped ? jinja_advance(p) : 0;
}

static int unexpected(jparser *p, const char *want)
{
    fh_str t = p->cur.text;
    if (p->cur.type == T_NAME && t.len < 60) return jinja_parser_fail(p, p->cur.line, "expected %s, got '%.*s'", want, (int)t.len, t.ptr);
    return jinja_parser_fail(p, p->cur.line, "expected %s, got %s", want, jinja_token_name(p->cur.type));
}

int jinja_expect(jparser *p, jtoken_type type, jtoken *ret)
{
    if (p->cur.type != type) return unexpected(p, jinja_token_name(type));
    if (ret) *ret = p->cur;
    return jinja_advance(p);
}

int jinja_enter(jparser *p)
{
    if (++p->depth <= FH_LIMIT_TEMPLATE_DEPTH) return 0;
    return jinja_parser_fail(p, p->cur.line, "nests deeper than %d levels", FH_LIMIT_TEMPLATE_DEPTH);
}

void jinja_leave(jparser *p)
{
    p->depth--;
}

int jinja_node(jparser *p, jtype type, uint32_t line, jnode **ret)
{
    jnode *n = fh_arena_alloc(p->arena, sizeof(*n));
    if (!n) return jinja_nomem(p->err);
    n->type = (uint8_t)type;
    n->line = line;
    n->depth = 1;
    *ret = n;
    return 0;
}

int jinja_under(jparser *p, jnode *parent, const jnode *child)
{
    if (!child || child->depth < parent->depth) return 0;
    parent->depth = (uint16_t)(child->depth + 1);
    if (parent->depth <= FH_LIMIT_TEMPLATE_DEPTH) return 0;
    return jinja_parser_fail(p, parent->line, "nests deeper than %d levels", FH_LIMIT_TEMPLATE_DEPTH);
}

int jinja_push(jparser *p, jnode *parent, jnodes *list, jnode *child)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        jnode **items = fh_arena_array(p->arena, cap, sizeof(jnode *));
        if (!items) return jinja_nomem(p->err);
        if (list->count) memcpy(items, list->items, list->count * sizeof(jnode *));
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = child;
    return parent ? jinja_under(p, parent, child) : 0;
}

uint32_t jinja_name_id(jparser *p, fh_str name)
{
    void *found = fh_map_find(p->name_ids, name);
    if (found) return (uint32_t)(uintptr_t)found - 1;
    if (p->name_count == p->name_cap) {
        uint32_t cap = p->name_cap ? p->name_cap * 2 : 32;
        fh_str *names = fh_arena_array(p->arena, cap, sizeof(*names));
        if (!names) return UINT32_MAX;
        if (p->name_count) memcpy(names, p->names, p->name_count * sizeof(*names));
        p->names = names;
        p->name_cap = cap;
    }
    if (!fh_map_put(p->name_ids, name, (void *)(uintptr_t)(p->name_count + 1))) return UINT32_MAX;
    p->names[p->name_count] = name;
    return p->name_count++;
}

/* ---- bodies ---- */

static int parse_statement(jparser *p, jnode **ret);

static bool at_any(const jparser *p, const char *const *ends)
{
    for (size_t i = 0; ends && ends[i]; i++)
        if (jinja_at_name(p, ends[i])) return true;
    return false;
}

static int parse_print(jparser *p, jnode **ret)
{
    uint32_t line = p->cur.line;
    int rc = jinja_advance(p);
    if (!rc) rc = jinja_node(p, N_PRINT, line, ret);
    if (!rc) rc = jinja_parse_tuple(p, true, NULL, false, &(*ret)->a);
    if (!rc) rc = jinja_under(p, *ret, (*ret)->a);
    return rc ? rc : jinja_expect(p, T_VAR_END, NULL);
}

static int parse_data(jparser *p, jnode **ret)
{
    int rc = jinja_node(p, N_DATA, p->cur.line, ret);
    if (rc) return rc;
    (*ret)->value = jinja_str(p->cur.text);
    return jinja_advance(p);
}

/* One element of a body; *ret stays NULL at the tag that ends it, whose name is then the current token. */
static int parse_element(jparser *p, const char *const *ends, jnode **ret)
{
    if (p->cur.type == T_DATA) return parse_data(p, ret);
    if (p->cur.type == T_VAR_BEGIN) return parse_print(p, ret);
    int rc = jinja_advance(p);
    if (rc || at_any(p, ends)) return rc;
    if (p->cur.type != T_NAME) return unexpected(p, "the name of a tag");
    rc = parse_statement(p, ret);
    return rc ? rc : jinja_expect(p, T_BLOCK_END, NULL);
}

/* Up to one of the ends (which stays the current token), or to the end of the template when ends is NULL. */
static int parse_body(jparser *p, jnode *parent, jnodes *list, const char *const *ends)
{
    int rc = jinja_enter(p);
    while (!rc) {
        if (p->cur.type == T_EOF) {
            if (ends) rc = jinja_parser_fail(p, parent ? parent->line : 1, "the tag that begins here has no {%% %s %%}", ends[0]);
            break;
        }
        jnode *n = NULL;
        rc = parse_element(p, ends, &n);
        if (!rc && !n) break;
        if (!rc) rc = jinja_push(p, parent, list, n);
    }
    jinja_leave(p);
    return rc;
}

/* From behind the tag's own text: its end, the body, and the name of the end tag unless it is to be looked at. */
static int parse_block(jparser *p, jnode *parent, jnodes *list, const char *const *ends, bool drop)
{
    int rc = p->cur.type == T_COLON ? jinja_advance(p) : 0;
    if (!rc) rc = jinja_expect(p, T_BLOCK_END, NULL);
    if (!rc) rc = parse_body(p, parent, list, ends);
    return rc || !drop ? rc : jinja_advance(p);
}

/* ---- tags ---- */

static int parse_if_tail(jparser *p, jnode *n)
{
    static const char *const ends[] = {"endif", NULL};
    bool skipped;
    int rc = jinja_skip_name(p, "else", &skipped);
    if (rc) return rc;
    if (skipped) return parse_block(p, n, &n->more, ends, true);
    return jinja_advance(p);
}

/* a: the test, items: the body; the elif branches follow as nodes of their own in b, each with its own b; more: else. */
static int parse_if(jparser *p, jnode **ret)
{
    static const char *const ends[] = {"endif", "elif", "else", NULL};
    jnode *n = NULL, *tail = NULL;
    bool soft = p->soft, more = true;
    p->soft = true;
    int rc = jinja_node(p, N_IF, p->cur.line, &n);
    *ret = n;
    while (!rc && more) {
        jnode *branch = n;
        if (tail) rc = jinja_node(p, N_IF, p->cur.line, &branch);
        if (!rc && tail) tail->b = branch;
        if (!rc) rc = jinja_advance(p);
        if (!rc) rc = jinja_parse_tuple(p, false, NULL, false, &branch->a);
        if (!rc) rc = jinja_under(p, n, branch->a);
        if (!rc) rc = parse_block(p, n, &branch->items, ends, false);
        tail = branch;
        more = !rc && jinja_at_name(p, "elif");
    }
    if (!rc) rc = parse_if_tail(p, n);
    p->soft = soft;
    return rc;
}

static int parse_for_bodies(jparser *p, jnode *n, jfor *f)
{
    static const char *const ends[] = {"endfor", "else", NULL}, *const else_ends[] = {"endfor", NULL};
    bool has_else;
    p->loops++;
    int rc = parse_block(p, n, &f->body, ends, false);
    p->loops--;
    if (!rc) rc = jinja_skip_name(p, "else", &has_else);
    if (rc) return rc;
    return has_else ? parse_block(p, n, &f->otherwise, else_ends, true) : jinja_advance(p);
}

static int parse_for_head(jparser *p, jfor *f)
{
    bool skipped = false;
    int rc = jinja_parse_target(p, "in", false, &f->target);
    if (!rc) rc = jinja_skip_name(p, "in", &skipped);
    if (!rc && !skipped) rc = unexpected(p, "'in'");
    if (!rc) rc = jinja_parse_tuple(p, false, "recursive", false, &f->iter);
    p->soft = false; /* a loop is a scope of its own: filters in it must exist */
    if (!rc) rc = jinja_skip_name(p, "if", &skipped);
    if (!rc && skipped) rc = jinja_parse_expression(p, &f->test);
    return rc ? rc : jinja_skip_name(p, "recursive", &f->recursive);
}

/* The tree of the target once more, because the test binds it in a scope of its own. */
static int copy_target(jparser *p, const jnode *from, jnode **ret)
{
    int rc = jinja_node(p, (jtype)from->type, from->line, ret);
    if (rc) return rc;
    (*ret)->value = from->value;
    for (size_t i = 0; i < from->items.count && !rc; i++) {
        jnode *item = NULL;
        rc = copy_target(p, from->items.items[i], &item);
        if (!rc) rc = jinja_push(p, *ret, &(*ret)->items, item);
    }
    return rc;
}

static int parse_for(jparser *p, jnode **ret)
{
    bool soft = p->soft;
    int rc = jinja_node(p, N_FOR, p->cur.line, ret);
    jfor *f = rc ? NULL : fh_arena_alloc(p->arena, sizeof(*f));
    if (!rc && !f) rc = jinja_nomem(p->err);
    if (!rc) rc = jinja_advance(p);
    if (!rc) {
        (*ret)->x.loop = f;
        rc = parse_for_head(p, f);
    }
    if (!rc && f->test) rc = copy_target(p, f->target, &f->test_target);
    if (!rc) rc = jinja_under(p, *ret, f->target);
    if (!rc) rc = jinja_under(p, *ret, f->iter);
    if (!rc) rc = jinja_under(p, *ret, f->test);
    if (!rc) rc = parse_for_bodies(p, *ret, f);
    p->soft = soft;
    return rc;
}

static int parse_set(jparser *p, jnode **ret)
{
    static const char *const ends[] = {"endset", NULL};
    jnode *n = NULL;
    int rc = jinja_node(p, N_SET, p->cur.line, &n);
    *ret = n;
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = jinja_parse_target(p, NULL, true, &n->b);
    if (!rc) rc = jinja_under(p, n, n->b);
    if (rc) return rc;
    if (p->cur.type == T_ASSIGN) {
        rc = jinja_advance(p);
        if (!rc) rc = jinja_parse_tuple(p, true, NULL, false, &n->a);
        return rc ? rc : jinja_under(p, n, n->a);
    }
    n->type = N_SETBLOCK;
    bool soft = p->soft;
    p->soft = false;
    rc = jinja_parse_filters(p, NULL, false, &n->a);
    if (!rc) rc = jinja_under(p, n, n->a);
    if (!rc) rc = parse_block(p, n, &n->items, ends, true);
    p->soft = soft;
    return rc;
}

static int parse_param(jparser *p, jnode *n, jbody *m)
{
    jnode *param = NULL, *value;
    int rc = jinja_node(p, N_NAME, p->cur.line, &param);
    if (rc) return rc;
    param->value = jinja_str(p->cur.text);
    rc = jinja_expect(p, T_NAME, NULL);
    if (!rc) rc = jinja_push(p, n, &m->params, param);
    if (rc) return rc;
    if (p->cur.type != T_ASSIGN)
        return m->defaults.count ? jinja_parser_fail(p, p->cur.line, "a parameter without a default follows one with a default") : 0;
    rc = jinja_advance(p);
    if (!rc) rc = jinja_parse_expression(p, &value);
    return rc ? rc : jinja_push(p, n, &m->defaults, value);
}

static int parse_signature(jparser *p, jnode *n, jbody *m)
{
    int rc = jinja_expect(p, T_LPAREN, NULL);
    while (!rc && p->cur.type != T_RPAREN) {
        if (m->params.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc) rc = parse_param(p, n, m);
    }
    return rc ? rc : jinja_advance(p);
}

/* A body that becomes a function of its own: no break out of it, and filters in it must exist. */
static int parse_function_body(jparser *p, jnode *n, jbody *m, const char *end)
{
    const char *const ends[] = {end, NULL};
    uint32_t loops = p->loops;
    bool soft = p->soft;
    p->loops = 0;
    p->soft = false;
    int rc = parse_block(p, n, &m->body, ends, true);
    p->loops = loops;
    p->soft = soft;
    return rc;
}

static int new_body(jparser *p, jtype type, jnode **ret)
{
    int rc = jinja_node(p, type, p->cur.line, ret);
    if (rc) return rc;
    (*ret)->x.body = fh_arena_alloc(p->arena, sizeof(jbody));
    if (!(*ret)->x.body) return jinja_nomem(p->err);
    return jinja_advance(p);
}

static int parse_macro(jparser *p, jnode **ret)
{
    jtoken name;
    int rc = new_body(p, N_MACRO, ret);
    if (!rc) rc = jinja_expect(p, T_NAME, &name);
    if (rc) return rc;
    (*ret)->x.body->name = name.text;
    (*ret)->value = jinja_str(name.text);
    rc = parse_signature(p, *ret, (*ret)->x.body);
    return rc ? rc : parse_function_body(p, *ret, (*ret)->x.body, "endmacro");
}

static int parse_call_block(jparser *p, jnode **ret)
{
    int rc = new_body(p, N_CALLBLOCK, ret);
    if (!rc && p->cur.type == T_LPAREN) rc = parse_signature(p, *ret, (*ret)->x.body);
    if (!rc) rc = jinja_parse_expression(p, &(*ret)->a);
    if (!rc && (*ret)->a->type != N_CALL) rc = jinja_parser_fail(p, (*ret)->line, "{%% call %%} wants a call");
    if (!rc) rc = jinja_under(p, *ret, (*ret)->a);
    return rc ? rc : parse_function_body(p, *ret, (*ret)->x.body, "endcall");
}

static int parse_generation(jparser *p, jnode **ret)
{
    int rc = new_body(p, N_GENERATION, ret);
    return rc ? rc : parse_function_body(p, *ret, (*ret)->x.body, "endgeneration");
}

static int parse_filter_block(jparser *p, jnode **ret)
{
    static const char *const ends[] = {"endfilter", NULL};
    int rc = jinja_node(p, N_FILTERBLOCK, p->cur.line, ret);
    bool soft = p->soft;
    p->soft = false;
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = jinja_parse_filters(p, NULL, true, &(*ret)->a);
    if (!rc) rc = jinja_under(p, *ret, (*ret)->a);
    if (!rc) rc = parse_block(p, *ret, &(*ret)->items, ends, true);
    p->soft = soft;
    return rc;
}

/* more: targets and values by turns; items: the body. */
static int parse_with(jparser *p, jnode **ret)
{
    static const char *const ends[] = {"endwith", NULL};
    int rc = jinja_node(p, N_WITH, p->cur.line, ret);
    jnode *n = *ret, *target, *value;
    if (!rc) rc = jinja_advance(p);
    while (!rc && p->cur.type != T_BLOCK_END) {
        if (n->more.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc) rc = jinja_parse_target(p, NULL, false, &target);
        if (!rc) rc = jinja_expect(p, T_ASSIGN, NULL);
        if (!rc) rc = jinja_parse_expression(p, &value);
        if (!rc) rc = jinja_push(p, n, &n->more, target);
        if (!rc) rc = jinja_push(p, n, &n->more, value);
    }
    bool soft = p->soft;
    p->soft = false;
    if (!rc) rc = parse_block(p, n, &n->items, ends, true);
    p->soft = soft;
    return rc;
}

/* {% print a, b %} */
static int parse_print_tag(jparser *p, jnode **ret)
{
    int rc = jinja_node(p, N_PRINT, p->cur.line, ret);
    jnode *n = *ret, *value;
    if (!rc) rc = jinja_advance(p);
    while (!rc && p->cur.type != T_BLOCK_END) {
        if (n->items.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc) rc = jinja_parse_expression(p, &value);
        if (!rc) rc = jinja_push(p, n, &n->items, value);
    }
    return rc;
}

static int parse_loop_control(jparser *p, jnode **ret)
{
    bool is_break = jinja_at_name(p, "break");
    if (!p->loops) return jinja_parser_fail(p, p->cur.line, "'%s' outside of a loop", is_break ? "break" : "continue");
    int rc = jinja_node(p, is_break ? N_BREAK : N_CONTINUE, p->cur.line, ret);
    return rc ? rc : jinja_advance(p);
}

static int unknown_tag(jparser *p)
{
    static const char *const refused[] = {"include", "import", "from", "extends", "block", "autoescape", "trans", "do", "debug"};
    fh_str name = p->cur.text;
    for (size_t i = 0; i < FH_COUNT(refused); i++) {
        if (!fh_str_eqs(name, refused[i])) continue;
        fh_err_set(p->err, FH_E_UNSUPPORTED, "{%% %s %%} is not supported", refused[i]);
        return fh_err_add(p->err, "chat template, line %u", p->cur.line);
    }
    return jinja_parser_fail(p, p->cur.line, "unknown tag '%.*s'", (int)FH_MIN(name.len, (size_t)60), name.ptr);
}

static int parse_statement(jparser *p, jnode **ret)
{
    static const struct {
        const char *name;
        int (*parse)(jparser *p, jnode **ret);
    } tags[] = {
        {"if", parse_if},
        {"for", parse_for},
        {"set", parse_set},
        {"macro", parse_macro},
        {"call", parse_call_block},
        {"filter", parse_filter_block},
        {"with", parse_with},
        {"generation", parse_generation},
        {"print", parse_print_tag},
        {"break", parse_loop_control},
        {"continue", parse_loop_control},
    };
    for (size_t i = 0; i < FH_COUNT(tags); i++)
        if (jinja_at_name(p, tags[i].name)) return tags[i].parse(p, ret);
    return unknown_tag(p);
}

int jinja_parse(jparser *p, jnodes *ret_body)
{
    int rc = jinja_lexer_next(&p->lexer, &p->cur);
    if (!rc && p->cur.type != T_EOF) rc = jinja_lexer_next(&p->lexer, &p->ahead);
    if (!rc) rc = parse_body(p, NULL, ret_body, NULL);
    if (rc || !p->unknown) return rc;
    fh_str name = jinja_text_of(p->unknown->value);
    return jinja_parser_fail(p, p->unknown->line, "no %s named '%.*s'", p->unknown->type == N_FILTER ? "filter" : "test",
                             (int)FH_MIN(name.len, (size_t)60), name.ptr);
}
