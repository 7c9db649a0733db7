/* GGUF files that lie. Each must end in an error that names the file's offset and the field, with little memory: the files are made here.
 */
#include "base/limits.h"
#include "gguf_maker.h"
#include "memory_bound.h"

/* Opens and closes within the bound; an error must be FH_E_CORRUPT and say where. Returns the code. */
static int try_open(const char *path, char *ret_message, size_t message_size)
{
    assert_true(memory_bound(MEMORY_MAX));
    fh_gguf *g = NULL;
    fh_err *err = NULL;
    int rc = fh_gguf_open(&g, path, &err);
    assert_true(memory_used() < MEMORY_MAX);
    if (rc) {
        assert_null(g);
        assert_int_equal(rc, FH_E_CORRUPT);
        assert_non_null(strstr(fh_err_message(err), "field "));
        snprintf(ret_message, message_size, "%s", fh_err_message(err));
    }
    fh_err_free(err);
    fh_gguf_close(g);
    return rc;
}

static void expect_broken(const char *path, const char *field, const char *what)
{
    char message[512] = "";
    assert_int_equal(try_open(path, message, sizeof message), FH_E_CORRUPT);
    if (!strstr(message, field) || !strstr(message, what)) fail_msg("\"%s\" names neither %s nor %s", message, field, what);
}

static void expect_broken_made(maker *m, const char *field, const char *what)
{
    maker_write(m, in_scratch("h.gguf"));
    maker_fini(m);
    expect_broken(in_scratch("h.gguf"), field, what);
}

/* A good file with a header of some 40 KiB that holds a bit of everything. */
static void make_good(maker *m)
{
    maker_init(m);
    key_u32(m, "general.alignment", 32);
    key_str(m, "general.architecture", "llama");
    key_array(m, "tokenizer.ggml.tokens", FH_GGUF_STRING, 1500);
    char word[32];
    for (int i = 0; i < 1500; i++) {
        snprintf(word, sizeof word, "token %d", i);
        put_str(m, fh_str_of(word));
    }
    key_array(m, "tokenizer.ggml.scores", FH_GGUF_F32, 1500);
    for (int i = 0; i < 1500; i++) put_u32(m, 0);
    key_array(m, "flags", FH_GGUF_BOOL, 5);
    fh_buf_add(&m->head, "\0\1\0\1\1", 5);
    key_array(m, "nothing", FH_GGUF_STRING, 0);
    for (int i = 0; i < 200; i++) {
        snprintf(word, sizeof word, "blk.%d.weight", i);
        tensor_f32(m, word, 8);
    }
}

static void a_good_file_opens(void **state)
{
    maker m;
    make_good(&m);
    assert_true(m.head.len > 40000);
    maker_write(&m, in_scratch("good.gguf"));
    char message[512] = "";
    if (try_open(in_scratch("good.gguf"), message, sizeof message)) fail_msg("%s", message);
    maker_fini(&m);
}

static void a_header_that_ends_early_is_refused(void **state)
{
    maker m;
    make_good(&m);
    maker_count(&m);
    char message[512];
    for (size_t cut = 0; cut < m.head.len; cut += cut < 4096 ? 61 : 4096) {
        write_file(in_scratch("cut.gguf"), m.head.data, cut, "", 0);
        assert_int_equal(try_open(in_scratch("cut.gguf"), message, sizeof message), FH_E_CORRUPT);
        assert_non_null(strstr(message, "byte "));
    }
    write_file(in_scratch("cut.gguf"), m.head.data, m.head.len, m.data.data, m.data.len / 2); /* and without half of the data */
    expect_broken(in_scratch("cut.gguf"), "offset", "beyond the end");
    maker_fini(&m);
}

static void a_length_that_lies_is_refused(void **state)
{
    static const uint64_t lies[] = {0, 1, 1ull << 31, 1ull << 63, UINT64_MAX, UINT64_MAX - 7};
    maker m;
    make_good(&m);
    maker_count(&m);
    while (m.head.len % m.align) fh_buf_addc(&m.head, 0);
    char message[512];
    /* of the many equal ones (tokens, tensors) a few are enough */
    for (size_t i = 0; i<m.length_count; i += i> 20 && i < m.length_count - 20 ? 97 : 1) {
        uint64_t truth = 0;
        memcpy(&truth, m.head.data + m.lengths[i], 8);
        for (size_t k = 0; k < FH_COUNT(lies); k++) {
            put_u64_at(&m.head, m.lengths[i], lies[k]);
            write_file(in_scratch("lie.gguf"), m.head.data, m.head.len, m.data.data, m.data.len);
            int rc = try_open(in_scratch("lie.gguf"), message, sizeof message);
            if (lies[k] > 1) assert_int_equal(rc, FH_E_CORRUPT); /* 0 or 1 may make another good file: tensor of one element, fewer keys */
        }
        put_u64_at(&m.head, m.lengths[i], truth);
    }
    maker_fini(&m);
}

