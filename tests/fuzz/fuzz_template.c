/* Chat templates from arbitrary bytes: the source up to a NUL, then (optionally) the variables as JSON. Whatever compiles is rendered,
 * twice, and must give the same both times; a refusal must leave the output alone. */
#include "model/template.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char standard[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"h\\u00e9 "
                               "<b>\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"function\":"
                               "{\"name\":\"f\",\"arguments\":{\"x\":1,\"y\":[2.5,true,null]}}}]},{\"role\":\"tool\",\"content\":[{"
                               "\"type\":\"text\",\"text\":\"t\"}]}],\"tools\":[{\"type\":\"function\",\"function\":"
                               "{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"}}}}}],"
                               "\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}";

static void check(bool holds)
{
    if (!holds) abort();
}

static int render(const fh_template *t, const fh_json *variables, fh_buf *out)
{
    static const fh_template_time now = {2024, 2, 29, 23, 59, 59, 3, 60};
    fh_err *err = NULL;
    int rc = fh_template_render(t, variables, &now, out, &err);
    check((rc == 0) == (err == NULL));
    check(rc == 0 || out->len == 0);
    fh_err_free(err);
    return rc;
}

static void render_twice(const fh_template *t, const fh_json *variables)
{
    FH_AUTO(buf) fh_buf one = FH_BUF((size_t)128 << 20), two = FH_BUF((size_t)128 << 20);
    int rc = render(t, variables, &one);
    check(render(t, variables, &two) == rc);
    check(one.len == two.len && (!one.len || memcmp(one.data, two.data, one.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    fh_str source = {(const char *)data, nul ? (size_t)(nul - data) : size};
    fh_str text = nul ? (fh_str){(const char *)nul + 1, size - source.len - 1} : FH_STR(standard);
    FH_AUTO(json) fh_json *variables = NULL;
    FH_AUTO(fh_template) fh_template *t = NULL;
    if (fh_json_parse(&variables, text, 1 << 20, NULL) && fh_json_parse(&variables, FH_STR(standard), 1 << 20, NULL)) return 0;
    fh_err *err = NULL;
    int rc = fh_template_compile(&t, source, &err);
    check((rc == 0) == (err == NULL));
    fh_err_free(err);
    if (!rc) render_twice(t, variables);
    return 0;
}
