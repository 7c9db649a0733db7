/* The access log's queue, its thread and its file (see access_log.h). */
#include "observe/access_log.h"

#include "access_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };
#define COMPLAIN_NS (60 * FH_NS_PER_S)

typedef struct batch {
    fh_buf text;
    uint64_t lines, told; /* told: how many were dropped, by what is among them */
} batch;

struct fh_access_log {
    pthread_mutex_t lock; /* guards what is below it; never held across I/O */
    pthread_cond_t more;
    batch waiting;
    uint64_t written, dropped, untold; /* untold: dropped, and no line has said so yet */
    int next_fd;                       /* opened anew; -1 */
    bool ending;
    char *path;          /* owned; NULL: standard output */
    fh_access_file file; /* the thread's, once that runs */
    int64_t complained_ns;
    pthread_t thread;
};

/* ---- the thread ---- */

static void count_written(fh_access_log *l, const batch *b, bool good)
{
    pthread_mutex_lock(&l->lock);
    *(good ? &l->written : &l->dropped) += b->lines;
    if (!good) l->untold += b->lines + b->told;
    pthread_mutex_unlock(&l->lock);
}

/* Once a minute, in the log of the program. */
static void complain(fh_access_log *l, const fh_err *err, const char *what)
{
    int64_t now = fh_clock_mono_ns();
    if (l->complained_ns && now - l->complained_ns < COMPLAIN_NS) return;
    l->complained_ns = now;
    fh_log_err(FH_LOG_WARN, "observe", err, "%s", what);
}

static void write_out(fh_access_log *l, const batch *b)
{
    FH_AUTO(fh_err) fh_err *unturned = NULL, *err = NULL;
    if (fh_access_file_make_room(&l->file, b->text.len, &unturned)) complain(l, unturned, "the access log goes on in the file that it has");
    int rc = fh_access_file_append(&l->file, &b->text, &err);
    count_written(l, b, rc == 0);
    if (rc) complain(l, err, "lines of the access log are lost");
}

/* What waits is swapped for an empty buffer, and written without the lock. */
static void *run(void *arg)
{
    fh_access_log *l = arg;
    batch b = {.text = FH_BUF(FH_LIMIT_ACCESS_LOG_BYTES)};
    bool ending = false;
    while (!ending) {
        pthread_mutex_lock(&l->lock);
        while (!l->waiting.text.len && !l->ending && l->next_fd < 0) pthread_cond_wait(&l->more, &l->lock);
        batch taken = l->waiting;
        int next = fh_take_fd(&l->next_fd);
        ending = l->ending;
        l->waiting = (batch){.text = b.text};
        pthread_mutex_unlock(&l->lock);
        b = taken;
        if (next >= 0) fh_access_file_set(&l->file, next);
        if (b.text.len) write_out(l, &b);
        fh_buf_clear(&b.text);
    }
    fh_buf_fini(&b.text);
    return NULL;
}

/* ---- adding ---- */

static void say_what_was_lost(fh_access_log *l)
{
    char time[32];
    fh_clock_format_utc(fh_clock_utc_ns(), time, sizeof time);
    fh_buf_addf(&l->waiting.text, "{\"time\":\"%s\",\"dropped\":%llu}\n", time, (unsigned long long)l->untold);
    l->waiting.told += l->untold;
    l->untold = 0;
}

void fh_access_log_add(fh_access_log *l, const fh_record *r)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(LINE_BYTES);
    fh_access_log_line(r, &line);
    pthread_mutex_lock(&l->lock);
    fh_buf *text = &l->waiting.text;
    bool fits = fh_buf_ok(&line) && text->len + line.len + 128 <= FH_LIMIT_ACCESS_LOG_BYTES && fh_buf_reserve(text, line.len + 128);
    if (fits) {
        if (l->untold) say_what_was_lost(l);
        if (l->waiting.lines == 0) pthread_cond_signal(&l->more);
        fh_buf_add(text, line.data, line.len);
        l->waiting.lines++;
    } else {
        l->dropped++;
        l->untold++;
    }
    pthread_mutex_unlock(&l->lock);
}

void fh_access_log_counts_get(fh_access_log *l, fh_access_log_counts *ret)
{
    pthread_mutex_lock(&l->lock);
    *ret = (fh_access_log_counts){.written = l->written, .dropped = l->dropped};
    pthread_mutex_unlock(&l->lock);
}

/* ---- opening, closing ---- */

int fh_access_log_reopen(fh_access_log *l, fh_err **err)
{
    int fd = -1, old;
    if (!l->path) return 0;
    int rc = fh_file_open_append(l->path, 0600, &fd, err);
    if (rc) return rc;
    pthread_mutex_lock(&l->lock);
    old = l->next_fd;
    l->next_fd = fd;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    if (old >= 0) close(old);
    return 0;
}

static int open_first(fh_access_log *l, const char *path, fh_err **err)
{
    int fd = -1, rc = 0;
    if (strcmp(path, "-") == 0) {
        fd = dup(STDOUT_FILENO);
        if (fd < 0) return fh_err_set(err, FH_E_IO, "there is no standard output for the access log");
    } else {
        l->file.path = l->path = fh_strdup(path);
        rc = l->path ? fh_file_open_append(path, 0600, &fd, err) : fh_err_nomem(err);
    }
    if (!rc) fh_access_file_set(&l->file, fd);
    return rc;
}

static void release(fh_access_log *l)
{
    if (l->file.fd >= 0) close(l->file.fd);
    if (l->next_fd >= 0) close(l->next_fd);
    fh_buf_fini(&l->waiting.text);
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    fh_free(l->path);
    fh_free(l);
}

int fh_access_log_open(fh_access_log **ret, const char *path, uint64_t file_bytes, fh_err **err)
{
    fh_access_log *l = fh_calloc(1, sizeof *l);
    if (!l) return fh_err_nomem(err);
    *l =
        (fh_access_log){.waiting = {.text = FH_BUF(FH_LIMIT_ACCESS_LOG_BYTES)}, .file = {.fd = -1, .max_bytes = file_bytes}, .next_fd = -1};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    int rc = open_first(l, path, err);
    int failed = rc ? 0 : pthread_create(&l->thread, NULL, run, l);
    if (failed) rc = fh_err_errno(err, FH_E_UNAVAILABLE, failed, "cannot start the access log's thread");
    if (rc)
        release(l);
    else
        *ret = l;
    return rc;
}

void fh_access_log_close(fh_access_log *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    release(l);
}
