/* What a cluster's commands print. Whatever it is, it is read to its end, and each job that is found has a number, a state, and texts that
 * lie within what was printed. */
#include "supply/slurm_says.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static bool lies_within(fh_str part, fh_str whole)
{
    return !part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fh_str whole = {(const char *)data, size}, text = whole;
    fh_slurm_row r;
    int64_t seconds = -1;
    while (fh_slurm_row_next(&text, &r)) {
        check(r.job > 0 && r.state && r.ends_s >= 0 && r.starts_s >= 0 && r.name.len > 0);
        check(lies_within(r.name, whole) && lies_within(r.reason, whole) && lies_within(r.node, whole) && lies_within(text, whole));
        (void)fh_slurm_reason_find(r.reason);
    }
    check(text.len == 0);
    check(lies_within(fh_slurm_said(whole, "job"), whole));
    fh_slurm_kinds kinds;
    fh_slurm_kinds_read(&kinds, whole);
    check(fh_slurm_kinds_cpus(&kinds, "main") <= 1 << 20 && fh_slurm_kinds_cpus(&kinds, "") <= 1 << 20);
    check(fh_slurm_kinds_nodes(&kinds, "main", 0) >= fh_slurm_kinds_nodes(&kinds, "main", 256000));
    check(fh_slurm_time_parse(whole, &seconds) == (seconds > 0));
    return 0;
}
