/* The inside of the place ssh: a box with a login. box.sh does the steps there and says what it finds; which step is next, and what is
 * wrong with a box, follows from that alone and is pure (box_facts.c, box_next.c); box.c does it. */
#ifndef FH_SUPPLY_BOX_H
#define FH_SUPPLY_BOX_H

#include "base/err.h"
#include "base/str.h"
#include "supply/supply.h"

typedef enum box_step {
    BOX_LOOK,
    BOX_CLAIM,
    BOX_COPY,
    BOX_KEEP,
    BOX_TRY,
    BOX_INSTALL,
    BOX_PORT,
    BOX_HOLD, /* of the tunnel: goes on beside the others */
    BOX_START,
    BOX_WATCH,
    BOX_END,
    BOX_END_OTHER, /* of an order that nobody asks for any more */
    BOX_STEPS
} box_step;

const char *fh_box_step_name(box_step s); /* box.sh's */

/* What box.sh said. Texts are in one line, UTF-8, and come from outside. */
typedef struct box_facts {
    char arch[32], system[32], libc[48], root[8]; /* root: "yes", "sudo", "no" */
    char lacks[200];                              /* tools, with blanks between */
    uint64_t disk_bytes, memory_bytes, kept_bytes;
    char program[65]; /* SHA-256 of the one that is there; "" without */
    uint64_t part_bytes;
    char libraries[512], version[64]; /* that the program misses there, likewise; of the C library */
    char words[200];                  /* the program's, when it does not run */
    bool tried, runs, installed;
    int64_t held;  /* the order that the box is held for; 0: none */
    char agent[8]; /* "runs", "ended", "none" */
    char said[200];
    bool token, tunnel;
    int port;
    char left[16];
    char error[200]; /* why the last step failed; "" when it did not */
    bool whole;      /* the last step came to its end */
} box_facts;

/* Takes in what a step said. What it does not say stays as it was known. */
void fh_box_facts_read(box_facts *f, box_step step, fh_str text);
/* Packages of Debian and Ubuntu that have these libraries, with blanks between; one that is not known is left out. */
void fh_box_packages(const char *libraries, char *out, size_t out_size);

/* What is wanted of a box. */
typedef struct box_wish {
    int64_t order;
    const char *program; /* SHA-256 */
    uint64_t program_bytes;
    uint64_t memory_bytes, weights_bytes;
    const char *arch; /* that the program is made for */
    bool install, tunnel;
    bool looked; /* since the order is known */
    bool holds;  /* the tunnel's command runs */
    bool ending;
} box_wish;

box_step fh_box_next(const box_wish *w, const box_facts *f);
/* Why the box cannot be had for that; a box of which nothing is known can. FH_E_UNAVAILABLE with what to do. */
int fh_box_check(const box_wish *w, const box_facts *f, const char *box, fh_err **err);

#endif
