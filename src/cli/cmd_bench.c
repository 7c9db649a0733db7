/* freehold bench: what this machine gives at most, prefill and decode speed of one model on it, and how near they come to that. */
#include "base/limits.h"
#include "bench.h"
#include "client.h"
#include "tokens.h"
#include "server/speeds.h"
#include "sys/cpu.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <string.h>

enum { RUNS_MAX = 1000, RECORD_DEPTH_TOK = 1024 };

typedef struct row {
    char test[64];
    fh_bench_spec spec;
    double runs[RUNS_MAX], mean, deviation; /* tokens a second */
    double bytes_per_token, bandwidth_share;
    double ops_per_token, peak_share; /* of products; share 0: the engine multiplies no integers */
} row;

typedef struct bench {
    const char *model;
    fh_engine *engine;
    fh_topo topo; /* read before the engine pins this thread to one core */
    row rows[3];
    size_t count, runs;
    fh_machine_speed machine;
} bench;

static uint64_t tokens_of(const fh_bench_spec *s)
{
    return (uint64_t)(s->prompt_tok + s->generate_tok) * s->streams;
}

/* Weights are read once a step, and a step computes several tokens. */
static double steps_of(const fh_bench_spec *s, const fh_engine_info *i)
{
    return s->generate_tok ? s->generate_tok : (double)s->streams * ceil((double)s->prompt_tok / i->batch_tok);
}

/* Logits are wanted of each token that is generated, and of a prompt's last one. */
static double ops_of(const fh_bench_spec *s, const fh_engine_info *i)
{
    double outputs = s->generate_tok ? 1 : 1.0 / s->prompt_tok;
    return (double)i->token_ops + outputs * (double)i->output_ops;
}

static void summarise(row *r, size_t runs, const fh_engine_info *i, const fh_machine_speed *m)
{
    double sum = 0, squares = 0, peak = i->peak ? fh_machine_peak_get(m, i->peak) : 0;
    for (size_t k = 0; k < runs; k++) sum += r->runs[k];
    r->mean = sum / (double)runs;
    for (size_t k = 0; k < runs; k++) squares += (r->runs[k] - r->mean) * (r->runs[k] - r->mean);
    r->deviation = runs > 1 ? sqrt(squares / (double)(runs - 1)) : 0;
    r->bytes_per_token = (double)i->token_bytes * steps_of(&r->spec, i) / (double)tokens_of(&r->spec);
    r->bandwidth_share = r->mean * r->bytes_per_token / m->read_bytes_per_s;
    r->ops_per_token = ops_of(&r->spec, i);
    r->peak_share = peak > 0 ? r->mean * r->ops_per_token / peak : 0;
}

static int measure(const bench *b, row *r, fh_err **err)
{
    double seconds;
    int rc = fh_engine_bench(b->engine, &r->spec, &seconds, err); /* warms caches and clocks */
    for (size_t k = 0; k < b->runs && !rc; k++) {
        rc = fh_engine_bench(b->engine, &r->spec, &seconds, err);
        if (!rc) r->runs[k] = (double)tokens_of(&r->spec) / seconds;
    }
    if (!rc) summarise(r, b->runs, fh_engine_info_get(b->engine), &b->machine);
    return rc;
}

static void name_row(row *r)
{
    int n = snprintf(r->test, sizeof r->test, r->spec.generate_tok ? "tg%u" : "pp%u",
                     r->spec.generate_tok ? r->spec.generate_tok : r->spec.prompt_tok);
    if (r->spec.depth_tok) n += snprintf(r->test + n, sizeof r->test - (size_t)n, " @ d%u", r->spec.depth_tok);
    if (r->spec.streams > 1) snprintf(r->test + n, sizeof r->test - (size_t)n, " x %u", r->spec.streams);
}

/* ---- output ---- */

static void add_machine(fh_buf *out, const bench *b)
{
    const fh_engine_info *i = fh_engine_info_get(b->engine);
    const char *slash = strrchr(b->model, '/'), *file = slash ? slash + 1 : b->model;
    fh_buf_adds(out, "{\"machine\":");
    fh_bench_machine_json(out, &b->machine, b->topo.cores, b->topo.memory_bytes);
    fh_buf_addf(out, ",\"isa\":\"%s\"},\"model\":{\"file\":", i->isa);
    fh_buf_add_json_string(out, file, strlen(file));
    fh_buf_addf(out, ",\"architecture\":\"%s\",\"file_bytes\":%llu,\"token_bytes\":%llu},\"version\":\"" FH_VERSION "\",\"rows\":[",
                i->architecture, (unsigned long long)i->file_bytes, (unsigned long long)i->token_bytes);
}

