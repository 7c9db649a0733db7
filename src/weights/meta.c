/* weights.json: what a folder of the store holds. Written once, before the folder gets its name; read whenever somebody asks. */
#include "weights_private.h"

#include "base/str.h"
#include "catalog/catalog.h"
#include "sys/file.h"
#include <stdio.h>
#include <string.h>

#define FILES_MAX 1024

void fh_weights_meta_fini(fh_weights_meta *m)
{
    fh_free(m->files);
    *m = (fh_weights_meta){0};
}

bool fh_weights_is_digest(fh_str s)
{
    uint8_t bytes[32];
    return s.len == 64 && fh_hex_decode(s, bytes, sizeof(bytes));
}

static bool copy_str(char *out, size_t out_size, fh_str s)
{
    if (s.len >= out_size) return false;
    memcpy(out, s.ptr ? s.ptr : "", s.len);
    out[s.len] = 0;
    return true;
}

static int read_file_entry(const fh_json *o, fh_weights_file *ret, fh_err **err)
{
    fh_str name = {0}, sha = {0};
    int64_t bytes = 0;
    int rc = fh_json_read_str(o, "name", true, &name, err);
    if (rc == 0) rc = fh_json_read_str(o, "sha256", true, &sha, err);
    if (rc == 0) rc = fh_json_read_i64(o, "bytes", true, 0, INT64_MAX, &bytes, err);
    if (rc != 0) return rc;
    ret->bytes = (uint64_t)bytes;
    char joined[512];
    if (!copy_str(ret->name, sizeof(ret->name), name) || !fh_weights_is_digest(sha) || !copy_str(ret->sha256, sizeof(ret->sha256), sha)) {
        return fh_err_set(err, FH_E_CORRUPT, "an entry of \"files\" has no good name or digest");
    }
    return fh_path_join(joined, sizeof(joined), "", ret->name, err); /* a name, not a path */
}

static int read_files(const fh_json *array, fh_weights_meta *m, fh_err **err)
{
    size_t n = fh_json_count(array);
    if (fh_json_kind_of(array) != FH_JSON_ARRAY || n == 0 || n > FILES_MAX)
        return fh_err_set(err, FH_E_CORRUPT, "\"files\" is not a list of 1 to %d files", FILES_MAX);
    m->files = fh_calloc(n, sizeof(*m->files));
    if (!m->files) return fh_err_nomem(err);
    int rc = 0;
    for (; rc == 0 && m->count < n; m->count++) rc = read_file_entry(fh_json_at(array, m->count), &m->files[m->count], err);
    return rc;
}

static int from_json(const fh_json *o, fh_weights_meta *m, fh_err **err)
{
    fh_str id = {0}, architecture = {0};
    int64_t kv = 0, memory = 0;
    int rc = fh_json_read_str(o, "id", true, &id, err);
    if (rc == 0) rc = fh_json_read_str(o, "architecture", false, &architecture, err);
    if (rc == 0) rc = fh_json_read_i64(o, "imported_utc_ns", true, 0, INT64_MAX, &m->imported_utc_ns, err);
    if (rc == 0) rc = fh_json_read_i64(o, "context_tok", false, 0, INT64_MAX, &m->context_tok, err);
    if (rc == 0) rc = fh_json_read_i64(o, "kv_bytes_per_tok", false, 0, INT64_MAX, &kv, err);
    if (rc == 0) rc = fh_json_read_i64(o, "memory_bytes", false, 0, INT64_MAX, &memory, err);
    m->kv_bytes_per_tok = (uint64_t)kv;
    m->memory_bytes = (uint64_t)memory;
    if (rc == 0 && (!copy_str(m->id, sizeof(m->id), id) || !copy_str(m->architecture, sizeof(m->architecture), architecture)))
        rc = fh_err_set(err, FH_E_CORRUPT, "a name is too long");
    return rc != 0 ? rc : read_files(fh_json_get(o, "files"), m, err);
}

int fh_weights_meta_read(const char *folder, fh_weights_meta *ret, fh_err **err)
{
    char path[1200];
    int rc = fh_path_join(path, sizeof(path), folder, FH_WEIGHTS_META, err);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_WEIGHTS_META_BYTES + 1);
    FH_AUTO(json) fh_json *o = NULL;
    FH_AUTO(meta) fh_weights_meta m = {0};
    if (rc == 0) rc = fh_file_read(path, FH_WEIGHTS_META_BYTES, &text, err);
    if (rc == 0) rc = fh_json_parse(&o, (fh_str){fh_buf_cstr(&text), text.len}, FH_WEIGHTS_META_BYTES, err);
    if (rc == 0) rc = from_json(o, &m, err);
    if (rc != 0) return rc;
    *ret = m;
    m = (fh_weights_meta){0};
    return 0;
}

