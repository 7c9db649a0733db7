/* Folders: making, walking, removing, locking, and joining names to paths without letting a name escape. */
#include "sys/file.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOVE_DEPTH 64
#define LOCK_TRIES   25
#define LOCK_WAIT_NS (20 * FH_NS_PER_MS)

static int make_one(const char *path, unsigned mode, fh_err **err)
{
    if (fh_fault_strikes(FH_FAULT_OPEN)) return fh_err_errno(err, FH_E_IO, EIO, "cannot make folder %s", path);
    if (mkdir(path, mode) == 0) return 0;
    int e = errno;
    struct stat st;
    if (e == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    return fh_err_errno(err, e == EACCES || e == EPERM ? FH_E_FORBIDDEN : FH_E_IO, e == EEXIST ? ENOTDIR : e, "cannot make folder %s",
                        path);
}

int fh_dir_make(const char *path, unsigned mode, fh_err **err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    FH_AUTO(ptr) char *copy = fh_strdup(path);
    if (!copy) return fh_err_nomem(err);
    for (char *p = copy + 1; copy[0] && *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        if (stat(copy, &st) != 0) {
            int rc = make_one(copy, mode, err);
            if (rc != 0) return rc;
        }
        *p = '/';
    }
    return make_one(path, mode, err);
}

int fh_dir_sync(const char *path, fh_err **err)
{
    FH_AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot open folder %s", path);
    if (fh_fault_strikes(FH_FAULT_FSYNC)) return fh_err_errno(err, FH_E_IO, EIO, "cannot sync folder %s", path);
    if (fsync(fd) != 0) return fh_err_errno(err, FH_E_IO, errno, "cannot sync folder %s", path);
    return 0;
}

static int remove_entry(int parent, const char *name, unsigned depth);

static int remove_inside(DIR *d, unsigned depth)
{
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (remove_entry(dirfd(d), e->d_name, depth + 1) != 0) return -1;
    }
    return 0;
}

static int remove_entry(int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    if (depth > REMOVE_DEPTH) {
        errno = ELOOP;
        return -1;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -1;
    }
    int rc = remove_inside(d, depth);
    closedir(d);
    return rc != 0 ? rc : unlinkat(parent, name, AT_REMOVEDIR);
}

int fh_dir_remove(const char *path, fh_err **err)
{
    if (remove_entry(AT_FDCWD, path, 0) != 0) return fh_err_errno(err, FH_E_IO, errno, "cannot remove %s", path);
    return 0;
}

int fh_dir_each(const char *path, int (*fn)(void *arg, const char *name, fh_err **err), void *arg, fh_err **err)
{
    DIR *d = fh_fault_strikes(FH_FAULT_OPEN) ? NULL : opendir(path);
    if (!d) return fh_err_errno(err, errno == ENOENT ? FH_E_NOT_FOUND : FH_E_IO, errno, "cannot read folder %s", path);
    const struct dirent *e;
    int rc = 0;
    while (rc == 0 && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) rc = fn(arg, e->d_name, err);
    }
    closedir(d);
    return rc;
}

typedef struct sum {
    const char *folder;
    uint64_t bytes;
} sum;

static int add_file(void *arg, const char *name, fh_err **err)
{
    sum *s = arg;
    char path[1400];
    struct stat st;
    (void)err;
    if (fh_path_join(path, sizeof path, s->folder, name, NULL) == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        s->bytes += (uint64_t)st.st_size;
    return 0;
}

uint64_t fh_dir_bytes(const char *path)
{
    sum s = {.folder = path};
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_dir_each(path, add_file, &s, &err);
    return s.bytes;
}

int fh_path_real(const char *path, char **ret, fh_err **err)
{
    char *real = realpath(path, NULL); /* from libc's own allocator */
    if (!real) return fh_err_errno(err, errno == ENOENT ? FH_E_NOT_FOUND : FH_E_IO, errno, "cannot find %s", path);
    char *copy = fh_strdup(real);
    free(real); // NOLINT: what realpath gave
    if (!copy) return fh_err_nomem(err);
    *ret = copy;
    return 0;
}

int fh_path_join(char *out, size_t out_size, const char *folder, const char *name, fh_err **err)
{
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return fh_err_set(err, FH_E_INVALID, "\"%s\" is not the name of a file in a folder", name);
    }
    int n = snprintf(out, out_size, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= out_size) return fh_err_set(err, FH_E_INVALID, "path too long: %s/%s", folder, name);
    return 0;
}

/* Of the open file, as flock's, so that it is shared over fork and falls with the last of those who have it; also on network file systems.
 */
static int lock_with_patience(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (int i = 0;; i++) {
        if (fcntl(fd, F_OFD_SETLK, &whole) == 0) return 0;
        if ((errno != EAGAIN && errno != EACCES) || i == LOCK_TRIES) return errno;
        fh_sleep_ns(LOCK_WAIT_NS); /* one that was just killed may not have let go yet */
    }
}

int fh_dir_lock(const char *path, int *ret_fd, fh_err **err)
{
    char file[4096];
    int rc = fh_path_join(file, sizeof(file), path, "lock", err);
    if (rc != 0) return rc;
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot open %s", file);
    int e = lock_with_patience(fd);
    if (e == 0) {
        *ret_fd = fd;
        return 0;
    }
    close(fd);
    if (e != EAGAIN && e != EACCES) return fh_err_errno(err, FH_E_IO, e, "cannot lock %s", file);
    rc = fh_err_set(err, FH_E_BUSY, "another freehold uses the data folder %s", path);
    fh_err_hint(err, "stop it, or talk to it instead of working on its folder, or give another folder with --data");
    return rc;
}
