/* Templates of arguments and environment become words. A word is one argument whatever its value holds; no shell reads it. */
#include "catalog/engines.h"

#include "base/buf.h"
#include "base/mem.h"
#include <string.h>

#define WORDS_BYTES (64 << 10)
#define GIB         (UINT64_C(1) << 30)

void fh_engine_words_fini(fh_engine_words *w)
{
    fh_free(w->text);
    *w = (fh_engine_words){.text = NULL};
}

static bool put_value(fh_buf *out, fh_str name, const fh_engine_values *v)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"weights", v->weights},       {"socket", v->socket}, {"model", v->model},    {"weight_cache", v->weight_cache},
                 {"page_cache", v->page_cache}, {"head", v->head},     {"kv_type", v->kv_type}};
    uint64_t gib = v->kv_bytes / GIB + (v->kv_bytes % GIB != 0);
    const struct {
        const char *name;
        long long number, least;
    } numbers[] = {{"port", v->port, 1},
                   {"ranks", v->ranks, 1},
                   {"rank", v->ranks ? v->rank : -1, 0},
                   {"head_port", v->head_port, 1},
                   {"context_tok", v->context_tok, 1},
                   {"streams", v->streams, 1},
                   {"all_context_tok", v->context_tok * FH_MAX(v->streams, 1), 1},
                   {"kv_gib", (long long)FH_MAX(gib, UINT64_C(1)), 1}};
    for (size_t i = 0; i < FH_COUNT(texts); i++)
        if (fh_str_eqs(name, texts[i].name)) return texts[i].text && *texts[i].text && fh_buf_adds(out, texts[i].text);
    for (size_t i = 0; i < FH_COUNT(numbers); i++)
        if (fh_str_eqs(name, numbers[i].name)) return numbers[i].number >= numbers[i].least && fh_buf_addf(out, "%lld", numbers[i].number);
    return false;
}

static int bad(const char *word, const char *why, fh_err **err)
{
    return fh_err_set(err, FH_E_INVALID, "the template \"%.128s\" %s", word, why);
}

/* One template, from its first byte to its end. */
static int put_word(fh_buf *out, const char *word, const fh_engine_values *v, fh_err **err)
{
    size_t begun = out->len;
    for (const char *p = word; *p; p++) {
        if (*p != '{' && *p != '}') {
            fh_buf_addc(out, *p);
        } else if (p[1] == *p) {
            fh_buf_addc(out, *p++);
        } else {
            const char *end = *p == '{' ? strchr(p, '}') : NULL;
            if (!end) return bad(word, "has a brace that belongs to none", err);
            if (!put_value(out, (fh_str){p + 1, (size_t)(end - p - 1)}, v)) return bad(word, "names a value that is not there", err);
            p = end;
        }
    }
    bool option = *word == '{' && word[1] != '{' && out->len > begun && out->data[begun] == '-';
    return option ? bad(word, "would become an option by its value", err) : 0;
}

typedef struct maker {
    fh_buf text;
    size_t at[FH_ENGINE_WORDS], count;
} maker;

static int begin_word(maker *m, const char *word, fh_err **err)
{
    if (m->count == FH_ENGINE_WORDS) return bad(word, "is one too many", err);
    m->at[m->count++] = m->text.len;
    return 0;
}

static int put_plain(maker *m, const char *const *words, fh_err **err)
{
    int rc = 0;
    for (; rc == 0 && words && *words; words++) {
        rc = begin_word(m, *words, err);
        if (rc == 0) fh_buf_add(&m->text, *words, strlen(*words) + 1);
    }
    return rc;
}

static int put_templates(maker *m, const char *const *templates, const fh_engine_values *v, fh_err **err)
{
    int rc = 0;
    for (; rc == 0 && *templates; templates++) {
        rc = begin_word(m, *templates, err);
        if (rc == 0) rc = put_word(&m->text, *templates, v, err);
        fh_buf_addc(&m->text, '\0');
    }
    return rc;
}

static int finish(maker *m, int rc, fh_engine_words *ret, fh_err **err)
{
    if (rc == 0) rc = fh_buf_check(&m->text, err, "the command line of an engine");
    fh_engine_words w = {.text = rc == 0 ? fh_buf_take(&m->text, NULL) : NULL};
    fh_buf_fini(&m->text);
    if (rc != 0) return rc;
    if (!w.text) return fh_err_nomem(err);
    for (size_t i = 0; i < m->count; i++) w.list[i] = w.text + m->at[i];
    *ret = w;
    return 0;
}

int fh_engine_words_make(const char *first, const char *const *templates, const char *const *more, const fh_engine_values *v,
                         fh_engine_words *ret, fh_err **err)
{
    maker m = {.text = FH_BUF(WORDS_BYTES)};
    int rc = put_plain(&m, (const char *const[]){first, NULL}, err);
    if (rc == 0) rc = put_templates(&m, templates, v, err);
    if (rc == 0) rc = put_plain(&m, more, err);
    return finish(&m, rc, ret, err);
}

int fh_engine_words_start(const char *program, const fh_catalog_engine *e, const char *const *more, const fh_engine_values *v,
                          fh_engine_words *ret, fh_err **err)
{
    maker m = {.text = FH_BUF(WORDS_BYTES)};
    int rc = put_plain(&m, (const char *const[]){program, NULL}, err);
    if (rc == 0) rc = put_templates(&m, e->arguments, v, err);
    if (rc == 0 && v->kv_type && *v->kv_type) rc = put_templates(&m, e->kv_arguments, v, err);
    if (rc == 0 && v->ranks > 1) rc = put_templates(&m, e->rank_arguments, v, err);
    if (rc == 0 && v->rank > 0) rc = put_templates(&m, e->rank_others, v, err);
    if (rc == 0) rc = put_plain(&m, more, err);
    return finish(&m, rc, ret, err);
}
