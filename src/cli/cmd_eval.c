/* freehold eval: perplexity of a text, or the raw logits of given tokens. */
#include "tokens.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "sys/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- logits ---- */

typedef struct sink {
    FILE *f;
    const char *path;
    size_t row_bytes;
} sink;

static int write_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    const sink *s = arg;
    if (fwrite(logits, 1, s->row_bytes, s->f) == s->row_bytes) return 0;
    return fh_err_errno(err, FH_E_IO, errno, "cannot write row %zu to %s", position, s->path);
}

static int close_sink(sink *s, int rc, fh_err **err)
{
    if (fclose(s->f) != 0 && rc == 0) rc = fh_err_errno(err, FH_E_IO, errno, "cannot write %s", s->path);
    return rc;
}

static int eval_logits(const fh_cli *c, fh_engine *e, const fh_tokens *ids, fh_err **err)
{
    sink s = {.path = fh_cli_text(c, "logits", NULL), .row_bytes = fh_engine_info_get(e)->vocab_size * sizeof(float)};
    s.f = fopen(s.path, "wbe");
    if (!s.f) return fh_err_errno(err, FH_E_IO, errno, "cannot write %s", s.path);
    int rc = fh_engine_eval(e, ids->ids, ids->count, (uint32_t)fh_cli_int(c, "step", 0), write_row, &s, err);
    rc = close_sink(&s, rc, err);
    if (rc) return rc;
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    uint32_t vocab = fh_engine_info_get(e)->vocab_size;
    if (c->json)
        fh_buf_addf(&out, "{\"rows\":%zu,\"vocab_size\":%u}\n", ids->count, vocab);
    else
        fh_buf_addf(&out, "%zu rows of %u float32 values\n", ids->count, vocab);
    return fh_cli_print(&out, err);
}

/* ---- perplexity ---- */

typedef struct score {
    const fh_token *ids; /* of the window */
    size_t count, vocab, scored;
    double nll;
} score;

static double log_sum_exp(const float *x, size_t n)
{
    float most = x[0];
    for (size_t i = 1; i < n; i++) most = fmaxf(most, x[i]);
    double sum = (double)expf(x[0] - most);
    for (size_t i = 1; i < n; i++) sum += (double)expf(x[i] - most);
    return (double)most + log(sum);
}

static int score_row(void *arg, size_t position, const float *logits, fh_err **err)
{
    score *s = arg;
    (void)err;
    if (position + 1 >= s->count) return 0;
    s->nll += log_sum_exp(logits, s->vocab) - (double)logits[s->ids[position + 1]];
    s->scored++;
    return 0;
}

static int print_score(const fh_cli *c, const score *s, size_t tokens, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    double mean = s->scored ? s->nll / (double)s->scored : 0;
    if (c->json)
        fh_buf_addf(&out, "{\"tokens\":%zu,\"scored\":%zu,\"nll\":%.9g,\"perplexity\":%.9g}\n", tokens, s->scored, mean, exp(mean));
    else
        fh_buf_addf(&out, "perplexity %.4f over %zu tokens (mean negative log-likelihood %.5f nats)\n", exp(mean), s->scored, mean);
    return fh_cli_print(&out, err);
}

/* Windows of the context's length, each from an empty cache; the first token of a window is not scored. */
static int eval_text(const fh_cli *c, fh_engine *e, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_ENCODE_BYTES);
    fh_tokens ids = {0};
    int rc = fh_file_read(fh_cli_text(c, "text", ""), FH_LIMIT_ENCODE_BYTES, &text, err);
    if (!rc) rc = fh_vocab_encode(fh_engine_vocab(e), (fh_str){fh_buf_cstr(&text), text.len}, FH_ENCODE_BOS, &ids, err);
    size_t window = fh_engine_info_get(e)->context_tok;
    score s = {.vocab = fh_engine_info_get(e)->vocab_size};
    for (size_t at = 0; at < ids.count && !rc; at += window) {
        s.ids = ids.ids + at;
        s.count = FH_MIN(window, ids.count - at);
        rc = fh_engine_eval(e, s.ids, s.count, (uint32_t)fh_cli_int(c, "step", 0), score_row, &s, err);
    }
    if (!rc) rc = print_score(c, &s, ids.count, err);
    fh_tokens_fini(&ids);
    return rc;
}

