/* Which family a template belongs to. It is asked: a short conversation with a tool and a call of it is rendered, and a family whose
 * markers are in what it wrote, or in its source, is tried on that text: the first that reads the call back is the model's. Where the
 * template writes no calls, the first whose markers are there. */
#include "toolfmt.h"

#define TOOL "probe_tool"
#define TOOLS                                                                                                                              \
    "[{\"type\":\"function\",\"function\":{\"name\":\"" TOOL "\",\"description\":\"probe\",\"parameters\":{\"type\":\"object\","           \
    "\"properties\":{\"probe_key\":{\"type\":\"string\",\"description\":\"probe\"}},\"required\":[\"probe_key\"]}}}]"
#define USER   "{\"role\":\"user\",\"content\":\"probe\"}"
#define SYSTEM "{\"role\":\"system\",\"content\":\"probe_system\"},"
#define CALL                                                                                                                               \
    ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"probe0000\",\"type\":\"function\",\"function\":"                  \
    "{\"name\":\"" TOOL "\",\"arguments\":{\"probe_key\":\"probe_value\"}}}]}"
#define AS_TEXT "{\"probe_key\": \"probe_value\"}"

enum { PROBE_BYTES = 8 << 20, WORDS_BYTES = 24 << 20, SUFFIX_BYTES = 32 };

typedef struct probe {
    const fh_toolfmt_source *s;
    fh_buf prompt, turn, text; /* rendered: tools and question, ready for the answer; and with the call as object, as text */
    fh_buf words;              /* all that was rendered, and the source: where markers are looked for */
    bool shows_tools, shows_system;
} probe;

/* ---- asking the template ---- */

static bool set_token(fh_json *o, const char *key, fh_str token)
{
    return fh_json_set(o, key, fh_json_new_str(token.ptr ? token : (fh_str){"", 0}));
}

/* The call's arguments as text. */
static bool set_text(fh_json *o)
{
    const fh_json *call = fh_json_at(fh_json_get(fh_json_at(fh_json_get(o, "messages"), 1), "tool_calls"), 0);
    fh_json *function = (fh_json *)(uintptr_t)fh_json_get(call, "function"); /* ours: nobody else has seen it yet */
    return fh_json_set(function, "arguments", fh_json_new_cstr(AS_TEXT));
}

/* What the template does not take stays empty. */
static int render(probe *p, const char *messages, bool prompt, bool text, fh_buf *out, fh_err **err)
{
    static const fh_template_time now = {2026, 1, 2, 3, 4, 5, 4, 2};
    FH_AUTO(json) fh_json *o = NULL;
    FH_AUTO(buf) fh_buf json = FH_BUF(65536);
    fh_err *why = NULL;
    fh_buf_addf(&json, "{\"add_generation_prompt\":%s,\"tools\":" TOOLS ",\"messages\":[%s]}", prompt ? "true" : "false", messages);
    if (!p->s->compiled) return 0;
    if (fh_json_parse(&o, (fh_str){fh_buf_cstr(&json), json.len}, json.max, NULL) || !set_token(o, "bos_token", p->s->bos) ||
        !set_token(o, "eos_token", p->s->eos) || (text && !set_text(o)))
        return fh_err_nomem(err);
    int rc = fh_template_render(p->s->compiled, o, &now, out, &why);
    fh_err_free(why);
    if (rc == FH_E_NOMEM) return fh_err_nomem(err);
    if (rc) fh_buf_clear(out);
    fh_buf_add(&p->words, fh_buf_cstr(out), out->len);
    return 0;
}

static bool holds(const fh_buf *b, const char *word)
{
    return fh_str_find((fh_str){fh_buf_cstr(b), b->len}, fh_str_of(word)) < b->len;
}

static int ask(probe *p, fh_err **err)
{
    FH_AUTO(buf) fh_buf system = FH_BUF(PROBE_BYTES);
    int rc = render(p, USER, true, false, &p->prompt, err);
    if (!rc) rc = render(p, USER CALL, false, false, &p->turn, err);
    if (!rc) rc = render(p, USER CALL, false, true, &p->text, err);
    if (!rc) rc = render(p, SYSTEM USER, true, false, &system, err);
    if (rc) return rc;
    fh_buf_add(&p->words, p->s->source.ptr ? p->s->source.ptr : "", p->s->source.len);
    p->shows_tools = holds(&p->prompt, TOOL);
    p->shows_system = holds(&system, "probe_system");
    return fh_buf_check(&p->words, err, "the probed chat template");
}

/* ---- reading the answer ---- */

typedef struct seen {
    bool name, key, value;
    fh_buf args;
} seen;

static int see(void *ctx, const fh_toolfmt_event *e, fh_err **err)
{
    (void)err;
    seen *s = ctx;
    if (e->kind == FH_TOOLFMT_CALL_BEGIN) s->name = fh_str_eqs(e->name, TOOL);
    if (e->kind == FH_TOOLFMT_CALL_ARGS) fh_buf_add(&s->args, e->text.ptr, e->text.len);
    return 0;
}

/* Where the answer begins: behind what the prompt and the turn have in common, but not inside a tag. */
static size_t answer_from(fh_str prompt, fh_str turn)
{
    size_t n = 0, tag;
    while (n < prompt.len && n < turn.len && prompt.ptr[n] == turn.ptr[n]) n++;
    if (n == prompt.len) return n;
    for (tag = n; tag > 0 && turn.ptr[tag - 1] != '>' && turn.ptr[tag - 1] != '\n' && turn.ptr[tag - 1] != '<';) tag--;
    return tag > 0 && turn.ptr[tag - 1] == '<' ? tag - 1 : n;
}

