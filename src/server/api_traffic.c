/* GET /api/v1/traffic: what goes through the gateway now, each replica, and how the last failover went: times and counts, no text. */
#include "base/clock.h"
#include "gateway/traffic.h"
#include "server_private.h"

static fh_json *count(uint64_t n)
{
    return fh_json_new_int((int64_t)n);
}

static fh_json *text_or_null(const char *text)
{
    return text[0] ? fh_json_new_cstr(text) : fh_json_new_null();
}

/* Milliseconds behind the request's beginning; null for what has not come. */
static fh_json *after(const fh_failover *f, int64_t at_ns)
{
    return at_ns ? fh_json_new_int((at_ns - f->began_ns) / FH_NS_PER_MS) : fh_json_new_null();
}

static fh_json *error_of(int code)
{
    char type[FH_ERROR_TYPE_BYTES];
    fh_record_error_type(code, type);
    return text_or_null(type);
}

static fh_json *replica_json(const fh_upstream_view *v)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "deployment", fh_json_new_cstr(v->deployment));
    fh_json_set(o, "requests", count(v->requests));
    fh_json_set(o, "failures", count(v->failures));
    fh_json_set(o, "tool_calls", count(v->calls));
    fh_json_set(o, "bad_tool_calls", count(v->calls_bad));
    fh_json_set(o, "in_flight", count(v->in_flight));
    fh_json_set(o, "tokens_per_second", v->tok_per_s > 0 ? fh_json_new_real(v->tok_per_s) : fh_json_new_null());
    fh_json_set(o, "first_token_ms", v->first_token_s > 0 ? fh_json_new_int((int64_t)(v->first_token_s * 1000)) : fh_json_new_null());
    fh_json_set(o, "paused", fh_json_new_bool(v->open));
    return o;
}

static fh_json *replicas_json(const fh_gateway *g)
{
    fh_json *list = fh_json_new_array();
    fh_upstream_view *views = fh_calloc(FH_LIMIT_UPSTREAMS, sizeof *views);
    size_t n = views ? fh_gateway_upstreams(g, views, FH_LIMIT_UPSTREAMS) : 0;
    for (size_t i = 0; i < n; i++) fh_json_append(list, replica_json(&views[i]));
    fh_free(views);
    return list;
}

static fh_json *attempt_json(const fh_failover *f, const fh_attempt *a)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "deployment", fh_json_new_cstr(a->deployment));
    fh_json_set(o, "place", fh_json_new_cstr(a->place));
    fh_json_set(o, "began_ms", after(f, a->began_ns));
    fh_json_set(o, "first_token_ms", after(f, a->first_ns));
    fh_json_set(o, "ended_ms", after(f, a->ended_ns));
    fh_json_set(o, "from_token", count(a->from_tok));
    fh_json_set(o, "to_token", a->ended_ns ? count(a->sent_tok) : fh_json_new_null());
    fh_json_set(o, "error", error_of(a->code));
    return o;
}

static fh_json *failover_json(const fh_failover *f)
{
    fh_json *o = fh_json_new_object(), *attempts = fh_json_new_array();
    for (unsigned i = 0; i < f->attempt_count && i < FH_LIMIT_RECORD_ATTEMPTS; i++)
        fh_json_append(attempts, attempt_json(f, &f->attempts[i]));
    fh_json_set(o, "began", api_time(f->utc_ns));
    fh_json_set(o, "model", fh_json_new_cstr(f->model));
    fh_json_set(o, "stream", fh_json_new_bool(f->stream));
    fh_json_set(o, "over", fh_json_new_bool(f->over));
    fh_json_set(o, "error", error_of(f->code));
    fh_json_set(o, "first_token_ms", after(f, f->first_ns));
    fh_json_set(o, "ended_ms", after(f, f->ended_ns));
    fh_json_set(o, "completion_tokens", count(f->completion_tok));
    fh_json_set(o, "attempt_count", count(f->attempt_count));
    fh_json_set(o, "attempts", attempts);
    return o;
}

void api_traffic(api_call *c)
{
    fh_traffic t;
    fh_failover f;
    fh_json *o = fh_json_new_object();
    const fh_gateway *g = c->server->gateway;
    fh_gateway_traffic(g, &t);
    fh_json_set(o, "time", api_time(fh_clock_utc_ns()));
    fh_json_set(o, "in_flight", count(t.in_flight));
    fh_json_set(o, "finished", count(t.finished));
    fh_json_set(o, "failed", count(t.failed));
    fh_json_set(o, "cancelled", count(t.cancelled));
    fh_json_set(o, "limited", count(t.limited));
    fh_json_set(o, "retried", count(t.retried));
    fh_json_set(o, "resumed", count(t.resumed));
    fh_json_set(o, "prompt_tokens", count(t.prompt_tok));
    fh_json_set(o, "completion_tokens", count(t.completion_tok));
    fh_json_set(o, "replicas", replicas_json(g));
    fh_json_set(o, "failover", fh_gateway_failover(g, &f) ? failover_json(&f) : fh_json_new_null());
    api_reply(c, 200, o);
}
