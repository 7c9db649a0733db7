/* Headers of limits (see limit_headers.h). */
#include "limit_headers.h"

#include "base/clock.h"
#include <stdio.h>

/* How long until a bucket is full again, as OpenAI writes it: 12ms, 6s, 1m30s. */
static void write_span(int64_t ns, char *out, size_t out_size)
{
    int64_t ms = ns / FH_NS_PER_MS, s = ms / 1000;
    if (ms < 1000)
        snprintf(out, out_size, "%lldms", (long long)ms);
    else if (s < 60)
        snprintf(out, out_size, "%llds", (long long)s);
    else
        snprintf(out, out_size, "%lldm%llds", (long long)(s / 60), (long long)(s % 60));
}

static void add(fh_http_req *req, bool anthropic, const char *what, const char *of, const char *value)
{
    char name[64];
    if (anthropic)
        snprintf(name, sizeof name, "anthropic-ratelimit-%s-%s", of, what);
    else
        snprintf(name, sizeof name, "x-ratelimit-%s-%s", what, of);
    fh_http_reply_header(req, name, value);
}

/* Anthropic says when it is full, in whole seconds; OpenAI after how long. */
static void add_three(fh_http_req *req, bool anthropic, const char *of, uint64_t limit, uint64_t left, int64_t full_ns)
{
    char text[32];
    if (!limit) return;
    snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    add(req, anthropic, "limit", of, text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)left);
    add(req, anthropic, "remaining", of, text);
    if (anthropic)
        fh_clock_format_utc((fh_clock_utc_ns() + full_ns + FH_NS_PER_S - 1) / FH_NS_PER_S * FH_NS_PER_S, text, sizeof text);
    else
        write_span(full_ns, text, sizeof text);
    add(req, anthropic, "reset", of, text);
}

void fh_limit_headers_add(fh_http_req *req, const fh_limit_state *s, bool anthropic)
{
    add_three(req, anthropic, "requests", s->limits.requests_per_min, s->requests_left, s->requests_full_ns);
    add_three(req, anthropic, "tokens", s->limits.tok_per_min, s->tok_left, s->tok_full_ns);
}
