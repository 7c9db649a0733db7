/* freehold node show: what a machine of the pool says of itself, and what the server measured. */
#include "client.h"

#include <stdio.h>
#include <string.h>

typedef struct quantity {
    const char *what;
    const char *said;     /* of facts; NULL: a machine says nothing of it */
    const char *measured; /* of measured, or of standing: */
    bool worked;
    double unit;
} quantity;

static const quantity quantities[] = {
    {"memory read, GB/s", "memory_read_bytes_per_s", "memory_read_bytes_per_s", false, 1e9},
    {"link to it, MB/s", NULL, "link_to_bytes_per_s", false, 1e6},
    {"link from it, MB/s", NULL, "link_from_bytes_per_s", false, 1e6},
    {"round trip, ms", NULL, "round_trip_us", false, 1e3},
    {"weights read for answers, GB/s", NULL, "weights_read_bytes_per_second", true, 1e9},
    {"answers, tokens/s of a stream", NULL, "decode_tokens_per_second", true, 1},
    {"prompts, tokens/s", NULL, "prompt_tokens_per_second", true, 1},
};

static void figure(const fh_json *o, const char *name, double unit, char *out, size_t out_size)
{
    double v = name ? fh_json_num(fh_json_get(o, name), 0) / unit : 0;
    snprintf(out, out_size, v > 0 ? (v < 10 ? "%.2f" : "%.1f") : "-", v);
}

static bool add(fh_cli_table *t, const fh_json *node, const quantity *q)
{
    char said[32], measured[32];
    figure(fh_json_get(node, "facts"), q->said, q->unit, said, sizeof said);
    figure(fh_json_get(node, q->worked ? "standing" : "measured"), q->measured, q->unit, measured, sizeof measured);
    const char *cells[] = {q->what, said, measured};
    return fh_cli_table_add(t, cells);
}

static void add_head(fh_buf *out, const fh_json *node)
{
    const fh_json *measured = fh_json_get(node, "measured"), *done = fh_json_get(measured, "work_done");
    const char *at = fh_cli_str_of(measured, "at");
    fh_buf_addf(out, "%s: %s, %s; standing %lld of 100\n", fh_cli_str_of(node, "name"), fh_cli_str_of(node, "state"),
                fh_json_is_true(fh_json_get(node, "here")) ? "connected" : "not connected",
                (long long)fh_json_int(fh_json_get(fh_json_get(node, "standing"), "standing"), 0));
    if (fh_cli_str_of(node, "owned_by")[0]) fh_buf_addf(out, "it is %s's\n", fh_cli_str_of(node, "owned_by"));
    if (at[0])
        fh_buf_addf(out, "measured at %.16s UTC\n", at);
    else
        fh_buf_adds(out, "not measured yet: that is done while nothing goes over its connection\n");
    if (fh_json_kind_of(done) == FH_JSON_BOOL && !fh_json_is_true(done))
        fh_buf_adds(out, "it did not do the work by which its memory is measured: what it says of that counts for nothing\n");
}

static int print(const fh_json *node, fh_err **err)
{
    static const fh_cli_column columns[] = {{"", FH_CLI_LEFT}, {"SAYS", FH_CLI_RIGHT}, {"MEASURED", FH_CLI_RIGHT}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    FH_AUTO(buf) fh_buf out = FH_BUF(8192);
    add_head(&out, node);
    for (size_t i = 0; t && i < FH_COUNT(quantities); i++)
        if (!add(t, node, &quantities[i])) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    fh_cli_table_write(t, &out);
    return fh_cli_print(&out, err);
}

static int run_show(fh_cli *c, fh_err **err)
{
    fh_cli_client s;
    char path[256];
    FH_AUTO(json) fh_json *node = NULL;
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    if (!fh_client_path(path, sizeof path, "/api/v1/nodes/", fh_cli_operand(c, 0), ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there is no such machine");
    rc = fh_client_call(&s, "GET", path, NULL, &node, err);
    if (rc) return rc;
    return c->json ? fh_cli_print_json(node, err) : print(node, err);
}

const fh_cli_verb fh_verb_node_show = {
    .name = "node show",
    .group = "Server",
    .summary = "what a machine of the pool says of itself, beside what the server measured",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Plans reckon with what was measured; with what a machine says only where nothing was (docs/POOL.md, What is measured).",
    .run = run_show,
};
