/* What the engine's tests share: tiny models in a folder of their own, an engine on its batch thread, and requests that wait for their end.
 */
#ifndef FH_TEST_ENGINE_FIXTURE_H
#define FH_TEST_ENGINE_FIXTURE_H

#include "cmocka_all.h"
#include "base/limits.h"
#include "engine_private.h"
#include "pages.h"
#include "tiny_gguf.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[256];

static inline int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/fh-engine-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static inline const char *write_tiny(const tiny_gguf *t, const char *name)
{
    static char path[512], first[600];
    snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
    assert_true(tiny_gguf_write(t, path));
    tiny_gguf_path(t, path, 0, first, sizeof first);
    return first;
}

/* Of fh_engine_eval of a tiny model: arg is [positions][TINY_VOCAB]. */
static inline int keep_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    (void)err;
    memcpy((float *)arg + position * TINY_VOCAB, logits, TINY_VOCAB * sizeof *logits);
    return 0;
}

/* The tiny models of tests/engine/fixtures, one after another; NULL behind the last. */
static inline const char *write_tiny_case(size_t i, const char **ret_name)
{
    static const struct {
        const char *name, *architecture, *rope;
        tiny_type type;
        bool tied;
        uint32_t head_dim;
    } cases[] = {{"tiny-f32", "llama", NULL, TINY_F32, false, 0},           {"tiny-q8_0", "llama", NULL, TINY_Q8_0, false, 0},
                 {"tiny-q4_0", "llama", NULL, TINY_Q4_0, true, 0},          {"tiny-linear", "llama", "linear", TINY_F32, false, 0},
                 {"tiny-yarn", "llama", "yarn", TINY_F32, false, 0},        {"tiny-llama3", "llama", "llama3", TINY_F32, false, 0},
                 {"tiny-qwen2", "qwen2", NULL, TINY_Q8_0, true, 0},         {"tiny-qwen3", "qwen3", NULL, TINY_F32, false, 32},
                 {"tiny-qwen3moe", "qwen3moe", NULL, TINY_Q8_0, false, 32}, {"tiny-qwen3moe-shares", "qwen3moe", NULL, TINY_F32, true, 32}};
    if (i == sizeof cases / sizeof *cases) return NULL;
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = cases[i].type;
    t.tied = cases[i].tied;
    t.rope_scaling = cases[i].rope;
    t.architecture = cases[i].architecture;
    t.head_dim = cases[i].head_dim;
    t.shares_as_they_are = strcmp(cases[i].name, "tiny-qwen3moe-shares") == 0;
    *ret_name = cases[i].name;
    return write_tiny(&t, cases[i].name);
}

/* ---- the starter model ---- */

static inline const char *starter(void)
{
    static char path[1024];
    const char *given = getenv("FREEHOLD_STARTER_GGUF"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else if (cache && *cache)
        snprintf(path, sizeof path, "%s/freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/freehold/starter/SmolLM2-135M-Instruct.Q4_1.gguf", home ? home : "");
    if (access(path, R_OK) == 0) return path;
    print_message("# the starter model is not there: run tools/fetch-starter (looked for %s)\n", path);
    return NULL;
}

static inline void need_starter(void)
{
    if (FH_SANITIZED) print_message("# the starter model would take minutes with a sanitizer\n");
    if (FH_SANITIZED || !starter()) skip();
}

/* A macro, so that err is read after the call that sets it. */
#define no_error(call, err)                                                                                                                \
    do {                                                                                                                                   \
        int code_ = (call);                                                                                                                \
        if (code_) fail_msg("%d: %s", code_, fh_err_message(err));                                                                         \
    } while (0)

/* ---- an engine that runs on a thread of its own ---- */

typedef struct running {
    fh_engine_options options;
    fh_engine *engine;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int rc; /* 1 until open has ended */
} running;

static inline const char *engine_pages_wrong(const fh_engine *e)
{
    const fh_kv_seq *tables[FH_LIMIT_STREAMS];
    for (size_t i = 0; i < e->info.parallel; i++) tables[i] = &e->slots[i].kv;
    return pages_wrong(&e->model.kv, e->prefix, tables, e->info.parallel);
}

static inline void *running_main(void *arg)
{
    running *r = arg;
    fh_engine *e = NULL;
    int rc = fh_engine_open(&e, &r->options, NULL);
    pthread_mutex_lock(&r->lock);
    r->engine = e;
    r->rc = rc;
    pthread_cond_signal(&r->opened);
    pthread_mutex_unlock(&r->lock);
    if (rc == 0) fh_engine_run(e);
    const char *wrong = rc ? NULL : engine_pages_wrong(e);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    fh_engine_close(e);
    return NULL;
}

static inline void start_engine(running *r, const fh_engine_options *o)
{
    *r = (running){.options = *o, .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER, .rc = 1};
    assert_int_equal(pthread_create(&r->thread, NULL, running_main, r), 0);
    pthread_mutex_lock(&r->lock);
    while (r->rc == 1) pthread_cond_wait(&r->opened, &r->lock);
    pthread_mutex_unlock(&r->lock);
    assert_int_equal(r->rc, 0);
}

/* A tiny model of 8-bit weights; what else the options say is the caller's. */
static inline void start_tiny(running *r, fh_engine_options o, uint32_t context)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    t.type = TINY_Q8_0;
    t.context = context;
    o.model_path = write_tiny(&t, "tiny");
    o.threads = 2;
    start_engine(r, &o);
}

