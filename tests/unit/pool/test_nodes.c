/* The machines of the pool: known by their certificates, in the database and in memory alike, whatever fails in between. */
#include "nodes_private.h"

#include "base/clock.h"
#include "db/schema.h"
#include "sys/file.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOW  (1790000000LL * FH_NS_PER_S)
#define HOUR (3600 * FH_NS_PER_S)
#define DAY  (24 * HOUR)

static char folder[64], url[128];
static fh_db *db;
static fh_nodes *nodes;

static void open_all(int64_t now)
{
    assert_int_equal(fh_db_open(&db, url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    assert_int_equal(fh_nodes_open(&nodes, db, now, NULL), 0);
}

static void close_all(void)
{
    fh_nodes_close(fh_take(nodes));
    fh_db_close(fh_take(db));
}

static int fresh(void **state)
{
    strcpy(folder, "/tmp/fh-nodes-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(url, sizeof url, "sqlite:%s/db", folder);
    open_all(NOW);
    return 0;
}

static int clean(void **state)
{
    close_all();
    return fh_dir_remove(folder, NULL);
}

static int64_t joined(const char *name, uint8_t key)
{
    char text[FH_JOIN_TOKEN_LEN + 1];
    int64_t expires, id = 0;
    fh_link_digest server = {{9}};
    assert_int_equal(fh_nodes_token_new(nodes, &server, "", NOW, text, &expires, NULL), 0);
    fh_node_join j = {.token = fh_str_of(text), .name = fh_str_of(name), .ask = {250000, "EUR"}, .key = {{key}}};
    assert_int_equal(fh_nodes_join(nodes, &j, NOW, &id, NULL), 0);
    return id;
}

static void certify(int64_t id, uint8_t certificate, int64_t until)
{
    fh_node_certificate c = {.fingerprint = {{certificate}}, .until_utc_ns = until};
    assert_int_equal(fh_nodes_certified(nodes, id, &c, NULL), 0);
}

static int admit(uint8_t certificate, int64_t now, int64_t *ret_id)
{
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_nodes_admit(nodes, &(fh_link_digest){{certificate}}, now, ret_id, &err);
    if (rc) assert_non_null(fh_err_hint_get(err));
    return rc;
}

static void come(int64_t id, uint8_t certificate, int64_t until, int64_t now)
{
    assert_int_equal(fh_nodes_came(nodes, id, &(fh_link_digest){{certificate}}, until, now, NULL), 0);
}

static void who_has_a_certificate_of_the_pool_is_known_by_it(void **state)
{
    int64_t id = joined("den", 1), found = 0;
    assert_int_equal(admit(5, NOW, &found), FH_E_FORBIDDEN);
    certify(id, 5, NOW + 30 * DAY);
    assert_int_equal(admit(5, NOW, &found), 0);
    assert_int_equal(found, id);
    assert_int_equal(admit(0, NOW, &found), FH_E_FORBIDDEN); /* of nothing: no node that has none */
    assert_int_equal(admit(5, NOW + 30 * DAY, &found), FH_E_FORBIDDEN);
}

static void both_certificates_are_good_until_it_comes_with_the_newer(void **state)
{
    int64_t id = joined("den", 1), found = 0;
    certify(id, 5, NOW + 30 * DAY);
    come(id, 5, NOW + 30 * DAY, NOW);
    certify(id, 6, NOW + 50 * DAY);
    assert_int_equal(admit(5, NOW, &found), 0);
    assert_int_equal(admit(6, NOW, &found), 0);
    come(id, 6, NOW + 50 * DAY, NOW + 1);
    assert_int_equal(admit(6, NOW, &found), 0);
    assert_int_equal(admit(5, NOW, &found), FH_E_FORBIDDEN);
}

static void a_certificate_is_made_again_when_it_is_old_or_was_lost(void **state)
{
    int64_t id = joined("den", 1);
    const fh_node *node = fh_nodes_find(nodes, FH_STR("den"));
    certify(id, 5, NOW + 30 * DAY);
    come(id, 5, NOW + 30 * DAY, NOW);
    assert_false(fh_node_wants_certificate(node, NOW + 20 * DAY - 1));
    assert_true(fh_node_wants_certificate(node, NOW + 20 * DAY + 1));
    certify(id, 6, NOW + 50 * DAY);
    assert_false(fh_node_wants_certificate(node, NOW + 20 * DAY + 1)); /* one is on its way */
    come(id, 5, NOW + 30 * DAY, NOW + 21 * DAY);                       /* which it did not get */
    assert_true(fh_node_wants_certificate(node, NOW + 21 * DAY));
}

static void who_was_removed_does_not_come_back_and_gives_its_name_away(void **state)
{
    int64_t id = joined("den", 1), found = 0, removed = 0;
    certify(id, 5, NOW + 30 * DAY);
    assert_int_equal(fh_nodes_remove(nodes, "den", &removed, NULL), 0);
    assert_int_equal(removed, id);
    assert_int_equal(admit(5, NOW, &found), FH_E_FORBIDDEN);
    assert_int_equal(fh_nodes_remove(nodes, "den", NULL, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_nodes_drain(nodes, "den", NULL, NULL), FH_E_NOT_FOUND);
    assert_null(fh_nodes_find(nodes, FH_STR("den")));
    assert_int_not_equal(joined("den", 2), id);
    close_all();
    open_all(NOW + 1);
    assert_int_equal(admit(5, NOW + 1, &found), FH_E_FORBIDDEN);
}

static void everything_is_there_after_a_restart(void **state)
{
    int64_t id = joined("den", 1), found = 0;
    FH_AUTO(json) fh_json *facts = fh_json_new_object();
    fh_json_set(facts, "cores", fh_json_new_int(8));
    certify(id, 5, NOW + 30 * DAY);
    come(id, 5, NOW + 30 * DAY, NOW + 7);
    assert_int_equal(fh_nodes_told(nodes, id, facts, &(fh_node_ask){500000, "CHF"}, NULL), 0);
    assert_int_equal(fh_nodes_drain(nodes, "den", NULL, NULL), 0);
    assert_int_equal(fh_nodes_drain(nodes, "den", NULL, NULL), 0);
    close_all();
    open_all(NOW + 8);
    const fh_node *n = fh_nodes_find(nodes, FH_STR("den"));
    assert_non_null(n);
    assert_int_equal(n->state, FH_NODE_DRAINING);
    assert_string_equal(n->facts, "{\"cores\":8}");
    assert_true(n->ask.micro == 500000 && strcmp(n->ask.currency, "CHF") == 0);
    assert_true(n->seen_utc_ns == NOW + 7 && n->joined_utc_ns == NOW && !n->linked);
    assert_int_equal(admit(5, NOW + 8, &found), 0);
    assert_int_equal(found, id);
}

static void when_it_was_seen_is_written_down_at_times(void **state)
{
    int64_t id = joined("den", 1);
    certify(id, 5, NOW + 30 * DAY);
    come(id, 5, NOW + 30 * DAY, NOW);
    fh_nodes_seen(nodes, id, NOW + 60);
    assert_int_equal(fh_nodes_write_seen(nodes, NULL), 0);
    fh_nodes_seen(nodes, id, NOW + 90);
    close_all();
    open_all(NOW + 100);
    assert_true(fh_nodes_find_id(nodes, id)->seen_utc_ns == NOW + 60);
}

static void who_can_no_longer_come_is_forgotten(void **state)
{
    int64_t never = joined("never", 1), sent = joined("sent", 2), removed = joined("removed", 3);
    certify(sent, 5, NOW + 30 * DAY);
    certify(removed, 6, NOW + 30 * DAY);
    assert_int_equal(fh_nodes_remove(nodes, "removed", NULL, NULL), 0);
    close_all();
    open_all(NOW + HOUR);
    assert_null(fh_nodes_find_id(nodes, never)); /* its token is over, and it has no certificate */
    assert_non_null(fh_nodes_find_id(nodes, sent));
    assert_non_null(fh_nodes_find_id(nodes, removed));
    close_all();
    open_all(NOW + 30 * DAY);
    assert_int_equal(fh_nodes_count(nodes), 0);
    assert_true(joined("later", 4) > removed); /* a number is used once */
}

static void too_much_said_of_itself_is_refused(void **state)
{
    int64_t id = joined("den", 1);
    FH_AUTO(json) fh_json *facts = fh_json_new_object();
    char text[1024];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        fh_json_set(facts, name, fh_json_new_str((fh_str){text, sizeof text}));
    }
    assert_int_equal(fh_nodes_told(nodes, id, facts, &(fh_node_ask){0, "USD"}, NULL), FH_E_TOO_LARGE);
    assert_string_equal(fh_nodes_find_id(nodes, id)->facts, "{}");
}

/* ---- whatever fails ---- */

static char token[FH_JOIN_TOKEN_LEN + 1];

static int64_t number(const char *sql)
{
    fh_stmt *s = NULL;
    bool row = false;
    assert_int_equal(fh_db_query(db, &s, NULL, sql, ""), 0);
    assert_int_equal(fh_stmt_step(s, &row, NULL), 0);
    int64_t n = fh_stmt_int(s, 0);
    fh_stmt_free(s);
    return n;
}

static int join_certify_and_come(void *arg)
{
    int64_t id = 0;
    fh_node_certificate c = {.fingerprint = {{5}}, .until_utc_ns = NOW + 30 * DAY};
    fh_node_join j = {.token = fh_str_of(token), .name = FH_STR("den"), .ask = {0, "USD"}, .key = {{1}}};
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_nodes_join(nodes, &j, NOW, &id, &err);
    if (!rc) rc = fh_nodes_certified(nodes, id, &c, &err);
    if (!rc) rc = fh_nodes_came(nodes, id, &c.fingerprint, c.until_utc_ns, NOW, &err);
    if (!rc) rc = fh_nodes_left(nodes, id, NOW, &err);
    return rc;
}

static void whatever_call_fails_a_machine_has_joined_or_has_not(void **state)
{
    static const fh_fault kinds[] = {FH_FAULT_ALLOC, FH_FAULT_READ, FH_FAULT_WRITE, FH_FAULT_FSYNC};
    unsigned struck = 0;
    int64_t expires;
    for (size_t i = 0; i < FH_COUNT(kinds); i++)
        for (unsigned nth = 1; nth < 400; nth++) {
            assert_int_equal(fh_db_exec(db, NULL, "DELETE FROM nodes", ""), 0);
            assert_int_equal(fh_db_exec(db, NULL, "DELETE FROM join_tokens", ""), 0);
            close_all();
            open_all(NOW);
            assert_int_equal(fh_nodes_token_new(nodes, &(fh_link_digest){{9}}, "", NOW, token, &expires, NULL), 0);
            fh_fault_arm(kinds[i], nth, false);
            int rc = join_certify_and_come(NULL);
            bool hit = fh_fault_struck();
            fh_fault_disarm();
            assert_int_equal(number("SELECT (SELECT count(*) FROM nodes) - (SELECT count(*) FROM join_tokens WHERE node <> 0)"), 0);
            assert_int_equal(number("SELECT count(*) FROM nodes"), fh_nodes_count(nodes));
            assert_int_equal(join_certify_and_come(NULL), 0); /* the same token goes on */
            assert_int_equal(fh_nodes_count(nodes), 1);
            if (!hit) {
                assert_int_equal(rc, 0);
                break;
            }
            struck++;
        }
    assert_true(struck > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_has_a_certificate_of_the_pool_is_known_by_it),
        TEST(both_certificates_are_good_until_it_comes_with_the_newer),
        TEST(a_certificate_is_made_again_when_it_is_old_or_was_lost),
        TEST(who_was_removed_does_not_come_back_and_gives_its_name_away),
        TEST(everything_is_there_after_a_restart),
        TEST(when_it_was_seen_is_written_down_at_times),
        TEST(who_can_no_longer_come_is_forgotten),
        TEST(too_much_said_of_itself_is_refused),
        TEST(whatever_call_fails_a_machine_has_joined_or_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
