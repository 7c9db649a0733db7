/* Values to text. Our own writer, because jansson prints reals with seventeen digits: here a real is the shortest text that reads back as
 * the same number, and always looks like a real (1.0), so that its kind survives the round trip. */
#include "json_private.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct writer {
    fh_buf *out;
    bool pretty;
    unsigned depth;
} writer;

static int write_value(writer *w, const fh_json *v, fh_err **err);

static void write_real(fh_buf *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    char *comma = strchr(text, ','); /* in some locales */
    if (comma) *comma = '.';
    fh_buf_adds(out, text);
    if (!strpbrk(text, ".e")) fh_buf_adds(out, ".0");
}

static void new_line(writer *w)
{
    if (!w->pretty) return;
    fh_buf_addc(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++) fh_buf_adds(w->out, "  ");
}

static int write_array(writer *w, const fh_json *v, fh_err **err)
{
    for (size_t i = 0; i < fh_json_count(v); i++) {
        if (i) fh_buf_addc(w->out, ',');
        new_line(w);
        int rc = write_value(w, fh_json_at(v, i), err);
        if (rc) return rc;
    }
    return 0;
}

static int write_object(writer *w, const fh_json *v, fh_err **err)
{
    void *it = NULL;
    fh_str key;
    const fh_json *member;
    for (bool first = true; fh_json_next(v, &it, &key, &member); first = false) {
        if (!first) fh_buf_addc(w->out, ',');
        new_line(w);
        fh_buf_add_json_string(w->out, key.ptr, key.len);
        fh_buf_adds(w->out, w->pretty ? ": " : ":");
        int rc = write_value(w, member, err);
        if (rc) return rc;
    }
    return 0;
}

static int write_container(writer *w, const fh_json *v, bool object, fh_err **err)
{
    if (w->depth == JSON_WRITE_DEPTH) return fh_err_set(err, FH_E_INVALID, "JSON value nests deeper than %d levels", JSON_WRITE_DEPTH);
    fh_buf_addc(w->out, object ? '{' : '[');
    w->depth++;
    int rc = object ? write_object(w, v, err) : write_array(w, v, err);
    w->depth--;
    if (fh_json_count(v)) new_line(w);
    fh_buf_addc(w->out, object ? '}' : ']');
    return rc;
}

static int write_value(writer *w, const fh_json *v, fh_err **err)
{
    fh_str s = fh_json_str(v);
    switch (fh_json_kind_of(v)) {
    case FH_JSON_NULL: fh_buf_adds(w->out, "null"); break;
    case FH_JSON_BOOL: fh_buf_adds(w->out, fh_json_is_true(v) ? "true" : "false"); break;
    case FH_JSON_INT: fh_buf_addf(w->out, "%lld", (long long)fh_json_int(v, 0)); break;
    case FH_JSON_REAL: write_real(w->out, fh_json_num(v, 0)); break;
    case FH_JSON_STRING: fh_buf_add_json_string(w->out, s.ptr, s.len); break;
    case FH_JSON_ARRAY: return write_container(w, v, false, err);
    case FH_JSON_OBJECT: return write_container(w, v, true, err);
    }
    return 0;
}

static int write_document(const fh_json *v, bool pretty, fh_buf *out, fh_err **err)
{
    writer w = {.out = out, .pretty = pretty};
    int rc = write_value(&w, v, err);
    return rc ? rc : fh_buf_check(out, err, "JSON text");
}

int fh_json_write(const fh_json *v, fh_buf *out, fh_err **err)
{
    return write_document(v, false, out, err);
}

int fh_json_write_pretty(const fh_json *v, fh_buf *out, fh_err **err)
{
    return write_document(v, true, out, err);
}