static int reads(const fh_toolfmt *f, const probe *p, const fh_buf *turn, bool *ret, fh_err **err)
{
    FH_AUTO(json) fh_json *tools = NULL;
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *parser = NULL;
    seen s = {.args = FH_BUF(PROBE_BYTES)};
    fh_str text = {fh_buf_cstr(turn), turn->len}, prompt = {fh_buf_cstr(&p->prompt), p->prompt.len};
    size_t from = answer_from(prompt, text);
    fh_toolfmt_options o = {.prompt = {text.ptr, from}};
    int rc = fh_json_parse(&tools, FH_STR(TOOLS), sizeof TOOLS, err);
    o.tools = tools;
    if (!rc) rc = fh_toolfmt_parser_new(&parser, f, &o, see, &s, err);
    if (!rc) rc = fh_toolfmt_push(parser, (fh_str){text.ptr + from, text.len - from}, err);
    if (!rc) rc = fh_toolfmt_finish(parser, err);
    *ret = s.name && holds(&s.args, "\"probe_key\"") && holds(&s.args, "\"probe_value\"");
    fh_buf_fini(&s.args);
    return rc;
}

/* ---- families ---- */

static bool suffix_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(":_.-", c));
}

/* Is the sign there? One with a hole says what fills it. */
static bool find_sign(fh_str words, const char *sign, fh_str *ret_suffix)
{
    const char *hole = strchr(sign, '%');
    if (!hole) return fh_str_find(words, fh_str_of(sign)) < words.len;
    fh_str head = {sign, (size_t)(hole - sign)}, tail = fh_str_of(hole + 1);
    for (size_t at; (at = fh_str_find(words, head)) < words.len;) {
        words.ptr += at + head.len;
        words.len -= at + head.len;
        size_t n = 0;
        while (n < words.len && n < SUFFIX_BYTES && suffix_char(words.ptr[n])) n++;
        if (!fh_str_starts((fh_str){words.ptr + n, words.len - n}, tail)) continue;
        *ret_suffix = (fh_str){words.ptr, n};
        return true;
    }
    return false;
}

static bool has_signs(const tf_family *f, fh_str words, fh_str *ret_suffix)
{
    for (size_t i = 0; i < FH_COUNT(f->signs) && f->signs[i]; i++)
        if (!find_sign(words, f->signs[i], ret_suffix)) return false;
    for (size_t i = 0; i < FH_COUNT(f->unlike) && f->unlike[i]; i++)
        if (fh_str_find(words, fh_str_of(f->unlike[i])) < words.len) return false;
    return true;
}

static int verify(fh_toolfmt *f, const probe *p, fh_err **err)
{
    int rc = reads(f, p, &p->turn, &f->shows_calls, err);
    if (rc || f->shows_calls) return rc;
    rc = reads(f, p, &p->text, &f->shows_calls, err);
    f->text_arguments = f->shows_calls;
    return rc;
}

/* The first that reads the template's own call, else the first whose signs are there. */
static int choose(fh_toolfmt **ret, const probe *p, fh_err **err)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *first = NULL;
    fh_str words = {fh_buf_cstr(&p->words), p->words.len};
    for (size_t i = 0; i < tf_family_count(); i++) {
        fh_str suffix = {"", 0};
        FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
        if (!has_signs(tf_family_at(i), words, &suffix)) continue;
        int rc = tf_instance(&f, tf_family_at(i), suffix, err);
        if (!rc) rc = verify(f, p, err);
        if (rc) return rc;
        if (f->shows_calls || !first) {
            fh_toolfmt_free(first);
            first = fh_take(f);
        }
        if (first->shows_calls) break;
    }
    *ret = fh_take(first);
    return 0;
}

/* ---- thoughts ---- */

static bool known_word(const probe *p, const char *word)
{
    return holds(&p->words, word) || (p->s->vocab && fh_vocab_find(p->s->vocab, fh_str_of(word)) != FH_TOKEN_NONE);
}

/* The family's markers if the model has them, else other usual ones that it has. */
static void choose_thought(fh_toolfmt *f, const probe *p)
{
    static const char *const pairs[][2] = {{"<think>", "</think>"},       {"[THINK]", "[/THINK]"},     {"<seed:think>", "</seed:think>"},
                                           {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"}, {"<reasoning>", "</reasoning>"}};
    if (f->f.flags & (TF_HARMONY | TF_RECIPIENT)) return;
    if (f->f.think_close && known_word(p, f->f.think_close)) return;
    f->f.think_open = f->f.think_close = NULL;
    for (size_t i = 0; i < FH_COUNT(pairs); i++) {
        if (!known_word(p, pairs[i][1])) continue;
        f->f.think_open = pairs[i][0];
        f->f.think_close = pairs[i][1];
        return;
    }
}

static void probe_fini(probe *p)
{
    fh_buf_fini(&p->prompt);
    fh_buf_fini(&p->turn);
    fh_buf_fini(&p->text);
    fh_buf_fini(&p->words);
}

int fh_toolfmt_detect(fh_toolfmt **ret, const fh_toolfmt_source *s, fh_err **err)
{
    FH_AUTO(fh_toolfmt) fh_toolfmt *f = NULL;
    probe p = {
        .s = s, .prompt = FH_BUF(PROBE_BYTES), .turn = FH_BUF(PROBE_BYTES), .text = FH_BUF(PROBE_BYTES), .words = FH_BUF(WORDS_BYTES * 2)};
    int rc = ask(&p, err);
    if (!rc) rc = choose(&f, &p, err);
    if (!rc) {
        choose_thought(f, &p);
        f->shows_tools = p.shows_tools;
        f->shows_system = p.shows_system;
        *ret = fh_take(f);
    }
    probe_fini(&p);
    return rc;
}
