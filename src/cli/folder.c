/* Working on a data folder without a server, under its lock. */
#include "base/clock.h"
#include "client.h"
#include "server/catalog_folder.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const fh_cli_flag fh_cli_data_flags[] = {
    {"data", 0, FH_CLI_TEXT, "DIR", "work on this data folder, without a server (which must not run on it)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

int fh_cli_data_dir(const fh_cli *c, char *out, size_t out_size, fh_err **err)
{
    const char *given = fh_cli_text(c, "data", fh_cli_env("FREEHOLD_DATA")), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;
    if (given)
        n = snprintf(out, out_size, "%s", given);
    else if (data && data[0])
        n = snprintf(out, out_size, "%s/freehold", data);
    else if (home && home[0])
        n = snprintf(out, out_size, "%s/.local/share/freehold", home);
    else
        return fh_err_set(err, FH_E_USAGE, "where are the data? Neither --data nor FREEHOLD_DATA nor HOME is set");
    return n < (int)out_size ? 0 : fh_err_set(err, FH_E_USAGE, "the path of the data folder is longer than %zu bytes", out_size - 1);
}

int fh_cli_folder_open(const fh_cli *c, fh_cli_folder *ret, fh_err **err)
{
    char data[1024];
    *ret = (fh_cli_folder){.lock_fd = -1};
    int rc = fh_cli_data_dir(c, data, sizeof data, err);
    if (!rc) rc = fh_dir_make(data, 0700, err);
    if (!rc) rc = fh_dir_lock(data, &ret->lock_fd, err);
    if (rc == FH_E_BUSY && fh_cli_has(c, "data"))
        fh_err_hint(err, "a server runs on %s: leave --data out to go through it, or stop it", data);
    else if (rc == FH_E_BUSY)
        fh_err_hint(err, "a server runs on %s, but not where it was looked for: name its address with --server or FREEHOLD_URL", data);
    if (!rc) rc = fh_catalog_folder_open(data, err);
    if (!rc) rc = fh_weights_open(&ret->weights, data, true, err);
    if (rc) fh_cli_folder_close(ret);
    return rc;
}

void fh_cli_folder_close(fh_cli_folder *f)
{
    fh_weights_close(f->weights);
    if (f->lock_fd >= 0) close(f->lock_fd);
    *f = (fh_cli_folder){.lock_fd = -1};
}

int fh_cli_wants_folder(const fh_cli *c, bool *ret, fh_err **err)
{
    fh_cli_client s;
    *ret = fh_cli_has(c, "data");
    if (*ret || fh_client_named(c)) return 0;
    int rc = fh_client_open(c, &s, err);
    if (rc) return rc;
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    *ret = fh_client_get_text(&s, "/healthz", &text, NULL) == FH_E_UNAVAILABLE;
    return 0;
}

int64_t fh_cli_since(const fh_json *object, const char *name)
{
    struct tm tm = {0};
    const char *text = fh_cli_str_of(object, name);
    if (!strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)) return 0;
    return FH_MAX(fh_clock_utc_ns() - (int64_t)timegm(&tm) * FH_NS_PER_S, (int64_t)0);
}
