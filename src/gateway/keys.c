/* The store of keys: a table in the database, and the same in memory to check against. What is written is written to the database first.
 *
 * What holds: one thread, the owner, changes anything; it takes the lock for writing while it changes the map or a key in it, never while
 * it talks to the database. Others look a key up under the lock and copy it. */
#include "gateway/keys.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "net/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST = 32 };
#define MINUTE_NS (60 * FH_NS_PER_S)

typedef struct secrets { /* SHA-256 of the key's text, and of that before the last rotation */
    uint8_t now[DIGEST], old[DIGEST];
} secrets;
typedef struct held_key {
    fh_key key;
    secrets digests;
    _Atomic int64_t used_min; /* since 1970; whoever checks a key notes it */
    int64_t written_min;      /* the owner's alone */
} held_key;

struct fh_keys {
    fh_db *db;             /* borrowed */
    fh_map *map;           /* id -> held_key, owned */
    pthread_rwlock_t lock; /* guards the map and what is in it against those who check */
};

/* Lower-case letters and digits without those that look alike: ids are read aloud and typed. 32 of them: no bias. */
static int make_id(char out[FH_KEY_ID_LEN + 1], fh_err **err)
{
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t bytes[FH_KEY_ID_LEN];
    int rc = fh_random_bytes(bytes, sizeof bytes, err);
    if (rc) return rc;
    for (size_t i = 0; i < FH_KEY_ID_LEN; i++) out[i] = alphabet[bytes[i] % 32];
    out[FH_KEY_ID_LEN] = '\0';
    return 0;
}

static int make_text(const char *id, char text[FH_KEY_LEN + 1], fh_err **err)
{
    int n = snprintf(text, FH_KEY_LEN + 1, "fh_%s_", id);
    return fh_random_text(text + n, (size_t)(FH_KEY_LEN + 1 - n), err);
}

/* The id inside what looks like a key; {NULL,0} for anything else. */
static fh_str id_in(fh_str text)
{
    bool shaped = text.len == FH_KEY_LEN && fh_str_starts(text, FH_STR("fh_")) && text.ptr[3 + FH_KEY_ID_LEN] == '_';
    return shaped ? (fh_str){text.ptr + 3, FH_KEY_ID_LEN} : (fh_str){NULL, 0};
}

static bool expired(const fh_key *k, int64_t now)
{
    return k->expires_utc_ns && k->expires_utc_ns <= now;
}

static int hold(fh_keys *k, const fh_key *key, const secrets *digests, fh_err **err)
{
    held_key *h = fh_calloc(1, sizeof *h);
    if (!h) return fh_err_nomem(err);
    h->key = *key;
    h->digests = *digests;
    h->used_min = h->written_min = key->used_utc_ns / MINUTE_NS;
    pthread_rwlock_wrlock(&k->lock);
    bool held = fh_map_put(k->map, (fh_str){key->id, FH_KEY_ID_LEN}, h);
    pthread_rwlock_unlock(&k->lock);
    if (held) return 0;
    fh_free(h);
    return fh_err_nomem(err);
}

static void let_go(fh_keys *k, fh_str id)
{
    pthread_rwlock_wrlock(&k->lock);
    held_key *h = fh_map_remove(k->map, id);
    pthread_rwlock_unlock(&k->lock);
    fh_free(h);
}

static void copy_text(char *out, size_t out_size, fh_str s)
{
    size_t n = fh_utf8_whole(s.ptr, FH_MIN(s.len, out_size - 1));
    if (n) memcpy(out, s.ptr, n);
    out[n] = '\0';
}

static bool read_words(fh_stmt *s, fh_key *key)
{
    fh_str bad;
    fh_str regions = fh_stmt_str(s, 17), trust = fh_stmt_str(s, 19);
    copy_text(key->owner, sizeof key->owner, fh_stmt_str(s, 20));
    copy_text(key->models, sizeof key->models, fh_stmt_str(s, 11));
    if (regions.len && fh_regions_parse(regions, key->regions, NULL)) return false;
    if (trust.len && fh_trusts_parse(trust, key->trust, NULL)) return false;
    return fh_scopes_parse(fh_stmt_str(s, 3), &key->scopes, &bad) && fh_priority_parse(fh_stmt_str(s, 12), &key->priority) &&
           fh_priority_parse(fh_stmt_str(s, 13), &key->priority_most) && fh_prefer_parse(fh_stmt_str(s, 16), &key->prefer);
}

