/* Chat templates: the model's own Jinja template, run by our interpreter of the template language.
 *
 * Renders as `transformers` does: trim_blocks, lstrip_blocks, loop controls, tojson without HTML escapes, raise_exception, strftime_now.
 * What is not supported is an error that names it. Bounded in steps, depth, output and memory (limits TEMPLATE_*); no I/O. Pure: the time
 * for strftime_now is passed in. Threads: a compiled template is immutable; any number may render it at once. */
#ifndef FH_MODEL_TEMPLATE_H
#define FH_MODEL_TEMPLATE_H

#include "base/buf.h"
#include "json/json.h"

typedef struct fh_template fh_template;

int fh_template_compile(fh_template **ret, fh_str source, fh_err **err); /* errors name line and construct */
void fh_template_free(fh_template *t);
FH_DEFINE_AUTO(fh_template, fh_template_free);

typedef struct fh_template_time {
    int year, month, day, hour, minute, second; /* local time for strftime_now; month and day from 1 */
    int weekday, yearday;                       /* weekday from 0 = Monday, yearday from 1 */
} fh_template_time;

/* variables: a JSON object whose members are the template's globals: messages, tools, documents, add_generation_prompt, bos_token,
 * eos_token, ... A raise_exception in the template is FH_E_INVALID with its text. */
int fh_template_render(const fh_template *t, const fh_json *variables, const fh_template_time *now, fh_buf *out, fh_err **err);

#endif
