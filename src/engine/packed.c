/* The file of packed weights: whether it may be used, and how it is written. */
#include "packed.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "kernel/ref.h"
#include "sys/file.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HEAD_BYTES ((size_t)2 << 20) /* so that large pages of the file are large pages of memory */
#define FILE_NAME  "weights.packed"
static const char magic[8] = "FHPACK1\n";
static const uint8_t hash_key[16] = "freehold packed"; /* tells files apart; keeps out nobody */

/* ---- whose it is ---- */

/* Every weight's name, shape and place: another version that plans otherwise finds another hash. */
static uint64_t plan_hash(const fh_load *l)
{
    uint64_t all = l->packed_bytes;
    for (size_t i = 0; i < l->count; i++) {
        const fh_load_item *item = &l->items[i];
        uint64_t row[6] = {all,
                           item->weight ? item->at + 1 : 0,
                           (uint64_t)item->spec.type,
                           item->spec.rows,
                           item->spec.cols,
                           fh_siphash(hash_key, item->tensor->name.ptr, item->tensor->name.len)};
        all = fh_siphash(hash_key, row, sizeof row);
    }
    return all;
}

static uint64_t model_hash(const fh_load *l, const char *path)
{
    struct stat st = {0};
    if (stat(path, &st) != 0) return 0; /* of a file that is gone nothing is kept, see fh_packed_open */
    uint64_t row[4] = {fh_gguf_file_bytes(l->gguf), (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
    return fh_siphash(hash_key, row, sizeof row);
}

static fh_packed_head head_of(const fh_load *l, const char *path)
{
    fh_packed_head h = {.model = model_hash(l, path), .plan = plan_hash(l), .bytes = l->packed_bytes};
    memcpy(h.magic, magic, sizeof h.magic);
    snprintf(h.version, sizeof h.version, "%s", FH_VERSION);
    snprintf(h.layout, sizeof h.layout, "%s", fh_weight_layout(l->kernels));
    h.check = fh_siphash(hash_key, &h, offsetof(fh_packed_head, check));
    return h;
}

/* Packed or not, a row means the same bits. */
static bool last_row_is(const fh_weight_spec *spec, const fh_weight *w, float *got, float *want)
{
    size_t row_bytes, row = spec->rows - 1;
    if (!fh_type_row_bytes(spec->type, spec->cols, &row_bytes)) return false;
    fh_weight_row(w, row, got);
    fh_ref_dequant(spec->type, (const char *)spec->data + row * row_bytes, want, spec->cols);
    return memcmp(got, want, spec->cols * sizeof *got) == 0;
}

/* The last row is the model's own. */
static bool weight_is(const fh_load *l, const fh_load_item *item, uint8_t *data)
{
    FH_AUTO(fh_weight) fh_weight *w = NULL;
    fh_weight_spec spec = item->spec;
    spec.place = data + item->at;
    spec.filled = true;
    spec.name = "kept";
    FH_AUTO(ptr) float *got = fh_alloc(spec.cols * sizeof *got), *want = fh_alloc(spec.cols * sizeof *want);
    return got && want && fh_weight_new(&w, l->kernels, &spec, NULL) == 0 && last_row_is(&spec, w, got, want);
}

static bool holds_the_model(const fh_load *l, uint8_t *data)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].packed && !weight_is(l, &l->items[i], data)) return false;
    return true;
}

/* ---- opening ---- */

/* Nothing that is wrong with it is an error: it is made anew. */
static bool map_kept(fh_packed *p, const fh_load *l)
{
    char path[1200];
    if (fh_path_join(path, sizeof path, p->folder, FILE_NAME, NULL) != 0 || fh_file_map(path, &p->mapping, NULL) != 0) return false;
    uint8_t *data = (uint8_t *)p->mapping.data + HEAD_BYTES; /* read-only: filled places are not written */
    bool good = p->mapping.bytes == HEAD_BYTES + p->bytes && memcmp(p->mapping.data, &p->head, sizeof p->head) == 0;
    if (good) madvise((void *)p->mapping.data, p->mapping.bytes, MADV_HUGEPAGE); /* where the file system can */
    if (good && holds_the_model(l, data)) {
        p->data = data;
        p->filled = true;
        return true;
    }
    fh_file_unmap(&p->mapping);
    return false;
}

