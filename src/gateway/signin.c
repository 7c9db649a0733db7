/* The table of one-time codes: a ring of digests with the times until which they hold. */
#include "gateway/signin.h"
#include "base/clock.h"
#include "net/secret.h"

#include <string.h>

#define CODE_LIFE_NS (15 * 60 * FH_NS_PER_S)

typedef struct waiting_code {
    uint8_t digest[32];
    int64_t until_ns; /* 0: free */
} waiting_code;

struct fh_signin {
    waiting_code codes[FH_SIGNIN_WAITING];
    size_t next; /* the oldest */
};

fh_signin *fh_signin_new(void)
{
    return fh_calloc(1, sizeof(fh_signin));
}

void fh_signin_free(fh_signin *s)
{
    fh_free(s);
}

int fh_signin_issue(fh_signin *s, int64_t now_mono_ns, char code[FH_SIGNIN_CODE_LEN + 1], fh_err **err)
{
    waiting_code *slot = &s->codes[s->next];
    int rc = fh_random_text(code, FH_SIGNIN_CODE_LEN + 1, err);
    if (rc) return rc;
    if (!fh_sha256((fh_str){code, FH_SIGNIN_CODE_LEN}, slot->digest)) return fh_err_set(err, FH_E_INTERNAL, "SHA-256 is not available");
    slot->until_ns = now_mono_ns + CODE_LIFE_NS;
    s->next = (s->next + 1) % FH_SIGNIN_WAITING;
    return 0;
}

int fh_signin_redeem(fh_signin *s, fh_str code, int64_t now_mono_ns, fh_err **err)
{
    uint8_t digest[32];
    waiting_code *found = NULL;
    bool hashed = fh_sha256(code, digest);
    for (size_t i = 0; hashed && i < FH_SIGNIN_WAITING; i++) {
        waiting_code *c = &s->codes[i];
        if (fh_equal_secret(c->digest, digest, sizeof digest) && c->until_ns > now_mono_ns) found = c;
    }
    if (found) {
        *found = (waiting_code){0};
        return 0;
    }
    fh_err_set(err, FH_E_UNAUTHENTICATED, "this sign-in link was used already or is older than 15 minutes");
    fh_err_hint(err, "`freehold console` prints a new one");
    return FH_E_UNAUTHENTICATED;
}
