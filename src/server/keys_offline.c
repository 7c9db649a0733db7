/* Making a key while no server runs. Whoever may write the data folder may do anything with it already: no key is asked for. */
#include "base/clock.h"
#include "db/schema.h"
#include "server/keys.h"
#include "server_private.h"
#include "sys/file.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What we write must be the server's to write as well. */
static int check_owner(const char *data_dir, fh_err **err)
{
    struct stat st;
    if (stat(data_dir, &st) != 0)
        return fh_err_errno(err, errno == ENOENT ? FH_E_NOT_FOUND : FH_E_IO, errno, "cannot look at %s", data_dir);
    if (st.st_uid == geteuid()) return 0;
    const struct passwd *owner = getpwuid(st.st_uid);
    fh_err_set(err, FH_E_FORBIDDEN, "%s belongs to another user: its server could not read what is written here", data_dir);
    fh_err_hint(err, "sudo -u %s freehold key create ...", owner ? owner->pw_name : "OWNER");
    return FH_E_FORBIDDEN;
}

static int check_store(const char *url, fh_err **err)
{
    fh_str text = fh_str_of(url), prefix = FH_STR("sqlite:");
    if (!fh_str_starts(text, prefix) || fh_file_exists(url + prefix.len)) return 0;
    fh_err_set(err, FH_E_NOT_FOUND, "there is no database %s", url + prefix.len);
    fh_err_hint(err, "a server's first start makes it, and the first key: freehold serve");
    return FH_E_NOT_FOUND;
}

static int lock(const char *data_dir, int *ret_fd, fh_err **err)
{
    int rc = fh_dir_lock(data_dir, ret_fd, err);
    if (rc == FH_E_BUSY)
        fh_err_hint(err, "a server runs on it: leave --data out and give an admin key with --key-file, or stop the server first");
    return rc;
}

static int create_in(const char *url, const char *name, const char *scope, fh_json **ret, fh_err **err)
{
    FH_AUTO(fh_db) fh_db *db = NULL;
    FH_AUTO(fh_keys) fh_keys *keys = NULL;
    fh_key spec = {0};
    int rc = fh_db_open(&db, url, err);
    if (!rc) rc = fh_db_migrate_schema(db, err);
    if (!rc) rc = fh_keys_open(&keys, db, fh_clock_utc_ns(), err);
    if (!rc) rc = api_key_spec(fh_str_of(name), fh_str_of(scope), &spec, err);
    return rc ? rc : api_key_make(keys, &spec, ret, err);
}

int fh_keys_create_offline(const char *data_dir, const char *store_url, const char *name, const char *scope, fh_json **ret, fh_err **err)
{
    FH_AUTO(fd) int lock_fd = -1;
    FH_AUTO(ptr) char *url = store_url ? fh_strdup(store_url) : fh_asprintf("sqlite:%s/freehold.db", data_dir);
    if (!url) return fh_err_nomem(err);
    int rc = check_owner(data_dir, err);
    if (!rc) rc = check_store(url, err);
    if (!rc) rc = lock(data_dir, &lock_fd, err);
    return rc ? rc : create_in(url, name, scope, ret, err);
}
