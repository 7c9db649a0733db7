/* A tiny model with random weights, written as a GGUF: for tests that need a model that loads at once and computes in microseconds.
 *
 * Vocabulary: 256 bytes (GPT-2's letters for them, so any text has tokens), a few merges, and the control tokens <|endoftext|>,
 * <|im_start|>,
 * <|im_end|>; a ChatML template. Deterministic: the same spec gives the same file. Plain C, no part of freehold is used. */
#ifndef FH_TESTS_TINY_GGUF_H
#define FH_TESTS_TINY_GGUF_H

#include <stdbool.h>
#include <stdint.h>

typedef enum tiny_type { TINY_F32 = 0, TINY_Q4_0 = 2, TINY_Q8_0 = 8 } tiny_type;

typedef struct tiny_gguf {
    uint32_t layers, embd, ff, heads, kv_heads, context, seed;
    tiny_type type;             /* of the matrices; rows are multiples of 32 */
    unsigned files;             /* 1, or a split of so many: path ends in .gguf, files are named …-00001-of-0000N.gguf */
    bool tied;                  /* no output matrix of its own */
    const char *architecture;   /* "llama"; "qwen2" has biases, "qwen3" norms of heads, "qwen3moe" norms and 8 experts */
    uint32_t head_dim;          /* 0: embd / heads; with norms of heads a multiple of 32 */
    const char *rope_scaling;   /* NULL, "linear", "yarn", "llama3" (as divisors), or anything */
    const char *extra_tensor;   /* NULL, or the name of one more vector */
    const char *chat_template;  /* NULL: ChatML; "": none */
    uint32_t experts_used;      /* 2 of 8 */
    uint32_t expert_gating;     /* 1: softmax */
    bool shares_as_they_are;    /* of experts: their probabilities, not divided by the sum of those chosen */
    uint32_t skip_layer_tensor; /* n > 0: the nth matrix of layer 0 is left out */
} tiny_gguf;

enum { TINY_VOCAB = 320, TINY_EOT = 256, TINY_IM_START = 257, TINY_IM_END = 258 };

void tiny_gguf_default(tiny_gguf *t);                       /* 2 layers, width 64, feed-forward 128, 4 heads over 2, context 256, F32 */
bool tiny_gguf_write(const tiny_gguf *t, const char *path); /* of the first file, when split: see tiny_gguf_path */
void tiny_gguf_path(const tiny_gguf *t, const char *path, unsigned file, char *out, unsigned out_size);

#endif
