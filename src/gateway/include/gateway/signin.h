/* One-time codes for the console's link. A code is 43 base64url characters, good for 15 minutes and for one use; only SHA-256 of it is
 * kept, in memory: a restart forgets them. At most SIGNIN_CODES wait at a time; the oldest gives way. Threads: one owner. */
#ifndef FH_GATEWAY_SIGNIN_H
#define FH_GATEWAY_SIGNIN_H

#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdint.h>

enum { FH_SIGNIN_CODE_LEN = 43, FH_SIGNIN_WAITING = FH_LIMIT_SIGNIN_CODES };

typedef struct fh_signin fh_signin;
fh_signin *fh_signin_new(void); /* NULL when memory is out */
void fh_signin_free(fh_signin *s);
FH_DEFINE_AUTO(fh_signin, fh_signin_free);
int fh_signin_issue(fh_signin *s, int64_t now_mono_ns, char code[FH_SIGNIN_CODE_LEN + 1], fh_err **err);
/* Uses the code up. FH_E_UNAUTHENTICATED for an unknown, used or expired one. */
int fh_signin_redeem(fh_signin *s, fh_str code, int64_t now_mono_ns, fh_err **err);

#endif
