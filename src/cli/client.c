/* The command line's side of the HTTP API. */
#include "client.h"
#include "net/http_client.h"
#include "net/sse.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPLY_BYTES_MAX = 64 << 20, EVENT_BYTES_MAX = 8 << 20, KEY_BYTES_MAX = 200 };

const char *fh_cli_env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

bool fh_client_named(const fh_cli *c)
{
    return fh_cli_has(c, "server") || fh_cli_env("FREEHOLD_URL");
}

/* The address of a server that listens there; who listens on all addresses is reached through loopback. */
static bool url_of_listen(const char *listen, char *out, size_t out_size)
{
    static const struct {
        const char *all, *one;
    } places[] = {{"0.0.0.0:", "127.0.0.1:"}, {"[::]:", "[::1]:"}, {"", ""}};
    size_t i = 0;
    while (strncmp(listen, places[i].all, strlen(places[i].all)) != 0) i++;
    return snprintf(out, out_size, "http://%s%s", places[i].one, listen + strlen(places[i].all)) < (int)out_size;
}

/* Flag, then environment, then where a server listens by default. */
static bool find_url(const fh_cli *c, char *out, size_t out_size)
{
    const char *listen = fh_cli_env("FREEHOLD_LISTEN"), *url = fh_cli_text(c, "server", fh_cli_env("FREEHOLD_URL"));
    if (!url) return url_of_listen(listen ? listen : FH_CLI_LISTEN, out, out_size);
    size_t len = strlen(url);
    while (len && url[len - 1] == '/') len--;
    return snprintf(out, out_size, "%.*s", (int)FH_MIN(len, out_size), url) < (int)out_size;
}

static int read_key(const char *path, fh_cli_client *ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(KEY_BYTES_MAX);
    int rc = fh_file_read(path, KEY_BYTES_MAX, &text, err);
    if (rc) {
        fh_err_add(err, "the key file cannot be read");
        fh_err_hint(err, "the server's first start made a key: give its file with --key-file or FREEHOLD_KEY_FILE");
        return rc;
    }
    fh_str key = fh_str_trim((fh_str){fh_buf_cstr(&text), text.len});
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return fh_err_set(err, FH_E_INVALID, "%s holds no key: it must be one line, fh_...", path);
    snprintf(ret->authorization, sizeof ret->authorization, "Bearer %.*s", (int)key.len, key.ptr);
    explicit_bzero(text.data, text.len);
    return 0;
}

static bool default_key_path(char *out, size_t out_size)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && config[0]) return snprintf(out, out_size, "%s/freehold/key", config) < (int)out_size;
    return home && snprintf(out, out_size, "%s/.config/freehold/key", home) < (int)out_size;
}

