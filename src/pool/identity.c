/* Who a machine is in a pool (see pool/identity.h). */
#include "pool/identity.h"
#include "json/json.h"
#include "sys/file.h"

#include <stdio.h>

enum { FILE_BYTES = 65536 };

struct fh_identity {
    char file[1100], pem_file[1100];
    bool has_joined, has_joining;
    fh_membership joined, joining;
};

/* ---- where a server is ---- */

static int bad_place(fh_str url, fh_err **err)
{
    fh_err_set(err, FH_E_USAGE, "'%.*s' is no address of a server's pool", (int)FH_MIN(url.len, (size_t)128), url.len ? url.ptr : "");
    fh_err_hint(err, "it looks like https://pool.example.com:%d, which is what `freehold serve --pool` listens on", FH_POOL_PORT);
    return FH_E_USAGE;
}

int fh_pool_place_parse(fh_str url, fh_pool_place *ret, fh_err **err)
{
    fh_pool_place place = {.port = FH_POOL_PORT};
    fh_str s = url, secure = FH_STR("https://");
    if (fh_str_starts(s, secure)) s = (fh_str){s.ptr + secure.len, s.len - secure.len};
    if (s.len && s.ptr[s.len - 1] == '/') s.len--;
    bool bracket = s.len && s.ptr[0] == '[';
    size_t end = bracket ? fh_str_find(s, FH_STR("]")) : fh_str_find(s, FH_STR(":"));
    fh_str host = bracket ? (fh_str){s.ptr + 1, end - 1} : (fh_str){s.ptr, end};
    if (bracket) end++;
    fh_str rest = end <= s.len ? (fh_str){s.ptr + end, s.len - end} : (fh_str){"?", 1};
    uint64_t port = FH_POOL_PORT;
    bool good = host.len > 0 && host.len < sizeof place.host && (!rest.len || rest.ptr[0] == ':');
    for (size_t i = 0; good && i < host.len; i++) good = host.ptr[i] > ' ' && host.ptr[i] < 0x7f && !strchr("/?#@\\[]", host.ptr[i]);
    if (good && rest.len) good = fh_str_u64((fh_str){rest.ptr + 1, rest.len - 1}, 65535, &port) && port > 0;
    if (!good) return bad_place(url, err);
    memcpy(place.host, host.ptr, host.len);
    place.port = (int)port;
    *ret = place;
    return 0;
}

/* ---- as JSON ---- */

/* Whole, or NULL: what is written is all that is known of it. */
static fh_json *membership_json(const fh_membership *m)
{
    char pin[FH_LINK_DIGEST_TEXT];
    fh_link_digest_write(&m->pin, pin);
    const struct {
        const char *name, *text;
    } texts[] = {{"host", m->server.host},          {"server_sha256", pin}, {"name", m->name},
                 {"ask_currency", m->ask.currency}, {"token", m->token},    {"key", m->key},
                 {"certificate", m->certificate}};
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool set = fh_json_set(o, "port", fh_json_new_int(m->server.port)) && fh_json_set(o, "ask_micro", fh_json_new_int(m->ask.micro));
    for (size_t i = 0; set && i < FH_COUNT(texts); i++) set = fh_json_set(o, texts[i].name, fh_json_new_cstr(texts[i].text));
    return set ? fh_take(o) : NULL;
}

static int read_text(const fh_json *o, const char *name, char *out, size_t out_size, fh_err **err)
{
    fh_str text = {0};
    int rc = fh_json_read_str(o, name, true, &text, err);
    if (rc) return rc;
    if (text.len >= out_size) return fh_err_set(err, FH_E_CORRUPT, "'%s' is too long", name);
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return 0;
}

static int read_membership(const fh_json *o, fh_membership *m, fh_err **err)
{
    char pin[FH_LINK_DIGEST_TEXT];
    int64_t port = 0;
    int rc = read_text(o, "host", m->server.host, sizeof m->server.host, err);
    if (!rc) rc = fh_json_read_i64(o, "port", true, 1, 65535, &port, err);
    if (!rc) rc = read_text(o, "server_sha256", pin, sizeof pin, err);
    if (!rc) rc = read_text(o, "name", m->name, sizeof m->name, err);
    if (!rc) rc = fh_json_read_i64(o, "ask_micro", true, 0, INT64_MAX, &m->ask.micro, err);
    if (!rc) rc = read_text(o, "ask_currency", m->ask.currency, sizeof m->ask.currency, err);
    if (!rc) rc = read_text(o, "token", m->token, sizeof m->token, err);
    if (!rc) rc = read_text(o, "key", m->key, sizeof m->key, err);
    if (!rc) rc = read_text(o, "certificate", m->certificate, sizeof m->certificate, err);
    m->server.port = (int)port;
    if (!rc && !fh_link_digest_parse(fh_str_of(pin), &m->pin)) rc = fh_err_set(err, FH_E_CORRUPT, "'server_sha256' is no fingerprint");
    return rc;
}

