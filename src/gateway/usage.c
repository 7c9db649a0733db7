/* What one request used, in words and numbers (see gateway/usage.h). */
#include "gateway/usage.h"

#include "base/clock.h"
#include "observe/record.h"
#include <inttypes.h>
#include <stdio.h>

#define PER_MILLION 1000000

const char *fh_counted_name(fh_counted c)
{
    static const char *const names[FH_COUNTED] = {"", "freehold", "upstream", "estimated"};
    return names[c];
}

const char *fh_covers_name(fh_covers c)
{
    static const char *const names[FH_COVERS] = {"prompt", "text"};
    return names[c];
}

/* ---- money ---- */

int64_t fh_usage_times(uint64_t tok, int64_t each)
{
    int64_t product;
    int64_t n = tok > INT64_MAX ? INT64_MAX : (int64_t)tok;
    return __builtin_mul_overflow(n, each, &product) ? INT64_MAX : product;
}

int64_t fh_usage_cost(uint64_t prompt_tok, uint64_t completion_tok, int64_t in_nusd, int64_t out_nusd)
{
    int64_t in = fh_usage_times(prompt_tok, in_nusd), out = fh_usage_times(completion_tok, out_nusd), sum;
    if (__builtin_add_overflow(in, out, &sum)) sum = INT64_MAX;
    return sum / PER_MILLION + (sum % PER_MILLION != 0);
}

void fh_usage_reckon(fh_usage *u, const fh_price *p)
{
    u->priced = p->known;
    u->has_energy = p->token_uj > 0;
    u->cost_nusd = fh_usage_cost(u->used.prompt_tok, u->used.completion_tok, p->in_nusd, p->out_nusd);
    u->energy_uj = fh_usage_times(u->used.completion_tok, p->token_uj);
}

const char *fh_usage_basis(const fh_usage *u)
{
    return u->priced || u->has_energy ? "modelled" : "unknown";
}

void fh_money_write(int64_t nano, char out[FH_MONEY_CHARS])
{
    uint64_t n = nano < 0 ? 0 - (uint64_t)nano : (uint64_t)nano;
    int used = snprintf(out, FH_MONEY_CHARS, "%s%" PRIu64 ".%09" PRIu64, nano < 0 ? "-" : "", n / 1000000000, n % 1000000000);
    for (int least = used - 7; used > least && out[used - 1] == '0';) out[--used] = '\0'; /* two digits stay */
}

/* ---- JSON ---- */

static void add_string(fh_buf *out, const char *name, fh_str value)
{
    fh_buf_addf(out, ",\"%s\":", name);
    if (value.len)
        fh_buf_add_json_string(out, value.ptr, value.len);
    else
        fh_buf_adds(out, "null");
}

static void add_text(fh_buf *out, const char *name, const char *value)
{
    add_string(out, name, fh_str_of(value));
}

static void add_count(fh_buf *out, const char *name, uint64_t n)
{
    fh_buf_addf(out, ",\"%s\":%" PRIu64, name, n);
}

/* A clock that was set back may have made it negative. */
static void add_ms(fh_buf *out, const char *name, int64_t ns)
{
    add_count(out, name, (uint64_t)(FH_MAX(ns, (int64_t)0) / FH_NS_PER_MS));
}

static void add_known(fh_buf *out, const char *name, bool known, uint64_t n)
{
    if (known)
        add_count(out, name, n);
    else
        add_text(out, name, NULL);
}

static void add_bool(fh_buf *out, const char *name, bool value)
{
    fh_buf_addf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void add_time(fh_buf *out, const char *name, int64_t utc_ns)
{
    char text[32];
    fh_clock_format_utc(utc_ns, text, sizeof text);
    add_text(out, name, text);
}

static void add_error(fh_buf *out, int code)
{
    char type[FH_ERROR_TYPE_BYTES];
    fh_record_error_type(code, type);
    add_text(out, "error", type);
}

static void add_failovers(const fh_usage *u, fh_buf *out)
{
    fh_buf_adds(out, ",\"failovers\":[");
    for (size_t i = 0; i < u->failover_count; i++) {
        const fh_usage_failover *f = &u->failovers[i];
        fh_buf_addf(out, "%s{\"at_token\":%" PRIu64, i ? "," : "", f->at_tok);
        add_string(out, "deployment", f->deployment);
        add_error(out, f->code);
        fh_buf_addc(out, '}');
    }
    fh_buf_addc(out, ']');
}

static void add_choice(const fh_usage *u, fh_buf *out)
{
    add_string(out, "model", u->model);
    add_string(out, "deployment", u->deployment);
    add_string(out, "place", u->place);
    add_string(out, "reason", u->reason);
    add_string(out, "alternatives", u->others);
    add_failovers(u, out);
    add_string(out, "cache", u->cache);
}

static void add_tokens(const fh_usage *u, fh_buf *out)
{
    add_count(out, "prompt_tokens", u->used.prompt_tok);
    add_count(out, "completion_tokens", u->used.completion_tok);
    add_text(out, "counted", fh_counted_name(u->used.counted));
    add_text(out, "covers", fh_covers_name(u->used.covers));
    add_known(out, "upstream_prompt_tokens", u->used.has_upstream, u->used.upstream_prompt_tok);
    add_known(out, "upstream_completion_tokens", u->used.has_upstream, u->used.upstream_completion_tok);
}

static void add_cost(const fh_usage *u, fh_buf *out)
{
    char money[FH_MONEY_CHARS];
    fh_money_write(u->cost_nusd, money);
    add_text(out, "cost", u->priced ? money : NULL);
    add_text(out, "currency", "USD");
    add_known(out, "energy_uj", u->has_energy && u->energy_uj >= 0, (uint64_t)u->energy_uj);
    add_text(out, "water_ul", NULL); /* until a place says what its power and cooling drink */
    add_text(out, "basis", fh_usage_basis(u));
}

void fh_usage_write_brief(const fh_usage *u, fh_buf *out)
{
    fh_buf_adds(out, "{\"request\":");
    fh_buf_add_json_string(out, u->request.ptr, u->request.len);
    add_choice(u, out);
    add_tokens(u, out);
    add_cost(u, out);
    fh_buf_addc(out, '}');
}

void fh_usage_write(const fh_usage *u, fh_buf *out)
{
    fh_buf_adds(out, "{\"request\":");
    fh_buf_add_json_string(out, u->request.ptr, u->request.len);
    add_string(out, "key", u->key);
    add_time(out, "time", u->began_utc_ns);
    add_ms(out, "duration_ms", u->duration_ns);
    add_ms(out, "queued_ms", u->queued_ns);
    add_string(out, "operation", u->operation);
    add_bool(out, "stream", u->stream);
    add_bool(out, "complete", u->complete);
    add_string(out, "finish_reason", u->finish);
    add_error(out, u->code);
    add_choice(u, out);
    add_tokens(u, out);
    add_bool(out, "differs", u->used.differs);
    add_count(out, "cached_tokens", u->used.cached_tok);
    add_count(out, "reasoning_tokens", u->used.reasoning_tok);
    add_count(out, "unsent_tokens", u->used.unsent_tok);
    add_cost(u, out);
    fh_buf_addc(out, '}');
}
