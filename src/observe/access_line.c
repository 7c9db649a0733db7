/* The access log's line of one request (see access_log.h). Members are always there and always in this order; what a request has not got is
 * null. */
#include "base/clock.h"
#include "base/err.h"
#include "observe/access_log.h"

#include <string.h>

static void add_string(fh_buf *out, const char *name, const char *value, size_t bytes)
{
    fh_buf_addf(out, ",\"%s\":", name);
    if (bytes)
        fh_buf_add_json_string(out, value, bytes);
    else
        fh_buf_adds(out, "null");
}

static void add_text(fh_buf *out, const char *name, const char *value)
{
    add_string(out, name, value, value ? strlen(value) : 0);
}

static void add_count(fh_buf *out, const char *name, uint64_t n)
{
    fh_buf_addf(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

/* In milliseconds; null for what never came. */
static void add_time(fh_buf *out, const char *name, bool known, int64_t ns)
{
    if (known)
        fh_buf_addf(out, ",\"%s\":%.3f", name, (double)ns / 1e6);
    else
        fh_buf_addf(out, ",\"%s\":null", name);
}

static void add_id(fh_buf *out, const char *name, const uint8_t *id, size_t bytes)
{
    char text[2 * FH_TRACE_ID_BYTES + 1];
    fh_hex_encode(id, bytes, text, sizeof text);
    add_text(out, name, text);
}

static const fh_attempt *last_attempt(const fh_record *r)
{
    unsigned told = FH_MIN(r->attempt_count, (unsigned)FH_LIMIT_RECORD_ATTEMPTS);
    return told ? &r->attempts[told - 1] : NULL;
}

static void add_error(fh_buf *out, int code)
{
    char name[FH_ERROR_TYPE_BYTES];
    fh_record_error_type(code, name);
    add_text(out, "error", name);
}

static void add_request_for_a_model(const fh_record *r, fh_buf *out)
{
    const fh_attempt *last = last_attempt(r);
    add_text(out, "operation", r->operation);
    add_text(out, "model", r->model);
    add_text(out, "deployment", last ? last->deployment : NULL);
    add_text(out, "place", last ? last->place : NULL);
    add_count(out, "attempts", r->attempt_count);
    fh_buf_adds(out, r->stream ? ",\"stream\":true" : ",\"stream\":false");
    add_text(out, "cache", r->cache);
    add_count(out, "prompt_tokens", r->prompt_tok);
    add_count(out, "completion_tokens", r->completion_tok);
    add_text(out, "finish_reason", r->finish);
    add_error(out, r->code);
    add_time(out, "queued_ms", true, r->queued_ns);
    add_time(out, "first_token_ms", r->first_ns > 0, r->first_ns - r->began_ns);
    add_id(out, "trace_id", r->trace.id, sizeof r->trace.id);
    add_id(out, "span_id", r->span, sizeof r->span);
}

void fh_access_log_line(const fh_record *r, fh_buf *out)
{
    char time[32];
    fh_clock_format_utc(r->ended_utc_ns, time, sizeof time);
    fh_buf_addf(out, "{\"time\":\"%s\"", time);
    add_text(out, "request_id", r->request_id);
    add_text(out, "key", r->key_id);
    add_text(out, "client", r->client);
    add_string(out, "method", r->method.ptr, r->method.len);
    add_string(out, "path", r->path.ptr, FH_MIN(r->path.len, (size_t)FH_LIMIT_ACCESS_LOG_PATH_BYTES));
    if (r->status)
        add_count(out, "status", (uint64_t)r->status);
    else
        fh_buf_adds(out, ",\"status\":null");
    fh_buf_adds(out, r->gone ? ",\"complete\":false" : ",\"complete\":true");
    add_count(out, "in_bytes", r->in_bytes);
    add_count(out, "out_bytes", r->out_bytes);
    add_time(out, "total_ms", true, r->ended_ns - r->began_ns);
    if (r->operation) add_request_for_a_model(r, out);
    fh_buf_adds(out, "}\n");
}
