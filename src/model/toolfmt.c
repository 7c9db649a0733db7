/* The parser of replies: what has come and is not accounted for lies in p->hold; a step looks at it and eats some, or says that it needs
 * more. Here are the text between calls, the sections around them, and what readers of calls (toolfmt_*.c) share.
 *
 * Before a call is certain (its name is known) nothing of it is eaten: if it turns out to be none, its marker becomes answer and the text
 * behind the marker is read again. Afterwards each step eats what it has read. */
#include "toolfmt.h"

enum { HOLD_MAX = 64 << 20 };

/* ---- markers and white space ---- */

tf_match tf_starts(const fh_toolfmt_parser *p, fh_str s, const char *marker)
{
    if (!marker) return TF_NO;
    size_t len = strlen(marker), n = FH_MIN(len, s.len);
    if (n && memcmp(s.ptr, marker, n) != 0) return TF_NO;
    if (n == len) return TF_YES;
    return p->final ? TF_NO : TF_PARTLY;
}

size_t tf_find(const fh_toolfmt_parser *p, fh_str s, const char *marker, bool *ret_found)
{
    *ret_found = false;
    for (size_t i = 0; marker && i < s.len; i++) {
        const char *next = memchr(s.ptr + i, marker[0], s.len - i);
        if (!next) return s.len;
        i = (size_t)(next - s.ptr);
        tf_match m = tf_starts(p, (fh_str){next, s.len - i}, marker);
        *ret_found = m == TF_YES;
        if (m != TF_NO) return i;
    }
    return s.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Until a call has begun, its reader sees no more than may be held back. */
fh_str tf_rest(const fh_toolfmt_parser *p)
{
    size_t end = p->end - p->from;
    if (!p->open) end = FH_MIN(end, (size_t)FH_LIMIT_TOOL_HOLD_BYTES);
    return (fh_str){p->hold.data + p->from + p->at, end - p->at};
}

void tf_skip_space(fh_toolfmt_parser *p)
{
    for (fh_str s = tf_rest(p); s.len && is_space(*s.ptr); s = tf_rest(p)) p->at++;
}

void tf_eat(fh_toolfmt_parser *p)
{
    p->from += p->at;
    p->at = 0;
}

/* ---- events ---- */

int tf_emit(fh_toolfmt_parser *p, fh_toolfmt_kind kind, fh_str text)
{
    fh_toolfmt_event e = {.kind = kind, .call = p->calls ? p->calls - 1 : 0, .text = text};
    return text.len ? p->sink(p->ctx, &e, p->err) : 0;
}

static int emit_text(fh_toolfmt_parser *p, fh_str text)
{
    return tf_emit(p, p->thinking ? FH_TOOLFMT_REASONING : FH_TOOLFMT_CONTENT, text);
}

static int emit_space(fh_toolfmt_parser *p)
{
    int rc = fh_buf_check(&p->space, p->err, "white space");
    if (!rc) rc = emit_text(p, (fh_str){fh_buf_cstr(&p->space), p->space.len});
    fh_buf_clear(&p->space);
    return rc;
}

static int hold_space(fh_toolfmt_parser *p, fh_str run)
{
    if (!run.len) return 0;
    fh_buf_add(&p->space, run.ptr, run.len);
    if (p->space.len > TF_SPACE_BYTES) p->long_space = true;
    return p->long_space ? emit_space(p) : 0;
}

/* Text of the answer or the thought: white space at its end waits for what follows. */
static int put_text(fh_toolfmt_parser *p, fh_str s)
{
    while (p->skip_newlines && s.len && (*s.ptr == '\n' || *s.ptr == '\r')) s.ptr++, s.len--;
    size_t end = s.len;
    while (end && is_space(s.ptr[end - 1])) end--;
    if (end) {
        bool spaced = p->space.len > 0; /* what waited and what follows are one event */
        if (spaced) fh_buf_add(&p->space, s.ptr, end);
        int rc = spaced ? emit_space(p) : emit_text(p, (fh_str){s.ptr, end});
        if (rc) return rc;
        p->long_space = p->skip_newlines = false;
        p->started = true;
    } else if (s.len)
        p->skip_newlines = false;
    return hold_space(p, (fh_str){s.ptr + end, s.len - end});
}

static void drop_space(fh_toolfmt_parser *p)
{
    fh_buf_clear(&p->space);
    p->long_space = false;
}

/* ---- calls ---- */

bool tf_known(const fh_toolfmt_parser *p, fh_str name)
{
    for (size_t i = 0; i < fh_json_count(p->tools); i++)
        if (fh_str_eq(name, fh_json_str(fh_json_get(fh_json_get(fh_json_at(p->tools, i), "function"), "name")))) return true;
    return false;
}

const fh_json *tf_schema(const fh_toolfmt_parser *p, fh_str argument)
{
    FH_AUTO(buf) fh_buf key = FH_BUF(FH_LIMIT_TOOL_NAME_BYTES + 1);
    fh_str name = {fh_buf_cstr(&p->name), p->name.len};
    if (!fh_buf_add(&key, argument.ptr, argument.len)) return NULL;
    for (size_t i = 0; i < fh_json_count(p->tools); i++) {
        const fh_json *function = fh_json_get(fh_json_at(p->tools, i), "function");
        if (fh_str_eq(name, fh_json_str(fh_json_get(function, "name"))))
            return fh_json_get(fh_json_get(fh_json_get(function, "parameters"), "properties"), fh_buf_cstr(&key));
    }
    return NULL;
}

static bool plausible_name(fh_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr("_-.:/", c)) return false;
    }
    return s.len > 0 && s.len <= FH_LIMIT_TOOL_NAME_BYTES;
}

