/* Replies to canaries, and records, from arbitrary bytes: a line of each. What is taken holds what its type promises, and no reply makes
 * the evidence anything but a number. */
#include "base/mem.h"
#include "honesty/record.h"
#include "honesty/reply.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void check_position(const fh_honesty_position *p)
{
    check(p->top_count <= FH_COUNT(p->top) && p->chosen.logprob <= 0);
    for (size_t i = 0; i < p->top_count; i++) check(p->top[i].text.len > 0 && p->top[i].logprob <= 0);
}

static void check_reply(const fh_honesty_reply *r, const fh_json *doc)
{
    check(r->count > 0 && r->count <= FH_COUNT(r->positions) && r->text.ptr);
    for (size_t i = 0; i < r->count; i++) {
        check_position(&r->positions[i]);
        double d = fh_honesty_deviation(&r->positions[i], &r->positions[0]);
        check(d >= 0 && d <= FH_HONESTY_FAR + 1e-9);
        check(fh_honesty_logprob(&r->positions[i], r->positions[0].chosen.text) <= 0);
    }
    check(fh_honesty_shared(r, fh_json_get(doc, "prompt"), fh_json_get(doc, "tokens")) <= r->count);
    check(fh_honesty_reply_tok(r, -7) >= -7);
}

/* One observation more, as far as a record may be from any that we write. */
static void check_record(fh_honesty_record *r, const fh_honesty_reply *reply)
{
    char text[300];
    fh_honesty_observation o = {.positions = reply->count,
                                .deviation = 0.5,
                                .bound = FH_HONESTY_BOUND_LEAST,
                                .counted = true,
                                .said_prompt_tok = reply->prompt_tok,
                                .said_completion_tok = reply->completion_tok};
    fh_honesty_observe(r, &o);
    fh_honesty_reason(r, text, sizeof text);
    check(!isnan(fh_honesty_proof(r)) && strlen(text) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fh_honesty_reply reply;
    FH_AUTO(json) fh_json *doc = NULL, *kept = NULL;
    fh_honesty_record record;
    fh_str all = {(const char *)data, size};
    size_t line = fh_str_find(all, FH_STR("\n"));
    fh_str rest = line < size ? (fh_str){all.ptr + line + 1, size - line - 1} : (fh_str){"", 0};
    reply.count = 0;
    reply.prompt_tok = reply.completion_tok = 0;
    if (fh_json_parse(&doc, (fh_str){all.ptr, line}, 1 << 20, NULL) == 0 && fh_honesty_reply_read(&reply, doc, NULL) == 0)
        check_reply(&reply, doc);
    if (fh_json_parse(&kept, rest, 1 << 20, NULL) == 0 && fh_honesty_record_read(&record, kept, NULL) == 0) check_record(&record, &reply);
    return 0;
}
