/* What is imported, as descriptors: what was looked at is what is read, whatever becomes of its name meanwhile. Below a folder every file
 * is opened by openat2, which follows no way out of it; the later parts of a split too, when their turn comes. */
#include "weights_private.h"

#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC) /* a pipe in place of a file must not make us wait for a writer */

/* The part of path that lies below the folder; NULL when it does not lie there. */
static const char *below(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    return strncmp(path, folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static int open_at(const fh_weights_source *s, const char *path)
{
    if (s->folder_fd < 0) return open(path, OPEN_FLAGS);
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, s->folder_fd, path + (s->below - s->path), &how, sizeof(how));
}

static int take_regular(int opened, const char *path, int *ret_fd, uint64_t *ret_bytes, fh_err **err)
{
    struct stat st;
    FH_AUTO(fd) int fd = opened;
    bool absent = fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EXDEV || errno == ELOOP);
    if (absent) return fh_err_set(err, FH_E_NOT_FOUND, "there is no file %s", path);
    if (fd < 0 || fstat(fd, &st) != 0) return fh_err_errno(err, FH_E_IO, errno, "cannot open %s", path);
    if (!S_ISREG(st.st_mode)) return fh_err_set(err, FH_E_INVALID, "%s is not a regular file", path);
    *ret_bytes = (uint64_t)st.st_size;
    *ret_fd = fh_take_fd(&fd);
    return 0;
}

static int open_file(const fh_weights_source *s, const char *path, int *ret_fd, uint64_t *ret_bytes, fh_err **err)
{
    return take_regular(open_at(s, path), path, ret_fd, ret_bytes, err);
}

/* A file of the folder itself; no link leads out of it. */
static int open_member(const fh_weights_source *s, const char *name, int *ret_fd, uint64_t *ret_bytes, fh_err **err)
{
    char path[1400];
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int n = snprintf(path, sizeof(path), "%s/%s", s->path, name);
    if (n < 0 || (size_t)n >= sizeof(path)) return fh_err_set(err, FH_E_INVALID, "path too long: %.200s", s->path);
    return take_regular((int)syscall(SYS_openat2, s->fd, name, &how, sizeof(how)), path, ret_fd, ret_bytes, err);
}

/* A folder that holds a model, or a file. */
static int open_path(fh_weights_source *s, fh_err **err)
{
    struct stat st;
    FH_AUTO(fd) int fd = open_at(s, s->path);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) return take_regular(fh_take_fd(&fd), s->path, &s->fd, &s->bytes, err);
    s->is_folder = true;
    s->fd = fh_take_fd(&fd);
    FH_AUTO(fd) int config = -1;
    uint64_t bytes;
    int rc = open_member(s, "config.json", &config, &bytes, NULL) == 0 ? 0 : FH_E_INVALID;
    if (rc == 0) return 0;
    fh_err_set(err, rc, "%s is no folder of a model: there is no config.json in it", s->path);
    fh_err_hint(err, "give the folder that holds config.json, the safetensors files and the tokenizer; or a GGUF file");
    return rc;
}

int fh_weights_source_open(fh_weights_source **ret, const char *folder, const char *path, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *s = fh_calloc(1, sizeof(*s));
    if (!s) return fh_err_nomem(err);
    s->fd = s->folder_fd = -1;
    s->path = fh_strdup(path);
    if (!s->path) return fh_err_nomem(err);
    s->below = folder ? below(folder, s->path) : NULL;
    if (folder && s->below) s->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder && s->folder_fd < 0) return fh_err_set(err, FH_E_NOT_FOUND, "%s does not lie in %s", path, folder);
    int rc = open_path(s, err);
    if (rc == 0) *ret = fh_take(s);
    return rc;
}

int fh_weights_source_part(const fh_weights_source *s, const char *name, int *ret_fd, uint64_t *ret_bytes, fh_err **err)
{
    char path[1400];
    if (s->is_folder) return open_member(s, name, ret_fd, ret_bytes, err);
    const char *own = fh_weights_base_name(s->path);
    if (strcmp(name, own) == 0) { /* the file that was looked at */
        *ret_fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
        *ret_bytes = s->bytes;
        return *ret_fd >= 0 ? 0 : fh_err_errno(err, FH_E_IO, errno, "cannot read %s", s->path);
    }
    int n = snprintf(path, sizeof(path), "%.*s%s", (int)(own - s->path), s->path, name);
    if (n < 0 || (size_t)n >= sizeof(path)) return fh_err_set(err, FH_E_INVALID, "path too long: %.200s", s->path);
    return open_file(s, path, ret_fd, ret_bytes, err);
}

bool fh_weights_source_is_ours(const fh_weights_source *s)
{
    struct stat st;
    return fstat(s->fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool fh_weights_source_is_folder(const fh_weights_source *s)
{
    return s->is_folder;
}

int fh_weights_source_fd(const fh_weights_source *s)
{
    return s->fd;
}

void fh_weights_source_close(fh_weights_source *s)
{
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    if (s->folder_fd >= 0) close(s->folder_fd);
    fh_free(s->path);
    fh_free(s);
}
