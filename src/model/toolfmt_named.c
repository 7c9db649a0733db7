/* Calls written as a name, a marker, and the arguments as a JSON object; headers of messages that name channel and recipient; and arguments
 * that turn out not to be JSON. */
#include "toolfmt.h"

enum { NAME = 1, ARGS, CLOSE }; /* phases; NAME is also 0 */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool take(fh_buf *to, fh_str s)
{
    fh_buf_clear(to);
    return fh_buf_add(to, s.ptr, s.len);
}

/* ---- the name ---- */

/* "functions.NAME:INDEX" is the id, NAME the name; other names stay as they are. */
static bool take_kimi(fh_toolfmt_parser *p, fh_str s)
{
    fh_str prefix = FH_STR("functions.");
    size_t end = s.len;
    while (end && s.ptr[end - 1] >= '0' && s.ptr[end - 1] <= '9') end--;
    bool index = end && end < s.len && s.ptr[end - 1] == ':';
    fh_str name = {s.ptr, index ? end - 1 : s.len};
    if (fh_str_starts(name, prefix)) name.ptr += prefix.len, name.len -= prefix.len;
    return take(&p->name, name) && (!index || take(&p->id, s));
}

static bool take_label(fh_toolfmt_parser *p, fh_str s)
{
    const tf_family *f = &p->f->f;
    bool found = false;
    if (f->flags & TF_KIMI_ID) return take_kimi(p, fh_str_trim(s));
    const char *mark = f->id_end ? f->id_end : f->id_mark;
    size_t at = tf_find(p, s, mark, &found);
    if (!mark || !found) return take(&p->name, fh_str_trim(s));
    fh_str first = {s.ptr, at}, second = {s.ptr + at + strlen(mark), s.len - at - strlen(mark)};
    return take(&p->id, fh_str_trim(f->id_end ? first : second)) && take(&p->name, fh_str_trim(f->id_end ? second : first));
}

/* Functionary's answer: a recipient called "all". */
static int answer(fh_toolfmt_parser *p)
{
    p->at = p->at < p->open_len ? p->open_len : p->at;
    p->committed = true;
    fh_buf_clear(&p->space);
    return tf_leave(p);
}

static int name(fh_toolfmt_parser *p)
{
    bool found;
    fh_str s = tf_rest(p);
    size_t len = tf_find(p, s, p->f->f.name_end, &found);
    if (len > TF_HEADER_BYTES) return tf_no_call(p);
    if (!found) return tf_grown(p);
    if (!take_label(p, (fh_str){s.ptr, len})) return tf_no_call(p);
    p->at += len + strlen(p->f->f.name_end);
    if ((p->f->f.flags & TF_FUNCTIONARY) && strcmp(fh_buf_cstr(&p->name), "all") == 0) return answer(p);
    int rc = tf_begin(p);
    if (rc < 0 || !p->open) return rc;
    tf_eat(p);
    tf_scanner_init(&p->scan);
    p->have_args = false;
    p->phase = ARGS;
    return TF_GO;
}

/* ---- the arguments ---- */

static int no_arguments(fh_toolfmt_parser *p)
{
    int rc = tf_args(p, FH_STR("{}"));
    if (!rc) rc = tf_end(p, true);
    p->phase = CLOSE;
    return rc;
}

static int arguments(fh_toolfmt_parser *p)
{
    tf_scan how;
    if (!p->have_args) {
        tf_skip_space(p);
        tf_eat(p);
    }
    fh_str s = tf_rest(p);
    if (!s.len) return tf_grown(p);
    if (!p->have_args && *s.ptr != '{') {
        tf_match close = tf_starts(p, s, p->f->f.call_close);
        if (close == TF_PARTLY) return tf_grown(p);
        if (close == TF_YES) return no_arguments(p);
        p->mode = TF_IN_RAW;
        return TF_GO;
    }
    p->have_args = true;
    size_t n = tf_scan_some(p, s, &how);
    int rc = tf_args(p, (fh_str){s.ptr, n});
    p->at += n;
    tf_eat(p);
    if (rc) return rc;
    if (how == TF_SCAN_BAD) p->mode = TF_IN_RAW;
    if (how == TF_SCAN_BAD) return TF_GO;
    if (how == TF_SCAN_MORE) return tf_grown(p);
    p->phase = CLOSE;
    return tf_end(p, true);
}

