/* Content parts of the Responses API as parts of a chat message. Text stays text, an image or a file goes to upstreams that take them; what
 * only means something together with files or tools kept by the provider is refused by name. */
#include "responses_private.h"

#include <stdio.h>

enum { PARAM = 112 };

static fh_json *text_part(const fh_json *part, const char *type, const char *member)
{
    FH_AUTO(json) fh_json *p = fh_json_new_object();
    bool ok = p && fh_json_set(p, "type", fh_json_new_cstr(type)) && fh_json_set(p, member, share(fh_json_get(part, member)));
    ok = ok && pass_on(p, part, "prompt_cache_breakpoint");
    return ok ? fh_take(p) : NULL;
}

static int take_text(const fh_json *part, const char *type, const char *member, const char *where, fh_json **ret, fh_err **err)
{
    if (fh_json_kind_of(fh_json_get(part, member)) != FH_JSON_STRING)
        return fh_wire_bad(err, where, "a content part has no string '%s'", member);
    *ret = text_part(part, type, member);
    return *ret ? 0 : fh_err_nomem(err);
}

static int take_image(const fh_json *part, const char *where, fh_json **ret, fh_err **err)
{
    static const char *const refused[] = {"file_id", NULL};
    fh_str url = {NULL, 0}, detail;
    int rc = fh_wire_refuse_members(part, where, refused, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(part, "image_url", true, &url, err);
    if (rc == 0) rc = fh_json_read_str(part, "detail", false, &detail, err);
    if (rc < 0) return fh_wire_below(rc, err, where);
    FH_AUTO(json) fh_json *p = fh_json_new_object(), *image = fh_json_new_object();
    bool ok = p && image && fh_json_set(image, "url", share(fh_json_get(part, "image_url"))) && pass_on(image, part, "detail");
    ok = ok && fh_json_set(p, "type", fh_json_new_cstr("image_url")) && fh_json_set(p, "image_url", fh_take(image));
    if (!ok) return fh_err_nomem(err);
    *ret = fh_take(p);
    return 0;
}

static int take_file(const fh_json *part, const char *where, fh_json **ret, fh_err **err)
{
    static const char *const refused[] = {"file_id", "file_url", NULL};
    fh_str text, detail = FH_STR("auto");
    int rc = fh_wire_refuse_members(part, where, refused, err);
    if (rc < 0) return rc;
    rc = fh_json_read_str(part, "file_data", true, &text, err);
    if (rc == 0) rc = fh_json_read_str(part, "filename", false, &text, err);
    if (rc == 0) rc = fh_json_read_str(part, "detail", false, &detail, err);
    if (rc == 0 && !fh_str_eqs(detail, "auto")) rc = fh_wire_bad(err, "detail", "a 'detail' of a file other than auto is not supported");
    if (rc < 0) return fh_wire_below(rc, err, where);
    FH_AUTO(json) fh_json *p = fh_json_new_object(), *file = fh_json_new_object();
    bool ok = p && file && pass_on(file, part, "filename") && pass_on(file, part, "file_data");
    ok = ok && fh_json_set(p, "type", fh_json_new_cstr("file")) && fh_json_set(p, "file", fh_take(file));
    if (!ok) return fh_err_nomem(err);
    *ret = fh_take(p);
    return 0;
}

static int take_audio(const fh_json *part, const char *where, fh_json **ret, fh_err **err)
{
    if (fh_json_kind_of(fh_json_get(part, "input_audio")) != FH_JSON_OBJECT)
        return fh_wire_bad(err, where, "a content part of type 'input_audio' needs an object 'input_audio'");
    *ret = share(part);
    return 0;
}

static int take_part(const fh_json *part, bool assistant, const char *where, fh_json **ret, fh_err **err)
{
    fh_str type = fh_json_str(fh_json_get(part, "type"));
    if (!type.ptr) return fh_wire_bad(err, where, "a content part has no type");
    if (fh_str_eqs(type, "input_text") || fh_str_eqs(type, "output_text") || fh_str_eqs(type, "text"))
        return take_text(part, "text", "text", where, ret, err);
    if (assistant && fh_str_eqs(type, "refusal")) return take_text(part, "refusal", "refusal", where, ret, err);
    if (!assistant && fh_str_eqs(type, "input_image")) return take_image(part, where, ret, err);
    if (!assistant && fh_str_eqs(type, "input_file")) return take_file(part, where, ret, err);
    if (!assistant && fh_str_eqs(type, "input_audio")) return take_audio(part, where, ret, err);
    return fh_wire_bad(err, where, "content of type '%.*s' is not supported %s", (int)FH_MIN(type.len, (size_t)32), type.ptr,
                       assistant ? "in a message of the assistant" : "here");
}

/* One part of text is written as a string: the form that every upstream and template knows. */
static fh_json *plainest(const fh_json *parts)
{
    const fh_json *only = fh_json_at(parts, 0), *text = fh_json_get(only, "text");
    bool plain = fh_json_count(parts) == 1 && fh_json_kind_of(text) == FH_JSON_STRING && fh_json_count(only) == 2;
    return share(plain ? text : parts);
}

int fh_wire_responses_content(const fh_json *v, bool assistant, const char *where, fh_json **ret, fh_err **err)
{
    char param[PARAM];
    if (fh_json_kind_of(v) == FH_JSON_STRING) {
        *ret = share(v);
        return 0;
    }
    if (fh_json_kind_of(v) != FH_JSON_ARRAY || !fh_json_count(v))
        return fh_wire_bad(err, where, "it must be a string or an array of at least one content part");
    FH_AUTO(json) fh_json *parts = fh_json_new_array();
    int rc = parts ? 0 : fh_err_nomem(err);
    for (size_t i = 0; rc == 0 && i < fh_json_count(v); i++) {
        fh_json *part = NULL;
        snprintf(param, sizeof param, "%s[%zu]", where, i);
        rc = take_part(fh_json_at(v, i), assistant, param, &part, err);
        if (rc == 0 && !fh_json_append(parts, part)) rc = fh_err_nomem(err);
    }
    if (rc == 0) *ret = plainest(parts);
    return rc;
}