bool fh_client_is_private(const char *url)
{
    struct in_addr v4;
    char host[64];
    if (strncmp(url, "https://", 8) == 0) return true;
    const char *at = url + (strncmp(url, "http://", 7) == 0 ? 7 : 0);
    size_t whole = strcspn(at, "/?#\\"), len = at[0] == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/?#\\");
    if (len > whole || len >= sizeof host || memchr(at, '@', whole)) return false;
    memcpy(host, at, len);
    host[len] = '\0';
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* The default file may be absent: then the server says that a key is wanted. */
static int find_key(const fh_cli *c, fh_cli_client *ret, fh_err **err)
{
    char path[1024];
    const char *variable = fh_cli_env("FREEHOLD_KEY_FILE"),
               *named = c->verb->own_key_file ? variable : fh_cli_text(c, "key-file", variable);
    if (named) return read_key(named, ret, err);
    if (!default_key_path(path, sizeof path)) return 0;
    if (!fh_client_is_private(ret->url)) {
        if (access(path, F_OK) != 0) return 0;
        fh_err_set(err, FH_E_USAGE, "the key in %s is not sent in clear to %s", path, ret->url);
        fh_err_hint(err, "come through https or ssh -L; or say with --key-file or FREEHOLD_KEY_FILE which key that server may have");
        return FH_E_USAGE;
    }
    fh_err *absent = NULL;
    int rc = read_key(path, ret, &absent);
    if (rc == FH_E_NOT_FOUND) rc = 0;
    if (rc) fh_err_move(err, &absent);
    fh_err_free(absent);
    return rc;
}

int fh_client_open(const fh_cli *c, fh_cli_client *ret, fh_err **err)
{
    *ret = (fh_cli_client){.ca_file = fh_cli_text(c, "ca-file", fh_cli_env("FREEHOLD_CA_FILE"))};
    bool fits = find_url(c, ret->url, sizeof ret->url);
    if (!fits || (strncmp(ret->url, "http://", 7) != 0 && strncmp(ret->url, "https://", 8) != 0)) {
        fh_err_set(err, FH_E_USAGE, "'%.128s' is no server address", ret->url);
        fh_err_hint(err, "it looks like http://127.0.0.1:8470");
        return FH_E_USAGE;
    }
    return find_key(c, ret, err);
}

static int code_named(fh_str name)
{
    static const struct {
        int code;
        const char *name;
    } codes[] = {
#define FH_CODE_NAME(name, code, ...) {code, #name},
        FH_ERR_LIST(FH_CODE_NAME)
#undef FH_CODE_NAME
    };
    for (size_t i = 0; i < FH_COUNT(codes); i++)
        if (fh_str_ieq(name, fh_str_of(codes[i].name))) return codes[i].code;
    return 0;
}

static int code_of_status(int status)
{
    static const int codes[] = {
#define FH_CODE_ONLY(name, code, ...) code,
        FH_ERR_LIST(FH_CODE_ONLY)
#undef FH_CODE_ONLY
    };
    for (size_t i = 0; i < FH_COUNT(codes); i++)
        if (fh_code_http(codes[i]) == status) return codes[i];
    return status >= 500 ? FH_E_UPSTREAM : FH_E_INVALID;
}

/* What a server that refused says, as our error: RFC 9457 or OpenAI's shape. */
static int refusal(int status, fh_str body, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    fh_json_parse(&doc, body, REPLY_BYTES_MAX, NULL);
    const fh_json *openai = fh_json_get(doc, "error");
    fh_str said = fh_json_str(openai ? fh_json_get(openai, "message") : fh_json_get(doc, "detail"));
    int code = code_named(fh_json_str(fh_json_get(doc, "code")));
    if (!code) code = code_of_status(status);
    fh_str hint = fh_json_str(fh_json_get(doc, "hint"));
    if (said.len)
        fh_err_set(err, code, "%.*s", (int)said.len, said.ptr);
    else
        fh_err_set(err, code, "the server answered %d %s", status, fh_http_reason(status));
    if (hint.len) fh_err_hint(err, "%.*s", (int)hint.len, hint.ptr);
    return code;
}

static int unreachable(const fh_cli_client *s, int rc, fh_err **err)
{
    fh_err_add(err, "no answer from %s", s->url);
    if (rc == FH_E_TIMEOUT)
        fh_err_hint(err, "is that the right address, and does its machine answer? --server or FREEHOLD_URL names another");
    else if (rc == FH_E_UPSTREAM && strncmp(s->url, "https://", 8) == 0)
        fh_err_hint(err, "if its certificate is not known here, --ca-file or FREEHOLD_CA_FILE names who vouches for it");
    else if (rc == FH_E_UNAVAILABLE || rc == FH_E_UPSTREAM)
        fh_err_hint(err, "is the server running? `freehold serve` or `make up` starts it; --server or FREEHOLD_URL names another");
    return rc == FH_E_UPSTREAM ? FH_E_UNAVAILABLE : rc;
}

typedef struct request {
    char url[2048];
    fh_header headers[3];
    fh_buf body;
    fh_http_call_spec spec;
} request;

static int request_init(request *r, const fh_cli_client *s, const char *method, const char *path, const fh_json *body, fh_err **err)
{
    *r = (request){.body = FH_BUF(REPLY_BYTES_MAX)};
    size_t n = 0;
    snprintf(r->url, sizeof r->url, "%s%s", s->url, path);
    if (s->authorization[0]) r->headers[n++] = (fh_header){FH_STR("Authorization"), fh_str_of(s->authorization)};
    if (body) r->headers[n++] = (fh_header){FH_STR("Content-Type"), FH_STR("application/json")};
    r->spec = (fh_http_call_spec){.method = method, .url = r->url, .ca_file = s->ca_file, .headers = r->headers, .header_count = n};
    int rc = body ? fh_json_write(body, &r->body, err) : 0;
    r->spec.body = (fh_str){r->body.data, r->body.len};
    return rc;
}

static int call_raw(const fh_cli_client *s, const char *method, const char *path, const fh_json *body, fh_buf *reply, fh_err **err)
{
    request r;
    int status = 0, rc = request_init(&r, s, method, path, body, err);
    if (!rc && (rc = fh_http_fetch(&r.spec, REPLY_BYTES_MAX, &status, reply, err))) rc = unreachable(s, rc, err);
    fh_buf_fini(&r.body);
    if (rc) return rc;
    return status < 300 ? 0 : refusal(status, (fh_str){fh_buf_cstr(reply), reply->len}, err);
}

int fh_client_call(const fh_cli_client *s, const char *method, const char *path, const fh_json *body, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf reply = FH_BUF(REPLY_BYTES_MAX);
    if (ret) *ret = NULL;
    int rc = call_raw(s, method, path, body, &reply, err);
    if (rc || !ret || reply.len == 0) return rc;
    rc = fh_json_parse(ret, (fh_str){reply.data, reply.len}, REPLY_BYTES_MAX, err);
    return rc ? fh_err_add(err, "the reply of %s is no JSON: is that a freehold server?", s->url) : 0;
}

int fh_client_get_text(const fh_cli_client *s, const char *path, fh_buf *ret, fh_err **err)
{
    return call_raw(s, "GET", path, NULL, ret, err);
}

typedef struct stream {
    bool (*on_event)(void *arg, fh_str event, fh_str data);
    void *arg;
    fh_sse_reader *reader;
    int status;
    bool ended;
    fh_buf refused; /* the body of a reply that is no stream */
} stream;

static void stream_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    (void)headers;
    (void)count;
    ((stream *)arg)->status = status;
}

