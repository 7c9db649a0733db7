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
        const fh_catalog_model *m = fh_catalog_at(i);
        assert_int_equal(m->rank, i + 1);
        assert_string_equal(m->tier, "top10");
        assert_true(m->variant_count > 0 && m->variants[0].bytes > 0 && m->context_tok > 0);
        assert_true(*m->licence_summary && *m->maker);
    }
    assert_null(fh_catalog_at(fh_catalog_count()));
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

static void an_entry_becomes_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < fh_catalog_count(); i++) {
        const fh_catalog_model *m = fh_catalog_at(i);
        FH_AUTO(json) fh_json *o = fh_catalog_model_json(m);
        assert_non_null(o);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(o, "id")), m->id));
        assert_int_equal(fh_json_count(fh_json_get(o, "variants")), m->variant_count);
        assert_true(fh_str_eqs(fh_json_str(fh_json_get(fh_json_get(o, "licence"), "class")), fh_licence_name(m->licence_class)));
    }
}

static void machines_are_found(void **state)
{
    (void)state;
    const fh_catalog_machine *h = fh_catalog_machine_find(FH_STR("h200"));
    assert_non_null(h);
    assert_true(h->memory_gb > 100);
    assert_ptr_equal(fh_catalog_machine_at(0), fh_catalog_machine_find(fh_str_of(fh_catalog_machine_at(0)->id)));
    assert_null(fh_catalog_machine_at(fh_catalog_machine_count()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_top_ten_come_first_in_their_order),
        cmocka_unit_test(models_are_found_by_id_alias_and_whatever_case),
        cmocka_unit_test(an_unknown_name_gets_the_nearest),
        cmocka_unit_test(the_starter_is_known_by_its_digest),
        cmocka_unit_test(variants_are_found_by_name),
        cmocka_unit_test(an_entry_becomes_json),
        cmocka_unit_test(machines_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
