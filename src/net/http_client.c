/* The client: libcurl's multi interface driven by the loop. libcurl tells which sockets to watch and when to wake up; we tell it what happened.
 *
 * What holds: libcurl must not be entered again from its own callbacks, so what a caller asks for from there (start, resume, cancel) is noted in `todo` and done
 * by the kick event. on_done is called outside libcurl only. HTTP/1.1 always: a paused HTTP/2 stream would make libcurl buffer megabytes. */
#include "net/http_client.h"

#include "private.h"

#include "base/clock.h"
#include "base/limits.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>

#define CONNECT_TIMEOUT_NS (5 * FH_NS_PER_S)
#define IDLE_TIMEOUT_NS (600 * FH_NS_PER_S)
enum { KEPT_CONNECTIONS = 256, HEADER_TEXT_BYTES = 4 * FH_LIMIT_HTTP_HEADER_BYTES };

typedef enum todo { TODO_ADD = 1, TODO_RESUME = 2, TODO_REMOVE = 4, TODO_TIMEOUT = 8 } todo;

struct fh_http_call {
    fh_http_client *client;
    fh_http_call *prev, *next;           /* of the client's calls */
    fh_http_call *todo_prev, *todo_next; /* of those with something to do */
    unsigned todo;
    CURL *easy;
    struct curl_slist *header_list;
    fh_http_call_spec spec; /* its strings are borrowed from the caller until start returns, but for arg and callbacks */
    char *body;
    fh_timer idle;
    int64_t idle_ns;
    int status;
    fh_buf header_text; /* "name\0value\0..." of the present reply */
    fh_header *headers;
    size_t header_count;
    bool added, paused, headers_done, timed_out, over;
    int64_t fault; /* code of an error of ours that ended the transfer; 0 */
    char where[160];
    char curl_text[CURL_ERROR_SIZE];
};

typedef struct socket_watch {
    struct event ev;
    fh_http_client *client;
    struct socket_watch *prev, *next;
} socket_watch;

struct fh_http_client {
    fh_loop *loop;
    CURLM *multi;
    fh_timer timer;
    struct event kick;
    fh_http_call *calls, *todo;
    socket_watch *sockets;
    int depth; /* inside libcurl */
};

/* What waits for the kick. */

static void add_todo(fh_http_call *call, todo what)
{
    fh_http_client *c = call->client;
    if (!call->todo) {
        call->todo_prev = NULL;
        call->todo_next = c->todo;
        if (c->todo) c->todo->todo_prev = call;
        c->todo = call;
    }
    call->todo |= what;
    event_active(&c->kick, EV_TIMEOUT, 0);
}

static unsigned take_todo(fh_http_call *call)
{
    unsigned what = call->todo;
    if (!what) return 0;
    if (call->todo_prev) call->todo_prev->todo_next = call->todo_next;
    else call->client->todo = call->todo_next;
    if (call->todo_next) call->todo_next->todo_prev = call->todo_prev;
    call->todo = 0;
    return what;
}

/* Ending calls. */

/* Takes the call out of libcurl and of all lists: from here on nothing comes of it any more. */
static void detach_call(fh_http_call *call)
{
    fh_http_client *c = call->client;
    call->over = true;
    take_todo(call);
    if (call->added) curl_multi_remove_handle(c->multi, call->easy);
    if (call->easy) curl_easy_cleanup(call->easy);
    call->easy = NULL;
    call->added = false;
    fh_timer_fini(&call->idle);
    if (call->prev) call->prev->next = call->next;
    else if (c->calls == call) c->calls = call->next;
    if (call->next) call->next->prev = call->prev;
    call->prev = call->next = NULL;
}

static void free_call(fh_http_call *call)
{
    if (!call->over) detach_call(call);
    curl_slist_free_all(call->header_list);
    fh_buf_fini(&call->header_text);
    fh_free(call->headers);
    fh_free(call->body);
    fh_free(call);
}

/* The end that the caller hears of. During on_done the call still exists, so that a late resume or cancel of it is harmless. */
static void report_end(fh_http_call *call, int status, fh_err *err)
{
    detach_call(call);
    call->spec.on_done(call->spec.arg, status, err);
    fh_err_free(err);
    free_call(call);
}

