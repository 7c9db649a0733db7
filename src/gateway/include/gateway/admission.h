/* Who may speak, before anything else is looked at: Host, Origin, content type, key. Pure but for the keys in memory. */
#ifndef FH_GATEWAY_ADMISSION_H
#define FH_GATEWAY_ADMISSION_H

#include "gateway/keys.h"
#include "net/http_server.h"

typedef struct fh_hosts {     /* names that this server answers to, without ports: a tunnel may change the port */
    const char *const *names; /* NULL-terminated, borrowed; lower case; IPv6 in brackets */
    bool any_address;         /* we listen on all addresses: any numeric address is ours (a name that was rebound is still refused) */
} fh_hosts;

/* host: the Host field with or without port. FH_E_MISDIRECTED for a foreign one. localhost, 127.0.0.1 and [::1] are always ours. */
int fh_admit_host(const fh_hosts *h, fh_str host, fh_err **err);
/* Refuses (FH_E_FORBIDDEN) what a page of another origin made a browser send: a foreign Origin, or Sec-Fetch-Site other than same-origin
 * and none. */
int fh_admit_origin(fh_str host, fh_str origin, fh_str sec_fetch_site, fh_err **err);
/* A body must be JSON and say so: FH_E_MEDIA_TYPE otherwise. */
int fh_admit_body(fh_str content_type, size_t body_bytes, fh_err **err);
/* FH_E_FORBIDDEN when the key's scope does not allow need. */
int fh_admit_scope(const fh_key *key, fh_scope need, fh_err **err);
/* The key of "Authorization: Bearer KEY" or "x-api-key: KEY"; checks it and that its scope allows need. */
int fh_admit_key(const fh_keys *k, fh_str authorization, fh_str x_api_key, fh_scope need, int64_t now_utc_ns, fh_key *ret, fh_err **err);

#endif
