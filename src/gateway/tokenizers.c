/* Tokenizers, and the thread that loads them and counts by them (see gateway/tokenizers.h, count.h).
 *
 * What holds: jobs are done one after another in the order that they came, so that a prompt is counted before its answer. The table, the
 * list of jobs and what a count is to do at its end are the lock's; what a job reads and writes of its count is the thread's from being
 * put to being done. All counts and loads stand in lists, so that one whose loop has gone is ended at last. */
#include "count_prompt.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct file { /* one tokenizer; lock, but for what is made once by the thread */
    uint64_t id;
    size_t users; /* who named it, and counts that go on */
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
    char name[128];
    fh_tokenizer tokenizer;
} file;

typedef enum job_kind { LOAD, PROMPT, ANSWER } job_kind;

typedef struct job {
    struct job *next;
    job_kind kind;
    fh_count *count; /* PROMPT, ANSWER */
    struct loading *loading;
    size_t bytes;
} job;

typedef struct loading {
    fh_tokenizers *t;
    struct loading *next, *previous; /* of those whose end was not told */
    int fd;
    uint64_t id;
    char name[128];
    fh_loop *loop;
    fh_tokenizer_loaded *done;
    void *arg;
    fh_err *why; /* owned */
} loading;

struct fh_count {
    fh_tokenizers *t;
    fh_count *next, *previous; /* of all */
    file *file;
    unsigned users; /* who began it; jobs; a post to a loop */
    bool chat;
    char *request; /* owned; until it was counted */
    size_t request_bytes;
    fh_heard heard;
    fh_count_result result;
    bool failed, done, left;
    fh_loop *loop;
    fh_count_done *fn;
    void *arg;
};

struct fh_tokenizers {
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    pthread_t thread;
    bool has_thread, stop, busy, no_loads;
    job *first, **last;
    size_t waiting, waiting_bytes;
    file *files[FH_LIMIT_TOKENIZERS];
    uint64_t last_id;
    fh_count *counts;
    loading *loads;
};

/* ---- the table; with the lock ---- */

static file **find(fh_tokenizers *t, uint64_t id)
{
    for (size_t i = 0; id && i < FH_LIMIT_TOKENIZERS; i++)
        if (t->files[i] && t->files[i]->id == id) return &t->files[i];
    return NULL;
}

static file **find_same(fh_tokenizers *t, const struct stat *st, const char *name)
{
    for (size_t i = 0; i < FH_LIMIT_TOKENIZERS; i++) {
        const file *f = t->files[i];
        if (f && f->device == st->st_dev && f->inode == st->st_ino && f->bytes == st->st_size && f->changed.tv_sec == st->st_mtim.tv_sec &&
            f->changed.tv_nsec == st->st_mtim.tv_nsec && strcmp(f->name, name) == 0)
            return &t->files[i];
    }
    return NULL;
}

static void leave_file(fh_tokenizers *t, uint64_t id)
{
    file **at = find(t, id);
    if (!at || --(*at)->users) return;
    fh_tokenizer_fini(&(*at)->tokenizer);
    fh_free(*at);
    *at = NULL;
}

/* ---- jobs ---- */

/* With the lock. */
static void put_job(fh_tokenizers *t, job *j)
{
    *t->last = j;
    t->last = &j->next;
    t->waiting++;
    t->waiting_bytes += j->bytes;
    pthread_cond_signal(&t->wake);
}

static bool has_room(const fh_tokenizers *t, size_t bytes)
{
    return t->waiting < FH_LIMIT_COUNTS_WAITING && t->waiting_bytes + bytes <= FH_LIMIT_COUNTS_WAITING_BYTES;
}

/* With the lock. */
static void count_unref(fh_count *c)
{
    if (--c->users) return;
    *(c->previous ? &c->previous->next : &c->t->counts) = c->next;
    if (c->next) c->next->previous = c->previous;
    leave_file(c->t, c->file->id);
    fh_heard_fini(&c->heard);
    fh_free(c->request);
    fh_free(c);
}

/* ---- loading; on the thread ---- */

