/* An error as an HTTP reply, in the shape of the path that was asked. */
#include "base/clock.h"
#include "base/limits.h"
#include "gateway_private.h"
#include "wire/messages.h"
#include "wire/openai.h"
#include <stdio.h>

bool fh_gateway_owns(fh_str path)
{
    return fh_str_eqs(path, "/v1") || fh_str_starts(path, FH_STR("/v1/")) || fh_str_eqs(path, "/tokenize") ||
           fh_str_eqs(path, "/detokenize") || fh_str_eqs(path, "/apply-template");
}

static bool speaks_messages(fh_str path)
{
    return fh_str_eqs(path, "/v1/messages") || fh_str_starts(path, FH_STR("/v1/messages/"));
}

/* Retry-After in whole seconds, which may not be too few; the other is what OpenAI's clients look at first. */
static void add_retry(fh_http_req *req, int64_t retry_ns)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)((retry_ns + FH_NS_PER_S - 1) / FH_NS_PER_S));
    fh_http_reply_header(req, "Retry-After", text);
    snprintf(text, sizeof text, "%lld", (long long)((retry_ns + FH_NS_PER_MS - 1) / FH_NS_PER_MS));
    fh_http_reply_header(req, "retry-after-ms", text);
}

static void add_headers(fh_http_req *req, int code, int64_t retry_ns)
{
    if (code == FH_E_UNAUTHENTICATED) fh_http_reply_header(req, "WWW-Authenticate", "Bearer realm=\"freehold\"");
    bool again = code == FH_E_BUSY || code == FH_E_UNAVAILABLE || code == FH_E_NOMEM;
    if (retry_ns)
        add_retry(req, retry_ns);
    else if (again)
        fh_http_reply_header(req, "Retry-After", "2");
}

/* Anthropic's API has its own shape, one status that others do not have, and its own name for the request's id. */
static void reply_messages_error(fh_http_req *req, const fh_err *err, int64_t retry_ns)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 20);
    fh_wire_messages_error_write(&body, err, fh_http_req_id(req));
    add_headers(req, fh_err_code(err), retry_ns);
    fh_http_reply_header(req, "request-id", fh_http_req_id(req));
    fh_http_reply(req, fh_wire_messages_status(err), "application/json", fh_buf_cstr(&body), body.len);
}

void fh_gateway_reply_error_after(fh_http_req *req, const fh_err *err, int64_t retry_ns)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(1 << 20);
    if (speaks_messages(fh_http_req_path(req))) {
        reply_messages_error(req, err, retry_ns);
        return;
    }
    bool openai = fh_gateway_owns(fh_http_req_path(req));
    int code = fh_err_code(err);
    if (openai)
        fh_wire_error_write(&body, err);
    else
        fh_wire_problem_write(&body, err, fh_code_http(code), fh_http_req_id(req));
    add_headers(req, code, retry_ns);
    fh_http_reply(req, fh_code_http(code), openai ? "application/json" : "application/problem+json", fh_buf_cstr(&body), body.len);
}

void fh_gateway_reply_error(fh_http_req *req, const fh_err *err)
{
    fh_gateway_reply_error_after(req, err, 0);
}
