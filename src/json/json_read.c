/* Checked reads of object members: the right type and range, or an error that names the member. JSON null counts as absent. */
#include "json_private.h"

/* 1 when the member is there, 0 when it is absent and may be, else an error. */
static int find(const fh_json *o, const char *key, bool required, const fh_json **ret, fh_err **err)
{
    const fh_json *v = fh_json_get(o, key);
    if (fh_json_kind_of(v) != FH_JSON_NULL) {
        *ret = v;
        return 1;
    }
    if (!required) return 0;
    int rc = fh_err_set(err, FH_E_INVALID, "'%s' is missing", key);
    fh_err_param(err, "%s", key);
    return rc;
}

static int wrong_type(const char *key, const char *want, fh_err **err)
{
    int rc = fh_err_set(err, FH_E_INVALID, "'%s' must be %s", key, want);
    fh_err_param(err, "%s", key);
    return rc;
}

int fh_json_read_str(const fh_json *o, const char *key, bool required, fh_str *ret, fh_err **err)
{
    const fh_json *v = NULL;
    int rc = find(o, key, required, &v, err);
    if (rc <= 0) return rc;
    if (fh_json_kind_of(v) != FH_JSON_STRING) return wrong_type(key, "a string", err);
    *ret = fh_json_str(v);
    return 0;
}

int fh_json_read_i64(const fh_json *o, const char *key, bool required, int64_t min, int64_t max, int64_t *ret, fh_err **err)
{
    const fh_json *v = NULL;
    int rc = find(o, key, required, &v, err);
    if (rc <= 0) return rc;
    if (fh_json_kind_of(v) != FH_JSON_INT) return wrong_type(key, "an integer", err);
    int64_t n = fh_json_int(v, 0);
    if (n < min || n > max) {
        rc = fh_err_set(err, FH_E_INVALID, "'%s' is %lld; it must lie between %lld and %lld", key, (long long)n, (long long)min,
                        (long long)max);
        fh_err_param(err, "%s", key);
        return rc;
    }
    *ret = n;
    return 0;
}

int fh_json_read_f64(const fh_json *o, const char *key, bool required, double min, double max, double *ret, fh_err **err)
{
    const fh_json *v = NULL;
    int rc = find(o, key, required, &v, err);
    if (rc <= 0) return rc;
    fh_json_kind kind = fh_json_kind_of(v);
    if (kind != FH_JSON_REAL && kind != FH_JSON_INT) return wrong_type(key, "a number", err);
    double n = fh_json_num(v, 0);
    if (!(n >= min && n <= max)) {
        rc = fh_err_set(err, FH_E_INVALID, "'%s' is %g; it must lie between %g and %g", key, n, min, max);
        fh_err_param(err, "%s", key);
        return rc;
    }
    *ret = n;
    return 0;
}

int fh_json_read_bool(const fh_json *o, const char *key, bool required, bool *ret, fh_err **err)
{
    const fh_json *v = NULL;
    int rc = find(o, key, required, &v, err);
    if (rc <= 0) return rc;
    if (fh_json_kind_of(v) != FH_JSON_BOOL) return wrong_type(key, "true or false", err);
    *ret = fh_json_is_true(v);
    return 0;
}
