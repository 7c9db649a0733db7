/* Arbitrary bytes as text for the tokenizers: the first byte chooses the vocabulary (a small one of each way of splitting, and a
 * SentencePiece one) and whether special tokens are allowed, the rest is text. It must come back as it was, whole and streamed byte by byte
 * through the text assembler; no control token may come of it where none is allowed. */
#include "model/gguf.h"
#include "model/sampler.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const ways[] = {"gpt-2",          "smollm",      "llama-bpe", "gpt-4o", "tekken", "kimi-k2", "deepseek-llm",
                                   "deepseek-coder", "deepseek-v3", "falcon",    "qwen35", "qwen2",  NULL};
static const char *const joins[][2] = {{"h", "e"},
                                       {"he", "l"},
                                       {"\xc4\xa0", "h"},
                                       {"1", "2"},
                                       {"12", "3"},
                                       {"\xc4\x8a", "\xc4\x8a"},
                                       {"\xc4\xa0", "\xc4\xa0"},
                                       {"\xc3\xa2", "\xc4\xac"},
                                       {"a", "a"},
                                       {"aa", "aa"},
                                       {"<", "|"},
                                       {"'", "s"}};
static const char *const pieces[] = {
    "\xe2\x96\x81", "h", "e", "a", "he", "\xe2\x96\x81h", "aa", "aaaa", "\xe2\x96\x81\xe2\x96\x81", "<", "<s", "\xc3\xa9", "12"};
static fh_gguf *files[FH_COUNT(ways)];
static fh_vocab *vocabs[FH_COUNT(ways)];

static void check(bool holds)
{
    if (!holds) abort();
}

static void put(fh_buf *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) fh_buf_addc(b, (char)(v >> (8 * i)));
}

static void put_str(fh_buf *b, const char *s)
{
    put(b, strlen(s), 8);
    fh_buf_adds(b, s);
}

static void put_key(fh_buf *b, const char *key, uint32_t kind, uint32_t elem, uint64_t count)
{
    put_str(b, key);
    put(b, kind, 4);
    if (kind != FH_GGUF_ARRAY) return;
    put(b, elem, 4);
    put(b, count, 8);
}

static void put_byte_piece(fh_buf *b, unsigned byte)
{
    unsigned cp = byte <= 0x20 ? 0x100 + byte : byte >= 0x7f && byte <= 0xa0 ? 0x121 + byte - 0x7f : byte == 0xad ? 0x143 : byte;
    char text[5] = {0};
    fh_utf8_encode(cp, text);
    put_str(b, text);
}

static void put_bpe(fh_buf *b, const char *way)
{
    put_key(b, "tokenizer.ggml.model", FH_GGUF_STRING, 0, 0);
    put_str(b, "gpt2");
    put_key(b, "tokenizer.ggml.pre", FH_GGUF_STRING, 0, 0);
    put_str(b, way);
    put_key(b, "tokenizer.ggml.tokens", FH_GGUF_ARRAY, FH_GGUF_STRING, 258 + FH_COUNT(joins));
    for (unsigned i = 0; i < 256; i++) put_byte_piece(b, i);
    put_str(b, "<|a|>");
    put_str(b, "<tool>");
    for (size_t i = 0; i < FH_COUNT(joins); i++) {
        char joined[16];
        snprintf(joined, sizeof joined, "%s%s", joins[i][0], joins[i][1]);
        put_str(b, joined);
    }
    put_key(b, "tokenizer.ggml.merges", FH_GGUF_ARRAY, FH_GGUF_STRING, FH_COUNT(joins));
    for (size_t i = 0; i < FH_COUNT(joins); i++) {
        char merge[16];
        snprintf(merge, sizeof merge, "%s %s", joins[i][0], joins[i][1]);
        put_str(b, merge);
    }
    put_key(b, "tokenizer.ggml.token_type", FH_GGUF_ARRAY, FH_GGUF_I32, 258 + FH_COUNT(joins));
    for (size_t i = 0; i < 258 + FH_COUNT(joins); i++) put(b, i == 256 ? 3 : i == 257 ? 4 : 1, 4);
}

