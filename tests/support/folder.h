/* A folder of a test's own, gone with all that is in it when the test is over. */
#ifndef FH_TEST_FOLDER_H
#define FH_TEST_FOLDER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Its path, into out. */
static inline bool folder_make(char *out, size_t size)
{
    snprintf(out, size, "/tmp/fh-test-XXXXXX");
    return mkdtemp(out) != NULL;
}

/* 0 when it is gone. */
static inline int folder_remove(const char *path)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

#endif
