/* The catalogue as the binary carries it: order, look-ups, the starter, and what a card shows. The data files have a test of their own
 * (tests/catalog). */
#include "cmocka_all.h"

#include "base/mem.h"
#include "catalog/catalog.h"
#include <string.h>

static void the_top_ten_come_first_in_their_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        const fh_catalog_model *m = fh_catalog_now()->models[i];
        assert_int_equal(m->rank, i + 1);
        assert_string_equal(m->tier, "top10");
        assert_true(m->variant_count > 0 && m->variants[0].bytes > 0 && m->context_tok > 0);
        assert_true(*m->licence_summary && *m->maker);
    }
}

static void models_are_found_by_id_alias_and_whatever_case(void **state)
{
    (void)state;
    const fh_catalog_model *m = fh_catalog_find(FH_STR("smollm2-135m"));
    assert_non_null(m);
    assert_ptr_equal(fh_catalog_find(FH_STR("smollm2")), m);
    assert_ptr_equal(fh_catalog_find(FH_STR("SmolLM2-135M-Instruct")), m);
    assert_null(fh_catalog_find(FH_STR("")));
    assert_null(fh_catalog_find(FH_STR("smollm")));
}

static void an_unknown_name_gets_the_nearest(void **state)
{
    (void)state;
    const fh_catalog_model *m;
    fh_err *err = NULL;
    assert_int_equal(fh_catalog_get(FH_STR("smolm2"), &m, &err), FH_E_NOT_FOUND);
    assert_non_null(strstr(fh_err_hint_get(err), "smollm2"));
    assert_int_equal(fh_catalog_get(FH_STR("kimi-k4"), &m, &err), FH_E_NOT_FOUND);
    assert_non_null(strstr(fh_err_hint_get(err), "kimi-k3"));
    assert_int_equal(fh_catalog_get(FH_STR("zzzzzzzzzzzzzzzzzzzz"), &m, &err), FH_E_NOT_FOUND);
    assert_non_null(strstr(fh_err_hint_get(err), "freehold models"));
    fh_err_free(err);
}

static void the_starter_is_known_by_its_digest(void **state)
{
    (void)state;
    const fh_catalog_model *m = fh_catalog_starter();
    assert_string_equal(m->id, "smollm2-135m");
    assert_true(m->runs_here && m->licence_class == FH_LICENCE_FREE);
    const fh_catalog_variant *v = NULL;
    assert_ptr_equal(fh_catalog_by_sha256("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", &v), m);
    assert_string_equal(v->name, "q4_1");
    assert_ptr_equal(v, fh_catalog_variant_find(m, NULL));
    assert_true(v->bytes_exact && v->gguf);
    assert_null(fh_catalog_by_sha256("", NULL));
    assert_null(fh_catalog_by_sha256("00", NULL));
}

static void variants_are_found_by_name(void **state)
{
    (void)state;
    const fh_catalog_model *m = fh_catalog_find(FH_STR("glm-5.3"));
    assert_string_equal(fh_catalog_variant_find(m, "")->name, "native");
    assert_string_equal(fh_catalog_variant_find(m, "NVFP4")->name, "nvfp4");
    assert_null(fh_catalog_variant_find(m, "none"));
}

static void the_parts_of_an_entry_become_json(void **state)
{
    (void)state;
    const fh_catalog *c = fh_catalog_now();
    for (size_t i = 0; i < c->model_count; i++) {
        const fh_catalog_model *m = c->models[i];
        FH_AUTO(json) fh_json *licence = fh_catalog_licence_json(m), *variants = fh_catalog_variants_json(m);
        FH_AUTO(json) fh_json *runs = fh_catalog_runs_json(m), *scores = fh_catalog_scores_json(m);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(licence, "class")), fh_licence_name(m->licence_class)));
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(licence, "allows"), "serve")), m->allows_serve));
        assert_int_equal(fh_json_count(variants), m->variant_count);
        assert_int_equal(fh_json_count(scores), m->score_count);
        assert_int_equal(fh_json_count(runs), m->run_count);
        for (size_t k = 0; k < m->run_count; k++)
            assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_at(runs, k), "engine")), m->runs[k].engine));
    }
}

static void what_runs_a_model_is_pinned_as_one(void **state)
{
    (void)state;
    const fh_catalog_run *r = &fh_catalog_find(FH_STR("kimi-k3"))->runs[0];
    assert_string_equal(r->engine, "vllm");
    assert_string_equal(r->least, "0.27.1");
    assert_string_equal(r->image, "vllm/vllm-openai:kimi-k3");
    assert_string_equal(r->arguments[0], "--tool-call-parser");
    assert_string_equal(r->arguments[1], "kimi_k3");
    assert_int_equal(r->devices, 8);
    assert_string_equal(r->device, "b300");
    assert_string_equal(r->host_arguments[0], "--tensor-parallel-size");
    assert_null(r->environment[0]);
}

static void machines_are_found(void **state)
{
    (void)state;
    const fh_catalog_machine *h = fh_catalog_machine_find(FH_STR("h200"));
    assert_non_null(h);
    assert_true(h->memory_gb > 100);
    for (size_t i = 0; i < fh_catalog_now()->machine_count; i++) {
        const fh_catalog_machine *m = fh_catalog_now()->machines[i];
        assert_ptr_equal(fh_catalog_machine_find(fh_str_of(m->id)), m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_top_ten_come_first_in_their_order),
        cmocka_unit_test(models_are_found_by_id_alias_and_whatever_case),
        cmocka_unit_test(an_unknown_name_gets_the_nearest),
        cmocka_unit_test(the_starter_is_known_by_its_digest),
        cmocka_unit_test(variants_are_found_by_name),
        cmocka_unit_test(the_parts_of_an_entry_become_json),
        cmocka_unit_test(what_runs_a_model_is_pinned_as_one),
        cmocka_unit_test(machines_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
