/* Embeddings requests: what is read, what is refused and which input is named; replies in both formats; usage of an upstream. */
#include "cmocka_all.h"
#include "torture.h"
#include "base/limits.h"
#include "wire/embeddings.h"
#include "wire/stream.h"

#define M "{\"model\":\"m\","

static void parse(const char *text, fh_wire_embed_request *r)
{
    fh_err *err = NULL;
    if (fh_wire_embed_parse(r, fh_str_of(text), &err)) fail_msg("%s: %s", text, fh_err_message(err));
}

static void each_form_of_input_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool one;
        size_t inputs, ids;
    } cases[] = {{M "\"input\":\"hi\"}", true, 1, 0},       {M "\"input\":[\"hi\",\"there\"]}", false, 2, 0},
                 {M "\"input\":[\"hi\"]}", false, 1, 0},    {M "\"input\":[1,2,2147483647]}", true, 1, 3},
                 {M "\"input\":[[1,2],[3]]}", false, 2, 3}, {M "\"input\":[\"hi\",[7,8,9]]}", false, 2, 3}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        fh_wire_embed_request r;
        parse(cases[i].text, &r);
        assert_int_equal(r.one, cases[i].one);
        assert_int_equal(r.input_count, cases[i].inputs);
        assert_int_equal(r.token_count, cases[i].ids);
        assert_false(r.base64);
        assert_int_equal(r.dimensions, 0);
        fh_wire_embed_request_fini(&r);
    }
    fh_wire_embed_request r;
    parse(M "\"input\":[\"hi\",[7,8,9],[10]],\"encoding_format\":\"base64\",\"dimensions\":64,\"user\":\"u\",\"unknown\":[]}", &r);
    assert_true(fh_str_eqs(r.inputs[0].text, "hi") && r.inputs[1].text.ptr == NULL && r.inputs[1].tokens[2] == 9 &&
                r.inputs[2].tokens[0] == 10);
    assert_true(r.base64 && r.dimensions == 64);
    fh_wire_embed_request_fini(&r);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *param, *word;
    } cases[] = {{"{\"input\":\"hi\"}", "model", ""},
                 {"{\"model\":\"\",\"input\":\"hi\"}", "model", "empty"},
                 {M "\"user\":\"u\"}", "input", "missing"},
                 {M "\"input\":null}", "input", "missing"},
                 {M "\"input\":7}", "input", "array of strings"},
                 {M "\"input\":{}}", "input", "array of strings"},
                 {M "\"input\":\"\"}", "input", "empty"},
                 {M "\"input\":[]}", "input", "empty"},
                 {M "\"input\":[\"a\",\"\"]}", "input[1]", "empty"},
                 {M "\"input\":[\"a\",\"b\",[]]}", "input[2]", "empty"},
                 {M "\"input\":[\"a\",7]}", "input[1]", "string or an array"},
                 {M "\"input\":[\"a\",null]}", "input[1]", "string or an array"},
                 {M "\"input\":[1,\"a\"]}", "input", "not a token id"},
                 {M "\"input\":[1,-1]}", "input", "not a token id"},
                 {M "\"input\":[[1],[2.5]]}", "input[1]", "not a token id"},
                 {M "\"input\":[[1],[2147483648]]}", "input[1]", "not a token id"},
                 {M "\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format", "float or base64"},
                 {M "\"input\":\"a\",\"encoding_format\":1}", "encoding_format", ""},
                 {M "\"input\":\"a\",\"dimensions\":0}", "dimensions", ""},
                 {M "\"input\":\"a\",\"dimensions\":\"9\"}", "dimensions", ""},
                 {M "\"input\":\"a\",\"user\":9}", "user", ""}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        fh_wire_embed_request r;
        fh_err *err = NULL;
        assert_int_equal(fh_wire_embed_parse(&r, fh_str_of(cases[i].text), &err), FH_E_INVALID);
        if (strcmp(fh_err_param_get(err), cases[i].param) != 0 || !strstr(fh_err_message(err), cases[i].word))
            fail_msg("%s: %s: %s", cases[i].text, fh_err_param_get(err), fh_err_message(err));
        fh_err_free(err);
    }
}

/* As many as may be are taken, one more is not. */
static int parse_many(const char *item, size_t count, bool nested)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(16 << 20);
    fh_wire_embed_request r = {0};
    fh_buf_adds(&text, nested ? M "\"input\":[[" : M "\"input\":[");
    for (size_t i = 0; i < count; i++) fh_buf_addf(&text, i ? ",%s" : "%s", item);
    fh_buf_adds(&text, nested ? "]]}" : "]}");
    int rc = fh_wire_embed_parse(&r, (fh_str){text.data, text.len}, NULL);
    fh_wire_embed_request_fini(&r);
    return rc;
}

