/* Renders chat templates for comparisons: reads requests from standard input, one JSON object a line ({"template": ..., "variables": {...},
 * "now": [...]}), and answers each with one line: {"text": ...} or {"error": ...}. "template" may be absent: the last one is used again. */
#include "model/template.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 64 << 20 };

typedef struct session {
    fh_template *template;
    fh_json *compile_error; /* of the last template, when it has one */
} session;

static fh_json *error_reply(const fh_err *err)
{
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "error", fh_json_new_cstr(fh_err_message(err)));
    fh_json_set(o, "code", fh_json_new_cstr(fh_code_name(fh_err_code(err))));
    return o;
}

static void take_template(session *s, fh_str source)
{
    fh_err *err = NULL;
    fh_template_free(fh_take(s->template));
    fh_json_unref(fh_take(s->compile_error));
    if (fh_template_compile(&s->template, source, &err)) s->compile_error = error_reply(err);
    fh_err_free(err);
}

static fh_template_time time_of(const fh_json *now)
{
    int v[8] = {2024, 7, 26, 10, 5, 9, 4, 208};
    for (size_t i = 0; i < 8 && i < fh_json_count(now); i++) v[i] = (int)fh_json_int(fh_json_at(now, i), v[i]);
    return (fh_template_time){v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
}

static fh_json *render(const session *s, const fh_json *request)
{
    FH_AUTO(buf) fh_buf out = FH_BUF((size_t)128 << 20);
    fh_err *err = NULL;
    fh_template_time now = time_of(fh_json_get(request, "now"));
    if (fh_template_render(s->template, fh_json_get(request, "variables"), &now, &out, &err)) {
        fh_json *reply = error_reply(err);
        fh_err_free(err);
        return reply;
    }
    fh_json *o = fh_json_new_object();
    fh_json_set(o, "text", fh_json_new_str((fh_str){fh_buf_cstr(&out), out.len}));
    return o;
}

static int answer(session *s, fh_str line)
{
    FH_AUTO(json) fh_json *request = NULL;
    fh_err *err = NULL;
    if (fh_json_parse(&request, line, REQUEST_BYTES, &err)) {
        fprintf(stderr, "render: %s\n", fh_err_message(err));
        fh_err_free(err);
        return 1;
    }
    const fh_json *source = fh_json_get(request, "template");
    if (source) take_template(s, fh_json_str(source));
    FH_AUTO(json) fh_json *reply = s->template ? render(s, request) : fh_json_ref(s->compile_error);
    FH_AUTO(buf) fh_buf text = FH_BUF((size_t)256 << 20);
    if (fh_json_write(reply, &text, NULL)) return 1;
    puts(fh_buf_cstr(&text));
    fflush(stdout);
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
    fh_template_free(s.template);
    fh_json_unref(s.compile_error);
    return rc;
}
