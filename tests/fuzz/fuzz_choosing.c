/* What choosing a model reads of strangers: a request, an answer and a header's value, each behind a NUL. A request has the same features
 * whenever it is read; an answer gets the same verdict whole and in pieces; an amount that is taken is read back from what it says, and so
 * is a list of regions. */
#include "../../src/gateway/judge.h"
#include "../../src/gateway/kinds.h"
#include "../../src/gateway/rules.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static fh_str take_part(fh_str *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\0', rest->len) : NULL;
    size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
    fh_str part = {rest->ptr, n};
    *rest = (fh_str){rest->ptr + n + (end != NULL), rest->len - n - (end != NULL)};
    return part;
}

static fh_verdict judge(const fh_wire_request *r, fh_str answer, size_t piece, bool call)
{
    FH_AUTO(fh_judge) fh_judge *j = fh_judge_new(r);
    check(j != NULL);
    if (call) fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_CALL, .name = r->must_name.len ? r->must_name : FH_STR("f")}, NULL);
    for (size_t at = 0; at < answer.len; at += piece) {
        fh_str text = {answer.ptr + at, FH_MIN(piece, answer.len - at)};
        fh_judge_event(j, &(fh_wire_event){.kind = call ? FH_EVENT_ARGUMENTS : FH_EVENT_TEXT, .text = text}, NULL);
    }
    fh_judge_event(j, &(fh_wire_event){.kind = FH_EVENT_FINISH}, NULL);
    return fh_judge_verdict(j);
}

static void try_request(fh_str body, fh_str answer)
{
    fh_wire_request r;
    fh_features first, again;
    if (fh_wire_chat_parse(&r, body, NULL)) return;
    fh_features_of(&first, &r);
    fh_features_of(&again, &r);
    check(fh_features_distance(&first, &again) == 0);
    for (int call = 0; call < 2; call++) {
        fh_verdict whole = judge(&r, answer, SIZE_MAX / 2, call), pieces = judge(&r, answer, 3, call);
        check(whole == pieces && (!fh_verdict_bad(whole) || fh_verdict_text(whole)[0]));
    }
    fh_wire_request_fini(&r);
}

static void try_regions(fh_str value)
{
    char list[FH_LIMIT_REGIONS_BYTES] = "", again[FH_LIMIT_REGIONS_BYTES];
    if (fh_regions_parse(value, list, NULL)) {
        check(list[0] == '\0');
        return;
    }
    check(fh_regions_parse(fh_str_of(list), again, NULL) == 0 && strcmp(list, again) == 0);
    fh_str one;
    size_t count = 0;
    for (; (one = fh_regions_at(list, count)).len; count++) check(fh_region_is(one));
    check(count > 0);
}

static void try_header(fh_str value)
{
    int64_t nusd = -1, again = -1;
    char text[64];
    fh_candidate c = {.deployment = "d", .model = "m", .place = "p", .arm = "m:v"};
    fh_names_hold(value, &c);
    try_regions(value);
    if (!fh_cost_parse(value, &nusd)) return;
    check(nusd >= 0);
    snprintf(text, sizeof text, "%lld.%09lld", (long long)(nusd / 1000000000), (long long)(nusd % 1000000000));
    check(fh_cost_parse(fh_str_of(text), &again) && again == nusd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str rest = {(const char *)data, size};
    fh_str body = take_part(&rest), answer = take_part(&rest);
    try_request(body, answer);
    try_header(take_part(&rest));
    return 0;
}
