/* An error object as an HTTP body: OpenAI's shape for /v1, problem details (RFC 9457) for /api/v1. */
#include "private.h"

#include "base/limits.h"
#include <ctype.h>

static const char *type_of(int status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "insufficient_quota";
    case 403: return "permission_error";
    case 409: return "conflict_error";
    case 429: return "rate_limit_error";
    default: return status < 500 ? "invalid_request_error" : "server_error";
    }
}

/* OpenAI's codes where it has one; clients compare them. What the error itself gives as reason is one of them. */
static const char *code_of(const fh_err *err)
{
    if (fh_err_reason_get(err)) return fh_err_reason_get(err);
    switch (fh_err_code(err)) {
    case FH_E_UNAUTHENTICATED: return "invalid_api_key";
    case FH_E_BUDGET: return "insufficient_quota";
    case FH_E_BUSY: return "rate_limit_exceeded";
    case FH_E_INVALID: return NULL;
    default: return fh_code_name(fh_err_code(err));
    }
}

static void add_lower(fh_buf *out, const char *s)
{
    fh_buf_addc(out, '"');
    for (; *s; s++) fh_buf_addc(out, (char)tolower((unsigned char)*s));
    fh_buf_addc(out, '"');
}

static void add_member(fh_buf *out, const char *name, const char *value)
{
    fh_buf_addf(out, ",\"%s\":", name);
    fh_buf_add_json_string(out, value, strlen(value));
}

/* message, and the hint behind it: clients show this one string. */
static void add_message(fh_buf *out, const fh_err *err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(65536);
    fh_buf_adds(&text, fh_err_message(err));
    if (fh_err_hint_get(err)) fh_buf_addf(&text, "; %s", fh_err_hint_get(err));
    if (!fh_buf_ok(&text)) out->failed = true;
    fh_buf_add_json_string(out, fh_buf_cstr(&text), text.len);
}

bool fh_wire_error_write(fh_buf *out, const fh_err *err)
{
    const char *param = fh_err_param_get(err), *code = code_of(err);
    fh_buf_adds(out, "{\"error\":{\"message\":");
    add_message(out, err);
    fh_buf_addf(out, ",\"type\":\"%s\",\"param\":", type_of(fh_code_http(fh_err_code(err))));
    if (param)
        fh_buf_add_json_string(out, param, strlen(param));
    else
        fh_buf_adds(out, "null");
    fh_buf_adds(out, ",\"code\":");
    if (code)
        add_lower(out, code);
    else
        fh_buf_adds(out, "null");
    return fh_buf_adds(out, "}}");
}

bool fh_wire_error_is_whole(fh_str body)
{
    static const char *const members[] = {"param", "code", "message", "type"};
    FH_AUTO(json) fh_json *doc = NULL;
    if (fh_json_parse(&doc, body, FH_LIMIT_JSON_BODY_BYTES, NULL)) return false;
    const fh_json *error = fh_json_get(doc, "error");
    for (size_t i = 0; i < FH_COUNT(members); i++) {
        const fh_json *v = fh_json_get(error, members[i]);
        bool null = i < 2 && v && fh_json_kind_of(v) == FH_JSON_NULL;
        if (!null && fh_json_kind_of(v) != FH_JSON_STRING) return false;
    }
    return true;
}

bool fh_wire_problem_write(fh_buf *out, const fh_err *err, int status, const char *instance)
{
    int code = fh_err_code(err);
    fh_buf_addf(out, "{\"type\":\"about:blank\",\"status\":%d,\"retryable\":%s", status, fh_code_retryable(code) ? "true" : "false");
    add_member(out, "title", fh_code_title(code));
    add_member(out, "detail", fh_err_message(err));
    fh_buf_adds(out, ",\"code\":");
    add_lower(out, fh_code_name(code));
    if (fh_err_hint_get(err)) add_member(out, "hint", fh_err_hint_get(err));
    if (fh_err_param_get(err)) add_member(out, "param", fh_err_param_get(err));
    if (instance) add_member(out, "instance", instance);
    return fh_buf_addc(out, '}');
}
