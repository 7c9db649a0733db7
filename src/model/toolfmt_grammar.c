/* GBNF of what a family's reply may be: calls, an answer of a given form. Markers are written as the vocabulary has them: what is a control
 * token stands as one, the rest as text. */
#include "toolfmt.h"

#include "model/grammar.h"

#include <stdio.h>

enum { GRAMMAR_TEXT = FH_LIMIT_GRAMMAR_BYTES, CONTROLS = 64 };

#define ANY_TEXT "[^\\x00]*"
#define BLANKS   "[ \\n]{0,2} " /* as the rule ws, which is there beside tools only */
#define START    "whole-reply"

typedef struct maker {
    const tf_family *f;
    const fh_vocab *v;
    const fh_toolfmt_want *w;
    fh_buf *out;
    fh_token controls[CONTROLS]; /* those whose spelling is part of a marker */
    size_t control_count;
} maker;

static void add(maker *m, const char *s)
{
    fh_buf_adds(m->out, s);
}

static void literal(maker *m, fh_str s)
{
    if (s.len) fh_gbnf_add_literal(m->out, s);
    fh_buf_addc(m->out, ' ');
}

static void text(maker *m, const char *s)
{
    literal(m, fh_str_of(s));
}

/* ---- markers ---- */

static void find_controls(maker *m, const fh_toolfmt *f)
{
    for (size_t i = 0; i < fh_vocab_size(m->v) && m->control_count < CONTROLS; i++)
        if (fh_vocab_is_control(m->v, (fh_token)i) && fh_toolfmt_wants(f, fh_vocab_piece(m->v, (fh_token)i)))
            m->controls[m->control_count++] = (fh_token)i;
}

/* The longest control token that s begins with. */
static fh_token control_at(const maker *m, fh_str s)
{
    fh_token best = FH_TOKEN_NONE;
    for (size_t i = 0; i < m->control_count; i++)
        if (fh_str_starts(s, fh_vocab_piece(m->v, m->controls[i])) &&
            (best == FH_TOKEN_NONE || fh_vocab_piece(m->v, m->controls[i]).len > fh_vocab_piece(m->v, best).len))
            best = m->controls[i];
    return best;
}

static void marker(maker *m, const char *marker)
{
    fh_str s = fh_str_of(marker);
    size_t from = 0;
    for (size_t i = 0; i < s.len;) {
        fh_token id = control_at(m, (fh_str){s.ptr + i, s.len - i});
        if (id == FH_TOKEN_NONE) {
            i++;
            continue;
        }
        literal(m, (fh_str){s.ptr + from, i - from});
        fh_buf_addf(m->out, "<[%d]> ", id);
        from = i += fh_vocab_piece(m->v, id).len;
    }
    literal(m, (fh_str){s.ptr + from, s.len - from});
}

static bool begins_with_control(const maker *m, const char *s)
{
    return s && control_at(m, fh_str_of(s)) != FH_TOKEN_NONE;
}

/* ---- arguments ---- */

static int object_rule(maker *m, const char *rule, const fh_json *function, fh_err **err)
{
    const fh_json *schema = fh_json_get(function, "parameters");
    size_t before = m->out->len;
    if (!schema) { /* no parameters at all: it takes none */
        fh_buf_addf(m->out, "%s ::= \"{}\"\n", rule);
        return 0;
    }
    if (!fh_json_count(schema)) return fh_gbnf_add_object(m->out, rule, err);
    if (fh_json_is_true(fh_json_get(function, "strict"))) return fh_gbnf_add_schema(m->out, rule, schema, "tools", err);
    int rc = fh_gbnf_add_schema(m->out, rule, schema, "tools", NULL);
    if (rc != FH_E_INVALID && rc != FH_E_UNSUPPORTED) return rc ? fh_err_nomem(err) : 0;
    m->out->len = before; /* what was written of the schema that cannot be enforced */
    return fh_gbnf_add_object(m->out, rule, err);
}

static bool is_required(const fh_json *schema, fh_str key)
{
    const fh_json *list = fh_json_get(schema, "required");
    for (size_t i = 0; i < fh_json_count(list); i++)
        if (fh_str_eq(key, fh_json_str(fh_json_at(list, i)))) return true;
    return false;
}

