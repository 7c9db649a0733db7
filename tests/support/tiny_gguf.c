#include "tiny_gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 32, TENSORS_MAX = 512, EXPERTS = 8 };

typedef struct tensor {
    char name[64];
    uint64_t depth, rows, cols; /* depth: matrices in it */
    tiny_type type;
    float gain; /* 0: a norm's weights, near 1 */
} tensor;

typedef struct plan {
    tensor tensors[TENSORS_MAX];
    unsigned count;
} plan;

void tiny_gguf_default(tiny_gguf *t)
{
    *t = (tiny_gguf){.layers = 2,
                     .embd = 64,
                     .ff = 128,
                     .heads = 4,
                     .kv_heads = 2,
                     .context = 256,
                     .seed = 1,
                     .type = TINY_F32,
                     .files = 1,
                     .experts_used = 2,
                     .expert_gating = 1,
                     .architecture = "llama"};
}

void tiny_gguf_path(const tiny_gguf *t, const char *path, unsigned file, char *out, unsigned out_size)
{
    size_t stem = strlen(path) - strlen(".gguf");
    if (t->files < 2)
        snprintf(out, out_size, "%s", path);
    else
        snprintf(out, out_size, "%.*s-%05u-of-%05u.gguf", (int)stem, path, file + 1, t->files);
}

/* ---- pieces of the format ---- */

static void put(FILE *f, const void *data, size_t bytes)
{
    fwrite(data, 1, bytes, f);
}

static void put_u32(FILE *f, uint32_t v)
{
    put(f, &v, sizeof v);
}

static void put_u64(FILE *f, uint64_t v)
{
    put(f, &v, sizeof v);
}

static void put_str(FILE *f, const char *s)
{
    put_u64(f, strlen(s));
    put(f, s, strlen(s));
}

static void key_u32(FILE *f, const char *prefix, const char *key, uint32_t v)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, key);
    put_str(f, full);
    put_u32(f, 4);
    put_u32(f, v);
}

static void key_u16(FILE *f, const char *key, uint16_t v)
{
    put_str(f, key);
    put_u32(f, 2);
    put(f, &v, sizeof v);
}

static void key_bool(FILE *f, const char *prefix, const char *key, bool v)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, key);
    put_str(f, full);
    put_u32(f, 7);
    fputc(v, f);
}

static void key_f32(FILE *f, const char *prefix, const char *key, float v)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, key);
    put_str(f, full);
    put_u32(f, 6);
    put(f, &v, sizeof v);
}

static void key_str(FILE *f, const char *prefix, const char *key, const char *v)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", prefix, key);
    put_str(f, full);
    put_u32(f, 8);
    put_str(f, v);
}

static void key_array(FILE *f, const char *key, uint32_t kind, uint64_t count)
{
    put_str(f, key);
    put_u32(f, 9);
    put_u32(f, kind);
    put_u64(f, count);
}

/* ---- the vocabulary ---- */

static const char *const merges[] = {"t h", "th e", "i n", "a n", "e r", "o n", "r e", "l l", "o u", "l o"};
enum { MERGES = sizeof merges / sizeof merges[0] };

/* GPT-2's letter for a byte: printable ones stand for themselves, the others are U+0100 upwards in order. */
static void byte_letter(unsigned byte, char out[4])
{
    unsigned cp = byte, moved = 0;
    for (unsigned b = 0; b <= byte; b++) {
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte && !plain) cp = 256 + moved;
        if (!plain) moved++;
    }
    if (cp < 128)
        snprintf(out, 4, "%c", (char)cp);
    else
        snprintf(out, 4, "%c%c", (char)(0xc0 | (cp >> 6)), (char)(0x80 | (cp & 63)));
}

