/* Images of a request (see images.h).
 *
 * What holds: at most IMAGES_AT_ONCE have a fetch; the first that fails ends all; on_done is called when none has a fetch any more. */
#include "images.h"

#include "base/clock.h"
#include "base/limits.h"
#include "wire/images.h"

#include <stdio.h>
#include <string.h>

#define TIME_NS (FH_LIMIT_IMAGES_MS * FH_NS_PER_MS)

typedef struct one {
    fh_images *all;
    char *url, *base64; /* owned */
    size_t base64_len;
    const char *type;
    char path[112];
    fh_fetch *fetch;
} one;

struct fh_images {
    one *list[FH_LIMIT_IMAGES];
    size_t count, next, done, bytes, held_bytes;
    atomic_size_t *held;
    fh_outside *outside;
    fh_loop *loop;
    fh_timer *deadline;
    void (*on_done)(void *arg, fh_err *err);
    void *arg;
};

/* ---- finding ---- */

typedef struct finding {
    fh_images *images;
    const char *known_as; /* where parts stand that the client's own document does not show; NULL: it is the one that is walked */
    bool checked;         /* data: URLs were already */
} finding;

static bool is_known(const fh_images *m, fh_str url)
{
    for (size_t i = 0; i < m->count; i++)
        if (fh_str_eqs(url, m->list[i]->url)) return true;
    return false;
}

static int at_path(fh_err **err, int rc, const char *path)
{
    if (rc) fh_err_param(err, "%s", path);
    return rc;
}

static int see(void *arg, fh_str url, const char *path, fh_err **err)
{
    const finding *f = arg;
    fh_images *m = f->images;
    if (f->known_as) path = f->known_as;
    if (fh_wire_is_data_url(url)) return f->checked ? 0 : fh_wire_image_check(url, path, err);
    if (is_known(m, url)) return 0;
    if (m->count == FH_LIMIT_IMAGES)
        return at_path(err, fh_err_set(err, FH_E_INVALID, "a request may name at most %d images by URL", FH_LIMIT_IMAGES), path);
    one *i = fh_calloc(1, sizeof *i);
    if (!i) return fh_err_nomem(err);
    m->list[m->count++] = i;
    i->all = m;
    i->url = fh_strndup(url.ptr, url.len);
    snprintf(i->path, sizeof i->path, "%s", path);
    return i->url ? 0 : fh_err_nomem(err);
}

/* Parts are named as they stand in the client's document; those of its past, which that does not show, by the field that they came with. */
static int find_all(fh_images *m, const fh_ask *ask, fh_err **err)
{
    bool responses = ask->dialect == FH_DIALECT_RESPONSES;
    const char *name = responses ? "input" : "messages";
    finding own = {.images = m}, rest = {.images = m, .known_as = ask->original ? name : NULL, .checked = responses};
    int rc = fh_wire_images_each(fh_json_get(ask->original, name), name, see, &own, err);
    return rc ? rc : fh_wire_images_each(ask->common.messages, name, see, &rest, err);
}

int fh_images_find(fh_images **ret, const fh_ask *ask, atomic_size_t *held, fh_err **err)
{
    fh_images *m = fh_calloc(1, sizeof *m);
    if (!m) return fh_err_nomem(err);
    m->held = held;
    int rc = find_all(m, ask, err);
    if (rc || !m->count)
        fh_images_free(m);
    else
        *ret = m;
    return rc;
}

static void give_up(fh_images *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i]->fetch) fh_fetch_cancel(fh_take(m->list[i]->fetch));
    if (m->deadline) fh_timer_stop(m->deadline);
}

void fh_images_free(fh_images *m)
{
    if (!m) return;
    give_up(m);
    fh_timer_free(m->deadline);
    atomic_fetch_sub(m->held, m->held_bytes);
    for (size_t i = 0; i < m->count; i++) {
        fh_free(m->list[i]->url);
        fh_free(m->list[i]->base64);
        fh_free(m->list[i]);
    }
    fh_free(m);
}

/* ---- fetching ---- */

/* Takes err. i: the image at fault, or NULL. */
static void end(fh_images *m, const one *i, fh_err *err)
{
    give_up(m);
    if (err && i) {
        fh_err_add(&err, "the image cannot be fetched");
        fh_err_param(&err, "%s", i->path);
    }
    m->on_done(m->arg, err);
}

