/* The images that one request names by URL: found, fetched (net/outside.h), kept as base64 while the request lives, and put in their places
 * for every upstream that is asked. Belongs to the loop that the request is on. */
#ifndef FH_GATEWAY_IMAGES_H
#define FH_GATEWAY_IMAGES_H

#include "ask.h"
#include "net/outside.h"

#include <stdatomic.h>

typedef struct fh_images fh_images;

/* Checks what the request has as data: URLs and finds what is to be fetched; *ret is NULL when that is nothing. FH_E_INVALID names the part
 * at fault as the client knows it. held: bytes of all requests' images. */
int fh_images_find(fh_images **ret, const fh_ask *ask, atomic_size_t *held, fh_err **err);
void fh_images_free(fh_images *m); /* what is being fetched is given up */
/* on_done is called once, from the loop, never from inside: with an error (taken by it) when an image cannot be had. */
int fh_images_fetch(fh_images *m, fh_outside *o, fh_loop *loop, void (*on_done)(void *arg, fh_err *err), void *arg, fh_err **err);
/* Into the request, as it was read; again for one that was read again. */
int fh_images_put(const fh_images *m, fh_ask *ask, fh_err **err);

#endif
