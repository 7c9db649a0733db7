/* One call: its request as options of libcurl, and the reply as it comes. Callbacks of libcurl run inside it: they only note and pass on.
 */
#include "private.h"

#include "base/clock.h"
#include "base/limits.h"
#include <stdio.h>

#define CONNECT_TIMEOUT_NS (5 * FH_NS_PER_S)
#define IDLE_TIMEOUT_NS    (600 * FH_NS_PER_S)
enum { HEADER_TEXT_BYTES = 4 * FH_LIMIT_HTTP_HEADER_BYTES };

/* What comes of a reply. */

bool fh_http_call_header(fh_http_call *call, fh_str name, fh_str value)
{
    if (call->header_count == FH_LIMIT_HTTP_HEADERS) return false;
    fh_header *h = &call->headers[call->header_count++];
    *h = (fh_header){{NULL, name.len}, {NULL, value.len}}; /* pointers once the text no longer moves */
    fh_buf_add(&call->header_text, name.ptr, name.len);
    return fh_buf_add(&call->header_text, value.ptr, value.len);
}

static bool add_line(fh_http_call *call, fh_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon) return true;
    fh_str name = {line.ptr, (size_t)(colon - line.ptr)};
    return fh_http_call_header(call, name, fh_str_trim((fh_str){colon + 1, line.len - name.len - 1}));
}

static void place_headers(fh_http_call *call)
{
    const char *p = fh_buf_cstr(&call->header_text);
    for (size_t i = 0; i < call->header_count; i++) {
        call->headers[i].name.ptr = p;
        call->headers[i].value.ptr = p += call->headers[i].name.len;
        p += call->headers[i].value.len;
    }
}

void fh_http_call_reply_begin(fh_http_call *call, int status)
{
    call->reply_status = status;
    call->header_count = 0;
    fh_buf_clear(&call->header_text);
}

void fh_http_call_headers_done(fh_http_call *call)
{
    call->status = call->reply_status;
    call->headers_done = true;
    place_headers(call);
    if (call->spec.on_headers) call->spec.on_headers(call->spec.arg, call->status, call->headers, call->header_count);
}

static void headers_complete(fh_http_call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->reply_status = (int)status;
    if (status >= 200) fh_http_call_headers_done(call);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    fh_http_call *call = arg;
    size_t bytes = size * count;
    fh_str line = fh_str_trim((fh_str){data, bytes});
    if (call->cancelled) return 0;
    if (call->headers_done) return bytes; /* trailers */
    fh_timer_start(&call->idle, call->idle_ns);
    if (line.len == 0) {
        headers_complete(call);
    } else if (fh_str_starts(line, FH_STR("HTTP/"))) {
        fh_http_call_reply_begin(call, 0);
    } else if (!add_line(call, line)) {
        call->fault = FH_E_UPSTREAM;
        return 0;
    }
    return (call->cancelled) ? 0 : bytes;
}

bool fh_http_call_data(fh_http_call *call, const char *data, size_t bytes)
{
    fh_timer_start(&call->idle, call->idle_ns);
    if (!call->spec.on_data || call->spec.on_data(call->spec.arg, data, bytes)) return true;
    call->paused = true;
    fh_timer_stop(&call->idle);
    return false;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    fh_http_call *call = arg;
    size_t bytes = size * count;
    if (call->cancelled) return 0;
    if (call->paused) return CURL_WRITEFUNC_PAUSE;
    fh_http_call_data(call, data, bytes); /* these bytes are taken, whatever it says; libcurl keeps the next ones */
    return (call->cancelled) ? 0 : bytes;
}

/* Starting. */

static bool is_loopback(const char *url)
{
    static const char *const prefixes[] = {"http://localhost",  "http://127.",  "http://[::1]",
                                           "https://localhost", "https://127.", "https://[::1]"};
    for (size_t i = 0; i < FH_COUNT(prefixes); i++) {
        if (strncmp(url, prefixes[i], strlen(prefixes[i])) == 0) return true;
    }
    return false;
}

/* One list says who may vouch for a server. libcurl keeps what it read from a file, which is 50 ms of work for a system's, from call to
 * call; but not where it looks into a folder too, as it does by default where a system has both. */
static CURLcode set_trust(fh_http_call *call, const fh_http_call_spec *s)
{
    CURLcode rc = CURLE_OK;
    if (s->ca_file || curl_version_info(CURLVERSION_NOW)->cainfo) rc = curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL);
#if LIBCURL_VERSION_NUM >= 0x075700
    if (rc == CURLE_OK) rc = curl_easy_setopt(call->easy, CURLOPT_CA_CACHE_TIMEOUT, (long)(FH_LIMIT_HTTP_TRUST_MS / 1000));
#endif
    return rc;
}