/* A value between tags: text that holds no closing tag, or JSON. */
static int value_rule(maker *m, const char *rule, const fh_json *schema, fh_err **err)
{
    size_t before = m->out->len;
    if (tf_value_type(schema) != TF_STRING) {
        int rc = fh_gbnf_add_schema(m->out, rule, schema, "tools", NULL);
        if (rc != FH_E_INVALID && rc != FH_E_UNSUPPORTED) return rc ? fh_err_nomem(err) : 0;
        m->out->len = before;
    }
    const char *values = begins_with_control(m, m->f->arg_close) ? ANY_TEXT : "([^<] | \"<\" [^/<])*";
    fh_buf_addf(m->out, "%s ::= %s\n", rule, values);
    return 0;
}

static void argument(maker *m, const char *rule, fh_str key, const fh_json *schema)
{
    const tf_family *f = m->f;
    bool string = tf_value_type(schema) == TF_STRING;
    marker(m, f->arg_open);
    literal(m, key);
    if (f->quote) marker(m, f->quote);
    if (f->quote && strstr(f->arg_open, "key=")) text(m, string ? " type=\"string\"" : " type=\"object\"");
    if (f->quote && strstr(f->arg_open, "DSML")) text(m, string ? " string=\"true\"" : " string=\"false\"");
    marker(m, f->arg_key_end);
    if (f->arg_value_open) add(m, "ws ");
    if (f->arg_value_open) marker(m, f->arg_value_open);
    if (f->flags & TF_NEWLINES) text(m, "\n");
    fh_buf_addf(m->out, "%s ", rule);
    if (f->flags & TF_NEWLINES) text(m, "\n");
    marker(m, f->arg_close);
    add(m, "ws ");
}

/* rule: the arguments as tags, in the schema's order. */
static int tags_rule(maker *m, const char *rule, const fh_json *function, fh_err **err)
{
    FH_AUTO(buf) fh_buf rules = FH_BUF(GRAMMAR_TEXT);
    const fh_json *schema = fh_json_get(function, "parameters"), *value;
    fh_buf *out = m->out;
    fh_str key;
    int rc = 0;
    size_t n = 0;
    fh_buf_addf(out, "%s ::= ws ", rule);
    for (void *it = NULL; rc == 0 && fh_json_next(fh_json_get(schema, "properties"), &it, &key, &value); n++) {
        char name[64];
        snprintf(name, sizeof name, "%s-%zu", rule, n);
        add(m, "( ");
        argument(m, name, key, value);
        add(m, is_required(schema, key) ? ") " : ")? ");
        m->out = &rules;
        rc = value_rule(m, name, value, err);
        m->out = out;
    }
    fh_buf_addc(out, '\n');
    fh_buf_add(out, rules.data ? rules.data : "", rules.len);
    return rc ? rc : fh_buf_check(&rules, err, "the grammar of tools");
}

/* ---- calls ---- */

static void json_call(maker *m, fh_str name, const char *args)
{
    FH_AUTO(buf) fh_buf quoted = FH_BUF(FH_LIMIT_TOOL_NAME_BYTES * 8);
    fh_buf_add_json_string(&quoted, name.ptr, name.len);
    fh_str json = {fh_buf_cstr(&quoted), quoted.len};
    text(m, "{");
    if (m->f->style == TF_KEYED) {
        literal(m, json);
        text(m, ": ");
    } else {
        fh_buf_clear(&quoted);
        fh_buf_addf(&quoted, "\"%s\": ", m->f->name_key ? m->f->name_key : "name");
        fh_buf_add_json_string(&quoted, name.ptr, name.len);
        fh_buf_addf(&quoted, ", \"%s\": ", m->f->args_key ? m->f->args_key : "arguments");
        literal(m, (fh_str){fh_buf_cstr(&quoted), quoted.len});
    }
    fh_buf_addf(m->out, "%s ", args);
    text(m, "}");
}

static void named_call(maker *m, fh_str name, const char *args)
{
    const tf_family *f = m->f;
    if (f->flags & TF_HARMONY) {
        text(m, " to=functions.");
        literal(m, name);
        marker(m, f->id_mark);
        text(m, "commentary json");
        marker(m, f->header_close);
    } else {
        if (f->id_end) add(m, "[a-zA-Z0-9]{9} ");
        if (f->id_end) marker(m, f->id_end);
        if (f->flags & TF_KIMI_ID) text(m, "functions.");
        literal(m, name);
        if (f->flags & TF_KIMI_ID) add(m, "\":\" [0-9]{1,4} ");
        marker(m, f->name_end);
    }
    fh_buf_addf(m->out, "%s ", args);
}

static void tags_call(maker *m, fh_str name, const char *args)
{
    literal(m, name);
    if (m->f->quote) marker(m, m->f->quote);
    if (m->f->quote && strstr(m->f->call_open, "tool=")) add(m, "\" index=\\\"\" [0-9]{1,3} \"\\\"\" ");
    if (m->f->name_end) marker(m, m->f->name_end);
    fh_buf_addf(m->out, "%s ", args);
}

