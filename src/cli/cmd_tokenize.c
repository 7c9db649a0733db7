/* freehold tokenize: text from standard input to token ids. */
#include "tokens.h"
#include "base/limits.h"

static int print_ids(const fh_cli *c, const fh_tokens *t, fh_err **err)
{
    FH_AUTO(buf) fh_buf out = FH_BUF((size_t)FH_LIMIT_ENCODE_BYTES * 12);
    const char *between = c->json ? "," : " ";
    if (c->json) fh_buf_adds(&out, "{\"tokens\":[");
    for (size_t i = 0; i < t->count; i++) fh_buf_addf(&out, "%s%d", i ? between : "", t->ids[i]);
    fh_buf_adds(&out, c->json ? "]}\n" : "\n");
    int rc = fh_buf_check(&out, err, "the list of ids");
    return rc ? rc : fh_cli_print(&out, err);
}

static int encode_input(const fh_cli *c, const fh_vocab *v, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(FH_LIMIT_ENCODE_BYTES);
    fh_tokens tokens = {0};
    unsigned how = (fh_cli_has(c, "special") ? FH_ENCODE_SPECIAL : 0u) | (fh_cli_has(c, "bos") ? FH_ENCODE_BOS : 0u);
    int rc = fh_cli_read_input(&text, err);
    if (!rc) rc = fh_vocab_encode(v, (fh_str){fh_buf_cstr(&text), text.len}, how, &tokens, err);
    if (!rc) rc = print_ids(c, &tokens, err);
    fh_tokens_fini(&tokens);
    return rc;
}

static int run_tokenize(fh_cli *c, fh_err **err)
{
    const char *model;
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    int rc = fh_cli_require(c, "model", &model, err);
    if (!rc) rc = fh_vocab_open(&v, model, err);
    if (!rc) rc = encode_input(c, v, err);
    return rc;
}

static int print_text(const fh_cli *c, const fh_buf *text, fh_err **err)
{
    if (!c->json) return fh_cli_print(text, err);
    FH_AUTO(buf) fh_buf out = FH_BUF((size_t)FH_LIMIT_ENCODE_BYTES * 8);
    fh_buf_adds(&out, "{\"content\":");
    fh_buf_add_json_string(&out, fh_buf_cstr(text), text->len);
    fh_buf_adds(&out, "}\n");
    int rc = fh_buf_check(&out, err, "the text");
    return rc ? rc : fh_cli_print(&out, err);
}

static int decode_ids(const fh_cli *c, const fh_vocab *v, const fh_tokens *ids, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF((size_t)FH_LIMIT_ENCODE_BYTES * 4);
    int rc = fh_vocab_decode_all(v, ids->ids, ids->count, fh_cli_has(c, "special"), &text, err);
    return rc ? rc : print_text(c, &text, err);
}

static int run_detokenize(fh_cli *c, fh_err **err)
{
    FH_AUTO(buf) fh_buf input = FH_BUF(FH_LIMIT_ENCODE_BYTES);
    const char *model;
    FH_AUTO(fh_vocab) fh_vocab *v = NULL;
    fh_tokens ids = {0};
    int rc = fh_cli_require(c, "model", &model, err);
    if (!rc) rc = fh_vocab_open(&v, model, err);
    if (!rc) rc = fh_cli_read_input(&input, err);
    if (!rc) rc = fh_cli_parse_ids((fh_str){fh_buf_cstr(&input), input.len}, &ids, err);
    if (!rc) rc = decode_ids(c, v, &ids, err);
    fh_tokens_fini(&ids);
    return rc;
}

static const fh_cli_flag tokenize_flags[] = {
    {"model", 'm', FH_CLI_TEXT, "FILE", "whose tokenizer is used: a GGUF, a tokenizer.json, or a tiktoken file", 0, 0},
    {"special", 0, FH_CLI_BOOL, NULL, "recognise special tokens in the text", 0, 0},
    {"bos", 0, FH_CLI_BOOL, NULL, "begin with the token that begins a text, if the model wants one", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const fh_cli_flag detokenize_flags[] = {
    {"model", 'm', FH_CLI_TEXT, "FILE", "whose tokenizer is used: a GGUF, a tokenizer.json, or a tiktoken file", 0, 0},
    {"special", 0, FH_CLI_BOOL, NULL, "show control tokens too", 0, 0},
    {NULL, 0, FH_CLI_BOOL, NULL, NULL, 0, 0},
};

static const char *const tokenize_examples[] = {"freehold tokenize --model model.gguf <text.txt",
                                                "freehold tokenize --model tokenizer.json --special <text.txt", NULL};
static const char *const detokenize_examples[] = {"freehold tokenize --model m.gguf <text.txt | freehold detokenize --model m.gguf", NULL};

const fh_cli_verb fh_verb_tokenize = {
    .name = "tokenize",
    .group = "One model, no server",
    .summary = "text from standard input to token ids",
    .operands = "",
    .about = "Prints ids separated by blanks. Special tokens spelled in the text are plain text unless --special is given.",
    .examples = tokenize_examples,
    .flags = tokenize_flags,
    .run = run_tokenize,
};

const fh_cli_verb fh_verb_detokenize = {
    .name = "detokenize",
    .group = "One model, no server",
    .summary = "token ids from standard input to text",
    .operands = "",
    .about = "Reads ids separated by blanks, or what `tokenize --json` prints, and writes the bytes that they stand for.",
    .examples = detokenize_examples,
    .flags = detokenize_flags,
    .run = run_detokenize,
};
