/* Pages on disk. A ring of pages that wait, a thread that writes them in order; each hour and after many pages it takes away what is too
 * old or too much. */
#include "spill.h"
#include "base/clock.h"
#include "base/limits.h"
#include "net/secret.h"
#include "sys/file.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { SWEEP_EVERY = 256, SWEEP_EVERY_S = 3600, LEFT_OVER_S = 60, PATH_BYTES = 1200 };

typedef struct head { /* in this machine's byte order: made_by says which machine's */
    char magic[8];
    uint64_t bytes;
    fh_spill_key key, check; /* check: of the page */
} head;

static const char magic[8] = "fhpage1";

typedef struct waiting {
    fh_spill_key key;
    const void *page;
    uint32_t number;
} waiting;

struct fh_spill {
    char *folder; /* owned */
    fh_spill_key made_by;
    size_t page_bytes, most;
    uint8_t *buffer; /* owned: a file as it is written; the writer's */
    size_t written;  /* the writer's: since the last sweep */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock: of a ring, [most], numbers that only grow: taken back <= written <= handed in. */
    waiting *ring;
    uint64_t handed, done, taken;
    bool stopping;
};

/* ---- keys ---- */

static fh_spill_key hash(const void *data, size_t bytes)
{
    fh_spill_key k = {{0}};
    bool ok = fh_sha256((fh_str){data, bytes}, k.bytes);
    assert(ok);
    (void)ok;
    return k;
}

fh_spill_key fh_spill_root(const fh_spill *s, const char *salt)
{
    char text[sizeof s->made_by.bytes + 256] = {0};
    size_t n = FH_MIN(strlen(salt), sizeof text - sizeof s->made_by.bytes);
    memcpy(text, s->made_by.bytes, sizeof s->made_by.bytes);
    memcpy(text + sizeof s->made_by.bytes, salt, n);
    return hash(text, sizeof s->made_by.bytes + n);
}

fh_spill_key fh_spill_next(const fh_spill_key *before, const fh_token tokens[FH_KV_PAGE_TOK])
{
    uint8_t text[sizeof before->bytes + FH_KV_PAGE_TOK * sizeof *tokens];
    memcpy(text, before->bytes, sizeof before->bytes);
    memcpy(text + sizeof before->bytes, tokens, FH_KV_PAGE_TOK * sizeof *tokens);
    return hash(text, sizeof text);
}

static void path_of(const fh_spill *s, const fh_spill_key *key, char out[PATH_BYTES])
{
    int n = snprintf(out, PATH_BYTES, "%s/", s->folder);
    for (size_t i = 0; i < sizeof key->bytes; i++) n += snprintf(out + n, PATH_BYTES - (size_t)n, "%02x", key->bytes[i]);
    snprintf(out + n, PATH_BYTES - (size_t)n, ".page");
}

/* ---- reading ---- */

bool fh_spill_has(const fh_spill *s, const fh_spill_key *key)
{
    char path[PATH_BYTES];
    path_of(s, key, path);
    return fh_file_exists(path);
}

static bool is_young(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && fh_clock_utc_ns() - (int64_t)st.st_mtime * FH_NS_PER_S < (int64_t)FH_LIMIT_PAGE_CACHE_MS * FH_NS_PER_MS;
}

bool fh_spill_read(fh_spill *s, const fh_spill_key *key, void *page)
{
    char path[PATH_BYTES];
    fh_mapping m;
    head h;
    path_of(s, key, path);
    if (!is_young(path) || fh_file_map(path, &m, NULL) != 0) return false;
    bool good = m.bytes == sizeof h + s->page_bytes;
    if (good) memcpy(&h, m.data, sizeof h);
    good = good && memcmp(h.magic, magic, sizeof magic) == 0 && h.bytes == s->page_bytes && memcmp(&h.key, key, sizeof *key) == 0;
    if (good) memcpy(page, (const uint8_t *)m.data + sizeof h, s->page_bytes);
    fh_file_unmap(&m);
    fh_spill_key check = good ? hash(page, s->page_bytes) : (fh_spill_key){{0}};
    return good && memcmp(&check, &h.check, sizeof check) == 0;
}

/* ---- taking away ---- */

typedef struct entry {
    char name[80];
    int64_t written_s;
    uint64_t bytes;
} entry;

typedef struct listing {
    const fh_spill *s;
    entry *entries; /* owned */
    size_t count, room;
    uint64_t bytes;
} listing;

static void remove_file(const fh_spill *s, const char *name)
{
    char path[PATH_BYTES];
    if (fh_path_join(path, sizeof path, s->folder, name, NULL) == 0) unlink(path);
}

static bool push(listing *l, const char *name, const struct stat *st)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        entry *more = fh_calloc(room, sizeof *more);
        if (!more) return false;
        if (l->count) memcpy(more, l->entries, l->count * sizeof *more);
        fh_free(l->entries);
        l->entries = more;
        l->room = room;
    }
    entry *e = &l->entries[l->count++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->written_s = st->st_mtime;
    e->bytes = (uint64_t)st->st_size;
    l->bytes += e->bytes;
    return true;
}

