/* The console's files, which are part of the binary: each with a policy that lets it load and reach nothing foreign. */
#include "server_private.h"
#include "web/assets.h"

static void add_policy(fh_http_req *req, const fh_web_asset *a)
{
    fh_http_reply_header(req, "Content-Security-Policy", FH_WEB_CSP);
    fh_http_reply_header(req, "X-Content-Type-Options", "nosniff");
    fh_http_reply_header(req, "Referrer-Policy", "no-referrer");
    fh_http_reply_header(req, "Cross-Origin-Opener-Policy", "same-origin");
    fh_http_reply_header(req, "Cross-Origin-Resource-Policy", "same-origin");
    fh_http_reply_header(req, "Cache-Control", a->cache_control);
    fh_http_reply_header(req, "ETag", a->etag);
    fh_http_reply_header(req, "Vary", "Accept-Encoding");
}

/* Is the word in the comma-separated list, not with q=0? */
static bool accepts(fh_str list, const char *word)
{
    while (list.len) {
        size_t end = fh_str_find(list, FH_STR(","));
        fh_str part = fh_str_trim((fh_str){list.ptr, end});
        fh_str name = fh_str_trim((fh_str){part.ptr, fh_str_find(part, FH_STR(";"))});
        if (fh_str_ieq(name, fh_str_of(word))) return fh_str_find(part, FH_STR("q=0")) + 3 != part.len;
        list = end == list.len ? (fh_str){NULL, 0} : (fh_str){list.ptr + end + 1, list.len - end - 1};
    }
    return false;
}

/* If-None-Match holds our tag, or is "*". */
static bool is_known(fh_http_req *req, const char *etag)
{
    fh_str known = fh_http_req_header(req, "if-none-match");
    return known.len && (fh_str_eqs(known, "*") || fh_str_find(known, fh_str_of(etag)) != known.len);
}

bool fh_static_reply(fh_http_req *req)
{
    fh_str path = fh_http_req_path(req);
    const fh_web_asset *a = fh_web_asset_find(path.ptr, path.len);
    if (!a || !fh_str_eqs(fh_http_req_method(req), "GET")) return false;
    add_policy(req, a);
    if (is_known(req, a->etag)) {
        fh_http_reply(req, 304, NULL, NULL, 0);
        return true;
    }
    bool gzip = a->gzip_bytes && accepts(fh_http_req_header(req, "accept-encoding"), "gzip");
    if (gzip) fh_http_reply_header(req, "Content-Encoding", "gzip");
    fh_http_reply(req, 200, a->content_type, gzip ? a->gzip_bytes : a->bytes, gzip ? a->gzip_length : a->length);
    return true;
}
