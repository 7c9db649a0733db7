/* A request of the Responses API: its past is loaded, its references are resolved, and it becomes a chat request like any other; when it is
 * answered, the answer is kept (see responses.h). */
#include "responses.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "wire/responses.h"

#include <stdio.h>
#include <string.h>

enum { KEPT_MAX = 3 * FH_LIMIT_JSON_BODY_BYTES };

struct fh_turn {
    fh_response_store *store;
    bool keep;             /* the answer */
    fh_response_load load; /* of the past that it makes use of */
    char id[80], key[16];
    char *previous; /* owned; "" for none */
    fh_json *input; /* owned: items */
};

/* ---- items that a request refers to ---- */

typedef struct finder {
    fh_turn *turn;
    fh_str key;
    const fh_json *history;
    fh_err *why;           /* owned: an item could not be looked for */
    fh_kept_response last; /* the response that was looked into last */
    char last_id[96];
} finder;

static const fh_json *find_in(const fh_json *items, fh_str id)
{
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *item = fh_json_at(items, i);
        if (fh_str_eq(fh_json_str(fh_json_get(item, "id")), id)) return item;
    }
    return NULL;
}

/* "msg_CORE_3" was made for the response "resp_CORE"; ids that clients made say nothing. */
static bool response_of(fh_str item_id, char *out, size_t out_size)
{
    size_t from = fh_str_find(item_id, FH_STR("_")) + 1;
    if (from >= item_id.len) return false;
    fh_str core = {item_id.ptr + from, item_id.len - from};
    core.len = fh_str_find(core, FH_STR("_"));
    return core.len && snprintf(out, out_size, "resp_%.*s", (int)core.len, core.ptr) < (int)out_size;
}

static const fh_json *find_item(void *ctx, fh_str id)
{
    finder *f = ctx;
    char response[96];
    const fh_json *found = find_in(f->history, id);
    if (found || f->why || !f->turn->store || !id.len || !response_of(id, response, sizeof response)) return found;
    if (strcmp(response, f->last_id) != 0) {
        fh_kept_response_fini(&f->last);
        f->last_id[0] = '\0';
        int rc = fh_response_store_load(f->turn->store, &f->turn->load, f->key, fh_str_of(response), fh_clock_utc_ns(), &f->last, &f->why);
        if (rc == FH_E_NOT_FOUND) fh_err_free(fh_take(f->why));
        if (rc) return NULL;
        snprintf(f->last_id, sizeof f->last_id, "%s", response);
    }
    found = find_in(fh_json_get(f->last.response, "output"), id);
    return found ? found : find_in(f->last.input, id);
}

/* ---- reading ---- */

static int load_history(fh_turn *t, fh_str key, const fh_json *doc, fh_json **ret, fh_err **err)
{
    fh_str previous = {NULL, 0};
    int rc = fh_json_read_str(doc, "previous_response_id", false, &previous, err);
    t->previous = fh_strndup(previous.ptr ? previous.ptr : "", previous.len);
    if (rc == 0 && !t->previous) rc = fh_err_nomem(err);
    if (rc || !previous.ptr || !t->store) return rc;
    rc = fh_response_store_chain(t->store, &t->load, key, previous, fh_clock_utc_ns(), ret, err);
    if (rc == FH_E_NOT_FOUND) {
        rc = fh_err_set(err, FH_E_INVALID, "the previous response, or one before it, is not kept here for this key");
        fh_err_reason(err, "previous_response_not_found");
        fh_err_hint(err, "send the whole conversation as 'input'");
    }
    if (rc == FH_E_INVALID) fh_err_param(err, "previous_response_id");
    return rc;
}

/* doc with another value of key (taken). */
static fh_json *changed(const fh_json *doc, const char *key, fh_json *value)
{
    FH_AUTO(json) fh_json *copy = fh_json_new_object();
    fh_str name;
    const fh_json *v;
    bool ok = copy != NULL;
    for (void *it = NULL; ok && fh_json_next(doc, &it, &name, &v);) {
        FH_AUTO(ptr) char *text = fh_strndup(name.ptr, name.len);
        ok = text && fh_json_set(copy, text, fh_json_ref((fh_json *)(uintptr_t)v));
    }
    if (!ok) fh_json_unref(value);
    return ok && fh_json_set(copy, key, value) ? fh_take(copy) : NULL;
}

static bool is_list(const fh_json *v)
{
    return fh_json_kind_of(v) == FH_JSON_ARRAY;
}

