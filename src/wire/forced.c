/* A forced tool call as an answer that is held to a schema (see wire/forced.h).
 *
 * The form is {"name":TOOL,"arguments":{...}} in this order, one alternative a tool. What comes is read in three steps: the head up to the
 * arguments is collected, the arguments go on as they come until their brace closes, and what is behind them is passed over. */
#include "wire/forced.h"

#include "private.h"
#include <stdio.h>

enum { HEAD_MAX = 4096 };

/* ---- asking ---- */

uint32_t fh_wire_forced_needs(const fh_wire_request *r)
{
    const uint32_t other = FH_NEED_BIT(FORMAT) | FH_NEED_BIT(GRAMMAR) | FH_NEED_BIT(OTHER_FORMAT) | FH_NEED_BIT(CHOICES);
    return r->must_call && r->tools && !(r->needs & other) ? FH_NEED_BIT(TOOL_CHOICE) | FH_NEED_BIT(ONE_CALL) : 0;
}

/* A reference into the schema's own document has another way to go in ours. */
static void add_ref(fh_buf *out, fh_str ref, const char *root)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    fh_buf_adds(&text, root);
    fh_buf_add(&text, ref.ptr + 1, ref.len - 1);
    if (!fh_buf_ok(&text)) out->failed = true;
    fh_buf_add_json_string(out, fh_buf_cstr(&text), text.len);
}

static void add_schema(fh_buf *out, const fh_json *v, const char *root);

static void add_members(fh_buf *out, const fh_json *object, const char *root)
{
    const char *before = "";
    const fh_json *value;
    fh_str key;
    for (void *it = NULL; fh_json_next(object, &it, &key, &value); before = ",") {
        fh_str text = fh_json_str(value);
        fh_buf_adds(out, before);
        fh_buf_add_json_string(out, key.ptr, key.len);
        fh_buf_addc(out, ':');
        if (fh_str_eqs(key, "$ref") && fh_str_starts(text, FH_STR("#")))
            add_ref(out, text, root);
        else
            add_schema(out, value, root);
    }
}

static void add_items(fh_buf *out, const fh_json *array, const char *root)
{
    for (size_t i = 0; i < fh_json_count(array); i++) {
        if (i) fh_buf_addc(out, ',');
        add_schema(out, fh_json_at(array, i), root);
    }
}

static void add_schema(fh_buf *out, const fh_json *v, const char *root)
{
    bool object = fh_json_kind_of(v) == FH_JSON_OBJECT;
    if (!object && fh_json_kind_of(v) != FH_JSON_ARRAY) {
        if (fh_json_write(v, out, NULL)) out->failed = true;
        return;
    }
    fh_buf_addc(out, object ? '{' : '[');
    if (object)
        add_members(out, v, root);
    else
        add_items(out, v, root);
    fh_buf_addc(out, object ? '}' : ']');
}

