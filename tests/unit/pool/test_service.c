/* Server and machine on one loop, over a real connection: joining, coming back, renewing, being removed. */
#include "pool/member.h"
#include "pool/service.h"

#include "base/clock.h"
#include "cmocka_all.h"
#include "db/schema.h"
#include "run_until.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY (86400 * FH_NS_PER_S)

static char folder[64], at_server[96], at_node[96], url[128], token[FH_JOIN_TOKEN_LEN + 1];
static int64_t offset_ns; /* of the server's clock */
static fh_loop *loop;
static fh_timer *deadline;
static fh_db *db;
static fh_nodes *nodes;
static fh_pool_service *service;
static fh_identity *identity;
static fh_pool_member *member;
static fh_json *facts;

static struct {
    int joined, here, gone, code;
    char why[512];
} seen;

static int64_t server_now(void)
{
    return fh_clock_utc_ns() + offset_ns;
}

static void too_late(void *arg)
{
    fail_msg("it takes too long: joined %d here %d gone %d code %d %s", seen.joined, seen.here, seen.gone, seen.code, seen.why);
}

static const fh_link *told_link; /* of the machine that is here, as the service tells of it */

static void node_here(void *arg, const fh_node *n, fh_link *l)
{
    assert_string_equal(n->name, "den");
    told_link = l;
}

static void node_left(void *arg, const fh_node *n)
{
    told_link = NULL;
}

static void start_service(int port)
{
    char address[32];
    fh_err *err = NULL;
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    fh_pool_service_config c = {
        .address = address, .folder = at_server, .nodes = nodes, .now_utc_ns = server_now, .on_here = node_here, .on_left = node_left};
    if (fh_pool_service_start(&service, loop, &c, &err)) fail_msg("%s", fh_err_message(err));
}

