/* Measuring machines (see examiner.h). What holds: a step has one ask under way; the next begins when it was answered. */
#include "examiner.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "memory_work.h"
#include "net/secret.h"
#include "pool_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TICK_NS (50 * FH_NS_PER_MS)
#define REST_NS FH_NS_PER_S       /* between two looks while none is measured */
#define FAST_NS (FH_NS_PER_S / 2) /* a link, or memory, that took less is measured with more bytes */
#define READ_NS (FH_NS_PER_S / 2) /* that reading is to take, by how fast the first passes were */
#define REPORT  1                 /* the stream of its reports is always open */
enum { ROUND_TRIPS = 4, PASSES_FIRST = 4, CHECKED = 16, MEMORY_PART = 16, CODE_GONE = 404 };

typedef enum step { ROUND_TRIP, SEND_FIRST, SEND, TAKE_FIRST, TAKE, MAKE, READ, STEPS } step;

struct pool_exam {
    pool_examiner *of;
    pool_exam *next;
    fh_link *link;
    int64_t node, due_ns; /* when it begins */
    int64_t claimed_bytes_s;
    size_t memory_bytes; /* of its array */
    fh_node_measured known, now;
    bool goes;
    fh_link_ask *ask;
    step at;
    int64_t began_ns, took_ns; /* of the step */
    unsigned round_trips;
    size_t left; /* to send */
    uint64_t random;
    EVP_MD_CTX *sent;
    size_t taken;
    uint64_t seed, key, last_key;
    size_t passes;
};

struct pool_examiner {
    fh_loop *loop;
    int64_t (*now)(void);
    pool_measured_fn *fn;
    void *arg;
    pool_exam *first;
    size_t going;
    fh_timer *tick;
};

static void begin_step(pool_exam *x);

/* ---- the end of one ---- */

static void pause_exam(pool_exam *x, int64_t ms)
{
    if (x->ask) fh_link_ask_cancel(fh_take(x->ask));
    EVP_MD_CTX_free(fh_take(x->sent));
    x->of->going -= x->goes;
    x->goes = false;
    x->due_ns = fh_clock_mono_ns() + ms * FH_NS_PER_MS;
}

static void tell(pool_exam *x)
{
    x->now.at_utc_ns = x->of->now();
    x->now.claimed_bytes_s = x->claimed_bytes_s;
    x->known = x->now;
    x->of->fn(x->of->arg, x->node, &x->known);
}

static void next_step(pool_exam *x)
{
    if (++x->at == MAKE) tell(x); /* the link is known, whatever comes of the rest */
    if (x->at == MAKE && x->memory_bytes < POOL_CHUNK_BYTES) x->at = STEPS;
    if (x->at < STEPS) {
        begin_step(x);
        return;
    }
    pause_exam(x, FH_LIMIT_MEASURE_AGAIN_MS);
}

/* ---- the link ---- */

static int64_t rate(size_t bytes, int64_t ns)
{
    return (int64_t)((double)bytes * FH_NS_PER_S / (double)FH_MAX(ns, (int64_t)1));
}

static int64_t without_round_trip(const pool_exam *x)
{
    return FH_MAX(x->took_ns - x->now.round_trip_us * 1000, x->took_ns / 8);
}

static size_t bytes_of(const pool_exam *x)
{
    return x->at == SEND_FIRST || x->at == TAKE_FIRST ? FH_LIMIT_MEASURE_FIRST_BYTES : FH_LIMIT_MEASURE_LINK_BYTES;
}

/* Bytes that only who gets them knows (xorshift64*, Vigna 2016, of a random seed). */
static ssize_t make_bytes(void *arg, void *out, size_t size)
{
    pool_exam *x = arg;
    size_t n = FH_MIN(size, x->left);
    for (size_t i = 0; i < n; i += 8) {
        x->random ^= x->random >> 12;
        x->random ^= x->random << 25;
        x->random ^= x->random >> 27;
        uint64_t word = x->random * UINT64_C(0x2545f4914f6cdd1d);
        memcpy((char *)out + i, &word, FH_MIN(n - i, sizeof word));
    }
    EVP_DigestUpdate(x->sent, out, n);
    x->left -= n;
    return (ssize_t)n;
}