static void put_spm(fh_buf *b)
{
    size_t count = 259 + FH_COUNT(pieces);
    put_key(b, "tokenizer.ggml.model", FH_GGUF_STRING, 0, 0);
    put_str(b, "llama");
    put_key(b, "tokenizer.ggml.tokens", FH_GGUF_ARRAY, FH_GGUF_STRING, count);
    put_str(b, "<unk>");
    put_str(b, "<s>");
    put_str(b, "</s>");
    for (unsigned i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", i);
        put_str(b, name);
    }
    for (size_t i = 0; i < FH_COUNT(pieces); i++) put_str(b, pieces[i]);
    put_key(b, "tokenizer.ggml.token_type", FH_GGUF_ARRAY, FH_GGUF_I32, count);
    for (size_t i = 0; i < count; i++) put(b, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1, 4);
    put_key(b, "tokenizer.ggml.scores", FH_GGUF_ARRAY, FH_GGUF_F32, count);
    for (size_t i = 0; i < count; i++) put(b, 0xc0000000u + (uint32_t)(i << 12), 4);
    put_key(b, "tokenizer.ggml.add_bos_token", FH_GGUF_BOOL, 0, 0);
    put(b, 1, 1);
}

static const fh_vocab *vocab_of(size_t way)
{
    if (vocabs[way]) return vocabs[way];
    FH_AUTO(buf) fh_buf b = FH_BUF(1 << 20);
    fh_buf_adds(&b, "GGUF");
    put(&b, 3, 4);
    put(&b, 0, 8);
    put(&b, 5, 8);
    if (ways[way])
        put_bpe(&b, ways[way]);
    else
        put_spm(&b);
    char path[64];
    int fd = memfd_create("fuzz-vocab", 0);
    check(fd >= 0 && fh_buf_ok(&b) && pwrite(fd, b.data, b.len, 0) == (ssize_t)b.len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check(fh_gguf_open(&files[way], path, NULL) == 0 && fh_vocab_new(&vocabs[way], files[way], NULL) == 0);
    close(fd);
    return vocabs[way];
}

/* What one way or another of the makers changes: normal form C, and U+2581 which SentencePiece reads as a blank. */
static bool may_differ(size_t way, fh_str text)
{
    if (!ways[way]) return fh_str_find(text, FH_STR("\xe2\x96\x81")) < text.len;
    if (strcmp(ways[way], "qwen2") != 0) return false;
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.ptr[i] >= 0x80) return true;
    return false;
}

static void stream(const fh_vocab *v, const fh_tokens *ids, fh_str stop, fh_buf *out, bool *ret_stopped)
{
    fh_detok *d = NULL;
    check(fh_detok_new(&d, v, &stop, 1, NULL) == 0);
    for (size_t i = 0; i < ids->count; i++) {
        check(fh_detok_push(d, ids->ids[i], out, ret_stopped, NULL) == 0);
        check(fh_utf8_valid(fh_buf_cstr(out), out->len));
    }
    check(fh_detok_finish(d, out, NULL) == 0 && fh_utf8_valid(fh_buf_cstr(out), out->len));
    fh_detok_free(d);
}

static void check_stream(const fh_vocab *v, const fh_tokens *ids, fh_str text)
{
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 22), cut = FH_BUF(1 << 22);
    bool stopped = false;
    stream(v, ids, (fh_str){"", 0}, &out, &stopped);
    check(!stopped);
    fh_str stop = {text.ptr + text.len / 3, FH_MIN(text.len / 3, (size_t)6)};
    stream(v, ids, stop, &cut, &stopped);
    if (stopped && fh_utf8_valid(stop.ptr, stop.len)) check(fh_str_find((fh_str){fh_buf_cstr(&cut), cut.len}, stop) == cut.len);
    check(stopped || (cut.len == out.len && memcmp(fh_buf_cstr(&cut), fh_buf_cstr(&out), out.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    size_t way = (data[0] & 0x3f) % FH_COUNT(ways);
    unsigned flags = data[0] & 0x40 ? FH_ENCODE_SPECIAL : 0;
    const fh_vocab *v = vocab_of(way);
    fh_str text = {(const char *)data + 1, size - 1};
    fh_tokens ids = {0};
    FH_AUTO(buf) fh_buf back = FH_BUF(1 << 22);
    check(fh_vocab_encode(v, text, flags, &ids, NULL) == 0);
    for (size_t i = 0; i < ids.count; i++) check(flags || !fh_vocab_is_control(v, ids.ids[i]));
    check(fh_vocab_decode_all(v, ids.ids, ids.count, true, &back, NULL) == 0);
    if (!may_differ(way, text)) check(back.len == text.len && memcmp(fh_buf_cstr(&back), text.ptr, text.len) == 0);
    check_stream(v, &ids, text);
    fh_tokens_fini(&ids);
    return 0;
}