static int code_of(CURLcode rc)
{
    if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST || rc == CURLE_COULDNT_RESOLVE_PROXY) return FH_E_UNAVAILABLE;
    if (rc == CURLE_OPERATION_TIMEDOUT) return FH_E_TIMEOUT;
    if (rc == CURLE_OUT_OF_MEMORY) return FH_E_NOMEM;
    return FH_E_UPSTREAM;
}

static void describe_failure(const fh_http_call *call, CURLcode rc, fh_err **err)
{
    if (call->timed_out) fh_err_set(err, FH_E_TIMEOUT, "%s: nothing came for %lld s", call->where, (long long)(call->idle_ns / FH_NS_PER_S));
    else if (call->fault == FH_E_NOMEM) fh_err_nomem(err);
    else if (call->fault) fh_err_set(err, FH_E_UPSTREAM, "%s: the headers of the reply are larger than is accepted", call->where);
    else fh_err_set(err, code_of(rc), "%s: %s", call->where, call->curl_text[0] ? call->curl_text : curl_easy_strerror(rc));
}

static void finish(fh_http_call *call, CURLcode rc)
{
    fh_err *err = NULL;
    bool failed = rc != CURLE_OK || call->timed_out;
    if (failed) describe_failure(call, rc, &err);
    report_end(call, failed ? 0 : call->status, err);
}

static void collect_finished(fh_http_client *c)
{
    int left;
    for (CURLMsg *m = curl_multi_info_read(c->multi, &left); m; m = curl_multi_info_read(c->multi, &left)) {
        if (m->msg != CURLMSG_DONE) continue;
        fh_http_call *call = NULL;
        CURLcode rc = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (call->todo & TODO_REMOVE) free_call(call);
        else finish(call, rc);
    }
}

static void act(fh_http_client *c, curl_socket_t fd, int what)
{
    int running;
    c->depth++;
    curl_multi_socket_action(c->multi, fd, what, &running);
    c->depth--;
    collect_finished(c);
}

static void resume_now(fh_http_call *call)
{
    if (!call->paused) return;
    call->paused = false;
    fh_timer_start(&call->idle, call->idle_ns);
    call->client->depth++;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
    call->client->depth--;
}

static void do_todo(fh_http_call *call)
{
    unsigned what = take_todo(call);
    if (what & TODO_REMOVE) {
        free_call(call);
    } else if (what & TODO_TIMEOUT) {
        call->timed_out = true;
        finish(call, CURLE_OPERATION_TIMEDOUT);
    } else {
        if (what & TODO_ADD) {
            call->added = curl_multi_add_handle(call->client->multi, call->easy) == CURLM_OK;
            if (!call->added) {
                finish(call, CURLE_OUT_OF_MEMORY);
                return;
            }
        }
        if (what & TODO_RESUME) resume_now(call);
    }
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
    fh_http_client *c = arg;
    while (c->todo) do_todo(c->todo);
    collect_finished(c);
}

/* libcurl's view of the loop. */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    socket_watch *w = arg;
    act(w->client, fd, ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    fh_http_client *c = arg;
    if (timeout_ms < 0) fh_timer_stop(&c->timer);
    else fh_timer_start(&c->timer, timeout_ms * FH_NS_PER_MS);
    return 0;
}

static void drop_watch(fh_http_client *c, socket_watch *w)
{
    if (w->prev) w->prev->next = w->next;
    else c->sockets = w->next;
    if (w->next) w->next->prev = w->prev;
    event_del(&w->ev);
    fh_free(w);
}

static socket_watch *new_watch(fh_http_client *c, curl_socket_t fd)
{
    socket_watch *w = fh_calloc(1, sizeof *w);
    if (!w) return NULL;
    w->client = c;
    w->next = c->sockets;
    if (w->next) w->next->prev = w;
    c->sockets = w;
    event_assign(&w->ev, fh_loop_base(c->loop), fd, 0, on_socket, w);
    curl_multi_assign(c->multi, fd, w);
    return w;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch)
{
    fh_http_client *c = arg;
    socket_watch *w = watch;
    if (what == CURL_POLL_REMOVE) {
        if (w) drop_watch(c, w);
        return 0;
    }
    if (!w) w = new_watch(c, fd);
    if (!w) return -1;
    short events = EV_PERSIST | ((what & CURL_POLL_IN) ? EV_READ : 0) | ((what & CURL_POLL_OUT) ? EV_WRITE : 0);
    event_del(&w->ev);
    event_assign(&w->ev, fh_loop_base(c->loop), fd, events, on_socket, w);
    return event_add(&w->ev, NULL) ? -1 : 0;
}

