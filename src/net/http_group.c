/* What the servers of several loops share: how many connections and bytes there are in all and of each address, whom they trust, the
 * certificate, and connections that are on their way from one loop to another. */
#include "private.h"

#include "base/limits.h"

static bool init_meters(fh_http_group *g)
{
    static const fh_http_rate refusals = {FH_LIMIT_HTTP_STRANGERS_PER_S, FH_LIMIT_HTTP_STRANGERS_AT_ONCE};
    static const fh_http_rate refusals_each = {FH_LIMIT_HTTP_STRANGER_PER_S, FH_LIMIT_HTTP_STRANGER_AT_ONCE};
    static const fh_http_rate strangers = {FH_LIMIT_HTTP_STRANGERS_RATE_BYTES, FH_LIMIT_HTTP_STRANGERS_BURST_BYTES};
    static const fh_http_rate strangers_each = {FH_LIMIT_HTTP_STRANGER_RATE_BYTES, FH_LIMIT_HTTP_STRANGER_BURST_BYTES};
    static const fh_http_rate bodies = {FH_LIMIT_HTTP_LARGE_BODIES_RATE_BYTES, 0}, bodies_each = {FH_LIMIT_HTTP_LARGE_BODY_RATE_BYTES, 0};
    return fh_http_meter_init(&g->refusals, refusals, refusals_each) && fh_http_meter_init(&g->strangers, strangers, strangers_each) &&
           fh_http_meter_init(&g->large_bodies, bodies, bodies_each);
}

fh_http_group *fh_http_group_new(void)
{
    fh_http_group *g = fh_calloc(1, sizeof *g);
    if (!g) return NULL;
    atomic_init(&g->references, 1);
    pthread_mutex_init(&g->lock, NULL);
    g->addresses = fh_map_new(NULL);
    if (g->addresses && init_meters(g)) return g;
    fh_http_group_unref(g);
    return NULL;
}

/* The last server has gone, and with it every loop: who has not arrived never will. */
void fh_http_group_unref(fh_http_group *g)
{
    if (!g || atomic_fetch_sub(&g->references, 1) != 1) return;
    while (g->moving) {
        fh_http_conn *c = g->moving;
        fh_http_group_arrive(g, c);
        fh_http_conn_free(c);
    }
    fh_tls_free(g->tls);
    fh_map_free(g->addresses);
    fh_free(g->trusted);
    pthread_mutex_destroy(&g->lock);
    fh_free(g);
}

bool fh_http_group_stream(fh_http_group *g, int fd, fh_tls_stream **ret)
{
    pthread_mutex_lock(&g->lock);
    bool wanted = g->tls != NULL;
    FH_AUTO(fh_tls) fh_tls *tls = wanted ? fh_tls_share(g->tls) : NULL;
    pthread_mutex_unlock(&g->lock);
    *ret = tls ? fh_tls_stream_new(tls, fd) : NULL;
    return !wanted || *ret;
}

void fh_http_server_tls(fh_http_server *s, fh_tls *tls)
{
    pthread_mutex_lock(&s->group->lock);
    fh_tls *old = s->group->tls;
    s->group->tls = tls;
    pthread_mutex_unlock(&s->group->lock);
    fh_tls_free(old);
}

/* Moving. */

void fh_http_group_depart(fh_http_group *g, fh_http_conn *c)
{
    pthread_mutex_lock(&g->lock);
    c->prev = NULL;
    c->next = g->moving;
    if (c->next) c->next->prev = c;
    g->moving = c;
    pthread_mutex_unlock(&g->lock);
}

void fh_http_group_arrive(fh_http_group *g, fh_http_conn *c)
{
    pthread_mutex_lock(&g->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        g->moving = c->next;
    if (c->next) c->next->prev = c->prev;
    pthread_mutex_unlock(&g->lock);
    c->prev = c->next = NULL;
}

/* Addresses. */

fh_str fh_http_address_key(const fh_address *a)
{
    return (fh_str){(const char *)a->bytes, fh_address_is_v4(a) ? 16 : 8};
}

int fh_http_server_trust(fh_http_server *s, const char *const *ranges, fh_err **err)
{
    fh_http_group *g = s->group;
    size_t count = 0;
    while (ranges[count]) count++;
    FH_AUTO(ptr) fh_range *list = fh_calloc(count, sizeof *list);
    if (!list) return fh_err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        int rc = fh_range_parse(fh_str_of(ranges[i]), &list[i], err);
        if (rc < 0) return rc;
    }
    fh_free(g->trusted);
    g->trusted = fh_take(list);
    g->trusted_count = count;
    return 0;
}

bool fh_http_group_trusts(const fh_http_group *g, const fh_address *a)
{
    for (size_t i = 0; i < g->trusted_count; i++)
        if (fh_range_holds(&g->trusted[i], a)) return true;
    return false;
}

bool fh_http_group_enter(fh_http_group *g, const fh_address *a, size_t most)
{
    fh_str key = fh_http_address_key(a);
    pthread_mutex_lock(&g->lock);
    uintptr_t count = (uintptr_t)fh_map_find(g->addresses, key);
    bool may = count < most && fh_map_put(g->addresses, key, (void *)(count + 1));
    pthread_mutex_unlock(&g->lock);
    return may;
}

void fh_http_group_leave(fh_http_group *g, const fh_address *a)
{
    fh_str key = fh_http_address_key(a);
    pthread_mutex_lock(&g->lock);
    uintptr_t count = (uintptr_t)fh_map_find(g->addresses, key);
    if (count <= 1 || !fh_map_put(g->addresses, key, (void *)(count - 1))) fh_map_remove(g->addresses, key);
    pthread_mutex_unlock(&g->lock);
}
