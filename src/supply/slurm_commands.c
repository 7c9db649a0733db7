/* A cluster by the commands of its login node: squeue, sbatch, scancel and sinfo, through the scripts of slurm_scripts.c. freehold copies
 * itself there, into a folder that login node and nodes share; what lets a job's machine in goes through a file in it. */
#include "slurm_private.h"

#include "base/log.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>

enum { OPTIONS_MOST = 16, OPTION_CHARS = SLURM_TEXT + 24 };

typedef struct slurm_commands {
    supply_host *host, *here; /* here: for our own program's digest; may be the same */
    char local_program[512];
    char sum[65], folder[512], program[600]; /* there; "": not known yet */
} slurm_commands;

/* sh -c SCRIPT with words; done(arg) comes later. */
static int run(slurm *s, const char *script, const char *const *words, fh_str input, supply_done_fn *done, void *arg, fh_err **err)
{
    const char *argv[32] = {"sh", "-c", script, "sh"};
    size_t n = 4;
    while (*words && n + 1 < FH_COUNT(argv)) argv[n++] = *words++;
    const supply_command c = {.argv = argv, .input = input, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = done, .arg = arg};
    return fh_supply_run(s->commands->host, &c, err);
}

static void nobody(void *arg, const supply_result *r)
{
    (void)arg;
    (void)r;
}

/* ---- that it can be used ---- */

/* A script that says why it ended is understood; everything else is a cluster that is not reached. */
static void failed(slurm *s, const supply_result *r)
{
    bool refused = r->status == SLURM_REFUSED || r->status == 126 || r->status == 127;
    const char *hint = refused ? "" : "`ssh` with the same key and address shows why; it is tried again";
    if (refused && strstr(r->words, "shared libraries"))
        hint = "install the libraries of freehold there, or --set program=PATH of the provider names one that runs there";
    fh_slurm_unprepared(s, refused, hint, refused && r->words[0] ? r->words : fh_err_message(r->why));
}

static void failed_here(slurm *s, fh_err *err)
{
    fh_slurm_unprepared(s, false, "", fh_err_message(err));
    fh_err_free(err);
}

static void uploaded(void *arg, const supply_result *r)
{
    slurm *s = arg;
    slurm_commands *c = s->commands;
    if (r->code) {
        failed(s, r);
        return;
    }
    snprintf(c->program, sizeof c->program, "%s/bin/freehold-%s", c->folder, c->sum);
    fh_log(FH_LOG_INFO, "slurm", "supply=%s freehold was copied to %s", s->name, c->folder);
    fh_slurm_prepared(s);
}

static void upload(slurm *s)
{
    fh_err *err = NULL;
    slurm_commands *c = s->commands;
    const char *const argv[] = {"sh", "-c", fh_slurm_upload, "sh", c->folder, c->sum, NULL};
    const supply_command command = {
        .argv = argv, .input_file = c->local_program, .timeout_ms = FH_LIMIT_SLURM_UPLOAD_MS, .done = uploaded, .arg = s};
    if (fh_supply_run(c->host, &command, &err) != 0) failed_here(s, err);
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
    slurm_commands *c = s->commands;
    fh_str folder = fh_slurm_said(r->out, "folder"), program = fh_slurm_said(r->out, "program");
    if (r->code || !folder.len) {
        failed(s, r);
        return;
    }
    keep(folder, c->folder, sizeof c->folder);
    fh_slurm_kinds_read(&s->kinds, r->out);
    if (program.len) {
        keep(program, c->program, sizeof c->program);
        fh_slurm_prepared(s);
    } else if (is_same_machine(fh_slurm_said(r->out, "machine"))) {
        upload(s);
    } else {
        fh_slurm_unprepared(s, true, "--set program=PATH of the provider names a freehold that was built for it",
                            "the cluster's machines are of another kind than this one");
    }
}

static void look_there(slurm *s)
{
    fh_err *err = NULL;
    const char *const words[] = {s->set.folder, s->commands->sum, s->set.program, NULL};
    if (run(s, fh_slurm_prepare, words, FH_STR(""), heard, s, &err) != 0) failed_here(s, err);
}

