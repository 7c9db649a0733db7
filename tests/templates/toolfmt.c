/* Formats of tool calls, for toolfmt.py: reads requests from standard input, one JSON object a line, and answers each with one line.
 *   {"template": source, "tokens": [...]}           detects: {"family", "shows_tools"}; later requests are about it
 *   {"reply": text, "prompt": text, "tools": [...]}   reads the reply, whole and cut in many ways:
 *                                                   {"content", "reasoning", "calls": [{"name", "id", "arguments", "complete"}]}
 *   {"messages": [...], "tools": [...]}             {"messages"} as the template takes them */
#include "model/toolfmt.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 64 << 20, TEXT_BYTES = 64 << 20, RANDOM_CUTS = 24 };

typedef struct session {
    fh_template *compiled;
    fh_toolfmt *format;
} session;

typedef struct reply {
    fh_buf content, reasoning, args;
    fh_json *calls, *call;
} reply;

static fh_json *text_of(const fh_buf *b)
{
    return fh_json_new_str((fh_str){fh_buf_cstr(b), b->len});
}

static int take(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    reply *r = ctx;
    switch (e->kind) {
    case FH_TOOLFMT_CONTENT: fh_buf_add(&r->content, e->text.ptr, e->text.len); break;
    case FH_TOOLFMT_REASONING: fh_buf_add(&r->reasoning, e->text.ptr, e->text.len); break;
    case FH_TOOLFMT_CALL_ARGS: fh_buf_add(&r->args, e->text.ptr, e->text.len); break;
    case FH_TOOLFMT_CALL_BEGIN:
        fh_buf_clear(&r->args);
        r->call = fh_json_new_object();
        fh_json_set(r->call, "name", fh_json_new_str(e->name));
        fh_json_set(r->call, "id", fh_json_new_str(e->id));
        fh_json_set(r->call, "index", fh_json_new_int(e->call));
        break;
    case FH_TOOLFMT_CALL_END:
        fh_json_set(r->call, "arguments", text_of(&r->args));
        fh_json_set(r->call, "complete", fh_json_new_bool(e->complete));
        fh_json_append(r->calls, r->call);
        r->call = NULL;
        break;
    }
    return 0;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static int push_cut(fh_toolfmt_parser *p, fh_str text, size_t cut, uint64_t seed, fh_err **err)
{
    uint64_t state = seed * 2654435761u + 1;
    int rc = 0;
    while (!rc && text.len) {
        size_t n = cut == 0 ? text.len : seed ? 1 + next_random(&state) % cut : cut;
        n = FH_MIN(text.len, n);
        rc = fh_toolfmt_push(p, (fh_str){text.ptr, n}, err);
        text.ptr += n;
        text.len -= n;
    }
    return rc ? rc : fh_toolfmt_finish(p, err);
}

static fh_json *read_cut(const session *s, const fh_json *q, size_t cut, uint64_t seed, fh_err **err)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = NULL;
    reply r = {.content = FH_BUF(TEXT_BYTES), .reasoning = FH_BUF(TEXT_BYTES), .args = FH_BUF(TEXT_BYTES), .calls = fh_json_new_array()};
    fh_toolfmt_options o = {.tools = fh_json_get(q, "tools"), .prompt = fh_json_str(fh_json_get(q, "prompt"))};
    int rc = fh_toolfmt_parser_new(&p, s->format, &o, take, &r, err);
    if (!rc) push_cut(p, fh_json_str(fh_json_get(q, "reply")), cut, seed, err);
    fh_json *a = fh_json_new_object();
    fh_json_set(a, "content", text_of(&r.content));
    fh_json_set(a, "reasoning", text_of(&r.reasoning));
    fh_json_set(a, "calls", r.calls);
    fh_json_unref(r.call);
    fh_buf_fini(&r.content);
    fh_buf_fini(&r.reasoning);
    fh_buf_fini(&r.args);
    return a;
}

static bool same(const fh_json *a, const fh_json *b)
{
    FH_AUTO(buf) fh_buf x = FH_BUF(TEXT_BYTES), y = FH_BUF(TEXT_BYTES);
    fh_json_write(a, &x, NULL);
    fh_json_write(b, &y, NULL);
    return x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
}

/* Whole; then cut in many ways, which must make no difference. */
static fh_json *read_reply(const session *s, const fh_json *q, fh_err **err)
{
    fh_json *whole = read_cut(s, q, 0, 0, err);
    for (uint64_t seed = 0; seed < RANDOM_CUTS; seed++) {
        FH_AUTO(json) fh_json *cut = read_cut(s, q, seed < 4 ? seed + 1 : 12, seed < 4 ? 0 : seed, err);
        if (same(whole, cut)) continue;
        fh_json_set(whole, "cut differently", fh_json_ref(cut));
        break;
    }
    return whole;
}

static fh_json *detect(session *s, const fh_json *q, fh_err **err)
{
    fh_template_free(fh_take(s->compiled));
    fh_toolfmt_free(fh_take(s->format));
    fh_toolfmt_source source = {.source = fh_json_str(fh_json_get(q, "template")), .bos = FH_STR("<s>"), .eos = FH_STR("</s>")};
    if (fh_template_compile(&s->compiled, source.source, err)) return NULL;
    source.compiled = s->compiled;
    if (fh_toolfmt_detect(&s->format, &source, err)) return NULL;
    fh_json *a = fh_json_new_object();
    fh_json_set(a, "family", fh_json_new_cstr(fh_toolfmt_family(s->format)));
    fh_json_set(a, "shows_tools", fh_json_new_bool(fh_toolfmt_shows_tools(s->format)));
    return a;
}

static fh_json *messages(const session *s, const fh_json *q, fh_err **err)
{
    fh_json *list = NULL, *a = fh_json_new_object();
    fh_toolfmt_messages(s->format, fh_json_get(q, "messages"), fh_json_get(q, "tools"), &list, err);
    fh_json_set(a, "messages", list);
    return a;
}

static int answer(session *s, fh_str line)
{
    FH_AUTO(json) fh_json *q = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    fh_err *err = NULL;
    if (fh_json_parse(&q, line, REQUEST_BYTES, &err)) {
        fprintf(stderr, "toolfmt: %s\n", fh_err_message(err));
        fh_err_free(err);
        return 1;
    }
    fh_json *a = fh_json_get(q, "template")   ? detect(s, q, &err)
                 : fh_json_get(q, "messages") ? messages(s, q, &err)
                                              : read_reply(s, q, &err);
    if (!a) a = fh_json_new_object();
    if (err) fh_json_set(a, "error", fh_json_new_cstr(fh_err_message(err)));
    fh_err_free(err);
    fh_json_write(a, &text, NULL);
    puts(fh_buf_cstr(&text));
    fflush(stdout);
    fh_json_unref(a);
    return 0;
}

int main(void)
{
    session s = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rc = 0;
    while (!rc && (n = getline(&line, &cap, stdin)) > 0) rc = answer(&s, (fh_str){line, (size_t)n});
    free(line);
    fh_template_free(s.compiled);
    fh_toolfmt_free(s.format);
    return rc;
}
