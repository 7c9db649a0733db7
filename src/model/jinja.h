/* What the files of the template interpreter share. Private to the interpreter; others see model/template.h.
 *
 * Source -> tokens (lexer) -> tree (parser) -> the same tree with every name bound to a slot (scope) -> text (exec, eval). The tree lives
 * in the template's arena and never changes after compilation; everything that a rendering makes lives in the arena of its jrun. Functions
 * return 0 or a negative code with the error set in the run (or parser); ret_ outputs are set on success only. */
#ifndef FH_MODEL_JINJA_H
#define FH_MODEL_JINJA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "json/json.h"
#include "model/template.h"

#define JINJA_COMPILE_BYTES ((size_t)128 << 20) /* tree of a template; a source of TEMPLATE_BYTES stays well below */
#define JINJA_RENDER_BYTES  ((size_t)256 << 20) /* values of one rendering */
#define JINJA_NATIVE_DEPTH  1500                /* nested calls of the interpreter's own functions; below 1 MB of stack */
#define JINJA_RANGE_MAX     100000              /* as the sandbox of jinja2 */

/* ---- values ---- */

typedef enum jkind {
    J_MISSING, /* an empty slot; never seen by a template */
    J_UNDEF,
    J_NONE,
    J_BOOL,
    J_INT,
    J_FLOAT,
    J_STR,
    J_LIST,
    J_TUPLE,
    J_DICT,
    J_VIEW,
    J_RANGE,
    J_ITER,
    J_NAMESPACE,
    J_LOOP,
    J_MACRO,
    J_METHOD,
    J_FUNCTION,
    J_CYCLER,
    J_JOINER,
    J_SLICE, /* only between the brackets of a subscript */
} jkind;

enum { J_MARKUP = 1 /* J_STR: escapes what it is joined with */, J_GROUP = 2 /* J_TUPLE: has .grouper and .list */ };

typedef struct jval jval;
typedef struct jrun jrun;
typedef struct jnode jnode;
typedef struct jiter jiter;

struct jval { /* passed by value; what it points to is immutable but for namespaces, iterators, loops, cyclers and joiners */
    uint8_t kind, flags;
    uint32_t len; /* J_STR: bytes */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s; /* J_STR: UTF-8, not NUL-terminated */
        const struct jlist *list;
        struct jdict *dict;
        const struct jview *view;
        const struct jrange *range;
        jiter *iter;
        struct jloop *loop;
        const struct jmacro *macro;
        const struct jmethod *method;
        const struct jfunction *function;
        struct jcycler *cycler;
        struct jjoiner *joiner;
        const struct jundef *undef; /* NULL: no reason known */
    } u;
};

typedef struct jlist {
    size_t count;
    jval *items;
} jlist;

typedef struct jentry {
    jval key, value;
} jentry;

typedef struct jdict {
    size_t count, cap;
    jentry *entries; /* in the order of insertion */
    uint32_t *table; /* index + 1 by hash; NULL while it is small */
    size_t table_size;
} jdict;

typedef enum jview_kind { J_KEYS, J_VALUES, J_ITEMS } jview_kind;

typedef struct jview {
    const jdict *dict;
    jview_kind what;
} jview;

typedef struct jrange {
    int64_t start, stop, step, count;
} jrange;

typedef struct jundef {
    enum { J_UNDEF_NAME, J_UNDEF_ATTR, J_UNDEF_ITEM, J_UNDEF_HINT, J_UNDEF_UNSAFE } why;
    fh_str name;      /* name, attribute, or the whole hint */
    const char *type; /* of the object that lacks it */
} jundef;

/* Fills *ret and returns 1, or 0 at the end, or a negative code. */
typedef int (*jnext)(jrun *r, jiter *it, jval *ret);

struct jiter {
    jnext next;
    const char *type; /* as Python names it */
    jval over;        /* what is iterated, if it is one value */
    size_t at;
    void *state;
};

typedef struct jcycler {
    const jlist *items;
    size_t at;
} jcycler;

