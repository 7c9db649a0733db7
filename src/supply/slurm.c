/* A Slurm cluster as a supply: the port, and the turn that steps all its orders. What is done, and when, is in slurm_order.c and
 * slurm_cluster.c.
 *
 * The fleet is told of news at the end of a turn or of an answer, never from inside a call of the port: from there it may release or
 * forget any order. */
#include "slurm_private.h"

#include "base/clock.h"
#include "net/secret.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { PAUSE_MS = 1000, INSTALLATION_BYTES = 8 };

/* ---- for its parts ---- */

void fh_slurm_tick_soon(slurm *s, int64_t delay_ms)
{
    int64_t at = fh_slurm_now_ms() + delay_ms;
    if (s->tick_mono && s->tick_mono <= at) return;
    s->tick_mono = at;
    fh_timer_start(s->tick, delay_ms * FH_NS_PER_MS);
}

void fh_slurm_stir(slurm *s)
{
    s->stirred_mono = fh_slurm_now_ms();
}

int64_t fh_slurm_pause_ms(unsigned failures)
{
    return failures < 5 ? (int64_t)PAUSE_MS << failures : FH_LIMIT_SLURM_PAUSE_MS;
}

static slurm_order *with_news(slurm *s)
{
    slurm_order *o = s->first;
    while (o && (!o->news || o->forgotten)) o = o->next;
    return o;
}

void fh_slurm_tell_news(slurm *s)
{
    for (slurm_order *o; (o = with_news(s));) {
        o->news = false;
        if (s->port.changed) s->port.changed(s->port.changed_arg, o->order);
    }
}

static void on_tick(void *arg)
{
    slurm *s = arg;
    s->tick_mono = 0;
    fh_slurm_prepare_step(s);
    for (slurm_order *o = s->first; o; o = o->next) fh_slurm_order_step(o);
    fh_slurm_list_step(s);
    fh_slurm_tell_news(s);
}

/* ---- the port ---- */

static slurm_order *find(const slurm *s, int64_t order)
{
    slurm_order *o = s->first;
    while (o && (o->order != order || o->forgotten)) o = o->next;
    return o;
}

static int check_door(const slurm *s, fh_err **err)
{
    if (s->door.url[0] && s->door.certificate[0]) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "this server has no pool that a job's machine could join");
    fh_err_hint(err, "start it with --pool ADDR:PORT, at an address that the cluster's nodes reach");
    return FH_E_UNAVAILABLE;
}

static int port_check(void *ctx, const fh_supply_want *w, fh_err **err)
{
    int rc = check_door(ctx, err);
    return rc ? rc : fh_slurm_cluster_check(ctx, err);
}

static void mark_path(const slurm *s, int64_t order, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s/%" PRId64, s->marks, order);
}

static slurm_order *make_order(slurm *s, int64_t order, const char *node)
{
    char mark[sizeof s->marks + 32];
    slurm_order *o = fh_calloc(1, sizeof *o);
    if (!o) return NULL;
    *o = (slurm_order){.next = s->first, .of = s, .order = order, .wanted = true, .begun_mono = fh_slurm_now_ms()};
    snprintf(o->node, sizeof o->node, "%s", node);
    snprintf(o->job_name, sizeof o->job_name, "freehold-%s-%" PRId64, s->installation, order);
    mark_path(s, order, mark, sizeof mark);
    o->asked = fh_file_exists(mark);
    if (o->asked) o->unsure_mono = o->begun_mono;
    s->first = o;
    s->count++;
    return o;
}

static int port_order(void *ctx, const fh_supply_want *w, fh_err **err)
{
    slurm *s = ctx;
    if (find(s, w->order)) return 0;
    int rc = check_door(s, err);
    if (rc) return rc;
    if (s->count >= FH_LIMIT_SLURM_ORDERS)
        return fh_err_set(err, FH_E_CONFLICT, "%s is asked for %d machines already", s->name, FH_LIMIT_SLURM_ORDERS);
    slurm_order *o = make_order(s, w->order, w->node);
    if (!o) return fh_err_nomem(err);
    o->need = (slurm_need){w->bytes, w->each_bytes, w->machines_most};
    o->limit_s = w->limit_s;
    fh_slurm_order_say(o, FH_SUPPLY_WAITING, "", "the cluster is asked");
    fh_slurm_tick_soon(s, 0);
    return 0;
}

static void port_look(void *ctx, int64_t order, fh_supply_view *ret)
{
    const slurm_order *o = find(ctx, order);
    if (o)
        *ret = o->view;
    else
        *ret = (fh_supply_view){.state = FH_SUPPLY_OVER, .says = "it is not known here", .again = true};
}

