/* Weights that the server sends: pieces in DATA/incoming/DIGEST/, kept once all of them are there and their digest is the one that was
 * named. A transfer that broke goes on where it stopped, also after a restart. */
#include "private.h"

#include "base/str.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

bool node_digest_good(fh_str digest)
{
    for (size_t i = 0; i < digest.len; i++)
        if (!strchr("0123456789abcdef", digest.ptr[i]) || !digest.ptr[i]) return false;
    return digest.len == 64;
}

static int folder_of(const fh_node_agent *a, fh_str digest, char *out, size_t size, fh_err **err)
{
    if (!node_digest_good(digest)) return fh_err_set(err, FH_E_INVALID, "the weights are named by their SHA-256");
    int n = snprintf(out, size, "%s/incoming/%.*s", a->data_dir, (int)digest.len, digest.ptr);
    return n > 0 && (size_t)n < size ? 0 : fh_err_set(err, FH_E_INVALID, "the data folder's path is too long");
}

static int file_in(const char *folder, fh_str file, char *out, size_t size, fh_err **err)
{
    char name[256];
    if (!file.len || file.len >= sizeof(name) || file.ptr[0] == '.')
        return fh_err_set(err, FH_E_INVALID, "that is no name of a file of weights");
    snprintf(name, sizeof(name), "%.*s", (int)file.len, file.ptr);
    return fh_path_join(out, size, folder, name, err);
}

/* ---- what is there ---- */

typedef struct listing {
    fh_json *files;
    const char *folder;
} listing;

static int add_size(void *arg, const char *name, fh_err **err)
{
    listing *l = arg;
    char path[1200];
    struct stat st;
    if (fh_path_join(path, sizeof(path), l->folder, name, NULL) != 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    return fh_json_set(l->files, name, fh_json_new_int(st.st_size)) ? 0 : fh_err_nomem(err);
}

void node_weights_get(fh_node_agent *a, fh_link_req *r, fh_str digest)
{
    char folder[1024], text[65];
    fh_weights_item item;
    fh_err *err = NULL;
    if (folder_of(a, digest, folder, sizeof(folder), &err) != 0) {
        node_refuse(r, err);
        return;
    }
    snprintf(text, sizeof(text), "%.*s", (int)digest.len, digest.ptr);
    fh_json *o = fh_json_new_object();
    listing l = {fh_json_new_object(), folder};
    fh_json_set(o, "whole", fh_json_new_bool(fh_weights_find(a->weights, text, &item, NULL) == 0));
    if (l.files && fh_file_exists(folder)) fh_dir_each(folder, add_size, &l, NULL);
    fh_json_set(o, "files", l.files);
    node_reply_json(r, 200, o);
}

/* ---- a piece of a file ---- */

typedef struct node_upload {
    fh_node_agent *agent;
    int fd;
    fh_err *err;
} node_upload;

static void upload_free(void *arg)
{
    node_upload *u = arg;
    if (u->fd >= 0) close(u->fd);
    fh_err_free(u->err);
    fh_free(u);
}

static bool take_piece(void *arg, const void *data, size_t bytes)
{
    node_upload *u = arg;
    u->agent->disk_left -= (int64_t)bytes;
    if (!u->err && u->agent->disk_left < 0) fh_err_set(&u->err, FH_E_TOO_LARGE, "the disk that its owner lends for weights is full");
    if (!u->err) fh_file_append(u->fd, data, bytes, "the weights", &u->err);
    return true;
}

/* What lies beyond `from` was sent and is sent again. */
static int open_at(const char *path, int64_t from, int *ret_fd, fh_err **err)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return fh_err_errno(err, FH_E_IO, errno, "cannot open %s", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= from && ftruncate(fd, from) == 0 && lseek(fd, from, SEEK_SET) == from) {
        *ret_fd = fd;
        return 0;
    }
    close(fd);
    return fh_err_set(err, FH_E_CONFLICT, "less of the file is here than the server thinks");
}

void node_weights_head(fh_node_agent *a, fh_link_req *r, fh_str digest, fh_str file, int64_t from)
{
    char folder[1024], path[1300];
    node_upload *u = fh_calloc(1, sizeof(*u));
    if (!u) return; /* node_weights_put refuses it */
    *u = (node_upload){.agent = a, .fd = -1};
    a->disk_left = node_disk_left(a);
    int rc = folder_of(a, digest, folder, sizeof(folder), &u->err);
    if (rc == 0) rc = fh_dir_make(folder, 0700, &u->err);
    if (rc == 0) rc = file_in(folder, file, path, sizeof(path), &u->err);
    if (rc == 0) rc = open_at(path, from, &u->fd, &u->err);
    fh_link_req_ctx_set(r, u);
    fh_link_req_on_gone(r, upload_free, u);
    fh_link_req_on_data(r, take_piece, u);
}

