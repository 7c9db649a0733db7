/* The client: libcurl's multi interface driven by the loop. libcurl tells which sockets to watch and when to wake up; we tell it what
 * happened. Calls to this machine go without it (http_local.c), by the same rules.
 *
 * What holds: libcurl must not be entered again from its own callbacks, so what a caller asks for from there (start, resume, cancel) is
 * noted in `todo` and done by the kick event. on_done is called outside libcurl only. HTTP/1.1 always: a paused HTTP/2 stream would make
 * libcurl buffer megabytes. */
#include "private.h"
#include "base/limits.h"

#include "base/clock.h"
#include <pthread.h>

typedef enum todo { TODO_ADD = 1, TODO_RESUME = 2, TODO_REMOVE = 4, TODO_FAIL = 8 } todo;

typedef struct fh_socket_watch {
    struct event ev;
    fh_http_client *client;
    const CURL *easy; /* whose transfer uses the socket */
    struct fh_socket_watch *prev, *next;
} socket_watch;

/* What waits for the kick. */

static void add_todo(fh_http_call *call, todo what)
{
    fh_http_client *c = call->client;
    if (!call->todo) {
        call->todo_next = NULL;
        call->todo_prev = c->todo_last;
        if (c->todo_last)
            c->todo_last->todo_next = call;
        else
            c->todo = call;
        c->todo_last = call;
    }
    call->todo |= what;
    event_active(&c->kick, EV_TIMEOUT, 0);
}

static unsigned take_todo(fh_http_call *call)
{
    unsigned what = call->todo;
    if (!what) return 0;
    if (call->todo_prev)
        call->todo_prev->todo_next = call->todo_next;
    else
        call->client->todo = call->todo_next;
    if (call->todo_next)
        call->todo_next->todo_prev = call->todo_prev;
    else
        call->client->todo_last = call->todo_prev;
    call->todo = 0;
    return what;
}

/* From anywhere; the call ends at the next kick. */
void fh_http_call_fail(fh_http_call *call, int code)
{
    call->fault = code;
    add_todo(call, TODO_FAIL);
}

/* Ending calls. */

/* libcurl closes a socket that does not connect before it says so; by then its number may be another's, on another thread. */
static void stop_watching(fh_http_client *c, const CURL *easy)
{
    for (socket_watch *w = c->sockets; w; w = w->next)
        if (w->easy == easy) event_del(&w->ev);
}

/* Takes the call out of libcurl and of all lists: from here on nothing comes of it any more. */
static void detach_call(fh_http_call *call)
{
    fh_http_client *c = call->client;
    call->over = true;
    take_todo(call);
    if (call->added) {
        stop_watching(c, call->easy);
        curl_multi_remove_handle(c->multi, call->easy);
    }
    if (call->easy) curl_easy_cleanup(call->easy);
    if (call->local) fh_local_drop(call);
    call->easy = NULL;
    call->added = false;
    fh_timer_fini(&call->idle);
    if (call->prev)
        call->prev->next = call->next;
    else if (c->calls == call)
        c->calls = call->next;
    if (call->next) call->next->prev = call->prev;
    call->prev = call->next = NULL;
}

static void free_call(fh_http_call *call)
{
    if (!call->over) detach_call(call);
    curl_slist_free_all(call->header_list);
    curl_slist_free_all(call->connect_to);
    fh_buf_fini(&call->header_text);
    fh_buf_fini(&call->request);
    fh_err_free(call->local_err);
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
    if (call->fault == FH_E_TIMEOUT)
        fh_err_set(err, FH_E_TIMEOUT, "%s: nothing came for %g s", call->where, (double)call->idle_ns / (double)FH_NS_PER_S);
    else if (call->fault == FH_E_NOMEM)
        fh_err_nomem(err);
    else if (call->fault)
        fh_err_set(err, FH_E_UPSTREAM, "%s: the headers of the reply are larger than is accepted", call->where);
    else
        fh_err_set(err, code_of(rc), "%s: %s", call->where, call->curl_text[0] ? call->curl_text : curl_easy_strerror(rc));
    if (rc == CURLE_PEER_FAILED_VERIFICATION) fh_err_reason(err, FH_HTTP_BAD_CERTIFICATE);
}

static void finish(fh_http_call *call, CURLcode rc)
{
    fh_err *err = NULL;
    bool failed = rc != CURLE_OK || call->fault;
    if (call->local_err && call->fault != FH_E_TIMEOUT)
        err = fh_take(call->local_err);
    else if (failed)
        describe_failure(call, rc, &err);
    report_end(call, failed ? 0 : call->status, err);
}

void fh_http_call_finished(fh_http_call *call)
{
    finish(call, CURLE_OK);
}

