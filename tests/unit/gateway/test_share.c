/* Requests that share an answer, through the whole gateway: clients on one loop with an engine that does as it is told, and on several
 * loops with a thread each. */
#include "cmocka_all.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/limits.h"
#include "gateway/gateway.h"
#include "net/http_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef enum behaviour { HOLD, CUT, NO_END, FILTERED, REFUSE, BREAK, ANSWER } behaviour;

typedef struct world world;
typedef struct client {
    world *w;
    fh_http_call *call;
    int status;
    bool done, failed;
    char cache[8], retry[8];
    fh_buf body;
} client;

struct world {
    fh_loop *loop;
    fh_http_server *engine, *door;
    fh_gateway *gateway;
    fh_http_client *client;
    fh_timer *deadline, *talk;
    size_t in_flight; /* that talking ends at */
    char folder[64], socket[100];
    behaviour plan[8]; /* of the first, second, ... request that the engine gets */
    unsigned asked;
    fh_http_req *held;
    bool engine_saw_leave;
    const char *identity, *key_id;
    unsigned fault; /* the allocation that fails while a request is taken; 0: none */
    bool all_after, struck;
    int64_t instance;
    unsigned awaited; /* first bytes and ends of clients, until the run ends */
    client clients[4];
};

static const char event[] = "data: {\"id\":\"chatcmpl-9\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}]}\n\n";
static const char filtered[] = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n";
static const char finished[] = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
static const char end[] = "data: [DONE]\n\n";
static const char plain[] = "{\"id\":\"chatcmpl-9\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"
                            "\"message\":{\"role\":\"assistant\",\"content\":\"word\"},\"finish_reason\":\"stop\"}]}";

static void say(fh_http_req *req, const char *text)
{
    fh_http_reply_write(req, text, strlen(text));
}

static void engine_gone(void *arg)
{
    world *w = arg;
    w->engine_saw_leave = true;
    w->held = NULL;
}

/* That a client has gone shows when something is written to it: the engine talks until no more requests are there than should be. */
static void talk(void *arg)
{
    world *w = arg;
    if (w->held) say(w->held, event);
    if (fh_gateway_in_flight(w->gateway) == w->in_flight && (w->in_flight || w->engine_saw_leave))
        fh_loop_stop(w->loop);
    else
        fh_timer_start(w->talk, FH_NS_PER_MS);
}

static void release(world *w)
{
    fh_http_req *req = w->held;
    w->held = NULL;
    fh_http_req_on_gone(req, NULL, NULL);
    say(req, event);
    say(req, finished);
    say(req, end);
    fh_http_reply_end(req);
}

static void stream(world *w, fh_http_req *req, behaviour b)
{
    fh_http_reply_start(req, 200, "text/event-stream");
    say(req, event);
    switch (b) {
    case HOLD:
        w->held = req;
        fh_http_req_on_gone(req, engine_gone, w);
        return;
    case CUT: fh_http_reply_abort(req); return;
    case NO_END:
        say(req, finished);
        fh_http_reply_abort(req);
        return;
    case FILTERED: say(req, filtered); break;
    case REFUSE:
    case BREAK:
    case ANSWER: say(req, finished); break;
    }
    say(req, end);
    fh_http_reply_end(req);
}

static void engine_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    behaviour b = w->plan[w->asked++];
    fh_str body = fh_http_req_body(req);
    if (b == REFUSE)
        fh_http_reply(req, 400, "application/json", "{\"error\":{\"message\":\"no\"}}", 26);
    else if (b == BREAK)
        fh_http_reply(req, 503, "application/json", "{}", 2);
    else if (fh_str_find(body, FH_STR("\"stream\":true")) < body.len)
        stream(w, req, b);
    else
        fh_http_reply(req, 200, "application/json", plain, sizeof plain - 1);
}

