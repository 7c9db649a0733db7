/* Idempotency-Key: the reply to a POST is kept for a day, and a repeat with the same key and the same body gets it again without anything
 * being done twice. What is kept is in the database (table idempotency), so that a restart between the two changes nothing. Failures are
 * not kept: a repeat tries again. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "server_private.h"

#include <stdio.h>
#include <string.h>

#define KEEP_NS (FH_LIMIT_IDEMPOTENCY_MS * FH_NS_PER_MS)

static int request_digest(const api_call *c, uint8_t out[32], fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(2 << 20);
    fh_buf_addf(&text, "%s %s %s\n", c->route->method, c->route->path, c->param);
    int rc = c->body ? fh_json_write(c->body, &text, err) : 0;
    if (!rc) rc = fh_buf_check(&text, err, "the request");
    if (!rc && !fh_sha256((fh_str){text.data, text.len}, out)) rc = fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    return rc;
}

static int read_token(api_call *c, fh_err **err)
{
    fh_str given = fh_http_req_header(c->req, "idempotency-key");
    if (!given.len || !(c->route->flags & API_KEEPS_TOKEN)) return 0;
    if (given.len > 128) {
        fh_err_set(err, FH_E_INVALID, "Idempotency-Key is longer than 128 bytes");
        fh_err_param(err, "idempotency-key");
        return FH_E_INVALID;
    }
    snprintf(c->token, sizeof c->token, "%s %.*s", c->key.id, (int)given.len, given.ptr);
    return request_digest(c, c->digest, err);
}

static int reused(fh_err **err)
{
    fh_err_set(err, FH_E_CONFLICT, "this Idempotency-Key was used for another request");
    fh_err_hint(err, "make a new one for each new request");
    fh_err_param(err, "idempotency-key");
    return FH_E_CONFLICT;
}

/* 1 when the reply was sent again. */
static int replay(api_call *c, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *st = NULL;
    bool row = false;
    int rc = fh_db_query(c->server->db, &st, err, "SELECT digest, status, body FROM idempotency WHERE token = ?1 AND created_utc_ns > ?2",
                         "si", c->token, fh_clock_utc_ns() - KEEP_NS);
    if (!rc) rc = fh_stmt_step(st, &row, err);
    if (rc || !row) return rc;
    fh_str digest = fh_stmt_str(st, 0), body = fh_stmt_str(st, 2);
    int status = (int)fh_stmt_int(st, 1);
    if (!fh_str_eq(digest, (fh_str){(const char *)c->digest, 32})) return reused(err);
    if (c->route->flags & API_SECRET) return fh_err_set(err, FH_E_CONFLICT, "this was done already, and its key is shown only once");
    fh_http_req *req = api_take_req(c);
    fh_http_reply_header(req, "Idempotency-Replayed", "true");
    fh_http_reply(req, status, "application/json", body.ptr, body.len);
    return 1;
}

int api_token_begin(api_call *c, fh_err **err)
{
    static char running;
    int rc = read_token(c, err);
    if (rc || !c->token[0]) return rc;
    if (fh_map_find(c->server->in_flight_tokens, fh_str_of(c->token))) {
        fh_err_set(err, FH_E_BUSY, "the first request with this Idempotency-Key still runs");
        return FH_E_BUSY;
    }
    rc = replay(c, err);
    if (rc) return rc;
    return fh_map_put(c->server->in_flight_tokens, fh_str_of(c->token), &running) ? 0 : fh_err_nomem(err);
}

static int keep(api_call *c, int status, const char *body, size_t bytes, fh_err **err)
{
    int64_t now = fh_clock_utc_ns();
    fh_str text = c->route->flags & API_SECRET ? FH_STR("") : (fh_str){body, bytes};
    int rc = fh_db_exec(c->server->db, err, "DELETE FROM idempotency WHERE created_utc_ns <= ?1", "i", now - KEEP_NS);
    if (rc) return rc;
    return fh_db_exec(c->server->db, err,
                      "INSERT OR REPLACE INTO idempotency(token, digest, status, body, created_utc_ns) VALUES(?1, ?2, ?3, ?4, ?5)", "sbiSi",
                      c->token, ((fh_str){(const char *)c->digest, 32}), (int64_t)status, text, now);
}

void api_token_end(api_call *c, int status, const char *body, size_t bytes)
{
    fh_err *err = NULL;
    if (!c->token[0]) return;
    fh_map_remove(c->server->in_flight_tokens, fh_str_of(c->token));
    if (status >= 200 && status < 300 && keep(c, status, body, bytes, &err))
        fh_log_err(FH_LOG_WARN, "server", err, "a reply could not be kept for its Idempotency-Key");
    fh_err_free(err);
    c->token[0] = '\0';
}