/* The chat request. Only a list may hold references, so only a list is replaced by its whole items. */
static int translate(fh_turn *t, finder *f, const fh_json *doc, fh_json **ret_chat, fh_err **err)
{
    int rc = fh_wire_responses_input(doc, t->id, find_item, f, &t->input, err);
    fh_kept_response_fini(&f->last);
    if (f->why) {
        rc = fh_err_code(f->why);
        fh_err_move(err, &f->why);
        fh_err_free(f->why);
    }
    if (rc) return rc;
    bool list = is_list(fh_json_get(doc, "input"));
    FH_AUTO(json) fh_json *resolved = list ? changed(doc, "input", fh_json_ref(t->input)) : NULL;
    if (list && !resolved) return fh_err_nomem(err);
    return fh_wire_responses_to_chat(list ? resolved : doc, f->history, ret_chat, err);
}

/* What is refused later is named as the client knows it. */
static void rename_needs(fh_wire_request *r)
{
    for (int i = 0; i < FH_NEEDS; i++) {
        char name[sizeof r->need_params[i]];
        fh_wire_responses_param(r->need_params[i], name, sizeof name);
        memcpy(r->need_params[i], name, sizeof name);
    }
}

static int read_doc(fh_turn *t, fh_str key, fh_json *doc, fh_ask *ret_ask, fh_err **err)
{
    FH_AUTO(json) fh_json *history = NULL;
    fh_json *chat = NULL;
    bool keep = true;
    int rc = fh_json_read_bool(doc, "store", false, &keep, err);
    if (rc == 0) rc = load_history(t, key, doc, &history, err);
    finder f = {.turn = t, .key = key, .history = history};
    if (rc == 0) rc = translate(t, &f, doc, &chat, err);
    if (rc) return rc;
    rc = fh_wire_chat_take(&ret_ask->common, chat, err);
    if (rc) {
        fh_wire_responses_err(err);
        return rc;
    }
    rename_needs(&ret_ask->common);
    t->keep = keep && t->store;
    ret_ask->original = keep != t->keep ? changed(doc, "store", fh_json_new_bool(false)) : fh_json_ref(doc); /* what is said is done */
    return ret_ask->original ? 0 : fh_err_nomem(err);
}

static fh_turn *turn_new(fh_response_store *store, const char *request_id, fh_str key)
{
    fh_turn *t = fh_calloc(1, sizeof *t);
    const char *core = strncmp(request_id, "req_", 4) == 0 ? request_id + 4 : request_id;
    if (!t) return NULL;
    t->store = store;
    snprintf(t->id, sizeof t->id, "%s", core);
    snprintf(t->key, sizeof t->key, "%.*s", (int)key.len, key.ptr);
    return t;
}

int fh_turn_new(fh_turn **ret, fh_ask *ret_ask, fh_response_store *store, bool keep, const char *request_id, fh_str key_id, fh_str body,
                fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    fh_ask ask = {.dialect = FH_DIALECT_RESPONSES, .body = body};
    int rc = fh_json_parse(&doc, body, FH_LIMIT_JSON_BODY_BYTES, err);
    if (rc) return fh_err_add(err, "the request body");
    fh_turn *t = turn_new(store, request_id, key_id);
    rc = t ? read_doc(t, key_id, doc, &ask, err) : fh_err_nomem(err);
    if (rc == 0) t->keep &= keep;
    if (rc) {
        fh_ask_fini(&ask);
        fh_turn_free(t);
        return rc;
    }
    *ret_ask = ask;
    *ret = t;
    return 0;
}

void fh_turn_free(fh_turn *t)
{
    if (!t) return;
    if (t->store) fh_response_store_unload(t->store, &t->load);
    fh_free(t->previous);
    fh_json_unref(t->input);
    fh_free(t);
}

bool fh_turn_keeps(const fh_turn *t)
{
    return t->keep;
}

const char *fh_turn_id(const fh_turn *t)
{
    return t->id;
}

/* ---- keeping ---- */

static int keep(const fh_turn *t, const fh_json *response, fh_err **err)
{
    FH_AUTO(buf) fh_buf input = FH_BUF(KEPT_MAX), text = FH_BUF(KEPT_MAX);
    int rc = fh_json_write(t->input, &input, err);
    if (rc == 0) rc = fh_json_write(response, &text, err);
    if (rc == 0) rc = fh_buf_check(&input, err, "the input to be kept");
    if (rc == 0) rc = fh_buf_check(&text, err, "the response to be kept");
    fh_stored_response r = {.id = fh_json_str(fh_json_get(response, "id")),
                            .key = fh_str_of(t->key),
                            .previous = fh_str_of(t->previous),
                            .created_utc_ns = fh_clock_utc_ns(),
                            .input = {input.data, input.len},
                            .response = {text.data, text.len}};
    return rc ? rc : fh_response_store_put(t->store, &r, err);
}

void fh_turn_keep(const fh_turn *t, const fh_wire_writer *w)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_json *response = fh_wire_responses_final(w);
    if (!t->keep || !response) return;
    if (keep(t, response, &err)) fh_log_err(FH_LOG_WARN, "gateway", err, "a response is not kept");
}
