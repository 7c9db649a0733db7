/* Tokens to a tree: expressions. One function a level of precedence, lowest first, in the order of jinja2's parser. */
#include "jinja.h"

static int parse_unary(jparser *p, bool with_filters, jnode **ret);
static int parse_not(jparser *p, jnode **ret);
static int parse_primary(jparser *p, bool with_namespace, jnode **ret);

static int two(jparser *p, jtype type, jop op, uint32_t line, jnode *a, jnode *b, jnode **ret)
{
    jnode *n = NULL;
    int rc = jinja_node(p, type, line, &n);
    if (rc) return rc;
    n->op = (uint8_t)op;
    n->a = a;
    n->b = b;
    *ret = n;
    rc = jinja_under(p, n, a);
    return rc ? rc : jinja_under(p, n, b);
}

/* ---- binary operators ---- */

static const struct {
    uint8_t token, op;
} sums[] = {{T_ADD, OP_ADD}, {T_SUB, OP_SUB}}, products[] = {{T_MUL, OP_MUL}, {T_DIV, OP_DIV}, {T_FLOORDIV, OP_FLOORDIV}, {T_MOD, OP_MOD}},
  comparisons[] = {{T_EQ, OP_EQ}, {T_NE, OP_NE}, {T_LT, OP_LT}, {T_LE, OP_LE}, {T_GT, OP_GT}, {T_GE, OP_GE}};

#define FIND_OP(table, p, ret_op)                                                                                                          \
    ({                                                                                                                                     \
        bool found_ = false;                                                                                                               \
        for (size_t i_ = 0; i_ < FH_COUNT(table) && !found_; i_++)                                                                         \
            if ((found_ = table[i_].token == (p)->cur.type)) *(ret_op) = table[i_].op;                                                     \
        found_;                                                                                                                            \
    })

static int parse_pow(jparser *p, jnode **ret)
{
    int rc = parse_unary(p, true, ret);
    while (!rc && p->cur.type == T_POW) {
        uint32_t line = p->cur.line;
        jnode *right;
        rc = jinja_advance(p);
        if (!rc) rc = parse_unary(p, true, &right);
        if (!rc) rc = two(p, N_BINARY, OP_POW, line, *ret, right, ret);
    }
    return rc;
}

static int parse_product(jparser *p, jnode **ret)
{
    uint8_t op = 0;
    int rc = parse_pow(p, ret);
    while (!rc && FIND_OP(products, p, &op)) {
        uint32_t line = p->cur.line;
        jnode *right;
        rc = jinja_advance(p);
        if (!rc) rc = parse_pow(p, &right);
        if (!rc) rc = two(p, N_BINARY, (jop)op, line, *ret, right, ret);
    }
    return rc;
}

static int parse_concat(jparser *p, jnode **ret)
{
    jnode *n = NULL, *right;
    int rc = parse_product(p, ret);
    if (rc || p->cur.type != T_TILDE) return rc;
    rc = jinja_node(p, N_CONCAT, p->cur.line, &n);
    if (!rc) rc = jinja_push(p, n, &n->items, *ret);
    while (!rc && p->cur.type == T_TILDE) {
        rc = jinja_advance(p);
        if (!rc) rc = parse_product(p, &right);
        if (!rc) rc = jinja_push(p, n, &n->items, right);
    }
    *ret = n;
    return rc;
}

static int parse_sum(jparser *p, jnode **ret)
{
    uint8_t op = 0;
    int rc = parse_concat(p, ret);
    while (!rc && FIND_OP(sums, p, &op)) {
        uint32_t line = p->cur.line;
        jnode *right;
        rc = jinja_advance(p);
        if (!rc) rc = parse_concat(p, &right);
        if (!rc) rc = two(p, N_BINARY, (jop)op, line, *ret, right, ret);
    }
    return rc;
}

/* Moves over a comparison operator when there is one. */
static int take_comparison(jparser *p, uint8_t *ret_op, bool *ret_found)
{
    *ret_found = true;
    if (FIND_OP(comparisons, p, ret_op)) return jinja_advance(p);
    if (jinja_at_name(p, "in")) {
        *ret_op = OP_IN;
        return jinja_advance(p);
    }
    *ret_found = jinja_at_name(p, "not") && p->ahead.type == T_NAME && fh_str_eqs(p->ahead.text, "in");
    if (!*ret_found) return 0;
    *ret_op = OP_NOTIN;
    int rc = jinja_advance(p);
    return rc ? rc : jinja_advance(p);
}

