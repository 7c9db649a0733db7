/* The gateway between a client and engines that behave as they are told: each is our own HTTP server on a unix socket, all on one loop. */
#include "cmocka_all.h"
#include "base/limits.h"
#include "gateway/gateway.h"
#include "gateway/traffic.h"
#include "net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum behaviour {
    ANSWER,
    STREAM,
    DIE,
    REFUSE,
    CUT,
    CUT_TOKENS,
    CUT_INSIDE,
    NO_DONE,
    FINISHED,
    WRONG,
    ENDLESS,
    BAD_REQUEST,
    BUSY,
    FLOOD
} behaviour;

typedef struct world {
    fh_loop *loop;
    fh_http_server *engine, *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *deadline, *drip;
    char folder[64], socket[100];
    behaviour plan[4]; /* of the first, second, ... request that an engine gets */
    unsigned asked, picks, reports;
    int64_t instance;
    bool never_replaced, engine_saw_leave, model_unknown;
    fh_trust trust;
    const char *regions[2]; /* of the replica, and of the one that takes its place */
    const char *demands, *key_regions;
    const char *owners[2]; /* as regions */
    const char *trusts, *key_trust;
    bool paid;
    int64_t price_nusd;
    uint64_t budget_tok; /* of the port of budgets */
    fh_hold hold;
    fh_spent spent;
    unsigned settled;
    unsigned sleeps, woken;      /* looks until it is awake; how often it was to be woken */
    bool never_wakes;            /* it fails instead, at the last look */
    uint32_t at_once;            /* of the engine */
    const char *priority, *wait; /* what the client says of waiting; NULL: nothing */
    uint32_t scopes;             /* of the key, as are the two below */
    const char *models;
    fh_limit_set limits;
    fh_resume resume;
    const char *more; /* members of what the client asks; NULL: none */
    fh_buf asked_for; /* bodies that the engine got, a line each */
    fh_http_req *flooded;
    size_t flood_left;
    bool flood_paused;
    /* what the client got */
    int status;
    bool done, transport_failed;
    fh_buf body;
    char retry[16], reason[128], cache[16], after[16];
    const char *key_id;  /* of the one who asks */
    char salts[4][100];  /* what the engine got, by request */
    unsigned salt_count; /* headers of that name in the last request */
    char ranks[4][100];  /* the priority that the engine got, by request */
    char pages[4][100];  /* and what it was told of its page cache */
    bool key_no_pages;
    fh_priority priority_most;
    const char *cache_wish;
    const char *sends_trace, *sends_state;
    char traces[4][100], states[4][100]; /* what the engine got, by request */
    unsigned records;                    /* ends of requests that were told, and the last one */
    fh_record record;
    fh_attempt attempts[FH_LIMIT_RECORD_ATTEMPTS];
    char model[64];
} world;

enum { FLOOD_EVENTS = 400000 }; /* 20 MB: more than all buffers of sockets take */

static const char event[] = "data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";

static const char told[] = ": tok 7 8\ndata: {\"id\":\"chatcmpl-9\",\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n";
static const char finished[] = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

static void engine_gone(void *arg)
{
    ((world *)arg)->engine_saw_leave = true;
    fh_loop_stop(((world *)arg)->loop);
}

static void flood(void *arg)
{
    world *w = arg;
    while (w->flood_left > 0) {
        w->flood_left--;
        if (fh_http_reply_write(w->flooded, event, sizeof event - 1)) continue;
        w->flood_paused = true;
        return;
    }
    fh_http_reply_write(w->flooded, "data: [DONE]\n\n", 14);
    fh_http_reply_end(w->flooded);
}

static void drip(void *arg)
{
    world *w = arg;
    if (w->engine_saw_leave) return;
    fh_http_reply_write(w->flooded, event, sizeof event - 1);
    fh_timer_start(w->drip, 1000000);
}

static void start(fh_http_req *req)
{
    fh_http_reply_start(req, 200, "text/event-stream; charset=utf-8");
    fh_http_reply_write(req, event, sizeof event - 1);
}

static void note(char out[100], fh_str value)
{
    snprintf(out, 100, "%.*s", (int)value.len, value.ptr ? value.ptr : "");
}

static void note_salt(world *w, fh_http_req *req)
{
    size_t count;
    const fh_header *h = fh_http_req_headers(req, &count);
    fh_str salt = fh_http_req_header(req, "x-freehold-salt");
    snprintf(w->salts[w->asked], sizeof w->salts[0], "%.*s", (int)salt.len, salt.ptr ? salt.ptr : "");
    w->salt_count = 0;
    for (size_t i = 0; i < count; i++) w->salt_count += fh_str_ieq(h[i].name, FH_STR("x-freehold-salt"));
}

