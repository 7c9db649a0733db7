/* The table of engines: its rows become command lines without a shell, bad templates are refused, versions are held against their range. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "catalog/engines.h"
#include <stdio.h>
#include <string.h>

static const fh_engine_values values = {.weights = "/w/model.gguf",
                                        .socket = "/run/x.1/e.sock",
                                        .model = "tiny model; rm -rf $HOME",
                                        .weight_cache = "/d/packed/x",
                                        .page_cache = "/d/pages/x",
                                        .port = 4711,
                                        .context_tok = 4096,
                                        .streams = 3,
                                        .kv_bytes = (UINT64_C(3) << 30) + 1};

static void our_own_engine_is_the_first_row(void **state)
{
    (void)state;
    const fh_catalog_engine *e = NULL;
    assert_int_equal(fh_catalog_engine_get(FH_STR(""), &e, NULL), 0);
    assert_ptr_equal(e, fh_catalog_engine_at(0));
    assert_true(fh_catalog_engine_is_own(e) && fh_catalog_engine_takes(e, "gguf") && !fh_catalog_engine_takes(e, "safetensors"));
    assert_int_equal(e->resumes, FH_ENGINE_RESUMES_TOKENS);
    assert_null(fh_catalog_engine_at(fh_catalog_engine_count()));
    for (size_t i = 1; i < fh_catalog_engine_count(); i++) {
        assert_false(fh_catalog_engine_is_own(fh_catalog_engine_at(i)));
        assert_ptr_equal(fh_catalog_engine_find(fh_str_of(fh_catalog_engine_at(i)->id)), fh_catalog_engine_at(i));
    }
}

static void our_own_computes_some_architectures_and_says_who_does_others(void **state)
{
    (void)state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_catalog_engine *own = fh_catalog_engine_at(0), *llama = fh_catalog_engine_find(FH_STR("llama-server"));
    static const char *const known[] = {"llama", "qwen2", "qwen3", "qwen3moe", ""};
    for (size_t i = 0; i < FH_COUNT(known); i++) assert_int_equal(fh_catalog_engine_computes(own, known[i], NULL), 0);
    assert_int_equal(fh_catalog_engine_computes(own, "gemma3", &err), FH_E_UNSUPPORTED);
    assert_string_equal(fh_err_message(err),
                        "freehold's own engine computes models of the architectures llama, qwen2, qwen3, qwen3moe, not of gemma3");
    assert_non_null(strstr(fh_err_hint_get(err), "--engine llama-server"));
    assert_int_equal(fh_catalog_engine_computes(llama, "gemma3", NULL), 0);
}

static void an_unknown_engine_is_told_which_there_are(void **state)
{
    (void)state;
    const fh_catalog_engine *e = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_catalog_engine_get(FH_STR("tgi"), &e, &err), FH_E_NOT_FOUND);
    assert_non_null(strstr(fh_err_hint_get(err), "llama-server"));
    assert_null(e);
}

static bool has_word(const fh_engine_words *w, const char *word)
{
    for (size_t i = 0; w->list[i]; i++)
        if (strcmp(w->list[i], word) == 0) return true;
    return false;
}

static void every_row_becomes_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < fh_catalog_engine_count(); i++) {
        const fh_catalog_engine *e = fh_catalog_engine_at(i);
        FH_AUTO(engine_words) fh_engine_words argv = {.text = NULL}, env = {.text = NULL};
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (fh_engine_words_make("/bin/x", e->arguments, NULL, &values, &argv, &err) != 0) fail_msg("%s: %s", e->id, fh_err_message(err));
        if (fh_engine_words_make(NULL, e->environment, NULL, &values, &env, &err) != 0) fail_msg("%s: %s", e->id, fh_err_message(err));
        assert_string_equal(argv.list[0], "/bin/x");
        assert_true(has_word(&argv, "/w/model.gguf"));
        assert_true(has_word(&argv, "tiny model; rm -rf $HOME")); /* one word, whatever a shell would make of it */
        for (size_t k = 0; env.list[k]; k++) assert_non_null(strchr(env.list[k], '='));
    }
}

