/* What is kept of a machine's flags (see node_settings.h). */
#include "node_settings.h"

#include "base/limits.h"
#include "base/log.h"
#include "sys/file.h"

static const char *const kept[] = {"hours", "max-memory", "max-disk", "max-engines", "max-threads", "models", "not-models",
                                   "alone", "ask-tokens", "min-time", "region",      "watts",       "pue",    "wue"};

static int path_of(const char *folder, char out[1100], fh_err **err)
{
    return fh_path_join(out, 1100, folder, "settings.json", err);
}

static int not_well_formed(const char *path, fh_err **err)
{
    fh_err *why = *err;
    *err = NULL;
    fh_err_set(err, FH_E_CORRUPT, "%s is not what `freehold node join` keeps%s%s", path, why ? ": " : "", why ? fh_err_message(why) : "");
    fh_err_hint(err, "--reset forgets it");
    fh_err_free(why);
    return FH_E_CORRUPT;
}

static int load(const char *path, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_NODE_SETTINGS_BYTES);
    int rc = fh_file_read(path, FH_LIMIT_NODE_SETTINGS_BYTES, &text, err);
    if (rc) return rc;
    rc = fh_json_parse(ret, (fh_str){fh_buf_cstr(&text), text.len}, FH_LIMIT_NODE_SETTINGS_BYTES, err);
    return rc || fh_json_kind_of(*ret) != FH_JSON_OBJECT ? not_well_formed(path, err) : 0;
}

/* What is said now counts instead. */
static int give(fh_cli *c, const fh_json *settings, const char *name, fh_buf *said, fh_err **err)
{
    fh_str value = {0};
    int rc = fh_json_read_str(settings, name, false, &value, err);
    if (rc || !value.ptr || fh_cli_has(c, name)) return rc;
    fh_buf_addf(said, " --%s %s", name, value.ptr);
    return fh_cli_give(c, name, value.ptr, err);
}

int fh_node_settings_read(fh_cli *c, const char *folder, fh_json **ret, fh_err **err)
{
    char path[1100];
    FH_AUTO(buf) fh_buf said = FH_BUF(2 * FH_LIMIT_NODE_SETTINGS_BYTES);
    int rc = path_of(folder, path, err);
    if (rc || fh_cli_has(c, "reset") || !fh_file_exists(path)) return rc;
    rc = load(path, ret, err);
    if (rc) return rc;
    for (size_t i = 0; !rc && i < FH_COUNT(kept); i++) rc = give(c, *ret, kept[i], &said, err);
    if (rc) return not_well_formed(path, err);
    if (said.len) fh_log(FH_LOG_INFO, "node", "as it was said before:%s; --reset forgets it", fh_buf_cstr(&said));
    return 0;
}

int fh_node_settings_write(const fh_cli *c, const char *folder, fh_err **err)
{
    char path[1100];
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_NODE_SETTINGS_BYTES);
    bool good = o != NULL;
    for (size_t i = 0; good && i < FH_COUNT(kept); i++) {
        const char *value = fh_cli_text(c, kept[i], NULL);
        if (value) good = fh_json_set(o, kept[i], fh_json_new_cstr(value));
    }
    int rc = good ? path_of(folder, path, err) : fh_err_nomem(err);
    if (!rc) rc = fh_json_write_pretty(o, &text, err);
    if (!rc) rc = fh_buf_check(&text, err, "what is kept of this machine's flags");
    return rc ? rc : fh_file_write_atomic(path, text.data, text.len, 0600, err);
}
