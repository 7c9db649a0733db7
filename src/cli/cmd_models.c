/* freehold models, show, list: the catalogue and the weights, through the server or on a data folder alone. */
#include "client.h"
#include "server/models.h"

#include <stdio.h>
#include <string.h>

/* One read, from the folder or from the server; *ret is owned. */
static int get_doc(fh_cli *c, const char *path, int (*local)(fh_weights *w, const char *id, fh_json **ret, fh_err **err), const char *id,
                   fh_json **ret, fh_err **err)
{
    bool wants_folder = false;
    int rc = fh_cli_wants_folder(c, &wants_folder, err);
    if (rc) return rc;
    if (!wants_folder) {
        fh_cli_client s;
        rc = fh_client_open(c, &s, err);
        return rc ? rc : fh_client_call(&s, "GET", path, NULL, ret, err);
    }
    fh_cli_folder f;
    rc = fh_cli_folder_open(c, &f, err);
    if (rc) return rc;
    rc = local(f.weights, id, ret, err);
    fh_cli_folder_close(&f);
    return rc;
}

static int local_models(fh_weights *w, const char *id, fh_json **ret, fh_err **err)
{
    (void)id;
    return fh_models_list(w, NULL, ret, err);
}

static int local_model(fh_weights *w, const char *id, fh_json **ret, fh_err **err)
{
    return fh_models_get(w, NULL, id, ret, err);
}

static int local_weights(fh_weights *w, const char *id, fh_json **ret, fh_err **err)
{
    (void)id;
    FH_AUTO(ptr) fh_weights_item *list = NULL;
    size_t count = 0;
    int rc = fh_weights_list(w, &list, &count, NULL, err);
    if (rc) return rc;
    fh_json *items = fh_json_new_array();
    for (size_t i = 0; i < count; i++) fh_json_append(items, fh_weights_view_json(w, &list[i]));
    *ret = fh_json_new_object();
    fh_json_set(*ret, "items", items);
    fh_json_set(*ret, "next", fh_json_new_null());
    return 0;
}

static void context_text(const fh_json *m, char *out, size_t out_size)
{
    int64_t n = fh_json_int(fh_json_get(m, "context_tok"), 0);
    if (n >= 1000000)
        snprintf(out, out_size, "%.1fM", (double)n / 1e6);
    else if (n >= 1024)
        snprintf(out, out_size, "%lldk", (long long)(n / 1024));
    else if (n > 0)
        snprintf(out, out_size, "%lld", (long long)n);
    else
        snprintf(out, out_size, "?");
}

static void bytes_text(const fh_json *o, const char *name, char *out, size_t out_size)
{
    int64_t n = fh_json_int(fh_json_get(o, name), 0);
    if (n > 0)
        fh_cli_bytes((uint64_t)n, out, out_size);
    else
        snprintf(out, out_size, "?");
}

/* One word on what stands in the way here. */
static const char *here_text(const fh_json *m)
{
    const fh_json *here = fh_json_get(m, "here");
    const char *blocked = fh_cli_str_of(here, "blocked_by");
    if (fh_json_count(fh_json_get(m, "deployments"))) return "runs";
    if (fh_json_is_true(fh_json_get(here, "runnable"))) return "ready to run";
    if (strcmp(blocked, "memory") == 0) return "too large";
    if (strcmp(blocked, "engine") == 0) return "family not yet known";
    return strcmp(blocked, "weights") == 0 ? "weights not here" : "not now";
}

static bool add_model(fh_cli_table *t, const fh_json *m)
{
    char rank[24] = "-", percent[24] = "-", context[24], needs[24];
    int64_t place = fh_json_int(fh_json_get(m, "rank"), 0);
    const fh_json *frontier = fh_json_get(m, "frontier");
    if (place) snprintf(rank, sizeof rank, "%lld", (long long)place);
    if (strcmp(fh_cli_str_of(m, "tier"), "own") == 0) snprintf(rank, sizeof rank, "own");
    if (fh_json_count(frontier)) snprintf(percent, sizeof percent, "%.0f %%", fh_json_num(fh_json_get(frontier, "percent"), 0));
    context_text(m, context, sizeof context);
    bytes_text(m, "needs_bytes", needs, sizeof needs);
    const char *cells[] = {rank,
                           fh_cli_str_of(m, "id"),
                           fh_cli_str_of(m, "maker"),
                           percent,
                           fh_cli_str_of(fh_json_get(m, "license"), "class"),
                           context,
                           needs,
                           here_text(m)};
    return fh_cli_table_add(t, cells);
}

