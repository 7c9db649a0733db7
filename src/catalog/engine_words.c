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
    } texts[] = {{"weights", v->weights}, {"socket", v->socket}, {"model", v->model}, {"weight_cache", v->weight_cache}};
    uint64_t gib = v->kv_bytes / GIB + (v->kv_bytes % GIB != 0);
    const struct {
        const char *name;
        long long number;
    } numbers[] = {{"port", v->port},
                   {"context_tok", v->context_tok},
                   {"streams", v->streams},
                   {"all_context_tok", v->context_tok * FH_MAX(v->streams, 1)},
                   {"kv_gib", (long long)FH_MAX(gib, UINT64_C(1))}};
    for (size_t i = 0; i < FH_COUNT(texts); i++)
        if (fh_str_eqs(name, texts[i].name)) return texts[i].text && *texts[i].text && fh_buf_adds(out, texts[i].text);
    for (size_t i = 0; i < FH_COUNT(numbers); i++)
        if (fh_str_eqs(name, numbers[i].name)) return numbers[i].number > 0 && fh_buf_addf(out, "%lld", numbers[i].number);
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

int fh_engine_words_make(const char *first, const char *const *templates, const char *const *more, const fh_engine_values *v,
                         fh_engine_words *ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(WORDS_BYTES);
    size_t at[FH_ENGINE_WORDS], n = 0;
    int rc = 0;
    if (first) {
        at[n++] = 0;
        fh_buf_add(&text, first, strlen(first) + 1);
    }
    for (size_t i = 0; rc == 0 && templates[i]; i++) {
        if (n == FH_ENGINE_WORDS) return bad(templates[i], "is one too many", err);
        at[n++] = text.len;
        rc = put_word(&text, templates[i], v, err);
        fh_buf_addc(&text, '\0');
    }
    for (size_t i = 0; rc == 0 && more && more[i]; i++) {
        if (n == FH_ENGINE_WORDS) return bad(more[i], "is one too many", err);
        at[n++] = text.len;
        fh_buf_add(&text, more[i], strlen(more[i]) + 1);
    }
    if (rc == 0) rc = fh_buf_check(&text, err, "the command line of an engine");
    if (rc != 0) return rc;
    fh_engine_words w = {.text = fh_buf_take(&text, NULL)};
    if (!w.text) return fh_err_nomem(err);
    for (size_t i = 0; i < n; i++) w.list[i] = w.text + at[i];
    *ret = w;
    return 0;
}
