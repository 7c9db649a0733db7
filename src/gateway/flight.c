/* Flights (see flight.h). What holds under the lock: a flight in the table is whole and can be joined; log holds the bytes from base on,
 * and no follower that is not lost stands before base; a flight goes when its last seat is left. */
#include "flight.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include <pthread.h>
#include <stdio.h>

#define LOG_MAX (5u * (size_t)FH_LIMIT_JSON_BODY_BYTES) /* an answer, and the largest event behind it */

typedef struct fh_seat_port { /* a loop's: seats to be woken there */
    fh_flights *table;
    fh_loop *loop;
    fh_seat *first, *last;
    bool posted;
} seat_port;

struct fh_flights {
    fh_flights_config config; /* the array of loops is not kept */
    pthread_mutex_t lock;
    seat_port *ports;
    size_t port_count;
    fh_map *map; /* key -> flight */
    fh_cache *cache;
    size_t flights, bytes;
    uint64_t cut_loose;
};

struct fh_flight {
    fh_flights *table;
    uint8_t key[FH_ANSWER_KEY_BYTES];
    char owner[16];
    fh_seat *leader, *first, *last; /* followers, the longest there first */
    size_t followers;
    fh_answer_head head;
    fh_buf log;
    size_t base;                                        /* bytes that were before log */
    fh_used used;                                       /* by the call */
    uint64_t charged_tok;                               /* of it, to those who left */
    bool listed, whole, started, ended, paused, broken; /* listed: in the table; broken: no memory for it */
    fh_flight_end end;
};

void fh_flights_defaults(fh_flights_config *c)
{
    c->cache = (fh_cache_bounds){FH_LIMIT_CACHE_BYTES, FH_LIMIT_CACHE_ENTRIES, FH_LIMIT_CACHE_KEPT_MS * FH_NS_PER_MS};
    c->answer_bytes = FH_LIMIT_CACHE_ANSWER_BYTES;
    c->flights = FH_LIMIT_FLIGHTS;
    c->bytes = FH_LIMIT_FLIGHT_BYTES;
    c->lead_bytes = FH_LIMIT_HTTP_OUT_BUFFER_BYTES;
}

static void unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

/* Held until the end of the scope. */
#define HOLD(table)                                                                                                                        \
    __attribute__((cleanup(unlock))) pthread_mutex_t *held_ = &(table)->lock;                                                              \
    pthread_mutex_lock(held_)

/* ---- waking ---- */

static void unready(fh_seat *s)
{
    seat_port *p = s->port;
    if (!s->ready) return;
    *(s->ready_previous ? &s->ready_previous->ready_next : &p->first) = s->ready_next;
    *(s->ready_next ? &s->ready_next->ready_previous : &p->last) = s->ready_previous;
    s->ready_next = s->ready_previous = NULL;
    s->ready = false;
}

/* The next of those that were ready when the run began; NULL at its end. */
static fh_seat *next_ready(seat_port *p, size_t *left)
{
    HOLD(p->table);
    fh_seat *s = *left ? p->first : NULL;
    if (!s) return NULL;
    (*left)--;
    unready(s);
    return s;
}

static size_t count_ready(seat_port *p)
{
    HOLD(p->table);
    size_t n = 0;
    for (const fh_seat *s = p->first; s; s = s->ready_next) n++;
    p->posted = false;
    return n;
}

static void run_port(void *arg);

static void post_port(seat_port *p)
{
    if (p->first && !p->posted) p->posted = fh_loop_post(p->loop, run_port, p);
}

static void run_port(void *arg)
{
    seat_port *p = arg;
    size_t left = count_ready(p);
    for (fh_seat *s; (s = next_ready(p, &left));) s->wake(s->arg);
    HOLD(p->table);
    post_port(p);
}

