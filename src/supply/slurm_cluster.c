/* The cluster as a whole: that it can be used (its commands, our folder, our program), and the lists of our jobs. */
#include "slurm_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

/* ---- what is wrong with it ---- */

/* What cannot come right by itself ends the orders of which nothing was asked yet; the others wait. */
static void give_up(slurm *s)
{
    for (slurm_order *o = s->first; o; o = o->next) {
        if (o->asked || !fh_slurm_order_is_open(o)) continue;
        if (s->refused || fh_slurm_now_ms() - o->begun_mono > FH_LIMIT_SLURM_REACH_MS)
            fh_slurm_order_over(o, false, s->hint, "%s", s->problem);
        else
            fh_slurm_order_say(o, FH_SUPPLY_WAITING, s->hint, "%s", s->problem);
    }
}

static void unprepared(slurm *s, bool refused, const char *hint, const char *problem)
{
    s->ready = SLURM_NOT_READY;
    s->refused = refused;
    s->prepare_mono = fh_slurm_now_ms() + fh_slurm_pause_ms(s->failures++);
    snprintf(s->problem, sizeof s->problem, "%s", problem);
    snprintf(s->hint, sizeof s->hint, "%s", hint);
    give_up(s);
    fh_slurm_tick_soon(s, 0);
    fh_slurm_tell_news(s);
}

/* A script that says why it ended is understood; everything else is a cluster that is not reached. */
static void failed(slurm *s, const supply_result *r)
{
    bool refused = r->status == SLURM_REFUSED || r->status == 126 || r->status == 127;
    const char *hint = refused ? "" : "`ssh` with the same key and address shows why; it is tried again";
    if (refused && strstr(r->words, "shared libraries"))
        hint = "install the libraries of freehold there, or --set program=PATH of the provider names one that runs there";
    unprepared(s, refused, hint, refused && r->words[0] ? r->words : fh_err_message(r->why));
}

static void failed_here(slurm *s, fh_err *err)
{
    unprepared(s, false, "", fh_err_message(err));
    fh_err_free(err);
}

/* ---- the program ---- */

static void prepared(slurm *s)
{
    s->ready = SLURM_READY;
    s->failures = 0;
    s->problem[0] = s->hint[0] = '\0';
    s->refused = false;
    s->prepared_mono = fh_slurm_now_ms();
    fh_slurm_tick_soon(s, 0);
}

static void uploaded(void *arg, const supply_result *r)
{
    slurm *s = arg;
    if (r->code) {
        failed(s, r);
        return;
    }
    snprintf(s->program, sizeof s->program, "%s/bin/freehold-%s", s->folder, s->sum);
    fh_log(FH_LOG_INFO, "slurm", "supply=%s freehold was copied to %s", s->name, s->folder);
    prepared(s);
}

static void upload(slurm *s)
{
    fh_err *err = NULL;
    const char *const argv[] = {"sh", "-c", fh_slurm_upload, "sh", s->folder, s->sum, NULL};
    const supply_command c = {
        .argv = argv, .input_file = s->local_program, .timeout_ms = FH_LIMIT_SLURM_UPLOAD_MS, .done = uploaded, .arg = s};
    if (fh_supply_run(s->host, &c, &err) != 0) failed_here(s, err);
}

static bool is_same_machine(fh_str machine)
{
    struct utsname u;
    return uname(&u) == 0 && fh_str_eqs(machine, u.machine);
}

static void keep(fh_str from, char *to, size_t to_size)
{
    snprintf(to, to_size, "%.*s", (int)FH_MIN(from.len, to_size - 1), from.ptr);
}

static void heard(void *arg, const supply_result *r)
{
    slurm *s = arg;
    fh_str folder = fh_slurm_said(r->out, "folder"), program = fh_slurm_said(r->out, "program");
    if (r->code || !folder.len) {
        failed(s, r);
        return;
    }
    keep(folder, s->folder, sizeof s->folder);
    fh_buf_clear(&s->partitions);
    fh_buf_add(&s->partitions, r->out.ptr, FH_MIN(r->out.len, s->partitions.max));
    if (program.len) {
        keep(program, s->program, sizeof s->program);
        prepared(s);
    } else if (is_same_machine(fh_slurm_said(r->out, "machine"))) {
        upload(s);
    } else {
        unprepared(s, true, "--set program=PATH of the provider names a freehold that was built for it",
                   "the cluster's machines are of another kind than this one");
    }
}

static void prepare(slurm *s)
{
    fh_err *err = NULL;
    const char *const words[] = {s->set.folder, s->sum, s->set.program, NULL};
    if (fh_slurm_call(s, fh_slurm_prepare, words, FH_STR(""), heard, s, &err) != 0) failed_here(s, err);
}

static void summed(void *arg, const supply_result *r)
{
    slurm *s = arg;
    if (r->code || r->out.len < 64) {
        unprepared(s, false, "", r->why ? fh_err_message(r->why) : "sha256sum says nothing of this program");
        return;
    }
    keep((fh_str){r->out.ptr, 64}, s->sum, sizeof s->sum);
    prepare(s);
}

