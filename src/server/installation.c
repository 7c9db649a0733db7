/* Whose data this is (see installation.h). */
#include "installation.h"

#include "base/clock.h"
#include "net/secret.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

/* The same at each start, unless the database was copied to another machine or folder. */
static int place_of(const char *data_dir, char out[1200], fh_err **err)
{
    FH_AUTO(buf) fh_buf machine = FH_BUF(64);
    FH_AUTO(ptr) char *folder = NULL;
    int rc = fh_path_real(data_dir, &folder, err);
    if (rc) return rc;
    (void)fh_file_read("/etc/machine-id", 64, &machine, NULL); /* where there is none, the folder alone tells */
    fh_str id = fh_str_trim((fh_str){fh_buf_cstr(&machine), machine.len});
    snprintf(out, 1200, "%.*s:%s", (int)id.len, id.ptr, folder);
    return 0;
}

int fh_installation_open(fh_db *db, const char *data_dir, fh_rent_identity *ret, fh_err **err)
{
    char place[1200], witness[1100];
    uint64_t fresh[2];
    int rc = place_of(data_dir, place, err);
    if (!rc) rc = fh_path_join(witness, sizeof witness, data_dir, FH_INSTALLATION_WITNESS, err);
    if (!rc) rc = fh_random_bytes(fresh, sizeof fresh, err);
    return rc ? rc : fh_rent_identity_open(db, place, witness, fresh, fh_clock_utc_ns(), ret, err);
}

int fh_installation_secret(const char *data_dir, char out[FH_INSTALLATION_SECRET_CHARS], fh_err **err)
{
    const size_t length = FH_INSTALLATION_SECRET_CHARS - 1;
    char path[1100];
    FH_AUTO(buf) fh_buf kept = FH_BUF(FH_INSTALLATION_SECRET_CHARS);
    int rc = fh_path_join(path, sizeof path, data_dir, "secret", err);
    if (rc) return rc;
    if (fh_file_read(path, length, &kept, NULL) == 0 && kept.len == length) {
        memcpy(out, kept.data, length);
        out[length] = '\0';
        explicit_bzero(kept.data, kept.len);
        return 0;
    }
    rc = fh_random_text(out, FH_INSTALLATION_SECRET_CHARS, err);
    return rc ? rc : fh_file_write_atomic(path, out, length, 0600, err);
}
