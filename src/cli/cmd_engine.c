/* freehold engine: one model behind HTTP, without a control plane. */
#include "base/limits.h"
#include "tokens.h"
#include "engine/serve.h"

#include <stdio.h>

static bool loopback(fh_str listen)
{
    static const char *const prefixes[] = {"unix:", "127.", "localhost:", "[::1]:"};
    for (size_t i = 0; i < FH_COUNT(prefixes); i++)
        if (fh_str_starts(listen, fh_str_of(prefixes[i]))) return true;
    return false;
}

static int check_listen(const fh_cli *c, const char *listen, fh_err **err)
{
    if (loopback(fh_str_of(listen)) || fh_cli_has(c, "plain-http")) return 0;
    fh_err_set(err, FH_E_USAGE, "--listen %s is open to others, and an engine knows no keys and speaks no TLS", listen);
    fh_err_hint(err, "listen on 127.0.0.1:PORT or unix:PATH, or give --plain-http when something in front guards it");
    return FH_E_USAGE;
}

static void announce(void *arg, int port)
{
    const fh_serve_options *o = arg;
    if (port)
        fprintf(stderr, "freehold engine: listening on port %d\n", port);
    else
        fprintf(stderr, "freehold engine: listening on %s\n", o->listen);
}

static int run_engine(fh_cli *c, fh_err **err)
{
    fh_serve_options o = {.name = fh_cli_text(c, "name", NULL), .on_listening = announce};
    int rc = fh_cli_require(c, "model", &o.engine.model_path, err);
    if (!rc) rc = fh_cli_require(c, "listen", &o.listen, err);
    if (!rc) rc = check_listen(c, o.listen, err);
    if (!rc) rc = fh_engine_kv_parse(fh_cli_text(c, "kv-type", NULL), &o.engine.kv, err);
    if (rc) return rc;
    o.arg = &o;
    o.engine.threads = (unsigned)fh_cli_int(c, "threads", 0);
    o.engine.context_tok = (uint32_t)fh_cli_int(c, "context", 0);
    o.engine.parallel = (unsigned)fh_cli_int(c, "parallel", 0);
    o.engine.kv_tok = (uint64_t)fh_cli_int(c, "kv-tokens", 0);
    o.engine.deterministic = fh_cli_has(c, "deterministic");
    o.engine.drafts = fh_cli_has(c, "no-drafts") ? FH_DRAFTS_NEVER : FH_DRAFTS_PAYING;
    o.engine.page_cache = fh_cli_text(c, "page-cache", NULL);
    o.engine.weight_cache = fh_cli_text(c, "weight-cache", NULL);
    o.engine.memory_limit_bytes = (uint64_t)fh_cli_int(c, "memory-limit", 0) << 20;
    return fh_engine_serve(&o, err);
}

static const fh_cli_flag flags[] = {
    {"model", 'm', FH_CLI_TEXT, "FILE", "GGUF file, or the first of a split one", 0, 0},
    {"listen", 0, FH_CLI_TEXT, "ADDR:PORT|unix:PATH", "where to listen (port 0 picks a free one)", 0, 0},
    {"plain-http", 0, FH_CLI_BOOL, NULL, "listen beyond loopback: something in front guards it", 0, 0},
    {"name", 0, FH_CLI_TEXT, "ID", "model id that replies carry (default: the file's name)", 0, 0},
    {"threads", 't', FH_CLI_INT, "N", "computing threads (default: one a physical core)", 1, 256},
    {"context", 'c', FH_CLI_INT, "N", "tokens of one sequence (default: the model's own, at most 8192)", 1, FH_LIMIT_CONTEXT_TOK},
    {"parallel", 0, FH_CLI_INT, "N", "sequences computed at once (default 4)", 1, FH_LIMIT_STREAMS},
    {"kv-tokens", 0, FH_CLI_INT, "N", "tokens in the cache, of all sequences and kept for later ones (default: context x parallel)", 1,
     1 << 30},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE", "what the cache is kept as: f16 (default), q8_0 or q4_0, with less memory", 0, 0},
    {"deterministic", 0, FH_CLI_BOOL, NULL, "answers do not depend on what else is being computed", 0, 0},
    {"no-drafts", 0, FH_CLI_BOOL, NULL, "do not guess ahead what repeats; answers are the same", 0, 0},
    {"page-cache", 0, FH_CLI_TEXT, "DIR", "folder where pages of prompts are kept for later starts", 0, 0},
    {"memory-limit", 0, FH_CLI_INT, "MIB", "refuse to start when weights and cache need more", 1, 1 << 30},
    {"weight-cache", 0, FH_CLI_TEXT, "DIR", "folder of this model's own, where its packed weights are kept for the next start", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const examples[] = {"freehold engine --model model.gguf --listen 127.0.0.1:8080",
                                       "freehold engine --model model.gguf --listen unix:/run/user/1000/engine.sock --parallel 8", NULL};

const fh_cli_verb fh_verb_engine = {
    .name = "engine",
    .group = "One model, no server",
    .summary = "serve one model, without a control plane",
    .operands = "",
    .about = "Speaks OpenAI's API: /v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings; also /tokenize, /detokenize, "
             "/apply-template, /healthz (says how far "
             "loading is), /props and /metrics. There are no keys: it "
             "is for this machine, or for a gateway in front.\n\nIt listens at once and answers 503 until the model is loaded. SIGTERM "
             "ends it and removes its socket.",
    .examples = examples,
    .flags = flags,
    .run = run_engine,
    .no_json = true,
};
