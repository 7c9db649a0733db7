/* Changing members of a JSON object's text without touching any other byte: what a client wrote reaches the upstream as it was written. */
#include "wire/stream.h"

#include <string.h>

typedef struct cursor {
    const char *p, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) c->p++;
}

/* At a quote: moves behind the closing one. */
static void skip_string(cursor *c)
{
    for (c->p++; c->p < c->end && *c->p != '"'; c->p++)
        if (*c->p == '\\' && c->p + 1 < c->end) c->p++;
    if (c->p < c->end) c->p++;
}

/* Any value: brackets are counted, strings skipped; a scalar ends before a comma, a bracket or a blank. */
static void skip_value(cursor *c)
{
    size_t depth = 0;
    while (c->p < c->end) {
        char b = *c->p;
        if (b == '"') {
            skip_string(c);
            if (!depth) return;
            continue;
        }
        if (!depth && (b == ',' || b == '}' || b == ']')) return;
        depth += b == '{' || b == '[';
        depth -= b == '}' || b == ']';
        c->p++;
        if (!depth && (b == '}' || b == ']')) return;
    }
}

static const fh_wire_edit *edit_of(const fh_wire_edit *edits, size_t count, fh_str key)
{
    for (size_t i = 0; i < count; i++)
        if (fh_str_eqs(key, edits[i].key)) return &edits[i];
    return NULL;
}

static void add_member(fh_buf *out, bool *first, fh_str member)
{
    if (!*first) fh_buf_addc(out, ',');
    *first = false;
    fh_buf_add(out, member.ptr, member.len);
}

static void add_edit(fh_buf *out, bool *first, const fh_wire_edit *e)
{
    if (!e->value) return;
    add_member(out, first, (fh_str){"", 0});
    fh_buf_addf(out, "\"%s\":", e->key);
    fh_buf_adds(out, e->value);
}

/* One member: its text from the key's quote to the value's end; false at the end of the object. */
static bool next_member(cursor *c, fh_str *ret_key, fh_str *ret_member)
{
    skip_blanks(c);
    if (c->p < c->end && *c->p == ',') c->p++;
    skip_blanks(c);
    if (c->p >= c->end || *c->p != '"') return false;
    const char *start = c->p;
    skip_string(c);
    *ret_key = (fh_str){start + 1, (size_t)(c->p - start) - 2};
    skip_blanks(c);
    if (c->p < c->end) c->p++; /* the colon */
    skip_blanks(c);
    skip_value(c);
    const char *end = c->p;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r')) end--;
    *ret_member = (fh_str){start, (size_t)(end - start)};
    return true;
}

int fh_wire_body_edit(fh_str body, const fh_wire_edit *edits, size_t count, fh_buf *out, fh_err **err)
{
    cursor c = {body.ptr, body.ptr + body.len};
    fh_str key, member;
    bool first = true;
    skip_blanks(&c);
    if (c.p < c.end) c.p++; /* the brace */
    fh_buf_addc(out, '{');
    while (next_member(&c, &key, &member)) {
        /* A known key in disguise would come out twice, and whoever reads the first of two would be deceived. */
        if (memchr(key.ptr, '\\', key.len)) return fh_err_set(err, FH_E_INVALID, "a key of the request is written with an escape");
        if (!edit_of(edits, count, key)) add_member(out, &first, member);
    }
    for (size_t i = 0; i < count; i++) add_edit(out, &first, &edits[i]);
    fh_buf_addc(out, '}');
    return fh_buf_check(out, err, "the request");
}
