/* Opening GGUF files, split ones too, and the list of their tensors. A file is mapped, its header walked once, and everything that later
 * code relies on is checked here: afterwards every key, string and tensor of the object lies inside its mapping. Nothing is copied but
 * small indices. */
#include "gguf_private.h"
#include <stdio.h>

#define MAGIC 0x46554747u /* "GGUF" */

void fh_gguf_close(fh_gguf *g)
{
    if (!g) return;
    fh_gguf_meta_free(&g->meta);
    for (size_t i = 0; i < g->file_count; i++) {
        fh_file_unmap(&g->files[i].map);
        fh_free(g->files[i].path);
    }
    fh_free(g->files);
    fh_free(g->tensors);
    fh_free(g->by_name);
    fh_free(g);
}

static int read_preamble(fh_gguf_cursor *c, uint64_t *ret_tensors, uint64_t *ret_keys)
{
    uint32_t magic = 0, version = 0;
    int rc = fh_gguf_take_u32(c, "magic", &magic);
    if (rc) return rc;
    if (magic != MAGIC) return fh_gguf_fault(c, 0, "magic", "is not \"GGUF\": this is no GGUF file");
    rc = fh_gguf_take_u32(c, "version", &version);
    if (rc) return rc;
    if (version == 0x03000000u) return fh_gguf_fault(c, 4, "version", "the file is big-endian, which is not supported");
    if (version != 2 && version != 3) return fh_gguf_fault(c, 4, "version", "is %u; versions 2 and 3 are read", version);
    rc = fh_gguf_take_u64(c, "tensor_count", ret_tensors);
    if (rc) return rc;
    if (*ret_tensors > FH_LIMIT_GGUF_TENSORS)
        return fh_gguf_fault(c, 8, "tensor_count", "is %llu; at most %d are read", (unsigned long long)*ret_tensors, FH_LIMIT_GGUF_TENSORS);
    rc = fh_gguf_take_u64(c, "metadata_kv_count", ret_keys);
    if (rc) return rc;
    if (*ret_keys > FH_LIMIT_GGUF_KEYS)
        return fh_gguf_fault(c, 16, "metadata_kv_count", "is %llu; at most %d are read", (unsigned long long)*ret_keys, FH_LIMIT_GGUF_KEYS);
    return 0;
}

/* Takes path. Maps it, reads its keys into meta (the caller's to free, on failure too) and appends its tensors. */
static int add_file(fh_gguf *g, char *path, fh_gguf_meta *meta, fh_err **err)
{
    fh_gguf_file *f = &g->files[g->file_count++];
    f->path = path;
    int rc = fh_file_map(path, &f->map, err);
    if (rc) return rc;
    fh_gguf_cursor c = {.path = path, .base = f->map.data, .size = f->map.bytes, .strings_left = FH_LIMIT_GGUF_ARRAY_LEN, .err = err};
    uint64_t tensors = 0, keys = 0;
    rc = read_preamble(&c, &tensors, &keys);
    if (!rc) rc = fh_gguf_meta_read(&c, keys, meta);
    if (!rc) rc = fh_gguf_tensors_read(&c, tensors, meta, (uint16_t)(g->file_count - 1), g);
    return rc;
}

/* split.* of one file; absent keys read as fallback. */
static int split_number(const fh_gguf *g, const fh_gguf_meta *m, const char *key, uint64_t fallback, uint64_t *ret, fh_err **err)
{
    const fh_gguf_value *v = fh_gguf_meta_find(m, fh_str_of(key));
    *ret = fallback;
    if (!v || fh_gguf_as_u64(v, 0, v->kind, ret)) return 0;
    const fh_gguf_file *f = &g->files[g->file_count - 1];
    return fh_err_set(err, FH_E_CORRUPT, "%s: byte %llu, field %s: is no count", f->path,
                      (unsigned long long)(v->data - (const uint8_t *)f->map.data), key);
}

/* "x-00001-of-00003.gguf" and 2 make "x-00003-of-00003.gguf"; NULL when the name is no such or memory is out (*err says which). */
static char *sibling_path(const char *first, uint64_t index, uint64_t count, fh_err **err)
{
    char tail[40], sibling[40];
    snprintf(tail, sizeof tail, "-00001-of-%05llu.gguf", (unsigned long long)count);
    snprintf(sibling, sizeof sibling, "-%05llu-of-%05llu.gguf", (unsigned long long)(index + 1), (unsigned long long)count);
    fh_str name = fh_str_of(first);
    if (!fh_str_ends(name, fh_str_of(tail))) {
        fh_err_set(err, FH_E_INVALID, "%s: is the first of %llu files by its field split.count, but its name does not end in \"%s\"", first,
                   (unsigned long long)count, tail);
        fh_err_hint(err, "Give the files of the split their original names.");
        return NULL;
    }
    char *path = fh_asprintf("%.*s%s", (int)(name.len - strlen(tail)), first, sibling);
    if (!path) fh_err_nomem(err);
    return path;
}