static int choose_at(const char *socket, const char *identity, int64_t instance, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    fh_candidate one = {.deployment = "d",
                        .model = "m",
                        .place = "here",
                        .instance = instance,
                        .resume = FH_RESUME_TEXT,
                        .own_engine = true,
                        .dialect = FH_DIALECT_CHAT};
    if (pick(arg, &one, 1) > 0) return fh_err_set(err, FH_E_UNAVAILABLE, "being replaced");
    *ret = (fh_route){.deployment = "d",
                      .model = "m",
                      .place = "here",
                      .reason = "asked for",
                      .base_url = "http://localhost",
                      .instance = instance,
                      .resume = FH_RESUME_TEXT,
                      .own_engine = true,
                      .dialect = FH_DIALECT_CHAT};
    snprintf(ret->unix_path, sizeof ret->unix_path, "%s", socket);
    snprintf(ret->identity, sizeof ret->identity, "%s", identity);
    return 0;
}

/* Always another replica. */
static int choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    world *w = ctx;
    (void)model;
    return choose_at(w->socket, w->identity, w->instance++, pick, arg, ret, err);
}

static void report(void *ctx, const char *deployment, int code)
{
    (void)ctx, (void)deployment, (void)code;
}

static size_t list(void *ctx, fh_route_model *ret, size_t max)
{
    (void)ctx, (void)ret, (void)max;
    return 0;
}

static fh_key key_named(const char *id)
{
    fh_key key = {.scopes = FH_SCOPES_USE};
    snprintf(key.id, sizeof key.id, "%s", id);
    return key;
}

static void door_handles(fh_http_req *req, void *ctx)
{
    world *w = ctx;
    fh_key key = key_named(w->key_id);
    if (w->fault) fh_fault_arm(FH_FAULT_ALLOC, w->fault, w->all_after);
    fh_gateway_handle(w->gateway, req, &key);
    w->struck = w->fault && fh_fault_struck();
    fh_fault_disarm();
}

static void too_late(void *arg)
{
    fh_loop_stop(((world *)arg)->loop);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    char address[128];
    strcpy(w->folder, "/tmp/fh-share-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->socket, sizeof w->socket, "%s/s", w->folder);
    snprintf(address, sizeof address, "unix:%s", w->socket);
    assert_int_equal(fh_loop_new(&w->loop, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->engine, w->loop, engine_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->engine, address, false, NULL), 0);
    assert_int_equal(fh_http_server_new(&w->door, w->loop, door_handles, w, NULL), 0);
    assert_int_equal(fh_http_server_listen(w->door, "127.0.0.1:0", false, NULL), 0);
    fh_gateway_config c = {
        .loops = &w->loop, .loop_count = 1, .routes = {.ctx = w, .choose = choose, .report = report, .list = list}, .keep_answers = true};
    assert_int_equal(fh_gateway_new(&w->gateway, &c, NULL), 0);
    assert_int_equal(fh_http_client_new(&w->client, w->loop, NULL), 0);
    assert_int_equal(fh_timer_new(&w->deadline, w->loop, too_late, w, NULL), 0);
    assert_int_equal(fh_timer_new(&w->talk, w->loop, talk, w, NULL), 0);
    w->identity = "weights";
    w->key_id = "aaaaaaaa";
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    fh_http_client_free(w->client);
    fh_http_server_free(w->door);
    fh_gateway_free(w->gateway);
    fh_http_server_free(w->engine);
    fh_timer_free(w->deadline);
    fh_timer_free(w->talk);
    fh_loop_free(w->loop);
    for (size_t i = 0; i < FH_COUNT(w->clients); i++) fh_buf_fini(&w->clients[i].body);
    rmdir(w->folder);
    free(w);
    return 0;
}

/* ---- clients ---- */

static void happened(world *w)
{
    if (w->awaited && --w->awaited == 0) fh_loop_stop(w->loop);
}

static void keep(char *out, size_t size, const fh_header *h, size_t count, const char *name)
{
    fh_str v = fh_headers_find(h, count, name);
    snprintf(out, size, "%.*s", (int)v.len, v.ptr ? v.ptr : "");
}

static void got_headers(void *arg, int status, const fh_header *h, size_t count)
{
    client *c = arg;
    c->status = status;
    keep(c->cache, sizeof c->cache, h, count, "x-freehold-cache");
    keep(c->retry, sizeof c->retry, h, count, "x-should-retry");
}

static bool got_data(void *arg, const void *data, size_t bytes)
{
    client *c = arg;
    bool first = c->body.len == 0;
    fh_buf_add(&c->body, data, bytes);
    if (first) happened(c->w);
    return true;
}

static void got_done(void *arg, int status, const fh_err *err)
{
    client *c = arg;
    (void)status;
    c->call = NULL;
    c->done = true;
    c->failed = err != NULL;
    if (c->body.len == 0) happened(c->w); /* no first byte */
    happened(c->w);
}

static const fh_header json = {{"Content-Type", 12}, {"application/json", 16}};

static client *ask(world *w, size_t at, bool wants_stream)
{
    char url[128], body[256];
    client *c = &w->clients[at];
    fh_buf_fini(&c->body);
    *c = (client){.w = w, .body = FH_BUF(1 << 20)};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", fh_http_server_port(w->door));
    snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0,\"stream\":%s}",
             wants_stream ? "true" : "false");
    fh_http_call_spec spec = {.method = "POST",
                              .url = url,
                              .headers = &json,
                              .header_count = 1,
                              .body = fh_str_of(body),
                              .on_headers = got_headers,
                              .on_data = got_data,
                              .on_done = got_done,
                              .arg = c};
    assert_int_equal(fh_http_call_start(&c->call, w->client, &spec, NULL), 0);
    return c;
}

