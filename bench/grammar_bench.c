/* What a grammar costs a token, alone: masks, their application to a row of logits, and moving on, for texts that belong to it.
 *
 * grammar_bench MODEL.gguf: each line of standard input is {"schema":...} or {"grammar":"..."} with "texts"; each line of the output gives
 * microseconds of processor time: to compile, a token when each state is met for the first time, and again later (the best of several
 * passes). bench/structured runs it. */
#include "base/clock.h"
#include "model/gguf.h"
#include "model/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PASSES = 5, LINE_BYTES = 4 << 20 };

typedef struct bench {
    fh_vocab *vocab;
    fh_grammars *grammars;
    uint64_t *mask;
    float *logits;
    size_t count;
} bench;

static void give_up(const char *what, fh_err *err)
{
    fprintf(stderr, "grammar_bench: %s: %s\n", what, fh_err_message(err));
    exit(1);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* One text, token by token; answers how many there were. */
static size_t walk(const bench *b, fh_grammar *g, fh_str text)
{
    fh_grammar_state *s = NULL;
    fh_tokens tokens = {0};
    fh_err *err = NULL;
    if (fh_vocab_encode(b->vocab, text, 0, &tokens, &err) || fh_grammar_state_new(&s, g, &err)) give_up("a text", err);
    size_t count = tokens.count;
    for (size_t i = 0; i < count; i++) {
        if (fh_grammar_state_mask(s, 100000, b->mask, &err)) give_up("a mask", err);
        fh_grammar_forbid(b->mask, b->logits, b->count);
        if (!fh_grammar_state_accept(s, tokens.ids[i])) give_up("a text is not of its grammar", err);
    }
    fh_tokens_fini(&tokens);
    fh_grammar_state_free(s);
    return count;
}

static double pass(const bench *b, fh_grammar *g, const fh_json *texts)
{
    double begun = cpu_us();
    size_t count = 0;
    for (size_t i = 0; i < fh_json_count(texts); i++) count += walk(b, g, fh_json_str(fh_json_at(texts, i)));
    return (cpu_us() - begun) / (double)FH_MAX(count, (size_t)1);
}

static void run(const bench *b, const fh_json *line)
{
    const fh_json *schema = fh_json_get(line, "schema"), *texts = fh_json_get(line, "texts");
    fh_grammar_source s = {.kind = schema ? FH_GRAMMAR_SCHEMA : FH_GRAMMAR_GBNF,
                           .text = fh_json_str(fh_json_get(line, "grammar")),
                           .schema = schema,
                           .param = "form"};
    fh_grammar *g = NULL;
    fh_err *err = NULL;
    double begun = cpu_us();
    if (fh_grammars_get(b->grammars, &s, &g, &err)) give_up("a form", err);
    double compiled = cpu_us() - begun, first = pass(b, g, texts), later = first;
    for (int i = 0; i < PASSES; i++) {
        double us = pass(b, g, texts);
        later = FH_MIN(later, us);
    }
    printf("{\"compile_us\":%.0f,\"first_us\":%.2f,\"later_us\":%.2f}\n", compiled, first, later);
    fh_grammar_unref(g);
}

static void open_model(bench *b, const char *path)
{
    fh_gguf *file = NULL;
    fh_err *err = NULL;
    if (fh_gguf_open(&file, path, &err) || fh_vocab_new(&b->vocab, file, &err)) give_up(path, err);
    b->count = fh_vocab_size(b->vocab);
    b->mask = calloc(b->count / 64 + 1, sizeof *b->mask);
    b->logits = calloc(b->count, sizeof *b->logits);
    if (!b->mask || !b->logits || fh_grammars_new(&b->grammars, b->vocab, b->count, &err)) give_up(path, err);
}

int main(int argc, char **argv)
{
    bench b = {0};
    char *line = malloc(LINE_BYTES);
    if (argc != 2 || !line) return 2;
    open_model(&b, argv[1]);
    while (fgets(line, LINE_BYTES, stdin)) {
        fh_json *v = NULL;
        fh_err *err = NULL;
        if (fh_json_parse(&v, fh_str_of(line), LINE_BYTES, &err)) give_up("a line", err);
        run(&b, v);
        fh_json_unref(v);
    }
    free(line);
    return 0;
}
