/* The files of a data folder that are of the catalogue (server/catalog_folder.h). Every call reads them anew: they are small and few, and
 * what is on disk is the truth. */
#include "server/catalog_folder.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/files.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UPDATE "catalog.json"
#define BEFORE "catalog.before.json"
#define OWN    "catalog.d"

typedef struct own_file {
    char name[64];
    fh_catalog_file *file; /* owned; NULL: it is not used */
    fh_err *why;           /* owned; why not */
} own_file;

typedef struct folder { /* as it was read */
    const char *data;
    fh_catalog_file *update; /* owned; NULL: the program's own entries */
    fh_err *update_why;      /* owned; why there is an update that is not used */
    own_file own[FH_LIMIT_CATALOG_OWN_FILES];
    size_t count;
} folder;

static void folder_free(folder *f)
{
    if (!f) return;
    fh_catalog_file_free(f->update);
    fh_err_free(f->update_why);
    for (size_t i = 0; i < f->count; i++) {
        fh_catalog_file_free(f->own[i].file);
        fh_err_free(f->own[i].why);
    }
    fh_free(f);
}
FH_DEFINE_AUTO(folder, folder_free);

static bool good_name(fh_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name.ptr[i])) return false;
    return name.len > 0 && name.len < 64;
}

static int own_path(const char *data, const char *name, char out[1200], fh_err **err)
{
    char dir[1100], file[80];
    snprintf(file, sizeof file, "%.70s.json", name);
    int rc = fh_path_join(dir, sizeof dir, data, OWN, err);
    return rc ? rc : fh_path_join(out, 1200, dir, file, err);
}

static int read_file(const char *path, const char *name, fh_catalog_file_kind kind, fh_catalog_file **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    int rc = fh_file_read(path, FH_LIMIT_CATALOG_FILE_BYTES, &text, err);
    return rc ? rc : fh_catalog_file_read((fh_str){fh_buf_cstr(&text), text.len}, name, kind, ret, err);
}

/* ---- reading the folder ---- */

static int read_update(folder *f, fh_err **err)
{
    char path[1200];
    int rc = fh_path_join(path, sizeof path, f->data, UPDATE, err);
    if (rc || !fh_file_exists(path)) return rc;
    FH_AUTO(fh_catalog_file) fh_catalog_file *u = NULL;
    if (read_file(path, UPDATE, FH_CATALOG_UPDATE, &u, &f->update_why)) return 0;
    if (fh_catalog_version_compare(fh_catalog_file_version(u), fh_catalog_program_version()) > 0)
        f->update = fh_take(u);
    else
        fh_err_set(&f->update_why, FH_E_CONFLICT, UPDATE " is of %s, and this program's own catalogue of %s", fh_catalog_file_version(u),
                   fh_catalog_program_version());
    return 0;
}

static int look_at(void *arg, const char *file, fh_err **err)
{
    folder *f = arg;
    fh_str name = fh_str_of(file), end = FH_STR(".json");
    if (!fh_str_ends(name, end)) return 0; /* not ours: what is being written */
    name.len -= end.len;
    if (f->count == FH_LIMIT_CATALOG_OWN_FILES)
        return fh_err_set(err, FH_E_TOO_LARGE, "there are more than %d files in " OWN, FH_LIMIT_CATALOG_OWN_FILES);
    own_file *o = &f->own[f->count];
    *o = (own_file){.file = NULL};
    snprintf(o->name, sizeof o->name, "%.*s", (int)FH_MIN(name.len, sizeof o->name - 1), name.ptr);
    f->count++;
    if (!good_name(name)) fh_err_set(&o->why, FH_E_INVALID, "%.80s: a name is 1 to 63 small letters, digits and dashes", file);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const own_file *)a)->name, ((const own_file *)b)->name);
}

static size_t good_files(const folder *f, const char *but, fh_catalog_file **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->own[i].file && (!but || strcmp(but, f->own[i].name) != 0)) ret[n++] = f->own[i].file;
    return n;
}