static int push_op(jparser *p, jnode *n, uint8_t op)
{
    size_t count = n->items.count;
    uint8_t *ops = fh_arena_alloc(p->arena, count + 1); /* chains are short */
    if (!ops) return jinja_nomem(p->err);
    if (n->ops) memcpy(ops, n->ops, count);
    ops[count] = op;
    n->ops = ops;
    if (count < FH_LIMIT_TEMPLATE_DEPTH) return 0;
    return jinja_parser_fail(p, n->line, "a comparison has more than %d operators", FH_LIMIT_TEMPLATE_DEPTH);
}

/* a, then items compared by ops in a chain. */
static int parse_compare(jparser *p, jnode **ret)
{
    uint32_t line = p->cur.line;
    jnode *n = NULL, *right;
    uint8_t op = 0;
    bool found;
    int rc = parse_sum(p, ret);
    if (!rc) rc = take_comparison(p, &op, &found);
    while (!rc && found) {
        if (!n) {
            rc = jinja_node(p, N_COMPARE, line, &n);
            if (rc) return rc;
            n->a = *ret;
            rc = jinja_under(p, n, n->a);
        }
        if (!rc) rc = push_op(p, n, op);
        if (!rc) rc = parse_sum(p, &right);
        if (!rc) rc = jinja_push(p, n, &n->items, right);
        if (!rc) rc = take_comparison(p, &op, &found);
    }
    if (n) *ret = n;
    return rc;
}

static int parse_not(jparser *p, jnode **ret)
{
    if (!jinja_at_name(p, "not")) return parse_compare(p, ret);
    uint32_t line = p->cur.line;
    jnode *inner;
    int rc = jinja_enter(p);
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = parse_not(p, &inner);
    jinja_leave(p);
    return rc ? rc : two(p, N_NOT, OP_ADD, line, inner, NULL, ret);
}

static int parse_and(jparser *p, jnode **ret)
{
    int rc = parse_not(p, ret);
    while (!rc && jinja_at_name(p, "and")) {
        uint32_t line = p->cur.line;
        jnode *right;
        rc = jinja_advance(p);
        if (!rc) rc = parse_not(p, &right);
        if (!rc) rc = two(p, N_AND, OP_ADD, line, *ret, right, ret);
    }
    return rc;
}

static int parse_or(jparser *p, jnode **ret)
{
    int rc = parse_and(p, ret);
    while (!rc && jinja_at_name(p, "or")) {
        uint32_t line = p->cur.line;
        jnode *right;
        rc = jinja_advance(p);
        if (!rc) rc = parse_and(p, &right);
        if (!rc) rc = two(p, N_OR, OP_ADD, line, *ret, right, ret);
    }
    return rc;
}

/* a if b else c */
static int parse_cond(jparser *p, jnode **ret)
{
    bool soft = p->soft, has_if = false, has_else = false;
    const jnode *unknown = p->unknown;
    int rc = jinja_enter(p);
    if (!rc) rc = parse_or(p, ret);
    while (!rc && (rc = jinja_skip_name(p, "if", &has_if)) == 0 && has_if) {
        jnode *n = NULL, *test = NULL, *otherwise = NULL;
        p->soft = true;
        p->unknown = unknown; /* what stands before the if is looked up only when it runs */
        rc = parse_or(p, &test);
        if (!rc) rc = jinja_skip_name(p, "else", &has_else);
        if (!rc && has_else) rc = parse_cond(p, &otherwise);
        if (!rc) rc = two(p, N_COND, OP_ADD, (*ret)->line, *ret, test, &n);
        if (rc) break;
        n->c = otherwise;
        *ret = n;
        rc = jinja_under(p, n, otherwise);
    }
    p->soft = soft;
    jinja_leave(p);
    return rc;
}

int jinja_parse_expression(jparser *p, jnode **ret)
{
    return parse_cond(p, ret);
}

/* ---- calls, subscripts, filters, tests ---- */

static int push_name(jparser *p, jsignature *s, fh_str name)
{
    size_t count = s->values.count; /* the value is pushed next */
    fh_str *names = fh_arena_array(p->arena, count + 1, sizeof(*names));
    if (!names) return jinja_nomem(p->err);
    if (count) memcpy(names, s->names, count * sizeof(*names));
    names[count] = name;
    s->names = names;
    if (count < FH_LIMIT_TEMPLATE_DEPTH) return 0;
    return jinja_parser_fail(p, p->cur.line, "a call has more than %d named arguments", FH_LIMIT_TEMPLATE_DEPTH);
}