int fh_packed_open(fh_packed *p, const fh_load *l, const char *model_path, const char *folder, fh_err **err)
{
    p->bytes = l->packed_bytes;
    if (!p->bytes) return 0;
    p->head = head_of(l, model_path);
    if (folder && p->head.model) {
        p->folder = fh_strdup(folder);
        if (!p->folder) return fh_err_nomem(err);
        if (map_kept(p, l)) return 0;
    }
    p->data = fh_weight_memory_new(p->bytes);
    return p->data ? 0 : fh_err_nomem(err);
}

/* ---- keeping ---- */

static int check_room(const fh_packed *p, fh_err **err)
{
    struct statvfs v;
    if (statvfs(p->folder, &v) != 0) return fh_err_set(err, FH_E_IO, "cannot ask how full the disk of %s is", p->folder);
    uint64_t left = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize, need = HEAD_BYTES + p->bytes;
    if (left >= need && left - need >= all / 100 * FH_LIMIT_WEIGHT_CACHE_FREE_PERCENT) return 0;
    return fh_err_set(err, FH_E_TOO_LARGE, "the disk would have less than %d %% free", FH_LIMIT_WEIGHT_CACHE_FREE_PERCENT);
}

/* What others began here and did not end; the lock says that nobody is at it. */
static int sweep(void *arg, const char *name, fh_err **err)
{
    const fh_packed *p = arg;
    char path[1200];
    if (!fh_str_starts(fh_str_of(name), FH_STR(FILE_NAME "."))) return 0;
    int rc = fh_path_join(path, sizeof path, p->folder, name, err);
    if (!rc) unlink(path);
    return rc;
}

static int write_file(const fh_packed *p, fh_err **err)
{
    char path[1200];
    FH_AUTO(ptr) uint8_t *head = fh_calloc(1, HEAD_BYTES);
    if (!head) return fh_err_nomem(err);
    memcpy(head, &p->head, sizeof p->head);
    const fh_file_piece pieces[] = {{head, HEAD_BYTES}, {p->data, p->bytes}};
    int rc = fh_path_join(path, sizeof path, p->folder, FILE_NAME, err);
    return rc ? rc : fh_file_write_pieces(path, pieces, FH_COUNT(pieces), 0600, &p->stop, err);
}

static int keep(fh_packed *p, fh_err **err)
{
    FH_AUTO(fd) int lock = -1;
    int rc = fh_dir_make(p->folder, 0700, err);
    if (!rc) rc = fh_dir_lock(p->folder, &lock, err);
    if (rc) return rc == FH_E_BUSY ? 0 : rc; /* a replica of the same model is at it */
    rc = fh_dir_each(p->folder, sweep, p, err);
    if (!rc) rc = check_room(p, err);
    return rc ? rc : write_file(p, err);
}

static void *save(void *arg)
{
    fh_packed *p = arg;
    fh_err *err = NULL;
    if (keep(p, &err) != 0 && !atomic_load(&p->stop))
        fh_log_err(FH_LOG_WARN, "engine", err, "packed weights were not kept for the next start");
    fh_err_free(err);
    return NULL;
}

void fh_packed_keep(fh_packed *p)
{
    if (p->folder && !p->filled && p->data) p->saving = pthread_create(&p->saver, NULL, save, p) == 0;
}

void fh_packed_close(fh_packed *p)
{
    atomic_store(&p->stop, true);
    if (p->saving) pthread_join(p->saver, NULL);
    if (p->filled)
        fh_file_unmap(&p->mapping);
    else
        fh_free(p->data);
    fh_free(p->folder);
    *p = (fh_packed){.data = NULL};
}
