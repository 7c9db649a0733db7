/* What the servers of several loops share: how many connections and bytes there are in all, the certificate, and connections that are on
 * their way from one loop to another. */
#include "private.h"

fh_http_group *fh_http_group_new(void)
{
    fh_http_group *g = fh_calloc(1, sizeof *g);
    if (!g) return NULL;
    atomic_init(&g->references, 1);
    pthread_mutex_init(&g->lock, NULL);
    return g;
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
