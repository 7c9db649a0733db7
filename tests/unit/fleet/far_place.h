/* A place elsewhere for tests: this machine under another name, so that engines run there as they do here. */
#ifndef FH_TEST_FAR_PLACE_H
#define FH_TEST_FAR_PLACE_H

#include "fleet_world.h"

#include <stdatomic.h>

typedef struct far { /* a place elsewhere */
    fh_place place, real;
    fh_here *here;
    fh_engine *e; /* the newest that was started there */
    int64_t ask_micro, mtok_micro;
    _Atomic bool there, small;
} far;

static fh_place_terms far_terms(void *ctx)
{
    const far *p = ctx;
    return (fh_place_terms){
        .there = p->there, .ask_micro = p->ask_micro, .currency = "USD", .mtok_micro = p->mtok_micro, .mtok_currency = "USD"};
}

static fh_plan_machine far_machine(void *ctx)
{
    far *p = ctx;
    return p->small ? (fh_plan_machine){.memory_bytes = 1 << 20} : p->real.machine(p->real.ctx);
}

static int far_start(void *ctx, const fh_engine_spec *spec, fh_engine *e, fh_err **err)
{
    far *p = ctx;
    p->e = e;
    return p->real.start(p->real.ctx, spec, e, err);
}

static int far_ready(void *ctx, const fh_catalog_engine *kind, const char *least, char *sandbox, size_t size, fh_err **err)
{
    far *p = ctx;
    return p->real.ready(p->real.ctx, kind, least, sandbox, size, err);
}

static int far_socket_path(void *ctx, const char *deployment, int64_t act, char *out, size_t size, fh_err **err)
{
    far *p = ctx;
    return p->real.socket_path(p->real.ctx, deployment, act, out, size, err);
}

static void far_stop(void *ctx, fh_engine *e, bool force)
{
    far *p = ctx;
    p->real.stop(p->real.ctx, e, force);
}

static void far_let_go(void *ctx, fh_engine *e)
{
    far *p = ctx;
    p->real.let_go(p->real.ctx, e);
}

static void far_up(void *ctx, const char *deployment, int64_t act, const char *socket_path)
{
}

static int far_usage(void *ctx, const fh_engine *e, fh_process_use *ret)
{
    far *p = ctx;
    return p->real.usage(p->real.ctx, e, ret);
}

static void far_tidy(void *ctx, const char *deployment, const char *socket_path)
{
    far *p = ctx;
    p->real.tidy(p->real.ctx, deployment, socket_path);
}

static void far_rotate(void *ctx, const char *deployment)
{
}

static int far_log_tail(void *ctx, const char *deployment, size_t max_bytes, fh_buf *out, fh_err **err)
{
    far *p = ctx;
    return p->real.log_tail(p->real.ctx, deployment, max_bytes, out, err);
}

static void add_place(void *arg)
{
    far *p = arg;
    fh_place **end = &fleet->places;
    while (*end) end = &(*end)->next;
    *end = &p->place;
    fh_loop_stop(loop);
}

static void far_add(far *p, const char *name, int64_t ask_micro)
{
    char folder[96];
    *p = (far){.ask_micro = ask_micro};
    p->there = true;
    snprintf(folder, sizeof(folder), "%s/%s", data, name + strlen("node/"));
    assert_int_equal(fh_dir_make(folder, 0700, NULL), 0);
    fh_fleet_config c = {.data_dir = folder, .program = self_path};
    assert_int_equal(fh_here_new(&p->here, fleet->loop, &c, NULL), 0);
    fh_here_place(p->here, &p->real);
    p->place = (fh_place){.name = name,
                          .ctx = p,
                          .terms = far_terms,
                          .machine = far_machine,
                          .ready = far_ready,
                          .socket_path = far_socket_path,
                          .start = far_start,
                          .stop = far_stop,
                          .let_go = far_let_go,
                          .up = far_up,
                          .usage = far_usage,
                          .tidy = far_tidy,
                          .rotate = far_rotate,
                          .log_tail = far_log_tail};
    assert_true(fh_loop_post(fleet->loop, add_place, p));
    assert_int_equal(fh_loop_run(loop, NULL), 0);
}

static fh_deployment_view wait_place(const char *name, const char *place)
{
    fh_deployment_view v = {0};
    for (int i = 0; i < 2000; i++) {
        if (look(name, &v) && v.state == FH_DEPLOYMENT_READY && strcmp(v.place, place) == 0) return v;
        fh_sleep_ns(5 * FH_NS_PER_MS);
    }
    fail_msg("%s is %s at %s (%s)", name, fh_deployment_state_name(v.state), v.place, v.reason);
    return v;
}

#endif
