/* Chat requests become tokens: the template is rendered, then its special tokens are found in the text, and what lies between is encoded
 * plainly.
 *
 * A template joins its own text (which may hold special tokens) with the client's (which must not). To tell them apart afterwards, special
 * tokens spelled in the client's strings are disarmed before rendering: their first character is replaced by a stand-in, a character of a
 * private-use plane that occurs nowhere in the request. The scanner never begins a special token at a stand-in, and turns it back into the
 * character it stands for, so the client's text is encoded as the same bytes that it sent.
 *
 * Which spellings: control tokens everywhere; user-defined tags (<think>, <tool_call>) everywhere but in messages of the assistant, where
 * templates look for them to cut out old reasoning. Strings that end in the beginning of a control token are disarmed there too. A template
 * may still put pieces of strings together in ways that nobody foresees, so the control tokens found are compared with those of a second
 * rendering in which every character that could begin a special token is a stand-in: there none can come from the client. Where the two
 * differ, the second is used.
 *
 * An answer that goes on from the assistant's last message: one more stand-in marks the end of that message's text, and the rendering is
 * cut there, whatever the template writes behind it and whichever blanks it takes away. */
#include "prompt.h"
#include "model/gguf.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

enum { FIRSTS_MAX = 64, STAND_IN_BASE = 0xF0000, STAND_IN_BLOCKS = 256, STAND_IN_BYTES = 4, PARTIAL_MIN = 2 };
enum { END_MARK = FIRSTS_MAX - 1 }; /* the stand-in of a block that stands for no character */

typedef struct special {
    fh_str text;
    fh_token id;
    bool control;
    uint8_t first; /* index of its first character */
} special;

struct fh_specials {
    special *list; /* owned; sorted by first byte, then longest first */
    size_t count;
    size_t from[257];          /* those that begin with byte b: [from[b], from[b + 1]) */
    fh_str firsts[FIRSTS_MAX]; /* first characters, borrowed from the vocabulary */
    size_t first_count;
};

/* ---- the special tokens of a vocabulary ---- */

static bool tag_like(fh_str s)
{
    return s.len >= 3 && ((s.ptr[0] == '<' && s.ptr[s.len - 1] == '>') || (s.ptr[0] == '[' && s.ptr[s.len - 1] == ']'));
}

enum { TYPE_USER_DEFINED = 4 };

static bool is_special(const fh_vocab *v, const fh_gguf_value *types, size_t type_count, fh_token id)
{
    fh_str piece = fh_vocab_piece(v, id);
    if (fh_vocab_is_control(v, id)) return piece.len > 0;
    return types && (size_t)id < type_count && fh_gguf_array_i64(types, (size_t)id) == TYPE_USER_DEFINED && tag_like(piece);
}

static int note_first(fh_specials *s, special *p, fh_err **err)
{
    uint32_t cp;
    size_t len = fh_utf8_decode(p->text.ptr, p->text.len, &cp);
    fh_str first = {p->text.ptr, len ? len : 1};
    for (size_t i = 0; i < s->first_count; i++)
        if (fh_str_eq(s->firsts[i], first)) {
            p->first = (uint8_t)i;
            return 0;
        }
    if (s->first_count == END_MARK)
        return fh_err_set(err, FH_E_UNSUPPORTED, "the special tokens of the vocabulary begin with more than %d different characters",
                          END_MARK);
    p->first = (uint8_t)s->first_count;
    s->firsts[s->first_count++] = first;
    return 0;
}

