/* What an answer said (see heard.h). */
#include "heard.h"

void fh_heard_fini(fh_heard *h)
{
    for (size_t i = 0; i < FH_LIMIT_HEARD_CHOICES; i++) fh_buf_fini(&h->choices[i].text);
    *h = (fh_heard){.bytes = 0};
}

static bool is_answer(fh_wire_event_kind k)
{
    return k == FH_EVENT_TEXT || k == FH_EVENT_REASONING || k == FH_EVENT_REFUSAL || k == FH_EVENT_CALL || k == FH_EVENT_ARGUMENTS;
}

/* A call begins with its name, and its arguments are a part of their own. */
static bool begins_part(const fh_heard_choice *c, const fh_wire_event *e)
{
    return c->text.len && (e->kind != c->kind || e->call != c->call);
}

static void add(fh_heard *h, fh_heard_choice *c, const void *text, size_t bytes)
{
    h->bytes += bytes;
    if (h->bytes > FH_LIMIT_HEARD_BYTES || !fh_buf_add(&c->text, text, bytes)) h->lost = true;
}

void fh_heard_event(fh_heard *h, const fh_wire_event *e)
{
    if (!is_answer(e->kind) || h->lost) return;
    if (e->choice >= FH_LIMIT_HEARD_CHOICES) {
        h->lost = true;
        return;
    }
    fh_heard_choice *c = &h->choices[e->choice];
    fh_str text = e->kind == FH_EVENT_CALL ? e->name : e->text;
    if (!text.len) return;
    if (!c->text.max) c->text = FH_BUF(FH_LIMIT_HEARD_BYTES + 1u);
    if (begins_part(c, e)) add(h, c, "", 1);
    c->kind = e->kind;
    c->call = e->call;
    add(h, c, text.ptr, text.len);
}

static int each_part(fh_str text, fh_heard_part *fn, void *arg, fh_err **err)
{
    int rc = 0;
    while (rc == 0 && text.len) {
        const char *end = memchr(text.ptr, '\0', text.len);
        size_t n = end ? (size_t)(end - text.ptr) : text.len, used = n + (end ? 1 : 0);
        if (n) rc = fn(arg, (fh_str){text.ptr, n}, err);
        text = (fh_str){text.ptr + used, text.len - used};
    }
    return rc;
}

int fh_heard_each(const fh_heard *h, fh_heard_part *fn, void *arg, fh_err **err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < FH_LIMIT_HEARD_CHOICES; i++)
        rc = each_part((fh_str){h->choices[i].text.data, h->choices[i].text.len}, fn, arg, err);
    return rc;
}
