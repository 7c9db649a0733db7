/* A record as OTLP spans in JSON (see otlp.h): one of the request, and one below it of each replica that was asked. */
#include "base/err.h"
#include "observe/otlp.h"

#include <stdio.h>
#include <string.h>

enum { SPAN_KIND_SERVER = 2, SPAN_KIND_CLIENT = 3, STATUS_ERROR = 2 };

/* Appends the members of the list "attributes", a comma before all but the first. */
static void begin_attribute(fh_buf *out, bool *first, const char *key)
{
    fh_buf_addf(out, "%s{\"key\":\"%s\",\"value\":{", *first ? "" : ",", key);
    *first = false;
}

static void add_bytes(fh_buf *out, bool *first, const char *key, const char *value, size_t bytes)
{
    if (!bytes) return;
    begin_attribute(out, first, key);
    fh_buf_adds(out, "\"stringValue\":");
    fh_buf_add_json_string(out, value, bytes);
    fh_buf_adds(out, "}}");
}

static void add_text(fh_buf *out, bool *first, const char *key, const char *value)
{
    add_bytes(out, first, key, value, value ? strlen(value) : 0);
}

static void add_number(fh_buf *out, bool *first, const char *key, uint64_t n)
{
    begin_attribute(out, first, key);
    fh_buf_addf(out, "\"intValue\":\"%llu\"}}", (unsigned long long)n);
}

static void add_list_of_one(fh_buf *out, bool *first, const char *key, const char *value)
{
    if (!value || !value[0]) return;
    begin_attribute(out, first, key);
    fh_buf_adds(out, "\"arrayValue\":{\"values\":[{\"stringValue\":");
    fh_buf_add_json_string(out, value, strlen(value));
    fh_buf_adds(out, "}]}}}");
}

static void add_error(fh_buf *out, bool *first, int code)
{
    char name[FH_ERROR_TYPE_BYTES];
    fh_record_error_type(code, name);
    add_text(out, first, "error.type", name);
}

static int64_t wall(const fh_record *r, int64_t mono_ns)
{
    return r->ended_utc_ns - (r->ended_ns - mono_ns);
}

static bool any(const uint8_t *id, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (id[i]) return true;
    return false;
}

static void begin_span(const fh_record *r, const uint8_t *span, const uint8_t *parent, int kind, int64_t began_ns, int64_t ended_ns,
                       fh_buf *out)
{
    char trace[2 * FH_TRACE_ID_BYTES + 1], id[2 * FH_SPAN_ID_BYTES + 1], above[2 * FH_SPAN_ID_BYTES + 1], name[256];
    fh_hex_encode(r->trace.id, FH_TRACE_ID_BYTES, trace, sizeof trace);
    fh_hex_encode(span, FH_SPAN_ID_BYTES, id, sizeof id);
    fh_hex_encode(parent, FH_SPAN_ID_BYTES, above, sizeof above);
    int len = snprintf(name, sizeof name, "%s%s%s", r->operation, r->model[0] ? " " : "", r->model);
    fh_buf_addf(out, "{\"traceId\":\"%s\",\"spanId\":\"%s\"", trace, id);
    if (any(parent, FH_SPAN_ID_BYTES)) fh_buf_addf(out, ",\"parentSpanId\":\"%s\"", above);
    fh_buf_adds(out, ",\"name\":");
    fh_buf_add_json_string(out, name, FH_MIN((size_t)len, sizeof name - 1));
    fh_buf_addf(out, ",\"kind\":%d,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\",\"attributes\":[", kind,
                (long long)wall(r, began_ns), (long long)wall(r, ended_ns));
}

static void end_span(fh_buf *out, bool failed)
{
    fh_buf_adds(out, "]");
    if (failed) fh_buf_addf(out, ",\"status\":{\"code\":%d}", STATUS_ERROR);
    fh_buf_adds(out, "}");
}

/* What both kinds of span say of the operation. */
static void add_operation(const fh_record *r, fh_buf *out, bool *first)
{
    add_text(out, first, "gen_ai.operation.name", r->operation);
    add_text(out, first, "gen_ai.provider.name", r->provider);
    add_text(out, first, "gen_ai.request.model", r->model);
}

static void add_usage(const fh_record *r, fh_buf *out, bool *first)
{
    if (r->prompt_tok) add_number(out, first, "gen_ai.usage.input_tokens", r->prompt_tok);
    if (r->completion_tok) add_number(out, first, "gen_ai.usage.output_tokens", r->completion_tok);
    add_list_of_one(out, first, "gen_ai.response.finish_reasons", r->finish);
}

/* The client's mistakes are no failures of ours. */
static bool is_failure(int code)
{
    return code && code != FH_E_CANCELLED && fh_code_http(code) >= 500;
}

static void write_request(const fh_record *r, fh_buf *out)
{
    bool first = true;
    begin_span(r, r->span, r->trace.parent, SPAN_KIND_SERVER, r->began_ns, r->ended_ns, out);
    add_operation(r, out, &first);
    add_usage(r, out, &first);
    add_bytes(out, &first, "http.request.method", r->method.ptr, r->method.len);
    add_bytes(out, &first, "url.path", r->path.ptr, FH_MIN(r->path.len, (size_t)FH_LIMIT_ACCESS_LOG_PATH_BYTES));
    if (r->status) add_number(out, &first, "http.response.status_code", (uint64_t)r->status);
    add_text(out, &first, "client.address", r->client);
    add_text(out, &first, "freehold.request_id", r->request_id);
    add_text(out, &first, "freehold.key_id", r->key_id);
    add_text(out, &first, "freehold.cache", r->cache);
    add_number(out, &first, "freehold.attempts", r->attempt_count);
    if (r->first_ns) add_number(out, &first, "freehold.first_token_us", (uint64_t)(r->first_ns - r->began_ns) / 1000);
    add_error(out, &first, r->gone ? FH_E_CANCELLED : r->code);
    end_span(out, is_failure(r->code));
}

static void write_attempt(const fh_record *r, const fh_attempt *a, unsigned number, fh_buf *out)
{
    bool first = true, open = a->ended_ns == 0; /* the client left while it ran */
    int code = open ? FH_E_CANCELLED : a->code;
    begin_span(r, a->span, r->span, SPAN_KIND_CLIENT, a->began_ns, open ? r->ended_ns : a->ended_ns, out);
    add_operation(r, out, &first);
    add_text(out, &first, "freehold.deployment", a->deployment);
    add_text(out, &first, "freehold.place", a->place);
    add_number(out, &first, "freehold.attempt", number);
    add_number(out, &first, "freehold.from_token", a->from_tok);
    if (!open) add_number(out, &first, "freehold.to_token", a->sent_tok);
    if (a->status) add_number(out, &first, "http.response.status_code", (uint64_t)a->status);
    add_error(out, &first, code);
    end_span(out, is_failure(code));
}

size_t fh_otlp_spans(const fh_record *r, fh_buf *out)
{
    unsigned told = FH_MIN(r->attempt_count, (unsigned)FH_LIMIT_RECORD_ATTEMPTS);
    write_request(r, out);
    for (unsigned i = 0; i < told; i++) {
        fh_buf_adds(out, ",");
        write_attempt(r, &r->attempts[i], i + 1 < told ? i + 1 : r->attempt_count, out);
    }
    return told + 1;
}