static void values_are_what_the_rows_mean(void **state)
{
    (void)state;
    FH_AUTO(engine_words) fh_engine_words own = {.text = NULL}, llama = {.text = NULL}, vllm = {.text = NULL}, env = {.text = NULL};
    assert_int_equal(fh_engine_words_make(NULL, fh_catalog_engine_at(0)->arguments, NULL, &values, &own, NULL), 0);
    assert_int_equal(fh_engine_words_make(NULL, fh_catalog_engine_find(FH_STR("llama-server"))->arguments, NULL, &values, &llama, NULL), 0);
    assert_int_equal(fh_engine_words_make(NULL, fh_catalog_engine_find(FH_STR("vllm"))->arguments, NULL, &values, &vllm, NULL), 0);
    assert_int_equal(fh_engine_words_make(NULL, fh_catalog_engine_find(FH_STR("vllm"))->environment, NULL, &values, &env, NULL), 0);
    assert_true(has_word(&own, "unix:/run/x.1/e.sock") && has_word(&own, "4096"));
    assert_true(has_word(&own, "/d/packed/x") && has_word(&own, "/d/pages/x"));
    assert_true(has_word(&llama, "/run/x.1/e.sock") && has_word(&llama, "12288")); /* of all streams together */
    assert_true(has_word(&vllm, "{\"custom_ops\":[\"none\"]}"));
    assert_true(has_word(&env, "VLLM_CPU_KVCACHE_SPACE=4"));
}

static bool words_follow(const fh_engine_words *w, const char *first, const char *second)
{
    for (size_t i = 0; w->list[i]; i++)
        if (strcmp(w->list[i], first) == 0) return w->list[i + 1] && strcmp(w->list[i + 1], second) == 0;
    return false;
}

/* Only where it was asked for: an engine that is told nothing keeps it as it does by itself. */
static void an_engine_is_told_what_its_cache_is_kept_as(void **state)
{
    (void)state;
    const fh_catalog_engine *llama = fh_catalog_engine_find(FH_STR("llama-server"));
    FH_AUTO(engine_words) fh_engine_words none = {.text = NULL}, own = {.text = NULL}, other = {.text = NULL};
    fh_engine_values v = values;
    assert_int_equal(fh_engine_words_start("/bin/x", fh_catalog_engine_at(0), NULL, &v, &none, NULL), 0);
    v.kv_type = "q8_0";
    assert_int_equal(fh_engine_words_start("/bin/x", fh_catalog_engine_at(0), NULL, &v, &own, NULL), 0);
    assert_int_equal(fh_engine_words_start("/bin/x", llama, NULL, &v, &other, NULL), 0);
    assert_false(has_word(&none, "--kv-type"));
    assert_true(words_follow(&own, "--kv-type", "q8_0"));
    assert_true(words_follow(&other, "--cache-type-k", "q8_0") && words_follow(&other, "--cache-type-v", "q8_0"));
}

static void an_engine_that_cannot_be_told_says_which_can(void **state)
{
    (void)state;
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_catalog_engine *vllm = fh_catalog_engine_find(FH_STR("vllm"));
    static const char *const types[] = {"", "f16", "q8_0", "q4_0"};
    for (size_t i = 0; i < FH_COUNT(types); i++) {
        assert_int_equal(fh_catalog_engine_keeps(fh_catalog_engine_at(0), types[i], NULL), 0);
        assert_int_equal(fh_catalog_engine_keeps(fh_catalog_engine_find(FH_STR("llama-server")), types[i], NULL), 0);
    }
    assert_int_equal(fh_catalog_engine_keeps(vllm, "", NULL), 0);
    assert_int_equal(fh_catalog_engine_keeps(vllm, "q8_0", &err), FH_E_UNSUPPORTED);
    assert_string_equal(fh_err_message(err), "vLLM, its CPU package cannot be told to keep its cache as q8_0");
    assert_non_null(strstr(fh_err_hint_get(err), "--engine freehold or --engine llama-server"));
    assert_int_equal(fh_catalog_engine_keeps(fh_catalog_engine_at(0), "q8_0 --listen", NULL), FH_E_UNSUPPORTED);
}

/* Each of them, the first without what only the others are told. */
static void ranks_are_told_who_they_are(void **state)
{
    (void)state;
    static const char *const names[] = {"vllm", "sglang"};
    fh_engine_values v = values;
    v.ranks = 3;
    v.head = "10.0.0.1";
    v.head_port = 29500;
    for (size_t i = 0; i < FH_COUNT(names); i++) {
        const fh_catalog_engine *e = fh_catalog_engine_find(fh_str_of(names[i]));
        FH_AUTO(engine_words) fh_engine_words first = {.text = NULL}, last = {.text = NULL}, alone = {.text = NULL};
        assert_true(fh_catalog_engine_spreads(e));
        assert_int_equal(fh_engine_words_start("/bin/x", e, NULL, &values, &alone, NULL), 0);
        v.rank = 0;
        assert_int_equal(fh_engine_words_start("/bin/x", e, NULL, &v, &first, NULL), 0);
        v.rank = 2;
        assert_int_equal(fh_engine_words_start("/bin/x", e, NULL, &v, &last, NULL), 0);
        assert_false(has_word(&alone, "--node-rank"));
        assert_true(has_word(&first, "--node-rank") && has_word(&first, "0") && !has_word(&first, "--headless"));
        assert_true(has_word(&last, "--nnodes") && has_word(&last, "3") && has_word(&last, "2"));
        assert_int_equal(has_word(&last, "--headless"), i == 0);
        assert_true(has_word(&last, i == 0 ? "29500" : "10.0.0.1:29500"));
    }
    assert_false(fh_catalog_engine_spreads(fh_catalog_engine_at(0)));
}

