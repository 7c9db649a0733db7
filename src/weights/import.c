/* Importing: copy into a temporary folder while hashing, check the copy, write down what it is, sync, and give the folder its name by one
 * rename. */
#include "weights_private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "kernel/kernel.h"
#include "weights_folder.h"
#include "model/gguf.h"
#include "sys/file.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct import {
    fh_weights *w;
    const fh_weights_source *from;
    const char *wanted_id;
    char temporary[1024];
    fh_weights_meta meta;
    fh_weights_progress *progress;
    void *arg;
    uint64_t before, total;
    fh_sha *sha; /* of the file that is being copied */
} import;

const char *fh_weights_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "x-00001-of-00003.gguf": 3 and the length of "x"; else 1 and the length without ".gguf". */
static unsigned split_parts(const char *name, size_t *ret_stem)
{
    fh_str s = fh_str_of(name);
    size_t stem = fh_str_ends(s, FH_STR(".gguf")) ? s.len - 5 : s.len;
    uint64_t parts = 1;
    if (stem > 15 && memcmp(name + stem - 15, "-00001-of-", 10) == 0 &&
        fh_str_u64((fh_str){name + stem - 5, 5}, FH_LIMIT_GGUF_FILES, &parts) && parts > 1)
        stem -= 15;
    else
        parts = 1;
    *ret_stem = stem;
    return (unsigned)parts;
}

/* ---- a folder of safetensors ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fh_weights_file *)a)->name, ((const fh_weights_file *)b)->name);
}

static int add_member(import *im, const char *name, fh_err **err)
{
    fh_weights_meta *m = &im->meta;
    if (m->count == FH_LIMIT_SAFETENSORS_FILES)
        return fh_err_set(err, FH_E_INVALID, "%s holds more than %d files", im->from->path, FH_LIMIT_SAFETENSORS_FILES);
    fh_weights_file *more = fh_realloc_array(m->files, m->count + 1, sizeof(*more));
    if (!more) return fh_err_nomem(err);
    m->files = more;
    fh_weights_file *f = &m->files[m->count];
    FH_AUTO(fd) int fd = -1;
    int n = snprintf(f->name, sizeof(f->name), "%s", name);
    if (n < 0 || (size_t)n >= sizeof(f->name)) return fh_err_set(err, FH_E_INVALID, "the name of %s cannot be kept", name);
    int rc = fh_weights_source_part(im->from, f->name, &fd, &f->bytes, err);
    if (rc != 0) return rc;
    im->total += f->bytes;
    m->count++;
    return 0;
}

static bool has_end(const fh_weights_meta *m, const char *end)
{
    for (size_t i = 0; i < m->count; i++)
        if (fh_str_ends(fh_str_of(m->files[i].name), fh_str_of(end))) return true;
    return false;
}

static int check_members(const import *im, fh_err **err)
{
    if (has_end(&im->meta, ".safetensors")) return 0;
    return fh_err_set(err, FH_E_INVALID, "%s is no folder of a model: there is no .safetensors in it", im->from->path);
}

/* In the order of their names, so that the same files have the same digest. */
static int list_folder(import *im, fh_err **err)
{
    DIR *d = fdopendir(openat(im->from->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!d) return fh_err_set(err, FH_E_IO, "cannot read %s", im->from->path);
    int rc = 0;
    for (const struct dirent *e; rc == 0 && (e = readdir(d));)
        if (fh_folder_wants(fh_str_of(e->d_name))) rc = add_member(im, e->d_name, err);
    closedir(d);
    if (rc == 0) rc = check_members(im, err);
    if (rc == 0) qsort(im->meta.files, im->meta.count, sizeof(*im->meta.files), by_name);
    return rc;
}

static int check_folder(import *im, fh_err **err)
{
    char path[1400];
    FH_AUTO(buf) fh_buf config = FH_BUF(FH_WEIGHTS_META_BYTES);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < im->meta.count; i++) {
        const fh_weights_file *f = &im->meta.files[i];
        rc = fh_path_join(path, sizeof(path), im->temporary, f->name, err);
        if (rc == 0 && fh_str_ends(fh_str_of(f->name), FH_STR(".safetensors"))) rc = fh_folder_check_file(path, f->bytes, err);
    }
    if (rc == 0) rc = fh_path_join(path, sizeof(path), im->temporary, "config.json", err);
    if (rc == 0) rc = fh_file_read(path, FH_WEIGHTS_META_BYTES, &config, err);
    if (rc == 0 && (rc = fh_folder_config((fh_str){fh_buf_cstr(&config), config.len}, &im->meta, err)) != 0) fh_err_add(err, "%s", path);
    if (rc != 0) fh_err_replace(err, im->temporary, im->from->path);
    return rc;
}