typedef struct jjoiner {
    jval separator;
    bool used;
} jjoiner;

typedef struct jargs { /* of a call, evaluated */
    jval *pos;
    size_t count;
    fh_str *names; /* keyword arguments */
    jval *values;
    size_t named;
} jargs;

typedef int (*jcall)(jrun *r, jval self, const jargs *args, jval *ret);

typedef struct jfunction { /* a global, a filter, a test or a method */
    const char *name;
    jcall call;
} jfunction;

typedef struct jmethod {
    jval self;
    const jfunction *function;
} jmethod;

/* ---- tree ---- */

typedef enum jtype {
    /* expressions */
    N_CONST,
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT,
    N_COND,
    N_AND,
    N_OR,
    N_NOT,
    N_COMPARE,
    N_BINARY,
    N_NEG,
    N_POS,
    N_CONCAT,
    N_ATTR,
    N_ITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_NSREF,
    /* statements */
    N_DATA,
    N_PRINT,
    N_SET,
    N_SETBLOCK,
    N_IF,
    N_FOR,
    N_MACRO,
    N_CALLBLOCK,
    N_GENERATION,
    N_FILTERBLOCK,
    N_WITH,
    N_BREAK,
    N_CONTINUE,
} jtype;

typedef enum jop {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOTIN
} jop;

typedef struct jnodes {
    jnode **items;
    size_t count, cap;
} jnodes;

typedef struct jsignature { /* arguments as written */
    jnodes pos, values;
    fh_str *names;
    jnode *star, *star_star;
} jsignature;

typedef struct jload { /* how a slot gets its value when its scope is entered */
    enum { LOAD_RESOLVE, LOAD_ALIAS, LOAD_MISSING } how;
    uint32_t slot, from_slot, from_hops, name;
} jload;

typedef struct jscope {
    jload *loads;
    size_t count;
} jscope;

typedef struct jfor {
    jnode *target, *iter, *test;
    jnodes body, otherwise;
    bool recursive;
    jscope body_scope, test_scope, else_scope;
    jnode *test_target; /* the target again, bound in the scope of the test */
    int32_t loop_slot;  /* -1: the body never says loop */
    uint32_t slots;     /* recursive: of its own activation */
} jfor;

typedef struct jbody { /* of a macro, a call block, a generation block */
    fh_str name;       /* ptr NULL: anonymous */
    jnodes params;     /* N_NAME */
    jnodes defaults;   /* of the last parameters */
    jnodes body;
    jscope scope;
    uint32_t slots;
    int32_t caller_slot, kwargs_slot, varargs_slot; /* -1: not used, or a plain parameter */
    bool explicit_caller;
} jbody;

struct jnode {
    uint8_t type, op;
    bool negated;   /* N_TEST */
    uint16_t depth; /* of the tree below */
    uint32_t line;
    uint32_t name_id, hops, slot; /* N_NAME, N_NSREF, once bound */
    jval value;                   /* constant, data, name, attribute */
    jnode *a, *b, *c;
    jnodes items, more; /* elements, body; values, else body */
    uint8_t *ops;       /* N_COMPARE */
    union {
        jsignature *sig;
        jfor *loop;
        jbody *body;
        jscope *scope;
    } x;
    const jfunction *function; /* N_FILTER, N_TEST; NULL: unknown */
};

typedef struct jmacro {
    const jbody *body;
    struct jframe *closure;
} jmacro;

struct fh_template {
    fh_arena *arena;
    jnodes body;
    jscope scope;
    uint32_t slots;
    fh_str *names; /* of variables, by name_id */
    uint32_t name_count;
};

static inline int jinja_nomem(fh_err **err)
{
    fh_err_nomem(err);
    return FH_E_NOMEM;
}
static inline bool jinja_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* ---- lexer ---- */

