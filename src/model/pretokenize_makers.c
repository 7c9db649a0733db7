/* Ways of splitting text as the makers' tokenizer.json files write them, and which row of pretokenize_table.c each one is. A pattern that
 * is not here is refused: patterns of strangers are not run. Steps that are no pattern have names in angle brackets. */
#include "vocab_json.h"

#define GPT2_STEP   "<bytes and words>" /* ByteLevel with its own pattern */
#define BYTES_STEP  "<bytes>"           /* ByteLevel without */
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define PREFIX      "[^\\r\\n\\p{L}\\p{N}]?"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TAIL        "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SIGNS       "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"

#define LLAMA3(digits)    CONTRACTION "|" PREFIX "\\p{L}+|" digits SIGNS TAIL
#define QWEN35            CONTRACTION "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL
#define CASED(end)        PREFIX UPPER "*" LOWER "+" end "|" PREFIX UPPER "+" LOWER "*" end
#define SIGNS_AND_SLASHES "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define CJK               "[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+"
#define DEEPSEEK3                                                                                                                          \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*" TAIL

static const struct row {
    const char *name; /* of the table */
    const char *steps[FH_PRE_STEPS_MAX];
} rows[] = {
    {"gpt-2", {GPT2_STEP}},
    {"smollm", {"<digits>", GPT2_STEP}},
    {"falcon", {"<punctuation>", GPT2_STEP, "<runs of digits>", "[0-9][0-9][0-9]"}},
    {"llama-bpe", {LLAMA3("\\p{N}{1,3}"), BYTES_STEP}},
    {"qwen2", {LLAMA3("\\p{N}"), BYTES_STEP}},
    {"qwen35", {QWEN35, BYTES_STEP}},
    {"gpt-4o", {CASED(CONTRACTION "?") "|\\p{N}{1,3}" SIGNS_AND_SLASHES TAIL, BYTES_STEP}},
    {"tekken", {CASED("") "|\\p{N}" SIGNS_AND_SLASHES TAIL, BYTES_STEP}},
    {"deepseek-v3",
     {"\\p{N}{1,3}", "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+", DEEPSEEK3, BYTES_STEP}},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "<digits>", BYTES_STEP}},
};

static bool is_row(const struct row *r, const fh_str *steps, size_t count)
{
    size_t n = 0;
    for (; n < FH_PRE_STEPS_MAX && r->steps[n]; n++)
        if (n >= count || !fh_str_eqs(steps[n], r->steps[n])) return false;
    return n == count;
}

const fh_pre *fh_pre_of_steps(const fh_str *steps, size_t count)
{
    for (size_t i = 0; i < FH_COUNT(rows); i++)
        if (is_row(&rows[i], steps, count)) return fh_pre_find(fh_str_of(rows[i].name));
    return NULL;
}
