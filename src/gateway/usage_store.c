/* Kept records of what requests used (see gateway/usage_store.h).
 *
 * What holds: the list of blocks is the lock's. Only its last block grows; the others never change again, and only the thread removes them,
 * once they are written. The last one is copied before it is written. A block has a row from its first writing on: two servers, while one
 * hands over to the other, each have blocks of their own. */
#include "gateway/usage_store.h"

#include "base/clock.h"
#include "base/log.h"
#include "db/db.h"

#include <pthread.h>
#include <time.h>

#define WRITE_NS (FH_LIMIT_USAGE_WRITE_MS * FH_NS_PER_MS)
#define DAY_NS   (24 * 3600 * FH_NS_PER_S)
#define SWEEP_NS (60 * FH_NS_PER_S)
enum { BLOCK = FH_LIMIT_USAGE_BLOCK, BLOCK_BYTES = 32768, RECORD_BYTES = 4096 }; /* a record is smaller than the last */

typedef struct block {
    struct block *next;
    int64_t row; /* 0: none yet */
    size_t count, written;
    int64_t from_utc_ns, to_utc_ns;
    uint64_t ids[BLOCK]; /* hashes of the request ids */
    fh_usage last;       /* its texts lie in bytes */
    fh_buf records;      /* never moves: all of it is there from the beginning */
} block;

struct fh_usage_store {
    pthread_mutex_t lock, read_lock;
    pthread_cond_t wake, settled;
    pthread_t thread;
    bool has_thread, stop, hurry, failing; /* failing: the last try did, which was said */
    block *first, *last;                   /* lock */
    size_t blocks;
    uint64_t written, dropped, tries;
    fh_db *writer; /* the thread's, as is the next */
    int64_t sweep_mono_ns;
    fh_db *reader; /* read_lock */
};

/* ---- blocks ---- */

static uint64_t hash_of(fh_str id)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (size_t i = 0; i < id.len; i++) h = (h ^ (uint8_t)id.ptr[i]) * 1099511628211u;
    return h;
}

static void block_free(block *b)
{
    if (!b) return;
    fh_buf_fini(&b->records);
    fh_free(b);
}

static block *block_new(void)
{
    block *b = fh_calloc(1, sizeof *b);
    if (!b) return NULL;
    b->records = FH_BUF(BLOCK_BYTES);
    if (fh_buf_reserve(&b->records, BLOCK_BYTES)) return b;
    block_free(b);
    return NULL;
}

static bool is_full(const block *b)
{
    return b->count == BLOCK || b->records.len + RECORD_BYTES > BLOCK_BYTES;
}

static void block_add(block *b, const fh_usage *u)
{
    size_t at = b->records.len;
    fh_usage_pack(u, b->count ? &b->last : NULL, &b->records);
    fh_str packed = {b->records.data + at, b->records.len - at};
    if (!fh_usage_unpack(&packed, &b->last)) { /* it is larger than any can be */
        b->records.len = at;
        return;
    }
    if (!b->count) b->from_utc_ns = u->began_utc_ns;
    b->to_utc_ns = u->began_utc_ns;
    b->ids[b->count++] = hash_of(u->request);
}

/* With the lock: the block for one more record; NULL when too many wait, or memory is out. */
static block *with_room(fh_usage_store *s)
{
    if (s->last && !is_full(s->last)) return s->last;
    block *b = s->blocks < FH_LIMIT_USAGE_UNWRITTEN ? block_new() : NULL;
    if (!b) return NULL;
    if (s->last)
        s->last->next = b;
    else
        s->first = b;
    s->last = b;
    s->blocks++;
    return b;
}

