/* What engines say: DATA/logs/NAME.log, rotated at ENGINE_LOG_BYTES, one older file is kept. logs: the folder. Threads: any. */
#ifndef FH_FLEET_ENGINE_LOG_H
#define FH_FLEET_ENGINE_LOG_H

#include "base/buf.h"
#include "base/err.h"

int fh_engine_log_open(const char *logs, const char *deployment, int *ret_fd, fh_err **err);  /* for appending */
int fh_engine_log_begin(const char *logs, const char *deployment, int *ret_fd, fh_err **err); /* that, and says that one is started */
void fh_engine_log_rotate(const char *logs, const char *deployment);                          /* when it has grown */
int fh_engine_log_tail(const char *logs, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err);
/* As fh_here_log_from. */
int64_t fh_engine_log_from(const char *logs, const char *deployment, int64_t from, size_t max_bytes, fh_buf *out);

#endif
