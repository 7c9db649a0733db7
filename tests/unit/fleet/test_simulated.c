/* A pool of many machines and the fleet that runs models on it, on virtual time: machines come, die, fall silent, come back with or without
 * their engines; the server is killed and started again. All of the fleet is real (states, planning, the places of nodes, orders, the
 * database); what is made here is the other end of each link, the engines, this machine, the weights, the clock and the loop.
 *
 * A wrong step ends the run: an engine that is started where it does not fit, or on a machine that was removed; a second engine of a
 * deployment beside one that serves and can be reached; an engine ended that serves; a deployment that says it is ready and has no engine
 * for longer than a loss takes to be noticed. At the end of each run every deployment is ready, and nothing else runs anywhere.
 *
 * FH_SIM_NODES, FH_SIM_DEPLOYMENTS, FH_SIM_SEED, FH_SIM_RUNS make it larger, or repeat one. */
#include "cmocka_all.h"

#include "virtual_loop.h"

#include "base/log.h"
#include "db/schema.h"
#include "fleet/nodes.h"
#include "fleet_private.h"
#include "node_place.h"
#include "sys/file.h"

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ENGINES = 16, GIB = 1 << 30 };
#define SECONDS(n) ((int64_t)((n)*1e9))
#define SILENT_NS  SECONDS(8)
#define NOTICED_NS SECONDS(20) /* silence, and the time that a machine is waited for */

typedef struct sim_engine {
    char id[96];
    uint64_t bytes;
    int64_t ready_ns; /* loaded then */
    bool ending;
} sim_engine;

struct fh_link { /* one connection of a machine: its address is new each time */
    struct sim_node *node;
    bool lost;
};

typedef struct sim_node {
    char name[64];
    uint64_t memory_bytes;
    int64_t ask_micro;
    bool alive, joined;
    fh_link *link;
    sim_engine engines[ENGINES];
    size_t count;
    fh_link_ask *report;
    uint64_t life; /* counts its deaths: what waits for an older one is nothing */
} sim_node;

static struct {
    uint64_t seed, state;
    size_t nodes, deployments;
    sim_node *all;
    fh_fleet *fleet;
    uint64_t starts, ends, reports;
    int64_t end_ns;
    char folder[64], store[128], logs[96];
    sem_t done;
} sim;

static uint64_t draw(uint64_t below)
{
    sim.state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = sim.state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "# seed %llu at %.3f s: ", (unsigned long long)sim.seed, (double)virtual_ns / 1e9);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    _exit(1);
}

/* What waits for a moment that never comes, since the server was killed, is given back at the end of the run. */
typedef struct sim_block {
    struct sim_block *next, **at;
    max_align_t data[];
} sim_block;
static sim_block *sim_blocks;

static void *sim_alloc(size_t bytes)
{
    sim_block *b = calloc(1, sizeof(*b) + bytes);
    if (!b) abort();
    *b = (sim_block){.next = sim_blocks, .at = &sim_blocks};
    if (b->next) b->next->at = &b->next;
    sim_blocks = b;
    return b->data;
}

static void sim_free(void *data)
{
    sim_block *b = (sim_block *)(void *)((char *)data - offsetof(sim_block, data));
    *b->at = b->next;
    if (b->next) b->next->at = b->at;
    free(b);
}

/* ---- what stands in for weights, this machine and HTTP ---- */

int fh_weights_open(fh_weights **ret, const char *data_dir, bool sweep, fh_err **err)
{
    *ret = (fh_weights *)(void *)&sim;
    return 0;
}

void fh_weights_close(fh_weights *w)
{
}

/* "w20": 20 GiB. */
int fh_weights_find(fh_weights *w, const char *name, fh_weights_item *ret, fh_err **err)
{
    unsigned long gib = name[0] == 'w' ? strtoul(name + 1, NULL, 10) : 0;
    if (!gib) return fh_err_set(err, FH_E_NOT_FOUND, "there are no weights %s", name);
    *ret = (fh_weights_item){.bytes = gib * GIB, .kv_bytes_per_tok = 1024 * gib, .context_tok = 8192, .files = 1};
    snprintf(ret->id, sizeof(ret->id), "%s", name);
    snprintf(ret->digest, sizeof(ret->digest), "%s", name);
    snprintf(ret->format, sizeof(ret->format), "gguf");
    snprintf(ret->folder, sizeof(ret->folder), "%s/none", sim.folder);
    snprintf(ret->path, sizeof(ret->path), "%s/none/w.gguf", sim.folder);
    return 0;
}

