/* What the files of server/ share: the server itself, one control-plane call, and the table of routes.
 *
 * A route is one row of api_routes (routes.c): method, path, who may call it, the shapes of its request and reply. Dispatch, the check of a
 * body's members, and GET /api/openapi.json are derived from the rows. A handler ends its call exactly once, now or later, by api_reply,
 * api_reply_error or api_take_req. */
#ifndef FH_SERVER_PRIVATE_H
#define FH_SERVER_PRIVATE_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "db/db.h"
#include "fleet/fleet.h"
#include "gateway/admission.h"
#include "gateway/gateway.h"
#include "gateway/keys.h"
#include "net/secret.h"
#include "gateway/signin.h"
#include "json/json.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/outside.h"
#include "server/server.h"
#include "weights/weights.h"

#include <sys/types.h>

typedef struct fh_edges fh_edges;         /* edges.c */
typedef struct fh_feed fh_feed;           /* api_events.c */
typedef struct fh_imports fh_imports;     /* imports.c */
typedef struct fh_observers fh_observers; /* observers.c */

typedef struct fh_sockets { /* that the server before handed over; count 0: none */
    int fds[FH_LIMIT_LISTEN_SOCKETS];
    size_t count;
} fh_sockets;

typedef struct fh_server {
    const fh_server_config *config; /* borrowed */
    char first_key_file[1100], store_url[1100], program[1024], address[300], default_import_dir[1024];
    int lock_fd;
    fh_loop *loop;        /* the main one: the control plane */
    fh_http_server *http; /* of the main loop: connections come to it from the edges */
    fh_edges *edges;
    fh_tls *tls; /* from being read until the HTTP server has it */
    fh_gateway *gateway;
    fh_observers *observers;
    fh_response_store *responses;
    fh_outside *outside;
    fh_db *db;
    fh_keys *keys;
    struct fh_providers *providers;
    struct fh_rental_offers *rental_offers;
    bool supplies_held; /* clusters and boxes are left alone until this data is said to be what goes on */
    struct fh_guards *guards;
    struct fh_groups *groups;
    struct fh_price_lists *price_lists;
    struct fh_standings *standings;
    struct fh_honesty_check *check; /* the last one; NULL: none yet */
    struct fh_nodes *nodes;
    struct fh_pool_offers *pool_offers;
    struct fh_pool_service *pool; /* NULL: no --pool, or a newer server has it; with nodes the fleet's thread's (pool.c) */
    fh_db *pool_db;
    int pool_port; /* 0: no --pool */
    fh_outcome_store *outcomes;
    fh_usage_store *usage;
    fh_tokenizers *tokenizers;
    fh_http_client *outbound; /* to hosted endpoints, for the control plane */
    fh_signin *signin;
    _Atomic(fh_fleet *) fleet; /* replaced when a handover fails */
    _Atomic bool handed_over;  /* a newer server has the control plane; reading still works here */
    int handover_fd;           /* of the server before, until this one serves; -1 */
    fh_sockets handed;
    fh_weights *weights;
    fh_feed *feed;
    fh_imports *imports;
    fh_map *in_flight_tokens; /* idempotency keys whose first request still runs */
    fh_hosts hosts;
    const char **host_names; /* owned array of borrowed names */
    char listen_host[128];
    fh_timer *honesty_timer;           /* draws whether a canary goes out */
    char canary_salt[33];              /* of canaries to engines of our kind on machines of others; "": none went out */
    fh_timer *stop_timer, *keys_timer; /* the second: writes down when keys were used */
    fh_timer *load_timer;              /* set_load.c */
    int64_t stop_deadline_ns, start_ns;
    _Atomic bool stopping;
    char sandbox[32], sandbox_why[512]; /* what holds here; "" until asked */
} fh_server;

/* Shapes of requests and replies, for openapi and for checking what comes in. */
typedef struct api_field {
    const char *name; /* NULL ends a shape */
    const char
        *type; /* "string", "integer", "number", "boolean", "object", "time" (RFC 3339), a shape's name, or any of them with [] behind */
    bool required, nullable;
    const char *help;
} api_field;
typedef struct api_shape {
    const char *name;
    const api_field *fields;
} api_shape;
extern const api_shape api_shapes[]; /* shapes.c; ended by a row without name */
const api_shape *api_shape_find(const char *name);

