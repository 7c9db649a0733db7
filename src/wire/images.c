/* Images in the messages of a request (see wire/images.h): one walk that finds every place where a URL of one may stand. */
#include "wire/images.h"

#include "messages_private.h"

#include <string.h>

/* Where a URL stands: {key: url} in holder. Of messages the source is replaced as a whole, which part has. */
typedef struct place {
    fh_json *holder;
    const char *key;
    fh_str url;
    fh_json *part; /* NULL: the URL alone is replaced, by a data: URL */
} place;

typedef int take_place(void *arg, const place *p, const char *path, fh_err **err);

typedef struct walk {
    take_place *take;
    void *arg;
} walk;

static int walk_parts(const walk *w, const fh_json *parts, const char *path, fh_err **err);

/* The walk is the owner's, or only looks. */
static fh_json *owned(const fh_json *v)
{
    return (fh_json *)(uintptr_t)v;
}

/* Blocks of messages. */
static int walk_block(const walk *w, const fh_json *block, fh_str type, const char *path, fh_err **err)
{
    const fh_json *source = fh_json_get(block, "source");
    place p = {owned(source), "url", fh_json_str(fh_json_get(source, "url")), owned(block)};
    if (fh_str_eqs(type, "image"))
        return p.url.ptr && fh_str_eqs(fh_json_str(fh_json_get(source, "type")), "url") ? w->take(w->arg, &p, path, err) : 0;
    if (fh_str_eqs(type, "document")) return walk_parts(w, fh_json_get(source, "content"), fh_msg_member(path, "source.content").at, err);
    if (fh_str_eqs(type, "tool_result") || fh_str_eqs(type, "search_result"))
        return walk_parts(w, fh_json_get(block, "content"), fh_msg_member(path, "content").at, err);
    return 0;
}

static int walk_part(const walk *w, const fh_json *part, const char *path, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(part, "type"));
    bool chat = fh_str_eqs(type, "image_url");
    if (!chat && !fh_str_eqs(type, "input_image")) return walk_block(w, part, type, path, err);
    const fh_json *holder = chat ? fh_json_get(part, "image_url") : part;
    const char *key = chat ? "url" : "image_url";
    place p = {owned(holder), key, fh_json_str(fh_json_get(holder, key)), NULL};
    return p.url.ptr ? w->take(w->arg, &p, path, err) : 0;
}

static int walk_parts(const walk *w, const fh_json *parts, const char *path, fh_err **err)
{
    int rc = 0;
    size_t count = fh_json_kind_of(parts) == FH_JSON_ARRAY ? fh_json_count(parts) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) rc = walk_part(w, fh_json_at(parts, i), fh_msg_item(path, i).at, err);
    return rc;
}

/* A message has content; the item of a tool's answer has output. */
static int walk_all(const walk *w, const fh_json *messages, const char *path, fh_err **err)
{
    static const char *const keys[] = {"content", "output"};
    size_t count = fh_json_kind_of(messages) == FH_JSON_ARRAY ? fh_json_count(messages) : 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        fh_msg_path at = fh_msg_item(path, i);
        for (size_t k = 0; rc == 0 && k < FH_COUNT(keys); k++)
            rc = walk_parts(w, fh_json_get(fh_json_at(messages, i), keys[k]), fh_msg_member(at.at, keys[k]).at, err);
    }
    return rc;
}

/* ---- seeing ---- */

typedef struct seeing {
    fh_wire_image_see *see;
    void *arg;
} seeing;

static int show(void *arg, const place *p, const char *path, fh_err **err)
{
    const seeing *s = arg;
    return s->see(s->arg, p->url, path, err);
}

int fh_wire_images_each(const fh_json *messages, const char *path, fh_wire_image_see *see, void *arg, fh_err **err)
{
    seeing s = {see, arg};
    walk w = {show, &s};
    return walk_all(&w, messages, path, err);
}

/* ---- replacing ---- */

typedef struct replacing {
    const fh_wire_image *list;
    size_t count;
} replacing;

