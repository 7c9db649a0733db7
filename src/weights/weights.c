/* The store: opening, listing, finding, verifying, removing. What an entry is stands in its own folder, see meta.c. */
#include "weights_private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "sys/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITEMS_MAX        4096
#define DIGEST_MIN_CHARS 8

typedef struct collect {
    fh_weights *w;
    fh_weights_item *items;
    size_t count, broken;
} collect;

static int sweep_one(void *arg, const char *name, fh_err **err)
{
    char path[1200];
    fh_weights *w = arg;
    if (!fh_str_starts(fh_str_of(name), FH_STR(FH_WEIGHTS_TMP))) return 0;
    int rc = fh_path_join(path, sizeof(path), w->root, name, err);
    return rc != 0 ? rc : fh_dir_remove(path, err);
}

/* ---- what engines keep beside them ---- */

static const char *const kept_names[FH_WEIGHTS_KEPT] = {"packed", "pages"}; /* below DATA */

int fh_weights_kept_folder(const char *data_dir, fh_weights_kept what, const char *digest, char *out, size_t out_size, fh_err **err)
{
    char above[1100];
    int rc = fh_path_join(above, sizeof(above), data_dir, kept_names[what], err);
    return rc != 0 ? rc : fh_path_join(out, out_size, above, digest, err);
}

static int remove_kept(const fh_weights *w, const char *digest, fh_err **err)
{
    char path[1200];
    int rc = 0;
    for (int what = 0; what < FH_WEIGHTS_KEPT && rc == 0; what++) {
        rc = fh_weights_kept_folder(w->data, (fh_weights_kept)what, digest, path, sizeof(path), err);
        if (rc == 0) rc = fh_dir_remove(path, err);
    }
    return rc;
}

typedef struct kept_sweep {
    const fh_weights *w;
    fh_weights_kept what;
    const char *folder;
} kept_sweep;

