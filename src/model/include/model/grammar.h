/* Grammars that hold a reply to a form: GBNF text (as llama.cpp documents it), JSON Schema, any JSON object.
 *
 * A grammar is a context-free language over bytes, compiled once for a vocabulary. Before each token it answers which tokens may come
 * (a bit mask for the sampler), so that what is generated is always the beginning of a text of the language, and the end token is allowed
 * exactly where such a text is whole. Its answers are remembered in the grammar and shared by all sequences that use it.
 *
 * Ending in time: a grammar knows for each point of a text how many tokens a shortest way to its end takes. When the tokens that are left
 * come near that number, tokens that lead too far away are not allowed: a document that can end within its budget ends.
 *
 * What is refused: left recursion, rules that can never end, sizes beyond the limits GRAMMAR_*; schemas that cannot be enforced or
 * satisfied (docs/STRUCTURED.md lists the keywords). An error names the line of the GBNF, or the keyword and its JSON pointer (param).
 *
 * Threads: fh_grammars and fh_grammar are shared (they lock); a state belongs to one sequence and one thread at a time. */
#ifndef FH_MODEL_GRAMMAR_H
#define FH_MODEL_GRAMMAR_H

#include "json/json.h"
#include "model/vocab.h"

/* ---- grammars of one vocabulary ---- */

typedef struct fh_grammars fh_grammars; /* the vocabulary's tokens by their bytes, and the compiled grammars (GRAMMAR_CACHE) */
/* logit_count: bits of a mask; tokens of the vocabulary beyond it, and logits beyond the vocabulary, are never allowed. v is borrowed. */
int fh_grammars_new(fh_grammars **ret, const fh_vocab *v, size_t logit_count, fh_err **err);
void fh_grammars_free(fh_grammars *c); /* after all that was got from it */
FH_DEFINE_AUTO(fh_grammars, fh_grammars_free);

typedef enum fh_grammar_kind {
    FH_GRAMMAR_GBNF,   /* text */
    FH_GRAMMAR_SCHEMA, /* schema */
    FH_GRAMMAR_OBJECT  /* any JSON object */
} fh_grammar_kind;

typedef struct fh_grammar_source {
    fh_grammar_kind kind;
    fh_str text;           /* FH_GRAMMAR_GBNF */
    fh_str start;          /* the rule of it that a text is; empty: root */
    const fh_json *schema; /* FH_GRAMMAR_SCHEMA */
    const char *param;     /* the request's field, for errors: "grammar", "response_format.json_schema.schema" */
    /* Lazy: anything may come until one of these texts (or the control token that is spelled so) was generated; the grammar describes what
     * follows it. Without trigger_required a reply may also end before. */
    const fh_str *triggers;
    size_t trigger_count;
    bool trigger_required;
} fh_grammar_source;

typedef struct fh_grammar fh_grammar;
/* Compiles, or finds what was compiled from the same source. *ret is a reference of the caller's. */
int fh_grammars_get(fh_grammars *c, const fh_grammar_source *s, fh_grammar **ret, fh_err **err);
fh_grammar *fh_grammar_ref(fh_grammar *g);
void fh_grammar_unref(fh_grammar *g); /* NULL is fine */
FH_DEFINE_AUTO(fh_grammar, fh_grammar_unref);

/* ---- where one sequence stands ---- */

typedef struct fh_grammar_state fh_grammar_state;
int fh_grammar_state_new(fh_grammar_state **ret, fh_grammar *g, fh_err **err); /* at the beginning; holds a reference */
int fh_grammar_state_dup(fh_grammar_state **ret, const fh_grammar_state *s, fh_err **err);
void fh_grammar_state_free(fh_grammar_state *s);
FH_DEFINE_AUTO(fh_grammar_state, fh_grammar_state_free);

/* Moves on; false (nothing changes) when the token or text may not come here. End tokens change nothing. */
bool fh_grammar_state_accept(fh_grammar_state *s, fh_token id);
bool fh_grammar_state_accept_text(fh_grammar_state *s, fh_str text);
bool fh_grammar_state_may_end(const fh_grammar_state *s);
bool fh_grammar_state_must_end(const fh_grammar_state *s); /* whole, and nothing may follow */
/* Fills mask [(logit_count + 63) / 64]: bit i set when token i may come. tokens_left counts this one too (UINT64_MAX: no bound): see
 * "Ending in time"; where no way fits any more, what leads nearest to an end is allowed. FH_E_INTERNAL when no token may come: the
 * vocabulary lacks bytes that the grammar wants, or the grammar needs more than GRAMMAR_* allow at this point. */
int fh_grammar_state_mask(fh_grammar_state *s, uint64_t tokens_left, uint64_t *mask, fh_err **err);
/* Makes the logits [count] of tokens that may not come -infinity. */
void fh_grammar_forbid(const uint64_t *mask, float *logits, size_t count);

/* ---- GBNF text in the making ---- */

/* Adds rules to a larger GBNF text: `rule` derives the JSON texts of the schema; the helper rules that it needs begin with `rule` and '-'.
 * rule: letters, digits and '-'. Errors: FH_E_INVALID with param = param, then the JSON pointer of the keyword at fault. */
int fh_gbnf_add_schema(fh_buf *out, const char *rule, const fh_json *schema, const char *param, fh_err **err);
/* `rule` derives any JSON object. */
int fh_gbnf_add_object(fh_buf *out, const char *rule, fh_err **err);
/* A literal: quoted, escaped. */
bool fh_gbnf_add_literal(fh_buf *out, fh_str text);

#endif