static int print_models(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"RANK", FH_CLI_RIGHT},     {"MODEL", FH_CLI_LEFT},   {"MAKER", FH_CLI_SHRINK},
                                            {"FRONTIER", FH_CLI_RIGHT}, {"LICENCE", FH_CLI_LEFT}, {"CONTEXT", FH_CLI_RIGHT},
                                            {"NEEDS", FH_CLI_RIGHT},    {"HERE", FH_CLI_LEFT},    {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_model(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

/* Items that are wanted: of the top ten, or all. A new array. */
static fh_json *choose(const fh_json *items, bool top)
{
    fh_json *list = fh_json_new_array();
    for (size_t i = 0; i < fh_json_count(items); i++) {
        const fh_json *m = fh_json_at(items, i);
        if (!top || fh_json_is_true(fh_json_get(m, "top_ten"))) fh_json_append(list, fh_json_ref((fh_json *)(uintptr_t)m));
    }
    return list;
}

static int run_models(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = get_doc(c, "/api/v1/models", local_models, NULL, &reply, err);
    if (rc) return rc;
    fh_json *chosen = choose(fh_json_get(reply, "items"), fh_cli_has(c, "top"));
    FH_AUTO(json) fh_json *doc = fh_json_new_object();
    fh_json_set(doc, "items", chosen);
    return c->json ? fh_cli_print_json(doc, err) : print_models(chosen, err);
}

static void add_line(fh_buf *out, const char *name, const char *value)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 16);
    if (!value[0]) return;
    fh_cli_wrap(&text, value, 16, FH_CLI_COLUMNS);
    fh_buf_addf(out, "%-14s  %s", name, fh_buf_cstr(&text) + FH_MIN((size_t)16, text.len));
}

/* "27.6 kB a token (13.8 kB in 8 bits) and 449 MB a stream: 2.3 GB at 131072 tokens in 8 bits (mla, state)" */
static void add_keeps(fh_buf *out, const fh_json *m)
{
    char token[24], narrow[24], stream[24], full[24];
    const fh_json *k = fh_json_get(m, "keeps"), *classes = fh_json_get(k, "classes");
    int64_t fixed = fh_json_int(fh_json_get(k, "bytes_per_stream"), 0);
    FH_AUTO(buf) fh_buf text = FH_BUF(512);
    if (fh_json_count(classes) == 0) return;
    bytes_text(k, "bytes_per_token", token, sizeof token);
    bytes_text(k, "bytes_per_token_8bit", narrow, sizeof narrow);
    bytes_text(k, "bytes_per_stream", stream, sizeof stream);
    bytes_text(k, "long_context_bytes_8bit", full, sizeof full);
    fh_buf_addf(&text, "%s a token (%s in 8 bits)%s%s%s: ", token, narrow, fixed ? " and " : "", fixed ? stream : "",
                fixed ? " a stream" : "");
    fh_buf_addf(&text, "%s at %lld tokens in 8 bits (", full, (long long)fh_json_int(fh_json_get(k, "long_context_tok"), 0));
    for (size_t i = 0; i < fh_json_count(classes); i++) fh_buf_addf(&text, "%s%s", i ? ", " : "", fh_json_str(fh_json_at(classes, i)).ptr);
    fh_buf_addc(&text, ')');
    add_line(out, "Keeps", fh_buf_cstr(&text));
    add_line(out, "", fh_cli_str_of(k, "rule"));
}

static void add_numbers(fh_buf *out, const fh_json *m)
{
    char text[128], context[24], bytes[24];
    double total = fh_json_num(fh_json_get(m, "params_total_b"), 0), active = fh_json_num(fh_json_get(m, "params_active_b"), 0);
    context_text(m, context, sizeof context);
    bytes_text(m, "weights_bytes", bytes, sizeof bytes);
    if (total > 0 && active > 0 && active < total)
        snprintf(text, sizeof text, "%g billion, %g of them at work for a token", total, active);
    else
        snprintf(text, sizeof text, "%g billion", total);
    add_line(out, "Parameters", total > 0 ? text : "");
    snprintf(text, sizeof text, "%s tokens", context);
    add_line(out, "Context", text);
    add_line(out, "Weights", bytes);
    add_line(out, "Attention", fh_cli_str_of(m, "attention"));
    add_keeps(out, m);
}

static void add_score(fh_buf *out, const char *name, const fh_json *f)
{
    char text[512];
    snprintf(text, sizeof text, "%.1f percent of %s: %s %.1f, %s, %s (%s)", fh_json_num(fh_json_get(f, "percent"), 0),
             fh_cli_str_of(f, "best_model"), fh_cli_str_of(f, "benchmark"), fh_json_num(fh_json_get(f, "score"), 0),
             fh_cli_str_of(f, "harness"), fh_cli_str_of(f, "date"), fh_cli_str_of(f, "source"));
    add_line(out, name, text);
}