static int open_file(const loading *l, fh_tokenizer *ret, fh_err **err)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", l->fd);
    return fh_tokenizer_open(ret, path, l->name, err);
}

/* With the lock. */
static int keep_file(loading *l, const struct stat *st, fh_tokenizer *taken, fh_err **err)
{
    fh_tokenizers *t = l->t;
    size_t i = 0;
    while (i < FH_LIMIT_TOKENIZERS && t->files[i]) i++;
    file *f = i < FH_LIMIT_TOKENIZERS ? fh_calloc(1, sizeof *f) : NULL;
    if (!f) {
        fh_tokenizer_fini(taken);
        if (i < FH_LIMIT_TOKENIZERS) return fh_err_nomem(err);
        return fh_err_set(err, FH_E_CONFLICT, "there are %d tokenizers already, which is the most", FH_LIMIT_TOKENIZERS);
    }
    *f = (file){.id = ++t->last_id,
                .users = 1,
                .device = st->st_dev,
                .inode = st->st_ino,
                .bytes = st->st_size,
                .changed = st->st_mtim,
                .tokenizer = *taken};
    snprintf(f->name, sizeof f->name, "%s", l->name);
    t->files[i] = f;
    l->id = f->id;
    return 0;
}

static int load(loading *l, fh_err **err)
{
    struct stat st;
    fh_tokenizer made;
    if (fstat(l->fd, &st) != 0) return fh_err_set(err, FH_E_IO, "cannot look at %s", l->name);
    pthread_mutex_lock(&l->t->lock);
    file **same = find_same(l->t, &st, l->name);
    if (same) {
        (*same)->users++;
        l->id = (*same)->id;
    }
    pthread_mutex_unlock(&l->t->lock);
    if (same) return 0;
    int rc = open_file(l, &made, err);
    if (rc) return rc;
    pthread_mutex_lock(&l->t->lock);
    rc = keep_file(l, &st, &made, err);
    pthread_mutex_unlock(&l->t->lock);
    return rc;
}

static void loading_free(loading *l)
{
    if (!l) return;
    if (l->fd >= 0) close(l->fd);
    fh_err_free(l->why);
    fh_free(l);
}

/* With the lock. */
static void unlist(loading *l)
{
    *(l->previous ? &l->previous->next : &l->t->loads) = l->next;
    if (l->next) l->next->previous = l->previous;
}

static void tell_loaded(void *arg)
{
    loading *l = arg;
    pthread_mutex_lock(&l->t->lock);
    unlist(l);
    pthread_mutex_unlock(&l->t->lock);
    l->done(l->arg, l->id, l->why);
    loading_free(l);
}

/* One that is not told of, because its loop has ended or memory is out, stays in the list. */
static void do_load(loading *l)
{
    pthread_mutex_lock(&l->t->lock);
    bool wanted = !l->t->no_loads;
    pthread_mutex_unlock(&l->t->lock);
    if (!wanted) return;
    load(l, &l->why);
    fh_loop_post(l->loop, tell_loaded, l);
}

static loading *take_load(fh_tokenizers *t)
{
    pthread_mutex_lock(&t->lock);
    loading *l = t->loads;
    if (l) {
        unlist(l);
        leave_file(t, l->id);
    }
    pthread_mutex_unlock(&t->lock);
    return l;
}

void fh_tokenizers_stop_loading(fh_tokenizers *t)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->no_loads = true;
    pthread_mutex_unlock(&t->lock);
    fh_tokenizers_settle(t);
    fh_err_set(&err, FH_E_UNAVAILABLE, "the server stops");
    for (loading *l; (l = take_load(t)) != NULL; loading_free(l)) l->done(l->arg, 0, err);
}

/* ---- counting; on the thread ---- */

static void do_prompt(fh_count *c)
{
    c->failed |= fh_count_prompt(&c->file->tokenizer, c->chat, (fh_str){c->request, c->request_bytes}, &c->result, NULL) != 0;
    fh_free(c->request);
    c->request = NULL;
}