static void sparse_file(const char *path, const maker *m, off_t bytes)
{
    write_file(path, m->head.data, m->head.len, "", 0);
    assert_int_equal(truncate(path, bytes), 0);
}

static void ten_million_keys_are_refused(void **state)
{
    maker m;
    maker_init(&m);
    m.keys = 10000000;
    maker_count(&m);
    sparse_file(in_scratch("keys.gguf"), &m, 400000000);
    expect_broken(in_scratch("keys.gguf"), "metadata_kv_count", "is 10000000; at most 65536");
    m.keys = FH_LIMIT_GGUF_KEYS; /* allowed, but no keys follow: the first has no name */
    maker_count(&m);
    sparse_file(in_scratch("keys.gguf"), &m, 400000000);
    expect_broken(in_scratch("keys.gguf"), "key", "is empty");
    m.keys = 0;
    m.tensors = UINT64_MAX;
    maker_count(&m);
    sparse_file(in_scratch("keys.gguf"), &m, 400000000);
    expect_broken(in_scratch("keys.gguf"), "tensor_count", "at most");
    maker_fini(&m);
}

static void the_largest_arrays_cost_little(void **state)
{
    maker m;
    maker_init(&m);
    key_array(&m, "strings", FH_GGUF_STRING, FH_LIMIT_GGUF_ARRAY_LEN); /* empty ones: a hole in the file */
    maker_count(&m);
    off_t end = (off_t)m.head.len + 8 * (off_t)FH_LIMIT_GGUF_ARRAY_LEN;
    sparse_file(in_scratch("big.gguf"), &m, end);
    char message[512] = "";
    if (try_open(in_scratch("big.gguf"), message, sizeof message)) fail_msg("%s", message);
    sparse_file(in_scratch("big.gguf"), &m, end - 1);
    expect_broken(in_scratch("big.gguf"), "array length", "the file ends");
    maker_fini(&m);
    maker_init(&m);
    key_array(&m, "strings", FH_GGUF_STRING, (uint64_t)FH_LIMIT_GGUF_ARRAY_LEN + 1);
    maker_count(&m);
    sparse_file(in_scratch("big.gguf"), &m, 2 * end);
    expect_broken(in_scratch("big.gguf"), "array length", "at most");
    maker_fini(&m);
}

static void the_most_tensors_cost_little(void **state)
{
    maker m;
    maker_init(&m);
    char name[16];
    for (uint32_t i = 0; i < FH_LIMIT_GGUF_TENSORS; i++) {
        const uint64_t one = 1;
        snprintf(name, sizeof name, "%x", i * 2654435761u);
        tensor_at(&m, name, FH_TYPE_F32, 1, &one, 32ull * i);
    }
    maker_count(&m);
    size_t head = m.head.len;
    sparse_file(in_scratch("many.gguf"), &m, (off_t)head + 32 + 32 * (off_t)FH_LIMIT_GGUF_TENSORS);
    maker_fini(&m); /* its memory is not the reader's */
    char message[512] = "";
    if (try_open(in_scratch("many.gguf"), message, sizeof message)) fail_msg("%s", message);
    unlink(in_scratch("many.gguf"));
}

static void what_is_no_gguf_is_refused(void **state)
{
    write_file(in_scratch("x.gguf"), "", 0, "", 0);
    expect_broken(in_scratch("x.gguf"), "magic", "ends here");
    write_file(in_scratch("x.gguf"), "PK\3\4................................", 36, "", 0);
    expect_broken(in_scratch("x.gguf"), "magic", "no GGUF file");
    write_file(in_scratch("x.gguf"), "GGUF\0\0\0\3............................", 36, "", 0);
    expect_broken(in_scratch("x.gguf"), "version", "big-endian");
    write_file(in_scratch("x.gguf"), "GGUF\1\0\0\0............................", 36, "", 0);
    expect_broken(in_scratch("x.gguf"), "version", "is 1");
}

