/* What was found out about places (see standings.h). */
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
    uint32_t hashes[FH_LIMIT_HONESTY_STANDINGS]; /* of place and model: whoever looks for one compares these first */
    bool unwritten[FH_LIMIT_HONESTY_STANDINGS];  /* work was noted since */
    size_t count;
};

static void copy(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

/* FNV-1a. */
static uint32_t hash_of(const char *provider, const char *model)
{
    uint32_t h = 2166136261u;
    for (const char *p = provider; *p; p++) h = (h ^ (uint8_t)*p) * 16777619u;
    h *= 16777619u;
    for (const char *p = model; *p; p++) h = (h ^ (uint8_t)*p) * 16777619u;
    return h;
}

static int load_row(fh_standings *all, fh_stmt *row, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL, *work = NULL;
    FH_AUTO(ptr) fh_standing *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    copy(s->provider, sizeof s->provider, fh_stmt_str(row, 0));
    copy(s->model, sizeof s->model, fh_stmt_str(row, 1));
    s->checked_utc_ns = fh_stmt_int(row, 3);
    int rc = fh_json_parse(&doc, fh_stmt_str(row, 2), RECORD_BYTES, err);
    if (!rc) rc = fh_honesty_record_read(&s->record, doc, err);
    if (!rc) rc = fh_json_parse(&work, fh_stmt_str(row, 4), RECORD_BYTES, err);
    if (!rc) rc = fh_honesty_work_read(&s->work, work, err);
    if (rc || all->count == FH_COUNT(all->list)) return rc;
    all->hashes[all->count] = hash_of(s->provider, s->model);
    all->list[all->count++] = fh_take(s);
    return rc;
}

static int load(fh_standings *all, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool more = false;
    int rc =
        fh_db_query(all->db, &row, err, "SELECT provider, model, record, checked_utc_ns, work FROM honesty ORDER BY provider, model", "");
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

static bool is_of(const fh_standing *s, const char *provider, const char *model)
{
    return strcmp(s->provider, provider) == 0 && strcmp(s->model, model) == 0;
}

static size_t index_of(const fh_standings *all, const char *provider, const char *model)
{
    uint32_t h = hash_of(provider, model);
    size_t i = 0;
    while (i < all->count && (all->hashes[i] != h || !is_of(all->list[i], provider, model))) i++;
    return i;
}

/* Under the lock. The one of that place and model, made where it is not there; count: no room for it, or no memory. */
static size_t find_or_make(fh_standings *all, const char *provider, const char *model)
{
    size_t i = index_of(all, provider, model);
    if (i < all->count || i == FH_COUNT(all->list)) return i < all->count ? i : FH_COUNT(all->list);
    fh_standing *made = fh_calloc(1, sizeof *made);
    if (!made) return FH_COUNT(all->list);
    snprintf(made->provider, sizeof made->provider, "%s", provider);
    snprintf(made->model, sizeof made->model, "%s", model);
    all->list[i] = made;
    all->hashes[i] = hash_of(provider, model);
    all->unwritten[i] = false;
    all->count++;
    return i;
}

static int save(fh_standings *all, const fh_standing *s, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = fh_honesty_record_write(&s->record), *work = fh_honesty_work_write(&s->work);
    FH_AUTO(buf) fh_buf text = FH_BUF(RECORD_BYTES), work_text = FH_BUF(RECORD_BYTES);
    int rc = doc && work ? fh_json_write(doc, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_json_write(work, &work_text, err);
    if (!rc) rc = fh_buf_check(&text, err, "what was found out about a place");
    if (!rc) rc = fh_buf_check(&work_text, err, "how a place has worked");
    return rc ? rc
              : fh_db_exec(all->db, err,
                           "INSERT OR REPLACE INTO honesty(provider, model, record, checked_utc_ns, work) VALUES(?1, ?2, ?3, ?4, ?5)",
                           "sssis", s->provider, s->model, fh_buf_cstr(&text), s->checked_utc_ns, fh_buf_cstr(&work_text));
}

int fh_standings_put(fh_standings *all, const fh_standing *s, fh_err **err)
{
    fh_standing before, now = *s;
    fh_standings_find(all, s->provider, s->model, &before);
    now.work = before.work;
    int rc = save(all, &now, err);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    size_t i = find_or_make(all, s->provider, s->model);
    bool room = i < FH_COUNT(all->list);
    if (room) {
        now.work = all->list[i]->work; /* some may have come to it meanwhile */
        *all->list[i] = now;
    }
    pthread_rwlock_unlock(&all->lock);
    if (room) return 0;
    return fh_err_set(err, FH_E_CONFLICT, "what was found out of %d models is kept already, which is the most", FH_LIMIT_HONESTY_STANDINGS);
}

void fh_standings_worked(fh_standings *all, const char *provider, const char *model, const fh_honesty_work *more, int64_t now_utc_ns)
{
    pthread_rwlock_wrlock(&all->lock);
    size_t i = find_or_make(all, provider, model);
    if (i < FH_COUNT(all->list)) {
        fh_honesty_work_add(&all->list[i]->work, more, now_utc_ns);
        all->unwritten[i] = true;
    }
    pthread_rwlock_unlock(&all->lock);
}

/* The next one whose work is not written, as a copy. */
static bool take_unwritten(fh_standings *all, size_t *at, fh_standing *ret)
{
    bool found = false;
    pthread_rwlock_wrlock(&all->lock);
    for (; *at < all->count && !found; ++*at) {
        found = all->unwritten[*at];
        if (found) *ret = *all->list[*at];
        all->unwritten[*at] = false;
    }
    pthread_rwlock_unlock(&all->lock);
    return found;
}

int fh_standings_write(fh_standings *all, fh_err **err)
{
    fh_standing s;
    size_t at = 0;
    int rc = 0;
    while (!rc && take_unwritten(all, &at, &s)) rc = save(all, &s, err);
    return rc;
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
        else {
            all->unwritten[kept] = all->unwritten[i];
            all->hashes[kept] = all->hashes[i];
            all->list[kept++] = all->list[i];
        }
    }
    all->count = kept;
    pthread_rwlock_unlock(&all->lock);
    return 0;
}

/* The next one from *at on; false: there is none. */
static bool next_stale(fh_standings *all, size_t *at, bool (*is_stale)(void *arg, const char *provider), void *arg, char *out,
                       size_t out_size)
{
    bool found = false;
    pthread_rwlock_rdlock(&all->lock);
    while (*at < all->count && !(found = is_stale(arg, all->list[*at]->provider))) ++*at;
    if (found) snprintf(out, out_size, "%s", all->list[*at]->provider);
    pthread_rwlock_unlock(&all->lock);
    return found;
}

/* What is forgotten makes room: others take its place in the list. */
int fh_standings_forget_stale(fh_standings *all, bool (*is_stale)(void *arg, const char *provider), void *arg, fh_err **err)
{
    char name[sizeof((fh_standing *)NULL)->provider];
    size_t at = 0;
    int rc = 0;
    while (!rc && next_stale(all, &at, is_stale, arg, name, sizeof name)) rc = fh_standings_forget(all, name, err);
    return rc;
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

void fh_standings_each(fh_standings *all, const char *provider, void (*fn)(void *arg, const fh_standing *s), void *arg)
{
    pthread_rwlock_rdlock(&all->lock);
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i]->provider, provider) == 0) fn(arg, all->list[i]);
    pthread_rwlock_unlock(&all->lock);
}

