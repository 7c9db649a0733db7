/* Replies of arbitrary bytes: the first byte chooses the family, the second how the prompt ends and whether there are tools, the third
 * where the reply is cut; the rest is the reply. Whole, cut, and byte by byte must give the same; a reply without calls and thoughts of a
 * family without other markers must come back as it was; arguments of calls that are complete must be JSON objects. */
#include "model/toolfmt.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"s\":{\"type\":\"string\"},"
    "\"n\":{\"type\":\"integer\"},\"o\":{\"type\":\"object\"},\"m\":{\"type\":[\"string\",\"null\"]}}}}}]";
static const char *const prompts[] = {"", "<think>\n", "<|start|>assistant", ">>>", "<|begin|>assistant"};

enum { TEXT_BYTES = 32 << 20 };

typedef struct heard {
    fh_buf text, calls, args; /* answer and thought; calls and where in the text each began; the arguments of the call that runs */
    fh_toolfmt_kind last;     /* of the text */
    size_t content;
    bool any, open;
    uint32_t count;
} heard;

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_arguments(const heard *h, bool complete)
{
    FH_AUTO(json) fh_json *v = NULL;
    if (!complete) return;
    int rc = fh_json_parse(&v, (fh_str){fh_buf_cstr(&h->args), h->args.len}, TEXT_BYTES, NULL);
    check(rc != 0 || fh_json_kind_of(v) == FH_JSON_OBJECT); /* refused: a key twice, U+0000 in a key, bytes that are no UTF-8 */
}

static void hear_text(heard *h, const fh_toolfmt_event *e)
{
    if (!h->any || h->last != e->kind) fh_buf_addc(&h->text, (char)e->kind);
    fh_buf_add(&h->text, e->text.ptr, e->text.len);
    h->content += e->kind == FH_TOOLFMT_CONTENT ? e->text.len : 0;
    h->last = e->kind;
    h->any = true;
}

static void hear_begin(heard *h, const fh_toolfmt_event *e)
{
    check(!h->open && e->call == h->count++ && e->name.len > 0);
    h->open = true;
    fh_buf_clear(&h->args);
    fh_buf_addf(&h->calls, "%zu %.*s %.*s ", h->text.len, (int)e->name.len, e->name.ptr, (int)e->id.len, e->id.len ? e->id.ptr : "");
}

static int hear(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    heard *h = ctx;
    if (e->kind <= FH_TOOLFMT_REASONING) {
        check(!h->open || e->kind == FH_TOOLFMT_CONTENT);
        hear_text(h, e);
    } else if (e->kind == FH_TOOLFMT_CALL_BEGIN) {
        hear_begin(h, e);
    } else if (e->kind == FH_TOOLFMT_CALL_ARGS) {
        check(h->open);
        fh_buf_add(&h->args, e->text.ptr, e->text.len);
        fh_buf_add(&h->calls, e->text.ptr, e->text.len);
    } else {
        check(h->open);
        h->open = false;
        check_arguments(h, e->complete);
        fh_buf_addc(&h->calls, e->complete ? '.' : '!');
    }
    return 0;
}

static void read_reply(const fh_toolfmt *f, const fh_toolfmt_options *o, fh_str reply, size_t piece, heard *h)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    *h = (heard){.text = FH_BUF(TEXT_BYTES), .calls = FH_BUF(TEXT_BYTES), .args = FH_BUF(TEXT_BYTES)};
    check(fh_toolfmt_parser_new(&p, f, o, hear, h, NULL) == 0);
    for (size_t i = 0; i < reply.len; i += piece)
        check(fh_toolfmt_push(p, (fh_str){reply.ptr + i, FH_MIN(piece, reply.len - i)}, NULL) == 0);
    check(fh_toolfmt_finish(p, NULL) == 0);
    check(!h->open && fh_toolfmt_calls(p) == h->count);
}

static void forget(heard *h)
{
    fh_buf_fini(&h->text);
    fh_buf_fini(&h->calls);
    fh_buf_fini(&h->args);
}

static bool same(const fh_buf *a, const fh_buf *b)
{
    return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static void compare(const fh_toolfmt *f, const fh_toolfmt_options *o, fh_str reply, size_t piece)
{
    heard whole, cut;
    read_reply(f, o, reply, reply.len + 1, &whole);
    read_reply(f, o, reply, piece, &cut);
    check(same(&whole.text, &cut.text) && same(&whole.calls, &cut.calls));
    const char *name = fh_toolfmt_family(f);
    bool plain =
        strcmp(name, "phi") == 0 || strcmp(name, "functionary") == 0 || strcmp(name, "firefunction") == 0 || strcmp(name, "llama3") == 0;
    if (plain && !whole.count) check(whole.content == reply.len);
    forget(&whole);
    forget(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    FH_AUTO(json) fh_json *tools = NULL;
    if (size < 3) return 0;
    fh_str reply = {(const char *)data + 3, size - 3};
    check(fh_toolfmt_named(&f, fh_str_of(fh_toolfmt_family_at(data[0] % fh_toolfmt_families())), NULL) == 0);
    check(fh_json_parse(&tools, FH_STR(tools_text), sizeof tools_text, NULL) == 0);
    fh_toolfmt_options o = {.tools = data[1] & 128 ? NULL : tools, .prompt = fh_str_of(prompts[data[1] % FH_COUNT(prompts)])};
    compare(f, &o, reply, 1);
    compare(f, &o, reply, 1 + data[2]);
    return 0;
}
