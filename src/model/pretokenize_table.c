/* What tokenizer.ggml.pre means: for each name the patterns that cut text into words, in the order in which the makers' tokenizer.json
 * applies them (each cuts the pieces that the one before left), and what else the name implies. Source: the tokenizer.json files of the
 * models, written for PCRE2.
 *
 * Differences of notation only: \p{Han} is \p{sc:Han}, the script alone; \s is spelled out, because PCRE2 counts U+180E as a blank and
 * Unicode does not; a class minus \p{Han} is a negated class, so that every loop runs over one class: such loops are linear and need no
 * stack. */
#include "vocab_private.h"

#define SP          "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define BLANK       "[" SP "]"
#define NO_BLANK    "[^" SP "]"
#define TAIL        BLANK "+(?!" NO_BLANK ")|" BLANK "+" /* blanks, but the last one before a word belongs to the word */
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define PREFIX      "[^\\r\\n\\p{L}\\p{N}]?"
#define SIGNS       " ?[^" SP "\\p{L}\\p{N}]+"
#define LINES       BLANK "*[\\r\\n]+"

#define BYTES          FH_PRE_BYTES
#define GPT2           "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SIGNS "|" TAIL
#define DIGIT          "\\p{N}"
#define LLAMA3(digits) CONTRACTION "|" PREFIX "\\p{L}+|" digits "|" SIGNS "[\\r\\n]*|" LINES "|" TAIL

#define QWEN35 CONTRACTION "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}| ?[^" SP "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES "|" TAIL

#define UPPER                    "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER                    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(upper, lower, end) PREFIX upper "*" lower "+" end "|" PREFIX upper "+" lower "*" end
#define GPT4O                    CASED(UPPER, LOWER, CONTRACTION "?") "|\\p{N}{1,3}|" SIGNS "[\\r\\n/]*|" LINES "|" TAIL
#define TEKKEN                   CASED(UPPER, LOWER, "") "|\\p{N}|" SIGNS "[\\r\\n/]*|" LINES "|" TAIL

#define NO_LETTER  "\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}"
#define KIMI_CASED CASED("[^\\p{Ll}" NO_LETTER "]", "[^\\p{Lu}\\p{Lt}" NO_LETTER "]", CONTRACTION "?")
#define KIMI       "[\\p{sc:Han}]+|" KIMI_CASED "|\\p{N}{1,3}|" SIGNS "[\\r\\n]*|" LINES "|" TAIL

#define CJK "[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+"
#define DEEPSEEK3_MAIN                                                                                                                     \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"                                   \
    " ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES "|" TAIL
/* The letters that DeepSeek LLM's tokenizer takes for such: those of alphabets with case. */
#define CASED_LETTERS                                                                                                                      \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}"                       \
    "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}"                         \
    "\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}"                           \
    "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}"                   \
    "\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"           \
    "\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}"                             \
    "\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}"                    \
    "\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}"            \
    "\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}"           \
    "\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}"                    \
    "\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}"                 \
    "\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"                            \
    "\\x{1e900}-\\x{1e943}"

static const char *const gpt2[] = {GPT2};
static const char *const digits_gpt2[] = {DIGIT, GPT2};
/* Falcon looks for digits in the byte alphabet, where some bytes of longer characters are written as ² ³ ¹ ¼ ½ ¾. */
static const char *const falcon[] = {"[!-/:-@\\[-`{-~\\p{P}]+", GPT2, BYTES "[0-9\\xb2\\xb3\\xb9\\xbc-\\xbe]+", BYTES "[0-9][0-9][0-9]"};
static const char *const llama3[] = {LLAMA3("\\p{N}{1,3}")};
static const char *const qwen2[] = {LLAMA3("\\p{N}")};
static const char *const qwen35[] = {QWEN35};
static const char *const gpt4o[] = {GPT4O};
static const char *const tekken[] = {TEKKEN};
static const char *const kimi[] = {KIMI};
/* "blanks at the end" only looks where a run of blanks begins, or a long run in the middle would cost its square. */
static const char *const deepseek_llm[] = {"[\\r\\n]",
                                           BLANK "?[" CASED_LETTERS "]+",
                                           BLANK "?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
                                           "(?<!" BLANK ")" BLANK "++$",
                                           CJK,
                                           DIGIT};
