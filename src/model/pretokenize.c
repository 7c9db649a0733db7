/* Cutting text into words by the patterns of a tokenizer. Each stage cuts every piece of the one before into its matches and what lies between them; a
 * pattern sees its piece alone, as in the `tokenizers` library. Patterns are compiled with PCRE2 and its JIT; when the JIT's stack is too small for a
 * match, the interpreter does it, bounded by a match limit. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "vocab_private.h"
#include <pcre2.h>

enum { STAGES_MAX = 8, MATCH_STEPS_MAX = 50000000 };

struct fh_pretokenizer {
    pcre2_code *stages[STAGES_MAX];
    size_t count;
};

typedef struct run {
    const fh_pretokenizer *p;
    pcre2_match_data *match[STAGES_MAX]; /* one a stage: an outer one is still needed while inner ones run */
    pcre2_match_context *context;
    fh_pre_word *word;
    void *arg;
} run;

void fh_pretokenizer_free(fh_pretokenizer *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) pcre2_code_free(p->stages[i]);
    fh_free(p);
}

int fh_pretokenizer_new(fh_pretokenizer **ret, const char *const *patterns, size_t count, fh_err **err)
{
    FH_AUTO(fh_pretokenizer) fh_pretokenizer *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    for (; p->count < count && p->count < STAGES_MAX; p->count++) {
        int code = 0;
        size_t at = 0;
        p->stages[p->count] = pcre2_compile((PCRE2_SPTR)patterns[p->count], PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
        if (!p->stages[p->count]) return fh_err_set(err, code == PCRE2_ERROR_HEAP_FAILED ? FH_E_NOMEM : FH_E_INTERNAL, "pattern of the tokenizer: error %d at %zu", code, at);
        pcre2_jit_compile(p->stages[p->count], PCRE2_JIT_COMPLETE); /* without it matching is slower, not different */
    }
    *ret = fh_take(p);
    return 0;
}

/* The next match that is not empty, at or behind `from`; *ret_found false when there is none. */
static int next_match(run *r, size_t stage, fh_str piece, size_t from, bool *ret_found, size_t *ret_start, size_t *ret_end, fh_err **err)
{
    pcre2_match_data *m = r->match[stage];
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int rc = pcre2_match(r->p->stages[stage], (PCRE2_SPTR)piece.ptr, piece.len, from, options, m, r->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->p->stages[stage], (PCRE2_SPTR)piece.ptr, piece.len, from, options | PCRE2_NO_JIT, m, r->context);
    *ret_found = rc >= 0;
    if (rc >= 0) {
        *ret_start = pcre2_get_ovector_pointer(m)[0];
        *ret_end = pcre2_get_ovector_pointer(m)[1];
        return 0;
    }
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc == PCRE2_ERROR_NOMEMORY) return fh_err_nomem(err);
    return fh_err_set(err, FH_E_TOO_LARGE, "the text takes the tokenizer too long to split (matching error %d)", rc);
}

static int run_stage(run *r, size_t stage, fh_str piece, fh_err **err)
{
    if (piece.len == 0) return 0;
    if (stage == r->p->count) return r->word(r->arg, piece.ptr, piece.len, err);
    size_t from = 0, start = 0, end = 0;
    bool found = false;
    int rc = next_match(r, stage, piece, 0, &found, &start, &end, err);
    while (!rc && found) {
        rc = run_stage(r, stage + 1, (fh_str){piece.ptr + from, start - from}, err);
        if (!rc) rc = run_stage(r, stage + 1, (fh_str){piece.ptr + start, end - start}, err);
        from = end;
        if (!rc) rc = next_match(r, stage, piece, from, &found, &start, &end, err);
    }
    return rc ? rc : run_stage(r, stage + 1, (fh_str){piece.ptr + from, piece.len - from}, err);
}

int fh_pretokenizer_run(const fh_pretokenizer *p, fh_str valid_utf8, fh_pre_word *word, void *arg, fh_err **err)
{
    run r = {.p = p, .word = word, .arg = arg, .context = pcre2_match_context_create(NULL)};
    bool ok = r.context != NULL;
    for (size_t i = 0; i < p->count; i++) {
        r.match[i] = pcre2_match_data_create(1, NULL);
        ok = ok && r.match[i];
    }
    if (ok) pcre2_set_match_limit(r.context, MATCH_STEPS_MAX);
    int rc = ok ? run_stage(&r, 0, valid_utf8, err) : fh_err_nomem(err);
    for (size_t i = 0; i < p->count; i++) pcre2_match_data_free(r.match[i]);
    pcre2_match_context_free(r.context);
    return rc;
}