static void read_own(folder *f, own_file *o)
{
    char path[1200];
    fh_catalog_file *others[FH_LIMIT_CATALOG_OWN_FILES];
    FH_AUTO(fh_catalog_file) fh_catalog_file *file = NULL;
    if (o->why || own_path(f->data, o->name, path, &o->why)) return;
    size_t count = good_files(f, NULL, others);
    int rc = read_file(path, o->name, FH_CATALOG_OWN, &file, &o->why);
    if (!rc) rc = fh_catalog_file_clashes(file, f->update, others, count, &o->why);
    if (!rc) o->file = fh_take(file);
}

static int folder_read(const char *data, folder **ret, fh_err **err)
{
    char dir[1200];
    FH_AUTO(folder) folder *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    f->data = data;
    int rc = read_update(f, err);
    if (!rc) rc = fh_path_join(dir, sizeof dir, data, OWN, err);
    if (!rc && fh_file_exists(dir)) rc = fh_dir_each(dir, look_at, f, err);
    if (rc) return rc;
    qsort(f->own, f->count, sizeof f->own[0], by_name);
    for (size_t i = 0; i < f->count; i++) read_own(f, &f->own[i]);
    *ret = fh_take(f);
    return 0;
}

/* ---- using it ---- */

/* Takes the folder's files when it succeeds. */
static int publish(folder *f, bool *ret_changed, fh_err **err)
{
    fh_catalog_file *files[FH_LIMIT_CATALOG_OWN_FILES];
    size_t count = good_files(f, NULL, files);
    int rc = fh_catalog_publish(f->update, files, count, ret_changed, err);
    if (rc) return rc;
    f->update = NULL;
    for (size_t i = 0; i < f->count; i++) f->own[i].file = NULL;
    return 0;
}

int fh_catalog_folder_open(const char *data_dir, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    bool changed = false;
    int rc = folder_read(data_dir, &f, err);
    if (rc) return rc;
    if (f->update_why) fh_log_err(FH_LOG_WARN, "catalog", f->update_why, "the update of the catalogue is not used");
    for (size_t i = 0; i < f->count; i++)
        if (f->own[i].why)
            fh_log_err(FH_LOG_WARN, "catalog", f->own[i].why, "entries of your own are not used: " OWN "/%s.json", f->own[i].name);
    return publish(f, &changed, err);
}

static int first_bad(folder *f, fh_err **err)
{
    if (f->update_why && fh_err_code(f->update_why) != FH_E_CONFLICT) {
        fh_err_move(err, &f->update_why);
        return fh_err_code(*err);
    }
    for (size_t i = 0; i < f->count; i++) {
        if (!f->own[i].why) continue;
        int code = fh_err_code(f->own[i].why);
        fh_err_move(err, &f->own[i].why);
        return code;
    }
    return 0;
}

int fh_catalog_folder_reload(const char *data_dir, bool *ret_changed, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    int rc = folder_read(data_dir, &f, err);
    if (!rc) rc = first_bad(f, err);
    return rc ? rc : publish(f, ret_changed, err);
}

static int reopen(const char *data_dir, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    bool changed = false;
    int rc = folder_read(data_dir, &f, err);
    return rc ? rc : publish(f, &changed, err);
}

/* ---- showing it ---- */

static fh_json *models_json(const own_file *o)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; o->file && i < fh_catalog_file_models(o->file); i++)
        fh_json_append(list, fh_json_new_cstr(fh_catalog_file_model(o->file, i)->id));
    return list;
}

static fh_json *machines_json(const own_file *o)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; o->file && i < fh_catalog_file_machines(o->file); i++)
        fh_json_append(list, fh_json_new_cstr(fh_catalog_file_machine(o->file, i)->id));
    return list;
}

static fh_json *own_json(const own_file *o)
{
    fh_json *v = fh_json_new_object();
    bool good = fh_json_set(v, "name", fh_json_new_cstr(o->name)) && fh_json_set(v, "used", fh_json_new_bool(!o->why));
    good = good && fh_json_set(v, "why", o->why ? fh_json_new_cstr(fh_err_message(o->why)) : fh_json_new_null());
    good = good && fh_json_set(v, "models", models_json(o)) && fh_json_set(v, "machines", machines_json(o));
    if (good) return v;
    fh_json_unref(v);
    return NULL;
}

