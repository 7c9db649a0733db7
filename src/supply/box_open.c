/* A box as the operator named it: its settings, what is kept of it in the data folder, and the program that goes there. */
#include "box_private.h"

#include "net/secret.h"
#include "supply/box.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ID_BYTES = 8, PROGRAM_MOST = 512 << 20 };

static int invalid(const char *param, const char *hint, fh_err **err)
{
    fh_err_param(err, "%s", param);
    fh_err_hint(err, "%s", hint);
    return FH_E_INVALID;
}

/* ---- settings ---- */

static int read_choice(fh_str key, fh_str value, bool *ret, fh_err **err)
{
    if (!fh_str_eqs(value, "yes") && !fh_str_eqs(value, "no")) {
        fh_err_set(err, FH_E_INVALID, "'%.*s' is neither yes nor no", (int)FH_MIN(value.len, (size_t)40), value.ptr);
        fh_err_param(err, "set.%.*s", (int)key.len, key.ptr);
        return FH_E_INVALID;
    }
    *ret = fh_str_eqs(value, "yes");
    return 0;
}

/* A folder of theirs, below which ours is made. */
static int read_folder(box *b, fh_str value, fh_err **err)
{
    bool good = value.len > 0 && value.len < 500 && value.ptr[0] == '/' && fh_utf8_valid(value.ptr, value.len);
    for (size_t i = 0; good && i < value.len; i++) good = (unsigned char)value.ptr[i] > ' ' && value.ptr[i] != 0x7f;
    if (!good) {
        fh_err_set(err, FH_E_INVALID, "this is no path of a folder on the box");
        return invalid("set.folder", "give an absolute path without blanks of a folder that is there, as /data: ours is made in it", err);
    }
    while (value.len > 1 && value.ptr[value.len - 1] == '/') value.len--;
    snprintf(b->folder, sizeof b->folder, "%.*s", (int)value.len, value.ptr);
    return 0;
}

static int read_setting(box *b, fh_str key, fh_str value, fh_err **err)
{
    bool yes = false;
    if (fh_str_eqs(key, "folder")) return read_folder(b, value, err);
    if (fh_str_eqs(key, "install")) return read_choice(key, value, &b->install, err);
    if (fh_str_eqs(key, "keep")) return read_choice(key, value, &b->keep, err);
    if (fh_str_eqs(key, "tunnel")) {
        int rc = read_choice(key, value, &yes, err);
        b->tunnel = yes ? BOX_TUNNEL_YES : BOX_TUNNEL_NO;
        return rc;
    }
    fh_err_set(err, FH_E_INVALID, "a box has no setting '%.*s'", (int)FH_MIN(key.len, (size_t)40), key.ptr);
    fh_err_param(err, "set.%.*s", (int)FH_MIN(key.len, (size_t)40), key.ptr);
    fh_err_hint(err, "there are folder, install, keep and tunnel (docs/SSH.md)");
    return FH_E_INVALID;
}

static int read_settings(box *b, const fh_json *settings, fh_err **err)
{
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    int rc = 0;
    while (!rc && fh_json_next(settings, &it, &key, &value)) rc = read_setting(b, key, fh_json_str(value), err);
    return rc;
}

/* Others must not be able to read what opens the box. */
static int check_key(const char *file, fh_err **err)
{
    struct stat st;
    if (!file[0]) {
        fh_err_set(err, FH_E_INVALID, "a box is logged in to with a key");
        return invalid("key_file", "give the file of a private key that opens this login without a passphrase: --key-file FILE", err);
    }
    if (stat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
        fh_err_set(err, FH_E_INVALID, "there is no key file %s", file);
        return invalid("key_file", "give the file of a private key that opens this login without a passphrase", err);
    }
    if (!(st.st_mode & 077)) return 0;
    fh_err_set(err, FH_E_INVALID, "others can read the key file %s", file);
    return invalid("key_file", "chmod 600 it, or make a key of its own for this", err);
}

/* ---- what is kept here ---- */