static inline void stop_engine(running *r)
{
    fh_engine_stop(r->engine);
    pthread_join(r->thread, NULL);
}

/* ---- a request, and what came of it ---- */

typedef struct asked {
    fh_gen *gen;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[65536];
    size_t length, pieces, tokens;
    fh_token ids[4096];
    size_t length_at[4097]; /* of text, when so many tokens had been told; 0 inside a piece */
    float logprobs[4096];
    bool ended;
    fh_gen_end end;
} asked;

static inline void asked_piece(void *arg, const fh_gen_piece *p)
{
    asked *a = arg;
    fh_str text = p->text;
    pthread_mutex_lock(&a->lock);
    assert_true(a->length + text.len < sizeof a->text);
    memcpy(a->text + a->length, text.ptr, text.len);
    a->length += text.len;
    a->text[a->length] = '\0';
    for (size_t i = 0; i < p->count; i++, a->tokens++) {
        a->ids[a->tokens] = p->ids[i];
        a->logprobs[a->tokens] = p->tokens ? p->tokens[i].logprob : 0;
    }
    a->length_at[a->tokens] = a->length;
    a->pieces++;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static inline void asked_end(void *arg, const fh_gen_end *end)
{
    asked *a = arg;
    pthread_mutex_lock(&a->lock);
    assert_false(a->ended);
    a->end = *end;
    a->ended = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static inline int ask(running *r, asked *a, fh_gen_request *q, fh_err **err)
{
    memset(a, 0, sizeof *a);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (!q->on_piece) q->on_piece = asked_piece;
    q->on_end = asked_end;
    q->arg = a;
    return fh_engine_submit(r->engine, q, &a->gen, err);
}

static inline void wait_end(asked *a)
{
    pthread_mutex_lock(&a->lock);
    while (!a->ended) pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
    fh_gen_release(a->gen);
    a->gen = NULL;
}

static inline void answer(running *r, asked *a, const fh_gen_request *q)
{
    fh_gen_request own = *q;
    fh_err *err = NULL;
    no_error(ask(r, a, &own, &err), err);
    wait_end(a);
}

static inline void wait_pieces(asked *a, size_t pieces)
{
    pthread_mutex_lock(&a->lock);
    while (!a->ended && a->pieces < pieces) pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

/* Holds the batch thread at the first piece beyond so many, so that who comes now waits. */
typedef struct gate {
    asked a;
    atomic_size_t beyond;
} gate;

static inline void wait_at_gate(void *arg, const fh_gen_piece *p)
{
    gate *g = arg;
    asked_piece(&g->a, p);
    while (g->a.pieces > atomic_load(&g->beyond)) usleep(1000);
}

/* Greedy, 16 tokens, logprobs so that ids are seen; end tokens do not end it. */
static inline fh_gen_request request_of(const fh_token *ids, size_t count)
{
    fh_gen_request q = {.tokens = ids, .token_count = count, .max_tok = 16, .ignore_eos = true, .logprobs = true, .top_logprobs = 2};
    fh_sample_params_default(&q.sample);
    q.sample.temperature = 0;
    return q;
}

#endif
