/* What all verbs print with: standard output checked for write errors, errors on standard error, sizes and ages in words. */
#include "cli_private.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* How many bytes must follow the first byte of a character. */
static unsigned bytes_after(unsigned char first)
{
    if (first >= 0xf0) return 3;
    if (first >= 0xe0) return 2;
    return first >= 0xc2 ? 1 : 0;
}

/* What comes from models, engines and servers could otherwise move the cursor, set the title or answer for the keyboard. */
bool fh_cli_clean(fh_buf *out, fh_str text)
{
    unsigned wanted = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char b = (unsigned char)text.ptr[i], next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        bool inside = wanted > 0 && (b & 0xc0) == 0x80;
        wanted = inside ? wanted - 1 : 0;
        bool c1 = b == 0xc2 && next >= 0x80 && next < 0xa0;
        i += c1;
        if (c1 || b == 0x7f || (b < 0x20 && b != '\n' && b != '\t') || (!inside && b >= 0x80 && b < 0xa0)) continue;
        if (!inside) wanted = bytes_after(b);
        fh_buf_addc(out, (char)b);
    }
    return fh_buf_ok(out);
}

bool fh_cli_write(FILE *to, fh_str text)
{
    FH_AUTO(buf) fh_buf clean = FH_BUF(text.len + 1);
    if (isatty(fileno(to)) == 1) {
        if (!fh_cli_clean(&clean, text)) return false;
        text = (fh_str){fh_buf_cstr(&clean), clean.len};
    }
    return fwrite(text.ptr, 1, text.len, to) == text.len && fflush(to) == 0;
}

int fh_cli_print(const fh_buf *text, fh_err **err)
{
    int rc = fh_buf_check(text, err, "output");
    if (rc || fh_cli_write(stdout, (fh_str){fh_buf_cstr(text), text->len})) return rc;
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
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 20);
    fh_buf_addf(&text, "freehold%s%s: %s\n", verb ? " " : "", verb ? verb : "", fh_err_message(err));
    if (hint) fh_buf_addf(&text, "  %s\n", hint);
    fflush(stdout);
    fh_cli_write(stderr, (fh_str){fh_buf_cstr(&text), text.len});
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