/* Until there were so many first bytes and ends. */
static void run(world *w, unsigned awaited)
{
    w->awaited = awaited;
    fh_timer_start(w->deadline, 60 * FH_NS_PER_S);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_int_equal(w->awaited, 0);
}

static void talk_until(world *w, size_t in_flight)
{
    w->in_flight = in_flight;
    fh_timer_start(w->talk, 0);
    fh_timer_start(w->deadline, 60 * FH_NS_PER_S);
    assert_int_equal(fh_loop_run(w->loop, NULL), 0);
    assert_int_equal(fh_gateway_in_flight(w->gateway), in_flight);
}

static client *ask_alone(world *w, bool wants_stream)
{
    client *c = ask(w, 0, wants_stream);
    run(w, 2);
    assert_true(c->done);
    return c;
}

/* Two that share a stream: both have its first event. */
static void begin_two(world *w)
{
    ask(w, 0, true);
    run(w, 1);
    ask(w, 1, true);
    run(w, 1);
    assert_string_equal(w->clients[0].cache, "miss");
    assert_string_equal(w->clients[1].cache, "hit");
}

static unsigned count(const client *c, const char *text)
{
    unsigned n = 0;
    for (const char *at = fh_buf_cstr(&c->body); (at = strstr(at, text)); at++) n++;
    return n;
}

static void check_same(world *w, unsigned words)
{
    assert_string_equal(fh_buf_cstr(&w->clients[0].body), fh_buf_cstr(&w->clients[1].body));
    assert_int_equal(count(&w->clients[0], "word"), words);
    assert_int_equal(count(&w->clients[0], "[DONE]"), 1);
}

/* ---- kept ---- */

static void a_good_answer_is_given_again(void **state)
{
    world *w = *state;
    w->plan[0] = w->plan[1] = ANSWER;
    for (unsigned streamed = 0; streamed < 2; streamed++) {
        assert_string_equal(ask_alone(w, streamed)->cache, "miss");
        assert_string_equal(ask_alone(w, streamed)->cache, "hit");
        assert_int_equal(count(&w->clients[0], "word"), 1);
        assert_int_equal(w->asked, streamed + 1);
    }
}

