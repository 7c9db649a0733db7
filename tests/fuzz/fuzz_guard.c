/* What a cost guard reads: its server's answer, and its own memory. Whatever stands there, there is an error and nothing changed, or what
 * is remembered can be written and read again; and only machines with a tag of the installation that it names may be ended. */
#include "rent/guard.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const fh_guard_rules rules = {.silence_ns = 1, .grace_ns = 0, .lag_ns = 0};

static void check(bool holds)
{
    if (!holds) abort();
}

static void read_again(const fh_guard_memory *m, fh_guard_memory *again)
{
    FH_AUTO(json) fh_json *doc = fh_guard_memory_json(m);
    check(doc && fh_guard_memory_read(doc, again, NULL) == 0);
    check(again->held_count == m->held_count && again->epoch_count == m->epoch_count);
}

static void judge(const fh_guard_memory *m)
{
    char why[FH_GUARD_WHY];
    fh_rent_machine x = {.id = "1", .status = FH_RENT_RUNNING, .tag = "freehold:ffffffffffffffff:00000000000000e1.1"};
    bool other = strcmp(m->installation, "ffffffffffffffff") != 0;
    check(!other || fh_guard_judge(m, &x, &rules, INT64_MAX / 2, why) == FH_GUARD_FOREIGN);
    for (size_t i = 0; i < m->held_count; i++) {
        memcpy(x.tag, m->held[i].tag, sizeof x.tag);
        check(fh_guard_judge(m, &x, &rules, INT64_MAX / 2, why) != FH_GUARD_FOREIGN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fh_guard_memory told, kept, again;
    FH_AUTO(json) fh_json *doc = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL, *other = NULL;
    if (fh_json_parse(&doc, (fh_str){(const char *)data, size}, 1 << 20, NULL)) return 0;
    told = kept = (fh_guard_memory){.held_count = 0};
    int rc = fh_guard_heard(&told, doc, 1800000000000000000, &err);
    check((rc == 0) == (err == NULL) && (rc == 0 || !told.installation[0]));
    read_again(&told, &again);
    judge(&told);
    rc = fh_guard_memory_read(doc, &kept, &other);
    check((rc == 0) == (other == NULL) && (rc == 0 || !kept.installation[0]));
    read_again(&kept, &again);
    return 0;
}
