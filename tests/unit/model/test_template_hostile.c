/* Chat templates from somebody who means ill: every one ends, in bounded time, stack and memory, with an error that says which bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/limits.h"
#include "cpu_time.h"
#include "model/template.h"
#include <stdlib.h>

static int render(fh_str source, fh_buf *out, fh_err **err)
{
    FH_AUTO(fh_template) fh_template *t = NULL;
    FH_AUTO(json) fh_json *variables = fh_json_new_object();
    int rc = fh_template_compile(&t, source, err);
    return rc ? rc : fh_template_render(t, variables, NULL, out, err);
}

static void assert_refused(fh_str source, int code, const char *words)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(SIZE_MAX / 4);
    fh_err *err = NULL;
    assert_int_equal(render(source, &out, &err), code);
    assert_non_null(strstr(fh_err_message(err), words));
    assert_int_equal(out.len, 0);
    fh_err_free(err);
}

/* head, then unit many times, then tail. */
static void assert_repeated_refused(const char *head, const char *unit, size_t times, const char *tail, int code, const char *words)
{
    FH_AUTO(buf) fh_buf source = FH_BUF(FH_LIMIT_TEMPLATE_BYTES * 2);
    fh_buf_adds(&source, head);
    for (size_t i = 0; i < times; i++) fh_buf_adds(&source, unit);
    fh_buf_adds(&source, tail);
    assert_refused((fh_str){source.data, source.len}, code, words);
}

