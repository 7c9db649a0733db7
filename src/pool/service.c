/* Listens for machines and lets them in (see pool/service.h). A guest is one link: it may have one exchange under way that is a question
 * of ours about who it is, and the next begins where that ends. */
#include "pool/service.h"
#include "answers.h"
#include "examiner.h"
#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

#define WATCH_NS (FH_LIMIT_NODE_SEEN_MS * FH_NS_PER_MS)

typedef struct guest {
    fh_pool_service *service;
    fh_link *link;
    int64_t node;       /* 0: it joins */
    bool changes;       /* a certificate is on its way to it */
    bool here;          /* on_here was called, on_left was not */
    pool_exam *exam;    /* while it is here */
    struct guest *next; /* of the service's list */
} guest;

struct fh_pool_service {
    fh_loop *loop;   /* borrowed */
    fh_nodes *nodes; /* borrowed */
    int64_t (*now)(void);
    void (*on_here)(void *arg, const fh_node *n, fh_link *l);
    void (*on_left)(void *arg, const fh_node *n);
    void *arg;
    fh_pool_ca *ca;
    fh_link_listener *listener;
    fh_timer *watch;
    guest *guests;
    pool_examiner *examiner;
    void (*on_measured)(void *arg, const fh_node *n);
};

/* ---- asking ---- */

/* Ends the link with the reason, and what to do about it; takes err. */
static void refuse(guest *g, fh_err *err)
{
    char why[512];
    const char *hint = fh_err_hint_get(err);
    snprintf(why, sizeof why, "%s%s%s", fh_err_message(err), hint ? "; " : "", hint ? hint : "");
    fh_log(FH_LOG_WARN, "pool", "refused from=%s: %s", fh_link_peer_get(g->link)->address, fh_err_message(err));
    fh_link_close(g->link, fh_code_retryable(fh_err_code(err)) ? FH_E_UNAVAILABLE : FH_E_FORBIDDEN, why);
    fh_err_free(err);
}

static void ask(guest *g, const char *method, const char *path, fh_str body,
                void (*done)(void *arg, int status, fh_str body, const fh_err *err))
{
    static const fh_header json = {{"content-type", 12}, {POOL_JSON, sizeof POOL_JSON - 1}};
    fh_err *err = NULL;
    fh_link_ask_spec spec = {.method = method,
                             .path = path,
                             .headers = &json,
                             .header_count = body.len ? 1 : 0,
                             .body = body,
                             .max_reply_bytes = FH_LIMIT_NODE_FACTS_BYTES,
                             .total_timeout_ns = FH_LIMIT_NODE_ANSWER_MS * FH_NS_PER_MS,
                             .on_done = done,
                             .arg = g};
    if (fh_link_ask_start(NULL, g->link, &spec, &err)) refuse(g, err);
}

/* What it answered, when that is a document; else the link ends. A link that was lost ends by itself. */
static fh_json *answer_of(guest *g, int status, fh_str body, const fh_err *why)
{
    fh_err *err = NULL;
    fh_json *doc = NULL;
    int rc = why ? fh_err_code(why) : 0;
    if (rc == FH_E_UNAVAILABLE) return NULL;
    if (rc)
        fh_err_set(&err, rc, "it did not answer: %s", fh_err_message(why));
    else if (status != 200)
        rc = fh_err_set(&err, FH_E_INVALID, "it answered with status %d", status);
    else
        rc = fh_json_parse(&doc, body, FH_LIMIT_NODE_FACTS_BYTES, &err);
    if (rc) refuse(g, err);
    return doc;
}

/* ---- certificates ---- */

static void certificate_taken(void *arg, int status, fh_str body, const fh_err *why)
{
    guest *g = arg;
    fh_err *err = NULL;
    (void)body;
    g->changes = false;
    if (why || (status >= 200 && status < 300)) return; /* it comes again with it, or with the one before */
    fh_err_set(&err, FH_E_INVALID, "it does not take its certificate, with status %d", status);
    refuse(g, err);
}

static int send_certificate(guest *g, int64_t node, fh_str request, fh_err **err)
{
    char id[24];
    fh_node_certificate made;
    FH_AUTO(buf) fh_buf text = FH_BUF(2 * FH_POOL_PEM);
    int64_t now = g->service->now();
    snprintf(id, sizeof id, "%lld", (long long)node);
    int rc = fh_pool_ca_sign(g->service->ca, request, id, now, &made, err);
    if (!rc) rc = fh_nodes_certified(g->service->nodes, node, &made, err);
    if (rc) return rc;
    FH_AUTO(json) fh_json *doc = pool_certificate_json(made.pem, fh_nodes_find_id(g->service->nodes, node)->name);
    rc = doc ? fh_json_write(doc, &text, err) : fh_err_nomem(err);
    if (rc) return rc;
    g->changes = true;
    ask(g, "PUT", "/v1/certificate", (fh_str){text.data, text.len}, certificate_taken);
    return 0;
}