static int compare_specials(const void *a, const void *b)
{
    const special *x = a, *y = b;
    int byte = (uint8_t)x->text.ptr[0] - (uint8_t)y->text.ptr[0];
    if (byte) return byte;
    if (x->text.len != y->text.len) return x->text.len > y->text.len ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void index_specials(fh_specials *s)
{
    qsort(s->list, s->count, sizeof *s->list, compare_specials);
    for (size_t i = 0; i < s->count; i++) s->from[(uint8_t)s->list[i].text.ptr[0] + 1]++;
    for (size_t b = 0; b < 256; b++) s->from[b + 1] += s->from[b];
}

static int collect(fh_specials *s, const fh_gguf *g, const fh_vocab *v, fh_err **err)
{
    const fh_gguf_value *types = NULL;
    size_t type_count = 0, vocab = fh_vocab_size(v);
    fh_gguf_get_array(g, "tokenizer.ggml.token_type", FH_GGUF_I32, &types, &type_count, NULL);
    for (size_t i = 0; i < vocab; i++) s->count += is_special(v, types, type_count, (fh_token)i);
    s->list = fh_calloc(s->count, sizeof *s->list);
    if (!s->list) return fh_err_nomem(err);
    size_t n = 0;
    for (size_t i = 0; i < vocab; i++) {
        if (!is_special(v, types, type_count, (fh_token)i)) continue;
        s->list[n] = (special){.text = fh_vocab_piece(v, (fh_token)i), .id = (fh_token)i, .control = fh_vocab_is_control(v, (fh_token)i)};
        int rc = note_first(s, &s->list[n++], err);
        if (rc) return rc;
    }
    return 0;
}

int fh_specials_new(fh_specials **ret, const fh_gguf *g, const fh_vocab *v, fh_err **err)
{
    FH_AUTO(fh_specials) fh_specials *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    int rc = collect(s, g, v, err);
    if (rc) return rc;
    index_specials(s);
    *ret = fh_take(s);
    return 0;
}

void fh_specials_free(fh_specials *s)
{
    if (!s) return;
    fh_free(s->list);
    fh_free(s);
}

/* The longest special token that text begins with at `at`, or NULL. */
static const special *match(const fh_specials *s, fh_str text, size_t at)
{
    uint8_t byte = (uint8_t)text.ptr[at];
    for (size_t i = s->from[byte]; i < s->from[byte + 1]; i++) {
        const special *p = &s->list[i];
        if (p->text.len <= text.len - at && memcmp(p->text.ptr, text.ptr + at, p->text.len) == 0) return p;
    }
    return NULL;
}

/* ---- disarming strings ---- */

typedef enum rule { MIND_CONTROL, MIND_ALL, MIND_FIRSTS } rule;

typedef struct disarm {
    const fh_specials *s;
    uint32_t base; /* stand-in of firsts[i]: base + i */
    rule rule;
    fh_buf text;
} disarm;

/* The special token that would begin at `at`, by the rule; NULL when the character may stay. */
static const special *danger(const disarm *d, fh_str text, size_t at)
{
    uint8_t byte = (uint8_t)text.ptr[at];
    size_t rest = text.len - at;
    for (size_t i = d->s->from[byte]; i < d->s->from[byte + 1]; i++) {
        const special *p = &d->s->list[i];
        if (d->rule == MIND_CONTROL && !p->control) continue;
        if (d->rule == MIND_FIRSTS && d->s->firsts[p->first].len <= rest &&
            memcmp(p->text.ptr, text.ptr + at, d->s->firsts[p->first].len) == 0)
            return p;
        bool whole = p->text.len <= rest, partial = p->control && !whole && rest >= PARTIAL_MIN;
        if ((whole || partial) && memcmp(p->text.ptr, text.ptr + at, FH_MIN(rest, p->text.len)) == 0) return p;
    }
    return NULL;
}

static fh_json *disarm_string(disarm *d, fh_str text)
{
    fh_buf_clear(&d->text);
    for (size_t i = 0; i < text.len;) {
        const special *p = danger(d, text, i);
        char stand_in[STAND_IN_BYTES];
        if (!p)
            fh_buf_addc(&d->text, text.ptr[i++]);
        else {
            fh_buf_add(&d->text, stand_in, fh_utf8_encode(d->base + p->first, stand_in));
            i += d->s->firsts[p->first].len;
        }
    }
    return fh_buf_ok(&d->text) ? fh_json_new_str((fh_str){fh_buf_cstr(&d->text), d->text.len}) : NULL;
}

static fh_json *disarm_value(disarm *d, const fh_json *v, unsigned depth);

static fh_json *disarm_array(disarm *d, const fh_json *v, unsigned depth)
{
    fh_json *a = fh_json_new_array();
    for (size_t i = 0; a && i < fh_json_count(v); i++)
        if (!fh_json_append(a, disarm_value(d, fh_json_at(v, i), depth))) {
            fh_json_unref(a);
            return NULL;
        }
    return a;
}

static bool disarm_member(disarm *d, fh_json *o, fh_str key, const fh_json *value, unsigned depth)
{
    FH_AUTO(json) fh_json *safe = disarm_string(d, key);
    return safe && fh_json_set(o, fh_json_str(safe).ptr, disarm_value(d, value, depth));
}

static fh_json *disarm_object(disarm *d, const fh_json *v, unsigned depth)
{
    fh_json *o = fh_json_new_object();
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    while (o && fh_json_next(v, &it, &key, &value)) {
        if (disarm_member(d, o, key, value, depth)) continue;
        fh_json_unref(o);
        return NULL;
    }
    return o;
}

static fh_json *disarm_value(disarm *d, const fh_json *v, unsigned depth)
{
    if (depth > FH_LIMIT_JSON_DEPTH) return NULL;
    switch (fh_json_kind_of(v)) {
    case FH_JSON_STRING: return disarm_string(d, fh_json_str(v));
    case FH_JSON_ARRAY: return disarm_array(d, v, depth + 1);
    case FH_JSON_OBJECT: return disarm_object(d, v, depth + 1);
    case FH_JSON_BOOL: return fh_json_new_bool(fh_json_is_true(v));
    case FH_JSON_INT: return fh_json_new_int(fh_json_int(v, 0));
    case FH_JSON_REAL: return fh_json_new_real(fh_json_num(v, 0));
    case FH_JSON_NULL: break;
    }
    return fh_json_new_null();
}

static fh_json *disarm_messages(disarm *d, const fh_json *messages)
{
    rule all = d->rule;
    fh_json *a = fh_json_new_array();
    for (size_t i = 0; a && i < fh_json_count(messages); i++) {
        const fh_json *m = fh_json_at(messages, i);
        bool assistant = fh_str_eqs(fh_json_str(fh_json_get(m, "role")), "assistant");
        d->rule = assistant && all == MIND_ALL ? MIND_CONTROL : all;
        if (!fh_json_append(a, disarm_value(d, m, 0))) {
            fh_json_unref(a);
            a = NULL;
        }
    }
    d->rule = all;
    return a;
}

/* ---- choosing stand-ins: a block of code points that the request does not use ---- */

static void mark_string(bool used[STAND_IN_BLOCKS], fh_str s)
{
    uint32_t cp;
    for (size_t i = 0, len; i < s.len; i += len ? len : 1) {
        len = fh_utf8_decode(s.ptr + i, s.len - i, &cp);
        if (len == STAND_IN_BYTES && cp >= STAND_IN_BASE && cp < STAND_IN_BASE + STAND_IN_BLOCKS * FIRSTS_MAX)
            used[(cp - STAND_IN_BASE) / FIRSTS_MAX] = true;
    }
}

static void mark_value(bool used[STAND_IN_BLOCKS], const fh_json *v, unsigned depth)
{
    if (depth > FH_LIMIT_JSON_DEPTH) return;
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    mark_string(used, fh_json_str(v));
    if (fh_json_kind_of(v) == FH_JSON_OBJECT)
        while (fh_json_next(v, &it, &key, &value)) {
            mark_string(used, key);
            mark_value(used, value, depth + 1);
        }
    for (size_t i = 0; fh_json_kind_of(v) == FH_JSON_ARRAY && i < fh_json_count(v); i++) mark_value(used, fh_json_at(v, i), depth + 1);
}

static int choose_base(const fh_wire_request *r, uint32_t *ret, fh_err **err)
{
    bool used[STAND_IN_BLOCKS] = {false};
    mark_value(used, r->messages, 0);
    mark_value(used, r->tools, 0);
    mark_value(used, r->template_variables, 0);
    for (uint32_t i = 0; i < STAND_IN_BLOCKS; i++) {
        if (used[i]) continue;
        *ret = STAND_IN_BASE + i * FIRSTS_MAX;
        return 0;
    }
    fh_err_set(err, FH_E_INVALID, "the messages use too many characters of the private-use plane U+F0000");
    fh_err_param(err, "messages");
    return FH_E_INVALID;
}

/* ---- rendering ---- */

static fh_json *token_text(const fh_vocab *v, fh_token id)
{
    return id == FH_TOKEN_NONE ? fh_json_new_cstr("") : fh_json_new_str(fh_vocab_piece(v, id));
}

static bool set_extras(fh_json *o, disarm *d, const fh_wire_request *r, bool tools)
{
    void *it = NULL;
    fh_str key;
    const fh_json *value;
    while (r->template_variables && fh_json_next(r->template_variables, &it, &key, &value))
        if (!disarm_member(d, o, key, value, 0)) return false;
    return !r->tools || !tools || fh_json_set(o, "tools", disarm_value(d, r->tools, 0));
}

static fh_json *variables(const fh_prompt_source *p, const fh_wire_request *r, const fh_json *messages, disarm *d)
{
    FH_AUTO(json) fh_json *o = fh_json_new_object();
    bool ok = o && fh_json_set(o, "add_generation_prompt", fh_json_new_bool(!r->continue_final && !r->no_generation_prompt)) &&
              fh_json_set(o, "bos_token", token_text(p->vocab, fh_vocab_bos(p->vocab))) &&
              fh_json_set(o, "eos_token", token_text(p->vocab, fh_vocab_eos(p->vocab))) &&
              set_extras(o, d, r, fh_toolfmt_shows_tools(p->toolfmt)) && fh_json_set(o, "messages", disarm_messages(d, messages));
    return ok ? fh_take(o) : NULL;
}

static int render(const fh_prompt_source *p, const fh_wire_request *r, const fh_json *messages, uint32_t base, rule how, fh_buf *out,
                  fh_err **err)
{
    disarm d = {.s = p->specials, .base = base, .rule = how};
    fh_buf_init(&d.text, FH_LIMIT_JSON_BODY_BYTES * 4u);
    FH_AUTO(json) fh_json *vars = variables(p, r, messages, &d);
    fh_buf_fini(&d.text);
    if (!vars) return fh_err_nomem(err);
    int rc = fh_template_render(p->chat_template, vars, &p->now, out, err);
    return rc ? fh_err_add(err, "chat template") : fh_buf_check(out, err, "the rendered chat");
}

/* The last message with the mark at the end of its text. Its content is a string: it was made uniform. */
static fh_json *marked_message(const fh_json *message, uint32_t mark)
{
    FH_AUTO(json) fh_json *copy = fh_json_new_object();
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_JSON_BODY_BYTES * 4u);
    void *it = NULL;
    fh_str key, content = fh_json_str(fh_json_get(message, "content"));
    const fh_json *value;
    char end[STAND_IN_BYTES];
    bool ok = copy && fh_buf_add(&text, content.ptr, content.len) && fh_buf_add(&text, end, fh_utf8_encode(mark, end));
    while (ok && fh_json_next(message, &it, &key, &value)) ok = fh_json_set(copy, key.ptr, fh_json_ref((fh_json *)(uintptr_t)value));
    return ok && fh_json_set(copy, "content", fh_json_new_str((fh_str){text.data, text.len})) ? fh_take(copy) : NULL;
}

