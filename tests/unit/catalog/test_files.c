/* Entries from files: ours read back are what the program carries, the user's need little and stand beside ours, whatever is wrong is named
 * by its field and changes nothing. */
#include "cmocka_all.h"

#include "base/limits.h"
#include "base/mem.h"
#include "catalog/files.h"
#include "torture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL(id, more)                                                                                                                    \
    "{\"id\":\"" id "\",\"name\":\"Mine\",\"licence\":{\"name\":\"MIT\",\"class\":\"free\"},\"variants\":[{\"name\":\"q8\",\"format\":"    \
    "\"GGUF Q8_0\",\"gguf\":true}]" more "}"
#define MACHINE(id) "{\"id\":\"" id "\",\"name\":\"Mine\",\"kind\":\"gpu\",\"memory_gb\":48,\"memory_bandwidth_gbs\":900.5}"

static fh_catalog_file *read_good(const char *text, const char *name, fh_catalog_file_kind kind)
{
    fh_catalog_file *f = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    if (fh_catalog_file_read(fh_str_of(text), name, kind, &f, &err)) fail_msg("%s", fh_err_message(err));
    return f;
}

static fh_catalog_file *read_own(const char *text)
{
    return read_good(text, "mine", FH_CATALOG_OWN);
}

/* ---- ours ---- */

static void add_file(fh_buf *out, const char *path)
{
    char piece[4096];
    FH_AUTO(ptr) char *whole = fh_asprintf("%s/data/catalog/%s", getenv("FH_SOURCE"), path);
    FILE *f = fopen(whole, "r");
    assert_non_null(f);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;) assert_true(fh_buf_add(out, piece, n));
    fclose(f);
}

/* Our own files as an update, in the program's order. */
static void make_update(fh_buf *out, const char *version)
{
    const fh_catalog *c = fh_catalog_now();
    out->max = FH_LIMIT_CATALOG_FILE_BYTES;
    fh_buf_addf(out, "{\"version\":\"%s\",\"models\":[", version);
    for (size_t i = 0; i < c->model_count; i++) {
        char path[128];
        snprintf(path, sizeof path, "models/%s.json", c->models[i]->id);
        if (i) fh_buf_addc(out, ',');
        add_file(out, path);
    }
    fh_buf_adds(out, "],\"machines\":");
    add_file(out, "hardware.json");
    fh_buf_addc(out, '}');
    assert_true(fh_buf_ok(out));
}

static void assert_same_json(fh_json *a, fh_json *b)
{
    FH_AUTO(buf) fh_buf x = FH_BUF(1 << 20), y = FH_BUF(1 << 20);
    assert_int_equal(fh_json_write(a, &x, NULL), 0);
    assert_int_equal(fh_json_write(b, &y, NULL), 0);
    assert_string_equal(fh_buf_cstr(&x), fh_buf_cstr(&y));
    fh_json_unref(a);
    fh_json_unref(b);
}

static void assert_same_model(const fh_catalog_model *a, const fh_catalog_model *b)
{
    const char *const texts[][2] = {{a->id, b->id},
                                    {a->name, b->name},
                                    {a->maker, b->maker},
                                    {a->repo, b->repo},
                                    {a->released, b->released},
                                    {a->from, b->from},
                                    {a->tier, b->tier},
                                    {a->attention, b->attention},
                                    {a->architecture, b->architecture},
                                    {a->modalities, b->modalities},
                                    {a->kv_rule, b->kv_rule},
                                    {a->hardware, b->hardware},
                                    {a->notes, b->notes}};
    for (size_t i = 0; i < FH_COUNT(texts); i++) assert_string_equal(texts[i][0], texts[i][1]);
    assert_true(a->rank == b->rank && a->starter == b->starter && a->runs_here == b->runs_here && a->layers == b->layers);
    assert_true(a->heads == b->heads && a->context_tok == b->context_tok && a->kv_bytes_per_tok == b->kv_bytes_per_tok);
    assert_true(a->kv_fixed_bytes == b->kv_fixed_bytes && a->params_total_b == b->params_total_b &&
                a->params_active_b == b->params_active_b);
    for (size_t i = 0; a->aliases[i] || b->aliases[i]; i++) assert_string_equal(a->aliases[i], b->aliases[i]);
    assert_int_equal(a->cache_count, b->cache_count);
    for (size_t i = 0; i < a->cache_count; i++) assert_memory_equal(&a->caches[i], &b->caches[i], sizeof *a->caches);
    for (size_t i = 0; i < a->variant_count; i++) {
        assert_string_equal(a->variants[i].file, b->variants[i].file);
        assert_true(a->variants[i].gguf == b->variants[i].gguf);
    }
    assert_same_json(fh_catalog_licence_json(a), fh_catalog_licence_json(b));
    assert_same_json(fh_catalog_variants_json(a), fh_catalog_variants_json(b));
    assert_same_json(fh_catalog_runs_json(a), fh_catalog_runs_json(b));
    assert_same_json(fh_catalog_scores_json(a), fh_catalog_scores_json(b));
}

