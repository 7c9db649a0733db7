/* The makers' files of tokenizers: what is read from them, and that one which lies or asks for what we do not do is refused by name. The
 * ids of real vocabularies are compared with the makers' libraries in tests/model. */
#include "torture.h"
#include "vocab_maker.h"

#include "sys/file.h"

#define B "\xe2\x96\x81" /* U+2581 */

/* A tokenizer.json of parts; NULL: what the first case below has. */
typedef struct parts {
    const char *normalizer, *pre, *post, *added, *model, *vocab, *merges, *more;
} parts;

static const char *otherwise(const char *given, const char *usual)
{
    return given ? given : usual;
}

static const char *document(const parts *p)
{
    static char text[1 << 16];
    snprintf(
        text, sizeof text,
        "{\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,\"added_tokens\":%s,\"model\":{%s\"vocab\":%s,\"merges\":%s}%s}",
        otherwise(p->normalizer, "null"), otherwise(p->pre, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"),
        otherwise(p->post, "null"), otherwise(p->added, "[]"), otherwise(p->model, "\"type\":\"BPE\","),
        otherwise(p->vocab, "{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"<s>\":4}"), otherwise(p->merges, "[[\"a\",\"b\"]]"),
        otherwise(p->more, ""));
    return text;
}

static fh_vocab *read_json(const parts *p)
{
    fh_vocab *v = NULL;
    fh_err *err = NULL;
    if (fh_vocab_from_json(&v, fh_str_of(document(p)), &err)) fail_msg("%s", fh_err_message(err));
    return v;
}

static void gives(const fh_vocab *v, const char *text, unsigned flags, const char *want)
{
    fh_tokens ids = {0};
    FH_AUTO(buf) fh_buf got = FH_BUF(4096);
    assert_int_equal(fh_vocab_encode(v, fh_str_of(text), flags, &ids, NULL), 0);
    for (size_t i = 0; i < ids.count; i++) fh_buf_addf(&got, i ? " %d" : "%d", ids.ids[i]);
    assert_string_equal(fh_buf_cstr(&got), want);
    fh_tokens_fini(&ids);
}

static void bytes_are_joined_by_rank(void **state)
{
    (void)state;
    FH_AUTO(fh_vocab)
    fh_vocab *v = read_json(&(parts){.added = "[{\"id\":4,\"content\":\"<s>\",\"special\":true},{\"id\":7,\"content\":\"<x>\"}]",
                                     .post = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
                                             "{\"Sequence\":{\"id\":\"A\"}}]}"});
    gives(v, "abba ab", 0, "2 1 0 3 2");
    gives(v, "ab<s><x>b", FH_ENCODE_SPECIAL, "2 4 7 1");
    gives(v, "ab", FH_ENCODE_BOS, "4 2");
    gives(v, "<s>ab", 0, "2"); /* the other characters have no token */
    assert_int_equal(fh_vocab_size(v), 8);
    assert_true(fh_vocab_is_control(v, 4));
    assert_int_equal(fh_vocab_piece(v, 6).len, 0);
}

static const char vocab_chars[] = "{\"<unk>\":0,\"" B "\":1,\"h\":2,\"i\":3,\"" B "h\":4,\"" B "hi\":5,\"hi\":6}";
static const char merges_chars[] = "[[\"" B "\",\"h\"],[\"" B "h\",\"i\"],[\"h\",\"i\"]]";

static void blanks_are_put_before_a_text_as_the_file_says(void **state)
{
    (void)state;
    static const struct {
        const char *normalizer, *pre, *plain, *blank, *behind; /* ids of "hi", of " hi", and of "hi<s>hi" */
    } cases[] = {
        {"{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" B
         "\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
         "\"content\":\"" B "\"}]}",
         "null", "5", "1 5", "5 7 5"},
        {"{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" B "\"}",
         "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\",\"invert\":false}", "6", "5", "6 7 6"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"" B "\",\"prepend_scheme\":\"first\",\"split\":false}", "5", "5", "5 7 6"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"" B "\",\"prepend_scheme\":\"always\"}", "5", "5", "5 7 5"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"" B "\",\"prepend_scheme\":\"never\"}", "6", "5", "6 7 6"},
        {"null", "{\"type\":\"Metaspace\",\"replacement\":\"" B "\",\"add_prefix_space\":true}", "5", "5", "5 7 5"}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        FH_AUTO(fh_vocab)
        fh_vocab *v = read_json(&(parts){.normalizer = cases[i].normalizer,
                                         .pre = cases[i].pre,
                                         .vocab = vocab_chars,
                                         .merges = merges_chars,
                                         .model = "\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,",
                                         .added = "[{\"id\":7,\"content\":\"<s>\",\"special\":true}]"});
        FH_AUTO(buf) fh_buf back = FH_BUF(64);
        const fh_token ids[] = {5, 7, 6};
        gives(v, "hi", 0, cases[i].plain);
        gives(v, " hi", 0, cases[i].blank);
        gives(v, "hi<s>hi", FH_ENCODE_SPECIAL, cases[i].behind);
        gives(v, "xyhiz", 0, cases[i].plain[0] == '5' ? "1 0 6 0" : "0 6 0"); /* strangers in a row are one */
        assert_int_equal(fh_vocab_decode_all(v, ids, 3, false, &back, NULL), 0);
        assert_string_equal(fh_buf_cstr(&back), cases[i].plain[0] == '5' ? "hihi" : " hihi");
    }
}

/* ---- what is refused ---- */

static void refuses(const char *text, int code, const char *word)
{
    fh_vocab *v = NULL;
    fh_err *err = NULL;
    int rc = fh_vocab_from_json(&v, fh_str_of(text), &err);
    if (rc != code || !strstr(fh_err_message(err), word))
        fail_msg("%.300s: code %d: %s; wanted %d, %s", text, rc, fh_err_message(err), code, word);
    assert_null(v);
    fh_err_free(err);
}

static void files_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        parts p;
        const char *word;
    } cases[] = {{{.vocab = "[]"}, "model.vocab"},
                 {{.vocab = "{}", .merges = "[]"}, "has no tokens"},
                 {{.vocab = "{\"a\":-1}"}, "has the id -1"},
                 {{.vocab = "{\"a\":\"x\"}"}, "has the id -1"},
                 {{.vocab = "{\"a\":1048576}"}, "has the id 1048576"},
                 {{.vocab = "{\"a\":0,\"b\":0}"}, "two tokens with the id 0"},
                 {{.vocab = "{\"\":0}"}, "token 0 without text"},
                 {{.merges = "{}"}, "model.merges"},
                 {{.merges = "[\"ab\"]"}, "item 0 that is not two tokens"},
                 {{.merges = "[\"a b \"]"}, "item 0 that is not two tokens"},
                 {{.merges = "[[\"a\"]]"}, "item 0 that is not two tokens"},
                 {{.merges = "[7]"}, "item 0 that is not two tokens"},
                 {{.merges = "[[\"a\",\"b\"],[\"b\",\"a\"]]"}, "item 1 that joins or makes"},
                 {{.merges = "[[\"a\",\"b\"],\"a b\"]"}, "item 1 twice"},
                 {{.added = "{}"}, "added_tokens must be an array"},
                 {{.added = "[7]"}, "added_tokens has the id -1"},
                 {{.added = "[{\"id\":9}]"}, "token 9 without text"},
                 {{.added = "[{\"id\":9,\"content\":\"a\"}]"}, "token 9 is the same text as token 0"},
                 {{.added = "[{\"id\":9,\"content\":\"z\",\"special\":1}]"}, "'special' that is neither"},
                 {{.model = "\"type\":\"BPE\",\"unk_token\":\"zz\","}, "model.unk_token is no token"},
                 {{.post = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"zz\"}}]}"}, "post_processor"}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) refuses(document(&cases[i].p), FH_E_CORRUPT, cases[i].word);
    refuses("[]", FH_E_CORRUPT, "is an object");
    refuses("{\"model\":7}", FH_E_CORRUPT, "field model must be an object");
    refuses("{", FH_E_INVALID, "");
}

