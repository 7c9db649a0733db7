/* HTTP client on a loop (libcurl multi_socket on libevent). All calls and callbacks on the loop's thread. */
#ifndef FH_NET_HTTP_CLIENT_H
#define FH_NET_HTTP_CLIENT_H

#include "net/address.h"
#include "net/http.h"
#include "net/loop.h"

typedef struct fh_http_client fh_http_client;
typedef struct fh_http_call fh_http_call;

#define FH_HTTP_BAD_CERTIFICATE "bad_certificate" /* the reason of an error: nobody whom we trust vouches for the server */

typedef struct fh_http_call_spec {
    const char *method, *url; /* copied */
    const char *unix_path;    /* connect here instead; NULL for TCP */
    const char *ca_file;      /* PEM: who may vouch for an https server, instead of the system's list; NULL for that */
    const fh_address *pin; /* https alone, at this address whatever the host resolves to: by no proxy, on a connection of its own; NULL */
    bool once; /* never sent a second time: on a connection of its own, since libcurl repeats a request whose old connection broke */
    const fh_header *headers; /* copied */
    size_t header_count;
    fh_str body;                                                   /* copied */
    int64_t connect_timeout_ns, idle_timeout_ns, total_timeout_ns; /* 0: 5 s, 600 s, none */
    /* Callbacks; any may be NULL except on_done. on_data returns false to pause (fh_http_call_resume goes on). */
    void (*on_headers)(void *arg, int status, const fh_header *headers, size_t count);
    bool (*on_data)(void *arg, const void *data, size_t bytes);
    /* Exactly once, last: status 0 and err set (borrowed) when no complete reply came. The call is freed after it. */
    void (*on_done)(void *arg, int status, const fh_err *err);
    void *arg;
} fh_http_call_spec;

int fh_http_client_new(fh_http_client **ret, fh_loop *l, fh_err **err);
void fh_http_client_free(fh_http_client *c); /* open calls end with FH_E_CANCELLED */
int fh_http_call_start(fh_http_call **ret, fh_http_client *c, const fh_http_call_spec *spec, fh_err **err);
void fh_http_call_resume(fh_http_call *call);
void fh_http_call_cancel(fh_http_call *call); /* on_done is not called; call is gone */

/* Blocking form for the CLI: one request, whole body up to max_bytes. For streams give on_data. Own thread only; no loop needed. */
int fh_http_fetch(const fh_http_call_spec *spec, size_t max_bytes, int *ret_status, fh_buf *ret_body, fh_err **err);

#endif
