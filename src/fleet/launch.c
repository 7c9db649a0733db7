/* An engine's command line and environment, in its sandbox: the same for one alone and for a rank of several. */
#include "spread_private.h"

fh_engine_values fh_engine_values_of(const fh_engine_spec *s)
{
    return (fh_engine_values){.weights = s->file,
                              .socket = s->socket_path,
                              .model = s->model,
                              .context_tok = s->context_tok,
                              .streams = s->streams,
                              .kv_type = s->kv_type,
                              .kv_bytes = s->kv_bytes};
}

int fh_engine_launch(fh_sandbox_kind kind, const fh_engine_spec *s, const fh_program *p, const char *folder, const fh_engine_values *values,
                     int log_fd, fh_process *ret, fh_err **err)
{
    FH_AUTO(engine_words) fh_engine_words argv = {.text = NULL}, env = {.text = NULL};
    int rc = fh_engine_words_start(p->path, s->kind, s->run ? s->run->arguments : NULL, values, &argv, err);
    if (rc == 0)
        rc = fh_engine_words_make(FH_PROGRAM_SANITIZER_ENV, s->kind->environment, s->run ? s->run->environment : NULL, values, &env, err);
    if (rc != 0) return rc;
    const char *const read_only[] = {s->folder, NULL}, *const read_write[] = {folder, values->weight_cache, values->page_cache, NULL};
    fh_sandbox_spec spec = {.argv = argv.list,
                            .env = env.list,
                            .read_only = read_only,
                            .read_write = read_write,
                            .runs = p->runs,
                            .memory_bytes = s->memory_bytes,
                            .file_bytes = values->weight_cache ? s->memory_bytes : 0,
                            .tmp_bytes = s->kind->tmp_bytes,
                            .processes = s->kind->threads,
                            .may_fork = s->kind->processes,
                            .has_loopback = s->kind->loopback,
                            .has_network = values->ranks > 1,
                            .log_fd = log_fd};
    return fh_sandbox_start(kind, &spec, ret, err);
}