static void engine_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    note_salt(w, req);
    note(w->ranks[w->asked], fh_http_req_header(req, "x-freehold-priority"));
    note(w->pages[w->asked], fh_http_req_header(req, "x-freehold-page-cache"));
    note(w->traces[w->asked], fh_http_req_header(req, "traceparent"));
    note(w->states[w->asked], fh_http_req_header(req, "tracestate"));
    fh_buf_add(&w->asked_for, fh_http_req_body(req).ptr, fh_http_req_body(req).len);
    fh_buf_addc(&w->asked_for, '\n');
    behaviour b = w->plan[w->asked++];
    switch (b) {
    case ANSWER: fh_http_reply(req, 200, "application/json", "{\"ok\":1}", 8); return;
    case BAD_REQUEST: fh_http_reply(req, 400, "application/json", "{\"error\":{}}", 12); return;
    case BUSY:
        fh_http_reply_header(req, "Retry-After", "1");
        fh_http_reply(req, 429, "application/json", "{\"error\":{}}", 12);
        return;
    case DIE: fh_http_reply_abort(req); return;
    case REFUSE: fh_http_reply(req, 503, "application/json", "{}", 2); return;
    case ENDLESS:
        start(req);
        w->flooded = req;
        fh_http_req_on_gone(req, engine_gone, w);
        fh_timer_start(w->drip, 1000000);
        return;
    case FLOOD:
        w->flooded = req;
        w->flood_left = FLOOD_EVENTS;
        fh_http_reply_on_drain(req, flood, w);
        fh_http_reply_start(req, 200, "text/event-stream");
        flood(w);
        return;
    case CUT_INSIDE:
        start(req);
        fh_http_reply_write(req, event, 20);
        fh_http_reply_abort(req);
        return;
    case CUT_TOKENS:
        fh_http_reply_start(req, 200, "text/event-stream; charset=utf-8");
        fh_http_reply_write(req, told, sizeof told - 1);
        fh_http_reply_abort(req);
        return;
    case FINISHED:
        start(req);
        fh_http_reply_write(req, finished, sizeof finished - 1);
        fh_http_reply_abort(req);
        return;
    case WRONG:
        start(req);
        fh_http_reply_write(req, "data: {\"error\":{\"message\":\"too hot\"}}\n\n", 40);
        fh_http_reply_end(req);
        return;
    case CUT:
        start(req);
        fh_http_reply_abort(req);
        return;
    case NO_DONE:
    case STREAM:
        start(req);
        if (b == STREAM) fh_http_reply_write(req, "data: [DONE]\n\n", 14);
        fh_http_reply_end(req);
        return;
    }
}

static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    (void)model;
    w->picks++;
    if (w->model_unknown) return fh_err_set(err, FH_E_NOT_FOUND, "there is no model of that name");
    if (w->sleeps) return fh_err_set(err, FH_E_UNAVAILABLE, "m is failed, not ready: no memory");
    fh_candidate one = {.deployment = "d",
                        .model = "m",
                        .place = "here",
                        .region = w->regions[w->instance > 0],
                        .instance = w->instance,
                        .trust = w->trust,
                        .owner = w->owners[w->instance > 0],
                        .resume = w->resume,
                        .can = FH_NEED_BIT(CHOICES),
                        .own_engine = true,
                        .paid = w->paid,
                        .at_once = w->at_once,
                        .out_nusd = w->price_nusd,
                        .dialect = FH_DIALECT_CHAT};
    if (pick(arg, &one, 1) > 0) {
        if (!w->never_replaced) w->instance++; /* the next time it is there */
        return fh_err_set(err, FH_E_UNAVAILABLE, "being replaced");
    }
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .reason = "asked for",
                      .base_url = "http://localhost",
                      .instance = w->instance,
                      .resume = w->resume,
                      .own_engine = true,
                      .dialect = FH_DIALECT_CHAT};
    strcpy(ret->unix_path, w->socket);
    snprintf(ret->region, sizeof ret->region, "%s", one.region ? one.region : "");
    return 0;
}

static bool rise(void *ctx, fh_str model, fh_suits *suits, void *arg, fh_rising *ret)
{
    world *w = ctx;
    fh_candidate one = {.deployment = "d",
                        .model = "m",
                        .place = "here",
                        .asleep = w->woken == 0,
                        .trust = w->trust,
                        .resume = w->resume,
                        .own_engine = true,
                        .dialect = FH_DIALECT_CHAT};
    assert_true(fh_str_eqs(model, "m"));
    if (!w->sleeps || !suits(arg, &one) || (w->never_wakes && w->sleeps == 1)) return false;
    w->woken++;
    w->sleeps--;
    *ret = (fh_rising){.name = "d", .says = "d is loading, 40 %\nof it"};
    return true;
}

static void report(void *ctx, const char *deployment, int code)
{
    (void)code;
    assert_string_equal(deployment, "d");
    ((world *)ctx)->reports++;
}

static size_t list(void *ctx, fh_route_model *ret, size_t max)
{
    (void)ctx;
    assert_true(max > 0);
    ret[0] = (fh_route_model){.id = "m", .owned_by = "us", .created_s = 1};
    return 1;
}

static void door_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_key key = {.scopes = w->scopes, .limits = w->limits, .priority_most = w->priority_most, .no_pages = w->key_no_pages};
    snprintf(key.models, sizeof key.models, "%s", w->models);
    snprintf(key.regions, sizeof key.regions, "%s", w->key_regions);
    snprintf(key.trust, sizeof key.trust, "%s", w->key_trust);
    snprintf(key.id, sizeof key.id, "%s", w->key_id);
    fh_gateway_handle(w->gateway, req, &key);
}

static void door_ended(fh_http_req *req, const fh_http_end *end, void *ctx)
{
    world *w = ctx;
    w->records++;
    w->record = (fh_record){.status = end->status, .gone = end->gone, .began_ns = end->began_ns, .ended_ns = end->ended_ns};
    if (!fh_gateway_record(req, &w->record)) return;
    memcpy(w->attempts, w->record.attempts, sizeof w->attempts);
    snprintf(w->model, sizeof w->model, "%s", w->record.model);
    w->record.attempts = w->attempts;
}

/* A budget of a number of tokens, one money unit each. */
static int hold_budget(void *ctx, const fh_hold *h, fh_lease *ret, fh_err **err)
{
    world *w = ctx;
    (void)err;
    w->hold = *h;
    *ret = (fh_lease){.left_nano = (int64_t)w->budget_tok, .currency = "USD", .renews_utc_ns = 1767225600000000000};
    if (w->budget_tok < h->prompt_tok + FH_LIMIT_HOLD_ANSWER_TOK) return FH_E_BUDGET;
    ret->answer_tok = w->budget_tok - h->prompt_tok;
    return 0;
}

