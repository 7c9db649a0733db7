/* Stored responses: there at once and for their owner alone, on disk after a while, bounded, gone when they expire or are removed. */
#include "base/clock.h"
#include "base/limits.h"
#include "cmocka_all.h"
#include "folder.h"
#include "db/schema.h"
#include "gateway/responses_store.h"
#include "torture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct place {
    char path[64], url[80];
    fh_response_store_config config;
    fh_response_store *store;
} place;

static int64_t now;
#define A FH_STR("aaaaaaaa")
#define B FH_STR("bbbbbbbb")

static void reopen(place *p)
{
    fh_response_store_close(p->store);
    p->store = NULL;
    assert_int_equal(fh_response_store_open(&p->store, &p->config, NULL), 0);
}

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    fh_db *db = NULL;
    if (!folder_make(p->path, sizeof p->path)) return -1;
    snprintf(p->url, sizeof p->url, "sqlite:%s/r.db", p->path);
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    fh_db_close(db);
    now = fh_clock_utc_ns();
    fh_response_store_defaults(&p->config);
    p->config.store_url = p->url;
    reopen(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    fh_response_store_close(p->store);
    int rc = folder_remove(p->path);
    free(p);
    return rc;
}

static int put_after(place *p, fh_str key, const char *id, const char *previous, const char *text, int64_t created)
{
    char input[256], response[256];
    snprintf(input, sizeof input, "[{\"role\":\"user\",\"content\":\"%s?\"}]", text);
    snprintf(response, sizeof response, "{\"id\":\"%s\",\"output\":[{\"role\":\"assistant\",\"content\":\"%s.\"}]}", id, text);
    fh_stored_response r = {.id = fh_str_of(id),
                            .key = key,
                            .previous = fh_str_of(previous),
                            .created_utc_ns = created,
                            .input = fh_str_of(input),
                            .response = fh_str_of(response)};
    return fh_response_store_put(p->store, &r, NULL);
}

static void put(place *p, fh_str key, const char *id)
{
    assert_int_equal(put_after(p, key, id, "", id, now), 0);
}

static int look(place *p, fh_str key, const char *id)
{
    fh_kept_response r = {0};
    int rc = fh_response_store_get(p->store, key, fh_str_of(id), now, &r, NULL);
    if (rc == 0) assert_true(fh_str_eqs(fh_json_str(fh_json_get(r.response, "id")), id));
    if (rc == 0) assert_int_equal(fh_json_count(r.input), 1);
    fh_kept_response_fini(&r);
    return rc;
}

static void a_response_is_there_at_once_and_after_a_restart(void **state)
{
    place *p = *state;
    put(p, A, "resp_1");
    assert_int_equal(look(p, A, "resp_1"), 0);
    fh_response_store_settle(p->store);
    assert_int_equal(look(p, A, "resp_1"), 0);
    reopen(p);
    assert_int_equal(look(p, A, "resp_1"), 0);
    assert_int_equal(look(p, A, "resp_2"), FH_E_NOT_FOUND);
}

static void another_key_does_not_see_it(void **state)
{
    place *p = *state;
    put(p, A, "resp_1");
    assert_int_equal(look(p, B, "resp_1"), FH_E_NOT_FOUND);
    assert_int_equal(fh_response_store_remove(p->store, B, FH_STR("resp_1"), now, NULL), FH_E_NOT_FOUND);
    fh_response_store_settle(p->store);
    assert_int_equal(look(p, B, "resp_1"), FH_E_NOT_FOUND);
    assert_int_equal(fh_response_store_remove(p->store, B, FH_STR("resp_1"), now, NULL), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_1"), 0);
}

static void what_is_removed_is_gone_at_once_and_for_good(void **state)
{
    place *p = *state;
    put(p, A, "resp_1");
    put(p, A, "resp_2");
    assert_int_equal(fh_response_store_remove(p->store, A, FH_STR("resp_1"), now, NULL), 0);
    assert_int_equal(look(p, A, "resp_1"), FH_E_NOT_FOUND);
    fh_response_store_settle(p->store);
    assert_int_equal(fh_response_store_remove(p->store, A, FH_STR("resp_2"), now, NULL), 0);
    assert_int_equal(fh_response_store_remove(p->store, A, FH_STR("resp_2"), now, NULL), FH_E_NOT_FOUND);
    reopen(p);
    assert_int_equal(look(p, A, "resp_1"), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_2"), FH_E_NOT_FOUND);
}

static void a_chain_is_its_items_from_the_oldest_on(void **state)
{
    place *p = *state;
    fh_response_load load = {0};
    static const char *const said[] = {"one?", "one.", "two?", "two.", "three?", "three."};
    FH_AUTO(json) fh_json *items = NULL, *none = NULL;
    assert_int_equal(put_after(p, A, "resp_1", "", "one", now), 0);
    fh_response_store_settle(p->store);
    assert_int_equal(put_after(p, A, "resp_2", "resp_1", "two", now), 0);
    assert_int_equal(put_after(p, A, "resp_3", "resp_2", "three", now), 0);
    assert_int_equal(fh_response_store_chain(p->store, &load, A, FH_STR("resp_3"), now, &items, NULL), 0);
    assert_int_equal(fh_json_count(items), 6);
    for (size_t i = 0; i < 6; i++) assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(items, i), "content")), said[i]));
    assert_int_equal(fh_response_store_chain(p->store, &load, B, FH_STR("resp_3"), now, &none, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_response_store_remove(p->store, A, FH_STR("resp_1"), now, NULL), 0);
    assert_int_equal(fh_response_store_chain(p->store, &load, A, FH_STR("resp_3"), now, &none, NULL), FH_E_NOT_FOUND);
}