bool tf_is_name(const fh_toolfmt_parser *p, fh_str name)
{
    const tf_family *f = &p->f->f;
    bool weak = (f->flags & TF_KNOWN_ONLY) || p->bare || (f->section_open && !p->in_section);
    return tf_known(p, name) || (!weak && plausible_name(name));
}

int tf_begin(fh_toolfmt_parser *p)
{
    fh_str name = {fh_buf_cstr(&p->name), p->name.len};
    if (!fh_buf_ok(&p->name) && p->name.cap < p->name.max) return fh_err_nomem(p->err);
    if (!fh_buf_ok(&p->name) || p->calls >= p->max_calls || !tf_is_name(p, name)) return tf_no_call(p);
    p->calls++;
    p->committed = p->open = p->started = true;
    drop_space(p);
    p->thinking = false;
    fh_toolfmt_event e = {.kind = FH_TOOLFMT_CALL_BEGIN, .call = p->calls - 1, .name = name, .id = {fh_buf_cstr(&p->id), p->id.len}};
    int rc = p->sink(p->ctx, &e, p->err);
    return rc ? rc : TF_GO;
}

int tf_args(fh_toolfmt_parser *p, fh_str text)
{
    return tf_emit(p, FH_TOOLFMT_CALL_ARGS, text);
}

int tf_end(fh_toolfmt_parser *p, bool complete)
{
    fh_toolfmt_event e = {.kind = FH_TOOLFMT_CALL_END, .call = p->calls - 1, .complete = complete};
    p->open = false;
    int rc = p->sink(p->ctx, &e, p->err);
    return rc ? rc : TF_GO;
}

void tf_next_name(fh_toolfmt_parser *p)
{
    p->have_name = p->have_args = false;
    fh_buf_clear(&p->name);
    fh_buf_clear(&p->id);
}

static void reset_call(fh_toolfmt_parser *p)
{
    p->phase = p->level = 0;
    p->json_call = p->bare = false;
    tf_next_name(p);
}

static void to_text(fh_toolfmt_parser *p)
{
    p->mode = TF_IN_TEXT;
    p->committed = p->in_section = false;
    reset_call(p);
}

int tf_no_call(fh_toolfmt_parser *p)
{
    if (!p->committed && p->at < p->open_len) p->at = p->open_len;
    int rc = p->at ? emit_space(p) : 0;
    if (!rc) rc = emit_text(p, (fh_str){p->hold.data + p->from, p->at});
    p->started |= p->at > 0;
    p->skip_newlines &= p->at == 0;
    tf_eat(p);
    to_text(p);
    return rc ? rc : TF_GO;
}