static void bad_keys_are_refused(void **state)
{
    maker m;
    maker_init(&m);
    key_u32(&m, "same", 1);
    key_u32(&m, "other", 1);
    key_u32(&m, "same", 2);
    expect_broken_made(&m, "\"same\"", "is there twice, first as metadata[0]");
    maker_init(&m);
    key(&m, "kind", (fh_gguf_kind)13);
    put_u64(&m, 0);
    expect_broken_made(&m, "value type", "is 13");
    maker_init(&m);
    key_array(&m, "nested", FH_GGUF_ARRAY, 1);
    put_u64(&m, 0);
    put_u64(&m, 0);
    expect_broken_made(&m, "array type", "arrays of arrays");
    maker_init(&m);
    key(&m, "bool", FH_GGUF_BOOL);
    put_u64(&m, 2);
    expect_broken_made(&m, "\"bool\" value", "no bool");
    maker_init(&m);
    m.keys++;
    put_str(&m, (fh_str){"a\0b", 3});
    put_u64(&m, 0);
    put_u64(&m, 0);
    expect_broken_made(&m, "key", "holds a NUL");
    maker_init(&m);
    key_u32(&m, "\x1b[2Jclear", 1); /* no escape reaches a terminal */
    key_u32(&m, "\x1b[2Jclear", 1);
    expect_broken_made(&m, "?[2Jclear", "twice");
}

static void absurd_alignments_are_refused(void **state)
{
    static const uint32_t absurd[] = {0, 1, 4, 3, 33, 131072, 1u << 31, UINT32_MAX};
    maker m;
    for (size_t i = 0; i < FH_COUNT(absurd); i++) {
        maker_init(&m);
        key_u32(&m, "general.alignment", absurd[i]);
        tensor_f32(&m, "t", 8);
        expect_broken_made(&m, "general.alignment", "power of two");
    }
    maker_init(&m);
    key_str(&m, "general.alignment", "32");
    expect_broken_made(&m, "general.alignment", "power of two");
}

static void one_tensor(const char *name, uint32_t type, unsigned n_dims, const uint64_t *dims, uint64_t offset, const char *field,
                       const char *what)
{
    maker m;
    maker_init(&m);
    tensor_at(&m, name, type, n_dims, dims, offset);
    for (int i = 0; i < 4096; i++) fh_buf_addc(&m.data, 0);
    expect_broken_made(&m, field, what);
}

static void bad_tensors_are_refused(void **state)
{
    const uint64_t zero[] = {0, 1}, row[] = {31}, five[] = {1, 1, 1, 1, 1}, huge[] = {1ull << 32, 1ull << 32},
                   huge2[] = {1ull << 31, 1ull << 31, 2}, ok[] = {32}, large[] = {4096};
    one_tensor("t", 0, 0, zero, 0, "n_dims", "is 0");
    one_tensor("t", 0, 5, five, 0, "n_dims", "is 5");
    one_tensor("t", 0, 2, zero, 0, "dims", "dimension 0 is 0");
    one_tensor("t", 0, 2, huge, 0, "dims", "dimension 1");
    one_tensor("t", 0, 3, huge2, 0, "dims", "dimension 2");
    one_tensor("t", FH_TYPE_Q4_1, 1, row, 0, "type", "blocks of 32");
    one_tensor("t", 4, 1, ok, 0, "type", "4 is no tensor type");
    one_tensor("t", UINT32_MAX, 1, ok, 0, "type", "4294967295");
    one_tensor("t", 0, 1, ok, 16, "offset", "no multiple of the alignment");
    one_tensor("t", 0, 1, ok, 1ull << 62, "offset", "beyond the end");
    one_tensor("t", 0, 1, ok, UINT64_MAX - 31, "offset", "beyond the end");
    one_tensor("t", 0, 1, large, 0, "offset", "beyond the end");
    one_tensor("", 0, 1, ok, 0, "name", "is empty");
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = 0;
    one_tensor(name, 0, 1, ok, 0, "name", "at most 255");
}

/* Three blocks in each of two rows, and the file ends behind `bytes`. */
static void blocks_of(maker *m, uint32_t type, uint64_t cols, size_t bytes)
{
    maker_init(m);
    tensor_at(m, "t", type, 2, (const uint64_t[]){cols, 2}, 0);
    for (size_t i = 0; i < bytes; i++) fh_buf_addc(&m->data, 0);
}

static void every_type_is_as_large_as_its_blocks(void **state)
{
#define TYPE_ROW(name, id, elems, bytes) {id, elems, bytes},
    static const struct {
        uint32_t id, elems, bytes;
    } types[] = {FH_TYPE_LIST(TYPE_ROW)};
#undef TYPE_ROW
    maker m;
    for (size_t i = 0; i < FH_COUNT(types); i++) {
        uint64_t cols = 3 * types[i].elems;
        if (types[i].elems > 1) {
            blocks_of(&m, types[i].id, cols + 1, 4096);
            expect_broken_made(&m, "type", "has blocks of");
        }
        blocks_of(&m, types[i].id, cols, 6 * types[i].bytes - 1);
        expect_broken_made(&m, "offset", "beyond the end");
        blocks_of(&m, types[i].id, cols, 6 * types[i].bytes);
        maker_write(&m, in_scratch("whole.gguf"));
        maker_fini(&m);
        FH_AUTO(fh_gguf) fh_gguf *g = NULL;
        assert_int_equal(fh_gguf_open(&g, in_scratch("whole.gguf"), NULL), 0);
        assert_int_equal(fh_gguf_tensor_find(g, "t")->bytes, 6 * types[i].bytes);
    }
}

