/* Reading calls that are whole (toolfmt_whole.c, toolfmt_python.c). */
#ifndef FH_MODEL_TOOLFMT_WHOLE_H
#define FH_MODEL_TOOLFMT_WHOLE_H

#include "toolfmt.h"

enum { TF_WHOLE_DEPTH = 32, TF_WHOLE_BYTES = 8 << 20 };

typedef struct tf_cursor {
    const fh_toolfmt_parser *p;
    fh_str s;       /* what is left */
    fh_buf out;     /* JSON of the value that is being read */
    fh_json *calls; /* owned: an array of [name, arguments as JSON text] */
} tf_cursor;

void tf_cursor_skip(tf_cursor *c); /* white space */
bool tf_cursor_take(tf_cursor *c, const char *text);
bool tf_cursor_take_after_space(tf_cursor *c, const char *text);
fh_str tf_cursor_word(tf_cursor *c, const char *more); /* letters, digits and those */
bool tf_cursor_put_bare(tf_cursor *c, fh_str word);    /* true, false, null in JSON's and Python's spelling, and numbers */
bool tf_cursor_add_call(tf_cursor *c, fh_str name);    /* with what is in out */

bool tf_python_calls(tf_cursor *c);

#endif