int tf_cut(fh_toolfmt_parser *p)
{
    int rc = tf_end(p, false);
    p->at = 0;
    to_text(p);
    return rc;
}

int tf_leave(fh_toolfmt_parser *p)
{
    tf_eat(p);
    reset_call(p);
    if (p->in_section)
        p->mode = TF_IN_SECTION;
    else
        to_text(p);
    return TF_GO;
}

int tf_grown(fh_toolfmt_parser *p)
{
    if (p->open) return p->final ? tf_cut(p) : TF_NEED;
    return p->final || p->end - p->from >= FH_LIMIT_TOOL_HOLD_BYTES ? tf_no_call(p) : TF_NEED;
}

/* ---- between messages, answer and thought ---- */

static bool counts(const fh_toolfmt_parser *p, const tf_marker *m, bool started)
{
    unsigned flags = p->f->f.flags;
    switch (m->action) {
    case TF_THINK: return !p->thinking && (!started || (flags & TF_THINK_ANYWHERE));
    case TF_ANSWER: return p->thinking || !started || (flags & TF_THINK_ANYWHERE);
    case TF_SECTION:
    case TF_CALL: return p->tools && (!p->thinking || (flags & TF_ENDS_THOUGHT));
    case TF_CLOSE: return p->calls > 0;
    case TF_DROP:
    case TF_HEADER: break;
    }
    return true;
}

/* The first place where a marker is, or may turn out to be (then *ret is NULL). */
static size_t find_marker(const fh_toolfmt_parser *p, fh_str s, const tf_marker **ret)
{
    *ret = NULL; /* s begins with no white space: behind its first byte the reply has started */
    for (size_t i = 0; i < s.len; i++) {
        bool partly = false;
        for (size_t k = 0; k < p->marker_count; k++) {
            const tf_marker *m = &p->markers[k];
            if (m->text.ptr[0] != s.ptr[i] || !counts(p, m, p->started || i > 0)) continue;
            tf_match match = tf_starts(p, (fh_str){s.ptr + i, s.len - i}, m->text.ptr);
            partly |= match == TF_PARTLY;
            if (match == TF_YES && (!*ret || m->text.len > (*ret)->text.len)) *ret = m;
        }
        if (partly) *ret = NULL;
        if (partly || *ret) return i;
    }
    return s.len;
}

static int act(fh_toolfmt_parser *p, const tf_marker *m)
{
    bool call = m->action == TF_SECTION || m->action == TF_CALL;
    p->open_len = m->text.len;
    p->at = m->text.len;
    if (call) {
        p->mode = m->action == TF_SECTION ? TF_IN_SECTION : TF_IN_CALL;
        p->in_section = m->action == TF_SECTION;
        return TF_GO;
    }
    tf_eat(p);
    if (m->action == TF_CLOSE) drop_space(p);
    if (m->action == TF_CLOSE) return TF_GO;
    if (m->action == TF_DROP && !(p->f->f.flags & (TF_HARMONY | TF_RECIPIENT))) return TF_GO;
    drop_space(p);
    if (p->thinking) p->started = false; /* the answer has not */
    p->thinking = m->action == TF_THINK;
    p->skip_newlines = m->action != TF_HEADER;
    if (m->action == TF_HEADER) p->mode = TF_IN_HEADER;
    return TF_GO;
}

static fh_str text_rest(const fh_toolfmt_parser *p)
{
    return (fh_str){p->hold.data + p->from, p->end - p->from};
}

/* A reply that begins with a JSON object may be a call without any marker. */
static bool begins_bare(fh_toolfmt_parser *p)
{
    fh_str s = text_rest(p);
    if (p->started || p->thinking || !p->tools || !(p->f->f.flags & TF_BARE) || !s.len) return false;
    bool list = p->f->f.style == TF_PYTHON && *s.ptr == '[';
    if (*s.ptr != '{' && !list) return false;
    p->open_len = 1;
    p->bare = true;
    p->json_call = !list;
    p->mode = TF_IN_CALL;
    return true;
}