static void what_all_requests_make_use_of_is_bounded(void **state)
{
    place *p = *state;
    enum { BYTES = 12 << 20, LOADS = FH_LIMIT_RESPONSES_LOADED_BYTES / BYTES };
    fh_response_load load[LOADS + 1] = {0};
    fh_kept_response r = {0};
    FH_AUTO(ptr) char *text = fh_calloc(1, BYTES);
    memset(text, ' ', BYTES);
    memcpy(text, "[]", 2);
    fh_stored_response big = {
        .id = FH_STR("resp_1"), .key = A, .created_utc_ns = now, .input = {text, BYTES - 100}, .response = FH_STR("{}")};
    assert_int_equal(fh_response_store_put(p->store, &big, NULL), 0);
    for (size_t i = 0; i < LOADS; i++) {
        assert_int_equal(fh_response_store_load(p->store, &load[i], A, FH_STR("resp_1"), now, &r, NULL), 0);
        fh_kept_response_fini(&r);
    }
    assert_int_equal(fh_response_store_load(p->store, &load[0], A, FH_STR("resp_1"), now, &r, NULL), FH_E_INVALID);
    assert_int_equal(fh_response_store_load(p->store, &load[LOADS], A, FH_STR("resp_1"), now, &r, NULL), FH_E_BUSY);
    fh_response_store_unload(p->store, &load[0]);
    assert_int_equal(fh_response_store_load(p->store, &load[LOADS], A, FH_STR("resp_1"), now, &r, NULL), 0);
    fh_kept_response_fini(&r);
}

static void a_chain_has_a_longest(void **state)
{
    place *p = *state;
    fh_response_load load = {0};
    FH_AUTO(json) fh_json *items = NULL, *none = NULL;
    char id[32], previous[32] = "";
    for (int i = 0; i <= FH_LIMIT_RESPONSES_CHAIN; i++) {
        snprintf(id, sizeof id, "resp_%d", i);
        assert_int_equal(put_after(p, A, id, previous, "x", now), 0);
        snprintf(previous, sizeof previous, "resp_%d", i);
    }
    assert_int_equal(fh_response_store_chain(p->store, &load, A, fh_str_of(id), now, &none, NULL), FH_E_INVALID);
    snprintf(id, sizeof id, "resp_%d", FH_LIMIT_RESPONSES_CHAIN - 1);
    assert_int_equal(fh_response_store_chain(p->store, &load, A, fh_str_of(id), now, &items, NULL), 0);
    assert_int_equal(fh_json_count(items), 2 * FH_LIMIT_RESPONSES_CHAIN);
}

static void a_response_expires_and_is_swept(void **state)
{
    place *p = *state;
    fh_kept_response r = {0};
    put(p, A, "resp_1");
    fh_response_store_settle(p->store);
    assert_int_equal(fh_response_store_get(p->store, A, FH_STR("resp_1"), now + p->config.keep_ns, &r, NULL), FH_E_NOT_FOUND);
    assert_int_equal(put_after(p, A, "resp_0", "", "x", 1000), 0);
    reopen(p);
    put(p, A, "resp_2"); /* the first group of a store sweeps */
    fh_response_store_settle(p->store);
    fh_db *db = NULL;
    FH_AUTO(fh_stmt) fh_stmt *row = NULL;
    bool any = false;
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_query(db, &row, NULL, "SELECT count(*) FROM responses", NULL), 0);
    assert_int_equal(fh_stmt_step(row, &any, NULL), 0);
    assert_int_equal(fh_stmt_int(row, 0), 2);
    fh_stmt_free(fh_take(row));
    fh_db_close(db);
}

