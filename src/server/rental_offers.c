/* What can be rented now (see rental_offers.h). */
#include "rental_offers.h"

#include "base/clock.h"
#include "rent/adapters.h"
#include <stdio.h>

typedef struct kept {
    char name[64];
    fh_rent_offer *list; /* owned */
    size_t count;
    int64_t mono_ns;
} kept;

typedef struct asking asking;
struct fh_rental_offers {
    kept accounts[FH_LIMIT_PROVIDERS];
    size_t count;
    fh_loop *loop;
    char folder[1100]; /* of tasks; nothing is launched from here */
    asking *open;
};

struct asking {
    fh_rental_offers *all;
    asking *next;
    char name[64];
    fh_rental port; /* of this question alone, so that nothing of an account is held between */
    void (*done)(void *arg, const fh_err *err);
    void *arg;
};

fh_rental_offers *fh_rental_offers_new(fh_loop *loop, const char *data_dir)
{
    fh_rental_offers *all = fh_calloc(1, sizeof *all);
    if (!all) return NULL;
    all->loop = loop;
    snprintf(all->folder, sizeof all->folder, "%s/skypilot", data_dir);
    return all;
}

static void unlink_asking(const asking *a)
{
    asking **at = &a->all->open;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
}

void fh_rental_offers_stop(fh_rental_offers *all)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    fh_err_set(&err, FH_E_CANCELLED, "the server stops");
    while (all && all->open) {
        asking *a = all->open;
        unlink_asking(a);
        a->port.free(a->port.ctx);
        a->done(a->arg, err);
        fh_free(a);
    }
}

void fh_rental_offers_free(fh_rental_offers *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) fh_free(all->accounts[i].list);
    fh_free(all);
}

static size_t index_of(const fh_rental_offers *all, const char *name)
{
    size_t i = 0;
    while (i < all->count && strcmp(all->accounts[i].name, name) != 0) i++;
    return i;
}

static int keep(fh_rental_offers *all, const char *name, const fh_rent_offer *offers, size_t count, fh_err **err)
{
    size_t i = index_of(all, name);
    if (i == FH_LIMIT_PROVIDERS)
        return fh_err_set(err, FH_E_CONFLICT, "there are %d providers already, which is the most", FH_LIMIT_PROVIDERS);
    fh_rent_offer *list = fh_calloc(count + 1, sizeof *list);
    if (!list) return fh_err_nomem(err);
    if (count) memcpy(list, offers, count * sizeof *list);
    if (i == all->count) all->accounts[all->count++] = (kept){.list = NULL};
    kept *k = &all->accounts[i];
    fh_free(k->list);
    *k = (kept){.list = list, .count = count, .mono_ns = fh_clock_mono_ns()};
    snprintf(k->name, sizeof k->name, "%s", name);
    return 0;
}

static void offered(void *arg, const fh_rent_offer *offers, size_t count, const fh_err *err)
{
    asking a = *(asking *)arg;
    FH_AUTO(fh_err) fh_err *why = NULL;
    unlink_asking(arg);
    fh_free(arg);
    if (!err) (void)keep(a.all, a.name, offers, count, &why);
    a.done(a.arg, err ? err : why);
    a.port.free(a.port.ctx);
}

int fh_rental_offers_ask(fh_rental_offers *all, fh_http_client *client, const fh_provider *p, void (*done)(void *arg, const fh_err *err),
                         void *arg, fh_err **err)
{
    FH_AUTO(json) fh_json *set = NULL;
    (void)fh_json_parse(&set, fh_str_of(p->settings), sizeof p->settings, NULL); /* they were checked when it was added */
    const fh_rent_account account = {.url = p->url,
                                     .key_file = p->key_file,
                                     .loop = all->loop,
                                     .folder = all->folder,
                                     .infra = fh_json_str(fh_json_get(set, "infra")).ptr,
                                     .accelerators = fh_json_str(fh_json_get(set, "accelerators")).ptr};
    const fh_rent_filter any = {.spot = false};
    asking *a = fh_calloc(1, sizeof *a);
    if (!a) return fh_err_nomem(err);
    *a = (asking){.all = all, .next = all->open, .done = done, .arg = arg};
    snprintf(a->name, sizeof a->name, "%s", p->name);
    int rc = fh_rental_open(&a->port, p->rents, client, &account, err);
    if (!rc) rc = a->port.offers(a->port.ctx, &any, offered, a, err);
    if (!rc) {
        all->open = a;
        return 0;
    }
    if (a->port.free) a->port.free(a->port.ctx);
    fh_free(a);
    return rc;
}

const fh_rent_offer *fh_rental_offers_get(const fh_rental_offers *all, const char *name, size_t *ret_count, bool *ret_fresh)
{
    size_t i = index_of(all, name);
    if (i == all->count) return NULL;
    const kept *k = &all->accounts[i];
    *ret_count = k->count;
    *ret_fresh = fh_clock_mono_ns() - k->mono_ns < FH_LIMIT_RENT_OFFERS_MS * FH_NS_PER_MS;
    return k->list;
}

fh_json *fh_rental_offers_json(const fh_rental_offers *all, const char *name)
{
    size_t i = index_of(all, name);
    return i == all->count ? fh_json_new_null() : fh_json_new_int((int64_t)all->accounts[i].count);
}

void fh_rental_offers_forget(fh_rental_offers *all, const char *name)
{
    size_t i = index_of(all, name);
    if (i == all->count) return;
    fh_free(all->accounts[i].list);
    all->accounts[i] = all->accounts[--all->count];
}