static void summed(void *arg, const supply_result *r)
{
    slurm *s = arg;
    if (r->code || r->out.len < 64) {
        fh_slurm_unprepared(s, false, "", r->why ? fh_err_message(r->why) : "sha256sum says nothing of this program");
        return;
    }
    keep((fh_str){r->out.ptr, 64}, s->commands->sum, sizeof s->commands->sum);
    look_there(s);
}

static void sum_own(slurm *s)
{
    fh_err *err = NULL;
    const char *const argv[] = {"sha256sum", "--", s->commands->local_program, NULL};
    const supply_command c = {.argv = argv, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = summed, .arg = s};
    if (fh_supply_run(s->commands->here, &c, &err) != 0) failed_here(s, err);
}

static void prepare(slurm *s)
{
    if (s->commands->sum[0] || s->set.program[0])
        look_there(s);
    else
        sum_own(s);
}

/* ---- lists ---- */

static size_t count_lines(fh_str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '\n';
    return n;
}

static void listed(void *arg, const supply_result *r)
{
    slurm *s = arg;
    fh_str text = r->out;
    size_t count = 0, most = r->code ? 0 : count_lines(text);
    FH_AUTO(fh_err) fh_err *err = NULL;
    FH_AUTO(ptr) fh_slurm_row *rows = fh_calloc(most + 1, sizeof *rows);
    if (!rows) (void)fh_err_nomem(&err);
    while (rows && count < most && fh_slurm_row_next(&text, &rows[count])) count++;
    fh_slurm_listed(s, rows, count, r->code ? r->why : err);
}

static size_t add_names(const slurm *s, fh_buf *out)
{
    size_t n = 0;
    for (const slurm_order *o = s->first; o; o = o->next)
        if (o->job && fh_slurm_order_is_open(o)) fh_buf_addf(out, "%s%s", n++ ? "," : "--name=", o->job_name);
    return n;
}

static int list(slurm *s, fh_err **err)
{
    FH_AUTO(buf) fh_buf names = FH_BUF(FH_LIMIT_SUPPLY_COMMAND_BYTES);
    (void)add_names(s, &names);
    const char *const argv[] = {"env", "SLURM_TIME_FORMAT=%s", "squeue", "--me", "--noheader", "--states=all", fh_buf_cstr(&names),
                                "-o",  FH_SLURM_LIST_FORMAT,   NULL};
    const supply_command c = {.argv = argv, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = listed, .arg = s};
    int rc = fh_buf_check(&names, err, "the names of jobs");
    return rc ? rc : fh_supply_run(s->commands->host, &c, err);
}

/* ---- orders ---- */

static void answered(void *arg, const supply_result *r)
{
    uint64_t job = 0;
    bool refused = r->status == SLURM_REFUSED && !fh_slurm_is_passing(r->words);
    (void)fh_str_u64(fh_slurm_said(r->out, "job"), INT64_MAX, &job);
    fh_slurm_order_answered(arg, &(slurm_answer){.code = r->code,
                                                 .refused = r->code && refused,
                                                 .unsure = !refused,
                                                 .job = r->code ? 0 : (int64_t)job,
                                                 .words = r->words,
                                                 .why = r->why});
}

/* A script that needs no words but where the order's files are. */
static int run_of(slurm_order *o, const char *script, fh_str input, fh_err **err)
{
    const char *const words[] = {o->of->commands->folder, o->job_name, NULL};
    return run(o->of, script, words, input, answered, o, err);
}

typedef struct options {
    const char *words[6 + OPTIONS_MOST + 1];
    char text[OPTIONS_MOST][OPTION_CHARS];
    size_t count, used;
} options;

static void add(options *p, const char *name, const char *value)
{
    if (!value[0]) return;
    snprintf(p->text[p->used], OPTION_CHARS, "--%s=%s", name, value);
    p->words[p->count++] = p->text[p->used++];
}

static void add_number(options *p, const char *name, uint64_t value, const char *unit)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64 "%s", value, unit);
    add(p, name, text);
}

