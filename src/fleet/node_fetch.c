/* Weights on their way to a machine of the pool: what it has is asked, each file is sent from where it stopped, and at the end the machine
 * checks all of it against the digest. The files are read as they are sent, so that a slow link holds nothing in memory. */
#include "node_place.h"

#include "base/clock.h"
#include "base/limits.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_NS FH_NS_PER_S /* that a result waits for who asked for it; longer, and he is gone */

static void send_next(fh_node_place *n);

/* ---- its memory ---- */

static void forget(fh_node_fetch *f)
{
    if (f->fd >= 0) close(f->fd);
    for (size_t i = 0; i < f->count; i++) fh_free(f->names[i]);
    fh_free(f->names);
    fh_free(f->sizes);
    fh_free(f->have);
    fh_err_free(f->err);
    *f = (fh_node_fetch){.fd = -1};
}

void fh_node_fetch_drop(fh_node_place *n)
{
    if (n->fetch.ask) fh_link_ask_cancel(n->fetch.ask);
    forget(&n->fetch);
}

static void ended(fh_node_place *n, fh_node_fetch_state state)
{
    n->fetch.state = state;
    n->fetch.ended_ns = fh_clock_mono_ns();
}

static void failed(fh_node_place *n, fh_err *err)
{
    ended(n, FH_FETCH_FAILED);
    fh_err_free(n->fetch.err);
    n->fetch.err = err;
}

/* ---- the files of it ---- */

static int add_file(void *arg, const char *name, fh_err **err)
{
    fh_node_fetch *f = arg;
    char path[1024];
    struct stat st;
    int rc = fh_path_join(path, sizeof(path), f->item.folder, name, err);
    if (rc != 0) return rc;
    if (strcmp(name, "weights.json") == 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    char **names = fh_realloc(f->names, (f->count + 1) * sizeof(*names));
    if (names) f->names = names;
    int64_t *sizes = names ? fh_realloc(f->sizes, (f->count + 1) * sizeof(*sizes)) : NULL;
    if (sizes) f->sizes = sizes;
    char *copy = sizes ? fh_strdup(name) : NULL;
    if (!copy) return fh_err_nomem(err);
    f->names[f->count] = copy;
    f->sizes[f->count++] = st.st_size;
    return 0;
}

/* ---- asking ---- */

typedef void done_fn(void *arg, int status, fh_str body, const fh_err *err);

static void ask(fh_node_place *n, const char *method, const char *file, int64_t from, fh_str body, ssize_t (*read)(void *, void *, size_t),
                done_fn *done)
{
    char path[1200];
    fh_err *err = NULL;
    int used = snprintf(path, sizeof(path), "/v1/weights/%s", n->fetch.item.digest);
    if (file) snprintf(path + used, sizeof(path) - (size_t)used, "/%s?from=%lld", file, (long long)from);
    fh_link_ask_spec s = {.method = method,
                          .path = path,
                          .body = body,
                          .read = read,
                          .idle_timeout_ns = (file ? FH_LIMIT_NODE_IDLE_MS : FH_LIMIT_NODE_CHECK_MS) * FH_NS_PER_MS,
                          .on_done = done,
                          .arg = n};
    if (fh_link_ask_start(&n->fetch.ask, n->link, &s, &err) != 0) failed(n, err);
}

/* True when the answer is good; else the fetch has failed. */
static bool accepted(fh_node_place *n, int status, fh_str body, const fh_err *link_err)
{
    fh_err *err = NULL;
    n->fetch.ask = NULL;
    if (!link_err && (status == 200 || status == 201)) return true;
    fh_node_refusal(n->name, status, body, link_err, &err);
    if (fh_err_code(err) == FH_E_TOO_LARGE)
        memcpy(n->no_room[n->no_room_count++ % FH_COUNT(n->no_room)], n->fetch.item.digest, sizeof(n->no_room[0]));
    if (fh_err_code(err) == FH_E_NOT_FOUND) fh_err_add(&err, "the weights cannot be brought there");
    failed(n, err);
    return false;
}

/* ---- keeping, once all of it is there ---- */

static void kept(void *arg, int status, fh_str body, const fh_err *err)
{
    fh_node_place *n = arg;
    if (accepted(n, status, body, err)) ended(n, FH_FETCH_WHOLE);
}

/* "file": the one to open; without it they are the files of a folder. */
static void ask_keep(fh_node_place *n)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    FH_AUTO(buf) fh_buf body = FH_BUF(4096);
    fh_err *err = NULL;
    const fh_weights_item *item = &n->fetch.item;
    const char *first = strrchr(item->path, '/');
    bool good = fh_json_set(o, "id", fh_json_new_cstr(item->id));
    if (good && strcmp(item->path, item->folder) != 0) good = fh_json_set(o, "file", fh_json_new_cstr(first ? first + 1 : ""));
    if (!good || fh_json_write(o, &body, &err) != 0) {
        if (!err) fh_err_nomem(&err);
        failed(n, err);
        return;
    }
    ask(n, "POST", NULL, 0, (fh_str){body.data, body.len}, NULL, kept);
}

