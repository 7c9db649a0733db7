/* The machines of the pool (see pool/nodes.h). */
#include "base/clock.h"
#include "nodes_private.h"

#include <stdio.h>
#include <stdlib.h>

#define GOOD_NS (FH_LIMIT_JOIN_TOKEN_MS * FH_NS_PER_MS)
#define LAST_NS (FH_LIMIT_NODE_CERT_DAYS * 86400LL * FH_NS_PER_S / 3) /* of a certificate: the time in which it is renewed */

static const char *const states[] = {"joined", "draining", "removed"};

const char *fh_node_state_name(fh_node_state s)
{
    return states[s];
}

static void node_free(fh_node *node)
{
    if (node) fh_free((void *)(uintptr_t)node->facts);
    fh_free(node);
}
FH_DEFINE_AUTO(fh_node, node_free);

static fh_str bytes_of(const fh_link_digest *d)
{
    static const fh_link_digest none;
    bool is = fh_digest_is(d, d);
    return (fh_str){(const char *)(is ? d : &none)->bytes, is ? sizeof d->bytes : 0};
}

/* ---- the database ---- */

static bool read_state(fh_str text, fh_node_state *ret)
{
    for (size_t i = 0; i < FH_COUNT(states); i++) {
        if (!fh_str_eqs(text, states[i])) continue;
        *ret = (fh_node_state)i;
        return true;
    }
    return false;
}

static bool read_digest(fh_str bytes, fh_link_digest *ret)
{
    if (bytes.len == sizeof ret->bytes) memcpy(ret->bytes, bytes.ptr, bytes.len);
    return bytes.len == sizeof ret->bytes || bytes.len == 0;
}

static void copy(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

/* Takes node. */
static int hold(fh_nodes *n, fh_node *node, fh_err **err)
{
    FH_AUTO(fh_node) fh_node *held = node;
    if (n->count == n->room) {
        size_t room = n->room ? n->room * 2 : 16;
        fh_node **list = fh_realloc_array(n->list, room, sizeof(fh_node *));
        if (!list) return fh_err_nomem(err);
        n->list = list;
        n->room = room;
    }
    n->list[n->count++] = fh_take(held);
    return 0;
}

static int load_row(fh_nodes *n, fh_stmt *s, fh_err **err)
{
    FH_AUTO(fh_node) fh_node *node = fh_calloc(1, sizeof *node);
    if (!node) return fh_err_nomem(err);
    fh_str facts = fh_stmt_str(s, 8);
    node->id = fh_stmt_int(s, 0);
    copy(node->name, sizeof node->name, fh_stmt_str(s, 1));
    node->until_utc_ns = fh_stmt_int(s, 5);
    node->ask.micro = fh_stmt_int(s, 6);
    copy(node->ask.currency, sizeof node->ask.currency, fh_stmt_str(s, 7));
    copy(node->owner, sizeof node->owner, fh_stmt_str(s, 12));
    node->joined_utc_ns = fh_stmt_int(s, 9);
    node->seen_utc_ns = fh_stmt_int(s, 10);
    FH_AUTO(json) fh_json *measured = NULL;
    if (fh_json_parse(&measured, fh_stmt_str(s, 11), FH_LIMIT_NODE_FACTS_BYTES, err) ||
        fh_node_measured_read(&node->measured, measured, err))
        return FH_E_CORRUPT;
    if (!read_state(fh_stmt_str(s, 2), &node->state) || !read_digest(fh_stmt_str(s, 3), &node->certificate) ||
        !read_digest(fh_stmt_str(s, 4), &node->next))
        return fh_err_set(err, FH_E_CORRUPT, "the database has a node that is not well-formed ('%s')", node->name);
    node->facts = fh_strndup(facts.ptr ? facts.ptr : "", facts.len);
    return node->facts ? hold(n, fh_take(node), err) : fh_err_nomem(err);
}

static int load(fh_nodes *n, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(n->db, &s, err,
                         "SELECT id, name, state, certificate_sha256, next_sha256, until_utc_ns, ask_micro, ask_currency, facts, "
                         "joined_utc_ns, seen_utc_ns, measured, owner FROM nodes ORDER BY id",
                         "");
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) rc = load_row(n, s, err);
    return rc;
}

