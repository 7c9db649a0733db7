/* Being measured (see examined.h). What holds: at most one piece of work at a time; the array lives from a PUT that was answered to the
 * POST after it, or for WORDS_KEPT_NS; whoever asked and is gone stops the work. */
#include "examined.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "json/json.h"
#include "memory_work.h"
#include "net/loop.h"
#include "net/secret.h"
#include "pool_private.h"
#include "sys/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PREFIX        FH_STR("/v1/measure/")
#define WORDS_KEPT_NS (FH_LIMIT_MEASURE_STEP_MS * FH_NS_PER_MS)
enum { PIECE_BYTES = 65536, JSON_BYTES = 1024 };
#define HUGE_PAGE ((size_t)2 << 20)

struct pool_examined {
    fh_loop *loop; /* borrowed */
    bool (*lends)(void *arg);
    void *arg;
    uint64_t *words; /* NULL: there is no array */
    size_t chunks;
    fh_timer *kept;
    /* the work */
    fh_link_req *asker; /* NULL: nobody waits for it */
    bool works, reads;  /* on the array: it is read, or made */
    int64_t seed, key;
    size_t passes;
    uint64_t *digests; /* a pass after the other */
    uint64_t last_key;
    fh_err *failed;
    _Atomic bool stops;
    pthread_t thread;
    int done_fd;
    fh_watch *done;
};

bool pool_examined_is(const fh_link_req *r)
{
    return fh_str_starts(fh_link_req_path(r), PREFIX);
}

static void refuse(fh_link_req *r, int status, const char *what)
{
    char text[160];
    int n = snprintf(text, sizeof text, "{\"detail\":\"%s\"}", what);
    fh_link_reply(r, status, "application/problem+json", text, (size_t)n);
}

/* ---- the link ---- */

static void drop_digest(void *arg)
{
    EVP_MD_CTX_free(arg);
}

static bool take_bytes(void *arg, const void *data, size_t bytes)
{
    EVP_DigestUpdate(arg, data, bytes);
    return true;
}

void pool_examined_head(fh_link_req *r)
{
    if (!fh_str_eqs(fh_link_req_method(r), "PUT") || !fh_str_eqs(fh_link_req_path(r), "/v1/measure/link")) return;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(digest);
        return; /* answered with an error */
    }
    fh_link_req_ctx_set(r, digest);
    fh_link_req_on_gone(r, drop_digest, digest);
    fh_link_req_on_data(r, take_bytes, digest);
}

/* That the bytes have come is shown by their digest. */
static void say_digest(fh_link_req *r)
{
    EVP_MD_CTX *digest = fh_link_req_ctx(r);
    uint8_t sum[32];
    char hex[65];
    if (!digest) {
        refuse(r, 503, "out of memory");
        return;
    }
    fh_link_req_on_gone(r, NULL, NULL);
    bool good = EVP_DigestFinal_ex(digest, sum, NULL) && fh_hex_encode(sum, sizeof sum, hex, sizeof hex);
    EVP_MD_CTX_free(digest);
    if (good)
        fh_link_reply(r, 200, "text/plain", hex, 64);
    else
        refuse(r, 500, "no digest");
}

typedef struct giving { /* of bytes that no line makes shorter */
    fh_link_req *r;
    size_t left;
    uint8_t piece[PIECE_BYTES];
} giving;

static void give_more(void *arg)
{
    giving *g = arg;
    bool more = true;
    while (g->left && more) {
        size_t n = FH_MIN(g->left, sizeof g->piece);
        g->left -= n;
        more = fh_link_reply_write(g->r, g->piece, n);
    }
    if (g->left) return;
    fh_link_req_on_gone(g->r, NULL, NULL);
    fh_link_reply_end(g->r);
    fh_free(g);
}

