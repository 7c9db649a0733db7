/* The machine's side of the pool (see pool/member.h). */
#include "pool/member.h"
#include "answers.h"
#include "examined.h"
#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>

struct fh_pool_member {
    fh_pool_member_config config;
    fh_link_dial *dial;
    bool joining, here;
    pool_examined *examined;
    fh_pool_key *fresh; /* of a certificate that was asked for and has not come */
};

static const fh_membership *membership(const fh_pool_member *m)
{
    return m->joining ? fh_identity_joining(m->config.identity) : fh_identity_joined(m->config.identity);
}

/* ---- answers ---- */

static void reply_error(fh_link_req *r, int status, const char *what)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    fh_buf_adds(&text, "{\"detail\":");
    fh_buf_add_json_string(&text, what, strlen(what));
    fh_buf_addc(&text, '}');
    fh_link_reply(r, status, "application/problem+json", fh_buf_cstr(&text), text.len);
}

/* Takes doc and err. */
static void reply(fh_link_req *r, fh_json *doc, fh_err *err)
{
    FH_AUTO(json) fh_json *held = doc;
    FH_AUTO(buf) fh_buf text = FH_BUF(2 * FH_LIMIT_NODE_FACTS_BYTES);
    int rc = err ? fh_err_code(err) : held ? fh_json_write(held, &text, &err) : fh_err_nomem(&err);
    if (rc)
        reply_error(r, 500, fh_err_message(err));
    else
        fh_link_reply(r, 200, POOL_JSON, fh_buf_cstr(&text), text.len);
    fh_err_free(err);
}

static void say_join(fh_pool_member *m, fh_link_req *r)
{
    const fh_membership *own = membership(m);
    char request[FH_POOL_PEM];
    fh_err *err = NULL;
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL;
    int rc = fh_pool_key_read(&key, fh_str_of(own->key), &err);
    if (!rc) rc = fh_pool_key_request(key, request, &err);
    reply(r, rc ? NULL : pool_join_json(fh_str_of(own->token), own->name, &own->ask, request), err);
}

static void say_facts(fh_pool_member *m, fh_link_req *r)
{
    const fh_membership *own = membership(m);
    reply(r, pool_facts_json(m->config.facts, &own->ask), NULL);
}

static void say_request(fh_pool_member *m, fh_link_req *r)
{
    char request[FH_POOL_PEM];
    fh_err *err = NULL;
    fh_pool_key_free(fh_take(m->fresh));
    int rc = fh_pool_key_new(&m->fresh, &err);
    if (!rc) rc = fh_pool_key_request(m->fresh, request, &err);
    reply(r, rc ? NULL : pool_request_json(request), err);
}

static int keep(fh_pool_member *m, fh_str body, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    fh_str certificate, name;
    fh_identity *id = m->config.identity;
    int rc = fh_json_parse(&doc, body, 2 * FH_POOL_PEM, err);
    if (!rc) rc = pool_certificate_read(doc, &certificate, &name, err);
    if (!rc && !m->joining && !m->fresh) rc = fh_err_set(err, FH_E_CONFLICT, "no certificate was asked for");
    if (!rc) rc = m->joining ? fh_identity_certified(id, certificate, name, err) : fh_identity_renewed(id, m->fresh, certificate, err);
    if (rc) return rc;
    fh_pool_key_free(fh_take(m->fresh));
    const char *file = fh_identity_pem_file(id);
    return fh_link_dial_files(m->dial, file, file, err);
}

/* It is stored before it is said that it was taken. */
static void take_certificate(fh_pool_member *m, fh_link_req *r)
{
    fh_err *err = NULL;
    fh_link *l = fh_link_req_link(r);
    if (keep(m, fh_link_req_body(r), &err)) {
        fh_log_err(FH_LOG_WARN, "node", err, "the certificate that the server sent is not taken");
        reply(r, NULL, err);
        return;
    }
    fh_link_reply(r, 204, NULL, NULL, 0);
    if (!m->joining) return;
    m->joining = false;
    if (m->config.on_joined) m->config.on_joined(m->config.arg);
    fh_link_close(l, FH_E_UNAVAILABLE, "it comes again with its certificate");
    fh_link_dial_now(m->dial);
}