static int check_pair(const fh_membership *m, fh_err **err)
{
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    int rc = fh_pool_key_read(&key, fh_str_of(m->key), err);
    if (rc || !m->certificate[0]) return rc;
    return fh_pool_key_fits(key, fh_str_of(m->certificate), err);
}

static int read_one(const fh_json *doc, const char *name, fh_membership *m, bool *ret_has, fh_err **err)
{
    const fh_json *o = fh_json_get(doc, name);
    *ret_has = o != NULL;
    int rc = o ? read_membership(o, m, err) : 0;
    if (!rc && o) rc = check_pair(m, err);
    return rc ? fh_err_add(err, "'%s'", name) : 0;
}

/* ---- the files ---- */

static int read_file(fh_identity *id, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FILE_BYTES);
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = fh_file_read(id->file, FILE_BYTES, &text, err);
    if (rc) return fh_err_about(err, id->file);
    rc = fh_json_parse(&doc, (fh_str){fh_buf_cstr(&text), text.len}, FILE_BYTES, err);
    if (!rc) rc = read_one(doc, "joined", &id->joined, &id->has_joined, err);
    if (!rc) rc = read_one(doc, "joining", &id->joining, &id->has_joining, err);
    if (text.data) explicit_bzero(text.data, text.len);
    if (!rc) return 0;
    fh_err_set(err, FH_E_CORRUPT, "%s is damaged: %s", id->file, err && *err ? fh_err_message(*err) : "");
    fh_err_hint(err, "restore it from a backup; without one move it away, and join again with a new token");
    return FH_E_CORRUPT;
}

static int write_pem(const fh_identity *id, fh_err **err)
{
    char text[2 * FH_POOL_PEM];
    int bytes = snprintf(text, sizeof text, "%s%s", id->joined.key, id->joined.certificate);
    int rc = id->has_joined ? fh_file_write_atomic(id->pem_file, text, (size_t)bytes, 0600, err) : 0;
    explicit_bzero(text, sizeof text);
    return rc;
}

static int write_files(const fh_identity *id, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = fh_json_new_object();
    FH_AUTO(buf) fh_buf text = FH_BUF(FILE_BYTES);
    bool set = doc && (!id->has_joined || fh_json_set(doc, "joined", membership_json(&id->joined))) &&
               (!id->has_joining || fh_json_set(doc, "joining", membership_json(&id->joining)));
    int rc = set ? fh_json_write_pretty(doc, &text, err) : fh_err_nomem(err);
    if (!rc) rc = fh_file_write_atomic(id->file, text.data, text.len, 0600, err);
    if (!rc) rc = write_pem(id, err);
    if (text.data) explicit_bzero(text.data, text.len);
    return rc;
}

int fh_identity_open(fh_identity **ret, const char *folder, fh_err **err)
{
    FH_AUTO(fh_identity) fh_identity *id = fh_calloc(1, sizeof *id);
    if (!id) return fh_err_nomem(err);
    int rc = fh_path_join(id->file, sizeof id->file, folder, "identity.json", err);
    if (!rc) rc = fh_path_join(id->pem_file, sizeof id->pem_file, folder, "node.pem", err);
    if (!rc && fh_file_exists(id->file)) rc = read_file(id, err);
    if (!rc) rc = write_pem(id, err);
    if (!rc) *ret = fh_take(id);
    return rc;
}

void fh_identity_close(fh_identity *id)
{
    if (id) explicit_bzero(id, sizeof *id);
    fh_free(id);
}

const fh_membership *fh_identity_joined(const fh_identity *id)
{
    return id->has_joined ? &id->joined : NULL;
}

const fh_membership *fh_identity_joining(const fh_identity *id)
{
    return id->has_joining ? &id->joining : NULL;
}

const char *fh_identity_pem_file(const fh_identity *id)
{
    return id->pem_file;
}

/* ---- changes: a copy is changed, written, and then taken over ---- */

static int replace(fh_identity *id, fh_identity *changed, fh_err **err)
{
    int rc = write_files(changed, err);
    if (!rc) *id = *changed;
    return rc;
}