/* Engines that run do it themselves. */
static int sweep_page(void *arg, const char *name, fh_err **err)
{
    const kept_sweep *s = arg;
    char path[1300];
    struct stat st;
    if (fh_path_join(path, sizeof(path), s->folder, name, err) != 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    if (fh_clock_utc_ns() - (int64_t)st.st_mtime * FH_NS_PER_S > (int64_t)FH_LIMIT_PAGE_CACHE_MS * FH_NS_PER_MS) unlink(path);
    return 0;
}

/* Of weights that are no longer here, and pages that are too old. */
static int sweep_kept(void *arg, const char *name, fh_err **err)
{
    char path[1200];
    kept_sweep *s = arg, pages = *s;
    int rc = fh_path_join(path, sizeof(path), s->w->root, name, err);
    if (rc != 0) return rc;
    if (!fh_file_exists(path)) return remove_kept(s->w, name, err);
    if (s->what != FH_WEIGHTS_PAGES) return 0;
    rc = fh_weights_kept_folder(s->w->data, s->what, name, path, sizeof(path), err);
    pages.folder = path;
    return rc != 0 ? rc : fh_dir_each(path, sweep_page, &pages, err);
}

static int sweep_all(fh_weights *w, fh_err **err)
{
    char path[1200];
    int rc = fh_dir_each(w->root, sweep_one, w, err);
    for (int what = 0; what < FH_WEIGHTS_KEPT && rc == 0; what++) {
        kept_sweep s = {.w = w, .what = (fh_weights_kept)what};
        rc = fh_path_join(path, sizeof(path), w->data, kept_names[what], err);
        FH_AUTO(fh_err) fh_err *why = NULL; /* nobody needs what is kept: what cannot be removed stays */
        if (rc == 0 && fh_file_exists(path) && fh_dir_each(path, sweep_kept, &s, &why))
            fh_log_err(FH_LOG_WARN, "weights", why, "what is kept beside weights could not be tidied");
    }
    return rc;
}

int fh_weights_open(fh_weights **ret, const char *data_dir, bool sweep, fh_err **err)
{
    FH_AUTO(fh_weights) fh_weights *w = fh_calloc(1, sizeof(*w));
    FH_AUTO(ptr) char *root = fh_asprintf("%s/weights", data_dir);
    if (!w || !root) return fh_err_nomem(err);
    int rc = fh_dir_make(root, 0700, err);
    if (rc == 0) rc = fh_path_real(root, &w->root, err); /* engines do not stand where we stand */
    if (rc == 0) rc = fh_path_real(data_dir, &w->data, err);
    if (rc == 0 && sweep) rc = sweep_all(w, err);
    if (rc == 0) *ret = fh_take(w);
    return rc;
}

void fh_weights_close(fh_weights *w)
{
    if (!w) return;
    fh_free(w->root);
    fh_free(w->data);
    fh_free(w);
}

static int collect_one(void *arg, const char *name, fh_err **err)
{
    collect *c = arg;
    if (!fh_weights_is_digest(fh_str_of(name)) || c->count == ITEMS_MAX) return 0;
    fh_weights_item *more = fh_realloc_array(c->items, c->count + 1, sizeof(*more));
    if (!more) return fh_err_nomem(err);
    c->items = more;
    int rc = fh_weights_item_read(c->w, name, &c->items[c->count], NULL);
    if (rc == FH_E_NOMEM) return fh_err_nomem(err);
    if (rc == 0)
        c->count++;
    else
        c->broken++;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const fh_weights_item *x = a, *y = b;
    if (x->imported_utc_ns != y->imported_utc_ns) return x->imported_utc_ns < y->imported_utc_ns ? 1 : -1;
    return strcmp(x->digest, y->digest);
}

int fh_weights_list(fh_weights *w, fh_weights_item **ret, size_t *ret_count, size_t *ret_broken, fh_err **err)
{
    collect c = {.w = w};
    int rc = fh_dir_each(w->root, collect_one, &c, err);
    if (!c.items) c.items = fh_alloc(0);
    if (rc != 0 || !c.items) {
        fh_free(c.items);
        return rc != 0 ? rc : fh_err_nomem(err);
    }
    qsort(c.items, c.count, sizeof(*c.items), newest_first);
    *ret = c.items;
    *ret_count = c.count;
    if (ret_broken) *ret_broken = c.broken;
    return 0;
}

/* name is an id, an alias of a catalogue id, "id:variant", or the beginning of a digest. */
static bool answers_to(const fh_weights_item *item, fh_str name)
{
    fh_str digest = fh_str_of(item->digest);
    if (name.len >= DIGEST_MIN_CHARS && fh_str_starts(digest, name)) return true;
    size_t colon = fh_str_find(name, FH_STR(":"));
    fh_str id = {name.ptr, colon};
    if (colon < name.len && !fh_str_ieq((fh_str){name.ptr + colon + 1, name.len - colon - 1}, fh_str_of(item->variant))) return false;
    const fh_catalog_model *m = item->in_catalog ? fh_catalog_find(id) : NULL;
    return m ? strcmp(m->id, item->id) == 0 : fh_str_ieq(id, fh_str_of(item->id));
}

static int not_found(const char *name, fh_err **err)
{
    const fh_catalog_model *m = fh_catalog_find(fh_str_of(name));
    int rc = fh_err_set(err, FH_E_NOT_FOUND, "there are no weights of \"%.128s\" on this machine", name);
    if (m && m->starter)
        fh_err_hint(err, "`make up` fetches them; or give a file: freehold import FILE");
    else
        fh_err_hint(err, "give a GGUF file: freehold import FILE");
    return rc;
}

int fh_weights_find(fh_weights *w, const char *name, fh_weights_item *ret, fh_err **err)
{
    FH_AUTO(ptr) fh_weights_item *items = NULL;
    size_t count = 0;
    int rc = fh_weights_list(w, &items, &count, NULL, err);
    if (rc != 0) return rc;
    for (size_t i = 0; *name && i < count; i++) {
        if (!answers_to(&items[i], fh_str_of(name))) continue;
        *ret = items[i];
        return 0;
    }
    return not_found(name, err);
}

typedef struct verifier {
    fh_sha *sha;
    fh_weights_progress *progress;
    void *arg;
    uint64_t before, total;
} verifier;

static int verify_chunk(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    (void)total;
    verifier *v = arg;
    if (!fh_sha_add(v->sha, data, bytes)) return fh_err_nomem(err);
    if (v->progress && !v->progress(v->arg, v->before + done, v->total)) return fh_err_set(err, FH_E_CANCELLED, "stopped");
    return 0;
}

static int verify_file(const char *folder, const fh_weights_file *f, verifier *v, fh_err **err)
{
    char path[1400], hex[65];
    FH_AUTO(fh_sha) fh_sha *sha = fh_sha_new();
    if (!sha) return fh_err_nomem(err);
    v->sha = sha;
    int rc = fh_path_join(path, sizeof(path), folder, f->name, err);
    if (rc == 0) rc = fh_file_scan(path, verify_chunk, v, err);
    if (rc != 0) return rc;
    v->before += f->bytes;
    if (fh_sha_hex(sha, hex) && strcmp(hex, f->sha256) == 0) return 0;
    rc = fh_err_set(err, FH_E_CORRUPT, "%s is not what was imported: its SHA-256 is %s instead of %s", path, hex, f->sha256);
    fh_err_hint(err, "stop what runs it, delete the folder %s and import it again", folder);
    return rc;
}

int fh_weights_verify(fh_weights *w, const char *digest, fh_weights_progress *progress, void *arg, fh_err **err)
{
    fh_weights_item item;
    int rc = fh_weights_find(w, digest, &item, err);
    FH_AUTO(meta) fh_weights_meta m = {0};
    if (rc == 0) rc = fh_weights_meta_read(item.folder, &m, err);
    verifier v = {NULL, progress, arg, 0, rc == 0 ? item.bytes : 0};
    for (size_t i = 0; rc == 0 && i < m.count; i++) rc = verify_file(item.folder, &m.files[i], &v, err);
    return rc;
}

int fh_weights_remove(fh_weights *w, const char *digest, fh_err **err)
{
    fh_weights_item item;
    int rc = fh_weights_find(w, digest, &item, err);
    if (rc != 0) return rc;
    FH_AUTO(ptr) char *aside = fh_asprintf("%s/%srm-%s", w->root, FH_WEIGHTS_TMP, item.digest);
    if (!aside) return fh_err_nomem(err);
    rc = fh_file_rename_durable(item.folder, aside, err); /* gone at once; what is left of it goes with the sweep if we die here */
    if (rc != 0) return rc;
    rc = remove_kept(w, item.digest, err);
    int left = fh_dir_remove(aside, rc == 0 ? err : NULL);
    return rc != 0 ? rc : left;
}
