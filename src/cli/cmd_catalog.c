/* freehold catalog list, add, remove, update, revert: entries of one's own, and updates of ours; through the server or on a data folder
 * alone. */
#include "base/limits.h"
#include "client.h"
#include "server/catalog_folder.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

typedef struct change { /* one act, by either way */
    const char *method;
    char path[256];
    fh_json *body; /* owned; NULL: none */
    int (*local)(const char *data, const struct change *ch, fh_err **err);
    const char *name; /* of entries */
} change;

static int on_folder(fh_cli *c, const change *ch, fh_json **ret, fh_err **err)
{
    char data[1024];
    fh_cli_folder f;
    int rc = fh_cli_folder_open(c, &f, err);
    if (rc) return rc;
    rc = fh_cli_data_dir(c, data, sizeof data, err);
    if (!rc && ch->local) rc = ch->local(data, ch, err);
    if (!rc) rc = fh_catalog_folder_view(data, ret, err);
    fh_cli_folder_close(&f);
    return rc;
}

static int on_server(fh_cli *c, const change *ch, fh_json **ret, fh_err **err)
{
    fh_cli_client s;
    int rc = fh_client_open(c, &s, err);
    if (!rc && ch->local) rc = fh_client_call(&s, ch->method, ch->path, ch->body, NULL, err);
    return rc ? rc : fh_client_call(&s, "GET", "/api/v1/catalog", NULL, ret, err);
}

/* Makes the change, if it is one; *ret is what there is then. */
static int run_change(fh_cli *c, const change *ch, fh_json **ret, fh_err **err)
{
    bool alone = false;
    int rc = fh_cli_wants_folder(c, &alone, err);
    if (rc) return rc;
    return alone ? on_folder(c, ch, ret, err) : on_server(c, ch, ret, err);
}

static int read_json(const char *path, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_CATALOG_FILE_BYTES);
    int rc = fh_file_read(path, FH_LIMIT_CATALOG_FILE_BYTES, &text, err);
    if (!rc) rc = fh_json_parse(ret, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_CATALOG_FILE_BYTES, err);
    if (rc) fh_err_about(err, path);
    return rc;
}

/* ---- what is said of it ---- */

static bool add_row(fh_cli_table *t, const fh_json *o)
{
    char models[24], machines[24];
    snprintf(models, sizeof models, "%zu", fh_json_count(fh_json_get(o, "models")));
    snprintf(machines, sizeof machines, "%zu", fh_json_count(fh_json_get(o, "machines")));
    const char *why = fh_cli_str_of(o, "why");
    const char *cells[] = {fh_cli_str_of(o, "name"), models, machines, *why ? why : "used"};
    return fh_cli_table_add(t, cells);
}

static int write_own(const fh_json *own, fh_buf *out, fh_err **err)
{
    static const fh_cli_column columns[] = {
        {"OWN", FH_CLI_LEFT}, {"MODELS", FH_CLI_RIGHT}, {"MACHINES", FH_CLI_RIGHT}, {"STATE", FH_CLI_WRAP}, {NULL, FH_CLI_LEFT}};
    FH_AUTO(fh_cli_table) fh_cli_table *t = fh_cli_table_new(columns);
    for (size_t i = 0; t && i < fh_json_count(own); i++)
        if (!add_row(t, fh_json_at(own, i))) return fh_err_nomem(err);
    if (!t) return fh_err_nomem(err);
    if (fh_json_count(own)) fh_cli_table_write(t, out);
    return 0;
}

static int say(fh_cli *c, const fh_json *view, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    const char *before = fh_cli_str_of(view, "before"), *why = fh_cli_str_of(view, "update_why");
    if (c->json) return fh_cli_print_json(view, err);
    bool updated = fh_json_is_true(fh_json_get(view, "updated"));
    fh_buf_addf(&out, "The catalogue is of %s, %s%s%s.\n", fh_cli_str_of(view, "version"), updated ? "an update" : "the program's own",
                *before ? "; before it " : "", before);
    if (*why) fh_buf_addf(&out, "An update is there and not used: %s\n", why);
    int rc = write_own(fh_json_get(view, "own"), &out, err);
    return rc ? rc : fh_cli_print(&out, err);
}

static int run_and_say(fh_cli *c, const change *ch, fh_err **err)
{
    FH_AUTO(json) fh_json *view = NULL;
    int rc = run_change(c, ch, &view, err);
    return rc ? rc : say(c, view, err);
}

/* ---- the verbs ---- */

static int run_list(fh_cli *c, fh_err **err)
{
    return run_and_say(c, &(change){.local = NULL}, err);
}

