/* Encoding and decoding with small vocabularies: what is text, what is special, what is lost, and how long it may take. How the real ones
 * encode is held against the tokenizers library in tests/model. */
#include "base/clock.h"
#include "torture.h"
#include "vocab_maker.h"

static void expect_ids(const fh_vocab *v, const char *text, unsigned flags, const fh_token *ids, size_t count)
{
    fh_tokens t = {0};
    assert_int_equal(fh_vocab_encode(v, fh_str_of(text), flags, &t, NULL), 0);
    if (t.count != count || (count && memcmp(t.ids, ids, count * sizeof *ids) != 0)) {
        for (size_t i = 0; i < t.count; i++) print_message("%d ", t.ids[i]);
        fail_msg("%s", text);
    }
    fh_tokens_fini(&t);
}
#define EXPECT(v, text, flags, ...)                                                                                                        \
    expect_ids(v, text, flags, (const fh_token[]){__VA_ARGS__}, sizeof((const fh_token[]){__VA_ARGS__}) / sizeof(fh_token))

static void expect_back(const fh_vocab *v, fh_str text, unsigned flags)
{
    fh_tokens t = {0};
    FH_AUTO(buf) fh_buf out = FH_BUF(1u << 24);
    assert_int_equal(fh_vocab_encode(v, text, flags, &t, NULL), 0);
    assert_int_equal(fh_vocab_decode_all(v, t.ids, t.count, flags & FH_ENCODE_SPECIAL, &out, NULL), 0);
    if (out.len != text.len || memcmp(fh_buf_cstr(&out), text.ptr, text.len) != 0)
        fail_msg("a text of %zu bytes that begins with %d came back as %zu: %s", text.len, text.len ? (uint8_t)text.ptr[0] : 0, out.len,
                 fh_buf_cstr(&out));
    fh_tokens_fini(&t);
}

static void merges_apply_in_the_order_of_their_ranks(void **state)
{
    vocab_file f;
    open_bpe(&f, "gpt-2");
    EXPECT(f.vocab, "hello", 0, 263);
    EXPECT(f.vocab, "hell", 0, 262);
    EXPECT(f.vocab, "hel", 0, 260, 'l');
    EXPECT(f.vocab, "aaaaaaa", 0, 265, 264, 'a');
    EXPECT(f.vocab, "hello\xff", 0, 263, 0xff);
    expect_ids(f.vocab, "", 0, NULL, 0);
    close_vocab(&f);
}

static void special_tokens_are_read_only_where_allowed(void **state)
{
    vocab_file f;
    open_bpe(&f, "gpt-2");
    EXPECT(f.vocab, "<|a|>", FH_ENCODE_SPECIAL, 256);
    EXPECT(f.vocab, "<|a|>", 0, 266, 'a', '|', '>');
    EXPECT(f.vocab, "hello<tool>hello", FH_ENCODE_SPECIAL, 263, 257, 263);
    EXPECT(f.vocab, "<tool>", 0, '<', 't', 'o', 'o', 'l', '>');
    EXPECT(f.vocab, "<|a|>x<|a|", FH_ENCODE_SPECIAL, 259, 266, 'a', '|'); /* the longest, and no half one */
    EXPECT(f.vocab, "x    x", 0, 'x', 258, 'x');                          /* blanks alone forge nothing */
    close_vocab(&f);
    open_spm(&f);
    EXPECT(f.vocab, "<s>", FH_ENCODE_SPECIAL, 1);
    EXPECT(f.vocab, "<s>", 0, 259, 270, 269); /* "<s" and ">" join to no control token */
    EXPECT(f.vocab, "<0x41>", 0, 259, 267, 3 + '0', 3 + 'x', 3 + '4', 3 + '1', 269);
    close_vocab(&f);
}

