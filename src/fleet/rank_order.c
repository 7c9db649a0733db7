/* What a rank is told: written by the machine that starts them, read on each node. Numbers, names and paths of this installation only. */
#include "spread_private.h"

#include "base/limits.h"
#include "base/str.h"
#include "json/json.h"

static fh_json *words_json(const char *const *words)
{
    fh_json *list = fh_json_new_array();
    for (; list && words && *words; words++) fh_json_append(list, fh_json_new_cstr(*words));
    return list;
}

static bool set_int(fh_json *o, const char *key, uint64_t v)
{
    return fh_json_set(o, key, fh_json_new_int((int64_t)FH_MIN(v, (uint64_t)INT64_MAX)));
}

static bool set_text(fh_json *o, const char *key, const char *v)
{
    return fh_json_set(o, key, fh_json_new_cstr(v));
}

int fh_rank_order_write(const fh_spread *spread, int64_t head_port, const fh_engine_spec *s, fh_buf *out, fh_err **err)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool good = o && set_text(o, "engine", s->kind->id) && set_text(o, "model", s->model) && set_text(o, "file", s->file) &&
                set_text(o, "folder", s->folder) && set_text(o, "socket", s->socket_path) && set_text(o, "head", spread->head) &&
                set_text(o, "least", s->run ? s->run->least : "") && set_text(o, "kv_type", s->kv_type ? s->kv_type : "");
    good = good && set_int(o, "head_port", (uint64_t)head_port) && set_int(o, "ranks", (uint64_t)spread->ranks) &&
           set_int(o, "context_tok", (uint64_t)s->context_tok) && set_int(o, "streams", (uint64_t)s->streams) &&
           set_int(o, "memory_bytes", s->memory_bytes) && set_int(o, "kv_bytes", s->kv_bytes);
    good = good && fh_json_set(o, "arguments", words_json(s->run ? s->run->arguments : NULL)) &&
           fh_json_set(o, "environment", words_json(s->run ? s->run->environment : NULL));
    return good ? fh_json_write(o, out, err) : fh_err_nomem(err);
}

static int read_text(const fh_json *o, const char *key, const char **ret, fh_err **err)
{
    fh_str s = {0};
    int rc = fh_json_read_str(o, key, true, &s, err);
    if (rc == 0) *ret = s.ptr;
    return rc;
}

static int read_words(const fh_json *o, const char *key, const char *ret[FH_ENGINE_WORDS + 1], fh_err **err)
{
    const fh_json *list = fh_json_get(o, key);
    size_t count = fh_json_count(list);
    if (count > FH_ENGINE_WORDS) return fh_err_set(err, FH_E_INVALID, "a rank is told too many %s", key);
    for (size_t i = 0; i < count; i++)
        if (!(ret[i] = fh_json_str(fh_json_at(list, i)).ptr))
            return fh_err_set(err, FH_E_INVALID, "a rank is told %s that are no text", key);
    ret[count] = NULL;
    return 0;
}

static int read_texts(fh_rank_order *o, fh_err **err)
{
    const char *engine = NULL;
    fh_engine_spec *s = &o->spec;
    int rc = read_text(o->json, "engine", &engine, err);
    if (rc == 0) rc = fh_catalog_engine_get(fh_str_of(engine), &s->kind, err);
    if (rc == 0) rc = read_text(o->json, "model", &s->model, err);
    if (rc == 0) rc = read_text(o->json, "file", &s->file, err);
    if (rc == 0) rc = read_text(o->json, "folder", &s->folder, err);
    if (rc == 0) rc = read_text(o->json, "socket", &s->socket_path, err);
    if (rc == 0) rc = read_text(o->json, "kv_type", &s->kv_type, err);
    if (rc == 0) rc = fh_catalog_engine_keeps(s->kind, s->kv_type, err);
    if (rc == 0) rc = read_text(o->json, "head", &o->head, err);
    if (rc == 0) rc = read_text(o->json, "least", &o->run.least, err);
    if (rc == 0) rc = read_words(o->json, "arguments", o->arguments, err);
    return rc == 0 ? read_words(o->json, "environment", o->environment, err) : rc;
}

static int read_numbers(fh_rank_order *o, fh_err **err)
{
    int64_t memory = 0, kv = 0;
    fh_engine_spec *s = &o->spec;
    int rc = fh_json_read_i64(o->json, "ranks", true, 2, FH_LIMIT_SLURM_NODES, &o->ranks, err);
    if (rc == 0) rc = fh_json_read_i64(o->json, "head_port", true, 1, 65535, &o->head_port, err);
    if (rc == 0) rc = fh_json_read_i64(o->json, "context_tok", true, 1, FH_LIMIT_CONTEXT_TOK, &s->context_tok, err);
    if (rc == 0) rc = fh_json_read_i64(o->json, "streams", true, 1, FH_LIMIT_STREAMS, &s->streams, err);
    if (rc == 0) rc = fh_json_read_i64(o->json, "memory_bytes", true, 0, INT64_MAX, &memory, err);
    if (rc == 0) rc = fh_json_read_i64(o->json, "kv_bytes", true, 0, INT64_MAX, &kv, err);
    s->memory_bytes = (uint64_t)memory;
    s->kv_bytes = (uint64_t)kv;
    return rc;
}

int fh_rank_order_read(fh_str text, fh_rank_order *ret, fh_err **err)
{
    *ret = (fh_rank_order){.json = NULL};
    int rc = fh_json_parse(&ret->json, text, FH_LIMIT_RANK_ORDER_BYTES, err);
    if (rc == 0) rc = read_texts(ret, err);
    if (rc == 0) rc = read_numbers(ret, err);
    if (rc != 0) {
        fh_rank_order_fini(ret);
        return rc;
    }
    ret->run.arguments = ret->arguments;
    ret->run.environment = ret->environment;
    ret->spec.run = &ret->run;
    return 0;
}

void fh_rank_order_fini(fh_rank_order *o)
{
    fh_json_unref(o->json);
    *o = (fh_rank_order){.json = NULL};
}