static void what_was_replaced_gives_no_answers_any_more(void **state)
{
    world *w = *state;
    w->plan[0] = w->plan[1] = ANSWER;
    ask_alone(w, true);
    w->identity = "other weights";
    assert_string_equal(ask_alone(w, true)->cache, "miss");
    w->identity = "weights";
    assert_string_equal(ask_alone(w, true)->cache, "hit");
    assert_int_equal(w->asked, 2);
}

static void another_key_has_its_own(void **state)
{
    world *w = *state;
    w->plan[0] = w->plan[1] = ANSWER;
    ask_alone(w, true);
    w->key_id = "bbbbbbbb";
    assert_string_equal(ask_alone(w, true)->cache, "miss");
    fh_gateway_forget(w->gateway, "bbbbbbbb");
    w->key_id = "aaaaaaaa";
    assert_string_equal(ask_alone(w, true)->cache, "hit");
    assert_int_equal(w->asked, 2);
}

/* An upstream that does not say who it is has nothing kept. */
static void without_identity_nothing_is_shared(void **state)
{
    world *w = *state;
    w->identity = "";
    w->plan[0] = w->plan[1] = ANSWER;
    for (unsigned i = 0; i < 2; i++) assert_string_equal(ask_alone(w, true)->cache, "off");
    assert_int_equal(w->asked, 2);
}

static void check_not_kept(world *w, unsigned asked)
{
    w->plan[asked] = ANSWER;
    assert_int_equal(w->asked, asked);
    assert_string_equal(ask_alone(w, true)->cache, "miss");
    assert_int_equal(w->asked, asked + 1);
}

static void a_refusal_is_not_kept(void **state)
{
    world *w = *state;
    w->plan[0] = REFUSE;
    assert_int_equal(ask_alone(w, true)->status, 400);
    check_not_kept(w, 1);
}

static void what_a_filter_ended_is_not_kept(void **state)
{
    world *w = *state;
    w->plan[0] = FILTERED;
    assert_int_equal(ask_alone(w, true)->status, 200);
    check_not_kept(w, 1);
}

static void what_lost_its_end_is_whole_and_not_kept(void **state)
{
    world *w = *state;
    w->plan[0] = NO_END;
    assert_int_equal(count(ask_alone(w, true), "[DONE]"), 1);
    check_not_kept(w, 1);
}

static void what_was_moved_in_its_middle_is_not_kept(void **state)
{
    world *w = *state;
    w->plan[0] = CUT;
    w->plan[1] = ANSWER;
    assert_int_equal(count(ask_alone(w, true), "word"), 2);
    check_not_kept(w, 2);
}

/* ---- shared ---- */

static void a_stream_is_joined_in_its_middle(void **state)
{
    world *w = *state;
    begin_two(w);
    release(w);
    run(w, 2);
    check_same(w, 2);
    assert_int_equal(w->asked, 1);
}

static void who_was_first_may_leave(void **state)
{
    world *w = *state;
    begin_two(w);
    fh_http_call_cancel(w->clients[0].call);
    talk_until(w, 1);
    assert_false(w->engine_saw_leave);
    ask(w, 0, true);
    run(w, 1);
    release(w);
    run(w, 2);
    check_same(w, count(&w->clients[1], "word"));
    assert_int_equal(w->asked, 1);
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
}

static void when_the_last_leaves_the_engine_is_told(void **state)
{
    world *w = *state;
    begin_two(w);
    fh_http_call_cancel(w->clients[0].call);
    fh_http_call_cancel(w->clients[1].call);
    talk_until(w, 0);
    assert_true(w->engine_saw_leave);
}

static void a_replica_that_breaks_is_replaced_for_all(void **state)
{
    world *w = *state;
    begin_two(w);
    w->plan[1] = ANSWER;
    fh_http_req_on_gone(w->held, NULL, NULL);
    fh_http_reply_abort(w->held);
    run(w, 2);
    check_same(w, 2);
    assert_int_equal(w->asked, 2);
    assert_int_equal(count(&w->clients[0], "error"), 0);
}

