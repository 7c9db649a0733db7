/* Rotating and writing the file of the access log (see access_file.h). A kill between two renames leaves a number free, and the next
 * rotation ends there. */
#include "access_file.h"

#include "base/limits.h"
#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 4096 + 16 };

void fh_access_file_set(fh_access_file *f, int fd)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = fd;
    f->torn = fh_file_is_torn(fd);
}

static bool is_full(const fh_access_file *f, size_t bytes)
{
    struct stat st;
    if (!f->path || fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    return st.st_size > 0 && (uint64_t)st.st_size + bytes > f->max_bytes;
}

/* Whether the name is still this file's. */
static bool has_name(const fh_access_file *f)
{
    struct stat named, open;
    return stat(f->path, &named) == 0 && fstat(f->fd, &open) == 0 && named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

static const char *numbered(const char *path, unsigned n, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, n ? "%s.%u" : "%s", path, n);
    return out;
}

/* The first number that is free takes what is before it; when none is, the oldest file goes. */
static int shift(const char *name, fh_err **err)
{
    FH_AUTO(ptr) char *path = NULL; /* a link stays, and what it leads to is renamed */
    char from[NAME_BYTES], to[NAME_BYTES];
    int rc = fh_path_real(name, &path, err);
    unsigned n = 1;
    while (!rc && n < FH_LIMIT_ACCESS_LOG_FILES && fh_file_exists(numbered(path, n, to))) n++;
    for (; !rc && n > 0; n--) rc = fh_file_rename(numbered(path, n - 1, from), numbered(path, n, to), err);
    return rc;
}

/* Of the open file. False: another server has it. Where the file system has no locks nobody has one. */
static bool lock(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole) == 0 || (errno != EAGAIN && errno != EACCES);
}

static void unlock(int fd)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(fd, F_OFD_SETLK, &whole);
}

int fh_access_file_make_room(fh_access_file *f, size_t bytes, fh_err **err)
{
    int fd = -1, rc = 0;
    if (!is_full(f, bytes) || !lock(f->fd)) return 0; /* another server rotates it now */
    if (has_name(f)) rc = shift(f->path, err);
    if (!rc) rc = fh_file_open_append(f->path, 0600, &fd, err);
    unlock(f->fd);
    if (!rc) fh_access_file_set(f, fd);
    return rc;
}

int fh_access_file_append(fh_access_file *f, const fh_buf *lines, fh_err **err)
{
    const char *name = f->path ? f->path : "standard output";
    int rc = f->torn ? fh_file_append(f->fd, "\n", 1, name, err) : 0;
    if (!rc) rc = fh_file_append(f->fd, lines->data, lines->len, name, err);
    f->torn = rc && fh_file_is_torn(f->fd);
    return rc;
}