static bool is_tags(const maker *m)
{
    return m->f->style == TF_TAGS;
}

static int tool_rules(maker *m, size_t i, const fh_json *function, fh_err **err)
{
    char args[32];
    fh_str name = fh_json_str(fh_json_get(function, "name"));
    snprintf(args, sizeof args, "args-%zu", i);
    fh_buf_addf(m->out, "tool-%zu ::= ", i);
    if (is_tags(m))
        tags_call(m, name, args);
    else if (m->f->style == TF_NAMED)
        named_call(m, name, args);
    else
        json_call(m, name, args);
    fh_buf_addc(m->out, '\n');
    return is_tags(m) ? tags_rule(m, args, function, err) : object_rule(m, args, function, err);
}

static int tools(maker *m, fh_err **err)
{
    size_t named = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(m->w->tools); i++) {
        const fh_json *function = fh_json_get(fh_json_at(m->w->tools, i), "function");
        if (m->w->only.len && !fh_str_eq(m->w->only, fh_json_str(fh_json_get(function, "name")))) continue;
        rc = tool_rules(m, i, function, err);
        named++;
    }
    if (!rc && !named) {
        rc = fh_err_set(err, FH_E_INVALID, "'tool_choice' names a function that is not among the tools");
        fh_err_param(err, "tool_choice");
    }
    if (rc) return rc;
    add(m, "any-tool ::= ");
    for (size_t i = 0, n = 0; i < fh_json_count(m->w->tools); i++) {
        const fh_json *function = fh_json_get(fh_json_at(m->w->tools, i), "function");
        if (m->w->only.len && !fh_str_eq(m->w->only, fh_json_str(fh_json_get(function, "name")))) continue;
        fh_buf_addf(m->out, n++ ? "| tool-%zu " : "tool-%zu ", i);
    }
    add(m, "\nws ::= [ \\n]{0,2}\n");
    return 0;
}

/* ---- the reply ---- */

/* One call between its markers. first: without the opening marker when it was the trigger, or the prompt ends with it. */
static void call(maker *m, bool open)
{
    const tf_family *f = m->f;
    bool json = !is_tags(m) && f->style != TF_NAMED, bare = f->flags & TF_BARE && !f->call_close;
    if (open && f->call_open && !bare) marker(m, f->call_open);
    add(m, json ? "ws any-tool ws " : "any-tool ");
    if (f->style == TF_NAMED && f->call_close) add(m, "ws ");
    if (f->call_close) marker(m, f->call_close);
}

/* All calls in one array. */
static void call_list(maker *m, bool open)
{
    const tf_family *f = m->f;
    if (open && f->call_open) marker(m, f->call_open);
    text(m, "[");
    add(m, m->w->one ? "any-tool " : "any-tool ( \", \" any-tool )* ");
    text(m, "]");
    if (f->call_close) add(m, "ws ");
    if (f->call_close) marker(m, f->call_close);
}

static void calls(maker *m, bool open)
{
    const tf_family *f = m->f;
    bool list = (f->flags & TF_LIST) || f->style == TF_KEYED || f->style == TF_PYTHON;
    bool begun = f->flags & (TF_FUNCTIONARY | TF_HARMONY); /* the prompt ends with what opens a call */
    if (open && f->section_open) marker(m, f->section_open);
    if (f->section_open) add(m, "ws ");
    if (list)
        call_list(m, open);
    else
        call(m, (open || f->section_open) && !begun);
    if (!list && !m->w->one && f->call_open && !(f->flags & TF_BARE && !f->call_close)) {
        add(m, "( ws ");
        call(m, true);
        add(m, ")* ");
    }
    if (f->section_close) add(m, "ws ");
    if (f->section_close) marker(m, f->section_close);
}

/* What may come before a call or an answer where messages have headers: the thought. */
static void headers(maker *m)
{
    const tf_family *f = m->f;
    add(m, "( ");
    if (f->flags & TF_HARMONY) marker(m, f->id_mark);
    text(m, f->flags & TF_HARMONY ? "analysis" : f->flags & TF_RECIPIENT ? " to=self" : "");
    marker(m, f->header_close ? f->header_close : f->think_open);
    add(m, ANY_TEXT " ");
    marker(m, f->drops[0] ? f->drops[0] : f->think_close);
    marker(m, f->header_open);
    text(m, "assistant");
    add(m, ")? ");
    if (!(f->flags & TF_RECIPIENT)) return;
    text(m, " to=");
    add(m, "[a-zA-Z0-9_.-]+ ");
    marker(m, f->header_close);
}

