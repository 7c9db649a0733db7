/* What the engine says about itself: health, properties, models, metrics. */
#include "serve_private.h"
#include "base/clock.h"
#include "base/limits.h"

void serve_health(serve *s, fh_http_req *req)
{
    static const char *const names[] = {[SERVE_LOADING] = "loading", [SERVE_READY] = "ready", [SERVE_STOPPING] = "stopping"};
    FH_AUTO(buf) fh_buf body = FH_BUF(512);
    fh_buf_addf(&body, "{\"status\":\"%s\",\"bytes_done\":%llu,\"bytes_total\":%llu}", names[s->state],
                (unsigned long long)atomic_load(&s->done_bytes), (unsigned long long)atomic_load(&s->total_bytes));
    serve_json(req, s->state == SERVE_READY ? 200 : 503, &body);
}

static void add_engine_props(const fh_engine_info *i, fh_buf *out)
{
    fh_buf_addf(out, ",\"architecture\":\"%s\",\"context\":%u,\"trained_context\":%u,\"parallel\":%u,\"threads\":%u,\"isa\":\"%s\"",
                i->architecture, i->context_tok, i->trained_context_tok, i->parallel, i->threads, i->isa);
    fh_buf_addf(out,
                ",\"vocab_size\":%u,\"layers\":%u,\"file_bytes\":%llu,\"kv_type\":\"%s\",\"kv_bytes\":%llu,\"token_bytes\":%llu,"
                "\"deterministic\":%s",
                i->vocab_size, i->layers, (unsigned long long)i->file_bytes, i->kv_type, (unsigned long long)i->kv_bytes,
                (unsigned long long)i->token_bytes, i->deterministic ? "true" : "false");
}

void serve_props(serve *s, fh_http_req *req)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(8192);
    fh_buf_adds(&body, "{\"model\":");
    fh_buf_add_json_string(&body, s->name, strlen(s->name));
    fh_buf_addf(&body, ",\"version\":\"" FH_VERSION "\",\"sandboxed\":%s", s->sandboxed ? "true" : "false");
    if (s->engine) add_engine_props(fh_engine_info_get(s->engine), &body);
    fh_buf_adds(&body, "}");
    serve_json(req, 200, &body);
}

void serve_models(serve *s, fh_http_req *req, fh_str id)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(8192);
    fh_wire_model m = {.id = s->name, .owned_by = "freehold", .context_tok = s->engine ? fh_engine_info_get(s->engine)->context_tok : 0};
    fh_err *err = NULL;
    if (id.len && !fh_str_eqs(id, s->name)) {
        fh_err_set(&err, FH_E_NOT_FOUND, "this engine serves %s only", s->name);
        fh_err_param(&err, "model");
        fh_err_reason(&err, "model_not_found");
        serve_error(s, req, err);
        return;
    }
    if (id.len)
        fh_wire_model_write(&body, &m);
    else
        fh_wire_models_write(&body, &m, 1);
    serve_json(req, 200, &body);
}

/* ---- metrics ---- */

static void metric(fh_buf *out, const char *name, const char *kind, const char *help, double value)
{
    fh_buf_addf(out, "# HELP freehold_engine_%s %s\n# TYPE freehold_engine_%s %s\nfreehold_engine_%s %.17g\n", name, help, name, kind, name,
                value);
}

static void add_engine_metrics(fh_engine *e, fh_buf *out)
{
    fh_engine_stats t;
    fh_engine_stats_get(e, &t);
    metric(out, "requests_total", "counter", "requests taken into the queue", (double)t.requests);
    metric(out, "requests_refused_total", "counter", "requests refused because the queue was full", (double)t.refused);
    metric(out, "requests_waiting", "gauge", "requests in the queue", (double)t.waiting);
    metric(out, "requests_running", "gauge", "requests in the batch", (double)t.running);
    metric(out, "prompt_tokens_total", "counter", "prompt tokens computed", (double)t.prompt_tok);
    metric(out, "cached_tokens_total", "counter", "prompt tokens that were in the cache already", (double)t.cached_tok);
    metric(out, "generated_tokens_total", "counter", "tokens generated", (double)t.generated_tok);
    metric(out, "drafted_tokens_total", "counter", "tokens guessed ahead and computed", (double)t.drafted_tok);
    metric(out, "accepted_tokens_total", "counter", "of them, those that came", (double)t.accepted_tok);
    metric(out, "steps_total", "counter", "steps of the batch", (double)t.steps);
    metric(out, "step_rows_total", "counter", "tokens computed in all steps; divided by steps: the mean batch size", (double)t.step_rows);
    metric(out, "busy_seconds_total", "counter", "time spent in steps", (double)t.busy_ns / FH_NS_PER_S);
    metric(out, "preempted_total", "counter", "times that a request gave its place back for want of cache, and waited again",
           (double)t.preempted);
    metric(out, "kv_used_tokens", "gauge", "cache rows held by running requests", (double)t.kv_used_tok);
    metric(out, "kv_kept_tokens", "gauge", "cache rows kept for later requests", (double)t.kv_kept_tok);
    metric(out, "kv_total_tokens", "gauge", "cache rows that there are", (double)t.kv_total_tok);
}

void serve_metrics(serve *s, fh_http_req *req)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(65536);
    metric(&body, "ready", "gauge", "1 once the model is loaded", s->state == SERVE_READY);
    metric(&body, "load_bytes", "gauge", "weights read so far", (double)atomic_load(&s->done_bytes));
    metric(&body, "replies_total", "counter", "replies that ended by themselves", (double)s->replies_ok);
    metric(&body, "replies_cancelled_total", "counter", "replies whose client went away", (double)s->replies_cancelled);
    metric(&body, "replies_refused_total", "counter", "requests answered with an error", (double)s->replies_refused);
    if (s->engine) add_engine_metrics(s->engine, &body);
    fh_http_reply(req, 200, "text/plain; version=0.0.4", fh_buf_cstr(&body), body.len);
}
