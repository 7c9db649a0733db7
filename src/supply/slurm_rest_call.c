/* Questions to slurmrestd (see slurm_rest.h). One that changes something is sent once, on a connection of its own; one that was not
 * answered is not repeated here. The token goes into a header and nowhere else. */
#include "slurm_rest.h"

#include "base/clock.h"
#include "sys/secret_file.h"

#include <stdio.h>
#include <time.h>

struct rest_call {
    slurm_rest *of;
    rest_call *next;
    fh_http_call *http;
    fh_buf reply;
    char mention[80];
    void (*done)(void *arg, const rest_reply *r);
    void *arg;
};

/* ---- the token ---- */

static int hint_to_renew(const slurm_rest *r, int code, fh_err **err)
{
    fh_err_hint(err, "renew it: scontrol token username=%s lifespan=SECONDS >%s", r->user, r->key_file);
    return code;
}

static int check_time(const slurm_rest *r, const char *token, fh_err **err)
{
    int64_t ends_s = fh_slurm_token_ends_s(fh_str_of(token));
    char when[32] = "";
    time_t t = (time_t)ends_s;
    struct tm at;
    if (!ends_s || ends_s > fh_clock_utc_ns() / FH_NS_PER_S) return 0;
    if (gmtime_r(&t, &at)) strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &at);
    fh_err_set(err, FH_E_UNAUTHENTICATED, "the token in %s is over since %s", r->key_file, when);
    return hint_to_renew(r, FH_E_UNAUTHENTICATED, err);
}

/* As `scontrol token` prints it, with SLURM_JWT= before it, or alone. Nothing else is sent: who may add a provider must not have another
 * secret of this machine sent to a server of their choice. */
int fh_slurm_rest_token(const char *file, char out[FH_LIMIT_SLURM_TOKEN_BYTES], fh_err **err)
{
    static const char before[] = "SLURM_JWT=";
    int rc = fh_secret_file_read(file, out, FH_LIMIT_SLURM_TOKEN_BYTES, err);
    if (rc) return rc;
    if (strncmp(out, before, sizeof before - 1) == 0) memmove(out, out + sizeof before - 1, strlen(out) - sizeof before + 2);
    if (fh_slurm_token_is(fh_str_of(out))) return 0;
    explicit_bzero(out, FH_LIMIT_SLURM_TOKEN_BYTES);
    fh_err_set(err, FH_E_INVALID, "%s holds no token of a slurmrestd, which is a JSON Web Token", file);
    fh_err_hint(err, "put into it what `scontrol token lifespan=SECONDS` prints");
    return FH_E_INVALID;
}

static int read_token(const slurm_rest *r, char out[FH_LIMIT_SLURM_TOKEN_BYTES], fh_err **err)
{
    int rc = fh_slurm_rest_token(r->key_file, out, err);
    if (!rc) rc = check_time(r, out, err);
    if (rc) explicit_bzero(out, FH_LIMIT_SLURM_TOKEN_BYTES);
    return rc;
}

/* ---- the answer ---- */

/* Slurm 22.05 has no words for a token that it does not take: it does not know what was wrong, or hears nothing from its controller. */
static bool is_about_token(int status, const fh_slurm_rest_error *e)
{
    return status == 401 || status == 403 || (status >= 500 && (e->number == -1 || strstr(e->words, "Zero Bytes"))) ||
           strstr(e->words, "uthenticat");
}

static void say_why(const slurm_rest *r, int status, const fh_slurm_rest_error *e, fh_err **err)
{
    fh_err_set(err, FH_E_UPSTREAM, "%s answers with %d%s%s", r->url, status, e->words[0] ? ": " : "", e->words);
    if (is_about_token(status, e))
        fh_err_hint(err, "if the token in %s is no longer good, renew it: scontrol token username=%s lifespan=SECONDS", r->key_file,
                    r->user);
}

/* Its words, none of them when a token begins in them (its header, an object in base64): what is there of it may have been cut off, or be
 * of one that was renewed meanwhile. */
static void read_error(const fh_json *doc, fh_slurm_rest_error *ret)
{
    fh_slurm_rest_error_read(doc, ret);
    if (strstr(ret->words, "eyJ")) snprintf(ret->words, sizeof ret->words, "an error");
}

