/* The engine's HTTP server: it listens first, then a thread of its own loads the model and computes; health tells the one from the other.
 *
 * Two threads: this loop, which owns connections and replies, and the engine's, which owns the model. They meet in fh_engine_submit and
 * fh_gen_* one way and fh_loop_post the other. On SIGTERM: no new requests, the engine ends what runs, its last posted message stops the
 * loop, the socket is removed.
 *
 *   LOADING --ready--> READY --signal--> STOPPING --engine's thread is done--> (loop ends)
 *      \--------------signal, or loading failed-------^ */
#include "serve_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/origin.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- replies ---- */

void serve_json(fh_http_req *req, int status, const fh_buf *body)
{
    if (fh_buf_ok(body))
        fh_http_reply(req, status, "application/json", fh_buf_cstr(body), body->len);
    else
        fh_http_reply(req, 503, "application/json", "{\"error\":{\"message\":\"out of memory\"}}",
                      strlen("{\"error\":{\"message\":\"out of memory\"}}"));
}

void serve_error(serve *s, fh_http_req *req, fh_err *err)
{
    FH_AUTO(buf) fh_buf body = FH_BUF(65536);
    int code = fh_err_code(err);
    s->replies_refused++;
    fh_wire_error_write(&body, err);
    if (code == FH_E_BUSY || code == FH_E_UNAVAILABLE) fh_http_reply_header(req, "Retry-After", s->state == SERVE_LOADING ? "5" : "1");
    if (code == FH_E_METHOD) fh_http_reply_header(req, "Allow", fh_str_eqs(fh_http_req_method(req), "GET") ? "POST" : "GET");
    serve_json(req, fh_code_http(code), &body);
    fh_err_free(err);
}

/* ---- routes ---- */

typedef struct route {
    const char *method, *path;
    bool needs_model;
    void (*fn)(serve *s, fh_http_req *req);
} route;

static void list_models(serve *s, fh_http_req *req)
{
    serve_models(s, req, (fh_str){0});
}

static void chat(serve *s, fh_http_req *req)
{
    serve_generate(s, req, true);
}

static void completion(serve *s, fh_http_req *req)
{
    serve_generate(s, req, false);
}

static const route routes[] = {
    {"GET", "/healthz", false, serve_health},
    {"GET", "/metrics", false, serve_metrics},
    {"GET", "/props", false, serve_props},
    {"GET", "/v1/models", false, list_models},
    {"POST", "/v1/chat/completions", true, chat},
    {"POST", "/v1/completions", true, completion},
    {"POST", "/v1/embeddings", true, serve_embeddings},
    {"POST", "/tokenize", true, serve_tokenize},
    {"POST", "/detokenize", true, serve_detokenize},
    {"POST", "/apply-template", true, serve_apply_template},
    {"POST", "/v1/chat/completions/input_tokens", true, serve_count},
};

static const route *find_route(fh_str path)
{
    for (size_t i = 0; i < FH_COUNT(routes); i++)
        if (fh_str_eqs(path, routes[i].path)) return &routes[i];
    return NULL;
}

/* A page in a browser must not reach us by a name of its own that resolves to loopback, nor post what forms can post. */
static int check_origin(const serve *s, fh_http_req *req, fh_err **err)
{
    fh_str host = fh_http_req_host(req), type = fh_http_req_header(req, "content-type");
    if (s->tcp && !fh_host_is_local(host) && !fh_host_is_address(host))
        return fh_err_set(err, FH_E_MISDIRECTED, "this engine answers to its address and to localhost only");
    if (s->tcp && fh_origin_is_foreign(host, fh_http_req_header(req, "origin"), fh_http_req_header(req, "sec-fetch-site")))
        return fh_err_set(err, FH_E_FORBIDDEN, "a page of another origin may not speak to this engine");
    if (fh_str_eqs(fh_http_req_method(req), "POST") && !fh_str_starts(type, FH_STR("application/json")))
        return fh_err_set(err, FH_E_MEDIA_TYPE, "the body must be sent as application/json");
    return 0;
}

static int check_state(const serve *s, const route *r, fh_err **err)
{
    if (s->state == SERVE_STOPPING) return fh_err_set(err, FH_E_UNAVAILABLE, "the engine is stopping");
    if (!r->needs_model || s->state == SERVE_READY) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "the model is still loading");
    fh_err_hint(err, "GET /healthz says how far it is");
    return FH_E_UNAVAILABLE;
}

static int call_route(serve *s, const route *r, fh_http_req *req, fh_err **err)
{
    if (!fh_str_eqs(fh_http_req_method(req), r->method)) return fh_err_set(err, FH_E_METHOD, "%s takes %s", r->path, r->method);
    int rc = check_state(s, r, err);
    if (!rc) r->fn(s, req);
    return rc;
}

static int answer(serve *s, fh_http_req *req, fh_err **err)
{
    fh_str path = fh_http_req_path(req), prefix = FH_STR("/v1/models/");
    const route *r = find_route(path);
    int rc = check_origin(s, req, err);
    if (rc) return rc;
    if (r) return call_route(s, r, req, err);
    if (!fh_str_starts(path, prefix)) return fh_err_set(err, FH_E_NOT_FOUND, "no such path");
    serve_models(s, req, (fh_str){path.ptr + prefix.len, path.len - prefix.len});
    return 0;
}