typedef struct api_call api_call;
typedef enum api_who {
    API_OPEN,
    API_KEY, /* whoever has a key: the gateway looks at its scopes */
    API_READ,
    API_GUARD, /* a cost guard */
    API_RUN,   /* read; what it would start wants an admin, which its handler looks at */
    API_ADMIN
} api_who;
enum {
    API_KEEPS_TOKEN = 1, /* POST that takes Idempotency-Key */
    API_SECRET = 2,      /* its reply holds a key: never kept for a repeat */
    API_LARGE = 4        /* its body may have JSON_BODY_BYTES, not CONTROL_BODY_BYTES */
};
typedef struct api_route {
    const char *method, *path; /* one {name} part at most */
    api_who who;
    unsigned flags;
    const char *id, *summary;
    const char *request,
        *reply; /* shapes; NULL: none. reply "text" and "events" are text/plain and text/event-stream; a shape with [] is a list page */
    int status; /* of a good reply */
    void (*handle)(api_call *c);
} api_route;
extern const api_route api_routes[]; /* ended by a row without method */
typedef struct api_query {           /* a parameter behind the question mark of a path; none is required */
    const char *route, *name;        /* id of its route */
    uint64_t most;                   /* a whole number up to it; 0: a text */
    const char *help;
} api_query;
extern const api_query api_queries[]; /* ended by a row without route */

struct api_call { /* owned by its handler until it ends */
    fh_server *server;
    fh_http_req *req; /* NULL once the client has gone */
    const api_route *route;
    fh_key key;         /* not set for API_OPEN */
    char param[256];    /* the {name} part */
    fh_json *body;      /* owned; NULL without one */
    char token[160];    /* "<key id> <Idempotency-Key>", "" without one */
    uint8_t digest[32]; /* of method, path and body, with a token */
};

/* handover.c. The new server joins what FREEHOLD_HANDOVER names (*ret_fd stays -1 without), waits until the old one has let go, and says
 * that it serves. */
int fh_handover_join(int *ret_fd, int *sockets, size_t *ret_count, fh_err **err);
int fh_handover_await_turn(int fd, fh_err **err);
int fh_handover_serving(int fd, fh_err **err);
/* The old one begins (the new one has read its flags and holds the sockets), lets go of all that only one may have, and says so with go,
 * which returns once the new one serves. */
typedef struct fh_handover {
    int fd;
    pid_t pid;
} fh_handover;
int fh_handover_begin(fh_handover *ret, const char *program, const int *sockets, size_t count, fh_err **err);
int fh_handover_go(fh_handover *h, fh_err **err); /* ends it, whatever came of it */
void fh_handover_end(fh_handover *h);
/* notify.c: tells systemd that this process serves, when it asks for that. */
void fh_notify_ready(void);

/* edges.c: sockets, and the loops that clients come in on. */
int fh_edges_open(fh_edges **ret, const fh_server_config *c, const fh_sockets *handed, fh_http_server *first, fh_err **err);
const fh_sockets *fh_edges_sockets(const fh_edges *e);
void fh_edges_pass_by(fh_edges *e); /* returns once every loop has been through its present work */
void fh_edges_free(fh_edges *e);
FH_DEFINE_AUTO(fh_edges, fh_edges_free);
fh_loop *const *fh_edges_loops(const fh_edges *e, size_t *ret_count);
const char *fh_edges_address(const fh_edges *e); /* "127.0.0.1:8470", of one of its sockets */
bool fh_edges_inherited(const fh_edges *e);      /* its sockets outlive this server: others hold them too */
bool fh_edges_mixed(const fh_edges *e);          /* there are several addresses */
int fh_edges_start(fh_edges *e, fh_err **err);   /* from now on requests come */
/* No new connections; running requests end, and connections that are idle may bring one more within grace_ns. */
void fh_edges_drain(fh_edges *e, int64_t grace_ns);
void fh_edges_stop(fh_edges *e); /* ends the threads and all that still runs; the loops stay until they are freed */
/* upgrade.c: what SIGUSR2 does. */
void fh_server_upgrade(fh_server *s);
/* server.c */
void fh_server_write_used(fh_server *s); /* when keys were used last */
/* pool.c: the machines of the pool, on the fleet's thread once it runs. */
int fh_server_pool_open(fh_server *s, fh_err **err); /* before the fleet, which is told of them */
/* It was found to cheat: what runs on that machine of the pool goes elsewhere. Of any other place nothing: routing reads its standing. */
void fh_server_distrust(fh_server *s, const char *place);
void fh_server_note_uptime(fh_server *s, double seconds); /* of machines of the pool: there, or not, for so long */
int fh_server_start_pool(fh_server *s, fh_err **err);     /* listens; nothing without --pool. Ends with the fleet */
void fh_server_pool_close(fh_server *s);                  /* after the fleet */
int fh_server_start_fleet(fh_server *s, fh_fleet **ret, fh_err **err);
void fh_server_drain(fh_server *s, int64_t grace_ns, int64_t most_ns); /* no new connections; ends when all have gone, or after most_ns */
/* server.c: beyond loopback only with TLS, or when something in front does it. */
int fh_server_may_listen(const fh_server_config *c, const char *address, fh_err **err);