void fh_usage_store_put(fh_usage_store *s, const fh_usage *u)
{
    pthread_mutex_lock(&s->lock);
    block *b = with_room(s);
    bool first = b && b->count == b->written;
    if (b)
        block_add(b, u);
    else
        s->dropped++;
    if (first) pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the thread ---- */

static int write_new(fh_usage_store *s, block *b, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    fh_str ids = {(const char *)b->ids, b->count * sizeof *b->ids}, records = {b->records.data, b->records.len};
    int rc = fh_db_query(s->writer, &row, err,
                         "INSERT INTO usage(requests, count, from_utc_ns, to_utc_ns, records) VALUES(?1, ?2, ?3, ?4, ?5) RETURNING id",
                         "biiib", ids, (int64_t)b->count, b->from_utc_ns, b->to_utc_ns, records);
    if (rc == 0) rc = fh_stmt_step(row, &any, err);
    if (rc == 0 && any) b->row = fh_stmt_int(row, 0);
    if (rc == 0) rc = fh_stmt_step(row, &any, err);
    return rc;
}

static int write_more(fh_usage_store *s, const block *b, fh_err **err)
{
    fh_str ids = {(const char *)b->ids, b->count * sizeof *b->ids}, records = {b->records.data, b->records.len};
    return fh_db_exec(s->writer, err, "UPDATE usage SET requests = ?2, count = ?3, to_utc_ns = ?4, records = ?5 WHERE id = ?1", "ibiib",
                      b->row, ids, (int64_t)b->count, b->to_utc_ns, records);
}

static int forget_old(fh_usage_store *s, fh_err **err)
{
    int64_t now = fh_clock_mono_ns();
    if (now < s->sweep_mono_ns) return 0;
    s->sweep_mono_ns = now + SWEEP_NS;
    int rc = fh_db_exec(s->writer, err, "DELETE FROM usage WHERE id <= (SELECT id FROM usage ORDER BY id DESC LIMIT 1 OFFSET ?1)", "i",
                        (int64_t)FH_LIMIT_USAGE_BLOCKS_KEPT);
    return rc ? rc
              : fh_db_exec(s->writer, err, "DELETE FROM usage WHERE to_utc_ns < ?1", "i",
                           fh_clock_utc_ns() - FH_LIMIT_USAGE_KEPT_DAYS * DAY_NS);
}

/* What is taken to be written: whole blocks as they are, and a copy of the last one when it is not full. */
typedef struct group {
    block *first;
    size_t whole;
    block *copy; /* owned; NULL: there is none */
} group;

/* With the lock. */
static bool take_group(const fh_usage_store *s, group *ret)
{
    *ret = (group){.first = s->first};
    const block *tail = s->last;
    for (const block *b = s->first; b && is_full(b); b = b->next) ret->whole++;
    if (!tail || is_full(tail) || tail->count == tail->written) return ret->whole > 0;
    ret->copy = block_new();
    if (!ret->copy) return ret->whole > 0; /* next time */
    fh_buf records = ret->copy->records;
    *ret->copy = *tail;
    ret->copy->records = records;
    fh_buf_add(&ret->copy->records, tail->records.data, tail->records.len);
    return true;
}

static int write_all(fh_usage_store *s, const group *g, fh_err **err)
{
    int rc = fh_db_begin(s->writer, err);
    block *b = g->first;
    for (size_t i = 0; rc == 0 && b && i < g->whole; i++, b = b->next) rc = b->row ? write_more(s, b, err) : write_new(s, b, err);
    if (rc == 0 && g->copy) rc = g->copy->row ? write_more(s, g->copy, err) : write_new(s, g->copy, err);
    if (rc == 0) rc = forget_old(s, err);
    if (rc == 0) rc = fh_db_commit(s->writer, err);
    if (rc) fh_db_rollback(s->writer);
    return rc;
}

/* A row that was not committed is none. */
static void forget_rows(const group *g, int64_t before)
{
    block *b = g->first;
    for (size_t i = 0; b && i < g->whole; i++, b = b->next)
        if (i > 0 || before == 0) b->row = 0;
}

/* With the lock: what was written is done with. */
static void note_written(fh_usage_store *s, const group *g)
{
    for (size_t i = 0; s->first && i < g->whole; i++) {
        block *b = s->first;
        s->first = b->next;
        if (!s->first) s->last = NULL;
        s->blocks--;
        s->written += b->count - b->written;
        block_free(b);
    }
    block *tail = s->first; /* it may have grown, and have others behind it */
    if (!g->copy || !tail) return;
    s->written += g->copy->count - tail->written;
    tail->row = g->copy->row;
    tail->written = g->copy->count;
}

/* With the lock, which it gives away meanwhile. */
static void write_group(fh_usage_store *s)
{
    group g;
    fh_err *err = NULL;
    bool any = take_group(s, &g);
    int64_t first_row = g.first ? g.first->row : 0;
    pthread_mutex_unlock(&s->lock);
    int rc = any ? write_all(s, &g, &err) : 0;
    if (rc) forget_rows(&g, first_row);
    if (rc && !s->failing) fh_log_err(FH_LOG_WARN, "gateway", err, "cannot write what requests used; it is tried again");
    s->failing = rc != 0;
    fh_err_free(err);
    pthread_mutex_lock(&s->lock);
    if (any && rc == 0) note_written(s, &g);
    block_free(g.copy);
    s->tries++;
    pthread_cond_broadcast(&s->settled);
}

static bool has_new(const fh_usage_store *s)
{
    return s->first && (s->first != s->last || s->last->count > s->last->written);
}

/* With the lock. */
static void wait_a_while(fh_usage_store *s)
{
    int64_t at = fh_clock_mono_ns() + WRITE_NS;
    struct timespec until = {.tv_sec = at / FH_NS_PER_S, .tv_nsec = at % FH_NS_PER_S};
    while (!s->stop && !s->hurry && fh_clock_mono_ns() < at) pthread_cond_timedwait(&s->wake, &s->lock, &until);
    s->hurry = false;
}

static void *run(void *arg)
{
    fh_usage_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        while (!s->stop && !s->hurry && !has_new(s)) pthread_cond_wait(&s->wake, &s->lock);
        wait_a_while(s); /* for others to come */
        write_group(s);
    }
    if (has_new(s)) write_group(s);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- opening and closing ---- */

static void init_locks(fh_usage_store *s)
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

int fh_usage_store_open(fh_usage_store **ret, const char *store_url, fh_err **err)
{
    FH_AUTO(fh_usage_store) fh_usage_store *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    init_locks(s);
    int rc = fh_db_open(&s->writer, store_url, err);
    if (rc == 0) rc = fh_db_open(&s->reader, store_url, err);
    if (rc) return rc;
    s->has_thread = pthread_create(&s->thread, NULL, run, s) == 0;
    if (!s->has_thread) return fh_err_set(err, FH_E_BUSY, "cannot start the thread that writes what requests used");
    *ret = fh_take(s);
    return 0;
}

void fh_usage_store_close(fh_usage_store *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->has_thread) pthread_join(s->thread, NULL);
    for (block *b = s->first, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    fh_db_close(s->writer);
    fh_db_close(s->reader);
    pthread_cond_destroy(&s->wake);
    pthread_cond_destroy(&s->settled);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->read_lock);
    fh_free(s);
}