static void a_rank_is_no_value_of_one_alone(void **state)
{
    (void)state;
    static const char *const templates[] = {"--rank", "{rank}", NULL};
    FH_AUTO(engine_words) fh_engine_words w = {.text = NULL};
    assert_int_equal(fh_engine_words_make(NULL, templates, NULL, &values, &w, NULL), FH_E_INVALID);
}

/* As SGLang's documentation has it; it is not run by any test. */
static void sglang_is_given_what_its_documentation_names(void **state)
{
    (void)state;
    static const char *const documented[] = {"serve",
                                             "--model-path",
                                             "/w/model.gguf",
                                             "--host",
                                             "127.0.0.1",
                                             "--port",
                                             "4711",
                                             "--context-length",
                                             "4096",
                                             "--max-running-requests",
                                             "3",
                                             "--enable-metrics"};
    FH_AUTO(engine_words) fh_engine_words w = {.text = NULL};
    assert_int_equal(fh_engine_words_make(NULL, fh_catalog_engine_find(FH_STR("sglang"))->arguments, NULL, &values, &w, NULL), 0);
    for (size_t i = 0; i < FH_COUNT(documented); i++) assert_true(has_word(&w, documented[i]));
    assert_int_equal(fh_catalog_engine_find(FH_STR("sglang"))->listens, FH_ENGINE_LISTENS_PORT);
}

static void words_of_the_catalogue_follow_as_they_are(void **state)
{
    (void)state;
    static const char *const templates[] = {"serve", "{model}", NULL}, *const more[] = {"--config", "{\"a\":1}", NULL};
    FH_AUTO(engine_words) fh_engine_words w = {.text = NULL};
    assert_int_equal(fh_engine_words_make("program", templates, more, &values, &w, NULL), 0);
    assert_string_equal(w.list[1], "serve");
    assert_string_equal(w.list[3], "--config");
    assert_string_equal(w.list[4], "{\"a\":1}");
    assert_null(w.list[5]);
    const char *many[FH_ENGINE_WORDS + 1] = {NULL};
    for (size_t i = 0; i < FH_ENGINE_WORDS; i++) many[i] = "x";
    fh_engine_words none = {.text = NULL};
    assert_int_equal(fh_engine_words_make(NULL, templates, many, &values, &none, NULL), FH_E_INVALID);
}

static void bad_templates_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"{", "}", "{weights", "a}b", "{nothing}", "{}", "{{weights}", "{Weights}", "{weights }"};
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        const char *const templates[] = {"good", bad[i], NULL};
        fh_engine_words w = {.text = NULL};
        FH_AUTO(fh_err) fh_err *err = NULL;
        if (fh_engine_words_make(NULL, templates, NULL, &values, &w, &err) != FH_E_INVALID) fail_msg("%s was taken", bad[i]);
        assert_non_null(strstr(fh_err_message(err), "the template"));
        assert_null(w.text);
    }
}

static void a_value_is_never_read_as_an_option(void **state)
{
    (void)state;
    static const char *const alone[] = {"{model}", NULL}, *const inside[] = {"--alias={model}", NULL};
    fh_engine_values v = {.model = "--verbose"};
    FH_AUTO(engine_words) fh_engine_words w = {.text = NULL};
    assert_int_equal(fh_engine_words_make(NULL, alone, NULL, &v, &w, NULL), FH_E_INVALID);
    assert_int_equal(fh_engine_words_make(NULL, inside, NULL, &v, &w, NULL), 0);
    assert_string_equal(w.list[0], "--alias=--verbose");
}

static void values_that_are_not_there_are_missed(void **state)
{
    (void)state;
    static const char *const names[] = {"{weights}", "{socket}", "{model}", "{port}", "{context_tok}", "{streams}"};
    fh_engine_values none = {.model = ""};
    for (size_t i = 0; i < FH_COUNT(names); i++) {
        const char *const templates[] = {names[i], NULL};
        fh_engine_words w = {.text = NULL};
        assert_int_equal(fh_engine_words_make(NULL, templates, NULL, &none, &w, NULL), FH_E_INVALID);
    }
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    const char *templates[FH_ENGINE_WORDS + 2] = {NULL};
    fh_engine_words w = {.text = NULL};
    for (size_t i = 0; i <= FH_ENGINE_WORDS; i++) templates[i] = "x";
    assert_int_equal(fh_engine_words_make(NULL, templates, NULL, &values, &w, NULL), FH_E_INVALID);
    templates[FH_ENGINE_WORDS] = NULL;
    assert_int_equal(fh_engine_words_make("program", templates, NULL, &values, &w, NULL), FH_E_INVALID);
    assert_int_equal(fh_engine_words_make(NULL, templates, NULL, &values, &w, NULL), 0);
    assert_null(w.list[FH_ENGINE_WORDS]);
    fh_engine_words_fini(&w);
}

