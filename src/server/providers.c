/* Hosted endpoints (see providers.h). */
#include "providers.h"

#include "json/json.h"
#include "supplies.h"
#include "wire/messages.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct fh_providers {
    pthread_rwlock_t lock;
    fh_db *db;
    fh_provider *list[FH_LIMIT_PROVIDERS];
    size_t count;
};

void fh_provider_free(fh_provider *p)
{
    if (!p) return;
    explicit_bzero(p->secret, sizeof p->secret);
    fh_free(p->models);
    fh_model_tokenizers_fini(&p->tokenizers);
    fh_free(p);
}

/* ---- models ---- */

static int keep_ids(fh_provider *p, const fh_json *data, fh_err **err)
{
    size_t count = FH_MIN(fh_json_count(data), (size_t)FH_LIMIT_PROVIDER_MODELS);
    char(*models)[128] = fh_calloc(count + 1, sizeof *models);
    if (!models) return fh_err_nomem(err);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        fh_str id = fh_json_str(fh_json_get(fh_json_at(data, i), "id"));
        if (id.len && id.len < sizeof *models) memcpy(models[n++], id.ptr, id.len);
    }
    fh_free(p->models);
    p->models = models;
    p->model_count = n;
    return 0;
}

static void know_engine(fh_provider *p, const fh_json *doc)
{
    fh_str owner = fh_json_str(fh_json_get(fh_json_at(fh_json_get(doc, "data"), 0), "owned_by"));
    const fh_json *able = fh_json_get(fh_json_at(fh_json_get(doc, "models"), 0), "capabilities");
    p->engine = p->dialect == FH_DIALECT_CHAT ? fh_engine_owning(owner) : NULL;
    p->takes_media = false;
    for (size_t i = 0; i < fh_json_count(able); i++) p->takes_media |= fh_str_eqs(fh_json_str(fh_json_at(able, i)), "multimodal");
}

/* Hosted endpoints can do what their APIs say: what a model behind one cannot, it refuses itself. Engines pass over what they do not know.
 */
uint32_t fh_provider_can(const fh_provider *p)
{
    uint32_t media = p->takes_media ? FH_NEED_BIT(IMAGES) | FH_NEED_BIT(AUDIO) : 0;
    if (p->dialect == FH_DIALECT_MESSAGES) return FH_WIRE_MESSAGES_CAN;
    return p->engine ? fh_engine_can(p->engine) | media : ~0u;
}

const char *fh_provider_kind(const fh_provider *p)
{
    if (p->rents) return p->rents->kind;
    if (p->supplies) return p->supplies->name;
    return p->dialect == FH_DIALECT_MESSAGES ? "anthropic" : "openai";
}

int fh_provider_read_models(fh_provider *p, fh_str body, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_err) fh_err *why = NULL;
    int rc = fh_json_parse(&doc, body, FH_LIMIT_JSON_BODY_BYTES, &why);
    const fh_json *data = fh_json_get(doc, "data");
    if (rc || fh_json_kind_of(data) != FH_JSON_ARRAY) {
        fh_err_set(err, FH_E_UPSTREAM, "%s/v1/models does not answer with a list of models%s%s", p->url, why ? ": " : "",
                   why ? fh_err_message(why) : "");
        fh_err_hint(err, "the URL is that of an endpoint that speaks OpenAI's or Anthropic's API, without /v1");
        return FH_E_UPSTREAM;
    }
    know_engine(p, doc);
    return keep_ids(p, data, err);
}

const char *fh_provider_serves(const fh_provider *p, const char *model)
{
    for (size_t i = 0; i < p->model_count; i++)
        if (strcmp(p->models[i], model) == 0) return p->models[i];
    return NULL;
}

/* ---- the database ---- */

static void copy(char *out, size_t out_size, fh_str s)
{
    snprintf(out, out_size, "%.*s", (int)FH_MIN(s.len, out_size - 1), s.ptr ? s.ptr : "");
}

static int load_tokenizers(fh_provider *p, fh_str text, fh_err **err)
{
    FH_AUTO(json) fh_json *list = NULL;
    int rc = fh_json_parse(&list, text, FH_LIMIT_CONTROL_BODY_BYTES, err);
    return rc ? rc : fh_model_tokenizers_read(list, &p->tokenizers, err);
}