/* ---- the verb ---- */

static int read_ids(const fh_cli *c, fh_tokens *ids, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_ENCODE_BYTES);
    const char *path = fh_cli_text(c, "tokens", "");
    int rc = fh_file_read(path, FH_LIMIT_ENCODE_BYTES, &text, err);
    if (!rc) rc = fh_cli_parse_ids((fh_str){fh_buf_cstr(&text), text.len}, ids, err);
    if (!rc && ids->count == 0) rc = fh_err_set(err, FH_E_INVALID, "%s holds no tokens", path);
    return rc;
}

static int check_usage(const fh_cli *c, fh_err **err)
{
    bool text = fh_cli_has(c, "text"), logits = fh_cli_has(c, "logits"), tokens = fh_cli_has(c, "tokens");
    if (text ? !logits && !tokens : logits && tokens) return 0;
    fh_err_set(err, FH_E_USAGE, "give either --text FILE, or --tokens FILE with --logits FILE");
    fh_err_hint(err, "`freehold eval --help` shows how to use it");
    return FH_E_USAGE;
}

static int open_engine(const fh_cli *c, const char *model, size_t tokens, fh_engine **ret, fh_err **err)
{
    uint32_t window = (uint32_t)FH_MAX(tokens, (size_t)1);
    fh_engine_options o = {.model_path = model,
                           .threads = (unsigned)fh_cli_int(c, "threads", 0),
                           .parallel = 1,
                           .exact = fh_cli_has(c, "exact"),
                           .context_tok = (uint32_t)fh_cli_int(c, "context", tokens ? window : 0),
                           .no_vocab = !fh_cli_has(c, "text")};
    int rc = fh_engine_kv_parse(fh_cli_text(c, "kv-type", NULL), &o.kv, err);
    return rc ? rc : fh_engine_open(ret, &o, err);
}

static int run_eval(fh_cli *c, fh_err **err)
{
    const char *model;
    fh_tokens ids = {0};
    FH_AUTO(fh_engine) fh_engine *e = NULL;
    bool text = fh_cli_has(c, "text");
    int rc = fh_cli_require(c, "model", &model, err);
    if (!rc) rc = check_usage(c, err);
    if (!rc && !text) rc = read_ids(c, &ids, err);
    if (!rc) rc = open_engine(c, model, ids.count, &e, err);
    if (!rc) rc = text ? eval_text(c, e, err) : eval_logits(c, e, &ids, err);
    fh_tokens_fini(&ids);
    return rc;
}

static const fh_cli_flag flags[] = {
    {"model", 'm', FH_CLI_TEXT, "FILE", "GGUF file, or the first of a split one", 0, 0},
    {"text", 0, FH_CLI_TEXT, "FILE", "text whose perplexity is wanted", 0, 0},
    {"tokens", 0, FH_CLI_TEXT, "FILE", "token ids whose logits are wanted, as tokenize prints them", 0, 0},
    {"logits", 0, FH_CLI_TEXT, "FILE", "where they go: a row of float32 for each token, little endian", 0, 0},
    {"exact", 0, FH_CLI_BOOL, NULL, "float arithmetic instead of the serving path", 0, 0},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE", "what the cache is kept as: f16 (default; f32 when exact), q8_0 or q4_0", 0, 0},
    {"step", 0, FH_CLI_INT, "N", "tokens computed at a time (1: as when generating)", 1, 64},
    {"context", 'c', FH_CLI_INT, "N", "tokens of a window (default: the model's own, at most 8192)", 2, FH_LIMIT_CONTEXT_TOK},
    {"threads", 't', FH_CLI_INT, "N", "computing threads (default: one a physical core)", 1, 256},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const examples[] = {"freehold eval --model model.gguf --text book.txt",
                                       "freehold eval --model model.gguf --tokens ids.txt --logits out.f32 --exact", NULL};

const fh_cli_verb fh_verb_eval = {
    .name = "eval",
    .group = "One model, no server",
    .summary = "perplexity of a text, or logits of given tokens",
    .operands = "",
    .about = "Perplexity is over windows of the context's length, each from an empty cache; the first token of a window is not scored.",
    .examples = examples,
    .flags = flags,
    .run = run_eval,
};
