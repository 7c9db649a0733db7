/* The script that a rented machine starts with (see rented.h). It is written down with its rental, so it holds no secret: the token by
 * which the machine joins comes in its environment, once, and is kept from what the machine runs. */
#include "rented.h"

#include "base/mem.h"
#include "rent/renter.h"
#include <string.h>

bool fh_rented_word_is_plain(fh_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr("'\"\\`$", s.ptr[i])) return false;
    return s.len > 0;
}

/* Tried until it is there: what it is good for is decided by whoever waits for the machine. */
static char *fetch_lines(const char *url)
{
    return fh_asprintf(
        "until command -v freehold >/dev/null; do\n"
        "  curl -fsSL -o \"$home/part\" '%s' && chmod 700 \"$home/part\" && mv \"$home/part\" \"$home/freehold\" && continue\n"
        "  sleep 10\n"
        "done\n",
        url);
}

/* One that the server sent away (4) does not come again. */
char *fh_rented_script(const fh_rented_start *s)
{
    FH_AUTO(ptr) char *fetch = s->program_url[0] ? fetch_lines(s->program_url) : fh_strdup("");
    if (!fetch) return NULL;
    return fh_asprintf("umask 077\n"
                       "token=$" FH_RENT_TOKEN "\n"
                       "unset " FH_RENT_TOKEN "\n"
                       "home=${HOME:-/root}/freehold\n"
                       "mkdir -p \"$home\"\n"
                       "PATH=$home:$PATH:/usr/local/bin:/usr/bin:/bin\n"
                       "export PATH\n"
                       "%s"
                       "while :; do\n"
                       "  printf '%%s\\n' \"$token\" | freehold node join '%s' --name '%s' --token-file - --data \"$home/node\"\n"
                       "  [ $? = 4 ] && break\n"
                       "  sleep 5\n"
                       "done\n",
                       fetch, s->pool_url, s->node);
}