static void sentencepiece_joins_by_score(void **state)
{
    vocab_file f;
    open_spm(&f);
    EXPECT(f.vocab, "hi", 0, 266);
    EXPECT(f.vocab, "hi hi", 0, 266, 266);
    EXPECT(f.vocab, "  ab", 0, 272, 259, 271);
    EXPECT(f.vocab, "\xc3\xa9\xe2\x82\xac", 0, 259, 273, 3 + 0xe2, 3 + 0x82, 3 + 0xac);
    EXPECT(f.vocab, "hi", FH_ENCODE_BOS, 1, 266);
    EXPECT(f.vocab, "hi<s>hi", FH_ENCODE_SPECIAL, 266, 1, 266);
    assert_true(fh_vocab_is_end(f.vocab, 2));
    close_vocab(&f);
}

static void any_bytes_come_back(void **state)
{
    vocab_file f[3];
    open_bpe(&f[0], "gpt-2");
    open_bpe(&f[1], "deepseek-llm");
    open_spm(&f[2]);
    uint32_t r = 1;
    char text[97];
    for (int round = 0; round < 3000; round++) {
        size_t n = (size_t)round % sizeof text;
        for (size_t i = 0; i < n; i++) {
            r = r * 1664525 + 1013904223;
            text[i] = round % 3 ? "<|a>x s/\xf0\x9f\x98\xe2\n"[(r >> 16) % 14] : (char)(r >> 24);
        }
        for (int k = 0; k < 3; k++)
            for (unsigned flags = 0; flags < 2; flags++) expect_back(f[k].vocab, (fh_str){text, n}, flags);
    }
    for (int k = 0; k < 3; k++) close_vocab(&f[k]);
}

static void a_byte_without_token_is_left_out(void **state)
{
    words *w = test_malloc(sizeof *w);
    words_bpe(w);
    snprintf(w->text['q'], sizeof w->text[0], "[no q]");
    maker m;
    vocab_file f;
    make_bpe(&m, w, "gpt-2");
    assert_int_equal(open_vocab(&m, &f, NULL), 0);
    EXPECT(f.vocab, "heqllo", 0, 263); /* what is around it joins, as in the tokenizers library */
    expect_ids(f.vocab, "q", 0, NULL, 0);
    close_vocab(&f);
    test_free(w);
}

static void long_words_take_no_longer_than_their_length(void **state)
{
    static const char *const ways[] = {"gpt-2", "llama-bpe", "gpt-4o", "kimi-k2", "deepseek-llm", "deepseek-v3", "tekken", "falcon", NULL};
    static const char fills[] = {'a', ' ', 'A', '1', '!', '\n', '\xc3', '\''};
    size_t n = FH_SANITIZED ? 1u << 17 : 1u << 20;
    char *text = test_malloc(n + 1);
    for (int k = 0; k < 9; k++) {
        vocab_file f;
        if (ways[k])
            open_bpe(&f, ways[k]);
        else
            open_spm(&f);
        for (size_t c = 0; c < sizeof fills; c++) {
            memset(text, fills[c], n);
            text[n] = 'b';
            int64_t began = fh_clock_mono_ns();
            expect_back(f.vocab, (fh_str){text, n + 1}, 0);
            int64_t took = fh_clock_mono_ns() - began;
            if (took > 20 * FH_NS_PER_S)
                fail_msg("%s: a long word of byte %d took %.1f s", ways[k] ? ways[k] : "spm", fills[c], (double)took / 1e9);
        }
        close_vocab(&f);
    }
    test_free(text);
}

