/* The steps of the GGUF reader over one mapped file: numbers and strings, each checked against the bytes that are left. */
#include "gguf_private.h"
#include <stdio.h>

/* Hostile names must not reach a terminal as they are. */
void fh_gguf_printable(fh_str s, char *out, size_t out_size)
{
    size_t n = 0;
    for (; n < s.len && n + 1 < out_size; n++) out[n] = s.ptr[n] >= ' ' && s.ptr[n] < 0x7f ? s.ptr[n] : '?';
    out[n] = 0;
}

/* "metadata[3] \"general.name\" " */
static void describe(const fh_gguf_cursor *c, char *out, size_t out_size)
{
    char name[65];
    fh_gguf_printable(c->name, name, sizeof name);
    const char *quote = c->name.len ? "\"" : "";
    out[0] = 0;
    if (c->group)
        snprintf(out, out_size, "%s[%llu]%s%s%s%s ", c->group, (unsigned long long)c->item, *quote ? " " : "", quote, name, quote);
}

int fh_gguf_fault(const fh_gguf_cursor *c, uint64_t at, const char *field, const char *fmt, ...)
{
    char item[160], text[256];
    describe(c, item, sizeof item);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fh_err_set(c->err, FH_E_CORRUPT, "%s: byte %llu, field %s%s: %s", c->path, (unsigned long long)at, item, field, text);
}

uint64_t fh_gguf_load(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int take(fh_gguf_cursor *c, const char *field, unsigned bytes, uint64_t *ret)
{
    if (c->size - c->pos < bytes) return fh_gguf_fault(c, c->pos, field, "the file ends here, at %llu bytes", (unsigned long long)c->size);
    *ret = fh_gguf_load(c->base + c->pos, bytes);
    c->pos += bytes;
    return 0;
}

int fh_gguf_take_u32(fh_gguf_cursor *c, const char *field, uint32_t *ret)
{
    uint64_t v = 0;
    int rc = take(c, field, 4, &v);
    if (!rc) *ret = (uint32_t)v;
    return rc;
}

int fh_gguf_take_u64(fh_gguf_cursor *c, const char *field, uint64_t *ret)
{
    return take(c, field, 8, ret);
}

int fh_gguf_take_str(fh_gguf_cursor *c, const char *field, uint64_t max_bytes, fh_str *ret)
{
    uint64_t at = c->pos, len = 0;
    int rc = fh_gguf_take_u64(c, field, &len);
    if (rc) return rc;
    if (len > max_bytes)
        return fh_gguf_fault(c, at, field, "has a length of %llu; at most %llu bytes are read", (unsigned long long)len,
                             (unsigned long long)max_bytes);
    if (len > c->size - c->pos)
        return fh_gguf_fault(c, at, field, "has a length of %llu, but %llu bytes are left in the file", (unsigned long long)len,
                             (unsigned long long)(c->size - c->pos));
    *ret = (fh_str){(const char *)c->base + c->pos, (size_t)len};
    c->pos += len;
    return 0;
}

int fh_gguf_compare_str(fh_str a, fh_str b)
{
    int order = memcmp(a.ptr, b.ptr, FH_MIN(a.len, b.len));
    if (order) return order;
    return a.len < b.len ? -1 : a.len > b.len;
}
