/* Addresses and ranges of them. */
#include "net/address.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool fh_address_parse(fh_str text, fh_address *ret)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len)) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, ret->bytes) == 1) return true;
    memcpy(ret->bytes, v4_prefix, sizeof v4_prefix);
    return inet_pton(AF_INET, copy, ret->bytes + sizeof v4_prefix) == 1;
}

bool fh_address_is_v4(const fh_address *a)
{
    return memcmp(a->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

bool fh_address_is_loopback(const fh_address *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return fh_address_is_v4(a) ? a->bytes[12] == 127 : memcmp(a->bytes, one, sizeof one) == 0;
}

void fh_address_write(const fh_address *a, char out[FH_ADDRESS_TEXT])
{
    bool v4 = fh_address_is_v4(a);
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->bytes + sizeof v4_prefix : a->bytes, out, FH_ADDRESS_TEXT);
}

/* How many of the first bits two addresses share. */
static unsigned bits_shared(const fh_address *a, const fh_address *b)
{
    unsigned n = 0;
    while (n < 128 && ((a->bytes[n / 8] ^ b->bytes[n / 8]) & (0x80u >> n % 8)) == 0) n++;
    return n;
}

static bool ends_in_zeros(const fh_address *a, unsigned bits)
{
    for (unsigned n = bits; n < 128; n++)
        if (a->bytes[n / 8] & (0x80u >> n % 8)) return false;
    return true;
}

int fh_range_parse(fh_str text, fh_range *ret, fh_err **err)
{
    size_t slash = fh_str_find(text, FH_STR("/"));
    fh_str address = {text.ptr, slash};
    uint64_t bits = 0;
    fh_range r;
    bool good = fh_address_parse(address, &r.first);
    unsigned most = good && fh_address_is_v4(&r.first) && !memchr(address.ptr, ':', address.len) ? 32 : 128;
    if (good && slash < text.len) good = fh_str_u64((fh_str){text.ptr + slash + 1, text.len - slash - 1}, most, &bits);
    r.bits = slash < text.len ? 128 - most + (unsigned)bits : 128;
    if (good && ends_in_zeros(&r.first, r.bits)) {
        *ret = r;
        return 0;
    }
    fh_err_set(err, FH_E_USAGE, "'%.*s' is no range of addresses", (int)FH_MIN(text.len, (size_t)64), text.ptr);
    fh_err_hint(err, good ? "what follows the first bits must be zero: write 10.0.0.0/8, not 10.1.2.3/8"
                          : "write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32");
    return FH_E_USAGE;
}

bool fh_range_holds(const fh_range *r, const fh_address *a)
{
    return bits_shared(&r->first, a) >= r->bits;
}

/* ---- URLs ---- */

bool fh_url_is_own(fh_str url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < FH_COUNT(hosts); i++) {
        fh_str h = fh_str_of(hosts[i]);
        if (fh_str_starts(url, h) && (url.len == h.len || url.ptr[h.len] == ':' || url.ptr[h.len] == '/')) return true;
    }
    return false;
}
