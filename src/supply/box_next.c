/* What is done next on a box, and what speaks against it: of what is wanted and what is known, and nothing else. */
#include "base/limits.h"
#include "box.h"

#include <inttypes.h>

const char *fh_box_step_name(box_step s)
{
    static const char *const names[BOX_STEPS] = {
        [BOX_LOOK] = "look",   [BOX_CLAIM] = "claim",     [BOX_COPY] = "copy", [BOX_KEEP] = "keep",
        [BOX_TRY] = "try",     [BOX_INSTALL] = "install", [BOX_PORT] = "port", [BOX_HOLD] = "hold",
        [BOX_START] = "start", [BOX_WATCH] = "watch",     [BOX_END] = "end",   [BOX_END_OTHER] = "end",
    };
    return names[s];
}

static box_step next_for_program(const box_wish *w, const box_facts *f)
{
    if (strcmp(f->program, w->program) != 0) return f->part_bytes < w->program_bytes ? BOX_COPY : BOX_KEEP;
    return f->tried ? BOX_INSTALL : BOX_TRY;
}

static box_step next_for_tunnel(const box_wish *w, const box_facts *f)
{
    if (w->holds) return BOX_WATCH;
    return f->port ? BOX_HOLD : BOX_PORT;
}

box_step fh_box_next(const box_wish *w, const box_facts *f)
{
    bool through = w->holds && f->tunnel;
    if (w->ending) return BOX_END;
    if (!w->looked) return BOX_LOOK;
    if (f->held && f->held != w->order) return BOX_END_OTHER;
    if (!f->held) return BOX_CLAIM;
    if (strcmp(f->agent, "none") != 0) return w->tunnel && !through && strcmp(f->agent, "runs") == 0 ? next_for_tunnel(w, f) : BOX_WATCH;
    if (strcmp(f->program, w->program) != 0 || !f->tried || !f->runs) return next_for_program(w, f);
    if (w->tunnel && !through) return next_for_tunnel(w, f);
    return BOX_START;
}

/* ---- what speaks against it ---- */

static int refuse(const char *hint, fh_err **err)
{
    fh_err_hint(err, "%s", hint);
    return FH_E_UNAVAILABLE;
}

static int check_kind(const box_wish *w, const box_facts *f, const char *box, fh_err **err)
{
    if (strcmp(f->system, "Linux") != 0) {
        fh_err_set(err, FH_E_UNAVAILABLE, "%s runs %s, and freehold runs on Linux", box, f->system);
        return refuse("take a box with Linux", err);
    }
    if (strcmp(f->arch, w->arch) != 0) {
        fh_err_set(err, FH_E_UNAVAILABLE, "%s is of the kind %s, and this freehold is built for %s", box, f->arch, w->arch);
        return refuse("build freehold there and let it join by `freehold node join`, as docs/POOL.md says", err);
    }
    if (strncmp(f->libc, "glibc", 5) != 0) {
        fh_err_set(err, FH_E_UNAVAILABLE, "%s has no glibc, which freehold is built against", box);
        return refuse("take a box with Debian 12, Ubuntu 24.04 or something as new", err);
    }
    if (!f->lacks[0]) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "%s lacks %s, which setting it up needs", box, f->lacks);
    return refuse("install them there: packages coreutils, util-linux, libc-bin, findutils, grep and sed", err);
}

static int check_room(const box_wish *w, const box_facts *f, const char *box, fh_err **err)
{
    uint64_t program = strcmp(f->program, w->program) == 0 ? 0 : w->program_bytes;
    uint64_t weights = w->weights_bytes > f->kept_bytes ? w->weights_bytes - f->kept_bytes : 0;
    uint64_t need = program + weights + FH_LIMIT_SSH_SPARE_BYTES;
    if (f->disk_bytes < need) {
        fh_err_set(err, FH_E_UNAVAILABLE, "%s has %" PRIu64 " MB of disk free, and freehold and the weights need %" PRIu64, box,
                   f->disk_bytes / 1000000, need / 1000000);
        return refuse("free some there, or name a folder on another disk: provider add ... --set folder=DIR", err);
    }
    if (!f->memory_bytes || f->memory_bytes >= w->memory_bytes) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "%s has %" PRIu64 " MB of memory free, and the model needs %" PRIu64, box, f->memory_bytes / 1000000,
               w->memory_bytes / 1000000);
    return refuse("take a smaller model, less context or another box", err);
}

static int check_runs(const box_wish *w, const box_facts *f, const char *box, fh_err **err)
{
    char packages[256];
    if (!f->tried || f->runs) return 0;
    if (f->version[0]) {
        fh_err_set(err, FH_E_UNAVAILABLE, "freehold does not run on %s, whose C library is too old: %s", box, f->version);
        return refuse("take a box with Debian 12, Ubuntu 24.04 or something as new", err);
    }
    if (!f->libraries[0]) {
        fh_err_set(err, FH_E_UNAVAILABLE, "freehold does not run on %s: %s", box, f->words);
        return refuse("where programs may not be run in the home: provider add ... --set folder=DIR", err);
    }
    fh_box_packages(f->libraries, packages, sizeof packages);
    bool may = strcmp(f->root, "yes") == 0 || strcmp(f->root, "sudo") == 0;
    if (w->install && may && packages[0] && !f->installed) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "freehold does not run on %s, which lacks %s", box, f->libraries);
    if (packages[0])
        fh_err_hint(err, "there: apt-get install %s%s", packages,
                    may && !w->install ? "; or here: provider add ... --set install=yes" : "");
    return FH_E_UNAVAILABLE;
}

int fh_box_check(const box_wish *w, const box_facts *f, const char *box, fh_err **err)
{
    if (!f->arch[0]) return 0;
    int rc = check_kind(w, f, box, err);
    if (!rc && strcmp(f->agent, "none") == 0) rc = check_room(w, f, box, err);
    return rc ? rc : check_runs(w, f, box, err);
}
