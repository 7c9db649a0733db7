/* The access log: a line of JSON for each request, written by a thread of its own.
 *
 * Nobody waits for the disk: a line is made on the request's loop and put into a queue of ACCESS_LOG_BYTES; when that is full, because the
 * disk does not keep up or is full, lines are dropped and counted, and the next line that fits says how many. Lines hold times, counts and
 * names, never anything of a prompt or an answer (record.h). The file is appended to, mode 0600. What would make it larger than its bound
 * goes to a new one: NAME becomes NAME.1 and so on, ACCESS_LOG_FILES are kept. It is opened anew when reopen says so, for programs that
 * rotate logs. Threads: any, but for open and close, which are one thread's. */
#ifndef FH_OBSERVE_ACCESS_LOG_H
#define FH_OBSERVE_ACCESS_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "observe/record.h"

typedef struct fh_access_log fh_access_log;
/* path "-": standard output, of which file_bytes says nothing. */
int fh_access_log_open(fh_access_log **ret, const char *path, uint64_t file_bytes, fh_err **err);
void fh_access_log_close(fh_access_log *l); /* writes what waits */
FH_DEFINE_AUTO(fh_access_log, fh_access_log_close);
void fh_access_log_add(fh_access_log *l, const fh_record *r);
/* Lines that come from now on go to a file newly opened by that name; the one before is written to until there is one. */
int fh_access_log_reopen(fh_access_log *l, fh_err **err);

typedef struct fh_access_log_counts {
    uint64_t written, dropped; /* lines */
} fh_access_log_counts;
void fh_access_log_counts_get(fh_access_log *l, fh_access_log_counts *ret);

/* The line of a record, with its line feed. Pure. */
void fh_access_log_line(const fh_record *r, fh_buf *out);

#endif