static void assert_same_machine(const fh_catalog_machine *a, const fh_catalog_machine *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->vendor, b->vendor);
    assert_string_equal(a->kind, b->kind);
    assert_string_equal(a->memory_type, b->memory_type);
    assert_string_equal(a->interconnect, b->interconnect);
    assert_string_equal(a->notes, b->notes);
    assert_string_equal(a->from, b->from);
    for (size_t i = 0; a->sold_as[i] || b->sold_as[i]; i++) assert_string_equal(a->sold_as[i], b->sold_as[i]);
    assert_memory_equal(&a->memory_gb, &b->memory_gb, offsetof(fh_catalog_machine, memory_type) - offsetof(fh_catalog_machine, memory_gb));
}

static void our_own_files_read_back_are_what_the_program_carries(void **state)
{
    (void)state;
    FH_AUTO(buf) fh_buf text = FH_BUF(0);
    const fh_catalog *c = fh_catalog_now();
    make_update(&text, "2026-12-01");
    FH_AUTO(fh_catalog_file) fh_catalog_file *f = read_good(fh_buf_cstr(&text), "update", FH_CATALOG_UPDATE);
    assert_int_equal(fh_catalog_file_models(f), c->model_count);
    assert_int_equal(fh_catalog_file_machines(f), c->machine_count);
    for (size_t i = 0; i < c->model_count; i++) assert_same_model(fh_catalog_file_model(f, i), c->models[i]);
    for (size_t i = 0; i < c->machine_count; i++) assert_same_machine(fh_catalog_file_machine(f, i), c->machines[i]);
}

/* ---- the user's ---- */

static void an_entry_of_the_users_own_needs_little(void **state)
{
    (void)state;
    FH_AUTO(fh_catalog_file) fh_catalog_file *f = read_own("{\"models\":[" MODEL("my-model", "") "],\"machines\":[" MACHINE("my-gpu") "]}");
    const fh_catalog_model *m = fh_catalog_file_model(f, 0);
    assert_string_equal(m->id, "my-model");
    assert_string_equal(m->from, "mine");
    assert_string_equal(m->tier, "own");
    assert_string_equal(m->maker, "");
    assert_string_equal(m->modalities, "text");
    assert_string_equal(m->allows_serve, "unknown");
    assert_int_equal(m->licence_class, FH_LICENCE_FREE);
    assert_null(m->aliases[0]);
    assert_int_equal(m->variant_count, 1);
    assert_string_equal(m->variants[0].sha256, "");
    assert_true(m->variants[0].gguf);
    assert_int_equal(m->run_count + m->score_count + m->cache_count, 0);
    const fh_catalog_machine *h = fh_catalog_file_machine(f, 0);
    assert_true(h->memory_gb == 48 && h->memory_bandwidth_gbs == 900.5 && !h->sold_as[0]);
    assert_string_equal(h->from, "mine");
}