static bool take_bytes(void *arg, const void *data, size_t bytes)
{
    (void)data;
    ((pool_exam *)arg)->taken += bytes;
    return true;
}

static bool has_come(pool_exam *x, fh_str said)
{
    uint8_t sum[32];
    char hex[65];
    bool good = EVP_DigestFinal_ex(x->sent, sum, NULL) && fh_hex_encode(sum, sizeof sum, hex, sizeof hex);
    EVP_MD_CTX_free(fh_take(x->sent));
    return good && fh_str_eqs(said, hex);
}

/* A slow one is not measured with more. */
static void link_step_over(pool_exam *x)
{
    bool first = x->at == SEND_FIRST || x->at == TAKE_FIRST;
    int64_t *to = x->at == SEND_FIRST || x->at == SEND ? &x->now.to_bytes_s : &x->now.from_bytes_s;
    *to = rate(bytes_of(x), without_round_trip(x));
    if (first && x->took_ns > FAST_NS) x->at++;
    next_step(x);
}

static void round_trip_over(pool_exam *x)
{
    int64_t us = FH_MAX(x->took_ns / 1000, (int64_t)1);
    x->now.round_trip_us = x->round_trips ? FH_MIN(x->now.round_trip_us, us) : us;
    if (++x->round_trips < ROUND_TRIPS)
        begin_step(x);
    else
        next_step(x);
}

/* ---- memory ---- */

static size_t chunks_of(const pool_exam *x)
{
    return x->memory_bytes / POOL_CHUNK_BYTES;
}

/* The key that a pass had: made of all digests before. */
static uint64_t key_of(const pool_exam *x, const uint64_t *digests, size_t pass)
{
    uint64_t key = x->key;
    for (size_t i = 0; i < pass; i++) key = pool_next_key(key, digests + i * chunks_of(x), chunks_of(x));
    return key;
}

static bool check_one(const pool_exam *x, const uint64_t *digests, uint64_t *words)
{
    uint64_t drawn[2];
    if (fh_random_bytes(drawn, sizeof drawn, NULL)) return false;
    size_t pass = drawn[0] % x->passes, chunk = drawn[1] % chunks_of(x);
    pool_chunk_make(x->seed, chunk, words);
    return pool_chunk_digest(words, key_of(x, digests, pass)) == digests[pass * chunks_of(x) + chunk];
}

static bool was_done(const pool_exam *x, fh_str body)
{
    size_t count = x->passes * chunks_of(x);
    FH_AUTO(ptr) uint64_t *digests = fh_alloc(count * sizeof *digests + POOL_CHUNK_BYTES);
    if (!digests || body.len != count * sizeof *digests) return false;
    memcpy(digests, body.ptr, body.len);
    bool good = key_of(x, digests, x->passes) == x->last_key;
    for (int i = 0; good && i < CHECKED; i++) good = check_one(x, digests, digests + count);
    return good;
}

/* As long as READ_NS, at the speed that was measured. */
static size_t more_passes(const pool_exam *x)
{
    double wanted = (double)x->now.memory_bytes_s * ((double)READ_NS / FH_NS_PER_S) / (double)x->memory_bytes;
    return (size_t)FH_MIN(wanted, (double)FH_LIMIT_MEASURE_PASSES);
}