static void what_is_asked_of_tokens_is_answered(void **state)
{
    vocab_file f;
    open_bpe(&f, NULL);
    const fh_vocab *v = f.vocab;
    assert_non_null(fh_vocab_warning(v));
    assert_int_equal(fh_vocab_size(v), 267);
    assert_int_equal(fh_vocab_find(v, FH_STR("hello")), 263);
    assert_int_equal(fh_vocab_find(v, FH_STR("nothing")), FH_TOKEN_NONE);
    assert_true(fh_vocab_is_control(v, 256) && !fh_vocab_is_control(v, 257) && !fh_vocab_is_control(v, -1) && !fh_vocab_is_control(v, 267));
    assert_int_equal(fh_vocab_eos(v), 256);
    assert_true(fh_vocab_is_end(v, 256) && !fh_vocab_is_end(v, 0) && !fh_vocab_is_end(v, 9999));
    assert_true(fh_str_eqs(fh_vocab_piece(v, 263), "hello"));
    assert_int_equal(fh_vocab_piece(v, -5).len, 0);
    fh_buf out = FH_BUF(100);
    assert_int_equal(fh_vocab_decode(v, 256, false, &out, NULL), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(fh_vocab_decode(v, 256, true, &out, NULL), 0);
    assert_string_equal(fh_buf_cstr(&out), "<|a|>");
    assert_int_equal(fh_vocab_decode(v, 267, true, &out, NULL), FH_E_INVALID);
    fh_buf_fini(&out);
    close_vocab(&f);
}

static void too_long_a_text_is_refused(void **state)
{
    vocab_file f;
    open_bpe(&f, "gpt-2");
    fh_tokens t = {0};
    fh_tokens_push(&t, 7);
    assert_int_equal(fh_vocab_encode(f.vocab, (fh_str){"", (size_t)FH_LIMIT_ENCODE_BYTES + 1}, 0, &t, NULL), FH_E_TOO_LARGE);
    assert_int_equal(t.count, 1);
    fh_tokens_fini(&t);
    close_vocab(&f);
}

static void byte_characters_map_one_to_one(void **state)
{
    bool seen[400] = {false};
    for (unsigned b = 0; b < 256; b++) {
        uint32_t cp = fh_byte_to_char((uint8_t)b);
        assert_true(cp > 0x20 && cp < 0x144 && !seen[cp]);
        seen[cp] = true;
        assert_int_equal(fh_char_to_byte(cp), (int)b);
    }
    assert_int_equal(fh_char_to_byte(0x144), -1);
    assert_int_equal(fh_char_to_byte(0xad), -1);
    assert_int_equal(fh_char_to_byte(' '), -1);
    assert_int_equal(fh_byte_to_char(' '), 0x120); /* the well-known G with dot */
}

typedef struct torment {
    const char *path;
} torment;

static int load_and_encode(void *arg)
{
    const torment *t = arg;
    FH_AUTO(fh_gguf) fh_gguf *g = NULL;
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    FH_AUTO(buf) fh_buf out = FH_BUF(1000);
    fh_tokens ids = {0};
    fh_err *err = NULL;
    int rc = fh_gguf_open(&g, t->path, &err);
    if (!rc) rc = fh_vocab_new(&v, g, &err);
    if (!rc) rc = fh_vocab_encode(v, FH_STR("hello e\xcc\x81 hi 123\n <|a|>\xff"), FH_ENCODE_SPECIAL, &ids, &err);
    if (!rc) rc = fh_vocab_decode_all(v, ids.ids, ids.count, true, &out, &err);
    if (rc) assert_true(rc == FH_E_NOMEM || rc == FH_E_IO || rc == FH_E_NOT_FOUND);
    fh_tokens_fini(&ids);
    fh_err_free(err);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    vocab_file f;
    torment t = {in_scratch("vocab.gguf")};
    char path[160];
    snprintf(path, sizeof path, "%s", t.path);
    t.path = path;
    open_bpe(&f, "qwen2");
    close_vocab(&f);
    assert_true(fh_torture(FH_FAULT_ALLOC, load_and_encode, &t, 1000) > 20);
    assert_true(fh_torture(FH_FAULT_OPEN, load_and_encode, &t, 100) > 0);
    open_spm(&f);
    close_vocab(&f);
    assert_true(fh_torture(FH_FAULT_ALLOC, load_and_encode, &t, 1000) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_apply_in_the_order_of_their_ranks),
        cmocka_unit_test(special_tokens_are_read_only_where_allowed),
        cmocka_unit_test(sentencepiece_joins_by_score),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(a_byte_without_token_is_left_out),
        cmocka_unit_test(long_words_take_no_longer_than_their_length),
        cmocka_unit_test(what_is_asked_of_tokens_is_answered),
        cmocka_unit_test(too_long_a_text_is_refused),
        cmocka_unit_test(byte_characters_map_one_to_one),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, scratch_init, scratch_fini);
}
