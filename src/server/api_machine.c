/* The machine that the server runs on, and what engines are shut in by there. */
#include "base/clock.h"
#include "server_private.h"
#include "sys/cpu.h"
#include "sys/sandbox.h"

#include <stdio.h>
#include <unistd.h>

const char *fh_server_sandbox(fh_server *s)
{
    fh_err *err = NULL;
    fh_sandbox_kind kind;
    if (s->sandbox[0]) return s->sandbox;
    if (fh_sandbox_probe(&kind, &err)) {
        snprintf(s->sandbox, sizeof s->sandbox, "none");
        snprintf(s->sandbox_why, sizeof s->sandbox_why, "%s", fh_err_message(err));
        fh_err_free(err);
    } else {
        snprintf(s->sandbox, sizeof s->sandbox, "%s", fh_sandbox_name(kind));
    }
    return s->sandbox;
}

static fh_json *isa_json(void)
{
    fh_json *list = fh_json_new_array();
    const char *name;
    for (size_t i = 0; fh_cpu_isa_next(&i, &name);) fh_json_append(list, fh_json_new_cstr(name));
    return list;
}

static void set_topology(fh_json *o, const fh_topo *t)
{
    fh_json_set(o, "packages", fh_json_new_int(t->packages));
    fh_json_set(o, "cores", fh_json_new_int(t->cores));
    fh_json_set(o, "threads", fh_json_new_int(t->logical));
    fh_json_set(o, "numa_nodes", fh_json_new_int(t->numa_nodes));
    fh_json_set(o, "l2_bytes", fh_json_new_int((int64_t)t->l2_bytes));
    fh_json_set(o, "l3_bytes", fh_json_new_int((int64_t)t->l3_bytes));
    fh_json_set(o, "memory_bytes", fh_json_new_int((int64_t)t->memory_bytes));
    fh_json_set(o, "memory_free_bytes", fh_json_new_int((int64_t)t->memory_available_bytes));
}

void api_machine(api_call *c)
{
    fh_server *s = c->server;
    char host[256] = "";
    fh_topo topo = {0};
    fh_json *o = fh_json_new_object();
    gethostname(host, sizeof host - 1);
    fh_topo_read(&topo);
    fh_json_set(o, "name", fh_json_new_cstr(host));
    fh_json_set(o, "cpu", fh_json_new_cstr(fh_cpu_get()->model));
    fh_json_set(o, "isa", isa_json());
    set_topology(o, &topo);
    fh_json_set(o, "sandbox", fh_json_new_cstr(fh_server_sandbox(s)));
    fh_json_set(o, "sandbox_why", s->sandbox_why[0] ? fh_json_new_cstr(s->sandbox_why) : fh_json_new_null());
    fh_json_set(o, "version", fh_json_new_cstr(FH_VERSION));
    fh_json_set(o, "data_dir", fh_json_new_cstr(s->config->data_dir));
    fh_json_set(o, "import_dirs", fh_import_dirs_json(s));
    fh_json_set(o, "uptime_s", fh_json_new_int((fh_clock_mono_ns() - s->start_ns) / FH_NS_PER_S));
    api_reply(c, 200, o);
}