static int fresh(void **state)
{
    memset(&seen, 0, sizeof seen);
    offset_ns = 0;
    strcpy(folder, "/tmp/fh-pool-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(at_server, sizeof at_server, "%s/server", folder);
    snprintf(at_node, sizeof at_node, "%s/node", folder);
    snprintf(url, sizeof url, "sqlite:%s/db", folder);
    facts = fh_json_new_object();
    fh_json_set(facts, "cores", fh_json_new_int(3));
    int rc = fh_dir_make(at_node, 0700, NULL);
    if (!rc) rc = fh_loop_new(&loop, NULL);
    if (!rc) rc = fh_timer_new(&deadline, loop, too_late, NULL, NULL);
    if (!rc) rc = fh_db_open(&db, url, NULL);
    if (!rc) rc = fh_db_migrate_schema(db, NULL);
    if (!rc) rc = fh_nodes_open(&nodes, db, fh_clock_utc_ns(), NULL);
    if (!rc) start_service(0);
    if (!rc) rc = fh_identity_open(&identity, at_node, NULL);
    return rc;
}

static void stop_member(void)
{
    fh_pool_member_free(fh_take(member));
}

static int clean(void **state)
{
    stop_member();
    fh_identity_close(fh_take(identity));
    fh_pool_service_free(fh_take(service));
    fh_nodes_close(fh_take(nodes));
    fh_db_close(fh_take(db));
    fh_timer_free(deadline);
    fh_loop_free(fh_take(loop));
    fh_json_unref(fh_take(facts));
    return fh_dir_remove(folder, NULL);
}

static void on_joined(void *arg)
{
    seen.joined++;
}

static void on_here(void *arg, fh_link *l)
{
    seen.here++;
}

static void note(const fh_err *why)
{
    seen.code = fh_err_code(why);
    snprintf(seen.why, sizeof seen.why, "%s", fh_err_message(why));
}

static void on_gone(void *arg, fh_link *l, const fh_err *why)
{
    seen.gone++;
    note(why);
}

static void on_failed(void *arg, const fh_err *why)
{
    note(why);
}

static void start_member(bool joins)
{
    fh_pool_member_config c = {.identity = identity,
                               .joins = joins,
                               .facts = facts,
                               .on_joined = on_joined,
                               .on_here = on_here,
                               .on_gone = on_gone,
                               .on_failed = on_failed,
                               .times = {.backoff_min_ns = 10 * FH_NS_PER_MS, .backoff_max_ns = 50 * FH_NS_PER_MS}};
    assert_int_equal(fh_pool_member_start(&member, loop, &c, NULL), 0);
}

static void make_token(void)
{
    int64_t expires;
    assert_int_equal(fh_nodes_token_new(nodes, fh_pool_service_fingerprint(service), "", server_now(), token, &expires, NULL), 0);
}

static fh_pool_place here(void)
{
    fh_pool_place p = {.host = "127.0.0.1", .port = fh_pool_service_port(service)};
    return p;
}

static void join_as(const char *name)
{
    fh_pool_place p = here();
    assert_int_equal(fh_identity_begin(identity, &p, fh_str_of(token), name, &(fh_node_ask){350000, "EUR"}, NULL), 0);
    start_member(true);
}

static const fh_node *den(void)
{
    return fh_nodes_find(nodes, FH_STR("den"));
}

static bool den_has_told(void)
{
    return den() && den()->linked && strcmp(den()->facts, "{\"cores\":3}") == 0;
}

static bool has_failed(void)
{
    return seen.code == FH_E_FORBIDDEN;
}

static void a_machine_joins_and_says_what_it_has(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    assert_int_equal(seen.joined, 1);
    assert_int_equal(seen.here, 1);
    assert_true(den()->ask.micro == 350000);
    assert_non_null(told_link);
    assert_null(fh_identity_joining(identity));
}

static bool is_away(void)
{
    return den() && !den()->linked;
}

static void it_comes_back_by_itself_when_the_server_was_away(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    int port = fh_pool_service_port(service);
    fh_pool_service_free(fh_take(service));
    assert_true(is_away());
    start_service(port);
    run_until(loop, deadline, den_has_told);
    assert_int_equal(seen.joined, 1);
}

static void it_comes_back_as_itself_after_its_own_restart(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    stop_member();
    fh_identity_close(fh_take(identity));
    run_until(loop, deadline, is_away);
    assert_int_equal(fh_identity_open(&identity, at_node, NULL), 0);
    start_member(false);
    run_until(loop, deadline, den_has_told);
    assert_int_equal(fh_nodes_count(nodes), 1);
}

static void a_token_that_was_used_opens_for_nobody_else(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    stop_member();
    fh_identity_close(fh_take(identity));
    assert_int_equal(fh_dir_remove(at_node, NULL), 0);
    assert_int_equal(fh_dir_make(at_node, 0700, NULL), 0);
    assert_int_equal(fh_identity_open(&identity, at_node, NULL), 0);
    join_as("thief");
    run_until(loop, deadline, has_failed);
    assert_non_null(strstr(seen.why, "used already"));
    assert_null(fh_nodes_find(nodes, FH_STR("thief")));
}

static void a_token_is_refused_when_its_hour_is_over(void **state)
{
    char other[FH_JOIN_TOKEN_LEN + 1];
    int64_t expires;
    make_token();
    offset_ns = DAY / 2;
    assert_int_equal(fh_nodes_token_new(nodes, fh_pool_service_fingerprint(service), "", server_now(), other, &expires, NULL), 0);
    join_as("den");
    run_until(loop, deadline, has_failed);
    assert_non_null(strstr(seen.why, "hour is over"));
}

static void strangers_are_not_let_in_while_nobody_is_expected(void **state)
{
    make_token();
    offset_ns = DAY / 2;
    join_as("den");
    run_until(loop, deadline, has_failed);
    assert_non_null(strstr(seen.why, "nobody is expected"));
}

static void nothing_is_said_to_a_server_that_is_not_the_one_of_the_token(void **state)
{
    fh_join_token t;
    make_token();
    assert_int_equal(fh_join_token_parse(fh_str_of(token), &t, NULL), 0);
    t.server.bytes[0] ^= 1;
    fh_join_token_write(&t, token);
    join_as("den");
    run_until(loop, deadline, has_failed);
    assert_int_equal(fh_nodes_count(nodes), 0);
    assert_int_equal(seen.joined, 0);
}

static bool has_joined(void)
{
    return seen.joined > 0;
}

static void a_name_that_is_taken_is_refused_and_the_token_stays_good(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    stop_member();
    make_token();
    join_as("den");
    run_until(loop, deadline, has_failed);
    assert_non_null(strstr(seen.why, "'den'"));
    stop_member();
    seen.joined = 0;
    join_as("den-2");
    run_until(loop, deadline, has_joined);
}

static bool is_out(void)
{
    return seen.gone > 0 && has_failed();
}

static void who_is_removed_is_out_at_once_and_stays_out(void **state)
{
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    int64_t id;
    assert_int_equal(fh_nodes_remove(nodes, "den", &id, NULL), 0);
    fh_pool_service_drop(service, id);
    run_until(loop, deadline, is_out);
    assert_non_null(strstr(seen.why, "removed"));
    seen.code = 0;
    run_until(loop, deadline, has_failed); /* it dials again, and is refused */
    assert_non_null(strstr(seen.why, "removed"));
    assert_null(told_link);
}

static char before[FH_POOL_PEM];

static bool is_renewed(void)
{
    return strcmp(fh_identity_joined(identity)->certificate, before) != 0;
}

static void a_certificate_is_renewed_after_two_thirds_of_its_time(void **state)
{
    offset_ns = -21 * DAY;
    make_token();
    join_as("den");
    run_until(loop, deadline, den_has_told);
    snprintf(before, sizeof before, "%s", fh_identity_joined(identity)->certificate);
    fh_link_digest first = den()->certificate;
    int port = fh_pool_service_port(service);
    fh_pool_service_free(fh_take(service));
    offset_ns = 0;
    start_service(port);
    run_until(loop, deadline, is_renewed);
    fh_pool_service_free(fh_take(service));
    start_service(port);
    run_until(loop, deadline, den_has_told);
    assert_false(fh_digest_is(&first, &den()->certificate));
    assert_true(den()->until_utc_ns > server_now() + 29 * DAY);
}

static void a_join_that_was_cut_short_goes_on(void **state)
{
    make_token();
    fh_pool_place p = here();
    assert_int_equal(fh_identity_begin(identity, &p, fh_str_of(token), "den", &(fh_node_ask){0, "USD"}, NULL), 0);
    FH_AUTO(fh_pool_key) fh_pool_key *key = NULL; /* the server took the token, and died before it answered */
    char request[FH_POOL_PEM];
    fh_node_join j = {.token = fh_str_of(token), .name = FH_STR("den"), .ask = {0, "USD"}};
    int64_t id;
    assert_int_equal(fh_pool_key_read(&key, fh_str_of(fh_identity_joining(identity)->key), NULL), 0);
    assert_int_equal(fh_pool_key_request(key, request, NULL), 0);
    assert_int_equal(fh_pool_request_key(fh_str_of(request), &j.key, NULL), 0);
    assert_int_equal(fh_nodes_join(nodes, &j, server_now(), &id, NULL), 0);
    join_as("den");
    run_until(loop, deadline, den_has_told);
    assert_int_equal(den()->id, id);
    assert_int_equal(fh_nodes_count(nodes), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_joins_and_says_what_it_has),
        TEST(it_comes_back_by_itself_when_the_server_was_away),
        TEST(it_comes_back_as_itself_after_its_own_restart),
        TEST(a_token_that_was_used_opens_for_nobody_else),
        TEST(a_token_is_refused_when_its_hour_is_over),
        TEST(strangers_are_not_let_in_while_nobody_is_expected),
        TEST(nothing_is_said_to_a_server_that_is_not_the_one_of_the_token),
        TEST(a_name_that_is_taken_is_refused_and_the_token_stays_good),
        TEST(who_is_removed_is_out_at_once_and_stays_out),
        TEST(a_certificate_is_renewed_after_two_thirds_of_its_time),
        TEST(a_join_that_was_cut_short_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