static int parse_keyword(jparser *p, jnode *n, jsignature *s)
{
    jnode *value;
    fh_str name = p->cur.text;
    for (size_t i = 0; i < s->values.count; i++)
        if (fh_str_eq(s->names[i], name))
            return jinja_parser_fail(p, p->cur.line, "keyword argument '%.*s' given twice", (int)FH_MIN(name.len, (size_t)60), name.ptr);
    int rc = push_name(p, s, name);
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = jinja_parse_expression(p, &value);
    return rc ? rc : jinja_push(p, n, &s->values, value);
}

static int parse_argument(jparser *p, jnode *n, jsignature *s)
{
    bool star = p->cur.type == T_MUL, star_star = p->cur.type == T_POW, named = p->cur.type == T_NAME && p->ahead.type == T_ASSIGN;
    if (s->star_star || (s->star && !star_star && !named) || (s->values.count && !star && !star_star && !named))
        return jinja_parser_fail(p, p->cur.line, "invalid order of arguments in a call");
    if (named) return parse_keyword(p, n, s);
    jnode *value;
    int rc = star || star_star ? jinja_advance(p) : 0;
    if (!rc) rc = jinja_parse_expression(p, &value);
    if (rc) return rc;
    if (star) s->star = value;
    if (star_star) s->star_star = value;
    return star || star_star ? jinja_under(p, n, value) : jinja_push(p, n, &s->pos, value);
}

static int parse_arguments(jparser *p, jnode *n)
{
    jsignature *s = fh_arena_alloc(p->arena, sizeof(*s));
    if (!s) return jinja_nomem(p->err);
    n->x.sig = s;
    if (p->cur.type != T_LPAREN) return 0;
    int rc = jinja_advance(p);
    bool first = true;
    while (!rc && p->cur.type != T_RPAREN) {
        if (!first) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc && !first && p->cur.type == T_RPAREN) break;
        if (!rc) rc = parse_argument(p, n, s);
        first = false;
    }
    return rc ? rc : jinja_expect(p, T_RPAREN, NULL);
}

static int parse_call(jparser *p, jnode *callee, jnode **ret)
{
    jnode *n = NULL;
    int rc = two(p, N_CALL, OP_ADD, p->cur.line, callee, NULL, &n);
    if (!rc) rc = parse_arguments(p, n);
    *ret = n;
    return rc;
}

/* Nothing, or an expression, up to ':' or the end of the subscript. */
static int parse_slice_part(jparser *p, jnode *n, jnode **ret)
{
    if (p->cur.type == T_COLON || p->cur.type == T_RBRACKET || p->cur.type == T_COMMA) return 0;
    int rc = jinja_parse_expression(p, ret);
    return rc ? rc : jinja_under(p, n, *ret);
}

static int parse_subscribed(jparser *p, jnode **ret)
{
    uint32_t line = p->cur.line;
    jnode *first = NULL, *n;
    int rc = p->cur.type == T_COLON ? 0 : jinja_parse_expression(p, &first);
    if (rc) return rc;
    *ret = first;
    if (p->cur.type != T_COLON) return 0;
    rc = two(p, N_SLICE, OP_ADD, line, first, NULL, &n);
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = parse_slice_part(p, n, &n->b);
    if (!rc && p->cur.type == T_COLON) {
        rc = jinja_advance(p);
        if (!rc) rc = parse_slice_part(p, n, &n->c);
    }
    *ret = n;
    return rc;
}

static int parse_brackets(jparser *p, jnode *object, jnode **ret)
{
    jnode *n = NULL, *tuple = NULL, *item;
    uint32_t line = p->cur.line;
    int rc = two(p, N_ITEM, OP_ADD, line, object, NULL, &n);
    if (!rc) rc = jinja_node(p, N_TUPLE, line, &tuple);
    if (!rc) rc = jinja_advance(p);
    while (!rc && p->cur.type != T_RBRACKET) {
        if (tuple->items.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc) rc = parse_subscribed(p, &item);
        if (!rc) rc = jinja_push(p, tuple, &tuple->items, item);
    }
    if (rc) return rc;
    n->b = tuple->items.count == 1 ? tuple->items.items[0] : tuple;
    *ret = n;
    rc = jinja_under(p, n, n->b);
    return rc ? rc : jinja_advance(p);
}