static void what_is_not_done_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        parts p;
        const char *word;
    } cases[] = {
        {{.model = "\"type\":\"WordPiece\","}, "model.type: \"WordPiece\""},
        {{.model = "\"type\":\"BPE\",\"dropout\":0.5,"}, "dropout"},
        {{.model = "\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\","}, "end_of_word_suffix"},
        {{.model = "\"type\":\"BPE\",\"byte_fallback\":true,"}, "byte_fallback beside ByteLevel"},
        {{.model = "\"type\":\"BPE\",\"unk_token\":\"<s>\","}, "unk_token in place of bytes"},
        {{.normalizer = "{\"type\":\"NFKC\"}"}, "normalizer: \"NFKC\""},
        {{.normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Sequence\"}]}"}, "normalizer: \"Sequence\""},
        {{.normalizer = "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"b\"}"}, "normalizer: \"Replace\""},
        {{.pre = "null"}, "this way of splitting"},
        {{.pre = "{\"type\":\"Whitespace\"}"}, "pre_tokenizer: \"Whitespace\""},
        {{.pre = "{\"type\":\"ByteLevel\"}"}, "add_prefix_space"},
        {{.pre =
              "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a+)+b\"},\"behavior\":\"Isolated\"},"
              "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}"},
         "this way of splitting"},
        {{.pre = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"MergedWithNext\"}"}, "Split with these settings"},
        {{.pre = "{\"type\":\"Metaspace\",\"replacement\":\"_\"}"}, "another replacement"},
        {{.post = "{\"type\":\"RobertaProcessing\"}"}, "post_processor: \"RobertaProcessing\""},
        {{.post = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"<s>\"}}]}"},
         "behind the text"},
        {{.added = "[{\"id\":9,\"content\":\"z\",\"rstrip\":true}]"}, "rstrip"},
        {{.more = ",\"padding\":{}"}, "padding"}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) refuses(document(&cases[i].p), FH_E_UNSUPPORTED, cases[i].word);
}