static void what_is_wrong_is_named_by_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field, *says;
    } bad[] = {
        {"[]", "", "no object"},
        {"{}", "models", "no model and no machine"},
        {"{\"models\":{}}", "models", "must be a list"},
        {"{\"models\":[],\"more\":1}", "more", "not known here"},
        {"{\"version\":\"2026-11-29\",\"models\":[" MODEL("m1", "") "]}", "version", "not known here"},
        {"{\"models\":[{\"id\":\"m1\"}]}", "models[0].name", "missing"},
        {"{\"models\":[" MODEL("m1", "") "," MODEL("M2", "") "]}", "models[1].id", "does not fit"},
        {"{\"models\":[" MODEL("m1", ",\"rank\":1") "]}", "models[0].rank", "entries of your own have none"},
        {"{\"models\":[" MODEL("m1", ",\"starter\":true") "]}", "models[0].starter", "entries of your own have none"},
        {"{\"models\":[" MODEL("m1", ",\"layers\":-1") "]}", "models[0].layers", "it must be 0 to 4096"},
        {"{\"models\":[" MODEL("m1", ",\"layers\":1.5") "]}", "models[0].layers", "of type integer"},
        {"{\"models\":[" MODEL("m1", ",\"colour\":1") "]}", "models[0].colour", "not known here"},
        {"{\"models\":[" MODEL("m1", ",\"maker\":\"a\\u0007b\"") "]}", "models[0].maker", "control character"},
        {"{\"models\":[" MODEL("m1", ",\"modalities\":[\"smell\"]") "]}", "models[0].modalities[0]", "one of text, image"},
        {"{\"models\":[" MODEL("m1", ",\"memory\":{\"caches\":[{\"kind\":\"gqa\"}]}") "]}", "models[0].memory.caches[0].layers", "missing"},
        {"{\"models\":[" MODEL("m1", ",\"runs\":[{\"engine\":\"none\",\"state\":\"tested\",\"source\":\"mine\"}]") "]}", "models[0].runs",
         "no engine none"},
        {"{\"models\":[" MODEL("m1", ",\"runs\":[{\"engine\":\"vllm\",\"state\":\"tested\",\"source\":\"mine\",\"arguments\":"
                                     "[\"--trust_remote_code\"]}]") "]}",
         "models[0].runs", "code from a model's repository"},
        {"{\"models\":[" MODEL("m1", ",\"runs\":[{\"engine\":\"vllm\",\"state\":\"tested\",\"source\":\"mine\",\"arguments\":"
                                     "[\"--max-model-len=1\"]}]") "]}",
         "models[0].runs", "given to vllm anyway"},
        {"{\"models\":[" MODEL("m1", ",\"runs\":[{\"engine\":\"vllm\",\"variant\":\"q4\",\"state\":\"tested\",\"source\":\"mine\"}]") "]}",
         "models[0].runs", "no variant q4"},
        {"{\"machines\":[" MACHINE("my-gpu") ",{\"id\":\"x1\"}]}", "machines[1].name", "missing"},
        {"{\"machines\":[]}", "models", "no model and no machine"},
    };
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_catalog_file *f = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_catalog_file_read(fh_str_of(bad[i].text), "mine", FH_CATALOG_OWN, &f, &err), FH_E_INVALID);
        assert_null(f);
        assert_string_equal(fh_err_param_get(err), bad[i].field);
        if (!strstr(fh_err_message(err), bad[i].says)) fail_msg("%s", fh_err_message(err));
        assert_non_null(strstr(fh_err_message(err), "mine"));
    }
}

static void an_update_is_whole_or_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"models\":[]}",
        "{\"version\":\"2026-1-1\",\"models\":[]}",
        "{\"version\":\"2026-11-29.\",\"models\":[]}",
        "{\"version\":\"2026-11-29\",\"models\":[" MODEL("m1", "") "]}", /* says too little */
        "{\"version\":\"2026-11-29\",\"machines\":[" MACHINE("my-gpu") "]}",
    };
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_catalog_file *f = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_catalog_file_read(fh_str_of(bad[i]), "update", FH_CATALOG_UPDATE, &f, &err), FH_E_INVALID);
        assert_non_null(fh_err_param_get(err));
    }
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"models\":[" MODEL("m1", "") "," MODEL("m1", "") "]}",
        "{\"models\":[" MODEL("m1", "") "," MODEL("m2", ",\"aliases\":[\"m1\"]") "]}",
        "{\"machines\":[" MACHINE("my-gpu") "," MACHINE("my-gpu") "]}",
    };
    for (size_t i = 0; i < FH_COUNT(bad); i++) {
        fh_catalog_file *f = NULL;
        FH_AUTO(fh_err) fh_err *err = NULL;
        assert_int_equal(fh_catalog_file_read(fh_str_of(bad[i]), "mine", FH_CATALOG_OWN, &f, &err), FH_E_EXISTS);
    }
    FH_AUTO(fh_catalog_file) fh_catalog_file *kimi = read_own("{\"models\":[" MODEL("kimi", "") "]}");
    FH_AUTO(fh_catalog_file) fh_catalog_file *gpu = read_own("{\"machines\":[" MACHINE("h200") "]}");
    FH_AUTO(fh_catalog_file) fh_catalog_file *one = read_own("{\"models\":[" MODEL("m1", "") "]}");
    FH_AUTO(fh_catalog_file) fh_catalog_file *same_name = read_own("{\"models\":[" MODEL("m1", "") "]}");
    FH_AUTO(fh_err) fh_err *err = NULL;
    assert_int_equal(fh_catalog_file_clashes(kimi, NULL, NULL, 0, &err), FH_E_EXISTS);
    assert_non_null(strstr(fh_err_message(err), "kimi is a name of the model kimi-k3.1-pro of freehold's own catalogue"));
    assert_int_equal(fh_catalog_file_clashes(gpu, NULL, NULL, 0, NULL), FH_E_EXISTS);
    assert_int_equal(fh_catalog_file_clashes(one, NULL, NULL, 0, NULL), 0);
    assert_int_equal(fh_catalog_file_clashes(same_name, NULL, &one, 1, NULL), FH_E_EXISTS);
}

