/* Small helpers of the files that translate the Messages API: paths for errors, checked members, values that are shared or built. */
#include "messages_private.h"

#include "base/limits.h"
#include <stdio.h>

fh_msg_path fh_msg_member(const char *parent, const char *key)
{
    fh_msg_path p;
    snprintf(p.at, sizeof p.at, "%s%s%s", parent, *parent ? "." : "", key);
    return p;
}

fh_msg_path fh_msg_item(const char *parent, size_t i)
{
    fh_msg_path p;
    snprintf(p.at, sizeof p.at, "%s[%zu]", parent, i);
    return p;
}

static int at_path(int rc, const char *path, const char *key, fh_err **err)
{
    if (rc == FH_E_INVALID) fh_err_param(err, "%s", fh_msg_member(path, key).at);
    return rc;
}

int fh_msg_read_str(const fh_json *o, const char *path, const char *key, bool required, fh_str *ret, fh_err **err)
{
    return at_path(fh_json_read_str(o, key, required, ret, err), path, key, err);
}

int fh_msg_read_bool(const fh_json *o, const char *path, const char *key, bool *ret, fh_err **err)
{
    return at_path(fh_json_read_bool(o, key, false, ret, err), path, key, err);
}

int fh_msg_object(const fh_json *v, const char *path, fh_err **err)
{
    return fh_json_kind_of(v) == FH_JSON_OBJECT ? 0 : fh_wire_bad(err, path, "an object is wanted here");
}

bool fh_msg_is_one_of(fh_str s, const char *const *words)
{
    for (; *words; words++)
        if (fh_str_eqs(s, *words)) return true;
    return false;
}

int fh_msg_members(const fh_json *o, const char *path, const char *const *known, fh_err **err)
{
    fh_str key;
    for (void *it = NULL; fh_json_next(o, &it, &key, NULL);) {
        if (fh_msg_is_one_of(key, known)) continue;
        char name[40];
        snprintf(name, sizeof name, "%.*s", (int)FH_MIN(key.len, sizeof name - 1), key.ptr);
        int rc = fh_wire_bad(err, fh_msg_member(path, name).at, "there is no field '%s' here", name);
        fh_err_hint(err, "leave it out");
        return rc;
    }
    return 0;
}

fh_json *fh_msg_share(const fh_json *v)
{
    return fh_json_ref((fh_json *)(uintptr_t)v);
}

bool fh_msg_copy(fh_json *to, const fh_json *from, const char *key, const char *as)
{
    const fh_json *v = fh_json_get(from, key);
    return fh_wire_absent(v) || fh_json_set(to, as, fh_msg_share(v));
}

bool fh_msg_merge(fh_json *to, const fh_json *from)
{
    fh_str key;
    const fh_json *v;
    bool ok = to != NULL;
    for (void *it = NULL; ok && fh_json_next(from, &it, &key, &v);) ok = fh_json_set(to, key.ptr, fh_msg_share(v));
    return ok;
}

fh_json *fh_msg_text(fh_str text)
{
    FH_AUTO(json) fh_json *part = fh_json_new_object();
    bool ok = part && fh_json_set(part, "type", fh_json_new_cstr("text")) && fh_json_set(part, "text", fh_json_new_str(text));
    return ok ? fh_take(part) : NULL;
}

fh_json *fh_msg_joined(fh_str a, fh_str b, fh_str c)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(2 * (size_t)FH_LIMIT_JSON_BODY_BYTES);
    fh_buf_add(&text, a.ptr, a.len);
    fh_buf_add(&text, b.ptr, b.len);
    fh_buf_add(&text, c.ptr, c.len);
    return fh_buf_ok(&text) ? fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len}) : NULL;
}

fh_json *fh_msg_json_text(const fh_json *v)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(8 * (size_t)FH_LIMIT_JSON_BODY_BYTES);
    return fh_json_write(v, &text, NULL) ? NULL : fh_json_new_str((fh_str){fh_buf_cstr(&text), text.len});
}