/* "models/My Lab.json" -> "my-lab". */
static void name_of(const char *path, char out[64])
{
    const char *base = strrchr(path, '/');
    size_t n = 0;
    for (base = base ? base + 1 : path; *base && *base != '.' && n < 63; base++) {
        char ch = *base;
        if (ch >= 'A' && ch <= 'Z') ch = (char)(ch - 'A' + 'a');
        out[n++] = (char)((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ? ch : '-');
    }
    out[n] = '\0';
}

static int add_locally(const char *data, const change *ch, fh_err **err)
{
    return fh_catalog_folder_add(data, fh_str_of(ch->name), fh_json_get(ch->body, "entries"), err);
}

static int run_add(fh_cli *c, fh_err **err)
{
    char name[64];
    FH_AUTO(json) fh_json *entries = NULL, *body = fh_json_new_object();
    name_of(fh_cli_operand(c, 0), name);
    int rc = read_json(fh_cli_operand(c, 0), &entries, err);
    if (rc) return rc;
    change ch = {.method = "POST", .path = "/api/v1/catalog/own", .body = body, .local = add_locally, .name = fh_cli_text(c, "name", name)};
    if (!fh_json_set(body, "name", fh_json_new_cstr(ch.name)) || !fh_json_set(body, "entries", fh_take(entries))) return fh_err_nomem(err);
    return run_and_say(c, &ch, err);
}

static int remove_locally(const char *data, const change *ch, fh_err **err)
{
    return fh_catalog_folder_remove(data, fh_str_of(ch->name), err);
}

static int run_remove(fh_cli *c, fh_err **err)
{
    change ch = {.method = "DELETE", .local = remove_locally, .name = fh_cli_operand(c, 0)};
    if (!fh_client_path(ch.path, sizeof ch.path, "/api/v1/catalog/own/", ch.name, ""))
        return fh_err_set(err, FH_E_NOT_FOUND, "there are no entries of such a long name");
    return run_and_say(c, &ch, err);
}

static int update_locally(const char *data, const change *ch, fh_err **err)
{
    return fh_catalog_folder_update(data, ch->body, err);
}

static int run_update(fh_cli *c, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = read_json(fh_cli_operand(c, 0), &doc, err);
    if (rc) return rc;
    change ch = {.method = "POST", .path = "/api/v1/catalog/update", .body = doc, .local = update_locally};
    return run_and_say(c, &ch, err);
}

static int revert_locally(const char *data, const change *ch, fh_err **err)
{
    return fh_catalog_folder_revert(data, err);
}

static int run_revert(fh_cli *c, fh_err **err)
{
    return run_and_say(c, &(change){.method = "DELETE", .path = "/api/v1/catalog/update", .local = revert_locally}, err);
}

static const fh_cli_flag add_flags[] = {
    {"name", 0, FH_CLI_TEXT, "NAME", "how the entries are to be called; without: after the file. Those of that name are replaced", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "work on this data folder, without a server (which must not run on it)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};
static const char *const add_examples[] = {"freehold catalog add my-models.json", NULL};

const fh_cli_verb fh_verb_catalog_list = {
    .name = "catalog list",
    .group = "Models and weights",
    .summary = "of which day the catalogue is, and the entries of your own",
    .operands = "",
    .flags = fh_cli_data_flags,
    .run = run_list,
};
const fh_cli_verb fh_verb_catalog_add = {
    .name = "catalog add",
    .group = "Models and weights",
    .summary = "add models and machines of your own to the catalogue",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about =
        "FILE is JSON: {\"models\": [...], \"machines\": [...]}; docs/CATALOG.md says what an entry is made of. They stand beside ours, "
        "marked as your own, and never replace one of ours: a name that is taken is refused. A server reads DATA/catalog.d at its start "
        "and on SIGHUP too.",
    .examples = add_examples,
    .flags = add_flags,
    .run = run_add,
};
const fh_cli_verb fh_verb_catalog_remove = {
    .name = "catalog remove",
    .group = "Models and weights",
    .summary = "remove entries of your own",
    .operands = "NAME",
    .min_operands = 1,
    .max_operands = 1,
    .flags = fh_cli_data_flags,
    .run = run_remove,
};
const fh_cli_verb fh_verb_catalog_update = {
    .name = "catalog update",
    .group = "Models and weights",
    .summary = "take newer models and machines from a file, without a new program",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "FILE must be newer than what is used, and is checked whole before anything changes. `freehold catalog revert` takes it back. "
             "It bears no signature: take it from nobody but whom you trust. A program that is newer than its update uses its own again.",
    .flags = fh_cli_data_flags,
    .run = run_update,
};
const fh_cli_verb fh_verb_catalog_revert = {
    .name = "catalog revert",
    .group = "Models and weights",
    .summary = "take the last update of the catalogue back",
    .operands = "",
    .flags = fh_cli_data_flags,
    .run = run_revert,
};