static void tensors_that_overlap_or_repeat_are_refused(void **state)
{
    maker m;
    const uint64_t n = 16;
    maker_init(&m);
    tensor_f32(&m, "a", 16);
    tensor_f32(&m, "b", 16);
    tensor_at(&m, "c", FH_TYPE_F32, 1, &n, 32);
    expect_broken_made(&m, "offset", "overlaps tensors[0]");
    maker_init(&m);
    tensor_f32(&m, "a", 16);
    tensor_at(&m, "b", FH_TYPE_F32, 1, &n, 0);
    expect_broken_made(&m, "offset", "overlaps");
    maker_init(&m);
    tensor_f32(&m, "a", 16);
    tensor_f32(&m, "b", 16);
    tensor_f32(&m, "a", 16);
    expect_broken_made(&m, "name", "also the name of tensors[0]");
}

static void write_part(const char *name, uint32_t no, uint32_t count, uint32_t total, const char *tensor)
{
    maker m;
    maker_init(&m);
    key_u32(&m, "split.no", no);
    key_u32(&m, "split.count", count);
    key_u32(&m, "split.tensors.count", total);
    tensor_f32(&m, tensor, 8);
    maker_write(&m, in_scratch(name));
    maker_fini(&m);
}

static void expect_split_error(int code, const char *what)
{
    fh_gguf *g = NULL;
    fh_err *err = NULL;
    assert_int_equal(fh_gguf_open(&g, in_scratch("s-00001-of-00002.gguf"), &err), code);
    if (!strstr(fh_err_message(err), what)) fail_msg("\"%s\" does not say %s", fh_err_message(err), what);
    fh_err_free(err);
}

static void splits_that_lie_are_refused(void **state)
{
    write_part("s-00001-of-00002.gguf", 0, 2, 2, "a");
    expect_split_error(FH_E_NOT_FOUND, "s-00002-of-00002.gguf");
    write_part("s-00002-of-00002.gguf", 0, 2, 2, "b");
    expect_split_error(FH_E_CORRUPT, "split.no");
    write_part("s-00002-of-00002.gguf", 1, 3, 2, "b");
    expect_split_error(FH_E_CORRUPT, "split.count");
    write_part("s-00002-of-00002.gguf", 1, 2, 2, "a");
    expect_split_error(FH_E_CORRUPT, "also the name");
    write_part("s-00002-of-00002.gguf", 1, 2, 2, "b");
    write_part("s-00001-of-00002.gguf", 0, 2, 3, "a");
    expect_split_error(FH_E_CORRUPT, "split.tensors.count");
    write_part("s-00001-of-00002.gguf", 0, 3, 3, "a");
    expect_split_error(FH_E_INVALID, "-00001-of-00003.gguf");
    write_part("s-00001-of-00002.gguf", 0, 4000000000u, 3, "a");
    expect_split_error(FH_E_CORRUPT, "at most 1024 files");
    write_part("s-00001-of-00002.gguf", 1, 2, 2, "a");
    expect_split_error(FH_E_INVALID, "is file 2 of a split");
    assert_int_equal(unlink(in_scratch("s-00001-of-00002.gguf")), 0);
    assert_int_equal(symlink("/dev/zero", in_scratch("s-00001-of-00002.gguf")), 0);
    fh_gguf *g = NULL;
    assert_true(fh_gguf_open(&g, in_scratch("s-00001-of-00002.gguf"), NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_opens),
        cmocka_unit_test(a_header_that_ends_early_is_refused),
        cmocka_unit_test(a_length_that_lies_is_refused),
        cmocka_unit_test(ten_million_keys_are_refused),
        cmocka_unit_test(the_largest_arrays_cost_little),
        cmocka_unit_test(what_is_no_gguf_is_refused),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(absurd_alignments_are_refused),
        cmocka_unit_test(bad_tensors_are_refused),
        cmocka_unit_test(every_type_is_as_large_as_its_blocks),
        cmocka_unit_test(tensors_that_overlap_or_repeat_are_refused),
        cmocka_unit_test(splits_that_lie_are_refused),
        cmocka_unit_test(the_most_tensors_cost_little),
    };
    return cmocka_run_group_tests(tests, scratch_init, scratch_fini);
}