/* One that this process does not know may have a job of a process before it. */
static void port_release(void *ctx, int64_t order, const char *why)
{
    slurm *s = ctx;
    slurm_order *o = find(s, order);
    if (!o) o = make_order(s, order, "");
    if (!o || !o->wanted) return;
    o->wanted = false;
    o->not_before_mono = 0;
    if (fh_slurm_order_is_open(o)) fh_slurm_order_say(o, o->view.state, "", "it is being cancelled: %s", why);
    fh_slurm_tick_soon(s, 0);
}

/* What it left behind, here and there. */
static void remove_traces(slurm_order *o)
{
    char mark[sizeof o->of->marks + 32];
    mark_path(o->of, o->order, mark, sizeof mark);
    if (o->asked) (void)unlink(mark);
    if (o->asked) o->of->way->forget(o);
}

static void port_forget(void *ctx, int64_t order)
{
    slurm_order *o = find(ctx, order);
    if (!o) return;
    remove_traces(o);
    o->forgotten = true;
    if (!o->calling) fh_slurm_order_drop(o);
}

static void port_close(void *ctx)
{
    slurm *s = ctx;
    if (s->way) s->way->close(s);
    while (s->first) fh_slurm_order_drop(s->first);
    fh_timer_free(s->tick);
    fh_free(s);
}

/* ---- opening ---- */

/* Which installation this is, in the names of its jobs: made once, and kept with the data. */
static int read_installation(slurm *s, const char *folder, fh_err **err)
{
    char path[sizeof s->marks];
    uint8_t bytes[INSTALLATION_BYTES];
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    int rc = fh_path_join(path, sizeof path, folder, "installation", err);
    if (rc) return rc;
    if (!fh_file_exists(path)) {
        rc = fh_random_bytes(bytes, sizeof bytes, err);
        if (!rc && fh_hex_encode(bytes, sizeof bytes, s->installation, sizeof s->installation))
            rc = fh_file_write_atomic(path, s->installation, strlen(s->installation), 0600, err);
        return rc;
    }
    rc = fh_file_read(path, text.max, &text, err);
    if (rc) return rc;
    if (text.len != 2 * (size_t)INSTALLATION_BYTES || !fh_hex_decode((fh_str){text.data, text.len}, bytes, sizeof bytes))
        return fh_err_set(err, FH_E_CORRUPT, "%s does not hold the name of an installation", path);
    memcpy(s->installation, text.data, text.len);
    return 0;
}

static int open_folder(slurm *s, const fh_supply_config *c, char *ret, size_t ret_size, fh_err **err)
{
    int rc = fh_path_join(ret, ret_size, c->data_dir, "supply", err);
    if (!rc) rc = fh_dir_make(ret, 0700, err);
    if (!rc) rc = read_installation(s, ret, err);
    return rc ? rc : fh_path_join(s->marks, sizeof s->marks, ret, "jobs", err);
}

static bool is_rest(const char *url)
{
    return fh_str_starts(fh_str_of(url), FH_STR("http://")) || fh_str_starts(fh_str_of(url), FH_STR("https://"));
}

static int open_all(slurm *s, const fh_supply_config *c, fh_err **err)
{
    char folder[sizeof s->marks];
    int rc = fh_slurm_settings_read(c->settings, &s->set, err);
    if (!rc) rc = open_folder(s, c, folder, sizeof folder, err);
    if (!rc) rc = is_rest(c->url) ? fh_slurm_rest_open(s, c, err) : fh_slurm_commands_open(s, c, folder, err);
    return rc ? rc : fh_timer_new(&s->tick, s->loop, on_tick, s, err);
}

int fh_supply_slurm_open(fh_supply **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err)
{
    slurm *s = fh_calloc(1, sizeof *s);
    if (!s) return fh_err_nomem(err);
    s->loop = loop;
    s->door = c->door;
    snprintf(s->name, sizeof s->name, "%s", c->name);
    snprintf(s->door_url, sizeof s->door_url, "%s", c->door.url);
    snprintf(s->door_certificate, sizeof s->door_certificate, "%s", c->door.certificate ? c->door.certificate : "");
    s->door.url = s->door_url;
    s->door.certificate = s->door_certificate;
    int rc = open_all(s, c, err);
    if (rc) {
        port_close(s);
        return rc;
    }
    s->port = (fh_supply){.name = s->name,
                          .kind = "slurm",
                          .ctx = s,
                          .check = port_check,
                          .order = port_order,
                          .look = port_look,
                          .release = port_release,
                          .forget = port_forget,
                          .close = port_close};
    fh_slurm_tick_soon(s, 0);
    *ret = &s->port;
    return 0;
}