static int mark_end(fh_json **messages, uint32_t mark, fh_err **err)
{
    FH_AUTO(json) fh_json *list = fh_json_new_array();
    size_t count = fh_json_count(*messages);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        const fh_json *m = fh_json_at(*messages, i);
        ok = fh_json_append(list, i + 1 < count ? fh_json_ref((fh_json *)(uintptr_t)m) : marked_message(m, mark));
    }
    if (!ok) return fh_err_nomem(err);
    fh_json_unref(*messages);
    *messages = fh_take(list);
    return 0;
}

static int cut_at_end(fh_buf *text, uint32_t mark, fh_err **err)
{
    char end[STAND_IN_BYTES];
    size_t at = fh_str_find((fh_str){fh_buf_cstr(text), text->len}, (fh_str){end, fh_utf8_encode(mark, end)});
    if (at == text->len) {
        fh_err_set(err, FH_E_INVALID, "this model's chat template does not show the end of the assistant's last message");
        fh_err_param(err, "continue_final_message");
        return FH_E_INVALID;
    }
    text->data[text->len = at] = '\0';
    return 0;
}

/* ---- scanning the rendered text ---- */

typedef struct scan {
    const fh_prompt_source *p;
    uint32_t base;
    fh_str text;
    size_t at;
    fh_buf *plain; /* text since the last special token; NULL: not wanted */
} scan;