static int load_row(fh_keys *k, fh_stmt *s, fh_err **err)
{
    fh_key key = {0};
    secrets digests = {{0}, {0}};
    fh_str digest = fh_stmt_str(s, 1), old = fh_stmt_str(s, 14);
    copy_text(key.id, sizeof key.id, fh_stmt_str(s, 0));
    copy_text(key.name, sizeof key.name, fh_stmt_str(s, 2));
    key.created_utc_ns = fh_stmt_int(s, 4);
    key.expires_utc_ns = fh_stmt_int(s, 5);
    key.revoked_utc_ns = fh_stmt_int(s, 6);
    key.limits = (fh_limit_set){(uint64_t)fh_stmt_int(s, 7), (uint64_t)fh_stmt_int(s, 8), (uint64_t)fh_stmt_int(s, 9)};
    key.used_utc_ns = fh_stmt_int(s, 10);
    key.old_until_utc_ns = fh_stmt_int(s, 15);
    key.no_pages = fh_stmt_int(s, 18) != 0;
    bool old_whole = key.old_until_utc_ns ? old.len == DIGEST : old.len == 0;
    if (digest.len != DIGEST || !old_whole || strlen(key.id) != FH_KEY_ID_LEN || !read_words(s, &key))
        return fh_err_set(err, FH_E_CORRUPT, "the database has a key that is not well-formed (id '%s')", key.id);
    memcpy(digests.now, digest.ptr, DIGEST);
    if (old.len) memcpy(digests.old, old.ptr, DIGEST);
    return hold(k, &key, &digests, err);
}

static int load(fh_keys *k, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    int rc = fh_db_query(k->db, &s, err,
                         "SELECT id, secret_sha256, name, scopes, created_utc_ns, expires_utc_ns, revoked_utc_ns, requests_per_min, "
                         "tok_per_min, at_once, used_utc_ns, models, priority, priority_most, old_sha256, old_until_utc_ns, prefer, "
                         "regions, no_pages, trust, owner "
                         "FROM keys",
                         "");
    bool row = false;
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) rc = load_row(k, s, err);
    return rc;
}

static int purge_expired(fh_keys *k, int64_t now, fh_err **err)
{
    int rc = fh_db_exec(k->db, err, "DELETE FROM keys WHERE expires_utc_ns > 0 AND expires_utc_ns <= ?1", "i", now);
    for (bool again = true; !rc && again;) {
        again = false;
        size_t i = 0;
        fh_str id;
        void *value;
        while (!again && fh_map_next(k->map, &i, &id, &value)) again = expired(&((held_key *)value)->key, now);
        if (again) let_go(k, (fh_str){((held_key *)value)->key.id, FH_KEY_ID_LEN});
    }
    return rc;
}

int fh_keys_open(fh_keys **ret, fh_db *db, int64_t now_utc_ns, fh_err **err)
{
    FH_AUTO(fh_keys) fh_keys *k = fh_calloc(1, sizeof *k);
    if (!k) return fh_err_nomem(err);
    pthread_rwlock_init(&k->lock, NULL);
    k->db = db;
    k->map = fh_map_new(fh_free);
    if (!k->map) return fh_err_nomem(err);
    int rc = purge_expired(k, now_utc_ns, err);
    if (!rc) rc = load(k, err);
    if (rc) return rc;
    *ret = fh_take(k);
    return 0;
}

void fh_keys_close(fh_keys *k)
{
    if (!k) return;
    fh_map_free(k->map);
    pthread_rwlock_destroy(&k->lock);
    fh_free(k);
}

static int insert(fh_keys *k, const fh_key *key, const secrets *digests, fh_err **err)
{
    char scopes[FH_SCOPES_TEXT];
    fh_scopes_write(key->scopes, scopes);
    return fh_db_exec(k->db, err,
                      "INSERT INTO keys(id, secret_sha256, name, scopes, created_utc_ns, expires_utc_ns, revoked_utc_ns, requests_per_min, "
                      "tok_per_min, at_once, models, priority, priority_most, prefer, regions, no_pages, trust, owner) "
                      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
                      "sbssiiiiisssssiss", key->id, ((fh_str){(const char *)digests->now, DIGEST}), key->name, scopes, key->created_utc_ns,
                      key->expires_utc_ns, (int64_t)key->limits.requests_per_min, (int64_t)key->limits.tok_per_min,
                      (int64_t)key->limits.at_once, key->models, fh_priority_name(key->priority), fh_priority_name(key->priority_most),
                      fh_prefer_name(key->prefer), key->regions, (int64_t)key->no_pages, key->trust, key->owner);
}

