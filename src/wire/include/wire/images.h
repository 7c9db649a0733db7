/* Images in the messages of a request, whatever API it is written in: parts "image_url" of chats, "input_image" of responses, "image" of
 * messages, also inside of what tools answered. Pure. */
#ifndef FH_WIRE_IMAGES_H
#define FH_WIRE_IMAGES_H

#include "base/err.h"
#include "json/json.h"

/* url: borrowed from the document; path: of the part, "messages[2].content[0]". An error that it returns ends the walk, which returns it.
 */
typedef int fh_wire_image_see(void *arg, fh_str url, const char *path, fh_err **err);
/* messages: the array of messages or items; path: what it is called. Base64 sources of messages are not URLs and not seen. */
int fh_wire_images_each(const fh_json *messages, const char *path, fh_wire_image_see *see, void *arg, fh_err **err);

typedef struct fh_wire_image {
    fh_str url, base64;
    const char *type; /* "image/png" */
} fh_wire_image;
/* Puts the data in the place of each URL that is in the list; all else stays. The document must be nobody else's. */
int fh_wire_images_replace(const fh_json *messages, const fh_wire_image *list, size_t count, fh_err **err);

/* "image/png", "image/jpeg", "image/gif" or "image/webp", by the first bytes; NULL for anything else. */
const char *fh_wire_image_type(const void *bytes, size_t count);
bool fh_wire_data_url_split(fh_str url, fh_str *ret_type, fh_str *ret_base64); /* "data:TYPE;base64,DATA" */
bool fh_wire_is_data_url(fh_str url);
/* A data: URL holds base64, of an image that it says it is, or of one of a type that we do not know. FH_E_INVALID with path as param. */
int fh_wire_image_check(fh_str data_url, const char *path, fh_err **err);

#endif