static void add_row(fh_buf *out, const row *r, size_t runs)
{
    fh_buf_addf(out, "{\"test\":\"%s\",\"tokens_per_second\":%.3f,\"deviation\":%.3f,\"runs\":[", r->test, r->mean, r->deviation);
    for (size_t k = 0; k < runs; k++) fh_buf_addf(out, k ? ",%.3f" : "%.3f", r->runs[k]);
    fh_buf_addf(out, "],\"bytes_per_token\":%.0f,\"bandwidth_share\":%.4f,\"ops_per_token\":%.0f,\"peak_share\":", r->bytes_per_token,
                r->bandwidth_share, r->ops_per_token);
    fh_buf_addf(out, r->peak_share > 0 ? "%.4f" : "null", r->peak_share);
    fh_buf_addf(out, ",\"depth\":%u,\"streams\":%u}", r->spec.depth_tok, r->spec.streams);
}

static int print_json(const bench *b, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    add_machine(&out, b);
    for (size_t i = 0; i < b->count; i++) {
        if (i) fh_buf_addc(&out, ',');
        add_row(&out, &b->rows[i], b->runs);
    }
    fh_buf_adds(&out, "]}\n");
    int rc = fh_buf_check(&out, err, "the results");
    return rc ? rc : fh_cli_print(&out, err);
}

static bool table_row(fh_cli_table *t, const row *r)
{
    char speed[32], spread[32], bytes[32], of_bandwidth[32], of_peak[32];
    snprintf(speed, sizeof speed, "%.1f", r->mean);
    snprintf(spread, sizeof spread, "%.1f", r->deviation);
    snprintf(bytes, sizeof bytes, "%.2f", r->bytes_per_token / 1e6);
    fh_bench_share(r->bandwidth_share, of_bandwidth);
    fh_bench_share(r->peak_share, of_peak);
    return fh_cli_table_add(t, (const char *const[]){r->test, speed, spread, bytes, of_bandwidth, of_peak});
}