static void make_ready(fh_seat *s)
{
    seat_port *p = s->port;
    if (s->ready) return;
    s->ready_previous = p->last;
    *(p->last ? &p->last->ready_next : &p->first) = s;
    p->last = s;
    s->ready = true;
    post_port(p);
}

static void wake_all(const fh_flight *f)
{
    for (fh_seat *s = f->first; s; s = s->next) make_ready(s);
}

static seat_port *port_of(fh_flights *t, const fh_loop *loop)
{
    size_t i = 0;
    while (i + 1 < t->port_count && t->ports[i].loop != loop) i++;
    return &t->ports[i];
}

/* ---- the table ---- */

int fh_flights_new(fh_flights **ret, const fh_flights_config *c, fh_err **err)
{
    fh_flights *t = fh_calloc(1, sizeof *t);
    if (!t) return fh_err_nomem(err);
    t->config = *c;
    t->config.loops = NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->ports = fh_calloc(c->loop_count, sizeof *t->ports);
    t->map = fh_map_new(NULL);
    t->cache = fh_cache_new(&c->cache);
    if (!t->ports || !t->map || !t->cache) {
        fh_flights_free(t);
        return fh_err_nomem(err);
    }
    for (; t->port_count < c->loop_count; t->port_count++)
        t->ports[t->port_count] = (seat_port){.table = t, .loop = c->loops[t->port_count]};
    *ret = t;
    return 0;
}

void fh_flights_free(fh_flights *t)
{
    if (!t) return;
    fh_cache_free(t->cache);
    fh_map_free(t->map);
    fh_free(t->ports);
    pthread_mutex_destroy(&t->lock);
    fh_free(t);
}

static fh_str name_of(const uint8_t key[FH_ANSWER_KEY_BYTES])
{
    return (fh_str){(const char *)key, FH_ANSWER_KEY_BYTES};
}

static void unlist(fh_flight *f)
{
    if (f->listed) fh_map_remove(f->table->map, name_of(f->key));
    f->listed = false;
}

static void flight_free(fh_flight *f)
{
    unlist(f);
    f->table->flights--;
    f->table->bytes -= f->log.len;
    fh_buf_fini(&f->log);
    fh_err_free(f->end.err);
    fh_free(f);
}

static fh_flight *flight_new(fh_flights *t, const uint8_t key[FH_ANSWER_KEY_BYTES], const char *owner)
{
    fh_flight *f = t->flights < t->config.flights ? fh_calloc(1, sizeof *f) : NULL;
    if (!f) return NULL;
    *f = (fh_flight){.table = t, .log = FH_BUF(LOG_MAX), .listed = true, .whole = true};
    memcpy(f->key, key, sizeof f->key);
    snprintf(f->owner, sizeof f->owner, "%s", owner);
    if (!fh_map_put(t->map, name_of(key), f)) {
        fh_free(f);
        return NULL;
    }
    t->flights++;
    return f;
}

static void add_follower(fh_flight *f, fh_seat *s)
{
    s->flight = f;
    s->previous = f->last;
    *(f->last ? &f->last->next : &f->first) = s;
    f->last = s;
    f->followers++;
    if (f->started) make_ready(s);
}

fh_boarding fh_flights_board(fh_flights *t, const uint8_t key[FH_ANSWER_KEY_BYTES], const char *owner, bool fresh, fh_seat *follower,
                             fh_answer **ret_answer)
{
    HOLD(t);
    fh_answer *kept = fresh ? NULL : fh_cache_find(t->cache, key, fh_clock_mono_ns());
    fh_flight *f = fh_map_find(t->map, name_of(key));
    follower->port = port_of(t, follower->loop);
    if (kept) {
        *ret_answer = kept;
        return FH_BOARDING_KEPT;
    }
    if (f && !fresh) {
        add_follower(f, follower);
        return FH_BOARDING_JOINED;
    }
    if (f) unlist(f);
    f = flight_new(t, key, owner);
    if (!f) return FH_BOARDING_ALONE;
    add_follower(f, follower);
    return FH_BOARDING_LEADS;
}