void node_weights_put(fh_link_req *r)
{
    node_upload *u = fh_link_req_ctx(r);
    fh_err *err = NULL;
    if (!u) {
        fh_err_nomem(&err);
        node_refuse(r, err);
        return;
    }
    fh_link_req_on_gone(r, NULL, NULL);
    if (!u->err && fsync(u->fd) != 0) fh_err_errno(&u->err, FH_E_IO, errno, "the weights could not be written");
    err = fh_take(u->err);
    upload_free(u);
    if (err)
        node_refuse(r, err);
    else
        fh_link_reply(r, 200, NULL, NULL, 0);
}

/* ---- keeping ---- */

typedef struct keeping { /* checked and copied on a thread: it takes as long as the disk does */
    fh_node_agent *agent;
    fh_link_req *r;                                     /* NULL: nobody waits for the answer any more */
    char folder[1024], path[1300], id[128], digest[65]; /* path "": the folder itself */
    fh_err *err;
    fh_post post;
    pthread_t thread;
} keeping;

static void nobody_waits(void *arg)
{
    ((keeping *)arg)->r = NULL;
}

static void kept(void *arg)
{
    keeping *k = arg;
    pthread_join(k->thread, NULL);
    k->agent->keeping = false;
    if (k->r) fh_link_req_on_gone(k->r, NULL, NULL);
    if (k->r && k->err)
        node_refuse(k->r, fh_take(k->err));
    else if (k->r)
        fh_link_reply(k->r, 200, NULL, NULL, 0);
    fh_node_agent *a = k->agent;
    fh_err_free(k->err);
    fh_free(k);
    node_agent_settle(a);
}

/* What is not what it should be is of no use to anybody, and is sent again from its beginning. */
static int check_digest(const keeping *k, const fh_weights_item *item, fh_err **err)
{
    if (strcmp(item->digest, k->digest) == 0) return 0;
    fh_weights_remove(k->agent->weights, item->digest, NULL);
    return fh_err_set(err, FH_E_CORRUPT, "what came is not the weights that were named; it is thrown away");
}

static void *keep(void *arg)
{
    keeping *k = arg;
    FH_AUTO(fh_weights_source) fh_weights_source *from = NULL;
    fh_weights_item item;
    int rc = fh_weights_source_open(&from, *k->path ? k->folder : NULL, *k->path ? k->path : k->folder, &k->err);
    if (rc == 0) rc = fh_weights_import(k->agent->weights, from, k->id, NULL, NULL, &item, &k->err);
    if (rc == 0) rc = check_digest(k, &item, &k->err);
    if (rc == 0 || rc == FH_E_CORRUPT || rc == FH_E_INVALID) fh_dir_remove(k->folder, NULL);
    fh_loop_post_own(k->agent->loop, &k->post);
    return NULL;
}

static int read_keep(fh_node_agent *a, keeping *k, fh_str digest, fh_str body, fh_err **err)
{
    FH_AUTO(json) fh_json *o = NULL;
    fh_str id = {0}, file = {0};
    int rc = folder_of(a, digest, k->folder, sizeof(k->folder), err);
    if (rc == 0) rc = fh_json_parse(&o, body, FH_LIMIT_LINK_BODY_BYTES, err);
    if (rc == 0) rc = fh_json_read_str(o, "id", true, &id, err);
    if (rc == 0) rc = fh_json_read_str(o, "file", false, &file, err);
    if (rc == 0 && file.ptr) rc = file_in(k->folder, file, k->path, sizeof(k->path), err);
    if (rc != 0) return rc;
    snprintf(k->id, sizeof(k->id), "%.*s", (int)FH_MIN(id.len, sizeof(k->id) - 1), id.ptr);
    snprintf(k->digest, sizeof(k->digest), "%.*s", (int)digest.len, digest.ptr);
    return 0;
}

void node_weights_keep(fh_node_agent *a, fh_link_req *r, fh_str digest)
{
    fh_err *err = NULL;
    keeping *k = fh_calloc(1, sizeof(*k));
    int rc = k ? read_keep(a, k, digest, fh_link_req_body(r), &err) : fh_err_nomem(&err);
    if (rc == 0 && a->keeping) rc = fh_err_set(&err, FH_E_BUSY, "other weights are being checked");
    if (rc == 0) {
        k->agent = a;
        k->r = r;
        k->post = (fh_post){.fn = kept, .arg = k};
        fh_link_req_on_gone(r, nobody_waits, k);
        a->keeping = pthread_create(&k->thread, NULL, keep, k) == 0;
        if (a->keeping) return;
        fh_link_req_on_gone(r, NULL, NULL);
        rc = fh_err_set(&err, FH_E_UNAVAILABLE, "no thread could be started");
    }
    fh_free(k);
    node_refuse(r, err);
}
