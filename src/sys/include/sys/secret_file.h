/* A secret that an operator keeps in a file: one word, which nobody but the file's owner may read. Threads: any. */
#ifndef FH_SYS_SECRET_FILE_H
#define FH_SYS_SECRET_FILE_H

#include "base/err.h"
#include <stddef.h>

/* out is set on success, and is then to be cleared. No error holds any of it. FH_E_FORBIDDEN: others can read the file; FH_E_INVALID: it
 * does not hold one word of at most out_size - 1 bytes. */
int fh_secret_file_read(const char *path, char *out, size_t out_size, fh_err **err);

#endif