static void token_text(unsigned id, char out[32])
{
    static const char *const control[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    if (id < 256)
        byte_letter(id, out);
    else if (id < 259)
        snprintf(out, 32, "%s", control[id - 256]);
    else if (id < 259 + MERGES) {
        const char *m = merges[id - 259], *space = strchr(m, ' ');
        snprintf(out, 32, "%.*s%s", (int)(space - m), m, space + 1);
    } else
        snprintf(out, 32, "<unused%u>", id);
}

static uint32_t token_kind(unsigned id)
{
    if (id >= 256 && id < 259) return 3;
    return id < 259 + MERGES ? 1 : 5;
}

static void put_vocabulary(FILE *f)
{
    char text[32];
    key_str(f, "tokenizer.ggml.", "model", "gpt2");
    key_str(f, "tokenizer.ggml.", "pre", "gpt-2");
    key_array(f, "tokenizer.ggml.tokens", 8, TINY_VOCAB);
    for (unsigned i = 0; i < TINY_VOCAB; i++) {
        token_text(i, text);
        put_str(f, text);
    }
    key_array(f, "tokenizer.ggml.token_type", 5, TINY_VOCAB);
    for (unsigned i = 0; i < TINY_VOCAB; i++) put_u32(f, token_kind(i));
    key_array(f, "tokenizer.ggml.merges", 8, MERGES);
    for (unsigned i = 0; i < MERGES; i++) put_str(f, merges[i]);
    key_u32(f, "tokenizer.ggml.", "bos_token_id", TINY_EOT);
    key_u32(f, "tokenizer.ggml.", "eos_token_id", TINY_IM_END);
}

static const char chatml[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

static bool llama3(const tiny_gguf *t)
{
    return t->rope_scaling && strcmp(t->rope_scaling, "llama3") == 0;
}

static bool is(const tiny_gguf *t, const char *architecture)
{
    return strcmp(t->architecture, architecture) == 0;
}

static bool mixture(const tiny_gguf *t)
{
    return is(t, "qwen3moe");
}

static uint32_t head_dim(const tiny_gguf *t)
{
    return t->head_dim ? t->head_dim : t->embd / t->heads;
}

static bool scaled_by_keys(const tiny_gguf *t)
{
    return t->rope_scaling && !llama3(t);
}

static unsigned put_keys(FILE *f, const tiny_gguf *t, bool count_only)
{
    const char *template = t->chat_template ? t->chat_template : chatml;
    unsigned count = 3 + 9 + 7 + (template[0] != '\0') + (scaled_by_keys(t) ? 3 : 0) + (t->head_dim ? 2 : 0) + (mixture(t) ? 5 : 0);
    if (count_only) return count;
    char arch[64];
    snprintf(arch, sizeof arch, "%s.", t->architecture);
    key_str(f, "general.", "architecture", t->architecture);
    key_str(f, "general.", "name", "tiny");
    key_u32(f, "general.", "alignment", ALIGN);
    key_u32(f, arch, "context_length", t->context);
    key_u32(f, arch, "embedding_length", t->embd);
    key_u32(f, arch, "block_count", t->layers);
    key_u32(f, arch, "feed_forward_length", t->ff);
    key_u32(f, arch, "attention.head_count", t->heads);
    key_u32(f, arch, "attention.head_count_kv", t->kv_heads);
    key_f32(f, arch, "attention.layer_norm_rms_epsilon", 1e-5f);
    key_f32(f, arch, "rope.freq_base", 10000);
    key_u32(f, arch, "vocab_size", TINY_VOCAB);
    if (scaled_by_keys(t)) {
        key_str(f, arch, "rope.scaling.type", t->rope_scaling);
        key_f32(f, arch, "rope.scaling.factor", 4);
        key_u32(f, arch, "rope.scaling.original_context_length", 64);
    }
    if (t->head_dim) {
        key_u32(f, arch, "attention.key_length", t->head_dim);
        key_u32(f, arch, "attention.value_length", t->head_dim);
    }
    if (mixture(t)) {
        key_u32(f, arch, "expert_count", EXPERTS);
        key_u32(f, arch, "expert_used_count", t->experts_used);
        key_u32(f, arch, "expert_gating_func", t->expert_gating);
        key_u32(f, arch, "expert_feed_forward_length", t->ff);
        key_bool(f, arch, "expert_weights_norm", !t->shares_as_they_are);
    }
    put_vocabulary(f);
    if (template[0]) key_str(f, "tokenizer.", "chat_template", template);
    return count;
}

/* ---- tensors ---- */

static void add(plan *p, tiny_type type, float gain, uint64_t rows, uint64_t cols, const char *name)
{
    tensor *n = &p->tensors[p->count++];
    *n = (tensor){.depth = 1, .rows = rows, .cols = cols, .type = type, .gain = gain};
    snprintf(n->name, sizeof n->name, "%s", name);
}

static void add_vector(plan *p, unsigned layer, const char *name, float gain, uint64_t count)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%u.%s", layer, name);
    add(p, TINY_F32, gain, 1, count, full);
}

static void add_vectors(plan *p, const tiny_gguf *t, unsigned layer)
{
    uint64_t qd = (uint64_t)head_dim(t) * t->heads, kd = (uint64_t)head_dim(t) * t->kv_heads;
    add_vector(p, layer, "attn_norm.weight", 0, t->embd);
    add_vector(p, layer, "ffn_norm.weight", 0, t->embd);
    if (is(t, "qwen2")) {
        add_vector(p, layer, "attn_q.bias", 8, qd);
        add_vector(p, layer, "attn_k.bias", 8, kd);
        add_vector(p, layer, "attn_v.bias", 4, kd);
    }
    if (is(t, "qwen3") || mixture(t)) {
        add_vector(p, layer, "attn_q_norm.weight", 0, head_dim(t));
        add_vector(p, layer, "attn_k_norm.weight", 0, head_dim(t));
    }
}

static void add_router(plan *p, const tiny_gguf *t, unsigned layer)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", layer);
    add(p, TINY_F32, 4, EXPERTS, t->embd, name);
}

