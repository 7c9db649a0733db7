/* Questions to providers (see call.h). A request that may make something is sent once, on a connection of its own; one that was not
 * answered is not repeated here: the renter decides that. */
#include "call.h"

#include "base/clock.h"
#include "sys/secret_file.h"
#include <stdio.h>

struct rent_call {
    rent_account *account;
    rent_call *next;
    fh_http_call *http;
    fh_buf reply;
    void (*answered)(const rent_answer *a);
    rent_done done;
    void *arg;
    bool frees;
};

/* ---- the key ---- */

int fh_rent_key_read(const char *file, char out[256], fh_err **err)
{
    return fh_secret_file_read(file, out, 256, err);
}

int fh_rent_key_check(const char *key_file, fh_err **err)
{
    char key[256];
    int rc = fh_rent_key_read(key_file, key, err);
    explicit_bzero(key, sizeof key);
    return rc;
}

/* ---- the answer ---- */

static const fh_json *message_of(const fh_json *doc)
{
    static const char *const names[] = {"detail", "title", "msg", "message"};
    const fh_json *error = fh_json_get(doc, "error");
    if (fh_json_get(error, "message")) return fh_json_get(error, "message");
    for (size_t i = 0; i < FH_COUNT(names); i++)
        if (fh_json_str(fh_json_get(doc, names[i])).len) return fh_json_get(doc, names[i]);
    return error;
}

/* The provider's own words, a few of them; none when it repeats the key. */
static void say_why(const rent_call *c, int status, const fh_json *doc, fh_err **err)
{
    char key[256] = "";
    fh_str said = fh_json_str(message_of(doc));
    bool known = !fh_rent_key_read(c->account->key_file, key, NULL);
    if (!known || fh_str_find(said, fh_str_of(key)) < said.len) said = (fh_str){"", 0};
    explicit_bzero(key, sizeof key);
    fh_err_set(err, FH_E_UPSTREAM, "%s answers with %d%s%.*s", c->account->url, status, said.len ? ": " : "",
               (int)FH_MIN(said.len, (size_t)160), said.ptr ? said.ptr : "");
    if (status == 401 || status == 403) fh_err_hint(err, "the key is refused: check %s", c->account->key_file);
}

static void unlink_call(rent_call *c)
{
    rent_call **at = &c->account->open;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
}

static void on_done(void *arg, int status, const fh_err *failed)
{
    rent_call *c = arg;
    FH_AUTO(fh_err) fh_err *why = NULL;
    FH_AUTO(json) fh_json *doc = NULL;
    bool good = status >= 200 && status < 300;
    unlink_call(c);
    if (!failed && c->reply.len)
        (void)fh_json_parse(&doc, (fh_str){fh_buf_cstr(&c->reply), c->reply.len}, FH_LIMIT_RENT_REPLY_BYTES, good ? &why : NULL);
    if (!failed && !fh_buf_ok(&c->reply)) (void)fh_buf_check(&c->reply, &why, "the answer");
    if (failed)
        fh_err_set(&why, FH_E_UPSTREAM, "%s does not answer: %s", c->account->url, fh_err_message(failed));
    else if (!good)
        say_why(c, status, doc, &why);
    rent_answer a = {.account = c->account, .status = failed ? 0 : status, .doc = doc, .why = why, .done = c->done, .arg = c->arg};
    c->answered(&a);
    fh_buf_fini(&c->reply);
    fh_free(c);
}

static bool on_data(void *arg, const void *data, size_t bytes)
{
    fh_buf_add(&((rent_call *)arg)->reply, data, bytes);
    return true;
}

/* ---- the question ---- */

static int start(rent_call *c, const rent_question *q, const fh_buf *body, fh_err **err)
{
    char key[256], bearer[300];
    FH_AUTO(ptr) char *url = fh_asprintf("%s%s", c->account->url, q->path);
    if (!url) return fh_err_nomem(err);
    int rc = fh_rent_key_read(c->account->key_file, key, err);
    if (rc) return rc;
    snprintf(bearer, sizeof bearer, "Bearer %s", key);
    const fh_header headers[] = {{FH_STR("Authorization"), fh_str_of(bearer)}, {FH_STR("Content-Type"), FH_STR("application/json")}};
    fh_http_call_spec spec = {.method = q->method,
                              .url = url,
                              .once = strcmp(q->method, "GET") != 0,
                              .headers = headers,
                              .header_count = q->body ? 2 : 1,
                              .body = {q->body ? fh_buf_cstr(body) : NULL, body->len},
                              .total_timeout_ns = FH_LIMIT_RENT_CALL_MS * FH_NS_PER_MS,
                              .on_data = on_data,
                              .on_done = on_done,
                              .arg = c};
    if (q->body && fh_str_find((fh_str){fh_buf_cstr(body), body->len}, fh_str_of(key)) < body->len)
        rc = fh_err_set(err, FH_E_FORBIDDEN, "the account's key would be sent to a rented machine");
    else
        rc = fh_http_call_start(&c->http, c->account->client, &spec, err);
    explicit_bzero(key, sizeof key);
    explicit_bzero(bearer, sizeof bearer);
    return rc;
}

