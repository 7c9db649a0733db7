/* The course of one fetch (see outside_private.h).
 *
 *   next_hop: the URL is read -> its host is resolved -> the addresses are judged -> connect to one of them -> headers -> body
 *      ^                                                     next one, when it cannot be reached <-'          |
 *      '------------------------------------------------------------------------- a redirect <----------------'
 *
 * What holds: of f->lookup and f->call at most one is set, and what is set will still say something; f->deadline runs all the time. */
#include "base/limits.h"
#include "outside_private.h"

#include <string.h>

#define TOTAL_NS   (FH_LIMIT_OUTSIDE_MS * FH_NS_PER_MS)
#define CONNECT_NS (FH_LIMIT_OUTSIDE_CONNECT_MS * FH_NS_PER_MS)
#define SILENCE_NS (FH_LIMIT_OUTSIDE_SILENCE_MS * FH_NS_PER_MS)

static void next_hop(fh_fetch *f);
static void connect_next(fh_fetch *f);

/* ---- ends ---- */

static void stop(fh_fetch *f)
{
    if (f->lookup) fh_lookup_cancel(fh_take(f->lookup));
    if (f->call) fh_http_call_cancel(fh_take(f->call));
}

void outside_fetch_end(fh_fetch *f)
{
    stop(f);
    fh_timer_fini(&f->deadline);
}

static void fail(fh_fetch *f, const char *what)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_INVALID, "%s", what);
    outside_finish(f, err);
}

static void on_deadline(void *arg)
{
    fail(arg, "it takes too long");
}

/* ---- the reply ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The URL of the next hop: absolute, or relative to this one's. What libcurl makes of it is read as strictly as the first. */
static bool resolve_reference(const fh_fetch *f, fh_str reference, fh_buf *out)
{
    FH_AUTO(ptr) char *text = fh_strndup(reference.ptr, reference.len);
    CURLU *u = curl_url();
    char *made = NULL;
    bool ok = text && u && !curl_url_set(u, CURLUPART_URL, fh_buf_cstr(&f->text), 0) && !curl_url_set(u, CURLUPART_URL, text, 0) &&
              !curl_url_get(u, CURLUPART_URL, &made, 0) && fh_buf_adds(out, made);
    curl_free(made);
    curl_url_cleanup(u);
    return ok;
}

static void follow(fh_fetch *f, fh_str location)
{
    FH_AUTO(buf) fh_buf next = FH_BUF(FH_LIMIT_OUTSIDE_URL_BYTES + 1);
    stop(f);
    if (++f->redirects > FH_LIMIT_OUTSIDE_REDIRECTS) {
        fail(f, "it is redirected too often");
    } else if (!location.len || !resolve_reference(f, location, &next)) {
        fail(f, "it is redirected to what is no URL");
    } else {
        fh_buf_fini(&f->text);
        f->text = next;
        next = (fh_buf){0};
        next_hop(f);
    }
}

static bool type_fits(const fh_fetch *f, fh_str type)
{
    if (!type.ptr || !f->spec.types) return true;
    for (const char *const *t = f->spec.types; *t; t++) {
        fh_str begin = fh_str_of(*t);
        if (type.len >= begin.len && fh_str_ieq((fh_str){type.ptr, begin.len}, begin)) return true;
    }
    return false;
}

static void got_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    fh_fetch *f = arg;
    fh_str length = fh_headers_find(headers, count, "content-length");
    uint64_t bytes = 0;
    if (is_redirect(status)) {
        follow(f, fh_headers_find(headers, count, "location"));
    } else if (status != 200) {
        fh_err *err = NULL;
        fh_err_set(&err, FH_E_INVALID, "its server answered with status %d", status);
        outside_finish(f, err);
    } else if (!type_fits(f, fh_headers_find(headers, count, "content-type"))) {
        fail(f, "its content is of another type");
    } else if (length.ptr && (!fh_str_u64(length, UINT64_MAX, &bytes) || bytes > f->spec.max_bytes)) {
        fail(f, "it is too large");
    }
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    fh_fetch *f = arg;
    fh_err *err = NULL;
    if (bytes > f->spec.max_bytes - f->body.len) {
        fail(f, "it is too large");
        return true;
    }
    f->counted += bytes;
    if (atomic_fetch_add(&f->outside->bytes, bytes) + bytes > FH_LIMIT_OUTSIDE_BYTES)
        fh_err_set(&err, FH_E_BUSY, "too much is being fetched at once");
    else if (!fh_buf_add(&f->body, data, bytes))
        fh_err_nomem(&err);
    if (err) outside_finish(f, err);
    return true;
}

