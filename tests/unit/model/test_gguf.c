/* Reading good GGUF files: values, arrays, tensors, splits. */
#include "gguf_maker.h"

static fh_gguf *open_made(maker *m)
{
    const char *path = in_scratch("a.gguf");
    maker_write(m, path);
    fh_gguf *g = NULL;
    fh_err *err = NULL;
    int rc = fh_gguf_open(&g, path, &err);
    if (rc) fail_msg("%s", fh_err_message(err));
    maker_fini(m);
    return g;
}

static void values_of_every_kind_are_read(void **state)
{
    maker m;
    maker_init(&m);
    key(&m, "i8", FH_GGUF_I8);
    fh_buf_addc(&m.head, (char)-5);
    key(&m, "i64", FH_GGUF_I64);
    put_u64(&m, 7);
    key(&m, "f32", FH_GGUF_F32);
    put_u32(&m, 0x3fc00000);
    key(&m, "f64", FH_GGUF_F64);
    put_u64(&m, 0xc004000000000000);
    key_bool(&m, "bool", true);
    key_str(&m, "str", "hello");
    key_u32(&m, "u32", 4000000000u);
    fh_gguf *g = open_made(&m);
    uint64_t u = 0;
    double d = 0;
    bool b = false;
    fh_str s = {0};
    assert_int_equal(fh_gguf_key_count(g), 7);
    assert_int_equal(fh_gguf_get_u64(g, "u32", 0, UINT64_MAX, &u, NULL), 0);
    assert_int_equal(u, 4000000000u);
    assert_int_equal(fh_gguf_get_u64(g, "i64", 0, 10, &u, NULL), 0);
    assert_int_equal(u, 7);
    assert_int_equal(fh_gguf_get_u64(g, "i8", 0, 10, &u, NULL), FH_E_CORRUPT); /* negative */
    assert_int_equal(fh_gguf_get_u64(g, "u32", 0, 10, &u, NULL), FH_E_CORRUPT);
    assert_int_equal(fh_gguf_get_u64(g, "none", 0, 10, &u, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_gguf_get_f64(g, "f32", &d, NULL), 0);
    assert_true(d >= 1.5 && d <= 1.5);
    assert_int_equal(fh_gguf_get_f64(g, "f64", &d, NULL), 0);
    assert_true(d >= -2.5 && d <= -2.5);
    assert_int_equal(fh_gguf_get_f64(g, "i8", &d, NULL), 0);
    assert_true(d >= -5 && d <= -5);
    assert_int_equal(fh_gguf_get_bool(g, "bool", &b, NULL), 0);
    assert_true(b);
    assert_int_equal(fh_gguf_get_bool(g, "u32", &b, NULL), FH_E_CORRUPT);
    assert_int_equal(fh_gguf_get_str(g, "str", &s, NULL), 0);
    assert_true(fh_str_eqs(s, "hello"));
    fh_err *err = NULL;
    assert_int_equal(fh_gguf_get_str(g, "u32", &s, &err), FH_E_CORRUPT);
    assert_non_null(strstr(fh_err_message(err), "field u32: is u32, not a string"));
    fh_err_free(err);
    const fh_gguf_value *v = NULL;
    assert_true(fh_str_eqs(fh_gguf_key_at(g, 1, &v), "i64"));
    assert_int_equal(fh_gguf_kind_of(v), FH_GGUF_I64);
    fh_gguf_close(g);
}

static void any_element_of_a_string_array_is_found(void **state)
{
    maker m;
    maker_init(&m);
    key_array(&m, "words", FH_GGUF_STRING, 1000);
    char word[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(word, sizeof word, "%*s%d", i % 7, "", i);
        put_str(&m, fh_str_of(word));
    }
    key_array(&m, "numbers", FH_GGUF_I16, 3);
    fh_buf_add(&m.head, "\x01\x00\xff\xff\x00\x80", 6);
    fh_gguf *g = open_made(&m);
    const fh_gguf_value *v = NULL;
    size_t n = 0;
    assert_int_equal(fh_gguf_get_array(g, "words", FH_GGUF_STRING, &v, &n, NULL), 0);
    assert_int_equal(n, 1000);
    for (int i = 999; i >= 0; i--) {
        snprintf(word, sizeof word, "%*s%d", i % 7, "", i);
        assert_true(fh_str_eqs(fh_gguf_array_str(v, (size_t)i), word));
    }
    assert_int_equal(fh_gguf_get_array(g, "words", FH_GGUF_I32, &v, &n, NULL), FH_E_CORRUPT);
    assert_int_equal(fh_gguf_get_array(g, "numbers", FH_GGUF_I16, &v, &n, NULL), 0);
    assert_int_equal(fh_gguf_array_i64(v, 0), 1);
    assert_int_equal(fh_gguf_array_i64(v, 1), -1);
    assert_int_equal(fh_gguf_array_i64(v, 2), -32768);
    fh_gguf_close(g);
}

static void tensors_are_found_where_they_lie(void **state)
{
    maker m;
    maker_init(&m);
    m.align = 64;
    key_u32(&m, "general.alignment", 64);
    tensor_f32(&m, "b", 10);
    tensor_f32(&m, "a", 33);
    const uint64_t dims[] = {256, 2};
    tensor_at(&m, "iq", FH_TYPE_IQ2_XXS, 2, dims, m.data.len);
    for (int i = 0; i < 132; i++) fh_buf_addc(&m.data, 1);
    fh_gguf *g = open_made(&m);
    assert_int_equal(fh_gguf_tensor_count(g), 3);
    const fh_gguf_tensor *a = fh_gguf_tensor_find(g, "a");
    assert_non_null(a);
    assert_ptr_equal(a, fh_gguf_tensor_at(g, 1));
    assert_int_equal(a->bytes, 132);
    assert_int_equal(a->dims[0], 33);
    assert_int_equal(a->dims[3], 1);
    assert_int_equal((uintptr_t)a->data % 64, 0);
    assert_int_equal(((const uint8_t *)a->data)[5], 5);
    assert_int_equal(fh_gguf_tensor_find(g, "iq")->bytes, 132);
    assert_null(fh_gguf_tensor_find(g, "c"));
    assert_null(fh_gguf_tensor_find(g, ""));
    fh_gguf_close(g);
}

static void write_part(const char *name, uint32_t no, uint32_t count, uint32_t total, const char *tensor)
{
    maker m;
    maker_init(&m);
    key_u32(&m, "split.no", no);
    key_u32(&m, "split.count", count);
    key_u32(&m, "split.tensors.count", total);
    if (!no) key_str(&m, "general.name", "split");
    if (tensor) tensor_f32(&m, tensor, 8);
    maker_write(&m, in_scratch(name));
    maker_fini(&m);
}

static void a_split_model_is_one(void **state)
{
    write_part("m-00001-of-00003.gguf", 0, 3, 2, NULL);
    write_part("m-00002-of-00003.gguf", 1, 3, 2, "x");
    write_part("m-00003-of-00003.gguf", 2, 3, 2, "y");
    fh_gguf *g = NULL;
    assert_int_equal(fh_gguf_open(&g, in_scratch("m-00001-of-00003.gguf"), NULL), 0);
    assert_int_equal(fh_gguf_tensor_count(g), 2);
    assert_int_equal(fh_gguf_tensor_find(g, "y")->file, 2);
    assert_non_null(fh_gguf_find(g, "general.name"));
    assert_true(fh_gguf_file_bytes(g) > 3 * 64);
    fh_gguf_close(g);
}

static void an_empty_model_is_one_without_keys(void **state)
{
    maker m;
    maker_init(&m);
    fh_gguf *g = open_made(&m);
    assert_int_equal(fh_gguf_key_count(g), 0);
    assert_int_equal(fh_gguf_tensor_count(g), 0);
    assert_null(fh_gguf_find(g, "general.name"));
    assert_null(fh_gguf_tensor_find(g, "x"));
    fh_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_are_read),      cmocka_unit_test(any_element_of_a_string_array_is_found),
        cmocka_unit_test(tensors_are_found_where_they_lie),   cmocka_unit_test(a_split_model_is_one),
        cmocka_unit_test(an_empty_model_is_one_without_keys),
    };
    return cmocka_run_group_tests(tests, scratch_init, scratch_fini);
}