static void settle_budget(void *ctx, const fh_hold *h, const fh_lease *l, const fh_spent *spent)
{
    world *w = ctx;
    (void)l;
    assert_string_equal(h->key->id, w->key_id);
    w->spent = *spent;
    w->settled++;
}

static void too_late(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static int set_up(void **state, bool budget)
{
    world *w = calloc(1, sizeof *w);
    char address[128];
    strcpy(w->folder, "/tmp/fh-exchange-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->engine, w->loop, engine_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->engine, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    fh_http_server_on_end(w->door, door_ended, w);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {
        .loops = &w->loop, .loop_count = 1, .routes = {.ctx = w, .choose = choose, .rise = rise, .report = report, .list = list}};
    if (budget) c.holds = (fh_hold_port){.ctx = w, .hold = hold_budget, .settle = settle_budget};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, too_late, w, NULL), 0);
    assert_int_equal(fh_timer_new(&w->drip, w->loop, drip, w, NULL), 0);
    w->body = FH_BUF(64 << 20);
    w->asked_for = FH_BUF(1 << 20);
    w->resume = FH_RESUME_TOKENS;
    w->key_id = "aaaaaaaa";
    w->scopes = FH_SCOPES_USE;
    w->models = w->key_regions = w->key_trust = "";
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return set_up(state, false);
}

static int setup_budget(void **state)
{
    return set_up(state, true);
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    fh_http_server_free(w->engine);
    fh_timer_free(w->deadline);
    fh_timer_free(w->drip);
    fh_loop_free(w->loop);
    fh_buf_fini(&w->body);
    fh_buf_fini(&w->asked_for);
    rmdir(w->folder);
    free(w);
    return 0;
}

static void keep(char *out, size_t size, const fh_header *h, size_t count, const char *name)
{
    fh_str v = fh_headers_find(h, count, name);
    snprintf(out, size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    world *w = arg;
    w->status = status;
    keep(w->retry, sizeof w->retry, h, count, "x-should-retry");
    keep(w->reason, sizeof w->reason, h, count, "x-freehold-reason");
    keep(w->after, sizeof w->after, h, count, "retry-after");
    keep(w->cache, sizeof w->cache, h, count, "x-freehold-cache");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    return fh_buf_add(&((world *)arg)->body, data, bytes);
}

static void got_done(void *arg, int status, const fh_err *err)
{
    world *w = arg;
    w->done = true;
    w->transport_failed = err != NULL;
    (void)status;
    fh_loop_stop(w->loop);
}

static fh_http_call *ask(world *w, bool stream, bool (*on_data)(void *, const void *, size_t))
{
    char url[128], body[256];
    fh_http_call *call = NULL;
    fh_header headers[8] = {{FH_STR("Content-Type"), FH_STR("application/json")}, {FH_STR("x-freehold-salt"), FH_STR("mine")}};
    size_t header_count = 2;
    if (w->sends_trace) headers[header_count++] = (fh_header){FH_STR("traceparent"), fh_str_of(w->sends_trace)};
    if (w->sends_state) headers[header_count++] = (fh_header){FH_STR("tracestate"), fh_str_of(w->sends_state)};
    if (w->priority) headers[header_count++] = (fh_header){FH_STR("x-freehold-priority"), fh_str_of(w->priority)};
    if (w->cache_wish) headers[header_count++] = (fh_header){FH_STR("Cache-Control"), fh_str_of(w->cache_wish)};
    if (w->trusts) headers[header_count++] = (fh_header){FH_STR("x-freehold-trust"), fh_str_of(w->trusts)};
    if (w->demands) headers[header_count++] = (fh_header){FH_STR("x-freehold-region"), fh_str_of(w->demands)};
    if (w->wait) headers[header_count++] = (fh_header){FH_STR("x-freehold-max-wait"), fh_str_of(w->wait)};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", fh_http_server_port(w->door));
    snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":%s%s}",
             stream ? "true" : "false", w->more ? w->more : "");
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = headers,
                              .header_count = header_count,
                              .body = fh_str_of(body),
                              .on_headers = got_headers,
                              .on_data = on_data,
                              .on_done = got_done,
                              .arg = w};
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    return call;
}

static void run(world *w, int seconds)
{
    fh_timer_start(w->deadline, seconds * 1000000000LL);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
}

static void exchange(world *w, bool stream)
{
    ask(w, stream, got_data);
    run(w, 20);
    assert_true(w->done);
}

static void a_plain_reply_comes_through_with_its_choice(void **state)
{
    world *w = *state;
    w->plan[0] = ANSWER;
    exchange(w, false);
    assert_int_equal(w->status, 200);
    assert_string_equal(fh_buf_cstr(&w->body), "{\"ok\":1}");
    assert_string_equal(w->reason, "asked for; the only one that can");
    assert_string_equal(w->cache, "off");
    assert_string_equal(w->retry, "");
}

static void engines_get_a_salt_of_the_key_and_never_the_clients(void **state)
{
    world *w = *state;
    static const char *const ids[] = {"aaaaaaaa", "bbbbbbbb", "aaaaaaaa"};
    for (size_t i = 0; i < FH_COUNT(ids); i++) {
        w->key_id = ids[i];
        w->plan[i] = ANSWER;
        exchange(w, false);
        assert_int_equal(w->salt_count, 1);
        assert_int_equal(strlen(w->salts[i]), 32);
        assert_int_equal(strspn(w->salts[i], "0123456789abcdef"), 32);
    }
    assert_string_not_equal(w->salts[0], w->salts[1]);
    assert_string_equal(w->salts[0], w->salts[2]);
}

static void engines_get_the_priority_that_a_request_has(void **state)
{
    world *w = *state;
    static const char *const asked[] = {NULL, "low", "high"}, *const got[] = {"normal", "low", "high"};
    w->priority_most = FH_PRIORITY_HIGH;
    for (size_t i = 0; i < FH_COUNT(asked); i++) {
        w->priority = asked[i];
        w->plan[i] = ANSWER;
        exchange(w, false);
        assert_string_equal(w->ranks[i], got[i]);
    }
}

