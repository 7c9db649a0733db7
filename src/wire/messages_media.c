/* Images, documents and search results of a Messages request. Images and PDFs become data: URLs, as chat requests carry them; documents of
 * text and search results become text, with title and context before it. */
#include "messages_private.h"

#include <stdio.h>

/* Sources: {"type": ...}. */

static int read_source(const fh_json *block, const char *path, const fh_json **ret, fh_str *ret_type, fh_err **err)
{
    fh_msg_path at = fh_msg_member(path, "source");
    const fh_json *source = fh_json_get(block, "source");
    int rc = fh_msg_object(source, at.at, err);
    if (rc == 0) rc = fh_msg_read_str(source, at.at, "type", true, ret_type, err);
    if (rc == 0) *ret = source;
    return rc;
}

/* {"type":"base64","media_type","data"} as a data: URL. */
static int read_base64(const fh_json *source, const char *at, const char *const *types, fh_json **ret, fh_err **err)
{
    static const char *const members[] = {"type", "media_type", "data", NULL};
    fh_str type = {NULL, 0}, data = {NULL, 0};
    char head[64];
    int rc = fh_msg_members(source, at, members, err);
    if (rc == 0) rc = fh_msg_read_str(source, at, "media_type", true, &type, err);
    if (rc == 0) rc = fh_msg_read_str(source, at, "data", true, &data, err);
    if (rc < 0) return rc;
    if (!fh_msg_is_one_of(type, types))
        return fh_wire_bad(err, fh_msg_member(at, "media_type").at, "this media type is not taken here; '%s' is", types[0]);
    if (!data.len || !fh_base64_valid(data)) return fh_wire_bad(err, fh_msg_member(at, "data").at, "'data' is not base64");
    snprintf(head, sizeof head, "data:%.*s;base64,", (int)type.len, type.ptr);
    *ret = fh_msg_joined(fh_str_of(head), data, FH_STR(""));
    return *ret ? 0 : fh_err_nomem(err);
}

static int read_url(const fh_json *source, const char *at, fh_json **ret, fh_err **err)
{
    static const char *const members[] = {"type", "url", NULL};
    fh_str url = {NULL, 0};
    int rc = fh_msg_members(source, at, members, err);
    if (rc == 0) rc = fh_msg_read_str(source, at, "url", true, &url, err);
    if (rc < 0) return rc;
    if (!fh_str_starts(url, FH_STR("https://"))) return fh_wire_bad(err, fh_msg_member(at, "url").at, "'url' must begin with https://");
    *ret = fh_json_new_str(url);
    return *ret ? 0 : fh_err_nomem(err);
}

/* Images. */

/* {"type": name, name: {key: value}}, and more members of the inner object. Takes value. */
static fh_json *new_part(const char *name, const char *key, fh_json *value, fh_json **inner)
{
    FH_AUTO(json) fh_json *part = fh_json_new_object(), *object = fh_json_new_object(), *held = value;
    bool ok = part && object && fh_json_set(object, key, fh_take(held)) && fh_json_set(part, "type", fh_json_new_cstr(name));
    if (!ok) return NULL;
    if (inner) *inner = object; /* borrowed: the part holds it */
    return fh_json_set(part, name, fh_take(object)) ? fh_take(part) : NULL;
}

static int check_transformations(fh_msg *m, const fh_json *block, const char *path, fh_err **err)
{
    static const char *const members[] = {"oversized_image", NULL};
    const fh_json *v = fh_json_get(block, "transformations");
    fh_str way = {NULL, 0};
    fh_msg_path at = fh_msg_member(path, "transformations");
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, at.at, err);
    if (rc == 0) rc = fh_msg_members(v, at.at, members, err);
    if (rc == 0) rc = fh_msg_read_str(v, at.at, "oversized_image", false, &way, err);
    if (rc < 0 || !way.ptr || fh_str_eqs(way, "downsize")) return rc;
    return fh_msg_native(m, fh_msg_member(at.at, "oversized_image").at, "refusing images above a model's size", err);
}

int fh_msg_image(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp", NULL};
    const fh_json *source = NULL;
    fh_json *url = NULL;
    fh_str type = {NULL, 0};
    fh_msg_path at = fh_msg_member(path, "source");
    int rc = read_source(block, path, &source, &type, err);
    if (rc == 0) rc = check_transformations(t->m, block, path, err);
    if (rc < 0) return rc;
    if (fh_str_eqs(type, "file")) return fh_msg_native(t->m, at.at, "a file kept at Anthropic", err);
    if (fh_str_eqs(type, "base64"))
        rc = read_base64(source, at.at, types, &url, err);
    else if (fh_str_eqs(type, "url"))
        rc = read_url(source, at.at, &url, err);
    else
        rc = fh_wire_bad(err, fh_msg_member(at.at, "type").at, "the source of an image is of type base64, url or file");
    return rc == 0 ? fh_msg_add_part(t, new_part("image_url", "url", url, NULL), err) : rc;
}