/* Removed, and without a certificate that is still good; or it never came, and no longer can. */
static bool is_over(const fh_node *node, int64_t now_utc_ns)
{
    bool never_came = !bytes_of(&node->certificate).len && node->joined_utc_ns <= now_utc_ns - GOOD_NS;
    return node->until_utc_ns <= now_utc_ns && (never_came || node->state == FH_NODE_REMOVED);
}

int nodes_forget(fh_nodes *n, int64_t now_utc_ns, fh_err **err)
{
    int rc = 0;
    for (size_t i = n->count; !rc && i-- > 0;) {
        if (!is_over(n->list[i], now_utc_ns)) continue;
        rc = fh_db_exec(n->db, err, "DELETE FROM nodes WHERE id = ?1", "i", n->list[i]->id);
        if (rc) break;
        node_free(n->list[i]);
        n->count--;
        for (size_t k = i; k < n->count; k++) n->list[k] = n->list[k + 1];
    }
    return rc;
}

int fh_nodes_open(fh_nodes **ret, fh_db *db, int64_t now_utc_ns, fh_err **err)
{
    FH_AUTO(fh_nodes) fh_nodes *n = fh_calloc(1, sizeof *n);
    if (!n) return fh_err_nomem(err);
    n->db = db;
    int rc = load(n, err);
    if (!rc) rc = nodes_forget(n, now_utc_ns, err);
    if (!rc) *ret = fh_take(n);
    return rc;
}

void fh_nodes_close(fh_nodes *n)
{
    if (!n) return;
    for (size_t i = 0; i < n->count; i++) node_free(n->list[i]);
    fh_free(n->list);
    fh_free(n);
}

/* ---- joining ---- */

static int name_taken(fh_err **err, const char *name)
{
    fh_err_set(err, FH_E_EXISTS, "there is a machine '%s' in this pool already", name);
    fh_err_hint(err, "join with another --name, or `freehold node remove %s` on the server's side; the token is still good", name);
    fh_err_param(err, "name");
    return FH_E_EXISTS;
}

static int count_in_use(const fh_nodes *n, fh_err **err)
{
    size_t in_use = 0;
    for (size_t i = 0; i < n->count; i++) in_use += n->list[i]->state != FH_NODE_REMOVED;
    if (in_use < FH_LIMIT_NODES) return 0;
    return fh_err_set(err, FH_E_CONFLICT, "there are %d machines in this pool already, which is the most", FH_LIMIT_NODES);
}

static int insert(fh_nodes *n, fh_node *node, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(n->db, &s, err,
                         "INSERT INTO nodes(name, state, ask_micro, ask_currency, joined_utc_ns, owner) "
                         "VALUES(?1, 'joined', ?2, ?3, ?4, ?5) RETURNING id",
                         "sisis", node->name, node->ask.micro, node->ask.currency, node->joined_utc_ns, node->owner);
    if (!rc) rc = fh_stmt_step(s, &row, err);
    if (!rc) node->id = fh_stmt_int(s, 0);
    return rc;
}

static int make(fh_nodes *n, const fh_node_join *j, const char *owner, int64_t now_utc_ns, fh_node **ret, fh_err **err)
{
    FH_AUTO(fh_node) fh_node *node = fh_calloc(1, sizeof *node);
    if (!node) return fh_err_nomem(err);
    int rc = fh_node_name_check(j->name, err);
    if (rc) return rc;
    copy(node->name, sizeof node->name, j->name);
    node->ask = j->ask;
    snprintf(node->owner, sizeof node->owner, "%s", owner);
    node->joined_utc_ns = now_utc_ns;
    node->facts = fh_strdup("{}");
    if (!node->facts) return fh_err_nomem(err);
    rc = fh_nodes_find(n, j->name) ? name_taken(err, node->name) : count_in_use(n, err);
    if (!rc) rc = insert(n, node, err);
    if (!rc) rc = nodes_token_use(n, j, node->id, err);
    if (!rc) *ret = fh_take(node);
    return rc;
}

/* Who joined already must still be here. */
static int joined_before(const fh_nodes *n, int64_t id, fh_err **err)
{
    const fh_node *node = fh_nodes_find_id(n, id);
    if (node && node->state != FH_NODE_REMOVED) return 0;
    fh_err_set(err, FH_E_FORBIDDEN, "this machine was removed from the pool");
    fh_err_hint(err, "join again with a new token, if it may");
    return FH_E_FORBIDDEN;
}

