#include "base/err.h"
#include "base/fault.h"
#include "cmocka_all.h"

#include <string.h>

static void carries_code_message_hint_and_param(void **state)
{
    fh_err *err = NULL;
    assert_int_equal(fh_err_set(&err, FH_E_NOT_FOUND, "no model \"%s\"", "x"), FH_E_NOT_FOUND);
    fh_err_hint(&err, "try %s", "smollm2");
    fh_err_param(&err, "model");
    assert_null(fh_err_reason_get(err));
    fh_err_reason(&err, "model_not_found");
    assert_string_equal(fh_err_reason_get(err), "model_not_found");
    assert_int_equal(fh_err_code(err), FH_E_NOT_FOUND);
    assert_string_equal(fh_err_message(err), "no model \"x\"");
    assert_string_equal(fh_err_hint_get(err), "try smollm2");
    assert_string_equal(fh_err_param_get(err), "model");
    fh_err_free(err);
}

static void each_layer_adds_its_context_in_front(void **state)
{
    fh_err *err = NULL;
    fh_err_errno(&err, FH_E_IO, 2, "open %s", "a.gguf");
    assert_int_equal(fh_err_add(&err, "loading %s", "m"), FH_E_IO);
    assert_string_equal(fh_err_message(err), "loading m: open a.gguf: No such file or directory");
    fh_err_free(err);
}

static void a_name_that_nobody_knows_is_replaced(void **state)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_IO, "/fd/7: byte 8 of /fd/7");
    fh_err_replace(&err, "/fd/7", "my /fd/7 model.gguf");
    assert_string_equal(fh_err_message(err), "my /fd/7 model.gguf: byte 8 of my /fd/7 model.gguf");
    fh_err_replace(&err, "absent", "x");
    fh_err_replace(&err, "", "x");
    fh_err_replace(NULL, "a", "b");
    assert_string_equal(fh_err_message(err), "my /fd/7 model.gguf: byte 8 of my /fd/7 model.gguf");
    fh_err_free(err);
}

static void the_subject_is_named_once(void **state)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_CORRUPT, "byte 4: no version");
    assert_int_equal(fh_err_about(&err, "m.gguf"), FH_E_CORRUPT);
    assert_string_equal(fh_err_message(err), "m.gguf: byte 4: no version");
    assert_int_equal(fh_err_about(&err, "m.gguf"), FH_E_CORRUPT);
    assert_string_equal(fh_err_message(err), "m.gguf: byte 4: no version");
    fh_err_free(err);
    assert_int_equal(fh_err_about(NULL, "m.gguf"), FH_E_INTERNAL);
}

static void setting_again_replaces_and_a_null_slot_gives_the_code_only(void **state)
{
    fh_err *err = NULL;
    fh_err_set(&err, FH_E_IO, "first");
    fh_err_set(&err, FH_E_BUSY, "second");
    assert_string_equal(fh_err_message(err), "second");
    fh_err *other = NULL;
    fh_err_move(&other, &err);
    assert_null(err);
    assert_string_equal(fh_err_message(other), "second");
    fh_err_free(other);
    assert_int_equal(fh_err_set(NULL, FH_E_BUSY, "x"), FH_E_BUSY);
    assert_int_equal(fh_err_nomem(NULL), FH_E_NOMEM);
    fh_err_hint(NULL, "x");
}

static void out_of_memory_is_static_and_survives_everything(void **state)
{
    fh_err *err = NULL;
    fh_err_nomem(&err);
    fh_err_hint(&err, "x");
    fh_err_param(&err, "x");
    fh_err_reason(&err, "x");
    assert_null(fh_err_reason_get(err));
    assert_int_equal(fh_err_add(&err, "context"), FH_E_NOMEM);
    assert_string_equal(fh_err_message(err), "out of memory");
    assert_null(fh_err_hint_get(err));
    fh_err_free(err);
    fh_err_free(err);
}

static void every_code_has_a_status_a_name_and_an_exit_code_of_the_contract(void **state)
{
    for (int code = FH_E_INTERNAL; code < 0; code++) {
        assert_in_range(fh_code_http(code), 400, 599);
        assert_in_range(fh_code_exit(code), 1, 5);
        assert_true(strlen(fh_code_name(code)) > 0 && strlen(fh_code_title(code)) > 0);
    }
    assert_int_equal(fh_code_http(-1000), 500);
    assert_int_equal(fh_code_exit(0), 0);
    assert_true(fh_code_retryable(FH_E_BUSY));
    assert_false(fh_code_retryable(FH_E_INVALID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_code_message_hint_and_param),
        cmocka_unit_test(each_layer_adds_its_context_in_front),
        cmocka_unit_test(a_name_that_nobody_knows_is_replaced),
        cmocka_unit_test(the_subject_is_named_once),
        cmocka_unit_test(setting_again_replaces_and_a_null_slot_gives_the_code_only),
        cmocka_unit_test(out_of_memory_is_static_and_survives_everything),
        cmocka_unit_test(every_code_has_a_status_a_name_and_an_exit_code_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