static void collect_finished(fh_http_client *c)
{
    int left;
    for (CURLMsg *m = curl_multi_info_read(c->multi, &left); m; m = curl_multi_info_read(c->multi, &left)) {
        if (m->msg != CURLMSG_DONE) continue;
        fh_http_call *call = NULL;
        CURLcode rc = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (call->cancelled)
            free_call(call);
        else
            finish(call, rc);
    }
}

/* When libcurl itself fails (no memory), it no longer watches some transfer and does not say which: all end, rather than one hanging for
 * ever. */
static void act(fh_http_client *c, curl_socket_t fd, int what)
{
    int running;
    c->depth++;
    CURLMcode rc = curl_multi_socket_action(c->multi, fd, what, &running);
    c->depth--;
    for (fh_http_call *call = rc == CURLM_OK || rc == CURLM_BAD_SOCKET ? NULL : c->calls; call; call = call->next)
        fh_http_call_fail(call, FH_E_NOMEM);
    collect_finished(c);
}

static void resume_now(fh_http_call *call)
{
    if (!call->paused) return;
    call->paused = false;
    fh_timer_start(&call->idle, call->idle_ns);
    if (call->local) {
        fh_local_resume(call);
        return;
    }
    call->client->depth++;
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
    call->client->depth--;
}

static void do_todo(fh_http_call *call)
{
    unsigned what = take_todo(call);
    if (what & TODO_REMOVE) {
        free_call(call);
    } else if (what & TODO_FAIL) {
        finish(call, CURLE_ABORTED_BY_CALLBACK);
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
    if (timeout_ms < 0)
        fh_timer_stop(&c->timer);
    else
        fh_timer_start(&c->timer, timeout_ms * FH_NS_PER_MS);
    return 0;
}

static void drop_watch(fh_http_client *c, socket_watch *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        c->sockets = w->next;
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

static bool watch_socket(fh_http_client *c, const CURL *easy, curl_socket_t fd, int what, socket_watch *w)
{
    if (!w) w = new_watch(c, fd);
    if (!w) return false;
    w->easy = easy;
    short events = EV_PERSIST | ((what & CURL_POLL_IN) ? EV_READ : 0) | ((what & CURL_POLL_OUT) ? EV_WRITE : 0);
    event_del(&w->ev);
    event_assign(&w->ev, fh_loop_base(c->loop), fd, events, on_socket, w);
    return event_add(&w->ev, NULL) == 0;
}

/* Never fails towards libcurl, which would give up all transfers of the client: only the call whose socket cannot be watched ends. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch)
{
    fh_http_client *c = arg;
    fh_http_call *call = NULL;
    if (what == CURL_POLL_REMOVE) {
        if (watch) drop_watch(c, watch);
    } else if (!watch_socket(c, easy, fd, what, watch)) {
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
        if (call) fh_http_call_fail(call, FH_E_NOMEM);
    }
    return 0;
}

/* Calls. */

static void on_idle(void *arg)
{
    fh_http_call_fail(arg, FH_E_TIMEOUT);
}

int fh_http_call_start(fh_http_call **ret, fh_http_client *c, const fh_http_call_spec *spec, fh_err **err)
{
    fh_http_call *call = fh_calloc(1, sizeof *call);
    if (!call) return fh_err_nomem(err);
    call->client = c;
    int rc = fh_timer_init(&call->idle, c->loop, on_idle, call, err);
    if (rc == 0) rc = fh_http_call_prepare(call, spec, err);
    if (rc < 0) {
        free_call(call);
        return rc;
    }
    call->next = c->calls;
    if (call->next) call->next->prev = call;
    c->calls = call;
    fh_timer_start(&call->idle, call->idle_ns);
    if (ret) *ret = call;
    if (call->local)
        fh_local_begin(call);
    else
        add_todo(call, TODO_ADD);
    return 0;
}

void fh_http_call_resume(fh_http_call *call)
{
    if (call->paused && !call->over) add_todo(call, TODO_RESUME);
}

void fh_http_call_cancel(fh_http_call *call)
{
    if (call->over) return;
    call->cancelled = true;
    if (call->client->depth > 0)
        add_todo(call, TODO_REMOVE);
    else
        free_call(call);
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
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)FH_LIMIT_HTTP_UPSTREAM_CONNECTIONS);
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
    c->scratch = fh_alloc(FH_HTTP_SCRATCH_BYTES);
    int rc = !c->scratch ? fh_err_nomem(err) : fh_timer_init(&c->timer, l, on_timer, c, err);
    if (rc == 0) rc = new_multi(c, err);
    if (rc < 0)
        fh_http_client_free(c);
    else
        *ret = c;
    return rc;
}

static void close_call(fh_http_call *call)
{
    fh_err *err = NULL;
    if (call->cancelled) {
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
    fh_local_close_idle(c);
    if (c->multi) curl_multi_cleanup(c->multi);
    while (c->sockets) drop_watch(c, c->sockets);
    event_del(&c->kick);
    fh_timer_fini(&c->timer);
    fh_free(c->scratch);
    fh_free(c);
}