void fh_flights_sweep(fh_flights *t)
{
    HOLD(t);
    fh_cache_expire(t->cache, fh_clock_mono_ns());
    for (size_t i = 0; i < t->port_count; i++) post_port(&t->ports[i]);
}

static fh_flight *flight_of(const fh_flights *t, const char *owner)
{
    size_t i = 0;
    fh_str key;
    void *value;
    while (fh_map_next(t->map, &i, &key, &value))
        if (strcmp(((fh_flight *)value)->owner, owner) == 0) return value;
    return NULL;
}

size_t fh_flights_forget(fh_flights *t, const char *owner)
{
    HOLD(t);
    for (fh_flight *f; (f = flight_of(t, owner));) unlist(f);
    return fh_cache_forget(t->cache, owner);
}

void fh_flights_look(fh_flights *t, fh_flights_figures *ret)
{
    HOLD(t);
    *ret = (fh_flights_figures){.flights = t->flights, .bytes = t->bytes, .cut_loose = t->cut_loose};
    fh_cache_look(t->cache, &ret->cache);
}

/* ---- the leader ---- */

void fh_flight_seat_leader(fh_seat *leader, fh_flight *f)
{
    HOLD(f->table);
    leader->port = port_of(f->table, leader->loop);
    leader->flight = f;
    f->leader = leader;
}

bool fh_flight_wanted(const fh_seat *leader)
{
    const fh_flight *f = leader->flight;
    HOLD(f->table);
    return f->followers && !f->broken;
}

void fh_flight_start(fh_seat *leader, const fh_answer_head *head)
{
    fh_flight *f = leader->flight;
    HOLD(f->table);
    f->head = *head;
    f->started = true;
    wake_all(f);
}

static size_t end_of(const fh_flight *f)
{
    return f->base + f->log.len;
}

/* How far the leader is before the fastest follower. */
static size_t lead_of(const fh_flight *f)
{
    size_t lead = f->log.len;
    for (const fh_seat *s = f->first; s; s = s->next)
        if (!s->lost) lead = FH_MIN(lead, end_of(f) - s->at);
    return lead;
}

/* Drops what all have read. Moving the rest is put off until it is the smaller part. */
static void trim(fh_flight *f)
{
    size_t least = end_of(f);
    for (const fh_seat *s = f->first; s; s = s->next)
        if (!s->lost) least = FH_MIN(least, s->at);
    size_t read = least - f->base;
    if (read < f->log.len - read) return;
    fh_buf_consume(&f->log, read);
    f->base += read;
    f->table->bytes -= read;
}

static void cut_loose(fh_flight *f)
{
    const fh_flights *t = f->table;
    size_t most = t->bytes > t->config.bytes ? t->config.lead_bytes : t->config.answer_bytes;
    for (fh_seat *s = f->first; s; s = s->next) {
        if (s->lost || end_of(f) - s->at <= FH_MAX(most, t->config.lead_bytes)) continue;
        s->lost = true;
        f->table->cut_loose++;
        make_ready(s);
    }
}

static void append(fh_flight *f, const void *data, size_t bytes)
{
    fh_flights *t = f->table;
    if (f->log.len + bytes > t->config.answer_bytes || t->bytes + bytes > t->config.bytes) {
        f->whole = false;
        unlist(f);
    }
    if (fh_buf_add(&f->log, data, bytes)) {
        t->bytes += bytes;
        wake_all(f);
        return;
    }
    f->broken = true;
    wake_all(f);
    make_ready(f->leader);
}

bool fh_flight_write(fh_seat *leader, const void *data, size_t bytes, const fh_used *used)
{
    fh_flight *f = leader->flight;
    HOLD(f->table);
    f->used = *used;
    append(f, data, bytes);
    if (f->whole || !f->head.stream) return true;
    f->paused = lead_of(f) > f->table->config.lead_bytes;
    if (!f->paused) cut_loose(f);
    trim(f);
    return !f->paused;
}

