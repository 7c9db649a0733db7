/* Reading and writing files. Every system call that can fail in the field passes a fault point, so that the torture tests can show that
 * each failure leaves nothing half-written behind. */
#include "sys/file.h"

#include "base/fault.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE_BYTES (1u << 20)
#define WRITE_PART_BYTES (8u << 20)

static int open_point(const char *path, int flags, unsigned mode)
{
    if (fh_fault_strikes(FH_FAULT_OPEN)) {
        errno = EIO;
        return -1;
    }
    return open(path, flags | O_CLOEXEC, mode);
}

static ssize_t read_point(int fd, void *data, size_t bytes)
{
    if (fh_fault_strikes(FH_FAULT_READ)) {
        errno = EIO;
        return -1;
    }
    ssize_t n;
    do n = read(fd, data, bytes);
    while (n < 0 && errno == EINTR);
    return n;
}

static int write_all(int fd, const void *data, size_t bytes)
{
    const char *p = data;
    while (bytes) {
        if (fh_fault_strikes(FH_FAULT_WRITE)) {
            errno = ENOSPC;
            return -1;
        }
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno != EINTR) return -1;
        if (n > 0) {
            p += n;
            bytes -= (size_t)n;
        }
    }
    return 0;
}

static int sync_point(int fd)
{
    if (fh_fault_strikes(FH_FAULT_FSYNC)) {
        errno = EIO;
        return -1;
    }
    return fsync(fd);
}

static int rename_point(const char *from, const char *to)
{
    if (fh_fault_strikes(FH_FAULT_RENAME)) {
        errno = EIO;
        return -1;
    }
    return rename(from, to);
}

static int code_of(int errno_value)
{
    if (errno_value == ENOENT || errno_value == ENOTDIR) return FH_E_NOT_FOUND;
    if (errno_value == EACCES || errno_value == EPERM) return FH_E_FORBIDDEN;
    if (errno_value == EEXIST) return FH_E_EXISTS;
    if (errno_value == ENOMEM) return FH_E_NOMEM;
    return FH_E_IO;
}

static int fail(fh_err **err, const char *what, const char *path)
{
    int e = errno;
    int rc = fh_err_errno(err, code_of(e), e, "cannot %s %s", what, path);
    if (e == ENOSPC || e == EDQUOT) fh_err_hint(err, "free some space on that disk and try again");
    if (e == EFBIG) fh_err_hint(err, "files may not become that large here: raise the limit (ulimit -f), or use another disk");
    if (e == ENOMEM) fh_err_hint(err, "raise the limit on memory (ulimit -v), or end something that uses much of it");
    return rc;
}

/* Opens a regular file for reading and says how long it is. */
static int open_regular(const char *path, int *ret_fd, struct stat *ret_stat, fh_err **err)
{
    int fd = open_point(path, O_RDONLY | O_NONBLOCK, 0); /* a pipe in place of a file must not make us wait for a writer */
    if (fd < 0) return fail(err, "open", path);
    int rc = 0;
    if (fstat(fd, ret_stat) != 0)
        rc = fail(err, "look at", path);
    else if (!S_ISREG(ret_stat->st_mode))
        rc = fh_err_set(err, FH_E_INVALID, "%s is not a regular file", path);
    if (rc == 0)
        *ret_fd = fd;
    else
        close(fd);
    return rc;
}

int fh_file_map(const char *path, fh_mapping *ret, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    struct stat st = {0};
    int rc = open_regular(path, &fd, &st, err);
    if (rc != 0) return rc;
    if (st.st_size == 0) {
        *ret = (fh_mapping){"", 0};
        return 0;
    }
    void *p = fh_fault_strikes(FH_FAULT_READ) ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return fail(err, "map", path);
    *ret = (fh_mapping){p, (size_t)st.st_size};
    return 0;
}

void fh_file_unmap(fh_mapping *m)
{
    if (m->bytes) munmap((void *)m->data, m->bytes);
    *m = (fh_mapping){0};
}

