/* The rules that hold between the parts of an entry. tests/catalog/check.py holds our own files against the same. */
#include "rules.h"

#include "base/mem.h"
#include "catalog/engines.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PERCENT_OFF 0.15 /* percentages are rounded to a tenth */

static __attribute__((format(printf, 4, 5))) int bad(fh_err **err, const char *where, const char *field, const char *fmt, ...)
{
    char why[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    fh_err_set(err, FH_E_INVALID, "%s.%s: %s", where, field, why);
    fh_err_param(err, "%s.%s", where, field);
    return FH_E_INVALID;
}

static int check_variants(const fh_catalog_model *m, const char *where, fh_err **err)
{
    for (size_t i = 1; i < m->variant_count; i++)
        if (fh_catalog_variant_find(m, m->variants[i].name) != &m->variants[i])
            return bad(err, where, "variants", "two are called %s", m->variants[i].name);
    return 0;
}

static int check_variant_name(const fh_catalog_model *m, const char *name, const char *where, const char *field, fh_err **err)
{
    return !*name || fh_catalog_variant_find(m, name) ? 0 : bad(err, where, field, "there is no variant %s", name);
}

static int check_scores(const fh_catalog_model *m, const char *where, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < m->score_count; i++) {
        const fh_catalog_score *s = &m->scores[i];
        if (s->best_score <= 0 || fabs(100 * s->score / s->best_score - s->percent) > PERCENT_OFF)
            return bad(err, where, "scores", "%s: %g percent is not %g of %g", s->benchmark, s->percent, s->score, s->best_score);
        rc = check_variant_name(m, s->variant, where, "scores", err);
    }
    return rc;
}

/* "--trust-remote-code", "--trust_remote_code=1". */
static bool runs_code(const char *word)
{
    char plain[32];
    size_t n = 0;
    for (; word[n] && n < sizeof plain - 1; n++) plain[n] = word[n] == '_' ? '-' : word[n];
    plain[n] = '\0';
    return strncmp(plain, "--trust-remote-code", strlen("--trust-remote-code")) == 0;
}

static bool is_given(const fh_catalog_engine *e, const char *word)
{
    size_t n = strcspn(word, "=");
    for (size_t i = 0; n > 1 && word[0] == '-' && e->arguments[i]; i++)
        if (strlen(e->arguments[i]) == n && strncmp(e->arguments[i], word, n) == 0) return true;
    return false;
}

static int check_words(const fh_catalog_engine *e, const char *const *words, const char *where, fh_err **err)
{
    for (size_t i = 0; words[i]; i++) {
        if (runs_code(words[i])) {
            bad(err, where, "runs", "%s: code from a model's repository does not run here", words[i]);
            fh_err_hint(err, "leave it out, and use an engine that knows the model itself");
            return FH_E_INVALID;
        }
        if (is_given(e, words[i])) return bad(err, where, "runs", "%s is given to %s anyway, by the deployment", words[i], e->id);
    }
    return 0;
}

static int check_runs(const fh_catalog_model *m, const char *where, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < m->run_count; i++) {
        const fh_catalog_run *r = &m->runs[i];
        const fh_catalog_engine *e = fh_catalog_engine_find(fh_str_of(r->engine));
        if (!e) return bad(err, where, "runs", "there is no engine %s", r->engine);
        rc = check_variant_name(m, r->variant, where, "runs", err);
        if (!rc) rc = check_words(e, r->arguments, where, err);
        if (!rc) rc = check_words(e, r->host_arguments, where, err);
        if (!rc && r->devices && m->heads % r->devices)
            rc = bad(err, where, "runs", "%u heads do not divide by %u devices", m->heads, r->devices);
    }
    return rc;
}

int fh_catalog_model_check(const fh_catalog_model *m, const char *where, fh_err **err)
{
    int rc = check_variants(m, where, err);
    if (!rc) rc = check_scores(m, where, err);
    return rc ? rc : check_runs(m, where, err);
}
