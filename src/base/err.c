/* The error object. Holds one line of message, an optional hint, the field at fault and a reason for programs. When even that cannot be
 * allocated, callers get a static object for "out of memory", which is never freed and never changed. */
#include "base/err.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fh_err {
    int code;
    char *message, *hint, *param; /* owned; message is never NULL in a heap object */
    const char *reason;
};

static char out_of_memory_text[] = "out of memory";
static fh_err out_of_memory = {FH_E_NOMEM, out_of_memory_text, NULL, NULL, NULL};

typedef struct code_row {
    int code, http, exit;
    bool retry;
    const char *name, *title;
} code_row;

static const code_row code_rows[] = {
#define FH_ERR_ROW(name, code, http, exit, retry, title, ...) {code, http, exit, retry, #name, title},
    FH_ERR_LIST(FH_ERR_ROW)
#undef FH_ERR_ROW
};

static const code_row *row_of(int code)
{
    for (size_t i = 0; i < FH_COUNT(code_rows); i++)
        if (code_rows[i].code == code) return &code_rows[i];
    return row_of(FH_E_INTERNAL);
}

const char *fh_code_name(int code)
{
    return code == 0 ? "OK" : row_of(code)->name;
}

const char *fh_code_title(int code)
{
    return code == 0 ? "done" : row_of(code)->title;
}

int fh_code_http(int code)
{
    return code == 0 ? 200 : row_of(code)->http;
}

int fh_code_exit(int code)
{
    return code == 0 ? 0 : row_of(code)->exit;
}

bool fh_code_retryable(int code)
{
    return code != 0 && row_of(code)->retry;
}

/* Errors are made while memory may be out, and a fault point must not strike the report of a fault: plain malloc here. */
static char *format_text(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *format_text(const char *fmt, va_list ap)
{
    char *text = NULL;
    return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

static void fields_free(fh_err *e)
{
    free(e->message);
    free(e->hint);
    free(e->param);
}

void fh_err_free(fh_err *err)
{
    if (!err || err == &out_of_memory) return;
    fields_free(err);
    free(err);
}

void fh_err_move(fh_err **to, fh_err **from)
{
    if (to) {
        fh_err_free(*to);
        *to = *from;
    } else {
        fh_err_free(*from);
    }
    *from = NULL;
}

/* Takes message. */
static int err_store(fh_err **err, int code, char *message)
{
    fh_err *e = message ? calloc(1, sizeof *e) : NULL;
    if (e) {
        e->code = code;
        e->message = message;
    } else {
        free(message);
        e = &out_of_memory;
    }
    fh_err_free(*err);
    *err = e;
    return code;
}

int fh_err_vset(fh_err **err, int code, const char *fmt, va_list ap)
{
    return err ? err_store(err, code, format_text(fmt, ap)) : code;
}

int fh_err_set(fh_err **err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fh_err_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int fh_err_nomem(fh_err **err)
{
    if (!err) return FH_E_NOMEM;
    fh_err_free(*err);
    *err = &out_of_memory;
    return FH_E_NOMEM;
}

/* Joins two texts into a new one: before, between, after. */
static char *join(const char *before, const char *between, const char *after)
{
    char *text = NULL;
    return asprintf(&text, "%s%s%s", before, between, after) < 0 ? NULL : text;
}

int fh_err_errno(fh_err **err, int code, int errno_value, const char *fmt, ...)
{
    if (!err) return code;
    va_list ap;
    va_start(ap, fmt);
    char *text = format_text(fmt, ap);
    va_end(ap);
    char reason[128];
    char *whole = text ? join(text, ": ", strerror_r(errno_value, reason, sizeof reason)) : NULL;
    free(text);
    return err_store(err, code, whole);
}

/* Replaces *slot when the new text could be made. */
static void slot_set(char **slot, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void slot_set(char **slot, const char *fmt, va_list ap)
{
    char *text = format_text(fmt, ap);
    if (!text) return;
    free(*slot);
    *slot = text;
}

void fh_err_hint(fh_err **err, const char *fmt, ...)
{
    if (!err || !*err || *err == &out_of_memory) return;
    va_list ap;
    va_start(ap, fmt);
    slot_set(&(*err)->hint, fmt, ap);
    va_end(ap);
}

void fh_err_param(fh_err **err, const char *fmt, ...)
{
    if (!err || !*err || *err == &out_of_memory) return;
    va_list ap;
    va_start(ap, fmt);
    slot_set(&(*err)->param, fmt, ap);
    va_end(ap);
}

void fh_err_reason(fh_err **err, const char *reason)
{
    if (err && *err && *err != &out_of_memory) (*err)->reason = reason;
}

int fh_err_add(fh_err **err, const char *fmt, ...)
{
    if (!err || !*err) return FH_E_INTERNAL;
    if (*err == &out_of_memory) return FH_E_NOMEM;
    va_list ap;
    va_start(ap, fmt);
    char *context = format_text(fmt, ap);
    va_end(ap);
    char *whole = context ? join(context, ": ", (*err)->message) : NULL;
    free(context);
    if (whole) {
        free((*err)->message);
        (*err)->message = whole;
    }
    return (*err)->code;
}

void fh_err_replace(fh_err **err, const char *from, const char *to)
{
    if (!err || !*err || *err == &out_of_memory || !*from) return;
    size_t step = strlen(to);
    for (char *at = strstr((*err)->message, from); at;) {
        char *whole = NULL, *before = (*err)->message;
        size_t head = (size_t)(at - before);
        if (asprintf(&whole, "%.*s%s%s", (int)head, before, to, at + strlen(from)) < 0) return;
        (*err)->message = whole;
        free(before);
        at = strstr(whole + head + step, from);
    }
}

int fh_err_about(fh_err **err, const char *subject)
{
    return strstr(fh_err_message(err ? *err : NULL), subject) ? fh_err_code(err ? *err : NULL) : fh_err_add(err, "%s", subject);
}

int fh_err_code(const fh_err *err)
{
    return err ? err->code : FH_E_INTERNAL;
}

const char *fh_err_message(const fh_err *err)
{
    return err ? err->message : "internal error";
}

const char *fh_err_hint_get(const fh_err *err)
{
    return err ? err->hint : NULL;
}

const char *fh_err_param_get(const fh_err *err)
{
    return err ? err->param : NULL;
}

const char *fh_err_reason_get(const fh_err *err)
{
    return err ? err->reason : NULL;
}
