/* Imports of weights: one at a time, copied and hashed on a thread of its own; the loop's thread answers how far it is.
 *
 * What holds: the thread writes only the atomics and, before it ends, the result; the loop reads the result after finished() was posted.
 * The last few jobs are remembered, so that a client that was away can still read what became of its import. */
#include "base/limits.h"
#include "server/imports.h"
#include "server/models.h"
#include "server_private.h"

#include "sys/file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { JOBS_KEPT = FH_LIMIT_IMPORT_JOBS };

typedef struct import_job {
    fh_imports *imports;
    unsigned number; /* 0: free */
    char path[1024], id[128];
    fh_weights_source *source; /* owned; until it has ended */
    atomic_uint_fast64_t done, total;
    bool running;
    atomic_bool cancel;
    fh_weights_item item;
    fh_err *err; /* owned; why it failed */
} import_job;

struct fh_imports {
    fh_server *server;
    import_job jobs[JOBS_KEPT];
    unsigned last; /* number of the newest job */
    bool busy;
    pthread_t thread;
};

/* A folder whose client died before it could take it away. */
static int sweep_one(void *arg, const char *name, fh_err **err)
{
    const fh_server *s = arg;
    uint64_t pid;
    char path[1200];
    fh_str text = fh_str_of(name), prefix = FH_STR(FH_IMPORT_STAGED);
    if (!fh_str_starts(text, prefix) || !fh_str_u64((fh_str){name + prefix.len, text.len - prefix.len}, INT32_MAX, &pid)) return 0;
    bool gone = kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    if (gone && fh_path_join(path, sizeof path, s->default_import_dir, name, err) == 0) fh_dir_remove(path, NULL);
    return 0;
}

fh_imports *fh_imports_new(fh_server *s)
{
    fh_imports *i = fh_calloc(1, sizeof *i);
    fh_dir_each(s->default_import_dir, sweep_one, s, NULL); /* what cannot be removed now waits for the next start */
    if (i) i->server = s;
    return i;
}

void fh_imports_free(fh_imports *i)
{
    if (!i) return;
    atomic_store(&i->jobs[i->last % JOBS_KEPT].cancel, true);
    if (i->busy) pthread_join(i->thread, NULL);
    for (size_t n = 0; n < JOBS_KEPT; n++) {
        fh_err_free(i->jobs[n].err);
        fh_weights_source_close(i->jobs[n].source);
    }
    fh_free(i);
}

static bool on_progress(void *arg, uint64_t done, uint64_t total)
{
    import_job *job = arg;
    atomic_store(&job->done, done);
    atomic_store(&job->total, total);
    return !atomic_load(&job->cancel);
}

/* On the loop's thread. */
static void finished(void *arg)
{
    import_job *job = arg;
    pthread_join(job->imports->thread, NULL);
    fh_weights_source_close(job->source);
    job->source = NULL;
    job->imports->busy = false;
    job->running = false;
}

static void *run(void *arg)
{
    import_job *job = arg;
    fh_weights_import(job->imports->server->weights, job->source, job->id, on_progress, job, &job->item, &job->err);
    fh_loop_post(job->imports->server->loop, finished, job);
    return NULL;
}

static fh_json *job_json(const import_job *job)
{
    char id[24];
    bool failed = !job->running && job->err;
    fh_json *o = fh_json_new_object();
    snprintf(id, sizeof id, "import-%u", job->number);
    fh_json_set(o, "id", fh_json_new_cstr(id));
    fh_json_set(o, "state", fh_json_new_cstr(job->running ? "running" : failed ? "failed" : "done"));
    fh_json_set(o, "path", fh_json_new_cstr(job->path));
    fh_json_set(o, "done_bytes", fh_json_new_int((int64_t)atomic_load(&job->done)));
    fh_json_set(o, "total_bytes", fh_json_new_int((int64_t)atomic_load(&job->total)));
    fh_json_set(o, "weights",
                job->running || failed ? fh_json_new_null() : fh_weights_view_json(job->imports->server->weights, &job->item));
    fh_json_set(o, "error", failed ? fh_json_new_cstr(fh_err_message(job->err)) : fh_json_new_null());
    fh_json_set(o, "hint", failed ? fh_json_new_cstr(fh_err_hint_get(job->err)) : fh_json_new_null());
    return o;
}

