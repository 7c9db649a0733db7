/* Where a model's packed weights lie: in memory that the loader fills, or in a file that an earlier start left and that is mapped.
 *
 *   FOLDER/weights.packed   a head of 2 MiB, then the packed weights in the order of the plan
 *
 * What holds: a file has its name only once all of it is on the disk, and one that is not of this model, version, plan and layout of the
 * kernels, or does not hold what the model's file does, is not used. One file a folder: another model's, layout's or version's is replaced.
 * Keeping is optional: where it fails, the engine runs on without. */
#ifndef FH_ENGINE_PACKED_H
#define FH_ENGINE_PACKED_H

#include "model.h"
#include "sys/file.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct fh_packed_head { /* as it is in the file, in this machine's byte order */
    char magic[8];
    char version[24];            /* of the program that wrote it; this and the next filled up with zeros */
    char layout[24];             /* of the kernels (fh_weight_layout) */
    uint64_t model, plan, bytes; /* hashes of which file it was, and of what is where; of the packed weights */
    uint64_t check;              /* of all that is before */
} fh_packed_head;

typedef struct fh_packed {
    uint8_t *data; /* bytes of the plan, aligned to 64 */
    size_t bytes;
    bool filled;        /* from a file */
    fh_mapping mapping; /* of that file */
    fh_packed_head head;
    char *folder;    /* owned; NULL: it is kept nowhere */
    bool saving;     /* the thread was started */
    pthread_t saver; /* reads what no one changes any more */
    atomic_bool stop;
} fh_packed;

/* Maps what is kept in folder (NULL: nothing is), or makes memory. model_path: the file that was opened, of which size and time count. */
int fh_packed_open(fh_packed *p, const fh_load *l, const char *model_path, const char *folder, fh_err **err);
/* After all weights were made: begins to keep them, unless they came from there or the disk would have less than a tenth free then. A
 * thread does it, and ends by itself. */
void fh_packed_keep(fh_packed *p);
void fh_packed_close(fh_packed *p); /* gives up keeping; the weights must be gone */

#endif