static int load_prices(fh_provider *p, fh_str text, fh_err **err)
{
    FH_AUTO(json) fh_json *list = NULL;
    int rc = fh_json_parse(&list, text, FH_LIMIT_CONTROL_BODY_BYTES, err);
    return rc ? rc : fh_provider_prices_read(p, list, err);
}

static int load_row(fh_providers *all, fh_stmt *s, fh_err **err)
{
    FH_AUTO(fh_provider) fh_provider *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    copy(p->name, sizeof p->name, fh_stmt_str(s, 0));
    copy(p->url, sizeof p->url, fh_stmt_str(s, 1));
    copy(p->secret, sizeof p->secret, fh_stmt_str(s, 2));
    copy(p->key_file, sizeof p->key_file, fh_stmt_str(s, 10));
    copy(p->settings, sizeof p->settings, fh_stmt_str(s, 12));
    p->rents = fh_rent_profile_find(fh_stmt_str(s, 3));
    p->supplies = fh_supply_kind_find(fh_stmt_str(s, 3));
    p->dialect = fh_str_eqs(fh_stmt_str(s, 3), "anthropic") ? FH_DIALECT_MESSAGES : FH_DIALECT_CHAT;
    p->created_utc_ns = fh_stmt_int(s, 5);
    if (!fh_trust_parse(fh_stmt_str(s, 4), &p->trust))
        return fh_err_set(err, FH_E_CORRUPT, "the database has a provider that is not well-formed");
    copy(p->region, sizeof p->region, fh_stmt_str(s, 8));
    int rc = fh_provider_read_models(p, fh_stmt_str(s, 6), err);
    if (!rc) rc = load_tokenizers(p, fh_stmt_str(s, 7), err);
    if (!rc) rc = load_prices(p, fh_stmt_str(s, 9), err);
    p->canaries_per_day = fh_stmt_int(s, 11);
    if (!rc && all->count < FH_LIMIT_PROVIDERS) all->list[all->count++] = fh_take(p);
    return rc;
}

static int load(fh_providers *all, fh_err **err)
{
    FH_AUTO(fh_stmt) fh_stmt *s = NULL;
    bool row = false;
    int rc = fh_db_query(all->db, &s, err,
                         "SELECT name, url, secret, kind, trust, created_utc_ns, models, tokenizers, region, prices, key_file, "
                         "canaries_per_day, settings FROM providers ORDER BY name",
                         "");
    while (!rc && !(rc = fh_stmt_step(s, &row, err)) && row) rc = load_row(all, s, err);
    return rc;
}

int fh_providers_open(fh_providers **ret, fh_db *db, fh_err **err)
{
    FH_AUTO(fh_providers) fh_providers *all = fh_calloc(1, sizeof *all);
    if (!all) return fh_err_nomem(err);
    pthread_rwlock_init(&all->lock, NULL);
    all->db = db;
    int rc = load(all, err);
    if (!rc) *ret = fh_take(all);
    return rc;
}

void fh_providers_close(fh_providers *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) fh_provider_free(all->list[i]);
    pthread_rwlock_destroy(&all->lock);
    fh_free(all);
}

/* As the endpoint said it, in what is read again. */
static int models_text(const fh_provider *p, fh_buf *out, fh_err **err)
{
    fh_buf_adds(out, "{\"data\":[");
    for (size_t i = 0; i < p->model_count; i++) {
        fh_buf_adds(out, i ? ",{\"id\":" : "{\"id\":");
        fh_buf_add_json_string(out, p->models[i], strlen(p->models[i]));
        if (p->engine) fh_buf_addf(out, ",\"owned_by\":\"%s\"", p->engine->owned_by);
        fh_buf_addc(out, '}');
    }
    fh_buf_adds(out, p->takes_media ? "],\"models\":[{\"capabilities\":[\"multimodal\"]}]}" : "]}");
    return fh_buf_check(out, err, "the list of models");
}