static void engines_keep_no_pages_where_key_or_request_say_so(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < 4; i++) w->plan[i] = ANSWER;
    exchange(w, false);
    w->cache_wish = "no-store";
    exchange(w, false);
    w->cache_wish = "no-cache"; /* another answer is wanted, which may be kept */
    exchange(w, false);
    w->key_no_pages = true;
    exchange(w, false);
    const char *want[] = {"", "off", "", "off"};
    for (size_t i = 0; i < FH_COUNT(want); i++) assert_string_equal(w->pages[i], want[i]);
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"

static void a_trace_goes_on_to_every_replica_in_a_span_of_its_own(void **state)
{
    world *w = *state;
    w->sends_trace = "00-" TRACE "-b7ad6b7169203331-01";
    w->sends_state = "vendor=opaque";
    w->plan[0] = DIE;
    w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->asked, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(fh_str_starts(fh_str_of(w->traces[i]), FH_STR("00-" TRACE "-")));
        assert_string_equal(w->traces[i] + 52, "-01");
        assert_string_equal(w->states[i], "vendor=opaque");
    }
    assert_memory_not_equal(w->traces[0] + 36, w->traces[1] + 36, 16);
    assert_memory_not_equal(w->traces[0] + 36, "b7ad6b7169203331", 16);
    assert_int_equal(w->record.trace.parent[0], 0xb7);
}

static void a_trace_that_is_broken_begins_anew_without_its_state(void **state)
{
    world *w = *state;
    fh_trace t;
    w->sends_trace = "00-" TRACE "-b7ad6b7169203331-0";
    w->sends_state = "vendor=opaque";
    w->plan[0] = ANSWER;
    exchange(w, false);
    assert_true(fh_traceparent_read(fh_str_of(w->traces[0]), &t));
    assert_null(strstr(w->traces[0], TRACE));
    assert_string_equal(w->states[0], "");
}

static void a_record_tells_what_became_of_a_request(void **state)
{
    world *w = *state;
    w->plan[0] = CUT_TOKENS;
    w->plan[1] = STREAM;
    exchange(w, true);
    const fh_record *r = &w->record;
    const fh_attempt *a = r->attempts;
    assert_int_equal(w->records, 1);
    assert_int_equal(r->status, 200);
    assert_false(r->gone);
    assert_true(r->stream);
    assert_string_equal(w->model, "m");
    assert_string_equal(r->operation, "chat");
    assert_string_equal(r->key_class, "normal");
    assert_string_equal(r->cache, "off");
    assert_int_equal(r->code, 0);
    assert_int_equal(r->attempt_count, 2);
    assert_string_equal(a[0].deployment, "d");
    assert_int_equal(a[0].code, FH_E_UPSTREAM);
    assert_int_equal(a[0].sent_tok, 2);
    assert_int_equal(a[1].from_tok, 2);
    assert_int_equal(a[1].code, 0);
    assert_in_range(r->first_ns, r->began_ns, r->ended_ns);
    assert_in_range(a[1].began_ns, a[0].ended_ns, a[1].ended_ns);
}

static void the_last_failover_can_be_looked_at(void **state)
{
    world *w = *state;
    fh_failover f;
    fh_traffic t;
    w->plan[0] = ANSWER;
    exchange(w, false);
    assert_false(fh_gateway_failover(w->gateway, &f));
    w->plan[1] = CUT_TOKENS;
    w->plan[2] = STREAM;
    exchange(w, true);
    assert_true(fh_gateway_failover(w->gateway, &f));
    assert_true(f.over);
    assert_true(f.stream);
    assert_int_equal(f.code, 0);
    assert_string_equal(f.model, "m");
    assert_int_equal(f.attempt_count, 2);
    assert_int_equal(f.attempts[0].code, FH_E_UPSTREAM);
    assert_int_equal(f.attempts[1].from_tok, 2);
    fh_gateway_traffic(w->gateway, &t);
    assert_int_equal(t.finished, 2);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.retried, 1);
    assert_int_equal(t.resumed, 1);
    assert_int_equal(t.in_flight, 0);
    assert_int_equal(t.completion_tok, f.completion_tok);
}

static void a_record_of_an_error_has_its_class(void **state)
{
    world *w = *state;
    w->plan[0] = BAD_REQUEST;
    exchange(w, false);
    assert_int_equal(w->record.code, FH_E_INVALID);
    w->model_unknown = true;
    exchange(w, false);
    assert_int_equal(w->records, 2);
    assert_int_equal(w->record.code, FH_E_NOT_FOUND);
    assert_int_equal(w->record.attempt_count, 0);
    assert_string_equal(w->model, "");
}

static void a_stream_comes_through_to_its_end(void **state)
{
    world *w = *state;
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "data: [DONE]\n\n"));
    assert_null(strstr(fh_buf_cstr(&w->body), "error"));
}

static void an_engine_that_dies_before_the_first_byte_is_replaced_once(void **state)
{
    world *w = *state;
    w->plan[0] = DIE;
    w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->asked, 2);
    assert_int_equal(w->reports, 1);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
}

static void engines_that_all_break_are_an_error_that_is_not_tried_again(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(w->plan); i++) w->plan[i] = REFUSE;
    exchange(w, false);
    assert_int_equal(w->status, 502);
    assert_string_equal(w->retry, "false");
    assert_int_equal(w->asked, FH_LIMIT_TRIES);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "\"error\""));
}

static void a_refused_request_is_not_sent_twice(void **state)
{
    world *w = *state;
    w->plan[0] = BAD_REQUEST;
    exchange(w, true);
    assert_int_equal(w->status, 400);
    assert_int_equal(w->asked, 1);
    assert_int_equal(w->reports, 0);
}