static int in_text(fh_toolfmt_parser *p)
{
    fh_str s = text_rest(p);
    size_t blank = 0;
    while (blank < s.len && is_space(s.ptr[blank])) blank++;
    const tf_marker *m = NULL;
    int rc = put_text(p, (fh_str){s.ptr, blank});
    p->at = blank;
    tf_eat(p);
    if (rc) return rc;
    if (begins_bare(p)) return TF_GO;
    s = text_rest(p);
    p->at = find_marker(p, s, &m);
    rc = put_text(p, (fh_str){s.ptr, p->at});
    tf_eat(p);
    if (rc) return rc;
    return m ? act(p, m) : TF_NEED;
}

/* ---- between calls ---- */

static int in_section(fh_toolfmt_parser *p)
{
    const tf_family *f = &p->f->f;
    tf_skip_space(p);
    fh_str s = tf_rest(p);
    if (p->committed) tf_eat(p);
    if (!s.len) return tf_grown(p);
    tf_match call = tf_starts(p, s, f->call_open), close = tf_starts(p, s, f->section_close);
    if (call == TF_YES) {
        p->at += strlen(f->call_open);
        p->mode = TF_IN_CALL;
        return TF_GO;
    }
    if (close == TF_YES && p->committed) {
        p->at += strlen(f->section_close);
        tf_eat(p);
        to_text(p);
        return TF_GO;
    }
    return call == TF_PARTLY || close == TF_PARTLY ? tf_grown(p) : tf_no_call(p);
}

/* ---- steps ---- */

static int in_call(fh_toolfmt_parser *p)
{
    const tf_family *f = &p->f->f;
    if (!p->json_call && p->phase == 0 && (f->flags & (TF_OR_JSON | TF_OR_PYTHON))) {
        tf_skip_space(p);
        fh_str s = tf_rest(p);
        if (s.len < 2 && !p->final) return tf_grown(p);
        bool list = s.len > 1 && *s.ptr == '[' && (is_space(s.ptr[1]) || s.ptr[1] == '{');
        p->json_call = list || (s.len && *s.ptr == '{') || (f->style == TF_JSON && !(f->flags & TF_OR_PYTHON));
        p->phase = 1;
    }
    if (p->json_call) return tf_json(p);
    switch (f->style) {
    case TF_JSON: return f->flags & TF_OR_PYTHON ? tf_whole(p) : tf_json(p);
    case TF_KEYED: return tf_json(p);
    case TF_NAMED: return tf_named(p);
    case TF_TAGS: return tf_tags(p);
    case TF_NESTED:
    case TF_PYTHON:
    case TF_BRACES: break;
    }
    return tf_whole(p);
}

static int step(fh_toolfmt_parser *p)
{
    switch (p->mode) {
    case TF_IN_TEXT: return in_text(p);
    case TF_IN_HEADER: return tf_header(p);
    case TF_IN_SECTION: return in_section(p);
    case TF_IN_CALL: return in_call(p);
    case TF_IN_RAW: break;
    }
    return tf_raw(p);
}

static int run(fh_toolfmt_parser *p)
{
    int rc;
    do rc = step(p);
    while (rc == TF_GO);
    return rc;
}

/* Text is looked at up to its last whole character. */
static void find_end(fh_toolfmt_parser *p)
{
    size_t len = p->hold.len, tail = FH_MIN(len - p->from, (size_t)3);
    p->end = p->final ? len : FH_MIN(len, len - tail + fh_utf8_whole(p->hold.data + len - tail, tail));
}

int fh_toolfmt_push(fh_toolfmt_parser *p, fh_str text, fh_err **err)
{
    if (!text.len) return 0;
    p->err = err;
    fh_buf_add(&p->hold, text.ptr, text.len);
    int rc = fh_buf_check(&p->hold, err, "the reply");
    if (rc) return rc;
    find_end(p);
    rc = run(p);
    if (p->from == p->hold.len)
        fh_buf_clear(&p->hold);
    else
        fh_buf_consume(&p->hold, p->from);
    p->from = 0;
    return rc;
}