static void stream_event(void *arg, fh_str event, fh_str data)
{
    stream *st = arg;
    if (!st->ended) st->ended = !st->on_event(st->arg, event, data);
}

static bool stream_data(void *arg, const void *data, size_t bytes)
{
    stream *st = arg;
    if (st->status >= 300) return fh_buf_add(&st->refused, data, bytes);
    if (fh_sse_reader_push(st->reader, data, bytes, NULL)) st->ended = true;
    return !st->ended;
}

int fh_client_stream(const fh_cli_client *s, const char *method, const char *path, const fh_json *body,
                     bool (*on_event)(void *arg, fh_str event, fh_str data), void *arg, fh_err **err)
{
    request r;
    stream st = {.on_event = on_event, .arg = arg, .refused = FH_BUF(REPLY_BYTES_MAX)};
    fh_err *why = NULL; /* of the transfer; ending it ourselves is no error, and the caller may hold one of its own already */
    int status = 0, rc = request_init(&r, s, method, path, body, err);
    st.reader = fh_sse_reader_new(EVENT_BYTES_MAX, stream_event, &st);
    if (!rc && !st.reader) rc = fh_err_nomem(err);
    r.spec.on_headers = stream_headers;
    r.spec.on_data = stream_data;
    r.spec.arg = &st;
    if (!rc) rc = fh_http_fetch(&r.spec, REPLY_BYTES_MAX, &status, NULL, &why);
    if (rc == FH_E_CANCELLED && st.ended) {
        fh_err_free(fh_take(why));
        rc = 0;
    }
    if (why) fh_err_move(err, &why);
    if (rc)
        rc = unreachable(s, rc, err);
    else if (status >= 300)
        rc = refusal(status, (fh_str){fh_buf_cstr(&st.refused), st.refused.len}, err);
    fh_sse_reader_free(st.reader);
    fh_buf_fini(&st.refused);
    fh_buf_fini(&r.body);
    return rc;
}

bool fh_client_path(char *out, size_t out_size, const char *before, const char *name, const char *after)
{
    FH_AUTO(buf) fh_buf path = FH_BUF(out_size - 1);
    fh_buf_adds(&path, before);
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p);
        if (plain)
            fh_buf_addc(&path, (char)*p);
        else
            fh_buf_addf(&path, "%%%02X", *p);
    }
    fh_buf_adds(&path, after);
    if (!fh_buf_ok(&path)) return false;
    memcpy(out, path.data, path.len + 1);
    return true;
}

const char *fh_cli_str_of(const fh_json *object, const char *name)
{
    fh_str s = fh_json_str(fh_json_get(object, name));
    return s.ptr ? s.ptr : "";
}
