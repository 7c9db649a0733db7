/* Chat templates: compile once, render from any number of threads. The work is done in jinja_*.c; here are the lives of a template and of a
 * run. */
#include "model/template.h"

#include "base/map.h"
#include "jinja.h"

static int compile_into(fh_template *t, jparser *p, fh_str source)
{
    int rc = jinja_lexer_init(&p->lexer, t->arena, source, p->err);
    if (!rc) rc = jinja_parse(p, &t->body);
    return rc ? rc : jinja_bind(p, t);
}

/* An arena that is full looks like memory that is out; only here both can be told apart. */
static int full_or_nomem(const fh_template *t, int rc, fh_err **err)
{
    if (rc != FH_E_NOMEM || fh_arena_used(t->arena) < JINJA_COMPILE_BYTES / 2) return rc;
    return fh_err_set(err, FH_E_TOO_LARGE, "chat template needs more than %zu bytes of memory", JINJA_COMPILE_BYTES);
}

int fh_template_compile(fh_template **ret, fh_str source, fh_err **err)
{
    fh_err *own = NULL;
    FH_AUTO(fh_arena) fh_arena *arena = fh_arena_new(JINJA_COMPILE_BYTES);
    FH_AUTO(fh_map) fh_map *names = fh_map_new(NULL);
    fh_template *t = arena && names ? fh_arena_alloc(arena, sizeof(*t)) : NULL;
    if (!t) return fh_err_nomem(err);
    t->arena = arena;
    jparser p = {.arena = arena, .err = &own, .name_ids = names};
    int rc = full_or_nomem(t, compile_into(t, &p, source), &own);
    if (rc) {
        if (err) fh_err_move(err, &own);
        fh_err_free(own);
        return rc;
    }
    arena = NULL; /* now the template's */
    *ret = t;
    return 0;
}

void fh_template_free(fh_template *t)
{
    if (t) fh_arena_free(t->arena);
}

/* Names that the template uses and the caller gave. */
static int take_variables(jrun *r, const fh_json *variables)
{
    FH_AUTO(ptr) char *key = NULL;
    r->globals = jinja_array(r, r->t->name_count + 1, sizeof(*r->globals));
    int rc = r->globals ? 0 : jinja_failed(r);
    for (uint32_t i = 0; i < r->t->name_count && !rc; i++) {
        fh_free(key);
        key = fh_strndup(r->t->names[i].ptr, r->t->names[i].len);
        if (!key) return jinja_nomem(r->err);
        const fh_json *v = fh_json_get(variables, key);
        if (v) rc = jinja_from_json(r, v, &r->globals[i]);
    }
    return rc;
}

static int run(jrun *r, const fh_json *variables)
{
    jflow flow;
    int rc = take_variables(r, variables);
    if (rc) return rc;
    r->frame = jinja_alloc(r, sizeof(*r->frame));
    if (r->frame) r->frame->slots = jinja_array(r, r->t->slots + 1, sizeof(jval));
    if (!r->frame || !r->frame->slots) return jinja_failed(r);
    jinja_scope_enter(r, &r->t->scope);
    rc = jinja_exec(r, &r->t->body, &flow);
    return rc ? rc : jinja_out_check(r);
}

int fh_template_render(const fh_template *t, const fh_json *variables, const fh_template_time *now, fh_buf *out, fh_err **err)
{
    fh_err *own = NULL;
    FH_AUTO(fh_arena) fh_arena *arena = fh_arena_new(JINJA_RENDER_BYTES);
    if (!arena) return fh_err_nomem(err);
    jrun r = {.t = t, .now = now, .arena = arena, .out = FH_BUF(FH_LIMIT_TEMPLATE_OUTPUT_BYTES), .err = &own};
    int rc = run(&r, variables);
    if (!rc && !fh_buf_add(out, r.out.data ? r.out.data : "", r.out.len)) rc = fh_buf_check(out, &own, "the rendered chat template");
    fh_buf_fini(&r.out);
    if (rc && err) fh_err_move(err, &own);
    fh_err_free(own);
    return rc;
}