int fh_toolfmt_finish(fh_toolfmt_parser *p, fh_err **err)
{
    p->err = err;
    p->final = true;
    find_end(p);
    int rc = run(p);
    return rc ? rc : emit_space(p);
}

uint32_t fh_toolfmt_calls(const fh_toolfmt_parser *p)
{
    return p->calls;
}

/* ---- lives ---- */

static void add_marker(fh_toolfmt_parser *p, const char *text, tf_action action)
{
    if (text) p->markers[p->marker_count++] = (tf_marker){fh_str_of(text), action};
}

static void make_markers(fh_toolfmt_parser *p)
{
    const tf_family *f = &p->f->f;
    add_marker(p, f->think_open, TF_THINK);
    add_marker(p, f->think_close, TF_ANSWER);
    add_marker(p, f->answer_open, TF_ANSWER);
    add_marker(p, f->header_open, TF_HEADER);
    add_marker(p, f->section_open, TF_SECTION);
    add_marker(p, f->section_close, TF_CLOSE); /* behind a call without the section's opening marker */
    if (!f->section_open || f->style == TF_TAGS) add_marker(p, f->call_open, TF_CALL);
    for (size_t i = 0; i < TF_DROPS; i++) add_marker(p, f->drops[i], TF_DROP);
}

static bool ends_with(fh_str s, const char *marker)
{
    return marker && fh_str_ends(s, fh_str_trim(fh_str_of(marker)));
}

/* How the prompt ends says where the reply begins. */
static void take_prompt(fh_toolfmt_parser *p, fh_str prompt)
{
    const tf_family *f = &p->f->f;
    while (prompt.len && is_space(prompt.ptr[prompt.len - 1])) prompt.len--;
    p->thinking = ends_with(prompt, f->think_open);
    p->skip_newlines = p->thinking || ends_with(prompt, f->think_close);
    if ((f->flags & (TF_HARMONY | TF_RECIPIENT)) && ends_with(prompt, "assistant")) p->mode = TF_IN_HEADER;
    if ((f->flags & TF_ROLE_HEADERS) && ends_with(prompt, "assistant")) p->mode = TF_IN_HEADER;
    if ((f->flags & TF_FUNCTIONARY) && ends_with(prompt, f->call_open)) p->mode = TF_IN_CALL;
}

int fh_toolfmt_parser_new(fh_toolfmt_parser **ret, const fh_toolfmt *f, const fh_toolfmt_options *o, fh_toolfmt_sink *sink, void *ctx,
                          fh_err **err)
{
    FH_AUTO(fh_toolfmt_parser) fh_toolfmt_parser *p = fh_calloc(1, sizeof *p);
    if (!p) return fh_err_nomem(err);
    p->f = f;
    p->tools = fh_json_count(o->tools) ? o->tools : NULL;
    p->max_calls = o->max_calls && o->max_calls < FH_LIMIT_TOOL_CALLS ? o->max_calls : FH_LIMIT_TOOL_CALLS;
    p->sink = sink;
    p->ctx = ctx;
    fh_buf_init(&p->hold, HOLD_MAX);
    fh_buf_init(&p->space, HOLD_MAX);
    fh_buf_init(&p->name, TF_HEADER_BYTES);
    fh_buf_init(&p->id, TF_HEADER_BYTES);
    fh_buf_init(&p->key, TF_HEADER_BYTES);
    fh_buf_init(&p->scratch, HOLD_MAX);
    if (!fh_buf_reserve(&p->hold, 1)) return fh_err_nomem(err); /* so that there always is something to point at */
    make_markers(p);
    take_prompt(p, o->prompt);
    *ret = fh_take(p);
    return 0;
}

void fh_toolfmt_parser_free(fh_toolfmt_parser *p)
{
    if (!p) return;
    fh_buf_fini(&p->hold);
    fh_buf_fini(&p->space);
    fh_buf_fini(&p->name);
    fh_buf_fini(&p->id);
    fh_buf_fini(&p->key);
    fh_buf_fini(&p->scratch);
    fh_free(p);
}