/* A tool without parameters takes none. root: where this alternative stands in the whole schema. */
static void add_tool(fh_buf *out, const fh_json *function, const char *root)
{
    char arguments[64];
    const fh_json *parameters = fh_json_get(function, "parameters");
    snprintf(arguments, sizeof arguments, "%s/properties/arguments", root);
    fh_buf_adds(out, "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":");
    if (fh_json_write(fh_json_get(function, "name"), out, NULL)) out->failed = true;
    fh_buf_adds(out, "},\"arguments\":");
    if (fh_wire_absent(parameters))
        fh_buf_adds(out, "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}");
    else
        add_schema(out, parameters, arguments);
    fh_buf_adds(out, "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}");
}

int fh_wire_forced_format(const fh_wire_request *r, fh_buf *out, fh_err **err)
{
    size_t written = 0;
    fh_buf_adds(out, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"tool_call\",\"strict\":true,\"schema\":{\"anyOf\":[");
    for (size_t i = 0; i < fh_json_count(r->tools); i++) {
        char root[32];
        const fh_json *function = fh_json_get(fh_json_at(r->tools, i), "function");
        if (r->must_name.len && !fh_str_eq(r->must_name, fh_json_str(fh_json_get(function, "name")))) continue;
        snprintf(root, sizeof root, "#/anyOf/%zu", written);
        if (written++) fh_buf_addc(out, ',');
        add_tool(out, function, root);
    }
    fh_buf_adds(out, "]}}}");
    if (!written) return fh_wire_bad(err, "tool_choice", "'tool_choice' names a function that is not among the tools");
    return fh_buf_check(out, err, "the form of the call");
}

/* ---- reading ---- */

struct fh_wire_forced {
    fh_wire_sink *sink;
    void *ctx;
    char id[80];
    enum { HEAD, ARGUMENTS, BEHIND } at;
    fh_buf head;
    unsigned depth; /* of braces and brackets in the arguments */
    bool in_string, escaped;
};

int fh_wire_forced_new(fh_wire_forced **ret, fh_wire_sink *sink, void *ctx, fh_err **err)
{
    fh_wire_forced *f = fh_calloc(1, sizeof *f);
    if (!f) return fh_err_nomem(err);
    *f = (fh_wire_forced){.sink = sink, .ctx = ctx, .head = FH_BUF(HEAD_MAX)};
    *ret = f;
    return 0;
}

void fh_wire_forced_free(fh_wire_forced *f)
{
    if (!f) return;
    fh_buf_fini(&f->head);
    fh_free(f);
}

static int no_call(fh_err **err)
{
    return fh_err_set(err, FH_E_UPSTREAM, "the engine had to call a tool and did not");
}

/* One call an answer: what is unique in the answer's id is that in the call's. */
static void name_call(fh_wire_forced *f, fh_str id)
{
    while (id.len && memchr(id.ptr, '-', id.len)) id = (fh_str){id.ptr + 1, id.len - 1};
    snprintf(f->id, sizeof f->id, "call_%.*s", (int)FH_MIN(id.len, (size_t)64), id.ptr ? id.ptr : "");
}

static bool is_blank(char b)
{
    return b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

/* Where the arguments begin in the head, and *ret_name_end where the name's member ends; 0: not there yet. */
static size_t find_arguments(fh_str head, size_t *ret_name_end)
{
    const fh_str key = FH_STR("\"arguments\"");
    for (size_t from = 0;;) {
        size_t at = from + fh_str_find((fh_str){head.ptr + from, head.len - from}, key), end = at + key.len;
        if (at >= head.len) return 0;
        while (end < head.len && is_blank(head.ptr[end])) end++;
        if (end < head.len && head.ptr[end] == ':') {
            *ret_name_end = at;
            return end + 1;
        }
        from = at + key.len;
    }
}

/* The members before the arguments are an object of their own once its comma is a brace. */
static int read_name(fh_str members, fh_json **ret, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(HEAD_MAX);
    members = fh_str_trim(members);
    if (!fh_str_ends(members, FH_STR(","))) return no_call(err);
    fh_buf_add(&text, members.ptr, members.len - 1);
    fh_buf_addc(&text, '}');
    int rc = fh_buf_check(&text, err, "the call");
    if (rc == 0 && fh_json_parse(ret, (fh_str){fh_buf_cstr(&text), text.len}, HEAD_MAX, NULL)) rc = no_call(err);
    if (rc == 0 && !fh_json_str(fh_json_get(*ret, "name")).len) rc = no_call(err);
    return rc;
}

static int begin_call(fh_wire_forced *f, fh_str members, const fh_wire_event *e, fh_err **err)
{
    FH_AUTO(json) fh_json *doc = NULL;
    int rc = read_name(members, &doc, err);
    if (rc) return rc;
    f->at = ARGUMENTS;
    fh_wire_event call = {
        .kind = FH_EVENT_CALL, .choice = e->choice, .id = fh_str_of(f->id), .name = fh_json_str(fh_json_get(doc, "name"))};
    return f->sink(f->ctx, &call, err);
}

/* True when the byte is the last one of the arguments. */
static bool step(fh_wire_forced *f, char b)
{
    if (f->in_string) {
        f->in_string = f->escaped || b != '"';
        f->escaped = !f->escaped && b == '\\';
        return false;
    }
    f->in_string = b == '"';
    if (b == '{' || b == '[') f->depth++;
    return (b == '}' || b == ']') && --f->depth == 0;
}

static int take_arguments(fh_wire_forced *f, fh_str text, const fh_wire_event *e, fh_err **err)
{
    size_t n = 0;
    if (!f->depth)
        while (text.len && is_blank(text.ptr[0])) text = (fh_str){text.ptr + 1, text.len - 1};
    if (!text.len) return 0;
    if (!f->depth && text.ptr[0] != '{') return no_call(err);
    while (n < text.len && f->at == ARGUMENTS)
        if (step(f, text.ptr[n++])) f->at = BEHIND;
    fh_wire_event arguments = {.kind = FH_EVENT_ARGUMENTS, .choice = e->choice, .text = {text.ptr, n}};
    return f->sink(f->ctx, &arguments, err);
}

/* A whole reply comes in one piece: no more than a head is kept of it. */
static int take_head(fh_wire_forced *f, const fh_wire_event *e, fh_err **err)
{
    size_t name_end = 0, taken = FH_MIN(e->text.len, HEAD_MAX - f->head.len);
    fh_buf_add(&f->head, e->text.ptr, taken);
    int rc = fh_buf_check(&f->head, err, "the call");
    fh_str head = {fh_buf_cstr(&f->head), f->head.len}, rest = {e->text.ptr + taken, e->text.len - taken};
    size_t begin = rc ? 0 : find_arguments(head, &name_end);
    if (rc || !begin) return rc ? rc : rest.len ? no_call(err) : 0;
    rc = begin_call(f, (fh_str){head.ptr, name_end}, e, err);
    if (rc == 0) rc = take_arguments(f, (fh_str){head.ptr + begin, head.len - begin}, e, err);
    return rc == 0 && f->at == ARGUMENTS ? take_arguments(f, rest, e, err) : rc;
}

static int take_text(fh_wire_forced *f, const fh_wire_event *e, fh_err **err)
{
    if (f->at == BEHIND) return 0;
    return f->at == HEAD ? take_head(f, e, err) : take_arguments(f, e->text, e, err);
}

/* Whoever stops by itself has made the call; who was cut has begun one at most. */
static int take_finish(fh_wire_forced *f, const fh_wire_event *e, fh_err **err)
{
    fh_wire_event changed = *e;
    if (e->finish == FH_FINISH_STOP && f->at != BEHIND) return no_call(err);
    if (e->finish == FH_FINISH_STOP) changed.finish = FH_FINISH_TOOL_CALLS;
    return f->sink(f->ctx, &changed, err);
}

int fh_wire_forced_event(void *ctx, const fh_wire_event *e, fh_err **err)
{
    fh_wire_forced *f = ctx;
    if (e->kind == FH_EVENT_BEGIN) name_call(f, e->id);
    if (e->kind == FH_EVENT_TEXT) return take_text(f, e, err);
    if (e->kind == FH_EVENT_FINISH) return take_finish(f, e, err);
    return f->sink(f->ctx, e, err);
}