static void when_all_replicas_break_all_are_told(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < FH_COUNT(w->plan); i++) w->plan[i] = BREAK;
    ask(w, 0, true);
    ask(w, 1, true);
    run(w, 4);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(w->clients[i].status, 502);
        assert_string_equal(w->clients[i].retry, "false");
        assert_int_equal(count(&w->clients[i], "\"error\""), 1);
    }
    assert_int_equal(w->asked, FH_LIMIT_TRIES);
}

static void a_gateway_may_go_while_calls_are_shared(void **state)
{
    begin_two(*state); /* the sanitizers look at what is left behind */
}

/* Allocation after allocation fails while the gateway takes the first of two requests, or the second. */
static bool strike(unsigned nth, bool all_after, bool second)
{
    void *state = NULL;
    setup(&state);
    world *w = state;
    for (size_t i = 0; i < FH_COUNT(w->plan); i++) w->plan[i] = ANSWER;
    w->all_after = all_after;
    for (unsigned i = 0; i < 2; i++) {
        w->fault = i == second ? nth : 0;
        client *c = ask_alone(w, true);
        bool struck = w->fault && w->struck;
        assert_true(c->status == 200 || (struck && (c->failed || c->status >= 500)));
        assert_true(c->status != 200 || count(c, "[DONE]") == 1);
        if (struck) nth = 0;
    }
    assert_int_equal(fh_gateway_in_flight(w->gateway), 0);
    w->fault = 0;
    assert_int_equal(ask_alone(w, true)->status, 200);
    assert_string_equal(ask_alone(w, true)->cache, "hit");
    teardown(&state);
    return nth == 0;
}

static void no_memory_ends_one_request_and_no_other(void **state)
{
    (void)state;
    unsigned struck = 0;
    for (unsigned second = 0; second < 2; second++)
        for (unsigned all_after = 0; all_after < 2; all_after++)
            for (unsigned nth = 1; strike(nth, all_after, second); nth++) struck++;
    assert_true(struck > 40);
}

/* ---- several loops ---- */

enum { LANES = 3, CLIENTS = 12, EVENTS = 200 };

typedef struct city { /* an engine and a gateway of several loops, each with a thread */
    fh_loop *loops[LANES], *engine_loop;
    fh_http_server *doors[LANES], *engine;
    fh_gateway *gateway;
    fh_timer *drip;
    fh_http_req *reply;
    char socket[100];
    unsigned left;
    _Atomic unsigned asked, ready;
} city;

static void drip(void *arg)
{
    city *t = arg;
    say(t->reply, event);
    if (--t->left) {
        fh_timer_start(t->drip, 100000);
        return;
    }
    say(t->reply, finished);
    say(t->reply, end);
    fh_http_reply_end(t->reply);
}

static void city_engine(fh_http_req *req, void *ctx)
{
    city *t = ctx;
    t->asked++;
    t->reply = req;
    t->left = EVENTS;
    fh_http_reply_start(req, 200, "text/event-stream");
    drip(t);
}

static int city_choose(void *ctx, fh_str model, fh_pick *pick, void *arg, fh_route *ret, fh_err **err)
{
    (void)model;
    return choose_at(((city *)ctx)->socket, "weights", 1, pick, arg, ret, err);
}

static void city_door(fh_http_req *req, void *ctx)
{
    fh_key key = key_named("aaaaaaaa");
    fh_gateway_handle(((city *)ctx)->gateway, req, &key);
}

static void *run_loop(void *loop)
{
    fh_loop_run(loop, NULL);
    return NULL;
}

typedef struct caller {
    city *t;
    int port, status;
    fh_buf body;
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/chat/completions", c->port);
    fh_http_call_spec spec = {
        .method = "POST",
        .url = url,
        .headers = &json,
        .header_count = 1,
        .body = FH_STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":0,\"stream\":true}")};
    fh_http_fetch(&spec, 1 << 20, &c->status, &c->body, NULL);
    return NULL;
}

