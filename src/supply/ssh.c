/* ssh's command line. The other end joins words by blanks and gives the line to the user's shell; so each word is quoted. */
#include "quote.h"
#include "ssh.h"

#include "sys/file.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

enum {
    SOCKET_ROOM = 40 + 18 + 2, /* %C, what ssh appends while it makes the socket, and the two around the name */
    SOCKET_PATH = 104,         /* what a Unix socket's name may have on every system */
};

struct supply_ssh {
    char user[64], host[256], port[8], name[64 + 256 + 8];
    char *known, *control, *key, *folder; /* options of ssh, and our folder; owned. control: NULL where the folder's path is too long */
};

/* ---- the address ---- */

static bool plain(fh_str s, const char *also)
{
    for (size_t i = 0; i < s.len; i++)
        if (!isalnum((unsigned char)s.ptr[i]) && !strchr(also, s.ptr[i])) return false;
    return s.len > 0 && s.ptr[0] != '-';
}

static bool copy(fh_str s, char *out, size_t out_size)
{
    if (s.len >= out_size) return false;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

static bool take_user(fh_str *rest, supply_ssh *s)
{
    size_t at = fh_str_find(*rest, FH_STR("@"));
    if (at == rest->len) return true;
    fh_str user = {rest->ptr, at};
    *rest = (fh_str){rest->ptr + at + 1, rest->len - at - 1};
    return plain(user, "._-") && copy(user, s->user, sizeof s->user);
}

static bool take_port(fh_str *rest, supply_ssh *s)
{
    uint64_t port = 0;
    bool bracket = fh_str_starts(*rest, FH_STR("["));
    size_t from = bracket ? fh_str_find(*rest, FH_STR("]")) : 0;
    size_t at = from + fh_str_find((fh_str){rest->ptr + from, rest->len - from}, FH_STR(":"));
    if (at == rest->len) return true;
    fh_str text = {rest->ptr + at + 1, rest->len - at - 1};
    rest->len = at;
    return fh_str_u64(text, 65535, &port) && port > 0 && copy(text, s->port, sizeof s->port);
}

static bool take_host(fh_str host, supply_ssh *s)
{
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = (fh_str){host.ptr + 1, host.len - 2};
        return plain(host, ":.%") && copy(host, s->host, sizeof s->host);
    }
    return plain(host, "._-") && copy(host, s->host, sizeof s->host);
}

static int parse(const char *url, supply_ssh *s, fh_err **err)
{
    fh_str rest = {url, strlen(url)}, scheme = FH_STR("ssh://");
    bool good = fh_str_starts(rest, scheme);
    if (good) rest = (fh_str){rest.ptr + scheme.len, rest.len - scheme.len};
    if (fh_str_ends(rest, FH_STR("/"))) rest.len--;
    if (good && take_user(&rest, s) && take_port(&rest, s) && take_host(rest, s)) return 0;
    fh_err_set(err, FH_E_INVALID, "this is not the address of a machine to log in to");
    fh_err_param(err, "url");
    fh_err_hint(err, "write it as ssh://user@host or ssh://user@host:port");
    return FH_E_INVALID;
}

/* ---- options ---- */

static int set_key(supply_ssh *s, const char *key_file, fh_err **err)
{
    if (!key_file[0]) return 0;
    s->key = fh_asprintf("IdentityFile=\"%s\"", key_file);
    if (!s->key) return fh_err_nomem(err);
    if (!strpbrk(key_file, "\"%\n") && access(key_file, R_OK) == 0) return 0;
    fh_err_set(err, FH_E_INVALID, "the key file %s cannot be read", key_file);
    fh_err_param(err, "key_file");
    fh_err_hint(err, "give the file of a private key that opens this login without a passphrase");
    return FH_E_INVALID;
}

static int set_folder(supply_ssh *s, const char *folder, fh_err **err)
{
    if (strpbrk(folder, "\"%\n")) return fh_err_set(err, FH_E_INVALID, "ssh cannot keep files in %s", folder);
    s->folder = fh_strdup(folder);
    s->known = fh_asprintf("UserKnownHostsFile=\"%s/known_hosts\"", folder);
    if (!s->folder || !s->known) return fh_err_nomem(err);
    if (strlen(folder) + SOCKET_ROOM > SOCKET_PATH) return 0;
    s->control = fh_asprintf("ControlPath=\"%s/%%C\"", folder);
    return s->control ? 0 : fh_err_nomem(err);
}