static bool before_of(const char *data, fh_catalog_file **ret)
{
    char path[1200];
    return !fh_path_join(path, sizeof path, data, BEFORE, NULL) && fh_file_exists(path) &&
           !read_file(path, BEFORE, FH_CATALOG_UPDATE, ret, NULL);
}

int fh_catalog_folder_view(const char *data_dir, fh_json **ret, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    FH_AUTO(fh_catalog_file) fh_catalog_file *before = NULL;
    int rc = folder_read(data_dir, &f, err);
    if (rc) return rc;
    const char *program = fh_catalog_program_version(), *why = f->update_why ? fh_err_message(f->update_why) : NULL;
    bool has_before = before_of(data_dir, &before);
    FH_AUTO(json) fh_json *o = fh_json_new_object(), *own = fh_json_new_array();
    bool good = fh_json_set(o, "version", fh_json_new_cstr(f->update ? fh_catalog_file_version(f->update) : program));
    good = good && fh_json_set(o, "updated", fh_json_new_bool(f->update != NULL)) && fh_json_set(o, "program", fh_json_new_cstr(program));
    good = good && fh_json_set(o, "before", fh_json_new_cstr(has_before ? fh_catalog_file_version(before) : NULL));
    good = good && fh_json_set(o, "update_why", fh_json_new_cstr(why));
    for (size_t i = 0; good && i < f->count; i++) good = fh_json_append(own, own_json(&f->own[i]));
    good = good && fh_json_set(o, "own", fh_take(own));
    if (!good) return fh_err_nomem(err);
    *ret = fh_take(o);
    return 0;
}

/* ---- changing it ---- */

static int text_of(const fh_json *doc, fh_buf *out, fh_err **err)
{
    int rc = fh_json_write_pretty(doc, out, err);
    fh_buf_addc(out, '\n');
    return rc ? rc : fh_buf_check(out, err, "the entries");
}

static int check_name(const folder *f, fh_str name, fh_err **err)
{
    if (!good_name(name)) {
        fh_err_set(err, FH_E_INVALID, "'name' must be 1 to 63 small letters, digits and dashes");
        fh_err_param(err, "name");
        return FH_E_INVALID;
    }
    for (size_t i = 0; i < f->count; i++)
        if (fh_str_eqs(name, f->own[i].name)) return 0;
    if (f->count < FH_LIMIT_CATALOG_OWN_FILES) return 0;
    fh_err_set(err, FH_E_CONFLICT, "there are %d files of entries", FH_LIMIT_CATALOG_OWN_FILES);
    fh_err_hint(err, "`freehold catalog list` shows them, `freehold catalog remove` removes one");
    return FH_E_CONFLICT;
}

static int write_own(const char *data, const char *name, const fh_buf *text, fh_err **err)
{
    char dir[1100], path[1200];
    int rc = fh_path_join(dir, sizeof dir, data, OWN, err);
    if (!rc) rc = fh_dir_make(dir, 0700, err);
    if (!rc) rc = own_path(data, name, path, err);
    return rc ? rc : fh_file_write_atomic(path, text->data, text->len, 0600, err);
}

int fh_catalog_folder_add(const char *data_dir, fh_str name, const fh_json *entries, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    FH_AUTO(fh_catalog_file) fh_catalog_file *file = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    fh_catalog_file *others[FH_LIMIT_CATALOG_OWN_FILES];
    char plain[64];
    int rc = folder_read(data_dir, &f, err);
    if (!rc) rc = check_name(f, name, err);
    if (!rc) rc = text_of(entries, &text, err);
    if (rc) return rc;
    snprintf(plain, sizeof plain, "%.*s", (int)name.len, name.ptr);
    rc = fh_catalog_file_read((fh_str){text.data, text.len}, plain, FH_CATALOG_OWN, &file, err);
    if (!rc) rc = fh_catalog_file_clashes(file, f->update, others, good_files(f, plain, others), err);
    if (!rc) rc = write_own(data_dir, plain, &text, err);
    return rc ? rc : reopen(data_dir, err);
}

