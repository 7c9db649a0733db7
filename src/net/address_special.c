/* Which addresses are no part of the public internet, or lead back into a private one. */
#include "net/address.h"
#include "base/mem.h"

#include <string.h>

typedef struct special {
    fh_range range;
    const char *what;
} special;

/* clang-format off */
#define V4(a, b, c, d, bits) {{{[10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b), [14] = (c), [15] = (d)}}, 96 + (bits)}
#define V6(a, b, c, d, bits) {{{(a) >> 8, (a) & 255, (b) >> 8, (b) & 255, (c) >> 8, (c) & 255, (d) >> 8, (d) & 255}}, (bits)}

/* RFC 6890 and its registry. What the registry calls globally reachable is not here: AS112, AMT. */
static const special v4[] = {
    {V4(0, 0, 0, 0, 8), "an address of this network"},
    {V4(10, 0, 0, 0, 8), "a private address"},
    {V4(100, 64, 0, 0, 10), "an address shared behind a carrier's NAT"},
    {V4(127, 0, 0, 0, 8), "a loopback address"},
    {V4(168, 63, 129, 16, 32), "a metadata service"}, /* Azure */
    {V4(169, 254, 0, 0, 16), "a link-local address"}, /* 169.254.169.254: metadata services */
    {V4(172, 16, 0, 0, 12), "a private address"},
    {V4(192, 0, 0, 0, 24), "an address of protocols"}, /* 192.0.0.192: Oracle's metadata */
    {V4(192, 0, 2, 0, 24), "an address of documentation"},
    {V4(192, 88, 99, 0, 24), "a 6to4 relay"},
    {V4(192, 168, 0, 0, 16), "a private address"},
    {V4(198, 18, 0, 0, 15), "an address of benchmarks"},
    {V4(198, 51, 100, 0, 24), "an address of documentation"},
    {V4(203, 0, 113, 0, 24), "an address of documentation"},
    {V4(224, 0, 0, 0, 4), "a multicast address"},
    {V4(240, 0, 0, 0, 4), "a reserved address"},
};

/* Of 2000::/3, which is all that is given out; the rest have names for the error alone. */
static const special v6[] = {
    {V6(0x2001, 0, 0, 0, 23), "an address of protocols"}, /* Teredo 2001::/32, ORCHID, ... */
    {V6(0x2001, 0x0db8, 0, 0, 32), "an address of documentation"},
    {V6(0x2002, 0, 0, 0, 16), "a 6to4 address"},
    {V6(0x3fff, 0, 0, 0, 20), "an address of documentation"},
    {V6(0x0064, 0xff9b, 0, 0, 32), "a NAT64 address"},
    {V6(0xfc00, 0, 0, 0, 7), "a private address"}, /* fd00:ec2::254: Amazon's metadata */
    {V6(0xfe80, 0, 0, 0, 10), "a link-local address"},
    {V6(0xfec0, 0, 0, 0, 10), "a private address"},
    {V6(0xff00, 0, 0, 0, 8), "a multicast address"},
};
static const fh_range given_out = V6(0x2000, 0, 0, 0, 3);
/* clang-format on */

static const char *find(const special *list, size_t count, const fh_address *a)
{
    for (size_t i = 0; i < count; i++)
        if (fh_range_holds(&list[i].range, a)) return list[i].what;
    return NULL;
}

/* RFC 5214: an interface id that holds an IPv4 address which a router of the site delivers to. */
static bool is_isatap(const fh_address *a)
{
    return (a->bytes[8] & ~2) == 0 && a->bytes[9] == 0 && a->bytes[10] == 0x5e && a->bytes[11] == 0xfe;
}

const char *fh_address_special(const fh_address *a)
{
    if (fh_address_is_v4(a)) return find(v4, FH_COUNT(v4), a);
    if (fh_address_is_loopback(a)) return "a loopback address";
    const char *what = find(v6, FH_COUNT(v6), a);
    if (what) return what;
    if (!fh_range_holds(&given_out, a)) return "a reserved address";
    return is_isatap(a) ? "an ISATAP address" : NULL;
}
