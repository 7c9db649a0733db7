/* Files: every open, read, write and fsync of ours goes through here, so that torture tests can fail each one. Threads: any. */
#ifndef FH_SYS_FILE_H
#define FH_SYS_FILE_H

#include "base/buf.h"
#include "base/err.h"

typedef struct fh_mapping {
    const void *data;
    size_t bytes;
} fh_mapping;

int fh_file_map(const char *path, fh_mapping *ret, fh_err **err); /* regular files only, read-only, shared */
void fh_file_unmap(fh_mapping *m);
int fh_file_read(const char *path, size_t max_bytes, fh_buf *out, fh_err **err);
/* All or nothing, durable: temporary file beside it, fsync, rename, fsync of the folder. */
int fh_file_write_atomic(const char *path, const void *data, size_t bytes, unsigned mode, fh_err **err);
int fh_file_copy_durable(const char *from, const char *to_temporary, void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg, fh_err **err);
int fh_dir_make(const char *path, unsigned mode, fh_err **err); /* with parents */
int fh_dir_sync(const char *path, fh_err **err);
int fh_path_join(char *out, size_t out_size, const char *folder, const char *name, fh_err **err); /* name: one component, no "..", no "/" */
/* An exclusive lock on a data folder, held until closed (flock; falls with the process). FH_E_BUSY when another process has it. */
int fh_dir_lock(const char *path, int *ret_fd, fh_err **err);

#endif