static void tell_counted(void *arg)
{
    fh_count *c = arg;
    if (!c->left) c->fn(c->arg, c);
    fh_tokenizers *t = c->t;
    pthread_mutex_lock(&t->lock);
    count_unref(c);
    pthread_mutex_unlock(&t->lock);
}

/* With the lock, which it gives away meanwhile. */
static void tell(fh_count *c)
{
    fh_count_done *fn = c->fn;
    void *arg = c->arg;
    if (!fn) return;
    if (c->loop) {
        c->users++;
        if (!fh_loop_post(c->loop, tell_counted, c)) c->users--;
        return;
    }
    c->fn = NULL;
    pthread_mutex_unlock(&c->t->lock);
    fn(arg, c);
    pthread_mutex_lock(&c->t->lock);
}

static void do_answer(fh_count *c)
{
    c->failed = c->failed || fh_count_heard(&c->file->tokenizer, &c->heard, &c->result.completion_tok, NULL) != 0;
    fh_heard_fini(&c->heard);
    pthread_mutex_lock(&c->t->lock);
    c->done = true;
    tell(c);
    pthread_mutex_unlock(&c->t->lock);
}

static void do_job(fh_tokenizers *t, job *j)
{
    if (j->kind == LOAD) do_load(j->loading);
    if (j->kind == PROMPT) do_prompt(j->count);
    if (j->kind == ANSWER) do_answer(j->count);
    if (!j->count) return;
    pthread_mutex_lock(&t->lock);
    count_unref(j->count);
    pthread_mutex_unlock(&t->lock);
}

static void *run(void *arg)
{
    fh_tokenizers *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!t->stop || t->first) {
        job *j = t->first;
        if (!j) {
            pthread_cond_broadcast(&t->idle);
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        t->first = j->next;
        if (!t->first) t->last = &t->first;
        t->busy = true;
        pthread_mutex_unlock(&t->lock);
        do_job(t, j);
        pthread_mutex_lock(&t->lock);
        t->busy = false;
        t->waiting--;
        t->waiting_bytes -= j->bytes;
        fh_free(j);
    }
    pthread_cond_broadcast(&t->idle);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

/* ---- opening and closing ---- */

int fh_tokenizers_new(fh_tokenizers **ret, fh_err **err)
{
    FH_AUTO(fh_tokenizers) fh_tokenizers *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->idle, NULL);
    t->last = &t->first;
    t->has_thread = pthread_create(&t->thread, NULL, run, t) == 0;
    if (!t->has_thread) return fh_err_set(err, FH_E_BUSY, "cannot start the thread that counts tokens");
    *ret = fh_take(t);
    return 0;
}

