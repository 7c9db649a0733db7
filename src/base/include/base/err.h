/* Errors: a negative code that says what class of failure it is, and an object that says what happened, why and what to do.
 *
 * A function that can fail returns int (0 or a negative code) and takes `fh_err **err` last; err may be NULL when the caller wants the
 * code only. On failure *err is set to an owned object (unless it could not be allocated: then to a static "out of memory"). Each layer
 * may add a line of context on the way up. The same object becomes the HTTP body and the CLI message. No prompt, key or secret ever
 * goes into one. Thread: an object belongs to one thread at a time. */
#ifndef FH_BASE_ERR_H
#define FH_BASE_ERR_H

#include "base/mem.h"
#include <stdarg.h>
#include <stdbool.h>

/* name, code, HTTP status, process exit status, may a client retry, title, what it means, what to do. docs/ERRORS.md is made from this list
 * (tools/errors-doc), and tests/errors shows each row once. */
#define FH_ERR_LIST(X)                                                                                                                     \
    X(INVALID, -1, 400, 1, false, "invalid input", "the request, or a value in it, cannot be understood; the field at fault is named",     \
      "correct that field and ask again")                                                                                                  \
    X(USAGE, -2, 400, 2, false, "wrong usage", "a command or one of its flags is not used as it is meant to be",                           \
      "see --help of the command; the message names the flag")                                                                             \
    X(NOT_FOUND, -3, 404, 3, false, "not found", "there is no such model, deployment, key, file or path",                                  \
      "take one of the nearest names that are given, or list what there is")                                                               \
    X(EXISTS, -4, 409, 1, false, "already exists", "something of that name is there already and is not overwritten",                       \
      "take another name, or remove what is there")                                                                                        \
    X(CONFLICT, -5, 409, 1, false, "conflict with the present state",                                                                      \
      "it does not go together with what there is: an address in use, a token used for something else, a newer database",                  \
      "change what is in the way, as the hint says")                                                                                       \
    X(UNAUTHENTICATED, -6, 401, 4, false, "no valid key", "the request has no key, or one that is unknown, expired or revoked",            \
      "send a valid key; `freehold key create` makes one")                                                                                 \
    X(FORBIDDEN, -7, 403, 4, false, "not allowed", "the key, the page or the account may not do this",                                     \
      "use a key with the scope that is named, or another place")                                                                          \
    X(BUDGET, -8, 402, 4, false, "budget", "what may be spent is spent", "wait until the budget renews, or raise it")                      \
    X(MISDIRECTED, -9, 421, 4, false, "not a host of this server", "the Host header names no host of this server",                         \
      "use the address that it listens on, or give it that name with --host")                                                              \
    X(METHOD, -10, 405, 1, false, "method not allowed",                                                                                    \
      "the path is there, but not for this method; the header Allow lists those that it takes", "use one of those")                        \
    X(MEDIA_TYPE, -11, 415, 1, false, "unsupported content type", "the body is not JSON, or does not say so",                              \
      "send Content-Type: application/json")                                                                                               \
    X(TOO_LARGE, -12, 413, 1, false, "too large",                                                                                          \
      "a body, header or input is beyond its limit (docs/LIMITS.md); 414 and 431 when it is the request line or the headers",              \
      "send less, or in parts")                                                                                                            \
    X(BUSY, -13, 429, 5, true, "too busy", "as much as can be done at once is being done, or somebody else holds the data folder",         \
      "try again after Retry-After")                                                                                                       \
    X(UNAVAILABLE, -14, 503, 5, true, "unavailable",                                                                                       \
      "what would answer is not there now: no server, no engine that is ready, or it is stopping",                                         \
      "try again after Retry-After; `freehold ps` and `freehold events NAME` tell how far it is")                                          \
    X(TIMEOUT, -15, 504, 5, true, "timed out", "nothing came in time; 408 when it was the request that did not come",                      \
      "try again; if it stays so, look at the other side")                                                                                 \
    X(UPSTREAM, -16, 502, 5, true, "upstream failed",                                                                                      \
      "an engine broke before or while it answered; in a stream that has begun it is the last event",                                      \
      "ask again; `freehold events NAME` tells what happened")                                                                             \
    X(CANCELLED, -17, 499, 1, false, "cancelled", "whoever asked went away or said stop, and the work was ended",                          \
      "nothing is wrong: ask again when it is wanted")                                                                                     \
    X(CORRUPT, -18, 422, 1, false, "broken file", "a file is damaged or is not what it says; the byte and the field are named",            \
      "fetch it again from a source that you trust, or restore it from a backup")                                                          \
    X(UNSUPPORTED, -19, 501, 1, false, "not supported", "it is understood, but this version or this model cannot do it",                   \
      "leave it out, or use what the hint names")                                                                                          \
    X(NOMEM, -20, 503, 1, true, "out of memory", "there is not enough memory",                                                             \
      "ask for less context, fewer streams or a smaller model, or free some memory")                                                       \
    X(IO, -21, 500, 1, true, "input or output failed", "a disk or another device failed, or is full",                                      \
      "do what the system's own message says, then try again")                                                                             \
    X(INTERNAL, -22, 500, 1, false, "internal error", "a mistake in freehold itself",                                                      \
      "please report it with the request id (SECURITY.md if it could be abused)")

enum {
#define FH_ERR_CODE(name, code, ...) FH_E_##name = code,
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
/* What a program may compare, where the code alone does not tell it ("context_length_exceeded"): a literal, kept as it is given. */
void fh_err_reason(fh_err **err, const char *reason);
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
const char *fh_err_hint_get(const fh_err *err);   /* NULL when there is none */
const char *fh_err_param_get(const fh_err *err);  /* NULL when there is none */
const char *fh_err_reason_get(const fh_err *err); /* NULL when there is none */

const char *fh_code_name(int code);  /* "NOT_FOUND" */
const char *fh_code_title(int code); /* "not found" */
int fh_code_http(int code);
int fh_code_exit(int code);
bool fh_code_retryable(int code);

void fh_err_free(fh_err *err);
FH_DEFINE_AUTO(fh_err, fh_err_free);
/* Moves the error to the caller's slot. */
void fh_err_move(fh_err **to, fh_err **from);

#endif