static int join_in_transaction(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, fh_node **ret, int64_t *ret_id, fh_err **err)
{
    int64_t before = 0;
    char owner[FH_OWNER_CHARS];
    int rc = nodes_token_look(n, j, now_utc_ns, &before, owner, err);
    if (!rc && before) rc = joined_before(n, before, err);
    if (rc || before) {
        *ret_id = before;
        return rc;
    }
    rc = make(n, j, owner, now_utc_ns, ret, err);
    if (!rc && *ret) *ret_id = (*ret)->id;
    return rc;
}

int fh_nodes_join(fh_nodes *n, const fh_node_join *j, int64_t now_utc_ns, int64_t *ret_id, fh_err **err)
{
    FH_AUTO(fh_node) fh_node *node = NULL;
    int64_t id = 0;
    int rc = fh_db_begin(n->db, err);
    if (rc) return rc;
    rc = join_in_transaction(n, j, now_utc_ns, &node, &id, err);
    if (!rc && node) rc = hold(n, fh_take(node), err);
    bool held = !rc && n->count && n->list[n->count - 1]->id == id;
    if (!rc) rc = fh_db_commit(n->db, err);
    if (rc && held) node_free(n->list[--n->count]);
    if (rc)
        fh_db_rollback(n->db);
    else
        *ret_id = id;
    return rc;
}

/* ---- certificates ---- */

static fh_node *at_id(const fh_nodes *n, int64_t id)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->list[i]->id == id) return n->list[i];
    return NULL;
}

/* Writes what the copy says of its certificates and its times, then takes it over. */
static int put(fh_nodes *n, const fh_node *changed, fh_err **err)
{
    fh_node *node = at_id(n, changed->id);
    int rc = fh_db_exec(n->db, err,
                        "UPDATE nodes SET state = ?2, certificate_sha256 = ?3, next_sha256 = ?4, until_utc_ns = ?5, seen_utc_ns = ?6 "
                        "WHERE id = ?1",
                        "isbbii", changed->id, states[changed->state], bytes_of(&changed->certificate), bytes_of(&changed->next),
                        changed->until_utc_ns, changed->seen_utc_ns);
    if (rc) return rc;
    *node = *changed;
    return 0;
}

static int absent(fh_err **err)
{
    return fh_err_set(err, FH_E_NOT_FOUND, "there is no such machine in the pool");
}

int fh_nodes_certified(fh_nodes *n, int64_t id, const fh_node_certificate *c, fh_err **err)
{
    const fh_node *node = at_id(n, id);
    if (!node) return absent(err);
    fh_node changed = *node;
    changed.next = c->fingerprint;
    changed.until_utc_ns = FH_MAX(node->until_utc_ns, c->until_utc_ns);
    return put(n, &changed, err);
}

static int forbid(fh_err **err, const char *why)
{
    fh_err_set(err, FH_E_FORBIDDEN, "%s", why);
    fh_err_hint(err, "to come back it joins again: `freehold node token` on the server's side makes a token");
    return FH_E_FORBIDDEN;
}

int fh_nodes_admit(const fh_nodes *n, const fh_link_digest *certificate, int64_t now_utc_ns, int64_t *ret_id, fh_err **err)
{
    fh_node found = {.id = 0};
    for (size_t i = 0; i < n->count; i++) {
        const fh_node *node = n->list[i];
        if (fh_digest_is(&node->certificate, certificate) || fh_digest_is(&node->next, certificate)) found = *node;
    }
    if (!found.id) return forbid(err, "this certificate is none of this pool");
    if (found.state == FH_NODE_REMOVED) return forbid(err, "this machine was removed from the pool");
    if (found.until_utc_ns <= now_utc_ns) return forbid(err, "the certificate of this machine is no longer good");
    *ret_id = found.id;
    return 0;
}

bool fh_node_wants_certificate(const fh_node *n, int64_t now_utc_ns)
{
    return !bytes_of(&n->next).len && n->until_utc_ns - now_utc_ns < LAST_NS;
}

/* ---- coming and going ---- */

/* Who comes with the older certificate has not got the other one: that one is made again when it is time. */
int fh_nodes_came(fh_nodes *n, int64_t id, const fh_link_digest *certificate, int64_t until_utc_ns, int64_t now_utc_ns, fh_err **err)
{
    const fh_node *node = at_id(n, id);
    if (!node) return absent(err);
    fh_node changed = *node;
    changed.certificate = *certificate;
    changed.next = (fh_link_digest){{0}};
    changed.until_utc_ns = until_utc_ns;
    changed.seen_utc_ns = now_utc_ns;
    changed.linked = true;
    return put(n, &changed, err);
}

