/* The makers' files of tokenizers from arbitrary bytes: the first one says as what the rest is read. What is taken must encode any text to
 * ids that there are, without a control token where none is allowed, and decode them. */
#include "base/limits.h"
#include "model/vocab.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {NULL,           "cl100k_base.tiktoken", "r50k_base.tiktoken", "tokenizer.model", "tiktoken.model",
                                    "qwen.tiktoken"};

static void check(bool holds)
{
    if (!holds) abort();
}

static void encode(const fh_vocab *v, fh_str text, unsigned flags)
{
    fh_tokens ids = {0};
    FH_AUTO(buf) fh_buf back = FH_BUF(1 << 24);
    check(fh_vocab_encode(v, text, flags, &ids, NULL) == 0);
    for (size_t i = 0; i < ids.count; i++) {
        check(ids.ids[i] >= 0 && (size_t)ids.ids[i] < fh_vocab_size(v));
        check(flags || !fh_vocab_is_control(v, ids.ids[i]) || ids.ids[i] == fh_vocab_unknown(v));
    }
    check(fh_vocab_decode_all(v, ids.ids, ids.count, true, &back, NULL) == 0);
    fh_tokens_fini(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    const char *name = names[data[0] % FH_COUNT(names)];
    fh_str file = {(const char *)data + 1, size - 1};
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    fh_err *err = NULL;
    int rc = name ? fh_vocab_from_tiktoken(&v, file, name, &err) : fh_vocab_from_json(&v, file, &err);
    check((rc == 0) == (v != NULL) && (rc == 0) == (err == NULL));
    fh_err_free(err);
    if (rc) return 0;
    static const char text[] = "ab hello  \xe2\x96\x81 x<s>\xff\xe4\xbd\xa0 12345\n";
    for (unsigned flags = 0; flags <= (FH_ENCODE_SPECIAL | FH_ENCODE_BOS); flags += FH_ENCODE_SPECIAL | FH_ENCODE_BOS) {
        encode(v, FH_STR(text), flags);
        encode(v, (fh_str){file.ptr, FH_MIN(file.len, (size_t)4096)}, flags);
    }
    return 0;
}
