/* A round of the cost guard (see guard_round.h). A step that fails is told of and does not keep the next from being done: what the server
 * would have said counts as not heard, what cannot be kept in the file is remembered by this process. */
#include "guard_round.h"

#include "base/clock.h"
#include "sys/file.h"

void fh_guard_round_fini(fh_guard_round *r)
{
    fh_err_free(r->server);
    fh_err_free(r->failed);
    *r = (fh_guard_round){.count = 0};
}

/* The first thing that failed is told. */
static void failed(fh_guard *g, fh_err *err)
{
    if (g->round.failed)
        fh_err_free(err);
    else
        g->round.failed = err;
}

/* ---- memory ---- */

int fh_guard_remember(fh_guard *g, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_GUARD_BYTES);
    FH_AUTO(json) fh_json *doc = NULL;
    if (!fh_file_exists(g->path)) return 0;
    int rc = fh_file_read(g->path, FH_LIMIT_GUARD_BYTES, &text, err);
    if (!rc) rc = fh_json_parse(&doc, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_GUARD_BYTES, err);
    if (!rc) rc = fh_guard_memory_read(doc, &g->memory, err);
    if (!rc) return 0;
    fh_err_hint(err, "it is not known any more what is guarded: remove %s, and the server is asked anew", g->path);
    return fh_err_add(err, "what the guard remembers cannot be read");
}

static void keep_memory(fh_guard *g)
{
    fh_err *err = NULL;
    FH_AUTO(json) fh_json *doc = fh_guard_memory_json(&g->memory);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_GUARD_BYTES);
    int rc = doc ? fh_json_write(doc, &text, &err) : fh_err_nomem(&err);
    if (!rc) rc = fh_file_write_atomic(g->path, text.data, text.len, 0600, &err);
    if (rc) failed(g, err);
}

/* ---- ending ---- */

static void end_next(fh_guard *g);

static void finish(fh_guard *g)
{
    keep_memory(g);
    g->done(g->arg);
}

static void ended(void *arg, fh_rent_reply reply, const fh_err *why)
{
    fh_guard *g = arg;
    fh_guard_row *row = &g->round.rows[g->next++];
    fh_err *err = NULL;
    bool good = reply == FH_RENT_DONE || reply == FH_RENT_GONE;
    row->act = good ? FH_GUARD_DONE : FH_GUARD_FAILED;
    if (good)
        fh_guard_note_ended(&g->memory, row->machine, fh_clock_utc_ns());
    else {
        fh_err_set(&err, FH_E_UPSTREAM, "machine %s is not ended: %s", row->machine, why ? fh_err_message(why) : "it is not said why");
        failed(g, err);
    }
    end_next(g);
}

static void end_next(fh_guard *g)
{
    fh_guard_round *r = &g->round;
    fh_err *err = NULL;
    for (; g->next < r->count; g->next++) {
        fh_guard_row *row = &r->rows[g->next];
        if (!row->ends) continue;
        row->act = g->dry_run ? FH_GUARD_WOULD : FH_GUARD_FAILED;
        if (g->dry_run) continue;
        if (g->port.end(g->port.ctx, row->machine, ended, g, &err) == 0) return;
        failed(g, err);
        err = NULL;
    }
    finish(g);
}

/* ---- the account ---- */

static void judge(fh_guard *g, const fh_rent_machine *x)
{
    fh_guard_round *r = &g->round;
    char why[FH_GUARD_WHY] = "";
    fh_guard_verdict v = fh_guard_judge(&g->memory, x, &g->rules, r->utc_ns, why);
    if (v == FH_GUARD_FOREIGN) {
        r->others++;
        return;
    }
    if (r->count == FH_LIMIT_GUARD_MACHINES) return; /* the next round sees it */
    fh_guard_row *row = &r->rows[r->count++];
    *row = (fh_guard_row){.ends = v == FH_GUARD_END};
    memcpy(row->machine, x->id, sizeof row->machine);
    memcpy(row->tag, x->tag, sizeof row->tag);
    memcpy(row->why, why, sizeof row->why);
}

static void listed(void *arg, const fh_rent_machine *machines, size_t count, const fh_err *why)
{
    fh_guard *g = arg;
    fh_err *err = NULL;
    if (why) {
        fh_err_set(&err, FH_E_UPSTREAM, "the account's machines are not known: %s", fh_err_message(why));
        if (fh_err_hint_get(why)) fh_err_hint(&err, "%s", fh_err_hint_get(why));
        failed(g, err);
    }
    g->round.listed = !why;
    for (size_t i = 0; i < count; i++) judge(g, &machines[i]);
    end_next(g);
}