static int keep(one *i, const fh_buf *body, fh_err **err)
{
    fh_images *m = i->all;
    size_t len = fh_base64_len(body->len);
    i->type = fh_wire_image_type(body->data, body->len);
    if (!i->type) return fh_err_set(err, FH_E_INVALID, "it is no PNG, JPEG, GIF or WebP image");
    m->bytes += body->len;
    if (m->bytes > FH_LIMIT_IMAGES_BYTES)
        return fh_err_set(err, FH_E_INVALID, "the images of the request are larger than %d bytes together", FH_LIMIT_IMAGES_BYTES);
    m->held_bytes += len;
    if (atomic_fetch_add(m->held, len) + len > FH_LIMIT_IMAGES_HELD_BYTES)
        return fh_err_set(err, FH_E_BUSY, "the images of all requests under way are too large together");
    i->base64 = fh_alloc(len);
    if (!i->base64) return fh_err_nomem(err);
    fh_base64_encode(body->data, body->len, i->base64);
    i->base64_len = len;
    return 0;
}

static int start_more(fh_images *m, one **ret_at_fault, fh_err **err);

static void fetched(void *arg, fh_buf *body, const fh_err *why)
{
    one *i = arg, *at_fault = i;
    fh_images *m = i->all;
    fh_err *err = NULL;
    i->fetch = NULL;
    if (why) {
        fh_err_set(&err, fh_err_code(why), "%s", fh_err_message(why));
        if (fh_err_hint_get(why)) fh_err_hint(&err, "%s", fh_err_hint_get(why));
    } else if (keep(i, body, &err) == 0) {
        m->done++;
        start_more(m, &at_fault, &err);
    }
    if (err || m->done == m->count) end(m, at_fault, err);
}

static int start_one(one *i, fh_err **err)
{
    static const char *const types[] = {"image/", "application/octet-stream", "binary/octet-stream", NULL};
    fh_fetch_spec spec = {.url = fh_str_of(i->url),
                          .max_bytes = FH_LIMIT_IMAGE_BYTES,
                          .accept = "image/png, image/jpeg, image/gif, image/webp",
                          .types = types,
                          .on_done = fetched,
                          .arg = i};
    return fh_fetch_start(&i->fetch, i->all->outside, i->all->loop, &spec, err);
}

static int start_more(fh_images *m, one **ret_at_fault, fh_err **err)
{
    int rc = 0;
    while (rc == 0 && m->next < m->count && m->next - m->done < FH_LIMIT_IMAGES_AT_ONCE) {
        *ret_at_fault = m->list[m->next++];
        rc = start_one(*ret_at_fault, err);
    }
    return rc;
}

static void too_late(void *arg)
{
    fh_err *err = NULL;
    fh_images *m = arg;
    const one *slow = NULL;
    for (size_t i = 0; i < m->count && !slow; i++)
        if (m->list[i]->fetch) slow = m->list[i];
    fh_err_set(&err, FH_E_INVALID, "all of the request's take too long together");
    end(m, slow, err);
}

int fh_images_fetch(fh_images *m, fh_outside *o, fh_loop *loop, void (*on_done)(void *arg, fh_err *err), void *arg, fh_err **err)
{
    one *at_fault = NULL;
    m->outside = o;
    m->loop = loop;
    m->on_done = on_done;
    m->arg = arg;
    int rc = fh_timer_new(&m->deadline, loop, too_late, m, err);
    if (rc) return rc;
    fh_timer_start(m->deadline, TIME_NS);
    rc = start_more(m, &at_fault, err);
    if (rc) give_up(m);
    return rc ? at_path(err, rc, at_fault->path) : 0;
}

/* ---- putting ---- */

int fh_images_put(const fh_images *m, fh_ask *ask, fh_err **err)
{
    fh_wire_image list[FH_LIMIT_IMAGES];
    for (size_t i = 0; i < m->count; i++)
        list[i] = (fh_wire_image){fh_str_of(m->list[i]->url), {m->list[i]->base64, m->list[i]->base64_len}, m->list[i]->type};
    int rc = fh_wire_images_replace(ask->common.messages, list, m->count, err);
    if (rc == 0 && ask->dialect == FH_DIALECT_MESSAGES)
        rc = fh_wire_images_replace(fh_json_get(ask->original, "messages"), list, m->count, err);
    ask->edited = true;
    return rc;
}