static int insert_and_hold(fh_keys *k, const fh_key *key, fh_str text, fh_err **err)
{
    secrets digests = {{0}, {0}};
    if (!fh_sha256(text, digests.now)) return fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    int rc = hold(k, key, &digests, err);
    if (rc) return rc;
    rc = insert(k, key, &digests, err);
    if (rc) let_go(k, (fh_str){key->id, FH_KEY_ID_LEN});
    return rc;
}

int fh_keys_create(fh_keys *k, const fh_key *spec, int64_t now_utc_ns, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err)
{
    int rc = purge_expired(k, now_utc_ns, err);
    if (rc) return rc;
    if (fh_map_count(k->map) >= FH_LIMIT_KEYS)
        return fh_err_set(err, FH_E_CONFLICT, "there are %d keys already, which is the most", FH_LIMIT_KEYS);
    fh_key key = *spec;
    key.created_utc_ns = now_utc_ns;
    key.revoked_utc_ns = key.used_utc_ns = key.old_until_utc_ns = 0;
    do rc = make_id(key.id, err);
    while (!rc && fh_map_find(k->map, (fh_str){key.id, FH_KEY_ID_LEN}));
    if (!rc) rc = make_text(key.id, text, err);
    if (!rc) rc = insert_and_hold(k, &key, (fh_str){text, FH_KEY_LEN}, err);
    if (rc)
        explicit_bzero(text, FH_KEY_LEN + 1);
    else if (ret)
        *ret = key;
    return rc;
}

/* The owner's look-up: NULL with an error when there is none. */
static held_key *find(const fh_keys *k, fh_str id, fh_err **err)
{
    held_key *h = fh_map_find(k->map, id);
    if (h) return h;
    fh_err_set(err, FH_E_NOT_FOUND, "there is no key '%.*s'", (int)FH_MIN(id.len, (size_t)16), id.ptr);
    fh_err_hint(err, "`freehold key list` shows the ids of all keys");
    return NULL;
}

int fh_keys_revoke(fh_keys *k, fh_str id, int64_t now_utc_ns, fh_key *ret, fh_err **err)
{
    held_key *h = find(k, id, err);
    if (!h) return FH_E_NOT_FOUND;
    int rc = h->key.revoked_utc_ns ? 0 : fh_db_exec(k->db, err, "UPDATE keys SET revoked_utc_ns = ?2 WHERE id = ?1", "Si", id, now_utc_ns);
    if (rc) return rc;
    pthread_rwlock_wrlock(&k->lock);
    if (!h->key.revoked_utc_ns) h->key.revoked_utc_ns = now_utc_ns;
    pthread_rwlock_unlock(&k->lock);
    if (ret) *ret = h->key;
    return 0;
}

static int may_rotate(const fh_key *key, int64_t now, fh_err **err)
{
    if (!key->revoked_utc_ns && !expired(key, now)) return 0;
    fh_err_set(err, FH_E_CONFLICT, "the key %s is %s", key->id, key->revoked_utc_ns ? "revoked" : "expired");
    fh_err_hint(err, "`freehold key create` makes another");
    return FH_E_CONFLICT;
}

static int write_secrets(fh_keys *k, const char *id, const secrets *s, int64_t old_until, fh_err **err)
{
    return fh_db_exec(k->db, err, "UPDATE keys SET secret_sha256 = ?2, old_sha256 = ?3, old_until_utc_ns = ?4 WHERE id = ?1", "sbbi", id,
                      ((fh_str){(const char *)s->now, DIGEST}), ((fh_str){(const char *)s->old, old_until ? DIGEST : 0}), old_until);
}

int fh_keys_rotate(fh_keys *k, fh_str id, int64_t now_utc_ns, int64_t grace_ns, fh_key *ret, char text[FH_KEY_LEN + 1], fh_err **err)
{
    held_key *h = find(k, id, err);
    if (!h) return FH_E_NOT_FOUND;
    secrets fresh = {{0}, {0}};
    int64_t old_until = grace_ns ? now_utc_ns + grace_ns : 0;
    int rc = may_rotate(&h->key, now_utc_ns, err);
    if (!rc) rc = make_text(h->key.id, text, err);
    if (rc) return rc;
    if (old_until) memcpy(fresh.old, h->digests.now, DIGEST);
    if (!fh_sha256((fh_str){text, FH_KEY_LEN}, fresh.now)) rc = fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    if (!rc) rc = write_secrets(k, h->key.id, &fresh, old_until, err);
    if (rc) {
        explicit_bzero(text, FH_KEY_LEN + 1);
        return rc;
    }
    pthread_rwlock_wrlock(&k->lock);
    h->digests = fresh;
    h->key.old_until_utc_ns = old_until;
    pthread_rwlock_unlock(&k->lock);
    *ret = h->key;
    return 0;
}