static void join_answered(void *arg, int status, fh_str body, const fh_err *why)
{
    guest *g = arg;
    fh_err *err = NULL;
    fh_node_join j;
    fh_str request;
    int64_t node;
    FH_AUTO(json) fh_json *doc = answer_of(g, status, body, why);
    if (!doc) return;
    int rc = pool_join_read(doc, &j, &request, &err);
    if (!rc) rc = fh_nodes_join(g->service->nodes, &j, g->service->now(), &node, &err);
    if (!rc) rc = send_certificate(g, node, request, &err);
    if (rc)
        refuse(g, err);
    else
        fh_log(FH_LOG_INFO, "pool", "joined node=%lld name=%s from=%s", (long long)node, fh_nodes_find_id(g->service->nodes, node)->name,
               fh_link_peer_get(g->link)->address);
}

static void request_answered(void *arg, int status, fh_str body, const fh_err *why)
{
    guest *g = arg;
    fh_err *err = NULL;
    fh_str request;
    g->changes = false;
    FH_AUTO(json) fh_json *doc = answer_of(g, status, body, why);
    if (!doc) return;
    int rc = pool_request_read(doc, &request, &err);
    if (!rc) rc = send_certificate(g, g->node, request, &err);
    if (rc) refuse(g, err);
}

static void renew(guest *g, int64_t now_utc_ns)
{
    const fh_node *node = fh_nodes_find_id(g->service->nodes, g->node);
    if (g->changes || !node || !fh_node_wants_certificate(node, now_utc_ns)) return;
    g->changes = true;
    ask(g, "GET", "/v1/certificate-request", (fh_str){NULL, 0}, request_answered);
}

/* ---- who comes ---- */

static void tell_here(guest *g)
{
    fh_pool_service *s = g->service;
    const fh_node *n = fh_nodes_find_id(s->nodes, g->node);
    FH_AUTO(json) fh_json *facts = NULL;
    g->here = true;
    if (s->on_here) s->on_here(s->arg, n, g->link);
    fh_json_parse(&facts, fh_str_of(n->facts), FH_LIMIT_NODE_FACTS_BYTES, NULL);
    g->exam = pool_exam_begin(s->examiner, g->link, g->node, facts, &n->measured);
}

static void tell_left(guest *g)
{
    fh_pool_service *s = g->service;
    pool_exam_end(fh_take(g->exam));
    if (g->here && s->on_left) s->on_left(s->arg, fh_nodes_find_id(s->nodes, g->node));
    g->here = false;
}

static void facts_answered(void *arg, int status, fh_str body, const fh_err *why)
{
    guest *g = arg;
    fh_err *err = NULL;
    const fh_json *facts;
    fh_node_ask wants;
    FH_AUTO(json) fh_json *doc = answer_of(g, status, body, why);
    if (!doc || !g->node) return; /* it has come on another link meanwhile */
    int rc = pool_facts_read(doc, &facts, &wants, &err);
    if (!rc) rc = fh_nodes_told(g->service->nodes, g->node, facts, &wants, &err);
    if (rc)
        refuse(g, err);
    else
        tell_here(g);
}

static guest *guest_of(const fh_pool_service *s, int64_t node)
{
    guest *g = s->guests;
    while (g && g->node != node) g = g->next;
    return g;
}

static int take_in(guest *g, int64_t now_utc_ns, fh_err **err)
{
    const fh_link_peer *peer = fh_link_peer_get(g->link);
    int64_t node;
    int rc = fh_nodes_admit(g->service->nodes, &peer->cert, now_utc_ns, &node, err);
    if (rc) return rc;
    guest *before = guest_of(g->service, node);
    if (before) {
        tell_left(before);
        before->node = 0;
        fh_link_close(before->link, FH_E_UNAVAILABLE, "this machine has come on another connection");
    }
    g->node = node;
    return fh_nodes_came(g->service->nodes, node, &peer->cert, peer->expires_s * FH_NS_PER_S, now_utc_ns, err);
}

static void came(guest *g)
{
    fh_err *err = NULL;
    int64_t now = g->service->now();
    if (take_in(g, now, &err)) {
        refuse(g, err);
        return;
    }
    const fh_node *node = fh_nodes_find_id(g->service->nodes, g->node);
    fh_log(FH_LOG_INFO, "pool", "here node=%lld name=%s from=%s", (long long)g->node, node->name, fh_link_peer_get(g->link)->address);
    ask(g, "GET", "/v1/facts", (fh_str){NULL, 0}, facts_answered);
    renew(g, now);
}

static void on_up(void *arg, fh_link *l)
{
    fh_pool_service *s = arg;
    guest *g = fh_calloc(1, sizeof *g);
    fh_link_ctx_set(l, g);
    if (!g) {
        fh_link_close(l, FH_E_BUSY, "the server is out of memory");
        return;
    }
    *g = (guest){.service = s, .link = l, .next = s->guests};
    s->guests = g;
    if (fh_link_peer_get(l)->certified)
        came(g);
    else
        ask(g, "GET", "/v1/join", (fh_str){NULL, 0}, join_answered);
}