typedef enum jtoken_type {
    T_EOF,
    T_DATA,
    T_VAR_BEGIN,
    T_VAR_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_ADD,
    T_SUB,
    T_MUL,
    T_DIV,
    T_FLOORDIV,
    T_MOD,
    T_POW,
    T_TILDE,
    T_LBRACKET,
    T_RBRACKET,
    T_LPAREN,
    T_RPAREN,
    T_LBRACE,
    T_RBRACE,
    T_EQ,
    T_NE,
    T_GT,
    T_GE,
    T_LT,
    T_LE,
    T_ASSIGN,
    T_DOT,
    T_COLON,
    T_PIPE,
    T_COMMA,
    T_SEMICOLON,
} jtoken_type;

typedef struct jtoken {
    jtoken_type type;
    uint32_t line;
    fh_str text; /* as written; of data and strings: what they mean */
    jval value;  /* numbers */
} jtoken;

typedef struct jlexer {
    fh_arena *arena;
    fh_err **err;
    const char *src; /* line ends normalised */
    size_t len, pos;
    uint32_t line;
    enum { LEX_ROOT, LEX_VAR, LEX_BLOCK, LEX_RAW } state;
    bool begin_pending; /* the text before a tag was handed out, the tag itself comes next */
    bool line_starting;
    char closers[FH_LIMIT_TEMPLATE_DEPTH];
    size_t open;
} jlexer;