static fh_place_terms nowhere(void *ctx)
{
    return (fh_place_terms){.there = false};
}

static fh_plan_machine no_machine(void *ctx)
{
    return (fh_plan_machine){0};
}

static int socket_path(void *ctx, const char *deployment, int64_t act, char *out, size_t out_size, fh_err **err)
{
    snprintf(out, out_size, "%s/run/%s.%lld/s", sim.folder, deployment, (long long)act);
    return 0;
}

static void sweep_nothing(void *ctx, bool (*spare)(void *arg, const char *folder), void *arg)
{
}

int fh_here_new(fh_here **ret, fh_loop *loop, const fh_fleet_config *c, fh_err **err)
{
    *ret = (fh_here *)(void *)&sim;
    return 0;
}

void fh_here_free(fh_here *h)
{
}

void fh_here_place(fh_here *h, fh_place *ret)
{
    *ret = (fh_place){.name = "here", .terms = nowhere, .machine = no_machine, .socket_path = socket_path, .sweep = sweep_nothing};
}

const char *fh_here_logs(const fh_here *h)
{
    return sim.logs;
}

int fh_http_client_new(fh_http_client **ret, fh_loop *l, fh_err **err)
{
    *ret = NULL;
    return 0;
}

void fh_http_client_free(fh_http_client *c)
{
}

/* ---- machines ---- */

static sim_node *node_named(const char *name)
{
    size_t i = strtoul(name + 1, NULL, 10);
    return i < sim.nodes ? &sim.all[i] : NULL;
}

static sim_engine *engine_of(sim_node *n, const char *id)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->engines[i].id, id) == 0) return &n->engines[i];
    return NULL;
}

static bool is_reached(const sim_node *n)
{
    return n->alive && n->link && !n->link->lost;
}

struct fh_link_ask {
    fh_link_ask_spec spec;
    sim_node *node;
    fh_link *link;
    bool over;
    int status;
    char body[96];
};

static void ask_free(fh_link_ask *a)
{
    if (a->node->report == a) a->node->report = NULL;
    sim_free(a);
}

static void ask_reply(void *arg)
{
    fh_link_ask *a = arg;
    if (!a->over) a->spec.on_done(a->spec.arg, a->status, fh_str_of(a->body), NULL);
    ask_free(a);
}

static void ask_answer(fh_link_ask *a, int status, const char *body)
{
    a->status = status;
    snprintf(a->body, sizeof(a->body), "%s", body);
    virtual_after(SECONDS(0.002), ask_reply, a);
}

void fh_link_ask_cancel(fh_link_ask *a)
{
    a->over = true; /* its answer, or the end of its link, frees it */
    if (a->node->report == a) {
        a->node->report = NULL;
        sim_free(a);
    }
}

static void send_report(sim_node *n)
{
    char *line = NULL;
    size_t bytes = 0, used = 0;
    uint64_t taken = 0;
    fh_link_ask *a = n->report;
    if (!a || !is_reached(n)) return;
    FILE *f = open_memstream(&line, &bytes);
    for (size_t i = 0; i < n->count; i++) taken += n->engines[i].bytes;
    fprintf(f, "{\"kinds\":[\"freehold\"],\"memory_bytes\":%llu,\"memory_available_bytes\":%llu,\"sandbox\":\"landlock\",\"engines\":[",
            (unsigned long long)n->memory_bytes, (unsigned long long)(n->memory_bytes - FH_MIN(taken, n->memory_bytes)));
    for (size_t i = 0; i < n->count; i++)
        fprintf(f, "%s{\"id\":\"%s\",\"rss_bytes\":%llu,\"own_bytes\":%llu}", used++ ? "," : "", n->engines[i].id,
                (unsigned long long)n->engines[i].bytes, (unsigned long long)n->engines[i].bytes);
    fprintf(f, "],\"ended\":[]}\n");
    fclose(f);
    sim.reports++;
    a->spec.on_data(a->spec.arg, line, bytes);
    free(line);
}

