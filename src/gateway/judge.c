/* Whether an answer does what its request asked for (see judge.h). */
#include "judge.h"

#include "base/limits.h"
#include "schema_check.h"

typedef struct made_call {
    char name[FH_LIMIT_TOOL_NAME_BYTES];
    fh_buf arguments;
} made_call;

struct fh_judge {
    fh_json *tools, *format; /* references of our own, or NULL */
    bool must_call, json;
    char must_name[FH_LIMIT_TOOL_NAME_BYTES];
    fh_buf text;
    made_call calls[FH_LIMIT_JUDGE_CALLS];
    size_t call_count;
    bool too_much; /* choices or calls beyond what is looked at */
    bool finished, reasoned, refused;
    fh_wire_finish finish;
};

bool fh_verdict_bad(fh_verdict v)
{
    return v >= FH_VERDICT_EMPTY;
}

const char *fh_verdict_text(fh_verdict v)
{
    static const char *const texts[] = {"",
                                        "",
                                        "",
                                        "it said nothing",
                                        "its answer did not have the form that was asked for",
                                        "its tool call cannot be made",
                                        "it did not call a tool"};
    return texts[v];
}

static fh_json *hold(const fh_json *v)
{
    return v ? fh_json_ref((fh_json *)v) : NULL;
}

static const fh_json *format_of(const fh_wire_request *r)
{
    const fh_json *format = fh_json_get(r->doc, "response_format");
    fh_str type = fh_json_str(fh_json_get(format, "type"));
    return fh_str_eqs(type, "json_object") || fh_str_eqs(type, "json_schema") ? format : NULL;
}

fh_judge *fh_judge_new(const fh_wire_request *r)
{
    fh_judge *j = fh_calloc(1, sizeof *j);
    if (!j) return NULL;
    size_t n = FH_MIN(r->must_name.len, sizeof j->must_name - 1);
    j->tools = hold(r->tools);
    j->format = hold(format_of(r));
    j->json = j->format != NULL;
    j->must_call = r->must_call;
    if (n) memcpy(j->must_name, r->must_name.ptr, n);
    j->text = FH_BUF(FH_LIMIT_JUDGE_BYTES);
    return j;
}

void fh_judge_again(fh_judge *j)
{
    for (size_t i = 0; i < j->call_count; i++) fh_buf_fini(&j->calls[i].arguments);
    fh_buf_clear(&j->text);
    j->call_count = 0;
    j->too_much = j->finished = j->reasoned = j->refused = false;
}

void fh_judge_free(fh_judge *j)
{
    if (!j) return;
    fh_judge_again(j);
    fh_buf_fini(&j->text);
    fh_json_unref(j->tools);
    fh_json_unref(j->format);
    fh_free(j);
}

bool fh_judge_can(const fh_judge *j)
{
    return j->json || j->tools;
}

static void begin_call(fh_judge *j, const fh_wire_event *e)
{
    size_t n = FH_MIN(e->name.len, sizeof j->calls->name - 1);
    j->too_much |= e->call >= FH_LIMIT_JUDGE_CALLS || e->call != j->call_count;
    if (j->too_much) return;
    made_call *c = &j->calls[j->call_count++];
    *c = (made_call){.arguments = FH_BUF(FH_LIMIT_JUDGE_BYTES)};
    if (n) memcpy(c->name, e->name.ptr, n);
}

int fh_judge_event(void *judge, const fh_wire_event *e, fh_err **err)
{
    fh_judge *j = judge;
    (void)err;
    j->too_much |= e->choice > 0;
    if (j->too_much) return 0;
    switch (e->kind) {
    case FH_EVENT_TEXT: fh_buf_add(&j->text, e->text.ptr, e->text.len); break;
    case FH_EVENT_REASONING: j->reasoned = true; break;
    case FH_EVENT_REFUSAL: j->refused = true; break;
    case FH_EVENT_CALL: begin_call(j, e); break;
    case FH_EVENT_ARGUMENTS:
        if (e->call < j->call_count) fh_buf_add(&j->calls[e->call].arguments, e->text.ptr, e->text.len);
        break;
    case FH_EVENT_FINISH:
        j->finished = true;
        j->finish = e->finish;
        break;
    case FH_EVENT_BEGIN:
    case FH_EVENT_USAGE:
    case FH_EVENT_END:
    case FH_EVENT_ERROR: break;
    }
    return 0;
}

/* ---- the verdict ---- */

static const fh_json *tool_named(const fh_json *tools, const char *name)
{
    for (size_t i = 0; i < fh_json_count(tools); i++) {
        const fh_json *function = fh_json_get(fh_json_at(tools, i), "function");
        if (fh_str_eqs(fh_json_str(fh_json_get(function, "name")), name)) return function;
    }
    return NULL;
}

static bool call_can_be_made(const fh_judge *j, const made_call *c)
{
    FH_AUTO(json) fh_json *arguments = NULL;
    const fh_json *tool = tool_named(j->tools, c->name), *parameters = fh_json_get(tool, "parameters");
    fh_str text = fh_str_trim((fh_str){fh_buf_cstr(&c->arguments), c->arguments.len});
    if (!tool || !fh_buf_ok(&c->arguments)) return false;
    if (text.len == 0) text = FH_STR("{}"); /* as SDKs read it */
    if (fh_json_parse(&arguments, text, FH_LIMIT_JUDGE_BYTES, NULL) || fh_json_kind_of(arguments) != FH_JSON_OBJECT) return false;
    return !parameters || fh_schema_keeps(parameters, arguments);
}

static fh_verdict judge_calls(const fh_judge *j)
{
    bool named = !j->must_name[0];
    for (size_t i = 0; i < j->call_count; i++) {
        if (!call_can_be_made(j, &j->calls[i])) return FH_VERDICT_CALL;
        named |= strcmp(j->calls[i].name, j->must_name) == 0;
    }
    return named || !j->must_call ? FH_VERDICT_GOOD : FH_VERDICT_NO_CALL;
}

static fh_verdict judge_form(const fh_judge *j)
{
    FH_AUTO(json) fh_json *value = NULL;
    const fh_json *schema = fh_json_get(fh_json_get(j->format, "json_schema"), "schema");
    fh_str text = {fh_buf_cstr(&j->text), j->text.len};
    bool object_only = fh_str_eqs(fh_json_str(fh_json_get(j->format, "type")), "json_object");
    if (fh_json_parse(&value, text, FH_LIMIT_JUDGE_BYTES, NULL)) return FH_VERDICT_FORM;
    if (object_only && fh_json_kind_of(value) != FH_JSON_OBJECT) return FH_VERDICT_FORM;
    return !schema || fh_schema_keeps(schema, value) ? FH_VERDICT_GOOD : FH_VERDICT_FORM;
}

fh_verdict fh_judge_verdict(const fh_judge *j)
{
    if (j->too_much || !fh_buf_ok(&j->text) || !j->finished || j->refused || j->finish == FH_FINISH_CONTENT_FILTER) return FH_VERDICT_NONE;
    if (j->finish == FH_FINISH_LENGTH) return FH_VERDICT_NONE; /* a larger model would be cut too */
    if (j->call_count) return judge_calls(j);
    if (j->must_call) return FH_VERDICT_NO_CALL;
    if (j->json) return judge_form(j);
    return j->text.len || j->reasoned ? FH_VERDICT_PLAIN : FH_VERDICT_EMPTY;
}

bool fh_judge_called(const fh_judge *j)
{
    return j->call_count > 0;
}