static void sources_that_nest_deep_are_refused(void **state)
{
    assert_repeated_refused("{{ ", "(", 100000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ ", "[", 100000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ ", "{1:", 100000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ ", "not ", 100000, "1 }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ ", "- ", 100000, "1 }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ ", "1 if 1 else ", 50000, "1 }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ 1", "+1", 100000, " }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ a", ".a", 100000, " }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ a", "()", 100000, " }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ a", "|e", 100000, " }}", FH_E_INVALID, "deeper");
    assert_repeated_refused("", "{% if 1 %}", 50000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("", "{% for x in y %}", 50000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("", "{% macro m() %}", 50000, "", FH_E_INVALID, "deeper");
    assert_repeated_refused("{{ a", "<1", 100000, " }}", FH_E_INVALID, "operators");
}

static void wide_sources_are_taken(void **state)
{
    FH_AUTO(buf) fh_buf source = FH_BUF(FH_LIMIT_TEMPLATE_BYTES), out = FH_BUF(1 << 20);
    fh_buf_adds(&source, "{% if 0 %}");
    for (int i = 0; i < 40000; i++) fh_buf_adds(&source, "{% elif 0 %}x");
    fh_buf_adds(&source, "{% else %}y{% endif %}{{ ''");
    for (int i = 0; i < 40000; i++) fh_buf_adds(&source, "~1");
    fh_buf_adds(&source, " }}");
    assert_int_equal(render((fh_str){source.data, source.len}, &out, NULL), 0);
    assert_int_equal(out.len, 40001);
}

static void a_source_that_is_too_large_or_no_text_is_refused(void **state)
{
    assert_repeated_refused("", "0123456789", FH_LIMIT_TEMPLATE_BYTES / 10 + 1, "", FH_E_TOO_LARGE, "at most");
    assert_refused(FH_STR("a\xff"), FH_E_INVALID, "UTF-8");
}

static void loops_that_do_not_end_run_out_of_steps(void **state)
{
    static const char *const sources[] = {
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(100000) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{{ range(100000)|map('string')|list|sort|list|map('length')|sum }}{% for a in range(1000) %}{{ range(100000)|sum }}{% endfor %}",
        "{% set s = ' ' * 1000000 %}{% for i in range(100000) %}{% set q = s.split('x') %}{% endfor %}",
        ("{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"
         "{{ ns.x == [ns.x[0], ns.x[1]] }}{{ ns.x|string|length }}"),
        "{% macro m(n) %}{{ m(n) if n else '' }}{{ m(n - 1) if n else '' }}{% endmacro %}{{ m(20) }}",
        "{% set s = 'x' * 1000000 %}{% for i in range(100000) %}{% if s[999999] == 'y' %}{% endif %}{% endfor %}",
        "{% set s = 'ab' * 1000000 %}{% for i in range(100000) %}{% if 'ba' * 500000 in s %}{% endif %}{% endfor %}",
    };
    size_t count = FH_COUNT(sources) - (FH_SANITIZED ? 2 : 0); /* the last two walk much text a step: nothing else is in them */
    for (size_t i = 0; i < count; i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(SIZE_MAX / 4);
        fh_err *err = NULL;
        int64_t start = cpu_ns();
        assert_int_equal(render(fh_str_of(sources[i]), &out, &err), FH_E_TOO_LARGE);
        assert_true(cpu_ns() - start < 60 * FH_NS_PER_S); /* far less without sanitizers */
        fh_err_free(err);
    }
}

static void text_and_memory_are_bounded(void **state)
{
    assert_refused(FH_STR("{{ 'x' * 1000000000 }}"), FH_E_TOO_LARGE, "bytes");
    assert_refused(FH_STR("{{ 'x' * 9223372036854775807 }}"), FH_E_TOO_LARGE, "bytes");
    assert_refused(FH_STR("{{ [1] * 9223372036854775807 }}"), FH_E_TOO_LARGE, "long");
    assert_refused(FH_STR("{% set s = 'x' * 60000000 %}{{ s }}{{ s }}"), FH_E_TOO_LARGE, "bytes");
    assert_refused(FH_STR("{% set s = 'x' * 10000000 %}{{ s.replace('x', s) }}"), FH_E_TOO_LARGE, "bytes");
    assert_refused(FH_STR("{% set s = 'x' * 10000000 %}{{ s.join(s) }}"), FH_E_TOO_LARGE, "");
    assert_refused(FH_STR("{{ 'x'.center(9223372036854775807) }}"), FH_E_TOO_LARGE, "");
    assert_refused(FH_STR("{{ '%999999999999d' % 5 }}"), FH_E_TOO_LARGE, "wide");
    assert_refused(FH_STR("{{ '{:999999999999}'.format(5) }}"), FH_E_TOO_LARGE, "wide");
    assert_refused(FH_STR("{{ '{:.99999f}'.format(5.0) }}"), FH_E_TOO_LARGE, "digits");
    assert_refused(FH_STR("{{ [1]|tojson(indent=1000000000) }}"), FH_E_TOO_LARGE, "blanks");
    assert_refused(FH_STR("{{ 'a'|indent(1000000000) }}"), FH_E_TOO_LARGE, "blanks");
    assert_refused(FH_STR("{{ range(1000000000) }}"), FH_E_INVALID, "Range too big");
}

static void values_and_calls_that_nest_deep_are_refused(void **state)
{
    assert_refused(FH_STR("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), FH_E_TOO_LARGE, "deep");
    assert_refused(FH_STR("{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}"), FH_E_TOO_LARGE, "deep");
    assert_refused(FH_STR("{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}"), FH_E_TOO_LARGE, "deep");
    assert_refused(FH_STR("{% set n = namespace() %}{% set n.n = n %}{{ n }}"), FH_E_TOO_LARGE, "deep");
    static const char head[] = "{% set n = namespace(x=[]) %}{% for i in range(5000) %}{% set n.x = [n.x] %}{% endfor %}";
    static const char *const uses[] = {"{{ n.x }}", "{{ n.x|tojson }}", "{{ n.x == [n.x] }}", "{{ n.x < [n.x] }}", "{{ n.x|string }}"};
    for (size_t i = 0; i < FH_COUNT(uses); i++) {
        FH_AUTO(ptr) char *source = fh_asprintf("%s%s", head, uses[i]);
        assert_refused(fh_str_of(source), FH_E_TOO_LARGE, "deep");
    }
    assert_refused(
        FH_STR("{% set n = namespace(x='b') %}{% for i in range(5000) %}{% set n.x = n.x|map('upper') %}{% endfor %}{{ n.x|list }}"),
        FH_E_TOO_LARGE, "deep");
    assert_refused(FH_STR("{% set n = namespace(x=()) %}{% for i in range(5000) %}{% set n.x = (n.x,) %}{% endfor %}{{ {n.x: 1} }}"),
                   FH_E_TOO_LARGE, "deep");
}

static void numbers_beyond_64_bits_are_refused(void **state)
{
    static const char *const sources[] = {
        "{{ 9223372036854775807 + 1 }}",
        "{{ 10 ** 100 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ 9999999999 * 9999999999 }}",
        "{{ '99999999999999999999'|int }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ 1e300|int }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-8) ** 0.5 }}",
        "{{ (-9223372036854775807 - 1)|abs }}",
    };
    for (size_t i = 0; i < FH_COUNT(sources); i++) assert_refused(fh_str_of(sources[i]), FH_E_UNSUPPORTED, "not supported");
    assert_refused(FH_STR("{{ 99999999999999999999 }}"), FH_E_INVALID, "64 bits");
    FH_AUTO(buf) fh_buf out = FH_BUF(1000);
    assert_int_equal(render(FH_STR("{{ (-9223372036854775807 - 1) % -1 }} {{ 'abc'[-9223372036854775807:9223372036854775807] }} {{ [1, 2, "
                                   "3][::-9223372036854775807] }}"),
                            &out, NULL),
                     0);
    assert_string_equal(fh_buf_cstr(&out), "0 abc [3]");
}

static void what_is_not_supported_is_named_with_its_line(void **state)
{
    assert_refused(FH_STR("\n{% include 'x' %}"), FH_E_UNSUPPORTED, "line 2: {% include %} is not supported");
    assert_refused(FH_STR("{% import 'x' as y %}"), FH_E_UNSUPPORTED, "{% import %}");
    assert_refused(FH_STR("{% extends 'x' %}"), FH_E_UNSUPPORTED, "{% extends %}");
    assert_refused(FH_STR("{% block x %}{% endblock %}"), FH_E_UNSUPPORTED, "{% block %}");
    assert_refused(FH_STR("a\n\n{{ 'http://a'|urlize }}"), FH_E_UNSUPPORTED, "line 3: this filter (urlize");
    assert_refused(FH_STR("{{ lipsum() }}"), FH_E_UNSUPPORTED, "lipsum");
    assert_refused(FH_STR("{{ [1]|map('string') }}"), FH_E_UNSUPPORTED, "generator");
}

static void hostile_keys_of_a_dictionary_cost_steps(void **state)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1000);
    static const char source[] =
        "{% set d = namespace(d={}) %}{{ dict(range(50000)|map('string')|map('list')|map('length')|map('string')|batch(2)|list)|length }}";
    fh_err *err = NULL;
    int rc = render(fh_str_of(source), &out, &err);
    assert_true(rc == 0 || rc == FH_E_TOO_LARGE || rc == FH_E_INVALID);
    fh_err_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_that_nest_deep_are_refused),
        cmocka_unit_test(wide_sources_are_taken),
        cmocka_unit_test(a_source_that_is_too_large_or_no_text_is_refused),
        cmocka_unit_test(loops_that_do_not_end_run_out_of_steps),
        cmocka_unit_test(text_and_memory_are_bounded),
        cmocka_unit_test(values_and_calls_that_nest_deep_are_refused),
        cmocka_unit_test(numbers_beyond_64_bits_are_refused),
        cmocka_unit_test(what_is_not_supported_is_named_with_its_line),
        cmocka_unit_test(hostile_keys_of_a_dictionary_cost_steps),
    };
    return cmocka_run_group_tests_name("template_hostile", tests, NULL, NULL);
}
