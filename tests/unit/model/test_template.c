/* Chat templates: each feature of the language as jinja2 has it. The expectations (tests/templates/cases.json) were written by running
 * `transformers`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "model/template.h"
#include <stdio.h>
#include <stdlib.h>

static const fh_template_time now = {2024, 7, 26, 10, 5, 9, 4, 208};

typedef struct file {
    fh_json *doc;
} file;

static int read_cases(void **state)
{
    static file f;
    FH_AUTO(buf) fh_buf text = FH_BUF(4 << 20);
    FH_AUTO(ptr) char *path = fh_asprintf("%s/tests/templates/cases.json", getenv("FH_SOURCE"));
    FILE *in = fopen(path, "r");
    char chunk[4096];
    if (!in) return 1;
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), in)) > 0;) fh_buf_add(&text, chunk, n);
    fclose(in);
    *state = &f;
    return fh_json_parse(&f.doc, (fh_str){text.data, text.len}, text.len, NULL);
}

static int free_cases(void **state)
{
    fh_json_unref(((file *)*state)->doc);
    return 0;
}

static int render(fh_str source, const fh_json *variables, fh_buf *out, fh_err **err)
{
    FH_AUTO(fh_template) fh_template *t = NULL;
    int rc = fh_template_compile(&t, source, err);
    return rc ? rc : fh_template_render(t, variables, &now, out, err);
}

/* Is the outcome what the case says? */
static bool as_expected(const fh_json *c, int rc, const fh_buf *out, const fh_err *err)
{
    const fh_json *text = fh_json_get(c, "text"), *raises = fh_json_get(c, "raises");
    fh_str want = fh_json_str(text);
    if (text) return rc == 0 && fh_str_eq((fh_str){fh_buf_cstr(out), out->len}, want);
    if (raises) return rc == FH_E_INVALID && fh_str_eqs(fh_json_str(raises), fh_err_message(err));
    return rc != 0 && out->len == 0;
}

static bool run_case(const fh_json *c, const fh_json *variables)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    fh_err *err = NULL;
    fh_str source = fh_json_str(fh_json_get(c, "template"));
    int rc = render(source, variables, &out, &err);
    bool good = as_expected(c, rc, &out, err);
    if (!good) printf("# %.*s\n#   gave %s\n", (int)source.len, source.ptr, rc ? fh_err_message(err) : fh_buf_cstr(&out));
    fh_err_free(err);
    return good;
}

static void run_feature(void **state, const char *feature)
{
    const fh_json *doc = ((file *)*state)->doc, *cases = fh_json_get(doc, "cases");
    size_t ran = 0, bad = 0;
    for (size_t i = 0; i < fh_json_count(cases); i++) {
        const fh_json *c = fh_json_at(cases, i);
        if (!fh_str_eqs(fh_json_str(fh_json_get(c, "feature")), feature)) continue;
        ran++;
        bad += !run_case(c, fh_json_get(doc, "variables"));
    }
    assert_true(ran > 0);
    assert_int_equal(bad, 0);
}

#define FEATURES(X)                                                                                                                        \
    X(white_space_around_tags, "white space around tags")                                                                                  \
    X(literals, "literals")                                                                                                                \
    X(values_are_printed_as_python_prints_them, "printing")                                                                                \
    X(operators, "operators")                                                                                                              \
    X(attributes_items_and_slices, "attributes, items, slices")                                                                            \
    X(undefined_values, "undefined")                                                                                                       \
    X(if_and_elif, "if")                                                                                                                   \
    X(for_loops, "for")                                                                                                                    \
    X(set_and_scopes, "set and scopes")                                                                                                    \
    X(macros_and_call_blocks, "macros")                                                                                                    \
    X(tests_behind_is, "tests")                                                                                                            \
    X(filters_on_values, "filters on values")                                                                                              \
    X(filters_on_text, "filters on text")                                                                                                  \
    X(tojson_writes_as_json_dumps, "tojson")                                                                                               \
    X(filters_on_sequences, "filters on sequences")                                                                                        \
    X(methods_of_text, "methods of text")                                                                                                  \
    X(percent_formatting, "percent")                                                                                                       \
    X(methods_of_dicts_and_lists, "methods of dicts and lists")                                                                            \
    X(globals_of_jinja2_and_transformers, "globals")                                                                                       \
    X(what_python_refuses_is_refused, "errors")

#define FEATURE_TEST(fn, name)                                                                                                             \
    static void fn(void **state)                                                                                                           \
    {                                                                                                                                      \
        run_feature(state, name);                                                                                                          \
    }
FEATURES(FEATURE_TEST)

int main(void)
{
    const struct CMUnitTest tests[] = {
#define FEATURE_ROW(fn, name) cmocka_unit_test(fn),
        FEATURES(FEATURE_ROW)};
    return cmocka_run_group_tests_name("template", tests, read_cases, free_cases);
}
