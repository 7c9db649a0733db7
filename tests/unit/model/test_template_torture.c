/* Each allocation of compile and render fails in turn: always "out of memory", never a leak, nothing in the output. And: many threads
 * render one template. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/fault.h"
#include "model/template.h"
#include <pthread.h>

static const char source[] =
    "{%- set ns = namespace(n=0, text='') -%}\n"
    "{%- macro show(m, sep=': ') -%}{{ m.role|upper ~ sep }}{{ m['content']|trim }}{{ caller() if caller is defined }}{%- endmacro -%}\n"
    "{% for m in messages if m.role != 'skip' %}{{ show(m) }}{% set ns.n = ns.n + 1 %}{{ loop.index }}/{{ loop.length }}{% if not "
    "loop.last %}, {% endif %}{% endfor %}\n"
    "{% call show(messages[0], sep='=') %}!{% endcall %}{% filter replace('a', 'b') %}banana{% endfilter %}\n"
    "{{ tools|tojson(indent=2) }}{{ messages|map(attribute='role')|unique|join(',') }}{{ '%s-%5.1f' % ('x', 2.5) }}{{ '{:>6}'.format(ns.n) "
    "}}\n"
    "{{ messages|groupby('role') }}{{ {'a': [1, 2.5, none], 'b': 'text'}|dictsort }}{{ 'a b c'.split()[::-1] }}{{ strftime_now('%d %B %Y') "
    "}}";

static const char variables_text[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\" hi \"},{\"role\":\"skip\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"yo\"}],"
    "\"tools\":[{\"name\":\"f\",\"arguments\":{\"x\":1.5,\"y\":[true,null]}}]}";

static const fh_template_time now = {2024, 7, 26, 10, 5, 9, 4, 208};

static int compile_and_render(const fh_json *variables, fh_buf *out, fh_err **err)
{
    FH_AUTO(fh_template) fh_template *t = NULL;
    int rc = fh_template_compile(&t, fh_str_of(source), err);
    return rc ? rc : fh_template_render(t, variables, &now, out, err);
}

static fh_json *parse_variables(void)
{
    fh_json *v = NULL;
    assert_int_equal(fh_json_parse(&v, fh_str_of(variables_text), 1 << 20, NULL), 0);
    return v;
}

static void every_allocation_may_fail(void **state)
{
    FH_AUTO(json) fh_json *variables = parse_variables();
    for (uint64_t nth = 1;; nth++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        fh_err *err = NULL;
        fh_fault_arm(FH_FAULT_ALLOC, nth, nth % 2 == 0);
        int rc = compile_and_render(variables, &out, &err);
        bool struck = fh_fault_struck();
        fh_fault_disarm();
        assert_int_equal(rc, struck ? FH_E_NOMEM : 0);
        assert_int_equal(fh_err_code(err), struck ? FH_E_NOMEM : FH_E_INTERNAL);
        assert_true(struck ? out.len == 0 : out.len > 100);
        fh_err_free(err);
        if (!struck) {
            assert_true(nth > 10);
            return;
        }
    }
}

static void what_was_in_the_buffer_stays(void **state)
{
    FH_AUTO(json) fh_json *variables = parse_variables();
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20), small = FH_BUF(20);
    fh_buf_adds(&out, "before");
    assert_int_equal(compile_and_render(variables, &out, NULL), 0);
    assert_memory_equal(out.data, "before", 6);
    fh_buf_adds(&small, "kept");
    assert_int_equal(compile_and_render(variables, &small, NULL), FH_E_TOO_LARGE);
    assert_string_equal(fh_buf_cstr(&small), "kept");
}

typedef struct job {
    const fh_template *t;
    const fh_json *variables;
    const char *want;
    int wrong;
} job;

static void *render_often(void *arg)
{
    job *j = arg;
    for (int i = 0; i < 200; i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        j->wrong += fh_template_render(j->t, j->variables, &now, &out, NULL) != 0 || strcmp(fh_buf_cstr(&out), j->want) != 0;
    }
    return NULL;
}

static void many_threads_render_one_template(void **state)
{
    FH_AUTO(json) fh_json *variables = parse_variables();
    FH_AUTO(fh_template) fh_template *t = NULL;
    FH_AUTO(buf) fh_buf want = FH_BUF(1 << 20);
    assert_int_equal(fh_template_compile(&t, fh_str_of(source), NULL), 0);
    assert_int_equal(fh_template_render(t, variables, &now, &want, NULL), 0);
    pthread_t threads[4];
    job jobs[4];
    for (size_t i = 0; i < FH_COUNT(threads); i++) {
        jobs[i] = (job){t, variables, fh_buf_cstr(&want), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, &jobs[i]), 0);
    }
    for (size_t i = 0; i < FH_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(what_was_in_the_buffer_stays),
        cmocka_unit_test(many_threads_render_one_template),
    };
    return cmocka_run_group_tests_name("template_torture", tests, NULL, NULL);
}