static void the_oldest_of_a_key_go_first(void **state)
{
    place *p = *state;
    p->config.key_bytes = 300;
    reopen(p);
    put(p, B, "resp_b");
    for (int i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof id, "resp_%d", i);
        assert_int_equal(put_after(p, A, id, "", "x", now + i), 0);
    }
    assert_int_equal(put_after(p, B, "resp_c", "", "x", now), 0);
    fh_response_store_settle(p->store);
    assert_int_equal(look(p, A, "resp_0"), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_3"), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_5"), 0);
    assert_int_equal(look(p, B, "resp_c"), 0);
}

static void the_oldest_of_all_go_when_all_are_too_many(void **state)
{
    place *p = *state;
    p->config.all_bytes = 300;
    reopen(p);
    for (int i = 0; i < 600; i++) {
        char id[16];
        snprintf(id, sizeof id, "resp_%d", i);
        assert_int_equal(put_after(p, i % 2 ? A : B, id, "", "x", now + i), 0);
    }
    fh_response_store_settle(p->store);
    assert_int_equal(look(p, A, "resp_1"), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_599"), 0);
    reopen(p); /* counts what it finds */
    assert_int_equal(put_after(p, A, "resp_n", "", "x", now + 600), 0);
    assert_int_equal(put_after(p, A, "resp_o", "", "x", now + 601), 0);
    fh_response_store_settle(p->store);
    assert_int_equal(look(p, A, "resp_599"), FH_E_NOT_FOUND);
    assert_int_equal(look(p, A, "resp_o"), 0);
}

/* A second connection holds the writer's turn, so that nothing can be written. */
static void what_cannot_be_written_waits_up_to_a_bound(void **state)
{
    place *p = *state;
    fh_db *db = NULL;
    char id[32];
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_begin(db, NULL), 0);
    int rc = 0, count = 0;
    for (; rc == 0 && count <= FH_LIMIT_RESPONSES_UNWRITTEN; count++) {
        snprintf(id, sizeof id, "resp_%d", count);
        rc = put_after(p, A, id, "", "x", fh_clock_utc_ns());
    }
    assert_int_equal(rc, FH_E_BUSY);
    assert_int_equal(count, FH_LIMIT_RESPONSES_UNWRITTEN + 1);
    assert_int_equal(look(p, A, "resp_7"), 0);
    fh_db_rollback(db);
    fh_db_close(db);
    fh_response_store_settle(p->store);
    reopen(p);
    assert_int_equal(look(p, A, "resp_7"), 0);
}

static void *put_many(void *arg)
{
    place *p = arg;
    char id[64];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "resp_%lx_%d", (unsigned long)pthread_self(), i);
        assert_int_equal(put_after(p, A, id, "", "x", fh_clock_utc_ns()), 0);
        assert_int_equal(look(p, A, id), 0);
        if (i % 3 == 0) assert_int_equal(fh_response_store_remove(p->store, A, fh_str_of(id), now, NULL), 0);
        assert_int_equal(look(p, A, id), i % 3 == 0 ? FH_E_NOT_FOUND : 0);
    }
    return NULL;
}

static void several_threads_put_and_look_at_once(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < FH_COUNT(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, put_many, *state), 0);
    for (size_t i = 0; i < FH_COUNT(threads); i++) pthread_join(threads[i], NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_response_is_there_at_once_and_after_a_restart),
        TEST(another_key_does_not_see_it),
        TEST(what_is_removed_is_gone_at_once_and_for_good),
        TEST(a_chain_is_its_items_from_the_oldest_on),
        TEST(a_chain_has_a_longest),
        TEST(what_all_requests_make_use_of_is_bounded),
        TEST(a_response_expires_and_is_swept),
        TEST(the_oldest_of_a_key_go_first),
        TEST(the_oldest_of_all_go_when_all_are_too_many),
        TEST(what_cannot_be_written_waits_up_to_a_bound),
        TEST(several_threads_put_and_look_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
