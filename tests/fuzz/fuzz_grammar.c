/* Grammars and schemas of arbitrary text: the first byte says which (GBNF or JSON Schema), the rest up to a byte 0 is it, and what follows
 * chooses tokens. Refusals must carry an error; what is generated under a grammar must be taken by it as text too, and, when it ends, what
 * a schema describes must be JSON. The vocabulary is the bytes and a few joined ones. */
#include "model/gguf.h"
#include "model/grammar.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENS_MOST = 64, TEXT_BYTES = 1 << 20, INPUT_MOST = 2048 };
static const char *const joins[][2] = {{"h", "e"}, {"a", "a"}, {"aa", "aa"}, {"{", "\""}, {"\"", ":"}, {"0", "0"}};
static fh_gguf *file;
static fh_vocab *vocab;
static fh_grammars *grammars;

static void check(bool holds)
{
    if (!holds) abort();
}

/* ---- the vocabulary ---- */

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

static void put_file(fh_buf *b)
{
    fh_buf_adds(b, "GGUF");
    put(b, 3, 4);
    put(b, 0, 8);
    put(b, 5, 8);
    put_key(b, "tokenizer.ggml.model", FH_GGUF_STRING, 0, 0);
    put_str(b, "gpt2");
    put_key(b, "tokenizer.ggml.pre", FH_GGUF_STRING, 0, 0);
    put_str(b, "gpt-2");
    put_key(b, "tokenizer.ggml.eos_token_id", FH_GGUF_U32, 0, 0);
    put(b, 256, 4);
    put_key(b, "tokenizer.ggml.tokens", FH_GGUF_ARRAY, FH_GGUF_STRING, 257 + FH_COUNT(joins));
    for (unsigned i = 0; i < 256; i++) put_byte_piece(b, i);
    put_str(b, "<|end|>");
    for (size_t i = 0; i < FH_COUNT(joins); i++) {
        char joined[16];
        snprintf(joined, sizeof joined, "%s%s", joins[i][0], joins[i][1]);
        put_str(b, joined);
    }
    put_key(b, "tokenizer.ggml.merges", FH_GGUF_ARRAY, FH_GGUF_STRING, FH_COUNT(joins));
    for (size_t i = 0; i < FH_COUNT(joins); i++) {
        char pair[16];
        snprintf(pair, sizeof pair, "%s %s", joins[i][0], joins[i][1]);
        put_str(b, pair);
    }
}

static void open_once(void)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(1 << 20);
    char path[64];
    if (grammars) return;
    put_file(&b);
    int fd = memfd_create("vocab", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, b.data, b.len) == (ssize_t)b.len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check(fh_gguf_open(&file, path, NULL) == 0 && fh_vocab_new(&vocab, file, NULL) == 0);
    check(fh_grammars_new(&grammars, vocab, fh_vocab_size(vocab), NULL) == 0);
    close(fd);
}

/* ---- a grammar ---- */

static int compile(bool schema, fh_str text, fh_grammar **ret)
{
    FH_AUTO(json) fh_json *v = NULL;
    fh_err *err = NULL;
    if (schema && fh_json_parse(&v, text, INPUT_MOST, NULL) != 0) return FH_E_INVALID;
    fh_grammar_source s = {.kind = schema ? FH_GRAMMAR_SCHEMA : FH_GRAMMAR_GBNF, .text = text, .schema = v, .param = "form"};
    int rc = fh_grammars_get(grammars, &s, ret, &err);
    check(rc == 0 || (err && fh_err_message(err)[0] && (fh_err_code(err) == FH_E_NOMEM || fh_err_param_get(err))));
    fh_err_free(err);
    return rc;
}

static fh_token choose(const uint64_t *mask, uint8_t byte)
{
    size_t count = 0, size = fh_vocab_size(vocab);
    for (size_t i = 0; i < size; i++) count += mask[i / 64] >> (i % 64) & 1;
    size_t wanted = count ? byte % count : 0;
    for (size_t i = 0; i < size; i++)
        if ((mask[i / 64] >> (i % 64) & 1) && wanted-- == 0) return (fh_token)i;
    return FH_TOKEN_NONE;
}

static void generate(fh_grammar *g, bool schema, const uint8_t *data, size_t size)
{
    FH_AUTO(fh_grammar_state) fh_grammar_state *s = NULL;
    FH_AUTO(fh_grammar_state) fh_grammar_state *again = NULL;
    FH_AUTO(buf) fh_buf text = FH_BUF(TEXT_BYTES);
    FH_AUTO(json) fh_json *v = NULL;
    fh_err *err = NULL;
    uint64_t mask[8];
    bool ended = false;
    check(fh_grammar_state_new(&s, g, NULL) == 0 && fh_grammar_state_new(&again, g, NULL) == 0);
    for (uint64_t left = TOKENS_MOST; left > 0 && !ended; left--) {
        if (fh_grammar_state_mask(s, left, mask, NULL)) return; /* bytes that no token has */
        fh_token t = choose(mask, size ? data[left % size] : 0);
        check(t != FH_TOKEN_NONE && fh_grammar_state_accept(s, t));
        ended = fh_vocab_is_end(vocab, t);
        check(ended || fh_vocab_decode(vocab, t, true, &text, NULL) == 0);
    }
    check(fh_grammar_state_may_end(s) || !ended);
    check(!fh_utf8_valid(fh_buf_cstr(&text), text.len) || fh_grammar_state_accept_text(again, (fh_str){fh_buf_cstr(&text), text.len}));
    int rc = schema && ended ? fh_json_parse(&v, (fh_str){fh_buf_cstr(&text), text.len}, TEXT_BYTES, &err) : 0;
    check(rc == 0 || strstr(fh_err_message(err), "duplicate") || strstr(fh_err_message(err), "NUL") ||
          strstr(fh_err_message(err), "u0000"));
    fh_err_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_once();
    if (size < 1 || size > INPUT_MOST) return 0;
    const char *text = (const char *)data + 1;
    size_t length = strnlen(text, size - 1), behind = 1 + length + (length < size - 1);
    FH_AUTO(fh_grammar) fh_grammar *g = NULL;
    bool schema = data[0] & 1;
    if (compile(schema, (fh_str){text, length}, &g) == 0) generate(g, schema, data + behind, size - behind);
    return 0;
}