int jinja_lexer_init(jlexer *l, fh_arena *arena, fh_str source, fh_err **err);
int jinja_lexer_next(jlexer *l, jtoken *ret);
int jinja_lex_string(jlexer *l, jtoken *ret);
int jinja_lex_number(jlexer *l, jtoken *ret, bool *ret_is_number);
const char *jinja_token_name(jtoken_type type);
void jinja_set_lex_fail(jlexer *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define jinja_lex_fail(l, ...) (jinja_set_lex_fail((l), __VA_ARGS__), FH_E_INVALID)

/* ---- parser ---- */

typedef struct jparser {
    jlexer lexer;
    jtoken cur, ahead;
    fh_arena *arena;
    fh_err **err;
    uint32_t depth, loops; /* nesting; loops that break may leave */
    bool soft;             /* inside an if: unknown filters are errors only when they run */
    const jnode *unknown;  /* the first that is an error anyway */
    struct fh_map *name_ids;
    fh_str *names;
    uint32_t name_count, name_cap;
} jparser;

int jinja_parse(jparser *p, jnodes *ret_body);
void jinja_set_parser_fail(jparser *p, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define jinja_parser_fail(p, line, ...) (jinja_set_parser_fail((p), (line), __VA_ARGS__), FH_E_INVALID)
int jinja_advance(jparser *p);
bool jinja_at_name(const jparser *p, const char *name);
int jinja_skip_name(jparser *p, const char *name, bool *ret_skipped); /* advances when it is there */
int jinja_expect(jparser *p, jtoken_type type, jtoken *ret);          /* ret may be NULL */
int jinja_node(jparser *p, jtype type, uint32_t line, jnode **ret);
int jinja_push(jparser *p, jnode *parent, jnodes *list, jnode *child);
int jinja_under(jparser *p, jnode *parent, const jnode *child); /* counts the depth; NULL child is fine */
int jinja_enter(jparser *p);
void jinja_leave(jparser *p);
uint32_t jinja_name_id(jparser *p, fh_str name); /* UINT32_MAX when memory is out */

int jinja_parse_expression(jparser *p, jnode **ret);
int jinja_parse_tuple(jparser *p, bool with_cond, const char *end_name, bool parenthesised, jnode **ret);
int jinja_parse_target(jparser *p, const char *end_name, bool with_namespace, jnode **ret);
int jinja_parse_filters(jparser *p, jnode *input, bool name_first, jnode **ret); /* input NULL: of a block */

/* ---- names ---- */

int jinja_bind(jparser *p, struct fh_template *t);

/* ---- running ---- */

typedef struct jframe { /* one activation: of the template, a macro, a recursive loop */
    struct jframe *outer;
    jval *slots;
} jframe;

typedef struct jloop {
    jiter it;
    jval over;              /* what len() would be asked of */
    int64_t index0, length; /* length -1: not known yet */
    jval before, current, after;
    const jlist *last_changed;
    int64_t depth0;
    const jnode *node; /* N_FOR, for the recursive call */
    jframe *outer;
} jloop;

struct jrun {
    const fh_template *t;
    const fh_template_time *now;
    const fh_json *variables;
    fh_arena *arena;
    fh_buf out; /* text made so far; captures take its tail */
    fh_err **err;
    int64_t steps;
    uint32_t depth, calls, line;
    jframe *frame;
    jval *globals;   /* by name_id: what the template was given; J_MISSING otherwise */
    jval block_text; /* what the filters of a set or filter block are applied to */
};

void jinja_set_fail(jrun *r, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define jinja_fail(r, code, ...) (jinja_set_fail((r), (code), __VA_ARGS__), (code)) /* its value is the code, for compilers too */
static inline int jinja_failed(const jrun *r) /* the code of an allocation that failed; the error is set */
{
    return fh_err_code(*r->err) == FH_E_NOMEM ? FH_E_NOMEM : FH_E_TOO_LARGE;
}
#define jinja_unsupported(r, what) jinja_fail((r), FH_E_UNSUPPORTED, "%s is not supported", (what))
/* Charges one step, and one more per 64 units of work. */
static inline int jinja_steps(jrun *r, size_t work)
{
    r->steps += 1 + (int64_t)(work / 64);
    if (r->steps <= FH_LIMIT_TEMPLATE_STEPS) return 0;
    return jinja_fail(r, FH_E_TOO_LARGE, "takes more than %d steps", FH_LIMIT_TEMPLATE_STEPS);
}
static inline int jinja_deeper(jrun *r)
{
    if (++r->depth <= JINJA_NATIVE_DEPTH) return 0;
    return jinja_fail(r, FH_E_TOO_LARGE, "nests too deep while running (values, or macros that call themselves)");
}
static inline void jinja_shallower(jrun *r)
{
    r->depth--;
}

void *jinja_alloc(jrun *r, size_t bytes); /* NULL with the error set */
void *jinja_array(jrun *r, size_t count, size_t bytes);

typedef enum jflow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE } jflow;
int jinja_exec(jrun *r, const jnodes *body, jflow *ret_flow);
int jinja_eval(jrun *r, const jnode *n, jval *ret);
int jinja_eval_args(jrun *r, const jsignature *sig, const jval *first, const jval *caller, jargs *ret);
int jinja_assign(jrun *r, const jnode *target, jval v);
int jinja_scope_enter(jrun *r, const jscope *scope);
int jinja_call(jrun *r, jval callee, const jargs *args, jval *ret);
int jinja_call_macro(jrun *r, const jmacro *m, const jargs *args, jval *ret);
int jinja_exec_recursive(jrun *r, const jnode *n, jframe *outer, jval over, int64_t depth0);
jval jinja_global(jrun *r, uint32_t name_id);

/* values */
static inline jval jinja_int(int64_t i)
{
    return (jval){.kind = J_INT, .u.i = i};
}
static inline jval jinja_bool(bool b)
{
    return (jval){.kind = J_BOOL, .u.b = b};
}
static inline jval jinja_float(double f)
{
    return (jval){.kind = J_FLOAT, .u.f = f};
}
static inline jval jinja_none(void)
{
    return (jval){.kind = J_NONE};
}
static inline jval jinja_str(fh_str s) /* borrowed */
{
    return (jval){.kind = J_STR, .len = (uint32_t)s.len, .u.s = s.ptr};
}
static inline jval jinja_cstr(const char *s)
{
    return jinja_str(fh_str_of(s));
}
static inline fh_str jinja_text_of(jval v) /* of a J_STR */
{
    return (fh_str){v.u.s, v.len};
}
static inline bool jinja_is_str(jval v, const char *s)
{
    return v.kind == J_STR && fh_str_eqs(jinja_text_of(v), s);
}
static inline bool jinja_is_number(jval v)
{
    return v.kind == J_INT || v.kind == J_FLOAT || v.kind == J_BOOL;
}
static inline int64_t jinja_as_int(jval v) /* of J_INT or J_BOOL */
{
    return v.kind == J_BOOL ? v.u.b : v.u.i;
}
static inline bool jinja_is_int(jval v)
{
    return v.kind == J_INT || v.kind == J_BOOL;
}
static inline double jinja_as_float(jval v) /* of a number */
{
    return v.kind == J_FLOAT ? v.u.f : (double)jinja_as_int(v);
}
const char *jinja_type(jval v); /* "str", "NoneType" */
bool jinja_truth(jval v);
int jinja_equal(jrun *r, jval a, jval b, bool *ret);
bool jinja_identical(jval a, jval b);
int jinja_less(jrun *r, jval a, jval b, jop op, bool *ret); /* op: OP_LT, OP_LE, OP_GT, OP_GE */
int jinja_contains(jrun *r, jval in, jval what, bool *ret);
int jinja_list(jrun *r, jkind kind, const jval *items, size_t count, jval *ret); /* copies */
int jinja_undef(jrun *r, int why, const char *type, fh_str name, jval *ret);
void jinja_set_undef_fail(jrun *r, jval v); /* the error of using it */
#define jinja_undef_fail(r, v) (jinja_set_undef_fail((r), (v)), FH_E_INVALID)
int jinja_from_json(jrun *r, const fh_json *v, jval *ret);

typedef struct jbuilder { /* a list that grows */
    jval *items;
    size_t count, cap;
} jbuilder;
int jinja_add(jrun *r, jbuilder *b, jval v);
int jinja_built(jrun *r, const jbuilder *b, jkind kind, jval *ret); /* takes the array */

int jinja_dict(jrun *r, size_t room, jval *ret);
int jinja_dict_put(jrun *r, jdict *d, jval key, jval value);
int jinja_dict_find(jrun *r, const jdict *d, jval key, const jval **ret); /* NULL when absent */
const jval *jinja_dict_get(const jdict *d, fh_str key);
int jinja_hash(jrun *r, jval v, uint64_t *ret);

/* iteration */
int jinja_iter(jrun *r, jval v, jiter *ret);
int jinja_iter_reversed(jrun *r, jval v, jiter *ret, bool *ret_can);
int jinja_iter_value(jrun *r, const jiter *it, jval *ret);
int jinja_lazy(jrun *r, jnext next, jval over, void *state, jval *ret); /* a generator */
int jinja_collect(jrun *r, jval v, jbuilder *b);
int jinja_length(jrun *r, jval v, int64_t *ret);
bool jinja_has_length(jval v);
bool jinja_is_iterable(jval v);

/* operators, attributes */
int jinja_binary(jrun *r, jop op, jval a, jval b, jval *ret);
int jinja_negate(jrun *r, jval v, bool minus, jval *ret);
int jinja_compare(jrun *r, jop op, jval a, jval b, bool *ret);
int jinja_attr(jrun *r, jval v, fh_str name, jval *ret);
int jinja_item(jrun *r, jval v, jval key, jval *ret);
int jinja_slice(jrun *r, jval v, jval from, jval to, jval step, jval *ret);
int jinja_own_attr(jrun *r, jval v, fh_str name, bool *ret_has, jval *ret); /* without looking into items */

/* text: jinja_mark, then write into r->out, then jinja_cut makes a string of what was written since */
static inline size_t jinja_mark(const jrun *r)
{
    return r->out.len;
}
int jinja_cut(jrun *r, size_t mark, jval *ret);
void jinja_drop(jrun *r, size_t mark);
int jinja_out_check(jrun *r);
int jinja_write(jrun *r, jval v); /* as str() */
int jinja_write_repr(jrun *r, jval v);
int jinja_to_str(jrun *r, jval v, jval *ret); /* str(); keeps markup only when keep is asked by soft */
int jinja_soft_str(jrun *r, jval v, jval *ret);
typedef struct jjson_style {
    bool ascii, sort, pretty;
    fh_str indent, item, key; /* key: between key and value */
} jjson_style;
int jinja_write_json(jrun *r, jval v, const jjson_style *style);
void jinja_float_repr(double v, char out[40]);
void jinja_write_escaped(jrun *r, fh_str s);
int jinja_escape(jrun *r, jval v, jval *ret); /* markup of it */
int jinja_parse_int(jrun *r, fh_str s, int64_t base, int64_t *ret, bool *ret_ok);
bool jinja_parse_float(fh_str s, double *ret);

/* arguments */
#define J_REST 16
/* Puts positional and named arguments where names says; absent ones are J_MISSING. The first required ones must be there. */
int jinja_args(jrun *r, const char *function, const jargs *args, const char *const *names, size_t count, size_t required, jval *ret);
int jinja_arg_int(jrun *r, jval v, int64_t *ret); /* a J_INT or J_BOOL, else a type error */
int jinja_arg_str(jrun *r, jval v, fh_str *ret);
void jinja_set_type_error(jrun *r, const char *want, jval v);
#define jinja_type_error(r, want, v) (jinja_set_type_error((r), (want), (v)), FH_E_INVALID)

/* tables */
const jfunction *jinja_find_filter(fh_str name);
const jfunction *jinja_find_test(fh_str name);
const jfunction *jinja_find_sequence_filter(fh_str name);
const jfunction *jinja_find_lazy_filter(fh_str name);
const jfunction *jinja_find_text_filter(fh_str name);
const jfunction *jinja_find_global(fh_str name);
const jfunction *jinja_find_str_method(fh_str name);
const jfunction *jinja_find_str_form(fh_str name); /* padding, questions */
const jfunction *jinja_find_other_method(jval self, fh_str name);
bool jinja_is_mutator(jval self, fh_str name);
const jfunction *jinja_lookup(const jfunction *table, size_t count, fh_str name);
int jinja_test(jrun *r, const jfunction *test, jval v, const jargs *args, bool *ret);
int jinja_sorted(jrun *r, jval *keys, jval *items, size_t count, bool reverse); /* stable; keys and items move together */
int jinja_dig(jrun *r, jval v, jval path, jval fallback, jval *ret);            /* attribute paths of filters: "a.b.0" */
int jinja_lower_key(jrun *r, jval v, jval *ret);                                /* strings in lower case, the rest as it is */

/* formatting */
int jinja_percent(jrun *r, jval format, jval values, jval *ret);
int jinja_format(jrun *r, jval format, const jargs *args, jval *ret);
int jinja_format_method(jrun *r, jval self, const jargs *args, jval *ret);
int jinja_format_value(jrun *r, jval v, fh_str text);
int jinja_strftime(jrun *r, fh_str format, jval *ret);

/* Unicode */
bool jinja_is_space(uint32_t cp);
bool jinja_is_printable(uint32_t cp);
bool jinja_is_name_start(uint32_t cp);
bool jinja_is_name_part(uint32_t cp);
bool jinja_is_upper(uint32_t cp);
bool jinja_is_lower(uint32_t cp);
bool jinja_is_title(uint32_t cp);
bool jinja_is_alpha(uint32_t cp);
bool jinja_is_decimal(uint32_t cp);
bool jinja_is_digit(uint32_t cp);
bool jinja_is_numeric(uint32_t cp);
size_t jinja_chars(fh_str s);                        /* code points */
size_t jinja_offset(fh_str s, size_t chars);         /* byte offset of a code point; s.len beyond the end */
fh_str jinja_strip(fh_str s, bool left, bool right); /* white space */
typedef enum jcase { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_CAPITAL, CASE_SWAP } jcase;
int jinja_recase(jrun *r, jval v, jcase how, jval *ret);
/* Line by line as str.splitlines: *at moves on; false at the end. The end of the line is not part of *ret but of *ret_with_end. */
bool jinja_next_line(fh_str s, size_t *at, fh_str *ret, fh_str *ret_with_end);

#endif
