/* The rule for addresses that strangers name, on arbitrary bytes: a URL that is read is written so that it is read the same again, by us
 * and by libcurl, which will open it; an address that passes is none that the system's macros know to be special. */
#include "net/outside_rule.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_part(CURLU *u, CURLUPart part, const char *want)
{
    char *text = NULL;
    if (curl_url_get(u, part, &text, 0) || strcmp(text, want) != 0) abort();
    curl_free(text);
}

static void libcurl_reads_it_so_too(const fh_outside_url *u, const char *text)
{
    CURLU *c = curl_url();
    char host[300], port[16];
    bool v6 = strchr(u->host, ':') != NULL;
    snprintf(host, sizeof host, v6 ? "[%s]" : "%s", u->host);
    snprintf(port, sizeof port, "%u", u->port);
    if (!c || curl_url_set(c, CURLUPART_URL, text, CURLU_PATH_AS_IS)) abort();
    expect_part(c, CURLUPART_SCHEME, "https");
    if (!v6) expect_part(c, CURLUPART_HOST, host); /* IPv6 it may write shorter */
    expect_part(c, CURLUPART_PORT, port);
    char *user = NULL;
    if (curl_url_get(c, CURLUPART_USER, &user, 0) != CURLUE_NO_USER) abort();
    curl_url_cleanup(c);
}

static void a_url(fh_str text)
{
    fh_outside_url u, again;
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 16), more = FH_BUF(1 << 16);
    if (fh_outside_url_parse(&u, text, NULL)) return;
    if (!fh_outside_url_write(&u, &out) || fh_outside_url_parse(&again, (fh_str){out.data, out.len}, NULL)) abort();
    if (strcmp(u.host, again.host) != 0 || u.port != again.port || u.is_address != again.is_address) abort();
    if (!fh_outside_url_write(&again, &more) || strcmp(out.data, more.data) != 0) abort();
    libcurl_reads_it_so_too(&u, out.data);
}

static void an_address(const uint8_t *data)
{
    fh_address a;
    struct in6_addr in;
    char text[FH_ADDRESS_TEXT];
    fh_address again;
    memcpy(a.bytes, data, sizeof a.bytes);
    memcpy(&in, data, sizeof in);
    fh_address_write(&a, text);
    if (!fh_address_parse(fh_str_of(text), &again) || memcmp(&a, &again, sizeof a) != 0) abort();
    if (fh_address_special(&a)) return;
    uint32_t v4 = (uint32_t)a.bytes[12] << 24 | (uint32_t)a.bytes[13] << 16 | (uint32_t)a.bytes[14] << 8 | a.bytes[15];
    if (!fh_address_is_v4(&a) && (a.bytes[0] & 0xe0) != 0x20) abort();
    if (fh_address_is_v4(&a) &&
        (v4 >> 24 == 127 || IN_MULTICAST(v4) || IN_BADCLASS(v4) || v4 >> 24 == 10 || v4 >> 16 == 0xc0a8 || v4 >> 16 == 0xa9fe))
        abort();
}

static void a_rule(const uint8_t *data, size_t size)
{
    FH_AUTO(ptr) char *text = fh_strndup((const char *)data, size);
    const char *const list[] = {text, NULL};
    fh_outside_rule *r = NULL;
    if (text && fh_outside_rule_new(&r, list, NULL) == 0) fh_outside_rule_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    if (data[0] % 3 == 0)
        a_url((fh_str){(const char *)data + 1, size - 1});
    else if (data[0] % 3 == 1)
        a_rule(data + 1, size - 1);
    else if (size > sizeof(fh_address))
        an_address(data + 1);
    return 0;
}
