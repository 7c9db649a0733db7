/* What a box with a login says of itself, a step at a time. Whatever it says, each text is one bounded line of UTF-8, and there is a next
 * step. */
#include "../../src/supply/box.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_text(const char *text, size_t size)
{
    const char *end = memchr(text, 0, size);
    check(end && fh_utf8_valid(text, (size_t)(end - text)));
    for (const char *p = text; p < end; p++) check((unsigned char)*p >= ' ');
}

static void check_facts(const box_facts *f)
{
    const struct {
        const char *text;
        size_t size;
    } texts[] = {{f->arch, sizeof f->arch},           {f->lacks, sizeof f->lacks}, {f->program, sizeof f->program},
                 {f->libraries, sizeof f->libraries}, {f->words, sizeof f->words}, {f->agent, sizeof f->agent},
                 {f->said, sizeof f->said},           {f->error, sizeof f->error}};
    for (size_t i = 0; i < FH_COUNT(texts); i++) check_text(texts[i].text, texts[i].size);
    check(f->port >= 0 && f->port <= 65535 && f->held >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char program[] = "0000000000000000000000000000000000000000000000000000000000000000";
    box_facts f = {.held = 0};
    if (!size) return 0;
    fh_box_facts_read(&f, BOX_LOOK, (fh_str){(const char *)data + 1, size - 1});
    check_facts(&f);
    fh_box_facts_read(&f, (box_step)(data[0] % BOX_STEPS), (fh_str){(const char *)data + 1, size - 1});
    check_facts(&f);
    for (unsigned bits = 0; bits < 32; bits++) {
        FH_AUTO(fh_err) fh_err *err = NULL;
        const box_wish w = {.order = 7,
                            .program = program,
                            .program_bytes = 1000,
                            .memory_bytes = 1000,
                            .weights_bytes = 1000,
                            .arch = "x86_64",
                            .install = bits & 1,
                            .tunnel = bits & 2,
                            .looked = bits & 4,
                            .holds = bits & 8,
                            .ending = bits & 16};
        check(fh_box_next(&w, &f) < BOX_STEPS);
        check((fh_box_check(&w, &f, "me@box", &err) == 0) == (err == NULL));
    }
    return 0;
}