/* Moves behind the next special token and returns it; NULL at the end. */
static const special *next_special(scan *s)
{
    const fh_specials *all = s->p->specials;
    while (s->at < s->text.len) {
        uint32_t cp;
        size_t len = fh_utf8_decode(s->text.ptr + s->at, s->text.len - s->at, &cp);
        bool stand_in = len == STAND_IN_BYTES && cp >= s->base && cp - s->base < all->first_count;
        const special *p = stand_in ? NULL : match(all, s->text, s->at);
        if (p) {
            s->at += p->text.len;
            return p;
        }
        fh_str piece = stand_in ? all->firsts[cp - s->base] : (fh_str){s->text.ptr + s->at, len ? len : 1};
        if (s->plain) fh_buf_add(s->plain, piece.ptr, piece.len);
        s->at += stand_in ? len : piece.len;
    }
    return NULL;
}

static const special *next_control(scan *s)
{
    const special *p;
    do p = next_special(s);
    while (p && !p->control);
    return p;
}

static bool same_control_tokens(scan a, scan b)
{
    for (;;) {
        const special *x = next_control(&a), *y = next_control(&b);
        if (x != y) return false;
        if (!x) return true;
    }
}

static int encode_scan(scan s, fh_tokens *out, fh_err **err)
{
    FH_AUTO(buf) fh_buf plain = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    s.plain = &plain;
    const special *p;
    do {
        p = next_special(&s);
        int rc = fh_buf_check(&plain, err, "the rendered chat");
        if (!rc && plain.len) rc = fh_vocab_encode(s.p->vocab, (fh_str){fh_buf_cstr(&plain), plain.len}, 0, out, err);
        if (!rc && p && !fh_tokens_push(out, p->id)) rc = fh_err_nomem(err);
        if (rc) return rc;
        fh_buf_clear(&plain);
    } while (p);
    return 0;
}