static void make_options(options *p, const slurm_order *o)
{
    const slurm *s = o->of;
    const char *const first[] = {s->commands->folder, o->job_name, s->commands->program, s->door.url, o->node, s->set.scratch};
    for (size_t i = 0; i < FH_COUNT(first); i++) p->words[p->count++] = first[i];
    add(p, "partition", s->set.partition);
    add(p, "account", s->set.account);
    add(p, "qos", s->set.qos);
    add(p, "gres", s->set.gres);
    add(p, "constraint", s->set.constraint);
    add_number(p, "nodes", o->shape.nodes, "");
    add(p, "ntasks-per-node", "1");
    add_number(p, "mem", o->shape.mem_mib, "M");
    if (o->shape.minutes) add_number(p, "time", (uint64_t)o->shape.minutes, "");
    if (o->shape.cpus) add_number(p, "cpus-per-task", o->shape.cpus, "");
}

static int submit(slurm_order *o, fh_err **err)
{
    options p = {.count = 0};
    make_options(&p, o);
    return run(o->of, fh_slurm_submit, p.words, fh_str_of(fh_slurm_job), answered, o, err);
}

/* The token is made now that the job runs: it lives for an hour, and jobs may wait for days. */
static void let_in(slurm_order *o)
{
    char token[512] = "", line[520];
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = o->of->door.token(o->of->door.arg, token, sizeof token, &err);
    snprintf(line, sizeof line, "%s\n", token);
    o->answered = fh_slurm_order_let_in;
    if (!rc) rc = run_of(o, fh_slurm_hand, fh_str_of(line), &err);
    explicit_bzero(token, sizeof token);
    explicit_bzero(line, sizeof line);
    o->calling = !rc;
    if (rc) fh_slurm_order_let_in(o, &(slurm_answer){.code = rc, .words = "", .why = err});
}

static int cancel(slurm_order *o, fh_err **err)
{
    return run_of(o, fh_slurm_cancel, FH_STR(""), err);
}

static int cancel_twin(slurm *s, int64_t job, fh_err **err)
{
    char number[32];
    const char *const argv[] = {"scancel", number, NULL};
    const supply_command c = {.argv = argv, .timeout_ms = FH_LIMIT_SLURM_COMMAND_MS, .done = nobody};
    snprintf(number, sizeof number, "%" PRId64, job);
    return fh_supply_run(s->commands->host, &c, err);
}

static int last(slurm_order *o, fh_err **err)
{
    return run_of(o, fh_slurm_last, FH_STR(""), err);
}

static void forget(slurm_order *o)
{
    const char *const words[] = {o->of->commands->folder, o->job_name, NULL};
    if (words[0][0]) (void)run(o->of, fh_slurm_remove, words, FH_STR(""), nobody, NULL, NULL);
}

/* ---- opening ---- */

static void close_hosts(slurm *s)
{
    slurm_commands *c = s->commands;
    supply_host *here = c->here == c->host ? NULL : c->here;
    fh_supply_host_close(c->host);
    fh_supply_host_close(here);
    fh_free(c);
}

static const slurm_way by_commands = {.prepare = prepare,
                                      .list = list,
                                      .submit = submit,
                                      .let_in = let_in,
                                      .cancel = cancel,
                                      .cancel_twin = cancel_twin,
                                      .last = last,
                                      .forget = forget,
                                      .close = close_hosts};

/* Each provider has known hosts and connections of its own: what one's key has opened is not for another. */
int fh_slurm_commands_open(slurm *s, const fh_supply_config *c, const char *above, fh_err **err)
{
    char name[sizeof s->name], folder[sizeof s->marks + sizeof s->name];
    const char *slash = strrchr(c->name, '/');
    s->commands = fh_calloc(1, sizeof *s->commands);
    if (!s->commands) return fh_err_nomem(err);
    s->way = &by_commands;
    snprintf(s->commands->local_program, sizeof s->commands->local_program, "%s", c->program);
    snprintf(name, sizeof name, "ssh-%s", slash ? slash + 1 : c->name);
    int rc = fh_path_join(folder, sizeof folder, above, name, err);
    if (rc) return rc;
    const supply_host_config there = {.url = c->url, .key_file = c->key_file, .folder = folder};
    const supply_host_config here = {.url = "", .key_file = "", .folder = folder};
    rc = fh_supply_host_open(&s->commands->host, s->loop, &there, err);
    s->commands->here = s->commands->host;
    return rc || !c->url[0] ? rc : fh_supply_host_open(&s->commands->here, s->loop, &here, err);
}
