/* Files: every open, read, write and fsync of ours goes through here, so that torture tests can fail each one. Threads: any. */
#ifndef FH_SYS_FILE_H
#define FH_SYS_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include <stdint.h>

typedef struct fh_mapping {
    const void *data;
    size_t bytes;
} fh_mapping;

int fh_file_map(const char *path, fh_mapping *ret, fh_err **err); /* regular files only, read-only, shared */
void fh_file_unmap(fh_mapping *m);
int fh_file_read(const char *path, size_t max_bytes, fh_buf *out, fh_err **err);
/* All or nothing, durable: temporary file beside it, fsync, rename, fsync of the folder. */
int fh_file_write_atomic(const char *path, const void *data, size_t bytes, unsigned mode, fh_err **err);
/* The same of several pieces, one behind the other; FH_E_CANCELLED soon after *stop (may be NULL) became true, unless the file is there. */
typedef struct fh_file_piece {
    const void *data;
    size_t bytes;
} fh_file_piece;
int fh_file_write_pieces(const char *path, const fh_file_piece *pieces, size_t count, unsigned mode, const _Atomic bool *stop,
                         fh_err **err);
/* Called for each piece in order; a negative answer ends the work with that code (set *err as well). */
typedef int fh_file_chunk(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err);
/* Reads a regular file from beginning to end in pieces; a file that changes its length meanwhile is FH_E_CORRUPT. */
int fh_file_scan(const char *path, fh_file_chunk *chunk, void *arg, fh_err **err);
/* Copies a regular file and syncs the copy, which must not exist; fn (may be NULL) sees each piece once it is written. A copy that failed
 * is removed. */
int fh_file_copy_durable(const char *from, const char *to_temporary, fh_file_chunk *chunk, void *arg, fh_err **err);
/* The same of a descriptor, from the file's beginning; name is what messages call it. */
int fh_file_copy_fd(int from, const char *name, const char *to_temporary, fh_file_chunk *chunk, void *arg, fh_err **err);
int fh_file_read_tail(const char *path, size_t max_bytes, fh_buf *out, fh_err **err); /* the last bytes, from the beginning of a line */
int fh_file_rename(const char *from, const char *to, fh_err **err);
int fh_file_rename_durable(const char *from, const char *to, fh_err **err); /* and syncs the folder of the new name */
/* Opens for appending, makes it with that mode if it is not there. Devices and pipes that somebody reads will do too. */
int fh_file_open_append(const char *path, unsigned mode, int *ret_fd, fh_err **err);
int fh_file_append(int fd, const void *data, size_t bytes, const char *name, fh_err **err); /* name: what messages call it */
/* Whether a regular file ends within a line: whoever wrote it was killed, or its disk was full. False of what cannot be read. */
bool fh_file_is_torn(int fd);
bool fh_file_exists(const char *path);
int fh_dir_make(const char *path, unsigned mode, fh_err **err); /* with parents */
int fh_dir_sync(const char *path, fh_err **err);
/* The absolute path of what exists, without links: for those who will not stand in our folder. Owned (fh_free). */
int fh_path_real(const char *path, char **ret, fh_err **err);
/* Removes a folder and all in it, without following links; absent is fine. Refuses more than 64 levels. */
int fh_dir_remove(const char *path, fh_err **err);
/* Calls fn for each entry but "." and ".."; a negative answer ends the walk with that code. */
uint64_t fh_dir_bytes(const char *path); /* of the files that lie in it, not below; 0 when it cannot be read */
int fh_dir_each(const char *path, int (*fn)(void *arg, const char *name, fh_err **err), void *arg, fh_err **err);
int fh_path_join(char *out, size_t out_size, const char *folder, const char *name, fh_err **err); /* name: one component, no "..", no "/" */
/* An exclusive lock on a data folder, held until closed; falls with the process. FH_E_BUSY when another process has it for longer
 * than half a second. */
int fh_dir_lock(const char *path, int *ret_fd, fh_err **err);

#endif