/* ---- a file, or the parts of a split ---- */

static int list_files(import *im, fh_err **err)
{
    if (im->from->is_folder) return list_folder(im, err);
    const char *name = fh_weights_base_name(im->from->path);
    size_t stem;
    unsigned parts = split_parts(name, &stem);
    im->meta.files = fh_calloc(parts, sizeof(*im->meta.files));
    if (!im->meta.files) return fh_err_nomem(err);
    im->meta.count = parts;
    for (unsigned i = 0; i < parts; i++) {
        fh_weights_file *f = &im->meta.files[i];
        int n = parts == 1 ? snprintf(f->name, sizeof(f->name), "%s", name)
                           : snprintf(f->name, sizeof(f->name), "%.*s-%05u-of-%05u.gguf", (int)stem, name, i + 1, parts);
        if (n < 0 || (size_t)n >= sizeof(f->name) || strcmp(f->name, FH_WEIGHTS_META) == 0)
            return fh_err_set(err, FH_E_INVALID, "the name of %s cannot be kept", im->from->path);
        FH_AUTO(fd) int fd = -1;
        int rc = fh_weights_source_part(im->from, f->name, &fd, &f->bytes, err);
        if (rc != 0) return fh_err_add(err, "part %u of %u is missing", i + 1, parts);
        im->total += f->bytes;
    }
    return 0;
}

/* Lower case, and only what a name of a model may hold. */
static void id_from_name(const char *name, char *out, size_t out_size)
{
    size_t stem, n = 0;
    split_parts(name, &stem);
    for (size_t i = 0; i < stem && n + 1 < out_size; i++) {
        unsigned char c = (unsigned char)name[i];
        char put = isalnum(c) || c == '.' || c == '_' ? (char)tolower(c) : '-';
        if (put != '-' || (n && out[n - 1] != '-')) out[n++] = put;
    }
    while (n && (out[n - 1] == '-' || out[n - 1] == '.')) n--;
    out[n] = 0;
    if (n == 0) snprintf(out, out_size, "model");
}

/* An id that is not taken by the catalogue for other weights, or by other weights here. */
static int choose_id(import *im, const char *digest, fh_err **err)
{
    char id[96];
    id_from_name(im->wanted_id && *im->wanted_id ? im->wanted_id : fh_weights_base_name(im->from->path), id, sizeof(id));
    FH_AUTO(ptr) fh_weights_item *items = NULL;
    size_t count;
    int rc = fh_weights_list(im->w, &items, &count, NULL, err);
    if (rc != 0) return rc;
    bool taken = fh_catalog_find(fh_str_of(id)) != NULL;
    for (size_t i = 0; i < count; i++) taken = taken || strcmp(items[i].id, id) == 0;
    snprintf(im->meta.id, sizeof(im->meta.id), taken ? "%s-%.8s" : "%s", id, digest);
    return 0;
}

/* Grouped-query attention keeps one key and one value a layer and KV head; other families are not reckoned here. */
static bool keeps_keys_and_values(const char *architecture)
{
    static const char *const known[] = {"llama", "qwen2", "qwen3", "qwen3moe"};
    for (size_t i = 0; i < FH_COUNT(known); i++)
        if (strcmp(architecture, known[i]) == 0) return true;
    return false;
}