/* What comes of a reply. */

static bool add_header(fh_http_call *call, fh_str line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon) return true;
    fh_str name = {line.ptr, (size_t)(colon - line.ptr)};
    fh_str value = fh_str_trim((fh_str){colon + 1, line.len - name.len - 1});
    if (call->header_count == FH_LIMIT_HTTP_HEADERS) return false;
    fh_header *h = &call->headers[call->header_count++];
    *h = (fh_header){{NULL, name.len}, {NULL, value.len}}; /* pointers once the text no longer moves */
    fh_buf_add(&call->header_text, name.ptr, name.len);
    return fh_buf_add(&call->header_text, value.ptr, value.len);
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

static void headers_complete(fh_http_call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) return;
    call->status = (int)status;
    call->headers_done = true;
    place_headers(call);
    if (call->spec.on_headers) call->spec.on_headers(call->spec.arg, call->status, call->headers, call->header_count);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    fh_http_call *call = arg;
    size_t bytes = size * count;
    fh_str line = fh_str_trim((fh_str){data, bytes});
    if (call->todo & TODO_REMOVE) return 0;
    if (call->headers_done) return bytes; /* trailers */
    fh_timer_start(&call->idle, call->idle_ns);
    if (line.len == 0) {
        headers_complete(call);
    } else if (fh_str_starts(line, FH_STR("HTTP/"))) {
        call->header_count = 0;
        fh_buf_clear(&call->header_text);
    } else if (!add_header(call, line)) {
        call->fault = FH_E_UPSTREAM;
        return 0;
    }
    return (call->todo & TODO_REMOVE) ? 0 : bytes;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    fh_http_call *call = arg;
    size_t bytes = size * count;
    if (call->todo & TODO_REMOVE) return 0;
    if (call->paused) return CURL_WRITEFUNC_PAUSE;
    fh_timer_start(&call->idle, call->idle_ns);
    if (call->spec.on_data && !call->spec.on_data(call->spec.arg, data, bytes)) {
        call->paused = true; /* these bytes are taken; libcurl keeps the next ones */
        fh_timer_stop(&call->idle);
    }
    return (call->todo & TODO_REMOVE) ? 0 : bytes;
}

static void on_idle(void *arg)
{
    add_todo(arg, TODO_TIMEOUT);
}

/* Starting. */

static bool is_loopback(const char *url)
{
    static const char *const prefixes[] = {"http://localhost", "http://127.", "http://[::1]", "https://localhost", "https://127.", "https://[::1]"};
    for (size_t i = 0; i < FH_COUNT(prefixes); i++) {
        if (strncmp(url, prefixes[i], strlen(prefixes[i])) == 0) return true;
    }
    return false;
}

