/* What the owner of a machine allows its server: when, how much, and which models. Zeros allow everything. Pure but for JSON; threads: any.
 */
#ifndef FH_NODE_OWNER_H
#define FH_NODE_OWNER_H

#include "base/err.h"
#include "base/str.h"
#include "json/json.h"

#include <time.h>

enum { FH_NODE_RANGES = 8, FH_NODE_HOURS_TEXT = 160, FH_NODE_MODELS = 64, FH_NODE_MODEL = 128 };

typedef struct fh_node_range {
    unsigned days;        /* bit 0: Sunday. Of its beginning */
    int from_min, to_min; /* of the day; to_min at or before from_min is one of the next day */
} fh_node_range;

typedef struct fh_node_hours { /* in the machine's own time */
    size_t count;              /* 0: always */
    fh_node_range range[FH_NODE_RANGES];
    char text[FH_NODE_HOURS_TEXT];
} fh_node_hours;
/* "22:00-07:00", "mon-fri 18:00-08:00,sat-sun 00:00-24:00". FH_E_INVALID. */
int fh_node_hours_parse(fh_str text, fh_node_hours *ret, fh_err **err);
bool fh_node_hours_open(const fh_node_hours *h, const struct tm *local);

typedef struct fh_node_models { /* names of models, or SHA-256 of weights */
    size_t count;
    char name[FH_NODE_MODELS][FH_NODE_MODEL];
} fh_node_models;
int fh_node_models_parse(fh_str text, fh_node_models *ret, fh_err **err); /* with commas between them; an alias becomes its model */

typedef struct fh_node_owner {
    fh_node_hours hours;
    fh_node_models models, not_models; /* those alone; all but those */
    int64_t memory_bytes;              /* of all engines together */
    int64_t disk_bytes;                /* of weights, whole ones and pieces */
    int64_t engines, threads;
    int64_t alone_ns; /* how long engines go on without the server; 0: NODE_ALONE_MS */
} fh_node_owner;

/* FH_E_FORBIDDEN: that model, or those weights, it does not lend the machine for. */
int fh_node_owner_takes(const fh_node_owner *o, const char *model, const char *digest, fh_err **err);
fh_json *fh_node_owner_json(const fh_node_owner *o); /* what is bounded, as the server is told */

#endif
