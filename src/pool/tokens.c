/* Join tokens: made, looked at and used (see pool/nodes.h). Kept are digests of their secrets; each look compares with all that are kept,
 * in a time that tells nothing. */
#include "base/clock.h"
#include "net/secret.h"
#include "nodes_private.h"

#include <stdio.h>

#define GOOD_NS (FH_LIMIT_JOIN_TOKEN_MS * FH_NS_PER_MS)
#define KEPT_NS (24 * 3600 * FH_NS_PER_S) /* beyond their end, so that who comes late is told why */

static int digest_of(const fh_join_token *t, fh_link_digest *ret, fh_err **err)
{
    bool made = fh_sha256((fh_str){(const char *)t->secret, sizeof t->secret}, ret->bytes);
    return made ? 0 : fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
}

static int count_open(const fh_nodes *n, int64_t now_utc_ns, bool used, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(n->db, &s, err, "SELECT count(*) FROM join_tokens WHERE expires_utc_ns > ?1 AND (node = 0 OR ?2)", "ii",
                         now_utc_ns, (int64_t)used);
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (!rc) *ret = fh_stmt_int(s, 0);
    return rc;
}

int nodes_token_room(fh_nodes *n, int64_t now_utc_ns, fh_err **err)
{
    int64_t open = 0;
    int rc = fh_db_exec(n->db, err, "DELETE FROM join_tokens WHERE expires_utc_ns <= ?1", "i", now_utc_ns - KEPT_NS);
    if (!rc) rc = nodes_forget(n, now_utc_ns, err);
    if (!rc) rc = count_open(n, now_utc_ns, false, &open, err);
    if (rc || open < FH_LIMIT_JOIN_TOKENS) return rc;
    fh_err_set(err, FH_E_CONFLICT, "%d join tokens wait to be used already, which is the most", FH_LIMIT_JOIN_TOKENS);
    fh_err_hint(err, "use one of them, or wait until they are over: each lasts an hour");
    return FH_E_CONFLICT;
}

bool fh_nodes_expect(const fh_nodes *n, int64_t now_utc_ns)
{
    int64_t open = 0;
    return count_open(n, now_utc_ns, true, &open, NULL) == 0 && open > 0;
}

int fh_nodes_token_new(fh_nodes *n, const fh_link_digest *server, const char *owner, int64_t now_utc_ns, char text[FH_JOIN_TOKEN_LEN + 1],
                       int64_t *ret_expires_utc_ns, fh_err **err)
{
    fh_join_token t = {.server = *server};
    fh_link_digest digest;
    int rc = nodes_token_room(n, now_utc_ns, err);
    if (!rc) rc = fh_random_bytes(t.secret, sizeof t.secret, err);
    if (!rc) rc = digest_of(&t, &digest, err);
    if (!rc)
        rc = fh_db_exec(n->db, err, "INSERT INTO join_tokens(secret_sha256, created_utc_ns, expires_utc_ns, owner) VALUES(?1, ?2, ?3, ?4)",
                        "biis", ((fh_str){(const char *)digest.bytes, sizeof digest.bytes}), now_utc_ns, now_utc_ns + GOOD_NS, owner);
    if (!rc) {
        fh_join_token_write(&t, text);
        *ret_expires_utc_ns = now_utc_ns + GOOD_NS;
    }
    explicit_bzero(&t, sizeof t);
    return rc;
}

/* ---- using one ---- */

typedef struct kept {
    bool known;
    int64_t expires_utc_ns, node;
    fh_link_digest key;
    char owner[FH_OWNER_CHARS];
} kept;

static void compare(fh_stmt *s, const fh_link_digest *digest, kept *found)
{
    fh_str secret = fh_stmt_str(s, 0), key = fh_stmt_str(s, 3), owner = fh_stmt_str(s, 4);
    if (secret.len != sizeof digest->bytes || !fh_equal_secret(secret.ptr, digest->bytes, secret.len)) return;
    *found = (kept){.known = true, .expires_utc_ns = fh_stmt_int(s, 1), .node = fh_stmt_int(s, 2)};
    snprintf(found->owner, sizeof found->owner, "%.*s", (int)owner.len, owner.ptr ? owner.ptr : "");
    if (key.len == sizeof found->key.bytes) memcpy(found->key.bytes, key.ptr, key.len);
}

static int find(fh_nodes *n, const fh_link_digest *digest, kept *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(n->db, &s, err, "SELECT secret_sha256, expires_utc_ns, node, key_sha256, owner FROM join_tokens", "");
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) compare(s, digest, ret);
    return rc;
}

static int refuse(fh_err **err, const char *why)
{
    fh_err_set(err, FH_E_UNAUTHENTICATED, "the join token is not valid: %s", why);
    fh_err_hint(err, "`freehold node token` on the server's side makes another, for one machine and one hour");
    fh_err_param(err, "token");
    return FH_E_UNAUTHENTICATED;
}

static int digest_of_text(fh_str text, fh_link_digest *ret, fh_err **err)
{
    fh_join_token t;
    int rc = fh_join_token_parse(text, &t, err);
    if (!rc) rc = digest_of(&t, ret, err);
    explicit_bzero(&t, sizeof t);
    return rc;
}

int nodes_token_look(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_node, char ret_owner[FH_OWNER_CHARS],
                     fh_err **err)
{
    fh_link_digest digest;
    kept k = {.known = false};
    ret_owner[0] = '\0';
    if (!j->token.len) return nodes_grant_look(n, j, now_utc_ns, ret_node, err);
    int rc = digest_of_text(j->token, &digest, err);
    if (!rc) rc = find(n, &digest, &k, err);
    if (rc) return rc;
    if (!k.known) return refuse(err, "this server does not know it");
    if (k.node && !fh_digest_is(&k.key, &j->key)) return refuse(err, "it was used already");
    if (k.expires_utc_ns <= now_utc_ns) return refuse(err, "its hour is over");
    *ret_node = k.node;
    memcpy(ret_owner, k.owner, sizeof k.owner);
    return 0;
}

int nodes_token_use(fh_nodes *n, const fh_node_join *j, int64_t node, fh_err **err)
{
    fh_link_digest digest;
    if (!j->token.len) return nodes_grant_use(n, j, node, err);
    int rc = digest_of_text(j->token, &digest, err);
    return rc ? rc
              : fh_db_exec(n->db, err, "UPDATE join_tokens SET node = ?2, key_sha256 = ?3 WHERE secret_sha256 = ?1", "bib",
                           ((fh_str){(const char *)digest.bytes, sizeof digest.bytes}), node,
                           ((fh_str){(const char *)j->key.bytes, sizeof j->key.bytes}));
}
