/* What becomes of a request on a connection: it is judged by its head while its body is still to come, whole it goes to the handler, and
 * either may move it to another loop, where it is judged or handled anew.
 *
 * What holds: of a body that the judge does not want nothing more is read, and the connection closes behind the reply. What came with the
 * head is parsed first: a request that is whole by then, or malformed, needs no judge. */
#include "private.h"

#include "base/clock.h"

/* Heads. */

static const fh_http_msg *msg(const fh_http_conn *c)
{
    return fh_http_reader_msg(c->reader);
}

static bool is_for_all(const fh_http_conn *c)
{
    return fh_str_eqs(msg(c)->path, "*");
}

static void read_body(fh_http_conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->body_began_ns = fh_clock_mono_ns();
    fh_http_conn_deadline(c, c->body_began_ns + c->server->limits.body_timeout_ns);
    if (msg(c)->expect_continue && !c->body_here) fh_http_conn_queue(c, go_on, sizeof go_on - 1);
}

/* The request begins anew once it is whole. */
static void body_wanted(fh_http_conn *c, size_t most)
{
    int status = 413;
    fh_err *err = NULL;
    c->req.state = FH_REPLY_NONE;
    fh_http_req_over(&c->req);
    c->at_head = false;
    c->phase = FH_CONN_READING;
    if (fh_http_reader_body_most(c->reader, most, &status, &err) < 0)
        fh_http_conn_refuse(c, status, err);
    else
        read_body(c);
}

static void judge(fh_http_conn *c)
{
    size_t most = is_for_all(c) ? FH_LIMIT_HTTP_STRANGER_BODY_BYTES : c->group->judge(&c->req, c->server->ctx);
    if (most)
        body_wanted(c, most);
    else
        c->unread = !c->move_to;
}

void fh_http_conn_head_came(fh_http_conn *c, bool body_here)
{
    c->body_here = body_here;
    c->body_began_ns = fh_clock_mono_ns();
    c->unjudged = c->group->judge != NULL;
    if (!c->unjudged) read_body(c);
}

void fh_http_conn_body_waits(fh_http_conn *c)
{
    if (!c->unjudged) return;
    c->unjudged = false;
    c->phase = FH_CONN_HANDLING;
    c->at_head = true;
    fh_http_conn_deadline(c, 0);
    fh_http_req_begin(c);
    c->req.keep = false; /* where the next one would begin nobody knows */
    judge(c);
}

/* Whole requests. */

static void handle(fh_http_conn *c)
{
    c->server->handler(&c->req, c->server->ctx);
}

void fh_http_conn_request_came(fh_http_conn *c)
{
    c->phase = FH_CONN_HANDLING;
    c->unjudged = false;
    fh_http_conn_deadline(c, 0);
    fh_http_req_begin(c);
    if (is_for_all(c)) {
        fh_http_reply_header(&c->req, "Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        fh_http_reply(&c->req, 204, NULL, NULL, 0);
    } else {
        handle(c);
    }
}

/* Moving. */

void fh_http_conn_request_moved(fh_http_conn *c)
{
    bool was_busy = c->busy;
    c->busy = true;
    if (c->at_head)
        judge(c);
    else
        handle(c);
    c->busy = was_busy;
}

/* Doors deal homes out in turn to those who are let in, so that those who are not use up no turns. */
static fh_http_server *home_of(fh_http_conn *c)
{
    fh_http_server *door = c->home;
    if (door->home_count) c->home = door->homes[atomic_fetch_add(&door->home_next, 1) % door->home_count];
    return c->home;
}

bool fh_http_req_run_on(fh_http_req *r, fh_http_server *to)
{
    fh_http_conn *c = r->conn;
    if (!to) to = home_of(c);
    if (to == c->server) return true;
    c->move_to = to;
    return false;
}
