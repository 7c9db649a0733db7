/* One call at a time of a check: JSON there, JSON back, within HONESTY_CALL_MS, on the main loop. */
#ifndef FH_SERVER_CANARY_LINE_H
#define FH_SERVER_CANARY_LINE_H

#include "base/buf.h"
#include "json/json.h"
#include "net/http_client.h"

typedef struct canary_line {
    fh_http_client *client; /* borrowed */
    bool traced;            /* requests of clients are, so canaries say that they are */
    fh_http_call *call;     /* NULL when none runs */
    fh_timer *deadline;     /* owned */
    fh_buf reply;
    void (*done)(void *arg, fh_json *doc, const fh_err *err); /* takes doc; one of them is NULL. err is borrowed */
    void *arg;
} canary_line;

typedef struct canary_target {
    const char *url, *unix_path; /* as fh_http_call_spec has them; url without the path */
    const char *secret, *salt;   /* a hosted endpoint's key; the salt of an engine of our kind; NULL: none */
    bool ours;                   /* our own engine on this machine: it need not take the call for a client's */
} canary_target;

int canary_line_init(canary_line *l, fh_loop *loop, fh_err **err); /* client, traced, done and arg are the caller's to set */
/* Takes body. done is called later, once. */
int canary_line_ask(canary_line *l, const canary_target *to, const char *path, fh_json *body, fh_err **err);
void canary_line_fini(canary_line *l); /* a call that runs is given up */

#endif
