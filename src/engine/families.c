/* The architectures that this engine computes, each a row: its name, the arithmetic, and what sets it apart. */
#include "transformer.h"

static const fh_transformer_traits llama = {0}; /* SmolLM2, Llama 2 and 3, Mistral 7B */
static const fh_transformer_traits qwen2 = {.halves = true, .qkv_bias = true};
static const fh_transformer_traits qwen3 = {.halves = true, .head_norm = true};
static const fh_transformer_traits qwen3moe = {.halves = true, .head_norm = true, .experts = true};

static const fh_family families[] = {
    {"llama", &fh_transformer_arithmetic, &llama},
    {"qwen2", &fh_transformer_arithmetic, &qwen2},
    {"qwen3", &fh_transformer_arithmetic, &qwen3},
    {"qwen3moe", &fh_transformer_arithmetic, &qwen3moe},
};

const fh_family *fh_family_find(fh_str architecture)
{
    for (size_t i = 0; i < FH_COUNT(families); i++)
        if (fh_str_eqs(architecture, families[i].architecture)) return &families[i];
    return NULL;
}

void fh_family_list(fh_buf *out)
{
    for (size_t i = 0; i < FH_COUNT(families); i++) fh_buf_addf(out, "%s%s", i ? ", " : "", families[i].architecture);
}