static void inputs_and_tokens_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse_many("\"a\"", FH_LIMIT_EMBED_INPUTS, false), 0);
    assert_int_equal(parse_many("\"a\"", FH_LIMIT_EMBED_INPUTS + 1, false), FH_E_INVALID);
    for (int nested = 0; nested < 2; nested++) {
        assert_int_equal(parse_many("7", FH_LIMIT_EMBED_TOK, nested), 0);
        assert_int_equal(parse_many("7", FH_LIMIT_EMBED_TOK + 1, nested), FH_E_INVALID);
    }
}

static void vectors_are_numbers_that_read_back_or_base64(void **state)
{
    (void)state;
    static const float vector[] = {0.1f, -1.17549435e-38f, 1.0f, 0.0f, -0.333333343f};
    FH_AUTO(buf) fh_buf out = FH_BUF(8192);
    FH_AUTO(json) fh_json *doc = NULL;
    fh_wire_embed_head_write(&out);
    size_t head = out.len;
    assert_true(fh_wire_embed_vector_write(&out, 0, vector, FH_COUNT(vector), false));
    assert_true(out.len - head <= fh_wire_embed_vector_bytes(FH_COUNT(vector), false));
    fh_buf_addc(&out, ',');
    head = out.len;
    assert_true(fh_wire_embed_vector_write(&out, 1, vector, 2, true));
    assert_true(out.len - head <= fh_wire_embed_vector_bytes(2, true));
    assert_true(fh_wire_embed_end_write(&out, "m\"", 12));
    assert_int_equal(fh_json_parse(&doc, (fh_str){out.data, out.len}, 8192, NULL), 0);
    const fh_json *data = fh_json_get(doc, "data"), *numbers = fh_json_get(fh_json_at(data, 0), "embedding");
    assert_int_equal(fh_json_count(numbers), FH_COUNT(vector));
    for (size_t i = 0; i < FH_COUNT(vector); i++) assert_true((float)fh_json_num(fh_json_at(numbers, i), 9) == vector[i]);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(data, 1), "embedding")), "zczMPQAAgIA="));
    assert_int_equal(fh_json_int(fh_json_get(fh_json_at(data, 1), "index"), 0), 1);
    assert_true(fh_str_eqs(fh_json_str(fh_json_get(doc, "model")), "m\""));
    assert_int_equal(fh_json_int(fh_json_get(fh_json_get(doc, "usage"), "total_tokens"), 0), 12);
}

static void usage_is_found_behind_the_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool found;
    } cases[] = {
        {"{\"data\":[{\"embedding\":[1,2],\"usage\":{\"prompt_tokens\":1}}],\"usage\":{\"prompt_tokens\":12,\"total_tokens\":12}}", true},
        {" {\"usage\" : {\"prompt_tokens\":12} , \"data\":[]}", true},
        {"{\"data\":[]}", false},
        {"{\"usage\":null}", false},
        {"{\"usage\":{\"prompt_tokens\":-1}}", false},
        {"{\"usage\":{\"prompt_tokens\":", false},
        {"{\"", false},
        {"{\"\\\"", false},
        {"[\"usage\"]", false},
        {"", false}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        uint64_t tokens = 7;
        assert_int_equal(fh_wire_embed_usage_read(fh_str_of(cases[i].text), &tokens), cases[i].found);
        assert_int_equal(tokens, cases[i].found ? 12 : 7);
    }
}

static int scenario(void *arg)
{
    (void)arg;
    static const float vector[4] = {1, 2, 3, 4};
    fh_wire_embed_request r = {0};
    FH_AUTO(buf) fh_buf out = FH_BUF(4096);
    int rc = fh_wire_embed_parse(&r, FH_STR(M "\"input\":[\"a\",[1,2]],\"dimensions\":4}"), NULL);
    if (rc == 0) fh_wire_embed_head_write(&out);
    if (rc == 0) fh_wire_embed_vector_write(&out, 0, vector, 4, true);
    if (rc == 0) fh_wire_embed_end_write(&out, "m", 3);
    if (rc == 0) rc = fh_buf_check(&out, NULL, "the reply");
    fh_wire_embed_request_fini(&r);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 1000) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_input_is_read),        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(inputs_and_tokens_are_bounded),     cmocka_unit_test(vectors_are_numbers_that_read_back_or_base64),
        cmocka_unit_test(usage_is_found_behind_the_vectors), cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests_name("wire/embeddings", tests, NULL, NULL);
}