static scan scan_of(const fh_prompt_source *p, uint32_t base, const fh_buf *text)
{
    return (scan){.p = p, .base = base, .text = {fh_buf_cstr(text), text->len}};
}

static int template_messages(const fh_prompt_source *p, const fh_wire_request *r, fh_json **ret, fh_err **err)
{
    FH_AUTO(json) fh_json *uniform = NULL;
    int rc = fh_wire_template_messages(r, &uniform, err);
    return rc ? rc : fh_toolfmt_messages(p->toolfmt, uniform, r->tools, ret, err);
}

enum { TAIL_BYTES = 256 };

static void keep_tail(const fh_prompt_source *p, const fh_buf *text)
{
    size_t n = FH_MIN(text->len, (size_t)TAIL_BYTES);
    if (p->tail) fh_buf_add(p->tail, fh_buf_cstr(text) + text->len - n, n);
}

int fh_prompt_chat(const fh_prompt_source *p, const fh_wire_request *r, fh_tokens *out, fh_err **err)
{
    FH_AUTO(json) fh_json *messages = NULL;
    FH_AUTO(buf) fh_buf likely = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    FH_AUTO(buf) fh_buf safe = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES);
    uint32_t base;
    int rc = template_messages(p, r, &messages, err);
    if (!rc) rc = choose_base(r, &base, err);
    if (!rc && r->continue_final) rc = mark_end(&messages, base + END_MARK, err);
    if (!rc) rc = render(p, r, messages, base, MIND_ALL, &likely, err);
    if (!rc) rc = render(p, r, messages, base, MIND_FIRSTS, &safe, err);
    if (!rc && r->continue_final) rc = cut_at_end(&likely, base + END_MARK, err);
    if (!rc && r->continue_final) rc = cut_at_end(&safe, base + END_MARK, err);
    if (rc) return rc;
    keep_tail(p, &likely);
    scan a = scan_of(p, base, &likely), b = scan_of(p, base, &safe);
    return encode_scan(same_control_tokens(a, b) ? a : b, out, err);
}