static void read_memory_rule(const fh_gguf *g, fh_weights_meta *m)
{
    fh_str arch = {0};
    if (fh_gguf_get_str(g, "general.architecture", &arch, NULL) != 0 || arch.len >= sizeof(m->architecture)) return;
    snprintf(m->architecture, sizeof(m->architecture), "%.*s", (int)arch.len, arch.ptr);
    char key[128];
    uint64_t context = 0, layers = 0, width = 0, heads = 0, kv_heads = 0, head = 0;
#define READ(name, to) (snprintf(key, sizeof(key), "%s.%s", m->architecture, name), fh_gguf_get_u64(g, key, 1, 1u << 30, to, NULL) == 0)
    if (READ("context_length", &context)) m->context_tok = (int64_t)context;
    if (!keeps_keys_and_values(m->architecture)) return;
    if (!READ("block_count", &layers) || !READ("embedding_length", &width) || !READ("attention.head_count", &heads)) return;
    if (!READ("attention.head_count_kv", &kv_heads)) kv_heads = heads;
    if (!READ("attention.key_length", &head)) head = width / heads;
#undef READ
    if (layers <= 4096 && kv_heads <= 4096 && head <= 65536) m->kv_bytes_per_tok = 2 * layers * kv_heads * head * 2;
}

/* What our own engine takes for the weights: packed rows of some types are larger than those of the file. */
static uint64_t memory_of(const fh_gguf *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < fh_gguf_tensor_count(g); i++) {
        const fh_gguf_tensor *t = fh_gguf_tensor_at(g, i);
        bool is_matrix = t->n_dims > 1 && fh_type_known(t->gguf_type);
        size_t most = is_matrix ? fh_weight_most_bytes((fh_type)t->gguf_type, t->dims[1] * t->dims[2] * t->dims[3], t->dims[0]) : 0;
        sum += FH_MAX((uint64_t)most, t->bytes);
    }
    return FH_MIN(sum, (uint64_t)INT64_MAX);
}

/* path is ours alone; a complaint names the file as the person did. */
static int check_model(const import *im, const char *path, fh_weights_meta *m, fh_err **err)
{
    FH_AUTO(fh_gguf) fh_gguf *g = NULL;
    int rc = fh_gguf_open(&g, path, err);
    if (rc == 0 && m) read_memory_rule(g, m);
    if (rc == 0 && m) m->memory_bytes = memory_of(g);
    if (rc != 0) fh_err_replace(err, path, im->from->path);
    return rc;
}

/* A download that was cut is refused before it is copied. Only what nobody else can write is mapped: a file that is cut while we read it
 * would end us. The parts of a split and the files of others are checked as a copy. */
static int check_before(const import *im, fh_err **err)
{
    char path[64];
    size_t stem;
    if (im->from->is_folder || split_parts(fh_weights_base_name(im->from->path), &stem) > 1 || !fh_weights_source_is_ours(im->from))
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", im->from->fd);
    return check_model(im, path, NULL, err);
}

static int copied(void *arg, const void *data, size_t bytes, uint64_t done, uint64_t total, fh_err **err)
{
    (void)total;
    import *im = arg;
    if (!fh_sha_add(im->sha, data, bytes)) return fh_err_nomem(err);
    if (im->progress && !im->progress(im->arg, im->before + done, im->total))
        return fh_err_set(err, FH_E_CANCELLED, "the import was stopped");
    return 0;
}

static int copy_file(import *im, fh_weights_file *f, fh_err **err)
{
    char to[1400];
    uint64_t bytes;
    FH_AUTO(fd) int fd = -1;
    FH_AUTO(fh_sha) fh_sha *sha = fh_sha_new();
    if (!sha) return fh_err_nomem(err);
    im->sha = sha;
    int rc = fh_path_join(to, sizeof(to), im->temporary, f->name, err);
    if (rc == 0) rc = fh_weights_source_part(im->from, f->name, &fd, &bytes, err);
    if (rc == 0) rc = fh_file_copy_fd(fd, im->from->path, to, copied, im, err);
    if (rc != 0) return rc;
    im->before += f->bytes;
    if (chmod(to, 0400) != 0) return fh_err_set(err, FH_E_IO, "cannot make %s read-only", to);
    return fh_sha_hex(sha, f->sha256) ? 0 : fh_err_nomem(err);
}