/* A name of its own for each box of each installation, so that nobody takes another's folder for his. */
static int read_id(const box *b, char ret[2 * ID_BYTES + 1], fh_err **err)
{
    uint8_t fresh[ID_BYTES], known[ID_BYTES];
    FH_AUTO(ptr) char *file = fh_asprintf("%s/id", b->keep_dir);
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    if (!file) return fh_err_nomem(err);
    if (fh_file_exists(file)) {
        int rc = fh_file_read(file, 64, &text, err);
        fh_str id = fh_str_trim((fh_str){fh_buf_cstr(&text), text.len});
        if (!rc && !fh_hex_decode(id, known, sizeof known)) rc = fh_err_set(err, FH_E_CORRUPT, "%s is not as it was written", file);
        if (!rc) fh_hex_encode(known, sizeof known, ret, 2 * ID_BYTES + 1);
        return rc;
    }
    int rc = fh_random_bytes(fresh, sizeof fresh, err);
    if (!rc) fh_hex_encode(fresh, sizeof fresh, ret, 2 * ID_BYTES + 1);
    return rc ? rc : fh_file_write_atomic(file, ret, 2 * ID_BYTES, 0600, err);
}

static int make_folders(box *b, const fh_supply_config *c, fh_err **err)
{
    char id[2 * ID_BYTES + 1], given[sizeof b->folder];
    const char *slash = strrchr(c->name, '/');
    b->keep_dir = fh_asprintf("%s/ssh/%s", c->data_dir, slash ? slash + 1 : c->name);
    b->mark = fh_asprintf("%s/order", b->keep_dir ? b->keep_dir : "");
    if (!b->keep_dir || !b->mark) return fh_err_nomem(err);
    int rc = fh_dir_make(b->keep_dir, 0700, err);
    if (!rc) rc = read_id(b, id, err);
    if (rc) return rc;
    snprintf(given, sizeof given, "%s", b->folder);
    if (!given[0])
        snprintf(b->folder, sizeof b->folder, ".freehold-ssh-%s", id);
    else
        snprintf(b->folder, sizeof b->folder, "%.500s/freehold-ssh-%s", strcmp(given, "/") == 0 ? "" : given, id);
    return 0;
}

static int copy_texts(box *b, const fh_supply_config *c, fh_err **err)
{
    struct utsname here;
    b->name = fh_strdup(c->name);
    b->url = fh_strdup(c->url);
    b->key_file = fh_strdup(c->key_file);
    b->program_file = fh_strdup(c->program);
    b->door = c->door;
    b->door_url = fh_strdup(c->door.url);
    if (uname(&here) == 0) snprintf(b->arch, sizeof b->arch, "%.31s", here.machine);
    if (!b->name || !b->url || !b->key_file || !b->program_file || !b->door_url) return fh_err_nomem(err);
    if (c->url[0]) return 0;
    fh_err_set(err, FH_E_INVALID, "where is the box?");
    return invalid("url", "give its login: --url ssh://user@host", err);
}

int fh_box_read_program(box *b, fh_err **err)
{
    uint8_t digest[32];
    if (b->program_sha[0]) return 0;
    fh_buf_clear(&b->program);
    int rc = fh_file_read(b->program_file, PROGRAM_MOST, &b->program, err);
    if (rc) return fh_err_add(err, "this program cannot be read");
    if (!fh_sha256((fh_str){b->program.data, b->program.len}, digest)) return fh_err_set(err, FH_E_INTERNAL, "there is no SHA-256");
    b->program_bytes = b->program.len;
    fh_hex_encode(digest, sizeof digest, b->program_sha, sizeof b->program_sha);
    return 0;
}

void fh_box_free(box *b)
{
    if (!b) return;
    fh_box_let_go(b);
    fh_supply_host_close(b->host);
    fh_timer_free(b->timer);
    fh_buf_fini(&b->program);
    fh_err_free(b->trouble);
    while (b->orders) {
        box_order *o = b->orders;
        b->orders = o->next;
        fh_free(o);
    }
    char *const texts[] = {b->name, b->url, b->key_file, b->keep_dir, b->mark, b->door_url, b->program_file};
    for (size_t i = 0; i < FH_COUNT(texts); i++) fh_free(texts[i]);
    fh_free(b);
}

int fh_box_open(box **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err)
{
    box *b = fh_calloc(1, sizeof *b);
    if (!b) return fh_err_nomem(err);
    b->loop = loop;
    b->tunnel_fd = -1;
    b->program = FH_BUF(PROGRAM_MOST);
    int rc = copy_texts(b, c, err);
    if (!rc) rc = check_key(c->key_file, err);
    if (!rc) rc = read_settings(b, c->settings, err);
    if (!rc) rc = make_folders(b, c, err);
    supply_host_config host = {.url = b->url, .key_file = b->key_file, .folder = b->keep_dir};
    if (!rc) rc = fh_supply_host_open(&b->host, loop, &host, err);
    if (!rc) rc = fh_timer_new(&b->timer, loop, fh_box_go_on, b, err);
    if (rc)
        fh_box_free(b);
    else
        *ret = b;
    return rc;
}