void fh_keys_remove(fh_keys *k, fh_str id)
{
    fh_db_exec(k->db, NULL, "DELETE FROM keys WHERE id = ?1", "S", id);
    let_go(k, id);
}

/* A copy of the key of that id; false when there is none. */
static bool look_up(const fh_keys *k, fh_str id, fh_key *ret, secrets *ret_digests)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)&k->lock;
    pthread_rwlock_rdlock(lock);
    held_key *h = fh_map_find(k->map, id);
    if (h) {
        *ret = h->key;
        ret->used_utc_ns = atomic_load(&h->used_min) * MINUTE_NS;
        *ret_digests = h->digests;
    }
    pthread_rwlock_unlock(lock);
    return h != NULL;
}

/* Once a minute and key: what all read is seldom written. */
static void note_use(const fh_keys *k, fh_str id, int64_t now_utc_ns)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)&k->lock;
    int64_t minute = now_utc_ns / MINUTE_NS;
    pthread_rwlock_rdlock(lock);
    held_key *h = fh_map_find(k->map, id);
    if (h && atomic_load(&h->used_min) < minute) atomic_store(&h->used_min, minute);
    pthread_rwlock_unlock(lock);
}

int fh_keys_check(const fh_keys *k, fh_str text, int64_t now_utc_ns, fh_key *ret, fh_err **err)
{
    fh_key key = {0};
    secrets held = {{0}, {0}}; /* nobody's digests: zeros */
    uint8_t digest[DIGEST];
    fh_str id = id_in(text);
    bool known = id.ptr && look_up(k, id, &key, &held), hashed = fh_sha256(text, digest);
    bool now = fh_equal_secret(digest, held.now, DIGEST), before = fh_equal_secret(digest, held.old, DIGEST);
    bool same = now || (before && now_utc_ns < key.old_until_utc_ns);
    if (hashed && known && same && !key.revoked_utc_ns && !expired(&key, now_utc_ns)) {
        if (key.used_utc_ns / MINUTE_NS < now_utc_ns / MINUTE_NS) note_use(k, id, now_utc_ns);
        *ret = key;
        return 0;
    }
    fh_err_set(err, FH_E_UNAUTHENTICATED, "the key is not valid: unknown, expired or revoked");
    fh_err_hint(err, "send a key of this server as 'Authorization: Bearer fh_...'; `freehold key create` makes one");
    return FH_E_UNAUTHENTICATED;
}

/* ---- when they were used last ---- */

static int write_used(fh_keys *k, held_key *h, int64_t minute, fh_err **err)
{
    int rc =
        fh_db_exec(k->db, err, "UPDATE keys SET used_utc_ns = max(used_utc_ns, ?2) WHERE id = ?1", "si", h->key.id, minute * MINUTE_NS);
    if (!rc) h->written_min = minute;
    return rc;
}

/* One that is noted as written and then rolled back is written again with its next minute: all that is lost is a minute's use. */
int fh_keys_write_used(fh_keys *k, fh_err **err)
{
    size_t i = 0;
    fh_str id;
    void *value;
    int rc = fh_db_begin(k->db, err);
    if (rc) return rc;
    while (!rc && fh_map_next(k->map, &i, &id, &value)) {
        held_key *h = value;
        int64_t minute = atomic_load(&h->used_min);
        if (minute > h->written_min) rc = write_used(k, h, minute, err);
    }
    if (!rc) return fh_db_commit(k->db, err);
    fh_db_rollback(k->db);
    return rc;
}

size_t fh_keys_count(const fh_keys *k)
{
    return fh_map_count(k->map);
}

bool fh_keys_next(const fh_keys *k, size_t *i, fh_key *ret)
{
    fh_str id;
    void *value;
    if (!fh_map_next(k->map, i, &id, &value)) return false;
    held_key *h = value;
    *ret = h->key;
    ret->used_utc_ns = atomic_load(&h->used_min) * MINUTE_NS;
    return true;
}