static void give(fh_link_req *r, fh_str count)
{
    uint64_t bytes;
    giving *g = NULL;
    if (!fh_str_u64(count, FH_LIMIT_MEASURE_LINK_BYTES, &bytes)) {
        refuse(r, 400, "no such number of bytes");
    } else if (!(g = fh_calloc(1, sizeof *g)) || fh_random_bytes(g->piece, sizeof g->piece, NULL)) {
        fh_free(g);
        refuse(r, 503, "out of memory");
    } else {
        g->r = r;
        g->left = bytes;
        fh_link_req_on_gone(r, fh_free, g);
        fh_link_reply_start(r, 200, "application/octet-stream");
        fh_link_reply_on_drain(r, give_more, g);
        give_more(g);
    }
}

/* ---- memory ---- */

static void forget_words(void *arg)
{
    pool_examined *x = arg;
    if (x->works) return;
    fh_free(fh_take(x->words));
}

static void make_share(fh_worker *w, void *arg)
{
    pool_examined *x = arg;
    size_t first, last;
    fh_worker_range(w, x->chunks, 1, &first, &last);
    for (size_t i = first; i < last && !atomic_load(&x->stops); i++) pool_chunk_make((uint64_t)x->seed, i, x->words + i * POOL_CHUNK_WORDS);
}

static void read_share(fh_worker *w, void *arg)
{
    pool_examined *x = arg;
    size_t first, last;
    uint64_t key = (uint64_t)x->key;
    fh_worker_range(w, x->chunks, 1, &first, &last);
    for (size_t pass = 0; pass < x->passes; pass++) {
        uint64_t *digests = x->digests + pass * x->chunks;
        for (size_t i = first; i < last && !atomic_load(&x->stops); i++)
            digests[i] = pool_chunk_digest(x->words + i * POOL_CHUNK_WORDS, key);
        fh_barrier(w);
        key = pool_next_key(key, digests, x->chunks);
    }
    if (w->index == 0) x->last_key = key;
}

static void *work(void *arg)
{
    pool_examined *x = arg;
    fh_pool *p = NULL;
    if (fh_pool_new(&p, 0, &x->failed) == 0) fh_pool_run(p, x->reads ? read_share : make_share, x);
    fh_pool_free(p);
    eventfd_write(x->done_fd, 1);
    return NULL;
}

static void say_digests(pool_examined *x, fh_link_req *r)
{
    char key[24];
    snprintf(key, sizeof key, "%llu", (unsigned long long)x->last_key);
    fh_link_reply_header(r, "x-last-key", key);
    fh_link_reply(r, 200, "application/octet-stream", x->digests, x->passes * x->chunks * sizeof *x->digests);
}

static void over(void *arg)
{
    pool_examined *x = arg;
    eventfd_t n;
    if (eventfd_read(x->done_fd, &n) != 0) return;
    fh_link_req *r = fh_take(x->asker);
    pthread_join(x->thread, NULL);
    x->works = false;
    if (r) fh_link_req_on_gone(r, NULL, NULL);
    if (r && x->failed)
        refuse(r, 503, "the work could not be done");
    else if (r && x->reads)
        say_digests(x, r);
    else if (r)
        fh_link_reply(r, 204, NULL, NULL, 0);
    bool goes_on = r && !x->failed && !x->reads;
    fh_err_free(fh_take(x->failed));
    fh_free(fh_take(x->digests));
    if (goes_on)
        fh_timer_start(x->kept, WORDS_KEPT_NS);
    else
        forget_words(x);
}

static void nobody_waits(void *arg)
{
    pool_examined *x = arg;
    x->asker = NULL;
    atomic_store(&x->stops, true);
}

static void begin(pool_examined *x, fh_link_req *r, bool reads)
{
    x->reads = reads;
    atomic_store(&x->stops, false);
    fh_timer_stop(x->kept);
    x->works = pthread_create(&x->thread, NULL, work, x) == 0;
    if (!x->works) {
        refuse(r, 503, "no thread could be started");
        return;
    }
    x->asker = r;
    fh_link_req_on_gone(r, nobody_waits, x);
}

