/* Stored responses (see responses_store.h).
 *
 * What was put or removed is an op in a list until the writer's thread has committed it; readers look there first, then in the database.
 * The list is the lock's; the writer reads ops that it took a count of without it, which nobody changes or frees but the writer. */
#include "gateway/responses_store.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "db/db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define DAY_NS   (24 * 3600 * FH_NS_PER_S)
#define SWEEP_NS (60 * FH_NS_PER_S)
#define RETRY_NS FH_NS_PER_S
enum { SWEEP_ROWS = 1000, OLDEST_ROWS = 256 };

typedef struct op {
    struct op *next;
    _Atomic unsigned users; /* the list is one */
    fh_stored_response r;   /* response.ptr NULL: a removal. Texts lie behind the op */
    size_t bytes;
} op;

struct fh_response_store {
    fh_response_store_config config; /* store_url is not kept */
    pthread_mutex_t lock, read_lock;
    pthread_cond_t wake, settled;
    pthread_t thread;
    bool has_thread, stop;
    op *first, **last; /* waiting to be committed; lock */
    size_t count, bytes;
    uint64_t tries;        /* of the writer; lock */
    _Atomic size_t loaded; /* bytes, by all loads */
    fh_db *reader;         /* read_lock */
    fh_db *writer;         /* the thread's; so are these */
    int64_t kept_bytes, sweep_mono_ns;
    bool counted; /* kept_bytes is known: from the first write on, so that a start does not wait for it */
};

/* ---- ops ---- */

static void put_text(char **at, fh_str *s)
{
    if (!s->ptr) return;
    memcpy(*at, s->ptr, s->len);
    s->ptr = *at;
    *at += s->len;
}

static op *op_new(const fh_stored_response *r)
{
    size_t bytes = r->id.len + r->key.len + r->previous.len + r->input.len + r->response.len;
    op *o = fh_alloc(sizeof *o + bytes);
    if (!o) return NULL;
    *o = (op){.users = 1, .r = *r, .bytes = bytes};
    char *at = (char *)(o + 1);
    put_text(&at, &o->r.id);
    put_text(&at, &o->r.key);
    put_text(&at, &o->r.previous);
    put_text(&at, &o->r.input);
    put_text(&at, &o->r.response);
    return o;
}

static void op_leave(op *o)
{
    if (o && atomic_fetch_sub(&o->users, 1) == 1) fh_free(o);
}

static int busy(fh_err **err)
{
    int rc = fh_err_set(err, FH_E_BUSY, "too many responses wait to be stored");
    fh_err_hint(err, "look whether the disk of the database is full or slow");
    return rc;
}