/* ---- tiktoken ---- */

static void a_tiktoken_file_is_ranks_and_its_name(void **state)
{
    (void)state;
    fh_vocab *v = NULL;
    fh_str text = FH_STR("YQ== 0\nYg== 1\n\nYWI= 2\r\nIA== 3\nIGFi 5");
    assert_int_equal(fh_vocab_from_tiktoken(&v, text, "r50k_base.tiktoken", NULL), 0);
    gives(v, "ab ab b", 0, "2 5 3 1");
    gives(v, "ab<|endoftext|>", FH_ENCODE_SPECIAL, "2 50256");
    gives(v, "ab", FH_ENCODE_BOS, "2");
    assert_int_equal(fh_vocab_size(v), 50257);
    fh_vocab_free(v);
    assert_int_equal(fh_vocab_from_tiktoken(&v, text, "tokenizer.model", NULL), 0);
    gives(v, "ab", FH_ENCODE_BOS, "128000 2");
    fh_vocab_free(v);
}

static void lines_that_lie_are_refused_by_their_number(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"YQ== 0\nYQ 1\n", "line 2 begins with what is no base64"},
                                           {"YR== 0\n", "line 1 begins"},
                                           {"Y=== 0\n", "line 1 begins"},
                                           {"!Q== 0\n", "line 1 begins"},
                                           {"YQ==\n", "line 1 is not a token and its rank"},
                                           {" 0\nYQ== -1\n", "line 1"},
                                           {"YQ== -1\n", "line 1 has no rank"},
                                           {"YQ== 1048576\n", "line 1 has no rank"},
                                           {"YQ== 0\nYg== 0\n", "line 2 has the rank of an earlier one"},
                                           {"YQ== 0\nYQ== 1\n", "same text"},
                                           {"YQ== 50256\n", "rank 50256 is of the special token"},
                                           {"\n", "no token in it"}};
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        fh_vocab *v = NULL;
        fh_err *err = NULL;
        assert_int_equal(fh_vocab_from_tiktoken(&v, fh_str_of(cases[i][0]), "r50k_base.tiktoken", &err), FH_E_CORRUPT);
        if (!strstr(fh_err_message(err), cases[i][1])) fail_msg("\"%s\" does not say \"%s\"", fh_err_message(err), cases[i][1]);
        fh_err_free(err);
    }
}