static void list(fh_guard *g)
{
    fh_err *err = NULL;
    keep_memory(g);
    if (g->port.list(g->port.ctx, listed, g, &err) == 0) return;
    failed(g, err);
    finish(g);
}

/* ---- the server ---- */

/* A freehold that refuses is there, and holds its limits itself; whatever else answers in its place is not it. */
static bool is_refusal(int status, const fh_json *doc)
{
    bool told = status == 401 || status == 403 || status == 404 || status == 429;
    return told && fh_json_str(fh_json_get(doc, "code")).len && fh_json_str(fh_json_get(doc, "detail")).len;
}

static int hear(fh_guard *g, int status, const fh_err *why, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    fh_str text = {fh_buf_cstr(&g->reply), g->reply.len};
    if (why) return fh_err_set(err, FH_E_UNAVAILABLE, "no answer from %s: %s", g->server.url, fh_err_message(why));
    int rc = fh_buf_check(&g->reply, err, "the answer");
    if (!rc) rc = fh_json_parse(&doc, text, FH_LIMIT_GUARD_BYTES, err);
    if (rc) return fh_err_add(err, "%s does not answer as freehold does", g->server.url);
    if (status == 200) return fh_guard_heard(&g->memory, doc, g->round.utc_ns, err);
    fh_str said = fh_json_str(fh_json_get(doc, "detail")), hint = fh_json_str(fh_json_get(doc, "hint"));
    fh_err_set(err, FH_E_FORBIDDEN, "%s answers with %d: %.*s", g->server.url, status, (int)FH_MIN(said.len, (size_t)200),
               said.len ? said.ptr : "");
    if (hint.len) fh_err_hint(err, "%.*s", (int)FH_MIN(hint.len, (size_t)200), hint.ptr);
    if (!is_refusal(status, doc)) return FH_E_UNAVAILABLE;
    fh_guard_alive(&g->memory, g->round.utc_ns);
    return FH_E_FORBIDDEN;
}

static void answered(void *arg, int status, const fh_err *why)
{
    fh_guard *g = arg;
    int rc = hear(g, status, why, &g->round.server);
    if (rc && rc != FH_E_FORBIDDEN) fh_guard_unheard(&g->memory, g->round.utc_ns, g->rules.silence_ns);
    list(g);
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    fh_buf_add(&((fh_guard *)arg)->reply, data, bytes);
    return true;
}

/* Who only looks does not say for how long it waits: that would make it a guard. */
static int write_question(const fh_guard *g, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *body = fh_json_new_object();
    fh_json_set(body, "provider", fh_json_new_cstr(g->provider));
    if (!g->dry_run) fh_json_set(body, "silence_s", fh_json_new_int(g->rules.silence_ns / FH_NS_PER_S));
    return body ? fh_json_write(body, out, err) : fh_err_nomem(err);
}

static int ask_server(fh_guard *g, fh_err **err)
{
    FH_AUTO(ptr) char *url = fh_asprintf("%s/api/v1/rentals/guard", g->server.url);
    FH_AUTO(buf) fh_buf body = FH_BUF(1024);
    fh_http_call *call;
    const fh_header headers[] = {{FH_STR("Content-Type"), FH_STR("application/json")},
                                 {FH_STR("Authorization"), fh_str_of(g->server.authorization)}};
    int rc = url ? write_question(g, &body, err) : fh_err_nomem(err);
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .ca_file = g->server.ca_file,
                              .headers = headers,
                              .header_count = g->server.authorization[0] ? 2 : 1,
                              .body = {body.data, body.len},
                              .total_timeout_ns = FH_LIMIT_RENT_CALL_MS * FH_NS_PER_MS,
                              .on_data = on_data,
                              .on_done = answered,
                              .arg = g};
    return rc ? rc : fh_http_call_start(&call, g->client, &spec, err);
}

void fh_guard_round_begin(fh_guard *g)
{
    fh_guard_round_fini(&g->round);
    g->round.utc_ns = fh_clock_utc_ns();
    g->next = 0;
    fh_buf_fini(&g->reply);
    g->reply = FH_BUF(FH_LIMIT_GUARD_BYTES);
    if (ask_server(g, &g->round.server) == 0) return;
    fh_guard_unheard(&g->memory, g->round.utc_ns, g->rules.silence_ns);
    list(g);
}