int fh_file_read(const char *path, size_t max_bytes, fh_buf *out, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    struct stat st = {0};
    int rc = open_regular(path, &fd, &st, err);
    if (rc != 0) return rc;
    size_t before = out->len;
    for (;;) { /* to the end, not to st_size: files of /proc say 0 */
        char piece[16384];
        ssize_t n = read_point(fd, piece, sizeof(piece));
        if (n < 0) return fail(err, "read", path);
        if (n == 0) return 0;
        if (out->len - before + (size_t)n > max_bytes)
            return fh_err_set(err, FH_E_TOO_LARGE, "%s is larger than %zu bytes", path, max_bytes);
        if (!fh_buf_add(out, piece, (size_t)n)) return fh_buf_check(out, err, path);
    }
}

int fh_file_read_tail(const char *path, size_t max_bytes, fh_buf *out, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    struct stat st = {0};
    int rc = open_regular(path, &fd, &st, err);
    if (rc != 0) return rc;
    size_t bytes = FH_MIN((size_t)st.st_size, max_bytes), before = out->len;
    bool cut = bytes < (size_t)st.st_size;
    if (lseek(fd, st.st_size - (off_t)bytes, SEEK_SET) < 0) return fail(err, "read", path);
    while (out->len - before < bytes) {
        char piece[16384];
        ssize_t n = read_point(fd, piece, FH_MIN(sizeof(piece), bytes - (out->len - before)));
        if (n < 0) return fail(err, "read", path);
        if (n == 0) break; /* rotated meanwhile: what came is what there is */
        if (!fh_buf_add(out, piece, (size_t)n)) return fh_buf_check(out, err, path);
    }
    char *newline = cut ? memchr(out->data + before, '\n', out->len - before) : NULL;
    if (newline) { /* the first line is cut: leave it out */
        size_t skip = (size_t)(newline + 1 - (out->data + before));
        memmove(out->data + before, newline + 1, out->len - before - skip + 1);
        out->len -= skip;
    }
    return 0;
}

static int scan_fd(int fd, uint64_t total, const char *path, fh_file_chunk *chunk, void *arg, fh_err **err)
{
    FH_AUTO(ptr) char *piece = fh_alloc(COPY_PIECE_BYTES);
    if (!piece) return fh_err_nomem(err);
    uint64_t done = 0;
    for (;;) {
        ssize_t n = read_point(fd, piece, COPY_PIECE_BYTES);
        if (n < 0) return fail(err, "read", path);
        if (n == 0) break;
        done += (uint64_t)n;
        int rc = chunk(arg, piece, (size_t)n, done, total, err);
        if (rc != 0) return rc;
    }
    if (done != total) return fh_err_set(err, FH_E_CORRUPT, "%s changed while it was read", path);
    return 0;
}

int fh_file_scan(const char *path, fh_file_chunk *chunk, void *arg, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    struct stat st = {0};
    int rc = open_regular(path, &fd, &st, err);
    return rc != 0 ? rc : scan_fd(fd, (uint64_t)st.st_size, path, chunk, arg, err);
}

typedef struct copier {
    int fd;
    const char *to;
    fh_file_chunk *chunk;
    void *arg;
} copier;

static int copy_chunk(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    copier *c = arg;
    if (write_all(c->fd, data, bytes) != 0) return fail(err, "write", c->to);
    return c->chunk ? c->chunk(c->arg, data, bytes, done, total, err) : 0;
}

int fh_file_copy_fd(int from, const char *name, const char *to_temporary, fh_file_chunk *chunk, void *arg, fh_err **err)
{
    struct stat st;
    if (fstat(from, &st) != 0 || lseek(from, 0, SEEK_SET) != 0) return fail(err, "read", name);
    FH_AUTO(fd) int fd = open_point(to_temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) return fail(err, "create", to_temporary);
    copier c = {fd, to_temporary, chunk, arg};
    int rc = scan_fd(from, (uint64_t)st.st_size, name, copy_chunk, &c, err);
    if (rc == 0 && sync_point(fd) != 0) rc = fail(err, "sync", to_temporary);
    if (rc != 0) unlink(to_temporary);
    return rc;
}

