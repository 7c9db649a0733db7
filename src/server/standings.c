/* What was found out about hosted endpoints (see standings.h). */
#include "standings.h"

#include "json/json.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_BYTES = 16384 };

struct fh_standings {
    pthread_rwlock_t lock;
    fh_db *db;
    fh_standing *list[FH_LIMIT_HONESTY_STANDINGS];
    size_t count;
};

static void copy(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

static int load_row(fh_standings *all, fh_stmt *row, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(ptr) fh_standing *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    copy(s->provider, sizeof s->provider, fh_stmt_str(row, 0));
    copy(s->model, sizeof s->model, fh_stmt_str(row, 1));
    s->checked_utc_ns = fh_stmt_int(row, 3);
    int rc = fh_json_parse(&doc, fh_stmt_str(row, 2), RECORD_BYTES, err);
    if (!rc) rc = fh_honesty_record_read(&s->record, doc, err);
    if (!rc && all->count < FH_COUNT(all->list)) all->list[all->count++] = fh_take(s);
    return rc;
}

static int load(fh_standings *all, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool more = false;
    int rc = fh_db_query(all->db, &row, err, "SELECT provider, model, record, checked_utc_ns FROM honesty ORDER BY provider, model", "");
    while (!rc && !(rc = fh_stmt_step(row, &more, err)) && more) rc = load_row(all, row, err);
    return rc;
}

int fh_standings_open(fh_standings **ret, fh_db *db, fh_err **err)
{
    FH_AUTO(fh_standings) fh_standings *all = fh_calloc(1, sizeof *all);
    if (!all) return fh_err_nomem(err);
    pthread_rwlock_init(&all->lock, NULL);
    all->db = db;
    int rc = load(all, err);
    if (!rc) *ret = fh_take(all);
    return rc;
}

void fh_standings_close(fh_standings *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) fh_free(all->list[i]);
    pthread_rwlock_destroy(&all->lock);
    fh_free(all);
}

static size_t index_of(const fh_standings *all, const char *provider, const char *model)
{
    size_t i = 0;
    while (i < all->count && (strcmp(all->list[i]->provider, provider) != 0 || strcmp(all->list[i]->model, model) != 0)) i++;
    return i;
}

static int save(fh_standings *all, const fh_standing *s, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = fh_honesty_record_write(&s->record);
    FH_AUTO(buf) fh_buf text = FH_BUF(RECORD_BYTES);
    int rc = doc ? fh_json_write(doc, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_buf_check(&text, err, "what was found out about a provider");
    return rc ? rc
              : fh_db_exec(all->db, err, "INSERT OR REPLACE INTO honesty(provider, model, record, checked_utc_ns) VALUES(?1, ?2, ?3, ?4)",
                           "sssi", s->provider, s->model, fh_buf_cstr(&text), s->checked_utc_ns);
}

int fh_standings_put(fh_standings *all, const fh_standing *s, fh_err **err)
{
    size_t i = index_of(all, s->provider, s->model);
    if (i == FH_COUNT(all->list)) return fh_err_set(err, FH_E_CONFLICT, "the honesty of %zu models is kept already, which is the most", i);
    FH_AUTO(ptr) fh_standing *made = i == all->count ? fh_calloc(1, sizeof *made) : NULL;
    if (i == all->count && !made) return fh_err_nomem(err);
    int rc = save(all, s, err);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    if (made) all->list[all->count++] = fh_take(made);
    *all->list[i] = *s;
    pthread_rwlock_unlock(&all->lock);
    return 0;
}

int fh_standings_forget(fh_standings *all, const char *provider, fh_err **err)
{
    int rc = fh_db_exec(all->db, err, "DELETE FROM honesty WHERE provider = ?1", "s", provider);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->list[i]->provider, provider) == 0)
            fh_free(all->list[i]);
        else
            all->list[kept++] = all->list[i];
    }
    all->count = kept;
    pthread_rwlock_unlock(&all->lock);
    return 0;
}

bool fh_standings_find(fh_standings *all, const char *provider, const char *model, fh_standing *ret)
{
    pthread_rwlock_rdlock(&all->lock);
    size_t i = index_of(all, provider, model);
    bool known = i < all->count;
    if (known) *ret = *all->list[i];
    pthread_rwlock_unlock(&all->lock);
    if (known) return true;
    *ret = (fh_standing){.checked_utc_ns = 0};
    snprintf(ret->provider, sizeof ret->provider, "%s", provider);
    snprintf(ret->model, sizeof ret->model, "%s", model);
    return false;
}

fh_honesty_verdict fh_standings_verdict(fh_standings *all, const char *provider, const char *model)
{
    pthread_rwlock_rdlock(&all->lock);
    size_t i = index_of(all, provider, model);
    fh_honesty_verdict v = i < all->count ? fh_honesty_judge(&all->list[i]->record) : FH_HONESTY_UNKNOWN;
    pthread_rwlock_unlock(&all->lock);
    return v;
}

static void take_worse(void *arg, const fh_standing *s)
{
    fh_honesty_verdict *worst = arg, v = fh_honesty_judge(&s->record);
    if (v > *worst) *worst = v;
}

fh_honesty_verdict fh_standings_worst(fh_standings *all, const char *provider)
{
    fh_honesty_verdict worst = FH_HONESTY_UNKNOWN;
    fh_standings_each(all, provider, take_worse, &worst);
    return worst;
}

void fh_standings_each(fh_standings *all, const char *provider, void (*fn)(void *arg, const fh_standing *s), void *arg)
{
    pthread_rwlock_rdlock(&all->lock);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i]->provider, provider) == 0) fn(arg, all->list[i]);
    pthread_rwlock_unlock(&all->lock);
}