static void sum_own(slurm *s)
{
    fh_err *err = NULL;
    const char *const argv[] = {"sha256sum", "--", s->local_program, NULL};
    const supply_command c = {.argv = argv, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = summed, .arg = s};
    if (fh_supply_run(s->here, &c, &err) != 0) failed_here(s, err);
}

static bool wants_jobs(const slurm *s)
{
    for (const slurm_order *o = s->first; o; o = o->next)
        if (fh_slurm_order_is_open(o) && !o->job) return true;
    return false;
}

void fh_slurm_prepare_step(slurm *s)
{
    int64_t now = fh_slurm_now_ms();
    if (s->ready == SLURM_READY && now - s->prepared_mono > FH_LIMIT_SLURM_CHECK_MS && wants_jobs(s)) s->ready = SLURM_NOT_READY;
    if (s->ready != SLURM_NOT_READY) return;
    if (s->prepare_mono > now) {
        fh_slurm_tick_soon(s, s->prepare_mono - now);
        return;
    }
    if (s->problem[0] && !wants_jobs(s)) return; /* nobody asks */
    s->ready = SLURM_PREPARING;
    if (s->sum[0] || s->set.program[0])
        prepare(s);
    else
        sum_own(s);
}

int fh_slurm_cluster_check(slurm *s, fh_err **err)
{
    if (!s->refused) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "%s: %s", s->name, s->problem);
    fh_err_hint(err, "%s", s->hint);
    s->refused = false; /* whoever asks again finds out whether that has changed */
    s->problem[0] = '\0';
    s->prepare_mono = 0;
    fh_slurm_tick_soon(s, 0);
    return FH_E_UNAVAILABLE;
}

/* ---- lists ---- */

static slurm_order *order_named(slurm *s, fh_str name)
{
    slurm_order *o = s->first;
    while (o && !fh_str_eqs(name, o->job_name)) o = o->next;
    return o;
}

static bool is_listed(fh_str text, const slurm_order *o)
{
    fh_slurm_row row;
    while (fh_slurm_row_next(&text, &row))
        if (row.job == o->job) return true;
    return false;
}

static void listed(void *arg, const supply_result *r)
{
    slurm *s = arg;
    fh_slurm_row row;
    s->listing = false;
    s->list_failures = r->code ? s->list_failures + 1 : 0;
    s->list_mono = fh_slurm_now_ms();
    if (!r->code) {
        fh_str text = r->out;
        while (fh_slurm_row_next(&text, &row)) {
            slurm_order *o = order_named(s, row.name);
            if (o && o->job) fh_slurm_order_seen(o, &row);
        }
        for (slurm_order *o = s->first; o; o = o->next)
            if (o->job && fh_slurm_order_is_open(o) && !is_listed(r->out, o)) fh_slurm_order_missed(o);
    } else if (s->list_failures == 3) {
        fh_log_err(FH_LOG_WARN, "slurm", r->why, "supply=%s its jobs cannot be listed", s->name);
    }
    fh_slurm_tick_soon(s, 0);
    fh_slurm_tell_news(s);
}

static int64_t list_pause_ms(const slurm *s)
{
    if (s->list_failures) return fh_slurm_pause_ms(s->list_failures - 1);
    return fh_slurm_now_ms() - s->stirred_mono < FH_LIMIT_SLURM_STIR_MS ? FH_LIMIT_SLURM_LIST_MS : FH_LIMIT_SLURM_QUIET_MS;
}

static size_t add_names(const slurm *s, fh_buf *out)
{
    size_t n = 0;
    for (const slurm_order *o = s->first; o; o = o->next)
        if (o->job && fh_slurm_order_is_open(o)) fh_buf_addf(out, "%s%s", n++ ? "," : "--name=", o->job_name);
    return n;
}

void fh_slurm_list_step(slurm *s)
{
    FH_AUTO(buf) fh_buf names = FH_BUF(FH_LIMIT_SUPPLY_COMMAND_BYTES);
    FH_AUTO(fh_err) fh_err *err = NULL;
    int64_t wait = s->list_mono + list_pause_ms(s) - fh_slurm_now_ms();
    if (s->listing || !add_names(s, &names)) return;
    if (wait > 0) {
        fh_slurm_tick_soon(s, wait);
        return;
    }
    const char *const argv[] = {"env", "SLURM_TIME_FORMAT=%s", "squeue", "--me", "--noheader", "--states=all", fh_buf_cstr(&names),
                                "-o",  FH_SLURM_LIST_FORMAT,   NULL};
    const supply_command c = {.argv = argv, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = listed, .arg = s};
    s->listing = fh_buf_ok(&names) && fh_supply_run(s->host, &c, &err) == 0;
    if (s->listing) return;
    s->list_mono = fh_slurm_now_ms();
    s->list_failures++;
    fh_slurm_tick_soon(s, list_pause_ms(s));
}
