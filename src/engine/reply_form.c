/* What a reply is held to, as a grammar: calls of tools, a format of the answer, either, or nothing. The schema or grammar of the client is
 * looked at here for the first time: what cannot be enforced is refused with its place in the request. */
#include "serve_private.h"

#include "base/limits.h"

/* GBNF of the answer alone; a client's own begins at its root. */
static int answer_text(const fh_wire_request *r, fh_buf *out, const char **ret_rule, fh_err **err)
{
    *ret_rule = r->format == FH_WIRE_FORMAT_GRAMMAR ? "root" : "answer";
    if (r->format == FH_WIRE_FORMAT_SCHEMA) return fh_gbnf_add_schema(out, "answer", r->schema, r->format_param, err);
    if (r->format == FH_WIRE_FORMAT_OBJECT) return fh_gbnf_add_object(out, "answer", err);
    fh_buf_add(out, r->grammar.ptr, r->grammar.len);
    return fh_buf_check(out, err, "the grammar");
}

static int check_combination(const fh_wire_request *r, fh_err **err)
{
    bool own = r->format == FH_WIRE_FORMAT_GRAMMAR;
    if (r->format == FH_WIRE_FORMAT_TEXT || !(r->continue_final || (own && r->tools))) return 0;
    fh_err_set(err, FH_E_INVALID,
               r->continue_final ? "an answer that is held to a format cannot go on from a message"
                                 : "an answer that is held to a grammar cannot be combined with tools");
    if (!r->continue_final) fh_err_hint(err, "use a JSON schema, or 'tool_choice': \"none\"");
    fh_err_param(err, "%s", r->continue_final ? "continue_final_message" : r->format_param);
    return FH_E_INVALID;
}

static int compile(fh_engine *e, const fh_wire_request *r, const fh_toolfmt_grammar *g, fh_grammar **ret, fh_err **err)
{
    fh_grammar_source s = {.kind = FH_GRAMMAR_GBNF,
                           .text = {fh_buf_cstr(&g->text), g->text.len},
                           .start = g->start,
                           .param = r->format_param ? r->format_param : "tools",
                           .triggers = &g->trigger,
                           .trigger_count = g->trigger.len > 0,
                           .trigger_required = g->required};
    int rc = g->text.len ? fh_grammars_get(fh_engine_grammars(e), &s, ret, err) : 0;
    return rc && r->format == FH_WIRE_FORMAT_SCHEMA ? fh_err_add(err, "the schema as a grammar") : rc;
}

/* A chat: the template may have begun a thought, and has a form for calls. */
static int of_chat(fh_engine *e, const fh_wire_request *r, fh_str prompt, const fh_buf *answer, const char *rule, fh_grammar **ret,
                   fh_err **err)
{
    fh_toolfmt_want w = {.tools = r->tools,
                         .only = r->must_name,
                         .required = r->must_call,
                         .one = r->one_call,
                         .prompt = prompt,
                         .answer = rule ? answer : NULL,
                         .answer_rule = rule};
    fh_toolfmt_grammar g;
    int rc = fh_toolfmt_grammar_make(&g, fh_engine_toolfmt(e), fh_engine_vocab(e), &w, err);
    if (!rc) rc = compile(e, r, &g, ret, err);
    fh_buf_fini(&g.text);
    return rc;
}

int serve_reply_form(fh_engine *e, const fh_wire_request *r, fh_str prompt, fh_grammar **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf answer = FH_BUF(FH_LIMIT_GRAMMAR_BYTES);
    const char *rule = NULL;
    bool held = r->format != FH_WIRE_FORMAT_TEXT;
    int rc = check_combination(r, err);
    if (!rc && held) rc = answer_text(r, &answer, &rule, err);
    if (rc || (!held && !r->tools)) return rc;
    if (r->kind == FH_WIRE_CHAT) return of_chat(e, r, prompt, &answer, rule, ret, err);
    fh_toolfmt_grammar g = {.text = answer, .start = fh_str_of(rule)};
    return compile(e, r, &g, ret, err);
}
