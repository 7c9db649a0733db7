/* The file of the access log, which is rotated when it is full: NAME becomes NAME.1, that NAME.2, and the oldest of ACCESS_LOG_FILES goes.
 *
 * Others may have it open or rename it meanwhile: an older server that ends its streams while a newer one serves, a program that rotates
 * logs. A full file is renamed by one of them, under a lock on the file itself, and only while it still has the name; whoever finds it
 * renamed opens the name anew. Links are followed, pipes and devices never rotated. No line is lost: until a new file is open the one
 * before is written to. Threads: one. */
#ifndef FH_ACCESS_FILE_H
#define FH_ACCESS_FILE_H

#include "base/buf.h"
#include "base/err.h"

typedef struct fh_access_file {
    const char *path; /* borrowed; NULL: standard output */
    int fd;
    uint64_t max_bytes;
    bool torn; /* ends within a line */
} fh_access_file;

void fh_access_file_set(fh_access_file *f, int fd); /* takes fd, and closes the one before */
/* Rotates it if bytes more would make it larger than its bound; when that fails the file is as it was. */
int fh_access_file_make_room(fh_access_file *f, size_t bytes, fh_err **err);
int fh_access_file_append(fh_access_file *f, const fh_buf *lines, fh_err **err);

#endif