static int check(const char *id, const char *said, char version[32])
{
    return fh_engine_version_check(fh_catalog_engine_find(fh_str_of(id)), NULL, fh_str_of(said), version, NULL);
}

static void versions_are_held_against_their_range(void **state)
{
    (void)state;
    char v[32];
    assert_int_equal(check("llama-server", "version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU", v), 0);
    assert_string_equal(v, "11669");
    assert_int_equal(check("llama-server", "version: 6123 (abcdef12)", v), 0);
    assert_string_equal(v, "6123");
    assert_int_equal(check("llama-server", "version: 0.7.0 (build 99999, commit x)", v), FH_E_UNSUPPORTED);
    assert_int_equal(check("llama-server", "version: 4000 (abc)", v), FH_E_UNSUPPORTED);
    assert_int_equal(check("vllm", "vllm 0.32.0+cpu", v), 0);
    assert_string_equal(v, "0.32.0");
    assert_int_equal(check("vllm", "vllm 0.33.0", v), FH_E_UNSUPPORTED);
    assert_int_equal(check("vllm", "vllm 0.4.1", v), FH_E_UNSUPPORTED); /* numbers, not text: 4 is less than 32 */
    assert_int_equal(check("vllm", "vllm 0.32.99999999999999999999", v), 0);
}

static void what_is_there_and_what_is_needed_is_said(void **state)
{
    (void)state;
    char v[32];
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_catalog_engine *e = fh_catalog_engine_find(FH_STR("vllm"));
    assert_int_equal(fh_engine_version_check(e, NULL, FH_STR("vllm 0.31.2"), v, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "0.31.2"));
    assert_non_null(strstr(fh_err_message(err), "0.32 to below 0.33"));
    assert_non_null(strstr(fh_err_hint_get(err), "--engine vllm="));
    assert_int_equal(fh_engine_version_check(e, NULL, FH_STR("command not found"), v, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "does not say"));
    assert_string_equal(v, "");
}

static void a_model_may_need_a_later_version(void **state)
{
    (void)state;
    char v[32];
    FH_AUTO(fh_err) fh_err *err = NULL;
    const fh_catalog_engine *e = fh_catalog_engine_find(FH_STR("vllm"));
    assert_int_equal(fh_engine_version_check(e, "0.32.1", FH_STR("vllm 0.32.10"), v, NULL), 0);
    assert_int_equal(fh_engine_version_check(e, "", FH_STR("vllm 0.32.0"), v, NULL), 0);
    assert_int_equal(fh_engine_version_check(e, "0.30", FH_STR("vllm 0.32.0"), v, NULL), 0);
    assert_int_equal(fh_engine_version_check(e, "0.32.1", FH_STR("vllm 0.32.0"), v, &err), FH_E_UNSUPPORTED);
    assert_non_null(strstr(fh_err_message(err), "0.32.0; it knows this model from 0.32.1 on"));
    assert_string_equal(v, "0.32.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_engine_is_the_first_row),
        cmocka_unit_test(our_own_computes_some_architectures_and_says_who_does_others),
        cmocka_unit_test(an_unknown_engine_is_told_which_there_are),
        cmocka_unit_test(every_row_becomes_words),
        cmocka_unit_test(values_are_what_the_rows_mean),
        cmocka_unit_test(an_engine_is_told_what_its_cache_is_kept_as),
        cmocka_unit_test(an_engine_that_cannot_be_told_says_which_can),
        cmocka_unit_test(ranks_are_told_who_they_are),
        cmocka_unit_test(a_rank_is_no_value_of_one_alone),
        cmocka_unit_test(sglang_is_given_what_its_documentation_names),
        cmocka_unit_test(words_of_the_catalogue_follow_as_they_are),
        cmocka_unit_test(bad_templates_are_refused),
        cmocka_unit_test(a_value_is_never_read_as_an_option),
        cmocka_unit_test(values_that_are_not_there_are_missed),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(versions_are_held_against_their_range),
        cmocka_unit_test(what_is_there_and_what_is_needed_is_said),
        cmocka_unit_test(a_model_may_need_a_later_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