static void tell(rest_call *c, int status, const fh_json *doc, fh_err **why)
{
    fh_slurm_rest_error e = {.number = 0};
    bool good = status >= 200 && status < 300;
    if (status) read_error(doc, &e);
    if (status && (!good || e.words[0])) say_why(c->of, status, &e, why);
    const rest_reply r = {.status = status,
                          .doc = doc,
                          .words = e.words,
                          .refused = e.words[0] && e.number > 0 && !is_about_token(status, &e) && !fh_slurm_is_passing(e.words),
                          .why = *why};
    c->done(c->arg, &r);
}

static void unlink_call(rest_call *c)
{
    rest_call **at = &c->of->open;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
}

static void read_reply(rest_call *c, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf thin = FH_BUF(c->reply.len + 1);
    fh_str text = {fh_buf_cstr(&c->reply), c->reply.len};
    if (c->mention[0]) fh_slurm_rest_thin(text, c->mention, &thin);
    if (c->mention[0] && fh_buf_ok(&thin)) text = (fh_str){fh_buf_cstr(&thin), thin.len};
    (void)fh_json_parse(ret, text, FH_LIMIT_SLURM_REPLY_BYTES, err);
}

static void on_done(void *arg, int status, const fh_err *failed)
{
    rest_call *c = arg;
    FH_AUTO(fh_err) fh_err *why = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    bool good = status >= 200 && status < 300;
    unlink_call(c);
    bool whole = !failed && fh_buf_ok(&c->reply);
    if (whole) read_reply(c, &doc, good ? &why : NULL);
    if (failed) fh_err_set(&why, FH_E_UPSTREAM, "%s does not answer: %s", c->of->url, fh_err_message(failed));
    if (!failed && !whole) fh_err_set(&why, FH_E_UPSTREAM, "%s answers with more than %d bytes", c->of->url, FH_LIMIT_SLURM_REPLY_BYTES);
    tell(c, whole ? status : 0, doc, &why);
    fh_buf_fini(&c->reply);
    fh_free(c);
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    fh_buf_add(&((rest_call *)arg)->reply, data, bytes);
    return true;
}

/* ---- the question ---- */

static int start(rest_call *c, const rest_question *q, fh_str body, fh_err **err)
{
    char token[FH_LIMIT_SLURM_TOKEN_BYTES];
    FH_AUTO(ptr) char *url = fh_asprintf("%s%s", c->of->url, q->path);
    if (!url) return fh_err_nomem(err);
    int rc = read_token(c->of, token, err);
    if (rc) return rc;
    const fh_header headers[] = {{FH_STR("X-SLURM-USER-NAME"), fh_str_of(c->of->user)},
                                 {FH_STR("X-SLURM-USER-TOKEN"), fh_str_of(token)},
                                 {FH_STR("Content-Type"), FH_STR("application/json")}};
    const fh_http_call_spec spec = {.method = q->method,
                                    .url = url,
                                    .once = strcmp(q->method, "GET") != 0,
                                    .headers = headers,
                                    .header_count = body.len ? 3 : 2,
                                    .body = body,
                                    .total_timeout_ns = FH_LIMIT_SLURM_COMMAND_MS * FH_NS_PER_MS,
                                    .on_data = on_data,
                                    .on_done = on_done,
                                    .arg = c};
    rc = fh_http_call_start(&c->http, c->of->client, &spec, err);
    explicit_bzero(token, sizeof token);
    return rc;
}

int fh_slurm_rest_ask(slurm_rest *r, const rest_question *q, fh_err **err)
{
    FH_AUTO(json) fh_json *held = q->body;
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    rest_call *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    *c = (rest_call){.of = r, .next = r->open, .reply = FH_BUF(FH_LIMIT_SLURM_REPLY_BYTES), .done = q->done, .arg = q->arg};
    snprintf(c->mention, sizeof c->mention, "%s", q->mention ? q->mention : "");
    int rc = held ? fh_json_write(held, &body, err) : 0;
    if (!rc) rc = start(c, q, (fh_str){held ? fh_buf_cstr(&body) : NULL, body.len}, err);
    if (rc)
        fh_free(c);
    else
        r->open = c;
    return rc;
}

void fh_slurm_rest_cancel_all(slurm_rest *r)
{
    while (r->open) {
        rest_call *c = r->open;
        r->open = c->next;
        fh_http_call_cancel(c->http);
        fh_buf_fini(&c->reply);
        fh_free(c);
    }
}
