/* One record is one line and one write(2), so that records of several threads and processes never mix. Control characters are escaped: what
 * a client or a file sent cannot forge a record. */
#include "base/log.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_BYTES = 2048 };

static _Atomic int lowest = FH_LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void fh_log_set_level(fh_log_level level)
{
    atomic_store(&lowest, (int)level);
}

static void record_write(fh_log_level level, const char *module, const char *text)
{
    char line[RECORD_BYTES], when[32];
    fh_clock_format_utc(fh_clock_utc_ns(), when, sizeof when);
    int head = snprintf(line, sizeof line, "%s %-5s %s: ", when, level_names[level], module);
    size_t n = head < 0 ? 0 : (size_t)head;
    for (const char *p = text; *p && n < sizeof line - 2; p++) line[n++] = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written; /* there is nowhere else to tell */
}

void fh_log(fh_log_level level, const char *module, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed)) return;
    char text[RECORD_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    record_write(level, module, text);
}

void fh_log_err(fh_log_level level, const char *module, const fh_err *err, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed)) return;
    char text[RECORD_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    const char *hint = fh_err_hint_get(err);
    if (used < sizeof text)
        snprintf(text + used, sizeof text - used, ": %s%s%s%s", fh_err_message(err), hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
    record_write(level, module, text);
}