typedef struct ticking {
    sim_node *node;
    fh_link *link;
} ticking;

/* Its reports, for as long as that connection lasts. */
static void tick(void *arg)
{
    ticking *t = arg;
    if (t->node->link != t->link || t->link->lost) {
        sim_free(t);
        return;
    }
    send_report(t->node);
    virtual_after(FH_LIMIT_NODE_REPORT_MS * FH_NS_PER_MS, tick, t);
}

static void report_change(void *arg)
{
    send_report(arg);
}

static void begin_reports(sim_node *n)
{
    ticking *t = sim_alloc(sizeof(*t));
    *t = (ticking){n, n->link};
    virtual_after(SECONDS(0.001), tick, t);
}

static const fh_deployment_view *view_of(const fh_fleet_snapshot *snap, const char *id, size_t name)
{
    for (size_t i = 0; i < snap->count; i++) {
        const char *d = snap->deployments[i].name;
        if (strlen(d) == name && strncmp(d, id, name) == 0) return &snap->deployments[i];
    }
    return NULL;
}

static void check_start(sim_node *n, const char *id, uint64_t bytes)
{
    uint64_t taken = bytes;
    size_t name = (size_t)(strrchr(id, '.') - id);
    for (size_t i = 0; i < n->count; i++) taken += n->engines[i].bytes;
    if (taken > n->memory_bytes)
        wrong("%s gets %s, and has %llu bytes of %llu", n->name, id, (unsigned long long)taken, (unsigned long long)n->memory_bytes);
    for (size_t k = 0; k < sim.nodes; k++)
        for (size_t i = 0; i < sim.all[k].count; i++) {
            const sim_engine *e = &sim.all[k].engines[i];
            if (is_reached(&sim.all[k]) && !e->ending && strncmp(e->id, id, name + 1) == 0 && strcmp(e->id, id) != 0 && sim.all[k].report)
                wrong("%s is started on %s while %s runs on %s", id, n->name, e->id, sim.all[k].name);
        }
}

static int start_there(sim_node *n, const char *id, fh_str body)
{
    FH_AUTO(json) fh_json *o = NULL;
    sim_engine *e = engine_of(n, id);
    if (e) return 200;
    if (fh_json_parse(&o, body, 65536, NULL) != 0) wrong("%s is told to start something that is no JSON", n->name);
    uint64_t gib = strtoul(fh_json_str(fh_json_get(o, "model")).ptr + 1, NULL, 10);
    if (n->count == ENGINES) return 503;
    check_start(n, id, gib * GIB);
    sim.starts++;
    e = &n->engines[n->count++];
    *e = (sim_engine){.bytes = gib * GIB, .ready_ns = virtual_ns + SECONDS(2 + draw(30))};
    snprintf(e->id, sizeof(e->id), "%s", id);
    return 201;
}

static void drop_engine(sim_node *n, sim_engine *e)
{
    *e = n->engines[--n->count];
    sim.ends++;
}

typedef struct ending {
    sim_node *node;
    uint64_t life;
    char id[96];
} ending;

static void end_there(void *arg)
{
    ending *x = arg;
    sim_engine *e = engine_of(x->node, x->id);
    if (x->node->life == x->life && e) {
        drop_engine(x->node, e);
        send_report(x->node);
    }
    sim_free(x);
}

static void stop_there(sim_node *n, const char *id)
{
    sim_engine *e = engine_of(n, id);
    size_t name = (size_t)(strrchr(id, '.') - id);
    if (!e) return;
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(sim.fleet);
    const fh_deployment_view *v = view_of(snap, id, name);
    if (v && v->state == FH_DEPLOYMENT_READY && v->act == strtoll(id + name + 1, NULL, 10)) wrong("%s is ended, which serves", id);
    fh_fleet_snapshot_release(snap);
    ending *x = sim_alloc(sizeof(*x));
    *x = (ending){.node = n, .life = n->life};
    snprintf(x->id, sizeof(x->id), "%s", id);
    e->ending = true;
    virtual_after(SECONDS(0.1) + (int64_t)draw(SECONDS(2)), end_there, x);
}

