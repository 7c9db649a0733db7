/* What may be opened of what others name (see outside_rule.h). */
#include "net/outside_rule.h"

#include "base/limits.h"
#include "base/mem.h"

#include <ctype.h>
#include <string.h>

enum { HTTPS_PORT = 443, LABEL_MAX = 63 };

/* ---- URLs ---- */

static int bad(fh_err **err, const char *what)
{
    return fh_err_set(err, FH_E_INVALID, "%s", what);
}

static fh_str behind(fh_str s, size_t n)
{
    return (fh_str){s.ptr + n, s.len - n};
}

static int check_text(fh_str text, fh_err **err)
{
    if (text.len > FH_LIMIT_OUTSIDE_URL_BYTES)
        return fh_err_set(err, FH_E_INVALID, "the URL is longer than %d bytes", FH_LIMIT_OUTSIDE_URL_BYTES);
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '\\')
            return bad(err, "the URL has a character that must be percent-encoded");
    return 0;
}

static bool is_label(fh_str label)
{
    if (!label.len || label.len > LABEL_MAX || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-') return false;
    for (size_t i = 0; i < label.len; i++)
        if (!isalnum((unsigned char)label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] != '_') return false;
    return true;
}

/* A last label of digits, or of hexadecimal ones behind 0x, makes resolvers read the whole as an IPv4 address: 2130706433, 0x7f.1, 127.1.
 */
static bool is_number(fh_str label)
{
    bool hex = label.len >= 2 && label.ptr[0] == '0' && (label.ptr[1] | 0x20) == 'x';
    for (size_t i = hex ? 2 : 0; i < label.len; i++)
        if (hex ? !isxdigit((unsigned char)label.ptr[i]) : !isdigit((unsigned char)label.ptr[i])) return false;
    return label.len > 0;
}

static int check_name(fh_str name, fh_err **err)
{
    fh_str label;
    for (fh_str rest = name;; rest = behind(rest, label.len + 1)) {
        size_t dot = fh_str_find(rest, FH_STR("."));
        label = (fh_str){rest.ptr, dot};
        if (!is_label(label)) return bad(err, "the host of the URL is no name and no address");
        if (dot == rest.len) break;
    }
    return is_number(label) ? bad(err, "an address in a URL is written as four decimal numbers, or as IPv6 in brackets") : 0;
}

static void copy_lower(char *out, fh_str s)
{
    for (size_t i = 0; i < s.len; i++) out[i] = (char)tolower((unsigned char)s.ptr[i]);
    out[s.len] = '\0';
}

/* IPv6 in brackets. One that holds an IPv4 address stands for that in some places and not in others. */
static int take_v6(fh_outside_url *u, fh_str inner, fh_err **err)
{
    if (!memchr(inner.ptr, ':', inner.len) || !fh_address_parse(inner, &u->address))
        return bad(err, "what is in brackets in the URL is no IPv6 address");
    if (fh_address_is_v4(&u->address)) return bad(err, "an IPv4 address in a URL is not written as IPv6");
    u->is_address = true;
    copy_lower(u->host, inner);
    return 0;
}

static int take_host(fh_outside_url *u, fh_str host, fh_err **err)
{
    if (host.len && host.ptr[0] == '[') return take_v6(u, (fh_str){host.ptr + 1, host.len - 2}, err);
    if (!host.len || host.len >= sizeof u->host) return bad(err, "the host of the URL is no name and no address");
    u->is_address = !memchr(host.ptr, ':', host.len) && fh_address_parse(host, &u->address);
    int rc = u->is_address ? 0 : check_name(host, err);
    copy_lower(u->host, host);
    return rc;
}

static int take_port(fh_outside_url *u, fh_str text, fh_err **err)
{
    uint64_t port = HTTPS_PORT;
    if (text.len && (text.len == 1 || text.ptr[1] == '0' || !fh_str_u64(behind(text, 1), UINT16_MAX, &port)))
        return bad(err, "the port of the URL is none");
    u->port = (uint16_t)port;
    return 0;
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static int take_authority(fh_outside_url *u, fh_str text, fh_err **err)
{
    bool v6 = text.len && text.ptr[0] == '[';
    if (memchr(text.ptr, '@', text.len)) return bad(err, "the URL has a user or a password in it");
    size_t end = v6 ? fh_str_find(text, FH_STR("]")) : fh_str_find(text, FH_STR(":"));
    if (v6 && end == text.len) return bad(err, "the host of the URL is no name and no address");
    end += v6;
    if (end < text.len && text.ptr[end] != ':') return bad(err, "the host of the URL is no name and no address");
    int rc = take_host(u, (fh_str){text.ptr, end}, err);
    return rc ? rc : take_port(u, behind(text, end), err);
}

static size_t find_any(fh_str s, const char *chars)
{
    size_t i = 0;
    while (i < s.len && !strchr(chars, s.ptr[i])) i++;
    return i;
}

int fh_outside_url_parse(fh_outside_url *ret, fh_str text, fh_err **err)
{
    fh_outside_url u = {0};
    fh_str scheme = FH_STR("https://");
    int rc = check_text(text, err);
    if (rc) return rc;
    if (text.len < scheme.len || !fh_str_ieq((fh_str){text.ptr, scheme.len}, scheme))
        return bad(err, "the URL does not begin with https://");
    fh_str rest = behind(text, scheme.len);
    size_t end = find_any(rest, "/?#");
    rc = take_authority(&u, (fh_str){rest.ptr, end}, err);
    if (rc) return rc;
    rest = behind(rest, end);
    u.target = (fh_str){rest.ptr, find_any(rest, "#")};
    *ret = u;
    return 0;
}

bool fh_outside_url_write(const fh_outside_url *u, fh_buf *out)
{
    bool v6 = strchr(u->host, ':') != NULL, slash = u->target.len && u->target.ptr[0] == '/';
    fh_buf_addf(out, v6 ? "https://[%s]:%u" : "https://%s:%u", u->host, u->port);
    if (!slash) fh_buf_addc(out, '/');
    return fh_buf_add(out, u->target.ptr, u->target.len);
}

/* ---- what is allowed ---- */

typedef struct entry {
    char name[254]; /* "": the range counts */
    fh_range range;
    uint16_t port;
} entry;

struct fh_outside_rule {
    size_t count;
    entry entries[];
};

static int bad_entry(fh_err **err, fh_str text)
{
    fh_err_set(err, FH_E_USAGE, "'%.*s' is no host, address or range that could be allowed", (int)FH_MIN(text.len, (size_t)64), text.ptr);
    fh_err_hint(err, "write images.example.org, images.example.org:8443, 10.1.0.0/16 or [fd00::/8]:8443");
    return FH_E_USAGE;
}

static bool take_range(entry *e, fh_str what, bool v6)
{
    return v6 == (memchr(what.ptr, ':', what.len) != NULL) && fh_range_parse(what, &e->range, NULL) == 0;
}

static int read_entry(entry *e, fh_str text, fh_err **err)
{
    bool v6 = text.len && text.ptr[0] == '[';
    size_t end = v6 ? fh_str_find(text, FH_STR("]")) + 1 : fh_str_find(text, FH_STR(":"));
    fh_outside_url u = {0};
    if (end > text.len || (end < text.len && text.ptr[end] != ':') || take_port(&u, behind(text, end), NULL)) return bad_entry(err, text);
    fh_str what = v6 ? (fh_str){text.ptr + 1, end - 2} : (fh_str){text.ptr, end};
    e->port = u.port;
    if (what.len && take_range(e, what, v6)) return 0;
    if (v6 || take_host(&u, what, NULL)) return bad_entry(err, text);
    memcpy(e->name, u.host, sizeof e->name);
    return 0;
}

int fh_outside_rule_new(fh_outside_rule **ret, const char *const *allow, fh_err **err)
{
    size_t count = 0;
    while (allow && allow[count]) count++;
    FH_AUTO(fh_outside_rule) fh_outside_rule *r = fh_calloc(1, sizeof *r + count * sizeof *r->entries);
    if (!r) return fh_err_nomem(err);
    int rc = 0;
    for (; rc == 0 && r->count < count; r->count++) rc = read_entry(&r->entries[r->count], fh_str_of(allow[r->count]), err);
    if (rc == 0) *ret = fh_take(r);
    return rc;
}

void fh_outside_rule_free(fh_outside_rule *r)
{
    fh_free(r);
}

bool fh_outside_rule_allows(const fh_outside_rule *r, const fh_outside_url *u, const fh_address *a, const char **ret_why)
{
    for (size_t i = 0; i < r->count; i++) {
        const entry *e = &r->entries[i];
        bool it = e->name[0] ? strcmp(e->name, u->host) == 0 : fh_range_holds(&e->range, a);
        if (it && e->port == u->port) return true;
    }
    const char *why = fh_address_special(a);
    if (!why && u->port != HTTPS_PORT) why = FH_OUTSIDE_BAD_PORT;
    if (why) *ret_why = why;
    return !why;
}
