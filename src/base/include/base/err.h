/* Errors: a negative code that says what class of failure it is, and an object that says what happened, why and what to do.
 *
 * A function that can fail returns int (0 or a negative code) and takes `fh_err **err` last; err may be NULL when the caller wants the
 * code only. On failure *err is set to an owned object (unless it could not be allocated: then to a static "out of memory"). Each layer
 * may add a line of context on the way up. The same object becomes the HTTP body and the CLI message. No prompt, key or secret ever
 * goes into one. Thread: an object belongs to one thread at a time. */
#ifndef FH_BASE_ERR_H
#define FH_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* name, code, HTTP status, process exit status, may a client retry, title */
#define FH_ERR_LIST(X)                                                                                                                     \
    X(INVALID, -1, 400, 1, false, "invalid input")                                                                                         \
    X(USAGE, -2, 400, 2, false, "wrong usage")                                                                                             \
    X(NOT_FOUND, -3, 404, 3, false, "not found")                                                                                           \
    X(EXISTS, -4, 409, 1, false, "already exists")                                                                                         \
    X(CONFLICT, -5, 409, 1, false, "conflict with the present state")                                                                      \
    X(UNAUTHENTICATED, -6, 401, 4, false, "no valid key")                                                                                  \
    X(FORBIDDEN, -7, 403, 4, false, "not allowed")                                                                                         \
    X(BUDGET, -8, 402, 4, false, "budget")                                                                                                 \
    X(MISDIRECTED, -9, 421, 4, false, "not a host of this server")                                                                         \
    X(METHOD, -10, 405, 1, false, "method not allowed")                                                                                    \
    X(MEDIA_TYPE, -11, 415, 1, false, "unsupported content type")                                                                          \
    X(TOO_LARGE, -12, 413, 1, false, "too large")                                                                                          \
    X(BUSY, -13, 429, 5, true, "too busy")                                                                                                 \
    X(UNAVAILABLE, -14, 503, 5, true, "unavailable")                                                                                       \
    X(TIMEOUT, -15, 504, 5, true, "timed out")                                                                                             \
    X(UPSTREAM, -16, 502, 5, true, "upstream failed")                                                                                      \
    X(CANCELLED, -17, 499, 1, false, "cancelled")                                                                                          \
    X(CORRUPT, -18, 422, 1, false, "broken file")                                                                                          \
    X(UNSUPPORTED, -19, 501, 1, false, "not supported")                                                                                    \
    X(NOMEM, -20, 503, 1, true, "out of memory")                                                                                           \
    X(IO, -21, 500, 1, true, "input or output failed")                                                                                     \
    X(INTERNAL, -22, 500, 1, false, "internal error")

enum {
#define FH_ERR_CODE(name, code, http, exit, retry, title) FH_E_##name = code,
    FH_ERR_LIST(FH_ERR_CODE)
#undef FH_ERR_CODE
};

typedef struct fh_err fh_err;

/* Sets *err to a new object (the one that it held is freed) and returns code. The message says what failed and why, in one line. */
int fh_err_set(fh_err **err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fh_err_vset(fh_err **err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
/* As fh_err_set, and ends with ": " and the text of errno_value. */
int fh_err_errno(fh_err **err, int code, int errno_value, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int fh_err_nomem(fh_err **err);
/* What the person can do about it; replaces an earlier hint. */
void fh_err_hint(fh_err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The request field, file or flag at fault ("messages[2].role"); replaces an earlier one. */
void fh_err_param(fh_err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " before the message; returns the code of *err (FH_E_INTERNAL if there is none), so that `return fh_err_add(...)` works.
 */
int fh_err_add(fh_err **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As fh_err_add with the file or thing that it is about, unless the message names that already. */
int fh_err_about(fh_err **err, const char *subject);

/* The message calls something by a name that the person does not know: every from in it becomes to. */
void fh_err_replace(fh_err **err, const char *from, const char *to);

/* Readers take NULL and answer for an internal error. The strings are borrowed until the object changes or is freed. */
int fh_err_code(const fh_err *err);
const char *fh_err_message(const fh_err *err);
const char *fh_err_hint_get(const fh_err *err);  /* NULL when there is none */
const char *fh_err_param_get(const fh_err *err); /* NULL when there is none */

const char *fh_code_name(int code);  /* "NOT_FOUND" */
const char *fh_code_title(int code); /* "not found" */
int fh_code_http(int code);
int fh_code_exit(int code);
bool fh_code_retryable(int code);

void fh_err_free(fh_err *err);
/* Moves the error to the caller's slot. */
void fh_err_move(fh_err **to, fh_err **from);

#endif