static void check_cut(world *w)
{
    const char *text = fh_buf_cstr(&w->body), *error = strstr(text, "data: {\"error\":");
    assert_int_equal(w->status, 200);
    assert_false(w->transport_failed);
    assert_non_null(error);
    assert_ptr_equal(error, text + sizeof event - 1); /* right behind the one whole event */
    assert_null(strstr(text, "[DONE]"));
    assert_int_equal(w->asked, 1);
}

static void a_stream_that_breaks_ends_with_an_error_event(void **state)
{
    ((world *)*state)->plan[0] = CUT;
    ((world *)*state)->resume = FH_RESUME_NEVER;
    exchange(*state, true);
    check_cut(*state);
}

static void half_an_event_is_never_shown(void **state)
{
    ((world *)*state)->plan[0] = CUT_INSIDE;
    ((world *)*state)->resume = FH_RESUME_NEVER;
    exchange(*state, true);
    check_cut(*state);
}

static void a_stream_that_ends_without_done_is_cut(void **state)
{
    ((world *)*state)->plan[0] = NO_DONE;
    ((world *)*state)->resume = FH_RESUME_NEVER;
    exchange(*state, true);
    check_cut(*state);
}

/* The texts of all chunks, one behind another. */
static void check_text(world *w, const char *want)
{
    FH_AUTO(buf) fh_buf text = FH_BUF(4096);
    const char *at = fh_buf_cstr(&w->body), *key = "\"content\":\"";
    while ((at = strstr(at, key))) {
        at += strlen(key);
        fh_buf_add(&text, at, strcspn(at, "\""));
    }
    assert_string_equal(fh_buf_cstr(&text), want);
}

static void another_engine_goes_on_from_the_text(void **state)
{
    world *w = *state;
    w->plan[0] = CUT;
    w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->asked, 2);
    check_text(w, "wordword");
    assert_null(strstr(fh_buf_cstr(&w->body), "error"));
    assert_non_null(strstr(fh_buf_cstr(&w->body), "data: [DONE]\n\n"));
    assert_non_null(strstr(fh_buf_cstr(&w->asked_for), "{\"role\":\"assistant\",\"content\":\"word\"}]"));
}

static void another_engine_goes_on_from_the_very_tokens(void **state)
{
    world *w = *state;
    w->plan[0] = CUT_TOKENS;
    w->plan[1] = STREAM;
    exchange(w, true);
    check_text(w, "wordword");
    assert_non_null(strstr(fh_buf_cstr(&w->asked_for), "\"freehold_continue\":{\"tokens\":[7,8]}"));
    assert_non_null(strstr(fh_buf_cstr(&w->asked_for), "\"seed\":"));
    assert_null(strstr(fh_buf_cstr(&w->body), "tok 7"));
    char *second = strstr(strstr(fh_buf_cstr(&w->body), "chatcmpl-9") + 1, "chatcmpl-9");
    assert_non_null(second); /* it is one reply to the client */
}

static void what_only_lost_its_end_is_whole(void **state)
{
    world *w = *state;
    w->plan[0] = FINISHED;
    exchange(w, true);
    assert_int_equal(w->asked, 1);
    check_text(w, "word");
    assert_non_null(strstr(fh_buf_cstr(&w->body), "data: [DONE]\n\n"));
}

static void of_several_choices_one_that_ended_is_not_the_whole(void **state)
{
    world *w = *state;
    w->more = ",\"n\":2";
    w->plan[0] = FINISHED;
    exchange(w, true);
    assert_int_equal(w->asked, 1); /* they cannot be gone on from */
    assert_non_null(strstr(fh_buf_cstr(&w->body), "\"error\""));
    assert_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
}

static void choices_share_what_the_budget_grants(void **state)
{
    world *w = *state;
    char most[64];
    w->more = ",\"n\":4,\"max_tokens\":1000";
    w->budget_tok = 1000;
    w->price_nusd = 5;
    w->plan[0] = ANSWER;
    exchange(w, false);
    assert_int_equal(w->hold.answer_tok, 4000);
    snprintf(most, sizeof most, "\"max_tokens\":%d", (int)(1000 - w->hold.prompt_tok) / 4);
    assert_non_null(strstr(fh_buf_cstr(&w->asked_for), most));
}

static void an_error_inside_a_stream_is_not_shown_when_another_goes_on(void **state)
{
    world *w = *state;
    w->plan[0] = WRONG;
    w->plan[1] = STREAM;
    exchange(w, true);
    check_text(w, "wordword");
    assert_null(strstr(fh_buf_cstr(&w->body), "hot"));
}

static void nothing_goes_beyond_the_trust_of_the_request(void **state)
{
    world *w = *state;
    w->trust = FH_TRUST_NAMED;
    exchange(w, true);
    assert_int_equal(w->status, 403);
    assert_int_equal(w->asked, 0);
}

static void refused_by_the_key(world *w, const char *words)
{
    exchange(w, true);
    assert_int_equal(w->status, 403);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), words));
    fh_buf_clear(&w->body);
}

static void refused_by_region(world *w, const char *demands, int status)
{
    w->demands = demands;
    exchange(w, true);
    assert_int_equal(w->status, status);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "x-freehold-region"));
    fh_buf_clear(&w->body);
}

static void nothing_goes_beyond_the_regions_of_the_request(void **state)
{
    world *w = *state;
    w->never_replaced = true;
    refused_by_region(w, "de", 403); /* where it stands is not known */
    w->regions[0] = "fr";
    refused_by_region(w, "de, eu", 403);
    refused_by_region(w, "FR", 400);
    refused_by_region(w, "fr,", 400);
    w->demands = "de, fr";
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(w->reason, "in fr, as was demanded"));
}

