/* The access log's queue, its thread and its file (see access_log.h). */
#include "observe/access_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };
#define COMPLAIN_NS (60 * FH_NS_PER_S)

struct fh_access_log {
    pthread_mutex_t lock; /* guards what is below it; never held across I/O */
    pthread_cond_t more;
    fh_buf waiting;
    uint64_t lines;                    /* in waiting */
    uint64_t written, dropped, untold; /* untold: dropped, and no line has said so yet */
    int next_fd;                       /* opened anew; -1 */
    bool ending;
    char *path; /* owned; NULL: standard output */
    int fd;     /* the thread's, once that runs */
    int64_t complained_ns;
    pthread_t thread;
};

/* ---- the thread ---- */

static void count_written(fh_access_log *l, uint64_t lines, bool good)
{
    pthread_mutex_lock(&l->lock);
    *(good ? &l->written : &l->dropped) += lines;
    if (!good) l->untold += lines;
    pthread_mutex_unlock(&l->lock);
}

/* Once a minute, in the log of the program. */
static void complain(fh_access_log *l, const fh_err *err)
{
    int64_t now = fh_clock_mono_ns();
    if (l->complained_ns && now - l->complained_ns < COMPLAIN_NS) return;
    l->complained_ns = now;
    fh_log_err(FH_LOG_WARN, "observe", err, "lines of the access log are lost");
}

static void write_out(fh_access_log *l, const fh_buf *text, uint64_t lines)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_file_append(l->fd, text->data, text->len, l->path ? l->path : "standard output", &err);
    count_written(l, lines, rc == 0);
    if (rc) complain(l, err);
}

static void take_next_file(fh_access_log *l, int *fd)
{
    if (*fd < 0) return;
    close(l->fd);
    l->fd = fh_take_fd(fd);
}

/* What waits is swapped for an empty buffer, and written without the lock. */
static void *run(void *arg)
{
    fh_access_log *l = arg;
    fh_buf text = FH_BUF(FH_LIMIT_ACCESS_LOG_BYTES);
    bool ending = false;
    while (!ending) {
        pthread_mutex_lock(&l->lock);
        while (!l->waiting.len && !l->ending && l->next_fd < 0) pthread_cond_wait(&l->more, &l->lock);
        fh_buf taken = l->waiting;
        uint64_t lines = l->lines;
        int next = fh_take_fd(&l->next_fd);
        ending = l->ending;
        l->waiting = text;
        l->lines = 0;
        pthread_mutex_unlock(&l->lock);
        text = taken;
        take_next_file(l, &next);
        if (text.len) write_out(l, &text, lines);
        fh_buf_clear(&text);
    }
    fh_buf_fini(&text);
    return NULL;
}

/* ---- adding ---- */

static void say_what_was_lost(fh_access_log *l)
{
    char time[32];
    fh_clock_format_utc(fh_clock_utc_ns(), time, sizeof time);
    fh_buf_addf(&l->waiting, "{\"time\":\"%s\",\"dropped\":%llu}\n", time, (unsigned long long)l->untold);
    l->untold = 0;
}

void fh_access_log_add(fh_access_log *l, const fh_record *r)
{
    FH_AUTO(buf) fh_buf line = FH_BUF(LINE_BYTES);
    fh_access_log_line(r, &line);
    pthread_mutex_lock(&l->lock);
    bool fits =
        fh_buf_ok(&line) && l->waiting.len + line.len + 128 <= FH_LIMIT_ACCESS_LOG_BYTES && fh_buf_reserve(&l->waiting, line.len + 128);
    if (fits) {
        if (l->untold) say_what_was_lost(l);
        if (!l->waiting.len || l->lines == 0) pthread_cond_signal(&l->more);
        fh_buf_add(&l->waiting, line.data, line.len);
        l->lines++;
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
    if (strcmp(path, "-") == 0) {
        l->fd = dup(STDOUT_FILENO);
        return l->fd < 0 ? fh_err_set(err, FH_E_IO, "there is no standard output for the access log") : 0;
    }
    l->path = fh_strdup(path);
    return l->path ? fh_file_open_append(path, 0600, &l->fd, err) : fh_err_nomem(err);
}

static void release(fh_access_log *l)
{
    if (l->fd >= 0) close(l->fd);
    if (l->next_fd >= 0) close(l->next_fd);
    fh_buf_fini(&l->waiting);
    pthread_cond_destroy(&l->more);
    pthread_mutex_destroy(&l->lock);
    fh_free(l->path);
    fh_free(l);
}

int fh_access_log_open(fh_access_log **ret, const char *path, fh_err **err)
{
    fh_access_log *l = fh_calloc(1, sizeof *l);
    if (!l) return fh_err_nomem(err);
    *l = (fh_access_log){.waiting = FH_BUF(FH_LIMIT_ACCESS_LOG_BYTES), .fd = -1, .next_fd = -1};
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