static const char *const deepseek_coder[] = {"[\\r\\n]", BLANK "?\\p{L}+", BLANK "?\\p{P}+", CJK, DIGIT};
static const char *const deepseek3[] = {"\\p{N}{1,3}", "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+",
                                        DEEPSEEK3_MAIN};

static const struct row {
    const char *name;
    fh_pre pre;
} table[] = {
#define ROW(name, list, ...)                                                                                                               \
    {                                                                                                                                      \
        name,                                                                                                                              \
        {                                                                                                                                  \
            .patterns = list, .count = FH_COUNT(list), __VA_ARGS__                                                                         \
        }                                                                                                                                  \
    }
    ROW("default", gpt2, ),
    ROW("gpt-2", gpt2, ),
    ROW("gpt2", gpt2, ),
    ROW("phi-2", gpt2, ),
    ROW("gigachat", gpt2, ),
    ROW("exaone4", gpt2, ),
    ROW("a.x-4.0", gpt2, ),
    ROW("trillion", gpt2, ),
    ROW("granite-docling", gpt2, ),
    ROW("jais", gpt2, ),
    ROW("mpt", gpt2, .nfc = true),
    ROW("olmo", gpt2, .nfc = true),
    ROW("smollm", digits_gpt2, ),
    ROW("starcoder", digits_gpt2, ),
    ROW("refact", digits_gpt2, ),
    ROW("codeshell", digits_gpt2, ),
    ROW("exaone", digits_gpt2, ),
    ROW("minerva-7b", digits_gpt2, ),
    ROW("command-r", digits_gpt2, .nfc = true),
    ROW("falcon", falcon, ),
    ROW("llama-bpe", llama3, .ignore_merges = true, .add_bos = true),
    ROW("llama3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("llama-v3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("falcon3", llama3, .ignore_merges = true, .add_bos = true),
    ROW("falcon-h1", llama3, .ignore_merges = true, .add_bos = true),
    ROW("pixtral", llama3, .ignore_merges = true, .add_bos = true),
    ROW("midm-2.0", llama3, .ignore_merges = true, .add_bos = true),
    ROW("lfm2", llama3, .ignore_merges = true, .add_bos = true),
    ROW("dbrx", llama3, ),
    ROW("smaug-bpe", llama3, ),
    ROW("chatglm-bpe", llama3, ),
    ROW("glm4", llama3, .ignore_merges = true),
    ROW("glm5", llama3, .ignore_merges = true),
    ROW("qwen2", qwen2, .nfc = true),
    ROW("deepseek-r1-qwen", qwen2, .nfc = true),
    ROW("stablelm2", qwen2, ),
    ROW("hunyuan", qwen2, ),
    ROW("megrez", qwen2, ),
    ROW("grok-2", qwen2, ),
    ROW("solar-open", qwen2, ),
    ROW("qwen35", qwen35, ),
    ROW("gpt-4o", gpt4o, ),
    ROW("llama4", gpt4o, ),
    ROW("minimax-m2", gpt4o, ),
    ROW("kanana2", gpt4o, ),
    ROW("tekken", tekken, .ignore_merges = true, .add_bos = true),
    ROW("kimi-k2", kimi, .ranks_from_ids = true),
    ROW("deepseek-llm", deepseek_llm, ),
    ROW("deepseek-coder", deepseek_coder, ),
    ROW("deepseek-v3", deepseek3, ),
    ROW("hunyuan-dense", deepseek3, ),
    ROW("hy_v4", deepseek3, ),
    ROW("joyai-llm", deepseek3, ),
#undef ROW
};

const fh_pre *fh_pre_find(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(table); i++) {
        if (fh_str_eqs(name, table[i].name)) return &table[i].pre;
    }
    return NULL;
}