static const char *what_failed(const fh_err *err)
{
    const char *reason = fh_err_reason_get(err);
    if (reason && strcmp(reason, FH_HTTP_BAD_CERTIFICATE) == 0) return "nobody whom we trust vouches for its server";
    if (fh_err_code(err) == FH_E_UNAVAILABLE) return "its server cannot be reached";
    return fh_err_code(err) == FH_E_TIMEOUT ? "its server is too slow" : "the connection to its server broke";
}

static void call_done(void *arg, int status, const fh_err *why)
{
    fh_fetch *f = arg;
    f->call = NULL;
    if (status) {
        outside_finish(f, NULL);
    } else if (fh_err_code(why) == FH_E_UNAVAILABLE && f->at < f->count) {
        connect_next(f);
    } else if (fh_err_code(why) == FH_E_NOMEM) {
        fh_err *err = NULL;
        fh_err_nomem(&err);
        outside_finish(f, err);
    } else {
        fail(f, what_failed(why));
    }
}

/* ---- a hop ---- */

static int start_call(fh_fetch *f, const char *url, fh_err **err)
{
    const fh_header headers[] = {{FH_STR("User-Agent"), FH_STR("freehold")}, {FH_STR("Accept"), fh_str_of(f->spec.accept)}};
    fh_http_call_spec spec = {.url = url,
                              .pin = &f->addresses[f->at++],
                              .ca_file = f->outside->ca_file,
                              .headers = headers,
                              .header_count = f->spec.accept ? 2 : 1,
                              .connect_timeout_ns = CONNECT_NS,
                              .idle_timeout_ns = SILENCE_NS,
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = call_done,
                              .arg = f};
    return fh_http_call_start(&f->call, f->outside->client, &spec, err);
}

static void connect_next(fh_fetch *f)
{
    fh_err *err = NULL;
    FH_AUTO(buf) fh_buf url = FH_BUF(FH_LIMIT_OUTSIDE_URL_BYTES + 16u);
    fh_outside_url_write(&f->url, &url);
    int rc = fh_buf_check(&url, &err, "the URL");
    if (rc == 0) rc = start_call(f, fh_buf_cstr(&url), &err);
    if (rc) outside_finish(f, err);
}

/* An answer that tells names inside a network from names that are none would be a way to list them. */
static void refuse(fh_fetch *f, const char *why)
{
    fh_err *err = NULL;
    if (f->url.is_address && why)
        fh_err_set(&err, FH_E_INVALID, "%s is not opened: the URL names %s", f->redirects ? "where it is redirected to" : "it", why);
    else if (why && strcmp(why, FH_OUTSIDE_BAD_PORT) == 0)
        fh_err_set(&err, FH_E_INVALID, "it is not opened: the URL names %s", why);
    else
        fh_err_set(&err, FH_E_INVALID, "its host has no public address");
    fh_err_hint(&err, "the operator of this server can allow it with --fetch-allow");
    outside_finish(f, err);
}

static void judge(fh_fetch *f, const fh_address *list, size_t count)
{
    const char *why = NULL;
    f->count = f->at = 0;
    for (size_t i = 0; i < count && f->count < OUTSIDE_ADDRESSES_MAX; i++)
        if (fh_outside_rule_allows(f->outside->rule, &f->url, &list[i], &why)) f->addresses[f->count++] = list[i];
    if (f->count)
        connect_next(f);
    else
        refuse(f, why);
}

static void resolved(void *arg, const fh_address *list, size_t count)
{
    fh_fetch *f = arg;
    f->lookup = NULL;
    judge(f, list, count);
}

static void next_hop(fh_fetch *f)
{
    fh_err *err = NULL;
    int rc = fh_outside_url_parse(&f->url, (fh_str){fh_buf_cstr(&f->text), f->text.len}, &err);
    if (rc == 0 && f->url.is_address) {
        judge(f, &f->url.address, 1);
        return;
    }
    if (rc == 0) rc = fh_resolver_ask(&f->lookup, f->outside->resolver, f->outside->loop, f->url.host, resolved, f, &err);
    if (rc == FH_E_INVALID && f->redirects) fh_err_add(&err, "it is redirected, and");
    if (rc) outside_finish(f, err);
}

void outside_fetch_begin(fh_fetch *f)
{
    fh_err *err = NULL;
    if (fh_timer_init(&f->deadline, f->outside->loop, on_deadline, f, &err)) {
        outside_finish(f, err);
        return;
    }
    fh_timer_start(&f->deadline, TOTAL_NS);
    next_hop(f);
}