int fh_rent_ask(rent_account *a, const rent_question *q, fh_err **err)
{
    FH_AUTO(json) fh_json *held = q->body;
    FH_AUTO(buf) fh_buf body = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    rent_call *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    *c = (rent_call){.account = a,
                     .next = a->open,
                     .reply = FH_BUF(FH_LIMIT_RENT_REPLY_BYTES),
                     .answered = q->answered,
                     .done = q->done,
                     .arg = q->arg,
                     .frees = q->frees};
    int rc = held ? fh_json_write(held, &body, err) : 0;
    if (!rc) rc = start(c, q, &body, err);
    if (rc)
        fh_free(c);
    else
        a->open = c;
    return rc;
}

/* ---- what it comes to ---- */

fh_rent_reply fh_rent_reply_of(int status)
{
    if (status >= 200 && status < 300) return FH_RENT_DONE;
    if (status == 429) return FH_RENT_BUSY;
    if (status == 404 || status == 410) return FH_RENT_GONE;
    return status >= 400 && status < 500 && status != 408 ? FH_RENT_REFUSED : FH_RENT_UNSURE;
}

void fh_rent_tell_ended(const rent_answer *a)
{
    a->done.ended(a->arg, fh_rent_reply_of(a->status), a->why);
}

fh_rent_offer *fh_rent_offers_add(rent_offers *l)
{
    if (l->count == FH_LIMIT_RENT_OFFERS) return NULL;
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        fh_rent_offer *more = fh_realloc_array(l->rows, room, sizeof *more);
        if (!more) return NULL;
        l->rows = more;
        l->room = room;
    }
    fh_rent_offer *o = &l->rows[l->count++];
    *o = (fh_rent_offer){.currency = "USD"};
    return o;
}

static const rent_adapter *adapter_of(const fh_rent_profile *p)
{
    static const rent_adapter *const adapters[] = {&fh_rent_runpod, &fh_rent_vast, &fh_rent_lambda, &fh_rent_skypilot};
    size_t i = FH_COUNT(adapters) - 1; /* each profile has one */
    while (i > 0 && strcmp(adapters[i]->kind, p->kind) != 0) i--;
    return adapters[i];
}

int fh_rent_offers_read(const fh_rent_profile *p, const fh_json *doc, fh_rent_offer **ret, size_t *ret_count, fh_err **err)
{
    rent_offers l = {.rows = NULL};
    int rc = adapter_of(p)->read_offers(doc, &l, err);
    if (rc) {
        fh_free(l.rows);
        return rc;
    }
    *ret = l.rows;
    *ret_count = l.count;
    return 0;
}

void fh_rent_tell_offers(const rent_answer *a)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(ptr) fh_rent_offer *list = NULL;
    size_t count = 0;
    if (!a->why) (void)fh_rent_offers_read(a->account->profile, a->doc, &list, &count, &err);
    a->done.offers(a->arg, list, count, a->why ? a->why : err);
}

/* A list is whole or it is none: half of one would make machines look gone. */
static int check_whole(const fh_json *doc, const fh_json *rows, fh_err **err)
{
    static const char *const more[] = {"next_token", "nextToken", "next_page_token", "nextPageToken", "next_cursor", "nextCursor", "next"};
    const fh_json *paging = fh_json_get(doc, "pagination");
    bool paged = fh_json_is_true(fh_json_get(paging, "hasNextPage"));
    if (fh_json_kind_of(rows) != FH_JSON_ARRAY) return fh_err_set(err, FH_E_UPSTREAM, "the provider's list of machines is none");
    for (size_t i = 0; i < FH_COUNT(more); i++)
        paged |=
            fh_json_kind_of(fh_json_get(doc, more[i])) != FH_JSON_NULL || fh_json_kind_of(fh_json_get(paging, more[i])) != FH_JSON_NULL;
    if (paged) return fh_err_set(err, FH_E_UPSTREAM, "the provider's list of machines has more pages than are known how to read");
    if (fh_json_count(rows) > FH_LIMIT_RENT_MACHINES)
        return fh_err_set(err, FH_E_TOO_LARGE, "there are more than %d machines on the account", FH_LIMIT_RENT_MACHINES);
    return 0;
}