int fh_link_ask_start(fh_link_ask **ret, fh_link *l, const fh_link_ask_spec *spec, fh_err **err)
{
    sim_node *n = l->node;
    if (l->lost) return fh_err_set(err, FH_E_UNAVAILABLE, "the link is lost");
    fh_link_ask *a = sim_alloc(sizeof(*a));
    *a = (fh_link_ask){.spec = *spec, .node = n, .link = l};
    if (ret) *ret = a;
    char id[96] = "";
    sscanf(spec->path, "/v1/engines/%95[^?/]", id);
    if (strcmp(spec->path, "/v1/report") == 0) {
        n->report = a;
        begin_reports(n);
    } else if (strcmp(spec->method, "PUT") == 0) {
        ask_answer(a, start_there(n, id, spec->body), "{}");
        virtual_after(SECONDS(0.003), report_change, n);
    } else if (strcmp(spec->method, "DELETE") == 0) {
        stop_there(n, id);
        ask_answer(a, 200, "{}");
    } else if (strncmp(spec->path, "/v1/weights/", 12) == 0) {
        ask_answer(a, 200, "{\"whole\":true}");
    } else {
        ask_answer(a, 200, "");
    }
    return 0;
}

int fh_link_tunnel(fh_link *l, const char *authority, int fd, void (*on_end)(void *arg, const fh_link_tunnel_end *end), void *arg,
                   fh_err **err)
{
    wrong("nobody connects to %s", authority);
    return 0;
}

static void lose_link(sim_node *n)
{
    fh_link *l = n->link;
    if (!l) return;
    l->lost = true;
    n->link = NULL;
    if (sim.fleet) fh_fleet_node_down(sim.fleet, n->name);
    n->report = NULL;
}

static void come(void *arg);

void fh_link_close(fh_link *l, int code, const char *why)
{
    wrong("the link of %s is closed: %s", l->node->name, why);
}

/* ---- engines, as they are talked to ---- */

struct fh_http_call {
    fh_deployment *d;
    fh_health_fn *on_health;
    fh_proof_fn *on_proof;
    bool cancelled;
};

void fh_http_call_cancel(fh_http_call *c)
{
    c->cancelled = true;
}

static sim_engine *serving(const fh_deployment *d)
{
    char id[128];
    sim_node *n = d->place && strncmp(d->place->name, "node/", 5) == 0 ? node_named(d->place->name + 5) : NULL;
    if (!n || !is_reached(n)) return NULL;
    snprintf(id, sizeof(id), "%s.%lld", d->view.name, (long long)d->view.act);
    return engine_of(n, id);
}

static void talk_done(void *arg)
{
    fh_http_call *c = arg;
    fh_deployment *d = c->d;
    if (!c->cancelled) {
        const sim_engine *e = serving(d);
        d->call = NULL;
        if (c->on_health)
            c->on_health(d,
                         !e                         ? FH_HEALTH_NONE
                         : virtual_ns < e->ready_ns ? FH_HEALTH_LOADING
                                                    : FH_HEALTH_READY,
                         e ? virtual_ns : 0, e ? e->ready_ns : 0);
        else
            c->on_proof(d, e && virtual_ns >= e->ready_ns, "it does not answer");
    }
    sim_free(c);
}

static int talk(fh_deployment *d, fh_health_fn *health, fh_proof_fn *proof, int64_t takes_ns)
{
    fh_http_call *c = sim_alloc(sizeof(*c));
    *c = (fh_http_call){.d = d, .on_health = health, .on_proof = proof};
    d->call = c;
    virtual_after(takes_ns, talk_done, c);
    return 0;
}

int fh_talk_health(fh_deployment *d, fh_health_fn *fn, fh_err **err)
{
    return talk(d, fn, NULL, SECONDS(0.003));
}

int fh_talk_prove(fh_deployment *d, fh_proof_fn *fn, fh_err **err)
{
    return talk(d, NULL, fn, SECONDS(1));
}

int fh_talk_load(fh_deployment *d, fh_load_fn *fn, fh_err **err)
{
    return fh_err_set(err, FH_E_UNAVAILABLE, "nobody asks it");
}