/* The first is the one that lists show; scales of different benchmarks are never mixed. */
static void add_frontier(fh_buf *out, const fh_json *m)
{
    const fh_json *list = fh_json_get(m, "scores");
    for (size_t i = 0; i < fh_json_count(list); i++) add_score(out, i == 0 ? "Frontier" : "", fh_json_at(list, i));
}

/* "use: yes; change: yes; sell changed: conditions; serve others for money: conditions" */
static void add_allows(fh_buf *out, const fh_json *licence)
{
    static const struct {
        const char *name, *text;
    } rights[] = {{"use", "use"}, {"change", "change"}, {"sell", "sell changed"}, {"serve", "serve others for money"}};
    const fh_json *allows = fh_json_get(licence, "allows");
    FH_AUTO(buf) fh_buf text = FH_BUF(512);
    for (size_t i = 0; i < FH_COUNT(rights); i++)
        fh_buf_addf(&text, "%s%s: %s", i ? "; " : "", rights[i].text, fh_cli_str_of(allows, rights[i].name));
    add_line(out, "Allows", fh_buf_cstr(&text));
}

static void add_words(fh_buf *out, const char *before, const fh_json *words)
{
    for (size_t i = 0; i < fh_json_count(words); i++) {
        const char *word = fh_json_str(fh_json_at(words, i)).ptr;
        const char *quote = strpbrk(word, " \"{}") ? "'" : "";
        fh_buf_addf(out, "%s%s%s%s", i ? " " : before, quote, word, quote);
    }
}

/* "vllm 0.27.1 or later, vllm/vllm-openai:kimi-k3 on 8 x b300 (documented): --tool-call-parser ..." */
static void add_run(fh_buf *out, const char *name, const fh_json *r)
{
    const char *least = fh_cli_str_of(r, "least"), *variant = fh_cli_str_of(r, "variant"), *image = fh_cli_str_of(r, "image");
    const char *device = fh_cli_str_of(r, "device"), *notes = fh_cli_str_of(r, "notes"), *revision = fh_cli_str_of(r, "revision");
    int64_t devices = fh_json_int(fh_json_get(r, "devices"), 0);
    FH_AUTO(buf) fh_buf text = FH_BUF(1 << 15);
    fh_buf_addf(&text, "%s%s%s%s%s%s", fh_cli_str_of(r, "engine"), *least ? " " : "", least, *least ? " or later" : "",
                *variant ? ", " : "", variant);
    fh_buf_addf(&text, "%s%s%s%s", *image ? ", " : "", image, *revision ? ", weights of " : "", revision);
    if (devices) fh_buf_addf(&text, ", %lld%s%s", (long long)devices, *device ? " x " : devices > 1 ? " devices" : " device", device);
    fh_buf_addf(&text, " (%s)", fh_cli_str_of(r, "state"));
    add_words(&text, ": ", fh_json_get(r, "environment"));
    add_words(&text, fh_json_count(fh_json_get(r, "environment")) ? " " : ": ", fh_json_get(r, "arguments"));
    add_words(&text, fh_json_count(fh_json_get(r, "arguments")) ? " " : ": ", fh_json_get(r, "host_arguments"));
    fh_buf_addf(&text, "%s%s", *notes ? "; " : "", notes);
    add_line(out, name, fh_buf_cstr(&text));
}

static void add_runs(fh_buf *out, const fh_json *m)
{
    const fh_json *list = fh_json_get(m, "runs");
    for (size_t i = 0; i < fh_json_count(list); i++) add_run(out, i == 0 ? "Engines" : "", fh_json_at(list, i));
}

static void add_variants(fh_buf *out, const fh_json *m)
{
    const fh_json *list = fh_json_get(m, "variants");
    for (size_t i = 0; i < fh_json_count(list); i++) {
        char bytes[24], text[512];
        const fh_json *v = fh_json_at(list, i);
        bytes_text(v, "bytes", bytes, sizeof bytes);
        snprintf(text, sizeof text, "%s: %s, %s %s", fh_cli_str_of(v, "name"), fh_cli_str_of(v, "format"), bytes, fh_cli_str_of(v, "repo"));
        add_line(out, i == 0 ? "Variants" : "", text);
    }
}