static int close(fh_toolfmt_parser *p)
{
    const char *marker = p->f->f.call_close;
    if (!marker) return tf_leave(p);
    tf_skip_space(p);
    tf_match m = tf_starts(p, tf_rest(p), marker);
    if (m == TF_PARTLY) return tf_grown(p);
    p->at += m == TF_YES ? strlen(marker) : 0;
    return tf_leave(p);
}

int tf_named(fh_toolfmt_parser *p)
{
    switch (p->phase) {
    case ARGS: return arguments(p);
    case CLOSE: return close(p);
    default: return name(p);
    }
}

/* ---- arguments that are no JSON: passed on as they are, up to the next marker ---- */

static size_t find_first(const fh_toolfmt_parser *p, fh_str s, const char **ret_marker)
{
    const tf_family *f = &p->f->f;
    const char *const ends[] = {f->call_close, f->section_close, f->call_open, f->header_open, f->drops[0], f->drops[1]};
    size_t first = s.len;
    *ret_marker = NULL;
    for (size_t i = 0; i < FH_COUNT(ends); i++) {
        bool found;
        size_t at = tf_find(p, s, p->bare ? NULL : ends[i], &found);
        if (at >= first) continue;
        first = at;
        *ret_marker = found ? ends[i] : NULL;
    }
    return first;
}

int tf_raw(fh_toolfmt_parser *p)
{
    const char *marker;
    fh_str s = tf_rest(p);
    size_t n = find_first(p, s, &marker);
    int rc = tf_args(p, (fh_str){s.ptr, n});
    p->at += n;
    tf_eat(p);
    if (rc) return rc;
    if (!marker) return tf_grown(p);
    rc = tf_end(p, false);
    p->mode = TF_IN_CALL;
    p->at = marker == p->f->f.call_close ? strlen(marker) : 0;
    return rc < 0 ? rc : tf_leave(p);
}

/* ---- headers: "assistant to=functions.NAME<|channel|>commentary <|constrain|>json" ---- */

static fh_str word_after(fh_str s, fh_str mark)
{
    size_t at = fh_str_find(s, mark), end;
    if (at == s.len) return (fh_str){"", 0};
    for (end = at += mark.len; end < s.len && !is_space(s.ptr[end]) && s.ptr[end] != '<';) end++;
    return (fh_str){s.ptr + at, end - at};
}

static int recipient(fh_toolfmt_parser *p, fh_str to)
{
    fh_str prefix = FH_STR("functions.");
    if (fh_str_starts(to, prefix)) to.ptr += prefix.len, to.len -= prefix.len;
    if (!p->tools || !take(&p->name, to)) return TF_GO;
    p->open_len = p->at;
    int rc = tf_begin(p);
    if (rc < 0 || !p->open) return rc;
    tf_scanner_init(&p->scan);
    p->have_args = false;
    p->phase = ARGS;
    p->mode = TF_IN_CALL;
    return TF_GO;
}

/* The header is s, its end marker lies behind it. */
static int header_end(fh_toolfmt_parser *p, fh_str s)
{
    const tf_family *f = &p->f->f;
    fh_str to = word_after(s, FH_STR("to=")), channel = word_after(s, fh_str_of(f->id_mark));
    int rc = TF_GO;
    p->mode = TF_IN_TEXT;
    p->thinking = f->flags & TF_HARMONY ? fh_str_eqs(channel, "analysis") : fh_str_eqs(to, "self");
    if ((f->flags & TF_HARMONY) && to.len && !fh_str_eqs(to, "assistant")) rc = recipient(p, to);
    p->skip_newlines = !p->open;
    tf_eat(p);
    return rc;
}

/* A role: up to the marker that says what the message is. */
static int role(fh_toolfmt_parser *p, fh_str s)
{
    size_t i = 0;
    while (i < s.len && s.ptr[i] != '<') i++;
    p->at += i;
    if (i == s.len && !p->final && p->at < TF_HEADER_BYTES) return tf_grown(p);
    tf_eat(p);
    p->mode = TF_IN_TEXT;
    return TF_GO;
}

int tf_header(fh_toolfmt_parser *p)
{
    bool found;
    fh_str s = tf_rest(p);
    if (p->f->f.flags & TF_ROLE_HEADERS) return role(p, s);
    size_t len = tf_find(p, s, p->f->f.header_close, &found);
    if (len <= TF_HEADER_BYTES && !found && !p->final) return TF_NEED;
    if (!found || len > TF_HEADER_BYTES) {
        p->mode = TF_IN_TEXT; /* no header: what stands there is text */
        return TF_GO;
    }
    p->at += len + strlen(p->f->f.header_close);
    return header_end(p, (fh_str){s.ptr, len});
}