fh_health fh_talk_health_now(const fh_catalog_engine *e, const char *socket_path, int64_t timeout_ns)
{
    return FH_HEALTH_NONE;
}

/* ---- what happens ---- */

static void come(void *arg)
{
    sim_node *n = arg;
    fh_err *err = NULL;
    fh_fleet_node f = {.ask_micro = n->ask_micro, .currency = "USD"};
    if (!n->alive || n->link || !sim.fleet) return;
    n->link = sim_alloc(sizeof(*n->link)); /* kept: late answers look at it */
    n->link->node = n;
    snprintf(f.name, sizeof(f.name), "%s", n->name);
    if (fh_fleet_node_set(sim.fleet, &f, &err) != 0) wrong("%s: %s", n->name, fh_err_message(err));
    n->joined = true;
    fh_fleet_node_up(sim.fleet, n->name, n->link);
}

static void lost_in_silence(void *arg)
{
    lose_link(arg);
}

static void die(sim_node *n, bool at_once)
{
    n->alive = false;
    n->life++;
    n->count = 0;
    if (n->link) n->link->lost = true;
    virtual_after(at_once ? SECONDS(0.1) : SILENT_NS, lost_in_silence, n);
}

static void come_to_life(void *arg)
{
    sim_node *n = arg;
    n->alive = true;
    come(n);
}

/* It cannot be reached, and goes on. */
static void cut(sim_node *n, int64_t back_ns)
{
    lose_link(n);
    virtual_after(back_ns, come, n);
}

static void crash(sim_node *n)
{
    if (!n->count || n->engines[0].ending) return;
    drop_engine(n, &n->engines[draw(n->count)]);
    send_report(n);
}

static void small_trouble(void *arg)
{
    sim_node *n = &sim.all[draw(sim.nodes)];
    if (n->alive && n->link) {
        switch (draw(4)) {
        case 0:
            die(n, draw(2));
            virtual_after(SECONDS(30 + draw(300)), come_to_life, n);
            break;
        case 1: cut(n, SECONDS(1 + draw(60))); break;
        default: crash(n); break;
        }
    }
    if (virtual_ns < sim.end_ns) virtual_after(SECONDS(1) + (int64_t)draw(SECONDS(2)), small_trouble, NULL);
}

static void mass_failure(void)
{
    for (size_t i = 0; i < sim.nodes; i++) {
        sim_node *n = &sim.all[i];
        if (draw(10) >= 3 || !n->alive) continue;
        bool dies = draw(2);
        if (dies)
            die(n, draw(2));
        else
            cut(n, SECONDS(60 + draw(120)));
        if (dies) virtual_after(SECONDS(120 + draw(300)), come_to_life, n);
    }
}

typedef struct tally {
    size_t ready, served, engines;
} tally;

static tally count_all(void)
{
    tally t = {0};
    const fh_fleet_snapshot *snap = fh_fleet_snapshot_get(sim.fleet);
    for (size_t i = 0; i < snap->count; i++) t.ready += snap->deployments[i].state == FH_DEPLOYMENT_READY;
    for (fh_deployment *d = sim.fleet->first; d; d = d->next) t.served += d->view.state == FH_DEPLOYMENT_READY && serving(d);
    for (size_t i = 0; i < sim.nodes; i++) t.engines += sim.all[i].count;
    fh_fleet_snapshot_release(snap);
    return t;
}

static int64_t *unserved_since; /* by the deployment's row */

static void check_ready(void *arg)
{
    for (fh_deployment *d = sim.fleet->first; d; d = d->next) {
        int64_t *since = &unserved_since[d->id];
        bool lies = d->view.state == FH_DEPLOYMENT_READY && !serving(d);
        if (!lies) *since = 0;
        if (lies && !*since) *since = virtual_ns;
        if (lies && virtual_ns - *since > NOTICED_NS) wrong("%s says it is ready at %s, and is not", d->view.name, d->view.place);
    }
    if (virtual_ns < sim.end_ns) virtual_after(SECONDS(1), check_ready, NULL);
}

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void deployed(void *arg, const fh_deployment_view *view, const fh_err *err)
{
    if (err) wrong("a deployment is refused: %s", fh_err_message(err));
}