static void a_request_demands_no_region_that_its_key_does_not_allow(void **state)
{
    world *w = *state;
    w->never_replaced = true;
    w->regions[0] = "fr";
    w->key_regions = "de,nl";
    refused_by_region(w, "fr", 403);
    refused_by_region(w, NULL, 403);
    w->regions[0] = "nl";
    refused_by_region(w, "de", 403);
    refused_by_region(w, "nl,fr", 403);
    w->demands = NULL;
    w->plan[0] = w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(w->reason, "in nl, as was demanded"));
    w->demands = "nl";
    exchange(w, true);
    assert_int_equal(w->status, 200);
}

static void a_stream_is_not_moved_to_another_region(void **state)
{
    world *w = *state;
    w->regions[0] = "de";
    w->regions[1] = "fr";
    w->demands = "de";
    w->plan[0] = CUT_TOKENS;
    exchange(w, true);
    assert_int_equal(w->asked, 1);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "error"));
    assert_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
}

static void a_stream_is_not_moved_to_whom_nobody_named(void **state)
{
    world *w = *state;
    w->trust = FH_TRUST_RENTED;
    w->owners[0] = "alice";
    w->owners[1] = "mallory";
    w->trusts = "owner/alice, owner/bob";
    w->plan[0] = CUT_TOKENS;
    exchange(w, true);
    assert_int_equal(w->asked, 1);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "error"));
    assert_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
}

static void a_stream_is_moved_to_another_who_was_named(void **state)
{
    world *w = *state;
    w->trust = FH_TRUST_RENTED;
    w->owners[0] = "alice";
    w->owners[1] = "bob";
    w->key_trust = "own,owner/alice,owner/bob";
    w->plan[0] = CUT_TOKENS;
    w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->asked, 2);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
}

static void refused_by_trust(world *w, const char *trusts, int status)
{
    w->trusts = trusts;
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, status);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "x-freehold-trust"));
    fh_buf_clear(&w->body);
}

static void a_request_trusts_nobody_whom_its_key_does_not(void **state)
{
    world *w = *state;
    w->never_replaced = true;
    w->trust = FH_TRUST_RENTED;
    w->owners[0] = "alice";
    refused_by_trust(w, "owner/bob", 403);
    refused_by_trust(w, "alice", 400);
    w->key_trust = "own,owner/bob";
    refused_by_trust(w, "any", 403);
    refused_by_trust(w, NULL, 403);
    w->key_trust = "own,owner/alice";
    refused_by_trust(w, "own", 403);
    w->trusts = "any";
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
}

static void a_key_needs_the_scope_of_what_it_asks(void **state)
{
    world *w = *state;
    w->scopes = FH_SCOPES_USE & ~FH_SCOPE_BIT(FH_SCOPE_CHAT);
    refused_by_the_key(w, "this wants 'chat'");
    w->scopes = FH_SCOPES_USE & ~FH_SCOPE_BIT(FH_SCOPE_SPEND);
    w->paid = true;
    refused_by_the_key(w, "this wants 'spend'");
    w->scopes = FH_SCOPES_USE;
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
}

static void a_key_with_a_list_is_refused_other_models_as_openai_does(void **state)
{
    world *w = *state;
    w->models = "other";
    refused_by_the_key(w, "model_not_found");
    w->model_unknown = true; /* it does not learn what there is */
    refused_by_the_key(w, "model_not_found");
    w->model_unknown = false;
    w->models = "other,m";
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
}

static void a_key_that_asked_enough_is_told_when_to_ask_again(void **state)
{
    world *w = *state;
    w->limits.requests_per_min = 1;
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    exchange(w, true);
    assert_int_equal(w->status, 429);
    assert_int_equal(w->asked, 1);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "rate_limit_exceeded"));
}

static bool leave(void *arg, const void *data, size_t bytes)
{
    world *w = arg;
    (void)data;
    (void)bytes;
    fh_loop_stop(w->loop);
    return true;
}

static void a_client_that_leaves_cancels_the_engine(void **state)
{
    world *w = *state;
    w->plan[0] = ENDLESS;
    fh_http_call *call = ask(w, true, leave);
    run(w, 20);
    fh_http_call_cancel(call);
    run(w, 20);
    assert_true(w->engine_saw_leave);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
}

static void a_request_waits_for_an_engine_that_is_full(void **state)
{
    world *w = *state;
    w->at_once = 1;
    w->plan[0] = ENDLESS;
    w->plan[1] = STREAM;
    fh_http_call *first = ask(w, true, leave);
    run(w, 20);
    ask(w, true, got_data);
    run(w, 1); /* it waits: the engine is not asked */
    assert_int_equal(w->asked, 1);
    assert_false(w->done);
    fh_http_call_cancel(first); /* who leaves frees the slot */
    while (!w->done) run(w, 20);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->asked, 2);
    assert_non_null(strstr(w->reason, "waited"));
    check_text(w, "word");
}

static void who_leaves_while_waiting_is_never_sent(void **state)
{
    world *w = *state;
    w->at_once = 1;
    w->plan[0] = ENDLESS;
    w->plan[1] = STREAM;
    fh_http_call *first = ask(w, true, leave);
    run(w, 20);
    fh_http_call *second = ask(w, true, got_data);
    run(w, 1);
    fh_http_call_cancel(second);
    run(w, 1);
    ask(w, true, got_data);
    run(w, 1);
    fh_http_call_cancel(first);
    while (!w->done) run(w, 20);
    assert_int_equal(w->asked, 2);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
}

static void who_waits_too_long_is_told_when_to_come_again(void **state)
{
    world *w = *state;
    w->at_once = 1;
    w->plan[0] = ENDLESS;
    ask(w, true, leave);
    run(w, 20);
    const char *waits[] = {"0", "1"};
    for (size_t i = 0; i < FH_COUNT(waits); i++) {
        w->wait = waits[i];
        w->done = false;
        fh_buf_clear(&w->body);
        ask(w, true, got_data);
        while (!w->done) run(w, 20);
        assert_int_equal(w->status, 429);
        assert_string_equal(w->after, "1");
        assert_non_null(strstr(fh_buf_cstr(&w->body), "engine_overloaded"));
    }
    assert_int_equal(w->asked, 1);
}