static void on_request(fh_http_req *req, void *ctx)
{
    fh_err *err = NULL;
    if (answer(ctx, req, &err)) serve_error(ctx, req, err);
}

/* ---- the engine's thread ---- */

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    serve *s = arg;
    atomic_store(&s->done_bytes, done_bytes);
    atomic_store(&s->total_bytes, total_bytes);
}

typedef struct ready_note {
    serve *s;
    fh_engine *engine;
} ready_note;

static void begin_stop(serve *s)
{
    if (s->state == SERVE_STOPPING) return;
    s->state = SERVE_STOPPING;
    atomic_store(&s->cancel_load, true);
    fh_http_server_drain(s->http, 0);
    if (s->engine) fh_engine_stop(s->engine);
    s->engine = NULL;
}

static void on_ready(void *arg)
{
    ready_note *n = arg;
    serve *s = n->s;
    if (s->state == SERVE_STOPPING)
        fh_engine_stop(n->engine);
    else {
        s->engine = n->engine;
        s->state = SERVE_READY;
        const fh_engine_info *i = fh_engine_info_get(s->engine);
        fh_log(FH_LOG_INFO, "engine", "ready model=%s architecture=%s threads=%u isa=%s context=%u parallel=%u weights=%llu cache=%llu",
               s->name, i->architecture, i->threads, i->isa, i->context_tok, i->parallel, (unsigned long long)i->weight_bytes,
               (unsigned long long)i->kv_bytes);
        if (i->page_cache_failed) fh_log(FH_LOG_WARN, "engine", "no pages of prompts are kept for later starts: %s", i->page_cache_failed);
    }
}

static void on_finished(void *arg)
{
    serve *s = arg;
    begin_stop(s);
    fh_loop_stop(s->loop);
}

static int load(serve *s, fh_engine **ret, fh_err **err)
{
    fh_engine_options o = s->options->engine;
    o.progress = on_progress;
    o.progress_arg = s;
    o.cancel = &s->cancel_load;
    return fh_engine_open(ret, &o, err);
}

static void *engine_main(void *arg)
{
    serve *s = arg;
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    if (load(s, &e, &s->load_err) == 0) {
        ready_note n = {s, e};
        if (fh_loop_post(s->loop, on_ready, &n)) fh_engine_run(e); /* n lives until run ends, which on_ready's side brings about */
    }
    while (!fh_loop_post(s->loop, on_finished, s))
        fh_sleep_ns(FH_NS_PER_MS); /* only memory can be missing: the loop outlives this thread */
    return NULL;
}

static void on_signal(void *arg)
{
    begin_stop(arg);
}

/* ---- setting up ---- */

static void choose_name(serve *s)
{
    const char *path = s->options->engine.model_path, *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t len = strlen(base);
    if (fh_str_ends(fh_str_of(base), FH_STR(".gguf"))) len -= strlen(".gguf");
    if (s->options->name)
        snprintf(s->name, sizeof s->name, "%s", s->options->name);
    else
        snprintf(s->name, sizeof s->name, "%.*s", (int)FH_MIN(len, sizeof s->name - 1), base);
}

static bool status_says(const char *status, const char *field, char least)
{
    const char *at = strstr(status, field);
    if (!at) return false;
    at += strlen(field);
    while (*at == ' ' || *at == '\t') at++;
    return *at >= least && *at <= '9';
}

static bool looks_sandboxed(void)
{
    FH_AUTO(buf) fh_buf status = FH_BUF(65536);
    if (fh_file_read("/proc/self/status", 65536, &status, NULL) != 0) return false;
    return status_says(fh_buf_cstr(&status), "\nSeccomp:", '2') || status_says(fh_buf_cstr(&status), "\nNoNewPrivs:", '1');
}

static int listen_on(serve *s, fh_err **err)
{
    int rc = fh_loop_new(&s->loop, err);
    if (!rc) rc = fh_http_server_new(&s->http, s->loop, on_request, s, err);
    if (!rc) rc = fh_http_server_listen(s->http, s->options->listen, false, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGTERM, on_signal, s, err);
    if (!rc) rc = fh_loop_on_signal(s->loop, SIGINT, on_signal, s, err);
    if (!rc && s->options->on_listening) s->options->on_listening(s->options->arg, fh_http_server_port(s->http));
    return rc;
}

static int run(serve *s, fh_err **err)
{
    pthread_t thread;
    int e = pthread_create(&thread, NULL, engine_main, s);
    if (e) return fh_err_errno(err, FH_E_UNAVAILABLE, e, "cannot start the engine's thread");
    int rc = fh_loop_run(s->loop, err);
    pthread_join(thread, NULL);
    if (!rc && s->load_err && fh_err_code(s->load_err) != FH_E_CANCELLED) {
        rc = fh_err_code(s->load_err);
        fh_err_move(err, &s->load_err);
    }
    return rc;
}

int fh_engine_serve(const fh_serve_options *o, fh_err **err)
{
    serve s = {.options = o, .tcp = strncmp(o->listen, "unix:", 5) != 0, .sandboxed = looks_sandboxed()};
    choose_name(&s);
    tzset(); /* templates may ask for the date: the zone's file is read now */
    int rc = listen_on(&s, err);
    if (!rc) rc = run(&s, err);
    if (s.http) fh_http_server_free(s.http);
    if (s.loop) fh_loop_free(s.loop);
    fh_err_free(s.load_err);
    return rc;
}