bool fh_imports_busy(const fh_imports *i)
{
    return i->busy;
}

int fh_imports_start(fh_imports *i, fh_weights_source *source, const char *path, const char *id, fh_json **ret_job, fh_err **err)
{
    FH_AUTO(fh_weights_source) fh_weights_source *taken = source;
    if (i->busy) return fh_err_set(err, FH_E_BUSY, "another import runs: %s", i->jobs[i->last % JOBS_KEPT].path);
    import_job *job = &i->jobs[++i->last % JOBS_KEPT];
    fh_err_free(job->err);
    memset(job, 0, sizeof *job);
    job->imports = i;
    job->number = i->last;
    job->source = fh_take(taken);
    snprintf(job->path, sizeof job->path, "%s", path);
    snprintf(job->id, sizeof job->id, "%s", id);
    int failed = pthread_create(&i->thread, NULL, run, job);
    if (failed) {
        job->number = 0;
        fh_weights_source_close(job->source);
        job->source = NULL;
        return fh_err_errno(err, FH_E_UNAVAILABLE, failed, "cannot start a thread for the import");
    }
    i->busy = job->running = true;
    *ret_job = job_json(job);
    return 0;
}

static import_job *find_job(fh_imports *i, const char *job_id)
{
    uint64_t number;
    fh_str s = fh_str_of(job_id), prefix = FH_STR("import-");
    if (!fh_str_starts(s, prefix) || !fh_str_u64((fh_str){s.ptr + prefix.len, s.len - prefix.len}, UINT32_MAX, &number)) return NULL;
    import_job *job = &i->jobs[number % JOBS_KEPT];
    return number && job->number == number ? job : NULL;
}

fh_json *fh_imports_get(fh_imports *i, const char *job_id)
{
    const import_job *job = find_job(i, job_id);
    return job ? job_json(job) : NULL;
}

fh_json *fh_imports_cancel(fh_imports *i, const char *job_id)
{
    import_job *job = find_job(i, job_id);
    if (job) atomic_store(&job->cancel, true);
    return job ? job_json(job) : NULL;
}

int fh_import_open(fh_server *s, fh_str path, fh_weights_source **ret, fh_err **err)
{
    char text[1024];
    fh_err *refused = NULL;
    if (path.len == 0 || path.len >= sizeof text || memchr(path.ptr, 0, path.len))
        return fh_err_set(err, FH_E_INVALID, "that is no path of a file");
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    int rc = fh_weights_source_open(ret, s->default_import_dir, text, &refused);
    for (size_t i = 0; rc == FH_E_NOT_FOUND && s->config->import_dirs && s->config->import_dirs[i]; i++)
        rc = fh_weights_source_open(ret, s->config->import_dirs[i], text, &refused);
    if (rc == FH_E_NOT_FOUND) { /* whether it is there is nobody's business */
        rc = fh_err_set(&refused, FH_E_FORBIDDEN, "%s is not a file in one of the import folders", text);
        fh_err_hint(&refused, "put it into %s, or start the server with --import-dir FOLDER", s->default_import_dir);
    }
    if (rc) fh_err_param(&refused, "path");
    if (rc) fh_err_move(err, &refused);
    fh_err_free(refused);
    return rc;
}

fh_json *fh_import_dirs_json(const fh_server *s)
{
    fh_json *list = fh_json_new_array();
    fh_json_append(list, fh_json_new_cstr(s->default_import_dir));
    for (size_t i = 0; s->config->import_dirs && s->config->import_dirs[i]; i++)
        fh_json_append(list, fh_json_new_cstr(s->config->import_dirs[i]));
    return list;
}
