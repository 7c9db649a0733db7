/* Vocabularies that lie: each is refused with an error that names the field, never believed, never fatal, and with little memory. */
#include "memory_bound.h"
#include "vocab_maker.h"

static void refuse(maker *m, int code, const char *what)
{
    vocab_file f;
    fh_err *err = NULL;
    assert_true(memory_bound(MEMORY_MAX));
    int rc = open_vocab(m, &f, &err);
    assert_true(memory_used() < MEMORY_MAX);
    if (rc != code) fail_msg("%s: code %d: %s", what, rc, fh_err_message(err));
    if (!strstr(fh_err_message(err), what)) fail_msg("\"%s\" does not say %s", fh_err_message(err), what);
    fh_err_free(err);
    close_vocab(&f);
}

typedef void change(words *w);

static void refuse_bpe(change *fn, const char *what)
{
    words *w = test_malloc(sizeof *w);
    maker m;
    words_bpe(w);
    fn(w);
    make_bpe(&m, w, "gpt-2");
    refuse(&m, FH_E_CORRUPT, what);
    test_free(w);
}

static void cyclic(words *w) /* "a" from "a b" and "a": makes what is no token */
{
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "hello h");
}
static void unknown_left(words *w)
{
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "zz a");
}
static void one_part(words *w)
{
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "hello");
}
static void blank_end(words *w)
{
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "h ");
}
static void empty_merge(words *w)
{
    w->merge[w->merge_count++][0] = 0;
}
static void repeated(words *w)
{
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "h e");
}
static void twin(words *w)
{
    add_word(w, "hello", FH_PIECE_NORMAL, 0);
}
static void odd_type(words *w)
{
    w->type[3] = 7;
}

static void merges_that_lie_are_refused(void **state)
{
    refuse_bpe(cyclic, "field tokenizer.ggml.merges[7]: makes something that is no token");
    refuse_bpe(unknown_left, "tokenizer.ggml.merges[7]: joins something that is no token");
    refuse_bpe(one_part, "tokenizer.ggml.merges[7]: is not two tokens");
    refuse_bpe(blank_end, "tokenizer.ggml.merges[7]: is not two tokens");
    refuse_bpe(empty_merge, "tokenizer.ggml.merges[7]: is not two tokens");
    refuse_bpe(repeated, "tokenizer.ggml.merges[7]: is there twice");
}

static void tokens_that_lie_are_refused(void **state)
{
    refuse_bpe(twin, "tokenizer.ggml.tokens[267]: is the same text as token 263");
    refuse_bpe(odd_type, "tokenizer.ggml.token_type[3]: is 7");
}

static void missing_and_misfit_fields_are_refused(void **state)
{
    words *w = test_malloc(sizeof *w);
    maker m;
    words_bpe(w);
    maker_init(&m);
    refuse(&m, FH_E_CORRUPT, "tokenizer.ggml.model");
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "b\x1b[rt");
    refuse(&m, FH_E_UNSUPPORTED, "\"b?[rt\" is not supported");
    make_bpe(&m, w, "never-heard-of");
    refuse(&m, FH_E_UNSUPPORTED, "\"never-heard-of\" is not supported");
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "gpt2");
    key_u32(&m, "tokenizer.ggml.tokens", 1);
    refuse(&m, FH_E_CORRUPT, "field tokenizer.ggml.tokens: is u32, not an array of string");
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "gpt2");
    key_array(&m, "tokenizer.ggml.tokens", FH_GGUF_STRING, 0);
    refuse(&m, FH_E_CORRUPT, "a vocabulary has 1 to");
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "gpt2");
    key_array(&m, "tokenizer.ggml.tokens", FH_GGUF_STRING, 1);
    put_str(&m, FH_STR("a"));
    refuse(&m, FH_E_CORRUPT, "has no key tokenizer.ggml.merges");
    test_free(w);
}

static void counts_and_ids_out_of_range_are_refused(void **state)
{
    words *w = test_malloc(sizeof *w);
    maker m;
    words_bpe(w);
    make_bpe(&m, w, "gpt-2");
    key_u32(&m, "tokenizer.ggml.eot_token_id", 267);
    refuse(&m, FH_E_CORRUPT, "tokenizer.ggml.eot_token_id: is 267");
    words_spm(w);
    w->score[5] = __builtin_nanf("");
    make_spm(&m, w);
    refuse(&m, FH_E_CORRUPT, "tokenizer.ggml.scores[5]: is no finite number");
    words_spm(w);
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "llama");
    key_array(&m, "tokenizer.ggml.tokens", FH_GGUF_STRING, 2);
    put_str(&m, FH_STR("a"));
    put_str(&m, FH_STR("b"));
    key_array(&m, "tokenizer.ggml.scores", FH_GGUF_F32, 1);
    put_u32(&m, 0);
    refuse(&m, FH_E_CORRUPT, "tokenizer.ggml.scores[1]: there are 2 tokens");
    test_free(w);
}

static void huge_vocabularies_are_refused(void **state)
{
    maker m;
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "gpt2");
    key_array(&m, "tokenizer.ggml.tokens", FH_GGUF_STRING, FH_LIMIT_VOCAB_TOKENS + 1);
    for (int i = 0; i <= FH_LIMIT_VOCAB_TOKENS; i++) put_u64(&m, 0);
    refuse(&m, FH_E_CORRUPT, "a vocabulary has 1 to");
    static char large[FH_LIMIT_VOCAB_PIECE_BYTES + 1];
    memset(large, 'x', sizeof large);
    maker_init(&m);
    key_str(&m, "tokenizer.ggml.model", "gpt2");
    key_array(&m, "tokenizer.ggml.tokens", FH_GGUF_STRING, 1);
    put_str(&m, (fh_str){large, sizeof large});
    refuse(&m, FH_E_CORRUPT, "tokenizer.ggml.tokens[0]: is 4097 bytes long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_that_lie_are_refused),           cmocka_unit_test(tokens_that_lie_are_refused),
        cmocka_unit_test(missing_and_misfit_fields_are_refused), cmocka_unit_test(counts_and_ids_out_of_range_are_refused),
        cmocka_unit_test(huge_vocabularies_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_init, scratch_fini);
}
