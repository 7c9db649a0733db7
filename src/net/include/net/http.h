/* Names and small types that the HTTP reader, server and client share. */
#ifndef FH_NET_HTTP_H
#define FH_NET_HTTP_H

#include "base/buf.h"
#include "base/str.h"

typedef struct fh_header {
    fh_str name, value;
} fh_header;

/* First header of that name (ASCII case folded); {NULL, 0} when absent. */
fh_str fh_headers_find(const fh_header *h, size_t count, const char *name);
const char *fh_http_reason(int status);

#endif
