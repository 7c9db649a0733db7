/* Tables of Slurm's states and reasons, and readers of lines (see slurm_says.h). */
#include "supply/slurm_says.h"

#include "base/mem.h"

#define YEAR_S (365 * 24 * 3600LL)

static const fh_slurm_state states[] = {
    {"PENDING", FH_SLURM_WAITS, false, "waits in the queue", ""},
    {"CONFIGURING", FH_SLURM_WAITS, false, "has its node, which is being made ready", ""},
    {"REQUEUED", FH_SLURM_WAITS, false, "was put back into the queue", ""},
    {"REQUEUE_FED", FH_SLURM_WAITS, false, "was put back into the queue", ""},
    {"REQUEUE_HOLD", FH_SLURM_WAITS, false, "was put back into the queue and is held", ""},
    {"SPECIAL_EXIT", FH_SLURM_WAITS, false, "was put back into the queue and is held", ""},
    {"RESV_DEL_HOLD", FH_SLURM_WAITS, false, "is held: its reservation is gone", ""},
    {"RUNNING", FH_SLURM_RUNS, false, "runs", ""},
    {"RESIZING", FH_SLURM_RUNS, false, "runs", ""},
    {"SIGNALING", FH_SLURM_RUNS, false, "runs", ""},
    {"SUSPENDED", FH_SLURM_HALTS, false, "is suspended", ""},
    {"STOPPED", FH_SLURM_HALTS, false, "is stopped", ""},
    {"COMPLETING", FH_SLURM_ENDS, true, "has ended and is being cleared away", ""},
    {"STAGE_OUT", FH_SLURM_ENDS, true, "has ended and is being cleared away", ""},
    {"COMPLETED", FH_SLURM_ENDED, true, "has ended", ""},
    {"CANCELLED", FH_SLURM_ENDED, true, "was cancelled", ""},
    {"TIMEOUT", FH_SLURM_ENDED, true, "reached its time limit", "--set time=LIMIT of the provider asks for more"},
    {"DEADLINE", FH_SLURM_ENDED, true, "reached its deadline", ""},
    {"NODE_FAIL", FH_SLURM_ENDED, true, "lost its node", ""},
    {"BOOT_FAIL", FH_SLURM_ENDED, true, "lost its node, which did not start", ""},
    {"PREEMPTED", FH_SLURM_ENDED, true, "had to make room for another job", "another partition or quality of service may not be preempted"},
    {"REVOKED", FH_SLURM_ENDED, true, "was taken by another cluster", ""},
    {"FAILED", FH_SLURM_ENDED, true, "failed", ""},
    {"OUT_OF_MEMORY", FH_SLURM_ENDED, false, "ran out of memory", "--set mem=AMOUNT of the provider asks for more"},
};

const fh_slurm_state *fh_slurm_state_known(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(states); i++)
        if (fh_str_eqs(name, states[i].name)) return &states[i];
    return NULL;
}

const fh_slurm_state *fh_slurm_state_find(fh_str name)
{
    const fh_slurm_state *s = fh_slurm_state_known(name);
    return s ? s : fh_slurm_state_known(FH_STR("RUNNING")); /* a later Slurm's: as long as it is listed it is not over */
}

static const fh_slurm_reason reasons[] = {
    {"Priority", "others come first", false},
    {"Resources", "until there is room", false},
    {"Dependency", "for a job of the same name to end", false},
    {"JobHeldUser", "it is held by its user", false},
    {"JobHeldAdmin", "it is held by an administrator", false},
    {"BeginTime", "until its time has come", false},
    {"Licenses", "for licences", false},
    {"NodeDown", "for a node that is down", false},
    {"PartitionDown", "the partition is down", false},
    {"PartitionInactive", "the partition takes no jobs now", false},
    {"ReqNodeNotAvail", "its nodes are not to be had now", false},
    {"Reservation", "for its reservation", false},
    {"JobArrayTaskLimit", "for its limit of jobs", false},
    {"AssocGrpCpuLimit", "the account uses all the processors it may", false},
    {"AssocMaxJobsLimit", "the account runs all the jobs it may", false},
    {"QOSMaxJobsPerUserLimit", "its user runs all the jobs that the quality of service allows", false},
    {"QOSMaxCpuPerUserLimit", "its user uses all the processors that the quality of service allows", false},
    {"BadConstraints", "no node can ever have what it asks for", true},
    {"PartitionNodeLimit", "it asks for more nodes than the partition gives", true},
    {"PartitionConfig", "it asks for more than the partition has", true},
    {"PartitionTimeLimit", "it asks for more time than the partition gives", true},
    {"AssociationJobLimit", "the account may not run it", true},
    {"AccountNotAllowed", "the account may not use the partition", true},
    {"InvalidAccount", "there is no such account", true},
    {"InvalidQOS", "there is no such quality of service", true},
    {"QOSNotAllowed", "the quality of service may not be used there", true},
    {"QOSMaxWallDurationPerJobLimit", "it asks for more time than the quality of service allows", true},
    {"QOSMaxMemoryPerJob", "it asks for more memory than the quality of service allows", true},
};

const fh_slurm_reason *fh_slurm_reason_find(fh_str name)
{
    for (size_t i = 0; i < FH_COUNT(reasons); i++)
        if (fh_str_eqs(name, reasons[i].name)) return &reasons[i];
    return NULL;
}