/* ---- sending a file ---- */

static ssize_t read_file(void *arg, void *out, size_t size)
{
    fh_node_fetch *f = &((fh_node_place *)arg)->fetch;
    ssize_t got = pread(f->fd, out, size, f->from);
    if (got < 0) return FH_LINK_READ_FAILED;
    f->from += got;
    f->have[f->at] = f->from;
    return got;
}

static void file_sent(void *arg, int status, fh_str body, const fh_err *err)
{
    fh_node_place *n = arg;
    if (n->fetch.fd >= 0) close(fh_take_fd(&n->fetch.fd));
    if (!accepted(n, status, body, err)) return;
    n->fetch.at++;
    send_next(n);
}

static void send_next(fh_node_place *n)
{
    fh_node_fetch *f = &n->fetch;
    char path[1024];
    fh_err *err = NULL;
    while (f->at < f->count && f->have[f->at] == f->sizes[f->at]) f->at++;
    if (f->at == f->count) {
        ask_keep(n);
        return;
    }
    int rc = fh_path_join(path, sizeof(path), f->item.folder, f->names[f->at], &err);
    if (rc == 0 && (f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        rc = fh_err_errno(&err, FH_E_IO, errno, "cannot read %s", path);
    if (rc != 0) {
        failed(n, err);
        return;
    }
    f->from = f->have[f->at];
    ask(n, "PUT", f->names[f->at], f->from, (fh_str){0}, read_file, file_sent);
}

/* ---- what it has ---- */

static void heard(void *arg, int status, fh_str body, const fh_err *err)
{
    fh_node_place *n = arg;
    fh_node_fetch *f = &n->fetch;
    FH_AUTO(json) fh_json *o = NULL;
    if (!accepted(n, status, body, err)) return;
    if (fh_json_parse(&o, body, FH_LIMIT_LINK_REPLY_BYTES, NULL) != 0) o = NULL;
    if (fh_json_is_true(fh_json_get(o, "whole"))) {
        ended(n, FH_FETCH_WHOLE);
        return;
    }
    const fh_json *files = fh_json_get(o, "files");
    for (size_t i = 0; i < f->count; i++) {
        int64_t have = fh_json_int(fh_json_get(files, f->names[i]), 0);
        f->have[i] = have >= 0 && have <= f->sizes[i] ? have : 0;
    }
    send_next(n);
}

static int begin(fh_node_place *n, const fh_weights_item *item, fh_err **err)
{
    fh_node_fetch *f = &n->fetch;
    forget(f);
    f->item = *item;
    int rc = fh_dir_each(item->folder, add_file, f, err);
    if (rc == 0 && !(f->have = fh_calloc(FH_MAX(f->count, 1u), sizeof(*f->have)))) rc = fh_err_nomem(err);
    if (rc != 0) {
        forget(f);
        return rc;
    }
    f->state = FH_FETCH_GOES;
    ask(n, "GET", NULL, 0, (fh_str){0}, NULL, heard);
    return 0;
}

/* One after another: who asks for others meanwhile waits. */
int fh_node_fetch_step(fh_node_place *n, const fh_weights_item *item, bool *ret_whole, int64_t *ret_done, int64_t *ret_total, fh_err **err)
{
    fh_node_fetch *f = &n->fetch;
    bool of_it = strcmp(f->item.digest, item->digest) == 0;
    int rc = 0;
    *ret_whole = false;
    *ret_done = *ret_total = 0;
    bool waits = f->state == FH_FETCH_GOES || fh_clock_mono_ns() - f->ended_ns < KEPT_NS;
    if (f->state == FH_FETCH_NONE || (!of_it && !waits)) return begin(n, item, err);
    if (!of_it) return 0;
    for (size_t i = 0; i < f->count; i++) {
        *ret_done += f->have[i];
        *ret_total += f->sizes[i];
    }
    if (f->state == FH_FETCH_GOES) return 0;
    if (f->state == FH_FETCH_WHOLE)
        *ret_whole = true;
    else
        rc = fh_err_code(f->err), fh_err_move(err, &f->err);
    forget(f);
    return rc;
}