int fh_rent_machines_read(const fh_rent_profile *p, const fh_json *doc, fh_rent_machine **ret, size_t *ret_count, fh_err **err)
{
    const rent_adapter *by = adapter_of(p);
    const fh_json *rows = fh_json_get(doc, by->machines);
    size_t count = fh_json_count(rows);
    int rc = check_whole(doc, rows, err);
    if (rc) return rc;
    FH_AUTO(ptr) fh_rent_machine *list = fh_calloc(count + 1, sizeof *list);
    if (!list) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        by->read_machine(fh_json_at(rows, i), &list[i]);
        if (!list[i].id[0]) return fh_err_set(err, FH_E_UPSTREAM, "the provider lists a machine without an id");
    }
    *ret = fh_take(list);
    *ret_count = count;
    return 0;
}

void fh_rent_tell_list(const rent_answer *a)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(ptr) fh_rent_machine *list = NULL;
    size_t count = 0;
    if (!a->why) (void)fh_rent_machines_read(a->account->profile, a->doc, &list, &count, &err);
    a->done.list(a->arg, list, count, a->why ? a->why : err);
}

/* ---- what was charged ---- */

int fh_rent_charged_read(const fh_rent_profile *p, const fh_json *doc, const char *machine, int64_t *ret_micro, fh_err **err)
{
    const rent_adapter *by = adapter_of(p);
    if (!by->read_charged) return fh_err_set(err, FH_E_NOT_FOUND, "%s does not say what it charges for a machine", p->kind);
    return by->read_charged(doc, machine, ret_micro, err);
}

/* Whose machine that was is no part of the answer's head: it is the argument, with what is to be called. */
typedef struct charging {
    fh_rent_billed_fn *done;
    void *arg;
    char machine[FH_RENT_ID_CHARS];
} charging;

static void charged(const rent_answer *a)
{
    FH_AUTO(ptr) charging *c = a->arg;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t micro = -1;
    if (!a->why) (void)fh_rent_charged_read(a->account->profile, a->doc, c->machine, &micro, &err);
    c->done(c->arg, micro, a->why ? a->why : err);
}

int fh_rent_ask_charged(rent_account *a, const char *path, const char *machine, fh_rent_billed_fn *done, void *arg, fh_err **err)
{
    charging *c = fh_calloc(1, sizeof *c);
    if (!c) return fh_err_nomem(err);
    *c = (charging){.done = done, .arg = arg};
    snprintf(c->machine, sizeof c->machine, "%s", machine);
    rent_question q = {.method = "GET", .path = path, .answered = charged, .done = {.billed = done}, .arg = c, .frees = true};
    int rc = fh_rent_ask(a, &q, err);
    if (rc) fh_free(c);
    return rc;
}

/* ---- opening ---- */

static void close_account(void *ctx)
{
    rent_account *a = ctx;
    if (!a) return;
    while (a->open) {
        rent_call *c = a->open;
        a->open = c->next;
        fh_http_call_cancel(c->http);
        fh_buf_fini(&c->reply);
        if (c->frees) fh_free(c->arg);
        fh_free(c);
    }
    fh_free(a->key_file);
    fh_free(a);
}

int fh_rental_open(fh_rental *ret, const fh_rent_profile *p, fh_http_client *client, const fh_rent_account *account, fh_err **err)
{
    if (p->commands) return fh_rent_skypilot_open(ret, p, account, err);
    int rc = fh_rent_key_check(account->key_file, err);
    if (rc) return rc;
    rent_account *a = fh_calloc(1, sizeof *a);
    if (a) a->key_file = fh_strdup(account->key_file);
    if (!a || !a->key_file) {
        fh_free(a);
        return fh_err_nomem(err);
    }
    a->profile = p;
    a->client = client;
    snprintf(a->url, sizeof a->url, "%s", account->url && account->url[0] ? account->url : p->url);
    snprintf(a->ssh_key, sizeof a->ssh_key, "%s", account->ssh_key ? account->ssh_key : "");
    fh_rental port = {.profile = p, .ctx = a, .free = close_account};
    adapter_of(p)->fill(&port);
    *ret = port;
    return 0;
}