/* ---- lines ---- */

static fh_str take_until(fh_str *rest, char until)
{
    const char *at = rest->len ? memchr(rest->ptr, until, rest->len) : NULL;
    fh_str piece = {rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    size_t taken = FH_MIN(piece.len + 1, rest->len);
    rest->ptr += taken;
    rest->len -= taken;
    return piece;
}

/* "NONE", "N/A" and whatever else is no time: 0. */
static int64_t seconds_of(fh_str s)
{
    uint64_t v = 0;
    return fh_str_u64(s, 253402300799, &v) ? (int64_t)v : 0;
}

/* When the job's time is up. Where there is no limit it is made up: the main scheduler says UNLIMITED, the backfill scheduler a year from
 * the start. */
static int64_t end_of(fh_str limit, fh_str ends, fh_str starts)
{
    int64_t limit_s = 0, end_s = seconds_of(ends);
    return fh_slurm_time_parse(limit, &limit_s) && end_s - seconds_of(starts) < YEAR_S ? end_s : 0;
}

/* "8+": at least. */
static uint64_t count_of(fh_str s)
{
    uint64_t n = 0;
    if (fh_str_ends(s, FH_STR("+"))) s.len--;
    return fh_str_u64(s, INT64_MAX, &n) ? n : 0;
}

static bool row_parse(fh_str line, fh_slurm_row *ret)
{
    uint64_t job = 0;
    fh_str field[8];
    for (size_t i = 0; i < FH_COUNT(field); i++) field[i] = take_until(&line, '|');
    if (!fh_str_u64(field[0], INT64_MAX, &job) || !job || !field[1].len || !line.len) return false;
    *ret = (fh_slurm_row){.job = (int64_t)job,
                          .state = fh_slurm_state_find(field[1]),
                          .reason = field[2],
                          .ends_s = end_of(field[3], field[4], field[5]),
                          .starts_s = seconds_of(field[5]),
                          .node = field[6],
                          .nodes = count_of(field[7]),
                          .name = line};
    return true;
}

bool fh_slurm_row_next(fh_str *text, fh_slurm_row *ret)
{
    while (text->len)
        if (row_parse(take_until(text, '\n'), ret)) return true;
    return false;
}

bool fh_slurm_is_passing(const char *words)
{
    static const char *const passing[] = {"timed out",
                                          "Unable to contact slurm controller",
                                          "Zero Bytes were transmitted",
                                          "Connection refused",
                                          "Communication connection failure",
                                          "temporarily unavailable",
                                          "Transport endpoint",
                                          "slurm_receive_msg",
                                          "Resource temporarily",
                                          "Slurm backup controller"};
    for (size_t i = 0; i < FH_COUNT(passing); i++)
        if (strstr(words, passing[i])) return true;
    return false;
}

fh_str fh_slurm_said(fh_str out, const char *key)
{
    while (out.len) {
        fh_str line = take_until(&out, '\n'), word = take_until(&line, ' ');
        if (fh_str_eqs(word, key)) return fh_str_trim(line);
    }
    return FH_STR("");
}

/* ---- kinds of nodes ---- */

void fh_slurm_kinds_add(fh_slurm_kinds *k, fh_str partition, bool standard, uint64_t cpus, uint64_t mib, uint64_t nodes)
{
    fh_slurm_kind *at = k->rows, *end = k->rows + k->count;
    while (at < end && (!fh_str_eqs(partition, at->partition) || at->cpus != cpus || at->mib != mib)) at++;
    if (at == end && (k->count == FH_COUNT(k->rows) || partition.len >= sizeof at->partition)) return;
    if (at == end) {
        *at = (fh_slurm_kind){.cpus = cpus, .mib = mib};
        if (partition.len) memcpy(at->partition, partition.ptr, partition.len);
        k->count++;
    }
    at->standard |= standard;
    at->nodes += FH_MIN(nodes, (uint64_t)1 << 32);
}

void fh_slurm_kinds_read(fh_slurm_kinds *ret, fh_str out)
{
    *ret = (fh_slurm_kinds){.count = 0};
    while (out.len) {
        fh_str line = take_until(&out, '\n'), word = take_until(&line, ' ');
        if (!fh_str_eqs(word, "partition")) continue;
        fh_str name = take_until(&line, '|'), cpus = take_until(&line, '|'), mib = take_until(&line, '|');
        bool standard = fh_str_ends(name, FH_STR("*"));
        if (standard) name.len--;
        fh_slurm_kinds_add(ret, name, standard, count_of(cpus), count_of(mib), count_of(line));
    }
}

static bool is_of(const fh_slurm_kind *k, const char *partition)
{
    return partition[0] ? strcmp(k->partition, partition) == 0 : k->standard;
}

uint64_t fh_slurm_kinds_cpus(const fh_slurm_kinds *k, const char *partition)
{
    const fh_slurm_kind *at = k->rows, *end = k->rows + k->count;
    while (at < end && !is_of(at, partition)) at++;
    return at < end && at->cpus <= 1 << 20 ? at->cpus : 0;
}

uint64_t fh_slurm_kinds_nodes(const fh_slurm_kinds *k, const char *partition, uint64_t mib)
{
    uint64_t count = 0;
    for (size_t i = 0; i < k->count; i++)
        if (is_of(&k->rows[i], partition) && k->rows[i].mib >= mib) count += k->rows[i].nodes;
    return count;
}