void fh_tokenizers_settle(fh_tokenizers *t)
{
    pthread_mutex_lock(&t->lock);
    while (t->has_thread && (t->first || t->busy)) pthread_cond_wait(&t->idle, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

static void free_all(fh_tokenizers *t)
{
    while (t->counts) {
        t->counts->users = 1;
        count_unref(t->counts);
    }
    for (loading *l; (l = take_load(t)) != NULL;) loading_free(l);
    for (size_t i = 0; i < FH_LIMIT_TOKENIZERS; i++) {
        if (t->files[i]) fh_tokenizer_fini(&t->files[i]->tokenizer);
        fh_free(t->files[i]);
    }
}

void fh_tokenizers_free(fh_tokenizers *t)
{
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->stop = t->no_loads = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    if (t->has_thread) pthread_join(t->thread, NULL);
    free_all(t);
    pthread_cond_destroy(&t->wake);
    pthread_cond_destroy(&t->idle);
    pthread_mutex_destroy(&t->lock);
    fh_free(t);
}

int fh_tokenizers_load(fh_tokenizers *t, int fd, const char *name, fh_loop *loop, fh_tokenizer_loaded *done, void *arg, fh_err **err)
{
    loading *l = fh_calloc(1, sizeof *l);
    job *j = fh_calloc(1, sizeof *j);
    if (!l || !j) {
        fh_free(l);
        fh_free(j);
        close(fd);
        return fh_err_nomem(err);
    }
    *l = (loading){.t = t, .fd = fd, .loop = loop, .done = done, .arg = arg};
    snprintf(l->name, sizeof l->name, "%s", name);
    *j = (job){.kind = LOAD, .loading = l};
    pthread_mutex_lock(&t->lock);
    l->next = t->loads;
    if (l->next) l->next->previous = l;
    t->loads = l;
    put_job(t, j);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

void fh_tokenizers_join(fh_tokenizers *t, uint64_t id)
{
    pthread_mutex_lock(&t->lock);
    file **at = find(t, id);
    if (at) (*at)->users++;
    pthread_mutex_unlock(&t->lock);
}

void fh_tokenizers_leave(fh_tokenizers *t, uint64_t id)
{
    pthread_mutex_lock(&t->lock);
    leave_file(t, id);
    pthread_mutex_unlock(&t->lock);
}

/* ---- counts ---- */

static char *text_of(const fh_wire_request *request, size_t *ret_bytes)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 2u);
    return fh_json_write(request->doc, &text, NULL) == 0 ? fh_buf_take(&text, ret_bytes) : NULL;
}

/* With the lock: in the list of all, with its first job. */
static bool enlist(fh_tokenizers *t, fh_count *c, job *j, uint64_t tokenizer)
{
    file **at = find(t, tokenizer);
    if (!at || !has_room(t, c->request_bytes)) return false;
    c->file = *at;
    c->file->users++;
    c->next = t->counts;
    if (c->next) c->next->previous = c;
    t->counts = c;
    *j = (job){.kind = PROMPT, .count = c, .bytes = c->request_bytes};
    put_job(t, j);
    return true;
}

fh_count *fh_count_begin(fh_tokenizers *t, uint64_t tokenizer, const fh_wire_request *request)
{
    fh_count *c = fh_calloc(1, sizeof *c);
    job *j = fh_calloc(1, sizeof *j);
    bool good = c && j;
    if (good) {
        *c = (fh_count){.t = t, .users = 2, .chat = request->kind == FH_WIRE_CHAT};
        c->request = text_of(request, &c->request_bytes);
        good = c->request != NULL;
    }
    if (good) {
        pthread_mutex_lock(&t->lock);
        good = enlist(t, c, j, tokenizer);
        pthread_mutex_unlock(&t->lock);
    }
    if (good) return c;
    if (c) fh_free(c->request);
    fh_free(c);
    fh_free(j);
    return NULL;
}

bool fh_count_uses(const fh_count *c, uint64_t tokenizer)
{
    return c->file->id == tokenizer;
}

bool fh_count_answer(fh_count *c, fh_heard *heard)
{
    fh_tokenizers *t = c->t;
    job *j = heard->lost ? NULL : fh_calloc(1, sizeof *j);
    if (!j) return false;
    pthread_mutex_lock(&t->lock);
    bool fits = has_room(t, heard->bytes);
    if (fits) {
        c->heard = *heard;
        c->users++;
        *j = (job){.kind = ANSWER, .count = c, .bytes = heard->bytes};
        put_job(t, j);
    }
    pthread_mutex_unlock(&t->lock);
    if (fits)
        *heard = (fh_heard){.bytes = 0};
    else
        fh_free(j);
    return fits;
}

void fh_count_then(fh_count *c, fh_loop *loop, fh_count_done *fn, void *arg)
{
    pthread_mutex_lock(&c->t->lock);
    c->loop = loop;
    c->fn = fn;
    c->arg = arg;
    if (c->done) tell(c);
    pthread_mutex_unlock(&c->t->lock);
}

bool fh_count_get(const fh_count *c, fh_count_result *ret)
{
    pthread_mutex_lock(&c->t->lock);
    bool good = c->done && !c->failed;
    if (good) *ret = c->result;
    pthread_mutex_unlock(&c->t->lock);
    return good;
}

void fh_count_leave(fh_count *c)
{
    if (!c) return;
    fh_tokenizers *t = c->t;
    pthread_mutex_lock(&t->lock);
    if (c->loop) c->fn = NULL;
    c->left = true;
    count_unref(c);
    pthread_mutex_unlock(&t->lock);
}
