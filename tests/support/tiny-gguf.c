/* tiny-gguf OUT.gguf [--type F32|Q8_0|Q4_0] [--context N] [--layers N] [--files N] [--seed N] [--tied] [--rope linear|yarn|llama3]
 * [--architecture llama|qwen2|qwen3|qwen3moe] [--head-dim N] [--shares-as-they-are]: writes the model of tiny_gguf.h. */
#include "tiny_gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
    fputs("usage: tiny-gguf OUT.gguf [--type F32|Q8_0|Q4_0] [--context N] [--layers N] [--files N] [--seed N] [--tied] [--rope "
          "linear|yarn|llama3] [--architecture llama|qwen2|qwen3|qwen3moe] [--head-dim N] [--shares-as-they-are]\n",
          stderr);
    return 2;
}

static bool set(tiny_gguf *t, const char *flag, const char *value)
{
    struct {
        const char *flag;
        uint32_t *slot;
    } numbers[] = {
        {"--context", &t->context}, {"--layers", &t->layers}, {"--files", &t->files}, {"--seed", &t->seed}, {"--head-dim", &t->head_dim}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(flag, numbers[i].flag) == 0) return (*numbers[i].slot = (uint32_t)strtoul(value, NULL, 10)) > 0;
    const struct {
        const char *flag, **slot;
    } words[] = {{"--rope", &t->rope_scaling}, {"--architecture", &t->architecture}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(flag, words[i].flag) == 0) return (*words[i].slot = value) != NULL;
    if (strcmp(flag, "--type") != 0) return false;
    t->type = strcmp(value, "Q8_0") == 0 ? TINY_Q8_0 : strcmp(value, "Q4_0") == 0 ? TINY_Q4_0 : TINY_F32;
    return true;
}

int main(int argc, char **argv)
{
    tiny_gguf t;
    tiny_gguf_default(&t);
    if (argc < 2) return usage();
    size_t length = strlen(argv[1]);
    if (length < 6 || strcmp(argv[1] + length - 5, ".gguf") != 0) return usage();
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--tied") == 0)
            t.tied = true;
        else if (strcmp(argv[i], "--shares-as-they-are") == 0)
            t.shares_as_they_are = true;
        else if (i + 1 >= argc || !set(&t, argv[i], argv[i + 1]))
            return usage();
        else
            i++;
    }
    if (tiny_gguf_write(&t, argv[1])) return 0;
    perror(argv[1]);
    return 1;
}
