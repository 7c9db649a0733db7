/* freehold node key: the key that this machine will join with, made before anybody is asked. */
#include "node_here.h"
#include "pool/identity.h"
#include "sys/file.h"

#include <unistd.h>

static int read_place(const fh_cli *c, fh_pool_place *server, fh_link_digest *pin, fh_err **err)
{
    FH_AUTO(fh_err) fh_err *why = NULL;
    const char *certificate = fh_cli_text(c, "certificate", ""), *name = fh_cli_text(c, "name", "");
    int rc = fh_pool_place_parse(fh_str_of(fh_cli_operand(c, 0)), server, err);
    if (rc) return rc;
    if (!fh_link_digest_parse(fh_str_of(certificate), pin)) {
        fh_err_set(err, FH_E_USAGE, "--certificate is no SHA-256 of the certificate that the server's pool shows");
        fh_err_hint(err, "it has 64 hexadecimal digits");
        return FH_E_USAGE;
    }
    return fh_node_name_check(fh_str_of(name), &why) ? fh_node_flag_wrong("--name", why, err) : 0;
}

static int begin(const char *folder, const fh_pool_place *server, const fh_link_digest *pin, const char *name, fh_link_digest *ret,
                 fh_err **err)
{
    FH_AUTO(fh_identity) fh_identity *id = NULL;
    int rc = fh_identity_open(&id, folder, err);
    if (!rc) rc = fh_identity_begin_by_key(id, server, pin, name, &(fh_node_ask){.currency = "USD"}, err);
    return rc ? rc : fh_membership_key(fh_identity_joining(id), ret, err);
}

static int run_key(fh_cli *c, fh_err **err)
{
    char folder[1024], text[FH_LINK_DIGEST_TEXT];
    fh_pool_place server;
    fh_link_digest pin, key;
    int lock = -1;
    int rc = read_place(c, &server, &pin, err);
    if (!rc) rc = fh_node_folder(c, folder, sizeof folder, err);
    if (!rc) rc = fh_dir_make(folder, 0700, err);
    if (!rc) rc = fh_dir_lock(folder, &lock, err);
    if (!rc) rc = begin(folder, &server, &pin, fh_cli_text(c, "name", ""), &key, err);
    if (lock >= 0) close(lock);
    if (rc) return rc;
    fh_link_digest_write(&key, text);
    printf("%s\n", text);
    return 0;
}

static const fh_cli_flag flags[] = {
    {"certificate", 0, FH_CLI_TEXT, "SHA256", "of the certificate that the server's pool shows: nothing is said to another", 0, 0},
    {"name", 0, FH_CLI_TEXT, "NAME", "its name in the pool", 0, 0},
    {"data", 0, FH_CLI_TEXT, "DIR", "this machine's own folder (default $XDG_DATA_HOME/freehold-node)", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

const fh_cli_verb fh_verb_node_key = {
    .name = "node key",
    .group = "Server",
    .summary = "make this machine's key and say its SHA-256; a job of a cluster starts it",
    .operands = "URL",
    .min_operands = 1,
    .max_operands = 1,
    .about = "For machines that no token can be handed to: the server reads the SHA-256 where only this machine can have written it, as in "
             "the comment of its job in Slurm (docs/SLURM.md), and expects whoever has that key. `freehold node join URL` in the same "
             "folder then joins with it, and waits up to half an hour until it is expected. The key stays in the folder; a second time "
             "says the same.",
    .flags = flags,
    .run = run_key,
    .no_json = true,
};