static int check_sibling(const fh_gguf *g, const fh_gguf_meta *m, uint64_t index, uint64_t count, fh_err **err)
{
    uint64_t no = 0, of = 0;
    int rc = split_number(g, m, "split.no", UINT64_MAX, &no, err);
    if (!rc) rc = split_number(g, m, "split.count", UINT64_MAX, &of, err);
    if (rc) return rc;
    const char *path = g->files[g->file_count - 1].path;
    if (no != index)
        return fh_err_set(err, FH_E_CORRUPT, "%s: field split.no: is not %llu, as the file's name says", path, (unsigned long long)index);
    if (of != count)
        return fh_err_set(err, FH_E_CORRUPT, "%s: field split.count: is not %llu, as in the first file", path, (unsigned long long)count);
    return 0;
}

static int add_sibling(fh_gguf *g, uint64_t index, uint64_t count, fh_err **err)
{
    char *path = sibling_path(g->files[0].path, index, count, err);
    if (!path) return fh_err_code(err ? *err : NULL) == FH_E_INVALID ? FH_E_INVALID : FH_E_NOMEM;
    fh_gguf_meta meta = {0};
    int rc = add_file(g, path, &meta, err);
    if (!rc) rc = check_sibling(g, &meta, index, count, err);
    fh_gguf_meta_free(&meta);
    return rc;
}

static int add_siblings(fh_gguf *g, uint64_t count, fh_err **err)
{
    if (count > FH_LIMIT_GGUF_FILES)
        return fh_err_set(err, FH_E_CORRUPT, "%s: field split.count: is %llu; at most %d files are read", g->files[0].path,
                          (unsigned long long)count, FH_LIMIT_GGUF_FILES);
    fh_gguf_file *files = fh_realloc_array(g->files, count, sizeof *files);
    if (!files) return fh_err_nomem(err);
    g->files = files;
    memset(files + 1, 0, (count - 1) * sizeof *files);
    int rc = 0;
    for (uint64_t i = 1; i < count && !rc; i++) rc = add_sibling(g, i, count, err);
    return rc;
}

static int open_split(fh_gguf *g, fh_err **err)
{
    uint64_t no = 0, count = 0, tensors = 0;
    int rc = split_number(g, &g->meta, "split.no", 0, &no, err);
    if (!rc) rc = split_number(g, &g->meta, "split.count", 1, &count, err);
    if (rc) return rc;
    if (no) {
        rc = fh_err_set(err, FH_E_INVALID, "%s: is file %llu of a split model (field split.no)", g->files[0].path,
                        (unsigned long long)no + 1);
        fh_err_hint(err, "Open its first file, whose name has -00001-of-.");
        return rc;
    }
    if (count > 1) rc = add_siblings(g, count, err);
    if (!rc) rc = split_number(g, &g->meta, "split.tensors.count", g->tensor_count, &tensors, err);
    if (rc) return rc;
    if (tensors != g->tensor_count)
        return fh_err_set(err, FH_E_CORRUPT, "%s: field split.tensors.count: is %llu, but the files hold %zu tensors", g->files[0].path,
                          (unsigned long long)tensors, g->tensor_count);
    return 0;
}

static int open_into(fh_gguf *g, const char *path, fh_err **err)
{
    g->files = fh_calloc(1, sizeof *g->files);
    char *own = g->files ? fh_strdup(path) : NULL;
    if (!own) return fh_err_nomem(err);
    int rc = add_file(g, own, &g->meta, err);
    if (!rc) rc = open_split(g, err);
    return rc ? rc : fh_gguf_tensors_check(g, err);
}

int fh_gguf_open(fh_gguf **ret, const char *path, fh_err **err)
{
    FH_AUTO(fh_gguf) fh_gguf *g = fh_calloc(1, sizeof *g);
    if (!g) return fh_err_nomem(err);
    int rc = open_into(g, path, err);
    if (rc == FH_E_CORRUPT)
        fh_err_hint(err, "the file is damaged or was cut: fetch it again, and compare its size and SHA-256 with its source");
    if (rc) return rc;
    *ret = fh_take(g);
    return 0;
}

size_t fh_gguf_tensor_count(const fh_gguf *g)
{
    return g->tensor_count;
}

const fh_gguf_tensor *fh_gguf_tensor_at(const fh_gguf *g, size_t i)
{
    return &g->tensors[i];
}

const fh_gguf_tensor *fh_gguf_tensor_find(const fh_gguf *g, const char *name)
{
    fh_str key = fh_str_of(name);
    size_t low = 0, high = g->tensor_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const fh_gguf_tensor *t = &g->tensors[g->by_name[mid]];
        int order = fh_gguf_compare_str(t->name, key);
        if (!order) return t;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

uint64_t fh_gguf_file_bytes(const fh_gguf *g)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < g->file_count; i++) sum += g->files[i].map.bytes;
    return sum;
}
