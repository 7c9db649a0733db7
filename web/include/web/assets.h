/* The console's files, embedded in the binary by web/tools/build.mjs: the page asks for nothing else, so a server without a disk can show
 * it. All pointers are to constants of the program: borrowed for its whole life, any thread. */
#ifndef FH_WEB_ASSETS_H
#define FH_WEB_ASSETS_H

#include <stddef.h>

/* Send it with every one of these files: no foreign script, style, image, frame, form or connection, and markup that was not built by the
 * sanitizer's own policy cannot reach the document at all. */
#define FH_WEB_CSP                                                                                                                         \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "   \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"

typedef struct fh_web_asset {
    const char *path;          /* "/" and the files that it names */
    const char *content_type;  /* with its charset */
    const char *cache_control; /* "/" is asked again each time; a file whose name holds its hash never is */
    const char *etag;          /* weak, with its quotes: the same for both forms */
    const unsigned char *bytes;
    size_t length;
    const unsigned char *gzip_bytes; /* the same file for a client that accepts gzip */
    size_t gzip_length;
} fh_web_asset;

/* NULL when there is no such file. path need not end in NUL. */
const fh_web_asset *fh_web_asset_find(const char *path, size_t length);

#endif
