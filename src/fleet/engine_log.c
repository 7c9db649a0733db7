/* The logs of engines. */
#include "engine_log.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "spread_private.h"
#include "sys/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAST_WORDS_BYTES 65536 /* ranks that are ended with the first may say much after it */

static int log_path(const char *logs, const char *deployment, const char *suffix, char *out, size_t out_size, fh_err **err)
{
    char name[128];
    snprintf(name, sizeof(name), "%s.log%s", deployment, suffix);
    return fh_path_join(out, out_size, logs, name, err);
}

/* What has grown is copied beside and cut: the engine goes on writing to the same file, at its new end. */
void fh_engine_log_rotate(const char *logs, const char *deployment)
{
    char path[1024], older[1024];
    struct stat st;
    if (log_path(logs, deployment, "", path, sizeof(path), NULL) != 0 || log_path(logs, deployment, ".1", older, sizeof(older), NULL) != 0)
        return;
    if (stat(path, &st) != 0 || st.st_size < FH_LIMIT_ENGINE_LOG_BYTES) return;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_ENGINE_LOG_BYTES + 1);
    if (fh_file_read_tail(path, FH_LIMIT_ENGINE_LOG_BYTES, &text, NULL) == 0)
        fh_file_write_atomic(older, fh_buf_cstr(&text), text.len, 0600, NULL);
    if (truncate(path, 0) != 0) return; /* tried again at the next look */
}

int fh_engine_log_open(const char *logs, const char *deployment, int *ret_fd, fh_err **err)
{
    char path[1024];
    fh_engine_log_rotate(logs, deployment);
    int rc = log_path(logs, deployment, "", path, sizeof(path), err);
    return rc != 0 ? rc : fh_file_open_append(path, 0600, ret_fd, err);
}

int fh_engine_log_begin(const char *logs, const char *deployment, int *ret_fd, fh_err **err)
{
    char when[32], line[80];
    int fd = -1, rc = fh_engine_log_open(logs, deployment, &fd, err);
    if (rc != 0) return rc;
    fh_clock_format_utc(fh_clock_utc_ns(), when, sizeof(when));
    int n = snprintf(line, sizeof(line), "---- %s an engine is started\n", when);
    rc = fh_file_append(fd, line, (size_t)n, "its log", err);
    if (rc == 0)
        *ret_fd = fd;
    else
        close(fd);
    return rc;
}

int fh_engine_log_tail(const char *logs, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err)
{
    char path[1024];
    int rc = log_path(logs, deployment, "", path, sizeof(path), err);
    return rc != 0 ? rc : fh_file_read_tail(path, max_bytes, out, err);
}

int64_t fh_engine_log_from(const char *logs, const char *deployment, int64_t from, size_t max_bytes, fh_buf *out)
{
    char path[1024], piece[4096];
    FH_AUTO(fd) int fd = -1;
    struct stat st;
    if (log_path(logs, deployment, "", path, sizeof(path), NULL) != 0) return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0) return 0;
    if (st.st_size < from) from = 0;
    for (size_t left = max_bytes; left;) {
        ssize_t got = pread(fd, piece, FH_MIN(left, sizeof(piece)), from);
        if (got <= 0 || !fh_buf_add(out, piece, (size_t)got)) break;
        from += got;
        left -= (size_t)got;
    }
    return from;
}

void fh_place_last_words(const fh_place *p, const char *deployment, char *out, size_t out_size)
{
    FH_AUTO(buf) fh_buf log = FH_BUF(LAST_WORDS_BYTES + 1);
    out[0] = 0;
    if (p->log_tail(p->ctx, deployment, LAST_WORDS_BYTES, &log, NULL) != 0) return;
    fh_str text = fh_str_trim((fh_str){fh_buf_cstr(&log), log.len}), first = fh_spread_first_end(text);
    if (first.len) text = first;
    for (const char *newline; text.len && (newline = memchr(text.ptr, '\n', text.len));) {
        text.len -= (size_t)(newline + 1 - text.ptr);
        text.ptr = newline + 1;
    }
    if (fh_str_starts(text, FH_STR("----"))) return; /* our own line: it said nothing */
    snprintf(out, out_size, "%.*s", (int)FH_MIN(text.len, 140), text.ptr);
}
