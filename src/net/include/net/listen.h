/* Sockets that listen. */
#ifndef FH_NET_LISTEN_H
#define FH_NET_LISTEN_H

#include "base/err.h"
#include <stddef.h>

typedef enum fh_listen_how {
    FH_LISTEN_ALONE,
    FH_LISTEN_SHARED, /* others that say so too may listen on the same address, and the kernel spreads connections over them */
    FH_LISTEN_BOTH,   /* at [::] IPv4 is taken too; its peers' addresses read ::ffff:a.b.c.d */
} fh_listen_how;
/* "127.0.0.1:8470", "[::1]:0" (port 0 picks a free one) or "unix:/path" (mode 0600; a stale socket file is replaced, a live one is an
 * error). Returns the descriptor, which is the caller's. */
int fh_listen_open(const char *address, fh_listen_how how, fh_err **err);
int fh_listen_port(int fd); /* 0 for what is no TCP socket */
/* Makes a descriptor that came from outside one of ours: FH_E_INVALID when it is no TCP socket that listens. address gets "127.0.0.1:8470"
 * or "[::1]:8470". */
int fh_listen_adopt(int fd, char *address, size_t size, fh_err **err);

#endif
