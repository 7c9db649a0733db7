/* What all verbs print with: standard output checked for write errors, errors on standard error, sizes and ages in words. */
#include "cli_private.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int fh_cli_print(const fh_buf *text, fh_err **err)
{
    int rc = fh_buf_check(text, err, "output");
    if (rc) return rc;
    size_t n = fwrite(fh_buf_cstr(text), 1, text->len, stdout);
    if (n == text->len && fflush(stdout) == 0) return 0;
    return fh_err_errno(err, FH_E_IO, errno, "cannot write the output");
}

int fh_cli_print_json(const fh_json *v, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64 << 20);
    int rc = fh_json_write_pretty(v, &out, err);
    if (rc) return rc;
    fh_buf_addc(&out, '\n');
    return fh_cli_print(&out, err);
}

int fh_cli_print_json_line(const fh_json *v, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(64 << 20);
    int rc = fh_json_write(v, &out, err);
    if (rc) return rc;
    fh_buf_addc(&out, '\n');
    return fh_cli_print(&out, err);
}

void fh_cli_report(const char *verb, const fh_err *err)
{
    const char *hint = fh_err_hint_get(err);
    fflush(stdout);
    fprintf(stderr, "freehold%s%s: %s\n", verb ? " " : "", verb ? verb : "", fh_err_message(err));
    if (hint) fprintf(stderr, "  %s\n", hint);
}

bool fh_cli_terminal_out(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void fh_cli_bytes(uint64_t bytes, char *out, size_t out_size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double n = (double)bytes;
    size_t u = 0;
    while (n >= 999.5 && u + 1 < FH_COUNT(units)) {
        n /= 1000;
        u++;
    }
    snprintf(out, out_size, u > 0 && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[u]);
}

void fh_cli_age(int64_t ns, char *out, size_t out_size)
{
    static const struct {
        int64_t seconds;
        char unit;
    } steps[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};
    int64_t s = FH_MAX(ns / 1000000000, (int64_t)0);
    for (size_t i = 0; i < FH_COUNT(steps); i++) {
        if (s < 2 * steps[i].seconds) continue;
        snprintf(out, out_size, "%lld%c", (long long)(s / steps[i].seconds), steps[i].unit);
        return;
    }
    snprintf(out, out_size, "%llds", (long long)s);
}