static int parse_dot(jparser *p, jnode *object, jnode **ret)
{
    jnode *n = NULL;
    int rc = two(p, N_ATTR, OP_ADD, p->cur.line, object, NULL, &n);
    if (!rc) rc = jinja_advance(p);
    if (rc) return rc;
    *ret = n;
    if (p->cur.type == T_NAME) {
        n->value = jinja_str(p->cur.text);
        return jinja_advance(p);
    }
    if (p->cur.type != T_INT) return jinja_parser_fail(p, p->cur.line, "expected a name or a number behind '.'");
    n->type = N_ITEM;
    rc = jinja_node(p, N_CONST, p->cur.line, &n->b);
    if (rc) return rc;
    n->b->value = p->cur.value;
    return jinja_advance(p);
}

static int parse_postfix(jparser *p, jnode **ret)
{
    int rc = 0;
    while (!rc) {
        if (p->cur.type == T_DOT)
            rc = parse_dot(p, *ret, ret);
        else if (p->cur.type == T_LBRACKET)
            rc = parse_brackets(p, *ret, ret);
        else if (p->cur.type == T_LPAREN)
            rc = parse_call(p, *ret, ret);
        else
            break;
    }
    return rc;
}

/* A name, or names with dots between them, as names of filters and tests may be. */
static int parse_dotted(jparser *p, fh_str *ret)
{
    jtoken t;
    int rc = jinja_expect(p, T_NAME, &t);
    if (rc) return rc;
    *ret = t.text;
    if (p->cur.type != T_DOT) return 0;
    return jinja_parser_fail(p, t.line, "no filter or test has a dotted name ('%.*s.')", (int)FH_MIN(t.text.len, (size_t)60), t.text.ptr);
}

/* An unknown filter or test is an error at once, unless an if decides whether it runs at all. */
static void check_known(jparser *p, const jnode *n)
{
    if (!n->function && !p->soft && !p->unknown) p->unknown = n;
}

int jinja_parse_filters(jparser *p, jnode *input, bool name_first, jnode **ret)
{
    int rc = 0;
    *ret = input;
    while (!rc && (p->cur.type == T_PIPE || name_first)) {
        jnode *n = NULL;
        fh_str name;
        if (!name_first) rc = jinja_advance(p);
        name_first = false;
        if (!rc) rc = two(p, N_FILTER, OP_ADD, p->cur.line, *ret, NULL, &n);
        if (!rc) rc = parse_dotted(p, &name);
        if (rc) break;
        n->value = jinja_str(name);
        n->function = jinja_find_filter(name);
        *ret = n;
        check_known(p, n);
        rc = parse_arguments(p, n);
    }
    return rc;
}

/* A test may take one argument without parentheses. */
static int parse_bare_argument(jparser *p, jnode *n)
{
    jtoken_type t = p->cur.type;
    bool begins = t == T_NAME || t == T_STRING || t == T_INT || t == T_FLOAT || t == T_LBRACKET || t == T_LBRACE;
    if (!begins || jinja_at_name(p, "else") || jinja_at_name(p, "or") || jinja_at_name(p, "and")) return 0;
    if (jinja_at_name(p, "is")) return jinja_parser_fail(p, p->cur.line, "tests cannot be chained with 'is'");
    jnode *value;
    int rc = parse_primary(p, false, &value);
    if (!rc) rc = parse_postfix(p, &value);
    return rc ? rc : jinja_push(p, n, &n->x.sig->pos, value);
}

static int parse_test(jparser *p, jnode **ret)
{
    jnode *n = NULL;
    fh_str name;
    int rc = two(p, N_TEST, OP_ADD, p->cur.line, *ret, NULL, &n);
    if (!rc) rc = jinja_advance(p);
    if (!rc) rc = jinja_skip_name(p, "not", &n->negated);
    if (!rc) rc = parse_dotted(p, &name);
    if (rc) return rc;
    n->value = jinja_str(name);
    n->function = jinja_find_test(name);
    *ret = n;
    bool bare = p->cur.type != T_LPAREN;
    check_known(p, n);
    rc = parse_arguments(p, n);
    return rc || !bare ? rc : parse_bare_argument(p, n);
}

