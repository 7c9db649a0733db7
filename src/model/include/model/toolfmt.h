/* What a model writes, told apart: answer, thought and tool calls, by the convention of the model's chat template.
 *
 * A format is found once per model from its template (fh_toolfmt_detect); a parser reads one reply as it is generated, in pieces cut
 * anywhere, also inside a marker or a character. What it reports does not depend on the cuts, but for how text is divided into events.
 * Nothing is lost: every byte of a reply is in an event, or is a marker, or white space beside one; what only looks like a call is answer.
 * Pure. Threads: a format is immutable and may be shared; a parser belongs to one thread at a time. */
#ifndef FH_MODEL_TOOLFMT_H
#define FH_MODEL_TOOLFMT_H

#include "base/buf.h"
#include "json/json.h"
#include "model/template.h"

typedef struct fh_toolfmt fh_toolfmt;
typedef struct fh_vocab fh_vocab; /* model/vocab.h */

/* ---- the format of a model ---- */

typedef struct fh_toolfmt_source {
    const fh_template *compiled; /* probed by rendering; NULL: a model without a template */
    fh_str source;               /* of the template */
    const fh_vocab *vocab;       /* may have markers of thoughts that the template does not name; NULL: none */
    fh_str bos, eos;
} fh_toolfmt_source;

/* Never fails for want of a known convention: then it is "generic" (the template is not asked to show tools; fh_toolfmt_messages does). */
int fh_toolfmt_detect(fh_toolfmt **ret, const fh_toolfmt_source *s, fh_err **err);
/* A family by its name in docs/TOOLS.md, for tests; FH_E_NOT_FOUND. */
int fh_toolfmt_named(fh_toolfmt **ret, fh_str family, fh_err **err);
void fh_toolfmt_free(fh_toolfmt *f);
FH_DEFINE_AUTO(fh_toolfmt, fh_toolfmt_free);

const char *fh_toolfmt_family(const fh_toolfmt *f);
size_t fh_toolfmt_families(void);
const char *fh_toolfmt_family_at(size_t i);
/* The template shows the tools that it is given, so that they are passed to it. */
bool fh_toolfmt_shows_tools(const fh_toolfmt *f);
/* Has a reply anything to be told apart, if it cannot hold calls? */
bool fh_toolfmt_has_markers(const fh_toolfmt *f);
/* Must a special token of this spelling be generated as text, because it is part of a marker? */
bool fh_toolfmt_wants(const fh_toolfmt *f, fh_str token);
/* Messages (fh_wire_template_messages) as this template takes them: arguments of calls as objects or as text; where it shows no calls, the
 * tools are explained in a system message and calls and results are written into contents. tools may be NULL. New reference. */
int fh_toolfmt_messages(const fh_toolfmt *f, const fh_json *messages, const fh_json *tools, fh_json **ret, fh_err **err);

/* ---- holding a reply to calls ---- */

typedef struct fh_toolfmt_want {
    const fh_json *tools; /* NULL: none */
    fh_str only;          /* the tool that is to be called; empty: any of them */
    bool required;        /* a tool must be called; without: it may */
    bool one;             /* no second call */
    fh_str prompt;        /* the rendered prompt, or its end */
    /* What an answer is held to: GBNF, and which rule of it; NULL: any text. Where calls are optional a reply is either. Beside tools names
     * of rules begin with "answer". */
    const fh_buf *answer;
    const char *answer_rule;
} fh_toolfmt_want;

typedef struct fh_toolfmt_grammar {
    fh_buf text;    /* owned: GBNF; empty: nothing is to be enforced */
    fh_str start;   /* the rule that it begins with; a literal */
    fh_str trigger; /* not empty: the grammar begins behind it (fh_grammar_source.triggers); borrowed from the format */
    bool required;  /* fh_grammar_source.trigger_required */
} fh_toolfmt_grammar;

/* The grammar of calls as the family writes them, arguments by the tools' schemas, and of the answer behind the markers that begin it. A
 * schema that cannot be enforced is an error for a tool that says "strict"; for others any JSON object may come. Where calls are optional
 * and their beginning can also be thought or answer, nothing is enforced. ret is the caller's to finish (fh_buf_fini of text), also after
 * an error. */
int fh_toolfmt_grammar_make(fh_toolfmt_grammar *ret, const fh_toolfmt *f, const fh_vocab *v, const fh_toolfmt_want *w, fh_err **err);

/* ---- reading a reply ---- */

typedef enum fh_toolfmt_kind {
    FH_TOOLFMT_CONTENT,    /* text: a piece of the answer */
    FH_TOOLFMT_REASONING,  /* text: a piece of the thought */
    FH_TOOLFMT_CALL_BEGIN, /* call, name; id when the model wrote one */
    FH_TOOLFMT_CALL_ARGS,  /* call; text: a fragment of its arguments' JSON */
    FH_TOOLFMT_CALL_END    /* call; complete: the arguments are a whole JSON document, and the call was closed */
} fh_toolfmt_kind;

typedef struct fh_toolfmt_event { /* borrowed until the sink returns; texts are whole characters */
    fh_toolfmt_kind kind;
    uint32_t call; /* from 0 */
    fh_str text, name, id;
    bool complete;
} fh_toolfmt_event;
typedef int fh_toolfmt_sink(void *ctx, const fh_toolfmt_event *e, fh_err **err); /* an error stops the parser, which returns it */

typedef struct fh_toolfmt_options {
    const fh_json *tools; /* of the request, borrowed while the parser lives; NULL: no calls, their markers are answer */
    fh_str prompt;        /* the rendered prompt, or its end: it may have opened the thought; borrowed during the call */
    uint32_t max_calls;   /* what looks like a call beyond it is answer; 0: TOOL_CALLS */
} fh_toolfmt_options;

typedef struct fh_toolfmt_parser fh_toolfmt_parser;
int fh_toolfmt_parser_new(fh_toolfmt_parser **ret, const fh_toolfmt *f, const fh_toolfmt_options *o, fh_toolfmt_sink *sink, void *ctx,
                          fh_err **err); /* f is borrowed */
void fh_toolfmt_parser_free(fh_toolfmt_parser *p);
FH_DEFINE_AUTO(fh_toolfmt_parser, fh_toolfmt_parser_free);
int fh_toolfmt_push(fh_toolfmt_parser *p, fh_str text, fh_err **err);
int fh_toolfmt_finish(fh_toolfmt_parser *p, fh_err **err); /* the reply is over: what was held back comes, an open call ends */
uint32_t fh_toolfmt_calls(const fh_toolfmt_parser *p);     /* begun so far */

#endif
