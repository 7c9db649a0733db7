/* Small vocabularies for tests, made in memory and written as GGUF files. */
#ifndef FH_TEST_VOCAB_MAKER_H
#define FH_TEST_VOCAB_MAKER_H

#include "gguf_maker.h"
#include "vocab_private.h"

typedef struct words {
    char text[2048][24];
    int32_t type[2048];
    float score[2048];
    char merge[1024][48];
    size_t count, merge_count;
} words;

static inline int add_word(words *w, const char *text, int32_t type, float score)
{
    snprintf(w->text[w->count], sizeof w->text[0], "%s", text);
    w->type[w->count] = type;
    w->score[w->count] = score;
    return (int)w->count++;
}
static inline void add_merge(words *w, const char *left, const char *right)
{
    char joined[24];
    snprintf(joined, sizeof joined, "%.11s%.11s", left, right);
    add_word(w, joined, FH_PIECE_NORMAL, 0);
    snprintf(w->merge[w->merge_count++], sizeof w->merge[0], "%.20s %.20s", left, right);
}
static inline void add_bytes(words *w)
{
    for (unsigned b = 0; b < 256; b++) {
        char byte = (char)b, chars[3] = {0};
        fh_bytes_to_chars(&byte, 1, chars);
        add_word(w, chars, FH_PIECE_NORMAL, 0);
    }
}
static inline void write_arrays(maker *m, const words *w, bool scores)
{
    key_array(m, "tokenizer.ggml.tokens", FH_GGUF_STRING, w->count);
    for (size_t i = 0; i < w->count; i++) put_str(m, fh_str_of(w->text[i]));
    key_array(m, "tokenizer.ggml.token_type", FH_GGUF_I32, w->count);
    for (size_t i = 0; i < w->count; i++) put_u32(m, (uint32_t)w->type[i]);
    key_array(m, scores ? "tokenizer.ggml.scores" : "tokenizer.ggml.merges", scores ? FH_GGUF_F32 : FH_GGUF_STRING,
              scores ? w->count : w->merge_count);
    for (size_t i = 0; scores && i < w->count; i++) {
        uint32_t bits;
        memcpy(&bits, &w->score[i], 4);
        put_u32(m, bits);
    }
    for (size_t i = 0; !scores && i < w->merge_count; i++) put_str(m, fh_str_of(w->merge[i]));
}
/* Byte-level BPE: ids 0 to 255 are the bytes, then <|a|> control, <tool> user-defined, four blanks user-defined, then what merges make. */
static inline void words_bpe(words *w)
{
    *w = (words){0};
    add_bytes(w);
    add_word(w, "<|a|>", FH_PIECE_CONTROL, 0);
    add_word(w, "<tool>", FH_PIECE_USER, 0);
    add_word(w, "    ", FH_PIECE_USER, 0);
    add_word(w, "<|a|>x", FH_PIECE_CONTROL, 0);
    add_merge(w, "h", "e");
    add_merge(w, "l", "l");
    add_merge(w, "he", "ll");
    add_merge(w, "hell", "o");
    add_merge(w, "a", "a");
    add_merge(w, "aa", "aa");
    add_merge(w, "<", "|");
}
static inline void make_bpe(maker *m, const words *w, const char *pre)
{
    maker_init(m);
    key_str(m, "tokenizer.ggml.model", "gpt2");
    if (pre) key_str(m, "tokenizer.ggml.pre", pre);
    key_u32(m, "tokenizer.ggml.eos_token_id", 256);
    key_u32(m, "tokenizer.ggml.bos_token_id", 256);
    write_arrays(m, w, false);
}
/* SentencePiece: 0 <unk>, 1 <s>, 2 </s>, 3 to 258 the bytes, then pieces. */
static inline void words_spm(words *w)
{
    *w = (words){0};
    add_word(w, "<unk>", FH_PIECE_UNKNOWN, 0);
    add_word(w, "<s>", FH_PIECE_CONTROL, 0);
    add_word(w, "</s>", FH_PIECE_CONTROL, 0);
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        add_word(w, name, FH_PIECE_BYTE, 0);
    }
    static const char *const pieces[] = {"\xe2\x96\x81",   "h", "i", "a", "b",  "hi", "\xe2\x96\x81h",
                                         "\xe2\x96\x81hi", "<", "s", ">", "<s", "ab", "\xe2\x96\x81\xe2\x96\x81",
                                         "\xc3\xa9"};
    for (size_t i = 0; i < FH_COUNT(pieces); i++) add_word(w, pieces[i], FH_PIECE_NORMAL, -(float)i);
}
static inline void make_spm(maker *m, const words *w)
{
    maker_init(m);
    key_str(m, "tokenizer.ggml.model", "llama");
    write_arrays(m, w, true);
}

typedef struct vocab_file {
    fh_gguf *gguf;
    fh_vocab *vocab;
} vocab_file;
/* Takes m. Answers the code of fh_vocab_new. */
static inline int open_vocab(maker *m, vocab_file *ret, fh_err **err)
{
    const char *path = in_scratch("vocab.gguf");
    *ret = (vocab_file){0};
    maker_write(m, path);
    maker_fini(m);
    assert_int_equal(fh_gguf_open(&ret->gguf, path, NULL), 0);
    return fh_vocab_new(&ret->vocab, ret->gguf, err);
}
static inline void close_vocab(vocab_file *f)
{
    fh_vocab_free(f->vocab);
    fh_gguf_close(f->gguf);
}
static inline void open_bpe(vocab_file *ret, const char *pre)
{
    words *w = test_malloc(sizeof *w);
    maker m;
    words_bpe(w);
    make_bpe(&m, w, pre);
    assert_int_equal(open_vocab(&m, ret, NULL), 0);
    test_free(w);
}
static inline void open_spm(vocab_file *ret)
{
    words *w = test_malloc(sizeof *w);
    maker m;
    words_spm(w);
    make_spm(&m, w);
    assert_int_equal(open_vocab(&m, ret, NULL), 0);
    test_free(w);
}

#endif