static int print_table(const bench *b, fh_err **err)
{
    static const fh_cli_column columns[] = {{"TEST", FH_CLI_LEFT},      {"TOKENS/S", FH_CLI_RIGHT},  {"+-", FH_CLI_RIGHT},
                                            {"MB/TOKEN", FH_CLI_RIGHT}, {"BANDWIDTH", FH_CLI_RIGHT}, {"PEAK", FH_CLI_RIGHT},
                                            {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(65536);
    const fh_engine_info *i = fh_engine_info_get(b->engine);
    if (!t) return fh_err_nomem(err);
    for (size_t k = 0; k < b->count; k++)
        if (!table_row(t, &b->rows[k])) return fh_err_nomem(err);
    fh_bench_machine_line(&out, &b->machine);
    fh_buf_addf(&out, "%s kernels\n", i->isa);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

/* ---- the verb ---- */

static void plan_row(bench *b, fh_bench_spec spec)
{
    if (spec.prompt_tok + spec.generate_tok == 0) return;
    b->rows[b->count].spec = spec;
    name_row(&b->rows[b->count++]);
}

static void plan_rows(const fh_cli *c, bench *b)
{
    fh_bench_spec base = {.depth_tok = (uint32_t)fh_cli_int(c, "depth", 0), .streams = (unsigned)fh_cli_int(c, "streams", 1)},
                  prompt = base, generate = base;
    prompt.prompt_tok = (uint32_t)fh_cli_int(c, "prompt", 512);
    generate.generate_tok = (uint32_t)fh_cli_int(c, "generate", 64);
    plan_row(b, prompt);
    plan_row(b, generate);
    generate.depth_tok = RECORD_DEPTH_TOK;
    if (fh_cli_has(c, "record")) plan_row(b, generate);
}

static int open_engine(const fh_cli *c, bench *b, fh_err **err)
{
    uint32_t most = 1;
    for (size_t i = 0; i < b->count; i++)
        most = FH_MAX(most, b->rows[i].spec.depth_tok + b->rows[i].spec.prompt_tok + b->rows[i].spec.generate_tok);
    fh_engine_options o = {.model_path = b->model,
                           .threads = (unsigned)fh_cli_int(c, "threads", 0),
                           .context_tok = most,
                           .parallel = b->rows[0].spec.streams,
                           .batch_tok = (uint32_t)fh_cli_int(c, "batch", 0),
                           .deterministic = fh_cli_has(c, "deterministic"),
                           .no_vocab = true};
    int rc = fh_engine_kv_parse(fh_cli_text(c, "kv-type", NULL), &o.kv, err);
    return rc ? rc : fh_engine_open(&b->engine, &o, err);
}

/* How fast the cache is read, by what a token takes longer when it is full; 0 when that is lost in the noise. */
static double cache_bytes(const bench *b, const row *empty, const row *full)
{
    const fh_engine_info *i = fh_engine_info_get(b->engine);
    double longer_s = 1 / full->mean - 1 / empty->mean;
    return longer_s > 0 ? (double)i->kv_bytes / i->context_tok * full->spec.depth_tok / longer_s : 0;
}

/* For plans: what one stream reads of the weights and of its cache while it decodes. The last two rows are those of plan_rows. */
static int record(const fh_cli *c, const bench *b, fh_err **err)
{
    char data[1024];
    const row *full = &b->rows[b->count - 1], *empty = full - 1;
    int rc = fh_cli_data_dir(c, data, sizeof data, err);
    fh_speed_run run = {.engine = "freehold",
                        .device = fh_cpu_get()->model,
                        .family = fh_engine_info_get(b->engine)->architecture,
                        .bandwidth_bytes = b->machine.read_bytes_per_s,
                        .decode_bytes = empty->mean * empty->bytes_per_token,
                        .cache_bytes = cache_bytes(b, empty, full)};
    return rc ? rc : fh_speeds_add(data, &run, err);
}

static int check_record(const fh_cli *c, fh_err **err)
{
    bool fits = fh_cli_int(c, "streams", 1) == 1 && fh_cli_int(c, "depth", 0) == 0 && fh_cli_int(c, "generate", 64) > 0;
    if (!fh_cli_has(c, "record")) return 0;
    if (strcmp(fh_cli_text(c, "kv-type", "f16"), "f16") != 0) {
        fh_err_set(err, FH_E_USAGE, "--record is of a cache in F16, as plans reckon with it");
        fh_err_hint(err, "leave out --kv-type");
        return FH_E_USAGE;
    }
    if (fits) return 0;
    fh_err_set(err, FH_E_USAGE, "--record is of one stream that generates, and measures a full cache itself");
    fh_err_hint(err, "leave out --streams, --depth and -n 0");
    return FH_E_USAGE;
}

static int run_bench(fh_cli *c, fh_err **err)
{
    if (fh_cli_has(c, "kernels")) return fh_bench_kernels(c, err);
    FH_AUTO(ptr) bench *b = fh_calloc(1, sizeof *b);
    if (!b) return fh_err_nomem(err);
    b->runs = (size_t)fh_cli_int(c, "repeat", 5);
    plan_rows(c, b);
    fh_topo_read(&b->topo);
    int rc = check_record(c, err);
    if (!rc) rc = fh_cli_require(c, "model", &b->model, err);
    if (!rc && b->count == 0) rc = fh_err_set(err, FH_E_USAGE, "-p 0 and -n 0 leave nothing to measure");
    if (!rc) rc = open_engine(c, b, err);
    if (!rc) rc = fh_engine_measure_machine(b->engine, &b->machine, err);
    for (size_t i = 0; i < b->count && !rc; i++) rc = measure(b, &b->rows[i], err);
    if (!rc && fh_cli_has(c, "record")) rc = record(c, b, err);
    if (!rc) rc = c->json ? print_json(b, err) : print_table(b, err);
    fh_engine_close(b->engine);
    return rc;
}

static const fh_cli_flag flags[] = {
    {"model", 'm', FH_CLI_TEXT, "FILE", "GGUF file, or the first of a split one", 0, 0},
    {"prompt", 'p', FH_CLI_INT, "N", "tokens of the prompt (default 512; 0: leave out)", 0, 1 << 20},
    {"generate", 'n', FH_CLI_INT, "N", "tokens generated (default 64; 0: leave out)", 0, 1 << 20},
    {"threads", 't', FH_CLI_INT, "N", "computing threads (default: one a physical core)", 1, 256},
    {"repeat", 'r', FH_CLI_INT, "N", "runs of each test (default 5), after one to warm up", 1, RUNS_MAX},
    {"depth", 0, FH_CLI_INT, "N", "tokens that are in the cache before (default 0)", 0, 1 << 20},
    {"streams", 0, FH_CLI_INT, "N", "sequences at once (default 1)", 1, FH_LIMIT_STREAMS},
    {"batch", 0, FH_CLI_INT, "N", "tokens of one step (default 512)", 1, FH_ENGINE_BATCH_MAX},
    {"kv-type", 0, FH_CLI_TEXT, "TYPE", "what the cache is kept as: f16 (default), q8_0 or q4_0, with less memory", 0, 0},
    {"deterministic", 0, FH_CLI_BOOL, NULL, "as an engine that computes the same whatever is in its batch", 0, 0},
    {"kernels", 0, FH_CLI_BOOL, NULL, "no model: the products of each type of weights by each instruction set, alone", 0, 0},
    {"record", 0, FH_CLI_BOOL, NULL, "keep the decode speed, also with 1,024 tokens in the cache: plans predict this machine's speed by it",
     0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "the data folder where it is kept", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const examples[] = {"freehold bench --model model.gguf",
                                       "freehold bench --model model.gguf -p 0 -n 128 --depth 4096 --streams 4 --json",
                                       "freehold bench --kernels", NULL};

const fh_cli_verb fh_verb_bench = {
    .name = "bench",
    .group = "One model, no server",
    .summary = "prefill and decode speed of one model",
    .operands = "",
    .about =
        "First the machine is measured: what all threads together read from memory (as many bytes as one token's weights), and what they "
        "multiply and add of 8-bit integers in each instruction set that is here (two operations each, in trillions a second).\n\n"
        "Speeds are means over the runs. BANDWIDTH is the share of the first that reading the weights takes, PEAK the share of the second "
        "that the products with them take.",
    .examples = examples,
    .flags = flags,
    .run = run_bench,
};