static void open_city(city *t, const char *folder)
{
    char address[128];
    snprintf(t->socket, sizeof t->socket, "%s/e", folder);
    snprintf(address, sizeof address, "unix:%s", t->socket);
    assert_int_equal(fh_loop_new(&t->engine_loop, NULL), 0);
    assert_int_equal(fh_timer_new(&t->drip, t->engine_loop, drip, t, NULL), 0);
    assert_int_equal(fh_http_server_new(&t->engine, t->engine_loop, city_engine, t, NULL), 0);
    assert_int_equal(fh_http_server_listen(t->engine, address, false, NULL), 0);
    for (size_t i = 0; i < LANES; i++) {
        assert_int_equal(fh_loop_new(&t->loops[i], NULL), 0);
        assert_int_equal(fh_http_server_new(&t->doors[i], t->loops[i], city_door, t, NULL), 0);
        assert_int_equal(fh_http_server_listen(t->doors[i], "127.0.0.1:0", false, NULL), 0);
    }
    fh_gateway_config c = {.loops = t->loops,
                           .loop_count = LANES,
                           .routes = {.ctx = t, .choose = city_choose, .report = report, .list = list},
                           .keep_answers = true};
    assert_int_equal(fh_gateway_new(&t->gateway, &c, NULL), 0);
}

static void close_city(city *t)
{
    for (size_t i = 0; i < LANES; i++) fh_http_server_free(t->doors[i]);
    fh_gateway_free(t->gateway);
    fh_http_server_free(t->engine);
    fh_timer_free(t->drip);
    for (size_t i = 0; i < LANES; i++) fh_loop_free(t->loops[i]);
    fh_loop_free(t->engine_loop);
}

static void clients_of_several_threads_share_one_call(void **state)
{
    static city t;
    static caller callers[CLIENTS];
    pthread_t lanes[LANES + 1], threads[CLIENTS];
    open_city(&t, ((world *)*state)->folder);
    for (size_t i = 0; i <= LANES; i++)
        assert_int_equal(pthread_create(&lanes[i], NULL, run_loop, i < LANES ? t.loops[i] : t.engine_loop), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        callers[i] = (caller){.t = &t, .port = fh_http_server_port(t.doors[i % LANES]), .body = FH_BUF(1 << 20)};
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i <= LANES; i++) {
        fh_loop_stop(i < LANES ? t.loops[i] : t.engine_loop);
        pthread_join(lanes[i], NULL);
    }
    assert_int_equal(t.asked, 1);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(callers[i].status, 200);
        assert_int_equal(callers[i].body.len, EVENTS * strlen(event) + strlen(finished) + strlen(end));
        assert_memory_equal(callers[i].body.data, callers[0].body.data, callers[0].body.len);
    }
    for (size_t i = 0; i < CLIENTS; i++) fh_buf_fini(&callers[i].body);
    close_city(&t);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_good_answer_is_given_again),
        TEST(what_was_replaced_gives_no_answers_any_more),
        TEST(another_key_has_its_own),
        TEST(without_identity_nothing_is_shared),
        TEST(a_refusal_is_not_kept),
        TEST(what_a_filter_ended_is_not_kept),
        TEST(what_lost_its_end_is_whole_and_not_kept),
        TEST(what_was_moved_in_its_middle_is_not_kept),
        TEST(a_stream_is_joined_in_its_middle),
        TEST(who_was_first_may_leave),
        TEST(when_the_last_leaves_the_engine_is_told),
        TEST(a_replica_that_breaks_is_replaced_for_all),
        TEST(when_all_replicas_break_all_are_told),
        TEST(a_gateway_may_go_while_calls_are_shared),
        cmocka_unit_test(no_memory_ends_one_request_and_no_other),
        TEST(clients_of_several_threads_share_one_call),
    };
    return cmocka_run_group_tests_name("gateway/share", tests, NULL, NULL);
}