static int parse_filters_and_tests(jparser *p, jnode **ret)
{
    int rc = 0;
    while (!rc) {
        if (p->cur.type == T_PIPE)
            rc = jinja_parse_filters(p, *ret, false, ret);
        else if (jinja_at_name(p, "is"))
            rc = parse_test(p, ret);
        else if (p->cur.type == T_LPAREN)
            rc = parse_call(p, *ret, ret);
        else
            break;
    }
    return rc;
}

static int parse_unary(jparser *p, bool with_filters, jnode **ret)
{
    bool minus = p->cur.type == T_SUB, sign = minus || p->cur.type == T_ADD;
    uint32_t line = p->cur.line;
    jnode *inner;
    int rc;
    if (sign) {
        rc = jinja_enter(p);
        if (!rc) rc = jinja_advance(p);
        if (!rc) rc = parse_unary(p, false, &inner);
        jinja_leave(p);
        if (!rc) rc = two(p, minus ? N_NEG : N_POS, OP_ADD, line, inner, NULL, ret);
    } else {
        rc = parse_primary(p, false, ret);
    }
    if (!rc) rc = parse_postfix(p, ret);
    return rc || !with_filters ? rc : parse_filters_and_tests(p, ret);
}

/* ---- primaries ---- */

static int constant(jparser *p, uint32_t line, jval v, jnode **ret)
{
    int rc = jinja_node(p, N_CONST, line, ret);
    if (!rc) (*ret)->value = v;
    return rc;
}

static int parse_name(jparser *p, bool with_namespace, jnode **ret)
{
    jtoken t = p->cur;
    int rc = jinja_advance(p);
    if (rc) return rc;
    if (fh_str_eqs(t.text, "true") || fh_str_eqs(t.text, "True")) return constant(p, t.line, jinja_bool(true), ret);
    if (fh_str_eqs(t.text, "false") || fh_str_eqs(t.text, "False")) return constant(p, t.line, jinja_bool(false), ret);
    if (fh_str_eqs(t.text, "none") || fh_str_eqs(t.text, "None")) return constant(p, t.line, jinja_none(), ret);
    bool ns = with_namespace && p->cur.type == T_DOT;
    rc = jinja_node(p, ns ? N_NSREF : N_NAME, t.line, ret);
    if (rc) return rc;
    (*ret)->value = jinja_str(t.text);
    if (!ns) return 0;
    jtoken attr = {0};
    rc = jinja_advance(p);
    if (!rc) rc = jinja_expect(p, T_NAME, &attr);
    if (!rc) rc = constant(p, t.line, jinja_str(attr.text), &(*ret)->b);
    return rc;
}

/* Strings that stand side by side are one. */
static int parse_string(jparser *p, jnode **ret)
{
    uint32_t line = p->cur.line;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_TEMPLATE_BYTES);
    fh_str first = p->cur.text;
    size_t count = 0;
    int rc = 0;
    for (; !rc && p->cur.type == T_STRING; count++, rc = jinja_advance(p))
        if (count || p->ahead.type == T_STRING) fh_buf_add(&text, p->cur.text.ptr, p->cur.text.len);
    if (rc) return rc;
    if (count > 1) {
        first = (fh_str){fh_buf_ok(&text) ? fh_arena_strndup(p->arena, fh_buf_cstr(&text), text.len) : NULL, text.len};
        if (!first.ptr) return jinja_nomem(p->err);
    }
    return constant(p, line, jinja_str(first), ret);
}

static int parse_list(jparser *p, jnode **ret)
{
    jnode *n = NULL, *item;
    int rc = jinja_node(p, N_LIST, p->cur.line, &n);
    if (!rc) rc = jinja_advance(p);
    while (!rc && p->cur.type != T_RBRACKET) {
        if (n->items.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc && p->cur.type == T_RBRACKET) break;
        if (!rc) rc = jinja_parse_expression(p, &item);
        if (!rc) rc = jinja_push(p, n, &n->items, item);
    }
    *ret = n;
    return rc ? rc : jinja_expect(p, T_RBRACKET, NULL);
}

