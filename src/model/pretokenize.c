/* Cutting text into words by regular expressions, as byte-level BPE wants it. Each pattern cuts the pieces that the one before left,
 * matches and what is between them alike; the last pieces are the words. PCRE2 with its compiler where that is allowed, else its
 * interpreter: same answers. Patterns are ours (pretokenize_table.c), texts are anybody's: every match has a limit of steps. Threads: a
 * compiled pattern is shared, match data is not. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "vocab_private.h"
#include <pcre2.h>

#define STAGES         8
#define STEPS_PER_BYTE 64 /* our patterns need a handful; the limit is there against a mistake of ours */
#define STEPS_LEAST    1000000

struct fh_pretokenizer {
    pcre2_general_context *memory;
    pcre2_code *stages[STAGES];
    size_t count;
};

typedef struct run {
    const fh_pretokenizer *p;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    fh_pre_word *word;
    void *arg;
    fh_err **err;
} run;

static void *take_memory(size_t bytes, void *unused)
{
    (void)unused;
    return fh_alloc(bytes);
}

static void give_memory(void *p, void *unused)
{
    (void)unused;
    fh_free(p);
}

void fh_pretokenizer_free(fh_pretokenizer *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) pcre2_code_free(p->stages[i]);
    pcre2_general_context_free(p->memory);
    fh_free(p);
}

static int compile(fh_pretokenizer *p, const char *pattern, fh_err **err)
{
    int code = 0;
    size_t at = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    if (!context) return fh_err_nomem(err);
    uint32_t options = fh_str_starts(fh_str_of(pattern), FH_STR(FH_PRE_BYTES)) ? 0 : PCRE2_UTF | PCRE2_UCP;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!re && code == PCRE2_ERROR_HEAP_FAILED) return fh_err_nomem(err);
    if (!re) return fh_err_set(err, FH_E_INTERNAL, "pattern of a tokenizer: error %d at %zu", code, at);
    p->stages[p->count++] = re;
    (void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* refused where memory may not become code: the interpreter does it then */
    return 0;
}

int fh_pretokenizer_new(fh_pretokenizer **ret, const char *const *patterns, size_t count, fh_err **err)
{
    FH_AUTO(fh_pretokenizer) fh_pretokenizer *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    p->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    if (!p->memory) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        int rc = compile(p, patterns[i], err);
        if (rc) return rc;
    }
    *ret = fh_take(p);
    return 0;
}

static int match_fault(const run *r, int code)
{
    if (code == PCRE2_ERROR_NOMEMORY) return fh_err_nomem(r->err);
    return fh_err_set(r->err, FH_E_INTERNAL, "the text could not be split into words (pattern error %d)", code);
}

static int match(const run *r, size_t stage, const char *p, size_t n, size_t from)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int code = pcre2_match(r->p->stages[stage], (PCRE2_SPTR)p, n, from, options, r->match, r->limits);
    if (code != PCRE2_ERROR_JIT_STACKLIMIT) return code;
    return pcre2_match(r->p->stages[stage], (PCRE2_SPTR)p, n, from, options | PCRE2_NO_JIT, r->match, r->limits);
}

static int cut(const run *r, size_t stage, const char *p, size_t n);

/* Depth of the recursion is the number of stages. */
static int hand_on(const run *r, size_t stage, const char *p, size_t n)
{
    if (!n) return 0;
    return stage < r->p->count ? cut(r, stage, p, n) : r->word(r->arg, p, n, r->err);
}

static int cut(const run *r, size_t stage, const char *p, size_t n)
{
    size_t done = 0, from = 0;
    while (from < n) {
        int code = match(r, stage, p, n, from);
        if (code == PCRE2_ERROR_NOMATCH) break;
        if (code < 0) return match_fault(r, code);
        const size_t *span = pcre2_get_ovector_pointer(r->match);
        size_t start = span[0], end = span[1]; /* the match data is used again below */
        int rc = hand_on(r, stage + 1, p + done, start - done);
        if (!rc) rc = hand_on(r, stage + 1, p + start, end - start);
        if (rc) return rc;
        done = from = end;
    }
    return hand_on(r, stage + 1, p + done, n - done);
}

int fh_pretokenizer_run(const fh_pretokenizer *p, fh_str valid_utf8, fh_pre_word *word, void *arg, fh_err **err)
{
    run r = {.p = p, .word = word, .arg = arg, .err = err};
    r.match = pcre2_match_data_create(1, p->memory);
    r.limits = pcre2_match_context_create(p->memory);
    int rc = r.match && r.limits ? 0 : fh_err_nomem(err);
    if (!rc) {
        uint64_t steps = STEPS_LEAST + (uint64_t)valid_utf8.len * STEPS_PER_BYTE;
        pcre2_set_match_limit(r.limits, (uint32_t)FH_MIN(steps, UINT32_MAX));
        rc = hand_on(&r, 0, valid_utf8.ptr, valid_utf8.len);
    }
    pcre2_match_data_free(r.match);
    pcre2_match_context_free(r.limits);
    return rc;
}
