/* Parts of a chat message as content blocks: text, images and PDFs. data: URLs become base64 sources. */
#include "messages_upstream.h"
#include "wire/images.h"

#include <stdio.h>

static fh_json *new_block(const char *type, const char *key, fh_json *value)
{
    FH_AUTO(json) fh_json *block = fh_json_new_object(), *held = value;
    bool ok = block && fh_json_set(block, "type", fh_json_new_cstr(type)) && fh_json_set(block, key, fh_take(held));
    return ok ? fh_take(block) : NULL;
}

static int add(fh_json *blocks, fh_json *block, fh_err **err)
{
    return fh_json_append(blocks, block) ? 0 : fh_err_nomem(err);
}

/* Empty text says nothing, and is refused there. */
static int add_text(fh_json *blocks, fh_str text, fh_err **err)
{
    return text.len ? add(blocks, fh_msg_text(text), err) : 0;
}

static fh_json *base64_source(fh_str type, fh_str data)
{
    FH_AUTO(json) fh_json *source = new_block("base64", "media_type", fh_json_new_str(type));
    return source && fh_json_set(source, "data", fh_json_new_str(data)) ? fh_take(source) : NULL;
}

static int add_image(fh_json *blocks, const fh_json *part, const char *path, fh_err **err)
{
    static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp", NULL};
    fh_msg_path at = fh_msg_member(path, "image_url");
    fh_str url = {NULL, 0}, type = {NULL, 0}, data = {NULL, 0};
    int rc = fh_msg_read_str(fh_json_get(part, "image_url"), at.at, "url", true, &url, err);
    if (rc < 0) return rc;
    if (!fh_wire_is_data_url(url)) return add(blocks, new_block("image", "source", new_block("url", "url", fh_json_new_str(url))), err);
    if (!fh_wire_data_url_split(url, &type, &data)) return fh_wire_bad(err, fh_msg_member(at.at, "url").at, "a data: URL must be base64");
    if (!fh_msg_is_one_of(type, types))
        return fh_up_refuse(err, fh_msg_member(at.at, "url").at, "an image other than PNG, JPEG, GIF and WebP");
    return add(blocks, new_block("image", "source", base64_source(type, data)), err);
}

static int add_file(fh_json *blocks, const fh_json *part, const char *path, fh_err **err)
{
    const fh_json *file = fh_json_get(part, "file");
    fh_msg_path at = fh_msg_member(path, "file");
    fh_str url = {NULL, 0}, name = {NULL, 0}, type = {NULL, 0}, data = {NULL, 0};
    int rc = fh_msg_read_str(file, at.at, "file_data", false, &url, err);
    if (rc == 0) rc = fh_msg_read_str(file, at.at, "filename", false, &name, err);
    if (rc < 0) return rc;
    if (!url.ptr) return fh_up_refuse(err, at.at, "a file kept elsewhere");
    if (!fh_wire_data_url_split(url, &type, &data) || !fh_str_eqs(type, "application/pdf"))
        return fh_up_refuse(err, at.at, "a file other than PDF");
    FH_AUTO(json) fh_json *block = new_block("document", "source", base64_source(type, data));
    if (!block || (name.len && !fh_json_set(block, "title", fh_json_new_str(name)))) return fh_err_nomem(err);
    return add(blocks, fh_take(block), err);
}

static int add_part(fh_json *blocks, const fh_json *part, const char *path, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(part, "type")), text = {NULL, 0};
    int rc = 0;
    if (fh_str_eqs(type, "image_url")) return add_image(blocks, part, path, err);
    if (fh_str_eqs(type, "file")) return add_file(blocks, part, path, err);
    if (fh_str_eqs(type, "refusal"))
        rc = fh_msg_read_str(part, path, "refusal", true, &text, err);
    else if (fh_str_eqs(type, "text"))
        rc = fh_msg_read_str(part, path, "text", true, &text, err);
    else
        return fh_up_refuse(err, path, "content other than text, images and PDFs");
    return rc == 0 ? add_text(blocks, text, err) : rc;
}

int fh_up_blocks(fh_json *blocks, const fh_json *content, const char *path, fh_err **err)
{
    fh_json_kind kind = fh_json_kind_of(content);
    if (kind == FH_JSON_NULL) return 0;
    if (kind == FH_JSON_STRING) return add_text(blocks, fh_json_str(content), err);
    if (kind != FH_JSON_ARRAY) return fh_wire_bad(err, path, "content must be a string or an array of parts");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fh_json_count(content); i++)
        rc = add_part(blocks, fh_json_at(content, i), fh_msg_item(path, i).at, err);
    return rc;
}
