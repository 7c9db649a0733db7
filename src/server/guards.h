/* Cost guards that watch accounts from elsewhere (`freehold guard`): which of them have asked lately. Kept in memory: one that watches asks
 * again soon. Belongs to the main loop. */
#ifndef FH_SERVER_GUARDS_H
#define FH_SERVER_GUARDS_H

#include <stdint.h>

typedef struct fh_guards fh_guards;
fh_guards *fh_guards_new(void); /* NULL when memory is out; fh_free */
/* One watches that account, and ends its machines after so long a silence of this server. */
void fh_guards_note(fh_guards *all, const char *account, int64_t silence_s, int64_t mono_ns);
/* The shortest of those that asked within GUARD_FRESH_MS; 0: none did. */
int64_t fh_guards_silence_s(const fh_guards *all, const char *account, int64_t mono_ns);

#endif