static int save(fh_providers *all, const fh_provider *p, fh_err **err)
{
    FH_AUTO(buf) fh_buf models = FH_BUF(FH_LIMIT_JSON_BODY_BYTES);
    FH_AUTO(buf) fh_buf tokenizers = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    FH_AUTO(buf) fh_buf prices = FH_BUF(FH_LIMIT_CONTROL_BODY_BYTES);
    FH_AUTO(json) fh_json *list = fh_model_tokenizers_json(&p->tokenizers, false), *priced = fh_provider_prices_json(p);
    int rc = list && priced ? fh_json_write(list, &tokenizers, err) : fh_err_nomem(err);
    if (!rc) rc = fh_json_write(priced, &prices, err);
    if (!rc) rc = models_text(p, &models, err);
    return rc ? rc
              : fh_db_exec(
                    all->db, err,
                    "INSERT OR REPLACE INTO providers(name, url, secret, kind, trust, created_utc_ns, models, tokenizers, region, prices, "
                    "key_file, canaries_per_day, settings) "
                    "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                    "sssssisssssis", p->name, p->url, p->secret, fh_provider_kind(p), fh_trust_name(p->trust), p->created_utc_ns,
                    fh_buf_cstr(&models), fh_buf_cstr(&tokenizers), p->region, fh_buf_cstr(&prices), p->key_file, p->canaries_per_day,
                    p->settings[0] ? p->settings : "{}");
}

static size_t index_of(const fh_providers *all, fh_str name)
{
    size_t i = 0;
    while (i < all->count && !fh_str_eqs(name, all->list[i]->name)) i++;
    return i;
}

int fh_providers_check_name(const fh_providers *all, const char *name, fh_err **err)
{
    if (index_of(all, fh_str_of(name)) == all->count) return 0;
    fh_err_set(err, FH_E_EXISTS, "there is a provider '%s' already", name);
    fh_err_hint(err, "`freehold provider remove %s` first, or take another name", name);
    return FH_E_EXISTS;
}

int fh_providers_put(fh_providers *all, fh_provider *p, bool replace, fh_err **err)
{
    FH_AUTO(fh_provider) fh_provider *held = p;
    size_t i = index_of(all, fh_str_of(p->name));
    if (!replace && fh_providers_check_name(all, p->name, err)) return FH_E_EXISTS;
    if (i == FH_LIMIT_PROVIDERS)
        return fh_err_set(err, FH_E_CONFLICT, "there are %d providers already, which is the most", FH_LIMIT_PROVIDERS);
    int rc = save(all, p, err);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    fh_provider *before = i < all->count ? all->list[i] : NULL;
    all->list[i] = fh_take(held);
    all->count += !before;
    pthread_rwlock_unlock(&all->lock);
    fh_provider_free(before);
    return 0;
}

int fh_providers_remove(fh_providers *all, const char *name, fh_err **err)
{
    size_t i = index_of(all, fh_str_of(name));
    if (i == all->count) {
        fh_err_set(err, FH_E_NOT_FOUND, "there is no provider '%.64s'", name);
        fh_err_hint(err, "`freehold provider list` shows them");
        return FH_E_NOT_FOUND;
    }
    int rc = fh_db_exec(all->db, err, "DELETE FROM providers WHERE name = ?1", "s", name);
    if (rc) return rc;
    pthread_rwlock_wrlock(&all->lock);
    fh_provider *gone = all->list[i];
    for (; i + 1 < all->count; i++) all->list[i] = all->list[i + 1];
    all->count--;
    pthread_rwlock_unlock(&all->lock);
    fh_provider_free(gone);
    return 0;
}

void fh_providers_set_tokenizers(fh_providers *all, const char *name, fh_model_tokenizers *loaded)
{
    pthread_rwlock_wrlock(&all->lock);
    size_t i = index_of(all, fh_str_of(name));
    if (i < all->count) fh_model_tokenizers_take(&all->list[i]->tokenizers, loaded);
    pthread_rwlock_unlock(&all->lock);
}

/* ---- reading ---- */

void fh_providers_begin(fh_providers *all)
{
    pthread_rwlock_rdlock(&all->lock);
}

void fh_providers_end(fh_providers *all)
{
    pthread_rwlock_unlock(&all->lock);
}

size_t fh_providers_count(const fh_providers *all)
{
    return all->count;
}

const fh_provider *fh_providers_at(const fh_providers *all, size_t i)
{
    return all->list[i];
}

const fh_provider *fh_providers_find(const fh_providers *all, fh_str name)
{
    size_t i = index_of(all, name);
    return i < all->count ? all->list[i] : NULL;
}