/* api.c */
void api_handle(fh_server *s, fh_http_req *req);       /* every request, on any loop; http_server's handler calls it */
size_t api_judge(fh_server *s, fh_http_req *req);      /* likewise, of its head: how long its body may be; http_server's judge calls it */
void api_reply(api_call *c, int status, fh_json *doc); /* takes doc; NULL doc: out of memory, or no body with 204 */
void api_reply_text(api_call *c, const fh_buf *text);
void api_reply_error(api_call *c, fh_err *err);   /* takes err */
fh_http_req *api_take_req(api_call *c);           /* ends the call; the request is the caller's. NULL: the client has gone */
fh_json *api_list(fh_json *items, fh_json *next); /* {"items":[...],"next":...}; takes both */
fh_json *api_time(int64_t utc_ns);                /* RFC 3339, null for 0 */
/* A parameter of the query, which the route must have; *ret stays when it is not there. */
int api_query_number(const api_call *c, const char *name, uint64_t *ret, fh_err **err);
int api_query_text(const api_call *c, const char *name, char *ret, size_t ret_size, fh_err **err);

/* tokens.c: what Idempotency-Key means. begin: 0 go on, 1 replied already (call is gone), negative: error. */
int api_token_begin(api_call *c, fh_err **err);
void api_token_end(api_call *c, int status, const char *body, size_t bytes);

/* The handlers. */
void api_openapi(api_call *c);
void api_models_list(api_call *c), api_models_get(api_call *c);
void api_deployments_list(api_call *c), api_deployments_create(api_call *c), api_deployments_get(api_call *c),
    api_deployments_delete(api_call *c);
void api_deployments_events(api_call *c), api_deployments_logs(api_call *c);
void api_deployments_done(void *arg, const fh_deployment_view *view, const fh_err *why); /* a fh_fleet_done that ends the call arg */
int api_deployments_resolve_set(api_call *c, fh_err **err); /* the parameter becomes the name of the set that it means, if there is one */
void api_deployments_wake(api_call *c), api_deployments_roll(api_call *c);
int api_shape_read(api_call *c, bool model, fh_deploy_spec *ret,
                   fh_err **err); /* what of a deployment may be rolled; model: it must be said */
void api_sets_list(api_call *c);
int api_replicas_read(const fh_json *body, fh_replicas *ret, fh_err **err); /* replicas, replicas_min, replicas_max, idle_s */
void api_events(api_call *c);
void api_weights_list(api_call *c), api_weights_import(api_call *c), api_weights_import_get(api_call *c),
    api_weights_import_cancel(api_call *c);
void api_providers_list(api_call *c), api_providers_create(api_call *c), api_providers_check(api_call *c),
    api_providers_delete(api_call *c);
void api_rentals_list(api_call *c), api_rentals_take_over(api_call *c), api_rentals_quote(api_call *c), api_rentals_guard(api_call *c);
/* A text that may be left out, unless it is required; ret is touched only where it is there. */
int api_text_read(const fh_json *body, const char *name, bool required, char *out, size_t out_size, fh_err **err);
/* "owner", a name; left out: ret stays as it is. */
int api_owner_read(const fh_json *body, char ret[FH_OWNER_CHARS], fh_err **err);
/* "trust", a list of base/trust.h; left out: ret stays as it is. */
int api_trust_read(const fh_json *body, char ret[FH_LIMIT_TRUST_BYTES], fh_err **err);
int api_limit_read(const fh_json *body, fh_deploy_limit *l, fh_err **err); /* its member "limit", which may not be there */
/* rental_quote.c: of a place that rents, limits that were not said are filled in. */
void fh_rental_fill_limit(const fh_server *s, fh_deploy_spec *spec);
/* Notes that this one of the place's offers was picked: FH_E_NOT_FOUND when it was not among them. */
int fh_rental_pick(const fh_server *s, fh_str offer, fh_deploy_spec *spec, fh_err **err);
void api_honesty_list(api_call *c), api_honesty_check(api_call *c), api_honesty_clear(api_call *c);
void api_node_honesty_list(api_call *c), api_node_honesty_check(api_call *c), api_node_honesty_clear(api_call *c);
bool api_node_is(api_call *c, fh_err **err);      /* the machine that the path names; FH_E_NOT_FOUND */
void api_providers_load_tokenizers(fh_server *s); /* of all of them, at the start; the loop need not run yet */
void api_nodes_list(api_call *c), api_nodes_get(api_call *c), api_nodes_token(api_call *c), api_nodes_drain(api_call *c),
    api_nodes_undrain(api_call *c), api_nodes_delete(api_call *c);
