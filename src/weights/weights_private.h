/* What the files of weights share. */
#ifndef FH_WEIGHTS_PRIVATE_H
#define FH_WEIGHTS_PRIVATE_H

#include "base/buf.h"
#include "weights/weights.h"

#define FH_WEIGHTS_META       "weights.json"
#define FH_WEIGHTS_META_BYTES (1 << 20)
#define FH_WEIGHTS_TMP        ".tmp-"

struct fh_weights {
    char *root; /* DATA/weights */
    char *data; /* DATA; both as realpath has them */
};

typedef struct fh_weights_file {
    char name[256], sha256[65];
    uint64_t bytes;
} fh_weights_file;

typedef struct fh_weights_meta { /* weights.json */
    char id[128], architecture[64];
    int64_t imported_utc_ns, context_tok;
    uint64_t kv_bytes_per_tok, memory_bytes;
    fh_weights_file *files; /* owned */
    size_t count;
} fh_weights_meta;
void fh_weights_meta_fini(fh_weights_meta *m);
static inline void fh_auto_meta(fh_weights_meta *m)
{
    fh_weights_meta_fini(m);
}
int fh_weights_meta_read(const char *folder, fh_weights_meta *ret, fh_err **err);
int fh_weights_meta_write(const char *folder, const fh_weights_meta *m, fh_err **err);
/* FH_E_NOT_FOUND when the folder is not there. */
int fh_weights_item_read(fh_weights *w, const char *digest, fh_weights_item *ret, fh_err **err);
bool fh_weights_is_digest(fh_str s);

struct fh_weights_source {
    char *path;        /* as it was named: for names and messages */
    const char *below; /* in path: what follows folder_fd's */
    int folder_fd;     /* -1: anywhere */
    int fd;            /* of path */
    bool is_folder;    /* of a model: its files are below fd */
    uint64_t bytes;
};

/* A file beside it, or the file itself; *ret_fd is owned, its offset may be anywhere. */
int fh_weights_source_part(const fh_weights_source *s, const char *name, int *ret_fd, uint64_t *ret_bytes, fh_err **err);
bool fh_weights_source_is_ours(const fh_weights_source *s); /* nobody else can write it, so that it may be mapped */
const char *fh_weights_base_name(const char *path);

/* SHA-256 of pieces. */
typedef struct fh_sha fh_sha;
fh_sha *fh_sha_new(void);
void fh_sha_free(fh_sha *s);
bool fh_sha_add(fh_sha *s, const void *data, size_t bytes);
bool fh_sha_hex(fh_sha *s, char out[65]); /* ends it */
FH_DEFINE_AUTO(fh_sha, fh_sha_free);

#endif