static void versions_have_an_order(void **state)
{
    (void)state;
    static const char *const order[] = {"2025-12-31", "2026-11-29", "2026-11-29.2", "2026-11-29.10", "2026-11-30"};
    for (size_t i = 0; i < FH_COUNT(order); i++) {
        for (size_t k = 0; k < FH_COUNT(order); k++) {
            int says = fh_catalog_version_compare(order[i], order[k]);
            assert_true(i < k ? says < 0 : i > k ? says > 0 : says == 0);
        }
    }
}

/* ---- what holds ---- */

static void entries_come_beside_ours_and_go_again(void **state)
{
    (void)state;
    bool changed = false;
    size_t models = fh_catalog_now()->model_count;
    const fh_catalog_model *kimi = fh_catalog_find(FH_STR("kimi"));
    fh_catalog_file *own = read_own("{\"models\":[" MODEL("my-model", ",\"aliases\":[\"mine\"]") "],\"machines\":[" MACHINE("my-gpu") "]}");
    assert_int_equal(fh_catalog_publish(NULL, &own, 1, &changed, NULL), 0);
    assert_true(changed);
    assert_int_equal(fh_catalog_now()->model_count, models + 1);
    assert_string_equal(fh_catalog_find(FH_STR("mine"))->id, "my-model");
    assert_string_equal(fh_catalog_now()->models[models]->id, "my-model");
    assert_non_null(fh_catalog_machine_find(FH_STR("my-gpu")));
    assert_ptr_equal(fh_catalog_find(FH_STR("kimi")), kimi);
    const fh_catalog_model *before = fh_catalog_find(FH_STR("mine"));

    own = read_own("{\"models\":[" MODEL("my-model", ",\"aliases\":[\"mine\"]") "],\"machines\":[" MACHINE("my-gpu") "]}");
    assert_int_equal(fh_catalog_publish(NULL, &own, 1, &changed, NULL), 0);
    assert_false(changed); /* and the files are freed */

    assert_int_equal(fh_catalog_publish(NULL, NULL, 0, &changed, NULL), 0);
    assert_true(changed);
    assert_null(fh_catalog_find(FH_STR("mine")));
    assert_string_equal(before->id, "my-model"); /* for whoever still holds it */
}

static void what_clashes_changes_nothing(void **state)
{
    (void)state;
    bool changed = false;
    const fh_catalog *before = fh_catalog_now();
    FH_AUTO(fh_catalog_file) fh_catalog_file *own = read_own("{\"models\":[" MODEL("glm-5.3", "") "]}");
    fh_catalog_file *list[] = {own};
    assert_int_equal(fh_catalog_publish(NULL, list, 1, &changed, NULL), FH_E_EXISTS);
    assert_ptr_equal(fh_catalog_now(), before);
}

static void an_update_takes_the_place_of_ours(void **state)
{
    (void)state;
    bool changed = false;
    FH_AUTO(buf) fh_buf text = FH_BUF(0);
    make_update(&text, "2030-01-01");
    fh_catalog_file *update = read_good(fh_buf_cstr(&text), "update", FH_CATALOG_UPDATE);
    assert_int_equal(fh_catalog_publish(update, NULL, 0, &changed, NULL), 0);
    assert_true(changed && fh_catalog_now()->updated);
    assert_string_equal(fh_catalog_now()->version, "2030-01-01");
    assert_ptr_equal(fh_catalog_find(FH_STR("kimi")), fh_catalog_file_model(update, 0));
    assert_true(fh_catalog_starter()->starter);
    assert_int_equal(fh_catalog_publish(NULL, NULL, 0, &changed, NULL), 0);
    assert_false(fh_catalog_now()->updated);
}

static int read_one(void *arg)
{
    FH_AUTO(fh_catalog_file) fh_catalog_file *f = NULL;
    FH_AUTO(fh_err) fh_err *err = NULL;
    int rc = fh_catalog_file_read(fh_str_of(arg), "mine", FH_CATALOG_OWN, &f, &err);
    if (!rc) rc = fh_catalog_file_clashes(f, NULL, NULL, 0, &err);
    return rc;
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    static char text[] = "{\"models\":[" MODEL("my-model", ",\"aliases\":[\"mine\"]") "]}";
    assert_true(fh_torture(FH_FAULT_ALLOC, read_one, text, 400) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_files_read_back_are_what_the_program_carries),
        cmocka_unit_test(an_entry_of_the_users_own_needs_little),
        cmocka_unit_test(what_is_wrong_is_named_by_its_field),
        cmocka_unit_test(an_update_is_whole_or_refused),
        cmocka_unit_test(a_name_is_taken_once),
        cmocka_unit_test(versions_have_an_order),
        cmocka_unit_test(entries_come_beside_ours_and_go_again),
        cmocka_unit_test(what_clashes_changes_nothing),
        cmocka_unit_test(an_update_takes_the_place_of_ours),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
