/* context_management of a Messages request: edits of the conversation before the model sees it. Clearing thoughts of earlier turns is done
 * here; edits that wait for a count of tokens, or summarize, only an upstream of the same API does. */
#include "messages_private.h"

static bool has_thought(const fh_json *message)
{
    const fh_json *content = fh_json_get(message, "content");
    for (size_t i = 0; i < fh_json_count(content); i++)
        if (fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(content, i), "type")), "thinking")) return true;
    return false;
}

static size_t count_thoughtful(const fh_json *messages)
{
    size_t n = 0;
    for (size_t i = 0; i < fh_json_count(messages); i++) n += has_thought(fh_json_at(messages, i));
    return n;
}

/* "all", {"type":"all"}, {"type":"thinking_turns","value":N}; absent is one turn. */
static int read_keep(const fh_json *keep, const char *path, int64_t *ret, fh_err **err)
{
    static const char *const members[] = {"type", "value", NULL};
    fh_str type = {NULL, 0};
    *ret = 1;
    if (fh_wire_absent(keep)) return 0;
    bool all = fh_str_eqs(fh_json_str(keep), "all");
    int rc = all ? 0 : fh_msg_object(keep, path, err);
    if (rc == 0 && !all) rc = fh_msg_members(keep, path, members, err);
    if (rc == 0 && !all) rc = fh_msg_read_str(keep, path, "type", true, &type, err);
    if (rc < 0) return rc;
    if (all || fh_str_eqs(type, "all")) {
        *ret = INT64_MAX;
        return 0;
    }
    *ret = fh_json_int(fh_json_get(keep, "value"), 0);
    if (fh_str_eqs(type, "thinking_turns") && *ret > 0) return 0;
    return fh_wire_bad(err, path, "'keep' is \"all\" or a number of thinking_turns above 0");
}

static int take_edit(fh_msg *m, const fh_json *edit, const char *path, fh_err **err)
{
    static const char *const members[] = {"type", "keep", NULL};
    fh_str type = {NULL, 0};
    int64_t keep = 0;
    int rc = fh_msg_object(edit, path, err);
    if (rc == 0) rc = fh_msg_read_str(edit, path, "type", true, &type, err);
    if (rc < 0) return rc;
    if (!fh_str_eqs(type, "clear_thinking_20251015")) return fh_msg_native(m, path, "this edit of the context", err);
    rc = fh_msg_members(edit, path, members, err);
    if (rc == 0) rc = read_keep(fh_json_get(edit, "keep"), fh_msg_member(path, "keep").at, &keep, err);
    size_t turns = rc == 0 ? count_thoughtful(fh_json_get(m->doc, "messages")) : 0;
    if ((uint64_t)keep < turns) m->forgotten_turns = FH_MAX(m->forgotten_turns, turns - (size_t)keep);
    return rc;
}

int fh_msg_context(fh_msg *m, fh_err **err)
{
    static const char *const members[] = {"edits", NULL};
    const fh_json *v = fh_json_get(m->doc, "context_management"), *edits = fh_json_get(v, "edits");
    if (fh_wire_absent(v)) return 0;
    int rc = fh_msg_object(v, "context_management", err);
    if (rc == 0) rc = fh_msg_members(v, "context_management", members, err);
    if (rc == 0 && !fh_wire_absent(edits) && fh_json_kind_of(edits) != FH_JSON_ARRAY)
        rc = fh_wire_bad(err, "context_management.edits", "'edits' must be an array");
    for (size_t i = 0; rc == 0 && i < fh_json_count(edits); i++)
        rc = take_edit(m, fh_json_at(edits, i), fh_msg_item("context_management.edits", i).at, err);
    return rc;
}

void fh_msg_context_turn(fh_msg *m, const fh_json *message)
{
    m->thoughtful_turns += has_thought(message);
}