/* How often it is read is never by what the machine claims: one that claims too much would not be done in time, and be believed. */
static void read_over(pool_exam *x, fh_str body)
{
    bool first = x->passes == PASSES_FIRST;
    x->now.wrong = !was_done(x, body);
    x->now.memory_bytes_s = x->now.wrong ? 0 : rate(x->passes * chunks_of(x) * POOL_CHUNK_BYTES, without_round_trip(x));
    if (x->now.wrong) fh_log(FH_LOG_WARN, "pool", "node=%" PRId64 " did not do the work by which its memory is measured", x->node);
    tell(x); /* whatever comes of more */
    if (first && !x->now.wrong && x->took_ns < FAST_NS && more_passes(x) > PASSES_FIRST) {
        x->passes = more_passes(x);
        x->at = MAKE;
        begin_step(x);
    } else {
        next_step(x);
    }
}

/* The digests are named by the head: whatever is done after it does not help. */
static void on_headers(void *arg, int status, const fh_header *headers, size_t count)
{
    pool_exam *x = arg;
    if (x->at != READ) return;
    x->took_ns = fh_clock_mono_ns() - x->began_ns;
    if (status != 200 || !fh_str_u64(fh_headers_find(headers, count, "x-last-key"), UINT64_MAX, &x->last_key)) x->last_key = 0;
}

/* ---- a step ---- */

static void on_done(void *arg, int status, fh_str body, const fh_err *err)
{
    pool_exam *x = arg;
    x->ask = NULL;
    if (x->at != READ) x->took_ns = fh_clock_mono_ns() - x->began_ns;
    bool sends = x->at == SEND_FIRST || x->at == SEND, takes = x->at == TAKE_FIRST || x->at == TAKE;
    if (err || status < 200 || status > 299 || (sends && !has_come(x, body)) || (takes && x->taken != bytes_of(x)))
        pause_exam(x, status == CODE_GONE ? FH_LIMIT_MEASURE_AGAIN_MS : FH_LIMIT_MEASURE_RETRY_MS);
    else if (x->at == ROUND_TRIP)
        round_trip_over(x);
    else if (sends || takes)
        link_step_over(x);
    else if (x->at == READ)
        read_over(x, body);
    else
        next_step(x);
}

static bool prepare_send(pool_exam *x)
{
    EVP_MD_CTX_free(fh_take(x->sent));
    x->sent = EVP_MD_CTX_new();
    x->left = bytes_of(x);
    return x->sent && EVP_DigestInit_ex(x->sent, EVP_sha256(), NULL) && fh_random_bytes(&x->random, sizeof x->random, NULL) == 0 &&
           x->random;
}

static bool draw(uint64_t *ret)
{
    bool good = fh_random_bytes(ret, sizeof *ret, NULL) == 0;
    *ret &= INT64_MAX;
    return good;
}

static bool start(pool_exam *x, fh_link_ask_spec *s)
{
    char body[96] = "", path[64] = "/v1/measure/memory";
    bool good = true;
    if (x->at == ROUND_TRIP || x->at == TAKE_FIRST || x->at == TAKE) {
        snprintf(path, sizeof path, "/v1/measure/link/%zu", x->at == ROUND_TRIP ? (size_t)0 : bytes_of(x));
        s->method = "GET";
        s->on_data = take_bytes;
    } else if (x->at == SEND_FIRST || x->at == SEND) {
        snprintf(path, sizeof path, "/v1/measure/link");
        good = prepare_send(x);
        s->read = make_bytes;
    } else if (x->at == MAKE) {
        good = draw(&x->seed);
        snprintf(body, sizeof body, "{\"seed\":%" PRIu64 ",\"bytes\":%zu}", x->seed, chunks_of(x) * POOL_CHUNK_BYTES);
    } else {
        good = draw(&x->key);
        s->method = "POST";
        s->on_headers = on_headers;
        snprintf(body, sizeof body, "{\"key\":%" PRIu64 ",\"passes\":%zu}", x->key, x->passes);
    }
    s->path = path;
    s->body = fh_str_of(body);
    x->taken = 0;
    x->began_ns = fh_clock_mono_ns();
    return good && fh_link_ask_start(&x->ask, x->link, s, NULL) == 0;
}