static fh_json *data_url(const fh_wire_image *image)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(image->base64.len + 64);
    fh_buf_addf(&text, "data:%s;base64,", image->type);
    fh_buf_add(&text, image->base64.ptr, image->base64.len);
    return fh_buf_ok(&text) ? fh_json_new_str((fh_str){text.data, text.len}) : NULL;
}

static fh_json *base64_source(const fh_wire_image *image)
{
    FH_AUTO(json) fh_json *source = fh_json_new_object();
    bool ok = source && fh_json_set(source, "type", fh_json_new_cstr("base64")) &&
              fh_json_set(source, "media_type", fh_json_new_cstr(image->type)) &&
              fh_json_set(source, "data", fh_json_new_str(image->base64));
    return ok ? fh_take(source) : NULL;
}

static int put(void *arg, const place *p, const char *path, fh_err **err)
{
    const replacing *r = arg;
    for (size_t i = 0; i < r->count; i++) {
        const fh_wire_image *image = &r->list[i];
        if (!fh_str_eq(image->url, p->url)) continue;
        bool ok = p->part ? fh_json_set(p->part, "source", base64_source(image)) : fh_json_set(p->holder, p->key, data_url(image));
        return ok ? 0 : fh_err_nomem(err);
    }
    return 0;
}

int fh_wire_images_replace(const fh_json *messages, const fh_wire_image *list, size_t count, fh_err **err)
{
    replacing r = {list, count};
    walk w = {put, &r};
    return walk_all(&w, messages, "", err);
}

/* ---- types ---- */

static bool begins(const void *bytes, size_t count, fh_str with)
{
    return count >= with.len && memcmp(bytes, with.ptr, with.len) == 0;
}

const char *fh_wire_image_type(const void *bytes, size_t count)
{
    static const struct {
        fh_str first, then; /* then: at byte 8 */
        const char *type;
    } rows[] = {{{"\x89PNG\r\n\x1a\n", 8}, {"", 0}, "image/png"},
                {{"\xff\xd8\xff", 3}, {"", 0}, "image/jpeg"},
                {{"GIF87a", 6}, {"", 0}, "image/gif"},
                {{"GIF89a", 6}, {"", 0}, "image/gif"},
                {{"RIFF", 4}, {"WEBP", 4}, "image/webp"}};
    const char *p = bytes;
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        if (begins(p, count, rows[i].first) && (!rows[i].then.len || (count >= 8 && begins(p + 8, count - 8, rows[i].then))))
            return rows[i].type;
    return NULL;
}

/* ---- data: URLs ---- */

bool fh_wire_is_data_url(fh_str url)
{
    return fh_str_starts(url, FH_STR("data:"));
}

bool fh_wire_data_url_split(fh_str url, fh_str *ret_type, fh_str *ret_base64)
{
    fh_str head = FH_STR("data:"), mark = FH_STR(";base64,");
    if (!fh_wire_is_data_url(url)) return false;
    fh_str rest = {url.ptr + head.len, url.len - head.len};
    size_t at = fh_str_find(rest, mark);
    if (at == rest.len) return false;
    *ret_type = (fh_str){rest.ptr, at};
    *ret_base64 = (fh_str){rest.ptr + at + mark.len, rest.len - at - mark.len};
    return true;
}

int fh_wire_image_check(fh_str url, const char *path, fh_err **err)
{
    static const char *const known[] = {"image/png", "image/jpeg", "image/gif", "image/webp", NULL};
    fh_str type = {NULL, 0}, data = {NULL, 0};
    char first[12];
    if (!fh_wire_data_url_split(url, &type, &data)) return fh_wire_bad(err, path, "a data: URL of an image is data:image/TYPE;base64,DATA");
    if (!fh_str_starts(type, FH_STR("image/"))) return fh_wire_bad(err, path, "a data: URL of another type than an image's");
    if (!data.len || !fh_base64_valid(data)) return fh_wire_bad(err, path, "what the data: URL holds is not base64");
    if (!fh_msg_is_one_of(type, known) || fh_wire_image_type(first, fh_base64_decode(data, first, sizeof first))) return 0;
    return fh_wire_bad(err, path, "what the data: URL holds is no PNG, JPEG, GIF or WebP image");
}
