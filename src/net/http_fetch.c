/* The blocking form of the client: a loop of its own that runs until the one call is done. */
#include "net/http_client.h"

typedef struct fetch {
    const fh_http_call_spec *spec;
    fh_loop *loop;
    fh_buf *body;
    fh_err **err;
    int status, rc;
    bool done;
    fh_http_call *call;
} fetch;

static void on_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    fetch *f = arg;
    f->status = status;
    if (f->spec->on_headers) f->spec->on_headers(f->spec->arg, status, headers, count);
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    fetch *f = arg;
    if (f->spec->on_data) {
        if (!f->spec->on_data(f->spec->arg, data, bytes)) f->rc = fh_err_set(f->err, FH_E_CANCELLED, "the request was stopped");
    } else if (bytes > f->body->max - f->body->len) {
        f->rc = fh_err_set(f->err, FH_E_TOO_LARGE, "the reply is larger than %zu bytes", f->body->max);
    } else if (!fh_buf_add(f->body, data, bytes)) {
        f->rc = fh_err_nomem(f->err);
    }
    if (f->rc == 0) return true;
    fh_loop_stop(f->loop);
    return false;
}

static void on_done(void *arg, int status, const fh_err *err)
{
    fetch *f = arg;
    f->done = true;
    f->status = status;
    if (status == 0 && f->rc == 0) {
        f->rc = fh_err_set(f->err, fh_err_code(err), "%s", fh_err_message(err));
        if (fh_err_hint_get(err)) fh_err_hint(f->err, "%s", fh_err_hint_get(err));
    }
    fh_loop_stop(f->loop);
}

static int run(fetch *f, fh_err **err)
{
    fh_http_client *client = NULL;
    fh_http_call_spec spec = *f->spec;
    spec.on_headers = on_headers;
    spec.on_data = on_data;
    spec.on_done = on_done;
    spec.arg = f;
    int rc = fh_http_client_new(&client, f->loop, err);
    if (rc == 0) rc = fh_http_call_start(&f->call, client, &spec, err);
    if (rc == 0) rc = fh_loop_run(f->loop, err);
    if (rc == 0 && !f->done) fh_http_call_cancel(f->call);
    fh_http_client_free(client);
    return rc;
}

int fh_http_fetch(const fh_http_call_spec *spec, size_t max_bytes, int *ret_status, fh_buf *ret_body, fh_err **err)
{
    FH_AUTO(fh_loop) fh_loop *loop = NULL;
    FH_AUTO(buf) fh_buf body = FH_BUF(max_bytes);
    int rc = fh_loop_new(&loop, err);
    fetch f = {.spec = spec, .loop = loop, .body = &body, .err = err};
    if (rc == 0) rc = run(&f, err);
    if (rc < 0 || f.rc < 0) return rc < 0 ? rc : f.rc;
    if (spec->on_done) spec->on_done(spec->arg, f.status, NULL);
    *ret_status = f.status;
    if (ret_body) {
        *ret_body = body;
        body = (fh_buf){0};
    }
    return 0;
}
