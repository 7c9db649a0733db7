/* An error as an HTTP reply, in the shape of the path that was asked. */
#include "base/limits.h"
#include "gateway_private.h"
#include "wire/messages.h"
#include "wire/openai.h"

bool fh_gateway_owns(fh_str path)
{
    return fh_str_eqs(path, "/v1") || fh_str_starts(path, FH_STR("/v1/")) || fh_str_eqs(path, "/tokenize") ||
           fh_str_eqs(path, "/detokenize");
}

static bool speaks_messages(fh_str path)
{
    return fh_str_eqs(path, "/v1/messages") || fh_str_starts(path, FH_STR("/v1/messages/"));
}

static void add_headers(fh_http_req *req, int code)
{
    if (code == FH_E_UNAUTHENTICATED) fh_http_reply_header(req, "WWW-Authenticate", "Bearer realm=\"freehold\"");
    if (code == FH_E_BUSY || code == FH_E_UNAVAILABLE || code == FH_E_NOMEM) fh_http_reply_header(req, "Retry-After", "2");
}

/* Anthropic's API has its own shape, one status that others do not have, and its own name for the request's id. */
static void reply_messages_error(fh_http_req *req, const fh_err *err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 20);
    fh_wire_messages_error_write(&body, err, fh_http_req_id(req));
    add_headers(req, fh_err_code(err));
    fh_http_reply_header(req, "request-id", fh_http_req_id(req));
    fh_http_reply(req, fh_wire_messages_status(err), "application/json", fh_buf_cstr(&body), body.len);
}

void fh_gateway_reply_error(fh_http_req *req, const fh_err *err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 20);
    if (speaks_messages(fh_http_req_path(req))) {
        reply_messages_error(req, err);
        return;
    }
    bool openai = fh_gateway_owns(fh_http_req_path(req));
    int code = fh_err_code(err);
    if (openai)
        fh_wire_error_write(&body, err);
    else
        fh_wire_problem_write(&body, err, fh_code_http(code), fh_http_req_id(req));
    add_headers(req, code);
    fh_http_reply(req, fh_code_http(code), openai ? "application/json" : "application/problem+json", fh_buf_cstr(&body), body.len);
}