static void add_layer(plan *p, const tiny_gguf *t, unsigned layer)
{
    uint64_t e = t->embd, qd = (uint64_t)head_dim(t) * t->heads, kd = (uint64_t)head_dim(t) * t->kv_heads, ff = t->ff;
    const struct {
        const char *name;
        uint64_t rows, cols;
        float gain;
        bool of_experts;
    } matrices[] = {{"attn_q", qd, e, 2, false},      {"attn_k", kd, e, 2, false},  {"attn_v", kd, e, 1, false},
                    {"attn_output", e, qd, 1, false}, {"ffn_gate", ff, e, 1, true}, {"ffn_up", ff, e, 1, true},
                    {"ffn_down", e, ff, 1, true}};
    char name[64];
    for (unsigned i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        bool many = mixture(t) && matrices[i].of_experts;
        snprintf(name, sizeof name, "blk.%u.%s%s.weight", layer, matrices[i].name, many ? "_exps" : "");
        if (layer == 0 && t->skip_layer_tensor == i + 1) continue;
        add(p, t->type, matrices[i].gain, matrices[i].rows, matrices[i].cols, name);
        if (many) p->tensors[p->count - 1].depth = EXPERTS;
    }
    if (mixture(t)) add_router(p, t, layer);
    add_vectors(p, t, layer);
}

static void make_plan(plan *p, const tiny_gguf *t)
{
    p->count = 0;
    add(p, t->type, 8, TINY_VOCAB, t->embd, "token_embd.weight");
    add(p, TINY_F32, 0, 1, t->embd, "output_norm.weight");
    if (!t->tied) add(p, t->type, 3, TINY_VOCAB, t->embd, "output.weight");
    for (unsigned i = 0; i < t->layers; i++) add_layer(p, t, i);
    if (llama3(t)) add(p, TINY_F32, 0, 1, head_dim(t) / 2, "rope_freqs.weight");
    if (t->extra_tensor) add(p, TINY_F32, 0, 1, t->embd, t->extra_tensor);
}

static uint64_t tensor_bytes(const tensor *n)
{
    uint64_t elems = n->depth * n->rows * n->cols;
    if (n->type == TINY_F32) return elems * 4;
    return elems / 32 * (n->type == TINY_Q8_0 ? 34 : 18);
}

static float next_random(uint64_t *state) /* uniform in [-1, 1) */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 11) * 0x1p-52 - 1);
}

static uint16_t half_up(float f) /* binary16 of a positive normal number, rounded up by at most one unit: the scale of a block */
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    int exponent = (int)(bits >> 23) - 127 + 15;
    if (f <= 0 || exponent <= 0) return 0;
    return (uint16_t)(((uint32_t)exponent << 10) + ((bits >> 13) & 0x3ff) + ((bits & 0x1fff) != 0));
}

static float half_value(uint16_t h)
{
    return h ? ldexpf((float)(1024 + (h & 0x3ff)), (h >> 10) - 25) : 0;
}

static int clamp(float v, int lo, int hi)
{
    int n = (int)lrintf(v);
    return n < lo ? lo : n > hi ? hi : n;
}