static void a_plain_request_waits_until_it_is_awake(void **state)
{
    world *w = *state;
    w->sleeps = 3;
    exchange(w, false);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->woken, 3);
    assert_int_equal(w->asked, 1);
}

static void a_stream_is_held_with_comments_until_it_is_awake(void **state)
{
    world *w = *state;
    w->sleeps = 3;
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    fh_str body = {fh_buf_cstr(&w->body), w->body.len}, comment = FH_STR(": d is loading, 40 % of it\n\n");
    assert_true(fh_str_starts(body, comment));
    fh_buf_consume(&w->body, comment.len);
    check_text(w, "word");
}

static void what_fails_to_wake_ends_a_held_stream_with_an_error(void **state)
{
    world *w = *state;
    w->sleeps = 3;
    w->never_wakes = true;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "data: {\"error\":"));
    assert_non_null(strstr(fh_buf_cstr(&w->body), "no memory"));
    assert_null(strstr(fh_buf_cstr(&w->body), "[DONE]"));
    assert_int_equal(w->asked, 0);
}

static void what_is_refused_behind_comments_is_an_error_event(void **state)
{
    world *w = *state;
    w->sleeps = 2;
    w->plan[0] = BAD_REQUEST;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "data: {\"error\":"));
    assert_int_equal(w->asked, 1);
}

static void who_does_not_wait_wakes_it_all_the_same(void **state)
{
    world *w = *state;
    const char *waits[] = {"0", "1"};
    for (size_t i = 0; i < FH_COUNT(waits); i++) {
        w->wait = waits[i];
        w->sleeps = 100;
        w->done = false;
        ask(w, false, got_data);
        while (!w->done) run(w, 20);
        assert_int_equal(w->status, 503);
        assert_string_equal(w->retry, "false");
        assert_string_equal(w->after, "30");
    }
    assert_true(w->woken >= 2);
}

static void what_is_not_its_owners_is_woken_by_a_key_that_may(void **state)
{
    world *w = *state;
    w->trust = FH_TRUST_RENTED;
    w->sleeps = 2;
    for (int stream = 0; stream < 2; stream++) {
        w->done = false;
        exchange(w, stream);
        assert_int_equal(w->status, 403);
        assert_int_equal(w->woken, 0);
    }
    assert_non_null(strstr(fh_buf_cstr(&w->body), "missing_scope"));
    w->scopes |= FH_SCOPE_BIT(FH_SCOPE_WAKE);
    exchange(w, false);
    assert_int_equal(w->status, 200);
}

/* Whether somebody still listens a byte from us tells: the next comment. */
static void who_leaves_while_it_wakes_is_never_sent(void **state)
{
    world *w = *state;
    w->sleeps = 100;
    fh_http_call *call = ask(w, true, got_data);
    run(w, 1);
    fh_http_call_cancel(call);
    run(w, 1 + 2 * FH_LIMIT_WAKE_SAY_MS / 1000);
    assert_true(w->sleeps > 40);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
}

static void an_engine_that_refuses_for_being_busy_is_asked_again_when_it_says(void **state)
{
    world *w = *state;
    w->plan[0] = BUSY;
    w->plan[1] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->asked, 2);
    w->plan[2] = BUSY;
    w->wait = "0";
    exchange(w, true); /* for who does not wait it is the answer */
    assert_int_equal(w->status, 429);
    assert_int_equal(w->asked, 3);
}

static void a_budget_that_is_used_up_is_402_and_nothing_is_sent(void **state)
{
    world *w = *state;
    w->budget_tok = 255;
    exchange(w, true);
    assert_int_equal(w->status, 402);
    assert_int_equal(w->asked, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "insufficient_quota"));
    assert_non_null(strstr(fh_buf_cstr(&w->body), "0.000000255 USD"));
    assert_non_null(strstr(fh_buf_cstr(&w->body), "2026-01-01T00:00Z"));
    assert_string_equal(w->after, "");
    assert_int_equal(w->settled, 0);
}

static void an_answer_ends_where_the_budget_does(void **state)
{
    world *w = *state;
    w->budget_tok = 1000;
    w->price_nusd = 5;
    w->plan[0] = STREAM;
    exchange(w, true);
    char most[64];
    assert_int_equal(w->status, 200);
    assert_int_equal(w->hold.answer_tok, 0); /* the client gave no bound */
    assert_int_equal(w->hold.out_nusd, 5);
    snprintf(most, sizeof most, "\"max_tokens\":%d", (int)(1000 - w->hold.prompt_tok));
    assert_non_null(strstr(fh_buf_cstr(&w->asked_for), most));
    assert_non_null(strstr(w->reason, "the budget holds"));
    assert_int_equal(w->settled, 1);
    assert_int_equal(w->spent.prompt_tok, 1); /* four bytes of what was asked */
    assert_int_equal(w->spent.answer_tok, 1); /* one word came */
    assert_int_equal(w->spent.out_nusd, 5);
}

static void what_fails_unsent_costs_nothing(void **state)
{
    world *w = *state;
    w->budget_tok = 1000;
    w->trust = FH_TRUST_ANY;
    exchange(w, true);
    assert_int_equal(w->status, 403);
    assert_int_equal(w->settled, 1);
    assert_int_equal(w->spent.prompt_tok + w->spent.answer_tok, 0);
}

