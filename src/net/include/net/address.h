/* Addresses and ranges of them, as operators and proxies write them. IPv4 is held as IPv6 (::ffff:a.b.c.d), so that both compare alike.
 * Pure.
 */
#ifndef FH_NET_ADDRESS_H
#define FH_NET_ADDRESS_H

#include "base/err.h"
#include "base/str.h"
#include <stdint.h>

typedef struct fh_address {
    uint8_t bytes[16];
} fh_address;
bool fh_address_parse(fh_str text, fh_address *ret); /* "192.0.2.7", "2001:db8::7" */
bool fh_address_is_loopback(const fh_address *a);
bool fh_address_is_v4(const fh_address *a);
enum { FH_ADDRESS_TEXT = 46 };
void fh_address_write(const fh_address *a, char out[FH_ADDRESS_TEXT]);
bool fh_url_is_own(fh_str url); /* http to this machine itself, by 127.0.0.1, localhost or [::1]: nothing of it goes over a network */
/* What stands against an address that a stranger names: "a private address", "a loopback address", ...; NULL: it is one of the public
 * internet. All of IPv6 that may carry an IPv4 address past the rule (6to4, Teredo, NAT64, ...) is refused too. Sources: IANA's registries
 * of special-purpose addresses and of multicast, and the addresses of clouds' metadata services that lie elsewhere. */
const char *fh_address_special(const fh_address *a);

typedef struct fh_range {
    fh_address first;
    unsigned bits; /* of 128 */
} fh_range;
int fh_range_parse(fh_str text, fh_range *ret, fh_err **err); /* an address, or one with /BITS behind it; bits beyond must be zero */
bool fh_range_holds(const fh_range *r, const fh_address *a);

#endif