static void deploy_next(void *arg)
{
    static const unsigned sizes[] = {4, 8, 20, 40};
    size_t left = (size_t)(uintptr_t)arg;
    fh_deploy_spec s = {.context_tok = 1024, .streams = 1};
    snprintf(s.model, sizeof(s.model), "w%u", sizes[draw(FH_COUNT(sizes))]);
    snprintf(s.name, sizeof(s.name), "d%zu", left);
    snprintf(s.place, sizeof(s.place), "pool");
    if (fh_fleet_deploy(sim.fleet, &s, sim.fleet->loop, deployed, NULL, NULL) != 0) wrong("a deployment is not taken");
    if (left > 1) virtual_after(SECONDS(0.02), deploy_next, (void *)(uintptr_t)(left - 1));
}

/* ---- phases: each runs the loop on the fleet's thread until its time is up ---- */

static void stop_phase(void *arg)
{
    fh_loop_stop(NULL);
}

static void start_fleet(void)
{
    fh_err *err = NULL;
    fh_fleet_node *list = calloc(sim.nodes, sizeof(*list));
    size_t known = 0;
    for (size_t i = 0; i < sim.nodes; i++) {
        if (!sim.all[i].joined) continue;
        list[known] = (fh_fleet_node){.ask_micro = sim.all[i].ask_micro, .currency = "USD"};
        snprintf(list[known++].name, sizeof(list->name), "%s", sim.all[i].name);
    }
    fh_fleet_config c = {.data_dir = sim.folder, .store_url = sim.store, .program = "/bin/false", .nodes = list, .node_count = known};
    virtual_loop.stopped = true; /* until everything is set: the fleet's thread looks once, and ends */
    if (fh_fleet_start(&sim.fleet, &c, &err) != 0) wrong("the fleet does not start: %s", fh_err_message(err));
    pthread_join(sim.fleet->thread, NULL);
    virtual_loop.stopped = false;
    free(list);
}

/* Runs for so long; the CPU time that it took, in seconds. */
static double run_for(int64_t ns)
{
    double before = cpu_s();
    virtual_after(ns, stop_phase, NULL);
    fh_loop_run(sim.fleet->loop, NULL);
    virtual_loop.stopped = false;
    return cpu_s() - before;
}

/* As kill -9: what was not written down is gone, machines and engines go on. */
static void kill_server(void)
{
    for (size_t i = 0; i < sim.nodes; i++) {
        if (sim.all[i].link) sim.all[i].link->lost = true;
        sim.all[i].link = NULL;
    }
    sim.fleet->thread_runs = false;
    fh_fleet_stop(sim.fleet);
    sim.fleet = NULL;
    for (size_t i = 0; i < sim.nodes; i++) sim.all[i].report = NULL;
}

static void all_dial(void)
{
    for (size_t i = 0; i < sim.nodes; i++) {
        bool alive = sim.all[i].alive;
        virtual_after(SECONDS(alive ? 0.1 : 120) + (int64_t)draw(SECONDS(5)), alive ? come : come_to_life, &sim.all[i]);
    }
}

/* cpu: what was spent since began already. */
static void until_whole(const char *what, int64_t began, double cpu, int64_t most_ns)
{
    tally t;
    for (;;) {
        t = count_all();
        if (t.ready == sim.deployments && t.served == sim.deployments && t.engines == sim.deployments) break;
        if (virtual_ns - began > most_ns) {
            for (fh_deployment *d = sim.fleet->first; d; d = d->next)
                if (d->view.state != FH_DEPLOYMENT_READY)
                    print_message("# %s is %s: %s\n", d->view.name, fh_deployment_state_name(d->view.state), d->view.reason);
            wrong("%s: after %.0f s %zu of %zu are ready, %zu served, by %zu engines", what, (double)(virtual_ns - began) / 1e9, t.ready,
                  sim.deployments, t.served, t.engines);
        }
        cpu += run_for(SECONDS(1));
    }
    print_message("# %s: whole after %.0f s of its time, %.1f s of the processor's (%.1f %% of one core)\n", what,
                  (double)(virtual_ns - began) / 1e9, cpu, virtual_ns > began ? 100 * cpu / ((double)(virtual_ns - began) / 1e9) : 0);
}

