/* GET /api/v1/events: changes of deployments as server-sent events.
 *
 * One subscription to the fleet feeds all streams. A stream begins with `event: hello`, so that a client knows that it listens; every 15
 * seconds without an event a comment keeps the connection alive. A client that reads too slowly is cut off: it connects again and reads the
 * present state. */
#include "base/clock.h"
#include "base/limits.h"
#include "net/sse.h"
#include "server_private.h"

#define KEEPALIVE_NS (15 * FH_NS_PER_S)

typedef struct listener {
    struct listener *prev, *next;
    fh_feed *feed;
    fh_http_req *req;
} listener;

struct fh_feed {
    fh_server *server;
    fh_fleet_feed *source;
    fh_timer *timer;
    listener *first;
    size_t count;
};

static void listener_free(listener *l)
{
    fh_feed *f = l->feed;
    if (l->prev)
        l->prev->next = l->next;
    else
        f->first = l->next;
    if (l->next) l->next->prev = l->prev;
    f->count--;
    fh_free(l);
}

static void listener_gone(void *arg)
{
    listener_free(arg);
}

/* To all; who cannot take more is cut off. */
static void send_all(fh_feed *f, const fh_buf *text)
{
    for (listener *l = f->first, *next; l; l = next) {
        next = l->next;
        if (fh_http_reply_write(l->req, text->data, text->len)) continue;
        fh_http_req_on_gone(l->req, NULL, NULL);
        fh_http_reply_abort(l->req);
        listener_free(l);
    }
}

static void on_change(void *arg, const fh_json *event)
{
    fh_feed *f = arg;
    FH_AUTO(buf) fh_buf data = FH_BUF(1 << 20);
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    if (fh_json_write(event, &data, NULL)) return;
    fh_sse_write(&text, "deployment", (fh_str){data.data, data.len});
    if (fh_buf_ok(&text)) send_all(f, &text);
}

static void keep_alive(void *arg)
{
    fh_feed *f = arg;
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    fh_buf_adds(&text, ": still here\n\n");
    if (fh_buf_ok(&text)) send_all(f, &text);
    fh_timer_start(f->timer, KEEPALIVE_NS);
}

int fh_feed_new(fh_feed **ret, fh_server *s, fh_err **err)
{
    FH_AUTO(fh_feed) fh_feed *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    f->server = s;
    int rc = fh_timer_new(&f->timer, s->loop, keep_alive, f, err);
    if (!rc) rc = fh_fleet_subscribe(s->fleet, s->loop, on_change, f, &f->source, err);
    if (rc) return rc;
    fh_timer_start(f->timer, KEEPALIVE_NS);
    *ret = fh_take(f);
    return 0;
}

void fh_feed_free(fh_feed *f)
{
    if (!f) return;
    if (f->source) fh_fleet_unsubscribe(f->source);
    while (f->first) {
        fh_http_req_on_gone(f->first->req, NULL, NULL);
        fh_http_reply_end(f->first->req);
        listener_free(f->first);
    }
    fh_timer_free(f->timer);
    fh_free(f);
}

static void add_listener(fh_feed *f, listener *l, fh_http_req *req)
{
    static const char hello[] = "event: hello\ndata: {\"version\":\"" FH_VERSION "\"}\n\n";
    *l = (listener){.feed = f, .req = req, .next = f->first};
    if (f->first) f->first->prev = l;
    f->first = l;
    f->count++;
    fh_http_req_on_gone(req, listener_gone, l);
    fh_http_reply_header(req, "Cache-Control", "no-cache");
    fh_http_reply_header(req, "X-Accel-Buffering", "no");
    fh_http_reply_start(req, 200, "text/event-stream; charset=utf-8");
    fh_http_reply_write(req, hello, sizeof hello - 1);
}

static int may_listen(const fh_feed *f, fh_err **err)
{
    if (!f) return fh_err_set(err, FH_E_UNAVAILABLE, "the server is stopping");
    if (f->count < FH_LIMIT_SSE_SUBSCRIBERS) return 0;
    return fh_err_set(err, FH_E_UNAVAILABLE, "%d streams of events are open already", FH_LIMIT_SSE_SUBSCRIBERS);
}

void api_events(api_call *c)
{
    fh_err *err = NULL;
    fh_feed *f = c->server->feed;
    listener *l = may_listen(f, &err) == 0 ? fh_alloc(sizeof *l) : NULL;
    if (f && l) {
        add_listener(f, l, api_take_req(c));
        return;
    }
    if (!err) fh_err_nomem(&err);
    api_reply_error(c, err);
}
