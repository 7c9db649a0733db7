/* The place ssh: any Linux box with a login, behind the port of supplies. One box is one machine: it is held for one order at a time. */
#include "supply/box.h"

#include "base/clock.h"
#include "box_private.h"
#include "sys/file.h"

#include <inttypes.h>
#include <stdio.h>

static box_order *find(const box *b, int64_t id)
{
    box_order *o = b->orders;
    while (o && o->id != id) o = o->next;
    return o;
}

/* ---- before an order ---- */

/* One that is about to be free is waited for. */
static int check_free(const box *b, const fh_supply_want *w, fh_err **err)
{
    const box_order *o = b->orders;
    while (o && (o->id == w->order || !o->asked || o->ending || o->over)) o = o->next;
    if (!o) return 0;
    fh_err_set(err, FH_E_BUSY, "%s is held for %s, and a box is held for one at a time", fh_supply_host_name(b->host), o->model);
    fh_err_hint(err, "stop that, or take another place");
    return FH_E_BUSY;
}

static int check_door(const box *b, fh_err **err)
{
    if (b->door_url[0]) return 0;
    fh_err_set(err, FH_E_UNAVAILABLE, "this server has no pool that a machine could join");
    fh_err_hint(err, "start it with --pool 127.0.0.1:8471 (the box then joins by a tunnel), or at an address that the box can reach");
    return FH_E_UNAVAILABLE;
}

static int check_known(const box *b, const fh_supply_want *w, fh_err **err)
{
    box_wish wish = fh_box_wish(b, NULL);
    wish.memory_bytes = w->bytes;
    wish.weights_bytes = w->weights_bytes;
    if (!b->trouble) return fh_box_check(&wish, &b->facts, fh_supply_host_name(b->host), err);
    fh_err_set(err, fh_err_code(b->trouble), "%s", fh_err_message(b->trouble));
    if (fh_err_hint_get(b->trouble)) fh_err_hint(err, "%s", fh_err_hint_get(b->trouble));
    return fh_err_code(b->trouble);
}

/* What the last look found is good for a while. It is renewed when it is old, and when it is a reason to refuse: that may have been mended.
 */
static int check_seen(box *b, const fh_supply_want *w, fh_err **err)
{
    bool fresh = fh_clock_mono_ns() - b->looked_ns < FH_LIMIT_SSH_LOOK_MS * FH_NS_PER_MS;
    int rc = fresh ? check_known(b, w, err) : 0;
    if ((rc || !fresh) && !fh_box_now(b) && !b->busy) {
        b->looked = false;
        fh_box_soon(b, 0);
    }
    return rc;
}

static int check(void *ctx, const fh_supply_want *w, fh_err **err)
{
    box *b = ctx;
    int rc = check_free(b, w, err);
    if (!rc) rc = check_door(b, err);
    return rc ? rc : check_seen(b, w, err);
}

/* ---- orders ---- */

static int add_order(box *b, int64_t id, fh_err **err)
{
    box_order *o = fh_calloc(1, sizeof *o);
    if (!o) return fh_err_nomem(err);
    o->id = id;
    o->next = b->orders;
    b->orders = o;
    return 0;
}

static void drop_order(box *b, const box_order *o)
{
    box_order **at = &b->orders;
    while (*at != o) at = &(*at)->next;
    *at = o->next;
    fh_free((void *)o);
}

/* One that an earlier run of this server began: it is known, so that it can be released, and goes on when it is asked for again. */
static int find_marked(box *b, fh_err **err)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(64);
    uint64_t id = 0;
    if (!fh_file_exists(b->mark)) return 0;
    int rc = fh_file_read(b->mark, 64, &text, err);
    if (rc || !fh_str_u64(fh_str_trim((fh_str){fh_buf_cstr(&text), text.len}), INT64_MAX, &id)) return rc;
    rc = add_order(b, (int64_t)id, err);
    if (!rc) b->orders->touched = true;
    return rc;
}

/* What an earlier run began and nobody asks for is ended on the box before this one begins. */
static int begin_order(box *b, const fh_supply_want *w, fh_err **err)
{
    box_order *o = find(b, w->order);
    int rc = o ? 0 : add_order(b, w->order, err);
    if (rc) return rc;
    for (box_order *other = b->orders, *next; other; other = next) {
        next = other->next;
        if (other->id != w->order && !other->asked && !other->ending) drop_order(b, other);
    }
    o = find(b, w->order);
    o->memory_bytes = w->bytes;
    o->weights_bytes = w->weights_bytes;
    o->asked = true;
    snprintf(o->node, sizeof o->node, "%s", w->node);
    snprintf(o->model, sizeof o->model, "%s", w->model);
    b->looked = false; /* things may have changed since */
    b->lost_ns = 0;
    fh_box_soon(b, 0);
    return 0;
}

static int order(void *ctx, const fh_supply_want *w, fh_err **err)
{
    box *b = ctx;
    const box_order *known = find(b, w->order);
    if (known && (known->asked || known->ending)) return 0;
    int rc = check_free(b, w, err);
    if (!rc) rc = check_door(b, err);
    if (!rc) rc = fh_box_read_program(b, err);
    return rc ? rc : begin_order(b, w, err);
}

static void look(void *ctx, int64_t id, fh_supply_view *ret)
{
    const box *b = ctx;
    const box_order *o = find(b, id);
    *ret = (fh_supply_view){.state = FH_SUPPLY_OVER, .again = true};
    if (o)
        fh_box_describe(b, o, ret);
    else
        snprintf(ret->says, sizeof ret->says, "%s knows nothing of it", b->name);
}

static void release(void *ctx, int64_t id, const char *why)
{
    box *b = ctx;
    box_order *o = find(b, id);
    if (!o || o->over || o->ending) return;
    fh_box_release(o, true, why, NULL);
    if (fh_box_drop(b, NULL) == 0) b->pause_ms = 0; /* else what runs comes to its end first */
    fh_box_soon(b, 0);
}

static void forget(void *ctx, int64_t id)
{
    box *b = ctx;
    const box_order *o = find(b, id);
    if (o && o->over) drop_order(b, o);
}

static void close_(void *ctx)
{
    fh_box_free(ctx);
}

int fh_supply_box_open(fh_supply **ret, fh_loop *loop, const fh_supply_config *c, fh_err **err)
{
    box *b = NULL;
    int rc = fh_box_open(&b, loop, c, err);
    if (!rc) rc = find_marked(b, err);
    if (rc) {
        fh_box_free(b);
        return rc;
    }
    b->port = (fh_supply){.name = b->name,
                          .kind = "ssh",
                          .ctx = b,
                          .check = check,
                          .order = order,
                          .look = look,
                          .release = release,
                          .forget = forget,
                          .close = close_};
    fh_box_soon(b, 0); /* whom we see for the first time we know from then on */
    *ret = &b->port;
    return 0;
}
