/* What was learned of models, kept over a restart (see outcome_store.h).
 *
 * What holds: the list of waiting rows is the lock's; the thread takes all of it, and writes it without the lock. */
#include "gateway/outcome_store.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "db/db.h"

#include <pthread.h>
#include <time.h>

#define GROUP_NS FH_NS_PER_S

typedef struct waiting {
    struct waiting *next;
    fh_outcome_row row; /* its texts lie behind */
} waiting;

struct fh_outcome_store {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread, stop;
    waiting *first, **last;
    size_t count;
    fh_db *db; /* the thread's, once it runs */
};

static waiting *copy(const fh_outcome_row *row)
{
    waiting *w = fh_alloc(sizeof *w + row->arm.len + row->features.len);
    if (!w) return NULL;
    char *at = (char *)(w + 1);
    *w = (waiting){.row = *row};
    memcpy(at, row->arm.ptr, row->arm.len);
    memcpy(at + row->arm.len, row->features.ptr, row->features.len);
    w->row.arm.ptr = at;
    w->row.features.ptr = at + row->arm.len;
    return w;
}

static void free_list(waiting *w)
{
    while (w) {
        waiting *next = w->next;
        fh_free(w);
        w = next;
    }
}

/* ---- the thread ---- */

static int insert(fh_outcome_store *s, const fh_outcome_row *row, fh_err **err)
{
    return fh_db_exec(s->db, err, "INSERT INTO outcomes(arm, features, good, weight) VALUES(?1, ?2, ?3, ?4)", "Sbii", row->arm,
                      row->features, (int64_t)row->good, (int64_t)row->weight);
}

/* All but the newest of a model, and of all. */
static int forget_old(fh_outcome_store *s, fh_str arm, fh_err **err)
{
    int rc = fh_db_exec(s->db, err,
                        "DELETE FROM outcomes WHERE arm = ?1 AND id <= "
                        "(SELECT id FROM outcomes WHERE arm = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                        "Si", arm, (int64_t)FH_LIMIT_LEARN_OUTCOMES);
    return rc ? rc
              : fh_db_exec(s->db, err, "DELETE FROM outcomes WHERE id <= (SELECT id FROM outcomes ORDER BY id DESC LIMIT 1 OFFSET ?1)", "i",
                           (int64_t)FH_LIMIT_OUTCOMES_KEPT);
}

static int write_all(fh_outcome_store *s, const waiting *list, fh_err **err)
{
    fh_str last = {NULL, 0};
    int rc = fh_db_begin(s->db, err);
    for (const waiting *w = list; rc == 0 && w; w = w->next) rc = insert(s, &w->row, err);
    for (const waiting *w = list; rc == 0 && w; w = w->next) {
        if (fh_str_eq(w->row.arm, last)) continue;
        last = w->row.arm;
        rc = forget_old(s, last, err);
    }
    if (rc == 0) rc = fh_db_commit(s->db, err);
    if (rc) fh_db_rollback(s->db);
    return rc;
}

/* With the lock, which it gives away meanwhile. */
static void write_group(fh_outcome_store *s)
{
    fh_err *err = NULL;
    waiting *list = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->count = 0;
    pthread_mutex_unlock(&s->lock);
    if (list && write_all(s, list, &err)) fh_log_err(FH_LOG_WARN, "gateway", err, "cannot write what was learned of models");
    fh_err_free(err);
    free_list(list);
    pthread_mutex_lock(&s->lock);
}

/* With the lock. */
static void wait_a_while(fh_outcome_store *s)
{
    int64_t at = fh_clock_mono_ns() + GROUP_NS;
    struct timespec until = {.tv_sec = at / FH_NS_PER_S, .tv_nsec = at % FH_NS_PER_S};
    while (!s->stop && fh_clock_mono_ns() < at) pthread_cond_timedwait(&s->wake, &s->lock, &until);
}

static void *run(void *arg)
{
    fh_outcome_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop || s->first) {
        while (!s->stop && !s->first) pthread_cond_wait(&s->wake, &s->lock);
        wait_a_while(s); /* for others to come */
        write_group(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- opening, reading and putting ---- */

static void init_locks(fh_outcome_store *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->last = &s->first;
}

int fh_outcome_store_open(fh_outcome_store **ret, const char *store_url, fh_err **err)
{
    FH_AUTO(fh_outcome_store) fh_outcome_store *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    init_locks(s);
    int rc = fh_db_open(&s->db, store_url, err);
    if (rc) return rc;
    *ret = fh_take(s);
    return 0;
}

/* Before anything is put: the connection is the caller's until then. */
int fh_outcome_store_read(fh_outcome_store *s, void (*fn)(void *arg, const fh_outcome_row *row), void *arg, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *rows = NULL;
    bool any = true;
    int rc = fh_db_query(s->db, &rows, err, "SELECT arm, features, good, weight FROM outcomes ORDER BY id", NULL);
    while (rc == 0 && any) {
        rc = fh_stmt_step(rows, &any, err);
        if (rc || !any) break;
        fh_outcome_row row = {fh_stmt_str(rows, 0), fh_stmt_str(rows, 1), (uint8_t)fh_stmt_int(rows, 2), (uint8_t)fh_stmt_int(rows, 3)};
        fn(arg, &row);
    }
    return rc;
}

void fh_outcome_store_close(fh_outcome_store *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (s->has_thread) pthread_join(s->thread, NULL);
    free_list(s->first);
    fh_db_close(s->db);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    fh_free(s);
}

void fh_outcome_store_put(fh_outcome_store *s, const fh_outcome_row *row)
{
    waiting *w = copy(row);
    if (!w) return;
    pthread_mutex_lock(&s->lock);
    if (!s->has_thread) s->has_thread = pthread_create(&s->thread, NULL, run, s) == 0;
    bool fits = s->has_thread && s->count < FH_LIMIT_OUTCOMES_UNWRITTEN;
    if (fits) {
        *s->last = w;
        s->last = &w->next;
        s->count++;
        pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
    if (!fits) fh_free(w);
}
