/* What an exchange used, by whom it was counted, and how that is told: to its client, and for keeping (see exchange.h). */
#include "exchange.h"

#include "exchange_model.h"
#include "gateway/usage_store.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OBJECT_BYTES = 8192 };

/* ---- tokens ---- */

/* A prompt that was sent is used, also when nobody waits for its answer any more; and an event of a stream holds a token, or more. */
static void estimate(const fh_exchange *x, fh_used *u)
{
    bool sent = x->call_ns && (x->status < 400 || x->streaming);
    u->prompt_tok = sent ? fh_usage_estimate(x->prompt_bytes) : 0;
    u->completion_tok = FH_MAX(fh_sent_count(&x->sent), fh_usage_estimate(x->heard_bytes));
    u->counted = sent || u->completion_tok ? FH_COUNTED_ESTIMATED : FH_COUNTED_NOT;
    u->covers = FH_COVERS_TEXT;
}

/* What the replica says. */
static void believe(const fh_exchange *x, fh_used *u)
{
    u->has_upstream = true;
    u->prompt_tok = u->upstream_prompt_tok = x->usage.prompt_tok;
    u->completion_tok = u->upstream_completion_tok = x->usage.completion_tok;
    u->cached_tok = x->usage.cached_tok;
    u->reasoning_tok = x->usage.reasoning_tok;
    u->counted = x->route.own_engine ? FH_COUNTED_FREEHOLD : FH_COUNTED_UPSTREAM;
    u->covers = FH_COVERS_PROMPT;
}

fh_used fh_exchange_used(const fh_exchange *x)
{
    fh_used u = {.unsent_tok = fh_exchange_wasted_tok(x)};
    if (x->cache != FH_CACHE_OFF) { /* somebody else's call: as it was told of it, or else what is charged of it */
        u = x->shared;
        if (!x->has_shared) u = (fh_used){.completion_tok = x->charged_tok, .counted = FH_COUNTED_ESTIMATED};
    } else if (x->counting || x->op == FH_OP_TOKENIZE)
        u.counted = FH_COUNTED_NOT;
    else if (x->has_usage)
        believe(x, &u);
    else
        estimate(x, &u);
    if (x->has_counted) fh_used_counted(&u, &x->counted);
    return u;
}

fh_spent fh_exchange_spent(const fh_exchange *x)
{
    fh_spent s = {.in_nusd = x->price.in_nusd, .out_nusd = x->price.out_nusd};
    if (x->cache != FH_CACHE_OFF) {
        s.answer_tok = x->charged_tok;
        return s;
    }
    fh_used u = fh_exchange_used(x);
    s.prompt_tok = u.prompt_tok;
    s.answer_tok = u.completion_tok + u.unsent_tok;
    return s;
}

/* ---- the record ---- */

/* A hit costs nothing: nothing was computed for it. */
static void reckon(const fh_exchange *x, fh_usage *u)
{
    bool hit = x->cache == FH_CACHE_KEPT || x->cache == FH_CACHE_JOINED;
    if (hit)
        u->priced = u->has_energy = true;
    else
        fh_usage_reckon(u, &x->price);
}

static void note_failovers(const fh_seen *s, fh_usage *u)
{
    unsigned told = FH_MIN(s->attempt_count, (unsigned)FH_LIMIT_RECORD_ATTEMPTS);
    for (unsigned i = 0; i + 1 < told; i++) {
        const fh_attempt *a = &s->attempts[i];
        u->failovers[u->failover_count++] = (fh_usage_failover){fh_str_of(a->deployment), a->code, a->sent_tok};
    }
    if (told) u->deployment = fh_str_of(s->attempts[told - 1].deployment);
}

void fh_exchange_usage(const fh_exchange *x, fh_usage *ret)
{
    int64_t now = fh_clock_mono_ns();
    *ret = (fh_usage){.request = fh_str_of(x->request_id),
                      .key = fh_str_of(x->key.id),
                      .duration_ns = now - x->start_ns,
                      .queued_ns = x->seen.queued_ns,
                      .began_utc_ns = fh_clock_utc_ns() - (now - x->start_ns),
                      .operation = fh_str_of(fh_operation_name(x->op)),
                      .model = fh_str_of(x->route.model),
                      .deployment = fh_str_of(x->route.deployment),
                      .place = fh_str_of(x->route.place),
                      .reason = fh_str_of(x->route.reason),
                      .others = fh_str_of(x->route.others),
                      .cache = fh_str_of(fh_cache_state_name(x->cache)),
                      .finish = fh_str_of(x->seen.finished ? fh_wire_finish_name(x->seen.finish) : ""),
                      .stream = x->wants_stream,
                      .complete = !x->seen.gone && !x->failed,
                      .code = fh_seen_code(x),
                      .used = fh_exchange_used(x)};
    note_failovers(&x->seen, ret);
    reckon(x, ret);
}