static int parse_dict(jparser *p, jnode **ret)
{
    jnode *n = NULL, *item;
    int rc = jinja_node(p, N_DICT, p->cur.line, &n);
    if (!rc) rc = jinja_advance(p);
    while (!rc && p->cur.type != T_RBRACE) {
        if (n->items.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (!rc && p->cur.type == T_RBRACE) break;
        if (!rc) rc = jinja_parse_expression(p, &item);
        if (!rc) rc = jinja_push(p, n, &n->items, item);
        if (!rc) rc = jinja_expect(p, T_COLON, NULL);
        if (!rc) rc = jinja_parse_expression(p, &item);
        if (!rc) rc = jinja_push(p, n, &n->more, item);
    }
    *ret = n;
    return rc ? rc : jinja_expect(p, T_RBRACE, NULL);
}

static int parse_parenthesised(jparser *p, jnode **ret)
{
    int rc = jinja_advance(p);
    if (!rc) rc = jinja_parse_tuple(p, true, NULL, true, ret);
    return rc ? rc : jinja_expect(p, T_RPAREN, NULL);
}

static int parse_primary(jparser *p, bool with_namespace, jnode **ret)
{
    jtoken t = p->cur;
    int rc;
    if (t.type == T_NAME) return parse_name(p, with_namespace, ret);
    if (t.type == T_STRING) return parse_string(p, ret);
    if (t.type == T_LPAREN) return parse_parenthesised(p, ret);
    if (t.type == T_LBRACKET) return parse_list(p, ret);
    if (t.type == T_LBRACE) return parse_dict(p, ret);
    if (t.type != T_INT && t.type != T_FLOAT) return jinja_parser_fail(p, t.line, "unexpected %s", jinja_token_name(t.type));
    rc = constant(p, t.line, t.value, ret);
    return rc ? rc : jinja_advance(p);
}

/* ---- tuples, targets ---- */

static bool at_tuple_end(const jparser *p, const char *end_name)
{
    jtoken_type t = p->cur.type;
    return t == T_VAR_END || t == T_BLOCK_END || t == T_RPAREN || (end_name && jinja_at_name(p, end_name));
}

typedef enum tuple_of { OF_EXPRESSIONS, OF_UNCONDITIONAL, OF_TARGETS, OF_NAMESPACE_TARGETS } tuple_of;

static int parse_tuple_item(jparser *p, tuple_of of, jnode **ret)
{
    switch (of) {
    case OF_EXPRESSIONS: return parse_cond(p, ret);
    case OF_UNCONDITIONAL: return parse_or(p, ret);
    case OF_TARGETS: return parse_primary(p, false, ret);
    case OF_NAMESPACE_TARGETS: break;
    }
    return parse_primary(p, true, ret);
}

static int parse_items(jparser *p, tuple_of of, const char *end_name, bool parenthesised, jnode **ret)
{
    jnode *tuple = NULL, *item;
    bool is_tuple = false;
    int rc = jinja_node(p, N_TUPLE, p->cur.line, &tuple);
    while (!rc) {
        if (tuple->items.count) rc = jinja_expect(p, T_COMMA, NULL);
        if (rc || at_tuple_end(p, end_name)) break;
        rc = parse_tuple_item(p, of, &item);
        if (!rc) rc = jinja_push(p, tuple, &tuple->items, item);
        if (rc || p->cur.type != T_COMMA) break;
        is_tuple = true;
    }
    if (rc) return rc;
    *ret = tuple;
    if (is_tuple || (parenthesised && !tuple->items.count)) return 0;
    if (!tuple->items.count) return jinja_parser_fail(p, p->cur.line, "expected an expression, got %s", jinja_token_name(p->cur.type));
    *ret = tuple->items.items[0];
    return 0;
}

int jinja_parse_tuple(jparser *p, bool with_cond, const char *end_name, bool parenthesised, jnode **ret)
{
    return parse_items(p, with_cond ? OF_EXPRESSIONS : OF_UNCONDITIONAL, end_name, parenthesised, ret);
}

static int check_target(jparser *p, jnode *n, bool in_loop)
{
    if (n->type == N_NSREF) return 0;
    if (n->type == N_NAME) {
        if (jinja_is_str(n->value, "loop") && in_loop) return jinja_parser_fail(p, n->line, "the name 'loop' cannot be set in a loop");
        return 0;
    }
    if (n->type != N_TUPLE) return jinja_parser_fail(p, n->line, "cannot assign to this");
    for (size_t i = 0; i < n->items.count; i++) {
        int rc = check_target(p, n->items.items[i], in_loop);
        if (rc) return rc;
    }
    return 0;
}

int jinja_parse_target(jparser *p, const char *end_name, bool with_namespace, jnode **ret)
{
    int rc = parse_items(p, with_namespace ? OF_NAMESPACE_TARGETS : OF_TARGETS, end_name, false, ret);
    return rc ? rc : check_target(p, *ret, p->loops > 0 || end_name);
}