static int change(fh_identity *id, int (*fn)(fh_identity *copy, const void *arg, fh_err **err), const void *arg, fh_err **err)
{
    FH_AUTO(fh_identity) fh_identity *copy = fh_alloc(sizeof *copy);
    if (!copy) return fh_err_nomem(err);
    *copy = *id;
    int rc = fn(copy, arg, err);
    return rc ? rc : replace(id, copy, err);
}

typedef struct beginning {
    const fh_pool_place *server;
    fh_str token;
    const fh_link_digest *pin; /* without a token */
    const char *name;
    const fh_node_ask *ask;
} beginning;

static int new_key(fh_membership *m, fh_err **err)
{
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    int rc = fh_pool_key_new(&key, err);
    return rc ? rc : fh_pool_key_write(key, m->key, err);
}

static int begin(fh_identity *id, const void *arg, fh_err **err)
{
    const beginning *b = arg;
    fh_join_token token = {.secret = {0}};
    char text[FH_JOIN_TOKEN_LEN + 1] = "";
    int rc = b->pin ? 0 : fh_join_token_parse(b->token, &token, err);
    if (!rc) rc = fh_node_name_check(fh_str_of(b->name), err);
    if (rc) return rc;
    if (b->pin)
        token.server = *b->pin;
    else
        fh_join_token_write(&token, text);
    bool again = id->has_joining && strcmp(id->joining.token, text) == 0 && fh_digest_is(&id->joining.pin, &token.server);
    if (!again) id->joining = (fh_membership){.pin = token.server};
    id->has_joining = true;
    id->joining.server = *b->server;
    id->joining.ask = *b->ask;
    snprintf(id->joining.name, sizeof id->joining.name, "%s", b->name);
    memcpy(id->joining.token, text, sizeof text);
    return again ? 0 : new_key(&id->joining, err);
}

int fh_identity_begin(fh_identity *id, const fh_pool_place *server, fh_str token, const char *name, const fh_node_ask *ask, fh_err **err)
{
    return change(id, begin, &(beginning){.server = server, .token = token, .name = name, .ask = ask}, err);
}

int fh_identity_begin_by_key(fh_identity *id, const fh_pool_place *server, const fh_link_digest *pin, const char *name,
                             const fh_node_ask *ask, fh_err **err)
{
    return change(id, begin, &(beginning){.server = server, .pin = pin, .name = name, .ask = ask}, err);
}

int fh_membership_key(const fh_membership *m, fh_link_digest *ret, fh_err **err)
{
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    int rc = fh_pool_key_read(&key, fh_str_of(m->key), err);
    return rc ? rc : fh_pool_key_digest(key, ret, err);
}

static int set(fh_identity *id, const void *arg, fh_err **err)
{
    const beginning *b = arg;
    (void)err;
    if (b->server) id->joined.server = *b->server;
    if (b->ask) id->joined.ask = *b->ask;
    return 0;
}

int fh_identity_set(fh_identity *id, const fh_pool_place *server, const fh_node_ask *ask, fh_err **err)
{
    return change(id, set, &(beginning){.server = server, .ask = ask}, err);
}

static int take_certificate(fh_membership *m, fh_str certificate, fh_err **err)
{
    if (certificate.len >= sizeof m->certificate) return fh_err_set(err, FH_E_INVALID, "the certificate is too long");
    memcpy(m->certificate, certificate.ptr, certificate.len);
    m->certificate[certificate.len] = '\0';
    return check_pair(m, err);
}

typedef struct certified {
    const fh_pool_key *key;
    fh_str certificate, name;
} certified;

static int take_joined(fh_identity *id, const void *arg, fh_err **err)
{
    const certified *c = arg;
    if (!id->has_joining) return fh_err_set(err, FH_E_CONFLICT, "no certificate is expected");
    int rc = take_certificate(&id->joining, c->certificate, err);
    if (rc) return rc;
    id->joined = id->joining;
    snprintf(id->joined.name, sizeof id->joined.name, "%.*s", (int)c->name.len, c->name.ptr);
    id->has_joined = true;
    id->has_joining = false;
    return 0;
}

int fh_identity_certified(fh_identity *id, fh_str certificate, fh_str name, fh_err **err)
{
    return change(id, take_joined, &(certified){.certificate = certificate, .name = name}, err);
}

static int take_renewed(fh_identity *id, const void *arg, fh_err **err)
{
    const certified *c = arg;
    int rc = fh_pool_key_write(c->key, id->joined.key, err);
    return rc ? rc : take_certificate(&id->joined, c->certificate, err);
}

int fh_identity_renewed(fh_identity *id, const fh_pool_key *key, fh_str certificate, fh_err **err)
{
    return change(id, take_renewed, &(certified){.key = key, .certificate = certificate}, err);
}