/* Files of ours: kept in the list, or removed at once, when they are old or what a killed writer left. */
static int look_at(void *arg, const char *name, fh_err **err)
{
    listing *l = arg;
    char path[PATH_BYTES];
    struct stat st;
    const char *end = strstr(name, ".page");
    if (!end || fh_path_join(path, sizeof path, l->s->folder, name, NULL) != 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    int64_t age_s = fh_clock_utc_ns() / FH_NS_PER_S - st.st_mtime;
    bool whole = strcmp(end, ".page") == 0;
    if (age_s >= (whole ? FH_LIMIT_PAGE_CACHE_MS / 1000 : LEFT_OVER_S))
        unlink(path);
    else if (whole && !push(l, name, &st))
        return fh_err_nomem(err);
    return 0;
}

static int older(const void *a, const void *b)
{
    int64_t x = ((const entry *)a)->written_s, y = ((const entry *)b)->written_s;
    return x < y ? -1 : x > y;
}

static void sweep(fh_spill *s)
{
    const uint64_t most_bytes = (uint64_t)FH_LIMIT_PAGE_CACHE_MIB << 20;
    listing l = {.s = s};
    if (fh_dir_each(s->folder, look_at, &l, NULL) == 0 && l.bytes > most_bytes) {
        qsort(l.entries, l.count, sizeof *l.entries, older);
        for (size_t i = 0; i < l.count && l.bytes > most_bytes; i++) {
            remove_file(s, l.entries[i].name);
            l.bytes -= l.entries[i].bytes;
        }
    }
    fh_free(l.entries);
}

/* ---- writing ---- */

static bool disk_has_room(const fh_spill *s)
{
    struct statvfs v;
    return statvfs(s->folder, &v) == 0 && v.f_bavail / 2 >= v.f_blocks / 20;
}

static void write_page(fh_spill *s, const waiting *w)
{
    char path[PATH_BYTES];
    path_of(s, &w->key, path);
    if (is_young(path) || !disk_has_room(s)) return;
    head *h = (head *)(void *)s->buffer;
    *h = (head){.bytes = s->page_bytes, .key = w->key, .check = hash(w->page, s->page_bytes)};
    memcpy(h->magic, magic, sizeof magic);
    memcpy(s->buffer + sizeof *h, w->page, s->page_bytes);
    fh_file_write_atomic(path, s->buffer, sizeof *h + s->page_bytes, 0600, NULL);
    if (++s->written % SWEEP_EVERY == 0) sweep(s);
}

/* Under the lock: until there is something to write, nothing will be any more, or it is time to sweep. */
static void wait_for_work(fh_spill *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SWEEP_EVERY_S;
    while (s->done == s->handed && !s->stopping)
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT) return;
}

static void *write_all(void *arg)
{
    fh_spill *s = arg;
    sweep(s);
    pthread_mutex_lock(&s->lock);
    for (;;) {
        wait_for_work(s);
        if (s->done == s->handed && s->stopping) break;
        if (s->done == s->handed) {
            pthread_mutex_unlock(&s->lock);
            sweep(s);
            pthread_mutex_lock(&s->lock);
            continue;
        }
        waiting w = s->ring[s->done % s->most];
        pthread_mutex_unlock(&s->lock);
        write_page(s, &w);
        pthread_mutex_lock(&s->lock);
        s->done++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

bool fh_spill_write(fh_spill *s, const fh_spill_key *key, const void *page, uint32_t number)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->handed - s->taken < s->most;
    if (room) s->ring[s->handed++ % s->most] = (waiting){*key, page, number};
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return room;
}

bool fh_spill_done(fh_spill *s, bool wait, uint32_t *ret_number)
{
    pthread_mutex_lock(&s->lock);
    while (wait && s->taken == s->done && s->done < s->handed) pthread_cond_wait(&s->changed, &s->lock);
    bool is = s->taken < s->done;
    if (is) *ret_number = s->ring[s->taken++ % s->most].number;
    pthread_mutex_unlock(&s->lock);
    return is;
}

/* ---- open and close ---- */

static int start(fh_spill *s, fh_err **err)
{
    if (pthread_mutex_init(&s->lock, NULL) != 0 || pthread_cond_init(&s->changed, NULL) != 0) return fh_err_nomem(err);
    s->started = pthread_create(&s->thread, NULL, write_all, s) == 0;
    return s->started ? 0 : fh_err_set(err, FH_E_UNAVAILABLE, "no thread could be started to keep pages on disk");
}

int fh_spill_open(fh_spill **ret, const fh_spill_options *o, fh_err **err)
{
    FH_AUTO(fh_spill) fh_spill *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->page_bytes = o->page_bytes;
    s->made_by = hash(o->made_by.ptr, o->made_by.len);
    s->most = FH_MAX(FH_MIN(o->most_waiting, (size_t)FH_LIMIT_PAGE_CACHE_QUEUE), (size_t)1);
    s->folder = fh_strndup(o->folder, strlen(o->folder));
    s->ring = fh_calloc(s->most, sizeof *s->ring);
    s->buffer = fh_alloc(sizeof(head) + o->page_bytes);
    if (!s->folder || !s->ring || !s->buffer) return fh_err_nomem(err);
    if (strlen(o->folder) > PATH_BYTES - 200) return fh_err_set(err, FH_E_INVALID, "the path %s is too long", o->folder);
    int rc = fh_dir_make(o->folder, 0700, err);
    if (!rc && access(o->folder, R_OK | W_OK | X_OK)) rc = fh_err_errno(err, FH_E_IO, errno, "pages cannot be kept in %s", o->folder);
    if (!rc) rc = start(s, err);
    if (!rc) *ret = fh_take(s);
    return rc;
}

void fh_spill_close(fh_spill *s)
{
    if (!s) return;
    if (s->started) {
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
    }
    fh_free(s->folder);
    fh_free(s->ring);
    fh_free(s->buffer);
    fh_free(s);
}