int fh_file_copy_durable(const char *from, const char *to_temporary, fh_file_chunk *chunk, void *arg, fh_err **err)
{
    FH_AUTO(fd) int fd = -1;
    struct stat st = {0};
    int rc = open_regular(from, &fd, &st, err);
    return rc != 0 ? rc : fh_file_copy_fd(fd, from, to_temporary, chunk, arg, err);
}

/* The folder that path lies in. */
static int parent_of(const char *path, char *out, size_t out_size, fh_err **err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;
    if (n >= out_size) return fh_err_set(err, FH_E_INVALID, "path too long: %s", path);
    if (n == 0) n = 1; /* "/x" lies in "/" */
    memcpy(out, slash ? path : ".", n);
    out[n] = 0;
    return 0;
}

int fh_file_rename_durable(const char *from, const char *to, fh_err **err)
{
    char parent[4096];
    int rc = parent_of(to, parent, sizeof(parent), err);
    if (rc != 0) return rc;
    rc = fh_file_rename(from, to, err);
    return rc != 0 ? rc : fh_dir_sync(parent, err);
}

int fh_file_rename(const char *from, const char *to, fh_err **err)
{
    return rename_point(from, to) != 0 ? fail(err, "rename to", to) : 0;
}

/* Cancelled, or to be written on: large pieces are written in parts. */
static int write_piece(int fd, const char *path, const fh_file_piece *p, const _Atomic bool *stop, fh_err **err)
{
    for (size_t at = 0; at < p->bytes; at += FH_MIN((size_t)WRITE_PART_BYTES, p->bytes - at)) {
        if (stop && atomic_load(stop)) return fh_err_set(err, FH_E_CANCELLED, "writing %s was given up", path);
        if (write_all(fd, (const char *)p->data + at, FH_MIN((size_t)WRITE_PART_BYTES, p->bytes - at)) != 0)
            return fail(err, "write", path);
    }
    return 0;
}

static int write_synced(int fd, const char *path, const fh_file_piece *pieces, size_t count, unsigned mode, const _Atomic bool *stop,
                        fh_err **err)
{
    if (fchmod(fd, mode) != 0) return fail(err, "set the mode of", path); /* open's mode is cut by umask */
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) rc = write_piece(fd, path, &pieces[i], stop, err);
    if (rc == 0 && sync_point(fd) != 0) rc = fail(err, "sync", path);
    return rc;
}

int fh_file_write_atomic(const char *path, const void *data, size_t bytes, unsigned mode, fh_err **err)
{
    return fh_file_write_pieces(path, &(fh_file_piece){data, bytes}, 1, mode, NULL, err);
}

int fh_file_write_pieces(const char *path, const fh_file_piece *pieces, size_t count, unsigned mode, const _Atomic bool *stop, fh_err **err)
{
    FH_AUTO(ptr) char *temporary = fh_asprintf("%s.tmp-%d", path, (int)getpid());
    if (!temporary) return fh_err_nomem(err);
    FH_AUTO(fd) int fd = open_point(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (fd < 0) return fail(err, "create", temporary);
    int rc = write_synced(fd, temporary, pieces, count, mode, stop, err);
    if (rc == 0) rc = fh_file_rename_durable(temporary, path, err);
    if (rc != 0) unlink(temporary); /* after the rename there is none: what failed then is the sync, and the new file is there */
    return rc;
}

int fh_file_open_append(const char *path, unsigned mode, int *ret_fd, fh_err **err)
{
    int fd = open_point(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, mode); /* a pipe must not make us wait for a reader */
    if (fd < 0) return fail(err, "open", path);
    fcntl(fd, F_SETFL, O_APPEND);
    *ret_fd = fd;
    return 0;
}

int fh_file_append(int fd, const void *data, size_t bytes, const char *name, fh_err **err)
{
    return write_all(fd, data, bytes) ? fail(err, "write to", name) : 0;
}

bool fh_file_is_torn(int fd)
{
    struct stat st;
    char path[40], last = '\n';
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* fd may be open for writing alone */
    FH_AUTO(fd) int again = open_point(path, O_RDONLY, 0);
    if (again < 0 || lseek(again, -1, SEEK_END) < 0 || read_point(again, &last, 1) != 1) return false;
    return last != '\n';
}

bool fh_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}