/* One file: its digest. A split: the digest of the list of its parts' digests. A folder: with their names, by which an engine finds them.
 */
static int digest_of(const fh_weights_meta *m, bool folder, char out[65], fh_err **err)
{
    if (m->count == 1 && !folder) {
        memcpy(out, m->files[0].sha256, 65);
        return 0;
    }
    FH_AUTO(fh_sha) fh_sha *sha = fh_sha_new();
    bool good = sha != NULL;
    for (size_t i = 0; good && i < m->count; i++) {
        const fh_weights_file *f = &m->files[i];
        good = fh_sha_add(sha, f->sha256, 64) && (!folder || (fh_sha_add(sha, "  ", 2) && fh_sha_add(sha, f->name, strlen(f->name))));
        good = good && fh_sha_add(sha, "\n", 1);
    }
    return good && fh_sha_hex(sha, out) ? 0 : fh_err_nomem(err);
}

static int copy_all(import *im, char digest[65], fh_err **err)
{
    char first[1400];
    int rc = fh_dir_make(im->temporary, 0700, err);
    for (size_t i = 0; rc == 0 && i < im->meta.count; i++) rc = copy_file(im, &im->meta.files[i], err);
    if (rc == 0) rc = fh_path_join(first, sizeof(first), im->temporary, im->meta.files[0].name, err);
    if (rc == 0) rc = im->from->is_folder ? check_folder(im, err) : check_model(im, first, &im->meta, err);
    if (rc == 0) rc = digest_of(&im->meta, im->from->is_folder, digest, err);
    return rc;
}

static int give_name(import *im, const char *digest, fh_err **err)
{
    char to[1200];
    int rc = choose_id(im, digest, err);
    im->meta.imported_utc_ns = fh_clock_utc_ns();
    if (rc == 0) rc = fh_weights_meta_write(im->temporary, &im->meta, err);
    if (rc == 0) rc = fh_dir_sync(im->temporary, err);
    if (rc == 0) rc = fh_path_join(to, sizeof(to), im->w->root, digest, err);
    return rc != 0 ? rc : fh_file_rename_durable(im->temporary, to, err);
}

static int run(import *im, fh_weights_item *ret, fh_err **err)
{
    char digest[65];
    int rc = check_before(im, err);
    if (rc == 0) rc = list_files(im, err);
    if (rc == 0) rc = copy_all(im, digest, err);
    if (rc != 0) return rc;
    if (fh_weights_item_read(im->w, digest, ret, NULL) == 0) return 0; /* it was here already */
    rc = give_name(im, digest, err);
    return rc != 0 ? rc : fh_weights_item_read(im->w, digest, ret, err);
}

int fh_weights_import(fh_weights *w, const fh_weights_source *from, const char *id, fh_weights_progress *progress, void *arg,
                      fh_weights_item *ret, fh_err **err)
{
import im = {.w = w, .from = from, .wanted_id = id, .progress = progress, .arg = arg };
    int n = snprintf(im.temporary, sizeof(im.temporary), "%s/%s%d-%llx", w->root, FH_WEIGHTS_TMP, (int)getpid(),
                     (unsigned long long)fh_clock_utc_ns());
    if (n < 0 || (size_t)n >= sizeof(im.temporary) - 300) return fh_err_set(err, FH_E_INVALID, "path too long: %.200s", w->root);
    int rc = run(&im, ret, err);
    fh_dir_remove(im.temporary, NULL); /* after a good import it is not there any more */
    fh_weights_meta_fini(&im.meta);
    return rc;
}