static int print_model(const fh_json *m, fh_err **err)
{
    char text[1024];
    const fh_json *licence = fh_json_get(m, "license"), *here = fh_json_get(m, "here");
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    snprintf(text, sizeof text, "%s (%s)", fh_cli_str_of(m, "name"), fh_cli_str_of(m, "id"));
    add_line(&out, "Model", text);
    snprintf(text, sizeof text, "an entry of your own, from %s", fh_cli_str_of(m, "from"));
    add_line(&out, "Entry", *fh_cli_str_of(m, "from") ? text : "");
    add_line(&out, "Maker", fh_cli_str_of(m, "maker"));
    add_line(&out, "Released", fh_cli_str_of(m, "released"));
    snprintf(text, sizeof text, "%s: %s. %s", fh_cli_str_of(licence, "class"), fh_cli_str_of(licence, "name"),
             fh_cli_str_of(licence, "summary"));
    add_line(&out, "Licence", text);
    add_allows(&out, licence);
    add_numbers(&out, m);
    add_frontier(&out, m);
    add_variants(&out, m);
    add_runs(&out, m);
    add_line(&out, "Hardware", fh_cli_str_of(m, "hardware"));
    snprintf(text, sizeof text, "%s: %s", here_text(m), fh_cli_str_of(here, "why"));
    add_line(&out, "Here", text);
    bool present = fh_json_is_true(fh_json_get(here, "nearest_present"));
    snprintf(text, sizeof text, present ? "freehold run %s" : "%s, once its weights are here", fh_cli_str_of(here, "nearest"));
    add_line(&out, "Would run", fh_cli_str_of(here, "nearest")[0] ? text : "");
    add_line(&out, "Notes", fh_cli_str_of(m, "notes"));
    return fh_cli_print(&out, err);
}

static int run_show(fh_cli *c, fh_err **err)
{
    char path[1024];
    const char *id = fh_cli_operand(c, 0);
    FH_AUTO(json) fh_json *m = NULL;
    if (!fh_client_path(path, sizeof path, "/api/v1/models/", id, ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no model with such a long name");
    int rc = get_doc(c, path, local_model, id, &m, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(m, err) : print_model(m, err);
}

static bool add_weights(fh_cli_table *t, const fh_json *w)
{
    char bytes[24], age[24], digest[16];
    bytes_text(w, "bytes", bytes, sizeof bytes);
    fh_cli_age(fh_cli_since(w, "imported"), age, sizeof age);
    snprintf(digest, sizeof digest, "%.12s", fh_cli_str_of(w, "digest"));
    const char *variant = fh_cli_str_of(w, "variant"), *known = fh_json_is_true(fh_json_get(w, "in_catalog")) ? "yes" : "no";
    const char *cells[] = {fh_cli_str_of(w, "id"), variant[0] ? variant : "-", fh_cli_str_of(w, "architecture"), bytes, digest, known, age};
    return fh_cli_table_add(t, cells);
}

static int print_weights(const fh_json *items, fh_err **err)
{
    static const fh_cli_column columns[] = {{"MODEL", FH_CLI_LEFT}, {"VARIANT", FH_CLI_LEFT}, {"FAMILY", FH_CLI_LEFT},
                                            {"SIZE", FH_CLI_RIGHT}, {"SHA-256", FH_CLI_LEFT}, {"KNOWN", FH_CLI_LEFT},
                                            {"AGE", FH_CLI_RIGHT},  {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(4 << 20);
    for (size_t i = 0; t && i < fh_json_count(items); i++)
        if (!add_weights(t, fh_json_at(items, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    if (fh_json_count(items) == 0)
        fh_buf_adds(&out, "No weights are here. `freehold import FILE` brings a GGUF file in.\n");
    else
        fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_list(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *reply = NULL;
    int rc = get_doc(c, "/api/v1/weights", local_weights, NULL, &reply, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(reply, err) : print_weights(fh_json_get(reply, "items"), err);
}

static const fh_cli_flag models_flags[] = {
    {"top", 0, FH_CLI_BOOL, NULL, "only the ten nearest to the frontier", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "work on this data folder, without a server (which must not run on it)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_models = {
    .name = "models",
    .group = "Models and weights",
    .summary = "what exists, how near the frontier, what it needs, what it takes here",
    .operands = "",
    .about = "FRONTIER is the measured percent of the best closed model at that time, on the benchmark that `freehold show MODEL` names. "
             "NEEDS is memory with the default context and "
             "streams. Without a server it works on the data folder alone.",
    .flags = models_flags,
    .run = run_models,
};
const fh_cli_verb fh_verb_show = {
    .name = "show",
    .group = "Models and weights",
    .summary = "all about one model",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .flags = fh_cli_data_flags,
    .run = run_show,
};
const fh_cli_verb fh_verb_models_show = {
    .name = "models show",
    .summary = "all about one model",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .flags = fh_cli_data_flags,
    .run = run_show,
};
const fh_cli_verb fh_verb_list = {
    .name = "list",
    .group = "Models and weights",
    .summary = "the weights that are here",
    .operands = "",
    .flags = fh_cli_data_flags,
    .run = run_list,
};
