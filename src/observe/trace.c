/* W3C trace context (see trace.h). */
#include "observe/trace.h"

#include "base/limits.h"
#include <stdio.h>
#include <string.h>

enum { KEY_CHARS = 256, VALUE_CHARS = 256 };

static bool is_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i]) return false;
    return true;
}

/* Two lower-case digits a byte, as the specification wants them. */
static bool read_hex(const char *p, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < 2 * bytes; i++)
        if (p[i] >= 'A' && p[i] <= 'F') return false;
    return fh_hex_decode((fh_str){p, 2 * bytes}, out, bytes);
}

bool fh_traceparent_read(fh_str value, fh_trace *ret)
{
    const char *p = value.ptr;
    uint8_t version, flags;
    fh_trace t;
    if (value.len < FH_TRACEPARENT_LEN || p[2] != '-' || p[35] != '-' || p[52] != '-') return false;
    if (!read_hex(p, &version, 1) || version == 0xff) return false;
    if (version == 0 && value.len != FH_TRACEPARENT_LEN) return false;
    if (value.len > FH_TRACEPARENT_LEN && p[FH_TRACEPARENT_LEN] != '-') return false;
    if (!read_hex(p + 3, t.id, sizeof t.id) || !read_hex(p + 36, t.parent, sizeof t.parent) || !read_hex(p + 53, &flags, 1)) return false;
    if (is_zero(t.id, sizeof t.id) || is_zero(t.parent, sizeof t.parent)) return false;
    t.flags = flags & (FH_TRACE_SAMPLED | FH_TRACE_RANDOM);
    *ret = t;
    return true;
}

void fh_traceparent_write(const fh_trace *t, const uint8_t span[FH_SPAN_ID_BYTES], char out[FH_TRACEPARENT_LEN + 1])
{
    char id[2 * FH_TRACE_ID_BYTES + 1], parent[2 * FH_SPAN_ID_BYTES + 1];
    fh_hex_encode(t->id, FH_TRACE_ID_BYTES, id, sizeof id);
    fh_hex_encode(span, FH_SPAN_ID_BYTES, parent, sizeof parent);
    snprintf(out, FH_TRACEPARENT_LEN + 1, "00-%s-%s-%02x", id, parent, t->flags);
}

/* ---- tracestate: key=value members between commas ---- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A letter or digit, then also _ - * /; a tenant may stand before one '@'. Level 2 lets every key begin with a digit. */
static bool key_valid(fh_str key)
{
    size_t ats = 0;
    if (key.len == 0 || key.len > KEY_CHARS || !is_lower_or_digit(key.ptr[0])) return false;
    for (size_t i = 1; i < key.len; i++) {
        char c = key.ptr[i];
        if (!is_lower_or_digit(c) && c != '@' && !(c && strchr("_-*/", c))) return false;
        ats += c == '@';
    }
    return ats <= 1 && key.ptr[key.len - 1] != '@';
}

/* Printable ASCII without comma and equals sign. Blanks before it are part of it, those behind it were trimmed. */
static bool value_valid(fh_str value)
{
    if (value.len == 0 || value.len > VALUE_CHARS) return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] < 0x20 || value.ptr[i] > 0x7e || value.ptr[i] == '=') return false;
    return true;
}

static fh_str trim_blanks(fh_str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = (fh_str){s.ptr + 1, s.len - 1};
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

static bool seen_before(const fh_str *keys, size_t count, fh_str key)
{
    for (size_t i = 0; i < count; i++)
        if (fh_str_eq(keys[i], key)) return true;
    return false;
}

bool fh_tracestate_valid(fh_str value)
{
    fh_str keys[FH_LIMIT_TRACESTATE_MEMBERS], rest = value;
    size_t count = 0;
    if (value.len > FH_LIMIT_TRACESTATE_BYTES) return false;
    while (rest.len) {
        size_t comma = fh_str_find(rest, FH_STR(","));
        fh_str member = trim_blanks((fh_str){rest.ptr, comma});
        comma += comma < rest.len;
        rest = (fh_str){rest.ptr + comma, rest.len - comma};
        if (member.len == 0) continue; /* empty members are allowed */
        size_t equals = fh_str_find(member, FH_STR("="));
        fh_str key = {member.ptr, equals};
        if (equals == member.len || count == FH_LIMIT_TRACESTATE_MEMBERS) return false;
        if (!key_valid(key) || !value_valid((fh_str){member.ptr + equals + 1, member.len - equals - 1})) return false;
        if (seen_before(keys, count, key)) return false;
        keys[count++] = key;
    }
    return count > 0;
}
