/* What is known of how good models are: learned, kept over a restart, told and asked again. */
#include "base/limits.h"
#include "cmocka_all.h"
#include "folder.h"
#include "db/schema.h"
#include "outcomes.h"
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct place {
    char path[64], url[80];
} place;

static int setup(void **state)
{
    place *p = calloc(1, sizeof *p);
    fh_db *db = NULL;
    if (!folder_make(p->path, sizeof p->path)) return -1;
    snprintf(p->url, sizeof p->url, "sqlite:%s/o.db", p->path);
    assert_int_equal(fh_db_open(&db, p->url, NULL), 0);
    assert_int_equal(fh_db_migrate_schema(db, NULL), 0);
    fh_db_close(db);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place *p = *state;
    int rc = folder_remove(p->path);
    free(p);
    return rc;
}

static const fh_outcome_seen good = {.features = {{1, 2, 3}}, .good = 255, .weight = 255}, bad = {.features = {{1, 2, 3}}, .weight = 255};

static double success(fh_outcomes *o, const char *arm)
{
    return fh_outcomes_belief(o, arm, &good.features, 0.5).success;
}

static void models_are_learned_apart(void **state)
{
    FH_AUTO(fh_outcomes) fh_outcomes *o = NULL;
    assert_int_equal(fh_outcomes_new(&o, NULL, NULL), 0);
    for (int i = 0; i < 20; i++) {
        fh_outcomes_note(o, "a", &good);
        fh_outcomes_note(o, "b", &bad);
    }
    assert_true(success(o, "a") > 0.9 && success(o, "b") < 0.1 && success(o, "c") > 0.49 && success(o, "c") < 0.51);
}

static void what_was_learned_is_there_after_a_restart(void **state)
{
    place *p = *state;
    fh_outcome_store *store = NULL;
    fh_outcomes *o = NULL;
    assert_int_equal(fh_outcome_store_open(&store, p->url, NULL), 0);
    assert_int_equal(fh_outcomes_new(&o, store, NULL), 0);
    for (int i = 0; i < 20; i++) fh_outcomes_note(o, "a", i < 10 ? &good : &bad);
    double before = success(o, "a");
    fh_outcomes_free(o);
    fh_outcome_store_close(store);
    assert_int_equal(fh_outcome_store_open(&store, p->url, NULL), 0);
    assert_int_equal(fh_outcomes_new(&o, store, NULL), 0);
    double after = success(o, "a");
    assert_true(after > before - 1e-9 && after < before + 1e-9);
    fh_outcomes_free(o);
    fh_outcome_store_close(store);
}

static void count_rows(void *arg, const fh_outcome_row *row)
{
    assert_int_equal(row->features.len, FH_FEATURES);
    ++*(size_t *)arg;
}

static void only_the_newest_are_kept(void **state)
{
    place *p = *state;
    fh_outcome_store *store = NULL;
    size_t rows = 0;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fh_outcome_store_open(&store, p->url, NULL), 0);
        for (size_t i = 0; i < FH_LIMIT_LEARN_OUTCOMES; i++) {
            fh_outcome_row row = {FH_STR("a"), {(const char *)good.features.v, FH_FEATURES}, (uint8_t)(round * 255), 255};
            fh_outcome_store_put(store, &row);
        }
        fh_outcome_store_close(store);
    }
    assert_int_equal(fh_outcome_store_open(&store, p->url, NULL), 0);
    assert_int_equal(fh_outcome_store_read(store, count_rows, &rows, NULL), 0);
    assert_int_equal(rows, FH_LIMIT_LEARN_OUTCOMES);
    fh_outcome_store_close(store);
}

static fh_given answer(const char *request, uint64_t prompt)
{
    fh_given a = {.prompt = prompt, .active_params = 10, .features = good.features, .mono_ns = 1000};
    strcpy(a.arm, "small");
    strcpy(a.key, "aaaaaaaa");
    strcpy(a.request, request);
    return a;
}