/* Of those that came to a replica, or to its answer, and wanted one. */
void fh_exchange_keep_usage(const fh_exchange *x)
{
    fh_usage u;
    bool wanted = x->op == FH_OP_CHAT || x->op == FH_OP_COMPLETION || x->op == FH_OP_EMBED;
    if (!x->gateway->config.usage || fh_exchange_leads(x) || !wanted) return;
    if (!x->seen.attempt_count && x->cache == FH_CACHE_OFF) return;
    fh_exchange_usage(x, &u);
    fh_usage_store_put(x->gateway->config.usage, &u);
}

/* ---- told to the client ---- */

void fh_exchange_cost_headers(const fh_exchange *x)
{
    char text[FH_MONEY_CHARS];
    fh_usage u = {.used = fh_exchange_used(x)};
    if (x->counting || x->op == FH_OP_TOKENIZE || x->status != 200) return;
    reckon(x, &u);
    if (u.priced) {
        fh_money_write(u.cost_nusd, text);
        fh_http_reply_header(x->req, "x-freehold-cost", text);
        fh_http_reply_header(x->req, "x-freehold-currency", "USD");
    }
    if (u.has_energy) {
        snprintf(text, sizeof text, "%" PRId64, u.energy_uj);
        fh_http_reply_header(x->req, "x-freehold-energy-uj", text);
    }
    fh_http_reply_header(x->req, "x-freehold-basis", fh_usage_basis(&u));
}

bool fh_exchange_tells_usage(const fh_exchange *x)
{
    if (fh_exchange_leads(x) || !x->wants_stream) return false;
    return x->dialect == FH_DIALECT_MESSAGES || x->dialect == FH_DIALECT_RESPONSES || x->include_usage;
}

/* The event of the client's API that says how many tokens there were. */
static bool is_usage_event(const fh_exchange *x, const fh_sse_event *e)
{
    fh_str usage, choices;
    if (!e->has_data) return false;
    if (x->dialect == FH_DIALECT_MESSAGES) return fh_str_eqs(e->name, "message_delta");
    if (x->dialect == FH_DIALECT_RESPONSES) return fh_str_eqs(e->name, "response.completed") || fh_str_eqs(e->name, "response.incomplete");
    return fh_wire_body_member(e->data, "usage", &usage) && usage.len && usage.ptr[0] == '{' &&
           fh_wire_body_member(e->data, "choices", &choices) && fh_str_eqs(choices, "[]");
}

static void add_event(const fh_exchange *x, const fh_sse_event *e, fh_buf *out)
{
    fh_usage u;
    FH_AUTO(buf) fh_buf object = FH_BUF(OBJECT_BYTES);
    FH_AUTO(buf) fh_buf data = FH_BUF(out->max);
    fh_exchange_usage(x, &u);
    fh_usage_write_brief(&u, &object);
    fh_wire_edit edit = {"freehold", fh_buf_cstr(&object)};
    if (!fh_buf_ok(&object) || fh_wire_body_edit(e->data, &edit, 1, &data, NULL) || !fh_buf_ok(&data)) {
        fh_buf_add(out, e->raw.ptr, e->raw.len); /* as it is */
        return;
    }
    if (e->name.len) fh_buf_addf(out, "event: %.*s\n", (int)e->name.len, e->name.ptr);
    fh_buf_adds(out, "data: ");
    fh_buf_add(out, data.data, data.len);
    fh_buf_adds(out, "\n\n");
}

void fh_exchange_add_usage(const fh_exchange *x, fh_str events, fh_buf *out)
{
    FH_AUTO(buf) fh_buf joined = FH_BUF(FH_LIMIT_SSE_EVENT_BYTES);
    fh_sse_event e;
    while (fh_sse_event_next(&events, &e, &joined)) {
        if (is_usage_event(x, &e))
            add_event(x, &e, out);
        else
            fh_buf_add(out, e.raw.ptr, e.raw.len);
    }
    fh_buf_add(out, events.ptr, events.len);
}