int fh_nodes_left(fh_nodes *n, int64_t id, int64_t now_utc_ns, fh_err **err)
{
    const fh_node *node = at_id(n, id);
    if (!node) return absent(err);
    fh_node changed = *node;
    changed.seen_utc_ns = now_utc_ns;
    changed.linked = false;
    return put(n, &changed, err);
}

void fh_nodes_seen(fh_nodes *n, int64_t id, int64_t now_utc_ns)
{
    fh_node *node = at_id(n, id);
    if (node) node->seen_utc_ns = now_utc_ns;
}

int fh_nodes_write_seen(fh_nodes *n, fh_err **err)
{
    int rc = fh_db_begin(n->db, err);
    if (rc) return rc;
    for (size_t i = 0; !rc && i < n->count; i++)
        if (n->list[i]->linked)
            rc = fh_db_exec(n->db, err, "UPDATE nodes SET seen_utc_ns = ?2 WHERE id = ?1", "ii", n->list[i]->id, n->list[i]->seen_utc_ns);
    if (!rc) return fh_db_commit(n->db, err);
    fh_db_rollback(n->db);
    return rc;
}

int fh_nodes_told(fh_nodes *n, int64_t id, const fh_json *facts, const fh_node_ask *ask, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_NODE_FACTS_BYTES);
    fh_node *node = at_id(n, id);
    if (!node) return absent(err);
    int rc = fh_json_write(facts, &text, err);
    if (!rc) rc = fh_buf_check(&text, err, "what a machine says of itself");
    if (!rc)
        rc = fh_db_exec(n->db, err, "UPDATE nodes SET facts = ?2, ask_micro = ?3, ask_currency = ?4 WHERE id = ?1", "isis", id,
                        fh_buf_cstr(&text), ask->micro, ask->currency);
    if (rc) return rc;
    char *taken = fh_buf_take(&text, NULL);
    if (!taken) return fh_err_nomem(err);
    fh_free((void *)(uintptr_t)node->facts);
    node->facts = taken;
    node->ask = *ask;
    return 0;
}

int fh_nodes_measured(fh_nodes *n, int64_t id, const fh_node_measured *m, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_NODE_FACTS_BYTES);
    FH_AUTO(json) fh_json *doc = fh_node_measured_json(m);
    fh_node *node = at_id(n, id);
    if (!node) return absent(err);
    int rc = doc ? fh_json_write(doc, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_buf_check(&text, err, "what was measured of a machine");
    if (!rc) rc = fh_db_exec(n->db, err, "UPDATE nodes SET measured = ?2 WHERE id = ?1", "is", id, fh_buf_cstr(&text));
    if (!rc) node->measured = *m;
    return rc;
}

/* ---- draining and removing ---- */

static int change_state(fh_nodes *n, const char *name, fh_node_state state, int64_t *ret_id, fh_err **err)
{
    const fh_node *node = fh_nodes_find(n, fh_str_of(name));
    if (!node) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no machine '%.64s' in the pool", name);
        fh_err_hint(err, "`freehold node list` shows them");
        return FH_E_NOT_FOUND;
    }
    fh_node changed = *node;
    changed.state = state;
    int rc = put(n, &changed, err);
    if (!rc && ret_id) *ret_id = changed.id;
    return rc;
}

int fh_nodes_drain(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err)
{
    return change_state(n, name, FH_NODE_DRAINING, ret_id, err);
}

int fh_nodes_undrain(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err)
{
    return change_state(n, name, FH_NODE_JOINED, ret_id, err);
}

int fh_nodes_remove(fh_nodes *n, const char *name, int64_t *ret_id, fh_err **err)
{
    return change_state(n, name, FH_NODE_REMOVED, ret_id, err);
}

/* ---- reading ---- */

size_t fh_nodes_count(const fh_nodes *n)
{
    return n->count;
}

const fh_node *fh_nodes_at(const fh_nodes *n, size_t i)
{
    return n->list[i];
}

const fh_node *fh_nodes_find(const fh_nodes *n, fh_str name)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->list[i]->state != FH_NODE_REMOVED && fh_str_eqs(name, n->list[i]->name)) return n->list[i];
    return NULL;
}

const fh_node *fh_nodes_find_id(const fh_nodes *n, int64_t id)
{
    return at_id(n, id);
}