static void on_gone(void *arg, fh_link *l, const fh_err *why)
{
    fh_pool_service *s = arg;
    fh_err *err = NULL;
    guest *g = fh_link_ctx(l), **at = &s->guests;
    if (!g) return;
    while (*at != g) at = &(*at)->next;
    *at = g->next;
    tell_left(g);
    if (g->node) fh_log(FH_LOG_INFO, "pool", "gone node=%lld: %s", (long long)g->node, fh_err_message(why));
    if (g->node && fh_nodes_left(s->nodes, g->node, s->now(), &err))
        fh_log_err(FH_LOG_WARN, "pool", err, "it is not written down when node %lld was seen last", (long long)g->node);
    fh_err_free(err);
    fh_free(g);
}

/* Strangers may only come while somebody is expected. */
static bool admit(void *arg, const fh_link_peer *peer, fh_err **why)
{
    fh_pool_service *s = arg;
    int64_t now = s->now(), node;
    if (peer->certified) return fh_nodes_admit(s->nodes, &peer->cert, now, &node, why) == 0;
    if (fh_nodes_expect(s->nodes, now)) return true;
    fh_err_set(why, FH_E_FORBIDDEN, "nobody is expected here: no join token is open; `freehold node token` on the server's side makes one");
    return false;
}

/* ---- as time passes ---- */

static void measured(void *arg, int64_t node, const fh_node_measured *m)
{
    fh_pool_service *s = arg;
    fh_err *err = NULL;
    if (fh_nodes_measured(s->nodes, node, m, &err))
        fh_log_err(FH_LOG_WARN, "pool", err, "what was measured of node %lld is not written down", (long long)node);
    fh_err_free(err);
    if (s->on_measured) s->on_measured(s->arg, fh_nodes_find_id(s->nodes, node));
}

static void watch(void *arg)
{
    fh_pool_service *s = arg;
    fh_err *err = NULL;
    int64_t now = s->now();
    for (guest *g = s->guests; g; g = g->next) {
        if (!g->node) continue;
        fh_nodes_seen(s->nodes, g->node, now);
        renew(g, now);
    }
    if (fh_nodes_write_seen(s->nodes, &err)) fh_log_err(FH_LOG_WARN, "pool", err, "it is not written down when nodes were seen last");
    fh_err_free(err);
    fh_timer_start(s->watch, WATCH_NS);
}

/* ---- the service ---- */

static int start(fh_pool_service *s, const fh_pool_service_config *c, fh_err **err)
{
    char file[1100];
    bool fresh = false;
    int rc = fh_dir_make(c->folder, 0700, err);
    if (!rc) rc = fh_path_join(file, sizeof file, c->folder, "authority.pem", err);
    if (!rc) rc = fh_pool_ca_open(&s->ca, file, s->now(), &fresh, err);
    if (rc) return rc;
    if (fresh && fh_nodes_count(s->nodes))
        fh_log(FH_LOG_WARN, "pool", "%s was not there and is made anew: the machines that joined before must join again", file);
    fh_link_listen_config listen = {.address = c->address,
                                    .cert_file = file,
                                    .key_file = file,
                                    .ca_file = file,
                                    .admit = admit,
                                    .on_up = on_up,
                                    .on_gone = on_gone,
                                    .arg = s};
    rc = pool_examiner_new(&s->examiner, s->loop, s->now, measured, s, err);
    if (!rc) rc = fh_link_listen(&s->listener, s->loop, &listen, err);
    if (!rc) rc = fh_timer_new(&s->watch, s->loop, watch, s, err);
    if (!rc) fh_timer_start(s->watch, WATCH_NS);
    return rc;
}

int fh_pool_service_start(fh_pool_service **ret, fh_loop *l, const fh_pool_service_config *c, fh_err **err)
{
    FH_AUTO(fh_pool_service) fh_pool_service *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->loop = l;
    s->nodes = c->nodes;
    s->on_here = c->on_here;
    s->on_left = c->on_left;
    s->on_measured = c->on_measured;
    s->arg = c->arg;
    s->now = c->now_utc_ns ? c->now_utc_ns : fh_clock_utc_ns;
    int rc = start(s, c, err);
    if (!rc) *ret = fh_take(s);
    return rc;
}

void fh_pool_service_free(fh_pool_service *s)
{
    if (!s) return;
    fh_link_listener_free(s->listener);
    pool_examiner_free(s->examiner);
    fh_timer_free(s->watch);
    fh_pool_ca_close(s->ca);
    fh_free(s);
}

int fh_pool_service_port(const fh_pool_service *s)
{
    return fh_link_listener_port(s->listener);
}

const fh_link_digest *fh_pool_service_fingerprint(const fh_pool_service *s)
{
    return fh_pool_ca_fingerprint(s->ca);
}

void fh_pool_service_drop(fh_pool_service *s, int64_t node)
{
    guest *g = s ? guest_of(s, node) : NULL;
    if (g) fh_link_close(g->link, FH_E_FORBIDDEN, "this machine was removed from the pool");
}
