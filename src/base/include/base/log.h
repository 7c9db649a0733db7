/* Logging for programs (libraries return errors instead). One line a record on standard error: time (UTC), level, module, text, key=value.
 * Never prompts, answers, keys or other secrets. Threads: any; a record is one write(2). */
#ifndef FH_BASE_LOG_H
#define FH_BASE_LOG_H

#include "base/err.h"

typedef enum fh_log_level { FH_LOG_DEBUG, FH_LOG_INFO, FH_LOG_WARN, FH_LOG_ERROR } fh_log_level;

void fh_log_set_level(fh_log_level level); /* default: info */
void fh_log(fh_log_level level, const char *module, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Logs the message and hint of err; does not free it. */
void fh_log_err(fh_log_level level, const char *module, const fh_err *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