static fh_json *file_json(const fh_weights_file *f)
{
    fh_json *o = fh_json_new_object();
    if (fh_json_set(o, "name", fh_json_new_cstr(f->name)) && fh_json_set(o, "bytes", fh_json_new_int((int64_t)f->bytes)) &&
        fh_json_set(o, "sha256", fh_json_new_cstr(f->sha256)))
        return o;
    fh_json_unref(o);
    return NULL;
}

int fh_weights_meta_write(const char *folder, const fh_weights_meta *m, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    fh_json *files = fh_json_new_array();
    bool good = true;
    for (size_t i = 0; i < m->count; i++) good = good && fh_json_append(files, file_json(&m->files[i]));
    good = fh_json_set(o, "files", files) && good;
    good = good && fh_json_set(o, "id", fh_json_new_cstr(m->id)) && fh_json_set(o, "architecture", fh_json_new_cstr(m->architecture));
    good = good && fh_json_set(o, "imported_utc_ns", fh_json_new_int(m->imported_utc_ns)) &&
           fh_json_set(o, "context_tok", fh_json_new_int(m->context_tok));
    good = good && fh_json_set(o, "kv_bytes_per_tok", fh_json_new_int((int64_t)m->kv_bytes_per_tok));
    good = good && fh_json_set(o, "memory_bytes", fh_json_new_int((int64_t)m->memory_bytes));
    if (!good) return fh_err_nomem(err);
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_WEIGHTS_META_BYTES);
    char path[1200];
    int rc = fh_json_write_pretty(o, &text, err);
    if (rc == 0) rc = fh_path_join(path, sizeof(path), folder, FH_WEIGHTS_META, err);
    return rc != 0 ? rc : fh_file_write_atomic(path, fh_buf_cstr(&text), text.len, 0400, err);
}

/* The catalogue of this binary knows best what a digest is; the file says what it was called when it came. */
static void name_item(const char *digest, const fh_weights_meta *m, fh_weights_item *item)
{
    const fh_catalog_variant *v = NULL;
    const fh_catalog_model *known = fh_catalog_by_sha256(digest, &v);
    snprintf(item->id, sizeof(item->id), "%s", known ? known->id : m->id);
    snprintf(item->variant, sizeof(item->variant), "%s", known ? v->name : "");
    item->in_catalog = known != NULL;
}

static bool is_folder(const fh_weights_meta *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->files[i].name, "config.json") == 0) return true;
    return false;
}

uint64_t fh_weights_kept_bytes(const fh_weights *w, fh_weights_kept what, const char *digest)
{
    char folder[1200];
    return fh_weights_kept_folder(w->data, what, digest, folder, sizeof(folder), NULL) == 0 ? fh_dir_bytes(folder) : 0;
}

int fh_weights_item_read(fh_weights *w, const char *digest, fh_weights_item *ret, fh_err **err)
{
    fh_weights_item item = {0};
    FH_AUTO(meta) fh_weights_meta m = {0};
    int rc = fh_path_join(item.folder, sizeof(item.folder), w->root, digest, err);
    if (rc == 0) rc = fh_weights_meta_read(item.folder, &m, err);
    if (rc == 0) rc = fh_path_join(item.path, sizeof(item.path), item.folder, m.files[0].name, err);
    if (rc != 0) return rc;
    snprintf(item.digest, sizeof(item.digest), "%s", digest);
    bool folder = is_folder(&m);
    snprintf(item.format, sizeof(item.format), folder ? "safetensors" : "gguf");
    if (folder) snprintf(item.path, sizeof(item.path), "%s", item.folder);
    snprintf(item.architecture, sizeof(item.architecture), "%s", m.architecture);
    name_item(digest, &m, &item);
    for (size_t i = 0; i < m.count; i++) item.bytes += m.files[i].bytes;
    item.files = (unsigned)m.count;
    item.imported_utc_ns = m.imported_utc_ns;
    item.kv_bytes_per_tok = m.kv_bytes_per_tok;
    item.memory_bytes = m.memory_bytes;
    item.context_tok = m.context_tok;
    *ret = item;
    return 0;
}