static void begin_step(pool_exam *x)
{
    fh_link_ask_spec s = {.method = "PUT", .total_timeout_ns = FH_LIMIT_MEASURE_STEP_MS * FH_NS_PER_MS, .on_done = on_done, .arg = x};
    if (!start(x, &s)) pause_exam(x, FH_LIMIT_MEASURE_RETRY_MS);
}

/* ---- when ---- */

static void begin(pool_exam *x)
{
    x->goes = true;
    x->of->going++;
    x->at = ROUND_TRIP;
    x->round_trips = 0;
    x->passes = PASSES_FIRST;
    x->now = (fh_node_measured){.memory_bytes_s = x->known.memory_bytes_s, .wrong = x->known.wrong};
    begin_step(x);
}

static void tick(void *arg)
{
    pool_examiner *e = arg;
    int64_t now = fh_clock_mono_ns();
    for (pool_exam *x = e->first; x; x = x->next) {
        size_t open = fh_link_streams(x->link);
        if (x->goes && open > REPORT + 1)
            pause_exam(x, FH_LIMIT_MEASURE_RETRY_MS);
        else if (!x->goes && now >= x->due_ns && open <= REPORT && e->going < FH_LIMIT_MEASURES)
            begin(x);
    }
    fh_timer_start(e->tick, e->going ? TICK_NS : REST_NS);
}

static int64_t claimed(const fh_json *facts, const char *name)
{
    return FH_MAX(fh_json_int(fh_json_get(facts, name), 0), (int64_t)0);
}

pool_exam *pool_exam_begin(pool_examiner *e, fh_link *l, int64_t node, const fh_json *facts, const fh_node_measured *m)
{
    pool_exam *x = fh_calloc(1, sizeof *x);
    if (!x) return NULL;
    int64_t speed = claimed(facts, "memory_read_bytes_per_s");
    bool known = m->at_utc_ns && m->claimed_bytes_s == speed;
    int64_t age_ms = known ? FH_MAX(e->now() - m->at_utc_ns, (int64_t)0) / FH_NS_PER_MS : FH_LIMIT_MEASURE_AGAIN_MS;
    int64_t wait_ms = FH_MAX(FH_LIMIT_MEASURE_AGAIN_MS - age_ms, (int64_t)FH_LIMIT_MEASURE_SETTLE_MS);
    size_t most = (size_t)claimed(facts, "memory_free_bytes") / MEMORY_PART;
    *x = (pool_exam){.of = e,
                     .next = e->first,
                     .link = l,
                     .node = node,
                     .due_ns = fh_clock_mono_ns() + wait_ms * FH_NS_PER_MS,
                     .claimed_bytes_s = speed,
                     .memory_bytes = FH_MIN(most, (size_t)FH_LIMIT_MEASURE_MEMORY_BYTES),
                     .known = *m};
    e->first = x;
    return x;
}

void pool_exam_end(pool_exam *x)
{
    if (!x) return;
    pool_exam **at = &x->of->first;
    pause_exam(x, 0);
    while (*at != x) at = &(*at)->next;
    *at = x->next;
    fh_free(x);
}

int pool_examiner_new(pool_examiner **ret, fh_loop *l, int64_t (*now_utc_ns)(void), pool_measured_fn *fn, void *arg, fh_err **err)
{
    pool_examiner *e = fh_calloc(1, sizeof *e);
    if (!e) return fh_err_nomem(err);
    *e = (pool_examiner){.loop = l, .now = now_utc_ns, .fn = fn, .arg = arg};
    int rc = fh_timer_new(&e->tick, l, tick, e, err);
    if (rc) {
        fh_free(e);
        return rc;
    }
    fh_timer_start(e->tick, REST_NS);
    *ret = e;
    return 0;
}

void pool_examiner_free(pool_examiner *e)
{
    if (!e) return;
    fh_timer_free(e->tick);
    fh_free(e);
}