/* Documents. */

static int check_citations(fh_msg *m, const fh_json *block, const char *path, fh_err **err)
{
    static const char *const members[] = {"enabled", NULL};
    const fh_json *v = fh_json_get(block, "citations");
    fh_msg_path at = fh_msg_member(path, "citations");
    bool enabled = false;
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, at.at, err);
    if (rc == 0) rc = fh_msg_members(v, at.at, members, err);
    if (rc == 0) rc = fh_msg_read_bool(v, at.at, "enabled", &enabled, err);
    return rc == 0 && enabled ? fh_msg_native(m, at.at, "citing sources", err) : rc;
}

/* A line of its own before what it belongs to. */
static int add_line(fh_msg_turn *t, fh_str text, fh_err **err)
{
    return text.len ? fh_msg_add_part(t, fh_msg_text(text), err) : 0;
}

static int add_pdf(fh_msg_turn *t, const fh_json *source, const char *at, fh_str title, fh_err **err)
{
    static const char *const types[] = {"application/pdf", NULL};
    fh_json *url = NULL, *file = NULL;
    int rc = read_base64(source, at, types, &url, err);
    if (rc < 0) return rc;
    FH_AUTO(json) fh_json *part = new_part("file", "file_data", url, &file);
    fh_str name = title.len ? title : FH_STR("document.pdf");
    if (!part || !fh_json_set(file, "filename", fh_json_new_str(name))) return fh_err_nomem(err);
    return fh_msg_add_part(t, fh_take(part), err);
}

static int add_plain_text(fh_msg_turn *t, const fh_json *source, const char *at, fh_err **err)
{
    static const char *const members[] = {"type", "media_type", "data", NULL};
    fh_str type = {NULL, 0}, data = {NULL, 0};
    int rc = fh_msg_members(source, at, members, err);
    if (rc == 0) rc = fh_msg_read_str(source, at, "media_type", true, &type, err);
    if (rc == 0) rc = fh_msg_read_str(source, at, "data", true, &data, err);
    if (rc < 0) return rc;
    if (!fh_str_eqs(type, "text/plain")) return fh_wire_bad(err, fh_msg_member(at, "media_type").at, "a text source is of type text/plain");
    return add_line(t, data, err);
}

/* Blocks inside a document or a search result, into the same turn. */
static int add_inner(fh_msg_turn *t, const fh_json *content, const char *at, fh_err **err)
{
    fh_msg_place place = t->place;
    t->place = FH_MSG_SOURCE;
    int rc = fh_msg_blocks(t, content, at, err);
    t->place = place;
    return rc;
}

static int add_source(fh_msg_turn *t, const fh_json *source, fh_str type, const char *at, fh_str title, fh_err **err)
{
    static const char *const members[] = {"type", "content", NULL};
    if (fh_str_eqs(type, "base64")) return add_pdf(t, source, at, title, err);
    if (fh_str_eqs(type, "text")) return add_plain_text(t, source, at, err);
    if (fh_str_eqs(type, "url")) return fh_msg_native(t->m, at, "a document that is fetched", err);
    if (fh_str_eqs(type, "file")) return fh_msg_native(t->m, at, "a file kept at Anthropic", err);
    if (!fh_str_eqs(type, "content"))
        return fh_wire_bad(err, fh_msg_member(at, "type").at, "the source of a document is of type base64, text, content, url or file");
    int rc = fh_msg_members(source, at, members, err);
    return rc == 0 ? add_inner(t, fh_json_get(source, "content"), fh_msg_member(at, "content").at, err) : rc;
}

int fh_msg_document(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    const fh_json *source = NULL;
    fh_str type = {NULL, 0}, title = {NULL, 0}, context = {NULL, 0};
    int rc = fh_msg_read_str(block, path, "title", false, &title, err);
    if (rc == 0) rc = fh_msg_read_str(block, path, "context", false, &context, err);
    if (rc == 0) rc = check_citations(t->m, block, path, err);
    if (rc == 0) rc = read_source(block, path, &source, &type, err);
    if (rc == 0 && !fh_str_eqs(type, "base64")) rc = add_line(t, title, err); /* of a PDF: its file's name */
    if (rc == 0) rc = add_line(t, context, err);
    return rc == 0 ? add_source(t, source, type, fh_msg_member(path, "source").at, title, err) : rc;
}

int fh_msg_search_result(fh_msg_turn *t, const fh_json *block, const char *path, fh_err **err)
{
    fh_str source = {NULL, 0}, title = {NULL, 0};
    int rc = fh_msg_read_str(block, path, "title", true, &title, err);
    if (rc == 0) rc = fh_msg_read_str(block, path, "source", true, &source, err);
    if (rc == 0) rc = check_citations(t->m, block, path, err);
    if (rc == 0) rc = add_line(t, title, err);
    if (rc == 0) rc = add_line(t, source, err);
    return rc == 0 ? add_inner(t, fh_json_get(block, "content"), fh_msg_member(path, "content").at, err) : rc;
}