static void make_nodes(void)
{
    sim.all = calloc(sim.nodes, sizeof(*sim.all));
    unserved_since = calloc(sim.deployments + 2, sizeof(*unserved_since));
    for (size_t i = 0; i < sim.nodes; i++) {
        sim_node *n = &sim.all[i];
        *n = (sim_node){.alive = true, .memory_bytes = (uint64_t)(16 << draw(4)) * GIB, .ask_micro = (int64_t)(10000 * (1 + draw(100)))};
        snprintf(n->name, sizeof(n->name), "n%zu", i);
    }
}

static void live(uint64_t seed)
{
    sim.seed = sim.state = seed;
    virtual_ns = FH_NS_PER_S;
    strcpy(sim.folder,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/fh-sim-XXXXXX" : "/tmp/fh-sim-XXXXXX"); /* where the disk is not waited for */
    assert_non_null(mkdtemp(sim.folder));
    snprintf(sim.store, sizeof(sim.store), "sqlite:%s/freehold.db", sim.folder);
    snprintf(sim.logs, sizeof(sim.logs), "%s/logs", sim.folder);
    assert_int_equal(fh_dir_make(sim.logs, 0700, NULL), 0);
    char none[80];
    snprintf(none, sizeof(none), "%s/none", sim.folder);
    assert_int_equal(fh_dir_make(none, 0700, NULL), 0);
    print_message("# seed %llu: %zu machines, %zu deployments\n", (unsigned long long)seed, sim.nodes, sim.deployments);
    sim.end_ns = INT64_MAX / 2;
    make_nodes();
    start_fleet();
    all_dial();
    run_for(SECONDS(10));
    virtual_after(0, deploy_next, (void *)(uintptr_t)sim.deployments);
    int64_t began_ns = virtual_ns;
    double cpu = run_for(SECONDS(0.02) * (int64_t)sim.deployments);
    until_whole("all started", began_ns, cpu, SECONDS(900));
    virtual_after(0, check_ready, NULL);
    cpu = run_for(SECONDS(120));
    print_message("# steady: %.1f %% of one core\n", 100 * cpu / 120);
    virtual_after(0, small_trouble, NULL);
    cpu = run_for(SECONDS(300));
    print_message("# with a failure each two seconds: %.1f %% of one core\n", 100 * cpu / 300);
    mass_failure();
    int64_t blow_ns = virtual_ns;
    cpu = run_for(SECONDS(draw(40)));
    if (draw(2)) {
        print_message("# the server is killed and started again\n");
        kill_server();
        start_fleet();
        all_dial();
        virtual_after(SECONDS(30), check_ready, NULL);
        virtual_after(0, small_trouble, NULL);
    }
    cpu += run_for(SECONDS(20));
    sim.end_ns = virtual_ns; /* no more trouble */
    cpu += run_for(SECONDS(3));
    sim.end_ns = INT64_MAX / 2;
    until_whole("after 30 % of the machines were lost at once", blow_ns, cpu, SECONDS(1800));
    print_message("# %llu starts, %llu ends, %llu reports\n", (unsigned long long)sim.starts, (unsigned long long)sim.ends,
                  (unsigned long long)sim.reports);
    kill_server();
    assert_int_equal(fh_dir_remove(sim.folder, NULL), 0);
    while (sim_blocks) sim_free(sim_blocks->data);
    free(sim.all);
    free(unserved_since);
}

static size_t number(const char *name, size_t without)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : without;
}

static void no_wrong_step_is_taken_whatever_becomes_of_the_machines(void **state)
{
    (void)state;
    sim.nodes = number("FH_SIM_NODES", 300);
    sim.deployments = number("FH_SIM_DEPLOYMENTS", 60);
    size_t runs = number("FH_SIM_RUNS", 4), seed = number("FH_SIM_SEED", 1);
    for (size_t i = 0; i < runs; i++) live(seed + i);
}

int main(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_wrong_step_is_taken_whatever_becomes_of_the_machines)};
    fh_log_set_level(getenv("FH_TEST_VERBOSE") ? FH_LOG_DEBUG : FH_LOG_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