static void a_client_may_say_once_how_good_its_answer_was(void **state)
{
    FH_AUTO(fh_outcomes) fh_outcomes *o = NULL;
    assert_int_equal(fh_outcomes_new(&o, NULL, NULL), 0);
    fh_given a = answer("r1", 7);
    fh_outcomes_answered(o, &a);
    assert_int_equal(fh_outcomes_tell(o, FH_STR("bbbbbbbb"), FH_STR("r1"), true, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_outcomes_tell(o, FH_STR("aaaaaaaa"), FH_STR("r2"), true, NULL), FH_E_NOT_FOUND);
    assert_int_equal(fh_outcomes_tell(o, FH_STR("aaaaaaaa"), FH_STR("r1"), false, NULL), 0);
    assert_true(success(o, "small") < 0.4);
    assert_int_equal(fh_outcomes_tell(o, FH_STR("aaaaaaaa"), FH_STR("r1"), false, NULL), FH_E_NOT_FOUND);
}

static void the_same_prompt_asked_of_a_larger_model_soon_says_that_it_did_not_do(void **state)
{
    FH_AUTO(fh_outcomes) fh_outcomes *o = NULL;
    assert_int_equal(fh_outcomes_new(&o, NULL, NULL), 0);
    assert_false(fh_outcomes_any_answer(o));
    fh_given a = answer("r1", 7);
    fh_outcomes_answered(o, &a);
    assert_true(fh_outcomes_any_answer(o));
    fh_outcomes_asked_again(o, 8, "large", 100, 2000);                                       /* another prompt */
    fh_outcomes_asked_again(o, 7, "small", 100, 2000);                                       /* the same model */
    fh_outcomes_asked_again(o, 7, "tiny", 5, 2000);                                          /* a smaller one */
    fh_outcomes_asked_again(o, 7, "large", 100, 2000 + FH_LIMIT_ASKED_AGAIN_MS * 1000000LL); /* much later */
    assert_true(success(o, "small") > 0.49);
    fh_outcomes_asked_again(o, 7, "large", 100, 2000);
    double once = success(o, "small");
    assert_true(once < 0.4);
    fh_outcomes_asked_again(o, 7, "large", 100, 2000);
    assert_true(success(o, "small") >= once);
}

static void records_are_bounded(void **state)
{
    FH_AUTO(fh_outcomes) fh_outcomes *o = NULL;
    char arm[32];
    assert_int_equal(fh_outcomes_new(&o, NULL, NULL), 0);
    for (int i = 0; i < 5; i++) fh_outcomes_note(o, "kept", &good);
    for (int i = 0; i < 2 * FH_LIMIT_LEARN_MODELS; i++) {
        snprintf(arm, sizeof arm, "m%d", i);
        fh_outcomes_note(o, arm, &bad);
        success(o, "kept"); /* in use */
    }
    assert_true(success(o, "kept") > 0.8);
    assert_true(success(o, "m0") > 0.49);
    assert_true(success(o, arm) < 0.4);
}

static int tortured(void *arg)
{
    place *p = arg;
    FH_AUTO(fh_outcome_store) fh_outcome_store *store = NULL;
    FH_AUTO(fh_outcomes) fh_outcomes *o = NULL;
    int rc = fh_outcome_store_open(&store, p->url, NULL);
    if (rc == 0) rc = fh_outcomes_new(&o, store, NULL);
    if (rc) return rc;
    double b = success(o, "a");
    return b >= 0 && b <= 1 ? 0 : FH_E_INTERNAL;
}

static void failing_memory_and_disk_leave_it_whole(void **state)
{
    assert_true(fh_torture(FH_FAULT_ALLOC, tortured, *state, 400) > 0);
    assert_true(fh_torture(FH_FAULT_READ, tortured, *state, 100) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_are_learned_apart),
        cmocka_unit_test_setup_teardown(what_was_learned_is_there_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_newest_are_kept, setup, teardown),
        cmocka_unit_test(a_client_may_say_once_how_good_its_answer_was),
        cmocka_unit_test(the_same_prompt_asked_of_a_larger_model_soon_says_that_it_did_not_do),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test_setup_teardown(failing_memory_and_disk_leave_it_whole, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