/* Takes o. */
static int append(fh_response_store *s, op *o, fh_err **err)
{
    pthread_mutex_lock(&s->lock);
    bool fits = s->count < FH_LIMIT_RESPONSES_UNWRITTEN && s->bytes + o->bytes <= FH_LIMIT_RESPONSES_UNWRITTEN_BYTES;
    if (fits) {
        *s->last = o;
        s->last = &o->next;
        s->count++;
        s->bytes += o->bytes;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    if (fits) return 0;
    op_leave(o);
    return busy(err);
}

/* The last op of that id, for op_leave; NULL when none waits. */
static op *find_waiting(fh_response_store *s, fh_str id)
{
    op *found = NULL;
    pthread_mutex_lock(&s->lock);
    for (op *o = s->first; o; o = o->next)
        if (fh_str_eq(o->r.id, id)) found = o;
    if (found) atomic_fetch_add(&found->users, 1);
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* With the lock: forgets the first ops. */
static void drop_ops(fh_response_store *s, size_t count)
{
    for (; count && s->first; count--) {
        op *o = s->first;
        s->first = o->next;
        if (!s->first) s->last = &s->first;
        s->count--;
        s->bytes -= o->bytes;
        op_leave(o);
    }
}

/* ---- the writer's thread ---- */

static int insert(fh_response_store *s, const op *o, fh_err **err)
{
    const fh_stored_response *r = &o->r;
    s->kept_bytes += (int64_t)o->bytes;
    return fh_db_exec(s->writer, err,
                      "INSERT INTO responses(id, key, previous, created_utc_ns, expires_utc_ns, bytes, input, response)"
                      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                      "SSSiiiSS", r->id, r->key, r->previous.ptr ? r->previous : FH_STR(""), r->created_utc_ns,
                      r->created_utc_ns + s->config.keep_ns, (int64_t)o->bytes, r->input, r->response);
}

/* A deletion that says the bytes of each row. */
static int drop_rows(fh_response_store *s, fh_stmt *rows, fh_err **err)
{
    int rc = 0;
    for (bool row = true; rc == 0 && row;) {
        rc = fh_stmt_step(rows, &row, err);
        if (rc == 0 && row) s->kept_bytes -= fh_stmt_int(rows, 0);
    }
    return rc;
}

static int drop_id(fh_response_store *s, fh_str id, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *rows = NULL;
    int rc = fh_db_query(s->writer, &rows, err, "DELETE FROM responses WHERE id = ?1 RETURNING bytes", "S", id);
    return rc ? rc : drop_rows(s, rows, err);
}

static int sum(fh_response_store *s, fh_str key, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    int rc = fh_db_query(s->writer, &row, err, "SELECT coalesce(sum(bytes), 0) FROM responses WHERE key = ?1", "S", key);
    if (rc == 0) rc = fh_stmt_step(row, &any, err);
    if (rc == 0) *ret = fh_stmt_int(row, 0);
    return rc;
}

/* Some of the oldest rows of a key, or of all (key NULL), enough to be rid of `over` bytes when there are so many. */
static int find_oldest(fh_response_store *s, const fh_str *key, int64_t over, int64_t ret_rows[OLDEST_ROWS], size_t *ret_count,
                       fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = true;
    int rc = key ? fh_db_query(s->writer, &row, err, "SELECT rowid, bytes FROM responses WHERE key = ?1 ORDER BY created_utc_ns", "S", *key)
                 : fh_db_query(s->writer, &row, err, "SELECT rowid, bytes FROM responses ORDER BY created_utc_ns", NULL);
    *ret_count = 0;
    while (rc == 0 && any && over > 0 && *ret_count < OLDEST_ROWS) {
        rc = fh_stmt_step(row, &any, err);
        if (rc || !any) break;
        ret_rows[(*ret_count)++] = fh_stmt_int(row, 0);
        over -= fh_stmt_int(row, 1);
    }
    return rc;
}

static int drop_oldest(fh_response_store *s, const fh_str *key, int64_t over, fh_err **err)
{
    int64_t rows[OLDEST_ROWS], until = s->kept_bytes - over;
    size_t count = 1;
    int rc = 0;
    while (rc == 0 && count && s->kept_bytes > until) {
        rc = find_oldest(s, key, s->kept_bytes - until, rows, &count, err);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            FH_AUTO(fh_stmt) fh_stmt *gone = NULL;
            rc = fh_db_query(s->writer, &gone, err, "DELETE FROM responses WHERE rowid = ?1 RETURNING bytes", "i", rows[i]);
            if (rc == 0) rc = drop_rows(s, gone, err);
        }
    }
    return rc;
}

static int bound_key(fh_response_store *s, fh_str key, fh_err **err)
{
    int64_t bytes = 0;
    int rc = sum(s, key, &bytes, err);
    return rc || bytes <= s->config.key_bytes ? rc : drop_oldest(s, &key, bytes - s->config.key_bytes, err);
}

static int apply(fh_response_store *s, const op *o, fh_err **err)
{
    int rc = drop_id(s, o->r.id, err);
    if (rc == 0 && o->r.response.ptr) rc = insert(s, o, err);
    return rc;
}

/* Each key once: the ops of one key mostly stand together. */
static int bound_all(fh_response_store *s, const op *o, size_t count, fh_err **err)
{
    fh_str last = {NULL, 0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (i) o = o->next; /* of the last one it is not ours to read */
        if (!o->r.response.ptr || fh_str_eq(o->r.key, last)) continue;
        last = o->r.key;
        rc = bound_key(s, last, err);
    }
    if (rc == 0 && s->kept_bytes > s->config.all_bytes) rc = drop_oldest(s, NULL, s->kept_bytes - s->config.all_bytes, err);
    return rc;
}

static int sweep(fh_response_store *s, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *rows = NULL;
    int64_t now = fh_clock_mono_ns();
    if (now < s->sweep_mono_ns) return 0;
    int rc = fh_db_query(s->writer, &rows, err,
                         "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE expires_utc_ns <= ?1 LIMIT ?2) RETURNING bytes",
                         "ii", fh_clock_utc_ns(), (int64_t)SWEEP_ROWS);
    if (rc == 0) rc = drop_rows(s, rows, err);
    s->sweep_mono_ns = now + SWEEP_NS;
    return rc;
}

static int count_kept(fh_response_store *s, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    int rc = s->counted ? 0 : fh_db_query(s->writer, &row, err, "SELECT coalesce(sum(bytes), 0) FROM responses", NULL);
    if (rc || s->counted) return rc;
    rc = fh_stmt_step(row, &any, err);
    if (rc == 0) s->kept_bytes = fh_stmt_int(row, 0);
    s->counted = rc == 0;
    return rc;
}

/* Commits count ops from o on, in one transaction, or none of them. */
static int commit(fh_response_store *s, const op *o, size_t count, fh_err **err)
{
    const op *at = o;
    int rc = count_kept(s, err);
    int64_t kept = s->kept_bytes;
    if (rc == 0) rc = fh_db_begin(s->writer, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (i) at = at->next;
        rc = apply(s, at, err);
    }
    if (rc == 0) rc = bound_all(s, o, count, err);
    if (rc == 0) rc = sweep(s, err);
    if (rc == 0) rc = fh_db_commit(s->writer, err);
    if (rc == 0) return 0;
    fh_db_rollback(s->writer);
    s->kept_bytes = kept;
    return rc;
}

/* With the lock: until there is something to do, or for that long. */
static void wait_for(fh_response_store *s, pthread_cond_t *c, int64_t ns)
{
    struct timespec until;
    int64_t at = fh_clock_mono_ns() + ns;
    until = (struct timespec){.tv_sec = at / FH_NS_PER_S, .tv_nsec = at % FH_NS_PER_S};
    pthread_cond_timedwait(c, &s->lock, &until);
}

/* With the lock, which it gives away meanwhile. */
static bool write_group(fh_response_store *s)
{
    fh_err *err = NULL;
    const op *o = s->first;
    size_t count = s->count;
    pthread_mutex_unlock(&s->lock);
    int rc = commit(s, o, count, &err);
    if (rc) fh_log_err(FH_LOG_ERROR, "gateway", err, "cannot write stored responses, will try again");
    fh_err_free(err);
    pthread_mutex_lock(&s->lock);
    s->tries++;
    if (rc == 0) drop_ops(s, count);
    pthread_cond_broadcast(&s->settled);
    return rc == 0;
}

static void *run(void *arg)
{
    fh_response_store *s = arg;
    bool good = true;
    pthread_mutex_lock(&s->lock);
    while (!s->stop || (s->first && good)) {
        if (!good)
            wait_for(s, &s->wake, RETRY_NS);
        else if (!s->first)
            wait_for(s, &s->wake, SWEEP_NS);
        good = write_group(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- opening and closing ---- */

void fh_response_store_defaults(fh_response_store_config *c)
{
    c->keep_ns = FH_LIMIT_RESPONSES_KEPT_DAYS * DAY_NS;
    c->key_bytes = (int64_t)FH_LIMIT_RESPONSES_KEPT_PER_KEY_MIB << 20;
    c->all_bytes = (int64_t)FH_LIMIT_RESPONSES_KEPT_MIB << 20;
}

static void init_locks(fh_response_store *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->read_lock, NULL);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_cond_init(&s->settled, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int fh_response_store_open(fh_response_store **ret, const fh_response_store_config *c, fh_err **err)
{
    FH_AUTO(fh_response_store) fh_response_store *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->config = *c;
    s->config.store_url = NULL;
    s->last = &s->first;
    init_locks(s);
    int rc = fh_db_open(&s->writer, c->store_url, err);
    if (rc == 0) rc = fh_db_open(&s->reader, c->store_url, err);
    if (rc) return rc;
    s->has_thread = pthread_create(&s->thread, NULL, run, s) == 0;
    if (!s->has_thread) return fh_err_set(err, FH_E_BUSY, "cannot start the thread that writes stored responses");
    *ret = fh_take(s);
    return 0;
}

void fh_response_store_close(fh_response_store *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->has_thread) pthread_join(s->thread, NULL);
    drop_ops(s, s->count);
    fh_db_close(s->writer);
    fh_db_close(s->reader);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->settled);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->read_lock);
    fh_free(s);
}

void fh_response_store_settle(fh_response_store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t tries = s->tries;
    while (s->first && s->tries < tries + 2) { /* the group that is being written may have been taken before */
        pthread_cond_signal(&s->wake);
        wait_for(s, &s->settled, RETRY_NS);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- putting and getting ---- */

int fh_response_store_put(fh_response_store *s, const fh_stored_response *r, fh_err **err)
{
    op *o = op_new(r);
    return o ? append(s, o, err) : fh_err_nomem(err);
}

static int not_found(fh_str id, fh_err **err)
{
    return fh_err_set(err, FH_E_NOT_FOUND, "no response '%.*s' is kept here for this key", (int)FH_MIN(id.len, (size_t)96), id.ptr);
}

static int read_row(fh_response_store *s, fh_str key, fh_str id, int64_t now, op **ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    int rc = fh_db_query(s->reader, &row, err,
                         "SELECT previous, input, response FROM responses WHERE id = ?1 AND key = ?2 AND expires_utc_ns > ?3", "SSi", id,
                         key, now);
    if (rc == 0) rc = fh_stmt_step(row, &any, err);
    if (rc || !any) return rc ? rc : not_found(id, err);
    fh_stored_response r = {.previous = fh_stmt_str(row, 0), .input = fh_stmt_str(row, 1), .response = fh_stmt_str(row, 2)};
    *ret = op_new(&r);
    return *ret ? 0 : fh_err_nomem(err);
}

/* For op_leave. Nothing is parsed while others wait for a lock. */
static int find(fh_response_store *s, fh_str key, fh_str id, int64_t now, op **ret, fh_err **err)
{
    op *o = find_waiting(s, id);
    if (o && o->r.response.ptr && fh_str_eq(o->r.key, key)) {
        *ret = o;
        return 0;
    }
    op_leave(o);
    if (o) return not_found(id, err);
    pthread_mutex_lock(&s->read_lock);
    int rc = read_row(s, key, id, now, ret, err);
    pthread_mutex_unlock(&s->read_lock);
    return rc;
}

static int parse(const op *o, fh_kept_response *ret, fh_err **err)
{
    fh_kept_response r = {.previous = fh_strndup(o->r.previous.ptr ? o->r.previous.ptr : "", o->r.previous.len)};
    int rc = r.previous ? 0 : fh_err_nomem(err);
    if (rc == 0) rc = fh_json_parse(&r.input, o->r.input, SIZE_MAX, err);
    if (rc == 0) rc = fh_json_parse(&r.response, o->r.response, SIZE_MAX, err);
    if (rc == 0)
        *ret = r;
    else
        fh_kept_response_fini(&r);
    return rc;
}

int fh_response_store_get(fh_response_store *s, fh_str key, fh_str id, int64_t now_utc_ns, fh_kept_response *ret, fh_err **err)
{
    op *o = NULL;
    int rc = find(s, key, id, now_utc_ns, &o, err);
    if (o) rc = parse(o, ret, err);
    op_leave(o);
    return rc;
}

void fh_kept_response_fini(fh_kept_response *r)
{
    fh_free(r->previous);
    fh_json_unref(r->input);
    fh_json_unref(r->response);
    *r = (fh_kept_response){0};
}

int fh_response_store_remove(fh_response_store *s, fh_str key, fh_str id, int64_t now_utc_ns, fh_err **err)
{
    op *o = NULL;
    int rc = find(s, key, id, now_utc_ns, &o, err);
    op_leave(o);
    if (rc) return rc;
    o = op_new(&(fh_stored_response){.id = id, .key = key});
    return o ? append(s, o, err) : fh_err_nomem(err);
}

/* ---- chains ---- */

typedef struct chain {
    fh_kept_response list[FH_LIMIT_RESPONSES_CHAIN]; /* newest first */
    size_t count;
} chain;

static int too_long(fh_err **err)
{
    int rc = fh_err_set(err, FH_E_INVALID, "the conversation is longer than %d responses or %d bytes", FH_LIMIT_RESPONSES_CHAIN,
                        FH_LIMIT_RESPONSES_CHAIN_BYTES);
    fh_err_hint(err, "begin a new one, with what matters of this one as its input");
    return rc;
}

static int count_load(fh_response_store *s, fh_response_load *l, size_t bytes, fh_err **err)
{
    if (l->bytes + bytes > FH_LIMIT_RESPONSES_CHAIN_BYTES) return too_long(err);
    if (atomic_fetch_add(&s->loaded, bytes) + bytes > FH_LIMIT_RESPONSES_LOADED_BYTES) {
        atomic_fetch_sub(&s->loaded, bytes);
        return fh_err_set(err, FH_E_BUSY, "other requests make use of too many stored responses");
    }
    l->bytes += bytes;
    return 0;
}

int fh_response_store_load(fh_response_store *s, fh_response_load *l, fh_str key, fh_str id, int64_t now_utc_ns, fh_kept_response *ret,
                           fh_err **err)
{
    op *o = NULL;
    int rc = find(s, key, id, now_utc_ns, &o, err);
    if (o) rc = count_load(s, l, o->bytes, err);
    if (o && rc == 0) rc = parse(o, ret, err);
    op_leave(o);
    return rc;
}

void fh_response_store_unload(fh_response_store *s, fh_response_load *l)
{
    atomic_fetch_sub(&s->loaded, l->bytes);
    l->bytes = 0;
}

static int load_chain(fh_response_store *s, fh_response_load *l, fh_str key, fh_str id, int64_t now, chain *c, fh_err **err)
{
    int rc = 0;
    while (rc == 0 && id.len) {
        if (c->count == FH_LIMIT_RESPONSES_CHAIN) return too_long(err);
        fh_kept_response *r = &c->list[c->count];
        rc = fh_response_store_load(s, l, key, id, now, r, err);
        if (rc) break;
        id = fh_str_of(r->previous);
        c->count++;
    }
    return rc;
}

static bool append_items(fh_json *to, const fh_json *items)
{
    bool ok = true;
    for (size_t i = 0; ok && i < fh_json_count(items); i++)
        ok = fh_json_append(to, fh_json_ref((fh_json *)(uintptr_t)fh_json_at(items, i)));
    return ok;
}

int fh_response_store_chain(fh_response_store *s, fh_response_load *l, fh_str key, fh_str id, int64_t now_utc_ns, fh_json **ret_items,
                            fh_err **err)
{
    FH_AUTO(ptr) chain *c = fh_calloc(1, sizeof *c);
    FH_AUTO(json) fh_json *items = fh_json_new_array();
    if (!c || !items) return fh_err_nomem(err);
    bool ok = true;
    int rc = load_chain(s, l, key, id, now_utc_ns, c, err);
    for (size_t i = rc == 0 ? c->count : 0; ok && i-- > 0;)
        ok = append_items(items, c->list[i].input) && append_items(items, fh_json_get(c->list[i].response, "output"));
    for (size_t i = 0; i < c->count; i++) fh_kept_response_fini(&c->list[i]);
    if (rc == 0 && !ok) rc = fh_err_nomem(err);
    if (rc == 0) *ret_items = fh_take(items);
    return rc;
}
