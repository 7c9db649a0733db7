/* From a chat request to token ids, such that text from a stranger cannot become a special token. How: see prompt.c. */
#ifndef FH_ENGINE_PROMPT_H
#define FH_ENGINE_PROMPT_H

#include "engine/engine.h"
#include "model/template.h"
#include "model/toolfmt.h"
#include "model/vocab.h"
#include "wire/openai.h"

typedef struct fh_specials fh_specials; /* immutable; threads: any */
int fh_specials_new(fh_specials **ret, const fh_gguf *g, const fh_vocab *v, fh_err **err);
void fh_specials_free(fh_specials *s);
FH_DEFINE_AUTO(fh_specials, fh_specials_free);
const fh_specials *engine_specials(const fh_engine *e); /* borrowed */

typedef struct fh_prompt_source {
    const fh_specials *specials;
    const fh_vocab *vocab;
    const fh_template *chat_template;
    const fh_toolfmt *toolfmt;
    fh_template_time now;
    fh_buf *tail; /* gets the end of the rendered text; NULL: not wanted */
} fh_prompt_source;
/* Renders the request's messages with the model's template and encodes the result; appends to out. */
int fh_prompt_chat(const fh_prompt_source *p, const fh_wire_request *r, fh_tokens *out, fh_err **err);

#endif