/* ---- of a place ---- */

static void add_model(void *arg, const fh_standing *s)
{
    fh_place_standing *p = arg;
    fh_honesty_verdict v = fh_honesty_judge(&s->record);
    fh_honesty_work more = s->work, none = {.good = 0};
    int64_t now = FH_MAX(p->work.at_utc_ns, s->work.at_utc_ns);
    fh_honesty_work_add(&more, &none, now);
    fh_honesty_work_add(&p->work, &more, now);
    if (v <= p->verdict) return;
    p->verdict = v;
    snprintf(p->model, sizeof p->model, "%s", s->model);
    fh_honesty_reason(&s->record, p->reason, sizeof p->reason);
}

void fh_standings_place(fh_standings *all, const char *provider, fh_place_standing *ret)
{
    *ret = (fh_place_standing){.verdict = FH_HONESTY_UNKNOWN};
    fh_standings_each(all, provider, add_model, ret);
    ret->standing = fh_honesty_standing(&ret->work, ret->verdict);
}

static fh_json *known_real(double v)
{
    return v > 0 ? fh_json_new_real(v) : fh_json_new_null();
}

fh_json *fh_place_standing_json(const fh_place_standing *s)
{
    double speed = fh_honesty_work_tok_per_s(&s->work);
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "standing", fh_json_new_int(s->standing));
    fh_json_set(o, "honesty", fh_json_new_cstr(fh_honesty_verdict_name(s->verdict)));
    fh_json_set(o, "reason", fh_json_new_cstr(s->reason[0] ? s->reason : NULL));
    fh_json_set(o, "requests", fh_json_new_real(s->work.good + s->work.failed));
    fh_json_set(o, "failing", fh_json_new_real(fh_honesty_work_failing(&s->work)));
    fh_json_set(o, "up", fh_json_new_real(fh_honesty_work_up(&s->work)));
    fh_json_set(o, "tokens_per_second", known_real(speed));
    fh_json_set(o, "decode_tokens_per_second", known_real(fh_honesty_work_decode_tok_s(&s->work)));
    fh_json_set(o, "prompt_tokens_per_second", known_real(fh_honesty_work_prompt_tok_s(&s->work)));
    fh_json_set(o, "weights_read_bytes_per_second", known_real(fh_honesty_work_read_bytes_s(&s->work)));
    return o;
}
