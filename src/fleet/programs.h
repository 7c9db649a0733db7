/* Programs of engines as their owner installed them: where each lies, what of its installation it must be able to read, which version it
 * is. Nothing is fetched. */
#ifndef FH_FLEET_PROGRAMS_H
#define FH_FLEET_PROGRAMS_H

#include "catalog/engines.h"
#include "fleet/fleet.h"
#include "sys/sandbox.h"

#if FH_SANITIZED /* no ptrace inside: leaks cannot be looked for */
#define FH_PROGRAM_SANITIZER_ENV "ASAN_OPTIONS=detect_leaks=0"
#else
#define FH_PROGRAM_SANITIZER_ENV NULL
#endif

enum { FH_PROGRAM_PARTS = 24, FH_PROGRAM_PATH = 1024 };
typedef struct fh_program {
    char path[FH_PROGRAM_PATH];                    /* absolute, without links */
    char parts[FH_PROGRAM_PARTS][FH_PROGRAM_PATH]; /* files and folders that it reads and executes */
    size_t count;
    const char *runs[FH_PROGRAM_PARTS + 1]; /* the same, as a sandbox takes them; borrowed from parts */
    char interpreter[FH_PROGRAM_PATH];      /* that its first line names; "" when it is no script */
    char version[32];                       /* once it was asked */
} fh_program;

/* told: "ENGINE=PROGRAM[:PART...]", NULL-terminated, or NULL; what it does not name is looked for in PATH. own: the path of this very
 * program. FH_E_UNSUPPORTED when it is not installed, with what to do. *ret must not move: runs points into it. */
int fh_program_find(const char *const *told, const char *own, const fh_catalog_engine *e, fh_program *ret, fh_err **err);
/* FH_E_USAGE: a row of told names no engine, or no program. */
int fh_programs_check(const char *const *told, fh_err **err);

/* Runs it in the sandbox to ask for its version, and holds the answer against what is wanted (fh_engine_version_check). */
int fh_program_ask(const fh_catalog_engine *e, const char *least, fh_program *p, fh_sandbox_kind kind, fh_err **err);

#endif