static void a_key_asks_for_no_more_priority_than_it_has(void **state)
{
    world *w = *state;
    w->priority = "high";
    refused_by_the_key(w, "x-freehold-priority");
    w->priority = "low";
    w->plan[0] = STREAM;
    exchange(w, true);
    assert_int_equal(w->status, 200);
    w->priority = "urgent";
    exchange(w, true);
    assert_int_equal(w->status, 400);
    w->priority = NULL;
    w->wait = "301";
    exchange(w, true);
    assert_int_equal(w->status, 400);
}

static bool pause_first(void *arg, const void *data, size_t bytes)
{
    world *w = arg;
    bool first = w->body.len == 0;
    fh_buf_add(&w->body, data, bytes);
    if (first) fh_loop_stop(w->loop);
    return !first;
}

static void a_slow_client_pauses_the_engine(void **state)
{
    world *w = *state;
    w->plan[0] = FLOOD;
    fh_http_call *call = ask(w, true, pause_first);
    run(w, 20);
    run(w, 1); /* the client reads nothing: all buffers fill and it stops */
    assert_true(w->flood_paused);
    assert_true(w->flood_left > 0);
    fh_http_call_resume(call);
    run(w, 120); /* a second; ten under the thread sanitizer, and more on a busy machine */
    assert_true(w->done);
    assert_int_equal(w->flood_left, 0);
    assert_int_equal(w->body.len, FLOOD_EVENTS * (sizeof event - 1) + 14);
}

static void a_wrong_request_never_reaches_an_engine(void **state)
{
    world *w = *state;
    char url[128];
    fh_http_call *call = NULL;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", fh_http_server_port(w->door));
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .body = FH_STR("{\"model\":\"m\"}"),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = w};
    assert_int_equal(fh_http_call_start(&call, w->client, &spec, NULL), 0);
    run(w, 20);
    assert_int_equal(w->status, 400);
    assert_int_equal(w->picks, 0);
    assert_non_null(strstr(fh_buf_cstr(&w->body), "messages"));
}

static void an_unknown_model_is_not_found(void **state)
{
    world *w = *state;
    w->model_unknown = true;
    exchange(w, true);
    assert_int_equal(w->status, 404);
    assert_int_equal(w->asked, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_plain_reply_comes_through_with_its_choice),
        TEST(engines_get_a_salt_of_the_key_and_never_the_clients),
        TEST(engines_get_the_priority_that_a_request_has),
        TEST(engines_keep_no_pages_where_key_or_request_say_so),
        TEST(a_trace_goes_on_to_every_replica_in_a_span_of_its_own),
        TEST(a_trace_that_is_broken_begins_anew_without_its_state),
        TEST(a_record_tells_what_became_of_a_request),
        TEST(a_record_of_an_error_has_its_class),
        TEST(the_last_failover_can_be_looked_at),
        TEST(a_stream_comes_through_to_its_end),
        TEST(an_engine_that_dies_before_the_first_byte_is_replaced_once),
        TEST(engines_that_all_break_are_an_error_that_is_not_tried_again),
        TEST(a_refused_request_is_not_sent_twice),
        TEST(a_stream_that_breaks_ends_with_an_error_event),
        TEST(half_an_event_is_never_shown),
        TEST(another_engine_goes_on_from_the_text),
        TEST(another_engine_goes_on_from_the_very_tokens),
        TEST(what_only_lost_its_end_is_whole),
        TEST(of_several_choices_one_that_ended_is_not_the_whole),
        cmocka_unit_test_setup_teardown(choices_share_what_the_budget_grants, setup_budget, teardown),
        TEST(an_error_inside_a_stream_is_not_shown_when_another_goes_on),
        TEST(nothing_goes_beyond_the_trust_of_the_request),
        TEST(nothing_goes_beyond_the_regions_of_the_request),
        TEST(a_stream_is_not_moved_to_whom_nobody_named),
        TEST(a_stream_is_moved_to_another_who_was_named),
        TEST(a_request_trusts_nobody_whom_its_key_does_not),
        TEST(a_request_demands_no_region_that_its_key_does_not_allow),
        TEST(a_stream_is_not_moved_to_another_region),
        TEST(a_key_needs_the_scope_of_what_it_asks),
        TEST(a_key_with_a_list_is_refused_other_models_as_openai_does),
        TEST(a_key_that_asked_enough_is_told_when_to_ask_again),
        TEST(a_stream_that_ends_without_done_is_cut),
        TEST(a_client_that_leaves_cancels_the_engine),
        TEST(a_request_waits_for_an_engine_that_is_full),
        TEST(who_leaves_while_waiting_is_never_sent),
        TEST(who_waits_too_long_is_told_when_to_come_again),
        TEST(a_plain_request_waits_until_it_is_awake),
        TEST(a_stream_is_held_with_comments_until_it_is_awake),
        TEST(what_fails_to_wake_ends_a_held_stream_with_an_error),
        TEST(what_is_refused_behind_comments_is_an_error_event),
        TEST(who_does_not_wait_wakes_it_all_the_same),
        TEST(what_is_not_its_owners_is_woken_by_a_key_that_may),
        TEST(who_leaves_while_it_wakes_is_never_sent),
        TEST(an_engine_that_refuses_for_being_busy_is_asked_again_when_it_says),
        TEST(a_key_asks_for_no_more_priority_than_it_has),
        cmocka_unit_test_setup_teardown(a_budget_that_is_used_up_is_402_and_nothing_is_sent, setup_budget, teardown),
        cmocka_unit_test_setup_teardown(an_answer_ends_where_the_budget_does, setup_budget, teardown),
        cmocka_unit_test_setup_teardown(what_fails_unsent_costs_nothing, setup_budget, teardown),
        TEST(a_slow_client_pauses_the_engine),
        TEST(a_wrong_request_never_reaches_an_engine),
        TEST(an_unknown_model_is_not_found),
    };
    return cmocka_run_group_tests_name("gateway/exchange", tests, NULL, NULL);
}