int fh_supply_ssh_new(supply_ssh **ret, const supply_host_config *c, fh_err **err)
{
    supply_ssh *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    int rc = parse(c->url, s, err);
    if (!rc) rc = set_key(s, c->key_file, err);
    if (!rc) rc = set_folder(s, c->folder, err);
    if (rc) {
        fh_supply_ssh_free(s);
        return rc;
    }
    snprintf(s->name, sizeof s->name, "%s%s%s", s->user, s->user[0] ? "@" : "", s->host);
    *ret = s;
    return 0;
}

void fh_supply_ssh_free(supply_ssh *s)
{
    if (!s) return;
    fh_free(s->known);
    fh_free(s->control);
    fh_free(s->key);
    fh_free(s->folder);
    fh_free(s);
}

const char *fh_supply_ssh_name(const supply_ssh *s)
{
    return s->name;
}

/* ---- the words ---- */

static const char *const always[] = {
    "BatchMode=yes",         "StrictHostKeyChecking=accept-new",
    "LogLevel=ERROR",        "ConnectTimeout=10",
    "ServerAliveInterval=5", "ServerAliveCountMax=3",
    "ForwardAgent=no",       "ForwardX11=no",
    "PermitLocalCommand=no", "RequestTTY=no",
};
static const char *const shared[] = {"ControlMaster=auto", "ControlPersist=60"}, *const unforwarded[] = {"ClearAllForwardings=yes"},
                         *const tunnelling[] = {"ControlPath=none", "ExitOnForwardFailure=yes"};

typedef struct words {
    const char **at;
    size_t count;
} words;

static void add_word(words *w, const char *word)
{
    w->at[w->count++] = word;
}

static void add_options(words *w, const char *const *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_word(w, "-o");
        add_word(w, options[i]);
    }
}

static void add_flag(words *w, const char *flag, const char *value)
{
    if (!value[0]) return;
    add_word(w, flag);
    add_word(w, value);
}

/* Commands share a connection; one that a tunnel stands by has its own. */
static void add_connection(words *w, const supply_ssh *s, const char *forward)
{
    if (forward) {
        add_options(w, tunnelling, FH_COUNT(tunnelling));
        add_flag(w, "-R", forward);
        return;
    }
    add_options(w, unforwarded, FH_COUNT(unforwarded));
    if (!s->control) return;
    add_options(w, (const char *const *)&s->control, 1);
    add_options(w, shared, FH_COUNT(shared));
}

_Static_assert(1 + 2 * (FH_COUNT(always) + FH_COUNT(shared) + 5) + 4 + 3 + 1 <= SUPPLY_SSH_WORDS, "ssh's words fit");

int fh_supply_ssh_words(supply_ssh *s, const char *const *argv, const char *forward, fh_buf *line, const char *ret[SUPPLY_SSH_WORDS],
                        fh_err **err)
{
    static const char *const only[] = {"IdentitiesOnly=yes"};
    words w = {.at = ret};
    int rc = fh_dir_make(s->folder, 0700, err);
    if (rc) return rc;
    for (size_t i = 0; argv[i]; i++) {
        if (i) fh_buf_addc(line, ' ');
        fh_supply_quote(argv[i], line);
    }
    add_word(&w, "ssh");
    add_options(&w, always, FH_COUNT(always));
    add_options(&w, (const char *const *)&s->known, 1);
    add_connection(&w, s, forward);
    if (s->key) add_options(&w, (const char *const *)&s->key, 1);
    if (s->key) add_options(&w, only, 1);
    add_flag(&w, "-p", s->port);
    add_flag(&w, "-l", s->user);
    add_word(&w, "--");
    add_word(&w, s->host);
    add_word(&w, fh_buf_cstr(line));
    add_word(&w, NULL);
    return fh_buf_check(line, err, "the command");
}