static CURLcode set_options(fh_http_call *call, const fh_http_call_spec *s)
{
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {{CURLOPT_PRIVATE, call}, {CURLOPT_URL, s->url}, {CURLOPT_ERRORBUFFER, call->curl_text}, {CURLOPT_PROTOCOLS_STR, "http,https"},
                    {CURLOPT_HTTPHEADER, call->header_list}, {CURLOPT_UNIX_SOCKET_PATH, s->unix_path}, {CURLOPT_HEADERDATA, call}, {CURLOPT_WRITEDATA, call},
                    {CURLOPT_NOPROXY, s->unix_path || is_loopback(s->url) ? "*" : NULL}};
    const int64_t connect_ns = s->connect_timeout_ns ? s->connect_timeout_ns : CONNECT_TIMEOUT_NS;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {{CURLOPT_NOSIGNAL, 1}, {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1}, {CURLOPT_FOLLOWLOCATION, 0}, {CURLOPT_TCP_NODELAY, 1},
                   {CURLOPT_TCP_KEEPALIVE, 1}, {CURLOPT_CONNECTTIMEOUT_MS, (long)((connect_ns + FH_NS_PER_MS - 1) / FH_NS_PER_MS)},
                   {CURLOPT_TIMEOUT_MS, (long)((s->total_timeout_ns + FH_NS_PER_MS - 1) / FH_NS_PER_MS)}, {CURLOPT_HTTP09_ALLOWED, 0}, {CURLOPT_PATH_AS_IS, 1}};
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
    if (call->body && !fh_headers_find(s->headers, s->header_count, "Content-Type").ptr && !append_header(&call->header_list, "Content-Type:")) return fh_err_nomem(err);
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

/* For messages: the address without credentials and query, which may be secret. */
static void describe_target(fh_http_call *call, const fh_http_call_spec *s)
{
    const char *scheme_end = strstr(s->url, "://"), *host = scheme_end ? scheme_end + 3 : s->url, *at = strpbrk(host, "@/?#");
    if (at && *at == '@') host = at + 1;
    size_t len = strcspn(host, "?#");
    snprintf(call->where, sizeof call->where, "%s %s%.*s", s->method ? s->method : "GET", s->unix_path ? s->unix_path : "", (int)FH_MIN(len, (size_t)100),
             s->unix_path ? host + strcspn(host, "/?#") : host);
}

static int prepare(fh_http_call *call, const fh_http_call_spec *s, fh_err **err)
{
    call->spec = (fh_http_call_spec){.on_headers = s->on_headers, .on_data = s->on_data, .on_done = s->on_done, .arg = s->arg};
    call->idle_ns = s->idle_timeout_ns ? s->idle_timeout_ns : IDLE_TIMEOUT_NS;
    describe_target(call, s);
    fh_buf_init(&call->header_text, HEADER_TEXT_BYTES);
    call->headers = fh_calloc(FH_LIMIT_HTTP_HEADERS, sizeof *call->headers);
    call->easy = curl_easy_init();
    if (s->body.len) call->body = fh_strndup(s->body.ptr, s->body.len);
    else if (s->method && strcmp(s->method, "POST") == 0) call->body = fh_strdup("");
    if (!call->headers || !call->easy || (s->body.len && !call->body)) return fh_err_nomem(err);
    int rc = fh_timer_init(&call->idle, call->client->loop, on_idle, call, err);
    if (rc == 0) rc = build_headers(call, s, err);
    if (rc < 0) return rc;
    CURLcode cc = set_options(call, s);
    if (cc == CURLE_OK) cc = set_method(call, s);
    if (cc == CURLE_OK) return 0;
    return fh_err_set(err, cc == CURLE_OUT_OF_MEMORY ? FH_E_NOMEM : FH_E_INVALID, "cannot prepare the request %s: %s", call->where, curl_easy_strerror(cc));
}

int fh_http_call_start(fh_http_call **ret, fh_http_client *c, const fh_http_call_spec *spec, fh_err **err)
{
    fh_http_call *call = fh_calloc(1, sizeof *call);
    if (!call) return fh_err_nomem(err);
    call->client = c;
    int rc = prepare(call, spec, err);
    if (rc < 0) {
        free_call(call);
        return rc;
    }
    call->next = c->calls;
    if (call->next) call->next->prev = call;
    c->calls = call;
    fh_timer_start(&call->idle, call->idle_ns);
    add_todo(call, TODO_ADD);
    if (ret) *ret = call;
    return 0;
}

void fh_http_call_resume(fh_http_call *call)
{
    if (call->paused && !call->over) add_todo(call, TODO_RESUME);
}

void fh_http_call_cancel(fh_http_call *call)
{
    if (call->over) return;
    if (call->client->depth > 0) add_todo(call, TODO_REMOVE);
    else free_call(call);
}

/* The client. */

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int new_multi(fh_http_client *c, fh_err **err)
{
    c->multi = curl_multi_init();
    if (!c->multi) return fh_err_nomem(err);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return 0;
}

int fh_http_client_new(fh_http_client **ret, fh_loop *l, fh_err **err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    fh_http_client *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    c->loop = l;
    event_assign(&c->kick, fh_loop_base(l), -1, 0, on_kick, c);
    int rc = fh_timer_init(&c->timer, l, on_timer, c, err);
    if (rc == 0) rc = new_multi(c, err);
    if (rc < 0) fh_http_client_free(c);
    else *ret = c;
    return rc;
}

static void close_call(fh_http_call *call)
{
    fh_err *err = NULL;
    if (call->todo & TODO_REMOVE) {
        free_call(call);
        return;
    }
    fh_err_set(&err, FH_E_CANCELLED, "%s: cancelled, because the client is being closed", call->where);
    report_end(call, 0, err);
}

void fh_http_client_free(fh_http_client *c)
{
    if (!c) return;
    while (c->calls) close_call(c->calls);
    if (c->multi) curl_multi_cleanup(c->multi);
    while (c->sockets) drop_watch(c, c->sockets);
    event_del(&c->kick);
    fh_timer_fini(&c->timer);
    fh_free(c);
}
