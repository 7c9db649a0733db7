/* Grants: keys that are expected, told by somebody whom the server trusts to know whose they are (see pool/nodes.h). Each is a row of the
 * tokens whose secret nobody knows: whoever comes has to have the key instead, which a request for a certificate proves. */
#include "base/clock.h"
#include "net/secret.h"
#include "nodes_private.h"

#include <stdio.h>

#define GOOD_NS (FH_LIMIT_JOIN_TOKEN_MS * FH_NS_PER_MS)

static fh_str bytes_of(const fh_link_digest *d)
{
    return (fh_str){(const char *)d->bytes, sizeof d->bytes};
}

int fh_nodes_grant(fh_nodes *n, const fh_link_digest *key, const char *name, int64_t now_utc_ns, fh_err **err)
{
    fh_link_digest of_nothing; /* no secret is known that has it */
    int rc = fh_node_name_check(fh_str_of(name), err);
    if (!rc) rc = nodes_token_room(n, now_utc_ns, err);
    if (!rc) rc = fh_random_bytes(of_nothing.bytes, sizeof of_nothing.bytes, err);
    return rc ? rc
              : fh_db_exec(n->db, err,
                           "INSERT INTO join_tokens(secret_sha256, created_utc_ns, expires_utc_ns, key_sha256, name) "
                           "SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS(SELECT 1 FROM join_tokens WHERE key_sha256 = ?4) "
                           "AND NOT EXISTS(SELECT 1 FROM nodes WHERE name = ?5)",
                           "biibs", bytes_of(&of_nothing), now_utc_ns, now_utc_ns + GOOD_NS, bytes_of(key), name);
}

int fh_nodes_grant_end(fh_nodes *n, const char *name, fh_err **err)
{
    return fh_db_exec(n->db, err, "DELETE FROM join_tokens WHERE name = ?1 AND name <> ''", "s", name);
}

static int refuse(fh_err **err, const char *why)
{
    fh_err_set(err, FH_E_UNAUTHENTICATED, "the machine says no join token, and %s", why);
    fh_err_hint(err, "`freehold node token` on the server's side makes one");
    fh_err_param(err, "token");
    return FH_E_UNAUTHENTICATED;
}

int nodes_grant_look(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_node, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(n->db, &s, err, "SELECT expires_utc_ns, node, name FROM join_tokens WHERE key_sha256 = ?1 AND name <> ''", "b",
                         bytes_of(&j->key));
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (rc) return rc;
    if (!row) return refuse(err, "its key is not expected");
    fh_str name = fh_stmt_str(s, 2);
    if (name.len != j->name.len || memcmp(name.ptr, j->name.ptr, name.len) != 0)
        return refuse(err, "its key is expected under another name");
    if (fh_stmt_int(s, 0) <= now_utc_ns) return refuse(err, "the hour of its key is over");
    *ret_node = fh_stmt_int(s, 1);
    return 0;
}

int nodes_grant_use(fh_nodes *n, const fh_node_join *j, int64_t node, fh_err **err)
{
    return fh_db_exec(n->db, err, "UPDATE join_tokens SET node = ?2 WHERE key_sha256 = ?1 AND name <> ''", "bi", bytes_of(&j->key), node);
}