static bool prompt_ends(const maker *m, const char *marker)
{
    return marker && fh_str_ends(fh_str_trim(m->w->prompt), fh_str_trim(fh_str_of(marker)));
}

/* An answer's marker is text in some families, and then only comes behind a thought. */
static bool answer_is_marked(const maker *m)
{
    const char *open = m->f->answer_open;
    bool always = (m->f->flags & TF_ROLE_HEADERS) || begins_with_control(m, open);
    return open && !prompt_ends(m, open) && (always || prompt_ends(m, m->f->think_open));
}

static void answer(maker *m)
{
    const tf_family *f = m->f;
    if (f->flags & TF_HARMONY) {
        marker(m, f->id_mark);
        text(m, "final");
        marker(m, f->header_close);
    } else if (f->flags & TF_FUNCTIONARY) {
        text(m, "all");
        marker(m, f->name_end);
    } else if (answer_is_marked(m)) {
        marker(m, f->answer_open);
    }
    fh_buf_addf(m->out, "%s ", m->w->answer_rule);
}

static void calls_or_answer(maker *m)
{
    bool may_call = m->w->tools != NULL, may_answer = m->w->answer && !m->w->required;
    if (may_call && may_answer) add(m, "( ");
    if (may_call) calls(m, true);
    if (may_call && may_answer) add(m, "| ");
    if (may_answer) answer(m);
    if (may_call && may_answer) add(m, ") ");
}

static void root(maker *m, fh_toolfmt_grammar *ret)
{
    const tf_family *f = m->f;
    bool thinks = prompt_ends(m, f->think_open), control = begins_with_control(m, f->think_close);
    add(m, START " ::= ");
    ret->start = FH_STR(START);
    if (!m->w->required && !m->w->answer) {
        ret->trigger = fh_str_of(f->section_open ? f->section_open : f->call_open);
        calls(m, false);
    } else {
        if (f->header_open) headers(m);
        if (thinks && control) add(m, ANY_TEXT " ");
        if (thinks && control) marker(m, f->think_close);
        if (thinks && !control) ret->trigger = fh_str_of(f->think_close);
        ret->required = thinks && !control;
        if (thinks) add(m, BLANKS);
        calls_or_answer(m);
    }
    add(m, "\n");
}

/* Is the beginning of a call a marker that stands for nothing else? */
static bool may_be_lazy(const maker *m)
{
    const tf_family *f = m->f;
    bool thought = f->think_open && !(f->flags & TF_ENDS_THOUGHT);
    const char *first = f->section_open ? f->section_open : f->call_open;
    if (is_tags(m) || thought || !first || (f->flags & (TF_KNOWN_ONLY | TF_OR_JSON | TF_HARMONY))) return false;
    return control_at(m, fh_str_of(first)) == FH_TOKEN_NONE || fh_vocab_find(m->v, fh_str_of(first)) != FH_TOKEN_NONE;
}

static int no_calls(const fh_toolfmt *f, const fh_toolfmt_want *w, fh_err **err)
{
    if (w->required)
        fh_err_set(err, FH_E_UNSUPPORTED, "forcing a tool call is not supported for models of the family %s", f->f.name);
    else
        fh_err_set(err, FH_E_UNSUPPORTED, "tools beside a format of the answer are not supported for models of the family %s", f->f.name);
    fh_err_param(err, w->required ? "tool_choice" : "tools");
    return FH_E_UNSUPPORTED;
}

int fh_toolfmt_grammar_make(fh_toolfmt_grammar *ret, const fh_toolfmt *f, const fh_vocab *v, const fh_toolfmt_want *w, fh_err **err)
{
    *ret = (fh_toolfmt_grammar){.text = FH_BUF(GRAMMAR_TEXT)};
    maker m = {.f = &f->f, .v = v, .w = w, .out = &ret->text};
    find_controls(&m, f);
    if (!w->required && !w->answer && !may_be_lazy(&m)) return 0;
    if (w->tools && (w->required || w->answer) && (f->f.style == TF_NESTED || f->f.style == TF_BRACES)) return no_calls(f, w, err);
    if (w->answer) fh_buf_add(&ret->text, fh_buf_cstr(w->answer), w->answer->len); /* first: errors name its lines */
    if (w->answer) fh_buf_addc(&ret->text, '\n');
    root(&m, ret);
    int rc = w->tools ? tools(&m, err) : 0;
    return rc ? rc : fh_buf_check(&ret->text, err, "the grammar of the reply");
}