/* ---- files, and memory ---- */

static void a_file_is_known_by_what_is_in_it(void **state)
{
    (void)state;
    words *w = test_malloc(sizeof *w);
    maker m;
    fh_vocab *v = NULL;
    fh_err *err = NULL;
    char path[512];
    words_bpe(w);
    make_bpe(&m, w, "gpt-2");
    maker_write(&m, in_scratch("model.bin"));
    maker_fini(&m);
    test_free(w);
    assert_int_equal(fh_vocab_open(&v, in_scratch("model.bin"), NULL), 0);
    assert_int_equal(fh_vocab_size(v) > 256, 1);
    fh_vocab_free(v);
    const char *json = document(&(parts){0});
    assert_int_equal(fh_file_write_atomic(in_scratch("some.txt"), json, strlen(json), 0600, NULL), 0);
    assert_int_equal(fh_vocab_open(&v, in_scratch("some.txt"), NULL), 0);
    assert_int_equal(fh_vocab_size(v), 5);
    fh_vocab_free(v);
    snprintf(path, sizeof path, "%s", in_scratch("mine.tiktoken"));
    assert_int_equal(fh_file_write_atomic(path, "YQ== 0\n", 7, 0600, NULL), 0);
    assert_int_equal(fh_vocab_open(&v, path, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "mine.tiktoken"));
    assert_non_null(strstr(fh_err_hint_get(err), "cl100k_base.tiktoken"));
    fh_err_free(err);
    assert_true(fh_vocab_open(&v, in_scratch("nothing"), NULL) < 0);
}

static int scenario(void *arg)
{
    fh_vocab *v = NULL;
    int rc =
        arg ? fh_vocab_from_tiktoken(&v, FH_STR("YQ== 0\nYg== 1\nYWI= 2\n"), "qwen.tiktoken", NULL)
            : fh_vocab_from_json(
                  &v,
                  fh_str_of(document(&(parts){.normalizer = "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" B "\"}",
                                              .pre = "null",
                                              .vocab = vocab_chars,
                                              .merges = merges_chars})),
                  NULL);
    fh_tokens ids = {0};
    if (rc == 0) rc = fh_vocab_encode(v, FH_STR("hi ab hi"), 0, &ids, NULL);
    fh_tokens_fini(&ids);
    fh_vocab_free(v);
    return rc;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    bool tiktoken = true;
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, NULL, 1000) > 10);
    assert_true(fh_torture(FH_FAULT_ALLOC, scenario, &tiktoken, 1000) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_joined_by_rank),
        cmocka_unit_test(blanks_are_put_before_a_text_as_the_file_says),
        cmocka_unit_test(files_that_lie_are_refused),
        cmocka_unit_test(what_is_not_done_is_refused_by_name),
        cmocka_unit_test(a_tiktoken_file_is_ranks_and_its_name),
        cmocka_unit_test(lines_that_lie_are_refused_by_their_number),
        cmocka_unit_test(a_file_is_known_by_what_is_in_it),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, scratch_init, scratch_fini);
}