static void go_on(fh_flight *f)
{
    if (!f->paused || lead_of(f) > f->table->config.lead_bytes / 2) return;
    f->paused = false;
    make_ready(f->leader);
}

void fh_flight_land(fh_seat *leader, const fh_flight_end *end)
{
    fh_flight *f = leader->flight;
    fh_flights *t = f->table;
    bool keep = end->keep && f->whole && !f->log.failed; /* only the leader changes these */
    fh_answer *a = keep ? fh_answer_new(&f->head, f->owner, end->finish, &end->used, (fh_str){f->log.data, f->log.len}) : NULL;
    HOLD(t);
    if (a && f->listed) fh_cache_put(t->cache, f->key, a, fh_clock_mono_ns());
    fh_answer_leave(a);
    unlist(f);
    f->end = *end;
    if (fh_used_tok(&end->used) > fh_used_tok(&f->used)) f->used = end->used;
    f->ended = true;
    f->paused = false; /* there is nobody who could go on */
    f->leader = NULL;
    leader->flight = NULL;
    unready(leader);
    wake_all(f);
    if (!f->followers) flight_free(f);
}

/* ---- followers ---- */

void fh_seat_look(const fh_seat *s, fh_flight_view *ret)
{
    const fh_flight *f = s->flight;
    HOLD(f->table);
    *ret = (fh_flight_view){
        .started = f->started, .lost = s->lost || f->broken, .head = f->head, .used = f->used, .end = f->ended ? &f->end : NULL};
}

static bool ends_event(const char *text, size_t at)
{
    if (at < 2 || text[at - 1] != '\n') return false;
    return text[at - 2] == '\n' || (at > 2 && text[at - 2] == '\r' && text[at - 3] == '\n');
}

/* What is written is whole events: so the end of it is the end of one. */
static size_t whole_events(const char *text, size_t len, size_t about)
{
    if (len <= about) return len;
    size_t at = about;
    while (at > 0 && !ends_event(text, at)) at--;
    if (at == 0)
        for (at = about; at < len && !ends_event(text, at);) at++;
    return at;
}

bool fh_seat_read(fh_seat *s, size_t about, fh_buf *out)
{
    fh_flight *f = s->flight;
    HOLD(f->table);
    size_t n = end_of(f) - s->at;
    if (s->lost || f->broken || n == 0) return false;
    const char *text = f->log.data + (s->at - f->base);
    n = whole_events(text, n, about);
    if (!fh_buf_add(out, text, n)) return false;
    s->at += n;
    go_on(f);
    return true;
}

fh_str fh_seat_body(const fh_seat *s)
{
    const fh_flight *f = s->flight;
    HOLD(f->table);
    return (fh_str){fh_buf_cstr(&f->log), f->log.len};
}

static void remove_follower(fh_flight *f, fh_seat *s)
{
    *(s->previous ? &s->previous->next : &f->first) = s->next;
    *(s->next ? &s->next->previous : &f->last) = s->previous;
    s->next = s->previous = NULL;
    s->flight = NULL;
    f->followers--;
    unready(s);
}

static uint64_t charge(fh_flight *f, const fh_seat *s)
{
    uint64_t used = fh_used_tok(&f->used), due = s == f->first ? used - FH_MIN(f->charged_tok, used) : 0;
    f->charged_tok += due;
    return due;
}

uint64_t fh_seat_leave(fh_seat *s)
{
    fh_flight *f = s->flight;
    if (!f) return 0;
    HOLD(f->table);
    uint64_t due = charge(f, s);
    remove_follower(f, s);
    if (f->followers == 0) unlist(f);
    if (f->followers == 0 && f->leader)
        make_ready(f->leader);
    else if (f->followers == 0)
        flight_free(f);
    else
        go_on(f);
    return due;
}
