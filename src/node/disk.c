/* Room for weights: what the owner lends of the disk, and never the last of it. */
#include "private.h"

#include "base/mem.h"
#include "sys/file.h"

#include <sys/statvfs.h>

typedef struct walk {
    const char *folder;
    int64_t bytes;
} walk;

static int add_folder(void *arg, const char *name, fh_err **err)
{
    walk *w = arg;
    char path[1100];
    (void)err;
    if (fh_path_join(path, sizeof(path), w->folder, name, NULL) == 0) w->bytes += (int64_t)fh_dir_bytes(path);
    return 0;
}

static int64_t used(const fh_node_agent *a)
{
    char folder[1024];
    walk w = {.folder = folder};
    size_t count = 0;
    fh_weights_item *items = NULL;
    if (fh_path_join(folder, sizeof(folder), a->data_dir, "incoming", NULL) == 0 && fh_file_exists(folder))
        fh_dir_each(folder, add_folder, &w, NULL);
    int64_t bytes = 2 * w.bytes; /* they are copied when they are kept */
    if (fh_weights_list(a->weights, &items, &count, NULL, NULL) != 0) count = 0;
    for (size_t i = 0; i < count; i++)
        bytes += (int64_t)(items[i].bytes + fh_weights_kept_bytes(a->weights, FH_WEIGHTS_PACKED, items[i].digest) +
                           fh_weights_kept_bytes(a->weights, FH_WEIGHTS_PAGES, items[i].digest));
    fh_free(items);
    return bytes;
}

int64_t node_disk_left(const fh_node_agent *a)
{
    struct statvfs v;
    int64_t left = a->owner->disk_bytes ? a->owner->disk_bytes - used(a) : INT64_MAX;
    if (statvfs(a->data_dir, &v) == 0) left = FH_MIN(left, (int64_t)(v.f_bavail * v.f_frsize) - FH_LIMIT_NODE_DISK_SPARE_BYTES);
    return left / 2; /* of a piece and its copy */
}
