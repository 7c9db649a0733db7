/* Join tokens as text (see pool/join_token.h). */
#include "pool/join_token.h"

#include <stdio.h>

enum { PART = 43 };
static const char prefix[] = "fh_join_";

void fh_join_token_write(const fh_join_token *t, char out[FH_JOIN_TOKEN_LEN + 1])
{
    char secret[PART + 1], server[PART + 1];
    fh_base64url_encode(t->secret, sizeof t->secret, secret, sizeof secret);
    fh_base64url_encode(t->server.bytes, sizeof t->server.bytes, server, sizeof server);
    snprintf(out, FH_JOIN_TOKEN_LEN + 1, "%s%s_%s", prefix, secret, server);
    explicit_bzero(secret, sizeof secret);
}

int fh_join_token_parse(fh_str text, fh_join_token *ret, fh_err **err)
{
    fh_join_token t = {{0}, {{0}}};
    fh_str s = fh_str_trim(text);
    const char *first = s.ptr + sizeof prefix - 1, *second = first + PART + 1;
    bool shaped = s.len == FH_JOIN_TOKEN_LEN && fh_str_starts(s, FH_STR(prefix)) && first[PART] == '_';
    if (shaped && fh_base64url_decode((fh_str){first, PART}, t.secret, sizeof t.secret) &&
        fh_base64url_decode((fh_str){second, PART}, t.server.bytes, sizeof t.server.bytes)) {
        *ret = t;
        explicit_bzero(&t, sizeof t);
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "this is no join token");
    fh_err_hint(err, "it is one line of %d characters, %s..., as `freehold node token` prints it on the server's side", FH_JOIN_TOKEN_LEN,
                prefix);
    fh_err_param(err, "token");
    return FH_E_INVALID;
}
