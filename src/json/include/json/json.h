/* JSON through jansson, behind a narrow API with limits: document size, depth (JSON_DEPTH), no duplicate keys, no NUL in keys. Values are
 * reference counted and, once shared between threads, must not change. Object members keep the order of the text. Integers are int64; reals
 * are finite. */
#ifndef FH_JSON_JSON_H
#define FH_JSON_JSON_H

#include "base/buf.h"
#include "base/str.h"

typedef struct json_t fh_json;

typedef enum fh_json_kind {
    FH_JSON_NULL,
    FH_JSON_BOOL,
    FH_JSON_INT,
    FH_JSON_REAL,
    FH_JSON_STRING,
    FH_JSON_ARRAY,
    FH_JSON_OBJECT
} fh_json_kind;

/* Errors: FH_E_TOO_LARGE over max_bytes, FH_E_INVALID with line and column. */
int fh_json_parse(fh_json **ret, fh_str text, size_t max_bytes, fh_err **err);
fh_json *fh_json_ref(fh_json *v);
void fh_json_unref(fh_json *v);              /* NULL is fine */
static inline void fh_auto_json(fh_json **v) /* FH_AUTO(json) fh_json *v = NULL; */
{
    fh_json_unref(*v);
}

fh_json_kind fh_json_kind_of(const fh_json *v);                     /* NULL pointer counts as FH_JSON_NULL */
const fh_json *fh_json_get(const fh_json *object, const char *key); /* borrowed; NULL when absent or not an object */
size_t fh_json_count(const fh_json *v);                             /* of an array or object */
const fh_json *fh_json_at(const fh_json *array, size_t i);
/* Iterates an object in order: void *it = NULL; while (fh_json_next(o, &it, &key, &value)) ... */
bool fh_json_next(const fh_json *object, void **it, fh_str *ret_key, const fh_json **ret_value);
fh_str fh_json_str(const fh_json *v); /* {NULL,0} if not a string; borrowed */
bool fh_json_is_true(const fh_json *v);
int64_t fh_json_int(const fh_json *v, int64_t otherwise);
double fh_json_num(const fh_json *v, double otherwise); /* ints too */

/* Checked member reads: absent leaves *ret as it is and returns 0 (unless required); a wrong type or range is FH_E_INVALID with param =
 * key. JSON null counts as absent. */
int fh_json_read_str(const fh_json *o, const char *key, bool required, fh_str *ret, fh_err **err);
int fh_json_read_i64(const fh_json *o, const char *key, bool required, int64_t min, int64_t max, int64_t *ret, fh_err **err);
int fh_json_read_f64(const fh_json *o, const char *key, bool required, double min, double max, double *ret, fh_err **err);
int fh_json_read_bool(const fh_json *o, const char *key, bool required, bool *ret, fh_err **err);

/* Building. Setters take the value (also when they fail) and return false when memory is out or value is NULL, so that calls nest:
 * fh_json_set(o, "a", fh_json_new_int(1)). */
fh_json *fh_json_new_object(void);
fh_json *fh_json_new_array(void);
fh_json *fh_json_new_str(fh_str s);       /* broken UTF-8 becomes U+FFFD */
fh_json *fh_json_new_cstr(const char *s); /* NULL gives JSON null */
fh_json *fh_json_new_int(int64_t v);
fh_json *fh_json_new_real(double v);
fh_json *fh_json_new_bool(bool v);
fh_json *fh_json_new_null(void);
bool fh_json_set(fh_json *object, const char *key, fh_json *value);
bool fh_json_append(fh_json *array, fh_json *value);
/* Compact text, member order kept; appends. */
int fh_json_write(const fh_json *v, fh_buf *out, fh_err **err);
int fh_json_write_pretty(const fh_json *v, fh_buf *out, fh_err **err); /* two blanks of indentation */

#endif
