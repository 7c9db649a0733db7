/* What tokenizer.ggml.pre means: the patterns that the makers' tokenizers split text by, stage after stage, as their tokenizer.json files have them.
 * \s is written out as Unicode's White_Space, because libraries differ on it. */
#include "vocab_private.h"

#define WS "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SP "[" WS "]"
#define NSP "[^" WS "]"
#define TAIL SP "*[\\r\\n]+|" SP "+(?!" NSP ")|" SP "+"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define OTHER " ?[^" WS "\\p{L}\\p{N}]+"
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define CASED LEAD "[" UPPER "]*[" LOWER "]+"
#define CASED_UPPER LEAD "[" UPPER "]+[" LOWER "]*"
#define CONTRACTED(numbers, words) CONTRACTIONS "|" LEAD words "+|" numbers "|" OTHER "[\\r\\n]*|" TAIL

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" OTHER "|" SP "+(?!" NSP ")|" SP "+"
#define LLAMA3 CONTRACTED("\\p{N}{1,3}", "\\p{L}")
#define QWEN2 CONTRACTED("\\p{N}", "\\p{L}")
#define QWEN35 CONTRACTIONS "|" LEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^" WS "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" TAIL
#define GPT4O CASED CONTRACTIONS "?|" CASED_UPPER CONTRACTIONS "?|\\p{N}{1,3}|" OTHER "[\\r\\n/]*|" TAIL
#define TEKKEN CASED "|" CASED_UPPER "|\\p{N}|" OTHER "[\\r\\n/]*|" TAIL
#define CJK_RUNS "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK3                                                                                                                                    \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" TAIL
#define NOT_HAN(class) "(?:(?!\\p{Han})[" class "])"
#define KIMI                                                                                                                                         \
    "\\p{Han}+|" LEAD NOT_HAN(UPPER) "*" NOT_HAN(LOWER) "+" CONTRACTIONS "?|" LEAD NOT_HAN(UPPER) "+" NOT_HAN(LOWER) "*" CONTRACTIONS                \
    "?|\\p{N}{1,3}|" OTHER "[\\r\\n]*|" TAIL
#define HAN_HANGUL_RUNS "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

static const char *const gpt2[] = {GPT2};
static const char *const digits_gpt2[] = {"\\p{N}", GPT2};
static const char *const llama3[] = {LLAMA3};
static const char *const qwen2[] = {QWEN2};
static const char *const qwen35[] = {QWEN35};
static const char *const gpt4o[] = {GPT4O};
static const char *const tekken[] = {TEKKEN};
static const char *const deepseek3[] = {"\\p{N}{1,3}", CJK_RUNS, DEEPSEEK3};
static const char *const deepseek_coder[] = {"[\\r\\n]", SP "?\\p{L}+", SP "?\\p{P}+", HAN_HANGUL_RUNS, "\\p{N}"};
static const char *const falcon[] = {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"};
static const char *const kimi[] = {KIMI};

#define ROW(name, patterns, ...) {name, {patterns, FH_COUNT(patterns), __VA_ARGS__}}

static const struct {
    const char *name;
    fh_pre pre;
} table[] = {
    ROW("default", gpt2, .nfc = false),
    ROW("gpt-2", gpt2, .nfc = false),
    ROW("phi-2", gpt2, .nfc = false),
    ROW("mpt", gpt2, .nfc = false),
    ROW("olmo", gpt2, .nfc = false),
    ROW("exaone4", gpt2, .nfc = false),
    ROW("mellum", gpt2, .nfc = false),
    ROW("smollm", digits_gpt2, .nfc = false),
    ROW("starcoder", digits_gpt2, .nfc = false),
    ROW("refact", digits_gpt2, .nfc = false),
    ROW("command-r", digits_gpt2, .nfc = false),
    ROW("codeshell", digits_gpt2, .nfc = false),
    ROW("exaone", digits_gpt2, .nfc = false),
    ROW("minerva-7b", digits_gpt2, .nfc = false),
    ROW("mellum2", digits_gpt2, .nfc = false),
    ROW("llama-bpe", llama3, .ignore_merges = true, .add_bos = true),
    ROW("llama3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("llama-v3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("pixtral", llama3, .ignore_merges = true, .add_bos = true),
    ROW("falcon3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("lfm2", llama3, .ignore_merges = true, .add_bos = true),
    ROW("dbrx", llama3, .nfc = false),
    ROW("smaug-bpe", llama3, .nfc = false),
    ROW("chatglm-bpe", llama3, .nfc = false),
    ROW("glm4", llama3, .ignore_merges = true),
    ROW("glm5", llama3, .ignore_merges = true),
    ROW("qwen2", qwen2, .nfc = true),
    ROW("deepseek-r1-qwen", qwen2, .nfc = true),
    ROW("megrez", qwen2, .nfc = false),
    ROW("stablelm2", qwen2, .nfc = false),
    ROW("hunyuan", qwen2, .nfc = false),
    ROW("solar-open", qwen2, .nfc = false),
    ROW("grok-2", qwen2, .nfc = false),
    ROW("qwen35", qwen35, .nfc = false),
    ROW("gpt-4o", gpt4o, .nfc = false),
    ROW("llama4", gpt4o, .nfc = false),
    ROW("kanana2", gpt4o, .nfc = false),
    ROW("minimax-m2", gpt4o, .nfc = false),
    ROW("tekken", tekken, .ignore_merges = true, .add_bos = true),
    ROW("deepseek-v3", deepseek3, .nfc = false),
    ROW("hunyuan-dense", deepseek3, .nfc = false),
    ROW("hy_v4", deepseek3, .nfc = false),
    ROW("joyai-llm", deepseek3, .nfc = false),
    ROW("deepseek-coder", deepseek_coder, .nfc = false),
    ROW("falcon", falcon, .nfc = false),
    ROW("kimi-k2", kimi, .ranks_from_ids = true),
};

const fh_pre *fh_pre_find(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(table); i++)
        if (fh_str_eqs(name, table[i].name)) return &table[i].pre;
    return NULL;
}