int fh_catalog_folder_remove(const char *data_dir, fh_str name, fh_err **err)
{
    char path[1200], plain[64];
    snprintf(plain, sizeof plain, "%.*s", (int)FH_MIN(name.len, sizeof plain - 1), name.ptr);
    int rc = good_name(name) ? own_path(data_dir, plain, path, err) : FH_E_NOT_FOUND;
    if (rc || !fh_file_exists(path)) {
        fh_err_set(err, FH_E_NOT_FOUND, "there are no entries of your own called \"%s\"", plain);
        fh_err_hint(err, "`freehold catalog list` shows them");
        return FH_E_NOT_FOUND;
    }
    if (unlink(path)) return fh_err_errno(err, FH_E_IO, errno, "cannot remove %s", path);
    return reopen(data_dir, err);
}

static int is_newer(const folder *f, const fh_catalog_file *u, fh_err **err)
{
    const char *has = f->update ? fh_catalog_file_version(f->update) : fh_catalog_program_version();
    if (fh_catalog_version_compare(fh_catalog_file_version(u), has) > 0) return 0;
    fh_err_set(err, FH_E_CONFLICT, "the update is of %s, and what is used is of %s", fh_catalog_file_version(u), has);
    fh_err_hint(err, "an update must be newer; `freehold catalog revert` takes the last one back");
    fh_err_param(err, "version");
    return FH_E_CONFLICT;
}

/* What is used now becomes what can be taken back to. */
static int keep_before(const folder *f, const char *path, const char *before, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    if (!f->update) return unlink(before) && errno != ENOENT ? fh_err_errno(err, FH_E_IO, errno, "cannot remove %s", before) : 0;
    int rc = fh_file_read(path, FH_LIMIT_CATALOG_FILE_BYTES, &text, err);
    return rc ? rc : fh_file_write_atomic(before, text.data, text.len, 0600, err);
}

static int paths(const char *data, char path[1200], char before[1200], fh_err **err)
{
    int rc = fh_path_join(path, 1200, data, UPDATE, err);
    return rc ? rc : fh_path_join(before, 1200, data, BEFORE, err);
}

int fh_catalog_folder_update(const char *data_dir, const fh_json *doc, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    FH_AUTO(fh_catalog_file) fh_catalog_file *u = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    char path[1200], before[1200];
    int rc = folder_read(data_dir, &f, err);
    if (!rc) rc = paths(data_dir, path, before, err);
    if (!rc) rc = text_of(doc, &text, err);
    if (!rc) rc = fh_catalog_file_read((fh_str){text.data, text.len}, "the update", FH_CATALOG_UPDATE, &u, err);
    if (!rc) rc = is_newer(f, u, err);
    if (!rc) rc = keep_before(f, path, before, err);
    if (!rc) rc = fh_file_write_atomic(path, text.data, text.len, 0600, err);
    return rc ? rc : reopen(data_dir, err);
}

/* A kill between the two writes of an update leaves the same file twice: then there is nothing before it. */
static bool has_other_before(const folder *f, const char *data)
{
    FH_AUTO(fh_catalog_file) fh_catalog_file *b = NULL;
    return before_of(data, &b) && (!f->update || strcmp(fh_catalog_file_version(b), fh_catalog_file_version(f->update)) != 0);
}

int fh_catalog_folder_revert(const char *data_dir, fh_err **err)
{
    FH_AUTO(folder) folder *f = NULL;
    char path[1200], before[1200];
    int rc = folder_read(data_dir, &f, err);
    if (!rc) rc = paths(data_dir, path, before, err);
    if (rc) return rc;
    if (!fh_file_exists(path)) {
        fh_err_set(err, FH_E_NOT_FOUND, "the catalogue is the program's own: there is no update to take back");
        return FH_E_NOT_FOUND;
    }
    if (has_other_before(f, data_dir))
        rc = fh_file_rename_durable(before, path, err);
    else if (unlink(path))
        rc = fh_err_errno(err, FH_E_IO, errno, "cannot remove %s", path);
    return rc ? rc : reopen(data_dir, err);
}
