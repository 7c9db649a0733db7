/* Whom a request says it is for and whose page it came from: what keeps pages of a browser from reaching a server on this machine by a name
 * of theirs that resolves to it (DNS rebinding), or from another origin. Pure. */
#ifndef FH_NET_ORIGIN_H
#define FH_NET_ORIGIN_H

#include "base/str.h"

fh_str fh_host_name(fh_str host);     /* a Host field without its port; brackets of IPv6 stay */
bool fh_host_is_local(fh_str host);   /* localhost, 127.0.0.1 or [::1], with any port */
bool fh_host_is_address(fh_str host); /* an IPv4 address or an IPv6 address in brackets, with any port: no name, so none was rebound */
bool fh_origin_is(fh_str origin, fh_str host); /* "http://HOST" or "https://HOST" with the very Host of the request */
/* A page of another origin made a browser send this: a foreign Origin, or Sec-Fetch-Site other than same-origin and none. Absent fields
 * ({NULL, 0}) are fine: programs that are no browser send none. */
bool fh_origin_is_foreign(fh_str host, fh_str origin, fh_str sec_fetch_site);

#endif
