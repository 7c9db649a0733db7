/* The rule for addresses that a request, a manifest or a catalog names: https, hosts of the public internet, port 443; more only where the
 * operator lists it. Pure: it judges texts and addresses; net/outside.h resolves and opens.
 *
 * A URL is read strictly, in one way: no user, no form of an IPv4 address but four decimal numbers, no trailing dot, nothing beyond ASCII.
 * What is opened is written anew from what was read, so that nobody behind can read it otherwise. Sources: RFC 3986; the WHATWG URL
 * standard for what else would be taken for an IPv4 address. */
#ifndef FH_NET_OUTSIDE_RULE_H
#define FH_NET_OUTSIDE_RULE_H

#include "base/buf.h"
#include "base/str.h"
#include "net/address.h"

typedef struct fh_outside_url {
    char host[254]; /* in small letters; an IPv6 address without its brackets */
    uint16_t port;
    bool is_address; /* the host is one: */
    fh_address address;
    fh_str target; /* path and query, borrowed: begins with '/', or '?', or is empty */
} fh_outside_url;
int fh_outside_url_parse(fh_outside_url *ret, fh_str text, fh_err **err); /* FH_E_INVALID says what is wrong; no part of the URL is in it */
bool fh_outside_url_write(const fh_outside_url *u, fh_buf *out);          /* "https://host:443/path" */

/* What the operator lists. Never changes once made; threads: any. */
typedef struct fh_outside_rule fh_outside_rule;
/* Entries WHAT or WHAT:PORT (else 443), NULL-terminated; WHAT: a host's name, an IPv4 address or range, an IPv6 address or range in
 * brackets
 * ("[fd00::/8]"). FH_E_USAGE. */
int fh_outside_rule_new(fh_outside_rule **ret, const char *const *allow, fh_err **err);
void fh_outside_rule_free(fh_outside_rule *r);
FH_DEFINE_AUTO(fh_outside_rule, fh_outside_rule_free);
#define FH_OUTSIDE_BAD_PORT "another port than 443"
/* May the URL be opened at that address, to which its host was resolved? When not, *ret_why says what stands against it: what
 * fh_address_special says, or FH_OUTSIDE_BAD_PORT. */
bool fh_outside_rule_allows(const fh_outside_rule *r, const fh_outside_url *u, const fh_address *a, const char **ret_why);

#endif