static void put_block(FILE *f, tiny_type type, const float *x)
{
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    uint16_t h = half_up(most / (type == TINY_Q8_0 ? 127 : 7));
    float d = half_value(h), inverse = d > 0 ? 1 / d : 0;
    put(f, &h, sizeof h);
    for (int i = 0; type == TINY_Q8_0 && i < 32; i++) fputc(clamp(x[i] * inverse, -127, 127) & 0xff, f);
    for (int i = 0; type == TINY_Q4_0 && i < 16; i++)
        fputc((clamp(x[i] * inverse, -7, 7) + 8) | (clamp(x[i + 16] * inverse, -7, 7) + 8) << 4, f);
}

/* Llama 3.1's divisors: factor 8, low 1, high 4, original context 64. */
static void put_rope_freqs(FILE *f, const tensor *n)
{
    for (uint64_t i = 0; i < n->cols; i++) {
        float wavelength = 6.28318530718f * powf(10000.0f, (float)i / (float)n->cols), smooth = (64 / wavelength - 1) / (4 - 1);
        float divisor = wavelength < 64.0f / 4 ? 1 : wavelength > 64 ? 8 : 1 / ((1 - smooth) / 8 + smooth);
        put(f, &divisor, sizeof divisor);
    }
}

static void put_tensor(FILE *f, const tensor *n, uint32_t seed)
{
    if (strcmp(n->name, "rope_freqs.weight") == 0) {
        put_rope_freqs(f, n);
        return; /* 32 bytes: whole already */
    }
    uint64_t state = seed;
    for (const char *c = n->name; *c; c++) state = (state ^ (uint8_t)*c) * 0x100000001b3u + 0x9e3779b97f4a7c15u;
    float spread = n->gain * sqrtf(3.0f / (float)n->cols), block[32];
    for (uint64_t i = 0; i < n->depth * n->rows * n->cols; i++) {
        float r = next_random(&state);
        block[i % 32] = n->gain > 0 ? r * spread : 1 + r * 0.2f;
        if (i % 32 != 31) continue;
        if (n->type == TINY_F32)
            put(f, block, sizeof block);
        else
            put_block(f, n->type, block);
    }
    for (uint64_t at = tensor_bytes(n); at % ALIGN; at++) fputc(0, f);
}

/* ---- files ---- */

static void put_infos(FILE *f, const plan *p, unsigned file, unsigned files)
{
    uint64_t offset = 0;
    for (unsigned i = file; i < p->count; i += files) {
        const tensor *n = &p->tensors[i];
        bool vector = n->rows == 1;
        put_str(f, n->name);
        put_u32(f, vector ? 1 : n->depth > 1 ? 3 : 2);
        put_u64(f, n->cols);
        if (!vector) put_u64(f, n->rows);
        if (n->depth > 1) put_u64(f, n->depth);
        put_u32(f, n->type);
        put_u64(f, offset);
        offset += (tensor_bytes(n) + ALIGN - 1) / ALIGN * ALIGN;
    }
}

static void put_file(FILE *f, const tiny_gguf *t, const plan *p, unsigned file)
{
    unsigned split = t->files > 1 ? 3 : 0, tensors = (p->count + t->files - 1 - file) / t->files;
    put_u32(f, 0x46554747);
    put_u32(f, 3);
    put_u64(f, tensors);
    put_u64(f, split + (file == 0 ? put_keys(NULL, t, true) : 0));
    if (file == 0) put_keys(f, t, false);
    if (split) {
        key_u16(f, "split.no", (uint16_t)file);
        key_u16(f, "split.count", (uint16_t)t->files);
        put_str(f, "split.tensors.count");
        put_u32(f, 5);
        put_u32(f, p->count);
    }
    put_infos(f, p, file, t->files);
    while (ftell(f) % ALIGN) fputc(0, f);
    for (unsigned i = file; i < p->count; i += t->files) put_tensor(f, &p->tensors[i], t->seed);
}

bool tiny_gguf_write(const tiny_gguf *t, const char *path)
{
    plan *p = malloc(sizeof *p);
    if (!p) return false;
    make_plan(p, t);
    bool ok = true;
    for (unsigned i = 0; i < t->files && ok; i++) {
        char name[4096];
        tiny_gguf_path(t, path, i, name, sizeof name);
        FILE *f = fopen(name, "wb");
        if (f) put_file(f, t, p, i);
        ok = f && fclose(f) == 0;
    }
    free(p);
    return ok;
}
