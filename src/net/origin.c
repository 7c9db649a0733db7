/* Host, Origin and Sec-Fetch-Site, compared as whole names: a prefix proves nothing. */
#include "net/origin.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <string.h>

fh_str fh_host_name(fh_str host)
{
    if (host.len && host.ptr[0] == '[') {
        size_t end = fh_str_find(host, FH_STR("]"));
        bool whole = end + 1 == host.len || (end + 1 < host.len && host.ptr[end + 1] == ':');
        return whole ? (fh_str){host.ptr, end + 1} : host;
    }
    return (fh_str){host.ptr, fh_str_find(host, FH_STR(":"))};
}

bool fh_host_is_local(fh_str host)
{
    static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
    fh_str name = fh_host_name(host);
    for (size_t i = 0; i < FH_COUNT(always); i++)
        if (fh_str_ieq(name, fh_str_of(always[i]))) return true;
    return false;
}

bool fh_host_is_address(fh_str host)
{
    char text[64];
    uint8_t address[16];
    fh_str name = fh_host_name(host);
    bool v6 = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
    fh_str bare = v6 ? (fh_str){name.ptr + 1, name.len - 2} : name;
    if (bare.len == 0 || bare.len >= sizeof text) return false;
    memcpy(text, bare.ptr, bare.len);
    text[bare.len] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, address) == 1;
}

bool fh_origin_is(fh_str origin, fh_str host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < FH_COUNT(schemes); i++) {
        fh_str scheme = fh_str_of(schemes[i]);
        if (!fh_str_starts(origin, scheme)) continue;
        return fh_str_ieq((fh_str){origin.ptr + scheme.len, origin.len - scheme.len}, host);
    }
    return false;
}

bool fh_origin_is_foreign(fh_str host, fh_str origin, fh_str sec_fetch_site)
{
    if (origin.ptr && !fh_origin_is(origin, host)) return true;
    return sec_fetch_site.ptr && !fh_str_ieq(sec_fetch_site, FH_STR("same-origin")) && !fh_str_ieq(sec_fetch_site, FH_STR("none"));
}