typedef struct question {
    const char *method, *path;
    bool joining; /* it is asked of who joins, or else of who has joined */
    void (*answer)(fh_pool_member *m, fh_link_req *r);
} question;

static const question questions[] = {
    {"GET", "/v1/join", true, say_join},
    {"PUT", "/v1/certificate", true, take_certificate},
    {"PUT", "/v1/certificate", false, take_certificate},
    {"GET", "/v1/certificate-request", false, say_request},
    {"GET", "/v1/facts", false, say_facts},
};

static const question *question_of(const fh_pool_member *m, const fh_link_req *r)
{
    for (size_t i = 0; i < FH_COUNT(questions); i++) {
        const question *q = &questions[i];
        if (q->joining == m->joining && fh_str_eqs(fh_link_req_path(r), q->path) && fh_str_eqs(fh_link_req_method(r), q->method)) return q;
    }
    return NULL;
}

static void on_head(void *arg, fh_link_req *r)
{
    fh_pool_member *m = arg;
    if (m->joining || question_of(m, r)) return;
    if (pool_examined_is(r))
        pool_examined_head(r);
    else if (m->config.on_head)
        m->config.on_head(m->config.arg, r);
}

static void on_request(void *arg, fh_link_req *r)
{
    fh_pool_member *m = arg;
    const question *q = question_of(m, r);
    if (q)
        q->answer(m, r);
    else if (!m->joining && pool_examined_is(r))
        pool_examined_answer(m->examined, r);
    else if (!m->joining && m->config.on_request)
        m->config.on_request(m->config.arg, r);
    else
        reply_error(r, 404, "this machine does not answer that");
}

static void on_tunnel(void *arg, fh_link_req *r)
{
    fh_pool_member *m = arg;
    if (!m->joining && m->config.on_tunnel)
        m->config.on_tunnel(m->config.arg, r);
    else
        reply_error(r, 404, "there is nothing of that name here");
}

/* ---- the link ---- */

static void on_up(void *arg, fh_link *l)
{
    fh_pool_member *m = arg;
    m->here = !m->joining;
    if (m->here && m->config.on_here) m->config.on_here(m->config.arg, l);
}

static void failed(fh_pool_member *m, const fh_err *why)
{
    if (m->config.on_failed) m->config.on_failed(m->config.arg, why);
}

/* A link that was only for joining and is over because that is done is no failure. */
static void on_gone(void *arg, fh_link *l, const fh_err *why)
{
    fh_pool_member *m = arg;
    bool was_here = m->here;
    m->here = false;
    fh_pool_key_free(fh_take(m->fresh));
    if (was_here && m->config.on_gone)
        m->config.on_gone(m->config.arg, l, why);
    else if (!was_here && m->joining)
        failed(m, why);
}

static void on_failed(void *arg, const fh_err *why, int64_t again_ns)
{
    (void)again_ns;
    failed(arg, why);
}

int fh_pool_member_start(fh_pool_member **ret, fh_loop *l, const fh_pool_member_config *c, fh_err **err)
{
    FH_AUTO(fh_pool_member) fh_pool_member *m = fh_calloc(1, sizeof *m);
    if (!m) return fh_err_nomem(err);
    m->config = *c;
    m->joining = c->joins;
    const fh_membership *own = membership(m);
    const char *file = m->joining ? NULL : fh_identity_pem_file(c->identity);
    fh_link_dial_config dial = {.host = own->server.host,
                                .port = own->server.port,
                                .resolver = c->resolver,
                                .pins = &own->pin,
                                .pin_count = 1,
                                .cert_file = file,
                                .key_file = file,
                                .on_up = on_up,
                                .on_gone = on_gone,
                                .on_failed = on_failed,
                                .on_head = on_head,
                                .on_request = on_request,
                                .on_tunnel = on_tunnel,
                                .arg = m,
                                .times = c->times};
    int rc = pool_examined_new(&m->examined, l, c->lends, c->arg, err);
    if (!rc) rc = fh_link_dial_new(&m->dial, l, &dial, err);
    if (!rc) *ret = fh_take(m);
    return rc;
}

void fh_pool_member_free(fh_pool_member *m)
{
    if (!m) return;
    fh_link_dial_free(m->dial);
    pool_examined_free(m->examined);
    fh_pool_key_free(m->fresh);
    fh_free(m);
}
