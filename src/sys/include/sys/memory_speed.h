/* How fast this machine reads its memory. */
#ifndef FH_SYS_MEMORY_SPEED_H
#define FH_SYS_MEMORY_SPEED_H

#include "sys/pool.h"

/* Reads an array of so many bytes by all threads of the pool, 12 times, and answers the best pass in bytes a second. The array should be
 * several times the last cache. Takes that much memory meanwhile. */
int fh_memory_read_speed(fh_pool *p, size_t bytes, double *ret_bytes_per_s, fh_err **err);

#endif
