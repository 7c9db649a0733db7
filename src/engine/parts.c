/* Events of the reply's parser become pieces of OpenAI's form; a reply that is not streamed collects them. */
#include "parts.h"
#include "base/limits.h"

#include <string.h>

enum { COLLECTED_BYTES = 64 << 20, ID_CHARS = 9 };

typedef struct part_call {
    char id[ID_CHARS + 1];
    fh_buf model_id, name, args;
} part_call;

struct parts {
    fh_toolfmt_parser *parser;
    parts_sink *sink;
    void *arg;
    const char *reply_id;
    bool skipping, one, enough, failed;
    fh_buf text, reasoning;
    part_call *calls; /* owned: those of a reply that is collected; of a stream none */
    fh_wire_call *wire;
    size_t count, cap;
    uint32_t begun; /* calls, also of a stream */
};

/* Nine letters and digits: what the strictest templates want of an id (Mistral's). The same call has the same id wherever it is made. */
static void make_id(const char *reply_id, uint32_t call, char *ret)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t h = 14695981039346656037u ^ call;
    for (; *reply_id; reply_id++) h = (h ^ (uint8_t)*reply_id) * 1099511628211u;
    for (size_t i = 0; i < ID_CHARS; i++) {
        h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
        ret[i] = digits[(h >> 32) % (sizeof digits - 1)];
    }
    ret[ID_CHARS] = '\0';
}

/* ---- collecting ---- */

static void free_call(part_call *c)
{
    fh_buf_fini(&c->model_id);
    fh_buf_fini(&c->name);
    fh_buf_fini(&c->args);
}

static bool collect_begin(parts *p, const fh_toolfmt_event *e)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 4;
        part_call *grown = fh_realloc_array(p->calls, cap, sizeof *grown);
        if (!grown) return false;
        p->calls = grown;
        p->cap = cap;
    }
    part_call *c = &p->calls[p->count++];
    *c = (part_call){
        .model_id = FH_BUF(FH_LIMIT_TOOL_NAME_BYTES * 4), .name = FH_BUF(FH_LIMIT_TOOL_NAME_BYTES * 4), .args = FH_BUF(COLLECTED_BYTES)};
    make_id(p->reply_id, e->call, c->id);
    return fh_buf_add(&c->model_id, e->id.ptr ? e->id.ptr : "", e->id.len) && fh_buf_add(&c->name, e->name.ptr, e->name.len);
}

static bool collect(parts *p, const fh_toolfmt_event *e)
{
    switch (e->kind) {
    case FH_TOOLFMT_CONTENT: return fh_buf_add(&p->text, e->text.ptr, e->text.len);
    case FH_TOOLFMT_REASONING: return fh_buf_add(&p->reasoning, e->text.ptr, e->text.len);
    case FH_TOOLFMT_CALL_BEGIN: return collect_begin(p, e);
    case FH_TOOLFMT_CALL_ARGS: return fh_buf_add(&p->calls[p->count - 1].args, e->text.ptr, e->text.len);
    case FH_TOOLFMT_CALL_END: break;
    }
    return true;
}

bool parts_take(parts *p, fh_wire_piece *ret)
{
    fh_free(p->wire);
    p->wire = fh_calloc(p->count, sizeof *p->wire);
    if (!p->wire) return false;
    for (size_t i = 0; i < p->count; i++) {
        const part_call *c = &p->calls[i];
        fh_str id = c->model_id.len ? (fh_str){c->model_id.data, c->model_id.len} : fh_str_of(c->id);
        p->wire[i] = (fh_wire_call){.index = (uint32_t)i,
                                    .id = id,
                                    .name = {fh_buf_cstr(&c->name), c->name.len},
                                    .arguments = {fh_buf_cstr(&c->args), c->args.len}};
    }
    ret->text = (fh_str){fh_buf_cstr(&p->text), p->text.len};
    ret->reasoning = (fh_str){fh_buf_cstr(&p->reasoning), p->reasoning.len};
    ret->calls = p->wire;
    ret->call_count = p->count;
    return true;
}

/* ---- streaming ---- */

static bool stream(parts *p, const fh_toolfmt_event *e)
{
    char id[ID_CHARS + 1];
    fh_wire_call call = {.index = e->call};
    fh_wire_piece piece = {.text = {"", 0}};
    if (e->kind == FH_TOOLFMT_CONTENT) piece.text = e->text;
    if (e->kind == FH_TOOLFMT_REASONING) piece.reasoning = e->text;
    if (e->kind == FH_TOOLFMT_CALL_END) return true;
    if (e->kind == FH_TOOLFMT_CALL_BEGIN) {
        make_id(p->reply_id, e->call, id);
        call.id = e->id.len ? e->id : fh_str_of(id);
        call.name = e->name;
        call.arguments = (fh_str){"", 0};
    }
    if (e->kind == FH_TOOLFMT_CALL_ARGS) call.arguments = e->text;
    if (e->kind == FH_TOOLFMT_CALL_BEGIN || e->kind == FH_TOOLFMT_CALL_ARGS) {
        piece.calls = &call;
        piece.call_count = 1;
    }
    return p->sink(p->arg, &piece);
}

static int on_event(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    parts *p = ctx;
    if (e->kind == FH_TOOLFMT_CALL_BEGIN) p->begun++;
    if (e->kind == FH_TOOLFMT_CALL_END && p->one) p->enough = true;
    if (p->skipping) return 0;
    if (p->sink ? stream(p, e) : collect(p, e)) return 0;
    p->failed = true;
    return fh_err_nomem(err);
}

/* ---- lives ---- */

bool parts_needed(const fh_toolfmt *f, const fh_wire_request *r)
{
    return r->kind == FH_WIRE_CHAT && (r->tools || fh_toolfmt_has_markers(f));
}

int parts_new(parts **ret, const parts_options *o, fh_err **err)
{
    parts *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    *p = (parts){.sink = o->sink, .arg = o->arg, .reply_id = o->reply_id, .one = o->request->one_call};
    fh_buf_init(&p->text, COLLECTED_BYTES);
    fh_buf_init(&p->reasoning, COLLECTED_BYTES);
    fh_toolfmt_options t = {.tools = o->request->tools, .prompt = o->prompt, .max_calls = p->one ? 1 : 0};
    int rc = fh_toolfmt_parser_new(&p->parser, o->format, &t, on_event, p, err);
    if (rc)
        parts_free(p);
    else
        *ret = p;
    return rc;
}

void parts_free(parts *p)
{
    if (!p) return;
    fh_toolfmt_parser_free(p->parser);
    for (size_t i = 0; i < p->count; i++) free_call(&p->calls[i]);
    fh_free(p->calls);
    fh_free(p->wire);
    fh_buf_fini(&p->text);
    fh_buf_fini(&p->reasoning);
    fh_free(p);
}

int parts_skip(parts *p, fh_str text, fh_err **err)
{
    p->skipping = true;
    int rc = fh_toolfmt_push(p->parser, text, err);
    p->skipping = false;
    return rc;
}

bool parts_push(parts *p, fh_str text)
{
    return !p->failed && fh_toolfmt_push(p->parser, text, NULL) == 0;
}

bool parts_finish(parts *p)
{
    return !p->failed && fh_toolfmt_finish(p->parser, NULL) == 0;
}

bool parts_enough(const parts *p)
{
    return p->enough;
}

bool parts_has_calls(const parts *p)
{
    return p->begun > 0;
}