static CURLcode set_options(fh_http_call *call, const fh_http_call_spec *s)
{
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {{CURLOPT_PRIVATE, call},
                    {CURLOPT_URL, s->url},
                    {CURLOPT_ERRORBUFFER, call->curl_text},
                    {CURLOPT_PROTOCOLS_STR, s->pin ? "https" : "http,https"},
                    {CURLOPT_CONNECT_TO, call->connect_to},
                    {CURLOPT_HTTPHEADER, call->header_list},
                    {CURLOPT_UNIX_SOCKET_PATH, s->unix_path},
                    {CURLOPT_CAINFO, s->ca_file},
                    {CURLOPT_HEADERDATA, call},
                    {CURLOPT_WRITEDATA, call},
                    {CURLOPT_NOPROXY, s->unix_path || s->pin || is_loopback(s->url) ? "*" : NULL}};
    const int64_t connect_ns = call->connect_ns;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {{CURLOPT_NOSIGNAL, 1},
                   {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
                   {CURLOPT_FOLLOWLOCATION, 0},
                   {CURLOPT_TCP_NODELAY, 1},
                   {CURLOPT_TCP_KEEPALIVE, 1},
                   {CURLOPT_CONNECTTIMEOUT_MS, (long)((connect_ns + FH_NS_PER_MS - 1) / FH_NS_PER_MS)},
                   {CURLOPT_TIMEOUT_MS, (long)((s->total_timeout_ns + FH_NS_PER_MS - 1) / FH_NS_PER_MS)},
                   {CURLOPT_HTTP09_ALLOWED, 0},
                   {CURLOPT_FRESH_CONNECT, s->pin != NULL || s->once},
                   {CURLOPT_FORBID_REUSE, s->pin != NULL || s->once},
                   {CURLOPT_PATH_AS_IS, 1}};
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; rc == CURLE_OK && i < FH_COUNT(pointers); i++) {
        if (pointers[i].value) rc = curl_easy_setopt(call->easy, pointers[i].option, pointers[i].value);
    }
    for (size_t i = 0; rc == CURLE_OK && i < FH_COUNT(numbers); i++) rc = curl_easy_setopt(call->easy, numbers[i].option, numbers[i].value);
    if (rc == CURLE_OK) rc = curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
    return rc == CURLE_OK ? curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body) : rc;
}

static CURLcode set_method(fh_http_call *call, const fh_http_call_spec *s)
{
    const char *method = s->method ? s->method : "GET";
    CURLcode rc = CURLE_OK;
    if (strcmp(method, "HEAD") == 0) return curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    if (call->body) {
        rc = curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->body.len);
        if (rc == CURLE_OK) rc = curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body);
    }
    return rc == CURLE_OK ? curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method) : rc;
}

static bool append_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer) *list = longer;
    return longer != NULL;
}

static int build_headers(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    if (!append_header(&call->header_list, "Expect:")) return fh_err_nomem(err);
    if (call->body && !fh_headers_find(s->headers, s->header_count, "Content-Type").ptr &&
        !append_header(&call->header_list, "Content-Type:"))
        return fh_err_nomem(err);
    for (size_t i = 0; i < s->header_count; i++) {
        const fh_header *h = &s->headers[i];
        if (!fh_http_token_valid(h->name) || !fh_http_value_valid(h->value))
            return fh_err_set(err, FH_E_INVALID, "header %zu of a request to be sent is malformed", i);
        char *line = fh_asprintf(h->value.len ? "%.*s: %.*s" : "%.*s;%.*s", (int)h->name.len, h->name.ptr, (int)h->value.len, h->value.ptr);
        bool ok = line && append_header(&call->header_list, line);
        fh_free(line);
        if (!ok) return fh_err_nomem(err);
    }
    return 0;
}

/* Whatever host and port the URL has, the connection goes to this address; the port stays. */
static bool pin_address(fh_http_call *call, const fh_address *pin)
{
    char text[FH_ADDRESS_TEXT], line[FH_ADDRESS_TEXT + 8];
    if (!pin) return true;
    fh_address_write(pin, text);
    snprintf(line, sizeof line, fh_address_is_v4(pin) ? "::%s:" : "::[%s]:", text);
    return append_header(&call->connect_to, line);
}

/* For messages, which clients get too: the address without credentials and query, which may be secret, and without the path of a socket. */
static void describe_target(fh_http_call *call, const fh_http_call_spec *s)
{
    const char *scheme_end = strstr(s->url, "://"), *host = scheme_end ? scheme_end + 3 : s->url, *at = strpbrk(host, "@/?#");
    if (at && *at == '@') host = at + 1;
    size_t len = strcspn(host, "?#");
    snprintf(call->where, sizeof call->where, "%s %.*s", s->method ? s->method : "GET", (int)FH_MIN(len, (size_t)100),
             s->unix_path ? host + strcspn(host, "/?#") : host);
}

static int prepare_curl(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    call->easy = curl_easy_init();
    if (s->body.len)
        call->body = fh_strndup(s->body.ptr, s->body.len);
    else if (s->method && strcmp(s->method, "POST") == 0)
        call->body = fh_strdup("");
    if (!call->easy || (s->body.len && !call->body)) return fh_err_nomem(err);
    int rc = build_headers(call, s, err);
    if (rc == 0 && !pin_address(call, s->pin)) rc = fh_err_nomem(err);
    if (rc < 0) return rc;
    CURLcode cc = set_options(call, s);
    if (cc == CURLE_OK) cc = set_trust(call, s);
    if (cc == CURLE_OK) cc = set_method(call, s);
    if (cc == CURLE_OK) return 0;
    return fh_err_set(err, cc == CURLE_OUT_OF_MEMORY ? FH_E_NOMEM : FH_E_INVALID, "cannot prepare the request %s: %s", call->where,
                      curl_easy_strerror(cc));
}

int fh_http_call_prepare(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    call->spec = (fh_http_call_spec){.on_headers = s->on_headers, .on_data = s->on_data, .on_done = s->on_done, .arg = s->arg};
    call->idle_ns = s->idle_timeout_ns ? s->idle_timeout_ns : IDLE_TIMEOUT_NS;
    call->connect_ns = s->connect_timeout_ns ? s->connect_timeout_ns : CONNECT_TIMEOUT_NS;
    call->local = fh_local_serves(s);
    describe_target(call, s);
    fh_buf_init(&call->header_text, HEADER_TEXT_BYTES);
    call->headers = fh_calloc(FH_LIMIT_HTTP_HEADERS, sizeof *call->headers);
    if (!call->headers) return fh_err_nomem(err);
    return call->local ? fh_local_prepare(call, s, err) : prepare_curl(call, s, err);
}
