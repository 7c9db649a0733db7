/* Pages of other origins, when the operator lists them (--cors-origin): they may call the OpenAI and Anthropic API with a key of theirs,
 * never the control plane. Without the flag nothing here answers, and a browser lets no such page read anything. Fetch standard, "CORS
 * protocol". */
#include "server_private.h"

#include <stdio.h>

static bool is_listed(const fh_server *s, fh_str origin)
{
    const char *const *list = s->config->cors_origins;
    for (size_t i = 0; origin.len && list && list[i]; i++)
        if (strcmp(list[i], "*") == 0 || fh_str_eqs(origin, list[i])) return true;
    return false;
}

bool fh_cors_allows(const fh_server *s, fh_http_req *req)
{
    char text[256];
    fh_str origin = fh_http_req_header(req, "origin");
    if (!fh_gateway_owns(fh_http_req_path(req)) || origin.len >= sizeof text || !is_listed(s, origin)) return false;
    snprintf(text, sizeof text, "%.*s", (int)origin.len, origin.ptr);
    fh_http_reply_header(req, "Access-Control-Allow-Origin", text);
    fh_http_reply_header(req, "Access-Control-Expose-Headers", "*, x-request-id, retry-after");
    fh_http_reply_header(req, "Vary", "Origin");
    return true;
}

bool fh_cors_preflight(fh_http_req *req)
{
    char text[1024];
    fh_str headers = fh_http_req_header(req, "access-control-request-headers");
    if (!fh_str_eqs(fh_http_req_method(req), "OPTIONS") || !fh_http_req_header(req, "access-control-request-method").len) return false;
    snprintf(text, sizeof text, "%.*s", headers.len < sizeof text ? (int)headers.len : 0, headers.len ? headers.ptr : "");
    fh_http_reply_header(req, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    if (text[0]) fh_http_reply_header(req, "Access-Control-Allow-Headers", text);
    fh_http_reply_header(req, "Access-Control-Max-Age", "600");
    fh_http_reply(req, 204, NULL, NULL, 0);
    return true;
}