void api_groups_list(api_call *c), api_groups_create(api_call *c), api_groups_delete(api_call *c);
void api_outcomes_create(api_call *c);
void api_plans_create(api_call *c);
void api_catalog_get(api_call *c), api_catalog_own_create(api_call *c), api_catalog_own_delete(api_call *c);
void api_catalog_update(api_call *c), api_catalog_revert(api_call *c);
void api_price_lists_list(api_call *c), api_price_lists_create(api_call *c), api_price_lists_delete(api_call *c);
void api_keys_list(api_call *c), api_keys_create(api_call *c), api_keys_rotate(api_call *c), api_keys_revoke(api_call *c);
void api_session_create(api_call *c), api_session_delete(api_call *c), api_console_links_create(api_call *c);
void api_machine(api_call *c);
void api_engines_list(api_call *c);
void api_traffic(api_call *c);
void api_usage_list(api_call *c), api_usage_get(api_call *c);

/* openapi.c */
fh_json *fh_openapi_document(void);

/* api_keys.c, for a server and without one: what a key is to be, and its making; *ret is the shape NewKey. */
int api_key_spec(fh_str name, fh_str scope, fh_key *ret, fh_err **err);
int api_key_make(fh_keys *keys, const fh_key *spec, fh_json **ret, fh_err **err);

/* cors.c. allows: the request comes from a page of a listed origin and may be served; the reply will say so. preflight: it asks whether it
 * might, and was answered. */
bool fh_cors_allows(const fh_server *s, fh_http_req *req);
bool fh_cors_preflight(fh_http_req *req);
/* key_refusal.c: the reply to a key that is not valid, after KEY_REFUSAL_MS; takes err. */
void fh_server_refuse_key(fh_http_req *req, fh_err *err);
/* static_files.c: the console; false when there is no such file. */
bool fh_static_reply(fh_http_req *req);
/* observers.c: access log and traces, as the configuration wants them. */
int fh_observers_open(fh_observers **ret, fh_server *s, fh_err **err);
void fh_observers_close(fh_observers *o); /* once no request can end any more, before the main loop is freed */
FH_DEFINE_AUTO(fh_observers, fh_observers_close);
bool fh_observers_reopen(fh_observers *o); /* the log's file; false when there is none */
void fh_observers_metrics(const fh_observers *o, fh_buf *out);
/* metrics.c */
void fh_server_metrics(fh_server *s, fh_http_req *req);
/* set_load.c */
int fh_server_watch_load(fh_server *s, fh_err **err);
/* route_port.c */
fh_route_port fh_server_routes(fh_server *s);
/* session.c */
int fh_console_link(fh_server *s, char *out, size_t out_size, fh_err **err);
/* machine.c */
const char *fh_server_sandbox(fh_server *s); /* probes once; "none" when nothing works */

/* api_events.c */
int fh_feed_new(fh_feed **ret, fh_server *s, fh_err **err);
void fh_feed_free(fh_feed *f); /* ends all streams */
FH_DEFINE_AUTO(fh_feed, fh_feed_free);

/* imports.c: one import at a time, on a thread of its own. */
fh_imports *fh_imports_new(fh_server *s);
void fh_imports_free(fh_imports *i);       /* cancels one that runs and waits for it */
bool fh_imports_busy(const fh_imports *i); /* one runs; the main loop asks */
int fh_imports_start(fh_imports *i, fh_weights_source *source, const char *path, const char *id, fh_json **ret_job,
                     fh_err **err);                            /* takes source */
fh_json *fh_imports_get(fh_imports *i, const char *job_id);    /* NULL when there is none */
fh_json *fh_imports_cancel(fh_imports *i, const char *job_id); /* likewise; it ends soon, one that has ended stays as it is */
/* A path that a client named, opened inside one of the import folders: FH_E_FORBIDDEN outside. */
int fh_import_open(fh_server *s, fh_str path, fh_weights_source **ret, fh_err **err);
fh_json *fh_import_dirs_json(const fh_server *s);

#endif