static bool read_numbers(fh_str body, const char *a, int64_t *ret_a, const char *b, int64_t least_b, int64_t most_b, int64_t *ret_b)
{
    FH_AUTO(json) fh_json *o = NULL;
    return fh_json_parse(&o, body, JSON_BYTES, NULL) == 0 && fh_json_read_i64(o, a, true, 0, INT64_MAX, ret_a, NULL) == 0 &&
           fh_json_read_i64(o, b, true, least_b, most_b, ret_b, NULL) == 0;
}

static void make_words(pool_examined *x, fh_link_req *r)
{
    int64_t bytes;
    if (!read_numbers(fh_link_req_body(r), "seed", &x->seed, "bytes", POOL_CHUNK_BYTES, FH_LIMIT_MEASURE_MEMORY_BYTES, &bytes)) {
        refuse(r, 400, "no such work");
        return;
    }
    fh_free(fh_take(x->words));
    x->chunks = (size_t)bytes / POOL_CHUNK_BYTES;
    x->words = fh_alloc_aligned(HUGE_PAGE, x->chunks * POOL_CHUNK_BYTES);
    if (!x->words) {
        refuse(r, 503, "out of memory");
        return;
    }
    madvise(x->words, x->chunks * POOL_CHUNK_BYTES, MADV_HUGEPAGE); /* weights lie in huge pages too where the system grants them */
    begin(x, r, false);
}

static void read_words(pool_examined *x, fh_link_req *r)
{
    int64_t passes;
    if (!x->words || !read_numbers(fh_link_req_body(r), "key", &x->key, "passes", 1, FH_LIMIT_MEASURE_PASSES, &passes)) {
        refuse(r, 400, "no such work");
        return;
    }
    x->passes = (size_t)passes;
    x->digests = fh_calloc(x->passes * x->chunks, sizeof *x->digests);
    if (x->digests)
        begin(x, r, true);
    else
        refuse(r, 503, "out of memory");
    if (!x->works) fh_free(fh_take(x->digests));
}

/* ---- what is asked ---- */

void pool_examined_answer(pool_examined *x, fh_link_req *r)
{
    fh_str method = fh_link_req_method(r), what = fh_link_req_path(r), link = FH_STR("link/");
    what = (fh_str){what.ptr + PREFIX.len, what.len - PREFIX.len};
    bool memory = fh_str_eqs(what, "memory");
    if (fh_str_eqs(method, "PUT") && fh_str_eqs(what, "link"))
        say_digest(r);
    else if (fh_str_eqs(method, "GET") && fh_str_starts(what, link))
        give(r, (fh_str){what.ptr + link.len, what.len - link.len});
    else if (memory && (x->works || (x->lends && !x->lends(x->arg))))
        refuse(r, 503, "not now");
    else if (memory && fh_str_eqs(method, "PUT"))
        make_words(x, r);
    else if (memory && fh_str_eqs(method, "POST"))
        read_words(x, r);
    else
        refuse(r, 404, "there is nothing of that name to measure");
}

int pool_examined_new(pool_examined **ret, fh_loop *l, bool (*lends)(void *arg), void *arg, fh_err **err)
{
    pool_examined *x = fh_calloc(1, sizeof *x);
    if (!x) return fh_err_nomem(err);
    *x = (pool_examined){.loop = l, .lends = lends, .arg = arg, .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    int rc = x->done_fd < 0 ? fh_err_set(err, FH_E_INTERNAL, "no eventfd") : fh_watch_new(&x->done, l, x->done_fd, over, x, err);
    if (!rc) rc = fh_timer_new(&x->kept, l, forget_words, x, err);
    if (rc)
        pool_examined_free(x);
    else
        *ret = x;
    return rc;
}

void pool_examined_free(pool_examined *x)
{
    if (!x) return;
    atomic_store(&x->stops, true);
    if (x->works) pthread_join(x->thread, NULL);
    if (x->asker) fh_link_req_on_gone(x->asker, NULL, NULL);
    fh_watch_free(x->done);
    fh_timer_free(x->kept);
    if (x->done_fd >= 0) close(x->done_fd);
    fh_err_free(x->failed);
    fh_free(x->digests);
    fh_free(x->words);
    fh_free(x);
}
