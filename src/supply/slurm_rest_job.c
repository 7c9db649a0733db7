/* The document that submits a job to slurmrestd. v0.0.38 has plain numbers and an object of the environment; later versions have
 * {"set", "number"} and a list of NAME=VALUE. As their specifications say; only v0.0.38 was run. */
#include "quote.h"
#include "slurm_rest.h"

#include <inttypes.h>
#include <stdio.h>

enum { SCRIPT_BYTES = 65536, PLAIN = 38, TRES_COLON = 39, SCRIPT_IN_JOB = 40 };
static const char search_path[] = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/* "v0.0.38": 38. */
static uint64_t version_of(const char *api)
{
    const char *dot = strrchr(api, '.');
    uint64_t n = 0;
    return dot && fh_str_u64(fh_str_of(dot + 1), 100000, &n) ? n : 0;
}

/* The words of the job's script stand at its beginning: slurmrestd of 22.05 ends when it is given arguments for it. */
static int write_script(const slurm_order *o, fh_buf *out, fh_err **err)
{
    const slurm *s = o->of;
    const char *const words[] = {s->set.folder, s->set.program, s->door.url, o->node, s->set.scratch, s->door.certificate};
    fh_buf_adds(out, "#!/bin/sh\nset --");
    for (size_t i = 0; i < FH_COUNT(words); i++) {
        fh_buf_addc(out, ' ');
        fh_supply_quote(words[i], out);
    }
    fh_buf_addc(out, '\n');
    fh_buf_adds(out, fh_slurm_job);
    return fh_buf_check(out, err, "the job's script");
}

static void set_text(fh_json *job, const char *key, const char *value)
{
    if (value[0]) fh_json_set(job, key, fh_json_new_cstr(value));
}

static void set_number(fh_json *job, const char *key, uint64_t value, bool plain)
{
    fh_json *o = plain ? NULL : fh_json_new_object();
    if (o) fh_json_set(o, "set", fh_json_new_bool(true));
    if (o) fh_json_set(o, "number", fh_json_new_int((int64_t)value));
    fh_json_set(job, key, plain ? fh_json_new_int((int64_t)value) : o);
}

static void set_environment(fh_json *job, bool plain)
{
    fh_json *e = plain ? fh_json_new_object() : fh_json_new_array();
    char line[sizeof search_path + 8];
    snprintf(line, sizeof line, "PATH=%s", search_path);
    if (plain)
        fh_json_set(e, "PATH", fh_json_new_cstr(search_path));
    else
        fh_json_append(e, fh_json_new_cstr(line));
    fh_json_set(job, "environment", e);
}

/* "gpu:1,shard:2": later versions want each with what it is before it. */
static void set_gres(fh_json *job, const char *gres, uint64_t version)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(16 * SLURM_TEXT);
    if (!gres[0]) return;
    const char *before = version <= PLAIN ? "" : version == TRES_COLON ? "gres:" : "gres/";
    fh_buf_adds(&text, before);
    for (const char *at = gres; *at; at++) {
        fh_buf_addc(&text, *at);
        if (*at == ',') fh_buf_adds(&text, before);
    }
    set_text(job, version <= PLAIN ? "gres" : "tres_per_node", fh_buf_cstr(&text));
}

static fh_json *job_of(const slurm_order *o, uint64_t version)
{
    const slurm_settings *set = &o->of->set;
    const bool plain = version <= PLAIN;
    char nodes[16];
    fh_json *job = fh_json_new_object();
    snprintf(nodes, sizeof nodes, "%" PRIu32, o->shape.nodes);
    set_text(job, "name", o->job_name);
    set_text(job, "dependency", "singleton");
    set_text(job, "partition", set->partition);
    set_text(job, "account", set->account);
    set_text(job, "qos", set->qos);
    set_text(job, "constraints", set->constraint);
    set_text(job, "nodes", nodes);
    set_text(job, "current_working_directory", "/");
    set_text(job, "standard_output", "/dev/null");
    set_text(job, "standard_error", "/dev/null");
    set_gres(job, set->gres, version);
    set_environment(job, plain);
    fh_json_set(job, "requeue", fh_json_new_bool(false));
    fh_json_set(job, "tasks_per_node", fh_json_new_int(1));
    set_number(job, "memory_per_node", o->shape.mem_mib, plain);
    if (o->shape.minutes) set_number(job, "time_limit", (uint64_t)o->shape.minutes, plain);
    if (o->shape.cpus) fh_json_set(job, "cpus_per_task", fh_json_new_int((int64_t)o->shape.cpus));
    return job;
}

fh_json *fh_slurm_rest_job(const slurm_order *o)
{
    uint64_t version = version_of(o->of->set.api);
    FH_AUTO(buf) fh_buf script = FH_BUF(SCRIPT_BYTES);
    FH_AUTO(json) fh_json *doc = fh_json_new_object();
    fh_json *job = job_of(o, version);
    bool made = doc && write_script(o, &script, NULL) == 0;
    made = made && fh_json_set(version < SCRIPT_IN_JOB ? doc : job, "script", fh_json_new_cstr(fh_buf_cstr(&script)));
    if (!made) fh_json_unref(job);
    made = made && fh_json_set(doc, "job", job);
    return made ? fh_take(doc) : NULL;
}
