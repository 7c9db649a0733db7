/* Changing members of a JSON object's text without touching any other byte: what a client wrote reaches the upstream as it was written, and
 * what the upstream wrote the client. */
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

static void add_member(fh_buf *out, bool *first, fh_str text)
{
    if (!*first) fh_buf_addc(out, ',');
    *first = false;
    fh_buf_add(out, text.ptr, text.len);
}

static void add_edit(fh_buf *out, bool *first, const fh_wire_edit *e)
{
    if (!e->value) return;
    add_member(out, first, (fh_str){"", 0});
    fh_buf_addf(out, "\"%s\":", e->key);
    fh_buf_adds(out, e->value);
}

typedef struct member {       /* of the object's text */
    fh_str key, value, whole; /* whole: from the key's quote to the value's end */
} member;

/* False at the end of the object, and where it is none. */
static bool next_member(cursor *c, member *ret)
{
    skip_blanks(c);
    if (c->p < c->end && *c->p == ',') c->p++;
    skip_blanks(c);
    if (c->p >= c->end || *c->p != '"') return false;
    const char *start = c->p;
    skip_string(c);
    if (c->p - start < 2) return false;
    ret->key = (fh_str){start + 1, (size_t)(c->p - start) - 2};
    skip_blanks(c);
    if (c->p < c->end) c->p++; /* the colon */
    skip_blanks(c);
    const char *value = c->p;
    skip_value(c);
    const char *end = c->p;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r')) end--;
    ret->value = (fh_str){value, (size_t)(end - value)};
    ret->whole = (fh_str){start, (size_t)(end - start)};
    return true;
}

static cursor first_member(fh_str body)
{
    cursor c = {body.ptr, body.ptr + body.len};
    skip_blanks(&c);
    if (c.p < c.end) c.p++; /* the brace */
    return c;
}

bool fh_wire_body_member(fh_str body, const char *key, fh_str *ret_value)
{
    cursor c = first_member(body);
    for (member m; next_member(&c, &m);) {
        if (!fh_str_eqs(m.key, key)) continue;
        *ret_value = m.value;
        return true;
    }
    return false;
}

int fh_wire_body_edit(fh_str body, const fh_wire_edit *edits, size_t count, fh_buf *out, fh_err **err)
{
    cursor c = first_member(body);
    bool first = true;
    fh_buf_addc(out, '{');
    for (member m; next_member(&c, &m);) {
        /* A known key in disguise would come out twice, and whoever reads the first of two would be deceived. */
        if (memchr(m.key.ptr, '\\', m.key.len)) return fh_err_set(err, FH_E_INVALID, "a key of the request is written with an escape");
        if (!edit_of(edits, count, m.key)) add_member(out, &first, m.whole);
    }
    for (size_t i = 0; i < count; i++) add_edit(out, &first, &edits[i]);
    fh_buf_addc(out, '}');
    return fh_buf_check(out, err, "the request");
}

/* Moves to the next element of an array's text that is an object; false when there is none. */
static bool next_object(cursor *c, fh_str *ret)
{
    skip_blanks(c);
    if (c->p < c->end && *c->p == ',') c->p++;
    skip_blanks(c);
    const char *start = c->p;
    if (start >= c->end || *start != '{') return false;
    skip_value(c);
    *ret = (fh_str){start, (size_t)(c->p - start)};
    return true;
}

void fh_wire_body_hide_logprobs(fh_str body, fh_buf *out)
{
    const char *copied = body.ptr;
    fh_str choices = {NULL, 0}, choice, hidden;
    if (fh_wire_body_member(body, "choices", &choices) && choices.len && choices.ptr[0] == '[') {
        cursor c = first_member(choices);
        while (next_object(&c, &choice)) {
            if (!fh_wire_body_member(choice, "logprobs", &hidden) || !hidden.len) continue;
            fh_buf_add(out, copied, (size_t)(hidden.ptr - copied));
            fh_buf_adds(out, "null");
            copied = hidden.ptr + hidden.len;
        }
    }
    fh_buf_add(out, copied, body.len - (size_t)(copied - body.ptr));
}