void fh_usage_store_settle(fh_usage_store *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t tries = s->tries;
    while (has_new(s) && s->tries < tries + 2) { /* the group that is being written may have been taken before */
        s->hurry = true;
        pthread_cond_signal(&s->wake);
        pthread_cond_wait(&s->settled, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

void fh_usage_store_counts(fh_usage_store *s, fh_usage_counts *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = (fh_usage_counts){.written = s->written, .dropped = s->dropped};
    pthread_mutex_unlock(&s->lock);
}

/* ---- reading ---- */

static bool is_seen(const fh_usage *u, fh_str key)
{
    return !key.len || fh_str_eq(u->key, key);
}

static bool has_id(fh_str ids, uint64_t hash)
{
    uint64_t one;
    for (size_t i = 0; i + sizeof one <= ids.len; i += sizeof one) {
        memcpy(&one, ids.ptr + i, sizeof one);
        if (one == hash) return true;
    }
    return false;
}

static bool find_in(fh_str records, fh_str request, fh_usage *ret)
{
    *ret = (fh_usage){.code = 0};
    while (fh_usage_unpack(&records, ret))
        if (fh_str_eq(ret->request, request)) return true;
    return false;
}

/* Of those that wait; true: there it was. */
static bool find_waiting(fh_usage_store *s, fh_str request, fh_str key, fh_usage_take *take, void *arg)
{
    uint64_t hash = hash_of(request);
    fh_usage u;
    bool found = false;
    pthread_mutex_lock(&s->lock);
    for (const block *b = s->first; b && !found; b = b->next) {
        fh_str ids = {(const char *)b->ids, b->count * sizeof *b->ids}, records = {b->records.data, b->records.len};
        found = has_id(ids, hash) && find_in(records, request, &u);
    }
    if (found && is_seen(&u, key)) take(arg, &u);
    bool seen = found && is_seen(&u, key);
    pthread_mutex_unlock(&s->lock);
    return seen;
}

/* The row of the block that may hold it, newest first; 0 when there is none below `below`. */
static int find_row(fh_usage_store *s, uint64_t hash, int64_t below, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *rows = NULL;
    bool any = true;
    *ret = 0;
    int rc = fh_db_query(s->reader, &rows, err, "SELECT id, requests FROM usage WHERE id < ?1 ORDER BY id DESC", "i", below);
    while (rc == 0 && any && *ret == 0) {
        rc = fh_stmt_step(rows, &any, err);
        if (rc == 0 && any && has_id(fh_stmt_str(rows, 1), hash)) *ret = fh_stmt_int(rows, 0);
    }
    return rc;
}

typedef void with_records(void *arg, fh_str records);

static int read_row(fh_usage_store *s, int64_t row, with_records *use, void *arg, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *found = NULL;
    bool any = false;
    int rc = fh_db_query(s->reader, &found, err, "SELECT records FROM usage WHERE id = ?1", "i", row);
    if (rc == 0) rc = fh_stmt_step(found, &any, err);
    if (rc == 0 && any) use(arg, fh_stmt_str(found, 0));
    return rc;
}

typedef struct finding {
    fh_str request, key;
    fh_usage_take *take;
    void *arg;
    bool found;
} finding;

static void find_in_row(void *arg, fh_str records)
{
    finding *f = arg;
    fh_usage u;
    f->found = find_in(records, f->request, &u) && is_seen(&u, f->key);
    if (f->found) f->take(f->arg, &u);
}

static int find_kept(fh_usage_store *s, finding *f, fh_err **err)
{
    int64_t row = INT64_MAX;
    int rc = 0;
    pthread_mutex_lock(&s->read_lock);
    while (rc == 0 && row && !f->found) {
        rc = find_row(s, hash_of(f->request), row, &row, err);
        if (rc == 0 && row) rc = read_row(s, row, find_in_row, f, err);
    }
    pthread_mutex_unlock(&s->read_lock);
    return rc;
}

int fh_usage_store_find(fh_usage_store *s, fh_str request, fh_str key, fh_usage_take *take, void *arg, fh_err **err)
{
    finding f = {.request = request, .key = key, .take = take, .arg = arg};
    if (find_waiting(s, request, key, take, arg)) return 0;
    int rc = find_kept(s, &f, err);
    if (rc || f.found) return rc;
    fh_err_set(err, FH_E_NOT_FOUND, "there is no record of what a request '%.*s' used", (int)FH_MIN(request.len, (size_t)64), request.ptr);
    fh_err_hint(err, "the id is that of the reply's header x-request-id; requests that came to no replica have no record");
    return FH_E_NOT_FOUND;
}

/* A cursor is a row, and how many of its first records are still to be given: what comes behind them meanwhile changes nothing. */
enum { CURSOR_STEP = 1024, ALL = CURSOR_STEP - 1 };
_Static_assert((int)BLOCK < (int)ALL, "a block's records are counted in a cursor");

typedef struct listing {
    fh_str key;
    fh_usage_take *take;
    void *arg;
    size_t left, rest; /* records to give: in all, of the present row */
    bool no_memory;
} listing;

/* They are packed one behind another: all are read, and given from the back. */
static void list_row(void *arg, fh_str records)
{
    listing *l = arg;
    FH_AUTO(ptr) fh_usage *all = fh_calloc(BLOCK, sizeof *all);
    size_t n = 0;
    l->no_memory = !all;
    for (fh_usage u = {.code = 0}; all && n < BLOCK && fh_usage_unpack(&records, &u);) all[n++] = u;
    for (l->rest = FH_MIN(l->rest, n); l->rest && l->left; l->rest--) {
        if (!is_seen(&all[l->rest - 1], l->key)) continue;
        l->take(l->arg, &all[l->rest - 1]);
        l->left--;
    }
}

static int next_row(fh_usage_store *s, int64_t most, int64_t *ret, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    int rc = fh_db_query(s->reader, &row, err, "SELECT max(id) FROM usage WHERE id <= ?1", "i", most);
    if (rc == 0) rc = fh_stmt_step(row, &any, err);
    *ret = rc == 0 && any ? fh_stmt_int(row, 0) : 0;
    return rc;
}

static int list_rows(fh_usage_store *s, listing *l, int64_t *row, fh_err **err)
{
    int64_t wanted = *row;
    int rc = next_row(s, wanted, row, err);
    if (*row != wanted) l->rest = ALL;
    for (size_t rows = 0; rc == 0 && *row && l->left && rows < FH_LIMIT_USAGE_LIST_BLOCKS; rows++) {
        rc = read_row(s, *row, list_row, l, err);
        if (rc == 0 && l->no_memory) rc = fh_err_nomem(err);
        if (rc || l->rest) break;
        rc = next_row(s, *row - 1, row, err);
        l->rest = ALL;
    }
    return rc;
}

int fh_usage_store_list(fh_usage_store *s, fh_str key, size_t count, uint64_t *cursor, fh_usage_take *take, void *arg, fh_err **err)
{
    listing l = {.key = key, .take = take, .arg = arg, .left = count, .rest = *cursor ? *cursor % CURSOR_STEP : ALL};
    int64_t row = *cursor ? (int64_t)(*cursor / CURSOR_STEP) : INT64_MAX;
    fh_usage_store_settle(s);
    pthread_mutex_lock(&s->read_lock);
    int rc = list_rows(s, &l, &row, err);
    pthread_mutex_unlock(&s->read_lock);
    if (rc == 0) *cursor = row ? (uint64_t)row * CURSOR_STEP + l.rest : 0;
    return rc;
}
